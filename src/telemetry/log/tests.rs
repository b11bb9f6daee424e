//! Fields and their spelling.

use super::super::samples_of_records::{refused, stream};
use super::*;
use crate::telemetry::{Failure, Party, Record};
use crate::usage::Usage;
#[cfg(target_family = "wasm")]
use wasm_bindgen_test::wasm_bindgen_test as test;

/// The object inside a value of `ai_log`.
fn object(value: &str) -> serde_json::Value {
    let text: String = serde_json::from_str(&format!("\"{value}\"")).unwrap();
    serde_json::from_str(&text).unwrap()
}

fn log(record: &Record) -> serde_json::Value {
    object(&ai_log(&Fields::of(record), None).unwrap())
}

#[test]
fn a_stream_is_logged_with_every_figure() {
    let expected = serde_json::json!({
        "api": "chat_completions",
        "cached_token": 1024,
        "chat_id": "chatcmpl-1",
        "chat_round": 2,
        "consumer": "team-a",
        "input_includes_cache": true,
        "input_token": 1200,
        "input_token_details": { "audio_tokens": 0, "cached_tokens": 1024 },
        "llm_first_token_duration": 210,
        "llm_service_duration": 2250,
        "mapping_rule": "gpt-4",
        "model": "gpt-4.1-2025-04-14",
        "operation": "chat_completions",
        "output_token": 101,
        "output_token_details": { "reasoning_tokens": 40 },
        "provider": "openai",
        "reasoning_token": 40,
        "request_model": "gpt-4",
        "response_type": "stream",
        "status": 200,
        "time_per_output_token": 20.0,
        "time_to_first_byte": 210.4,
        "time_to_first_content": 900.123,
        "time_to_first_reasoning": 250.0,
        "total_token": 1301,
        "upstream_model": "gpt-4.1",
        "upstream_path": "/v1/chat/completions?a=1&b=2",
        "usage_source": "upstream"
    });
    assert_eq!(log(&stream()), expected);
}

/// higress#4234: the model was lost on errors.
#[test]
fn a_refusal_is_logged_with_its_source() {
    let expected = serde_json::json!({
        "api": "chat_completions",
        "error_code": "rate_limit_exceeded",
        "error_source": "upstream",
        "llm_service_duration": 31,
        "model": "invented-1",
        "operation": "chat_completions",
        "provider": "openai",
        "request_model": "invented-1",
        "response_type": "normal",
        "status": 429,
        "usage_missing": "no-usage",
        "usage_source": "none"
    });
    assert_eq!(log(&refused()), expected);
}

#[test]
fn a_request_without_a_response_has_no_response_type() {
    let record = Record { operation: "embeddings", aborted: Some(Party::Client), ..Record::default() };
    let expected = serde_json::json!({
        "aborted": "client", "api": "embeddings", "model": "unknown", "operation": "embeddings", "usage_source": "none"
    });
    assert_eq!(log(&record), expected);
}

#[test]
fn the_bytes_are_those_that_go_writes_twice_escaped() {
    let record = Record {
        operation: "o",
        chat_id: Some("<a & \"b\\\">\n\u{2028}\u{1}\u{e9}\u{2026}".to_owned()),
        ..Record::default()
    };
    assert_eq!(
        ai_log(&Fields::of(&record), None).unwrap(),
        r#"{\"api\":\"o\",\"chat_id\":\"\\u003ca \\u0026 \\\"b\\\\\\\"\\u003e\\n\\u2028\\u0001é…\",\"model\":\"unknown\",\"operation\":\"o\",\"usage_source\":\"none\"}"#
    );
}

#[test]
fn what_other_plugins_wrote_stays_and_new_fields_win() {
    let old =
        br#"{\"cache_status\":\"hit\",\"model\":\"old\",\"n\":1.50e3,\"z\":{\"b\":[1,\"\\u003c\"],\"a\":{}},\"e\":[]}"#;
    let value = ai_log(&Fields::of(&Record { operation: "o", ..Record::default() }), Some(old)).unwrap();
    assert_eq!(
        value,
        r#"{\"api\":\"o\",\"cache_status\":\"hit\",\"e\":[],\"model\":\"unknown\",\"n\":1.50e3,\"operation\":\"o\",\"usage_source\":\"none\",\"z\":{\"a\":{},\"b\":[1,\"\\u003c\"]}}"#
    );
    let again = ai_log(&Fields::of(&Record { operation: "o", ..Record::default() }), Some(value.as_bytes()));
    assert_eq!(again.unwrap(), value, "writing twice changes nothing");
}

