//! Every key a configuration can have. This file is what `plugin-config-schema.json` is generated from.

use super::wire::{KeyInfo, Secret, Table, choices, settings};
use crate::json::Node;
use crate::provider::Preset;

settings! {
    /// Waypost configuration.
    /// One provider, or a list of them with the id of the active one. Higress's envelope (`_rules_` with `_match_*_`
    /// keys) may stand around it; every rule holds the same keys.
    pub struct PluginSettings {
        /// Provider
        /// The provider that serves every request this object applies to. Wins over `providers`.
        provider: ProviderSettings = "provider",
        /// Providers
        /// A pool to choose from by `activeProviderId`; each needs an `id`. Usually global, with rules that choose.
        providers: Vec<Option<ProviderSettings>> = "providers",
        /// Active provider
        /// The `id` of the entry of `providers` that is used here. Empty: the plugin is switched off here, and requests
        /// pass untouched.
        active_provider_id: String = "activeProviderId",
        /// Unmatched requests
        /// What happens to requests that no rule matches, where no provider is configured beside the rules. Only the
        /// global value counts.
        unmatched: UnmatchedSetting = "unmatched",
        /// Statistics
        /// What is recorded of requests. A rule without its own has the global one.
        statistics: StatisticsSettings = "statistics",
        /// Most memory
        /// How many bytes all requests of one VM (Envoy: of one worker) may keep together: held bodies, unfinished
        /// events, copies for attributes. Only the global value counts, because memory is the VM's; where several
        /// configurations share a VM, the smallest one. 134217728 (128 MiB) if unset, at least 4194304.
        max_memory_bytes: u32 = "maxMemoryBytes",
    }
    inert {}
    silent {}
    deeper { ProviderSettings }
    envelope { "_rules_", "_match_route_", "_match_route_prefix_", "_match_domain_", "_match_service_" }
}

choices! {
    /// `unmatched`
    pub enum UnmatchedSetting {
        /// They pass untouched, as in ai-proxy; the default. For a gateway that serves other traffic as well.
        Pass = "pass",
        /// They are answered with 404.
        Deny = "deny",
    }
}

settings! {
    /// Statistics
    /// The record each request leaves: log fields, metrics, and the attributes of Higress's ai-statistics, whose keys
    /// are the ones with underscores.
    pub struct StatisticsSettings {
        /// Metric style
        /// The names of the metrics.
        metric_style: MetricStyleSetting = "metricStyle",
        /// Most series
        /// How many series of metrics may come to be; what is beyond is counted in one overflow series each. Only the
        /// global value counts, because series are the process's. 1000 if unset.
        max_series: u32 = "maxSeries",
        /// Model labels
        /// Names of models that metrics show, beside those of `modelMapping` and of well-known families; `gpt-4*` and
        /// `*` are allowed. Others are counted as `other`.
        models: Vec<String> = "models",
        /// Consumer labels
        /// Names of consumers that metrics show; `team-*` and `*` are allowed. Others are counted as `other`.
        consumers: Vec<String> = "consumers",
        /// Consumer header
        /// The request header that names the consumer. It must be set by the gateway, not by clients, and does not go
        /// upstream. `x-mse-consumer` if unset.
        consumer_header: String = "consumerHeader",
        /// Log key
        /// The filter state that holds the record as JSON, without its prefix `wasm.`; `ai_log` if unset.
        log_key: String = "logKey",
        /// Log fields
        /// The fields that are filter states of their own, `wasm.waypost_` and the name; `*` is all. Those of Higress's
        /// log, of limits on tokens and of errors if unset.
        log_fields: Vec<String> = "logFields",
        /// No usage (Higress)
        /// `true`: token usage is not looked for.
        disable_openai_usage: bool = "disable_openai_usage",
        /// Attributes (Higress)
        /// What else is recorded.
        attributes: Vec<AttributeSettings> = "attributes",
        /// Default attributes (Higress)
        /// Records messages, question, answer, reasoning and tool calls, and details of the tokens. Replaces
        /// `attributes`.
        use_default_attributes: bool = "use_default_attributes",
        /// Default response attributes (Higress)
        /// Records details of the tokens. Replaces `attributes`.
        use_default_response_attributes: bool = "use_default_response_attributes",
        /// Longest value (Higress)
        /// Bytes of a recorded value; what is longer keeps its beginning and its end.
        value_length_limit: u32 = "value_length_limit",
        /// Path suffixes (Higress)
        /// Only requests whose path ends with one of these are recorded; `*` is all. All if unset.
        enable_path_suffixes: Vec<String> = "enable_path_suffixes",
        /// Content types (Higress)
        /// Only responses whose content type contains one of these are looked into; `*` is all. All if unset.
        enable_content_types: Vec<String> = "enable_content_types",
        /// Session header (Higress)
        /// The request header that names the session; some well-known ones are tried after it.
        session_id_header: String = "session_id_header",
    }
    inert {}
    silent {}
    deeper {}
}

