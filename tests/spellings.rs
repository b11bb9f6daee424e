//! No spelling of a header or a path slips past a rule: whatever a request is written like, its body is edited or it is
//! refused; and what is harmless is served (audit H4, H5, M2, M3, L1, L6; reports F3, F11).
#![cfg(not(target_family = "wasm"))]
#![allow(
    clippy::arithmetic_side_effects,
    clippy::cast_possible_truncation,
    clippy::indexing_slicing,
    clippy::panic,
    clippy::unwrap_used,
    reason = "a test may panic"
)]

use miniz_oxide::deflate::{compress_to_vec, compress_to_vec_zlib};
use serde_json::{Value, json};
use waypost::config::{Config, load};
use waypost::exchange::head::{Edits, Head};
use waypost::exchange::{BodyEffect, Exchange, HeadersEffect, RequestHeaders, WantsBody};

/// What a request came to.
#[derive(Debug)]
enum Outcome {
    Sent { path: String, kind: Option<String>, encoded: bool, body: Vec<u8> },
    Refused { status: u16, code: String },
}

fn configured(provider: &Value) -> Config {
    let mut provider = provider.clone();
    provider["apiTokens"] = json!(["token"]);
    load(json!({ "provider": provider }).to_string().as_bytes()).unwrap().config
}

/// What a header is once edits have been applied.
fn after(edits: &Edits, fields: &[(&str, &[u8])], name: &str) -> Option<Vec<u8>> {
    let mut values: Vec<Vec<u8>> =
        fields.iter().filter(|(field, _)| *field == name).map(|(_, value)| value.to_vec()).collect();
    if edits.removals().any(|removed| removed == name) {
        values.clear();
    }
    if let Some((_, value)) = edits.settings().find(|(set, _)| *set == name) {
        values = vec![value.as_bytes().to_vec()];
    }
    (!values.is_empty()).then(|| values.join(&b","[..]))
}

/// Sends a request whose body comes in chunks of this size.
fn send(config: &Config, path: &str, fields: &[(&str, &[u8])], body: &[u8], size: usize) -> Outcome {
    let refused = |reply: waypost::error::Reply| {
        let body: Value = serde_json::from_str(&reply.body).unwrap();
        let code = body.pointer("/error/code").and_then(Value::as_str).unwrap_or_default().to_owned();
        Outcome::Refused { status: reply.status, code }
    };
    let mut head = vec![
        (":method".to_owned(), b"POST".to_vec()),
        (":authority".to_owned(), b"gw".to_vec()),
        (":path".to_owned(), path.as_bytes().to_vec()),
    ];
    head.extend(fields.iter().map(|(name, value)| ((*name).to_owned(), value.to_vec())));
    let request =
        RequestHeaders { head: Head::new(head), saved: None, route: None, cluster: None, end_of_stream: false };
    let mut exchange = Exchange::default();
    let edits = match exchange.on_request_headers(config, request) {
        HeadersEffect::Send(edits) => edits,
        HeadersEffect::Reply(reply) => return refused(reply),
        other => panic!("{other:?}"),
    };
    let mut sent = Vec::new();
    let count = body.chunks(size).count();
    for (index, chunk) in body.chunks(size).enumerate() {
        match exchange.wants_body() {
            WantsBody::No => sent.extend_from_slice(chunk),
            WantsBody::Whole => panic!("held"),
            WantsBody::Chunks => match exchange.on_request_chunk(chunk, index + 1 == count) {
                BodyEffect::Pass => sent.extend_from_slice(chunk),
                BodyEffect::Replace(bytes) => sent.extend_from_slice(&bytes),
                BodyEffect::Reply(reply) => return refused(reply),
                BodyEffect::Release { .. } => panic!("released without a hold"),
            },
        }
    }
    let text = |name: &str| after(&edits, fields, name).map(|value| String::from_utf8_lossy(&value).into_owned());
    let encoded = after(&edits, fields, "content-encoding").is_some();
    Outcome::Sent {
        path: text(":path").unwrap_or_else(|| path.to_owned()),
        kind: text("content-type"),
        encoded,
        body: sent,
    }
}

