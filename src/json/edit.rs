//! The editor: changes top-level members of a document while it streams past, or of one that is held.

mod splice;
#[cfg(test)]
mod tests;

use self::splice::{Piece, assemble};
pub use self::splice::{Splice, apply, edit, splices};
use super::error::{Error, ErrorKind};
use super::keys::Keys;
use super::scan::{Event, Member, Scanner};
use super::string;

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

/// Who decides about the members of a document.
pub trait Members {
    /// What a refusal is; refusals of the document itself are turned into it.
    type Error: From<Error>;

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
/// What is withheld at the end of a chunk is the beginning of a member that was asked for, or of one that may turn out
/// to be, from its comma on; never more than [`MAX_MEMBER`](super::MAX_MEMBER) bytes.
#[derive(Clone, Debug)]
pub struct Editor {
    scanner: Scanner,
    /// Whether a member before the current one has been kept: then a comma stands between them.
    kept: bool,
    /// Bytes of earlier chunks that have not been released.
    held: Vec<u8>,
    /// The absolute offset of the first held byte; that of the next chunk when none are held.
    held_from: u64,
}

impl Editor {
    /// An editor at the start of a document, acting on these top-level keys.
    #[must_use]
    pub fn new(keys: Keys) -> Self {
        Self { scanner: Scanner::new(keys), kept: false, held: Vec::new(), held_from: 0 }
    }

    /// Takes the next chunk and returns what is to be sent on.
    ///
    /// # Errors
    ///
    /// The document or a member is refused. What is held is lost and every later call fails.
    pub fn feed<M: Members>(&mut self, chunk: &[u8], members: &mut M) -> Result<Output, M::Error> {
        let chunk = Piece { bytes: chunk, start: self.scanner.offset() };
        let splices = self.collect(chunk, members)?;
        let until = self.scanner.pending().unwrap_or_else(|| chunk.end());
        if self.held.is_empty() && splices.is_empty() && until == chunk.end() {
            self.held_from = until;
            return Ok(Output::Unchanged);
        }
        let held = self.held();
        // A value that is now complete may have been completed in there.
        let chunk = chunk.since(held.end());
        let out = assemble(held, chunk, until, &splices);
        self.hold(chunk, until);
        Ok(Output::Bytes(out))
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
                    self.drop_comma(comma, name.start, &mut splices);
                    self.kept = true;
                    Ok(())
                }
                Event::Member(member) => self.decide(&member, chunk, members, &mut splices),
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
        Ok(splices)
    }

    fn decide<M: Members>(
        &mut self,
        member: &Member,
        chunk: Piece<'_>,
        members: &mut M,
        splices: &mut Vec<Splice>,
    ) -> Result<(), M::Error> {
        let value = &member.value;
        let raw = if value.start < chunk.start {
            // One piece is needed: what is missing joins what is held.
            self.held.extend_from_slice(chunk.get(&(chunk.start..value.end)));
            self.held().get(value)
        } else {
            chunk.get(value)
        };
        let raw = core::str::from_utf8(raw).map_err(|error| {
            let offset = value.start.saturating_add(error.valid_up_to() as u64);
            Error::new(ErrorKind::InvalidUtf8, offset)
        })?;
        match members.member(member.key, raw)? {
            Edit::Keep => self.keep(member, splices),
            Edit::Remove => {
                let start = member.comma.unwrap_or(member.name.start);
                splices.push(Splice { range: start..value.end, bytes: Vec::new() });
                // Without a member before it, the first one to be kept loses its comma instead.
            }
            Edit::Change { key, value: new } => {
                self.keep(member, splices);
                if let Some(key) = key {
                    let bytes = string::literal(&key).into_bytes();
                    splices.push(Splice { range: member.name.clone(), bytes });
                }
                if let Some(new) = new {
                    splices.push(Splice { range: value.clone(), bytes: new.into_bytes() });
                }
            }
        }
        Ok(())
    }

    fn keep(&mut self, member: &Member, splices: &mut Vec<Splice>) {
        self.drop_comma(member.comma, member.name.start, splices);
        self.kept = true;
    }

    /// Drops the comma, and the space up to the key, of the first member that is kept when others before it are not.
    fn drop_comma(&self, comma: Option<u64>, name: u64, splices: &mut Vec<Splice>) {
        if let Some(comma) = comma
            && !self.kept
        {
            splices.push(Splice { range: comma..name, bytes: Vec::new() });
        }
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
