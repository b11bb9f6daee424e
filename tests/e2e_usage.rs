//! What a request cost, as a real Envoy writes it down: however it ends, there is one line in the access log, with one
//! record in it, and each figure is counted once.
#![cfg(not(target_family = "wasm"))]
#![allow(
    clippy::arithmetic_side_effects,
    clippy::expect_used,
    clippy::indexing_slicing,
    clippy::panic,
    reason = "a test that meets something unexpected fails"
)]

#[path = "../fuzz/oracle/frame.rs"]
mod frame;
mod support;

use hyper::header::{HeaderMap, HeaderName, HeaderValue};
use hyper::{Method, Request};
use serde_json::{Value, json};
use std::fs;
use std::net::{Ipv4Addr, SocketAddr};
use std::time::Duration;
use support::client::{Client, find, whole};
use support::record::{Counts, Recorder};
use support::upstream::{INPUT_TOKENS, OUTPUT_TOKENS};
use support::{Answer, root};
use tokio::io::AsyncReadExt as _;
use tokio::net::TcpListener;
use tokio::task::JoinHandle;

const CHAT: &str = "/v1/chat/completions";

/// How long a client waits for more before it hangs up.
const PATIENCE: Duration = Duration::from_millis(300);

/// Longer than any test.
const NEVER: Duration = Duration::from_secs(60);

/// A provider of each dialect, by domain.
fn providers() -> Value {
    let rules = [
        ("openai.test", json!({"type": "openai", "modelMapping": {"gpt-4": "gpt-4o", "*": ""}})),
        ("claude.test", json!({"type": "claude"})),
        ("gemini.test", json!({"type": "gemini"})),
        ("bedrock.test", json!({"type": "bedrock", "awsRegion": "us-east-1"})),
        ("ollama.test", json!({"type": "ollama", "baseUrl": "http://ollama.example:11434"})),
        ("chat-only.test", json!({"type": "openai", "operations": ["chat_completions"]})),
    ];
    let rule = |(domain, mut provider): (&str, Value)| {
        provider["apiTokens"] = json!(["token"]);
        json!({"_match_domain_": [domain], "provider": provider})
    };
    json!({"_rules_": rules.map(rule)})
}

fn sample(file: &str) -> String {
    let path = root().join("testdata/usage").join(file);
    fs::read_to_string(&path).unwrap_or_else(|error| panic!("{}: {error}", path.display()))
}

/// The frames of a sample that lists names and payloads.
fn aws_events(file: &str) -> Vec<u8> {
    let text = sample(file);
    let lines = text.lines().filter(|line| !line.starts_with('#')).filter_map(|line| line.split_once(' '));
    let event = |(name, payload): (&str, &str)| {
        let headers = [frame::header(":message-type", "event"), frame::header(":event-type", name)].concat();
        frame::frame(&headers, payload.as_bytes())
    };
    lines.flat_map(event).collect()
}

/// The body as one gzip member.
fn gzip(body: &[u8]) -> Vec<u8> {
    let mut gzip = vec![0x1f, 0x8b, 8, 0, 0, 0, 0, 0, 0, 255];
    gzip.extend(miniz_oxide::deflate::compress_to_vec(body, 6));
    gzip.extend(frame::crc32(body).to_le_bytes());
    gzip.extend((body.len() as u32).to_le_bytes());
    gzip
}

fn ok(content_type: &str, body: impl Into<bytes::Bytes>) -> Answer {
    Answer::status(200).header("content-type", content_type).data(body)
}

fn streamed() -> Value {
    json!({"model": "gpt-4", "messages": [{"role": "user", "content": "?"}], "stream": true})
}

/// A piece of a stream with this content.
fn chunk(content: &str) -> String {
    let choices = json!([{"index": 0, "delta": {"content": content}, "finish_reason": null}]);
    format!(
        "data: {}\n\n",
        json!({"id": "chatcmpl-1", "object": "chat.completion.chunk", "model": "gpt-4o", "choices": choices})
    )
}

