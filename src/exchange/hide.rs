//! What a client of a stream does not get: the usage that it did not ask for, and that only comes because Waypost asked.
//!
//! A stream is looked at line by line, so that it does not matter whether a server puts a blank line between events. A
//! line of data is taken out if it holds a chunk of OpenAI's with no choice, a `usage` object, and nothing else but what
//! every chunk repeats. If there is more in it, only `usage` is taken out of it. Lines around it that tell
//! nothing without it (`event`, `id`, the blank line) go with it. All other bytes leave as they came.
//!
//! What has to wait is bounded by [`MAX_HIDDEN`], and waits only for as long as it may be such a line: a client can do
//! nothing with half a line.

use crate::json::{self, Edit, Keys, Members, Wants};
use crate::usage::Table;
use crate::usage::chunk::{Look, USAGE, Verdict};
use memchr::memchr2;

/// How many bytes may wait. What is longer stays, and is never waited for.
const MAX_HIDDEN: usize = 16 * 1024;

/// What stands in no chunk that only tells usage. Such a line is let go at once.
const CHOICE: &[u8] = b"\"choices\":[{";

const LF: u8 = b'\n';
const CR: u8 = b'\r';

/// Where the CR went that may have a LF behind it.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
enum LastCr {
    /// There is none.
    #[default]
    None,
    Left,
    Held,
    Removed,
}

/// Takes what is to be hidden out of a stream. Give it every chunk by [`feed`](Self::feed), then call
/// [`finish`](Self::finish).
pub(super) struct Hide {
    keys: Keys,
    /// A look at a JSON text that goes on in the next line of data.
    look: Option<Box<Look>>,
    /// What may still be taken out, from the start of an event or behind the last line that left.
    held: Vec<u8>,
    /// Where the current line starts in there, and the first line of a JSON text that is not complete.
    line: usize,
    json: Option<usize>,
    /// Whether the rest of the current line leaves as it comes.
    passing: bool,
    last_cr: LastCr,
    /// Whether a line of this event has left, and whether one was taken out.
    left: bool,
    removed: bool,
    /// Whether what leaves now differs from what came.
    differs: bool,
}

impl Hide {
    /// At the start of a stream.
    pub(super) fn new(keys: &Keys) -> Self {
        Self {
            keys: keys.clone(),
            look: None,
            held: Vec::new(),
            line: 0,
            json: None,
            passing: false,
            last_cr: LastCr::None,
            left: false,
            removed: false,
            differs: false,
        }
    }

    /// How many bytes wait.
    #[cfg(test)]
    pub(super) const fn waiting(&self) -> usize {
        self.held.len()
    }

    /// Whether nothing waits and an event has just ended, so that whole events which tell no usage need not be given.
    pub(super) fn is_idle(&self) -> bool {
        self.held.is_empty() && !self.passing && !self.left && self.last_cr == LastCr::None
    }

    /// Whether what left since the last [`start`](Self::start) is not what came.
    pub(super) const fn differs(&self) -> bool {
        self.differs
    }

    /// A chunk comes: from here on [`differs`](Self::differs) is about what leaves in its place.
    pub(super) const fn start(&mut self) {
        self.differs = !self.held.is_empty();
    }

    /// Takes the next bytes and writes what leaves of them, and of what waited.
    pub(super) fn feed(&mut self, bytes: &[u8], out: &mut Vec<u8>) {
        if out.capacity() == 0 {
            // Room for a usual event at once; it is kept.
            out.reserve(self.held.len().saturating_add(bytes.len()));
        }
        let mut rest = bytes;
        while let Some((&first, behind)) = rest.split_first() {
            if first == LF && self.last_cr != LastCr::None {
                match self.last_cr {
                    LastCr::Left => out.push(LF),
                    LastCr::Held => self.held.push(LF),
                    LastCr::None | LastCr::Removed => self.differs = true,
                }
                self.line = self.held.len();
                self.last_cr = LastCr::None;
                rest = behind;
                continue;
            }
            self.last_cr = LastCr::None;
            let end = memchr2(LF, CR, rest);
            let (piece, behind) =
                rest.split_at_checked(end.map_or(rest.len(), |end| end.saturating_add(1))).unwrap_or((rest, &[]));
            rest = behind;
            let fate = if self.passing {
                out.extend_from_slice(piece);
                self.passing = end.is_none();
                LastCr::Left
            } else if let Some(fate) = self.whole_line(piece, end.is_some(), out) {
                fate
            } else {
                let searched = self.held.len();
                self.held.extend_from_slice(piece);
                if end.is_some() {
                    self.end_line(out)
                } else {
                    if !self.may_be_hidden(searched) {
                        self.release(out);
                        self.passing = true;
                    }
                    LastCr::None
                }
            };
            if end.is_some() && piece.last() == Some(&CR) {
                self.last_cr = fate;
            }
        }
        self.differs |= !self.held.is_empty();
    }

