//! Rounds: every variant in turn, CPU time and latency apart.

use crate::Failed;
use crate::exchanges::{Exchange, Reply};
use crate::figures::Figures;
use crate::load::{Connection, closed_loops};
use crate::support::Envoy;
use crate::upstream::{Arrival, Upstream};
use crate::variants::Variant;
use std::collections::BTreeMap;
use std::fs;
use std::time::{Duration, Instant};

/// Connections while CPU time is measured. With a single one Envoy sleeps and wakes for every request, and what that
/// costs, above all on a virtual machine, hides what a filter costs.
pub(crate) const CONNECTIONS: usize = 4;

/// Connections while latency is measured: no request waits for another one.
const LATENCY_CONNECTIONS: usize = 1;

/// Fewer requests in a cell have no 99th percentile worth the name.
const MIN_FOR_P99: usize = 100;

/// Starts of each variant, to see how long they take.
const STARTS: usize = 5;

/// How long things are measured.
#[derive(Clone, Copy)]
pub(crate) struct Plan {
    pub(crate) rounds: usize,
    /// Requests without a break of one variant, in one round, for CPU time.
    pub(crate) cpu: Duration,
    /// The same for latency.
    pub(crate) latency: Duration,
    /// Before the first round, for caches, the sizes of buffers and the compiler of V8.
    pub(crate) warm_up: Duration,
}

/// A variant with the Envoy and the connections that belong to it.
pub(crate) struct Subject {
    pub(crate) variant: Variant,
    pub(crate) envoy: Envoy,
    many: Vec<Connection>,
    few: Vec<Connection>,
    pub(crate) starts: Starts,
    /// Envoy's resident memory in MiB, and after which kind of request; the first is after the start.
    pub(crate) memory: Vec<(&'static str, f64)>,
}

/// From start to ready, by start, in milliseconds.
#[derive(Clone, Default)]
pub(crate) struct Starts {
    pub(crate) wall: Figures,
    /// CPU time of all threads, which shows less of what else the machine has to do.
    pub(crate) cpu: Figures,
}

/// What was measured of one variant with one kind of request, by round.
#[derive(Default)]
pub(crate) struct Row {
    /// CPU time of the whole process for each request, in user space and kernel, in µs.
    pub(crate) cpu: Figures,
    /// Requests in a second, over [`CONNECTIONS`].
    pub(crate) rate: Figures,
    /// How much of that time a core was busy for Envoy: far from 1, the client or the upstream kept it waiting.
    pub(crate) busy: Figures,
    /// The same for this program, which is client and upstream in one thread: near 1, it is what bounds the rate.
    pub(crate) load: Figures,
    /// Latency of a request that no other one disturbs, in µs.
    pub(crate) p50: Figures,
    pub(crate) p99: Figures,
    /// Median of the time to the first byte of the response's body, in µs.
    pub(crate) first_byte: Figures,
    /// Why there are no figures.
    pub(crate) refused: Option<String>,
}

/// All variants with one kind of request, in the order of the subjects.
pub(crate) struct Results {
    pub(crate) exchange: Exchange,
    pub(crate) rows: Vec<Row>,
}

/// Starts every variant several times; the Envoys of the last time stay.
pub(crate) async fn start(variants: Vec<Variant>, upstream: &Upstream) -> Result<Vec<Subject>, Failed> {
    let mut starts = vec![Starts::default(); variants.len()];
    for _ in 1..STARTS {
        for (variant, starts) in variants.iter().zip(&mut starts) {
            timed_start(variant, upstream, starts).await?;
        }
    }
    let mut subjects = Vec::new();
    for (variant, mut starts) in variants.into_iter().zip(starts) {
        let envoy = timed_start(&variant, upstream, &mut starts).await?;
        let (mut many, mut few) = (Vec::new(), Vec::new());
        for number in 0..CONNECTIONS {
            many.push(Connection::open(envoy.address(), number).await?);
        }
        for number in 0..LATENCY_CONNECTIONS {
            few.push(Connection::open(envoy.address(), number).await?);
        }
        let mut subject = Subject { variant, envoy, many, few, starts, memory: Vec::new() };
        subject.note_memory("start")?;
        subjects.push(subject);
    }
    Ok(subjects)
}

async fn timed_start(variant: &Variant, upstream: &Upstream, starts: &mut Starts) -> Result<Envoy, Failed> {
    let start = Instant::now();
    let envoy = Envoy::start(variant.envoy(upstream.address)).await;
    let envoy = envoy.map_err(|error| format!("{}: {error}", variant.name))?;
    starts.wall.0.push(start.elapsed().as_secs_f64() * 1e3);
    starts.cpu.0.push(total(&cpu_time(envoy.pid())?).as_secs_f64() * 1e3);
    Ok(envoy)
}

/// All rounds of one kind of request.
pub(crate) async fn measure(
    exchange: Exchange,
    subjects: &mut [Subject],
    upstream: &Upstream,
    plan: Plan,
) -> Result<Results, Failed> {
    let mut expected = Vec::new();
    let mut rows = Vec::new();
    for subject in &mut *subjects {
        let mut row = Row::default();
        match subject.first(&exchange, upstream).await {
            Ok(first) => {
                expected.push(Some(first.clone()));
                subject.cell(true, &exchange, &first, upstream, plan.warm_up).await?;
            }
            Err(error) if subject.variant.is_foreign() => {
                eprintln!("{}, {}: {error}", subject.variant.name, exchange.name);
                row.refused = Some(error.to_string());
                expected.push(None);
            }
            Err(error) => return Err(subject.place(&exchange, &error)),
        }
        rows.push(row);
    }
    for round in 0..plan.rounds {
        eprintln!("{}: round {} of {}", exchange.name, round.saturating_add(1), plan.rounds);
        let mut turns: Vec<_> = subjects.iter_mut().zip(&expected).zip(&mut rows).collect();
        // Nobody is always the first after the pause, or always behind the same neighbour's leftovers in the cache.
        let turn = round.checked_rem(turns.len()).unwrap_or_default();
        turns.rotate_left(turn);
        for ((subject, expected), row) in turns {
            let Some(expected) = expected else { continue };
            let cell = subject.cell(true, &exchange, expected, upstream, plan.cpu).await?;
            row.cpu.0.push(cell.cpu.as_secs_f64() * 1e6 / cell.requests);
            row.rate.0.push(cell.requests / cell.wall.as_secs_f64());
            row.busy.0.push(cell.cpu.as_secs_f64() / cell.wall.as_secs_f64());
            row.load.0.push(cell.load.as_secs_f64() / cell.wall.as_secs_f64());
            let cell = subject.cell(false, &exchange, expected, upstream, plan.latency).await?;
            row.p50.0.push(cell.whole.median());
            row.first_byte.0.push(cell.first_byte.median());
            if cell.whole.0.len() >= MIN_FOR_P99 {
                row.p99.0.push(cell.whole.quantile(99, 100));
            }
        }
    }
    for row in &mut rows {
        // Of some rounds only, it could not be compared round by round.
        if row.p99.0.len() < plan.rounds {
            row.p99 = Figures::default();
        }
    }
    for subject in &mut *subjects {
        subject.note_memory(exchange.id)?;
    }
    Ok(Results { exchange, rows })
}

/// What every answer and every request must look like.
#[derive(Clone)]
struct First {
    arrival: Arrival,
    /// Of the response's body.
    length: usize,
}

struct Cell {
    requests: f64,
    wall: Duration,
    cpu: Duration,
    /// CPU time of this program.
    load: Duration,
    /// By request, in µs.
    whole: Figures,
    first_byte: Figures,
}

impl Subject {
    /// With the place where it happened and the end of Envoy's log.
    fn place(&self, exchange: &Exchange, error: &Failed) -> Failed {
        format!("{}, {}: {error}\n{}", self.variant.name, exchange.name, self.envoy.complaints().join("\n")).into()
    }

