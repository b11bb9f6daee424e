//! A copy of a body for the attributes that are taken from it when it is complete.

use crate::attributes::MAX_BODY;
use crate::json::{Picker, Wanted};
use crate::memory::{BodyCopy, Memory};
use std::borrow::Cow;

/// Up to this length a body is copied as it is, in bytes. Most bodies are shorter, and to look for members in them would
/// cost more than it saves.
const AS_IT_IS: usize = 64 << 10;

/// What attributes may want of one body, as it passes. The [budget](Memory) may take it away at any time.
pub(super) struct Kept {
    copy: BodyCopy,
    wanted: Wanted,
    /// Once the body is longer than [`AS_IT_IS`].
    picker: Option<Picker>,
    /// How many bytes were copied.
    length: usize,
    lost: bool,
}

impl Kept {
    pub(super) fn new(memory: &Memory, wanted: &Wanted) -> Self {
        Self { copy: BodyCopy::new(memory), wanted: wanted.clone(), picker: None, length: 0, lost: false }
    }

    /// Takes a part of the body.
    pub(super) fn add(&mut self, chunk: &[u8]) {
        if self.lost {
            return;
        }
        if self.picker.is_none() && self.length.saturating_add(chunk.len()) > AS_IT_IS {
            let Some(before) = self.copy.take() else {
                self.lost = true;
                return;
            };
            self.length = 0;
            self.picker = Some(Picker::new(self.wanted.clone()));
            self.keep(&before);
        }
        self.keep(chunk);
    }

    fn keep(&mut self, bytes: &[u8]) {
        let Self { copy, picker, length, lost, .. } = self;
        let mut keep = |bytes: &[u8]| {
            *length = length.saturating_add(bytes.len());
            *lost = *lost || *length > MAX_BODY || !copy.push(bytes);
        };
        match picker {
            Some(picker) => picker.feed(bytes, &mut keep),
            None => keep(bytes),
        }
        if self.lost {
            let _ = self.copy.take();
        }
    }

    /// Whether it will not be there in the end: it got too long, or there was no room for it.
    pub(super) fn is_lost(&self) -> bool {
        self.lost || self.copy.is_dropped()
    }

    /// Takes the last part. Gives what there is to look into; `None` if that is too long, or there was no room for it.
    /// A body that comes in one piece is never copied.
    pub(super) fn finish<'c>(&mut self, last: &'c [u8]) -> Option<Cow<'c, [u8]>> {
        if self.length == 0 && self.picker.is_none() && last.len() <= MAX_BODY {
            return (!self.lost).then_some(Cow::Borrowed(last));
        }
        self.add(last);
        if self.lost {
            return None;
        }
        self.copy.take().map(Cow::Owned)
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    #[cfg(target_family = "wasm")]
    use wasm_bindgen_test::wasm_bindgen_test as test;

    fn wanted() -> Wanted {
        Wanted::Members([Box::from("messages")].into())
    }

    /// What is kept of a body that comes in pieces of this size.
    fn kept(memory: &Memory, body: &[u8], size: usize) -> Option<Vec<u8>> {
        let mut kept = Kept::new(memory, &wanted());
        let pieces: Vec<&[u8]> = body.chunks(size).collect();
        let (last, pieces) = pieces.split_last().unwrap();
        for piece in pieces {
            kept.add(piece);
            assert!(memory.used() < 3 * MAX_BODY);
        }
        kept.finish(last).map(Cow::into_owned)
    }

    #[test]
    fn a_short_body_is_kept_as_it_is_and_of_a_long_one_what_is_wanted() {
        let memory = Memory::default();
        let short = format!(r#"{{"tools":"{}","messages":[1,2]}}"#, "x".repeat(1000));
        let long = format!(r#"{{"tools":"{}","messages":[1,2],"n":1}}"#, "x".repeat(3 * MAX_BODY));
        for size in [1000, 100_000, 5 * MAX_BODY] {
            assert_eq!(kept(&memory, short.as_bytes(), size).as_deref(), Some(short.as_bytes()));
            assert_eq!(kept(&memory, long.as_bytes(), size).as_deref(), Some(&br#"{"messages":[1,2]}"#[..]), "{size}");
        }
        assert_eq!(memory.used(), 0);
    }

    #[test]
    fn what_is_too_long_is_not_kept() {
        let memory = Memory::default();
        let body = format!(r#"{{"messages":["{}"]}}"#, "x".repeat(MAX_BODY));
        for size in [100_000, 2 * MAX_BODY] {
            assert_eq!(kept(&memory, body.as_bytes(), size), None, "{size}");
            assert_eq!(memory.used(), 0);
        }
    }

    #[test]
    fn a_body_in_one_piece_takes_no_memory() {
        let memory = Memory::default();
        let mut kept = Kept::new(&memory, &wanted());
        let body = b"{\"messages\":[]}";
        assert!(matches!(kept.finish(body), Some(Cow::Borrowed(b"{\"messages\":[]}"))));
        assert_eq!(memory.used(), 0);
    }
}
