//! A mixed load of hostile clients, while others are served as if nothing happened.
//!
//! Slow, half-open, aborting, wrong and huge clients keep one worker of a real Envoy busy; a victim on their listener
//! and one on another listener of the same VM send twenty requests a second each. Every one of them is answered right
//! and in time, memory levels off, and no VM fails.
//!
//! `WAYPOST_SOAK_SECONDS` says how long (60 if unset; `make soak`: 600), `WAYPOST_SOAK_SEED` repeats a run.
#![cfg(not(target_family = "wasm"))]
#![allow(
    clippy::arithmetic_side_effects,
    clippy::expect_used,
    clippy::indexing_slicing,
    clippy::panic,
    clippy::print_stdout,
    reason = "a test that meets something unexpected fails"
)]

mod support;

use hyper::Request;
use serde_json::{Value, json};
use std::net::{Ipv4Addr, SocketAddr};
use std::str::FromStr;
use std::sync::Arc;
use std::sync::atomic::{AtomicBool, AtomicU64, Ordering};
use std::time::{Duration, Instant};
use support::client::{Client, whole};
use support::{Envoy, EnvoyConfig, Upstream, UpstreamOptions};
use tokio::io::{AsyncReadExt as _, AsyncWriteExt as _};
use tokio::net::TcpStream;
use tokio::task::JoinSet;
use tokio::time::{MissedTickBehavior, interval, sleep, timeout};

/// How long the load lasts unless the environment says otherwise, in seconds.
const SECONDS: u64 = 60;

/// What the first numbers of a run follow from.
const SEED: u64 = 20_260_727;

/// How long the victims are measured without the load.
const QUIET: Duration = Duration::from_secs(5);

/// How often each victim sends.
const EVERY: Duration = Duration::from_millis(50);

/// How many hostile clients there are at a time.
const HOSTILE: usize = 24;

/// The most that a hostile client sends in one request, in bytes.
const HUGE: usize = 3 << 20;

/// How much slower than in quiet a victim may be served, and what counts as quiet at least: on a busy machine with two
/// cores a client that only sends now and then waits that long for its turn. What a client without Envoy waits at the
/// same time counts as quiet too.
const SLOWER: u32 = 10;
const QUIET_AT_LEAST: Duration = Duration::from_millis(20);

/// The budget of the VM, in bytes, and what the process may still grow by after two thirds of the time, in KiB.
const BUDGET: u64 = 16 << 20;
const GROWTH_KB: u64 = 24 << 10;

fn environment<T: FromStr>(name: &str, unset: T) -> T {
    std::env::var(name).ok().and_then(|value| value.parse().ok()).unwrap_or(unset)
}

/// Numbers that look random and follow from the seed (xorshift64).
struct Random(u64);

impl Random {
    fn new(seed: u64, stream: u64) -> Self {
        Self(seed.wrapping_add(stream).wrapping_mul(0x9e37_79b9_7f4a_7c15) | 1)
    }

    fn below(&mut self, bound: usize) -> usize {
        self.0 ^= self.0 << 13;
        self.0 ^= self.0 >> 7;
        self.0 ^= self.0 << 17;
        (self.0 % bound as u64) as usize
    }

    fn of<T: Copy>(&mut self, list: &[T]) -> T {
        list[self.below(list.len())]
    }

    fn milliseconds(&mut self, most: usize) -> Duration {
        Duration::from_millis(self.below(most) as u64)
    }
}

// -- The two listeners -------------------------------------------------------------------------------------------------

/// What is attacked: everything that keeps something.
fn attacked() -> Value {
    json!({
        "maxMemoryBytes": BUDGET,
        "_rules_": [{
            "_match_domain_": ["azure.test"],
            "provider": {
                "type": "azure",
                "apiTokens": ["token"],
                "azureServiceUrl": "https://example.openai.azure.com?api-version=2024-10-21",
                "modelMapping": {"gpt-4o": "prod-4o"},
            },
        }],
        "provider": {"type": "openai", "apiTokens": ["token"], "modelMapping": {"gpt-4o": "mapped-4o"}},
        "statistics": {"use_default_attributes": true},
    })
}

