//! Reads a configuration file: plugin JSON or YAML, or a Higress `WasmPlugin` manifest.

use std::fmt;
use std::io::Read;
use std::path::Path;
use waypost::config::node::Node;
use waypost::config::{Loaded, load_node, parse};

/// Why a file cannot be read.
#[derive(Debug)]
pub(crate) enum ReadError {
    /// The file system's words.
    Io(std::io::Error),
    /// The parser's words.
    Syntax(String),
    /// Not an object.
    NotAnObject(&'static str),
    /// A manifest of another kind.
    Kind(String),
}

impl fmt::Display for ReadError {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::Io(error) => error.fmt(f),
            Self::Syntax(error) => error.fmt(f),
            Self::NotAnObject(found) => write!(f, "a configuration is an object, found {found}"),
            Self::Kind(kind) => write!(f, "a manifest of kind `{kind}`: only `WasmPlugin` is read"),
        }
    }
}

/// A configuration file, loaded, with the places of its parts.
pub(crate) struct Document {
    /// What is in it.
    pub(crate) loaded: Loaded,
    /// For a manifest: the index in `matchRules` behind each entry of `_rules_`.
    manifest_rules: Option<Vec<usize>>,
}

impl Document {
    /// Reads a file; `-` is standard input.
    pub(crate) fn read(path: &Path) -> Result<Self, ReadError> {
        let text = read_text(path).map_err(ReadError::Io)?;
        // Every JSON document is YAML too, but JSON's own parser has the better errors for what begins like JSON.
        let node: Node = if text.trim_start().starts_with('{') {
            parse(text.as_bytes()).map_err(|error| ReadError::Syntax(error.to_string()))?
        } else {
            serde_saphyr::from_str(&text).map_err(|error| ReadError::Syntax(error.to_string()))?
        };
        match &node {
            Node::Null => Ok(Self { loaded: load_node(&Node::Map(Vec::new())), manifest_rules: None }),
            Node::Map(_) if node.get("apiVersion").is_some() && node.get("kind").is_some() => match node.get("kind") {
                Some(Node::Text(kind)) if kind == "WasmPlugin" => Ok(Self::of_manifest(&node)),
                Some(Node::Text(kind)) => Err(ReadError::Kind(kind.clone())),
                _ => Err(ReadError::Kind(String::new())),
            },
            Node::Map(_) => Ok(Self { loaded: load_node(&node), manifest_rules: None }),
            other => Err(ReadError::NotAnObject(other.kind())),
        }
    }

    /// Puts plugin JSON together as Higress's controller does: `pluginConfig` as it is, else `defaultConfig` with the
    /// `matchRules` that are not disabled as `_rules_`.
    fn of_manifest(manifest: &Node) -> Self {
        let empty = Node::Map(Vec::new());
        let spec = manifest.get("spec").unwrap_or(&empty);
        if let Some(config) = spec.get("pluginConfig") {
            return Self { loaded: load_node(config), manifest_rules: None };
        }
        let disabled = |node: &Node, key| node.get(key) == Some(&Node::Bool(true));
        let mut members = match spec.get("defaultConfig") {
            Some(Node::Map(members)) if !disabled(spec, "defaultConfigDisable") => members.clone(),
            _ => Vec::new(),
        };
        let rules = match spec.get("matchRules") {
            Some(Node::List(rules)) => rules.as_slice(),
            _ => &[],
        };
        let kept: Vec<_> = rules.iter().enumerate().filter(|(_, rule)| !disabled(rule, "configDisable")).collect();
        if !kept.is_empty() {
            members.push(("_rules_".to_owned(), Node::List(kept.iter().map(|(_, rule)| plugin_rule(rule)).collect())));
        }
        let manifest_rules = Some(kept.iter().map(|(index, _)| *index).collect());
        Self { loaded: load_node(&Node::Map(members)), manifest_rules }
    }

    /// The place of a problem as it stands in the file.
    pub(crate) fn place(&self, path: &str) -> String {
        let Some(rules) = &self.manifest_rules else { return path.to_owned() };
        let rule = path.strip_prefix("_rules_[").and_then(|rest| rest.split_once(']'));
        match rule.and_then(|(index, rest)| Some((rules.get(index.parse::<usize>().ok()?)?, rest))) {
            Some((index, rest)) => format!("spec.matchRules[{index}].config{rest}"),
            None if path == "$" => "spec.defaultConfig".to_owned(),
            None => format!("spec.defaultConfig.{path}"),
        }
    }
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

/// The text of a file, or of standard input for `-`.
pub(crate) fn read_text(path: &Path) -> std::io::Result<String> {
    if path.as_os_str() == "-" {
        let mut text = String::new();
        std::io::stdin().lock().read_to_string(&mut text).map(|_| text)
    } else {
        std::fs::read_to_string(path)
    }
}
