//! What exchanges keep, against the budget of their VM.
#![cfg(not(target_family = "wasm"))]
#![allow(
    clippy::arithmetic_side_effects,
    clippy::expect_used,
    clippy::indexing_slicing,
    clippy::panic,
    reason = "a test that meets something unexpected fails"
)]

use miniz_oxide::deflate::compress_to_vec;
use serde_json::{Value, json};
use std::cell::Cell;
use waypost::config::{self, Config};
use waypost::exchange::head::Head;
use waypost::exchange::{BodyEffect, Ended, Exchange, HeadersEffect, Outcome, PartEffect, PartEnd, RequestHeaders};
use waypost::memory::{GivenUp, MIN_LIMIT, Memory};

/// A budget of so many bytes.
fn memory(limit: usize) -> Memory {
    let memory = Memory::default();
    memory.configure(1, Some(limit));
    memory
}

fn config() -> Config {
    let attributes = json!([
        {"key": "question", "apply_to_log": true},
        {"key": "answer", "rule": "append", "apply_to_log": true},
    ]);
    let config = json!({
        "provider": {"type": "openai", "apiTokens": ["token"]},
        "statistics": {"attributes": attributes, "value_length_limit": 1 << 20},
    });
    config::load(config.to_string().as_bytes()).expect("a configuration").config
}

fn head(headers: &[(&str, &str)]) -> Head {
    Head::new(headers.iter().map(|(name, value)| ((*name).to_owned(), value.as_bytes().to_vec())).collect())
}

/// An exchange whose request headers have gone out.
fn begin(config: &Config, memory: &Memory) -> Exchange {
    let mut exchange = Exchange::new(memory.clone(), 0);
    on_headers(&mut exchange, config);
    exchange
}

fn request() -> RequestHeaders {
    RequestHeaders {
        head: head(&[
            (":method", "POST"),
            (":path", "/v1/chat/completions"),
            (":authority", "gw"),
            ("content-type", "application/json"),
        ]),
        saved: None,
        route: None,
        cluster: None,
        end_of_stream: false,
    }
}

/// The same request with another header, or more.
fn request_with(headers: &[(&str, &str)]) -> RequestHeaders {
    let plain = request();
    let names = [":method", ":path", ":authority", "content-type"];
    let known = names.map(|name| (name, plain.head.text(name).expect("a header")));
    RequestHeaders { head: head(&[&known[..], headers].concat()), ..plain }
}

/// A configuration of this provider and no statistics.
fn config_of(provider: &Value) -> Config {
    config::load(json!({"provider": provider}).to_string().as_bytes()).expect("a configuration").config
}

fn mapping() -> Value {
    json!({"type": "openai", "apiTokens": ["token"], "modelMapping": {"a": "b"}})
}

/// Needs the model for its path, so that everything waits for the body.
fn azure() -> Value {
    json!({
        "type": "azure",
        "apiTokens": ["token"],
        "azureServiceUrl": "https://example.openai.azure.com?api-version=2024-10-21",
    })
}

fn gzip(text: &[u8]) -> Vec<u8> {
    [b"\x1f\x8b\x08\0\0\0\0\0\0\xff", &compress_to_vec(text, 6)[..], b"checksum"].concat()
}

/// A Zstandard frame with the largest window, of blocks that are not packed; without its end.
fn begun_zstd(text: &[u8]) -> Vec<u8> {
    let mut frame = vec![0x28, 0xb5, 0x2f, 0xfd, 0, 0x68];
    for block in text.chunks(128 << 10) {
        frame.extend(&(u32::try_from(block.len()).expect("a block") << 3).to_le_bytes()[..3]);
        frame.extend(block);
    }
    frame
}

fn on_headers(exchange: &mut Exchange, config: &Config) {
    assert!(matches!(exchange.on_request_headers(config, request()), HeadersEffect::Send(_)));
}

fn send(exchange: &mut Exchange, chunk: &[u8], end: bool) {
    assert!(!matches!(exchange.on_request_chunk(chunk, end), BodyEffect::Reply(_)));
    exchange.settle();
}

