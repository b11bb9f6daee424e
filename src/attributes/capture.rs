//! One request: what was captured so far, and what comes of it.

use core::str;
use std::borrow::Cow;
use std::rc::Rc;

use super::builtin::{Builtin, is_something};
use super::calls::Calls;
use super::clip::Clip;
use super::{Attribute, Attributes, Rule, Source, Value};
use crate::json::{Keys, Scanner, Wanted, decode, literal};
use crate::usage::{Detail, Usage};

/// What is captured of one request.
///
/// It is shown headers, bodies and events as they pass, each at most once but the events, and keeps of them what the
/// attributes want. An attribute whose source was never shown is not recorded at all; one that was looked for in vain
/// is recorded as null.
#[derive(Clone, Debug)]
pub struct Capture {
    attributes: Rc<Attributes>,
    /// In the order of the attributes.
    slots: Box<[Slot]>,
    calls: Calls,
    /// Sources that were shown, as bits.
    shown: u8,
    /// Whether something may be missing because there was no room for it.
    incomplete: bool,
    /// Whether nothing is kept any more.
    given_up: bool,
}

/// What was found for one attribute.
#[derive(Clone, Debug, Default)]
struct Slot {
    configured: Option<Found>,
    /// The built-in way; kept only for as long as the configured one finds nothing.
    builtin: Option<Found>,
}

#[derive(Clone, Debug)]
enum Found {
    /// A string, or the text of anything too long.
    Text(Clip),
    /// Valid JSON that is neither string nor null, within the limit.
    Json(String),
}

/// What came of one attribute.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Captured<'a> {
    /// Its key.
    pub key: &'a str,
    /// Its value as JSON text; `null` where it was not found.
    pub json: String,
    /// Whether it goes to the log.
    pub to_log: bool,
    /// The key in the span, if it goes there.
    pub span_key: Option<&'a str>,
    /// Whether it goes to the log as a property of its own.
    pub separate: bool,
}

impl Captured<'_> {
    /// Whether nothing was found.
    #[must_use]
    pub fn is_null(&self) -> bool {
        self.json == "null"
    }

    /// The value as text, for a span: a string without quotes and escapes, anything else as JSON.
    #[must_use]
    pub fn text(&self) -> Cow<'_, str> {
        decode(self.json.as_bytes()).unwrap_or(Cow::Borrowed(&self.json))
    }

    /// The value for a property of its own: its text, escaped as inside a JSON string but without quotes.
    #[must_use]
    pub fn escaped(&self) -> String {
        let mut escaped = literal(&self.text());
        escaped.pop();
        if !escaped.is_empty() {
            escaped.remove(0);
        }
        escaped
    }
}

impl Capture {
    /// Begins a request.
    #[must_use]
    pub fn new(attributes: &Rc<Attributes>) -> Self {
        let slots = attributes.list.iter().map(|_| Slot::default()).collect();
        Self {
            attributes: Rc::clone(attributes),
            slots,
            calls: Calls::default(),
            shown: Source::Fixed.bit(),
            incomplete: false,
            given_up: false,
        }
    }

    /// Whether [`request_body`](Self::request_body) is to be called.
    #[must_use]
    pub fn wants_request_body(&self) -> bool {
        self.attributes.look_at(Source::RequestBody)
    }

    /// Whether [`response_document`](Self::response_document) is to be called for a response that is no stream.
    #[must_use]
    pub fn wants_response_document(&self) -> bool {
        self.attributes.look_at(Source::Document)
    }

    /// Which members of the request body matter.
    #[must_use]
    pub fn of_request(&self) -> &Wanted {
        &self.attributes.of_request
    }

    /// Which members of a response that is no stream matter.
    #[must_use]
    pub fn of_document(&self) -> &Wanted {
        &self.attributes.of_document
    }

