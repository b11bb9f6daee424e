//! Which headers of the client stay, which go, and which are the operator's own: `clientCredentials`, `removeHeaders`,
//! `keepHeaders` and `setHeaders`.

use super::problem::{Kind, Problems};
use super::provider::{Auth, NO_HEADER_VALUE, Placement, is_header_value};
use super::settings::ProviderSettings;
use super::wire::Secret;
use crate::removal::{Pattern, Removal, Rules, is_credential, is_needed, is_token};

/// A header that Waypost sets for its own reasons; what an operator sets there would be overwritten.
const ACCEPT_ENCODING: &str = "accept-encoding";

/// What is removed from requests to one provider. `placements` are all the places where its credential may be put, and
/// `parameters` the query parameters in which its vendor takes one.
pub(super) fn removal<'p>(
    settings: &ProviderSettings,
    auth: Auth,
    placements: impl Iterator<Item = &'p Placement>,
    mut parameters: Vec<String>,
    problems: &mut Problems,
) -> Removal {
    let headers = patterns("removeHeaders", settings.remove_headers.as_deref(), problems, &|pattern, problems| {
        if matches!(pattern, Pattern::Exact(name) if is_needed(name.as_bytes())) {
            problems.error(Kind::Invalid { reason: "a request cannot do without this header" });
        }
    });
    let kept =
        patterns("keepHeaders", settings.keep_headers.as_deref(), problems, &|pattern, problems| match pattern {
            kept if headers.contains(kept) => {
                problems.error(Kind::Invalid { reason: "stands in `removeHeaders` too" });
            }
            Pattern::Exact(name) if is_credential(name.as_bytes()) && auth == Auth::Inject => {
                let reason =
                    "what a client authenticates with in this header goes upstream, beside the configured token";
                problems.warn(Kind::Doubtful { reason });
            }
            Pattern::Exact(_) | Pattern::Prefix(_) => {}
        });
    let mut credentials: Vec<String> = placements
        .filter_map(|placement| match placement {
            Placement::Header { name, .. } => Some(name.clone().into_owned()),
            Placement::Query { .. } => None,
        })
        .collect();
    if let Some(own) = &settings.client_credentials {
        problems.at("clientCredentials", |problems| {
            let named = patterns("headers", own.headers.as_deref(), problems, &|pattern, problems| match pattern {
                Pattern::Prefix(_) => {
                    problems.error(Kind::Invalid { reason: "takes whole names; `removeHeaders` takes `prefix*`" });
                }
                Pattern::Exact(name) if is_needed(name.as_bytes()) => {
                    problems.error(Kind::Invalid { reason: "a request cannot do without this header" });
                }
                Pattern::Exact(_) => {}
            });
            credentials.extend(named.into_iter().filter_map(|pattern| match pattern {
                Pattern::Exact(name) => Some(name),
                Pattern::Prefix(_) => None,
            }));
            parameters.extend(own.query.iter().flatten().cloned());
        });
    }
    Removal::new(Rules {
        injects: auth == Auth::Inject,
        keeps_cookies: auth == Auth::Passthrough,
        headers,
        credentials,
        kept,
        parameters,
    })
}

/// Reads a list of names and `prefix*`; `check` reports what is wrong with one that can be read.
fn patterns(
    key: &str,
    list: Option<&[String]>,
    problems: &mut Problems,
    check: &dyn Fn(&Pattern, &mut Problems),
) -> Vec<Pattern> {
    let mut patterns = Vec::new();
    problems.at(key, |problems| {
        for (index, text) in list.into_iter().flatten().enumerate() {
            problems.at_index(index, |problems| match Pattern::parse(text) {
                Some(pattern) => {
                    check(&pattern, problems);
                    patterns.push(pattern);
                }
                None => {
                    problems.error(Kind::Invalid { reason: "is no name of a header, and no beginning of one with `*`" })
                }
            });
        }
    });
    patterns
}

/// The headers that the operator sets on every request, with names in lower case. `taken` are those that carry the
/// credential.
pub(super) fn own_headers(
    settings: &ProviderSettings,
    taken: &dyn Fn(&str) -> bool,
    problems: &mut Problems,
) -> Vec<(String, Secret)> {
    let mut headers: Vec<(String, Secret)> = Vec::new();
    problems.at("setHeaders", |problems| {
        for (name, value) in settings.set_headers.iter().flat_map(|table| &table.0) {
            let lower = name.trim().to_ascii_lowercase();
            let reason = if !is_token(&lower) {
                Some("is no name of a header")
            } else if is_needed(lower.as_bytes()) || lower == ACCEPT_ENCODING {
                Some("this header is the request's own, or Waypost's")
            } else if taken(&lower) {
                Some("the credential is put into this header")
            } else if headers.iter().any(|(other, _)| *other == lower) {
                Some("stands here twice")
            } else if value.expose().is_empty() {
                Some("is empty; `removeHeaders` removes a header")
            } else if !is_header_value(value.expose()) {
                Some(NO_HEADER_VALUE)
            } else {
                None
            };
            match reason {
                Some(reason) => problems.at(&place(name), |problems| problems.error(Kind::Invalid { reason })),
                None => headers.push((lower, value.clone())),
            }
        }
    });
    headers
}

/// A name within a path of problems; one that is none may be a secret in the wrong place.
fn place(name: &str) -> String {
    if is_token(name.trim()) { format!("[{}]", crate::json::literal(name)) } else { "[***]".to_owned() }
}
