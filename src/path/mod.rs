//! THE RULE: which upstream path serves an operation. One rule, the same for every endpoint.
//!
//! 1. `endpoints[operation]` is set: exactly that path.
//! 2. `pathMode: preserve`: the client's path, untouched after `stripPrefix`.
//! 3. A path of the vendor's own protocol, on the vendor's host: the client's path, version included; see [`roots`]. (A
//!    provider that speaks nothing else has the base path of `baseUrl` in front.)
//! 4. `baseUrl` is an endpoint, see [`endpoint`]: exactly that path for that operation; its parent is the base, without
//!    version, for all others.
//! 5. Otherwise base path + version prefix + suffix:
//!    the base path of `baseUrl`, else of the preset;
//!    `versionPrefix` if it is set, also to nothing, else nothing if `baseUrl` has a path, else the preset's;
//!    the preset's suffix for the operation, else the canonical one.
//! 6. What is no known operation is passed through: a leading version is replaced by the version prefix, the base path
//!    is put in front.
//!
//! Everything that does not depend on the request is computed once, by [`Paths::compile`]. A request looks its
//! operation up and fills a [`Template`]. The rule gives its own output back when it is applied to it again, so that a
//! retry of an upstream filter, which sees headers that are already rewritten, changes nothing.

pub mod base_url;
pub mod endpoint;
pub mod query;
pub mod roots;
pub mod segment;
pub mod spelling;
pub mod template;

use crate::operation::{ClientPath, Dialect, Operation, is_version};
use crate::provider::{At, Preset};
use crate::removal::Removal;
use base_url::{BaseUrl, normal_path};
use endpoint::Key;
use query::{Query, Swap};
use roots::Roots;
use segment::Unsafe;
use template::{SlotError, Template};

/// What the client's path becomes when no endpoint is set.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub enum Mode {
    /// By the rule.
    #[default]
    Compose,
    /// Untouched.
    Preserve,
}

/// The settings of one provider that the rule looks at. `None` is unset everywhere; empty is a value.
#[derive(Clone, Debug, Default)]
pub struct PathSettings {
    /// `baseUrl`.
    pub base: Option<BaseUrl>,
    /// The key that gives it.
    pub key: Key,
    /// `versionPrefix`, normalised: empty, or begins with a slash.
    pub version: Option<String>,
    /// `endpoints`: path and query.
    pub endpoints: Vec<(Operation, Template, Query)>,
    /// `pathMode`.
    pub mode: Mode,
    /// `stripPrefix`, normalised.
    pub strip_prefix: String,
    /// Put in front of every path the rule composes (Higress: `providerBasePath`, `basePath` with `prepend`).
    pub prepend: String,
    /// `operations`: what the provider is restricted to.
    pub operations: Option<Vec<Operation>>,
    /// `passthrough: false` refuses what is no known operation.
    pub refuse_passthrough: bool,
    /// Values for the `{slot}`s of the preset.
    pub slots: Vec<(&'static str, String)>,
}

/// Where the base path came from.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum BaseFrom {
    /// `baseUrl` has a path.
    BaseUrl,
    /// The parent of the endpoint that `baseUrl` names.
    Parent,
    /// The preset.
    Preset,
}

/// Where the version prefix came from.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum VersionFrom {
    /// `versionPrefix`, possibly empty.
    Setting,
    /// None, because `baseUrl` has a path.
    BaseUrlHasPath,
    /// The preset.
    Preset,
}

/// Why a path is what it is: which line of the rule decided.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Why {
    /// Line 1.
    Endpoint,
    /// Line 2.
    Preserve,
    /// Line 3.
    Own,
    /// Line 4: `baseUrl` is the endpoint of this operation.
    WholeUrl,
    /// Line 5; `preset_suffix` tells whether the suffix is not the canonical one.
    Composed {
        /// Where the base path came from.
        base: BaseFrom,
        /// Where the version prefix came from.
        version: VersionFrom,
        /// Whether the preset has another suffix than the canonical one.
        preset_suffix: bool,
    },
    /// A whole path of the preset, outside its base path.
    PresetPath,
    /// Line 6.
    Passthrough {
        /// Where the base path came from.
        base: BaseFrom,
        /// Where the version prefix came from.
        version: VersionFrom,
    },
}

