//! What the client asks for: a client path is a client prefix, a version and the suffix of an operation.
//!
//! `/team-a/v1/chat/completions` has the prefix `/team-a`, the version `/v1` and the suffix `/chat/completions`, which
//! is [`Operation::ChatCompletions`]. Suffixes are compared by whole segments; the version is optional; the query is
//! split off first; slashes at the end are ignored. What matches no suffix is [`Operation::Passthrough`].
//!
//! A suffix of one noun is also the tail of other resources: `/v1/threads/t/messages` is not the Messages API,
//! `/v1/chat/moderations` is not Moderations, and `/v1/organization/usage/completions` completes nothing. Those operations
//! are *anchored*: where the client path has a version at all, it must stand directly before their suffix, because what
//! follows a version is the vendor's own API. Without a version anything may stand before them: `/team-a/embeddings`.

use crate::path::spelling;
use core::fmt;

/// The API protocol of a request or an endpoint: who defined its paths, bodies, streams and error shape.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
pub enum Dialect {
    /// OpenAI's API and what copies it (Cohere-style `rerank` travels with it).
    OpenAi,
    /// Anthropic's Messages API.
    Anthropic,
    /// Google's `generateContent` family (Gemini API, Vertex AI).
    Gemini,
    /// Amazon Bedrock's runtime API (Converse, InvokeModel).
    Bedrock,
    /// A vendor's own protocol that nobody else speaks.
    Own,
}

impl Dialect {
    /// The name used in traces, errors and `waypost providers`.
    #[must_use]
    pub const fn name(self) -> &'static str {
        match self {
            Self::OpenAi => "openai",
            Self::Anthropic => "anthropic",
            Self::Gemini => "gemini",
            Self::Bedrock => "bedrock",
            Self::Own => "own",
        }
    }
}

impl fmt::Display for Dialect {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(self.name())
    }
}

/// Whether a suffix may stand behind anything, or only where nothing but a client prefix can precede it; and whether
/// anything may follow it.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum Place {
    Anywhere,
    Anchored,
    /// As [`Self::Anchored`], and everything below it is the same operation: a whole family of resources, with its ids.
    Family,
    /// As [`Self::Native`], but behind anything without a version.
    NativeRoot,
    /// Only directly behind a version, and the path is kept as that of no known operation is: one vendor alone has it.
    Native,
}

/// What the request body of an operation is made of, as far as it is looked into.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum BodyKind {
    /// Anything else: nothing in it is edited or recorded.
    Other,
    /// A JSON object that names the model at its top level.
    Json,
    /// A `multipart/form-data` form with a `model` part.
    Form,
    /// Either of the two, as its type says.
    JsonOrForm,
    /// A JSON object with a list of `contents`, each with a role; the path names the model (Gemini).
    Contents,
    /// As [`Self::Other`], or none at all; the query names the model (realtime sessions).
    ModelInQuery,
}

impl BodyKind {
    /// Whether it may be a JSON object that names the model at its top level.
    #[must_use]
    pub const fn names_model_in_json(self) -> bool {
        matches!(self, Self::Json | Self::JsonOrForm)
    }

    /// Whether it may be a form that names the model.
    #[must_use]
    pub const fn may_be_form(self) -> bool {
        matches!(self, Self::Form | Self::JsonOrForm)
    }
}

/// What an operation has a model do, which decides whether parameters are edited and whether its response is read for
/// what it cost.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum Work {
    /// It generates text from a prompt or a conversation in the body: `params` are for it, and it costs.
    Generates,
    /// Its response may say what it cost.
    Costs,
    /// The same, and nothing is generated, so that all of the cost is input: embeddings, ranking, judging.
    Reads,
    /// It costs no tokens: lists, files, jobs. A token count is an answer, not a cost.
    Free,
}

/// One row of the operation table.
#[derive(Debug)]
struct Row {
    operation: Operation,
    name: &'static str,
    dialect: Dialect,
    suffix: &'static str,
    /// The last bytes of the suffix, unless an id ends it: what most paths do not end with.
    ending: Option<[u8; ENDING]>,
    place: Place,
    body: BodyKind,
    work: Work,
    aliases: &'static [&'static str],
}

impl Row {
    /// See [`Operation::is_native`].
    const fn is_native(&self) -> bool {
        matches!(self.place, Place::Native | Place::NativeRoot)
    }
}

/// How many bytes tell most suffixes apart.
const ENDING: usize = 4;

/// The last bytes of a suffix, if no id is in them.
const fn ending(suffix: &'static str) -> Option<[u8; ENDING]> {
    match suffix.as_bytes().last_chunk::<ENDING>() {
        Some([b'}', ..] | [_, b'}', ..] | [_, _, b'}', _] | [.., b'}']) | None => None,
        Some(ending) => Some(*ending),
    }
}

