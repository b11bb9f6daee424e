//! Inputs that take as long as they can for their size, each as a function of that size: those of a hostile audit, and
//! everything like them that a reading of the code has brought up.
//!
//! What counts is the longest callback, because a worker serves nobody else until it returns. `make bench-worst` holds it
//! beside the callback of a chat of the same size ([`CHAT`]) by the time that both take in V8; `tests/cost.rs` holds each
//! callback beside that of an input of half the size by instructions, which are the same on every machine.
#![allow(dead_code, unreachable_pub, reason = "each test and benchmark uses its own part")]
#![allow(
    clippy::arithmetic_side_effects,
    clippy::indexing_slicing,
    clippy::unwrap_used,
    reason = "what makes inputs for tests may fail the test"
)]

use super::exchanges::{self, Exchange, Headers};
use serde_json::{Value, json};
use std::fmt::Write as _;

/// How many times as long as that of a chat of the same size a callback may take.
pub const MOST: f64 = 20.0;

/// One kind of input.
pub struct Input {
    /// Its name in the table.
    pub name: &'static str,
    /// Makes one of about so many bytes.
    pub make: fn(usize) -> Exchange,
}

/// The yardstick: the chat of all benchmarks, in several languages and with line breaks, as one piece.
pub const CHAT: Input = Input { name: "chat", make: |size| chat(exchanges::chat_body(size, false)) };

/// A chat of the same size that is one message in English. The scanner reads it 64 bytes at a time, about ten times as
/// fast as the other one, so it is what nothing that has structure comes near.
pub const PLAIN: Input = Input { name: "plain body", make: plain };

