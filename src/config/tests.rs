use super::*;
use crate::exchange::decide::{Body, Client, Decision, Model, Verdict, decide};
use crate::exchange::head::Head;
use crate::explain::{Request, explain};
use problem::Severity;
use serde_json::{Value, json};
#[cfg(target_family = "wasm")]
use wasm_bindgen_test::wasm_bindgen_test as test;

/// A secret that must turn up nowhere.
const CANARY: &str = "canary-7f3a";

/// Loads a document whose keys may be in any order.
fn loaded(document: &Value) -> Loaded {
    load(document.to_string().as_bytes()).unwrap()
}

/// Loads one provider, with a token unless it says something about authentication itself.
fn configured(provider: &Value) -> Loaded {
    let mut provider = provider.clone();
    if provider.get("apiTokens").is_none() && provider.get("auth").is_none() {
        provider["apiTokens"] = json!("test-token");
    }
    loaded(&json!({ "provider": provider }))
}

/// The problems as `severity place: text`, one line each.
fn problems(loaded: &Loaded) -> Vec<String> {
    loaded.problems.iter().map(|problem| format!("{} {problem}", problem.severity.name())).collect()
}

fn errors(loaded: &Loaded) -> Vec<String> {
    loaded.problems.iter().filter(|problem| problem.severity == Severity::Error).map(ToString::to_string).collect()
}

/// The ids of the differences that are named, in the order of the document.
fn differences(loaded: &Loaded) -> Vec<&'static str> {
    loaded
        .problems
        .iter()
        .filter_map(|problem| match &problem.kind {
            Kind::Different(difference) => Some(difference.id),
            _ => None,
        })
        .collect()
}

fn client<'a>(host: &'a str, path: &'a str) -> Client<'a> {
    Client { authority: Some(host.as_bytes()), path: Some(path.as_bytes()), route: None, cluster: None }
}

fn head(fields: &[(&str, &str)]) -> Head {
    Head::new(fields.iter().map(|(name, value)| ((*name).to_owned(), value.as_bytes().to_vec())).collect())
}

fn decided(loaded: &Loaded, client: Client<'_>, fields: &[(&str, &str)]) -> Decision {
    decide(&loaded.config, client, &head(fields), Body::Model("gpt-4o"))
}

/// What becomes of a request in one line: `untouched`, host and path upstream, or status and message.
fn fate_of(loaded: &Loaded, client: Client<'_>) -> String {
    match decided(loaded, client, &[]).verdict {
        Verdict::Untouched => "untouched".to_owned(),
        Verdict::NeedsBody => "needs the body".to_owned(),
        Verdict::Send(upstream) => format!("{}{}", upstream.authority.as_deref().unwrap_or("-"), upstream.path),
        Verdict::Refuse(error, _) => format!("{} {}", error.status(), error.message()),
    }
}

/// The fate of a chat request for `host`.
fn fate(loaded: &Loaded, host: &str) -> String {
    fate_of(loaded, client(host, "/v1/chat/completions"))
}

/// Where one provider sends a path.
fn upstream(provider: &Value, path: &str) -> String {
    fate_of(&configured(provider), client("client.test", path))
}

/// The headers that are set on a chat request with these headers.
fn header(loaded: &Loaded, fields: &[(&str, &str)], name: &str) -> Option<String> {
    match decided(loaded, client("client.test", "/v1/chat/completions"), fields).verdict {
        Verdict::Send(upstream) => upstream.edits.value(name).map(str::to_owned),
        other => panic!("{other:?}"),
    }
}

// -- Documents -------------------------------------------------------------------------------------------------------

#[test]
fn no_bytes_and_an_empty_object_are_valid_and_leave_requests_untouched() {
    for document in ["", " \r\n\t", "{}", " {} ", r#"{"_plugin_id_":"ai-proxy.internal"}"#, r#"{"_rules_":[]}"#] {
        let loaded = load(document.as_bytes()).unwrap();
        assert_eq!(problems(&loaded), Vec::<String>::new(), "{document:?}");
        assert_eq!(fate(&loaded, "a.com"), "untouched", "{document:?}");
        assert!(!loaded.config.has_rules() && !loaded.config.needs_route() && !loaded.config.needs_cluster());
    }
}

#[test]
fn an_unusable_document_fails_and_says_why() {
    for (document, expected) in [
        (&b"{\"provider\":"[..], "the configuration is not JSON: it ends too early at line 1 column 13"),
        (b"provider: {type: openai}", "the configuration is not JSON: expected a value at line 1 column 1"),
        (
            b"{\n \"provider\": {},\n}",
            "the configuration is not JSON: expected a key in double quotes at line 3 column 1",
        ),
        (b"{\"provider\":{}} {}", "the configuration is not JSON: something follows it at line 1 column 17"),
        (b"{\"provider\":\"\xff\"}", "the configuration is not JSON: not UTF-8 at line 1 column 14"),
        (b"[]", "the configuration must be a JSON object, found a list"),
        (b"\"openai\"", "the configuration must be a JSON object, found a string"),
        (b"null", "the configuration must be a JSON object, found null"),
        (b"7", "the configuration must be a JSON object, found a number"),
        (
            b"{\"provider\":{\"type\":\"openai\",\"type\":\"groq\"}}",
            "the configuration is not JSON: the key `type` stands twice in one object at line 1 column 36",
        ),
    ] {
        let error = load(document).unwrap_err();
        assert_eq!(error.to_string(), expected, "{:?}", String::from_utf8_lossy(document));
    }
}

#[test]
fn a_protobuf_struct_is_told_from_broken_json() {
    // `{"provider":{}}` as google.protobuf.Struct.
    let bytes = b"\x0a\x10\x0a\x08provider\x12\x04\x2a\x02\x0a\x00";
    let error = load(bytes).unwrap_err();
    assert_eq!(error, Unusable::Protobuf);
    assert!(error.to_string().contains("google.protobuf.StringValue"), "{error}");
    // The first byte is also a line break, with which JSON may begin.
    assert!(load(b"\n{}").is_ok());
}

#[test]
fn a_key_that_stands_twice_is_found_at_any_depth() {
    for document in [
        r#"{"_rules_":[{"_match_domain_":"a","_match_domain_":"b"}]}"#,
        r#"{"provider":{"type":"openai","modelMapping":{"a":"b","a":"c"}}}"#,
        r#"{"provider":{},"provider":{}}"#,
    ] {
        let error = load(document.as_bytes()).unwrap_err().to_string();
        assert!(error.contains("stands twice in one object"), "{error}");
    }
}

// -- Envelopes -------------------------------------------------------------------------------------------------------

#[test]
fn both_envelopes_configure_the_same_provider() {
    let provider = json!({ "id": "main", "type": "groq", "apiTokens": ["t"] });
    for document in [
        json!({ "provider": provider }),
        json!({ "providers": [provider], "activeProviderId": "main" }),
        // A single value stands for a list of one.
        json!({ "providers": provider, "activeProviderId": "main" }),
    ] {
        let loaded = loaded(&document);
        assert_eq!(problems(&loaded), Vec::<String>::new(), "{document}");
        assert_eq!(fate(&loaded, "a.com"), "api.groq.com/openai/v1/chat/completions", "{document}");
    }
}

#[test]
fn a_provider_wins_over_the_pool() {
    let loaded = loaded(&json!({
        "provider": { "type": "groq", "apiTokens": ["t"] },
        "providers": [{ "id": "x", "type": "deepseek", "apiTokens": ["t"] }],
        "activeProviderId": "x",
    }));
    assert_eq!(fate(&loaded, "a.com"), "api.groq.com/openai/v1/chat/completions");
}

#[test]
fn a_pool_of_which_nothing_is_active_leaves_requests_untouched() {
    let pool = json!([{ "id": "x", "type": "groq", "apiTokens": ["t"] }]);
    for document in [
        json!({ "providers": pool }),
        json!({ "providers": pool, "activeProviderId": "" }),
        json!({ "providers": pool, "activeProviderId": null }),
    ] {
        let loaded = loaded(&document);
        assert_eq!((errors(&loaded), fate(&loaded, "a.com").as_str()), (vec![], "untouched"), "{document}");
    }
}

#[test]
fn an_unknown_active_provider_answers_503_that_names_it() {
    let loaded = loaded(&json!({
        "providers": [{ "id": "x", "type": "groq", "apiTokens": ["t"] }],
        "activeProviderId": "gone",
    }));
    assert_eq!(errors(&loaded), ["activeProviderId: no provider has the id `gone`"]);
    assert_eq!(
        fate(&loaded, "a.com"),
        "503 the gateway's configuration is broken here: activeProviderId: no provider has the id `gone`"
    );
}

