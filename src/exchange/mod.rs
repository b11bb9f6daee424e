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
pub mod held;
mod hide;
mod kept;
mod meter;
pub mod model;
mod parked;
mod redirect;
mod response;
mod sniff;
mod upgrade;

use crate::config::{Auth, Config, Provider, Statistics};
use crate::error::{Error, Reply};
use crate::memory::{GivenUp, Memory};
use crate::operation::{ClientPath, Dialect, Operation};
use crate::telemetry::{Party, Record};
use body::{Chunk, Deployment, Flow, Format};
use decide::{Body, Client, Decision, FIRST_BYTE_TIMEOUT, Upstream, Verdict, decide};
use head::{Edits, Head};
use held::{Held, Withhold};
use meter::Meter;
use model::Model;
use parked::{Owner, Parked};
use redirect::QueryToken;
pub use response::Clock;
use std::borrow::Cow;
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

/// The client's own host and path, and who it is, kept where only the host of the filter can write.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Saved {
    /// `:authority`
    pub authority: Vec<u8>,
    /// The consumer, where the header that names it was removed; else empty.
    pub consumer: Vec<u8>,
    /// `:path`
    pub path: Vec<u8>,
}

impl Saved {
    /// The stored form: authority, consumer and path, one line each.
    #[must_use]
    pub fn stored(authority: &[u8], consumer: &[u8], path: &[u8]) -> Vec<u8> {
        [authority, b"\n", consumer, b"\n", path].concat()
    }

    /// Reads the stored form.
    #[must_use]
    pub fn from_bytes(bytes: &[u8]) -> Option<Self> {
        let mut lines = bytes.splitn(3, |byte| *byte == b'\n').map(<[u8]>::to_vec);
        Some(Self { authority: lines.next()?, consumer: lines.next()?, path: lines.next()? })
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
        /// The bytes of the headers that are held, names and values.
        head_size: usize,
        /// What the client speaks, for the answer where the host does keep it back: [`Error::HoldNotHonoured`].
        dialect: Dialect,
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

/// How the part of a body that a callback brings ends.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum PartEnd {
    /// More may follow.
    Open,
    /// This part is the last one, or there was none and nothing follows.
    Data,
    /// Trailers have come, with which there is no part.
    Trailers,
}

/// What the host does with a part of a body that is wanted as a whole.
#[derive(Debug)]
pub enum PartEffect {
    /// Take it out of its buffer, and go on as this says.
    Withhold(Withhold),
    /// The body is complete, or refused.
    Done(BodyEffect),
}

/// What the host does with the headers of a response.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct ResponseEffect {
    /// Names whose every value is removed. Comes first.
    pub remove: Vec<Cow<'static, str>>,
    /// Names and values that are added.
    pub add: Vec<(String, Vec<u8>)>,
}

/// How an exchange ended, as the host tells it; needed only where [`Exchange::needs_details`].
#[derive(Clone, Debug, Default)]
pub struct Ended {
    /// The time, as of [`Clock`].
    pub now: u64,
    /// The status of the response, if there was one.
    pub status: Option<u16>,
    /// Envoy's response code details: `via_upstream`, `downstream_remote_disconnect`.
    pub details: String,
}

impl Ended {
    /// Who broke off a response that has no end.
    fn aborted_by(&self) -> Party {
        let upstream = self.by_upstream() || self.details.contains("timeout");
        if upstream { Party::Upstream } else { Party::Client }
    }

    /// Whether an error is the upstream's: its own answer, or that it gave none.
    fn by_upstream(&self) -> bool {
        self.details.contains("upstream") || self.details.contains("response_timeout")
    }
}

/// What is left of an exchange.
#[derive(Debug)]
pub struct Outcome {
    /// The record.
    pub record: Record,
    /// More to write, each under a key of its own.
    pub properties: Vec<(String, String)>,
    /// How the record is written.
    pub statistics: Rc<Statistics>,
    /// What the operator should know, once for each configuration.
    pub warning: Option<String>,
}

