//! Zstandard (RFC 8878), read block by block.
//!
//! Our own decoder, because one in a filter may not panic on any input, and must stop between blocks and bound what it
//! keeps. Checksums are not compared: what goes on is what was read.

mod bits;
mod fse;
mod huffman;

use super::{Fault, Sink};
use bits::Backward;

/// How far back a frame may refer, in bytes: what the content coding `zstd` allows (RFC 9659, section 3).
const MAX_WINDOW: u64 = 8 * 1024 * 1024;

/// How much a block can hold, packed or unpacked, in bytes (RFC 8878, section 3.1.1.2.4).
const MAX_BLOCK: usize = 128 * 1024;

/// The first four bytes of a frame.
const FRAME: u32 = 0xfd2f_b528;
/// The first four bytes of a frame that is passed over; the lowest four bits may have any value.
const SKIPPABLE: u32 = 0x184d_2a50;

/// Reads frames, one after another.
pub(super) struct Decoder {
    stage: Stage,
    /// What has come of the part that is read next.
    part: Vec<u8>,
    /// How many bytes that part has.
    wanted: usize,
    frame: Frame,
    /// Whether a frame has been read to its end.
    complete: bool,
}

/// Which part comes next.
#[derive(Clone, Copy, Debug)]
enum Stage {
    Magic,
    /// The byte that tells how long the header of a frame is.
    Descriptor,
    Header {
        descriptor: u8,
    },
    Block,
    Content {
        block: Block,
        last: bool,
    },
    Checksum,
    /// The size of a frame that is passed over.
    SkipSize,
    /// The rest of such a frame, of which nothing is kept.
    Skip(u32),
}

#[derive(Clone, Copy, Debug)]
enum Block {
    Raw,
    /// One byte, so often.
    Repeated(usize),
    Packed,
}

/// What the blocks of one frame share.
#[derive(Default)]
struct Frame {
    has_checksum: bool,
    window: usize,
    /// The end of what has been unpacked: the window, and at most a block and a quarter of a window more.
    history: Vec<u8>,
    literals: Vec<u8>,
    huffman: huffman::Table,
    lengths: fse::Table,
    offsets: fse::Table,
    matches: fse::Table,
    /// The offsets used last.
    recent: [usize; 3],
}

impl Default for Decoder {
    fn default() -> Self {
        Self { stage: Stage::Magic, part: Vec::new(), wanted: 4, frame: Frame::default(), complete: false }
    }
}

impl Decoder {
    /// Takes bytes up to the end of one part and hands out what that holds; false where all are taken and more are
    /// needed.
    pub(super) fn step(&mut self, input: &mut &[u8], sink: Sink<'_>) -> Result<bool, Fault> {
        if let Stage::Skip(left) = &mut self.stage {
            let size = input.len().min(usize::try_from(*left).unwrap_or(usize::MAX));
            *left = left.saturating_sub(u32::try_from(size).unwrap_or(u32::MAX));
            *input = input.get(size..).unwrap_or_default();
            if *left > 0 {
                return Ok(false);
            }
            self.expect(Stage::Magic, 4);
            self.complete = true;
        }
        let missing = self.wanted.saturating_sub(self.part.len());
        let (taken, rest) = input.split_at_checked(missing).unwrap_or((input, &[]));
        *input = rest;
        if taken.len() == self.wanted {
            // All of it is there in one piece.
            self.part(taken, sink).ok_or(Fault::Broken)?;
            return Ok(true);
        }
        self.part.extend_from_slice(taken);
        if self.part.len() < self.wanted {
            return Ok(false);
        }
        let mut part = core::mem::take(&mut self.part);
        let done = self.part(&part, sink);
        part.clear();
        self.part = part;
        done.map(|()| true).ok_or(Fault::Broken)
    }

    /// How much memory it has taken, in bytes.
    pub(super) fn allocated(&self) -> usize {
        let Frame { history, literals, .. } = &self.frame;
        let buffers = history.capacity().saturating_add(literals.capacity()).saturating_add(self.part.capacity());
        buffers.saturating_add(size_of::<Self>())
    }