macro_rules! operations {
    ($($variant:ident $name:literal $dialect:ident $place:ident $body:ident $work:ident $suffix:literal
        $(as $($alias:literal),+)?;)+) => {
        /// What a client asks for, named by its path.
        ///
        /// The names are the keys of `endpoints` and the values of `operations` in the configuration.
        #[derive(Clone, Copy, Debug, PartialEq, Eq, Hash, PartialOrd, Ord)]
        pub enum Operation {
            $(#[doc = concat!("`", $suffix, "`")] $variant,)+
            /// A path that is none of the above.
            Passthrough,
        }

        /// Every operation with a suffix. Of two rows that match a path the earlier one wins, so longer and more
        /// literal suffixes come first; a test holds the order to that.
        static TABLE: &[Row] = &[$(Row {
            operation: Operation::$variant,
            name: $name,
            dialect: Dialect::$dialect,
            suffix: $suffix,
            ending: if matches!(Place::$place, Place::Family) { None } else { ending($suffix) },
            place: Place::$place,
            body: BodyKind::$body,
            work: Work::$work,
            aliases: &[$($($alias),+)?],
        }),+];
    };
}

// Columns: variant, name, dialect, place, request body, work, canonical suffix, and the names Higress's `capabilities`
// uses for it.
operations! {
    // Gemini API and Vertex AI. https://ai.google.dev/api/all-methods (2026-11)
    GenerateContent "generate_content" Gemini Anywhere Contents Costs "/models/{model}:generateContent" as "gemini/v1beta/generatecontent";
    StreamGenerateContent "stream_generate_content" Gemini Anywhere Contents Costs "/models/{model}:streamGenerateContent" as "gemini/v1beta/streamgeneratecontent";
    EmbedContent "embed_content" Gemini Anywhere Other Reads "/models/{model}:embedContent";
    BatchEmbedContents "batch_embed_contents" Gemini Anywhere Other Reads "/models/{model}:batchEmbedContents";
    CountContentTokens "count_content_tokens" Gemini Anywhere Other Free "/models/{model}:countTokens";
    BatchGenerateContent "batch_generate_content" Gemini Anywhere Other Free "/models/{model}:batchGenerateContent";
    PredictLongRunning "predict_long_running" Gemini Anywhere Other Free "/models/{model}:predictLongRunning";
    Predict "predict" Gemini Anywhere Other Costs "/models/{model}:predict";
    RawPredict "raw_predict" Gemini Anywhere Other Costs "/models/{model}:rawPredict";
    StreamRawPredict "stream_raw_predict" Gemini Anywhere Other Costs "/models/{model}:streamRawPredict";

    // Amazon Bedrock runtime. https://docs.aws.amazon.com/bedrock/latest/APIReference/API_Operations_Amazon_Bedrock_Runtime.html
    Converse "converse" Bedrock Anywhere Other Costs "/model/{model}/converse";
    ConverseStream "converse_stream" Bedrock Anywhere Other Costs "/model/{model}/converse-stream";
    InvokeModel "invoke_model" Bedrock Anywhere Other Costs "/model/{model}/invoke";
    InvokeModelStream "invoke_model_stream" Bedrock Anywhere Other Costs "/model/{model}/invoke-with-response-stream";
    CountModelTokens "count_model_tokens" Bedrock Anywhere Other Free "/model/{model}/count-tokens";

    // Stored chat completions of OpenAI's. Behind no version they end like Anthropic's messages.
    StoredCompletionMessages "stored_completion_messages" OpenAi Anchored Other Free "/chat/completions/{completion_id}/messages";
    StoredCompletion "stored_completion" OpenAi Anchored Other Free "/chat/completions/{completion_id}";

    // Anthropic. https://docs.claude.com/en/api/overview
    CountTokens "count_tokens" Anthropic Anywhere Json Free "/messages/count_tokens" as "anthropic/v1/messages/count_tokens";
    MessageBatchCancel "message_batch_cancel" Anthropic Anywhere Other Free "/messages/batches/{message_batch_id}/cancel";
    MessageBatchResults "message_batch_results" Anthropic Anywhere Other Free "/messages/batches/{message_batch_id}/results";
    MessageBatch "message_batch" Anthropic Anywhere Other Free "/messages/batches/{message_batch_id}";
    MessageBatches "message_batches" Anthropic Anywhere Other Free "/messages/batches";
    Messages "messages" Anthropic Anchored Json Generates "/messages" as "anthropic/v1/messages";
    Complete "complete" Anthropic Anchored Json Generates "/complete" as "anthropic/v1/complete";

    // OpenAI. https://platform.openai.com/docs/api-reference
    ChatCompletions "chat_completions" OpenAi Anywhere Json Generates "/chat/completions" as "openai/v1/chatcompletions";
    Completions "completions" OpenAi Anchored Json Generates "/completions" as "openai/v1/completions";
    Embeddings "embeddings" OpenAi Anchored Json Reads "/embeddings" as "openai/v1/embeddings";
    Moderations "moderations" OpenAi Anchored Json Reads "/moderations";
    ImagesGenerations "images_generations" OpenAi Anywhere Json Costs "/images/generations" as "openai/v1/imagegeneration";
    ImagesEdits "images_edits" OpenAi Anywhere JsonOrForm Costs "/images/edits" as "openai/v1/imageedit";
    ImagesVariations "images_variations" OpenAi Anywhere Form Costs "/images/variations" as "openai/v1/imagevariation";
    AudioSpeech "audio_speech" OpenAi Anywhere Json Costs "/audio/speech" as "openai/v1/audiospeech";
    AudioTranscriptions "audio_transcriptions" OpenAi Anywhere Form Costs "/audio/transcriptions" as "openai/v1/audiotranscription";
    AudioTranslations "audio_translations" OpenAi Anywhere Form Costs "/audio/translations" as "openai/v1/audiotranslation";
    Rerank "rerank" OpenAi Anchored Json Reads "/rerank" as "cohere/v1/rerank", "openai/v1/rerank";
    Reranks "reranks" OpenAi Anchored Json Reads "/reranks";

    ResponseCancel "response_cancel" OpenAi Anchored Other Free "/responses/{response_id}/cancel";
    ResponseInputItems "response_input_items" OpenAi Anchored Other Free "/responses/{response_id}/input_items";
    ResponsesInputTokens "responses_input_tokens" OpenAi Anchored Json Free "/responses/input_tokens";
    ResponsesCompact "responses_compact" OpenAi Anchored Json Costs "/responses/compact";
    Response "response" OpenAi Anchored Other Free "/responses/{response_id}";
    Responses "responses" OpenAi Anchored Json Generates "/responses" as "openai/v1/responses";

    ConversationItem "conversation_item" OpenAi Anchored Other Free "/conversations/{conversation_id}/items/{item_id}";
    ConversationItems "conversation_items" OpenAi Anchored Other Free "/conversations/{conversation_id}/items";
    Conversation "conversation" OpenAi Anchored Other Free "/conversations/{conversation_id}";
    Conversations "conversations" OpenAi Anchored Other Free "/conversations" as "openai/v1/conversations";

    FileContent "file_content" OpenAi Anchored Other Free "/files/{file_id}/content" as "openai/v1/retrievefilecontent";
    File "file" OpenAi Anchored Other Free "/files/{file_id}" as "openai/v1/retrievefile";
    Files "files" OpenAi Anchored Other Free "/files" as "openai/v1/files";

    BatchCancel "batch_cancel" OpenAi Anchored Other Free "/batches/{batch_id}/cancel" as "openai/v1/cancelbatch";
    Batch "batch" OpenAi Anchored Other Free "/batches/{batch_id}" as "openai/v1/retrievebatch";
    Batches "batches" OpenAi Anchored Other Free "/batches" as "openai/v1/batches";

    FineTuningPermission "fine_tuning_permission" OpenAi Anchored Other Free "/fine_tuning/checkpoints/{checkpoint}/permissions/{permission_id}";
    FineTuningPermissions "fine_tuning_permissions" OpenAi Anchored Other Free "/fine_tuning/checkpoints/{checkpoint}/permissions";
    FineTuningJobEvents "fine_tuning_job_events" OpenAi Anchored Other Free "/fine_tuning/jobs/{fine_tuning_job_id}/events";
    FineTuningJobCheckpoints "fine_tuning_job_checkpoints" OpenAi Anchored Other Free "/fine_tuning/jobs/{fine_tuning_job_id}/checkpoints";
    FineTuningJobCancel "fine_tuning_job_cancel" OpenAi Anchored Other Free "/fine_tuning/jobs/{fine_tuning_job_id}/cancel";
    FineTuningJobPause "fine_tuning_job_pause" OpenAi Anchored Other Free "/fine_tuning/jobs/{fine_tuning_job_id}/pause";
    FineTuningJobResume "fine_tuning_job_resume" OpenAi Anchored Other Free "/fine_tuning/jobs/{fine_tuning_job_id}/resume";
    FineTuningJob "fine_tuning_job" OpenAi Anchored Other Free "/fine_tuning/jobs/{fine_tuning_job_id}";
    FineTuningJobs "fine_tuning_jobs" OpenAi Anchored Json Free "/fine_tuning/jobs";

    VideoCharacter "video_character" OpenAi Anchored Other Free "/videos/characters/{character_id}";
    VideoContent "video_content" OpenAi Anchored Other Free "/videos/{video_id}/content" as "openai/v1/retrievevideocontent";
    VideoRemix "video_remix" OpenAi Anchored Other Free "/videos/{video_id}/remix" as "openai/v1/videoremix";
    Video "video" OpenAi Anchored Other Free "/videos/{video_id}" as "openai/v1/retrievevideo";
    Videos "videos" OpenAi Anchored JsonOrForm Free "/videos" as "openai/v1/videos";

    RealtimeCall "realtime_call" OpenAi Anchored Other Free "/realtime/calls/{call_id}/{action}";
    RealtimeClientSecrets "realtime_client_secrets" OpenAi Anchored Other Free "/realtime/client_secrets";
    RealtimeTranscriptionSessions "realtime_transcription_sessions" OpenAi Anchored Other Free "/realtime/transcription_sessions";
    RealtimeSessions "realtime_sessions" OpenAi Anchored Json Free "/realtime/sessions";
    RealtimeCalls "realtime_calls" OpenAi Anchored ModelInQuery Free "/realtime/calls";
    // Gemini Interactions. https://ai.google.dev/gemini-api/docs/interactions (2026-11)
    Interaction "interaction" Gemini Native Other Free "/interactions/{interaction_id}";
    Interactions "interactions" Gemini Native Json Costs "/interactions";

    // Cohere. https://docs.cohere.com/reference/about (2026-11)
    CohereChat "cohere_chat" OpenAi Native Json Costs "/chat";
    CohereEmbed "cohere_embed" OpenAi Native Json Reads "/embed";

    // DashScope. https://help.aliyun.com/zh/model-studio/dashscopeapireference (2026-11)
    DashScopeText "dashscope_text_generation" OpenAi Native Json Costs "/services/aigc/text-generation/generation";
    DashScopeMultimodal "dashscope_multimodal_generation" OpenAi Native Json Costs "/services/aigc/multimodal-generation/generation";
    DashScopeImages "dashscope_image_generation" OpenAi Native Json Costs "/services/aigc/image-generation/generation";
    DashScopeTextToImage "dashscope_image_synthesis" OpenAi Native Json Costs "/services/aigc/text2image/image-synthesis";
    DashScopeImageToImage "dashscope_image_edit" OpenAi Native Json Costs "/services/aigc/image2image/image-synthesis";
    DashScopeVideo "dashscope_video_synthesis" OpenAi Native Json Costs "/services/aigc/video-generation/video-synthesis";
    DashScopeEmbeddings "dashscope_embeddings" OpenAi Native Json Reads "/services/embeddings/text-embedding/text-embedding";
    DashScopeMultimodalEmbeddings "dashscope_multimodal_embeddings" OpenAi Native Json Reads "/services/embeddings/multimodal-embedding/multimodal-embedding";
    DashScopeRerank "dashscope_rerank" OpenAi Native Json Reads "/services/rerank/text-rerank/text-rerank";

    Realtime "realtime" OpenAi Anchored ModelInQuery Free "/realtime" as "openai/v1/realtime";
    Model "model" OpenAi Anchored Other Free "/models/{model}";
    Models "models" OpenAi Anchored Other Free "/models" as "openai/v1/models";

    // Ollama's own API. https://docs.ollama.com/api (2026-11). Other providers pass such a path through.
    OllamaChat "ollama_chat" Own NativeRoot Json Costs "/api/chat";
    OllamaGenerate "ollama_generate" Own NativeRoot Json Costs "/api/generate";
    OllamaEmbed "ollama_embed" Own NativeRoot Json Reads "/api/embed";

    // Families: resources of OpenAI's that name no model, with everything below them. A run of a thread says what it
    // cost. https://github.com/openai/openai-python/blob/main/api.md (2026-11)
    Assistants "assistants" OpenAi Family Other Free "/assistants";
    AudioVoiceConsents "audio_voice_consents" OpenAi Family Other Free "/audio/voice_consents";
    AudioVoices "audio_voices" OpenAi Family Other Free "/audio/voices";
    ChatkitResources "chatkit_resources" OpenAi Family Other Free "/chatkit";
    Containers "containers" OpenAi Family Other Free "/containers";
    Evals "evals" OpenAi Family Other Free "/evals";
    FineTuning "fine_tuning" OpenAi Family Other Free "/fine_tuning";
    Skills "skills" OpenAi Family Other Free "/skills";
    Threads "threads" OpenAi Family Other Costs "/threads";
    Uploads "uploads" OpenAi Family Other Free "/uploads";
    VectorStores "vector_stores" OpenAi Family Other Free "/vector_stores";
}

impl Operation {
    /// How many operations there are, [`Operation::Passthrough`] included.
    pub const COUNT: usize = TABLE.len().saturating_add(1);

    /// Every operation, [`Operation::Passthrough`] last; `all().nth(op.index())` is `op`.
    pub fn all() -> impl Iterator<Item = Self> {
        TABLE.iter().map(|row| row.operation).chain(core::iter::once(Self::Passthrough))
    }

    /// Position in [`Operation::all`], below [`Operation::COUNT`].
    #[must_use]
    pub const fn index(self) -> usize {
        self as usize
    }

    /// The operation's row; rows stand in the order of the variants.
    fn row(self) -> Option<&'static Row> {
        TABLE.get(self.index())
    }

    /// The name in configuration, traces, logs and metrics.
    #[must_use]
    pub fn name(self) -> &'static str {
        self.row().map_or("passthrough", |row| row.name)
    }

    /// The dialect whose clients send this; passed-through paths are nobody's in particular, and those of
    /// [one vendor](Self::is_native) pass through.
    #[must_use]
    pub fn dialect(self) -> Option<Dialect> {
        self.row().filter(|row| !row.is_native()).map(|row| row.dialect)
    }

    /// The suffix the operation's own vendor uses, ids as `{name}`; none for what passes through.
    #[must_use]
    pub fn suffix(self) -> Option<&'static str> {
        self.row().filter(|row| !row.is_native()).map(|row| row.suffix)
    }

    /// What its request body is made of.
    #[must_use]
    pub fn body(self) -> BodyKind {
        self.row().map_or(BodyKind::Other, |row| row.body)
    }

    /// Whether it generates text from what the body holds; parameters are for these operations.
    #[must_use]
    pub fn generates(self) -> bool {
        self.row().is_some_and(|row| row.work == Work::Generates)
    }

    /// Whether its response may say what it cost. What is passed through may be anything, so it may.
    #[must_use]
    pub fn costs(self) -> bool {
        self.row().is_none_or(|row| row.work != Work::Free)
    }

    /// Whether a request of this operation names a model, in its body or in its path.
    #[must_use]
    pub fn has_model(self) -> bool {
        self.row().is_some_and(|row| row.body != BodyKind::Other || row.suffix.contains("/{model}"))
            && !self.is_model_list()
    }

    /// Whether one vendor alone has it, so that its path is kept like that of no known operation. It is known for what its
    /// body and its response tell.
    #[must_use]
    pub fn is_native(self) -> bool {
        self.row().is_some_and(Row::is_native)
    }

    /// Whether anything is generated, so that there may be output beside the input.
    #[must_use]
    pub fn has_output(self) -> bool {
        self.row().is_none_or(|row| row.work != Work::Reads)
    }

    /// Finds an operation by its name, or by the name Higress's `capabilities` gives it.
    #[must_use]
    pub fn from_name(name: &str) -> Option<Self> {
        Self::all().find(|op| op.name() == name || op.row().is_some_and(|row| row.aliases.contains(&name)))
    }

    /// The names of the query parameter that holds the model, the usual one first; none where the query holds none.
    #[must_use]
    pub fn model_parameters(self) -> &'static [&'static str] {
        // Azure's preview API calls it `deployment`; its v1 API and OpenAI call it `model`.
        if self.body() == BodyKind::ModelInQuery { &["model", "deployment"] } else { &[] }
    }

    /// Whether the model list is asked for, which every dialect has under the same suffix.
    #[must_use]
    pub const fn is_model_list(self) -> bool {
        matches!(self, Self::Models | Self::Model)
    }

    /// How many segments its suffix has; 0 for [`Operation::Passthrough`].
    #[must_use]
    pub fn words(self) -> usize {
        self.suffix().map_or(0, |suffix| suffix.matches('/').count())
    }

    /// Whether it stands for everything below its suffix as well.
    #[must_use]
    pub fn is_family(self) -> bool {
        self.row().is_some_and(|row| row.place == Place::Family)
    }
}

