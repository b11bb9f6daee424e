//! Why a document is refused, and at which byte.

use core::fmt;

/// A refused document. The same document gives the same error however it was cut into chunks.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Error {
    /// The reason.
    pub kind: ErrorKind,
    /// Offset from the start of the document, in bytes. Each kind says what stands there.
    pub offset: u64,
}

/// The reason for a refusal.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
#[non_exhaustive]
pub enum ErrorKind {
    /// The byte cannot stand where it stands: grammar, control characters in strings, escapes, lone surrogates.
    Syntax,
    /// The document ends too early; the offset is its length.
    Truncated,
    /// The document starts with the first byte of a byte order mark.
    ByteOrderMark,
    /// The top-level value, which starts here, is not an object.
    NotAnObject,
    /// Something other than whitespace follows the top-level object.
    TrailingGarbage,
    /// This bracket opens one level more than [`MAX_DEPTH`](super::MAX_DEPTH).
    TooDeep,
    /// The number that ends here is too large for an `f64`.
    NumberOutOfRange,
    /// A key that was asked for starts here for the second time.
    DuplicateKey {
        /// Its index in [`Keys`](super::Keys).
        key: usize,
    },
    /// The key that starts here differs in case only from one that was asked for, or is watched for beside those.
    LookalikeKey,
    /// The top-level key that starts here has more than [`MAX_KEY`](super::MAX_KEY) bytes.
    KeyTooLong,
    /// The member that starts here, at its comma or key, has more than [`MAX_MEMBER`](super::MAX_MEMBER) bytes.
    MemberTooLong,
    /// Not UTF-8, in a top-level key or in a value that is shown whole.
    InvalidUtf8,
    /// The caller refused this member, or this closing brace, earlier; there is nothing to go on with.
    Abandoned,
}

impl Error {
    pub(super) const fn new(kind: ErrorKind, offset: u64) -> Self {
        Self { kind, offset }
    }
}

impl ErrorKind {
    /// Whether what is refused may still be a JSON object.
    #[must_use]
    pub const fn is_json(self) -> bool {
        match self {
            Self::Syntax
            | Self::Truncated
            | Self::ByteOrderMark
            | Self::NotAnObject
            | Self::TrailingGarbage
            | Self::NumberOutOfRange
            | Self::InvalidUtf8 => false,
            Self::TooDeep
            | Self::DuplicateKey { .. }
            | Self::LookalikeKey
            | Self::KeyTooLong
            | Self::MemberTooLong
            | Self::Abandoned => true,
        }
    }
}

impl fmt::Display for ErrorKind {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(match self {
            Self::Syntax => "syntax error",
            Self::Truncated => "truncated document",
            Self::ByteOrderMark => "byte order mark",
            Self::NotAnObject => "top level is not an object",
            Self::TrailingGarbage => "trailing characters",
            Self::TooDeep => "nested too deeply",
            Self::NumberOutOfRange => "number out of range",
            Self::DuplicateKey { .. } => "duplicate key",
            Self::LookalikeKey => "key in another case",
            Self::KeyTooLong => "key too long",
            Self::MemberTooLong => "member too long",
            Self::InvalidUtf8 => "invalid utf-8",
            Self::Abandoned => "abandoned after an earlier refusal",
        })
    }
}

impl fmt::Display for Error {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{} at byte {}", self.kind, self.offset)
    }
}

impl core::error::Error for Error {}

#[cfg(test)]
mod tests {
    use super::*;
    #[cfg(target_family = "wasm")]
    use wasm_bindgen_test::wasm_bindgen_test as test;

    #[test]
    fn says_what_and_where() {
        assert_eq!(Error::new(ErrorKind::Truncated, 17).to_string(), "truncated document at byte 17");
        assert_eq!(Error::new(ErrorKind::DuplicateKey { key: 3 }, 0).to_string(), "duplicate key at byte 0");
    }
}