    /// Whether the input may end here.
    pub(super) fn is_complete(&self) -> bool {
        self.complete && matches!(self.stage, Stage::Magic) && self.part.is_empty()
    }

    fn expect(&mut self, stage: Stage, wanted: usize) {
        self.stage = stage;
        self.wanted = wanted;
    }

    /// Reads a part that is there as a whole; `None` where it is not as it must be.
    fn part(&mut self, part: &[u8], sink: Sink<'_>) -> Option<()> {
        match self.stage {
            Stage::Magic => match little(part)? {
                magic if magic == u64::from(FRAME) => self.expect(Stage::Descriptor, 1),
                magic if magic & !0xf == u64::from(SKIPPABLE) => self.expect(Stage::SkipSize, 4),
                _ => return None,
            },
            Stage::Descriptor => {
                let descriptor = *part.first()?;
                // A reserved bit.
                if descriptor & 8 != 0 {
                    return None;
                }
                let [window, dictionary, content] = header_sizes(descriptor);
                let size = window.saturating_add(dictionary).saturating_add(content);
                self.expect(Stage::Header { descriptor }, size);
            }
            Stage::Header { descriptor } => {
                self.frame.begin(descriptor, part)?;
                self.expect(Stage::Block, 3);
            }
            Stage::Block => {
                let head = little(part)?;
                let (last, size) = (head & 1 == 1, usize::try_from(head >> 3).ok()?);
                if size > MAX_BLOCK {
                    return None;
                }
                let (block, wanted) = match head >> 1 & 3 {
                    0 => (Block::Raw, size),
                    1 => (Block::Repeated(size), 1),
                    2 => (Block::Packed, size),
                    _ => return None,
                };
                self.expect(Stage::Content { block, last }, wanted);
            }
            Stage::Content { block, last } => {
                let frame = &mut self.frame;
                let from = frame.make_room();
                match block {
                    Block::Raw => frame.history.extend_from_slice(part),
                    Block::Repeated(count) => frame.history.resize(from.saturating_add(count), *part.first()?),
                    Block::Packed => frame.unpack(part, from.saturating_add(MAX_BLOCK))?,
                }
                sink(frame.history.get(from..)?);
                match (last, frame.has_checksum) {
                    (false, _) => self.expect(Stage::Block, 3),
                    (true, true) => self.expect(Stage::Checksum, 4),
                    (true, false) => self.end_frame(),
                }
            }
            Stage::Checksum => self.end_frame(),
            Stage::SkipSize => self.expect(Stage::Skip(u32::try_from(little(part)?).ok()?), 0),
            Stage::Skip(_) => return None,
        }
        Some(())
    }

    fn end_frame(&mut self) {
        self.complete = true;
        self.expect(Stage::Magic, 4);
    }
}

/// How many bytes of a frame's header tell the window, the dictionary and the size of the content.
const fn header_sizes(descriptor: u8) -> [usize; 3] {
    let single = descriptor & 0x20 != 0;
    let dictionary = match descriptor & 3 {
        3 => 4,
        size => size as usize,
    };
    let content = match descriptor >> 6 {
        0 => single as usize,
        1 => 2,
        2 => 4,
        _ => 8,
    };
    [!single as usize, dictionary, content]
}

/// A number of at most eight bytes, the lowest first.
fn little(bytes: &[u8]) -> Option<u64> {
    (bytes.len() <= 8).then(|| bytes.iter().rev().fold(0, |number, byte| number << 8 | u64::from(*byte)))
}

/// How the table of a kind of code is given.
#[derive(Clone, Copy, Debug)]
struct Kind {
    default: &'static [i16],
    default_log: u32,
    max_log: u32,
    max_symbol: u8,
}

