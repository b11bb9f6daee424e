//! No request keeps a worker from the others: hostile requests go to the one worker of a real Envoy, and a victim on the
//! same listener measures how long it waits meanwhile.
#![cfg(not(target_family = "wasm"))]
#![allow(
    clippy::arithmetic_side_effects,
    clippy::expect_used,
    clippy::indexing_slicing,
    clippy::panic,
    reason = "a test that meets something unexpected fails"
)]

mod support;

use hyper::Request;
use serde_json::{Value, json};
use std::sync::Arc;
use std::sync::atomic::{AtomicBool, Ordering};
use std::time::{Duration, Instant};
use support::client::{Client, whole};
use support::{Envoy, EnvoyConfig, Upstream};
use tokio::time::sleep;

/// How long a victim may wait at most. The inputs here took 8 to 48 s each before they were bounded; on an idle machine
/// they take some 30 ms, and this one may be busy.
const PATIENCE: Duration = Duration::from_secs(2);

/// Requests of the victim follow one another after this.
const PAUSE: Duration = Duration::from_millis(20);

/// An Envoy with one worker and the upstream behind it.
async fn start(provider: Value) -> (Envoy, Upstream) {
    let mut provider = provider;
    provider["type"] = json!("openai");
    provider["apiTokens"] = json!(["test-token"]);
    let upstream = Upstream::start().await;
    let config = EnvoyConfig::new(upstream.address())
        .waypost(&json!({
            "provider": provider,
            "statistics": {"attributes": [
                {"key": "all", "value_source": "request_body", "value": "messages", "apply_to_log": true},
            ], "value_length_limit": 1_000_000},
        }))
        .concurrency(1);
    (Envoy::start(config).await.unwrap_or_else(|error| panic!("{error}")), upstream)
}

async fn post(envoy: std::net::SocketAddr, path: &str, body: String) -> u16 {
    let request = Request::post(path)
        .header("host", "gateway")
        .header("content-type", "application/json")
        .body(whole(body))
        .expect("a request");
    Client::http1(envoy).send(request).await.expect("a response").status.as_u16()
}

/// Sends hostile requests one after the other; gives their statuses and the longest wait of the victim meanwhile.
async fn attack(envoy: &Envoy, requests: Vec<(&'static str, String)>) -> (Vec<u16>, Duration) {
    let address = envoy.address();
    let over = Arc::new(AtomicBool::new(false));
    let victim = tokio::spawn({
        let over = Arc::clone(&over);
        async move {
            let mut longest = Duration::ZERO;
            while !over.load(Ordering::Relaxed) {
                let began = Instant::now();
                let status = post(address, "/v1/chat/completions", r#"{"model":"m","messages":[]}"#.to_owned()).await;
                assert_eq!(status, 200, "the victim");
                longest = longest.max(began.elapsed());
                sleep(PAUSE).await;
            }
            longest
        }
    });
    sleep(PAUSE * 3).await;
    let mut statuses = Vec::new();
    for (path, body) in requests {
        statuses.push(post(address, path, body).await);
    }
    sleep(PAUSE * 3).await;
    over.store(true, Ordering::Relaxed);
    (statuses, victim.await.expect("the victim's task"))
}

#[tokio::test(flavor = "multi_thread")]
async fn audit_c2_a_long_model_name_does_not_keep_a_worker_busy() {
    let (envoy, _upstream) = start(json!({"modelMapping": {
        "~gpt-4(.*-turbo)?": "a", "~(claude-3.*-turbo|claude-3)": "b", "~x*": "c",
    }}))
    .await;
    let chat = |model: &str| ("/v1/chat/completions", json!({"model": model, "messages": []}).to_string());
    let (statuses, longest) = attack(
        &envoy,
        vec![chat(&"gpt-4".repeat(12 * 1024)), chat(&"claude-3".repeat(7 * 1024)), chat(&"x".repeat(60 * 1024))],
    )
    .await;
    assert_eq!(statuses, [400; 3]);
    assert!(longest < PATIENCE, "a victim waited {longest:?}");
    assert_eq!(envoy.complaints(), Vec::<String>::new());
}

#[tokio::test(flavor = "multi_thread")]
async fn audit_h2_a_body_of_many_keys_does_not_keep_a_worker_busy() {
    let (envoy, _upstream) = start(json!({"mergeConsecutiveMessages": true, "contextCleanupCommands": ["/new"]})).await;
    let keys = (0..80_000).map(|n| format!(r#""k{n}":1"#)).collect::<Vec<_>>().join(",");
    let rising: Vec<String> = (0..80_000).rev().map(|n| format!(r#""k{n:05}":1"#)).collect();
    let message = r#"{"role":"user","content":"a"}"#;
    let bodies = [
        format!(r#"{{"model":"m","messages":[],{keys}}}"#),
        format!(r#"{{"model":"m","messages":[{{"role":"user",{keys}}}]}}"#),
        // What is recorded of a body is read once more, and its keys are put in order.
        format!(r#"{{"model":"m","messages":{{{keys}}}}}"#),
        format!(r#"{{"model":"m","messages":{{{}}}}}"#, rising.join(",")),
        format!(r#"{{"model":"m","messages":[{}]}}"#, vec![message; 30_000].join(",")),
        format!(r#"{{"model":"m","messages":[{}]}}"#, vec!["1"; 400_000].join(",")),
    ];
    let requests = bodies.map(|body| ("/v1/chat/completions", body)).to_vec();
    let (statuses, longest) = attack(&envoy, requests).await;
    assert_eq!(statuses, [200; 6]);
    assert!(longest < PATIENCE, "a victim waited {longest:?}");
    assert_eq!(envoy.complaints(), Vec::<String>::new());
}