/// One request and its response.
#[derive(Default)]
pub struct Exchange {
    state: State,
    meter: Option<Box<Meter>>,
    memory: Memory,
    context: u32,
    /// Who serves the request, and what is recorded of it, while its trailers may come.
    serving: Option<(Rc<Provider>, Rc<Statistics>)>,
    /// The operator's token, where it went into the query.
    query_token: Option<Box<QueryToken>>,
}

#[derive(Default)]
enum State {
    /// Before the headers, or nothing to do any more.
    #[default]
    Idle,
    /// The body is wanted as a whole; the headers wait for it if `held`.
    Whole { request: Box<RequestHeaders>, provider: Rc<Provider>, dialect: Dialect, held: bool, body: Held },
    /// The body has been sent as a whole, because it is as long as its headers say. Nothing of it may follow.
    Complete { dialect: Dialect },
    /// The body is read, and edited, as it passes.
    Streaming { body: Box<body::Stream>, dialect: Dialect, parked: Parked },
    /// The body is copied as it passes, for nothing but the record.
    Copying,
}

impl Exchange {
    /// At the start of a request, with the budget of its VM and the number of its HTTP context.
    #[must_use]
    pub const fn new(memory: Memory, context: u32) -> Self {
        Self { state: State::Idle, meter: None, serving: None, query_token: None, memory, context }
    }

    /// Takes the request headers.
    pub fn on_request_headers(&mut self, config: &Config, request: RequestHeaders) -> HeadersEffect {
        let pending = if request.end_of_stream { Body::Absent } else { Body::Pending };
        let decision = decide(config, request.client(), &request.head, pending);
        self.meter = Meter::begin(&decision, &request, &self.memory);
        let Decision { provider, operation, verdict, statistics, tunnel, refused_model, .. } = decision;
        if !request.end_of_stream {
            self.serving = provider.clone().map(|provider| (provider, statistics));
        }
        let dialect = operation.dialect().unwrap_or(Dialect::OpenAi);
        match (verdict, provider) {
            (Verdict::Refuse(error, dialect), _) => {
                if let Some(meter) = &mut self.meter {
                    meter.name_model(refused_model);
                }
                HeadersEffect::Reply(self.refuse(&error, dialect))
            }
            (Verdict::Answer(reply), _) => {
                if let Some(meter) = &mut self.meter {
                    meter.answered(reply.status);
                }
                HeadersEffect::Reply(reply)
            }
            (Verdict::NeedsBody, Some(provider)) => {
                if let Some(error) = unholdable(&provider, operation, &request.head) {
                    return HeadersEffect::Reply(self.refuse(&error, dialect));
                }
                let (timeout_ms, head_size) = (provider.body.hold_timeout_ms, request.head.size());
                if let Err(error) = self.want_whole(request, provider, dialect, true) {
                    return HeadersEffect::Reply(self.refuse(&error, dialect));
                }
                HeadersEffect::Hold { timeout_ms, head_size, dialect }
            }
            (Verdict::Send(Upstream { edits, flow, credential_at, model, deployment, .. }), Some(provider)) => {
                self.note_query_token(&provider, &edits, credential_at);
                if let Some(meter) = &mut self.meter {
                    meter.sent(&edits, credential_at, model);
                }
                let edits = edits.spared(&request.head);
                let asks = self.asks_usage();
                match flow {
                    Flow::Chunks | Flow::Observe if flow == Flow::Chunks || self.meter.is_some() => {
                        let observed = flow == Flow::Observe;
                        let dropped = deployment.is_some() && request.drops_model(&provider);
                        let deployment = Deployment { model: deployment, dropped };
                        match body::Stream::new(&provider, operation, &request.head, asks, observed, deployment) {
                            Ok(body) => {
                                self.state =
                                    State::Streaming { body: Box::new(body), dialect, parked: Parked::default() };
                            }
                            Err(error) => return HeadersEffect::Reply(self.refuse(&error, dialect)),
                        }
                    }
                    Flow::Buffer => {
                        if let Some(error) = unholdable(&provider, operation, &request.head) {
                            return HeadersEffect::Reply(self.refuse(&error, dialect));
                        }
                        if let Err(error) = self.want_whole(request, provider, dialect, false) {
                            return HeadersEffect::Reply(self.refuse(&error, dialect));
                        }
                    }
                    Flow::Pass | Flow::Unread | Flow::Observe | Flow::Chunks | Flow::Hold => {
                        if flow == Flow::Unread
                            && let Some(meter) = &mut self.meter
                        {
                            meter.note(body::Facts::of_unread(&request.head));
                        }
                        if self.copies_request() && !tunnel {
                            self.state = State::Copying;
                        }
                    }
                }
                HeadersEffect::Send(edits)
            }
            (Verdict::Untouched, _) | (Verdict::NeedsBody | Verdict::Send(_), None) => HeadersEffect::Ignore,
        }
    }