    /// How many bytes are kept, nearly.
    #[must_use]
    pub fn kept(&self) -> usize {
        let found = |found: &Option<Found>| found.as_ref().map_or(0, Found::kept);
        let slots = self.slots.iter().map(|slot| found(&slot.configured).saturating_add(found(&slot.builtin)));
        slots.sum::<usize>().saturating_add(self.calls.held())
    }

    /// Notes that a body will not be shown, though something is looked for in it.
    pub const fn miss(&mut self) {
        self.incomplete = true;
    }

    /// Lets go of everything that was kept, and keeps nothing more.
    pub fn give_up(&mut self) {
        self.incomplete = true;
        self.given_up = true;
        self.slots.fill_with(Slot::default);
        self.calls = Calls::default();
    }

    /// Whether something may be missing because there was no room for it.
    #[must_use]
    pub const fn is_incomplete(&self) -> bool {
        self.incomplete
    }

    /// Whether [`event`](Self::event) is to be called for a response that is a stream.
    #[must_use]
    pub fn wants_events(&self) -> bool {
        self.attributes.look_at(Source::Events)
    }

    /// Shows the request headers. `get` gives the first value of a header, by its name in lower case.
    pub fn request_headers<'h>(&mut self, get: &dyn Fn(&str) -> Option<&'h [u8]>) {
        self.headers(Source::RequestHeader, get);
    }

    /// Shows the response headers; also without attributes that name one, for then the token figures are recorded.
    pub fn response_headers<'h>(&mut self, get: &dyn Fn(&str) -> Option<&'h [u8]>) {
        self.shown |= Source::Usage.bit();
        self.headers(Source::ResponseHeader, get);
    }

    /// Shows the request body, or those of its members that [matter](Self::of_request): at most
    /// [`MAX_BODY`](super::MAX_BODY) bytes.
    pub fn request_body(&mut self, body: &[u8]) {
        self.body(Source::RequestBody, body, Builtin::request);
    }

    /// Shows the body of a response that is no stream, or those of its members that [matter](Self::of_document): at
    /// most [`MAX_BODY`](super::MAX_BODY) bytes.
    pub fn response_document(&mut self, body: &[u8]) {
        self.shown |= Source::Usage.bit();
        self.body(Source::Document, body, Builtin::document);
        if !self.given_up && self.collects_calls(Source::Document) {
            self.calls.document(body, self.attributes.limit);
        }
    }

    /// Shows one event of a stream: its data, without the framing.
    pub fn event(&mut self, data: &[u8]) {
        self.shown |= Source::Events.bit() | Source::Usage.bit();
        if self.given_up {
            return;
        }
        let limit = self.attributes.limit;
        for (attribute, slot) in self.attributes.list.iter().zip(&mut self.slots) {
            if !attribute.has(Source::Events) {
                continue;
            }
            if let (Value::Path(path), Some(rule)) = (&attribute.value, attribute.rule)
                && !is_settled(&slot.configured, rule)
            {
                add(&mut slot.configured, rule, limit, path.get(data));
            }
            if slot.configured.is_some() {
                slot.builtin = None;
            } else if let Some(builtin) = attribute.builtin
                && let Some(rule) = builtin.rule(attribute.rule)
                && !is_settled(&slot.builtin, rule)
            {
                add(&mut slot.builtin, rule, limit, builtin.event(data).map(Cow::Borrowed));
            }
        }
        if self.collects_calls(Source::Events) {
            self.calls.event(data, limit);
        }
    }

    /// What is recorded, in the order of the attributes. Changes nothing, so a record can be written more than once.
    ///
    /// Where several attributes have one key and some of them found nothing, those are left out.
    #[must_use]
    pub fn finish(&self, usage: &Usage) -> Vec<Captured<'_>> {
        let pairs = self.attributes.list.iter().zip(&self.slots);
        let mut all: Vec<Captured<'_>> =
            pairs.filter_map(|(attribute, slot)| self.captured(attribute, slot, usage)).collect();
        let found: Vec<&str> = all.iter().filter(|captured| !captured.is_null()).map(|captured| captured.key).collect();
        all.retain(|captured| !captured.is_null() || !found.contains(&captured.key));
        all
    }

    fn captured<'a>(&self, attribute: &'a Attribute, slot: &Slot, usage: &Usage) -> Option<Captured<'a>> {
        let limit = self.attributes.limit;
        let found = match &attribute.value {
            Value::Text(text) if attribute.has(Source::Fixed) => Some(clipped(text, limit)),
            _ => slot.configured.as_ref().or(slot.builtin.as_ref()).map(|found| found.to_json(limit)),
        };
        let something = found.as_ref().is_some_and(|json| json != "\"\"");
        let found = if something { found } else { self.put_together(attribute, usage).or(found) };
        if found.is_none() && attribute.sources & self.shown == 0 {
            return None;
        }
        let json = match (&attribute.default, found) {
            (_, Some(json)) if json != "\"\"" => json,
            (Some(default), _) => clipped(default, limit),
            (None, Some(empty)) => empty,
            (None, None) => "null".to_owned(),
        };
        let Attribute { key, to_log, span_key, separate, .. } = attribute;
        Some(Captured { key, json, to_log: *to_log, span_key: span_key.as_deref(), separate: *separate })
    }

    /// Built-in values that are not taken from one place.
    fn put_together(&self, attribute: &Attribute, usage: &Usage) -> Option<String> {
        let builtin = attribute.builtin?;
        if builtin == Builtin::ToolCalls {
            let limit = self.attributes.limit;
            let calls = self.calls.to_json()?;
            return Some(if calls.len() > limit { clipped(&calls, limit) } else { calls });
        }
        if !attribute.has(Source::Usage) {
            return None;
        }
        match builtin {
            Builtin::ReasoningTokens => usage.reasoning.map(|count| count.to_string()),
            Builtin::CachedTokens => usage.cached_input.map(|count| count.to_string()),
            // A string, and never cut: ai-statistics writes it so.
            Builtin::InputDetails => details(&usage.input_details),
            Builtin::OutputDetails => details(&usage.output_details),
            _ => None,
        }
    }

    fn headers<'h>(&mut self, source: Source, get: &dyn Fn(&str) -> Option<&'h [u8]>) {
        self.shown |= source.bit();
        if self.given_up {
            return;
        }
        let limit = self.attributes.limit;
        for (attribute, slot) in self.attributes.list.iter().zip(&mut self.slots) {
            if let (true, Value::Text(name)) = (attribute.has(source), &attribute.value) {
                let value = get(name).map(String::from_utf8_lossy);
                slot.configured = value.map(|value| Found::Text(Clip::new(&value, limit)));
            }
        }
    }

    fn body(&mut self, source: Source, body: &[u8], find: fn(Builtin, &[u8]) -> Option<&[u8]>) {
        self.shown |= source.bit();
        if self.given_up {
            return;
        }
        let limit = self.attributes.limit;
        for (attribute, slot) in self.attributes.list.iter().zip(&mut self.slots) {
            if !attribute.has(source) {
                continue;
            }
            if let Value::Path(path) = &attribute.value {
                slot.configured = path.get(body).and_then(|raw| Found::read(&raw, limit));
            }
            if slot.configured.as_ref().is_none_or(Found::is_empty)
                && let Some(raw) = attribute.builtin.and_then(|builtin| find(builtin, body))
                && let Some(found) = Found::read(raw, limit)
            {
                slot.configured = Some(found);
            }
        }
    }

    fn collects_calls(&self, source: Source) -> bool {
        let collects = |attribute: &Attribute| attribute.builtin == Some(Builtin::ToolCalls) && attribute.has(source);
        self.attributes.list.iter().any(collects)
    }
}

