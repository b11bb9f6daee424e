//! Waypost at work: Envoy with the shipped `envoy/envoy.yaml`, a mock of the providers behind it, and a table of which
//! request arrived where.
//!
//! `make demo` prints the table and fails when a row is not as expected. `make run` (`--keep`) leaves Envoy running
//! and prints curl lines.
#![allow(clippy::print_stderr, clippy::print_stdout, reason = "a program that talks to its user")]

#[path = "../tests/support/mod.rs"]
mod support;

use hyper::Request;
use std::net::{Ipv4Addr, SocketAddr};
use std::process::ExitCode;
use support::client::{Client, whole};
use support::{Envoy, EnvoyConfig, Upstream, UpstreamOptions, credential};

const POST: &str = "POST";

/// A request and where it must arrive.
struct Case {
    method: &'static str,
    domain: &'static str,
    path: &'static str,
    model: &'static str,
    authority: &'static str,
    upstream_path: &'static str,
    /// What the row shows.
    note: &'static str,
}

const fn post(domain: &'static str, path: &'static str, authority: &'static str, upstream_path: &'static str) -> Case {
    Case { method: POST, domain, path, model: "gpt-4o", authority, upstream_path, note: "" }
}

const fn get(domain: &'static str, path: &'static str, authority: &'static str, upstream_path: &'static str) -> Case {
    Case { method: "GET", ..post(domain, path, authority, upstream_path) }
}

