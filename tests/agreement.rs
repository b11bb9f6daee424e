//! What `waypost explain` says is what the filter does, and what the filter does is safe: on thousands of generated
//! pairs of a configuration and a request.
//!
//! `$WAYPOST_SEED` chooses other pairs than the usual ones. A failure is shrunk to the plainest pair that still fails.
#![cfg(not(target_family = "wasm"))]
#![allow(
    clippy::arithmetic_side_effects,
    clippy::expect_used,
    clippy::indexing_slicing,
    clippy::panic,
    clippy::print_stderr,
    clippy::unwrap_used,
    reason = "a test that meets something unexpected fails"
)]

#[path = "support/generate.rs"]
mod generate;

use generate::{
    CLIENT, CREDENTIAL_HEADERS, Form, OPERATOR, OWN_HEADER, Pair, Place, Request, TOKENS, Wire, preset_of, reveal,
    secret_parameters,
};
use proptest::collection::vec;
use proptest::prelude::*;
use proptest::sample::{Index, select};
use proptest::strategy::ValueTree as _;
use proptest::test_runner::{TestCaseError, TestError};
use serde_json::{Value, json};
use std::borrow::Cow;
use std::collections::BTreeMap;
use std::fmt::Write as _;
use waypost::config::problem::Severity;
use waypost::config::{Config, load};
use waypost::exchange::decide::{Body, Client, Upstream, Verdict, decide};
use waypost::exchange::head::{Edits, Head};
use waypost::exchange::model::Model;
use waypost::exchange::{BodyEffect, Exchange, HeadersEffect, RequestHeaders, Saved, WantsBody};
use waypost::explain::explain;
use waypost::operation::{ClientPath, Operation};
use waypost::path::segment::decode;
use waypost::path::{BaseFrom, Why, base_url::BaseUrl, endpoint, endpoint::Key};
use waypost::provider::Preset;

type Fields = Vec<(String, Vec<u8>)>;

/// How many pairs are compared.
const PAIRS: usize = 2_500;

/// How many failures of a kind are shrunk and printed.
const REPORTED: usize = 2;

// -- The filter, without a host ---------------------------------------------------------------------------------------

/// What became of a request.
#[derive(Debug, PartialEq)]
enum Outcome {
    Untouched,
    Reply { status: u16, body: Value },
    Sent(Sent),
}

/// A request as it left.
#[derive(Debug, PartialEq)]
struct Sent {
    edits: Edits,
    /// All headers, pseudo-headers included, after the edits.
    headers: Fields,
    body: Vec<u8>,
}

impl Sent {
    fn text(&self, name: &str) -> &str {
        let value = self.headers.iter().find(|(field, _)| field == name).map(|(_, value)| value.as_slice());
        std::str::from_utf8(value.unwrap_or_default()).expect("a header that Waypost wrote")
    }

    fn path(&self) -> &str {
        self.text(":path")
    }
}

fn config(value: &Value) -> Config {
    load(value.to_string().as_bytes()).expect("a configuration that is JSON").config
}

/// The headers as a host hands them over.
fn fields(pair: &Pair) -> Fields {
    let request = &pair.request;
    let pseudo = [
        (":authority", request.host.clone()),
        (":path", request.path.clone()),
        (":method", request.method.as_bytes().to_vec()),
        (":scheme", b"http".to_vec()),
    ];
    pseudo.into_iter().map(|(name, value)| (name.to_owned(), value)).chain(request.headers.iter().cloned()).collect()
}

/// Does what `plugin::http` does, with the host's part played by a list of headers.
fn run(config: &Config, pair: &Pair, fields: Fields, saved: Option<Saved>) -> Outcome {
    let request = RequestHeaders {
        head: Head::new(fields.clone()),
        saved,
        route: config.needs_route().then(|| pair.request.route.to_owned()).filter(|name| !name.is_empty()),
        cluster: config.needs_cluster().then(|| pair.request.cluster.to_owned()).filter(|name| !name.is_empty()),
        end_of_stream: pair.request.body.is_empty(),
    };
    let mut exchange = Exchange::default();
    let reply = |reply: waypost::error::Reply| Outcome::Reply {
        status: reply.status,
        // The answer to a probe has no body.
        body: if reply.body.is_empty() { Value::Null } else { serde_json::from_str(&reply.body).expect("JSON") },
    };
    let edits = match exchange.on_request_headers(config, request) {
        HeadersEffect::Ignore => return Outcome::Untouched,
        HeadersEffect::Reply(answer) => return reply(answer),
        HeadersEffect::Send(edits) => edits,
        HeadersEffect::Hold { .. } => {
            assert_eq!(exchange.wants_body(), WantsBody::Whole);
            Edits::default()
        }
    };
    if exchange.wants_body() == WantsBody::Whole {
        return match exchange.on_whole_body(config, &pair.request.body) {
            BodyEffect::Release { edits: late, body } => {
                let body = body.unwrap_or_else(|| pair.request.body.clone());
                let mut sent = sent(fields, edits.clone(), body);
                if !late.set.is_empty() {
                    // The headers were held: all edits come now.
                    assert_eq!(edits, Edits::default());
                    sent = self::sent(sent.headers, late, sent.body);
                }
                Outcome::Sent(sent)
            }
            BodyEffect::Reply(answer) => reply(answer),
            other => panic!("a whole body became {other:?}"),
        };
    }
    let mut body = Vec::new();
    if exchange.wants_body() == WantsBody::Chunks {
        let mut chunks: Vec<_> = pair.chunks().into_iter().map(|chunk| (chunk, false)).collect();
        if pair.late_end {
            chunks.push((&[], true));
        } else if let Some((_, end)) = chunks.last_mut() {
            *end = true;
        }
        for (chunk, end) in chunks {
            match exchange.on_request_chunk(chunk, end) {
                BodyEffect::Pass => body.extend_from_slice(chunk),
                BodyEffect::Replace(bytes) => body.extend_from_slice(&bytes),
                BodyEffect::Reply(answer) => return reply(answer),
                other @ BodyEffect::Release { .. } => panic!("a chunk became {other:?}"),
            }
        }
    } else {
        assert_eq!(exchange.wants_body(), WantsBody::No);
        body.clone_from(&pair.request.body);
    }
    Outcome::Sent(sent(fields, edits, body))
}

