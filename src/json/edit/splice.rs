//! Putting spliced documents together, and the whole of it for a body that is held.

use core::ops::Range;
use std::borrow::Cow;

use super::{Editor, Members};
use crate::json::Keys;

/// Bytes to be put in the place of a range of the document, which may be empty.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Splice {
    /// The replaced bytes, as absolute offsets.
    pub range: Range<u64>,
    /// What stands there instead.
    pub bytes: Vec<u8>,
}

/// The changes to a whole document, in its order and without overlap. None at all when it stays as it is.
///
/// # Errors
///
/// The document is not complete, or it or a member is refused.
pub fn splices<M: Members>(keys: Keys, body: &[u8], members: &mut M) -> Result<Vec<Splice>, M::Error> {
    let mut editor = Editor::new(keys);
    let splices = editor.collect(Piece { bytes: body, start: 0 }, members)?;
    editor.finish()?;
    Ok(splices)
}

/// The document with these changes, in one allocation of its exact size. The splices are those
/// of [`splices`]; others are applied as far as they make sense.
#[must_use]
pub fn apply(body: &[u8], splices: &[Splice]) -> Vec<u8> {
    let body = Piece { bytes: body, start: 0 };
    assemble(body, body.since(body.end()), body.end(), splices)
}

/// Edits a whole document; `None` when it stays as it is.
///
/// # Errors
///
/// The document is not complete, or it or a member is refused.
pub fn edit<M: Members>(keys: Keys, body: &[u8], members: &mut M) -> Result<Option<Vec<u8>>, M::Error> {
    let splices = splices(keys, body, members)?;
    Ok((!splices.is_empty()).then(|| apply(body, &splices)))
}

/// A piece of the document.
#[derive(Clone, Copy, Debug)]
pub(super) struct Piece<'a> {
    pub(super) bytes: &'a [u8],
    /// The absolute offset of the first byte.
    pub(super) start: u64,
}

impl<'a> Piece<'a> {
    /// What of a range of the document is in here.
    pub(super) fn get(self, range: &Range<u64>) -> &'a [u8] {
        // Clamped to the bytes, both fit.
        let index = |offset: u64| {
            let index = offset.saturating_sub(self.start);
            usize::try_from(index).unwrap_or(usize::MAX).min(self.bytes.len())
        };
        self.bytes.get(index(range.start)..index(range.end)).unwrap_or_default()
    }

    /// What of the document from an offset on is in here.
    pub(super) fn since(self, offset: u64) -> Self {
        Self { bytes: self.get(&(offset..u64::MAX)), start: offset.max(self.start) }
    }

    /// The absolute offset after the last byte.
    pub(super) const fn end(self) -> u64 {
        self.start.saturating_add(self.bytes.len() as u64)
    }
}

/// The bytes up to `until` of one piece, changed by splices that are all within it. An owned one keeps what stands before
/// the first of them in its place, where that is most of it: SDKs put the model behind the messages.
pub(super) fn changed(bytes: Cow<'_, [u8]>, start: u64, until: u64, splices: &[Splice]) -> Vec<u8> {
    let piece = Piece { bytes: &bytes, start };
    let first = splices.first().map_or(until, |splice| splice.range.start);
    let front = piece.get(&(start..first)).len();
    let from = |start| assemble(Piece { bytes: &[], start }, piece, until, splices);
    if front < bytes.len() / 2 || matches!(bytes, Cow::Borrowed(_)) {
        return from(start);
    }
    let rest = from(first);
    let mut bytes = bytes.into_owned();
    bytes.truncate(front);
    bytes.reserve_exact(rest.len());
    bytes.extend_from_slice(&rest);
    bytes
}

/// The bytes up to `until` of two adjacent pieces, changed by splices that are all within them.
pub(super) fn assemble(first: Piece<'_>, second: Piece<'_>, until: u64, splices: &[Splice]) -> Vec<u8> {
    let mut size = until.saturating_sub(first.start);
    for Splice { range, bytes } in splices {
        size = size.saturating_add(bytes.len() as u64).saturating_sub(range.end.saturating_sub(range.start));
    }
    let mut out = Vec::with_capacity(usize::try_from(size).unwrap_or_default());
    let mut from = first.start;
    for Splice { range, bytes } in splices {
        out.extend_from_slice(first.get(&(from..range.start)));
        out.extend_from_slice(second.get(&(from..range.start)));
        out.extend_from_slice(bytes);
        from = range.end;
    }
    out.extend_from_slice(first.get(&(from..until)));
    out.extend_from_slice(second.get(&(from..until)));
    out
}