// RFC 8878, sections 3.1.1.3.2.2.1 to 3.1.1.3.2.2.3 and 3.1.1.3.2.1.
const LENGTHS: Kind = Kind {
    default: &[
        4, 3, 2, 2, 2, 2, 2, 2, 2, 2, 2, 2, 2, 1, 1, 1, 2, 2, 2, 2, 2, 2, 2, 2, 2, 3, 2, 1, 1, 1, 1, 1, -1, -1, -1, -1,
    ],
    default_log: 6,
    max_log: 9,
    max_symbol: 35,
};
const OFFSETS: Kind = Kind {
    default: &[1, 1, 1, 1, 1, 1, 2, 2, 2, 1, 1, 1, 1, 1, 1, 1, 1, 1, 1, 1, 1, 1, 1, 1, -1, -1, -1, -1, -1],
    default_log: 5,
    max_log: 8,
    max_symbol: 31,
};
const MATCHES: Kind = Kind {
    default: &[
        1, 4, 3, 2, 2, 2, 2, 2, 2, 1, 1, 1, 1, 1, 1, 1, 1, 1, 1, 1, 1, 1, 1, 1, 1, 1, 1, 1, 1, 1, 1, 1, 1, 1, 1, 1, 1,
        1, 1, 1, 1, 1, 1, 1, 1, 1, -1, -1, -1, -1, -1, -1, -1,
    ],
    default_log: 6,
    max_log: 9,
    max_symbol: 52,
};

/// The smallest length of a code for literals above 15, and how many bits are added (RFC 8878, table 16).
const LENGTH_CODES: [(u32, u32); 20] = [
    (16, 1),
    (18, 1),
    (20, 1),
    (22, 1),
    (24, 2),
    (28, 2),
    (32, 3),
    (40, 3),
    (48, 4),
    (64, 6),
    (128, 7),
    (256, 8),
    (512, 9),
    (1024, 10),
    (2048, 11),
    (4096, 12),
    (8192, 13),
    (16384, 14),
    (32768, 15),
    (65536, 16),
];

/// The same for matches, above 31 (RFC 8878, table 17).
const MATCH_CODES: [(u32, u32); 21] = [
    (35, 1),
    (37, 1),
    (39, 1),
    (41, 1),
    (43, 2),
    (47, 2),
    (51, 3),
    (59, 3),
    (67, 4),
    (83, 4),
    (99, 5),
    (131, 7),
    (259, 8),
    (515, 9),
    (1027, 10),
    (2051, 11),
    (4099, 12),
    (8195, 13),
    (16387, 14),
    (32771, 15),
    (65539, 16),
];

/// The length that a code and the bits behind it stand for. Codes below `plain` stand for themselves plus `least`.
fn length(code: u8, codes: &[(u32, u32)], plain: u8, least: u32, bits: &mut Backward<'_>) -> Option<usize> {
    let length = match code.checked_sub(plain) {
        None => u32::from(code).checked_add(least)?,
        Some(index) => {
            let (base, extra) = *codes.get(usize::from(index))?;
            base.checked_add(bits.take(extra)?)?
        }
    };
    usize::try_from(length).ok()
}

impl Kind {
    /// Reads the table at the front of `rest` as `mode` says, or leaves the one that was there.
    fn read(self, mode: u8, table: &mut fse::Table, rest: &mut &[u8]) -> Option<()> {
        match mode & 3 {
            0 => *table = fse::Table::new(self.default, self.default_log)?,
            1 => {
                let (symbol, after) = rest.split_first()?;
                if *symbol > self.max_symbol {
                    return None;
                }
                *table = fse::Table::single(*symbol);
                *rest = after;
            }
            2 => {
                let (read, used) = fse::Table::read(rest, self.max_log, self.max_symbol)?;
                *table = read;
                *rest = rest.get(used..)?;
            }
            _ => return table.is_set().then_some(()),
        }
        Some(())
    }
}

