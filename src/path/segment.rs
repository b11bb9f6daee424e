//! Percent-encoding and the safety of single path segments.
//!
//! A value that becomes part of an upstream path must stay one segment of it: it may not climb (`..`), split (`/`, `\`)
//! or end the path (`?`, `#`), in plain or percent-encoded form.

use super::spelling;
use std::borrow::Cow;

/// Why a value cannot be a path segment, or a path cannot be forwarded.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Unsafe {
    /// The value is empty.
    Empty,
    /// A `.` or `..` segment, also when percent-encoded.
    DotSegment,
    /// A control character or a space.
    Control,
    /// `%` without two hexadecimal digits.
    Escape,
}

impl Unsafe {
    /// The reason in words.
    #[must_use]
    pub const fn reason(self) -> &'static str {
        match self {
            Self::Empty => "is empty",
            Self::DotSegment => "holds a `.` or `..` segment",
            Self::Control => "holds a control character or a space",
            Self::Escape => "holds a `%` that is no escape",
        }
    }
}

/// Decodes `%XX`; `None` where a `%` is not followed by two hexadecimal digits.
#[must_use]
pub fn decode(text: &str) -> Option<Cow<'_, [u8]>> {
    if !text.contains('%') {
        return Some(Cow::Borrowed(text.as_bytes()));
    }
    let mut out = Vec::with_capacity(text.len());
    let mut bytes = text.bytes();
    while let Some(byte) = bytes.next() {
        if byte == b'%' {
            let high = hex(bytes.next()?)?;
            let low = hex(bytes.next()?)?;
            out.push(high << 4 | low);
        } else {
            out.push(byte);
        }
    }
    Some(Cow::Owned(out))
}

const fn hex(digit: u8) -> Option<u8> {
    match digit {
        b'0'..=b'9' => Some(digit.wrapping_sub(b'0')),
        b'a'..=b'f' => Some(digit.wrapping_sub(b'a').wrapping_add(10)),
        b'A'..=b'F' => Some(digit.wrapping_sub(b'A').wrapping_add(10)),
        _ => None,
    }
}

/// Appends `value` as one path segment: everything but the unreserved characters of RFC 3986 is percent-encoded, so
/// that Bedrock's ARNs and `vendor/model` names stay one segment.
///
/// # Errors
/// An empty value, a dot segment and control characters are refused: no encoding makes them safe everywhere.
pub fn push_encoded(out: &mut String, value: &str) -> Result<(), Unsafe> {
    check_decoded(value.as_bytes())?;
    out.push_str(&encoded(value));
    Ok(())
}

/// `value` with everything but the unreserved characters of RFC 3986 percent-encoded.
#[must_use]
pub fn encoded(value: &str) -> String {
    let mut out = String::with_capacity(value.len());
    for byte in value.bytes() {
        if byte.is_ascii_alphanumeric() || matches!(byte, b'-' | b'.' | b'_' | b'~') {
            out.push(char::from(byte));
        } else {
            out.push('%');
            for nibble in [byte >> 4, byte & 0xf] {
                out.push(char::from_digit(u32::from(nibble), 16).unwrap_or('0').to_ascii_uppercase());
            }
        }
    }
    out
}

/// Appends a segment the client sent, unchanged, after checking that it is safe.
///
/// # Errors
/// See [`Unsafe`].
pub fn push_as_sent(out: &mut String, segment: &str) -> Result<(), Unsafe> {
    check_decoded(&decode(segment).ok_or(Unsafe::Escape)?)?;
    if spelling::has_dot_segment(segment) {
        return Err(Unsafe::DotSegment);
    }
    out.push_str(segment);
    Ok(())
}

fn check_decoded(value: &[u8]) -> Result<(), Unsafe> {
    match value {
        [] => Err(Unsafe::Empty),
        b"." | b".." => Err(Unsafe::DotSegment),
        _ if value.iter().any(u8::is_ascii_control) => Err(Unsafe::Control),
        _ if value.split(|byte| matches!(byte, b'/' | b'\\')).any(is_dots) => Err(Unsafe::DotSegment),
        _ => Ok(()),
    }
}

fn is_dots(segment: &[u8]) -> bool {
    matches!(segment, b"." | b"..")
}

/// Checks a path that is forwarded as a whole: it must not climb out of the base path that is put in front of it.
///
/// A `%` that is no escape stays as it is: it is the upstream's to judge.
///
/// # Errors
/// What any server reads as a dot segment (percent-encoded, behind `\`, with `;parameters`, …), control characters and
/// spaces.
pub fn check_path(path: &str) -> Result<(), Unsafe> {
    if path.bytes().any(|byte| byte.is_ascii_control() || byte == b' ') {
        return Err(Unsafe::Control);
    }
    if spelling::has_dot_segment(path) { Err(Unsafe::DotSegment) } else { Ok(()) }
}

#[cfg(test)]
mod tests {
    use super::*;
    #[cfg(target_family = "wasm")]
    use wasm_bindgen_test::wasm_bindgen_test as test;

    #[test]
    fn encodes_models_into_one_segment() {
        for (model, expected) in [
            ("gpt-4o", Ok("gpt-4o")),
            ("anthropic.claude-v2:1", Ok("anthropic.claude-v2%3A1")),
            (
                "arn:aws:bedrock:us-east-1:1:inference-profile/x",
                Ok("arn%3Aaws%3Abedrock%3Aus-east-1%3A1%3Ainference-profile%2Fx"),
            ),
            ("a/../b", Err(Unsafe::DotSegment)),
            ("a?b#c d%2f", Ok("a%3Fb%23c%20d%252f")),
            ("模", Ok("%E6%A8%A1")),
            ("..", Err(Unsafe::DotSegment)),
            ("", Err(Unsafe::Empty)),
            ("a\nb", Err(Unsafe::Control)),
        ] {
            let mut out = String::new();
            assert_eq!(push_encoded(&mut out, model).map(|()| out.as_str()), expected, "{model}");
        }
    }

    #[test]
    fn refuses_what_climbs_in_any_spelling() {
        for path in ["/a/../b", "/a/%2e%2E/b", "/a/..%2fb", "/a/..\\b", "/a/%2e%2e%5cb", "/./a", "/a b", "/a\tb"] {
            assert!(check_path(path).is_err(), "{path}");
        }
        for path in ["/", "/a/..b/c", "/v1/%zz", "/a/...", "//a", ""] {
            assert_eq!(check_path(path), Ok(()), "{path}");
        }
    }
}
