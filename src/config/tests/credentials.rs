//! Credentials and the model mapping.

use super::*;
#[cfg(target_family = "wasm")]
use wasm_bindgen_test::wasm_bindgen_test as test;

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
        assert_eq!(differences(&loaded), [expected, BODY_RULES.to_vec()].concat(), "{mapping}");
    }
}

#[test]
fn a_provider_without_rules_about_bodies_refuses_none() {
    for (provider, expected) in [
        (json!({ "type": "openai" }), &[][..]),
        (json!({ "type": "openai", "params": [{ "op": "remove", "key": "user" }] }), &BODY_RULES),
        (json!({ "type": "openai", "modelStripPrefix": "x/" }), &BODY_RULES),
    ] {
        assert_eq!(differences(&configured(&provider)), expected, "{provider}");
    }
}

#[test]
fn a_mapping_may_hold_what_the_reference_turns_into_text_and_nothing_else() {
    let loaded = configured(&json!({ "type": "openai", "modelMapping": { "a": 12, "b": null, "c": true } }));
    assert_eq!(loaded.problems.len(), differences(&loaded).len());
    let loaded = configured(&json!({ "type": "openai", "modelMapping": { "a": ["b"] } }));
    assert_eq!(errors(&loaded), ["provider.modelMapping.a: expected a string, found a list"]);
    let loaded = configured(&json!({ "type": "openai", "modelMapping": { "": "b" } }));
    assert_eq!(errors(&loaded), [r#"provider.modelMapping[""]: an empty key matches nothing"#]);
}
