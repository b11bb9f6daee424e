//! What the shipped file costs its host: instructions and host calls of six exchanges, held to committed figures.
//!
//! The file runs in an interpreter that counts, behind a host without network, clock or chance (`support/vm.rs`), so
//! the figures are the same on every machine and in every run. They are no times: Envoy spends some two thousand
//! instructions of its own on a property that is set, the interpreter none. They show what a change does, to the digit;
//! what it is worth says `make bench-exact`.
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
mod support;
#[path = "support/vm.rs"]
mod vm;
#[path = "support/worst.rs"]
mod worst;

use baseline::Complaints;
use exchanges::Exchange;
use serde_json::{Map, Value, json};
use std::collections::BTreeMap;
use std::fs;
use std::process::Command;
use vm::{Cost, Seen, Vm};

/// Instructions and host calls of each exchange.
const FIGURES: &str = "wasm.json";

/// Every host call of one exchange, and what it is for.
const CALLS: &str = "chat-2k.calls.txt";

/// The exchange of [`CALLS`].
const LISTED: &str = "chat-2k";

/// By how many percent instructions may rise. Below that a change of the compiler's mind is not a change of ours.
const MARGIN: u64 = 5;

/// The same where another compiler built the file than the one of the figures.
const FOREIGN_MARGIN: u64 = 20;

/// What the host calls of [`LISTED`] are for: callback, function, the beginning of what it is about, purpose.
const PURPOSES: &[(&str, &str, &str, &str)] = &[
    ("context_create", "clock_time_get", "", "when the request came, for every duration of the record"),
    ("request_headers", "get_header_map_pairs", "request", "all request headers at once"),
    (
        "request_headers",
        "get_property",
        "xds.route_name",
        "the route: what was called, and a label in Higress's metrics",
    ),
    ("request_headers", "set_property", "clear_route_cache", "Higress keeps the route although the path changes"),
    ("request_headers", "set_property", "waypost.client", "host and path of the client, for a retry of this request"),
    ("request_headers", "set_header_map_pairs", "request", "all request headers at once"),
    ("request_headers", "remove_header_map_value", "authorization", "the client's credential stays here"),
    ("request_headers", "remove_header_map_value", "content-length", "the body may change while the headers are away"),
    ("request_headers", "replace_header_map_value", ":path", "the upstream path"),
    ("request_headers", "replace_header_map_value", ":authority", "the upstream host"),
    ("request_headers", "replace_header_map_value", "x-envoy-original-", "the client's own, for what comes after"),
    ("request_headers", "replace_header_map_value", "authorization", "the operator's credential"),
    ("request_headers", "replace_header_map_value", "accept-encoding", "a response that can be read for its usage"),
    ("request_body", "get_buffer_bytes", "request", "the body, to find the model"),
    ("request_body", "set_buffer_bytes", "request", "the body with the mapped model"),
    ("response_headers", "get_header_map_pairs", "response", "status, type and encoding of the response"),
    ("response_body", "get_buffer_bytes", "response", "the body, to find the usage"),
    ("response_body", "clock_time_get", "", "when the first byte came, and the end"),
    ("log", "clock_time_get", "", "when the exchange ended"),
    ("log", "get_property", "ai_log", "what other plugins wrote there"),
    ("log", "set_property", "ai_log", "the record, for Higress's access log"),
    ("log", "set_property", "waypost_", "a field of the record, for any access log"),
    ("log", "increment_metric", "", "a counter"),
    ("log", "record_metric", "", "a histogram"),
];

fn wasm() -> Vec<u8> {
    if let Some(problem) = support::wasm_problem() {
        panic!("{problem}");
    }
    fs::read(support::wasm_path()).unwrap()
}

/// By how much the instructions of a callback may rise when an input has twice the size. What takes `n log n` is just
/// above two; what takes the square of the size is near four.
const MAX_GROWTH: f64 = 2.3;

/// Instructions that a callback may take in any case: what makes growth of less a matter of chance.
const FIXED: u64 = 50_000;

/// audit C2, H2 and their kin: no input takes more than in proportion to its size. Instructions of the interpreter
/// compare an input with one of its own kind only; `make bench-worst` measures them beside a plain body.
#[test]
fn no_input_costs_more_than_in_proportion_to_its_size() {
    const SIZE: usize = 4 * 1024;
    let vm = Vm::new(&wasm());
    let mut complaints = Vec::new();
    for input in worst::INPUTS {
        let callbacks = |size: usize| vm.run(&(input.make)(size)).0.callbacks;
        let (half, whole) = (callbacks(SIZE), callbacks(2 * SIZE));
        assert_eq!(half.len(), whole.len(), "{}: the same callbacks", input.name);
        for (half, whole) in half.iter().zip(&whole) {
            let growth = whole.fuel as f64 / half.fuel.max(1) as f64;
            if whole.fuel > FIXED && growth > MAX_GROWTH {
                complaints.push(format!("{}: {} grows {growth:.2} times, to {}", input.name, whole.name, whole.fuel));
            }
        }
    }
    assert!(complaints.is_empty(), "more than {MAX_GROWTH} times for twice the size:\n{}", complaints.join("\n"));
}

/// The compiler of this machine, which is the one that built the file.
fn compiler() -> String {
    let version = Command::new("rustc").arg("--version").output().map(|output| output.stdout).unwrap_or_default();
    String::from_utf8_lossy(&version).trim().to_owned()
}

