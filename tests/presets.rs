//! The path rule on every operation of every preset; `tests/e2e_paths.rs` sends the same requests through Envoy.
#![cfg(not(target_family = "wasm"))]
#![allow(
    clippy::expect_used,
    clippy::indexing_slicing,
    clippy::panic,
    reason = "a test that meets something unexpected fails"
)]

#[path = "support/presets.rs"]
mod presets;

use serde_json::json;
use waypost::config::load;
use waypost::exchange::decide::{Body, Client, Verdict, decide};
use waypost::exchange::head::Head;

#[test]
fn every_operation_of_every_preset_goes_where_its_row_says() {
    let mut wrong = Vec::new();
    let mut seen = 0_usize;
    for preset in presets::all() {
        let mut provider = preset.provider;
        if provider.get("auth").is_none() {
            provider["apiTokens"] = json!(["test-token"]);
        }
        let loaded = load(json!({ "provider": provider }).to_string().as_bytes()).expect("a configuration");
        for request in preset.requests {
            seen = seen.saturating_add(1);
            let path = request["path"].as_str().expect("a path");
            let client = Client { authority: None, path: Some(path.as_bytes()), ..Client::default() };
            let head = Head::default();
            let got = match decide(&loaded.config, client, &head, Body::Model("x1")).verdict {
                Verdict::Send(upstream) => json!({ "authority": upstream.authority(), "path": upstream.path() }),
                Verdict::Refuse(error, _) => json!(error.status()),
                other => panic!("{other:?}"),
            };
            let expected = request.get("upstream").unwrap_or_else(|| &request["status"]);
            if got != *expected {
                wrong.push(format!("{} {path}: {got} instead of {expected}", preset.name));
            }
        }
    }
    assert!(seen > 4_000, "{seen}");
    assert!(wrong.is_empty(), "{} of {seen}:\n{}", wrong.len(), wrong.join("\n"));
}
