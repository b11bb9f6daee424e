//! Reads one response.

use std::borrow::Cow;

use super::fault::{Fault, Rank};
use super::figures::{Detail, Figure, Naming, Side, Usage, count, merge, note, units};
use super::iterations::Iterations;
use super::table::{Leaf, Table};
use crate::json::{Found, Value, Walker};

/// What is known of a response so far.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Facts {
    /// What it cost.
    pub usage: Usage,
    /// What else a bill is made of, under the names of the vendor, none of it zero: seconds of audio, searches, the
    /// lifetimes of what was written to a cache, the tokens of another model. At most
    /// [`MAX_DETAILS`](super::MAX_DETAILS).
    pub units: Vec<Detail>,
    /// The model that answers: the last name that is not empty, at most [`MAX_TEXT`](crate::json::MAX_TEXT) bytes.
    pub model: Option<String>,
    /// The id of the response: the first that is not empty. A request id counts only in a message without another, and
    /// not in one that tells of an error.
    pub id: Option<String>,
    /// Why the answer ended, in the vendor's word; the last that was told.
    pub finish_reason: Option<Cow<'static, str>>,
    /// Whether there was an error.
    pub error: bool,
    /// The word for it that tells most: a `code` with a letter, otherwise a `type`, otherwise a `status` or the name of
    /// the exception, otherwise a number.
    pub error_type: Option<String>,
    /// Whether it says that it is worked on in the background, so that its cost is told when it is fetched.
    pub background: bool,
    /// Whether a message that told a figure ended within its JSON, so that figures may be missing.
    pub cut: bool,
}

/// What a message of a stream was.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct Seen {
    /// It has content: text, refusal, audio, an image, or the name or arguments of a tool call; none of them empty.
    /// Reported until the first message that has.
    pub content: bool,
    /// It has reasoning that is not empty. Reported until the first message with content.
    pub reasoning: bool,
    /// It has a figure of usage.
    pub usage: bool,
    /// It has an error.
    pub error: bool,
}

/// Reads one response. See the [module](super).
#[derive(Clone, Debug)]
pub struct Collector {
    table: Table,
    walker: Walker,
    facts: Facts,
    naming: Naming,
    /// Bytes of the text of the last message that was looked into.
    text: usize,
    fault: Fault,
    /// Whether content was seen: from then on only messages that may tell a figure or an error are read.
    pub(super) answered: bool,
    message: Message,
    /// What the texts before the current one had, of a message that has several.
    seen: Seen,
}

/// What is known of the current message.
#[derive(Clone, Debug, Default)]
struct Message {
    seen: Seen,
    /// Bytes of content and reasoning.
    text: usize,
    /// Whether there is a choice.
    choice: bool,
    /// Whether `type` is that of a piece of the answer, or of reasoning, and whether there is such a piece.
    kind_piece: bool,
    kind_reasoning: bool,
    piece: bool,
    /// Whether `type` says that an item of the answer begins, and whether that is a call of a tool.
    kind_item: bool,
    item_call: bool,
    part: Part,
    modality: Option<Modality>,
    modality_count: Option<u64>,
    /// Whether tokens of this side were told.
    told: Sides<bool>,
    spare: Sides<Option<u64>>,
    share: Sides<Option<u64>>,
    id: Option<String>,
    spare_id: Option<String>,
    finish: Option<Cow<'static, str>>,
    status: Option<Cow<'static, str>>,
    fault: Fault,
    iterations: Option<Box<Iterations>>,
}

/// One of each side.
#[derive(Clone, Copy, Debug, Default)]
struct Sides<T> {
    input: T,
    output: T,
}

impl<T> Sides<T> {
    const fn of(&mut self, side: Side) -> &mut T {
        match side {
            Side::Input => &mut self.input,
            Side::Output => &mut self.output,
        }
    }
}

