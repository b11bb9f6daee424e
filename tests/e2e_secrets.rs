//! No secret shows: neither in Envoy's wasm log at trace level, nor in the access log, statistics, answers to clients
//! and the output of the command line program. A configured token is seen by the upstream, in the one place of its
//! credential, and by nobody else; what a client authenticates with is seen by nobody at all.
//!
//! Of Envoy's log only what the wasm component writes is searched, the filter's own lines among it: at trace level
//! Envoy's HTTP components print every header, with or without Waypost. `/config_dump` shows the configuration, tokens
//! included, for the same reason.
#![cfg(not(target_family = "wasm"))]
#![allow(
    clippy::arithmetic_side_effects,
    clippy::expect_used,
    clippy::indexing_slicing,
    clippy::panic,
    clippy::string_slice,
    reason = "a test that meets something unexpected fails"
)]

mod support;

use hyper::Request;
use serde_json::{Value, json};
use std::collections::BTreeMap;
use std::fmt::Write as _;
use std::path::Path;
use std::process::{Command, Output};
use support::client::{Client, Response, whole};
use support::record::logged;
use support::{Answer, Envoy, EnvoyConfig, Received, Upstream};

/// Stands in every secret of the configuration.
const OPERATOR: &str = "0p3rat0r";

/// Stands in everything a client authenticates with.
const CLIENT: &str = "cl13nt";

/// Header that each provider of [`sound`] gets its token in, by domain; `?key` is the query.
const PLACES: &[(&str, &str, &str)] = &[
    ("openai.test", "authorization", "Bearer 0p3rat0r-openai"),
    ("claude.test", "x-api-key", "0p3rat0r-claude"),
    ("gemini.test", "x-goog-api-key", "0p3rat0r-gemini"),
    ("express.test", "?key", "0p3rat0r-express"),
    ("azure.test", "api-key", "0p3rat0r-azure"),
    ("raw.test", "authorization", "0p3rat0r-first 0p3rat0r-second"),
    ("own.test", "x-own-key", "Key 0p3rat0r-own"),
];

/// Everything that could carry a secret into a record: each header of a client, as attribute, session and consumer.
fn statistics() -> Value {
    let attribute = |name| json!({"key": name, "value_source": "request_header", "value": name, "apply_to_log": true});
    let headers = credentials().into_iter().map(|(name, _)| attribute(name)).collect::<Vec<_>>();
    json!({"attributes": headers, "session_id_header": "X-Own-Key", "consumerHeader": "Authorization", "consumers": ["*"]})
}

fn sound() -> Vec<Value> {
    vec![
        json!({
            "_match_domain_": ["openai.test"],
            "provider": {
                "type": "openai",
                "apiTokens": ["0p3rat0r-openai"],
                "operations": ["chat_completions", "messages", "models", "passthrough"],
                "modelMapping": {"*": "gpt-4o-mini"},
            },
        }),
        json!({"_match_domain_": ["claude.test"], "provider": {"type": "claude", "apiTokens": ["0p3rat0r-claude"]}}),
        json!({"_match_domain_": ["gemini.test"], "provider": {"type": "gemini", "apiTokens": ["0p3rat0r-gemini"]}}),
        json!({"_match_domain_": ["express.test"], "provider": {"type": "vertex", "apiTokens": ["0p3rat0r-express"]}}),
        json!({
            "_match_domain_": ["azure.test"],
            "provider": {"type": "azure", "baseUrl": "https://r.openai.azure.com?api-version=1", "apiTokens": ["0p3rat0r-azure"]},
        }),
        // A token with a space in it, without a scheme in front.
        json!({
            "_match_domain_": ["raw.test"],
            "provider": {
                "type": "openai",
                "apiTokens": ["0p3rat0r-first 0p3rat0r-second"],
                "credential": {"header": "authorization", "prefix": ""},
            },
        }),
        json!({
            "_match_domain_": ["own.test"],
            "provider": {
                "type": "generic",
                "baseUrl": "https://own.example",
                "apiTokens": ["0p3rat0r-own"],
                "credential": {"header": "X-Own-Key", "prefix": "Key "},
            },
        }),
    ]
}

