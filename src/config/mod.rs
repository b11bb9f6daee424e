//! Configuration: from bytes to a [`Config`] that requests only read.
//!
//! [`load`] reads the whole document, collects every problem with its place, and compiles what is sound. A rule that is
//! not sound answers its own requests with 503; the others go on. Only a document that cannot be read at all fails.
//!
//! The document is a [`Node`]; `wire` says how settings are read from it, `settings` holds the keys, `address` and `provider` compile
//! one provider, `differences` lists where Waypost means something else than Higress's ai-proxy.

mod address;
mod azure;
pub mod body;
pub mod differences;
mod doubts;
mod headers;
pub mod problem;
mod provider;
#[cfg(feature = "cli")]
pub mod schema;
pub mod settings;
mod statistics;
pub mod wire;
#[cfg(feature = "cli")]
mod yaml;

pub use provider::{Auth, Placement, Provider, SurfaceHeaders};
pub use statistics::Statistics;

use crate::json::{Node, SyntaxError, parse};
use crate::memory;
use crate::rules::{self, Conditions, Facts};
use core::fmt;
use problem::{Kind, Problem, Problems};
use settings::{PluginSettings, ProviderSettings, UnmatchedSetting};
use std::rc::Rc;
use wire::Wire;

/// A compiled configuration.
#[derive(Clone, Debug)]
pub struct Config {
    rules: Vec<Rule>,
    fallback: Rule,
    needs_route: bool,
    needs_cluster: bool,
    max_memory: Option<usize>,
}

/// One entry of `_rules_`, or what stands beside them and serves every request that none of them matches.
#[derive(Clone, Debug)]
pub struct Rule {
    /// `_rules_[0]` or `global`.
    pub name: Rc<str>,
    conditions: Conditions,
    /// What happens to its requests.
    pub serve: Serve,
    /// What is recorded of them.
    pub statistics: Rc<Statistics>,
}

/// What happens to the requests of a rule.
#[derive(Clone, Debug)]
pub enum Serve {
    /// They pass untouched: no provider is configured for them.
    Untouched,
    /// They are answered with 404: no rule matches them, and `unmatched` is `deny`.
    Denied,
    /// They go to this provider.
    Provider(Rc<Provider>),
    /// They are answered with 503: the configuration is broken here. The text names the problem and holds no secret.
    Broken(Rc<str>),
}

/// A loaded configuration and what is to be said about it.
#[derive(Clone, Debug)]
pub struct Loaded {
    /// What requests read.
    pub config: Config,
    /// Errors, warnings and differences, in the order of the document.
    pub problems: Vec<Problem>,
}

/// A document that cannot be used at all. The host then keeps the last configuration that could.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Unusable {
    /// Not JSON.
    Syntax(SyntaxError),
    /// JSON, but no object.
    NotAnObject(&'static str),
    /// The bytes of a protobuf message.
    Protobuf,
}

impl fmt::Display for Unusable {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::Syntax(error) => write!(f, "the configuration is not JSON: {error}"),
            Self::NotAnObject(found) => write!(f, "the configuration must be a JSON object, found {found}"),
            Self::Protobuf => f.write_str(
                "the configuration is a protobuf message, not JSON: Envoy hands google.protobuf.Struct over in binary form; \
                 put the JSON text into a google.protobuf.StringValue",
            ),
        }
    }
}

/// Reads plugin JSON. No bytes and `{}` are valid: every request passes untouched.
///
/// # Errors
/// Only for a document that cannot be read at all; see [`Unusable`].
pub fn load(bytes: &[u8]) -> Result<Loaded, Unusable> {
    /// First byte of a serialised `google.protobuf.Struct`: field 1, length-delimited.
    const PROTOBUF_FIELD_1: u8 = 0x0a;
    if bytes.iter().all(u8::is_ascii_whitespace) {
        return Ok(load_node(&Node::Map(Vec::new())));
    }
    match parse(bytes) {
        Ok(node @ Node::Map(_)) => Ok(load_node(&node)),
        Ok(other) => Err(Unusable::NotAnObject(other.kind())),
        Err(_) if bytes.first() == Some(&PROTOBUF_FIELD_1) => Err(Unusable::Protobuf),
        Err(error) => Err(Unusable::Syntax(error)),
    }
}