    /// The end of the stream: what stands behind the last line end is a line, and the event is over.
    pub(super) fn finish(&mut self, out: &mut Vec<u8>) {
        if self.held.len() > self.line {
            self.end_line(out);
        }
        self.end_event(out);
        self.last_cr = LastCr::None;
    }

    /// Lets everything go that waits.
    pub(super) fn release(&mut self, out: &mut Vec<u8>) {
        out.append(&mut self.held);
        self.line = 0;
        self.json = None;
        self.look = None;
        self.left = true;
    }

    /// Whether the current line, which is not complete, may have to be taken out. What stands before `searched` has been
    /// looked at.
    fn may_be_hidden(&self, searched: usize) -> bool {
        let line = self.held.get(self.line..).unwrap_or_default();
        let opens =
            data(line).is_none_or(|value| value.first().is_none_or(|first| *first == b'{' || self.json.is_some()));
        let from = searched.saturating_sub(CHOICE.len()).max(self.line);
        let new = self.held.get(from..).unwrap_or_default();
        opens && self.held.len() <= MAX_HIDDEN && memchr::memmem::find(new, CHOICE).is_none()
    }

    /// Where nothing waits, a line of data that is complete is decided about where it stands. Tells where its end went;
    /// `None` if that takes more.
    fn whole_line(&mut self, line: &[u8], complete: bool, out: &mut Vec<u8>) -> Option<LastCr> {
        if !complete || !self.held.is_empty() {
            return None;
        }
        let text = without_end(line);
        if text.is_empty() {
            let removed = self.removed && !self.left;
            if removed {
                self.differs = true
            } else {
                out.extend_from_slice(line)
            }
            (self.left, self.removed) = (false, false);
            return Some(if removed { LastCr::Removed } else { LastCr::Left });
        }
        let value = data(text)?;
        let verdict = if may_tell_usage(value) {
            let mut look = Look::new(&self.keys);
            match look.feed(value) {
                Some(true) => look.verdict(value),
                Some(false) => return None,
                None => Verdict::Keep,
            }
        } else {
            Verdict::Keep
        };
        match verdict {
            Verdict::Keep => {
                out.extend_from_slice(line);
                self.left = true;
                Some(LastCr::Left)
            }
            Verdict::Remove if line.len() <= MAX_HIDDEN => {
                self.remove_lines(0);
                Some(LastCr::Removed)
            }
            Verdict::Remove | Verdict::RemoveUsage => None,
        }
    }

    /// The current line is complete. Tells where its end went.
    fn end_line(&mut self, out: &mut Vec<u8>) -> LastCr {
        let text = without_end(self.held.get(self.line..).unwrap_or_default());
        if text.is_empty() {
            return self.end_event(out);
        }
        let Some(value) = data(text) else {
            if self.json.is_none() && self.left {
                self.release(out);
                return LastCr::Left;
            }
            return self.hold_line(out);
        };
        if (self.json.is_none() && !may_tell_usage(value)) || self.held.len() > MAX_HIDDEN {
            self.release(out);
            return LastCr::Left;
        }
        let from = *self.json.get_or_insert(self.line);
        let look = self.look.get_or_insert_with(|| Box::new(Look::new(&self.keys)));
        // A line end parts two lines of data.
        let complete = if self.line == from { Some(false) } else { look.feed(b"\n") };
        match complete.and_then(|_| look.feed(value)) {
            Some(false) => return self.hold_line(out),
            Some(true) => {}
            None => {
                self.release(out);
                return LastCr::Left;
            }
        }
        let text = text_of(self.held.get(from..).unwrap_or_default());
        let verdict = look.verdict(&text);
        (self.look, self.json) = (None, None);
        match verdict {
            Verdict::Remove => {
                self.remove_lines(from);
                return LastCr::Removed;
            }
            Verdict::RemoveUsage => self.remove_usage(from, &text),
            Verdict::Keep => {}
        }
        self.release(out);
        LastCr::Left
    }

