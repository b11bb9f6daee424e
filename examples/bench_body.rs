//! What Waypost costs inside a real Envoy: the CPU time that Envoy spends on a request, without the filter, with a
//! filter that leaves the body alone, and with one that edits it.
//!
//! `make bench` prints the tables in less than three minutes (`-- --quick`: half a minute). Linux only.
//!
//! One Envoy for each [`Variant`], each with one worker and the shipped `envoy/envoy.yaml`; in front of each a closed
//! loop over a few kept-alive HTTP/1.1 connections, behind all of them an upstream that reads the request and answers
//! with the same few bytes. Client and upstream share the one thread of this program, which leaves a core to Envoy. The
//! variants take turns within each round. The CPU time is that of all threads of the Envoy process, in user space and
//! kernel, from `/proc/PID/task/*/schedstat`; it does not depend on how long the client or the upstream take. Every
//! request is checked: where it arrived, how long its body was, and before anything is measured also the body itself.
//!
//! A difference is taken within a round and printed as the median of the rounds, because neighbours of the two
//! processes move all figures of a round together. Even so: a difference below the spread beside it says nothing.
#![allow(clippy::print_stderr, clippy::print_stdout, reason = "a program that talks to its user")]

#[path = "../tests/support/mod.rs"]
mod support;

use bytes::Bytes;
use hyper::Request;
use serde_json::{Value, json};
use std::collections::BTreeMap;
use std::error::Error;
use std::fs;
use std::net::{Ipv4Addr, SocketAddr};
use std::process::ExitCode;
use std::sync::Arc;
use std::time::{Duration, Instant};
use support::client::{Client, whole};
use support::{Answer, Envoy, EnvoyConfig, Received, Upstream, UpstreamOptions};
use tokio::task::JoinSet;

type Failed = Box<dyn Error + Send + Sync>;

/// How long a run is.
#[derive(Clone, Copy)]
struct Plan {
    rounds: usize,
    /// Requests without a break of one variant, in one round.
    cell: Duration,
    /// The same before the first round, for caches, the sizes of buffers and the compiler of V8.
    warm_up: Duration,
}

/// Many short rounds rather than few long ones: other work on the machine comes in bursts, which a median leaves out.
const FULL: Plan = Plan { rounds: 15, cell: Duration::from_millis(700), warm_up: Duration::from_millis(1500) };
const QUICK: Plan = Plan { rounds: 5, cell: Duration::from_millis(300), warm_up: Duration::from_millis(500) };

/// Kept-alive connections of the client to each Envoy. With a single one Envoy sleeps and wakes for every request, and
/// what that costs, above all on a virtual machine, hides what the filter costs.
const CONNECTIONS: usize = 4;

/// The fewest requests of a connection in a cell, however long they take.
const MIN_REQUESTS: u32 = 3;

const KIB: usize = 1 << 10;
const MIB: usize = 1 << 20;

const PATH: &str = "/v1/chat/completions";
/// What the client asks for.
const CLIENT_AUTHORITY: &str = "bench.localhost";
/// Where the preset `openai` sends it.
const PROVIDER_AUTHORITY: &str = "api.openai.com";
const MODEL: &str = "gpt-4o";
const MAPPED_MODEL: &str = "gpt-4o-2024-11-20";

/// Messages of the long chat.
const LONG_CHAT: usize = 20;

// -- Bodies -----------------------------------------------------------------------------------------------------------

/// A request body of exactly so many bytes.
struct Body {
    name: &'static str,
    bytes: Bytes,
}

impl Body {
    /// `request` makes a body whose content is filled up with the given number of bytes.
    fn new(name: &'static str, size: usize, request: impl Fn(usize) -> Value) -> Result<Self, Failed> {
        let fill = size.checked_sub(request(0).to_string().len());
        let bytes = Bytes::from(request(fill.unwrap_or_default()).to_string());
        if bytes.len() != size {
            return Err(format!("the body of {name} has {} bytes in place of {size}", bytes.len()).into());
        }
        Ok(Self { name, bytes })
    }

