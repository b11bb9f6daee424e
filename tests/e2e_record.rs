//! Where the record of a request goes on a real Envoy: metrics whose number is bounded, a log that several filters
//! write, attributes as ai-statistics has them, and what an upstream filter leaves.
#![cfg(not(target_family = "wasm"))]
#![allow(
    clippy::arithmetic_side_effects,
    clippy::expect_used,
    clippy::indexing_slicing,
    clippy::panic,
    clippy::print_stdout,
    reason = "a test that meets something unexpected fails"
)]

mod support;

use hyper::Request;
use serde_json::{Value, json};
use std::collections::BTreeMap;
use support::client::{Client, Response, whole};
use support::record::{Line, Recorder, ai_log, logged, series};
use support::upstream::{INPUT_TOKENS, OUTPUT_TOKENS};
use support::{Answer, Envoy, EnvoyConfig, Upstream, UpstreamOptions};
use tokio::task::JoinSet;

const CHAT: &str = "/v1/chat/completions";

async fn start(config: EnvoyConfig) -> Envoy {
    Envoy::start(config).await.unwrap_or_else(|error| panic!("{error}"))
}

fn chat_request(body: &Value, headers: &[(&str, &str)]) -> Request<support::client::RequestBody> {
    let request = Request::post(CHAT).header("host", "gw").header("content-type", "application/json");
    let request = headers.iter().fold(request, |request, (name, value)| request.header(*name, *value));
    request.body(whole(body.to_string())).expect("a request")
}

async fn chat(envoy: &Envoy, body: &Value, headers: &[(&str, &str)]) -> Response {
    Client::http1(envoy.address()).send(chat_request(body, headers)).await.expect("a response")
}

// -- Metrics ----------------------------------------------------------------------------------------------------------

/// How many series there may be, how many models are invented, and what the process may grow by after the first tenth.
struct Flood {
    max_series: u64,
    models: usize,
    workers: u32,
    growth_kb: u64,
}

/// How many clients send at once.
const CLIENTS: usize = 4;

async fn flood(flood: &Flood) {
    let free = std::net::SocketAddr::from((std::net::Ipv4Addr::LOCALHOST, 0));
    let options = UpstreamOptions { forget: true, ..UpstreamOptions::default() };
    let upstream = Upstream::listen(free, options).await.expect("a free loopback port");
    let configuration = json!({
        "provider": {"type": "openai", "apiTokens": ["token"]},
        "statistics": {"metricStyle": "both", "maxSeries": flood.max_series},
    });
    let config = EnvoyConfig::new(upstream.address()).waypost(&configuration).concurrency(flood.workers);
    let envoy = start(config).await;
    let send = async |from: usize, to: usize| {
        let mut clients = JoinSet::new();
        for first in 0..CLIENTS {
            let address = envoy.address();
            clients.spawn(async move {
                let mut client = Client::http1(address);
                for number in (from + first..to).step_by(CLIENTS) {
                    // Names of families that are known, and names of none.
                    let family = ["gpt-", "claude-", "invented-", "qwen", "o1-"][number % 5];
                    let body = json!({"model": format!("{family}{number}"), "messages": []});
                    let consumer = format!("consumer-{number}");
                    let headers = [("x-mse-consumer", consumer.as_str())];
                    let response = client.send(chat_request(&body, &headers)).await.expect("a response");
                    assert_eq!(response.status, 200, "{}", response.text());
                }
            });
        }
        while let Some(done) = clients.join_next().await {
            done.expect("all answers");
        }
    };
    let tenth = flood.models / 10;
    send(0, tenth).await;
    let before = envoy.memory_kb("VmRSS");
    send(tenth, flood.models).await;
    let after = envoy.memory_kb("VmRSS");
    // One figure of both kinds of metrics, with histograms: they are only on this page.
    let page = envoy.admin_get("/stats?filter=wasmcustom").await.expect("the statistics").text();
    let names: Vec<_> = page.lines().filter_map(|line| line.split(": ").next()).collect();
    let overflow = |name: &&&str| name.contains("overflow");
    // The memory of a VM has no labels, and is there from the first stream on.
    let series_of_requests = |name: &&&str| !overflow(name) && !name.contains("waypost_memory_bytes");
    let bounded = names.iter().filter(series_of_requests).count() as u64;
    let overflowed = names.iter().filter(overflow).count();
    let stats = envoy.stats().await;
    let refused = stats.get("wasmcustom.waypost_series_overflow_total").copied().unwrap_or(0);
    let counted = series(&stats);
    let requests: u64 =
        counted.iter().filter(|series| series.metric == "waypost_requests_total").map(|series| series.value).sum();
    println!(
        "{} models, {} workers: {bounded} series, {overflowed} of overflow, {refused} refused; {before} KiB, then {after} KiB",
        flood.models, flood.workers
    );
    assert!(bounded <= flood.max_series, "{bounded} series");
    assert!((1..=32).contains(&overflowed), "{overflowed} series of overflow");
    assert!(refused > 0, "nothing was refused");
    assert_eq!(requests, flood.models as u64, "requests were lost");
    assert!(after < before + flood.growth_kb, "{before} KiB, then {after} KiB");
}

