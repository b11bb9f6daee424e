//! A response as it passes: its bytes are read on the way, none is kept back, and what the client of a stream did not ask
//! for is taken out.

use super::head::Head;
use super::hide::Hide;
use super::kept::Kept;
use super::sniff::{Opening, opening};
use crate::attributes::Capture;
use crate::framing::{Framer, Framing, MAX_HELD, MAX_MESSAGE, Part, Run};
use crate::memory::Claim;
use crate::unpack::{Encoding, MAX_AT_ONCE, Unpacker};
use crate::usage::{Collector, Estimate, Facts, Seen, Table};

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
    /// By what it starts with, as soon as that is known; until then its first bytes are kept.
    Undecided { by_type: Kind, start: Vec<u8> },
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
    /// Why its figures do not count, if so, although it may be read for its error.
    pub uncounted: Option<&'static str>,
    /// Whether what only carries usage is taken out of it.
    pub hide_usage: bool,
    /// Whether a stream was asked for.
    pub stream: bool,
    /// Whether JSON means one array of messages: Gemini's streams without `alt=sse`.
    pub array: bool,
    /// Whether headers may tell the cost.
    pub headers: bool,
    /// Whether events are shown as a whole, for attributes.
    pub whole_events: bool,
}

/// One response.
pub(super) struct Response {
    /// Its status.
    pub status: u16,
    unpacker: Option<Unpacker>,
    observer: Observer,
    uncounted: Option<&'static str>,
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
    /// How many bytes of an event are held at most.
    bound: usize,
}

impl Response {
    /// Takes status and headers.
    pub(super) fn new(
        status: u16,
        head: &Head,
        asked: Asked,
        table: &Table,
        copy: Option<Kept>,
        mut claim: Claim,
    ) -> Self {
        let encoding = Encoding::of(head.values("content-encoding"));
        let plain = encoding == Encoding::Plain;
        let mut unpacker = match encoding {
            Encoding::Packed(coding) => Some(Unpacker::new(coding, MAX_UNPACKED)),
            Encoding::Plain | Encoding::Unknown => None,
        };
        let mut collector = Collector::new(table);
        if asked.headers || status >= 400 {
            collector.headers(&|name| head.text(name));
        }
        let failed = status >= 400;
        let kind = match asked.unread.or_else(|| asked.uncounted.filter(|_| !failed)) {
            Some(reason) => Kind::Unread(reason),
            None if encoding == Encoding::Unknown => Kind::Unread(unread::ENCODING),
            None => kind(head.text("content-type").unwrap_or_default(), asked, failed),
        };
        let streams = matches!(
            kind,
            Kind::Undecided | Kind::Errors | Kind::Document | Kind::Messages(Framing::Sse | Framing::Lines)
        );
        let hides = asked.hide_usage && plain && !failed && streams;
        let reader = match kind {
            Kind::Unread(reason) => Reader::Unread(reason),
            _ if unpacker.as_ref().is_some_and(|unpacker| !claim.resize(unpacker.allocated())) => {
                Reader::Unread(unread::MEMORY)
            }
            Kind::Messages(framing @ Framing::AwsEvents) => Reader::Messages(Framer::new(framing)),
            by_type => Reader::Undecided { by_type, start: Vec::new() },
        };
        if matches!(reader, Reader::Unread(_)) {
            unpacker = None;
        }
        let observer = Observer {
            reader,
            times: Times::default(),
            estimate: Estimate::default(),
            hide: table.chunk().filter(|_| hides).map(Hide::new),
            collector,
            copy,
            bound: if asked.whole_events { MAX_MESSAGE } else { MAX_HELD },
        };
        Self { status, unpacker, observer, uncounted: asked.uncounted, out: Vec::new(), claim }
    }

    /// Whether its bytes are wanted.
    pub(super) const fn is_read(&self) -> bool {
        !matches!(self.observer.reader, Reader::Unread(_))
    }

    /// Whether events come one by one.
    pub(super) const fn is_stream(&self) -> bool {
        matches!(self.observer.reader, Reader::Messages(_) | Reader::Undecided { by_type: Kind::Messages(_), .. })
    }

    /// Whether it may leave shorter than it came.
    pub(super) const fn may_shrink(&self) -> bool {
        self.observer.hide.is_some()
    }

    /// Why nothing of its cost is known from its body, if so.
    pub(super) const fn unread(&self) -> Option<&'static str> {
        match self.observer.reader {
            Reader::Unread(reason) => Some(reason),
            Reader::Undecided { .. } | Reader::Document | Reader::Messages(_) => None,
        }
    }

    /// Why its figures do not count, if so.
    pub(super) const fn uncounted(&self) -> Option<&'static str> {
        self.uncounted
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

    /// What it said in the end.
    pub(super) fn into_facts(self) -> Facts {
        self.observer.collector.into_facts()
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
            observer.count(claim, decoder);
        }
        observer.hide.as_ref().is_some_and(|hide| hide.differs()).then_some(out.as_slice())
    }
}

/// How a body is to be read, as far as its type tells.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum Kind {
    Unread(&'static str),
    Document,
    Messages(Framing),
    /// As a document where that tells an error; not otherwise, unless it turns out to be a stream of events.
    Errors,
    /// Not, unless it turns out to be a stream of events.
    Undecided,
}

