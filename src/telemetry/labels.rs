//! The values that stand in metric names, each from a set that clients cannot make grow.

use super::metrics::Style;
use super::record::{Failure, Party, Record, UsageSource, api_of};
use std::borrow::Cow;

/// Longest value of a label, in bytes; longer ones are cut at a character.
pub const MAX_LABEL: usize = 64;

/// Longest route or cluster name in a metric name, in bytes; longer ones are cut at a character.
pub const MAX_PLACE: usize = 160;

/// What stands for a value that is not one of those allowed.
pub const OTHER: &str = "other";

/// What stands for a value that is absent.
pub const NONE: &str = "none";

/// What stands for every label of a series that was refused.
pub const OVERFLOW: &str = "overflow";

/// What Higress's plugins write where the host does not tell route or cluster.
const UNKNOWN_PLACE: &str = "-";

/// How the names of well-known models begin, in lower case. Compared with what follows the last `/`, after `ft:` and
/// after a vendor such as `us.anthropic.`.
const FAMILIES: [&str; 94] = [
    "abab",
    "aya-",
    "babbage",
    "baichuan",
    "bge-",
    "chatglm",
    "chatgpt",
    "claude",
    "codegeex",
    "codellama",
    "codestral",
    "codex",
    "cogvideo",
    "cogview",
    "command",
    "computer-use",
    "dall-e",
    "davinci",
    "dbrx",
    "deepseek",
    "devstral",
    "dolphin",
    "doubao",
    "e5-",
    "embed-",
    "embedding-",
    "ernie",
    "falcon",
    "farui",
    "flux",
    "gemini",
    "gemma",
    "glm",
    "gpt-",
    "gpt2",
    "gpt3",
    "gpt4",
    "granite",
    "grok",
    "gte-",
    "hermes",
    "hunyuan",
    "imagen",
    "internlm",
    "jamba",
    "jina-",
    "kat-",
    "kimi",
    "lfm",
    "llama",
    "longcat",
    "magistral",
    "meta-llama",
    "mimo",
    "minicpm",
    "minimax",
    "ministral",
    "mistral",
    "mixtral",
    "molmo",
    "moonshot",
    "mxbai",
    "nemotron",
    "nomic-embed",
    "nova-",
    "o1",
    "o3",
    "o4",
    "olmo",
    "omni-moderation",
    "open-mistral",
    "open-mixtral",
    "palmyra",
    "phi-",
    "phi3",
    "phi4",
    "pixtral",
    "qvq",
    "qwen",
    "qwq",
    "rerank",
    "seed-",
    "solar",
    "sonar",
    "spark",
    "stable-",
    "step-",
    "text-",
    "titan-",
    "tts-",
    "voyage-",
    "whisper",
    "wizardlm",
    "yi-",
];

/// How many parts that end in `.` may stand before the name of a model, as in `us.anthropic.`.
const VENDOR_PARTS: usize = 3;

/// The models a configuration knows.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Models {
    /// Sorted, each once.
    exact: Vec<String>,
    prefixes: Vec<String>,
}

impl Models {
    /// Takes the names: keys and targets of model mappings and those listed for statistics. A `*` at the end makes a
    /// prefix of it, and a lone `*` allows every name; so the `*` of a mapping must not be among them.
    #[must_use]
    pub fn new<'a>(names: impl IntoIterator<Item = &'a str>) -> Self {
        let (exact, prefixes) = sort_out(names);
        Self { exact, prefixes }
    }

    /// The model as a label: its name if it is allowed, else [`OTHER`]; [`NONE`] if there is no name.
    ///
    /// A configured name always is. One with a configured prefix or of a [known family](is_family) is allowed where
    /// the upstream answered with 2xx, because a refused request may name any model.
    #[must_use]
    pub fn label<'m>(&self, name: Option<&'m str>, succeeded: bool) -> &'m str {
        let Some(name) = name.filter(|name| !name.is_empty()) else { return NONE };
        let configured = || contains(&self.exact, name);
        let plausible = || succeeded && is_safe(name) && (starts_with_any(&self.prefixes, name) || is_family(name));
        if configured() || plausible() { name } else { OTHER }
    }
}