#[tokio::test(flavor = "multi_thread")]
async fn invented_models_leave_no_more_series_than_are_allowed() {
    flood(&Flood { max_series: 200, models: 2_000, workers: 1, growth_kb: 4 << 10 }).await;
}

#[tokio::test(flavor = "multi_thread")]
async fn workers_share_one_limit_of_series() {
    flood(&Flood { max_series: 200, models: 2_000, workers: 2, growth_kb: 4 << 10 }).await;
}

/// Minutes long: `cargo test --features cli --test e2e_record -- --ignored`.
#[tokio::test(flavor = "multi_thread")]
#[ignore = "long; the two tests above do the same with fewer requests"]
async fn ten_thousand_invented_models_leave_a_thousand_series() {
    flood(&Flood { max_series: 1_000, models: 10_000, workers: 2, growth_kb: 8 << 10 }).await;
}

// -- The log ----------------------------------------------------------------------------------------------------------

/// A line of a text format, as Higress's own access log has it: the value stands between quotes as it is.
#[tokio::test]
async fn ai_log_stands_between_the_quotes_of_a_text_format() {
    let configuration = json!({
        "provider": {"type": "openai", "apiTokens": ["token"]},
        "statistics": {"attributes": [
            {"key": "odd", "value_source": "request_header", "value": "x-odd", "apply_to_log": true},
        ]},
    });
    let mut recorder = Recorder::start_with(&configuration, |config| {
        config.edit(|bootstrap| {
            let http =
                &mut bootstrap["static_resources"]["listeners"][0]["filter_chains"][0]["filters"][0]["typed_config"];
            let format = "{\"ai_log\":\"%FILTER_STATE(wasm.ai_log:PLAIN)%\",\"status\":%RESPONSE_CODE%}\n";
            http["access_log"][0]["typed_config"]["log_format"] =
                json!({"text_format_source": {"inline_string": format}});
        })
    })
    .await;
    let odd = r#"a "quote", a \ and <tags> & more"#;
    let response =
        chat(&recorder.envoy, &json!({"model": "a \"b\" \\ é \u{1} <c>", "messages": []}), &[("x-odd", odd)]).await;
    assert_eq!(response.status, 200);
    let (Line(line), _) = recorder.one().await;
    // Reading the line as JSON takes one of the two layers away.
    let text = line["ai_log"].as_str().expect("a text").to_owned();
    let record: Value = serde_json::from_str(&text).unwrap_or_else(|error| panic!("{error}: {text}"));
    assert_eq!(record["odd"], odd);
    assert_eq!(record["request_model"], "a \"b\" \\ é \u{1} <c>");
    assert_eq!((&record["input_token"], &record["output_token"]), (&json!(INPUT_TOKENS), &json!(OUTPUT_TOKENS)));
    // Keys sorted, and what HTML would take for its own escaped, as in the reference.
    let keys: Vec<_> =
        record.as_object().expect("members").keys().map(|key| text.find(&format!("\"{key}\":"))).collect();
    assert!(keys.is_sorted(), "{text}");
    assert!(!text.contains(['<', '>', '&']), "{text}");
    recorder.assert_settled().await;
}

/// Adds a second Waypost in front of the first, with this configuration.
fn with_second(config: EnvoyConfig, configuration: &Value) -> EnvoyConfig {
    config.edit(|bootstrap| {
        let http = &mut bootstrap["static_resources"]["listeners"][0]["filter_chains"][0]["filters"][0]["typed_config"];
        let filters = http["http_filters"].as_array_mut().expect("filters");
        let mut second = filters[0].clone();
        second["name"] = json!("second");
        let plugin = &mut second["typed_config"]["config"];
        plugin["name"] = json!("second");
        plugin["configuration"]["value"] = json!(configuration.to_string());
        filters.insert(0, second);
    })
}

