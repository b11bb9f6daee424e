//! Values at known places of a JSON document that streams past.
//!
//! [`Paths`] says which places, [`Walker`] finds them: chunk by chunk in constant memory, and the same for every split.
//! It is for observation only, so it does not validate. On nonsense it goes silent or carries on; it never reports a
//! value from a place where it does not stand in a well-formed document.
//!
//! Where nothing is asked for, nothing is compared: brackets are counted and strings are skipped, as fast as memory is
//! searched.

mod paths;
#[cfg(test)]
mod tests;

use std::borrow::Cow;
use std::rc::Rc;

pub use paths::Paths;
use paths::{NONE, Node};

use super::block::{BLOCK, Brackets, is_bracket_or_quote};

/// How many bytes of a string that is asked for are shown, escaped as it came. A longer key matches nothing.
pub const MAX_TEXT: usize = 256;

/// How many bytes a number may have to be reported.
pub const MAX_NUMBER: usize = 32;

/// How many open objects and arrays on the way to asked-for places are tracked. Deeper ones are only counted.
pub const MAX_TRACKED: usize = 16;

/// How many bytes the key of a member that is asked for with `?` may have.
pub const MAX_NAME: usize = 64;

/// Something that stands at a place that was asked for.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Found<'a> {
    /// The id of the place.
    pub id: u16,
    /// The unescaped key, where the place is, or is within, `?`: that of the last such member. Otherwise of no meaning.
    pub name: &'a [u8],
    /// What stands there.
    pub value: Value<'a>,
}

/// A value, or one end of it.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Value<'a> {
    /// A number as it came: at most [`MAX_NUMBER`] bytes, of which only the first is known to fit a number.
    Number(&'a [u8]),
    /// A string that has ended.
    String {
        /// What is between the quotes, escaped as it came; the first [`MAX_TEXT`] bytes.
        raw: &'a [u8],
        /// Whether that is all of it.
        complete: bool,
    },
    /// `true`.
    True,
    /// `false`.
    False,
    /// `null`.
    Null,
    /// An object or an array starts.
    Open,
    /// The object or array ends; whatever was asked for within it has been reported.
    Close,
}

impl<'a> Value<'a> {
    /// The text of a string without its escapes. `None` for any other value and for a string that is not complete, not
    /// well-formed or not UTF-8.
    #[must_use]
    pub fn text(self) -> Option<Cow<'a, str>> {
        let Self::String { raw, complete: true } = self else { return None };
        let text = core::str::from_utf8(raw).ok()?;
        if raw.contains(&b'\\') { super::string::unescape(text).map(Cow::Owned) } else { Some(Cow::Borrowed(text)) }
    }
}

/// What receives the findings.
pub type Visit<'v> = &'v mut dyn FnMut(Found<'_>);

/// Finds the places of [`Paths`] in one document at a time. See the [module](self).
#[derive(Clone, Debug)]
pub struct Walker {
    paths: Rc<Paths>,
    state: State,
    /// The node of the value that is expected or being read; [`NONE`] where nothing is asked for.
    at: u16,
    /// The objects and arrays that are open on the way, the innermost last.
    open: Vec<Level>,
    /// How many brackets are open in a value that is skipped.
    below: u32,
    /// Whether the last byte of a string was a backslash that escapes the next one.
    escape: bool,
    /// The start of a key, string or scalar that was cut by the end of a chunk: one byte more than its bound, at most.
    kept: Vec<u8>,
    /// See [`Found::name`].
    name: Vec<u8>,
}

/// An open object or array.
#[derive(Clone, Copy, Debug)]
struct Level {
    node: u16,
    array: bool,
}

#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum State {
    /// A value is expected; in an array also its end.
    Value,
    /// A key or the end of the object is expected.
    Key,
    /// The colon after a key is expected.
    Colon,
    /// After a value, or within a scalar that nobody asked for.
    After,
    /// Within a value that is skipped.
    Skip,
    /// Within a string of it.
    SkipText,
    /// Within a key.
    KeyText,
    /// Within a string that is asked for.
    ValueText,
    /// Within a string that is not.
    OtherText,
    /// Within a number or literal that is asked for.
    Scalar,
    /// The document has ended.
    Over,
    /// It is not JSON.
    Broken,
}

