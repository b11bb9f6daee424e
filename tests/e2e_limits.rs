//! Limits on tokens: Envoy's own `ratelimit` filter, as `envoy/token-limits.yaml` configures it, charges the tokens that
//! Waypost has read to a rate limit service.
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
use std::time::{Duration, Instant};
use support::client::{Client, Response, find, whole};
use support::ratelimit::{Call, Descriptor, RESET_SECONDS};
use support::upstream::{INPUT_TOKENS, OUTPUT_TOKENS};
use support::{Answer, Envoy, EnvoyConfig, RateLimit, Upstream, credential, raw_exchange};

/// What each answer of the upstream costs.
const TOKENS: u64 = INPUT_TOKENS + OUTPUT_TOKENS;

/// By consumer, and by consumer and model, as `envoy/ratelimit/config/ai.yaml` has them.
const CONSUMER: &[&str] = &["consumer"];
const MODEL: &[&str] = &["consumer", "model"];

/// Nobody reaches it.
const PLENTY: u64 = 1_000_000;

/// How long a client waits for the rest of a stream before it hangs up.
const PATIENCE: Duration = Duration::from_millis(500);

/// The keys of the shipped file.
const ALICE: &str = "alice-key";
const BOB: &str = "bob-key";

struct Setup {
    upstream: Upstream,
    service: RateLimit,
    envoy: Envoy,
}

/// The shipped file, with these limits.
async fn setup(by_consumer: u64, by_model: u64) -> Setup {
    setup_with(by_consumer, by_model, |config| config).await
}

async fn setup_with(by_consumer: u64, by_model: u64, change: impl FnOnce(EnvoyConfig) -> EnvoyConfig) -> Setup {
    let upstream = Upstream::start().await;
    let service = RateLimit::start(&[(CONSUMER, by_consumer), (MODEL, by_model)]).await;
    let config =
        EnvoyConfig::shipped("token-limits.yaml", upstream.address()).cluster_address("ratelimit", service.address());
    let envoy = Envoy::start(change(config)).await.unwrap_or_else(|error| panic!("{error}"));
    Setup { upstream, service, envoy }
}

async fn post(envoy: &Envoy, key: &str, body: &Value) -> Response {
    let request = Request::post("/v1/chat/completions")
        .header("host", "ai.localhost")
        .header("authorization", format!("Bearer {key}"))
        // What a client says about itself counts for nothing.
        .header("x-mse-consumer", "mallory")
        .header("content-type", "application/json")
        .body(whole(body.to_string()))
        .expect("a request");
    Client::http1(envoy.address()).send(request).await.expect("a response")
}

async fn chat(envoy: &Envoy, key: &str, model: &str) -> Response {
    post(envoy, key, &json!({"model": model, "messages": []})).await
}

fn header<'a>(response: &'a Response, name: &str) -> &'a str {
    response.headers.get(name).and_then(|value| value.to_str().ok()).unwrap_or_default()
}

/// A call of the filter for this consumer and model.
fn call(consumer: &str, model: &str, hits_addend: u64) -> Call {
    let consumer = ("consumer".to_owned(), consumer.to_owned());
    let entries = [vec![consumer.clone()], vec![consumer, ("model".to_owned(), model.to_owned())]];
    let descriptors = entries.map(|entries| Descriptor { entries, hits_addend: Some(hits_addend) }).to_vec();
    Call { domain: "ai".to_owned(), descriptors, hits_addend: 0 }
}

#[tokio::test]
async fn asks_before_a_request_and_charges_its_tokens_afterwards() {
    let Setup { upstream, service, envoy } = setup(PLENTY, PLENTY).await;
    let response = chat(&envoy, ALICE, "gpt-4o").await;
    assert_eq!(response.status, 200, "{}", response.text());
    service.wait_for_charges(1).await;
    assert_eq!(service.calls(), [call("alice", "gpt-4o", 0), call("alice", "gpt-4o", TOKENS)]);
    // The client's key is for the gateway only.
    let received = upstream.take();
    assert!(!credential::leaked(&received[0], ALICE.as_bytes()), "the client's key reached the upstream");
    assert_eq!(received[0].header("x-mse-consumer"), [b""; 0], "the upstream knows who asks");
    let line = &envoy.wait_for_access_log(1).await[0];
    assert_eq!((&line["consumer"], &line["model"]), (&json!("alice"), &json!("gpt-4o")), "{line}");
    assert_eq!(line["total_token"], TOKENS.to_string(), "{line}");
}

#[tokio::test]
async fn a_consumer_that_used_its_tokens_is_refused_and_the_others_are_not() {
    // Exactly the limit is not over it: the third request is let through, and the fourth is not.
    let Setup { upstream, service, envoy } = setup(2 * TOKENS, PLENTY).await;
    for sent in 1..=3 {
        let response = chat(&envoy, ALICE, "gpt-4o").await;
        assert_eq!(response.status, 200, "request {sent}: {}", response.text());
        service.wait_for_charges(sent).await;
    }
    assert_eq!(service.used()["alice"], 3 * TOKENS);
    assert_eq!(upstream.take().len(), 3);

    let refused = chat(&envoy, ALICE, "gpt-4o-mini").await;
    assert_eq!(refused.status, 429, "{}", refused.text());
    assert_eq!(header(&refused, "x-envoy-ratelimited"), "true");
    assert_eq!(header(&refused, "x-ratelimit-remaining"), "0");
    assert_eq!(header(&refused, "x-ratelimit-reset"), RESET_SECONDS.to_string());
    assert_eq!(chat(&envoy, BOB, "gpt-4o").await.status, 200);
    let charges = service.wait_for_charges(4).await;
    assert_eq!(charges[3], call("bob", "gpt-4o", TOKENS));
    assert_eq!(upstream.take().len(), 1, "the refused request has not left");
    let details: Vec<_> = envoy.wait_for_access_log(5).await.iter().map(|line| line["details"].clone()).collect();
    assert_eq!(details.iter().filter(|details| *details == "request_rate_limited").count(), 1, "{details:?}");

    service.next_window();
    assert_eq!(chat(&envoy, ALICE, "gpt-4o").await.status, 200);
}