    /// Goes to the state in which the body is wanted as a whole; the headers wait for it if `held`.
    fn want_whole(
        &mut self,
        request: RequestHeaders,
        provider: Rc<Provider>,
        dialect: Dialect,
        held: bool,
    ) -> Result<(), Error> {
        let mut body = Held::new(provider.body.max_held_bytes, body::length(&request.head));
        body.count_headers(request.head.size(), &self.memory, Owner { context: self.context, dialect })?;
        self.state = State::Whole { request: Box::new(request), provider, dialect, held, body };
        Ok(())
    }

    /// Completes the record with the names of Envoy's route and cluster, each asked for only where it is recorded and no
    /// rule has looked at it already.
    pub fn name_place(
        &mut self,
        config: &Config,
        route: impl FnOnce() -> Option<String>,
        cluster: impl FnOnce() -> Option<String>,
    ) {
        let Some(meter) = &mut self.meter else { return };
        if !config.needs_route() {
            meter.route = route();
        }
        if !config.needs_cluster() && meter.names_cluster() {
            meter.cluster = cluster();
        }
    }

    /// Whether the usage of a stream is read, so that it is worth asking for.
    fn asks_usage(&self) -> bool {
        self.meter.as_ref().is_some_and(|meter| meter.asks_usage)
    }

    /// Keeps a configured token that goes upstream in the query, to know it again in the response.
    fn note_query_token(&mut self, provider: &Provider, edits: &Edits, credential_at: Option<usize>) {
        if let (Some(at), Some(path), Auth::Inject) = (credential_at, edits.value(":path"), provider.auth) {
            self.query_token = QueryToken::of(path, at).map(Box::new);
        }
    }

    /// Whether the trailers of the request are looked at.
    #[must_use]
    pub const fn wants_request_trailers(&self) -> bool {
        self.serving.is_some()
    }