fn config(upstream: SocketAddr) -> EnvoyConfig {
    let config = EnvoyConfig::new(upstream).waypost(&attacked());
    config.edit(|bootstrap| {
        let listeners = bootstrap["static_resources"]["listeners"].as_array_mut().expect("listeners");
        let mut other = listeners[0].clone();
        other["name"] = json!("other");
        let filter = &mut other["filter_chains"][0]["filters"][0]["typed_config"]["http_filters"][0];
        filter["typed_config"]["config"]["configuration"]["value"] = json!(
            json!({"provider": {"type": "openai", "apiTokens": ["other"], "modelMapping": {"gpt-4o": "other-4o"}}})
                .to_string()
        );
        listeners.push(other);
        // Hostile clients need more connections than Envoy allows a cluster by default.
        let many = json!({"max_connections": 10_000, "max_pending_requests": 10_000, "max_requests": 10_000});
        bootstrap["static_resources"]["clusters"][0]["circuit_breakers"] = json!({"thresholds": [many]});
    })
}

async fn other_address(envoy: &Envoy) -> SocketAddr {
    let page = envoy.admin_get("/listeners?format=json").await.expect("the listeners").body;
    let listeners: Value = serde_json::from_slice(&page).expect("JSON");
    let other = listeners["listener_statuses"].as_array().expect("a list").iter().find(|one| one["name"] == "other");
    let port = other.expect("a listener")["local_address"]["socket_address"]["port_value"].as_u64();
    SocketAddr::from((Ipv4Addr::LOCALHOST, port.and_then(|port| u16::try_from(port).ok()).expect("a port")))
}

// -- Victims -----------------------------------------------------------------------------------------------------------

/// Sends as long as it may; gives what each request took, in order.
async fn victim(address: SocketAddr, model: &'static str, until: Instant) -> Vec<Duration> {
    let mut client = Client::http1(address);
    let mut times = Vec::new();
    let mut ticks = interval(EVERY);
    ticks.set_missed_tick_behavior(MissedTickBehavior::Delay);
    while Instant::now() < until {
        ticks.tick().await;
        let number = times.len();
        let stream = number.is_multiple_of(3);
        let content = format!("question {number}");
        let body = json!({"model": "gpt-4o", "stream": stream, "messages": [{"role": "user", "content": content}]});
        let request = Request::post("/v1/chat/completions").header("host", "gw");
        let request = request.header("content-type", "application/json").body(whole(body.to_string()));
        let sent = Instant::now();
        let response = client.send(request.expect("a request")).await;
        times.push(sent.elapsed());
        let response = response.unwrap_or_else(|error| panic!("request {number} to {model}: {error}"));
        let text = response.text();
        assert_eq!(response.status, 200, "request {number} to {model}: {text}");
        assert!(text.contains(&format!("\"model\":\"{model}\"")), "request {number}: {text}");
        assert_eq!(text.contains("data: [DONE]"), stream, "request {number}: {text}");
    }
    times
}

fn p99(times: &[Duration]) -> Duration {
    let mut sorted = times.to_vec();
    sorted.sort_unstable();
    sorted[(sorted.len() * 99 / 100).min(sorted.len() - 1)]
}

/// Whom each series of times is of. The last one does not go through Envoy: what it has to wait, the machine is busy.
const VICTIMS: [&str; 3] = ["same listener", "other listener", "no Envoy"];

/// All at once, as in [`VICTIMS`].
async fn victims(addresses: [SocketAddr; 3], time: Duration) -> [Vec<Duration>; 3] {
    let until = Instant::now() + time;
    let [same, other, none] = addresses;
    let same = tokio::spawn(victim(same, "mapped-4o", until));
    let other = tokio::spawn(victim(other, "other-4o", until));
    let none = tokio::spawn(victim(none, "gpt-4o", until));
    [same.await, other.await, none.await].map(|times| times.expect("every request is answered right"))
}

// -- Hostile clients ---------------------------------------------------------------------------------------------------

/// The heads that they send: two providers, a known length, chunks, or a compressed body.
fn head(random: &mut Random, length: usize) -> String {
    let host = random.of(&["gw", "azure.test"]);
    let framing = match random.below(5) {
        0 => "transfer-encoding: chunked".to_owned(),
        1 => format!("content-encoding: gzip\r\ncontent-length: {length}"),
        _ => format!("content-length: {length}"),
    };
    format!("POST /v1/chat/completions HTTP/1.1\r\nhost: {host}\r\ncontent-type: application/json\r\n{framing}\r\n\r\n")
}

