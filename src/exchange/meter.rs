//! The record of one exchange: what its request was, what its response said, how it ended.

use super::body::Facts;
use super::credential::is_credential;
use super::decide::{Decision, Verdict, shown_path};
use super::head::{Edits, Head};
use super::kept::Kept;
use super::model::Model;
use super::response::{Asked, Clock, Response, unread};
use super::upgrade::opens_tunnel;
use super::{Ended, Outcome, RequestHeaders};
use crate::attributes::{Capture, session_id};
use crate::config::{Provider, Statistics};
use crate::error::Error;
use crate::memory::{Claim, Memory};
use crate::operation::{Dialect, Operation};
use crate::telemetry::{Failure, Party, Record, UsageSource, log};
use crate::usage::Usage;
use std::rc::Rc;

/// What is known of one exchange so far.
pub(super) struct Meter {
    statistics: Rc<Statistics>,
    provider: Option<Rc<Provider>>,
    operation: Operation,
    /// Whether the request asks to switch protocols.
    tunnel: bool,
    pub route: Option<String>,
    pub cluster: Option<String>,
    consumer: Option<String>,
    session: Option<String>,
    /// Whether the response is one to look into.
    read: bool,
    /// Whether it fetches what was asked for earlier, which may tell its cost only now.
    fetches: bool,
    /// Whether the usage of a stream is read, so that it is worth asking for.
    pub asks_usage: bool,
    /// The upstream path as it is shown.
    path: Option<String>,
    /// The model of the path.
    model: Option<Model>,
    facts: Facts,
    /// The status of an answer that is given here, and the code of the error, unless it is none.
    local: Option<(u16, Option<&'static str>)>,
    response: Option<Response>,
    capture: Option<Capture>,
    /// What is counted for the values in it.
    values: Claim,
    /// A copy of the request body, where attributes are taken from it.
    copy: Option<Kept>,
    memory: Memory,
}

impl Meter {
    /// Starts the record of a request; none where nothing serves it, or nothing of it is to be recorded.
    pub(super) fn begin(decision: &Decision, request: &RequestHeaders, memory: &Memory) -> Option<Box<Self>> {
        let statistics = &decision.statistics;
        if matches!(decision.verdict, Verdict::Untouched) || !decision.counts {
            return None;
        }
        let head = &request.head;
        // Even if it is configured: no record holds a credential.
        let get = |name: &str| {
            let value = head.get(name)?;
            let secret = is_credential(name, decision.provider.as_deref());
            Some(if secret { &b"***"[..] } else { value })
        };
        let mut capture = (!statistics.attributes.is_empty()).then(|| Capture::new(&statistics.attributes));
        if let Some(capture) = &mut capture {
            capture.request_headers(&get);
        }
        let wants = capture.as_ref().filter(|capture| capture.wants_request_body());
        let copy = wants.map(|capture| Kept::new(memory, capture.of_request()));
        Some(Box::new(Self {
            statistics: Rc::clone(statistics),
            provider: decision.provider.clone(),
            operation: decision.operation,
            tunnel: decision.tunnel,
            route: request.route.clone(),
            cluster: request.cluster.clone(),
            consumer: decision.consumer.clone().map(shortened),
            session: session_id(statistics.session_header.as_deref(), &get).map(shortened),
            read: reads_response(statistics, decision.operation, head),
            fetches: fetches(decision.operation, head),
            asks_usage: statistics.reads_streams(),
            path: None,
            model: None,
            facts: Facts::default(),
            local: None,
            response: None,
            capture,
            values: memory.claim(),
            copy,
            memory: memory.clone(),
        }))
    }

    /// Whether the cluster is a label of the metrics.
    pub(super) fn names_cluster(&self) -> bool {
        self.statistics.names_clusters()
    }

    /// Notes the model of the path.
    pub(super) fn name_model(&mut self, model: Option<Model>) {
        self.model = model.map(|mut model| {
            model.shorten();
            model
        });
    }

    /// Notes where the request goes.
    pub(super) fn sent(&mut self, edits: &Edits, credential_at: Option<usize>, model: Option<Model>) {
        self.path = edits.value(":path").map(|path| shortened(shown_path(path, credential_at)));
        self.name_model(model);
    }

