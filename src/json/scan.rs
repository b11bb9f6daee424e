//! The scanner: validates a document as it streams past and reports the top-level members it was asked for, and the
//! short strings in one place further in.

mod event;
mod number;
#[cfg(test)]
mod tests;
mod text;

use core::ops::Range;
use std::borrow::Cow;

use self::event::{ESCAPE, LIST_DEPTH};
pub use self::event::{Event, MAX_DEPTH, MAX_KEY, MAX_MEMBER, MAX_NESTED, Member};
use self::number::Number;
pub(crate) use self::number::is_number;
use self::text::Text;
use super::error::{Error, ErrorKind};
use super::keys::{Keys, Watch};
use super::string;

/// What the next byte belongs to, or must be.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum State {
    /// Before the opening brace.
    Start,
    /// After an opening brace: a key or the closing brace.
    FirstName,
    /// After the comma of an object.
    Name,
    NameText,
    Colon,
    /// After an opening bracket: a value or the closing bracket.
    FirstValue,
    Value,
    ValueText,
    Number,
    Literal,
    /// In a key that may be the watched one.
    NestedName,
    /// After the watched key.
    NestedColon,
    NestedValue,
    /// In a watched string.
    NestedText,
    /// After a value.
    Separator,
    /// After the closing brace.
    End,
    Failed(Error),
}

/// What is to become of the value of the current top-level member.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum Asked {
    /// It was not asked for.
    No,
    /// It was, by the key with this index.
    Yes(usize),
    /// It was, but its value is not needed.
    Skip,
}

/// An incremental scanner. Feed it the document in chunks of any size with [`scan`](Self::scan), then ask
/// [`finish`](Self::finish) whether the document is complete.
///
/// Values that were asked for are valid JSON when reported, but not known to be UTF-8: the scanner does not keep them.
/// [`decode`](super::decode) and [`Editor`](super::Editor) check that.
#[derive(Clone, Debug)]
pub struct Scanner {
    keys: Keys,
    state: State,
    text: Text,
    number: Number,
    /// What is missing of `true`, `false` or `null`.
    literal: &'static [u8],
    /// The kinds of the open levels, the innermost in the lowest bit; set for objects.
    levels: u128,
    depth: u32,
    /// Where the next chunk starts.
    offset: u64,
    /// The keys seen so far, one bit each.
    seen: u64,
    /// Whether the current top-level member was asked for, from the end of the key to the end of the value.
    asked: Asked,
    /// Whether its key is that of the watched list.
    listed: bool,
    /// How many levels are open where a key may be the watched one; zero when there is no such place in the member.
    watch_depth: u32,
    comma: Option<u64>,
    name: Range<u64>,
    value_start: u64,
    nested_start: u64,
    /// The part of a key at the top level, or where it may be the watched one, after its opening quote, that came in
    /// earlier chunks.
    carry: Vec<u8>,
}

impl Scanner {
    /// A scanner at the start of a document.
    #[must_use]
    pub fn new(keys: Keys) -> Self {
        Self {
            keys,
            state: State::Start,
            text: Text::Plain,
            number: Number::START,
            literal: &[],
            levels: 0,
            depth: 0,
            offset: 0,
            seen: 0,
            asked: Asked::No,
            listed: false,
            watch_depth: 0,
            comma: None,
            name: 0..0,
            value_start: 0,
            nested_start: 0,
            carry: Vec::new(),
        }
    }

    /// Consumes input from its front up to the next event; `None` when the input is used up.
    ///
    /// # Errors
    ///
    /// The document cannot be one that passes, whatever follows. Every later call returns the same error.
    pub fn scan(&mut self, input: &mut &[u8]) -> Result<Option<Event>, Error> {
        let end = self.offset.saturating_add(input.len() as u64);
        let outcome = self.run(input, end);
        self.offset = end.saturating_sub(input.len() as u64);
        outcome.inspect_err(|error| self.state = State::Failed(*error))
    }

    /// Ends the document.
    ///
    /// # Errors
    ///
    /// The document is not complete, or it has failed before.
    pub const fn finish(&self) -> Result<(), Error> {
        match self.state {
            State::End => Ok(()),
            State::Failed(error) => Err(error),
            _ => Err(Error::new(ErrorKind::Truncated, self.offset)),
        }
    }

    /// How many bytes have been consumed: the absolute offset of the next one.
    #[must_use]
    pub const fn offset(&self) -> u64 {
        self.offset
    }

    /// Says, directly after an [`Event::Key`], that the value of this member is not needed: it may have any size, and
    /// what comes after it is [`Event::Skipped`]. If it is the watched list, it is watched.
    pub const fn skip(&mut self) {
        if let Asked::Yes(_) = self.asked {
            self.asked = Asked::Skip;
        }
    }