/// Compiles a document that was already read, from JSON or YAML.
#[must_use]
pub fn load_node(node: &Node) -> Loaded {
    let mut problems = Problems::default();
    let mark = problems.mark();
    let settings = PluginSettings::read(node, &mut problems).unwrap_or_default();
    // What cannot be read as rules breaks the global configuration, which would serve their requests.
    let rules = read_rules(node, &mut problems);
    let pool = Pool::compile(settings.providers.as_deref().unwrap_or_default(), &mut problems);
    let statistics = Statistics::compile(settings.statistics.as_ref(), None, &mut problems);
    let chosen = pool.serve(&settings, &mut problems, mark);
    let mut compiled: Vec<Rule> = Vec::with_capacity(rules.len());
    for (index, item) in rules.iter().enumerate() {
        problems.at("_rules_", |problems| {
            problems.at_index(index, |problems| {
                if let Some(rule) = compile_rule(index, item, &pool, &statistics, problems) {
                    shadowed(&rule, &compiled, problems);
                    compiled.push(rule);
                }
            });
        });
    }
    let rules = compiled;
    let serve = chosen.unwrap_or_else(|| unclaimed(&settings, &rules, &mut problems));
    let fallback =
        Rule { name: "global".into(), conditions: Conditions::default(), serve, statistics: Rc::clone(&statistics) };
    let any = |wants: fn(&Rule) -> bool| rules.iter().chain([&fallback]).any(wants);
    let needs_route = any(|rule| rule.conditions.needs_route());
    let needs_cluster = any(|rule| rule.conditions.needs_cluster());
    let max_memory = max_memory(&settings, &mut problems);
    let config = Config { rules, fallback, needs_route, needs_cluster, max_memory };
    Loaded { config, problems: problems.into_found() }
}

/// What happens to requests that no rule matches, where no provider is chosen beside the rules.
///
/// Names of providers that nothing ever chooses are a mistake: were it passed over, every request would go out with the
/// credential that its client brought. A level is switched off on purpose by an empty `activeProviderId`.
fn unclaimed(settings: &PluginSettings, rules: &[Rule], problems: &mut Problems) -> Serve {
    const NOBODY: &str =
        "nothing can ever serve a request: no `activeProviderId`, here or in a rule, chooses one of these";
    let denies = settings.unmatched == Some(UnmatchedSetting::Deny);
    let serves = |rule: &Rule| rule.conditions.can_hold() && !matches!(rule.serve, Serve::Untouched);
    if !rules.iter().any(serves) {
        if settings.active_provider_id.is_some() {
            problems.at("activeProviderId", |problems| {
                problems.warn(Kind::Doubtful { reason: "is empty: Waypost is switched off, and serves no request" });
            });
        } else if settings.providers.as_ref().is_some_and(|providers| !providers.is_empty()) {
            return problems.at("providers", |problems| broken(Kind::Invalid { reason: NOBODY }, problems));
        } else if settings.providers.is_none() {
            problems.warn(Kind::Doubtful {
                reason: if denies {
                    "no provider is configured: every request is answered with 404"
                } else {
                    "no provider is configured: every request passes untouched, with whatever credential it brings"
                },
            });
        }
    }
    if denies { Serve::Denied } else { Serve::Untouched }
}

/// Warns of a rule that no request reaches, because one before it takes all of them. Only `check` says so.
fn shadowed(rule: &Rule, earlier: &[Rule], problems: &mut Problems) {
    if cfg!(not(target_os = "wasi"))
        && rule.conditions.can_hold()
        && let Some(earlier) = earlier.iter().find(|earlier| earlier.conditions.covers(&rule.conditions))
    {
        problems.warn(Kind::Shadowed { by: Rc::clone(&earlier.name) });
    }
}

/// Reports an error at the current place; gives what it makes of the requests concerned.
fn broken(kind: Kind, problems: &mut Problems) -> Serve {
    let mark = problems.mark();
    problems.error(kind);
    Serve::Broken(describe(problems.errors_since(mark)).unwrap_or_default())
}

/// What the requests of a VM may keep together, in bytes.
fn max_memory(settings: &PluginSettings, problems: &mut Problems) -> Option<usize> {
    let bytes = usize::try_from(settings.max_memory_bytes?).ok()?;
    if bytes < memory::MIN_LIMIT {
        problems.at("maxMemoryBytes", |problems| {
            problems.warn(Kind::Doubtful { reason: "is taken for 4194304 (4 MiB), the least there can be" });
        });
    }
    Some(bytes)
}

