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
    /// Whether `input` includes `cached_input` and `cache_write`, see `settle`. `None` when there is no figure of a
    /// cache.
    pub includes_cache: Option<bool>,
    /// Whether `output` includes `reasoning`, see `settle`. `None` when there is no figure of reasoning.
    pub includes_reasoning: Option<bool>,
    /// Generated tokens that stand in the reported total only: Gemini's OpenAI endpoint tells its thoughts so.
    pub unlisted_output: Option<u64>,
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

/// What the names of the figures tell of what one figure includes of another. Kept apart from [`Usage`] for the order
/// not to matter.
#[derive(Clone, Copy, Debug, Default)]
pub(super) struct Naming {
    prompt: bool,
    within: bool,
    apart: bool,
    reasoning_apart: bool,
}

impl Usage {
    /// Every token once: input, output, what the input does not include of the cache, what the output does not include
    /// of the reasoning, and `tool_input`; at most [`MAX_COUNT`]. `None` when neither input nor output is known.
    #[must_use]
    pub fn computed_total(&self) -> Option<u64> {
        if self.input.is_none() && self.output.is_none() {
            return None;
        }
        Some(sum(&[Some(self.whole_prompt()), self.tool_input, Some(self.whole_output())]))
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

    /// All generated tokens, reasoning included, at most [`MAX_COUNT`].
    #[must_use]
    pub fn all_output(&self) -> Option<u64> {
        let apart = self.reasoning.filter(|_| self.includes_reasoning == Some(false));
        if self.output.is_none() && apart.is_none() {
            return None;
        }
        Some(sum(&[Some(self.whole_output()), self.unlisted_output]))
    }

    /// All tokens of the prompt, what a cache served included, at most [`MAX_COUNT`].
    #[must_use]
    pub fn all_input(&self) -> Option<u64> {
        self.input.map(|_| self.whole_prompt())
    }

    /// The prompt with its cached part; nothing for what is not known.
    fn whole_prompt(&self) -> u64 {
        let apart = |figure: Option<u64>| figure.filter(|_| self.includes_cache == Some(false));
        sum(&[self.input, apart(self.cached_input), apart(self.cache_write)])
    }

    /// What was generated, with the reasoning; nothing for what is not known.
    fn whole_output(&self) -> u64 {
        sum(&[self.output, self.reasoning.filter(|_| self.includes_reasoning == Some(false))])
    }

    /// Whether no figure was found.
    #[must_use]
    pub fn is_empty(&self) -> bool {
        *self == Self::default()
    }

    /// Where nothing is generated, so that one figure is all of them: a total alone is the prompt.
    pub fn without_output(&mut self) {
        if self.output.is_none() && self.input.is_none() {
            self.input = self.total;
        }
    }

    /// Where the prompt includes the cache although its name says otherwise, and the total counts the cache twice: what
    /// Bedrock's ConverseStream reports of OpenAI's models (opencode#47296, maximhq/bifrost#6942: 4,995 tokens of input,
    /// 4,993 of them written to the cache, and a total of 10,007). A prompt that is smaller than its cached part does
    /// not include it.
    pub fn cache_within_input(&mut self) {
        let cache = sum(&[self.cached_input, self.cache_write]);
        if cache > 0 && self.includes_cache == Some(false) && self.input.is_some_and(|input| input >= cache) {
            self.includes_cache = Some(true);
            self.total = self.total.filter(|total| Some(*total) == self.computed_total());
        }
    }

    /// Takes a figure.
    pub(super) fn set(&mut self, naming: &mut Naming, figure: Figure, number: u64) {
        merge(self.named(naming, figure), number);
    }

    /// Takes a figure that replaces what was known, also by zero.
    pub(super) fn replace(&mut self, naming: &mut Naming, figure: Figure, number: u64) {
        *self.named(naming, figure) = Some(number);
    }

    /// The place of a figure, once its name has told what it tells.
    const fn named(&mut self, naming: &mut Naming, figure: Figure) -> &mut Option<u64> {
        match figure {
            Figure::Prompt => naming.prompt = true,
            Figure::CachedInput | Figure::CacheWrite => naming.within = true,
            Figure::CacheReadApart | Figure::CacheWriteApart => naming.apart = true,
            Figure::ReasoningApart => naming.reasoning_apart = true,
            _ => {}
        }
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
        }
    }

