//! Merging the operator's query with the client's.

use super::segment::{decode, encoded};
use crate::removal::Removal;
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

/// A parameter of the client that leaves under another name or with another value: the model of a realtime session.
#[derive(Clone, Copy, Debug)]
pub struct Swap<'s> {
    /// The names it may have; decoded names are compared.
    pub from: &'s [&'s str],
    /// The name it leaves with; `None` keeps the one it has.
    pub name: Option<&'s str>,
    /// Its new value, which is percent-encoded. Where it stands there already, it stays as it is spelled.
    pub value: &'s str,
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

    /// Whether a parameter of that decoded name is there. Case makes no difference: there are vendors for whom
    /// `API-VERSION` is `api-version`.
    #[must_use]
    pub fn has(&self, key: &[u8]) -> bool {
        self.0.iter().any(|parameter| parameter.key.eq_ignore_ascii_case(key))
    }

    /// Appends `?…` to `out`: the client's parameters in their order, those of the operator in the place of a client's
    /// of the same name, the rest of them at the end. Client parameters that are to be removed are left out; the one that
    /// `swap` names changes in its place, unless the operator has a parameter of its new name.
    ///
    /// There are servers that take `;` for `&`. So what stands behind a `;` is compared as well, and a part of the client's
    /// query in which something was found is written with `&` alone.
    pub fn append(&self, out: &mut String, client: Option<&str>, removal: &Removal, swap: Option<Swap<'_>>) {
        let mut separator = '?';
        let mut push = |out: &mut String, raw: &str| {
            out.push(separator);
            out.push_str(raw);
            separator = '&';
        };
        let is_removed = |raw: &str| removal.parameter(&key(raw));
        let plain = self.is_empty() && swap.is_none() && !removal.names_parameters();
        if plain && !client.is_some_and(|client| parts(client).any(is_removed)) {
            // Nothing to merge: the client's bytes stay, a lone `?` included.
            if let Some(client) = client {
                push(out, client);
            }
            return;
        }
        let mut placed = vec![false; self.0.len()];
        let swapped = |name: &[u8]| swap.filter(|swap| swap.from.iter().any(|from| from.as_bytes() == name));
        let is_changed = |raw: &str| {
            let name = key(raw);
            removal.parameter(&name) || self.has(&name) || swapped(&name).is_some()
        };
        for group in client.into_iter().flat_map(parameters) {
            if !parts(group).any(is_changed) {
                push(out, group);
                continue;
            }
            for raw in parts(group) {
                let sent = key(raw);
                let swap = swapped(&sent);
                let name =
                    swap.and_then(|swap| swap.name).map_or_else(|| sent.clone(), |name| Cow::Borrowed(name.as_bytes()));
                if self.has(&name) {
                    for (own, placed) in self.0.iter().zip(&mut placed) {
                        if own.key.eq_ignore_ascii_case(&name) && !*placed {
                            push(out, &own.raw);
                            *placed = true;
                        }
                    }
                } else if let Some(swap) =
                    swap.filter(|swap| name != sent || text(value_of(raw)).as_deref() != Some(swap.value))
                {
                    let name = swap.name.unwrap_or_else(|| name_of(raw));
                    push(out, &[name, "=", &encoded(swap.value)].concat());
                } else if !is_removed(raw) {
                    push(out, raw);
                }
            }
        }
        for (own, _) in self.0.iter().zip(&placed).filter(|(_, placed)| !**placed) {
            push(out, &own.raw);
        }
    }
}

/// The value of the first parameter called `name`, in any case (decoded names are compared), as sent.
#[must_use]
pub fn value<'q>(query: &'q str, name: &str) -> Option<&'q str> {
    parameters(query).find(|raw| key(raw).eq_ignore_ascii_case(name.as_bytes())).map(value_of)
}

/// How many parameters have one of these names (decoded names are compared), and the value of the last one that has, as
/// sent.
#[must_use]
pub fn named<'q>(query: &'q str, names: &[&str]) -> (usize, &'q str) {
    let has_name = |raw: &&str| names.iter().any(|name| name.as_bytes() == &*key(raw));
    let values = parameters(query).filter(has_name).map(value_of);
    values.fold((0, ""), |(count, _), value| (count.saturating_add(1), value))
}

/// The text of a value, decoded as forms are: `+` is a space. `None` where it is no UTF-8 or holds a `%` that is no escape.
#[must_use]
pub fn text(value: &str) -> Option<String> {
    let spaced = value.replace('+', " ");
    String::from_utf8(decode(&spaced)?.into_owned()).ok()
}

/// A path with its query in which the values of parameters that commonly hold secrets are `***`.
#[must_use]
pub fn redacted(target: &str) -> Cow<'_, str> {
    let Some((path, query)) = target.split_once('?') else { return Cow::Borrowed(target) };
    let secret = |raw: &str| is_secret(&key(raw));
    if !query.split('&').any(secret) {
        return Cow::Borrowed(target);
    }
    let mut shown = String::with_capacity(target.len());
    shown.push_str(path);
    let mut separator = '?';
    for raw in query.split('&') {
        shown.push(separator);
        separator = '&';
        match raw.split_once('=') {
            Some((name, _)) if secret(raw) => {
                shown.push_str(name);
                shown.push_str("=***");
            }
            _ => shown.push_str(raw),
        }
    }
    Cow::Owned(shown)
}

