//! What Waypost knows about each provider before anything is configured: a table of presets, as data.
//!
//! A preset says where a vendor is (host), what it speaks (one [`Surface`] per dialect, each with base path, version
//! prefix and the suffixes that differ from the canonical ones), and how a credential is presented. Settings are laid
//! over a preset at configure time, never at request time.

mod presets;
pub mod vertex;

pub use crate::operation::{Dialect, Operation};

/// How a credential is put on an upstream request.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Credential {
    /// In a header: the value is the prefix followed by the token.
    Header {
        /// Header name in lower case.
        name: &'static str,
        /// What stands before the token, its space included: `Bearer `.
        prefix: &'static str,
    },
    /// In the query, as `name=token`.
    Query {
        /// Parameter name.
        name: &'static str,
    },
}

impl Credential {
    /// `authorization: Bearer TOKEN`
    pub const BEARER: Self = Self::Header { name: "authorization", prefix: "Bearer " };
    /// `x-api-key: TOKEN`
    pub const X_API_KEY: Self = Self::Header { name: "x-api-key", prefix: "" };
    /// `api-key: TOKEN` (Azure)
    pub const API_KEY: Self = Self::Header { name: "api-key", prefix: "" };
    /// `x-goog-api-key: TOKEN`
    pub const X_GOOG_API_KEY: Self = Self::Header { name: "x-goog-api-key", prefix: "" };
    /// `authorization: TOKEN`, no scheme
    pub const RAW: Self = Self::Header { name: "authorization", prefix: "" };
}

/// Whether the vendor serves anything without a token.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Token {
    /// A configuration without a token is an error.
    Required,
    /// Self-hosted servers, and vendors whose clients may bring their own.
    Optional,
}

/// Where an operation of a surface is, when it is not at base path + version prefix + canonical suffix.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum At {
    /// Another suffix, after base path and version prefix.
    Suffix(&'static str),
    /// A whole path on the host, outside base path and version. A configured base path replaces it by the rule. Where
    /// the query of the operation holds the model, `?name={model}` behind the path says what the parameter is called.
    Path(&'static str),
}

/// One dialect a provider speaks, and where.
#[derive(Clone, Copy, Debug)]
pub struct Surface {
    /// What is spoken.
    pub dialect: Dialect,
    /// Authority where it differs from the preset's; empty otherwise. May hold `{slot}`s.
    pub host: &'static str,
    /// Base path: empty, or begins with a slash and does not end with one. May hold `{slot}`s.
    pub base: &'static str,
    /// Version prefix between base path and suffix: empty, or begins with a slash. May hold `{slot}`s.
    pub version: &'static str,
    /// Where operations are that are elsewhere.
    pub paths: &'static [(Operation, At)],
    /// How the credential is presented here, where it differs from the preset's.
    pub credential: Option<Credential>,
    /// Headers set where the client sent none of that name, as (name in lower case, value).
    pub headers: &'static [(&'static str, &'static str)],
}

impl Surface {
    /// A surface with nothing special; the base for struct update syntax in the table.
    pub const PLAIN: Self = Self {
        dialect: Dialect::OpenAi,
        host: "",
        base: "",
        version: "/v1",
        paths: &[],
        credential: None,
        headers: &[],
    };
}

/// A provider-specific setting whose value fills the `{slot}` of the same preset.
#[derive(Clone, Copy, Debug)]
pub struct Parameter {
    /// The configuration key, as in Higress's ai-proxy where that has one: `awsRegion`.
    pub key: &'static str,
    /// The slot it fills: `region`.
    pub slot: &'static str,
    /// The value without configuration; `None` makes the key required.
    pub default: Option<&'static str>,
}

/// One row of the provider table.
#[derive(Clone, Copy, Debug)]
pub struct Preset {
    /// The value of `type`.
    pub name: &'static str,
    /// Other values of `type` that mean the same.
    pub aliases: &'static [&'static str],
    /// The vendor's or product's name, for people.
    pub title: &'static str,
    /// Default authority, possibly with port; empty where only the operator can know it. May hold `{slot}`s.
    pub host: &'static str,
    /// How the credential is presented, unless a surface says otherwise.
    pub credential: Credential,
    /// How tokens that begin in a certain way are presented, wherever they go: of a vendor that has several forms of
    /// credentials.
    pub token_forms: &'static [(&'static str, Credential)],
    /// Whether a token must be configured.
    pub token: Token,
    /// What is spoken. The first surface also serves paths that are no known operation.
    pub surfaces: &'static [Surface],
    /// Path prefixes of the vendor's own protocol, each beginning with a slash: what begins with one keeps its path,
    /// version included, before any operation is looked for. A prefix matches whole segments; one that ends with a
    /// slash matches only what is below it, so `/` alone means every path.
    pub own_paths: &'static [&'static str],
    /// Settings that fill slots.
    pub parameters: &'static [Parameter],
    /// Whether `stream_options.include_usage` may be added to streamed chat and completions.
    pub include_usage: bool,
    /// Whether messages of the role `developer` are rejected, so that they must become `system`.
    pub rejects_developer_role: bool,
}

impl Preset {
    /// An OpenAI-compatible vendor at `/v1` with a bearer token; the base for struct update syntax in the table.
    pub const OPENAI_LIKE: Self = Self {
        name: "",
        aliases: &[],
        title: "",
        host: "",
        credential: Credential::BEARER,
        token_forms: &[],
        token: Token::Required,
        surfaces: &[Surface::PLAIN],
        own_paths: &[],
        parameters: &[],
        include_usage: true,
        rejects_developer_role: false,
    };

    /// Finds a preset by `type`; names are case-sensitive, as in Higress's ai-proxy.
    #[must_use]
    pub fn find(name: &str) -> Option<&'static Self> {
        Self::all().iter().find(|preset| preset.name == name || preset.aliases.contains(&name))
    }

    /// The whole table, sorted by name.
    #[must_use]
    pub fn all() -> &'static [Self] {
        presets::TABLE
    }

    /// Whether it is a server that its operator runs, wherever that is.
    #[must_use]
    pub fn is_self_hosted(&self) -> bool {
        self.token == Token::Optional && (self.host.is_empty() || self.host.ends_with(".cluster.local"))
    }

    /// The surface that speaks `dialect`.
    #[must_use]
    pub fn surface(&self, dialect: Dialect) -> Option<&'static Surface> {
        self.surfaces.iter().find(|surface| surface.dialect == dialect)
    }
}