/// Removes, then sets, as a host does: a name that is set has one value afterwards.
fn sent(mut headers: Fields, edits: Edits, body: Vec<u8>) -> Sent {
    headers.retain(|(name, _)| !edits.remove.iter().any(|removed| *removed == name.as_str()));
    for (name, value) in &edits.set {
        headers.retain(|(field, _)| field != name);
        headers.push((name.clone().into_owned(), value.as_bytes().to_vec()));
    }
    Sent { edits, headers, body }
}

fn client(pair: &Pair) -> Client<'_> {
    let named = |name: &'static str| Some(name).filter(|name| !name.is_empty());
    Client {
        authority: Some(&pair.request.host),
        path: Some(&pair.request.path),
        route: named(pair.request.route),
        cluster: named(pair.request.cluster),
        ..Client::default()
    }
}

fn explained(config: &Config, pair: &Pair) -> (Value, String) {
    let head = Head::new(fields(pair));
    let explanation = explain(
        config,
        waypost::explain::Request {
            method: pair.request.method,
            client: client(pair),
            head: &head,
            body: Some(&pair.request.body),
        },
    );
    (explanation.to_json(), explanation.to_string())
}

// -- Agreement --------------------------------------------------------------------------------------------------------

/// The new length of a body that was held is a matter between filter and host; `explain` does not speak of it.
const FRAMING: &str = "content-length";

macro_rules! hold {
    ($label:literal, $condition:expr, $($message:tt)+) => {
        if !$condition {
            return Err(format!("[{}] {}", $label, format!($($message)+)));
        }
    };
}

/// Whether the explanation is the outcome.
fn agrees(shown: &Value, outcome: &Outcome) -> Result<(), String> {
    let (status, body) = match outcome {
        Outcome::Untouched => {
            hold!("outcome", shown["outcome"] == "untouched", "untouched, shown as {}", shown["outcome"]);
            return Ok(());
        }
        Outcome::Reply { status, body } => (status, body),
        Outcome::Sent(sent) => return shows(shown, sent),
    };
    hold!("outcome", shown["outcome"] == "refuse", "answered {status} {body}, shown as {}", shown["outcome"]);
    hold!(
        "reply",
        shown["reply"] == json!({"status": status, "body": body}),
        "answered {status} {body}, shown as {}",
        shown["reply"]
    );
    Ok(())
}

/// Whether the explanation shows what was sent.
fn shows(shown: &Value, sent: &Sent) -> Result<(), String> {
    hold!("outcome", shown["outcome"] == "send", "sent to {}, shown as {shown:#}", sent.path());
    let path = shown["upstream"]["path"].as_str().unwrap_or_default();
    reveal(path, sent.path()).map_err(|error| format!("[path] {error}"))?;
    let authority = shown["upstream"]["authority"].as_str();
    hold!(
        "authority",
        authority == sent.edits.value(":authority"),
        "shown as {authority:?}, set to {:?}",
        sent.edits.value(":authority")
    );
    let removed = &sent.edits.remove;
    hold!("removed", shown["headers"]["removed"] == json!(removed), "{} instead of {removed:?}", shown["headers"]);
    let shown_set = shown["headers"]["set"].as_object().expect("an object");
    let set: Vec<_> = sent.edits.set.iter().filter(|(name, _)| name != FRAMING).collect();
    hold!("set", shown_set.len() == set.len(), "{shown_set:?} instead of {set:?}");
    for (name, value) in set {
        let shown = shown_set.get(name.as_ref()).and_then(Value::as_str).unwrap_or_default();
        reveal(shown, value).map_err(|error| format!("[set] {name}: {error}"))?;
    }
    Ok(())
}

/// Whether the model that is shown is the one that was sent, in the body or in the path.
fn shows_the_model(shown: &Value, sent: &Sent, pair: &Pair) -> Result<(), String> {
    let model = &shown["model"];
    let [sent_json, requested] =
        [&sent.body, &pair.request.body].map(|body| serde_json::from_slice::<Value>(body).ok());
    let changed = sent_json.as_ref().map(|body| &body["model"]) != requested.as_ref().map(|body| &body["model"]);
    if let Some(out) = sent_json.filter(|_| changed) {
        hold!("model", out["model"] == model["upstream"], "{model} is shown, the body has {}", out["model"]);
    } else if sent.body == pair.request.body && model["requested"] != model["upstream"] {
        let upstream = model["upstream"].as_str().unwrap_or_default();
        let segments = sent.path().split(['/', ':', '?']).filter_map(decode).collect::<Vec<_>>();
        let in_path =
            sent.path().contains(upstream) || segments.iter().any(|segment| segment.as_ref() == upstream.as_bytes());
        hold!("model", in_path, "{model} is shown, but neither {} nor the body has it", sent.path());
    }
    Ok(())
}