    /// Takes the trailers of the request; gives the names of those that do not go upstream.
    #[must_use]
    pub fn on_request_trailers(&self, trailers: &Head) -> Vec<Cow<'static, str>> {
        let Some((provider, statistics)) = &self.serving else { return Vec::new() };
        credential::stripped_trailers(provider, &statistics.consumer_header, trailers)
    }

    fn refuse(&mut self, error: &Error, dialect: Dialect) -> Reply {
        if let Some(meter) = &mut self.meter {
            meter.refused(error);
        }
        error.reply(dialect)
    }

    /// Whether the request body has to be given at all, and whether as a whole.
    #[must_use]
    pub const fn wants_body(&self) -> WantsBody {
        match &self.state {
            State::Idle => WantsBody::No,
            State::Whole { .. } => WantsBody::Whole,
            State::Streaming { .. } | State::Copying | State::Complete { .. } => WantsBody::Chunks,
        }
    }

    /// How many bytes of the body the host may have to keep at once, where it is wanted as a whole.
    #[must_use]
    pub fn whole_body_limit(&self) -> Option<u64> {
        match &self.state {
            State::Whole { provider, .. } => Some(provider.body.max_held_bytes),
            State::Idle | State::Streaming { .. } | State::Copying | State::Complete { .. } => None,
        }
    }

    /// Whether the body is wanted as a whole, and trailers that no header announces may end it before it is known to be
    /// complete. In HTTP/2 they may come, in HTTP/1 they do not.
    #[must_use]
    pub fn fears_trailers(&self) -> bool {
        matches!(&self.state, State::Whole { body, request, .. } if body.expects_trailers() && !request.head.has("trailer"))
    }

    /// No trailers will come with this request.
    pub const fn rule_out_trailers(&mut self) {
        if let State::Whole { body, .. } = &mut self.state {
            body.rule_out_trailers();
        }
    }

    /// Whether the headers wait for the body.
    #[must_use]
    pub const fn holds_headers(&self) -> bool {
        matches!(self.state, State::Whole { held: true, .. })
    }

    /// How many bytes of a chunk of that size are looked at. The others need not be given.
    #[must_use]
    pub fn wanted_of_chunk(&self, size: usize) -> usize {
        match &self.state {
            State::Streaming { body, .. } if !self.copies_request() => size.min(body.wants()),
            State::Streaming { .. } | State::Idle | State::Whole { .. } | State::Copying | State::Complete { .. } => {
                size
            }
        }
    }

    /// Whether the request body is kept for the record.
    fn copies_request(&self) -> bool {
        self.meter.as_ref().is_some_and(|meter| meter.copies_request())
    }

    /// Takes a chunk of a body that passes. The end may come with data, alone, or by trailers; all are the same here.
    pub fn on_request_chunk<'c>(&mut self, chunk: impl Into<Cow<'c, [u8]>>, end: bool) -> BodyEffect {
        let chunk = chunk.into();
        if let State::Complete { dialect } = self.state {
            if chunk.is_empty() {
                return BodyEffect::Pass;
            }
            self.state = State::Idle;
            return BodyEffect::Reply(self.refuse(&Error::InvalidBody("is longer than its `content-length`"), dialect));
        }
        if let Some(meter) = &mut self.meter {
            meter.request_chunk(&chunk, end);
        }
        let State::Streaming { body, dialect, parked } = &mut self.state else { return BodyEffect::Pass };
        let owner = Owner { context: self.context, dialect: *dialect };
        let dialect = *dialect;
        let result = parked.restore(body).map_err(GivenUp::error).and_then(|()| {
            let chunk = body.feed(chunk, end)?;
            if !end {
                parked.park(body, &self.memory, owner).map_err(GivenUp::error)?;
            }
            Ok(chunk)
        });
        if end || result.is_err() || body.is_done() {
            let copies = self.meter.as_mut().is_some_and(|meter| {
                meter.note(body.facts());
                meter.copies_request()
            });
            self.state = if copies { State::Copying } else { State::Idle };
        }
        match result {
            Ok(Chunk::Pass) => BodyEffect::Pass,
            Ok(Chunk::Replace(bytes)) => BodyEffect::Replace(bytes),
            Err(error) => BodyEffect::Reply(self.refuse(&error, dialect)),
        }
    }

    /// Takes a part of a body that is wanted as a whole. What was withheld goes upstream in place of the last part.
    pub fn on_part_of_whole(&mut self, config: &Config, part: &[u8], end: PartEnd) -> PartEffect {
        let State::Whole { body, dialect, .. } = &mut self.state else { return PartEffect::Done(BodyEffect::Pass) };
        let dialect = *dialect;
        let owner = Owner { context: self.context, dialect };
        let complete = end == PartEnd::Open && body.ends_with(part.len());
        let open = end == PartEnd::Open && !complete;
        let kept = if end == PartEnd::Trailers && !body.fits_trailers() {
            Err(Error::BodyTooLarge)
        } else if open || !body.is_empty() {
            body.push(part, &self.memory, owner)
        } else {
            // A body that comes at once stays where it is.
            body.fits(part.len())
        };
        if let Err(error) = kept {
            self.state = State::Idle;
            return PartEffect::Done(BodyEffect::Reply(self.refuse(&error, dialect)));
        }
        if open {
            return PartEffect::Withhold(body.withhold());
        }
        let whole = match body.take() {
            Ok(whole) => whole,
            Err(error) => {
                self.state = State::Idle;
                return PartEffect::Done(BodyEffect::Reply(self.refuse(&error, dialect)));
            }
        };
        let withheld = !whole.is_empty();
        let effect = match self.on_whole_body(config, if withheld { &whole } else { part }) {
            BodyEffect::Release { edits, body: None } if withheld => BodyEffect::Release { edits, body: Some(whole) },
            BodyEffect::Pass if withheld => BodyEffect::Replace(whole),
            effect => effect,
        };
        if complete && !matches!(effect, BodyEffect::Reply(_)) {
            self.state = State::Complete { dialect };
        }
        PartEffect::Done(effect)
    }

    /// Takes a whole body.
    pub fn on_whole_body(&mut self, config: &Config, whole: &[u8]) -> BodyEffect {
        let State::Whole { request, provider, dialect, held, .. } = core::mem::take(&mut self.state) else {
            return BodyEffect::Pass;
        };
        if let Some(meter) = &mut self.meter {
            meter.request_chunk(whole, true);
        }
        let asks = self.asks_usage();
        let deployment = match request.deployment(&provider) {
            Ok(deployment) => deployment,
            Err(error) => return BodyEffect::Reply(self.refuse(&error, dialect)),
        };
        let body = body::whole(&provider, request.operation(), &request.head, whole, asks, deployment);
        if let Some(meter) = &mut self.meter {
            meter.note(body.facts.clone());
        }
        let changed = match body.changed {
            Ok(changed) => changed,
            Err(error) => return BodyEffect::Reply(self.refuse(&error, dialect)),
        };
        if !held {
            return BodyEffect::Release { edits: Edits::default(), body: changed };
        }
        let known = match &body.facts.model {
            _ if whole.is_empty() => Body::Absent,
            Some(model) => Body::Model(&model.requested),
            None => Body::NoModel,
        };
        match decide(config, request.client(), &request.head, known).verdict {
            Verdict::Send(Upstream { mut edits, credential_at, model, .. }) => {
                self.note_query_token(&provider, &edits, credential_at);
                if let Some(meter) = &mut self.meter {
                    meter.sent(&edits, credential_at, model);
                }
                if let Some(changed) = &changed
                    && request.head.has("content-length")
                {
                    edits.set("content-length", changed.len().to_string());
                }
                if let Some(timeout) = provider.body.first_byte_timeout_ms.filter(|_| body.facts.stream) {
                    edits.set(FIRST_BYTE_TIMEOUT, timeout.to_string());
                }
                BodyEffect::Release { edits: edits.spared(&request.head), body: changed }
            }
            Verdict::Refuse(error, dialect) => BodyEffect::Reply(self.refuse(&error, dialect)),
            Verdict::Untouched | Verdict::Answer(_) | Verdict::NeedsBody => BodyEffect::Pass,
        }
    }

    /// Whether a record is kept, so that the response is worth a look.
    #[must_use]
    pub const fn is_metered(&self) -> bool {
        self.meter.is_some()
    }

    /// Whether the headers of the response are looked at.
    #[must_use]
    pub const fn wants_response_headers(&self) -> bool {
        self.meter.is_some() || self.query_token.is_some()
    }

    /// Takes the headers of the response; `end` says that nothing follows.
    pub fn on_response_headers(&mut self, head: &Head, end: bool, clock: Clock<'_>) -> ResponseEffect {
        let held = self.holds_headers();
        let mut effect = ResponseEffect::default();
        if let Some(token) = &self.query_token {
            token.remove_from(head, &mut effect);
        }
        let given_up = match &self.state {
            State::Streaming { parked, .. } => parked.given_up(),
            State::Whole { body, .. } => body.given_up(),
            State::Idle | State::Copying | State::Complete { .. } => None,
        };
        let Some(meter) = &mut self.meter else { return effect };
        if let Some(why) = given_up {
            meter.refused(&why.error());
        }
        if let State::Streaming { body, .. } = &self.state {
            // The upstream does not wait for all of the request.
            meter.note(body.facts());
        }
        let status = head.text(":status").and_then(|status| status.parse().ok()).unwrap_or_default();
        meter.response_headers(status, head, held);
        if end {
            meter.response_chunk(&[], true, clock);
        }
        let may_shrink = meter.response().is_some_and(response::Response::may_shrink);
        if may_shrink && head.has("content-length") {
            effect.remove.push("content-length".into());
        }
        effect
    }

    /// Whether the bytes of the response are wanted; else only that they came, and their end.
    #[must_use]
    pub fn wants_response(&self) -> bool {
        self.meter.as_ref().and_then(|meter| meter.response()).is_some_and(response::Response::is_read)
    }

    /// Takes a chunk of the response; gives what leaves in its place, if that differs. The end may come with data, alone,
    /// or by trailers.
    pub fn on_response_chunk(&mut self, chunk: &[u8], end: bool, clock: Clock<'_>) -> Option<&[u8]> {
        self.meter.as_mut()?.response_chunk(chunk, end, clock)
    }

    /// Lets go of everything: nothing more will come.
    pub fn end(&mut self) {
        self.state = State::Idle;
        self.meter = None;
    }

    /// Lets go of what a callback needed only while it ran.
    pub fn settle(&mut self) {
        if let Some(meter) = &mut self.meter {
            meter.settle();
        }
    }

    /// Takes note of a chunk whose bytes are not wanted.
    pub fn on_unread_response(&mut self, size: usize, end: bool, clock: Clock<'_>) {
        if let Some(meter) = &mut self.meter {
            if size > 0 {
                meter.unread_byte(clock);
            }
            if end {
                meter.response_chunk(&[], true, clock);
            }
        }
    }

    /// The model as it goes upstream, if that is a log field of its own, where it is known before the request headers
    /// leave: it stands in the path, or the headers waited for the body.
    #[must_use]
    pub fn shown_model(&self) -> Option<&str> {
        self.meter.as_ref().and_then(|meter| meter.shown_model())
    }

    /// Whether it takes the host's word to tell how it ended: there was no response, or no end of one, or an error.
    #[must_use]
    pub fn needs_details(&self) -> bool {
        self.meter.as_ref().is_some_and(|meter| meter.needs_details())
    }

    /// The record, once; none where none is kept.
    pub fn finish(&mut self, ended: &Ended) -> Option<Outcome> {
        let mut meter = self.meter.take()?;
        if let State::Streaming { body, .. } = &self.state {
            meter.note(body.facts());
        }
        self.state = State::Idle;
        Some(meter.finish(ended))
    }
}

