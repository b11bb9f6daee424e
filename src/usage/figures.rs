//! The figures of one response and how they are merged.

/// The largest count that is believed, in tokens: the largest whole number that is exact in every JSON reader.
pub const MAX_COUNT: u64 = 1 << 53;

/// How many details of one side are kept.
pub const MAX_DETAILS: usize = 16;

/// A figure as the vendor named it, and its number.
pub type Detail = (Box<str>, u64);

/// What a response says of its cost, in tokens as the vendor counts them. See the [module](super) for the merging.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Usage {
    /// Tokens of the prompt. See [`includes_cache`](Self::includes_cache).
    pub input: Option<u64>,
    /// Generated tokens. See [`includes_reasoning`](Self::includes_reasoning).
    pub output: Option<u64>,
    /// The total that is reported.
    pub total: Option<u64>,
    /// Tokens of the prompt that were read from a cache.
    pub cached_input: Option<u64>,
    /// Tokens of the prompt that were written to a cache.
    pub cache_write: Option<u64>,
    /// Generated tokens that are reasoning.
    pub reasoning: Option<u64>,
    /// Tokens of a prompt that a tool of the vendor's added (Gemini); not part of `input`.
    pub tool_input: Option<u64>,
    /// Tokens of the prompt that are audio.
    pub audio_input: Option<u64>,
    /// Generated tokens that are audio.
    pub audio_output: Option<u64>,
    /// Tokens of the prompt that are images.
    pub image_input: Option<u64>,
    /// Generated tokens that are images.
    pub image_output: Option<u64>,
    /// Whether `input` includes `cached_input` and `cache_write`: not with the names of Anthropic and Bedrock, yes with
    /// all others. `None` when there is no figure of a cache.
    pub includes_cache: Option<bool>,
    /// Whether `output` includes `reasoning`: not with the names of Gemini, yes with all others (xAI does not keep to
    /// it, but reports a total). `None` when there is no figure of reasoning.
    pub includes_reasoning: Option<bool>,
    /// Further figures of the prompt, as the vendor named them, in the order in which they appeared: the members of
    /// `prompt_tokens_details` and its like, and what stands beside them. At most [`MAX_DETAILS`].
    pub input_details: Vec<Detail>,
    /// The same for what was generated.
    pub output_details: Vec<Detail>,
}

/// Names a figure of [`Usage`].
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Figure {
    Input,
    /// `prompt_tokens`: a name that no vendor uses for a prompt without its cached part.
    Prompt,
    Output,
    Total,
    /// Part of the input.
    CachedInput,
    /// Part of the input.
    CacheWrite,
    /// Not part of the input.
    CacheReadApart,
    /// Not part of the input.
    CacheWriteApart,
    Reasoning,
    /// Not part of the output.
    ReasoningApart,
    ToolInput,
    AudioInput,
    AudioOutput,
    ImageInput,
    ImageOutput,
}

/// The prompt, or what was generated.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Side {
    Input,
    Output,
}

/// How the names of the figures tell what `input` includes. Kept apart from [`Usage`] for the order not to matter.
#[derive(Clone, Copy, Debug, Default)]
pub(super) struct Naming {
    prompt: bool,
    within: bool,
    apart: bool,
}

impl Usage {
    /// Every token once: input, output, what the input does not include of the cache, what the output does not include
    /// of the reasoning, and `tool_input`. `None` when neither input nor output is known.
    #[must_use]
    pub fn computed_total(&self) -> Option<u64> {
        let mut total = match (self.input, self.output) {
            (None, None) => return None,
            (input, output) => input.unwrap_or(0).saturating_add(output.unwrap_or(0)),
        };
        let mut add = |figure: Option<u64>| total = total.saturating_add(figure.unwrap_or(0));
        if self.includes_cache == Some(false) {
            add(self.cached_input);
            add(self.cache_write);
        }
        if self.includes_reasoning == Some(false) {
            add(self.reasoning);
        }
        add(self.tool_input);
        Some(total)
    }

