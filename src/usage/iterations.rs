//! The attempts that one answer of Anthropic's was made of, `usage.iterations`.
//!
//! With compaction, `usage` leaves out what the compaction itself cost; the attempts have all of it. So the attempts of
//! the answering model, `message` and `compaction`, are summed and take the place of `usage`. What another model did
//! (`advisor_message`) is billed by that model's price: it is told apart, under the name of its type. With a
//! `fallback_message`, another model has answered after this one declined, `usage` is what that one cost, and nothing is
//! summed. <https://platform.claude.com/docs/en/build-with-claude/compaction> (2026-11)

use super::figures::{Detail, Figure, note, sum};

/// A figure of an attempt.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Part {
    Input,
    Output,
    CacheRead,
    CacheWrite,
}

/// Every figure of an attempt, with what it is in [`Usage`](super::Usage) and its key.
const PARTS: [(Part, Figure, &str); 4] = [
    (Part::Input, Figure::Input, "input_tokens"),
    (Part::Output, Figure::Output, "output_tokens"),
    (Part::CacheRead, Figure::CacheReadApart, "cache_read_input_tokens"),
    (Part::CacheWrite, Figure::CacheWriteApart, "cache_creation_input_tokens"),
];

/// One number for each of [`PARTS`], in their order.
type Counts = [Option<u64>; PARTS.len()];

/// How long the type of an attempt may be to be told apart, in bytes.
const MAX_TYPE: usize = 32;

/// The attempts of one message.
#[derive(Clone, Debug, Default)]
pub(super) struct Iterations {
    kind: String,
    current: Counts,
    summed: Counts,
    fallback: bool,
    /// What other models did: the type of the attempt with the key of the figure.
    others: Vec<Detail>,
}

impl Iterations {
    /// An attempt begins.
    pub(super) fn open(&mut self) {
        self.kind.clear();
        self.current = Counts::default();
    }

    /// The type of the attempt.
    pub(super) fn name(&mut self, raw: &[u8]) {
        self.kind.clear();
        if let Ok(kind) = core::str::from_utf8(raw)
            && kind.len() <= MAX_TYPE
        {
            self.kind.push_str(kind);
        }
    }

    /// A figure of the attempt.
    pub(super) fn count(&mut self, part: Part, number: u64) {
        for ((known, ..), slot) in PARTS.iter().zip(&mut self.current) {
            if *known == part {
                *slot = Some(number);
            }
        }
    }

    /// The attempt ends.
    pub(super) fn close(&mut self) {
        self.fallback |= self.kind == "fallback_message";
        if matches!(self.kind.as_str(), "message" | "compaction") {
            for (slot, number) in self.summed.iter_mut().zip(self.current) {
                if number.is_some() {
                    *slot = Some(sum(&[*slot, number]));
                }
            }
        } else if !self.kind.is_empty() {
            for ((.., key), number) in PARTS.iter().zip(self.current) {
                let Some(number) = number.filter(|number| *number > 0) else { continue };
                let name = format!("{}_{key}", self.kind);
                let before = self.others.iter().find(|(known, _)| **known == *name).map(|(_, before)| *before);
                note(&mut self.others, &name, sum(&[before, Some(number)]));
            }
        }
    }

    /// The figures that take the place of those of the message.
    pub(super) fn figures(&self) -> impl Iterator<Item = (Figure, u64)> {
        let summed = if self.fallback { Counts::default() } else { self.summed };
        PARTS.iter().zip(summed).filter_map(|((_, figure, _), number)| Some((*figure, number?)))
    }

    /// What is told apart.
    pub(super) fn others(&self) -> &[Detail] {
        &self.others
    }
}
