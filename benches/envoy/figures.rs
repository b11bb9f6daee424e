//! Figures of several rounds, and how they are written.

/// One figure for each round, in order of the rounds.
#[derive(Clone, Debug, Default)]
pub(crate) struct Figures(pub(crate) Vec<f64>);

impl Figures {
    /// Round by round; a round that has only one of the two is left out.
    pub(crate) fn minus(&self, other: &Self) -> Self {
        Self(self.0.iter().zip(&other.0).map(|(mine, other)| mine - other).collect())
    }

    pub(crate) fn median(&self) -> f64 {
        self.quantile(1, 2)
    }

    /// The middle half of the rounds. What a neighbour on the machine does to a single round does not show in it.
    pub(crate) fn quartiles(&self) -> (f64, f64) {
        (self.quantile(1, 4), self.quantile(3, 4))
    }

    /// `numerator / denominator` of the figures are not above it; not a number if there are none.
    pub(crate) fn quantile(&self, numerator: usize, denominator: usize) -> f64 {
        let mut sorted = self.0.clone();
        sorted.sort_by(f64::total_cmp);
        let last = sorted.len().saturating_sub(1);
        let index = last.saturating_mul(numerator).checked_div(denominator).unwrap_or_default();
        sorted.get(index).copied().unwrap_or(f64::NAN)
    }

    /// Median, and the quartiles in parentheses.
    pub(crate) fn with_spread(&self) -> String {
        let (low, high) = self.quartiles();
        format!("{} ({} to {})", number(self.median()), number(low), number(high))
    }
}

/// No more digits than mean something; a dash for what was not measured.
pub(crate) fn number(value: f64) -> String {
    if !value.is_finite() {
        return "–".to_owned();
    }
    let digits = match value.abs() {
        size if size < 10.0 => 2,
        size if size < 100.0 => 1,
        _ => 0,
    };
    let text = format!("{value:.digits$}");
    let zero = text.chars().all(|digit| matches!(digit, '-' | '0' | '.'));
    if zero { "0".to_owned() } else { text }
}

/// With its sign, as differences are written.
pub(crate) fn signed(value: f64) -> String {
    let text = number(value);
    if value > 0.0 && text != "0" { format!("+{text}") } else { text }
}

/// A factor.
pub(crate) fn times(value: f64) -> String {
    if value.is_finite() { format!("{}×", number(value)) } else { number(value) }
}
