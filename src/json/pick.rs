//! Copies some top-level members of a document that streams past, and nothing else of it.

use std::borrow::Cow;
use std::rc::Rc;

use super::walk::{skip_plain, until_quote};

/// The longest key that is compared with those that are wanted, in raw bytes; a longer one is not wanted.
const MAX_KEY: usize = 1024;

/// Which top-level members are wanted; a clone is a reference count.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Wanted {
    /// The whole document.
    All,
    /// Those with these keys, unescaped.
    Members(Rc<[Box<str>]>),
}

impl Wanted {
    fn has(&self, raw: &[u8]) -> bool {
        let Self::Members(keys) = self else { return true };
        let Ok(text) = core::str::from_utf8(raw) else { return false };
        let key = if raw.contains(&b'\\') {
            match super::string::unescape(text) {
                Some(key) => Cow::Owned(key),
                None => return false,
            }
        } else {
            Cow::Borrowed(text)
        };
        keys.iter().any(|wanted| **wanted == *key)
    }
}

/// Makes a smaller document of one that streams past: an object with those of its members that are wanted, in their
/// order and with their raw bytes, also where a key stands twice. What is no object is copied whole. Nothing is
/// validated; of nonsense nothing is copied from the place on where it is noticed.
///
/// Apart from what it hands out it keeps the start of one key.
#[derive(Clone, Debug)]
pub struct Picker {
    wanted: Wanted,
    state: State,
    /// Whether the last byte of a string was a backslash that escapes the next one.
    escape: bool,
    /// How many brackets are open in the value.
    depth: u32,
    /// Whether the current value is wanted.
    copies: bool,
    /// Whether a member was copied before.
    follows: bool,
    /// The part of a key that came in earlier chunks.
    key: Vec<u8>,
}

#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum State {
    /// Before the document.
    Start,
    /// All of it is copied.
    All,
    /// Before a key, a comma or the end.
    Between,
    Key,
    Colon,
    /// In a value, outside of its strings.
    Value,
    /// In a string of it.
    Text,
    /// Behind the document, or it is none.
    Over,
}

/// Takes the bytes of the copy.
type Sink<'s> = &'s mut dyn FnMut(&[u8]);

impl Picker {
    /// At the start of a document.
    #[must_use]
    pub const fn new(wanted: Wanted) -> Self {
        Self { wanted, state: State::Start, escape: false, depth: 0, copies: false, follows: false, key: Vec::new() }
    }

    /// Takes the next bytes of the document, and hands out what is wanted of them.
    pub fn feed(&mut self, chunk: &[u8], sink: Sink<'_>) {
        let mut rest = chunk;
        while !rest.is_empty() {
            rest = match self.state {
                State::Start => self.start(rest, sink),
                State::All => {
                    sink(rest);
                    return;
                }
                State::Over => return,
                State::Between | State::Colon => self.between(rest, sink),
                State::Key => self.key(rest, sink),
                State::Value | State::Text => {
                    let tail = self.value(rest);
                    if self.copies {
                        let length = rest.len().saturating_sub(tail.len());
                        sink(rest.get(..length).unwrap_or_default());
                    }
                    tail
                }
            };
        }
    }

    fn start<'a>(&mut self, rest: &'a [u8], sink: Sink<'_>) -> &'a [u8] {
        let rest = rest.trim_ascii_start();
        match rest.split_first() {
            None => rest,
            Some((b'{', tail)) if self.wanted != Wanted::All => {
                sink(b"{");
                self.state = State::Between;
                tail
            }
            Some(_) => {
                self.state = State::All;
                rest
            }
        }
    }

    /// What stands between values.
    fn between<'a>(&mut self, rest: &'a [u8], sink: Sink<'_>) -> &'a [u8] {
        let Some((byte, tail)) = rest.split_first() else { return rest };
        match (self.state, byte) {
            (_, b' ' | b'\t' | b'\n' | b'\r') | (State::Between, b',') => {}
            (State::Between, b'"') => self.state = State::Key,
            (State::Between, b'}') => {
                sink(b"}");
                self.state = State::Over;
            }
            (State::Colon, b':') => self.state = State::Value,
            _ => self.state = State::Over,
        }
        tail
    }

    fn key<'a>(&mut self, rest: &'a [u8], sink: Sink<'_>) -> &'a [u8] {
        let (inside, tail) = until_quote(&mut self.escape, rest);
        let Some(tail) = tail else {
            let room = MAX_KEY.saturating_add(1).saturating_sub(self.key.len());
            self.key.extend_from_slice(inside.get(..room).unwrap_or(inside));
            return &[];
        };
        let mut key = core::mem::take(&mut self.key);
        let raw = if key.is_empty() {
            inside
        } else {
            key.extend_from_slice(inside);
            &key
        };
        self.copies = raw.len() <= MAX_KEY && self.wanted.has(raw);
        if self.copies {
            sink(if self.follows { b",\"" } else { b"\"" });
            sink(raw);
            sink(b"\":");
            self.follows = true;
        }
        self.state = State::Colon;
        self.depth = 0;
        tail
    }

