//! Generated pairs of a configuration and a request, for the tests that hold two views of one decision together.
//!
//! Providers are built from [`Preset::all`], so a new preset is tested without being named here. Everything is picked
//! from lists whose first entry is the plainest, so that a failing pair shrinks to what matters. The same seed gives
//! the same pairs.
#![allow(dead_code, unreachable_pub, reason = "each test uses its own part of the generator")]
#![allow(
    clippy::arithmetic_side_effects,
    clippy::expect_used,
    clippy::indexing_slicing,
    clippy::panic,
    reason = "a generator that meets something unexpected fails the test"
)]

use proptest::collection::vec;
use proptest::option::weighted;
use proptest::prelude::*;
use proptest::sample::{Index, select, subsequence};
use proptest::strategy::ValueTree;
use proptest::test_runner::{Config, RngAlgorithm, TestRng, TestRunner};
use serde_json::{Map, Value, json};
use waypost::operation::Operation;
use waypost::provider::{Dialect, Preset};

// -- What is recognised again -----------------------------------------------------------------------------------------

/// Stands in every credential of a client, and in nothing else.
pub const CLIENT: &str = "cl13nt";

/// Stands in every configured token, and in nothing else.
pub const OPERATOR: &str = "0p3rat0r";

/// Configured tokens. The last one has to be encoded to stand in a query.
pub const TOKENS: [&str; 3] = ["0p3rat0r-1", "0p3rat0r-2", "0p3rat0r+3/=="];

/// A header that carries a credential only where `credential.header` names it.
pub const OWN_HEADER: &str = "x-vendor-key";

/// Headers that carry credentials to one vendor or gateway or another.
pub const CREDENTIAL_HEADERS: [&str; 11] = [
    "authorization",
    "x-api-key",
    "api-key",
    "x-goog-api-key",
    "cookie",
    "proxy-authorization",
    "x-authorization",
    "anthropic-api-key",
    "ocp-apim-subscription-key",
    "x-amz-security-token",
    "x-hi-original-auth",
];

/// Query parameters that carry a credential to this provider: those its vendor takes one from, and the configured one.
pub fn secret_parameters(provider: &Value) -> Vec<String> {
    let preset = preset_of(provider);
    let gemini = preset.surfaces.iter().any(|surface| surface.dialect == Dialect::Gemini);
    let mut names: Vec<String> = match preset.name {
        "azure" => vec!["api-key".to_owned()],
        _ if gemini => vec!["key".to_owned(), "access_token".to_owned()],
        _ => Vec::new(),
    };
    names.extend(provider["credential"]["query"].as_str().map(str::to_owned));
    names
}

/// The preset that serves a generated provider.
pub fn preset_of(provider: &Value) -> &'static Preset {
    let name = provider["type"].as_str().unwrap_or_default();
    let express = provider["apiTokens"].as_array().is_some_and(|tokens| !tokens.is_empty())
        && provider.get("credential").is_none();
    let preset = Preset::find(name).unwrap_or_else(|| panic!("no preset {name}"));
    if preset.name == "vertex" && name == "vertex" && express {
        return Preset::find("vertex-express").expect("a preset");
    }
    preset
}

// -- Pairs ------------------------------------------------------------------------------------------------------------

/// Where the requests will be sent.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Wire {
    /// Into functions: any bytes.
    None,
    /// Through hyper and Envoy. Left out is what does not reach a filter as it was sent: paths that do not begin with
    /// `/`, control characters, spaces and bytes above 0x7f in paths (refused by the codecs and by hyper), header values
    /// that are not UTF-8 (hyper's `HeaderValue` takes them, but the expectation is compared as text), hosts beside the
    /// rule's own (the rule is chosen by host; its port is stripped by `strip_any_host_port`), `x-envoy-*` headers
    /// (Envoy's to sanitise), `#` (refused or cut off) and a `content-length` that is not the body's.
    Envoy,
}

