//! `baseUrl`: where a provider is, exactly as the operator wrote it.

use super::query::Query;
use super::segment;

/// A parsed base URL.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct BaseUrl {
    /// Host and port as written.
    pub authority: String,
    /// Path without slashes at its end and without empty segments. Empty means that the URL has no path.
    pub path: String,
    /// The operator's query.
    pub query: Query,
}

/// Why a base URL is refused. No variant holds the URL: it may carry a secret.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum UrlError {
    /// There is no host.
    NoHost,
    /// A scheme other than `http` and `https`.
    Scheme,
    /// `user:password@host`.
    UserInfo,
    /// `#fragment`.
    Fragment,
    /// A character that cannot stand in a host.
    Host,
    /// The port is no number from 1 to 65535.
    Port,
    /// The path holds a dot segment, a control character or a space.
    Path,
}

impl UrlError {
    /// The reason in words, without the URL.
    #[must_use]
    pub const fn reason(self) -> &'static str {
        match self {
            Self::NoHost => "has no host",
            Self::Scheme => "must begin with http:// or https://",
            Self::UserInfo => "must not hold user-info (`user:password@`); put credentials in `apiTokens`",
            Self::Fragment => "must not hold a fragment (`#`)",
            Self::Host => "has a host with characters that cannot stand there",
            Self::Port => "has a port that is no number from 1 to 65535",
            Self::Path => "has a path with dot segments, spaces or control characters",
        }
    }
}

impl BaseUrl {
    /// Parses `https://host[:port][/path][?query]`. The scheme may be missing and is otherwise only checked: whether the
    /// upstream is reached by TLS is decided by its Envoy cluster.
    ///
    /// # Errors
    /// See [`UrlError`].
    pub fn parse(text: &str) -> Result<Self, UrlError> {
        let text = text.trim();
        if text.contains('#') {
            return Err(UrlError::Fragment);
        }
        let rest = match text.split_once("://") {
            Some((scheme, rest)) if !scheme.contains(['/', '?']) => {
                if !scheme.eq_ignore_ascii_case("http") && !scheme.eq_ignore_ascii_case("https") {
                    return Err(UrlError::Scheme);
                }
                rest
            }
            _ => text,
        };
        let (rest, query) = rest.split_once('?').unwrap_or((rest, ""));
        let (authority, path) = match rest.find('/').and_then(|slash| rest.split_at_checked(slash)) {
            Some(parts) => parts,
            None => (rest, ""),
        };
        check_authority(authority)?;
        segment::check_path(path).map_err(|_| UrlError::Path)?;
        if query.bytes().any(|byte| byte.is_ascii_control() || byte == b' ') {
            return Err(UrlError::Path);
        }
        Ok(Self { authority: authority.to_owned(), path: normal_path(path), query: Query::parse(query) })
    }
}

/// A path with one slash before each segment and none at the end; empty where there is no segment.
#[must_use]
pub fn normal_path(path: &str) -> String {
    let mut out = String::with_capacity(path.len());
    for segment in path.split('/').filter(|segment| !segment.is_empty()) {
        out.push('/');
        out.push_str(segment);
    }
    out
}

/// Checks `host`, `host:port`, `[v6]` and `[v6]:port`.
///
/// # Errors
/// [`UrlError::NoHost`], [`UrlError::UserInfo`], [`UrlError::Host`] and [`UrlError::Port`].
pub fn check_authority(authority: &str) -> Result<(), UrlError> {
    if authority.contains('@') {
        return Err(UrlError::UserInfo);
    }
    let (host, port) = split_port(authority);
    if host.is_empty() {
        return Err(UrlError::NoHost);
    }
    let inner = host.strip_prefix('[').and_then(|host| host.strip_suffix(']'));
    let allowed = |byte: u8| match inner {
        Some(_) => byte.is_ascii_hexdigit() || matches!(byte, b':' | b'.'),
        None => byte.is_ascii_alphanumeric() || matches!(byte, b'-' | b'.' | b'_'),
    };
    if !inner.unwrap_or(host).bytes().all(allowed) {
        return Err(UrlError::Host);
    }
    match port {
        Some(port)
            if !port.bytes().all(|byte| byte.is_ascii_digit()) || !port.parse::<u16>().is_ok_and(|port| port > 0) =>
        {
            Err(UrlError::Port)
        }
        Some(_) | None => Ok(()),
    }
}

/// Splits the port off an authority; a colon inside `[…]` belongs to the address.
#[must_use]
pub fn split_port(authority: &str) -> (&str, Option<&str>) {
    match authority.rsplit_once(':') {
        Some((host, port)) if !port.contains(']') => (host, Some(port)),
        _ => (authority, None),
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    #[cfg(target_family = "wasm")]
    use wasm_bindgen_test::wasm_bindgen_test as test;

    #[test]
    fn takes_the_url_apart_as_written() {
        for (url, authority, path) in [
            ("https://a.com", "a.com", ""),
            ("https://a.com/", "a.com", ""),
            ("a.com/v1/", "a.com", "/v1"),
            ("HTTPS://A.com:8443//v1//x", "A.com:8443", "/v1/x"),
            ("http://[::1]:8080/v1", "[::1]:8080", "/v1"),
            ("https://h?next=https://x/y", "h", ""),
            (" https://h/openai/v1/?api-version=1 ", "h", "/openai/v1"),
        ] {
            let parsed = BaseUrl::parse(url).unwrap();
            assert_eq!((parsed.authority.as_str(), parsed.path.as_str()), (authority, path), "{url}");
        }
    }

    #[test]
    fn refuses_what_leaks_or_misleads() {
        for (url, error) in [
            ("https://u:p@a.com/v1", UrlError::UserInfo),
            ("https://a.com/v1#x", UrlError::Fragment),
            ("ftp://a.com", UrlError::Scheme),
            ("", UrlError::NoHost),
            ("https:///v1", UrlError::NoHost),
            ("/v1", UrlError::NoHost),
            ("https://a b/", UrlError::Host),
            ("https://a.com:http/", UrlError::Port),
            ("https://a.com:0", UrlError::Port),
            ("https://a.com:", UrlError::Port),
            ("https://a.com/../x", UrlError::Path),
        ] {
            assert_eq!(BaseUrl::parse(url), Err(error), "{url}");
        }
    }
}
