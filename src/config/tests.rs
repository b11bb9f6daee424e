mod addresses;
mod credentials;
mod documents;
mod rules;
mod secrets;
mod values;

use super::*;
use crate::error::Error;
use crate::exchange::decide::{Body, Client, Decision, Verdict, decide};
use crate::exchange::head::{Edits, Head};
use crate::exchange::model::Model;
use crate::explain::{Request, explain};
use crate::operation::Dialect;
use problem::Severity;
use serde_json::{Value, json};

/// A secret that must turn up nowhere.
const CANARY: &str = "canary-7f3a";

/// Loads a document whose keys may be in any order.
fn loaded(document: &Value) -> Loaded {
    load(document.to_string().as_bytes()).unwrap()
}

/// Loads one provider, with a token unless it says something about authentication itself.
fn configured(provider: &Value) -> Loaded {
    let mut provider = provider.clone();
    if provider.get("apiTokens").is_none() && provider.get("auth").is_none() {
        provider["apiTokens"] = json!("test-token");
    }
    loaded(&json!({ "provider": provider }))
}

/// The problems as `severity place: text`, one line each.
fn problems(loaded: &Loaded) -> Vec<String> {
    loaded.problems.iter().map(|problem| format!("{} {problem}", problem.severity.name())).collect()
}

fn errors(loaded: &Loaded) -> Vec<String> {
    loaded.problems.iter().filter(|problem| problem.severity == Severity::Error).map(ToString::to_string).collect()
}

/// The ids of the differences that are named for all rules about bodies.
const BODY_RULES: [&str; 3] = ["unreadable-bodies", "key-case", "path-spelling"];

/// The ids of the differences that are named, in the order of the document.
fn differences(loaded: &Loaded) -> Vec<&'static str> {
    loaded
        .problems
        .iter()
        .filter_map(|problem| match &problem.kind {
            Kind::Different(difference) => Some(difference.id),
            _ => None,
        })
        .collect()
}

fn client<'a>(host: &'a str, path: &'a str) -> Client<'a> {
    Client { authority: Some(host.as_bytes()), path: Some(path.as_bytes()), ..Client::default() }
}

fn head(fields: &[(&str, &str)]) -> Head {
    Head::new(fields.iter().map(|(name, value)| ((*name).to_owned(), value.as_bytes().to_vec())).collect())
}

fn decided(loaded: &Loaded, client: Client<'_>, fields: &[(&str, &str)]) -> Decision {
    decide(&loaded.config, client, &head(fields), Body::Model("gpt-4o"))
}

/// What becomes of a request in one line: `untouched`, host and path upstream, or status and message.
fn fate_of(loaded: &Loaded, client: Client<'_>) -> String {
    match decided(loaded, client, &[]).verdict {
        Verdict::Untouched => "untouched".to_owned(),
        Verdict::NeedsBody => "needs the body".to_owned(),
        Verdict::Send(upstream) => format!("{}{}", upstream.authority().unwrap_or("-"), upstream.path()),
        Verdict::Refuse(error, _) => format!("{} {}", error.status(), error.message()),
        Verdict::Answer(reply) => format!("{} answered here", reply.status),
    }
}

/// The fate of a chat request for `host`.
fn fate(loaded: &Loaded, host: &str) -> String {
    fate_of(loaded, client(host, "/v1/chat/completions"))
}

/// Where one provider sends a path.
fn upstream(provider: &Value, path: &str) -> String {
    fate_of(&configured(provider), client("client.test", path))
}

/// The headers that are set on a chat request with these headers.
fn header(loaded: &Loaded, fields: &[(&str, &str)], name: &str) -> Option<String> {
    match decided(loaded, client("client.test", "/v1/chat/completions"), fields).verdict {
        Verdict::Send(upstream) => upstream.edits.value(name).map(str::to_owned),
        other => panic!("{other:?}"),
    }
}