#[tokio::test]
async fn two_filters_that_write_one_log_leave_the_fields_of_both() {
    let provider = json!({"type": "openai", "apiTokens": ["token"]});
    let with = |key: &str| {
        let fixed = json!([{"key": key, "value_source": "fixed_value", "value": format!("{key} \"x\" \\"), "apply_to_log": true}]);
        json!({"provider": provider, "statistics": {"attributes": fixed, "metricStyle": "none"}})
    };
    let mut recorder = Recorder::start_with(&with("mine"), |config| with_second(config, &with("theirs"))).await;
    chat(&recorder.envoy, &json!({"model": "gpt-4", "messages": []}), &[]).await;
    let (line, _) = recorder.one().await;
    let expected = json!({"mine": "mine \"x\" \\", "theirs": "theirs \"x\" \\", "input_token": INPUT_TOKENS, "usage_source": "upstream"});
    line.assert_has(&expected, "both");
    recorder.assert_settled().await;
}

#[tokio::test]
async fn a_log_key_of_its_own_leaves_ai_log_to_others() {
    let provider = json!({"type": "openai", "apiTokens": ["token"]});
    let configuration = json!({"provider": provider, "statistics": {"logKey": "waypost_log"}});
    let field = ("own".to_owned(), json!("%FILTER_STATE(wasm.waypost_log:PLAIN)%"));
    let mut recorder = Recorder::start_with(&configuration, |config| config.log_fields([field])).await;
    chat(&recorder.envoy, &json!({"model": "gpt-4", "messages": []}), &[]).await;
    let (line, _) = recorder.one().await;
    assert_eq!(line.record(), Value::Null);
    assert_eq!(ai_log(line.0["own"].as_str().expect("a record"))["total_token"], INPUT_TOKENS + OUTPUT_TOKENS);
    recorder.assert_settled().await;
}

/// A filter state of that name that no wasm filter wrote cannot be read through the ABI.
#[tokio::test]
async fn a_filter_state_of_another_kind_under_the_name_of_the_log_breaks_nothing() {
    let mut recorder = Recorder::start_with(&json!({"provider": {"type": "openai", "apiTokens": ["token"]}}), |config| {
        config.edit(|bootstrap| {
            let http = &mut bootstrap["static_resources"]["listeners"][0]["filter_chains"][0]["filters"][0]["typed_config"];
            let filters = http["http_filters"].as_array_mut().expect("filters");
            filters.insert(0, json!({
                "name": "state",
                "typed_config": {
                    "@type": "type.googleapis.com/envoy.extensions.filters.http.set_filter_state.v3.Config",
                    "on_request_headers": [{
                        "object_key": "wasm.ai_log",
                        "factory_key": "envoy.string",
                        "format_string": {"text_format_source": {"inline_string": "{\\\"other\\\":1}"}},
                    }],
                },
            }));
        })
    })
    .await;
    for _ in 0..2 {
        let response = chat(&recorder.envoy, &json!({"model": "gpt-4", "messages": []}), &[]).await;
        assert_eq!(response.status, 200);
        let (line, counts) = recorder.one().await;
        assert_eq!(line.record()["total_token"], INPUT_TOKENS + OUTPUT_TOKENS);
        assert_eq!(line.0["waypost_total_token"], (INPUT_TOKENS + OUTPUT_TOKENS).to_string());
        assert_eq!((counts.requests, counts.input), (1, INPUT_TOKENS));
    }
    recorder.assert_settled().await;
}

// -- Attributes -------------------------------------------------------------------------------------------------------

const QUESTION: &str = "Which way to the harbour?";

fn asked(stream: bool) -> Value {
    let messages = json!([{"role": "system", "content": "Be a signpost."}, {"role": "user", "content": QUESTION}]);
    json!({"model": "gpt-4", "messages": messages, "stream": stream})
}

