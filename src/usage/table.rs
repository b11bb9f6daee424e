//! Where the dialects put what: one list for all of them.

use std::rc::Rc;

use memchr::memmem::Finder;

use super::figures::{Figure, Side};
use crate::json::{Pairs, Paths};

/// What stands at a place.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Leaf {
    /// A figure.
    Count(Figure),
    /// A figure that is also a detail under this name.
    Named(Figure, Side, &'static str),
    /// A detail under this name.
    Info(Side, &'static str),
    /// A detail under its own key; some of them are figures.
    Detail(Side),
    /// A figure of something that counts only if there is no other.
    Spare(Side),
    /// A figure to be summed with its like, which counts only if there is no other.
    Share(Side),
    /// An entry of a list of modalities, what it is of, and its figure.
    Modality(Side),
    ModalityName,
    ModalityCount,
    Model,
    Id,
    /// An id that counts only if there is no other.
    SpareId,
    /// The error itself, and a member or element of it.
    Error,
    ErrorPart,
    /// A text of the answer.
    Content,
    /// An object of the answer.
    ContentObject,
    /// A text of reasoning.
    Reasoning,
    /// A part of the answer, which tells beside its content whether that is a thought.
    Part,
    PartContent,
    PartObject,
    PartThought,
    /// The type of the event, and what is text of the answer if that type says so.
    Kind,
    KindContent,
    /// The choices and one of them.
    Choices,
    Choice,
    /// The usage itself.
    Usage,
}

use Figure::{
    AudioInput, CacheReadApart, CacheWriteApart, CachedInput, ImageInput, Input, Output, Prompt, Reasoning,
    ReasoningApart, ToolInput, Total,
};
use Leaf::{Count, Detail, Info, Named, Spare};
use Side::{Input as In, Output as Out};

/// The same thing in other places.
pub(super) static ALIASES: &[(&str, &str)] = &[
    // A document that is an array: each element is one.
    ("*", ""),
    // Anthropic message_start, OpenAI Responses, OpenAI batches, Groq, Cohere v2, Moonshot, Bedrock.
    ("message.usage", "usage"),
    ("response.usage", "usage"),
    ("body.usage", "usage"),
    ("response.body.usage", "usage"),
    ("x_groq.usage", "usage"),
    ("delta.usage", "usage"),
    ("choices.*.usage", "usage"),
    ("metadata.usage", "usage"),
    ("amazon-bedrock-invocationMetrics", "usage"),
    ("response.usageMetadata", "usageMetadata"),
    // Cohere.
    ("response.meta", "meta"),
    ("meta.tokens", "usage"),
    ("usage.tokens", "usage"),
    ("usage.billed_units", "meta.billed_units"),
    // DashScope, whose choices have messages also in a stream.
    ("output.choices.*", "choices.*"),
    ("choices.*.message", "choices.*.delta"),
    ("response.candidates", "candidates"),
    ("response.error", "error"),
    ("contentBlockDelta.delta", "delta"),
    ("contentBlockStart.start", "start"),
];

/// What stands where. An alias is named by its target only.
pub(super) static PLACES: &[(&str, Leaf)] = &[
    ("usage", Leaf::Usage),
    // OpenAI and most others.
    ("usage.prompt_tokens", Count(Prompt)),
    ("usage.completion_tokens", Count(Output)),
    ("usage.total_tokens", Count(Total)),
    ("usage.prompt_tokens_details.?", Detail(In)),
    ("usage.completion_tokens_details.?", Detail(Out)),
    // Anthropic, OpenAI Responses, images and audio, DashScope, Cohere.
    ("usage.input_tokens", Count(Input)),
    ("usage.output_tokens", Count(Output)),
    ("usage.input_tokens_details.?", Detail(In)),
    ("usage.input_token_details.?", Detail(In)),
    ("usage.output_tokens_details.?", Detail(Out)),
    ("usage.output_token_details.?", Detail(Out)),
    ("usage.cache_read_input_tokens", Named(CacheReadApart, In, "cache_read_input_tokens")),
    ("usage.cache_creation_input_tokens", Named(CacheWriteApart, In, "cache_creation_input_tokens")),
    // DeepSeek; Moonshot and Cohere; Perplexity; DashScope; Volcengine.
    ("usage.prompt_cache_hit_tokens", Named(CachedInput, In, "prompt_cache_hit_tokens")),
    ("usage.prompt_cache_miss_tokens", Info(In, "prompt_cache_miss_tokens")),
    ("usage.cached_tokens", Named(CachedInput, In, "cached_tokens")),
    ("usage.reasoning_tokens", Named(Reasoning, Out, "reasoning_tokens")),
    ("usage.citation_tokens", Info(In, "citation_tokens")),
    ("usage.image_tokens", Count(ImageInput)),
    ("usage.audio_tokens", Count(AudioInput)),
    ("usage.generated_images", Info(Out, "generated_images")),
    // DashScope applications.
    ("usage.models.*.input_tokens", Leaf::Share(In)),
    ("usage.models.*.output_tokens", Leaf::Share(Out)),
    // Bedrock Converse, and the metrics that Bedrock adds to other streams.
    ("usage.inputTokens", Count(Input)),
    ("usage.outputTokens", Count(Output)),
    ("usage.totalTokens", Count(Total)),
    ("usage.cacheReadInputTokens", Named(CacheReadApart, In, "cacheReadInputTokens")),
    ("usage.cacheWriteInputTokens", Named(CacheWriteApart, In, "cacheWriteInputTokens")),
    ("usage.inputTokenCount", Count(Input)),
    ("usage.outputTokenCount", Count(Output)),
    ("usage.cacheReadInputTokenCount", Named(CacheReadApart, In, "cacheReadInputTokenCount")),
    ("usage.cacheWriteInputTokenCount", Named(CacheWriteApart, In, "cacheWriteInputTokenCount")),
    // Cohere.
    ("meta.billed_units.input_tokens", Spare(In)),
    ("meta.billed_units.output_tokens", Spare(Out)),
    // Gemini.
    ("usageMetadata.promptTokenCount", Count(Input)),
    ("usageMetadata.candidatesTokenCount", Count(Output)),
    ("usageMetadata.totalTokenCount", Count(Total)),
    ("usageMetadata.cachedContentTokenCount", Named(CachedInput, In, "cached_content_token_count")),
    ("usageMetadata.toolUsePromptTokenCount", Named(ToolInput, In, "tool_use_prompt_token_count")),
    ("usageMetadata.thoughtsTokenCount", Named(ReasoningApart, Out, "thoughts_token_count")),
    ("usageMetadata.promptTokensDetails.*", Leaf::Modality(In)),
    ("usageMetadata.promptTokensDetails.*.modality", Leaf::ModalityName),
    ("usageMetadata.promptTokensDetails.*.tokenCount", Leaf::ModalityCount),
    ("usageMetadata.candidatesTokensDetails.*", Leaf::Modality(Out)),
    ("usageMetadata.candidatesTokensDetails.*.modality", Leaf::ModalityName),
    ("usageMetadata.candidatesTokensDetails.*.tokenCount", Leaf::ModalityCount),
    // Ollama.
    ("prompt_eval_count", Count(Input)),
    ("eval_count", Count(Output)),
    // The model.
    ("model", Leaf::Model),
    ("body.model", Leaf::Model),
    ("response.model", Leaf::Model),
    ("response.body.model", Leaf::Model),
    ("message.model", Leaf::Model),
    ("modelVersion", Leaf::Model),
    ("response.modelVersion", Leaf::Model),
    // The id.
    ("id", Leaf::Id),
    ("response.id", Leaf::Id),
    ("responseId", Leaf::Id),
    ("response.responseId", Leaf::Id),
    ("message.id", Leaf::Id),
    ("request_id", Leaf::SpareId),
    ("generation_id", Leaf::SpareId),
    // Errors.
    ("error", Leaf::Error),
    ("error.?", Leaf::ErrorPart),
    ("error.*", Leaf::ErrorPart),
    // The answer: OpenAI chat (with the parts of Mistral) and completions.
    ("choices", Leaf::Choices),
    ("choices.*", Leaf::Choice),
    ("choices.*.text", Leaf::Content),
    ("choices.*.delta.content", Leaf::Content),
    ("choices.*.delta.content.*.text", Leaf::Content),
    ("choices.*.delta.content.*.thinking.*.text", Leaf::Reasoning),
    ("choices.*.delta.refusal", Leaf::Content),
    ("choices.*.delta.audio.data", Leaf::Content),
    ("choices.*.delta.audio.transcript", Leaf::Content),
    ("choices.*.delta.function_call.name", Leaf::Content),
    ("choices.*.delta.function_call.arguments", Leaf::Content),
    ("choices.*.delta.tool_calls.*.function.name", Leaf::Content),
    ("choices.*.delta.tool_calls.*.function.arguments", Leaf::Content),
    ("choices.*.delta.reasoning_content", Leaf::Reasoning),
    ("choices.*.delta.reasoning", Leaf::Reasoning),
    // OpenAI Responses, audio and images.
    ("type", Leaf::Kind),
    ("delta", Leaf::KindContent),
    ("audio", Leaf::KindContent),
    ("b64_json", Leaf::KindContent),
    ("partial_image_b64", Leaf::KindContent),
    // Anthropic and Bedrock.
    ("delta.text", Leaf::Content),
    ("delta.partial_json", Leaf::Content),
    ("delta.thinking", Leaf::Reasoning),
    ("content_block.name", Leaf::Content),
    ("content_block.text", Leaf::Content),
    ("content_block.thinking", Leaf::Reasoning),
    ("completion", Leaf::Content),
    ("delta.toolUse.input", Leaf::Content),
    ("delta.reasoningContent.text", Leaf::Reasoning),
    ("start.toolUse.name", Leaf::Content),
    // Gemini.
    ("candidates.*.content.parts.*", Leaf::Part),
    ("candidates.*.content.parts.*.text", Leaf::PartContent),
    ("candidates.*.content.parts.*.functionCall", Leaf::PartObject),
    ("candidates.*.content.parts.*.inlineData", Leaf::PartObject),
    ("candidates.*.content.parts.*.executableCode", Leaf::PartObject),
    ("candidates.*.content.parts.*.thought", Leaf::PartThought),
    // Ollama.
    ("message.content", Leaf::Content),
    ("message.thinking", Leaf::Reasoning),
    ("message.tool_calls.*", Leaf::ContentObject),
    ("response", Leaf::Content),
    ("thinking", Leaf::Reasoning),
    // DashScope.
    ("output.text", Leaf::Content),
    // Cohere v2 and v1.
    ("delta.message.content.text", Leaf::Content),
    ("delta.message.content.thinking", Leaf::Reasoning),
    ("delta.message.tool_plan", Leaf::Reasoning),
    ("delta.message.tool_calls.function.name", Leaf::Content),
    ("delta.message.tool_calls.function.arguments", Leaf::Content),
    ("text", Leaf::Content),
];

/// What makes a message worth a walk after the first content: a piece of every key that holds a figure, and the errors.
/// Keys are sought as vendors write them: one that is spelt with escapes is found in a walk, but does not cause one.
static TRIGGERS: [&str; 3] = ["oken", "eval_count", "\"error\""];

/// A pair of letters of each trigger, and of what makes a message without one worth a look: the name of an event that is
/// an error or an exception, a message within `bytes`. They are rare in other words.
static CLUES: Pairs<5> = Pairs([*b"ok", *b"l_", *b"rr", *b"xc", *b"yt"]);

/// The compiled table. Made once; a clone is a reference count.
#[derive(Clone, Debug)]
pub struct Table {
    pub(super) paths: Rc<Paths>,
    triggers: Rc<[Finder<'static>; 3]>,
}

impl Table {
    /// Compiles the list.
    #[must_use]
    pub fn new() -> Self {
        let mut places = PLACES.iter().zip(0u16..).map(|((path, _), id)| (*path, id));
        Self { paths: Rc::new(Paths::new(&mut places, ALIASES)), triggers: Rc::new(TRIGGERS.map(Finder::new)) }
    }

    /// What the walker's id stands for.
    pub(super) fn leaf(id: u16) -> Option<Leaf> {
        PLACES.get(usize::from(id)).map(|(_, leaf)| *leaf)
    }

    /// Whether a message may tell a figure or an error.
    pub(super) fn triggered(&self, data: &[u8]) -> bool {
        self.triggers.iter().any(|trigger| trigger.find(data).is_some())
    }

    /// Whether there may be such messages among these, given with their framing. Says so for a few others too.
    pub(super) fn has_clues(messages: &[u8]) -> bool {
        CLUES.stand_in(messages)
    }
}

impl Default for Table {
    fn default() -> Self {
        Self::new()
    }
}