/// A request, as a filter sees it.
#[derive(Clone, Debug)]
pub struct Request {
    pub method: &'static str,
    pub host: Vec<u8>,
    pub path: Vec<u8>,
    /// Without pseudo-headers.
    pub headers: Vec<(String, Vec<u8>)>,
    /// Empty: there is none.
    pub body: Vec<u8>,
    pub route: &'static str,
    pub cluster: &'static str,
}

/// Where the provider stands in the configuration.
#[derive(Clone, Debug)]
pub struct Form {
    pub place: Place,
    /// `_match_…_` keys of the rule; `DOMAIN` stands for the rule's own domain.
    pub conditions: Vec<(&'static str, Value)>,
    /// A rule in front that matches another domain, and one that is broken.
    pub others: bool,
}

#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Place {
    /// `provider` of the rule.
    Rule,
    /// `providers` and `activeProviderId` of the rule.
    RulePool,
    /// `activeProviderId` of the rule, `providers` at the top.
    GlobalPool,
    /// No rule: `provider` at the top.
    Global,
    /// No rule: `providers` and `activeProviderId` at the top.
    GlobalPoolActive,
}

/// A configuration and a request.
#[derive(Clone, Debug)]
pub struct Pair {
    pub provider: Value,
    pub form: Form,
    pub request: Request,
    /// How the body is cut into chunks.
    pub chunks: Vec<Index>,
    /// Whether the end of the body comes after the last chunk, alone.
    pub late_end: bool,
}

/// The host of every request that is not sent through Envoy.
const DOMAIN: &str = "client.test";

impl Pair {
    /// The whole configuration.
    pub fn configuration(&self) -> Value {
        let mut root = Map::new();
        match self.form.place {
            Place::Global => {
                root.insert("provider".to_owned(), self.provider.clone());
            }
            Place::GlobalPoolActive => {
                root.insert("providers".to_owned(), self.pool(0));
                root.insert("activeProviderId".to_owned(), json!("mine-0"));
            }
            Place::Rule | Place::RulePool | Place::GlobalPool => {
                root.insert("providers".to_owned(), self.pool(0));
                let mut rules = Vec::new();
                if self.form.others {
                    rules.push(json!({"_match_domain_": ["other.test"], "provider": {"type": "openai"}}));
                    rules.push(json!({"_match_domain_": ["broken.test"], "provider": {"type": "nobody"}}));
                }
                rules.push(self.rule(0, DOMAIN));
                root.insert("_rules_".to_owned(), json!(rules));
            }
        }
        Value::Object(root)
    }

    /// The provider as the only one of a pool; its id is `mine-` and the number.
    pub fn pool(&self, number: usize) -> Value {
        let mut provider = self.provider.clone();
        provider["id"] = json!(format!("mine-{number}"));
        json!([{"id": format!("unused-{number}"), "type": "openai"}, provider])
    }

    /// The rule that leads to the provider. Without conditions of its own it matches `domain`.
    pub fn rule(&self, number: usize, domain: &str) -> Value {
        let mut rule = match self.form.place {
            Place::Rule | Place::Global => json!({"provider": self.provider}),
            Place::GlobalPool => json!({"activeProviderId": format!("mine-{number}")}),
            Place::RulePool | Place::GlobalPoolActive => {
                json!({"providers": self.pool(number), "activeProviderId": format!("mine-{number}")})
            }
        };
        for (key, value) in &self.form.conditions {
            rule[*key] = serde_json::from_str(&value.to_string().replace("DOMAIN", domain)).expect("JSON");
        }
        rule
    }

    /// The body in the chunks of this pair; no chunk where there is no body.
    pub fn chunks(&self) -> Vec<&[u8]> {
        let body = self.request.body.as_slice();
        if body.is_empty() {
            return Vec::new();
        }
        let mut cuts: Vec<_> = self.chunks.iter().map(|cut| cut.index(body.len())).chain([0, body.len()]).collect();
        cuts.sort_unstable();
        cuts.windows(2).map(|cut| &body[cut[0]..cut[1]]).collect()
    }
}