    /// Notes what the request body says.
    pub(super) fn note(&mut self, mut facts: Facts) {
        if let Some(model) = &mut facts.model {
            model.shorten();
        }
        self.facts = facts;
    }

    /// The model as it goes upstream, if it is known and a log field of its own.
    pub(super) fn shown_model(&self) -> Option<&str> {
        let model = self.model.as_ref().or(self.facts.model.as_ref())?;
        self.statistics.shows_model.then_some(&model.upstream)
    }

    /// Notes that the request is answered here.
    pub(super) fn refused(&mut self, error: &Error) {
        self.local = Some((error.status(), Some(error.code())));
    }

    /// Notes that the request is answered here, with success.
    pub(super) fn answered(&mut self, status: u16) {
        self.local = Some((status, None));
    }

    /// Whether the request body is copied.
    pub(super) const fn copies_request(&self) -> bool {
        self.copy.is_some()
    }

    /// Takes a part of the request body as the client sent it.
    pub(super) fn request_chunk(&mut self, chunk: &[u8], end: bool) {
        let Some(copy) = &mut self.copy else { return };
        if !end {
            return copy.add(chunk);
        }
        if let Some(capture) = &mut self.capture {
            match copy.finish(chunk) {
                Some(body) => capture.request_body(&body),
                None => capture.miss(),
            }
        }
        self.copy = None;
        self.count_values();
    }

    /// Counts the values that are kept. Without room for them they are given up.
    fn count_values(&mut self) {
        if let Some(capture) = &mut self.capture
            && !self.values.resize(capture.kept())
        {
            capture.give_up();
        }
    }

    /// Lets go of what a callback needed only while it ran.
    pub(super) fn settle(&mut self) {
        self.count_values();
        if let Some(response) = &mut self.response {
            response.settle();
        }
    }

    /// Takes the headers of the response. `held` says that the request's own are still held: then it never went out.
    pub(super) fn response_headers(&mut self, status: u16, head: &Head, held: bool) {
        if self.local.is_none() && held && status == Error::HoldNotHonoured.status() {
            self.refused(&Error::HoldNotHonoured);
        }
        if let Some(capture) = &mut self.capture {
            capture.response_headers(&|name| head.get(name));
        }
        let unread = self.unread(status, head);
        let asked = Asked {
            unread,
            uncounted: (!self.read && unread.is_none()).then_some(unread::OPERATION),
            hide_usage: self.facts.usage_added,
            stream: self.facts.stream,
            array: self.operation == Operation::StreamGenerateContent,
            headers: self.operation.dialect() == Some(Dialect::Bedrock),
            whole_events: self.capture.as_ref().is_some_and(Capture::wants_events),
        };
        let wants = self.capture.as_ref().filter(|capture| capture.wants_response_document());
        let copy = wants.map(|capture| Kept::new(&self.memory, capture.of_document()));
        let table = &self.statistics.usage_table;
        self.response = Some(Response::new(status, head, asked, table, copy, self.memory.claim()));
    }

    /// Whether the answer is a tunnel. It has no end of its own, so it is complete whoever closes it: Envoy calls also a
    /// connection that the upstream closes in good order a reset.
    const fn is_open(&self, status: u16) -> bool {
        self.tunnel && self.local.is_none() && opens_tunnel(status)
    }

    /// Why the response is not to be read, if so.
    fn unread(&self, status: u16, head: &Head) -> Option<&'static str> {
        if self.is_open(status) {
            return Some(unread::TUNNEL);
        }
        if self.local.is_none() && !self.statistics.usage && self.capture.is_none() {
            return Some(unread::DISABLED);
        }
        if self.local.is_some() {
            return Some(unread::OPERATION);
        }
        let content_type = head.text("content-type").unwrap_or_default();
        (!self.statistics.reads(content_type)).then_some(unread::TYPE)
    }

    /// The response, once its headers came.
    pub(super) const fn response(&self) -> Option<&Response> {
        self.response.as_ref()
    }

    /// Takes a part of the response body; gives what leaves in its place, if that differs.
    pub(super) fn response_chunk(&mut self, chunk: &[u8], end: bool, clock: Clock<'_>) -> Option<&[u8]> {
        let response = self.response.as_mut()?;
        response.feed(chunk, end, self.capture.as_mut(), clock)
    }

