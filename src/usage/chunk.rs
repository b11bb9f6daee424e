//! Whether a chunk of OpenAI's chat or completions tells usage and nothing else: then a client that did not ask for the
//! usage does not get it.

use core::ops::Range;

use crate::json::{Event, Keys, Scanner};

/// The member that is looked for.
pub(crate) const USAGE: &str = "usage";

/// The members that are looked at, [`USAGE`] among them; see [`Look`].
const LOOKED_AT: [&str; 3] = [USAGE, "choices", "object"];

/// The members that say nothing new in a chunk that tells usage.
const REPEATED: [&str; 8] =
    ["id", "created", "model", "provider", "system_fingerprint", "service_tier", "obfuscation", "x_groq"];

/// What a chunk calls itself.
const OBJECTS: [&[u8]; 3] = [b"\"chat.completion.chunk\"", b"\"chat.completion\"", b"\"text_completion\""];

/// The members of a chunk that mean something here. Made once; a clone is a reference count.
pub(super) fn keys() -> Option<Keys> {
    // A few short names are within the bounds.
    Keys::new(LOOKED_AT.into_iter().chain(REPEATED)).ok()
}

/// What becomes of the chunk.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Verdict {
    /// It stays.
    Keep,
    /// It goes.
    Remove,
    /// Its usage goes.
    RemoveUsage,
}

/// A look at one JSON text, which may come in pieces.
#[derive(Clone, Debug)]
pub(crate) struct Look {
    scanner: Scanner,
    /// Where the values of [`LOOKED_AT`] are.
    values: [Option<Range<u64>>; LOOKED_AT.len()],
    /// Whether there is a member that is neither of those nor [`REPEATED`].
    other: bool,
    ended: bool,
}

impl Look {
    /// At the start of a text.
    pub(crate) fn new(keys: &Keys) -> Self {
        Self { scanner: Scanner::new(keys.clone()), values: [None, None, None], other: false, ended: false }
    }

    /// Takes the next piece. Tells whether the text is complete; `None` if it is no JSON object.
    pub(crate) fn feed(&mut self, piece: &[u8]) -> Option<bool> {
        let mut input = piece;
        while let Some(event) = self.scanner.scan(&mut input).ok()? {
            match event {
                Event::Other { .. } => self.other = true,
                Event::Member(member) => {
                    if let Some(place) = self.values.get_mut(member.key) {
                        *place = Some(member.value);
                    }
                }
                Event::End { .. } => self.ended = true,
                Event::Key { .. } | Event::Skipped { .. } | Event::Nested { .. } => {}
            }
        }
        Some(self.ended)
    }

    /// What becomes of the chunk, whose text this is.
    pub(crate) fn verdict(&self, text: &[u8]) -> Verdict {
        let value = |place: &Option<Range<u64>>| {
            let place = place.as_ref()?;
            text.get(usize::try_from(place.start).ok()?..usize::try_from(place.end).ok()?)
        };
        let [usage, choices, object] = &self.values;
        let choices = value(choices);
        let empty = |list: &[u8]| {
            list == b"null" || list.iter().all(|byte| matches!(byte, b'[' | b']') || byte.is_ascii_whitespace())
        };
        if !value(usage).is_some_and(|usage| usage.starts_with(b"{")) || !choices.is_none_or(empty) {
            return Verdict::Keep;
        }
        if !self.other {
            return Verdict::Remove;
        }
        // What is no chunk of this kind has usage that nobody asked for on the client's account.
        let is_chunk = choices.is_some() || value(object).is_some_and(|object| OBJECTS.contains(&object));
        if is_chunk { Verdict::RemoveUsage } else { Verdict::Keep }
    }
}
