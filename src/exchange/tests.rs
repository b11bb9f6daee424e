use super::decide::{ORIGINAL_HOST, ORIGINAL_PATH};
use super::*;
use crate::config::load;
use serde_json::{Value, json};
#[cfg(target_family = "wasm")]
use wasm_bindgen_test::wasm_bindgen_test as test;

fn configured(provider: Value) -> Config {
    let mut provider = provider;
    provider["apiTokens"] = json!(["token"]);
    load(json!({ "provider": provider }).to_string().as_bytes()).unwrap().config
}

fn request(path: &str, fields: &[(&str, &str)], end_of_stream: bool) -> RequestHeaders {
    let mut head = vec![(":path".to_owned(), path.as_bytes().to_vec()), (":authority".to_owned(), b"gw".to_vec())];
    head.extend(fields.iter().map(|(name, value)| ((*name).to_owned(), value.as_bytes().to_vec())));
    RequestHeaders { head: Head::new(head), saved: None, route: None, cluster: None, end_of_stream }
}

/// What a request came to: the last header edits and the body upstream, or the status of a local reply.
#[derive(Debug, PartialEq, Eq)]
enum Outcome {
    Sent { edits: Edits, body: Vec<u8> },
    Replied(u16),
}

/// Sends a request whose body comes in these chunks, the end with the last one or alone.
fn run(config: &Config, path: &str, fields: &[(&str, &str)], chunks: &[&[u8]], end_alone: bool) -> Outcome {
    let mut exchange = Exchange::default();
    let mut sent = Edits::default();
    match exchange.on_request_headers(config, request(path, fields, false)) {
        HeadersEffect::Send(edits) => sent = edits,
        HeadersEffect::Hold { .. } => {}
        HeadersEffect::Reply(reply) => return Outcome::Replied(reply.status),
        HeadersEffect::Ignore => panic!("ignored"),
    }
    let mut upstream = Vec::new();
    let mut parts: Vec<(&[u8], bool)> = chunks.iter().map(|chunk| (*chunk, false)).collect();
    if end_alone {
        parts.push((b"", true));
    } else if let Some(last) = parts.last_mut() {
        last.1 = true;
    }
    for (chunk, end) in parts {
        let effect = match exchange.wants_body() {
            WantsBody::No => BodyEffect::Pass,
            WantsBody::Chunks => exchange.on_request_chunk(chunk, end),
            WantsBody::Whole => {
                match exchange.on_part_of_whole(config, chunk, if end { PartEnd::Data } else { PartEnd::Open }) {
                    PartEffect::Withhold(_) => continue,
                    PartEffect::Done(BodyEffect::Release { edits, body }) => {
                        sent.set.extend(edits.set);
                        sent.remove.extend(edits.remove);
                        body.map_or(BodyEffect::Pass, BodyEffect::Replace)
                    }
                    PartEffect::Done(other) => other,
                }
            }
        };
        match effect {
            BodyEffect::Pass => upstream.extend_from_slice(chunk),
            BodyEffect::Replace(bytes) => upstream.extend_from_slice(&bytes),
            BodyEffect::Reply(reply) => return Outcome::Replied(reply.status),
            BodyEffect::Release { .. } => panic!("released without a hold"),
        }
    }
    Outcome::Sent { edits: sent, body: upstream }
}

/// The body upstream, the same for the body as a whole, in two chunks cut anywhere, and byte by byte.
fn body_upstream(provider: Value, path: &str, body: &str) -> String {
    let config = configured(provider);
    let bytes = body.as_bytes();
    let length = bytes.len().to_string();
    let fields = [("content-type", "application/json"), ("content-length", length.as_str())];
    let Outcome::Sent { body: whole, .. } = run(&config, path, &fields, &[bytes], false) else { panic!("{body}") };
    let single: Vec<&[u8]> = bytes.chunks(1).collect();
    let mut plans: Vec<Vec<&[u8]>> = (0..=bytes.len()).map(|cut| vec![&bytes[..cut], &bytes[cut..]]).collect();
    plans.push(single);
    for plan in plans {
        for end_alone in [false, true] {
            match run(&config, path, &fields, &plan, end_alone) {
                Outcome::Sent { body, .. } => assert_eq!(body, whole, "{plan:?}"),
                Outcome::Replied(status) => panic!("{status} for {plan:?}"),
            }
        }
    }
    String::from_utf8(whole).unwrap()
}

const CHAT: &str = "/v1/chat/completions";

