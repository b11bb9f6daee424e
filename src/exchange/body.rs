//! What happens to a request body: top-level members are spliced as they pass, everything else stays as it came.

use super::decide::Model;
use super::head::Head;
use crate::config::Provider;
use crate::error::Error;
use crate::json::{self, Appender, Edit, Editor, Keys, Members, Output};
use crate::operation::Operation;
use std::rc::Rc;

/// The members that are acted on, in the order of [`Member`].
const KEYS: [&str; 1] = ["model"];

/// Index of `model` in [`KEYS`].
const MODEL: usize = 0;

/// Whether a body is a JSON object with a `model` that may have to change.
pub(super) fn is_edited(provider: &Provider, operation: Operation, head: &Head) -> bool {
    !provider.original && !provider.models.is_identity() && has_model(operation) && is_plain_json(head)
}

/// Whether a body can be read: JSON by its type (a missing one counts as JSON, as in the reference), not compressed.
pub(super) fn is_plain_json(head: &Head) -> bool {
    let json = match head.text("content-type") {
        None => !head.has("content-type"),
        Some(text) => {
            let essence = text.split(';').next().unwrap_or_default().trim().to_ascii_lowercase();
            essence.is_empty() || essence == "application/json" || essence.ends_with("+json")
        }
    };
    let encoded =
        head.text("content-encoding").is_some_and(|encoding| !encoding.trim().eq_ignore_ascii_case("identity"));
    json && !encoded
}

/// Operations whose JSON body names the model at its top level.
const fn has_model(operation: Operation) -> bool {
    matches!(
        operation,
        Operation::ChatCompletions
            | Operation::Completions
            | Operation::Embeddings
            | Operation::Moderations
            | Operation::ImagesGenerations
            | Operation::ImagesEdits
            | Operation::AudioSpeech
            | Operation::Rerank
            | Operation::Reranks
            | Operation::Responses
            | Operation::ResponsesInputTokens
            | Operation::ResponsesCompact
            | Operation::FineTuningJobs
            | Operation::Videos
            | Operation::Messages
            | Operation::CountTokens
            | Operation::Complete
    )
}

/// Edits one body while it streams past.
pub(super) struct Stream {
    editor: Editor,
    request: Request,
    empty: bool,
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
    pub(super) fn new(provider: &Rc<Provider>) -> Result<Self, Error> {
        Ok(Self { editor: Editor::new(keys()?), request: Request::new(provider), empty: true })
    }

    /// Takes the next chunk.
    pub(super) fn feed(&mut self, chunk: &[u8], end: bool) -> Result<Chunk, Error> {
        let mut out = Chunk::Pass;
        if !chunk.is_empty() {
            self.empty = false;
            if let Output::Bytes(bytes) = self.editor.feed(chunk, &mut self.request)? {
                out = Chunk::Replace(bytes);
            }
        }
        // A request may have no body at all; that is the upstream's to judge.
        if end && !self.empty {
            self.editor.finish().map_err(Error::from)?;
        }
        Ok(out)
    }
}

/// A body that was held, after its members were looked at.
pub(super) struct Held {
    /// The model it names.
    pub model: Option<Model>,
    /// The new body; `None` where it stays.
    pub changed: Option<Vec<u8>>,
}

/// Reads and edits a whole body.
pub(super) fn held(provider: &Rc<Provider>, body: &[u8], edited: bool) -> Result<Held, Error> {
    if body.is_empty() {
        return Ok(Held { model: None, changed: None });
    }
    let mut request = Request::new(provider);
    let changed = json::edit(keys()?, body, &mut request)?.filter(|_| edited);
    Ok(Held { model: request.model, changed })
}

fn keys() -> Result<Keys, Error> {
    Keys::new(KEYS).map_err(|_| Error::InvalidBody("cannot be scanned"))
}

/// Decides about the members of one request body.
struct Request {
    provider: Rc<Provider>,
    model: Option<Model>,
}

impl Request {
    fn new(provider: &Rc<Provider>) -> Self {
        Self { provider: Rc::clone(provider), model: None }
    }
}

impl Members for Request {
    type Error = Error;

    fn member(&mut self, key: usize, raw: &str) -> Result<Edit, Error> {
        if key != MODEL {
            return Ok(Edit::Keep);
        }
        let requested = json::decode(raw.as_bytes())
            .map_err(|_| Error::InvalidBody("has a `model` that is not a string"))?
            .into_owned();
        let model = Model::of(&self.provider, requested);
        let edit =
            if model.upstream == model.requested { Edit::Keep } else { Edit::value(json::literal(&model.upstream)) };
        self.model = Some(model);
        Ok(edit)
    }

    fn end(&mut self, members: &mut Appender) -> Result<(), Error> {
        if self.model.is_none()
            && let Some(model) = Model::default_of(&self.provider)
        {
            members.push("model", &json::literal(&model.upstream));
            self.model = Some(model);
        }
        Ok(())
    }
}
