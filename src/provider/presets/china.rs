//! Vendors in China, with their international sites and coding plans.

use super::*;

// Row of Higress's ai-proxy: no scheme before the token (unconfirmed).
pub(super) const AI360: Preset = Preset {
    name: "ai360",
    aliases: &["360"],
    title: "360 Zhinao",
    host: "api.360.cn",
    credential: Credential::RAW,
    ..Preset::OPENAI_LIKE
};

// https://platform.baichuan-ai.com/docs/api (unconfirmed).
pub(super) const BAICHUAN: Preset =
    Preset { name: "baichuan", title: "Baichuan", host: "api.baichuan-ai.com", ..Preset::OPENAI_LIKE };

// https://cloud.baidu.com/doc/qianfan/s/qmh4sv5vi, …/WENXINWORKSHOP/s/Zm2ycv77m (2025-10). Anthropic's API is only in
// the coding and token plans, at base URLs of their own.
pub(super) const BAIDU: Preset = Preset {
    name: "baidu",
    aliases: &["qianfan"],
    title: "Baidu Qianfan",
    host: "qianfan.baidubce.com",
    surfaces: &[Surface { version: "/v2", ..Surface::PLAIN }],
    own_paths: &["/anthropic/", "/v2/coding/"],
    ..Preset::OPENAI_LIKE
};

// https://api-docs.deepseek.com, …/guides/anthropic_api, …/guides/fim_completion (2026-11). The base URL is printed
// without version; /v1 is kept, as in Higress, because both work. Completions are only in beta. `developer` is a 400
// (num-scope/pix#34, 2026-08). /anthropic/v1/files is the Files API of the Anthropic side.
pub(super) const DEEPSEEK: Preset = Preset {
    name: "deepseek",
    title: "DeepSeek",
    host: "api.deepseek.com",
    surfaces: &[
        Surface { paths: &[(Operation::Completions, At::Path("/beta/completions"))], ..Surface::PLAIN },
        Surface { base: "/anthropic", credential: Some(Credential::X_API_KEY), ..ANTHROPIC },
    ],
    own_paths: &["/anthropic/v1/files", "/beta/", "/user/"],
    rejects_developer_role: true,
    ..Preset::OPENAI_LIKE
};

// https://developer.volcengine.com/articles/7615528054736945158 (2026-03). Messages at /api/compatible: found in many
// public client configurations, on no page of the vendor (unconfirmed). `developer` is an error (agno#6697, 2026-02).
// The own paths end like OpenAI's but are other products (batch inference, bots, cached context).
pub(super) const DOUBAO: Preset = Preset {
    name: "doubao",
    aliases: &["volcengine", "ark"],
    title: "Volcengine Ark (Doubao)",
    host: "ark.cn-beijing.volces.com",
    surfaces: &[
        Surface { base: "/api", version: "/v3", ..Surface::PLAIN },
        Surface { base: "/api/compatible", ..ANTHROPIC },
    ],
    own_paths: &["/api/coding/", "/api/v3/batch/", "/api/v3/bots/", "/api/v3/context/"],
    rejects_developer_role: true,
    ..Preset::OPENAI_LIKE
};

// https://developer.volcengine.com/articles/7615528054736945158 (2026-03); the Anthropic base /api/coding is
// unconfirmed.
pub(super) const VOLCENGINE_CODING: Preset = Preset {
    name: "volcengine-coding",
    aliases: &["ark-coding"],
    title: "Volcengine Ark Coding Plan",
    host: "ark.cn-beijing.volces.com",
    surfaces: &[
        Surface { base: "/api/coding", version: "/v3", ..Surface::PLAIN },
        Surface { base: "/api/coding", ..ANTHROPIC },
    ],
    rejects_developer_role: true,
    ..Preset::OPENAI_LIKE
};

// https://cloud.tencent.com/document/product/1729/111007, …/127293 (2026-11). The TC3 API that Higress uses with a key
// pair is another host and another protocol.
pub(super) const HUNYUAN: Preset = Preset {
    name: "hunyuan",
    title: "Tencent Hunyuan",
    host: "api.hunyuan.cloud.tencent.com",
    surfaces: &[Surface::PLAIN, Surface { base: "/anthropic", credential: Some(Credential::X_API_KEY), ..ANTHROPIC }],
    ..Preset::OPENAI_LIKE
};

