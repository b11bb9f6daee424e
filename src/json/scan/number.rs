//! A number: its grammar, and whether it fits an `f64`. Resumes at any byte.

/// The smallest power of ten that can take a `u64` significand out of range.
const FIRST_CRITICAL_POWER: i32 = 289;

/// The powers of ten from [`FIRST_CRITICAL_POWER`] to the last one below infinity.
const CRITICAL_POWERS: [f64; 20] = [
    1e289, 1e290, 1e291, 1e292, 1e293, 1e294, 1e295, 1e296, 1e297, 1e298, 1e299, 1e300, 1e301, 1e302, 1e303, 1e304,
    1e305, 1e306, 1e307, 1e308,
];

/// How many digits before the point leave a number without exponent in range, and by far.
const PLAIN_DIGITS: u32 = 100;

/// The part of the number that the last byte belongs to.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum Part {
    Start,
    Minus,
    Zero,
    Integer,
    Point,
    Fraction,
    ExponentMark,
    ExponentSign,
    Exponent,
}

/// How a run through a number ended.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Stop {
    /// Before a byte that is not part of it.
    Done,
    /// At the end of the input.
    More,
    /// Before a byte without which it is not a number.
    Bad,
    /// Before a byte that is not part of it, but it is too large.
    OutOfRange,
}

/// Whether a text is one number, and not larger than a double.
pub(crate) fn is_number(text: &[u8]) -> bool {
    let mut number = Number::START;
    // What follows a number decides whether it is complete.
    matches!(number.run(text), (Stop::More, _)) && matches!(number.run(b" "), (Stop::Done, _))
}

/// A number on the way. The value is followed the way `serde_json` computes it, so that both refuse the same numbers.
#[derive(Clone, Copy, Debug)]
pub(super) struct Number {
    part: Part,
    /// The leading digits, as many as fit.
    significand: u64,
    /// Whether a digit did not fit any more.
    full: bool,
    /// What the significand is to be scaled by, without the exponent as written.
    scale: i32,
    /// The exponent as written, without its sign.
    exponent: i32,
    negative_exponent: bool,
}

impl Number {
    /// Before its first byte.
    pub(super) const START: Self =
        Self { part: Part::Start, significand: 0, full: false, scale: 0, exponent: 0, negative_exponent: false };

    /// Runs to the end of the number or of the input.
    #[inline]
    pub(super) fn run<'a>(&mut self, mut rest: &'a [u8]) -> (Stop, &'a [u8]) {
        loop {
            match self.part {
                Part::Integer => rest = self.integer(rest),
                Part::Fraction => rest = self.fraction(rest),
                _ => {}
            }
            let Some((&byte, tail)) = rest.split_first() else { return (Stop::More, rest) };
            self.part = match (self.part, byte) {
                (Part::Start, b'-') => Part::Minus,
                (Part::Start | Part::Minus, b'0') => Part::Zero,
                (Part::Start | Part::Minus, b'1'..=b'9') => {
                    // Not consumed: it is the first of the digits.
                    self.part = Part::Integer;
                    continue;
                }
                (Part::Zero | Part::Integer, b'.') => Part::Point,
                (Part::Point, b'0'..=b'9') => {
                    self.full = false;
                    self.part = Part::Fraction;
                    continue;
                }
                (Part::Zero | Part::Integer | Part::Fraction, b'e' | b'E') => Part::ExponentMark,
                (Part::ExponentMark, b'+' | b'-') => {
                    self.negative_exponent = byte == b'-';
                    Part::ExponentSign
                }
                (Part::ExponentMark | Part::ExponentSign | Part::Exponent, b'0'..=b'9') => {
                    let digit = i32::from(byte.wrapping_sub(b'0'));
                    self.exponent = self.exponent.saturating_mul(10).saturating_add(digit);
                    Part::Exponent
                }
                // `01` is not a number, not even one and a rest.
                (Part::Zero, b'0'..=b'9') => return (Stop::Bad, rest),
                (Part::Zero | Part::Integer | Part::Fraction | Part::Exponent, _) => return (self.end(), rest),
                _ => return (Stop::Bad, rest),
            };
            rest = tail;
        }
    }

    /// Digits before the point: those that do not fit scale the number up.
    #[inline]
    fn integer<'a>(&mut self, mut rest: &'a [u8]) -> &'a [u8] {
        while let Some((digit, tail)) = split_digit(rest) {
            if !self.push(digit) {
                self.scale = self.scale.saturating_add(1);
            }
            rest = tail;
        }
        rest
    }

    /// Digits after the point: those that fit scale the number down.
    #[inline]
    fn fraction<'a>(&mut self, mut rest: &'a [u8]) -> &'a [u8] {
        while let Some((digit, tail)) = split_digit(rest) {
            if self.push(digit) {
                self.scale = self.scale.saturating_sub(1);
            }
            rest = tail;
        }
        rest
    }

    /// Adds a digit to the significand; false when there is no room.
    #[inline]
    const fn push(&mut self, digit: u8) -> bool {
        // `checked_mul` is a wide multiplication on wasm.
        const LAST: u64 = u64::MAX / 10;
        const LAST_DIGIT: u64 = u64::MAX % 10;
        let fits = self.significand < LAST || self.significand == LAST && digit as u64 <= LAST_DIGIT;
        if self.full || !fits {
            self.full = true;
            return false;
        }
        self.significand = self.significand.wrapping_mul(10).wrapping_add(digit as u64);
        true
    }

    fn end(&self) -> Stop {
        let exponent = if self.negative_exponent {
            self.scale.saturating_sub(self.exponent)
        } else {
            self.scale.saturating_add(self.exponent)
        };
        if exponent < FIRST_CRITICAL_POWER || self.significand == 0 {
            return Stop::Done;
        }
        let power = usize::try_from(exponent.saturating_sub(FIRST_CRITICAL_POWER));
        let power = power.ok().and_then(|index| CRITICAL_POWERS.get(index));
        match power {
            Some(power) if (self.significand as f64 * power).is_finite() => Stop::Done,
            _ => Stop::OutOfRange,
        }
    }
}

/// Skips a number without exponent and with few digits before its point, if the input starts with one and goes on after
/// it: such a number is in range whatever its digits are. That is nearly every number, and most of the time of a body
/// full of token ids.
#[inline]
pub(super) fn skip_plain(bytes: &[u8]) -> Option<&[u8]> {
    let unsigned = bytes.strip_prefix(b"-").unwrap_or(bytes);
    let (first, mut rest) = split_digit(unsigned)?;
    if first != 0 {
        let mut digits = 1u32;
        while let Some((_, tail)) = split_digit(rest) {
            rest = tail;
            digits = digits.saturating_add(1);
        }
        if digits > PLAIN_DIGITS {
            return None;
        }
    }
    if let Some((b'.', fraction)) = rest.split_first() {
        let (_, mut tail) = split_digit(fraction)?;
        while let Some((_, after)) = split_digit(tail) {
            tail = after;
        }
        rest = tail;
    }
    match rest.first()? {
        b'.' | b'e' | b'E' | b'0'..=b'9' => None,
        _ => Some(rest),
    }
}

#[inline]
fn split_digit(bytes: &[u8]) -> Option<(u8, &[u8])> {
    let (byte, tail) = bytes.split_first()?;
    let digit = byte.wrapping_sub(b'0');
    (digit <= 9).then_some((digit, tail))
}
