//! Documents and envelopes.

use super::*;
#[cfg(target_family = "wasm")]
use wasm_bindgen_test::wasm_bindgen_test as test;

// -- Documents -------------------------------------------------------------------------------------------------------

#[test]
fn no_bytes_and_an_empty_object_are_valid_and_leave_requests_untouched() {
    let warning =
        "warning $: no provider is configured: every request passes untouched, with whatever credential it brings";
    for document in ["", " \r\n\t", "{}", " {} ", r#"{"_plugin_id_":"ai-proxy.internal"}"#, r#"{"_rules_":[]}"#] {
        let loaded = load(document.as_bytes()).unwrap();
        assert_eq!(problems(&loaded), [warning], "{document:?}");
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
            "the configuration is not JSON: a comma with nothing behind it at line 2 column 16",
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
fn providers_of_which_nothing_ever_chooses_one_answer_503() {
    // reports B2: with it every request went out with the credential that its client brought.
    let pool = json!([{ "id": "x", "type": "groq", "apiTokens": ["t"] }]);
    for document in [
        json!({ "providers": pool }),
        json!({ "providers": pool, "activeProviderId": null }),
        json!({ "providers": pool, "_rules_": [] }),
        json!({ "providers": pool, "unmatched": "pass" }),
        json!({ "providers": pool, "unmatched": "deny" }),
        json!({ "providers": pool, "_rules_": [{ "_match_domain_": "off.com" }] }),
        json!({ "providers": pool, "_rules_": [{ "_match_domain_": "https://a.com", "activeProviderId": "x" }] }),
    ] {
        let loaded = loaded(&document);
        let error = "providers: nothing can ever serve a request: no `activeProviderId`, here or in a rule, chooses one of these";
        assert_eq!(errors(&loaded), [error], "{document}");
        assert_eq!(fate(&loaded, "a.com"), format!("503 the gateway's configuration is broken here: {error}"));
        // A rule that switches Waypost off for its requests does that all the same.
        let off = document["_rules_"][0]["_match_domain_"] == "off.com";
        assert_eq!(fate(&loaded, "off.com") == "untouched", off, "{document}");
    }
}

#[test]
fn an_empty_active_provider_switches_off() {
    let pool = json!([{ "id": "x", "type": "groq", "apiTokens": ["t"] }]);
    let loaded = loaded(&json!({ "providers": pool, "activeProviderId": "" }));
    assert_eq!(
        problems(&loaded),
        ["warning activeProviderId: is empty: Waypost is switched off, and serves no request"]
    );
    assert_eq!(fate(&loaded, "a.com"), "untouched");
}

#[test]
fn a_console_without_providers_is_no_mistake() {
    let loaded = loaded(&json!({ "providers": [] }));
    assert_eq!((problems(&loaded), fate(&loaded, "a.com").as_str()), (vec![], "untouched"));
}

#[test]
fn a_misspelt_choice_of_a_provider_is_an_error_where_nothing_else_chooses_one() {
    let pool = json!([{ "id": "x", "type": "groq", "apiTokens": ["t"] }]);
    for (key, value) in [
        ("activeProviderID", json!("x")),
        ("active_provider_id", json!("x")),
        ("providr", json!({ "type": "groq", "apiTokens": ["t"] })),
    ] {
        for (mut level, place) in [
            (json!({ "providers": pool, "_rules_": [{ "_match_domain_": "b.com", "activeProviderId": "x" }] }), ""),
            (json!({ "_match_domain_": "a.com" }), "_rules_[0]."),
        ] {
            level[key] = value.clone();
            let document = if place.is_empty() { level } else { json!({ "providers": pool, "_rules_": [level] }) };
            let loaded = loaded(&document);
            assert_eq!(errors(&loaded).len(), 1, "{document}: {:?}", errors(&loaded));
            assert!(errors(&loaded)[0].starts_with(&format!("{place}{key}: unknown key; did you mean")), "{document}");
            assert!(fate(&loaded, "a.com").starts_with("503 "), "{document}");
        }
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