#[test]
fn a_provider_that_is_no_object_answers_503() {
    for (provider, found) in [(json!([]), "a list"), (json!("openai"), "a string"), (Value::Null, "null")] {
        let loaded = loaded(&json!({ "provider": provider }));
        assert_eq!(errors(&loaded), [format!("provider: expected an object, found {found}")]);
        assert!(fate(&loaded, "a.com").starts_with("503 "), "{found}");
    }
}

// -- Rules: what a rule inherits -------------------------------------------------------------------------------------

/// A global pool of two, nothing of it active, and one rule.
fn with_rule(rule: &Value) -> Loaded {
    let mut rule = rule.clone();
    rule["_match_domain_"] = json!(["rule.com"]);
    loaded(&json!({
        "providers": [
            { "id": "groq", "type": "groq", "apiTokens": ["t"] },
            { "id": "deepseek", "type": "deepseek", "apiTokens": ["t"] },
        ],
        "activeProviderId": "groq",
        "_rules_": [rule],
    }))
}

#[test]
fn a_rule_chooses_from_the_global_list() {
    let loaded = with_rule(&json!({ "activeProviderId": "deepseek" }));
    assert_eq!(problems(&loaded), Vec::<String>::new());
    assert_eq!(fate(&loaded, "rule.com"), "api.deepseek.com/v1/chat/completions");
    assert_eq!(fate(&loaded, "other.com"), "api.groq.com/openai/v1/chat/completions");
}

#[test]
fn a_rule_does_not_inherit_what_is_active_globally() {
    for rule in [json!({}), json!({ "activeProviderId": "" }), json!({ "activeProviderId": null })] {
        let loaded = with_rule(&rule);
        assert_eq!((errors(&loaded), fate(&loaded, "rule.com").as_str()), (vec![], "untouched"), "{rule}");
        assert_eq!(fate(&loaded, "other.com"), "api.groq.com/openai/v1/chat/completions");
    }
}

#[test]
fn a_provider_in_a_rule_replaces_everything() {
    let provider = json!({ "type": "moonshot", "apiTokens": ["t"] });
    let loaded = with_rule(&json!({ "provider": provider, "activeProviderId": "gone", "providers": [] }));
    assert_eq!(fate(&loaded, "rule.com"), "api.moonshot.cn/v1/chat/completions");
}

#[test]
fn providers_in_a_rule_replace_the_list() {
    let own = json!([{ "id": "own", "type": "moonshot", "apiTokens": ["t"] }]);
    let loaded = with_rule(&json!({ "providers": own, "activeProviderId": "own" }));
    assert_eq!(fate(&loaded, "rule.com"), "api.moonshot.cn/v1/chat/completions");

    let loaded = with_rule(&json!({ "providers": own, "activeProviderId": "groq" }));
    assert_eq!(errors(&loaded), ["_rules_[0].activeProviderId: no provider has the id `groq`"]);
    assert!(fate(&loaded, "rule.com").contains("no provider has the id `groq`"));

    let loaded = with_rule(&json!({ "providers": own }));
    assert_eq!(fate(&loaded, "rule.com"), "untouched");
}

// -- Rules: what is broken stays among itself ------------------------------------------------------------------------

#[test]
fn a_broken_entry_that_nobody_uses_is_reported_and_breaks_nobody() {
    for (broken, place) in [
        (json!({ "id": "bad", "type": "opnai" }), "providers[0].type: "),
        (json!({ "id": "bad", "type": "openai", "baseUrl": ["https://h"] }), "providers[0].baseUrl: "),
        (json!("bad"), "providers[0]: "),
    ] {
        let loaded = loaded(&json!({
            "providers": [broken, { "id": "good", "type": "groq", "apiTokens": ["t"] }],
            "activeProviderId": "good",
        }));
        assert!(errors(&loaded)[0].starts_with(place), "{:?}", errors(&loaded));
        assert_eq!(errors(&loaded).len(), 1);
        assert_eq!(fate(&loaded, "a.com"), "api.groq.com/openai/v1/chat/completions", "{broken}");
    }
}

#[test]
fn an_entry_keeps_its_place_behind_one_that_is_no_object() {
    let loaded = loaded(&json!({ "providers": ["x", { "id": "bad", "type": "opnai" }], "activeProviderId": "" }));
    assert_eq!(
        errors(&loaded),
        [
            "providers[0]: expected an object, found a string",
            "providers[1].type: unknown value `opnai`; did you mean `openai`?"
        ]
    );
}

#[test]
fn a_value_of_the_wrong_kind_breaks_its_provider_wherever_it_stands() {
    // Read as unset it would send the gateway's token to the preset's host, or the client's own upstream.
    for (key, value) in [
        ("baseUrl", json!(["https://corp.test"])),
        ("auth", json!("non")),
        ("apiTokens", json!({ "token": "t" })),
        ("passthrough", json!("no")),
        ("operations", json!([["chat_completions"]])),
    ] {
        let provider = json!({ "id": "x", "type": "openai", key: value });
        for (document, place) in [
            (json!({ "provider": provider }), "provider"),
            (json!({ "providers": [provider], "activeProviderId": "x" }), "providers[0]"),
            (json!({ "_rules_": [{ "_match_domain_": "*", "provider": provider }] }), "_rules_[0].provider"),
            (
                json!({ "providers": [provider], "_rules_": [{ "_match_domain_": "*", "activeProviderId": "x" }] }),
                "providers[0]",
            ),
        ] {
            let loaded = loaded(&document);
            let expected = format!("503 the gateway's configuration is broken here: {place}.{key}");
            assert!(fate(&loaded, "a.com").starts_with(&expected), "{document}: {}", fate(&loaded, "a.com"));
        }
    }
}

#[test]
fn a_broken_rule_answers_its_own_traffic_only() {
    let loaded = loaded(&json!({
        "provider": { "type": "groq", "apiTokens": ["t"] },
        "_rules_": [
            { "_match_domain_": "bad.com", "provider": { "type": "openai", "baseUrl": "ftp://h" } },
            { "_match_domain_": "good.com", "provider": { "type": "deepseek", "apiTokens": ["t"] } },
        ],
    }));
    assert_eq!(errors(&loaded), ["_rules_[0].provider.baseUrl: must begin with http:// or https://"]);
    assert_eq!(
        fate(&loaded, "bad.com"),
        "503 the gateway's configuration is broken here: _rules_[0].provider.baseUrl: must begin with http:// or https://"
    );
    assert_eq!(fate(&loaded, "good.com"), "api.deepseek.com/v1/chat/completions");
    assert_eq!(fate(&loaded, "other.com"), "api.groq.com/openai/v1/chat/completions");
}

#[test]
fn a_broken_global_configuration_stands_beside_good_rules() {
    for global in
        [json!({ "provider": { "type": "nope" } }), json!({ "activeProviderId": {} }), json!({ "provider": [] })]
    {
        let mut document = global.clone();
        document["_rules_"] =
            json!([{ "_match_domain_": "good.com", "provider": { "type": "groq", "apiTokens": ["t"] } }]);
        let loaded = loaded(&document);
        assert_eq!(errors(&loaded).len(), 1, "{global}");
        assert!(fate(&loaded, "other.com").starts_with("503 "), "{global}");
        assert_eq!(fate(&loaded, "good.com"), "api.groq.com/openai/v1/chat/completions", "{global}");
    }
}

#[test]
fn rules_without_a_global_configuration_leave_the_rest_untouched() {
    let loaded = loaded(&json!({
        "_rules_": [{ "_match_domain_": "good.com", "provider": { "type": "groq", "apiTokens": ["t"] } }],
    }));
    assert_eq!(fate(&loaded, "other.com"), "untouched");
}

#[test]
fn a_rule_without_match_keys_is_reported_and_matches_nothing() {
    for rule in [json!({}), json!({ "_match_domain_": [] }), json!({ "_match_domain_": null })] {
        let mut rule = rule.clone();
        rule["provider"] = json!({ "type": "groq", "apiTokens": ["t"] });
        let document = json!({ "provider": { "type": "deepseek", "apiTokens": ["t"] }, "_rules_": [rule] });
        let loaded = loaded(&document);
        assert_eq!(
            errors(&loaded),
            ["_rules_[0]: a `_match_…_` key (the rule matches nothing without one) is missing"],
            "{document}"
        );
        assert_eq!(fate(&loaded, "a.com"), "api.deepseek.com/v1/chat/completions");
    }
}