impl fmt::Display for Operation {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(self.name())
    }
}

/// How many ids the suffix of one operation can hold.
pub const MAX_IDS: usize = 2;

/// A client path taken apart. All parts borrow from the path and are untouched, percent-encoding included.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct ClientPath<'a> {
    /// The path without query and without slashes at its end (`/` stays).
    pub path: &'a str,
    /// What follows the first `?`.
    pub query: Option<&'a str>,
    /// What is asked for.
    pub operation: Operation,
    /// What stands before the version; empty, or begins with a slash. All of the path when passed through.
    pub prefix: &'a str,
    /// The version segment directly before the suffix, `/v1` or `/v1beta/openai`; empty if there is none.
    pub version: &'a str,
    /// The operation's own part; empty when passed through.
    pub suffix: &'a str,
    /// Whether some servers read another operation with a model in this path than this one.
    pub ambiguous: bool,
    ids: [(&'static str, &'a str); MAX_IDS],
}

impl<'a> ClientPath<'a> {
    /// Takes the `:path` header of a client apart, as servers read it.
    ///
    /// An operation with a model is found behind doubled slashes and escapes that nobody needs, too: then the parts
    /// borrow from `spelled`, which gets the path without those. What only some servers read as such an operation is
    /// marked as [`ambiguous`](Self::ambiguous), and is that operation.
    #[must_use]
    pub fn read(target: &'a str, spelled: &'a mut String) -> Self {
        let as_sent = Self::parse(target);
        let (path, _) = split_query(target);
        if spelling::is_plain(path) {
            return as_sent;
        }
        *spelled = spelling::simplified(path);
        let simplified = Self { query: as_sent.query, ..Self::parse(spelled) };
        let found = if simplified.operation.has_model() { simplified } else { as_sent };
        // Ids stay as they were sent, wherever that makes no difference.
        let found = if found.operation == as_sent.operation { as_sent } else { found };
        let others = spelling::lenient(path);
        let mut others = others.iter().map(|other| ClientPath::find(other, true).operation);
        match others.find(|other| other.has_model() && *other != found.operation) {
            Some(operation) => Self { operation, ambiguous: true, ..as_sent },
            None => found,
        }
    }