/// A runner whose pairs depend on nothing but the seed.
pub fn runner(seed: u64) -> TestRunner {
    let mut bytes = [0; 32];
    bytes[..8].copy_from_slice(&seed.to_le_bytes());
    let config = Config { failure_persistence: None, max_shrink_iters: 2_000, ..Config::default() };
    TestRunner::new_with_rng(config, TestRng::from_seed(RngAlgorithm::ChaCha, &bytes))
}

/// The seed of a run: `$WAYPOST_SEED`, or always the same.
pub fn seed() -> u64 {
    const DEFAULT: u64 = 20_261_122;
    std::env::var("WAYPOST_SEED").ok().and_then(|text| text.parse().ok()).unwrap_or(DEFAULT)
}

/// `count` pairs for one seed.
pub fn sample(seed: u64, count: usize, wire: Wire) -> Vec<Pair> {
    let mut runner = runner(seed);
    let strategy = pair(wire);
    (0..count).map(|_| strategy.new_tree(&mut runner).expect("a pair").current()).collect()
}

/// Any pair.
pub fn pair(wire: Wire) -> impl Strategy<Value = Pair> {
    (provider(), form(wire), request(wire), vec(any::<Index>(), 0..4), any::<bool>())
        .prop_map(|(provider, form, request, chunks, late_end)| Pair { provider, form, request, chunks, late_end })
}

// -- Providers --------------------------------------------------------------------------------------------------------

/// One of them, the first of them most often: what most configurations have.
fn mostly<T: Clone + std::fmt::Debug + 'static>(weight: u32, first: T, rest: Vec<T>) -> impl Strategy<Value = T> {
    prop_oneof![weight => Just(first), 1 => select(rest)]
}

/// Base URLs, without scheme and host.
const BASE_PATHS: &[&str] = &[
    "",
    "/",
    "/base",
    "/api/v1",
    "/api/v1/",
    "/base//x/",
    "/v1/chat/completions",
    "/x/v1/chat/completions?op=1",
    "/x/v1/embeddings/",
    "/v1/messages",
    "/openai/v1?api-version=1",
    "/openai/v1/?api%2Dversion=1&op=%2f",
    "?op=1",
    "/v1/models/x",
];

const AZURE_PATHS: &[&str] = &[
    "?api-version=2024-10-21",
    "",
    "/openai/v1",
    "/models?api-version=1",
    "/openai/deployments/dep-1?api-version=1",
    "/openai/deployments/dep-1/chat/completions?api-version=1",
];

/// Whether there is a base URL where none is needed, its host, and its path for Azure and for all others.
fn base_url() -> impl Strategy<Value = (bool, &'static str, &'static str, &'static str)> {
    let hosts = vec!["https://up.example", "http://up.example:8080", "up.example", "HTTPS://Up.Example"];
    (any::<bool>(), mostly(4, hosts[0], hosts), select(AZURE_PATHS.to_vec()), select(BASE_PATHS.to_vec()))
}

/// Model mappings of every kind of key; `null` is none.
fn mappings() -> Vec<Value> {
    vec![
        Value::Null,
        json!({"gpt-4o": "prod-4o"}),
        json!({"gpt-*": "prod"}),
        json!({"~gpt-(.*)": "m/$1"}),
        json!({"*": "anything"}),
        json!({"gpt-4o": "", "*": "any/thing"}),
        json!({"*": ""}),
        json!({"gpt-4o": "prod 4o?#%", "~^(.*)$": "v-$1", "claude*": "c"}),
    ]
}