// -- Invariants -------------------------------------------------------------------------------------------------------

#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum Auth {
    Inject,
    Passthrough,
    None,
}

/// Whose credential a provider sends, read off its configuration.
fn auth(provider: &Value) -> Auth {
    let tokens = provider["apiTokens"].as_array().is_some_and(|tokens| !tokens.is_empty());
    match provider["auth"].as_str() {
        Some("none") => Auth::None,
        Some("passthrough") => Auth::Passthrough,
        Some("inject") => Auth::Inject,
        _ if tokens => Auth::Inject,
        _ => Auth::Passthrough,
    }
}

fn decoded(text: &str) -> Cow<'_, [u8]> {
    decode(text).unwrap_or(Cow::Borrowed(text.as_bytes()))
}

fn parameters(path: &str) -> impl Iterator<Item = (Cow<'_, [u8]>, &str)> {
    let query = path.split_once('?').map_or("", |(_, query)| query);
    query.split('&').filter(|raw| !raw.is_empty()).map(|raw| {
        let (name, value) = raw.split_once('=').unwrap_or((raw, ""));
        (decoded(name), value)
    })
}

/// Every credential on a request, with its place. Query values are decoded, as a vendor does.
fn credentials(provider: &Value, headers: &Fields) -> Vec<(String, Vec<u8>)> {
    let custom = provider["credential"]["header"].as_str().unwrap_or_default().to_ascii_lowercase();
    let mut found: Vec<_> = headers
        .iter()
        .filter(|(name, _)| CREDENTIAL_HEADERS.contains(&name.as_str()) || *name == custom)
        // A client that is passed through keeps its session.
        .filter(|(name, _)| name != "cookie" || auth(provider) != Auth::Passthrough)
        .cloned()
        .collect();
    let path = headers.iter().find(|(name, _)| name == ":path").map_or(&b""[..], |(_, path)| path);
    let secret = secret_parameters(provider);
    for (name, value) in parameters(std::str::from_utf8(path).unwrap_or_default()) {
        if secret.iter().any(|secret| secret.as_bytes() == &*name) {
            let value = value.replace('+', " ");
            found.push((format!("?{}", String::from_utf8_lossy(&name)), decoded(&value).into_owned()));
        }
    }
    found
}

/// Query values of the client that are no credential at this provider, whatever they look like; they are passed on.
fn innocent(pair: &Pair) -> Vec<String> {
    let secret = secret_parameters(&pair.provider);
    let path = String::from_utf8_lossy(&pair.request.path).into_owned();
    parameters(&path)
        .filter(|(name, value)| !value.is_empty() && !secret.iter().any(|secret| secret.as_bytes() == &**name))
        .map(|(_, value)| value.to_owned())
        .collect()
}

fn holds_client(text: &[u8], innocent: &[String]) -> bool {
    let mut text = String::from_utf8_lossy(text).into_owned();
    for value in innocent {
        text = text.replace(value, "");
    }
    text.contains(CLIENT)
}

/// What a client sends that can be presented to any provider, and what only fits `authorization`.
fn client_credentials(pair: &Pair) -> (bool, bool) {
    let custom = pair.provider["credential"]["header"].as_str().unwrap_or_default().to_ascii_lowercase();
    let first = |name: &str| pair.request.headers.iter().find(|(field, _)| field == name).map(|(_, value)| value);
    let text = |name: &str| {
        first(name).and_then(|value| std::str::from_utf8(value).ok()).filter(|value| !value.trim().is_empty())
    };
    let bearer = |value: &str| value.to_ascii_lowercase().starts_with("bearer ");
    let authorization = text("authorization");
    let token = authorization.is_some_and(bearer)
        || ["x-api-key", "api-key", "x-goog-api-key", "x-authorization", "anthropic-api-key", &custom]
            .iter()
            .any(|name| *name != "authorization" && text(name).is_some());
    (token, authorization.is_some_and(|value| !bearer(value)))
}

