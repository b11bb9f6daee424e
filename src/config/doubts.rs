//! What a configuration may say and can hardly mean: a token that is the name of a variable, a pattern that no name
//! matches. Each function takes one text and says in words what is odd about it; none quotes it, because it may be a
//! secret. Only `waypost check` asks them, see [`super::problem::Problems::doubts`].

/// Ways in which other programs write a reference to a secret that they put in. Waypost sends the text as it stands.
/// Sources: LiteLLM (`os.environ/X`), Docker Compose and shells (`${X}`, `$X`), Windows (`%X%`), Helm and Jinja
/// (`{{ x }}`), vals and 1Password (`ref+x://`, `op://`), vendors' manuals (`<YOUR_API_KEY>`).
fn is_reference(text: &str) -> bool {
    let names =
        |rest: &str| rest.starts_with(|first: char| first.is_ascii_alphabetic() || first == '_' || first == '{');
    let between = |open, close| text.len() > 2 && text.starts_with(open) && text.ends_with(close);
    text.strip_prefix('$').is_some_and(names)
        || text.contains("${")
        || text.contains("{{")
        || text.contains("://")
        || between('<', '>')
        || between('%', '%')
        || ["os.environ", "process.env", "env:", "env.", "ENV["].iter().any(|prefix| text.starts_with(prefix))
}

/// Higress's controller replaces `${secret.NAMESPACE/NAME.KEY}` in a resource before a filter sees it.
fn is_higress_secret(text: &str) -> bool {
    text.strip_prefix("${secret.").and_then(|rest| rest.strip_suffix('}')).is_some_and(|name| !name.contains("${"))
}

/// What is odd about a token. `scheme` is what stands before it in its header.
pub(super) fn token(text: &str, scheme: &str) -> Option<&'static str> {
    let bare = text.strip_prefix(scheme).unwrap_or(text);
    if is_higress_secret(bare) {
        None
    } else if is_reference(bare) {
        Some("looks like a reference to a secret, and is sent as it stands")
    } else if text.trim() != text {
        Some("begins or ends with a blank, which is sent with it")
    } else if text.contains(['"', '\'', '`', '“', '”']) {
        Some("holds a quotation mark, which is sent with it")
    } else if text.contains(',') {
        Some("holds a comma; each token is an item of its own")
    } else if bare.contains(char::is_whitespace) {
        Some("holds a blank, which is sent with it")
    } else {
        None
    }
}

/// What is odd about a key of `modelMapping`. `strip` is `modelStripPrefix`.
pub(super) fn model_key(key: &str, strip: &str) -> Option<&'static str> {
    if key.starts_with('~') {
        None
    } else if !strip.is_empty() && key.starts_with(strip) {
        Some("never matches: `modelStripPrefix` is removed from a name before it is looked up")
    } else if is_expression(key) {
        Some("never matches: it is read as a name, with a star only at its end; a regular expression begins with `~`")
    } else {
        unusual_name(key)
    }
}

/// What is odd about a name of a model or a consumer, or its beginning with a star, where regular expressions have no
/// place.
pub(super) fn plain_pattern(pattern: &str) -> Option<&'static str> {
    if pattern.starts_with('~') || is_expression(pattern) {
        Some("never matches: only a whole name, or its beginning with a star at the end, is looked for")
    } else {
        unusual_name(pattern)
    }
}

/// Whether a name looks like a pattern of a kind that is not known.
fn is_expression(pattern: &str) -> bool {
    let name = pattern.strip_suffix('*').unwrap_or(pattern);
    name.contains(['*', '?', '\\']) || name.starts_with('^') || name.ends_with('$')
}

fn unusual_name(name: &str) -> Option<&'static str> {
    if name.trim() != name {
        Some("never matches: it begins or ends with a blank")
    } else if name.contains(['"', '`', ',']) {
        Some("never matches: it holds a quotation mark or a comma; each name is an item of its own")
    } else {
        None
    }
}

/// What is odd about the target of a key of `modelMapping`.
pub(super) fn model_target(key: &str, target: &str) -> Option<&'static str> {
    if target.contains('*') {
        Some("its star is sent as it stands; only a `~regex` carries a part of the name over, with `$1`")
    } else if target.trim() != target {
        Some("its target begins or ends with a blank, which is sent with it")
    } else if !key.starts_with('~') && target.contains('$') {
        Some("its `$` is sent as it stands; only a `~regex` has groups to put in")
    } else {
        None
    }
}

