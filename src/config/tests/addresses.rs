//! The version prefix, and Higress's keys for host and path.

use super::*;
#[cfg(target_family = "wasm")]
use wasm_bindgen_test::wasm_bindgen_test as test;

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
        (json!({ "basePath": "/gw" }), "/gw/v1/agents", "/v1/agents"),
        (json!({ "basePath": "gw/", "basePathHandling": "removePrefix" }), "/gw/v1/agents", "/v1/agents"),
        (json!({ "basePath": "/gw" }), "/gwx/v1/agents", "/gwx/v1/agents"),
        (json!({ "basePath": "/gw" }), "/v1/agents", "/v1/agents"),
        (json!({ "stripPrefix": "/gw" }), "/gw/v1/agents", "/v1/agents"),
        // prepend: in front of every path, once.
        (
            json!({ "basePath": "/gw", "basePathHandling": "prepend" }),
            "/v1/chat/completions",
            "/gw/v1/chat/completions",
        ),
        (json!({ "basePath": "gw/", "basePathHandling": "prepend" }), "/v1/agents", "/gw/v1/agents"),
        (json!({ "basePath": "/gw", "basePathHandling": "prepend" }), "/gw/v1/agents", "/gw/v1/agents"),
        (json!({ "providerBasePath": "/api/ai/" }), "/v1/chat/completions", "/api/ai/v1/chat/completions"),
        (json!({ "providerBasePath": "api/ai" }), "/v1/agents?x=1", "/api/ai/v1/agents?x=1"),
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
    assert_eq!(Model::of(&decision.provider.unwrap(), "gpt-4o".to_owned()).unwrap().upstream, "gpt-4o");
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