/// Why a request is not sent upstream.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Refusal {
    /// `operations` does not name it.
    NotListed,
    /// `passthrough: false`, and the path is no known operation.
    UnknownPath,
    /// The provider speaks other dialects; the body would have to be converted.
    Conversion {
        /// What the client speaks.
        client: Dialect,
    },
    /// The path, or a part of it, is not safe to forward.
    Unsafe(Unsafe),
    /// The upstream path holds the model and the request names none.
    NoModel,
}

/// The finished decision for one operation.
#[derive(Clone, Debug)]
struct Route {
    /// Index of the preset's surface that serves it; `None` where the provider as a whole does.
    surface: Option<usize>,
    plan: Plan,
}

#[derive(Clone, Debug)]
enum Plan {
    Refuse(Refusal),
    Fill {
        template: Template,
        query: Query,
        why: Why,
        parts: Parts,
        /// The name of the query parameter that holds the model; `None` keeps the client's.
        model_parameter: Option<String>,
    },
    /// Nothing but the vendor's own protocol is spoken: the path is kept.
    Own,
    Passthrough {
        base: String,
        version: String,
        base_from: BaseFrom,
        version_from: VersionFrom,
    },
}

/// What a composed path was put together from; empty for every other kind.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Parts {
    /// The base path.
    pub base: String,
    /// The version prefix.
    pub version: String,
    /// The suffix, with its slots.
    pub suffix: String,
}

/// The upstream paths of one provider, for every operation.
#[derive(Clone, Debug)]
pub struct Paths {
    routes: Vec<Route>,
    mode: Mode,
    strip_prefix: String,
    prepend: String,
    /// The vendor's own paths.
    roots: Roots,
    /// The model lists of all but the first surface.
    lists: Vec<(Dialect, Operation, Route)>,
    query: Query,
    passthrough: Option<Refusal>,
    listed: Vec<bool>,
}

/// An upstream path and why it is this one.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Resolved {
    /// Path and query, ready for `:path`; the credential is not in it.
    pub path: String,
    /// What decided.
    pub why: Why,
    /// Whether path or query hold the model, and so the mapped one.
    pub holds_model: bool,
    /// Index of the preset's surface, for authority, credential and headers; `None` for the vendor's own protocol.
    pub surface: Option<usize>,
}

/// What a request brings to the rule beside its path.
#[derive(Clone, Copy, Debug, Default)]
pub struct Fill<'a> {
    /// The model as it goes upstream, where it is not already the id in the client's path.
    pub model: Option<&'a str>,
    /// What of the client's query does not go upstream; nothing is removed without it.
    pub removal: Option<&'a Removal>,
    /// Whose model list is asked for, where the request tells.
    pub list: Option<Dialect>,
}

impl Paths {
    /// Computes every path that can be computed without a request.
    ///
    /// # Errors
    /// A preset's template has a slot without a value.
    pub fn compile(settings: &PathSettings, preset: &Preset) -> Result<Self, SlotError> {
        let base = Base::of(settings);
        let query = settings.base.as_ref().map(|base| base.query.clone()).unwrap_or_default();
        let mut routes = Vec::with_capacity(Operation::COUNT);
        let mut listed = Vec::with_capacity(Operation::COUNT);
        for operation in Operation::all() {
            routes.push(base.route(settings, preset, operation, None, &query)?);
            // An operation that only one vendor has is also what is passed through.
            let passes = operation.is_native();
            listed.push(
                settings
                    .operations
                    .as_ref()
                    .is_none_or(|list| list.contains(&operation) || (passes && list.contains(&Operation::Passthrough))),
            );
        }
        let mut lists = Vec::new();
        for (index, surface) in preset.surfaces.iter().enumerate().skip(1) {
            for operation in Operation::all().filter(|operation| operation.is_model_list()) {
                let route = base.route(settings, preset, operation, Some(index), &query)?;
                lists.push((surface.dialect, operation, route));
            }
        }
        Ok(Self {
            routes,
            lists,
            listed,
            mode: settings.mode,
            strip_prefix: settings.strip_prefix.clone(),
            prepend: settings.prepend.clone(),
            roots: Roots::compile(settings, preset, base.path),
            query,
            passthrough: settings.refuse_passthrough.then_some(Refusal::UnknownPath),
        })
    }

    /// The operation's route, or why it has none; also the index of its surface.
    fn route(&self, operation: Operation) -> Option<&Route> {
        self.routes.get(operation.index())
    }

    /// What the path of an operation is put together from, where line 5 of the rule composes it; for people.
    #[must_use]
    pub fn parts(&self, operation: Operation) -> Option<&Parts> {
        match &self.route(operation)?.plan {
            Plan::Fill { parts, .. } => Some(parts),
            Plan::Refuse(_) | Plan::Own | Plan::Passthrough { .. } => None,
        }
    }

