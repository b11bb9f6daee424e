//! The two directions in which Zstandard reads bits.

/// Reads bits from the front, the lowest of each byte first.
pub(super) struct Forward<'b> {
    bytes: &'b [u8],
    /// How many bits have been read.
    at: usize,
}

impl<'b> Forward<'b> {
    pub(super) const fn new(bytes: &'b [u8]) -> Self {
        Self { bytes, at: 0 }
    }

    /// The next bits, at most 16, which are not taken. Behind the end there are zeros.
    pub(super) fn peek(&self, count: u32) -> u32 {
        let start = self.at / 8;
        let byte = |index: usize| u32::from(self.bytes.get(start.saturating_add(index)).copied().unwrap_or_default());
        let word = byte(0) | byte(1) << 8 | byte(2) << 16;
        let shifted = word >> (self.at % 8);
        shifted & mask(count)
    }

    /// Takes bits that have been looked at; `None` where there are not that many.
    pub(super) fn skip(&mut self, count: u32) -> Option<()> {
        let at = self.at.checked_add(usize::try_from(count).ok()?)?;
        self.at = (at <= self.bytes.len().saturating_mul(8)).then_some(at)?;
        Some(())
    }

    /// Takes the next bits, at most 16.
    pub(super) fn take(&mut self, count: u32) -> Option<u32> {
        let value = self.peek(count);
        self.skip(count)?;
        Some(value)
    }

    /// How many bytes have been begun.
    pub(super) const fn used(&self) -> usize {
        self.at.div_ceil(8)
    }
}

/// Reads bits from the back: a stream ends with a bit that is set, and is read from there to its front.
pub(super) struct Backward<'b> {
    bytes: &'b [u8],
    /// How many bits are left.
    left: usize,
}

impl<'b> Backward<'b> {
    /// `None` where the mark of the end is missing.
    pub(super) fn new(bytes: &'b [u8]) -> Option<Self> {
        let (last, before) = bytes.split_last()?;
        let top = usize::try_from(last.checked_ilog2()?).ok()?;
        Some(Self { bytes, left: before.len().checked_mul(8)?.checked_add(top)? })
    }

    pub(super) const fn left(&self) -> usize {
        self.left
    }

    /// The next bits, at most 32, which are not taken. In front of the beginning there are zeros.
    #[inline]
    pub(super) fn peek(&self, count: u32) -> u32 {
        let wanted = count as usize;
        let (from, missing) = match self.left.checked_sub(wanted) {
            Some(from) => (from, 0),
            None => (0, count.saturating_sub(self.left as u32)),
        };
        let rest = self.bytes.get(from / 8..).unwrap_or_default();
        let word = match rest.first_chunk::<8>() {
            Some(chunk) => u64::from_le_bytes(*chunk),
            None => rest.iter().rev().fold(0, |word, byte| word << 8 | u64::from(*byte)),
        };
        let bits = (word >> (from % 8)) as u32 & mask(count.saturating_sub(missing));
        bits.checked_shl(missing).unwrap_or_default()
    }

    /// Takes bits that have been looked at; `None` where there are not that many.
    #[inline]
    pub(super) fn skip(&mut self, count: u32) -> Option<()> {
        self.left = self.left.checked_sub(count as usize)?;
        Some(())
    }

    /// Takes the next bits, at most 32.
    #[inline]
    pub(super) fn take(&mut self, count: u32) -> Option<u32> {
        let value = self.peek(count);
        self.skip(count)?;
        Some(value)
    }
}

const fn mask(count: u32) -> u32 {
    match 1_u32.checked_shl(count) {
        Some(top) => top.wrapping_sub(1),
        None => u32::MAX,
    }
}
