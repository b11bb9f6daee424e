//! `waypost check`

use crate::document::{Contents, Document, Finding, Level};
use crate::{Outcome, pretty};
use clap::Args;
use serde_json::{Value, json};
use std::fmt::Write as _;
use std::path::PathBuf;
use waypost::config::differences;
use waypost::config::problem::{Kind, Problem, Severity};

/// Checks plugin JSON or YAML, and whatever holds such a configuration: Higress and Istio WasmPlugins, configurations of
/// Envoy, Envoy Gateway's EnvoyExtensionPolicies. Every problem is listed with its place; so is every deliberate
/// difference from Higress's ai-proxy that the configuration touches. Other plugins in a file are passed over.
#[derive(Args)]
#[command(after_help = "Examples:\n  waypost check waypost.yaml\n  waypost check --strict --json plugins/*.yaml\n  \
                        kubectl get wasmplugin -A -o yaml | waypost check -")]
pub(crate) struct Arguments {
    /// Fail on warnings too: unknown keys, keys without effect, doubtful values
    #[arg(long)]
    strict: bool,
    /// Print one JSON object
    #[arg(long)]
    json: bool,
    /// Name the differences that every configuration with a provider touches, too
    #[arg(long)]
    differences: bool,
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
        match Contents::read(file) {
            Err(error) => {
                good = false;
                let _ = writeln!(text, "{name}: error: {error}");
                reports.push(json!({ "file": name, "ok": false, "problems": [], "unreadable": error.to_string() }));
            }
            Ok(mut contents) => {
                if arguments.differences {
                    contents.documents.iter_mut().for_each(name_all_differences);
                }
                let (ok, problems) = report(contents, arguments.strict, &name, &mut text);
                good &= ok;
                reports.push(json!({ "file": name, "ok": ok, "problems": problems }));
            }
        }
    }
    let text = if arguments.json { pretty(&json!({ "ok": good, "files": reports })) } else { text };
    Ok(Outcome { text, good })
}

/// Adds the differences that every provider touches, whatever its keys are.
fn name_all_differences(document: &mut Document) {
    let named = differences::of_providers(&document.loaded.config).into_iter().map(|difference| Problem {
        path: "$".to_owned(),
        severity: Severity::Difference,
        kind: Kind::Different(difference),
    });
    document.loaded.problems.extend(named);
}

fn report(contents: Contents, strict: bool, name: &str, text: &mut String) -> (bool, Vec<Value>) {
    let mut findings = contents.notes;
    findings.extend(contents.documents.into_iter().flat_map(|document| document.into_findings()));
    findings.sort_by_key(|finding| finding.line);
    for finding in &findings {
        write(finding, name, text);
    }
    let count = |severity| findings.iter().filter(|finding| finding.level == Level::Of(severity)).count();
    let (errors, warnings) = (count(Severity::Error), count(Severity::Warning));
    let ok = errors == 0 && !(strict && warnings > 0);
    let verdict = if ok { "ok" } else { "not ok" };
    let plural = |count, what| format!("{count} {what}{}", if count == 1 { "" } else { "s" });
    let counts =
        [plural(errors, "error"), plural(warnings, "warning"), plural(count(Severity::Difference), "difference")];
    let _ = writeln!(text, "{name}: {verdict}: {} from ai-proxy", counts.join(", "));
    (ok, findings.iter().map(entry).collect())
}

/// One finding as a line: `file:line: error: resource: place: message`, as compilers have it.
pub(crate) fn write(finding: &Finding, name: &str, text: &mut String) {
    let at = finding.line.map_or_else(|| name.to_owned(), |line| format!("{name}:{line}"));
    let resource = finding.resource.as_ref().map(|resource| format!("{resource}: ")).unwrap_or_default();
    // What is said about a resource as a whole has no place in it.
    let place = if finding.resource.is_some() && finding.place == "$" { "" } else { &finding.place };
    let colon = if place.is_empty() { "" } else { ": " };
    let _ = writeln!(text, "{at}: {}: {resource}{place}{colon}{}", finding.level.name(), finding.message);
    if let Some(difference) = finding.difference {
        let _ = writeln!(text, "{:width$}  why: {}", "", difference.why, width = at.len());
    }
}

fn entry(finding: &Finding) -> Value {
    let mut entry = json!({
        "severity": finding.level.name(),
        "path": finding.place,
        "message": finding.message,
    });
    let Some(fields) = entry.as_object_mut() else { return entry };
    let more = [
        ("line", finding.line.map(|line| json!(line))),
        ("resource", finding.resource.as_ref().map(|resource| json!(resource))),
        ("id", finding.difference.map(|difference| json!(difference.id))),
        ("why", finding.difference.map(|difference| json!(difference.why))),
    ];
    fields.extend(more.into_iter().filter_map(|(key, value)| Some((key.to_owned(), value?))));
    entry
}