    fn all() -> Result<Vec<Self>, Failed> {
        Ok(vec![
            Self::new("2 KiB chat", 2 * KIB, |fill| {
                let system = json!({"role": "system", "content": "You are a guide. Answer in one sentence."});
                chat(vec![system, json!({"role": "user", "content": repeat("Which way is it? ", fill)})])
            })?,
            Self::new("40 KiB chat", 40 * KIB, |fill| {
                chat((0..LONG_CHAT).map(|index| turn(index, fill.div_ceil(LONG_CHAT), fill)).collect())
            })?,
            Self::new("1 MiB image", MIB, image)?,
            Self::new("8 MiB image", 8 * MIB, image)?,
        ])
    }

    /// What an upstream receives when the model is mapped and usage asked for.
    fn edited(&self) -> Result<Value, Failed> {
        let mut value: Value = serde_json::from_slice(&self.bytes)?;
        let members = value.as_object_mut().ok_or("a body is no object")?;
        members.insert("model".into(), json!(MAPPED_MODEL));
        members.insert("stream_options".into(), json!({"include_usage": true}));
        Ok(value)
    }
}

/// The model stands behind the messages, as OpenAI's own clients write it.
fn chat(messages: Vec<Value>) -> Value {
    json!({"messages": messages, "model": MODEL, "stream": true})
}

/// One of the messages of a chat that are to have `total` bytes in all: `share` bytes each, the last one what is left.
fn turn(index: usize, share: usize, total: usize) -> Value {
    /// Line breaks and quotes, which JSON escapes, and characters of two, three and four bytes.
    const TEXT: &str = "Straße nach Zürich:\n\t\"geradeaus\", 道を右に曲がる 🧭 and then \\\\share\\maps\\.\n";
    let role = if index.is_multiple_of(2) { "user" } else { "assistant" };
    let size = total.saturating_sub(share.saturating_mul(index)).min(share);
    json!({"role": role, "content": escaped(TEXT, size)})
}

/// `text` over and over, as much as takes exactly `size` bytes in JSON; the last bytes are dots.
fn escaped(text: &str, size: usize) -> String {
    let in_json = |text: &str| json!(text).to_string().len().saturating_sub(r#""""#.len());
    let rest = size.checked_rem(in_json(text)).unwrap_or_default();
    let times = size.checked_div(in_json(text)).unwrap_or_default();
    text.repeat(times) + &".".repeat(rest)
}

/// `size` bytes of `text` over and over.
fn repeat(text: &str, size: usize) -> String {
    text.chars().cycle().take(size).collect()
}

/// A question about an image of `size` bytes in base64.
fn image(size: usize) -> Value {
    const ALPHABET: &[u8] = b"ABCDEFGHIJKLMNOPQRSTUVWXYZabcdefghijklmnopqrstuvwxyz0123456789+/";
    // Knuth's generator of 64 bits: the same image in every run, and no period that a cache could learn.
    let mut state = 1_u64;
    let base64 = (0..size).filter_map(|_| {
        state = state.wrapping_mul(6_364_136_223_846_793_005).wrapping_add(1_442_695_040_888_963_407);
        ALPHABET.get(usize::try_from(state >> 58).ok()?).copied().map(char::from)
    });
    let url = base64.fold(String::from("data:image/png;base64,"), |mut url, digit| {
        url.push(digit);
        url
    });
    chat(vec![json!({"role": "user", "content": [
        {"type": "text", "text": "Which way is it?"},
        {"type": "image_url", "image_url": {"url": url}},
    ]})])
}

// -- Variants ---------------------------------------------------------------------------------------------------------

#[derive(Clone, Copy, PartialEq)]
enum Variant {
    /// Envoy alone.
    Bare,
    /// Path, host and credential; nothing is to be done to the body, so it passes unread.
    Headers,
    /// Also the model is mapped and usage asked for: the body is scanned to its end and spliced as it passes.
    Edits,
}

impl Variant {
    const ALL: [Self; 3] = [Self::Bare, Self::Headers, Self::Edits];

    const fn name(self) -> &'static str {
        match self {
            Self::Bare => "no filter",
            Self::Headers => "headers only",
            Self::Edits => "body edited",
        }
    }

    fn config(self, upstream: SocketAddr) -> EnvoyConfig {
        let config = EnvoyConfig::new(upstream).concurrency(1).log_level("warning");
        let provider = |rest: Value| {
            let mut provider = json!({"type": "openai", "apiTokens": ["bench-token"]});
            if let (Some(provider), Value::Object(rest)) = (provider.as_object_mut(), rest) {
                provider.extend(rest);
            }
            json!({"provider": provider})
        };
        match self {
            Self::Bare => config.without_filter(),
            Self::Headers => config.waypost(&provider(json!({"includeUsage": "off"}))),
            Self::Edits => config.waypost(&provider(json!({"modelMapping": {MODEL: MAPPED_MODEL}}))),
        }
    }

    /// Whether the whole request arrived as it should.
    fn check(self, body: &Body, received: &Received) -> Result<(), Failed> {
        let (right_body, length_known) = match self {
            Self::Bare | Self::Headers => (received.body == body.bytes, true),
            Self::Edits => (received.json() == body.edited()?, false),
        };
        // A length that is still there shows that the filter left the body alone.
        if right_body && length_known != received.header("content-length").is_empty() {
            return Ok(());
        }
        Err(format!("{}, {}: the upstream got another request than it should", self.name(), body.name).into())
    }
}

