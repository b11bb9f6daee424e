//! The decision: rule, provider, operation, path, model and credential of one request. The filter acts on it, `waypost
//! explain` prints it; both call [`decide`].

use super::body::{self, Flow, flow};
use super::credential::{self, Put};
use super::head::{Edits, Head};
use super::model::Model;
use super::upgrade::Upgrade;
use super::{Saved, meter};
use crate::attributes::path_enabled;
use crate::config::{Config, Provider, Serve, Statistics};
use crate::error::{Error, Reply};
use crate::model::TooLong;
use crate::operation::{ClientPath, Dialect, Operation};
use crate::path::query::{self, Query};
use crate::path::{Fill, Why, segment};
use crate::removal::Removal;
use crate::rules::{Facts, without_user_info};
use crate::telemetry::log::plain;
use std::borrow::Cow;
use std::rc::Rc;

/// What is known of the body when a decision is made.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Body<'b> {
    /// There is none.
    Absent,
    /// It is still to come.
    Pending,
    /// It names no model.
    NoModel,
    /// It names this model.
    Model(&'b str),
}

/// What becomes of a request.
#[derive(Debug)]
pub struct Decision {
    /// The rule that serves it: `_rules_[0]` or `global`.
    pub rule: Rc<str>,
    /// What is recorded of it.
    pub statistics: Rc<Statistics>,
    /// Who asks, if the gateway says so; `***` where that is a credential.
    pub consumer: Option<String>,
    /// The provider, unless none is configured or the rule is broken.
    pub provider: Option<Rc<Provider>>,
    /// What the client asks for.
    pub operation: Operation,
    /// Whether it asks to switch protocols (WebSocket): then nothing behind its headers is a body.
    pub tunnel: bool,
    /// Whether `enable_path_suffixes` has it recorded.
    pub counts: bool,
    /// Of a request that is refused the model that its path or query names, mapped. That of any other is the verdict's.
    pub refused_model: Option<Model>,
    /// What to do.
    pub verdict: Verdict,
}

/// What to do with a request.
#[derive(Debug)]
#[allow(clippy::large_enum_variant, reason = "there is one for each request, and a box would be an allocation more")]
pub enum Verdict {
    /// Nothing: no provider is configured for it.
    Untouched,
    /// Decide again when the body is there: the upstream path holds its model.
    NeedsBody,
    /// Send it upstream.
    Send(Upstream),
    /// Answer it here, with success.
    Answer(Reply),
    /// Answer it here.
    Refuse(Error, Dialect),
}

/// A request as it goes upstream.
#[derive(Debug)]
pub struct Upstream {
    /// Where in the path the credential begins, if it is put there; it is the last of the query.
    pub credential_at: Option<usize>,
    /// What decided about the path.
    pub why: Why,
    /// The model, where the path holds it. That of a body is known when the body has been seen.
    pub model: Option<Model>,
    /// The model, where the client's path names a deployment: whatever the body names, it is this one.
    pub deployment: Option<Model>,
    /// What changes on the headers.
    pub edits: Edits,
    /// How the body goes through.
    pub flow: Flow,
}

/// What the decision starts from: the client's own host and path. They differ from the headers where an earlier attempt
/// of the same request was already rewritten.
#[derive(Clone, Copy, Debug, Default)]
pub struct Client<'a> {
    /// `:authority` as the client sent it.
    pub authority: Option<&'a [u8]>,
    /// `:path` as the client sent it.
    pub path: Option<&'a [u8]>,
    /// Name of the Envoy route, if a rule looks at it.
    pub route: Option<&'a str>,
    /// Name of the Envoy cluster, if a rule looks at it.
    pub cluster: Option<&'a str>,
    /// The consumer, where an earlier attempt removed the header that names it.
    pub consumer: Option<&'a [u8]>,
}