#[test]
fn an_old_value_that_cannot_be_read_is_left_alone() {
    for old in ["{", "[]", "1", "null", r#"{"a":1}"#, r"{\", "{\\\"a\\\":1", "\n", r#"{\"a\":1,\"a\":2}"#] {
        assert_eq!(ai_log(&Fields::of(&stream()), Some(old.as_bytes())), None, "{old}");
    }
    assert_eq!(ai_log(&Fields::of(&stream()), Some(b"{\xff}")), None);
    assert_eq!(ai_log(&Fields::of(&stream()), Some(&vec![b' '; MAX_OLD + 1])), None);
    assert_eq!(ai_log(&Fields::of(&stream()), Some(b"")), ai_log(&Fields::of(&stream()), None));
    assert_eq!(ai_log(&Fields::of(&stream()), Some(b"{}")), ai_log(&Fields::of(&stream()), None));
}

#[test]
fn an_attribute_takes_the_place_of_a_field() {
    let attributes = [("model", "\"mine\""), ("question", "null"), ("input_token", "7"), ("odd", "not json")];
    let attributes = attributes.map(|(key, value)| (key.to_owned(), value.to_owned())).to_vec();
    let value = log(&Record { attributes, ..stream() });
    assert_eq!(value["model"], "mine");
    assert_eq!(value["input_token"], 7);
    assert_eq!(value["question"], serde_json::Value::Null);
    assert_eq!(value["odd"], "not json");
}

#[test]
fn the_api_is_the_route_of_an_api_else_the_operation() {
    for (route, api) in
        [("a@b@c@d", "a@b@c"), ("a@b@c", "a@b@c"), ("@@", "@@"), ("a@b", "o"), ("ai-route-x.internal", "o"), ("", "o")]
    {
        let record = Record { route: route.to_owned(), operation: "o", ..Record::default() };
        assert_eq!(record.api(), api, "{route}");
    }
}

#[test]
fn a_long_text_is_cut_at_a_character() {
    let record =
        Record { chat_id: Some("é".repeat(MAX_TEXT)), request_model: Some("x".repeat(MAX_TEXT + 1)), ..stream() };
    let value = log(&record);
    assert_eq!(value["chat_id"], "é".repeat(MAX_TEXT / 2));
    assert_eq!(value["request_model"], "x".repeat(MAX_TEXT));
    let record = Record { chat_id: Some(format!("x{}", "é".repeat(MAX_TEXT))), ..stream() };
    assert_eq!(log(&record)["chat_id"].as_str().unwrap().len(), MAX_TEXT - 1);
}

#[test]
fn details_are_bounded_in_number() {
    let input_details = (0..100).map(|n| (format!("d{n}").into(), n)).collect();
    let record = Record { tokens: Usage { input_details, ..Usage::default() }, ..stream() };
    assert_eq!(log(&record)["input_token_details"].as_object().unwrap().len(), MAX_DETAILS);
}

#[test]
fn a_flat_field_cannot_break_a_line_or_a_quote() {
    let mut record = stream();
    record.request_model = Some("a\"b\\c\r\nd\u{85}é".to_owned());
    let mut fields = Vec::new();
    flat(&Fields::of(&record), Flat::ALL, &mut |name, value| fields.push((name, value.to_owned())));
    let get = |name: &str| fields.iter().find(|(known, _)| *known == name).map(|(_, value)| value.as_str());
    assert_eq!(get("waypost_request_model"), Some("a_b_c__d_é"));
    assert_eq!(get("waypost_input_token"), Some("1200"));
    assert_eq!(get("waypost_time_to_first_content"), Some("900.123"));
    assert_eq!(get("waypost_input_includes_cache"), Some("true"));
    assert_eq!(get("waypost_response_type"), Some("stream"));
    assert_eq!(get("waypost_error_code"), None);
    assert_eq!(get("waypost_input_token_details"), None);
}

