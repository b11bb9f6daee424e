//! The log fields of a [`Record`]: their names, their values, and which of them are filter states of their own.

use super::record::{Party, Record};
use crate::json::Node;
use crate::usage::Detail;

/// Those that are objects: they stand within another one only.
const OBJECTS: [&str; 3] = ["billed_details", "input_token_details", "output_token_details"];

/// What the name of every flat field begins with.
const PREFIX: &str = "waypost_";

/// One field's name.
#[derive(Clone, Copy, Debug)]
pub(super) struct Name {
    /// Of its own filter state, without the prefix of the host.
    pub(super) flat: &'static str,
    /// As the member of an object that stands in a string, with what is around it: `\"model\":`.
    pub(super) member: &'static str,
}

impl Name {
    /// The name itself.
    pub(super) fn key(&self) -> &'static str {
        self.flat.strip_prefix(PREFIX).unwrap_or(self.flat)
    }
}

/// A value that is going to be written.
#[derive(Clone, Copy)]
pub(super) enum Value<'a> {
    Text(&'a str),
    /// A word of Waypost's own, which needs no escape.
    Word(&'static str),
    Number(u64),
    /// Nanoseconds, shown as milliseconds with three decimals.
    Time(u64),
    Bool(bool),
    Details(&'a [Detail]),
    Node(&'a Node),
}

/// Declares the fields, in the order of their names: the list of names, and how each is read from a record. Both forms
/// of a name are put together when this is compiled: a record has thirty fields, and each piece of a text is a call.
macro_rules! fields {
    ($record:ident: $($name:literal = $value:expr,)*) => {
        /// The names of all fields, in order.
        const NAMES: &[Name] = &[$(Name { flat: concat!("waypost_", $name), member: concat!("\\\"", $name, "\\\":") }),*];

        fn values($record: &Record) -> [Option<Value<'_>>; NAMES.len()] {
            [$($value),*]
        }
    };
}

fields! { record:
    "aborted" = record.aborted.map(Party::name).map(Value::Word),
    "api" = known(record.api()),
    "attributes_dropped" = record.attributes_dropped.then_some(Value::Bool(true)),
    "audio_input_token" = number(record.tokens.audio_input),
    "audio_output_token" = number(record.tokens.audio_output),
    "billed_details" = details(&record.units),
    "cache_write_token" = number(record.tokens.cache_write),
    "cached_token" = number(record.tokens.cached_input),
    "chat_id" = text(&record.chat_id),
    "chat_round" = number(record.chat_round),
    "consumer" = text(&record.consumer),
    "error_code" = record.failure.as_ref().and_then(|failure| failure.code()).map(Value::Text),
    "error_source" = record.failure.as_ref().map(|failure| Value::Word(failure.source())),
    "finish_reason" = record.finish_reason.as_deref().map(Value::Text),
    "image_input_token" = number(record.tokens.image_input),
    "image_output_token" = number(record.tokens.image_output),
    "input_includes_cache" = record.tokens.includes_cache.map(Value::Bool),
    "input_token" = number(record.tokens.input),
    "input_token_details" = details(&record.tokens.input_details),
    "llm_first_token_duration" = number(record.first_byte_ms()),
    "llm_service_duration" = number(record.service_ms()),
    "mapping_rule" = text(&record.mapping_rule),
    "model" = Some(Value::Text(record.model().unwrap_or("unknown"))),
    "operation" = (!record.operation.is_empty()).then_some(Value::Word(record.operation)),
    "output_includes_reasoning" = record.tokens.includes_reasoning.map(Value::Bool),
    "output_token" = number(record.tokens.output),
    "output_token_details" = details(&record.tokens.output_details),
    "oversized_event" = record.oversized_event.then_some(Value::Bool(true)),
    "provider" = known(&record.provider),
    "reasoning_token" = number(record.tokens.reasoning),
    "request_model" = text(&record.request_model),
    "request_unread" = record.request_unread.map(Value::Word),
    "response_type" = record.status.map(|_| Value::Word(if record.streamed { "stream" } else { "normal" })),
    "session_id" = text(&record.session_id),
    "status" = number(record.status.map(u64::from)),
    "time_per_output_token" = time(record.time_per_output_token()),
    "time_to_first_byte" = time(record.first_byte),
    "time_to_first_content" = time(record.first_content.filter(|_| record.streamed)),
    "time_to_first_reasoning" = time(record.first_reasoning.filter(|_| record.streamed)),
    "total_token" = number(record.tokens.total()),
    "upstream_model" = text(&record.upstream_model),
    "upstream_path" = text(&record.upstream_path),
    "usage_missing" = record.usage_source.reason().map(Value::Word),
    "usage_source" = Some(Value::Word(record.usage_source.name())),
}

fn text(text: &Option<String>) -> Option<Value<'_>> {
    text.as_deref().map(Value::Text)
}

fn known(text: &str) -> Option<Value<'_>> {
    (!text.is_empty()).then_some(Value::Text(text))
}

fn number<'r>(number: Option<u64>) -> Option<Value<'r>> {
    number.map(Value::Number)
}

fn time<'r>(nanoseconds: Option<u64>) -> Option<Value<'r>> {
    nanoseconds.map(Value::Time)
}

fn details(details: &[Detail]) -> Option<Value<'_>> {
    (!details.is_empty()).then_some(Value::Details(details))
}

