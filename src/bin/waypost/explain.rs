//! `waypost explain`

use crate::document::{Document, is_stdin, read_bytes};
use crate::{Outcome, pretty};
use clap::Args;
use std::io::Write;
use std::path::{Path, PathBuf};
use waypost::config::problem::Severity;
use waypost::exchange::decide::Client;
use waypost::exchange::head::Head;
use waypost::explain::{Request, explain};

/// Shows where a request goes, and why: the filter's own decision, step by step. Secrets are printed as ***.
#[derive(Args)]
#[command(after_help = "Examples:\n  waypost explain --config waypost.yaml POST /v1/chat/completions\n  \
                        waypost explain --config plugin.yaml --host llm.example.com GET '/v1/models?limit=2'\n  \
                        echo '{\"model\":\"gpt-4o\"}' | waypost explain --config azure.json --body - --json POST /v1/chat/completions")]
pub(crate) struct Arguments {
    /// Configuration: plugin JSON or YAML, or a Higress WasmPlugin manifest; `-` is standard input
    #[arg(long, value_name = "FILE")]
    config: PathBuf,
    /// Host of the request (`:authority`), for `_match_domain_`
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
    /// Request body; `-` is standard input
    #[arg(long, value_name = "FILE")]
    body: Option<PathBuf>,
    /// Print one JSON object
    #[arg(long)]
    json: bool,
    /// Request method
    #[arg(value_name = "METHOD")]
    method: String,
    /// Request path, with its query
    #[arg(value_name = "PATH")]
    path: String,
}

pub(crate) fn run(arguments: &Arguments) -> Result<Outcome, String> {
    if is_stdin(&arguments.config) && arguments.body.as_deref().is_some_and(is_stdin) {
        return Err("standard input can be read once: give --config or --body a file".to_owned());
    }
    let document = Document::read_one(&arguments.config)?;
    warn_of_errors(&document, &arguments.config);
    let body = match &arguments.body {
        Some(path) => Some(read_bytes(path).map_err(|error| format!("{}: {error}", path.display()))?),
        None => None,
    };
    let method = arguments.method.to_ascii_uppercase();
    let mut fields = vec![(":method".to_owned(), method.clone().into_bytes())];
    for header in &arguments.headers {
        fields.push(field(header)?);
    }
    let head = Head::new(fields);
    let client = Client {
        authority: arguments.host.as_deref().map(str::as_bytes),
        path: Some(arguments.path.as_bytes()),
        route: arguments.route.as_deref(),
        cluster: arguments.cluster.as_deref(),
    };
    let request = Request { method: &method, client, head: &head, body: body.as_deref() };
    let explanation = explain(&document.loaded.config, request);
    let text = if arguments.json { pretty(&explanation.to_json()) } else { format!("{explanation}\n") };
    Ok(Outcome { text, good: true })
}

fn field(header: &str) -> Result<(String, Vec<u8>), String> {
    let (name, value) =
        header.split_once(':').ok_or_else(|| "a header is given as `name: value`; one has no colon".to_owned())?;
    Ok((name.trim().to_ascii_lowercase(), value.trim().as_bytes().to_vec()))
}

/// An error in the configuration may be why the answer is not the expected one.
fn warn_of_errors(document: &Document, file: &Path) {
    for problem in document.loaded.problems.iter().filter(|problem| problem.severity == Severity::Error) {
        let _ = writeln!(
            std::io::stderr(),
            "{}: error: {}: {}",
            file.display(),
            document.place(&problem.path),
            problem.kind
        );
    }
}
