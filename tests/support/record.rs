//! What a request leaves behind: its line of the access log with the record in it, and what Envoy counts of it.

use super::client::{Client, Response, raw_exchange, whole};
use super::envoy::{Envoy, EnvoyConfig};
use super::upstream::{Answer, Upstream};
use hyper::Request;
use serde_json::{Value, json};
use std::collections::BTreeMap;
use std::time::Duration;
use tokio::time::sleep;

/// Flat fields that the access log of these tests shows, by the name of their filter state.
const FLAT: &[&str] = &[
    "waypost_model",
    "waypost_input_token",
    "waypost_output_token",
    "waypost_total_token",
    "waypost_cached_token",
    "waypost_usage_source",
    "waypost_usage_missing",
    "waypost_status",
    "waypost_error_source",
    "waypost_aborted",
    "waypost_upstream_path",
];

/// Twice what Envoy takes to write a line that it has.
const SETTLE: Duration = Duration::from_millis(150);

/// Shows the record in the access log: `ai_log`, and flat fields, of which Waypost is configured to write all.
pub fn logged(config: EnvoyConfig) -> EnvoyConfig {
    let config = config.edit_waypost(|waypost| waypost["statistics"]["logFields"] = json!(["*"]));
    let state = |key: &str| format!("%FILTER_STATE(wasm.{key}:PLAIN)%");
    let fields = FLAT.iter().chain(&["ai_log"]).map(|key| ((*key).to_owned(), json!(state(key))));
    config.log_fields(fields)
}

/// The object in a value of `ai_log`, which is escaped as the inside of a JSON string.
pub fn ai_log(escaped: &str) -> Value {
    let text: String = serde_json::from_str(&format!("\"{escaped}\"")).expect("the inside of a JSON string");
    serde_json::from_str(&text).unwrap_or_else(|error| panic!("{error}: {text}"))
}

/// One line of the access log.
#[derive(Clone, Debug)]
pub struct Line(pub Value);

impl Line {
    /// The record in it, or `Null`.
    pub fn record(&self) -> Value {
        self.0["ai_log"].as_str().map_or(Value::Null, ai_log)
    }

    /// The record has these members; one that is `Null` here is absent there.
    pub fn assert_has(&self, expected: &Value, label: &str) {
        let record = self.record();
        for (key, value) in expected.as_object().expect("members") {
            assert_eq!(record[key], *value, "{label}: `{key}` of {record}\nin {}", self.0);
            // The same figure stands in the flat field, as text.
            if let Some(flat) = self.0.get(format!("waypost_{key}")) {
                let text = match value {
                    Value::Null => Value::Null,
                    Value::String(text) => json!(text),
                    other => json!(other.to_string()),
                };
                assert_eq!(*flat, text, "{label}: `waypost_{key}` in {}", self.0);
            }
        }
    }
}

/// A series of a metric: its labels, and its value.
#[derive(Clone, Debug)]
pub struct Series {
    pub metric: String,
    pub labels: BTreeMap<String, String>,
    pub value: u64,
}

/// The series of the filter's own metrics, without histograms.
pub fn series(stats: &BTreeMap<String, u64>) -> Vec<Series> {
    let of = |(name, value): (&String, &u64)| {
        // Up to Envoy 1.38 the metrics of an upstream filter stand below its cluster: `cluster.upstream.wasmcustom.`.
        let (_, name) = name.split_once("wasmcustom.")?;
        let mut parts: Vec<&str> = name.split(";.;").collect();
        let metric = parts.pop()?.to_owned();
        let labels = parts.iter().filter_map(|part| part.split_once("=.="));
        let labels = labels.map(|(name, value)| (name.to_owned(), value.to_owned())).collect();
        Some(Series { metric, labels, value: *value })
    };
    stats.iter().filter_map(of).collect()
}

/// What was counted: requests, errors, input and output tokens.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct Counts {
    pub requests: u64,
    pub errors: u64,
    pub input: u64,
    pub output: u64,
}

