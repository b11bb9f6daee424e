//! One provider, compiled: everything a request needs, looked up instead of computed.

use super::address::Address;
use super::azure;
use super::body::BodySettings;
use super::differences;
use super::doubts;
use super::headers;
use super::problem::{Kind, Problems, nearest};
use super::settings::{AuthSetting, CredentialSettings, ProtocolSetting, ProviderSettings};
use super::wire::Secret;
use crate::json::literal;
use crate::model::{MAX_NAME, MappingError, ModelMapping};
use crate::operation::Dialect;
use crate::path::Paths;
use crate::provider::{Credential, Preset, Surface, Token, vertex};
use crate::removal::Removal;
use std::borrow::Cow;
use std::cell::Cell;

/// Whose credential goes upstream.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Auth {
    /// A configured token.
    Inject,
    /// The client's own.
    Passthrough,
    /// Nobody's.
    None,
}

impl Auth {
    /// The name in traces.
    #[must_use]
    pub const fn name(self) -> &'static str {
        match self {
            Self::Inject => "inject",
            Self::Passthrough => "passthrough",
            Self::None => "none",
        }
    }
}

/// Where a credential is put.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Placement {
    /// In a header.
    Header {
        /// Name in lower case.
        name: Cow<'static, str>,
        /// What stands before the token.
        prefix: String,
    },
    /// In the query.
    Query {
        /// Parameter name.
        name: String,
    },
}

/// What one surface of the preset sets on a request, compiled.
#[derive(Clone, Debug)]
pub struct SurfaceHeaders {
    /// `:authority`; `None` keeps the client's.
    pub authority: Option<String>,
    /// Where the credential is put.
    pub placement: Placement,
    /// Headers set where the client sent none of the name.
    pub defaults: Vec<(&'static str, String)>,
}

/// A compiled provider. Immutable but for the turn of its tokens.
#[derive(Debug)]
pub struct Provider {
    /// `id`; empty where none is configured.
    pub id: String,
    /// The preset behind `type`.
    pub preset: &'static Preset,
    /// The path rule.
    pub paths: Paths,
    /// Whose credential goes upstream.
    pub auth: Auth,
    /// The model mapping.
    pub models: ModelMapping,
    /// Whether bodies are left alone (`protocol: original`).
    pub original: bool,
    /// What is done to bodies otherwise.
    pub body: BodySettings,
    /// What of the client's headers and query does not go upstream.
    pub removal: Removal,
    /// Headers of the operator, set on every request; names in lower case.
    pub headers: Vec<(String, Secret)>,
    surfaces: Vec<SurfaceHeaders>,
    /// For paths of no surface: the vendor's own protocol.
    own: SurfaceHeaders,
    /// Placements of tokens that begin in a certain way, wherever they go.
    token_forms: Vec<(&'static str, Placement)>,
    secret_parameters: Vec<String>,
    tokens: Vec<Secret>,
    turn: Cell<usize>,
    /// Whether it was said that its streams do not tell their usage.
    untold: Cell<bool>,
}

impl Provider {
    /// Compiles one provider; reports everything that is wrong. `None` only without a known `type`.
    pub(super) fn compile(settings: &ProviderSettings, problems: &mut Problems) -> Option<Self> {
        let mark = problems.mark();
        let preset = find_preset(settings, problems)?;
        applicability(settings, preset, problems);
        let address = Address::compile(settings, preset, problems);
        let auth = auth(settings, preset, problems);
        let paths = match Paths::compile(&address.paths, preset) {
            Ok(paths) => paths,
            Err(error) => {
                // Otherwise the setting that fills the slot is already reported.
                if problems.errors_since(mark).next().is_none() {
                    problems.error(Kind::UnknownSlot { slot: error.slot });
                }
                return None;
            }
        };
        let body = BodySettings::compile(settings, preset, problems)?;
        let credential = settings
            .credential
            .as_ref()
            .and_then(|custom| problems.at("credential", |problems| placement(custom, problems)));
        let headers = |surface: &Surface| SurfaceHeaders {
            authority: address.authority.clone().or_else(|| preset_host(surface, preset, &address)),
            placement: credential.clone().unwrap_or_else(|| surface.credential.unwrap_or(preset.credential).into()),
            defaults: defaults(surface, settings),
        };
        let surfaces: Vec<_> = preset.surfaces.iter().map(headers).collect();
        let own = headers(&Surface::PLAIN);
        // Azure has said so itself.
        let needs_url = !matches!(preset.name, GENERIC | azure::NAME);
        if needs_url && surfaces.iter().chain([&own]).any(|surface| surface.authority.is_none()) {
            problems.error(Kind::Missing { key: "`baseUrl` (this type has no host of its own)" });
        }
        let models = models(settings, problems);
        let original = settings.protocol == Some(ProtocolSetting::Original);
        let rules = !models.is_identity() || !body.params.is_empty();
        if rules && !original {
            problems.differs(differences::UNREADABLE_BODIES);
            problems.differs(differences::KEY_CASE);
            problems.differs(differences::PATH_SPELLING);
        }
        // A placement of the operator's choice is that of every token.
        let forms = if credential.is_none() { preset.token_forms } else { &[] };
        let token_forms: Vec<_> = forms.iter().map(|(start, credential)| (*start, (*credential).into())).collect();
        let secret_parameters = secret_parameters(surfaces.iter().chain([&own]), preset);
        let placements = || surfaces.iter().chain([&own]).map(|surface| &surface.placement);
        let removal = headers::removal(settings, auth, placements(), secret_parameters.clone(), problems);
        let taken = |name: &str| {
            let mut places = placements().chain(token_forms.iter().map(|(_, placement)| placement));
            auth != Auth::None
                && places.any(|place| matches!(place, Placement::Header { name: taken, .. } if taken == name))
        };
        let own_headers = headers::own_headers(settings, &taken, problems);
        Some(Self {
            removal,
            headers: own_headers,
            token_forms,
            id: settings.id.clone().unwrap_or_default(),
            preset,
            paths,
            auth,
            models,
            body,
            original,
            secret_parameters,
            surfaces,
            own,
            tokens: settings.api_tokens.clone().unwrap_or_default(),
            turn: Cell::new(0),
            untold: Cell::new(false),
        })
    }

