//! The boundary in a content-type.

use memchr::memmem;

use super::error::Error;
use super::params::{self, Malformed};

/// How long a boundary may be (RFC 2046, 5.1.1), in bytes.
pub const MAX_BOUNDARY: usize = 70;

/// A character of a boundary (RFC 2046, 5.1.1), but for the space, at which some parsers cut.
const fn is_boundary(byte: u8) -> bool {
    matches!(byte, b'\'' | b'(' | b')' | b'+' | b'_' | b',' | b'-' | b'.' | b'/' | b':' | b'=' | b'?')
        || byte.is_ascii_alphanumeric()
}

/// The boundary of `multipart/form-data; boundary=…`, quoted or not.
///
/// # Errors
///
/// Another content-type, none or more than one boundary, one that is too long or has characters that it must not have,
/// or parameters that are malformed or could be taken for a boundary.
pub fn boundary(content_type: &str) -> Result<&str, Error> {
    let (kind, mut params) = params::split(content_type.as_bytes());
    if !kind.eq_ignore_ascii_case(b"multipart/form-data") {
        return Err(Error::NotFormData);
    }
    let mut boundary = None;
    while let Some(param) = params.next().map_err(|Malformed| Error::AmbiguousBoundary)? {
        if param.name.eq_ignore_ascii_case(b"boundary") && boundary.is_none() {
            boundary = Some(param.value);
        } else if [param.name, param.value].iter().any(|text| mentions_boundary(text)) {
            // PHP takes the first `boundary` it finds, wherever that is.
            return Err(Error::AmbiguousBoundary);
        }
    }
    let boundary = boundary.ok_or(Error::NoBoundary)?;
    if boundary.is_empty() {
        return Err(Error::NoBoundary);
    }
    if boundary.len() > MAX_BOUNDARY {
        return Err(Error::BoundaryTooLong);
    }
    if !boundary.iter().all(|&byte| is_boundary(byte)) {
        return Err(Error::AmbiguousBoundary);
    }
    core::str::from_utf8(boundary).map_err(|_| Error::AmbiguousBoundary)
}

fn mentions_boundary(text: &[u8]) -> bool {
    memmem::find(&text.to_ascii_lowercase(), b"boundary").is_some()
}

#[cfg(test)]
mod tests {
    use super::*;
    #[cfg(target_family = "wasm")]
    use wasm_bindgen_test::wasm_bindgen_test as test;

    #[test]
    fn takes_the_boundary() {
        for (content_type, expected) in [
            ("multipart/form-data; boundary=abc", "abc"),
            ("multipart/form-data;boundary=abc", "abc"),
            ("Multipart/Form-Data ; BOUNDARY=\"abc\"", "abc"),
            ("multipart/form-data; charset=utf-8; boundary=abc; x=\"y;\\\" z\"", "abc"),
            ("multipart/form-data;\tboundary=\"abc\" ;; ", "abc"),
            (
                "multipart/form-data; boundary=----WebKitFormBoundary7MA4YWxkTrZu0gW",
                "----WebKitFormBoundary7MA4YWxkTrZu0gW",
            ),
            ("multipart/form-data; boundary=\"gc0pJq0M:08jU534c0p\"", "gc0pJq0M:08jU534c0p"),
            ("multipart/form-data; boundary=a/b=c?d(e)'f+g_h-i.j:k", "a/b=c?d(e)'f+g_h-i.j:k"),
            ("multipart/form-data; boundary=\"a,b\"", "a,b"),
            ("multipart/form-data; boundary=boundary", "boundary"),
        ] {
            assert_eq!(boundary(content_type), Ok(expected), "{content_type}");
        }
        let longest = "b".repeat(MAX_BOUNDARY);
        assert_eq!(boundary(&format!("multipart/form-data; boundary={longest}")), Ok(longest.as_str()));
        assert_eq!(boundary(&format!("multipart/form-data; boundary={longest}b")), Err(Error::BoundaryTooLong));
    }

    #[test]
    fn refuses_what_is_none() {
        for (content_type, error) in [
            ("", Error::NotFormData),
            ("application/json", Error::NotFormData),
            ("multipart/mixed; boundary=abc", Error::NotFormData),
            ("multipart/form-data boundary=abc", Error::NotFormData),
            ("multipart/form-data, boundary=abc", Error::NotFormData),
            ("multipart/form-data", Error::NoBoundary),
            ("multipart/form-data; charset=utf-8", Error::NoBoundary),
            ("multipart/form-data; boundary=\"\"", Error::NoBoundary),
            ("multipart/form-data; boundary=", Error::AmbiguousBoundary),
            ("multipart/form-data; boundary", Error::AmbiguousBoundary),
            ("multipart/form-data; boundary =abc", Error::AmbiguousBoundary),
            ("multipart/form-data; boundary= abc", Error::AmbiguousBoundary),
            ("multipart/form-data; boundary=abc def", Error::AmbiguousBoundary),
            ("multipart/form-data; boundary=abc,def", Error::AmbiguousBoundary),
            ("multipart/form-data; boundary=\"abc def\"", Error::AmbiguousBoundary),
            ("multipart/form-data; boundary=\"a\\bc\"", Error::AmbiguousBoundary),
            ("multipart/form-data; boundary=\"abc", Error::AmbiguousBoundary),
            ("multipart/form-data; boundary=\"abc\"def", Error::AmbiguousBoundary),
            ("multipart/form-data; boundary=\"a\r\nb\"", Error::AmbiguousBoundary),
            ("multipart/form-data; boundary=é", Error::AmbiguousBoundary),
            ("multipart/form-data; boundary=a; boundary=b", Error::AmbiguousBoundary),
            ("multipart/form-data; boundary=a; Boundary=a", Error::AmbiguousBoundary),
            ("multipart/form-data; boundary=a; boundary*=utf-8''b", Error::AmbiguousBoundary),
            ("multipart/form-data; boundary*=utf-8''b", Error::AmbiguousBoundary),
            ("multipart/form-data; xboundary=a; boundary=b", Error::AmbiguousBoundary),
            ("multipart/form-data; x=\"boundary=a\"; boundary=b", Error::AmbiguousBoundary),
            ("multipart/form-data; boundary=a, multipart/form-data; boundary=b", Error::AmbiguousBoundary),
        ] {
            assert_eq!(boundary(content_type), Err(error), "{content_type}");
        }
    }
}
