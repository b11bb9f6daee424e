//! What becomes of the members of one request body, whichever way it goes.

use super::Facts;
use super::flow::{asks_usage, changes_roles};
use crate::config::Provider;
use crate::config::body::USAGE_KEY;
use crate::error::Error;
use crate::exchange::model::Model;
use crate::json::tree::Node;
use crate::json::{self, Appender, Edit, Keys, Members, Wants};
use crate::model::TooLong;
use crate::multipart;
use crate::operation::{BodyKind, Operation};
use crate::params::{self, Op};
use std::rc::Rc;

/// The model of a client's path that names a deployment. It wins over the body's.
#[derive(Clone, Debug, Default)]
pub(in crate::exchange) struct Deployment {
    /// The model; `None` where the path names none.
    pub model: Option<Model>,
    /// Whether the upstream's path does not name it, so that the body has to.
    pub dropped: bool,
}

/// Decides about the members of one request body.
pub(super) struct Request {
    provider: Rc<Provider>,
    operation: Operation,
    /// Whether a stream is asked for its usage.
    asks: bool,
    /// What the client's path says of the model.
    deployment: Deployment,
    /// Whether the body names a model itself.
    names_model: bool,
    pub(super) model: Option<Model>,
    /// The upstream model, where a first pass over the body found it.
    pub(super) first: Option<String>,
    stream: Option<bool>,
    usage_asked: bool,
    /// Whether it is asked for on our account.
    usage_added: bool,
    /// Whether the client asked for it in another way than by `stream_options`.
    usage_shown: bool,
    /// How many messages are the user's.
    pub(super) rounds: u32,
    /// Keys of parameters that stand in the body now, in the spelling they leave with.
    present: Vec<String>,
    /// Keys of parameters that were decided about.
    decided: Vec<String>,
}

impl Request {
    pub(super) fn new(provider: &Rc<Provider>, operation: Operation, asks: bool, deployment: Deployment) -> Self {
        Self {
            provider: Rc::clone(provider),
            operation,
            asks: asks && asks_usage(provider, operation),
            model: deployment.model.clone(),
            deployment,
            names_model: false,
            first: None,
            stream: None,
            usage_asked: false,
            usage_added: false,
            usage_shown: false,
            rounds: 0,
            present: Vec::new(),
            decided: Vec::new(),
        }
    }

    pub(super) fn facts(&self) -> Facts {
        Facts {
            model: self.model.clone(),
            stream: self.stream == Some(true),
            usage_added: self.usage_added && !self.usage_shown,
            rounds: self.rounds,
            unread: None,
        }
    }

    pub(super) fn keys(&self) -> &Keys {
        let settings = &self.provider.body;
        match self.operation {
            Operation::ChatCompletions | Operation::Messages => &settings.chat_keys,
            operation if operation.body() == BodyKind::Contents => &settings.contents_keys,
            operation if operation.generates() => &settings.generation_keys,
            _ => &settings.model_keys,
        }
    }

    /// Maps the model; gives its new name if it has one.
    fn map(&mut self, requested: String) -> Result<Option<String>, Error> {
        let model = Model::of(&self.provider, requested).map_err(|TooLong| {
            Error::InvalidBody("names a model, or one that it is mapped to, of more than 256 bytes")
        })?;
        let changed = (model.upstream != model.requested).then(|| model.upstream.clone());
        self.model = Some(model);
        Ok(changed)
    }

    /// Keeps of the names of the model only what a record shows. Where they are not mapped, clients choose their length.
    pub(super) fn shorten_model(&mut self) {
        if let Some(model) = &mut self.model {
            model.shorten();
        }
    }

    fn model(&mut self, raw: &str) -> Result<Edit, Error> {
        self.names_model = true;
        if let Some(model) = &self.deployment.model {
            let value = json::literal(&model.upstream);
            return Ok(if value == raw { Edit::Keep } else { Edit::value(value) });
        }
        if raw == "null" {
            // As good as absent.
            return Ok(self.default_model().map_or(Edit::Keep, |model| Edit::value(json::literal(&model))));
        }
        let requested = json::decode(raw.as_bytes())
            .map_err(|_| Error::InvalidBody("has a `model` that is not a string"))?
            .into_owned();
        Ok(self.map(requested)?.map_or(Edit::Keep, |model| Edit::value(json::literal(&model))))
    }

    /// The model of a body that names none.
    fn default_model(&mut self) -> Option<String> {
        if let Some(model) = &self.deployment.model {
            return Some(model.upstream.clone()).filter(|_| self.deployment.dropped && !self.names_model);
        }
        if self.model.is_none() && self.operation.body().names_model_in_json() {
            self.model = Some(Model::default_of(&self.provider)?);
            return self.model.as_ref().map(|model| model.upstream.clone());
        }
        None
    }