    /// What the surface of a resolved path sets on the request.
    #[must_use]
    pub fn surface(&self, index: Option<usize>) -> &SurfaceHeaders {
        index.and_then(|index| self.surfaces.get(index)).unwrap_or(&self.own)
    }

    /// Where a token is put on a request to a surface.
    #[must_use]
    pub fn placement<'p>(&'p self, surface: &'p SurfaceHeaders, token: &str) -> &'p Placement {
        let form = self.token_forms.iter().find(|(start, _)| token.starts_with(start));
        form.map_or(&surface.placement, |(_, placement)| placement)
    }

    /// The next configured token; each call takes the next one in turn.
    #[must_use]
    pub fn next_token(&self) -> Option<&Secret> {
        let turn = self.turn.get().checked_rem(self.tokens.len())?;
        self.turn.set(turn.wrapping_add(1));
        self.tokens.get(turn)
    }

    /// Whether this is the first time that a stream of it told no usage.
    #[must_use]
    pub fn is_first_untold(&self) -> bool {
        !self.untold.replace(true)
    }

    /// Whether a configured token may be put into the query.
    #[must_use]
    pub fn injects_into_query(&self) -> bool {
        self.auth == Auth::Inject
            && secret_parameters_of_tokens(self.surfaces.iter().chain([&self.own])).next().is_some()
    }

    /// Names of query parameters that are credentials here and must not come from the client.
    #[must_use]
    pub fn secret_parameters(&self) -> &[String] {
        &self.secret_parameters
    }

    /// The `type` as an operator writes it.
    #[must_use]
    pub fn written_type(&self) -> &'static str {
        // Express mode is chosen by the kind of key.
        if self.preset.name == vertex::EXPRESS { "vertex` with `apiTokens" } else { self.preset.name }
    }

    /// What every request is told about the first byte of its response, in milliseconds: where nothing is known of the
    /// server, whether it streams is not looked for.
    #[must_use]
    pub fn fixed_first_byte_timeout_ms(&self) -> Option<u32> {
        self.body.first_byte_timeout_ms.filter(|_| self.preset.name == GENERIC)
    }

