//! Attributes: values that an operator wants in the record of a request, taken from headers, bodies and streams.
//!
//! The settings are those of Higress's ai-statistics ([`Spec`] is one entry of its `attributes`) and do the same. Two
//! things differ, for the sake of the record: text is never cut inside a character, and what is kept of a stream is
//! bounded by the limit of its value while it passes, not only when it is written.
//!
//! - [`Attributes`] is compiled once; [`Capture`] is one request; [`Captured`] is what came of one attribute.
//! - [`gjson`] evaluates the paths.
//! - [`session_id`], [`path_enabled`] and [`content_type_enabled`] are the settings beside `attributes`.

mod builtin;
mod calls;
mod capture;
mod clip;
mod filters;
pub mod gjson;
#[cfg(test)]
mod tests;

use self::builtin::Builtin;
pub use self::calls::{MAX_CALL_NAME, MAX_CALLS};
pub use self::capture::{Capture, Captured};
pub use self::clip::MARKER;
pub use self::filters::{SESSION_HEADERS, content_type_enabled, path_enabled, session_id};
use self::gjson::Path;
use crate::json::Wanted;

/// How much of a body is worth keeping a copy of, in bytes, without the members that nothing is looked for in: the
/// caller shows no more. Also the most that is kept of a value, whatever limit is configured.
pub const MAX_BODY: usize = 1024 * 1024;

/// `value_length_limit` where nothing is configured, in bytes.
pub const DEFAULT_LIMIT: usize = 32_000;

/// The same with `use_default_attributes`. More than [`MAX_BODY`] is not kept.
pub const DEFAULT_LIMIT_FULL: usize = 10 * 1024 * 1024;

/// The same with `use_default_response_attributes`.
pub const DEFAULT_LIMIT_LIGHT: usize = 4_000;

/// One entry of `attributes` as it is configured.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Spec {
    /// `key`: the name in the record. Some names are built in and need nothing more.
    pub key: String,
    /// `value_source`
    pub source: Option<Source>,
    /// `value`: literal, header name or GJSON path.
    pub value: Option<String>,
    /// `rule`: `first`, `replace` or `append`, for streams.
    pub rule: Option<Rule>,
    /// `default_value`: instead of a missing or empty value.
    pub default_value: Option<String>,
    /// `apply_to_log`
    pub apply_to_log: bool,
    /// `apply_to_span`
    pub apply_to_span: bool,
    /// `trace_span_key`: the name in the span, if not the key.
    pub trace_span_key: Option<String>,
    /// `as_separate_log_field`: a property of its own instead of a member of the record.
    pub as_separate_log_field: bool,
}

/// How the pieces of a stream become one value. All skip what is missing, null or the empty string.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Rule {
    /// The first.
    First,
    /// The last.
    Replace,
    /// All, one after the other: strings without their quotes, anything else as JSON text.
    Append,
}

/// Where a value comes from. The discriminants are bits of a set.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
#[repr(u8)]
pub enum Source {
    /// The configuration itself.
    Fixed = 1,
    /// A request header.
    RequestHeader = 1 << 1,
    /// The body of the request.
    RequestBody = 1 << 2,
    /// A response header.
    ResponseHeader = 1 << 3,
    /// The messages of a stream.
    Events = 1 << 4,
    /// The body of a response that is no stream.
    Document = 1 << 5,
    /// The usage of the response, which others extract.
    Usage = 1 << 6,
}

impl Source {
    const fn bit(self) -> u8 {
        self as u8
    }
}

/// How a value is found at its source.
#[derive(Clone, Debug, PartialEq, Eq)]
enum Value {
    /// Only the built-in way, if there is one.
    None,
    /// A literal, or a header name in lower case.
    Text(String),
    Path(Path),
}

/// One attribute, compiled.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Attribute {
    key: String,
    /// Sources, as bits.
    sources: u8,
    value: Value,
    builtin: Option<Builtin>,
    rule: Option<Rule>,
    default: Option<String>,
    to_log: bool,
    span_key: Option<String>,
    separate: bool,
}

