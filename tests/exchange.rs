//! Whatever the pieces in which a response comes, its record and the bytes that leave are the same: every sample of
//! `testdata/usage`, framed as its vendor frames it, in every two pieces, byte by byte, and cut at random; plain and
//! compressed, with the usage hidden and shown.
#![cfg(not(target_family = "wasm"))]
#![allow(
    clippy::arithmetic_side_effects,
    clippy::expect_used,
    clippy::indexing_slicing,
    clippy::panic,
    clippy::unwrap_used,
    reason = "a test that meets something unexpected fails"
)]

#[path = "../fuzz/oracle/frame.rs"]
mod frame;

use proptest::collection::vec;
use proptest::prelude::*;
use proptest::sample::{Index, select};
use serde_json::{Value, json};
use std::cell::RefCell;
use std::collections::BTreeMap;
use std::fs;
use std::path::Path;
use std::sync::LazyLock;
use waypost::config::{Config, load};
use waypost::exchange::head::Head;
use waypost::exchange::{BodyEffect, Ended, Exchange, HeadersEffect, RequestHeaders};
use waypost::telemetry::{Record, UsageSource};

/// A response with what is expected of it, ready to be sent.
#[derive(Debug)]
struct Sample {
    name: String,
    content_type: &'static str,
    body: Vec<u8>,
    /// The body without the events that exist only because usage was asked for.
    without_usage: Vec<u8>,
    expected: Value,
}

static SAMPLES: LazyLock<Vec<Sample>> = LazyLock::new(|| {
    let directory = Path::new(env!("CARGO_MANIFEST_DIR")).join("testdata/usage");
    let entries = fs::read_dir(&directory).expect("the samples");
    let files = entries.map(|entry| entry.expect("an entry")).filter(|entry| entry.path().is_file());
    let names = files.map(|entry| entry.file_name().into_string().expect("a name"));
    let mut names: Vec<_> = names.filter(|name| !name.ends_with(".expected.json")).collect();
    names.sort();
    assert!(names.len() > 50, "samples are missing: {names:?}");
    let sample = |file: &String| {
        let (name, form) = file.rsplit_once('.').expect("a form");
        let text = fs::read_to_string(directory.join(file)).expect("a sample");
        let expected = fs::read(directory.join(format!("{name}.expected.json"))).expect("what is expected");
        sample(name, form, text, serde_json::from_slice(&expected).expect("JSON"))
    };
    names.iter().map(sample).collect()
});

fn sample(name: &str, form: &str, text: String, expected: Value) -> Sample {
    let hidden: Vec<u64> = expected["usage_only"].as_array().into_iter().flatten().filter_map(Value::as_u64).collect();
    let (content_type, body, without_usage) = match form {
        "sse" => {
            // An event with data is one that counts; each ends with its empty line.
            let mut number = 0;
            let mut rest = String::new();
            for block in text.split_inclusive("\n\n") {
                let counts = block.lines().any(|line| line.starts_with("data:"));
                if !(counts && hidden.contains(&number)) {
                    rest.push_str(block);
                }
                number += u64::from(counts);
            }
            ("text/event-stream; charset=utf-8", text.into_bytes(), rest.into_bytes())
        }
        "events" => {
            let lines = text.lines().filter(|line| !line.starts_with('#')).filter_map(|line| line.split_once(' '));
            let body: Vec<u8> = lines.flat_map(|(event, payload)| aws_event(event, payload.as_bytes())).collect();
            ("application/vnd.amazon.eventstream", body.clone(), body)
        }
        "ndjson" => ("application/x-ndjson", text.clone().into_bytes(), text.into_bytes()),
        _ => ("application/json", text.clone().into_bytes(), text.into_bytes()),
    };
    Sample { name: name.to_owned(), content_type, body, without_usage, expected }
}

fn aws_event(event: &str, payload: &[u8]) -> Vec<u8> {
    let kind = if event.ends_with("Exception") { ("exception", ":exception-type") } else { ("event", ":event-type") };
    let headers = [frame::header(":message-type", kind.0), frame::header(kind.1, event)].concat();
    frame::frame(&headers, payload)
}

/// The body as one gzip member.
fn gzip(body: &[u8]) -> Vec<u8> {
    let mut gzip = vec![0x1f, 0x8b, 8, 0, 0, 0, 0, 0, 0, 255];
    gzip.extend(miniz_oxide::deflate::compress_to_vec(body, 6));
    gzip.extend(frame::crc32(body).to_le_bytes());
    gzip.extend((body.len() as u32).to_le_bytes());
    gzip
}

