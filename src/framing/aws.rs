//! Frames of `application/vnd.amazon.eventstream`, as in the Amazon Event Stream Specification of Smithy 2.0.
//!
//! A frame is its length and that of its headers, a checksum of these two, headers, payload, and a checksum of all
//! that. Numbers are big-endian, lengths and checksums have four bytes.

use std::borrow::Cow;

use super::{Cut, MAX_MESSAGE, Message};

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

    /// Looks for the end of the frame in bytes that are not none; those that are held are its start.
    pub(super) fn cut(&mut self, held: &[u8], rest: &[u8]) -> Cut {
        if self.left == 0 {
            let mut prelude = [0; PRELUDE];
            let mut bytes = held.iter().chain(rest);
            for to in &mut prelude {
                let Some(&byte) = bytes.next() else { return Cut::More };
                *to = byte;
            }
            let Some(length) = length(&prelude) else { return Cut::Broken };
            self.left = length.saturating_sub(held.len());
            if length > MAX_MESSAGE {
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

/// The message in a complete frame, if it has a name.
///
/// Events, exceptions and errors each have a header of their own for it, so `:message-type` tells nothing more. An
/// error has no payload.
pub(super) fn message(frame: &[u8]) -> Option<Message<'_>> {
    let (content, _) = frame.split_last_chunk::<CHECKSUM>()?;
    let (prelude, content) = content.split_at_checked(PRELUDE)?;
    let (_, length) = prelude.first_chunk::<8>()?.split_last_chunk::<4>()?;
    let (mut headers, payload) = content.split_at_checked(usize::try_from(u32::from_be_bytes(*length)).ok()?)?;
    loop {
        let header = header(&mut headers)?;
        if header.kind == STRING && matches!(header.name, b":event-type" | b":exception-type" | b":error-code") {
            return Some(Message { event: header.value, data: Cow::Borrowed(payload) });
        }
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
    let mut crc = u32::MAX;
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
    !crc
}
