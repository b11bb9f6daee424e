//! `waypost explain`

use crate::document::{Contents, Document, is_stdin, read_bytes};
use crate::{Outcome, check, pretty};
use clap::Args;
use std::borrow::Cow;
use std::io::Write;
use std::path::{Path, PathBuf};
use waypost::config::problem::{Problem, Severity};
use waypost::exchange::decide::Client;
use waypost::exchange::head::Head;
use waypost::explain::{Explanation, Request, explain};

/// Shows where a request goes, and why: the filter's own decision, step by step. Secrets are printed as ***.
#[derive(Args)]
#[command(after_help = "Examples:\n  waypost explain --config waypost.yaml POST /v1/chat/completions\n  \
                        waypost explain --config plugin.yaml GET 'https://llm.example.com/v1/models?limit=2'\n  \
                        waypost explain --config azure.json --body '{\"model\":\"gpt-4o\"}' --json POST /v1/chat/completions")]
pub(crate) struct Arguments {
    /// Configuration: plugin JSON or YAML, a Higress WasmPlugin, or a configuration of Envoy; `-` is standard input
    #[arg(long, value_name = "FILE")]
    config: PathBuf,
    /// Host of the request (`:authority`), for `_match_domain_`; that of a URL if unset
    #[arg(long, value_name = "HOST")]
    host: Option<String>,
    /// Name of the Envoy route, for `_match_route_` and `_match_route_prefix_`
    #[arg(long, value_name = "ROUTE")]
    route: Option<String>,
    /// Name of the Envoy cluster, for `_match_service_`
    #[arg(long, value_name = "CLUSTER")]
    cluster: Option<String>,
    /// A request header, may be given several times
    #[arg(long = "header", short = 'H', value_name = "K: V")]
    headers: Vec<String>,
    /// Request body: a file, `-` for standard input, or the JSON itself, which begins with `{`
    #[arg(long, value_name = "FILE|JSON")]
    body: Option<PathBuf>,
    /// Print one JSON object
    #[arg(long)]
    json: bool,
    /// Exit with 1 if the request is refused
    #[arg(long)]
    fail: bool,
    /// Print the errors of all rules, not only those of the one that serves the request
    #[arg(long, short)]
    verbose: bool,
    /// Request method
    #[arg(value_name = "METHOD")]
    method: String,
    /// Request path with its query, or a whole URL
    #[arg(value_name = "PATH|URL")]
    path: String,
}

pub(crate) fn run(arguments: &Arguments) -> Result<Outcome, String> {
    if is_stdin(&arguments.config) && arguments.body.as_deref().is_some_and(is_stdin) {
        return Err("standard input can be read once: give --config or --body a file".to_owned());
    }
    let document = Contents::read_one(&arguments.config)?;
    let body = arguments.body.as_deref().map(body).transpose()?;
    let head = Head::new(arguments.headers.iter().map(|header| field(header)).collect::<Result<_, _>>()?);
    let (host, path) = target(&arguments.path)?;
    let client = Client {
        authority: arguments.host.as_deref().or(host).map(str::as_bytes),
        path: Some(path.as_bytes()),
        route: arguments.route.as_deref(),
        cluster: arguments.cluster.as_deref(),
        ..Client::default()
    };
    let method = arguments.method.to_ascii_uppercase();
    let request = Request { method: &method, client, head: &head, body: body.as_deref() };
    let explanation = explain(document.config(), request);
    tell_errors(&document, &explanation, arguments);
    let text = if arguments.json { pretty(&explanation.to_json()) } else { format!("{explanation}\n") };
    Ok(Outcome { text, good: !(arguments.fail && explanation.is_refused()) })
}

/// The body that an argument stands for.
fn body(argument: &Path) -> Result<Vec<u8>, String> {
    match argument.to_str().filter(|text| text.trim_start().starts_with('{')) {
        Some(json) => Ok(json.as_bytes().to_vec()),
        None => read_bytes(argument).map_err(|error| format!("{}: {error}", argument.display())),
    }
}

/// Host and path of a request that is given as a path or as a URL. What stands behind `#` no client sends.
fn target(text: &str) -> Result<(Option<&str>, Cow<'_, str>), String> {
    let scheme = |scheme: &str| {
        let (start, rest) = text.split_at_checked(scheme.len())?;
        start.eq_ignore_ascii_case(scheme).then_some(rest)
    };
    let Some(rest) = scheme("https://").or_else(|| scheme("http://")) else { return Ok((None, text.into())) };
    let rest = rest.split('#').next().unwrap_or_default();
    let (host, path) = rest.split_at(rest.find(['/', '?']).unwrap_or(rest.len()));
    if host.is_empty() {
        return Err("the URL has no host".to_owned());
    }
    if host.contains('@') {
        return Err("the URL must not hold user-info (`user:password@`); give a credential with --header".to_owned());
    }
    let path = if path.starts_with('/') { path.into() } else { format!("/{path}").into() };
    Ok((Some(host), path))
}

fn field(header: &str) -> Result<(String, Vec<u8>), String> {
    let (name, value) =
        header.split_once(':').ok_or_else(|| "a header is given as `name: value`; one has no colon".to_owned())?;
    Ok((name.trim().to_ascii_lowercase(), value.trim().as_bytes().to_vec()))
}

/// An error in the configuration may be why the answer is not the expected one. Those of rules and providers that have
/// nothing to do with this request are told on demand only.
fn tell_errors(document: &Document, explanation: &Explanation, arguments: &Arguments) {
    let concerns = |problem: &Problem| {
        let of_rule = problem.path.split_once(']').is_some_and(|(rule, _)| rule.starts_with("_rules_["));
        let of_pool = problem.path.starts_with("providers[");
        match explanation.rule() {
            _ if explanation.is_because_of(&problem.to_string()) => true,
            "global" => !of_rule && !of_pool,
            rule => problem.path.strip_prefix(rule).is_some_and(|rest| !rest.starts_with(|c: char| c.is_ascii_digit())),
        }
    };
    let errors = document.problems().iter().filter(|problem| problem.severity == Severity::Error);
    let mut text = String::new();
    for problem in errors.filter(|problem| arguments.verbose || concerns(problem)) {
        check::write(&document.finding(problem), &arguments.config.display().to_string(), &mut text);
    }
    let _ = std::io::stderr().write_all(text.as_bytes());
}