#[tokio::test]
async fn a_model_that_is_used_up_leaves_the_other_models_to_its_consumer() {
    let Setup { upstream: _upstream, service, envoy } = setup(PLENTY, TOKENS - 1).await;
    assert_eq!(chat(&envoy, ALICE, "gpt-4o").await.status, 200);
    service.wait_for_charges(1).await;
    assert_eq!(chat(&envoy, ALICE, "gpt-4o").await.status, 429);
    assert_eq!(chat(&envoy, ALICE, "gpt-4o-mini").await.status, 200);
    assert_eq!(chat(&envoy, BOB, "gpt-4o").await.status, 200);
    service.wait_for_charges(3).await;
    let used = service.used();
    assert_eq!((used["alice"], used["bob"]), (2 * TOKENS, TOKENS));
    assert_eq!((used["alice gpt-4o"], used["alice gpt-4o-mini"], used["bob gpt-4o"]), (TOKENS, TOKENS, TOKENS));
}

#[tokio::test]
async fn a_stream_is_charged_when_it_ends() {
    let Setup { upstream: _upstream, service, envoy } = setup(PLENTY, PLENTY).await;
    let response = post(&envoy, ALICE, &json!({"model": "gpt-4o", "messages": [], "stream": true})).await;
    assert_eq!(response.status, 200, "{}", response.text());
    assert_eq!(service.wait_for_charges(1).await, [call("alice", "gpt-4o", TOKENS)]);
}

#[tokio::test]
async fn what_has_no_usage_is_not_charged() {
    let Setup { upstream, service, envoy } = setup(PLENTY, PLENTY).await;
    upstream.answer_next(Answer::json(500, &json!({"error": {"message": "overloaded"}})));
    assert_eq!(chat(&envoy, ALICE, "gpt-4o").await.status, 500);
    assert_eq!(chat(&envoy, BOB, "gpt-4o").await.status, 200);
    let charges = service.wait_for_charges(1).await;
    assert_eq!(charges, [call("bob", "gpt-4o", TOKENS)]);
}

/// Otherwise clients would hang up a moment before the end, and use what they like.
#[tokio::test]
async fn a_stream_whose_client_hangs_up_before_the_usage_is_charged_by_what_it_got() {
    let Setup { upstream, service, envoy } = setup(PLENTY, PLENTY).await;
    let event = r#"{"id":"1","object":"chat.completion.chunk","choices":[{"index":0,"delta":{"content":"You"}}]}"#;
    let never = Duration::from_secs(60);
    /// The first counts by its text, each of the others as one token.
    const EVENTS: u64 = 7;
    let delivered = format!("data: {event}\n\n").repeat(EVENTS as usize);
    upstream.answer_next(Answer::events().data(delivered).later(never, "data: [DONE]\n\n"));
    let body = r#"{"model":"gpt-4o","messages":[],"stream":true}"#;
    let head = format!("POST /v1/chat/completions HTTP/1.1\r\nhost: ai\r\nauthorization: Bearer {ALICE}\r\n");
    let request = format!("{head}content-type: application/json\r\ncontent-length: {}\r\n\r\n{body}", body.len());
    let received = raw_exchange(envoy.address(), request.as_bytes(), PATIENCE).await.expect("the start of a stream");
    assert!(find(&received, event.as_bytes()).is_some(), "{}", String::from_utf8_lossy(&received));
    let line = &envoy.wait_for_access_log(1).await[0];
    assert_eq!((&line["status"], &line["total_token"]), (&json!(200), &json!(EVENTS.to_string())), "{line}");
    assert_eq!(service.wait_for_charges(1).await, [call("alice", "gpt-4o", EVENTS)]);
}

#[tokio::test]
async fn without_held_headers_the_check_is_by_consumer_and_the_charge_by_both() {
    let configuration = json!({"provider": {"type": "openai", "apiTokens": ["token"]}});
    let Setup { upstream: _upstream, service, envoy } =
        setup_with(PLENTY, PLENTY, |config| config.waypost(&configuration)).await;
    assert_eq!(chat(&envoy, ALICE, "gpt-4o").await.status, 200);
    service.wait_for_charges(1).await;
    let mut check = call("alice", "gpt-4o", 0);
    check.descriptors.truncate(1);
    assert_eq!(service.calls(), [check, call("alice", "gpt-4o", TOKENS)]);
}

#[tokio::test]
async fn an_unknown_key_and_a_service_that_is_gone() {
    let Setup { service, envoy, upstream } = setup(PLENTY, PLENTY).await;
    assert_eq!(chat(&envoy, "mallory-key", "gpt-4o").await.status, 401);
    assert_eq!((service.calls().len(), upstream.take().len()), (0, 0));
    // As the shipped file says: without the service there is no limit.
    drop(service);
    let start = Instant::now();
    assert_eq!(chat(&envoy, ALICE, "gpt-4o").await.status, 200);
    assert!(start.elapsed() < Duration::from_secs(2), "waited {:?} for a service that is gone", start.elapsed());
}