    /// Goes on in a value; gives what stands behind it, or nothing if it goes on.
    fn value<'a>(&mut self, mut rest: &'a [u8]) -> &'a [u8] {
        loop {
            if self.state == State::Text {
                let (_, tail) = until_quote(&mut self.escape, rest);
                let Some(tail) = tail else { return &[] };
                self.state = State::Value;
                rest = tail;
            }
            rest = if self.depth == 0 { skip_scalar(rest) } else { skip_plain(rest) };
            let Some((byte, tail)) = rest.split_first() else { return rest };
            match byte {
                b'"' => self.state = State::Text,
                b'{' | b'[' => self.depth = self.depth.saturating_add(1),
                b'}' | b']' | b',' if self.depth == 0 => {
                    // Belongs to the object.
                    self.state = State::Between;
                    return rest;
                }
                b'}' | b']' => self.depth = self.depth.saturating_sub(1),
                _ => {}
            }
            rest = tail;
        }
    }
}

/// Skips what stands directly in the document: white space and scalars other than strings.
fn skip_scalar(rest: &[u8]) -> &[u8] {
    let ends = |byte: &u8| matches!(byte, b'"' | b'{' | b'[' | b'}' | b']' | b',');
    rest.iter().position(ends).and_then(|at| rest.get(at..)).unwrap_or_default()
}

#[cfg(test)]
mod tests {
    use super::*;
    #[cfg(target_family = "wasm")]
    use wasm_bindgen_test::wasm_bindgen_test as test;

    fn pick(keys: &[&str], pieces: &[&[u8]]) -> String {
        let wanted = Wanted::Members(keys.iter().map(|key| Box::from(*key)).collect());
        let mut picker = Picker::new(wanted);
        let mut out = Vec::new();
        for piece in pieces {
            picker.feed(piece, &mut |bytes| out.extend_from_slice(bytes));
        }
        String::from_utf8_lossy(&out).into_owned()
    }

    /// What is picked, which is the same however the document is cut.
    fn picked(keys: &[&str], document: &str) -> String {
        let document = document.as_bytes();
        let whole = pick(keys, &[document]);
        assert_eq!(pick(keys, &document.chunks(1).collect::<Vec<_>>()), whole, "byte by byte");
        for cut in 0..=document.len() {
            let (head, tail) = document.split_at(cut);
            assert_eq!(pick(keys, &[head, tail]), whole, "cut at {cut}");
        }
        whole
    }

    #[test]
    fn members_that_are_wanted_stay_as_they_are() {
        let document = r#" { "a" : 1 , "b":"x,\"}\\","c":[{"a":[]},"]"] , "d":null,"\u0065":{"f":true} }"#;
        for (keys, expected) in [
            (&[][..], "{}"),
            (&["a"], r#"{"a": 1 }"#),
            (&["b", "d"], r#"{"b":"x,\"}\\","d":null}"#),
            (&["c"], r#"{"c":[{"a":[]},"]"] }"#),
            (&["e"], r#"{"\u0065":{"f":true} }"#),
            (&["f", "x"], "{}"),
        ] {
            assert_eq!(picked(keys, document), expected, "{keys:?}");
        }
        assert_eq!(picked(&["a"], r#"{"a":1,"b":2,"a":3}"#), r#"{"a":1,"a":3}"#, "a reader decides which counts");
    }

    #[test]
    fn what_is_no_object_is_copied_whole() {
        for document in ["[1,{\"a\":2}] ", "\"a\"", "12", "<html>", "data: {}\n\n"] {
            assert_eq!(picked(&["a"], document), document);
        }
        assert_eq!(picked(&["a"], "  "), "");
    }

    #[test]
    fn nonsense_ends_the_copy() {
        for (document, expected) in [
            ("{\"a\":1 x, 5 \"a\":2}", "{\"a\":1 x"),
            ("{\"a\" 1}", "{\"a\":"),
            ("{\"a\":1}{\"a\":2}", "{\"a\":1}"),
            ("{a:1}", "{"),
        ] {
            assert_eq!(picked(&["a"], document), expected, "{document}");
        }
    }

    #[test]
    fn a_key_that_is_too_long_is_not_wanted_and_not_kept() {
        let key = "k".repeat(100_000);
        let document = format!("{{\"{key}\":1,\"a\":2}}");
        let wanted = Wanted::Members([Box::from("a"), key.into()].into());
        let (mut picker, mut out) = (Picker::new(wanted), Vec::new());
        for piece in document.as_bytes().chunks(100) {
            picker.feed(piece, &mut |bytes| out.extend_from_slice(bytes));
            assert!(picker.key.capacity() <= 4 * MAX_KEY);
        }
        assert_eq!(out, b"{\"a\":2}");
    }
}
