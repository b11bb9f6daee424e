use super::*;
use crate::config::{Config, load};
use crate::exchange::{Ended, Exchange, HeadersEffect, RequestHeaders, WantsBody};
use crate::operation::Operation;
use serde_json::{Value, json};
#[cfg(target_family = "wasm")]
use wasm_bindgen_test::wasm_bindgen_test as test;

#[test]
fn an_upgrade_is_a_tunnel_only_where_no_body_can_hide_in_it() {
    for (fields, expected) in [
        (&[(":method", "GET"), ("upgrade", "websocket"), ("connection", "Upgrade")][..], Upgrade::Tunnel),
        (&[(":method", "GET"), ("upgrade", "websocket"), ("connection", "keep-alive , UPGRADE")], Upgrade::Tunnel),
        (&[(":method", "CONNECT"), (":protocol", "websocket")], Upgrade::Tunnel),
        (&[(":method", "POST"), ("upgrade", "websocket"), ("connection", "upgrade")], Upgrade::WithBody),
        (&[("upgrade", "websocket"), ("connection", "upgrade")], Upgrade::WithBody),
        (&[(":method", "GET"), ("upgrade", "websocket")], Upgrade::No),
        (&[(":method", "GET"), ("upgrade", "h2c"), ("connection", "upgraded")], Upgrade::No),
        (&[(":method", "POST"), ("connection", "upgrade")], Upgrade::No),
        (&[(":method", "CONNECT")], Upgrade::No),
        (&[(":method", "POST"), (":protocol", "websocket")], Upgrade::No),
    ] {
        let fields = fields.iter().map(|(name, value)| ((*name).to_owned(), value.as_bytes().to_vec())).collect();
        assert_eq!(Upgrade::of(&Head::new(fields)), expected);
    }
}

fn configured(provider: Value) -> Config {
    let mut provider = provider;
    provider["apiTokens"] = json!(["token"]);
    let document = json!({ "provider": provider, "statistics": { "use_default_attributes": true } });
    load(document.to_string().as_bytes()).unwrap().config
}

fn request(method: &str, path: &str) -> RequestHeaders {
    let fields = [
        (":method", method),
        (":authority", "gw"),
        (":path", path),
        ("connection", "Upgrade"),
        ("upgrade", "websocket"),
    ];
    let fields = fields.map(|(name, value)| (name.to_owned(), value.as_bytes().to_vec()));
    RequestHeaders { head: Head::new(fields.to_vec()), saved: None, route: None, cluster: None, end_of_stream: false }
}

/// Every setting that would have a body held, buffered, edited or copied.
fn configurations() -> [Config; 5] {
    let clamp = json!({ "op": "clamp", "key": "max_tokens", "value": { "max": 1 }, "models": ["x"] });
    [
        json!({ "type": "openai", "modelMapping": { "*": "mapped" } }),
        json!({ "type": "openai", "modelMapping": { "*": "mapped" }, "holdHeaders": true }),
        json!({ "type": "openai", "params": [clamp], "firstByteTimeout": 100 }),
        json!({ "type": "litellm", "baseUrl": "http://l", "modelMapping": { "*": "mapped" }, "mergeConsecutiveMessages": true }),
        json!({ "type": "azure", "azureServiceUrl": "https://h?api-version=1", "modelMapping": { "*": "mapped" } }),
    ]
    .map(configured)
}

/// reports F1: a body was assumed by the path alone.
#[test]
fn no_operation_reads_what_passes_in_a_tunnel() {
    let mut sent = 0;
    for config in configurations() {
        for operation in Operation::all() {
            let path = ["/v1", operation.suffix().unwrap_or("/unknown")].concat().replace(['{', '}'], "");
            let mut exchange = Exchange::default();
            match exchange.on_request_headers(&config, request("GET", &path)) {
                HeadersEffect::Send(edits) => {
                    assert!(!edits.remove.iter().any(|name| name == "content-length"), "{path}");
                    sent += 1;
                }
                // The path upstream needs a model, or nobody there speaks this.
                HeadersEffect::Reply(reply) => {
                    assert!(matches!(reply.status, 400 | 501), "{path}: {reply:?}");
                    continue;
                }
                other => panic!("{path}: {other:?}"),
            }
            assert_eq!(exchange.wants_body(), WantsBody::No, "{path}");
            let clock = || 7;
            let fields = [(":status", "101"), ("content-type", "application/json")];
            let head = Head::new(fields.map(|(name, value)| (name.to_owned(), value.as_bytes().to_vec())).to_vec());
            assert_eq!(exchange.on_response_headers(&head, false, &clock).remove, Vec::<&str>::new(), "{path}");
            assert!(!exchange.wants_response(), "{path}");
            exchange.on_unread_response(3, false, &clock);
            // What Envoy says where the upstream closes the connection in good order.
            let details = "upstream_reset_after_response_started{connection_termination}".to_owned();
            let record = exchange.finish(&Ended { now: 9, status: Some(101), details }).unwrap().record;
            assert_eq!((record.status, record.end, record.aborted), (Some(101), Some(9), None), "{path}");
            assert_eq!((record.failure, record.usage_source.reason()), (None, Some("tunnel")), "{path}");
        }
    }
    assert!(sent > 200, "{sent}");
}

#[test]
fn an_upgrade_with_a_body_reaches_nobody() {
    for config in configurations() {
        for method in ["POST", "PUT", "DELETE", "HEAD"] {
            for path in ["/v1/chat/completions", "/v1/responses", "/anything"] {
                let effect = Exchange::default().on_request_headers(&config, request(method, path));
                let HeadersEffect::Reply(reply) = effect else { panic!("{method} {path}: {effect:?}") };
                assert!(reply.status == 400 && reply.body.contains("invalid_upgrade"), "{reply:?}");
            }
        }
    }
}
