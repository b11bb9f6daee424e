//! A [`Record`] as log fields: the `ai_log` object in Higress's form, and one text per field.
//!
//! Both are made of the same fields. Durations are milliseconds: `llm_service_duration` and `llm_first_token_duration`
//! are whole numbers as in Higress, those that begin with `time_` have three decimals.
//!
//! `ai_log` is a JSON object as Go's `encoding/json` writes it (keys sorted, `<`, `>` and `&` escaped), escaped once more
//! as the inside of a JSON string: Higress's access log format puts it between quotes. Several plugins write it, so what
//! stands there is read, merged and written back.

use super::fields::{Fields, Flat, Value};
use super::labels::{invisible, may_begin_invisible};
use crate::json::{Node, decode, in_order, parse};
use core::fmt::Write;

/// Longest text of one field, in bytes; longer ones are cut at a character. Attributes have a limit of their own.
pub const MAX_TEXT: usize = 1024;

/// Longest value of other plugins that is read and merged, in bytes.
const MAX_OLD: usize = 1 << 20;

/// Details of one kind that are written; an upstream has no reason to send more.
const MAX_DETAILS: usize = 32;

/// How many bytes are made room for: what a usual record needs.
const ROOM: usize = 1024;

/// Stands in every record of Waypost, and in no text within one, where quotes are escaped twice.
const OWN: &[u8] = br#"\"usage_source\":"#;

/// Nanoseconds in a millisecond.
const NS_PER_MS: u64 = 1_000_000;

/// Nanoseconds in a microsecond.
const NS_PER_US: u64 = 1_000;

/// The value of `ai_log`, merged into what stands there (`None` or nothing: nobody wrote it yet); new fields win.
///
/// `None` where the old value cannot be read: then it is left alone, as Higress's plugins do.
#[must_use]
pub fn ai_log(fields: &Fields<'_>, old: Option<&[u8]>) -> Option<String> {
    let mut out = String::with_capacity(ROOM);
    let before = old.filter(|old| !old.is_empty());
    if before.is_none() && fields.record.attributes.is_empty() {
        // Nearly every record: its own fields, which are in order, and whose names need no escapes.
        let mut start = '{';
        for (name, value) in fields.iter() {
            if let Some(value) = value {
                out.push(start);
                out.push_str(name.member);
                value.write(&mut out);
                start = ',';
            }
        }
        out.push('}');
        return Some(out);
    }
    let old = before.map_or_else(|| Some(Node::Map(Vec::new())), read)?;
    let earlier = is_own(before);
    let outdated = |key: &str| earlier && fields.iter().any(|(name, value)| value.is_none() && name.key() == key);
    let attributes: Vec<(&str, Node)> =
        fields.record.attributes.iter().map(|(key, value)| (key.as_str(), attribute(value))).collect();
    let mut object = Object::default();
    for (key, value) in old.members().iter().filter(|(key, _)| !outdated(key)) {
        object.put(key, Value::Node(value));
    }
    for (name, value) in fields.iter().filter_map(|(name, value)| Some((name, (*value)?))) {
        object.put(name.key(), value);
    }
    for (key, value) in &attributes {
        object.put(key, Value::Node(value));
    }
    object.write(&mut out);
    Some(out)
}

/// The fields, of those that are written flat, that an earlier record of the same request has in `old` and this one does
/// not, by the names of their filter states: an upstream filter writes one for each attempt, and a log of two attempts
/// at once would be true of neither.
#[must_use]
pub fn outdated(fields: &Fields<'_>, written: Flat, old: Option<&[u8]>) -> Vec<&'static str> {
    let Some(old) = old.filter(|old| is_own(Some(old))).and_then(read) else { return Vec::new() };
    let absent = fields.iter().zip(0..).filter(|((_, value), place)| value.is_none() && written.has(*place));
    let names = absent.map(|((name, _), _)| name);
    names.filter(|name| old.members().iter().any(|(key, _)| key == name.key())).map(|name| name.flat).collect()
}

/// Whether a record of Waypost is in it. Other plugins know the words `input_token` and `model` too; theirs stay.
fn is_own(old: Option<&[u8]>) -> bool {
    old.is_some_and(|old| memchr::memmem::find(old, OWN).is_some())
}

/// Puts the wanted fields that are known, each with the name of its own filter state and its value as plain text.
///
/// A control character, a quote, a backslash and what is [`invisible`] become `_`: the value stands in access logs of any
/// format, where people read it.
pub fn flat(fields: &Fields<'_>, wanted: Flat, put: &mut dyn FnMut(&'static str, &str)) {
    let mut text = String::new();
    for ((name, value), place) in fields.iter().zip(0..) {
        if !wanted.has(place) {
            continue;
        }
        text.clear();
        match value {
            Some(Value::Text(value)) => push_plain(&mut text, value),
            Some(Value::Word(word)) => text.push_str(word),
            Some(value @ (Value::Number(_) | Value::Time(_) | Value::Bool(_))) => value.write(&mut text),
            Some(Value::Details(_) | Value::Node(_)) | None => continue,
        }
        put(name.flat, &text);
    }
}

