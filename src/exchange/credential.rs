//! Exactly one credential goes upstream: everything a client could authenticate with is removed, then one is put on.

use super::decide::asks_for_nothing;
use super::head::{Edits, Head};
use crate::config::{Auth, Placement, Provider};
use crate::path::{query, segment};
use std::borrow::Cow;

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
pub(super) enum Put<'p> {
    /// Nothing.
    Nothing,
    /// A header and its whole value, of which so many bytes may be shown.
    Header { name: Cow<'static, str>, value: String, shown: usize },
    /// A query parameter.
    Query { name: &'p str, value: String },
}

/// What the client authenticates with.
enum Own<'h> {
    /// A token that fits any placement.
    Token(&'h str),
    /// A token as it stands in a query, percent-encoding included.
    Sent(&'h str),
    /// An `authorization` value of another scheme than `Bearer`; it fits only that header.
    Whole(&'h str),
}

/// Whether a header of this name, in lower case, carries a credential, to whatever vendor or to this provider.
pub(super) fn is_credential(name: &str, provider: Option<&Provider>) -> bool {
    // A header of the operator's choice is that of all surfaces; those of the presets are on the list.
    let own = provider.map(|provider| &provider.surface(None).placement);
    CREDENTIAL_HEADERS.contains(&name) || matches!(own, Some(Placement::Header { name: own, .. }) if own == name)
}

/// Chooses the credential.
pub(super) fn choose<'p>(
    provider: &Provider,
    placement: &'p Placement,
    head: &Head,
    client_query: Option<&str>,
) -> Put<'p> {
    if asks_for_nothing(head) {
        return Put::Nothing;
    }
    match provider.auth {
        Auth::None => Put::Nothing,
        Auth::Inject => match provider.next_token() {
            Some(token) => put(placement, &Own::Token(token.expose())),
            None => Put::Nothing,
        },
        Auth::Passthrough => {
            own(provider, placement, head, client_query).map_or(Put::Nothing, |own| put(placement, &own))
        }
    }
}

/// Removes every credential of the client from the headers. A client that is to be passed through keeps its cookies.
pub(super) fn strip(provider: &Provider, placement: &Placement, head: &Head, edits: &mut Edits) {
    let keeps_cookies = provider.auth == Auth::Passthrough && !asks_for_nothing(head);
    let removed = CREDENTIAL_HEADERS.iter().filter(|name| head.has(name) && !(keeps_cookies && **name == "cookie"));
    edits.remove.extend(removed.map(|name| Cow::Borrowed(*name)));
    if let Placement::Header { name, .. } = placement
        && head.has(name)
        && !CREDENTIAL_HEADERS.contains(&name.as_ref())
    {
        edits.remove.push(name.clone());
    }
}

fn put<'p>(placement: &'p Placement, own: &Own<'_>) -> Put<'p> {
    match (placement, own) {
        (Placement::Header { name, prefix }, Own::Token(token)) => in_header(name.clone(), prefix, token),
        (Placement::Header { name, prefix }, Own::Sent(token)) => {
            let decoded = segment::decode(token).map(Cow::into_owned).and_then(|token| String::from_utf8(token).ok());
            match decoded.filter(|token| !token.chars().any(char::is_control)) {
                Some(token) => in_header(name.clone(), prefix, &token),
                None => Put::Nothing,
            }
        }
        (Placement::Header { name, .. }, Own::Whole(value)) if name == "authorization" => {
            Put::Header { name: name.clone(), value: (*value).to_owned(), shown: 0 }
        }
        (Placement::Header { .. } | Placement::Query { .. }, Own::Whole(_)) => Put::Nothing,
        (Placement::Query { name }, Own::Token(token)) => Put::Query { name, value: segment::encoded(token) },
        (Placement::Query { name }, Own::Sent(token)) => Put::Query { name, value: (*token).to_owned() },
    }
}

fn in_header(name: Cow<'static, str>, prefix: &str, token: &str) -> Put<'static> {
    // ai-proxy accepts tokens that are written with their scheme.
    let token = token.strip_prefix(prefix).unwrap_or(token);
    Put::Header { name, value: [prefix, token].concat(), shown: prefix.len() }
}

fn own<'h>(
    provider: &Provider,
    placement: &'h Placement,
    head: &'h Head,
    client_query: Option<&'h str>,
) -> Option<Own<'h>> {
    let in_query = |query: Option<&'h str>, name: &str| {
        query.and_then(|query| query::value(query, name)).filter(|value| !value.is_empty()).map(Own::Sent)
    };
    let preferred = match placement {
        Placement::Header { name, .. } => name.as_ref(),
        Placement::Query { name } => {
            // An earlier attempt may have moved it out of a header, into the path that is rewritten by now.
            let rewritten = || head.text(":path").and_then(|path| path.split_once('?')).map(|(_, query)| query);
            if let Some(own) = in_query(client_query, name).or_else(|| in_query(rewritten(), name)) {
                return Some(own);
            }
            ""
        }
    };
    let in_header = |name: &str| {
        head.text(name).map(str::trim).filter(|value| !value.is_empty()).map(|value| (name == "authorization", value))
    };
    match core::iter::once(preferred).chain(CLIENT_HEADERS.iter().copied()).find_map(in_header) {
        Some((true, value)) => Some(match bearer(value) {
            Some(token) => Own::Token(token),
            None => Own::Whole(value),
        }),
        Some((false, value)) => Some(Own::Token(value)),
        // Only from where it is removed; anything else would be sent twice.
        None => provider.secret_parameters().iter().find_map(|name| in_query(client_query, name)),
    }
}

fn bearer(value: &str) -> Option<&str> {
    let (scheme, token) = value.split_once(' ')?;
    scheme.eq_ignore_ascii_case("bearer").then(|| token.trim_start())
}