impl Counts {
    fn of(stats: &BTreeMap<String, u64>) -> Self {
        let series = series(stats);
        let sum = |metric: &str, token: &str| {
            let wanted = |series: &&Series| {
                series.metric == metric
                    && (token.is_empty() || series.labels.get("gen_ai_token_type").is_some_and(|kind| kind == token))
            };
            series.iter().filter(wanted).map(|series| series.value).sum()
        };
        Self {
            requests: sum("waypost_requests_total", ""),
            errors: sum("waypost_errors_total", ""),
            input: sum("waypost_tokens_total", "input"),
            output: sum("waypost_tokens_total", "output"),
        }
    }
}

/// An Envoy that shows its records, with the upstream behind it.
pub struct Recorder {
    pub upstream: Upstream,
    pub envoy: Envoy,
    lines: usize,
    counts: Counts,
}

impl Recorder {
    /// The shipped file with this configuration of Waypost.
    pub async fn start(waypost: &Value) -> Self {
        Self::start_with(waypost, |config| config).await
    }

    /// The same, with more changes.
    pub async fn start_with(waypost: &Value, change: impl FnOnce(EnvoyConfig) -> EnvoyConfig) -> Self {
        let upstream = Upstream::start().await;
        let config = change(logged(EnvoyConfig::new(upstream.address()).waypost(waypost)));
        let envoy = Envoy::start(config).await.unwrap_or_else(|error| panic!("{error}"));
        Self { upstream, envoy, lines: 0, counts: Counts::default() }
    }

    /// The line of the one request since the last call, and what was counted for it.
    pub async fn one(&mut self) -> (Line, Counts) {
        let lines = self.envoy.wait_for_access_log(self.lines + 1).await;
        assert_eq!(lines.len(), self.lines + 1, "one request has left several lines: {lines:?}");
        self.lines += 1;
        let now = Counts::of(&self.envoy.stats().await);
        let before = std::mem::replace(&mut self.counts, now);
        let counts = Counts {
            requests: now.requests - before.requests,
            errors: now.errors - before.errors,
            input: now.input - before.input,
            output: now.output - before.output,
        };
        (Line(lines.last().cloned().unwrap_or_default()), counts)
    }

    /// Nothing was written late or twice, and nothing broke.
    pub async fn assert_settled(&mut self) {
        sleep(SETTLE).await;
        let lines = self.envoy.access_log();
        assert_eq!(lines.len(), self.lines, "{lines:?}");
        assert_eq!(Counts::of(&self.envoy.stats().await), self.counts, "something was counted late");
        let reloads: Vec<_> =
            self.envoy.wasm_stats().await.into_iter().filter(|(name, _)| name.contains("vm_reload")).collect();
        assert!(reloads.iter().all(|(_, count)| *count == 0), "a VM failed: {reloads:?}");
        let mut complaints = self.envoy.complaints();
        // A remark on the vendor, which a test with such an answer expects.
        complaints.retain(|line| !line.contains("a stream told no usage"));
        assert!(complaints.iter().all(|line| !line.contains("wasm")), "{complaints:?}");
    }

    /// Sends a request with a JSON body to this domain, and gives what came back.
    pub async fn post(&self, domain: &str, path: &str, body: &Value, answer: Option<Answer>) -> Response {
        if let Some(answer) = answer {
            self.upstream.answer_next(answer);
        }
        let request = Request::post(path)
            .header("host", domain)
            .header("content-type", "application/json")
            .header("accept-encoding", "gzip, br")
            .body(whole(body.to_string()))
            .expect("a request");
        Client::http1(self.envoy.address()).send(request).await.expect("a response")
    }

    /// Sends a request and hangs up after this silence; what came until then.
    pub async fn hang_up(&self, domain: &str, path: &str, body: &Value, silence: Duration) -> Vec<u8> {
        let body = body.to_string();
        let head = format!("POST {path} HTTP/1.1\r\nhost: {domain}\r\ncontent-type: application/json\r\n");
        let request = format!("{head}content-length: {}\r\n\r\n{body}", body.len());
        raw_exchange(self.envoy.address(), request.as_bytes(), silence).await.expect("a connection")
    }
}
