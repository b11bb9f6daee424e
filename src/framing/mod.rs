//! Cuts a streamed response into messages while its bytes pass, to see what is in them and to leave single ones out.
//!
//! A [`Framer`] takes the body chunk by chunk and hands out [`Part`]s. In order, their bytes are the stream. Where it is
//! cut into chunks changes neither the messages nor the bytes of each; only what is no message may come in more pieces.
//!
//! # What is a message
//!
//! - [`Framing::Sse`]: an event with at least one `data` line, as in the WHATWG HTML standard, 9.2.6: lines end in LF,
//!   CR or CRLF, a BOM at the start counts for nothing. One rule differs: at the end of the stream, what stands behind
//!   the last blank line is an event too, because servers forget that line behind the last event, which has the usage.
//!   Bytes need not be UTF-8.
//! - [`Framing::Lines`]: a line that is not blank, ended by LF, CRLF or the end of the stream.
//! - [`Framing::Array`]: an element of a JSON array. Nothing is validated but that an array begins, and nothing follows
//!   it. An element that the end of the stream cuts is no message.
//! - [`Framing::AwsEvents`]: a frame whose checksums hold and which has the name of an event, exception or error.
//!
//! # Cost
//!
//! A message that lies within a chunk is not copied, except for an event with several `data` lines. Of any other one,
//! the bytes of earlier chunks are kept, at most [`MAX_HELD`] unless more was asked for; no byte is searched twice for the
//! end of its message. A message that is longer is handed out in [`Run`]s as it passes.

mod array;
mod aws;
mod lines;
mod long;
mod sse;
#[cfg(test)]
mod tests;

use std::borrow::Cow;

use self::array::Array;
use self::aws::Aws;
use self::long::Long;
use self::sse::Sse;

/// How long a message may be with its framing to be shown as a whole, in bytes, where nothing else is asked for. Nearly
/// all are much shorter; those that have a picture are longer, and are shown in [`Run`]s.
pub const MAX_HELD: usize = 64 * 1024;

/// The largest bound that may be asked for, in bytes.
pub const MAX_MESSAGE: usize = 1 << 20;

/// How much room is kept from one message to the next, in bytes.
const ROOM: usize = 16 << 10;

/// Up to this length what is held is not worth letting go, in bytes; a frame shows by then how long it is.
const LEAST_SHED: usize = 64;

/// How a body is divided into messages.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Framing {
    /// Server-sent events, `text/event-stream`.
    Sse,
    /// Lines, as in `application/x-ndjson`.
    Lines,
    /// One JSON array whose elements are the messages: Gemini without `alt=sse`.
    Array,
    /// Frames of `application/vnd.amazon.eventstream`: Bedrock.
    AwsEvents,
}

/// A run of the stream.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Part<'a> {
    /// Its bytes; none only at the end of a message that is shown in runs.
    pub raw: &'a [u8],
    /// The message that they are. None for what is no message: a block of SSE lines without data, a BOM, a blank line,
    /// what stands between elements, a frame without a name, anything too long or damaged.
    pub message: Option<Message<'a>>,
    /// What they are of a message that is too long to be shown as one.
    pub run: Option<Run<'a>>,
    /// Whether they still belong to the part before. Whoever removes that one removes this one too: it is the LF behind
    /// the CR that ended an event, and nobody waits for it.
    pub continues: bool,
}

/// What a part is of a message that is longer than the bound. The runs of two messages never mix.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Run<'a> {
    /// These bytes are the next ones of what it says, as in [`Message::data`].
    Data(&'a [u8]),
    /// It ends.
    End {
        /// As [`Message::event`]; at most the first bytes of a very long one.
        event: &'a [u8],
        /// As [`Message::error`].
        error: bool,
    },
}

/// A message of the stream.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Message<'a> {
    /// The `event` of SSE, or the name of an AWS event, exception or error; empty if there is none.
    pub event: &'a [u8],
    /// Whether the framing says that it is an error or exception, which only AWS's does.
    pub error: bool,
    /// What it says: the data lines of SSE, joined by LF; a line without its end; an element; the payload of a frame. It
    /// may be empty.
    pub data: Cow<'a, [u8]>,
}

/// What the next bytes are. Lengths are in bytes, from the first of those that were given.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum Cut {
    /// A part of a message, all of them.
    More,
    /// A message up to here; 0 if only the next byte shows that it has ended.
    End(usize),
    /// No message up to here, with what is held.
    Other(usize),
    /// What continues the part before, up to here.
    Behind(usize),
    /// The start of a message that is too long. It is not consumed.
    Long,
    /// Nothing that can be framed, nor what follows.
    Broken,
}

