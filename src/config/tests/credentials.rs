//! Credentials and the model mapping.

use super::*;
use crate::config::differences::of_providers;
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

/// reports F2: a vendor with two placements tells them apart by the token.
#[test]
fn a_subscription_token_of_claude_is_a_bearer() {
    const OAT: &str = "sk-ant-oat01-x";
    const API: &str = "sk-ant-api03-x";
    let sent = |provider: Value, fields: &[(&str, &str)], path: &str| match decided(
        &configured(&provider),
        client("a", path),
        fields,
    )
    .verdict
    {
        Verdict::Send(upstream) => (
            upstream.edits.value("authorization").map(str::to_owned),
            upstream.edits.value("x-api-key").map(str::to_owned),
        ),
        other => panic!("{other:?}"),
    };
    let (bearer, key) = ((Some(format!("Bearer {OAT}")), None), (None, Some(API.to_owned())));
    let passed = || json!({ "type": "claude", "auth": "passthrough" });
    for path in ["/v1/messages", "/v1/messages/count_tokens", "/v1/files", "/v1/models", "/v1/chat/completions"] {
        assert_eq!(sent(json!({ "type": "claude", "apiTokens": [OAT] }), &[], path), bearer, "{path}");
        for own in [[("authorization", format!("Bearer {OAT}"))], [("x-api-key", OAT.to_owned())]] {
            let own = own.each_ref().map(|(name, value)| (*name, value.as_str()));
            assert_eq!(sent(passed(), &own, path), bearer, "{path} {own:?}");
        }
    }
    for path in ["/v1/messages", "/v1/files"] {
        assert_eq!(sent(json!({ "type": "claude", "apiTokens": [API] }), &[], path), key, "{path}");
        for own in [[("authorization", format!("Bearer {API}"))], [("x-api-key", API.to_owned())]] {
            let own = own.each_ref().map(|(name, value)| (*name, value.as_str()));
            assert_eq!(sent(passed(), &own, path), key, "{path} {own:?}");
        }
    }
    // What the operator says about placement holds for every token.
    let custom = json!({ "type": "claude", "apiTokens": [OAT], "credential": { "header": "x-api-key" } });
    assert_eq!(sent(custom, &[], "/v1/messages"), (None, Some(OAT.to_owned())));
}

// -- What a client brought -------------------------------------------------------------------------------------------

fn edits(provider: &Value, path: &str, fields: &[(&str, &str)]) -> Edits {
    match decided(&configured(provider), client("gw.test", path), fields).verdict {
        Verdict::Send(upstream) => upstream.edits,
        other => panic!("{other:?}"),
    }
}

#[test]
fn settings_say_what_goes_stays_and_is_set() {
    let provider = json!({
        "type": "openai",
        "apiTokens": ["t"],
        "clientCredentials": { "headers": ["X-Corp-Badge"], "query": ["Badge"] },
        "removeHeaders": ["cf-*", "Baggage"],
        "keepHeaders": ["x-session-token", "cf-ray"],
        "setHeaders": { "OpenAI-Organization": "org-operator", "x-team": "a" },
    });
    let fields = [
        ("x-corp-badge", "c"),
        ("cf-connecting-ip", "c"),
        ("cf-ray", "c"),
        ("baggage", "c"),
        ("baggage", "d"),
        ("x-session-token", "c"),
        ("openai-organization", "org-client"),
        ("openai-beta", "assistants=v2"),
    ];
    let edits = edits(&provider, "/v1/models?BADGE=c&limit=1&api_key=c", &fields);
    assert_eq!(edits.remove, ["x-corp-badge", "cf-connecting-ip", "baggage", "openai-organization"]);
    assert_eq!(edits.value(":path"), Some("/v1/models?limit=1"));
    assert_eq!(edits.value("x-envoy-original-path"), Some("/v1/models?limit=1"));
    assert_eq!(edits.value("openai-organization"), Some("org-operator"));
    assert_eq!(edits.value("x-team"), Some("a"));
    let shown: Vec<_> = edits.set.iter().take(edits.hidden).map(|(name, _)| &**name).collect();
    assert_eq!(shown, ["openai-organization", "x-team"]);
}

