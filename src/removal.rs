//! What of a client's request does not go upstream: headers and query parameters that authenticate somebody, that choose
//! who pays, or that name another path, host or method than those the rule decided.
//!
//! A request is looked through once, header by header. Nearly every header of a request is none of these, so the first
//! test is one bit of a table that is computed when the configuration is read, by the last two bytes of a name.

use crate::path::segment::decode;
use std::borrow::Cow;

/// Headers that authenticate to vendors or gateways; they are removed whatever `auth` says. `cookie` is a session at the
/// gateway: no vendor's API takes one. `x-hi-original-auth` is where Higress's ai-proxy keeps the client's own.
const CREDENTIALS: &[&str] = &[
    "authorization",
    "proxy-authorization",
    "x-api-key",
    "api-key",
    "x-goog-api-key",
    "x-authorization",
    "anthropic-api-key",
    "ocp-apim-subscription-key",
    "x-amz-security-token",
    "x-hi-original-auth",
    COOKIE,
];

/// Cookies: removed unless the client is passed through.
pub const COOKIE: &str = "cookie";

/// Headers that authenticate and whose names do not end as [`tails`] has it: a virtual key of Bifrost, and where OpenID
/// Connect plugins of gateways put what they know of the user.
const UNUSUAL_CREDENTIALS: &[&str] = &["x-bf-vk", "x-userinfo"];

/// Headers by which a request chooses the organization, project or workspace that is billed.
const PAYERS: &[&str] = &[
    "anthropic-workspace-id",
    "openai-organization",
    "openai-project",
    "x-dashscope-workspace",
    "x-goog-user-project",
];

/// Headers by which web frameworks take another path, host or method than those of the request itself.
const OVERRIDES: &[&str] = &[
    "x-forwarded-host",
    "x-http-method",
    "x-http-method-override",
    "x-method-override",
    "x-original-url",
    "x-rewrite-url",
];

/// Query parameters that authenticate, beside those whose names end as [`tails`] has it.
const PARAMETERS: &[&str] = &["key", "token"];

/// Headers without which the request is another one or none: its framing, and what an upgrade is negotiated with. They
/// can be neither removed nor set. Envoy's two are written by Waypost itself.
const NEEDED: &[&str] = &[
    "connection",
    "content-encoding",
    "content-length",
    "content-type",
    "expect",
    "host",
    "keep-alive",
    "sec-websocket-extensions",
    "sec-websocket-key",
    "sec-websocket-version",
    "te",
    "trailer",
    "transfer-encoding",
    "upgrade",
    "x-envoy-original-host",
    "x-envoy-original-path",
];

/// Where browsers put what they cannot put into a header of a WebSocket's request.
pub const SUBPROTOCOL: &str = "sec-websocket-protocol";

/// Whether a request cannot do without a header of this name, in lower case.
#[must_use]
pub fn is_needed(name: &[u8]) -> bool {
    name.starts_with(b":") || NEEDED.iter().any(|needed| needed.as_bytes() == name)
}

/// Whether a header of this name, in lower case, authenticates, to whatever vendor or gateway.
#[must_use]
pub fn is_credential(name: &[u8]) -> bool {
    CREDENTIALS.iter().chain(UNUSUAL_CREDENTIALS).any(|known| known.as_bytes() == name) || ends_like_credential(name)
}

/// The last two bytes of all ends that [`tails`] and [`ends_like_credential`] know.
const ENDS: &[&[u8; 2]] = &[b"ey", b"en", b"on", b"wt", b"et", b"rd", b"ad", b"th"];

/// The ends, in whole words, of names that authenticate, by the last two bytes of a name in lower case: nearly all others
/// are told apart by them. Products put their own name in front: `x-litellm-api-key`, `cf-aig-authorization`,
/// `x-forwarded-access-token`.
const fn tails(end: [u8; 2]) -> &'static [&'static str] {
    match &end {
        b"ey" => &["api-key", "apikey", "access-key", "auth-key", "secret-key", "subscription-key", "virtual-key"],
        b"en" => &[
            "access-token",
            "accesstoken",
            "api-token",
            "auth-token",
            "authorization-token",
            "bearer-token",
            "id-token",
            "security-token",
        ],
        b"on" => &["authorization", "jwt-assertion"],
        b"wt" => &["jwt"],
        b"et" => &["secret"],
        b"rd" => &["password"],
        b"ad" => &["jwt-payload"],
        _ => &[],
    }
}