/// The credential is the right one, the only one, and nothing of the client's is left.
fn credential_is_alone(pair: &Pair, sent: &Sent) -> Result<(), String> {
    let found = credentials(&pair.provider, &sent.headers);
    let innocent = innocent(pair);
    let named: Vec<_> = found.iter().map(|(place, value)| (place, String::from_utf8_lossy(value))).collect();
    let auth = auth(&pair.provider);
    match auth {
        Auth::Inject => {
            hold!("one credential", found.len() == 1, "{named:?}");
            let token = TOKENS.iter().any(|token| found[0].1.ends_with(token.as_bytes()));
            hold!("configured token", token, "{named:?} is no configured token");
        }
        Auth::None => hold!("no credential", found.is_empty(), "{named:?}"),
        Auth::Passthrough => {
            hold!("one credential", found.len() <= 1, "{named:?}");
            let query = parameters(&String::from_utf8_lossy(&pair.request.path)).any(|(_, value)| !value.is_empty());
            match client_credentials(pair) {
                (true, false) => hold!("client's credential", found.len() == 1, "{named:?}, the client sent one"),
                (false, false) if !query => hold!("client's credential", found.is_empty(), "{named:?}, out of nothing"),
                _ => {}
            }
            if let [(place, value)] = found.as_slice()
                && !place.starts_with('?')
            {
                let again =
                    parameters(sent.path()).any(|(_, sent)| !sent.is_empty() && value.ends_with(sent.as_bytes()));
                hold!("one credential", !again, "{named:?} stands in {} too", sent.path());
            }
        }
    }
    for (name, value) in &sent.headers {
        if auth != Auth::Passthrough && (name != OWN_HEADER || pair.provider["credential"]["header"] == "X-Vendor-Key")
        {
            hold!("client's credential", !holds_client(value, &innocent), "{name}: {}", String::from_utf8_lossy(value));
        }
        if auth != Auth::Inject {
            hold!("configured token", !String::from_utf8_lossy(value).contains(OPERATOR), "in {name}");
        }
    }
    Ok(())
}

/// The path can be sent, and stays where the operator put it.
fn path_is_safe(config: &Config, pair: &Pair, sent: &Sent) -> Result<(), String> {
    let target = sent.path();
    hold!("path", target.starts_with('/'), "{target:?} does not begin with `/`");
    let bad = |character: char| character.is_control() || character == ' ';
    hold!("path", !target.contains(bad), "{target:?} holds a control character or a space");
    let path = target.split('?').next().unwrap_or_default();
    let climbs = path.split('/').any(|segment| {
        decoded(segment).split(|byte| matches!(byte, b'/' | b'\\')).any(|part| matches!(part, b"." | b".."))
    });
    hold!("path", !climbs, "{target:?} holds a dot segment");
    let keys = ["baseUrl", "openaiCustomUrl", "vllmCustomUrl", "claudeCustomUrl", "difyApiUrl"];
    let Some(url) = keys.iter().find_map(|key| pair.provider[*key].as_str()) else { return Ok(()) };
    let mut base = BaseUrl::parse(url).expect("a base URL").path;
    let Some(upstream) = upstream(config, pair) else { return Ok(()) };
    let under_base = match upstream.why {
        Why::Composed { base, .. } | Why::Passthrough { base, .. } => base == BaseFrom::BaseUrl,
        Why::Own => true,
        Why::Endpoint | Why::Preserve | Why::WholeUrl | Why::PresetPath => false,
    };
    let prepended = ["providerBasePath", "basePath"].iter().any(|key| pair.provider.get(*key).is_some());
    // Azure's URL can name a deployment, which is no base path.
    if under_base && !prepended && preset_of(&pair.provider).name != "azure" {
        let preset = preset_of(&pair.provider);
        if upstream.why == Why::Own && !preset.surfaces.is_empty() {
            // What a server has beside its APIs is beside their base path, and below what stands before it.
            let endpoint = endpoint::named_by(&base, Key::BaseUrl).map_or(base.len(), |(_, parent)| parent.len());
            base.truncate(endpoint);
            let version = preset.surfaces.iter().find(|surface| base.ends_with(surface.version));
            base.truncate(base.len() - version.map_or(0, |surface| surface.version.len()));
        }
        let below = path.strip_prefix(&base).is_some_and(|rest| rest.is_empty() || rest.starts_with('/'));
        hold!("base path", below || base.is_empty(), "{target:?} is not under {base:?}");
    }
    Ok(())
}

/// The decision as the exchange makes it, for its reasons.
fn upstream(config: &Config, pair: &Pair) -> Option<Upstream> {
    let model = serde_json::from_slice::<Value>(&pair.request.body).unwrap_or_default();
    let body = model["model"].as_str().map_or(Body::NoModel, Body::Model);
    match decide(config, client(pair), &Head::new(pair.request.headers.clone()), body).verdict {
        Verdict::Send(upstream) => Some(upstream),
        Verdict::Untouched | Verdict::NeedsBody | Verdict::Answer(_) | Verdict::Refuse(..) => None,
    }
}

/// A retry in an upstream filter sees headers that are already rewritten, and the client's side of them in filter state.
///
/// Of several tokens a retry takes the next one; here both attempts begin with the first.
fn same_with_the_saved_original(pair: &Pair, sent: &Sent) -> Result<(), String> {
    let saved = Saved { authority: pair.request.host.clone(), path: pair.request.path.clone(), ..Saved::default() };
    let again = run(&config(&pair.configuration()), pair, sent.headers.clone(), Some(saved));
    let Outcome::Sent(again) = again else { return Err(format!("[retry] sent at first, then {again:?}")) };
    hold!("retry", again.path() == sent.path(), "{:?}, then {:?}", sent.path(), again.path());
    hold!("retry", again.text(":authority") == sent.text(":authority"), "{:?}", again.text(":authority"));
    let both = [sent, &again].map(|sent| credentials(&pair.provider, &sent.headers));
    hold!("retry", both[0] == both[1], "credentials {:?}, then {:?}", both[0], both[1]);
    hold!("retry", again.body == sent.body, "the body differs");
    Ok(())
}