settings! {
    /// Attribute (Higress)
    /// One more thing to record. Built-in keys such as `question` and `answer` need no source.
    pub struct AttributeSettings {
        /// Key
        /// Its name in the log.
        key: String = "key",
        /// Source
        /// Where the value is.
        value_source: ValueSourceSetting = "value_source",
        /// Value
        /// The value itself, the name of a header, or a GJSON path.
        value: String = "value",
        /// Rule
        /// What several values of a stream become.
        rule: AttributeRuleSetting = "rule",
        /// Default
        /// The value where none is found.
        default_value: String = "default_value",
        /// To the log
        /// Whether it goes into the log.
        apply_to_log: bool = "apply_to_log",
        /// To the span
        /// Whether it goes to the tracing span, on hosts that have that.
        apply_to_span: bool = "apply_to_span",
        /// Span key
        /// Its name in the span, where that differs.
        trace_span_key: String = "trace_span_key",
        /// Separate field
        /// Whether it is a filter state of its own instead of a part of the log's JSON.
        as_separate_log_field: bool = "as_separate_log_field",
    }
    inert {}
    silent {}
    deeper {}
}

choices! {
    /// `statistics.metricStyle`
    pub enum MetricStyleSetting {
        /// After OpenTelemetry's `gen_ai`; the default.
        Waypost = "waypost",
        /// The counters of Higress's ai-statistics, for dashboards that exist.
        Higress = "higress",
        /// Both.
        Both = "both",
        /// No metrics.
        None = "none",
    }
}

choices! {
    /// `statistics.attributes[].value_source`
    pub enum ValueSourceSetting {
        /// The value itself.
        Fixed = "fixed_value",
        /// A request header.
        RequestHeader = "request_header",
        /// A path in the request's JSON.
        RequestBody = "request_body",
        /// A response header.
        ResponseHeader = "response_header",
        /// A path in the JSON of each event of a stream.
        ResponseStreamingBody = "response_streaming_body",
        /// A path in the response's JSON.
        ResponseBody = "response_body",
    }
}

choices! {
    /// `statistics.attributes[].rule`
    pub enum AttributeRuleSetting {
        /// The first value.
        First = "first",
        /// The last value.
        Replace = "replace",
        /// All of them, joined.
        Append = "append",
    }
}