    /// Takes a path apart as it is written.
    #[must_use]
    pub fn parse(target: &'a str) -> Self {
        Self::find(target, false)
    }

    /// Takes a path apart; `any_case` says that the case of its letters means nothing.
    fn find(target: &'a str, any_case: bool) -> Self {
        let unknown = Self::unknown(target);
        let end = unknown.path.as_bytes().last_chunk().copied();
        let mut likely = TABLE.iter().filter(|row| any_case || row.ending.is_none() || row.ending == end);
        likely.find_map(|row| unknown.as_operation(row, any_case)).unwrap_or(unknown)
    }

    /// Takes a `:path` header apart that is no operation, whatever it ends with.
    #[must_use]
    pub fn unknown(target: &'a str) -> Self {
        let (path, query) = split_query(target);
        let path = match path.trim_end_matches('/') {
            "" if !path.is_empty() => "/",
            trimmed => trimmed,
        };
        Self {
            path,
            query,
            operation: Operation::Passthrough,
            prefix: path,
            version: "",
            suffix: "",
            ambiguous: false,
            ids: [("", ""); MAX_IDS],
        }
    }

    /// The value of the id `{name}` as the client sent it, for instance `{model}` in `/models/{model}`.
    #[must_use]
    pub fn id(&self, name: &str) -> Option<&'a str> {
        self.ids.iter().find(|(id, _)| *id == name && !id.is_empty()).map(|(_, value)| *value)
    }

    fn as_operation(&self, row: &Row, any_case: bool) -> Option<Self> {
        let mut ids = [("", ""); MAX_IDS];
        let rest = if row.place == Place::Family {
            self.before_family(row.suffix)?
        } else if row.suffix.contains('{') {
            self.before_ids(row, any_case, &mut ids)?
        } else {
            without_end(self.path, row.suffix, any_case)?
        };
        // A deployment stands for the model, where the body would name it.
        let deployment = split_deployment(rest).filter(|_| row.body.names_model_in_json() || row.body.may_be_form());
        if let (Some((_, model)), Some(free)) = (deployment, ids.iter_mut().find(|(name, _)| name.is_empty())) {
            *free = ("model", model);
        }
        let (prefix, version) = split_version(deployment.map_or(rest, |(before, _)| before));
        let claimed = |segment: &str| is_version(segment) || (row.place == Place::Anchored && is_family_root(segment));
        let is_bare = row.place == Place::Native && version.is_empty();
        if is_bare || (row.place != Place::Anywhere && version.is_empty() && prefix.split('/').any(claimed)) {
            return None;
        }
        let suffix = self.path.get(rest.len()..)?;
        Some(Self { operation: row.operation, prefix, version, suffix, ids, ..*self })
    }

    /// Whether a segment of the path names the model, of an operation whose body names it elsewhere: Azure's
    /// `/openai/deployments/{model}/chat/completions`.
    #[must_use]
    pub fn has_deployment(&self) -> bool {
        let body = self.operation.body();
        (body.names_model_in_json() || body.may_be_form()) && self.id("model").is_some()
    }

    /// What stands before the first place where a family's suffix fills whole segments.
    fn before_family(&self, suffix: &str) -> Option<&'a str> {
        let is_whole = |(at, _): &(usize, &str)| {
            let behind = at.checked_add(suffix.len()).and_then(|end| self.path.get(end..));
            behind.is_some_and(|behind| behind.is_empty() || behind.starts_with('/'))
        };
        self.path.match_indices(suffix).find(is_whole).and_then(|(at, _)| self.path.get(..at))
    }

    /// What stands before a suffix with ids, which are noted.
    fn before_ids(&self, row: &Row, any_case: bool, ids: &mut [(&'static str, &'a str)]) -> Option<&'a str> {
        let mut free = ids.iter_mut();
        let wanted = row.suffix.rsplit('/').filter(|segment| !segment.is_empty());
        let mut rest = self.path;
        for pattern in wanted {
            let (before, segment) = rest.rsplit_once('/')?;
            match pattern.strip_prefix('{').and_then(|pattern| pattern.split_once('}')) {
                None if segment == pattern || (any_case && segment.eq_ignore_ascii_case(pattern)) => {}
                None => return None,
                Some((name, tail)) => {
                    let value = without_end(segment, tail, any_case).filter(|value| !value.is_empty())?;
                    *free.next()? = (name, value);
                }
            }
            rest = before;
        }
        Some(rest)
    }
}

