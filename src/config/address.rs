//! Where a provider is: from `baseUrl` and Higress's many keys for it to the settings of the path rule.

use super::azure;
use super::differences;
use super::problem::{Kind, Problems, nearest};
use super::settings::{BasePathHandling, PathModeSetting, ProtocolSetting, ProviderSettings};
use super::wire::Table;
use crate::operation::Operation;
use crate::path::base_url::{self, BaseUrl, UrlError};
use crate::path::endpoint::{self, Key};
use crate::path::query::Query;
use crate::path::template::Template;
use crate::path::{Mode, PathSettings, segment, version_prefix};
use crate::provider::{Preset, vertex};

/// What the settings say about the upstream's address.
#[derive(Clone, Debug, Default)]
pub(super) struct Address {
    /// Input of the path rule.
    pub paths: PathSettings,
    /// Host and port, where anything but the preset says so.
    pub authority: Option<String>,
}

impl Address {
    pub(super) fn compile(settings: &ProviderSettings, preset: &'static Preset, problems: &mut Problems) -> Self {
        let (mut base, key) = base_url(settings, preset, problems);
        let mut address = Self::default();
        address.paths.key = key;
        let paths = &mut address.paths;
        paths.slots = slots(settings, preset, problems);
        if preset.name == azure::NAME {
            azure::adapt(&mut base, &mut paths.slots, settings.api_version.as_deref(), problems);
        }
        address.authority =
            host(settings, preset, problems).or_else(|| base.as_ref().map(|base| base.authority.clone()));
        if preset.name == vertex::NAME {
            address.authority = address.authority.or_else(|| vertex::host(&paths.slots));
        }
        paths.base = base;
        if let Some(text) = &settings.version_prefix {
            problems.at("versionPrefix", |problems| match version_prefix(text) {
                Ok(version) => {
                    let duplicated =
                        paths.base.as_ref().is_some_and(|base| !version.is_empty() && base.path.ends_with(&version));
                    if duplicated {
                        problems.warn(Kind::Doubtful {
                            reason: "`baseUrl` already ends with this version; it will stand twice",
                        });
                    }
                    if paths.base.as_ref().is_some_and(|base| names_endpoint(base, key)) {
                        problems.warn(Kind::Doubtful { reason: "has no effect: `baseUrl` is a whole endpoint" });
                    }
                    paths.version = Some(version);
                }
                Err(_) => problems.error(Kind::Invalid { reason: "must be segments such as `/v1`, or empty for none" }),
            });
        }
        endpoints(settings, paths, problems);
        base_paths(settings, paths, problems);
        restrictions(settings, paths, problems);
        let original = settings.protocol == Some(ProtocolSetting::Original);
        paths.mode = match settings.path_mode {
            Some(PathModeSetting::Compose) => Mode::Compose,
            Some(PathModeSetting::Preserve) => Mode::Preserve,
            None if original => Mode::Preserve,
            None => Mode::Compose,
        };
        if paths.mode == Mode::Preserve && paths.base.as_ref().is_some_and(|base| !base.path.is_empty()) {
            problems.warn(Kind::Doubtful {
                reason: "the path of the base URL is not used: the client's path is preserved",
            });
        }
        address
    }
}

/// The one base URL: `baseUrl`, or the key Higress has for this type.
fn base_url(settings: &ProviderSettings, preset: &Preset, problems: &mut Problems) -> (Option<BaseUrl>, Key) {
    let candidates = [
        ("baseUrl", &settings.base_url),
        ("openaiCustomUrl", &settings.openai_custom_url),
        ("vllmCustomUrl", &settings.vllm_custom_url),
        ("claudeCustomUrl", &settings.claude_custom_url),
        ("azureServiceUrl", &settings.azure_service_url),
        ("difyApiUrl", &settings.dify_api_url),
    ];
    let (mut base, mut by) = (None, Key::BaseUrl);
    for (key, url) in candidates.into_iter().filter(|(key, _)| settings.key_applies(key, preset)) {
        let Some(url) = url.as_ref().filter(|url| !url.trim().is_empty()) else { continue };
        problems.at(key, |problems| {
            if base.is_some() {
                problems.warn(Kind::Doubtful { reason: "has no effect: another key already gives the base URL" });
                return;
            }
            match BaseUrl::parse(url) {
                Ok(parsed) => {
                    by = match key {
                        "openaiCustomUrl" => Key::OpenAiCustomUrl,
                        "vllmCustomUrl" => Key::VllmCustomUrl,
                        _ => Key::BaseUrl,
                    };
                    match key {
                        "openaiCustomUrl" | "vllmCustomUrl" => touch(&parsed, by, problems),
                        // Every other form of this URL means the same in the reference.
                        "azureServiceUrl" if names_endpoint(&parsed, by) => touch(&parsed, by, problems),
                        _ => {}
                    }
                    base = Some(parsed);
                }
                Err(error) => problems.error(Kind::Invalid { reason: error.reason() }),
            }
        });
    }
    (base, by)
}