    /// Sends one request and looks at the whole of what arrives on both sides.
    async fn first(&mut self, exchange: &Exchange, upstream: &Upstream) -> Result<First, Failed> {
        upstream.answer(exchange.reply.clone());
        // One that a refusal cannot leave in an unknown state.
        let mut connection = Connection::open(self.envoy.address(), 0).await?;
        let before = self.envoy.stats().await;
        let timing = connection.send(exchange, &upstream.gate(0)).await?;
        self.variant.check_statistics(&before, &self.envoy.stats().await)?;
        let captured = upstream.captured().ok_or("nothing arrived at the upstream")?;
        self.variant.check(exchange, &captured)?;
        let length = match &exchange.reply {
            Reply::Json(bytes) => bytes.len(),
            Reply::Events(_) | Reply::Lockstep(_) => timing.length,
        };
        Ok(First { arrival: captured.arrival(), length })
    }

    async fn cell(
        &mut self,
        many: bool,
        exchange: &Exchange,
        first: &First,
        upstream: &Upstream,
        time: Duration,
    ) -> Result<Cell, Failed> {
        upstream.answer(exchange.reply.clone());
        upstream.expect(&first.arrival);
        let this = std::process::id();
        let (before, load_before) = (cpu_time(self.envoy.pid())?, total(&cpu_time(this)?));
        let start = Instant::now();
        let connections = if many { &mut self.many } else { &mut self.few };
        let timings = closed_loops(connections, exchange, upstream, time).await;
        let timings = timings.map_err(|error| self.place(exchange, &error))?;
        let wall = start.elapsed();
        let (after, load) = (cpu_time(self.envoy.pid())?, total(&cpu_time(this)?).saturating_sub(load_before));
        let arrived = upstream.arrived().map_err(|error| self.place(exchange, &error))?;
        if usize::try_from(arrived)? != timings.len() {
            let error = format!("{arrived} of {} requests arrived", timings.len());
            return Err(self.place(exchange, &error.into()));
        }
        if let Some(timing) = timings.iter().find(|timing| timing.length != first.length) {
            let error = format!("an answer of {} bytes, in place of {}", timing.length, first.length);
            return Err(self.place(exchange, &error.into()));
        }
        if before.keys().any(|thread| !after.contains_key(thread)) {
            return Err(self.place(exchange, &"a thread of Envoy ended and took its CPU time along".into()));
        }
        let micros = |time: Duration| time.as_secs_f64() * 1e6;
        Ok(Cell {
            requests: f64::from(arrived),
            wall,
            cpu: total(&after).saturating_sub(total(&before)),
            load,
            whole: Figures(timings.iter().map(|timing| micros(timing.whole)).collect()),
            first_byte: Figures(timings.iter().map(|timing| micros(timing.first_byte)).collect()),
        })
    }

    fn note_memory(&mut self, after: &'static str) -> Result<(), Failed> {
        if !self.envoy.is_running() {
            return Err(format!("{}: Envoy has ended\n{}", self.variant.name, self.envoy.log()).into());
        }
        let mebibytes = Duration::from_secs(self.envoy.memory_kb("VmRSS")).as_secs_f64() / 1024.0;
        self.memory.push((after, mebibytes));
        Ok(())
    }
}

fn total(threads: &BTreeMap<String, Duration>) -> Duration {
    threads.values().sum()
}

/// The CPU time of each thread of a process, as the kernel's scheduler counts it, in nanoseconds.
fn cpu_time(process: u32) -> Result<BTreeMap<String, Duration>, Failed> {
    let directory = format!("/proc/{}/task", process);
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