/// What keeps a header of this name from ever being there, if so.
///
/// Source: <https://www.rfc-editor.org/rfc/rfc9110#name-tokens>.
pub(super) fn header_name(name: &str) -> Option<&'static str> {
    let in_token = |byte: u8| byte.is_ascii_alphanumeric() || b"!#$%&'*+-.^_`|~".contains(&byte);
    let name = name.strip_prefix(':').unwrap_or(name);
    (!name.bytes().all(in_token)).then_some("never matches: no header can have this name")
}

/// Headers that clients send of their own accord, so that they name whom they like.
const CLIENTS_OWN: &[&str] = &[
    ":authority",
    ":path",
    "host",
    "authorization",
    "proxy-authorization",
    "x-api-key",
    "api-key",
    "x-goog-api-key",
    "cookie",
    "user-agent",
    "referer",
    "origin",
    "from",
    "x-forwarded-for",
    "forwarded",
    "openai-organization",
    "openai-project",
];

/// What is odd about the header that names the consumer.
pub(super) fn consumer_header(name: &str) -> Option<&'static str> {
    if CLIENTS_OWN.iter().any(|own| own.eq_ignore_ascii_case(name)) {
        return Some(
            "clients set this header themselves; name one that a filter before Waypost sets, as `x-mse-consumer`",
        );
    }
    header_name(name)
}

#[cfg(test)]
mod tests {
    use super::*;
    #[cfg(target_family = "wasm")]
    use wasm_bindgen_test::wasm_bindgen_test as test;

    #[test]
    fn tokens_that_can_only_be_refused_are_told_from_tokens() {
        for fine in [
            "sk-proj-a_B-9",
            "Bearer sk-abc",
            "appid:secret",
            "abc.def.ghi=",
            "YOUR_QWEN_API_TOKEN",
            "a$b",
            "${secret.higress-system/ai-keys.openai}",
            "${secret.ai-keys.openai}",
            "Bearer ${secret.ns/name.key}",
        ] {
            assert_eq!(token(fine, "Bearer "), None, "{fine}");
        }
        // reports F15 and B5, crewAI#5999, operator 5.
        for odd in [
            " sk-abc ",
            "sk-abc ",
            "'sk-a'",
            "\"sk-a\"",
            "sk-a,sk-b",
            "sk a",
            "Bearer  sk-a b",
            "Basic dXNlcg==",
            "${OPENAI_API_KEY}",
            "sk-${SUFFIX}",
            "$OPENAI_API_KEY",
            "os.environ/OPENAI_API_KEY",
            "process.env.OPENAI_API_KEY",
            "env:OPENAI_API_KEY",
            "{{ .Values.token }}",
            "<YOUR_API_KEY>",
            "%OPENAI_API_KEY%",
            "op://vault/openai/key",
            "Bearer $KEY",
            "${secret.a.b}${X}",
        ] {
            assert!(token(odd, "Bearer ").is_some(), "{odd}");
        }
        assert!(token("Bearer sk-a", "").is_some());
    }

    #[test]
    fn keys_of_models_that_nobody_asks_for_are_told_from_names() {
        for fine in
            ["gpt-4o", "gpt-*", "*", "~gpt-4.*o", "claude-opus-4[1m]", "vendor/model:free", "gpt-4.1", "a (high)"]
        {
            assert_eq!(model_key(fine, ""), None, "{fine}");
        }
        // reports B6 and others of the kind.
        for dead in ["gpt-4*o", "*-mini", "gpt-?", "^gpt", "gpt$", "gpt-.*-mini", " gpt-4", "gpt-4 ", "a,b", "gpt\\d"] {
            assert!(model_key(dead, "").is_some(), "{dead}");
        }
        assert!(model_key("qwen/max", "qwen/").is_some() && model_key("max", "qwen/").is_none());
        assert!(plain_pattern("~gpt").is_some() && plain_pattern("gpt-4*").is_none());
    }

    #[test]
    fn targets_with_stars_and_groups_are_sent_as_they_stand() {
        for (key, target, odd) in [
            ("gpt-*", "qwen-max", false),
            ("gpt-*", "", false),
            ("~gpt-(.*)", "qwen-$1", false),
            ("gpt-*", "qwen-*", true),
            ("gpt-*", "qwen-$1", true),
            ("gpt-4", "qwen ", true),
        ] {
            assert_eq!(model_target(key, target).is_some(), odd, "{key} {target}");
        }
    }

    #[test]
    fn names_of_headers_can_be_sent() {
        for (name, odd) in
            [("x-team", false), ("X_Team", false), (":path", false), ("x team", true), ("x-team:", true), ("é", true)]
        {
            assert_eq!(header_name(name).is_some(), odd, "{name}");
        }
        assert!(consumer_header("User-Agent").is_some() && consumer_header("x-mse-consumer").is_none());
    }
}
