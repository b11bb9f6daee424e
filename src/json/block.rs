//! What the bytes of a block are, one bit each: with vector instructions in wasm, byte by byte elsewhere.

/// How many bytes are looked at together: one for each bit of a mask, the first byte for the lowest bit.
pub(super) const BLOCK: usize = 64;

/// What blocks are asked for. Made once for many of them.
pub(super) use lanes::{Brackets, Marks};

/// How far behind its first byte a clue reaches, in bytes.
const REACH: usize = 6;

/// A block, and what a clue that begins in it may reach.
const WINDOW: usize = BLOCK + REACH;

/// How far behind the first byte of an ending the quote is that ends the key.
const END_OF_KEY: usize = 3;

/// How far behind the first byte of an ending the quote may be that starts the text, at most [`REACH`]: without a space
/// behind the colon, and with one.
const START_OF_TEXT: [usize; 2] = [5, 6];

/// How many pairs of bytes are sought together.
const PAIRS: usize = 3;

/// What is sought together in one look: pairs of neighbouring bytes, and one ending of a key with the start of a text
/// behind it. One that is rare stands for a word that holds it.
#[derive(Clone, Copy, Debug)]
pub(crate) struct Clues {
    /// Two bytes that follow each other.
    pub(crate) pairs: [[u8; 2]; PAIRS],
    /// The first of the last three bytes of a key behind which a text follows: `s` for `son":"`.
    pub(crate) ending: u8,
}

impl Clues {
    /// Whether one of them stands in these bytes. One that begins in the last [`REACH`] bytes is not seen: no member of an
    /// object has its key there.
    pub(crate) fn stand_in(&self, bytes: &[u8]) -> bool {
        let Some(last) = bytes.len().checked_sub(WINDOW) else {
            return bytes.windows(REACH.saturating_add(1)).any(|window| self.begin(window));
        };
        let finder = lanes::ClueFinder::new(self);
        let mut at = 0_usize;
        // The last window has some bytes again.
        while let Some(window) = bytes.get(at.min(last)..).and_then(|rest| rest.first_chunk::<WINDOW>()) {
            if finder.any(window) {
                return true;
            }
            if at >= last {
                break;
            }
            at = at.saturating_add(BLOCK);
        }
        false
    }

    /// Whether one of them begins with the first of these bytes.
    fn begin(&self, bytes: &[u8]) -> bool {
        let is_quote = |at: usize| bytes.get(at) == Some(&b'"');
        self.pairs.iter().any(|pair| bytes.starts_with(pair))
            || (bytes.first() == Some(&self.ending)
                && is_quote(END_OF_KEY)
                && START_OF_TEXT.iter().any(|at| is_quote(*at)))
    }
}

/// Whether a byte is a quote, a bracket or a brace.
pub(super) const fn is_bracket_or_quote(byte: u8) -> bool {
    matches!(byte, b'"' | b'[' | b']' | b'{' | b'}')
}

/// Sixteen bytes at a time.
#[cfg(all(target_arch = "wasm32", target_feature = "simd128"))]
mod lanes {
    use super::{BLOCK, Clues, END_OF_KEY, PAIRS, START_OF_TEXT, WINDOW};
    use core::arch::wasm32::{
        i8x16_bitmask, u8x16, u8x16_eq, u8x16_le, u8x16_min, u8x16_splat, u8x16_swizzle, u16x8_shr, u64x2, v128,
        v128_and, v128_any_true, v128_or, v128_xor,
    };
    use core::hint::black_box;

    /// The vectors that blocks of text are compared with, in registers: V8 makes a constant anew wherever it is used, which is
    /// as much work as the comparison. So they must not look like constants.
    pub(in crate::json) struct Marks {
        backslash: v128,
        space: v128,
        /// What makes a space of a quote, and of a space something above both.
        quote_to_space: v128,
        half: v128,
        upper: v128,
        lower: v128,
    }