/// The consumers a configuration knows.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Consumers {
    /// Sorted, each once.
    exact: Vec<String>,
    prefixes: Vec<String>,
}

impl Consumers {
    /// Takes the names; a `*` at the end makes a prefix of one, and a lone `*` allows every name.
    #[must_use]
    pub fn new<'a>(names: impl IntoIterator<Item = &'a str>) -> Self {
        let (exact, prefixes) = sort_out(names);
        Self { exact, prefixes }
    }

    /// The consumer as a label: its name if it is configured, else [`OTHER`]; [`NONE`] if there is no name.
    #[must_use]
    pub fn label<'c>(&self, name: Option<&'c str>) -> &'c str {
        match name {
            None | Some("") => NONE,
            Some(name) if contains(&self.exact, name) || starts_with_any(&self.prefixes, name) => name,
            Some(_) => OTHER,
        }
    }
}

/// Names without and with a `*` at the end, the first ones sorted.
fn sort_out<'a>(names: impl IntoIterator<Item = &'a str>) -> (Vec<String>, Vec<String>) {
    let mut exact: Vec<String> = Vec::new();
    let mut prefixes = Vec::new();
    for name in names {
        match name.strip_suffix('*') {
            Some(prefix) => prefixes.push(prefix.to_owned()),
            None => {
                if let Err(place) = exact.binary_search_by(|known| known.as_str().cmp(name)) {
                    exact.insert(place, name.to_owned());
                }
            }
        }
    }
    (exact, prefixes)
}

fn contains(sorted: &[String], name: &str) -> bool {
    sorted.binary_search_by(|known| known.as_str().cmp(name)).is_ok()
}

fn starts_with_any(prefixes: &[String], name: &str) -> bool {
    prefixes.iter().any(|prefix| name.starts_with(prefix.as_str()))
}

/// At most [`MAX_LABEL`] bytes of what model names are made of.
fn is_safe(name: &str) -> bool {
    let safe = |byte: u8| matches!(byte, b'A'..=b'Z' | b'a'..=b'z' | b'0'..=b'9' | b'.' | b'_' | b':' | b'/' | b'@' | b'+' | b'-');
    name.len() <= MAX_LABEL && name.bytes().all(safe)
}

/// Whether this is how a well-known model is called.
#[must_use]
pub fn is_family(name: &str) -> bool {
    let name = name.rsplit_once('/').map_or(name, |(_, name)| name);
    let name = name.strip_prefix("ft:").unwrap_or(name);
    let tails = core::iter::successors(Some(name), |tail| tail.split_once('.').map(|(_, tail)| tail));
    tails.take(VENDOR_PARTS).any(|tail| {
        let first = tail.bytes().next().map(|byte| byte.to_ascii_lowercase());
        let is_start = |family: &&str| tail.get(..family.len()).is_some_and(|start| start.eq_ignore_ascii_case(family));
        // Nearly all of them differ at once.
        FAMILIES.iter().filter(|family| family.bytes().next() == first).any(is_start)
    })
}

/// The text up to that many bytes, cut at a character.
pub(super) fn cut(text: &str, max: usize) -> &str {
    if text.len() <= max {
        return text;
    }
    let end = (0..=max).rev().find(|end| text.is_char_boundary(*end));
    text.get(..end.unwrap_or_default()).unwrap_or_default()
}

/// Whether a character that is [`invisible`] may begin with this byte in UTF-8. None of ASCII does, so that nearly every
/// text needs no look at its characters.
pub(super) const fn may_begin_invisible(byte: u8) -> bool {
    matches!(byte, 0xc2 | 0xcd | 0xd8 | 0xe1..=0xe3 | 0xef | 0xf0 | 0xf3)
}