/// The entries of `_rules_`; a single one stands for a list of one, as in the reference.
fn read_rules<'n>(node: &'n Node, problems: &mut Problems) -> &'n [Node] {
    envelope(node, &["_rules_", "_plugin_id_"], problems);
    match node.get("_rules_") {
        None | Some(Node::Null) => &[],
        Some(Node::List(items)) => items,
        Some(single @ Node::Map(_)) => core::slice::from_ref(single),
        Some(other) => {
            problems
                .at("_rules_", |problems| problems.error(Kind::WrongKind { expected: "a list", found: other.kind() }));
            &[]
        }
    }
}

/// Keys of the envelope's form that nobody reads. A condition or rules that are misspelt would let too much match; what
/// looks like neither is some host's own.
fn envelope(node: &Node, known: &[&'static str], problems: &mut Problems) {
    for (key, _) in node.members().iter().filter(|(key, _)| wire::is_envelope(key) && !known.contains(&key.as_str())) {
        let meant = problem::nearest(key, &mut known.iter().copied());
        problems.at(key, |problems| {
            let dangerous = meant.is_some() || key.starts_with("_match_");
            if dangerous {
                problems.error(Kind::UnknownKey { meant })
            } else {
                problems.warn(Kind::UnknownKey { meant })
            }
        });
    }
}

/// The compiled entries of `providers`, for `activeProviderId` to choose from.
#[derive(Clone, Debug)]
struct Pool(Vec<(String, Serve)>);

impl Pool {
    fn compile(providers: &[Option<ProviderSettings>], problems: &mut Problems) -> Self {
        let mut pool: Vec<(String, Serve)> = Vec::with_capacity(providers.len());
        for (index, settings) in providers.iter().enumerate() {
            let Some(settings) = settings else { continue };
            problems.at("providers", |problems| {
                problems.at_index(index, |problems| {
                    let id = settings.id.clone().unwrap_or_default();
                    if id.is_empty() {
                        problems.error(Kind::Missing { key: "`id` (`activeProviderId` chooses by it)" });
                    } else if pool.iter().any(|(other, _)| *other == id) {
                        problems.at("id", |problems| {
                            problems.error(Kind::Invalid { reason: "another provider has this id" })
                        });
                    }
                    let serve = compile_provider(settings, problems);
                    pool.push((id, serve));
                });
            });
        }
        Self(pool)
    }

    /// What one level of the configuration, global or rule, does with its requests. Errors found since `mark` in the
    /// level itself break it; errors of providers it does not use do not. `None` where it chooses no provider.
    fn serve(&self, settings: &PluginSettings, problems: &mut Problems, mark: usize) -> Option<Serve> {
        let provider = settings
            .provider
            .as_ref()
            .map(|provider| problems.at("provider", |problems| compile_provider(provider, problems)));
        let id = settings.active_provider_id.as_deref();
        if provider.is_none() && id.is_none() {
            // What was meant to choose the provider is misspelt. Without one, requests would pass untouched.
            problems.harden_misspelt(mark, &["provider", "providers", "activeProviderId"]);
        }
        let pool = problems.path_of("providers[");
        if let Some(errors) = describe(problems.errors_since(mark).filter(|problem| !problem.path.starts_with(&pool))) {
            return Some(Serve::Broken(errors));
        }
        if provider.is_some() {
            return provider;
        }
        let id = id.filter(|id| !id.is_empty())?;
        if let Some((_, serve)) = self.0.iter().find(|(known, _)| known == id) {
            return Some(serve.clone());
        }
        Some(problems.at("activeProviderId", |problems| broken(Kind::NoSuchProvider { id: id.to_owned() }, problems)))
    }
}

fn compile_provider(settings: &ProviderSettings, problems: &mut Problems) -> Serve {
    let provider = Provider::compile(settings, problems);
    // Those of reading it are older than this call: a value of the wrong kind is not the same as none.
    match (provider, describe(problems.errors_here())) {
        (Some(provider), None) => Serve::Provider(Rc::new(provider)),
        (_, errors) => Serve::Broken(errors.unwrap_or_default()),
    }
}

fn describe<'p>(errors: impl Iterator<Item = &'p Problem>) -> Option<Rc<str>> {
    let text = errors.map(ToString::to_string).collect::<Vec<_>>().join("; ");
    (!text.is_empty()).then(|| Rc::from(text))
}

