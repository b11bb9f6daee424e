//! Finds the Waypost configurations in a file: plugin JSON or YAML, Higress and Istio `WasmPlugin`s, and whatever holds
//! one for Envoy (a bootstrap, an `EnvoyFilter`, an `EnvoyExtensionPolicy`), several documents in one file included.
//! `manifest` knows the resources, `envoy` what stands around a wasm filter, `lines` the lines, `plain` the words.

use crate::lines::Lines;
use crate::plain;
use crate::{envoy, manifest};
use std::fmt;
use std::io::Read;
use std::path::Path;
use std::rc::Rc;
use waypost::config::differences::Difference;
use waypost::config::problem::{Kind, Problem, Severity};
use waypost::config::settings::{PluginSettings, ProviderSettings};
use waypost::config::{Config, Loaded, load_node};
use waypost::json::{Node, SyntaxError, parse};

/// Why a file cannot be read.
#[derive(Debug)]
pub(crate) enum ReadError {
    /// The file system's words.
    Io(std::io::Error),
    /// Not UTF-8.
    Utf8,
    /// Not JSON.
    Json(SyntaxError),
    /// Not YAML, in plain words.
    Yaml(String),
    /// Not an object.
    NotAnObject(&'static str),
    /// A configuration inside another document that is not JSON, with its place and, in the file, its line.
    Inside(String, SyntaxError),
    /// A manifest or an Envoy configuration without one of Waypost's; with the names of what else is in it.
    Nothing(Vec<String>),
}

impl fmt::Display for ReadError {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::Io(error) => error.fmt(f),
            Self::Utf8 => f.write_str("is not UTF-8"),
            Self::Json(error) => error.fmt(f),
            Self::Yaml(words) => f.write_str(words),
            Self::NotAnObject(found) => write!(f, "a configuration is an object, found {found}"),
            Self::Inside(place, error) => write!(f, "{place}: {error} of it"),
            Self::Nothing(others) if others.is_empty() => f.write_str("no Waypost configuration is in it"),
            Self::Nothing(others) => {
                write!(f, "no Waypost configuration is in it, only other plugins: {}", others.join(", "))
            }
        }
    }
}

/// How much something matters.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Level {
    /// Something to know; it never fails a check.
    Note,
    /// As [`Severity`].
    Of(Severity),
}

impl Level {
    /// The name in `check`'s output.
    pub(crate) const fn name(self) -> &'static str {
        match self {
            Self::Note => "note",
            Self::Of(severity) => severity.name(),
        }
    }
}

/// Something that is to be said about a file.
#[derive(Debug)]
pub(crate) struct Finding {
    pub(crate) level: Level,
    /// `kind namespace/name` of the Kubernetes resource that it stands in.
    pub(crate) resource: Option<String>,
    /// Where it stands in that resource, else in the document.
    pub(crate) place: String,
    /// The line in the file, counted from 1; unknown where lines cannot be told.
    pub(crate) line: Option<usize>,
    pub(crate) message: String,
    /// The difference from ai-proxy that it is about.
    pub(crate) difference: Option<Difference>,
}

/// What was found in a file.
#[derive(Default)]
pub(crate) struct Contents {
    /// The configurations of Waypost, in the order of the file.
    pub(crate) documents: Vec<Document>,
    /// What is to be said about the rest: other plugins that were passed over.
    pub(crate) notes: Vec<Finding>,
}

/// A configuration, loaded, with the places of its parts.
pub(crate) struct Document {
    pub(crate) loaded: Loaded,
    spot: Spot,
    /// What is to be said about what stands around it.
    around: Vec<Finding>,
}

/// Where something stands in a file.
#[derive(Clone)]
pub(crate) struct Spot {
    /// The lines of the YAML document that it is in.
    lines: Option<Rc<Lines>>,
    resource: Option<String>,
    /// The path from that document to the resource: `items[0]`. Not shown.
    before: String,
    /// The path from the resource to the configuration.
    below: String,
    /// For a `WasmPlugin` with `matchRules`: for each entry of `_rules_` its index there.
    rules: Option<Vec<usize>>,
    /// For a configuration that is the text of a value: its own lines, and how many stand before its first.
    inner: Option<(Rc<Lines>, usize)>,
}

impl Spot {
    /// The place of a problem as it stands in its resource, else in its document.
    fn place(&self, path: &str) -> String {
        let below = |rest: &str| if path == "$" { self.below.clone() } else { join(&self.below, rest) };
        match &self.rules {
            None if self.below.is_empty() => path.to_owned(),
            None => below(path),
            Some(rules) => {
                let rule = path.strip_prefix("_rules_[").and_then(|rest| rest.split_once(']'));
                match rule.and_then(|(index, rest)| Some((rules.get(index.parse::<usize>().ok()?)?, rest))) {
                    Some((index, rest)) => {
                        let condition = manifest::CONDITIONS.iter().find_map(|(key, plugin_key)| {
                            Some((key, rest.strip_prefix('.')?.strip_prefix(plugin_key)?))
                        });
                        match condition {
                            Some((key, rest)) => format!("spec.matchRules[{index}].{key}{rest}"),
                            None => format!("spec.matchRules[{index}].config{rest}"),
                        }
                    }
                    None => below(path),
                }
            }
        }
    }

