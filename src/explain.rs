//! The decision about one request, written out for people. It calls what the filter calls.

use crate::config::{Config, Provider};
use crate::error::Error;
use crate::exchange::body::Flow;
use crate::exchange::decide::{Body, Client, Decision, Upstream, Verdict, decide};
use crate::exchange::head::Head;
use crate::exchange::{body_model, unholdable};
use crate::operation::{ClientPath, Dialect, Operation, is_version};
use crate::path::{BaseFrom, VersionFrom, Why};
use core::fmt;
use serde_json::{Value, json};
use std::rc::Rc;

/// One line of the trace.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Step {
    /// What was decided: `rule`, `provider`, `operation`, `model`, `path`, `query`, `host`, `credential`, `body`, `reply`.
    pub what: &'static str,
    /// How, and why.
    pub detail: String,
}

/// A decision with its reasons. Secrets in it are `***`.
#[derive(Debug)]
pub struct Explanation {
    method: String,
    decision: Decision,
    reply: Option<(u16, String)>,
    steps: Vec<Step>,
}

/// A request to explain.
#[derive(Clone, Copy, Debug)]
pub struct Request<'a> {
    /// `GET`, `POST`, …
    pub method: &'a str,
    /// Host, path, route and cluster.
    pub client: Client<'a>,
    /// The header fields, `:method` among them.
    pub head: &'a Head,
    /// The body, if it is known. An empty one is a request without body.
    pub body: Option<&'a [u8]>,
}

/// Explains what becomes of a request.
#[must_use]
pub fn explain(config: &Config, request: Request<'_>) -> Explanation {
    let bodiless = matches!(request.method, "GET" | "HEAD" | "DELETE" | "OPTIONS");
    let absent = request.body.map_or(bodiless, <[u8]>::is_empty);
    let pending = if absent { Body::Absent } else { Body::Pending };
    let mut decision = decide(config, request.client, request.head, pending);
    if let Some(provider) = decision.provider.clone().filter(|_| !absent) {
        with_body(config, &request, &provider, &mut decision);
    }
    let reply = decision.verdict.reply().map(|reply| (reply.status, reply.body));
    let steps = steps(config, &request, &decision);
    Explanation { method: request.method.to_owned(), decision, reply, steps }
}

/// What the body changes about a decision that was made without it, as in [`crate::exchange::Exchange`].
fn with_body(config: &Config, request: &Request<'_>, provider: &Rc<Provider>, decision: &mut Decision) {
    let refuse = |error, operation: Operation| Verdict::Refuse(error, operation.dialect().unwrap_or(Dialect::OpenAi));
    let holds = match &decision.verdict {
        Verdict::NeedsBody => true,
        Verdict::Send(upstream) if upstream.flow == Flow::Buffer => true,
        Verdict::Send(upstream) if upstream.flow == Flow::Chunks => false,
        Verdict::Send(upstream) if upstream.flow == Flow::Observe && !provider.original => false,
        Verdict::Send(_) | Verdict::Untouched | Verdict::Answer(_) | Verdict::Refuse(..) => return,
    };
    let found = match (unholdable(provider, decision.operation, request.head).filter(|_| holds), request.body) {
        (Some(error), _) => Err(error),
        (None, None) => return,
        (None, Some(body)) => {
            let target = request.client.path.and_then(|path| core::str::from_utf8(path).ok()).unwrap_or_default();
            body_model(provider, &ClientPath::read(target, &mut String::new()), request.head, body)
        }
    };
    let found = match found {
        Ok(found) => found,
        // What is not edited is the upstream's to judge.
        Err(_) if matches!(&decision.verdict, Verdict::Send(upstream) if upstream.flow == Flow::Observe) => return,
        Err(error) => {
            decision.verdict = refuse(error, decision.operation);
            return;
        }
    };
    if matches!(decision.verdict, Verdict::NeedsBody) {
        let known = found.as_ref().map_or(Body::NoModel, |model| Body::Model(&model.requested));
        *decision = decide(config, request.client, request.head, known);
    }
    if let Verdict::Send(upstream) = &mut decision.verdict {
        upstream.model = upstream.model.take().or(found);
    }
}

impl Explanation {
    /// The trace.
    #[must_use]
    pub fn steps(&self) -> &[Step] {
        &self.steps
    }

