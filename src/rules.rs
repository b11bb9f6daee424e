//! Which rule serves a request: in array order, the first whose conditions all hold.

use crate::path::base_url::{check_authority, split_port};

/// The conditions of one rule. Each kind that is present must match; within a kind, one of its values.
#[derive(Clone, Debug, Default)]
pub struct Conditions {
    routes: Vec<String>,
    route_prefixes: Vec<String>,
    domains: Vec<Domain>,
    services: Vec<String>,
    /// Whether no request can match.
    dead: bool,
}

/// What the conditions are held against. `None` and empty mean unknown.
#[derive(Clone, Copy, Debug, Default)]
pub struct Facts<'a> {
    /// `:authority`.
    pub authority: Option<&'a str>,
    /// Name of the Envoy route.
    pub route: Option<&'a str>,
    /// Name of the Envoy cluster.
    pub cluster: Option<&'a str>,
}

#[derive(Clone, Debug)]
enum Domain {
    Exact(String),
    Suffix(String),
    Prefix(String),
}

impl Domain {
    /// A leading star makes a suffix, else a trailing one a prefix; only the first star that applies is special.
    fn parse(text: &str) -> Self {
        let (host, port) = split_port(text);
        if let (Some(host), None) = (host.strip_suffix('.'), port) {
            return Self::parse(host);
        }
        if let Some(suffix) = text.strip_prefix('*') {
            Self::Suffix(suffix.to_ascii_lowercase())
        } else if let Some(prefix) = text.strip_suffix('*') {
            Self::Prefix(prefix.to_ascii_lowercase())
        } else {
            Self::Exact(text.to_ascii_lowercase())
        }
    }

    /// Compares without regard to ASCII case, and without a copy: there may be many rules, and a client's host may have
    /// 60 KB. `host` is the authority without its port.
    fn matches(&self, authority: &str, host: &str) -> bool {
        let same =
            |part: Option<&[u8]>, pattern: &str| part.is_some_and(|part| part.eq_ignore_ascii_case(pattern.as_bytes()));
        let bytes = host.as_bytes();
        match self {
            Self::Exact(name) => name.eq_ignore_ascii_case(host) || name.eq_ignore_ascii_case(authority),
            Self::Suffix(suffix) => {
                let start = bytes.len().checked_sub(suffix.len());
                same(start.and_then(|start| bytes.get(start..)), suffix)
            }
            Self::Prefix(prefix) => same(bytes.get(..prefix.len()), prefix),
        }
    }

    /// Whether every host that the other pattern matches is matched by this one too.
    fn covers(&self, other: &Self) -> bool {
        match (self, other) {
            (Self::Suffix(any) | Self::Prefix(any), _) if any.is_empty() => true,
            (Self::Exact(name), Self::Exact(other)) => name == other || name == split_port(other).0,
            (Self::Suffix(suffix), Self::Exact(name)) => split_port(name).0.ends_with(suffix.as_str()),
            (Self::Prefix(prefix), Self::Exact(name)) => split_port(name).0.starts_with(prefix.as_str()),
            (Self::Suffix(suffix), Self::Suffix(longer)) => longer.ends_with(suffix.as_str()),
            (Self::Prefix(prefix), Self::Prefix(longer)) => longer.starts_with(prefix.as_str()),
            (Self::Exact(_) | Self::Prefix(_), Self::Suffix(_))
            | (Self::Exact(_) | Self::Suffix(_), Self::Prefix(_)) => false,
        }
    }
}