/// Whether a character beyond ASCII is not seen, or has what stands around it seen otherwise than it is: controls, what
/// separates lines and paragraphs, what turns the direction of a text, fillers, tags, and what has no width. A name that
/// holds one of them looks like another name, or like two lines, wherever people read it.
///
/// Source: the property `Default_Ignorable_Code_Point`, the general categories `Cc`, `Zl` and `Zp`, and the marks of
/// interlinear annotations, in <https://www.unicode.org/reports/tr44/>.
pub(super) const fn invisible(character: char) -> bool {
    matches!(character,
        '\u{80}'..='\u{9f}'
        | '\u{ad}'
        | '\u{34f}'
        | '\u{61c}'
        | '\u{115f}'..='\u{1160}'
        | '\u{17b4}'..='\u{17b5}'
        | '\u{180b}'..='\u{180f}'
        | '\u{200b}'..='\u{200f}'
        | '\u{2028}'..='\u{202e}'
        | '\u{2060}'..='\u{206f}'
        | '\u{3164}'
        | '\u{fe00}'..='\u{fe0f}'
        | '\u{feff}'
        | '\u{ffa0}'
        | '\u{fff0}'..='\u{fffb}'
        | '\u{1bca0}'..='\u{1bca3}'
        | '\u{1d173}'..='\u{1d17a}'
        | '\u{e0000}'..='\u{e0fff}')
}

/// The words that divide Higress's names of metrics, see [`metrics`](super::metrics).
const WORDS: [&str; 4] = ["upstream", "model", "consumer", "metric"];

/// A value as it may stand in a name: at most `max` bytes of it, and without what ends one or is [`invisible`].
///
/// Of Waypost's names those are `;` and `=`. Of Higress's it is a dot with one of [`WORDS`] behind it, because the
/// expressions of Envoy's tags look for `.word`: `a.model-x` is written `a_model-x`. At the start of a value there is no
/// dot of its own, so `model-router` and `consumer1` stay whole; only a first part that is such a word as a whole, in
/// front of another dot or at the end, would be taken for the divider, and gets a `_`. A host tries every expression on
/// every name, so both rules hold for both kinds of names.
#[must_use]
pub fn clean(value: &str, max: usize) -> Cow<'_, str> {
    let value = cut(value, max);
    let harmful = |byte: u8| byte.is_ascii_control() || matches!(byte, b';' | b'=' | b' ');
    let divides = |index: usize, part: &str| match index {
        0 => WORDS.contains(&part),
        _ => WORDS.iter().any(|word| part.starts_with(word)),
    };
    if !value.bytes().any(|byte| harmful(byte) || may_begin_invisible(byte))
        && !value.split('.').enumerate().any(|(index, part)| divides(index, part))
    {
        return Cow::Borrowed(value);
    }
    let mut out = String::with_capacity(value.len().saturating_add(1));
    for (index, part) in value.split('.').enumerate() {
        if divides(index, part) {
            out.push('_');
        } else if index > 0 {
            out.push('.');
        }
        out.extend(part.chars().map(|c| if u8::try_from(c).is_ok_and(harmful) || invisible(c) { '_' } else { c }));
    }
    Cow::Owned(out)
}

/// The labels of one record: bounded, and without what means something in a name ([`clean`]).
#[derive(Clone, Debug)]
pub struct Labels<'r> {
    /// Route name, or an API's three parts of it.
    pub route: Cow<'r, str>,
    /// Cluster name.
    pub cluster: Cow<'r, str>,
    /// The provider.
    pub provider: Cow<'r, str>,
    /// The operation.
    pub operation: &'static str,
    /// The model asked for upstream.
    pub model: Cow<'r, str>,
    /// The model for Higress's names: that of the response, of a failure the one asked for.
    pub higress_model: Cow<'r, str>,
    /// Who asks.
    pub consumer: Cow<'r, str>,
    /// Whose error it was: `gateway`, `upstream` or `client`.
    pub error_source: &'static str,
    /// Why it failed.
    pub error_type: Cow<'r, str>,
    /// `2xx` to `5xx`, and `0xx` without a response.
    pub status_class: &'static str,
    /// Who says how many tokens: `upstream`, or `estimated`.
    pub usage_source: &'static str,
}

