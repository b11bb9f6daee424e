//! How servers read a path that is written in an unusual way.
//!
//! Two servers need not read the same path alike: one decodes `%63`, one decodes twice, one drops `;parameters`, takes a
//! backslash for a slash, or ignores case. What an operation's rules are to hold for must be known however the upstream
//! reads it.

use std::borrow::Cow;

/// How often a path is percent-decoded at most: proxies and servers behind one another each do it once.
const MAX_DECODINGS: usize = 4;

/// Whether every server reads this path as it is written: there is nothing in it that any of them decodes, folds or
/// leaves out.
#[must_use]
pub fn is_plain(path: &str) -> bool {
    let mut before = 0;
    path.bytes().all(|byte| {
        let odd = match byte {
            b'%' | b'\\' | b';' | b'#' | b'A'..=b'Z' | 0..=b' ' | 0x7f.. => true,
            b'/' => before == b'/',
            b'.' => matches!(before, b'/' | 0),
            _ => false,
        };
        before = byte;
        !odd
    })
}

/// The path with doubled slashes made one, and with the escapes of `:` and of the unreserved characters decoded (RFC
/// 3986, sections 2.3 and 3.3). Nobody means another path by it.
#[must_use]
pub fn simplified(path: &str) -> String {
    let mut out = String::with_capacity(path.len());
    let mut rest = path;
    while let Some(byte) = rest.bytes().next() {
        if byte == b'/' {
            out.push('/');
            rest = rest.trim_start_matches('/');
            continue;
        }
        let escaped = unescape(rest.as_bytes()).map(|(byte, _)| char::from(byte));
        if let Some(plain) = escaped.filter(|c| c.is_ascii_alphanumeric() || matches!(c, '-' | '.' | '_' | '~' | ':')) {
            out.push(plain);
            rest = rest.get(3..).unwrap_or_default();
        } else {
            let mut chars = rest.chars();
            out.extend(chars.next());
            rest = chars.as_str();
        }
    }
    out
}

/// What lenient servers may read the path as, in lower case, with no empty segments and with dot segments resolved: one
/// reading ends it at an encoded `?`, `#` or NUL, the other leaves control characters out.
#[must_use]
pub fn lenient(path: &str) -> [String; 2] {
    let text = decoded(path);
    let cut = text.split(['?', '#', '\0']).next().unwrap_or_default();
    [cut, &*text].map(|text| {
        let mut out = String::with_capacity(text.len());
        // Where each segment of `out` starts, with its slash.
        let mut starts = Vec::new();
        for segment in text.split(is_separator).filter(|segment| !segment.is_empty()) {
            let read = bare(segment.split(';').next().unwrap_or_default());
            match &*read {
                "" | "." => {}
                ".." => out.truncate(starts.pop().unwrap_or_default()),
                _ => {
                    starts.push(out.len());
                    out.push('/');
                    out.extend(read.chars().map(|c| c.to_ascii_lowercase()));
                }
            }
        }
        out
    })
}

const fn is_separator(c: char) -> bool {
    matches!(c, '/' | '\\')
}

/// Whether a lenient server finds a `.` or `..` segment in the path.
#[must_use]
pub fn has_dot_segment(path: &str) -> bool {
    if is_plain(path) {
        return false;
    }
    let text = decoded(path);
    text.split(is_separator).filter(|segment| segment.contains('.')).any(|segment| {
        let is_dots = |part: &str| matches!(&*bare(part), "." | "..");
        is_dots(segment.split(';').next().unwrap_or_default())
            || is_dots(segment.split([';', '?', '#', '\0']).next().unwrap_or_default())
    })
}

/// The text without what is not seen: blanks and control characters.
fn bare(text: &str) -> Cow<'_, str> {
    if text.bytes().all(|byte| matches!(byte, b'!'..=b'~')) {
        return Cow::Borrowed(text);
    }
    let unseen = |c: char| c.is_whitespace() || c.is_control() || matches!(c, '\u{200b}'..='\u{200f}' | '\u{feff}');
    Cow::Owned(text.chars().filter(|c| !unseen(*c)).collect())
}

/// The path percent-decoded, as often as any server may do it. A `%` that is no escape stays.
fn decoded(path: &str) -> Cow<'_, str> {
    let mut bytes = Cow::Borrowed(path.as_bytes());
    for _ in 0..MAX_DECODINGS {
        // Most paths have nothing to decode, or nothing any more.
        if memchr::memchr(b'%', &bytes).is_none() {
            break;
        }
        let (decoded, changed) = decode_once(&bytes);
        bytes = Cow::Owned(decoded);
        if !changed {
            break;
        }
    }
    match bytes {
        Cow::Borrowed(_) => Cow::Borrowed(path),
        Cow::Owned(bytes) => Cow::Owned(String::from_utf8_lossy(&bytes).into_owned()),
    }
}

