//! What clients make Waypost keep, against the budget of its VM, in a real Envoy.
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
use std::time::{Duration, Instant};
use support::client::{Client, Raw, Response, whole};
use support::record::{Line, logged};
use support::{Envoy, EnvoyConfig, Upstream};
use tokio::time::sleep;

/// The gauge, as Envoy calls it.
const GAUGE: &str = "wasmcustom.waypost_memory_bytes";

/// The budget of these tests, in bytes.
const BUDGET: u64 = 8 << 20;

/// How many clients send, and how much each before it stops, in bytes: together many times the budget.
const CLIENTS: usize = 150;
const SENT: usize = 900 << 10;

/// How long something may take that Envoy does by itself.
const PATIENCE: Duration = Duration::from_secs(20);

async fn start(upstream: &Upstream, provider: Value) -> Envoy {
    let configuration = json!({
        "maxMemoryBytes": BUDGET,
        "provider": provider,
        "statistics": {"attributes": [{"key": "question", "apply_to_log": true}]},
    });
    let config = logged(EnvoyConfig::new(upstream.address()).waypost(&configuration));
    Envoy::start(config).await.unwrap_or_else(|error| panic!("{error}"))
}

fn head(length: usize) -> String {
    format!(
        "POST /v1/chat/completions HTTP/1.1\r\nhost: gw\r\ncontent-type: application/json\r\ncontent-length: {length}\r\n\r\n"
    )
}

async fn ask(envoy: &Envoy, question: &str) -> Response {
    let body = json!({"model": "gpt-4o", "messages": [{"role": "user", "content": question}]}).to_string();
    let request = Request::post("/v1/chat/completions").header("host", "gw").header("content-type", "application/json");
    let request = request.body(whole(body)).expect("a request");
    Client::http1(envoy.address()).send(request).await.expect("a response")
}

/// Waits until the gauge is what it should be.
async fn wait_for_gauge(envoy: &Envoy, label: &str, is_right: impl Fn(u64) -> bool) {
    let start = Instant::now();
    loop {
        let now = envoy.stat(GAUGE).await;
        if is_right(now) {
            return;
        }
        assert!(start.elapsed() < PATIENCE, "{label}: {now} bytes");
        sleep(Duration::from_millis(50)).await;
    }
}

/// Clients that send most of a body and stop.
async fn slow_uploads(envoy: &Envoy, body: &[u8]) -> Vec<Raw> {
    let mut clients = Vec::new();
    for _ in 0..CLIENTS {
        let mut client = Raw::connect(envoy.address()).await.expect("a connection");
        client.send(head(body.len() + 100)).await.expect("a head");
        client.send(body).await.expect("a body");
        clients.push(client);
    }
    clients
}

