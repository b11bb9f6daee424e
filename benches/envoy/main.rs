//! What Waypost costs inside a real Envoy, beside Envoy alone, an empty filter, Envoy's own filter for AI requests, and
//! any other wasm. `make bench` runs it and prints the tables; `benches/README.md` says how to read them.
//!
//! One Envoy for each variant ([`variants`]), each with one worker and the shipped `envoy/envoy.yaml`; in front of each
//! a closed loop ([`load`]), behind all of them one upstream ([`upstream`]). Client and upstream share the one thread
//! of this program, which leaves a core to Envoy. The variants take turns within each round ([`measure`]), and a
//! difference is taken within a round, because neighbours of the two processes move all figures of a round together.
//! CPU time and latency are measured apart: the one with enough connections to keep Envoy busy, the other with one.
#![allow(clippy::print_stderr, clippy::print_stdout, reason = "a program that talks to its user")]

mod exchanges;
mod figures;
mod load;
mod measure;
mod plot;
mod report;
#[path = "../../tests/support/mod.rs"]
mod support;
mod targets;
mod upstream;
mod variants;

use exchanges::Exchange;
use measure::{CONNECTIONS, Plan};
use report::Report;
use std::env;
use std::error::Error;
use std::fs;
use std::process::ExitCode;
use std::time::Duration;
use upstream::Upstream;
use variants::{EMPTY, NONE, Variant};

pub(crate) type Failed = Box<dyn Error + Send + Sync>;

/// Many short rounds rather than few long ones: other work on the machine comes in bursts, which a median leaves out.
const PLAN: Plan = Plan {
    rounds: 11,
    cpu: Duration::from_millis(400),
    latency: Duration::from_millis(250),
    warm_up: Duration::from_millis(600),
};

const HELP: &str = "\
Environment:
  BENCH_ROUNDS=N    rounds of each kind of request
  BENCH_ONLY=A,B    only these kinds of requests (2k, 40k, embeddings, sse, sse-single, 1m, 8m) and variants (path,
                    everything, native, peer); no filter and the empty one are always there
  BENCH_PROFILE=1   also variants between `path only` and `everything`
  PEER_WASM=FILE    another wasm filter, with the configuration of PEER_CONFIG (JSON, or a file)";

/// What the environment asks for.
struct Options {
    plan: Plan,
    only: Vec<String>,
    profile: bool,
}

impl Options {
    fn read() -> Result<Self, Failed> {
        let text = |name: &str| env::var(name).unwrap_or_default();
        let mut plan = PLAN;
        let rounds = text("BENCH_ROUNDS");
        if !rounds.is_empty() {
            let wrong = || format!("BENCH_ROUNDS=`{rounds}` is no number above 0");
            plan.rounds = rounds.parse().ok().filter(|rounds| *rounds > 0).ok_or_else(wrong)?;
        }
        let only =
            text("BENCH_ONLY").split(',').map(str::trim).filter(|id| !id.is_empty()).map(str::to_owned).collect();
        Ok(Self { plan, only, profile: !text("BENCH_PROFILE").is_empty() })
    }

    /// Those that are asked for; all if none is.
    fn choose<T>(&self, all: Vec<T>, id: impl Fn(&T) -> &'static str, always: &[&str]) -> Vec<T> {
        let asked = |one: &T| self.only.iter().any(|only| only == id(one));
        let any = all.iter().any(asked);
        all.into_iter().filter(|one| !any || asked(one) || always.contains(&id(one))).collect()
    }
}

async fn run(options: Options) -> Result<(), Failed> {
    let (exchanges, variants) = (Exchange::all()?, Variant::all(options.profile)?);
    for only in &options.only {
        let known = exchanges.iter().any(|one| one.id == only) || variants.iter().any(|one| one.id == only);
        if !known {
            return Err(format!("BENCH_ONLY: there is no `{only}`").into());
        }
    }
    let exchanges = options.choose(exchanges, |one| one.id, &[]);
    let variants = options.choose(variants, |one| one.id, &[NONE, EMPTY]);

    let upstream = Upstream::listen(CONNECTIONS).await?;
    eprintln!("starting {} Envoys several times, to see how long that takes", variants.len());
    let subjects = measure::start(variants, &upstream).await?;
    let circumstances = report::circumstances(subjects.first().ok_or("no variant")?).await?;
    let mut report = Report { plan: options.plan, circumstances, subjects, results: Vec::new() };
    for exchange in exchanges {
        let results = measure::measure(exchange, &mut report.subjects, &upstream, options.plan).await?;
        report.results.push(results);
    }

    let directory = support::root().join("target/bench");
    fs::create_dir_all(&directory)?;
    fs::write(directory.join("report.json"), format!("{:#}\n", report.json()))?;
    plot::write(&report, &directory.join("report.svg"))?;
    let text = format!("{}\nTargets:\n\n{}", report.summary(), targets::markdown(&report));
    let details = format!(
        "{text}\nEvery row: median (quartiles); `over none` and `over empty` are differences within a round, in µs.\n\n{}",
        report.details()
    );
    fs::write(directory.join("report.md"), details)?;
    // A print that fails ends the program at once, and would leave the Envoys behind.
    drop(report);
    println!("{text}");
    eprintln!("with the spread: target/bench/report.md; every round: report.json; the picture: report.svg, beside it");
    Ok(())
}

/// One thread for client and upstream, see the head of this file.
#[tokio::main(flavor = "current_thread")]
async fn main() -> ExitCode {
    let options = match Options::read() {
        Ok(options) if env::args().len() == 1 => options,
        Ok(_) => {
            println!("{HELP}");
            return ExitCode::from(2);
        }
        Err(error) => {
            eprintln!("bench: {error}");
            return ExitCode::from(2);
        }
    };
    if cfg!(debug_assertions) {
        eprintln!("bench: built without --release, so the client may keep Envoy waiting");
    }
    // Either way the Envoys end with what holds them.
    let result = tokio::select! {
        result = run(options) => result,
        () = support::stop_requested() => Err("stopped".into()),
    };
    match result {
        Ok(()) => ExitCode::SUCCESS,
        Err(error) => {
            eprintln!("bench: {error}");
            ExitCode::FAILURE
        }
    }
}
