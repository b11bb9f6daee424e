//! Wasm filters inside a configuration of Envoy, wherever they stand in it, and what around them is wrong.

use crate::document::{Contents, Document, Finding, Level, ReadError, Spot, is_ours, items, text};
use crate::manifest::{NAMES, OPEN};
use crate::readers;
use waypost::config::problem::Severity;
use waypost::json::Node;

/// The chain of filters that a filter stands in.
#[derive(Clone, Copy)]
pub(crate) struct Chain<'n> {
    /// The connection manager, and where it stands.
    pub(crate) manager: &'n Node,
    pub(crate) spot: &'n Spot,
    /// Which of its filters it is.
    pub(crate) index: usize,
}

impl<'n> Chain<'n> {
    fn filters(self) -> &'n [Node] {
        items(self.manager.get("http_filters"))
    }

    /// The filters before it.
    pub(crate) fn before(self) -> &'n [Node] {
        self.filters().get(..self.index).unwrap_or_default()
    }

    /// The filters behind it.
    pub(crate) fn behind(self) -> &'n [Node] {
        self.filters().get(self.index.saturating_add(1)..).unwrap_or_default()
    }
}

/// Looks for wasm filters in a document, and loads what they are configured with.
pub(crate) fn find(node: &Node, spot: &Spot, document: &str, contents: &mut Contents) -> Result<(), ReadError> {
    walk(node, spot, None, &mut Walk { document, contents })
}

struct Walk<'w> {
    document: &'w str,
    contents: &'w mut Contents,
}

fn walk(node: &Node, spot: &Spot, chain: Option<Chain<'_>>, walk_: &mut Walk<'_>) -> Result<(), ReadError> {
    if let Some(configuration) = node.get("configuration").filter(|value| value.get("@type").is_some()) {
        plugin(node, configuration, spot, chain, walk_)?;
    } else if node.get("vm_config").is_some() && node.get("configuration").is_none() && is_named(node) {
        let around = failing(node, spot);
        walk_.contents.documents.push(Document::new(&Node::Map(Vec::new()), spot.clone(), around));
    }
    for (key, value) in node.members().iter().filter(|(key, _)| key != "configuration") {
        let inner = spot.at(key);
        if key == "http_filters" {
            for (index, filter) in items(Some(value)).iter().enumerate() {
                let chain = Some(Chain { manager: node, spot, index });
                walk(filter, &inner.at(&format!("[{index}]")), chain, walk_)?;
            }
        } else {
            walk(value, &inner, chain, walk_)?;
        }
    }
    for (index, item) in items(Some(node)).iter().enumerate() {
        walk(item, &spot.at(&format!("[{index}]")), chain, walk_)?;
    }
    Ok(())
}

/// One `PluginConfig` of Envoy with its `configuration`.
fn plugin(
    node: &Node,
    configuration: &Node,
    spot: &Spot,
    chain: Option<Chain<'_>>,
    walk: &mut Walk<'_>,
) -> Result<(), ReadError> {
    let of = text(configuration, "@type").unwrap_or_default();
    let value = configuration.get("value").unwrap_or(&Node::Null);
    let value_spot = spot.at("configuration.value");
    let named = is_named(node);
    let mut around = failing(node, spot);
    match value {
        Node::Text(config) if of.ends_with(".StringValue") => {
            let parsed = waypost::json::parse(config.as_bytes());
            // What is no JSON can be told to be another plugin's only by the names around it.
            let ours = named || parsed.as_ref().map_or_else(|_| node.get("vm_config").is_none(), is_ours);
            if ours {
                if let (Ok(parsed), Some(chain)) = (&parsed, chain) {
                    around.extend(consumer(parsed, chain, &value_spot));
                }
                walk.contents.find_in_text(config, &value_spot, walk.document, around)?;
                if let (Some(document), Some(chain)) = (walk.contents.documents.last_mut(), chain) {
                    let found = readers::find(document.config(), chain);
                    document.add(found);
                }
                return Ok(());
            }
        }
        Node::Map(_) if of.ends_with(".Struct") && (named || is_ours(value)) => {
            around.push(spot.at("configuration").finding(
                Level::Of(Severity::Error),
                "is a google.protobuf.Struct, which Envoy hands over as the bytes of a protobuf message; put the JSON text \
                 into a google.protobuf.StringValue",
            ));
            walk.contents.documents.push(Document::new(value, value_spot, around));
            return Ok(());
        }
        _ => {}
    }
    if node.get("vm_config").is_some() {
        let name = text(node, "name").unwrap_or("without a name");
        let note = spot.finding(Level::Note, format!("is another plugin, and was passed over: {name}"));
        walk.contents.notes.push(note);
    }
    Ok(())
}

