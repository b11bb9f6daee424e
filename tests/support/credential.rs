//! What counts as a credential on a request: the one list that tests and demo share.

use super::upstream::Received;
use std::fmt;

/// Headers that carry a credential, whatever the provider.
pub const HEADERS: &[&str] =
    &["authorization", "x-api-key", "api-key", "x-goog-api-key", "proxy-authorization", "cookie"];

/// Query keys that carry one.
pub const QUERY_KEYS: &[&str] = &["key"];

/// A credential found on a request. `Display` names its place and never its value.
#[derive(Clone, PartialEq, Eq)]
pub struct Credential {
    /// Header name, or `?` and the query key.
    pub place: String,
    /// The whole header or query value.
    pub value: Vec<u8>,
}

impl fmt::Display for Credential {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{}: ***", self.place)
    }
}

impl fmt::Debug for Credential {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        fmt::Display::fmt(self, f)
    }
}

/// Every credential on a request, in the order of its headers, then of its query. A header sent twice counts twice.
pub fn of(request: &Received) -> Vec<Credential> {
    let headers = request
        .headers
        .iter()
        .filter(|(name, _)| HEADERS.contains(&name.as_str()))
        .map(|(name, value)| Credential { place: name.clone(), value: value.clone() });
    let query = request.path.split_once('?').map_or("", |(_, query)| query);
    let pairs = query
        .split('&')
        .filter_map(|pair| pair.split_once('='))
        .filter(|(key, _)| QUERY_KEYS.contains(key))
        .map(|(key, value)| Credential { place: format!("?{key}"), value: value.as_bytes().to_vec() });
    headers.chain(pairs).collect()
}

/// Whether `secret` stands anywhere in what the upstream received: headers, path, trailers or body.
pub fn leaked(request: &Received, secret: &[u8]) -> bool {
    let holds = |bytes: &[u8]| bytes.windows(secret.len()).any(|window| window == secret);
    holds(request.path.as_bytes())
        || request.headers.iter().chain(&request.trailers).any(|(_, value)| holds(value))
        || holds(&request.body)
}