    /// Notes the first byte of a response that is not read.
    pub(super) fn unread_byte(&mut self, clock: Clock<'_>) {
        if let Some(response) = &mut self.response {
            response.unread_byte(clock);
        }
    }

    /// Whether it takes the host's word to tell whose error it was.
    pub(super) fn needs_details(&self) -> bool {
        self.response
            .as_ref()
            .is_none_or(|response| response.times().end.is_none() || (self.local.is_none() && response.status >= 400))
    }

    /// The record, at the end of everything.
    pub(super) fn finish(mut self, ended: &Ended) -> Outcome {
        let times = self.response.as_ref().map(Response::times).unwrap_or_default();
        let status = match (self.local, &self.response) {
            (Some((status, _)), _) => Some(status),
            (None, Some(response)) => Some(response.status),
            (None, None) => ended.status.filter(|status| *status > 0),
        };
        let open = status.is_some_and(|status| self.is_open(status));
        let complete = times.end.is_some() || self.local.is_some() || open;
        let aborted = (!complete).then(|| ended.aborted_by());
        let mut record = Record {
            operation: self.operation.name(),
            first_byte: times.first_byte,
            first_reasoning: times.first_reasoning,
            first_content: times.first_content,
            end: times.end.or(Some(ended.now)),
            status,
            aborted,
            ..Record::default()
        };
        if let Some(provider) = &self.provider {
            provider.preset.name.clone_into(&mut record.provider);
            if !provider.id.is_empty() {
                provider.id.clone_into(&mut record.provider);
            }
        }
        record.failure = self.failure(status, aborted, ended);
        let delivered = self.response.as_ref().and_then(Response::estimate);
        let lost_copy = self.response.as_ref().is_some_and(Response::lost_copy);
        if let Some(response) = self.response.take() {
            record.streamed = response.is_stream();
            record.oversized_event = response.is_damaged();
            let mut uncounted = response.uncounted();
            let unread = response.unread();
            let facts = response.into_facts();
            // What is worked on in the background tells its cost whenever it is fetched; anything else was counted when
            // it was made.
            let is_told_again = facts.background && facts.usage.is_known();
            let is_first = |id: &str| self.statistics.counted.try_borrow_mut().is_ok_and(|mut once| once.is_first(id));
            let first = is_told_again && facts.id.as_deref().is_some_and(is_first);
            if self.fetches && !first && unread.is_none() {
                uncounted = uncounted.or(Some(unread::OPERATION));
            }
            if uncounted.is_none() {
                record.response_model = facts.model;
                record.chat_id = facts.id;
                record.finish_reason = facts.finish_reason;
            }
            let uncounted = uncounted.or_else(|| (!self.statistics.usage).then_some(unread::DISABLED));
            record.usage_source = match (uncounted, unread) {
                (Some(reason), _) => UsageSource::None(reason),
                // The headers may have told it.
                (None, Some(reason)) if facts.usage.is_empty() => UsageSource::None(reason),
                (None, _) if facts.usage.is_empty() => UsageSource::None(unread::ABSENT),
                (None, _) if complete && !facts.cut => UsageSource::Upstream,
                (None, _) => UsageSource::Partial,
            };
            if uncounted.is_none() {
                record.tokens = facts.usage;
                record.units = facts.units;
                self.adjust(&mut record.tokens);
            }
        } else {
            record.usage_source = UsageSource::None("no_response");
        }
        let warning = self.estimate(delivered, &mut record);
        let mut properties = Vec::new();
        if let Some(capture) = &self.capture {
            // Of a request that was broken off the copy is still there.
            record.attributes_dropped =
                capture.is_incomplete() || self.copy.as_ref().is_some_and(Kept::is_lost) || lost_copy;
            for captured in capture.finish(&record.tokens) {
                if let Some(key) = captured.span_key.filter(|_| !captured.is_null()) {
                    properties.push((["trace_span_tag.", key].concat(), captured.text().into_owned()));
                }
                if !captured.to_log {
                    continue;
                }
                if captured.separate {
                    properties.push((captured.key.to_owned(), captured.escaped()));
                } else {
                    // As in ai-statistics: an attribute of one of these names is the figure itself.
                    let figure = match captured.key {
                        "input_token" => Some(&mut record.tokens.input),
                        "output_token" => Some(&mut record.tokens.output),
                        "total_token" => Some(&mut record.tokens.total),
                        _ => None,
                    };
                    if let (Some(figure), Ok(number)) = (figure, captured.text().parse()) {
                        *figure = Some(number);
                    }
                    record.attributes.push((captured.key.to_owned(), captured.json));
                }
            }
        }
        record.route = self.route.unwrap_or_default();
        record.cluster = self.cluster.unwrap_or_default();
        record.consumer = self.consumer;
        record.session_id = self.session;
        record.upstream_path = self.path;
        record.request_unread = self.facts.unread;
        if self.facts.rounds > 0 {
            record.chat_round = Some(self.facts.rounds.into());
        }
        if let Some(model) = self.model.or(self.facts.model) {
            record.configured_model = model.configured;
            record.request_model = Some(model.requested).filter(|model| !model.is_empty());
            record.upstream_model = Some(model.upstream);
            record.mapping_rule = model.mapping;
        }
        Outcome { record, properties, statistics: self.statistics, warning }
    }