impl Conditions {
    /// Compiles the four `_match_…_` lists.
    #[must_use]
    pub fn new(routes: Vec<String>, route_prefixes: Vec<String>, domains: &[String], services: Vec<String>) -> Self {
        let none_matches = |patterns: &[String], flaw: fn(&str) -> Option<&'static str>| {
            !patterns.is_empty() && patterns.iter().all(|pattern| flaw(pattern).is_some())
        };
        let dead = none_matches(domains, domain_flaw)
            || [&routes, &services].iter().any(|names| !names.is_empty() && names.iter().all(String::is_empty));
        let domains = domains.iter().map(|text| Domain::parse(text)).collect();
        Self { routes, route_prefixes, domains, services, dead }
    }

    /// Whether any request can match, as far as the patterns tell.
    #[must_use]
    pub const fn can_hold(&self) -> bool {
        !self.dead
    }

    /// Whether there is no condition at all; such a rule would shadow every later one.
    #[must_use]
    pub const fn is_empty(&self) -> bool {
        self.routes.is_empty() && self.route_prefixes.is_empty() && self.domains.is_empty() && self.services.is_empty()
    }

    /// Whether every request that matches the other conditions matches these too, as far as the patterns tell.
    #[must_use]
    pub fn covers(&self, other: &Self) -> bool {
        /// Whether each of `inner` is covered by one of `outer`.
        fn all<T, U>(outer: &[T], inner: &[U], covers: impl Fn(&T, &U) -> bool) -> bool {
            !inner.is_empty() && inner.iter().all(|inner| outer.iter().any(|outer| covers(outer, inner)))
        }
        let begins = |prefix: &String, name: &String| name.starts_with(prefix.as_str());
        let every_host = |domain: &Domain| domain.covers(&Domain::Suffix(String::new()));
        (self.routes.is_empty() || all(&self.routes, &other.routes, String::eq))
            && (self.route_prefixes.is_empty()
                || all(&self.route_prefixes, &other.routes, begins)
                || all(&self.route_prefixes, &other.route_prefixes, begins))
            && (self.domains.is_empty()
                || self.domains.iter().any(every_host)
                || all(&self.domains, &other.domains, Domain::covers))
            && (self.services.is_empty() || all(&self.services, &other.services, String::eq))
    }

    /// Whether the route's name is looked at.
    #[must_use]
    pub const fn needs_route(&self) -> bool {
        !self.routes.is_empty() || !self.route_prefixes.is_empty()
    }

    /// Whether the cluster's name is looked at.
    #[must_use]
    pub const fn needs_cluster(&self) -> bool {
        !self.services.is_empty()
    }

    /// How many kinds of conditions there are.
    #[must_use]
    pub fn kinds(&self) -> usize {
        [self.routes.is_empty(), self.route_prefixes.is_empty(), self.domains.is_empty(), self.services.is_empty()]
            .iter()
            .filter(|empty| !**empty)
            .count()
    }

    /// Whether there are routes and services and nothing else: the one combination of which ai-proxy looks at both.
    #[must_use]
    pub const fn is_route_and_service(&self) -> bool {
        !self.routes.is_empty()
            && !self.services.is_empty()
            && self.route_prefixes.is_empty()
            && self.domains.is_empty()
    }

    /// Whether every kind that is present matches.
    #[must_use]
    pub fn hold(&self, facts: Facts<'_>) -> bool {
        let route = facts.route.unwrap_or_default();
        let cluster = facts.cluster.unwrap_or_default();
        (self.routes.is_empty() || (!route.is_empty() && self.routes.iter().any(|name| name == route)))
            && (self.route_prefixes.is_empty()
                || (!route.is_empty() && self.route_prefixes.iter().any(|prefix| route.starts_with(prefix.as_str()))))
            && (self.domains.is_empty() || self.domain_holds(facts.authority))
            && (self.services.is_empty()
                || (!cluster.is_empty() && self.services.iter().any(|name| serves(name, cluster))))
    }

    fn domain_holds(&self, authority: Option<&str>) -> bool {
        let Some(authority) = authority.map(without_user_info) else { return false };
        let (host, port) = split_port(authority);
        // A name with a dot at its end is the same name, absolute.
        match (host.strip_suffix('.'), port) {
            (None, _) => self.domains.iter().any(|domain| domain.matches(authority, host)),
            (Some(host), None) => self.domains.iter().any(|domain| domain.matches(host, host)),
            (Some(host), Some(port)) => {
                let authority = [host, ":", port].concat();
                self.domains.iter().any(|domain| domain.matches(&authority, host))
            }
        }
    }
}