settings! {
    /// Provider
    /// Where requests go, on which path, with which model name and credential.
    pub struct ProviderSettings {
        /// Id
        /// Names the provider in `activeProviderId`, traces and logs.
        id: String = "id",
        /// Type
        /// The preset: `waypost providers` lists them. It decides what everything that is unset here means.
        provider_type: String = "type",
        /// Base URL
        /// Where the provider is, exactly: `https://host[:port][/path][?query]`. A host alone replaces only the host of
        /// the preset. With a path, that path is the base of every endpoint and no version is added. A path that ends
        /// with an endpoint (`…/v1/chat/completions`) is that endpoint, and its parent is the base of the others.
        base_url: String = "baseUrl",
        /// Version prefix
        /// What stands between base path and endpoint: `v1`, `/v1` and `/v1/` mean the same. Unset: the preset's, or
        /// none if `baseUrl` has a path. Empty or `/`: none.
        version_prefix: String = "versionPrefix",
        /// Endpoints
        /// Exact upstream paths by operation, each `/path[?query]`; `{model}` and the ids of the operation are filled in.
        endpoints: Table<String> = "endpoints",
        /// Path mode
        /// Whether the upstream path is composed by the rule or is the client's.
        path_mode: PathModeSetting = "pathMode",
        /// Strip prefix
        /// A client path prefix that is removed before a path is preserved or passed through: `/team-a`.
        strip_prefix: String = "stripPrefix",
        /// Operations
        /// The only operations this provider serves; others are answered with 404.
        operations: Vec<String> = "operations",
        /// Pass-through
        /// Whether paths that are no known operation are forwarded (the default) or answered with 404.
        passthrough: bool = "passthrough",
        /// API tokens
        /// The credentials to send upstream; of several, each request takes the next.
        api_tokens: Vec<Secret> = "apiTokens",
        /// Authentication
        /// Whose credential goes upstream.
        auth: AuthSetting = "auth",
        /// Credential
        /// How the credential is presented, where that differs from the preset.
        credential: CredentialSettings = "credential",
        /// Client credentials
        /// Where clients of this gateway authenticate, beside the usual headers and query parameters: removed before the
        /// request goes upstream, and `***` in every record.
        client_credentials: ClientCredentialSettings = "clientCredentials",
        /// Remove headers
        /// Headers of the client that do not go upstream: names, or beginnings with a star (`cf-*`).
        remove_headers: Vec<String> = "removeHeaders",
        /// Keep headers
        /// Headers of the client that go upstream although Waypost would remove them: names, or beginnings with a star.
        keep_headers: Vec<String> = "keepHeaders",
        /// Set headers
        /// Headers that every request gets, in place of the client's: name to value. Values are shown as `***`.
        set_headers: Table<Secret> = "setHeaders",
        /// Model mapping
        /// Requested model to upstream model: exact names first, then the longest `prefix*`, then `~regex` in order,
        /// then `*`. An empty target keeps the name.
        model_mapping: Table<String> = "modelMapping",
        /// Strip model prefix
        /// Removed from the front of the requested model before it is mapped: `qwen/` turns `qwen/x` into `x`.
        model_strip_prefix: String = "modelStripPrefix",
        /// Add model prefix
        /// Put in front of the mapped model, unless it is there.
        model_add_prefix: String = "modelAddPrefix",
        /// Ask for usage
        /// Whether streamed chat and completions are asked for their usage (`stream_options.include_usage`): `auto` asks
        /// where the provider is known to take it, `force` everywhere, `off` nowhere.
        include_usage: IncludeUsageSetting = "includeUsage",
        /// Parameters
        /// Rules for top-level members of request bodies that generate text, applied in order.
        params: Vec<ParamSettings> = "params",
        /// Hold headers
        /// Holds the headers of every request whose body changes until the body is there, so that the exact
        /// `content-length` goes upstream instead of a chunked body. Bounded by `maxHeldBodyBytes`.
        hold_headers: bool = "holdHeaders",
        /// Hold timeout
        /// Milliseconds for which a host may keep back bytes of a body that it has received while the headers are held;
        /// then the request is answered with 500. The time a client takes to send them does not count. 2000 if unset; 0
        /// waits for ever, also on a host that never delivers.
        hold_timeout: u32 = "holdTimeout",
        /// Longest held body
        /// Bytes above which a body that has to be held is answered with 413, at once where its `content-length` tells.
        /// The filter keeps it, not Envoy, whose own limits need not be raised. 33554432 (32 MiB) if unset.
        max_held_body_bytes: u32 = "maxHeldBodyBytes",
        /// Longest unpacked body
        /// How many bytes a compressed body may unpack to, where it is edited; more is answered with 413, and so is more
        /// than 200 times its size. 64 MiB if unset.
        max_unpacked_bytes: u32 = "maxUnpackedBytes",
        /// Bodies that cannot be read
        /// What becomes of a body that would be edited, and whose type or encoding does not let it be read: `refuse`
        /// answers with 415, `pass` forwards it as it came, past `modelMapping`, `params` and all else. `refuse` if unset.
        unreadable_bodies: UnreadableBodiesSetting = "unreadableBodies",
        /// Protocol
        /// `original` leaves bodies alone and keeps the client's path unless an endpoint is configured.
        protocol: ProtocolSetting = "protocol",

        /// OpenAI custom URL (Higress)
        /// Same as `baseUrl`.
        openai_custom_url: String = "openaiCustomUrl" for ["openai"],
        /// vLLM custom URL (Higress)
        /// Same as `baseUrl`.
        vllm_custom_url: String = "vllmCustomUrl" for ["vllm"],
        /// Claude custom URL (Higress)
        /// Same as `baseUrl`.
        claude_custom_url: String = "claudeCustomUrl" for ["claude"],
        /// Azure service URL (Higress)
        /// The resource, a deployment or a full endpoint, with its `api-version`.
        azure_service_url: String = "azureServiceUrl" for ["azure"],
        /// Dify API URL (Higress)
        /// Same as `baseUrl`.
        dify_api_url: String = "difyApiUrl" for ["dify"],
        /// Provider domain (Higress)
        /// Replaces the host, and nothing else.
        provider_domain: String = "providerDomain",
        /// Provider base path (Higress)
        /// Put in front of every upstream path.
        provider_base_path: String = "providerBasePath",
        /// Base path (Higress)
        /// With `basePathHandling: removePrefix`, the same as `stripPrefix`; with `prepend`, put in front of every path.
        base_path: String = "basePath",
        /// Base path handling (Higress)
        /// What `basePath` does.
        base_path_handling: BasePathHandling = "basePathHandling",
        /// Capabilities (Higress)
        /// Same as `endpoints`, by Higress's api names or by operation.
        capabilities: Table<String> = "capabilities",
        /// Qwen domain (Higress)
        /// Replaces the host.
        qwen_domain: String = "qwenDomain" for ["qwen", "qwen-intl"],
        /// Doubao domain (Higress)
        /// Replaces the host.
        doubao_domain: String = "doubaoDomain" for ["doubao"],
        /// Zhipu domain (Higress)
        /// Replaces the host: `api.z.ai` is the international one.
        zhipu_domain: String = "zhipuDomain" for ["zhipuai"],
        /// Zhipu coding plan (Higress)
        /// Uses the endpoints of the coding plan.
        zhipu_code_plan_mode: bool = "zhipuCodePlanMode" for ["zhipuai"],
        /// Triton domain (Higress)
        /// Replaces the host.
        triton_domain: String = "tritonDomain" for ["triton"],
        /// Generic host (Higress)
        /// Replaces the host; without it the client's stays.
        generic_host: String = "genericHost" for ["generic"],
        /// vLLM server host (Higress)
        /// Replaces the host; a port is kept.
        vllm_server_host: String = "vllmServerHost" for ["vllm"],
        /// Ollama server host (Higress)
        /// The host of the Ollama server.
        ollama_server_host: String = "ollamaServerHost" for ["ollama"],
        /// Ollama server port (Higress)
        /// The port of the Ollama server; 11434 if unset.
        ollama_server_port: u32 = "ollamaServerPort" for ["ollama"],
        /// API version (Higress)
        /// Version of a vendor's API.
        api_version: String = "apiVersion" for ["gemini", "claude", "bedrock", "azure"],
        /// Anthropic version (Higress)
        /// Value of the header `anthropic-version`.
        claude_version: String = "claudeVersion" for ["claude", "bedrock"],
        /// AWS region (Higress)
        /// The region in the host name.
        aws_region: String = "awsRegion" for ["bedrock"],
        /// AWS access key (Higress)
        /// Signed requests are not supported yet: use a Bedrock API key in `apiTokens`.
        aws_access_key: Secret = "awsAccessKey" for ["bedrock"],
        /// AWS secret key (Higress)
        /// See `awsAccessKey`.
        aws_secret_key: Secret = "awsSecretKey" for ["bedrock"],
        /// Vertex region (Higress)
        /// Location of the models, also in the host name; empty or `global` for the global endpoint.
        vertex_region: String = "vertexRegion" for ["vertex"],
        /// Vertex project (Higress)
        /// Google Cloud project.
        vertex_project_id: String = "vertexProjectId" for ["vertex"],
        /// Vertex service account (Higress)
        /// Fetching access tokens is not supported yet: use `apiTokens`, or `auth: passthrough`.
        vertex_auth_key: Secret = "vertexAuthKey" for ["vertex"],
        /// Cloudflare account (Higress)
        /// Account id in the path.
        cloudflare_account_id: String = "cloudflareAccountId" for ["cloudflare"],
        /// Hunyuan auth id (Higress)
        /// Signed requests are not supported yet: use an API key in `apiTokens`.
        hunyuan_auth_id: Secret = "hunyuanAuthId" for ["hunyuan"],
        /// Hunyuan auth key (Higress)
        /// See `hunyuanAuthId`.
        hunyuan_auth_key: Secret = "hunyuanAuthKey" for ["hunyuan"],
        /// Kling access key (Higress)
        /// Signed tokens are not supported yet: use an API key in `apiTokens`.
        kling_access_key: Secret = "klingAccessKey" for ["kling"],
        /// Kling secret key (Higress)
        /// See `klingAccessKey`.
        kling_secret_key: Secret = "klingSecretKey" for ["kling"],
        /// Custom settings (Higress)
        /// Parameters to set, or to default with `overwrite: false`; compiled to `params`.
        custom_settings: Vec<CustomSettings> = "customSettings",
        /// Stream usage (Higress)
        /// `true` is `includeUsage: off`.
        disable_stream_usage_stats: bool = "disableStreamUsageStats",
        /// First-byte timeout (Higress)
        /// Milliseconds Envoy waits for the first byte of a streamed response.
        first_byte_timeout: u32 = "firstByteTimeout",
        /// Context cleanup (Higress)
        /// Texts of user messages that drop themselves and all of the conversation before, but for system messages.
        context_cleanup_commands: Vec<String> = "contextCleanupCommands",
        /// Merge messages (Higress)
        /// Joins neighbouring messages of the same role.
        merge_consecutive_messages: bool = "mergeConsecutiveMessages",
        /// Hiclaw mode (Higress)
        /// The same as `mergeConsecutiveMessages` here.
        hiclaw_mode: bool = "hiclawMode",
        /// Qwen compatible mode (Higress)
        /// OpenAI requests always go to the compatible mode; native ones pass as they are.
        qwen_enable_compatible: bool = "qwenEnableCompatible" for ["qwen", "qwen-intl"],
        /// MiniMax API type (Higress)
        /// OpenAI requests always go to the compatible endpoint.
        minimax_api_type: String = "minimaxApiType" for ["minimax", "minimax-intl"],
    }
    inert {
        /// Timeout (Higress)
        "timeout": "it bounds calls that Waypost does not make",
        /// Failover (Higress)
        "failover": "credential pools are not there yet; of several `apiTokens` each request takes the next",
        /// Retry (Higress)
        "retryOnFailure": "use a `retry_policy` of the route in Envoy",
        /// Context file (Higress)
        "context": "context files are not supported",
        /// Reasoning content (Higress)
        "reasoningContentMode": "responses are not converted",
        /// Promote thinking (Higress)
        "promoteThinkingOnEmpty": "responses are not converted",
        /// Log error bodies (Higress)
        "logUpstreamErrorResponseBody": "bodies are never logged",
        /// Auth header key (Higress)
        "authHeaderKey": "it has none in ai-proxy either; use `credential`",
        /// Response schema (Higress)
        "responseJsonSchema" for ["openai", "longcat"]: "bodies are not edited yet",
        /// Moonshot file (Higress)
        "moonshotFileId" for ["moonshot"]: "it has none in ai-proxy either",
        /// Qwen files (Higress)
        "qwenFileIds" for ["qwen"]: "protocol conversion is not there yet",
        /// Qwen search (Higress)
        "qwenEnableSearch" for ["qwen"]: "protocol conversion is not there yet",
        /// Claude code mode (Higress)
        "claudeCodeMode" for ["claude"]: "client headers are forwarded as they are",
        /// Gemini safety (Higress)
        "geminiSafetySetting" for ["gemini", "vertex"]: "protocol conversion is not there yet",
        /// Gemini thinking (Higress)
        "geminiThinkingBudget" for ["gemini"]: "protocol conversion is not there yet",
        /// Vertex auth service (Higress)
        "vertexAuthServiceName" for ["vertex"]: "access tokens are not fetched yet",
        /// Vertex token refresh (Higress)
        "vertexTokenRefreshAhead" for ["vertex"]: "access tokens are not fetched yet",
        /// Vertex OpenAI mode (Higress)
        "vertexOpenAICompatible" for ["vertex"]: "OpenAI requests always go to the compatible endpoint, native ones to the native one; Express mode has no compatible one",
        /// Bedrock additional fields (Higress)
        "bedrockAdditionalFields" for ["bedrock"]: "protocol conversion is not there yet",
        /// Prompt cache (Higress)
        "promptCacheRetention" for ["bedrock"]: "protocol conversion is not there yet",
        /// Prompt cache points (Higress)
        "bedrockPromptCachePointPositions" for ["bedrock"]: "protocol conversion is not there yet",
        /// MiniMax group (Higress)
        "minimaxGroupId" for ["minimax"]: "the compatible endpoint needs none",
        /// DeepL target language (Higress)
        "targetLang" for ["deepl"]: "protocol conversion is not there yet",
        /// Dify bot (Higress)
        "botType" for ["dify"]: "protocol conversion is not there yet",
        /// Dify input (Higress)
        "inputVariable" for ["dify"]: "protocol conversion is not there yet",
        /// Dify output (Higress)
        "outputVariable" for ["dify"]: "protocol conversion is not there yet",
        /// Triton model version (Higress)
        "tritonModelVersion" for ["triton"]: "protocol conversion is not there yet",
        /// Kling token refresh (Higress)
        "klingTokenRefreshAhead" for ["kling"]: "signed tokens are not supported yet",
        /// Sub-path
        "subPath": "no version of ai-proxy reads it; `basePath` or `stripPrefix` is meant",
        /// Domain
        "domain": "no version of ai-proxy reads it; `providerDomain` or `baseUrl` is meant",
    }
    silent { "openaiExtraCustomUrls", "openaiCustomServiceName", "openaiCustomServicePort", "vllmExtraCustomUrls" }
    deeper {}
}

