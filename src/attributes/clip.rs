//! Text of any length in bounded memory: its first half and its last half.

/// What stands where text was left out, as ai-statistics writes it.
pub const MARKER: &str = " [truncated] ";

/// Text that grows and keeps its first and its last bytes.
///
/// Up to the limit it is kept whole. Beyond it, `limit / 2` bytes of each end are, less what would be half a character.
/// Memory is at most twice the limit.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub(super) struct Clip {
    head: String,
    /// Once the text is longer than the limit.
    tail: Option<String>,
}

impl Clip {
    pub(super) fn new(text: &str, limit: usize) -> Self {
        let mut clip = Self::default();
        clip.push(text, limit);
        clip
    }

    /// Appends. The limit, in bytes, is the same in every call.
    pub(super) fn push(&mut self, text: &str, limit: usize) {
        let half = limit / 2;
        let tail = match &mut self.tail {
            Some(tail) => tail,
            None if self.head.len().saturating_add(text.len()) <= limit => {
                self.head.push_str(text);
                return;
            }
            None => {
                // All it will ever need: a stream of many short pieces then moves nothing.
                let mut tail = String::with_capacity(limit);
                tail.push_str(last(&self.head, half));
                let room = half.saturating_sub(self.head.len());
                self.head.push_str(first(text, room));
                let kept = first(&self.head, half).len();
                self.head.truncate(kept);
                self.head.shrink_to_fit();
                self.tail.insert(tail)
            }
        };
        let text = if text.len() < half {
            text
        } else {
            tail.clear();
            last(text, half)
        };
        if tail.len().saturating_add(text.len()) > limit {
            let kept = last(tail, half).len();
            tail.drain(..tail.len().saturating_sub(kept));
        }
        tail.push_str(text);
    }

    pub(super) const fn is_empty(&self) -> bool {
        self.head.is_empty() && self.tail.is_none()
    }

    /// The text, with [`MARKER`] where something is missing.
    pub(super) fn finish(&self, limit: usize) -> String {
        let mut text = self.head.clone();
        if let Some(tail) = &self.tail {
            text.push_str(MARKER);
            text.push_str(last(tail, limit / 2));
        }
        text
    }

    /// How many bytes are held.
    pub(super) fn held(&self) -> usize {
        self.head.capacity().saturating_add(self.tail.as_ref().map_or(0, String::capacity))
    }
}

/// As many whole characters from the start as have at most `bytes` bytes.
pub(super) fn first(text: &str, bytes: usize) -> &str {
    let mut end = bytes.min(text.len());
    while !text.is_char_boundary(end) {
        end = end.saturating_sub(1);
    }
    text.get(..end).unwrap_or_default()
}

/// As many whole characters from the end as have at most `bytes` bytes.
pub(super) fn last(text: &str, bytes: usize) -> &str {
    let mut start = text.len().saturating_sub(bytes);
    while !text.is_char_boundary(start) {
        start = start.saturating_add(1);
    }
    text.get(start..).unwrap_or_default()
}
