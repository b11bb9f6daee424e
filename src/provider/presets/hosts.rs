//! Vendors that serve models of others.

use super::*;

// https://inference-docs.cerebras.ai/resources/openai (unconfirmed). `developer`: off in the tables of openclaw and pi.
pub(super) const CEREBRAS: Preset = Preset {
    name: "cerebras",
    title: "Cerebras",
    host: "api.cerebras.ai",
    rejects_developer_role: true,
    ..Preset::OPENAI_LIKE
};

// https://docs.deepinfra.com/api-reference (unconfirmed; also in agentgateway): /v1/openai, and Anthropic's API at
// /anthropic. The native /v1/inference/{model} would have its version replaced.
pub(super) const DEEPINFRA: Preset = Preset {
    name: "deepinfra",
    aliases: &["deep-infra"],
    title: "DeepInfra",
    host: "api.deepinfra.com",
    surfaces: &[Surface { version: "/v1/openai", ..Surface::PLAIN }, Surface { base: "/anthropic", ..ANTHROPIC }],
    own_paths: &["/v1/inference/"],
    ..Preset::OPENAI_LIKE
};

// https://docs.fireworks.ai/tools-sdks/openai-compatibility, …/anthropic-compatibility (2026-11). Higress: /v1/…, which
// is the account API, kept as it is. `stream_options` was a 400 (Flowise#2866, 2024-07); usage comes in the last chunk
// of every stream anyway.
pub(super) const FIREWORKS: Preset = Preset {
    name: "fireworks",
    aliases: &["fireworks-ai"],
    title: "Fireworks AI",
    host: "api.fireworks.ai",
    surfaces: &[Surface { base: "/inference", ..Surface::PLAIN }, Surface { base: "/inference", ..ANTHROPIC }],
    own_paths: &["/v1/accounts/"],
    include_usage: false,
    ..Preset::OPENAI_LIKE
};

// Row of Higress's ai-proxy (unconfirmed; the vendor also printed /v1/verified).
pub(super) const GALADRIEL: Preset =
    Preset { name: "galadriel", title: "Galadriel", host: "api.galadriel.com", ..Preset::OPENAI_LIKE };

// https://console.groq.com/docs/openai (2026-11).
pub(super) const GROQ: Preset = Preset {
    name: "groq",
    title: "Groq",
    host: "api.groq.com",
    surfaces: &[Surface { base: "/openai", ..Surface::PLAIN }],
    ..Preset::OPENAI_LIKE
};

// https://huggingface.co/docs/inference-providers/index (unconfirmed). Embeddings are only at the native
// /hf-inference/….
pub(super) const HUGGINGFACE: Preset = Preset {
    name: "huggingface",
    aliases: &["hugging-face", "hf"],
    title: "Hugging Face Inference Providers",
    host: "router.huggingface.co",
    ..Preset::OPENAI_LIKE
};

// https://docs.hyperbolic.xyz (unconfirmed).
pub(super) const HYPERBOLIC: Preset =
    Preset { name: "hyperbolic", title: "Hyperbolic", host: "api.hyperbolic.xyz", ..Preset::OPENAI_LIKE };

// https://novita.ai/docs/guides/llm-anthropic-compatibility (2026-08), …/llm-api (unconfirmed). /v3/ is the native API,
// and the old place of the compatible one.
pub(super) const NOVITA: Preset = Preset {
    name: "novita",
    aliases: &["novita-ai"],
    title: "Novita AI",
    host: "api.novita.ai",
    surfaces: &[Surface { base: "/openai", ..Surface::PLAIN }, Surface { base: "/anthropic", ..ANTHROPIC }],
    own_paths: &["/v3/"],
    ..Preset::OPENAI_LIKE
};

// https://docs.api.nvidia.com/nim/reference/llm-apis (unconfirmed). Reranking is on other hosts, one path per model.
pub(super) const NVIDIA: Preset = Preset {
    name: "nvidia",
    aliases: &["nim", "nvidia-nim"],
    title: "NVIDIA API Catalog",
    host: "integrate.api.nvidia.com",
    ..Preset::OPENAI_LIKE
};

// https://docs.ollama.com/api/openai-compatibility, …/anthropic-compatibility (2026-11): bearer only, `x-api-key` alone
// is not accepted.
pub(super) const OLLAMA_CLOUD: Preset = Preset {
    name: "ollama-cloud",
    title: "Ollama Cloud",
    host: "ollama.com",
    surfaces: OPENAI_AND_ANTHROPIC,
    own_paths: &["/api/"],
    ..Preset::OPENAI_LIKE
};

// https://openrouter.ai/docs/api/api-reference/anthropic-messages/create-a-message and its neighbours (2026-11).
pub(super) const OPENROUTER: Preset = Preset {
    name: "openrouter",
    title: "OpenRouter",
    host: "openrouter.ai",
    surfaces: &[Surface { base: "/api", ..Surface::PLAIN }, Surface { base: "/api", ..ANTHROPIC }],
    ..Preset::OPENAI_LIKE
};

// https://docs.sambanova.ai/docs/en/features/anthropic-compatibility, …/openai-compatibility (2026-07).
pub(super) const SAMBANOVA: Preset = Preset {
    name: "sambanova",
    title: "SambaNova Cloud",
    host: "api.sambanova.ai",
    surfaces: OPENAI_AND_ANTHROPIC,
    ..Preset::OPENAI_LIKE
};

// https://docs.together.ai/docs/openai-api-compatibility (unconfirmed). The vendor now prints api.together.ai;
// Higress's api.together.xyz answers too.
pub(super) const TOGETHER_AI: Preset = Preset {
    name: "together-ai",
    aliases: &["together", "togetherai"],
    title: "Together AI",
    host: "api.together.xyz",
    ..Preset::OPENAI_LIKE
};
