//! A response as it passes: its bytes are read on the way, none is kept back, and an event the client did not ask for is
//! taken out.

use super::head::Head;
use super::kept::Kept;
use crate::attributes::Capture;
use crate::framing::{Framer, Framing, Part};
use crate::memory::Claim;
use crate::unpack::{Encoding, MAX_AT_ONCE, Unpacker};
use crate::usage::{Collector, Estimate, Facts, Seen};

/// How long the event that only carries usage can be, in bytes. A longer one stays, and is never waited for.
const MAX_HIDDEN: usize = 16 * 1024;

/// How much one response may unpack to, in bytes. All of it is read.
const MAX_UNPACKED: u64 = 64 * 1024 * 1024;

/// Nanoseconds since the request headers came, by the monotonic clock of the host.
pub type Clock<'c> = &'c dyn Fn() -> u64;

/// When things came, on the [`Clock`].
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub(super) struct Times {
    /// The first byte of the body.
    pub first_byte: Option<u64>,
    /// The first reasoning of a stream.
    pub first_reasoning: Option<u64>,
    /// The first content of a stream: text, a tool call, a refusal.
    pub first_content: Option<u64>,
    /// The end of the response.
    pub end: Option<u64>,
}

/// Why a response is not read, as the record says it.
pub(super) mod unread {
    /// It is compressed in a way that is not understood.
    pub(in crate::exchange) const ENCODING: &str = "content_encoding";
    /// Its type is none that tells its usage.
    pub(in crate::exchange) const TYPE: &str = "content_type";
    /// Nothing of the kind is measured.
    pub(in crate::exchange) const OPERATION: &str = "operation";
    /// The connection has switched to another protocol.
    pub(in crate::exchange) const TUNNEL: &str = "tunnel";
    /// It was read, and names no tokens.
    pub(in crate::exchange) const ABSENT: &str = "absent";
    /// Statistics are switched off.
    pub(in crate::exchange) const DISABLED: &str = "disabled";
    /// There was no room for what it takes to decompress it.
    pub(in crate::exchange) const MEMORY: &str = "no_memory";
    /// It is compressed, and not as it says.
    pub(in crate::exchange) const COMPRESSION: &str = "broken_compression";
}

/// How a body is read.
enum Reader {
    /// Not at all, and why.
    Unread(&'static str),
    /// As one JSON document.
    Document,
    /// Message by message.
    Messages(Framer),
}

/// What the operation and its settings ask of a response.
#[derive(Clone, Copy, Debug, Default)]
pub(super) struct Asked {
    /// Why it is not to be read, if so.
    pub unread: Option<&'static str>,
    /// Whether an event that only carries usage is taken out of it.
    pub hide_usage: bool,
    /// Whether JSON means one array of messages: Gemini's streams without `alt=sse`.
    pub array: bool,
}

/// One response.
pub(super) struct Response {
    /// Its status.
    pub status: u16,
    unpacker: Option<Unpacker>,
    observer: Observer,
    out: Vec<u8>,
    /// What is counted for the decoder and the message that is not complete.
    claim: Claim,
}

/// How much room a buffer keeps for the next callback, in bytes.
const ROOM: usize = 16 << 10;

struct Observer {
    reader: Reader,
    collector: Collector,
    times: Times,
    /// What a stream delivers, in case that it does not tell.
    estimate: Estimate,
    hide: Option<Hide>,
    /// A copy of a document that attributes are taken from.
    copy: Option<Kept>,
}

/// The state of taking out events.
#[derive(Default)]
struct Hide {
    /// Whether the part before was taken out.
    hid: bool,
    /// How many bytes of the message that is not complete yet have gone out; such a message stays.
    released: usize,
    /// How many of its bytes have been searched for what makes it stay. An upstream may send it byte by byte.
    searched: usize,
    /// Whether the bytes that leave now are not those that came.
    differs: bool,
}

impl Response {
    /// Takes status and headers.
    pub(super) fn new(
        status: u16,
        head: &Head,
        asked: Asked,
        collector: Collector,
        copy: Option<Kept>,
        mut claim: Claim,
    ) -> Self {
        let encoding = Encoding::of(head.values("content-encoding"));
        let plain = encoding == Encoding::Plain;
        let mut unpacker = match encoding {
            Encoding::Packed(coding) => Some(Unpacker::new(coding, MAX_UNPACKED)),
            Encoding::Plain | Encoding::Unknown => None,
        };
        let kind = match asked.unread {
            Some(reason) => Kind::Unread(reason),
            None if encoding == Encoding::Unknown => Kind::Unread(unread::ENCODING),
            None => kind(head.text("content-type").unwrap_or_default(), asked.array),
        };
        let hides = asked.hide_usage && plain && kind == Kind::Messages(Framing::Sse);
        let reader = match kind {
            Kind::Unread(reason) => Reader::Unread(reason),
            Kind::Document | Kind::Messages(_)
                if unpacker.as_ref().is_some_and(|unpacker| !claim.resize(unpacker.allocated())) =>
            {
                Reader::Unread(unread::MEMORY)
            }
            Kind::Document => Reader::Document,
            Kind::Messages(framing) => Reader::Messages(Framer::new(framing)),
        };
        if matches!(reader, Reader::Unread(_)) {
            unpacker = None;
        }
        Self {
            status,
            unpacker,
            observer: Observer {
                copy: copy.filter(|_| matches!(reader, Reader::Document)),
                reader,
                collector,
                times: Times::default(),
                estimate: Estimate::default(),
                hide: hides.then(Hide::default),
            },
            out: Vec::new(),
            claim,
        }
    }