/// A variant with the Envoy and the clients that belong to it.
struct Subject {
    variant: Variant,
    envoy: Envoy,
    clients: Vec<Client>,
}

impl Subject {
    async fn start(variant: Variant, upstream: &Upstream) -> Result<Self, Failed> {
        let envoy = Envoy::start(variant.config(upstream.address())).await?;
        let clients = (0..CONNECTIONS).map(|_| Client::http1(envoy.address())).collect();
        Ok(Self { variant, envoy, clients })
    }

    /// What the figures are of, for messages.
    fn place(&self, body: &Body) -> String {
        format!("{}, {}", self.variant.name(), body.name)
    }

    /// Sends one request, looks at the whole of what arrives, and returns what all that follow must look like there.
    async fn first(&mut self, body: &Body, upstream: &Upstream) -> Result<Arrival, Failed> {
        let place = self.place(body);
        let client = self.clients.first_mut().ok_or("no client")?;
        post(client, body.bytes.clone()).await.map_err(|error| format!("{place}: {error}"))?;
        let mut received = upstream.take().into_iter();
        let (Some(request), None) = (received.next(), received.next()) else {
            return Err(format!("{place}: it is not one request that arrived").into());
        };
        self.variant.check(body, &request)?;
        let authority = if self.variant == Variant::Bare { CLIENT_AUTHORITY } else { PROVIDER_AUTHORITY };
        let expected = Arrival { authority: authority.into(), path: PATH.into(), length: request.body.len() };
        expected.check(&request).map_err(|error| format!("{place}: {error}"))?;
        Ok(expected)
    }

    /// Sends requests for so long. Returns how many, and Envoy's CPU time for each, in microseconds.
    async fn cell(
        &mut self,
        body: &Body,
        expected: &Arrival,
        upstream: &Arc<Upstream>,
        time: Duration,
    ) -> Result<(u32, f64), Failed> {
        let before = self.cpu_time()?;
        let end = Instant::now().checked_add(time).ok_or("a cell without end")?;
        let mut loops = JoinSet::new();
        for client in self.clients.drain(..) {
            loops.spawn(closed_loop(client, body.bytes.clone(), expected.clone(), Arc::clone(upstream), end));
        }
        let (mut sent, mut arrived) = (0_u32, 0_u32);
        while let Some(done) = loops.join_next().await {
            let done = done?.map_err(|error| format!("{}: {error}\n{}", self.place(body), self.envoy.log()))?;
            self.clients.push(done.client);
            sent = sent.saturating_add(done.sent);
            arrived = arrived.saturating_add(done.arrived);
        }
        let after = self.cpu_time()?;
        if arrived != sent {
            return Err(format!("{}: {arrived} of {sent} requests arrived", self.place(body)).into());
        }
        if before.keys().any(|thread| !after.contains_key(thread)) {
            return Err(format!("{}: a thread of Envoy ended and took its CPU time along", self.place(body)).into());
        }
        let spent = after.values().sum::<Duration>().saturating_sub(before.values().sum());
        Ok((sent, spent.as_secs_f64() * 1e6 / f64::from(sent)))
    }

