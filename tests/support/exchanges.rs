//! The six exchanges whose cost is guarded, as plain data: a configuration, and what client and upstream send.
//!
//! They stand for what gateways carry. Whoever measures them (`tests/cost.rs`, `tests/allocations.rs`, `benches/core`)
//! takes them from here, so that the figures are about the same bytes.
#![allow(dead_code, unreachable_pub, reason = "each test and benchmark uses its own part")]

use serde_json::{Value, json};

/// What a longer body is cut into: what Envoy reads from a connection at once, at most.
pub const CHUNK: usize = 16 * 1024; // bytes

/// Events of the stream that carry text.
pub const EVENTS: usize = 300;

/// Headers in order, with the pseudo-headers first, as Envoy hands them over.
pub type Headers = Vec<(&'static str, String)>;

/// One request and its response.
pub struct Exchange {
    /// The name that the baseline knows.
    pub name: &'static str,
    /// The configuration of the filter.
    pub config: Value,
    /// The headers of the request.
    pub request: Headers,
    /// Its body in chunks; none where there is no body.
    pub request_body: Vec<Vec<u8>>,
    /// The headers of the response.
    pub response: Headers,
    /// Its body in chunks.
    pub response_body: Vec<Vec<u8>>,
    /// What must stand in the path upstream; empty where the request is to be refused.
    pub path: &'static str,
    /// What must stand in the body upstream.
    pub body: &'static str,
    /// What must stand in the record. A measurement of something that does not work says nothing.
    pub record: &'static [&'static str],
}

/// All of them.
pub fn all() -> Vec<Exchange> {
    vec![path_only(), chat("chat-2k", 2 * 1024), chat("chat-40k", 40 * 1024), stream(), embeddings(), refused()]
}

const MODEL: &str = "gpt-4o";
const MAPPED: &str = "gpt-4o-2024-11-20";

/// Mapping, credential, usage, record and metrics: what a production gateway has.
pub fn everything() -> Value {
    json!({"provider": {"type": "openai", "apiTokens": ["sk-upstream"], "modelMapping": {MODEL: MAPPED}}})
}

/// Path and credential alone; nothing is recorded of any path.
pub fn only_paths() -> Value {
    json!({
        "provider": {"type": "openai", "apiTokens": ["sk-upstream"], "includeUsage": "off"},
        "statistics": {"enable_path_suffixes": ["/none"]},
    })
}

/// `GET /v1/models`, without a record.
fn path_only() -> Exchange {
    let answer = json!({"object": "list", "data": [{"id": MAPPED, "object": "model", "owned_by": "openai"}]});
    let answer = answer.to_string().into_bytes();
    Exchange {
        name: "path-only",
        config: only_paths(),
        request: request("GET", "/v1/models", None),
        request_body: Vec::new(),
        response: response("200", "application/json", Some(answer.len())),
        response_body: chunks(&answer),
        path: "/v1/models",
        body: "",
        record: &[],
    }
}

/// A chat whose request has so many bytes and whose response is short.
fn chat(name: &'static str, size: usize) -> Exchange {
    let body = chat_body(size, false);
    let answer = completion();
    Exchange {
        name,
        config: everything(),
        request: request("POST", "/v1/chat/completions", Some(body.len())),
        request_body: chunks(&body),
        response: response("200", "application/json", Some(answer.len())),
        response_body: chunks(&answer),
        path: "/v1/chat/completions",
        body: MAPPED,
        record: &["\\\"input_token\\\":512", "\\\"response_type\\\":\\\"normal\\\""],
    }
}

/// A stream of [`EVENTS`] events, each in a chunk of its own as vendors send them, and one that tells the usage.
fn stream() -> Exchange {
    let body = chat_body(2 * 1024, true);
    Exchange {
        name: "stream-300",
        config: everything(),
        request: request("POST", "/v1/chat/completions", Some(body.len())),
        request_body: chunks(&body),
        response: response("200", "text/event-stream; charset=utf-8", None),
        response_body: events(),
        path: "/v1/chat/completions",
        body: "include_usage",
        record: &["\\\"output_token\\\":300", "\\\"response_type\\\":\\\"stream\\\""],
    }
}

