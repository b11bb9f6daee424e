//! The mock upstream itself: a test that leans on it is worth what it is worth.
#![cfg(not(target_family = "wasm"))]
#![allow(
    clippy::expect_used,
    clippy::indexing_slicing,
    clippy::panic,
    clippy::unwrap_used,
    reason = "a test that meets something unexpected fails"
)]

mod support;

use bytes::Bytes;
use http_body_util::{BodyExt as _, Full};
use hyper::header::HeaderMap;
use hyper::{Request, Version};
use serde_json::Value;
use std::future::ready;
use std::net::{Ipv4Addr, SocketAddr};
use std::time::{Duration, Instant};
use support::client::{Client, Response, whole};
use support::upstream::{INPUT_TOKENS, OUTPUT_TOKENS};
use support::{Answer, Upstream, UpstreamOptions};

async fn post(upstream: &Upstream, path: &str, body: &str) -> Response {
    let request = Request::post(path).header("host", "api.perplexity.ai").body(whole(body.to_owned())).unwrap();
    Client::http1(upstream.address()).send(request).await.unwrap()
}

/// The JSON of each `data:` line.
fn events(response: &Response) -> Vec<Value> {
    let text = response.text();
    let data = text.lines().filter_map(|line| line.strip_prefix("data: ")).filter(|data| *data != "[DONE]");
    data.map(|data| serde_json::from_str(data).unwrap_or_else(|error| panic!("{error}: {data}"))).collect()
}

