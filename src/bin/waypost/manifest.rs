//! Kubernetes resources that hold a configuration: `WasmPlugin` of Higress and Istio, `EnvoyExtensionPolicy` of Envoy
//! Gateway. A cluster has many plugins; those of others are named and passed over.

use crate::document::{Contents, Document, Finding, Level, Spot, is_ours, items, text};
use waypost::config::problem::Severity;
use waypost::json::Node;

/// The conditions of an entry of `matchRules`, with the keys that Higress's controller makes of them.
pub(crate) const CONDITIONS: [(&str, &str); 3] =
    [("ingress", "_match_route_"), ("service", "_match_service_"), ("domain", "_match_domain_")];

/// What names of images and resources of Waypost, or of the plugin whose configurations it takes, contain.
pub(crate) const NAMES: [&str; 3] = ["waypost", "ai-proxy", "ai_proxy"];

/// The kind of a Kubernetes resource.
pub(crate) fn kind(node: &Node) -> Option<&str> {
    node.get("apiVersion")?;
    text(node, "kind")
}

/// `kind namespace/name` of a resource.
pub(crate) fn name(node: &Node, kind: &str) -> String {
    let metadata = |key| node.get("metadata").and_then(|metadata| text(metadata, key));
    let name = metadata("name").unwrap_or("without a name");
    match metadata("namespace") {
        Some(namespace) => format!("{kind} {namespace}/{name}"),
        None => format!("{kind} {name}"),
    }
}

/// Whether a name or the address of an image is one of Waypost's. Of an address only the last part counts.
fn is_named(name: &str) -> bool {
    let last = name.rsplit('/').next().unwrap_or(name);
    NAMES.iter().any(|ours| last.contains(ours))
}

/// Whether a configuration has what only one of providers has.
fn has_providers(config: &Node) -> bool {
    let typed = |node: &Node| node.get("type").is_some();
    config.get("activeProviderId").is_some()
        || config.get("provider").is_some_and(typed)
        || items(config.get("providers")).iter().any(typed)
}

const OTHER: &str = "is another plugin, and was passed over";

/// The configuration of a `WasmPlugin`, put together as Higress's controller does: `pluginConfig` as it is, else
/// `defaultConfig` with the `matchRules` that are not disabled as `_rules_`.
pub(crate) fn wasm_plugin(manifest: &Node, spot: &Spot, contents: &mut Contents) {
    let empty = Node::Map(Vec::new());
    let spec = manifest.get("spec").unwrap_or(&empty);
    let rules = items(spec.get("matchRules"));
    let label = |key| manifest.get("metadata").and_then(|metadata| text(metadata.get("labels")?, key));
    let metadata_name = manifest.get("metadata").and_then(|metadata| text(metadata, "name"));
    let names = [metadata_name, text(spec, "pluginName"), text(spec, "url"), label("higress.io/wasm-plugin-name")];
    let mut configs = [spec.get("pluginConfig"), spec.get("defaultConfig")]
        .into_iter()
        .chain(rules.iter().map(|rule| rule.get("config")))
        .flatten();
    let url = text(spec, "url").filter(|url| !url.is_empty());
    if let Some(url) = url
        && !names.into_iter().flatten().any(is_named)
        && !configs.any(has_providers)
    {
        contents.notes.push(spot.finding(Level::Note, format!("{OTHER}: {url}")));
        return;
    }
    let mut around = Vec::new();
    if text(spec, "failStrategy") == Some("FAIL_OPEN") {
        // The console writes it into every resource, and nobody can choose there.
        let by_console = label("higress.io/resource-definer") == Some("higress");
        let level = if by_console { Level::Note } else { Level::Of(Severity::Warning) };
        around.push(spot.at("spec.failStrategy").finding(level, OPEN));
    }
    if let Some(config) = spec.get("pluginConfig") {
        contents.documents.push(Document::new(config, spot.at("spec.pluginConfig"), around));
        return;
    }
    let disabled = |node: &Node, key| node.get(key) == Some(&Node::Bool(true));
    let mut members = match spec.get("defaultConfig") {
        Some(Node::Map(members)) if !disabled(spec, "defaultConfigDisable") => members.clone(),
        _ => Vec::new(),
    };
    let kept: Vec<_> = rules.iter().enumerate().filter(|(_, rule)| !disabled(rule, "configDisable")).collect();
    let spot = spot.at("spec.defaultConfig").with_rules(kept.iter().map(|(index, _)| *index).collect());
    if kept.is_empty() && disabled(spec, "defaultConfigDisable") {
        contents.documents.push(Document::switched_off(spot));
        return;
    }
    if !kept.is_empty() {
        members.push(("_rules_".to_owned(), Node::List(kept.iter().map(|(_, rule)| plugin_rule(rule)).collect())));
    }
    contents.documents.push(Document::new(&Node::Map(members), spot, around));
}

/// What is said where a filter that fails is left out.
pub(crate) const OPEN: &str =
    "requests pass untouched while the filter fails, with the credential that their client brought; close it";

fn plugin_rule(rule: &Node) -> Node {
    let mut members = match rule.get("config") {
        Some(Node::Map(members)) => members.clone(),
        _ => Vec::new(),
    };
    for (key, plugin_key) in CONDITIONS {
        match rule.get(key) {
            Some(Node::List(list)) if !list.is_empty() => {
                members.push((plugin_key.to_owned(), Node::List(list.clone())));
            }
            _ => {}
        }
    }
    Node::Map(members)
}

/// The configurations of an `EnvoyExtensionPolicy`.
pub(crate) fn extension_policy(manifest: &Node, spot: &Spot, contents: &mut Contents) {
    for (index, wasm) in items(manifest.get("spec").and_then(|spec| spec.get("wasm"))).iter().enumerate() {
        let spot = spot.at(&format!("spec.wasm[{index}]"));
        let code = wasm.get("code").map(Node::to_json).unwrap_or_default();
        let named = [text(wasm, "name"), text(wasm, "rootID"), Some(code.as_str())];
        let ours = named.into_iter().flatten().any(|name| NAMES.iter().any(|ours| name.contains(ours)));
        let config = wasm.get("config").unwrap_or(&Node::Null);
        if !ours && !is_ours(config) {
            let what = text(wasm, "name").unwrap_or("without a name");
            contents.notes.push(spot.finding(Level::Note, format!("{OTHER}: {what}")));
            continue;
        }
        let mut around: Vec<Finding> = Vec::new();
        if wasm.get("failOpen") == Some(&Node::Bool(true)) {
            around.push(spot.at("failOpen").finding(Level::Of(Severity::Warning), OPEN));
        }
        let empty = Node::Map(Vec::new());
        let config = if *config == Node::Null { &empty } else { config };
        contents.documents.push(Document::new(config, spot.at("config"), around));
    }
}
