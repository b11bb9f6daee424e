//! The HTTP context: one per request.

use super::vm::Vm;
use super::{host, report, status};
use crate::config::Config;
use crate::error::{Error, Reply};
use crate::exchange::decide::{ORIGINAL_HOST, ORIGINAL_PATH};
use crate::exchange::head::Edits;
use crate::exchange::{
    BodyEffect, Ended, Exchange, HeadersEffect, PartEffect, PartEnd, RequestHeaders, Saved, WantsBody,
};
use crate::hold::{Advice, Held, Holds, MAX_REPLIES, WATCH_EVERY_MS};
use crate::operation::Dialect;
use crate::telemetry::{Flat, Series, log};
use proxy_wasm::traits::{Context, HttpContext};
use proxy_wasm::types::Action;
use std::cell::{Cell, RefCell};
use std::rc::Rc;
use std::time::Duration;

/// Where the client's own host and path are kept for later attempts of the same request. Filter state: nothing that a
/// client sends can write it.
const SAVED: &str = "waypost.client";

/// Translates between the host and one [`Exchange`].
pub(super) struct Http {
    id: u32,
    config: Rc<Config>,
    vm: Vm,
    holds: Rc<RefCell<Holds>>,
    series: Rc<RefCell<Series>>,
    exchange: Exchange,
    /// When the request headers came, by [`host::now_ns`]: the context is made for them.
    started: u64,
}

impl Http {
    pub(super) fn new(
        id: u32,
        config: Rc<Config>,
        vm: Vm,
        holds: Rc<RefCell<Holds>>,
        series: Rc<RefCell<Series>>,
    ) -> Self {
        let exchange = Exchange::new(vm.memory().clone(), id);
        Self { id, config, vm, holds, series, exchange, started: host::now_ns() }
    }

    /// Lets go of what this callback alone needed, and tells the host what is kept until the next one.
    fn settle(&mut self) {
        self.exchange.settle();
        self.vm.report();
    }

    /// Answers streams that were given up while this one was served, the rest of many in the next callbacks. Their own may
    /// never come.
    fn answer_victims(&self) {
        let memory = self.vm.memory();
        if !memory.has_victims() {
            return;
        }
        for victim in memory.victims(MAX_REPLIES) {
            if host::act_on(victim.context) {
                host::reply(&victim.why.error().reply(victim.dialect));
            }
        }
        host::act_on(self.id);
    }

    /// Takes note of a part of the response, and of its end. All of it comes at one time.
    fn response_part(&mut self, size: usize, end: bool) {
        let Self { exchange, started, .. } = self;
        let now = Cell::new(None);
        let clock = || {
            now.get().unwrap_or_else(|| {
                let time = since(*started);
                now.set(Some(time));
                time
            })
        };
        if !exchange.wants_response() {
            return exchange.on_unread_response(size, end, &clock);
        }
        let chunk = host::response_body(size);
        if let Some(bytes) = exchange.on_response_chunk(&chunk, end, &clock) {
            host::replace_response_body(bytes);
        }
    }

    /// Shows the model to the filters that come after, where it is known in time: a rate limit can look at it.
    fn show_model(&self) {
        if let Some(model) = self.exchange.shown_model() {
            host::set_property(Flat::UPSTREAM_MODEL, log::plain(model).as_bytes());
        }
    }

    /// Writes the record, once, however the exchange ended.
    fn report(&mut self) {
        if !self.exchange.is_metered() {
            return;
        }
        let mut ended = Ended::default();
        if self.exchange.needs_details() {
            ended.now = since(self.started);
            ended.details = host::property("response\0code_details").unwrap_or_default();
            ended.status = host::number("response\0code").and_then(|code| u16::try_from(code).ok());
        }
        if let Some(outcome) = self.exchange.finish(&ended)
            && let Ok(mut series) = self.series.try_borrow_mut()
        {
            report::write(&outcome, &mut series);
        }
    }

    /// Holds the headers, watched for as long as it is not known whether the host delivers the body all the same.
    fn hold(&self, timeout_ms: u32, head_size: usize, dialect: Dialect) -> Action {
        let Ok(mut holds) = self.holds.try_borrow_mut() else { return Action::Pause };
        match holds.begin(self.id, host::now_ns(), Held::new(timeout_ms, head_size, dialect)) {
            Advice::Hold => Action::Pause,
            Advice::HoldAndTick => {
                host::tick_every(Duration::from_millis(WATCH_EVERY_MS));
                Action::Pause
            }
            Advice::Answer => answer(&Error::HoldNotHonoured.reply(dialect)),
        }
    }

    /// Part of a held body came.
    fn delivered(&self) {
        if let Ok(mut holds) = self.holds.try_borrow_mut()
            && holds.delivered()
        {
            host::tick_every(Duration::ZERO);
        }
    }

    /// The headers with everything else a decision needs.
    fn request(&self, end_of_stream: bool) -> RequestHeaders {
        let head = host::request_headers();
        // A rewritten request shows it; that the client could write the same is why the property decides.
        let rewritten = head.has(ORIGINAL_PATH) || head.has(ORIGINAL_HOST);
        let saved = rewritten.then(|| host::property_bytes(SAVED)).flatten();
        RequestHeaders {
            head,
            saved: saved.and_then(|bytes| Saved::from_bytes(&bytes)),
            route: self.config.needs_route().then(host::route).flatten(),
            cluster: self.config.needs_cluster().then(host::cluster).flatten(),
            end_of_stream,
        }
    }

    fn request_chunk(&mut self, size: usize, end: bool) -> Action {
        let chunk = host::request_body(self.exchange.wanted_of_chunk(size));
        apply_body(self.exchange.on_request_chunk(chunk, end))
    }

