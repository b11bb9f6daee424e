//! The small settings of ai-statistics beside `attributes`: which requests count, and which session they belong to.

/// Headers that hold a session id, in this order, after the configured one.
pub const SESSION_HEADERS: [&str; 4] =
    ["x-openclaw-session-key", "x-clawdbot-session-key", "x-moltbot-session-key", "x-agent-session"];

/// The session id of a request: the first header that is there and not empty. Bytes that are not UTF-8 are replaced.
///
/// `configured` is `session_id_header`, in lower case as the host names headers.
#[must_use]
pub fn session_id<'h>(configured: Option<&str>, get: &dyn Fn(&str) -> Option<&'h [u8]>) -> Option<String> {
    let names = configured.into_iter().chain(SESSION_HEADERS);
    let value = names.filter_map(get).find(|value| !value.is_empty())?;
    Some(String::from_utf8_lossy(value).into_owned())
}

/// `enable_path_suffixes`: whether a request path ends in one of them. It comes without query and slashes at its end,
/// and spelled as its operation is. An empty list and `*` stand for every path.
#[must_use]
pub fn path_enabled(suffixes: &[String], path: &str) -> bool {
    enabled(suffixes, &|suffix| path.ends_with(suffix.trim_end_matches('/')))
}

/// `enable_content_types`: whether the content type of a response contains one of them. An empty list and `*` stand for
/// every type.
#[must_use]
pub fn content_type_enabled(list: &[String], content_type: &str) -> bool {
    // A few bytes: the search that `contains` brings along is not worth its size.
    let starts = |part: &str| {
        content_type.char_indices().any(|(at, _)| content_type.get(at..).is_some_and(|rest| rest.starts_with(part)))
    };
    enabled(list, &|part| part.is_empty() || starts(part))
}

fn enabled(list: &[String], fits: &dyn Fn(&str) -> bool) -> bool {
    list.is_empty() || list.iter().any(|item| item == "*" || fits(item))
}

#[cfg(test)]
mod tests {
    use super::*;
    #[cfg(target_family = "wasm")]
    use wasm_bindgen_test::wasm_bindgen_test as test;

    #[test]
    fn the_configured_session_header_comes_first_and_empty_ones_do_not_count() {
        let headers = [("x-agent-session", "a"), ("x-moltbot-session-key", "m"), ("x-my", "mine"), ("x-empty", "")];
        let get = |name: &str| headers.iter().find(|(key, _)| *key == name).map(|(_, value)| value.as_bytes());
        assert_eq!(session_id(Some("x-my"), &get).as_deref(), Some("mine"));
        assert_eq!(session_id(Some("x-empty"), &get).as_deref(), Some("m"));
        assert_eq!(session_id(None, &get).as_deref(), Some("m"));
        assert_eq!(session_id(None, &|_| None), None);
        assert_eq!(session_id(None, &|_| Some(b"\xff")).as_deref(), Some("\u{fffd}"));
    }

    #[test]
    fn paths_are_compared_by_their_end() {
        let some = ["/completions", "/messages"].map(str::to_owned);
        for (suffixes, path, enabled) in [
            (&[][..], "/v1/responses", true),
            (&some, "/v1/chat/completions", true),
            (&some, "/v1/messages", true),
            (&some, "/v1/messages/batches", false),
            (&["/completions/".to_owned()], "/v1/chat/completions", true),
            (&["*".to_owned()], "/v1/responses", true),
        ] {
            assert_eq!(path_enabled(suffixes, path), enabled, "{path}");
        }
    }

    #[test]
    fn content_types_are_compared_by_a_part() {
        let list = ["application/json".to_owned()];
        assert!(content_type_enabled(&list, "application/json; charset=utf-8"));
        assert!(!content_type_enabled(&list, "text/event-stream"));
        assert!(content_type_enabled(&["*".to_owned()], "text/plain"));
        assert!(content_type_enabled(&[], ""));
    }
}
