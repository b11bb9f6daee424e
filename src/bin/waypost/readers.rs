//! What stands behind Waypost in a configuration of Envoy and reads what is not there: a header that Waypost removes, or a
//! filter state that `logFields` leaves out. Envoy finds nothing then and says nothing, and a limit limits nobody.
//!
//! Envoy matches routes again after Waypost has changed the headers, and formats access logs when a request is over; so
//! all of the connection manager stands behind Waypost but the filters before it.

use crate::document::{Finding, Level, Spot, text};
use crate::envoy::Chain;
use waypost::config::problem::Severity;
use waypost::config::{Auth, Config, Placement, Provider, Rule, Serve};
use waypost::json::Node;
use waypost::telemetry::Flat;

/// How the names of the filter states begin that are log fields of Waypost.
const FIELD: &str = "wasm.waypost_";

/// Says what reads something that is not there.
pub(crate) fn find(config: &Config, chain: Chain<'_>) -> Vec<Finding> {
    let mut search = Search {
        config,
        before: chain.before().iter().filter_map(|filter| text(filter, "name")).collect(),
        limits: chain.behind().iter().any(limits),
        found: Vec::new(),
    };
    for (key, value) in chain.manager.members().iter().filter(|(key, _)| key != "http_filters") {
        search.member(key, value, &chain.spot.at(key));
    }
    let filters = chain.spot.at("http_filters");
    for (index, filter) in chain.behind().iter().enumerate() {
        let index = index.saturating_add(chain.index).saturating_add(1);
        search.node(filter, &filters.at(&format!("[{index}]")));
    }
    search.found
}

/// Whether a filter limits rates.
fn limits(filter: &Node) -> bool {
    let of = filter.get("typed_config").and_then(|config| text(config, "@type"));
    [text(filter, "name"), of].into_iter().flatten().any(|name| name.contains("ratelimit"))
}

struct Search<'n> {
    config: &'n Config,
    /// The names of the filters before Waypost, which see every header.
    before: Vec<&'n str>,
    /// Whether a filter behind Waypost reads `rate_limits`, those of routes among them.
    limits: bool,
    found: Vec<Finding>,
}

impl<'n> Search<'n> {
    fn node(&mut self, node: &'n Node, spot: &Spot) {
        match node {
            Node::Text(value) => self.text(value, spot),
            Node::Map(members) => {
                for (key, value) in members {
                    self.member(key, value, &spot.at(key));
                }
            }
            Node::List(items) => {
                for (index, item) in items.iter().enumerate() {
                    self.node(item, &spot.at(&format!("[{index}]")));
                }
            }
            Node::Null | Node::Bool(_) | Node::Number(_) => {}
        }
    }

    fn member(&mut self, key: &str, value: &'n Node, spot: &Spot) {
        match (key, value) {
            // What filters write, not what they read.
            ("forwarding", _) => return,
            ("rate_limits", _) if !self.limits => return,
            ("typed_per_filter_config", Node::Map(filters)) => {
                for (name, value) in filters {
                    if !self.before.contains(&name.as_str()) {
                        self.node(value, &spot.at(name));
                    }
                }
                return;
            }
            // An action of a rate limit, a hash policy, an input of a matcher; `header_to_metadata`.
            ("header_name" | "header", Node::Text(name)) => self.header(name, spot),
            // A condition of a route, of an action, of a filter.
            ("headers", Node::List(list)) => {
                for (index, item) in list.iter().enumerate() {
                    self.named(item, &spot.at(&format!("[{index}]")));
                }
            }
            ("header", Node::Map(_)) => self.named(value, spot),
            _ => {}
        }
        self.node(value, spot);
    }

    fn named(&mut self, matcher: &Node, spot: &Spot) {
        if let Some(name) = text(matcher, "name") {
            self.header(name, &spot.at("name"));
        }
    }

    /// A text, which may be a format or the key of a filter state.
    fn text(&mut self, value: &str, spot: &Spot) {
        let formats = value.split("%REQ").skip(1).filter_map(|rest| {
            let rest = rest.strip_prefix("_WITHOUT_QUERY").unwrap_or(rest);
            rest.strip_prefix('(')?.split_once(')').map(|(names, _)| names)
        });
        for name in formats.flat_map(|names| names.split('?')) {
            self.header(name, spot);
        }
        let end = |rest: &str| rest.find(|c: char| !c.is_ascii_alphanumeric() && c != '_').unwrap_or(rest.len());
        for name in value.split(FIELD).skip(1).filter_map(|rest| rest.get(..end(rest))) {
            self.field(name, spot);
        }
    }

    fn header(&mut self, name: &str, spot: &Spot) {
        let name = name.trim().to_ascii_lowercase();
        let serving = self.config.rules().filter_map(|rule| Some((rule, provider(rule)?)));
        let mut removing = serving.filter(|(rule, provider)| removes(rule, provider, &name));
        let Some((rule, _)) = removing.next() else { return };
        let instead = match rule.statistics.consumer_header == name {
            true if rule.statistics.shows_consumer => "its value stands in the filter state `wasm.waypost_consumer`",
            true => "its value stands in the filter state `wasm.waypost_consumer` where `logFields` names `consumer`",
            false => "`keepHeaders` keeps it",
        };
        self.warn(spot, format!("reads the header `{name}`, which Waypost removes before; {instead}"));
    }

    fn field(&mut self, name: &str, spot: &Spot) {
        let Some(field) = Flat::named(name) else { return };
        let mut serving = self.config.rules().filter(|rule| provider(rule).is_some());
        if serving.any(|rule| !rule.statistics.log_fields.contains(field)) {
            let message =
                format!("reads the filter state `{FIELD}{name}`, which is not written: `logFields` leaves it out");
            self.warn(spot, message);
        }
    }

    fn warn(&mut self, spot: &Spot, message: String) {
        self.found.push(spot.finding(Level::Of(Severity::Warning), message));
    }
}

/// Who serves the requests of a rule.
fn provider(rule: &Rule) -> Option<&Provider> {
    match &rule.serve {
        Serve::Provider(provider) => Some(provider),
        Serve::Untouched | Serve::Denied | Serve::Broken(_) => None,
    }
}

/// Whether a header of this name, in lower case, is gone behind Waypost. One that is set anew is not.
fn removes(rule: &Rule, provider: &Provider, name: &str) -> bool {
    let removal = &provider.removal;
    let is_consumer = rule.statistics.consumer_header == name && removal.hides_consumer(name.as_bytes());
    let surfaces = (0..provider.preset.surfaces.len()).map(Some).chain([None]);
    let mut placements = surfaces.map(|surface| &provider.surface(surface).placement);
    let has_credential = provider.auth != Auth::None
        && placements.any(|placement| matches!(placement, Placement::Header { name: place, .. } if place == name));
    let is_set = has_credential || provider.headers.iter().any(|(set, _)| set == name);
    !is_set && (is_consumer || removal.header(name.as_bytes()).is_some())
}
