//! What becomes of request bodies on a real Envoy: every assertion is on the exact bytes the upstream received.
//!
//! How a body reaches the filter depends on how it is sent, so most cases are sent many times over: in HTTP/1.1 with a
//! length and in chunks, and in HTTP/2 ([`Transport`]); a byte at a time, in small and in large pieces, and at once
//! ([`PLANS`]).
#![cfg(not(target_family = "wasm"))]
#![allow(
    clippy::arithmetic_side_effects,
    clippy::expect_used,
    clippy::indexing_slicing,
    clippy::panic,
    clippy::print_stderr,
    reason = "a test that meets something unexpected fails"
)]

mod support;

use bytes::Bytes;
use hyper::Request;
use hyper::header::{HeaderMap, HeaderName, HeaderValue};
use miniz_oxide::deflate::{compress_to_vec, compress_to_vec_zlib};
use serde_json::{Value, json};
use std::collections::HashMap;
use std::net::{Ipv4Addr, SocketAddr};
use std::sync::Arc;
use std::time::{Duration, Instant};
use support::client::{Client, End, Raw, Response, find, in_pieces, whole};
use support::wire::{WireUpstream, requests};
use support::{Answer, Envoy, EnvoyConfig, Received, Upstream, UpstreamOptions};
use tokio::io::{AsyncReadExt as _, AsyncWriteExt as _};
use tokio::net::TcpListener;
use tokio::sync::Semaphore;
use tokio::task::{JoinHandle, JoinSet};
use tokio::time::sleep;

// -- Sending ----------------------------------------------------------------------------------------------------------

/// How a request travels.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum Transport {
    Http1Length,
    Http1Chunked,
    /// Without `content-length`, which is optional there.
    Http2,
    Http2Length,
}

impl Transport {
    const ALL: [Self; 4] = [Self::Http1Length, Self::Http1Chunked, Self::Http2, Self::Http2Length];

    fn is_http2(self) -> bool {
        matches!(self, Self::Http2 | Self::Http2Length)
    }

    /// Whether the client says how long the body is.
    fn has_length(self) -> bool {
        matches!(self, Self::Http1Length | Self::Http2Length)
    }
}

/// The sizes of pieces, in bytes; each piece is flushed to the socket before the next.
const PLANS: [usize; 4] = [1, 7, 16 << 10, usize::MAX];

/// More pieces than this say nothing new and take long.
const MAX_PIECES: usize = 400;

/// How many requests are under way at once.
const CONCURRENCY: usize = 48;

/// Says which request of a test the upstream received.
const CASE_HEADER: &str = "x-case";

const CHAT: &str = "/v1/chat/completions";
const EMBEDDINGS: &str = "/v1/embeddings";

/// One request, and the body that has to arrive.
#[derive(Clone, Debug)]
struct Case {
    domain: &'static str,
    path: &'static str,
    headers: Vec<(&'static str, &'static str)>,
    body: Bytes,
    expected: Bytes,
}

impl Case {
    fn new(domain: &'static str, path: &'static str, body: impl Into<Bytes>, expected: impl Into<Bytes>) -> Self {
        let headers = vec![("content-type", "application/json")];
        Self { domain, path, headers, body: body.into(), expected: expected.into() }
    }

    /// A body that has to arrive as it is.
    fn untouched(domain: &'static str, path: &'static str, body: impl Into<Bytes>) -> Self {
        let body = body.into();
        Self::new(domain, path, body.clone(), body)
    }

    /// A body that is refused.
    fn refused(domain: &'static str, path: &'static str, body: impl Into<Bytes>) -> Self {
        Self::new(domain, path, body, Bytes::new())
    }

    /// Replaces the headers, `content-type` among them.
    fn headers(mut self, headers: &[(&'static str, &'static str)]) -> Self {
        self.headers = headers.to_vec();
        self
    }
}

/// What became of one request.
#[derive(Debug)]
struct Sent {
    case: Case,
    transport: Transport,
    /// Names the request in messages.
    label: String,
    response: Response,
    received: Vec<Received>,
}

impl Sent {
    /// The one request that the upstream received.
    fn arrived(&self) -> &Received {
        assert_eq!(self.response.status, 200, "{}\nanswered: {}", self.label, self.response.text());
        let [received] = self.received.as_slice() else {
            panic!("{}\narrived {} times", self.label, self.received.len());
        };
        received
    }

    /// The upstream received exactly the expected bytes.
    fn assert_exact(&self) {
        assert_same(&self.arrived().body, &self.case.expected, &self.label);
    }

    /// The upstream was told how long the body is, and told the truth.
    fn assert_length_is_sent(&self) {
        let received = self.arrived();
        let length = received.body.len().to_string();
        assert_eq!(received.header("content-length"), [length.as_bytes()], "{}", self.label);
        assert_eq!(received.header("transfer-encoding"), Vec::<&[u8]>::new(), "{}", self.label);
    }

    /// The upstream was not told, because nobody knew.
    fn assert_chunked(&self) {
        let received = self.arrived();
        assert_eq!(received.header("content-length"), Vec::<&[u8]>::new(), "{}", self.label);
        assert_eq!(received.header("transfer-encoding"), [b"chunked"], "{}", self.label);
    }

    /// Answered by Waypost with this status and code, and nothing complete arrived.
    fn assert_refused(&self, status: u16, code: &str) {
        let text = self.response.text();
        assert_eq!(self.response.status, status, "{}\nanswered: {text}", self.label);
        assert_eq!(self.response.headers["content-type"], "application/json", "{}", self.label);
        let body: Value = serde_json::from_str(&text).unwrap_or_else(|error| panic!("{}: {error}: {text}", self.label));
        assert_eq!(body["error"]["code"], code, "{}\nanswered: {text}", self.label);
        assert_eq!(body["error"]["source"], "gateway", "{}\nanswered: {text}", self.label);
        assert!(self.received.is_empty(), "{}\nrefused, but arrived: {:?}", self.label, self.received);
    }
}

/// Compares bodies and shows where they part.
fn assert_same(actual: &[u8], expected: &[u8], label: &str) {
    if actual == expected {
        return;
    }
    let at = actual.iter().zip(expected).take_while(|(a, b)| a == b).count();
    let near = |bytes: &[u8]| {
        let from = at.saturating_sub(100);
        String::from_utf8_lossy(&bytes[from.min(bytes.len())..(at + 100).min(bytes.len())]).into_owned()
    };
    panic!(
        "{label}\nbodies part at byte {at}\n arrived ({} bytes): {}\nexpected ({} bytes): {}",
        actual.len(),
        near(actual),
        expected.len(),
        near(expected)
    );
}

/// An Envoy with one provider for each domain, and the upstream behind it.
struct Bench {
    upstream: Upstream,
    envoy: Envoy,
}

/// One rule for each domain; every provider gets a token.
fn configuration(providers: &[(&str, Value)]) -> Value {
    let rule = |(domain, provider): &(&str, Value)| {
        let mut provider = provider.clone();
        provider["apiTokens"] = json!(["test-token"]);
        json!({"_match_domain_": [domain], "provider": provider})
    };
    json!({"_rules_": providers.iter().map(rule).collect::<Vec<_>>()})
}

async fn start(config: EnvoyConfig) -> Envoy {
    Envoy::start(config).await.unwrap_or_else(|error| panic!("{error}"))
}

impl Bench {
    async fn start(providers: &[(&str, Value)]) -> Self {
        Self::start_with(providers, |config| config).await
    }

    async fn start_with(providers: &[(&str, Value)], change: impl FnOnce(EnvoyConfig) -> EnvoyConfig) -> Self {
        let upstream = Upstream::start().await;
        let config = EnvoyConfig::new(upstream.address()).waypost(&configuration(providers));
        let envoy = start(change(config)).await;
        Self { upstream, envoy }
    }

    /// Sends every case in every way.
    async fn send(&self, cases: &[Case], transports: &[Transport], plans: &[usize]) -> Vec<Sent> {
        let slots = Arc::new(Semaphore::new(CONCURRENCY));
        let mut tasks = JoinSet::new();
        let mut id = 0_u64;
        for case in cases {
            for &transport in transports {
                for &plan in plans.iter().filter(|plan| case.body.len().div_ceil(**plan) <= MAX_PIECES) {
                    let (case, slots, address) = (case.clone(), Arc::clone(&slots), self.envoy.address());
                    id += 1;
                    tasks.spawn(async move {
                        let _slot = slots.acquire().await;
                        let mut client =
                            if transport.is_http2() { Client::http2(address) } else { Client::http1(address) };
                        let body = in_pieces(case.body.clone(), plan, End::WithData);
                        let mut request = request(&case, transport).header(CASE_HEADER, id);
                        if transport.has_length() {
                            request = request.header("content-length", case.body.len());
                        }
                        let response = client.send(request.body(body).expect("a request")).await;
                        let shown = &case.body[..case.body.len().min(300)];
                        let label = format!(
                            "{}{} over {transport:?} in pieces of {plan}: {}",
                            case.domain,
                            case.path,
                            String::from_utf8_lossy(shown)
                        );
                        let response = response.unwrap_or_else(|error| panic!("{label}\n{error}"));
                        (id, Sent { case, transport, label, response, received: Vec::new() })
                    });
                }
            }
        }
        let mut sent: HashMap<u64, Sent> = HashMap::new();
        while let Some(done) = tasks.join_next().await {
            sent.extend([done.unwrap_or_else(|error| panic!("{error}"))]);
        }
        // The upstream records a request before it answers, so everything is there.
        for received in self.upstream.take() {
            let id = received.header(CASE_HEADER).first().and_then(|id| std::str::from_utf8(id).ok()?.parse().ok());
            // Without one it is from somebody else, who looks after it.
            if let Some(sent) = id.and_then(|id: u64| sent.get_mut(&id)) {
                sent.received.push(received);
            }
        }
        let mut sent: Vec<_> = sent.into_iter().collect();
        sent.sort_by_key(|(id, _)| *id);
        sent.into_iter().map(|(_, sent)| sent).collect()
    }