#[test]
fn a_misspelt_match_key_is_an_error_and_the_rule_does_not_match_too_much() {
    let provider = json!({ "type": "groq", "apiTokens": ["t"] });
    let loaded = loaded(&json!({
        "providers": [{ "id": "x", "type": "groq", "apiTokens": ["t"] }],
        "_rules_": [
            { "_match_domian_": "a.com", "provider": provider },
            { "_match_route_": "r", "_match_domian_": "a.com", "provider": provider },
            { "_match_route_": "s", "_match_domian_": "a.com", "activeProviderId": "x" },
        ],
    }));
    assert_eq!(
        errors(&loaded),
        [
            "_rules_[0]._match_domian_: unknown key; did you mean `_match_domain_`?",
            "_rules_[0]: a `_match_…_` key (the rule matches nothing without one) is missing",
            "_rules_[1]._match_domian_: unknown key; did you mean `_match_domain_`?",
            "_rules_[2]._match_domian_: unknown key; did you mean `_match_domain_`?",
        ]
    );
    assert_eq!(fate(&loaded, "a.com"), "untouched");
    for (index, route) in [(1, "r"), (2, "s")] {
        let client = Client { route: Some(route), ..client("b.com", "/v1/chat/completions") };
        let expected = format!("503 the gateway's configuration is broken here: _rules_[{index}]._match_domian_: ");
        let fate = fate_of(&loaded, client);
        assert!(fate.starts_with(&expected), "{fate}");
    }
}

#[test]
fn misspelt_rules_are_an_error_and_their_traffic_does_not_go_to_the_global_provider() {
    for (key, rules, expected) in [
        ("_rule_", json!([{ "_match_domain_": "a.com" }]), "_rule_: unknown key; did you mean `_rules_`?"),
        ("_rules_", json!("a.com"), "_rules_: expected a list, found a string"),
    ] {
        let loaded = loaded(&json!({ "provider": { "type": "groq", "apiTokens": ["t"] }, key: rules }));
        assert_eq!(errors(&loaded), [expected]);
        assert!(fate(&loaded, "a.com").starts_with("503 "), "{key}");
    }
}

#[test]
fn a_single_rule_stands_for_a_list_of_one() {
    let loaded = loaded(&json!({
        "_rules_": { "_match_domain_": "a.com", "provider": { "type": "groq", "apiTokens": ["t"] } },
    }));
    assert_eq!(problems(&loaded), Vec::<String>::new());
    assert_eq!(fate(&loaded, "a.com"), "api.groq.com/openai/v1/chat/completions");
}

// -- Rules: conditions -----------------------------------------------------------------------------------------------

#[test]
fn every_kind_of_condition_that_is_present_must_match_and_the_first_rule_wins() {
    let provider = json!({ "type": "groq", "apiTokens": ["t"] });
    let loaded = loaded(&json!({ "_rules_": [
        { "_match_route_": ["r1", "r2"], "_match_domain_": ["a.com"], "_match_service_": ["llm.dns:443"], "provider": provider },
        { "_match_route_prefix_": ["team-"], "_match_service_": ["llm.dns"], "provider": provider },
        { "_match_route_": "r1", "_match_service_": "llm.dns", "provider": provider },
        { "_match_route_prefix_": "r", "_match_domain_": "*.a.com", "provider": provider },
        { "_match_domain_": ["a.com"], "provider": provider },
        { "_match_domain_": ["a.com", "b.*"], "provider": provider },
        { "_match_service_": "plain", "provider": provider },
        { "_match_route_": "r2", "provider": provider },
    ]}));
    assert!(loaded.config.needs_route() && loaded.config.needs_cluster());
    for (host, route, cluster, expected) in [
        ("a.com", "r1", "outbound|443||llm.dns", "_rules_[0]"),
        ("A.com:8443", "r2", "outbound|443|v1|llm.dns", "_rules_[0]"),
        ("a.com", "r1", "outbound|80||llm.dns", "_rules_[2]"),
        ("c.com", "r1", "outbound|443||llm.dns", "_rules_[2]"),
        ("c.com", "team-a", "outbound|1||llm.dns", "_rules_[1]"),
        ("c.com", "team-a", "outbound|1||other.dns", "global"),
        ("x.a.com", "r9", "", "_rules_[3]"),
        ("x.a.com", "", "", "global"),
        ("a.com", "", "", "_rules_[4]"),
        ("b.org", "", "", "_rules_[5]"),
        ("", "", "plain", "_rules_[6]"),
        ("", "r2", "", "_rules_[7]"),
        ("", "", "", "global"),
    ] {
        let facts = Facts { authority: Some(host), route: Some(route), cluster: Some(cluster) };
        assert_eq!(loaded.config.select(facts).0, expected, "{host} {route} {cluster}");
    }
}

#[test]
fn what_no_rule_looks_at_is_not_asked_for() {
    for (rule, route, cluster) in [
        (json!({ "_match_domain_": "a.com" }), false, false),
        (json!({ "_match_route_": "r" }), true, false),
        (json!({ "_match_route_prefix_": "r" }), true, false),
        (json!({ "_match_service_": "s" }), false, true),
    ] {
        let config = loaded(&json!({ "_rules_": [rule] })).config;
        assert_eq!((config.needs_route(), config.needs_cluster()), (route, cluster), "{rule}");
    }
}

#[test]
fn only_combinations_that_the_reference_ignores_are_named_as_a_difference() {
    for (rule, expected) in [
        (json!({ "_match_route_": "r" }), vec![]),
        // The reference wants both of these, as the console writes them.
        (json!({ "_match_route_": "r", "_match_service_": "s" }), vec![]),
        (json!({ "_match_route_": "r", "_match_domain_": "d" }), vec!["rule-kinds"]),
        (json!({ "_match_domain_": "d", "_match_service_": "s" }), vec!["rule-kinds"]),
        (json!({ "_match_route_": "r", "_match_domain_": "d", "_match_service_": "s" }), vec!["rule-kinds"]),
    ] {
        assert_eq!(differences(&loaded(&json!({ "_rules_": [rule] }))), expected, "{rule}");
    }
}

// -- Values ----------------------------------------------------------------------------------------------------------

#[test]
fn values_are_coerced_as_in_the_reference() {
    let loaded = loaded(&json!({ "provider": {
        "id": 7.0,
        "type": "ollama",
        "ollamaServerHost": "ollama.test",
        "ollamaServerPort": 11500.0,
        "passthrough": "FALSE",
        "apiTokens": 12345,
        "operations": "chat_completions",
        "modelMapping": { "gpt-4o": 4, "x": true, "y": null },
    }}));
    assert_eq!(problems(&loaded), Vec::<String>::new());
    let decision = decided(&loaded, client("a.com", "/v1/chat/completions"), &[]);
    let provider = decision.provider.unwrap();
    assert_eq!(provider.id, "7");
    assert_eq!(Model::of(&provider, "gpt-4o".to_owned()).upstream, "4");
    let Verdict::Send(upstream) = decision.verdict else { panic!("{:?}", decision.verdict) };
    assert_eq!(upstream.authority.as_deref(), Some("ollama.test:11500"));
    assert_eq!(upstream.edits.value("authorization"), Some("Bearer 12345"));
    assert!(fate_of(&loaded, client("a.com", "/api/unknown")).starts_with("404 "));
}

#[test]
fn booleans_may_be_words_and_numbers() {
    for (value, passes) in [
        (json!(true), true),
        (json!("true"), true),
        (json!("True"), true),
        (json!("1"), true),
        (json!(1), true),
        (json!(1.0), true),
        (json!(null), true),
        (json!(false), false),
        (json!("false"), false),
        (json!("0"), false),
        (json!(""), false),
        (json!(0), false),
    ] {
        let provider = json!({ "type": "openai", "passthrough": value });
        let fate = upstream(&provider, "/anything");
        assert_eq!(!fate.starts_with("404 "), passes, "{value}: {fate}");
    }
    let loaded = configured(&json!({ "type": "openai", "passthrough": "maybe" }));
    assert_eq!(errors(&loaded), ["provider.passthrough: expected a boolean, found a string"]);
}

#[test]
fn whole_numbers_may_be_texts_and_doubles_and_nothing_else() {
    let port =
        |value: Value| configured(&json!({ "type": "ollama", "ollamaServerHost": "h", "ollamaServerPort": value }));
    for (value, expected) in
        [(json!(1), "h:1"), (json!(1.0), "h:1"), (json!("8080"), "h:8080"), (json!(null), "h:11434")]
    {
        assert_eq!(fate(&port(value.clone()), "a.com"), format!("{expected}/v1/chat/completions"), "{value}");
    }
    for value in [json!(-1), json!(1.5), json!("x"), json!(true), json!([1]), json!(4_294_967_296_u64)] {
        let errors = errors(&port(value.clone()));
        assert_eq!(errors.len(), 1, "{value}");
        assert!(errors[0].contains("expected a whole number that is not negative"), "{value}: {errors:?}");
    }
    assert!(errors(&port(json!(70000)))[0].contains("port"), "{:?}", errors(&port(json!(70000))));
}