/// A part of an answer in which content and mark may stand in any order.
#[derive(Clone, Copy, Debug, Default)]
struct Part {
    content: bool,
    thought: bool,
}

#[derive(Clone, Copy, Debug)]
enum Modality {
    Audio,
    Image,
    Other,
}

impl Collector {
    /// For a new response.
    #[must_use]
    pub fn new(table: &Table) -> Self {
        Self {
            table: table.clone(),
            walker: Walker::new(table.paths.clone()),
            facts: Facts::default(),
            naming: Naming::default(),
            text: 0,
            fault: Fault::default(),
            answered: false,
            message: Message::default(),
            seen: Seen::default(),
        }
    }

    /// What is known so far.
    #[must_use]
    pub const fn facts(&self) -> &Facts {
        &self.facts
    }

    /// How many bytes of text came since this was last asked for, as far as messages were looked into: content and
    /// reasoning, as they are escaped.
    pub const fn take_text(&mut self) -> usize {
        core::mem::replace(&mut self.text, 0)
    }

    /// What is known in the end.
    #[must_use]
    pub fn into_facts(self) -> Facts {
        self.facts
    }

    /// Looks into the headers of the response: some vendors tell the cost or the error there. `get` gives the first value
    /// of a header, by its name in lower case. What the body tells of the same figure comes later, and wins.
    pub fn headers<'h>(&mut self, get: &dyn Fn(&str) -> Option<&'h str>) {
        let Self { facts, naming, fault, .. } = self;
        for (name, figure) in super::headers::FIGURES {
            if let Some(number) = get(name).and_then(|value| count(value.trim().as_bytes())) {
                facts.usage.set(naming, *figure, number);
            }
        }
        facts.usage.settle(naming);
        for name in super::headers::ERRORS {
            // AWS writes an address behind the name.
            let word = get(name).and_then(|value| value.split(':').next()).unwrap_or_default();
            fault.offer(Rank::Name, word.trim().as_bytes());
        }
        facts.error_type = fault.word().map(str::to_owned);
    }

    /// Whether any of these messages may tell something that is not known, given as they come, with their framing. If
    /// not, [`message`](Self::message) says so of each.
    #[must_use]
    pub fn may_learn(&self, messages: &[u8]) -> bool {
        !self.answered || Table::has_clues(messages)
    }

    /// Takes one complete message: the data of an SSE event, a line, an element of an array, the payload of an AWS
    /// event. `event` is the name of the event, empty if it has none. What is not JSON, such as `[DONE]`, is nothing.
    pub fn message(&mut self, event: &[u8], data: &[u8]) -> Seen {
        if event == b"error" || event.ends_with(b"Exception") {
            return self.error(event, data);
        }
        let unwrapped = super::wrapped::unwrap(data);
        let data = unwrapped.as_deref().unwrap_or(data);
        if self.answered && !self.table.triggered(data) {
            return Seen::default();
        }
        self.feed(data);
        self.end_message(event)
    }

    /// Takes one complete message that its framing, or its name, says to be an error.
    pub fn error(&mut self, event: &[u8], data: &[u8]) -> Seen {
        self.feed(data);
        self.end_error(event)
    }

    /// Takes the next bytes of a message or document, which comes in pieces.
    ///
    /// Where several JSON texts follow each other, each is a message: the lines of an SSE event that are whole by
    /// themselves, because a server has forgotten the blank line between events, or the lines of what calls itself one
    /// document. Of a line that is not JSON nothing is read.
    pub fn feed(&mut self, bytes: &[u8]) {
        let mut rest = self.walk(bytes);
        while !rest.is_empty() {
            if self.walker.is_broken() {
                let Some(line) = memchr::memchr(b'\n', rest).and_then(|end| rest.get(end..)) else { return };
                rest = line;
            } else if rest.trim_ascii_start().is_empty() {
                return;
            }
            self.end_text();
            rest = self.walk(rest);
        }
    }

    fn walk<'b>(&mut self, bytes: &'b [u8]) -> &'b [u8] {
        let Self { walker, facts, naming, message, .. } = self;
        walker.feed(bytes, &mut |found| message.take(found, facts, naming))
    }

    /// Ends the document.
    pub fn finish_document(&mut self) {
        self.end_message(b"");
    }

    /// Ends a message that came in pieces; `event` is its name.
    pub fn end_message(&mut self, event: &[u8]) -> Seen {
        if event == b"error" || event.ends_with(b"Exception") {
            return self.end_error(event);
        }
        self.facts.cut |= self.message.seen.usage && self.walker.is_within();
        self.end_text();
        core::mem::take(&mut self.seen)
    }

    /// The same for one that is an error by its framing or name.
    pub fn end_error(&mut self, event: &[u8]) -> Seen {
        self.message.fault.certain = true;
        if event != b"error" {
            self.message.fault.offer(Rank::Name, event);
        }
        self.end_text();
        core::mem::take(&mut self.seen)
    }

    /// Ends one JSON text.
    fn end_text(&mut self) {
        self.walker.reset();
        let Self { facts, naming, fault, .. } = self;
        let mut message = core::mem::take(&mut self.message);
        for (side, figure) in [(Side::Input, Figure::Input), (Side::Output, Figure::Output)] {
            let spare = message.spare.of(side).or(*message.share.of(side));
            if let (false, Some(number)) = (*message.told.of(side), spare) {
                facts.usage.set(naming, figure, number);
                message.seen.usage = true;
            }
        }
        if let Some(iterations) = &message.iterations {
            for (figure, number) in iterations.figures() {
                facts.usage.replace(naming, figure, number);
            }
            for (name, number) in iterations.others() {
                note(&mut facts.units, name, *number);
            }
        }
        let mut seen = message.seen;
        if seen.usage {
            facts.usage.settle(naming);
        }
        if message.piece && message.kind_piece {
            seen.reasoning |= message.kind_reasoning;
            seen.content |= !message.kind_reasoning;
        }
        seen.content |= message.kind_item && message.item_call;
        let answer = seen.content || seen.reasoning || seen.usage || message.choice;
        seen.error = message.fault.is_one(answer);
        if facts.id.is_none() {
            facts.id = message.id.or_else(|| message.spare_id.filter(|_| !seen.error));
        }
        facts.finish_reason = message.finish.or(message.status).or_else(|| facts.finish_reason.take());
        facts.error |= seen.error;
        self.text = self.text.saturating_add(message.text);
        fault.merge(message.fault);
        if facts.error_type.as_deref() != fault.word() {
            facts.error_type = fault.word().map(str::to_owned);
        }
        self.answered |= seen.content;
        self.seen.content |= seen.content;
        self.seen.reasoning |= seen.reasoning;
        self.seen.usage |= seen.usage;
        self.seen.error |= seen.error;
    }
}