    /// Whether the upstream path holds a model that only the body names, so that headers must wait for the body.
    #[must_use]
    pub fn needs_body_model(&self, client: &ClientPath<'_>) -> bool {
        client.id("model").is_none()
            && self.route(client.operation).is_some_and(|route| match &route.plan {
                // An endpoint wins over a preserved path and over the vendor's own, as in `resolve`.
                Plan::Fill { template, why, .. } => {
                    template.has_model()
                        && (*why == Why::Endpoint || (self.mode == Mode::Compose && !self.is_own(client)))
                }
                Plan::Refuse(_) | Plan::Own | Plan::Passthrough { .. } => false,
            })
    }

    /// Whether the client's path names a model and the upstream's does not, so that the body must.
    #[must_use]
    pub fn drops_model(&self, client: &ClientPath<'_>) -> bool {
        client.has_deployment()
            && self.route(client.operation).is_some_and(|route| match &route.plan {
                Plan::Fill { template, why, .. } => {
                    !template.has_model() && (*why == Why::Endpoint || self.mode == Mode::Compose)
                }
                Plan::Refuse(_) | Plan::Own | Plan::Passthrough { .. } => false,
            })
    }

    /// Applies the rule.
    ///
    /// # Errors
    /// Why the request is not sent upstream.
    pub fn resolve(&self, client: &ClientPath<'_>, fill: Fill<'_>) -> Result<Resolved, Refusal> {
        let own = self.is_own(client);
        let route = self.route(client.operation).ok_or(Refusal::UnknownPath)?;
        self.admit(client, own || !matches!(route.plan, Plan::Passthrough { .. }))?;
        let list =
            |dialect| self.lists.iter().find(|(of, operation, _)| (*of, *operation) == (dialect, client.operation));
        let route = fill.list.and_then(list).map_or(route, |(_, _, route)| route);
        let mut path = String::with_capacity(client.path.len().saturating_add(self.prepend.len()).saturating_add(64));
        let endpoint = matches!(&route.plan, Plan::Fill { why: Why::Endpoint, .. });
        let own = !endpoint && (own || matches!(route.plan, Plan::Own));
        let mut holds_model = false;
        let mut model_parameter = None;
        let (query, why) = if self.mode == Mode::Preserve && !endpoint {
            segment::check_path(client.path).map_err(Refusal::Unsafe)?;
            path.push_str(self.stripped(client.path));
            (&self.query, Why::Preserve)
        } else if own {
            segment::check_path(client.path).map_err(Refusal::Unsafe)?;
            push_under(&mut path, &self.roots.base, self.stripped(client.path));
            (&self.query, Why::Own)
        } else {
            match &route.plan {
                Plan::Refuse(refusal) => return Err(*refusal),
                Plan::Own => return Err(Refusal::UnknownPath),
                Plan::Fill { template, query, why, model_parameter: own, .. } => {
                    model_parameter = own.as_deref();
                    template.fill(&mut path, client, fill.model)?;
                    if client.operation.dialect() == Some(Dialect::Gemini) {
                        keep_publisher(&mut path, client)?;
                    }
                    if client.operation.is_family() {
                        segment::check_path(client.path).map_err(Refusal::Unsafe)?;
                        let root = client.operation.suffix().unwrap_or_default();
                        path.push_str(client.suffix.strip_prefix(root).unwrap_or_default());
                    }
                    holds_model = template.has_model();
                    (query, *why)
                }
                Plan::Passthrough { base, version, base_from, version_from } => {
                    segment::check_path(client.path).map_err(Refusal::Unsafe)?;
                    pass(&mut path, base, version, self.stripped(client.path));
                    (&self.query, Why::Passthrough { base: *base_from, version: *version_from })
                }
            }
        };
        if !self.prepend.is_empty() && !begins_with_segments(&path, &self.prepend) {
            path.insert_str(0, &self.prepend);
        }
        if path.is_empty() {
            path.push('/');
        }
        let from = client.operation.model_parameters();
        let swap = fill.model.filter(|_| !from.is_empty()).map(|value| Swap { from, name: model_parameter, value });
        holds_model |= swap.is_some();
        match fill.removal {
            Some(removal) => query.append(&mut path, client.query, removal, swap),
            None => query.append(&mut path, client.query, &Removal::default(), swap),
        }
        let surface = route.surface.filter(|_| why != Why::Own);
        Ok(Resolved { path, why, holds_model, surface })
    }

