//! One request and its response, as a state machine without I/O: callbacks go in as plain data, effects come out.
//!
//! Headers decide all they can: rule, provider, operation, path, credential. They wait for the body only where the
//! upstream path holds a model that the body names. Everywhere else they go at once, and a body that has to change is
//! changed chunk by chunk as it passes.
//!
//! Dialect conversion will be a stage between the body scanner and the upstream, chosen at configure time; until then
//! [`crate::path::Refusal::Conversion`] stands in its place.

pub mod body;
mod credential;
pub mod decide;
pub mod head;
pub mod model;

use crate::config::{Config, Provider};
use crate::error::{Error, Reply};
use crate::operation::{ClientPath, Dialect, Operation};
use body::{Chunk, Flow, Format};
use decide::{Body, Client, Decision, Upstream, Verdict, decide};
use head::{Edits, Head};
use model::Model;
use std::rc::Rc;

/// The request headers with what the host knows beside them.
#[derive(Debug)]
pub struct RequestHeaders {
    /// The headers.
    pub head: Head,
    /// Host and path as the client sent them, where an earlier attempt already rewrote the headers.
    pub saved: Option<Saved>,
    /// Name of the Envoy route, if [`Config::needs_route`].
    pub route: Option<String>,
    /// Name of the Envoy cluster, if [`Config::needs_cluster`].
    pub cluster: Option<String>,
    /// Whether there is neither body nor trailers.
    pub end_of_stream: bool,
}

/// The client's own host and path, kept where only the host of the filter can write.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Saved {
    /// `:authority`
    pub authority: Vec<u8>,
    /// `:path`
    pub path: Vec<u8>,
}

impl Saved {
    /// The stored form: authority and path, one line each.
    #[must_use]
    pub fn to_bytes(&self) -> Vec<u8> {
        [self.authority.as_slice(), b"\n", self.path.as_slice()].concat()
    }

    /// Reads the stored form.
    #[must_use]
    pub fn from_bytes(bytes: &[u8]) -> Option<Self> {
        let line = memchr::memchr(b'\n', bytes)?;
        let (authority, path) = bytes.split_at_checked(line)?;
        Some(Self { authority: authority.to_vec(), path: path.get(1..)?.to_vec() })
    }
}

/// What the host does after the request headers.
#[derive(Debug)]
pub enum HeadersEffect {
    /// Nothing, and nothing later: the request is not ours.
    Ignore,
    /// Apply the edits and go on.
    Send(Edits),
    /// Hold the headers and give the whole body.
    Hold {
        /// How long a host may keep the body back, in milliseconds; 0 is for ever.
        timeout_ms: u32,
        /// The answer where it does.
        deaf: Reply,
    },
    /// Answer.
    Reply(Reply),
}

/// What the host does with a part of the request body.
#[derive(Debug)]
pub enum BodyEffect {
    /// Pass it on.
    Pass,
    /// Pass these bytes on in its place.
    Replace(Vec<u8>),
    /// Apply the edits to the headers, if they were held, replace the body if one is given, and go on.
    Release {
        /// Header edits, the exact `content-length` included.
        edits: Edits,
        /// The new body.
        body: Option<Vec<u8>>,
    },
    /// Answer.
    Reply(Reply),
}

/// One request.
#[derive(Default)]
pub struct Exchange {
    state: State,
}

#[derive(Default)]
enum State {
    /// Before the headers, or nothing to do any more.
    #[default]
    Idle,
    /// The body is wanted as a whole; the headers wait for it if `held`.
    Whole { request: Box<RequestHeaders>, provider: Rc<Provider>, dialect: Dialect, held: bool },
    /// The body is edited as it passes.
    Streaming { body: Box<body::Stream>, dialect: Dialect },
}

impl Exchange {
    /// Takes the request headers.
    pub fn on_request_headers(&mut self, config: &Config, request: RequestHeaders) -> HeadersEffect {
        let pending = if request.end_of_stream { Body::Absent } else { Body::Pending };
        let Decision { provider, operation, verdict, .. } = decide(config, request.client(), &request.head, pending);
        let dialect = operation.dialect().unwrap_or(Dialect::OpenAi);
        match (verdict, provider) {
            (Verdict::Refuse(error, dialect), _) => HeadersEffect::Reply(error.reply(dialect)),
            (Verdict::NeedsBody, Some(provider)) => {
                if let Some(error) = unholdable(&provider, operation, &request.head) {
                    return HeadersEffect::Reply(error.reply(dialect));
                }
                let timeout_ms = provider.body.hold_timeout_ms;
                self.state = State::Whole { request: Box::new(request), provider, dialect, held: true };
                HeadersEffect::Hold { timeout_ms, deaf: Error::HoldNotHonoured.reply(dialect) }
            }
            (Verdict::Send(Upstream { edits, flow, .. }), Some(provider)) => {
                match flow {
                    Flow::Chunks => {
                        let body = Box::new(body::Stream::new(&provider, operation, &request.head));
                        self.state = State::Streaming { body, dialect };
                    }
                    Flow::Buffer => {
                        if let Some(error) = unholdable(&provider, operation, &request.head) {
                            return HeadersEffect::Reply(error.reply(dialect));
                        }
                        self.state = State::Whole { request: Box::new(request), provider, dialect, held: false };
                    }
                    Flow::Pass | Flow::Hold => {}
                }
                HeadersEffect::Send(edits)
            }
            (Verdict::Untouched, _) | (Verdict::NeedsBody | Verdict::Send(_), None) => HeadersEffect::Ignore,
        }
    }

