//! The editor: replaces or inserts the field `model` of a form while its parts stream past.

use memchr::memmem::{self, Finder};

use super::error::Error;
use super::headers::{self, Length, MAX_PART_HEADERS, Part};
use crate::json::Output;

/// How long the value of `model` may be, in bytes.
pub const MAX_MODEL: usize = 8 * 1024;

const CRLF: &[u8] = b"\r\n";
/// The end of the headers of a part.
const BLANK_LINE: &[u8] = b"\r\n\r\n";
/// The headers of a part that is put in.
const MODEL_HEADERS: &[u8] = b"\r\nContent-Disposition: form-data; name=\"model\"\r\n\r\n";

/// Who decides about the field `model`. A closure that takes its value and returns a new one, or none to keep it, is
/// one; it leaves a missing field missing.
pub trait Decide {
    /// What a refusal is; refusals of the body itself are turned into it.
    type Error: From<Error>;

    /// Decides about the value of `model`, once it is complete: at most [`MAX_MODEL`] bytes, which are all its bytes.
    /// Returns another value, or none to keep it. Called at most once.
    ///
    /// # Errors
    ///
    /// Whatever refuses the body. The editor is of no use afterwards.
    fn model(&mut self, value: &str) -> Result<Option<String>, Self::Error>;

    /// Returns the value of a `model` that is put in behind all other parts, because none of them has that name, or
    /// none to leave it missing. Called at most once, and not if [`model`](Self::model) has been.
    ///
    /// # Errors
    ///
    /// Whatever refuses the body. The editor is of no use afterwards.
    fn end(&mut self) -> Result<Option<String>, Self::Error> {
        Ok(None)
    }
}

impl<F, E> Decide for F
where
    F: FnMut(&str) -> Result<Option<String>, E>,
    E: From<Error>,
{
    type Error = E;

    fn model(&mut self, value: &str) -> Result<Option<String>, E> {
        self(value)
    }
}

/// What the next byte belongs to, or must be.
#[derive(Clone, Debug, PartialEq, Eq)]
enum State {
    /// Before the first delimiter.
    Preamble,
    /// Content of a part that is not `model`.
    Other,
    /// The value of `model`, behind as many held bytes of headers.
    Model { headers: usize, length: Option<Length> },
    /// Behind the boundary of a delimiter.
    Boundary,
    /// Behind the first hyphen of the closing delimiter.
    Hyphen,
    /// Behind padding.
    Padding,
    /// Behind the CR of a delimiter.
    Cr,
    /// The headers of a part.
    Headers,
    /// Behind the closing delimiter.
    Closed,
    /// Behind the CR after it.
    ClosedCr,
    /// Behind its line.
    Epilogue,
    /// It was refused.
    Failed,
}

/// Edits a form that arrives in chunks. Feed it every chunk and send on what [`feed`](Self::feed) returns, then call
/// [`finish`](Self::finish).
///
/// What is withheld at the end of a chunk is an incomplete block of part headers, or the part `model` from its headers
/// to the boundary behind its value.
#[derive(Clone, Debug)]
pub struct Editor {
    /// Finds `--` and the boundary.
    delimiter: Finder<'static>,
    state: State,
    /// The last bytes of the content that is being searched: what a delimiter that begins there consists of, and a CRLF
    /// before that.
    tail: Vec<u8>,
    /// The headers that are being read, and the value of `model` with what follows it.
    held: Vec<u8>,
    /// How many of them came in earlier chunks and have not been released.
    withheld: usize,
    /// Whether the last delimiter was padded.
    padded: bool,
    /// Whether the last part was `model`.
    behind_model: bool,
    /// Whether there was a `model`.
    seen: bool,
}

/// A delimiter in a chunk.
#[derive(Clone, Copy, Debug)]
struct Found {
    /// Where it ends.
    end: usize,
    /// Whether a CRLF or the start of the body stands before it.
    starts_line: bool,
}