fn touch(base: &BaseUrl, key: Key, problems: &mut Problems) {
    if base.path.is_empty() {
        problems.differs(differences::HOST_ONLY_URL);
    }
    if names_endpoint(base, key) {
        problems.differs(differences::DIRECT_URL);
    }
    if !base.query.is_empty() || names_endpoint(base, key) {
        problems.differs(differences::QUERY_KEPT);
    }
}

/// Whether a URL names one endpoint rather than a base.
fn names_endpoint(base: &BaseUrl, key: Key) -> bool {
    endpoint::named_by(&base.path, key).is_some()
}

/// A host that replaces the preset's. `providerDomain` is applied last by the reference, so it wins.
fn host(settings: &ProviderSettings, preset: &Preset, problems: &mut Problems) -> Option<String> {
    let port = settings.ollama_server_port.unwrap_or(OLLAMA_PORT);
    let ollama =
        settings.ollama_server_host.as_ref().filter(|host| !host.is_empty()).map(|host| format!("{host}:{port}"));
    let candidates = [
        ("providerDomain", &settings.provider_domain),
        ("qwenDomain", &settings.qwen_domain),
        ("doubaoDomain", &settings.doubao_domain),
        ("zhipuDomain", &settings.zhipu_domain),
        ("tritonDomain", &settings.triton_domain),
        ("genericHost", &settings.generic_host),
        ("vllmServerHost", &settings.vllm_server_host),
        ("ollamaServerHost", &ollama),
    ];
    let mut authority = None;
    for (key, host) in candidates.into_iter().filter(|(key, _)| settings.key_applies(key, preset)) {
        let Some(host) = host.as_ref().filter(|host| !host.is_empty()) else { continue };
        problems.at(key, |problems| {
            match base_url::check_authority(host) {
                Ok(()) if authority.is_none() => authority = Some(host.clone()),
                Ok(()) => problems.warn(Kind::Doubtful { reason: "has no effect: another key already gives the host" }),
                Err(UrlError::Host | UrlError::Port) => {
                    problems.error(Kind::Invalid {
                        reason: "must be a host with an optional port; a whole URL goes into `baseUrl`",
                    });
                }
                Err(error) => problems.error(Kind::Invalid { reason: error.reason() }),
            }
            if key == "vllmServerHost" && base_url::split_port(host).1.is_some() {
                problems.differs(differences::GENERIC_PORT);
            }
        });
    }
    authority
}

/// Port of an Ollama server where none is configured, as Ollama documents it.
const OLLAMA_PORT: u32 = 11_434;

/// Values for the slots of the preset.
fn slots(settings: &ProviderSettings, preset: &'static Preset, problems: &mut Problems) -> Vec<(&'static str, String)> {
    let mut slots = Vec::new();
    for parameter in preset.parameters {
        let value = match parameter.key {
            "awsRegion" => &settings.aws_region,
            "vertexRegion" => &settings.vertex_region,
            "vertexProjectId" => &settings.vertex_project_id,
            "cloudflareAccountId" => &settings.cloudflare_account_id,
            "apiVersion" => &settings.api_version,
            _ => &None,
        };
        match value.as_deref().filter(|value| !value.is_empty()).or(parameter.default) {
            Some(value)
                if value.bytes().all(|byte| byte.is_ascii_alphanumeric() || matches!(byte, b'-' | b'_' | b'.')) =>
            {
                slots.push((parameter.slot, value.to_owned()));
            }
            Some(_) => problems.at(parameter.key, |problems| {
                problems.error(Kind::Invalid { reason: "may hold letters, digits, `-`, `_` and `.` only" });
            }),
            None => problems.at(parameter.key, |problems| problems.error(Kind::Missing { key: parameter.key })),
        }
    }
    slots
}

fn endpoints(settings: &ProviderSettings, paths: &mut PathSettings, problems: &mut Problems) {
    let empty = Table::default();
    for (key, table) in [("endpoints", &settings.endpoints), ("capabilities", &settings.capabilities)] {
        problems.at(key, |problems| {
            for (name, path) in &table.as_ref().unwrap_or(&empty).0 {
                problems.at(name, |problems| {
                    if key == "capabilities" && Operation::from_name(name).is_none() {
                        // The reference drops most names; its `kling/…` ones are of the vendor's own protocol here.
                        problems.warn(Kind::Inert { reason: "no operation has this name" });
                        return;
                    }
                    let Some(operation) = operation(name, problems) else { return };
                    if paths.endpoints.iter().any(|(known, ..)| *known == operation) {
                        problems
                            .warn(Kind::Doubtful { reason: "has no effect: another key already gives this endpoint" });
                        return;
                    }
                    if let Some((template, query)) = endpoint(path, operation, problems) {
                        paths.endpoints.push((operation, template, query));
                    }
                });
            }
            let dropped = |(name, _): &(String, String)| !TAKEN_BY_REFERENCE.contains(&name.as_str());
            if key == "capabilities" && table.as_ref().is_some_and(|table| table.0.iter().any(dropped)) {
                problems.differs(differences::CAPABILITIES);
            }
        });
    }
}