impl Attribute {
    /// Compiles one entry.
    ///
    /// # Errors
    ///
    /// What is wrong with it, for the operator. ai-statistics refuses only an unknown rule; what else is refused here it
    /// accepts and never finds.
    pub fn compile(spec: Spec) -> Result<Self, &'static str> {
        if spec.key.is_empty() {
            return Err("key is missing");
        }
        let builtin = Builtin::of(&spec.key);
        let (rule, source) = (spec.rule, spec.source);
        let response = Source::Events.bit() | Source::Document.bit();
        let mut sources = match (source, builtin) {
            (Some(source), _) => source.bit(),
            (None, Some(builtin)) if builtin.is_of_request() => Source::RequestBody.bit(),
            (None, Some(_)) => response,
            (None, None) => return Err("value_source is missing, and the key is not a built-in one"),
        };
        // The figures are extracted anyway; only a configured path needs the body.
        if builtin.is_some_and(Builtin::is_of_usage) && sources & response != 0 {
            sources = source.map_or(0, Source::bit) | Source::Usage.bit();
        }
        let value = match (spec.value.filter(|value| !value.is_empty()), source) {
            (None, _) => Value::None,
            (Some(text), Some(Source::Fixed)) => Value::Text(text),
            (Some(name), Some(Source::RequestHeader | Source::ResponseHeader)) => {
                Value::Text(name.to_ascii_lowercase())
            }
            (Some(path), _) => Value::Path(Path::compile(&path)?),
        };
        let span_key = spec.trace_span_key.filter(|key| !key.is_empty());
        Ok(Self {
            span_key: spec.apply_to_span.then(|| span_key.unwrap_or_else(|| spec.key.clone())),
            key: spec.key,
            sources,
            value,
            builtin,
            rule,
            default: spec.default_value.filter(|default| !default.is_empty()),
            to_log: spec.apply_to_log,
            separate: spec.as_separate_log_field,
        })
    }

    /// What an operator should know of an entry that is accepted.
    #[must_use]
    pub fn warning(&self) -> Option<&'static str> {
        let has_builtin = self.builtin.is_some_and(|builtin| self.has_builtin_for(builtin));
        if self.value == Value::None && !has_builtin {
            return Some("there is no value to look for; only default_value can be recorded");
        }
        let needs_rule = match self.builtin {
            Some(Builtin::Answer) => true,
            Some(_) => self.value != Value::None,
            None => true,
        };
        let streams = self.has(Source::Events);
        (streams && needs_rule && self.rule.is_none()).then_some("without a rule nothing is taken from a stream")
    }

    /// Whether the built-in way works at the sources of this attribute.
    const fn has_builtin_for(&self, builtin: Builtin) -> bool {
        if builtin.is_of_usage() {
            self.has(Source::Usage)
        } else if builtin.is_of_request() {
            self.has(Source::RequestBody)
        } else {
            self.has(Source::Events) || self.has(Source::Document)
        }
    }

    const fn has(&self, source: Source) -> bool {
        self.sources & source.bit() != 0
    }

    /// Whether something can be found there.
    fn looks_at(&self, source: Source) -> bool {
        let builtin = self.builtin.is_some_and(|builtin| !builtin.is_of_usage() && self.has_builtin_for(builtin));
        self.has(source) && (builtin || matches!(self.value, Value::Path(_)))
    }
}

/// The attributes of one configuration.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Attributes {
    list: Box<[Attribute]>,
    /// In bytes.
    limit: usize,
    /// What is looked into of a request body, and of a response that is no stream.
    of_request: Wanted,
    of_document: Wanted,
}

impl Attributes {
    /// Takes the attributes with `value_length_limit`, in bytes.
    #[must_use]
    pub fn new(list: Vec<Attribute>, limit: Option<usize>) -> Self {
        Self {
            of_request: Self::wanted(&list, Source::RequestBody),
            of_document: Self::wanted(&list, Source::Document),
            list: list.into(),
            limit: limit.unwrap_or(DEFAULT_LIMIT).min(MAX_BODY),
        }
    }

    /// `use_default_attributes`: the conversation, what came of it, and the token figures.
    #[must_use]
    pub fn defaults_full(limit: Option<usize>) -> Self {
        Self::new(compile_all(&FULL), limit.or(Some(DEFAULT_LIMIT_FULL)))
    }

    /// `use_default_response_attributes`: the token figures only. No body is kept.
    #[must_use]
    pub fn defaults_light(limit: Option<usize>) -> Self {
        let (_, light) = FULL.split_at_checked(FULL.len().saturating_sub(LIGHT)).unwrap_or_default();
        Self::new(compile_all(light), limit.or(Some(DEFAULT_LIMIT_LIGHT)))
    }

    /// Whether there are none: then there is nothing to capture.
    #[must_use]
    pub const fn is_empty(&self) -> bool {
        self.list.is_empty()
    }

    fn look_at(&self, source: Source) -> bool {
        self.list.iter().any(|attribute| attribute.looks_at(source))
    }

    /// Which members of a body at this source anything can be found in.
    fn wanted(list: &[Attribute], source: Source) -> Wanted {
        let mut keys: Vec<Box<str>> = Vec::new();
        for attribute in list.iter().filter(|attribute| attribute.looks_at(source)) {
            if let (Value::Path(path), true) = (&attribute.value, attribute.has(source)) {
                let Some(key) = path.member() else { return Wanted::All };
                keys.push(key.into());
            }
            keys.extend(attribute.builtin.iter().flat_map(|builtin| builtin.members()).map(|key| Box::from(*key)));
        }
        keys.sort_unstable();
        keys.dedup();
        Wanted::Members(keys.into())
    }
}

/// The attributes of `use_default_attributes`.
const FULL: [&str; 10] = [
    "messages",
    "question",
    "system",
    "answer",
    "reasoning",
    "tool_calls",
    "reasoning_tokens",
    "cached_tokens",
    "input_token_details",
    "output_token_details",
];

/// How many of them, at the end, are those of `use_default_response_attributes`.
const LIGHT: usize = 4;

/// Compiles attributes of the default sets.
fn compile_all(keys: &[&str]) -> Vec<Attribute> {
    let mut list = Vec::with_capacity(keys.len());
    for key in keys {
        let mut spec = Spec { key: (*key).to_owned(), apply_to_log: true, ..Spec::default() };
        match *key {
            "messages" => {
                spec.source = Some(Source::RequestBody);
                spec.value = Some("messages".to_owned());
            }
            "answer" | "reasoning" => spec.rule = Some(Rule::Append),
            _ => {}
        }
        list.extend(Attribute::compile(spec));
    }
    list
}
