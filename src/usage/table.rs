//! Where the dialects put what: one list for all of them.

use std::rc::Rc;

use memchr::memmem::Finder;

use super::fault::Sign;
use super::figures::{Figure, Side};
use super::iterations::Part;
use crate::json::{Clues, Keys, Paths};

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
    /// Something else that a bill is made of, under this name: seconds, searches.
    Units(&'static str),
    /// The same under its own key.
    NamedUnits,
    /// The attempts of which an answer was made, one of them, and what it tells; see [`iterations`](super::iterations).
    Iterations,
    Iteration,
    IterationType,
    IterationCount(Part),
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
    /// What tells of an error together with others, see [`fault`](super::fault).
    Fault(Sign),
    /// Why the answer ends, and the state of the response, which tells it where nothing else does.
    Finish,
    Status,
    /// Whether the response is worked on in the background.
    Background,
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
    /// The type of an item of the answer.
    ItemKind,
    /// One of the choices.
    Choice,
}

use Figure::{
    AudioInput, CacheReadApart, CacheWriteApart, CachedInput, ImageInput, Input, Output, Prompt, Reasoning,
    ReasoningApart, ToolInput, Total,
};
use Leaf::{Count, Detail, Fault, Info, Named, Share, Spare, Units};
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
    // Gemini Interactions.
    ("interaction.usage", "usage"),
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
    ("interaction.error", "error"),
    // OpenRouter, Cohere v2, Cloudflare and watsonx, Tencent.
    ("choices.*.error", "error"),
    ("delta.error", "error"),
    ("errors.*", "error"),
    ("Response.Error", "error"),
    ("contentBlockDelta.delta", "delta"),
    ("contentBlockStart.start", "start"),
];