/// A text as it is written flat: cut, without what could break a line of a log.
#[must_use]
pub fn plain(text: &str) -> String {
    let mut out = String::new();
    push_plain(&mut out, text);
    out
}

fn push_plain(out: &mut String, text: &str) {
    let text = cut(text);
    let plain = |byte: u8| !matches!(byte, 0..=0x1f | 0x7f | b'"' | b'\\') && !may_begin_invisible(byte);
    if text.bytes().all(plain) {
        return out.push_str(text);
    }
    let harmful = |c: char| c.is_ascii_control() || matches!(c, '"' | '\\') || invisible(c);
    out.extend(text.chars().map(|c| if harmful(c) { '_' } else { c }));
}

/// What another plugin left: an object, escaped as the inside of a string.
fn read(old: &[u8]) -> Option<Node> {
    if old.len() > MAX_OLD {
        return None;
    }
    let mut quoted = Vec::with_capacity(old.len().saturating_add(2));
    quoted.push(b'"');
    quoted.extend_from_slice(old);
    quoted.push(b'"');
    let text = decode(&quoted).ok()?;
    parse(text.as_bytes()).ok().filter(|node| matches!(node, Node::Map(_)))
}

/// The value of an attribute; what is not JSON is shown as text.
fn attribute(json: &str) -> Node {
    parse(json.as_bytes()).unwrap_or_else(|_| Node::Text(json.to_owned()))
}

/// An object that is written with its keys sorted by bytes. Of several members with one key the last counts.
#[derive(Default)]
struct Object<'a>(Vec<(&'a str, Value<'a>)>);

impl<'a> Object<'a> {
    /// Up to so many members are kept in order as they come. Of more, each would have to move half of the others: a
    /// value that is recorded has as many keys as its sender likes, in the order that takes longest.
    const FEW: usize = 64;

    /// Puts a member in its place, or in the place of the one of that name.
    fn put(&mut self, key: &'a str, value: Value<'a>) {
        // Most come in order.
        if self.0.len() >= Self::FEW || self.0.last().is_none_or(|(last, _)| *last < key) {
            return self.0.push((key, value));
        }
        let at = self.0.partition_point(|(known, _)| *known < key);
        match self.0.get_mut(at) {
            Some((known, old)) if *known == key => *old = value,
            _ => self.0.insert(at, (key, value)),
        }
    }

    fn write(&self, out: &mut String) {
        let mut separator = "{";
        let mut member = |(key, value): &(&str, Value<'_>)| {
            out.push_str(separator);
            separator = ",";
            write_text(out, key);
            out.push(':');
            value.write(out);
        };
        if self.0.len() <= Self::FEW {
            self.0.iter().for_each(member);
        } else {
            let sorted = in_order(&mut self.0.iter().map(|(key, _)| *key));
            let next = sorted.iter().skip(1).map(|(key, _)| Some(key)).chain([None]);
            let last_of_its_key = sorted.iter().zip(next).filter(|((key, _), next)| *next != Some(key));
            last_of_its_key.filter_map(|((_, place), _)| self.0.get(*place)).for_each(&mut member);
        }
        out.push_str(if self.0.is_empty() { "{}" } else { "}" });
    }
}

impl Value<'_> {
    fn write(&self, out: &mut String) {
        match self {
            Self::Text(text) => write_text(out, cut(text)),
            Self::Word(word) => {
                out.push_str(QUOTE);
                out.push_str(word);
                out.push_str(QUOTE);
            }
            Self::Number(number) => push_number(out, *number, 1),
            Self::Time(ns) => {
                push_number(out, ns / NS_PER_MS, 1);
                out.push('.');
                push_number(out, ns % NS_PER_MS / NS_PER_US, 3);
            }
            Self::Bool(value) => out.push_str(if *value { "true" } else { "false" }),
            Self::Details(details) => {
                let mut object = Object::default();
                for (key, number) in details.iter().take(MAX_DETAILS) {
                    object.put(cut(key), Value::Number(*number));
                }
                object.write(out);
            }
            Self::Node(node) => write_node(out, node),
        }
    }
}