impl Case {
    /// What the client sends, as its API wants it.
    fn body(&self) -> Option<String> {
        let model = self.model;
        let rest = match self.path {
            path if path.ends_with("/embeddings") => r#""input":"Which way?""#,
            path if path.ends_with("/messages") => {
                r#""max_tokens":64,"messages":[{"role":"user","content":"Which way?"}]"#
            }
            _ => r#""messages":[{"role":"user","content":"Which way?"}]"#,
        };
        (self.method == POST).then(|| format!(r#"{{"model":"{model}",{rest}}}"#))
    }

    const fn model(self, model: &'static str) -> Self {
        Self { model, ..self }
    }

    const fn note(self, note: &'static str) -> Self {
        Self { note, ..self }
    }
}

const PERPLEXITY: &str = "perplexity.localhost";
const OPENROUTER: &str = "openrouter.localhost";
const CORP: &str = "corp.localhost";
const DEEPSEEK: &str = "deepseek.localhost";
const AZURE: &str = "azure.localhost";
/// No rule names it, so the default provider serves it.
const OTHER: &str = "other.localhost";

const CASES: &[Case] = &[
    post(PERPLEXITY, "/v1/chat/completions", "api.perplexity.ai", "/chat/completions")
        .model("sonar")
        .note("versionPrefix \"\" means none (ai-gateway#1629)"),
    post(PERPLEXITY, "/chat/completions", "api.perplexity.ai", "/chat/completions").model("sonar"),
    post(OPENROUTER, "/v1/chat/completions", "openrouter.ai", "/api/v1/chat/completions")
        .note("the path of baseUrl stays (kgateway#11225)"),
    post(OPENROUTER, "/v1/embeddings", "openrouter.ai", "/api/v1/embeddings").note("one rule for every endpoint"),
    get(OPENROUTER, "/v1/models?category=programming", "openrouter.ai", "/api/v1/models?category=programming")
        .note("queries stay"),
    get(CORP, "/v1/vector_stores/vs_1/files", "llm.corp.example", "/v1/vector_stores/vs_1/files")
        .note("also for what names no model"),
    post(CORP, "/v1/chat/completions", "llm.corp.example", "/v1/chat/completions")
        .note("a host alone keeps /v1 (higress#3130)"),
    post(CORP, "/chat/completions", "llm.corp.example", "/v1/chat/completions").note("clients need not send it"),
    post(DEEPSEEK, "/v1/messages", "api.deepseek.com", "/anthropic/v1/messages")
        .model("deepseek-chat")
        .note("Claude Code on DeepSeek"),
    post(
        AZURE,
        "/v1/chat/completions",
        "example.openai.azure.com",
        "/openai/deployments/prod-4o/chat/completions?api-version=2024-10-21",
    )
    .note("the path holds the mapped model"),
    post(OTHER, "/v1/chat/completions", "api.openai.com", "/v1/chat/completions").note("the default provider"),
];

/// The client's own key. It must never reach a provider.
const CLIENT_SECRET: &str = "client-secret";

const HEAD: [&str; 5] = ["client", "upstream", "credential", "status", ""];

/// Cells of a row, and whether it is as expected.
struct Row([String; HEAD.len()], bool);

async fn send(case: &Case, client: &mut Client, upstream: &Upstream) -> Row {
    let client_path = format!("{:<4} {}{}", case.method, case.domain, case.path);
    let request = Request::builder()
        .method(case.method)
        .uri(case.path)
        .header("host", case.domain)
        .header("authorization", format!("Bearer {CLIENT_SECRET}"));
    let request = match case.body() {
        Some(body) => request.header("content-type", "application/json").body(whole(body)),
        None => request.body(whole("")),
    };
    let response = match request.map_err(std::io::Error::other) {
        Ok(request) => client.send(request).await,
        Err(error) => Err(error),
    };
    let (status, ok) =
        response.map_or_else(|error| (error.to_string(), false), |r| (r.status.as_u16().to_string(), r.status == 200));
    let received = upstream.take();
    let [request] = received.as_slice() else {
        let arrived = format!("{} requests", received.len());
        return Row([client_path, arrived, String::new(), status, "WRONG: expected one request".into()], false);
    };
    let credentials = credential::of(request);
    let places: Vec<String> = credentials.iter().map(ToString::to_string).collect();
    let arrived = format!("{}{}", request.authority, request.path);
    let expected = format!("{}{}", case.authority, case.upstream_path);
    let right_way = arrived == expected;
    let secret_kept = credentials.len() == 1 && !credential::leaked(request, CLIENT_SECRET.as_bytes());
    let note = if !right_way {
        format!("WRONG: expected {expected}")
    } else if !secret_kept {
        "WRONG: expected one credential, and not the client's".into()
    } else if !ok {
        "WRONG: expected status 200".into()
    } else {
        case.note.into()
    };
    Row([client_path, arrived, places.join(" "), status, note], right_way && secret_kept && ok)
}

fn print_table(rows: &[Row]) {
    let cells: Vec<[&str; HEAD.len()]> =
        std::iter::once(HEAD).chain(rows.iter().map(|Row(cells, _)| cells.each_ref().map(String::as_str))).collect();
    let width = |column: usize| cells.iter().filter_map(|row| row.get(column)).map(|cell| cell.len()).max();
    for row in &cells {
        let line: Vec<String> = row
            .iter()
            .enumerate()
            .map(|(column, cell)| format!("{cell:<width$}", width = width(column).unwrap_or_default()))
            .collect();
        println!("{}", line.join("  ").trim_end());
    }
}

fn print_curl_lines(envoy: &Envoy) {
    println!("\nEnvoy listens on http://{}, its admin interface on http://{}.\n", envoy.address(), envoy.admin());
    for case in CASES.iter().filter(|case| !case.note.is_empty()) {
        let body =
            case.body().map(|body| format!(" -H 'Content-Type: application/json' -d '{body}'")).unwrap_or_default();
        println!("curl -i -H 'Host: {}' 'http://{}{}'{body}", case.domain, envoy.address(), case.path);
    }
    println!("\nThe response headers x-upstream-authority and x-upstream-path say where it arrived. Ctrl-C ends it.");
}

async fn run(keep: bool) -> Result<bool, Box<dyn std::error::Error>> {
    let options = UpstreamOptions { vendor_paths: true, ..UpstreamOptions::default() };
    let upstream = Upstream::listen(SocketAddr::from((Ipv4Addr::LOCALHOST, 0)), options).await?;
    let envoy = Envoy::start(EnvoyConfig::new(upstream.address())).await?;
    let mut client = Client::http1(envoy.address());
    let mut rows = Vec::new();
    for case in CASES {
        rows.push(send(case, &mut client, &upstream).await);
    }
    print_table(&rows);
    let wrong = rows.iter().filter(|Row(_, as_expected)| !as_expected).count();
    match wrong {
        0 => println!("\nAll {} requests arrived where they should.", rows.len()),
        _ => println!("\n{wrong} of {} requests went wrong.", rows.len()),
    }
    if keep {
        print_curl_lines(&envoy);
        support::stop_requested().await;
    }
    Ok(wrong == 0)
}

#[tokio::main]
async fn main() -> ExitCode {
    let arguments: Vec<String> = std::env::args().skip(1).collect();
    let keep = match arguments.as_slice() {
        [] => false,
        [option] if option == "--keep" => true,
        _ => {
            eprintln!("usage: demo [--keep]");
            return ExitCode::from(2);
        }
    };
    match run(keep).await {
        Ok(true) => ExitCode::SUCCESS,
        Ok(false) => ExitCode::FAILURE,
        Err(error) => {
            eprintln!("demo: {error}");
            ExitCode::FAILURE
        }
    }
}
