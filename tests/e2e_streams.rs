//! Streams on a real Envoy: nothing is late, and nothing is missing but the usage that the client did not ask for.
#![cfg(not(target_family = "wasm"))]
#![allow(
    clippy::arithmetic_side_effects,
    clippy::expect_used,
    clippy::indexing_slicing,
    clippy::panic,
    reason = "a test that meets something unexpected fails"
)]

mod support;

use serde_json::{Value, json};
use std::net::SocketAddr;
use std::time::{Duration, Instant};
use support::client::find;
use support::record::Recorder;
use support::upstream::{INPUT_TOKENS, OUTPUT_TOKENS};
use support::{Answer, EnvoyConfig};
use tokio::io::{AsyncReadExt as _, AsyncWriteExt as _};
use tokio::net::TcpStream;
use tokio::time::timeout;

const CHAT: &str = "/v1/chat/completions";

/// Sizes of the pieces that the upstream sends, in bytes; 16 KiB is more than the stream.
const PLANS: [usize; 4] = [1, 7, 16 << 10, usize::MAX];

/// Between two pieces: each leaves the socket of the upstream alone.
const PIECE_PAUSE: Duration = Duration::from_millis(1);

/// Between two pieces of a slow upstream, and how much later a client may have the second one.
const SLOW: Duration = Duration::from_millis(200);
const TOLERANCE: Duration = Duration::from_millis(20);

/// How often a slow stream is tried: another process may have the machine for longer than [`TOLERANCE`].
const ATTEMPTS: usize = 4;

/// Limit for one answer.
const LIMIT: Duration = Duration::from_secs(20);

fn configuration() -> Value {
    json!({"provider": {"type": "openai", "apiTokens": ["token"]}})
}

/// The events of a stream: what every client sees, and the one that only those see who asked.
struct Stream {
    before: Vec<u8>,
    usage: Vec<u8>,
    after: Vec<u8>,
}

fn event(choices: &str, rest: &str, end: &str) -> String {
    format!(
        r#"data: {{"id":"chatcmpl-1","object":"chat.completion.chunk","model":"gpt-4o","choices":{choices}{rest}}}{end}{end}"#
    )
}

