//! What stands in Envoy's filter chain, from nothing to everything.

use crate::Failed;
use crate::exchanges::{CHAT_PATH, Exchange, MODELS};
use crate::support::{EnvoyConfig, root, wasm_path};
use crate::upstream::Captured;
use serde_json::{Value, json};
use std::collections::BTreeMap;
use std::env;
use std::fs;
use std::net::SocketAddr;
use std::path::PathBuf;

/// What the client asks for.
pub(crate) const CLIENT_AUTHORITY: &str = "bench.localhost";
/// Where Waypost sends it.
const PROVIDER_AUTHORITY: &str = "llm.bench.example";
const TOKEN: &str = "bench-token";

/// Ids of the two that all others are compared with.
pub(crate) const NONE: &str = "none";
pub(crate) const EMPTY: &str = "empty";
pub(crate) const EVERYTHING: &str = "everything";

/// Envoy's counters by name.
type Statistics = BTreeMap<String, u64>;

enum Kind {
    /// Envoy alone.
    None,
    /// A wasm filter that does nothing.
    Empty,
    /// Another wasm in place of Waypost, with the text of its configuration. What it does to requests is its own affair.
    Peer {
        file: PathBuf,
        configuration: String,
    },
    /// Envoy's own filter for AI requests.
    Native,
    Waypost {
        configuration: Value,
        edits: bool,
    },
}

pub(crate) struct Variant {
    /// For `BENCH_ONLY`.
    pub(crate) id: &'static str,
    pub(crate) name: &'static str,
    kind: Kind,
}

impl Variant {
    /// All of them; no filter comes first, the empty one next. `profile` adds steps between path only and everything.
    pub(crate) fn all(profile: bool) -> Result<Vec<Self>, Failed> {
        let waypost = |id, name, edits, provider: Value, statistics: Value| {
            let mut all =
                json!({"type": "openai", "baseUrl": format!("https://{PROVIDER_AUTHORITY}"), "apiTokens": [TOKEN]});
            if let (Some(all), Value::Object(provider)) = (all.as_object_mut(), provider) {
                all.extend(provider);
            }
            let configuration = json!({"provider": all, "statistics": statistics});
            Self { id, name, kind: Kind::Waypost { configuration, edits } }
        };
        let mapping: Value = MODELS.iter().map(|(from, to)| ((*from).to_owned(), json!(to))).collect();
        let quiet = json!({"metricStyle": "none", "disable_openai_usage": true});
        let unread = json!({"includeUsage": "off"});
        let mapped = json!({"modelMapping": mapping});
        let mut variants = vec![
            Self { id: NONE, name: "no filter", kind: Kind::None },
            Self { id: EMPTY, name: "empty wasm filter", kind: Kind::Empty },
            waypost("path", "waypost, path only", false, unread.clone(), quiet.clone()),
        ];
        if profile {
            // Only paths that no request has are recorded.
            let unrecorded =
                json!({"enable_path_suffixes": ["/none"], "metricStyle": "none", "disable_openai_usage": true});
            let metered = json!({"metricStyle": "none"});
            variants.extend([
                waypost("unrecorded", "… no record", false, unread.clone(), unrecorded),
                waypost("mapping", "… path and mapping", true, mapped.clone(), quiet),
                waypost("usage", "… mapping, usage", true, mapped.clone(), metered),
                waypost("metrics", "… usage and metrics, no mapping", false, unread, json!({})),
            ]);
        }
        variants.push(waypost(EVERYTHING, "waypost, everything", true, mapped, json!({})));
        variants.push(Self { id: "native", name: "ai_protocol_manager", kind: Kind::Native });
        if let Some(file) = env::var_os("PEER_WASM").filter(|file| !file.is_empty()) {
            let configuration = env::var("PEER_CONFIG").unwrap_or_default();
            // The configuration itself, or the file that it stands in.
            let configuration = fs::read_to_string(&configuration).unwrap_or(configuration);
            let file = fs::canonicalize(&file).map_err(|error| format!("PEER_WASM={}: {error}", file.display()))?;
            variants.push(Self { id: "peer", name: "peer", kind: Kind::Peer { file, configuration } });
        }
        Ok(variants)
    }

    /// Whether it is one that may refuse a kind of request without that being a fault of this program.
    pub(crate) const fn is_foreign(&self) -> bool {
        matches!(self.kind, Kind::Native | Kind::Peer { .. })
    }

