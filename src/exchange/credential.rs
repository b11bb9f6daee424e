//! Exactly one credential goes upstream: everything a client could authenticate with is removed, then one is put on.

use super::head::{Edits, Head};
use crate::config::{Auth, Placement, Provider};
use crate::path::query;

/// Headers that carry credentials to vendors or gateways. `cookie` is a session at the gateway; no vendor's API takes
/// one. `x-hi-original-auth` is where Higress's ai-proxy keeps the client's own.
const CREDENTIAL_HEADERS: &[&str] = &[
    "authorization",
    "proxy-authorization",
    "x-api-key",
    "api-key",
    "x-goog-api-key",
    "x-authorization",
    "anthropic-api-key",
    "ocp-apim-subscription-key",
    "x-amz-security-token",
    "x-hi-original-auth",
    "cookie",
];

/// Where a client's own credential is looked for after the provider's own place, in this order.
const CLIENT_HEADERS: &[&str] =
    &["authorization", "x-api-key", "api-key", "x-goog-api-key", "x-authorization", "anthropic-api-key"];

/// The credential of one request, as it is put on.
#[derive(Clone, PartialEq, Eq)]
pub(super) enum Put {
    /// Nothing.
    Nothing,
    /// The header's name is in the placement; this is its whole value.
    Header { name: String, value: String },
    /// A query parameter.
    Query { name: String, value: String },
}

/// What the client authenticates with.
enum Own<'h> {
    /// A token that fits any placement.
    Token(&'h str),
    /// An `authorization` value of another scheme than `Bearer`; it fits only that header.
    Whole(&'h str),
}

/// Chooses the credential.
pub(super) fn choose(provider: &Provider, placement: &Placement, head: &Head, client_query: Option<&str>) -> Put {
    match provider.auth {
        Auth::None => Put::Nothing,
        Auth::Inject => match provider.next_token() {
            Some(token) => put(placement, &Own::Token(token.expose())),
            None => Put::Nothing,
        },
        Auth::Passthrough => own(placement, head, client_query).map_or(Put::Nothing, |own| put(placement, &own)),
    }
}

/// Removes every credential of the client from the headers. A client that is to be passed through keeps its cookies.
pub(super) fn strip(provider: &Provider, head: &Head, edits: &mut Edits) {
    let keeps_cookies = provider.auth == Auth::Passthrough;
    edits
        .remove
        .extend(CREDENTIAL_HEADERS.iter().filter(|name| head.has(name) && !(keeps_cookies && **name == "cookie")));
}

fn put(placement: &Placement, own: &Own<'_>) -> Put {
    match (placement, own) {
        (Placement::Header { name, prefix }, Own::Token(token)) => {
            // ai-proxy accepts tokens that are written with their scheme.
            let token = token.strip_prefix(prefix.as_str()).unwrap_or(token);
            Put::Header { name: name.clone(), value: format!("{prefix}{token}") }
        }
        (Placement::Header { name, .. }, Own::Whole(value)) if name == "authorization" => {
            Put::Header { name: name.clone(), value: (*value).to_owned() }
        }
        (Placement::Header { .. } | Placement::Query { .. }, Own::Whole(_)) => Put::Nothing,
        (Placement::Query { name }, Own::Token(token)) => Put::Query { name: name.clone(), value: (*token).to_owned() },
    }
}

fn own<'h>(placement: &'h Placement, head: &'h Head, client_query: Option<&'h str>) -> Option<Own<'h>> {
    let (preferred, parameter) = match placement {
        Placement::Header { name, .. } => (name.as_str(), "key"),
        Placement::Query { name } => ("", name.as_str()),
    };
    let in_header = |name: &str| {
        head.text(name).map(str::trim).filter(|value| !value.is_empty()).map(|value| (name == "authorization", value))
    };
    if let Placement::Query { .. } = placement
        && let Some(value) =
            client_query.and_then(|query| query::value(query, parameter)).filter(|value| !value.is_empty())
    {
        return Some(Own::Token(value));
    }
    let found = core::iter::once(preferred).chain(CLIENT_HEADERS.iter().copied()).find_map(in_header);
    match found {
        Some((true, value)) => Some(match bearer(value) {
            Some(token) => Own::Token(token),
            None => Own::Whole(value),
        }),
        Some((false, value)) => Some(Own::Token(value)),
        None => client_query
            .and_then(|query| query::value(query, parameter))
            .filter(|value| !value.is_empty())
            .map(Own::Token),
    }
}

fn bearer(value: &str) -> Option<&str> {
    let (scheme, token) = value.split_once(' ')?;
    scheme.eq_ignore_ascii_case("bearer").then(|| token.trim_start())
}