/// Whether the filter did what the exchange is there to measure.
fn check(exchange: &Exchange, seen: &Seen) {
    let contains = |bytes: &[u8], text: &str| bytes.windows(text.len().max(1)).any(|part| part == text.as_bytes());
    let name = exchange.name;
    assert_eq!(seen.replied.is_some(), exchange.path.is_empty(), "{name}: {:?}", seen.replied);
    if !exchange.path.is_empty() {
        assert_eq!(seen.path, exchange.path, "{name}");
        assert!(exchange.body.is_empty() || contains(&seen.body, exchange.body), "{name}: the body upstream");
    }
    let record = seen.properties.get("ai_log").map(Vec::as_slice).unwrap_or_default();
    for part in exchange.record {
        assert!(contains(record, part), "{name}: {part} is not in {}", String::from_utf8_lossy(record));
    }
    assert_eq!(exchange.record.is_empty(), record.is_empty(), "{name}: {}", String::from_utf8_lossy(record));
}

/// How often each function was called.
fn counts(cost: &Cost) -> BTreeMap<&str, u64> {
    let mut counts = BTreeMap::new();
    for (_, function, _) in &cost.calls {
        *counts.entry(function.as_str()).or_default() += 1;
    }
    counts
}

/// Compares one exchange with what is committed of it.
fn compare(name: &str, cost: &Cost, known: &Value, margin: u64, complaints: &mut Complaints) {
    let Some(fuel) = known["fuel"].as_u64() else {
        complaints.add(&format!("{name}: there are no figures of it"));
        return;
    };
    let percent = i128::from(cost.fuel) * 100 / i128::from(fuel.max(1)) - 100;
    let line = format!("{name}: {} instructions in place of {fuel} ({percent:+} %)", cost.fuel);
    if cost.fuel * 100 > fuel * (100 + margin) {
        complaints.add(&line);
    } else if cost.fuel * 100 < fuel * (100 - MARGIN) {
        baseline::note(&format!("{line}: good; hold it with: make cost-baseline"));
    }
    let before: BTreeMap<&str, u64> = known["calls"]
        .as_object()
        .into_iter()
        .flatten()
        .filter_map(|(function, count)| Some((function.as_str(), count.as_u64()?)))
        .collect();
    let now = counts(cost);
    let (all_now, all_before): (u64, u64) = (now.values().sum(), before.values().sum());
    if all_now > all_before {
        let more = now.iter().filter(|(function, count)| before.get(*function).copied().unwrap_or_default() < **count);
        let more: Vec<String> = more
            .map(|(function, count)| {
                format!("{function} {count} in place of {}", before.get(function).copied().unwrap_or_default())
            })
            .collect();
        complaints.add(&format!("{name}: {all_now} host calls in place of {all_before}: {}", more.join(", ")));
    } else if all_now < all_before {
        baseline::note(&format!(
            "{name}: {all_now} host calls in place of {all_before}: good; hold it with: make cost-baseline"
        ));
    }
}

/// The table of [`CALLS`].
fn table(cost: &Cost) -> String {
    let mut out = format!(
        "The {} host calls of {LISTED}, in order, and what each is for. Written by: make cost-baseline\n\n",
        cost.calls.len()
    );
    let mut last = "";
    for (callback, function, about) in &cost.calls {
        // The labels of a metric stand before its name.
        let about = about.rsplit(";.;").next().unwrap_or_default();
        let purpose = PURPOSES
            .iter()
            .find(|(at, name, start, _)| at == callback && name == function && about.starts_with(start))
            .map_or("", |(_, _, _, purpose)| *purpose);
        assert!(!purpose.is_empty(), "what is {function} {about} of {callback} for? Say it in PURPOSES");
        let section = if *callback == last { "" } else { callback };
        last = callback;
        let line = format!("{section:<17}{:<63}{purpose}", format!("{function} {about}").trim_end());
        out.push_str(line.trim_end());
        out.push('\n');
    }
    out
}

#[test]
fn an_exchange_costs_no_more_instructions_and_host_calls_than_committed() {
    let vm = Vm::new(&wasm());
    let costs: Vec<(&str, Cost)> = exchanges::all()
        .iter()
        .map(|exchange| {
            let (cost, seen) = vm.run(exchange);
            check(exchange, &seen);
            (exchange.name, cost)
        })
        .collect();
    let calls = costs.iter().find(|(name, _)| *name == LISTED).map(|(_, cost)| table(cost)).unwrap();
    let compiler = compiler();

    if baseline::writes() {
        let figures: Map<String, Value> = costs
            .iter()
            .map(|(name, cost)| ((*name).to_owned(), json!({"fuel": cost.fuel, "calls": counts(cost)})))
            .collect();
        baseline::write(FIGURES, &baseline::pretty(&json!({"compiler": compiler, "exchanges": figures})));
        baseline::write(CALLS, &calls);
        return;
    }

    let known = baseline::figures(FIGURES);
    let mut margin = MARGIN;
    if known["compiler"] != json!(compiler) {
        margin = FOREIGN_MARGIN;
        baseline::note(&format!(
            "the figures are of {}, this is {compiler}: instructions may differ by {margin} %",
            known["compiler"]
        ));
    }
    let mut complaints = Complaints::default();
    for (name, cost) in &costs {
        compare(name, cost, &known["exchanges"][*name], margin, &mut complaints);
    }
    complaints.settle("An exchange costs more than before");
    assert_eq!(calls, baseline::read(CALLS), "the host calls of {LISTED} differ. {}", baseline::REMEDY);
}