    /// Whether the request body has to be given at all, and whether as a whole.
    #[must_use]
    pub const fn wants_body(&self) -> WantsBody {
        match &self.state {
            State::Idle => WantsBody::No,
            State::Whole { .. } => WantsBody::Whole,
            State::Streaming { .. } => WantsBody::Chunks,
        }
    }

    /// How many bytes of the body the host may have to keep at once, where it is wanted as a whole.
    #[must_use]
    pub fn whole_body_limit(&self) -> Option<u64> {
        match &self.state {
            State::Whole { provider, .. } => Some(provider.body.max_held_bytes),
            State::Idle | State::Streaming { .. } => None,
        }
    }

    /// Whether the headers wait for the body.
    #[must_use]
    pub const fn holds_headers(&self) -> bool {
        matches!(self.state, State::Whole { held: true, .. })
    }

    /// Takes a chunk of a body that passes. The end may come with data, alone, or by trailers; all are the same here.
    pub fn on_request_chunk(&mut self, chunk: &[u8], end: bool) -> BodyEffect {
        let State::Streaming { body, dialect } = &mut self.state else { return BodyEffect::Pass };
        let (result, dialect) = (body.feed(chunk, end), *dialect);
        if end || result.is_err() {
            self.state = State::Idle;
        }
        match result {
            Ok(Chunk::Pass) => BodyEffect::Pass,
            Ok(Chunk::Replace(bytes)) => BodyEffect::Replace(bytes),
            Err(error) => BodyEffect::Reply(error.reply(dialect)),
        }
    }

    /// Takes a whole body.
    pub fn on_whole_body(&mut self, config: &Config, whole: &[u8]) -> BodyEffect {
        let State::Whole { request, provider, dialect, held } = core::mem::take(&mut self.state) else {
            return BodyEffect::Pass;
        };
        let body = match body::whole(&provider, request.operation(), &request.head, whole) {
            Ok(body) => body,
            Err(error) => return BodyEffect::Reply(error.reply(dialect)),
        };
        if !held {
            return BodyEffect::Release { edits: Edits::default(), body: body.changed };
        }
        let known = match &body.model {
            Some(model) => Body::Model(&model.requested),
            None if whole.is_empty() => Body::Absent,
            None => Body::NoModel,
        };
        match decide(config, request.client(), &request.head, known).verdict {
            Verdict::Send(Upstream { mut edits, .. }) => {
                if let Some(changed) = &body.changed
                    && request.head.has("content-length")
                {
                    edits.set("content-length", changed.len().to_string());
                }
                if let Some(timeout) = provider.body.first_byte_timeout_ms.filter(|_| body.stream) {
                    edits.set(FIRST_BYTE_TIMEOUT, timeout.to_string());
                }
                BodyEffect::Release { edits, body: body.changed }
            }
            Verdict::Refuse(error, dialect) => BodyEffect::Reply(error.reply(dialect)),
            Verdict::Untouched | Verdict::NeedsBody => BodyEffect::Pass,
        }
    }
}

/// Bounds what Higress's Envoy waits for the first byte of a response.
const FIRST_BYTE_TIMEOUT: &str = "x-envoy-upstream-rq-first-byte-timeout-ms";

/// What a whole body says, for `explain`: the model it names, mapped, where it is looked at.
///
/// # Errors
/// The body is no JSON object that can be read.
pub fn body_model(
    provider: &Rc<Provider>,
    operation: Operation,
    head: &Head,
    body: &[u8],
) -> Result<Option<Model>, Error> {
    body::whole(provider, operation, head, body).map(|whole| whole.model)
}

/// How the request body is wanted.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum WantsBody {
    /// Not at all.
    No,
    /// As a whole.
    Whole,
    /// Chunk by chunk, as it passes.
    Chunks,
}

impl RequestHeaders {
    /// The client's side of the request, as it was before any rewrite.
    #[must_use]
    pub fn client(&self) -> Client<'_> {
        let saved = self.saved.as_ref();
        Client {
            authority: saved.map(|saved| saved.authority.as_slice()).or_else(|| self.head.get(":authority")),
            path: saved.map(|saved| saved.path.as_slice()).or_else(|| self.head.get(":path")),
            route: self.route.as_deref(),
            cluster: self.cluster.as_deref(),
        }
    }

    fn operation(&self) -> Operation {
        let path = self.client().path.and_then(|path| core::str::from_utf8(path).ok()).unwrap_or_default();
        ClientPath::parse(path).operation
    }
}

/// Why a body cannot be held, as far as its headers tell.
pub(crate) fn unholdable(provider: &Provider, operation: Operation, head: &Head) -> Option<Error> {
    let format = Format::of(operation, head);
    if let Format::BadForm(reason) = format {
        return Some(Error::InvalidBody(reason));
    }
    if format == Format::Opaque {
        let reason = "must be uncompressed JSON or a form, because what goes upstream depends on its model";
        return Some(Error::InvalidBody(reason));
    }
    let too_long = body::length(head).is_some_and(|length| length > provider.body.max_held_bytes);
    too_long.then_some(Error::BodyTooLarge)
}

#[cfg(test)]
mod tests;