/// A rule starts from the global list of providers: `provider` replaces everything, `providers` the list, and without
/// an `activeProviderId` of its own nothing is active: it switches Waypost off for its requests, unless it brought a
/// list of its own to choose from.
fn compile_rule(
    index: usize,
    node: &Node,
    global: &Pool,
    statistics: &Rc<Statistics>,
    problems: &mut Problems,
) -> Option<Rule> {
    let mark = problems.mark();
    let mut list = |key: &str, flaw: fn(&str) -> Option<&'static str>| -> Vec<String> {
        let Some(value) = node.get(key) else { return Vec::new() };
        problems.at(key, |problems| {
            let patterns: Vec<String> = Vec::read(value, problems).unwrap_or_default();
            for (index, reason) in patterns.iter().map(|pattern| flaw(pattern)).enumerate() {
                if let Some(reason) = reason {
                    problems.at_index(index, |problems| problems.warn(Kind::NeverMatches { reason }));
                }
            }
            patterns
        })
    };
    let routes = list("_match_route_", rules::name_flaw);
    let prefixes = list("_match_route_prefix_", rules::prefix_flaw);
    let domains = list("_match_domain_", rules::domain_flaw);
    let services = list("_match_service_", rules::name_flaw);
    let conditions = Conditions::new(routes, prefixes, &domains, services);
    envelope(node, MATCH_KEYS, problems);
    if conditions.is_empty() {
        problems.error(Kind::Missing { key: "a `_match_…_` key (the rule matches nothing without one)" });
    }
    if conditions.kinds() > 1 && !conditions.is_route_and_service() {
        problems.differs(differences::RULE_KINDS);
    }
    let settings = PluginSettings::read(node, problems)?;
    if settings.max_memory_bytes.is_some() {
        problems.at("maxMemoryBytes", |problems| {
            problems.warn(Kind::Inert { reason: "only the global value can bound the memory, which rules share" });
        });
    }
    let own = settings.providers.as_ref().map(|providers| Pool::compile(providers, problems));
    let statistics = match &settings.statistics {
        Some(own) => Statistics::compile(Some(own), Some(statistics), problems),
        None => Rc::clone(statistics),
    };
    if settings.unmatched.is_some() {
        problems.at("unmatched", |problems| {
            problems.warn(Kind::Inert { reason: "only the one beside `_rules_` counts" });
        });
    }
    let own_list = settings.providers.as_ref().is_some_and(|providers| !providers.is_empty());
    let serve = match own.as_ref().unwrap_or(global).serve(&settings, problems, mark) {
        Some(serve) => serve,
        None if own_list && settings.active_provider_id.is_none() => {
            broken(Kind::Missing { key: "`activeProviderId` (it chooses one of the rule's own `providers`)" }, problems)
        }
        None => Serve::Untouched,
    };
    let name = format!("_rules_[{index}]").into();
    (!conditions.is_empty()).then_some(Rule { name, conditions, serve, statistics })
}

const MATCH_KEYS: &[&str] = &["_match_route_", "_match_route_prefix_", "_match_domain_", "_match_service_"];

impl Config {
    /// Every rule, the global one last.
    pub fn rules(&self) -> impl Iterator<Item = &Rule> {
        self.rules.iter().chain([&self.fallback])
    }

    /// Every provider that serves some request, once for each rule that it serves.
    pub fn providers(&self) -> impl Iterator<Item = &Provider> {
        self.rules().filter_map(|rule| match &rule.serve {
            Serve::Provider(provider) => Some(&**provider),
            Serve::Untouched | Serve::Denied | Serve::Broken(_) => None,
        })
    }

    /// Whether a rule looks at the name of the route.
    #[must_use]
    pub const fn needs_route(&self) -> bool {
        self.needs_route
    }

    /// Whether a rule looks at the name of the cluster.
    #[must_use]
    pub const fn needs_cluster(&self) -> bool {
        self.needs_cluster
    }

    /// How many series of metrics there may be.
    #[must_use]
    pub fn max_series(&self) -> usize {
        self.fallback.statistics.max_series
    }

    /// What the requests of a VM may keep together, in bytes, if that is configured.
    #[must_use]
    pub const fn max_memory(&self) -> Option<usize> {
        self.max_memory
    }

    /// Whether there are rules beside the global configuration.
    #[must_use]
    pub const fn has_rules(&self) -> bool {
        !self.rules.is_empty()
    }

    /// The rule that serves a request. Without a match the global configuration serves.
    #[must_use]
    pub fn select(&self, facts: Facts<'_>) -> &Rule {
        self.rules.iter().find(|rule| rule.conditions.hold(facts)).unwrap_or(&self.fallback)
    }
}

#[cfg(test)]
mod tests;
