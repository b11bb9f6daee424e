//! What a client brought to authenticate reaches no upstream, wherever a client can put it; who it is, is known behind
//! Waypost by the filter state; and a token in the query comes back to nobody.
#![cfg(not(target_family = "wasm"))]
#![allow(
    clippy::expect_used,
    clippy::indexing_slicing,
    clippy::panic,
    reason = "a test that meets something unexpected fails"
)]

mod support;

use hyper::{HeaderMap, Request};
use serde_json::{Value, json};
use std::time::Duration;
use support::client::{Client, End, RequestBody, in_pieces, whole};
use support::{Answer, Envoy, EnvoyConfig, Upstream, credential, raw_exchange};

/// Stands in everything that a client authenticates with.
const CANARY: &str = "c4n4ry";

/// Headers that authenticate or choose who pays, as the documentation of vendors and gateways and public reports name them.
const HEADERS: &[&str] = &[
    "authorization",
    "proxy-authorization",
    "x-api-key",
    "api-key",
    "x-goog-api-key",
    "x-authorization",
    "anthropic-api-key",
    "ocp-apim-subscription-key",
    "x-amz-security-token",
    "x-hi-original-auth",
    "cookie",
    "apikey",
    "x-apikey",
    "api_key",
    "x_api_key",
    "x-auth-token",
    "x-access-token",
    "x-forwarded-access-token",
    "x-litellm-api-key",
    "x-portkey-api-key",
    "cf-aig-authorization",
    "helicone-auth",
    "x-bf-vk",
    "xi-api-key",
    "x-goog-iam-authorization-token",
    "x-jwt-payload",
    "openai-organization",
    "openai-project",
    "x-goog-user-project",
    "x-dashscope-workspace",
    "anthropic-workspace-id",
    "x-original-url",
    "x-rewrite-url",
    "x-http-method-override",
    "x-forwarded-host",
    "x-mse-consumer",
    "x-corp-badge",
    "x-corp-extra-1",
];

/// Query parameters that authenticate.
const PARAMETERS: &[&str] = &["api_key", "apikey", "access_token", "token", "key", "api-key", "badge"];

const CHAT: &str = "/v1/chat/completions";
const BODY: &str = r#"{"model":"gpt-4o","messages":[]}"#;

/// One provider for each kind of vendor and of flow: edited as it passes, held, untouched; token in a header and a query.
fn configuration() -> Value {
    let providers = [
        ("openai.test", json!({"type": "openai", "modelMapping": {"gpt-4o": "mapped"}})),
        ("claude.test", json!({"type": "claude"})),
        ("gemini.test", json!({"type": "gemini"})),
        ("azure.test", json!({"type": "azure", "azureServiceUrl": "https://r.openai.azure.com?api-version=1"})),
        ("query.test", json!({"type": "openai", "credential": {"query": "key"}})),
        ("generic.test", json!({"type": "generic"})),
    ];
    let rules = providers.map(|(domain, mut provider)| {
        provider["apiTokens"] = json!(["0p3rat0r"]);
        provider["clientCredentials"] = json!({"headers": ["X-Corp-Badge"], "query": ["badge"]});
        provider["removeHeaders"] = json!(["x-corp-extra-*"]);
        json!({"_match_domain_": [domain], "provider": provider})
    });
    json!({"_rules_": rules})
}

const DOMAINS: &[&str] = &["openai.test", "claude.test", "gemini.test", "azure.test", "query.test", "generic.test"];

/// A name as different clients spell it. In HTTP/1 only: HTTP/2 has lower case.
fn spellings(name: &str) -> [String; 3] {
    let mut title = String::new();
    let mut first = true;
    for byte in name.bytes() {
        title.push(char::from(if first { byte.to_ascii_uppercase() } else { byte }));
        first = !byte.is_ascii_alphanumeric();
    }
    [name.to_owned(), name.to_ascii_uppercase(), title]
}

struct Setup {
    upstream: Upstream,
    envoy: Envoy,
}

async fn setup(change: impl FnOnce(EnvoyConfig) -> EnvoyConfig) -> Setup {
    let upstream = Upstream::start().await;
    let config = EnvoyConfig::new(upstream.address())
        .waypost(&configuration())
        .http_field("http_protocol_options", json!({"enable_trailers": true}))
        .http_field("common_http_protocol_options", json!({"headers_with_underscores_action": "ALLOW"}));
    let envoy = Envoy::start(change(config)).await.unwrap_or_else(|error| panic!("{error}"));
    Setup { upstream, envoy }
}

