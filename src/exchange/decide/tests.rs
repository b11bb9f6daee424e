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
    Client { authority: Some(host.as_bytes()), path: Some(path.as_bytes()), route: None, cluster: None }
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