#[tokio::test(flavor = "multi_thread")]
async fn audit_h3_slow_uploads_with_an_attribute_stay_within_the_budget() {
    let upstream = Upstream::start().await;
    let envoy = start(&upstream, json!({"type": "openai", "apiTokens": ["token"]})).await;
    assert_eq!(ask(&envoy, "first").await.status, 200);
    let stats = envoy.wasm_stats().await;
    let before = envoy.memory_kb("VmRSS");
    let body = format!(r#"{{"model":"m","messages":[{{"role":"user","content":"{}"#, "x".repeat(SENT));
    let clients = slow_uploads(&envoy, body.as_bytes()).await;
    wait_for_gauge(&envoy, "the budget is used", |now| now > BUDGET / 2).await;
    assert!(envoy.stat(GAUGE).await <= BUDGET, "more than the budget");
    let grown = envoy.memory_kb("VmRSS").saturating_sub(before);
    println!("{CLIENTS} uploads: {grown} KiB more, {} bytes kept", envoy.stat(GAUGE).await);
    // The copies alone would be 150 times 900 KiB; Envoy's own buffers for 300 connections are the rest.
    assert!(grown < 96 << 10, "{grown} KiB more");

    // Others notice nothing.
    let response = ask(&envoy, "second").await;
    assert_eq!(response.status, 200, "{}", response.text());
    drop(clients);
    let lines: Vec<_> = envoy.wait_for_access_log(CLIENTS + 2).await.into_iter().map(Line).collect();
    let records: Vec<Value> = lines.iter().map(Line::record).collect();
    let questions: Vec<_> =
        records.iter().filter(|record| record["status"] == 200).map(|record| &record["question"]).collect();
    assert_eq!(questions, ["first", "second"]);
    // What was given up is told: at most eight megabytes could be kept.
    let dropped = records.iter().filter(|record| record["attributes_dropped"] == true).count();
    assert!(dropped >= CLIENTS - 16, "{dropped} of {CLIENTS} tell it");
    let counted: u64 = envoy
        .stats()
        .await
        .iter()
        .filter(|(name, _)| name.contains("waypost_attributes_dropped_total"))
        .map(|(_, value)| value)
        .sum();
    assert_eq!(counted, dropped as u64);
    wait_for_gauge(&envoy, "all is given back", |now| now == 0).await;
    assert_eq!(envoy.wasm_stats().await, stats, "a VM failed");
}

/// Only what attributes can be taken from is kept: the tools that a client sends along are not.
#[tokio::test(flavor = "multi_thread")]
async fn audit_h3_members_that_no_attribute_wants_are_not_kept() {
    let upstream = Upstream::start().await;
    let envoy = start(&upstream, json!({"type": "openai", "apiTokens": ["token"]})).await;
    let stats = envoy.wasm_stats().await;
    let body =
        format!(r#"{{"model":"m","messages":[],"tools":[{{"type":"function","description":"{}"#, "x".repeat(SENT));
    let clients = slow_uploads(&envoy, body.as_bytes()).await;
    sleep(Duration::from_millis(300)).await;
    assert!(envoy.stat(GAUGE).await <= BUDGET / 8, "{} bytes are kept", envoy.stat(GAUGE).await);
    drop(clients);
    // A body beyond any limit of copies has its question in the record all the same.
    let tools = "x".repeat(3 << 20);
    let messages = json!([{"role": "user", "content": "Which way?"}]);
    let body = format!(r#"{{"model":"m","tools":["{tools}"],"messages":{messages}}}"#);
    let request = Request::post("/v1/chat/completions").header("host", "gw").header("content-type", "application/json");
    let response = Client::http1(envoy.address()).send(request.body(whole(body)).expect("a request")).await;
    assert_eq!(response.expect("a response").status, 200);
    let lines = envoy.wait_for_access_log(CLIENTS + 1).await;
    let record = lines.into_iter().map(|line| Line(line).record()).find(|record| record["status"] == 200);
    assert_eq!(record.expect("a record")["question"], "Which way?");
    assert_eq!(envoy.wasm_stats().await, stats, "a VM failed");
}

/// A client that has fallen silent hears that another one got its room, though nothing of its own is going on.
#[tokio::test(flavor = "multi_thread")]
async fn audit_h3_the_silent_are_answered_while_another_one_is_served() {
    /// How long these bodies are, in bytes: five fill the part of held bodies, three quarters of the budget.
    const LENGTH: usize = 1100 << 10;
    let upstream = Upstream::start().await;
    let azure = json!({
        "type": "azure",
        "apiTokens": ["token"],
        "azureServiceUrl": "https://example.openai.azure.com?api-version=2024-10-21",
    });
    let envoy = start(&upstream, azure).await;
    let stats = envoy.wasm_stats().await;
    let body = format!(r#"{{"messages":["{}"],"model":"gpt-4o"}}"#, "x".repeat(LENGTH));
    let (begins, ends) = body.split_at(body.len() - 20);
    let mut silent = Vec::new();
    for sent in 1..=5_u64 {
        let mut client = Raw::connect(envoy.address()).await.expect("a connection");
        client.send(head(body.len())).await.expect("a head");
        client.send(begins).await.expect("a body");
        wait_for_gauge(&envoy, "the body is held", |now| now > sent * LENGTH as u64 * 9 / 10).await;
        silent.push(client);
    }
    // Longer than a stream has to be silent before it makes room.
    sleep(Duration::from_millis(1200)).await;
    let request = Request::post("/v1/chat/completions").header("host", "gw").header("content-type", "application/json");
    let request = request.body(whole(body.clone())).expect("a request");
    let response = Client::http1(envoy.address()).send(request).await.expect("a response");
    assert_eq!(response.status, 200, "{}", response.text());
    let mut silent = silent.into_iter();
    let (status, answer) = silent.next().expect("the oldest").response().await.expect("an answer");
    let answer = String::from_utf8_lossy(&answer);
    assert!(status == 408 && answer.contains(r#""code":"body_timeout""#), "{status}: {answer}");
    // The others go on where they stopped.
    for mut client in silent {
        client.send(ends).await.expect("a body");
        let (status, answer) = client.response().await.expect("an answer");
        assert_eq!(status, 200, "{}", String::from_utf8_lossy(&answer));
    }
    for received in upstream.take() {
        assert_eq!(received.body, body.as_bytes());
    }
    let records: Vec<Value> = envoy.wait_for_access_log(6).await.into_iter().map(|line| Line(line).record()).collect();
    let refused: Vec<&Value> = records.iter().filter(|record| record["status"] != 200).collect();
    assert_eq!(refused.len(), 1);
    assert_eq!((&refused[0]["status"], &refused[0]["error_code"]), (&json!(408), &json!("body_timeout")));
    wait_for_gauge(&envoy, "all is given back", |now| now == 0).await;
    assert_eq!(envoy.wasm_stats().await, stats, "a VM failed");
}
