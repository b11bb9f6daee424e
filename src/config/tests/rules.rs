//! What a rule inherits, what is broken stays among itself, and which rule serves.

use super::*;
#[cfg(target_family = "wasm")]
use wasm_bindgen_test::wasm_bindgen_test as test;

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
    let error = "_rules_[0]: `activeProviderId` (it chooses one of the rule's own `providers`) is missing";
    assert_eq!(errors(&loaded), [error]);
    assert!(fate(&loaded, "rule.com").starts_with("503 "));

    for off in [json!({ "providers": own, "activeProviderId": "" }), json!({ "providers": [] })] {
        let loaded = with_rule(&off);
        assert_eq!((errors(&loaded), fate(&loaded, "rule.com").as_str()), (vec![], "untouched"), "{off}");
    }
}

// -- Rules: what none of them matches --------------------------------------------------------------------------------

#[test]
fn what_no_rule_matches_passes_or_is_denied_as_configured() {
    for (unmatched, expected) in [
        (Value::Null, "untouched"),
        (json!("pass"), "untouched"),
        (json!("deny"), "404 no rule of the gateway matches this request"),
    ] {
        let mut document = json!({ "_rules_": [
            { "_match_domain_": "good.com", "provider": { "type": "groq", "apiTokens": ["t"] } },
            { "_match_domain_": "off.com" },
        ]});
        document["unmatched"] = unmatched;
        let loaded = loaded(&document);
        assert_eq!(problems(&loaded), Vec::<String>::new(), "{document}");
        assert_eq!(fate(&loaded, "other.com"), expected, "{document}");
        assert_eq!(fate(&loaded, "good.com"), "api.groq.com/openai/v1/chat/completions");
        // A rule that matches has the last word.
        assert_eq!(fate(&loaded, "off.com"), "untouched", "{document}");
    }
}

#[test]
fn a_provider_beside_the_rules_serves_whatever_is_said_about_unmatched_requests() {
    let loaded = loaded(&json!({ "unmatched": "deny", "provider": { "type": "groq", "apiTokens": ["t"] } }));
    assert_eq!(problems(&loaded), Vec::<String>::new());
    assert_eq!(fate(&loaded, "a.com"), "api.groq.com/openai/v1/chat/completions");
}

#[test]
fn unmatched_is_said_once_and_rightly() {
    let rule =
        json!({ "_match_domain_": "a.com", "unmatched": "deny", "provider": { "type": "groq", "apiTokens": ["t"] } });
    let in_rule = loaded(&json!({ "_rules_": [rule] }));
    assert_eq!(
        problems(&in_rule),
        ["warning _rules_[0].unmatched: has no effect: only the one beside `_rules_` counts"]
    );
    assert_eq!(fate(&in_rule, "other.com"), "untouched");

    let rule = json!({ "_match_domain_": "a.com", "provider": { "type": "groq", "apiTokens": ["t"] } });
    let misspelt = loaded(&json!({ "_rules_": [rule], "unmatched": "denied" }));
    assert_eq!(errors(&misspelt), ["unmatched: must be one of `pass`, `deny`; did you mean `deny`?"]);
    assert!(fate(&misspelt, "other.com").starts_with("503 "));

    let nothing = loaded(&json!({ "unmatched": "deny" }));
    assert_eq!(problems(&nothing), ["warning $: no provider is configured: every request is answered with 404"]);
    assert!(fate(&nothing, "a.com").starts_with("404 "));
}

#[test]
fn a_denied_request_is_answered_in_the_dialect_of_its_client() {
    let loaded = loaded(&json!({ "unmatched": "deny" }));
    for (path, dialect) in [
        ("/v1/chat/completions", Dialect::OpenAi),
        ("/v1/messages", Dialect::Anthropic),
        ("/v1beta/models/g:generateContent", Dialect::Gemini),
        ("/healthz", Dialect::OpenAi),
    ] {
        match decided(&loaded, client("a.com", path), &[]).verdict {
            Verdict::Refuse(Error::NoRule, spoken) => assert_eq!(spoken, dialect, "{path}"),
            other => panic!("{path}: {other:?}"),
        }
    }
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
        assert_eq!(&*loaded.config.select(facts).name, expected, "{host} {route} {cluster}");
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