#[test]
fn a_default_header_gives_way_to_one_that_is_set_and_replaces_one_that_is_removed() {
    let version = |more: Value| {
        let mut provider = json!({ "type": "claude", "apiTokens": ["t"] });
        provider.as_object_mut().unwrap().extend(more.as_object().unwrap().clone());
        let edits = edits(&provider, "/v1/messages", &[("anthropic-version", "client")]);
        let values: Vec<_> = edits.set.iter().filter(|(name, _)| name == "anthropic-version").cloned().collect();
        values.into_iter().map(|(_, value)| value).collect::<Vec<_>>()
    };
    assert_eq!(version(json!({})), Vec::<String>::new());
    assert_eq!(version(json!({ "removeHeaders": ["anthropic-*"] })), ["2023-06-01"]);
    assert_eq!(version(json!({ "setHeaders": { "anthropic-version": "own" } })), ["own"]);
}

#[test]
fn headers_that_cannot_be_removed_or_set_are_errors() {
    for (setting, place) in [
        (json!({ "removeHeaders": ["Content-Type"] }), "removeHeaders[0]: a request cannot do without"),
        (json!({ "removeHeaders": ["ok", "a b"] }), "removeHeaders[1]: is no name"),
        (json!({ "removeHeaders": [":path"] }), "removeHeaders[0]: is no name"),
        (json!({ "keepHeaders": ["x-a*b c"] }), "keepHeaders[0]: is no name"),
        (json!({ "removeHeaders": ["x-a"], "keepHeaders": ["X-A"] }), "keepHeaders[0]: stands in `removeHeaders`"),
        (json!({ "clientCredentials": { "headers": ["host"] } }), "clientCredentials.headers[0]: a request cannot"),
        (json!({ "clientCredentials": { "headers": ["x-*"] } }), "clientCredentials.headers[0]: takes whole names"),
        (json!({ "setHeaders": { "host": "h" } }), "setHeaders[\"host\"]: this header is the request's own"),
        (json!({ "setHeaders": { "accept-encoding": "br" } }), "setHeaders[\"accept-encoding\"]: this header"),
        (json!({ "setHeaders": { "Authorization": "s" } }), "setHeaders[\"Authorization\"]: the credential"),
        (json!({ "setHeaders": { "x-a": "b\nc" } }), "setHeaders[\"x-a\"]: holds a line break"),
        (json!({ "setHeaders": { "x-a": null } }), "setHeaders[\"x-a\"]: is empty"),
        (json!({ "setHeaders": { "x-a": "b", "X-A": "c" } }), "setHeaders[\"x-a\"]: stands here twice"),
        (json!({ "setHeaders": { "x-a: secret": "b" } }), "setHeaders[***]: is no name"),
    ] {
        let mut provider = json!({ "type": "openai", "apiTokens": ["t"] });
        provider.as_object_mut().unwrap().extend(setting.as_object().unwrap().clone());
        let errors = errors(&configured(&provider));
        assert!(errors.len() == 1 && errors[0].starts_with(&format!("provider.{place}")), "{setting}: {errors:?}");
    }
    // Where no token is put on, the operator may authenticate in another way.
    let own = json!({ "type": "openai", "auth": "none", "setHeaders": { "authorization": "Basic c2VjcmV0" } });
    assert_eq!(edits(&own, "/v1/models", &[]).value("authorization"), Some("Basic c2VjcmV0"));
}

#[test]
fn a_kept_credential_is_doubted() {
    let provider = json!({ "type": "openai", "apiTokens": ["t"], "keepHeaders": ["x-auth-token", "x-a", "openai-*"] });
    let loaded = configured(&provider);
    assert_eq!(
        problems(&loaded),
        ["warning provider.keepHeaders[0]: what a client authenticates with in this header goes upstream, beside the \
          configured token"]
    );
}