impl Walker {
    /// Starts at the beginning of a document.
    #[must_use]
    pub fn new(paths: Rc<Paths>) -> Self {
        Self {
            paths,
            state: State::Value,
            at: paths::ROOT,
            open: Vec::new(),
            below: 0,
            escape: false,
            kept: Vec::new(),
            name: Vec::new(),
        }
    }

    /// Starts over at the beginning of another document.
    pub fn reset(&mut self) {
        self.state = State::Value;
        self.at = paths::ROOT;
        self.open.clear();
        self.below = 0;
        self.escape = false;
        self.kept.clear();
        self.name.clear();
    }

    /// Whether nothing more can come of this document: it has ended, or is not JSON.
    #[must_use]
    pub fn is_over(&self) -> bool {
        matches!(self.state, State::Over | State::Broken)
    }

    /// Whether this is not JSON.
    #[must_use]
    pub fn is_broken(&self) -> bool {
        self.state == State::Broken
    }

    /// Whether a document has begun and has not ended yet.
    #[must_use]
    pub fn is_within(&self) -> bool {
        !self.is_over() && (self.state != State::Value || !self.open.is_empty())
    }

    /// Takes the next bytes of the document. Gives what stands behind its end, or behind what is not JSON; nothing where
    /// the document may go on.
    pub fn feed<'a>(&mut self, chunk: &'a [u8], visit: Visit<'_>) -> &'a [u8] {
        let mut rest = chunk;
        while !rest.is_empty() {
            rest = match self.state {
                State::Over | State::Broken => return rest,
                State::Skip => self.skip(rest, visit),
                State::SkipText | State::KeyText | State::ValueText | State::OtherText => self.text(rest, visit),
                State::Scalar => self.scalar(rest, visit),
                State::Value | State::Key | State::Colon | State::After => self.structure(rest, visit),
            };
        }
        rest
    }

    /// Ends the document. A scalar that is the whole document is reported now; one that is cut off within an object or
    /// array is not, because digits may be missing.
    pub fn finish(&mut self, visit: Visit<'_>) {
        if self.state == State::Scalar && self.open.is_empty() {
            let kept = core::mem::take(&mut self.kept);
            self.report_scalar(&kept, visit);
        }
        self.state = State::Over;
    }

    /// What is between values, and the first byte of a value.
    fn structure<'a>(&mut self, mut rest: &'a [u8], visit: Visit<'_>) -> &'a [u8] {
        while let Some((&byte, tail)) = rest.split_first() {
            match (self.state, byte) {
                (_, b' ' | b'\t' | b'\n' | b'\r') => {}
                (State::Key, b'"') => {
                    self.state = State::KeyText;
                    return self.text(tail, visit);
                }
                (State::Colon, b':') => self.state = State::Value,
                (State::Value, b'"') => {
                    self.state = if self.leaf().is_some() { State::ValueText } else { State::OtherText };
                    return self.text(tail, visit);
                }
                (State::Value, b'{' | b'[') => self.enter(byte == b'[', visit),
                (State::Key | State::After, b'}') => self.leave(false, visit),
                (State::Value | State::After, b']') => self.leave(true, visit),
                (State::After, b',') => self.next(),
                (State::Value, b',' | b':' | b'}') | (State::Key | State::Colon, _) => self.state = State::Broken,
                (State::After, b'"' | b'{' | b'[' | b':') => self.state = State::Broken,
                (State::Value, _) if self.leaf().is_some() => {
                    self.state = State::Scalar;
                    return rest;
                }
                (State::Value, _) => self.ended(),
                (State::After, _) => {
                    // The rest of a scalar.
                    let end = tail.iter().position(|byte| !matches!(byte, b'0'..=b'9' | b'a'..=b'z' | b'.'));
                    rest = end.and_then(|end| tail.get(end..)).unwrap_or_default();
                    continue;
                }
                _ => return rest,
            }
            rest = tail;
        }
        rest
    }