/// Secrets where they do not belong, each of which breaks its rule; beside them a token that is sound.
fn broken() -> Vec<Value> {
    let mut providers = vec![
        json!({"type": "openai", "apiTokens": ["0p3rat0r-line\nbreak"]}),
        json!({"type": "openai", "apiTokens": {"token": "0p3rat0r-object"}}),
        json!({"type": "openai", "apiTokens": [["0p3rat0r-list"]]}),
        json!({"type": "opnai"}),
        json!({"type": "openai", "auth": "0p3rat0r-auth"}),
        json!({"type": "openai", "auth": "Bearer 0p3rat0r-auth"}),
        json!({"type": "openai", "protocol": "0p3rat0r-protocol"}),
        json!({"type": "openai", "credential": "0p3rat0r-credential"}),
        json!({"type": "openai", "credential": {"header": "Authorization: Bearer 0p3rat0r-header"}}),
        json!({"type": "openai", "baseUrl": "https://user:0p3rat0r-password@h.example/v1"}),
        json!({"type": "openai", "baseUrl": "https://h.example/v1#0p3rat0r-fragment"}),
        json!({"type": "openai", "baseUrl": "0p3rat0r-scheme://h.example"}),
        json!({"type": "openai", "providerDomain": "user:0p3rat0r-domain@h.example"}),
        json!({"type": "openai", "endpoints": {"models": "https://h.example/?key=0p3rat0r-endpoint"}}),
        json!({"type": "openai", "apiKey": "0p3rat0r-unknown-key", "operations": ["chat"]}),
        json!({"type": "bedrock", "awsRegion": "0p3rat0r region", "awsSecretKey": "0p3rat0r-aws"}),
        json!({"type": "bedrock", "awsRegion": "eu-1", "apiTokens": [], "awsAccessKey": "0p3rat0r-access", "awsSecretKey": "0p3rat0r-aws"}),
        json!({"type": "vertex", "apiTokens": [], "vertexAuthKey": "{\"private_key\":\"0p3rat0r-private\"}"}),
        json!({"type": "openai", "timeout": "0p3rat0r-inert", "customSettings": {"key": "0p3rat0r-inert"}, "pathMode": 1}),
    ];
    for provider in &mut providers {
        if provider.get("apiTokens").is_none() {
            provider["apiTokens"] = json!(["0p3rat0r-beside"]);
        }
    }
    let rule =
        |(number, provider): (usize, Value)| json!({"_match_domain_": [broken_domain(number)], "provider": provider});
    let mut rules: Vec<_> = providers.into_iter().enumerate().map(rule).collect();
    rules.push(json!({"_match_domain_": [broken_domain(rules.len())], "apiTokens": ["0p3rat0r-misplaced"]}));
    rules
}

fn broken_domain(number: usize) -> String {
    format!("broken-{number}.test")
}

fn configuration() -> Value {
    let mut rules: Vec<_> = sound().into_iter().chain(broken()).collect();
    for rule in &mut rules {
        rule["statistics"] = statistics();
    }
    json!({"_rules_": rules})
}

/// Documents that are no configuration at all, each with a secret near what is wrong.
const UNREADABLE: &[&str] = &[
    "{\"provider\": {\"type\": \"openai\", \"apiTokens\": [\"0p3rat0r-truncated\"",
    "{\"provider\": {\"type\": \"openai\", \"apiTokens\": [\"0p3rat0r-comma\",]}}",
    "{\"provider\": {\"apiTokens\": [\"0p3rat0r-escape\\q\"]}}",
    "{\"provider\": {\"apiTokens\": \"0p3rat0r-first\", \"apiTokens\": \"0p3rat0r-second\"}}",
    "\"0p3rat0r-text\"",
    "provider:\n  type: openai\n  apiTokens: [0p3rat0r-yaml\n  auth: inject\n",
    "provider:\n  type: openai\n  apiTokens:\n  \t- 0p3rat0r-tab\n",
    "provider:\n  apiTokens: \"0p3rat0r-quote\n",
    "provider:\n  apiTokens: 0p3rat0r-colon: x\n",
    "provider:\n  apiTokens: *0p3rat0r-alias\n",
    "0p3rat0r-scalar\n",
];

