//! Frames of `application/vnd.amazon.eventstream`, as in the Amazon Event Stream Specification of Smithy 2.0.
//!
//! A frame is its length and that of its headers, a checksum of these two, headers, payload, and a checksum of all
//! that. Numbers are big-endian, lengths and checksums have four bytes.

use std::borrow::Cow;

use super::long::data;
use super::{Cut, Message, Part, other};

/// The two lengths and their checksum, in bytes.
const PRELUDE: usize = 12;

/// A checksum, in bytes.
const CHECKSUM: usize = 4;

/// A frame without headers and payload, in bytes.
const SHORTEST: usize = PRELUDE + CHECKSUM;

/// Where in a frame the next byte is.
#[derive(Clone, Debug)]
pub(super) struct Aws {
    /// How many bytes of the frame are to come; 0 while its length is not known.
    left: usize,
}

impl Aws {
    pub(super) const START: Self = Self { left: 0 };

    /// Looks for the end of the frame in bytes that are not none; those that are held are its start. A frame that is
    /// longer than the bound is told at once, and again looked at from where it stands.
    pub(super) fn cut(&mut self, held: &[u8], rest: &[u8], bound: usize) -> Cut {
        if self.left == 0 {
            let mut prelude = [0; PRELUDE];
            let mut bytes = held.iter().chain(rest);
            for to in &mut prelude {
                let Some(&byte) = bytes.next() else { return Cut::More };
                *to = byte;
            }
            let Some(length) = length(&prelude) else { return Cut::Broken };
            self.left = length.saturating_sub(held.len());
            if length > bound {
                return Cut::Long;
            }
        }
        let left = self.left;
        self.left = left.saturating_sub(rest.len());
        if self.left == 0 { Cut::End(left) } else { Cut::More }
    }
}

/// The length of the frame, if the prelude is right.
fn length(prelude: &[u8; PRELUDE]) -> Option<usize> {
    let (lengths, checksum) = prelude.split_last_chunk::<CHECKSUM>()?;
    let (total, headers) = lengths.split_first_chunk()?;
    let length = usize::try_from(u32::from_be_bytes(*total)).ok()?;
    let headers = usize::try_from(u32::from_be_bytes(*headers.first_chunk()?)).ok()?;
    let is_right = headers <= length.checked_sub(SHORTEST)? && crc32(lengths) == u32::from_be_bytes(*checksum);
    is_right.then_some(length)
}

/// Whether the checksum of a complete frame holds.
pub(super) fn is_intact(frame: &[u8]) -> bool {
    frame
        .split_last_chunk::<CHECKSUM>()
        .is_some_and(|(content, checksum)| crc32(content) == u32::from_be_bytes(*checksum))
}

/// The message in a complete frame, if it has a name. An error has no payload.
pub(super) fn message(frame: &[u8]) -> Option<Message<'_>> {
    let (content, _) = frame.split_last_chunk::<CHECKSUM>()?;
    let (prelude, content) = content.split_at_checked(PRELUDE)?;
    let (headers, payload) = content.split_at_checked(headers_of(prelude)?)?;
    let (event, error) = name(headers)?;
    Some(Message { event, error, data: Cow::Borrowed(payload) })
}

/// The length of the headers, which stands in the prelude.
fn headers_of(prelude: &[u8]) -> Option<usize> {
    let (_, length) = prelude.first_chunk::<8>()?.split_last_chunk::<4>()?;
    usize::try_from(u32::from_be_bytes(*length)).ok()
}

/// The name in the headers of a frame, and whether it is that of an exception or error.
///
/// Events, exceptions and errors each have a header of their own for it, so `:message-type` tells nothing more.
fn name(mut headers: &[u8]) -> Option<(&[u8], bool)> {
    loop {
        let header = header(&mut headers)?;
        if header.kind == STRING {
            match header.name {
                b":event-type" => return Some((header.value, false)),
                b":exception-type" | b":error-code" => return Some((header.value, true)),
                _ => {}
            }
        }
    }
}

/// How long the headers of a frame may be that is too long to be held, in bytes. Those of Bedrock have a hundred.
const MAX_HEADERS: usize = 4 * 1024;

/// Where in a frame the next byte is that is too long to be held.
#[derive(Clone, Debug, Default)]
pub(super) struct Frame {
    /// The prelude and the headers, up to their end.
    head: Vec<u8>,
    /// How many bytes of the payload are to come, once the headers are known.
    payload: Option<usize>,
    crc: Crc,
    /// The checksum at the end of the frame.
    checksum: Vec<u8>,
}