impl<'r> Labels<'r> {
    /// The labels of a record, as far as metrics of that style have them: without Higress's, `route`, `cluster` and
    /// `higress_model` are empty.
    #[must_use]
    pub fn new(record: &'r Record, style: Style, models: &Models, consumers: &Consumers) -> Self {
        let succeeded = record.succeeded();
        let label = |value: &'r str| clean(value, MAX_LABEL);
        let labels = Self {
            route: Cow::Borrowed(""),
            cluster: Cow::Borrowed(""),
            provider: label(or(&record.provider, NONE)),
            operation: or(record.operation, NONE),
            model: label(match record.asked_model() {
                Some(model) if record.configured_model => model,
                asked => models.label(asked.or(record.response_model.as_deref()), succeeded),
            }),
            higress_model: Cow::Borrowed(""),
            consumer: label(consumers.label(record.consumer.as_deref())),
            error_source: record.failure.as_ref().map_or(NONE, Failure::source),
            error_type: label(error_type(record)),
            status_class: status_class(record.status),
            usage_source: if record.usage_source == UsageSource::Estimated { "estimated" } else { "upstream" },
        };
        if !style.is_higress() {
            return labels;
        }
        let higress_model = match (record.model(), record.failed()) {
            (Some(model), _) if record.configured_model && record.asked_model() == Some(model) => model,
            (Some(model), _) => models.label(Some(model), succeeded),
            (None, true) => "UNKNOWN",
            (None, false) => "unknown",
        };
        Self {
            route: clean(api_of(&record.route).unwrap_or_else(|| or(&record.route, UNKNOWN_PLACE)), MAX_PLACE),
            cluster: clean(or(&record.cluster, UNKNOWN_PLACE), MAX_PLACE),
            higress_model: label(higress_model),
            ..labels
        }
    }

    /// Writes all of them, one in a line, which none of them can break: records with the same text are counted in the
    /// same series.
    pub(super) fn write_all(&self, out: &mut String) {
        for label in [
            &*self.provider,
            self.operation,
            &self.model,
            &self.consumer,
            self.error_source,
            &self.error_type,
            self.status_class,
            self.usage_source,
            &self.route,
            &self.cluster,
            &self.higress_model,
        ] {
            out.push_str(label);
            out.push('\n');
        }
    }
}

/// The text, or what stands for it where there is none.
const fn or<'t>(text: &'t str, instead: &'static str) -> &'t str {
    if text.is_empty() { instead } else { text }
}

/// `2xx` and so on.
const fn status_class(status: Option<u16>) -> &'static str {
    match status {
        Some(100..=199) => "1xx",
        Some(200..=299) => "2xx",
        Some(300..=399) => "3xx",
        Some(400..=499) => "4xx",
        Some(500..=599) => "5xx",
        Some(_) | None => "0xx",
    }
}

/// Why it failed, in words that are few: Waypost's own codes, an abort, the statuses that AI providers use, else the
/// class of the status. `none` if it did not fail.
fn error_type(record: &Record) -> &str {
    if let Some(Failure::Gateway(Some(code))) = &record.failure {
        return code;
    }
    match record.aborted {
        Some(Party::Client) => return "client_closed",
        Some(Party::Upstream) => return "upstream_closed",
        None => {}
    }
    match record.status {
        Some(400) => "400",
        Some(401) => "401",
        Some(402) => "402",
        Some(403) => "403",
        Some(404) => "404",
        Some(408) => "408",
        Some(413) => "413",
        Some(422) => "422",
        Some(429) => "429",
        Some(500) => "500",
        Some(502) => "502",
        Some(503) => "503",
        Some(504) => "504",
        Some(529) => "529",
        Some(200..=299) if record.failure.is_some() => "in_response",
        status if record.failed() => status_class(status),
        _ => NONE,
    }
}

#[cfg(test)]
mod tests;