    /// The reported total, otherwise the computed one. A reported zero beside other figures is no report.
    #[must_use]
    pub fn total(&self) -> Option<u64> {
        self.total.filter(|total| *total > 0).or_else(|| self.computed_total()).or(self.total)
    }

    /// Whether there is any figure that a bill is made of.
    #[must_use]
    pub const fn is_known(&self) -> bool {
        self.input.is_some() || self.output.is_some() || self.total.is_some()
    }

    /// All generated tokens, reasoning included.
    #[must_use]
    pub fn all_output(&self) -> Option<u64> {
        match self.reasoning {
            Some(apart) if self.includes_reasoning == Some(false) => {
                Some(self.output.unwrap_or(0).saturating_add(apart))
            }
            _ => self.output,
        }
    }

    /// All tokens of the prompt, what a cache served included.
    #[must_use]
    pub fn all_input(&self) -> Option<u64> {
        let apart = |figure: Option<u64>| figure.filter(|_| self.includes_cache == Some(false)).unwrap_or(0);
        Some(self.input?.saturating_add(apart(self.cached_input)).saturating_add(apart(self.cache_write)))
    }

    /// Whether no figure was found.
    #[must_use]
    pub fn is_empty(&self) -> bool {
        *self == Self::default()
    }

    /// Takes a figure.
    pub(super) fn set(&mut self, naming: &mut Naming, figure: Figure, number: u64) {
        match figure {
            Figure::Prompt => naming.prompt = true,
            Figure::CachedInput | Figure::CacheWrite => naming.within = true,
            Figure::CacheReadApart | Figure::CacheWriteApart => naming.apart = true,
            Figure::Reasoning if self.includes_reasoning.is_none() => self.includes_reasoning = Some(true),
            Figure::ReasoningApart => self.includes_reasoning = Some(false),
            _ => {}
        }
        if naming.within || naming.apart {
            self.includes_cache = Some(naming.within || naming.prompt);
        }
        merge(
            match figure {
                Figure::Input | Figure::Prompt => &mut self.input,
                Figure::Output => &mut self.output,
                Figure::Total => &mut self.total,
                Figure::CachedInput | Figure::CacheReadApart => &mut self.cached_input,
                Figure::CacheWrite | Figure::CacheWriteApart => &mut self.cache_write,
                Figure::Reasoning | Figure::ReasoningApart => &mut self.reasoning,
                Figure::ToolInput => &mut self.tool_input,
                Figure::AudioInput => &mut self.audio_input,
                Figure::AudioOutput => &mut self.audio_output,
                Figure::ImageInput => &mut self.image_input,
                Figure::ImageOutput => &mut self.image_output,
            },
            number,
        );
    }

    /// Takes a detail.
    pub(super) fn detail(&mut self, side: Side, name: &str, number: u64) {
        let details = match side {
            Side::Input => &mut self.input_details,
            Side::Output => &mut self.output_details,
        };
        if let Some((_, known)) = details.iter_mut().find(|(known, _)| **known == *name) {
            if number > 0 {
                *known = number;
            }
        } else if details.len() < MAX_DETAILS {
            details.push((name.into(), number));
        }
    }
}

/// The rule of the [module](super).
pub(super) fn merge(slot: &mut Option<u64>, number: u64) {
    if number > 0 || slot.is_none() {
        *slot = Some(number);
    }
}

/// A whole number up to [`MAX_COUNT`], maybe with zeros after the point.
pub(super) fn count(raw: &[u8]) -> Option<u64> {
    let mut digits = raw.split(|byte| *byte == b'.');
    let (whole, fraction) = (digits.next()?, digits.next());
    if whole.is_empty() || digits.next().is_some() || !fraction.unwrap_or_default().iter().all(|byte| *byte == b'0') {
        return None;
    }
    let number = whole.iter().try_fold(0u64, |number, byte| {
        let digit = byte.checked_sub(b'0').filter(|digit| *digit < 10)?;
        number.checked_mul(10)?.checked_add(digit.into())
    })?;
    Some(number).filter(|number| *number <= MAX_COUNT)
}