/// Decides about one request. Calls with the same arguments give the same decision, but for the turn of tokens.
#[must_use]
pub fn decide(config: &Config, client: Client<'_>, head: &Head, body: Body<'_>) -> Decision {
    // What stands before an `@` is no part of the host, and may be a password.
    let authority = client.authority.and_then(|bytes| core::str::from_utf8(bytes).ok()).map(without_user_info);
    let rule = config.select(Facts { authority, route: client.route, cluster: client.cluster });
    let target = client.path.unwrap_or_default();
    let text = core::str::from_utf8(target).unwrap_or_default();
    let mut spelled = String::new();
    let path = if asks_for_nothing(head) { ClientPath::unknown(text) } else { ClientPath::read(text, &mut spelled) };
    let upgrade = Upgrade::of(head);
    let tunnel = upgrade == Upgrade::Tunnel;
    let body = if tunnel { Body::Absent } else { body };
    let consumer = consumer(&rule.statistics, client, head);
    let mut decision = Decision {
        rule: Rc::clone(&rule.name),
        statistics: Rc::clone(&rule.statistics),
        consumer: None,
        provider: None,
        operation: path.operation,
        tunnel,
        counts: path_enabled(&rule.statistics.path_suffixes, path.path),
        refused_model: None,
        verdict: Verdict::Untouched,
    };
    let refuse = |error| Verdict::Refuse(error, dialect(&path, head));
    if let Ok(Some(name)) = consumer {
        let provider = if let Serve::Provider(provider) = &rule.serve { Some(&**provider) } else { None };
        let secret = credential::is_credential(&rule.statistics.consumer_header, provider);
        decision.consumer = Some(if secret { "***".to_owned() } else { String::from_utf8_lossy(name).into_owned() });
    }
    decision.verdict = match &rule.serve {
        Serve::Untouched => Verdict::Untouched,
        Serve::Denied => refuse(Error::NoRule),
        Serve::Broken(problem) => refuse(Error::Configuration(problem.to_string())),
        Serve::Provider(provider) => {
            decision.provider = Some(Rc::clone(provider));
            // A path that is not UTF-8 has parsed as an empty one.
            if text.bytes().any(|byte| byte.is_ascii_control() || byte == b' ') {
                refuse(Error::InvalidPath(segment::Unsafe::Control.reason()))
            } else if upgrade == Upgrade::WithBody {
                refuse(Error::InvalidUpgrade)
            } else if let Err(error) = &consumer {
                refuse(error.clone())
            } else if head.get(":method") == Some(b"HEAD") && provider.paths.is_probe(&path) {
                Verdict::Answer(Reply { status: 200, headers: Vec::new(), body: String::new() })
            } else if text.starts_with('/') {
                let asks = decision.counts && rule.statistics.reads_streams();
                send(provider, &path, authority, text, head, body, asks).unwrap_or_else(refuse)
            } else {
                refuse(Error::InvalidPath("does not begin with `/` or is not UTF-8"))
            }
        }
    };
    if let (Verdict::Refuse(..), Some(provider)) = (&decision.verdict, &decision.provider) {
        decision.refused_model = model(provider, &path, Body::Absent).ok().flatten();
    }
    if let Verdict::Send(Upstream { edits, .. }) = &mut decision.verdict {
        if let Some(authority) = authority.filter(|host| client.authority != Some(host.as_bytes()))
            && edits.value(":authority").is_none()
        {
            edits.set(":authority", authority);
        }
        if let Some(provider) = &decision.provider {
            credential::strip_consumer(provider, &rule.statistics.consumer_header, head, edits);
        }
        let removes_consumer = decision.consumer.is_some()
            && (client.consumer.is_some() || edits.remove.contains(&Cow::Borrowed(&*rule.statistics.consumer_header)));
        if removes_consumer {
            if edits.value(ORIGINAL_PATH).or_else(|| edits.value(ORIGINAL_HOST)).is_none() {
                // A later attempt looks for what is saved only where it sees one of them.
                edits.remove.retain(|name| name != ORIGINAL_PATH);
                edits.set(ORIGINAL_PATH, edits.value(":path").unwrap_or_default().to_owned());
            }
            if rule.statistics.shows_consumer {
                edits.consumer = decision.consumer.as_deref().map(|name| plain(name).into());
            }
        }
        if edits.value(ORIGINAL_PATH).or_else(|| edits.value(ORIGINAL_HOST)).is_some() {
            let consumer = consumer.ok().flatten().filter(|_| removes_consumer).unwrap_or_default();
            edits.saved = Some(Saved::stored(client.authority.unwrap_or_default(), consumer, target));
        }
        if head.has(ACCEPT_ENCODING) && meter::reads_response(&rule.statistics, path.operation, head) {
            // What is compressed cannot be read; a client that takes compressed bodies takes plain ones.
            edits.set(ACCEPT_ENCODING, "identity");
        }
    }
    decision
}

/// Whether a request uses nothing of a vendor's: `OPTIONS` asks what a browser may send, and `TRACE` wants its own headers
/// back. It is no operation, and gets no credential.
pub(super) fn asks_for_nothing(head: &Head) -> bool {
    matches!(head.get(":method"), Some(b"OPTIONS" | b"TRACE"))
}

const ACCEPT_ENCODING: &str = "accept-encoding";

/// Bounds what Higress's Envoy waits for the first byte of a response.
pub(super) const FIRST_BYTE_TIMEOUT: &str = "x-envoy-upstream-rq-first-byte-timeout-ms";

