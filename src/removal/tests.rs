use super::*;
#[cfg(target_family = "wasm")]
use wasm_bindgen_test::wasm_bindgen_test as test;

fn inject() -> Removal {
    Removal::new(Rules { injects: true, ..Rules::default() })
}

/// Every name that public reports and the products' own pages have, and more of their kind.
const AUTHENTICATING: &[&str] = &[
    "apikey",
    "x-apikey",
    "api_key",
    "x_api_key",
    "x-auth-token",
    "x-access-token",
    "x-forwarded-access-token",
    "x-litellm-api-key",
    "x-portkey-api-key",
    "cf-aig-authorization",
    "helicone-auth",
    "x-bf-vk",
    "x-goog-iam-authorization-token",
    "x-jwt-payload",
    "xi-api-key",
    "x-goog-iap-jwt-assertion",
    "cf-access-jwt-assertion",
    "cf-access-client-secret",
    "x-amzn-oidc-accesstoken",
    "x-ms-token-aad-access-token",
    "private-token",
    "x-subscription-token",
    "x-secret-key",
    "token",
];

#[test]
fn what_authenticates_is_removed_where_a_token_is_injected() {
    for name in CREDENTIALS.iter().chain(UNUSUAL_CREDENTIALS).chain(AUTHENTICATING) {
        assert_eq!(inject().header(name.as_bytes()).as_deref(), Some(*name));
        assert!(is_credential(name.as_bytes()), "{name}");
    }
    for name in PAYERS.iter().chain(OVERRIDES) {
        assert_eq!(inject().header(name.as_bytes()).as_deref(), Some(*name));
        assert!(!is_credential(name.as_bytes()), "{name}");
    }
}

#[test]
fn what_vendors_and_envoy_read_stays() {
    for name in [
        ":path",
        "accept",
        "anthropic-beta",
        "anthropic-version",
        "content-length",
        "content-type",
        "host",
        "idempotency-key",
        "openai-beta",
        "sec-websocket-key",
        "sec-websocket-protocol",
        "traceparent",
        "user-agent",
        "x-goog-api-client",
        "x-request-id",
        "x-stainless-lang",
        "x-tokens",
        "",
    ] {
        assert_eq!(inject().header(name.as_bytes()), None, "{name}");
    }
}

#[test]
fn other_modes_know_the_usual_names() {
    let passthrough = Removal::new(Rules { keeps_cookies: true, ..Rules::default() });
    for name in CREDENTIALS.iter().filter(|name| **name != COOKIE).chain(OVERRIDES) {
        assert_eq!(passthrough.header(name.as_bytes()).as_deref(), Some(*name));
    }
    for name in AUTHENTICATING.iter().chain(PAYERS).chain([&COOKIE]) {
        assert_eq!(passthrough.header(name.as_bytes()), None, "{name}");
    }
}

#[test]
fn settings_add_and_keep() {
    let patterns = |list: &[&str]| list.iter().map(|text| Pattern::parse(text).unwrap()).collect::<Vec<_>>();
    let removal = Removal::new(Rules {
        injects: true,
        headers: patterns(&["CF-*", "baggage"]),
        credentials: vec!["x-corp-badge".to_owned()],
        kept: patterns(&["cf-ray", "x-auth-token", "openai-*"]),
        ..Rules::default()
    });
    for name in ["cf-connecting-ip", "baggage", "x-corp-badge", "apikey"] {
        assert_eq!(removal.header(name.as_bytes()).as_deref(), Some(name));
    }
    for name in ["cf-ray", "x-auth-token", "openai-organization", "openai-project", "cf"] {
        assert_eq!(removal.header(name.as_bytes()), None, "{name}");
    }
    assert!(removal.is_credential(b"x-corp-badge") && !inject().is_credential(b"x-corp-badge"));
    // Everything that a request can do without.
    let all = Removal::new(Rules { headers: patterns(&["*"]), kept: patterns(&["accept"]), ..Rules::default() });
    for (name, gone) in [("x-a", true), ("accept", false), ("content-type", false), (":path", false), ("te", false)] {
        assert_eq!(all.header(name.as_bytes()).is_some(), gone, "{name}");
    }
}

#[test]
fn only_names_of_headers_are_patterns() {
    for text in ["", "a b", "a*b c", ":path", "a:", "ä"] {
        assert_eq!(Pattern::parse(text), None, "{text}");
    }
    assert_eq!(Pattern::parse(" X-A "), Some(Pattern::Exact("x-a".to_owned())));
    assert_eq!(Pattern::parse("X-A-*"), Some(Pattern::Prefix("x-a-".to_owned())));
}

#[test]
fn query_parameters_authenticate_in_any_case() {
    for name in ["api_key", "apikey", "access_token", "token", "key", "api-key", "Ocp-Apim-Subscription-Key"] {
        for spelling in [name.to_owned(), name.to_ascii_uppercase(), format!(" {name}"), name.replace('_', ".")] {
            assert!(inject().parameter(spelling.as_bytes()), "{spelling}");
        }
        assert!(!Removal::default().parameter(name.as_bytes()), "{name}");
    }
    for name in ["pageToken", "page_token", "next-token", "monkey", "max_tokens", "api-version", ""] {
        assert!(!inject().parameter(name.as_bytes()), "{name}");
    }
}

/// reports F13
#[test]
fn tokens_are_taken_out_of_subprotocols() {
    for (list, kept) in [
        ("realtime, openai-insecure-api-key.GWSECRET", Some("realtime")),
        ("realtime,openai-insecure-api-key.sk-1,openai-beta.realtime-v1", Some("realtime, openai-beta.realtime-v1")),
        ("openai-insecure-api-key.gw, openai-organization.org-1, openai-project.proj-1", Some("")),
        ("OpenAI-Insecure-Api-Key.gw, realtime", Some("realtime")),
        ("openai-insecure-api%2Dkey.gw, realtime", Some("realtime")),
        ("xai-client-secret.gw, realtime", Some("realtime")),
        ("v4.channel.k8s.io, base64url.bearer.authorization.k8s.io.Z3c", Some("v4.channel.k8s.io")),
        ("bearer, gw, realtime", Some("realtime")),
        ("token, gw", Some("")),
        ("access_token, gw, graphql-ws", Some("graphql-ws")),
        ("realtime, eyJhbGciOiJIUzI1NiJ9.e30.c2ln", Some("realtime")),
        ("realtime, 0123456789abcdef0123456789abcdef", Some("realtime")),
        ("realtime, sk-gw", Some("realtime")),
        ("realtime, openai-beta.realtime-v1", None),
        ("graphql-transport-ws, wamp.2.json, actioncable-unsupported", None),
        ("json.reliable.webpubsub.azure.v1", None),
        ("", None),
    ] {
        assert_eq!(subprotocols(list).as_deref(), kept, "{list}");
    }
}