impl Message {
    fn take(&mut self, found: Found<'_>, facts: &mut Facts, naming: &mut Naming) {
        let Some(leaf) = Table::leaf(found.id) else { return };
        match found.value {
            Value::Number(raw) => match leaf {
                Leaf::Fault(sign) => self.fault.number(sign, raw),
                Leaf::Error => self.fault.certain |= raw.iter().any(|byte| matches!(byte, b'1'..=b'9')),
                Leaf::ErrorPart => {
                    self.fault.certain = true;
                    self.fault.member(found.name, raw);
                }
                Leaf::Units(name) => self.units(name, raw, facts),
                Leaf::NamedUnits => {
                    if let Ok(name) = core::str::from_utf8(found.name) {
                        self.units(name, raw, facts);
                    }
                }
                _ => {
                    if let Some(number) = count(raw) {
                        self.number(leaf, found.name, number, facts, naming);
                    }
                }
            },
            Value::String { raw, .. } => self.string(leaf, found, raw, facts),
            Value::True => match leaf {
                Leaf::PartThought => self.part.thought = true,
                Leaf::Background => facts.background = true,
                Leaf::Error | Leaf::ErrorPart => self.fault.certain = true,
                _ => {}
            },
            Value::Open => self.open(leaf),
            Value::Close => self.close(leaf, facts, naming),
            Value::False | Value::Null => self.fault.certain |= leaf == Leaf::ErrorPart,
        }
    }