    /// Host and path upstream, where the request is sent. A credential in the path is `***`.
    #[must_use]
    pub fn upstream(&self) -> Option<(Option<&str>, String)> {
        match &self.decision.verdict {
            Verdict::Send(upstream) => Some((upstream.authority(), upstream.shown_path())),
            Verdict::Untouched | Verdict::NeedsBody | Verdict::Answer(_) | Verdict::Refuse(..) => None,
        }
    }

    /// The rule that serves the request: `_rules_[0]` or `global`.
    #[must_use]
    pub fn rule(&self) -> &str {
        &self.decision.rule
    }

    /// Whether the request is answered here, with an error.
    #[must_use]
    pub const fn is_refused(&self) -> bool {
        self.reply.is_some()
    }

    /// Whether a problem of the configuration is why the request is refused.
    #[must_use]
    pub fn is_because_of(&self, problem: &str) -> bool {
        matches!(&self.decision.verdict, Verdict::Refuse(Error::Configuration(reason), _) if reason.contains(problem))
    }

    /// The whole decision as one object.
    #[must_use]
    pub fn to_json(&self) -> Value {
        let Decision { rule, provider, operation, verdict, .. } = &self.decision;
        let provider = provider.as_ref().map(|provider| json!({ "id": provider.id, "type": provider.preset.name }));
        let steps: Vec<_> = self.steps.iter().map(|step| json!({ "step": step.what, "detail": step.detail })).collect();
        let mut out = json!({
            "outcome": outcome(verdict),
            "rule": &**rule,
            "provider": provider,
            "operation": operation.name(),
            "upstream": null,
            "model": null,
            "headers": null,
            "reply": null,
            "steps": steps,
        });
        let Some(fields) = out.as_object_mut() else { return out };
        if let Verdict::Send(upstream) = verdict {
            fields.insert(
                "upstream".to_owned(),
                json!({ "authority": upstream.authority(), "path": upstream.shown_path() }),
            );
            if let Some(model) = &upstream.model {
                let value =
                    json!({ "requested": model.requested, "upstream": model.upstream, "mapping": model.mapping });
                fields.insert("model".to_owned(), value);
            }
            let set: serde_json::Map<_, _> =
                shown_headers(upstream).map(|(name, value)| (name, json!(value))).collect();
            fields.insert("headers".to_owned(), json!({ "set": set, "removed": upstream.edits.remove }));
        }
        if let Some((status, body)) = &self.reply {
            let body = serde_json::from_str(body).unwrap_or(Value::Null);
            fields.insert("reply".to_owned(), json!({ "status": status, "body": body }));
        }
        out
    }
}

const fn outcome(verdict: &Verdict) -> &'static str {
    match verdict {
        Verdict::Untouched => "untouched",
        Verdict::Answer(_) => "answer",
        Verdict::NeedsBody => "needs_body",
        Verdict::Send(_) => "send",
        Verdict::Refuse(..) => "refuse",
    }
}

/// The headers that are set, with the credential as `***` behind its scheme.
fn shown_headers(upstream: &Upstream) -> impl Iterator<Item = (String, String)> {
    upstream.edits.set.iter().enumerate().map(|(index, (name, value))| {
        let credential = upstream.edits.credential.as_ref().filter(|(at, _)| *at == index);
        let shown = if let Some((_, shown)) = credential {
            format!("{}***", value.get(..*shown).unwrap_or_default())
        } else if name == ":path" {
            upstream.shown_path()
        } else if index < upstream.edits.hidden {
            "***".to_owned()
        } else {
            value.clone()
        };
        (name.clone().into_owned(), shown)
    })
}