/// The fields of one record.
pub struct Fields<'r> {
    pub(super) record: &'r Record,
    values: [Option<Value<'r>>; NAMES.len()],
}

impl<'r> Fields<'r> {
    /// The fields of this record.
    #[must_use]
    pub fn of(record: &'r Record) -> Self {
        Self { record, values: values(record) }
    }

    /// All of them, in the order of their names; `None` where the value is not known.
    pub(super) fn iter(&self) -> impl Iterator<Item = (&'static Name, &Option<Value<'r>>)> {
        NAMES.iter().zip(&self.values)
    }
}

/// Which fields are filter states of their own. Each that is written costs a request about as much as a header edit.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Flat(u64);

const _: () = assert!(NAMES.len() <= 64, "a bit for each field");

impl Flat {
    /// The flat name of the model as it goes upstream.
    pub const UPSTREAM_MODEL: &str = "waypost_upstream_model";

    /// The flat name of the consumer.
    pub const CONSUMER: &str = "waypost_consumer";

    /// Those of Higress's log, those that limits on tokens read, and what says that something went wrong.
    const USUAL: [&str; 14] = [
        "aborted",
        "api",
        "consumer",
        "error_code",
        "error_source",
        "input_token",
        "llm_first_token_duration",
        "llm_service_duration",
        "model",
        "output_token",
        "response_type",
        "total_token",
        "upstream_model",
        "usage_missing",
    ];

    /// No field.
    pub const NONE: Self = Self(0);

    /// Every field.
    pub const ALL: Self = Self(u64::MAX);

    /// The fields that are written when nothing else is configured.
    #[must_use]
    pub fn usual() -> Self {
        Self::USUAL.iter().filter_map(|name| Self::named(name)).fold(Self::NONE, Self::and)
    }

    /// The field of this name, with or without the prefix, all for `*`; `None` if there is none that can stand alone.
    #[must_use]
    pub fn named(name: &str) -> Option<Self> {
        if name == "*" {
            return Some(Self::ALL);
        }
        let name = name.strip_prefix(PREFIX).unwrap_or(name);
        let place = NAMES.iter().position(|known| known.key() == name && !OBJECTS.contains(&name))?;
        Some(Self(1_u64.checked_shl(u32::try_from(place).ok()?)?))
    }

    /// The names of all fields that can stand alone, in order.
    pub fn names() -> impl Iterator<Item = &'static str> {
        NAMES.iter().map(|name| name.key()).filter(|name| !OBJECTS.contains(name))
    }

    /// These and those.
    #[must_use]
    pub const fn and(self, other: Self) -> Self {
        Self(self.0 | other.0)
    }

    /// Whether all of those are among these.
    #[must_use]
    pub const fn contains(self, other: Self) -> bool {
        self.0 & other.0 == other.0
    }

    /// Whether the field at this place of the list is among these.
    pub(super) const fn has(self, place: u32) -> bool {
        self.0 & 1_u64.wrapping_shl(place) != 0
    }
}
