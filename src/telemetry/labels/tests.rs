//! Which names may stand in a label.

use super::super::samples_of_records::{refused, stream};
use super::*;
#[cfg(target_family = "wasm")]
use wasm_bindgen_test::wasm_bindgen_test as test;

#[test]
fn well_known_models_are_recognised_wherever_the_vendor_puts_its_name() {
    for name in [
        "gpt-4o",
        "GPT-4o-mini",
        "o1",
        "o3-mini",
        "o4-mini",
        "chatgpt-4o-latest",
        "text-embedding-3-small",
        "omni-moderation-latest",
        "ft:gpt-4o-mini-2024-07-18:org::id",
        "openai/gpt-4o",
        "accounts/fireworks/models/llama-v3p1-8b-instruct",
        "deepseek-ai/DeepSeek-V3",
        "Qwen/Qwen3-235B-A22B",
        "qwen2.5:14b",
        "us.anthropic.claude-sonnet-4-20250514-v1:0",
        "anthropic.claude-3-haiku-20240307-v1:0",
        "amazon.titan-embed-text-v2:0",
        "cohere.command-r-v1:0",
        "claude-3-5-sonnet@20240620",
        "models/gemini-2.5-flash",
        "meta-llama/Llama-3.3-70B-Instruct-Turbo",
        "@cf/meta/llama-3-8b-instruct",
        "moonshot-v1-8k",
        "doubao-seed-1-6",
        "ERNIE-4.0-8K",
        "glm-4.5",
        "step-1-8k",
        "abab6.5s-chat",
        "MiniMax-M1",
        "sonar-pro",
        "grok-3",
        "whisper-1",
        "dall-e-3",
        "codestral-latest",
        "yi-large",
        "hunyuan-turbos-latest",
        "Baichuan4",
    ] {
        assert!(is_family(name), "{name}");
    }
}

#[test]
fn other_names_are_not() {
    for name in ["", "my-finetune", "gp", "a.b.c.gpt-4", "gpt-4/evil", "é", "xgpt-4", "/", ".", "ft:"] {
        assert!(!is_family(name), "{name}");
    }
}

#[test]
fn families_are_sorted_and_in_lower_case() {
    assert!(FAMILIES.is_sorted());
    assert!(FAMILIES.iter().all(|family| !family.bytes().any(|byte| byte.is_ascii_uppercase())));
}

#[test]
fn a_model_is_named_if_it_is_configured_or_answered_for() {
    let models = Models::new(["prod-4o", "acme-*", "weird model"]);
    let long = format!("gpt-{}", "4".repeat(MAX_LABEL));
    for (name, succeeded, label) in [
        (None, true, NONE),
        (Some(""), true, NONE),
        (Some("prod-4o"), false, "prod-4o"),
        (Some("weird model"), false, "weird model"),
        (Some("acme-1"), true, "acme-1"),
        (Some("acme-1"), false, OTHER),
        (Some("acme-\n"), true, OTHER),
        (Some("gpt-4o"), true, "gpt-4o"),
        (Some("gpt-4o"), false, OTHER),
        (Some("gpt-4o;.;"), true, OTHER),
        (Some(&*long), true, OTHER),
        (Some("mine"), true, OTHER),
    ] {
        assert_eq!(models.label(name, succeeded), label, "{name:?} {succeeded}");
    }
    assert_eq!(Models::new(["*"]).label(Some("mine"), true), "mine");
    assert_eq!(Models::new(["*"]).label(Some("mine"), false), OTHER);
}

#[test]
fn a_consumer_is_named_if_it_is_configured() {
    let consumers = Consumers::new(["alice", "team-*"]);
    for (name, label) in
        [(None, NONE), (Some(""), NONE), (Some("alice"), "alice"), (Some("team-x"), "team-x"), (Some("bob"), OTHER)]
    {
        assert_eq!(consumers.label(name), label);
    }
}