/// Whether a value is there and will not change.
const fn is_settled(slot: &Option<Found>, rule: Rule) -> bool {
    matches!(rule, Rule::First) && slot.is_some()
}

/// Adds what an event holds.
#[inline(never)]
fn add(slot: &mut Option<Found>, rule: Rule, limit: usize, raw: Option<Cow<'_, [u8]>>) {
    let Some(raw) = raw.filter(|raw| is_something(raw)) else { return };
    if rule != Rule::Append {
        // What is not JSON is nothing.
        if let Some(found) = Found::read(&raw, limit) {
            *slot = Some(found);
        }
        return;
    }
    let Some(text) = text(&raw) else { return };
    match slot {
        Some(Found::Text(clip)) => clip.push(&text, limit),
        _ => *slot = Some(Found::Text(Clip::new(&text, limit))),
    }
}

impl Found {
    /// Reads a raw value; `None` for null and for what is not JSON, which would spoil the record it is written into.
    fn read(raw: &[u8], limit: usize) -> Option<Self> {
        if raw == b"null" {
            return None;
        }
        let text = text(raw)?;
        if raw.starts_with(b"\"") || text.len() > limit {
            return Some(Self::Text(Clip::new(&text, limit)));
        }
        is_json(raw).then(|| Self::Json(text.into_owned()))
    }