/// Without the saved original the rule gives its own output back, wherever that output still reads as the same
/// operation with the same ids, and its model is mapped to itself:
///
/// - paths the rule composes, the preset's own paths, `endpoints` and whole URLs, as long as they end with the suffix
///   of the operation, and with no version in front of anchored suffixes but directly before them;
/// - not for `pathMode: preserve` and passed-through paths, where `stripPrefix` and the version would go twice;
/// - and only where the rule of the configuration is not chosen by the host, which is rewritten too.
fn same_without_it(pair: &Pair, reread: &mut BTreeMap<String, [usize; 2]>) -> Result<(), String> {
    let config = config(&json!({ "provider": pair.provider }));
    let Outcome::Sent(sent) = run(&config, pair, fields(pair), None) else { return Ok(()) };
    let Some(Upstream { why, .. }) = upstream(&config, pair) else { return Ok(()) };
    let kind = match why {
        Why::Endpoint => "endpoint",
        Why::WholeUrl => "whole URL",
        Why::PresetPath => "preset path",
        Why::Composed { preset_suffix: true, .. } => "composed, preset suffix",
        Why::Composed { .. } => "composed",
        Why::Preserve | Why::Own | Why::Passthrough { .. } => return Ok(()),
    };
    let original = std::str::from_utf8(&pair.request.path).expect("a path that was sent");
    let (before, after) = (ClientPath::parse(original), ClientPath::parse(sent.path()));
    let [seen, unread] = reread.entry(kind.to_owned()).or_default();
    *seen += 1;
    if before.operation != after.operation {
        *unread += 1;
        // What is composed with the canonical suffix can only be misread for what stands before the suffix.
        let before_suffix = after.path.strip_suffix(before.suffix).unwrap_or(after.path);
        // A base path such as `/models` makes a thing of that collection of the one word that follows it.
        let is_thing = after.operation.suffix().is_some_and(|suffix| suffix.contains('{'));
        let versions = before_suffix.split('/').filter(|part| waypost::operation::is_version(part)).count();
        hold!(
            "output",
            kind != "composed" || versions > 0 || is_thing,
            "{:?} is {}, {:?} is {}",
            original,
            before.operation,
            sent.path(),
            after.operation
        );
        return Ok(());
    }
    let decision = decide(&config, client(pair), &Head::default(), Body::NoModel);
    let provider = decision.provider.expect("a provider that sent");
    let model = after.id("model").map(|model| String::from_utf8_lossy(&decoded(model)).into_owned());
    if model.is_some_and(|model| Model::of(&provider, model.clone()).unwrap().upstream != model) {
        return Ok(());
    }
    let again = self::config(&json!({ "provider": pair.provider }));
    let again = run(&again, pair, sent.headers.clone(), None);
    let Outcome::Sent(again) = again else { return Err(format!("[output] {} answers {again:?}", sent.path())) };
    hold!("output", again.path() == sent.path(), "{kind}: {original}, {}, {}", sent.path(), again.path());
    hold!("output", again.text(":authority") == sent.text(":authority"), "{:?}", again.text(":authority"));
    Ok(())
}

// -- The pairs --------------------------------------------------------------------------------------------------------

/// Secrets never show.
fn shows_no_secret(pair: &Pair, texts: [&str; 2]) -> Result<(), String> {
    let innocent = innocent(pair);
    for text in texts {
        hold!("secret", !text.contains(OPERATOR), "a configured token in\n{text}");
        hold!("secret", !holds_client(text.as_bytes(), &innocent), "the client's credential in\n{text}");
    }
    Ok(())
}

/// Everything that must hold of one pair; gives what became of it.
fn check(pair: &Pair, reread: &mut BTreeMap<String, [usize; 2]>) -> Result<String, String> {
    let configuration = pair.configuration();
    let outcome = run(&config(&configuration), pair, fields(pair), None);
    let (shown, text) = explained(&config(&configuration), pair);
    agrees(&shown, &outcome)?;
    shows_no_secret(pair, [&shown.to_string(), &text])?;
    Ok(match &outcome {
        Outcome::Untouched => "untouched".to_owned(),
        Outcome::Reply { status, .. } => status.to_string(),
        Outcome::Sent(sent) => {
            // What falls through to a pool without an active provider is not sent; so this is the pair's provider.
            path_is_safe(&config(&configuration), pair, sent)?;
            credential_is_alone(pair, sent)?;
            same_with_the_saved_original(pair, sent)?;
            same_without_it(pair, reread)?;
            shows_the_model(&shown, sent, pair)?;
            "sent".to_owned()
        }
    })
}

/// What of the pair failed: `[agreement]`.
fn label(reason: &str) -> &str {
    reason.split_inclusive(']').next().unwrap_or_default()
}

fn show(pair: &Pair) -> String {
    let request = &pair.request;
    let lossy = |bytes: &[u8]| String::from_utf8_lossy(bytes).into_owned();
    let headers: Vec<_> = request.headers.iter().map(|(name, value)| format!("{name}: {}", lossy(value))).collect();
    format!(
        "{}\n  {} {:?}{:?} route {} cluster {:?} late end {}\n  {headers:?}\n  body {:?}",
        pair.configuration(),
        request.method,
        lossy(&request.host),
        lossy(&request.path),
        request.route,
        request.cluster,
        pair.late_end,
        lossy(&request.body)
    )
}

