//! Cloud platforms whose paths hold an account, a project, a region or a deployment.

use super::*;

// https://learn.microsoft.com/azure/ai-foundry/openai/reference (unconfirmed),
// …/openai/how-to/realtime-audio-websockets (2026-11). The paths of deployments give way to a
// base path such as /openai/v1; `api-version` comes with the operator's URL. Claude is elsewhere, at /anthropic of
// services.ai.azure.com hosts, and best configured as `claude` with that base URL:
// https://platform.claude.com/docs/en/build-with-claude/claude-in-microsoft-foundry (2026-11).
pub(super) const AZURE: Preset = Preset {
    name: "azure",
    aliases: &["azure-openai"],
    title: "Azure OpenAI",
    credential: Credential::API_KEY,
    surfaces: &[Surface {
        base: "/openai",
        version: "",
        paths: &[
            (Operation::ChatCompletions, At::Path("/openai/deployments/{model}/chat/completions")),
            (Operation::Completions, At::Path("/openai/deployments/{model}/completions")),
            (Operation::Embeddings, At::Path("/openai/deployments/{model}/embeddings")),
            (Operation::ImagesGenerations, At::Path("/openai/deployments/{model}/images/generations")),
            (Operation::ImagesEdits, At::Path("/openai/deployments/{model}/images/edits")),
            (Operation::ImagesVariations, At::Path("/openai/deployments/{model}/images/variations")),
            (Operation::AudioSpeech, At::Path("/openai/deployments/{model}/audio/speech")),
            (Operation::AudioTranscriptions, At::Path("/openai/deployments/{model}/audio/transcriptions")),
            (Operation::AudioTranslations, At::Path("/openai/deployments/{model}/audio/translations")),
            (Operation::Realtime, At::Path("/openai/realtime?deployment={model}")),
        ],
        ..Surface::PLAIN
    }],
    own_paths: &[
        "/models/chat/completions",
        "/models/embeddings",
        "/models/images/embeddings",
        "/models/info",
        "/openai/",
    ],
    ..Preset::OPENAI_LIKE
};

// https://docs.aws.amazon.com/bedrock/latest/userguide/apis.html, …/inference-responses-api.html,
// …/inference-messages-api.html (2026-11). Messages stay on the mantle host, as in Higress. Model lists exist only on
// the mantle host, which one surface per dialect cannot say.
pub(super) const BEDROCK: Preset = Preset {
    name: "bedrock",
    aliases: &["aws-bedrock"],
    title: "Amazon Bedrock",
    host: "bedrock-runtime.{region}.amazonaws.com",
    surfaces: &[
        Surface { dialect: Dialect::Bedrock, version: "", ..Surface::PLAIN },
        Surface { base: "/openai", ..Surface::PLAIN },
        Surface {
            host: "bedrock-mantle.{region}.api.aws",
            base: "/anthropic",
            credential: Some(Credential::X_API_KEY),
            headers: ANTHROPIC_VERSION,
            ..ANTHROPIC
        },
    ],
    parameters: &[Parameter { key: "awsRegion", slot: "region", default: None }],
    ..Preset::OPENAI_LIKE
};

// https://developers.cloudflare.com/workers-ai/configuration/open-ai-compatibility (2026-11). Higress sends every API
// to chat. `developer`: off in the table of pi.
pub(super) const CLOUDFLARE: Preset = Preset {
    name: "cloudflare",
    aliases: &["workers-ai"],
    title: "Cloudflare Workers AI",
    host: "api.cloudflare.com",
    surfaces: &[Surface { base: "/client/v4/accounts/{account}/ai", ..Surface::PLAIN }],
    parameters: &[Parameter { key: "cloudflareAccountId", slot: "account", default: None }],
    rejects_developer_role: true,
    ..Preset::OPENAI_LIKE
};

// https://docs.github.com/en/rest/models/inference (2025-07). Higress's models.inference.ai.azure.com was switched off
// (https://github.blog/changelog/2025-07-17-deprecation-of-azure-endpoint-for-github-models/) and its token had no
// scheme; the service itself answers 410 since 2026-08 (microsoft/langchain-for-beginners#34).
pub(super) const GITHUB: Preset = Preset {
    name: "github",
    aliases: &["github-models"],
    title: "GitHub Models",
    host: "models.github.ai",
    surfaces: &[Surface {
        base: "/inference",
        version: "",
        paths: &[(Operation::Models, At::Path("/catalog/models"))],
        ..Surface::PLAIN
    }],
    own_paths: &["/catalog/", "/orgs/"],
    ..Preset::OPENAI_LIKE
};

// https://cloud.google.com/vertex-ai/generative-ai/docs/start/openai, …/model-reference/inference,
// …/partner-models/claude/use-claude (unconfirmed). Raw prediction is for partner models, of which Claude is the usual
// one; a client that spells the publisher out keeps its path. Region `global` has the host without a region:
// `vertex.rs`.
pub(super) const VERTEX: Preset = Preset {
    name: "vertex",
    aliases: &["vertex-ai", "vertexai"],
    title: "Google Vertex AI",
    host: "{region}-aiplatform.googleapis.com",
    surfaces: &[
        Surface { base: "/v1/projects/{project}/locations/{region}/endpoints/openapi", version: "", ..Surface::PLAIN },
        Surface {
            dialect: Dialect::Gemini,
            base: "/v1/projects/{project}/locations/{region}/publishers/google",
            version: "",
            paths: &[
                (Operation::RawPredict, At::Path(VERTEX_RAW_PREDICT)),
                (Operation::StreamRawPredict, At::Path(VERTEX_STREAM_RAW_PREDICT)),
            ],
            ..Surface::PLAIN
        },
    ],
    own_paths: &["/v1/projects/", "/v1beta1/projects/"],
    parameters: &[
        Parameter { key: "vertexRegion", slot: "region", default: Some(vertex::GLOBAL) },
        Parameter { key: "vertexProjectId", slot: "project", default: None },
    ],
    ..Preset::OPENAI_LIKE
};

// https://cloud.google.com/vertex-ai/generative-ai/docs/start/express-mode/overview (unconfirmed). An API key in the
// query, no project and no region; ai-proxy calls a `vertex` with `apiTokens` so.
pub(super) const VERTEX_EXPRESS: Preset = Preset {
    name: vertex::EXPRESS,
    aliases: &[],
    title: "Google Vertex AI, Express mode",
    host: "aiplatform.googleapis.com",
    credential: Credential::Query { name: "key" },
    surfaces: &[Surface { dialect: Dialect::Gemini, base: "/v1/publishers/google", version: "", ..Surface::PLAIN }],
    ..Preset::OPENAI_LIKE
};

const VERTEX_RAW_PREDICT: &str =
    "/v1/projects/{project}/locations/{region}/publishers/anthropic/models/{model}:rawPredict";
const VERTEX_STREAM_RAW_PREDICT: &str =
    "/v1/projects/{project}/locations/{region}/publishers/anthropic/models/{model}:streamRawPredict";