#[test]
fn an_item_that_is_null_is_an_error_and_not_left_out() {
    // A template without a value: `apiTokens: [${TOKEN}]`. Left out, the client's credential would go upstream.
    let loaded = loaded(&json!({ "provider": { "type": "openai", "apiTokens": [null] } }));
    assert_eq!(errors(&loaded).len(), 1, "{:?}", problems(&loaded));
    assert!(errors(&loaded)[0].starts_with("provider.apiTokens[0]: "), "{:?}", problems(&loaded));
    assert!(fate(&loaded, "a.com").starts_with("503 "));
}

#[test]
fn a_choice_outside_the_list_is_an_error_with_a_suggestion() {
    for (key, value, meant) in [
        ("auth", "passthru", "passthrough"),
        ("protocol", "orginal", "original"),
        ("pathMode", "Preserve", "preserve"),
        ("basePathHandling", "remove_prefix", "removePrefix"),
    ] {
        let loaded = configured(&json!({ "type": "openai", key: value }));
        let [error] = errors(&loaded).try_into().unwrap();
        assert!(error.starts_with(&format!("provider.{key}: ")), "{error}");
        assert!(error.ends_with(&format!("did you mean `{meant}`?")), "{error}");
        assert!(fate(&loaded, "a.com").starts_with("503 "), "{key}");
    }
    // As in the reference, an empty one is unset.
    let loaded = configured(&json!({ "type": "openai", "protocol": "", "basePathHandling": "" }));
    assert_eq!(problems(&loaded), Vec::<String>::new());
}

// -- Problems --------------------------------------------------------------------------------------------------------

#[test]
fn every_problem_is_found_at_once_with_its_place_and_a_suggestion() {
    let loaded = loaded(&json!({
        "activeProvider": "x",
        "providers": [
            { "id": "a", "type": "deepseak", "apiTokens": ["t"] },
            { "id": "a", "type": "groq", "apiTokens": [""] },
            { "type": "moonshot" },
        ],
        "activeProviderId": "b",
        "_rules_": [{ "_match_domain_": "a.com", "provider": {
            "type": "openai",
            "baseUrl": "https://u:p@h/v1",
            "versionPrefix": "../v1",
            "endpoints": { "chat_completion": "/x", "embeddings": "x", "messages": "/{modle}/m" },
            "operations": ["chat_completions", "embedings"],
            "credential": { "header": "a b" },
            "modelMap": {},
        }}],
    }));
    assert_eq!(
        problems(&loaded),
        [
            "warning activeProvider: unknown key; did you mean `activeProviderId`?",
            "error providers[0].type: unknown value `deepseak`; did you mean `deepseek`?",
            "error providers[1].id: another provider has this id",
            "error providers[1].apiTokens[0]: is empty",
            "error providers[2]: `id` (`activeProviderId` chooses by it) is missing",
            "error providers[2]: `apiTokens` (or `auth: passthrough`, or `auth: none`) is missing",
            "error activeProviderId: no provider has the id `b`",
            "warning _rules_[0].provider.modelMap: unknown key; did you mean `modelMapping`?",
            "error _rules_[0].provider.baseUrl: must not hold user-info (`user:password@`); put credentials in `apiTokens`",
            "error _rules_[0].provider.versionPrefix: must be segments such as `/v1`, or empty for none",
            "error _rules_[0].provider.endpoints.chat_completion: unknown value `chat_completion`; did you mean `chat_completions`?",
            "error _rules_[0].provider.endpoints.embeddings: must be a path that begins with `/`; the host belongs into `baseUrl`",
            "error _rules_[0].provider.endpoints.messages: nothing fills the slot `{modle}` here",
            "error _rules_[0].provider.operations[1]: unknown value `embedings`; did you mean `embeddings`?",
            "error _rules_[0].provider.credential: needs either `header` (a header name) or `query` (a parameter name)",
        ]
    );
}

#[test]
fn the_503_of_a_broken_rule_names_every_error_of_it() {
    let provider = json!({ "type": "deepseek", "versionPrefix": "?", "endpoints": { "chat": "/x" } });
    let fate = fate(&loaded(&json!({ "provider": provider })), "a.com");
    for part in ["provider.versionPrefix: ", "provider.endpoints.chat: ", "`apiTokens` "] {
        assert!(fate.contains(part), "{part}: {fate}");
    }
}

#[test]
fn an_unknown_key_warns_and_breaks_nothing() {
    for (key, meant) in [("base_url", "baseUrl"), ("apiToken", "apiTokens"), ("modelMappings", "modelMapping")] {
        let loaded = loaded(&json!({ "provider": { "type": "openai", key: "x" } }));
        assert_eq!(problems(&loaded), [format!("warning provider.{key}: unknown key; did you mean `{meant}`?")]);
        assert_eq!(fate(&loaded, "a.com"), "api.openai.com/v1/chat/completions");
    }
    let loaded = loaded(&json!({ "provider": { "type": "openai", "zzz": 1 }, "qqq": {} }));
    assert_eq!(problems(&loaded), ["warning provider.zzz: unknown key", "warning qqq: unknown key"]);
}

#[test]
fn a_key_one_level_too_high_is_an_error() {
    let loaded = loaded(&json!({ "type": "openai", "apiTokens": [CANARY] }));
    assert_eq!(
        errors(&loaded),
        ["apiTokens: this key belongs inside `provider`", "type: this key belongs inside `provider`"]
    );
    assert!(fate(&loaded, "a.com").starts_with("503 "));
}

#[test]
fn a_key_of_another_type_warns_and_names_its_owners() {
    for (provider, expected) in [
        (
            json!({ "type": "groq", "openaiCustomUrl": "https://h" }),
            "warning provider.openaiCustomUrl: has no effect for type `groq`; it belongs to `openai`",
        ),
        (
            json!({ "type": "openai", "qwenDomain": "h" }),
            "warning provider.qwenDomain: has no effect for type `openai`; it belongs to `qwen`, `qwen-intl`",
        ),
    ] {
        let loaded = configured(&provider);
        assert!(problems(&loaded).contains(&expected.to_owned()), "{:?}", problems(&loaded));
        assert_eq!(errors(&loaded), Vec::<String>::new());
    }
}

#[test]
fn a_key_of_another_type_really_has_no_effect() {
    assert_eq!(
        upstream(&json!({ "type": "groq", "openaiCustomUrl": "https://h" }), "/v1/chat/completions"),
        "api.groq.com/openai/v1/chat/completions"
    );
    assert_eq!(
        upstream(&json!({ "type": "openai", "qwenDomain": "h" }), "/v1/chat/completions"),
        "api.openai.com/v1/chat/completions"
    );
}

#[test]
fn an_alias_of_a_type_owns_the_keys_of_the_type() {
    for (alias, key, value) in
        [("dashscope", "qwenDomain", "h"), ("zhipu", "zhipuDomain", "h"), ("anthropic", "claudeCustomUrl", "https://h")]
    {
        let loaded = configured(&json!({ "type": alias, key: value }));
        assert!(!problems(&loaded).iter().any(|problem| problem.contains(key)), "{:?}", problems(&loaded));
        assert!(fate(&loaded, "a.com").starts_with("h/"), "{}", fate(&loaded, "a.com"));
    }
}

#[test]
fn keys_that_only_consoles_write_are_accepted_without_a_word() {
    let loaded = configured(&json!({
        "type": "openai",
        "openaiExtraCustomUrls": ["https://x"],
        "openaiCustomServiceName": "llm.dns",
        "openaiCustomServicePort": 443,
        "vllmExtraCustomUrls": [],
    }));
    assert_eq!(problems(&loaded), Vec::<String>::new());
}

#[test]
fn keys_of_the_reference_without_effect_say_so() {
    let loaded =
        configured(&json!({ "type": "openai", "failover": { "enabled": true }, "timeout": 5000, "subPath": "/x" }));
    assert_eq!(
        problems(&loaded),
        [
            "warning provider.failover: has no effect: credential pools are not there yet; of several `apiTokens` each request takes the next",
            "warning provider.subPath: has no effect: no version of ai-proxy reads it; `basePath` or `stripPrefix` is meant",
            "warning provider.timeout: has no effect: it bounds calls that Waypost does not make",
        ]
    );
}

// -- Secrets ---------------------------------------------------------------------------------------------------------