impl ProviderSettings {
    /// Whether a key has an effect for the type that is configured, under its own name or under an alias.
    pub(super) fn applies(&self, info: &KeyInfo, preset: &Preset) -> bool {
        let configured = self.provider_type.as_deref().and_then(Preset::find).map_or("", |preset| preset.name);
        info.used_by.is_empty() || info.used_by.contains(&preset.name) || info.used_by.contains(&configured)
    }

    /// The same by the key's name.
    pub(super) fn key_applies(&self, key: &str, preset: &Preset) -> bool {
        Self::KEYS.iter().filter(|info| info.key == key).all(|info| self.applies(info, preset))
    }
}

settings! {
    /// How a credential is presented.
    /// Either a header, with what stands before the token, or a query parameter.
    pub struct CredentialSettings {
        /// Header
        /// Header name.
        header: String = "header",
        /// Prefix
        /// What stands before the token in the header: `Bearer ` with its space. Unset: `Bearer ` in `authorization`,
        /// nothing elsewhere.
        prefix: String = "prefix",
        /// Query parameter
        /// Parameter name, instead of a header.
        query: String = "query",
    }
    inert {}
    silent {}
    deeper {}
}

settings! {
    /// Client credentials
    /// Where clients of this gateway authenticate.
    pub struct ClientCredentialSettings {
        /// Headers
        /// Names of headers.
        headers: Vec<String> = "headers",
        /// Query parameters
        /// Names of query parameters, without regard to case.
        query: Vec<String> = "query",
    }
    inert {}
    silent {}
    deeper {}
}