/// The smallest Zstandard frame: one block that is not packed.
fn zstd(text: &[u8]) -> Vec<u8> {
    let block = u32::try_from(text.len()).unwrap() << 3 | 1;
    let mut frame = vec![0x28, 0xb5, 0x2f, 0xfd, 0, 0x68];
    frame.extend(&block.to_le_bytes()[..3]);
    frame.extend(text);
    frame
}

fn gzip(text: &[u8]) -> Vec<u8> {
    [b"\x1f\x8b\x08\0\0\0\0\0\0\xff", &compress_to_vec(text, 6)[..], b"checksum"].concat()
}

/// Types under which clients send JSON, in good faith or not. None stands for no header, several for several headers.
const TYPES: [&[&[u8]]; 21] = [
    &[],
    &[b"application/json"],
    &[b"Application/JSON"],
    &[b"application/json; charset=utf-8"],
    &[b"application/json;charset=\"UTF-8\""],
    &[b"application/json; x=\xe9"],
    &[b"application/json,application/json"],
    &[b"application/json", b"text/plain"],
    &[b", application/json"],
    &[b"application/json, text/plain"],
    &[b"application/vnd.api+json"],
    &[b"text/plain; charset=iso-8859-1"],
    &[b"text/json"],
    &[b"json"],
    &[b"application/x-json"],
    &[b"application/jsonrequest"],
    &[b"application/octet-stream"],
    &[b"application/x-www-form-urlencoded"],
    &[b"multipart/form-data"],
    &[b"multipart/form-data; boundary=b"],
    &[b""],
];

type Pack = fn(&[u8]) -> Vec<u8>;

/// Encodings that can be read: the headers, and how the body is made.
const READABLE: [(&[&[u8]], Pack); 15] = [
    (&[], <[u8]>::to_vec),
    (&[b""], <[u8]>::to_vec),
    (&[b"identity"], <[u8]>::to_vec),
    (&[b"Identity , identity,"], <[u8]>::to_vec),
    (&[b"identity", b"identity"], <[u8]>::to_vec),
    (&[b"gzip"], gzip),
    (&[b"GZIP"], gzip),
    (&[b"x-gzip"], gzip),
    (&[b"identity, gzip"], gzip),
    (&[b"identity", b"gzip"], gzip),
    (&[b"deflate"], |text| compress_to_vec_zlib(text, 6)),
    (&[b"deflate"], |text| compress_to_vec(text, 6)),
    (&[b"zstd"], zstd),
    (&[b"Zstd"], |text| [zstd(&text[..5]), zstd(&text[5..])].concat()),
    (&[b"gzip"], |text| [gzip(&text[..5]), gzip(&text[5..])].concat()),
];

/// Encodings that cannot be read, or are not what they say.
const UNREADABLE: [(&[&[u8]], Pack); 11] = [
    (&[b"br"], <[u8]>::to_vec),
    (&[b"x"], <[u8]>::to_vec),
    (&[b"none"], <[u8]>::to_vec),
    (&[b"utf-8"], <[u8]>::to_vec),
    (&[b"gzip, gzip"], |text| gzip(&gzip(text))),
    (&[b"gzip", b"zstd"], |text| zstd(&gzip(text))),
    (&[b"gzip;q=1"], gzip),
    (&[b"\xff"], <[u8]>::to_vec),
    (&[b"gzip"], <[u8]>::to_vec),
    (&[b"deflate"], <[u8]>::to_vec),
    (&[b"zstd"], gzip),
];