/// Whether the name of a header, in lower case, ends as one that authenticates.
fn ends_like_credential(name: &[u8]) -> bool {
    match name.last_chunk::<2>() {
        // A query has page tokens; a header has none.
        Some(b"en") => ends_with_words(name, "token") || ends_in(name),
        Some(b"th") => ends_with_words(name, "auth"),
        Some(_) => ends_in(name),
        None => false,
    }
}

fn ends_in(name: &[u8]) -> bool {
    let end = name.last_chunk::<2>().map(|end| end.map(|byte| byte.to_ascii_lowercase()));
    end.is_some_and(|end| tails(end).iter().any(|tail| ends_with_words(name, tail)))
}

/// Whether a name is these words or ends with them, whatever stands between its words.
fn ends_with_words(name: &[u8], words: &str) -> bool {
    let Some((before, tail)) = name.len().checked_sub(words.len()).and_then(|at| name.split_at_checked(at)) else {
        return false;
    };
    before.last().is_none_or(|byte| is_separator(*byte))
        && tail
            .iter()
            .zip(words.bytes())
            .all(|(byte, word)| byte.to_ascii_lowercase() == word || (word == b'-' && is_separator(*byte)))
}

/// Whether a byte stands between the words of a name. Frameworks take several of them for the same.
const fn is_separator(byte: u8) -> bool {
    matches!(byte, b'-' | b'_' | b'.' | b' ')
}

/// A name, or all names that begin so.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Pattern {
    /// `name`, in lower case.
    Exact(String),
    /// `prefix*`, in lower case.
    Prefix(String),
}

impl Pattern {
    /// Reads `name` or `prefix*`; `None` where it can be no header.
    #[must_use]
    pub fn parse(text: &str) -> Option<Self> {
        let text = text.trim().to_ascii_lowercase();
        match text.strip_suffix('*') {
            Some(prefix) => (prefix.is_empty() || is_token(prefix)).then(|| Self::Prefix(prefix.to_owned())),
            None => is_token(&text).then_some(Self::Exact(text)),
        }
    }

    fn matches(&self, name: &[u8]) -> bool {
        match self {
            Self::Exact(exact) => exact.as_bytes() == name,
            Self::Prefix(prefix) => name.starts_with(prefix.as_bytes()),
        }
    }
}

/// Whether a text can be the name of a header: a token of RFC 9110.
#[must_use]
pub fn is_token(text: &str) -> bool {
    let symbol = |byte| {
        matches!(
            byte,
            b'!' | b'#' | b'$' | b'%' | b'&' | b'\'' | b'*' | b'+' | b'-' | b'.' | b'^' | b'_' | b'`' | b'|' | b'~'
        )
    };
    !text.is_empty() && text.bytes().all(|byte| byte.is_ascii_alphanumeric() || symbol(byte))
}

/// What decides about the removal of one provider.
#[derive(Clone, Debug, Default)]
pub struct Rules {
    /// Whether an operator's credential is put on: then whatever looks like a client's is removed, and what chooses who
    /// pays. Otherwise only the usual names are, because the client's own is looked for among them.
    pub injects: bool,
    /// Whether cookies stay.
    pub keeps_cookies: bool,
    /// Headers that are removed beside the built-in ones.
    pub headers: Vec<Pattern>,
    /// Headers of the operator's gateway that authenticate, in lower case; the vendor's own place among them.
    pub credentials: Vec<String>,
    /// Headers that stay whatever else says.
    pub kept: Vec<Pattern>,
    /// Query parameters that are removed beside the built-in ones.
    pub parameters: Vec<String>,
}