#[test]
fn nothing_invisible_stays_in_a_log() {
    // audit L8
    for text in [
        "gpt\u{202e}4",
        "a\u{2028}b",
        "a\u{2029}b",
        "\u{61c}",
        "x\u{2066}y\u{2069}",
        "\u{feff}",
        "\u{e0041}",
        "\u{ad}\u{85}",
    ] {
        let mut record = stream();
        record.request_model = Some(text.to_owned());
        flat(&Fields::of(&record), Flat::ALL, &mut |name, value| {
            assert!(!value.contains(invisible), "{name}: {value:?}");
        });
        let logged = ai_log(&Fields::of(&record), None).unwrap();
        assert!(!logged.contains(invisible), "{logged:?}");
        assert_eq!(object(&logged)["request_model"], text);
    }
    assert_eq!(plain("模型 é…‐🙂 عربي"), "模型 é…‐🙂 عربي");
}

#[test]
fn only_the_wanted_fields_are_flat() {
    let names = |wanted: Flat, record: &Record| {
        let mut names = Vec::new();
        flat(&Fields::of(record), wanted, &mut |name, _| names.push(name));
        names
    };
    let usual = [
        "waypost_api",
        "waypost_consumer",
        "waypost_input_token",
        "waypost_llm_first_token_duration",
        "waypost_llm_service_duration",
        "waypost_model",
        "waypost_output_token",
        "waypost_response_type",
        "waypost_total_token",
        "waypost_upstream_model",
    ];
    assert_eq!(names(Flat::usual(), &stream()), usual);
    let failed = names(Flat::usual(), &refused());
    assert!(
        ["waypost_error_code", "waypost_error_source", "waypost_usage_missing"]
            .iter()
            .all(|name| failed.contains(name))
    );
    let wanted = Flat::named("total_token").unwrap().and(Flat::named("provider").unwrap());
    assert_eq!(names(wanted, &stream()), ["waypost_provider", "waypost_total_token"]);
    assert_eq!(names(Flat::NONE, &stream()), [""; 0]);
    assert!(Flat::ALL.contains(Flat::usual()) && !Flat::usual().contains(wanted));
}

#[test]
fn every_name_but_those_of_objects_can_be_wanted_alone() {
    for name in Flat::names() {
        assert!(Flat::named(name).is_some(), "{name}");
    }
    assert_eq!((Flat::named("input_token_details"), Flat::named("output_token_details")), (None, None));
    assert!(Flat::names().is_sorted());
    assert_eq!(Flat::named("waypost_model"), Flat::named("model"));
    assert!(Flat::named("upstream_model").is_some_and(|field| Flat::ALL.contains(field)));
    assert!(Flat::UPSTREAM_MODEL.ends_with("upstream_model"));
}

#[test]
fn first_tokens_are_those_of_streams() {
    let record = Record { streamed: false, ..stream() };
    let value = log(&record);
    for key in ["llm_first_token_duration", "time_to_first_content", "time_to_first_reasoning", "time_per_output_token"]
    {
        assert!(value.get(key).is_none(), "{key}");
    }
    assert_eq!(value["time_to_first_byte"], 210.4);
    assert_eq!(record.first_token(), None);
}

#[test]
fn time_per_output_token_counts_from_the_first_token() {
    let with = |reasoning, content, output| Record {
        first_reasoning: reasoning,
        first_content: content,
        tokens: Usage { output, ..Usage::default() },
        first_byte: Some(100),
        end: Some(1100),
        streamed: true,
        ..Record::default()
    };
    for (reasoning, content, output, expected) in [
        (None, Some(600), Some(6), Some(100)),
        (Some(350), Some(600), Some(6), Some(150)),
        (None, None, Some(6), Some(200)),
        (None, Some(600), Some(1), None),
        (None, Some(600), Some(0), None),
        (None, Some(600), None, None),
        (None, Some(2000), Some(6), None),
    ] {
        assert_eq!(with(reasoning, content, output).time_per_output_token(), expected);
    }
}

