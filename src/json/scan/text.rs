//! The inside of a string: escapes, surrogate pairs, control characters. Resumes at any byte.

use crate::json::block::{BLOCK, Marks};

/// How many pairs of words of plain text are looked at one by one before whole blocks are.
const SHORT_RUN: u32 = 2;

/// Where in a string the input ended.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Text {
    /// Between characters or inside a multi-byte one.
    Plain,
    /// After the backslash.
    Escape,
    /// Within `\uXXXX`: digits to come, value so far, and whether only a low surrogate will do.
    Hex { left: u8, unit: u16, low: bool },
    /// After a high surrogate: the backslash of the low one must follow.
    PairBackslash,
    /// After that backslash: the `u` must follow.
    PairU,
}

/// How a run through a string ended.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Stop {
    /// At the closing quote, which is consumed.
    Closed,
    /// At the end of the input.
    More,
    /// At a byte that cannot stand there, which is not consumed.
    Bad,
}

/// Runs to the end of the string or of the input.
#[inline]
pub(super) fn run<'a>(text: &mut Text, mut rest: &'a [u8]) -> (Stop, &'a [u8]) {
    loop {
        if *text == Text::Plain {
            rest = skip_plain(rest);
            if !rest.starts_with(b"\"") && !rest.starts_with(b"\\u") {
                (*text, rest) = skip_blocks(rest);
            }
            if *text == Text::Plain {
                rest = skip_escapes(rest);
            }
        }
        let Some((&byte, tail)) = rest.split_first() else { return (Stop::More, rest) };
        if *text == Text::Plain {
            if byte == b'"' {
                return (Stop::Closed, tail);
            }
            if byte >= b' ' && byte != b'\\' {
                // Plain text goes on after an escape or a block.
                continue;
            }
        }
        // An escape that is malformed or cut by the end of the input goes byte by byte.
        let Some(next) = step(*text, byte) else { return (Stop::Bad, rest) };
        *text = next;
        rest = tail;
    }
}

/// Whether a byte ends a run of plain text: quote, backslash and control characters.
const fn ends_run(byte: u8) -> bool {
    byte < b' ' || byte == b'"' || byte == b'\\'
}

/// The same for eight bytes at once, the first in the lowest bits: the lowest bit set is the highest bit of the first
/// byte that ends a run.
const fn ends_run_in(word: u64) -> u64 {
    const EACH: u64 = u64::from_le_bytes([1; 8]);
    const HIGH: u64 = u64::from_le_bytes([0x80; 8]);
    const SPACE: u64 = u64::from_le_bytes([b' '; 8]);
    const QUOTE: u64 = u64::from_le_bytes([b'"'; 8]);
    const BACKSLASH: u64 = u64::from_le_bytes([b'\\'; 8]);
    // A byte below the one that is subtracted borrows into its high bit. It also borrows from the next byte, which may
    // be marked wrongly then; the lowest mark is right all the same.
    let control = word.wrapping_sub(SPACE);
    let quote = (word ^ QUOTE).wrapping_sub(EACH);
    let backslash = (word ^ BACKSLASH).wrapping_sub(EACH);
    (control | quote | backslash) & !word & HIGH
}

/// Skips the beginning of plain text, the whole of it where it is short or the input ends soon.
///
/// Keys and the words of an enumeration are short. Pairs of eight-byte words are best for them.
#[inline]
fn skip_plain(mut rest: &[u8]) -> &[u8] {
    let mut pairs = 0u32;
    while let Some((pair, tail)) = rest.split_first_chunk() {
        let pair = u128::from_le_bytes(*pair);
        let (low, high) = (ends_run_in(pair as u64), ends_run_in((pair >> u64::BITS) as u64));
        if low | high != 0 {
            let bits = if low != 0 { low.trailing_zeros() } else { high.trailing_zeros().saturating_add(u64::BITS) };
            return rest.get((bits / u8::BITS) as usize..).unwrap_or_default();
        }
        rest = tail;
        pairs = pairs.wrapping_add(1);
        if pairs == SHORT_RUN {
            return rest;
        }
    }
    while let Some((&byte, tail)) = rest.split_first() {
        if ends_run(byte) {
            break;
        }
        rest = tail;
    }
    rest
}

