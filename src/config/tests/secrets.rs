//! Secrets stay secret.

use super::*;
#[cfg(target_family = "wasm")]
use wasm_bindgen_test::wasm_bindgen_test as test;

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
