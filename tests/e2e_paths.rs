//! Every case of `testdata/paths/*.json`, and every operation of every preset, through a real Envoy: the upstream must see exactly the authority and path
//! that the case names, one credential, and none of the client's.
//!
//! A file is an array of groups; a group is one provider configuration and requests for it. Each group becomes one
//! rule of one Waypost configuration, selected by a domain of its own, so one Envoy serves them all.
//!
//! ```json
//! [{"name": "…", "source": "…", "provider": {…}, "requests": [
//!     {"method": "POST", "path": "/v1/chat/completions", "model": "…", "headers": {…}, "body": …,
//!      "upstream": {"authority": "…", "path": "…"}, "status": 200}]}]
//! ```
//!
//! `upstream` absent means that nothing may arrive there; `status` is then Waypost's own answer.
#![cfg(not(target_family = "wasm"))]
#![allow(
    clippy::expect_used,
    clippy::indexing_slicing,
    clippy::panic,
    clippy::print_stderr,
    reason = "a test that meets something unexpected fails"
)]

mod support;

#[path = "support/presets.rs"]
mod presets;

use hyper::Request;
use serde_json::{Map, Value, json};
use std::fmt::Write as _;
use std::fs;
use std::time::Instant;
use support::client::{Client, RequestBody, whole};
use support::{Envoy, EnvoyConfig, Received, Upstream, credential, root};

/// The credential that each client sends, and that no provider may see.
const CLIENT_SECRET: &str = "client-secret";

/// What providers of cases that name no credential get.
const DEFAULT_TOKEN: &str = "test-token";

/// One provider configuration and its requests.
struct Group {
    /// File and name, for messages.
    title: String,
    domain: String,
    provider: Value,
    requests: Vec<Value>,
}

/// The groups of all files, in the order of file names, then the presets.
fn groups() -> Vec<Group> {
    let directory = root().join("testdata/paths");
    let entries = directory.read_dir().unwrap_or_else(|error| panic!("{}: {error}", directory.display()));
    let mut files: Vec<_> = entries.map(|entry| entry.expect("a directory entry").path()).collect();
    files.retain(|path| path.extension().is_some_and(|extension| extension == "json"));
    files.sort();
    let mut groups = Vec::new();
    for file in files {
        let text = fs::read_to_string(&file).unwrap_or_else(|error| panic!("{}: {error}", file.display()));
        let cases: Value = serde_json::from_str(&text).unwrap_or_else(|error| panic!("{}: {error}", file.display()));
        let file = file.file_name().map(|name| name.to_string_lossy().into_owned()).unwrap_or_default();
        for group in cases.as_array().unwrap_or_else(|| panic!("{file}: not an array of groups")) {
            let name = group["name"].as_str().unwrap_or_else(|| panic!("{file}: a group without name"));
            let provider = &group["provider"];
            let requests = group["requests"].as_array().unwrap_or_else(|| panic!("{file}: {name}: no requests"));
            assert!(provider.is_object(), "{file}: {name}: no provider");
            groups.push(Group {
                title: format!("{file}: {name}"),
                domain: format!("case-{}.test", groups.len()),
                provider: with_token(provider.clone()),
                requests: requests.clone(),
            });
        }
    }
    for preset in presets::all() {
        groups.push(Group {
            title: format!("preset {}", preset.name),
            domain: format!("case-{}.test", groups.len()),
            provider: with_token(preset.provider),
            requests: preset.requests,
        });
    }
    groups
}

fn with_token(mut provider: Value) -> Value {
    if provider.get("apiTokens").is_none() && provider.get("auth").is_none() {
        provider["apiTokens"] = json!([DEFAULT_TOKEN]);
    }
    provider
}

/// One rule for each group, and nothing for what matches no rule.
fn configuration(groups: &[Group]) -> Value {
    let rules: Vec<Value> =
        groups.iter().map(|group| json!({"_match_domain_": [group.domain], "provider": group.provider})).collect();
    json!({"_rules_": rules})
}

