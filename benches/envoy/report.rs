//! What a run says: tables in Markdown, and all its figures as JSON.

use crate::Failed;
use crate::figures::{Figures, number, signed, times};
use crate::measure::{CONNECTIONS, Plan, Results, Row, Subject};
use crate::variants::{EMPTY, NONE};
use serde_json::{Value, json};
use std::fmt::Write as _;
use std::fs;

/// Everything of one run.
pub(crate) struct Report {
    pub(crate) plan: Plan,
    /// Version of Envoy, cores, load.
    pub(crate) circumstances: String,
    pub(crate) subjects: Vec<Subject>,
    pub(crate) results: Vec<Results>,
}

/// Lines of a table without rows.
const HEAD_LINES: usize = 2;

/// A row of a table, its cells yet to be joined.
type Cells = Vec<String>;

fn markdown(head: &[&str], rows: &[Cells]) -> String {
    let mut text = format!("| {} |\n|{}\n", head.join(" | "), "---|".repeat(head.len()));
    for row in rows {
        let _ = writeln!(text, "| {} |", row.join(" | "));
    }
    text
}

impl Report {
    fn index(&self, id: &str) -> Option<usize> {
        self.subjects.iter().position(|subject| subject.variant.id == id)
    }

    pub(crate) fn row<'a>(&self, results: &'a Results, id: &str) -> Option<&'a Row> {
        results.rows.get(self.index(id)?)
    }

    /// The results of the kind of request with that id.
    pub(crate) fn results(&self, id: &str) -> Option<&Results> {
        self.results.iter().find(|results| results.exchange.id == id)
    }

    /// What a variant adds to the figures of another one, round by round.
    pub(crate) fn added(&self, results: &Results, id: &str, over: &str, figures: fn(&Row) -> &Figures) -> Figures {
        let (Some(mine), Some(other)) = (self.row(results, id), self.row(results, over)) else {
            return Figures::default();
        };
        figures(mine).minus(figures(other))
    }

    fn variants(&self) -> impl Iterator<Item = (&'static str, &'static str)> {
        self.subjects.iter().map(|subject| (subject.variant.id, subject.variant.name))
    }

    /// What is printed, and what the README has.
    pub(crate) fn summary(&self) -> String {
        let tables = [
            (
                "CPU time that Envoy spends on a request without a filter, and what each filter adds, in µs (in parentheses: \
                 as a multiple of what the empty filter adds):",
                self.cpu(),
            ),
            (
                "Latency of a single request without a filter, and what each filter adds, in µs (median / 99th percentile):",
                self.latencies(),
            ),
            ("Time to the first byte of a stream's body, likewise, in µs:", self.first_bytes()),
            (
                "Requests in a second over four connections, and the share of a core that Envoy was busy with them (below \
                 1, it waited for client, upstream or a core):",
                self.rates(),
            ),
            (
                "From start to ready, and Envoy's resident memory in MiB at the start and after the requests:",
                self.starts(),
            ),
        ];
        let mut text = format!("{}; {} rounds.\n", self.circumstances, self.plan.rounds);
        for (title, table) in tables.into_iter().filter(|(_, table)| table.lines().count() > HEAD_LINES) {
            let _ = write!(text, "\n{title}\n\n{table}");
        }
        text
    }

    /// Rows are kinds of requests, columns are variants: the first one's own, and what the others add.
    fn by_variant(&self, cell: impl Fn(&Results, &str) -> String) -> String {
        self.of_kinds(|_| true, cell)
    }

    fn of_kinds(&self, kind: impl Fn(&Results) -> bool, cell: impl Fn(&Results, &str) -> String) -> String {
        let names: Vec<&str> = std::iter::once("request").chain(self.variants().map(|(_, name)| name)).collect();
        let rows: Vec<Cells> = self
            .results
            .iter()
            .filter(|results| kind(results))
            .map(|results| {
                let cells = self.variants().map(|(id, _)| cell(results, id));
                std::iter::once(results.exchange.name.to_owned()).chain(cells).collect()
            })
            .collect();
        markdown(&names, &rows)
    }

    fn cpu(&self) -> String {
        self.by_variant(|results, id| match id {
            NONE => self.row(results, id).map_or_else(String::new, |row| number(row.cpu.median())),
            EMPTY => signed(self.added(results, id, NONE, |row| &row.cpu).median()),
            _ => {
                if self.row(results, id).is_some_and(|row| row.refused.is_some()) {
                    return "refused".to_owned();
                }
                let added = self.added(results, id, NONE, |row| &row.cpu).median();
                let empty = self.added(results, EMPTY, NONE, |row| &row.cpu);
                // A multiple of what may as well be nothing is no figure.
                let multiple = if empty.quartiles().0 > 0.0 { added / empty.median() } else { f64::NAN };
                if multiple.is_finite() { format!("{} ({})", signed(added), times(multiple)) } else { signed(added) }
            }
        })
    }

    fn rates(&self) -> String {
        self.by_variant(|results, id| {
            self.row(results, id).map_or_else(String::new, |row| {
                format!("{} ({})", number(row.rate.median()), number(row.busy.median()))
            })
        })
    }

    fn latencies(&self) -> String {
        self.by_variant(|results, id| match id {
            NONE => self
                .row(results, id)
                .map_or_else(String::new, |row| format!("{} / {}", number(row.p50.median()), number(row.p99.median()))),
            _ => {
                let added = |figures| signed(self.added(results, id, NONE, figures).median());
                format!("{} / {}", added(|row| &row.p50), added(|row| &row.p99))
            }
        })
    }

    fn first_bytes(&self) -> String {
        let stream = |results: &Results| results.exchange.events() > 0;
        self.of_kinds(stream, |results, id| match id {
            NONE => self.row(results, id).map_or_else(String::new, |row| number(row.first_byte.median())),
            _ => signed(self.added(results, id, NONE, |row| &row.first_byte).median()),
        })
    }

    fn starts(&self) -> String {
        let head = [
            "variant",
            "wasm, KB",
            "ready, ms",
            "over none, ms",
            "CPU over none, ms",
            "at start",
            "small ones",
            "1 MB",
            "8 MB",
        ];
        let none = self.subjects.first().map(|subject| subject.starts.clone()).unwrap_or_default();
        let rows: Vec<Cells> = self
            .subjects
            .iter()
            .map(|subject| {
                let size = subject.variant.size().map_or_else(|| "–".to_owned(), |bytes| (bytes / 1000).to_string());
                let large = |id: &str| id == "1m" || id == "8m";
                let memory = |one: Option<&(&str, f64)>| one.map_or_else(|| "–".to_owned(), |(_, size)| number(*size));
                let find = |wanted: &str| memory(subject.memory.iter().find(|(id, _)| *id == wanted));
                vec![
                    subject.variant.name.to_owned(),
                    size,
                    number(subject.starts.wall.median()),
                    signed(subject.starts.wall.minus(&none.wall).median()),
                    signed(subject.starts.cpu.minus(&none.cpu).median()),
                    find("start"),
                    memory(subject.memory.iter().rfind(|(id, _)| !large(id))),
                    find("1m"),
                    find("8m"),
                ]
            })
            .collect();
        markdown(&head, &rows)
    }

    /// Every row, with its spread: median, and quartiles in parentheses.
    pub(crate) fn details(&self) -> String {
        let head = [
            "request",
            "variant",
            "CPU, µs",
            "× none",
            "over none",
            "over empty",
            "requests/s",
            "busy",
            "load",
            "p50, µs",
            "p99, µs",
            "first byte, µs",
            "first byte over none",
        ];
        let mut rows = Vec::new();
        for results in &self.results {
            for ((id, name), row) in self.variants().zip(&results.rows) {
                let none = self.row(results, NONE).map_or(f64::NAN, |row| row.cpu.median());
                let over = |other| self.added(results, id, other, |row| &row.cpu).with_spread();
                rows.push(vec![
                    results.exchange.name.to_owned(),
                    name.to_owned(),
                    row.refused.as_ref().map_or_else(|| row.cpu.with_spread(), |_| "refused".to_owned()),
                    times(row.cpu.median() / none),
                    over(NONE),
                    over(EMPTY),
                    number(row.rate.median()),
                    number(row.busy.median()),
                    number(row.load.median()),
                    row.p50.with_spread(),
                    row.p99.with_spread(),
                    number(row.first_byte.median()),
                    signed(self.added(results, id, NONE, |row| &row.first_byte).median()),
                ]);
            }
        }
        markdown(&head, &rows)
    }

    /// All figures by round, and how they came to be.
    pub(crate) fn json(&self) -> Value {
        let variants: Vec<Value> = self
            .subjects
            .iter()
            .map(|subject| {
                let memory: Vec<Value> =
                    subject.memory.iter().map(|(after, mebibytes)| json!({"after": after, "mib": mebibytes})).collect();
                json!({
                    "id": subject.variant.id, "name": subject.variant.name, "wasm_bytes": subject.variant.size(),
                    "start_to_ready_ms": subject.starts.wall.0, "start_cpu_ms": subject.starts.cpu.0, "memory": memory,
                })
            })
            .collect();
        let requests: Vec<Value> = self
            .results
            .iter()
            .map(|results| {
                let rows: Vec<Value> = self
                    .variants()
                    .zip(&results.rows)
                    .map(|((id, _), row)| {
                        json!({
                            "variant": id, "refused": row.refused, "cpu_us": row.cpu.0, "requests_per_second": row.rate.0,
                            "busy": row.busy.0, "load": row.load.0, "p50_us": row.p50.0, "p99_us": row.p99.0,
                            "first_byte_us": row.first_byte.0,
                        })
                    })
                    .collect();
                json!({
                    "id": results.exchange.id, "name": results.exchange.name,
                    "request_bytes": results.exchange.body.len(), "events": results.exchange.events(), "rows": rows,
                })
            })
            .collect();
        json!({
            "circumstances": self.circumstances, "rounds": self.plan.rounds, "connections": CONNECTIONS,
            "cpu_cell_ms": self.plan.cpu.as_secs_f64() * 1e3, "latency_cell_ms": self.plan.latency.as_secs_f64() * 1e3,
            "variants": variants, "requests": requests,
        })
    }
}

/// What the figures depend on and the tables do not show.
pub(crate) async fn circumstances(subject: &Subject) -> Result<String, Failed> {
    let info: Value = serde_json::from_slice(&subject.envoy.admin_get("/server_info").await?.body)?;
    let version = info.get("version").and_then(Value::as_str).and_then(|version| version.split('/').nth(1));
    let cores = std::thread::available_parallelism().map_or(0, usize::from);
    let load = fs::read_to_string("/proc/loadavg").unwrap_or_default();
    let load = load.split_whitespace().next().unwrap_or("unknown");
    let cpus = fs::read_to_string("/proc/cpuinfo").unwrap_or_default();
    let model =
        cpus.lines().find_map(|line| line.strip_prefix("model name")?.split(": ").nth(1)).unwrap_or("unknown CPU");
    Ok(format!(
        "Envoy {} with one worker, {cores} cores of {model}, load average before {load}",
        version.unwrap_or("of unknown version")
    ))
}
