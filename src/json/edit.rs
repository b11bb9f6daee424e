//! The editor: changes top-level members of a document, and strings in one place further in, while it streams past; or
//! those of one that is held.

mod splice;
#[cfg(test)]
mod tests;

use core::ops::Range;

use self::splice::{Piece, assemble, changed};
pub use self::splice::{Splice, apply, edit, splices};
use super::error::{Error, ErrorKind};
use super::keys::Keys;
use super::scan::{Event, Member, Scanner};
use super::string;
use std::borrow::Cow;

/// What happens to a member that was asked for.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Edit {
    /// It stays as it is.
    Keep,
    /// It goes, together with the comma that separated it.
    Remove,
    /// It gets another key or value; with neither it stays as it is.
    Change {
        /// The new key, unescaped. It must not be the key of another member; that is for the caller to know.
        key: Option<String>,
        /// The new value: one complete JSON value, which is not checked.
        value: Option<String>,
    },
}

impl Edit {
    /// Replaces the value by a complete JSON value.
    #[must_use]
    pub const fn value(raw: String) -> Self {
        Self::Change { key: None, value: Some(raw) }
    }

    /// Renames the key; the new name is unescaped.
    #[must_use]
    pub const fn key(name: String) -> Self {
        Self::Change { key: Some(name), value: None }
    }
}

/// What is to become of a member that was asked for, as far as its key tells.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Wants {
    /// That depends on its value: it is shown to [`Members::member`].
    Value,
    /// It stays as it is.
    Skip,
    /// It goes, together with the comma that separated it.
    Remove,
    /// It gets this key, unescaped. It must not be the key of another member; that is for the caller to know.
    Rename(String),
}

/// Who decides about the members of a document.
pub trait Members {
    /// What a refusal is; refusals of the document itself are turned into it.
    type Error: From<Error>;

    /// Decides about a member that was asked for when only its key is known. Anything but [`Wants::Value`] lets it have
    /// any size, because none of it is held and [`member`](Self::member) is not called.
    ///
    /// `key` is its index in [`Keys`]. Called at most once per key, in the order of the document.
    fn key(&mut self, key: usize) -> Wants {
        let _ = key;
        Wants::Value
    }

    /// Decides about a watched string ([`Watch`](super::Watch)): another complete JSON value to stand in its place,
    /// which is not checked, or `None` if it stays.
    ///
    /// `raw` is a valid string literal as it came, with its quotes and escapes, at most
    /// [`MAX_NESTED`](super::MAX_NESTED) bytes, not known to be UTF-8; [`decode`](super::decode) reads it. Longer ones
    /// stay as they are, unseen. Strings come in the order of the document.
    fn nested(&mut self, raw: &[u8]) -> Option<&'static str> {
        let _ = raw;
        None
    }

    /// Decides about a member that was asked for, once its value is complete.
    ///
    /// `key` is its index in [`Keys`], `raw` its value as it came: one valid JSON value without whitespace around it,
    /// at most [`MAX_MEMBER`](super::MAX_MEMBER) bytes. Called at most once per key, in the order of the document.
    ///
    /// # Errors
    ///
    /// Whatever refuses the document. The editor is of no use afterwards.
    fn member(&mut self, key: usize, raw: &str) -> Result<Edit, Self::Error>;

    /// Appends members before the closing brace, when all others have been decided about.
    ///
    /// # Errors
    ///
    /// Whatever refuses the document. The editor is of no use afterwards.
    fn end(&mut self, members: &mut Appender) -> Result<(), Self::Error> {
        let _ = members;
        Ok(())
    }
}

/// Takes the members that are appended to a document.
#[derive(Debug)]
pub struct Appender {
    out: String,
    /// Whether a member stands before the next one.
    follows: bool,
}

impl Appender {
    /// Appends a member: an unescaped key that the document does not have, and one complete JSON value, which is not
    /// checked.
    pub fn push(&mut self, key: &str, value: &str) {
        if self.follows {
            self.out.push(',');
        }
        self.follows = true;
        string::write_literal(&mut self.out, key);
        self.out.push(':');
        self.out.push_str(value);
    }
}