    /// Whether a client asks with this path whether there is a server at all, with a `HEAD` request: Claude Code does so
    /// before anything else, at the base URL and, since 2026, below it at `/api/hello` (CLIProxyAPI#5905).
    #[must_use]
    pub fn is_probe(&self, client: &ClientPath<'_>) -> bool {
        let path = self.stripped(client.path);
        path == "/" || path.ends_with("/api/hello")
    }

    /// `known` says that it is an operation of the provider's, or a path of the vendor's own.
    fn admit(&self, client: &ClientPath<'_>, known: bool) -> Result<(), Refusal> {
        if !self.listed.get(client.operation.index()).copied().unwrap_or(false) {
            return Err(Refusal::NotListed);
        }
        match self.passthrough {
            Some(refusal) if !known => Err(refusal),
            _ => Ok(()),
        }
    }

    fn is_own(&self, client: &ClientPath<'_>) -> bool {
        self.roots.holds(self.stripped(client.path)) && !client.has_deployment()
    }

    /// The client's path without `stripPrefix`; always begins with a slash unless it is empty.
    fn stripped<'p>(&self, path: &'p str) -> &'p str {
        if self.strip_prefix.is_empty() || !begins_with_segments(path, &self.strip_prefix) {
            return path;
        }
        match path.get(self.strip_prefix.len()..) {
            Some("") | None => "/",
            Some(rest) => rest,
        }
    }
}

/// Base path and version prefix of `baseUrl`, before a preset fills what is unset.
struct Base<'s> {
    path: Option<&'s str>,
    /// The operation whose endpoint the whole URL is.
    whole: Option<(Operation, &'s str)>,
}

impl<'s> Base<'s> {
    fn of(settings: &'s PathSettings) -> Self {
        let path = settings.base.as_ref().map(|base| base.path.as_str()).filter(|path| !path.is_empty());
        let Some(path) = path else { return Self { path: None, whole: None } };
        match endpoint::named_by(path, settings.key) {
            Some((operation, parent)) => Self { path: Some(parent), whole: Some((operation, path)) },
            None => Self { path: Some(path), whole: None },
        }
    }

    fn route(
        &self,
        settings: &PathSettings,
        preset: &Preset,
        operation: Operation,
        list: Option<usize>,
        query: &Query,
    ) -> Result<Route, SlotError> {
        // A family is no protocol: vendors of any dialect may have resources of that name.
        let shared = operation.is_model_list() || operation.is_family();
        let dialect = if shared { None } else { operation.dialect() };
        let surface = match dialect {
            Some(dialect) => preset.surfaces.iter().position(|surface| surface.dialect == dialect),
            None if preset.surfaces.is_empty() => return Ok(Route { surface: None, plan: Plan::Own }),
            None => list.or(Some(0)),
        };
        if let Some((_, template, own)) = settings.endpoints.iter().find(|(op, ..)| *op == operation) {
            let mut merged = own.clone();
            merged.extend(query);
            let plan = Plan::Fill {
                template: template.clone(),
                query: merged,
                why: Why::Endpoint,
                parts: Parts::default(),
                model_parameter: None,
            };
            return Ok(Route { surface, plan });
        }
        if let Some((op, path)) = self.whole
            && op == operation
        {
            let template = Template::literal(path);
            let (query, parts) = (query.clone(), Parts::default());
            let plan = Plan::Fill { template, query, why: Why::WholeUrl, parts, model_parameter: None };
            return Ok(Route { surface, plan });
        }
        let Some(spoken) = surface.and_then(|index| preset.surfaces.get(index)) else {
            let refusal = dialect.map_or(Refusal::UnknownPath, |client| Refusal::Conversion { client });
            return Ok(Route { surface: None, plan: Plan::Refuse(refusal) });
        };
        let slots = &settings.slots;
        let (base, base_from) = match (self.path, self.whole) {
            (Some(path), None) => (path.to_owned(), BaseFrom::BaseUrl),
            (Some(path), Some(_)) => (path.to_owned(), BaseFrom::Parent),
            (None, _) => (template::fill_slots(spoken.base, slots), BaseFrom::Preset),
        };
        let (version, version_from) = match (&settings.version, base_from) {
            (_, BaseFrom::Parent) => (String::new(), VersionFrom::BaseUrlHasPath),
            (Some(version), _) => (version.clone(), VersionFrom::Setting),
            (None, BaseFrom::BaseUrl) => (String::new(), VersionFrom::BaseUrlHasPath),
            (None, BaseFrom::Preset) => (template::fill_slots(spoken.version, slots), VersionFrom::Preset),
        };
        let Some(canonical) = operation.suffix() else {
            return Ok(Route { surface, plan: Plan::Passthrough { base, version, base_from, version_from } });
        };
        let special = spoken.paths.iter().find(|(op, _)| *op == operation).map(|(_, at)| *at);
        let composed = |preset_suffix| Why::Composed { base: base_from, version: version_from, preset_suffix };
        let (parts, why) = match special {
            Some(At::Path(path)) if base_from == BaseFrom::Preset => {
                (Parts { suffix: path.to_owned(), ..Parts::default() }, Why::PresetPath)
            }
            Some(At::Suffix(suffix)) => (Parts { base, version, suffix: suffix.to_owned() }, composed(true)),
            Some(At::Path(_)) | None => (Parts { base, version, suffix: canonical.to_owned() }, composed(false)),
        };
        let text = template::fill_slots(&format!("{}{}{}", parts.base, parts.version, parts.suffix), slots);
        // A preset's path may have one parameter, that of the model. Where the model is fixed it has its value already.
        let (text, parameter) = text.split_once('?').unwrap_or((&text, ""));
        let mut query = query.clone();
        if !parameter.ends_with("={model}") {
            query.extend(&Query::parse(parameter));
        }
        let usual = || operation.model_parameters().first().copied().filter(|_| base_from == BaseFrom::Preset);
        let model_parameter = parameter.split_once('=').map(|(name, _)| name).or_else(usual).map(ToOwned::to_owned);
        let template = Template::parse(text, operation)?;
        Ok(Route { surface, plan: Plan::Fill { template, query, why, parts, model_parameter } })
    }
}

