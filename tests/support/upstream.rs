//! A mock of the AI providers, because tests and demo can reach none: OpenAI-like and Anthropic-like answers over
//! HTTP/1.1 and clear-text HTTP/2.
//!
//! The wire formats follow the vendors' public documentation: chat completions (plain, and as server-sent events with
//! the usage chunk only where `stream_options.include_usage` asks for it), embeddings (as numbers or in base64, which is
//! what OpenAI's own clients ask for), image edits, the model list, and Anthropic's messages and token count. Every other
//! path is echoed as JSON. Text, image and token counts are constants.
//!
//! Each request is recorded as it arrived ([`Received`]). A test can put its own answers in front ([`Answer`]), and
//! with [`UpstreamOptions::vendor_paths`] the mock is as strict about paths as the vendors it stands for.

use bytes::Bytes;
use http_body_util::{BodyExt as _, Limited};
use hyper::body::{Frame, Incoming, SizeHint};
use hyper::header::{CONTENT_TYPE, HeaderMap, HeaderName, HeaderValue};
use hyper::{Method, Request, Response, StatusCode, Version, service::service_fn};
use hyper_util::rt::{TokioExecutor, TokioIo};
use hyper_util::server::conn::auto;
use serde_json::{Value, json};
use std::collections::VecDeque;
use std::convert::Infallible;
use std::future::Future as _;
use std::io;
use std::net::{Ipv4Addr, SocketAddr};
use std::pin::Pin;
use std::sync::atomic::{AtomicU64, Ordering};
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};
use std::task::{Context, Poll, ready};
use std::time::Duration;
use tokio::net::TcpListener;
use tokio::sync::Notify;
use tokio::task::{JoinHandle, JoinSet};
use tokio::time::{Sleep, sleep, timeout};

/// Largest request body that is read, in bytes.
pub const MAX_BODY: usize = 256 << 20;

/// Limit for [`Upstream::wait_for`].
pub const WAIT_TIMEOUT: Duration = Duration::from_secs(10);

/// Longest `x-upstream-path`, in bytes: proxies limit the headers of a response.
const MAX_ECHOED_PATH: usize = 1024;

/// The time of every answer, in Unix seconds: fixed, so that answers can be compared.
const CREATED: u64 = 1_790_000_000;

/// Token counts of every answer.
pub const INPUT_TOKENS: u64 = 19;
pub const OUTPUT_TOKENS: u64 = 6;

/// The answer's text, as it is streamed.
const WORDS: [&str; 6] = ["You", " are", " on", " the", " right", " path."];

/// The image of every answer: a PNG of one transparent pixel, in base64.
pub const IMAGE: &str = "iVBORw0KGgoAAAANSUhEUgAAAAEAAAABCAYAAAAfFcSJAAAAC0lEQVR4nGNgAAIAAAUAAXpeqz8AAAAASUVORK5CYII=";

/// The vector of every embedding: as numbers, and in base64 as little-endian 32-bit floats, which hold them exactly.
pub const EMBEDDING: (&str, &str) = ("[0.125,-0.5,0.25,0.0625]", "\"AAAAPgAAAL8AAIA+AACAPQ==\"");

/// Path prefixes that vendors serve; anything else is 404 there. A prefix that does not end with `/` is a whole path.
const VENDOR_PATHS: &[(&str, &[&str])] = &[
    ("api.openai.com", &["/v1/"]),
    // No version: the reason for envoyproxy/ai-gateway#1629.
    ("api.perplexity.ai", &["/chat/completions", "/async/chat/completions"]),
    // The reason for kgateway-dev/kgateway#11225.
    ("openrouter.ai", &["/api/v1/"]),
    ("llm.corp.example", &["/v1/"]),
    ("api.deepseek.com", &["/chat/completions", "/models", "/v1/", "/beta/", "/anthropic/v1/"]),
    ("example.openai.azure.com", &["/openai/deployments/", "/openai/v1/"]),
];