    /// The CPU time of each thread of Envoy.
    fn cpu_time(&self) -> Result<BTreeMap<String, Duration>, Failed> {
        let directory = format!("/proc/{}/task", self.envoy.pid());
        let mut threads = BTreeMap::new();
        for thread in fs::read_dir(&directory).map_err(|error| format!("{directory}: {error}"))? {
            let path = thread?.path().join("schedstat");
            let name = path.display().to_string();
            let text = fs::read_to_string(&path).map_err(|error| format!("{name}: {error}; it needs Linux"))?;
            let spent = text.split_whitespace().next().and_then(|nanoseconds| nanoseconds.parse().ok());
            threads.insert(name.clone(), Duration::from_nanos(spent.ok_or_else(|| format!("{name}: no time in it"))?));
        }
        Ok(threads)
    }

    /// Envoy's resident memory in MiB.
    fn memory(&mut self) -> Result<f64, Failed> {
        if !self.envoy.is_running() {
            return Err(format!("{}: Envoy has ended\n{}", self.variant.name(), self.envoy.log()).into());
        }
        Ok(Duration::from_secs(self.envoy.memory_kb("VmRSS")).as_secs_f64() / 1024.0)
    }
}

// -- Requests ---------------------------------------------------------------------------------------------------------

/// What every request of a cell looks like at the upstream.
#[derive(Clone)]
struct Arrival {
    authority: String,
    path: String,
    /// Of the body, in bytes.
    length: usize,
}

impl Arrival {
    fn check(&self, request: &Received) -> Result<(), Failed> {
        let Received { authority, path, body, .. } = request;
        if *authority == self.authority && *path == self.path && body.len() == self.length {
            return Ok(());
        }
        Err(format!("{} bytes arrived at {authority}{path}", body.len()).into())
    }
}

async fn post(client: &mut Client, body: Bytes) -> Result<(), Failed> {
    let request = Request::post(PATH)
        .header("host", CLIENT_AUTHORITY)
        .header("user-agent", "waypost-bench")
        .header("accept", "application/json")
        .header("authorization", "Bearer client-token")
        .header("content-type", "application/json")
        .body(whole(body))?;
    let response = client.send(request).await?;
    if response.status == 200 { Ok(()) } else { Err(format!("answered with {}", response.status).into()) }
}

/// What one connection did.
struct Done {
    client: Client,
    sent: u32,
    /// Requests that it found at the upstream, of all connections: none may pile up there, as some are long.
    arrived: u32,
}

/// Sends one request after the other over one connection.
async fn closed_loop(
    mut client: Client,
    body: Bytes,
    expected: Arrival,
    upstream: Arc<Upstream>,
    end: Instant,
) -> Result<Done, Failed> {
    let (mut sent, mut arrived) = (0_u32, 0_u32);
    while sent < MIN_REQUESTS || Instant::now() < end {
        post(&mut client, body.clone()).await?;
        sent = sent.saturating_add(1);
        for request in upstream.take() {
            expected.check(&request)?;
            arrived = arrived.saturating_add(1);
        }
    }
    Ok(Done { client, sent, arrived })
}

// -- Tables -----------------------------------------------------------------------------------------------------------

/// Figures of the rounds, in order.
#[derive(Clone, Default)]
struct Figures(Vec<f64>);

impl Figures {
    /// Round by round.
    fn minus(&self, other: &Self) -> Self {
        Self(self.0.iter().zip(&other.0).map(|(mine, other)| mine - other).collect())
    }

