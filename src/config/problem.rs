//! What is wrong, doubtful or different about a configuration, each with its place.

use super::differences::Difference;
use core::fmt;
use std::rc::Rc;

/// How much a problem matters.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord)]
pub enum Severity {
    /// Works, but means something else than in Higress's ai-proxy.
    Difference,
    /// Works; probably not what was meant. An error under `check --strict`.
    Warning,
    /// The rule it stands in answers its requests with 503.
    Error,
}

impl Severity {
    /// The name in `check`'s output.
    #[must_use]
    pub const fn name(self) -> &'static str {
        match self {
            Self::Difference => "difference",
            Self::Warning => "warning",
            Self::Error => "error",
        }
    }
}

/// What is wrong. No variant holds a value that can be a secret.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Kind {
    /// A key nobody knows.
    UnknownKey {
        /// The nearest known key, if one is near.
        meant: Option<&'static str>,
    },
    /// A key that belongs one level deeper, inside `provider`.
    MisplacedKey,
    /// A key that another provider type uses.
    Inapplicable {
        /// The configured type.
        provider_type: &'static str,
        /// The types that use it.
        used_by: &'static [&'static str],
    },
    /// A key of Higress's ai-proxy that is read and has no effect.
    Inert {
        /// Why, and what to do instead.
        reason: &'static str,
    },
    /// A value of the wrong kind.
    WrongKind {
        /// What is expected.
        expected: &'static str,
        /// What stands there.
        found: &'static str,
    },
    /// A value outside a short fixed set. It is not quoted: a token is put into `auth` easily.
    NoChoice {
        /// The set.
        choices: &'static [&'static str],
        /// The nearest of them.
        meant: Option<&'static str>,
    },
    /// A value outside a fixed set.
    UnknownValue {
        /// What stands there.
        found: String,
        /// The nearest allowed value.
        meant: Option<String>,
    },
    /// A value that cannot be used.
    Invalid {
        /// What is wrong with it.
        reason: &'static str,
    },
    /// A slot `{name}` that nothing fills.
    UnknownSlot {
        /// The name in the braces.
        slot: String,
    },
    /// A regular expression that does not compile.
    Regex {
        /// The engine's words.
        reason: String,
    },
    /// A key that must be there.
    Missing {
        /// The key, and why it is needed.
        key: &'static str,
    },
    /// A mapping key that can never be reached.
    Unreachable {
        /// What hides it.
        reason: &'static str,
    },
    /// A rule that no request reaches.
    Shadowed {
        /// The rule before it that matches all its requests: `_rules_[0]`.
        by: Rc<str>,
    },
    /// A pattern that no request can match.
    NeverMatches {
        /// What keeps it from matching.
        reason: &'static str,
    },
    /// `activeProviderId` names no provider.
    NoSuchProvider {
        /// The id that was looked for.
        id: String,
    },
    /// Something that is accepted and probably not meant.
    Doubtful {
        /// What to look at.
        reason: &'static str,
    },
    /// A deliberate difference from Higress's ai-proxy that this configuration touches.
    Different(Difference),
}

/// One finding of [`super::load`].
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Problem {
    /// Where: `_rules_[2].provider.baseUrl`; `$` for the whole document.
    pub path: String,
    /// How much it matters.
    pub severity: Severity,
    /// What it is.
    pub kind: Kind,
}

impl fmt::Display for Problem {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{}: {}", self.path, self.kind)
    }
}

impl fmt::Display for Kind {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::UnknownKey { meant: Some(meant) } => write!(f, "unknown key; did you mean `{meant}`?"),
            Self::UnknownKey { meant: None } => f.write_str("unknown key"),
            Self::MisplacedKey => f.write_str("this key belongs inside `provider`"),
            Self::Inapplicable { provider_type, used_by } => {
                write!(f, "has no effect for type `{provider_type}`; it belongs to `{}`", used_by.join("`, `"))
            }
            Self::Inert { reason } => write!(f, "has no effect: {reason}"),
            Self::WrongKind { expected, found } => write!(f, "expected {expected}, found {found}"),
            Self::NoChoice { choices, meant } => {
                write!(f, "must be one of `{}`", choices.join("`, `"))?;
                meant.map_or(Ok(()), |meant| write!(f, "; did you mean `{meant}`?"))
            }
            Self::UnknownValue { found, meant: Some(meant) } => {
                write!(f, "unknown value `{found}`; did you mean `{meant}`?")
            }
            Self::UnknownValue { found, meant: None } => write!(f, "unknown value `{found}`"),
            Self::Invalid { reason } | Self::Doubtful { reason } => f.write_str(reason),
            Self::UnknownSlot { slot } => write!(f, "nothing fills the slot `{{{slot}}}` here"),
            Self::Regex { reason } => write!(f, "the regular expression does not compile: {reason}"),
            Self::Missing { key } => write!(f, "{key} is missing"),
            Self::Unreachable { reason } => write!(f, "is never reached: {reason}"),
            Self::Shadowed { by } => write!(f, "is never reached: {by} before it matches all its requests"),
            Self::NeverMatches { reason } => write!(f, "never matches: {reason}"),
            Self::NoSuchProvider { id } => write!(f, "no provider has the id `{id}`"),
            Self::Different(difference) => write!(f, "differs from ai-proxy: {}", difference.what()),
        }
    }
}