    /// Estimates the output where a stream delivered content, did not fail, and told no usage, or broke off before its
    /// vendor told as much as was delivered. Gives a warning where a whole stream told nothing, once.
    fn estimate(&self, delivered: Option<u64>, record: &mut Record) -> Option<String> {
        let delivered = delivered?;
        let told = match record.usage_source {
            UsageSource::None(unread::ABSENT) => None,
            UsageSource::Partial if record.tokens.reasoning.is_none() => Some(record.tokens.output.unwrap_or_default()),
            _ => return None,
        };
        if record.failed() || told.is_some_and(|told| told >= delivered) {
            return None;
        }
        record.usage_source = UsageSource::Estimated;
        record.tokens.output = Some(delivered);
        // What the vendor added up holds the smaller output.
        record.tokens.total = None;
        let provider =
            self.provider.as_ref().filter(|provider| record.aborted.is_none() && provider.is_first_untold())?;
        Some(format!(
            "provider {}: a stream told no usage, so its output is estimated; if the vendor takes \
             `stream_options.include_usage`, set `includeUsage: force`",
            provider.label()
        ))
    }

    /// What the operation and the model tell of the figures.
    fn adjust(&self, tokens: &mut Usage) {
        if !self.operation.has_output() {
            tokens.without_output();
        }
        let model = self.model.as_ref().or(self.facts.model.as_ref()).map_or("", |model| &model.upstream);
        if self.operation == Operation::ConverseStream && model.contains("openai.") {
            tokens.cache_within_input();
        }
    }

    /// Whose error it was. The response is asked for its own word for it.
    fn failure(&self, status: Option<u16>, aborted: Option<Party>, ended: &Ended) -> Option<Failure> {
        if let Some((_, code)) = self.local {
            return code.map(|code| Failure::Gateway(Some(code.to_owned())));
        }
        match aborted {
            Some(Party::Client) => return Some(Failure::Client(Some("aborted".to_owned()))),
            Some(Party::Upstream) => return Some(Failure::Upstream(Some("reset".to_owned()))),
            None => {}
        }
        let facts = self.response.as_ref().map(Response::facts);
        let word = facts.and_then(|facts| facts.error_type.clone());
        if status.is_some_and(|status| status >= 400) {
            return Some(if ended.by_upstream() { Failure::Upstream(word) } else { Failure::Gateway(word) });
        }
        let broken = facts.is_some_and(|facts| facts.error);
        broken.then(|| Failure::Upstream(Some(word.unwrap_or_else(|| "error_in_body".to_owned()))))
    }
}

/// Whether a request fetches a response that was asked for earlier.
fn fetches(operation: Operation, head: &Head) -> bool {
    matches!(operation, Operation::Response | Operation::Interaction) && head.text(":method") == Some("GET")
}

/// Whether the response to a request is one to look into. What is fetched was mostly counted when it was made; what was
/// worked on in the background was not.
pub(super) fn reads_response(statistics: &Statistics, operation: Operation, head: &Head) -> bool {
    (statistics.usage || !statistics.attributes.is_empty())
        && (fetches(operation, head)
            || (operation.costs() && head.text(":method").is_none_or(|method| method == "POST")))
}

/// A text with no more of it than a record shows.
fn shortened(mut text: String) -> String {
    log::shorten(&mut text);
    text
}