    const fn is_empty(&self) -> bool {
        matches!(self, Self::Text(clip) if clip.is_empty())
    }

    fn kept(&self) -> usize {
        match self {
            Self::Text(clip) => clip.held(),
            Self::Json(json) => json.capacity(),
        }
    }

    fn to_json(&self, limit: usize) -> String {
        match self {
            Self::Text(clip) => literal(&clip.finish(limit)),
            Self::Json(json) => json.clone(),
        }
    }
}

/// A string without quotes and escapes, anything else as JSON without white space.
pub(super) fn text(raw: &[u8]) -> Option<Cow<'_, str>> {
    if raw.starts_with(b"\"") { decode(raw).ok() } else { str::from_utf8(raw).ok().map(compact) }
}

/// Drops the white space that JSON text has between its tokens: a record is one line.
#[inline(never)]
fn compact(json: &str) -> Cow<'_, str> {
    let is_space = |byte: &u8| matches!(byte, b' ' | b'\t' | b'\n' | b'\r');
    if !json.as_bytes().iter().any(is_space) {
        return Cow::Borrowed(json);
    }
    let mut out = Vec::with_capacity(json.len());
    let (mut in_string, mut escaped) = (false, false);
    for byte in json.as_bytes() {
        if in_string || !is_space(byte) {
            in_string ^= *byte == b'"' && !escaped;
            escaped = in_string && !escaped && *byte == b'\\';
            out.push(*byte);
        }
    }
    String::from_utf8(out).map_or(Cow::Borrowed(json), Cow::Owned)
}

/// Text as a JSON string, within the limit.
#[inline(never)]
fn clipped(text: &str, limit: usize) -> String {
    literal(&Clip::new(text, limit).finish(limit))
}

/// Whether this is one JSON value.
fn is_json(raw: &[u8]) -> bool {
    let Ok(keys) = Keys::new(<[&str; 0]>::default()) else { return false };
    let mut scanner = Scanner::new(keys);
    for mut piece in [&b"{\"\":"[..], raw, b"}"] {
        loop {
            match scanner.scan(&mut piece) {
                Ok(Some(_)) => {}
                Ok(None) => break,
                Err(_) => return false,
            }
        }
    }
    scanner.finish().is_ok()
}

/// The details as an object, written as a string; none where there are none.
fn details(details: &[Detail]) -> Option<String> {
    let mut json = String::from("{");
    for (name, number) in details {
        json.push_str(if json.len() > 1 { "," } else { "" });
        json.push_str(&literal(name));
        json.push(':');
        json.push_str(&number.to_string());
    }
    json.push('}');
    (!details.is_empty()).then(|| literal(&json))
}
