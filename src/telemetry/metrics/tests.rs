//! Names, read back with the expressions that Envoy and Higress get.

use super::super::samples_of_records::{refused, stream};
use super::*;
use crate::telemetry::labels::{Consumers, Models};
use crate::telemetry::record::Party;
use crate::usage::Usage;
use regex_lite::Regex;
use std::collections::BTreeMap;
#[cfg(target_family = "wasm")]
use wasm_bindgen_test::wasm_bindgen_test as test;

const STATS_TAGS: &str = include_str!("../../../testdata/telemetry/stats_tags.yaml");

/// A tag and its expression.
type Tags = Vec<(&'static str, Regex)>;

/// What `stats_tags` say.
fn shipped() -> Tags {
    let mut tags = Vec::new();
    let mut name = "";
    for line in STATS_TAGS.lines() {
        if let Some((_, tag)) = line.split_once("- tag_name: ") {
            name = tag;
        } else if let Some((_, regex)) = line.split_once("regex: ") {
            tags.push((name, Regex::new(regex.trim_matches('\'')).unwrap()));
        }
    }
    tags
}

/// What Istio makes of `extraStatTags`.
fn istio() -> Tags {
    let labels = shipped().into_iter().map(|(name, _)| name).filter(|name| !name.starts_with("ai_"));
    labels.map(|name| (name, Regex::new(&format!(r"({name}=\.=(.*?);\.;)")).unwrap())).collect()
}

/// The name as Prometheus shows it, and its labels: Envoy matches every expression against the whole name, then takes
/// out the first groups of all.
fn extract(tags: &Tags, name: &str) -> (String, BTreeMap<&'static str, String>) {
    let full = format!("wasmcustom.{name}");
    let mut labels = BTreeMap::new();
    let mut kept = vec![true; full.len()];
    for (tag, regex) in tags {
        if let Some(captures) = regex.captures(&full) {
            let removed = captures.get(1).unwrap();
            kept[removed.start()..removed.end()].fill(false);
            labels.insert(*tag, captures.get(2).unwrap().as_str().to_owned());
        }
    }
    let rest: Vec<u8> = full.bytes().zip(kept).filter(|(_, kept)| *kept).map(|(byte, _)| byte).collect();
    let rest = String::from_utf8(rest).unwrap();
    let shown = rest.strip_prefix("wasmcustom.").unwrap();
    (shown.replace(|c: char| !c.is_ascii_alphanumeric() && c != '_', "_"), labels)
}

fn counted(record: &Record, style: Style) -> Vec<(String, u64)> {
    let models = Models::new(["gpt-4.1"]);
    let consumers = Consumers::new(["team-a"]);
    let labels = Labels::new(record, Style::Both, &models, &consumers);
    let named = |sample: &Sample| {
        let mut name = String::new();
        sample.write_name(Some(&labels), &mut name);
        (name, sample.value)
    };
    samples(record, style).iter().map(named).collect()
}

/// The series as Prometheus shows them.
fn shown(record: &Record, style: Style) -> Vec<String> {
    let tags = shipped();
    let show = |(name, value): (String, u64)| {
        let (name, labels) = extract(&tags, &name);
        let labels: Vec<String> = labels.iter().map(|(name, value)| format!("{name}={value}")).collect();
        format!("{name}{{{}}} {value}", labels.join(","))
    };
    counted(record, style).into_iter().map(show).collect()
}

const STREAM_LABELS: &str =
    "gen_ai_operation_name=chat_completions,gen_ai_provider_name=openai,gen_ai_request_model=gpt-4.1";

#[test]
fn a_stream_counts_all_eight_figures_of_higress_but_the_failure() {
    let names: Vec<(String, u64)> = counted(&stream(), Style::Higress);
    let prefix = "route.ai-route-gpt.internal.upstream.outbound|443||llm-openai.internal.dns.model.gpt-4.1-2025-04-14\
                  .consumer.team-a.metric.";
    let expected = [
        ("input_token", 1200),
        ("output_token", 101),
        ("total_token", 1301),
        ("llm_first_token_duration", 210),
        ("llm_stream_duration_count", 1),
        ("llm_service_duration", 2250),
        ("llm_duration_count", 1),
    ];
    assert_eq!(names, expected.map(|(name, value)| (format!("{prefix}{name}"), value)));
    assert_eq!(
        shown(&stream(), Style::Higress)[0],
        "route_upstream_model_consumer_metric_input_token{ai_cluster=outbound|443||llm-openai.internal.dns,\
         ai_consumer=team-a,ai_model=gpt-4.1-2025-04-14,ai_route=ai-route-gpt.internal} 1200"
    );
}

#[test]
fn without_usage_higress_counts_only_the_failure() {
    assert_eq!(
        counted(&refused(), Style::Higress),
        [("route.r.upstream.c.model.other.consumer.none.metric.llm_failure_count".to_owned(), 1)]
    );
    let unused = Record { tokens: Usage::default(), ..stream() };
    assert_eq!(counted(&unused, Style::Higress), []);
}

#[test]
fn counters_that_would_not_grow_are_left_out() {
    let tokens = Usage { input: Some(3), output: Some(0), ..Usage::default() };
    let record = Record { tokens, streamed: false, end: Some(10), ..stream() };
    let higress: Vec<u64> = counted(&record, Style::Higress).into_iter().map(|(_, value)| value).collect();
    assert_eq!(higress, [3, 3, 1], "input, total, count; the service took no whole millisecond");
    assert!(counted(&record, Style::Waypost).iter().any(|(name, value)| name.ends_with("token_usage") && *value == 0));
    assert!(!counted(&record, Style::Waypost).iter().any(|(name, value)| name.ends_with("_total") && *value == 0));
}

#[test]
fn a_stream_is_counted_in_waypost_s_own_metrics() {
    let expected = [
        format!("waypost_requests_total{{consumer=team-a,{STREAM_LABELS},status_class=2xx}} 1"),
        format!("gen_ai_server_request_duration_milliseconds{{{STREAM_LABELS},status_class=2xx}} 2250"),
        format!("gen_ai_server_time_to_first_token_milliseconds{{{STREAM_LABELS}}} 250"),
        format!("gen_ai_server_time_per_output_token_microseconds{{{STREAM_LABELS}}} 20000"),
        format!("gen_ai_client_token_usage{{{STREAM_LABELS},gen_ai_token_type=input}} 1200"),
        format!("gen_ai_client_token_usage{{{STREAM_LABELS},gen_ai_token_type=output}} 101"),
    ];
    let shown = shown(&stream(), Style::Waypost);
    assert_eq!(shown[..6], expected);
    let tokens = "waypost_tokens_total{consumer=team-a,gen_ai_provider_name=openai,gen_ai_request_model=gpt-4.1,";
    assert_eq!(
        shown[6..],
        [
            format!("{tokens}gen_ai_token_type=input,usage_source=upstream}} 1200"),
            format!("{tokens}gen_ai_token_type=output,usage_source=upstream}} 101"),
            format!("{tokens}gen_ai_token_type=cached_input,usage_source=upstream}} 1024"),
            format!("{tokens}gen_ai_token_type=reasoning,usage_source=upstream}} 40"),
        ]
    );
}

#[test]
fn a_refusal_is_an_error_of_a_model_without_a_name() {
    let labels = "gen_ai_operation_name=chat_completions,gen_ai_provider_name=openai,gen_ai_request_model=other";
    assert_eq!(
        shown(&refused(), Style::Waypost),
        [
            format!("waypost_requests_total{{consumer=none,{labels},status_class=4xx}} 1"),
            format!("waypost_errors_total{{error_source=upstream,error_type=429,{labels}}} 1"),
            format!("gen_ai_server_request_duration_milliseconds{{{labels},status_class=4xx}} 31"),
        ]
    );
}

#[test]
fn a_client_that_hangs_up_is_counted_but_fails_nothing_for_higress() {
    let record = Record { aborted: Some(Party::Client), tokens: Usage::default(), ..stream() };
    assert_eq!(counted(&record, Style::Higress), []);
    assert!(shown(&record, Style::Waypost).iter().any(|series| series.contains("error_type=client_closed")));
}

#[test]
fn cache_that_the_vendor_counts_apart_is_input_all_the_same() {
    let tokens = Usage {
        input: Some(10),
        cached_input: Some(100),
        cache_write: Some(20),
        output: Some(5),
        includes_cache: Some(false),
        ..Usage::default()
    };
    let record = Record { tokens, ..stream() };
    let shown = shown(&record, Style::Waypost);
    for (token_type, value) in [("input", 130), ("output", 5), ("cached_input", 100), ("cache_write_input", 20)] {
        let end = format!("gen_ai_token_type={token_type},usage_source=upstream}} {value}");
        assert!(
            shown.iter().any(|series| series.starts_with("waypost_tokens_total") && series.ends_with(&end)),
            "{end}"
        );
    }
    assert_eq!(counted(&record, Style::Higress)[0].1, 10, "Higress shows the vendor's figure");
}

#[test]
fn an_estimate_is_marked_and_in_no_histogram_and_none_of_higress_s_counters() {
    let record = Record { usage_source: UsageSource::Estimated, ..stream() };
    let waypost = shown(&record, Style::Waypost);
    let tokens: Vec<_> = waypost.iter().filter(|series| series.starts_with("waypost_tokens_total")).collect();
    assert!(tokens.len() > 1 && tokens.iter().all(|series| series.contains("usage_source=estimated")), "{tokens:?}");
    let derived = ["gen_ai_client_token_usage", "gen_ai_server_time_per_output_token"];
    assert!(waypost.iter().all(|series| derived.iter().all(|name| !series.starts_with(name))), "{waypost:?}");
    assert_eq!(counted(&record, Style::Higress), [], "{record:?}");
}

#[test]
fn styles_add_up_and_none_is_none() {
    let count = |style| samples(&stream(), style).len();
    assert_eq!(count(Style::None), 0);
    assert_eq!(count(Style::Both), count(Style::Higress) + count(Style::Waypost));
    for (name, style) in [("none", Some(Style::None)), ("both", Some(Style::Both)), ("Both", None), ("", None)] {
        assert_eq!(Style::parse(name), style);
    }
}

#[test]
fn istio_s_expressions_find_the_same_labels() {
    let (tags, istio) = (shipped(), istio());
    for (name, _) in counted(&stream(), Style::Waypost).into_iter().chain(counted(&refused(), Style::Waypost)) {
        assert_eq!(extract(&tags, &name), extract(&istio, &name), "{name}");
    }
}

#[test]
fn no_label_is_the_end_of_another_one() {
    let names: Vec<&str> = istio().into_iter().map(|(name, _)| name).collect();
    assert_eq!(names.len(), 9);
    for name in &names {
        assert!(names.iter().all(|other| other == name || !other.ends_with(name)), "{name}");
    }
}

#[test]
fn every_histogram_has_buckets() {
    for metric in [&TOKEN_USAGE, &DURATION, &FIRST_TOKEN, &PER_TOKEN] {
        assert!(STATS_TAGS.contains(&format!("suffix: {} }}", metric.name)), "{}", metric.name);
    }
}

#[test]
fn overflow_series_have_the_same_names_and_labels() {
    let tags = shipped();
    for sample in samples(&stream(), Style::Both) {
        let (mut usual, mut overflow) = (String::new(), String::new());
        let record = stream();
        let labels = Labels::new(&record, Style::Both, &Models::default(), &Consumers::default());
        sample.write_name(Some(&labels), &mut usual);
        sample.write_name(None, &mut overflow);
        let (usual, overflow) = (extract(&tags, &usual), extract(&tags, &overflow));
        assert_eq!(usual.0, overflow.0);
        assert!(usual.1.keys().eq(overflow.1.keys()));
        assert!(overflow.1.values().all(|value| value == OVERFLOW));
    }
}

#[cfg(not(target_family = "wasm"))]
mod properties {
    use super::*;
    use crate::telemetry::labels::{MAX_LABEL, MAX_PLACE, clean, cut};
    use proptest::prelude::*;

    /// Values made of what could break a name.
    fn hostile() -> impl Strategy<Value = String> {
        let parts = [
            ".",
            "upstream",
            "model",
            "consumer",
            "metric",
            "route",
            ";.;",
            "=.=",
            ";",
            "=",
            "x",
            "é",
            " ",
            "_",
            "4",
            "consumer=.=",
            "wasmcustom.",
        ];
        proptest::collection::vec(proptest::sample::select(parts.to_vec()), 1..9).prop_map(|parts| parts.concat())
    }

    /// What is left of a value when all that may be replaced is gone.
    fn essence(value: &str, max: usize) -> String {
        cut(value, max).replace(['.', '_', ' ', ';', '='], "")
    }

    proptest! {
        #[test]
        fn hostile_values_stay_what_they_are(
            route in hostile(), cluster in hostile(), model in hostile(), consumer in hostile(), provider in hostile()
        ) {
            let labels = Labels {
                route: clean(&route, MAX_PLACE),
                cluster: clean(&cluster, MAX_PLACE),
                provider: clean(&provider, MAX_LABEL),
                operation: "chat",
                model: clean(&model, MAX_LABEL),
                higress_model: clean(&model, MAX_LABEL),
                consumer: clean(&consumer, MAX_LABEL),
                error_source: "upstream",
                error_type: "429".into(),
                status_class: "2xx",
                usage_source: "upstream",
            };
            let tags = shipped();
            for sample in samples(&stream(), Style::Both) {
                let mut name = String::new();
                sample.write_name(Some(&labels), &mut name);
                let (shown, found) = extract(&tags, &name);
                if matches!(sample.metric.form, Form::Higress) {
                    prop_assert_eq!(shown, format!("route_upstream_model_consumer_metric_{}", sample.metric.name));
                    for (tag, value, max) in [
                        ("ai_route", &route, MAX_PLACE), ("ai_cluster", &cluster, MAX_PLACE),
                        ("ai_model", &model, MAX_LABEL), ("ai_consumer", &consumer, MAX_LABEL),
                    ] {
                        prop_assert_eq!(essence(&found[tag], max + 1), essence(value, max), "{} in {}", tag, name);
                    }
                } else {
                    prop_assert_eq!(shown, sample.metric.name);
                    let value = essence(&found["gen_ai_provider_name"], MAX_LABEL + 1);
                    prop_assert_eq!(value, essence(&provider, MAX_LABEL), "{}", name);
                    let value = essence(&found["gen_ai_request_model"], MAX_LABEL + 1);
                    prop_assert_eq!(value, essence(&model, MAX_LABEL), "{}", name);
                }
            }
        }
    }
}