/// Embeddings: a short request, and 100 KB of numbers with the usage behind them.
fn embeddings() -> Exchange {
    let body = json!({"input": "Which way is it?", "model": MODEL, "encoding_format": "float"}).to_string();
    let answer = vectors(100 * 1000);
    Exchange {
        name: "embeddings-100k",
        config: everything(),
        request: request("POST", "/v1/embeddings", Some(body.len())),
        request_body: chunks(body.as_bytes()),
        response: response("200", "application/json", Some(answer.len())),
        response_body: chunks(&answer),
        path: "/v1/embeddings",
        body: MAPPED,
        record: &["\\\"input_token\\\":512"],
    }
}

/// A request for something that the provider is not to serve.
fn refused() -> Exchange {
    let body = chat_body(2 * 1024, false);
    let mut config = everything();
    if let Some(Value::Object(provider)) = config.get_mut("provider") {
        provider.insert("operations".to_owned(), json!(["embeddings"]));
    }
    Exchange {
        name: "refused",
        config,
        request: request("POST", "/v1/chat/completions", Some(body.len())),
        request_body: chunks(&body),
        response: Vec::new(),
        response_body: Vec::new(),
        path: "",
        body: "",
        record: &["\\\"status\\\":404"],
    }
}

// -- Parts ------------------------------------------------------------------------------------------------------------

/// The headers that a filter sees of a request of an SDK, Envoy's own included.
fn request(method: &str, path: &str, length: Option<usize>) -> Headers {
    let mut headers = vec![
        (":authority", "gateway.example".to_owned()),
        (":path", path.to_owned()),
        (":method", method.to_owned()),
        (":scheme", "https".to_owned()),
        ("user-agent", "OpenAI/Python 2.8.1".to_owned()),
        ("accept", "application/json".to_owned()),
        ("accept-encoding", "gzip, deflate".to_owned()),
        ("authorization", "Bearer sk-client".to_owned()),
        ("x-stainless-lang", "python".to_owned()),
        ("x-stainless-runtime", "CPython".to_owned()),
        ("x-forwarded-for", "10.0.0.7".to_owned()),
        ("x-forwarded-proto", "https".to_owned()),
        ("x-request-id", "5e0c3a52-7f0b-4b8e-9f39-6a3f0c1d2e4f".to_owned()),
    ];
    if let Some(length) = length {
        headers.push(("content-type", "application/json".to_owned()));
        headers.push(("content-length", length.to_string()));
    }
    headers
}

fn response(status: &str, content_type: &str, length: Option<usize>) -> Headers {
    let mut headers = vec![
        (":status", status.to_owned()),
        ("date", "Sun, 22 Nov 2026 12:00:00 GMT".to_owned()),
        ("content-type", content_type.to_owned()),
        ("openai-processing-ms", "412".to_owned()),
        ("x-request-id", "req_0123456789abcdef".to_owned()),
        ("server", "upstream".to_owned()),
        ("x-envoy-upstream-service-time", "431".to_owned()),
    ];
    if let Some(length) = length {
        headers.push(("content-length", length.to_string()));
    }
    headers
}

fn chunks(body: &[u8]) -> Vec<Vec<u8>> {
    body.chunks(CHUNK).map(<[u8]>::to_vec).collect()
}