    fn line(&self, path: &str) -> Option<usize> {
        match &self.inner {
            Some((lines, before)) => lines.of_path(path).checked_add(*before),
            None => Some(self.lines.as_ref()?.of_path(&join(&self.before, &self.place(path)))),
        }
    }

    /// The line of a place that is no part of the configuration.
    fn line_of_place(&self, place: &str) -> Option<usize> {
        Some(self.lines.as_ref()?.of_path(&join(&self.before, place)))
    }

    /// The same resource, further in.
    pub(crate) fn at(&self, key: &str) -> Self {
        Self { below: join(&self.below, key), ..self.clone() }
    }

    /// Something about this place itself.
    pub(crate) fn finding(&self, level: Level, message: impl Into<String>) -> Finding {
        Finding {
            level,
            resource: self.resource.clone(),
            place: if self.below.is_empty() { "$".to_owned() } else { self.below.clone() },
            line: self.line_of_place(&self.below),
            message: message.into(),
            difference: None,
        }
    }

    /// Remembers the rules that entries of `matchRules` became.
    pub(crate) fn with_rules(self, rules: Vec<usize>) -> Self {
        Self { rules: Some(rules), ..self }
    }
}

impl Document {
    /// What requests read.
    pub(crate) const fn config(&self) -> &Config {
        &self.loaded.config
    }

    /// Loads a configuration.
    pub(crate) fn new(node: &Node, spot: Spot, around: Vec<Finding>) -> Self {
        Self { loaded: load_node(node), spot, around }
    }

    /// Adds what is to be said about what stands around it.
    pub(crate) fn add(&mut self, findings: Vec<Finding>) {
        self.around.extend(findings);
    }

    /// A plugin that is switched off as a whole: nothing of it is to be said.
    pub(crate) fn switched_off(spot: Spot) -> Self {
        let mut loaded = load_node(&Node::Map(Vec::new()));
        loaded.problems.clear();
        Self { loaded, spot, around: Vec::new() }
    }

    /// Whether the configuration is the document itself, without anything around it.
    fn is_plain(&self) -> bool {
        self.spot.resource.is_none() && self.spot.below.is_empty() && self.spot.inner.is_none()
    }

    /// A problem with its place in the file.
    pub(crate) fn finding(&self, problem: &Problem) -> Finding {
        let message = match &problem.kind {
            Kind::Shadowed { by } => Kind::Shadowed { by: self.spot.place(by).into() }.to_string(),
            kind => kind.to_string(),
        };
        Finding {
            level: Level::Of(problem.severity),
            resource: self.spot.resource.clone(),
            place: self.spot.place(&problem.path),
            line: self.spot.line(&problem.path),
            message,
            difference: match &problem.kind {
                Kind::Different(difference) => Some(*difference),
                _ => None,
            },
        }
    }

    /// The problems of the configuration.
    pub(crate) fn problems(&self) -> &[Problem] {
        &self.loaded.problems
    }

    /// Everything that is to be said about it.
    pub(crate) fn into_findings(self) -> Vec<Finding> {
        let mut findings: Vec<_> = self.loaded.problems.iter().map(|problem| self.finding(problem)).collect();
        findings.extend(self.around);
        findings
    }
}

impl Contents {
    /// Reads every configuration of a file, at least one; `-` is standard input.
    pub(crate) fn read(path: &Path) -> Result<Self, ReadError> {
        let bytes = read_bytes(path).map_err(ReadError::Io)?;
        let text = String::from_utf8(bytes).map_err(|_| ReadError::Utf8)?;
        // Every JSON document is YAML too, but what begins like JSON is better read as what the filter gets.
        let nodes = if text.trim_start().starts_with('{') {
            vec![parse(text.as_bytes()).map_err(ReadError::Json)?]
        } else {
            serde_saphyr::from_multiple::<Node>(&text).map_err(|error| ReadError::Yaml(plain::words(&error)))?
        };
        let mut lines = Lines::of(&text);
        if lines.len() != nodes.len() {
            lines.clear();
        }
        let mut lines = lines.into_iter();
        let mut contents = Self::default();
        for node in nodes.iter().filter(|node| **node != Node::Null) {
            let spot = Spot {
                lines: lines.next().map(Rc::new),
                resource: None,
                before: String::new(),
                below: String::new(),
                rules: None,
                inner: None,
            };
            contents.find(node, spot, &text)?;
        }
        if nodes.iter().all(|node| *node == Node::Null) {
            let spot = Spot {
                lines: None,
                resource: None,
                before: String::new(),
                below: String::new(),
                rules: None,
                inner: None,
            };
            contents.documents.push(Document::new(&Node::Map(Vec::new()), spot, Vec::new()));
        }
        if contents.documents.is_empty() {
            return Err(ReadError::Nothing(contents.notes.into_iter().filter_map(|note| note.resource).collect()));
        }
        for document in contents.documents.iter_mut().filter(|document| document.is_plain()).skip(1) {
            let several = "is another configuration of the same file: a filter takes one";
            document.around.push(document.spot.finding(Level::Of(Severity::Warning), several));
        }
        Ok(contents)
    }