/// The piece of a stream that only tells usage.
fn usage_chunk() -> String {
    let usage = json!({"prompt_tokens": INPUT_TOKENS, "completion_tokens": OUTPUT_TOKENS, "total_tokens": INPUT_TOKENS + OUTPUT_TOKENS});
    format!(
        "data: {}\n\n",
        json!({"id": "chatcmpl-1", "object": "chat.completion.chunk", "choices": [], "usage": usage})
    )
}

const DONE: &str = "data: [DONE]\n\n";

// -- Dialects ---------------------------------------------------------------------------------------------------------

#[tokio::test]
async fn every_dialect_leaves_one_record_with_its_figures() {
    let mut recorder = Recorder::start(&providers()).await;
    let plain = json!({"model": "m", "messages": []});
    let input = json!({"model": "text-embedding-3-small", "input": "x"});
    // Much larger than a buffer: the figures stand behind it.
    let vector = vec!["0.0123456789"; 8_000].join(",");
    let embeddings = sample("openai-embeddings.json").replacen("0.0023064255", &vector, 1);
    let embeddings = if embeddings.len() > 90_000 {
        embeddings
    } else {
        format!(
            r#"{{"object":"list","data":[{{"object":"embedding","index":0,"embedding":[{vector}]}}],"model":"text-embedding-3-small","usage":{{"prompt_tokens":8,"total_tokens":8}}}}"#
        )
    };
    assert!(embeddings.len() > 90_000);
    let json_type = "application/json";
    let sse = "text/event-stream";
    let cases = [
        (
            ("openai.test", CHAT, json!({"model": "gpt-4", "messages": []})),
            ok(json_type, sample("openai-chat.json")),
            json!({"input_token": 19, "output_token": 10, "total_token": 29, "cached_token": 8, "reasoning_token": 4,
                "model": "gpt-4o-2024-08-06", "request_model": "gpt-4", "upstream_model": "gpt-4o",
                "mapping_rule": "gpt-4", "response_type": "normal", "chat_id": "chatcmpl-1", "operation": "chat_completions",
                "api": "chat_completions", "upstream_path": "/v1/chat/completions", "provider": "openai",
                "input_token_details": {"cached_tokens": 8, "audio_tokens": 0}}),
            (19, 10),
        ),
        (
            ("openai.test", CHAT, streamed()),
            ok(sse, sample("openai-chat-stream.sse")),
            json!({"input_token": 19, "output_token": 10, "response_type": "stream", "chat_round": 1}),
            (19, 10),
        ),
        (
            ("openai.test", "/v1/embeddings", input),
            ok(json_type, embeddings),
            json!({"input_token": 8, "output_token": null, "total_token": 8, "operation": "embeddings"}),
            (8, 0),
        ),
        (
            ("openai.test", "/v1/images/generations", json!({"model": "gpt-image-1", "prompt": "x"})),
            ok(json_type, sample("openai-images.json")),
            json!({"input_token": 50, "output_token": 4160, "image_input_token": 40, "image_output_token": 4160}),
            (50, 4160),
        ),
        (
            ("claude.test", "/v1/messages", json!({"model": "claude-sonnet-4", "messages": [], "stream": true})),
            ok(sse, sample("anthropic-both.sse")),
            json!({"input_token": 25, "output_token": 15, "total_token": 40, "chat_id": "msg_1", "response_type": "stream"}),
            (25, 15),
        ),
        (
            ("gemini.test", "/v1beta/models/gemini-2.5-flash:streamGenerateContent", json!({"contents": []})),
            ok(json_type, sample("gemini-array.json")),
            json!({"input_token": 264, "output_token": 20, "total_token": 407, "reasoning_token": 83,
                "response_type": "stream", "chat_id": "resp-g1", "model": "gemini-2.5-flash"}),
            (264, 103),
        ),
        (
            ("bedrock.test", "/model/claude/converse-stream", json!({"messages": []})),
            ok("application/vnd.amazon.eventstream", aws_events("bedrock-converse-stream.events")),
            json!({"input_token": 30, "output_token": 628, "total_token": 1758, "cached_token": 1000,
                "cache_write_token": 100, "response_type": "stream", "input_includes_cache": false}),
            (1130, 628),
        ),
        (
            ("ollama.test", "/api/chat", plain.clone()),
            ok("application/x-ndjson", sample("ollama-chat.ndjson")),
            json!({"input_token": 26, "output_token": 282, "total_token": 308, "model": "qwen3", "response_type": "stream"}),
            (26, 282),
        ),
        // What was asked not to be compressed, and is.
        (
            ("openai.test", CHAT, json!({"model": "gpt-4", "messages": []})),
            ok(json_type, gzip(sample("openai-chat.json").as_bytes())).header("content-encoding", "gzip"),
            json!({"input_token": 19, "output_token": 10, "response_type": "normal"}),
            (19, 10),
        ),
        (
            ("openai.test", CHAT, streamed()),
            ok(sse, gzip(sample("openai-chat-stream.sse").as_bytes())).header("content-encoding", "gzip"),
            json!({"input_token": 19, "output_token": 10, "response_type": "stream"}),
            (19, 10),
        ),
    ];
    for ((domain, path, body), answer, mut expected, (input, output)) in cases {
        let label = format!("{domain}{path} {}", body["stream"]);
        let response = recorder.post(domain, path, &body, Some(answer)).await;
        assert_eq!(response.status, 200, "{label}: {}", response.text());
        let (line, counts) = recorder.one().await;
        expected["usage_source"] = json!("upstream");
        expected["status"] = json!(200);
        expected["error_source"] = Value::Null;
        expected["aborted"] = Value::Null;
        line.assert_has(&expected, &label);
        assert_eq!(counts, Counts { requests: 1, errors: 0, input, output }, "{label}");
    }
    for request in recorder.upstream.take() {
        let encodings = request.header("accept-encoding");
        assert!(encodings == [b"identity"], "{}: {:?}", request.path, request.headers);
    }
    recorder.assert_settled().await;
}