/// Whether a parameter of this decoded name commonly holds a secret, without regard to case. A query may have as many
/// parameters as a path has bytes, so nothing is copied.
fn is_secret(name: &[u8]) -> bool {
    const WORDS: [&str; 6] = ["key", "token", "secret", "password", "sig", "signature"];
    let ends_with = |word: &str| {
        let Some((before, end)) = name.len().checked_sub(word.len()).and_then(|at| name.split_at_checked(at)) else {
            return false;
        };
        end.eq_ignore_ascii_case(word.as_bytes()) && matches!(before.last(), None | Some(b'-' | b'_' | b'.'))
    };
    WORDS.into_iter().any(ends_with)
        || ["apikey", "accesskey"].iter().any(|known| name.eq_ignore_ascii_case(known.as_bytes()))
}

fn parameters(text: &str) -> impl Iterator<Item = &str> {
    text.split('&').filter(|raw| !raw.is_empty())
}

/// The parameters as a server sees them that takes `;` for `&`.
fn parts(text: &str) -> impl Iterator<Item = &str> {
    text.split(['&', ';']).filter(|raw| !raw.is_empty())
}

fn name_of(raw: &str) -> &str {
    raw.split_once('=').map_or(raw, |(name, _)| name)
}

fn value_of(raw: &str) -> &str {
    raw.split_once('=').map_or("", |(_, value)| value)
}

/// The decoded name.
fn key(raw: &str) -> Cow<'_, [u8]> {
    let key = name_of(raw);
    decode(key).unwrap_or(Cow::Borrowed(key.as_bytes()))
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::removal::Rules;
    #[cfg(target_family = "wasm")]
    use wasm_bindgen_test::wasm_bindgen_test as test;

    fn merged(operator: &str, client: Option<&str>, dropped: &[&str]) -> String {
        let mut out = String::new();
        let parameters = dropped.iter().map(|name| (*name).to_owned()).collect();
        let removal = Removal::new(Rules { parameters, ..Rules::default() });
        Query::parse(operator).append(&mut out, client, &removal, None);
        out
    }

    #[test]
    fn a_swapped_parameter_changes_in_its_place_unless_the_operator_has_it() {
        for (operator, client, name, expected) in [
            ("", "x=1&model=rt&y", Some("deployment"), "?x=1&deployment=a%2Fb%20c&y"),
            ("v=1", "mod%65l=rt", Some("deployment"), "?deployment=a%2Fb%20c&v=1"),
            ("v=1", "mod%65l=rt", None, "?mod%65l=a%2Fb%20c&v=1"),
            ("", "model=a/b+c", Some("model"), "?model=a/b+c"),
            ("", "deployment=a/b+c", Some("model"), "?model=a%2Fb%20c"),
            ("deployment=fixed", "model=rt&x", Some("deployment"), "?deployment=fixed&x"),
            ("model=other", "model=rt", Some("deployment"), "?deployment=a%2Fb%20c&model=other"),
            ("", "intent=transcription", Some("model"), "?intent=transcription"),
        ] {
            let mut out = String::new();
            let swap = Swap { from: &["model", "deployment"], name, value: "a/b c" };
            Query::parse(operator).append(&mut out, Some(client), &Removal::default(), Some(swap));
            assert_eq!(out, expected);
        }
    }

    #[test]
    fn a_value_is_read_as_forms_are() {
        assert_eq!(named("a=1&mod%65l=x&model=y", &["model", "deployment"]), (2, "y"));
        assert_eq!(named("a=1", &["model"]), (0, ""));
        assert_eq!(text("gpt%2D4+o").as_deref(), Some("gpt-4 o"));
        assert_eq!((text("%zz"), text("%ff")), (None, None));
    }

    #[test]
    fn the_operator_wins_in_the_place_of_the_client() {
        assert_eq!(merged("api-version=1", Some("api-version=2&b=3"), &[]), "?api-version=1&b=3");
        assert_eq!(merged("api-version=1", Some("q=1"), &[]), "?q=1&api-version=1");
        assert_eq!(merged("a=1&a=2", Some("x&a=9&a=8&y="), &[]), "?x&a=1&a=2&y=");
        assert_eq!(merged("api-version=1", Some("api%2Dversion=2"), &[]), "?api-version=1");
        assert_eq!(merged("a=1", None, &[]), "?a=1");
    }

    /// audit L2
    #[test]
    fn the_operator_wins_over_every_spelling_of_a_name() {
        for (client, expected) in [
            ("API-VERSION=2&b=3", "?api-version=1&b=3"),
            ("%41pi-Versio%6E=2", "?api-version=1"),
            ("x=1;api-version=2", "?x=1&api-version=1"),
            ("api-version=2;x=1", "?api-version=1&x=1"),
            ("x=1;y=2", "?x=1;y=2&api-version=1"),
            ("x=1;API-version=2;y=3&z=a;b", "?x=1&api-version=1&y=3&z=a;b"),
        ] {
            assert_eq!(merged("api-version=1", Some(client), &[]), expected, "{client}");
        }
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
            (
                "/?APIKey=s&x.SIG=s&key&=s&xkey=s&&x_=s&%FFtoken=s",
                "/?APIKey=***&x.SIG=***&key&=s&xkey=s&&x_=s&%FFtoken=s",
            ),
        ] {
            assert_eq!(redacted(target), shown);
        }
    }

    #[test]
    fn a_client_credential_in_the_query_is_dropped() {
        assert_eq!(merged("", Some("key=secret&alt=sse&k%65y=secret"), &["key"]), "?alt=sse");
        assert_eq!(merged("", Some("KEY=secret&alt=sse;Key=secret&%20key=secret"), &["key"]), "?alt=sse");
        assert_eq!(value("a=1&k%65y=x%20y", "key"), Some("x%20y"));
    }
}
