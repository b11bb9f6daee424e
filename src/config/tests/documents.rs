//! Documents and envelopes.

use super::*;
#[cfg(target_family = "wasm")]
use wasm_bindgen_test::wasm_bindgen_test as test;

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