#[tokio::test]
async fn what_tells_no_usage_leaves_a_record_that_says_why() {
    let mut recorder = Recorder::start(&providers()).await;
    let body = json!({"model": "gpt-4", "messages": []});
    // Brotli cannot be read, and is passed on as it is.
    let brotli = [0x0b, 0x02, 0x80, 0x7b, 0x7d, 0x03];
    let answer = ok("application/json", brotli.to_vec()).header("content-encoding", "br");
    let response = recorder.post("openai.test", CHAT, &body, Some(answer)).await;
    assert_eq!(response.body.as_ref(), brotli);
    let (line, counts) = recorder.one().await;
    line.assert_has(
        &json!({"usage_source": "none", "usage_missing": "content_encoding", "input_token": null}),
        "brotli",
    );
    assert_eq!(counts, Counts { requests: 1, ..Counts::default() });

    let broken = ok("application/json", "this is not gzip at all").header("content-encoding", "gzip");
    recorder.post("openai.test", CHAT, &body, Some(broken)).await;
    let (line, _) = recorder.one().await;
    line.assert_has(&json!({"usage_source": "none", "usage_missing": "broken_compression"}), "not gzip");

    recorder.post("openai.test", CHAT, &body, Some(ok("text/html", "<html>"))).await;
    let (line, _) = recorder.one().await;
    line.assert_has(&json!({"usage_source": "none", "usage_missing": "content_type", "status": 200}), "html");

    recorder.post("openai.test", CHAT, &body, Some(ok("application/json", "{}"))).await;
    let (line, _) = recorder.one().await;
    line.assert_has(&json!({"usage_source": "none", "usage_missing": "absent"}), "no usage");

    for method in [Method::GET, Method::HEAD] {
        let request = Request::builder().method(&method).uri("/v1/models").header("host", "openai.test");
        let request = request.body(whole(Vec::new())).expect("a request");
        let response = Client::http1(recorder.envoy.address()).send(request).await.expect("a response");
        assert_eq!(response.status, 200, "{method}");
        let (line, counts) = recorder.one().await;
        let expected =
            json!({"usage_source": "none", "usage_missing": "operation", "operation": "models", "aborted": null});
        line.assert_has(&expected, method.as_str());
        assert_eq!(counts, Counts { requests: 1, ..Counts::default() }, "{method}");
    }
    recorder.assert_settled().await;
}