/// What stands where. An alias is named by its target only.
pub(super) static PLACES: &[(&str, Leaf)] = &[
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
    // Mistral.
    ("usage.num_cached_tokens", Named(CachedInput, In, "num_cached_tokens")),
    // Anthropic: the attempts of one answer, and what else is billed.
    ("usage.iterations", Leaf::Iterations),
    ("usage.iterations.*", Leaf::Iteration),
    ("usage.iterations.*.type", Leaf::IterationType),
    ("usage.iterations.*.input_tokens", Leaf::IterationCount(Part::Input)),
    ("usage.iterations.*.output_tokens", Leaf::IterationCount(Part::Output)),
    ("usage.iterations.*.cache_read_input_tokens", Leaf::IterationCount(Part::CacheRead)),
    ("usage.iterations.*.cache_creation_input_tokens", Leaf::IterationCount(Part::CacheWrite)),
    ("usage.cache_creation.?", Leaf::NamedUnits),
    ("usage.server_tool_use.?", Leaf::NamedUnits),
    // Audio by its length; searches.
    ("usage.seconds", Units("seconds")),
    ("usage.prompt_audio_seconds", Units("prompt_audio_seconds")),
    ("usage.num_search_queries", Units("num_search_queries")),
    ("meta.billed_units.search_units", Units("search_units")),
    ("meta.billed_units.images", Units("images")),
    ("meta.billed_units.classifications", Units("classifications")),
    // Gemini Interactions; Vertex AI spells them in one word.
    ("usage.total_input_tokens", Count(Input)),
    ("usage.total_output_tokens", Count(Output)),
    ("usage.total_thought_tokens", Named(ReasoningApart, Out, "total_thought_tokens")),
    ("usage.total_tool_use_tokens", Named(ToolInput, In, "total_tool_use_tokens")),
    ("usage.total_cached_tokens", Named(CachedInput, In, "total_cached_tokens")),
    ("usage.input_tokens_by_modality.*", Leaf::Modality(In)),
    ("usage.input_tokens_by_modality.*.modality", Leaf::ModalityName),
    ("usage.input_tokens_by_modality.*.tokens", Leaf::ModalityCount),
    ("usage.output_tokens_by_modality.*", Leaf::Modality(Out)),
    ("usage.output_tokens_by_modality.*.modality", Leaf::ModalityName),
    ("usage.output_tokens_by_modality.*.tokens", Leaf::ModalityCount),
    ("usage.totalInputTokens", Count(Input)),
    ("usage.totalOutputTokens", Count(Output)),
    ("usage.totalThoughtTokens", Named(ReasoningApart, Out, "total_thought_tokens")),
    ("usage.totalToolUseTokens", Named(ToolInput, In, "total_tool_use_tokens")),
    ("usage.totalCachedTokens", Named(CachedInput, In, "total_cached_tokens")),
    // DashScope applications.
    ("usage.models.*.input_tokens", Share(In)),
    ("usage.models.*.output_tokens", Share(Out)),
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
    ("meta.cached_tokens", Named(CachedInput, In, "cached_tokens")),
    // Bedrock InvokeModel, by the maker of the model: Titan, Llama. The headers have them too, see `headers`.
    ("inputTextTokenCount", Count(Input)),
    ("results.*.tokenCount", Share(Out)),
    ("totalOutputTextTokenCount", Count(Output)),
    ("prompt_token_count", Count(Input)),
    ("generation_token_count", Count(Output)),
    // Vertex AI predict: embeddings, each with its own figure; older text models.
    ("predictions.*.embeddings.statistics.token_count", Share(In)),
    ("metadata.tokenMetadata.inputTokenCount.totalTokens", Count(Input)),
    ("metadata.tokenMetadata.outputTokenCount.totalTokens", Count(Output)),
    // watsonx; Text Generation Inference; Aleph Alpha.
    ("results.*.input_token_count", Share(In)),
    ("results.*.generated_token_count", Share(Out)),
    ("details.generated_tokens", Count(Output)),
    ("details.input_length", Count(Input)),
    ("num_tokens_prompt_total", Count(Input)),
    ("num_tokens_generated", Count(Output)),
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
    ("interaction.model", Leaf::Model),
    ("model_id", Leaf::Model),
    ("model_version", Leaf::Model),
    // The id.
    ("id", Leaf::Id),
    ("response.id", Leaf::Id),
    ("responseId", Leaf::Id),
    ("response.responseId", Leaf::Id),
    ("message.id", Leaf::Id),
    ("interaction.id", Leaf::Id),
    ("response_id", Leaf::Id),
    ("response.response_id", Leaf::Id),
    ("request_id", Leaf::SpareId),
    ("generation_id", Leaf::SpareId),
    ("background", Leaf::Background),
    ("response.background", Leaf::Background),
    ("interaction.background", Leaf::Background),
    // Errors.
    ("error", Leaf::Error),
    ("error.?", Leaf::ErrorPart),
    ("error.*", Leaf::ErrorPart),
    ("object", Fault(Sign::Object)),
    ("code", Fault(Sign::Code)),
    ("error_code", Fault(Sign::ErrorCode)),
    ("message", Fault(Sign::Message)),
    ("msg", Fault(Sign::Message)),
    ("base_resp.status_code", Fault(Sign::ErrorCode)),
    ("error_type", Fault(Sign::Type)),
    ("__type", Fault(Sign::Type)),
    ("Output.__type", Fault(Sign::Type)),
    ("detail.code", Fault(Sign::Word)),
    ("detail.type", Fault(Sign::Type)),
    ("detail.error.code", Fault(Sign::Word)),
    ("detail.error.type", Fault(Sign::Type)),
    ("detail.*.type", Fault(Sign::Type)),
    // Why an answer ends.
    ("choices.*.finish_reason", Leaf::Finish),
    ("candidates.*.finishReason", Leaf::Finish),
    ("stop_reason", Leaf::Finish),
    ("stopReason", Leaf::Finish),
    ("delta.stop_reason", Leaf::Finish),
    ("incomplete_details.reason", Leaf::Finish),
    ("response.incomplete_details.reason", Leaf::Finish),
    ("done_reason", Leaf::Finish),
    ("finish_reason", Leaf::Finish),
    ("delta.finish_reason", Leaf::Finish),
    ("response.finish_reason", Leaf::Finish),
    ("output.finish_reason", Leaf::Finish),
    ("details.finish_reason", Leaf::Finish),
    ("completionReason", Leaf::Finish),
    ("results.*.completionReason", Leaf::Finish),
    ("results.*.stop_reason", Leaf::Finish),
    ("outputs.*.stop_reason", Leaf::Finish),
    ("completions.*.finish_reason", Leaf::Finish),
    ("status", Leaf::Status),
    ("response.status", Leaf::Status),
    ("interaction.status", Leaf::Status),
    // The answer: OpenAI chat (with the parts of Mistral) and completions.
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
    ("b64_json", Leaf::Content),
    ("partial_image_b64", Leaf::Content),
    ("item.type", Leaf::ItemKind),
    ("item.result", Leaf::Content),
    ("response.output.*.result", Leaf::Content),
    // Assistants, which stream messages of threads.
    ("delta.content.*.text.value", Leaf::Content),
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
    // Gemini Interactions: the summary of a thought.
    ("delta.content.text", Leaf::Reasoning),
    // Bedrock InvokeModel: Titan, Llama, Mistral. Text Generation Inference, watsonx, Writer, Aleph Alpha.
    ("outputText", Leaf::Content),
    ("generation", Leaf::Content),
    ("outputs.*.text", Leaf::Content),
    ("token.text", Leaf::Content),
    ("results.*.generated_text", Leaf::Content),
    ("value", Leaf::Content),
    ("completions.*.completion", Leaf::Content),
];

