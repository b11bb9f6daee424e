//! What reading and editing a body costs inside Envoy's V8 by itself, without what Envoy does for a request.
//!
//! A small filter (`filter.rs`, built with the flags of `waypost.wasm`) holds a body and, when a request asks for it,
//! feeds it to the core many times: scanned to its end, the model mapped, usage asked for, roles watched, and the new
//! body put together. Envoy's own monotonic clock times that. In the same request the filter checks the same bytes as
//! UTF-8 as often: a yardstick that tells how fast the machine is, and whether it was busy.
//!
//! `make bench` prints the table. Every round times a few milliseconds, and there are many: what a shared machine does
//! meanwhile only ever adds, so the quickest round is what the code costs, and the median shows how much was added.
#![allow(clippy::print_stderr, clippy::print_stdout, reason = "a program that talks to its user")]

#[path = "../../tests/support/mod.rs"]
mod support;

use hyper::Request;
use serde_json::{Value, json};
use std::error::Error;
use std::net::{Ipv4Addr, SocketAddr};
use std::path::PathBuf;
use std::process::ExitCode;
use support::client::{Client, whole};
use support::{Envoy, EnvoyConfig};

type Failed = Box<dyn Error + Send + Sync>;

/// Rounds of each row; and before them, to warm up.
const ROUNDS: usize = 60;
const WARM_UP: usize = 5;

/// How many bytes are edited in one round, about: a few milliseconds' worth.
const ROUND_BYTES: usize = 4 << 20;

const KIB: usize = 1 << 10;
const MIB: usize = 1 << 20;

const MODEL: &str = "gpt-4o";
const MAPPED_MODEL: &str = "gpt-4o-2024-11-20";

/// Messages of a chat.
const MESSAGES: usize = 20;

/// More than the bytes of a message that are not its text.
const AROUND: usize = 64;

/// Prose with a line break or a quote, which JSON escapes, every 80 bytes or so, and a few characters of more bytes.
const PROSE: &str = "The first road to the right leads past the mill and over the bridge to the old town.\n\
    Whoever asks there for the way is told to follow the river until the church of Zürich comes into sight; \"then go \
    on\", they say, \"until you see the lake and the steamers, and ask again at the landing stage there.\"\n\
    It takes an hour on foot and twenty minutes by tram. 道を右に曲がる and the number of the tram is eleven.\n";

/// A program inside a tool's answer: an escape every seven bytes or so.
const SOURCE: &str = "fn main() {\n\tlet names = [\"north\", \"east\", \"south\"];\n\tfor name in names {\n\t\t\
    println!(\"to the \\\"{name}\\\"\");\n\t}\n}\n";

/// An image: not one byte of it means anything in JSON.
const BASE64: &str = "iVBORw0KGgoAAAANSUhEUgAAAAEAAAABCAYAAAAfFcSJAAAADUlEQVR42mNk+M9QDwADhgGAWjR9awAA/";

/// Where the filter is built.
fn filter() -> PathBuf {
    support::root().join("target/bench/bench_scan_filter.wasm")
}

/// A chat of `size` bytes; the model stands behind the messages, as OpenAI's own clients write it.
fn chat(text: &str, size: usize) -> String {
    let in_json = |text: &str| json!(text).to_string().len().saturating_sub(2);
    // Of a message, without what stands around its text.
    let share = (size / MESSAGES).saturating_sub(AROUND);
    let times = share.checked_div(in_json(text)).unwrap_or_default();
    let message = |index: usize, rest: usize| {
        let role = if index.is_multiple_of(2) { "user" } else { "assistant" };
        json!({"role": role, "content": text.repeat(times) + &".".repeat(rest)})
    };
    let body = |rest: usize| {
        // All of it in the last message.
        let rest_of = |index: usize| if index.saturating_add(1) == MESSAGES { rest } else { 0 };
        let messages: Vec<Value> = (0..MESSAGES).map(|index| message(index, rest_of(index))).collect();
        json!({"messages": messages, "model": MODEL, "stream": true}).to_string()
    };
    // As many whole texts as fit, then dots up to the size.
    let rest = size.saturating_sub(body(0).len());
    body(rest)
}