    /// Whether its bytes are wanted.
    pub(super) const fn is_read(&self) -> bool {
        !matches!(self.observer.reader, Reader::Unread(_))
    }

    /// Whether events come one by one.
    pub(super) const fn is_stream(&self) -> bool {
        matches!(self.observer.reader, Reader::Messages(_))
    }

    /// Whether it may leave shorter than it came.
    pub(super) const fn may_shrink(&self) -> bool {
        self.observer.hide.is_some()
    }

    /// Why it is not read, if so.
    pub(super) const fn unread(&self) -> Option<&'static str> {
        if let Reader::Unread(reason) = self.observer.reader { Some(reason) } else { None }
    }

    /// Whether a message was too long or not framed as announced, so that something may be missing.
    pub(super) fn is_damaged(&self) -> bool {
        matches!(&self.observer.reader, Reader::Messages(framer) if framer.overflowed())
    }

    /// Whether attributes cannot be taken from it.
    pub(super) fn lost_copy(&self) -> bool {
        self.observer.copy.as_ref().is_some_and(Kept::is_lost)
    }

    /// What it said so far.
    pub(super) const fn facts(&self) -> &Facts {
        self.observer.collector.facts()
    }

    /// About how many tokens a stream has delivered, if it has any content.
    pub(super) fn estimate(&self) -> Option<u64> {
        self.observer.estimate.tokens()
    }

    /// When things came.
    pub(super) const fn times(&self) -> Times {
        self.observer.times
    }

    /// Lets go of what the last callback needed only while it ran.
    pub(super) fn settle(&mut self) {
        if self.out.capacity() > ROOM {
            self.out = Vec::new();
        }
    }

    /// Notes that a byte of a body came that is not read.
    pub(super) fn unread_byte(&mut self, clock: Clock<'_>) {
        self.observer.times.first_byte.get_or_insert_with(clock);
    }

    /// Takes the next bytes, and whether they are the last; gives what leaves in their place, if that differs.
    pub(super) fn feed(
        &mut self,
        chunk: &[u8],
        end: bool,
        mut capture: Option<&mut Capture>,
        clock: Clock<'_>,
    ) -> Option<&[u8]> {
        let Self { unpacker, observer, out, claim, .. } = self;
        out.clear();
        if !chunk.is_empty() {
            observer.times.first_byte.get_or_insert_with(clock);
        }
        match unpacker {
            None => observer.read(chunk, end, &mut capture, clock, out),
            Some(unpacker) => {
                let mut packed = chunk;
                let read = unpacker
                    .feed(&mut packed, MAX_AT_ONCE, &mut |plain| observer.read(plain, false, &mut capture, clock, out));
                // A piece that holds more than is unpacked at once is not read: nothing waits for it.
                if read == Ok(false) {
                    if end {
                        observer.read(&[], true, &mut capture, clock, out);
                    }
                } else {
                    observer.reader = Reader::Unread(unread::COMPRESSION);
                }
            }
        }
        if end {
            observer.times.end = Some(clock());
            if let (Some(mut copy), Some(capture)) = (observer.copy.take(), capture) {
                match copy.finish(&[]) {
                    Some(body) => capture.response_document(&body),
                    None => capture.miss(),
                }
            }
        } else {
            let decoder = unpacker.as_ref().map_or(0, Unpacker::allocated);
            observer.count(claim, decoder, out);
        }
        observer.hide.as_ref().is_some_and(|hide| hide.differs).then_some(out.as_slice())
    }
}

