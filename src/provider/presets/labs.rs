//! Vendors outside China that serve the models they make.

use super::*;

// https://platform.openai.com/docs/api-reference (2026-11). Tokenless as in Higress: clients may bring their own.
pub(super) const OPENAI: Preset =
    Preset { name: "openai", title: "OpenAI", host: "api.openai.com", token: Token::Optional, ..Preset::OPENAI_LIKE };

// https://platform.claude.com/docs/en/api/overview, …/api/openai-sdk (2026-11): chat takes the same key as a bearer.
// Higress sends chat to /v1/messages, converted. Files are Anthropic's, not OpenAI's, and want `x-api-key`. A token of a
// subscription is answered with "invalid x-api-key" there and wants to be a bearer (litellm#21039, bifrost#1551).
pub(super) const CLAUDE: Preset = Preset {
    name: "claude",
    aliases: &["anthropic"],
    title: "Anthropic",
    host: "api.anthropic.com",
    credential: Credential::X_API_KEY,
    token_forms: &[("sk-ant-oat", Credential::BEARER)],
    surfaces: &[
        Surface { headers: ANTHROPIC_VERSION, ..ANTHROPIC },
        Surface { credential: Some(Credential::BEARER), ..Surface::PLAIN },
    ],
    own_paths: &["/v1/files"],
    ..Preset::OPENAI_LIKE
};

// https://ai.google.dev/api/compatibility (2026-11), https://ai.google.dev/gemini-api/docs/openai (unconfirmed). Higress
// converts to generateContent; here OpenAI clients reach Google's own compatible endpoint, which is in v1beta only.
pub(super) const GEMINI: Preset = Preset {
    name: "gemini",
    aliases: &["google-ai-studio"],
    title: "Google Gemini API",
    host: "generativelanguage.googleapis.com",
    credential: Credential::X_GOOG_API_KEY,
    surfaces: &[
        Surface { version: "/v1beta/openai", credential: Some(Credential::BEARER), ..Surface::PLAIN },
        Surface { dialect: Dialect::Gemini, version: "/{api_version}", ..Surface::PLAIN },
    ],
    own_paths: &[
        "/upload/",
        "/v1beta/batches",
        "/v1beta/cachedContents",
        "/v1beta/fileSearchStores",
        "/v1beta/files",
        "/v1beta/interactions",
        "/v1beta/operations",
        "/v1beta/tunedModels",
        "/ws/",
    ],
    parameters: &[Parameter { key: "apiVersion", slot: "api_version", default: Some("v1beta") }],
    ..Preset::OPENAI_LIKE
};

// https://docs.x.ai/api-reference (2026-11). /v1/messages is still listed there but "fully deprecated", so it is no
// surface. Role `developer` is an alias of `system` (unconfirmed).
pub(super) const GROK: Preset =
    Preset { name: "grok", aliases: &["xai", "x-ai"], title: "xAI", host: "api.x.ai", ..Preset::OPENAI_LIKE };

// https://docs.mistral.ai/api (unconfirmed). Completions are fill-in-the-middle; agents have a completions path of
// their own. `stream_options.include_usage` is a 422 (openai-agents-python#442, avante.nvim#2347, 2025); usage comes
// anyway. `developer`: off in the compatibility tables of openclaw and pi. Higress leaves the client's prefix in the
// path.
pub(super) const MISTRAL: Preset = Preset {
    name: "mistral",
    aliases: &["mistralai"],
    title: "Mistral AI",
    host: "api.mistral.ai",
    surfaces: &[Surface { paths: &[(Operation::Completions, At::Suffix("/fim/completions"))], ..Surface::PLAIN }],
    own_paths: &["/v1/agents/completions"],
    include_usage: false,
    rejects_developer_role: true,
    ..Preset::OPENAI_LIKE
};

// https://docs.cohere.com/docs/compatibility-api, https://docs.cohere.com/reference/about (2026-11). Only chat and
// embeddings are under /compatibility/v1, so the base is the native /v1, where rerank, models, embed, tokenize and v1
// chat are. `stream_options` is rejected (https://strandsagents.com/docs/user-guide/concepts/model-providers/cohere/).
// Higress sends chat to /v1/chat, converted. The vendor prints api.cohere.ai for the compatible endpoints; both answer.
pub(super) const COHERE: Preset = Preset {
    name: "cohere",
    title: "Cohere",
    host: "api.cohere.com",
    surfaces: &[Surface {
        paths: &[
            (Operation::ChatCompletions, At::Path("/compatibility/v1/chat/completions")),
            (Operation::Embeddings, At::Path("/compatibility/v1/embeddings")),
        ],
        ..Surface::PLAIN
    }],
    own_paths: &["/v2/"],
    include_usage: false,
    ..Preset::OPENAI_LIKE
};

// https://docs.perplexity.ai/docs/agent-api/openai-compatibility (2026-11): responses, embeddings, models and agent are
// under /v1; chat completions alone never had a version. Sonar chat ended 2026-09-27 by
// https://docs.stigg.io/documentation/ai-agents/llm-wrappers/providers/perplexity (unconfirmed).
pub(super) const PERPLEXITY: Preset = Preset {
    name: "perplexity",
    aliases: &["pplx"],
    title: "Perplexity",
    host: "api.perplexity.ai",
    surfaces: &[Surface { paths: &[(Operation::ChatCompletions, At::Path("/chat/completions"))], ..Surface::PLAIN }],
    own_paths: &["/async/"],
    ..Preset::OPENAI_LIKE
};