/// What a chunk turns into.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Output {
    /// The chunk goes on as it is.
    Unchanged,
    /// These bytes go on instead of the chunk; there may be none.
    Bytes(Vec<u8>),
}

/// Edits a document that arrives in chunks. Feed it every chunk and send on what [`feed`](Self::feed) returns, then
/// call [`finish`](Self::finish).
///
/// What is withheld at the end of a chunk is the beginning of a member whose value was asked for, or of one that may
/// turn out to be such, from its comma on; never more than [`MAX_MEMBER`](super::MAX_MEMBER) bytes. Or it is the
/// beginning of a watched string, less than [`MAX_NESTED`](super::MAX_NESTED) bytes.
#[derive(Clone, Debug)]
pub struct Editor {
    scanner: Scanner,
    /// Whether a member before the current one has been kept: then a comma stands between them.
    kept: bool,
    /// Where the rest of a member that is removed without having been seen starts.
    removing: Option<u64>,
    /// Bytes of earlier chunks that have not been released.
    held: Vec<u8>,
    /// The absolute offset of the first held byte; that of the next chunk when none are held.
    held_from: u64,
}

impl Editor {
    /// An editor at the start of a document, acting on these top-level keys and on the place that is watched with them.
    #[must_use]
    pub fn new(keys: Keys) -> Self {
        Self { scanner: Scanner::new(keys), kept: false, removing: None, held: Vec::new(), held_from: 0 }
    }