    /// Where the bytes start that may belong to something that is reported when it is complete: a member that was asked
    /// for, from its comma or, if it is the first one, its key on, or a watched string that is not too long yet.
    /// Whoever wants to take such a thing out must not let go of them yet.
    #[must_use]
    pub fn pending(&self) -> Option<u64> {
        if self.state == State::NestedText {
            let bound = self.nested_start.saturating_add(MAX_NESTED as u64);
            return (self.offset < bound).then_some(self.nested_start);
        }
        self.pending_in(self.state)
    }

    /// Refuses whatever follows.
    pub(super) const fn fail(&mut self, error: Error) {
        self.state = State::Failed(error);
    }

    /// Where the member starts that may not be longer than [`MAX_MEMBER`].
    fn pending_in(&self, state: State) -> Option<u64> {
        let undecided = match state {
            State::Name | State::NameText if self.depth == 1 => true,
            State::Failed(_) => false,
            _ => matches!(self.asked, Asked::Yes(_)),
        };
        if !undecided {
            return None;
        }
        Some(self.comma.unwrap_or(self.name.start))
    }

    /// The bound, if any, that the current member exceeds when it reaches up to `position`: the one it met first.
    ///
    /// Asked at the end of a key, of a value and of the input, and before any other error is reported, so that the
    /// answer does not depend on where chunks end.
    #[cold]
    fn overrun(&self, state: State, position: u64) -> Option<Error> {
        let start = self.pending_in(state)?;
        let bound = start.saturating_add(MAX_MEMBER as u64);
        if state == State::NameText && self.depth == 1 {
            let key_bound = self.name.start.saturating_add(MAX_KEY as u64);
            if position > key_bound && key_bound < bound {
                return Some(Error::new(ErrorKind::KeyTooLong, self.name.start));
            }
        }
        (position > bound).then(|| Error::new(ErrorKind::MemberTooLong, start))
    }

    /// An error found at the byte `at`.
    #[cold]
    fn fault(&self, state: State, kind: ErrorKind, at: u64) -> Error {
        self.overrun(state, at).unwrap_or_else(|| Error::new(kind, at))
    }