/// What of a sample is sent, and how the client asked for it.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
struct Way {
    /// Whether the client asked for the usage of a stream itself.
    shown: bool,
    gzip: bool,
}

const WAYS: [Way; 4] = [
    Way { shown: true, gzip: false },
    Way { shown: false, gzip: false },
    Way { shown: true, gzip: true },
    Way { shown: false, gzip: true },
];

/// Compiled once for each provider: a hundred thousand exchanges need it.
fn with_config<T>(kind: &'static str, use_it: impl FnOnce(&Config) -> T) -> T {
    thread_local! {
        static CONFIGS: RefCell<BTreeMap<&'static str, Config>> = const { RefCell::new(BTreeMap::new()) };
    }
    CONFIGS.with_borrow_mut(|configs| {
        let config = configs.entry(kind).or_insert_with(|| {
            let configuration = json!({"provider": {"type": kind, "apiTokens": ["token"]}});
            load(configuration.to_string().as_bytes()).expect("a configuration").config
        });
        use_it(config)
    })
}

fn head(fields: &[(&str, &str)]) -> Head {
    Head::new(fields.iter().map(|(name, value)| ((*name).to_owned(), value.as_bytes().to_vec())).collect())
}

/// An exchange whose request has gone upstream.
fn requested(sample: &Sample, way: Way) -> Exchange {
    let (kind, path) = if sample.name == "gemini-array" {
        ("gemini", "/v1beta/models/gemini-2.5-flash:streamGenerateContent")
    } else {
        ("openai", "/v1/chat/completions")
    };
    let body: &[u8] = if way.shown {
        br#"{"model":"m","stream":true,"stream_options":{"include_usage":true}}"#
    } else {
        br#"{"model":"m","stream":true}"#
    };
    let mut exchange = Exchange::default();
    let fields = [(":method", "POST"), (":path", path), (":authority", "gw"), ("content-type", "application/json")];
    let request = RequestHeaders { head: head(&fields), saved: None, route: None, cluster: None, end_of_stream: false };
    let effect = with_config(kind, |config| exchange.on_request_headers(config, request));
    assert!(matches!(effect, HeadersEffect::Send(_)), "{}: {effect:?}", sample.name);
    let effect = exchange.on_request_chunk(body, true);
    assert_eq!(matches!(effect, BodyEffect::Replace(_)), !way.shown && kind == "openai", "{}", sample.name);
    exchange
}

/// How the end of a response is told.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum End {
    WithData,
    Alone,
}

/// The record and the bytes that leave, of a response that comes in these pieces.
fn answered(sample: &Sample, way: Way, pieces: &[&[u8]], end: End) -> (Record, Vec<u8>) {
    let mut exchange = requested(sample, way);
    let mut fields = vec![(":status", "200"), ("content-type", sample.content_type)];
    if way.gzip {
        fields.push(("content-encoding", "gzip"));
    }
    let clock = || 1;
    exchange.on_response_headers(&head(&fields), false, &clock);
    let mut parts: Vec<(&[u8], bool)> = pieces.iter().map(|piece| (*piece, false)).collect();
    match (end, parts.last_mut()) {
        (End::WithData, Some(last)) => last.1 = true,
        _ => parts.push((&[], true)),
    }
    let mut left = Vec::new();
    for (piece, end) in parts {
        match exchange.on_response_chunk(piece, end, &clock) {
            Some(bytes) => left.extend_from_slice(bytes),
            None => left.extend_from_slice(piece),
        }
    }
    let ended = Ended { now: 2, status: Some(200), details: "via_upstream".to_owned() };
    (exchange.finish(&ended).expect("a record").record, left)
}

/// The bytes on the wire, and those that must leave.
fn wire(sample: &Sample, way: Way) -> (Vec<u8>, Vec<u8>) {
    match way {
        // What is compressed is read, and left alone.
        Way { gzip: true, .. } => (gzip(&sample.body), gzip(&sample.body)),
        Way { shown: true, .. } => (sample.body.clone(), sample.body.clone()),
        Way { .. } => (sample.body.clone(), sample.without_usage.clone()),
    }
}

/// Compares what a plan leaves with what the whole left.
fn assert_same(sample: &Sample, way: Way, whole: &(Record, Vec<u8>), pieces: &[&[u8]], end: End) {
    let (record, left) = answered(sample, way, pieces, end);
    let lengths = || pieces.iter().map(|piece| piece.len()).collect::<Vec<_>>();
    assert!(left == whole.1, "{} {way:?} {end:?} {:?}: other bytes leave", sample.name, lengths());
    let (record, expected) = (format!("{record:?}"), format!("{:?}", whole.0));
    assert!(record == expected, "{} {way:?} {end:?} {:?}:\n{record}\n{expected}", sample.name, lengths());
}