/// How a body is to be read.
#[derive(Clone, Copy, PartialEq, Eq)]
enum Kind {
    Unread(&'static str),
    Document,
    Messages(Framing),
}

fn kind(content_type: &str, array: bool) -> Kind {
    let essence = content_type.split(';').next().unwrap_or_default().trim();
    let is = |name: &str| essence.eq_ignore_ascii_case(name);
    let lines = ["application/x-ndjson", "application/ndjson", "application/jsonl", "application/stream+json"];
    if is("text/event-stream") {
        Kind::Messages(Framing::Sse)
    } else if is("application/vnd.amazon.eventstream") {
        Kind::Messages(Framing::AwsEvents)
    } else if lines.into_iter().any(is) {
        Kind::Messages(Framing::Lines)
    } else if essence.is_empty() || is("application/json") || ends_with_json(essence) {
        if array { Kind::Messages(Framing::Array) } else { Kind::Document }
    } else {
        Kind::Unread(unread::TYPE)
    }
}

fn ends_with_json(essence: &str) -> bool {
    essence
        .len()
        .checked_sub("+json".len())
        .and_then(|at| essence.get(at..))
        .is_some_and(|end| end.eq_ignore_ascii_case("+json"))
}

impl Observer {
    /// Counts the message that is not complete. Without room for it, it passes unread.
    fn count(&mut self, claim: &mut Claim, decoder: usize, out: &mut Vec<u8>) {
        let Reader::Messages(framer) = &mut self.reader else { return };
        if claim.resize(framer.allocated().saturating_add(decoder)) {
            return;
        }
        let hide = &mut self.hide;
        framer.shed(&mut |part| {
            if let Some(hide) = hide {
                hide.pass(&part, false, out);
            }
        });
        // A decoder that finds no room beside it is small, and goes on.
        let _ = claim.resize(decoder);
    }

    fn read(
        &mut self,
        chunk: &[u8],
        end: bool,
        capture: &mut Option<&mut Capture>,
        clock: Clock<'_>,
        out: &mut Vec<u8>,
    ) {
        let Self { reader, collector, times, estimate, hide, copy } = self;
        match reader {
            Reader::Unread(_) => {}
            Reader::Document => {
                collector.feed(chunk);
                if let Some(copy) = copy {
                    copy.add(chunk);
                }
                if end {
                    collector.finish_document();
                }
            }
            Reader::Messages(framer) => {
                if let Some(hide) = hide {
                    hide.differs = framer.pending().len() != hide.released;
                }
                let passes = capture.is_none() && framer.is_whole(chunk) && !collector.may_learn(chunk);
                let mut part = |part: Part<'_>| {
                    let seen = match &part.message {
                        Some(message) => {
                            if let Some(capture) = capture {
                                capture.event(&message.data);
                            }
                            let seen = collector.message(message.event, &message.data);
                            times.note(seen, clock);
                            estimate.message(seen, collector.text());
                            seen
                        }
                        None => Seen::default(),
                    };
                    if let Some(hide) = hide {
                        hide.pass(&part, seen.usage_only, out);
                    }
                };
                // Most of a stream is text, of which nothing is to be learned.
                if !passes {
                    framer.feed(chunk, &mut part);
                }
                if end {
                    framer.finish(&mut part);
                }
                if passes {
                    estimate.passed(framer.count(chunk));
                }
                if let Some(hide) = hide {
                    hide.release(framer.pending(), out);
                }
            }
        }
    }
}

impl Times {
    fn note(&mut self, seen: Seen, clock: Clock<'_>) {
        if seen.reasoning {
            self.first_reasoning.get_or_insert_with(clock);
        }
        if seen.content {
            self.first_content.get_or_insert_with(clock);
        }
    }
}

impl Hide {
    fn pass(&mut self, part: &Part<'_>, usage_only: bool, out: &mut Vec<u8>) {
        let hides =
            if part.continues { self.hid } else { usage_only && self.released == 0 && part.raw.len() <= MAX_HIDDEN };
        if !hides {
            out.extend_from_slice(part.raw.get(self.released..).unwrap_or_default());
        }
        self.differs |= hides;
        self.hid = hides;
        (self.released, self.searched) = (0, 0);
    }

    /// Lets go what cannot be an event that is taken out, whatever follows. The rest waits: a client can do nothing with
    /// half an event.
    fn release(&mut self, pending: &[u8], out: &mut Vec<u8>) {
        if pending.is_empty() {
            return;
        }
        // One may have begun in what was searched before.
        let longest = OTHERS.iter().map(|other| other.len()).max().unwrap_or_default();
        let unsearched = pending.get(self.searched.saturating_sub(longest)..).unwrap_or(pending);
        self.searched = pending.len();
        let may_be_hidden = || OTHERS.iter().all(|other| memchr::memmem::find(unsearched, other).is_none());
        if self.released == 0 && pending.len() <= MAX_HIDDEN && may_be_hidden() {
            self.differs = true;
            return;
        }
        out.extend_from_slice(pending.get(self.released..).unwrap_or_default());
        self.released = pending.len();
    }
}

/// Stand in no event that only carries usage: a choice, and the end of a stream, which some send without its empty line.
const OTHERS: [&[u8]; 2] = [b"\"choices\":[{", b"[DONE]"];
