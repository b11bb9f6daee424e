//! A request body that is read, and edited, while it passes.

use super::Facts;
use super::format::Format;
use super::request::Request;
use crate::config::Provider;
use crate::error::Error;
use crate::exchange::head::Head;
use crate::json::{self, Output};
use crate::multipart;
use crate::operation::Operation;
use std::borrow::Cow;
use std::rc::Rc;

/// Reads one body while it streams past, and edits it.
pub(in crate::exchange) struct Stream {
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
pub(in crate::exchange) enum Chunk {
    /// It goes on as it is.
    Pass,
    /// These bytes go on instead.
    Replace(Vec<u8>),
}

impl Stream {
    pub(in crate::exchange) fn new(
        provider: &Rc<Provider>,
        operation: Operation,
        head: &Head,
        asks: bool,
        observed: bool,
    ) -> Self {
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
    pub(in crate::exchange) fn facts(&self) -> Facts {
        self.request.facts()
    }

    /// Takes the next chunk.
    pub(in crate::exchange) fn feed(&mut self, chunk: Cow<'_, [u8]>, end: bool) -> Result<Chunk, Error> {
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
    pub(in crate::exchange) const fn wants(&self) -> usize {
        // One more tells that there are more.
        if self.observed { MAX_OBSERVED.saturating_add(1).saturating_sub(self.read) } else { usize::MAX }
    }

    /// Whether more of the body says nothing more.
    pub(in crate::exchange) const fn is_done(&self) -> bool {
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