/// Collects problems; the path grows and shrinks with the walk through the document.
#[derive(Debug, Default)]
pub struct Problems {
    found: Vec<Problem>,
    path: String,
}

impl Problems {
    /// Runs `walk` one step deeper, at `.key`.
    pub fn at<T>(&mut self, key: &str, walk: impl FnOnce(&mut Self) -> T) -> T {
        let length = self.enter(key);
        let result = walk(self);
        self.leave(length);
        result
    }

    /// Goes one step deeper; gives the length to go back to. Never inlined: every setting does this.
    #[inline(never)]
    fn enter(&mut self, key: &str) -> usize {
        let length = self.path.len();
        if !self.path.is_empty() && !key.starts_with('[') {
            self.path.push('.');
        }
        self.path.push_str(key);
        length
    }

    /// Goes back to where the path had this length. Never inlined, as [`Self::enter`].
    #[inline(never)]
    fn leave(&mut self, length: usize) {
        self.path.truncate(length);
    }

    /// Runs `walk` one step deeper, at `[index]`.
    pub fn at_index<T>(&mut self, index: usize, walk: impl FnOnce(&mut Self) -> T) -> T {
        self.at(&format!("[{index}]"), walk)
    }

    /// An error at the current place.
    #[cold]
    #[inline(never)]
    pub fn error(&mut self, kind: Kind) {
        self.push(Severity::Error, kind);
    }

    /// A warning at the current place.
    #[cold]
    #[inline(never)]
    pub fn warn(&mut self, kind: Kind) {
        self.push(Severity::Warning, kind);
    }

    /// A warning at the current place, if there is something odd about it. Only `check` says it: a filter would say it on
    /// every worker, and to nobody who looks.
    #[inline]
    pub fn doubts(&mut self, odd: impl FnOnce() -> Option<&'static str>) {
        if cfg!(not(target_os = "wasi"))
            && let Some(reason) = odd()
        {
            self.warn(Kind::Doubtful { reason });
        }
    }

    /// A difference from the reference, touched at the current place.
    ///
    /// Only `check` names them: a filter would say the same on every worker. So their texts are not part of it.
    #[inline]
    pub fn differs(&mut self, difference: Difference) {
        if cfg!(not(target_os = "wasi")) {
            self.push(Severity::Difference, Kind::Different(difference));
        }
    }

    #[cold]
    #[inline(never)]
    fn push(&mut self, severity: Severity, kind: Kind) {
        let path = if self.path.is_empty() { "$".to_owned() } else { self.path.clone() };
        let problem = Problem { path, severity, kind };
        if !self.found.contains(&problem) {
            self.found.push(problem);
        }
    }

    /// How many problems there are, to ask later for the errors since then.
    #[must_use]
    pub const fn mark(&self) -> usize {
        self.found.len()
    }

    /// The errors found since `mark`.
    pub fn errors_since(&self, mark: usize) -> impl Iterator<Item = &Problem> {
        self.found.iter().skip(mark).filter(|problem| problem.severity == Severity::Error)
    }

    /// Makes warnings of the errors below `key` at the current place: what is wrong there harms no request.
    pub fn soften(&mut self, key: &str) {
        let path = self.path_of(key);
        for problem in self.found.iter_mut().filter(|problem| problem.path.starts_with(&path)) {
            problem.severity = problem.severity.min(Severity::Warning);
        }
    }

    /// Makes errors of the warnings since `mark` about misspelt keys that were meant to be one of these.
    pub fn harden_misspelt(&mut self, mark: usize, keys: &[&str]) {
        for problem in self.found.iter_mut().skip(mark) {
            if matches!(problem.kind, Kind::UnknownKey { meant: Some(meant) } if keys.contains(&meant)) {
                problem.severity = Severity::Error;
            }
        }
    }

    /// The errors found at the current place and below it, whenever.
    pub fn errors_here(&self) -> impl Iterator<Item = &Problem> {
        self.errors_since(0).filter(|problem| {
            problem.path.strip_prefix(&self.path).is_some_and(|rest| rest.is_empty() || rest.starts_with(['.', '[']))
        })
    }

    /// The beginning of the paths below `key` at the current place.
    #[must_use]
    pub fn path_of(&self, key: &str) -> String {
        if self.path.is_empty() { key.to_owned() } else { format!("{}.{key}", self.path) }
    }

    /// Everything found, in the order of the document.
    #[must_use]
    pub fn into_found(self) -> Vec<Problem> {
        self.found
    }
}

/// The candidate nearest to `word`, if it is near enough to be meant.
///
/// Takes its candidates behind a reference, so that there is one copy of it in the wasm.
pub fn nearest<'c>(word: &str, candidates: &mut dyn Iterator<Item = &'c str>) -> Option<&'c str> {
    /// Similarity from 0 to 1 below which a suggestion confuses more than it helps.
    const NEAR_ENOUGH: f64 = 0.75;
    let lower = word.to_ascii_lowercase();
    let mut best = NEAR_ENOUGH;
    let mut meant = None;
    for candidate in candidates {
        let similarity = strsim::jaro_winkler(&lower, &candidate.to_ascii_lowercase());
        if similarity >= best {
            best = similarity;
            meant = Some(candidate);
        }
    }
    meant
}