    /// `"` and `/`, by their upper half.
    const HALF_2: u8 = 1;
    /// The backslash.
    const HALF_5: u8 = 2;
    /// `b`, `f` and `n`.
    const HALF_6: u8 = 4;
    /// `r` and `t`.
    const HALF_7: u8 = 8;
    /// What makes a whole escape: each upper half of a byte that occurs has a bit.
    const UPPER: v128 = u8x16(0, 0, HALF_2, 0, 0, HALF_5, HALF_6, HALF_7, 0, 0, 0, 0, 0, 0, 0, 0);
    /// A lower half has the bits of those with which it occurs.
    const LOWER: v128 = {
        const TWO: u8 = HALF_2 | HALF_6 | HALF_7;
        u8x16(0, 0, TWO, 0, HALF_7, 0, HALF_6, 0, 0, 0, 0, 0, HALF_5, 0, HALF_6, HALF_2)
    };

    impl Marks {
        #[inline]
        pub(in crate::json) fn new() -> Self {
            let each = |byte| black_box(u8x16_splat(byte));
            Self {
                backslash: each(b'\\'),
                space: each(b' '),
                quote_to_space: each(b'"' ^ b' '),
                half: each(0xf),
                upper: black_box(UPPER),
                lower: black_box(LOWER),
            }
        }

        /// Whether a block is plain text from end to end: no quote, no backslash, no control character.
        ///
        /// One answer for all of it costs a fraction of masks that say where: an image in base64 is megabytes of this.
        #[inline]
        pub(in crate::json) fn all_plain(&self, block: &[u8; BLOCK]) -> bool {
            let ([a, b, c, d], _) = block.as_chunks::<16>() else { return false };
            // The least byte tells, once what is looked for is the least there can be.
            let least = |flip| {
                let flipped = |bytes| v128_xor(load(bytes), flip);
                u8x16_min(u8x16_min(flipped(a), flipped(b)), u8x16_min(flipped(c), flipped(d)))
            };
            let ends = u8x16_le(least(self.quote_to_space), self.space);
            let backslashes = u8x16_eq(least(self.backslash), u8x16_splat(0));
            !v128_any_true(v128_or(ends, backslashes))
        }

        /// The backslashes.
        #[inline]
        pub(in crate::json) fn backslashes(&self, block: &[u8; BLOCK]) -> u64 {
            mask(block, |bytes| u8x16_eq(bytes, self.backslash))
        }

        /// The bytes that end plain text, the backslash aside: quotes and control characters.
        #[inline]
        pub(in crate::json) fn ends(&self, block: &[u8; BLOCK]) -> u64 {
            mask(block, |bytes| u8x16_le(v128_xor(bytes, self.quote_to_space), self.space))
        }

        /// The bytes that make a whole escape with a backslash before them: all but `u`.
        #[inline]
        pub(in crate::json) fn simple_escapes(&self, block: &[u8; BLOCK]) -> u64 {
            // By the two halves of a byte.
            let is_other = |bytes| {
                let upper = u8x16_swizzle(self.upper, v128_and(u16x8_shr(bytes, 4), self.half));
                let lower = u8x16_swizzle(self.lower, v128_and(bytes, self.half));
                u8x16_eq(v128_and(upper, lower), u8x16_splat(0))
            };
            !mask(block, is_other)
        }
    }

    /// The same for blocks outside strings.
    pub(in crate::json) struct Brackets {
        quote: v128,
        open: v128,
        close: v128,
        /// What makes a brace of a bracket.
        fold: v128,
    }

    impl Brackets {
        #[inline]
        pub(in crate::json) fn new() -> Self {
            let each = |byte| black_box(u8x16_splat(byte));
            Self { quote: each(b'"'), open: each(b'{'), close: each(b'}'), fold: each(b'{' ^ b'[') }
        }

        /// Where in a block the first quote, bracket or brace is.
        #[inline]
        pub(in crate::json) fn first(&self, block: &[u8; BLOCK]) -> Option<u32> {
            let ([a, b, c, d], _) = block.as_chunks::<16>() else { return None };
            let test = |bytes| {
                let folded = v128_or(bytes, self.fold);
                let brackets = v128_or(u8x16_eq(folded, self.open), u8x16_eq(folded, self.close));
                v128_or(brackets, u8x16_eq(bytes, self.quote))
            };
            // Whether there is any is one test for all of them.
            let any = v128_or(v128_or(test(load(a)), test(load(b))), v128_or(test(load(c)), test(load(d))));
            v128_any_true(any).then(|| mask(block, test).trailing_zeros())
        }
    }