settings! {
    /// Parameter rule
    /// What happens to one member of the request body.
    pub struct ParamSettings {
        /// Operation
        /// `set`, `default` (set where absent), `rename`, `remove` or `clamp`.
        op: ParamOp = "op",
        /// Key
        /// The member; dots lead below it: `reasoning.effort`.
        key: String = "key",
        /// Value
        /// For `set` and `default` the JSON value, for `rename` the new key, for `clamp` the upper bound or
        /// `{min, max}`.
        value: Node = "value",
        /// Models
        /// Upstream models the rule is limited to: names, or prefixes with a star at their end. A body is then held
        /// until its model is known.
        models: Vec<String> = "models",
    }
    inert {}
    silent {}
    deeper {}
}

settings! {
    /// Custom setting (Higress)
    /// One parameter to set.
    pub struct CustomSettings {
        /// Name
        /// The parameter.
        name: String = "name",
        /// Value
        /// The JSON value.
        value: Node = "value",
        /// Mode
        /// `auto` knows `max_tokens`, `temperature`, `top_p` and `seed`; `raw` takes any name, with dots.
        mode: CustomMode = "mode",
        /// Overwrite
        /// Whether a value of the client is replaced; `true` if unset.
        overwrite: bool = "overwrite",
    }
    inert {}
    silent {}
    deeper {}
}

