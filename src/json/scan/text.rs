//! The inside of a string: escapes, surrogate pairs, control characters. Resumes at any byte.

/// How many bytes of a longer run are looked at together.
const BLOCK: usize = 64;

/// How many pairs of words of a run are looked at one by one before it counts as a longer one.
const SHORT_RUN: u32 = 8;

/// Whether the loop over a block becomes vector instructions; without them it is slower than words by far.
const VECTORS: bool = cfg!(any(not(target_family = "wasm"), target_feature = "simd128"));

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
            rest = skip_escapes(skip_plain(rest));
        }
        let Some((&byte, tail)) = rest.split_first() else { return (Stop::More, rest) };
        if *text == Text::Plain {
            if byte == b'"' {
                return (Stop::Closed, tail);
            }
            if byte >= b' ' && byte != b'\\' {
                // An escape has just ended and plain text goes on.
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

/// Skips plain text.
///
/// Runs are short where there are escapes and long in base64. Pairs of eight-byte words are best for the former. Blocks
/// are best for the latter: their loop becomes vector instructions, on wasm with simd128 as well as natively. Against
/// `memchr2` and a second pass for control characters this halves the time of the former and equals the latter.
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
        if VECTORS && pairs == SHORT_RUN {
            rest = skip_plain_blocks(rest);
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

/// Skips blocks that are plain text throughout.
fn skip_plain_blocks(mut rest: &[u8]) -> &[u8] {
    while let Some((block, tail)) = rest.split_first_chunk::<BLOCK>() {
        // Without a short cut, for the loop to be vectorised.
        if block.iter().fold(false, |ends, byte| ends | ends_run(*byte)) {
            break;
        }
        rest = tail;
    }
    rest
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