/// A stream with these line ends, with comments, and text outside ASCII.
fn stream(end: &str) -> Stream {
    let word = |text: &str| {
        let choice = format!(r#"[{{"index":0,"delta":{{"content":"{text}"}},"finish_reason":null}}]"#);
        event(&choice, r#","usage":null"#, end)
    };
    let usage = format!(
        r#","usage":{{"prompt_tokens":{INPUT_TOKENS},"completion_tokens":{OUTPUT_TOKENS},"total_tokens":{}}}"#,
        INPUT_TOKENS + OUTPUT_TOKENS
    );
    let keepalive = format!(": keep-alive{end}{end}");
    Stream {
        before: [keepalive.as_str(), &word("choices\\\":[]"), &word("Grüße 😀"), &keepalive].concat().into_bytes(),
        usage: event("[]", &usage, end).into_bytes(),
        after: format!("data: [DONE]{end}{end}").into_bytes(),
    }
}

fn answer(bytes: &[u8], size: usize) -> Answer {
    let mut answer = Answer::events();
    for piece in bytes.chunks(size.min(bytes.len())) {
        let piece = bytes::Bytes::copy_from_slice(piece);
        answer = answer.later(PIECE_PAUSE, piece);
    }
    answer
}

fn request(options: &Value) -> Value {
    let mut request = json!({"model": "gpt-4o", "messages": [], "stream": true});
    if !options.is_null() {
        request["stream_options"] = options.clone();
    }
    request
}

async fn assert_hidden(http2: bool) {
    let upstream = |config: EnvoyConfig| if http2 { config.upstream_http2() } else { config };
    let mut recorder = Recorder::start_with(&configuration(), upstream).await;
    for (options, shown, end) in [
        (Value::Null, false, "\n"),
        (json!({"include_usage": false}), false, "\r\n"),
        (json!({"include_usage": true}), true, "\n"),
    ] {
        let Stream { before, usage, after } = stream(end);
        let sent = [before.as_slice(), &usage, &after].concat();
        let expected = if shown { sent.clone() } else { [before.as_slice(), &after].concat() };
        for size in PLANS {
            let label = format!("{options} {end:?} {size} HTTP/2: {http2}");
            let response = recorder.post("gw", CHAT, &request(&options), Some(answer(&sent, size))).await;
            assert_eq!(response.text(), String::from_utf8_lossy(&expected), "{label}");
            let (line, counts) = recorder.one().await;
            line.assert_has(&json!({"input_token": INPUT_TOKENS, "usage_source": "upstream"}), &label);
            assert_eq!((counts.requests, counts.output), (1, OUTPUT_TOKENS), "{label}");
        }
    }
    recorder.assert_settled().await;
}

#[tokio::test]
async fn usage_is_hidden_from_those_who_did_not_ask_whatever_the_pieces() {
    assert_hidden(false).await;
}

#[tokio::test]
async fn usage_is_hidden_in_a_stream_of_http2_too() {
    assert_hidden(true).await;
}

/// One whole piece with a length, which is wrong once the event is out.
#[tokio::test]
async fn a_stream_with_a_length_loses_it_with_its_usage() {
    let mut recorder = Recorder::start(&configuration()).await;
    let Stream { before, usage, after } = stream("\n");
    let whole = [before.as_slice(), &usage, &after].concat();
    for (options, shown) in [(Value::Null, false), (json!({"include_usage": true}), true)] {
        let answer = Answer::events().data(whole.clone());
        let response = recorder.post("gw", CHAT, &request(&options), Some(answer)).await;
        assert_eq!(response.headers.contains_key("content-length"), shown, "{:?}", response.headers);
        assert_eq!(response.body.len(), whole.len() - if shown { 0 } else { usage.len() });
        recorder.one().await;
    }
    recorder.assert_settled().await;
}

/// What a stream ends with arrives, though it lacks the empty line.
#[tokio::test]
async fn the_end_of_a_stream_arrives_also_without_its_empty_line() {
    let configuration = configuration();
    let http2 = |config: EnvoyConfig| config.upstream_http2();
    let (old, new) = tokio::join!(Recorder::start(&configuration), Recorder::start_with(&configuration, http2));
    let Stream { before, .. } = stream("\n");
    for (http2, mut recorder) in [(false, old), (true, new)] {
        for last in ["data: [DONE]", "data: {\"error\":{\"message\":\"no\"}}\n", "data: {\"choices\":", ": bye"] {
            let sent = [before.as_slice(), last.as_bytes()].concat();
            for size in [7, usize::MAX] {
                let response = recorder.post("gw", CHAT, &request(&Value::Null), Some(answer(&sent, size))).await;
                assert_eq!(response.text(), String::from_utf8_lossy(&sent), "{size} HTTP/2: {http2}");
                recorder.one().await;
            }
        }
        recorder.assert_settled().await;
    }
}

// -- Time -------------------------------------------------------------------------------------------------------------

/// When each of these texts has arrived complete, after the request was sent.
async fn arrivals(address: SocketAddr, body: &Value, texts: &[&str]) -> Vec<Duration> {
    let body = body.to_string();
    let mut stream = TcpStream::connect(address).await.expect("a connection");
    stream.set_nodelay(true).expect("an option");
    let head = format!("POST {CHAT} HTTP/1.1\r\nhost: gw\r\ncontent-type: application/json\r\nconnection: close\r\n");
    let start = Instant::now();
    stream.write_all(format!("{head}content-length: {}\r\n\r\n{body}", body.len()).as_bytes()).await.expect("sent");
    let mut received = Vec::new();
    let mut times = Vec::new();
    let all = async {
        while times.len() < texts.len() && stream.read_buf(&mut received).await.expect("bytes") > 0 {
            while texts.get(times.len()).is_some_and(|text| find(&received, text.as_bytes()).is_some()) {
                times.push(start.elapsed());
            }
        }
        times
    };
    timeout(LIMIT, all).await.expect("the answer in time")
}

#[tokio::test]
async fn a_slow_stream_is_as_slow_for_the_client_and_no_slower() {
    let recorder = Recorder::start(&configuration()).await;
    let word = |text: &str| {
        event(&format!(r#"[{{"index":0,"delta":{{"content":"{text}"}},"finish_reason":null}}]"#), "", "\n")
    };
    // Whole events, and half of one: it does not wait either once it is clear that it is the client's own.
    let (first, second) = (word("three").replacen("chatcmpl-1", "chatcmpl-half", 1), word("four"));
    let (start, rest) = first.split_at(first.find("delta").expect("a delta"));
    let pieces = [word("one"), word("two"), start.to_owned(), [rest, &second].concat(), "data: [DONE]\n\n".to_owned()];
    let texts = ["one", "two", "chatcmpl-half", "four", "DONE"];
    for options in [Value::Null, json!({"include_usage": true})] {
        let mut worst = Duration::MAX;
        for _ in 0..ATTEMPTS {
            let answer = pieces.iter().fold(Answer::events(), |answer, piece| answer.later(SLOW, piece.clone()));
            recorder.upstream.answer_next(answer);
            let times = arrivals(recorder.envoy.address(), &request(&options), &texts).await;
            assert_eq!(times.len(), pieces.len(), "{options}: {times:?}");
            let before = std::iter::once(Duration::ZERO).chain(times.iter().copied());
            let late = times.iter().zip(before).map(|(time, before)| (*time - before).abs_diff(SLOW)).max();
            let late = late.expect("a gap");
            worst = worst.min(late);
            if worst <= TOLERANCE {
                break;
            }
        }
        println!("{options}: {worst:?} off");
        assert!(worst <= TOLERANCE, "{options}: {worst:?} off");
    }
}
