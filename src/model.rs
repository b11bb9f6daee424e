//! Model mapping: the requested name to the upstream's.
//!
//! The order is fixed: an exact key, then the longest `prefix*`, then `~regex` keys as they stand, then `*`. The first
//! key that matches decides; nothing is mapped twice.

use core::fmt;
use regex_lite::{Regex, RegexBuilder};
use std::borrow::Cow;

/// The longest model name that is mapped, and the longest that a name may be mapped to, in bytes.
///
/// The longest names of vendors are the ARNs of Bedrock's inference profiles, which have about 120. The bound keeps a
/// request from costing more than its size: replacing every match of a regex takes up to the square of the length
/// (`~gpt-4(.*-turbo)?` on a name of 60 KB took half a minute), and a replacement makes a name longer.
pub const MAX_NAME: usize = 256;

/// The largest compiled regex, in bytes of its automaton. Each character of a name may cost a step for every state, and
/// a counted repetition makes many of them: `(.{0,1000}){20}`. An alternation of 200 names of models fits.
pub const MAX_REGEX: usize = 128 * 1024;

/// A model name with more than [`MAX_NAME`] bytes, or one that would be mapped to such a name.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct TooLong;

/// The compiled `modelMapping` of one provider, with `modelStripPrefix` and `modelAddPrefix` around it.
#[derive(Clone, Debug, Default)]
pub struct ModelMapping {
    exact: Vec<(String, String)>,
    /// Longest prefix first.
    prefixes: Vec<(String, String)>,
    regexes: Vec<(Regex, String)>,
    default: Option<String>,
    strip: String,
    add: String,
}

/// What a model name became.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Mapped<'m> {
    /// The name that goes upstream.
    pub name: Cow<'m, str>,
    /// The key that decided, as configured; `None` where no key matched.
    pub rule: Option<Rule<'m>>,
}

/// The key of a mapping that decided.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Rule<'m> {
    /// The name itself.
    Exact(&'m str),
    /// `prefix*`, without the star.
    Prefix(&'m str),
    /// `~regex`, without the tilde.
    Regex(&'m str),
    /// `*`
    Default,
}

impl fmt::Display for Rule<'_> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::Exact(key) => f.write_str(key),
            Self::Prefix(prefix) => write!(f, "{prefix}*"),
            Self::Regex(regex) => write!(f, "~{regex}"),
            Self::Default => f.write_str("*"),
        }
    }
}

/// What is wrong with a key of a mapping.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum MappingError {
    /// The regular expression does not compile.
    Regex(String),
    /// The key is empty.
    EmptyKey,
    /// The target, with the prefix that is added to it, has more than [`MAX_NAME`] bytes.
    LongTarget,
}

impl ModelMapping {
    /// A mapping that only strips and adds prefixes; [`ModelMapping::add`] puts keys into it.
    #[must_use]
    pub fn new(strip: &str, add: &str) -> Self {
        Self { strip: strip.to_owned(), add: add.to_owned(), ..Self::default() }
    }

    /// Adds one key of the configuration, in document order.
    ///
    /// # Errors
    /// See [`MappingError`].
    pub fn add(&mut self, key: &str, target: &str) -> Result<(), MappingError> {
        if target.len().saturating_add(self.add.len()) > MAX_NAME {
            return Err(MappingError::LongTarget);
        }
        if key == "*" {
            self.default = Some(target.to_owned());
        } else if let Some(regex) = key.strip_prefix('~') {
            let compiled = RegexBuilder::new(regex).size_limit(MAX_REGEX).build();
            let regex = compiled.map_err(|error| MappingError::Regex(error.to_string()))?;
            self.regexes.push((regex, target.to_owned()));
        } else if let Some(prefix) = key.strip_suffix('*') {
            let longer = self.prefixes.partition_point(|(other, _)| other.len() >= prefix.len());
            self.prefixes.insert(longer, (prefix.to_owned(), target.to_owned()));
        } else if key.is_empty() {
            return Err(MappingError::EmptyKey);
        } else {
            self.exact.push((key.to_owned(), target.to_owned()));
        }
        Ok(())
    }