/// The names of `capabilities` that ai-proxy does not drop.
const TAKEN_BY_REFERENCE: &[&str] = &[
    "openai/v1/chatcompletions",
    "openai/v1/embeddings",
    "openai/v1/imagegeneration",
    "openai/v1/imagevariation",
    "openai/v1/imageedit",
    "openai/v1/audiospeech",
    "openai/v1/audiotranscription",
    "openai/v1/audiotranslation",
    "openai/v1/realtime",
    "openai/v1/responses",
    "openai/v1/videos",
    "openai/v1/retrievevideo",
    "openai/v1/retrievevideocontent",
    "openai/v1/videoremix",
    "cohere/v1/rerank",
    "kling/v1/image2video",
    "kling/v1/retrieveimagevideo",
];

fn operation(name: &str, problems: &mut Problems) -> Option<Operation> {
    let operation = Operation::from_name(name);
    if operation.is_none() {
        let meant = nearest(name, &mut Operation::all().map(Operation::name)).map(str::to_owned);
        problems.error(Kind::UnknownValue { found: name.to_owned(), meant });
    }
    operation
}

fn endpoint(text: &str, operation: Operation, problems: &mut Problems) -> Option<(Template, Query)> {
    let (path, query) = text.split_once('?').unwrap_or((text, ""));
    if !path.starts_with('/') || path.contains('#') || query.contains('#') {
        problems
            .error(Kind::Invalid { reason: "must be a path that begins with `/`; the host belongs into `baseUrl`" });
        return None;
    }
    if segment::check_path(path).is_err() || query.bytes().any(|byte| byte.is_ascii_control() || byte == b' ') {
        problems.error(Kind::Invalid { reason: "must not hold dot segments, spaces or control characters" });
        return None;
    }
    if operation == Operation::Passthrough {
        problems.error(Kind::Invalid { reason: "passed-through paths have no one endpoint" });
        return None;
    }
    match Template::parse(path, operation) {
        Ok(template) => Some((template, Query::parse(query))),
        Err(error) => {
            problems.error(Kind::UnknownSlot { slot: error.slot });
            None
        }
    }
}

fn base_paths(settings: &ProviderSettings, paths: &mut PathSettings, problems: &mut Problems) {
    let mut prefix = |key: &str, text: &Option<String>| -> String {
        let text = text.as_deref().unwrap_or_default();
        if text.contains(['?', '#']) || segment::check_path(text).is_err() {
            problems.at(key, |problems| problems.error(Kind::Invalid { reason: "must be a path such as `/team-a`" }));
        }
        base_url::normal_path(text)
    };
    let strip = prefix("stripPrefix", &settings.strip_prefix);
    let base = prefix("basePath", &settings.base_path);
    let provider_base = prefix("providerBasePath", &settings.provider_base_path);
    paths.strip_prefix = strip;
    paths.prepend = provider_base;
    match settings.base_path_handling {
        Some(BasePathHandling::Prepend) => paths.prepend.push_str(&base),
        Some(BasePathHandling::RemovePrefix) | None => {
            if paths.strip_prefix.is_empty() {
                paths.strip_prefix = base;
            } else if !base.is_empty() {
                problems.at("basePath", |problems| {
                    problems.warn(Kind::Doubtful { reason: "has no effect: `stripPrefix` is set" });
                });
            }
        }
    }
    for (key, text) in [("basePath", &settings.base_path), ("providerBasePath", &settings.provider_base_path)] {
        if text.as_ref().is_some_and(|text| !text.is_empty()) {
            problems.at(key, |problems| problems.differs(differences::BASE_PATH));
        }
    }
}

fn restrictions(settings: &ProviderSettings, paths: &mut PathSettings, problems: &mut Problems) {
    paths.refuse_passthrough = settings.passthrough == Some(false);
    paths.operations = settings.operations.as_ref().map(|names| {
        problems.at("operations", |problems| {
            problems.doubts(|| names.is_empty().then_some("is empty: every request is answered with 404"));
            names
                .iter()
                .enumerate()
                .filter_map(|(index, name)| problems.at_index(index, |problems| operation(name, problems)))
                .collect()
        })
    });
}
