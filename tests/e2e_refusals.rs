//! What Waypost answers itself, on a real Envoy: status, code, dialect, whether SDKs try again, and the record that is
//! left, with the model where path or body had told it.
#![cfg(not(target_family = "wasm"))]
#![allow(
    clippy::expect_used,
    clippy::indexing_slicing,
    clippy::panic,
    reason = "a test that meets something unexpected fails"
)]

mod support;

use hyper::Request;
use serde_json::{Value, json};
use support::client::{Client, whole};
use support::record::{Line, logged};
use support::{Envoy, EnvoyConfig, Upstream};

/// A request that is refused, and what is expected.
struct Case {
    host: &'static str,
    path: &'static str,
    body: &'static str,
    status: u16,
    code: &'static str,
    /// Where the answer has its code, in the dialect of the client.
    pointer: &'static str,
    /// Whether another attempt can be answered otherwise.
    retry: bool,
    model: &'static str,
}

const OPENAI: &str = "/error/code";
const GEMINI: &str = "/error/details/0/reason";
const CHAT: &str = "/v1/chat/completions";

fn configuration() -> Value {
    json!({
        "unmatched": "deny",
        "_rules_": [
            { "_match_domain_": ["openai.test"], "provider": { "type": "openai", "apiTokens": ["token"], "modelMapping": { "a": "b" } } },
            { "_match_domain_": ["some.test"], "provider": { "type": "openai", "apiTokens": ["token"], "operations": ["embeddings"] } },
            { "_match_domain_": ["broken.test"], "provider": { "type": "openai", "baseUrl": "ftp://llm" } },
            { "_match_domain_": ["params.test"], "provider": {
                "type": "openai", "apiTokens": ["token"],
                "params": [{ "op": "set", "key": "seed", "value": 1, "models": ["a"] }],
            } },
            { "_match_domain_": ["azure.test"], "provider": {
                "type": "azure", "apiTokens": ["token"], "azureServiceUrl": "https://corp.openai.azure.com?api-version=2024-10-21",
            } },
        ],
    })
}

fn cases() -> Vec<Case> {
    let case = |host, path, body, status, code, pointer, retry, model| Case {
        host,
        path,
        body,
        status,
        code,
        pointer,
        retry,
        model,
    };
    let a = r#"{"model":"a","messages":[]}"#;
    vec![
        case("nobody.test", CHAT, a, 404, "no_rule", OPENAI, false, "unknown"),
        case("nobody.test", "/v1/messages", a, 404, "no_rule", OPENAI, false, "unknown"),
        case("nobody.test", "/healthz", "", 404, "no_rule", OPENAI, false, "unknown"),
        case("some.test", CHAT, a, 404, "operation_not_served", OPENAI, false, "unknown"),
        case("openai.test", "/v1/messages", a, 501, "conversion_needed", OPENAI, false, "unknown"),
        // The path names the model.
        case("openai.test", "/v1beta/models/g:generateContent", "{}", 501, "conversion_needed", GEMINI, false, "g"),
        case("broken.test", CHAT, a, 503, "configuration_error", OPENAI, false, "unknown"),
        // The body was there to be read, as far as it could be; the model is the one that would have gone upstream.
        case("openai.test", CHAT, r#"{"model":"a","messages":[}"#, 400, "invalid_body", OPENAI, false, "b"),
        case("openai.test", CHAT, r#"{"messages":[}"#, 400, "invalid_body", OPENAI, false, "unknown"),
        case("params.test", CHAT, r#"{"model":"a","messages":[}"#, 400, "invalid_body", OPENAI, false, "a"),
        case("azure.test", CHAT, r#"{"model":"a","messages":[}"#, 400, "invalid_body", OPENAI, false, "a"),
        case("azure.test", CHAT, r#"{"messages":[]}"#, 400, "model_missing", OPENAI, true, "unknown"),
    ]
}

#[tokio::test]
async fn a_refusal_tells_client_sdk_and_record() {
    let upstream = Upstream::start().await;
    let config = logged(EnvoyConfig::new(upstream.address()).waypost(&configuration()).stop_iteration(true));
    let envoy = Envoy::start(config).await.unwrap_or_else(|error| panic!("{error}"));
    let cases = cases();
    for case in &cases {
        let name = format!("{}{} {}", case.host, case.path, case.body);
        let method = if case.body.is_empty() { "GET" } else { "POST" };
        let request = Request::builder().method(method).uri(case.path).header("host", case.host);
        let request = request.header("content-type", "application/json").body(whole(case.body)).expect("a request");
        let response =
            Client::http1(envoy.address()).send(request).await.unwrap_or_else(|error| panic!("{name}: {error}"));
        assert_eq!(response.status.as_u16(), case.status, "{name}: {}", response.text());
        let body: Value = serde_json::from_str(&response.text()).unwrap_or_else(|error| panic!("{name}: {error}"));
        assert_eq!(body.pointer(case.pointer), Some(&json!(case.code)), "{name}: {body}");
        let retry = response.headers.get("x-should-retry").map(|value| value.as_bytes().to_vec());
        assert_eq!(retry.as_deref(), (!case.retry).then_some(&b"false"[..]), "{name}");
    }
    assert!(upstream.take().is_empty(), "something arrived");
    let lines = envoy.wait_for_access_log(cases.len()).await;
    for (case, line) in cases.iter().zip(&lines) {
        let record = Line(line.clone()).record();
        let seen = (&record["error_code"], &record["model"]);
        assert_eq!(seen, (&json!(case.code), &json!(case.model)), "{}{} {}: {record}", case.host, case.path, case.body);
    }
}