    fn sorted(&self) -> Vec<f64> {
        let mut sorted = self.0.clone();
        sorted.sort_by(f64::total_cmp);
        sorted
    }

    /// Of an even number, the lower one of the two in the middle.
    fn median(&self) -> f64 {
        let sorted = self.sorted();
        sorted.get(sorted.len().saturating_sub(1) / 2).copied().unwrap_or(f64::NAN)
    }

    /// Median, minimum and maximum.
    fn cell(&self) -> String {
        let sorted = self.sorted();
        let end = |value: Option<&f64>| value.copied().map(number).unwrap_or_default();
        format!("{} ({} to {})", number(self.median()), end(sorted.first()), end(sorted.last()))
    }
}

/// No more digits than mean something.
fn number(value: f64) -> String {
    let digits = usize::from(value.abs() < 100.0);
    format!("{value:.digits$}")
}

/// The first column is flush left, the others are flush right; the first row is the head.
fn print_table(title: &str, rows: &[Vec<String>]) {
    println!("\n{title}\n");
    let width = |column: usize| {
        rows.iter().filter_map(|row| row.get(column)).map(|cell| cell.chars().count()).max().unwrap_or_default()
    };
    for row in rows {
        let line: Vec<String> = row
            .iter()
            .enumerate()
            .map(|(column, cell)| match column {
                0 => format!("{cell:<width$}", width = width(column)),
                _ => format!("{cell:>width$}", width = width(column)),
            })
            .collect();
        println!("{}", line.join("   ").trim_end());
    }
}

/// Everything measured with one body, by variant in the order of [`Variant::ALL`].
struct Results {
    body: Body,
    cost: [Figures; Variant::ALL.len()],
    /// Requests that were measured.
    requests: [u32; Variant::ALL.len()],
    /// After the last round, in MiB.
    memory: Vec<f64>,
}

fn print_results(results: &[Results], memory_at_start: &[f64], plan: Plan) {
    let head = |first: &str, names: &[&str]| -> Vec<String> {
        std::iter::once(first).chain(names.iter().copied()).map(str::to_owned).collect()
    };
    let names = Variant::ALL.map(Variant::name);

    let mut rows = vec![head("body", &[&names[..], &["requests of a cell"]].concat())];
    for Results { body, cost, requests, .. } in results {
        let rounds = u32::try_from(plan.rounds).unwrap_or(u32::MAX);
        let each = requests.map(|count| count.checked_div(rounds).unwrap_or_default().to_string());
        let cells = cost.iter().map(Figures::cell);
        rows.push(std::iter::once(body.name.to_owned()).chain(cells).chain([each.join(" / ")]).collect());
    }
    let title = format!("Envoy's CPU time for a request, in µs: median of {} rounds (minimum to maximum)", plan.rounds);
    print_table(&title, &rows);

    let differences =
        ["headers only - no filter", "body edited - no filter", "body edited - headers only", "the same per KiB"];
    let mut rows = vec![head("body", &differences)];
    for Results { body, cost: [bare, headers, edits], .. } in results {
        let reading = edits.minus(headers);
        let kib = f64::from(u32::try_from(body.bytes.len()).unwrap_or(u32::MAX)) / 1024.0;
        rows.push(vec![
            body.name.to_owned(),
            headers.minus(bare).cell(),
            edits.minus(bare).cell(),
            reading.cell(),
            format!("{:.2}", reading.median() / kib),
        ]);
    }
    print_table("Differences within a round, in µs: median (minimum to maximum)", &rows);

    let mut rows = vec![head("after", &names)];
    let after = results.iter().map(|results| (results.body.name, results.memory.as_slice()));
    for (name, memory) in std::iter::once(("the start", memory_at_start)).chain(after) {
        rows.push(std::iter::once(name.to_owned()).chain(memory.iter().copied().map(number)).collect());
    }
    print_table("Envoy's resident memory, in MiB; the bodies were sent in this order", &rows);
}