fn send(
    provider: &Provider,
    path: &ClientPath<'_>,
    authority: Option<&str>,
    target: &str,
    head: &Head,
    body: Body<'_>,
    asks: bool,
) -> Result<Verdict, Error> {
    if path.ambiguous {
        return Err(Error::InvalidPath("is spelled in a way that servers read as different operations"));
    }
    let flow = if body == Body::Absent { Flow::Pass } else { flow(provider, path, head, asks)? };
    if flow == Flow::Hold && body == Body::Pending {
        // What is refused whatever the body says is refused before it is waited for.
        let probe = Fill { model: Some("model"), ..Fill::default() };
        return match provider.paths.resolve(path, probe) {
            Ok(_) => Ok(Verdict::NeedsBody),
            Err(refusal) => Err(Error::of_refusal(refusal, path.operation, provider.written_type())),
        };
    }
    let model = model(provider, path, body)?;
    let removal = &provider.removal;
    let from_body = path.id("model").is_none();
    let in_path = model.as_ref().filter(|model| from_body || model.upstream != model.requested);
    let list = whose_list(path, head);
    let fill = Fill { model: in_path.map(|model| model.upstream.as_str()), removal: Some(removal), list };
    let resolved = provider
        .paths
        .resolve(path, fill)
        .map_err(|refusal| Error::of_refusal(refusal, path.operation, provider.written_type()))?;
    let mut edits = Edits::with_room();
    for (name, value) in &provider.headers {
        edits.set(name.clone(), value.expose());
    }
    edits.hidden = edits.set.len();
    let mut upstream_path = resolved.path;
    let mut credential_at = None;
    let surface = provider.surface(resolved.surface);
    credential::strip(provider, head, &mut edits);
    let put = credential::choose(provider, surface, head, path.query);
    if let Put::Query { name, value } = &put {
        upstream_path.push(if upstream_path.contains('?') { '&' } else { '?' });
        upstream_path.push_str(name);
        upstream_path.push('=');
        credential_at = Some(upstream_path.len());
        upstream_path.push_str(value);
    }
    let rewritten = upstream_path != target;
    edits.set(":path", upstream_path);
    if rewritten {
        edits.set(ORIGINAL_PATH, without_secrets(path, target, removal));
    }
    if let Some(upstream) = &surface.authority {
        edits.set(":authority", upstream.as_str());
        if let Some(authority) = authority.filter(|authority| authority != upstream) {
            edits.set(ORIGINAL_HOST, authority);
        }
    }
    if matches!(flow, Flow::Chunks | Flow::Buffer) && head.has("content-length") {
        // The body may change while its headers are on their way.
        edits.remove.push("content-length".into());
    }
    if matches!(flow, Flow::Chunks | Flow::Buffer | Flow::Hold) {
        body::relabel(provider, path, head, asks, &mut edits);
    }
    for name in [ORIGINAL_PATH, ORIGINAL_HOST] {
        if head.has(name) && edits.value(name).is_none() {
            edits.remove.push(name.into());
        }
    }
    if let Some(timeout) = provider.fixed_first_byte_timeout_ms() {
        edits.set(FIRST_BYTE_TIMEOUT, timeout.to_string());
    }
    if let Put::Header { name, value, shown } = put {
        edits.credential = Some((edits.set.len(), shown));
        edits.set(name, value);
    }
    for (name, value) in &surface.defaults {
        let own = provider.headers.iter().any(|(own, _)| own == name);
        if !own && (!head.has(name) || edits.remove.iter().any(|removed| removed == name)) {
            edits.set(*name, value.as_str());
        }
    }
    Ok(Verdict::Send(Upstream {
        credential_at,
        why: resolved.why,
        deployment: model.clone().filter(|_| path.has_deployment()),
        model: model.filter(|_| resolved.holds_model || path.has_deployment()),
        edits,
        flow,
    }))
}

impl Upstream {
    /// `:authority`; `None` keeps the client's.
    #[must_use]
    pub fn authority(&self) -> Option<&str> {
        self.edits.value(":authority")
    }

    /// `:path`, a credential in the query included.
    #[must_use]
    pub fn path(&self) -> &str {
        self.edits.value(":path").unwrap_or_default()
    }

    /// The path for people.
    #[must_use]
    pub fn shown_path(&self) -> String {
        shown_path(self.path(), self.credential_at)
    }
}

/// A path for people: the credential that begins at an offset of it, and what looks like a secret of the operator's or
/// the client's, as `***`.
pub(super) fn shown_path(path: &str, credential_at: Option<usize>) -> String {
    match credential_at.and_then(|at| path.get(..at)) {
        // The name of the parameter may look like a secret's by itself.
        Some(before) => format!("{}***", query::redacted(before).trim_end_matches("***")),
        None => query::redacted(path).into_owned(),
    }
}

/// Where the client's own path is kept for what comes after, as in ai-proxy.
pub const ORIGINAL_PATH: &str = "x-envoy-original-path";
/// Where the client's own host is kept for what comes after, as in ai-proxy.
pub const ORIGINAL_HOST: &str = "x-envoy-original-host";