/// One row of the table.
struct Row {
    name: String,
    kib: f64,
    /// Microseconds for one body, by round.
    edits: Vec<f64>,
    /// The same for the yardstick.
    checks: Vec<f64>,
}

impl Row {
    async fn measure(name: String, provider: &str, body: &str) -> Result<Self, Failed> {
        let upstream = SocketAddr::from((Ipv4Addr::LOCALHOST, 1));
        let configuration = json!({"provider": {
            "type": provider, "apiTokens": ["bench-token"], "modelMapping": {MODEL: MAPPED_MODEL}}});
        let config = EnvoyConfig::new(upstream)
            .log_level("warning")
            .wasm_file(&filter())
            .waypost_text(&format!("{configuration}\n{body}"));
        let envoy = Envoy::start(config).await?;
        let mut client = Client::http1(envoy.address());
        let mut expected: Value = serde_json::from_str(body)?;
        let members = expected.as_object_mut().ok_or("a body is no object")?;
        members.insert("model".into(), json!(MAPPED_MODEL));
        members.insert("stream_options".into(), json!({"include_usage": true}));
        let expected = expected.to_string().len();

        let times = ROUND_BYTES.checked_div(body.len()).unwrap_or_default().max(1);
        let (mut edits, mut checks) = (Vec::new(), Vec::new());
        for round in 0..WARM_UP.saturating_add(ROUNDS) {
            let request = Request::get("/")
                .header("host", "bench.localhost")
                .header("x-times", times.to_string())
                .body(whole(Vec::new()))?;
            let answer = client.send(request).await?.text();
            let numbers: Vec<f64> = answer.split(' ').filter_map(|number| number.parse().ok()).collect();
            let [edit, check, length] = numbers.as_slice() else { return Err(format!("{name}: {answer}").into()) };
            if *length != f64::from(u32::try_from(expected)?) {
                return Err(format!("{name}: {length} bytes came out in place of {expected}").into());
            }
            if round >= WARM_UP {
                let each = 1e3 * f64::from(u32::try_from(times)?);
                edits.push(edit / each);
                checks.push(check / each);
            }
        }
        edits.sort_by(f64::total_cmp);
        checks.sort_by(f64::total_cmp);
        let kib = f64::from(u32::try_from(body.len())?) / 1024.0;
        Ok(Self { name, kib, edits, checks })
    }

    fn print(&self) {
        let quickest = |figures: &[f64]| figures.first().copied().unwrap_or(f64::NAN);
        let median = |figures: &[f64]| figures.get(figures.len() / 2).copied().unwrap_or(f64::NAN);
        let (edit, check) = (quickest(&self.edits), quickest(&self.checks));
        println!(
            "{:<42} {:>9.1} {:>9.1} {:>8.3} {:>9.1} {:>9.1} {:>7.2}",
            self.name,
            edit,
            median(&self.edits),
            edit / self.kib,
            check,
            median(&self.checks),
            edit / check
        );
    }
}

async fn run() -> Result<(), Failed> {
    println!("Scan and splice of a chat body in Envoy's V8, in µs; {ROUNDS} rounds of each row\n");
    println!(
        "{:<42} {:>9} {:>9} {:>8} {:>9} {:>9} {:>7}",
        "body", "quickest", "median", "per KiB", "utf-8", "median", "ratio"
    );
    for (size, size_name) in [(40 * KIB, "40 KiB"), (8 * MIB, "8 MiB")] {
        for (text, text_name) in [(PROSE, "prose"), (SOURCE, "source"), (BASE64, "base64")] {
            let body = chat(text, size);
            for (provider, roles) in [("openai", ""), ("deepseek", ", roles watched")] {
                Row::measure(format!("{size_name} of {text_name}{roles}"), provider, &body).await?.print();
            }
        }
    }
    Ok(())
}

#[tokio::main(flavor = "current_thread")]
async fn main() -> ExitCode {
    let result = tokio::select! {
        result = run() => result,
        () = support::stop_requested() => Err("stopped".into()),
    };
    match result {
        Ok(()) => ExitCode::SUCCESS,
        Err(error) => {
            eprintln!("bench_scan: {error}");
            ExitCode::FAILURE
        }
    }
}
