//! Servers that operators run themselves.

use super::*;

// https://docs.litellm.ai/docs/anthropic_unified, …/docs/generateContent (unconfirmed).
pub(super) const LITELLM: Preset = Preset {
    name: "litellm",
    title: "LiteLLM proxy",
    surfaces: &[Surface::PLAIN, ANTHROPIC, Surface { dialect: Dialect::Gemini, version: "/v1beta", ..Surface::PLAIN }],
    ..SELF_HOSTED
};

// https://lmstudio.ai/docs/developer/openai-compat, …/anthropic-compat, …/rest (2026-11).
pub(super) const LMSTUDIO: Preset = Preset {
    name: "lmstudio",
    aliases: &["lm-studio"],
    title: "LM Studio",
    surfaces: OPENAI_AND_ANTHROPIC,
    own_paths: &["/api/v0/", "/api/v1/"],
    ..SELF_HOSTED
};

// https://docs.ollama.com/api/openai-compatibility, …/anthropic-compatibility (2026-11). Host from ollamaServerHost.
pub(super) const OLLAMA: Preset =
    Preset { name: "ollama", title: "Ollama", surfaces: OPENAI_AND_ANTHROPIC, own_paths: &["/api/"], ..SELF_HOSTED };

// https://docs.sglang.io/docs/basic_usage/anthropic_api, …/native_api (2026-03).
pub(super) const SGLANG: Preset = Preset {
    name: "sglang",
    title: "SGLang",
    surfaces: OPENAI_AND_ANTHROPIC,
    own_paths: &[
        "/classify",
        "/encode",
        "/flush_cache",
        "/generate",
        "/get_model_info",
        "/get_server_info",
        "/health",
        "/health_generate",
        "/metrics",
    ],
    ..SELF_HOSTED
};

// https://huggingface.co/docs/text-generation-inference/messages_api (unconfirmed).
pub(super) const TGI: Preset = Preset {
    name: "tgi",
    aliases: &["text-generation-inference"],
    title: "Text Generation Inference",
    own_paths: &["/generate", "/generate_stream", "/health", "/info", "/metrics", "/tokenize"],
    ..SELF_HOSTED
};

// https://github.com/triton-inference-server/server, docs/client_guide/openai_readme.md and the generate extension
// (unconfirmed). OpenAI's API is a frontend on a port of its own; Higress converts chat to /v2/models/…/generate and
// demands a token that it never sends.
pub(super) const TRITON: Preset =
    Preset { name: "triton", title: "Triton Inference Server", own_paths: &["/v2/"], ..SELF_HOSTED };

// https://docs.vllm.ai/en/latest/serving/openai_compatible_server.html and its page on Claude Code (2026-11). The key
// is only taken as a bearer. The host is Higress's, for configurations that name none.
pub(super) const VLLM: Preset = Preset {
    name: "vllm",
    title: "vLLM",
    host: "vllm-service.cluster.local",
    surfaces: OPENAI_AND_ANTHROPIC,
    own_paths: &[
        "/classify",
        "/detokenize",
        "/health",
        "/invocations",
        "/load",
        "/metrics",
        "/ping",
        "/pooling",
        "/score",
        "/server_info",
        "/tokenize",
        "/version",
    ],
    ..SELF_HOSTED
};
