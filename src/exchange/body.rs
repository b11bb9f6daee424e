//! What happens to a request body: members are spliced as they pass, everything else stays as it came.

use super::head::Head;
use super::model::Model;
use crate::config::Provider;
use crate::error::Error;
use crate::json::{self, Appender, Edit, Keys, Members, Output, Wants};
use crate::model::TooLong;
use crate::multipart;
use crate::operation::{BodyKind, ClientPath, Operation};
use crate::params::{self, Op};
use std::borrow::Cow;
use std::rc::Rc;

/// How a request body goes through.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Flow {
    /// As it came, unread.
    Pass,
    /// As it came, read on the way for the record.
    Observe,
    /// Chunk by chunk, edited on the way. Headers do not wait, so the length is not known.
    Chunks,
    /// As a whole, because what is decided first may stand last. Headers do not wait.
    Buffer,
    /// As a whole, with the headers held: one of them depends on it.
    Hold,
}

/// How the body of a request goes through, as far as its headers tell. `asks` says that the usage of a stream is wanted.
///
/// # Errors
/// The body may have to change, and its headers already tell that it cannot be read.
pub(super) fn flow(provider: &Provider, path: &ClientPath<'_>, head: &Head, asks: bool) -> Result<Flow, Error> {
    if provider.paths.needs_body_model(path) {
        return Ok(Flow::Hold);
    }
    let operation = path.operation;
    let format = Format::of(operation, head);
    if !is_edited(provider, operation, &format, asks) {
        let tells = match format {
            Format::Json => operation.body().names_model_in_json() || operation.body() == BodyKind::Contents,
            Format::Multipart(_) => operation.body().may_be_form(),
            Format::Opaque | Format::BadForm(_) => false,
        };
        return Ok(if tells { Flow::Observe } else { Flow::Pass });
    }
    if let Format::BadForm(reason) = format {
        return Err(Error::InvalidBody(reason));
    }
    let settings = &provider.body;
    let generates = operation.generates();
    let wants_hold = settings.hold_headers || (generates && settings.first_byte_timeout_ms.is_some());
    // A hold that nothing depends on is not worth refusing a long body for.
    if wants_hold && length(head).is_some_and(|length| length <= settings.max_held_bytes) {
        return Ok(Flow::Hold);
    }
    Ok(if generates && settings.needs_whole_body() { Flow::Buffer } else { Flow::Chunks })
}

/// Whether a body may have to change.
fn is_edited(provider: &Provider, operation: Operation, format: &Format, asks: bool) -> bool {
    let settings = &provider.body;
    let maps = !provider.models.is_identity();
    !provider.original
        && match format {
            Format::Opaque => false,
            Format::Multipart(_) | Format::BadForm(_) => maps,
            Format::Json => {
                let generates = (asks && asks_usage(provider, operation))
                    || edits_messages(provider, operation)
                    || changes_roles(provider, operation)
                    || !settings.params.is_empty();
                (maps && operation.body().names_model_in_json()) || (generates && operation.generates())
            }
        }
}

/// What a body is, as far as its headers tell.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(super) enum Format {
    /// Nothing that is looked into.
    Opaque,
    /// JSON by its type; a missing type counts as JSON, as in the reference.
    Json,
    /// A form with a `model` part and files, with its boundary.
    Multipart(String),
    /// A form whose boundary cannot be relied on, and why.
    BadForm(&'static str),
}

impl Format {
    pub(super) fn of(operation: Operation, head: &Head) -> Self {
        let encoding = head.text("content-encoding").map(str::trim);
        if encoding.is_some_and(|encoding| !encoding.eq_ignore_ascii_case("identity")) {
            return Self::Opaque;
        }
        let Some(content_type) = head.text("content-type") else {
            return if head.has("content-type") { Self::Opaque } else { Self::Json };
        };
        let essence = content_type.split(';').next().unwrap_or_default().trim().to_ascii_lowercase();
        match essence.as_str() {
            "" | "application/json" => Self::Json,
            "multipart/form-data" if operation.body().may_be_form() => match multipart::boundary(content_type) {
                Ok(boundary) => Self::Multipart(boundary.to_owned()),
                Err(error) => Self::BadForm(error.reason()),
            },
            other if other.ends_with("+json") => Self::Json,
            _ => Self::Opaque,
        }
    }
}

/// `content-length`, where there is a readable one.
pub(super) fn length(head: &Head) -> Option<u64> {
    head.text("content-length").and_then(|text| text.trim().parse().ok())
}

/// Whether streams of this operation are asked for their usage.
const fn asks_usage(provider: &Provider, operation: Operation) -> bool {
    provider.body.include_usage && matches!(operation, Operation::ChatCompletions | Operation::Completions)
}

