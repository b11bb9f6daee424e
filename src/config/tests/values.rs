//! How values are read, and what is said about them.

use super::*;
#[cfg(target_family = "wasm")]
use wasm_bindgen_test::wasm_bindgen_test as test;

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
    assert_eq!(differences(&loaded), BODY_RULES);
    assert_eq!(loaded.problems.len(), BODY_RULES.len());
    let decision = decided(&loaded, client("a.com", "/v1/chat/completions"), &[]);
    let provider = decision.provider.unwrap();
    assert_eq!(provider.id, "7");
    assert_eq!(Model::of(&provider, "gpt-4o".to_owned()).unwrap().upstream, "4");
    let Verdict::Send(upstream) = decision.verdict else { panic!("{:?}", decision.verdict) };
    assert_eq!(upstream.authority(), Some("ollama.test:11500"));
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

#[test]
fn what_a_console_writes_out_as_switched_off_is_no_mistake() {
    // higress#2213, operator B10.
    for (provider_type, key, value) in [
        ("openai", "failover", json!({ "enabled": false })),
        ("openai", "failover", json!({ "enabled": false, "failureThreshold": 3 })),
        ("openai", "failover", json!({})),
        ("openai", "failover", Value::Null),
        ("openai", "retryOnFailure", json!({ "enabled": false })),
        ("openai", "retryOnFailure", json!({ "enabled": "false" })),
        ("openai", "promoteThinkingOnEmpty", json!(false)),
        ("openai", "reasoningContentMode", json!("passthrough")),
        ("openai", "logUpstreamErrorResponseBody", json!("false")),
        ("claude", "claudeCodeMode", json!(false)),
        ("qwen", "qwenEnableSearch", json!(false)),
        ("qwen", "qwenFileIds", json!([])),
        ("qwen", "qwenFileIds", json!([""])),
        ("gemini", "geminiThinkingBudget", json!(0)),
        ("gemini", "geminiSafetySetting", json!({})),
        // Of other types, and empty.
        ("openai", "azureServiceUrl", json!("")),
        ("groq", "openaiCustomUrl", json!("")),
        ("openai", "qwenFileIds", json!([])),
        ("openai", "claudeCodeMode", json!(false)),
        ("openai", "ollamaServerPort", json!(0)),
    ] {
        let mut provider = json!({ "type": provider_type, "apiTokens": ["t"] });
        provider[key] = value;
        let loaded = loaded(&json!({ "provider": provider }));
        let warnings: Vec<_> = problems(&loaded).into_iter().filter(|line| !line.starts_with("difference")).collect();
        assert_eq!(warnings, Vec::<String>::new(), "{provider}");
    }
    for (provider_type, key, value) in [
        ("openai", "failover", json!({ "enabled": true })),
        ("openai", "failover", json!({ "failureThreshold": 3 })),
        ("openai", "reasoningContentMode", json!("ignore")),
        ("claude", "claudeCodeMode", json!(true)),
        ("qwen", "qwenFileIds", json!(["file-1"])),
        ("openai", "azureServiceUrl", json!("https://a.com")),
    ] {
        let mut provider = json!({ "type": provider_type, "apiTokens": ["t"] });
        provider[key] = value;
        let loaded = loaded(&json!({ "provider": provider }));
        assert!(problems(&loaded)[0].starts_with(&format!("warning provider.{key}: has no effect")), "{provider}");
    }
}

#[test]
fn a_key_that_nobody_knows_is_named_by_what_the_type_has() {
    for (provider_type, key, meant) in [
        ("claude", "version", "claudeVersion"),
        ("bedrock", "version", "apiVersion"),
        ("azure", "version", "apiVersion"),
        ("openai", "version", "versionPrefix"),
        ("bedrock", "region", "awsRegion"),
        ("vertex", "region", "vertexRegion"),
        ("ollama", "serverHost", "ollamaServerHost"),
        ("openai", "customUrl", "openaiCustomUrl"),
        ("openai", "apiToken", "apiTokens"),
        ("openai", "apiKey", "apiTokens"),
    ] {
        let mut provider = json!({ "type": provider_type, "auth": "none", "awsRegion": "r", "vertexRegion": "r" });
        provider[key] = json!("x");
        let loaded = loaded(&json!({ "provider": provider }));
        let line = problems(&loaded).into_iter().find(|line| line.contains("unknown key"));
        let expected = format!("warning provider.{key}: unknown key; did you mean `{meant}`?");
        assert_eq!(line, Some(expected), "{provider_type}");
    }
}

#[test]
fn rules_under_another_spelling_are_an_error_and_other_keys_a_warning() {
    for (key, severity) in
        [("rules", "error"), ("Rules", "error"), ("_Rules_", "error"), ("rule", "warning"), ("roles", "warning")]
    {
        let mut document = json!({ "provider": { "type": "groq", "apiTokens": ["t"] } });
        document[key] = json!([{ "_match_domain_": "a.com" }]);
        let found = problems(&loaded(&document));
        assert!(found[0].starts_with(&format!("{severity} {key}: unknown key")), "{found:?}");
    }
}