/// Skips whole blocks of plain text and simple escapes, and up to what else stands in the last one. Says whether that
/// is after a backslash.
///
/// What is escaped is computed for a block at once: with a branch for each escape, a text full of them takes three times
/// as long.
fn skip_blocks(mut rest: &[u8]) -> (Text, &[u8]) {
    // Whether the first byte of the block is escaped, in the lowest bit.
    let mut first = 0;
    let marks = Marks::new();
    while let Some((block, tail)) = rest.split_first_chunk::<BLOCK>() {
        let backslashes = marks.backslashes(block);
        let (escaped, next) = escaped(backslashes, first);
        let ends = marks.ends(block) & !escaped;
        let odd = if escaped == 0 { 0 } else { escaped & !marks.simple_escapes(block) };
        if ends | odd != 0 {
            let at = (ends | odd).trailing_zeros();
            if odd.checked_shr(at).unwrap_or_default() & 1 == 0 {
                return (Text::Plain, rest.get(at as usize..).unwrap_or_default());
            }
            // Back to the backslash, if it is in this block.
            return match (at as usize).checked_sub(1) {
                Some(at) => (Text::Plain, rest.get(at..).unwrap_or_default()),
                None => (Text::Escape, rest),
            };
        }
        first = next;
        rest = if backslashes == 0 { skip_plain_blocks(&marks, tail) } else { tail };
    }
    (if first == 0 { Text::Plain } else { Text::Escape }, rest)
}

/// Skips the blocks at the start in which there is nothing to see.
#[inline]
fn skip_plain_blocks<'a>(marks: &Marks, mut rest: &'a [u8]) -> &'a [u8] {
    while let Some((block, tail)) = rest.split_first_chunk()
        && marks.all_plain(block)
    {
        rest = tail;
    }
    rest
}

/// Which bytes of a block are escaped, given its backslashes and whether the first byte is; and the latter for the next
/// block. In a row of backslashes every other one is escaped.
const fn escaped(backslashes: u64, first: u64) -> (u64, u64) {
    const ODD_PLACES: u64 = 0xaaaa_aaaa_aaaa_aaaa;
    // Backslashes that are not escaped by the block before this one.
    let free = backslashes & !first;
    // A row that starts at an odd place borrows from the marks of the odd places, one at an even place from those after
    // it: what is left differs from those marks in each byte of the row that escapes, and in the one that ends it.
    let escapes_or_end = ((free << 1) | ODD_PLACES).wrapping_sub(free) ^ ODD_PLACES;
    let escaped = escapes_or_end ^ (backslashes | first);
    (escaped, (escapes_or_end & backslashes) >> 63)
}

/// Skips the well-formed escapes at the start that are not cut by the end of the input.
#[inline]
fn skip_escapes(mut rest: &[u8]) -> &[u8] {
    loop {
        rest = match rest {
            [b'\\', b'"' | b'\\' | b'/' | b'b' | b'f' | b'n' | b'r' | b't', tail @ ..] => tail,
            [b'\\', b'u', a, b, c, d, tail @ ..] => match hex([*a, *b, *c, *d]) {
                Some(0xd800..=0xdbff) => match tail {
                    [b'\\', b'u', a, b, c, d, tail @ ..] if matches!(hex([*a, *b, *c, *d]), Some(0xdc00..=0xdfff)) => {
                        tail
                    }
                    _ => return rest,
                },
                Some(0xdc00..=0xdfff) | None => return rest,
                Some(_) => tail,
            },
            _ => return rest,
        };
    }
}

/// One byte of an escape, or the byte that starts one.
fn step(text: Text, byte: u8) -> Option<Text> {
    Some(match (text, byte) {
        (Text::Plain, b'\\') => Text::Escape,
        (Text::Escape, b'"' | b'\\' | b'/' | b'b' | b'f' | b'n' | b'r' | b't') => Text::Plain,
        (Text::Escape, b'u') => Text::Hex { left: 4, unit: 0, low: false },
        (Text::Hex { left, unit, low }, _) => {
            let unit = unit << 4 | u16::from(nibble(byte)?);
            match (left.saturating_sub(1), unit) {
                (0, 0xdc00..=0xdfff) if low => Text::Plain,
                (0, 0xd800..=0xdbff) if !low => Text::PairBackslash,
                (0, 0xdc00..=0xdfff) => return None,
                (0, _) if low => return None,
                (0, _) => Text::Plain,
                (left, unit) => Text::Hex { left, unit, low },
            }
        }
        (Text::PairBackslash, b'\\') => Text::PairU,
        (Text::PairU, b'u') => Text::Hex { left: 4, unit: 0, low: true },
        _ => return None,
    })
}

