//! What `waypost explain` says is what arrives: generated pairs of a configuration and a request, through a real Envoy.
//!
//! Each pair becomes one rule of one Waypost configuration, selected by a domain of its own, so one Envoy serves them
//! all. What Envoy or an HTTP client refuses or changes before a filter sees it is not generated; `Wire::Envoy` of the
//! generator lists it.
#![cfg(not(target_family = "wasm"))]
#![allow(
    clippy::arithmetic_side_effects,
    clippy::expect_used,
    clippy::indexing_slicing,
    clippy::panic,
    clippy::print_stderr,
    reason = "a test that meets something unexpected fails"
)]

mod support;

#[path = "support/generate.rs"]
mod generate;

use generate::{CLUSTER, Pair, ROUTE, Wire, reveal};
use hyper::Request;
use serde_json::{Value, json};
use std::fmt::Write as _;
use std::time::Instant;
use support::client::{Client, RequestBody, whole};
use support::{Envoy, EnvoyConfig, Received, Upstream};
use waypost::config::load;
use waypost::exchange::decide;
use waypost::exchange::head::Head;
use waypost::explain::explain;

/// How many pairs are sent.
const PAIRS: usize = 400;

/// How many failures are printed in full.
const REPORTED: usize = 20;

/// No domain is the beginning or the end of another one.
fn domain(number: usize) -> String {
    format!("p{number:04}.pair.x{number:04}")
}

/// All pairs in one configuration: their rules, and one pool of all providers.
fn configuration(pairs: &[Pair]) -> Value {
    let rules: Vec<_> = pairs.iter().enumerate().map(|(number, pair)| pair.rule(number, &domain(number))).collect();
    let pools = pairs.iter().enumerate().flat_map(|(number, pair)| match pair.pool(number) {
        Value::Array(providers) => providers,
        other => panic!("a pool is a list, not {other}"),
    });
    json!({"providers": pools.collect::<Vec<_>>(), "_rules_": rules})
}

fn request(pair: &Pair, domain: &str) -> Request<RequestBody> {
    let path = std::str::from_utf8(&pair.request.path).expect("a path for Envoy");
    let mut request = Request::builder().method(pair.request.method).uri(path).header("host", domain);
    for (name, value) in &pair.request.headers {
        request = request.header(name, value.as_slice());
    }
    let request = request.body(whole(pair.request.body.clone()));
    request.unwrap_or_else(|error| panic!("the test cannot send {path:?}: {error}"))
}

/// The explanation of the same request, as `waypost explain --json` prints it.
fn explained(config: &waypost::config::Config, pair: &Pair, domain: &str) -> Value {
    let head = Head::new(pair.request.headers.clone());
    let client = decide::Client {
        authority: Some(domain.as_bytes()),
        path: Some(&pair.request.path),
        route: Some(ROUTE),
        cluster: Some(CLUSTER),
        ..decide::Client::default()
    };
    let method = pair.request.method;
    explain(config, waypost::explain::Request { method, client, head: &head, body: Some(&pair.request.body) }).to_json()
}

/// Whether a header of the client arrived as sent. Envoy joins the values of one that comes twice.
fn arrived_whole(arrived: &Received, pair: &Pair, name: &str) -> bool {
    let sent = pair.request.headers.iter().filter(|(field, _)| field == name).map(|(_, value)| value.as_slice());
    arrived.header(name).join(&b","[..]) == sent.collect::<Vec<_>>().join(&b","[..])
}