/// Sends one request over HTTP/1, as it is written; asserts that the canary has not arrived, and that something has.
async fn assert_stopped(setup: &Setup, request: &str, label: &str) {
    let answer = raw_exchange(setup.envoy.address(), request.as_bytes(), Duration::from_secs(5)).await.expect(label);
    let answer = String::from_utf8_lossy(&answer).into_owned();
    let received = setup.upstream.take();
    assert_eq!(received.len(), 1, "{label}: {answer}");
    assert!(!credential::leaked(&received[0], CANARY.as_bytes()), "{label}: {:?}", received[0]);
}

fn head(domain: &str, target: &str, headers: &str) -> String {
    format!(
        "POST {target} HTTP/1.1\r\nhost: {domain}\r\nconnection: close\r\ncontent-type: application/json\r\n{headers}\r\n"
    )
}

/// audit M4, M6, L9, reports F13
#[tokio::test]
async fn no_header_of_the_list_reaches_the_upstream_in_any_case() {
    let setup = setup(|config| config).await;
    for (index, name) in HEADERS.iter().enumerate() {
        let domain = DOMAINS[index % DOMAINS.len()];
        for spelling in spellings(name) {
            let twice = if *name == "x-mse-consumer" { String::new() } else { format!("{spelling}: {CANARY}-2\r\n") };
            let headers = format!("{spelling}: Bearer {CANARY}\r\n{twice}content-length: {}\r\n", BODY.len());
            let request = head(domain, CHAT, &headers) + BODY;
            assert_stopped(&setup, &request, &format!("{domain} {spelling}")).await;
        }
    }
    // All of them at once, everywhere.
    let all: String = HEADERS.iter().map(|name| format!("{name}: {CANARY}\r\n")).collect();
    for domain in DOMAINS {
        let headers = format!("{all}content-length: {}\r\n", BODY.len());
        assert_stopped(&setup, &(head(domain, CHAT, &headers) + BODY), domain).await;
    }
}

/// audit M4: they were also in `x-envoy-original-path`.
#[tokio::test]
async fn no_query_parameter_of_the_list_reaches_the_upstream_in_any_case() {
    let setup = setup(|config| config).await;
    for domain in DOMAINS {
        let mut query = String::from("first=1");
        for name in PARAMETERS {
            for spelling in spellings(name) {
                let encoded: String = spelling.bytes().map(|byte| format!("%{byte:02x}")).collect();
                query += &format!("&{spelling}={CANARY}&{encoded}={CANARY};{spelling}={CANARY}");
            }
        }
        for target in [format!("{CHAT}?{query}"), format!("/prefix{CHAT}?{query}&last=1")] {
            let request = head(domain, &target, &format!("content-length: {}\r\n", BODY.len())) + BODY;
            assert_stopped(&setup, &request, domain).await;
        }
    }
}

/// audit M4
#[tokio::test]
async fn no_trailer_of_the_list_reaches_the_upstream() {
    for http2 in [false, true] {
        let setup = setup(|config| if http2 { config.upstream_http2() } else { config }).await;
        for domain in DOMAINS {
            let trailers: String = HEADERS.iter().map(|name| format!("{name}: {CANARY}\r\n")).collect();
            let request = head(domain, CHAT, "trailer: x-end\r\ntransfer-encoding: chunked\r\n");
            let request = format!("{request}{:x}\r\n{BODY}\r\n0\r\nx-end: yes\r\n{trailers}\r\n", BODY.len());
            assert_stopped(&setup, &request, domain).await;

            let mut trailers = HeaderMap::new();
            trailers.append("x-end", "yes".parse().expect("a value"));
            for name in HEADERS {
                trailers.append(*name, CANARY.parse().expect("a value"));
            }
            let body: RequestBody = in_pieces(BODY, 7, End::Trailers(trailers));
            let request = Request::post(CHAT).header("host", *domain).header("content-type", "application/json");
            let mut client = Client::http2(setup.envoy.address());
            let answer = client.send(request.body(body).expect("a request")).await.expect("an answer");
            let received = setup.upstream.take();
            assert_eq!(received.len(), 1, "{domain}: {}", answer.text());
            assert!(!credential::leaked(&received[0], CANARY.as_bytes()), "{domain}: {:?}", received[0].trailers);
            if http2 {
                assert!(received[0].trailers.iter().any(|(name, _)| name == "x-end"), "{domain}: other trailers stay");
            }
        }
    }
}

/// reports F13
#[tokio::test]
async fn no_token_among_the_protocols_of_a_websocket_reaches_the_upstream() {
    let setup = setup(|config| config).await;
    for protocols in [
        format!("realtime, openai-insecure-api-key.{CANARY}"),
        format!("openai-organization.{CANARY}, realtime, openai-project.{CANARY}"),
        format!("realtime\r\nSec-WebSocket-Protocol: OpenAI-Insecure-Api-Key.{CANARY}"),
        format!("realtime, xai-client-secret.{CANARY}"),
        format!("realtime, bearer, {CANARY}"),
        format!("base64url.bearer.authorization.k8s.io.{CANARY}, realtime"),
    ] {
        let headers = format!("sec-websocket-protocol: {protocols}\r\ncontent-length: {}\r\n", BODY.len());
        let request = head("openai.test", CHAT, &headers) + BODY;
        raw_exchange(setup.envoy.address(), request.as_bytes(), Duration::from_secs(5)).await.expect("an answer");
        let received = setup.upstream.take();
        assert!(!credential::leaked(&received[0], CANARY.as_bytes()), "{protocols}: {:?}", received[0]);
        assert_eq!(received[0].header("sec-websocket-protocol"), [b"realtime"], "{protocols}");
    }
}

