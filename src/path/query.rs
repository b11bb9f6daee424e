//! Merging the operator's query with the client's.

use super::segment::decode;
use std::borrow::Cow;

/// The operator's query parameters, in order. They come from `baseUrl`, an endpoint or a credential.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Query(Vec<Parameter>);

#[derive(Clone, Debug, PartialEq, Eq)]
struct Parameter {
    /// Decoded, so that `api%2Dversion` cannot stand beside `api-version`.
    key: Vec<u8>,
    /// `key=value` as written.
    raw: String,
}

impl Query {
    /// Takes the text between `?` and the end; empty parameters are dropped.
    #[must_use]
    pub fn parse(text: &str) -> Self {
        Self(parameters(text).map(|raw| Parameter { key: key(raw).into_owned(), raw: raw.to_owned() }).collect())
    }

    /// Whether there is no parameter.
    #[must_use]
    pub fn is_empty(&self) -> bool {
        self.0.is_empty()
    }

    /// Adds the parameters of `other` whose keys are not there yet.
    pub fn extend(&mut self, other: &Self) {
        let new: Vec<_> = other.0.iter().filter(|p| !self.has(&p.key)).cloned().collect();
        self.0.extend(new);
    }

    /// Whether a parameter of that decoded name is there.
    #[must_use]
    pub fn has(&self, key: &[u8]) -> bool {
        self.0.iter().any(|parameter| parameter.key == key)
    }

    /// Appends `?…` to `out`: the client's parameters in their order, those of the operator in the place of a client's
    /// of the same name, the rest of them at the end. Client parameters named in `dropped` are left out.
    pub fn append(&self, out: &mut String, client: Option<&str>, dropped: &[String]) {
        let mut separator = '?';
        let mut push = |out: &mut String, raw: &str| {
            out.push(separator);
            out.push_str(raw);
            separator = '&';
        };
        if self.is_empty() && dropped.is_empty() {
            // Nothing to merge: the client's bytes stay, a lone `?` included.
            if let Some(client) = client {
                push(out, client);
            }
            return;
        }
        let mut placed = vec![false; self.0.len()];
        for raw in client.into_iter().flat_map(parameters) {
            let name = key(raw);
            if self.has(&name) {
                for (own, placed) in self.0.iter().zip(&mut placed) {
                    if own.key == *name && !*placed {
                        push(out, &own.raw);
                        *placed = true;
                    }
                }
            } else if !dropped.iter().any(|secret| secret.as_bytes() == &*name) {
                push(out, raw);
            }
        }
        for (own, _) in self.0.iter().zip(&placed).filter(|(_, placed)| !**placed) {
            push(out, &own.raw);
        }
    }
}

/// The value of the first parameter called `name` (decoded names are compared), as sent.
#[must_use]
pub fn value<'q>(query: &'q str, name: &str) -> Option<&'q str> {
    parameters(query)
        .find(|raw| &*key(raw) == name.as_bytes())
        .map(|raw| raw.split_once('=').map_or("", |(_, value)| value))
}

/// A path with its query in which the values of parameters that commonly hold secrets are `***`.
#[must_use]
pub fn redacted(target: &str) -> Cow<'_, str> {
    let Some((path, query)) = target.split_once('?') else { return Cow::Borrowed(target) };
    let secret = |raw: &str| {
        let name = String::from_utf8_lossy(&key(raw)).to_ascii_lowercase();
        ["key", "token", "secret", "password", "sig", "signature"].iter().any(|word| {
            name.strip_suffix(word).is_some_and(|before| before.is_empty() || before.ends_with(['-', '_', '.']))
        }) || matches!(name.as_str(), "apikey" | "accesskey")
    };
    if !query.split('&').any(secret) {
        return Cow::Borrowed(target);
    }
    let shown: Vec<Cow<'_, str>> = query
        .split('&')
        .map(|raw| match raw.split_once('=') {
            Some((name, _)) if secret(raw) => Cow::Owned(format!("{name}=***")),
            _ => Cow::Borrowed(raw),
        })
        .collect();
    Cow::Owned(format!("{path}?{}", shown.join("&")))
}

fn parameters(text: &str) -> impl Iterator<Item = &str> {
    text.split('&').filter(|raw| !raw.is_empty())
}

fn key(raw: &str) -> Cow<'_, [u8]> {
    let key = raw.split_once('=').map_or(raw, |(key, _)| key);
    decode(key).unwrap_or(Cow::Borrowed(key.as_bytes()))
}

#[cfg(test)]
mod tests {
    use super::*;
    #[cfg(target_family = "wasm")]
    use wasm_bindgen_test::wasm_bindgen_test as test;

    fn merged(operator: &str, client: Option<&str>, dropped: &[&str]) -> String {
        let mut out = String::new();
        let dropped: Vec<String> = dropped.iter().map(|name| (*name).to_owned()).collect();
        Query::parse(operator).append(&mut out, client, &dropped);
        out
    }

    #[test]
    fn the_operator_wins_in_the_place_of_the_client() {
        assert_eq!(merged("api-version=1", Some("api-version=2&b=3"), &[]), "?api-version=1&b=3");
        assert_eq!(merged("api-version=1", Some("q=1"), &[]), "?q=1&api-version=1");
        assert_eq!(merged("a=1&a=2", Some("x&a=9&a=8&y="), &[]), "?x&a=1&a=2&y=");
        assert_eq!(merged("api-version=1", Some("api%2Dversion=2"), &[]), "?api-version=1");
        assert_eq!(merged("a=1", None, &[]), "?a=1");
    }

    #[test]
    fn what_needs_no_change_does_not_change() {
        assert_eq!(merged("", Some("a=%2f&&b=+%zz&"), &[]), "?a=%2f&&b=+%zz&");
        assert_eq!(merged("", Some(""), &[]), "?");
        assert_eq!(merged("", None, &[]), "");
    }

    #[test]
    fn what_looks_like_a_secret_is_not_shown() {
        for (target, shown) in [
            ("/v1/x?a=1&api-version=2", "/v1/x?a=1&api-version=2"),
            (
                "/v1/x?api-key=s&b=2&Access_Token=s&sig=s&monkey=banana",
                "/v1/x?api-key=***&b=2&Access_Token=***&sig=***&monkey=banana",
            ),
            ("/v1/x?k%65y=s", "/v1/x?k%65y=***"),
        ] {
            assert_eq!(redacted(target), shown);
        }
    }

    #[test]
    fn a_client_credential_in_the_query_is_dropped() {
        assert_eq!(merged("", Some("key=secret&alt=sse&k%65y=secret"), &["key"]), "?alt=sse");
        assert_eq!(value("a=1&k%65y=x%20y", "key"), Some("x%20y"));
    }
}