/// Whether a path segment begins a family of resources: without a version, `/threads/t/messages` is told from Messages by
/// that alone.
fn is_family_root(segment: &str) -> bool {
    let mut families = TABLE.iter().filter(|row| row.place == Place::Family);
    families.any(|row| row.suffix.strip_prefix('/') == Some(segment))
}

/// What stands before the first `?`, and what behind it.
fn split_query(target: &str) -> (&str, Option<&str>) {
    match target.split_once('?') {
        Some((path, query)) => (path, Some(query)),
        None => (target, None),
    }
}

/// What stands before `end`.
fn without_end<'t>(text: &'t str, end: &str, any_case: bool) -> Option<&'t str> {
    let (rest, last) = text.split_at_checked(text.len().checked_sub(end.len())?)?;
    (last == end || (any_case && last.eq_ignore_ascii_case(end))).then_some(rest)
}

/// Whether a path segment is a version: `v1`, `v4`, `v1beta`, `v1beta1`.
#[must_use]
pub fn is_version(segment: &str) -> bool {
    segment.strip_prefix('v').is_some_and(|rest| {
        rest.starts_with(|c: char| c.is_ascii_digit()) && rest.bytes().all(|b| b.is_ascii_alphanumeric())
    })
}

/// Splits a version off the end: `/gw/v1` is `/gw` and `/v1`; `/v1beta/openai` (Gemini, PPIO, DeepInfra) is one version.
pub(crate) fn split_version(path: &str) -> (&str, &str) {
    let versioned = path.strip_suffix("/openai").unwrap_or(path);
    for candidate in [path, versioned] {
        if let Some((before, last)) = candidate.rsplit_once('/')
            && is_version(last)
        {
            return path.split_at_checked(before.len()).unwrap_or((path, ""));
        }
    }
    (path, "")
}

