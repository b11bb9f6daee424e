//! JSON string literals: reading a whole one, writing one.

use core::fmt;
use std::borrow::Cow;

/// Why raw bytes are not a JSON string.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum DecodeError {
    /// Some other value: the first byte is not a quote.
    NotAString,
    /// Not a complete literal, a control character, an unknown escape or a lone surrogate.
    Syntax,
    /// Not UTF-8.
    InvalidUtf8,
}

impl fmt::Display for DecodeError {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(match self {
            Self::NotAString => "not a string",
            Self::Syntax => "malformed string",
            Self::InvalidUtf8 => "invalid utf-8",
        })
    }
}

impl core::error::Error for DecodeError {}

/// Decodes a raw string literal, its quotes included and without whitespace around it, as [`Members`] receives it.
/// Borrows unless there is an escape.
///
/// # Errors
///
/// Not a string, not a well-formed one, or not UTF-8.
///
/// [`Members`]: super::Members
pub fn decode(raw: &[u8]) -> Result<Cow<'_, str>, DecodeError> {
    let Some((b'"', tail)) = raw.split_first() else { return Err(DecodeError::NotAString) };
    let Some((b'"', inner)) = tail.split_last() else { return Err(DecodeError::Syntax) };
    let text = core::str::from_utf8(inner).map_err(|_| DecodeError::InvalidUtf8)?;
    if memchr::memchr(b'\\', inner).is_some() {
        return serde_json::from_slice::<String>(raw).map(Cow::Owned).map_err(|_| DecodeError::Syntax);
    }
    if inner.iter().any(|byte| *byte < b' ' || *byte == b'"') {
        return Err(DecodeError::Syntax);
    }
    Ok(Cow::Borrowed(text))
}

/// Un-escapes the inside of a string literal that the scanner has found well-formed.
pub(super) fn unescape(inner: &str) -> Option<String> {
    let mut raw = String::with_capacity(inner.len().saturating_add(2));
    raw.push('"');
    raw.push_str(inner);
    raw.push('"');
    serde_json::from_str(&raw).ok()
}

/// Writes text as a string literal with its quotes: only what RFC 8259 wants escaped is escaped.
pub fn write_literal(out: &mut String, text: &str) {
    out.push('"');
    for character in text.chars() {
        match character {
            '"' => out.push_str("\\\""),
            '\\' => out.push_str("\\\\"),
            '\n' => out.push_str("\\n"),
            '\r' => out.push_str("\\r"),
            '\t' => out.push_str("\\t"),
            '\u{8}' => out.push_str("\\b"),
            '\u{c}' => out.push_str("\\f"),
            '\0'..='\u{1f}' => {
                out.push_str("\\u00");
                let code = u32::from(character);
                for digit in [code >> 4, code & 0xf] {
                    out.extend(char::from_digit(digit, 16));
                }
            }
            _ => out.push(character),
        }
    }
    out.push('"');
}

/// Text as a string literal with its quotes.
#[must_use]
pub fn literal(text: &str) -> String {
    let mut out = String::with_capacity(text.len().saturating_add(2));
    write_literal(&mut out, text);
    out
}

#[cfg(test)]
mod tests {
    use super::*;
    #[cfg(target_family = "wasm")]
    use wasm_bindgen_test::wasm_bindgen_test as test;

    #[test]
    fn borrows_unless_there_is_an_escape() {
        assert!(matches!(decode(b"\"gpt-4o\""), Ok(Cow::Borrowed("gpt-4o"))));
        assert!(matches!(decode("\"é🦀\"".as_bytes()), Ok(Cow::Borrowed("é🦀"))));
        assert!(matches!(decode(b"\"\""), Ok(Cow::Borrowed(""))));
        assert!(matches!(decode(br#""a\u002db\n\ud83e\udd80""#), Ok(Cow::Owned(text)) if text == "a-b\n🦀"));
    }

    #[test]
    fn refuses_what_is_not_one_whole_literal() {
        for raw in [&b""[..], b"1", b"null", b"[\"a\"]", b" \"a\"", b"a\""] {
            assert_eq!(decode(raw), Err(DecodeError::NotAString), "{raw:?}");
        }
        for raw in [
            &b"\""[..],
            b"\"a",
            b"\"a\\\"",
            b"\"a\"b\"",
            b"\"a\n\"",
            b"\"\0\"",
            br#""\x""#,
            br#""\u12g4""#,
            br#""\ud800""#,
            br#""\udc00""#,
            br#""\ud800\ud800""#,
            br#""\ud800x""#,
            b"\"a\" ",
            b"\"\\\\\"\\\"",
        ] {
            assert_eq!(decode(raw), Err(DecodeError::Syntax), "{raw:?}");
        }
        assert_eq!(decode(b"\"\xff\""), Err(DecodeError::InvalidUtf8));
        assert_eq!(decode(b"\"\\n\xed\xa0\x80\""), Err(DecodeError::InvalidUtf8));
    }

    #[test]
    fn writes_what_serde_json_writes_and_reads_it_back() {
        let controls: String = (0u8..=0x7f).map(char::from).collect();
        for text in ["", "gpt-4o", "a\"b\\c/d", "é🦀\u{2028}\u{7f}", controls.as_str()] {
            let written = literal(text);
            assert_eq!(written, serde_json::to_string(text).unwrap());
            assert_eq!(decode(written.as_bytes()).unwrap(), text);
        }
    }
}