/// Where in the stream the next byte is.
#[derive(Clone, Debug)]
enum Reader {
    Sse(Sse),
    Lines,
    Array(Array),
    Aws(Aws),
    Broken,
}

/// Cuts a stream. Give it every chunk by [`feed`](Self::feed), then call [`finish`](Self::finish).
#[derive(Clone, Debug)]
pub struct Framer {
    reader: Reader,
    /// What earlier chunks had of the message that is not complete yet.
    held: Vec<u8>,
    /// How many bytes a message may have to be shown as a whole.
    bound: usize,
    /// Where in a message the next byte is that is longer.
    long: Option<Long>,
    /// Whether no byte from here on is of a message.
    overflowed: bool,
}

impl Framer {
    /// A framer at the start of a stream, which holds at most [`MAX_HELD`] bytes.
    #[must_use]
    pub const fn new(framing: Framing) -> Self {
        Self::holding(framing, MAX_HELD)
    }

    /// A framer that shows messages of up to `bound` bytes as a whole; it is at most [`MAX_MESSAGE`].
    #[must_use]
    pub const fn holding(framing: Framing, bound: usize) -> Self {
        let reader = match framing {
            Framing::Sse => Reader::Sse(Sse::START),
            Framing::Lines => Reader::Lines,
            Framing::Array => Reader::Array(Array::START),
            Framing::AwsEvents => Reader::Aws(Aws::START),
        };
        let bound = if bound > MAX_MESSAGE { MAX_MESSAGE } else { bound };
        Self { reader, held: Vec::new(), bound, long: None, overflowed: false }
    }