/// The removal of one provider, compiled.
#[derive(Clone, Debug, Default)]
pub struct Removal {
    /// A bit for the [`end`] of every name that may be removed.
    ends: [u64; BUCKETS / 64],
    /// A bit for each [`bucket`] that a name of `names` falls into.
    buckets: [u64; BUCKETS / 64],
    /// Whole names.
    names: Vec<Cow<'static, str>>,
    rules: Rules,
}

/// How many buckets names fall into.
const BUCKETS: usize = 256;

/// The word and the bit of a name in the table.
fn bucket(name: &[u8]) -> (usize, u32) {
    let [first, last] = [name.first(), name.last()].map(|byte| byte.copied().map_or(0, usize::from));
    let bucket = name.len().wrapping_mul(29).wrapping_add(first.wrapping_mul(7)).wrapping_add(last) % BUCKETS;
    (bucket >> 6, u32::try_from(bucket & 63).unwrap_or_default())
}

/// The word and the bit of a name's last two bytes in the table.
fn end(name: &[u8]) -> (usize, u32) {
    let [before, last] = name.last_chunk().copied().unwrap_or_default();
    let bucket: u8 = before.wrapping_mul(29).wrapping_add(last);
    (usize::from(bucket >> 6), u32::from(bucket & 63))
}

fn mark(table: &mut [u64; BUCKETS / 64], (word, bit): (usize, u32)) {
    if let Some(word) = table.get_mut(word) {
        *word |= 1_u64.wrapping_shl(bit);
    }
}

fn is_marked(table: &[u64; BUCKETS / 64], (word, bit): (usize, u32)) -> bool {
    table.get(word).is_some_and(|word| word.wrapping_shr(bit) & 1 == 1)
}

impl Removal {
    /// Compiles the removal.
    #[must_use]
    pub fn new(rules: Rules) -> Self {
        let lists: &[&[&'static str]] = if rules.injects {
            &[CREDENTIALS, OVERRIDES, UNUSUAL_CREDENTIALS, PAYERS]
        } else {
            &[CREDENTIALS, OVERRIDES]
        };
        let built_in = lists.iter().copied().flatten().map(|name| Cow::Borrowed(*name));
        let cookies = rules.keeps_cookies;
        let exact = rules.headers.iter().filter_map(|pattern| match pattern {
            Pattern::Exact(name) => Some(name),
            Pattern::Prefix(_) => None,
        });
        let own = exact.chain(&rules.credentials).map(|name| Cow::Owned(name.clone()));
        let mut removal = Self::default();
        for name in built_in.filter(|name| !(cookies && name == COOKIE)).chain(own) {
            if rules.kept.iter().any(|kept| kept.matches(name.as_bytes())) || removal.names.contains(&name) {
                continue;
            }
            mark(&mut removal.buckets, bucket(name.as_bytes()));
            mark(&mut removal.ends, end(name.as_bytes()));
            removal.names.push(name);
        }
        if rules.injects {
            ENDS.iter().for_each(|known| mark(&mut removal.ends, end(*known)));
        }
        if rules.headers.iter().any(|pattern| matches!(pattern, Pattern::Prefix(_))) {
            removal.ends = [u64::MAX; BUCKETS / 64];
        }
        removal.rules = rules;
        removal.rules.headers.retain(|pattern| matches!(pattern, Pattern::Prefix(_)));
        removal
    }

    /// Whether a header may be one that is removed. Costs next to nothing, and says no for nearly all.
    #[must_use]
    #[inline]
    pub fn may_remove(&self, name: &[u8]) -> bool {
        is_marked(&self.ends, end(name))
    }

    /// The name of a header, in lower case, if that header is removed.
    #[must_use]
    pub fn header(&self, name: &[u8]) -> Option<Cow<'static, str>> {
        if !self.may_remove(name) {
            return None;
        }
        if is_marked(&self.buckets, bucket(name))
            && let Some(known) = self.names.iter().find(|known| known.as_bytes() == name)
        {
            return Some(known.clone());
        }
        let by_form = self.rules.injects && ends_like_credential(name);
        if (by_form || self.rules.headers.iter().any(|prefix| prefix.matches(name)))
            && !self.keeps(name)
            && !is_needed(name)
        {
            return core::str::from_utf8(name).ok().map(|name| Cow::Owned(name.to_owned()));
        }
        None
    }