    fn units(&mut self, name: &str, raw: &[u8], facts: &mut Facts) {
        if let Some(number) = units(raw).filter(|number| *number > 0) {
            note(&mut facts.units, name, number);
        }
    }

    fn number(&mut self, leaf: Leaf, name: &[u8], number: u64, facts: &mut Facts, naming: &mut Naming) {
        let usage = &mut facts.usage;
        match leaf {
            Leaf::Count(figure) | Leaf::Named(figure, ..) => {
                match figure {
                    Figure::Input | Figure::Prompt => self.told.input = true,
                    Figure::Output => self.told.output = true,
                    _ => {}
                }
                usage.set(naming, figure, number);
                if let Leaf::Named(_, side, name) = leaf {
                    usage.detail(side, name, number);
                }
            }
            Leaf::Info(side, name) => usage.detail(side, name, number),
            Leaf::Detail(side) => {
                if let Ok(name) = core::str::from_utf8(name) {
                    usage.detail(side, name, number);
                }
                if let Some(figure) = detail(side, name) {
                    usage.set(naming, figure, number);
                }
            }
            Leaf::Spare(side) => {
                merge(self.spare.of(side), number);
                return;
            }
            Leaf::Share(side) => {
                let share = self.share.of(side);
                *share = Some(share.unwrap_or(0).saturating_add(number));
                return;
            }
            Leaf::ModalityCount => {
                self.modality_count = Some(number);
                return;
            }
            Leaf::IterationCount(part) => {
                self.iterations.get_or_insert_default().count(part, number);
                return;
            }
            _ => return,
        }
        self.seen.usage = true;
    }

    fn string(&mut self, leaf: Leaf, found: Found<'_>, raw: &[u8], facts: &mut Facts) {
        let text = || found.value.text().map(Cow::into_owned);
        if leaf == Leaf::ErrorPart {
            self.fault.certain = true;
        }
        if raw.is_empty() {
            return;
        }
        if matches!(leaf, Leaf::Content | Leaf::Reasoning | Leaf::PartContent | Leaf::KindContent) {
            self.text = self.text.saturating_add(raw.len());
        }
        match leaf {
            Leaf::Content => self.seen.content = true,
            Leaf::Reasoning => self.seen.reasoning = true,
            Leaf::PartContent => self.part.content = true,
            Leaf::KindContent => self.piece = true,
            Leaf::Kind => {
                self.kind_piece = raw.ends_with(b".delta") || raw.ends_with(b".partial_image");
                self.kind_reasoning = memchr::memmem::find(raw, b"reasoning").is_some();
                self.kind_item = raw.starts_with(b"response.output_item.");
                self.fault.kind(raw);
            }
            // Calls of tools that the server runs, or that stream nothing, show themselves by nothing else.
            Leaf::ItemKind => self.item_call = !matches!(raw, b"message" | b"reasoning" | b"compaction"),
            Leaf::ModalityName => {
                self.modality = Some(match raw {
                    b"AUDIO" | b"audio" => Modality::Audio,
                    b"IMAGE" | b"image" => Modality::Image,
                    _ => Modality::Other,
                });
            }
            // Most messages repeat the model.
            Leaf::Model if facts.model.as_ref().is_none_or(|model| model.as_bytes() != raw) => {
                facts.model = text().or_else(|| facts.model.take());
            }
            Leaf::Id if self.id.is_none() && facts.id.is_none() => {
                self.id = text();
            }
            Leaf::SpareId if self.spare_id.is_none() && facts.id.is_none() => {
                self.spare_id = text();
            }
            Leaf::Error => self.fault.certain = true,
            Leaf::ErrorPart => self.fault.member(found.name, raw),
            Leaf::Fault(sign) => self.fault.text(sign, raw),
            Leaf::IterationType => self.iterations.get_or_insert_default().name(raw),
            // DashScope and watsonx say so until the end.
            Leaf::Finish if !matches!(raw, b"null" | b"not_finished") => {
                self.fault.certain |= raw.eq_ignore_ascii_case(b"error");
                self.finish = reason(raw, text);
            }
            Leaf::Status
                if matches!(raw, b"completed" | b"incomplete" | b"failed" | b"cancelled" | b"requires_action") =>
            {
                self.fault.certain |= raw == b"failed";
                self.status = reason(raw, text);
            }
            _ => {}
        }
    }