/// audit M4: also in the copy of the path that goes upstream, whatever the type.
#[test]
fn a_clients_token_in_the_query_goes_nowhere() {
    for provider in
        [json!({ "type": "openai" }), json!({ "type": "claude" }), json!({ "type": "azure", "baseUrl": "https://h" })]
    {
        for name in ["api_key", "apikey", "access_token", "token", "key", "api-key", "API-KEY", "k%65y", "Api%5FKey"] {
            let mut provider = provider.clone();
            provider["apiTokens"] = json!(["t"]);
            let path = format!("/x/v1/models?a=1&{name}=c&b=2;{name}=c");
            let edits = edits(&provider, &path, &[]);
            for header in [":path", "x-envoy-original-path"] {
                let value = edits.value(header).unwrap();
                assert!(value.ends_with("models?a=1&b=2"), "{provider} {header}: {value}");
            }
        }
    }
    // A client that is passed through keeps what the vendor may want.
    let passed = json!({ "type": "openai", "auth": "passthrough" });
    assert_eq!(edits(&passed, "/v1/models?token=c", &[]).value(":path"), Some("/v1/models?token=c"));
}

/// audit L9, M6, reports F13
#[test]
fn payers_and_overrides_do_not_go_upstream() {
    let fields =
        [("openai-project", "p"), ("x-original-url", "/admin"), ("x-forwarded-host", "h"), ("x-mse-consumer", "c")];
    let inject = edits(&json!({ "type": "openai", "apiTokens": ["t"] }), "/v1/models", &fields);
    assert_eq!(inject.remove, ["openai-project", "x-original-url", "x-forwarded-host", "x-mse-consumer"]);
    assert_eq!(inject.consumer.as_deref(), Some("c"));
    let passed = edits(&json!({ "type": "openai", "auth": "passthrough" }), "/v1/models", &fields);
    assert_eq!(passed.remove, ["x-original-url", "x-forwarded-host", "x-mse-consumer"]);
    let kept = json!({ "type": "openai", "apiTokens": ["t"], "keepHeaders": ["x-mse-consumer", "openai-project"] });
    let kept = edits(&kept, "/v1/models", &fields);
    assert_eq!((kept.remove.len(), kept.consumer), (2, None));
}

#[test]
fn a_consumer_that_is_not_sure_is_refused() {
    let ambiguous = "400 the header that names the consumer has several different values; the gateway must replace what a \
                     client sends there, and not add to it";
    for (values, expected) in [
        (&["alice", "bob"][..], ambiguous),
        (&["", "alice", " alice "], "api.openai.com/v1/models"),
        (&["alice", "", "Alice"], ambiguous),
        (&[""], "api.openai.com/v1/models"),
    ] {
        let loaded = configured(&json!({ "type": "openai", "apiTokens": ["t"] }));
        let fields: Vec<_> = values.iter().map(|value| ("x-mse-consumer", *value)).collect();
        let fate = match decided(&loaded, client("gw.test", "/v1/models"), &fields).verdict {
            Verdict::Send(upstream) => format!("{}{}", upstream.authority().unwrap(), upstream.path()),
            Verdict::Refuse(error, _) => format!("{} {}", error.status(), error.message()),
            other => panic!("{other:?}"),
        };
        assert_eq!(fate, expected, "{values:?}");
    }
}

/// audit L3
#[test]
fn user_and_password_of_the_authority_go_nowhere() {
    let edits =
        |provider: Value| match decided(&configured(&provider), client("user:secret@gw.test", "/v1/models"), &[])
            .verdict
        {
            Verdict::Send(upstream) => upstream.edits,
            other => panic!("{other:?}"),
        };
    let named = edits(json!({ "type": "openai", "apiTokens": ["t"] }));
    assert_eq!(named.value("x-envoy-original-host"), Some("gw.test"));
    let kept = edits(json!({ "type": "generic", "apiTokens": ["t"] }));
    assert_eq!(kept.value(":authority"), Some("gw.test"));
}

