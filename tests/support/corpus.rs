//! Recorded exchanges as files, and what Waypost makes of them. Shared by `tests/corpus.rs` and `examples/corpus.rs`.
//!
//! A file is a JSON object, or a list of them that happen one after the other under one configuration:
//!
//! | member | meaning |
//! |---|---|
//! | `provider` | The type of the provider, or its settings. |
//! | `request` | Method and path, such as `POST /v1/chat/completions`. |
//! | `request_headers`, `request_body` | Of the client; the body as JSON, or as a text that is sent as it is. |
//! | `status`, `response_headers` | Of the upstream; 200 and the type of what follows if they are left out. |
//! | `response_body` | The body as JSON, or as a text that is sent as it is. |
//! | `response_file` | The body as a file, beside this one. |
//! | `events` | The data of server-sent events: JSON, or a text such as `[DONE]`. |
//! | `lines` | The same as lines of JSON. |
//! | `frames` | Frames of an AWS event stream: their headers, and the `payload`. |
//! | `expected` | Log fields and their values; see [`Outcome::value`] for what else can be named. |
//!
//! An object `{"$repeat": ["text", 1000]}` stands for a text that is repeated. Other members are ignored.

#![allow(dead_code, unreachable_pub, reason = "each user needs its own part")]
#![allow(
    clippy::arithmetic_side_effects,
    clippy::indexing_slicing,
    reason = "a member of JSON that is not there is null"
)]

use super::frame;
use serde_json::{Map, Value, json};
use std::fs;
use std::path::{Path, PathBuf};
use waypost::config::{Config, load};
use waypost::exchange::head::Head;
use waypost::exchange::{BodyEffect, Ended, Exchange, HeadersEffect, RequestHeaders, WantsBody};
use waypost::telemetry::{Fields, Record, log};

/// One recorded exchange.
#[derive(Debug)]
pub struct Recorded {
    provider: Value,
    /// Of the request.
    pub method: String,
    /// Of the request, with its query.
    pub path: String,
    /// Of the request, without pseudo-headers.
    pub request_headers: Vec<(String, Vec<u8>)>,
    /// Of the request.
    pub request_body: Vec<u8>,
    /// Of the response.
    pub status: u64,
    /// Of the response, without pseudo-headers.
    pub response_headers: Vec<(String, Vec<u8>)>,
    /// The body of the response.
    pub body: Vec<u8>,
    /// What is expected of it.
    pub expected: Map<String, Value>,
}

/// What became of an exchange.
#[derive(Debug)]
pub struct Outcome {
    /// The record.
    pub record: Record,
    /// What the client got.
    pub client: Vec<u8>,
}

/// The files of a folder and of those within it, in order, each with what is recorded in it.
///
/// # Errors
/// A file that cannot be read, with the reason.
pub fn read(folder: &Path) -> Result<Vec<(PathBuf, Vec<Recorded>)>, String> {
    let entries = fs::read_dir(folder).map_err(|error| format!("{}: {error}", folder.display()))?;
    let mut paths: Vec<PathBuf> = entries.filter_map(|entry| Some(entry.ok()?.path())).collect();
    paths.sort();
    let mut files = Vec::new();
    for path in paths {
        if path.is_dir() {
            files.extend(read(&path)?);
        } else if path.extension().is_some_and(|extension| extension == "json") {
            let explain = |error: String| format!("{}: {error}", path.display());
            let text = fs::read(&path).map_err(|error| explain(error.to_string()))?;
            let value: Value = serde_json::from_slice(&text).map_err(|error| explain(error.to_string()))?;
            let list = match value {
                Value::Array(list) => list,
                value => vec![value],
            };
            let list: Result<_, _> = list.into_iter().map(|value| recorded(value, folder)).collect();
            files.push((path.clone(), list.map_err(explain)?));
        }
    }
    Ok(files)
}

