use std::rc::Rc;

use super::clip::Clip;
use super::*;
use crate::usage::Usage;
use serde_json::{Map, Value, json};
#[cfg(target_family = "wasm")]
use wasm_bindgen_test::wasm_bindgen_test as test;

fn spec(entry: &Value) -> Spec {
    let text = |key: &str| entry[key].as_str().map(str::to_owned);
    let flag = |key: &str| entry[key].as_bool().unwrap_or_default();
    Spec {
        key: text("key").unwrap_or_default(),
        source: entry["value_source"].as_str().filter(|name| !name.is_empty()).map(|name| match name {
            "fixed_value" => Source::Fixed,
            "request_header" => Source::RequestHeader,
            "request_body" => Source::RequestBody,
            "response_header" => Source::ResponseHeader,
            "response_streaming_body" => Source::Events,
            "response_body" => Source::Document,
            other => panic!("{other}"),
        }),
        value: text("value"),
        rule: entry["rule"].as_str().filter(|name| !name.is_empty()).map(|name| match name {
            "first" => Rule::First,
            "replace" => Rule::Replace,
            "append" => Rule::Append,
            other => panic!("{other}"),
        }),
        default_value: text("default_value"),
        apply_to_log: flag("apply_to_log"),
        apply_to_span: flag("apply_to_span"),
        trace_span_key: text("trace_span_key"),
        as_separate_log_field: flag("as_separate_log_field"),
    }
}

fn compile(entry: &Value) -> Result<Attribute, &'static str> {
    Attribute::compile(spec(entry))
}

fn attributes(list: &Value, limit: Option<usize>) -> Rc<Attributes> {
    let list =
        list.as_array().unwrap().iter().map(|entry| compile(entry).unwrap_or_else(|why| panic!("{entry}: {why}")));
    Rc::new(Attributes::new(list.collect(), limit))
}

/// Shows a capture what a case has.
fn show(capture: &mut Capture, case: &Value) {
    let headers = |key: &str| case[key].as_object();
    if let Some(map) = headers("request_headers") {
        capture.request_headers(&|name| map.get(name)?.as_str().map(str::as_bytes));
    }
    if case["request_body"].is_object() && capture.wants_request_body() {
        capture.request_body(case["request_body"].to_string().as_bytes());
    }
    if let Some(map) = headers("response_headers") {
        capture.response_headers(&|name| map.get(name)?.as_str().map(str::as_bytes));
    }
    if case["response_body"].is_object() && capture.wants_response_document() {
        capture.response_document(format!("{:#}", case["response_body"]).as_bytes());
    }
    for event in case["events"].as_array().into_iter().flatten() {
        if capture.wants_events() {
            capture.event(event.to_string().as_bytes());
        }
    }
}

fn usage(case: &Value) -> Usage {
    let tokens = &case["tokens"];
    let details = |name: &str| -> Vec<_> {
        let details = tokens[name].as_object().into_iter().flatten();
        details.map(|(name, number)| (name.as_str().into(), number.as_u64().unwrap())).collect()
    };
    Usage {
        reasoning: tokens["reasoning"].as_u64(),
        cached_input: tokens["cached"].as_u64(),
        input_details: details("input_details"),
        output_details: details("output_details"),
        ..Usage::default()
    }
}