    fn open(&mut self, leaf: Leaf) {
        match leaf {
            Leaf::Choice => self.choice = true,
            Leaf::Iterations => self.iterations = None,
            Leaf::Iteration => self.iterations.get_or_insert_default().open(),
            Leaf::ContentObject => self.seen.content = true,
            Leaf::Part => self.part = Part::default(),
            Leaf::PartObject => self.part.content = true,
            Leaf::Modality(_) => (self.modality, self.modality_count) = (None, None),
            Leaf::ErrorPart => self.fault.certain = true,
            _ => {}
        }
    }

    fn close(&mut self, leaf: Leaf, facts: &mut Facts, naming: &mut Naming) {
        match leaf {
            Leaf::Iteration => self.iterations.get_or_insert_default().close(),
            Leaf::Part if self.part.content => {
                self.seen.reasoning |= self.part.thought;
                self.seen.content |= !self.part.thought;
            }
            Leaf::Modality(side) => {
                let figure = match (side, self.modality) {
                    (Side::Input, Some(Modality::Audio)) => Figure::AudioInput,
                    (Side::Input, Some(Modality::Image)) => Figure::ImageInput,
                    (Side::Output, Some(Modality::Audio)) => Figure::AudioOutput,
                    (Side::Output, Some(Modality::Image)) => Figure::ImageOutput,
                    _ => return,
                };
                if let Some(number) = self.modality_count {
                    facts.usage.set(naming, figure, number);
                }
            }
            _ => {}
        }
    }
}

/// The reasons that most answers end for; they need no copy.
const REASONS: [&str; 12] = [
    "stop",
    "length",
    "tool_calls",
    "content_filter",
    "end_turn",
    "max_tokens",
    "tool_use",
    "stop_sequence",
    "completed",
    "STOP",
    "MAX_TOKENS",
    "COMPLETE",
];

fn reason(raw: &[u8], text: impl Fn() -> Option<String>) -> Option<Cow<'static, str>> {
    let known = REASONS.into_iter().find(|known| known.as_bytes() == raw);
    known.map(Cow::Borrowed).or_else(|| text().map(Cow::Owned))
}

/// The figure of a detail, by its key.
fn detail(side: Side, name: &[u8]) -> Option<Figure> {
    Some(match (side, name) {
        (Side::Input, b"cached_tokens") => Figure::CachedInput,
        (Side::Input, b"cache_write_tokens" | b"cache_creation_tokens" | b"cache_creation_input_tokens") => {
            Figure::CacheWrite
        }
        (Side::Input, b"audio_tokens") => Figure::AudioInput,
        (Side::Input, b"image_tokens") => Figure::ImageInput,
        (Side::Output, b"reasoning_tokens" | b"thinking_tokens") => Figure::Reasoning,
        (Side::Output, b"audio_tokens") => Figure::AudioOutput,
        (Side::Output, b"image_tokens") => Figure::ImageOutput,
        _ => return None,
    })
}