/// A chat of exactly `size` bytes. The model stands behind the messages, where SDKs put it.
pub fn chat_body(size: usize, stream: bool) -> Vec<u8> {
    /// Line breaks and quotes, which JSON escapes, and characters of two, three and four bytes.
    const TEXT: &str = "Straße nach Zürich:\n\t\"geradeaus\", 道を右に曲がる 🧭 and then straight on.\n";
    let mut body = String::from(r#"{"messages":[{"role":"system","content":"Answer in one sentence."}"#);
    let end = format!(r#"}}],"model":"{MODEL}","temperature":0.2,"stream":{stream}}}"#);
    let turn = |role: &str| format!(r#",{{"role":"{role}","content":{}}}"#, json!(TEXT.repeat(4)));
    let last = r#",{"role":"user","content":"#;
    for role in ["user", "assistant"].into_iter().cycle() {
        let turn = turn(role);
        let after = [body.len(), turn.len(), last.len(), end.len(), r#""""#.len()].into_iter().sum::<usize>();
        if after > size {
            break;
        }
        body.push_str(&turn);
    }
    body.push_str(last);
    let rest = size.saturating_sub([body.len(), end.len(), r#""""#.len()].into_iter().sum());
    body.push_str(&json!("?".repeat(rest)).to_string());
    body.push_str(&end);
    body.into_bytes()
}

/// The answer to a chat.
pub fn completion() -> Vec<u8> {
    json!({
        "id": "chatcmpl-0123456789", "object": "chat.completion", "created": 1_763_812_800, "model": MAPPED,
        "choices": [{
            "index": 0, "logprobs": null, "finish_reason": "stop",
            "message": {
                "role": "assistant", "refusal": null, "content": "Straight on, then the second street on the right.",
            },
        }],
        "usage": {
            "prompt_tokens": 512, "completion_tokens": 24, "total_tokens": 536,
            "prompt_tokens_details": {"cached_tokens": 128, "audio_tokens": 0},
            "completion_tokens_details": {"reasoning_tokens": 0, "audio_tokens": 0},
        },
        "service_tier": "default", "system_fingerprint": "fp_0123456789",
    })
    .to_string()
    .into_bytes()
}

/// The events of a stream, one in a chunk; the last chunk holds the usage and the end.
pub fn events() -> Vec<Vec<u8>> {
    let event = |choices: Value, usage: Value| {
        let data = json!({
            "id": "chatcmpl-0123456789", "object": "chat.completion.chunk", "created": 1_763_812_800, "model": MAPPED,
            "service_tier": "default", "system_fingerprint": "fp_0123456789", "choices": choices, "usage": usage,
        });
        format!("data: {data}\n\n")
    };
    let choice =
        |delta: Value, reason: Value| json!([{"index": 0, "delta": delta, "logprobs": null, "finish_reason": reason}]);
    let mut events = vec![event(choice(json!({"role": "assistant", "content": ""}), Value::Null), Value::Null)];
    let words = [" straight", " on", ",", " then", " right", " \"there\"", ".\n"];
    let content = words.into_iter().cycle().take(EVENTS.saturating_sub(2));
    events.extend(content.map(|word| event(choice(json!({"content": word}), Value::Null), Value::Null)));
    events.push(event(choice(json!({}), json!("stop")), Value::Null));
    let usage = json!({
        "prompt_tokens": 512, "completion_tokens": 300, "total_tokens": 812,
        "prompt_tokens_details": {"cached_tokens": 128, "audio_tokens": 0},
        "completion_tokens_details": {"reasoning_tokens": 0, "audio_tokens": 0},
    });
    events.push(event(json!([]), usage) + "data: [DONE]\n\n");
    events.into_iter().map(String::into_bytes).collect()
}

/// A list of embeddings of about so many bytes.
pub fn vectors(size: usize) -> Vec<u8> {
    /// Numbers of one embedding.
    const LENGTH: usize = 512;
    let mut body = String::from(r#"{"object":"list","data":["#);
    let mut index = 0_u32;
    while body.len() < size {
        if index > 0 {
            body.push(',');
        }
        body.push_str(&format!(r#"{{"object":"embedding","index":{index},"embedding":["#));
        for at in 0..LENGTH {
            let digits = at.wrapping_mul(7_919).wrapping_add(104_729) % 1_000_003;
            let (comma, sign) = (if at > 0 { "," } else { "" }, if at % 3 == 0 { "-" } else { "" });
            body.push_str(&format!("{comma}{sign}0.0{digits:07}"));
        }
        body.push_str("]}");
        index = index.saturating_add(1);
    }
    body.push_str(r#"],"model":"text-embedding-3-small","usage":{"prompt_tokens":512,"total_tokens":512}}"#);
    body.into_bytes()
}
