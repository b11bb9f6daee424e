//! What is shipped for Prometheus and Grafana, against what a real Envoy with Waypost says of itself: `promtool` has
//! nothing against it, the alerts fire on what they are for, and every query of the dashboard and every alert finds
//! something after some traffic.
#![cfg(not(target_family = "wasm"))]
#![allow(
    clippy::expect_used,
    clippy::indexing_slicing,
    clippy::panic,
    clippy::unwrap_used,
    reason = "a test that meets something unexpected fails"
)]

mod support;

use hyper::Request;
use serde_json::{Value, json};
use std::collections::BTreeSet;
use std::fs;
use std::net::SocketAddr;
use std::time::{Duration, Instant};
use support::client::{Client, whole};
use support::prometheus::{Sample, promtool};
use support::{Answer, Envoy, EnvoyConfig, Prometheus, Upstream, root};
use tokio::time::sleep;

const CONFIGURATION: &str = "envoy/prometheus/prometheus.yaml";
const RULES: &str = "envoy/prometheus/rules.yaml";
const DASHBOARD: &str = "envoy/grafana/waypost.json";

/// How often Prometheus asks Envoy, and evaluates its rules.
const INTERVAL: &str = "1s";

/// What Grafana would put into the queries. A rate needs two scrapes.
const VARIABLES: &[(&str, &str)] =
    &[("$__rate_interval", "1m"), ("$__range", "5m"), ("$provider", ".*"), ("$model", ".*"), ("$consumer", ".*")];

/// Limit for all queries to find something. They take three scrapes.
const OBSERVE_TIMEOUT: Duration = Duration::from_secs(40);

/// Between two rounds of requests; less than [`INTERVAL`], so that every scrape sees something new.
const ROUND: Duration = Duration::from_millis(400);

fn read(path: &str) -> String {
    fs::read_to_string(root().join(path)).unwrap_or_else(|error| panic!("{path}: {error}"))
}

fn yaml(path: &str) -> Value {
    serde_saphyr::from_str(&read(path)).unwrap_or_else(|error| panic!("{path}: {error}"))
}

fn list<'a>(value: &'a Value, name: &str) -> &'a [Value] {
    value[name].as_array().unwrap_or_else(|| panic!("no list `{name}`"))
}

fn text<'a>(value: &'a Value, name: &str) -> &'a str {
    value[name].as_str().unwrap_or_else(|| panic!("no text `{name}` in {value}"))
}

/// An expression, and the labels that its series must have.
#[derive(Clone, Debug)]
struct Query {
    title: String,
    expression: String,
    labels: Vec<String>,
}

/// The names in `{{…}}`, and in `sum by (…)` of tables, which have no legend.
fn labels(legend: &str, expression: &str) -> Vec<String> {
    let by_name = |names: &str| names.split(',').map(|name| name.trim().to_owned()).collect::<Vec<_>>();
    let mut labels: Vec<_> =
        legend.split("{{").skip(1).flat_map(|rest| by_name(rest.split("}}").next().unwrap_or_default())).collect();
    if legend.is_empty()
        && let Some((_, rest)) = expression.split_once("sum by (")
    {
        labels.extend(by_name(rest.split(')').next().unwrap_or_default()));
    }
    labels.retain(|label| label != "le");
    labels
}

/// The panels of the dashboard, without its rows.
fn panels(dashboard: &Value) -> impl Iterator<Item = &Value> {
    list(dashboard, "panels").iter().filter(|panel| panel["type"] != "row")
}

fn dashboard_queries(dashboard: &Value) -> Vec<Query> {
    let targets = panels(dashboard).flat_map(|panel| list(panel, "targets").iter().map(move |target| (panel, target)));
    let queries = targets.map(|(panel, target)| {
        let written = text(target, "expr");
        let expression = VARIABLES.iter().fold(written.to_owned(), |text, (name, value)| text.replace(name, value));
        let labels = labels(text(target, "legendFormat"), &expression);
        Query { title: format!("panel `{}`", text(panel, "title")), expression, labels }
    });
    queries.collect()
}