// -- How it ends ------------------------------------------------------------------------------------------------------

#[tokio::test]
async fn errors_name_who_made_them() {
    let mut recorder = Recorder::start(&providers()).await;
    let body = json!({"model": "gpt-4", "messages": []});
    let failed = Counts { requests: 1, errors: 1, ..Counts::default() };
    for status in [400, 401, 429, 500, 503] {
        let error = json!({"error": {"message": "no", "type": "invalid_request_error", "code": "rate_limit_exceeded"}});
        let response = recorder.post("openai.test", CHAT, &body, Some(Answer::json(status, &error))).await;
        assert_eq!((response.status.as_u16(), response.text()), (status, error.to_string()));
        let (line, counts) = recorder.one().await;
        let expected = json!({"status": status, "error_source": "upstream", "aborted": null, "usage_source": "none"});
        line.assert_has(&expected, &status.to_string());
        assert_eq!(counts, failed, "{status}");
    }
    // A stream that begins well and says later what went wrong.
    let answer = ok("text/event-stream", sample("openai-chat-late-error.sse"));
    recorder.post("openai.test", CHAT, &streamed(), Some(answer)).await;
    let (line, counts) = recorder.one().await;
    line.assert_has(&json!({"status": 200, "error_source": "upstream"}), "late error");
    assert_eq!((counts.requests, counts.errors), (1, 1));

    // Waypost's own refusals: by the headers, and by a body that is no JSON.
    let refused = recorder.post("chat-only.test", "/v1/embeddings", &body, None).await;
    assert_eq!(refused.status, 404, "{}", refused.text());
    let (line, counts) = recorder.one().await;
    line.assert_has(&json!({"status": 404, "error_source": "gateway", "aborted": null, "usage_source": "none"}), "404");
    assert_eq!(counts, failed);
    let request = Request::post(CHAT).header("host", "openai.test").header("content-type", "application/json");
    let request = request.body(whole("{\"model\":]")).expect("a request");
    let refused = Client::http1(recorder.envoy.address()).send(request).await.expect("a response");
    assert_eq!(refused.status, 400);
    let (line, counts) = recorder.one().await;
    line.assert_has(
        &json!({"status": 400, "error_source": "gateway", "aborted": null, "error_code": "invalid_body"}),
        "400",
    );
    assert_eq!(counts, failed);
    recorder.assert_settled().await;
}

#[tokio::test]
async fn a_client_that_hangs_up_is_recorded_with_what_was_known() {
    let mut recorder = Recorder::start(&providers()).await;
    let aborted =
        |usage: &str| json!({"aborted": "client", "error_source": "client", "usage_source": usage, "status": 200});
    // Before the first token.
    recorder.upstream.answer_next(Answer::events().later(NEVER, DONE));
    recorder.hang_up("openai.test", CHAT, &streamed(), PATIENCE).await;
    let (line, counts) = recorder.one().await;
    line.assert_has(&aborted("none"), "before the first token");
    assert_eq!(line.record()["time_to_first_content"], Value::Null);
    assert_eq!((counts.requests, counts.input, counts.output), (1, 0, 0));
    // After it.
    recorder.upstream.answer_next(Answer::events().data(chunk("You")).later(NEVER, DONE));
    let came = recorder.hang_up("openai.test", CHAT, &streamed(), PATIENCE).await;
    assert!(find(&came, b"You").is_some());
    let (line, counts) = recorder.one().await;
    line.assert_has(&aborted("estimated"), "after the first token");
    assert!(line.record()["time_to_first_content"].is_number());
    assert_eq!((counts.requests, counts.input, counts.output), (1, 0, 1));
    // After a usage that may not be the last.
    let sample = sample("anthropic-both.sse");
    let (start, _) = sample.split_once("event: message_delta").expect("the end");
    recorder.upstream.answer_next(Answer::events().data(start.to_owned()).later(NEVER, ""));
    let body = json!({"model": "claude-sonnet-4", "messages": [], "stream": true});
    recorder.hang_up("claude.test", "/v1/messages", &body, PATIENCE).await;
    let (line, counts) = recorder.one().await;
    // The vendor's first event tells one token of output, however many follow.
    line.assert_has(&aborted("estimated"), "after the first usage");
    line.assert_has(&json!({"input_token": 25, "output_token": 3}), "after the first usage");
    assert_eq!((counts.requests, counts.input, counts.output), (1, 25, 3));
    recorder.assert_settled().await;
}