/// `endpoints` or `capabilities`, by operation.
fn endpoints() -> Vec<Value> {
    vec![
        json!({"chat_completions": "/own/chat"}),
        json!({"chat_completions": "/own/{model}/chat?op=2", "embeddings": "/own/embeddings"}),
        json!({"openai/v1/chatcompletions": "/own/chat/completions", "models": "/own/list?op=2"}),
        json!({"messages": "/own/messages", "model": "/own/m/{model}", "file": "/own/f/{file_id}"}),
        json!({"generate_content": "/own/{model}:gen"}),
    ]
}

/// A provider of any type. Nearly all of them are sound; what is missing or contradictory in the rest answers 503.
pub fn provider() -> impl Strategy<Value = Value> {
    let presets: Vec<&'static Preset> = Preset::all().iter().collect();
    let kind = (
        (select(presets), any::<Index>()),
        base_url(),
        mostly(3, None, vec![Some(""), Some("/"), Some("v3"), Some("/v1/"), Some("/v1beta/openai")]),
        mostly(7, Value::Null, endpoints()),
        mostly(8, Value::Null, endpoints()),
        mostly(6, Value::Null, vec![json!("preserve"), json!("compose"), json!("")]),
        mostly(4, Value::Null, vec![json!("/team-a"), json!("team-a/"), json!("")]),
        mostly(
            8,
            Value::Null,
            vec![json!(["chat_completions", "embeddings", "messages"]), json!(["passthrough", "models"])],
        ),
        mostly(6, Value::Null, vec![json!(false), json!(true), json!("false")]),
    );
    let credential = (
        mostly(3, 1_usize, vec![0, 2, 3]),
        mostly(
            2,
            Value::Null,
            vec![json!("inject"), json!("none"), json!("passthrough"), json!("passthroughIfAbsent")],
        ),
        mostly(
            3,
            Value::Null,
            vec![
                json!({"query": "key"}),
                json!({"query": "token"}),
                json!({"header": "X-Vendor-Key"}),
                json!({"header": "X-Vendor-Key", "prefix": "Key "}),
                json!({"header": "Authorization", "prefix": "Token "}),
                json!({"header": "x-api-key"}),
            ],
        ),
    );
    let models = (
        select(mappings()),
        mostly(8, Value::Null, vec![json!("gpt-")]),
        mostly(8, Value::Null, vec![json!("m/"), json!("prod-")]),
        mostly(8, Value::Null, vec![json!("original"), json!("openai")]),
    );
    let higress = (
        mostly(9, Value::Null, vec![json!("domain.example"), json!("domain.example:81")]),
        mostly(9, Value::Null, vec![json!("/prepended"), json!("prepended/x/")]),
        mostly(
            9,
            Value::Null,
            vec![
                json!({"basePath": "/team-a"}),
                json!({"basePath": "/team-a", "basePathHandling": "prepend"}),
                json!({"basePath": "front", "basePathHandling": "prepend"}),
                json!({"basePath": "/team-a", "basePathHandling": "removePrefix"}),
            ],
        ),
        any::<[bool; 4]>(),
    );
    (kind, credential, models, higress).prop_map(|(kind, credential, models, higress)| {
        let ((preset, name), base, version, endpoints, capabilities, mode, strip, operations, passthrough) = kind;
        let mut keys = Map::new();
        let mut set = |key: &str, value: Value| {
            if !value.is_null() {
                keys.insert(key.to_owned(), value);
            }
        };
        let names: Vec<_> = [preset.name].into_iter().chain(preset.aliases.iter().copied()).collect();
        let name = *name.get(&names);
        set("type", json!(name));
        let [alias_key, own_host, extra, optional] = higress.3;
        // What the type cannot do without, and what it can.
        for parameter in preset.parameters {
            let value = match parameter.key {
                "apiVersion" => "v1",
                "vertexRegion" => "us-central1",
                key => key,
            };
            if parameter.default.is_none() || optional {
                set(parameter.key, json!(value));
            }
        }
        let (wanted, host, azure_path, base_path) = base;
        let required = preset.host.is_empty() && preset.name != "generic";
        let url = (wanted || required).then(|| match preset.name {
            "azure" => format!("{host}{azure_path}"),
            _ => format!("{host}{base_path}"),
        });
        let url_key = match name {
            "openai" => "openaiCustomUrl",
            "vllm" => "vllmCustomUrl",
            "claude" => "claudeCustomUrl",
            "azure" => "azureServiceUrl",
            "dify" => "difyApiUrl",
            _ => "baseUrl",
        };
        let host_key = match name {
            "qwen" | "qwen-intl" => "qwenDomain",
            "doubao" => "doubaoDomain",
            "zhipuai" => "zhipuDomain",
            "triton" => "tritonDomain",
            "generic" => "genericHost",
            "vllm" => "vllmServerHost",
            "ollama" => "ollamaServerHost",
            _ => "providerDomain",
        };
        set(if alias_key { url_key } else { "baseUrl" }, json!(url));
        set(if own_host { host_key } else { "providerDomain" }, higress.0);
        set("versionPrefix", json!(version));
        set("endpoints", endpoints);
        set("capabilities", capabilities);
        set("pathMode", mode);
        set("stripPrefix", strip);
        set("operations", operations);
        set("passthrough", passthrough);
        let (tokens, auth, placement) = credential;
        // Without a token most types are broken unless they are told where else a credential comes from.
        let tokens = if tokens == 0 && auth.is_null() && !extra { 1 } else { tokens };
        if tokens > 0 {
            let first = if tokens == 3 { 2 } else { 0 };
            set("apiTokens", json!(TOKENS[first..(first + tokens).min(TOKENS.len())]));
        }
        set("auth", auth);
        set("credential", placement);
        let (mapping, strip, add, protocol) = models;
        set("modelMapping", mapping);
        set("modelStripPrefix", strip);
        set("modelAddPrefix", add);
        set("protocol", protocol);
        set("providerBasePath", higress.1);
        for (key, value) in higress.2.as_object().into_iter().flatten() {
            set(key, value.clone());
        }
        if extra {
            set("timeout", json!(1000));
        }
        Value::Object(keys)
    })
}