/// What names a deployment: clients of Azure, `/openai/deployments/{model}` or `/deployments/{model}`, and of LiteLLM,
/// `/engines/{model}`. <https://github.com/openai/openai-python/blob/main/src/openai/lib/azure.py>,
/// <https://docs.litellm.ai/docs/proxy/user_keys> (2026-11).
const DEPLOYMENTS: [&str; 2] = ["/deployments/", "/engines/"];

/// What stands before a deployment at the end of a path, and its name. Clients do not encode slashes in it.
fn split_deployment(path: &str) -> Option<(&str, &str)> {
    // Nearly every path ends here: nothing as short has a root and a name.
    if path.len() <= "/engines/".len() {
        return None;
    }
    let (before, name) = DEPLOYMENTS.iter().find_map(|root| path.rsplit_once(root))?;
    // Azure's old `/deployments/{model}/extensions/chat/completions` ends with no name.
    (!name.is_empty() && !name.ends_with("/extensions")).then_some((before, name))
}

#[cfg(test)]
mod tests {
    use super::*;
    #[cfg(target_family = "wasm")]
    use wasm_bindgen_test::wasm_bindgen_test as test;

    fn operation(path: &str) -> (&'static str, &str, &str) {
        let parsed = ClientPath::parse(path);
        (parsed.operation.name(), parsed.prefix, parsed.version)
    }