/// Whether the name of a plugin, or where its code is, is one of Waypost's.
fn is_named(plugin: &Node) -> bool {
    let code = plugin.get("vm_config").map(Node::to_json).unwrap_or_default();
    let names = [text(plugin, "name"), text(plugin, "root_id"), Some(code.as_str())];
    names.into_iter().flatten().any(|name| NAMES.iter().any(|ours| name.contains(ours)))
}

/// What happens to requests when the filter fails.
///
/// Source: <https://www.envoyproxy.io/docs/envoy/latest/api-v3/extensions/wasm/v3/wasm.proto>.
fn failing(plugin: &Node, spot: &Spot) -> Vec<Finding> {
    let warn = |spot: &Spot, message: &str| spot.finding(Level::Of(Severity::Warning), message);
    let mut found = Vec::new();
    if plugin.get("fail_open") == Some(&Node::Bool(true)) {
        found.push(warn(&spot.at("fail_open"), OPEN));
    }
    match text(plugin, "failure_policy") {
        Some("FAIL_OPEN") => found.push(warn(&spot.at("failure_policy"), OPEN)),
        None if plugin.get("vm_config").is_some() => found.push(warn(
            spot,
            "`failure_policy` is missing: after one failure of the filter every request is answered with an error until \
             Envoy starts anew; `FAIL_RELOAD` starts the filter anew",
        )),
        Some(_) | None => {}
    }
    found
}

/// Filters that set no request header, by a part of their names. About any other nothing is known.
const SETS_NO_HEADER: &[&str] = &[
    "cors",
    "csrf",
    "rbac",
    "ratelimit",
    "local_ratelimit",
    "bandwidth_limit",
    "buffer",
    "health_check",
    "fault",
    "compressor",
    "decompressor",
    "json_to_metadata",
    "header_to_metadata",
    "grpc_stats",
    "on_demand",
    "tap",
    "admission_control",
    "adaptive_concurrency",
    "router",
];

/// Whether clients can name themselves: the consumer is a label or has a header of its own, and nothing before Waypost
/// sets or removes that header.
fn consumer(config: &Node, chain: Chain<'_>, spot: &Spot) -> Option<Finding> {
    /// As in `statistics`, where nothing is configured.
    const HEADER: &str = "x-mse-consumer";
    let statistics = config.get("statistics")?;
    let names = !items(statistics.get("consumers")).is_empty();
    let header = text(statistics, "consumerHeader").filter(|name| !name.is_empty());
    if !names && header.is_none() {
        return None;
    }
    let header = header.unwrap_or(HEADER);
    let sets = |filter: &Node| {
        let name = text(filter, "name").unwrap_or_default();
        let of = filter.get("typed_config").and_then(|config| text(config, "@type")).unwrap_or_default();
        !SETS_NO_HEADER
            .iter()
            .any(|known| name.rsplit('.').next() == Some(*known) || of.split('.').any(|part| part == *known))
    };
    let early = chain.manager.get("early_header_mutation_extensions").is_some();
    let internal = chain.manager.get("route_config").and_then(|routes| routes.get("internal_only_headers"));
    let removed =
        items(internal).iter().any(|name| matches!(name, Node::Text(name) if name.eq_ignore_ascii_case(header)));
    if early || removed || chain.before().iter().any(sets) {
        return None;
    }
    let message = format!(
        "the consumer is read from `{header}`, which clients can send themselves: no filter before Waypost sets it, and \
         nothing removes it"
    );
    Some(spot.finding(Level::Of(Severity::Warning), message))
}
