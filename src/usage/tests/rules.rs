//! The rules, one by one.

use super::*;
#[cfg(target_family = "wasm")]
use wasm_bindgen_test::wasm_bindgen_test as test;

#[test]
fn the_table_names_each_place_once_and_every_alias_leads_somewhere() {
    for (index, (place, _)) in table::PLACES.iter().enumerate() {
        assert!(!table::PLACES[..index].iter().any(|(other, _)| other == place), "{place}");
        for (from, _) in table::ALIASES {
            let through = place.strip_prefix(from).is_some_and(|rest| rest.is_empty() || rest.starts_with('.'));
            assert!(!through, "{place} is an alias");
        }
    }
    for (from, to) in table::ALIASES {
        assert!(to.is_empty() || table::PLACES.iter().any(|(place, _)| place.starts_with(to)), "{from} to {to}");
    }
}

/// What a figure needs to be found once content has been seen.
#[test]
fn every_key_of_a_figure_triggers_a_walk() {
    let table = Table::new();
    for (place, leaf) in table::PLACES {
        use table::Leaf;
        let figure = matches!(
            leaf,
            Leaf::Count(_) | Leaf::Named(..) | Leaf::Spare(_) | Leaf::Share(_) | Leaf::ModalityCount | Leaf::Error
        );
        let key = format!("{{\"{}\":1}}", place.rsplit('.').next().unwrap());
        // Comes with `generated_tokens` only.
        let figure = figure && *place != "details.input_length";
        assert!(!figure || table.triggered(key.as_bytes()), "{place}");
    }
}

/// What is not fed once content has been seen must not have told anything.
#[test]
fn whatever_a_message_may_tell_has_a_clue() {
    let table = Table::new();
    for (place, _) in table::PLACES {
        let key = format!("{{\"{}\":1}}", place.rsplit('.').next().unwrap());
        assert!(!table.triggered(key.as_bytes()) || Table::has_clues(key.as_bytes()), "{place}");
    }
    for raw in ["event: error\ndata: {}", "data: {\"finish_reason\": \"stop\"}"] {
        assert!(Table::has_clues(raw.as_bytes()), "{raw}");
    }
    let text = r#"data: {"id":"chatcmpl-1","object":"chat.completion.chunk","created":1,"model":"gpt-4o","system_fingerprint":"fp_1","choices":[{"index":0,"delta":{"content":" on"},"logprobs":null,"finish_reason":null}],"usage":null}"#;
    assert!(!Table::has_clues(text.as_bytes()));
}

#[test]
fn counts_are_whole_numbers_that_can_be() {
    for (raw, expected) in [
        ("0", Some(0)),
        ("12", Some(12)),
        ("12.0", Some(12)),
        ("12.000", Some(12)),
        ("9007199254740992", Some(MAX_COUNT)),
        ("9007199254740993", None),
        ("99999999999999999999999999999999", None),
        ("-1", None),
        ("-0", None),
        ("1.5", None),
        ("1.0.0", None),
        ("1e3", None),
        ("", None),
        (".0", None),
        ("1x", None),
    ] {
        assert_eq!(figures::count(raw.as_bytes()), expected, "{raw}");
    }
}

/// One collector, a message after the other; the usage in the end.
fn usage_of(messages: &[&str]) -> Usage {
    let mut collector = Collector::new(&Table::new());
    for message in messages {
        collector.message(b"", message.as_bytes());
    }
    collector.into_facts().usage
}

