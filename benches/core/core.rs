//! How long each part of the core takes on this machine: `make bench-core`; `make bench-core ONLY=json` for some.
//!
//! For the moment between two edits. What a request costs in Envoy says `make bench`, and what a change costs in
//! instructions say the tests; times here are of another compiler and depend on what else the machine does.

#[path = "../../tests/support/exchanges.rs"]
mod exchanges;

use criterion::{BatchSize, Criterion, Throughput, criterion_group, criterion_main};
use exchanges::{Headers, everything};
use std::fs;
use std::hint::black_box;
use std::path::Path;
use waypost::config::{self, Config};
use waypost::exchange::decide::{Body, Client, decide};
use waypost::exchange::head::Head;
use waypost::exchange::{BodyEffect, Ended, Exchange, HeadersEffect, Outcome, RequestHeaders};
use waypost::framing::{Framer, Framing};
use waypost::json::{self, Appender, Edit, Editor, Keys, Members, Scanner};
use waypost::operation::ClientPath;
use waypost::telemetry::{Fields, Host, Kind, Labels, Series, log, samples};
use waypost::usage::{Collector, Table};

/// Bytes of the JSON bodies.
const SIZES: [usize; 3] = [2 * 1024, 40 * 1024, 1024 * 1024];

fn testdata(file: &str) -> Vec<u8> {
    let path = Path::new(env!("CARGO_MANIFEST_DIR")).join("../../testdata").join(file);
    fs::read(&path).unwrap_or_else(|error| panic!("{}: {error}", path.display()))
}

fn bytes(chunks: &[Vec<u8>]) -> Throughput {
    Throughput::Bytes(chunks.iter().map(|chunk| chunk.len() as u64).sum())
}

fn configured() -> Config {
    config::load(everything().to_string().as_bytes()).expect("a configuration").config
}

fn head(headers: &Headers) -> Head {
    Head::new(headers.iter().map(|(name, value)| ((*name).to_owned(), value.clone().into_bytes())).collect())
}

fn exchange(name: &str) -> exchanges::Exchange {
    exchanges::all().into_iter().find(|exchange| exchange.name == name).expect("an exchange of that name")
}

/// Maps the model, as the filter does.
struct Map;

impl Members for Map {
    type Error = json::Error;