/// All kinds.
pub const INPUTS: &[Input] = &[
    Input { name: "string of \\u escapes", make: |size| text(&r"\u00e9".repeat(size / 6)) },
    Input { name: "string of backslashes", make: |size| text(&r"\\".repeat(size / 2)) },
    Input { name: "characters of four bytes", make: |size| text(&"🧭".repeat(size / 4)) },
    Input { name: "keys at the top level", make: |size| chat(keys(size, false)) },
    Input { name: "keys at the top level, 60 parameters", make: |size| with(parameters(), keys(size, false)) },
    Input { name: "keys with escapes", make: |size| chat(object(size, |n| format!(r#""\u006b{n}":1"#))) },
    Input { name: "numbers of one digit", make: |size| chat(member("x", &list("1", size))) },
    Input { name: "numbers with exponents", make: |size| chat(member("x", &list("1.5e300", size))) },
    Input { name: "one number", make: |size| chat(member("x", &"7".repeat(size))) },
    Input { name: "literals", make: |size| chat(member("x", &list("null", size))) },
    Input { name: "brackets", make: |size| chat(member("x", &list(&nested(100), size))) },
    Input { name: "empty objects", make: |size| chat(member("x", &list("{}", size))) },
    Input { name: "white space", make: |size| chat(member("x", &" \n".repeat(size / 2))) },
    Input {
        name: "roles that change",
        make: |size| with(json!({"type": "deepseek"}), member("messages", &list(r#"{"role":"developer"}"#, size))),
    },
    Input {
        name: "roles that are escaped",
        make: |size| with(json!({"type": "deepseek"}), member("messages", &list(r#"{"r\u006fle":"\u0075ser"}"#, size))),
    },
    Input { name: "merged: keys of the body (audit H2)", make: |size| with(merging(), keys(size, true)) },
    Input {
        name: "merged: keys of a message (audit H2)",
        make: |size| with(merging(), member("messages", &format!("[{}]", string(keys(size, false))))),
    },
    Input {
        name: "merged: messages of one role",
        make: |size| with(merging(), member("messages", &list(r#"{"role":"user","content":"a"}"#, size))),
    },
    Input {
        name: "merged: messages of two roles in turn",
        make: |size| {
            let turn = r#"{"role":"user","content":"a"},{"role":"assistant","content":[]}"#;
            with(merging(), member("messages", &list(turn, size)))
        },
    },
    Input { name: "merged: numbers", make: |size| with(merging(), member("messages", &list("1", size))) },
    Input { name: "merged: brackets", make: |size| with(merging(), member("messages", &list(&nested(100), size))) },
    Input { name: "merged: commands", make: |size| with(merging(), member("messages", &list(COMMAND, size))) },
    Input {
        name: "recorded: keys in falling order",
        make: |size| recorded(&[("messages", json!({}))], &falling(size)),
    },
    Input { name: "recorded: keys in rising order", make: |size| recorded(&[("messages", json!({}))], &keys_of(size)) },
    Input { name: "recorded: numbers", make: |size| recorded(&[("messages", json!({}))], &list("1", size)) },
    Input {
        name: "recorded: text that is escaped",
        make: |size| recorded(&[("messages", json!({}))], &format!(r#""{}""#, r"<\u0001".repeat(size / 7))),
    },
    Input { name: "recorded: all default attributes", make: |size| default_attributes(&list(COMMAND, size)) },
    Input {
        name: "path: wildcards against long keys",
        make: |size| recorded(&[("messages.*a*a*a*a*b", json!({}))], &long_keys(size)),
    },
    Input {
        name: "path: wildcards at each level",
        make: |size| recorded(&[("messages.*.*.*.*.x", json!({}))], &maps(size)),
    },
    Input {
        name: "path: lists within lists",
        make: |size| recorded(&[("messages.#.a.#.a.#", json!({}))], &list(r#"{"a":[{"a":[1]}]}"#, size)),
    },
    Input {
        name: "path: reversed",
        make: |size| recorded(&[("messages.@reverse.@this.@reverse.0", json!({}))], &list("{}", size)),
    },
    Input {
        name: "model: a regex that looks to the end (audit C2)",
        make: |size| model("~gpt-4(.*-turbo)?", "gpt-4", 256, size),
    },
    Input {
        name: "model: a regex of two branches (audit C2)",
        make: |size| model("~(gpt-4.*-turbo|gpt-4)", "gpt-4", 256, size),
    },
    Input { name: "model: a regex that repeats", make: |size| model("~(a.{0,30}){4}b|a", "a", 256, size) },
    Input { name: "model: a name of 60 KB (audit C2)", make: |size| model("~gpt-4(.*-turbo)?", "gpt-4", 60_000, size) },
    Input {
        name: "parameters: a number of 60 KB",
        make: |size| with(parameters(), member("k0", &"9".repeat(60_000.min(size)))),
    },
    Input { name: "form: parts", make: |size| form("b", &part("a", "").repeat(size / part("a", "").len()), "") },
    Input {
        name: "form: what is nearly a delimiter",
        make: |size| form(&"-".repeat(69), &part("a", &"\r\n-----------".repeat(size / 13)), ""),
    },
    Input { name: "form: parameters of a part", make: |size| form("b", &parts_with_parameters(size), "") },
    Input { name: "form: parameters of the type", make: |size| form("b", &part("a", ""), &"; a=b".repeat(size / 5)) },
    Input { name: "headers: many", make: |size| headers((0..size / 8).map(|n| (format!("x{n:x}"), String::new()))) },
    Input {
        name: "headers: many of the length of one that is sought",
        make: |size| headers((0..size / 16).map(|n| (format!("x-{n:0>11x}"), String::new()))),
    },
    Input {
        name: "headers: one value",
        make: |size| headers([("x-mse-consumer".to_owned(), "c".repeat(size))].into_iter()),
    },
    Input { name: "headers: host against 100 rules", make: hosts },
    Input { name: "path: slashes", make: |size| path(&"/".repeat(size), json!({"type": "openai"})) },
    Input { name: "path: segments", make: |size| path(&"/a".repeat(size / 2), json!({"type": "openai"})) },
    Input {
        name: "path: versions before an operation",
        make: |size| path(&format!("{}/x/messages", "/v1".repeat(size / 3)), json!({"type": "openai"})),
    },
    Input {
        name: "path: escapes",
        make: |size| path(&format!("/{}", "%61".repeat(size / 3)), json!({"type": "openai"})),
    },
    Input {
        name: "path: a model",
        make: |size| path(&format!("/v1/models/{}", "m".repeat(size)), json!({"type": "openai"})),
    },
    Input {
        name: "query: parameters",
        make: |size| path(&format!("/v1/models?{}", "a=1&".repeat(size / 4)), json!({"type": "openai"})),
    },
    Input {
        name: "query: parameters that are the operator's",
        make: |size| {
            path(
                &format!("/v1/models?{}", "a=1&".repeat(size / 4)),
                json!({"type": "openai", "baseUrl": "https://h/v1?a=1&b=2&c=3"}),
            )
        },
    },
    Input {
        name: "query: parameters that look like secrets",
        make: |size| path(&format!("/v1/models?{}", "key&".repeat(size / 4)), json!({"type": "gemini"})),
    },
    Input {
        name: "stream: events without data",
        make: |size| stream("text/event-stream", &"data:\n\n".repeat(size / 7)),
    },
    Input { name: "stream: blank lines", make: |size| stream("text/event-stream", &"\n".repeat(size)) },
    Input {
        name: "stream: lines of one event",
        make: |size| stream("text/event-stream", &format!("{}\n", "data:a\n".repeat(size / 7))),
    },
    Input {
        name: "stream: events of one object",
        make: |size| stream("text/event-stream", &"data:{}\n\n".repeat(size / 9)),
    },
    Input {
        name: "stream: events of one figure",
        make: |size| stream("text/event-stream", &"data:{\"usage\":{\"total_tokens\":1}}\n\n".repeat(size / 35)),
    },
    Input { name: "stream: lines of JSON", make: |size| stream("application/x-ndjson", &"{}\n".repeat(size / 3)) },
    Input {
        name: "answer: figures",
        make: |size| stream("application/json", &string(member("usage", &list(r#"{"total_tokens":1}"#, size)))),
    },
    Input {
        name: "answer: details",
        make: |size| {
            stream(
                "application/json",
                &string(member("usage", &format!(r#"{{"prompt_tokens_details":{}}}"#, keys_of(size)))),
            )
        },
    },
    Input { name: "answer: keys", make: |size| stream("application/json", &string(keys(size, false))) },
    Input {
        name: "answer: brackets",
        make: |size| stream("application/json", &string(member("choices", &list(&nested(100), size)))),
    },
];

const COMMAND: &str = r#"{"role":"user","content":"/new"}"#;

// -- Exchanges --------------------------------------------------------------------------------------------------------

fn plain(size: usize) -> Exchange {
    const PROSE: &str = "The way to the station is straight on, then left behind the bridge. ";
    text(&PROSE.chars().cycle().take(size).collect::<String>())
}

/// A request without a response worth a look.
fn request(config: Value, request: Headers, body: Vec<u8>) -> Exchange {
    Exchange {
        name: "",
        config,
        request,
        request_body: if body.is_empty() { Vec::new() } else { vec![body] },
        response: vec![(":status", "200".to_owned()), ("content-type", "application/json".to_owned())],
        response_body: vec![exchanges::completion()],
        path: "",
        body: "",
        record: &[],
    }
}

fn head(method: &str, path: &str, content_type: &str) -> Headers {
    let own = [(":authority", "gateway.example"), (":path", path), (":method", method), ("content-type", content_type)];
    own.into_iter().map(|(name, value)| (name, value.to_owned())).collect()
}

/// A provider with a token, and with a mapping unless it has one.
fn configured(mut provider: Value) -> Value {
    provider["apiTokens"] = json!(["sk-upstream"]);
    if provider.get("modelMapping").is_none() {
        provider["modelMapping"] = json!({"gpt-4o": "gpt-4o-2024-11-20"});
    }
    json!({"provider": provider})
}

fn with(provider: Value, body: Vec<u8>) -> Exchange {
    request(configured(provider), head("POST", "/v1/chat/completions", "application/json"), body)
}

fn chat(body: Vec<u8>) -> Exchange {
    with(json!({"type": "openai"}), body)
}

/// A chat whose one message is this, as it stands in JSON.
fn text(inner: &str) -> Exchange {
    chat(member("messages", &format!(r#"[{{"role":"user","content":"{inner}"}}]"#)))
}

fn merging() -> Value {
    json!({"type": "openai", "mergeConsecutiveMessages": true, "contextCleanupCommands": ["/new"]})
}

fn parameters() -> Value {
    let clamp = |n: usize| json!({"op": "clamp", "key": format!("k{n}"), "value": 5});
    json!({"type": "openai", "params": (0..60).map(clamp).collect::<Vec<_>>()})
}

/// With attributes taken from the request body by these paths.
fn recorded(paths: &[(&str, Value)], messages: &str) -> Exchange {
    let attribute = |(path, _): &(&str, Value)| json!({"key": "k", "value_source": "request_body", "value": path, "apply_to_log": true});
    let attributes: Vec<Value> = paths.iter().map(attribute).collect();
    let mut exchange = chat(member("messages", messages));
    exchange.config["statistics"] = json!({"attributes": attributes, "value_length_limit": 1 << 20});
    exchange
}

fn default_attributes(messages: &str) -> Exchange {
    let mut exchange = chat(member("messages", messages));
    exchange.config["statistics"] = json!({"use_default_attributes": true});
    exchange
}

/// A chat of that size with a model name made of a piece, mapped by one key.
fn model(key: &str, piece: &str, length: usize, size: usize) -> Exchange {
    let name: String = piece.chars().cycle().take(length).collect();
    let rest = "x".repeat(size.saturating_sub(length));
    let body = format!(r#"{{"model":"{name}","messages":"{rest}"}}"#).into_bytes();
    with(json!({"type": "openai", "modelMapping": {key: "m"}}), body)
}

fn form(boundary: &str, parts: &str, parameters: &str) -> Exchange {
    let body = format!("{parts}--{boundary}--\r\n").replace("BOUNDARY", boundary);
    let content_type = format!("multipart/form-data; boundary={boundary}{parameters}");
    let config = configured(json!({"type": "openai"}));
    request(config, head("POST", "/v1/audio/transcriptions", &content_type), body.into_bytes())
}

fn part(name: &str, value: &str) -> String {
    format!("--BOUNDARY\r\nContent-Disposition: form-data; name=\"{name}\"\r\n\r\n{value}\r\n")
}

/// Parts with as many parameters as one may have.
fn parts_with_parameters(size: usize) -> String {
    let parameters = "; a=b".repeat(1000);
    let part = format!("--BOUNDARY\r\nContent-Disposition: form-data; name=a{parameters}\r\n\r\n\r\n");
    part.repeat(size / part.len() + 1)
}

fn headers(more: impl Iterator<Item = (String, String)>) -> Exchange {
    let mut head = head("GET", "/v1/models", "text/plain");
    head.extend(more.map(|(name, value)| (&*name.leak(), value)));
    request(configured(json!({"type": "openai"})), head, Vec::new())
}

fn hosts(size: usize) -> Exchange {
    let rule = |n: usize| json!({"_match_domain_": [format!("*.{n}.example")], "provider": {"type": "openai", "apiTokens": ["t"]}});
    let mut head = head("GET", "/v1/models", "text/plain");
    head[0].1 = "H".repeat(size);
    request(json!({"_rules_": (0..100).map(rule).collect::<Vec<_>>()}), head, Vec::new())
}

fn path(path: &str, provider: Value) -> Exchange {
    request(configured(provider), head("GET", path, "text/plain"), Vec::new())
}

/// A short request whose response is this, in one piece.
fn stream(content_type: &str, body: &str) -> Exchange {
    let mut exchange = chat(br#"{"model":"gpt-4o","messages":[],"stream":true}"#.to_vec());
    exchange.response = vec![(":status", "200".to_owned()), ("content-type", content_type.to_owned())];
    exchange.response_body = vec![body.as_bytes().to_vec()];
    exchange
}

// -- Parts of bodies --------------------------------------------------------------------------------------------------

fn string(body: Vec<u8>) -> String {
    String::from_utf8(body).unwrap()
}

/// A body with a model, and a member of that value.
fn member(key: &str, value: &str) -> Vec<u8> {
    // Behind the value, so that it has to be read.
    let value = if value.trim().is_empty() { format!("{value}1") } else { value.to_owned() };
    format!(r#"{{"{key}":{value},"model":"gpt-4o"}}"#).into_bytes()
}

/// An object of about so many bytes.
fn object(size: usize, entry: impl Fn(usize) -> String) -> Vec<u8> {
    let mut out = String::from(r#"{"model":"gpt-4o""#);
    for n in 0.. {
        if out.len() >= size {
            break;
        }
        let _ = write!(out, ",{}", entry(n));
    }
    out.push('}');
    out.into_bytes()
}

/// Keys that differ, and messages that are none.
fn keys(size: usize, messages: bool) -> Vec<u8> {
    object(size, |n| if messages && n == 0 { r#""messages":[]"#.to_owned() } else { format!(r#""j{n}":1"#) })
}

fn keys_of(size: usize) -> String {
    string(object(size, |n| format!(r#""k{n:06}":1"#)))
}

fn falling(size: usize) -> String {
    string(object(size, |n| format!(r#""k{:06}":1"#, 999_999 - n)))
}

fn long_keys(size: usize) -> String {
    string(object(size, |n| format!(r#""{}{n:04}":1"#, "a".repeat(1020))))
}

fn maps(size: usize) -> String {
    string(object(size, |n| format!(r#""k{n}":{{"a":{{"a":{{"a":1}}}}}}"#)))
}

fn list(item: &str, size: usize) -> String {
    format!("[{}]", vec![item; size / (item.len() + 1) + 1].join(","))
}

fn nested(depth: usize) -> String {
    "[".repeat(depth) + &"]".repeat(depth)
}