// https://longcat.chat/platform/docs/api-docs (2026-11). Higress: /v1/…, where only the model list is. Roles are
// system, user and assistant.
pub(super) const LONGCAT: Preset = Preset {
    name: "longcat",
    title: "LongCat",
    host: "api.longcat.chat",
    surfaces: &[
        Surface {
            base: "/openai",
            paths: &[(Operation::Models, At::Path("/v1/models")), (Operation::Model, At::Path("/v1/models/{model}"))],
            ..Surface::PLAIN
        },
        Surface { base: "/anthropic", ..ANTHROPIC },
    ],
    rejects_developer_role: true,
    ..Preset::OPENAI_LIKE
};

// https://platform.minimaxi.com/docs/api-reference/text-anthropic-api, …/text-openai-api (2026-11). The vendor now
// prints api.minimaxi.com; Higress's host serves /v1/chat/completions too (unconfirmed), the Anthropic side is only
// documented on the new one. Higress sends chat to /v1/text/chatcompletion_v2, which passes as it is. `developer` is a
// 400 (openclaw#3022, 2026-01).
pub(super) const MINIMAX: Preset = Preset {
    name: "minimax",
    title: "MiniMax (China)",
    host: "api.minimax.chat",
    surfaces: &[Surface::PLAIN, Surface { host: "api.minimaxi.com", base: "/anthropic", ..ANTHROPIC }],
    rejects_developer_role: true,
    ..Preset::OPENAI_LIKE
};

// https://platform.minimax.io/docs/api-reference/text-anthropic-api, …/text-openai-api (2026-11).
pub(super) const MINIMAX_INTL: Preset = Preset {
    name: "minimax-intl",
    title: "MiniMax (international)",
    host: "api.minimax.io",
    surfaces: &[Surface::PLAIN, Surface { base: "/anthropic", ..ANTHROPIC }],
    rejects_developer_role: true,
    ..Preset::OPENAI_LIKE
};

// https://platform.moonshot.cn/docs (unconfirmed; as on the international site). `developer`: off in the tables of
// openclaw and pi.
pub(super) const MOONSHOT: Preset = Preset {
    name: "moonshot",
    aliases: &["kimi"],
    title: "Moonshot AI (China)",
    host: "api.moonshot.cn",
    surfaces: &[Surface::PLAIN, Surface { base: "/anthropic", ..ANTHROPIC }],
    rejects_developer_role: true,
    ..Preset::OPENAI_LIKE
};

// https://platform.kimi.ai/docs/api/overview (2026-11).
pub(super) const MOONSHOT_INTL: Preset = Preset {
    name: "moonshot-intl",
    aliases: &["kimi-intl"],
    title: "Moonshot AI (international)",
    host: "api.moonshot.ai",
    ..MOONSHOT
};

// https://www.kimi.com/code/docs/ (unconfirmed): https://api.kimi.com/coding/v1 and, for Anthropic clients,
// https://api.kimi.com/coding; keys of the platform are not accepted.
pub(super) const KIMI_CODING: Preset = Preset {
    name: "kimi-coding",
    aliases: &["kimi-code"],
    title: "Kimi Code",
    host: "api.kimi.com",
    surfaces: &[
        Surface { base: "/coding", ..Surface::PLAIN },
        Surface { base: "/coding", credential: Some(Credential::X_API_KEY), ..ANTHROPIC },
    ],
    rejects_developer_role: true,
    ..Preset::OPENAI_LIKE
};

// https://help.aliyun.com/zh/model-studio/compatibility-of-openai-with-dashscope, …/anthropic-api-messages,
// …/text-rerank-api (2026-06). The vendor asks to move to hosts with a workspace id; the old one goes on. Reranking has
// a base of its own, and only in the plural. `developer` is a 400 (Proma#1496, 2026-08).
pub(super) const QWEN: Preset = Preset {
    name: "qwen",
    aliases: &["dashscope", "bailian"],
    title: "Alibaba Model Studio (China)",
    host: "dashscope.aliyuncs.com",
    surfaces: &[
        Surface {
            base: "/compatible-mode",
            paths: &[
                (Operation::Rerank, At::Path("/compatible-api/v1/reranks")),
                (Operation::Reranks, At::Path("/compatible-api/v1/reranks")),
            ],
            ..Surface::PLAIN
        },
        Surface { base: "/apps/anthropic", ..ANTHROPIC },
    ],
    own_paths: &["/api-ws/", "/api/v1/apps/", "/api/v1/services/", "/api/v1/tasks", "/api/v1/uploads", "/api/v2/apps/"],
    rejects_developer_role: true,
    ..Preset::OPENAI_LIKE
};

