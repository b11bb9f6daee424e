//! A token that stands in the query goes upstream in a place that servers like to repeat: a redirect that adds a slash, a
//! link to the next page. What they repeat is taken out of the headers of the response, so that no client sees it.

use super::ResponseEffect;
use super::head::Head;
use crate::path::segment::decode;

/// A token that is shorter is looked for only behind the name of its parameter: three letters stand in any text. In bytes.
const MIN_ALONE: usize = 8;

/// A token that was put into the query of a request.
pub(super) struct QueryToken {
    /// The parameter.
    name: String,
    /// The token itself, not encoded.
    token: Vec<u8>,
}

impl QueryToken {
    /// The token of a path in which it begins at an offset and is the last of the query.
    pub(super) fn of(path: &str, at: usize) -> Option<Self> {
        let (before, token) = path.split_at_checked(at)?;
        let name = before.strip_suffix('=')?.rsplit(['?', '&']).next()?;
        let token = decode(token)?.into_owned();
        (!token.is_empty()).then(|| Self { name: name.to_owned(), token })
    }

    /// Takes the token out of every header of a response that repeats it.
    pub(super) fn remove_from(&self, head: &Head, effect: &mut ResponseEffect) {
        for (name, _) in head.iter().filter(|(_, value)| self.without(value).is_some()) {
            let Ok(name) = core::str::from_utf8(name) else { continue };
            if effect.remove.iter().any(|removed| removed == name) {
                continue;
            }
            effect.remove.push(name.to_owned().into());
            for value in head.values(name) {
                let value = self.without(value).unwrap_or_else(|| value.to_vec());
                effect.add.push((name.to_owned(), value));
            }
        }
    }

    /// A value without the token, and without its parameter where that is plain to see; `None` where it is not in it.
    fn without(&self, value: &[u8]) -> Option<Vec<u8>> {
        let mut out: Vec<u8> = Vec::new();
        let mut rest = value;
        let mut found = false;
        while let Some((byte, tail)) = rest.split_first() {
            match after(rest, &self.token).filter(|_| self.token.len() >= MIN_ALONE || self.is_named(&out)) {
                Some(left) => {
                    found = true;
                    rest = self.close_gap(&mut out, left);
                }
                None => {
                    out.push(*byte);
                    rest = tail;
                }
            }
        }
        found.then_some(out)
    }

    /// Whether a text ends with the name of the parameter and what stands between it and its value.
    fn is_named(&self, before: &[u8]) -> bool {
        let equals = [b"=".as_slice(), b"%3D", b"%3d", b"%253D", b"%253d"];
        let name = equals.into_iter().find_map(|equals| before.strip_suffix(equals));
        name.is_some_and(|name| ends_with(name, &self.name).is_some())
    }

    /// Removes the name of the parameter from the end of a text, with the `?` or `&` that leads nowhere then; gives what
    /// follows.
    fn close_gap<'v>(&self, out: &mut Vec<u8>, following: &'v [u8]) -> &'v [u8] {
        let Some(before) = out.strip_suffix(b"=").and_then(|name| ends_with(name, &self.name)) else {
            return following;
        };
        match (before.split_last(), following.split_first()) {
            // Others follow: they keep the `?`.
            (Some((b'?', _)), Some((b'&', others))) => {
                out.truncate(before.len());
                others
            }
            (Some((b'?' | b'&' | b';', before)), _) => {
                out.truncate(before.len());
                following
            }
            _ => following,
        }
    }
}

/// What of a text stands before a name at its end, in any case.
fn ends_with<'t>(text: &'t [u8], name: &str) -> Option<&'t [u8]> {
    let (before, end) = text.split_at_checked(text.len().checked_sub(name.len())?)?;
    end.eq_ignore_ascii_case(name.as_bytes()).then_some(before)
}

/// What follows a token at the beginning of a text, however often each byte of it is percent-encoded there.
fn after<'t>(mut text: &'t [u8], token: &[u8]) -> Option<&'t [u8]> {
    for byte in token {
        let plain = text.strip_prefix(&[*byte]);
        text = match *byte {
            // How often an escape's own sign is escaped cannot be told; once is usual.
            b'%' => text.strip_prefix(b"%25").or(plain)?,
            byte => plain.or_else(|| encoded(text).filter(|(decoded, _)| *decoded == byte).map(|(_, rest)| rest))?,
        };
    }
    Some(text)
}

/// The byte that an escape at the beginning of a text stands for, and what follows it. The escape's own `%` may be escaped
/// in turn, as `%25`.
fn encoded(text: &[u8]) -> Option<(u8, &[u8])> {
    let mut rest = text.strip_prefix(b"%")?;
    while let Some(deeper) = rest.strip_prefix(b"25").filter(|deeper| hex_pair(deeper).is_some()) {
        rest = deeper;
    }
    let (byte, rest) = hex_pair(rest)?;
    Some((byte, rest))
}

fn hex_pair(text: &[u8]) -> Option<(u8, &[u8])> {
    let ([high, low], rest) = text.split_first_chunk()?;
    let digit = |byte: &u8| char::from(*byte).to_digit(16).and_then(|digit| u8::try_from(digit).ok());
    Some((digit(high)? << 4 | digit(low)?, rest))
}

#[cfg(test)]
mod tests {
    use super::*;
    #[cfg(target_family = "wasm")]
    use wasm_bindgen_test::wasm_bindgen_test as test;

    fn without(token: &str, value: &str) -> String {
        let path = format!("/v1/x?a=1&key={}", crate::path::segment::encoded(token));
        let at = path.rfind('=').unwrap() + 1;
        let token = QueryToken::of(&path, at).unwrap();
        String::from_utf8(token.without(value.as_bytes()).unwrap_or_else(|| value.into())).unwrap()
    }

    /// audit M5
    #[test]
    fn a_token_is_taken_out_with_its_parameter() {
        for (value, left) in [
            ("/v1/x/?key=opera/tor", "/v1/x/"),
            ("https://h/v1/x/?a=1&key=opera%2Ftor", "https://h/v1/x/?a=1"),
            ("/x?key=opera%2ftor&a=1", "/x?a=1"),
            ("/x?a=1&key=opera%2Ftor&b=2#f", "/x?a=1&b=2#f"),
            ("/x?KEY=opera%2Ftor#f", "/x#f"),
            ("0; url=/x?key=opera%2Ftor", "0; url=/x"),
            ("<https://h/x?key=opera%2Ftor&page=2>; rel=\"next\"", "<https://h/x?page=2>; rel=\"next\""),
            ("/login?next=%2Fx%3Fkey%3Dopera%252Ftor", "/login?next=%2Fx%3Fkey%3D"),
            ("/login?next=%252Fx%253Fkey%253D%256Fpera%25252Ftor&a", "/login?next=%252Fx%253Fkey%253D&a"),
            ("opera/tor, opera/tor", ", "),
            ("/v1/x?key=opera", "/v1/x?key=opera"),
            ("", ""),
        ] {
            assert_eq!(without("opera/tor", value), left, "{value}");
        }
        assert_eq!(without("a%b", "/x?key=a%25b"), "/x");
        assert_eq!(without("a%41b", "/x?key=a%2541b"), "/x");
    }

    #[test]
    fn a_short_token_is_looked_for_behind_its_name_only() {
        assert_eq!(without("abc", "/abc?key=abc&next=abc%3Fkey%3Dabc"), "/abc?next=abc%3Fkey%3D");
    }
}