/// What each recording rule records, and what each alert compares: its condition without the thresholds.
fn rule_queries(rules: &Value) -> Vec<Query> {
    let rules = list(rules, "groups").iter().flat_map(|group| list(group, "rules"));
    let queries = rules.flat_map(|rule| {
        if let Some(record) = rule["record"].as_str() {
            return vec![Query { title: "rule".to_owned(), expression: record.to_owned(), labels: Vec::new() }];
        }
        let title = format!("alert `{}`", text(rule, "alert"));
        let conditions = text(rule, "expr").split(" and ").flat_map(|condition| condition.split("\nand "));
        let compared = conditions.map(|condition| condition.split(['<', '>']).next().unwrap_or_default().trim());
        compared
            .map(|expression| Query {
                title: title.clone(),
                expression: expression.to_owned(),
                labels: annotated(rule).into_iter().collect(),
            })
            .collect()
    });
    queries.collect()
}

/// The labels that the annotations of an alert show.
fn annotated(alert: &Value) -> BTreeSet<String> {
    let annotations = alert["annotations"].to_string();
    let name = |rest: &str| rest.chars().take_while(|c| c.is_ascii_alphanumeric() || *c == '_').collect::<String>();
    annotations.split("$labels.").skip(1).map(name).collect()
}

// -- Without Envoy ----------------------------------------------------------------------------------------------------

#[test]
fn promtool_accepts_the_shipped_files() {
    promtool(&["check", "config", CONFIGURATION]);
    promtool(&["check", "rules", RULES]);
}

#[test]
fn every_alert_fires_on_what_it_is_for() {
    promtool(&["test", "rules", "testdata/prometheus/rules_test.yaml"]);
    let tested = read("testdata/prometheus/rules_test.yaml");
    for rule in list(&yaml(RULES), "groups").iter().flat_map(|group| list(group, "rules")) {
        if let Some(name) = rule["alert"].as_str() {
            assert!(tested.contains(&format!("alertname: {name}")), "no test of {name}");
            for field in ["summary", "description"] {
                assert!(rule["annotations"][field].is_string(), "{name} has no {field}");
            }
        }
    }
}

#[test]
fn the_dashboard_needs_nothing_but_grafana_and_one_prometheus() {
    let dashboard: Value = serde_json::from_str(&read(DASHBOARD)).expect("JSON");
    let core = ["timeseries", "stat", "table"];
    let mut ids = BTreeSet::new();
    let mut cells = BTreeSet::new();
    for panel in list(&dashboard, "panels") {
        assert!(ids.insert(panel["id"].as_u64().expect("an id")), "two panels have the id {}", panel["id"]);
        let [x, y, w, h] = ["x", "y", "w", "h"].map(|name| panel["gridPos"][name].as_u64().expect("a place"));
        for cell in (y..y + h).flat_map(|row| (x..x + w).map(move |column| (row, column))) {
            assert!(cells.insert(cell) && cell.1 < 24, "{} has no place of its own", panel["title"]);
        }
    }
    for panel in panels(&dashboard) {
        let title = text(panel, "title");
        assert!(core.contains(&text(panel, "type")), "{title}");
        assert!(panel["fieldConfig"]["defaults"]["unit"].is_string(), "{title} has no unit");
        for source in list(panel, "targets").iter().chain([panel]).map(|holder| &holder["datasource"]) {
            assert_eq!(*source, json!({"type": "prometheus", "uid": "${datasource}"}), "{title}");
        }
    }
    let variables: Vec<_> = list(&dashboard["templating"], "list").iter().map(|one| text(one, "name")).collect();
    assert_eq!(variables, ["datasource", "provider", "model", "consumer"]);
    for query in dashboard_queries(&dashboard) {
        assert!(!query.expression.contains('$'), "{}: {}", query.title, query.expression);
    }
}

// -- With Envoy -------------------------------------------------------------------------------------------------------

/// A usage in which every share has a value.
fn usage() -> Value {
    json!({
        "prompt_tokens": 40, "completion_tokens": 20, "total_tokens": 60,
        "prompt_tokens_details": {"cached_tokens": 16}, "completion_tokens_details": {"reasoning_tokens": 5},
    })
}

fn answer() -> Answer {
    let message = json!({"role": "assistant", "content": "Right."});
    let choices = json!([{"index": 0, "message": message, "finish_reason": "stop"}]);
    let body = json!({"id": "chatcmpl-1", "object": "chat.completion", "model": "gpt-4o", "choices": choices, "usage": usage()});
    Answer::json(200, &body)
}

