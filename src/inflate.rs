//! Reads gzip as it passes, for observation only: what is asked uncompressed and compressed all the same.
//!
//! Memory is constant: the decoder and a window of 32 KiB. Checksums are not compared, because nothing is passed on.

use miniz_oxide::inflate::TINFLStatus;
use miniz_oxide::inflate::core::{DecompressorOxide, decompress, inflate_flags};

/// How far back deflate may refer, in bytes; RFC 1951, section 2.
const WINDOW: usize = 32 * 1024;

/// How much one response may unfold to, in bytes. Deflate packs up to a thousand to one, and all of it would be read.
pub const MAX_INFLATED: usize = 64 * 1024 * 1024;

/// Reads one gzip member (RFC 1952), chunk by chunk.
pub struct Gunzip {
    state: State,
    inflater: DecompressorOxide,
    window: Vec<u8>,
    at: usize,
    left: usize,
}

/// Where in the member the next byte stands.
#[derive(Clone, Copy, Debug)]
enum State {
    /// In the fixed header; how many of its bytes came, and its flags.
    Fixed { at: u8, flags: u8 },
    /// At the length of the extra field: its low byte, if that came.
    ExtraLength { low: Option<u8>, flags: u8 },
    /// In the extra field, or in the checksum of the header.
    Skip { bytes: u16, flags: u8 },
    /// In a text that a zero ends: the name, then the comment.
    Text { flags: u8 },
    /// In the compressed data.
    Data,
    /// Behind it.
    Done,
    /// This is no gzip.
    Broken,
}

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
            Self::Data
        }
    }

    /// Takes one byte before the data.
    fn header(self, byte: u8) -> Self {
        match self {
            Self::Fixed { at, flags } => match (at, byte) {
                (0, 0x1f) | (1, 0x8b) | (2, 8) | (4..=8, _) => Self::Fixed { at: at.saturating_add(1), flags },
                (3, flags) => Self::Fixed { at: 4, flags },
                (9, _) => Self::next(flags),
                _ => Self::Broken,
            },
            Self::ExtraLength { low: None, flags } => Self::ExtraLength { low: Some(byte), flags },
            Self::ExtraLength { low: Some(low), flags } => match u16::from_le_bytes([low, byte]) {
                0 => Self::next(flags),
                bytes => Self::Skip { bytes, flags },
            },
            Self::Skip { bytes: 0 | 1, flags } => Self::next(flags),
            Self::Skip { bytes, flags } => Self::Skip { bytes: bytes.saturating_sub(1), flags },
            Self::Text { flags } if byte == 0 => Self::next(flags),
            Self::Text { .. } | Self::Data | Self::Done | Self::Broken => self,
        }
    }
}

impl Default for Gunzip {
    fn default() -> Self {
        Self {
            state: State::Fixed { at: 0, flags: 0 },
            inflater: DecompressorOxide::new(),
            window: vec![0; WINDOW],
            at: 0,
            left: MAX_INFLATED,
        }
    }
}

impl Gunzip {
    /// How much memory it takes, in bytes.
    pub const MEMORY: usize = size_of::<Self>() + WINDOW;

    /// Takes the next bytes and hands out what they unfold to; false once that is not gzip, or too much.
    pub fn feed(&mut self, chunk: &[u8], sink: &mut dyn FnMut(&[u8])) -> bool {
        let mut rest = chunk;
        while !matches!(self.state, State::Data | State::Done | State::Broken) {
            let Some((byte, after)) = rest.split_first() else { return true };
            self.state = self.state.header(*byte);
            rest = after;
        }
        while matches!(self.state, State::Data) {
            let flags = inflate_flags::TINFL_FLAG_HAS_MORE_INPUT;
            let (status, read, written) = decompress(&mut self.inflater, rest, &mut self.window, self.at, flags);
            rest = rest.get(read..).unwrap_or_default();
            let end = self.at.saturating_add(written);
            sink(self.window.get(self.at..end).unwrap_or_default());
            self.at = if end >= WINDOW { 0 } else { end };
            let left = self.left.checked_sub(written);
            self.left = left.unwrap_or_default();
            match status {
                _ if left.is_none() => self.state = State::Broken,
                TINFLStatus::NeedsMoreInput => break,
                TINFLStatus::HasMoreOutput => {}
                TINFLStatus::Done => self.state = State::Done,
                _ => self.state = State::Broken,
            }
        }
        !matches!(self.state, State::Broken)
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    #[cfg(target_family = "wasm")]
    use wasm_bindgen_test::wasm_bindgen_test as test;

    /// A member with every optional field; its data by the compressor of the same crate.
    fn member(text: &[u8]) -> Vec<u8> {
        let mut out = vec![0x1f, 0x8b, 8, CHECKSUM | EXTRA | NAME | COMMENT, 1, 2, 3, 4, 0, 255];
        out.extend(b"\x03\0abcname\0comment\0\x12\x34");
        out.extend(miniz_oxide::deflate::compress_to_vec(text, 6));
        out.extend(b"crc-size");
        out
    }

    fn read<'c>(mut chunks: impl Iterator<Item = &'c [u8]>) -> (Vec<u8>, bool) {
        let (mut gunzip, mut out) = (Gunzip::default(), Vec::new());
        let good = chunks.all(|chunk| gunzip.feed(chunk, &mut |bytes| out.extend_from_slice(bytes)));
        (out, good)
    }

    #[test]
    fn reads_a_member_in_any_split() {
        let text = "usage, usage, and a little more of the usual. ".repeat(3_000);
        let member = member(text.as_bytes());
        for size in [1, 2, 7, 1000, member.len()] {
            let (out, good) = read(member.chunks(size));
            assert!(good && out == text.as_bytes(), "{size}");
        }
    }

    #[test]
    fn gives_up_on_what_is_no_gzip() {
        assert!(!read([b"{\"usage\":1}".as_slice()].into_iter()).1);
        // Block type 3 is reserved.
        let broken = [0x1f, 0x8b, 8, 0, 0, 0, 0, 0, 0, 0, 0b111, 0, 0, 0];
        assert!(!read(broken.chunks(3)).1);
    }

    #[test]
    fn gives_up_on_what_unfolds_without_end() {
        let bomb = member(&vec![b' '; MAX_INFLATED + 1]);
        assert!(!read(bomb.chunks(16 * 1024)).1);
    }
}
