use super::*;
use crate::config::load;
use serde_json::{Value, json};
#[cfg(target_family = "wasm")]
use wasm_bindgen_test::wasm_bindgen_test as test;

/// Every file of `testdata/paths`; `tests/e2e_paths.rs` sends the same requests through Envoy.
const CASES: &[(&str, &str)] = &[
    ("design.json", include_str!("../../../testdata/paths/design.json")),
    ("reports.json", include_str!("../../../testdata/paths/reports.json")),
    ("vendors.json", include_str!("../../../testdata/paths/vendors.json")),
];

fn configured(provider: &Value) -> Config {
    let mut provider = provider.clone();
    if provider.get("apiTokens").is_none() && provider.get("auth").is_none() {
        provider["apiTokens"] = json!(["test-token"]);
    }
    let loaded = load(json!({ "provider": provider }).to_string().as_bytes()).unwrap();
    loaded.config
}

fn head(fields: &[(&str, &str)]) -> Head {
    Head::new(fields.iter().map(|(name, value)| ((*name).to_owned(), value.as_bytes().to_vec())).collect())
}

fn at<'a>(host: &'a str, path: &'a str) -> Client<'a> {
    Client { authority: Some(host.as_bytes()), path: Some(path.as_bytes()), ..Client::default() }
}

/// The model the test harness sends in the body of a case.
fn body_of(request: &Value) -> Body<'_> {
    match (request["model"].as_str(), request["body"].as_str()) {
        (Some(model), _) => Body::Model(model),
        (None, Some(_)) => Body::NoModel,
        (None, None) => Body::Absent,
    }
}

#[test]
fn every_case_of_the_test_data_holds() {
    let mut wrong = Vec::new();
    let mut seen = 0;
    for (file, text) in CASES {
        let groups: Value = serde_json::from_str(text).unwrap();
        for group in groups.as_array().unwrap() {
            let config = configured(&group["provider"]);
            for request in group["requests"].as_array().unwrap() {
                seen += 1;
                let path = request["path"].as_str().unwrap();
                let decision = decide(&config, at("client.test", path), &head(&[]), body_of(request));
                let got = match &decision.verdict {
                    Verdict::Send(upstream) => json!({ "authority": upstream.authority(), "path": upstream.path() }),
                    Verdict::Refuse(error, _) => json!({ "status": error.status(), "error": error.message() }),
                    other => json!(format!("{other:?}")),
                };
                let ok = match request.get("upstream") {
                    Some(upstream) => got == *upstream,
                    None => got["status"] == request["status"],
                };
                if !ok {
                    wrong.push(format!("{file}: {}: {path}\n  want {request}\n  got  {got}", group["name"]));
                }
            }
        }
    }
    assert!(wrong.is_empty(), "{} of {seen} cases are wrong:\n{}", wrong.len(), wrong.join("\n"));
}

/// Providers that put their credential in a header, in the query, or take the client's.
fn credential_places() -> [Value; 4] {
    [
        json!({ "type": "openai" }),
        json!({ "type": "generic", "baseUrl": "https://h", "apiTokens": ["t"], "credential": { "query": "key" } }),
        json!({ "type": "claude", "auth": "passthrough" }),
        json!({ "type": "azure", "azureServiceUrl": "https://h?api-version=1" }),
    ]
}

/// reports 43, operator 8: a preflight went upstream with the operator's key, as a chat completion.
#[test]
fn a_request_that_uses_no_operation_gets_no_credential() {
    for provider in credential_places() {
        let config = configured(&provider);
        for method in ["OPTIONS", "TRACE"] {
            for path in
                ["/v1/chat/completions", "/v1/messages", "/v1/models/m", "/v1/embeddings?key=client-secret", "/"]
            {
                let fields = [
                    (":method", method),
                    ("authorization", "Bearer client-secret"),
                    ("x-api-key", "client-secret"),
                    ("cookie", "client-secret"),
                    ("access-control-request-method", "POST"),
                ];
                let decision = decide(&config, at("gw", path), &head(&fields), Body::Absent);
                assert_eq!(decision.operation, Operation::Passthrough, "{method} {path}");
                let Verdict::Send(upstream) = decision.verdict else { panic!("{method} {path}: {decision:?}") };
                assert_eq!((upstream.edits.credential, upstream.credential_at), (None, None), "{provider} {path}");
                for name in ["authorization", "x-api-key", "cookie"] {
                    assert!(upstream.edits.remove.iter().any(|removed| removed == name), "{provider} {path}: {name}");
                    assert_eq!(upstream.edits.value(name), None, "{provider} {path}");
                }
            }
        }
    }
    // Where unknown paths are refused, and where operations are listed without them, so is a preflight.
    for closed in [json!({ "passthrough": false }), json!({ "operations": ["chat_completions"] })] {
        let mut provider = json!({ "type": "openai" });
        provider.as_object_mut().unwrap().extend(closed.as_object().unwrap().clone());
        let config = configured(&provider);
        let fields = head(&[(":method", "OPTIONS")]);
        let decision = decide(&config, at("gw", "/v1/chat/completions"), &fields, Body::Absent);
        assert_eq!(decision.verdict.reply().map(|reply| reply.status), Some(404), "{provider}");
    }
}