/// Providers that hold [`CANARY`] wherever a secret can stand, sound ones and broken ones.
fn secretive() -> Vec<Value> {
    let signing = [
        ("bedrock", "awsAccessKey"),
        ("bedrock", "awsSecretKey"),
        ("vertex", "vertexAuthKey"),
        ("hunyuan", "hunyuanAuthId"),
        ("hunyuan", "hunyuanAuthKey"),
        ("kling", "klingAccessKey"),
        ("kling", "klingSecretKey"),
    ];
    let mut providers: Vec<Value> =
        signing.iter().map(|(name, key)| json!({ "id": "x", "type": name, (*key): CANARY })).collect();
    let line_break = format!("{CANARY}\n");
    providers.extend([
        json!({ "type": "openai", "apiTokens": [CANARY] }),
        json!({ "type": "openai", "apiTokens": [line_break] }),
        json!({ "type": "openai", "apiTokens": [[CANARY]] }),
        json!({ "type": "openai", "apiTokens": { CANARY: CANARY } }),
        json!({ "type": "nope", "apiTokens": [CANARY] }),
        json!({ "type": "openai", "baseUrl": format!("https://user:{CANARY}@h/v1") }),
        json!({ "type": "openai", "baseUrl": format!("https://h/v1#{CANARY}") }),
        json!({ "type": "openai", "providerDomain": format!("{CANARY}@h") }),
        json!({ "type": "gemini", "apiTokens": [CANARY] }),
        json!({ "type": "vertex", "vertexProjectId": "p", "apiTokens": [CANARY] }),
        // What is likely to be put here by mistake.
        json!({ "type": "openai", "auth": format!("Bearer {CANARY}") }),
        json!({ "type": "openai", "credential": CANARY }),
        json!({ "type": "openai", "credential": { "header": format!("authorization: Bearer {CANARY}") } }),
    ]);
    providers
}

#[test]
fn secrets_are_in_no_problem_no_debug_output_and_no_answer() {
    for provider in secretive() {
        let loaded = loaded(&json!({ "provider": provider }));
        let text = format!("{loaded:?} {:?}", problems(&loaded));
        assert!(!text.contains(CANARY), "{provider}");
        let decision = decided(&loaded, client("a.com", "/v1/chat/completions"), &[]);
        if let Some(reply) = decision.verdict.reply() {
            assert!(!reply.body.contains(CANARY), "{}", reply.body);
        }
    }
}