choices! {
    /// `includeUsage`
    pub enum IncludeUsageSetting {
        /// Where the provider is known to take it.
        Auto = "auto",
        /// Nowhere.
        Off = "off",
        /// Everywhere.
        Force = "force",
    }
}

choices! {
    /// `unreadableBodies`
    pub enum UnreadableBodiesSetting {
        /// They are answered with 415.
        Refuse = "refuse",
        /// They are forwarded as they came.
        Pass = "pass",
    }
}

choices! {
    /// `params[].op`
    pub enum ParamOp {
        /// The value is this one.
        Set = "set",
        /// The value is this one where there is none.
        Default = "default",
        /// The member gets another key.
        Rename = "rename",
        /// The member goes.
        Remove = "remove",
        /// A number is brought into bounds.
        Clamp = "clamp",
    }
}

choices! {
    /// `customSettings[].mode`
    pub enum CustomMode {
        /// Known names only.
        Auto = "auto",
        /// Any name.
        Raw = "raw",
    }
}

choices! {
    /// `pathMode`
    pub enum PathModeSetting {
        /// The rule computes the path.
        Compose = "compose",
        /// The client's path is kept; for setups in which something else rewrites it.
        Preserve = "preserve",
    }
}

choices! {
    /// `auth`
    pub enum AuthSetting {
        /// The configured token.
        Inject = "inject",
        /// The client's own credential, in the provider's form.
        Passthrough = "passthrough",
        /// The configured token, or the client's own credential where none is configured.
        PassthroughIfAbsent = "passthroughIfAbsent",
        /// No credential.
        None = "none",
    }
}

choices! {
    /// `protocol`
    pub enum ProtocolSetting {
        /// OpenAI, or whatever the provider speaks natively.
        OpenAi = "openai",
        /// Nothing of the body is touched.
        Original = "original",
    }
}

choices! {
    /// `basePathHandling`
    pub enum BasePathHandling {
        /// Remove it from the client's path.
        RemovePrefix = "removePrefix",
        /// Put it in front of the upstream path.
        Prepend = "prepend",
    }
}
