//! The filter of `bench_scan`: runs the core over one body again and again inside Envoy, and tells how long that took.
//!
//! Its configuration is one line with Waypost's own configuration, and the body after it. A request whose header
//! `x-times` is a number has the body read and edited that many times, as a chat request whose body comes in one chunk,
//! and checked as UTF-8 as often. The answer is three numbers: nanoseconds of the edits, nanoseconds of the checks, and
//! how many bytes came out of one edit.
#![cfg(target_os = "wasi")]
#![allow(missing_docs, reason = "what the macro exports")]

use core::hint::black_box;
use proxy_wasm::hostcalls;
use proxy_wasm::traits::{Context, HttpContext, RootContext};
use proxy_wasm::types::{Action, BufferType, ContextType, LogLevel, MapType};
use std::rc::Rc;
use std::time::Instant;
use waypost::config::{Config, load};
use waypost::exchange::head::Head;
use waypost::exchange::{BodyEffect, Exchange, RequestHeaders};

proxy_wasm::main! {{
    proxy_wasm::set_log_level(LogLevel::Warn);
    proxy_wasm::set_root_context(|_| Box::new(Root(None)));
}}

struct Subject {
    config: Config,
    body: Vec<u8>,
}

impl Subject {
    fn parse(text: &[u8]) -> Option<Self> {
        let mut lines = text.splitn(2, |byte| *byte == b'\n');
        let config = load(lines.next()?).ok()?.config;
        Some(Self { config, body: lines.next()?.to_vec() })
    }

    /// A request at the point where its body is about to come.
    fn request(&self) -> Exchange {
        let head = [
            (":method", "POST"),
            (":authority", "bench.localhost"),
            (":path", "/v1/chat/completions"),
            ("content-type", "application/json"),
        ];
        let head =
            Head::new(head.iter().map(|(name, value)| ((*name).to_owned(), value.as_bytes().to_vec())).collect());
        let headers = RequestHeaders { head, saved: None, route: None, cluster: None, end_of_stream: false };
        let mut exchange = Exchange::default();
        exchange.on_request_headers(&self.config, headers);
        exchange
    }

    fn measure(&self, times: usize) -> String {
        let mut requests: Vec<Exchange> = (0..times).map(|_| self.request()).collect();
        let mut length = 0;
        let start = Instant::now();
        for request in &mut requests {
            if let BodyEffect::Replace(bytes) = request.on_request_chunk(black_box(&self.body), true) {
                length = black_box(bytes).len();
            }
        }
        let edits = start.elapsed().as_nanos();
        let start = Instant::now();
        for _ in 0..times {
            let _ = black_box(core::str::from_utf8(black_box(&self.body)));
        }
        let checks = start.elapsed().as_nanos();
        format!("{edits} {checks} {length}")
    }
}

struct Root(Option<Rc<Subject>>);

impl Context for Root {}

impl RootContext for Root {
    fn on_configure(&mut self, size: usize) -> bool {
        let text = hostcalls::get_buffer(BufferType::PluginConfiguration, 0, size).ok().flatten().unwrap_or_default();
        self.0 = Subject::parse(&text).map(Rc::new);
        self.0.is_some()
    }

    fn create_http_context(&self, _: u32) -> Option<Box<dyn HttpContext>> {
        Some(Box::new(Http(Rc::clone(self.0.as_ref()?))))
    }

    fn get_type(&self) -> Option<ContextType> {
        Some(ContextType::HttpContext)
    }
}

struct Http(Rc<Subject>);

impl Context for Http {}

impl HttpContext for Http {
    fn on_http_request_headers(&mut self, _: usize, _: bool) -> Action {
        let times = hostcalls::get_map_value(MapType::HttpRequestHeaders, "x-times").ok().flatten();
        let times = times.and_then(|times| times.parse().ok()).unwrap_or_default();
        let answer = self.0.measure(times);
        let _ = hostcalls::send_http_response(200, Vec::new(), Some(answer.as_bytes()));
        Action::Pause
    }
}