    /// The line waits for the next one.
    fn hold_line(&mut self, out: &mut Vec<u8>) -> LastCr {
        if self.held.len() > MAX_HIDDEN {
            self.release(out);
            return LastCr::Left;
        }
        self.line = self.held.len();
        LastCr::Held
    }

    /// Nothing is left of a chunk that stands in the lines from there on.
    fn remove_lines(&mut self, from: usize) {
        self.held.truncate(from);
        self.line = from;
        self.removed = true;
        self.differs = true;
    }

    /// Takes the usage out of the chunk that stands in the lines from there on.
    fn remove_usage(&mut self, from: usize, text: &[u8]) {
        let lines = self.held.get(from..).unwrap_or_default();
        let end = lines.iter().rposition(|byte| !matches!(*byte, LF | CR)).map_or(0, |last| last.saturating_add(1));
        let end = lines.get(end..).unwrap_or_default().to_vec();
        let Ok(keys) = Keys::new([USAGE]) else { return };
        if let Ok(Some(edited)) = json::edit(keys, text, &mut WithoutUsage) {
            self.held.truncate(from);
            self.held.extend_from_slice(b"data: ");
            // Between members a line end says nothing.
            self.held.extend(edited.into_iter().filter(|byte| *byte != LF));
            self.held.extend_from_slice(&end);
            self.differs = true;
        }
    }

    /// A blank line: the event is over.
    fn end_event(&mut self, out: &mut Vec<u8>) -> LastCr {
        let fate = if self.removed && !self.left && self.json.is_none() {
            self.differs |= !self.held.is_empty();
            self.held.clear();
            self.line = 0;
            LastCr::Removed
        } else {
            self.release(out);
            LastCr::Left
        };
        self.left = false;
        self.removed = false;
        fate
    }
}

/// Takes out the member that was asked for.
struct WithoutUsage;

impl Members for WithoutUsage {
    type Error = json::Error;

    fn key(&mut self, _: usize) -> Wants {
        Wants::Remove
    }

    fn member(&mut self, _: usize, _: &str) -> Result<Edit, json::Error> {
        Ok(Edit::Remove)
    }
}

/// A line without what ends it.
fn without_end(line: &[u8]) -> &[u8] {
    line.strip_suffix(b"\n").or_else(|| line.strip_suffix(b"\r")).unwrap_or(line)
}

/// The value of a line of data, of which the end may be missing.
fn data(line: &[u8]) -> Option<&[u8]> {
    let value = line.strip_prefix(b"data:")?;
    Some(value.strip_prefix(b" ").unwrap_or(value))
}

/// Whether a line of data may be a chunk that tells usage, or begin one. Nearly every line is whole and tells none.
fn may_tell_usage(value: &[u8]) -> bool {
    !value.trim_ascii_end().ends_with(b"}")
        || (Table::has_clues(value) && memchr::memmem::find(value, b"\"usage\"").is_some())
}

/// What the lines of data among these say together.
fn text_of(lines: &[u8]) -> Vec<u8> {
    let mut text = Vec::new();
    for line in lines.split(|byte| matches!(*byte, LF | CR)) {
        if let Some(value) = data(line) {
            if !text.is_empty() {
                text.push(LF);
            }
            text.extend_from_slice(value);
        }
    }
    text
}

#[cfg(test)]
mod tests;