fn request(group: &Group, case: &Value) -> Result<Request<RequestBody>, hyper::http::Error> {
    let method = case["method"].as_str().unwrap_or("POST");
    let path = case["path"].as_str().unwrap_or_default();
    let mut request = Request::builder().method(method).uri(path).header("host", &group.domain);
    let headers = case["headers"].as_object().cloned().unwrap_or_else(Map::new);
    if !headers.keys().any(|name| name.eq_ignore_ascii_case("authorization")) {
        request = request.header("authorization", format!("Bearer {CLIENT_SECRET}"));
    }
    for (name, value) in &headers {
        request = request.header(name, value.as_str().unwrap_or_default());
    }
    let body = match (&case["body"], method) {
        (Value::Null, "POST") => {
            let mut body = json!({"messages": []});
            if let Some(model) = case.get("model") {
                body["model"] = model.clone();
            }
            Some(body.to_string())
        }
        (Value::Null, _) => None,
        // Text is sent as it stands, so that a case can break JSON.
        (Value::String(text), _) => Some(text.clone()),
        (body, _) => Some(body.to_string()),
    };
    if body.is_some() && !headers.keys().any(|name| name.eq_ignore_ascii_case("content-type")) {
        request = request.header("content-type", "application/json");
    }
    request.body(whole(body.unwrap_or_default()))
}

/// What is wrong with one exchange, in words; nothing if all is well.
fn faults(group: &Group, case: &Value, status: u16, answer: &str, received: &[Received]) -> Vec<String> {
    let mut faults = Vec::new();
    // Only two settings change the rule that exactly one credential arrives, and that it is not the client's.
    let auth = group.provider["auth"].as_str().unwrap_or_default();
    let expected_credentials = if auth == "none" { 0 } else { 1 };
    for request in received {
        if auth != "passthrough" && credential::leaked(request, CLIENT_SECRET.as_bytes()) {
            faults.push("the client's credential reached the upstream".to_owned());
        }
    }
    let expected_status = case["status"].as_u64().map(|status| status.to_string());
    match (case.get("upstream"), received) {
        (Some(expected), [request]) => {
            let arrived = format!("{}{}", request.authority, request.path);
            let expected = format!(
                "{}{}",
                expected["authority"].as_str().unwrap_or_default(),
                expected["path"].as_str().unwrap_or_default()
            );
            if arrived != expected {
                faults.push(format!("arrived at {arrived}\n     instead of {expected}"));
            }
            let credentials = credential::of(request);
            if credentials.len() != expected_credentials {
                faults
                    .push(format!("has {} credentials {credentials:?}, not {expected_credentials}", credentials.len()));
            }
        }
        (Some(_), []) => faults.push(format!("did not arrive; answered {status}: {answer}")),
        (None, []) => {
            let expected = expected_status.unwrap_or_else(|| "a refusal".to_owned());
            let refused = status >= 400;
            if expected != status.to_string() && !(expected == "a refusal" && refused) {
                faults.push(format!("answered {status} instead of {expected}: {answer}"));
            }
        }
        (None, [request, ..]) => {
            faults.push(format!("arrived at {}{}, but must be refused", request.authority, request.path));
        }
        (Some(_), more) => faults.push(format!("arrived {} times", more.len())),
    }
    faults
}

#[tokio::test]
async fn every_request_arrives_where_its_case_says() {
    let groups = groups();
    let total: usize = groups.iter().map(|group| group.requests.len()).sum();
    assert!(total > 0, "there is no case in testdata/paths");
    let upstream = Upstream::start().await;
    let config = EnvoyConfig::new(upstream.address()).waypost(&configuration(&groups)).log_level("warning");
    let envoy = Envoy::start(config).await.unwrap_or_else(|error| panic!("{error}"));
    let mut client = Client::http1(envoy.address());
    let start = Instant::now();
    let mut report = String::new();
    let mut wrong = 0_usize;
    for group in &groups {
        for case in &group.requests {
            let (status, answer) = match request(group, case) {
                Ok(request) => match client.send(request).await {
                    Ok(response) => (response.status.as_u16(), response.text()),
                    Err(error) => (0, error.to_string()),
                },
                Err(error) => (0, format!("the test cannot send this: {error}")),
            };
            // The upstream records a request before it answers, so everything is there once the client has the answer.
            let faults = faults(group, case, status, &answer, &upstream.take());
            if !faults.is_empty() {
                wrong = wrong.saturating_add(1);
                let method = case["method"].as_str().unwrap_or("POST");
                let _ = writeln!(report, "{}\n  {method} {} model {}", group.title, case["path"], case["model"]);
                for fault in faults {
                    let _ = writeln!(report, "     {fault}");
                }
            }
        }
    }
    eprintln!("{total} requests of {} groups in {:?}", groups.len(), start.elapsed());
    assert!(wrong == 0, "{wrong} of {total} requests went wrong:\n\n{report}");
}