    /// Decides what the figures so far include of each other: by their sum where a total is reported, else by names.
    ///
    /// - Cache: with the names of Anthropic and Bedrock it stands beside the input, with all others it is part of it.
    ///   Gateways write both names; then a total that needs the cache to be added says that it stands beside.
    /// - Reasoning: with the names of Gemini it stands beside the output, with all others it is part of it. xAI has the
    ///   names of OpenAI and puts it beside, as its total shows. Without a total that fits, reasoning that exceeds the
    ///   output is no part of it.
    /// - What a total of OpenAI's names has beyond all that was generated.
    pub(super) fn settle(&mut self, naming: &Naming) {
        let cache = sum(&[self.cached_input, self.cache_write]);
        if naming.within || naming.apart {
            let within = naming.within || naming.prompt;
            let adds_up = |total: u64| total == sum(&[self.input, self.output, Some(cache)]);
            let beside = naming.apart && cache > 0 && self.total.is_some_and(adds_up);
            self.includes_cache = Some(within && (naming.within || !beside));
        }
        let prompt = sum(&[Some(self.whole_prompt()), self.tool_input]);
        if let Some(reasoning) = self.reasoning {
            let beyond = self.total.and_then(|total| total.checked_sub(sum(&[Some(prompt), self.output])));
            self.includes_reasoning = Some(match beyond {
                Some(beyond) if reasoning > 0 && beyond == reasoning => false,
                Some(0) if reasoning > 0 => true,
                _ => !naming.reasoning_apart && self.output.is_none_or(|output| reasoning <= output),
            });
        }
        self.unlisted_output = self
            .total
            .filter(|_| naming.prompt && self.output.is_some())
            .and_then(|total| total.checked_sub(sum(&[Some(prompt), Some(self.whole_output())])))
            .filter(|unlisted| *unlisted > 0);
    }

    /// Takes a detail.
    pub(super) fn detail(&mut self, side: Side, name: &str, number: u64) {
        let details = match side {
            Side::Input => &mut self.input_details,
            Side::Output => &mut self.output_details,
        };
        note(details, name, number);
    }
}

/// Adds to a list of details, by the rule of the [module](super).
pub(super) fn note(details: &mut Vec<Detail>, name: &str, number: u64) {
    if let Some((_, known)) = details.iter_mut().find(|(known, _)| **known == *name) {
        if number > 0 {
            *known = number;
        }
    } else if details.len() < MAX_DETAILS {
        details.push((name.into(), number));
    }
}

/// The sum of what is known, at most [`MAX_COUNT`].
pub(super) fn sum(figures: &[Option<u64>]) -> u64 {
    figures.iter().flatten().fold(0u64, |sum, figure| sum.saturating_add(*figure)).min(MAX_COUNT)
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

/// A number that need not be whole, such as seconds, as the whole units that have begun; up to [`MAX_COUNT`].
pub(super) fn units(raw: &[u8]) -> Option<u64> {
    let (whole, fraction) = match memchr::memchr(b'.', raw).and_then(|at| raw.split_at_checked(at)) {
        Some((whole, fraction)) => (whole, fraction.get(1..)?),
        None => (raw, &[][..]),
    };
    if !fraction.iter().all(u8::is_ascii_digit) {
        return None;
    }
    let begun = u64::from(fraction.iter().any(|digit| *digit != b'0'));
    Some(count(whole)?.saturating_add(begun).min(MAX_COUNT))
}