/// A number in at least that many digits. Formatting takes five times as long, and there are twenty in a record.
fn push_number(out: &mut String, number: u64, digits: u32) {
    /// How many digits the largest number has.
    const MOST_DIGITS: usize = 20;
    let mut text = [b'0'; MOST_DIGITS];
    let (mut rest, mut length) = (number, 0_u32);
    for place in text.iter_mut().rev() {
        let (tens, digit) = (rest / 10, rest % 10);
        if rest == 0 && length >= digits {
            break;
        }
        *place = b'0'.saturating_add(u8::try_from(digit).unwrap_or_default());
        (rest, length) = (tens, length.saturating_add(1));
    }
    let start = MOST_DIGITS.saturating_sub(usize::try_from(length).unwrap_or_default());
    out.push_str(text.get(start..).and_then(|digits| core::str::from_utf8(digits).ok()).unwrap_or_default());
}

fn write_node(out: &mut String, node: &Node) {
    match node {
        Node::Null => out.push_str("null"),
        Node::Bool(value) => out.push_str(if *value { "true" } else { "false" }),
        Node::Number(number) => out.push_str(number),
        Node::Text(text) => write_text(out, text),
        Node::List(items) => {
            let mut separator = "[";
            for item in items {
                out.push_str(separator);
                separator = ",";
                write_node(out, item);
            }
            out.push_str(if items.is_empty() { "[]" } else { "]" });
        }
        Node::Map(members) => {
            let mut object = Object::default();
            for (key, value) in members {
                object.put(key, Value::Node(value));
            }
            object.write(out);
        }
    }
}

/// The text up to [`MAX_TEXT`].
#[must_use]
pub fn cut(text: &str) -> &str {
    super::labels::cut(text, MAX_TEXT)
}

/// Cuts a text to [`MAX_TEXT`], which is all that is written of it, and gives its memory back.
pub fn shorten(text: &mut String) {
    if text.len() > MAX_TEXT {
        *text = cut(text).to_owned();
    }
}

/// A quotation mark within a string literal.
const QUOTE: &str = "\\\"";

fn write_text(out: &mut String, text: &str) {
    out.push_str(QUOTE);
    escape(out, text);
    out.push_str(QUOTE);
}

/// Whether a byte may begin an escape, by its value: one look instead of ten comparisons, for each byte of a record.
#[allow(clippy::indexing_slicing, clippy::arithmetic_side_effects, reason = "computed when this is compiled")]
static MAY_ESCAPE: [bool; 256] = {
    let mut table = [false; 256];
    let mut byte = 0;
    while byte < table.len() {
        let value = byte as u8;
        table[byte] = byte < 0x20 || may_begin_invisible(value) || matches!(value, b'"' | b'\\' | b'<' | b'>' | b'&');
        byte += 1;
    }
    table
};

/// Text as the inside of a string literal, with all that Go's `encoding/json` escapes, and with what is [`invisible`]
/// escaped as well, within another string literal. Whoever parses it gets the text as it was.
fn escape(out: &mut String, text: &str) {
    let may_escape = |byte: u8| MAY_ESCAPE.get(usize::from(byte)).is_none_or(|may| *may);
    let mut rest = text;
    while let Some((plain, tail)) = rest.bytes().position(may_escape).and_then(|at| rest.split_at_checked(at)) {
        out.push_str(plain);
        let mut characters = tail.chars();
        match characters.next() {
            Some('"') => out.push_str(r#"\\\""#),
            Some('\\') => out.push_str(r"\\\\"),
            Some('\n') => out.push_str(r"\\n"),
            Some('\r') => out.push_str(r"\\r"),
            Some('\t') => out.push_str(r"\\t"),
            Some('\u{8}') => out.push_str(r"\\b"),
            Some('\u{c}') => out.push_str(r"\\f"),
            Some(other) if invisible(other) || matches!(other, '\0'..='\u{1f}' | '<' | '>' | '&') => {
                for unit in other.encode_utf16(&mut [0; 2]) {
                    // Writing to a string cannot fail.
                    let _ = write!(out, r"\\u{unit:04x}");
                }
            }
            Some(other) => out.push(other),
            None => {}
        }
        rest = characters.as_str();
    }
    out.push_str(rest);
}

#[cfg(test)]
mod tests;