/// A request as it arrived.
#[derive(Clone, Debug)]
pub struct Received {
    pub method: Method,
    pub version: Version,
    /// Path and query, undecoded.
    pub path: String,
    /// `:authority` or `Host`, as sent.
    pub authority: String,
    /// In the order of arrival; names in lower case, `host` left out.
    pub headers: Vec<(String, Vec<u8>)>,
    pub body: Bytes,
    pub trailers: Vec<(String, Vec<u8>)>,
    /// Counts the connections of this upstream from 0; equal numbers mean a kept-alive connection.
    pub connection: u64,
}

impl Received {
    /// All values of a header.
    pub fn header(&self, name: &str) -> Vec<&[u8]> {
        self.headers.iter().filter(|(key, _)| key == name).map(|(_, value)| value.as_slice()).collect()
    }

    /// The body as JSON; `Null` if it is none.
    pub fn json(&self) -> Value {
        serde_json::from_slice(&self.body).unwrap_or_default()
    }
}

/// One piece of a response body.
#[derive(Clone, Debug)]
struct Chunk {
    /// Silence before the piece.
    after: Duration,
    frame: Piece,
}

#[derive(Clone, Debug)]
enum Piece {
    Data(Bytes),
    Trailers(HeaderMap),
    /// The connection breaks off.
    Reset,
}

/// A response: status, headers and a body in pieces, each of which may be late.
#[derive(Clone, Debug)]
pub struct Answer {
    status: StatusCode,
    headers: Vec<(HeaderName, HeaderValue)>,
    chunks: VecDeque<Chunk>,
}

impl Answer {
    /// A status without body.
    pub fn status(status: u16) -> Self {
        let status = StatusCode::from_u16(status).expect("a status code");
        Self { status, headers: Vec::new(), chunks: VecDeque::new() }
    }

    /// A JSON body.
    pub fn json(status: u16, body: &Value) -> Self {
        Self::status(status).header("content-type", "application/json").data(body.to_string())
    }

    /// The start of a stream of server-sent events.
    pub fn events() -> Self {
        Self::status(200).header("content-type", "text/event-stream").header("cache-control", "no-cache")
    }

    /// Adds a header.
    pub fn header(mut self, name: &'static str, value: &str) -> Self {
        let value = HeaderValue::from_str(value).expect("a header value");
        self.headers.push((HeaderName::from_static(name), value));
        self
    }

    /// Adds a piece of the body that follows at once.
    pub fn data(self, bytes: impl Into<Bytes>) -> Self {
        self.later(Duration::ZERO, bytes)
    }

    /// Adds a piece of the body that follows after a silence.
    pub fn later(mut self, after: Duration, bytes: impl Into<Bytes>) -> Self {
        self.chunks.push_back(Chunk { after, frame: Piece::Data(bytes.into()) });
        self
    }

    /// Ends the body with trailers.
    pub fn trailers(mut self, trailers: HeaderMap) -> Self {
        self.chunks.push_back(Chunk { after: Duration::ZERO, frame: Piece::Trailers(trailers) });
        self
    }

    /// Breaks the connection off at this place of the body, after a silence.
    pub fn reset(mut self, after: Duration) -> Self {
        self.chunks.push_back(Chunk { after, frame: Piece::Reset });
        self
    }
}

/// How an upstream behaves; the default is what most tests want.
#[derive(Clone, Debug, Default)]
pub struct UpstreamOptions {
    /// Answer 404 where the vendor that the authority names would.
    pub vendor_paths: bool,
    /// Keep no record of requests; for a server that runs for long, and for benchmarks.
    pub forget: bool,
    /// Print one line for each request.
    pub print: bool,
    /// Answer every request with this and never look into it; for benchmarks.
    pub fixed: Option<Answer>,
}

#[derive(Debug, Default)]
struct Shared {
    options: UpstreamOptions,
    received: Mutex<Vec<Received>>,
    arrival: Notify,
    next: Mutex<VecDeque<Answer>>,
    connections: AtomicU64,
}

/// A running upstream. Dropping it closes its port and its connections.
#[derive(Debug)]
pub struct Upstream {
    address: SocketAddr,
    shared: Arc<Shared>,
    accept: JoinHandle<()>,
}

impl Upstream {
    /// On a free loopback port.
    pub async fn start() -> Self {
        let free = SocketAddr::from((Ipv4Addr::LOCALHOST, 0));
        Self::listen(free, UpstreamOptions::default()).await.expect("a free loopback port")
    }