/// Whether messages of the role `developer` become `system`.
const fn changes_roles(provider: &Provider, operation: Operation) -> bool {
    provider.body.system_role && matches!(operation, Operation::ChatCompletions)
}

/// Whether the list of messages is edited.
const fn edits_messages(provider: &Provider, operation: Operation) -> bool {
    !provider.body.messages.is_none() && matches!(operation, Operation::ChatCompletions)
}

/// What a body says of its request, for the record.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub(super) struct Facts {
    /// The model it names, or is given.
    pub model: Option<Model>,
    /// Whether it asks for a stream.
    pub stream: bool,
    /// Whether the client's stream was asked for its usage on our account.
    pub usage_added: bool,
    /// How many messages are the user's.
    pub rounds: u32,
}

/// Reads one body while it streams past, and edits it.
pub(super) struct Stream {
    /// None where an observed body turned out to be nothing that can be read.
    editor: Option<AnyEditor>,
    request: Request,
    empty: bool,
    /// Whether it leaves as it came, whatever stands in it.
    observed: bool,
    /// How many bytes of an observed body were read.
    read: usize,
}

/// How much of a body that is not edited is read for the record, in bytes. SDKs name the model first or behind the
/// messages; behind more than this neither it nor the rounds are worth the time.
const MAX_OBSERVED: usize = 256 * 1024;

enum AnyEditor {
    Json(json::Editor),
    Multipart(multipart::Editor),
}

impl AnyEditor {
    fn feed(&mut self, chunk: Cow<'_, [u8]>, request: &mut Request) -> Result<Output, Error> {
        match self {
            Self::Json(editor) => editor.feed(chunk, request),
            Self::Multipart(editor) => editor.feed(&chunk, request),
        }
    }

    fn finish(&self) -> Result<(), Error> {
        match self {
            Self::Json(editor) => editor.finish().map_err(Error::from),
            Self::Multipart(editor) => editor.finish().map_err(Error::from),
        }
    }
}

/// What a chunk becomes.
#[derive(Debug, PartialEq, Eq)]
pub(super) enum Chunk {
    /// It goes on as it is.
    Pass,
    /// These bytes go on instead.
    Replace(Vec<u8>),
}

impl Stream {
    pub(super) fn new(provider: &Rc<Provider>, operation: Operation, head: &Head, asks: bool, observed: bool) -> Self {
        let request = Request::new(provider, operation, asks);
        let editor = match Format::of(operation, head) {
            Format::Multipart(boundary) => AnyEditor::Multipart(multipart::Editor::new(&boundary)),
            Format::Json | Format::Opaque | Format::BadForm(_) => {
                AnyEditor::Json(json::Editor::new(request.keys().clone()))
            }
        };
        Self { editor: Some(editor), request, empty: true, observed, read: 0 }
    }

    /// What the body said so far.
    pub(super) fn facts(&self) -> Facts {
        self.request.facts()
    }

    /// Takes the next chunk.
    pub(super) fn feed(&mut self, chunk: Cow<'_, [u8]>, end: bool) -> Result<Chunk, Error> {
        let size = chunk.len();
        let result = self.edit(chunk, end);
        if !self.observed {
            return result;
        }
        self.read = self.read.saturating_add(size);
        if self.read > MAX_OBSERVED {
            self.editor = None;
            self.request.rounds = 0;
        } else if result.is_err() {
            // What is not edited is the upstream's to judge.
            self.editor = None;
        }
        Ok(Chunk::Pass)
    }

    /// How many bytes of the next chunk are looked at.
    pub(super) const fn wants(&self) -> usize {
        // One more tells that there are more.
        if self.observed { MAX_OBSERVED.saturating_add(1).saturating_sub(self.read) } else { usize::MAX }
    }

    /// Whether more of the body says nothing more.
    pub(super) const fn is_done(&self) -> bool {
        self.editor.is_none()
    }

    fn edit(&mut self, chunk: Cow<'_, [u8]>, end: bool) -> Result<Chunk, Error> {
        let Some(editor) = &mut self.editor else { return Ok(Chunk::Pass) };
        let mut out = Chunk::Pass;
        if !chunk.is_empty() {
            self.empty = false;
            if let Output::Bytes(bytes) = editor.feed(chunk, &mut self.request)? {
                out = Chunk::Replace(bytes);
            }
        }
        // A request may have no body at all; that is the upstream's to judge.
        if end && !self.empty {
            editor.finish()?;
        }
        Ok(out)
    }
}