// -- Rules ------------------------------------------------------------------------------------------------------------

/// Names of route and cluster of `envoy/envoy.yaml`.
pub const ROUTE: &str = "ai";
pub const CLUSTER: &str = "upstream";

fn form(wire: Wire) -> impl Strategy<Value = Form> {
    let places = vec![Place::Rule, Place::RulePool, Place::GlobalPool, Place::Global, Place::GlobalPoolActive];
    let domain = select(vec![
        json!(["DOMAIN"]),
        json!(["nobody.test", "DOMAIN"]),
        json!("DOMAIN"),
        json!(["DOMAIN*"]),
        json!(["*DOMAIN"]),
        json!(["dOMAIN", "DOMAIN"]),
    ]);
    // Of each kind values that match and, for falling through to what is global, one that does not.
    let route = mostly(6, Value::Null, vec![json!(["ai"]), json!(["x", "ai"]), json!(["other"])]);
    let prefix = mostly(8, Value::Null, vec![json!(["a"]), json!(["other-", "ai"]), json!(["other-"])]);
    let service = mostly(8, Value::Null, vec![json!(["upstream"]), json!(["x", "upstream"]), json!(["other.dns"])]);
    (select(places), domain, route, prefix, service, any::<bool>(), any::<bool>()).prop_map(
        move |(place, domain, route, prefix, service, others, has_domain)| {
            let mut conditions: Vec<_> =
                [("_match_route_", route), ("_match_route_prefix_", prefix), ("_match_service_", service)]
                    .into_iter()
                    .filter(|(_, value)| !value.is_null())
                    .collect();
            // A rule needs a condition; with Envoy the domain tells the pairs apart.
            if has_domain || conditions.is_empty() || wire == Wire::Envoy {
                conditions.push(("_match_domain_", domain));
            }
            Form { place, conditions, others }
        },
    )
}

// -- Requests ---------------------------------------------------------------------------------------------------------