fn steps(config: &Config, request: &Request<'_>, decision: &Decision) -> Vec<Step> {
    let mut steps = Vec::new();
    let mut step = |what, detail: String| steps.push(Step { what, detail });
    let client = request.client.path.and_then(|path| core::str::from_utf8(path).ok()).unwrap_or_default();
    let mut spelled = String::new();
    let path = ClientPath::read(client, &mut spelled);
    step("rule", rule(config, request, &decision.rule));
    if let Some(provider) = &decision.provider {
        step("provider", format!("{}, {}", provider.label(), provider.preset.title));
    }
    step("operation", operation(request.method, decision.operation, &path));
    match &decision.verdict {
        Verdict::Answer(_) => step("reply", "a client asks whether there is a server: answered here".to_owned()),
        Verdict::Untouched => step("reply", "no provider is configured here: the request passes untouched".to_owned()),
        Verdict::NeedsBody => {
            step("body", "the upstream path holds the model: headers are held until the body is there".to_owned())
        }
        Verdict::Refuse(error, dialect) => {
            step("reply", format!("{} {} in {dialect} form: {}", error.status(), error.code(), error.message()));
            if let (Error::ConversionNeeded { .. }, Some(provider)) = (error, &decision.provider) {
                let spoken: Vec<_> = provider.preset.surfaces.iter().map(|surface| surface.dialect.name()).collect();
                step(
                    "reply",
                    format!(
                        "{} speaks: {}",
                        provider.preset.name,
                        if spoken.is_empty() { "its own protocol only".to_owned() } else { spoken.join(", ") }
                    ),
                );
            }
        }
        Verdict::Send(upstream) => {
            if let Some(model) = &upstream.model {
                let by = model
                    .mapping
                    .as_ref()
                    .map_or_else(|| "no mapping".to_owned(), |key| format!("by modelMapping `{key}`"));
                step("model", format!("{:?} -> {:?}, {by}", model.requested, model.upstream));
            }
            if let Some(provider) = &decision.provider {
                step("path", why(provider, decision.operation, upstream.why));
                if let Some(folded) = folded(provider, upstream.why) {
                    step("path", folded);
                }
                if let Some(query) = upstream
                    .shown_path()
                    .split_once('?')
                    .map(|(_, query)| query)
                    .filter(|query| Some(*query) != path.query)
                {
                    step("query", format!("`{query}`: the client's, with the operator's values over them"));
                }
                step("host", host(upstream));
                step("credential", credential(provider, upstream));
                step("body", if decision.tunnel { TUNNEL.to_owned() } else { body(upstream.flow) });
            }
        }
    }
    steps
}

fn rule(config: &Config, request: &Request<'_>, rule: &str) -> String {
    let seen = |name: &str, value: Option<&str>| {
        value.map_or_else(|| format!("no {name}"), |value| format!("{name} `{value}`"))
    };
    let host = request.client.authority.and_then(|bytes| core::str::from_utf8(bytes).ok());
    let mut facts = vec![seen("host", host)];
    if config.needs_route() {
        facts.push(seen("route", request.client.route));
    }
    if config.needs_cluster() {
        facts.push(seen("cluster", request.client.cluster));
    }
    let facts = facts.join(", ");
    match rule {
        "global" if config.has_rules() => format!("no rule matches {facts}: the global configuration serves"),
        "global" => "the global configuration serves; there are no rules".to_owned(),
        rule => format!("{rule} is the first that matches {facts}"),
    }
}

fn operation(method: &str, operation: Operation, path: &ClientPath<'_>) -> String {
    let or_none = |text: &str| if text.is_empty() { "none".to_owned() } else { format!("`{text}`") };
    match operation {
        Operation::Passthrough if path.operation != operation => {
            format!("passthrough: a request with {method} uses no operation and gets no credential")
        }
        Operation::Passthrough => match looks_like(path.path) {
            Some((operation, between)) => format!(
                "passthrough: `{}` ends like {operation}, but `{between}` stands between that and the version, so it is the \
                 vendor's own API",
                path.path
            ),
            None => format!("passthrough: `{}` is no known operation", path.path),
        },
        operation => format!(
            "{operation}: suffix `{}`, version {}, client prefix {}",
            path.suffix,
            or_none(path.version),
            or_none(path.prefix)
        ),
    }
}

/// The operation that a path ends like, and what stands between a version and that end.
fn looks_like(path: &str) -> Option<(Operation, &str)> {
    Operation::all().filter(|operation| operation.words() == 1).find_map(|operation| {
        let before = path.strip_suffix(operation.suffix()?)?;
        let at = before.rmatch_indices('/').map(|(at, _)| at).find(|at| {
            let rest = before.get(at.saturating_add(1)..).unwrap_or_default();
            is_version(rest.split('/').next().unwrap_or_default())
        })?;
        let behind = before.get(at.saturating_add(1)..)?.split_once('/')?.1;
        Some((operation, behind))
    })
}