/// The value of four hexadecimal digits.
#[inline]
fn hex(digits: [u8; 4]) -> Option<u16> {
    let [a, b, c, d] = digits.map(|digit| NIBBLES.get(usize::from(digit)).copied().unwrap_or(NO_NIBBLE));
    // A value that is no digit has a bit set above the nibble.
    if (a | b | c | d) > 0xf {
        return None;
    }
    Some(u16::from(a) << 12 | u16::from(b) << 8 | u16::from(c) << 4 | u16::from(d))
}

/// What the table of hexadecimal digits holds for every other byte.
const NO_NIBBLE: u8 = 0xff;

/// Hexadecimal digits by byte: a body written by an ASCII-only encoder is all `\uXXXX`.
static NIBBLES: [u8; 256] = nibbles();

#[allow(clippy::indexing_slicing, clippy::arithmetic_side_effects, reason = "evaluated at compile time only")]
const fn nibbles() -> [u8; 256] {
    let mut table = [NO_NIBBLE; 256];
    let mut byte = 0u8;
    loop {
        if let Some(value) = nibble(byte) {
            table[byte as usize] = value;
        }
        if byte == u8::MAX {
            return table;
        }
        byte += 1;
    }
}

const fn nibble(byte: u8) -> Option<u8> {
    match byte {
        b'0'..=b'9' => Some(byte.wrapping_sub(b'0')),
        b'a'..=b'f' => Some(byte.wrapping_sub(b'a').wrapping_add(10)),
        b'A'..=b'F' => Some(byte.wrapping_sub(b'A').wrapping_add(10)),
        _ => None,
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    #[cfg(target_family = "wasm")]
    use wasm_bindgen_test::wasm_bindgen_test as test;

    /// How a run through the pieces ends, and how many bytes it consumes.
    fn run_all(pieces: &[&[u8]]) -> (Text, Stop, usize) {
        let (mut text, mut consumed) = (Text::Plain, 0);
        for piece in pieces {
            let (stop, rest) = run(&mut text, piece);
            consumed += piece.len() - rest.len();
            if stop != Stop::More {
                return (text, stop, consumed);
            }
        }
        (text, Stop::More, consumed)
    }

    #[test]
    fn reads_blocks_as_it_reads_single_bytes() {
        /// What strings are made of here: mostly what continues them.
        const PARTS: [&str; 14] = [
            r"\n",
            r#"\""#,
            r"\\",
            r"\/",
            r"\t",
            r"\u00e9",
            r"\ud83e\udd80",
            "é",
            "a",
            "bnrtf",
            "u0041",
            " ",
            "\\",
            "",
        ];
        const ENDS: [&str; 8] = ["\"", "\n", r"\x", r"\u12g4", r"\ud800", r"\ud83e\n", "\\", ""];
        let mut state = 1_u64;
        let mut below = |bound: usize| {
            state = state.wrapping_mul(6_364_136_223_846_793_005).wrapping_add(1_442_695_040_888_963_407);
            (state >> 33) as usize % bound
        };
        for _ in 0..20_000 {
            // Few kinds at a time: long rows of backslashes and long plain runs are rare otherwise.
            let kinds: Vec<&str> = (0..=below(4)).map(|_| PARTS[below(PARTS.len())]).collect();
            let mut body: String = (0..below(3 * BLOCK)).map(|_| kinds[below(kinds.len())]).collect();
            body.push_str(ENDS[below(ENDS.len())]);
            body.extend((0..below(2 * BLOCK)).map(|_| PARTS[below(PARTS.len())]));
            let body = body.as_bytes();
            let bytes: Vec<&[u8]> = body.chunks(1).collect();
            let expected = run_all(&bytes);
            assert_eq!(run_all(&[body]), expected, "{}", body.escape_ascii());
            let (head, tail) = body.split_at(below(body.len() + 1));
            assert_eq!(run_all(&[head, tail]), expected, "{} | {}", head.escape_ascii(), tail.escape_ascii());
        }
    }
}