    #[test]
    fn finds_the_operation_by_whole_segments_with_and_without_version() {
        for (path, expected) in [
            ("/chat/completions", ("chat_completions", "", "")),
            ("/v1/chat/completions", ("chat_completions", "", "/v1")),
            ("/v1/chat/completions/", ("chat_completions", "", "/v1")),
            ("/openai/v1/chat/completions?x=/v1/embeddings", ("chat_completions", "/openai", "/v1")),
            ("/api/paas/v4/chat/completions", ("chat_completions", "/api/paas", "/v4")),
            ("/v1beta/openai/chat/completions", ("chat_completions", "", "/v1beta/openai")),
            ("//v1/chat/completions", ("chat_completions", "/", "/v1")),
            ("/v1/notchat/completions", ("passthrough", "/v1/notchat/completions", "")),
            ("/notchat/completions", ("completions", "/notchat", "")),
            ("/v1/mychat/completionss", ("passthrough", "/v1/mychat/completionss", "")),
            ("/v1/messages/count_tokens?beta=true", ("count_tokens", "", "/v1")),
            ("/v1/models/gpt-4o", ("model", "", "/v1")),
            ("/v1beta/models/g:generateContent", ("generate_content", "", "/v1beta")),
            (
                "/v1/projects/p/locations/l/publishers/google/models/g:generateContent",
                ("generate_content", "/v1/projects/p/locations/l/publishers/google", ""),
            ),
            ("/model/anthropic.claude-v2%3A1/converse-stream", ("converse_stream", "", "")),
            ("", ("passthrough", "", "")),
            ("/", ("passthrough", "/", "")),
            ("///", ("passthrough", "/", "")),
            ("/openai/deployments/d/embeddings", ("embeddings", "/openai", "")),
            ("/v1/deployments/d/completions", ("completions", "", "/v1")),
            ("/v1/engines/d/completions", ("completions", "", "/v1")),
            ("/v1/own/engines/d/completions", ("passthrough", "/v1/own/engines/d/completions", "")),
        ] {
            assert_eq!(operation(path), expected, "{path}");
        }
    }

    #[test]
    fn a_path_is_read_as_servers_read_it() {
        for (path, operation, ambiguous) in [
            ("/v1/chat//completions", "chat_completions", false),
            ("//v1///chat/completions//", "chat_completions", false),
            ("/v1/%63hat/completion%73?x=1", "chat_completions", false),
            ("/Team-A/v1/chat/completions", "chat_completions", false),
            ("/team-a/embeddings", "embeddings", false),
            ("/api/chat/completions", "chat_completions", false),
            ("/v1beta/models/Gemini-Pro%3AgenerateContent", "generate_content", false),
            ("/v1beta/models/Gemini-Pro:generateContent", "generate_content", false),
            ("/model/arn%3Aaws%3Ax%2FClaude/converse", "converse", false),
            ("/v1/files/File%2FA", "file", false),
            ("/v1//vendor/%20Own;a=b", "passthrough", false),
            ("/V1/Chat/Completions", "chat_completions", true),
            ("/v1/Chat/completions", "chat_completions", true),
            ("/v1/chat%2Fcompletions", "chat_completions", true),
            ("/v1/chat/completions;x", "chat_completions", true),
            ("/v1/chat\\completions", "chat_completions", true),
            ("/v1/chat/./completions", "chat_completions", true),
            ("/v1/chat/completions%20", "chat_completions", true),
            ("/v1/chat/completions%00", "chat_completions", true),
            ("/v1/chat/completions%3fx", "chat_completions", true),
            ("/v1/embeddings/..%2fchat/completions/%2e%2e/%2e%2e/embeddings", "embeddings", true),
            ("/v1beta/models/g:GENERATECONTENT", "generate_content", true),
        ] {
            let mut spelled = String::new();
            let read = ClientPath::read(path, &mut spelled);
            assert_eq!((read.operation.name(), read.ambiguous), (operation, ambiguous), "{path}");
            assert_eq!(read.query, path.split_once('?').map(|(_, query)| query));
        }
        let mut spelled = String::new();
        assert_eq!(ClientPath::read("/model/arn%3Ax%2FC/converse", &mut spelled).id("model"), Some("arn%3Ax%2FC"));
    }

    #[test]
    fn a_sub_resource_of_another_collection_is_none_of_its_own() {
        for (path, expected) in [
            ("/v1/threads/t1/messages", "threads"),
            ("/v1/vector_stores/vs_1/files", "vector_stores"),
            ("/v1/vector_stores/vs_1/files/file-1", "vector_stores"),
            ("/v1/containers/c/files/f/content", "containers"),
            ("/v1/chat/completions/c1/messages", "stored_completion_messages"),
            ("/v1/agents/a1/messages", "passthrough"),
            ("/v1/stores/s/files", "passthrough"),
        ] {
            assert_eq!(operation(path).0, expected, "{path}");
        }
    }