impl Editor {
    /// An editor at the start of a body with this boundary, which comes from [`boundary`](super::boundary()).
    #[must_use]
    pub fn new(boundary: &str) -> Self {
        Self {
            delimiter: Finder::new(format!("--{boundary}").as_bytes()).into_owned(),
            state: State::Preamble,
            tail: Vec::new(),
            held: Vec::new(),
            withheld: 0,
            padded: false,
            behind_model: false,
            seen: false,
        }
    }

    /// Takes the next chunk and returns what is to be sent on.
    ///
    /// # Errors
    ///
    /// The body or its model is refused. What is held is lost and every later call fails.
    pub fn feed<D: Decide>(&mut self, chunk: &[u8], decide: &mut D) -> Result<Output, D::Error> {
        if self.state == State::Failed {
            return Err(Error::Abandoned.into());
        }
        let mut out = Out { chunk, from: 0, bytes: Vec::new(), changed: false };
        if let Err(error) = self.read(chunk, decide, &mut out) {
            self.state = State::Failed;
            self.held = Vec::new();
            return Err(error);
        }
        if !self.held.is_empty() {
            out.replace(self.held_from(chunk.len()), chunk.len(), &[]);
            self.withheld = self.held.len();
        }
        Ok(out.finish())
    }

    /// Takes out what is withheld, which has to be [put back](Self::restore) before the next chunk.
    pub fn park(&mut self) -> Vec<u8> {
        core::mem::take(&mut self.held)
    }

    /// Puts back what was taken out.
    pub fn restore(&mut self, held: Vec<u8>) {
        self.held = held;
    }

    /// Ends the body. Nothing is held when this succeeds.
    ///
    /// # Errors
    ///
    /// The closing delimiter has not come, or the body has been refused before.
    pub const fn finish(&self) -> Result<(), Error> {
        match self.state {
            State::Closed | State::Epilogue => Ok(()),
            State::Failed => Err(Error::Abandoned),
            State::Preamble
            | State::Other
            | State::Model { .. }
            | State::Boundary
            | State::Hyphen
            | State::Padding
            | State::Cr
            | State::Headers
            | State::ClosedCr => Err(Error::Truncated),
        }
    }

    fn read<D: Decide>(&mut self, chunk: &[u8], decide: &mut D, out: &mut Out<'_>) -> Result<(), D::Error> {
        let mut at = 0;
        while let Some(rest @ [byte, ..]) = chunk.get(at..) {
            let next = at.saturating_add(1);
            at = match (&self.state, *byte) {
                (State::Failed, _) => return Err(Error::Abandoned.into()),
                (State::Preamble | State::Other | State::Epilogue, _) => match self.find(rest) {
                    None => chunk.len(),
                    Some(found) => {
                        if !found.starts_line || self.state == State::Epilogue {
                            return Err(Error::Delimiter.into());
                        }
                        self.state = State::Boundary;
                        at.saturating_add(found.end)
                    }
                },
                (State::Model { .. }, _) => self.model(rest, at, decide, out)?,
                (State::Headers, _) => self.headers(rest, at, out)?,
                (State::Boundary, b'-') => {
                    self.end(at, decide, out)?;
                    self.state = State::Hyphen;
                    next
                }
                (State::Boundary | State::Padding, b' ' | b'\t') => {
                    if self.behind_model {
                        return Err(Error::Delimiter.into());
                    }
                    self.padded = true;
                    self.state = State::Padding;
                    next
                }
                (State::Boundary | State::Padding, b'\r') => {
                    self.state = State::Cr;
                    next
                }
                (State::Cr, b'\n') => {
                    self.state = State::Headers;
                    next
                }
                (State::Hyphen, b'-') => {
                    self.state = State::Closed;
                    next
                }
                (State::Closed, b' ' | b'\t') => next,
                (State::Closed, b'\r') => {
                    self.state = State::ClosedCr;
                    next
                }
                (State::Closed | State::ClosedCr, b'\n') => {
                    self.state = State::Epilogue;
                    next
                }
                (State::Boundary | State::Hyphen | State::Padding | State::Cr | State::Closed | State::ClosedCr, _) => {
                    return Err(Error::Delimiter.into());
                }
            };
        }
        Ok(())
    }