/// What the upstream saw, or the answer, beside what was explained; gives what differs.
fn faults(shown: &Value, pair: &Pair, domain: &str, status: u16, answer: &Value, received: &[Received]) -> Vec<String> {
    let mut faults = Vec::new();
    let arrived = match (shown["outcome"].as_str(), received) {
        (Some("refuse"), []) => {
            if shown["reply"] != json!({"status": status, "body": answer}) {
                faults.push(format!("answered {status} {answer}, explained as {}", shown["reply"]));
            }
            return faults;
        }
        (Some("send" | "untouched"), [arrived]) => arrived,
        (outcome, received) => {
            let paths: Vec<_> = received.iter().map(|request| &request.path).collect();
            return vec![format!("{paths:?} arrived, answered {status} {answer}, explained as {outcome:?}")];
        }
    };
    let sent = pair.request.headers.iter().map(|(name, _)| name.as_str());
    if shown["outcome"] == "untouched" {
        let path = String::from_utf8_lossy(&pair.request.path);
        if (arrived.authority.as_str(), arrived.path.as_str()) != (domain, &path) {
            faults.push(format!("arrived at {}{}, explained as untouched", arrived.authority, arrived.path));
        }
        for name in sent.filter(|name| !arrived_whole(arrived, pair, name)) {
            faults.push(format!("{name} is gone or changed, explained as untouched"));
        }
        return faults;
    }
    let authority = shown["upstream"]["authority"].as_str().unwrap_or(domain);
    if arrived.authority != authority {
        faults.push(format!("authority {}, explained as {authority}", arrived.authority));
    }
    if let Err(error) = reveal(shown["upstream"]["path"].as_str().unwrap_or_default(), &arrived.path) {
        faults.push(format!("path {error}"));
    }
    let set = shown["headers"]["set"].as_object().expect("headers that are set");
    for (name, value) in set.iter().filter(|(name, _)| !name.starts_with(':')) {
        let value = value.as_str().unwrap_or_default();
        match arrived.header(name).as_slice() {
            [real] => faults
                .extend(reveal(value, &String::from_utf8_lossy(real)).err().map(|error| format!("{name} {error}"))),
            other => faults.push(format!("{name} arrived {} times, explained as `{value}`", other.len())),
        }
    }
    let removed = shown["headers"]["removed"].as_array().expect("headers that are removed");
    for name in removed.iter().filter_map(Value::as_str).filter(|name| !set.contains_key(*name)) {
        if !arrived.header(name).is_empty() {
            faults.push(format!("{name} arrived, explained as removed"));
        }
    }
    for name in sent.filter(|name| !set.contains_key(*name) && !removed.contains(&json!(name))) {
        if !arrived_whole(arrived, pair, name) {
            faults.push(format!("{name} is gone or changed, which the explanation does not say"));
        }
    }
    let requested = serde_json::from_slice::<Value>(&pair.request.body).unwrap_or_default();
    if arrived.json()["model"] != requested["model"] && arrived.json()["model"] != shown["model"]["upstream"] {
        faults.push(format!("model {}, explained as {}", arrived.json()["model"], shown["model"]));
    }
    faults
}

#[tokio::test]
async fn what_arrives_is_what_explain_says() {
    let seed = generate::seed();
    let pairs = generate::sample(seed, PAIRS, Wire::Envoy);
    let configuration = configuration(&pairs);
    let config = load(configuration.to_string().as_bytes()).expect("a configuration that is JSON").config;
    let upstream = Upstream::start().await;
    let envoy =
        EnvoyConfig::new(upstream.address()).waypost(&configuration).keep_request_headers().log_level("critical");
    let envoy = Envoy::start(envoy).await.unwrap_or_else(|error| panic!("{error}"));
    let mut client = Client::http1(envoy.address());
    let start = Instant::now();
    let (mut report, mut wrong, mut arrived) = (String::new(), 0, 0);
    for (number, pair) in pairs.iter().enumerate() {
        let domain = domain(number);
        let (status, answer) = match client.send(request(pair, &domain)).await {
            Ok(response) => (response.status.as_u16(), serde_json::from_slice(&response.body).unwrap_or_default()),
            Err(error) => (0, json!(error.to_string())),
        };
        // The upstream records a request before it answers, so everything is there once the client has the answer.
        let received = upstream.take();
        arrived += received.len();
        let shown = explained(&config, pair, &domain);
        let faults = faults(&shown, pair, &domain, status, &answer, &received);
        if !faults.is_empty() {
            wrong += 1;
            if wrong <= REPORTED {
                let request = &pair.request;
                let lossy = String::from_utf8_lossy;
                let headers: Vec<_> =
                    request.headers.iter().map(|(name, value)| format!("{name}: {}", lossy(value))).collect();
                let _ = writeln!(
                    report,
                    "{}\n  {} {} {headers:?}",
                    pair.rule(number, &domain),
                    request.method,
                    lossy(&request.path)
                );
                let _ = writeln!(report, "  body {:?}", lossy(&request.body));
                for fault in faults {
                    let _ = writeln!(report, "     {fault}");
                }
            }
        }
    }
    eprintln!("{PAIRS} pairs (seed {seed}), {arrived} of them arrived, in {:?}", start.elapsed());
    assert!(wrong == 0, "{wrong} of {PAIRS} pairs (seed {seed}) are not as explained:\n\n{report}");
    assert!(arrived * 5 > PAIRS * 2, "only {arrived} of {PAIRS} pairs arrived");
}
