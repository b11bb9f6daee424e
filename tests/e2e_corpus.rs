//! Every third recorded exchange of `testdata/usage/exchanges` through a real Envoy: the record is the one of the core,
//! and the client gets the same bytes.
#![cfg(not(target_family = "wasm"))]
#![allow(
    clippy::arithmetic_side_effects,
    clippy::expect_used,
    clippy::indexing_slicing,
    clippy::panic,
    clippy::unwrap_used,
    reason = "a test that meets something unexpected fails"
)]

#[path = "support/corpus.rs"]
mod corpus;
#[path = "../fuzz/oracle/frame.rs"]
mod frame;
mod support;

use corpus::Recorded;
use hyper::Request;
use serde_json::{Map, Value, json};
use std::time::Duration;
use support::client::{Client, whole};
use support::record::Recorder;
use support::{Answer, root};

/// The pieces in which a short body comes, in bytes.
const PIECE: usize = 100;

/// A body that is longer comes as a whole.
const LONG: usize = 10_000;

/// The upstream's answer.
fn answer(recorded: &Recorded) -> Answer {
    let mut answer = Answer::status(u16::try_from(recorded.status).unwrap());
    for (name, value) in &recorded.response_headers {
        let name: &'static str = Box::leak(name.clone().into_boxed_str());
        answer = answer.header(name, std::str::from_utf8(value).unwrap());
    }
    let size = if recorded.body.len() > LONG { recorded.body.len() } else { PIECE };
    for piece in recorded.body.chunks(size) {
        answer = answer.later(Duration::ZERO, piece.to_vec());
    }
    answer
}

#[tokio::test]
async fn every_third_recorded_exchange_is_recorded_alike_by_envoy() {
    let files = corpus::read(&root().join("testdata/usage/exchanges")).expect("the samples");
    let third: Vec<_> = files.iter().step_by(3).collect();
    let domain = |number: usize| format!("corpus-{number}.test");
    let rule = |(number, steps): (usize, &Vec<Recorded>)| json!({"_match_domain_": [domain(number)], "provider": steps[0].settings()});
    let rules: Vec<Value> = third.iter().map(|(_, steps)| steps).enumerate().map(rule).collect();
    let mut recorder = Recorder::start(&json!({"_rules_": rules})).await;
    for (number, (path, steps)) in third.iter().enumerate() {
        for recorded in steps {
            let label = path.display().to_string();
            recorder.upstream.answer_next(answer(recorded));
            let mut request = Request::builder().method(recorded.method.as_str()).uri(&recorded.path);
            request = request.header("host", domain(number));
            for (name, value) in &recorded.request_headers {
                request = request.header(name.as_str(), value.as_slice());
            }
            let request = request.body(whole(recorded.request_body.clone())).expect("a request");
            let response = Client::http1(recorder.envoy.address()).send(request).await.expect("a response");
            let client =
                recorded.expected.get("$client").and_then(Value::as_str).map_or(&recorded.body[..], str::as_bytes);
            assert_eq!(String::from_utf8_lossy(&response.body), String::from_utf8_lossy(client), "{label}");
            let (line, _) = recorder.one().await;
            let expected: Map<String, Value> =
                recorded.expected.clone().into_iter().filter(|(name, _)| !name.starts_with('$')).collect();
            line.assert_has(&Value::Object(expected), &label);
        }
    }
    recorder.assert_settled().await;
}
