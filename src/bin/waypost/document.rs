//! Finds the Waypost configurations in a file: plugin JSON or YAML, Higress and Istio `WasmPlugin`s, and whatever holds
//! one for Envoy (a bootstrap, an `EnvoyFilter`, an `EnvoyExtensionPolicy`), several documents in one file included.

use std::fmt;
use std::io::Read;
use std::path::Path;
use waypost::config::settings::{PluginSettings, ProviderSettings};
use waypost::config::{Loaded, load_node};
use waypost::json::{Node, SyntaxError, parse};

/// Why a file cannot be read.
#[derive(Debug)]
pub(crate) enum ReadError {
    /// The file system's words.
    Io(std::io::Error),
    /// Not JSON.
    Json(SyntaxError),
    /// Not YAML; the parser's words.
    Yaml(String),
    /// Not an object.
    NotAnObject(&'static str),
    /// A configuration inside another document that is not JSON, with its place.
    Inside(String, SyntaxError),
    /// A manifest or an Envoy configuration without one of Waypost's.
    Nothing,
}

impl fmt::Display for ReadError {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::Io(error) => error.fmt(f),
            Self::Json(error) => error.fmt(f),
            Self::Yaml(error) => error.fmt(f),
            Self::NotAnObject(found) => write!(f, "a configuration is an object, found {found}"),
            Self::Inside(place, error) => write!(f, "{place}: {error}"),
            Self::Nothing => f.write_str("no Waypost configuration is in it"),
        }
    }
}

/// A configuration, loaded, with the places of its parts.
pub(crate) struct Document {
    /// What is in it.
    pub(crate) loaded: Loaded,
    places: Places,
}

/// Where the parts of a configuration stand in the file.
enum Places {
    /// Below this place; at the top if it is empty.
    Below(String),
    /// In a manifest: below this place, and for each entry of `_rules_` its index in `matchRules`.
    Manifest(String, Vec<usize>),
}

impl Document {
    /// Reads every configuration of a file, at least one; `-` is standard input.
    pub(crate) fn read_all(path: &Path) -> Result<Vec<Self>, ReadError> {
        let bytes = read_bytes(path).map_err(ReadError::Io)?;
        let text = String::from_utf8(bytes).map_err(|_| ReadError::Yaml("is not UTF-8".to_owned()))?;
        // Every JSON document is YAML too, but what begins like JSON is better read as what the filter gets.
        let nodes = if text.trim_start().starts_with('{') {
            vec![parse(text.as_bytes()).map_err(ReadError::Json)?]
        } else {
            // Without the lines around the error: they may hold a token.
            serde_saphyr::from_multiple::<Node>(&text)
                .map_err(|error| ReadError::Yaml(error.without_snippet().to_string()))?
        };
        let mut found = Vec::new();
        if nodes.is_empty() {
            found.push(Self::plain(&Node::Map(Vec::new()), String::new()));
        }
        let many = nodes.len() > 1;
        for (index, node) in nodes.iter().enumerate() {
            let place = if many { format!("[{index}]") } else { String::new() };
            Self::find(node, place, &mut found)?;
        }
        if found.is_empty() { Err(ReadError::Nothing) } else { Ok(found) }
    }

    /// Reads the one configuration of a file.
    pub(crate) fn read_one(path: &Path) -> Result<Self, String> {
        let named = |error: &dyn fmt::Display| format!("{}: {error}", path.display());
        let mut found = Self::read_all(path).map_err(|error| named(&error))?;
        let several = found.len() > 1;
        match found.pop() {
            Some(document) if !several => Ok(document),
            _ => {
                let places: Vec<_> = found.iter().map(|document| document.place("$")).collect();
                Err(named(&format_args!(
                    "holds several configurations, at {} and more: give it only one",
                    places.join(", ")
                )))
            }
        }
    }

    fn plain(node: &Node, place: String) -> Self {
        Self { loaded: load_node(node), places: Places::Below(place) }
    }

    fn find(node: &Node, place: String, found: &mut Vec<Self>) -> Result<(), ReadError> {
        let kind = match node.get("kind") {
            Some(Node::Text(kind)) if node.get("apiVersion").is_some() => Some(kind.as_str()),
            _ => None,
        };
        match (node, kind) {
            (Node::Null, _) => found.push(Self::plain(&Node::Map(Vec::new()), place)),
            (Node::Map(_), Some("List")) => {
                for (index, item) in items(node.get("items")).iter().enumerate() {
                    Self::find(item, join(&place, &format!("items[{index}]")), found)?;
                }
            }
            (Node::Map(_), Some("WasmPlugin")) => found.push(Self::of_manifest(node, &place)),
            (Node::Map(_), Some("EnvoyExtensionPolicy")) => {
                let spec = node.get("spec").and_then(|spec| spec.get("wasm"));
                for (index, wasm) in items(spec).iter().enumerate() {
                    if let Some(config) = wasm.get("config") {
                        found.push(Self::plain(config, join(&place, &format!("spec.wasm[{index}].config"))));
                    }
                }
            }
            (Node::Map(members), None) if members.is_empty() || is_ours(node) => found.push(Self::plain(node, place)),
            (Node::Map(_), _) => Self::find_inside(node, &place, found)?,
            (other, _) => return Err(ReadError::NotAnObject(other.kind())),
        }
        Ok(())
    }

