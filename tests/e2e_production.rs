//! What a gateway that stands in the open must hold to, with the shipped configurations on a real Envoy: exactly what a
//! vendor needs arrives there, and what uses nothing of a vendor's goes nowhere with a credential.
#![cfg(not(target_family = "wasm"))]
#![allow(
    clippy::expect_used,
    clippy::indexing_slicing,
    clippy::panic,
    reason = "a test that meets something unexpected fails"
)]

mod support;

use hyper::Request;
use hyper::http::request::Builder;
use serde_json::{Value, json};
use std::fs;
use std::net::SocketAddr;
use support::client::{Client, Response, whole};
use support::record::{Recorder, logged};
use support::{Envoy, EnvoyConfig, Received, Upstream, credential, root, wasm_path};

/// The credential that each client sends, and that no upstream may see.
const CLIENT_SECRET: &str = "client-secret";

async fn start(config: EnvoyConfig) -> Envoy {
    Envoy::start(config).await.unwrap_or_else(|error| panic!("{error}"))
}

async fn send(envoy: &Envoy, request: Builder, body: &'static str) -> Response {
    let request = request.body(whole(body)).expect("a request");
    Client::http1(envoy.address()).send(request).await.expect("a response")
}

// -- What arrives -----------------------------------------------------------------------------------------------------

/// A shipped file whose clusters lead to this upstream, in plain HTTP; only its first listener.
fn shipped(file: &str, upstream: SocketAddr) -> EnvoyConfig {
    EnvoyConfig::shipped(file, upstream).edit(|bootstrap| {
        let resources = &mut bootstrap["static_resources"];
        resources["listeners"].as_array_mut().expect("listeners").truncate(1);
        for cluster in resources["clusters"].as_array_mut().expect("clusters") {
            cluster.as_object_mut().expect("a cluster").remove("transport_socket");
            let endpoint = &mut cluster["load_assignment"]["endpoints"][0]["lb_endpoints"][0]["endpoint"];
            endpoint["address"]["socket_address"] =
                json!({"address": upstream.ip().to_string(), "port_value": upstream.port()});
        }
        set_wasm(bootstrap);
    })
}

/// Each filter of the file is loaded from where the tests find it.
fn set_wasm(value: &mut Value) {
    match value {
        Value::Object(members) => {
            for (name, member) in members {
                if name == "filename" && *member == "/etc/waypost/waypost.wasm" {
                    *member = json!(wasm_path());
                } else {
                    set_wasm(member);
                }
            }
        }
        Value::Array(items) => items.iter_mut().for_each(set_wasm),
        _ => {}
    }
}

/// The names of the headers that arrived, in order of the alphabet.
fn names(request: &Received) -> Vec<&str> {
    let mut names: Vec<_> = request.headers.iter().map(|(name, _)| name.as_str()).collect();
    names.sort_unstable();
    names
}

