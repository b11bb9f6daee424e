//! Requests to switch protocols, such as the opening of a WebSocket: what follows their headers is no HTTP body.
//!
//! Such a request becomes a *tunnel*. Its headers are decided like any other's, so it reaches the right host and path
//! with the right credential. What passes afterwards is neither read nor changed: there is no model mapping, no rule for
//! parameters and no usage in it.

use super::head::Head;

/// Whether a request asks to switch protocols.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Upgrade {
    /// It is an ordinary request.
    No,
    /// Everything behind the headers is a tunnel, in both directions.
    Tunnel,
    /// It asks for a tunnel with a method that sends a body. Envoy then forwards the bytes of the body as they are, so a
    /// client could use the headers of an upgrade to get a body past every rule. It has to be refused.
    WithBody,
}

impl Upgrade {
    /// Reads the headers: `GET` with `upgrade` and `connection: upgrade` over HTTP/1.1 (RFC 9110, section 7.8, and RFC
    /// 6455, section 4.1), or `CONNECT` with `:protocol` over HTTP/2 and HTTP/3 (RFC 8441). Envoy shows the second form
    /// to filters as the first.
    pub(super) fn of(head: &Head) -> Self {
        let method = head.get(":method");
        if method == Some(b"CONNECT") {
            return if head.has(":protocol") { Self::Tunnel } else { Self::No };
        }
        if !head.has("upgrade") || !names_upgrade(head) {
            return Self::No;
        }
        if method == Some(b"GET") { Self::Tunnel } else { Self::WithBody }
    }
}

/// Whether `connection` names the `upgrade` header, without which a server ignores it.
fn names_upgrade(head: &Head) -> bool {
    let list = head.get("connection").unwrap_or_default();
    list.split(|byte| *byte == b',').any(|name| name.trim_ascii().eq_ignore_ascii_case(b"upgrade"))
}

/// Whether this status of a response opens the tunnel that the request asked for. Envoy shows the 200 of HTTP/2 as 101.
pub(super) const fn opens_tunnel(status: u16) -> bool {
    status == 101
}

#[cfg(test)]
mod tests;
