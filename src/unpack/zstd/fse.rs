//! Finite state entropy tables (RFC 8878, section 4.1).

use super::bits::{Backward, Forward};

/// What a state stands for, and which state follows.
#[derive(Clone, Copy, Debug, Default)]
struct Entry {
    symbol: u8,
    /// How many bits are added to `base` for the next state.
    bits: u8,
    base: u16,
}

/// A decoding table.
#[derive(Clone, Debug, Default)]
pub(super) struct Table {
    entries: Vec<Entry>,
    /// The logarithm of its size.
    log: u32,
}

/// A position in a table.
#[derive(Clone, Copy, Debug)]
pub(super) struct State(u32);

impl Table {
    /// A table of one symbol.
    pub(super) fn single(symbol: u8) -> Self {
        Self { entries: vec![Entry { symbol, bits: 0, base: 0 }], log: 0 }
    }

    /// Reads the distribution at the front of `bytes`; gives the table and how many bytes it took.
    pub(super) fn read(bytes: &[u8], max_log: u32, max_symbol: u8) -> Option<(Self, usize)> {
        let mut bits = Forward::new(bytes);
        let log = bits.take(4)?.checked_add(5)?;
        if log > max_log {
            return None;
        }
        let mut counts = Vec::new();
        let mut remaining = 1_u32.checked_shl(log)?;
        while remaining > 0 && counts.len() <= usize::from(max_symbol) {
            // Values up to `remaining + 1`, the low ones of which take one bit less.
            let most = remaining.checked_add(1)?;
            let width = most.checked_ilog2()?.checked_add(1)?;
            let low_mask = 1_u32.checked_shl(width.checked_sub(1)?)?.checked_sub(1)?;
            let short = 1_u32.checked_shl(width)?.checked_sub(1)?.checked_sub(most)?;
            let mut value = bits.peek(width);
            if value & low_mask < short {
                bits.skip(width.checked_sub(1)?)?;
                value &= low_mask;
            } else {
                bits.skip(width)?;
                if value > low_mask {
                    value = value.checked_sub(short)?;
                }
            }
            let count = i16::try_from(value).ok()?.checked_sub(1)?;
            remaining = remaining.checked_sub(u32::from(count.unsigned_abs()))?;
            counts.push(count);
            // Behind a zero stands how many more follow, two bits at a time.
            let mut more = if count == 0 { 3 } else { 0 };
            while more == 3 {
                more = bits.take(2)?;
                counts.extend((0..more).map(|_| 0));
                if counts.len() > usize::from(max_symbol) {
                    break;
                }
            }
        }
        if remaining > 0 || counts.len() > usize::from(max_symbol).saturating_add(1) {
            return None;
        }
        Some((Self::new(&counts, log)?, bits.used()))
    }

    /// Builds the table of a distribution: for each symbol how many states it has, -1 for one at the end of the table.
    pub(super) fn new(counts: &[i16], log: u32) -> Option<Self> {
        let size = 1_usize.checked_shl(log)?;
        let mut entries = vec![Entry::default(); size];
        let mut next = [0_u16; 256];
        let mut high = size;
        for ((symbol, count), next) in (0_u8..=255).zip(counts).zip(&mut next) {
            *next = count.unsigned_abs();
            if *count == -1 {
                high = high.checked_sub(1)?;
                entries.get_mut(high)?.symbol = symbol;
            }
        }
        let step = (size >> 1).checked_add(size >> 3)?.checked_add(3)?;
        let mask = size.checked_sub(1)?;
        let mut at = 0_usize;
        for (symbol, count) in (0_u8..=255).zip(counts) {
            for _ in 0..(*count).max(0) {
                entries.get_mut(at)?.symbol = symbol;
                at = at.checked_add(step)? & mask;
                while at >= high {
                    at = at.checked_add(step)? & mask;
                }
            }
        }
        if at != 0 {
            return None;
        }
        for entry in &mut entries {
            let next = next.get_mut(usize::from(entry.symbol))?;
            let state = *next;
            *next = next.checked_add(1)?;
            let bits = log.checked_sub(u32::from(state).checked_ilog2()?)?;
            entry.bits = u8::try_from(bits).ok()?;
            entry.base =
                u16::try_from(u32::from(state).checked_shl(bits)?.checked_sub(u32::try_from(size).ok()?)?).ok()?;
        }
        Some(Self { entries, log })
    }

    /// Whether a block before has set it.
    pub(super) const fn is_set(&self) -> bool {
        !self.entries.is_empty()
    }

    /// Reads the first state.
    pub(super) fn start(&self, bits: &mut Backward<'_>) -> Option<State> {
        bits.take(self.log).map(State)
    }

    #[inline]
    fn entry(&self, state: State) -> Option<Entry> {
        self.entries.get(state.0 as usize).copied()
    }

    /// What a state stands for.
    #[inline]
    pub(super) fn symbol(&self, state: State) -> Option<u8> {
        self.entry(state).map(|entry| entry.symbol)
    }

    /// Goes to the next state; `None` where there are not enough bits.
    #[inline]
    pub(super) fn advance(&self, state: State, bits: &mut Backward<'_>) -> Option<State> {
        let entry = self.entry(state)?;
        let more = bits.take(u32::from(entry.bits))?;
        Some(State(u32::from(entry.base).wrapping_add(more)))
    }
}
