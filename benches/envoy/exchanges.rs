//! The requests that are sent and what the upstream answers.

use crate::Failed;
use bytes::Bytes;
use serde_json::{Value, json};

const KIB: usize = 1 << 10;
const MIB: usize = 1 << 20;

pub(crate) const CHAT_PATH: &str = "/v1/chat/completions";
const EMBEDDINGS_PATH: &str = "/v1/embeddings";

/// Requested models and what the variants that map models make of them.
pub(crate) const MODELS: [(&str, &str); 2] =
    [("gpt-4o", "gpt-4o-2024-11-20"), ("text-embedding-3-small", "text-embedding-3-large")];
const CHAT_MODEL: &str = MODELS[0].0;
const EMBEDDINGS_MODEL: &str = MODELS[1].0;

/// Messages of the long chat.
const LONG_CHAT: usize = 20;

/// Events of a stream, without the `[DONE]` at its end.
const EVENTS: usize = 300;

/// What the upstream answers.
#[derive(Clone, Debug)]
pub(crate) enum Reply {
    /// At once, with its length.
    Json(Bytes),
    /// Server-sent events as fast as they can be written, so that several share a packet.
    Events(Vec<Bytes>),
    /// Each event is sent when the client has the one before: every event is a packet, and a callback, of its own.
    Lockstep(Vec<Bytes>),
}

/// A kind of request.
#[derive(Clone, Debug)]
pub(crate) struct Exchange {
    /// For `BENCH_ONLY`.
    pub(crate) id: &'static str,
    pub(crate) name: &'static str,
    pub(crate) path: &'static str,
    pub(crate) body: Bytes,
    pub(crate) reply: Reply,
}

impl Exchange {
    /// Small ones first: the large ones leave buffers behind.
    pub(crate) fn all() -> Result<Vec<Self>, Failed> {
        let short = sized(2 * KIB, |fill| chat(false, short_chat(fill)))?;
        let streamed = sized(2 * KIB, |fill| chat(true, short_chat(fill)))?;
        let input = sized(2 * KIB, |fill| json!({"model": EMBEDDINGS_MODEL, "input": repeat("Which way? ", fill)}))?;
        let answer = Reply::Json(json_bytes(&answer()));
        let chat_exchange = |id, name, body, reply| Self { id, name, path: CHAT_PATH, body, reply };
        Ok(vec![
            chat_exchange("2k", "2 KB chat", short, answer.clone()),
            chat_exchange("40k", "40 KB chat", sized(40 * KIB, |fill| chat(false, long_chat(fill)))?, answer.clone()),
            Self {
                id: "embeddings",
                name: "embeddings, 100 KB response",
                path: EMBEDDINGS_PATH,
                body: input,
                reply: Reply::Json(json_bytes(&embeddings(100 * KIB))),
            },
            chat_exchange("sse", "stream of 300 events", streamed.clone(), Reply::Events(events())),
            chat_exchange("sse-single", "stream of 300 events, one at a time", streamed, Reply::Lockstep(events())),
            chat_exchange("1m", "1 MB chat with image", sized(MIB, |fill| chat(false, image(fill)))?, answer.clone()),
            chat_exchange("8m", "8 MB chat with image", sized(8 * MIB, |fill| chat(false, image(fill)))?, answer),
        ])
    }

    /// Events in the answer, 0 if it is no stream.
    pub(crate) fn events(&self) -> usize {
        match &self.reply {
            Reply::Json(_) => 0,
            Reply::Events(_) | Reply::Lockstep(_) => EVENTS,
        }
    }

    /// What an upstream receives when the model is mapped and usage asked for.
    pub(crate) fn edited(&self) -> Result<Value, Failed> {
        let mut value: Value = serde_json::from_slice(&self.body)?;
        let members = value.as_object_mut().ok_or("a body is no object")?;
        let mapped = MODELS.iter().find(|(from, _)| members.get("model").is_some_and(|model| model == from));
        members.insert("model".into(), json!(mapped.ok_or("a model that is not mapped")?.1));
        if self.events() > 0 {
            members.insert("stream_options".into(), json!({"include_usage": true}));
        }
        Ok(value)
    }
}

// -- Requests ---------------------------------------------------------------------------------------------------------

/// A body of exactly `size` bytes; `request` makes one that is filled up with the given number of bytes.
fn sized(size: usize, request: impl Fn(usize) -> Value) -> Result<Bytes, Failed> {
    let fill = size.saturating_sub(request(0).to_string().len());
    let bytes = json_bytes(&request(fill));
    if bytes.len() == size { Ok(bytes) } else { Err(format!("a body has {} bytes, not {size}", bytes.len()).into()) }
}

fn json_bytes(value: &Value) -> Bytes {
    Bytes::from(value.to_string())
}

/// The model stands behind the messages, as OpenAI's own clients write it.
fn chat(stream: bool, messages: Vec<Value>) -> Value {
    let mut chat = json!({"messages": messages, "model": CHAT_MODEL});
    if let (true, Some(members)) = (stream, chat.as_object_mut()) {
        members.insert("stream".into(), json!(true));
    }
    chat
}