/// Line 6. A path that already stands under the base path, or where there is none under the version, is left as it is.
fn pass(out: &mut String, base: &str, version: &str, path: &str) {
    let under = if base.is_empty() { version } else { base };
    if !under.is_empty() && begins_with_segments(path, under) {
        out.push_str(path);
        return;
    }
    out.push_str(base);
    let rest = path.strip_prefix('/').unwrap_or(path);
    let (first, tail) = match rest.find('/').and_then(|slash| rest.split_at_checked(slash)) {
        Some(parts) => parts,
        None => (rest, ""),
    };
    if is_version(first) {
        out.push_str(version);
        out.push_str(tail);
    } else if path != "/" || base.is_empty() {
        out.push_str(path);
    }
}

/// What stands before the name of whoever made a model, in paths of Google's Vertex AI.
const PUBLISHERS: &str = "/publishers/";

/// The client's publisher in place of the preset's: a model of one is no model of another.
fn keep_publisher(path: &mut String, client: &ClientPath<'_>) -> Result<(), Refusal> {
    let Some(sent) = client.prefix.rsplit_once(PUBLISHERS).map(|(_, sent)| sent).filter(|sent| !sent.contains('/'))
    else {
        return Ok(());
    };
    let Some((before, (_, after))) =
        path.split_once(PUBLISHERS).and_then(|(before, rest)| Some((before, rest.split_once('/')?)))
    else {
        return Ok(());
    };
    let mut kept = format!("{before}{PUBLISHERS}");
    segment::push_as_sent(&mut kept, sent).map_err(Refusal::Unsafe)?;
    kept.push('/');
    kept.push_str(after);
    *path = kept;
    Ok(())
}

fn push_under(out: &mut String, base: &str, path: &str) {
    if base.is_empty() || !begins_with_segments(path, base) {
        out.push_str(base);
    }
    out.push_str(path);
}

/// Whether `path` begins with the whole segments of `prefix`; every path begins with the empty prefix.
fn begins_with_segments(path: &str, prefix: &str) -> bool {
    path.strip_prefix(prefix).is_some_and(|rest| prefix.is_empty() || rest.is_empty() || rest.starts_with('/'))
}

/// A version prefix as written (`v1`, `/v1`, `/v1/`, `/` or nothing) in the form the rule joins: `/v1`, or empty.
///
/// # Errors
/// Dot segments, `?`, `#`, `%`, spaces and control characters.
pub fn version_prefix(text: &str) -> Result<String, Unsafe> {
    if text.contains(['?', '#', '%', '\\']) {
        return Err(Unsafe::Control);
    }
    segment::check_path(text)?;
    Ok(normal_path(text))
}

#[cfg(test)]
mod tests;