impl Frame {
    fn begin(&mut self, descriptor: u8, header: &[u8]) -> Option<()> {
        let [window, dictionary, content] = header_sizes(descriptor);
        let (window, rest) = header.split_at_checked(window)?;
        let (dictionary, content) = rest.split_at_checked(dictionary).filter(|(_, rest)| rest.len() == content)?;
        let window = match window.first() {
            Some(byte) => {
                let base = 1_u64.checked_shl(u32::from(byte >> 3).checked_add(10)?)?;
                base.checked_add((base >> 3).checked_mul(u64::from(byte & 7))?)?
            }
            None => little(content)?.checked_add(if content.len() == 2 { 256 } else { 0 })?,
        };
        // No dictionary has been agreed upon.
        if window > MAX_WINDOW || little(dictionary)? != 0 {
            return None;
        }
        let (mut history, literals) = (core::mem::take(&mut self.history), core::mem::take(&mut self.literals));
        history.clear();
        *self = Self {
            has_checksum: descriptor & 4 != 0,
            window: usize::try_from(window).ok()?,
            history,
            literals,
            recent: [1, 4, 8],
            ..Self::default()
        };
        Some(())
    }

    /// Forgets what is out of reach, once that is worth the move; gives where the next byte will stand.
    fn make_room(&mut self) -> usize {
        let spare = (self.window >> 2).saturating_add(MAX_BLOCK);
        if let Some(old) = self.history.len().checked_sub(self.window).filter(|old| *old > spare) {
            self.history.drain(..old);
        }
        self.history.len()
    }

    /// Unpacks a block; `limit` is how long the history may become.
    fn unpack(&mut self, block: &[u8], limit: usize) -> Option<()> {
        let mut literals = core::mem::take(&mut self.literals);
        literals.clear();
        let rest = self.read_literals(block, &mut literals)?;
        self.sequences(rest, &literals, limit)?;
        self.literals = literals;
        Some(())
    }