#[test]
fn every_sample_gives_its_record_and_its_bytes() {
    for sample in SAMPLES.iter() {
        for way in WAYS {
            let (sent, expected) = wire(sample, way);
            let (record, left) = answered(sample, way, &[&sent], End::WithData);
            let name = format!("{} {way:?}", sample.name);
            assert_eq!(String::from_utf8_lossy(&left), String::from_utf8_lossy(&expected), "{name}");
            let usage = &sample.expected["usage"];
            let number = |key: &str| usage.get(key).and_then(Value::as_u64);
            let tokens = &record.tokens;
            assert_eq!(tokens.input, number("input"), "{name}");
            // What a stream delivers without telling is estimated.
            let estimated = record.usage_source == UsageSource::Estimated;
            assert_eq!(tokens.output.filter(|_| !estimated), number("output"), "{name}");
            assert_eq!(tokens.cached_input, number("cached_input"), "{name}");
            assert_eq!(tokens.cache_write, number("cache_write"), "{name}");
            assert_eq!(tokens.reasoning, number("reasoning"), "{name}");
            assert_eq!(record.response_model.as_deref(), sample.expected["model"].as_str(), "{name}");
            assert_eq!(record.chat_id.as_deref(), sample.expected["id"].as_str(), "{name}");
            let told = usage.as_object().is_some_and(|usage| !usage.is_empty());
            let source = if told { UsageSource::Upstream } else { UsageSource::None("absent") };
            assert!(record.usage_source == source || (estimated && !told && record.streamed), "{name}");
            assert!(!record.oversized_event, "{name}");
            assert_eq!(record.streamed, sample.content_type != "application/json" || sample.name == "gemini-array");
            assert_eq!(record.aborted, None, "{name}");
        }
    }
}

/// The record of a stream that ends in the middle, because one side went away. It comes in pieces of this size.
fn broken_off(events: &[String], size: usize, details: &str) -> Record {
    let sample = sample("broken off", "sse", events.concat(), Value::Null);
    let mut exchange = requested(&sample, Way { shown: false, gzip: false });
    let clock = || 1;
    exchange.on_response_headers(&head(&[(":status", "200"), ("content-type", sample.content_type)]), false, &clock);
    for piece in sample.body.chunks(size) {
        exchange.on_response_chunk(piece, false, &clock);
    }
    let ended = Ended { now: 2, status: Some(200), details: details.to_owned() };
    exchange.finish(&ended).expect("a record").record
}

/// The events of a stream, how many tokens are told for the input, and the figure of the output after each event.
type Delivery = (Vec<String>, Option<u64>, Vec<Option<u64>>);

/// A client that hangs up before the usage comes has used what it got, in whatever pieces it got it.
#[test]
fn a_stream_that_its_client_breaks_off_is_estimated_by_what_it_delivered() {
    let chat = |text: &str| format!("data: {{\"choices\":[{{\"index\":0,\"delta\":{{{text}}}}}]}}\n\n");
    let claude = |event: &str, rest: &str| format!("event: {event}\ndata: {{\"type\":\"{event}\",{rest}}}\n\n");
    let delta = |kind: &str, text: &str| {
        claude(
            "content_block_delta",
            &format!("\"index\":0,\"delta\":{{\"type\":\"{kind}_delta\",\"{kind}\":\"{text}\"}}"),
        )
    };
    let usage = "\"message\":{\"usage\":{\"input_tokens\":11,\"output_tokens\":2}}";
    let answer = |text: &str| format!("data: {{\"type\":\"response.output_text.delta\",\"delta\":\"{text}\"}}\n\n");
    let streams: [Delivery; 3] = [
        (
            vec![
                chat("\"role\":\"assistant\",\"content\":\"\""),
                chat("\"reasoning_content\":\"12345678\""),
                chat("\"content\":\"You\""),
                chat("\"content\":\" are\""),
                chat("\"content\":\" on\""),
            ],
            None,
            vec![None, Some(2), Some(3), Some(4), Some(5)],
        ),
        (
            vec![
                claude("message_start", usage),
                delta("thinking", "1234567890123456"),
                delta("text", "Four"),
                delta("text", " more"),
            ],
            Some(11),
            // What the vendor told stands until more than that is delivered.
            vec![Some(2), Some(4), Some(5), Some(6)],
        ),
        (vec![answer("12345"), answer("x"), answer("y")], None, vec![Some(2), Some(3), Some(4)]),
    ];
    for (events, input, expected) in streams {
        for (delivered, output) in (1..).zip(expected) {
            let events = &events[..delivered];
            let longest = events.concat().len();
            for size in [1, 2, 7, 64, events.last().map_or(1, String::len), longest] {
                let record = broken_off(events, size, "downstream_remote_disconnect");
                let name = format!("{delivered} events in pieces of {size}: {record:?}");
                assert_eq!((record.tokens.input, record.tokens.output), (input, output), "{name}");
                assert_eq!(record.tokens.total(), output.map(|output| input.unwrap_or(0) + output), "{name}");
                let source = match (output, input) {
                    (None, _) => UsageSource::None("absent"),
                    (Some(2), Some(_)) => UsageSource::Partial,
                    _ => UsageSource::Estimated,
                };
                assert_eq!(
                    (record.usage_source, record.time_per_output_token()),
                    (source, record.time_per_output_token().filter(|_| source == UsageSource::Partial)),
                    "{name}"
                );
                // What the upstream breaks off has failed.
                let failed = broken_off(events, size, "upstream_reset_after_response_started{connection_termination}");
                assert_ne!(failed.usage_source, UsageSource::Estimated, "{name}");
            }
        }
    }
}