#[test]
fn maps_the_model_wherever_it_stands_and_keeps_every_other_byte() {
    let provider = json!({ "type": "openai", "includeUsage": "off", "modelMapping": { "gpt-4*": "prod \"4\"" } });
    for (body, expected) in [
        (r#"{"model":"gpt-4o","n":1.0}"#, r#"{"model":"prod \"4\"","n":1.0}"#),
        (
            "{ \"x\" : 12345678901234567890,\n\t\"mod\\u0065l\" : \"gpt-4\" ,\"e\":1e-6 }",
            "{ \"x\" : 12345678901234567890,\n\t\"mod\\u0065l\" : \"prod \\\"4\\\"\" ,\"e\":1e-6 }",
        ),
        (
            r#"{"messages":[{"model":"gpt-4"}],"x":"\ud83d\ude00","model":"gpt-4"}"#,
            r#"{"messages":[{"model":"gpt-4"}],"x":"\ud83d\ude00","model":"prod \"4\""}"#,
        ),
        (r#"{"model":"other"}"#, r#"{"model":"other"}"#),
        (r#"{"a":1,"a":2}"#, r#"{"a":1,"a":2}"#),
    ] {
        assert_eq!(body_upstream(provider.clone(), CHAT, body), expected);
    }
}

#[test]
fn a_request_without_model_gets_the_target_of_the_star() {
    let provider = json!({ "type": "openai", "modelMapping": { "*": "w" } });
    assert_eq!(body_upstream(provider, "/v1/embeddings", r#"{"input":"x"}"#), r#"{"input":"x","model":"w"}"#);
    let provider = json!({ "type": "openai", "modelMapping": { "a": "b" } });
    assert_eq!(body_upstream(provider, "/v1/embeddings", r#"{"input":"x"}"#), r#"{"input":"x"}"#);
}

#[test]
fn streams_are_asked_for_their_usage_beside_what_the_client_set() {
    let auto = json!({ "type": "openai" });
    for (body, expected) in [
        (r#"{"stream":true}"#, r#"{"stream":true,"stream_options":{"include_usage":true}}"#),
        (
            r#"{"stream_options":{"x":1},"stream":true}"#,
            r#"{"stream_options":{"x":1,"include_usage":true},"stream":true}"#,
        ),
        (
            r#"{"stream":true,"stream_options":{"include_usage":false,"x":1}}"#,
            r#"{"stream":true,"stream_options":{"include_usage":true,"x":1}}"#,
        ),
        (r#"{"stream":true,"stream_options":null}"#, r#"{"stream":true,"stream_options":{"include_usage":true}}"#),
        (r#"{"stream_options":null,"stream":true}"#, r#"{"stream":true,"stream_options":{"include_usage":true}}"#),
        (r#"{"n":1,"stream_options":null,"stream":false}"#, r#"{"n":1,"stream":false}"#),
        (r#"{"stream":false,"stream_options":null}"#, r#"{"stream":false,"stream_options":null}"#),
        (r#"{"stream":false,"stream_options":{}}"#, r#"{"stream":false,"stream_options":{}}"#),
        (r#"{"stream":false}"#, r#"{"stream":false}"#),
        ("{}", "{}"),
    ] {
        assert_eq!(body_upstream(auto.clone(), CHAT, body), expected);
    }
    let stream = r#"{"stream":true}"#;
    for (provider, path) in [
        (json!({ "type": "openai", "includeUsage": "off" }), CHAT),
        (json!({ "type": "openai", "disableStreamUsageStats": true }), CHAT),
        (json!({ "type": "mistral" }), CHAT),
        (json!({ "type": "openai", "protocol": "original" }), CHAT),
        (json!({ "type": "openai" }), "/v1/responses"),
    ] {
        assert_eq!(body_upstream(provider.clone(), path, stream), stream, "{provider} {path}");
    }
    let forced = body_upstream(json!({ "type": "mistral", "includeUsage": "force" }), CHAT, stream);
    assert_eq!(forced, r#"{"stream":true,"stream_options":{"include_usage":true}}"#);
}

#[test]
fn parameters_are_spliced_in_order() {
    let provider = json!({ "type": "openai", "includeUsage": "off", "params": [
        { "op": "default", "key": "temperature", "value": 0.20 },
        { "op": "clamp", "key": "max_tokens", "value": 100 },
        { "op": "rename", "key": "max_tokens", "value": "max_completion_tokens" },
        { "op": "remove", "key": "logit_bias" },
        { "op": "set", "key": "reasoning.effort", "value": "low" },
    ] });
    for (body, expected) in [
        (
            r#"{"logit_bias":{"1":2},"max_tokens":4096,"model":"m"}"#,
            r#"{"max_completion_tokens":100,"model":"m","temperature":0.2,"reasoning":{"effort":"low"}}"#,
        ),
        (
            r#"{"temperature":1,"reasoning":{"summary":"auto"}}"#,
            r#"{"temperature":1,"reasoning":{"summary":"auto","effort":"low"}}"#,
        ),
        (
            r#"{"max_completion_tokens":7,"max_tokens":9}"#,
            r#"{"max_completion_tokens":7,"temperature":0.2,"reasoning":{"effort":"low"}}"#,
        ),
    ] {
        assert_eq!(body_upstream(provider.clone(), CHAT, body), expected);
    }
    let embeddings = r#"{"max_tokens":4096}"#;
    assert_eq!(body_upstream(provider, "/v1/embeddings", embeddings), embeddings);
}

#[test]
fn parameters_for_some_models_see_the_upstream_model_wherever_it_stands() {
    let provider = json!({ "type": "openai", "includeUsage": "off", "modelMapping": { "fast": "gpt-5-mini" },
        "params": [{ "op": "remove", "key": "temperature", "models": ["gpt-5*"] }] });
    assert_eq!(
        body_upstream(provider.clone(), CHAT, r#"{"temperature":1,"model":"fast"}"#),
        r#"{"model":"gpt-5-mini"}"#
    );
    assert_eq!(
        body_upstream(provider, CHAT, r#"{"temperature":1,"model":"gpt-4o"}"#),
        r#"{"temperature":1,"model":"gpt-4o"}"#
    );
}

#[test]
fn higress_custom_settings_become_parameters() {
    let provider = json!({ "type": "openai", "includeUsage": "off", "customSettings": [
        { "name": "max_tokens", "value": 10 },
        { "name": "temperature", "value": 0.5, "overwrite": false },
        { "name": "x.y", "value": [1], "mode": "raw" },
    ] });
    assert_eq!(
        body_upstream(provider, CHAT, r#"{"max_tokens":1,"temperature":0}"#),
        r#"{"max_tokens":10,"temperature":0,"x":{"y":[1]}}"#
    );
}

#[test]
fn messages_are_merged_and_cleaned_where_configured() {
    let provider = json!({ "type": "openai", "includeUsage": "off", "mergeConsecutiveMessages": true,
        "contextCleanupCommands": ["/new"], "modelMapping": { "a": "b" } });
    let body = r#"{"messages":[{"role":"user","content":"x"},{"role":"user","content":"/new"},{"role":"user","content":"y"},{"role":"user","content":"z"}],"model":"a"}"#;
    let expected = r#"{"messages":[{"role":"user","content":"y\n\nz"}],"model":"b"}"#;
    assert_eq!(body_upstream(provider.clone(), CHAT, body), expected);
    let other = r#"{"messages":[{"role":"user","content":"x"}], "model":"c"}"#;
    assert_eq!(body_upstream(provider, CHAT, other), other);
}

#[test]
fn a_length_is_kept_only_where_the_body_cannot_change() {
    let fields = [("content-type", "application/json"), ("content-length", "12")];
    let body: &[u8] = br#"{"input":"x"}"#;
    for (provider, path, removed) in [
        (json!({ "type": "openai" }), "/v1/embeddings", false),
        (json!({ "type": "openai" }), CHAT, true),
        (json!({ "type": "openai", "includeUsage": "off" }), CHAT, false),
        (json!({ "type": "openai", "protocol": "original", "modelMapping": { "a": "b" } }), CHAT, false),
        (json!({ "type": "openai", "modelMapping": { "a": "b" } }), "/v1/embeddings", true),
        (json!({ "type": "openai", "modelMapping": { "a": "b" } }), "/v1/files", false),
    ] {
        let Outcome::Sent { edits, .. } = run(&configured(provider.clone()), path, &fields, &[body], false) else {
            panic!("{provider}")
        };
        assert_eq!(edits.remove.contains(&"content-length".into()), removed, "{provider} {path}");
    }
}

#[test]
fn held_headers_get_the_exact_length() {
    let body: &[u8] = br#"{"model":"a","stream":true}"#;
    let fields = [("content-type", "application/json"), ("content-length", "26")];
    let provider =
        json!({ "type": "openai", "holdHeaders": true, "modelMapping": { "a": "longer" }, "firstByteTimeout": 700 });
    let Outcome::Sent { edits, body } = run(&configured(provider), CHAT, &fields, &[body], true) else { panic!() };
    assert_eq!(edits.value("content-length"), Some(body.len().to_string().as_str()));
    assert_eq!(edits.value("x-envoy-upstream-rq-first-byte-timeout-ms"), Some("700"));
    assert!(!edits.remove.contains(&"content-length".into()));
}

#[test]
fn what_cannot_be_held_or_read_is_refused() {
    let azure = json!({ "type": "azure", "azureServiceUrl": "https://r.openai.azure.com?api-version=1" });
    let mapping = json!({ "type": "openai", "modelMapping": { "a": "b" } });
    let json_type = ("content-type", "application/json");
    let long = ("content-length", "33554433");
    for (provider, fields, body, status) in [
        (&azure, vec![json_type, long], "{}", 413),
        (&azure, vec![("content-type", "text/plain")], "{}", 400),
        (&azure, vec![json_type, ("content-encoding", "gzip")], "{}", 415),
        (&azure, vec![json_type, ("content-encoding", "br")], "{}", 415),
        (&azure, vec![("content-type", "text/plain")], "hello", 415),
        (&azure, vec![json_type], "{}", 400),
        (&azure, vec![json_type], "", 400),
        (&azure, vec![json_type], r#"{"model":"a/../b"}"#, 400),
        (&mapping, vec![json_type], r#"{"model":"a","mod\u0065l":"b"}"#, 400),
        (&mapping, vec![json_type], r#"{"model":1}"#, 400),
        (&mapping, vec![json_type], r#"{"model":"a"} x"#, 400),
        (&mapping, vec![json_type], r#"{"model":"a""#, 400),
        (&mapping, vec![json_type], "[]", 400),
        (&mapping, vec![json_type], "\u{feff}{}", 400),
    ] {
        let outcome = run(&configured(provider.clone()), CHAT, &fields, &[body.as_bytes()], false);
        assert_eq!(outcome, Outcome::Replied(status), "{fields:?} {body}");
    }
}

#[test]
fn where_nothing_is_edited_a_body_passes_as_it_is() {
    let provider = json!({ "type": "openai", "includeUsage": "off" });
    let body: &[u8] = br#"{"model":"a"}"#;
    for field in [("content-type", "text/plain"), ("content-encoding", "gzip"), ("content-type", "multipart/form-data")]
    {
        let Outcome::Sent { body: sent, edits } = run(&configured(provider.clone()), CHAT, &[field], &[body], false)
        else {
            panic!("{field:?}")
        };
        assert_eq!(sent, body, "{field:?}");
        assert!(edits.value("content-type").is_none() && !edits.remove.contains(&field.0.into()), "{field:?}");
    }
}

#[test]
fn a_later_attempt_of_the_same_request_is_decided_alike() {
    let config = configured(
        json!({ "type": "openai", "baseUrl": "https://h/base", "endpoints": { "chat_completions": "/x?a=1" } }),
    );
    let sent = |request: RequestHeaders| {
        let HeadersEffect::Send(edits) = Exchange::default().on_request_headers(&config, request) else { panic!() };
        edits.settings().map(|(name, value)| (name.to_owned(), value.to_owned())).collect::<Vec<_>>()
    };
    let once = sent(request(CHAT, &[("authorization", "Bearer client")], true));
    // Nothing is set that is there already.
    let names: Vec<&str> = once.iter().map(|(name, _)| name.as_str()).collect();
    assert_eq!(names, [":path", ORIGINAL_PATH, ":authority", ORIGINAL_HOST, "authorization"]);
    let again = |missing: &str| {
        let fields: Vec<_> = once.iter().filter(|(name, _)| name != missing && !name.starts_with(':')).collect();
        let fields: Vec<(&str, &str)> = fields.iter().map(|(name, value)| (name.as_str(), value.as_str())).collect();
        let mut again = request("/x?a=1", &fields, true);
        again.saved = Saved::from_bytes(&Saved::stored(b"gw", b"", CHAT.as_bytes()));
        sent(again)
    };
    let authority = (":authority".to_owned(), "h".to_owned());
    assert_eq!(again(""), core::slice::from_ref(&authority));
    assert_eq!(again("authorization"), [authority, ("authorization".to_owned(), "Bearer token".to_owned())]);
}

#[test]
fn the_clients_host_and_path_are_kept_where_the_edits_hide_them() {
    let saved = |provider: Value, authority: &str| {
        let mut request = request(CHAT, &[], true);
        request.head = Head::new(vec![
            (":authority".into(), authority.into()),
            (":path".into(), CHAT.into()),
            (ORIGINAL_PATH.into(), "/spoofed".into()),
        ]);
        let HeadersEffect::Send(edits) = Exchange::default().on_request_headers(&configured(provider), request) else {
            panic!()
        };
        edits.saved
    };
    assert_eq!(saved(json!({ "type": "openai", "baseUrl": "https://h/v1" }), "h"), None);
    let stored = Some(Saved::stored(b"gw", b"", CHAT.as_bytes()));
    assert_eq!(saved(json!({ "type": "openai", "baseUrl": "https://h/v1" }), "gw"), stored);
    assert_eq!(saved(json!({ "type": "generic", "baseUrl": "https://gw/v2" }), "gw"), stored);
}

#[test]
fn route_and_cluster_are_asked_for_where_they_are_recorded() {
    let asked = |config: Value| {
        let config = load(config.to_string().as_bytes()).unwrap().config;
        let mut exchange = Exchange::default();
        let _ = exchange.on_request_headers(&config, request(CHAT, &[], true));
        let asked = core::cell::RefCell::new(Vec::new());
        let name = |name: &'static str| {
            asked.borrow_mut().push(name);
            Some(name.to_owned())
        };
        exchange.name_place(&config, || name("route"), || name("cluster"));
        let record = exchange.finish(&Ended::default()).map(|outcome| outcome.record);
        let recorded = record.map(|record| (record.route, record.cluster)).unwrap_or_default();
        assert_eq!(recorded.0.is_empty() && recorded.1.is_empty(), asked.borrow().is_empty());
        asked.into_inner()
    };
    let provider = json!({ "type": "openai", "apiTokens": ["t"] });
    assert_eq!(asked(json!({ "provider": provider })), ["route"]);
    assert_eq!(
        asked(json!({ "provider": provider, "statistics": { "metricStyle": "higress" } })),
        ["route", "cluster"]
    );
    assert!(asked(json!({ "provider": provider, "statistics": { "enable_path_suffixes": ["/none"] } })).is_empty());
    let rule = json!({ "_match_route_": ["r"], "provider": provider });
    assert!(asked(json!({ "provider": provider, "_rules_": [rule] })).is_empty());
}

const FORM: &str = "--b\r\nContent-Disposition: form-data; name=\"file\"; filename=\"a.png\"\r\n\r\n\u{1}--\r\n\r\n--b\r\nContent-Disposition: form-data; name=\"model\"\r\n\r\nMODEL\r\n--b--\r\n";

#[test]
fn the_model_of_a_form_is_mapped_beside_its_files() {
    let provider = json!({ "type": "openai", "modelMapping": { "a": "longer" } });
    let (body, expected) = (FORM.replace("MODEL", "a"), FORM.replace("MODEL", "longer"));
    for path in ["/v1/images/edits", "/v1/images/variations", "/v1/audio/transcriptions", "/v1/audio/translations"] {
        for size in [1, 7, 64, body.len()] {
            let chunks: Vec<&[u8]> = body.as_bytes().chunks(size).collect();
            let fields = [("content-type", "multipart/form-data; boundary=b"), ("content-length", "1")];
            let config = configured(provider.clone());
            let Outcome::Sent { edits, body } = run(&config, path, &fields, &chunks, true) else {
                panic!("{path} {size}")
            };
            assert_eq!(String::from_utf8_lossy(&body), expected, "{path} {size}");
            assert!(edits.remove.iter().any(|name| name == "content-length"));
        }
    }
    for (kind, status) in [("multipart/form-data", 400), ("multipart/form-data; boundary=other", 400)] {
        let outcome = run(
            &configured(provider.clone()),
            "/v1/images/edits",
            &[("content-type", kind)],
            &[body.as_bytes()],
            false,
        );
        assert_eq!(outcome, Outcome::Replied(status), "{kind}");
    }
}

#[test]
fn the_model_of_a_form_reaches_the_path_it_belongs_to() {
    let azure = json!({ "type": "azure", "azureServiceUrl": "https://r.openai.azure.com?api-version=1", "modelMapping": { "a": "d1" } });
    let body = FORM.replace("MODEL", "a");
    let fields = [("content-type", "multipart/form-data; boundary=b"), ("content-length", "1")];
    let outcome = run(&configured(azure), "/v1/audio/transcriptions", &fields, &[body.as_bytes()], false);
    let Outcome::Sent { edits, body } = outcome else { panic!("{outcome:?}") };
    assert_eq!(edits.value(":path"), Some("/openai/deployments/d1/audio/transcriptions?api-version=1"));
    assert_eq!(edits.value("content-length"), Some(body.len().to_string().as_str()));
    assert!(String::from_utf8_lossy(&body).contains("\r\n\r\nd1\r\n"));
}

/// audit C2: wherever a request names its model, a name that is too long to be mapped is refused, and only where names
/// are mapped.
#[test]
fn a_model_name_too_long_to_be_mapped_is_refused_wherever_it_stands() {
    use crate::model::MAX_NAME;
    let json = &[("content-type", "application/json")][..];
    let form = &[("content-type", "multipart/form-data; boundary=b")][..];
    let mapped = json!({ "type": "openai", "modelMapping": { "~gpt-4(.*-turbo)?": "x" } });
    let azure = json!({ "type": "azure", "azureServiceUrl": "https://a.openai.azure.com/?api-version=1",
        "modelMapping": { "~gpt-4(.*-turbo)?": "x" } });
    let gemini = json!({ "type": "gemini", "modelMapping": { "~gpt-4(.*-turbo)?": "x" } });
    let bedrock = json!({ "type": "bedrock", "awsRegion": "us-east-1", "modelMapping": { "~gpt-4(.*-turbo)?": "x" } });
    let first = json!({ "type": "openai", "modelMapping": { "~gpt-4(.*-turbo)?": "x" },
        "params": [{ "op": "set", "key": "seed", "value": 1, "models": ["x"] }] });
    let plain = |mut provider: Value| {
        provider.as_object_mut().unwrap().remove("modelMapping");
        provider
    };
    for (provider, path, fields, before, after) in [
        (&mapped, "/v1/chat/completions", json, r#"{"model":""#, r#""}"#),
        (&mapped, "/v1/embeddings", json, r#"{"input":"x","model":""#, r#""}"#),
        (&first, "/v1/chat/completions", json, r#"{"model":""#, r#""}"#),
        (&azure, "/v1/chat/completions", json, r#"{"model":""#, r#""}"#),
        (
            &mapped,
            "/v1/audio/transcriptions",
            form,
            "--b\r\nContent-Disposition: form-data; name=\"model\"\r\n\r\n",
            "\r\n--b--\r\n",
        ),
        (&gemini, "/v1beta/models/{}:generateContent", json, "{}", ""),
        (&bedrock, "/model/{}/converse", json, "{}", ""),
    ] {
        for (length, refused) in [(MAX_NAME, false), (MAX_NAME + 1, true), (8 * 1024, true)] {
            // Each repetition is a match of its own that looks to the end of the name.
            let name: String = "gpt-4".chars().cycle().take(length).collect();
            let in_path = path.replace("{}", &name);
            let name = if path.contains("{}") { "" } else { &name };
            let body = format!("{before}{name}{after}");
            let sent = |provider: Value| run(&configured(provider), &in_path, fields, &[body.as_bytes()], false);
            let outcome = sent(provider.clone());
            assert_eq!(outcome == Outcome::Replied(400), refused, "{path} {length}: {outcome:?}");
            let outcome = sent(plain(provider.clone()));
            assert!(matches!(outcome, Outcome::Sent { .. }), "{path} {length}: {outcome:?}");
        }
    }
}

#[test]
fn the_developer_role_becomes_system_where_the_vendor_rejects_it() {
    let body = r#"{"messages":[{"role":"developer","content":"be {\"role\":\"developer\"}"},{"content":[{"role":"developer"}],"role" : "developer"},{"role":"user"}],"role":"developer","n":1.0}"#;
    let expected = r#"{"messages":[{"role":"system","content":"be {\"role\":\"developer\"}"},{"content":[{"role":"developer"}],"role" : "system"},{"role":"user"}],"role":"developer","n":1.0}"#;
    assert_eq!(body_upstream(json!({ "type": "deepseek", "includeUsage": "off" }), CHAT, body), expected);
    assert_eq!(body_upstream(json!({ "type": "openai", "includeUsage": "off" }), CHAT, body), body);
    assert_eq!(body_upstream(json!({ "type": "deepseek", "protocol": "original" }), CHAT, body), body);
}

#[test]
fn a_member_that_only_goes_or_changes_its_name_may_have_any_size() {
    let provider = json!({ "type": "openai", "includeUsage": "off", "params": [
        { "op": "remove", "key": "tools" }, { "op": "rename", "key": "functions", "value": "tool_list" } ] });
    let config = configured(provider);
    let large = "x".repeat(200_000);
    let body = format!(r#"{{"a":1,"tools":["{large}"],"functions":["{large}"],"b":2}}"#);
    let chunks: Vec<&[u8]> = body.as_bytes().chunks(4096).collect();
    let Outcome::Sent { body: sent, .. } = run(&config, CHAT, &[], &chunks, false) else { panic!() };
    assert_eq!(String::from_utf8(sent).unwrap(), format!(r#"{{"a":1,"tool_list":["{large}"],"b":2}}"#));
}

// -- Records ----------------------------------------------------------------------------------------------------------

#[test]
fn of_a_body_that_is_only_recorded_256_kib_are_wanted_however_it_comes() {
    let config = configured(json!({"type": "openai", "includeUsage": "off"}));
    for (length, rounds) in [(1_000, Some(1)), (300 * 1024, None)] {
        let text = "x".repeat(length);
        let body = format!(r#"{{"model":"m","messages":[{{"role":"user","content":"{text}"}}]}}"#);
        for size in [7, 1_000, 100_000, body.len()] {
            let mut exchange = Exchange::default();
            let request = request("/v1/chat/completions", &[("content-type", "application/json")], false);
            assert!(matches!(exchange.on_request_headers(&config, request), HeadersEffect::Send(_)));
            let mut given = 0;
            for (index, chunk) in body.as_bytes().chunks(size).enumerate() {
                if exchange.wants_body() == WantsBody::No {
                    break;
                }
                let wanted = &chunk[..exchange.wanted_of_chunk(chunk.len())];
                given += wanted.len();
                let effect = exchange.on_request_chunk(wanted, (index + 1) * size >= body.len());
                assert!(matches!(effect, BodyEffect::Pass));
            }
            assert_eq!(given, body.len().min(256 * 1024 + 1), "in chunks of {size}");
            assert_eq!(exchange.wants_body(), WantsBody::No);
            let record = exchange.finish(&Ended::default()).unwrap().record;
            assert_eq!((record.request_model.as_deref(), record.chat_round), (Some("m"), rounds));
        }
    }
}

/// One exchange of a JSON request with its response, in these chunks; gives what the client got, and the record.
fn exchanged(
    config: &Config,
    path: &str,
    body: &str,
    response: &[(&str, &str)],
    chunks: &[&[u8]],
) -> (Vec<u8>, Record) {
    let mut exchange = Exchange::default();
    let request = request(path, &[(":method", "POST"), ("content-type", "application/json")], false);
    assert!(matches!(exchange.on_request_headers(config, request), HeadersEffect::Send(_)));
    exchange.on_request_chunk(body.as_bytes(), true);
    let time = core::cell::Cell::new(0);
    let clock = || {
        time.set(time.get() + 1_000_000);
        time.get()
    };
    let head = response.iter().map(|(name, value)| ((*name).to_owned(), value.as_bytes().to_vec())).collect();
    exchange.on_response_headers(&Head::new(head), false, &clock);
    let mut client = Vec::new();
    for (index, chunk) in chunks.iter().enumerate() {
        let end = index + 1 == chunks.len();
        client.extend_from_slice(exchange.on_response_chunk(chunk, end, &clock).unwrap_or(chunk));
    }
    let outcome = exchange.finish(&Ended { now: clock(), ..Ended::default() }).unwrap();
    assert!(exchange.finish(&Ended::default()).is_none(), "one record");
    (client, outcome.record)
}

const STREAM: &str = "data: {\"id\":\"c1\",\"model\":\"m-1\",\"choices\":[{\"delta\":{\"role\":\"assistant\",\"content\":\"\"}}],\"usage\":null}\n\n\
    data: {\"id\":\"c1\",\"model\":\"m-1\",\"choices\":[{\"delta\":{\"content\":\"Hi\"}}],\"usage\":null}\n\n\
    data: {\"id\":\"c1\",\"model\":\"m-1\",\"choices\":[],\"usage\":{\"prompt_tokens\":19,\"completion_tokens\":6,\"total_tokens\":25}}\n\n\
    data: [DONE]\n\n";

const EVENTS: &[(&str, &str)] = &[(":status", "200"), ("content-type", "text/event-stream; charset=utf-8")];

#[test]
fn a_usage_chunk_that_was_not_asked_for_is_counted_and_not_sent() {
    let config = configured(json!({"type": "openai"}));
    let usage = STREAM.split_inclusive("\n\n").nth(2).unwrap();
    for (options, shown) in [
        ("", STREAM.replace(usage, "")),
        (",\"stream_options\":{\"include_usage\":false}", STREAM.replace(usage, "")),
        (",\"stream_options\":{\"include_usage\":true}", STREAM.to_owned()),
        // reports F5: OpenRouter's way to ask.
        (",\"usage\":{\"include\":true}", STREAM.to_owned()),
        (",\"usage\":{\"include\":true},\"stream_options\":{\"x\":1}", STREAM.to_owned()),
        (",\"stream_options\":{\"x\":1},\"usage\":{\"include\":true}", STREAM.to_owned()),
        (",\"usage\":{\"include\":false}", STREAM.replace(usage, "")),
        (",\"usage\":null", STREAM.replace(usage, "")),
    ] {
        let body = format!("{{\"model\":\"gpt-4o\",\"messages\":[{{\"role\":\"user\"}}],\"stream\":true{options}}}");
        for size in [1, 7, 100, STREAM.len()] {
            let chunks: Vec<&[u8]> = STREAM.as_bytes().chunks(size).collect();
            let (client, record) = exchanged(&config, "/v1/chat/completions", &body, EVENTS, &chunks);
            assert_eq!(String::from_utf8(client).unwrap(), shown, "{options} {size}");
            assert_eq!((record.tokens.input, record.tokens.output, record.tokens.total), (Some(19), Some(6), Some(25)));
            assert_eq!((record.usage_source, record.chat_round), (crate::telemetry::UsageSource::Upstream, Some(1)));
            assert_eq!(
                (record.request_model.as_deref(), record.response_model.as_deref()),
                (Some("gpt-4o"), Some("m-1"))
            );
            assert!(record.first_byte < record.first_content && record.first_content < record.end, "{record:?}");
        }
    }
}

#[test]
fn half_an_event_waits_only_for_as_long_as_it_may_be_taken_out() {
    let config = configured(json!({"type": "openai"}));
    let mut exchange = Exchange::default();
    let request = request("/v1/chat/completions", &[(":method", "POST"), ("content-type", "application/json")], false);
    let _ = exchange.on_request_headers(&config, request);
    exchange.on_request_chunk(br#"{"model":"m","stream":true}"#, true);
    let head = EVENTS.iter().map(|(name, value)| ((*name).to_owned(), value.as_bytes().to_vec())).collect();
    exchange.on_response_headers(&Head::new(head), false, &|| 0);
    for (chunk, sent) in [
        ("data: {\"choices\"", ""),
        (":[{\"delta\":", "data: {\"choices\":[{\"delta\":"),
        ("{}}]}\n", "{}}]}\n"),
        ("\ndata: {\"choices\":[", "\n"),
        ("],\"usage\":{\"prompt_tokens\":1}}\n\n", ""),
    ] {
        let passed = exchange.on_response_chunk(chunk.as_bytes(), false, &|| 0).unwrap_or(chunk.as_bytes());
        assert_eq!(core::str::from_utf8(passed).unwrap(), sent, "{chunk}");
    }
}

#[test]
fn an_attribute_named_after_a_figure_is_the_figure() {
    let statistics = json!({"attributes": [
        {"key": "input_token", "value_source": "response_body", "value": "cost.in", "apply_to_log": true},
        {"key": "who", "value_source": "request_header", "value": "x-api-key", "apply_to_log": true},
    ]});
    let provider = json!({"type": "openai", "apiTokens": ["token"]});
    let config = json!({"provider": provider, "statistics": statistics}).to_string();
    let config = load(config.as_bytes()).unwrap().config;
    let json = [(":status", "200"), ("content-type", "application/json")];
    let (_, record) =
        exchanged(&config, "/v1/chat/completions", r#"{"model":"m"}"#, &json, &[br#"{"cost":{"in":12}}"#]);
    assert_eq!(record.tokens.input, Some(12));
    assert!(record.attributes.contains(&("input_token".to_owned(), "12".to_owned())), "{:?}", record.attributes);
}

#[test]
fn rounds_are_counted_in_every_dialect_that_has_roles() {
    let config = configured(json!({"type": "gemini"}));
    let json = [(":status", "200"), ("content-type", "application/json")];
    let body = r#"{"contents":[{"role":"user"},{"role":"model"},{"parts":[],"role":"user"}]}"#;
    let (_, record) = exchanged(&config, "/v1beta/models/gemini-x:generateContent", body, &json, &[b"{}"]);
    assert_eq!((record.chat_round, record.request_model.as_deref()), (Some(2), Some("gemini-x")));
}

#[test]
fn what_is_not_read_is_not_asked_for() {
    let provider = json!({"type": "openai", "apiTokens": ["token"]});
    let body = br#"{"model":"m","stream":true}"#;
    for statistics in [
        json!({"disable_openai_usage": true}),
        json!({"enable_path_suffixes": ["/messages"]}),
        json!({"enable_content_types": ["application/json"]}),
    ] {
        let config = json!({"provider": provider, "statistics": statistics}).to_string();
        let config = load(config.as_bytes()).unwrap().config;
        let Outcome::Sent { body: sent, .. } = run(&config, CHAT, &[], &[body], false) else { panic!() };
        assert_eq!(String::from_utf8_lossy(&sent), String::from_utf8_lossy(body), "{statistics}");
    }
}

#[test]
fn what_is_wrong_with_statistics_harms_no_request() {
    let statistics = json!({
        "maxSeries": "many",
        "attributes": [{"key": "a", "value_source": "request_body", "value": "a.#(b==1)"}, {"key": "b", "rule": "all"}],
    });
    let provider = json!({"type": "openai", "apiTokens": ["token"]});
    let rule = json!({"_match_domain_": ["gw"], "provider": provider, "statistics": statistics});
    for config in [json!({"provider": provider, "statistics": statistics}), json!({"_rules_": [rule]})] {
        let loaded = load(config.to_string().as_bytes()).unwrap();
        assert_eq!(loaded.problems.len(), 4, "{:?}", loaded.problems);
        assert!(matches!(run(&loaded.config, CHAT, &[], &[b"{}"], false), Outcome::Sent { .. }));
    }
}

// -- Bodies that are kept until they are complete ---------------------------------------------------------------------

fn azure() -> Value {
    json!({ "type": "azure", "azureServiceUrl": "https://r.openai.azure.com?api-version=1", "apiTokens": ["t"] })
}

/// A request whose headers are held, with these among them.
fn held_request(config: &Config, fields: &[(&str, &str)]) -> Exchange {
    let mut exchange = Exchange::default();
    let effect = exchange.on_request_headers(config, request(CHAT, fields, false));
    assert!(matches!(effect, HeadersEffect::Hold { .. }), "{effect:?}");
    exchange
}

/// What a refusal says.
fn refusal(effect: PartEffect) -> (u16, String) {
    let PartEffect::Done(BodyEffect::Reply(reply)) = effect else { panic!("{effect:?}") };
    (reply.status, reply.body)
}

#[test]
fn the_host_keeps_a_buffer_only_while_trailers_may_need_it() {
    let config = configured(azure());
    let part = |exchange: &mut Exchange, size: usize| {
        let effect = exchange.on_part_of_whole(&config, &vec![b' '; size], PartEnd::Open);
        let PartEffect::Withhold(withhold) = effect else { panic!("{effect:?}") };
        withhold
    };
    let mut unknown = held_request(&config, &[]);
    assert!(unknown.fears_trailers());
    assert_eq!(part(&mut unknown, held::MAX_WITH_TRAILERS), Withhold::Buffer);
    assert_eq!(part(&mut unknown, 1), Withhold::Stream);
    let (status, body) = refusal(unknown.on_part_of_whole(&config, b"", PartEnd::Trailers));
    assert!(status == 413 && body.contains("trailers"), "{body}");

    let mut http1 = held_request(&config, &[]);
    http1.rule_out_trailers();
    assert_eq!(part(&mut http1, 1), Withhold::Stream);
    let announced = held_request(&config, &[("trailer", "x-end")]);
    assert!(!announced.fears_trailers());
    let mut known = held_request(&config, &[("content-length", "100")]);
    assert!(!known.fears_trailers());
    assert_eq!(part(&mut known, 1), Withhold::Stream);
}

#[test]
fn trailers_end_a_short_body_of_unknown_length() {
    let config = configured(azure());
    let mut exchange = held_request(&config, &[]);
    for part in [r#"{"mod"#, r#"el":"m"}"#] {
        let effect = exchange.on_part_of_whole(&config, part.as_bytes(), PartEnd::Open);
        assert!(matches!(effect, PartEffect::Withhold(Withhold::Buffer)), "{effect:?}");
    }
    let effect = exchange.on_part_of_whole(&config, b"", PartEnd::Trailers);
    let PartEffect::Done(BodyEffect::Release { edits, body }) = effect else { panic!("{effect:?}") };
    assert_eq!(body.as_deref(), Some(&br#"{"model":"m"}"#[..]));
    assert_eq!(edits.value(":path"), Some("/openai/deployments/m/chat/completions?api-version=1"));
}

/// So trailers find nothing that waits for them.
#[test]
fn a_body_is_complete_at_its_announced_length_and_nothing_may_follow() {
    let config = configured(azure());
    let body = br#"{"model":"m"}"#;
    let length = body.len().to_string();
    for cut in 0..body.len() {
        let mut exchange = held_request(&config, &[("content-length", &length)]);
        let (first, rest) = body.split_at(cut);
        assert!(matches!(exchange.on_part_of_whole(&config, first, PartEnd::Open), PartEffect::Withhold(_)));
        let effect = exchange.on_part_of_whole(&config, rest, PartEnd::Open);
        let PartEffect::Done(BodyEffect::Release { body: sent, .. }) = effect else { panic!("{effect:?}") };
        // One that came at once stays where it is.
        assert_eq!(sent.as_deref(), (cut > 0).then_some(&body[..]));
        assert_eq!(exchange.wants_body(), WantsBody::Chunks);
        assert!(matches!(exchange.on_request_chunk(&b""[..], false), BodyEffect::Pass));
        let effect = exchange.on_request_chunk(&b"}"[..], true);
        assert!(matches!(&effect, BodyEffect::Reply(reply) if reply.status == 400), "{effect:?}");
    }
}

#[test]
fn a_body_of_unknown_length_is_bounded_wherever_it_is_cut() {
    let mut provider = azure();
    provider["maxHeldBodyBytes"] = json!(20);
    let config = configured(provider);
    for size in [20, 21] {
        let text = format!(r#"{{"model":"{}"}}"#, "m".repeat(size - 12));
        for cut in 0..=size {
            let (first, rest) = text.as_bytes().split_at(cut);
            let outcome = run(&config, CHAT, &[], &[first, rest], false);
            assert_eq!(matches!(outcome, Outcome::Sent { .. }), size == 20, "{cut}: {outcome:?}");
            if size > 20 {
                assert_eq!(outcome, Outcome::Replied(413));
            }
        }
    }
}

/// `reports F7`: clients of Azure name the model in the path only.
#[test]
fn a_deployment_in_the_path_is_the_model_of_the_body_where_the_upstream_path_has_none() {
    let provider = json!({ "type": "openai", "includeUsage": "off", "modelMapping": { "gpt-4o": "up" } });
    for root in ["/openai/deployments", "/deployments", "/engines", "/v1/engines"] {
        for (name, upstream) in [("gpt-4o", "up"), ("other", "other"), ("my%20model", "my model")] {
            let path = format!("{root}/{name}/chat/completions?api-version=1");
            for (body, expected) in [
                (r#"{"n":1}"#, format!(r#"{{"n":1,"model":"{upstream}"}}"#)),
                (r#"{"model":"mine","n":1}"#, format!(r#"{{"model":"{upstream}","n":1}}"#)),
                (r#"{"model":null}"#, format!(r#"{{"model":"{upstream}"}}"#)),
            ] {
                assert_eq!(body_upstream(provider.clone(), &path, body), expected, "{path}");
            }
        }
    }
    // Nothing is mapped, and the body still has to name it.
    let plain = json!({ "type": "openai", "includeUsage": "off" });
    let path = "/openai/deployments/d/embeddings";
    assert_eq!(body_upstream(plain, path, r#"{"input":"x"}"#), r#"{"input":"x","model":"d"}"#);
    let original = json!({ "type": "openai", "protocol": "original" });
    assert_eq!(body_upstream(original, path, r#"{"input":"x"}"#), r#"{"input":"x"}"#);
    let form = "--b\r\ncontent-disposition: form-data; name=\"n\"\r\n\r\n1\r\n--b--\r\n";
    let config = configured(json!({ "type": "openai" }));
    let fields = [("content-type", "multipart/form-data; boundary=b")];
    let path = "/openai/deployments/whisper/audio/transcriptions";
    let Outcome::Sent { body, .. } = run(&config, path, &fields, &[form.as_bytes()], false) else { panic!() };
    let body = String::from_utf8(body).unwrap();
    assert!(body.contains("name=\"model\"") && body.contains("\r\nwhisper\r\n"), "{body}");
}

/// `reports F7`: Azure's own paths name the deployment, so the body keeps its bytes, and nothing waits for it.
#[test]
fn a_deployment_in_the_path_goes_to_the_path_of_azure() {
    let url = "https://res.openai.azure.com?api-version=1";
    let azure = |mapping: Value| json!({ "type": "azure", "azureServiceUrl": url, "modelMapping": mapping, "includeUsage": "off" });
    let path = "/openai/deployments/d/chat/completions";
    for body in ["{}", r#"{"messages":[]}"#] {
        assert_eq!(body_upstream(azure(json!({})), path, body), body);
        assert_eq!(body_upstream(azure(json!({ "d": "prod" })), path, body), body);
    }
    let config = configured(azure(json!({ "d": "prod", "x": "y" })));
    let body = br#"{"model":"x"}"#;
    let Outcome::Sent { edits, body } = run(&config, path, &[], &[body], false) else { panic!() };
    assert_eq!(edits.value(":path"), Some("/openai/deployments/prod/chat/completions?api-version=1"));
    assert_eq!(body, br#"{"model":"prod"}"#);
    // Without a deployment in the path, `null` is no model.
    let config = configured(azure(json!({ "*": "prod" })));
    let Outcome::Sent { edits, body } = run(&config, CHAT, &[], &[br#"{"model":null}"#], false) else { panic!() };
    assert_eq!(edits.value(":path"), Some("/openai/deployments/prod/chat/completions?api-version=1"));
    assert_eq!(body, br#"{"model":"prod"}"#);
    let config = configured(azure(json!({})));
    let mut exchange = Exchange::default();
    assert!(matches!(exchange.on_request_headers(&config, request(CHAT, &[], false)), HeadersEffect::Hold { .. }));
    match exchange.on_part_of_whole(&config, br#"{"model":null}"#, PartEnd::Data) {
        PartEffect::Done(BodyEffect::Reply(reply)) => assert!(reply.body.contains("model_missing"), "{}", reply.body),
        other => panic!("{other:?}"),
    }
}

/// `reports 42`
#[test]
fn the_model_of_ollamas_own_api_is_mapped() {
    let provider = json!({ "type": "ollama", "baseUrl": "http://o:11434", "modelMapping": { "a": "llama3" } });
    for path in ["/api/chat", "/api/generate", "/api/embed", "/api/embeddings"] {
        let body = r#"{"model":"a","stream":true}"#;
        assert_eq!(body_upstream(provider.clone(), path, body), r#"{"model":"llama3","stream":true}"#, "{path}");
    }
}

/// `reports F9`
#[test]
fn a_model_list_is_the_one_that_prefix_version_and_headers_name() {
    for (provider, path, fields, expected, credential) in [
        ("gemini", "/v1beta/models?pageSize=50", &[][..], "/v1beta/models?pageSize=50", "x-goog-api-key"),
        ("gemini", "/v1beta/models/g", &[], "/v1beta/models/g", "x-goog-api-key"),
        ("gemini", "/v1/models", &[("x-goog-api-key", "k")], "/v1beta/models", "x-goog-api-key"),
        ("gemini", "/v1beta/openai/models", &[], "/v1beta/openai/models", "authorization"),
        ("gemini", "/v1/models", &[], "/v1beta/openai/models", "authorization"),
        ("deepseek", "/v1/models", &[("anthropic-version", "2023-06-01")], "/anthropic/v1/models", "x-api-key"),
        ("deepseek", "/anthropic/v1/models", &[], "/anthropic/v1/models", "x-api-key"),
        ("deepseek", "/v1beta/models", &[], "/v1/models", "authorization"),
        ("claude", "/v1/models", &[], "/v1/models", "x-api-key"),
    ] {
        let config = configured(json!({ "type": provider }));
        let mut exchange = Exchange::default();
        let HeadersEffect::Send(edits) = exchange.on_request_headers(&config, request(path, fields, true)) else {
            panic!("{path}")
        };
        assert_eq!(edits.value(":path").unwrap_or(path), expected, "{provider} {path}");
        assert!(edits.value(credential).is_some(), "{provider} {path}: {edits:?}");
    }
}

/// `higress-suite C2`, `C3`: nothing is known of the server behind `generic`.
#[test]
fn generic_bounds_the_first_byte_of_every_request_and_asks_for_no_usage() {
    let provider = json!({ "type": "generic", "genericHost": "h.internal", "firstByteTimeout": 1500 });
    let body = r#"{"model":"gpt-any","stream":true}"#;
    assert_eq!(body_upstream(provider.clone(), CHAT, body), body);
    let config = configured(provider);
    for fields in [&[("content-length", "2")][..], &[]] {
        let Outcome::Sent { edits, .. } = run(&config, CHAT, fields, &[b"{}"], false) else { panic!() };
        assert_eq!(edits.value(FIRST_BYTE_TIMEOUT), Some("1500"), "{fields:?}");
    }
    let forced =
        json!({ "type": "generic", "genericHost": "h", "includeUsage": "force", "modelMapping": { "*": "m" } });
    let expected = r#"{"model":"m","stream":true,"stream_options":{"include_usage":true}}"#;
    assert_eq!(body_upstream(forced, CHAT, body), expected);
}