fn providers() -> [(&'static str, Config); 3] {
    [
        ("mapping", configured(&json!({ "type": "openai", "includeUsage": "off", "modelMapping": { "*": "mapped" } }))),
        (
            "clamp",
            configured(&json!({
                "type": "openai", "includeUsage": "off",
                "params": [{ "op": "clamp", "key": "max_tokens", "value": 100 }],
            })),
        ),
        ("metering", configured(&json!({ "type": "openai" }))),
    ]
}

/// The operations of each kind of rule: the rest of the path, and whether that rule is for it.
const OPERATIONS: [(&str, &str); 6] = [
    ("chat/completions", "mapping clamp metering"),
    ("completions", "mapping clamp metering"),
    ("responses", "mapping clamp"),
    ("embeddings", "mapping"),
    ("images/generations", "mapping"),
    ("audio/transcriptions", "mapping"),
];

const BODY: &[u8] = br#"{"stream":true,"max_tokens":99999,"model":"gpt-4o","stream_options":{"include_usage":false,"include_usage":false}}"#;

/// Whether the rule has been applied to a body.
fn is_edited(rule: &str, body: &[u8]) -> bool {
    let Ok(body) = serde_json::from_slice::<Value>(body) else { return false };
    match rule {
        "mapping" => body["model"] == "mapped",
        "clamp" => body["max_tokens"] == 100,
        _ => body["stream_options"]["include_usage"] == true,
    }
}

fn headers<'h>(types: &[&'h [u8]], encodings: &[&'h [u8]]) -> Vec<(&'static str, &'h [u8])> {
    let types = types.iter().map(|value| ("content-type", *value));
    types.chain(encodings.iter().map(|value| ("content-encoding", *value))).collect()
}

#[test]
fn under_any_type_and_encoding_that_can_be_read_a_body_is_edited_and_told_for_what_it_is() {
    for (rule, config) in &providers() {
        for (operation, _) in OPERATIONS.iter().filter(|(_, rules)| rules.contains(rule)) {
            for types in TYPES {
                let form = types.iter().any(|kind| kind.starts_with(b"multipart") || kind.ends_with(b"urlencoded"));
                if form && operation.starts_with("audio") {
                    continue;
                }
                for (index, (encodings, pack)) in READABLE.iter().enumerate() {
                    let (fields, packed) = (headers(types, encodings), pack(BODY));
                    let path = format!("/v1/{operation}");
                    let size = [packed.len(), 7, 1][index % 3];
                    let case = format!("{rule} {path} {fields:?} {index}");
                    match send(config, &path, &fields, &packed, size) {
                        Outcome::Sent { kind, encoded, body, .. } => {
                            assert!(is_edited(rule, &body), "{case}: {}", String::from_utf8_lossy(&body));
                            let kind = kind.unwrap().to_ascii_lowercase().replace(['"', ' '], "");
                            assert!(
                                matches!(kind.as_str(), "application/json" | "application/json;charset=utf-8"),
                                "{case}: {kind}"
                            );
                            assert!(!encoded, "{case}");
                        }
                        Outcome::Refused { status, code } => panic!("{case}: {status} {code}"),
                    }
                }
            }
        }
    }
}

#[test]
fn what_cannot_be_read_is_refused_unless_it_may_pass() {
    for (rule, config) in &providers() {
        let body = br#"{"stream":true,"max_tokens":99999,"model":"gpt-4o"}"#;
        for (operation, rules) in OPERATIONS {
            for types in TYPES {
                for (index, (encodings, pack)) in UNREADABLE.iter().enumerate() {
                    let (fields, packed) = (headers(types, encodings), pack(body));
                    let path = format!("/v1/{operation}");
                    let case = format!("{rule} {path} {fields:?} {index}");
                    match send(config, &path, &fields, &packed, packed.len()) {
                        Outcome::Refused { status: 415, code } if code == "unreadable_body" => {}
                        // The boundary of a form is looked at first.
                        Outcome::Refused { status: 400, .. } if operation.starts_with("audio") => {}
                        Outcome::Refused { status, code } => panic!("{case}: {status} {code}"),
                        Outcome::Sent { body, encoded, .. } => {
                            assert!(!rules.contains(rule), "{case}");
                            assert!(body == packed && encoded, "{case}");
                        }
                    }
                }
            }
        }
    }
    let passing = configured(&json!({
        "type": "openai", "modelMapping": { "*": "mapped" }, "unreadableBodies": "pass",
    }));
    for fields in [headers(&[b"application/json"], &[b"br"]), headers(&[b"text/plain"], &[])] {
        match send(&passing, "/v1/chat/completions", &fields, BODY, 10) {
            Outcome::Sent { body, .. } => assert_eq!(body, BODY),
            Outcome::Refused { code, .. } => panic!("{code}"),
        }
    }
    // What can be read is edited all the same.
    match send(&passing, "/v1/chat/completions", &headers(&[], &[b"gzip"]), &gzip(BODY), 10) {
        Outcome::Sent { body, encoded, .. } => assert!(is_edited("mapping", &body) && !encoded),
        Outcome::Refused { code, .. } => panic!("{code}"),
    }
}