    /// The id of the place of the current value, if it is asked for.
    fn leaf(&self) -> Option<u16> {
        self.paths.get(self.at).and_then(Node::leaf)
    }

    fn report(&self, value: Value<'_>, visit: Visit<'_>) {
        if let Some(id) = self.leaf() {
            visit(Found { id, name: &self.name, value });
        }
    }

    /// An object or array starts.
    fn enter(&mut self, array: bool, visit: Visit<'_>) {
        self.report(Value::Open, visit);
        let node = self.paths.get(self.at).filter(|node| node.leads_on(array));
        match node {
            Some(node) if self.open.len() < MAX_TRACKED => {
                self.open.push(Level { node: self.at, array });
                (self.state, self.at) = if array { (State::Value, node.element) } else { (State::Key, NONE) };
            }
            _ => {
                self.below = 1;
                self.state = State::Skip;
            }
        }
    }

    /// The innermost object or array ends.
    fn leave(&mut self, array: bool, visit: Visit<'_>) {
        match self.open.pop() {
            Some(level) if level.array == array => {
                self.at = level.node;
                self.report(Value::Close, visit);
                self.ended();
            }
            _ => self.state = State::Broken,
        }
    }

    /// A value has ended.
    fn ended(&mut self) {
        self.state = if self.open.is_empty() { State::Over } else { State::After };
    }

    /// After a comma.
    fn next(&mut self) {
        (self.state, self.at) = match self.open.last() {
            Some(level) if level.array => (State::Value, self.paths.get(level.node).map_or(NONE, |node| node.element)),
            Some(_) => (State::Key, NONE),
            None => (State::Broken, NONE),
        };
    }

    /// Skips within a value that nobody looks into.
    fn skip<'a>(&mut self, mut rest: &'a [u8], visit: Visit<'_>) -> &'a [u8] {
        loop {
            rest = skip_plain(rest);
            let Some((&byte, tail)) = rest.split_first() else { return rest };
            rest = tail;
            match byte {
                b'"' => match until_quote(&mut self.escape, rest) {
                    (_, Some(tail)) => rest = tail,
                    (_, None) => {
                        self.state = State::SkipText;
                        return &[];
                    }
                },
                b'{' | b'[' => match self.below.checked_add(1) {
                    Some(below) => self.below = below,
                    None => {
                        self.state = State::Broken;
                        return rest;
                    }
                },
                b'}' | b']' => {
                    self.below = self.below.saturating_sub(1);
                    if self.below == 0 {
                        self.report(Value::Close, visit);
                        self.ended();
                        return rest;
                    }
                }
                _ => {}
            }
        }
    }

    /// Within a string or key.
    fn text<'a>(&mut self, rest: &'a [u8], visit: Visit<'_>) -> &'a [u8] {
        let (inside, tail) = until_quote(&mut self.escape, rest);
        let wanted = matches!(self.state, State::KeyText | State::ValueText);
        let Some(tail) = tail else {
            if wanted {
                keep(&mut self.kept, inside, MAX_TEXT);
            }
            return &[];
        };
        if !wanted {
            if self.state == State::SkipText {
                self.state = State::Skip;
            } else {
                self.ended();
            }
            return tail;
        }
        let mut kept = core::mem::take(&mut self.kept);
        let whole = if kept.is_empty() {
            inside
        } else {
            keep(&mut kept, inside, MAX_TEXT);
            &kept
        };
        if self.state == State::KeyText {
            self.key(whole);
            self.state = State::Colon;
        } else {
            let raw = whole.get(..MAX_TEXT).unwrap_or(whole);
            self.report(Value::String { raw, complete: raw.len() == whole.len() }, visit);
            self.ended();
        }
        kept.clear();
        self.kept = kept;
        tail
    }