const QUERIES: &[&str] = &[
    "?a=1",
    "?",
    "?a=1&a=2&b=%2f",
    "?api-version=2&op=9&b=3",
    "?api%2Dversion=2",
    "?&&=&a&%zz=%",
    "?key=cl13nt_q_key",
    "?alt=sse&k%65y=cl13nt_q_key",
    "?access_token=cl13nt_q_access&x",
    "?token=cl13nt_q_token",
    "?api-key=cl13nt_q_api",
    "?x=/v1/embeddings",
];

const IDS: &[&str] =
    &["gpt-4o", "abc", "file%2D1", "vendor%2Fmodel", "a.b:c", "tuned%3A1", "%zz", "..", "%2e%2e", "a%2f..%2fb", "%0a"];

const PASSED: &[&str] = &[
    "/v1/threads/t-1/messages",
    "/",
    "/v1/vector_stores/v/files",
    "/v2/rerankers",
    "/api/tags",
    "/team-a/v1/anything/else/",
    "/team-a",
    "/team-ab/v1/x",
    "/base/v1/x",
    "/v1",
    "/upload/v1beta/files",
    "/v1beta/cachedContents/c-1",
    "/v1/projects/p/locations/l/publishers/google/models/g:generateContent",
    "/v1/inference/some/model",
];

const HOSTILE: &[&str] = &[
    "//v1/../chat/completions",
    "/v1/../../admin/chat/completions",
    "/v1/%zz",
    "/v1/%2e%2e/x",
    "/v1/%2E./%2e/x",
    "/v1/a%2f..%2fb",
    "/v1/a\\..\\b",
    "/v1/a%5c..%5cb",
    "//v1/chat/completions",
    "////////",
    "/..",
    "/team-a/../admin",
    "/team-a/..",
    "/base/../x",
    "/v1/models/..",
    "/v1/chat/completions%",
    "/v1/chat/completions/..;/x",
    "/v1/a%00b",
    "/v1/%252e%252e/x",
];

/// What no codec lets through: bytes beyond a request line.
const NO_WIRE: &[&[u8]] = &[
    b"",
    b"*",
    b"v1/chat/completions",
    b"/v1/a b",
    b"/v1/models/a b",
    b"/v1/chat/completions?a=\x01",
    b"/v1/a\nb/chat/completions",
    b"/v1/a\tb",
    b"/v1/\xff\xfe",
    b"/v1/chat/completions?\xff",
    "/v1/模型/chat/completions".as_bytes(),
    "/v1/models/模型".as_bytes(),
    b"http://evil.test/v1/chat/completions",
    b"/v1/chat/completions#x",
];

/// The paths of operations that one vendor alone has, most of them known behind a version only.
const NATIVE: &[&str] = &[
    "/interactions/{interaction_id}",
    "/interactions",
    "/chat",
    "/embed",
    "/services/aigc/text-generation/generation",
    "/services/aigc/multimodal-generation/generation",
    "/services/aigc/image-generation/generation",
    "/services/aigc/text2image/image-synthesis",
    "/services/aigc/image2image/image-synthesis",
    "/services/aigc/video-generation/video-synthesis",
    "/services/embeddings/text-embedding/text-embedding",
    "/services/embeddings/multimodal-embedding/multimodal-embedding",
    "/services/rerank/text-rerank/text-rerank",
    "/api/chat",
    "/api/generate",
    "/api/embed",
];