#[tokio::test]
async fn attributes_of_ai_statistics_are_taken_from_json_and_from_streams() {
    let provider = json!({"type": "openai", "apiTokens": ["token"]});
    let configuration = json!({"_rules_": [
        {"_match_domain_": ["all.test"], "provider": provider, "statistics": {"use_default_attributes": true}},
        {"_match_domain_": ["short.test"], "provider": provider,
         "statistics": {"value_length_limit": 12, "attributes": [
            {"key": "question", "apply_to_log": true},
            {"key": "answer", "rule": "append", "apply_to_log": true},
         ]}},
        {"_match_domain_": ["own.test"], "provider": provider,
         "statistics": {"attributes": [
            {"key": "asked", "value_source": "request_body", "value": "messages.@reverse.0.content", "apply_to_log": true,
             "as_separate_log_field": true},
            {"key": "said", "value_source": "response_streaming_body", "value": "choices.0.delta.content", "rule": "append",
             "apply_to_log": true},
            {"key": "type", "value_source": "response_header", "value": "content-type", "apply_to_log": true},
         ]}},
        {"_match_domain_": ["none.test"], "provider": provider},
    ]});
    let field = ("asked".to_owned(), json!("%FILTER_STATE(wasm.asked:PLAIN)%"));
    let mut recorder = Recorder::start_with(&configuration, |config| config.log_fields([field])).await;
    let answer = "You are on the right path.";
    for stream in [false, true] {
        recorder.post("all.test", CHAT, &asked(stream), None).await;
        let (line, _) = recorder.one().await;
        let expected = json!({"question": QUESTION, "answer": answer, "cached_tokens": 0});
        line.assert_has(&expected, &format!("all, stream: {stream}"));

        recorder.post("short.test", CHAT, &asked(stream), None).await;
        let (line, _) = recorder.one().await;
        let record = line.record();
        let short = [("question", "Which  [truncated] rbour?"), ("answer", "You ar [truncated]  path.")];
        for (key, value) in short {
            assert_eq!(record[key], value, "{record}");
        }

        recorder.post("own.test", CHAT, &asked(stream), None).await;
        let (line, _) = recorder.one().await;
        assert_eq!(line.0["asked"], QUESTION, "{}", line.0);
        let record = line.record();
        assert_eq!(record["asked"], Value::Null, "{record}");
        assert_eq!(record["said"], if stream { json!(answer) } else { Value::Null }, "{record}");
        assert_eq!(record["type"], if stream { "text/event-stream" } else { "application/json" }, "{record}");

        // Off by default: nothing that was asked or answered is in any log.
        recorder.post("none.test", CHAT, &asked(stream), None).await;
        let (line, _) = recorder.one().await;
        let text = line.0.to_string();
        for word in ["harbour", "signpost", "right path", "path."] {
            assert!(!text.contains(word), "{text}");
        }
        assert!(!recorder.envoy.log().contains("harbour"));
    }
    recorder.assert_settled().await;
}

// -- Upstream filter --------------------------------------------------------------------------------------------------

/// In the chain of a cluster the filter runs once for each attempt, and so do its counters; its filter state is that of
/// the request, so the access log has the record of the attempt that came last.
#[tokio::test]
async fn an_upstream_filter_counts_each_attempt_once() {
    let upstream = Upstream::start().await;
    let retries = json!([{
        "match": {"prefix": "/"},
        "route": {"cluster": "upstream", "timeout": "0s", "retry_policy": {"retry_on": "5xx", "num_retries": 1}},
    }]);
    let provider = json!({"type": "openai", "apiTokens": ["token"]});
    let config = EnvoyConfig::new(upstream.address()).waypost(&json!({"provider": provider})).routes(retries);
    let envoy = start(logged(config).upstream_filter()).await;
    let body = json!({"model": "gpt-4", "messages": []});
    let requests = async || {
        let mut classes = BTreeMap::new();
        for series in series(&envoy.stats().await) {
            if series.metric == "waypost_requests_total" {
                *classes.entry(series.labels["status_class"].clone()).or_insert(0) += series.value;
            }
        }
        classes
    };
    let classes = |list: &[(&str, u64)]| {
        list.iter().map(|(class, count)| ((*class).to_owned(), *count)).collect::<BTreeMap<_, _>>()
    };

    let expected = json!({"status": 200, "usage_source": "upstream", "usage_missing": null, "error_source": null,
        "error_code": null, "aborted": null, "total_token": INPUT_TOKENS + OUTPUT_TOKENS});
    assert_eq!(chat(&envoy, &body, &[]).await.status, 200);
    Line(envoy.wait_for_access_log(1).await[0].clone()).assert_has(&expected, "one attempt");
    assert_eq!(requests().await, classes(&[("2xx", 1)]));

    upstream.answer_next(Answer::json(503, &json!({"error": {"message": "no"}})));
    assert_eq!(chat(&envoy, &body, &[]).await.status, 200);
    let line = Line(envoy.wait_for_access_log(2).await[1].clone());
    // What the first attempt left is gone; a flat field that was written cannot be unset, only emptied.
    let record = line.record();
    for (key, value) in expected.as_object().expect("members") {
        assert_eq!(record[key], *value, "`{key}` of {record}");
    }
    assert_eq!(line.0["waypost_error_source"], "", "{}", line.0);
    assert_eq!(requests().await, classes(&[("2xx", 2), ("5xx", 1)]));
    let tokens: u64 = series(&envoy.stats().await)
        .iter()
        .filter(|series| series.metric == "waypost_tokens_total" && series.labels["gen_ai_token_type"] == "input")
        .map(|series| series.value)
        .sum();
    assert_eq!(tokens, 2 * INPUT_TOKENS);
    assert_eq!(envoy.complaints(), Vec::<String>::new());
}