// -- Run --------------------------------------------------------------------------------------------------------------

async fn measure(
    body: Body,
    subjects: &mut [Subject],
    upstream: &Arc<Upstream>,
    plan: Plan,
) -> Result<Results, Failed> {
    eprintln!("measuring: {}", body.name);
    let mut arrivals = Vec::new();
    for subject in &mut *subjects {
        let expected = subject.first(&body, upstream).await?;
        subject.cell(&body, &expected, upstream, plan.warm_up).await?;
        arrivals.push(expected);
    }
    let (mut cost, mut requests) = (<[Figures; Variant::ALL.len()]>::default(), <[u32; Variant::ALL.len()]>::default());
    for _ in 0..plan.rounds {
        let figures = cost.iter_mut().zip(&mut requests);
        for ((subject, expected), (figures, count)) in subjects.iter_mut().zip(&arrivals).zip(figures) {
            let (sent, spent) = subject.cell(&body, expected, upstream, plan.cell).await?;
            figures.0.push(spent);
            *count = count.saturating_add(sent);
        }
    }
    let memory = subjects.iter_mut().map(Subject::memory).collect::<Result<_, _>>()?;
    Ok(Results { body, cost, requests, memory })
}

/// What the figures depend on and the tables do not show.
async fn print_circumstances(envoy: &Envoy) -> Result<(), Failed> {
    let info: Value = serde_json::from_slice(&envoy.admin_get("/server_info").await?.body)?;
    let version = info
        .get("version")
        .and_then(Value::as_str)
        .and_then(|version| version.split('/').nth(1))
        .unwrap_or("of unknown version");
    let cores = std::thread::available_parallelism().map_or(0, usize::from);
    let load = fs::read_to_string("/proc/loadavg").unwrap_or_default();
    let load = load.split_whitespace().next().unwrap_or("unknown");
    println!("Envoy {version}, {cores} cores, load average before {load}");
    Ok(())
}

async fn run(plan: Plan) -> Result<(), Failed> {
    let bodies = Body::all()?;
    let answer = json!({"id": "chatcmpl-bench", "object": "chat.completion", "model": MODEL, "choices": []});
    let options = UpstreamOptions { fixed: Some(Answer::json(200, &answer)), ..UpstreamOptions::default() };
    let upstream = Arc::new(Upstream::listen(SocketAddr::from((Ipv4Addr::LOCALHOST, 0)), options).await?);
    let mut subjects = Vec::new();
    for variant in Variant::ALL {
        subjects.push(Subject::start(variant, &upstream).await?);
    }
    if let Some(subject) = subjects.first() {
        print_circumstances(&subject.envoy).await?;
    }
    let memory_at_start = subjects.iter_mut().map(Subject::memory).collect::<Result<Vec<_>, _>>()?;
    let mut results = Vec::new();
    for body in bodies {
        results.push(measure(body, &mut subjects, &upstream, plan).await?);
    }
    // A print that fails ends the program at once, and would leave them behind.
    drop(subjects);
    print_results(&results, &memory_at_start, plan);
    Ok(())
}

/// One thread for client and upstream, see the head of this file.
#[tokio::main(flavor = "current_thread")]
async fn main() -> ExitCode {
    let arguments: Vec<String> = std::env::args().skip(1).collect();
    let plan = match arguments.as_slice() {
        [] => FULL,
        [option] if option == "--quick" => QUICK,
        _ => {
            eprintln!("usage: bench_body [--quick]");
            return ExitCode::from(2);
        }
    };
    if cfg!(debug_assertions) {
        eprintln!("bench_body: built without --release, so the client may keep Envoy waiting");
    }
    // Either way the Envoys end with what holds them.
    let result = tokio::select! {
        result = run(plan) => result,
        () = support::stop_requested() => Err("stopped".into()),
    };
    match result {
        Ok(()) => ExitCode::SUCCESS,
        Err(error) => {
            eprintln!("bench_body: {error}");
            ExitCode::FAILURE
        }
    }
}
