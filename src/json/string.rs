//! JSON string literals: reading a whole one, writing one.

use core::fmt;
use core::str::Chars;
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
    if inner.iter().any(|byte| *byte < b' ') {
        return Err(DecodeError::Syntax);
    }
    if memchr::memchr(b'\\', inner).is_some() {
        return unescape(text).map(Cow::Owned).ok_or(DecodeError::Syntax);
    }
    if memchr::memchr(b'"', inner).is_some() {
        return Err(DecodeError::Syntax);
    }
    Ok(Cow::Borrowed(text))
}

/// Un-escapes the inside of a string literal without control characters. `None` for a quote that is not escaped, an
/// unknown escape and a lone surrogate.
pub(super) fn unescape(inner: &str) -> Option<String> {
    let mut out = String::with_capacity(inner.len());
    let mut rest = inner;
    while let Some((plain, escape)) = rest.split_once('\\') {
        if plain.contains('"') {
            return None;
        }
        out.push_str(plain);
        let mut characters = escape.chars();
        out.push(match characters.next()? {
            simple @ ('"' | '\\' | '/') => simple,
            'b' => '\u{8}',
            'f' => '\u{c}',
            'n' => '\n',
            'r' => '\r',
            't' => '\t',
            'u' => unicode(&mut characters)?,
            _ => return None,
        });
        rest = characters.as_str();
    }
    if rest.contains('"') {
        return None;
    }
    out.push_str(rest);
    Some(out)
}

/// The character of `XXXX`, or of a surrogate pair `XXXX\uXXXX`.
fn unicode(characters: &mut Chars<'_>) -> Option<char> {
    let first = unit(characters)?;
    let second = if (0xd800..0xdc00).contains(&first) {
        if characters.next()? != '\\' || characters.next()? != 'u' {
            return None;
        }
        Some(unit(characters)?)
    } else {
        None
    };
    // A second unit that does not complete the pair is an error, not a character of its own.
    char::decode_utf16(core::iter::once(first).chain(second)).next()?.ok()
}

/// Four hexadecimal digits.
fn unit(characters: &mut Chars<'_>) -> Option<u16> {
    let mut unit = 0;
    for _ in 0..4 {
        unit = unit << 4 | u16::try_from(characters.next()?.to_digit(16)?).ok()?;
    }
    Some(unit)
}

/// Writes text as a string literal with its quotes: only what RFC 8259 wants escaped is escaped.
pub fn write_literal(out: &mut String, text: &str) {
    out.push('"');
    // Nearly every text is one, and pushed whole.
    if text.bytes().all(|byte| !matches!(byte, b'"' | b'\\' | 0..=0x1f)) {
        out.push_str(text);
        return out.push('"');
    }
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