#[test]
fn a_failure_is_an_error_an_error_status_or_an_upstream_that_broke_off() {
    let ok = Record { status: Some(200), ..Record::default() };
    assert!(!ok.failed());
    assert!(!Record { aborted: Some(Party::Client), ..ok.clone() }.failed());
    assert!(Record { aborted: Some(Party::Upstream), ..ok.clone() }.failed());
    assert!(Record { status: Some(400), ..ok.clone() }.failed());
    assert!(Record { failure: Some(Failure::Upstream(None)), ..ok }.failed());
}

#[cfg(not(target_family = "wasm"))]
mod properties {
    use super::*;
    use proptest::prelude::*;

    proptest! {
        #[test]
        fn any_text_is_read_back_and_stays_on_one_line(text in any::<String>(), old in any::<String>()) {
            let record = Record { chat_id: Some(text.clone()), ..Record::default() };
            let quoted = serde_json::to_string(&serde_json::json!({ "old": old }).to_string()).unwrap();
            let inside = quoted.strip_prefix('"').and_then(|text| text.strip_suffix('"')).unwrap();
            let value = ai_log(&Fields::of(&record), Some(inside.as_bytes())).unwrap();
            let special = |c: char| c < ' ' || matches!(c, '<' | '>' | '&') || invisible(c);
            prop_assert!(!value.contains(special), "{}", value);
            let value = object(&value);
            prop_assert_eq!(value["chat_id"].as_str().unwrap(), cut(&text));
            prop_assert_eq!(value["old"].as_str().unwrap(), old);
        }

        #[test]
        fn no_old_value_makes_it_fail(old in proptest::collection::vec(any::<u8>(), 0..64)) {
            let _ = ai_log(&Fields::of(&stream()), Some(&old));
        }
    }
}

#[test]
fn a_later_record_of_the_same_request_leaves_nothing_of_the_earlier_one() {
    let failed = refused();
    let earlier = ai_log(&Fields::of(&failed), Some(br#"{\"theirs\":1,\"chat_id\":\"x\"}"#)).unwrap();
    assert_eq!(object(&earlier)["error_code"], "rate_limit_exceeded");
    let later = stream();
    let merged = object(&ai_log(&Fields::of(&later), Some(earlier.as_bytes())).unwrap());
    let mut expected = log(&later);
    expected["theirs"] = 1.into();
    assert_eq!(merged, expected);
    let mut names = outdated(&Fields::of(&later), Flat::ALL, Some(earlier.as_bytes()));
    names.sort_unstable();
    assert_eq!(names, ["waypost_error_code", "waypost_error_source", "waypost_usage_missing"]);
}

#[test]
fn the_fields_of_other_plugins_stay() {
    let record = refused();
    // The last one has the words of a record within a text.
    for old in [r#"{\"input_token\":1}"#, r#"{\"a\":\"{\\\"usage_source\\\":1}\",\"input_token\":1}"#] {
        assert_eq!(outdated(&Fields::of(&record), Flat::ALL, Some(old.as_bytes())), [""; 0], "{old}");
        assert_eq!(object(&ai_log(&Fields::of(&record), Some(old.as_bytes())).unwrap())["input_token"], 1, "{old}");
    }
}

#[test]
fn many_members_are_sorted_as_few_are() {
    for count in [Object::FEW - 1, Object::FEW, Object::FEW + 1, 3 * Object::FEW] {
        let keys: Vec<String> = (0..count).map(|n| format!("k{:03}", n * 7 % count)).collect();
        let mut object = Object::default();
        for round in [1, 2] {
            keys.iter().for_each(|key| object.put(key, Value::Number(round)));
        }
        let mut out = String::new();
        object.write(&mut out);
        let members: std::collections::BTreeMap<&str, u8> = keys.iter().map(|key| (key.as_str(), 2)).collect();
        assert_eq!(out, serde_json::to_string(&members).unwrap().replace('"', "\\\""), "{count}");
    }
}