    /// Whether no name can change.
    #[must_use]
    pub fn is_identity(&self) -> bool {
        self.exact.is_empty()
            && self.prefixes.is_empty()
            && self.regexes.is_empty()
            && self.default.is_none()
            && self.strip.is_empty()
            && self.add.is_empty()
    }

    /// Whether two prefix or regex keys may match the same name, so that their order matters.
    #[must_use]
    pub fn has_overlaps(&self) -> bool {
        let nested = |(short, _): &(String, String)| {
            self.prefixes.iter().filter(|(long, _)| long.starts_with(short.as_str())).count() > 1
        };
        self.regexes.len() > 1
            || (!self.regexes.is_empty() && !self.prefixes.is_empty())
            || self.prefixes.iter().any(nested)
    }

    /// Whether `*` is a key.
    #[must_use]
    pub const fn has_default(&self) -> bool {
        self.default.is_some()
    }

    /// The model for a request that names none, if `*` is mapped to one.
    #[must_use]
    pub fn default_model(&self) -> Option<&str> {
        self.default.as_deref().filter(|target| !target.is_empty())
    }

    /// Maps one name. Where nothing is configured, a name of any length stays what it is.
    ///
    /// # Errors
    /// The name, or what it would become, has more than [`MAX_NAME`] bytes.
    pub fn map<'m>(&'m self, requested: &'m str) -> Result<Mapped<'m>, TooLong> {
        if self.is_identity() {
            return Ok(Mapped { name: Cow::Borrowed(requested), rule: None });
        }
        if requested.len() > MAX_NAME {
            return Err(TooLong);
        }
        let name = requested.strip_prefix(self.strip.as_str()).filter(|name| !name.is_empty()).unwrap_or(requested);
        let (mapped, rule) = self.lookup(name);
        let name = if self.add.is_empty() || mapped.starts_with(&self.add) {
            mapped
        } else {
            Cow::Owned(format!("{}{mapped}", self.add))
        };
        if name.len() > MAX_NAME { Err(TooLong) } else { Ok(Mapped { name, rule }) }
    }

    /// Whether the name that one was mapped to stands in the configuration, as a key or as a target.
    #[must_use]
    pub fn names(&self, mapped: &Mapped<'_>) -> bool {
        let name = mapped.name.strip_prefix(self.add.as_str()).unwrap_or(&mapped.name);
        let targets = self.exact.iter().chain(&self.prefixes).map(|(_, target)| target).chain(&self.default);
        matches!(mapped.rule, Some(Rule::Exact(_)))
            || targets.into_iter().any(|target| target == name || *target == mapped.name)
    }

