//! Runs a folder of recorded exchanges through the code of the filter and prints what was found, by vendor:
//! `make corpus DIR=recordings`. The files are described in `tests/support/corpus.rs`; those of
//! `testdata/usage/exchanges` are examples.
#![allow(clippy::print_stdout, clippy::print_stderr, reason = "a program for people")]
#![allow(
    clippy::arithmetic_side_effects,
    clippy::expect_used,
    clippy::indexing_slicing,
    clippy::panic,
    clippy::string_slice,
    clippy::unwrap_used,
    reason = "a program of the tests: what it meets unexpectedly ends it"
)]

#[path = "../tests/support/corpus.rs"]
mod corpus;
#[path = "../fuzz/oracle/frame.rs"]
mod frame;

use std::collections::BTreeMap;
use std::path::Path;
use std::process::ExitCode;

/// What was found of one vendor.
#[derive(Default)]
struct Found {
    exchanges: usize,
    tokens: usize,
    models: usize,
    errors: usize,
    unexpected: usize,
}

/// The log fields that are shown of each exchange.
const SHOWN: [&str; 13] = [
    "operation",
    "model",
    "input_token",
    "output_token",
    "total_token",
    "cached_token",
    "cache_write_token",
    "reasoning_token",
    "billed_details",
    "finish_reason",
    "error_code",
    "usage_missing",
    "oversized_event",
];

fn main() -> ExitCode {
    let Some(folder) = std::env::args().nth(1) else {
        eprintln!("which folder? make corpus DIR=recordings");
        return ExitCode::FAILURE;
    };
    match run(Path::new(&folder)) {
        Ok(0) => ExitCode::SUCCESS,
        Ok(_) => ExitCode::FAILURE,
        Err(problem) => {
            eprintln!("{problem}");
            ExitCode::FAILURE
        }
    }
}

/// Prints everything; gives how many values are not those that were expected.
fn run(folder: &Path) -> Result<usize, String> {
    let mut vendors: BTreeMap<String, Found> = BTreeMap::new();
    for (path, steps) in corpus::read(folder)? {
        let name = path.strip_prefix(folder).unwrap_or(&path).display().to_string();
        let Some(first) = steps.first() else { continue };
        let config = match first.config() {
            Ok(config) => config,
            Err(problem) => {
                println!("{name}: {problem}");
                vendors.entry(first.vendor().to_owned()).or_default().unexpected += 1;
                continue;
            }
        };
        for recorded in &steps {
            let found = vendors.entry(recorded.vendor().to_owned()).or_default();
            found.exchanges += 1;
            let outcome = match recorded.exchange(&config, 4096) {
                Ok(outcome) => outcome,
                Err(problem) => {
                    println!("{name}: {problem}");
                    found.unexpected += 1;
                    continue;
                }
            };
            let record = &outcome.record;
            found.tokens += usize::from(record.tokens.is_known());
            found.models += usize::from(record.model().is_some());
            found.errors += usize::from(record.failed());
            let fields = outcome.fields();
            let shown = SHOWN.iter().filter(|field| !fields[**field].is_null());
            let shown: Vec<String> = shown.map(|field| format!("{field}={}", fields[*field])).collect();
            println!("{name}: {}", shown.join(" "));
            for (field, expected) in &recorded.expected {
                let value = outcome.value(field);
                if value != *expected {
                    println!("  {field} is {value} in place of {expected}");
                    found.unexpected += 1;
                }
            }
        }
    }
    println!(
        "\n{:<20} {:>9} {:>7} {:>7} {:>7} {:>11}",
        "vendor", "exchanges", "tokens", "model", "failed", "unexpected"
    );
    for (vendor, found) in &vendors {
        let Found { exchanges, tokens, models, errors, unexpected } = found;
        println!("{vendor:<20} {exchanges:>9} {tokens:>7} {models:>7} {errors:>7} {unexpected:>11}");
    }
    Ok(vendors.values().map(|found| found.unexpected).sum())
}
