//! How often the core allocates memory for six exchanges, held to committed figures; and that a stream that flows
//! allocates nothing at all.
//!
//! This is the core on this machine, without the bindings of the host: those allocate a buffer for the headers and for
//! each body.
#![cfg(not(target_family = "wasm"))]
#![allow(
    clippy::arithmetic_side_effects,
    clippy::indexing_slicing,
    clippy::panic,
    clippy::unwrap_used,
    reason = "a test that meets something unexpected fails"
)]

#[path = "support/baseline.rs"]
mod baseline;
#[path = "support/exchanges.rs"]
mod exchanges;

use allocation_counter::measure;
use baseline::Complaints;
use exchanges::Headers;
use serde_json::{Map, Value, json};
use waypost::config::{self, Config};
use waypost::exchange::head::Head;
use waypost::exchange::{BodyEffect, Ended, Exchange, HeadersEffect, Outcome, RequestHeaders, WantsBody};
use waypost::telemetry::{Fields, Host, Kind, Labels, Series, log, samples};

const FIGURES: &str = "allocations.json";

/// Allocations by step, in order.
type Steps = Vec<(&'static str, u64)>;

/// Events after which every buffer has its size.
const SETTLED: usize = 10;

/// A host that grants everything.
struct Granting;

impl Host for Granting {
    fn admit(&mut self, _: &str) -> bool {
        true
    }

    fn define(&mut self, _: Kind, _: &str) -> Option<u32> {
        Some(1)
    }

    fn count(&mut self, _: Kind, _: u32, _: u64) {}
}

fn head(headers: &Headers) -> Head {
    Head::new(headers.iter().map(|(name, value)| ((*name).to_owned(), value.clone().into_bytes())).collect())
}

/// How often this allocates, and what it gives.
fn count<T>(run: impl FnOnce() -> T) -> (u64, T) {
    let mut result = None;
    let info = measure(|| result = Some(run()));
    (info.count_total, result.unwrap())
}

/// What the filter does with a record.
fn report(outcome: &Outcome, series: &mut Series) -> usize {
    let Outcome { record, statistics, .. } = outcome;
    let fields = Fields::of(record);
    let text = log::ai_log(&fields, None).unwrap_or_default();
    let mut flat = 0_usize;
    log::flat(&fields, statistics.log_fields, &mut |name, value| flat += name.len() + value.len());
    let labels = Labels::new(record, statistics.metrics, &statistics.models, &statistics.consumers);
    series.count(&mut Granting, &samples(record, statistics.metrics), &labels);
    text.len() + flat
}

/// Drives one exchange; gives what each step allocates, and each chunk of the response.
fn drive(data: &exchanges::Exchange, config: &Config, series: &mut Series) -> (Steps, Vec<u64>) {
    let mut steps = Vec::new();
    let mut exchange = Exchange::default();
    let request = RequestHeaders {
        head: head(&data.request),
        saved: None,
        route: None,
        cluster: None,
        end_of_stream: data.request_body.is_empty(),
    };
    let (allocations, effect) = count(|| exchange.on_request_headers(config, request));
    steps.push(("request headers", allocations));
    let refused = match effect {
        HeadersEffect::Send(_) => false,
        HeadersEffect::Reply(_) => true,
        other => panic!("{}: {other:?}", data.name),
    };
    let mut in_body = 0;
    for (index, chunk) in data.request_body.iter().enumerate() {
        if exchange.wants_body() == WantsBody::Chunks {
            let end = index + 1 == data.request_body.len();
            let (allocations, effect) = count(|| exchange.on_request_chunk(chunk, end));
            assert!(!matches!(effect, BodyEffect::Reply(_)), "{}: {effect:?}", data.name);
            in_body += allocations;
        }
    }
    steps.push(("request body", in_body));

    let clock = || 1_000_000;
    let mut chunks = Vec::new();
    if exchange.is_metered() {
        let response = if refused { vec![(":status", "404".to_owned())] } else { data.response.clone() };
        let head = head(&response);
        let (allocations, _) = count(|| exchange.on_response_headers(&head, data.response_body.is_empty(), &clock));
        steps.push(("response headers", allocations));
        for (index, chunk) in data.response_body.iter().enumerate() {
            let end = index + 1 == data.response_body.len();
            let (allocations, _) = count(|| exchange.on_response_chunk(chunk, end, &clock).map(<[u8]>::len));
            chunks.push(allocations);
        }
        steps.push(("response body", chunks.iter().sum()));
        let (allocations, outcome) = count(|| exchange.finish(&Ended { now: 2_000_000, ..Ended::default() }).unwrap());
        steps.push(("record", allocations));
        let (allocations, _) = count(|| report(&outcome, series));
        steps.push(("log fields and metrics", allocations));
    }
    (steps, chunks)
}

/// The second of two runs, when the series of metrics are known.
fn warm(data: &exchanges::Exchange) -> (Steps, Vec<u64>) {
    let config = config::load(data.config.to_string().as_bytes()).unwrap().config;
    let mut series = Series::new(config.max_series());
    drive(data, &config, &mut series);
    drive(data, &config, &mut series)
}

#[test]
fn an_exchange_allocates_no_more_often_than_committed() {
    let measured: Vec<(&str, Steps)> = exchanges::all().iter().map(|data| (data.name, warm(data).0)).collect();
    if baseline::writes() {
        let figures: Map<String, Value> = measured
            .iter()
            .map(|(name, steps)| {
                let steps: Map<String, Value> =
                    steps.iter().map(|(step, count)| ((*step).to_owned(), json!(count))).collect();
                ((*name).to_owned(), Value::Object(steps))
            })
            .collect();
        baseline::write(FIGURES, &baseline::pretty(&Value::Object(figures)));
        return;
    }
    let known = baseline::figures(FIGURES);
    let mut complaints = Complaints::default();
    for (name, steps) in &measured {
        for (step, count) in steps {
            let before = known[*name][*step].as_u64();
            if before.is_none_or(|before| *count > before) {
                let before = before.map_or_else(|| "none known".to_owned(), |before| before.to_string());
                complaints.add(&format!("{name}, {step}: {count} in place of {before}"));
            } else if before.is_some_and(|before| *count < before) {
                baseline::note(&format!(
                    "{name}, {step}: {count} allocations in place of {}: good; hold it with: make cost-baseline",
                    before.unwrap_or_default()
                ));
            }
        }
    }
    complaints.settle("An exchange allocates more often than before");
}

/// Beyond the buffer that the host hands the chunk over in, which the core does not see.
#[test]
fn a_stream_that_flows_allocates_nothing() {
    let stream = exchanges::all().into_iter().find(|data| data.name == "stream-300").unwrap();
    let (_, chunks) = warm(&stream);
    let flowing = &chunks[SETTLED..chunks.len() - 2];
    assert!(flowing.iter().all(|allocations| *allocations == 0), "{flowing:?}");
}