    /// Takes the next chunk and hands out the parts that end in it.
    pub fn feed(&mut self, chunk: &[u8], sink: &mut dyn FnMut(Part<'_>)) {
        let mut rest = chunk;
        while !rest.is_empty() {
            let cut = match &mut self.reader {
                Reader::Sse(sse) => sse.cut(rest),
                Reader::Lines => lines::cut(rest),
                Reader::Array(array) => array.cut(rest),
                Reader::Aws(aws) => aws.cut(&self.held, rest, self.bound),
                Reader::Broken => return other(rest, sink),
            };
            let (Cut::End(length) | Cut::Other(length) | Cut::Behind(length)) = cut else {
                match cut {
                    Cut::More => return self.hold(rest, sink),
                    Cut::Broken => {
                        self.reader = Reader::Broken;
                        self.overflowed = true;
                        other(&core::mem::take(&mut self.held), sink);
                    }
                    _ => self.begin_runs(sink),
                }
                continue;
            };
            let (piece, tail) = rest.split_at_checked(length).unwrap_or((rest, &[]));
            rest = tail;
            if cut == Cut::End(length) {
                self.end(piece, sink);
            } else {
                other(&self.held, sink);
                self.clear();
                sink(Part { raw: piece, message: None, run: None, continues: cut == Cut::Behind(length) });
            }
        }
    }

    /// The end of the stream: hands out the rest of it.
    pub fn finish(&mut self, sink: &mut dyn FnMut(Part<'_>)) {
        if self.long.is_some() {
            return self.end_runs(sink);
        }
        if self.held.is_empty() {
            return;
        }
        let message = match self.reader {
            Reader::Sse(_) => sse::message(&self.held),
            Reader::Lines => lines::message(&self.held),
            Reader::Array(_) | Reader::Aws(_) | Reader::Broken => None,
        };
        sink(Part { raw: &self.held, message, run: None, continues: false });
        self.held.clear();
    }

    /// Whether this is a stream of server-sent events.
    #[must_use]
    pub const fn is_sse(&self) -> bool {
        matches!(self.reader, Reader::Sse(_))
    }

    /// Whether a chunk starts and ends between messages, as far as that is seen at a glance: then it changes nothing here,
    /// and need not be fed if its messages do not matter.
    #[must_use]
    pub fn is_whole(&self, chunk: &[u8]) -> bool {
        let ends = match self.reader {
            Reader::Sse(Sse::Start) => chunk.ends_with(b"\n\n") || chunk.ends_with(b"\r\n\r\n"),
            Reader::Lines => chunk.ends_with(b"\n"),
            Reader::Sse(_) | Reader::Array(_) | Reader::Aws(_) | Reader::Broken => false,
        };
        ends && self.held.is_empty() && self.long.is_none() && chunk.len() <= self.bound
    }

    /// How many messages are in a chunk that [is whole](Self::is_whole), about: a comment counts as one.
    #[must_use]
    pub fn count(&self, chunk: &[u8]) -> usize {
        let is_sse = matches!(self.reader, Reader::Sse(_));
        // Nearly every chunk is one event of one line.
        if is_sse
            && let Some(event) = chunk.strip_suffix(b"\n\n")
            && memchr::memchr(b'\n', event).is_none()
        {
            return 1;
        }
        let ends = memchr::memchr_iter(b'\n', chunk).filter(|at| {
            // The blank line behind an event, and any line that is not blank.
            let before = chunk.get(..*at).unwrap_or_default();
            let before = before.strip_suffix(b"\r").unwrap_or(before);
            before.ends_with(b"\n") == is_sse
        });
        ends.count()
    }

    /// The bytes that have been fed and not been handed out: the start of a message, at most the bound of it.
    #[must_use]
    pub fn pending(&self) -> &[u8] {
        &self.held
    }

    /// What is allocated for the bytes of earlier chunks, in bytes.
    #[must_use]
    pub const fn allocated(&self) -> usize {
        self.held.capacity()
    }

    /// Whether there may have been a message that was not shown as one.
    ///
    /// Either the checksum of a frame did not hold; then framing went on behind it. Or the stream is not framed as
    /// announced: it is no array, more follows the array, or the lengths of a frame are impossible or their checksum does
    /// not hold. Then nothing from there on is a message.
    #[must_use]
    pub const fn overflowed(&self) -> bool {
        self.overflowed
    }

    /// The message ends with this piece.
    fn end(&mut self, piece: &[u8], sink: &mut dyn FnMut(Part<'_>)) {
        if self.long.is_some() || self.exceeds(piece) {
            self.run(piece, sink);
            return self.end_runs(sink);
        }
        let raw = if self.held.is_empty() {
            piece
        } else {
            self.held.extend_from_slice(piece);
            &self.held
        };
        let message = match self.reader {
            Reader::Sse(_) => sse::message(raw),
            Reader::Lines => lines::message(raw),
            Reader::Array(_) => Some(Message { event: &[], error: false, data: Cow::Borrowed(raw) }),
            Reader::Aws(_) if !aws::is_intact(raw) => {
                self.overflowed = true;
                None
            }
            Reader::Aws(_) => aws::message(raw),
            Reader::Broken => None,
        };
        sink(Part { raw, message, run: None, continues: false });
        self.clear();
    }

    /// Forgets what is held. Room for a long message is not kept: the next one will hardly need that much.
    fn clear(&mut self) {
        if self.held.capacity() > ROOM {
            self.held = Vec::new();
        } else {
            self.held.clear();
        }
    }

    /// The message goes on behind this piece.
    fn hold(&mut self, piece: &[u8], sink: &mut dyn FnMut(Part<'_>)) {
        if self.long.is_some() || self.exceeds(piece) {
            self.run(piece, sink);
        } else {
            self.held.extend_from_slice(piece);
        }
    }

    /// Whether the message is too long with this piece.
    const fn exceeds(&self, piece: &[u8]) -> bool {
        self.held.len().saturating_add(piece.len()) > self.bound
    }

    /// Lets go of all memory: a message that is not complete is shown in [`Run`]s, however short it is.
    pub fn shed(&mut self, sink: &mut dyn FnMut(Part<'_>)) {
        if self.held.is_empty() {
            self.held = Vec::new();
        } else if self.held.len() > LEAST_SHED {
            self.begin_runs(sink);
        }
    }

    /// The message is too long: from here on it is shown in runs, what is held of it first.
    fn begin_runs(&mut self, sink: &mut dyn FnMut(Part<'_>)) {
        // Not cleared: the next message will hardly need that much.
        let held = core::mem::take(&mut self.held);
        let long = self.long.insert(Long::new(&self.reader));
        long.feed(&held, sink);
    }

    /// The next piece of a message that is shown in runs.
    fn run(&mut self, piece: &[u8], sink: &mut dyn FnMut(Part<'_>)) {
        if self.long.is_none() {
            self.begin_runs(sink);
        }
        if let Some(long) = &mut self.long {
            long.feed(piece, sink);
        }
    }

    fn end_runs(&mut self, sink: &mut dyn FnMut(Part<'_>)) {
        if let Some(long) = self.long.take() {
            self.overflowed |= !long.end(sink);
        }
    }
}

/// Hands out what is no message.
fn other(raw: &[u8], sink: &mut dyn FnMut(Part<'_>)) {
    if !raw.is_empty() {
        sink(Part { raw, message: None, run: None, continues: false });
    }
}