    /// The same for [`Clues`](super::Clues).
    pub(in crate::json) struct ClueFinder {
        pairs: [[v128; 2]; PAIRS],
        ending: v128,
        quote: v128,
    }

    impl ClueFinder {
        #[inline(always)]
        pub(in crate::json) fn new(clues: &Clues) -> Self {
            let each = |byte| black_box(u8x16_splat(byte));
            Self { pairs: clues.pairs.map(|pair| pair.map(each)), ending: each(clues.ending), quote: each(b'"') }
        }

        /// Whether one of them begins in the first bytes of this.
        // Inlined, so that what is compared with stays in registers.
        #[inline(always)]
        pub(in crate::json) fn any(&self, window: &[u8; WINDOW]) -> bool {
            let near = v128_or(self.at::<0>(window), self.at::<16>(window));
            v128_any_true(v128_or(near, v128_or(self.at::<32>(window), self.at::<48>(window))))
        }

        /// Where among sixteen bytes one of them begins.
        #[inline(always)]
        fn at<const PLACE: usize>(&self, window: &[u8; WINDOW]) -> v128 {
            let bytes = |distance: usize| {
                let bytes = window.get(PLACE.wrapping_add(distance)..).and_then(|rest| rest.first_chunk());
                bytes.map_or_else(|| u8x16_splat(0), load)
            };
            let is_quote = |distance| u8x16_eq(bytes(distance), self.quote);
            let (first, second) = (bytes(0), bytes(1));
            let [near, far] = START_OF_TEXT;
            let key = v128_and(u8x16_eq(first, self.ending), is_quote(END_OF_KEY));
            let ending = v128_and(key, v128_or(is_quote(near), is_quote(far)));
            let pair = |[a, b]: &[v128; 2]| v128_and(u8x16_eq(first, *a), u8x16_eq(second, *b));
            let [one, two, three] = &self.pairs;
            v128_or(v128_or(ending, pair(one)), v128_or(pair(two), pair(three)))
        }
    }

    #[inline]
    fn mask(block: &[u8; BLOCK], test: impl Fn(v128) -> v128) -> u64 {
        let ([a, b, c, d], _) = block.as_chunks::<16>() else { return 0 };
        let quarter = |bytes| u64::from(i8x16_bitmask(test(load(bytes))));
        quarter(a) | quarter(b) << 16 | quarter(c) << 32 | quarter(d) << 48
    }

    /// The compiler makes one load of this.
    #[inline]
    fn load(bytes: &[u8; 16]) -> v128 {
        let whole = u128::from_le_bytes(*bytes);
        u64x2(whole as u64, (whole >> u64::BITS) as u64)
    }
}

/// One byte at a time.
#[cfg(any(not(all(target_arch = "wasm32", target_feature = "simd128")), test))]
mod bytes {
    use super::{BLOCK, Clues, REACH, WINDOW};

    /// Nothing has to be made for it.
    pub(in crate::json) struct Marks;

    impl Marks {
        pub(in crate::json) const fn new() -> Self {
            Self
        }

        /// Whether a block is plain text from end to end: no quote, no backslash, no control character.
        pub(in crate::json) fn all_plain(&self, block: &[u8; BLOCK]) -> bool {
            (self.backslashes(block) | self.ends(block)) == 0
        }

        /// The backslashes.
        pub(in crate::json) fn backslashes(&self, block: &[u8; BLOCK]) -> u64 {
            mask(block, |byte| byte == b'\\')
        }

        /// The bytes that end plain text, the backslash aside: quotes and control characters.
        pub(in crate::json) fn ends(&self, block: &[u8; BLOCK]) -> u64 {
            mask(block, |byte| byte == b'"' || byte < b' ')
        }

        /// The bytes that make a whole escape with a backslash before them: all but `u`.
        pub(in crate::json) fn simple_escapes(&self, block: &[u8; BLOCK]) -> u64 {
            mask(block, |byte| matches!(byte, b'"' | b'\\' | b'/' | b'b' | b'f' | b'n' | b'r' | b't'))
        }
    }

    /// As [`Marks`].
    pub(in crate::json) struct Brackets;

    impl Brackets {
        pub(in crate::json) const fn new() -> Self {
            Self
        }