    fn stream_options(&mut self, raw: &str) -> Edit {
        if !self.asks || self.stream == Some(false) {
            self.usage_asked = true;
            return Edit::Keep;
        }
        if raw == "null" && self.stream.is_none() {
            // As good as absent: set at the end if this turns out to be a stream, because others may not have options.
            return Edit::Remove;
        }
        // Options without a stream are the upstream's to judge.
        self.usage_asked = true;
        if raw == "null" {
            self.usage_added = true;
            return Edit::value(USAGE_OPTIONS.to_owned());
        }
        match json::merge_member(raw, "include_usage", "true") {
            Some(merged) if merged == raw => Edit::Keep,
            // What cannot be merged may be read by each upstream in its own way, so that none of it stays.
            merged => {
                self.usage_added = true;
                Edit::value(merged.unwrap_or_else(|| USAGE_OPTIONS.to_owned()))
            }
        }
    }

    fn param(&mut self, key: &str, raw: Option<&str>) -> Option<(String, String)> {
        let outcome = params::apply(&self.provider.body.params, key, raw, self.first.as_deref());
        let name = outcome.renamed.unwrap_or_else(|| key.to_owned());
        self.decided.push(key.to_owned());
        // Two members of one key would be read by each upstream in its own way; the first one stays.
        let value = outcome.value.filter(|_| !self.present.contains(&name))?;
        self.present.push(name.clone());
        Some((name, value))
    }
}

/// Whether a client of OpenRouter asks for usage.
fn includes_usage(raw: &str) -> bool {
    let usage = json::parse(raw.as_bytes()).ok();
    usage.is_some_and(|usage| usage.get("include") == Some(&Node::Bool(true)))
}

/// The whole of `stream_options`, where the client sent none.
const USAGE_OPTIONS: &str = r#"{"include_usage":true}"#;

impl Members for Request {
    type Error = Error;

    /// A member that goes, or only changes its name, may have any size.
    fn key(&mut self, key: usize) -> Wants {
        let provider = Rc::clone(&self.provider);
        if provider.body.params.is_empty() {
            return Wants::Value;
        }
        let name = self.keys().get(key).unwrap_or_default().to_owned();
        let model = self.first.as_deref();
        let mut rules = provider.body.params.iter().filter(|param| param.key == name && param.applies(model));
        let (Some(rule), None) = (rules.next(), rules.next()) else { return Wants::Value };
        match &rule.op {
            Op::Remove => {
                self.decided.push(name);
                Wants::Remove
            }
            Op::Rename(to) => {
                self.decided.push(name);
                if self.present.contains(to) {
                    return Wants::Remove;
                }
                self.present.push(to.clone());
                Wants::Rename(to.clone())
            }
            Op::Set(_) | Op::Default(_) | Op::Clamp { .. } => Wants::Value,
        }
    }

    fn nested(&mut self, raw: &[u8]) -> Option<&'static str> {
        let role = json::decode(raw).ok()?;
        if role == "user" {
            self.rounds = self.rounds.saturating_add(1);
        }
        (role == "developer" && changes_roles(&self.provider, self.operation)).then_some("\"system\"")
    }

    fn member(&mut self, key: usize, raw: &str) -> Result<Edit, Error> {
        // A clone of the keys is a reference count.
        let keys = self.keys().clone();
        Ok(match keys.get(key).unwrap_or_default() {
            "model" => self.model(raw)?,
            "stream" => {
                if self.asks && !matches!(raw, "true" | "false" | "null") {
                    // Lenient servers take `1` and `"true"` for true, and nobody would ask them for their usage.
                    return Err(Error::InvalidBody("has a `stream` that is neither true nor false"));
                }
                self.stream = Some(raw == "true");
                Edit::Keep
            }
            "stream_options" => self.stream_options(raw),
            key => {
                self.usage_shown |= key == USAGE_KEY && includes_usage(raw);
                match self.param(key, Some(raw)) {
                    None => Edit::Remove,
                    Some((name, value)) => {
                        let (name, value) =
                            (Some(name).filter(|name| name != key), Some(value).filter(|value| value != raw));
                        if name.is_none() && value.is_none() { Edit::Keep } else { Edit::Change { key: name, value } }
                    }
                }
            }
        })
    }

    fn end(&mut self, members: &mut Appender) -> Result<(), Error> {
        if let Some(model) = self.default_model() {
            members.push("model", &json::literal(&model));
        }
        if !self.operation.generates() {
            return Ok(());
        }
        let provider = Rc::clone(&self.provider);
        for param in &provider.body.params {
            if !self.decided.contains(&param.key)
                && let Some((name, value)) = self.param(&param.key, None)
            {
                members.push(&name, &value);
            }
        }
        if self.stream == Some(true) && !self.usage_asked && !self.usage_shown && self.asks {
            members.push("stream_options", USAGE_OPTIONS);
            self.usage_added = true;
        }
        Ok(())
    }
}

impl multipart::Decide for Request {
    type Error = Error;

    fn model(&mut self, value: &str) -> Result<Option<String>, Error> {
        self.names_model = true;
        if let Some(model) = &self.deployment.model {
            return Ok(Some(model.upstream.clone()).filter(|model| model != value));
        }
        self.map(value.to_owned())
    }

    fn end(&mut self) -> Result<Option<String>, Error> {
        Ok(self.default_model())
    }
}
