//! Huffman codes of literals (RFC 8878, section 4.2).

use super::bits::Backward;
use super::fse;

/// How long a code can be, in bits.
const MAX_BITS: u32 = 11;

/// The largest accuracy of the table that packs the weights.
const MAX_WEIGHTS_LOG: u32 = 6;

/// How many symbols have a weight of their own at most; that of one more follows from the others.
const MAX_WEIGHTS: usize = 255;

/// A decoding table: what the next bits begin with.
#[derive(Clone, Debug, Default)]
pub(super) struct Table {
    /// A symbol and the length of its code, for each value of [`Table::bits`] bits.
    entries: Vec<(u8, u8)>,
    bits: u32,
}

impl Table {
    /// Reads the description at the front of `bytes`; gives the table and how many bytes it took.
    pub(super) fn read(bytes: &[u8]) -> Option<(Self, usize)> {
        let (head, rest) = bytes.split_first()?;
        let (weights, used) = match head.checked_sub(127) {
            None | Some(0) => {
                let size = usize::from(*head);
                (packed_weights(rest.get(..size)?)?, size)
            }
            Some(count) => {
                let size = usize::from(count).div_ceil(2);
                let nibbles = rest.get(..size)?.iter().flat_map(|byte| [byte >> 4, byte & 15]);
                (nibbles.take(usize::from(count)).collect(), size)
            }
        };
        Some((Self::new(weights)?, used.checked_add(1)?))
    }

    fn new(mut weights: Vec<u8>) -> Option<Self> {
        let mut sum = 0_u32;
        for weight in &weights {
            if u32::from(*weight) > MAX_BITS {
                return None;
            }
            sum = sum.checked_add(1_u32.checked_shl(u32::from(*weight))? >> 1)?;
        }
        // What is missing to the next power of two is the weight of the last symbol.
        let bits = sum.checked_ilog2()?.checked_add(1)?;
        let size = 1_u32.checked_shl(bits)?;
        let missing = size.checked_sub(sum)?;
        if bits > MAX_BITS || !missing.is_power_of_two() {
            return None;
        }
        weights.push(u8::try_from(missing.checked_ilog2()?.checked_add(1)?).ok()?);
        let mut entries = Vec::with_capacity(usize::try_from(size).ok()?);
        for weight in 1..=u8::try_from(bits).ok()? {
            let length = u8::try_from(bits.checked_add(1)?.checked_sub(u32::from(weight))?).ok()?;
            let share = 1_usize.checked_shl(u32::from(weight))? >> 1;
            for (symbol, _) in (0_u8..=255).zip(&weights).filter(|(_, other)| **other == weight) {
                entries.extend(core::iter::repeat_n((symbol, length), share));
            }
        }
        (entries.len() == usize::try_from(size).ok()?).then_some(Self { entries, bits })
    }

    /// Whether a block before has set it.
    pub(super) const fn is_set(&self) -> bool {
        !self.entries.is_empty()
    }

    /// Decodes one stream of `count` symbols, which takes all of `bytes`.
    pub(super) fn decode(&self, bytes: &[u8], count: usize, out: &mut Vec<u8>) -> Option<()> {
        let mut stream = Backward::new(bytes)?;
        for _ in 0..count {
            let (symbol, length) = *self.entries.get(stream.peek(self.bits) as usize)?;
            stream.skip(u32::from(length))?;
            out.push(symbol);
        }
        (stream.left() == 0).then_some(())
    }
}

/// Weights packed with a table of their own, from two states in turn until the bits are used up.
fn packed_weights(bytes: &[u8]) -> Option<Vec<u8>> {
    let (table, used) = fse::Table::read(bytes, MAX_WEIGHTS_LOG, 255)?;
    let mut bits = Backward::new(bytes.get(used..)?)?;
    let (mut first, mut second) = (table.start(&mut bits)?, table.start(&mut bits)?);
    let mut weights = Vec::new();
    while weights.len() < MAX_WEIGHTS {
        weights.push(table.symbol(first)?);
        match table.advance(first, &mut bits) {
            Some(next) => first = next,
            None => {
                weights.push(table.symbol(second)?);
                return (weights.len() <= MAX_WEIGHTS).then_some(weights);
            }
        }
        core::mem::swap(&mut first, &mut second);
    }
    None
}