#[tokio::test]
async fn answers_with_valid_json_and_usage() {
    let upstream = Upstream::start().await;
    for (path, usage) in [
        ("/v1/chat/completions", "/usage/prompt_tokens"),
        ("/v1/embeddings", "/usage/prompt_tokens"),
        ("/v1/messages", "/usage/input_tokens"),
        ("/v1/messages/count_tokens", "/input_tokens"),
    ] {
        let response = post(&upstream, path, r#"{"model":"a \"model\"","input":["x","y"]}"#).await;
        let body: Value = serde_json::from_slice(&response.body).unwrap();
        assert_eq!(body.pointer(usage), Some(&INPUT_TOKENS.into()), "{path}: {body}");
        assert!(body.get("model").is_none_or(|model| model == "a \"model\""), "{path}: {body}");
        assert_eq!(response.headers["content-type"], "application/json");
    }
    let models = Client::http1(upstream.address()).get("/v1/models").await.unwrap();
    assert_eq!(serde_json::from_slice::<Value>(&models.body).unwrap()["object"], "list");
}

#[tokio::test]
async fn streams_usage_only_to_those_who_ask_for_it() {
    let upstream = Upstream::start().await;
    let plain = post(&upstream, "/v1/chat/completions", r#"{"model":"m","stream":true}"#).await;
    assert!(events(&plain).iter().all(|event| event.get("usage").is_none()));
    let asked = r#"{"model":"m","stream":true,"stream_options":{"include_usage":true}}"#;
    let asked = post(&upstream, "/v1/chat/completions", asked).await;
    let (last, others) = events(&asked).split_last().map(|(last, others)| (last.clone(), others.to_vec())).unwrap();
    assert_eq!(
        (&last["choices"], &last["usage"]["completion_tokens"]),
        (&Value::Array(Vec::new()), &OUTPUT_TOKENS.into())
    );
    assert!(others.iter().all(|event| event["usage"].is_null()));
    assert!(asked.text().ends_with("data: [DONE]\n\n"));
}

#[tokio::test]
async fn streams_messages_with_named_events() {
    let upstream = Upstream::start().await;
    let response = post(&upstream, "/anthropic/v1/messages", r#"{"model":"m","stream":true}"#).await;
    let events = events(&response);
    assert_eq!(events[0]["message"]["usage"]["input_tokens"], INPUT_TOKENS);
    let names = events.iter().map(|event| format!("event: {}\n", event["type"].as_str().unwrap()));
    assert!(names.into_iter().all(|name| response.text().contains(&name)));
    assert_eq!(events[events.len() - 2]["usage"]["output_tokens"], OUTPUT_TOKENS);
}

#[tokio::test]
async fn records_what_arrived_byte_by_byte() {
    let upstream = Upstream::start().await;
    let mut client = Client::http1(upstream.address());
    for _ in 0..2 {
        let request = Request::post("//v1/%zz?&a=%20&a")
            .header("host", "h:1")
            .header("x-b", b"\xff".as_slice())
            .header("x-a", "1")
            .body(whole("body"));
        client.send(request.unwrap()).await.unwrap();
    }
    let received = upstream.wait_for(2).await;
    assert_eq!((&*received[0].authority, &*received[0].path), ("h:1", "//v1/%zz?&a=%20&a"));
    assert_eq!(received[0].headers[..2], [("x-b".into(), vec![0xff]), ("x-a".into(), b"1".to_vec())]);
    assert_eq!(received[0].body, "body");
    assert_eq!((received[0].connection, received[1].connection), (0, 0));
}

#[tokio::test]
async fn speaks_http2_with_trailers_both_ways() {
    let upstream = Upstream::start().await;
    let mut trailers = HeaderMap::new();
    trailers.insert("x-end", "yes".parse().unwrap());
    upstream.answer_next(Answer::status(200).data("a").trailers(trailers.clone()));
    let body = Full::new(Bytes::from("{}")).with_trailers(ready(Some(Ok(trailers)))).boxed();
    let request = Request::post("http://api.openai.com/v1/chat/completions").body(body).unwrap();
    let response = Client::http2(upstream.address()).send(request).await.unwrap();
    assert_eq!((response.text().as_str(), response.trailers["x-end"].as_bytes()), ("a", b"yes".as_slice()));
    let received = upstream.take();
    assert_eq!(received[0].version, Version::HTTP_2);
    assert_eq!((&*received[0].authority, &*received[0].path), ("api.openai.com", "/v1/chat/completions"));
    assert_eq!(received[0].trailers, [("x-end".to_owned(), b"yes".to_vec())]);
}

#[tokio::test]
async fn plays_failures_and_slow_streams_in_turn() {
    const PAUSE: Duration = Duration::from_millis(50);
    let upstream = Upstream::start().await;
    upstream.answer_next(Answer::status(503));
    upstream.answer_next(Answer::events().data("data: 1\n\n").later(PAUSE, "data: 2\n\n"));
    upstream.answer_next(Answer::events().data("data: 1\n\n").reset(PAUSE));
    assert_eq!(post(&upstream, "/", "").await.status, 503);
    let start = Instant::now();
    assert_eq!(post(&upstream, "/", "").await.text(), "data: 1\n\ndata: 2\n\n");
    assert!(start.elapsed() >= PAUSE);
    let request = Request::post("/").header("host", "h").body(whole("")).unwrap();
    assert!(Client::http1(upstream.address()).send(request).await.is_err());
    assert_eq!(post(&upstream, "/", "").await.status, 200);
}

#[tokio::test]
async fn is_as_strict_about_paths_as_the_vendors_if_told_so() {
    let options = UpstreamOptions { vendor_paths: true, ..UpstreamOptions::default() };
    let upstream = Upstream::listen(SocketAddr::from((Ipv4Addr::LOCALHOST, 0)), options).await.unwrap();
    assert_eq!(post(&upstream, "/v1/chat/completions", "{}").await.status, 404);
    assert_eq!(post(&upstream, "/chat/completions?a=1", "{}").await.status, 200);
}

#[tokio::test]
async fn never_shows_a_key_from_the_query() {
    let upstream = Upstream::start().await;
    let response = post(&upstream, "/v1beta/models/m:generateContent?alt=sse&key=secret", "{}").await;
    assert_eq!(response.headers["x-upstream-path"], "/v1beta/models/m:generateContent?alt=sse&key=***");
    assert!(!response.text().contains("secret"));
}
