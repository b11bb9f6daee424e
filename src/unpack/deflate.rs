//! Deflate (RFC 1951), bare or in the wrapping of gzip (RFC 1952) or zlib (RFC 1950).
//!
//! Memory is constant: the decoder and a window of 32 KiB. Checksums are not compared: what goes on is what was read.

use super::{Fault, Sink};
use miniz_oxide::inflate::TINFLStatus;
use miniz_oxide::inflate::core::{DecompressorOxide, decompress, inflate_flags};

/// How far back deflate may refer, in bytes; RFC 1951, section 2.
const WINDOW: usize = 32 * 1024;

/// Reads what one of the wrappings holds.
pub(super) struct Decoder {
    state: State,
    /// Whether a gzip member has been begun, so that others may follow.
    gzip: bool,
    inflater: DecompressorOxide,
    window: Vec<u8>,
    at: usize,
}

/// What the next byte belongs to.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum State {
    /// The first byte of what is called `deflate`: zlib's header, or bare data, which many senders mean by it.
    Sniff,
    /// The second one.
    SniffMore { first: u8 },
    /// The fixed header of gzip; how many of its bytes came, and its flags.
    Fixed { at: u8, flags: u8 },
    /// The length of the extra field: its low byte, if that came.
    ExtraLength { low: Option<u8>, flags: u8 },
    /// The extra field, or the checksum of the header.
    Skip { bytes: u16, flags: u8 },
    /// A text that a zero ends: the name, then the comment.
    Text { flags: u8 },
    /// The compressed data; how many bytes stand behind it.
    Data { trailer: u8 },
    /// The checksum, and with gzip the size.
    Trailer { bytes: u8 },
    /// Nothing, or another gzip member.
    End,
}

/// How many bytes of checksum and size stand behind the data.
const GZIP_TRAILER: u8 = 8;
const ZLIB_TRAILER: u8 = 4;

const CHECKSUM: u8 = 1 << 1;
const EXTRA: u8 = 1 << 2;
const NAME: u8 = 1 << 3;
const COMMENT: u8 = 1 << 4;

impl State {
    /// What follows once everything before the optional fields in `flags` has been read.
    const fn next(flags: u8) -> Self {
        if flags & EXTRA != 0 {
            Self::ExtraLength { low: None, flags: flags & !EXTRA }
        } else if flags & NAME != 0 {
            Self::Text { flags: flags & !NAME }
        } else if flags & COMMENT != 0 {
            Self::Text { flags: flags & !COMMENT }
        } else if flags & CHECKSUM != 0 {
            Self::Skip { bytes: 2, flags: flags & !CHECKSUM }
        } else {
            Self::Data { trailer: GZIP_TRAILER }
        }
    }

    /// Takes one byte of gzip's header; `None` where it cannot stand there.
    fn header(self, byte: u8) -> Option<Self> {
        Some(match self {
            Self::Fixed { at, flags } => match (at, byte) {
                (0, 0x1f) | (1, 0x8b) | (2, 8) | (4..=8, _) => Self::Fixed { at: at.checked_add(1)?, flags },
                (3, flags) => Self::Fixed { at: 4, flags },
                (9, _) => Self::next(flags),
                _ => return None,
            },
            Self::ExtraLength { low: None, flags } => Self::ExtraLength { low: Some(byte), flags },
            Self::ExtraLength { low: Some(low), flags } => match u16::from_le_bytes([low, byte]) {
                0 => Self::next(flags),
                bytes => Self::Skip { bytes, flags },
            },
            Self::Skip { bytes: 0 | 1, flags } => Self::next(flags),
            Self::Skip { bytes, flags } => Self::Skip { bytes: bytes.saturating_sub(1), flags },
            Self::Text { flags } if byte == 0 => Self::next(flags),
            other => other,
        })
    }
}

impl Decoder {
    /// How much memory it takes, in bytes.
    pub(super) const MEMORY: usize = size_of::<Self>() + WINDOW;

    pub(super) fn gzip() -> Self {
        Self::new(State::Fixed { at: 0, flags: 0 }, true)
    }

    /// What HTTP calls `deflate`: in the wrapping of zlib, or bare.
    pub(super) fn zlib_or_bare() -> Self {
        Self::new(State::Sniff, false)
    }

    fn new(state: State, gzip: bool) -> Self {
        Self { state, gzip, inflater: DecompressorOxide::new(), window: vec![0; WINDOW], at: 0 }
    }

    /// Whether the input may end here.
    pub(super) const fn is_complete(&self) -> bool {
        matches!(self.state, State::End)
    }

    /// Takes bytes from the front of `input` and hands out at most a window; false where all are taken and more are
    /// needed.
    pub(super) fn step(&mut self, input: &mut &[u8], sink: Sink<'_>) -> Result<bool, Fault> {
        if let State::Data { trailer } = self.state {
            return self.inflate(input, trailer, sink);
        }
        let Some((byte, rest)) = input.split_first() else { return Ok(false) };
        *input = rest;
        match self.state {
            State::Sniff => self.state = State::SniffMore { first: *byte },
            State::SniffMore { first } => {
                // The method is deflate, and the two bytes are a multiple of 31.
                let zlib = first & 15 == 8 && u16::from_be_bytes([first, *byte]) % 31 == 0;
                if zlib && byte & 0x20 != 0 {
                    // It wants a dictionary that nobody has agreed upon.
                    return Err(Fault::Broken);
                }
                self.state = State::Data { trailer: if zlib { ZLIB_TRAILER } else { 0 } };
                if !zlib {
                    let both = [first, *byte];
                    let mut bare = both.as_slice();
                    // It needs more, but that is still in the input.
                    return self.inflate(&mut bare, 0, sink).map(|_| true);
                }
            }
            State::Trailer { bytes: 0 | 1 } => self.state = State::End,
            State::Trailer { bytes } => self.state = State::Trailer { bytes: bytes.saturating_sub(1) },
            State::End if self.gzip => {
                self.inflater.init();
                self.state = State::Fixed { at: 0, flags: 0 }.header(*byte).ok_or(Fault::Broken)?;
            }
            State::End => return Err(Fault::Broken),
            header => self.state = header.header(*byte).ok_or(Fault::Broken)?,
        }
        Ok(true)
    }

    fn inflate(&mut self, input: &mut &[u8], trailer: u8, sink: Sink<'_>) -> Result<bool, Fault> {
        let flags = inflate_flags::TINFL_FLAG_HAS_MORE_INPUT;
        let (status, read, written) = decompress(&mut self.inflater, input, &mut self.window, self.at, flags);
        *input = input.get(read..).unwrap_or_default();
        let end = self.at.saturating_add(written);
        sink(self.window.get(self.at..end).unwrap_or_default());
        self.at = if end >= WINDOW { 0 } else { end };
        match status {
            TINFLStatus::NeedsMoreInput if input.is_empty() => Ok(false),
            // It takes all it can; anything else would go on for ever.
            TINFLStatus::NeedsMoreInput if read > 0 => Ok(true),
            TINFLStatus::HasMoreOutput => Ok(true),
            TINFLStatus::Done => {
                self.state = if trailer == 0 { State::End } else { State::Trailer { bytes: trailer } };
                Ok(true)
            }
            _ => Err(Fault::Broken),
        }
    }
}