#[test]
fn what_is_no_json_is_unreadable_where_its_type_is_not_that_of_json() {
    let config = &providers()[0].1;
    for (types, body, status) in [
        (&[&b"text/plain"[..]][..], &b"hello"[..], 415),
        (
            &[b"multipart/form-data; boundary=b"],
            b"--b\r\ncontent-disposition: form-data; name=\"model\"\r\n\r\nm\r\n--b--\r\n",
            415,
        ),
        (&[b"application/x-www-form-urlencoded"], b"model=gpt-4o", 415),
        (&[b"text/plain"], b"[1]", 415),
        (&[b"text/plain"], b"{\"model\":\"m\"", 415),
        (&[b"text/plain"], b"{\"model\":\"m\",\"model\":\"n\"}", 400),
        (&[b"application/json"], b"hello", 400),
        (&[], b"\xff\xfe{\0}\0", 400),
    ] {
        let outcome = send(config, "/v1/chat/completions", &headers(types, &[]), body, body.len());
        assert!(matches!(outcome, Outcome::Refused { status: found, .. } if found == status), "{types:?} {outcome:?}");
    }
}

/// Spellings of `/v1/` and an operation that everybody reads alike.
const HARMLESS: [fn(&str) -> String; 8] = [
    |operation| format!("/v1/{operation}"),
    |operation| format!("/{operation}"),
    |operation| format!("/v1/{operation}/"),
    |operation| format!("/v1/{operation}?x=1;y=%2e%2e/"),
    |operation| format!("//v1//{}//", operation.replace('/', "//")),
    |operation| format!("/team-a/v1/{operation}"),
    |operation| format!("/Team%20A/V2x/v1/{operation}"),
    |operation| format!("/v1/{}", operation.replacen('e', "%65", 1)),
];

/// Spellings that some servers read as the operation and others do not.
const DOUBTFUL: [fn(&str) -> String; 24] = [
    |operation| format!("/V1/{operation}"),
    |operation| format!("/v1/{}", operation.to_uppercase()),
    |operation| format!("/v1/{operation};x=1"),
    |operation| format!("/v1/{operation};"),
    |operation| format!("/v1;a/{operation}"),
    |operation| format!("/v1/{operation}%20"),
    |operation| format!("/v1/{operation}%09"),
    |operation| format!("/v1/{operation}%c2%a0"),
    |operation| format!("/v1/%20{operation}"),
    |operation| format!("/v1/{operation}%2f"),
    |operation| format!("/v1%2F{operation}"),
    |operation| format!("/v1\\{operation}"),
    |operation| format!("/v1%5c{operation}"),
    |operation| format!("/v1/{operation}%3fx"),
    |operation| format!("/v1/{operation}%23x"),
    |operation| format!("/v1/{operation}%00"),
    |operation| format!("/v1/{operation}%00.html"),
    |operation| format!("/v1/{}", operation.replacen('e', "%2565", 1)),
    |operation| format!("/v1/{}", operation.replacen('e', "e%0a", 1)),
    |operation| format!("/v1/{operation}/."),
    |operation| format!("/v1/{operation}/x/.."),
    |operation| format!("/v1/{operation}/x/%2e%2e"),
    |operation| format!("/v1/{operation}/x/..;/"),
    |operation| format!("/v1%c0%af{operation}"),
];

