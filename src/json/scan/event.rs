//! What a scan reports, and the bounds of what it looks at.

use core::ops::Range;

/// How deeply objects and arrays may be nested, in levels; the top-level object is the first. One bit per level.
pub const MAX_DEPTH: u32 = u128::BITS;

/// How long a top-level key may be, in raw bytes with its quotes and escapes.
pub const MAX_KEY: usize = 1024;

/// How long a member that was asked for may be, in raw bytes from the comma before it (the first one: from its key) to
/// the end of its value, unless its value is [skipped](Scanner::skip). The way from a comma to the end of any top-level
/// key has the same bound, because until then the member may turn out to be one that was asked for.
pub const MAX_MEMBER: usize = 64 * 1024;

/// How long a watched string may be to be reported, in raw bytes with its quotes and escapes: ten characters in any
/// spelling. It may be longer, but then it is none of those that somebody waits for.
pub const MAX_NESTED: usize = 64;

/// How many levels are open at the keys in the objects of a list.
pub(super) const LIST_DEPTH: u32 = 3;

/// How many bytes one byte of UTF-8 may take when it is written as an escape, at most.
pub(super) const ESCAPE: usize = 6;

/// What [`Scanner::scan`] stops at. Spans are absolute offsets into the document, in bytes.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Event {
    /// The key of a top-level member that was not asked for; its value follows.
    Other {
        /// Where its comma is; none before the first member.
        comma: Option<u64>,
        /// The raw key with its quotes.
        name: Range<u64>,
    },
    /// The key of a top-level member that was asked for; its value follows, unless it is not needed and the scanner is
    /// told to [skip](Scanner::skip) it.
    Key {
        /// The index of the key in [`Keys`].
        key: usize,
        /// Where its comma is; none before the first member.
        comma: Option<u64>,
        /// The raw key with its quotes.
        name: Range<u64>,
    },
    /// A complete top-level member that was asked for.
    Member(Member),
    /// The end of a top-level member that was asked for and then skipped.
    Skipped {
        /// Where its value ends.
        end: u64,
    },
    /// A string in the place that is [watched](super::Watch), of at most [`MAX_NESTED`] bytes.
    Nested {
        /// The raw string with its quotes.
        value: Range<u64>,
    },
    /// The closing brace of the document.
    End {
        /// Where it is.
        brace: u64,
    },
}

/// Where a top-level member is, in absolute offsets.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Member {
    /// The index of its key in [`Keys`].
    pub key: usize,
    /// Where the comma before it is; none before the first member.
    pub comma: Option<u64>,
    /// The raw key with its quotes.
    pub name: Range<u64>,
    /// The raw value without whitespace around it.
    pub value: Range<u64>,
}