    fn member(&mut self, key: usize, _: &str) -> Result<Edit, json::Error> {
        Ok(if key == 0 { Edit::value(r#""gpt-4o-2024-11-20""#.to_owned()) } else { Edit::Keep })
    }

    fn end(&mut self, _: &mut Appender) -> Result<(), json::Error> {
        Ok(())
    }
}

fn json_bodies(c: &mut Criterion) {
    let keys = || Keys::new(["model", "stream", "stream_options"]).expect("keys");
    let mut group = c.benchmark_group("json");
    for size in SIZES {
        let body = exchanges::chat_body(size, true);
        group.throughput(Throughput::Bytes(size as u64));
        group.bench_function(format!("scan/{size}"), |b| {
            b.iter(|| {
                let (mut scanner, mut rest) = (Scanner::new(keys()), black_box(body.as_slice()));
                while let Ok(Some(event)) = scanner.scan(&mut rest) {
                    black_box(event);
                }
            });
        });
        group.bench_function(format!("splice/{size}"), |b| {
            b.iter(|| {
                let mut editor = Editor::new(keys());
                for chunk in black_box(&body).chunks(exchanges::CHUNK) {
                    black_box(editor.feed(chunk, &mut Map).expect("a body"));
                }
            });
        });
    }
    group.finish();
}

fn paths(c: &mut Criterion) {
    let config = configured();
    let mut group = c.benchmark_group("path");
    for target in ["/v1/chat/completions", "/team-a/openai/v1/embeddings?a=1", "/v1/models/gpt-4o", "/elsewhere"] {
        group.bench_function(format!("operation{target}"), |b| {
            b.iter(|| ClientPath::parse(black_box(target)).operation)
        });
        let mut headers = exchange("chat-2k").request;
        if let Some((_, path)) = headers.iter_mut().find(|(name, _)| *name == ":path") {
            target.clone_into(path);
        }
        let head = head(&headers);
        group.bench_function(format!("decide{target}"), |b| {
            b.iter(|| {
                let client = Client { authority: Some(b"gw"), path: Some(target.as_bytes()), ..Client::default() };
                decide(&config, black_box(client), &head, Body::Pending)
            });
        });
    }
    group.finish();
}

fn responses(c: &mut Criterion) {
    let table = Table::new();
    let stream = exchanges::events();
    let mut group = c.benchmark_group("response");
    group.throughput(bytes(&stream));
    group.bench_function("frame/300-events", |b| {
        b.iter(|| {
            let mut framer = Framer::new(Framing::Sse);
            for chunk in &stream {
                framer.feed(black_box(chunk), &mut |part| {
                    black_box(part.raw.len());
                });
            }
        });
    });
    group.bench_function("usage/300-events", |b| {
        b.iter(|| {
            let (mut framer, mut collector) = (Framer::new(Framing::Sse), Collector::new(&table));
            for chunk in &stream {
                framer.feed(black_box(chunk), &mut |part| {
                    if let Some(message) = part.message {
                        collector.message(message.event, &message.data);
                    }
                });
            }
            collector.into_facts()
        });
    });
    for file in ["anthropic-thinking-and-tool.sse", "gemini-stream.sse", "responses-completed.sse"] {
        let stream = testdata(&format!("usage/{file}"));
        group.throughput(Throughput::Bytes(stream.len() as u64));
        group.bench_function(format!("usage/{file}"), |b| {
            b.iter(|| {
                let (mut framer, mut collector) = (Framer::new(Framing::Sse), Collector::new(&table));
                framer.feed(black_box(&stream), &mut |part| {
                    if let Some(message) = part.message {
                        collector.message(message.event, &message.data);
                    }
                });
                collector.into_facts()
            });
        });
    }
    for (name, document) in [
        ("openai-chat.json", testdata("usage/openai-chat.json")),
        ("gemini.json", testdata("usage/gemini.json")),
        ("embeddings-100k", exchanges::vectors(100_000)),
    ] {
        group.throughput(Throughput::Bytes(document.len() as u64));
        group.bench_function(format!("usage/{name}"), |b| {
            b.iter(|| {
                let mut collector = Collector::new(&table);
                for chunk in black_box(&document).chunks(exchanges::CHUNK) {
                    collector.feed(chunk);
                }
                collector.finish_document();
                collector.into_facts()
            });
        });
    }
    group.finish();
}

fn configurations(c: &mut Criterion) {
    let mut group = c.benchmark_group("config");
    let small = everything().to_string().into_bytes();
    let rules = testdata("config/ok/higress-rules.json");
    for (name, document) in [("one-provider", small), ("higress-rules.json", rules)] {
        group.bench_function(format!("load/{name}"), |b| b.iter(|| config::load(black_box(&document))));
    }
    group.finish();
}

/// A host that grants everything.
struct Granting;

impl Host for Granting {
    fn admit(&mut self, _: &str) -> bool {
        true
    }

    fn define(&mut self, _: Kind, _: &str) -> Option<u32> {
        Some(1)
    }

    fn count(&mut self, _: Kind, id: u32, value: u64) {
        black_box((id, value));
    }
}

/// One exchange from its headers to its record.
fn drive(config: &Config, data: &exchanges::Exchange, request: Head, response: &Head) -> Option<Outcome> {
    let mut exchange = Exchange::default();
    let end_of_stream = data.request_body.is_empty();
    let request = RequestHeaders { head: request, saved: None, route: None, cluster: None, end_of_stream };
    if let HeadersEffect::Reply(reply) = exchange.on_request_headers(config, request) {
        black_box(reply);
    }
    for (index, chunk) in data.request_body.iter().enumerate() {
        let effect = exchange.on_request_chunk(chunk, index.saturating_add(1) == data.request_body.len());
        if let BodyEffect::Reply(reply) = effect {
            panic!("refused: {}", reply.body);
        }
    }
    exchange.on_response_headers(response, false, &|| 1);
    for (index, chunk) in data.response_body.iter().enumerate() {
        let end = index.saturating_add(1) == data.response_body.len();
        black_box(exchange.on_response_chunk(chunk, end, &|| 2));
    }
    exchange.finish(&Ended { now: 3, ..Ended::default() })
}

fn telemetry(c: &mut Criterion) {
    let config = configured();
    let data = exchange("stream-300");
    let Outcome { record, statistics, .. } =
        drive(&config, &data, head(&data.request), &head(&data.response)).expect("a record");
    let mut group = c.benchmark_group("telemetry");
    group.bench_function("ai_log", |b| b.iter(|| log::ai_log(&Fields::of(black_box(&record)), None)));
    group.bench_function("flat", |b| {
        b.iter(|| {
            let fields = Fields::of(black_box(&record));
            log::flat(&fields, statistics.log_fields, &mut |name, value| {
                black_box((name, value));
            });
        });
    });
    let mut series = Series::new(config.max_series());
    group.bench_function("metrics", |b| {
        b.iter(|| {
            let labels = Labels::new(black_box(&record), statistics.metrics, &statistics.models, &statistics.consumers);
            series.count(&mut Granting, &samples(&record, statistics.metrics), &labels);
        });
    });
    group.finish();
}

fn exchanges_as_a_whole(c: &mut Criterion) {
    let mut group = c.benchmark_group("exchange");
    for data in exchanges::all().into_iter().filter(|data| !data.path.is_empty()) {
        let config = config::load(data.config.to_string().as_bytes()).expect("a configuration").config;
        let response = head(&data.response);
        group.bench_function(data.name, |b| {
            b.iter_batched(
                || head(&data.request),
                |request| drive(&config, &data, request, &response),
                BatchSize::SmallInput,
            );
        });
    }
    group.finish();
}

criterion_group!(benches, json_bodies, paths, responses, configurations, telemetry, exchanges_as_a_whole);
criterion_main!(benches);