// https://www.alibabacloud.com/help/en/model-studio/anthropic-api-messages (2026-03).
pub(super) const QWEN_INTL: Preset = Preset {
    name: "qwen-intl",
    aliases: &["dashscope-intl"],
    title: "Alibaba Model Studio (international)",
    host: "dashscope-intl.aliyuncs.com",
    ..QWEN
};

// https://docs.siliconflow.cn/cn/api-reference (Messages beside chat: unconfirmed). Its roles do not name `developer`
// (MiniMax-AI/minimax-code#209, 2026-09).
pub(super) const SILICONFLOW: Preset = Preset {
    name: "siliconflow",
    aliases: &["siliconcloud"],
    title: "SiliconFlow",
    host: "api.siliconflow.cn",
    surfaces: OPENAI_AND_ANTHROPIC,
    rejects_developer_role: true,
    ..Preset::OPENAI_LIKE
};

// https://www.xfyun.cn/doc/spark/HTTP调用文档.html (unconfirmed). X1.5 is at /v2 and X2 at /x2: a client that says so keeps
// its path.
pub(super) const SPARK: Preset = Preset {
    name: "spark",
    aliases: &["xunfei", "iflytek"],
    title: "iFlytek Spark",
    host: "spark-api-open.xf-yun.com",
    own_paths: &["/v2/", "/x2/"],
    ..Preset::OPENAI_LIKE
};

// https://platform.stepfun.com/docs/zh/api-reference/chat/messages-create, …/step-plan/integrations/reasoning-api
// (2026-07). The plan is billed by its path.
pub(super) const STEPFUN: Preset = Preset {
    name: "stepfun",
    title: "StepFun",
    host: "api.stepfun.com",
    surfaces: OPENAI_AND_ANTHROPIC,
    own_paths: &["/step_plan/"],
    ..Preset::OPENAI_LIKE
};

// https://platform.lingyiwanwu.com/docs (unconfirmed).
pub(super) const YI: Preset = Preset {
    name: "yi",
    aliases: &["lingyiwanwu", "01-ai"],
    title: "01.AI",
    host: "api.lingyiwanwu.com",
    ..Preset::OPENAI_LIKE
};

// https://docs.bigmodel.cn/cn/guide/develop/openai/introduction, …/cn/coding-plan/overview (unconfirmed; as on z.ai).
// `developer` is error 1214 (PI-Desktop#30, 2026-09). The asynchronous chat path ends like the synchronous one; agents
// are outside.
pub(super) const ZHIPUAI: Preset = Preset {
    name: "zhipuai",
    aliases: &["zhipu", "bigmodel"],
    title: "Zhipu BigModel",
    host: "open.bigmodel.cn",
    surfaces: &[
        Surface { base: "/api/paas", version: "/v4", ..Surface::PLAIN },
        Surface { base: "/api/anthropic", ..ANTHROPIC },
    ],
    own_paths: &["/api/coding/", "/api/paas/v4/async/", "/api/v1/agents"],
    rejects_developer_role: true,
    ..Preset::OPENAI_LIKE
};

// As above; Higress: `zhipuCodePlanMode`.
pub(super) const ZHIPUAI_CODING: Preset = Preset {
    name: "zhipuai-coding",
    aliases: &["zhipu-coding", "bigmodel-coding"],
    title: "Zhipu BigModel Coding Plan",
    surfaces: &[
        Surface { base: "/api/coding/paas", version: "/v4", ..Surface::PLAIN },
        Surface { base: "/api/anthropic", ..ANTHROPIC },
    ],
    own_paths: &[],
    ..ZHIPUAI
};

// https://docs.z.ai/guides/develop/openai/python (2026-11).
pub(super) const ZAI: Preset = Preset { name: "zai", aliases: &["z-ai"], title: "Z.ai", host: "api.z.ai", ..ZHIPUAI };

// https://docs.z.ai/devpack/overview (2026-11): Responses exist in the plan only, outside its base URL.
pub(super) const ZAI_CODING: Preset = Preset {
    name: "zai-coding",
    aliases: &["z-ai-coding"],
    title: "Z.ai Coding Plan",
    host: "api.z.ai",
    surfaces: &[
        Surface {
            base: "/api/coding/paas",
            version: "/v4",
            paths: &[(Operation::Responses, At::Path("/api/v1/responses"))],
            ..Surface::PLAIN
        },
        Surface { base: "/api/anthropic", ..ANTHROPIC },
    ],
    own_paths: &[],
    ..ZHIPUAI
};