#[test]
fn two_pieces_are_the_same_wherever_they_part() {
    for sample in SAMPLES.iter() {
        for way in WAYS {
            let (sent, _) = wire(sample, way);
            let whole = answered(sample, way, &[&sent], End::WithData);
            for cut in 0..=sent.len() {
                let (first, second) = sent.split_at(cut);
                let end = if cut % 2 == 0 { End::WithData } else { End::Alone };
                assert_same(sample, way, &whole, &[first, second], end);
            }
        }
    }
}

#[test]
fn single_bytes_are_the_same_as_the_whole() {
    for sample in SAMPLES.iter() {
        for way in WAYS {
            let (sent, _) = wire(sample, way);
            let whole = answered(sample, way, &[&sent], End::Alone);
            let pieces: Vec<_> = sent.chunks(1).collect();
            for end in [End::WithData, End::Alone] {
                assert_same(sample, way, &whole, &pieces, end);
            }
        }
    }
}

/// The bytes cut at these places.
fn cut<'b>(bytes: &'b [u8], cuts: &[Index]) -> Vec<&'b [u8]> {
    let mut places: Vec<_> = cuts.iter().map(|cut| cut.index(bytes.len() + 1)).collect();
    places.extend([0, bytes.len()]);
    places.sort_unstable();
    places.windows(2).map(|pair| &bytes[pair[0]..pair[1]]).collect()
}

proptest! {
    #![proptest_config(ProptestConfig { cases: 1_000, failure_persistence: None, ..ProptestConfig::default() })]

    #[test]
    fn random_plans_are_the_same_as_the_whole(
        sample in any::<Index>(),
        way in select(WAYS.to_vec()),
        cuts in vec(any::<Index>(), 0..40),
        end in select(vec![End::WithData, End::Alone]),
    ) {
        let sample = &SAMPLES[sample.index(SAMPLES.len())];
        let (sent, _) = wire(sample, way);
        let whole = answered(sample, way, &[&sent], End::WithData);
        assert_same(sample, way, &whole, &cut(&sent, &cuts), end);
    }

    /// Whatever a stream is cut into, a client never waits for a whole event that is its own.
    #[test]
    fn whole_events_never_wait(sample in any::<Index>(), cuts in vec(any::<Index>(), 0..40)) {
        let streams: Vec<_> = SAMPLES.iter().filter(|sample| sample.content_type.starts_with("text/event")).collect();
        let sample = streams[sample.index(streams.len())];
        let way = Way { shown: false, gzip: false };
        let (sent, expected) = wire(sample, way);
        let mut exchange = requested(sample, way);
        exchange.on_response_headers(&head(&[("content-type", sample.content_type)]), false, &|| 1);
        let (mut given, mut left) = (0, 0);
        for piece in cut(&sent, &cuts) {
            given += piece.len();
            left += exchange.on_response_chunk(piece, false, &|| 1).map_or(piece.len(), <[u8]>::len);
            // The whole events so far that are the client's own.
            let whole = sent[..given].windows(2).rposition(|end| end == b"\n\n").map_or(0, |at| at + 2);
            let own = whole.min(expected.len()).saturating_sub(hidden_before(sample, whole));
            assert!(left >= own, "{}: {left} of {own} bytes left after {given}", sample.name);
        }
    }
}

/// How many bytes before this place are of events that are hidden.
fn hidden_before(sample: &Sample, place: usize) -> usize {
    let same = sample.body.iter().zip(&sample.without_usage).take_while(|(a, b)| a == b).count();
    if place <= same { 0 } else { sample.body.len() - sample.without_usage.len() }
}