#[test]
fn errors_have_few_types() {
    let with = |status, failure, aborted| Record { status, failure, aborted, ..Record::default() };
    let gateway = Some(Failure::Gateway(Some("invalid_path".to_owned())));
    let upstream = Some(Failure::Upstream(Some("whatever the upstream says".to_owned())));
    for (record, expected) in [
        (with(Some(200), None, None), NONE),
        (with(None, None, None), NONE),
        (with(Some(400), gateway, None), "invalid_path"),
        (with(Some(429), upstream.clone(), None), "429"),
        (with(Some(418), None, None), "4xx"),
        (with(Some(599), None, None), "5xx"),
        (with(Some(999), None, None), "0xx"),
        (with(Some(200), upstream.clone(), None), "in_response"),
        (with(None, upstream, None), "0xx"),
        (with(Some(200), None, Some(Party::Client)), "client_closed"),
        (with(Some(200), None, Some(Party::Upstream)), "upstream_closed"),
    ] {
        assert_eq!(error_type(&record), expected);
    }
}

#[test]
fn labels_of_a_record_are_bounded() {
    let models = Models::default();
    let record = stream();
    let labels = Labels::new(&record, Style::Both, &models, &Consumers::new(["team-*"]));
    assert_eq!(
        (&*labels.model, &*labels.higress_model, &*labels.consumer),
        ("gpt-4.1", "gpt-4.1-2025-04-14", "team-a")
    );
    assert_eq!((labels.status_class, &*labels.error_type), ("2xx", NONE));

    let record = refused();
    let labels = Labels::new(&record, Style::Both, &models, &Consumers::default());
    assert_eq!((&*labels.model, &*labels.higress_model, &*labels.consumer), (OTHER, OTHER, NONE));
    assert_eq!((labels.status_class, &*labels.error_type), ("4xx", "429"));

    let record = Record { route: "a@b@c@d".to_owned(), status: Some(500), ..Record::default() };
    let labels = Labels::new(&record, Style::Both, &models, &Consumers::default());
    assert_eq!((&*labels.route, &*labels.cluster, &*labels.higress_model), ("a@b@c", "-", "UNKNOWN"));
    assert_eq!((&*labels.provider, labels.operation, &*labels.model), (NONE, NONE, NONE));
}

#[test]
fn a_cut_never_splits_a_character() {
    for (text, max, expected) in [("abc", 3, "abc"), ("abcd", 3, "abc"), ("aé", 2, "a"), ("é", 1, ""), ("", 0, "")] {
        assert_eq!(cut(text, max), expected);
    }
}

#[test]
fn nothing_in_a_value_ends_it_early() {
    for (value, written) in [
        ("gpt-4.1", "gpt-4.1"),
        ("a.model-x.b", "a_model-x.b"),
        ("upstream", "_upstream"),
        // higress-suite C1: only a whole word divides where no dot stands before it.
        ("consumer1", "consumer1"),
        ("metrics-team", "metrics-team"),
        ("model-router", "model-router"),
        ("upstream-llm", "upstream-llm"),
        ("upstream-llm.model-router", "upstream-llm_model-router"),
        ("a.consumer1", "a_consumer1"),
        ("consumer", "_consumer"),
        ("model.x", "_model.x"),
        ("metric.consumer.", "_metric_consumer."),
        (".upstream", "_upstream"),
        ("", ""),
        ("a b\n", "a_b_"),
        ("x;.;consumer=.=y", "x_._consumer_._y"),
        ("remodel.x", "remodel.x"),
        // audit L8
        ("alice\u{202e}ecila", "alice_ecila"),
        ("a\u{2028}b\u{85}\u{feff}c\u{e0041}", "a_b__c_"),
        ("团队é…", "团队é…"),
    ] {
        assert_eq!(clean(value, MAX_LABEL), written, "{value}");
        assert_eq!(clean(written, MAX_LABEL), written, "{value}");
    }
}

#[test]
fn the_first_byte_tells_what_cannot_be_invisible() {
    for character in ('\0'..=char::MAX).filter(|character| invisible(*character)) {
        let mut bytes = [0; 4];
        let first = character.encode_utf8(&mut bytes).bytes().next();
        assert!(first.is_some_and(may_begin_invisible), "{character:?}");
    }
    assert!((0..0x80).all(|byte| !may_begin_invisible(byte)));
}