#[test]
fn a_probe_is_answered_and_every_other_head_request_is_not() {
    let plain = json!({ "type": "claude" });
    let strict =
        json!({ "type": "claude", "passthrough": false, "operations": ["messages"], "stripPrefix": "/team-a" });
    for (provider, method, path, answered) in [
        (&plain, "HEAD", "/", true),
        (&plain, "HEAD", "/?x=1", true),
        (&plain, "HEAD", "/api/hello", true),
        (&plain, "HEAD", "/gw/api/hello", true),
        (&strict, "HEAD", "/", true),
        (&strict, "HEAD", "/team-a", true),
        (&strict, "HEAD", "/team-a/", true),
        (&strict, "HEAD", "/team-a/api/hello", true),
        (&plain, "GET", "/", false),
        (&plain, "GET", "/api/hello", false),
        (&plain, "OPTIONS", "/", false),
        (&plain, "HEAD", "/v1/models", false),
        (&plain, "HEAD", "/api/hello/x", false),
        (&plain, "HEAD", "/myapi/hello2", false),
    ] {
        let decision = decide(&configured(provider), at("gw", path), &head(&[(":method", method)]), Body::Absent);
        let reply = match decision.verdict {
            Verdict::Answer(reply) => Some((reply.status, reply.body)),
            _ => None,
        };
        assert_eq!(reply, answered.then(|| (200, String::new())), "{method} {path}");
    }
}

/// With `passthrough: false` the resources that official clients use are served all the same, each below its own path.
#[test]
fn families_are_served_where_unknown_paths_are_not() {
    let closed = |mut provider: Value| {
        provider["passthrough"] = json!(false);
        configured(&provider)
    };
    let openai = closed(json!({ "type": "openai", "baseUrl": "https://h/llm/v1" }));
    let azure = closed(json!({ "type": "azure", "azureServiceUrl": "https://h?api-version=1" }));
    let claude = closed(json!({ "type": "claude" }));
    let set = closed(json!({ "type": "openai", "endpoints": { "uploads": "/files/up" } }));
    for (config, path, expected) in [
        (&openai, "/v1/vector_stores/vs/files/f/content?limit=1", "/llm/v1/vector_stores/vs/files/f/content?limit=1"),
        (&openai, "/gw/threads/t/runs", "/llm/v1/threads/t/runs"),
        (&openai, "/v1/chat/completions/c/messages", "/llm/v1/chat/completions/c/messages"),
        (&azure, "/v1/threads/t%2Dx/messages", "/openai/threads/t%2Dx/messages?api-version=1"),
        (&claude, "/v1/skills/s/versions/1", "/v1/skills/s/versions/1"),
        (&set, "/v1/uploads/u/parts", "/files/up/u/parts"),
        (&set, "/v1/uploads", "/files/up"),
    ] {
        match decide(config, at("gw", path), &head(&[]), Body::Absent).verdict {
            Verdict::Send(upstream) => assert_eq!(upstream.path(), expected),
            other => panic!("{path}: {other:?}"),
        }
    }
    for (path, status) in [
        ("/v1/organization/users", 404),
        ("/healthz", 404),
        ("/v1/threads/../organization/users", 400),
        ("/v1/threads/%2e%2e/organization", 400),
    ] {
        let reply = decide(&openai, at("gw", path), &head(&[]), Body::Absent).verdict.reply();
        assert_eq!(reply.map(|reply| reply.status), Some(status), "{path}");
    }
    // A base URL that ends like a family is a base path like any other.
    let base = closed(json!({ "type": "openai", "baseUrl": "https://h/skills" }));
    match decide(&base, at("gw", "/v1/embeddings"), &head(&[]), Body::Absent).verdict {
        Verdict::Send(upstream) => assert_eq!(upstream.path(), "/skills/embeddings"),
        other => panic!("{other:?}"),
    }
}