/// A body that begins well and is as long as is wanted, some of them only as far as they are sent.
fn body(random: &mut Random, length: usize) -> Vec<u8> {
    let start = random.of(&[
        "{\"messages\":[{\"role\":\"user\",\"content\":\"",
        "{\"model\":\"gpt-4o\",\"messages\":[{\"role\":\"user\",\"content\":\"",
        "{\"stream\":true,\"model\":\"gpt-4o\",\"stream_options\":{\"x\":\"",
        "{\"model\":\"",
        "{\"tools\":[{\"description\":\"",
    ]);
    let mut body = start.as_bytes().to_vec();
    body.resize(length.max(body.len()), b'x');
    body
}

/// What no server should take.
const WRONG: [&str; 12] = [
    "GET / HTTP/1.1\r\n\r\n",
    "\u{16}\u{3}\u{1}\u{2}",
    "POST /v1/../v1/chat/completions HTTP/1.1\r\nhost: gw\r\ncontent-length: 2\r\n\r\n{}",
    "POST /v1/chat/completions HTTP/1.1\r\nhost: gw\r\ncontent-length: 5\r\ntransfer-encoding: chunked\r\n\r\n0\r\n\r\n",
    "POST /v1/chat/completions HTTP/1.1\r\nhost: gw\r\ntransfer-encoding: chunked\r\n\r\nzz\r\n{}\r\n0\r\n\r\n",
    "POST /v1/chat/completions HTTP/1.1\r\nhost: azure.test\r\ncontent-length: 2\r\n\r\n[]",
    "POST /v1/chat/completions HTTP/1.1\r\nhost: azure.test\r\ncontent-length: 20\r\n\r\n{\"model\":1,\"model\":2}",
    "POST /v1/chat/completions HTTP/1.1\r\nhost: gw\r\ncontent-length: 31\r\n\r\n{\"model\":\"gpt-4o\",\"model\":\"x\"}}",
    "POST /v1/chat/completions HTTP/1.1\r\nhost: gw\r\ncontent-type: multipart/form-data; boundary=x\r\ncontent-length: 5\r\n\r\n--x--",
    "POST /v1/audio/transcriptions HTTP/1.1\r\nhost: gw\r\ncontent-type: multipart/form-data; boundary=\"\r\ncontent-length: 5\r\n\r\n--x--",
    "POST /v1/chat/completions HTTP/1.1\r\nhost: gw\r\ncontent-encoding: gzip\r\ncontent-length: 6\r\n\r\n\u{1f}abcde",
    "PRI * HTTP/2.0\r\n\r\nSM\r\n\r\nnonsense",
];

/// One hostile client, from its connection to its end. Whatever it meets is right.
async fn hostile(address: SocketAddr, random: &mut Random) -> std::io::Result<()> {
    let mut stream = timeout(Duration::from_secs(5), TcpStream::connect(address)).await??;
    match random.below(8) {
        // Half open: nothing, or half a head.
        0 => {
            let half = head(random, 100);
            let cut = random.below(half.len());
            stream.write_all(&half.as_bytes()[..cut]).await?;
            sleep(random.milliseconds(3000)).await;
        }
        // A head, and no body.
        1 => {
            stream.write_all(head(random, 1000).as_bytes()).await?;
            sleep(random.milliseconds(4000)).await;
        }
        // A body a few bytes at a time.
        2 => {
            let body = body(random, 500);
            stream.write_all(head(random, 100_000).as_bytes()).await?;
            for piece in body.chunks(50) {
                stream.write_all(piece).await?;
                sleep(random.milliseconds(500)).await;
            }
        }
        // Most of a large body, then silence.
        3 => {
            let length = 1 + random.below(1 << 20);
            let body = body(random, length);
            stream.write_all(head(random, length + 1).as_bytes()).await?;
            timeout(Duration::from_secs(2), stream.write_all(&body)).await??;
            sleep(random.milliseconds(4000)).await;
        }
        // A reset in the middle.
        4 => {
            let length = 1 + random.below(200_000);
            let body = body(random, length);
            stream.write_all(head(random, length * 2).as_bytes()).await?;
            stream.write_all(&body).await?;
            #[expect(deprecated, reason = "tokio warns of waiting when it is dropped, which no time does not")]
            stream.set_linger(Some(Duration::ZERO))?;
        }
        5 => {
            stream.write_all(random.of(&WRONG).as_bytes()).await?;
            let _ = timeout(Duration::from_millis(300), stream.read_buf(&mut Vec::new())).await;
        }
        // As large as it gets, whole.
        6 => {
            let length = 1 + random.below(HUGE);
            let mut body = body(random, length);
            let end = b"\"}],\"model\":\"gpt-4o\"}";
            body.extend_from_slice(end);
            stream.write_all(head(random, body.len()).as_bytes()).await?;
            timeout(Duration::from_secs(5), stream.write_all(&body)).await??;
            let _ = timeout(Duration::from_secs(2), stream.read_buf(&mut Vec::new())).await;
        }
        // A stream that is not read.
        _ => {
            let body = json!({"model": "gpt-4o", "stream": true, "messages": []}).to_string();
            let head = format!(
                "POST /v1/chat/completions HTTP/1.1\r\nhost: gw\r\ncontent-type: application/json\r\ncontent-length: {}\r\n\r\n",
                body.len()
            );
            for _ in 0..=random.below(20) {
                stream.write_all(head.as_bytes()).await?;
                stream.write_all(body.as_bytes()).await?;
            }
            sleep(random.milliseconds(2000)).await;
        }
    }
    Ok(())
}