/// A whole body, after its members were looked at.
#[derive(Debug, Default)]
pub(super) struct Whole {
    /// What it says.
    pub facts: Facts,
    /// The new body; `None` where it stays.
    pub changed: Option<Vec<u8>>,
}

/// Reads and edits a whole body; `head` tells whether it is to be edited at all.
pub(super) fn whole(
    provider: &Rc<Provider>,
    operation: Operation,
    head: &Head,
    body: &[u8],
    asks: bool,
) -> Result<Whole, Error> {
    if body.is_empty() {
        return Ok(Whole::default());
    }
    let mut request = Request::new(provider, operation, asks);
    let format = Format::of(operation, head);
    if let Format::Multipart(boundary) = &format {
        let mut editor = multipart::Editor::new(boundary);
        let output = editor.feed(body, &mut request)?;
        editor.finish()?;
        let changed = match output {
            Output::Bytes(bytes) if is_edited(provider, operation, &format, asks) => Some(bytes),
            Output::Bytes(_) | Output::Unchanged => None,
        };
        return Ok(Whole { facts: request.facts(), changed });
    }
    if operation.generates() && provider.body.needs_model_first() {
        let mut first = Request::new(provider, operation, asks);
        json::splices(first.keys().clone(), body, &mut first)?;
        request.first = first.model.map(|model| model.upstream);
    }
    let mut changed = json::edit(request.keys().clone(), body, &mut request)?;
    if edits_messages(provider, operation) {
        let tree =
            json::parse(changed.as_deref().unwrap_or(body)).map_err(|_| Error::InvalidBody("is nested too deeply"))?;
        let edited = provider.body.messages.apply(tree).map(|tree| tree.to_json().into_bytes());
        changed = edited.or(changed);
    }
    let changed = changed.filter(|_| is_edited(provider, operation, &format, asks));
    Ok(Whole { facts: request.facts(), changed })
}

/// Decides about the members of one request body.
struct Request {
    provider: Rc<Provider>,
    operation: Operation,
    /// Whether a stream is asked for its usage.
    asks: bool,
    model: Option<Model>,
    /// The upstream model, where a first pass over the body found it.
    first: Option<String>,
    stream: Option<bool>,
    usage_asked: bool,
    /// Whether it is asked for on our account.
    usage_added: bool,
    /// How many messages are the user's.
    rounds: u32,
    /// Keys of parameters that stand in the body now, in the spelling they leave with.
    present: Vec<String>,
    /// Keys of parameters that were decided about.
    decided: Vec<String>,
}

impl Request {
    fn new(provider: &Rc<Provider>, operation: Operation, asks: bool) -> Self {
        Self {
            provider: Rc::clone(provider),
            operation,
            asks: asks && asks_usage(provider, operation),
            model: None,
            first: None,
            stream: None,
            usage_asked: false,
            usage_added: false,
            rounds: 0,
            present: Vec::new(),
            decided: Vec::new(),
        }
    }

    fn facts(&self) -> Facts {
        Facts {
            model: self.model.clone(),
            stream: self.stream == Some(true),
            usage_added: self.usage_added,
            rounds: self.rounds,
        }
    }

    fn keys(&self) -> &Keys {
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

    fn model(&mut self, raw: &str) -> Result<Edit, Error> {
        let requested = json::decode(raw.as_bytes())
            .map_err(|_| Error::InvalidBody("has a `model` that is not a string"))?
            .into_owned();
        Ok(self.map(requested)?.map_or(Edit::Keep, |model| Edit::value(json::literal(&model))))
    }

    /// The model of a body that names none.
    fn default_model(&mut self) -> Option<String> {
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
            Some(merged) if merged != raw => {
                self.usage_added = true;
                Edit::value(merged)
            }
            Some(_) | None => Edit::Keep,
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
                self.stream = Some(raw == "true");
                Edit::Keep
            }
            "stream_options" => self.stream_options(raw),
            key => match self.param(key, Some(raw)) {
                None => Edit::Remove,
                Some((name, value)) => {
                    let (name, value) =
                        (Some(name).filter(|name| name != key), Some(value).filter(|value| value != raw));
                    if name.is_none() && value.is_none() { Edit::Keep } else { Edit::Change { key: name, value } }
                }
            },
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
        if self.stream == Some(true) && !self.usage_asked && self.asks {
            members.push("stream_options", USAGE_OPTIONS);
            self.usage_added = true;
        }
        Ok(())
    }
}

impl multipart::Decide for Request {
    type Error = Error;

    fn model(&mut self, value: &str) -> Result<Option<String>, Error> {
        self.map(value.to_owned())
    }

    fn end(&mut self) -> Result<Option<String>, Error> {
        Ok(self.default_model())
    }
}
