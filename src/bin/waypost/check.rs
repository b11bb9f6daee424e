//! `waypost check`

use crate::document::Document;
use crate::{Outcome, pretty};
use clap::Args;
use serde_json::{Value, json};
use std::fmt::Write as _;
use std::path::PathBuf;
use waypost::config::problem::{Kind, Severity};

/// Checks plugin JSON or YAML, and Higress WasmPlugin manifests. Every problem is listed with its place; so is every
/// deliberate difference from Higress's ai-proxy that the configuration touches.
#[derive(Args)]
#[command(after_help = "Examples:\n  waypost check waypost.yaml\n  waypost check --strict --json plugins/*.yaml\n  \
                        kubectl get wasmplugin ai-proxy -o yaml | waypost check -")]
pub(crate) struct Arguments {
    /// Fail on warnings too: unknown keys, keys without effect, doubtful values
    #[arg(long)]
    strict: bool,
    /// Print one JSON object
    #[arg(long)]
    json: bool,
    /// Files to check; `-` is standard input
    #[arg(required = true, value_name = "FILE")]
    files: Vec<PathBuf>,
}

pub(crate) fn run(arguments: &Arguments) -> Result<Outcome, String> {
    let mut text = String::new();
    let mut reports = Vec::new();
    let mut good = true;
    for file in &arguments.files {
        let name = file.display().to_string();
        match Document::read_all(file) {
            Err(error) => {
                good = false;
                let _ = writeln!(text, "{name}: error: {error}");
                reports.push(json!({ "file": name, "ok": false, "problems": [], "unreadable": error.to_string() }));
            }
            Ok(documents) => {
                let (ok, problems) = report(&documents, arguments.strict, &name, &mut text);
                good &= ok;
                reports.push(json!({ "file": name, "ok": ok, "problems": problems }));
            }
        }
    }
    let text = if arguments.json { pretty(&json!({ "ok": good, "files": reports })) } else { text };
    Ok(Outcome { text, good })
}

fn report(documents: &[Document], strict: bool, name: &str, text: &mut String) -> (bool, Vec<Value>) {
    let mut counts = [0_usize; 3];
    let mut problems = Vec::new();
    let all =
        documents.iter().flat_map(|document| document.loaded.problems.iter().map(move |problem| (document, problem)));
    for (document, problem) in all {
        let place = document.place(&problem.path);
        if let Some(count) = counts.get_mut(problem.severity as usize) {
            *count = count.saturating_add(1);
        }
        let _ = writeln!(text, "{name}: {}: {place}: {}", problem.severity.name(), problem.kind);
        let mut entry =
            json!({ "severity": problem.severity.name(), "path": place, "message": problem.kind.to_string() });
        if let (Kind::Different(difference), Some(entry)) = (&problem.kind, entry.as_object_mut()) {
            let _ = writeln!(text, "{:width$}  why: {}", "", difference.why, width = name.len());
            entry.insert("id".to_owned(), json!(difference.id));
            entry.insert("why".to_owned(), json!(difference.why));
        }
        problems.push(entry);
    }
    let [differences, warnings, errors] = counts;
    let ok = errors == 0 && !(strict && warnings > 0);
    let verdict = if ok { "ok" } else { "not ok" };
    let count = |count, what| format!("{count} {what}{}", if count == 1 { "" } else { "s" });
    let counts = [count(errors, "error"), count(warnings, "warning"), count(differences, "difference")].join(", ");
    let _ = writeln!(text, "{name}: {verdict}: {counts} from ai-proxy");
    (ok, problems)
}

/// The order in which [`report`] counts.
const _: () =
    assert!(Severity::Difference as usize == 0 && Severity::Warning as usize == 1 && Severity::Error as usize == 2);