#[test]
fn the_last_number_wins_and_zero_none() {
    let input = |messages: &[&str]| usage_of(messages).input;
    let of = |number: &str| format!("{{\"usage\":{{\"prompt_tokens\":{number}}}}}");
    let all = |numbers: &[&str]| {
        let messages: Vec<String> = numbers.iter().map(|number| of(number)).collect();
        input(&messages.iter().map(String::as_str).collect::<Vec<_>>())
    };
    assert_eq!(all(&["5", "7"]), Some(7));
    assert_eq!(all(&["7", "5"]), Some(5));
    assert_eq!(all(&["7", "0", "null", "\"9\"", "{}", "-3"]), Some(7));
    assert_eq!(all(&["0"]), Some(0));
    assert_eq!(all(&["null"]), None);
    assert_eq!(input(&[&of("3"), r#"{"usage":null}"#, r#"{"usage":{}}"#, "[DONE]", ""]), Some(3));
    // The last occurrence of a key that stands twice.
    assert_eq!(input(&[r#"{"usage":{"prompt_tokens":1,"prompt_tokens":2}}"#]), Some(2));
}

#[test]
fn what_is_billed_counts_only_without_tokens() {
    let tokens = r#""tokens":{"input_tokens":70}"#;
    let billed = r#""billed_units":{"input_tokens":5,"output_tokens":3}"#;
    for message in [format!("{{\"meta\":{{{tokens},{billed}}}}}"), format!("{{\"usage\":{{{billed},{tokens}}}}}")] {
        let usage = usage_of(&[&message]);
        assert_eq!((usage.input, usage.output), (Some(70), Some(3)), "{message}");
    }
}

#[test]
fn the_order_of_names_does_not_matter_for_what_the_input_includes() {
    for (message, includes) in [
        (r#"{"usage":{"cache_read_input_tokens":1,"input_tokens":2}}"#, false),
        (r#"{"usage":{"cache_read_input_tokens":1,"prompt_tokens":2}}"#, true),
        (r#"{"usage":{"prompt_tokens":2,"cache_read_input_tokens":1}}"#, true),
        (r#"{"usage":{"input_tokens_details":{"cached_tokens":0},"cache_read_input_tokens":1}}"#, true),
    ] {
        assert_eq!(usage_of(&[message]).includes_cache, Some(includes), "{message}");
    }
    assert_eq!(usage_of(&[r#"{"usage":{"input_tokens":2}}"#]).includes_cache, None);
}

#[test]
fn totals_count_every_token_once() {
    assert_eq!(Usage::default().computed_total(), None);
    assert_eq!(Usage::default().total(), None);
    assert!(Usage::default().is_empty());
    let usage = Usage { input: Some(3), total: Some(0), ..Usage::default() };
    assert_eq!((usage.total(), usage.is_empty()), (Some(3), false));
    let usage = Usage { output: Some(u64::MAX), tool_input: Some(1), ..Usage::default() };
    assert_eq!(usage.total(), Some(MAX_COUNT));
    // audit L7: two figures that can be told come to a total that can be told.
    let usage = Usage { input: Some(MAX_COUNT), output: Some(MAX_COUNT), ..Usage::default() };
    assert_eq!((usage.total(), usage.all_output()), (Some(MAX_COUNT), Some(MAX_COUNT)));
}

#[test]
fn details_are_bounded() {
    let members: Vec<String> = (0..3 * MAX_DETAILS).map(|n| format!("\"n{n}\":{n}")).collect();
    let usage = usage_of(&[&format!("{{\"usage\":{{\"prompt_tokens_details\":{{{}}}}}}}", members.join(","))]);
    assert_eq!(usage.input_details.len(), MAX_DETAILS);
    assert_eq!(usage.input_details[1], ("n1".into(), 1));
}

#[test]
fn an_error_is_one_only_if_it_says_something() {
    for (message, error) in [
        (r#"{"error":null}"#, false),
        (r#"{"error":""}"#, false),
        (r#"{"error":{}}"#, false),
        (r#"{"error":[]}"#, false),
        (r#"{"error":false}"#, false),
        (r#"{"error":0}"#, false),
        (r#"{"data":{"error":"x"},"text":"\"error\":1"}"#, false),
        (r#"{"error":"x"}"#, true),
        (r#"{"error":true}"#, true),
        (r#"{"error":7}"#, true),
        (r#"{"error":{"message":null}}"#, true),
        (r#"{"error":["x"]}"#, true),
        (r#"{"response":{"error":{"code":"x"}}}"#, true),
        (r#"[{"error":{"code":400}}]"#, true),
    ] {
        let mut collector = Collector::new(&Table::new());
        assert_eq!(collector.message(b"", message.as_bytes()).error, error, "{message}");
        assert_eq!(collector.facts().error, error, "{message}");
    }
    let mut collector = Collector::new(&Table::new());
    assert!(collector.message(b"error", b"busy").error);
    assert!(collector.facts().error && collector.facts().error_type.is_none());
}

#[test]
fn names_and_ids_are_those_that_say_something() {
    let mut collector = Collector::new(&Table::new());
    for message in [
        r#"{"request_id":"","id":"","model":""}"#,
        r#"{"request_id":"r","model":"m\u002d1"}"#,
        r#"{"id":"i","model":"","message":{"model":null}}"#,
    ] {
        collector.message(b"", message.as_bytes());
    }
    let long = format!("{{\"model\":\"{}\"}}", "m".repeat(crate::json::MAX_TEXT + 1));
    collector.message(b"", long.as_bytes());
    let facts = collector.into_facts();
    assert_eq!((facts.model.as_deref(), facts.id.as_deref()), (Some("m-1"), Some("r")));
    let mut collector = Collector::new(&Table::new());
    collector.message(b"", br#"{"request_id":"r","id":"i"}"#);
    assert_eq!(collector.facts().id.as_deref(), Some("i"));
}

#[test]
fn what_only_starts_an_answer_is_no_content() {
    for message in [
        r#"{"choices":[{"delta":{"role":"assistant","content":"","reasoning_content":null,"tool_calls":[]}}]}"#,
        r#"{"choices":[{"delta":{"content":[]}}]}"#,
        r#"{"type":"ping"}"#,
        r#"{"type":"response.output_text.done","delta":"x"}"#,
        r#"{"type":"response.output_text.delta","delta":""}"#,
        r#"{"type":"content_block_start","content_block":{"type":"text","text":""}}"#,
        r#"{"candidates":[{"content":{"parts":[{"text":""}]}}]}"#,
        r#"{"candidates":[{"content":{"parts":[{"thought":true}]}}]}"#,
        r#"{"message":{"content":""}}"#,
    ] {
        let seen = Collector::new(&Table::new()).message(b"", message.as_bytes());
        assert_eq!(seen, Seen::default(), "{message}");
    }
}

#[test]
fn unwraps_only_what_is_wrapped() {
    let unwrap = |data: &str| wrapped::unwrap(data.as_bytes()).map(|event| String::from_utf8(event).unwrap());
    assert_eq!(unwrap(r#"{"bytes":"eyJhIjoxfQ=="}"#).as_deref(), Some(r#"{"a":1}"#));
    assert_eq!(unwrap(r#"{"bytes":"eyJhIjoxfQ","p":"x"}"#).as_deref(), Some(r#"{"a":1}"#));
    assert_eq!(unwrap(r#"{"p":"ab","bytes":"Kz8/"}"#).as_deref(), Some("+??"));
    for other in ["", r#"{"a":1}"#, r#"{"bytes":1}"#, r#"{"bytes":"e!"}"#, r#"{"bytes":"eyJh"#, r#"{"p":"x"}"#] {
        assert_eq!(unwrap(other), None, "{other}");
    }
}
