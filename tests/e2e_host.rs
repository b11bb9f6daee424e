//! How Waypost and a real Envoy get along: loading, routing, retries, broken configurations, hostile requests.
#![cfg(not(target_family = "wasm"))]
#![allow(
    clippy::expect_used,
    clippy::indexing_slicing,
    clippy::panic,
    reason = "a test that meets something unexpected fails"
)]

mod support;

use bytes::Bytes;
use http_body_util::{BodyExt as _, Full};
use hyper::Request;
use hyper::header::{HeaderMap, HeaderName, HeaderValue};
use serde_json::{Value, json};
use std::future::ready;
use std::time::Duration;
use support::client::{Client, RequestBody, Response, whole};
use support::{Answer, Envoy, EnvoyConfig, Received, Upstream, credential, raw_exchange};

/// The credential that each client sends, and that no provider may see.
const CLIENT_SECRET: &str = "client-secret";

/// How long a raw socket waits for more. Envoy answers in milliseconds; only a request that hangs takes this long.
const SILENCE: Duration = Duration::from_secs(3);

async fn start(config: EnvoyConfig) -> Envoy {
    Envoy::start(config).await.unwrap_or_else(|error| panic!("{error}"))
}

/// A chat request with the client's own credential.
fn chat(domain: &str, path: &str) -> hyper::http::request::Builder {
    Request::post(path)
        .header("host", domain)
        .header("authorization", format!("Bearer {CLIENT_SECRET}"))
        .header("content-type", "application/json")
}