    /// Reads the literals at the front of a block; gives what follows them.
    fn read_literals<'b>(&mut self, block: &'b [u8], out: &mut Vec<u8>) -> Option<&'b [u8]> {
        let first = *block.first()?;
        let (kind, format) = (first & 3, first >> 2 & 3);
        if kind < 2 {
            let (head, shift) = match format {
                1 => (2, 4),
                3 => (3, 4),
                _ => (1, 3),
            };
            let size = usize::try_from(little(block.get(..head)?)? >> shift).ok()?;
            let rest = block.get(head..)?;
            if size > MAX_BLOCK {
                return None;
            }
            if kind == 0 {
                let (literals, rest) = rest.split_at_checked(size)?;
                out.extend_from_slice(literals);
                return Some(rest);
            }
            let (byte, rest) = rest.split_first()?;
            out.resize(size, *byte);
            return Some(rest);
        }
        let (head, width) = match format {
            0 | 1 => (3, 10),
            2 => (4, 14),
            _ => (5, 18),
        };
        let sizes = little(block.get(..head)?)? >> 4;
        let mask = 1_u64.checked_shl(width)?.checked_sub(1)?;
        let size = usize::try_from(sizes & mask).ok()?;
        let packed = usize::try_from(sizes.checked_shr(width)? & mask).ok()?;
        let (mut packed, rest) = block.get(head..)?.split_at_checked(packed)?;
        if size > MAX_BLOCK {
            return None;
        }
        if kind == 2 {
            let (table, used) = huffman::Table::read(packed)?;
            self.huffman = table;
            packed = packed.get(used..)?;
        } else if !self.huffman.is_set() {
            return None;
        }
        if format == 0 {
            self.huffman.decode(packed, size, out)?;
            return Some(rest);
        }
        // Four streams: the sizes of three, and the last one takes the rest.
        let (jumps, mut streams) = packed.split_first_chunk::<6>()?;
        let share = size.div_ceil(4);
        for jump in jumps.as_chunks::<2>().0 {
            let (stream, after) = streams.split_at_checked(usize::from(u16::from_le_bytes(*jump)))?;
            self.huffman.decode(stream, share, out)?;
            streams = after;
        }
        self.huffman.decode(streams, size.checked_sub(share.checked_mul(3)?)?, out)?;
        Some(rest)
    }

    /// Puts literals and matches together.
    fn sequences(&mut self, section: &[u8], mut literals: &[u8], limit: usize) -> Option<()> {
        let (count, mut rest) = match section {
            [0, rest @ ..] => (0, rest),
            [255, low, high, rest @ ..] => (usize::from(u16::from_le_bytes([*low, *high])).checked_add(0x7f00)?, rest),
            [first @ 128..=254, second, rest @ ..] => (usize::from(u16::from_be_bytes([first & 127, *second])), rest),
            [first @ 1..=127, rest @ ..] => (usize::from(*first), rest),
            _ => return None,
        };
        if count == 0 {
            return rest.is_empty().then(|| self.copy_literals(literals, limit))?;
        }
        let (modes, after) = rest.split_first()?;
        rest = after;
        // Reserved bits.
        if modes & 3 != 0 {
            return None;
        }
        LENGTHS.read(modes >> 6, &mut self.lengths, &mut rest)?;
        OFFSETS.read(modes >> 4, &mut self.offsets, &mut rest)?;
        MATCHES.read(modes >> 2, &mut self.matches, &mut rest)?;
        let mut bits = Backward::new(rest)?;
        let mut length_state = self.lengths.start(&mut bits)?;
        let mut offset_state = self.offsets.start(&mut bits)?;
        let mut match_state = self.matches.start(&mut bits)?;
        for left in (0..count).rev() {
            let code = u32::from(self.offsets.symbol(offset_state)?);
            let offset = 1_u32.checked_shl(code)?.checked_add(bits.take(code)?)?;
            let matched = length(self.matches.symbol(match_state)?, &MATCH_CODES, 32, 3, &mut bits)?;
            let plain = length(self.lengths.symbol(length_state)?, &LENGTH_CODES, 16, 0, &mut bits)?;
            let (now, later) = literals.split_at_checked(plain)?;
            self.copy_literals(now, limit)?;
            literals = later;
            let offset = self.offset(usize::try_from(offset).ok()?, plain == 0)?;
            self.copy_match(offset, matched, limit)?;
            if left > 0 {
                length_state = self.lengths.advance(length_state, &mut bits)?;
                match_state = self.matches.advance(match_state, &mut bits)?;
                offset_state = self.offsets.advance(offset_state, &mut bits)?;
            }
        }
        if bits.left() > 0 {
            return None;
        }
        self.copy_literals(literals, limit)
    }

    /// What an offset value means: one of the offsets used last, or a new one (RFC 8878, section 3.1.1.5).
    fn offset(&mut self, value: usize, no_literals: bool) -> Option<usize> {
        let [first, second, third] = self.recent;
        let offset = match (value, no_literals) {
            (1, false) => return Some(first),
            (2, false) | (1, true) => {
                self.recent = [second, first, third];
                return Some(second);
            }
            (3, false) | (2, true) => third,
            (3, true) => first.checked_sub(1)?,
            _ => value.checked_sub(3)?,
        };
        self.recent = [offset, first, second];
        Some(offset)
    }

    fn copy_literals(&mut self, literals: &[u8], limit: usize) -> Option<()> {
        let room = limit.checked_sub(self.history.len())?;
        if literals.len() > room {
            return None;
        }
        self.history.extend_from_slice(literals);
        Some(())
    }

    /// Repeats bytes from `offset` bytes back; the match may reach into what it makes itself.
    fn copy_match(&mut self, offset: usize, length: usize, limit: usize) -> Option<()> {
        let room = limit.checked_sub(self.history.len())?;
        if offset == 0 || offset > self.window || length > room {
            return None;
        }
        let from = self.history.len().checked_sub(offset)?;
        let mut left = length;
        while left > 0 {
            // What has been repeated can be repeated with the rest.
            let size = left.min(self.history.len().saturating_sub(from));
            let part = from..from.checked_add(size)?;
            if part.end > self.history.len() {
                return None;
            }
            self.history.extend_from_within(part);
            left = left.checked_sub(size).filter(|_| size > 0)?;
        }
        Some(())
    }
}