    /// Sends every case in every way and compares what arrives.
    async fn assert_exact(&self, cases: &[Case]) {
        for sent in self.send(cases, &Transport::ALL, &PLANS).await {
            sent.assert_exact();
        }
        self.assert_no_complaints();
    }

    /// Envoy's log has no warning. The upstream of these tests tells no usage of some streams, which Waypost remarks.
    fn assert_no_complaints(&self) {
        let mut complaints = self.envoy.complaints();
        complaints.retain(|line| !line.contains("a stream told no usage"));
        assert_eq!(complaints, Vec::<String>::new());
    }

    /// Sends one case once.
    async fn send_one(&self, case: Case, transport: Transport) -> Sent {
        self.send(&[case], &[transport], &[usize::MAX]).await.remove(0)
    }
}

fn request(case: &Case, transport: Transport) -> hyper::http::request::Builder {
    let mut request = if transport.is_http2() {
        Request::post(format!("http://{}{}", case.domain, case.path))
    } else {
        Request::post(case.path).header("host", case.domain)
    };
    for (name, value) in &case.headers {
        request = request.header(*name, *value);
    }
    request
}

/// The head of an HTTP/1.1 request for a raw socket.
fn raw_head(domain: &str, path: &str, headers: &str) -> String {
    format!("POST {path} HTTP/1.1\r\nhost: {domain}\r\ncontent-type: application/json\r\n{headers}\r\n")
}

fn trailers() -> HeaderMap {
    HeaderMap::from_iter([(HeaderName::from_static("x-end"), HeaderValue::from_static("yes"))])
}

// -- Providers --------------------------------------------------------------------------------------------------------

/// Maps models and nothing else; the new name is longer than the old one, or shorter.
fn mapping() -> Value {
    json!({
        "type": "openai",
        "includeUsage": "off",
        "modelMapping": {"gpt-4o": "vendor/gpt-4o-2024-11-20", "gpt-4o-with-a-long-name": "m", "odd": "a\"b\\é😀"},
    })
}

/// The path holds the model.
fn azure() -> Value {
    json!({
        "type": "azure",
        "azureServiceUrl": "https://example.openai.azure.com?api-version=2024-10-21",
        "modelMapping": {"gpt-4o": "prod-4o"},
    })
}

const AZURE_AUTHORITY: &str = "example.openai.azure.com";
const AZURE_PATH: &str = "/openai/deployments/prod-4o/chat/completions?api-version=2024-10-21";

/// Parameters of some models only: the body is buffered, because `model` may stand last.
fn buffered() -> Value {
    json!({
        "type": "openai",
        "includeUsage": "off",
        "modelMapping": {"small": "o3-mini"},
        "params": [
            {"op": "remove", "key": "temperature", "models": ["o3*"]},
            {"op": "rename", "key": "max_tokens", "value": "max_completion_tokens", "models": ["o3-mini"]},
            {"op": "set", "key": "seed", "value": 1, "models": ["gpt-4*"]},
        ],
    })
}

// -- Models -----------------------------------------------------------------------------------------------------------

