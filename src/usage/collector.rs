//! Reads one response.

use std::borrow::Cow;

use super::figures::{Figure, Naming, Side, Usage, count, merge};
use super::table::{Leaf, Table};
use crate::json::{Found, Value, Walker};

/// What is known of a response so far.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Facts {
    /// What it cost.
    pub usage: Usage,
    /// The model that answers: the last name that is not empty, at most [`MAX_TEXT`](crate::json::MAX_TEXT) bytes.
    pub model: Option<String>,
    /// The id of the response: the first that is not empty. A request id counts only in a message without another.
    pub id: Option<String>,
    /// Whether there was an error: an event that is one by its name, or an `error` at the top level or in `response`
    /// that is neither `null` nor `false`, zero or empty.
    pub error: bool,
    /// The error's `type`, otherwise its `code` or `status`, otherwise the name of the exception.
    pub error_type: Option<String>,
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
    /// It is there for its usage only: an OpenAI chunk with `choices: []`, a `usage` object and no error.
    pub usage_only: bool,
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
    /// Whether content was seen: from then on only messages that may tell a figure or an error are read.
    pub(super) answered: bool,
    message: Message,
}

/// What is known of the current message.
#[derive(Clone, Debug, Default)]
struct Message {
    seen: Seen,
    /// Bytes of content and reasoning.
    text: usize,
    /// Whether there are choices that are a list, and one of them.
    choices: bool,
    choice: bool,
    usage_object: bool,
    /// Whether `type` is that of a piece of the answer, or of reasoning, and whether there is such a piece.
    kind_piece: bool,
    kind_reasoning: bool,
    piece: bool,
    part: Part,
    modality: Option<Modality>,
    modality_count: Option<u64>,
    /// Whether tokens of this side were told.
    told: Sides<bool>,
    spare: Sides<Option<u64>>,
    share: Sides<Option<u64>>,
    id: Option<String>,
    spare_id: Option<String>,
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
            answered: false,
            message: Message::default(),
        }
    }

    /// What is known so far.
    #[must_use]
    pub const fn facts(&self) -> &Facts {
        &self.facts
    }

    /// How many bytes the text of the last message has that was looked into: content and reasoning, as they are escaped.
    #[must_use]
    pub const fn text(&self) -> usize {
        self.text
    }

    /// What is known in the end.
    #[must_use]
    pub fn into_facts(self) -> Facts {
        self.facts
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
        let unwrapped = super::wrapped::unwrap(data);
        let data = unwrapped.as_deref().unwrap_or(data);
        let failed = event == b"error" || event.ends_with(b"Exception");
        if self.answered && !failed && !self.table.triggered(data) {
            return Seen::default();
        }
        self.walker.reset();
        self.feed(data);
        if failed {
            self.message.seen.error = true;
            if self.facts.error_type.is_none() && event != b"error" {
                self.facts.error_type = core::str::from_utf8(event).ok().map(Into::into);
            }
        }
        self.end()
    }

    /// Takes the next bytes of a response that is one document.
    pub fn feed(&mut self, chunk: &[u8]) {
        let Self { walker, facts, naming, message, .. } = self;
        walker.feed(chunk, &mut |found| message.take(found, facts, naming));
    }

    /// Ends the document.
    pub fn finish_document(&mut self) {
        self.end();
    }

    /// Ends the message.
    fn end(&mut self) -> Seen {
        let Self { facts, naming, .. } = self;
        let mut message = core::mem::take(&mut self.message);
        for (side, figure) in [(Side::Input, Figure::Input), (Side::Output, Figure::Output)] {
            let spare = message.spare.of(side).or(*message.share.of(side));
            if let (false, Some(number)) = (*message.told.of(side), spare) {
                facts.usage.set(naming, figure, number);
                message.seen.usage = true;
            }
        }
        if facts.id.is_none() {
            facts.id = message.id.or(message.spare_id);
        }
        let mut seen = message.seen;
        if message.piece && message.kind_piece {
            seen.reasoning |= message.kind_reasoning;
            seen.content |= !message.kind_reasoning;
        }
        seen.usage_only = message.choices && !message.choice && message.usage_object && !seen.error;
        facts.error |= seen.error;
        self.text = message.text;
        self.answered |= seen.content;
        seen
    }
}

impl Message {
    fn take(&mut self, found: Found<'_>, facts: &mut Facts, naming: &mut Naming) {
        let Some(leaf) = Table::leaf(found.id) else { return };
        match found.value {
            Value::Number(raw) => {
                if let Some(number) = count(raw) {
                    self.number(leaf, found.name, number, facts, naming);
                }
            }
            Value::String { raw, .. } => self.string(leaf, found, raw, facts),
            Value::True => match leaf {
                Leaf::PartThought => self.part.thought = true,
                Leaf::Error | Leaf::ErrorPart => self.seen.error = true,
                _ => {}
            },
            Value::Open => self.open(leaf),
            Value::Close => self.close(leaf, facts, naming),
            Value::False | Value::Null => self.seen.error |= leaf == Leaf::ErrorPart,
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
            Leaf::Error => {
                self.seen.error |= number != 0;
                return;
            }
            Leaf::ErrorPart => {
                self.seen.error = true;
                return;
            }
            _ => return,
        }
        self.seen.usage = true;
    }

    fn string(&mut self, leaf: Leaf, found: Found<'_>, raw: &[u8], facts: &mut Facts) {
        let text = || found.value.text().map(Cow::into_owned);
        if leaf == Leaf::ErrorPart {
            self.seen.error = true;
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
            }
            Leaf::ModalityName => {
                self.modality = Some(match raw {
                    b"AUDIO" => Modality::Audio,
                    b"IMAGE" => Modality::Image,
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
            Leaf::Error => self.seen.error = true,
            Leaf::ErrorPart => match found.name {
                b"type" => facts.error_type = text().or_else(|| facts.error_type.take()),
                b"code" | b"status" if facts.error_type.is_none() => {
                    facts.error_type = text();
                }
                _ => {}
            },
            _ => {}
        }
    }

    fn open(&mut self, leaf: Leaf) {
        match leaf {
            Leaf::Choices => self.choices = true,
            Leaf::Choice => self.choice = true,
            Leaf::Usage => self.usage_object = true,
            Leaf::ContentObject => self.seen.content = true,
            Leaf::Part => self.part = Part::default(),
            Leaf::PartObject => self.part.content = true,
            Leaf::Modality(_) => (self.modality, self.modality_count) = (None, None),
            Leaf::ErrorPart => self.seen.error = true,
            _ => {}
        }
    }

    fn close(&mut self, leaf: Leaf, facts: &mut Facts, naming: &mut Naming) {
        match leaf {
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

/// The figure of a detail, by its key.
fn detail(side: Side, name: &[u8]) -> Option<Figure> {
    Some(match (side, name) {
        (Side::Input, b"cached_tokens") => Figure::CachedInput,
        (Side::Input, b"cache_write_tokens" | b"cache_creation_tokens" | b"cache_creation_input_tokens") => {
            Figure::CacheWrite
        }
        (Side::Input, b"audio_tokens") => Figure::AudioInput,
        (Side::Input, b"image_tokens") => Figure::ImageInput,
        (Side::Output, b"reasoning_tokens") => Figure::Reasoning,
        (Side::Output, b"audio_tokens") => Figure::AudioOutput,
        (Side::Output, b"image_tokens") => Figure::ImageOutput,
        _ => return None,
    })
}