/// Why a pattern for hosts can never match, if so.
#[must_use]
pub fn domain_flaw(pattern: &str) -> Option<&'static str> {
    let starred = pattern.strip_prefix('*').or_else(|| pattern.strip_suffix('*'));
    let name = starred.unwrap_or(pattern);
    let is_address = name.contains(['[', ']']);
    let in_host = |byte: u8| byte.is_ascii_alphanumeric() || matches!(byte, b'-' | b'.' | b'_' | b'[' | b']' | b':');
    if pattern.is_empty() {
        Some("it is empty")
    } else if name.contains("://") {
        Some("it is a URL; write its host alone")
    } else if name.contains('/') {
        Some("it holds a path; write the host alone")
    } else if name.contains('*') {
        Some(ONE_STAR)
    } else if name.contains(char::is_whitespace) {
        Some("it holds a blank")
    } else if name.contains(',') {
        Some("it holds a comma; each host is an item of its own")
    } else if starred.is_some() && name.contains(':') && !is_address {
        Some("a port is only looked at where there is no star")
    } else if !name.bytes().all(in_host) || (starred.is_none() && check_authority(name).is_err()) {
        Some("it is no host name; hosts beyond ASCII are written as `xn--…`")
    } else {
        None
    }
}

const ONE_STAR: &str = "a star stands for the rest of a name only at its beginning or its end";

/// Why a name of a route or a cluster will not match, if so. Envoy takes any text for a name, so that only an empty one
/// is impossible; nobody gives one with a star or with blanks around it.
#[must_use]
pub fn name_flaw(name: &str) -> Option<&'static str> {
    if name.contains('*') {
        Some("a star means nothing here; the beginnings of names of routes go into `_match_route_prefix_`")
    } else {
        unusual(name)
    }
}

/// The same for the beginning of a route's name.
#[must_use]
pub fn prefix_flaw(prefix: &str) -> Option<&'static str> {
    if prefix.contains('*') {
        Some("a star means nothing here; write the beginning alone")
    } else {
        unusual(prefix).filter(|_| !prefix.is_empty())
    }
}

fn unusual(name: &str) -> Option<&'static str> {
    if name.is_empty() {
        Some("it is empty")
    } else if name.trim() != name {
        Some("it begins or ends with a blank")
    } else {
        None
    }
}

/// An authority without what a client wrote in front of the host to authenticate: `user:password@`.
#[must_use]
pub fn without_user_info(authority: &str) -> &str {
    authority.rsplit_once('@').map_or(authority, |(_, host)| host)
}

/// Whether `service` (`fqdn` or `fqdn:port`) names the cluster `direction|port|subset|fqdn`, or the cluster itself as it
/// is called outside Istio and Higress.
fn serves(service: &str, cluster: &str) -> bool {
    if service == cluster {
        return true;
    }
    let mut parts = cluster.split('|');
    let (Some(_), Some(port), Some(_), Some(fqdn), None) =
        (parts.next(), parts.next(), parts.next(), parts.next(), parts.next())
    else {
        return false;
    };
    service == fqdn || service.rsplit_once(':') == Some((fqdn, port))
}

#[cfg(test)]
mod tests {
    use super::*;
    #[cfg(target_family = "wasm")]
    use wasm_bindgen_test::wasm_bindgen_test as test;

    fn domain(pattern: &str, authority: &str) -> bool {
        Conditions::new(vec![], vec![], &[pattern.to_owned()], vec![])
            .hold(Facts { authority: Some(authority), ..Facts::default() })
    }

    fn service(name: &str, cluster: &str) -> bool {
        Conditions::new(vec![], vec![], &[], vec![name.to_owned()])
            .hold(Facts { cluster: Some(cluster), ..Facts::default() })
    }

    #[test]
    fn domains_match_exactly_or_by_one_star() {
        for (pattern, authority, expected) in [
            ("a.com", "a.com", true),
            ("a.com", "A.com:8443", true),
            ("a.com:8443", "a.com:8443", true),
            ("a.com:8443", "a.com", false),
            ("*.a.com", "x.a.com", true),
            ("*.a.com", "a.com", false),
            ("*a.com", "fooa.com", true),
            ("*", "anything", true),
            ("api.*", "api.b.org", true),
            ("API.*", "aPi.b.org", true),
            ("*.A.com", "x.a.COM:1", true),
            ("*.a.com", "é.a.com", true),
            ("*aa.com", "é", false),
            ("aa*", "é", false),
            ("[::1]", "[::1]:80", true),
            // audit L3
            ("a.com", "a.com.", true),
            ("a.com", "A.com.:8443", true),
            ("a.com:8443", "a.com.:8443", true),
            ("a.com", "user@a.com", true),
            ("a.com", "user:p@ss@a.com:80", true),
            ("*.a.com", "x.a.com.", true),
            ("a.com.", "a.com", true),
            ("b.com", "b.com@a.com", false),
        ] {
            assert_eq!(domain(pattern, authority), expected, "{pattern} {authority}");
        }
    }

