//! The provider table: one constant per provider, in files by kind; [`TABLE`] lists them by name.
//!
//! How to read and extend a row:
//! - `base` + `version` is the base URL as the vendor prints it, split where its version begins. A path that is not
//!   under it is an [`At`] entry; an `At::Path` gives way to a configured base path, an `At::Suffix` does not.
//! - The first surface serves model lists and unknown paths. Where that would rewrite a path of the vendor's own
//!   protocol, the path is in `own_paths`. Those win over operations, so they are as narrow as they can be: a prefix
//!   matches whole segments, and one that ends with `/` does not match itself.
//! - A surface names a credential or a host only where it differs from the row's.
//! - `include_usage` is false and `rejects_developer_role` is true only on evidence; the comment names it.
//! - The comment above a row says where its facts are from. The month is that of the page where it shows one, otherwise
//!   that of the look-up. `unconfirmed` marks what no page of the vendor was read for; base URLs of several others were
//!   read as quoted by <https://www.developersdigest.tech/reference/api-compatibility> (2026-11). What differs from
//!   Higress's ai-proxy says why.
//! - A new row needs a group in `testdata/paths/vendors.json`, written from the vendor's page and not from the row.

mod china;
mod clouds;
mod hosts;
mod labs;
mod own;
mod self_hosted;

use super::vertex;
use super::{At, Credential, Dialect, Operation, Parameter, Preset, Surface, Token};
use china::*;
use clouds::*;
use hosts::*;
use labs::*;
use own::*;
use self_hosted::*;

pub(super) static TABLE: &[Preset] = &[
    AI360,
    AZURE,
    BAICHUAN,
    BAIDU,
    BEDROCK,
    CEREBRAS,
    CLAUDE,
    CLOUDFLARE,
    COHERE,
    COZE,
    DEEPINFRA,
    DEEPL,
    DEEPSEEK,
    DIFY,
    DOUBAO,
    FIREWORKS,
    GALADRIEL,
    GEMINI,
    GENERIC,
    GITHUB,
    GROK,
    GROQ,
    HUGGINGFACE,
    HUNYUAN,
    HYPERBOLIC,
    KIMI_CODING,
    KLING,
    LITELLM,
    LMSTUDIO,
    LONGCAT,
    MINIMAX,
    MINIMAX_INTL,
    MISTRAL,
    MOONSHOT,
    MOONSHOT_INTL,
    NOVITA,
    NVIDIA,
    OLLAMA,
    OLLAMA_CLOUD,
    OPENAI,
    OPENROUTER,
    PERPLEXITY,
    QWEN,
    QWEN_INTL,
    SAMBANOVA,
    SGLANG,
    SILICONFLOW,
    SPARK,
    STEPFUN,
    TGI,
    TOGETHER_AI,
    TRITON,
    VERTEX,
    VERTEX_EXPRESS,
    VLLM,
    VOLCENGINE_CODING,
    YI,
    ZAI,
    ZAI_CODING,
    ZHIPUAI,
    ZHIPUAI_CODING,
];

/// The Messages API at `/v1`; the base for struct update syntax of Anthropic surfaces.
const ANTHROPIC: Surface = Surface { dialect: Dialect::Anthropic, ..Surface::PLAIN };

/// OpenAI's and Anthropic's APIs side by side at `/v1`.
const OPENAI_AND_ANTHROPIC: &[Surface] = &[Surface::PLAIN, ANTHROPIC];

/// What Anthropic and the clouds that host Claude refuse to go without.
const ANTHROPIC_VERSION: &[(&str, &str)] = &[("anthropic-version", "2023-06-01")];

/// A server that its operator runs: no host, and perhaps no token.
const SELF_HOSTED: Preset = Preset { token: Token::Optional, ..Preset::OPENAI_LIKE };

#[cfg(test)]
mod tests;
