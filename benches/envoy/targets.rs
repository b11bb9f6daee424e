//! What Waypost is held to, compared with what was measured.

use crate::figures::number;
use crate::report::Report;
use crate::variants::{EMPTY, EVERYTHING, NONE};
use std::fmt::Write as _;

/// Of a start with the filter over one without, in milliseconds.
const MAX_START_MS: f64 = 500.0;
/// The most that everything adds at 2 KB, as a multiple of what the empty filter adds.
const MAX_TIMES_EMPTY: f64 = 3.0;
/// The most that everything adds at 40 KB, in µs.
const MAX_40K_US: f64 = 45.0;
/// The most that everything adds at 1 MB and 8 MB, as a share of what Envoy spends without a filter.
const MAX_SHARE: f64 = 0.5;
/// For each event of a stream, over the empty filter, in µs.
const MAX_EVENT_US: f64 = 1.0;
/// For each callback with a piece of a body, over the empty filter, in µs.
const MAX_CALLBACK_US: f64 = 4.0;

struct Target {
    what: String,
    limit: f64,
    measured: f64,
}

/// The table of targets, in Markdown.
pub(crate) fn markdown(report: &Report) -> String {
    let mut text = String::from("| target | at most | measured | met |\n|---|---|---|---|\n");
    for Target { what, limit, measured } in targets(report) {
        let met = if measured.is_nan() {
            "not measured"
        } else if measured <= limit {
            "yes"
        } else {
            "no"
        };
        let _ = writeln!(text, "| {what} | {} | {} | {met} |", number(limit), number(measured));
    }
    text
}

fn targets(report: &Report) -> Vec<Target> {
    let added = |exchange: &str, id: &str, over: &str| {
        let results = report.results(exchange);
        results.map_or(f64::NAN, |results| report.added(results, id, over, |row| &row.cpu).median())
    };
    let bare = |exchange: &str| {
        let results = report.results(exchange);
        results.and_then(|results| report.row(results, NONE)).map_or(f64::NAN, |row| row.cpu.median())
    };
    let each_event = |exchange: &str| {
        let events = report.results(exchange).map_or(0, |results| results.exchange.events());
        added(exchange, EVERYTHING, EMPTY) / f64::from(u32::try_from(events).unwrap_or(u32::MAX))
    };
    let starts = |id: &str| report.subjects.iter().find(|subject| subject.variant.id == id).map(|one| &one.starts.wall);
    let start = match (starts(EVERYTHING), starts(NONE)) {
        (Some(everything), Some(none)) => everything.minus(none).median(),
        _ => f64::NAN,
    };
    let target = |what: &str, limit, measured| Target { what: what.to_owned(), limit, measured };
    vec![
        target(
            "2 KB, everything: times what the empty filter adds",
            MAX_TIMES_EMPTY,
            added("2k", EVERYTHING, NONE) / added("2k", EMPTY, NONE),
        ),
        target("40 KB, everything: µs added", MAX_40K_US, added("40k", EVERYTHING, NONE)),
        target("1 MB, everything: share of Envoy's own time", MAX_SHARE, added("1m", EVERYTHING, NONE) / bare("1m")),
        target("8 MB, everything: share of Envoy's own time", MAX_SHARE, added("8m", EVERYTHING, NONE) / bare("8m")),
        target("stream: µs for each event, over the empty filter", MAX_EVENT_US, each_event("sse")),
        target(
            "stream, one at a time: µs for each callback, over the empty filter",
            MAX_CALLBACK_US,
            each_event("sse-single"),
        ),
        target("start to ready: ms over Envoy without the filter", MAX_START_MS, start),
    ]
}