    /// Whether a header is to stay.
    #[must_use]
    pub fn keeps(&self, name: &[u8]) -> bool {
        self.rules.kept.iter().any(|kept| kept.matches(name))
    }

    /// Whether the header of this name, in lower case, is removed if it names the consumer.
    #[must_use]
    pub fn hides_consumer(&self, name: &[u8]) -> bool {
        !self.keeps(name) && !is_needed(name)
    }

    /// Whether tokens are taken out of what a WebSocket's request calls its protocols.
    #[must_use]
    pub fn reads_subprotocols(&self) -> bool {
        self.rules.injects && !self.keeps(SUBPROTOCOL.as_bytes())
    }

    /// Whether a header of this name, in lower case, authenticates, to whatever vendor or gateway.
    #[must_use]
    pub fn is_credential(&self, name: &[u8]) -> bool {
        is_credential(name) || self.rules.credentials.iter().any(|own| own.as_bytes() == name)
    }

    /// Whether this provider has query parameters of its own that are removed, so that a credential may stand there.
    #[must_use]
    pub const fn names_parameters(&self) -> bool {
        !self.rules.parameters.is_empty()
    }

    /// Whether a query parameter of this name, decoded, is removed.
    #[must_use]
    pub fn parameter(&self, name: &[u8]) -> bool {
        // Some frameworks do not see white space in front of a name.
        let name = name.trim_ascii();
        let is = |known: &str| known.as_bytes().eq_ignore_ascii_case(name);
        self.rules.parameters.iter().any(|known| is(known))
            || (self.rules.injects && (PARAMETERS.iter().any(|known| is(known)) || ends_in(name)))
    }
}

/// The protocols of a WebSocket's request without those that are a token in disguise, as browsers have to send one:
/// `openai-insecure-api-key.TOKEN`, `base64url.bearer.authorization.k8s.io.TOKEN`, `bearer, TOKEN`. `None` where all may
/// stay; empty where none may.
#[must_use]
pub fn subprotocols(list: &str) -> Option<String> {
    let mut kept = Vec::new();
    let mut announced = false;
    let mut removed = false;
    for protocol in list.split(',').map(str::trim).filter(|protocol| !protocol.is_empty()) {
        let announces = is_credential_word(protocol);
        if announces || announced || !is_protocol(protocol) {
            removed = true;
        } else {
            kept.push(protocol);
        }
        announced = announces;
    }
    removed.then(|| kept.join(", "))
}

/// The longest word of a protocol's name, in bytes; what is longer is a token. The longest of those that are registered
/// and of those that vendors of AI have is `unsupported` (`actioncable-unsupported`).
const MAX_WORD: usize = 15;

/// Whether a text is the name of a protocol and no token: lower-case words, none of them long, none that announces a
/// credential or chooses who pays.
fn is_protocol(text: &str) -> bool {
    // Decoded, because a name that holds something else is sent encoded.
    let decoded = decode(text).unwrap_or(Cow::Borrowed(text.as_bytes()));
    let mut words = decoded.split(|byte| !byte.is_ascii_alphanumeric());
    let plain = |word: &[u8]| word.len() <= MAX_WORD && !word.iter().any(u8::is_ascii_uppercase);
    let telling = |word: &[u8]| {
        ["apikey", "auth", "authorization", "bearer", "jwt", "key", "organization", "project", "secret", "sk", "token"]
            .iter()
            .any(|telling| telling.as_bytes() == word)
    };
    words.all(|word| plain(word) && !telling(word))
}

/// Whether a protocol's name says that the next one is a credential.
fn is_credential_word(text: &str) -> bool {
    let name = text.as_bytes();
    [b"basic".as_slice(), b"bearer", b"key", b"token"].iter().any(|word| word.eq_ignore_ascii_case(name))
        || ends_in(name)
}

#[cfg(test)]
mod tests;