#[test]
fn explain_agrees_with_the_filter_and_what_the_filter_sends_is_safe() {
    let seed = generate::seed();
    let mut runner = generate::runner(seed);
    let strategy = generate::pair(Wire::None);
    let mut outcomes: BTreeMap<String, usize> = BTreeMap::new();
    let mut types: BTreeMap<&str, usize> = BTreeMap::new();
    let mut reread = BTreeMap::new();
    let mut failures: BTreeMap<String, usize> = BTreeMap::new();
    let mut report = String::new();
    for _ in 0..PAIRS {
        let tree = strategy.new_tree(&mut runner).expect("a pair");
        let pair = tree.current();
        let result = check(&pair, &mut reread);
        match result {
            Ok(outcome) => {
                if outcome == "sent" {
                    *types.entry(preset_of(&pair.provider).name).or_default() += 1;
                }
                *outcomes.entry(outcome).or_default() += 1;
            }
            Err(reason) => {
                let label = label(&reason).to_owned();
                let seen = failures.entry(label.clone()).or_default();
                *seen += 1;
                if *seen <= REPORTED {
                    let test = |pair: Pair| match check(&pair, &mut BTreeMap::new()) {
                        Err(reason) if self::label(&reason) == label => {
                            Err(TestCaseError::fail(format!("{reason}\n  {}", show(&pair))))
                        }
                        _ => Ok(()),
                    };
                    if let Err(TestError::Fail(reason, _)) = generate::runner(seed).run_one(tree, test) {
                        let _ = writeln!(report, "{reason}\n");
                    }
                }
            }
        }
    }
    eprintln!("seed {seed}: {outcomes:?}\nread again as the same operation, of how many not: {reread:?}");
    assert!(failures.is_empty(), "of {PAIRS} pairs (seed {seed}) fail: {failures:?}\n\n{report}");
    // A generator that makes nothing but refusals says nothing.
    let sent = outcomes.get("sent").copied().unwrap_or_default();
    assert!(sent * 5 > PAIRS * 2, "only {sent} of {PAIRS} pairs were sent: {outcomes:?}");
    let missing: Vec<_> =
        Preset::all().iter().map(|preset| preset.name).filter(|name| !types.contains_key(name)).collect();
    assert!(missing.is_empty(), "never sent to {missing:?}");
    for outcome in ["untouched", "400", "404", "501", "503"] {
        assert!(outcomes.contains_key(outcome), "no pair is {outcome}: {outcomes:?}");
    }
}

// -- What was found before --------------------------------------------------------------------------------------------

const CHAT: &str = "/v1/chat/completions";
const GPT_4O: &str = r#"{"model":"gpt-4o"}"#;

/// A provider, a method, a path, one header, a body and what becomes of it.
type Found = (Value, &'static str, &'static str, (&'static str, &'static str), &'static str, &'static str);

/// Shrunk pairs on which filter and explanation disagreed, or that broke an invariant.
fn found() -> Vec<Found> {
    let json = ("content-type", "application/json");
    let bearer = ("authorization", "Bearer cl13nt-authorization");
    let tokens = json!([TOKENS[0]]);
    let azure = json!({"type": "azure", "baseUrl": "https://h?api-version=1", "apiTokens": tokens});
    let query = json!({"query": "key"});
    let own = json!({"type": "generic", "baseUrl": "https://h", "apiTokens": tokens, "credential": query});
    let passed = json!({"type": "openai", "auth": "passthrough", "credential": query});
    let slot = json!({"chat_completions": "/own/{model}/chat"});
    let openai = |more: Value| {
        let mut provider = json!({"type": "openai", "apiTokens": tokens});
        for (key, value) in more.as_object().into_iter().flatten() {
            provider[key.as_str()] = value.clone();
        }
        provider
    };
    vec![
        // A body counts whatever the method, and only if a filter can read it.
        (azure.clone(), "GET", CHAT, json, GPT_4O, "sent"),
        (azure.clone(), "POST", CHAT, ("content-type", "text/plain"), GPT_4O, "sent"),
        (azure.clone(), "POST", CHAT, ("content-encoding", "gzip"), GPT_4O, "415"),
        (azure, "POST", CHAT, ("content-length", "1073741824"), GPT_4O, "413"),
        // An endpoint wins over `pathMode: preserve` and over own paths, and its slot is filled there too.
        (openai(json!({"pathMode": "preserve", "endpoints": slot})), "POST", CHAT, json, GPT_4O, "sent"),
        (openai(json!({"protocol": "original", "endpoints": slot})), "POST", CHAT, json, GPT_4O, "sent"),
        (json!({"type": "generic", "baseUrl": "https://h", "endpoints": slot}), "POST", CHAT, json, GPT_4O, "sent"),
        // A model is shown only where it goes.
        (openai(json!({"modelMapping": {"*": "any"}})), "GET", "/v1/models", json, "", "sent"),
        (
            openai(json!({"modelMapping": {"*": "any"}, "pathMode": "preserve"})),
            "GET",
            "/v1/models/x",
            json,
            "",
            "sent",
        ),
        // The configured query parameter is a credential also where the vendor speaks nothing but its own protocol.
        (own, "POST", "/x?key=cl13nt_q_key", json, "{}", "sent"),
        // The client's credential goes once, from wherever it was, and again on a retry.
        (json!({"type": "openai", "auth": "passthrough"}), "GET", "/v1/models?key=cl13nt_q_key", json, "", "sent"),
        (passed.clone(), "POST", CHAT, bearer, GPT_4O, "sent"),
        (passed.clone(), "POST", CHAT, ("authorization", "Bearer cl13nt&alt=sse#x?y z"), GPT_4O, "sent"),
        (passed, "POST", CHAT, ("x-api-key", "cl13nt part two"), GPT_4O, "sent"),
        (
            json!({"type": "openai", "auth": "passthrough"}),
            "POST",
            CHAT,
            ("authorization", "cl13nt two"),
            GPT_4O,
            "sent",
        ),
        (openai(json!({"apiTokens": [TOKENS[2]], "credential": {"query": "key"}})), "POST", CHAT, json, GPT_4O, "sent"),
        (
            openai(json!({"auth": "none", "credential": {"header": "X-Vendor-Key"}})),
            "POST",
            CHAT,
            (OWN_HEADER, "cl13nt-own"),
            GPT_4O,
            "sent",
        ),
        // Nothing that would end a request line is passed on, wherever it stands.
        (openai(json!({})), "GET", "/v1/models/a b", json, "", "400"),
        (openai(json!({})), "POST", "/v1/chat/completions?a=\u{1}", json, GPT_4O, "400"),
        // A setting that cannot be read is not an unset one.
        (json!({"type": "openai", "apiTokens": {"token": "x"}}), "POST", CHAT, bearer, GPT_4O, "503"),
        (json!({"type": "openai", "auth": "inyect"}), "POST", CHAT, bearer, GPT_4O, "503"),
        (openai(json!({"baseUrl": ["https://h"]})), "POST", CHAT, bearer, GPT_4O, "503"),
        (openai(json!({"protocol": "orginal"})), "POST", CHAT, bearer, GPT_4O, "503"),
    ]
}

