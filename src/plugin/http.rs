//! The HTTP context: one per request.

use super::host;
use crate::config::Config;
use crate::error::Reply;
use crate::exchange::decide::{ORIGINAL_HOST, ORIGINAL_PATH};
use crate::exchange::head::{Edits, Head};
use crate::exchange::{BodyEffect, Exchange, HeadersEffect, RequestHeaders, Saved, WantsBody};
use crate::hold::{Advice, Holds};
use proxy_wasm::traits::{Context, HttpContext};
use proxy_wasm::types::Action;
use std::cell::RefCell;
use std::rc::Rc;
use std::time::Duration;

/// Where the client's own host and path are kept for later attempts of the same request. Filter state: nothing that a
/// client sends can write it.
const SAVED: &str = "waypost.client";

/// Translates between the host and one [`Exchange`].
pub(super) struct Http {
    id: u32,
    config: Rc<Config>,
    holds: Rc<RefCell<Holds>>,
    exchange: Exchange,
}

impl Http {
    pub(super) fn new(id: u32, config: Rc<Config>, holds: Rc<RefCell<Holds>>) -> Self {
        Self { id, config, holds, exchange: Exchange::default() }
    }

    /// Holds the headers, watched for as long as it is not known whether the host delivers the body all the same.
    fn hold(&self, timeout_ms: u32, deaf: Reply) -> Action {
        /// How often watched requests are looked at.
        const WATCH_EVERY: Duration = Duration::from_millis(100);
        let Ok(mut holds) = self.holds.try_borrow_mut() else { return Action::Pause };
        match holds.begin(self.id, host::now_ns(), timeout_ms, deaf) {
            Advice::Hold => Action::Pause,
            Advice::HoldAndWatch => {
                host::tick_every(WATCH_EVERY);
                Action::Pause
            }
            Advice::Answer(reply) => answer(&reply),
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

    /// The headers with everything else a decision needs. What a host calls differently is tried under both names.
    fn request(&self, end_of_stream: bool) -> RequestHeaders {
        let named = |wanted: bool, new: &str, old: &str| {
            wanted.then(|| host::property(&["xds", new]).or_else(|| host::property(&[old]))).flatten()
        };
        let head = Head::new(host::request_headers());
        // A rewritten request shows it; that the client could write the same is why the property decides.
        let rewritten = head.has(ORIGINAL_PATH) || head.has(ORIGINAL_HOST);
        let saved = rewritten.then(|| host::property_bytes(&[SAVED])).flatten();
        RequestHeaders {
            head,
            saved: saved.and_then(|bytes| Saved::from_bytes(&bytes)),
            route: named(self.config.needs_route(), "route_name", "route_name"),
            cluster: named(self.config.needs_cluster(), "cluster_name", "cluster_name"),
            end_of_stream,
        }
    }

    fn end_of_body(&mut self, size: usize) -> Action {
        match self.exchange.wants_body() {
            WantsBody::No => Action::Continue,
            WantsBody::Whole => {
                let effect = self.exchange.on_whole_body(&self.config, &host::request_body(size));
                apply_body(effect)
            }
            WantsBody::Chunks => apply_body(self.exchange.on_request_chunk(&host::request_body(size), true)),
        }
    }
}

impl Context for Http {}

impl Drop for Http {
    fn drop(&mut self) {
        if let Ok(mut holds) = self.holds.try_borrow_mut() {
            holds.end(self.id);
        }
    }
}

impl HttpContext for Http {
    fn on_http_request_headers(&mut self, _: usize, end_of_stream: bool) -> Action {
        let request = self.request(end_of_stream);
        let client = request.client();
        let saved = Saved {
            authority: client.authority.unwrap_or_default().to_vec(),
            path: client.path.unwrap_or_default().to_vec(),
        };
        let effect = self.exchange.on_request_headers(&self.config, request);
        if let Some(limit) = self.exchange.whole_body_limit() {
            // Higress buffers 32 KiB unless this says more; elsewhere it means nothing.
            host::set_property("set_decoder_buffer_limit", limit.to_string().as_bytes());
        }
        match effect {
            HeadersEffect::Ignore => Action::Continue,
            HeadersEffect::Send(edits) => {
                keep_route(&saved);
                apply_edits(&edits);
                Action::Continue
            }
            HeadersEffect::Hold { timeout_ms, deaf } => {
                keep_route(&saved);
                self.hold(timeout_ms, deaf)
            }
            HeadersEffect::Reply(reply) => answer(&reply),
        }
    }

    fn on_http_request_body(&mut self, size: usize, end_of_stream: bool) -> Action {
        if self.exchange.holds_headers() {
            self.delivered();
        }
        if end_of_stream {
            return self.end_of_body(size);
        }
        match self.exchange.wants_body() {
            WantsBody::No => Action::Continue,
            WantsBody::Whole => Action::Pause,
            WantsBody::Chunks if size == 0 => Action::Continue,
            WantsBody::Chunks => apply_body(self.exchange.on_request_chunk(&host::request_body(size), false)),
        }
    }

    /// Trailers end a body that never said so itself; without this they would release it unread.
    fn on_http_request_trailers(&mut self, _: usize) -> Action {
        /// What a host has of a held body, whatever its size.
        const ALL: usize = usize::MAX >> 1;
        let size = if self.exchange.wants_body() == WantsBody::Whole { ALL } else { 0 };
        self.end_of_body(size)
    }
}

/// Higress does not select the route again when this property is set; elsewhere it means nothing. The client's own host
/// and path are kept for a later attempt of the same request.
fn keep_route(saved: &Saved) {
    host::set_property("clear_route_cache", b"off");
    host::set_property(SAVED, &saved.to_bytes());
}

fn apply_edits(edits: &Edits) {
    for name in &edits.remove {
        host::remove_request_header(name);
    }
    for (name, value) in &edits.set {
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
    host::reply(reply.status, &reply.body);
    Action::Pause
}