/// The client's target; without the parameters that are credentials, because this copy goes upstream.
fn without_secrets(path: &ClientPath<'_>, target: &str, removal: &Removal) -> String {
    if path.query.is_none() {
        return target.to_owned();
    }
    let mut out = target.split('?').next().unwrap_or_default().to_owned();
    Query::default().append(&mut out, path.query, removal, None);
    out
}

/// The value of the header that names the consumer; none where it is empty. An earlier attempt may have removed it.
fn consumer<'a>(statistics: &Statistics, client: Client<'a>, head: &'a Head) -> Result<Option<&'a [u8]>, Error> {
    let mut names = head.values(&statistics.consumer_header).map(<[u8]>::trim_ascii).filter(|name| !name.is_empty());
    let name = names.next();
    if names.any(|other| Some(other) != name) {
        return Err(Error::AmbiguousConsumer);
    }
    Ok(name.or(client.consumer))
}

/// The model of the path or of the body, mapped.
fn model(provider: &Provider, path: &ClientPath<'_>, body: Body<'_>) -> Result<Option<Model>, Error> {
    let in_path = match path.id("model") {
        Some(sent) => {
            let decoded = segment::decode(sent).ok_or(Error::InvalidPath(segment::Unsafe::Escape.reason()))?;
            Some(
                String::from_utf8(decoded.into_owned())
                    .map_err(|_| Error::InvalidPath("names a model that is not UTF-8"))?,
            )
        }
        None => in_query(path)?,
    };
    let in_body = match body {
        Body::Model(model) => Some(model.to_owned()),
        Body::Absent | Body::Pending | Body::NoModel => None,
    };
    // A body with a long name was refused when it was read.
    let long = |TooLong| Error::InvalidPath("names a model, or one that it is mapped to, of more than 256 bytes");
    match in_path.or(in_body) {
        Some(requested) => Model::of(provider, requested).map(Some).map_err(long),
        None if body == Body::NoModel => Ok(Model::default_of(provider)),
        None => Ok(None),
    }
}

/// The model that the query names, where the operation has it there. Two of them would be read by each upstream in its
/// own way.
fn in_query(path: &ClientPath<'_>) -> Result<Option<String>, Error> {
    let names = path.operation.model_parameters();
    let (Some(query), [_, ..]) = (path.query, names) else { return Ok(None) };
    match query::named(query, names) {
        (0, _) | (1, "") => Ok(None),
        (1, value) => match query::text(value) {
            Some(model) => Ok(Some(model)),
            None => Err(Error::InvalidPath("names a model in its query that is not UTF-8 or not percent-encoded")),
        },
        _ => Err(Error::InvalidPath("names its model twice in its query")),
    }
}

/// Whose model list a client asks for, as far as version, prefix and headers tell: every vendor's is at `/models`.
fn whose_list(path: &ClientPath<'_>, head: &Head) -> Option<Dialect> {
    if !path.operation.is_model_list() {
        return None;
    }
    let is_of = |name: &str| path.prefix.ends_with(name) || path.version.ends_with(name);
    if path.prefix.ends_with("/anthropic") {
        Some(Dialect::Anthropic)
    } else if is_of("/openai") {
        Some(Dialect::OpenAi)
    } else if head.has("anthropic-version") {
        Some(Dialect::Anthropic)
    } else if ["/v1beta", "/v1alpha"].iter().any(|google| path.version.starts_with(google))
        || head.has("x-goog-api-key")
    {
        Some(Dialect::Gemini)
    } else {
        None
    }
}

/// The deployment that a client's path names, mapped.
///
/// # Errors
/// It is no name that can be read.
pub(super) fn deployment(provider: &Provider, path: &ClientPath<'_>) -> Result<Option<Model>, Error> {
    if path.has_deployment() { model(provider, path, Body::Absent) } else { Ok(None) }
}

/// The dialect to answer in: the operation's, else what the headers betray, else OpenAI's.
fn dialect(path: &ClientPath<'_>, head: &Head) -> Dialect {
    path.operation.dialect().unwrap_or_else(|| {
        if head.has("anthropic-version") {
            Dialect::Anthropic
        } else if head.has("x-goog-api-key") {
            Dialect::Gemini
        } else {
            Dialect::OpenAi
        }
    })
}

impl Verdict {
    /// The local reply of a refusal.
    #[must_use]
    pub fn reply(&self) -> Option<Reply> {
        match self {
            Self::Refuse(error, dialect) => Some(error.reply(*dialect)),
            Self::Answer(reply) => Some(reply.clone()),
            Self::Untouched | Self::NeedsBody | Self::Send(_) => None,
        }
    }
}

#[cfg(test)]
mod tests;