fn why(provider: &Provider, operation: Operation, why: Why) -> String {
    let base_from = |from| match from {
        BaseFrom::BaseUrl => "of baseUrl",
        BaseFrom::Parent => "the parent of the endpoint in baseUrl",
        BaseFrom::Preset => "of the preset",
    };
    let version_from = |from| match from {
        VersionFrom::Setting => "versionPrefix is set",
        VersionFrom::BaseUrlHasPath => "baseUrl has a path, so nothing is added",
        VersionFrom::Preset => "of the preset",
    };
    let or_none = |text: &str| if text.is_empty() { "none".to_owned() } else { format!("`{text}`") };
    let parts = provider.paths.parts(operation).cloned().unwrap_or_default();
    match why {
        Why::Endpoint => format!("endpoints.{operation} is set: exactly this path"),
        Why::Preserve => "pathMode is preserve: the client's path".to_owned(),
        Why::Own => "the vendor's own protocol: the client's path, version included".to_owned(),
        Why::WholeUrl => format!("baseUrl is the endpoint of {operation}: exactly this path"),
        Why::PresetPath => format!("the preset has `{}` for {operation}", parts.suffix),
        Why::Composed { base, version, preset_suffix } => format!(
            "base path {} ({}) + version {} ({}) + suffix `{}` ({})",
            or_none(&parts.base),
            base_from(base),
            or_none(&parts.version),
            version_from(version),
            parts.suffix,
            if preset_suffix { "of the preset" } else { "canonical" }
        ),
        Why::Passthrough { base, version } => format!(
            "passed through: base path {}, a leading version becomes the version prefix ({})",
            base_from(base),
            version_from(version)
        ),
    }
}

/// That a base URL with a path stands for APIs which the preset has at several places.
fn folded(provider: &Provider, why: Why) -> Option<String> {
    let by_base = matches!(why, Why::Composed { base: BaseFrom::BaseUrl | BaseFrom::Parent, .. });
    let surfaces = provider.preset.surfaces;
    let first = surfaces.first().filter(|_| by_base)?;
    let elsewhere = surfaces.iter().any(|surface| (surface.base, surface.version) != (first.base, first.version));
    let spoken: Vec<_> = surfaces.iter().map(|surface| surface.dialect.name()).collect();
    elsewhere.then(|| {
        format!(
            "{} has {} at different base paths; the path of baseUrl is the base of them all",
            provider.preset.name,
            spoken.join(" and ")
        )
    })
}

fn host(upstream: &Upstream) -> String {
    match upstream.authority() {
        Some(authority) => format!("`{authority}`; connection and TLS are the Envoy cluster's"),
        None => "the client's: none is configured".to_owned(),
    }
}

fn credential(provider: &Provider, upstream: &Upstream) -> String {
    let set = upstream.edits.credential.as_ref().and_then(|(index, _)| shown_headers(upstream).nth(*index));
    let put = match set {
        Some((name, value)) => format!("`{name}: {value}`"),
        None if upstream.credential_at.is_some() => "`***` in the query".to_owned(),
        None => "none".to_owned(),
    };
    let removed = &upstream.edits.remove;
    let removed = if removed.is_empty() { "nothing".to_owned() } else { removed.join(", ") };
    format!("{put} (auth: {}); removed: {removed}", provider.auth.name())
}

/// What becomes of everything behind the headers of a request to switch protocols.
const TUNNEL: &str = "there is none; the connection becomes a tunnel, in which nothing is read or changed";

fn body(flow: Flow) -> String {
    match flow {
        Flow::Pass | Flow::Observe => "passes untouched",
        Flow::Unread => "passes untouched, because its type or encoding does not let it be read",
        Flow::Chunks => "is edited as it passes; its length is not sent",
        Flow::Buffer => "is edited as a whole, because a rule depends on its model; its length is not sent",
        Flow::Hold => "is held with the headers: one of them depends on it",
    }
    .to_owned()
}

impl fmt::Display for Explanation {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        /// Width of the first column: the longest name of a step.
        const WIDTH: usize = 10;
        for Step { what, detail } in &self.steps {
            writeln!(f, "{what:<WIDTH$}  {detail}")?;
        }
        let arrow = match (&self.decision.verdict, &self.reply) {
            (Verdict::Send(upstream), _) => {
                format!(
                    "{} {}{}",
                    self.method,
                    upstream.authority().unwrap_or("(client's host)"),
                    upstream.shown_path()
                )
            }
            (_, Some((status, body))) => format!("{status} {body}").trim_end().to_owned(),
            (Verdict::NeedsBody, _) => "depends on the body: give it with --body".to_owned(),
            (Verdict::Untouched | Verdict::Answer(_) | Verdict::Refuse(..), None) => "untouched".to_owned(),
        };
        write!(f, "{:<WIDTH$}  {arrow}", "=>")
    }
}
