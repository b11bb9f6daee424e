//! Bodies that are wanted as a whole, beyond what Envoy buffers: they stay in the filter, and arrive byte for byte.
#![cfg(not(target_family = "wasm"))]
#![allow(
    clippy::arithmetic_side_effects,
    clippy::expect_used,
    clippy::indexing_slicing,
    clippy::panic,
    reason = "a test that meets something unexpected fails"
)]

mod support;

use bytes::Bytes;
use hyper::Request;
use hyper::header::{HeaderMap, HeaderName, HeaderValue};
use serde_json::{Value, json};
use support::client::{Client, End, Raw, in_pieces};
use support::{Answer, Envoy, EnvoyConfig, Received, Upstream};

const MIB: usize = 1 << 20;

/// Less than any body here, and less than any host has: in HTTP/2 it is the window of a stream as well.
const SMALL_LIMIT: u32 = 64 << 10;

/// The path of an Azure deployment.
const AZURE_PATH: &str = "/openai/deployments/prod-4o/chat/completions?api-version=2024-10-21";

/// Held: the path needs the model.
const AZURE: &str = "azure.test";

/// Whole, but the headers do not wait: a rule needs the model, which stands last.
const BUFFERED: &str = "buffered.test";

fn configuration() -> Value {
    let azure = json!({
        "type": "azure",
        "azureServiceUrl": "https://example.openai.azure.com?api-version=2024-10-21",
        "modelMapping": {"gpt-4o": "prod-4o"},
        "apiTokens": ["test-token"],
    });
    let buffered = json!({
        "type": "openai",
        "includeUsage": "off",
        "modelMapping": {"gpt-4o": "prod-4o"},
        "params": [{"op": "set", "key": "seed", "value": 1, "models": ["prod-4o"]}],
        "apiTokens": ["test-token"],
    });
    json!({"_rules_": [
        {"_match_domain_": [AZURE], "provider": azure},
        {"_match_domain_": [BUFFERED], "provider": buffered},
    ]})
}