    fn run(&mut self, input: &mut &[u8], end: u64) -> Result<Option<Event>, Error> {
        // The hot state lives in locals.
        let mut state = self.state;
        let mut rest = *input;
        // What of a key is in this input starts here.
        let mut name_input = rest;
        macro_rules! position {
            ($rest:expr) => {
                end.saturating_sub($rest.len() as u64)
            };
        }
        macro_rules! fail {
            ($kind:ident) => {
                return Err(self.fault(state, ErrorKind::$kind, position!(rest)))
            };
        }
        let event = loop {
            match state {
                State::FirstValue | State::Value => {
                    rest = skip_space(rest);
                    let Some((&byte, tail)) = rest.split_first() else { break None };
                    if self.depth == 1 {
                        self.value_start = position!(rest);
                        let watched = self.listed && byte == b'[' && !matches!(self.asked, Asked::Yes(_));
                        self.watch_depth = if watched { LIST_DEPTH } else { 0 };
                    }
                    match byte {
                        b'"' => {
                            state = State::ValueText;
                            rest = tail;
                        }
                        b'{' | b'[' => {
                            if self.depth == MAX_DEPTH {
                                fail!(TooDeep);
                            }
                            self.open(byte == b'{');
                            state = if byte == b'{' { State::FirstName } else { State::FirstValue };
                            rest = tail;
                        }
                        b']' if state == State::FirstValue => {
                            self.close();
                            state = State::Separator;
                            rest = tail;
                        }
                        b'-' | b'0'..=b'9' => {
                            if let Some(tail) = number::skip_plain(rest) {
                                rest = tail;
                                state = State::Separator;
                            } else {
                                self.number = Number::START;
                                state = State::Number;
                            }
                        }
                        b't' | b'f' | b'n' => {
                            self.literal = match byte {
                                b't' => b"true",
                                b'f' => b"false",
                                _ => b"null",
                            };
                            state = State::Literal;
                        }
                        _ => fail!(Syntax),
                    }
                }
                State::ValueText => {
                    let (stop, tail) = text::run(&mut self.text, rest);
                    rest = tail;
                    match stop {
                        text::Stop::Closed => state = State::Separator,
                        text::Stop::More => break None,
                        text::Stop::Bad => fail!(Syntax),
                    }
                }
                State::Separator => {
                    // Directly after a value: the end of the document and that of an asked value are found here.
                    if self.depth <= 1 {
                        let at = position!(rest);
                        if self.depth == 0 {
                            state = State::End;
                            break Some(Event::End { brace: at.saturating_sub(1) });
                        }
                        if let Some(error) = self.overrun(state, at) {
                            return Err(error);
                        }
                        match core::mem::replace(&mut self.asked, Asked::No) {
                            Asked::No => {}
                            Asked::Yes(key) => {
                                let (comma, name) = (self.comma, self.name.clone());
                                break Some(Event::Member(Member { key, comma, name, value: self.value_start..at }));
                            }
                            Asked::Skip => break Some(Event::Skipped { end: at }),
                        }
                    }
                    rest = skip_space(rest);
                    let Some((&byte, tail)) = rest.split_first() else { break None };
                    let object = self.in_object();
                    match byte {
                        b',' if object => {
                            if self.depth == 1 {
                                self.comma = Some(position!(rest));
                            }
                            state = State::Name;
                        }
                        b',' => state = State::Value,
                        b'}' if object => self.close(),
                        b']' if !object => self.close(),
                        _ => fail!(Syntax),
                    }
                    rest = tail;
                }
                State::FirstName | State::Name => {
                    rest = skip_space(rest);
                    let Some((&byte, tail)) = rest.split_first() else { break None };
                    match byte {
                        b'"' => {
                            state = State::NameText;
                            if self.depth == 1 {
                                self.name.start = position!(rest);
                                self.carry.clear();
                                name_input = tail;
                            } else if self.depth == self.watch_depth {
                                self.carry.clear();
                                name_input = tail;
                                state = State::NestedName;
                            }
                        }
                        b'}' if state == State::FirstName => {
                            self.close();
                            state = State::Separator;
                        }
                        _ => fail!(Syntax),
                    }
                    rest = tail;
                }
                State::NameText => {
                    let (stop, tail) = text::run(&mut self.text, rest);
                    rest = tail;
                    match stop {
                        text::Stop::Closed => {
                            if self.depth == 1 {
                                let at = position!(rest);
                                if let Some(error) = self.overrun(state, at) {
                                    return Err(error);
                                }
                                self.name.end = at;
                                let index = self.resolve(before_quote(name_input, rest))?;
                                self.asked = index.map_or(Asked::No, Asked::Yes);
                                state = State::Colon;
                                let (comma, name) = (self.comma, self.name.clone());
                                break Some(match index {
                                    Some(key) => Event::Key { key, comma, name },
                                    None => Event::Other { comma, name },
                                });
                            }
                            state = State::Colon;
                        }
                        text::Stop::More => {
                            if self.depth == 1 {
                                self.carry.extend_from_slice(name_input);
                            }
                            break None;
                        }
                        text::Stop::Bad => fail!(Syntax),
                    }
                }
                State::Colon => {
                    rest = skip_space(rest);
                    let Some((&byte, tail)) = rest.split_first() else { break None };
                    if byte != b':' {
                        fail!(Syntax);
                    }
                    state = State::Value;
                    rest = tail;
                }
                State::NestedName => {
                    let (stop, tail) = text::run(&mut self.text, rest);
                    rest = tail;
                    match stop {
                        text::Stop::Closed => {
                            let watched = self.is_watched(before_quote(name_input, rest));
                            state = if watched { State::NestedColon } else { State::Colon };
                        }
                        text::Stop::More => {
                            self.carry_nested(name_input);
                            break None;
                        }
                        text::Stop::Bad => fail!(Syntax),
                    }
                }
                State::NestedColon => {
                    rest = skip_space(rest);
                    let Some((&byte, tail)) = rest.split_first() else { break None };
                    if byte != b':' {
                        fail!(Syntax);
                    }
                    state = State::NestedValue;
                    rest = tail;
                }
                State::NestedValue => {
                    rest = skip_space(rest);
                    let Some((&byte, tail)) = rest.split_first() else { break None };
                    if byte == b'"' {
                        self.nested_start = position!(rest);
                        state = State::NestedText;
                        rest = tail;
                    } else {
                        state = State::Value;
                    }
                }
                State::NestedText => {
                    let (stop, tail) = text::run(&mut self.text, rest);
                    rest = tail;
                    match stop {
                        text::Stop::Closed => {
                            state = State::Separator;
                            let value = self.nested_start..position!(rest);
                            if value.end <= value.start.saturating_add(MAX_NESTED as u64) {
                                break Some(Event::Nested { value });
                            }
                        }
                        text::Stop::More => break None,
                        text::Stop::Bad => fail!(Syntax),
                    }
                }
                State::Number => {
                    let (stop, tail) = self.number.run(rest);
                    rest = tail;
                    match stop {
                        number::Stop::Done => state = State::Separator,
                        number::Stop::More => break None,
                        number::Stop::Bad => fail!(Syntax),
                        number::Stop::OutOfRange => fail!(NumberOutOfRange),
                    }
                }
                State::Literal => {
                    let Some((expected, missing)) = self.literal.split_first() else {
                        state = State::Separator;
                        continue;
                    };
                    let Some((byte, tail)) = rest.split_first() else { break None };
                    if byte != expected {
                        fail!(Syntax);
                    }
                    self.literal = missing;
                    rest = tail;
                }
                State::End => {
                    rest = skip_space(rest);
                    if rest.is_empty() {
                        break None;
                    }
                    fail!(TrailingGarbage);
                }
                State::Start => {
                    rest = skip_space(rest);
                    let Some((&byte, tail)) = rest.split_first() else { break None };
                    match byte {
                        b'{' => self.open(true),
                        b'[' | b'"' | b'-' | b'0'..=b'9' | b't' | b'f' | b'n' => fail!(NotAnObject),
                        // UTF-8, UTF-16 of either order.
                        0xef | 0xfe | 0xff if position!(rest) == 0 => fail!(ByteOrderMark),
                        _ => fail!(Syntax),
                    }
                    state = State::FirstName;
                    rest = tail;
                }
                State::Failed(error) => return Err(error),
            }
        };
        if event.is_none()
            && let Some(error) = self.overrun(state, end)
        {
            return Err(error);
        }
        self.state = state;
        *input = rest;
        Ok(event)
    }