/// The record; a key that stands in it twice is an error.
fn record(captured: &[Captured<'_>]) -> Value {
    let mut record = Map::new();
    for Captured { key, json, .. } in captured {
        let value = serde_json::from_str(json).unwrap_or_else(|error| panic!("{key}: {error}: {json}"));
        assert_eq!(record.insert((*key).to_owned(), value), None, "{key}");
    }
    Value::Object(record)
}

#[test]
fn cases_are_recorded_as_written() {
    let cases: Value = serde_json::from_str(include_str!("../../testdata/attributes/cases.json")).unwrap();
    for case in cases.as_array().unwrap() {
        let limit = case["limit"].as_u64().map(|limit| limit as usize);
        let mut capture = Capture::new(&attributes(&case["attributes"], limit));
        show(&mut capture, case);
        let found = record(&capture.finish(&usage(case)));
        assert_eq!(found, case["expect"], "{}", case["name"]);
        assert_eq!(record(&capture.finish(&usage(case))), found, "a record can be written twice");
    }
}

#[test]
fn entries_that_cannot_be_meant_are_refused() {
    for (entry, why) in [
        (json!({"value_source": "fixed_value", "value": "v"}), "key"),
        (json!({"key": "k", "value": "v"}), "value_source is missing"),
        (json!({"key": "k", "value_source": "request_body", "value": "a.#(b==1)"}), "queries"),
        (json!({"key": "answer", "value": "a..b"}), "empty"),
    ] {
        let error = compile(&entry).unwrap_err();
        assert!(error.contains(why), "{entry}: {error}");
    }
    // Not paths.
    for source in ["fixed_value", "request_header", "response_header"] {
        assert!(compile(&json!({"key": "k", "value_source": source, "value": "a..#(b)"})).is_ok());
    }
}

#[test]
fn entries_that_never_find_anything_are_warned_about() {
    let stream = |value: Value| {
        let mut entry = json!({"key": "k", "value_source": "response_streaming_body", "value": "a"});
        entry.as_object_mut().unwrap().extend(value.as_object().cloned().unwrap());
        compile(&entry).unwrap().warning()
    };
    assert!(stream(json!({})).unwrap().contains("rule"));
    assert!(stream(json!({"rule": ""})).unwrap().contains("rule"));
    assert!(stream(json!({"key": "answer"})).unwrap().contains("rule"));
    assert_eq!(stream(json!({"rule": "append"})), None);
    assert!(compile(&json!({"key": "answer"})).unwrap().warning().unwrap().contains("rule"));
    assert!(
        compile(&json!({"key": "k", "value_source": "request_body"})).unwrap().warning().unwrap().contains("value")
    );
    assert!(compile(&json!({"key": "question", "value_source": "response_body"})).unwrap().warning().is_some());
    for key in ["question", "system", "reasoning", "tool_calls", "cached_tokens", "output_token_details"] {
        assert_eq!(compile(&json!({"key": key})).unwrap().warning(), None, "{key}");
    }
}

#[test]
fn only_what_is_needed_is_asked_for() {
    for (entry, body, document, events) in [
        (json!({"key": "k", "value_source": "fixed_value", "value": "v"}), false, false, false),
        (json!({"key": "k", "value_source": "request_header", "value": "v"}), false, false, false),
        (json!({"key": "k", "value_source": "request_body", "value": "v"}), true, false, false),
        (json!({"key": "k", "value_source": "response_body", "value": "v"}), false, true, false),
        (
            json!({"key": "k", "value_source": "response_streaming_body", "value": "v", "rule": "first"}),
            false,
            false,
            true,
        ),
        (json!({"key": "question"}), true, false, false),
        (json!({"key": "tool_calls"}), false, true, true),
        (json!({"key": "cached_tokens"}), false, false, false),
        (json!({"key": "cached_tokens", "value_source": "response_body", "value": "u"}), false, true, false),
    ] {
        let capture = Capture::new(&attributes(&json!([entry]), None));
        let wants = (capture.wants_request_body(), capture.wants_response_document(), capture.wants_events());
        assert_eq!(wants, (body, document, events), "{entry}");
    }
    let light = Capture::new(&Rc::new(Attributes::defaults_light(None)));
    assert!(!light.wants_request_body() && !light.wants_response_document() && !light.wants_events());
}

#[test]
fn the_default_sets_are_those_of_ai_statistics() {
    let full = Attributes::defaults_full(None);
    let keys: Vec<&str> = full.list.iter().map(|attribute| attribute.key.as_str()).collect();
    assert_eq!(
        keys.join(" "),
        "messages question system answer reasoning tool_calls reasoning_tokens cached_tokens input_token_details \
         output_token_details"
    );
    assert!(full.list.iter().all(|attribute| attribute.to_log && attribute.warning().is_none()));
    let light = Attributes::defaults_light(None);
    assert_eq!(light.list, full.list[6..].into());
    assert_eq!((full.limit, light.limit), (MAX_BODY, DEFAULT_LIMIT_LIGHT));
    assert_eq!((Attributes::defaults_full(Some(7)).limit, Attributes::defaults_light(Some(8)).limit), (7, 8));
    assert_eq!(Attributes::new(Vec::new(), None).limit, DEFAULT_LIMIT);
    assert!(Attributes::new(Vec::new(), None).is_empty());
}

#[test]
fn where_a_value_goes_is_handed_on() {
    let attributes = attributes(
        &json!([
            {"key": "a", "value_source": "fixed_value", "value": "x\"é\n", "apply_to_log": true, "as_separate_log_field": true},
            {"key": "b", "value_source": "request_body", "value": "b", "apply_to_span": true},
            {"key": "c", "value_source": "request_body", "value": "c", "apply_to_span": true, "trace_span_key": "gen.c"},
            {"key": "d", "value_source": "request_body", "value": "d", "trace_span_key": "unused"}
        ]),
        None,
    );
    let mut capture = Capture::new(&attributes);
    capture.request_body(br#"{"b":{"x":"y"},"c":"\u00e9"}"#);
    let found = capture.finish(&Usage::default());
    let [a, b, c, d] = found.as_slice() else { panic!("{found:?}") };
    assert_eq!((a.to_log, a.separate, a.span_key), (true, true, None));
    assert_eq!((&*a.text(), &*a.escaped()), ("x\"é\n", r#"x\"é\n"#));
    assert_eq!((b.to_log, b.separate, b.span_key), (false, false, Some("b")));
    assert_eq!((&*b.text(), &*b.escaped()), (r#"{"x":"y"}"#, r#"{\"x\":\"y\"}"#));
    assert_eq!((c.span_key, &*c.text()), (Some("gen.c"), "é"));
    assert_eq!((d.span_key, d.is_null(), &*d.escaped()), (None, true, "null"));
}

#[test]
fn what_is_not_json_never_gets_into_the_record() {
    let list = json!([
        {"key": "k", "value_source": "request_body", "value": "k"},
        {"key": "r", "value_source": "response_streaming_body", "value": "k", "rule": "replace"},
        {"key": "f", "value_source": "response_streaming_body", "value": "k", "rule": "first"},
        {"key": "a", "value_source": "response_streaming_body", "value": "k", "rule": "append"},
        {"key": "question"}, {"key": "answer", "rule": "append"}, {"key": "tool_calls"}
    ]);
    for value in ["x", "[1}", "{\"a\":}", "01", "[1,]", "\"\\x\"", "tru", "{\"a\" 1}", "[\"\n\"]", "\u{1}"] {
        for limit in [2, 4000] {
            let mut capture = Capture::new(&attributes(&list, Some(limit)));
            let body = format!(
                r#"{{"k":{value},"messages":[{{"content":{value}}}],"choices":[{{"delta":{{"content":{value},"tool_calls":{value}}}}}]}}"#
            );
            capture.request_body(body.as_bytes());
            capture.event(body.as_bytes());
            capture.event(b"\xff\xfe{\"k\":");
            record(&capture.finish(&Usage::default()));
        }
    }
    let mut capture = Capture::new(&attributes(&list, None));
    capture.request_body(b"{\"k\":[\"\xff\"],\"messages\":[{\"content\":\"\xff\"}]}");
    assert_eq!(record(&capture.finish(&Usage::default())), json!({"k": null, "question": null}));
}

#[test]
fn a_stream_of_a_million_tokens_stays_flat_higress_3814() {
    const LIMIT: usize = 32_000;
    let mut clip = Clip::default();
    let mut most = 0;
    for _ in 0..1_000_000 {
        clip.push("tok ", LIMIT);
        most = most.max(clip.held());
    }
    assert!(most <= 2 * LIMIT, "{most}");
    assert_eq!(clip.finish(LIMIT).len(), LIMIT + MARKER.len());

    let mut calls = calls::Calls::default();
    let arguments = "a".repeat(100);
    for index in 0..2_000 {
        let call = json!({"index": index % 200, "id": arguments.repeat(9), "function": {"arguments": arguments}});
        calls.event(json!({"choices": [{"delta": {"tool_calls": [call]}}]}).to_string().as_bytes(), LIMIT);
    }
    let json = calls.to_json().unwrap();
    assert!((LIMIT..LIMIT + MAX_CALLS * (MAX_CALL_NAME + 60)).contains(&json.len()), "{}", json.len());
    assert_eq!(serde_json::from_str::<Value>(&json).unwrap().as_array().unwrap().len(), MAX_CALLS);
}

/// What [`Clip`] does, with all text at hand.
fn clipped(text: &str, limit: usize) -> String {
    if text.len() <= limit {
        return text.to_owned();
    }
    format!("{}{MARKER}{}", clip::first(text, limit / 2), clip::last(text, limit / 2))
}

#[test]
fn clipping_pieces_equals_clipping_the_whole() {
    let text = "a你b🦀cé\u{301}dz你你🦀🦀ef";
    for limit in 0..text.len() + 2 {
        for size in 1..8 {
            let characters: Vec<char> = text.chars().collect();
            let mut clip = Clip::default();
            for piece in characters.chunks(size) {
                clip.push(&piece.iter().collect::<String>(), limit);
            }
            assert_eq!(clip.finish(limit), clipped(text, limit), "{limit} {size}");
        }
    }
}

#[cfg(not(target_family = "wasm"))]
proptest::proptest! {
    #[test]
    fn any_pieces_clip_like_the_whole(pieces in proptest::collection::vec(".{0,12}", 0..30), limit in 0usize..120) {
        let mut clip = Clip::default();
        for piece in &pieces {
            clip.push(piece, limit);
        }
        proptest::prop_assert_eq!(clip.finish(limit), clipped(&pieces.concat(), limit));
    }
}