fn recorded(mut value: Value, folder: &Path) -> Result<Recorded, String> {
    expand(&mut value);
    let request = value["request"].as_str().unwrap_or("POST /v1/chat/completions");
    let (method, path) = request.split_once(' ').ok_or("`request` is a method and a path")?;
    let path = path.split([' ', ',']).next().unwrap_or_default();
    let (body, content_type) = body(&value, folder)?;
    let mut response_headers = headers(&value["response_headers"]);
    if !response_headers.iter().any(|(name, _)| name == "content-type") {
        response_headers.push(("content-type".to_owned(), content_type.into()));
    }
    let mut request_headers = headers(&value["request_headers"]);
    if !request_headers.iter().any(|(name, _)| name == "content-type") {
        request_headers.push(("content-type".to_owned(), b"application/json".to_vec()));
    }
    Ok(Recorded {
        provider: match &value["provider"] {
            Value::String(kind) => json!({"type": kind}),
            other => other.clone(),
        },
        method: method.to_owned(),
        path: path.to_owned(),
        request_headers,
        request_body: text(&value["request_body"]),
        status: value["status"].as_u64().unwrap_or(200),
        response_headers,
        body,
        expected: value["expected"].as_object().cloned().unwrap_or_default(),
    })
}

fn expand(value: &mut Value) {
    if let [Value::String(text), count] = value["$repeat"].as_array().map_or(&[][..], Vec::as_slice) {
        *value = Value::String(text.repeat(count.as_u64().and_then(|count| usize::try_from(count).ok()).unwrap_or(0)));
        return;
    }
    match value {
        Value::Array(list) => list.iter_mut().for_each(expand),
        Value::Object(members) => members.values_mut().for_each(expand),
        _ => {}
    }
}

/// The body of the response and its type.
fn body(value: &Value, folder: &Path) -> Result<(Vec<u8>, &'static str), String> {
    let list = |name: &str| value[name].as_array().cloned();
    if let Some(file) = value["response_file"].as_str() {
        let path = folder.join(file);
        let bytes = fs::read(&path).map_err(|error| format!("{}: {error}", path.display()))?;
        let is_stream = bytes.trim_ascii_start().first().is_some_and(|first| !b"{[".contains(first));
        return Ok((bytes, if is_stream { "text/event-stream" } else { "application/json" }));
    }
    if let Some(events) = list("events") {
        let events = events.iter().map(|event| [b"data: ", &text(event)[..], b"\n\n"].concat());
        return Ok((events.collect::<Vec<_>>().concat(), "text/event-stream"));
    }
    if let Some(lines) = list("lines") {
        let lines = lines.iter().map(|line| [&text(line)[..], b"\n"].concat());
        return Ok((lines.collect::<Vec<_>>().concat(), "application/x-ndjson"));
    }
    if let Some(frames) = list("frames") {
        let frame = |members: &Value| {
            let headers = members.as_object().into_iter().flatten().filter(|(name, _)| name.starts_with(':'));
            let headers = headers.map(|(name, value)| frame::header(name, value.as_str().unwrap_or_default()));
            frame::frame(&headers.collect::<Vec<_>>().concat(), &text(&members["payload"]))
        };
        let frames: Vec<u8> = frames.iter().flat_map(frame).collect();
        return Ok((frames, "application/vnd.amazon.eventstream"));
    }
    Ok((text(&value["response_body"]), "application/json"))
}

/// A text as it is, anything else as JSON, nothing for null.
fn text(value: &Value) -> Vec<u8> {
    match value {
        Value::Null => Vec::new(),
        Value::String(text) => text.clone().into_bytes(),
        other => other.to_string().into_bytes(),
    }
}

fn headers(value: &Value) -> Vec<(String, Vec<u8>)> {
    let pairs = value.as_object().into_iter().flatten();
    pairs.map(|(name, value)| (name.to_ascii_lowercase(), text(value))).collect()
}

impl Recorded {
    /// The vendor, for people.
    pub fn vendor(&self) -> &str {
        self.provider["type"].as_str().unwrap_or("?")
    }

    /// The settings of the provider, with what its type needs.
    pub fn settings(&self) -> Value {
        let mut provider = self.provider.clone();
        let self_hosted = ["vllm", "tgi", "ollama", "generic", "litellm"].contains(&self.vendor());
        let has_host = !provider["baseUrl"].is_null() || !provider["genericHost"].is_null();
        for (key, value, wanted) in [
            ("apiTokens", "token", true),
            ("awsRegion", "us-east-1", self.vendor() == "bedrock"),
            ("vertexProjectId", "project", self.vendor() == "vertex"),
            ("cloudflareAccountId", "account", self.vendor() == "cloudflare"),
            ("azureServiceUrl", "https://name.openai.azure.com", self.vendor() == "azure"),
            ("baseUrl", "http://self-hosted.example:8000", self_hosted && !has_host),
        ] {
            if wanted && provider[key].is_null() {
                provider[key] = if key == "apiTokens" { json!([value]) } else { json!(value) };
            }
        }
        provider
    }