    /// Looks for `configuration: {"@type": …StringValue, value: JSON}`, as Envoy's wasm filter has it.
    fn find_inside(node: &Node, place: &str, found: &mut Vec<Self>) -> Result<(), ReadError> {
        for (key, value) in node.members() {
            let place = join(place, key);
            match (value.get("@type"), value.get("value")) {
                (Some(Node::Text(of)), Some(Node::Text(text)))
                    if key == "configuration" && of.ends_with(".StringValue") =>
                {
                    let place = join(&place, "value");
                    let config = parse(text.as_bytes()).map_err(|error| ReadError::Inside(place.clone(), error))?;
                    if is_ours(&config) {
                        found.push(Self::plain(&config, place));
                    }
                }
                _ => Self::find_inside(value, &place, found)?,
            }
        }
        for (index, item) in items(Some(node)).iter().enumerate() {
            Self::find_inside(item, &format!("{place}[{index}]"), found)?;
        }
        Ok(())
    }

    /// Puts plugin JSON together as Higress's controller does: `pluginConfig` as it is, else `defaultConfig` with the
    /// `matchRules` that are not disabled as `_rules_`.
    fn of_manifest(manifest: &Node, place: &str) -> Self {
        let empty = Node::Map(Vec::new());
        let spec = manifest.get("spec").unwrap_or(&empty);
        if let Some(config) = spec.get("pluginConfig") {
            return Self::plain(config, join(place, "spec.pluginConfig"));
        }
        let disabled = |node: &Node, key| node.get(key) == Some(&Node::Bool(true));
        let mut members = match spec.get("defaultConfig") {
            Some(Node::Map(members)) if !disabled(spec, "defaultConfigDisable") => members.clone(),
            _ => Vec::new(),
        };
        let rules = items(spec.get("matchRules"));
        let kept: Vec<_> = rules.iter().enumerate().filter(|(_, rule)| !disabled(rule, "configDisable")).collect();
        if !kept.is_empty() {
            members.push(("_rules_".to_owned(), Node::List(kept.iter().map(|(_, rule)| plugin_rule(rule)).collect())));
        }
        let rules = kept.iter().map(|(index, _)| *index).collect();
        Self { loaded: load_node(&Node::Map(members)), places: Places::Manifest(place.to_owned(), rules) }
    }

    /// The place of a problem as it stands in the file.
    pub(crate) fn place(&self, path: &str) -> String {
        match &self.places {
            Places::Below(place) if place.is_empty() => path.to_owned(),
            Places::Below(place) if path == "$" => place.clone(),
            Places::Below(place) => join(place, path),
            Places::Manifest(place, rules) => {
                let rule = path.strip_prefix("_rules_[").and_then(|rest| rest.split_once(']'));
                match rule.and_then(|(index, rest)| Some((rules.get(index.parse::<usize>().ok()?)?, rest))) {
                    Some((index, rest)) => join(place, &format!("spec.matchRules[{index}].config{rest}")),
                    None if path == "$" => join(place, "spec.defaultConfig"),
                    None => join(place, &format!("spec.defaultConfig.{path}")),
                }
            }
        }
    }
}

fn join(place: &str, rest: &str) -> String {
    if place.is_empty() { rest.to_owned() } else { format!("{place}.{rest}") }
}

fn items(node: Option<&Node>) -> &[Node] {
    match node {
        Some(Node::List(items)) => items,
        _ => &[],
    }
}

/// Whether an object is a configuration of Waypost's, if a misplaced one: any key of it is known.
fn is_ours(config: &Node) -> bool {
    let known = PluginSettings::KEYS.iter().chain(ProviderSettings::KEYS).map(|info| info.key);
    known.chain(["_rules_"]).any(|key| config.get(key).is_some())
}

fn plugin_rule(rule: &Node) -> Node {
    let mut members = match rule.get("config") {
        Some(Node::Map(members)) => members.clone(),
        _ => Vec::new(),
    };
    for (key, plugin_key) in
        [("ingress", "_match_route_"), ("service", "_match_service_"), ("domain", "_match_domain_")]
    {
        match rule.get(key) {
            Some(Node::List(list)) if !list.is_empty() => {
                members.push((plugin_key.to_owned(), Node::List(list.clone())))
            }
            _ => {}
        }
    }
    Node::Map(members)
}

/// Whether a path stands for standard input.
pub(crate) fn is_stdin(path: &Path) -> bool {
    path.as_os_str() == "-"
}

/// The bytes of a file, or of standard input for `-`.
pub(crate) fn read_bytes(path: &Path) -> std::io::Result<Vec<u8>> {
    if is_stdin(path) {
        let mut bytes = Vec::new();
        std::io::stdin().lock().read_to_end(&mut bytes).map(|_| bytes)
    } else {
        std::fs::read(path)
    }
}