    /// `reports F10`
    #[test]
    fn behind_a_version_one_noun_is_an_operation_only_where_it_follows_at_once() {
        let nouns = Operation::all().filter(|op| op.words() == 1 && !op.is_family());
        for op in nouns {
            let suffix = op.suffix().unwrap();
            for before in ["", "/team-a", "/a/b", "/v1", "/v1beta/openai", "/team-a/v3", "/v1/own/v2"] {
                assert_eq!(ClientPath::parse(&format!("{before}{suffix}")).operation, op, "{before}{suffix}");
            }
            for before in ["/v1/own", "/v1/own/usage", "/team-a/v3/own", "/v1beta/own/openai", "/v1beta/openai/own"] {
                let path = format!("{before}{suffix}");
                assert_eq!(ClientPath::parse(&path).operation, Operation::Passthrough, "{path}");
            }
        }
        for (path, expected) in [
            ("/openai/models", "models"),
            ("/openai/responses", "responses"),
            ("/api/embeddings", "embeddings"),
            ("/anthropic/messages", "messages"),
            ("/api/chat/completions", "chat_completions"),
            ("/ollama/v1/completions", "completions"),
            ("/v1/own/chat/completions", "chat_completions"),
            ("/v1/own/audio/speech", "audio_speech"),
            ("/v1/fim/completions", "passthrough"),
            ("/v1/chat/moderations", "passthrough"),
            ("/v1/organization/usage/embeddings", "passthrough"),
        ] {
            assert_eq!(operation(path).0, expected, "{path}");
        }
    }

    #[test]
    fn a_family_is_everything_below_its_first_segment_and_nothing_beside_it() {
        for (path, expected) in [
            ("/v1/threads", ("threads", "", "/v1")),
            ("/v1/threads/", ("threads", "", "/v1")),
            ("/threads/runs", ("threads", "", "")),
            ("/base/vector_stores/v/files", ("vector_stores", "/base", "")),
            ("/threads/t/messages/m", ("threads", "", "")),
            ("/skills/v1/messages", ("messages", "/skills", "/v1")),
            ("/gw/v1/uploads/u/parts?x=/v1/threads", ("uploads", "/gw", "/v1")),
            ("/openai/v1/evals/e/runs/r/output_items/o", ("evals", "/openai", "/v1")),
            ("/v1/skills/s/versions/v2/content", ("skills", "", "/v1")),
            ("/v1/vector_stores/threads/files/f", ("vector_stores", "", "/v1")),
            ("/v1/fine_tuning/alpha/graders/run", ("fine_tuning", "", "/v1")),
            ("/v1/fine_tuning/jobs/j", ("fine_tuning_job", "", "/v1")),
            ("/v1/realtime/calls/c/hangup", ("realtime_call", "", "/v1")),
            ("/v1/threadsafe/t", ("passthrough", "/v1/threadsafe/t", "")),
            ("/v1/mythreads/t", ("passthrough", "/v1/mythreads/t", "")),
            ("/v1/organization/threads/t", ("passthrough", "/v1/organization/threads/t", "")),
        ] {
            assert_eq!(operation(path), expected, "{path}");
        }
        assert_eq!(ClientPath::parse("/gw/v1/uploads/u/parts").suffix, "/uploads/u/parts");
    }

    #[test]
    fn every_canonical_path_is_its_own_operation() {
        for op in Operation::all() {
            let Some(suffix) = op.suffix() else { continue };
            for prefix in ["", "/v1", "/team/v1"] {
                let path = format!("{prefix}{suffix}");
                assert_eq!(ClientPath::parse(&path).operation, op, "{path}");
            }
            assert_eq!(Operation::from_name(op.name()), Some(op));
        }
        assert_eq!(Operation::all().count(), Operation::COUNT);
        assert!(Operation::all().enumerate().all(|(index, op)| op.index() == index));
    }

    #[test]
    fn an_ending_is_what_every_path_of_the_operation_ends_with() {
        assert_eq!((ending("/chat/completions"), ending("/files/{file_id}")), (Some(*b"ions"), None));
        assert_eq!(
            (ending("/models/{model}:predict"), ending("/a/{b}:cd"), ending("/a")),
            (Some(*b"dict"), None, None)
        );
    }

    /// `reports F7`
    #[test]
    fn a_deployment_is_the_model_wherever_a_body_would_name_it() {
        let named = |op: &Operation| !op.is_native() && (op.body().names_model_in_json() || op.body().may_be_form());
        for op in Operation::all().filter(named) {
            let suffix = op.suffix().unwrap();
            for before in
                ["/openai/deployments/", "/deployments/", "/engines/", "/v1/engines/", "/gw/openai/deployments/"]
            {
                for name in ["prod-4o", "v1", "my%20model", "openai/gpt-4o", "embeddings"] {
                    let path = format!("{before}{name}{suffix}?api-version=1");
                    let parsed = ClientPath::parse(&path);
                    assert_eq!((parsed.operation, parsed.id("model")), (op, Some(name)), "{path}");
                    assert!(parsed.has_deployment() && parsed.suffix.ends_with(suffix), "{path}");
                }
            }
        }
        for path in
            ["/openai/deployments/d/extensions/chat/completions", "/deployments/chat/completions", "/v1/embeddings"]
        {
            assert!(!ClientPath::parse(path).has_deployment(), "{path}");
        }
    }

    #[test]
    fn ids_are_borrowed_as_sent() {
        let path = ClientPath::parse("/v1/fine_tuning/checkpoints/ft%3Ax/permissions/p-1?q");
        assert_eq!((path.id("checkpoint"), path.id("permission_id")), (Some("ft%3Ax"), Some("p-1")));
        assert_eq!(path.id(""), None);
        assert_eq!(path.query, Some("q"));
    }
}
