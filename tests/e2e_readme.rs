//! The access log line of the README: a real Envoy with the shipped `envoy/envoy.yaml` writes it.
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
use support::{Envoy, EnvoyConfig, Upstream};

const README: &str = include_str!("../README.md");

/// Fields whose numbers are not the same in two runs.
const VARIABLE: [&str; 5] = ["time", "upstream", "duration_ms", "llm_first_token_duration", "llm_service_duration"];

/// What stands in the README between two texts; the first one stands there once.
fn between(before: &str, after: &str) -> &'static str {
    let mut parts = README.split(before).skip(1);
    let rest = parts.next().unwrap_or_else(|| panic!("the README has no `{before}`"));
    assert!(parts.next().is_none(), "the README has `{before}` twice");
    rest.split(after).next().unwrap_or_default()
}

/// A line in which every number of a field that varies is 0.
fn normalised(line: &Value) -> Value {
    let mut line = line.clone();
    for field in VARIABLE {
        let shown = line[field].as_str().map_or_else(|| line[field].to_string(), str::to_owned);
        let mut zeros = String::new();
        for c in shown.chars() {
            match (c.is_ascii_digit(), zeros.ends_with('0')) {
                (true, true) => {}
                (true, false) => zeros.push('0'),
                (false, _) => zeros.push(c),
            }
        }
        line[field] = json!(zeros);
    }
    line
}

#[tokio::test]
async fn the_access_log_line_is_the_one_of_the_readme() {
    let upstream = Upstream::start().await;
    let envoy = Envoy::start(EnvoyConfig::new(upstream.address())).await.unwrap_or_else(|error| panic!("{error}"));
    let request = Request::post("/v1/chat/completions")
        .header("host", between("curl -N -H 'Host: ", "'"))
        .header("content-type", "application/json")
        .body(whole(between("  -d '", "'\n")));
    let response = Client::http1(envoy.address()).send(request.expect("a request")).await.expect("a response");
    assert_eq!(response.status, 200);
    let lines = envoy.wait_for_access_log(1).await;
    let shown = between("```text\n", "\n```");
    let shown: Value = serde_json::from_str(shown).unwrap_or_else(|error| panic!("{error}: {shown}"));
    let written = &lines[0];
    assert!(normalised(&shown) == normalised(written), "Envoy writes:\n\n{written}\n");
    // It is copied from a run, in the order in which Envoy writes the fields.
    assert_eq!(shown.to_string(), between("```text\n", "\n```"));
}