fn decode_once(bytes: &[u8]) -> (Vec<u8>, bool) {
    let mut out = Vec::with_capacity(bytes.len());
    let mut rest = bytes;
    let mut changed = false;
    while let Some((first, after)) = rest.split_first() {
        let (byte, after) = match unescape(rest) {
            Some((byte, after)) => {
                changed = true;
                (byte, after)
            }
            None => (*first, after),
        };
        out.push(byte);
        rest = after;
        fold_overlong(&mut out);
    }
    (out, changed)
}

/// The byte of the `%XX` at the front, and what follows.
fn unescape(bytes: &[u8]) -> Option<(u8, &[u8])> {
    let ([b'%', high, low], rest) = bytes.split_first_chunk()? else { return None };
    let digit = |byte: u8| char::from(byte).to_digit(16).and_then(|digit| u8::try_from(digit).ok());
    Some((digit(*high)? << 4 | digit(*low)?, rest))
}

/// Makes an ASCII character of one that stands at the end in more bytes of UTF-8 than it needs. UTF-8 forbids that, and
/// old decoders do not mind.
fn fold_overlong(bytes: &mut Vec<u8>) {
    const fn bits(byte: u8) -> u8 {
        byte & 0x3f
    }
    let is_continuation = |byte: &u8| byte & 0xc0 == 0x80;
    let (size, byte) = match bytes.as_slice() {
        [.., 0xf0, 0x80, high @ (0x80 | 0x81), low] if is_continuation(low) => (4, bits(*high) << 6 | bits(*low)),
        [.., 0xe0, high @ (0x80 | 0x81), low] if is_continuation(low) => (3, bits(*high) << 6 | bits(*low)),
        [.., first @ (0xc0 | 0xc1), low] if is_continuation(low) => (2, (first & 1) << 6 | bits(*low)),
        _ => return,
    };
    bytes.truncate(bytes.len().saturating_sub(size));
    bytes.push(byte);
}

#[cfg(test)]
mod tests {
    use super::*;
    #[cfg(target_family = "wasm")]
    use wasm_bindgen_test::wasm_bindgen_test as test;

    #[test]
    fn a_plain_path_is_one_that_nobody_reads_otherwise() {
        for path in ["/v1/chat/completions", "/team-a/embeddings", "/v1beta/models/gemini-2.5:embed", "/a.b/c~d_e", "/"]
        {
            assert!(is_plain(path), "{path}");
        }
        for path in ["/%63", "/a;b", "/a\\b", "//a", "/.a", "/A", "/a#b", "/a b", "/\u{e9}"] {
            assert!(!is_plain(path), "{path}");
        }
    }

    #[test]
    fn what_everybody_reads_alike_is_simplified() {
        for (path, expected) in [
            ("/v1/chat//completions", "/v1/chat/completions"),
            ("///v1/%63hat/completion%73", "/v1/chat/completions"),
            ("/v1/models/g%3AgenerateContent", "/v1/models/g:generateContent"),
            ("/a%2fb/%zz/%", "/a%2fb/%zz/%"),
            ("/\u{e9}%e9/", "/\u{e9}%e9/"),
        ] {
            assert_eq!(simplified(path), expected);
        }
    }

    #[test]
    fn lenient_readings_decode_fold_and_leave_out() {
        for path in [
            "/V1/Chat/Completions",
            "/v1/chat%2Fcompletions",
            "/v1/chat%5ccompletions",
            "/v1/chat\\completions",
            "/v1/chat/completions;x=1",
            "/v1;a/chat;b=c/completions;",
            "/v1/./chat/x/../completions",
            "/v1/%2563hat/completions",
            "/v1/chat%c0%afcompletions",
            "/v1/chat%e0%80%afcompletions",
            "/v1/chat/completions%20",
            "/v1/chat/completions%c2%a0",
            "/v1/chat/com%09pletions",
            "/v1/chat/completions%3fx=1",
            "/v1/chat/completions%23x",
            "/v1/chat/completions%00.html",
            "/%zz/../v1/chat%2fcompletions",
        ] {
            assert!(lenient(path).contains(&"/v1/chat/completions".to_owned()), "{path}: {:?}", lenient(path));
        }
    }

    #[test]
    fn dot_segments_are_found_in_any_spelling() {
        for path in [
            "/a/../b",
            "/a/%2e%2E/b",
            "/a/..%2fb",
            "/a/..\\b",
            "/./a",
            "/v1/%zz%2f..%2f..%2fadmin",
            "/v1/..%2f..%2fadmin%zz",
            "/a/..;/b",
            "/a/..;x=1/b",
            "/a/..%00/b",
            "/a/.%00./b",
            "/a/%00../b",
            "/a/%252e%252e/b",
            "/a/%25252e%2e/b",
            "/a/%c0%ae%c0%ae/b",
            "/a/%e0%80%ae./b",
            "/a/..%20/b",
            "/a/..%3fx/b",
        ] {
            assert!(has_dot_segment(path), "{path}");
        }
        for path in ["/", "/a/..b/c", "/v1/%zz", "/a/...", "//a", "", "/a/b.;x", "/%2e%2e%2e", "/100%/.well-known"] {
            assert!(!has_dot_segment(path), "{path}");
        }
    }
}