/// Begins the answer to a small request.
fn answer(exchange: &mut Exchange, headers: &[(&str, &str)]) {
    send(exchange, br#"{"model":"m","stream":true,"messages":[{"role":"user","content":"Which way?"}]}"#, true);
    exchange.on_response_headers(&head(headers), false, &|| 1);
}

fn receive(exchange: &mut Exchange, chunk: &[u8], end: bool) -> Vec<u8> {
    let left = exchange.on_response_chunk(chunk, end, &|| 1).unwrap_or(chunk).to_vec();
    exchange.settle();
    left
}

fn finish(exchange: &mut Exchange) -> Outcome {
    exchange.finish(&Ended::default()).expect("a record")
}

/// An attribute of a record.
fn attribute(outcome: &Outcome, key: &str) -> Value {
    let found = outcome.record.attributes.iter().find(|(known, _)| known == key);
    found.map_or(Value::Null, |(_, json)| serde_json::from_str(json).expect("JSON"))
}

const STREAM: [(&str, &str); 2] = [(":status", "200"), ("content-type", "text/event-stream")];

#[test]
fn copies_that_are_dropped_are_told_and_the_others_are_whole() {
    /// In bytes.
    const LIMIT: usize = 4 * MIN_LIMIT;
    let (config, memory) = (config(), memory(LIMIT));
    let content = "x".repeat(900 << 10);
    let begins = format!(r#"{{"model":"m","messages":[{{"role":"user","content":"{content}"#);
    let mut exchanges: Vec<Exchange> = (0..40).map(|_| begin(&config, &memory)).collect();
    for exchange in &mut exchanges {
        for piece in begins.as_bytes().chunks(16 << 10) {
            send(exchange, piece, false);
            assert!(memory.used() <= LIMIT, "{}", memory.used());
        }
    }
    let mut complete = 0;
    // The newest first, because what is found in them takes room too.
    for exchange in exchanges.iter_mut().rev() {
        send(exchange, br#""}]}"#, true);
        assert!(memory.used() <= LIMIT, "{}", memory.used());
        let outcome = finish(exchange);
        let whole = attribute(&outcome, "question") == content.as_str();
        assert_eq!(whole, !outcome.record.attributes_dropped);
        complete += u32::from(whole);
    }
    assert!((6..=16).contains(&complete), "{complete}");
    assert_eq!(memory.used(), 0);
}

#[test]
fn a_body_in_one_piece_needs_no_room() {
    let (config, memory) = (config(), memory(MIN_LIMIT));
    let mut others = Vec::new();
    for _ in 0..12 {
        let mut exchange = begin(&config, &memory);
        send(&mut exchange, format!(r#"{{"model":"m","messages":["{}"#, "x".repeat(900 << 10)).as_bytes(), false);
        others.push(exchange);
    }
    let before = memory.used();
    let mut exchange = begin(&config, &memory);
    answer(&mut exchange, &STREAM);
    assert_eq!(attribute(&finish(&mut exchange), "question"), "Which way?");
    assert!(memory.used() <= before);
}

/// An event that is not complete waits in memory if attributes look at it: without room they miss it, which is told, and
/// every byte arrives.
#[test]
fn events_without_room_pass_and_attributes_miss_them() {
    let (config, memory) = (config(), memory(MIN_LIMIT));
    let event = |content: &str| format!("data: {}\n\n", json!({"choices": [{"delta": {"content": content}}]}));
    let usage = "data: {\"choices\":[],\"usage\":{\"prompt_tokens\":1,\"completion_tokens\":2}}\n\n";
    let long = event(&"x".repeat(300 << 10));
    let mut streams = Vec::new();
    for _ in 0..20 {
        let mut exchange = begin(&config, &memory);
        answer(&mut exchange, &STREAM);
        let mut left = Vec::new();
        for piece in long.as_bytes()[..long.len() - 10].chunks(16 << 10) {
            left.extend(receive(&mut exchange, piece, false));
            assert!(memory.used() <= MIN_LIMIT, "{}", memory.used());
        }
        streams.push((exchange, left));
    }
    let mut missed = 0;
    for (exchange, left) in &mut streams {
        left.extend(receive(exchange, &long.as_bytes()[long.len() - 10..], false));
        left.extend(receive(exchange, usage.as_bytes(), false));
        left.extend(receive(exchange, b"data: [DONE]\n\n", true));
        assert_eq!(*left, [long.as_bytes(), b"data: [DONE]\n\n"].concat(), "all but the usage that nobody asked for");
        let outcome = finish(exchange);
        assert_eq!(outcome.record.tokens.total(), Some(3), "the next event is read");
        assert!(!outcome.record.oversized_event, "what is read as it passes is read whole");
        let dropped = outcome.record.attributes_dropped;
        assert_eq!(dropped, attribute(&outcome, "answer") != "x".repeat(300 << 10).as_str());
        missed += u32::from(dropped);
    }
    assert!((10..20).contains(&missed), "{missed} of 20");
    drop(streams);
    assert_eq!(memory.used(), 0);
}

#[test]
fn decoders_without_room_are_not_made() {
    let (config, memory) = (config(), memory(MIN_LIMIT));
    let gzip = [(":status", "200"), ("content-type", "application/json"), ("content-encoding", "gzip")];
    let mut exchanges: Vec<Exchange> = (0..100).map(|_| begin(&config, &memory)).collect();
    for exchange in &mut exchanges {
        answer(exchange, &gzip);
        assert!(memory.used() <= MIN_LIMIT);
    }
    let reasons: Vec<_> = exchanges.iter_mut().map(|exchange| finish(exchange).record.usage_source.reason()).collect();
    assert!(reasons.iter().filter(|reason| **reason == Some("no_memory")).count() > 50, "{reasons:?}");
    assert!(reasons.iter().filter(|reason| **reason == Some("absent")).count() > 5, "{reasons:?}");
    drop(exchanges);
    assert_eq!(memory.used(), 0);
}

/// What is found in streams is kept to their end.
#[test]
fn values_without_room_are_given_up() {
    let (config, memory) = (config(), memory(MIN_LIMIT));
    let event = format!("data: {}\n\n", json!({"choices": [{"delta": {"content": "x".repeat(10 << 10)}}]}));
    let mut exchanges: Vec<Exchange> = (0..10).map(|_| begin(&config, &memory)).collect();
    for exchange in &mut exchanges {
        answer(exchange, &STREAM);
    }
    for _ in 0..20 {
        for exchange in &mut exchanges {
            receive(exchange, event.as_bytes(), false);
            assert!(memory.used() <= MIN_LIMIT, "{}", memory.used());
        }
    }
    let outcomes: Vec<Outcome> = exchanges.iter_mut().map(finish).collect();
    let dropped = outcomes.iter().filter(|outcome| outcome.record.attributes_dropped).count();
    assert!((1..10).contains(&dropped), "{dropped}");
    for outcome in &outcomes {
        let whole = attribute(outcome, "answer").as_str().is_some_and(|answer| answer.len() == 20 * (10 << 10));
        assert_eq!(whole, !outcome.record.attributes_dropped);
    }
    drop(exchanges);
    assert_eq!(memory.used(), 0);
}

/// The beginning of a member that a body is edited in waits for its end. Without room for it, a stream is answered.
#[test]
fn unfinished_members_count_and_the_silent_are_given_up() {
    thread_local! {
        static TIME: Cell<u64> = const { Cell::new(0) };
    }
    let memory = Memory::new(|| TIME.get());
    memory.configure(1, Some(MIN_LIMIT));
    let config = config_of(&mapping());
    // An unfinished member is as long as it may get, and no name of a model yet.
    let unfinished = format!("{{\"messages\":[],\"stream_options\":{{\"x\":\"{}", "x".repeat(60 << 10));
    let mut silent = Vec::new();
    while !memory.has_victims() {
        let mut exchange = Exchange::new(memory.clone(), silent.len() as u32);
        on_headers(&mut exchange, &config);
        for piece in unfinished.as_bytes().chunks(10_000) {
            send(&mut exchange, piece, false);
            assert!(memory.used() <= MIN_LIMIT, "{}", memory.used());
        }
        TIME.set(TIME.get() + 100_000_000);
        silent.push(exchange);
    }
    assert!(silent.len() > 20, "{} streams", silent.len());
    let victims = memory.victims(usize::MAX);
    assert_eq!(victims.iter().map(|victim| (victim.context, victim.why)).collect::<Vec<_>>(), [(0, GivenUp::Stalled)]);
    // One that goes on all the same hears of it, and the others are as they were.
    let BodyEffect::Reply(reply) = silent[0].on_request_chunk(b"x", false) else { panic!("it goes on") };
    assert_eq!(reply.status, 408);
    let BodyEffect::Replace(bytes) = silent[1].on_request_chunk(br#""},"model":"a"}"#, true) else { panic!("no edit") };
    assert!(bytes.ends_with(br#","model":"b"}"#) && bytes.len() > 60 << 10, "{}", bytes.len());
    drop(silent);
    assert_eq!(memory.used(), 0);
}

/// Bodies that are wanted as a whole stay in the filter until they are complete (audit H3).
#[test]
fn audit_h3_held_bodies_count_and_the_silent_are_given_up() {
    thread_local! {
        static TIME: Cell<u64> = const { Cell::new(0) };
    }
    let memory = Memory::new(|| TIME.get());
    memory.configure(1, Some(MIN_LIMIT));
    let config = config_of(&azure());
    let body = format!(r#"{{"messages":["{}"],"model":"gpt-4o"}}"#, "x".repeat(200 << 10));
    let (begins, ends) = body.as_bytes().split_at(body.len() - 10);
    let mut silent = Vec::new();
    while !memory.has_victims() {
        let mut exchange = Exchange::new(memory.clone(), silent.len() as u32);
        assert!(matches!(exchange.on_request_headers(&config, request()), HeadersEffect::Hold { .. }));
        for piece in begins.chunks(16 << 10) {
            let effect = exchange.on_part_of_whole(&config, piece, PartEnd::Open);
            assert!(matches!(effect, PartEffect::Withhold(_)));
            assert!(memory.used() <= MIN_LIMIT, "{}", memory.used());
        }
        TIME.set(TIME.get() + 200_000_000);
        silent.push(exchange);
    }
    assert!(silent.len() > 8, "{} streams", silent.len());
    let victims = memory.victims(usize::MAX);
    assert_eq!(victims.iter().map(|victim| (victim.context, victim.why)).collect::<Vec<_>>(), [(0, GivenUp::Stalled)]);
    let effect = silent[0].on_part_of_whole(&config, b"x", PartEnd::Open);
    let PartEffect::Done(BodyEffect::Reply(reply)) = effect else { panic!("it goes on") };
    assert_eq!(reply.status, 408);
    let effect = silent[1].on_part_of_whole(&config, ends, PartEnd::Data);
    let PartEffect::Done(BodyEffect::Release { body: Some(whole), .. }) = effect else { panic!("not sent") };
    assert_eq!(whole, body.as_bytes());
    drop(silent);
    assert_eq!(memory.used(), 0);
}

/// What it takes to decompress a body stays from one chunk to the next: small states, long windows, and what has come
/// and has not been decompressed yet.
#[test]
fn decoders_of_compressed_requests_count_and_the_silent_are_given_up() {
    thread_local! {
        static TIME: Cell<u64> = const { Cell::new(0) };
    }
    let config = config_of(&mapping());
    // Hard to pack, with as many zeros behind each number as are wanted.
    let texts = |count: u32, zeros: usize| {
        let numbers = (1..=count).map(|n| format!("1{:0zeros$}{},", 0, n.wrapping_mul(2_654_435_761)));
        format!("{{\"x\":[{}", numbers.collect::<String>())
    };
    let text = texts(60_000, 1);
    let gzip_begun = gzip(text.as_bytes());
    // Three times what is unpacked at once, so that most of it waits.
    let packed = gzip(texts(60_000, 200).as_bytes());
    let bodies: [(&str, &[u8], usize); 3] = [
        ("gzip", &gzip_begun[..gzip_begun.len() - 9], 32 << 10),
        ("zstd", &begun_zstd(text.as_bytes()), 600 << 10),
        ("gzip", &packed[..packed.len() - 9], packed.len() / 4),
    ];
    for (coding, begins, least) in bodies {
        let memory = Memory::new(|| TIME.get());
        memory.configure(1, Some(MIN_LIMIT));
        let mut silent: Vec<Exchange> = Vec::new();
        let refused = loop {
            let mut exchange = Exchange::new(memory.clone(), silent.len() as u32);
            let effect = exchange.on_request_headers(&config, request_with(&[("content-encoding", coding)]));
            assert!(matches!(effect, HeadersEffect::Send(_)));
            if let BodyEffect::Reply(reply) = exchange.on_request_chunk(begins, false) {
                break reply;
            }
            silent.push(exchange);
            assert!(memory.used() <= MIN_LIMIT, "{coding}: {}", memory.used());
            assert!(memory.used() >= silent.len() * least, "{coding}: {} for {}", memory.used(), silent.len());
            TIME.set(TIME.get() + 2_000_000_000);
        };
        assert!(silent.len() >= 2, "{coding}: {} streams", silent.len());
        assert_eq!(refused.status, 503, "{coding}: its room comes back when others are answered");
        let victims = memory.victims(usize::MAX);
        assert_eq!(victims.first().map(|victim| (victim.context, victim.why)), Some((0, GivenUp::Stalled)), "{coding}");
        let BodyEffect::Reply(reply) = silent[0].on_request_chunk(b"x", false) else { panic!("it goes on") };
        assert_eq!(reply.status, 408);
        silent.drain(..victims.len());
        // Now there is room for the next one.
        let mut exchange = Exchange::new(memory.clone(), 1000);
        exchange.on_request_headers(&config, request_with(&[("content-encoding", coding)]));
        assert!(!matches!(exchange.on_request_chunk(begins, false), BodyEffect::Reply(_)), "{coding}");
        drop((exchange, silent));
        assert_eq!(memory.used(), 0);
    }
}

/// Clients may send nothing but long headers, which wait for the body.
#[test]
fn long_headers_that_wait_count_and_the_silent_are_given_up() {
    thread_local! {
        static TIME: Cell<u64> = const { Cell::new(0) };
    }
    let long = "x".repeat(50 << 10);
    let memory = Memory::new(|| TIME.get());
    memory.configure(1, Some(MIN_LIMIT));
    let config = config_of(&azure());
    let mut silent = Vec::new();
    while !memory.has_victims() {
        let mut exchange = Exchange::new(memory.clone(), silent.len() as u32);
        match exchange.on_request_headers(&config, request_with(&[("cookie", &long)])) {
            HeadersEffect::Hold { .. } => silent.push(exchange),
            HeadersEffect::Reply(reply) => assert_eq!(reply.status, 503),
            other => panic!("{other:?}"),
        }
        assert!(memory.used() <= MIN_LIMIT, "{}", memory.used());
        TIME.set(TIME.get() + 100_000_000);
    }
    assert!((40..64).contains(&silent.len()), "{} streams", silent.len());
    let victims = memory.victims(usize::MAX);
    assert_eq!(victims.iter().map(|victim| (victim.context, victim.why)).collect::<Vec<_>>(), [(0, GivenUp::Stalled)]);
    let body = br#"{"model":"gpt-4o"}"#;
    let effect = silent[0].on_part_of_whole(&config, body, PartEnd::Data);
    let PartEffect::Done(BodyEffect::Reply(reply)) = effect else { panic!("it goes on") };
    assert_eq!(reply.status, 408);
    let effect = silent[1].on_part_of_whole(&config, body, PartEnd::Data);
    assert!(matches!(effect, PartEffect::Done(BodyEffect::Release { .. })), "{effect:?}");
    // Usual headers cost nothing and are nobody's loss.
    let mut usual = Exchange::new(memory.clone(), 1000);
    let before = memory.used();
    let effect = usual.on_request_headers(&config, request_with(&[("cookie", long.get(..2000).expect("ASCII"))]));
    assert!(matches!(effect, HeadersEffect::Hold { .. }));
    assert_eq!(memory.used(), before);
    drop((silent, usual));
    assert_eq!(memory.used(), 0);
}

/// What clients write at any length is kept only as far as a record shows it.
#[test]
fn texts_of_clients_are_kept_only_as_far_as_they_are_shown() {
    const SHOWN: usize = waypost::telemetry::log::MAX_TEXT;
    let long = "é".repeat(20_000);
    let plain = json!({"type": "openai", "apiTokens": ["token"], "includeUsage": "off"});
    for (provider, chunks) in [(&plain, false), (&plain, true), (&azure(), true)] {
        let config = config_of(provider);
        let headers = request_with(&[("x-mse-consumer", &long), ("x-agent-session", &long)]);
        let mut exchange = Exchange::new(Memory::default(), 0);
        let effect = exchange.on_request_headers(&config, headers);
        let body = format!(r#"{{"model":"{long}","messages":[]}}"#);
        if matches!(effect, HeadersEffect::Hold { .. }) {
            let effect = exchange.on_part_of_whole(&config, body.as_bytes(), PartEnd::Data);
            assert!(matches!(effect, PartEffect::Done(BodyEffect::Release { .. })), "{effect:?}");
        } else {
            for piece in body.as_bytes().chunks(if chunks { 1000 } else { usize::MAX }) {
                send(&mut exchange, piece, false);
            }
            send(&mut exchange, b"", true);
        }
        let record = finish(&mut exchange).record;
        for text in [record.consumer, record.session_id, record.request_model, record.upstream_model] {
            assert_eq!(text.map(|text| text.len()), Some(SHOWN));
        }
        assert!(record.upstream_path.expect("a path").len() <= SHOWN);
    }
}