    /// How the provider is called in traces: `id (type)`, or the type alone.
    #[must_use]
    pub fn label(&self) -> String {
        if self.id.is_empty() { self.preset.name.to_owned() } else { format!("{} ({})", self.id, self.preset.name) }
    }
}

/// The parameters that tokens are put into.
fn secret_parameters_of_tokens<'s>(
    surfaces: impl Iterator<Item = &'s SurfaceHeaders>,
) -> impl Iterator<Item = &'s String> {
    surfaces.filter_map(|surface| match &surface.placement {
        Placement::Query { name } => Some(name),
        Placement::Header { .. } => None,
    })
}

/// The parameters that tokens are put into, and those in which the vendor would also take one.
fn secret_parameters<'s>(surfaces: impl Iterator<Item = &'s SurfaceHeaders>, preset: &Preset) -> Vec<String> {
    let mut names: Vec<String> = secret_parameters_of_tokens(surfaces).cloned().collect();
    let google = preset.surfaces.iter().any(|surface| surface.dialect == Dialect::Gemini);
    let also: &[&str] = if google {
        &["key", "access_token"]
    } else if preset.name == azure::NAME {
        &["api-key"]
    } else {
        &[]
    };
    names.extend(also.iter().map(|name| (*name).to_owned()));
    names
}

/// The type whose requests keep the client's host when none is configured.
pub(crate) const GENERIC: &str = "generic";

impl From<Credential> for Placement {
    fn from(credential: Credential) -> Self {
        match credential {
            Credential::Header { name, prefix } => {
                Self::Header { name: Cow::Borrowed(name), prefix: prefix.to_owned() }
            }
            Credential::Query { name } => Self::Query { name: name.to_owned() },
        }
    }
}

fn find_preset(settings: &ProviderSettings, problems: &mut Problems) -> Option<&'static Preset> {
    let Some(name) = settings.provider_type.as_ref().filter(|name| !name.is_empty()) else {
        problems.error(Kind::Missing { key: "`type`" });
        return None;
    };
    let express =
        settings.api_tokens.as_ref().is_some_and(|tokens| !tokens.is_empty()) && settings.credential.is_none();
    let name = match Preset::find(name).map_or(name.as_str(), |preset| preset.name) {
        "zhipuai" if settings.zhipu_code_plan_mode == Some(true) => "zhipuai-coding",
        // ai-proxy calls this Express mode: an API key instead of a service account.
        vertex::NAME if express => vertex::EXPRESS,
        name => name,
    };
    let preset = Preset::find(name);
    if preset.is_none() {
        let mut names = Preset::all().iter().flat_map(|preset| preset.aliases.iter().copied().chain([preset.name]));
        let meant = nearest(name, &mut names).map(str::to_owned);
        problems.at("type", |problems| problems.error(Kind::UnknownValue { found: name.to_owned(), meant }));
    }
    preset
}

/// Keys of other types, unsupported credentials, and differences that come with the type.
fn applicability(settings: &ProviderSettings, preset: &'static Preset, problems: &mut Problems) {
    for info in settings.present() {
        if !settings.applies(info, preset) {
            let used_by = info.used_by;
            problems.at(info.key, |problems| problems.warn(Kind::Inapplicable { provider_type: preset.name, used_by }));
        }
    }
    let original = settings.protocol == Some(ProtocolSetting::Original);
    if original && settings.path_mode.is_none() {
        problems.at("protocol", |problems| problems.differs(differences::ORIGINAL_PATH));
    }
    for (key, text) in [("claudeVersion", &settings.claude_version), ("apiVersion", &settings.api_version)] {
        if text.as_ref().is_some_and(|text| !is_header_value(text)) {
            problems.at(key, |problems| problems.error(Kind::Invalid { reason: NO_HEADER_VALUE }));
        }
    }
    let by_type = match preset.name {
        "fireworks" => Some(differences::FIREWORKS_PATH),
        "bedrock" => Some(differences::BEDROCK_MODELS),
        vertex::EXPRESS => Some(differences::EXPRESS_MODE),
        GENERIC if settings.model_mapping.as_ref().is_some_and(|table| !table.0.is_empty()) => {
            Some(differences::GENERIC_MODELS)
        }
        _ => None,
    };
    if let Some(difference) = by_type {
        problems.at("type", |problems| problems.differs(difference));
    }
    if settings.first_byte_timeout.is_some_and(|timeout| timeout > 0) {
        problems.at("firstByteTimeout", |problems| problems.differs(differences::FIRST_BYTE_TIMEOUT));
    }
    if CONVERTED_BY_REFERENCE.contains(&preset.name) || settings.qwen_enable_compatible == Some(false) {
        problems.at("type", |problems| problems.differs(differences::COMPATIBLE_ENDPOINT));
    }
}

