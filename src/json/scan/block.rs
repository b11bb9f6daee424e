//! What the bytes of a block are, one bit each: with vector instructions in wasm, byte by byte elsewhere.

/// How many bytes are looked at together: one for each bit of a mask, the first byte for the lowest bit.
pub(super) const BLOCK: usize = 64;

/// The backslashes.
#[inline]
pub(super) fn backslashes(block: &[u8; BLOCK]) -> u64 {
    lanes::mask(block, lanes::is_backslash)
}

/// The bytes that end plain text, the backslash aside: quotes and control characters.
#[inline]
pub(super) fn ends(block: &[u8; BLOCK]) -> u64 {
    lanes::mask(block, lanes::is_end)
}

/// The bytes that make a whole escape with a backslash before them: all but `u`.
#[inline]
pub(super) fn simple_escapes(block: &[u8; BLOCK]) -> u64 {
    lanes::mask(block, lanes::is_simple_escape)
}

/// Sixteen bytes at a time.
#[cfg(all(target_arch = "wasm32", target_feature = "simd128"))]
mod lanes {
    use super::BLOCK;
    use core::arch::wasm32::{
        i8x16_bitmask, u8x16, u8x16_eq, u8x16_lt, u8x16_ne, u8x16_splat, u8x16_swizzle, u16x8_shr, u64x2, v128,
        v128_and, v128_or,
    };

    #[inline]
    pub(super) fn mask(block: &[u8; BLOCK], test: impl Fn(v128) -> v128) -> u64 {
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

    #[inline]
    pub(super) fn is_backslash(bytes: v128) -> v128 {
        u8x16_eq(bytes, u8x16_splat(b'\\'))
    }

    #[inline]
    pub(super) fn is_end(bytes: v128) -> v128 {
        v128_or(u8x16_eq(bytes, u8x16_splat(b'"')), u8x16_lt(bytes, u8x16_splat(b' ')))
    }

    /// By the two halves of a byte. Each upper half that occurs has a bit; a lower half has those with which it occurs.
    #[inline]
    pub(super) fn is_simple_escape(bytes: v128) -> v128 {
        /// `"` and `/`.
        const HALF_2: u8 = 1;
        /// The backslash.
        const HALF_5: u8 = 2;
        /// `b`, `f` and `n`.
        const HALF_6: u8 = 4;
        /// `r` and `t`.
        const HALF_7: u8 = 8;
        const UPPER: v128 = u8x16(0, 0, HALF_2, 0, 0, HALF_5, HALF_6, HALF_7, 0, 0, 0, 0, 0, 0, 0, 0);
        const LOWER: v128 = {
            const TWO: u8 = HALF_2 | HALF_6 | HALF_7;
            u8x16(0, 0, TWO, 0, HALF_7, 0, HALF_6, 0, 0, 0, 0, 0, HALF_5, 0, HALF_6, HALF_2)
        };
        let half = u8x16_splat(0xf);
        let upper = u8x16_swizzle(UPPER, v128_and(u16x8_shr(bytes, 4), half));
        let lower = u8x16_swizzle(LOWER, v128_and(bytes, half));
        u8x16_ne(v128_and(upper, lower), u8x16_splat(0))
    }
}

/// One byte at a time.
#[cfg(any(not(all(target_arch = "wasm32", target_feature = "simd128")), test))]
mod bytes {
    use super::BLOCK;

    pub(super) fn mask(block: &[u8; BLOCK], test: impl Fn(u8) -> bool) -> u64 {
        block.iter().rev().fold(0, |mask, byte| mask << 1 | u64::from(test(*byte)))
    }

    pub(super) const fn is_backslash(byte: u8) -> bool {
        byte == b'\\'
    }

    pub(super) const fn is_end(byte: u8) -> bool {
        byte == b'"' || byte < b' '
    }

    pub(super) const fn is_simple_escape(byte: u8) -> bool {
        matches!(byte, b'"' | b'\\' | b'/' | b'b' | b'f' | b'n' | b'r' | b't')
    }
}
#[cfg(not(all(target_arch = "wasm32", target_feature = "simd128")))]
use bytes as lanes;

#[cfg(test)]
mod tests {
    use super::*;
    #[cfg(target_family = "wasm")]
    use wasm_bindgen_test::wasm_bindgen_test as test;

    #[test]
    fn sees_every_byte_at_every_place_as_one_by_one() {
        for byte in 0..=u8::MAX {
            for place in 0..BLOCK {
                let mut block = [b'a'; BLOCK];
                block[place] = byte;
                assert_eq!(backslashes(&block), bytes::mask(&block, bytes::is_backslash), "{byte} at {place}");
                assert_eq!(ends(&block), bytes::mask(&block, bytes::is_end), "{byte} at {place}");
                assert_eq!(simple_escapes(&block), bytes::mask(&block, bytes::is_simple_escape), "{byte} at {place}");
            }
        }
    }
}