#[test]
fn secrets_are_in_no_explanation() {
    let fields = head(&[("authorization", &format!("Bearer {CANARY}")), ("x-api-key", CANARY), ("cookie", CANARY)]);
    for provider in secretive() {
        let loaded = loaded(&json!({ "provider": provider }));
        for path in ["/v1/chat/completions", "/v1beta/models/g:generateContent", "/v1/videos/text2video"] {
            let client = client("a.com", path);
            let request = Request { method: "POST", client, head: &fields, body: Some(br#"{"model":"m"}"#) };
            let explanation = explain(&loaded.config, request);
            let text = format!("{explanation} {}", explanation.to_json());
            assert!(!text.contains(CANARY), "{text}");
        }
    }
}

// -- The version prefix ----------------------------------------------------------------------------------------------

#[test]
fn the_version_prefix_has_three_states() {
    for (base, version, expected) in [
        // Unset: the preset's, or none where the URL has a path.
        (None, None, "api.openai.com/v1/chat/completions"),
        (Some("https://h"), None, "h/v1/chat/completions"),
        (Some("https://h/api"), None, "h/api/chat/completions"),
        (None, Some(Value::Null), "api.openai.com/v1/chat/completions"),
        // Empty: none.
        (None, Some(json!("")), "api.openai.com/chat/completions"),
        (Some("https://h"), Some(json!("")), "h/chat/completions"),
        (Some("https://h/api"), Some(json!("/")), "h/api/chat/completions"),
        // A value: that.
        (None, Some(json!("v2")), "api.openai.com/v2/chat/completions"),
        (Some("https://h"), Some(json!("/v3")), "h/v3/chat/completions"),
        (Some("https://h/api"), Some(json!("/v3/")), "h/api/v3/chat/completions"),
        (Some("https://h"), Some(json!("api/v1")), "h/api/v1/chat/completions"),
    ] {
        let mut provider = json!({ "type": "openai" });
        if let Some(base) = base {
            provider["baseUrl"] = json!(base);
        }
        if let Some(version) = &version {
            provider["versionPrefix"] = version.clone();
        }
        assert_eq!(upstream(&provider, "/v1/chat/completions"), expected, "{provider}");
    }
}

#[test]
fn a_version_prefix_that_is_no_path_is_an_error() {
    for version in ["..", "/v1/..", "v1?x=1", "v1#x", "/v 1", "%2e%2e", "v1\\x"] {
        let loaded = configured(&json!({ "type": "openai", "versionPrefix": version }));
        assert_eq!(
            errors(&loaded),
            ["provider.versionPrefix: must be segments such as `/v1`, or empty for none"],
            "{version}"
        );
    }
}

#[test]
fn a_version_that_stands_twice_does_what_it_says_and_warns() {
    let provider = json!({ "type": "openai", "baseUrl": "https://h/api/v1", "versionPrefix": "v1" });
    assert_eq!(upstream(&provider, "/v1/chat/completions"), "h/api/v1/v1/chat/completions");
    assert_eq!(
        problems(&configured(&provider)),
        ["warning provider.versionPrefix: `baseUrl` already ends with this version; it will stand twice"]
    );
}

// -- Higress's path keys ---------------------------------------------------------------------------------------------

#[test]
fn custom_urls_follow_the_rule_where_the_reference_lost_version_or_query() {
    for (key, kind) in [("openaiCustomUrl", "openai"), ("vllmCustomUrl", "vllm")] {
        for (url, chat, embeddings) in [
            // The reference sends these two to /chat/completions (higress#3130).
            ("https://a.com", "a.com/v1/chat/completions?q=1", "a.com/v1/embeddings"),
            ("https://a.com/", "a.com/v1/chat/completions?q=1", "a.com/v1/embeddings"),
            ("https://a.com/v1", "a.com/v1/chat/completions?q=1", "a.com/v1/embeddings"),
            ("https://a.com/v1/", "a.com/v1/chat/completions?q=1", "a.com/v1/embeddings"),
            ("https://a.com//v1", "a.com/v1/chat/completions?q=1", "a.com/v1/embeddings"),
            ("a.com/v1", "a.com/v1/chat/completions?q=1", "a.com/v1/embeddings"),
            ("https://a.com/api", "a.com/api/chat/completions?q=1", "a.com/api/embeddings"),
            ("https://a.com/api/v1", "a.com/api/v1/chat/completions?q=1", "a.com/api/v1/embeddings"),
            // An endpoint serves its own operation, its siblings the others; queries are kept.
            ("https://a.com/api/v1/chat/completions", "a.com/api/v1/chat/completions?q=1", "a.com/api/v1/embeddings"),
            ("https://a.com/v1/chat/completions/", "a.com/v1/chat/completions?q=1", "a.com/v1/embeddings"),
            ("https://a.com/v1/chat/completions?x=1", "a.com/v1/chat/completions?q=1&x=1", "a.com/v1/embeddings?x=1"),
            ("https://a.com/v1/embeddings", "a.com/v1/chat/completions?q=1", "a.com/v1/embeddings"),
            ("https://a.com/v1/models", "a.com/v1/chat/completions?q=1", "a.com/v1/embeddings"),
            ("https://a.com/some/completions", "a.com/some/chat/completions?q=1", "a.com/some/embeddings"),
            (
                "https://a.com/v1?api-version=1",
                "a.com/v1/chat/completions?q=1&api-version=1",
                "a.com/v1/embeddings?api-version=1",
            ),
            ("a.com:8443", "a.com:8443/v1/chat/completions?q=1", "a.com:8443/v1/embeddings"),
            ("HTTPS://a.com/v1", "a.com/v1/chat/completions?q=1", "a.com/v1/embeddings"),
        ] {
            let provider = json!({ "type": kind, key: url });
            assert_eq!(upstream(&provider, "/v1/chat/completions?q=1"), chat, "{key} {url}");
            assert_eq!(upstream(&provider, "/v1/embeddings"), embeddings, "{key} {url}");
        }
        let loaded = configured(&json!({ "type": kind, key: "https://u:p@a.com/v1" }));
        assert_eq!(errors(&loaded).len(), 1);
        assert!(errors(&loaded)[0].starts_with(&format!("provider.{key}: must not hold user-info")));
    }
    assert_eq!(
        upstream(&json!({ "type": "openai" }), "/v1/chat/completions?q=1"),
        "api.openai.com/v1/chat/completions?q=1"
    );
}

#[test]
fn custom_urls_name_the_differences_they_touch() {
    for (key, kind, url, expected) in [
        ("openaiCustomUrl", "openai", "https://a.com/v1", vec![]),
        ("openaiCustomUrl", "openai", "https://a.com", vec!["host-only-url"]),
        ("openaiCustomUrl", "openai", "https://a.com/v1/chat/completions", vec!["direct-url", "query-kept"]),
        ("openaiCustomUrl", "openai", "https://a.com/v1?x=1", vec!["query-kept"]),
        ("vllmCustomUrl", "vllm", "https://a.com", vec!["host-only-url"]),
        ("baseUrl", "openai", "https://a.com", vec![]),
        ("azureServiceUrl", "azure", "https://a.com?api-version=1", vec![]),
        ("azureServiceUrl", "azure", "https://a.com/openai/deployments/d?api-version=1", vec![]),
        (
            "azureServiceUrl",
            "azure",
            "https://a.com/openai/deployments/d/chat/completions?api-version=1",
            vec!["direct-url", "query-kept"],
        ),
    ] {
        assert_eq!(differences(&configured(&json!({ "type": kind, key: url }))), expected, "{key} {url}");
    }
}

#[test]
fn a_second_base_url_has_no_effect_and_warns() {
    let provider = json!({ "type": "openai", "baseUrl": "https://a.com/v1", "openaiCustomUrl": "https://b.com/v1" });
    assert_eq!(upstream(&provider, "/v1/chat/completions"), "a.com/v1/chat/completions");
    assert_eq!(
        problems(&configured(&provider)),
        ["warning provider.openaiCustomUrl: has no effect: another key already gives the base URL"]
    );
    // Consoles write keys with empty values.
    let provider = json!({ "type": "openai", "baseUrl": "", "openaiCustomUrl": "https://b.com/v1" });
    assert_eq!(upstream(&provider, "/v1/chat/completions"), "b.com/v1/chat/completions");
}

#[test]
fn every_key_for_a_host_replaces_the_host_and_nothing_else() {
    for (provider, expected) in [
        (json!({ "type": "groq", "providerDomain": "h" }), "h/openai/v1/chat/completions"),
        (json!({ "type": "qwen", "qwenDomain": "h" }), "h/compatible-mode/v1/chat/completions"),
        (json!({ "type": "doubao", "doubaoDomain": "h" }), "h/api/v3/chat/completions"),
        (json!({ "type": "zhipuai", "zhipuDomain": "api.z.ai" }), "api.z.ai/api/paas/v4/chat/completions"),
        (
            json!({ "type": "zhipuai", "zhipuDomain": "api.z.ai", "zhipuCodePlanMode": true }),
            "api.z.ai/api/coding/paas/v4/chat/completions",
        ),
        (
            json!({ "type": "zhipuai", "zhipuCodePlanMode": "true" }),
            "open.bigmodel.cn/api/coding/paas/v4/chat/completions",
        ),
        (json!({ "type": "zhipu", "zhipuCodePlanMode": true }), "open.bigmodel.cn/api/coding/paas/v4/chat/completions"),
        (json!({ "type": "zhipuai", "zhipuCodePlanMode": false }), "open.bigmodel.cn/api/paas/v4/chat/completions"),
        (json!({ "type": "triton", "tritonDomain": "h:8000" }), "h:8000/v1/chat/completions"),
        (json!({ "type": "generic" }), "-/v1/chat/completions"),
        (json!({ "type": "generic", "genericHost": "h" }), "h/v1/chat/completions"),
        (json!({ "type": "vllm" }), "vllm-service.cluster.local/v1/chat/completions"),
        (json!({ "type": "vllm", "vllmServerHost": "h:8000" }), "h:8000/v1/chat/completions"),
        (
            json!({ "type": "ollama", "ollamaServerHost": "h", "ollamaServerPort": "8080" }),
            "h:8080/v1/chat/completions",
        ),
        (json!({ "type": "ollama", "ollamaServerHost": "h" }), "h:11434/v1/chat/completions"),
        (
            json!({ "type": "cloudflare", "cloudflareAccountId": "acc" }),
            "api.cloudflare.com/client/v4/accounts/acc/ai/v1/chat/completions",
        ),
        (
            json!({ "type": "bedrock", "awsRegion": "us-east-1" }),
            "bedrock-runtime.us-east-1.amazonaws.com/openai/v1/chat/completions",
        ),
    ] {
        assert_eq!(upstream(&provider, "/v1/chat/completions"), expected, "{provider}");
    }
}

#[test]
fn the_provider_domain_wins_over_every_other_host() {
    for (provider, expected) in [
        (
            json!({ "type": "openai", "baseUrl": "https://a.com/api", "providerDomain": "d.com" }),
            "d.com/api/chat/completions",
        ),
        (
            json!({ "type": "qwen", "qwenDomain": "a.com", "providerDomain": "d.com" }),
            "d.com/compatible-mode/v1/chat/completions",
        ),
        (json!({ "type": "deepl", "providerDomain": "d.com" }), "d.com/v2/translate"),
        (
            json!({ "type": "ollama", "ollamaServerHost": "a.com", "ollamaServerPort": 1, "providerDomain": "d.com" }),
            "d.com/v1/chat/completions",
        ),
    ] {
        let path = if expected.ends_with("translate") { "/v2/translate" } else { "/v1/chat/completions" };
        assert_eq!(upstream(&provider, path), expected, "{provider}");
    }
    let loaded = configured(&json!({ "type": "openai", "providerDomain": "https://d.com/v1" }));
    assert_eq!(
        errors(&loaded),
        ["provider.providerDomain: must be a host with an optional port; a whole URL goes into `baseUrl`"]
    );
}

#[test]
fn base_paths_are_joined_by_whole_segments() {
    for (provider, path, expected) in [
        // removePrefix, the default: what is composed has no prefix anyway, what is passed through loses it.
        (json!({ "basePath": "/gw" }), "/gw/v1/chat/completions", "/v1/chat/completions"),
        (json!({ "basePath": "/gw" }), "/gw/v1/threads", "/v1/threads"),
        (json!({ "basePath": "gw/", "basePathHandling": "removePrefix" }), "/gw/v1/threads", "/v1/threads"),
        (json!({ "basePath": "/gw" }), "/gwx/v1/threads", "/gwx/v1/threads"),
        (json!({ "basePath": "/gw" }), "/v1/threads", "/v1/threads"),
        (json!({ "stripPrefix": "/gw" }), "/gw/v1/threads", "/v1/threads"),
        // prepend: in front of every path, once.
        (
            json!({ "basePath": "/gw", "basePathHandling": "prepend" }),
            "/v1/chat/completions",
            "/gw/v1/chat/completions",
        ),
        (json!({ "basePath": "gw/", "basePathHandling": "prepend" }), "/v1/threads", "/gw/v1/threads"),
        (json!({ "basePath": "/gw", "basePathHandling": "prepend" }), "/gw/v1/threads", "/gw/v1/threads"),
        (json!({ "providerBasePath": "/api/ai/" }), "/v1/chat/completions", "/api/ai/v1/chat/completions"),
        (json!({ "providerBasePath": "api/ai" }), "/v1/threads?x=1", "/api/ai/v1/threads?x=1"),
        // The provider's comes last, so it stands first.
        (
            json!({ "providerBasePath": "/p", "basePath": "/b", "basePathHandling": "prepend" }),
            "/v1/chat/completions",
            "/p/b/v1/chat/completions",
        ),
    ] {
        let mut provider = provider.clone();
        provider["type"] = json!("openai");
        assert_eq!(upstream(&provider, path), format!("api.openai.com{expected}"), "{provider} {path}");
    }
    assert_eq!(differences(&configured(&json!({ "type": "openai", "basePath": "/gw" }))), ["base-path"]);
    for (key, value) in [("basePath", "/a/../b"), ("providerBasePath", "/a?b"), ("stripPrefix", "/a b")] {
        let loaded = configured(&json!({ "type": "openai", key: value }));
        assert_eq!(errors(&loaded), [format!("provider.{key}: must be a path such as `/team-a`")]);
    }
}

#[test]
fn capabilities_take_the_names_of_higress_and_every_operation() {
    for (name, path) in [
        ("openai/v1/chatcompletions", "/v1/chat/completions"),
        ("openai/v1/embeddings", "/v1/embeddings"),
        ("openai/v1/imagegeneration", "/v1/images/generations"),
        ("openai/v1/imagevariation", "/v1/images/variations"),
        ("openai/v1/imageedit", "/v1/images/edits"),
        ("openai/v1/audiospeech", "/v1/audio/speech"),
        ("openai/v1/audiotranscription", "/v1/audio/transcriptions"),
        ("openai/v1/audiotranslation", "/v1/audio/translations"),
        ("openai/v1/realtime", "/v1/realtime"),
        ("openai/v1/responses", "/v1/responses"),
        ("openai/v1/videos", "/v1/videos"),
        ("openai/v1/retrievevideo", "/v1/videos/v-1"),
        ("openai/v1/retrievevideocontent", "/v1/videos/v-1/content"),
        ("openai/v1/videoremix", "/v1/videos/v-1/remix"),
        ("cohere/v1/rerank", "/v1/rerank"),
        // The reference drops these without a word.
        ("openai/v1/completions", "/v1/completions"),
        ("openai/v1/models", "/v1/models"),
        ("openai/v1/files", "/v1/files"),
        ("anthropic/v1/messages", "/v1/messages"),
        ("fine_tuning_jobs", "/v1/fine_tuning/jobs"),
    ] {
        let provider = json!({ "type": "openai", "capabilities": { name: "/custom/path?api=1" } });
        assert_eq!(upstream(&provider, path), "api.openai.com/custom/path?api=1", "{name}");
    }
    let provider = json!({ "type": "openai", "capabilities": { "openai/v1/retrievevideo": "/x/{video_id}/y" } });
    assert_eq!(upstream(&provider, "/v1/videos/v-1"), "api.openai.com/x/v-1/y");
    assert_eq!(differences(&configured(&provider)), Vec::<&str>::new());
    let provider = json!({ "type": "openai", "capabilities": { "openai/v1/models": "/x" } });
    assert_eq!(differences(&configured(&provider)), ["capabilities"]);
}

#[test]
fn a_capability_that_no_operation_stands_for_warns_and_breaks_nothing() {
    // The first two are among the seventeen names that the reference takes, the last it drops.
    for name in ["kling/v1/image2video", "kling/v1/retrieveimagevideo", "openai/v1/nothing"] {
        let loaded = configured(&json!({ "type": "kling", "capabilities": { name: "/v1/videos/image2video" } }));
        assert_eq!(errors(&loaded), Vec::<String>::new(), "{name}");
        let warned = |problem: &Problem| problem.severity == Severity::Warning && problem.path.contains(name);
        assert!(loaded.problems.iter().any(warned), "{:?}", problems(&loaded));
        assert_eq!(
            fate_of(&loaded, client("a.com", "/v1/videos/image2video")),
            "api-singapore.klingai.com/v1/videos/image2video"
        );
    }
}

#[test]
fn endpoints_win_over_capabilities_over_urls() {
    let provider = json!({
        "type": "openai",
        "baseUrl": "https://h/v1/embeddings",
        "endpoints": { "chat_completions": "/e" },
        "capabilities": { "openai/v1/chatcompletions": "/c", "openai/v1/embeddings": "/c" },
    });
    assert_eq!(upstream(&provider, "/v1/chat/completions"), "h/e");
    assert_eq!(upstream(&provider, "/v1/embeddings"), "h/c");
    assert_eq!(upstream(&provider, "/v1/models"), "h/v1/models");
}

#[test]
fn protocol_original_keeps_the_path_unless_an_endpoint_is_configured() {
    let provider = json!({
        "type": "zhipuai",
        "protocol": "original",
        "modelMapping": { "*": "glm" },
        "capabilities": { "openai/v1/embeddings": "/e" },
    });
    assert_eq!(upstream(&provider, "/gw/v1/chat/completions"), "open.bigmodel.cn/gw/v1/chat/completions");
    assert_eq!(upstream(&provider, "/v1/embeddings"), "open.bigmodel.cn/e");
    let stripped = json!({ "type": "openai", "protocol": "original", "basePath": "/gw" });
    assert_eq!(upstream(&stripped, "/gw/v1/chat/completions"), "api.openai.com/v1/chat/completions");
    let composed = json!({ "type": "zhipuai", "protocol": "original", "pathMode": "compose" });
    assert_eq!(upstream(&composed, "/v1/chat/completions"), "open.bigmodel.cn/api/paas/v4/chat/completions");

    let decision = decided(&configured(&provider), client("a.com", "/v1/chat/completions"), &[]);
    assert_eq!(Model::of(&decision.provider.unwrap(), "gpt-4o".to_owned()).upstream, "gpt-4o");
}

#[test]
fn protocol_original_is_named_as_a_difference() {
    // Most providers of the reference overwrite the path by capability all the same.
    assert_eq!(differences(&configured(&json!({ "type": "zhipuai", "protocol": "original" }))), ["original-path"]);
    let composed = json!({ "type": "zhipuai", "protocol": "original", "pathMode": "compose" });
    assert_eq!(differences(&configured(&composed)), Vec::<&str>::new());
}

#[test]
fn the_url_of_azure_says_which_of_its_apis_is_meant() {
    for (url, chat, models) in [
        (
            "https://r.openai.azure.com?api-version=1",
            "/openai/deployments/gpt-4o/chat/completions?q=1&api-version=1",
            "/openai/models?api-version=1",
        ),
        (
            "https://r.openai.azure.com/openai/deployments/d/?api-version=1",
            "/openai/deployments/d/chat/completions?q=1&api-version=1",
            "/openai/models?api-version=1",
        ),
        (
            "https://r.openai.azure.com/openai/deployments/d/chat/completions?api-version=1",
            "/openai/deployments/d/chat/completions?q=1&api-version=1",
            "/openai/models?api-version=1",
        ),
        ("https://r.openai.azure.com/openai/v1/", "/openai/v1/chat/completions?q=1", "/openai/v1/models"),
        (
            "https://r.openai.azure.com/openai/v1?api-version=preview",
            "/openai/v1/chat/completions?q=1&api-version=preview",
            "/openai/v1/models?api-version=preview",
        ),
    ] {
        let provider = json!({ "type": "azure", "azureServiceUrl": url });
        assert_eq!(upstream(&provider, "/v1/chat/completions?q=1"), format!("r.openai.azure.com{chat}"), "{url}");
        assert_eq!(upstream(&provider, "/v1/models"), format!("r.openai.azure.com{models}"), "{url}");
    }
    let loaded = configured(&json!({ "type": "azure" }));
    assert!(errors(&loaded)[0].contains("`azureServiceUrl` or `baseUrl`"), "{:?}", errors(&loaded));
    let loaded = configured(&json!({ "type": "azure", "azureServiceUrl": "https://r/openai/deployments/d" }));
    assert_eq!(errors(&loaded), ["provider: a deployment URL needs `?api-version=…`"]);
}

#[test]
fn what_a_type_cannot_do_without_is_missing() {
    for (provider, expected) in [
        (json!({ "type": "" }), "provider: `type` is missing"),
        (json!({ "type": "bedrock" }), "provider.awsRegion: awsRegion is missing"),
        (json!({ "type": "cloudflare" }), "provider.cloudflareAccountId: cloudflareAccountId is missing"),
        (json!({ "type": "ollama" }), "provider: `baseUrl` (this type has no host of its own) is missing"),
    ] {
        assert_eq!(errors(&configured(&provider)), [expected], "{provider}");
    }
    let loaded = configured(&json!({ "type": "cloudflare", "cloudflareAccountId": "a/b" }));
    assert_eq!(errors(&loaded), ["provider.cloudflareAccountId: may hold letters, digits, `-`, `_` and `.` only"]);
}

// -- Credentials -----------------------------------------------------------------------------------------------------

#[test]
fn auth_decides_whose_credential_goes_upstream() {
    let own = [("authorization", "Bearer own")];
    for (provider, expected) in [
        // Where nothing is said, a token is injected if there is one; OpenAI and one's own servers go without.
        (json!({ "type": "openai" }), Some("Bearer own")),
        (json!({ "type": "openai", "apiTokens": ["t"] }), Some("Bearer t")),
        (json!({ "type": "groq", "apiTokens": ["t"] }), Some("Bearer t")),
        (json!({ "type": "groq", "apiTokens": ["t"], "auth": "inject" }), Some("Bearer t")),
        (json!({ "type": "groq", "auth": "passthrough" }), Some("Bearer own")),
        (json!({ "type": "groq", "apiTokens": ["t"], "auth": "passthrough" }), Some("Bearer own")),
        (json!({ "type": "groq", "auth": "passthroughIfAbsent" }), Some("Bearer own")),
        (json!({ "type": "groq", "apiTokens": ["t"], "auth": "passthroughIfAbsent" }), Some("Bearer t")),
        (json!({ "type": "groq", "auth": "none" }), None),
        (json!({ "type": "groq", "apiTokens": ["t"], "auth": "none" }), None),
        // A token may be written with its scheme.
        (json!({ "type": "openai", "apiTokens": ["Bearer t"] }), Some("Bearer t")),
    ] {
        let loaded = loaded(&json!({ "provider": provider }));
        assert_eq!(errors(&loaded), Vec::<String>::new(), "{provider}");
        assert_eq!(header(&loaded, &own, "authorization").as_deref(), expected, "{provider}");
    }
}

#[test]
fn a_token_that_is_required_and_missing_is_an_error() {
    for provider in [
        json!({ "type": "groq" }),
        json!({ "type": "groq", "apiTokens": [] }),
        json!({ "type": "groq", "apiTokens": null }),
        json!({ "type": "groq", "auth": "inject" }),
        json!({ "type": "openai", "auth": "inject" }),
    ] {
        let loaded = loaded(&json!({ "provider": provider }));
        assert_eq!(
            errors(&loaded),
            ["provider: `apiTokens` (or `auth: passthrough`, or `auth: none`) is missing"],
            "{provider}"
        );
    }
}

#[test]
fn a_token_that_cannot_stand_in_a_header_is_an_error() {
    for (token, expected) in [
        ("", "is empty"),
        ("a\nb", "holds a line break or another character that cannot stand in a header"),
        ("schlüssel", "holds a line break or another character that cannot stand in a header"),
    ] {
        let loaded = loaded(&json!({ "provider": { "type": "openai", "apiTokens": ["good", token] } }));
        assert_eq!(errors(&loaded), [format!("provider.apiTokens[1]: {expected}")]);
    }
}

#[test]
fn everything_that_goes_into_a_header_is_checked() {
    for (provider, place) in [
        (
            json!({ "type": "openai", "credential": { "header": "x-key", "prefix": "a\r\nx: y" } }),
            "provider.credential",
        ),
        (json!({ "type": "bedrock", "awsRegion": "r", "claudeVersion": "a\r\nx: y" }), "provider.claudeVersion"),
    ] {
        let errors = errors(&configured(&provider));
        assert!(errors.len() == 1 && errors[0].starts_with(place), "{provider}: {errors:?}");
    }
}

#[test]
fn tokens_that_are_not_used_are_named() {
    for auth in ["passthrough", "none"] {
        let loaded = loaded(&json!({ "provider": { "type": "groq", "apiTokens": ["t"], "auth": auth } }));
        assert_eq!(problems(&loaded), [format!("warning provider.apiTokens: has no effect with `auth: {auth}`")]);
    }
}

#[test]
fn of_several_tokens_each_request_takes_the_next() {
    let loaded = loaded(&json!({ "provider": { "type": "openai", "apiTokens": ["a", "b", "c"] } }));
    assert_eq!(differences(&loaded), ["token-turns"]);
    let taken: Vec<_> = (0..4).filter_map(|_| header(&loaded, &[], "authorization")).collect();
    assert_eq!(taken, ["Bearer a", "Bearer b", "Bearer c", "Bearer a"]);
}

#[test]
fn rules_that_choose_the_same_provider_share_its_turn() {
    let loaded = loaded(&json!({
        "providers": [{ "id": "x", "type": "openai", "apiTokens": ["a", "b"] }],
        "activeProviderId": "x",
        "_rules_": [{ "_match_domain_": "rule.com", "activeProviderId": "x" }],
    }));
    let token = |host: &str| match decided(&loaded, client(host, "/v1/chat/completions"), &[]).verdict {
        Verdict::Send(upstream) => upstream.edits.value("authorization").map(str::to_owned),
        other => panic!("{other:?}"),
    };
    assert_eq!(token("rule.com").as_deref(), Some("Bearer a"));
    assert_eq!(token("other.com").as_deref(), Some("Bearer b"));
}

#[test]
fn a_credential_can_be_presented_in_another_way() {
    for (custom, name, expected) in [
        (json!({ "header": "X-Key" }), "x-key", "t"),
        (json!({ "header": "x-key", "prefix": "Token " }), "x-key", "Token t"),
        (json!({ "header": "Authorization" }), "authorization", "Bearer t"),
        (json!({ "header": "authorization", "prefix": "" }), "authorization", "t"),
    ] {
        let loaded = loaded(&json!({ "provider": { "type": "openai", "apiTokens": "t", "credential": custom } }));
        assert_eq!(errors(&loaded), Vec::<String>::new());
        assert_eq!(header(&loaded, &[], name).as_deref(), Some(expected), "{custom}");
    }
    let loaded = loaded(&json!({ "provider": { "type": "openai", "apiTokens": "t", "credential": { "query": "k" } } }));
    assert_eq!(fate_of(&loaded, client("a.com", "/v1/models?k=own&a=1")), "api.openai.com/v1/models?a=1&k=t");
    for custom in
        [json!({}), json!({ "header": "" }), json!({ "header": "a", "query": "b" }), json!({ "query": "a b" })]
    {
        let loaded = configured(&json!({ "type": "openai", "credential": custom }));
        assert_eq!(errors(&loaded).len(), 1, "{custom}");
        assert!(errors(&loaded)[0].starts_with("provider.credential: "), "{custom}");
    }
}

#[test]
fn credentials_that_must_be_signed_are_refused_where_nothing_else_is_configured() {
    let keys = |extra: Value| {
        let mut provider =
            json!({ "type": "bedrock", "awsRegion": "r", "awsAccessKey": CANARY, "awsSecretKey": CANARY });
        provider.as_object_mut().unwrap().extend(extra.as_object().unwrap().clone());
        loaded(&json!({ "provider": provider }))
    };
    let reason = "signed credentials are not supported yet; use an API key in `apiTokens`";
    assert_eq!(
        errors(&keys(json!({}))),
        [format!("provider.awsAccessKey: {reason}"), format!("provider.awsSecretKey: {reason}")]
    );
    let with_token = keys(json!({ "apiTokens": ["t"] }));
    assert_eq!(errors(&with_token), Vec::<String>::new());
    assert!(problems(&with_token).contains(&format!("warning provider.awsAccessKey: has no effect: {reason}")));
    assert_eq!(header(&with_token, &[], "authorization").as_deref(), Some("Bearer t"));
}

// -- Model mapping ---------------------------------------------------------------------------------------------------

#[test]
fn a_regex_that_does_not_compile_breaks_its_provider_and_names_the_key() {
    let loaded = configured(&json!({ "type": "openai", "modelMapping": { "~gpt-(4": "x", "a": "b" } }));
    let [error] = errors(&loaded).try_into().unwrap();
    assert!(
        error.starts_with(r#"provider.modelMapping["~gpt-(4"]: the regular expression does not compile: "#),
        "{error}"
    );
    assert!(fate(&loaded, "a.com").starts_with("503 "));
}

#[test]
fn a_mapping_key_that_is_never_reached_warns() {
    // Not `json!`: the order of the keys matters.
    let warnings = |mapping: &str| {
        let document = format!(r#"{{"provider":{{"type":"openai","modelMapping":{mapping}}}}}"#);
        let loaded = load(document.as_bytes()).unwrap();
        let warnings = loaded.problems.iter().filter(|problem| problem.severity == Severity::Warning);
        warnings.map(ToString::to_string).collect::<Vec<_>>()
    };
    assert_eq!(
        warnings(r#"{"~.*":"a","~gpt":"b","*":"c","exact":"d","p*":"e"}"#),
        [
            r#"provider.modelMapping["~gpt"]: is never reached: an earlier regex matches everything"#,
            r#"provider.modelMapping["*"]: is never reached: a regex matches everything"#,
        ]
    );
    assert_eq!(warnings(r#"{"~gpt":"b","~.*":"a"}"#), Vec::<String>::new());
    assert_eq!(warnings(r#"{"gpt-*":"b","*":"a"}"#), Vec::<String>::new());
}

#[test]
fn mappings_name_the_differences_they_touch() {
    for (mapping, expected) in [
        (json!({ "a": "b", "*": "c" }), vec![]),
        (json!({ "gpt-*": "b", "*": "c" }), vec![]),
        (json!({ "gpt-*": "b", "claude-*": "c" }), vec![]),
        (json!({ "gpt-*": "b", "gpt-4*": "c" }), vec!["mapping-order"]),
        (json!({ "~gpt": "b", "~claude": "c" }), vec!["mapping-order"]),
        (json!({ "gpt-*": "b", "~gpt": "c" }), vec!["mapping-order"]),
        (json!({ "~gpt-.*": "c" }), vec!["regex-star"]),
        (json!({ "~gpt-.*$": "c" }), vec![]),
    ] {
        let loaded = configured(&json!({ "type": "openai", "modelMapping": mapping }));
        assert_eq!(differences(&loaded), expected, "{mapping}");
    }
}

#[test]
fn a_mapping_may_hold_what_the_reference_turns_into_text_and_nothing_else() {
    let loaded = configured(&json!({ "type": "openai", "modelMapping": { "a": 12, "b": null, "c": true } }));
    assert_eq!(problems(&loaded), Vec::<String>::new());
    let loaded = configured(&json!({ "type": "openai", "modelMapping": { "a": ["b"] } }));
    assert_eq!(errors(&loaded), ["provider.modelMapping.a: expected a string, found a list"]);
    let loaded = configured(&json!({ "type": "openai", "modelMapping": { "": "b" } }));
    assert_eq!(errors(&loaded), [r#"provider.modelMapping[""]: an empty key matches nothing"#]);
}