/// Its first token is late, and the others follow one by one.
fn stream() -> Answer {
    let event = |choices: Value, usage: Value| {
        let event = json!({"id": "chatcmpl-1", "object": "chat.completion.chunk", "model": "gpt-4o", "choices": choices, "usage": usage});
        format!("data: {event}\n\n")
    };
    let word = |text: &str| event(json!([{"index": 0, "delta": {"content": text}}]), Value::Null);
    let pause = Duration::from_millis(5);
    let answer = Answer::events().later(pause, word("You")).later(pause, word(" are")).later(pause, word(" right."));
    answer.later(pause, event(json!([]), usage())).data("data: [DONE]\n\n")
}

/// A request of each kind: an answer, a stream, and errors of provider, credential and gateway.
async fn send_round(envoy: &Envoy, upstream: &Upstream) {
    let mut client = Client::http1(envoy.address());
    let failure = |status| Answer::json(status, &json!({"error": {"message": "no", "type": "error", "code": "no"}}));
    for (answer, streamed) in
        [(answer(), false), (stream(), true), (failure(500), false), (failure(401), false), (failure(429), false)]
    {
        upstream.answer_next(answer);
        let body = json!({"model": "gpt-4o", "messages": [], "stream": streamed});
        let request = Request::post("/v1/chat/completions")
            .header("host", "ai.localhost")
            .header("content-type", "application/json")
            .header("x-mse-consumer", "alice")
            .body(whole(body.to_string()));
        client.send(request.expect("a request")).await.expect("a response");
    }
}

/// The shipped configuration, with this Envoy and in a hurry.
fn configuration(admin: SocketAddr) -> Value {
    let mut configuration = yaml(CONFIGURATION);
    configuration["global"]["scrape_interval"] = json!(INTERVAL);
    configuration["global"]["evaluation_interval"] = json!(INTERVAL);
    configuration["rule_files"] = json!([root().join(RULES)]);
    configuration["scrape_configs"][0]["static_configs"][0]["targets"] = json!([admin.to_string()]);
    configuration
}

/// What is wrong with a result; a share of nothing is `NaN`, and that is not a figure.
fn problem(query: &Query, result: &Result<Vec<Sample>, String>) -> Option<String> {
    let samples = match result {
        Ok(samples) => samples,
        Err(error) => return Some(error.clone()),
    };
    if !samples.iter().any(|sample| sample.value.is_finite()) {
        return Some(format!("no figure in {samples:?}"));
    }
    let missing = |label: &&String| !samples.iter().any(|sample| sample.labels[label.as_str()].is_string());
    query.labels.iter().find(missing).map(|label| format!("no label {label} in {samples:?}"))
}

#[tokio::test]
async fn every_panel_and_every_alert_finds_something_after_some_traffic() {
    let dashboard: Value = serde_json::from_str(&read(DASHBOARD)).expect("JSON");
    let mut pending = dashboard_queries(&dashboard);
    pending.extend(rule_queries(&yaml(RULES)));
    assert!(pending.len() > 40, "the dashboard has lost its panels: {pending:?}");

    let upstream = Upstream::start().await;
    let provider = json!({"type": "openai", "apiTokens": ["token"]});
    let config = EnvoyConfig::new(upstream.address())
        .waypost(&json!({"provider": provider}))
        // Envoy shows a histogram only after this time, 5 s by default.
        .edit(|bootstrap| bootstrap["stats_flush_interval"] = json!("0.5s"));
    let envoy = Envoy::start(config).await.unwrap_or_else(|error| panic!("{error}"));
    let prometheus = Prometheus::start(&configuration(envoy.admin())).await;

    let start = Instant::now();
    loop {
        send_round(&envoy, &upstream).await;
        sleep(ROUND).await;
        let mut problems = Vec::new();
        let mut rest = Vec::new();
        for query in pending {
            let result = prometheus.query(&query.expression).await;
            if let Some(problem) = problem(&query, &result) {
                problems.push(format!("{}: {}\n    {problem}", query.title, query.expression));
                rest.push(query);
            }
        }
        pending = rest;
        if pending.is_empty() {
            break;
        }
        assert!(
            start.elapsed() < OBSERVE_TIMEOUT,
            "{} queries find nothing:\n{}\n{}",
            problems.len(),
            problems.join("\n"),
            prometheus.log()
        );
    }
    for rule in prometheus.rules().await {
        assert_eq!(rule["health"], "ok", "{rule}");
    }
    let up = prometheus.query("up").await.expect("a result");
    assert!(up.iter().all(|sample| sample.value > 0.0), "{up:?}");
}