#[tokio::test]
async fn a_mapped_model_is_spliced_in_and_every_other_byte_stays() {
    let bench = Bench::start(&[("map.test", mapping())]).await;
    let pairs: &[(&str, &str)] = &[
        // First, last, in the middle, alone.
        (
            r#"{"model":"gpt-4o","messages":[],"stream":true}"#,
            r#"{"model":"vendor/gpt-4o-2024-11-20","messages":[],"stream":true}"#,
        ),
        (r#"{"messages":[],"model":"gpt-4o"}"#, r#"{"messages":[],"model":"vendor/gpt-4o-2024-11-20"}"#),
        (r#"{"a":1,"model":"gpt-4o","b":2}"#, r#"{"a":1,"model":"vendor/gpt-4o-2024-11-20","b":2}"#),
        (r#"{"model":"gpt-4o"}"#, r#"{"model":"vendor/gpt-4o-2024-11-20"}"#),
        // Whitespace.
        (
            "\r\n\t {\n  \"messages\" : [ ] ,\n\t\"model\" : \"gpt-4o\"\r\n}  \n",
            "\r\n\t {\n  \"messages\" : [ ] ,\n\t\"model\" : \"vendor/gpt-4o-2024-11-20\"\r\n}  \n",
        ),
        // Numbers keep their spelling.
        (
            r#"{"temperature":1.0,"top_p":1e-6,"seed":12345678901234567890,"n":-0,"x":1E+2,"y":0.1000,"model":"gpt-4o"}"#,
            r#"{"temperature":1.0,"top_p":1e-6,"seed":12345678901234567890,"n":-0,"x":1E+2,"y":0.1000,"model":"vendor/gpt-4o-2024-11-20"}"#,
        ),
        // So do strings.
        (
            r#"{"messages":[{"content":"😀 \ud83d\ude00 é \u00e9 \/ \" \\ \u0000 東京"}],"model":"gpt-4o"}"#,
            r#"{"messages":[{"content":"😀 \ud83d\ude00 é \u00e9 \/ \" \\ \u0000 東京"}],"model":"vendor/gpt-4o-2024-11-20"}"#,
        ),
        // A key and a value in escapes.
        (r#"{"mod\u0065l":"gpt-4o","x":1}"#, r#"{"mod\u0065l":"vendor/gpt-4o-2024-11-20","x":1}"#),
        (r#"{"model":"gpt\u002d4o"}"#, r#"{"model":"vendor/gpt-4o-2024-11-20"}"#),
        // Only the top level counts.
        (
            r#"{"messages":[{"model":"gpt-4o"}],"metadata":{"Model":"gpt-4o"},"model":"gpt-4o","models":"gpt-4o"}"#,
            r#"{"messages":[{"model":"gpt-4o"}],"metadata":{"Model":"gpt-4o"},"model":"vendor/gpt-4o-2024-11-20","models":"gpt-4o"}"#,
        ),
        // Keys nobody asked about may stand twice.
        (
            r#"{"x":1,"x":2,"":3,"":4,"model":"gpt-4o"}"#,
            r#"{"x":1,"x":2,"":3,"":4,"model":"vendor/gpt-4o-2024-11-20"}"#,
        ),
        // A shorter name, and one that needs escapes.
        (r#"{"model":"gpt-4o-with-a-long-name","n":1}"#, r#"{"model":"m","n":1}"#),
        (r#"{"model":"odd"}"#, r#"{"model":"a\"b\\é😀"}"#),
        // A name that is not mapped keeps its spelling.
        (r#"{"model":"gpt\u002d5","n":1}"#, r#"{"model":"gpt\u002d5","n":1}"#),
        // Looks like the end, and is not.
        (
            r#"{"messages":["}","{\"model\":\"x\"}"],"model":"gpt-4o"}"#,
            r#"{"messages":["}","{\"model\":\"x\"}"],"model":"vendor/gpt-4o-2024-11-20"}"#,
        ),
    ];
    let mut cases: Vec<Case> =
        pairs.iter().map(|(body, expected)| Case::new("map.test", CHAT, *body, *expected)).collect();
    // Bytes that are not UTF-8, where nobody looks at them.
    cases.push(Case::new(
        "map.test",
        CHAT,
        b"{\"messages\":\"\xff\xfe\x80\",\"model\":\"gpt-4o\"}".as_slice(),
        b"{\"messages\":\"\xff\xfe\x80\",\"model\":\"vendor/gpt-4o-2024-11-20\"}".as_slice(),
    ));
    // 128 levels are not too many.
    let nested = format!("{}{}", "[".repeat(127), "]".repeat(127));
    cases.push(Case::new(
        "map.test",
        CHAT,
        format!(r#"{{"x":{nested},"model":"gpt-4o"}}"#),
        format!(r#"{{"x":{nested},"model":"vendor/gpt-4o-2024-11-20"}}"#),
    ));
    for path in [EMBEDDINGS, "/v1/responses", "/v1/completions", "/v1/images/generations"] {
        let body = r#"{"input":"x","model":"gpt-4o"}"#;
        cases.push(Case::new("map.test", path, body, r#"{"input":"x","model":"vendor/gpt-4o-2024-11-20"}"#));
    }
    for sent in bench.send(&cases, &Transport::ALL, &PLANS).await {
        sent.assert_exact();
        sent.assert_chunked();
    }
    bench.assert_no_complaints();
}

#[tokio::test]
async fn a_mapped_model_is_spliced_into_long_bodies_wherever_it_stands() {
    let bench = Bench::start_with(&[("map.test", mapping())], EnvoyConfig::default_buffer_limit).await;
    let text = "Which way? \\\"That\\\" way, \u{1f600}. ".repeat(8 << 10);
    let body = |before: usize, model: &str| {
        // Between two words, not between a backslash and what it escapes.
        let at = text.match_indices(' ').map(|(index, _)| index).take_while(|index| *index <= before).last();
        let (first, second) = text.split_at(at.unwrap_or(0));
        format!(r#"{{"a":"{first}","model":"{model}","b":"{second}"}}"#)
    };
    let lengths = [0, (16 << 10) - 20, 16 << 10, (32 << 10) - 3, 200 << 10];
    let cases: Vec<Case> = lengths
        .map(|before| Case::new("map.test", CHAT, body(before, "gpt-4o"), body(before, "vendor/gpt-4o-2024-11-20")))
        .into();
    assert!(cases[0].body.len() > 200 << 10);
    bench.assert_exact(&cases).await;
}

#[tokio::test]
async fn a_request_without_model_gets_the_target_of_the_star() {
    let star = json!({"type": "openai", "includeUsage": "off", "modelMapping": {"gpt-4o": "a", "*": "fallback"}});
    let empty_star = json!({"type": "openai", "includeUsage": "off", "modelMapping": {"gpt-4o": "a", "*": ""}});
    let bench = Bench::start(&[("star.test", star), ("empty.test", empty_star), ("map.test", mapping())]).await;
    let cases = [
        Case::new("star.test", CHAT, r#"{"messages":[]}"#, r#"{"messages":[],"model":"fallback"}"#),
        Case::new("star.test", CHAT, "{ }", r#"{ "model":"fallback"}"#),
        Case::new("star.test", EMBEDDINGS, "{\"input\":\"x\"\n}\n", "{\"input\":\"x\"\n,\"model\":\"fallback\"}\n"),
        Case::new("star.test", CHAT, r#"{"model":"other"}"#, r#"{"model":"fallback"}"#),
        Case::new("star.test", CHAT, r#"{"model":"gpt-4o"}"#, r#"{"model":"a"}"#),
        Case::new("empty.test", CHAT, r#"{"model":"gpt-4o"}"#, r#"{"model":"a"}"#),
        Case::untouched("empty.test", CHAT, r#"{"messages":[]}"#),
        Case::untouched("empty.test", CHAT, r#"{"model":"other"}"#),
        Case::untouched("map.test", CHAT, r#"{"messages":[]}"#),
    ];
    bench.assert_exact(&cases).await;
}

// -- Usage ------------------------------------------------------------------------------------------------------------

#[tokio::test]
async fn streams_are_asked_for_their_usage() {
    let bench = Bench::start(&[
        ("auto.test", json!({"type": "openai"})),
        ("force.test", json!({"type": "mistral", "includeUsage": "force"})),
    ])
    .await;
    let pairs = [
        (r#"{"model":"m","stream":true}"#, r#"{"model":"m","stream":true,"stream_options":{"include_usage":true}}"#),
        (
            "{ \"stream\" : true , \"model\" : \"m\" }\n",
            "{ \"stream\" : true , \"model\" : \"m\" ,\"stream_options\":{\"include_usage\":true}}\n",
        ),
        // Its siblings are kept.
        (
            r#"{"stream":true,"stream_options":{"include_obfuscation":false},"model":"m"}"#,
            r#"{"stream":true,"stream_options":{"include_obfuscation":false,"include_usage":true},"model":"m"}"#,
        ),
        (
            r#"{"stream_options":{ "x": 1.0, "include_usage" : false },"model":"m","stream":true}"#,
            r#"{"stream_options":{ "x": 1.0, "include_usage" : true },"model":"m","stream":true}"#,
        ),
        (
            r#"{"stream":true,"stream_options":{},"model":"m"}"#,
            r#"{"stream":true,"stream_options":{"include_usage":true},"model":"m"}"#,
        ),
        // As if it were not there.
        (
            r#"{"stream":true,"stream_options":null,"model":"m"}"#,
            r#"{"stream":true,"stream_options":{"include_usage":true},"model":"m"}"#,
        ),
        // Asked already.
        (
            r#"{"stream":true,"stream_options":{"include_usage":true},"model":"m"}"#,
            r#"{"stream":true,"stream_options":{"include_usage":true},"model":"m"}"#,
        ),
    ];
    let mut cases = Vec::new();
    for (body, expected) in pairs {
        for domain in ["auto.test", "force.test"] {
            cases.push(Case::new(domain, CHAT, body, expected));
        }
        cases.push(Case::new("auto.test", "/v1/completions", body, expected));
    }
    bench.assert_exact(&cases).await;
}

#[tokio::test]
async fn what_is_no_stream_or_does_not_take_it_is_not_asked_for_its_usage() {
    let bench = Bench::start(&[
        ("auto.test", json!({"type": "openai"})),
        ("off.test", json!({"type": "openai", "includeUsage": "off"})),
        ("higress.test", json!({"type": "openai", "disableStreamUsageStats": true})),
        ("mistral.test", json!({"type": "mistral"})),
        ("claude.test", json!({"type": "claude"})),
    ])
    .await;
    let stream = r#"{"model":"m","stream":true}"#;
    let mut cases = vec![
        Case::untouched("auto.test", CHAT, r#"{"model":"m"}"#),
        Case::untouched("auto.test", CHAT, r#"{"model":"m","stream":false}"#),
        Case::untouched("auto.test", CHAT, r#"{"model":"m","stream":null}"#),
        Case::untouched("auto.test", CHAT, r#"{"stream":false,"stream_options":{"include_usage":false}}"#),
        Case::untouched("auto.test", CHAT, r#"{"stream":false,"stream_options":null,"model":"m"}"#),
        Case::untouched("auto.test", CHAT, r#"{"messages":[{"stream":true}]}"#),
        Case::untouched("auto.test", EMBEDDINGS, stream),
        Case::untouched("auto.test", "/v1/responses", stream),
        Case::untouched("claude.test", "/v1/messages", stream),
    ];
    for domain in ["off.test", "higress.test", "mistral.test"] {
        cases.push(Case::untouched(domain, CHAT, stream));
        cases.push(Case::untouched(domain, CHAT, r#"{"stream":true,"stream_options":{"include_usage":false}}"#));
    }
    bench.assert_exact(&cases).await;
}

/// Many clients write every member they know, absent ones as `null`. Upstreams refuse `stream_options` without `stream`.
#[tokio::test]
async fn null_options_of_what_turns_out_to_be_no_stream_are_not_filled_in() {
    let bench = Bench::start(&[("auto.test", json!({"type": "openai"}))]).await;
    let cases = [
        r#"{"model":"m","stream_options":null,"stream":false}"#,
        r#"{"stream_options":null,"model":"m","stream":null}"#,
        r#"{"stream_options":null,"model":"m"}"#,
    ]
    .map(|body| Case::untouched("auto.test", CHAT, body));
    for sent in bench.send(&cases, &Transport::ALL, &PLANS).await {
        let body = sent.arrived().json();
        assert_eq!((&body["model"], &body["stream_options"]), (&json!("m"), &Value::Null), "{}\n{body}", sent.label);
    }
    let stream = Case::refused("auto.test", CHAT, r#"{"stream_options":null,"model":"m","stream":true}"#);
    for sent in bench.send(&[stream], &Transport::ALL, &PLANS).await {
        let body = sent.arrived().json();
        assert_eq!(body["stream_options"], json!({"include_usage": true}), "{}\n{body}", sent.label);
    }
}

// -- Parameters -------------------------------------------------------------------------------------------------------

#[tokio::test]
async fn parameters_are_set_defaulted_renamed_removed_and_clamped() {
    let provider = json!({
        "type": "openai",
        "includeUsage": "off",
        "modelMapping": {"gpt-4o": "mapped"},
        "params": [
            {"op": "set", "key": "user", "value": "gateway"},
            {"op": "default", "key": "temperature", "value": 0.7},
            {"op": "rename", "key": "max_tokens", "value": "max_completion_tokens"},
            {"op": "remove", "key": "logit_bias"},
            {"op": "clamp", "key": "top_p", "value": {"min": 0.1, "max": 0.90}},
            {"op": "set", "key": "reasoning.effort", "value": "low"},
            {"op": "default", "key": "metadata.team", "value": "a"},
        ],
    });
    let bench = Bench::start(&[("params.test", provider)]).await;
    let pairs = [
        (
            r#"{"model":"gpt-4o"}"#,
            r#"{"model":"mapped","user":"gateway","temperature":0.7,"reasoning":{"effort":"low"},"metadata":{"team":"a"}}"#,
        ),
        (
            r#"{"user":"me", "temperature":1.0, "max_tokens":1e2, "logit_bias":{"a":[1]}, "top_p":1, "reasoning":{ "summary":"auto", "effort":"high" }, "metadata":{"team":"b"}, "model":"gpt-4o"}"#,
            r#"{"user":"gateway", "temperature":1.0, "max_completion_tokens":1e2, "top_p":0.9, "reasoning":{ "summary":"auto", "effort":"low" }, "metadata":{"team":"b"}, "model":"mapped"}"#,
        ),
        // The member that goes stands first, last, and alone.
        (
            r#"{"logit_bias":{}, "user":"gateway","temperature":0,"reasoning":{"effort":"low"},"metadata":{"team":1}}"#,
            r#"{"user":"gateway","temperature":0,"reasoning":{"effort":"low"},"metadata":{"team":1}}"#,
        ),
        (
            r#"{"user":"gateway","temperature":0,"reasoning":{"effort":"low"},"metadata":{"team":1} , "logit_bias":1 }"#,
            r#"{"user":"gateway","temperature":0,"reasoning":{"effort":"low"},"metadata":{"team":1}  }"#,
        ),
        (
            r#"{ "logit_bias" : null }"#,
            r#"{  "user":"gateway","temperature":0.7,"reasoning":{"effort":"low"},"metadata":{"team":"a"}}"#,
        ),
        // What is no number becomes the bound (audit M3); what is below comes up.
        (
            r#"{"top_p":"much","user":1,"temperature":0,"reasoning":1,"metadata":null}"#,
            r#"{"top_p":0.9,"user":"gateway","temperature":0,"reasoning":{"effort":"low"},"metadata":{"team":"a"}}"#,
        ),
        (
            r#"{"top_p":1e-9,"user":1,"temperature":null,"reasoning":{},"metadata":{}}"#,
            r#"{"top_p":0.1,"user":"gateway","temperature":0.7,"reasoning":{"effort":"low"},"metadata":{"team":"a"}}"#,
        ),
        // Two names for one thing: the first one stays.
        (
            r#"{"max_tokens":1,"max_completion_tokens":2,"user":1,"temperature":0,"reasoning":{},"metadata":{}}"#,
            r#"{"max_completion_tokens":1,"user":"gateway","temperature":0,"reasoning":{"effort":"low"},"metadata":{"team":"a"}}"#,
        ),
        (
            r#"{"max_completion_tokens":2,"max_tokens":1,"user":1,"temperature":0,"reasoning":{},"metadata":{}}"#,
            r#"{"max_completion_tokens":2,"user":"gateway","temperature":0,"reasoning":{"effort":"low"},"metadata":{"team":"a"}}"#,
        ),
    ];
    let mut cases = pairs.map(|(body, expected)| Case::new("params.test", CHAT, body, expected)).to_vec();
    // They are for what generates text.
    cases.push(Case::new(
        "params.test",
        EMBEDDINGS,
        r#"{"user":"me","model":"gpt-4o"}"#,
        r#"{"user":"me","model":"mapped"}"#,
    ));
    bench.assert_exact(&cases).await;
}

#[tokio::test]
async fn parameters_of_some_models_know_a_model_that_stands_last() {
    let bench = Bench::start(&[("buffered.test", buffered())]).await;
    let pairs = [
        (
            r#"{"temperature":0.5,"max_tokens":7,"messages":[],"model":"small"}"#,
            r#"{"max_completion_tokens":7,"messages":[],"model":"o3-mini"}"#,
        ),
        (r#"{"temperature":0.5,"max_tokens":7,"model":"o3"}"#, r#"{"max_tokens":7,"model":"o3"}"#),
        (r#"{"temperature":0.5,"model":"gpt-4o"}"#, r#"{"temperature":0.5,"model":"gpt-4o","seed":1}"#),
        (r#"{"temperature":0.5,"model":"other"}"#, r#"{"temperature":0.5,"model":"other"}"#),
        (r#"{"temperature":0.5}"#, r#"{"temperature":0.5}"#),
    ];
    let cases = pairs.map(|(body, expected)| Case::new("buffered.test", CHAT, body, expected));
    for sent in bench.send(&cases, &Transport::ALL, &PLANS).await {
        sent.assert_exact();
        sent.assert_chunked();
    }
    // Nothing else is buffered.
    let embeddings = Case::new("buffered.test", EMBEDDINGS, r#"{"model":"small"}"#, r#"{"model":"o3-mini"}"#);
    bench.assert_exact(&[embeddings]).await;
}

#[tokio::test]
async fn custom_settings_of_higress_become_parameters() {
    let provider = json!({
        "type": "openai",
        "includeUsage": "off",
        "customSettings": [
            {"name": "max_tokens", "value": 100},
            {"name": "temperature", "value": 0.25, "overwrite": false},
            {"name": "logprobs", "value": true, "mode": "raw"},
            {"name": "chat_template_kwargs.thinking", "value": false, "mode": "raw"},
        ],
    });
    let bench = Bench::start(&[("custom.test", provider)]).await;
    let cases = [
        Case::new(
            "custom.test",
            CHAT,
            r#"{"model":"m"}"#,
            r#"{"model":"m","max_tokens":100,"temperature":0.25,"logprobs":true,"chat_template_kwargs":{"thinking":false}}"#,
        ),
        Case::new(
            "custom.test",
            CHAT,
            r#"{"chat_template_kwargs":{"thinking":true,"x":1.0},"max_tokens":5,"temperature":1.0,"logprobs":false,"model":"m"}"#,
            r#"{"chat_template_kwargs":{"thinking":false,"x":1.0},"max_tokens":100,"temperature":1.0,"logprobs":true,"model":"m"}"#,
        ),
    ];
    bench.assert_exact(&cases).await;
}

#[tokio::test]
async fn the_original_protocol_leaves_bodies_alone() {
    let provider = json!({
        "type": "openai",
        "protocol": "original",
        "includeUsage": "force",
        "modelMapping": {"gpt-4o": "mapped", "*": "fallback"},
        "params": [{"op": "set", "key": "user", "value": "gateway"}],
    });
    let bench = Bench::start(&[("original.test", provider)]).await;
    let cases = [
        Case::untouched("original.test", CHAT, r#"{"model":"gpt-4o","stream":true,"user":"me"}"#),
        Case::untouched("original.test", "/api/chat/completions", r#"{"stream":true}"#),
        Case::untouched("original.test", CHAT, "no JSON at all"),
    ];
    for sent in bench.send(&cases, &Transport::ALL, &PLANS).await {
        sent.assert_exact();
        assert_eq!(sent.arrived().path, sent.case.path, "{}", sent.label);
        if sent.transport.has_length() {
            sent.assert_length_is_sent();
        } else {
            sent.assert_chunked();
        }
    }
}

// -- Lengths ----------------------------------------------------------------------------------------------------------

#[tokio::test]
async fn the_length_is_kept_where_the_body_cannot_change_and_goes_where_it_may() {
    let plain = json!({"type": "openai", "includeUsage": "off"});
    let bench = Bench::start(&[("plain.test", plain), ("auto.test", json!({"type": "openai"}))]).await;
    let body = r#"{"model":"m","input":"x","stream":false}"#;
    let fixed = [("plain.test", CHAT), ("auto.test", EMBEDDINGS), ("auto.test", "/v1/responses"), ("auto.test", "/x")];
    let cases = fixed.map(|(domain, path)| Case::untouched(domain, path, body));
    for sent in bench.send(&cases, &Transport::ALL, &PLANS).await {
        sent.assert_exact();
        if sent.transport.has_length() {
            sent.assert_length_is_sent();
        } else {
            sent.assert_chunked();
        }
    }
    // It might have asked for a stream, which nobody knows before its headers are on their way.
    let may_change = Case::untouched("auto.test", CHAT, body);
    for sent in bench.send(&[may_change], &Transport::ALL, &PLANS).await {
        sent.assert_exact();
        sent.assert_chunked();
    }
}

#[tokio::test]
async fn held_headers_carry_the_exact_length() {
    let mut hold = mapping();
    hold["holdHeaders"] = json!(true);
    let mut bounded = hold.clone();
    bounded["maxHeldBodyBytes"] = json!(40);
    let bench = Bench::start(&[("hold.test", hold), ("bounded.test", bounded)]).await;
    let pairs = [
        (r#"{"model":"gpt-4o","n":1}"#, r#"{"model":"vendor/gpt-4o-2024-11-20","n":1}"#),
        (r#"{"n":1,"model":"gpt-4o-with-a-long-name"}"#, r#"{"n":1,"model":"m"}"#),
        (r#"{"n":1,"model":"other"}"#, r#"{"n":1,"model":"other"}"#),
    ];
    let cases = pairs.map(|(body, expected)| Case::new("hold.test", CHAT, body, expected));
    for sent in bench.send(&cases, &Transport::ALL, &PLANS).await {
        sent.assert_exact();
        if sent.transport.has_length() {
            sent.assert_length_is_sent();
        } else {
            sent.assert_chunked();
        }
    }
    // Nothing depends on the hold, so a body that is too long for it goes through in chunks.
    let long = Case::new("bounded.test", CHAT, pairs[1].0, pairs[1].1);
    assert!(long.body.len() > 40);
    let short = Case::new("bounded.test", CHAT, pairs[0].0, pairs[0].1);
    for sent in bench.send(&[long, short], &[Transport::Http1Length], &PLANS).await {
        sent.assert_exact();
        if sent.case.body.len() > 40 { sent.assert_chunked() } else { sent.assert_length_is_sent() }
    }
}

#[tokio::test]
async fn a_path_that_holds_the_model_waits_for_it() {
    let bench = Bench::start(&[("azure.test", azure())]).await;
    let long = "x".repeat(100 << 10);
    let cases = [
        Case::new("azure.test", CHAT, r#"{"messages":[],"model":"gpt-4o"}"#, r#"{"messages":[],"model":"prod-4o"}"#),
        Case::new(
            "azure.test",
            CHAT,
            r#"{"stream":true,"mod\u0065l":"gpt\u002d4o"}"#,
            r#"{"stream":true,"mod\u0065l":"prod-4o","stream_options":{"include_usage":true}}"#,
        ),
        Case::new(
            "azure.test",
            CHAT,
            format!(r#"{{"messages":["{long}"],"model":"gpt-4o"}}"#),
            format!(r#"{{"messages":["{long}"],"model":"prod-4o"}}"#),
        ),
    ];
    for sent in bench.send(&cases, &Transport::ALL, &PLANS).await {
        sent.assert_exact();
        let received = sent.arrived();
        assert_eq!((&*received.authority, &*received.path), (AZURE_AUTHORITY, AZURE_PATH), "{}", sent.label);
        if sent.transport.has_length() {
            sent.assert_length_is_sent();
        } else {
            sent.assert_chunked();
        }
    }
    // A name that is not mapped is the path as it is, in percent-encoding.
    let own = Case::untouched("azure.test", CHAT, r#"{"model":"my/own model"}"#);
    let sent = bench.send_one(own, Transport::Http1Length).await;
    sent.assert_exact();
    sent.assert_length_is_sent();
    let path = "/openai/deployments/my%2Fown%20model/chat/completions?api-version=2024-10-21";
    assert_eq!(sent.arrived().path, path);
    bench.assert_no_complaints();
}

/// A length that is not the body's is how one request becomes two for the next server.
#[tokio::test]
async fn requests_on_one_connection_stay_apart_when_their_bodies_change() {
    let wire = WireUpstream::start().await;
    let mut hold = mapping();
    hold["holdHeaders"] = json!(true);
    let providers = [
        ("map.test", mapping()),
        ("hold.test", hold),
        ("azure.test", azure()),
        ("buffered.test", buffered()),
        ("auto.test", json!({"type": "openai"})),
    ];
    let envoy = start(EnvoyConfig::new(wire.address()).waypost(&configuration(&providers))).await;
    let exchanges = [
        ("map.test", r#"{"model":"gpt-4o"}"#, r#"{"model":"vendor/gpt-4o-2024-11-20"}"#),
        ("map.test", r#"{"model":"gpt-4o-with-a-long-name"}"#, r#"{"model":"m"}"#),
        ("hold.test", r#"{"model":"gpt-4o"}"#, r#"{"model":"vendor/gpt-4o-2024-11-20"}"#),
        ("hold.test", r#"{"model":"gpt-4o-with-a-long-name"}"#, r#"{"model":"m"}"#),
        ("azure.test", r#"{"model":"gpt-4o"}"#, r#"{"model":"prod-4o"}"#),
        ("buffered.test", r#"{"temperature":1,"model":"small"}"#, r#"{"model":"o3-mini"}"#),
        ("auto.test", r#"{"stream":true}"#, r#"{"stream":true,"stream_options":{"include_usage":true}}"#),
        ("map.test", r#"{"model":"gpt-4o"}"#, r#"{"model":"vendor/gpt-4o-2024-11-20"}"#),
    ];
    let with_length = |domain: &str, body: &str| {
        format!("{}{body}", raw_head(domain, CHAT, &format!("content-length: {}\r\n", body.len())))
    };
    let in_chunks = |domain: &str, body: &str| {
        let head = raw_head(domain, CHAT, "transfer-encoding: chunked\r\n");
        format!("{head}{:x}\r\n{body}\r\n0\r\n\r\n", body.len())
    };
    let mut client = Raw::connect(envoy.address()).await.expect("a connection");
    // One after the other, then all of them before the first answer.
    for (domain, body, _) in exchanges {
        for request in [with_length(domain, body), in_chunks(domain, body)] {
            client.send(request).await.expect("a connection");
            assert_eq!(client.response().await.expect("a response").0, 200);
        }
    }
    let pipelined: String =
        exchanges.iter().flat_map(|(domain, body, _)| [with_length(domain, body), in_chunks(domain, body)]).collect();
    client.send(pipelined).await.expect("a connection");
    for _ in 0..exchanges.len() * 2 {
        assert_eq!(client.response().await.expect("a response").0, 200);
    }
    let connections = wire.bytes();
    assert_eq!(connections.len(), 1, "one kept-alive connection to the upstream");
    let (received, rest) = requests(&connections[0]);
    assert_eq!(String::from_utf8_lossy(rest), "", "what is left over begins the next request");
    let bodies: Vec<_> = received.iter().map(|request| String::from_utf8_lossy(&request.body).into_owned()).collect();
    let once: Vec<_> = exchanges.iter().flat_map(|(_, _, expected)| [*expected; 2]).collect();
    assert_eq!(bodies, [once.clone(), once].concat());
    assert!(received.iter().all(|request| request.head.starts_with("POST /")), "{received:?}");
}

// -- Ends -------------------------------------------------------------------------------------------------------------

/// The bodies of three flows: streamed, buffered, held.
const FLOWS: [(&str, &str, &str); 3] = [
    ("map.test", r#"{"n":1,"model":"gpt-4o"}"#, r#"{"n":1,"model":"vendor/gpt-4o-2024-11-20"}"#),
    ("buffered.test", r#"{"temperature":1,"n":1,"model":"small"}"#, r#"{"n":1,"model":"o3-mini"}"#),
    ("azure.test", r#"{"n":1,"model":"gpt-4o"}"#, r#"{"n":1,"model":"prod-4o"}"#),
];

fn flow_providers() -> Vec<(&'static str, Value)> {
    vec![("map.test", mapping()), ("buffered.test", buffered()), ("azure.test", azure())]
}

/// The callback that ends a body comes with data, without, or is another one.
async fn assert_every_end_is_one(bench: &Bench, upstream_shows_trailers: bool) {
    for (domain, body, expected) in FLOWS {
        for plan in PLANS {
            for end in [End::WithData, End::Alone, End::Trailers(trailers())] {
                let case = Case::new(domain, CHAT, body, expected);
                let label = format!("{domain} in pieces of {plan} ending by {end:?}");
                let expects_trailers = upstream_shows_trailers && matches!(end, End::Trailers(_));
                let request = request(&case, Transport::Http2).body(in_pieces(body, plan, end)).expect("a request");
                let response = Client::http2(bench.envoy.address()).send(request).await.expect("a response");
                assert_eq!(response.status, 200, "{label}: {}", response.text());
                let received = bench.upstream.take();
                assert_eq!(received.len(), 1, "{label}");
                assert_same(&received[0].body, expected.as_bytes(), &label);
                let trailers: &[_] = if expects_trailers { &[("x-end".to_owned(), b"yes".to_vec())] } else { &[] };
                assert_eq!(received[0].trailers, trailers, "{label}");
            }
        }
    }
    bench.assert_no_complaints();
}

#[tokio::test]
async fn data_an_empty_frame_and_trailers_end_a_body_alike() {
    let bench = Bench::start(&flow_providers()).await;
    assert_every_end_is_one(&bench, false).await;
}

#[tokio::test]
async fn trailers_of_an_edited_body_reach_an_upstream_that_knows_them() {
    let bench = Bench::start_with(&flow_providers(), EnvoyConfig::upstream_http2).await;
    assert_every_end_is_one(&bench, true).await;
}

#[tokio::test]
async fn an_empty_last_chunk_ends_a_body_whenever_it_comes() {
    let bench = Bench::start(&flow_providers()).await;
    for (domain, body, expected) in FLOWS {
        for last in ["0\r\n\r\n", "0\r\nx-end: yes\r\n\r\n"] {
            let mut client = Raw::connect(bench.envoy.address()).await.expect("a connection");
            client.send(raw_head(domain, CHAT, "transfer-encoding: chunked\r\n")).await.expect("a connection");
            for piece in [format!("{:x}\r\n{body}\r\n", body.len()).as_str(), last] {
                sleep(Duration::from_millis(30)).await;
                client.send(piece).await.expect("a connection");
            }
            let (status, response) = client.response().await.expect("a response");
            assert_eq!(status, 200, "{domain}: {}", String::from_utf8_lossy(&response));
            assert_same(&bench.upstream.take()[0].body, expected.as_bytes(), domain);
        }
    }
}

#[tokio::test]
async fn a_client_that_waits_for_100_continue_gets_it() {
    let bench = Bench::start(&flow_providers()).await;
    for (domain, body, expected) in FLOWS {
        let mut client = Raw::connect(bench.envoy.address()).await.expect("a connection");
        let headers = format!("expect: 100-continue\r\ncontent-length: {}\r\n", body.len());
        client.send(raw_head(domain, CHAT, &headers)).await.expect("a connection");
        assert_eq!(client.response().await.expect("a response").0, 100, "{domain}");
        client.send(body).await.expect("a connection");
        let (status, response) = client.response().await.expect("a response");
        assert_eq!(status, 200, "{domain}: {}", String::from_utf8_lossy(&response));
        let received = bench.upstream.take();
        assert_same(&received[0].body, expected.as_bytes(), domain);
        assert_eq!(received[0].header("expect"), Vec::<&[u8]>::new(), "{domain}");
    }
}

#[tokio::test]
async fn a_request_without_body_passes_unless_its_path_needs_a_model() {
    let bench = Bench::start(&flow_providers()).await;
    for (domain, ..) in FLOWS {
        let mut answers = Vec::new();
        for headers in ["content-length: 0\r\n", "transfer-encoding: chunked\r\n"] {
            let mut client = Raw::connect(bench.envoy.address()).await.expect("a connection");
            client.send(raw_head(domain, CHAT, headers)).await.expect("a connection");
            if headers.starts_with("transfer") {
                client.send("0\r\n\r\n").await.expect("a connection");
            }
            let (status, response) = client.response().await.expect("a response");
            answers.push((headers, status, String::from_utf8_lossy(&response).into_owned()));
        }
        for (name, body) in [
            ("HEADERS that end", whole("")),
            ("an empty DATA", in_pieces("", 1, End::Alone)),
            ("trailers", in_pieces("", 1, End::Trailers(trailers()))),
        ] {
            let request = request(&Case::refused(domain, CHAT, ""), Transport::Http2).body(body).expect("a request");
            let response = Client::http2(bench.envoy.address()).send(request).await.expect("a response");
            answers.push((name, response.status.as_u16(), response.text()));
        }
        let received = bench.upstream.take();
        for (how, status, text) in &answers {
            if domain == "azure.test" {
                assert!(*status == 400 && text.contains("model_missing"), "{domain} {how}: {status} {text}");
            } else {
                assert_eq!(*status, 200, "{domain} {how}: {text}");
            }
        }
        let expected = if domain == "azure.test" { 0 } else { answers.len() };
        assert_eq!(received.len(), expected, "{domain}");
        assert!(received.iter().all(|request| request.body.is_empty()), "{domain}");
    }
}

/// The target of `*` is for a body that names no model. No body at all names none either, but there is nothing to send;
/// how its absence is framed makes no difference.
#[tokio::test]
async fn the_target_of_the_star_makes_a_path_for_a_body_and_not_for_its_absence() {
    let mut star = azure();
    star["modelMapping"] = json!({"*": "fallback"});
    let bench = Bench::start(&[("azure.test", star)]).await;
    let path = AZURE_PATH.replace("prod-4o", "fallback");
    let without = Case::new("azure.test", CHAT, r#"{"n":1}"#, r#"{"n":1,"model":"fallback"}"#);
    for sent in bench.send(&[without], &Transport::ALL, &PLANS).await {
        sent.assert_exact();
        assert_eq!(sent.arrived().path, path, "{}", sent.label);
    }
    for end in [End::WithData, End::Alone, End::Trailers(trailers())] {
        for transport in Transport::ALL {
            let case = Case::refused("azure.test", CHAT, "");
            let request = request(&case, transport);
            let request = if transport.has_length() { request.header("content-length", 0) } else { request };
            let mut client = if transport.is_http2() {
                Client::http2(bench.envoy.address())
            } else {
                Client::http1(bench.envoy.address())
            };
            let request = request.body(in_pieces("", 1, end.clone())).expect("a request");
            let response = client.send(request).await.expect("a response");
            let text = response.text();
            assert!(response.status == 400 && text.contains("model_missing"), "{transport:?} {end:?}: {text}");
            assert_eq!(bench.upstream.take().len(), 0, "{transport:?} {end:?}");
        }
    }
}

// -- Types and encodings ----------------------------------------------------------------------------------------------

fn gzip(text: &[u8]) -> Vec<u8> {
    [b"\x1f\x8b\x08\0\0\0\0\0\0\xff", &compress_to_vec(text, 6)[..], b"checksum"].concat()
}

/// A Zstandard frame of blocks that are not packed.
fn zstd(text: &[u8]) -> Vec<u8> {
    let mut frame = vec![0x28, 0xb5, 0x2f, 0xfd, 0, 0x68];
    let blocks = text.chunks(5).collect::<Vec<_>>();
    for (index, block) in blocks.iter().enumerate() {
        let head = u32::try_from(block.len()).expect("five bytes") << 3 | u32::from(index + 1 == blocks.len());
        frame.extend(&head.to_le_bytes()[..3]);
        frame.extend(*block);
    }
    frame
}

/// The flows, and a provider that edits nothing.
fn flows_and_plain() -> Vec<(&'static str, Value)> {
    let mut providers = flow_providers();
    providers.push(("plain.test", json!({ "type": "openai", "includeUsage": "off" })));
    providers
}

#[tokio::test]
async fn compressed_bodies_are_unpacked_where_they_are_edited() {
    type Pack = fn(&[u8]) -> Vec<u8>;
    let bench = Bench::start(&flows_and_plain()).await;
    let codings: [(&str, Pack); 5] = [
        ("gzip", gzip),
        ("GZIP, identity", gzip),
        ("deflate", |text| compress_to_vec_zlib(text, 6)),
        ("deflate", |text| compress_to_vec(text, 6)),
        ("zstd", zstd),
    ];
    for (coding, pack) in codings {
        let headers = [("content-type", "application/json"), ("content-encoding", coding)];
        let cases = FLOWS
            .map(|(domain, body, expected)| Case::new(domain, CHAT, pack(body.as_bytes()), expected).headers(&headers));
        for sent in bench.send(&cases, &Transport::ALL, &PLANS).await {
            sent.assert_exact();
            assert_eq!(sent.arrived().header("content-encoding"), Vec::<&[u8]>::new(), "{}", sent.label);
        }
        let plain = Case::untouched("plain.test", CHAT, pack(FLOWS[0].1.as_bytes())).headers(&headers);
        for sent in bench.send(&[plain], &Transport::ALL, &PLANS).await {
            sent.assert_exact();
            assert_eq!(sent.arrived().header("content-encoding"), [coding.as_bytes()], "{}", sent.label);
        }
    }
    for coding in ["", "identity", "identity, identity"] {
        let headers = [("content-type", "application/json"), ("content-encoding", coding)];
        let cases = FLOWS.map(|(domain, body, expected)| Case::new(domain, CHAT, body, expected).headers(&headers));
        bench.assert_exact(&cases).await;
    }
    for coding in ["br", "gzip, gzip", "none"] {
        let headers = [("content-type", "application/json"), ("content-encoding", coding)];
        let cases = FLOWS.map(|(domain, body, _)| Case::refused(domain, CHAT, body).headers(&headers));
        for sent in bench.send(&cases, &Transport::ALL, &PLANS).await {
            sent.assert_refused(415, "unreadable_body");
        }
    }
    // What is not packed as it says.
    let headers = [("content-type", "application/json"), ("content-encoding", "gzip")];
    let cases = FLOWS.map(|(domain, body, _)| Case::refused(domain, CHAT, body).headers(&headers));
    for sent in bench.send(&cases, &Transport::ALL, &[usize::MAX]).await {
        sent.assert_refused(415, "unreadable_body");
    }
    bench.assert_no_complaints();
}

/// A body of so many bytes. Its texts begin with what is hard to pack; the longer their `rest`, the better they pack.
fn texts(bytes: usize, rest: usize) -> String {
    let mut body = String::with_capacity(bytes + rest + 100);
    body.push_str(r#"{"messages":[],"input":["#);
    let (mut n, rest) = (0_u64, "-".repeat(rest));
    while body.len() < bytes {
        n += 1;
        let random = (n.wrapping_mul(0x9e37_79b9_7f4a_7c15) >> 44).to_string();
        body.extend(["\"", &random, &rest, "\","]);
    }
    body.push_str(r#""end"],"model":"gpt-4o"}"#);
    body
}

/// Longer than Envoy buffers, and than is unpacked at once: in pieces, and in as few as Envoy makes of it.
#[tokio::test]
async fn a_long_compressed_body_is_unpacked_however_it_comes() {
    let bench = Bench::start(&flow_providers()).await;
    let headers = [("content-type", "application/json"), ("content-encoding", "gzip")];
    // Of the second one most is left when the last piece comes.
    for (rest, pieces, ratios) in [(30, &[64 << 10, usize::MAX][..], 5..50), (600, &[usize::MAX][..], 80..200)] {
        let body = texts(20 * MIB, rest);
        let packed = Bytes::from(gzip(body.as_bytes()));
        assert!(ratios.contains(&(body.len() / packed.len())), "{} to {}", packed.len(), body.len());
        for (domain, name) in [("map.test", "vendor/gpt-4o-2024-11-20"), ("azure.test", "prod-4o")] {
            let expected = Bytes::from(body.replace(r#""gpt-4o"}"#, &format!(r#""{name}"}}"#)));
            for transport in Transport::ALL {
                let case = Case::new(domain, CHAT, packed.clone(), expected.clone()).headers(&headers);
                let started = Instant::now();
                for sent in bench.send(&[case], &[transport], pieces).await {
                    sent.assert_exact();
                }
                let (times, took) = (pieces.len(), started.elapsed());
                eprintln!("{domain}: {} to {} bytes, {transport:?}, {times} times: {took:?}", packed.len(), body.len());
            }
        }
    }
    bench.assert_no_complaints();
}

#[tokio::test]
async fn a_body_that_unpacks_to_more_than_it_may_is_refused() {
    let mut bounded = mapping();
    bounded["maxUnpackedBytes"] = json!(6 * MIB);
    let bench = Bench::start(&[("map.test", mapping()), ("azure.test", azure()), ("bounded.test", bounded)]).await;
    let headers = [("content-type", "application/json"), ("content-encoding", "gzip")];
    let bomb = format!(r#"{{"model":"gpt-4o","x":"{}"}}"#, " ".repeat(8 * MIB));
    let long = texts(8 * MIB, 30);
    let cases = [("map.test", &bomb), ("azure.test", &bomb), ("bounded.test", &long)]
        .map(|(domain, body)| Case::refused(domain, CHAT, gzip(body.as_bytes())).headers(&headers));
    for sent in bench.send(&cases, &Transport::ALL, &[usize::MAX]).await {
        sent.assert_refused(413, "unpacked_body_too_large");
    }
    bench.assert_no_complaints();
}

#[tokio::test]
async fn json_is_edited_under_any_type_and_leaves_as_json() {
    let bench = Bench::start(&flows_and_plain()).await;
    let types: [&[(&str, &str)]; 11] = [
        &[],
        &[("content-type", "")],
        &[("content-type", "Application/JSON; charset=utf-8")],
        &[("content-type", "application/json;charset=\"utf-8\"")],
        &[("content-type", "application/vnd.api+json")],
        &[("content-type", "application/json"), ("content-type", "text/plain")],
        &[("content-type", "text/plain")],
        &[("content-type", "application/x-www-form-urlencoded")],
        &[("content-type", "multipart/form-data; boundary=x")],
        &[("content-type", "application/x-ndjson")],
        &[("content-type", ", application/json")],
    ];
    for headers in types {
        let cases = FLOWS.map(|(domain, body, expected)| Case::new(domain, CHAT, body, expected).headers(headers));
        for sent in bench.send(&cases, &Transport::ALL, &PLANS).await {
            sent.assert_exact();
            let [kind] = sent.arrived().header("content-type")[..] else { panic!("{}", sent.label) };
            let kind = String::from_utf8_lossy(kind).to_ascii_lowercase();
            assert!(kind == "application/json" || kind.starts_with("application/json;"), "{}: {kind}", sent.label);
        }
    }
    let plain = types.map(|headers| Case::untouched("plain.test", CHAT, FLOWS[0].1).headers(headers));
    for sent in bench.send(&plain, &Transport::ALL, &PLANS).await {
        sent.assert_exact();
        if sent.transport.has_length() {
            sent.assert_length_is_sent();
        }
    }
    let text =
        FLOWS.map(|(domain, ..)| Case::refused(domain, CHAT, "hello").headers(&[("content-type", "text/plain")]));
    for sent in bench.send(&text, &Transport::ALL, &PLANS).await {
        sent.assert_refused(415, "unreadable_body");
    }
    bench.assert_no_complaints();
}

// -- Bad bodies -------------------------------------------------------------------------------------------------------

fn bad_bodies() -> Vec<Vec<u8>> {
    let mut bodies: Vec<Vec<u8>> = [
        r#"{"model":"gpt-4o","model":"gpt-4o"}"#,
        r#"{"model":"gpt-4o","mod\u0065l":"other"}"#,
        r#"[{"model":"gpt-4o"}]"#,
        r#""gpt-4o""#,
        "null",
        "7",
        "   ",
        r#"{"model":"gpt-4o""#,
        r#"{"model":"gpt-4o","messages":["#,
        r#"{"model":"gpt-"#,
        r#"{"model":"gpt-4o"}x"#,
        r#"{"model":"gpt-4o"} {"model":"other"}"#,
        r#"{"model":7}"#,
        r#"{"model":["gpt-4o"]}"#,
        r#"{"model":{"name":"gpt-4o"}}"#,
        "\u{feff}{\"model\":\"gpt-4o\"}",
        r#"{"model":"gpt-4o",}"#,
        r#"{model:"gpt-4o"}"#,
        r#"{'model':'gpt-4o'}"#,
        r#"{"model":"gpt-4o","temperature":01}"#,
        r#"{"model":"\ud800"}"#,
        "model=gpt-4o",
    ]
    .map(|body| body.as_bytes().to_vec())
    .to_vec();
    bodies.push(b"{\"model\":\"gpt-\xff\"}".to_vec());
    bodies.push(format!(r#"{{"model":"gpt-4o","x":{}{}}}"#, "[".repeat(128), "]".repeat(128)).into_bytes());
    bodies
}

#[tokio::test]
async fn a_body_that_is_no_json_object_with_one_model_is_refused_in_the_clients_dialect() {
    let mut providers = flow_providers();
    providers.push(("claude.test", json!({"type": "claude", "modelMapping": {"gpt-4o": "claude"}})));
    let bench = Bench::start(&providers).await;
    let before = bench.envoy.wasm_stats().await;
    let targets = [("map.test", CHAT), ("buffered.test", CHAT), ("azure.test", CHAT), ("claude.test", "/v1/messages")];
    let mut cases = Vec::new();
    for body in bad_bodies() {
        cases.extend(targets.map(|(domain, path)| Case::refused(domain, path, body.clone())));
    }
    for sent in bench.send(&cases, &Transport::ALL, &[7, usize::MAX]).await {
        sent.assert_refused(400, "invalid_body");
        let body: Value = serde_json::from_slice(&sent.response.body).unwrap_or_default();
        // Anthropic names the kind of a body at its top, OpenAI does not.
        let expected = if sent.case.domain == "claude.test" { json!("error") } else { Value::Null };
        assert_eq!(body["type"], expected, "{}\nanswered: {body}", sent.label);
        assert_eq!(body["error"]["type"], "invalid_request_error", "{}\nanswered: {body}", sent.label);
    }
    // They left no trace.
    bench.assert_exact(&FLOWS.map(|(domain, body, expected)| Case::new(domain, CHAT, body, expected))).await;
    assert_eq!(bench.envoy.wasm_stats().await, before);
}

/// What is left of a refused body on the wire must not be read as a request, nor be continued by the next one.
#[tokio::test]
async fn a_refused_body_never_becomes_a_whole_request_upstream() {
    let wire = WireUpstream::start().await;
    let envoy = start(EnvoyConfig::new(wire.address()).waypost(&configuration(&flow_providers()))).await;
    for (bad, good) in [
        (r#"{"model":"gpt-4o","x":"aaaaaaaaaaaaaaaaaaaaaaaa","model":"gpt-4o"}"#, r#"{"model":"gpt-4o"}"#),
        (r#"{"model":"gpt-4o"}garbage"#, r#"{"model":"gpt-4o"}"#),
    ] {
        let mut client = Raw::connect(envoy.address()).await.expect("a connection");
        let head = raw_head("map.test", CHAT, &format!("content-length: {}\r\n", bad.len()));
        client.send(head).await.expect("a connection");
        for piece in bad.as_bytes().chunks(10) {
            // Refused half-way, Envoy may close before it has read everything.
            let _ = client.send(piece).await;
            sleep(Duration::from_millis(5)).await;
        }
        assert_eq!(client.response().await.expect("a response").0, 400);
        let mut client = Raw::connect(envoy.address()).await.expect("a connection");
        let head = raw_head("map.test", CHAT, &format!("content-length: {}\r\n", good.len()));
        client.send(format!("{head}{good}")).await.expect("a connection");
        assert_eq!(client.response().await.expect("a response").0, 200);
    }
    let connections = wire.bytes();
    let complete: Vec<_> = connections.iter().flat_map(|bytes| requests(bytes).0).collect();
    let bodies: Vec<_> = complete.iter().map(|request| String::from_utf8_lossy(&request.body).into_owned()).collect();
    assert_eq!(bodies, [r#"{"model":"vendor/gpt-4o-2024-11-20"}"#; 2]);
}

// -- Sizes ------------------------------------------------------------------------------------------------------------

#[cfg(target_os = "linux")]
const MIB: usize = 1 << 20;

/// A chat body of about this size, its model last.
#[cfg(target_os = "linux")]
fn long_chat(bytes: usize, model: &str) -> Bytes {
    let text = "x".repeat(bytes);
    format!(r#"{{"messages":[{{"role":"user","content":"{text}"}}],"model":"{model}"}}"#).into()
}

#[cfg(target_os = "linux")]
#[tokio::test]
async fn a_body_of_50_mb_passes_the_default_buffer_limit_in_constant_memory() {
    const MAX_GROWTH_KB: u64 = 32 << 10;
    let bench = Bench::start_with(&[("map.test", mapping())], EnvoyConfig::default_buffer_limit).await;
    bench.send_one(Case::refused("map.test", CHAT, r#"{"model":"gpt-4o"}"#), Transport::Http1Length).await;
    let before = bench.envoy.memory_kb("VmRSS");
    for transport in [Transport::Http1Length, Transport::Http2] {
        let body = long_chat(50 * MIB, "gpt-4o");
        let case = Case::new("map.test", CHAT, body, long_chat(50 * MIB, "vendor/gpt-4o-2024-11-20"));
        bench.send_one(case, transport).await.assert_exact();
    }
    let highest = bench.envoy.memory_kb("VmHWM");
    eprintln!("50 MB: from {before} KiB to {highest} KiB at most");
    assert!(highest < before + MAX_GROWTH_KB, "Envoy grew from {before} KiB to {highest} KiB");
}

#[tokio::test]
async fn a_body_too_long_to_be_held_is_refused_before_it_is_sent() {
    let mut small = azure();
    small["maxHeldBodyBytes"] = json!(100);
    let bench = Bench::start(&[("azure.test", azure()), ("small.test", small)]).await;
    // 32 MiB is the default.
    for (domain, length, status) in
        [("azure.test", (32 << 20) + 1, 413), ("small.test", 101, 413), ("small.test", u64::MAX, 413)]
    {
        for expect in ["", "expect: 100-continue\r\n"] {
            let mut client = Raw::connect(bench.envoy.address()).await.expect("a connection");
            let headers = format!("{expect}content-length: {length}\r\n");
            client.send(raw_head(domain, CHAT, &headers)).await.expect("a connection");
            let mut response = client.response().await.expect("a response");
            if response.0 == 100 {
                response = client.response().await.expect("a response");
            }
            let text = String::from_utf8_lossy(&response.1).into_owned();
            assert!(response.0 == status && text.contains("body_too_large"), "{domain} {length}: {text}");
        }
    }
    assert_eq!(bench.upstream.take().len(), 0);
    let fits = format!(r#"{{"x":"{}","model":"gpt-4o"}}"#, "x".repeat(75));
    assert_eq!(fits.len(), 100);
    let expected = fits.replace("gpt-4o", "prod-4o");
    bench.send_one(Case::new("small.test", CHAT, fits, expected), Transport::Http1Length).await.assert_exact();
}

/// Requests of the memory test. 1,000 take longer than a test should.
#[cfg(target_os = "linux")]
const MANY: usize = 200;

#[cfg(target_os = "linux")]
#[tokio::test]
async fn many_long_bodies_leave_no_memory_behind() {
    const FEW: usize = 10;
    const MAX_GROWTH_KB: u64 = 32 << 10;
    let options = UpstreamOptions { forget: true, ..UpstreamOptions::default() };
    let upstream = Upstream::listen(([127, 0, 0, 1], 0).into(), options).await.expect("a free port");
    let configuration = configuration(&[("map.test", mapping()), ("azure.test", azure())]);
    let envoy = start(EnvoyConfig::new(upstream.address()).waypost(&configuration)).await;
    let body = long_chat(8 * MIB, "gpt-4o");
    let mut client = Client::http1(envoy.address());
    // A held body takes most of the time to be copied around; a few show a leak as well.
    for (domain, count) in [("map.test", MANY), ("azure.test", MANY / 4)] {
        let mut after_few = 0;
        let started = Instant::now();
        for index in 0..count {
            if index == FEW {
                after_few = envoy.memory_kb("VmRSS");
            }
            let case = Case::refused(domain, CHAT, body.clone());
            let request = request(&case, Transport::Http1Length).body(whole(body.clone())).expect("a request");
            let response = client.send(request).await.expect("a response");
            assert_eq!(response.status, 200, "{}", response.text());
            assert!(response.text().contains("4o"), "{}", response.text());
        }
        let after_many = envoy.memory_kb("VmRSS");
        let elapsed = started.elapsed();
        eprintln!("{count} of 8 MB to {domain} in {elapsed:?}: from {after_few} KiB to {after_many} KiB");
        assert!(after_many < after_few + MAX_GROWTH_KB, "{domain}: grew from {after_few} KiB to {after_many} KiB");
    }
}

// -- Hosts that do not deliver bodies ---------------------------------------------------------------------------------

/// Milliseconds; long enough to tell it from an answer at once on a busy machine.
const HOLD_TIMEOUT: u64 = 1_000;

fn impatient_azure() -> Value {
    let mut azure = azure();
    azure["holdTimeout"] = json!(HOLD_TIMEOUT);
    azure
}

const HELD_BODY: &str = r#"{"model":"gpt-4o"}"#;

/// Sends one held request; how long its answer took.
async fn send_held(bench: &Bench) -> (Sent, Duration) {
    let start = Instant::now();
    let sent = bench.send_one(Case::new("azure.test", CHAT, HELD_BODY, HELD_BODY), Transport::Http1Length).await;
    (sent, start.elapsed())
}

#[tokio::test]
async fn a_host_that_keeps_bodies_back_is_found_out_and_answered_for() {
    let providers = [("azure.test", impatient_azure()), ("map.test", mapping())];
    let bench = Bench::start_with(&providers, |config| config.stop_iteration(false)).await;
    let first = send_held(&bench);
    // What needs no hold is not affected, neither while the first one waits nor afterwards.
    let others = async {
        sleep(Duration::from_millis(HOLD_TIMEOUT / 4)).await;
        let start = Instant::now();
        let response = Client::http1(bench.envoy.address()).send(plain_request()).await.expect("a response");
        (response.status, start.elapsed())
    };
    let ((first, first_took), (status, took)) = tokio::join!(first, others);
    first.assert_refused(500, "hold_not_honoured");
    let timeout = Duration::from_millis(HOLD_TIMEOUT);
    assert!(first_took >= timeout && first_took < timeout * 4, "{first_took:?}");
    assert!(status == 200 && took < timeout, "{status} after {took:?}");
    for _ in 0..3 {
        let (later, took) = send_held(&bench).await;
        later.assert_refused(500, "hold_not_honoured");
        assert!(took < timeout, "{took:?}");
    }
    bench.upstream.take();
    let streamed = Case::new("map.test", CHAT, FLOWS[0].1, FLOWS[0].2);
    bench.assert_exact(&[streamed]).await;
}

fn plain_request() -> Request<support::client::RequestBody> {
    let case = Case::refused("map.test", CHAT, "");
    request(&case, Transport::Http1Length).body(whole(r#"{"model":"gpt-4o"}"#)).expect("a request")
}

/// A buffered body comes on any host: its headers do not wait.
#[tokio::test]
async fn a_body_whose_headers_did_not_wait_says_nothing_about_the_host() {
    let providers = [("azure.test", impatient_azure()), ("buffered.test", buffered())];
    let bench = Bench::start_with(&providers, |config| config.stop_iteration(false)).await;
    let (domain, body, expected) = FLOWS[1];
    bench.send_one(Case::new(domain, CHAT, body, expected), Transport::Http1Length).await.assert_exact();
    let (first, _) = send_held(&bench).await;
    first.assert_refused(500, "hold_not_honoured");
}

#[tokio::test]
async fn a_client_slower_than_others_is_waited_for() {
    let bench = Bench::start(&[("azure.test", impatient_azure())]).await;
    // The first one is watched; the second one is not, because the first has shown what the host does.
    for pause in [HOLD_TIMEOUT / 2, HOLD_TIMEOUT * 3 / 2] {
        let mut client = Raw::connect(bench.envoy.address()).await.expect("a connection");
        let head = raw_head("azure.test", CHAT, &format!("content-length: {}\r\n", HELD_BODY.len()));
        client.send(head).await.expect("a connection");
        sleep(Duration::from_millis(pause)).await;
        client.send(HELD_BODY).await.expect("a connection");
        let (status, response) = client.response().await.expect("a response");
        assert_eq!(status, 200, "after {pause} ms: {}", String::from_utf8_lossy(&response));
        assert_same(&bench.upstream.take()[0].body, br#"{"model":"prod-4o"}"#, "slow");
    }
}

// -- Clients that vanish ----------------------------------------------------------------------------------------------

/// Waits until Envoy has noticed that all clients are gone.
async fn wait_for_silence(envoy: &Envoy) {
    let start = Instant::now();
    while envoy.stat("http.ai.downstream_rq_active").await > 0 {
        assert!(start.elapsed() < Duration::from_secs(10), "requests of clients that are gone stay");
        sleep(Duration::from_millis(10)).await;
    }
}

#[tokio::test]
async fn a_client_that_vanishes_in_its_body_takes_nothing_with_it() {
    let mut providers = flow_providers();
    providers.retain(|(domain, _)| *domain != "azure.test");
    providers.push(("azure.test", impatient_azure()));
    let mut bench = Bench::start(&providers).await;
    let before = bench.envoy.wasm_stats().await;
    // Held, watched, and gone before the watch ends; so this one comes first.
    let head = raw_head("azure.test", CHAT, "content-length: 1000\r\n");
    let mut client = Raw::connect(bench.envoy.address()).await.expect("a connection");
    client.send(head).await.expect("a connection");
    sleep(Duration::from_millis(HOLD_TIMEOUT / 4)).await;
    drop(client);
    wait_for_silence(&bench.envoy).await;
    sleep(Duration::from_millis(HOLD_TIMEOUT)).await;
    for (domain, body, _) in FLOWS {
        for framing in ["content-length: 1000\r\n", "transfer-encoding: chunked\r\n"] {
            for part in ["", r#"{"mod"#, body] {
                let mut client = Raw::connect(bench.envoy.address()).await.expect("a connection");
                client.send(raw_head(domain, CHAT, framing)).await.expect("a connection");
                let chunk = format!("{:x}\r\n{part}\r\n", part.len());
                let part = if framing.starts_with('c') || part.is_empty() { part } else { &chunk };
                client.send(part).await.expect("a connection");
                sleep(Duration::from_millis(20)).await;
                drop(client);
            }
        }
    }
    wait_for_silence(&bench.envoy).await;
    assert!(bench.envoy.is_running());
    assert_eq!(bench.upstream.take().len(), 0);
    bench.assert_exact(&FLOWS.map(|(domain, body, expected)| Case::new(domain, CHAT, body, expected))).await;
    assert_eq!(bench.envoy.wasm_stats().await, before);
}

/// Answers each request as soon as its head is there, and reads on.
async fn hasty_upstream(answer: &'static str) -> (SocketAddr, JoinHandle<()>) {
    let listener = TcpListener::bind((Ipv4Addr::LOCALHOST, 0)).await.expect("a free loopback port");
    let address = listener.local_addr().expect("an address");
    let accept = tokio::spawn(async move {
        let mut connections = JoinSet::new();
        while let Ok((mut stream, _)) = listener.accept().await {
            connections.spawn(async move {
                let mut received = Vec::new();
                let mut answered = false;
                while let Ok(1..) = stream.read_buf(&mut received).await {
                    if !answered && find(&received, b"\r\n\r\n").is_some() {
                        answered = true;
                        let _ = stream.write_all(answer.as_bytes()).await;
                    }
                }
            });
        }
    });
    (address, accept)
}

/// The filter refuses a body that its client is still sending when the answer is on its way, or has come.
#[tokio::test]
async fn an_upstream_that_answers_before_the_body_ends_changes_nothing() {
    for answer in [
        "HTTP/1.1 401 Unauthorized\r\ncontent-length: 2\r\n\r\n{}",
        "HTTP/1.1 200 OK\r\ntransfer-encoding: chunked\r\n\r\n1\r\n{\r\n",
    ] {
        let (address, upstream) = hasty_upstream(answer).await;
        let mut envoy = start(EnvoyConfig::new(address).waypost(&configuration(&flow_providers()))).await;
        let before = envoy.wasm_stats().await;
        for (domain, body, _) in &FLOWS[..2] {
            for end in [*body, "}}} no JSON"] {
                let mut client = Raw::connect(envoy.address()).await.expect("a connection");
                let length = body.len() + end.len();
                let head = raw_head(domain, CHAT, &format!("content-length: {length}\r\n"));
                client.send(format!("{head}{body}")).await.expect("a connection");
                sleep(Duration::from_millis(30)).await;
                // Envoy may have closed after the answer.
                let _ = client.send(end).await;
                sleep(Duration::from_millis(30)).await;
            }
        }
        wait_for_silence(&envoy).await;
        assert!(envoy.is_running(), "{answer}");
        assert_eq!(envoy.wasm_stats().await, before, "{answer}");
        upstream.abort();
    }
}

// -- Other things -----------------------------------------------------------------------------------------------------

#[tokio::test]
async fn the_first_byte_timeout_is_for_streams_only() {
    const HEADER: &str = "x-envoy-upstream-rq-first-byte-timeout-ms";
    let mut provider = mapping();
    provider["firstByteTimeout"] = json!(5000);
    let bench = Bench::start(&[("first.test", provider), ("map.test", mapping())]).await;
    let stream = r#"{"model":"gpt-4o","stream":true}"#;
    for (domain, path, body, expected) in [
        ("first.test", CHAT, stream, Some("5000")),
        ("first.test", CHAT, r#"{"model":"gpt-4o","stream":false}"#, None),
        ("first.test", CHAT, r#"{"model":"gpt-4o"}"#, None),
        ("first.test", EMBEDDINGS, stream, None),
        ("map.test", CHAT, stream, None),
    ] {
        let mapped = body.replace("gpt-4o", "vendor/gpt-4o-2024-11-20");
        let sent = bench.send_one(Case::new(domain, path, body, mapped), Transport::Http1Length).await;
        sent.assert_exact();
        let expected: Vec<&[u8]> = expected.iter().map(|value| value.as_bytes()).collect();
        assert_eq!(sent.arrived().header(HEADER), expected, "{}", sent.label);
    }
}

/// Routes that try again after 5xx.
fn retrying_route() -> Value {
    let policy = json!({
        "retry_on": "5xx",
        "num_retries": 2,
        "retry_back_off": {"base_interval": "0.001s", "max_interval": "0.002s"},
    });
    json!([{"match": {"prefix": "/"}, "route": {"cluster": "upstream", "retry_policy": policy}}])
}

/// As a filter of the listener it edits a body once; as one of the upstream, once for each attempt.
#[tokio::test]
async fn every_attempt_of_a_request_carries_the_same_edited_body() {
    let in_listener = |config: EnvoyConfig| config.routes(retrying_route());
    let in_cluster = |config: EnvoyConfig| config.routes(retrying_route()).upstream_filter();
    let changes: [fn(EnvoyConfig) -> EnvoyConfig; 2] = [in_listener, in_cluster];
    for change in changes {
        let bench = Bench::start_with(&flow_providers(), change).await;
        for (domain, body, expected) in FLOWS {
            for transport in Transport::ALL {
                for plan in PLANS {
                    bench.upstream.answer_next(Answer::status(503));
                    bench.upstream.answer_next(Answer::status(503));
                    let case = Case::new(domain, CHAT, body, expected);
                    let sent = bench.send(&[case], &[transport], &[plan]).await.remove(0);
                    assert_eq!(sent.response.status, 200, "{}: {}", sent.label, sent.response.text());
                    assert_eq!(sent.received.len(), 3, "{}", sent.label);
                    for attempt in &sent.received {
                        assert_same(&attempt.body, expected.as_bytes(), &sent.label);
                        assert_eq!(attempt.path, sent.received[0].path, "{}", sent.label);
                    }
                    if domain == "azure.test" {
                        assert_eq!(sent.received[0].path, AZURE_PATH, "{}", sent.label);
                    }
                }
            }
        }
    }
}