/// Whether a text can stand in a header.
pub(super) fn is_header_value(text: &str) -> bool {
    text.bytes().all(|byte| byte.is_ascii_graphic() || byte == b' ')
}

pub(super) const NO_HEADER_VALUE: &str = "holds a line break or another character that cannot stand in a header";

/// Keys from which ai-proxy makes a signature or fetches a token.
fn signing_keys(settings: &ProviderSettings) -> impl Iterator<Item = &'static str> {
    [
        ("awsAccessKey", &settings.aws_access_key),
        ("awsSecretKey", &settings.aws_secret_key),
        ("vertexAuthKey", &settings.vertex_auth_key),
        ("hunyuanAuthId", &settings.hunyuan_auth_id),
        ("hunyuanAuthKey", &settings.hunyuan_auth_key),
        ("klingAccessKey", &settings.kling_access_key),
        ("klingSecretKey", &settings.kling_secret_key),
    ]
    .into_iter()
    .filter(|(_, secret)| secret.as_ref().is_some_and(|secret| !secret.expose().is_empty()))
    .map(|(key, _)| key)
}

/// Types for which ai-proxy converts OpenAI requests into another protocol.
const CONVERTED_BY_REFERENCE: &[&str] = &[
    "claude", "gemini", "vertex", "bedrock", "cohere", "minimax", "hunyuan", "spark", "dify", "deepl", "triton",
    "kling",
];

fn auth(settings: &ProviderSettings, preset: &Preset, problems: &mut Problems) -> Auth {
    let tokens = settings.api_tokens.as_deref().unwrap_or_default();
    // A token may be written with the scheme that its header has.
    let scheme = match (&settings.credential, preset.credential) {
        (Some(custom), _) => custom.prefix.as_deref().unwrap_or("Bearer "),
        (None, Credential::Header { prefix, .. }) => prefix,
        (None, Credential::Query { .. }) => "",
    };
    problems.at("apiTokens", |problems| {
        for (index, token) in tokens.iter().enumerate() {
            problems.at_index(index, |problems| {
                if token.expose().is_empty() {
                    problems.error(Kind::Invalid { reason: "is empty" });
                } else if !is_header_value(token.expose()) {
                    problems.error(Kind::Invalid { reason: NO_HEADER_VALUE });
                } else {
                    problems.doubts(|| doubts::token(token.expose(), scheme));
                }
            });
        }
        if tokens.len() > 1 {
            problems.differs(differences::TOKEN_TURNS);
        }
    });
    let signing: Vec<_> = signing_keys(settings).collect();
    let injects = matches!(settings.auth, None | Some(AuthSetting::Inject));
    for key in &signing {
        let reason = "signed credentials are not supported yet; use an API key in `apiTokens`";
        problems.at(key, |problems| {
            if injects && tokens.is_empty() {
                problems.error(Kind::Invalid { reason });
            } else {
                problems.warn(Kind::Inert { reason });
            }
        });
    }
    let missing = |problems: &mut Problems| {
        if tokens.is_empty() && signing.is_empty() {
            problems.error(Kind::Missing { key: "`apiTokens` (or `auth: passthrough`, or `auth: none`)" });
        }
    };
    let unused = |problems: &mut Problems, reason| {
        if !tokens.is_empty() {
            problems.at("apiTokens", |problems| problems.warn(Kind::Doubtful { reason }));
        }
    };
    match settings.auth {
        Some(AuthSetting::Inject) => {
            missing(problems);
            Auth::Inject
        }
        Some(AuthSetting::Passthrough) => {
            unused(problems, "has no effect with `auth: passthrough`");
            Auth::Passthrough
        }
        Some(AuthSetting::None) => {
            unused(problems, "has no effect with `auth: none`");
            Auth::None
        }
        Some(AuthSetting::PassthroughIfAbsent) | None if !tokens.is_empty() => Auth::Inject,
        Some(AuthSetting::PassthroughIfAbsent) => Auth::Passthrough,
        None if preset.token == Token::Required => {
            missing(problems);
            Auth::Inject
        }
        None => Auth::Passthrough,
    }
}

