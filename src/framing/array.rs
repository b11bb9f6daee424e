//! The elements of one JSON array.

use memchr::memchr2;

use super::Cut;

/// What the next byte belongs to.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum State {
    /// Before the opening bracket.
    Before,
    /// Behind it, a comma or an element.
    Between,
    /// An object or array, outside of strings.
    Nested,
    /// A string.
    Text,
    /// A string, behind a backslash.
    Escape,
    /// A number, `true`, `false` or `null`.
    Scalar,
    /// Behind the closing bracket.
    After,
}

/// Where in the array the next byte is. Elements are not validated, and brackets and braces are alike: whoever reads an
/// element will see what is wrong with it.
#[derive(Clone, Debug)]
pub(super) struct Array {
    state: State,
    /// How many brackets and braces are open in the element.
    depth: u32,
}

impl Array {
    pub(super) const START: Self = Self { state: State::Before, depth: 0 };

    /// Looks for the end of the element in bytes that are not none, or for its start.
    pub(super) fn cut(&mut self, rest: &[u8]) -> Cut {
        let mut bytes = rest.iter();
        // How many bytes before the next one.
        let at = |bytes: &core::slice::Iter<'_, u8>| rest.len().saturating_sub(bytes.len());
        loop {
            let before = at(&bytes);
            let tail = bytes.as_slice();
            let skipped = match self.state {
                State::Text => memchr2(b'"', b'\\', tail),
                State::Nested => tail.iter().position(|byte| matches!(byte, b'"' | b'{' | b'}' | b'[' | b']')),
                _ => Some(0),
            };
            // If nothing that matters is found, all of it is part of the element.
            bytes = tail.get(skipped.unwrap_or(tail.len())..).unwrap_or_default().iter();
            let Some(&byte) = bytes.next() else {
                return match self.state {
                    State::Before | State::Between | State::After => Cut::Other(before),
                    State::Nested | State::Text | State::Escape | State::Scalar => Cut::More,
                };
            };
            match (self.state, byte) {
                (State::Before | State::Between | State::After, b' ' | b'\t' | b'\n' | b'\r')
                | (State::Between, b',') => {}
                (State::Before, b'[') => self.state = State::Between,
                (State::Between, b']') => self.state = State::After,
                (State::Before | State::After, _) => return Cut::Broken,
                // What stands before an element is not part of it.
                (State::Between, _) if before != 0 => return Cut::Other(before),
                (State::Between | State::Nested, b'"') => self.state = State::Text,
                (State::Between | State::Nested, b'{' | b'[') => {
                    self.state = State::Nested;
                    self.depth = self.depth.saturating_add(1);
                }
                (State::Between, _) => self.state = State::Scalar,
                (State::Nested, b'}' | b']') => {
                    self.depth = self.depth.saturating_sub(1);
                    if self.depth == 0 {
                        self.state = State::Between;
                        return Cut::End(at(&bytes));
                    }
                }
                (State::Nested, _) => {}
                (State::Text, b'\\') => self.state = State::Escape,
                (State::Text, _) if self.depth == 0 => {
                    self.state = State::Between;
                    return Cut::End(at(&bytes));
                }
                (State::Text, _) => self.state = State::Nested,
                (State::Escape, _) => self.state = State::Text,
                // The byte behind a scalar is not part of it.
                (State::Scalar, b',' | b']' | b' ' | b'\t' | b'\n' | b'\r') => {
                    self.state = State::Between;
                    return Cut::End(before);
                }
                (State::Scalar, _) => {}
            }
        }
    }
}