async fn post(setup: &Setup, domain: &str, headers: &[(&str, &str)]) -> support::client::Response {
    let mut request = Request::post(CHAT).header("host", domain).header("content-type", "application/json");
    for (name, value) in headers {
        request = request.header(*name, *value);
    }
    Client::http1(setup.envoy.address()).send(request.body(whole(BODY)).expect("a request")).await.expect("an answer")
}

/// audit M5
#[tokio::test]
async fn a_redirect_does_not_give_the_operators_token_away() {
    let setup = setup(|config| config).await;
    for (name, value, left) in [
        ("location", "http://h/v1/chat/completions/?key=0p3rat0r", "http://h/v1/chat/completions/"),
        ("location", "/v1/x?a=1&key=0p3rat0r&b=2", "/v1/x?a=1&b=2"),
        ("location", "/login?next=%2Fx%3Fkey%3D0p3rat0r%26a", "/login?next=%2Fx%3Fkey%3D%26a"),
        ("location", "/x?key=%30p3rat%30r", "/x"),
        ("content-location", "/v1/x?key=0p3rat0r", "/v1/x"),
        ("refresh", "0; url=/v1/x?key=0p3rat0r", "0; url=/v1/x"),
    ] {
        setup.upstream.answer_next(Answer::status(307).header(name, value).header("x-kept", "yes"));
        let response = post(&setup, "query.test", &[]).await;
        assert_eq!(response.status, 307);
        assert_eq!(response.headers.get_all(name).iter().collect::<Vec<_>>(), [left], "{name}: {value}");
        assert_eq!(response.headers["x-kept"], "yes");
        assert!(setup.upstream.take()[0].path.ends_with("key=0p3rat0r"));
    }
}

/// audit M6
#[tokio::test]
async fn the_consumer_is_known_by_the_filter_state_and_not_to_the_upstream() {
    let consumer = json!("%FILTER_STATE(wasm.waypost_consumer:PLAIN)%");
    let setup = setup(|config| config.log_fields([("consumer".to_owned(), consumer)])).await;
    for domain in DOMAINS {
        assert_eq!(post(&setup, domain, &[("x-mse-consumer", "alice")]).await.status, 200, "{domain}");
        assert_eq!(setup.upstream.take()[0].header("x-mse-consumer"), [b""; 0], "{domain}");
    }
    let refused = post(&setup, "openai.test", &[("x-mse-consumer", "mallory"), ("x-mse-consumer", "alice")]).await;
    assert_eq!(refused.status, 400);
    assert!(refused.text().contains("ambiguous_consumer"), "{}", refused.text());
    assert_eq!(setup.upstream.take().len(), 0);
    let lines = setup.envoy.wait_for_access_log(DOMAINS.len() + 1).await;
    let known = lines.iter().filter(|line| line["consumer"] == "alice").count();
    assert_eq!(known, DOMAINS.len(), "{lines:?}");
}

/// An attempt after the first sees headers without the consumer, and still knows it.
#[tokio::test]
async fn a_retry_in_an_upstream_filter_knows_the_consumer() {
    let consumer = json!("%FILTER_STATE(wasm.waypost_consumer:PLAIN)%");
    let retry = json!([{
        "match": {"prefix": "/"},
        "route": {"cluster": "upstream", "retry_policy": {"retry_on": "5xx", "num_retries": 2}},
    }]);
    let setup =
        setup(|config| config.upstream_filter().routes(retry).log_fields([("consumer".to_owned(), consumer)])).await;
    // The second provider changes neither path nor host.
    for domain in ["openai.test", "generic.test"] {
        setup.upstream.answer_next(Answer::status(503));
        setup.upstream.answer_next(Answer::status(503));
        assert_eq!(post(&setup, domain, &[("x-mse-consumer", "alice")]).await.status, 200, "{domain}");
        let received = setup.upstream.take();
        assert_eq!(received.len(), 3, "{domain}");
        assert!(received.iter().all(|request| request.header("x-mse-consumer").is_empty()), "{domain}");
    }
    let lines = setup.envoy.wait_for_access_log(2).await;
    assert!(lines.iter().all(|line| line["consumer"] == "alice"), "{lines:?}");
}