fn path(wire: Wire) -> impl Strategy<Value = Vec<u8>> {
    let shared = Operation::all().filter_map(Operation::suffix);
    let operations: Vec<_> = shared.chain(NATIVE.iter().copied()).collect();
    // The usual ones more often than the many that come from the table.
    let usual = vec!["/chat/completions", "/embeddings", "/models", "/models/{model}", "/messages", "/responses"];
    let suffix = prop_oneof![
        3 => select(usual).boxed(),
        4 => select(operations).boxed(),
        1 => select(vec!["/models/{model}:generateContent", "/models/{model}:streamGenerateContent"]).boxed(),
    ];
    let id = mostly(2, IDS[0], IDS.to_vec());
    let prefix = mostly(4, "", vec!["/team-a", "/openai", "/gw/x", "/base", "/"]);
    let version = mostly(2, "/v1", vec!["", "/v4", "/v1beta", "/v1beta/openai"]);
    let known = (prefix, version, suffix, id).prop_map(|(prefix, version, suffix, id)| {
        let mut filled = String::new();
        let mut rest = suffix;
        while let Some((before, after)) = rest.split_once('{') {
            let (_, tail) = after.split_once('}').expect("a closed slot");
            filled.push_str(before);
            filled.push_str(id);
            rest = tail;
        }
        format!("{prefix}{version}{filled}{rest}")
    });
    let own = select(Preset::all().iter().flat_map(|preset| preset.own_paths.iter().copied()).collect::<Vec<_>>());
    let own = (own, select(vec!["", "x", "/x", "/x/y:z"])).prop_map(|(own, rest)| format!("{own}{rest}"));
    let text = prop_oneof![
        14 => known.boxed(),
        3 => select(PASSED.to_vec()).prop_map(str::to_owned).boxed(),
        1 => own.boxed(),
        2 => select(HOSTILE.to_vec()).prop_map(str::to_owned).boxed(),
    ];
    let text = (text, mostly(6, "", vec!["/", "//"]), mostly(2, "", QUERIES.to_vec()))
        .prop_map(|(path, slash, query)| format!("{path}{slash}{query}").into_bytes());
    match wire {
        Wire::Envoy => text.boxed(),
        Wire::None => prop_oneof![20 => text, 1 => select(NO_WIRE.to_vec()).prop_map(<[u8]>::to_vec)].boxed(),
    }
}

const BODIES: &[&str] = &[
    r#"{"model":"gpt-4o","messages":[{"role":"user","content":"a \"model\": x"}]}"#,
    "",
    r#"{"messages":[]}"#,
    r#"{"model":"claude-x"}"#,
    r#" { "n" : 1.50 , "mod\u0065l" : "gpt-\u0034o" , "x": {"model": "inner"} } "#,
    r#"{"stream":true,"model":"vendor/a b?模"}"#,
    r#"{"model":""}"#,
    r#"{"model":".."}"#,
    "{}",
];

const BAD_BODIES: &[&str] = &[
    r#"{"model":"gpt-4o""#,
    r#"{"model":"gpt-4o"} x"#,
    r#"{"model":"gpt-4o","model":"b"}"#,
    r#"{"model":4}"#,
    r#"["model"]"#,
    "--boundary\r\ncontent-disposition: form-data; name=\"model\"\r\n\r\ngpt-4o\r\n--boundary--\r\n",
    "not json",
    "\u{feff}{}",
];

fn body() -> impl Strategy<Value = Vec<u8>> {
    prop_oneof![6 => select(BODIES.to_vec()), 1 => select(BAD_BODIES.to_vec())]
        .prop_map(|body| body.as_bytes().to_vec())
}

/// Forms of `authorization`. The second would end a query parameter and begin another, if it went there as it is.
const AUTHORIZATIONS: &[&str] = &[
    "Bearer cl13nt-authorization",
    "Bearer cl13nt&alt=sse#x?y z",
    "bearer  cl13nt-authorization",
    "Basic cl13nt-basic==",
    "cl13nt-authorization",
];