    /// The shipped `envoy/envoy.yaml`, with this in the place of the filter.
    pub(crate) fn envoy(&self, upstream: SocketAddr) -> EnvoyConfig {
        let config = EnvoyConfig::new(upstream).concurrency(1).log_level("warning");
        match &self.kind {
            Kind::None => config.without_filter(),
            Kind::Empty => config.wasm_file(&empty_filter()),
            Kind::Peer { file, configuration } => config.wasm_file(file).waypost_text(configuration),
            Kind::Waypost { configuration, .. } => config.waypost(configuration),
            Kind::Native => config.without_filter().http_filter(native()).routes(native_routes()),
        }
    }

    /// Size of the module in bytes, if it is one.
    pub(crate) fn size(&self) -> Option<u64> {
        let file = match &self.kind {
            Kind::None | Kind::Native => return None,
            Kind::Empty => empty_filter(),
            Kind::Peer { file, .. } => file.clone(),
            Kind::Waypost { .. } => wasm_path(),
        };
        fs::metadata(file).ok().map(|metadata| metadata.len())
    }

    /// Whether what leaves no trace in the request was done: `before` and `after` are the statistics around it.
    pub(crate) fn check_statistics(&self, before: &Statistics, after: &Statistics) -> Result<(), Failed> {
        if !matches!(self.kind, Kind::Native) {
            return Ok(());
        }
        let idle = NATIVE_COUNTERS.into_iter().find(|counter| after.get(*counter) <= before.get(*counter));
        idle.map_or(Ok(()), |counter| Err(format!("{counter} does not count").into()))
    }

    /// Whether the request arrived as it should. A figure of a filter that did not do its work says nothing.
    pub(crate) fn check(&self, exchange: &Exchange, arrived: &Captured) -> Result<(), Failed> {
        let right = match &self.kind {
            Kind::None | Kind::Empty => arrived.authority == CLIENT_AUTHORITY && arrived.body == exchange.body,
            Kind::Peer { .. } => true,
            Kind::Native => arrived.json()? == serde_json::from_slice::<Value>(&exchange.body)?,
            Kind::Waypost { edits, .. } => {
                let body = if *edits { arrived.json()? == exchange.edited()? } else { arrived.body == exchange.body };
                let credential = format!("Bearer {TOKEN}");
                body && arrived.authority == PROVIDER_AUTHORITY
                    && arrived.path == exchange.path
                    && arrived.header("authorization") == Some(credential.as_bytes())
            }
        };
        if right {
            return Ok(());
        }
        let (Captured { authority, path, .. }, length) = (arrived, arrived.body.len());
        Err(format!("{length} bytes arrived at {authority}{path}, which is not the request it should be").into())
    }
}

/// Counters that show that Envoy's own filter read a request and found the usage in a response.
const NATIVE_COUNTERS: [&str; 2] = ["ai_protocol_manager.request_parsed", "ai_protocol_manager.token_usage_found"];

/// Where `make bench` builds it.
fn empty_filter() -> PathBuf {
    root().join("target/bench/empty_filter.wasm")
}

const NATIVE: &str = "envoy.filters.http.ai_protocol_manager";
const NATIVE_TYPES: &str = "type.googleapis.com/envoy.extensions.filters.http.ai_protocol_manager.v3";

/// Both directions: the request is parsed, and the usage extracted from the response.
fn native() -> Value {
    json!({
        "name": NATIVE,
        "typed_config": {
            "@type": format!("{NATIVE_TYPES}.AiProtocolManager"),
            "request_handling": {"parse_unconfigured_routes": true},
            "response_handling": {"token_usage": {
                "include_unconfigured_routes": true,
                "default_llm_protocol": "OPENAI_CHAT_COMPLETIONS",
            }},
        },
    })
}

/// Chat is declared as such, with its protocol. There is no name for embeddings: they are parsed as the JSON they are.
fn native_routes() -> Value {
    let route = json!({"cluster": "upstream", "timeout": "0s"});
    let protocol = json!({"llm_protocol": "OPENAI_CHAT_COMPLETIONS"});
    json!([
        {"name": "chat", "match": {"path": CHAT_PATH}, "route": route, "typed_per_filter_config": {NATIVE: {
            "@type": format!("{NATIVE_TYPES}.AiProtocolManagerPerRoute"), "request": protocol, "response": protocol,
        }}},
        {"name": "ai", "match": {"prefix": "/"}, "route": route},
    ])
}