/// Accepts connections and closes each after the request, or never says anything.
async fn rude_upstream(silent: bool) -> (SocketAddr, JoinHandle<()>) {
    let listener = TcpListener::bind((Ipv4Addr::LOCALHOST, 0)).await.expect("a free loopback port");
    let address = listener.local_addr().expect("an address");
    let accept = tokio::spawn(async move {
        let mut kept = Vec::new();
        loop {
            let Ok((mut stream, _)) = listener.accept().await else { continue };
            let mut buffer = vec![0; 64 << 10];
            let _ = stream.read(&mut buffer).await;
            if silent {
                kept.push(stream);
            }
        }
    });
    (address, accept)
}

/// Routes by the header `x-to`, none without it.
fn routes() -> Value {
    let route = |name: &str| {
        json!({
            "match": {"prefix": "/", "headers": [{"name": "x-to", "string_match": {"exact": name}}]},
            "route": {"cluster": name, "timeout": "0s"},
        })
    };
    json!(["upstream", "closes", "silent", "nobody", "nowhere"].map(route))
}

#[tokio::test]
async fn what_envoy_answers_itself_is_recorded_too() {
    let (closes, closing) = rude_upstream(false).await;
    let (silent, keeping) = rude_upstream(true).await;
    let nobody = {
        let listener = TcpListener::bind((Ipv4Addr::LOCALHOST, 0)).await.expect("a free loopback port");
        listener.local_addr().expect("an address")
    };
    let mut recorder = Recorder::start_with(&providers(), |config| {
        let config = config.routes(routes()).add_cluster("closes", closes).add_cluster("silent", silent);
        config.add_cluster("nobody", nobody).add_cluster("nowhere", nobody).edit(|bootstrap| {
            let clusters = bootstrap["static_resources"]["clusters"].as_array_mut().expect("clusters");
            let nowhere = clusters.last_mut().expect("a cluster");
            nowhere["load_assignment"]["endpoints"] = json!([]);
        })
    })
    .await;
    let send = |to: &'static str, address: SocketAddr| async move {
        let request = Request::post(CHAT)
            .header("host", "openai.test")
            .header("content-type", "application/json")
            .header("x-to", to)
            .body(whole(streamed().to_string()))
            .expect("a request");
        Client::http1(address).send(request).await
    };
    let failed = Counts { requests: 1, errors: 1, ..Counts::default() };
    for (to, status, source) in [
        ("closes", 503, "upstream"),
        ("nobody", 503, "upstream"),
        ("nowhere", 503, "upstream"),
        ("a cluster that no route has", 404, "gateway"),
    ] {
        let response = send(to, recorder.envoy.address()).await.expect("a response");
        assert_eq!(response.status, status, "{to}: {}", response.text());
        let (line, counts) = recorder.one().await;
        let expected = json!({"status": status, "error_source": source, "aborted": null, "usage_source": "none"});
        line.assert_has(&expected, to);
        assert_eq!(counts, failed, "{to}");
    }
    // The response has begun, and breaks off before its body and within it.
    for (came, answer) in [
        ("", Answer::events().reset(Duration::from_millis(100))),
        ("You", Answer::events().data(chunk("You")).reset(Duration::from_millis(100))),
    ] {
        recorder.upstream.answer_next(answer);
        send("upstream", recorder.envoy.address()).await.expect_err("a broken response");
        let (line, counts) = recorder.one().await;
        let expected =
            json!({"status": 200, "error_source": "upstream", "aborted": "upstream", "usage_source": "none"});
        line.assert_has(&expected, &format!("reset after {came:?}"));
        assert_eq!(line.record()["time_to_first_content"].is_number(), !came.is_empty());
        assert_eq!(counts, failed, "reset after {came:?}");
    }
    // A client that waits for headers in vain.
    let body = streamed().to_string();
    let head = "POST /v1/chat/completions HTTP/1.1\r\nhost: openai.test\r\nx-to: silent\r\n";
    let request = format!("{head}content-type: application/json\r\ncontent-length: {}\r\n\r\n{body}", body.len());
    let came = support::raw_exchange(recorder.envoy.address(), request.as_bytes(), PATIENCE).await;
    assert_eq!(came.expect("a connection"), b"");
    let (line, counts) = recorder.one().await;
    line.assert_has(&json!({"aborted": "client", "error_source": "client", "usage_source": "none"}), "silence");
    assert_eq!((counts.requests, counts.input, counts.output), (1, 0, 0));
    recorder.assert_settled().await;
    closing.abort();
    keeping.abort();
}