/// operator 7: the client's address, the gateway's own host and its request id arrived at the vendor.
#[tokio::test]
async fn exactly_what_a_vendor_needs_arrives_there() {
    let needed = ["accept", "authorization", "content-type", "transfer-encoding", "user-agent"];
    // An upstream filter runs after the route's removal, and must find at a retry what it wrote itself.
    let retried = [&needed[..4], &["user-agent", "x-envoy-original-host", "x-envoy-original-path"]].concat();
    for (file, path, expected) in [
        ("envoy.yaml", "/v1/chat/completions", &needed[..]),
        ("per-route.yaml", "/v1/chat/completions", &needed[..]),
        ("upstream-filter.yaml", "/openrouter/v1/chat/completions", &retried[..]),
    ] {
        let upstream = Upstream::start().await;
        let envoy = start(shipped(file, upstream.address())).await;
        let request = Request::post(path)
            .header("host", "llm.internal.example")
            .header("authorization", format!("Bearer {CLIENT_SECRET}"))
            .header("x-api-key", CLIENT_SECRET)
            .header("cookie", format!("session={CLIENT_SECRET}"))
            .header("content-type", "application/json")
            .header("accept", "*/*")
            .header("user-agent", "client/1")
            .header("x-forwarded-for", "203.0.113.7")
            .header("x-forwarded-proto", "https")
            .header("x-request-id", "5e0c3a52-7f0b-4b8e-9f39-6a3f0c1d2e4f")
            .header("x-envoy-external-address", "203.0.113.7");
        let response = send(&envoy, request, r#"{"model":"m","stream":true,"messages":[]}"#).await;
        assert_eq!(response.status, 200, "{file}: {}", response.text());
        let received = upstream.take();
        let [request] = received.as_slice() else { panic!("{file}: {received:?}") };
        assert_eq!(names(request), expected, "{file}");
        assert_eq!(credential::of(request).len(), 1, "{file}");
        assert!(!credential::leaked(request, CLIENT_SECRET.as_bytes()), "{file}");
        assert!(!credential::leaked(request, b"203.0.113.7"), "{file}: the client's address arrived");
    }
}

/// What the files say, so that none of them opens by an oversight.
#[test]
fn every_shipped_configuration_is_closed() {
    for file in ["envoy", "per-route", "token-limits", "upstream-filter", "istio", "envoy-gateway", "higress"] {
        let text = fs::read_to_string(root().join(format!("envoy/{file}.yaml"))).expect(file);
        let count = |words: &[&str]| words.iter().map(|word| text.matches(word).count()).sum::<usize>();
        let providers =
            count(&["\"apiTokens\": [", "\n          apiTokens:", "\n        apiTokens:", "\n            apiTokens:"]);
        assert!(providers > 0, "{file}");
        assert_eq!(count(&["\"passthrough\": false", "passthrough: false\n"]), providers, "{file}");
        // Higress's plugin sees the requests of all routes, so what no rule matches must pass there.
        assert_eq!(count(&["\"unmatched\": \"deny\"", "unmatched: deny\n"]) > 0, file != "higress", "{file}");
        let managers = count(&["stream_idle_timeout: 600s"]);
        assert_eq!(count(&["upgrade_configs: [{ upgrade_type: websocket }]"]), managers, "{file}");
        assert!(count(&["request_headers_to_remove:"]) >= managers, "{file}");
        assert_eq!(count(&["x-envoy-external-address"]) > 0, file != "higress", "{file}");
    }
}

// -- What goes nowhere ------------------------------------------------------------------------------------------------

/// A browser asks before it sends, and has no credential to show.
#[tokio::test]
async fn a_preflight_gets_no_credential_and_is_no_chat() {
    let mut recorder = Recorder::start(&json!({"provider": {"type": "openai", "apiTokens": ["operator-token"]}})).await;
    let preflight = || {
        Request::options("/v1/chat/completions")
            .header("host", "gw")
            .header("origin", "https://app.example")
            .header("access-control-request-method", "POST")
            .header("access-control-request-headers", "authorization,content-type")
    };
    let response = send(&recorder.envoy, preflight(), "").await;
    assert_eq!(response.status, 200, "{}", response.text());
    let received = recorder.upstream.take();
    let [request] = received.as_slice() else { panic!("{received:?}") };
    assert_eq!((request.path.as_str(), credential::of(request).len()), ("/v1/chat/completions", 0));
    assert_eq!(request.header("access-control-request-method"), [b"POST"]);
    let (line, counts) = recorder.one().await;
    line.assert_has(&json!({"operation": "passthrough", "status": 200, "usage_missing": "operation"}), "preflight");
    assert_eq!((counts.requests, counts.errors), (1, 0));

    // The shipped file serves no unknown paths, and Envoy's own filter answers in front of Waypost where it is set up.
    let upstream = Upstream::start().await;
    let closed = start(EnvoyConfig::new(upstream.address())).await;
    assert_eq!(send(&closed, preflight(), "").await.status, 404);
    let cors = json!({"@type": "type.googleapis.com/envoy.extensions.filters.http.cors.v3.Cors"});
    let policy = json!({
        "@type": "type.googleapis.com/envoy.extensions.filters.http.cors.v3.CorsPolicy",
        "allow_origin_string_match": [{"exact": "https://app.example"}],
        "allow_methods": "POST",
    });
    let config = EnvoyConfig::new(upstream.address())
        .http_filter(json!({"name": "envoy.filters.http.cors", "typed_config": cors}))
        .edit(|bootstrap| {
            let manager = &mut bootstrap["static_resources"]["listeners"][0]["filter_chains"][0]["filters"][0];
            let host = &mut manager["typed_config"]["route_config"]["virtual_hosts"][0];
            host["typed_per_filter_config"] = json!({"envoy.filters.http.cors": policy});
        });
    let response = send(&start(config).await, preflight(), "").await;
    assert_eq!(response.status, 200, "{}", response.text());
    assert_eq!(response.headers["access-control-allow-origin"], "https://app.example");
    assert!(upstream.take().is_empty(), "a preflight arrived");
}

/// Claude Code asks first whether there is anybody at its base URL, without a credential.
#[tokio::test]
async fn the_probes_of_claude_code_are_answered_and_go_nowhere() {
    let upstream = Upstream::start().await;
    let waypost = json!({"provider": {"type": "claude", "apiTokens": ["operator-token"], "passthrough": false}});
    let envoy = start(logged(EnvoyConfig::new(upstream.address()).waypost(&waypost))).await;
    let mut client = Client::http1(envoy.address());
    for path in ["/", "/api/hello"] {
        let request = Request::head(path).header("host", "gw").header("user-agent", "Bun/1.3").body(whole(""));
        let response = client.send(request.expect("a request")).await.expect("a response");
        assert_eq!((response.status.as_u16(), response.body.len()), (200, 0), "{path}");
    }
    // The same connection goes on with the real request.
    let request = Request::post("/v1/messages?beta=true")
        .header("host", "gw")
        .header("anthropic-version", "2023-06-01")
        .header("content-type", "application/json")
        .body(whole(r#"{"model":"claude-sonnet-4-5","max_tokens":9,"messages":[]}"#));
    assert_eq!(client.send(request.expect("a request")).await.expect("a response").status, 200);
    let received = upstream.take();
    assert_eq!(received.iter().map(|request| request.path.as_str()).collect::<Vec<_>>(), ["/v1/messages?beta=true"]);
    for (line, status) in envoy.wait_for_access_log(3).await.iter().zip([200, 200, 200]) {
        support::record::Line(line.clone()).assert_has(&json!({"status": status, "error_source": null}), "probe");
    }
    assert_eq!(envoy.complaints(), Vec::<String>::new());
    for (method, path) in [("GET", "/"), ("HEAD", "/healthz"), ("GET", "/api/hello")] {
        let request = Request::builder().method(method).uri(path).header("host", "gw");
        assert_eq!(send(&envoy, request, "").await.status, 404, "{method} {path}");
    }
    assert!(upstream.take().is_empty(), "an unknown path arrived");
}