    /// Looks up the top-level key that has just ended, given the part of it that is in this input.
    fn resolve(&mut self, input: &[u8]) -> Result<Option<usize>, Error> {
        let raw = if self.carry.is_empty() {
            input
        } else {
            self.carry.extend_from_slice(input);
            &self.carry
        };
        // One byte more: the opening quote.
        let inner = self.name.start.saturating_add(1);
        let name = core::str::from_utf8(raw)
            .map_err(|error| Error::new(ErrorKind::InvalidUtf8, inner.saturating_add(error.valid_up_to() as u64)))?;
        let name = if memchr::memchr(b'\\', raw).is_some() {
            let name = string::unescape(name).ok_or_else(|| Error::new(ErrorKind::Syntax, self.name.start))?;
            Cow::Owned(name)
        } else {
            Cow::Borrowed(name)
        };
        self.listed = self.keys.watch().is_some_and(|watch| *name == *watch.list);
        let index = self.keys.find(&name);
        let Some(key) = index else {
            if self.keys.refuses(&name) {
                return Err(Error::new(ErrorKind::LookalikeKey, self.name.start));
            }
            return Ok(None);
        };
        let bit = 1u64.checked_shl(key as u32).unwrap_or_default();
        if self.seen & bit != 0 {
            return Err(Error::new(ErrorKind::DuplicateKey { key }, self.name.start));
        }
        self.seen |= bit;
        Ok(index)
    }

    /// Whether the key that has just ended is the watched one, given the part of it that is in this input.
    fn is_watched(&mut self, input: &[u8]) -> bool {
        let raw = if self.carry.is_empty() {
            input
        } else {
            self.carry_nested(input);
            &self.carry
        };
        let Some(Watch { key, .. }) = self.keys.watch() else { return false };
        if raw.len() <= key.len() {
            return raw == key.as_bytes();
        }
        // Only with an escape can it be longer.
        raw.len() <= key.len().saturating_mul(ESCAPE)
            && memchr::memchr(b'\\', raw).is_some()
            && core::str::from_utf8(raw).ok().and_then(string::unescape).is_some_and(|name| name == key)
    }

    /// Keeps what is in this input of a key that may be the watched one: enough of it to see when it is too long.
    fn carry_nested(&mut self, input: &[u8]) {
        let longest = self.keys.watch().map_or(0, |watch| watch.key.len().saturating_mul(ESCAPE));
        let room = longest.saturating_add(1).saturating_sub(self.carry.len());
        self.carry.extend_from_slice(input.get(..room).unwrap_or(input));
    }

    #[inline]
    const fn in_object(&self) -> bool {
        self.levels & 1 == 1
    }

    #[inline]
    const fn open(&mut self, object: bool) {
        self.levels = self.levels << 1 | object as u128;
        self.depth = self.depth.saturating_add(1);
    }

    #[inline]
    const fn close(&mut self) {
        self.levels >>= 1;
        self.depth = self.depth.saturating_sub(1);
    }
}

/// What stands before the closing quote directly before `rest`, both in one input.
fn before_quote<'a>(input: &'a [u8], rest: &[u8]) -> &'a [u8] {
    let length = input.len().saturating_sub(rest.len()).saturating_sub(1);
    input.get(..length).unwrap_or_default()
}

/// Skips whitespace: most of the time there is none, and long runs are indentation.
#[inline]
fn skip_space(mut rest: &[u8]) -> &[u8] {
    while let Some((b' ' | b'\n' | b'\r' | b'\t', tail)) = rest.split_first() {
        rest = tail;
        while let Some((b"        ", tail)) = rest.split_first_chunk() {
            rest = tail;
        }
    }
    rest
}