    /// Takes the next chunk and returns what is to be sent on.
    ///
    /// # Errors
    ///
    /// The document or a member is refused. What is held is lost and every later call fails.
    pub fn feed<'c, M: Members>(
        &mut self,
        chunk: impl Into<Cow<'c, [u8]>>,
        members: &mut M,
    ) -> Result<Output, M::Error> {
        let (bytes, start) = (chunk.into(), self.scanner.offset());
        let chunk = Piece { bytes: &bytes, start };
        let splices = self.collect(chunk, members)?;
        // Of a member that is removed nothing is held, though there may be watched strings in it.
        let pending = self.scanner.pending().filter(|_| self.removing.is_none());
        let until = pending.unwrap_or_else(|| chunk.end());
        if self.held.is_empty() && splices.is_empty() && until == chunk.end() {
            self.held_from = until;
            return Ok(Output::Unchanged);
        }
        if self.held.is_empty() {
            self.hold(chunk, until);
            return Ok(Output::Bytes(changed(bytes, start, until, &splices)));
        }
        let held = self.held();
        // A value that is now complete may have been completed in there.
        let chunk = chunk.since(held.end());
        let out = assemble(held, chunk, until, &splices);
        self.hold(chunk, until);
        Ok(Output::Bytes(out))
    }

    /// Takes out what is withheld, which has to be [put back](Self::restore) before the next chunk.
    pub fn park(&mut self) -> Vec<u8> {
        core::mem::take(&mut self.held)
    }

    /// Puts back what was taken out.
    pub fn restore(&mut self, held: Vec<u8>) {
        self.held = held;
    }

    /// Ends the document. Nothing is held when this succeeds.
    ///
    /// # Errors
    ///
    /// The document is not complete, or it has been refused before.
    pub const fn finish(&self) -> Result<(), Error> {
        self.scanner.finish()
    }

    /// Scans a chunk and has its members decided about.
    fn collect<M: Members>(&mut self, chunk: Piece<'_>, members: &mut M) -> Result<Vec<Splice>, M::Error> {
        let mut splices = Vec::new();
        let mut input = chunk.bytes;
        while let Some(event) = self.scanner.scan(&mut input)? {
            let decided = match event {
                Event::Other { comma, name } => {
                    self.keep(comma, name.start, &mut splices);
                    Ok(())
                }
                Event::Key { key, comma, name } => {
                    self.start(members.key(key), comma, name, &mut splices);
                    Ok(())
                }
                Event::Skipped { end } => {
                    if let Some(start) = self.removing.take() {
                        remove(start..end, &mut splices);
                    }
                    Ok(())
                }
                Event::Nested { value } => {
                    if self.removing.is_none()
                        && let Some(new) = members.nested(self.complete(&value, chunk))
                    {
                        splices.push(Splice { range: value, bytes: new.as_bytes().to_vec() });
                    }
                    Ok(())
                }
                Event::Member(member) => self.decide(member, chunk, members, &mut splices),
                Event::End { brace } => {
                    let mut appender = Appender { out: String::new(), follows: self.kept };
                    members.end(&mut appender).map(|()| {
                        if !appender.out.is_empty() {
                            splices.push(Splice { range: brace..brace, bytes: appender.out.into_bytes() });
                        }
                    })
                }
            };
            if let Err(error) = decided {
                self.scanner.fail(Error::new(ErrorKind::Abandoned, self.scanner.offset()));
                return Err(error);
            }
        }
        if let Some(start) = &mut self.removing {
            remove(*start..chunk.end(), &mut splices);
            *start = chunk.end();
        }
        Ok(splices)
    }

    /// Acts on what is known from the key of a member that was asked for.
    fn start(&mut self, wants: Wants, comma: Option<u64>, name: Range<u64>, splices: &mut Vec<Splice>) {
        if wants == Wants::Value {
            return;
        }
        self.scanner.skip();
        if wants == Wants::Remove {
            self.removing = Some(comma.unwrap_or(name.start));
            return;
        }
        self.keep(comma, name.start, splices);
        if let Wants::Rename(key) = wants {
            rename(name, &key, splices);
        }
    }

    fn decide<M: Members>(
        &mut self,
        member: Member,
        chunk: Piece<'_>,
        members: &mut M,
        splices: &mut Vec<Splice>,
    ) -> Result<(), M::Error> {
        let Member { key, comma, name, value } = member;
        let raw = self.complete(&value, chunk);
        let raw = core::str::from_utf8(raw).map_err(|error| {
            let offset = value.start.saturating_add(error.valid_up_to() as u64);
            Error::new(ErrorKind::InvalidUtf8, offset)
        })?;
        match members.member(key, raw)? {
            Edit::Keep => self.keep(comma, name.start, splices),
            // Without a member before it, the first one to be kept loses its comma instead.
            Edit::Remove => remove(comma.unwrap_or(name.start)..value.end, splices),
            Edit::Change { key, value: new } => {
                self.keep(comma, name.start, splices);
                if let Some(key) = key {
                    rename(name, &key, splices);
                }
                if let Some(new) = new {
                    splices.push(Splice { range: value, bytes: new.into_bytes() });
                }
            }
        }
        Ok(())
    }

    /// Keeps a member. If it is the first to be kept and others before it are not, its comma goes, and the space up to
    /// its key.
    fn keep(&mut self, comma: Option<u64>, name: u64, splices: &mut Vec<Splice>) {
        if let Some(comma) = comma
            && !self.kept
        {
            remove(comma..name, splices);
        }
        self.kept = true;
    }

    /// The bytes of something that this chunk completes.
    fn complete<'a>(&'a mut self, range: &Range<u64>, chunk: Piece<'a>) -> &'a [u8] {
        if range.start >= chunk.start {
            return chunk.get(range);
        }
        // One piece is needed: what is missing joins what is held.
        self.held.extend_from_slice(chunk.get(&(chunk.start..range.end)));
        self.held().get(range)
    }

    /// Withholds the bytes from `from` on, of those held and the chunk that follows them.
    fn hold(&mut self, chunk: Piece<'_>, from: u64) {
        let released = self.held.len().saturating_sub(self.held().since(from).bytes.len());
        self.held.drain(..released);
        self.held.extend_from_slice(chunk.since(from).bytes);
        self.held_from = from;
    }

    fn held(&self) -> Piece<'_> {
        Piece { bytes: &self.held, start: self.held_from }
    }
}

fn remove(range: Range<u64>, splices: &mut Vec<Splice>) {
    if !range.is_empty() {
        splices.push(Splice { range, bytes: Vec::new() });
    }
}

fn rename(name: Range<u64>, key: &str, splices: &mut Vec<Splice>) {
    splices.push(Splice { range: name, bytes: string::literal(key).into_bytes() });
}