fn placement(custom: &CredentialSettings, problems: &mut Problems) -> Option<Placement> {
    let header = custom.header.as_deref().unwrap_or_default().trim().to_ascii_lowercase();
    let query = custom.query.as_deref().unwrap_or_default();
    let is_token =
        |text: &str| text.bytes().all(|byte| byte.is_ascii_alphanumeric() || matches!(byte, b'-' | b'_' | b'.'));
    if custom.prefix.as_deref().is_some_and(|prefix| !is_header_value(prefix)) {
        problems.at("prefix", |problems| problems.error(Kind::Invalid { reason: NO_HEADER_VALUE }));
    }
    match (header.as_str(), query) {
        ("", "") | (_, "") if !is_token(&header) || header.is_empty() => {
            problems
                .error(Kind::Invalid { reason: "needs either `header` (a header name) or `query` (a parameter name)" });
            None
        }
        (_, "") => {
            let fallback = if header == "authorization" { "Bearer " } else { "" };
            let prefix = custom.prefix.clone().unwrap_or_else(|| fallback.to_owned());
            Some(Placement::Header { name: Cow::Owned(header), prefix })
        }
        ("", name) if is_token(name) => Some(Placement::Query { name: name.to_owned() }),
        _ => {
            problems.error(Kind::Invalid { reason: "takes `header` or `query`, not both" });
            None
        }
    }
}

fn preset_host(surface: &Surface, preset: &Preset, address: &Address) -> Option<String> {
    let host = if surface.host.is_empty() { preset.host } else { surface.host };
    let host = crate::path::template::fill_slots(host, &address.paths.slots);
    (!host.is_empty()).then_some(host)
}

/// Default headers; a configured Anthropic version replaces the preset's.
fn defaults(surface: &Surface, settings: &ProviderSettings) -> Vec<(&'static str, String)> {
    let version =
        settings.claude_version.as_ref().or(settings.api_version.as_ref()).filter(|version| !version.is_empty());
    surface
        .headers
        .iter()
        .map(|(name, value)| match version {
            Some(version) if *name == "anthropic-version" => (*name, version.clone()),
            _ => (*name, (*value).to_owned()),
        })
        .collect()
}

fn models(settings: &ProviderSettings, problems: &mut Problems) -> ModelMapping {
    let strip = settings.model_strip_prefix.as_deref().unwrap_or_default();
    let add = settings.model_add_prefix.as_deref().unwrap_or_default();
    let mut mapping = ModelMapping::new(strip, add);
    if add.len() >= MAX_NAME {
        problems
            .at("modelAddPrefix", |problems| problems.error(Kind::Invalid { reason: "must have less than 256 bytes" }));
    }
    let Some(table) = &settings.model_mapping else { return mapping };
    problems.at("modelMapping", |problems| {
        let mut regexes: Vec<&str> = Vec::new();
        for (key, target) in &table.0 {
            problems.at(&format!("[{}]", literal(key)), |problems| {
                match mapping.add(key, target) {
                    Ok(()) => {}
                    Err(MappingError::Regex(reason)) => problems.error(Kind::Regex { reason }),
                    Err(MappingError::EmptyKey) => {
                        problems.error(Kind::Invalid { reason: "an empty key matches nothing" })
                    }
                    Err(MappingError::LongTarget) => {
                        problems.error(Kind::Invalid { reason: "must have at most 256 bytes, with `modelAddPrefix`" })
                    }
                }
                problems.doubts(|| doubts::model_key(key, strip).or_else(|| doubts::model_target(key, target)));
                if let Some(regex) = key.strip_prefix('~') {
                    if regexes.iter().any(|earlier| matches!(*earlier, "" | ".*" | "^.*$" | ".+")) {
                        problems.warn(Kind::Unreachable { reason: "an earlier regex matches everything" });
                    }
                    regexes.push(regex);
                    if regex.ends_with('*') {
                        problems.differs(differences::REGEX_STAR);
                    }
                }
            });
        }
        if regexes.iter().any(|regex| matches!(*regex, "" | ".*" | "^.*$")) && mapping.has_default() {
            problems
                .at("[\"*\"]", |problems| problems.warn(Kind::Unreachable { reason: "a regex matches everything" }));
        }
        if mapping.has_overlaps() {
            problems.differs(differences::MAPPING_ORDER);
        }
    });
    mapping
}