    /// Searches content for a delimiter, wherever it began.
    fn find(&mut self, rest: &[u8]) -> Option<Found> {
        let length = self.delimiter.needle().len();
        let before = self.tail.len();
        // One that began in the tail ends in here; otherwise the first bytes are what may stand before one.
        self.tail.extend_from_slice(rest.get(..length.saturating_sub(1)).unwrap_or(rest));
        let found = match self.delimiter.find(&self.tail) {
            Some(at) => Some((at, at.saturating_add(length).saturating_sub(before))),
            None => self.delimiter.find(rest).map(|at| (before.saturating_add(at), at.saturating_add(length))),
        };
        if let Some((at, end)) = found {
            // `at` counts from the start of the tail.
            let starts_line = match self.tail.get(..at) {
                Some([]) => self.state == State::Preamble,
                Some(line) => line.ends_with(CRLF),
                None => rest.get(..at.saturating_sub(before)).is_some_and(|line| line.ends_with(CRLF)),
            };
            self.tail.clear();
            return Some(Found { end, starts_line });
        }
        self.tail.truncate(before);
        let keep = length.saturating_add(1);
        if let Some(last) = rest.len().checked_sub(keep).and_then(|from| rest.get(from..)) {
            self.tail.clear();
            self.tail.extend_from_slice(last);
        } else {
            self.tail.extend_from_slice(rest);
            self.tail.drain(..self.tail.len().saturating_sub(keep));
        }
        None
    }

    /// Reads headers of a part and returns where to go on.
    fn headers(&mut self, rest: &[u8], at: usize, out: &mut Out<'_>) -> Result<usize, Error> {
        const LIMIT: usize = MAX_PART_HEADERS + BLANK_LINE.len();
        let before = self.held.len();
        let taken = rest.get(..LIMIT.saturating_sub(before)).unwrap_or(rest);
        self.held.extend_from_slice(taken);
        if self.held.starts_with(CRLF) {
            return Err(Error::Name);
        }
        let search = before.saturating_sub(BLANK_LINE.len());
        let Some(blank) = memmem::find(self.held.get(search..).unwrap_or_default(), BLANK_LINE) else {
            return if self.held.len() < LIMIT {
                Ok(at.saturating_add(taken.len()))
            } else {
                Err(Error::HeadersTooLong)
            };
        };
        let end = search.saturating_add(blank);
        let length = end.saturating_add(BLANK_LINE.len());
        self.held.truncate(length);
        let next = at.saturating_add(length.saturating_sub(before));
        let block = self.held.get(..end).unwrap_or_default();
        if self.delimiter.find(block).is_some() {
            return Err(Error::Delimiter);
        }
        match headers::read(block)? {
            Part::Other => {
                self.behind_model = false;
                self.state = State::Other;
                self.release(next, None, out);
            }
            Part::Model(_) if self.seen => return Err(Error::ModelTwice),
            Part::Model(_) if self.padded => return Err(Error::Delimiter),
            Part::Model(content_length) => {
                self.seen = true;
                self.behind_model = true;
                self.state = State::Model { headers: length, length: content_length };
            }
        }
        self.padded = false;
        Ok(next)
    }