/// What makes a message worth a walk after the first content: a piece of every key that holds a figure, the errors, and
/// the end of a key such as `finish_reason` with the start of a text behind it.
/// Keys are sought as vendors write them: one that is spelt with escapes is found in a walk, but does not cause one.
static TRIGGERS: [&str; 5] = ["oken", "eval_count", "\"error", "eason\":\"", "eason\": \""];

/// A pair of letters of each trigger, and of what makes a message without one worth a look: the name of an event that is
/// an error. They are rare in other words.
static CLUES: Clues = Clues { pairs: [*b"ok", *b"l_", *b"rr"], ending: b's' };

/// The compiled table. Made once; a clone is a reference count.
#[derive(Clone, Debug)]
pub struct Table {
    pub(super) paths: Rc<Paths>,
    triggers: Rc<[Finder<'static>; 5]>,
    /// The members of a chunk of OpenAI's, for whoever takes the usage out of one.
    chunk: Option<Keys>,
}

impl Table {
    /// Compiles the list.
    #[must_use]
    pub fn new() -> Self {
        let mut places = PLACES.iter().zip(0u16..).map(|((path, _), id)| (*path, id));
        Self {
            paths: Rc::new(Paths::new(&mut places, ALIASES)),
            triggers: Rc::new(TRIGGERS.map(Finder::new)),
            chunk: super::chunk::keys(),
        }
    }

    /// The members of a chunk of OpenAI's.
    pub(crate) const fn chunk(&self) -> Option<&Keys> {
        self.chunk.as_ref()
    }

    /// What the walker's id stands for.
    pub(super) fn leaf(id: u16) -> Option<Leaf> {
        PLACES.get(usize::from(id)).map(|(_, leaf)| *leaf)
    }

    /// Whether a message may tell a figure, an error or how it ended.
    pub(super) fn triggered(&self, data: &[u8]) -> bool {
        // One look for all of them tells most messages apart.
        CLUES.stand_in(data) && self.triggers.iter().any(|trigger| trigger.find(data).is_some())
    }

    /// Whether there may be such messages among these, given with their framing. Says so for a few others too.
    pub(crate) fn has_clues(messages: &[u8]) -> bool {
        CLUES.stand_in(messages)
    }
}

impl Default for Table {
    fn default() -> Self {
        Self::new()
    }
}