        /// Where in a block the first quote, bracket or brace is.
        pub(in crate::json) fn first(&self, block: &[u8; BLOCK]) -> Option<u32> {
            let stops = mask(block, super::is_bracket_or_quote);
            (stops != 0).then(|| stops.trailing_zeros())
        }
    }

    /// As [`Marks`].
    pub(in crate::json) struct ClueFinder<'c>(&'c Clues);

    impl<'c> ClueFinder<'c> {
        pub(in crate::json) const fn new(clues: &'c Clues) -> Self {
            Self(clues)
        }

        /// Whether one of them begins in the first bytes of this.
        pub(in crate::json) fn any(&self, window: &[u8; WINDOW]) -> bool {
            window.windows(REACH.saturating_add(1)).any(|bytes| self.0.begin(bytes))
        }
    }

    fn mask(block: &[u8; BLOCK], test: impl Fn(u8) -> bool) -> u64 {
        block.iter().rev().fold(0, |mask, byte| mask << 1 | u64::from(test(*byte)))
    }
}
#[cfg(not(all(target_arch = "wasm32", target_feature = "simd128")))]
use bytes as lanes;

#[cfg(test)]
mod tests {
    use super::bytes::{Brackets as BracketsOneByOne, ClueFinder as CluesOneByOne, Marks as OneByOne};
    use super::*;
    #[cfg(target_family = "wasm")]
    use wasm_bindgen_test::wasm_bindgen_test as test;

    #[test]
    fn sees_every_byte_at_every_place_as_one_by_one() {
        let (marks, one_by_one) = (Marks::new(), OneByOne::new());
        let (brackets, brackets_one_by_one) = (Brackets::new(), BracketsOneByOne::new());
        for byte in 0..=u8::MAX {
            for place in 0..BLOCK {
                let mut block = [b'a'; BLOCK];
                block[place] = byte;
                let all = |marks: &Marks| {
                    (
                        marks.all_plain(&block),
                        marks.backslashes(&block),
                        marks.ends(&block),
                        marks.simple_escapes(&block),
                    )
                };
                let expected = (
                    one_by_one.all_plain(&block),
                    one_by_one.backslashes(&block),
                    one_by_one.ends(&block),
                    one_by_one.simple_escapes(&block),
                );
                assert_eq!(all(&marks), expected, "{byte} at {place}");
                let first = brackets.first(&block);
                assert_eq!(first, brackets_one_by_one.first(&block), "{byte} at {place}");
                assert_eq!(first, is_bracket_or_quote(byte).then_some(place as u32), "{byte} at {place}");
            }
        }
    }

    #[test]
    fn finds_clues_wherever_they_begin_but_at_the_very_end() {
        let clues = Clues { pairs: [*b"ok", *b"rr", *b"qq"], ending: b's' };
        for length in 0..3 * BLOCK {
            let mut bytes = vec![b'k'; length];
            assert!(!clues.stand_in(&bytes), "{length}");
            for place in 0..length {
                for clue in ["ok", "rr", "son\":\"", "son\": \""] {
                    let end = (place + clue.len()).min(length);
                    bytes[place..end].copy_from_slice(&clue.as_bytes()[..end - place]);
                    assert_eq!(clues.stand_in(&bytes), place + REACH < length, "{length}, {clue} at {place}");
                    if let Some(window) = bytes.last_chunk() {
                        let expected = CluesOneByOne::new(&clues).any(window);
                        assert_eq!(lanes::ClueFinder::new(&clues).any(window), expected, "{length}, {clue} at {place}");
                    }
                    bytes[place..end].fill(b'k');
                }
                for other in ["son\":n", "sxn\"\"", "xon\":\""] {
                    let end = (place + other.len()).min(length);
                    bytes[place..end].copy_from_slice(&other.as_bytes()[..end - place]);
                    assert!(!clues.stand_in(&bytes), "{length}, {other} at {place}");
                    bytes[place..end].fill(b'k');
                }
            }
            // Halves that are no neighbours.
            bytes.fill(b'r');
            bytes.iter_mut().step_by(2).for_each(|byte| *byte = b'o');
            assert!(!clues.stand_in(&bytes), "{length}");
        }
    }
}