    /// Reads the value of `model` and returns where to go on.
    fn model<D: Decide>(
        &mut self,
        rest: &[u8],
        at: usize,
        decide: &mut D,
        out: &mut Out<'_>,
    ) -> Result<usize, D::Error> {
        let State::Model { headers, length } = self.state.clone() else { return Err(Error::Abandoned.into()) };
        let found = self.find(rest);
        let taken = found.and_then(|found| rest.get(..found.end)).unwrap_or(rest);
        let behind = CRLF.len().saturating_add(self.delimiter.needle().len());
        // Whether or not the end has come, a value that reaches this far is longer than it may be.
        let so_far = self.held.len().saturating_sub(headers).saturating_add(taken.len());
        if so_far.saturating_sub(behind) > MAX_MODEL {
            return Err(Error::ModelTooLong.into());
        }
        self.held.extend_from_slice(taken);
        let next = at.saturating_add(taken.len());
        let Some(found) = found else { return Ok(next) };
        if !found.starts_line {
            return Err(Error::Delimiter.into());
        }
        let end = self.held.len().saturating_sub(behind);
        let value = self.held.get(headers..end).unwrap_or_default();
        if length.as_ref().is_some_and(|length| length.bytes != value.len()) {
            return Err(Error::ModelEncoded.into());
        }
        let value = core::str::from_utf8(value).map_err(|_| Error::ModelNotUtf8)?;
        let new = decide.model(value)?.filter(|new| new != value);
        let edited = match &new {
            None => None,
            Some(new) => {
                self.check(new)?;
                let mut edited = Vec::with_capacity(self.held.len().saturating_add(new.len()));
                let mut copied = 0;
                if let Some(Length { digits, .. }) = length {
                    edited.extend_from_slice(self.held.get(..digits.start).unwrap_or_default());
                    edited.extend_from_slice(new.len().to_string().as_bytes());
                    copied = digits.end;
                }
                edited.extend_from_slice(self.held.get(copied..headers).unwrap_or_default());
                edited.extend_from_slice(new.as_bytes());
                edited.extend_from_slice(self.held.get(end..).unwrap_or_default());
                Some(edited)
            }
        };
        self.state = State::Boundary;
        self.release(next, edited, out);
        Ok(next)
    }

    /// Puts a `model` in behind the boundary of the closing delimiter, and that boundary again.
    fn end<D: Decide>(&mut self, at: usize, decide: &mut D, out: &mut Out<'_>) -> Result<(), D::Error> {
        if self.seen {
            return Ok(());
        }
        self.seen = true;
        if let Some(new) = decide.end()? {
            self.check(&new)?;
            out.replace(at, at, &[MODEL_HEADERS, new.as_bytes(), CRLF, self.delimiter.needle()].concat());
        }
        Ok(())
    }

    /// Refuses a new value that would end its part.
    fn check(&self, new: &str) -> Result<(), Error> {
        if self.delimiter.find(new.as_bytes()).is_some() { Err(Error::NewModel) } else { Ok(()) }
    }

    /// Lets go of what is held, whose last byte stands before `end` in the chunk, as it is or as other bytes.
    fn release(&mut self, end: usize, edited: Option<Vec<u8>>, out: &mut Out<'_>) {
        if self.withheld > 0 || edited.is_some() {
            out.replace(self.held_from(end), end, edited.as_ref().unwrap_or(&self.held));
        }
        self.held.clear();
        self.withheld = 0;
    }

    /// Where in the chunk begins what is held and has not been withheld, if it reaches to `end`.
    fn held_from(&self, end: usize) -> usize {
        end.saturating_sub(self.held.len().saturating_sub(self.withheld))
    }
}

/// What a chunk turns into.
#[derive(Debug)]
struct Out<'a> {
    chunk: &'a [u8],
    /// From where on the chunk has not been copied.
    from: usize,
    bytes: Vec<u8>,
    changed: bool,
}

impl Out<'_> {
    /// Sends on other bytes for a piece of the chunk, which lies behind those that were replaced before.
    fn replace(&mut self, start: usize, end: usize, by: &[u8]) {
        if start < end || !by.is_empty() {
            self.bytes.extend_from_slice(self.chunk.get(self.from..start).unwrap_or_default());
            self.bytes.extend_from_slice(by);
            self.from = end;
            self.changed = true;
        }
    }

    fn finish(mut self) -> Output {
        if !self.changed {
            return Output::Unchanged;
        }
        self.bytes.extend_from_slice(self.chunk.get(self.from..).unwrap_or_default());
        Output::Bytes(self.bytes)
    }
}