fn short_chat(fill: usize) -> Vec<Value> {
    let system = json!({"role": "system", "content": "You are a guide. Answer in one sentence."});
    vec![system, json!({"role": "user", "content": repeat("Which way is it? ", fill)})]
}

/// Messages of equal length, the last one what is left.
fn long_chat(fill: usize) -> Vec<Value> {
    /// Line breaks and quotes, which JSON escapes, and characters of two, three and four bytes.
    const TEXT: &str = "Straße nach Zürich:\n\t\"geradeaus\", 道を右に曲がる 🧭 and then \\\\share\\maps\\.\n";
    let share = fill.div_ceil(LONG_CHAT);
    let message = |index: usize| {
        let role = if index.is_multiple_of(2) { "user" } else { "assistant" };
        let size = fill.saturating_sub(share.saturating_mul(index)).min(share);
        json!({"role": role, "content": escaped(TEXT, size)})
    };
    (0..LONG_CHAT).map(message).collect()
}

/// A question about an image of `size` bytes in base64.
fn image(size: usize) -> Vec<Value> {
    const ALPHABET: &[u8] = b"ABCDEFGHIJKLMNOPQRSTUVWXYZabcdefghijklmnopqrstuvwxyz0123456789+/";
    let digits = noise().filter_map(|bits| ALPHABET.get(usize::try_from(bits >> 58).ok()?).copied().map(char::from));
    let url: String = "data:image/png;base64,".chars().chain(digits.take(size)).collect();
    vec![json!({"role": "user", "content": [
        {"type": "text", "text": "Which way is it?"},
        {"type": "image_url", "image_url": {"url": url}},
    ]})]
}

/// `text` over and over, as much as takes exactly `size` bytes in JSON; the last bytes are dots.
fn escaped(text: &str, size: usize) -> String {
    let length = json!(text).to_string().len().saturating_sub(r#""""#.len());
    let times = size.checked_div(length).unwrap_or_default();
    text.repeat(times) + &".".repeat(size.checked_rem(length).unwrap_or_default())
}

/// `size` bytes of `text` over and over.
fn repeat(text: &str, size: usize) -> String {
    text.chars().cycle().take(size).collect()
}

/// Knuth's generator of 64 bits: the same in every run, and no period that a cache could learn. The upper bits are good.
fn noise() -> impl Iterator<Item = u64> {
    let next =
        |state: &u64| Some(state.wrapping_mul(6_364_136_223_846_793_005).wrapping_add(1_442_695_040_888_963_407));
    std::iter::successors(Some(1_u64), next)
}

// -- Responses --------------------------------------------------------------------------------------------------------

fn usage(input: u32, output: u32) -> Value {
    json!({"prompt_tokens": input, "completion_tokens": output, "total_tokens": input.saturating_add(output)})
}

/// About 300 bytes.
fn answer() -> Value {
    json!({
        "id": "chatcmpl-bench", "object": "chat.completion", "created": 1_790_000_000, "model": CHAT_MODEL,
        "choices": [{
            "index": 0,
            "message": {"role": "assistant", "content": "You are on the right path.", "refusal": null},
            "finish_reason": "stop",
        }],
        "usage": usage(480, 6),
    })
}

/// One vector whose numbers fill `size` bytes; the usage comes last, as OpenAI sends it.
fn embeddings(size: usize) -> Value {
    /// Of a number and its comma.
    const LENGTH: usize = 13;
    let number = |bits: u64| f64::from(u32::try_from(bits >> 40).unwrap_or_default()) / 1e8 - 0.08;
    let vector: Vec<f64> = noise().map(number).take(size / LENGTH).collect();
    json!({
        "object": "list", "data": [{"object": "embedding", "index": 0, "embedding": vector}],
        "model": EMBEDDINGS_MODEL, "usage": usage(480, 0),
    })
}

fn event(choices: &Value, usage: &Value) -> String {
    let chunk = json!({
        "id": "chatcmpl-bench", "object": "chat.completion.chunk", "created": 1_790_000_000, "model": CHAT_MODEL,
        "system_fingerprint": "fp_bench", "choices": choices, "usage": usage,
    });
    format!("data: {chunk}\n\n")
}

/// Each an event; the last one also ends the stream, because a filter that hides the usage shows the client only that.
fn events() -> Vec<Bytes> {
    let choice = |delta: Value, reason: Value| {
        event(&json!([{"index": 0, "delta": delta, "logprobs": null, "finish_reason": reason}]), &Value::Null)
    };
    let words = (3..EVENTS).map(|index| choice(json!({"content": format!(" word {index}")}), Value::Null));
    std::iter::once(choice(json!({"role": "assistant", "content": ""}), Value::Null))
        .chain(words)
        .chain([choice(json!({}), json!("stop")), event(&json!([]), &usage(480, 297)) + "data: [DONE]\n\n"])
        .map(Bytes::from)
        .collect()
}