#[test]
fn the_differences_of_every_provider_are_those_that_it_touches() {
    let named = |provider: Value| {
        let named = of_providers(&configured(&provider).config);
        named.iter().map(|difference| difference.id).collect::<Vec<_>>()
    };
    assert_eq!(
        named(json!({ "type": "openai", "apiTokens": ["t"] })),
        ["one-credential", "client-headers", "consumer-header", "host-overrides", "headers-at-once", "accept-kept"]
    );
    assert_eq!(
        named(json!({ "type": "openai", "auth": "none" })),
        ["one-credential", "consumer-header", "host-overrides", "headers-at-once", "accept-kept"]
    );
    assert_eq!(
        named(json!({ "type": "openai", "auth": "none", "holdHeaders": true, "modelMapping": { "*": "m" } })),
        ["one-credential", "consumer-header", "host-overrides", "accept-kept", "unlisted-apis"]
    );
    assert!(
        named(json!({ "type": "openai", "apiTokens": ["t"], "credential": { "query": "k" } })).contains(&"redirects")
    );
    assert_eq!(of_providers(&loaded(&json!({})).config), []);
}

/// `higress-suite C2` to `C5`, `C8`
#[test]
fn types_that_mean_something_else_are_named_as_a_difference() {
    for (provider, expected) in [
        (json!({ "type": "fireworks" }), &["fireworks-path"][..]),
        (json!({ "type": "vertex" }), &["express-mode"]),
        (json!({ "type": "bedrock", "awsRegion": "us-east-1" }), &["bedrock-models", "compatible-endpoint"]),
        (json!({ "type": "generic" }), &[]),
        (json!({ "type": "generic", "modelMapping": { "a": "b" } }), &["generic-models"]),
        (json!({ "type": "openai", "firstByteTimeout": 1500 }), &["first-byte-timeout"]),
        (json!({ "type": "openai", "firstByteTimeout": 0 }), &[]),
    ] {
        let named = differences(&configured(&provider));
        let named: Vec<_> = named.into_iter().filter(|id| !BODY_RULES.contains(id)).collect();
        assert_eq!(named, expected, "{provider}");
    }
}

/// `higress-suite C4`
#[test]
fn a_refusal_in_express_mode_names_what_the_operator_wrote() {
    let config = configured(&json!({ "type": "vertex" })).config;
    let decision = decide(&config, client("gw", "/v1/chat/completions"), &Head::default(), Body::NoModel);
    let Verdict::Refuse(error, _) = decision.verdict else { panic!("{decision:?}") };
    assert!(error.message().contains("`vertex` with `apiTokens`"), "{}", error.message());
}

/// `reports F10`: an operator sees why a path that ends like an operation is none.
#[test]
fn explain_says_why_a_path_is_no_operation_and_that_apis_share_a_base_path() {
    let said = |provider: Value, path: &str| {
        let config = configured(&provider).config;
        let head = Head::default();
        explain(&config, Request { method: "POST", client: client("gw", path), head: &head, body: None }).to_string()
    };
    for (path, operation, between) in [
        ("/v1/fim/completions", "completions", "`fim`"),
        ("/gw/v2/organization/usage/embeddings", "embeddings", "`organization/usage`"),
        ("/v1beta/own/models", "models", "`own`"),
    ] {
        let text = said(json!({ "type": "openai" }), path);
        assert!(text.contains(&format!("ends like {operation}")) && text.contains(between), "{text}");
    }
    assert!(!said(json!({ "type": "openai" }), "/v1/own").contains("ends like"));
    let shared = "is the base of them all";
    let deepseek = |url: &str| json!({ "type": "deepseek", "baseUrl": url });
    assert!(said(deepseek("https://proxy.corp/llm"), "/v1/chat/completions").contains(shared));
    assert!(!said(deepseek("https://proxy.corp"), "/v1/chat/completions").contains(shared));
    let groq = json!({ "type": "groq", "baseUrl": "https://proxy.corp/llm" });
    assert!(!said(groq, "/v1/chat/completions").contains(shared));
}
