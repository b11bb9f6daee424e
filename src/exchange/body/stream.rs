//! A request body that is read, and edited, while it passes.

use super::Facts;
use super::editor::Editor;
use super::format::Format;
use super::request::{Deployment, Request};
use crate::config::Provider;
use crate::error::Error;
use crate::exchange::head::Head;
use crate::json::Output;
use crate::operation::Operation;
use crate::unpack::{Coding, MAX_AT_ONCE, Unpacker};
use std::borrow::Cow;
use std::rc::Rc;

/// Reads one body while it streams past, and edits it.
pub(in crate::exchange) struct Stream {
    /// None where an observed body turned out to be nothing that can be read.
    editor: Option<Editor>,
    request: Request,
    packed: Option<Box<Packed>>,
    empty: bool,
    /// Whether it leaves as it came, whatever stands in it.
    observed: bool,
    /// How many bytes of an observed body were read.
    read: usize,
    /// Whether an observed body is not what was looked for.
    unread: bool,
}

/// How much of a body that is not edited is read for the record, in bytes. SDKs name the model first or behind the
/// messages; behind more than this neither it nor the rounds are worth the time.
const MAX_OBSERVED: usize = 256 * 1024;

/// A body that comes compressed.
struct Packed {
    unpacker: Unpacker,
    /// What has come and has not been unpacked yet: one chunk may hold more than is unpacked at once.
    rest: Vec<u8>,
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
    /// For a body that is edited, or, if `observed`, only looked at.
    pub(in crate::exchange) fn new(
        provider: &Rc<Provider>,
        operation: Operation,
        head: &Head,
        asks: bool,
        observed: bool,
        deployment: Deployment,
    ) -> Result<Self, Error> {
        let request = Request::new(provider, operation, asks, deployment);
        let format = Format::of(operation, head)?;
        let packed = format.coding.map(|coding| Box::new(Packed::new(coding, provider.body.max_unpacked_bytes)));
        let editor = Some(Editor::new(&format, request.keys().clone()));
        Ok(Self { editor, request, packed, empty: true, observed, read: 0, unread: false })
    }

    /// What the body said so far.
    pub(in crate::exchange) fn facts(&self) -> Facts {
        Facts { unread: self.unread.then_some("body"), ..self.request.facts() }
    }

    /// Takes the next chunk.
    pub(in crate::exchange) fn feed(&mut self, chunk: Cow<'_, [u8]>, end: bool) -> Result<Chunk, Error> {
        let size = chunk.len();
        let result = match &self.packed {
            Some(_) => self.unpack(&chunk, end),
            None => self.edit(chunk, end),
        };
        self.request.shorten_model();
        if !self.observed {
            return result;
        }
        self.read = self.read.saturating_add(size);
        if self.read > MAX_OBSERVED {
            self.give_up();
        } else if result.is_err() {
            // What is not edited is the upstream's to judge.
            self.editor = None;
            self.unread = true;
        }
        Ok(Chunk::Pass)
    }

    /// Whether it leaves as it came, whatever stands in it.
    pub(in crate::exchange) const fn is_observed(&self) -> bool {
        self.observed
    }

    /// What it keeps from one chunk to the next to unpack a compressed body, in bytes.
    pub(in crate::exchange) fn unpacking(&self) -> usize {
        self.packed.as_ref().map_or(0, |packed| packed.allocated())
    }

    /// Takes out what is withheld of it, which has to be [put back](Self::restore) before the next chunk.
    pub(in crate::exchange) fn park(&mut self) -> Vec<u8> {
        self.editor.as_mut().map(Editor::park).unwrap_or_default()
    }

    /// Puts back what was taken out.
    pub(in crate::exchange) fn restore(&mut self, held: Vec<u8>) {
        if let Some(editor) = &mut self.editor {
            editor.restore(held);
        }
    }

    /// Observes it no longer.
    pub(in crate::exchange) fn give_up(&mut self) {
        self.editor = None;
        self.request.rounds = 0;
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

    /// Unpacks a chunk and edits what comes out.
    fn unpack(&mut self, chunk: &[u8], end: bool) -> Result<Chunk, Error> {
        let (Some(editor), Some(packed)) = (&mut self.editor, &mut self.packed) else { return Ok(Chunk::Pass) };
        self.empty &= chunk.is_empty();
        if self.empty {
            return Ok(Chunk::Pass);
        }
        let (mut out, mut edited) = (Vec::new(), Ok(()));
        let request = &mut self.request;
        packed.feed(chunk, end, &mut |bytes| {
            if edited.is_ok() {
                edited = editor.feed(Cow::Borrowed(bytes), request).map(|output| match output {
                    Output::Bytes(bytes) => out.extend_from_slice(&bytes),
                    Output::Unchanged => out.extend_from_slice(bytes),
                });
            }
        })?;
        edited?;
        if end {
            packed.unpacker.finish()?;
            editor.finish()?;
        }
        Ok(Chunk::Replace(out))
    }
}

impl Packed {
    fn new(coding: Coding, limit: u64) -> Self {
        Self { unpacker: Unpacker::new(coding, limit), rest: Vec::new() }
    }

    /// Unpacks a chunk behind what is left of those before.
    ///
    /// What is more than is unpacked at once waits for the next chunk. Behind the last one it cannot wait: a host takes
    /// bytes of a body in callbacks for that body only, and there will be none. Envoy has a way around that for bodies
    /// that it buffers, but answers 413 where they exceed its limit, 1 MiB by default. So the last chunk is unpacked to
    /// the end; the unpacker's bounds of ratio and size are what limits the time this takes. On Envoy 1.40, 62 MiB take a
    /// worker 0.1 s where 0.8 MB come, and 0.3 s where 7 MB come, everything that Envoy does for the request included.
    fn feed(&mut self, chunk: &[u8], end: bool, sink: &mut dyn FnMut(&[u8])) -> Result<(), Error> {
        let room = if end { usize::MAX } else { MAX_AT_ONCE };
        if self.rest.is_empty() {
            let mut input = chunk;
            self.unpacker.feed(&mut input, room, sink)?;
            self.rest.extend_from_slice(input);
            return Ok(());
        }
        self.rest.extend_from_slice(chunk);
        let mut input = self.rest.as_slice();
        self.unpacker.feed(&mut input, room, sink)?;
        let taken = self.rest.len().saturating_sub(input.len());
        self.rest.drain(..taken);
        Ok(())
    }

    /// What it keeps from one chunk to the next, in bytes.
    fn allocated(&self) -> usize {
        self.unpacker.allocated().saturating_add(self.rest.capacity())
    }
}
