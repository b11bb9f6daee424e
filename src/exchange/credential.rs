//! Exactly one credential goes upstream: everything a client could authenticate with is removed, then one is put on.

use super::decide::asks_for_nothing;
use super::head::{Edits, Head};
use crate::config::{Auth, Placement, Provider, SurfaceHeaders};
use crate::path::{query, segment};
use crate::removal::{self, COOKIE, SUBPROTOCOL};
use std::borrow::Cow;

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
    provider.map_or_else(
        || removal::is_credential(name.as_bytes()),
        |provider| provider.removal.is_credential(name.as_bytes()),
    )
}

/// Chooses the credential.
pub(super) fn choose<'p>(
    provider: &'p Provider,
    surface: &'p SurfaceHeaders,
    head: &Head,
    client_query: Option<&str>,
) -> Put<'p> {
    if asks_for_nothing(head) {
        return Put::Nothing;
    }
    let own = match provider.auth {
        Auth::None => None,
        Auth::Inject => provider.next_token().map(|token| Own::Token(token.expose())),
        Auth::Passthrough => own(provider, &surface.placement, head, client_query),
    };
    own.map_or(Put::Nothing, |own| put(provider.placement(surface, own.token()), &own))
}

/// Removes what of the client's headers does not go upstream: credentials, what chooses who pays, what names another
/// host or path. One pass, whatever the list is.
pub(super) fn strip(provider: &Provider, head: &Head, edits: &mut Edits) {
    let removal = &provider.removal;
    for name in head.names().filter(|name| removal.may_remove(name)) {
        if let Some(name) = removal.header(name)
            && !edits.remove.contains(&name)
        {
            edits.remove.push(name);
        }
    }
    // A preflight takes no credential along, not even the session of a client that is passed through.
    if head.has(COOKIE) && asks_for_nothing(head) && !removal.keeps(COOKIE.as_bytes()) {
        let cookies = Cow::Borrowed(COOKIE);
        if !edits.remove.contains(&cookies) {
            edits.remove.push(cookies);
        }
    }
    if head.has(SUBPROTOCOL) && removal.reads_subprotocols() && !edits.remove.iter().any(|name| name == SUBPROTOCOL) {
        strip_subprotocols(head, edits);
    }
}

/// Removes the header that names the consumer.
pub(super) fn strip_consumer(provider: &Provider, header: &str, head: &Head, edits: &mut Edits) {
    if head.has(header)
        && provider.removal.hides_consumer(header.as_bytes())
        && !edits.remove.iter().any(|removed| removed == header)
        // One that Waypost sets, as the credential, has its new value already.
        && edits.value(header).is_none()
    {
        edits.remove.push(Cow::Owned(header.to_owned()));
    }
}

/// The names of the trailers that do not go upstream.
pub(super) fn stripped_trailers(provider: &Provider, consumer_header: &str, trailers: &Head) -> Vec<Cow<'static, str>> {
    let mut names: Vec<_> = trailers.names().filter_map(|name| provider.removal.header(name)).collect();
    if trailers.has(consumer_header) && provider.removal.hides_consumer(consumer_header.as_bytes()) {
        names.push(Cow::Owned(consumer_header.to_owned()));
    }
    names
}

/// Takes tokens out of what a WebSocket's request calls its protocols.
fn strip_subprotocols(head: &Head, edits: &mut Edits) {
    let values = head.values(SUBPROTOCOL).map(String::from_utf8_lossy);
    let list = values.collect::<Vec<_>>().join(", ");
    if let Some(kept) = removal::subprotocols(&list) {
        edits.remove.push(SUBPROTOCOL.into());
        if !kept.is_empty() {
            edits.set(SUBPROTOCOL, kept);
        }
    }
}

impl Own<'_> {
    /// The token, by whose form its placement is chosen.
    const fn token(&self) -> &str {
        match self {
            Self::Token(token) | Self::Sent(token) => token,
            // A scheme stands in front of it.
            Self::Whole(_) => "",
        }
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