    /// A key has ended: where its value stands.
    fn key(&mut self, raw: &[u8]) {
        self.at = NONE;
        let Some(node) = self.open.last().and_then(|level| self.paths.get(level.node)) else { return };
        if raw.len() > MAX_TEXT {
            return;
        }
        let unescaped;
        let key = if raw.contains(&b'\\') {
            let Some(text) = core::str::from_utf8(raw).ok().and_then(super::string::unescape) else { return };
            unescaped = text;
            unescaped.as_bytes()
        } else {
            raw
        };
        if let Some(child) = node.child(key) {
            self.at = child;
        } else if node.member != NONE && key.len() <= MAX_NAME {
            self.at = node.member;
            self.name.clear();
            self.name.extend_from_slice(key);
        }
    }

    /// Within a number or literal.
    fn scalar<'a>(&mut self, rest: &'a [u8], visit: Visit<'_>) -> &'a [u8] {
        let end = rest.iter().position(|byte| matches!(byte, b',' | b'}' | b']' | 0..=b' '));
        let Some((inside, tail)) = end.and_then(|end| rest.split_at_checked(end)) else {
            keep(&mut self.kept, rest, MAX_NUMBER);
            return &[];
        };
        let mut kept = core::mem::take(&mut self.kept);
        if kept.is_empty() {
            self.report_scalar(inside, visit);
        } else {
            keep(&mut kept, inside, MAX_NUMBER);
            self.report_scalar(&kept, visit);
        }
        kept.clear();
        self.kept = kept;
        self.ended();
        tail
    }

    fn report_scalar(&self, raw: &[u8], visit: Visit<'_>) {
        let value = match raw {
            b"true" => Value::True,
            b"false" => Value::False,
            b"null" => Value::Null,
            [b'-' | b'0'..=b'9', ..] if raw.len() <= MAX_NUMBER => Value::Number(raw),
            _ => return,
        };
        self.report(value, visit);
    }
}

/// Appends what has room, and one byte more to show that there was no room for the rest.
fn keep(kept: &mut Vec<u8>, bytes: &[u8], bound: usize) {
    let room = bound.saturating_add(1).saturating_sub(kept.len());
    kept.extend_from_slice(bytes.get(..room).unwrap_or(bytes));
}

/// Up to the closing quote of a string: what is before it, and what is after it unless the input ends before.
pub(super) fn until_quote<'a>(escape: &mut bool, text: &'a [u8]) -> (&'a [u8], Option<&'a [u8]>) {
    let mut rest = text;
    loop {
        if *escape {
            let Some((_, tail)) = rest.split_first() else { return (text, None) };
            *escape = false;
            rest = tail;
        }
        let stop = memchr::memchr2(b'"', b'\\', rest).and_then(|at| rest.get(at..)).and_then(<[u8]>::split_first);
        let Some((byte, tail)) = stop else { return (text, None) };
        if *byte == b'"' {
            let inside = text.len().saturating_sub(tail.len()).saturating_sub(1);
            return (text.get(..inside).unwrap_or_default(), Some(tail));
        }
        *escape = true;
        rest = tail;
    }
}

/// Skips what is neither a bracket nor a quote.
#[inline]
pub(super) fn skip_plain(rest: &[u8]) -> &[u8] {
    /// Colons and commas stand alone between strings; only numbers in a row are worth a block.
    const SHORT_RUN: usize = 8;
    let near = rest.get(..SHORT_RUN).unwrap_or(rest);
    match near.iter().position(|byte| is_bracket_or_quote(*byte)) {
        Some(at) => rest.get(at..).unwrap_or_default(),
        None => skip_blocks(rest.get(near.len()..).unwrap_or_default()),
    }
}

/// The same for a long run.
fn skip_blocks(mut rest: &[u8]) -> &[u8] {
    let brackets = Brackets::new();
    while let Some((block, tail)) = rest.split_first_chunk::<BLOCK>() {
        if let Some(at) = brackets.first(block) {
            return rest.get(at as usize..).unwrap_or_default();
        }
        rest = tail;
    }
    let at = rest.iter().position(|byte| is_bracket_or_quote(*byte));
    at.and_then(|at| rest.get(at..)).unwrap_or_default()
}