    /// On a given address.
    pub async fn listen(address: SocketAddr, options: UpstreamOptions) -> io::Result<Self> {
        let listener = TcpListener::bind(address).await?;
        let address = listener.local_addr()?;
        let shared = Arc::new(Shared { options, ..Shared::default() });
        let accept = tokio::spawn(accept(listener, Arc::clone(&shared)));
        Ok(Self { address, shared, accept })
    }

    pub fn address(&self) -> SocketAddr {
        self.address
    }

    /// The requests since the last call, in the order in which they were complete.
    pub fn take(&self) -> Vec<Received> {
        std::mem::take(&mut *lock(&self.shared.received))
    }

    /// Takes the requests as soon as there are `count`, and panics when they do not come.
    pub async fn wait_for(&self, count: usize) -> Vec<Received> {
        let enough = async {
            loop {
                let arrival = self.shared.arrival.notified();
                if lock(&self.shared.received).len() >= count {
                    return;
                }
                arrival.await;
            }
        };
        if timeout(WAIT_TIMEOUT, enough).await.is_err() {
            panic!("waited for {count} requests, the upstream has {:?}", lock(&self.shared.received));
        }
        self.take()
    }

    /// Answers one coming request with this; several calls queue up.
    pub fn answer_next(&self, answer: Answer) {
        lock(&self.shared.next).push_back(answer);
    }
}

impl Drop for Upstream {
    fn drop(&mut self) {
        self.accept.abort();
    }
}

/// A panic elsewhere must not hide behind a poisoned lock: the data is a list and stays whole.
fn lock<T>(mutex: &Mutex<T>) -> MutexGuard<'_, T> {
    mutex.lock().unwrap_or_else(PoisonError::into_inner)
}

async fn accept(listener: TcpListener, shared: Arc<Shared>) {
    // The set ends with this task, and every connection with the set.
    let mut connections = JoinSet::new();
    loop {
        while connections.try_join_next().is_some() {}
        let Ok((stream, _)) = listener.accept().await else {
            continue;
        };
        let _ = stream.set_nodelay(true);
        let shared = Arc::clone(&shared);
        connections.spawn(async move {
            let connection = shared.connections.fetch_add(1, Ordering::Relaxed);
            let service = service_fn(|request| respond(request, connection, Arc::clone(&shared)));
            // Errors here are what tests provoke: connections that clients or we break off.
            let _ = auto::Builder::new(TokioExecutor::new()).serve_connection(TokioIo::new(stream), service).await;
        });
    }
}

async fn respond(
    request: Request<Incoming>,
    connection: u64,
    shared: Arc<Shared>,
) -> Result<Response<Body>, Box<dyn std::error::Error + Send + Sync>> {
    let (head, body) = request.into_parts();
    let body = Limited::new(body, MAX_BODY).collect().await?;
    let trailers = body.trailers().map(pairs).unwrap_or_default();
    let host = head.headers.get("host").map(|host| String::from_utf8_lossy(host.as_bytes()).into_owned());
    let received = Received {
        path: head.uri.path_and_query().map_or_else(String::new, ToString::to_string),
        authority: head.uri.authority().map(ToString::to_string).or(host).unwrap_or_default(),
        method: head.method,
        version: head.version,
        headers: pairs(&head.headers).into_iter().filter(|(name, _)| name != "host").collect(),
        body: body.to_bytes(),
        trailers,
        connection,
    };
    let queued = lock(&shared.next).pop_front();
    let answer = queued.or_else(|| shared.options.fixed.clone()).unwrap_or_else(|| {
        if shared.options.vendor_paths && !vendor_serves(&received) {
            no_such_path(&received)
        } else {
            answer(&received)
        }
    });
    let mut response = Response::new(Body { chunks: answer.chunks, sleep: None });
    *response.status_mut() = answer.status;
    response.headers_mut().extend(answer.headers);
    for (name, value) in
        [("x-upstream-authority", received.authority.clone()), ("x-upstream-path", shown(&received.path))]
    {
        if let Ok(value) = HeaderValue::from_bytes(value.as_bytes()) {
            response.headers_mut().insert(name, value);
        }
    }
    if shared.options.print {
        println!("{} {} {} {}", received.method, received.authority, shown(&received.path), response.status());
    }
    if !shared.options.forget {
        lock(&shared.received).push(received);
        shared.arrival.notify_waiters();
    }
    Ok(response)
}