// -- The test ----------------------------------------------------------------------------------------------------------

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn victims_are_served_while_hostile_clients_do_what_they_can() {
    let seconds = environment("WAYPOST_SOAK_SECONDS", SECONDS);
    let seed = environment("WAYPOST_SOAK_SEED", SEED);
    let free = SocketAddr::from((Ipv4Addr::LOCALHOST, 0));
    let options = UpstreamOptions { forget: true, ..UpstreamOptions::default() };
    let upstream = Upstream::listen(free, options).await.expect("a free loopback port");
    let envoy = Envoy::start(config(upstream.address())).await.unwrap_or_else(|error| panic!("{error}"));
    let addresses = [envoy.address(), other_address(&envoy).await, upstream.address()];
    let quiet = victims(addresses, QUIET).await;
    let stats = envoy.wasm_stats().await;

    let stop = Arc::new(AtomicBool::new(false));
    let attempts = Arc::new(AtomicU64::new(0));
    let mut clients = JoinSet::new();
    for number in 0..HOSTILE as u64 {
        let (stop, attempts, address) = (Arc::clone(&stop), Arc::clone(&attempts), envoy.address());
        clients.spawn(async move {
            let mut random = Random::new(seed, number);
            while !stop.load(Ordering::Relaxed) {
                let _ = hostile(address, &mut random).await;
                attempts.fetch_add(1, Ordering::Relaxed);
                sleep(random.milliseconds(100)).await;
            }
        });
    }
    // Memory in each third of the time, at its highest.
    let third = Duration::from_secs(seconds) / 3;
    let (mut times, mut highest) = ([const { Vec::new() }; 3], Vec::new());
    for _ in 0..3 {
        let (served, memory) = tokio::join!(victims(addresses, third), highest_memory(&envoy, third));
        for (all, some) in times.iter_mut().zip(served) {
            all.extend(some);
        }
        highest.push(memory);
    }
    stop.store(true, Ordering::Relaxed);
    while let Some(done) = clients.join_next().await {
        done.expect("hostile clients end");
    }

    let attempts = attempts.load(Ordering::Relaxed);
    println!("seed {seed}, {seconds} s: {attempts} hostile clients; memory {highest:?} KiB");
    let machine = p99(&times[2]).max(QUIET_AT_LEAST);
    for (place, (quiet, loaded)) in VICTIMS.iter().zip(quiet.iter().zip(&times)) {
        let (before, now) = (p99(quiet), p99(loaded));
        println!("{place}: p99 {before:?} in quiet, {now:?} of {} requests under load", loaded.len());
        assert!(now < before.max(machine) * SLOWER, "{place}: {now:?} in place of {before:?}");
    }
    assert!(highest[2] < highest[1] + GROWTH_KB, "memory grows: {highest:?} KiB");
    assert_eq!(envoy.wasm_stats().await, stats, "a VM failed");
    let complaints: Vec<String> = envoy.complaints().into_iter().filter(|line| line.contains("wasm")).collect();
    assert_eq!(complaints, Vec::<String>::new());
    assert!(attempts > seconds, "there was no load");
}

/// The most that Envoy needs during this time, in KiB.
async fn highest_memory(envoy: &Envoy, time: Duration) -> u64 {
    let until = Instant::now() + time;
    let mut highest = 0;
    while Instant::now() < until {
        highest = highest.max(envoy.memory_kb("VmRSS"));
        sleep(Duration::from_millis(250)).await;
    }
    highest
}