    #[test]
    fn a_pattern_that_matches_no_host_is_told_from_one_that_does() {
        for live in
            ["a.com", "A.com:8443", "*", "*.a.com", "a.*", "[::1]", "[::1]:80", "localhost", "xn--bcher-kva.de", "a_b"]
        {
            assert_eq!(domain_flaw(live), None, "{live}");
            assert!(Conditions::new(vec![], vec![], &[live.to_owned()], vec![]).can_hold(), "{live}");
        }
        // reports B1 and others of the kind.
        for dead in [
            "",
            "https://b.example.com",
            "b.*.com",
            "*.b.*",
            "**",
            "b.example.com/v1",
            " b.example.com",
            "b.example.com ",
            "a.com,b.com",
            "\"a.com\"",
            "user@a.com",
            "*.a.com:8443",
            "a.com:*",
            "a.com:http",
            "::1",
            "bücher.de",
            "~a.*",
        ] {
            assert!(domain_flaw(dead).is_some(), "{dead}");
            for host in ["b.example.com", "a.com", "a.com:8443", "x.a.com:8443", "b.x.com", "[::1]"] {
                assert!(!domain(dead, host), "{dead} {host}");
            }
            assert!(!Conditions::new(vec![], vec![], &[dead.to_owned()], vec![]).can_hold(), "{dead}");
        }
        assert!(Conditions::new(vec![], vec![], &["b c".into(), "a.com".into()], vec![]).can_hold());
    }

    #[test]
    fn a_rule_covers_another_where_it_matches_all_its_requests() {
        let conditions = |text: &str| {
            let list = |key: &str| -> Vec<String> {
                text.split(' ').filter_map(|word| word.strip_prefix(key)).map(str::to_owned).collect()
            };
            Conditions::new(list("route="), list("prefix="), &list("host="), list("service="))
        };
        for (earlier, later, covered) in [
            ("host=*", "host=a.com", true),
            ("host=*", "route=r", true),
            ("host=*", "service=s", true),
            ("host=*.com", "host=a.com host=b.com", true),
            ("host=*.com", "host=a.com host=b.org", false),
            ("host=*.com", "host=*.a.com", true),
            ("host=*.a.com", "host=*.com", false),
            ("host=api.*", "host=api.a.*", true),
            ("host=a.com", "host=A.com", true),
            ("host=a.com", "host=a.com:8443", true),
            ("host=a.com:8443", "host=a.com", false),
            ("host=a.com", "host=a.com route=r", true),
            ("host=a.com route=r", "host=a.com", false),
            ("route=r", "route=r service=s", true),
            ("prefix=team-", "route=team-a", true),
            ("prefix=team-", "prefix=team-a", true),
            ("prefix=team-a", "prefix=team-", false),
            ("service=s", "service=s", true),
            ("service=s", "service=s:443", false),
            ("host=a.com", "route=r", false),
        ] {
            assert_eq!(conditions(earlier).covers(&conditions(later)), covered, "{earlier} | {later}");
        }
    }

    #[test]
    fn services_match_the_fourth_part_with_or_without_port() {
        for (name, cluster, expected) in [
            ("llm.dns", "outbound|443||llm.dns", true),
            ("llm.dns:443", "outbound|443|v1|llm.dns", true),
            ("llm.dns:80", "outbound|443||llm.dns", false),
            ("upstream", "upstream", true),
            ("llm.dns", "llm.dns|443", false),
            ("llm.dns", "", false),
        ] {
            assert_eq!(service(name, cluster), expected, "{name} {cluster}");
        }
    }

    #[test]
    fn every_kind_that_is_present_must_match() {
        let conditions = Conditions::new(vec!["r".into()], vec![], &["a.com".into()], vec!["c".into()]);
        let facts = Facts { authority: Some("a.com"), route: Some("r"), cluster: Some("c") };
        assert!(conditions.hold(facts));
        assert!(!conditions.hold(Facts { authority: Some("b.com"), ..facts }));
        assert!(!conditions.hold(Facts { route: None, ..facts }));
        assert!(!conditions.hold(Facts { cluster: Some("d"), ..facts }));
    }
}