    /// A part of a body that is wanted as a whole.
    fn part_of_whole(&mut self, size: usize, end: PartEnd) -> Action {
        let part = host::request_body(size);
        match self.exchange.on_part_of_whole(&self.config, &part, end) {
            PartEffect::Withhold(withhold) => {
                if size > 0 {
                    host::replace_request_body(&[]);
                }
                status::withhold(withhold)
            }
            PartEffect::Done(effect) => {
                self.show_model();
                apply_body(effect)
            }
        }
    }

    fn body(&mut self, size: usize, end: PartEnd) -> Action {
        let action = match self.exchange.wants_body() {
            WantsBody::No => return Action::Continue,
            WantsBody::Whole => self.part_of_whole(size, end),
            WantsBody::Chunks if size == 0 && end == PartEnd::Open => return Action::Continue,
            WantsBody::Chunks => self.request_chunk(size, end != PartEnd::Open),
        };
        self.settle();
        self.answer_victims();
        action
    }
}

impl Context for Http {
    /// In an upstream filter chain this comes and [`HttpContext::on_log`] does not.
    fn on_done(&mut self) -> bool {
        self.report();
        true
    }
}

impl Drop for Http {
    fn drop(&mut self) {
        if let Ok(mut holds) = self.holds.try_borrow_mut() {
            holds.end(self.id);
        }
        self.exchange.end();
        self.vm.report();
    }
}

impl HttpContext for Http {
    fn on_http_request_headers(&mut self, _: usize, end_of_stream: bool) -> Action {
        let request = self.request(end_of_stream);
        let effect = self.exchange.on_request_headers(&self.config, request);
        self.exchange.name_place(&self.config, host::route, host::cluster);
        if let Some(limit) = self.exchange.whole_body_limit() {
            // Higress buffers 32 KiB unless this says more; elsewhere it means nothing.
            host::set_property("set_decoder_buffer_limit", limit.to_string().as_bytes());
        }
        if self.exchange.fears_trailers() && host::is_http1() {
            self.exchange.rule_out_trailers();
        }
        match effect {
            HeadersEffect::Ignore => Action::Continue,
            HeadersEffect::Send(edits) => {
                keep_route();
                apply_edits(&edits);
                self.show_model();
                Action::Continue
            }
            HeadersEffect::Hold { timeout_ms, head_size, dialect } => {
                keep_route();
                self.hold(timeout_ms, head_size, dialect)
            }
            HeadersEffect::Reply(reply) => answer(&reply),
        }
    }

    fn on_http_request_body(&mut self, size: usize, end_of_stream: bool) -> Action {
        if self.exchange.holds_headers() {
            self.delivered();
        }
        self.body(size, if end_of_stream { PartEnd::Data } else { PartEnd::Open })
    }

    /// Trailers end a body that never said so itself; without this they would release it unread.
    fn on_http_request_trailers(&mut self, _: usize) -> Action {
        if self.exchange.wants_request_trailers() {
            for name in self.exchange.on_request_trailers(&host::request_trailers()) {
                host::remove_request_trailer(&name);
            }
        }
        self.body(0, PartEnd::Trailers)
    }

    fn on_http_response_headers(&mut self, _: usize, end_of_stream: bool) -> Action {
        if self.exchange.wants_response_headers() {
            let head = host::response_headers();
            let Self { exchange, started, .. } = self;
            let effect = exchange.on_response_headers(&head, end_of_stream, &|| since(*started));
            for name in &effect.remove {
                host::remove_response_header(name);
            }
            for (name, value) in &effect.add {
                host::add_response_header(name, value);
            }
        }
        Action::Continue
    }

    fn on_http_response_body(&mut self, size: usize, end_of_stream: bool) -> Action {
        if self.exchange.is_metered() {
            self.response_part(size, end_of_stream);
            self.settle();
        }
        Action::Continue
    }

    fn on_http_response_trailers(&mut self, _: usize) -> Action {
        let Self { exchange, started, .. } = self;
        if exchange.is_metered() {
            // The host has no body any more, and calls it an error to write to it, which ends the VM. What waits until
            // now is half an event, and stays behind.
            let _ = exchange.on_response_chunk(&[], true, &|| since(*started));
        }
        Action::Continue
    }

    fn on_log(&mut self) {
        self.report();
    }
}

/// Nanoseconds since then.
fn since(time: u64) -> u64 {
    host::now_ns().saturating_sub(time)
}

/// Higress does not select the route again when this property is set; elsewhere it means nothing.
fn keep_route() {
    host::set_property("clear_route_cache", b"off");
}

fn apply_edits(edits: &Edits) {
    if let Some(saved) = &edits.saved {
        host::set_property(SAVED, saved);
    }
    if let Some(consumer) = &edits.consumer {
        host::set_property(Flat::CONSUMER, consumer.as_bytes());
    }
    for name in edits.removals() {
        host::remove_request_header(name);
    }
    for (name, value) in edits.settings() {
        host::set_request_header(name, value);
    }
}

fn apply_body(effect: BodyEffect) -> Action {
    match effect {
        BodyEffect::Pass => Action::Continue,
        BodyEffect::Replace(bytes) => {
            host::replace_request_body(&bytes);
            Action::Continue
        }
        BodyEffect::Release { edits, body } => {
            apply_edits(&edits);
            if let Some(body) = body {
                host::replace_request_body(&body);
            }
            Action::Continue
        }
        BodyEffect::Reply(reply) => answer(&reply),
    }
}

fn answer(reply: &Reply) -> Action {
    host::reply(reply);
    Action::Pause
}