#[test]
fn whatever_spells_an_operation_is_served_as_that_or_refused() {
    for (rule, config) in &providers() {
        for (operation, _) in OPERATIONS.iter().filter(|(_, rules)| rules.contains(rule)) {
            for types in [&[&b"application/json"[..]][..], &[]] {
                for spell in HARMLESS {
                    let path = spell(operation);
                    match send(config, &path, &headers(types, &[]), BODY, 50) {
                        Outcome::Sent { path: upstream, body, .. } => {
                            assert!(is_edited(rule, &body), "{rule} {path}");
                            let upstream = upstream.split('?').next().unwrap();
                            assert_eq!(upstream, format!("/v1/{operation}"), "{path}");
                        }
                        Outcome::Refused { status, code } => panic!("{rule} {path}: {status} {code}"),
                    }
                }
                for spell in DOUBTFUL {
                    let path = spell(operation);
                    match send(config, &path, &headers(types, &[]), BODY, 50) {
                        Outcome::Sent { body, .. } => assert!(is_edited(rule, &body), "{rule} {path}"),
                        Outcome::Refused { status, code } => {
                            assert_eq!((status, code.as_str()), (400, "invalid_path"), "{rule} {path}");
                        }
                    }
                }
            }
        }
    }
}

#[test]
fn a_preserved_path_is_spelled_as_its_operation_too() {
    let config = configured(&json!({
        "type": "openai", "pathMode": "preserve", "baseUrl": "https://h", "modelMapping": { "*": "mapped" },
    }));
    for spell in HARMLESS.iter().chain(&DOUBTFUL) {
        let path = spell("chat/completions");
        match send(&config, &path, &headers(&[], &[]), BODY, 50) {
            Outcome::Sent { body, .. } => assert!(is_edited("mapping", &body), "{path}"),
            Outcome::Refused { status, code } => assert_eq!((status, code.as_str()), (400, "invalid_path"), "{path}"),
        }
    }
}

#[test]
fn what_everyday_clients_send_is_served() {
    for (_, config) in &providers() {
        for (path, fields) in [
            // curl -d without a type.
            ("/v1/chat/completions", headers(&[b"application/x-www-form-urlencoded"], &[])),
            // Open WebUI.
            ("/api/chat/completions", headers(&[b"application/json"], &[])),
            ("/team-a/embeddings", headers(&[b"application/json"], &[])),
            ("/v1/chat//completions", headers(&[b"application/json"], &[])),
            ("/v1/chat/completions", headers(&[b"APPLICATION/JSON"], &[])),
            ("/v1/chat/completions", headers(&[b"application/merge-patch+json"], &[])),
            ("/v1/files/File-Abc%2Fd", headers(&[b"application/json"], &[])),
            ("/v1/Vendor/Own%20Thing;a=b", headers(&[b"text/plain"], &[b"br"])),
            ("/v1/models/meta-llama%2FLlama-3", headers(&[], &[])),
        ] {
            let outcome = send(config, path, &fields, BODY, 50);
            assert!(matches!(outcome, Outcome::Sent { .. }), "{path} {fields:?} {outcome:?}");
        }
    }
}