    fn lookup<'m>(&'m self, name: &'m str) -> (Cow<'m, str>, Option<Rule<'m>>) {
        // An empty target keeps the name and ends the search.
        let target = |target: &'m str| Cow::Borrowed(if target.is_empty() { name } else { target });
        if let Some((key, to)) = self.exact.iter().find(|(key, _)| key == name) {
            return (target(to), Some(Rule::Exact(key)));
        }
        if let Some((prefix, to)) = self.prefixes.iter().find(|(prefix, _)| name.starts_with(prefix.as_str())) {
            return (target(to), Some(Rule::Prefix(prefix)));
        }
        if let Some((regex, to)) = self.regexes.iter().find(|(regex, _)| regex.is_match(name)) {
            let replaced = regex.replace_all(name, to.as_str());
            let mapped = if replaced.is_empty() { Cow::Borrowed(name) } else { replaced };
            return (mapped, Some(Rule::Regex(regex.as_str())));
        }
        match &self.default {
            Some(to) => (target(to), Some(Rule::Default)),
            None => (Cow::Borrowed(name), None),
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    #[cfg(target_family = "wasm")]
    use wasm_bindgen_test::wasm_bindgen_test as test;

    fn mapping(keys: &[(&str, &str)]) -> ModelMapping {
        let mut mapping = ModelMapping::default();
        for (key, target) in keys {
            mapping.add(key, target).unwrap();
        }
        mapping
    }

    fn mapped(keys: &[(&str, &str)], name: &str) -> String {
        mapping(keys).map(name).unwrap().name.into_owned()
    }

    #[test]
    fn exact_beats_the_longest_prefix_beats_regex_beats_star() {
        let keys = [("*", "d"), ("~gpt", "r"), ("gpt-*", "p"), ("gpt-4*", "pp"), ("gpt-4o", "e")];
        for (name, expected, rule) in [
            ("gpt-4o", "e", "gpt-4o"),
            ("gpt-4o-mini", "pp", "gpt-4*"),
            ("gpt-3.5", "p", "gpt-*"),
            ("my-gpt", "my-r", "~gpt"),
            ("claude", "d", "*"),
        ] {
            let mapping = mapping(&keys);
            let mapped = mapping.map(name).unwrap();
            assert_eq!((mapped.name.as_ref(), mapped.rule.unwrap().to_string().as_str()), (expected, rule), "{name}");
        }
    }

    #[test]
    fn an_empty_target_keeps_the_name_and_ends_the_search() {
        assert_eq!(mapped(&[("gpt-4", ""), ("*", "w")], "gpt-4"), "gpt-4");
        assert_eq!(mapped(&[("*", "")], "gpt-4"), "gpt-4");
    }

    #[test]
    fn regex_replaces_every_match_and_keeps_the_rest() {
        assert_eq!(mapped(&[("~gpt", "qwen")], "gpt-4-gpt"), "qwen-4-qwen");
        assert_eq!(mapped(&[("~gpt(.*)", "openai/gpt$1")], "my-gpt-4"), "my-openai/gpt-4");
        assert_eq!(mapped(&[("~(?P<v>[0-9]+)", "<${v}>")], "a1b22"), "a<1>b<22>");
        assert_eq!(mapped(&[("~-preview", "")], "gpt-4-preview"), "gpt-4");
        assert_eq!(mapped(&[("~.*", "")], "gpt-4"), "gpt-4");
        // Not `gpt-.`: the star belongs to the regex.
        assert_eq!(mapped(&[("~gpt-.*", "qwen-max")], "gpt-4o"), "qwen-max");
    }

    #[test]
    fn strips_and_adds_vendor_prefixes_around_the_mapping() {
        let mut mapping = ModelMapping::new("qwen/", "openai/");
        mapping.add("max", "qwen-max").unwrap();
        for (name, expected) in [("qwen/max", "openai/qwen-max"), ("qwen/", "openai/qwen/"), ("openai/x", "openai/x")] {
            assert_eq!(mapping.map(name).unwrap().name, expected);
        }
    }

    #[test]
    fn a_bad_key_is_an_error_of_the_configuration() {
        let mut mapping = ModelMapping::default();
        assert!(matches!(mapping.add("~(", "x"), Err(MappingError::Regex(_))));
        assert_eq!(mapping.add("", "x"), Err(MappingError::EmptyKey));
        assert_eq!(mapping.add("x", &"y".repeat(MAX_NAME + 1)), Err(MappingError::LongTarget));
        assert!(matches!(mapping.add("~(.{0,1000}){20}", "x"), Err(MappingError::Regex(_))));
        let many: Vec<String> = (0..200).map(|n| format!("gpt-4o-mini-2024-{n:02}")).collect();
        assert_eq!(mapping.add(&format!("~^({})$", many.join("|")), "x"), Ok(()));
    }

    /// audit C2: every kind of key has the same bounds, for what comes in and for what goes out.
    #[test]
    fn a_long_name_is_neither_mapped_nor_made() {
        let name = |length: usize| "m".repeat(length);
        for key in ["~m", "~x", "m*", "x*", "x", "*"] {
            let mapping = mapping(&[(key, "n")]);
            assert!(mapping.map(&name(MAX_NAME)).is_ok(), "{key}");
            assert_eq!(mapping.map(&name(MAX_NAME + 1)), Err(TooLong), "{key}");
        }
        for (key, target) in [("~m", "mm"), ("~m*", "$0$0"), ("~x*", "y"), ("~", "y")] {
            assert_eq!(mapping(&[(key, target)]).map(&name(MAX_NAME)), Err(TooLong), "{key} {target}");
        }
        let adds = ModelMapping::new("", "vendor/");
        assert!(adds.map(&name(MAX_NAME - 7)).is_ok());
        assert_eq!(adds.map(&name(MAX_NAME - 6)), Err(TooLong));
        // Where nothing is mapped nothing is refused.
        assert_eq!(ModelMapping::default().map(&name(100_000)).unwrap().name.len(), 100_000);
    }
}
