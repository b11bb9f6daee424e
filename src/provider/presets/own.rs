//! Vendors with a protocol of their own that nobody else speaks, and the one that stands for any.

use super::*;

// https://www.coze.cn/docs/developer_guides/chat_v3 (unconfirmed). Paths untouched, as in Higress.
pub(super) const COZE: Preset = Preset {
    name: "coze",
    title: "Coze",
    host: "api.coze.cn",
    surfaces: &[],
    own_paths: &["/"],
    ..Preset::OPENAI_LIKE
};

// https://developers.deepl.com/api-reference (unconfirmed). Higress picks api.deepl.com by the model `Pro`.
pub(super) const DEEPL: Preset = Preset {
    name: "deepl",
    title: "DeepL",
    host: "api-free.deepl.com",
    credential: Credential::Header { name: "authorization", prefix: "DeepL-Auth-Key " },
    surfaces: &[],
    own_paths: &["/v2/", "/v3/"],
    ..Preset::OPENAI_LIKE
};

// https://docs.dify.ai/api-reference (unconfirmed). /v1/messages is Dify's list of a conversation's messages, not
// Anthropic's API.
pub(super) const DIFY: Preset = Preset {
    name: "dify",
    title: "Dify",
    host: "api.dify.ai",
    surfaces: &[],
    own_paths: &[
        "/v1/app/",
        "/v1/apps/",
        "/v1/audio-to-text",
        "/v1/chat-messages",
        "/v1/completion-messages",
        "/v1/conversations",
        "/v1/datasets",
        "/v1/files",
        "/v1/info",
        "/v1/messages",
        "/v1/meta",
        "/v1/parameters",
        "/v1/site",
        "/v1/text-to-audio",
        "/v1/workflows/",
    ],
    ..Preset::OPENAI_LIKE
};

// Higress: host and path untouched, bearer if there is a token. Nothing is known of the server, and older ones answer an
// unknown `stream_options` with 400, as Fireworks' did.
pub(super) const GENERIC: Preset = Preset {
    name: "generic",
    title: "Anything else",
    surfaces: &[],
    own_paths: &["/"],
    include_usage: false,
    ..SELF_HOSTED
};

// https://app.klingai.com/global/dev/document-api (unconfirmed). The bearer is a token, or a JWT made of the key pair
// in code. `/v1/videos` itself is OpenAI's and would have to be converted.
pub(super) const KLING: Preset = Preset {
    name: "kling",
    title: "Kling AI",
    host: "api-singapore.klingai.com",
    surfaces: &[],
    own_paths: &["/account/", "/v1/audio/", "/v1/general/", "/v1/images/", "/v1/videos/"],
    ..Preset::OPENAI_LIKE
};