    /// Reads the one configuration of a file.
    pub(crate) fn read_one(path: &Path) -> Result<Document, String> {
        let named = |error: &dyn fmt::Display| format!("{}: {error}", path.display());
        let mut found = Self::read(path).map_err(|error| named(&error))?.documents;
        let several = found.len() > 1;
        match found.pop() {
            Some(document) if !several => Ok(document),
            last => {
                found.extend(last);
                let place = |document: &Document| {
                    let finding = document.spot.finding(Level::Note, "");
                    let line = finding.line.map(|line| format!("line {line}"));
                    let place = [finding.resource, Some(finding.place).filter(|place| place != "$"), line];
                    place.into_iter().flatten().collect::<Vec<_>>().join(" ")
                };
                let places: Vec<_> = found.iter().map(place).collect();
                Err(named(&format_args!("holds several configurations: {}; give it only one", places.join(", "))))
            }
        }
    }

    fn find(&mut self, node: &Node, spot: Spot, text: &str) -> Result<(), ReadError> {
        let kind = manifest::kind(node);
        match (node, kind) {
            (Node::Map(_), Some("List")) => {
                for (index, item) in items(node.get("items")).iter().enumerate() {
                    let before = join(&spot.before, &format!("items[{index}]"));
                    self.find(item, Spot { before, ..spot.clone() }, text)?;
                }
            }
            (Node::Map(_), Some(kind)) => {
                let spot = Spot { resource: Some(manifest::name(node, kind)), ..spot };
                match kind {
                    "WasmPlugin" => manifest::wasm_plugin(node, &spot, self),
                    "EnvoyExtensionPolicy" => manifest::extension_policy(node, &spot, self),
                    _ => envoy::find(node, &spot, text, self)?,
                }
            }
            (Node::Map(members), None) if members.is_empty() || is_ours(node) => {
                self.documents.push(Document::new(node, spot, Vec::new()));
            }
            (Node::Map(_), None) => envoy::find(node, &spot, text, self)?,
            (other, _) => return Err(ReadError::NotAnObject(other.kind())),
        }
        Ok(())
    }

    /// A configuration in the text of a value, of which the spot is the value's.
    pub(crate) fn find_in_text(
        &mut self,
        config: &str,
        spot: &Spot,
        text: &str,
        around: Vec<Finding>,
    ) -> Result<Node, ReadError> {
        let node = if config.trim().is_empty() {
            Node::Map(Vec::new())
        } else {
            parse(config.as_bytes()).map_err(|error| {
                let line = spot.line_of_place(&spot.below).map(|line| format!("line {line}: ")).unwrap_or_default();
                ReadError::Inside(format!("{line}{}", spot.below), error)
            })?
        };
        // The text as a block has lines of its own; in quotation marks it has that of its key.
        let first = |text: &str| text.lines().position(|line| !line.trim().is_empty());
        let begin = first(config).and_then(|at| Some((at, config.lines().nth(at)?.trim())));
        let key = spot.line_of_place(&spot.below);
        let before = begin.filter(|_| config.trim().contains('\n')).zip(key).and_then(|((at, begin), key)| {
            let same = |line: &str| line.trim() == begin;
            let found = text.lines().skip(key).position(same)?.checked_add(key)?;
            found.checked_sub(at)
        });
        let inner = before.and_then(|before| Some((Rc::new(Lines::of(config).pop()?), before)));
        self.documents.push(Document::new(&node, Spot { inner, ..spot.clone() }, around));
        Ok(node)
    }
}

/// A path with one more part.
pub(crate) fn join(place: &str, rest: &str) -> String {
    let dot = if place.is_empty() || rest.is_empty() || rest.starts_with('[') { "" } else { "." };
    [place, dot, rest].concat()
}

/// The items of a list; none of everything else.
pub(crate) fn items(node: Option<&Node>) -> &[Node] {
    match node {
        Some(Node::List(items)) => items,
        _ => &[],
    }
}

/// The text of a member.
pub(crate) fn text<'n>(node: &'n Node, key: &str) -> Option<&'n str> {
    match node.get(key) {
        Some(Node::Text(text)) => Some(text),
        _ => None,
    }
}

/// Whether an object is a configuration of Waypost's, if a misplaced one: any key of it is known.
pub(crate) fn is_ours(config: &Node) -> bool {
    let known = PluginSettings::KEYS.iter().chain(ProviderSettings::KEYS).map(|info| info.key);
    known.chain(["_rules_"]).any(|key| config.get(key).is_some())
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