/// A chat body of about this size, its model last; no two parts of it are alike.
fn chat(size: usize, model: &str, end: &str) -> Bytes {
    let text: String = (0..size / 8).map(|number| format!("{number:07} ")).collect();
    format!(r#"{{"messages":[{{"role":"user","content":"{text}"}}],"model":"{model}"{end}}}"#).into()
}

fn expected(domain: &str, size: usize) -> Bytes {
    chat(size, "prod-4o", if domain == BUFFERED { r#","seed":1"# } else { "" })
}

struct Bench {
    upstream: Upstream,
    envoy: Envoy,
}

/// How a body is sent.
#[derive(Clone, Debug)]
struct Way {
    http2: bool,
    announced: bool,
    piece: usize,
    end: End,
}

impl Way {
    fn new(http2: bool, announced: bool, piece: usize) -> Self {
        Self { http2, announced, piece, end: End::WithData }
    }
}

impl Bench {
    async fn start(change: impl FnOnce(EnvoyConfig) -> EnvoyConfig) -> Self {
        let upstream = Upstream::start().await;
        let config = EnvoyConfig::new(upstream.address()).waypost(&configuration());
        let envoy = Envoy::start(change(config)).await.unwrap_or_else(|error| panic!("{error}"));
        Self { upstream, envoy }
    }

    async fn send(&self, domain: &str, body: Bytes, way: &Way) -> (u16, String) {
        let uri =
            if way.http2 { format!("http://{domain}/v1/chat/completions") } else { "/v1/chat/completions".into() };
        let mut request = Request::post(uri).header("content-type", "application/json");
        if !way.http2 {
            request = request.header("host", domain);
        }
        if way.announced {
            request = request.header("content-length", body.len());
        }
        let request = request.body(in_pieces(body, way.piece, way.end.clone())).expect("a request");
        let address = self.envoy.address();
        let mut client = if way.http2 { Client::http2(address) } else { Client::http1(address) };
        let response = client.send(request).await.expect("a response");
        (response.status.as_u16(), response.text())
    }

    /// Sends a body of this size in one way; it arrives edited, once.
    async fn assert_arrives(&self, domain: &str, size: usize, way: &Way) {
        let label = format!("{domain} {size} {way:?}");
        let (status, text) = self.send(domain, chat(size, "gpt-4o", ""), way).await;
        assert_eq!(status, 200, "{label}: {text}");
        let received = self.upstream.take();
        assert_eq!(received.len(), 1, "{label}");
        assert_edited(&received[0], domain, size, way, &label);
    }
}

fn assert_edited(received: &Received, domain: &str, size: usize, way: &Way, label: &str) {
    let expected = expected(domain, size);
    assert!(received.body == expected, "{label}: {} bytes, not {}", received.body.len(), expected.len());
    if domain == AZURE {
        assert_eq!(received.path, AZURE_PATH, "{label}");
        let length = expected.len().to_string();
        let lengths: &[&[u8]] = if way.announced { &[length.as_bytes()] } else { &[] };
        assert_eq!(received.header("content-length"), lengths, "{label}");
    }
}

fn trailers() -> HeaderMap {
    HeaderMap::from_iter([(HeaderName::from_static("x-end"), HeaderValue::from_static("yes"))])
}

/// In every framing, as a filter of the listener and of the cluster, far beyond the limit.
#[tokio::test]
async fn a_whole_body_passes_whatever_envoy_buffers() {
    let changes: [fn(EnvoyConfig) -> EnvoyConfig; 3] = [
        EnvoyConfig::default_buffer_limit,
        |config| config.default_buffer_limit().upstream_filter(),
        |config| {
            let window = json!({"initial_stream_window_size": SMALL_LIMIT});
            config.buffer_limit(SMALL_LIMIT).http_field("http2_protocol_options", window)
        },
    ];
    for (index, change) in changes.into_iter().enumerate() {
        let bench = Bench::start(change).await;
        let before = bench.envoy.wasm_stats().await;
        for domain in [AZURE, BUFFERED] {
            for http2 in [false, true] {
                for announced in [false, true] {
                    for piece in [100_000, usize::MAX] {
                        bench.assert_arrives(domain, 5 * MIB, &Way::new(http2, announced, piece)).await;
                    }
                }
            }
        }
        assert_eq!(bench.envoy.wasm_stats().await, before, "{index}");
        assert_eq!(bench.envoy.complaints(), Vec::<String>::new(), "{index}");
    }
}

#[tokio::test]
async fn a_body_of_30_mb_passes_the_default_limit() {
    let bench = Bench::start(EnvoyConfig::default_buffer_limit).await;
    for http2 in [false, true] {
        bench.assert_arrives(AZURE, 30 * MIB, &Way::new(http2, !http2, usize::MAX)).await;
    }
}

/// Around the size up to which the host is told to keep a buffer, and around the limit of the host.
#[tokio::test]
async fn a_whole_body_passes_at_every_size_near_a_limit() {
    let bench = Bench::start(|config| config.buffer_limit(SMALL_LIMIT)).await;
    let limit = SMALL_LIMIT as usize;
    for size in [0, 100, 8 << 10, (8 << 10) + 40, 16 << 10, 24 << 10, limit - 100, limit, limit + 100, 2 * limit] {
        for http2 in [false, true] {
            for announced in [false, true] {
                for piece in [5_000, 8 << 10, usize::MAX] {
                    bench.assert_arrives(AZURE, size, &Way::new(http2, announced, piece)).await;
                }
            }
        }
    }
}

/// With a length, a body of any size; without one, a short one. A longer one is refused, and never arrives unedited.
#[tokio::test]
async fn trailers_end_a_whole_body() {
    let bench = Bench::start(EnvoyConfig::default_buffer_limit).await;
    for domain in [AZURE, BUFFERED] {
        for piece in [1_000, usize::MAX] {
            let by_trailers = |announced| Way { end: End::Trailers(trailers()), ..Way::new(true, announced, piece) };
            bench.assert_arrives(domain, 5_000, &by_trailers(false)).await;
            for size in [5_000, 2 * MIB] {
                let pieces = if size > MIB { 50_000.max(piece) } else { piece };
                bench.assert_arrives(domain, size, &Way { piece: pieces, ..by_trailers(true) }).await;
            }
        }
        let way = Way { end: End::Trailers(trailers()), ..Way::new(true, false, 50_000) };
        let (status, text) = bench.send(domain, chat(2 * MIB, "gpt-4o", ""), &way).await;
        assert!(status == 413 && text.contains("body_too_large"), "{domain}: {status} {text}");
        assert!(bench.upstream.take().is_empty(), "{domain}");
    }
}

#[tokio::test]
async fn a_long_body_that_waits_for_100_continue_passes() {
    let bench = Bench::start(EnvoyConfig::default_buffer_limit).await;
    let body = chat(3 * MIB, "gpt-4o", "");
    let mut client = Raw::connect(bench.envoy.address()).await.expect("a connection");
    let head = format!(
        "POST /v1/chat/completions HTTP/1.1\r\nhost: {AZURE}\r\ncontent-type: application/json\r\n\
         expect: 100-continue\r\ncontent-length: {}\r\n\r\n",
        body.len()
    );
    client.send(head).await.expect("a connection");
    assert_eq!(client.response().await.expect("a response").0, 100);
    client.send(&body).await.expect("a connection");
    assert_eq!(client.response().await.expect("a response").0, 200);
    assert_edited(&bench.upstream.take()[0], AZURE, 3 * MIB, &Way::new(false, true, usize::MAX), "expect");
}

/// What a `retry_policy` sends again has to fit Envoy's own buffer, up to Envoy 1.37 twice; the filter of the cluster sees
/// it anew each time.
#[tokio::test]
async fn every_attempt_carries_the_same_whole_body() {
    let policy = json!({
        "retry_on": "5xx",
        "num_retries": 2,
        "retry_back_off": {"base_interval": "0.001s", "max_interval": "0.002s"},
    });
    let routes = json!([{"match": {"prefix": "/"}, "route": {"cluster": "upstream", "retry_policy": policy}}]);
    for upstream_filter in [false, true] {
        let bench = Bench::start(|config| {
            let config = config.buffer_limit(8 << 20).routes(routes.clone());
            if upstream_filter { config.upstream_filter() } else { config }
        })
        .await;
        for domain in [AZURE, BUFFERED] {
            for way in [Way::new(false, true, usize::MAX), Way::new(true, false, 100_000)] {
                bench.upstream.answer_next(Answer::status(503));
                bench.upstream.answer_next(Answer::status(503));
                let (status, text) = bench.send(domain, chat(2 * MIB, "gpt-4o", ""), &way).await;
                assert_eq!(status, 200, "{domain} {way:?}: {text}");
                let attempts = bench.upstream.take();
                assert_eq!(attempts.len(), 3, "{domain} {way:?}");
                for attempt in &attempts {
                    assert_edited(attempt, domain, 2 * MIB, &way, "an attempt");
                }
            }
        }
    }
}

/// A body that no header announces is refused as soon as it is too long.
#[tokio::test]
async fn a_body_beyond_the_setting_is_refused_by_the_filter() {
    let bench = Bench::start(|config| {
        config.edit_waypost(|configuration| {
            for rule in configuration["_rules_"].as_array_mut().expect("rules") {
                rule["provider"]["maxHeldBodyBytes"] = json!(100_000);
            }
        })
    })
    .await;
    for domain in [AZURE, BUFFERED] {
        for http2 in [false, true] {
            let (status, text) = bench.send(domain, chat(200_000, "gpt-4o", ""), &Way::new(http2, false, 50_000)).await;
            assert!(status == 413 && text.contains("body_too_large"), "{domain}: {status} {text}");
            bench.assert_arrives(domain, 90_000, &Way::new(http2, false, 50_000)).await;
        }
    }
    assert_eq!(bench.envoy.complaints(), Vec::<String>::new());
}