#[test]
fn a_stream_is_counted_or_refused() {
    let config = &providers()[2].1;
    for (body, counted) in [
        (r#"{"stream":true}"#, Some(true)),
        (r#"{"stream":true,"stream_options":null}"#, Some(true)),
        (r#"{"stream":true,"stream_options":5}"#, Some(true)),
        (r#"{"stream":true,"stream_options":[]}"#, Some(true)),
        (r#"{"stream_options":"x","stream":true}"#, Some(true)),
        (r#"{"stream":true,"stream_options":{"include_usage":true,"include_usage":false}}"#, Some(true)),
        (r#"{"stream":true,"stream_options":{"include_usage":true,"Include_Usage":false}}"#, Some(true)),
        (r#"{"stream":1}"#, None),
        (r#"{"stream":"true"}"#, None),
        (r#"{"stream":[true]}"#, None),
        (r#"{"Stream":true}"#, None),
        (r#"{"stream":true,"Stream_Options":{"include_usage":false}}"#, None),
        (r#"{"stream":null}"#, Some(false)),
        (r#"{"stream":false}"#, Some(false)),
        ("{}", Some(false)),
    ] {
        for size in [1, 5, body.len()] {
            match (send(config, "/v1/chat/completions", &headers(&[], &[]), body.as_bytes(), size), counted) {
                (Outcome::Sent { body: sent, .. }, Some(counted)) => {
                    assert_eq!(is_edited("metering", &sent), counted, "{body}");
                    // Nothing is left of what could not be merged.
                    assert_eq!(
                        sent.windows(7).filter(|part| part == b"include").count(),
                        usize::from(counted),
                        "{body}"
                    );
                }
                (Outcome::Refused { status: 400, code }, None) if code == "invalid_body" => {}
                (outcome, _) => panic!("{body} {outcome:?}"),
            }
        }
    }
}

#[test]
fn a_key_in_another_case_is_refused_where_a_rule_is_for_it() {
    let [(_, mapping), (_, clamp), _] = &providers();
    for (config, body, refused) in [
        (mapping, r#"{"model":"a","Model":"b"}"#, true),
        (mapping, r#"{"MODEL":"b"}"#, true),
        (mapping, r#"{"model":"a","\u004dodel":"b"}"#, true),
        (mapping, r#"{"model":"a","Messages":[]}"#, true),
        (mapping, r#"{"model":"a","Input":[]}"#, true),
        (mapping, r#"{"model":"a","MAX_TOKENS":5}"#, false),
        (mapping, r#"{"model":"a","metadata":{"Model":"b"},"Temperature":1}"#, false),
        (clamp, r#"{"model":"a","MAX_TOKENS":99999,"max_tokens":5}"#, true),
        (clamp, r#"{"model":"a","max_to\u212aens":99999}"#, true),
    ] {
        let outcome = send(config, "/v1/chat/completions", &headers(&[], &[]), body.as_bytes(), 4);
        match outcome {
            Outcome::Refused { status: 400, code } if code == "invalid_body" => assert!(refused, "{body}"),
            Outcome::Sent { .. } => assert!(!refused, "{body}"),
            Outcome::Refused { status, code } => panic!("{body} {status} {code}"),
        }
    }
}

#[test]
fn a_packed_body_is_bounded() {
    let config = &providers()[0].1;
    let of_size = |size: usize| format!(r#"{{"model":"m","x":"{}"}}"#, " ".repeat(size));
    // A few hundred to one.
    match send(config, "/v1/embeddings", &headers(&[], &[b"gzip"]), &gzip(of_size(4_000_000).as_bytes()), 1000) {
        Outcome::Refused { status: 413, code } => assert_eq!(code, "unpacked_body_too_large"),
        outcome => panic!("{outcome:?}"),
    }
    let small = configured(&json!({ "type": "openai", "modelMapping": { "*": "m" }, "maxUnpackedBytes": 50_000 }));
    for (size, refused) in [(40_000, false), (60_000, true)] {
        let outcome = send(&small, "/v1/embeddings", &headers(&[], &[b"zstd"]), &zstd(of_size(size).as_bytes()), 9000);
        assert_eq!(matches!(outcome, Outcome::Refused { status: 413, .. }), refused, "{size}");
    }
    // Ten megabytes that cannot be packed well come through, a piece at a time.
    let numbers: String =
        (0..1_500_000_u64).map(|n| format!("{},", n.wrapping_mul(0x9e37_79b9_7f4a_7c15) >> 44)).collect();
    let long = format!(r#"{{"x":[{numbers}0],"model":"a"}}"#);
    match send(config, "/v1/embeddings", &headers(&[], &[b"gzip"]), &gzip(long.as_bytes()), 64 * 1024) {
        Outcome::Sent { body, .. } => {
            assert!(body.starts_with(long.get(..1000).unwrap().as_bytes()) && body.ends_with(br#","model":"mapped"}"#));
        }
        Outcome::Refused { status, code } => panic!("{status} {code}"),
    }
}