#[test]
fn what_was_found_before_holds() {
    let mut wrong = String::new();
    for (provider, method, path, (name, value), body, expected) in found() {
        for place in [Place::Global, Place::Rule, Place::GlobalPool] {
            let pair = Pair {
                provider: provider.clone(),
                form: Form { place, conditions: vec![("_match_domain_", json!(["DOMAIN"]))], others: false },
                request: Request {
                    method,
                    host: b"client.test".to_vec(),
                    path: path.as_bytes().to_vec(),
                    headers: vec![(name.to_owned(), value.as_bytes().to_vec())],
                    body: body.as_bytes().to_vec(),
                    route: "",
                    cluster: "",
                },
                chunks: Vec::new(),
                late_end: false,
            };
            let result = check(&pair, &mut BTreeMap::new()).unwrap_or_else(|reason| reason);
            if result != expected {
                let _ = writeln!(wrong, "expected {expected}: {result}\n  {}\n", show(&pair));
            }
        }
    }
    assert!(wrong.is_empty(), "{wrong}");
}

// -- Any bytes --------------------------------------------------------------------------------------------------------

fn bytes() -> impl Strategy<Value = Vec<u8>> {
    let piece = prop_oneof![
        3 => select(vec![
            &b"/v1"[..], b"/chat/completions", b"/models/", b"?", b"&", b"=", b"key", b"%", b"%2e", b"..", b"/", b"\\", b":",
            b"{model}", b":generateContent", b"#", b"*", b"\0", b"\n", b" ", b"Bearer ", b"\xff", b"[::1]", b"client.test",
            b"/team-a", "模".as_bytes(),
        ]).prop_map(<[u8]>::to_vec),
        1 => vec(any::<u8>(), 0..8),
    ];
    vec(piece, 0..8).prop_map(|pieces| pieces.concat())
}

/// Any JSON, with the keys that configurations have in its objects.
fn any_json() -> impl Strategy<Value = Value> {
    let keys = waypost::config::settings::ProviderSettings::KEYS.iter().map(|info| info.key);
    let mut keys: Vec<&str> = keys.collect();
    keys.extend([
        "provider",
        "providers",
        "activeProviderId",
        "_rules_",
        "_match_domain_",
        "_match_route_",
        "_match_service_",
        "_match_route_prefix_",
        "_match_x_",
        "header",
        "prefix",
        "query",
        "gpt-*",
        "~(",
        "~.*",
        "*",
        "",
        "chat_completions",
        "model",
        "passthrough",
    ]);
    let text = prop_oneof![
        3 => select(vec![
            "", "/", "openai", "azure", "vertex", "bedrock", "generic", "inject", "none", "preserve", "original", "prepend",
            "https://h/v1?x=1", "https://u:p@h", "h:99999", "/x/{model}", "/{", "~(", "mine", "..", "v1", "%", "true", "\u{0}",
        ]).prop_map(str::to_owned),
        1 => any::<String>(),
        1 => bytes().prop_map(|bytes| String::from_utf8_lossy(&bytes).into_owned()),
    ];
    let leaf = prop_oneof![
        4 => text.prop_map(Value::from),
        1 => Just(Value::Null),
        1 => any::<bool>().prop_map(Value::from),
        1 => any::<i64>().prop_map(Value::from),
        1 => any::<f64>().prop_map(Value::from),
    ];
    leaf.prop_recursive(4, 48, 6, move |inner| {
        prop_oneof![
            1 => vec(inner.clone(), 0..4).prop_map(Value::from),
            3 => vec((select(keys.clone()), inner), 0..6)
                .prop_map(|members| members.into_iter().map(|(key, value)| (key.to_owned(), value)).collect()),
        ]
    })
}

