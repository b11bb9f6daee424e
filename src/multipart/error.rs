//! Why a form is refused.

use core::fmt;

/// A refused form. The same body gives the same error however it was cut into chunks.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
#[non_exhaustive]
pub enum Error {
    /// The content-type is another one.
    NotFormData,
    /// The content-type has no boundary.
    NoBoundary,
    /// The boundary has more than [`MAX_BOUNDARY`](super::MAX_BOUNDARY) bytes.
    BoundaryTooLong,
    /// The content-type can be read to have another boundary, or has one that is none.
    AmbiguousBoundary,
    /// The boundary stands where no delimiter is, or its line does not end in CRLF.
    Delimiter,
    /// The headers of a part are no headers.
    Headers,
    /// The headers of a part have more than [`MAX_PART_HEADERS`](super::MAX_PART_HEADERS) bytes.
    HeadersTooLong,
    /// A part has no name, or one that parsers read differently.
    Name,
    /// A second part is called `model`.
    ModelTwice,
    /// The part called `model` is a file.
    ModelIsFile,
    /// The value of `model` is not what its bytes say: an encoding, a charset, a length.
    ModelEncoded,
    /// The value of `model` has more than [`MAX_MODEL`](super::MAX_MODEL) bytes.
    ModelTooLong,
    /// The value of `model` is not UTF-8.
    ModelNotUtf8,
    /// The new value of `model` contains the boundary.
    NewModel,
    /// The body ends too early.
    Truncated,
    /// The body has been refused before; there is nothing to go on with.
    Abandoned,
}

impl Error {
    /// The reason in words, to stand behind “the request body”; it quotes nothing of the body.
    #[must_use]
    pub const fn reason(self) -> &'static str {
        match self {
            Self::NotFormData => "is not multipart/form-data",
            Self::NoBoundary => "has no boundary in its content-type",
            Self::BoundaryTooLong => "has a boundary of more than 70 bytes",
            Self::AmbiguousBoundary => "has an ambiguous boundary in its content-type",
            Self::Delimiter => "has its boundary outside of a delimiter line",
            Self::Headers => "has a part with malformed headers",
            Self::HeadersTooLong => "has a part with more than 16 KiB of headers",
            Self::Name => "has a part without an unambiguous name",
            Self::ModelTwice => "has more than one `model`",
            Self::ModelIsFile => "has a `model` that is a file",
            Self::ModelEncoded => "has a `model` with an encoding, a charset or a wrong length",
            Self::ModelTooLong => "has a `model` of more than 8 KiB",
            Self::ModelNotUtf8 => "has a `model` that is not UTF-8",
            Self::NewModel => "has a boundary that its new `model` contains",
            Self::Truncated => "ends before its closing boundary",
            Self::Abandoned => "has been refused before",
        }
    }
}

impl fmt::Display for Error {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(self.reason())
    }
}

impl core::error::Error for Error {}