fn chat_body() -> RequestBody {
    whole(r#"{"model":"sonar","messages":[{"role":"user","content":"Which way?"}]}"#)
}

async fn send(envoy: &Envoy, request: hyper::http::request::Builder) -> Response {
    let request = request.body(chat_body()).expect("a request");
    Client::http1(envoy.address()).send(request).await.expect("a response")
}

async fn send_chat(envoy: &Envoy, domain: &str) -> Response {
    send(envoy, chat(domain, "/v1/chat/completions")).await
}

fn arrived_at(request: &Received) -> (&str, &str) {
    (&request.authority, &request.path)
}

/// The upstream sees one credential, and it is Waypost's.
fn assert_one_own_credential(request: &Received) {
    let credentials = credential::of(request);
    assert_eq!(credentials.len(), 1, "credentials: {credentials:?}");
    assert!(!credential::leaked(request, CLIENT_SECRET.as_bytes()), "the client's credential reached the upstream");
}

// -- Loading ----------------------------------------------------------------------------------------------------------

#[tokio::test]
async fn loads_the_shipped_configuration_without_a_complaint() {
    let upstream = Upstream::start().await;
    let envoy = start(EnvoyConfig::new(upstream.address())).await;
    let response = send_chat(&envoy, "perplexity.localhost").await;
    assert_eq!(response.status, 200, "{}", response.text());
    assert_eq!(envoy.complaints(), Vec::<String>::new());
}

#[tokio::test]
async fn writes_an_access_log_line_with_the_upstream_path() {
    let upstream = Upstream::start().await;
    let envoy = start(EnvoyConfig::new(upstream.address())).await;
    send(&envoy, chat("openrouter.localhost", "/v1/chat/completions?trace=1")).await;
    let lines = envoy.wait_for_access_log(1).await;
    let line = &lines[0];
    assert_eq!((&line["authority"], &line["path"]), (&json!("openrouter.ai"), &json!("/api/v1/chat/completions")));
    assert_eq!((&line["status"], &line["cluster"]), (&json!(200), &json!("upstream")));
}

#[tokio::test]
async fn a_broken_configuration_keeps_envoy_from_starting_and_names_the_problem() {
    let upstream = Upstream::start().await;
    let config = EnvoyConfig::new(upstream.address()).waypost_text(r#"{"provider": {"type": "openai", "#);
    let Err(error) = Envoy::start(config).await else { panic!("Envoy started with a configuration that is no JSON") };
    assert!(error.reason.contains("refused to start"), "{error}");
    let named = error.log.lines().any(|line| line.contains("wasm log") && line.contains("line 1 column"));
    assert!(named, "the log does not say where the configuration is broken:\n{error}");
}

// -- Routing ----------------------------------------------------------------------------------------------------------

/// Not what anybody wants, but what Envoy does: setting `:path` or `:authority` selects the route again. Should a later
/// Envoy keep the route, this test says so, and the comment in envoy.yaml can go.
#[tokio::test]
async fn a_route_that_matches_only_the_client_path_answers_404() {
    let upstream = Upstream::start().await;
    let routes = json!([{"match": {"prefix": "/v1/"}, "route": {"cluster": "upstream"}}]);
    let envoy = start(EnvoyConfig::new(upstream.address()).routes(routes)).await;
    // The path it gets begins with `/v1/` too.
    assert_eq!(send_chat(&envoy, "corp.localhost").await.status, 200);
    assert_eq!(upstream.take().len(), 1);
    // The path it gets is `/chat/completions`.
    assert_eq!(send_chat(&envoy, "perplexity.localhost").await.status, 404);
    assert_eq!(upstream.take().len(), 0);
    let lines = envoy.wait_for_access_log(2).await;
    assert_eq!(lines[1]["flags"], "NR");
}

/// The same fact for virtual hosts: after the rewrite, the authority is the provider's.
#[tokio::test]
async fn a_virtual_host_that_names_only_the_client_domain_loses_the_request() {
    let (first, second) = (Upstream::start().await, Upstream::start().await);
    let hosts = two_virtual_hosts(&["perplexity.localhost"]);
    let config = EnvoyConfig::new(first.address()).add_cluster("second", second.address()).virtual_hosts(hosts);
    let envoy = start(config).await;
    assert_eq!(send_chat(&envoy, "perplexity.localhost").await.status, 200);
    assert_eq!((first.take().len(), second.take().len()), (1, 0));
}

#[tokio::test]
async fn a_virtual_host_that_also_names_the_provider_keeps_the_request() {
    let (first, second) = (Upstream::start().await, Upstream::start().await);
    let hosts = two_virtual_hosts(&["perplexity.localhost", "api.perplexity.ai"]);
    let config = EnvoyConfig::new(first.address()).add_cluster("second", second.address()).virtual_hosts(hosts);
    let envoy = start(config).await;
    assert_eq!(send_chat(&envoy, "perplexity.localhost").await.status, 200);
    assert_eq!(send_chat(&envoy, "corp.localhost").await.status, 200);
    assert_eq!(first.take().iter().map(arrived_at).collect::<Vec<_>>(), [("llm.corp.example", "/v1/chat/completions")]);
    assert_eq!(second.take().iter().map(arrived_at).collect::<Vec<_>>(), [("api.perplexity.ai", "/chat/completions")]);
}

#[tokio::test]
async fn routes_told_apart_by_a_header_keep_their_requests() {
    let (first, second) = (Upstream::start().await, Upstream::start().await);
    let team_b = json!([{"name": "x-team", "string_match": {"exact": "b"}}]);
    let routes = json!([
        {"match": {"prefix": "/", "headers": team_b}, "route": {"cluster": "second"}},
        {"match": {"prefix": "/"}, "route": {"cluster": "upstream"}},
    ]);
    let config = EnvoyConfig::new(first.address()).add_cluster("second", second.address()).routes(routes);
    let envoy = start(config).await;
    for team in ["a", "b"] {
        let request = chat("perplexity.localhost", "/v1/chat/completions").header("x-team", team);
        assert_eq!(send(&envoy, request).await.status, 200);
    }
    for (upstream, team) in [(first, "a"), (second, "b")] {
        let received = upstream.take();
        assert_eq!(received.iter().map(arrived_at).collect::<Vec<_>>(), [("api.perplexity.ai", "/chat/completions")]);
        assert_eq!(received[0].header("x-team"), [team.as_bytes()]);
    }
}

/// A virtual host with these domains leads to cluster `second`, all others lead to `upstream`.
fn two_virtual_hosts(domains: &[&str]) -> Value {
    let host = |name: &str, domains: &[&str], cluster: &str| {
        json!({
            "name": name,
            "domains": domains,
            "routes": [{"match": {"prefix": "/"}, "route": {"cluster": cluster}}],
        })
    };
    json!([host("chosen", domains, "second"), host("default", &["*"], "upstream")])
}

// -- As an upstream filter --------------------------------------------------------------------------------------------

/// A route that matches the client's path only, and tries again after 5xx.
fn retrying_route() -> Value {
    let policy = json!({
        "retry_on": "5xx",
        "num_retries": 2,
        "retry_back_off": {"base_interval": "0.001s", "max_interval": "0.002s"},
    });
    json!([{"match": {"prefix": "/v1/"}, "route": {"cluster": "upstream", "retry_policy": policy}}])
}

#[tokio::test]
async fn keeps_the_route_as_an_upstream_filter() {
    let upstream = Upstream::start().await;
    let config = EnvoyConfig::new(upstream.address()).upstream_filter().routes(retrying_route());
    let envoy = start(config).await;
    for (domain, expected) in [
        ("perplexity.localhost", ("api.perplexity.ai", "/chat/completions")),
        ("openrouter.localhost", ("openrouter.ai", "/api/v1/chat/completions")),
        ("corp.localhost", ("llm.corp.example", "/v1/chat/completions")),
    ] {
        let response = send_chat(&envoy, domain).await;
        assert_eq!(response.status, 200, "{domain}: {}", response.text());
        let received = upstream.take();
        assert_eq!(received.iter().map(arrived_at).collect::<Vec<_>>(), [expected]);
        assert_one_own_credential(&received[0]);
    }
    assert_eq!(envoy.complaints(), Vec::<String>::new());
}

/// Each attempt has a new context, which sees the headers as the attempt before has rewritten them.
#[tokio::test]
async fn sends_every_attempt_to_the_same_path_as_an_upstream_filter() {
    let upstream = Upstream::start().await;
    let config = EnvoyConfig::new(upstream.address()).upstream_filter().routes(retrying_route());
    let envoy = start(config).await;
    for (domain, expected) in [
        ("perplexity.localhost", ("api.perplexity.ai", "/chat/completions")),
        ("openrouter.localhost", ("openrouter.ai", "/api/v1/chat/completions")),
        ("corp.localhost", ("llm.corp.example", "/v1/chat/completions")),
    ] {
        upstream.answer_next(Answer::status(503));
        upstream.answer_next(Answer::status(503));
        let response = send_chat(&envoy, domain).await;
        assert_eq!(response.status, 200, "{domain}: {}", response.text());
        let attempts = upstream.take();
        assert_eq!(attempts.iter().map(arrived_at).collect::<Vec<_>>(), [expected; 3]);
        for attempt in &attempts {
            assert_one_own_credential(attempt);
            assert_eq!((&attempt.headers, &attempt.body), (&attempts[0].headers, &attempts[0].body));
        }
    }
}

// -- HTTP/2 with trailers ---------------------------------------------------------------------------------------------

/// Such a request never shows its end to the body callback: only the trailers callback sees it.
async fn send_with_trailers(envoy: &Envoy, domain: &str) -> Response {
    let trailers = HeaderMap::from_iter([(HeaderName::from_static("x-end"), HeaderValue::from_static("yes"))]);
    let body = Full::new(Bytes::from_static(br#"{"model":"gpt-4o","messages":[]}"#));
    let request = Request::post(format!("http://{domain}/v1/chat/completions"))
        .header("authorization", format!("Bearer {CLIENT_SECRET}"))
        .header("content-type", "application/json")
        .body(body.with_trailers(ready(Some(Ok(trailers)))).boxed())
        .expect("a request");
    Client::http2(envoy.address()).send(request).await.expect("a response")
}

async fn assert_trailers_arrive(domain: &str, expected: (&str, &str)) {
    let upstream = Upstream::start().await;
    let envoy = start(EnvoyConfig::new(upstream.address()).upstream_http2()).await;
    let response = send_with_trailers(&envoy, domain).await;
    assert_eq!(response.status, 200, "{}", response.text());
    let received = upstream.take();
    assert_eq!(received.iter().map(arrived_at).collect::<Vec<_>>(), [expected]);
    assert_one_own_credential(&received[0]);
    assert_eq!(received[0].trailers, [("x-end".to_owned(), b"yes".to_vec())]);
}

#[tokio::test]
async fn a_request_that_ends_with_trailers_arrives_rewritten() {
    assert_trailers_arrive("perplexity.localhost", ("api.perplexity.ai", "/chat/completions")).await;
}

#[tokio::test]
async fn a_held_request_that_ends_with_trailers_gets_the_path_of_its_model() {
    let path = "/openai/deployments/prod-4o/chat/completions?api-version=2024-10-21";
    assert_trailers_arrive("azure.localhost", ("example.openai.azure.com", path)).await;
}

// -- Hostile requests -------------------------------------------------------------------------------------------------

/// More than Envoy allows for all headers unless told otherwise (60 KiB), less than hyper takes for a path (64 KiB).
const LONG_PATH: usize = 64_000; // bytes

/// Enough for [`LONG_PATH`] and the other headers, in KiB.
const MAX_REQUEST_HEADERS_KB: u32 = 96;

/// Every header that carries a credential, each with the client's.
fn credential_headers() -> Vec<u8> {
    let header = |name: &&str| format!("{name}: {CLIENT_SECRET}\r\n").into_bytes();
    credential::HEADERS.iter().flat_map(header).collect()
}

/// A request with the client's credential in every place, and whatever head a test wants.
fn hostile(head: impl AsRef<[u8]>) -> Vec<u8> {
    let end = "connection: close\r\ncontent-type: application/json\r\ncontent-length: 15\r\n\r\n{\"model\":\"gpt\"}";
    [head.as_ref(), &credential_headers(), end.as_bytes()].concat()
}

fn hostile_requests() -> Vec<(&'static str, Vec<u8>)> {
    let long = "a".repeat(LONG_PATH);
    let with_path = |path: &str| hostile(format!("POST {path} HTTP/1.1\r\nhost: perplexity.localhost\r\n"));
    let with_header = |header: &[u8]| {
        let head = b"POST /v1/chat/completions HTTP/1.1\r\nhost: perplexity.localhost\r\n";
        hostile([head.as_slice(), header, b"\r\n"].concat())
    };
    vec![
        ("broken percent escape", with_path("/v1/%zz")),
        ("percent at the end", with_path("/v1/chat/completions%")),
        ("encoded slash and dots", with_path("/v1/%2e%2e%2fadmin/chat/completions")),
        ("dot segments", with_path("/v1/../../chat/completions")),
        ("double slash", with_path("//v1/chat/completions")),
        ("only slashes", with_path("////////")),
        ("root", with_path("/")),
        ("empty query", with_path("/v1/chat/completions?")),
        ("odd query", with_path("/v1/models?&&=&a&=b&%zz=%")),
        ("fragment", with_path("/v1/chat/completions#x?y")),
        ("asterisk", with_path("*")),
        ("bytes above 0x7f in the path", with_path("/v1/modèles/東京")),
        ("absolute URI", with_path("http://perplexity.localhost/v1/chat/completions")),
        ("absolute URI of somebody else", with_path("http://evil.test/v1/chat/completions")),
        ("64 KB path", with_path(&format!("/v1/{long}"))),
        ("64 KB prefix", with_path(&format!("/{long}/v1/chat/completions"))),
        ("64 KB query", with_path(&format!("/v1/models?{long}"))),
        ("header value that is not UTF-8", with_header(b"x-name: \xff\xfe\x80")),
        ("credential that is not UTF-8", with_header(b"authorization: Bearer client-secret\xff\xc3\x28")),
        ("content type that is not UTF-8", with_header(b"content-type: application/json; \xff")),
        ("header names in upper case", with_header(b"AUTHORIZATION: client-secret\r\nX-Api-Key: client-secret")),
        ("two hosts", with_header(b"host: openrouter.localhost")),
        ("host that is not UTF-8", hostile(b"POST /v1/chat/completions HTTP/1.1\r\nhost: \xff\xfe.localhost\r\n")),
        ("empty host", hostile("POST /v1/chat/completions HTTP/1.1\r\nhost:\r\n")),
        ("no host", hostile("POST /v1/chat/completions HTTP/1.1\r\n")),
        ("no host in HTTP/1.0", hostile("POST /v1/chat/completions HTTP/1.0\r\n")),
        ("unknown method", hostile("BREW /v1/chat/completions HTTP/1.1\r\nhost: perplexity.localhost\r\n")),
        ("connect", hostile("CONNECT perplexity.localhost:443 HTTP/1.1\r\nhost: perplexity.localhost\r\n")),
        ("websocket", with_header(b"upgrade: websocket\r\nconnection: upgrade")),
    ]
}

/// As a listener filter and as an upstream filter, because they see requests in different states.
async fn survive(config: EnvoyConfig, upstream: &Upstream) {
    let config = config
        .max_request_headers_kb(MAX_REQUEST_HEADERS_KB)
        .http_field("http_protocol_options", json!({"accept_http_10": true}))
        // After an error of the protocol Envoy keeps the connection for a second, which adds up.
        .http_field("delayed_close_timeout", json!("0.02s"));
    let mut envoy = start(config).await;
    assert_eq!(send_chat(&envoy, "perplexity.localhost").await.status, 200);
    upstream.take();
    let before = wasm_stats(&envoy).await;
    assert!(!before.is_empty(), "Envoy has no statistics about its wasm VMs");
    for (name, request) in hostile_requests() {
        let response = raw_exchange(envoy.address(), &request, SILENCE).await.expect("a connection");
        assert!(response.starts_with(b"HTTP/1."), "{name}: no response but {:?}", String::from_utf8_lossy(&response));
        // With FAIL_RELOAD the request that brings the filter down gets 503, and the next one a new VM.
        assert!(response.get(9..12) != Some(b"503"), "{name}: brought the filter down");
        for request in upstream.take() {
            assert!(
                !credential::leaked(&request, CLIENT_SECRET.as_bytes()),
                "{name}: the client's credential reached {}{}",
                request.authority,
                request.path
            );
        }
        assert!(envoy.is_running(), "{name}: Envoy is gone");
    }
    let response = send_chat(&envoy, "perplexity.localhost").await;
    assert_eq!(response.status, 200, "after hostile requests: {}", response.text());
    assert_eq!(wasm_stats(&envoy).await, before, "a wasm VM failed and was created anew");
    let mut crashes = envoy.complaints();
    crashes.retain(|line| line.contains("wasm") && !line.contains("[warning]"));
    assert_eq!(crashes, Vec::<String>::new());
}

/// What changes when a VM fails: VMs created, reloads.
async fn wasm_stats(envoy: &Envoy) -> Vec<(String, u64)> {
    let stats = envoy.stats().await;
    let watched = |name: &str| name.contains("vm_reload") || name.starts_with("wasm.envoy.wasm.runtime");
    stats.into_iter().filter(|(name, _)| watched(name)).collect()
}

#[tokio::test]
async fn hostile_requests_neither_crash_it_nor_carry_the_clients_credential() {
    let upstream = Upstream::start().await;
    survive(EnvoyConfig::new(upstream.address()), &upstream).await;
}

#[tokio::test]
async fn hostile_requests_do_not_crash_an_upstream_filter_either() {
    let upstream = Upstream::start().await;
    survive(EnvoyConfig::new(upstream.address()).upstream_filter(), &upstream).await;
}