    /// A configuration with this provider alone.
    ///
    /// # Errors
    /// What is wrong with the provider.
    pub fn config(&self) -> Result<Config, String> {
        let loaded = load(json!({"provider": self.settings()}).to_string().as_bytes());
        loaded.map(|loaded| loaded.config).map_err(|problems| format!("{problems:?}"))
    }

    /// Sends the exchange through the filter's code, the response in pieces of that many bytes.
    ///
    /// # Errors
    /// The filter answered itself.
    pub fn exchange(&self, config: &Config, size: usize) -> Result<Outcome, String> {
        let mut exchange = Exchange::default();
        let pseudo = [(":method", self.method.as_str()), (":path", &self.path), (":authority", "gateway.example")];
        let pseudo = pseudo.map(|(name, value)| (name.to_owned(), value.as_bytes().to_vec()));
        let fields = pseudo.into_iter().chain(self.request_headers.iter().cloned()).collect();
        let end_of_stream = self.request_body.is_empty() && self.method == "GET";
        let request =
            RequestHeaders { head: Head::new(fields), saved: None, route: None, cluster: None, end_of_stream };
        if let HeadersEffect::Reply(reply) = exchange.on_request_headers(config, request) {
            return Err(format!("{reply:?}"));
        }
        let effect = match exchange.wants_body() {
            WantsBody::Whole => exchange.on_whole_body(config, &self.request_body),
            WantsBody::Chunks => exchange.on_request_chunk(&self.request_body[..], true),
            WantsBody::No => BodyEffect::Pass,
        };
        if let BodyEffect::Reply(reply) = effect {
            return Err(format!("{reply:?}"));
        }
        let ticks = core::cell::Cell::new(0_u64);
        let clock = || {
            ticks.set(ticks.get().saturating_add(1));
            ticks.get()
        };
        let status = [(":status".to_owned(), self.status.to_string().into_bytes())];
        let head = Head::new(status.into_iter().chain(self.response_headers.iter().cloned()).collect());
        exchange.on_response_headers(&head, false, &clock);
        let mut client = Vec::new();
        for piece in self.body.chunks(size.max(1)) {
            if exchange.wants_response() {
                client.extend_from_slice(exchange.on_response_chunk(piece, false, &clock).unwrap_or(piece));
            } else {
                exchange.on_unread_response(piece.len(), false, &clock);
                client.extend_from_slice(piece);
            }
        }
        client.extend_from_slice(exchange.on_response_chunk(&[], true, &clock).unwrap_or_default());
        let status = u16::try_from(self.status).ok();
        let ended = Ended { now: clock(), status, details: "via_upstream".to_owned() };
        let record = exchange.finish(&ended).ok_or("there is no record")?.record;
        Ok(Outcome { record, client })
    }
}

impl Outcome {
    /// The log fields.
    pub fn fields(&self) -> Value {
        let log = log::ai_log(&Fields::of(&self.record), None).unwrap_or_default();
        let text: String = serde_json::from_str(&format!("\"{log}\"")).unwrap_or_default();
        serde_json::from_str(&text).unwrap_or_default()
    }

    /// A log field by its name; or what it follows from: `$all_input` and `$all_output` are the figures of metrics,
    /// `$failed` says whether the exchange counts as a failure, `$content` whether a first content was seen, and `$client`
    /// is what the client got.
    pub fn value(&self, name: &str) -> Value {
        match name {
            "$all_input" => json!(self.record.tokens.all_input()),
            "$all_output" => json!(self.record.tokens.all_output()),
            "$failed" => json!(self.record.failed()),
            "$content" => json!(self.record.first_content.is_some()),
            "$client" => json!(String::from_utf8_lossy(&self.client)),
            name => self.fields()[name].clone(),
        }
    }
}