impl Frame {
    /// Hands out the next bytes of the frame.
    pub(super) fn feed(&mut self, bytes: &[u8], sink: &mut dyn FnMut(Part<'_>)) {
        let mut rest = bytes;
        while !rest.is_empty() {
            let wanted = match self.payload {
                None => self.head_length().saturating_sub(self.head.len()),
                Some(0) => rest.len(),
                Some(left) => left,
            };
            let (piece, behind) = rest.split_at_checked(wanted.max(1)).unwrap_or((rest, &[]));
            rest = behind;
            match &mut self.payload {
                None => {
                    self.crc.feed(piece);
                    self.head.extend_from_slice(piece);
                    other(piece, sink);
                    if self.head.len() > PRELUDE.saturating_sub(1) && self.head.len() >= self.head_length() {
                        let length = self.head.first_chunk().map_or(0, |length| u32::from_be_bytes(*length) as usize);
                        self.payload = Some(length.saturating_sub(self.head.len()).saturating_sub(CHECKSUM));
                    }
                }
                Some(0) => {
                    let room = CHECKSUM.saturating_sub(self.checksum.len());
                    self.checksum.extend_from_slice(piece.get(..room).unwrap_or(piece));
                    other(piece, sink);
                }
                Some(left) => {
                    *left = left.saturating_sub(piece.len());
                    self.crc.feed(piece);
                    if self.name().is_some() { data(piece, piece, sink) } else { other(piece, sink) }
                }
            }
        }
    }

    /// How long prelude and headers are, as far as that is known. Headers that are too long are read as payload of a frame
    /// without a name.
    fn head_length(&self) -> usize {
        let headers = self.head.first_chunk::<PRELUDE>().and_then(|prelude| headers_of(prelude));
        PRELUDE.saturating_add(headers.unwrap_or(0).min(MAX_HEADERS))
    }

    fn name(&self) -> Option<(&[u8], bool)> {
        name(self.head.get(PRELUDE..)?)
    }

    /// The end of the frame: its name, whether that is an error's, and whether it is intact.
    pub(super) fn end(&self) -> (&[u8], bool, bool) {
        let (event, error) = self.name().unwrap_or((&[], false));
        (event, error, self.checksum == self.crc.value().to_be_bytes())
    }
}

/// The kind of a header whose value is a string.
const STRING: u8 = 7;

/// A header of a frame.
struct Header<'a> {
    name: &'a [u8],
    kind: u8,
    value: &'a [u8],
}

/// Takes the first header; None at the end and for what is no header.
fn header<'a>(headers: &mut &'a [u8]) -> Option<Header<'a>> {
    let (&length, rest) = headers.split_first()?;
    let (name, rest) = rest.split_at_checked(length.into())?;
    let (&kind, rest) = rest.split_first()?;
    // The length of a value, in bytes, is that of its kind or stands before it in two bytes.
    let (length, rest) = match kind {
        // true, false
        0 | 1 => (0, rest),
        // byte
        2 => (1, rest),
        // short
        3 => (2, rest),
        // integer
        4 => (4, rest),
        // long, timestamp
        5 | 8 => (8, rest),
        // byte array
        6 | STRING => {
            let (length, rest) = rest.split_first_chunk()?;
            (u16::from_be_bytes(*length).into(), rest)
        }
        // UUID
        9 => (16, rest),
        _ => return None,
    };
    let (value, rest) = rest.split_at_checked(length)?;
    *headers = rest;
    Some(Header { name, kind, value })
}

/// The polynomial of CRC-32 (RFC 1952, 8), its lowest power in the highest bit.
const POLYNOMIAL: u32 = 0xedb8_8320;

/// What each half of a byte in a word of four bytes adds to the checksum behind that word, the first half first. A
/// checksum is linear in its bits, so 512 bytes do what takes 4 KB with a table for each byte.
static HALVES: [[u32; 16]; 8] = [half(0), half(4), half(8), half(12), half(16), half(20), half(24), half(28)];

/// The numbers for the four bits from this one on.
const fn half(shift: u32) -> [u32; 16] {
    let mut numbers = [0; 16];
    let mut rest: &mut [u32] = &mut numbers;
    let mut bits = 0u32;
    while let Some((number, behind)) = rest.split_first_mut() {
        *number = divide(bits.wrapping_shl(shift), u32::BITS);
        bits = bits.wrapping_add(1);
        rest = behind;
    }
    numbers
}

/// The remainder when so many more bits are divided.
const fn divide(mut remainder: u32, mut bits: u32) -> u32 {
    while bits > 0 {
        let carry = remainder & 1;
        remainder = (remainder >> 1) ^ (POLYNOMIAL & carry.wrapping_neg());
        bits = bits.wrapping_sub(1);
    }
    remainder
}

/// The CRC-32 of gzip (RFC 1952, 8).
fn crc32(bytes: &[u8]) -> u32 {
    let mut crc = Crc::default();
    crc.feed(bytes);
    crc.value()
}

/// The same of bytes that come in pieces.
#[derive(Clone, Copy, Debug)]
struct Crc(u32);

impl Default for Crc {
    fn default() -> Self {
        Self(u32::MAX)
    }
}

impl Crc {
    fn feed(&mut self, bytes: &[u8]) {
        let mut crc = self.0;
        let (words, rest) = bytes.as_chunks();
        for word in words {
            let mut bits = crc ^ u32::from_le_bytes(*word);
            crc = 0;
            for numbers in &HALVES {
                crc ^= numbers.get((bits & 15) as usize).copied().unwrap_or_default();
                bits >>= 4;
            }
        }
        for &byte in rest {
            crc = divide(crc ^ u32::from(byte), u8::BITS);
        }
        self.0 = crc;
    }

    const fn value(self) -> u32 {
        !self.0
    }
}