/// Servers stream events under any type, so the type decides only what does not show itself by how it starts.
fn kind(content_type: &str, asked: Asked, failed: bool) -> Kind {
    let essence = content_type.split(';').next().unwrap_or_default().trim();
    let is = |name: &str| essence.eq_ignore_ascii_case(name);
    let begins = |start: &&str| essence.get(..start.len()).is_some_and(|begin| begin.eq_ignore_ascii_case(start));
    let lines = ["application/x-ndjson", "application/ndjson", "application/jsonl", "application/stream+json"];
    if is("text/event-stream") {
        Kind::Messages(Framing::Sse)
    } else if is("application/vnd.amazon.eventstream") {
        Kind::Messages(Framing::AwsEvents)
    } else if lines.into_iter().any(is) {
        Kind::Messages(Framing::Lines)
    } else if essence.is_empty() || is("application/json") || ends_with_json(essence) {
        if asked.array { Kind::Messages(Framing::Array) } else { Kind::Document }
    } else if ["audio/", "image/", "video/", "font/"].iter().any(begins) && !asked.stream {
        Kind::Unread(unread::TYPE)
    } else if failed || asked.stream {
        Kind::Errors
    } else {
        Kind::Undecided
    }
}

impl Kind {
    /// How the body is read, given what it starts with.
    fn reader(self, opening: Opening, bound: usize) -> Reader {
        let messages = |framing| Reader::Messages(Framer::holding(framing, bound));
        match (opening, self) {
            (_, Self::Unread(reason)) => Reader::Unread(reason),
            (Opening::Events, _) => messages(Framing::Sse),
            // What calls itself a stream of events and is one JSON text is most often an error.
            (Opening::Object | Opening::Array, Self::Messages(Framing::Sse) | Self::Document | Self::Errors)
            | (Opening::Object, Self::Messages(Framing::Array)) => Reader::Document,
            (_, Self::Messages(framing)) => messages(framing),
            (Opening::Other, Self::Document) => Reader::Document,
            (_, Self::Undecided | Self::Errors) => Reader::Unread(unread::TYPE),
        }
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
    /// Counts the message that is not complete. Without room for it, it is read as it passes.
    fn count(&mut self, claim: &mut Claim, decoder: usize) {
        let Reader::Messages(framer) = &mut self.reader else { return };
        if claim.resize(framer.allocated().saturating_add(decoder)) {
            return;
        }
        let collector = &mut self.collector;
        framer.shed(&mut |part| {
            if let Some(Run::Data(data)) = part.run {
                collector.feed(data);
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
        if let Some(hide) = &mut self.hide {
            hide.start();
        }
        let mut started = None;
        if let Reader::Undecided { by_type, start } = &mut self.reader {
            let known = if start.is_empty() { opening(chunk, end) } else { None };
            let known = known.or_else(|| {
                start.extend_from_slice(chunk);
                opening(start, end)
            });
            let Some(known) = known else {
                if let Some(hide) = &mut self.hide {
                    hide.feed(chunk, out);
                }
                return;
            };
            started = Some(core::mem::take(start)).filter(|start| !start.is_empty());
            self.reader = by_type.reader(known, self.bound);
            self.copy = self.copy.take().filter(|_| matches!(self.reader, Reader::Document));
        }
        let is_events = matches!(&self.reader, Reader::Messages(framer) if framer.is_sse());
        let passes = match &started {
            Some(start) => {
                self.observe(start, end, capture, clock);
                false
            }
            None => self.observe(chunk, end, capture, clock),
        };
        let Some(hide) = &mut self.hide else { return };
        if !is_events {
            hide.feed(chunk, out);
            hide.release(out);
            if !hide.differs() {
                self.hide = None;
            }
            return;
        }
        // Most of a stream is text, of which nothing is to be hidden.
        if !(passes && hide.is_idle()) {
            hide.feed(chunk, out);
        }
        if end {
            hide.finish(out);
        }
    }

    /// Reads the next bytes; tells whether they were seen at a glance to be whole events that tell nothing.
    fn observe(&mut self, chunk: &[u8], end: bool, capture: &mut Option<&mut Capture>, clock: Clock<'_>) -> bool {
        let Self { reader, collector, times, estimate, copy, .. } = self;
        match reader {
            Reader::Unread(_) | Reader::Undecided { .. } => false,
            Reader::Document => {
                collector.feed(chunk);
                if let Some(copy) = copy {
                    copy.add(chunk);
                }
                if end {
                    collector.finish_document();
                }
                false
            }
            Reader::Messages(framer) => {
                let passes = capture.is_none() && framer.is_whole(chunk) && !collector.may_learn(chunk);
                let mut part = |part: Part<'_>| match (part.message, part.run) {
                    (Some(message), _) => {
                        if let Some(capture) = capture {
                            capture.event(&message.data);
                        }
                        let seen = if message.error {
                            collector.error(message.event, &message.data)
                        } else {
                            collector.message(message.event, &message.data)
                        };
                        times.note(seen, clock);
                        estimate.message(seen, collector.take_text());
                    }
                    (None, Some(Run::Data(data))) => collector.feed(data),
                    (None, Some(Run::End { event, error })) => {
                        if let Some(capture) = capture
                            && capture.wants_events()
                        {
                            // It was longer than is held, or there was no room for it.
                            capture.miss();
                        }
                        let seen = if error { collector.end_error(event) } else { collector.end_message(event) };
                        times.note(seen, clock);
                        estimate.message(seen, collector.take_text());
                    }
                    (None, None) => {}
                };
                if !passes {
                    framer.feed(chunk, &mut part);
                }
                if end {
                    framer.finish(&mut part);
                }
                if passes {
                    estimate.passed(framer.count(chunk));
                }
                passes
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