fn headers(wire: Wire) -> impl Strategy<Value = Vec<(String, Vec<u8>)>> {
    let credentials = subsequence(CREDENTIAL_HEADERS[1..].to_vec(), 0..4);
    let authorization = weighted(0.7, mostly(2, AUTHORIZATIONS[0], AUTHORIZATIONS.to_vec()));
    let content_type = mostly(
        4,
        Some("application/json"),
        vec![
            None,
            Some("application/vnd.x+json; charset=utf-8"),
            Some("multipart/form-data; boundary=b"),
            Some("text/plain"),
        ],
    );
    let others = (
        weighted(0.08, Just("gzip")),
        weighted(0.2, Just("2023-01-01")),
        weighted(0.1, Just("cl13nt-own")),
        // Headers that only an earlier attempt writes, or a client that wants to look like one.
        weighted(0.1, Just("/spoofed")),
        weighted(0.03, select(vec!["1048577", "99999999999999999999", "x"])),
        weighted(0.04, select(vec![&b"Bearer cl13nt\xff\xc3\x28"[..], b"\xff", b""])),
        any::<bool>(),
    );
    (credentials, authorization, content_type, others).prop_map(
        move |(credentials, authorization, content_type, others)| {
            let mut headers: Vec<(String, Vec<u8>)> = Vec::new();
            let mut add = |name: &str, value: &[u8]| headers.push((name.to_owned(), value.to_vec()));
            let (encoding, version, own, spoofed, length, odd, twice) = others;
            if let Some(value) = authorization {
                add("authorization", value.as_bytes());
                if twice {
                    add("authorization", b"Bearer cl13nt-second");
                }
            }
            for name in credentials {
                add(name, format!("cl13nt-{name}").as_bytes());
            }
            for (name, value) in [
                ("content-type", content_type),
                ("content-encoding", encoding),
                ("anthropic-version", version),
                (OWN_HEADER, own),
            ] {
                if let Some(value) = value {
                    add(name, value.as_bytes());
                }
            }
            if wire == Wire::None {
                if let Some(value) = spoofed {
                    add("x-envoy-original-path", value.as_bytes());
                    add("x-envoy-original-host", b"spoofed.test");
                }
                if let Some(value) = length {
                    add("content-length", value.as_bytes());
                }
                if let Some(value) = odd {
                    add("authorization", value);
                    add("content-type", b"application/json; \xff");
                }
            }
            headers
        },
    )
}

fn request(wire: Wire) -> impl Strategy<Value = Request> {
    let hosts: Vec<&'static [u8]> = match wire {
        Wire::Envoy => vec![b"client.test"],
        Wire::None => {
            vec![b"client.test", b"Client.TEST:8443", b"client.test:80", b"[::1]:80", b"", b"\xff.test", b"broken.test"]
        }
    };
    (
        mostly(4, "POST", vec!["GET", "DELETE", "PUT"]),
        mostly(4, hosts[0], hosts),
        path(wire),
        headers(wire),
        mostly(1, Vec::new(), vec![BODIES[0].as_bytes().to_vec()]),
        body(),
        mostly(6, CLUSTER, if wire == Wire::Envoy { vec![CLUSTER] } else { vec!["outbound|443||other.dns", ""] }),
    )
        .prop_map(|(method, host, path, headers, rare, body, cluster)| Request {
            method,
            host: host.to_vec(),
            path,
            headers,
            // A GET has a body now and then; the others nearly always.
            body: if matches!(method, "GET" | "DELETE") { rare } else { body },
            route: ROUTE,
            cluster,
        })
}

// -- Comparing what is shown with what is ------------------------------------------------------------------------------

/// Whether `shown`, in which every secret is `***`, can be `real`.
///
/// # Errors
/// Both of them.
pub fn reveal(shown: &str, real: &str) -> Result<(), String> {
    let fits = || {
        let mut pieces = shown.split("***");
        let mut rest = real.strip_prefix(pieces.next()?)?;
        let mut pieces = pieces.peekable();
        while let Some(piece) = pieces.next() {
            rest = match pieces.peek() {
                Some(_) => rest.split_once(piece)?.1,
                None => rest.strip_suffix(piece).map(|_| "")?,
            };
        }
        rest.is_empty().then_some(())
    };
    fits().ok_or_else(|| format!("shown as {shown:?}, is {real:?}"))
}
