//! What a response body is by how it starts, whatever its type says.

/// What a body turns out to be.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Opening {
    /// A stream of server-sent events.
    Events,
    /// A JSON object.
    Object,
    /// A JSON array.
    Array,
    /// Neither.
    Other,
}

/// The fields of server-sent events, with their colons. An empty name is that of a comment.
const FIELDS: [&[u8]; 5] = [b":", b"data:", b"event:", b"id:", b"retry:"];

/// UTF-8's byte order mark.
const BOM: &[u8] = b"\xef\xbb\xbf";

/// How many bytes are looked at. White space in front of a document may go on.
const MAX_LOOKED_AT: usize = 64;

/// What a body is that starts with these bytes; `None` while more of them are needed. `end` says that there are no more.
pub(super) fn opening(start: &[u8], end: bool) -> Option<Opening> {
    let unsure = || if end || start.len() > MAX_LOOKED_AT { Some(Opening::Other) } else { None };
    if start.len() < BOM.len() && BOM.starts_with(start) {
        return unsure();
    }
    let text = start.strip_prefix(BOM).unwrap_or(start).trim_ascii_start();
    match text.first() {
        None => unsure(),
        Some(b'{') => Some(Opening::Object),
        Some(b'[') => Some(Opening::Array),
        Some(_) if FIELDS.iter().any(|field| text.starts_with(field)) => Some(Opening::Events),
        Some(_) if FIELDS.iter().any(|field| field.starts_with(text)) => unsure(),
        Some(_) => Some(Opening::Other),
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    #[cfg(target_family = "wasm")]
    use wasm_bindgen_test::wasm_bindgen_test as test;

    #[test]
    fn a_body_shows_itself_by_how_it_starts() {
        use Opening::{Array, Events, Object, Other};
        for (start, expected) in [
            ("data: x", Some(Events)),
            ("data:{}", Some(Events)),
            (": ping", Some(Events)),
            ("event: x", Some(Events)),
            ("id:1", Some(Events)),
            ("retry: 1", Some(Events)),
            ("\u{feff}data: x", Some(Events)),
            ("\n\ndata: x", Some(Events)),
            ("{", Some(Object)),
            (" \r\n[", Some(Array)),
            ("\u{feff}{", Some(Object)),
            ("<html>", Some(Other)),
            ("database", Some(Other)),
            ("1", Some(Other)),
            ("", None),
            ("d", None),
            ("data", None),
            ("  ", None),
            ("\u{feff}", None),
        ] {
            assert_eq!(opening(start.as_bytes(), false), expected, "{start:?}");
            assert_eq!(opening(start.as_bytes(), true), expected.or(Some(Other)), "{start:?}");
        }
        assert_eq!(opening(&[b' '; MAX_LOOKED_AT + 1], false), Some(Other));
    }
}