/// The places of a document that can be replaced.
fn nodes(value: &Value, at: &str, out: &mut Vec<String>) {
    out.push(at.to_owned());
    let children: Vec<(String, &Value)> = match value {
        Value::Array(items) => items.iter().enumerate().map(|(index, item)| (index.to_string(), item)).collect(),
        Value::Object(members) => {
            members.iter().map(|(key, item)| (key.replace('~', "~0").replace('/', "~1"), item)).collect()
        }
        Value::Null | Value::Bool(_) | Value::Number(_) | Value::String(_) => Vec::new(),
    };
    for (key, child) in children {
        nodes(child, &format!("{at}/{key}"), out);
    }
}

/// Sends a request through whatever a configuration became, and has it explained. Where the configuration has an error,
/// its requests are answered with 503: nothing is sent as if the setting were not there.
///
/// Entries of a pool count only where they are used, and `_rules_` that is no list leaves the global configuration.
fn survives(configuration: &[u8], pair: &Pair) {
    let Ok(loaded) = load(configuration) else { return };
    let outcome = run(&loaded.config, pair, fields(pair), None);
    let (shown, _) = explained(&loaded.config, pair);
    let rule = shown["rule"].as_str().expect("a rule");
    let concerns = |path: &str| match rule {
        "global" => !path.starts_with("_rules_"),
        rule => path.strip_prefix(rule).is_some_and(|rest| rest.is_empty() || rest.starts_with('.')),
    };
    let error = loaded.problems.iter().find(|problem| {
        problem.severity == Severity::Error && concerns(&problem.path) && !problem.path.contains("providers[")
    });
    if let Some(error) = error {
        let broken = matches!(outcome, Outcome::Reply { status: 503, .. });
        assert!(broken, "{error}; no 503 for requests of\n{}", String::from_utf8_lossy(configuration));
    }
}

/// A generated pair whose bytes are replaced by any.
fn damaged() -> impl Strategy<Value = Pair> {
    let header = (select(CREDENTIAL_HEADERS.to_vec()), bytes());
    (generate::pair(Wire::None), bytes(), bytes(), vec(header, 0..4), prop::option::of(bytes())).prop_map(
        |(mut pair, path, host, headers, body)| {
            pair.request.path = path;
            pair.request.host = host;
            pair.request.headers.extend(headers.into_iter().map(|(name, value)| (name.to_owned(), value)));
            for name in ["content-type", "content-length", "content-encoding"] {
                pair.request.headers.extend(body.clone().map(|body| (name.to_owned(), body)));
            }
            if let Some(body) = body {
                pair.request.body = body;
            }
            pair
        },
    )
}

proptest! {
    #![proptest_config(ProptestConfig { failure_persistence: None, ..ProptestConfig::with_cases(500) })]

    #[test]
    fn any_bytes_in_a_request_are_survived(pair in damaged()) {
        let configuration = pair.configuration().to_string();
        survives(configuration.as_bytes(), &pair);
        // The host does not decide who is asked here.
        survives(json!({ "provider": pair.provider }).to_string().as_bytes(), &pair);
    }

    #[test]
    fn any_json_for_a_configuration_is_survived(
        pair in generate::pair(Wire::None), value in any_json(), place in any::<Index>(), cut in any::<(Index, Index, u8)>()
    ) {
        survives(value.to_string().as_bytes(), &pair);
        survives(json!({ "provider": value }).to_string().as_bytes(), &pair);
        survives(json!({ "_rules_": [value] }).to_string().as_bytes(), &pair);
        let mut mutated = pair.configuration();
        let mut places = Vec::new();
        nodes(&mutated, "", &mut places);
        *mutated.pointer_mut(&places[place.index(places.len())]).expect("a place in the document") = value;
        let mut text = mutated.to_string().into_bytes();
        survives(&text, &pair);
        let (at, end, byte) = cut;
        let at = at.index(text.len());
        text[at] = byte;
        survives(&text, &pair);
        survives(&text[..end.index(text.len())], &pair);
    }

    #[test]
    fn any_bytes_for_a_configuration_are_survived(text in bytes(), pair in generate::pair(Wire::None)) {
        survives(&text, &pair);
    }
}

#[test]
fn every_operation_and_type_is_generated() {
    let mut runner = generate::runner(generate::seed());
    let strategy = generate::pair(Wire::Envoy);
    let mut seen = BTreeMap::new();
    for _ in 0..PAIRS {
        let pair = strategy.new_tree(&mut runner).expect("a pair").current();
        let path = String::from_utf8(pair.request.path).expect("a path for Envoy");
        *seen.entry(ClientPath::parse(&path).operation).or_insert(0_usize) += 1;
    }
    let missing: Vec<_> = Operation::all().filter(|operation| !seen.contains_key(operation)).collect();
    assert!(missing.is_empty(), "never asked for: {missing:?}");
}