// -- Requests ---------------------------------------------------------------------------------------------------------

struct Case {
    domain: String,
    method: &'static str,
    path: &'static str,
    body: &'static str,
    status: u16,
}

const CHAT: &str = r#"{"model":"gpt-4o","messages":[]}"#;

fn cases() -> Vec<Case> {
    let case =
        |domain: &str, method, path, body, status| Case { domain: domain.to_owned(), method, path, body, status };
    let mut cases = vec![
        case("openai.test", "POST", "/v1/chat/completions", CHAT, 200),
        case("openai.test", "GET", "/v1/models?limit=1", "", 200),
        case("openai.test", "POST", "/v1/things/t/messages", "{}", 200),
        case("claude.test", "POST", "/v1/messages", CHAT, 200),
        case(
            "gemini.test",
            "POST",
            "/v1beta/models/g:generateContent?key=cl13nt-query&k%65y=cl13nt-encoded",
            "{}",
            200,
        ),
        case("gemini.test", "POST", "/v1beta/cachedContents?access_token=cl13nt-query", "{}", 200),
        case("express.test", "POST", "/v1/models/g:generateContent?key=cl13nt-query&alt=sse", "{}", 200),
        case("azure.test", "POST", "/v1/chat/completions?api-key=cl13nt-query", CHAT, 200),
        case("raw.test", "POST", "/v1/chat/completions", CHAT, 200),
        case("own.test", "GET", "/anything?x=1", "", 200),
        // What Waypost answers itself.
        case("openai.test", "POST", "/v1/things/../x", "{}", 400),
        case("openai.test", "POST", "/v1/embeddings", CHAT, 404),
        case("openai.test", "POST", "/v1/messages", CHAT, 501),
        case("openai.test", "POST", "/v1/messages?key=cl13nt-query", CHAT, 501),
        case("azure.test", "POST", "/v1/chat/completions", "{}", 400),
        case("azure.test", "POST", "/v1/chat/completions", r#"{"model":"gpt-4o","model":"cl13nt-body"}"#, 400),
        case("azure.test", "POST", "/v1/chat/completions", r#"{"model":"..","key":"cl13nt-body"}"#, 400),
    ];
    let broken =
        (0..broken().len()).map(|number| case(&broken_domain(number), "POST", "/v1/chat/completions", CHAT, 503));
    cases.extend(broken);
    cases
}

/// Everything a client may authenticate with, also the headers in which providers get their tokens.
fn credentials() -> Vec<(&'static str, String)> {
    let headers = [
        "authorization",
        "x-api-key",
        "api-key",
        "x-goog-api-key",
        "x-own-key",
        "proxy-authorization",
        "x-authorization",
        "anthropic-api-key",
        "x-hi-original-auth",
    ];
    let header = |name: &'static str| (name, format!("cl13nt-{name}"));
    let scheme = headers.into_iter().map(header).map(|(name, value)| match name {
        "authorization" | "proxy-authorization" => (name, format!("Bearer {value}")),
        _ => (name, value),
    });
    scheme.chain([("cookie", "session=cl13nt-cookie; other=1".to_owned())]).collect()
}

async fn send(client: &mut Client, case: &Case) -> Response {
    let mut request = Request::builder().method(case.method).uri(case.path).header("host", &case.domain);
    for (name, value) in credentials().into_iter().filter(|(name, _)| *name != "x-own-key" || case.domain == "own.test")
    {
        request = request.header(name, value);
    }
    let request = request.header("content-type", "application/json").body(whole(case.body)).expect("a request");
    client.send(request).await.unwrap_or_else(|error| panic!("{} {}: {error}", case.domain, case.path))
}

// -- Findings ---------------------------------------------------------------------------------------------------------

/// The lines in which a secret was found, each with the first place.
#[derive(Default)]
struct Leaks(BTreeMap<String, String>);

impl Leaks {
    /// Looks for any secret in `text`.
    fn search(&mut self, place: &str, text: &str) {
        for line in text.lines().filter(|line| line.contains(OPERATOR) || line.contains(CLIENT)) {
            self.0.entry(line.to_owned()).or_insert_with(|| place.to_owned());
        }
    }

    /// Looks for the one allowed credential in what the upstream received, and for any other secret.
    fn search_received(&mut self, case: &Case, request: &Received) {
        let place = format!("{} {}", case.domain, case.path);
        let Some((_, name, token)) = PLACES.iter().find(|(domain, ..)| *domain == case.domain) else {
            self.0.insert("reached the upstream".to_owned(), place);
            return;
        };
        let mut path = request.path.clone();
        let mut found = 0;
        if *name == "?key" {
            let parameter = format!("key={token}");
            found = path.matches(&parameter).count();
            path = path.replace(&parameter, "");
        }
        self.search(&format!("{place}: :path upstream"), &path);
        self.search(&format!("{place}: body upstream"), &String::from_utf8_lossy(&request.body));
        for (header, value) in request.headers.iter().chain(&request.trailers) {
            if header == name && value == token.as_bytes() {
                found += 1;
            } else {
                self.search(&format!("{place}: {header} upstream"), &String::from_utf8_lossy(value));
            }
        }
        if found != 1 {
            self.0.insert(format!("the token arrived {found} times in {name}"), place);
        }
    }

    fn assert_none(self) {
        let mut report = String::new();
        for (line, place) in &self.0 {
            let _ = writeln!(report, "  {place}: {line}");
        }
        assert!(self.0.is_empty(), "a secret shows, or is not where it belongs:\n{report}");
    }
}

/// The lines of the wasm component. A line without a head of its own belongs to the one before.
fn wasm_lines(log: &str) -> String {
    let mut wasm = false;
    let lines = log.lines().filter(|line| {
        if line.starts_with("[20") {
            wasm = line.contains("][wasm]");
        }
        wasm
    });
    lines.fold(String::new(), |lines, line| lines + line + "\n")
}

#[tokio::test]
async fn no_secret_shows_on_the_way_through_envoy() {
    let upstream = Upstream::start().await;
    let config = logged(EnvoyConfig::new(upstream.address()).waypost(&configuration()).log_level("trace"));
    let envoy = Envoy::start(config).await.unwrap_or_else(|error| panic!("{error}"));
    let mut client = Client::http1(envoy.address());
    let mut leaks = Leaks::default();
    let cases = cases();
    for case in &cases {
        upstream.answer_next(Answer::json(200, &json!({"object": "answer"})));
        let response = send(&mut client, case).await;
        if response.status.as_u16() != case.status {
            let place = format!("{} {}", case.domain, case.path);
            leaks
                .0
                .insert(format!("answered {} instead of {}: {}", response.status, case.status, response.text()), place);
        }
        leaks.search(&format!("{} {}: answer", case.domain, case.path), &response.text());
        leaks.search(&format!("{} {}: answer", case.domain, case.path), &format!("{:?}", response.headers));
        let received = upstream.take();
        for request in &received {
            leaks.search_received(case, request);
        }
        // The answer that nobody asked for.
        if received.is_empty() {
            let _ = Client::http1(upstream.address()).get("/").await;
            upstream.take();
        }
    }
    for line in envoy.wait_for_access_log(cases.len()).await {
        // The record is there, so it is worth searching.
        assert!(line["ai_log"].is_string(), "{line}");
        leaks.search("access log", &line.to_string());
    }
    for page in ["/stats", "/stats/prometheus", "/clusters"] {
        leaks.search(page, &envoy.admin_get(page).await.expect("a page of the admin interface").text());
    }
    let log = envoy.log();
    let wasm = wasm_lines(&log);
    // The log is worth searching: the filter names what is broken, and host calls are in it.
    assert!(wasm.contains("_rules_[7].provider.apiTokens[0]"), "the log does not name the broken rules:\n{wasm:.2000}");
    assert!(wasm.contains("[trace][wasm]"), "there is nothing at trace level");
    leaks.search("wasm log", &wasm);
    leaks.assert_none();
}

#[tokio::test]
async fn no_secret_shows_in_the_log_of_an_envoy_that_refuses_to_start() {
    let upstream = Upstream::start().await;
    let mut leaks = Leaks::default();
    for document in UNREADABLE.iter().take(2) {
        let config = EnvoyConfig::new(upstream.address()).waypost_text(document);
        let Err(error) = Envoy::start(config).await else { panic!("Envoy started with {document}") };
        assert!(error.log.contains("wasm log"), "{error}");
        leaks.search("log", &error.log);
    }
    leaks.assert_none();
}

// -- Command line -----------------------------------------------------------------------------------------------------

/// Searches what a run prints, but for the file name that the test itself gave.
fn run(leaks: &mut Leaks, place: &str, arguments: &[&str]) -> Output {
    let output = Command::new(env!("CARGO_BIN_EXE_waypost")).args(arguments).output().expect("the program runs");
    leaks.search(&format!("waypost {place}"), &String::from_utf8_lossy(&output.stdout));
    leaks.search(&format!("waypost {place}, on standard error"), &String::from_utf8_lossy(&output.stderr));
    output
}

fn write(directory: &Path, name: &str, text: &str) -> String {
    let path = directory.join(name);
    std::fs::write(&path, text).expect("a file");
    path.to_string_lossy().into_owned()
}

#[test]
fn no_secret_shows_in_what_the_program_prints() {
    let directory = tempfile::tempdir().expect("a directory");
    let mut leaks = Leaks::default();
    let plain = write(directory.path(), "plain.json", &configuration().to_string());
    let manifest = json!({
        "apiVersion": "extensions.higress.io/v1alpha1",
        "kind": "WasmPlugin",
        "spec": {
            "defaultConfig": broken()[0],
            "matchRules": broken().into_iter().map(|rule| json!({"domain": ["a.test"], "config": rule})).collect::<Vec<_>>(),
        },
    });
    let manifest = write(directory.path(), "manifest.yaml", &manifest.to_string());
    for (name, file) in [("plain.json", &plain), ("manifest.yaml", &manifest)] {
        for options in [&["check"][..], &["check", "--strict"], &["check", "--json"]] {
            let output =
                run(&mut leaks, &format!("{} {name}", options.join(" ")), &[options, &[file.as_str()]].concat());
            assert!(!output.status.success(), "{name} is sound");
            assert!(String::from_utf8_lossy(&output.stdout).contains("apiTokens[0]"), "{name}: nothing found");
        }
    }
    for case in cases() {
        let body = write(directory.path(), "body.json", case.body);
        let mut arguments = vec!["explain", "--config", &plain, "--host", &case.domain, "--body", &body];
        let headers: Vec<_> = credentials().into_iter().map(|(name, value)| format!("{name}: {value}")).collect();
        arguments.extend(headers.iter().flat_map(|header| ["-H", header.as_str()]));
        for json in [&[][..], &["--json"]] {
            // The client's query is the request's own argument; what is refused has no upstream path to show it in.
            let place = format!(
                "explain {} {} {}",
                json.concat(),
                case.domain,
                case.path.split('?').next().unwrap_or_default()
            );
            let output = run(&mut leaks, &place, &[&arguments, json, &[case.method, case.path]].concat());
            assert!(output.status.success(), "{place}: {}", String::from_utf8_lossy(&output.stderr));
        }
    }
    for (number, document) in UNREADABLE.iter().enumerate() {
        for extension in ["json", "yaml"] {
            let name = format!("unreadable-{number}.{extension}");
            let file = write(directory.path(), &name, document);
            let output = run(&mut leaks, &format!("check {name}"), &["check", &file]);
            assert!(!output.status.success(), "{name} is sound: {document}");
            run(&mut leaks, &format!("check --json {name}"), &["check", "--json", &file]);
            run(&mut leaks, &format!("explain {name}"), &["explain", "--config", &file, "GET", "/v1/models"]);
        }
    }
    // A header without its colon.
    let header = ["explain", "--config", &plain, "-H", "authorization Bearer cl13nt-colon", "GET", "/v1/models"];
    assert!(!run(&mut leaks, "explain -H", &header).status.success());
    leaks.assert_none();
}