// -- Trailers ---------------------------------------------------------------------------------------------------------

fn trailers() -> HeaderMap {
    HeaderMap::from_iter([(HeaderName::from_static("x-checksum"), HeaderValue::from_static("1"))])
}

/// An HTTP/2 response that ends with trailers never says so with its data.
#[tokio::test]
async fn trailers_end_a_response_as_data_does() {
    let mut recorder = Recorder::start_with(&providers(), |config| config.upstream_http2()).await;
    let body = json!({"model": "gpt-4", "messages": []});
    let answer = ok("application/json", sample("openai-chat.json")).trailers(trailers());
    let response = recorder.post("openai.test", CHAT, &body, Some(answer)).await;
    assert_eq!(response.text(), sample("openai-chat.json"));
    let (line, counts) = recorder.one().await;
    line.assert_has(
        &json!({"input_token": 19, "output_token": 10, "usage_source": "upstream", "aborted": null}),
        "JSON",
    );
    assert_eq!(counts, Counts { requests: 1, errors: 0, input: 19, output: 10 });

    let answer = Answer::events().data(chunk("You")).data(usage_chunk()).data(DONE).trailers(trailers());
    let response = recorder.post("openai.test", CHAT, &streamed(), Some(answer)).await;
    assert_eq!(response.text(), [&chunk("You"), DONE].concat());
    let (line, counts) = recorder.one().await;
    line.assert_has(&json!({"input_token": INPUT_TOKENS, "usage_source": "upstream", "aborted": null}), "SSE");
    assert_eq!(counts, Counts { requests: 1, errors: 0, input: INPUT_TOKENS, output: OUTPUT_TOKENS });
    recorder.assert_settled().await;
}

/// Bytes that wait, for they could be an event that is hidden, have no place to go once only trailers come; the request
/// and its neighbours must live on all the same.
#[tokio::test]
async fn trailers_after_half_an_event_break_nothing() {
    let mut recorder = Recorder::start_with(&providers(), |config| config.upstream_http2()).await;
    // The last event lacks its empty line.
    let done = DONE.trim_end();
    for last in [done.to_owned(), usage_chunk().trim_end().to_owned(), chunk("are").trim_end().to_owned()] {
        let pause = Duration::from_millis(20);
        let answer = Answer::events().data(chunk("You")).later(pause, last.clone()).trailers(trailers());
        let response = recorder.post("openai.test", CHAT, &streamed(), Some(answer)).await;
        assert_eq!(response.status, 200, "{last}");
        let shown = if last.contains("usage") { chunk("You") } else { chunk("You") + &last };
        assert_eq!(response.text(), shown, "{last}");
        let (line, counts) = recorder.one().await;
        line.assert_has(&json!({"status": 200, "aborted": null, "error_source": null}), &last);
        assert_eq!(counts.requests, 1);
    }
    recorder.assert_settled().await;
}