fn pairs(headers: &HeaderMap) -> Vec<(String, Vec<u8>)> {
    headers.iter().map(|(name, value)| (name.as_str().to_owned(), value.as_bytes().to_vec())).collect()
}

/// A path for humans: bounded, and without the key that some providers want in the query.
fn shown(path: &str) -> String {
    let (path, query) = path.split_once('?').map_or((path, None), |(path, query)| (path, Some(query)));
    let mut shown = path.to_owned();
    for (index, pair) in query.into_iter().flat_map(|query| query.split('&')).enumerate() {
        shown.push(if index == 0 { '?' } else { '&' });
        shown.push_str(if pair.starts_with("key=") { "key=***" } else { pair });
    }
    shown.chars().take(MAX_ECHOED_PATH).collect()
}

// -- Answers ----------------------------------------------------------------------------------------------------------

fn vendor_serves(request: &Received) -> bool {
    let path = path_only(request);
    VENDOR_PATHS.iter().find(|(authority, _)| *authority == request.authority).is_none_or(|(_, served)| {
        served.iter().any(|prefix| if prefix.ends_with('/') { path.starts_with(prefix) } else { path == *prefix })
    })
}

fn no_such_path(request: &Received) -> Answer {
    let message = format!("{} has no {}", request.authority, shown(&request.path));
    Answer::json(404, &json!({"error": {"message": message, "type": "invalid_request_error", "code": "not_found"}}))
}

fn path_only(request: &Received) -> &str {
    request.path.split('?').next().unwrap_or_default()
}

fn answer(request: &Received) -> Answer {
    let path = path_only(request);
    let post = request.method == Method::POST;
    let body = if post { request.json() } else { Value::Null };
    let model = body["model"].as_str().unwrap_or("mock-model");
    let stream = body["stream"] == true;
    if post && path.ends_with("/chat/completions") {
        if stream { chat_stream(model, &body) } else { chat(model) }
    } else if post && path.ends_with("/embeddings") {
        embeddings(model, &body)
    } else if post && path.ends_with("/images/edits") {
        image_edit()
    } else if post && path.ends_with("/messages/count_tokens") {
        Answer::json(200, &json!({"input_tokens": INPUT_TOKENS}))
    } else if post && path.ends_with("/messages") {
        if stream { messages_stream(model) } else { messages(model) }
    } else if request.method == Method::GET && path.ends_with("/models") {
        models()
    } else {
        echo(request)
    }
}

/// Fills a template. Templates instead of `json!`, because clients and filters meet keys in the vendors' order.
fn fill(template: &str, values: &[(&str, &str)]) -> String {
    values.iter().fold(template.replace('\n', ""), |text, (name, value)| text.replace(name, value))
}

fn json_answer(body: String) -> Answer {
    Answer::status(200).header("content-type", "application/json").data(body)
}

fn quoted(text: &str) -> String {
    Value::from(text).to_string()
}

fn chat_usage() -> String {
    let template = r#"{"prompt_tokens":$INPUT,"completion_tokens":$OUTPUT,"total_tokens":$TOTAL,
"prompt_tokens_details":{"cached_tokens":0,"audio_tokens":0},
"completion_tokens_details":{"reasoning_tokens":0,"audio_tokens":0,
"accepted_prediction_tokens":0,"rejected_prediction_tokens":0}}"#;
    let numbers = [INPUT_TOKENS, OUTPUT_TOKENS, INPUT_TOKENS + OUTPUT_TOKENS].map(|number| number.to_string());
    fill(template, &[("$INPUT", &numbers[0]), ("$OUTPUT", &numbers[1]), ("$TOTAL", &numbers[2])])
}

fn chat(model: &str) -> Answer {
    let template = r#"{"id":"chatcmpl-mock","object":"chat.completion","created":$CREATED,"model":$MODEL,
"choices":[{"index":0,"message":{"role":"assistant","content":$TEXT,"refusal":null,"annotations":[]},
"logprobs":null,"finish_reason":"stop"}],"usage":$USAGE,"service_tier":"default","system_fingerprint":"fp_mock"}"#;
    let (created, text) = (CREATED.to_string(), quoted(&WORDS.concat()));
    let values = [("$CREATED", &*created), ("$TEXT", &text), ("$USAGE", &chat_usage()), ("$MODEL", &quoted(model))];
    json_answer(fill(template, &values))
}