/// What a whole body says, for `explain`: the model it names, mapped, where it is looked at.
///
/// # Errors
/// The body is no JSON object that can be read.
pub fn body_model(
    provider: &Rc<Provider>,
    path: &ClientPath<'_>,
    head: &Head,
    body: &[u8],
) -> Result<Option<Model>, Error> {
    let deployment = Deployment {
        model: decide::deployment(provider, path)?,
        dropped: !provider.original && provider.paths.drops_model(path),
    };
    let whole = body::whole(provider, path.operation, head, body, false, deployment);
    whole.changed.map(|_| whole.facts.model)
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
            consumer: saved.map(|saved| saved.consumer.as_slice()).filter(|consumer| !consumer.is_empty()),
        }
    }

    fn operation(&self) -> Operation {
        self.with_path(|path| path.operation)
    }

    /// Whether the client's path names a deployment that the upstream's does not.
    fn drops_model(&self, provider: &Provider) -> bool {
        self.with_path(|path| !provider.original && provider.paths.drops_model(path))
    }

    /// The deployment of the client's path.
    fn deployment(&self, provider: &Provider) -> Result<Deployment, Error> {
        let model = self.with_path(|path| decide::deployment(provider, path))?;
        Ok(Deployment { dropped: model.is_some() && self.drops_model(provider), model })
    }

    fn with_path<T>(&self, read: impl FnOnce(&ClientPath<'_>) -> T) -> T {
        let path = self.client().path.and_then(|path| core::str::from_utf8(path).ok()).unwrap_or_default();
        read(&ClientPath::read(path, &mut String::new()))
    }
}

/// Why a body cannot be held, as far as its headers tell.
pub(crate) fn unholdable(provider: &Provider, operation: Operation, head: &Head) -> Option<Error> {
    if let Err(error) = Format::of(operation, head) {
        return Some(error);
    }
    let too_long = body::length(head).is_some_and(|length| length > provider.body.max_held_bytes);
    too_long.then_some(Error::BodyTooLarge)
}

#[cfg(test)]
mod tests;