fn chat_stream(model: &str, request: &Value) -> Answer {
    let with_usage = request["stream_options"]["include_usage"] == true;
    let event = |choices: &str, usage: &str| {
        let template = r#"{"id":"chatcmpl-mock","object":"chat.completion.chunk","created":$CREATED,"model":$MODEL,
"service_tier":"default","system_fingerprint":"fp_mock","choices":$CHOICES$USAGE}"#;
        // Where usage was asked for, every chunk has the key, and only the last one a value.
        let usage = if with_usage { format!(r#","usage":{usage}"#) } else { String::new() };
        let (created, model) = (CREATED.to_string(), quoted(model));
        let values = [("$CREATED", &*created), ("$CHOICES", choices), ("$USAGE", &usage), ("$MODEL", &model)];
        format!("data: {}\n\n", fill(template, &values))
    };
    let delta = |delta: &str, finish: &str| {
        let template = r#"[{"index":0,"delta":$DELTA,"logprobs":null,"finish_reason":$FINISH}]"#;
        event(&fill(template, &[("$DELTA", delta), ("$FINISH", finish)]), "null")
    };
    let first = delta(r#"{"role":"assistant","content":"","refusal":null}"#, "null");
    let mut answer = Answer::events().data(first);
    for word in WORDS {
        answer = answer.data(delta(&format!(r#"{{"content":{}}}"#, quoted(word)), "null"));
    }
    answer = answer.data(delta("{}", r#""stop""#));
    if with_usage {
        answer = answer.data(event("[]", &chat_usage()));
    }
    answer.data("data: [DONE]\n\n")
}

fn embeddings(model: &str, request: &Value) -> Answer {
    let inputs = request["input"].as_array().map_or(1, Vec::len);
    let vector = if request["encoding_format"] == "base64" { EMBEDDING.1 } else { EMBEDDING.0 };
    let data: Vec<String> =
        (0..inputs).map(|index| format!(r#"{{"object":"embedding","index":{index},"embedding":{vector}}}"#)).collect();
    let template = r#"{"object":"list","data":[$DATA],"model":$MODEL,
"usage":{"prompt_tokens":$INPUT,"total_tokens":$INPUT}}"#;
    let (data, input) = (data.join(","), INPUT_TOKENS.to_string());
    json_answer(fill(template, &[("$DATA", &data), ("$INPUT", &input), ("$MODEL", &quoted(model))]))
}

fn image_edit() -> Answer {
    let template = r#"{"created":$CREATED,"background":"transparent","data":[{"b64_json":"$IMAGE"}],
"output_format":"png","quality":"high","size":"1024x1024","usage":{"input_tokens":$INPUT,
"input_tokens_details":{"image_tokens":$INPUT,"text_tokens":0},"output_tokens":$OUTPUT,"total_tokens":$TOTAL}}"#;
    let numbers = [CREATED, INPUT_TOKENS, OUTPUT_TOKENS, INPUT_TOKENS + OUTPUT_TOKENS].map(|number| number.to_string());
    let [created, input, output, total] = numbers.each_ref().map(String::as_str);
    let numbers = [("$CREATED", created), ("$INPUT", input), ("$OUTPUT", output), ("$TOTAL", total)];
    json_answer(fill(&fill(template, &numbers), &[("$IMAGE", IMAGE)]))
}

fn models() -> Answer {
    let model = r#"{"id":"$ID","object":"model","created":$CREATED,"owned_by":"mock"}"#;
    let created = CREATED.to_string();
    let data = ["mock-model", "mock-model-mini"].map(|id| fill(model, &[("$ID", id), ("$CREATED", &created)]));
    json_answer(fill(r#"{"object":"list","data":[$DATA]}"#, &[("$DATA", &data.join(","))]))
}

/// A message; `content` and `stop_reason` differ between the first event of a stream and a whole answer.
fn message(model: &str, content: &str, stop_reason: &str, output_tokens: u64) -> String {
    let template = r#"{"id":"msg_mock","type":"message","role":"assistant","model":$MODEL,"content":$CONTENT,
"stop_reason":$REASON,"stop_sequence":null,"usage":{"input_tokens":$INPUT,"cache_creation_input_tokens":0,
"cache_read_input_tokens":0,"output_tokens":$OUTPUT}}"#;
    let (input, output) = (INPUT_TOKENS.to_string(), output_tokens.to_string());
    let numbers = [("$INPUT", &*input), ("$OUTPUT", &output)];
    let texts = [("$CONTENT", content), ("$REASON", stop_reason), ("$MODEL", &quoted(model))];
    fill(&fill(template, &numbers), &texts)
}

fn messages(model: &str) -> Answer {
    let content = format!(r#"[{{"type":"text","text":{}}}]"#, quoted(&WORDS.concat()));
    json_answer(message(model, &content, r#""end_turn""#, OUTPUT_TOKENS))
}

fn messages_stream(model: &str) -> Answer {
    let event = |kind: &str, rest: &str| {
        format!("event: {kind}\ndata: {{\"type\":\"{kind}\"{}{rest}}}\n\n", if rest.is_empty() { "" } else { "," })
    };
    let start = format!(r#""message":{}"#, message(model, "[]", "null", 1));
    let mut answer = Answer::events()
        .data(event("message_start", &start))
        .data(event("content_block_start", r#""index":0,"content_block":{"type":"text","text":""}"#))
        .data(event("ping", ""));
    for word in WORDS {
        let delta = format!(r#""index":0,"delta":{{"type":"text_delta","text":{}}}"#, quoted(word));
        answer = answer.data(event("content_block_delta", &delta));
    }
    let end = r#""delta":{"stop_reason":"end_turn","stop_sequence":null},"usage":{"output_tokens":$OUTPUT}"#;
    answer
        .data(event("content_block_stop", r#""index":0"#))
        .data(event("message_delta", &fill(end, &[("$OUTPUT", &OUTPUT_TOKENS.to_string())])))
        .data(event("message_stop", ""))
}

/// Method, authority and path of a request nobody answers otherwise; no header, for they hold credentials.
fn echo(request: &Received) -> Answer {
    Answer::json(
        200,
        &json!({
            "object": "echo",
            "method": request.method.as_str(),
            "authority": request.authority,
            "path": shown(&request.path),
            "body_bytes": request.body.len(),
        }),
    )
}

/// A response body that plays the chunks of an [`Answer`].
struct Body {
    chunks: VecDeque<Chunk>,
    /// The silence before the first of `chunks`, once it has begun.
    sleep: Option<Pin<Box<Sleep>>>,
}

impl hyper::body::Body for Body {
    type Data = Bytes;
    type Error = io::Error;

    fn poll_frame(
        mut self: Pin<&mut Self>,
        context: &mut Context<'_>,
    ) -> Poll<Option<Result<Frame<Bytes>, io::Error>>> {
        let Some(after) = self.chunks.front().map(|chunk| chunk.after) else {
            return Poll::Ready(None);
        };
        if !after.is_zero() {
            let silence = self.sleep.get_or_insert_with(|| Box::pin(sleep(after)));
            ready!(silence.as_mut().poll(context));
            self.sleep = None;
        }
        Poll::Ready(self.chunks.pop_front().map(|chunk| match chunk.frame {
            Piece::Data(bytes) => Ok(Frame::data(bytes)),
            Piece::Trailers(trailers) => Ok(Frame::trailers(trailers)),
            Piece::Reset => Err(io::ErrorKind::ConnectionReset.into()),
        }))
    }

    fn is_end_stream(&self) -> bool {
        self.chunks.is_empty()
    }

    fn size_hint(&self) -> SizeHint {
        // One piece at once has a content-length; anything else is chunked, as streams are.
        match self.chunks.iter().collect::<Vec<_>>().as_slice() {
            [] => SizeHint::with_exact(0),
            [Chunk { after: Duration::ZERO, frame: Piece::Data(bytes) }] => SizeHint::with_exact(bytes.len() as u64),
            _ => SizeHint::default(),
        }
    }
}
