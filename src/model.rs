//! Model mapping: the requested name to the upstream's.
//!
//! The order is fixed: an exact key, then the longest `prefix*`, then `~regex` keys as they stand, then `*`. The first
//! key that matches decides; nothing is mapped twice.

use core::fmt;
use regex_lite::{Captures, Regex, RegexBuilder};
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

/// The smallest size that is told apart when a regex is weighed, in bytes of its automaton.
const SMALL_REGEX: usize = 1024;

/// What replacing the matches of a regex in one name may take: bytes of the automaton, times bytes of the name, times
/// matches.
///
/// Each search for the next match may look at every state for every byte up to the end of the name. A small regex may
/// match as often as the longest name has bytes; the largest one still eight times in a name of 60 bytes. Only a
/// counted repetition of something optional needs a bound: `(a.{0,30}){4}b|a` on 256 times `a` took 116 ms in V8.
const MAX_REPLACING: usize = SMALL_REGEX.saturating_mul(MAX_NAME).saturating_mul(MAX_NAME.saturating_add(1));

/// A model name with more than [`MAX_NAME`] bytes, or one that would be mapped to such a name, or one in which a large
/// regex matches so often that replacing its matches would keep the worker from others.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct TooLong;

/// The compiled `modelMapping` of one provider, with `modelStripPrefix` and `modelAddPrefix` around it.
#[derive(Clone, Debug, Default)]
pub struct ModelMapping {
    exact: Vec<(String, String)>,
    /// Longest prefix first.
    prefixes: Vec<(String, String)>,
    regexes: Vec<Pattern>,
    default: Option<String>,
    strip: String,
    add: String,
}

/// One `~regex` key.
#[derive(Clone, Debug)]
struct Pattern {
    regex: Regex,
    /// At least as many bytes as its automaton has: [`SMALL_REGEX`], doubled until it fits.
    size: usize,
    target: String,
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
            self.regexes.push(Pattern::new(regex, target)?);
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
        let (mapped, rule) = self.lookup(name)?;
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

    fn lookup<'m>(&'m self, name: &'m str) -> Result<(Cow<'m, str>, Option<Rule<'m>>), TooLong> {
        // An empty target keeps the name and ends the search.
        let target = |target: &'m str| Cow::Borrowed(if target.is_empty() { name } else { target });
        if let Some((key, to)) = self.exact.iter().find(|(key, _)| key == name) {
            return Ok((target(to), Some(Rule::Exact(key))));
        }
        if let Some((prefix, to)) = self.prefixes.iter().find(|(prefix, _)| name.starts_with(prefix.as_str())) {
            return Ok((target(to), Some(Rule::Prefix(prefix))));
        }
        if let Some(pattern) = self.regexes.iter().find(|pattern| pattern.regex.is_match(name)) {
            let replaced = pattern.replace(name)?;
            let mapped = if replaced.is_empty() { Cow::Borrowed(name) } else { replaced };
            return Ok((mapped, Some(Rule::Regex(pattern.regex.as_str()))));
        }
        Ok(match &self.default {
            Some(to) => (target(to), Some(Rule::Default)),
            None => (Cow::Borrowed(name), None),
        })
    }
}

impl Pattern {
    fn new(regex: &str, target: &str) -> Result<Self, MappingError> {
        let mut size = SMALL_REGEX;
        loop {
            match RegexBuilder::new(regex).size_limit(size).build() {
                Ok(regex) => return Ok(Self { regex, size, target: target.to_owned() }),
                // The reason may be another than its size; then the last attempt says so as well.
                Err(_) if size < MAX_REGEX => size = size.saturating_mul(2),
                Err(error) => return Err(MappingError::Regex(error.to_string())),
            }
        }
    }

    /// The name with every match replaced, unless there are more of them than [`MAX_REPLACING`] allows.
    fn replace<'n>(&self, name: &'n str) -> Result<Cow<'n, str>, TooLong> {
        let search = self.size.saturating_mul(name.len());
        let most = MAX_REPLACING.checked_div(search).unwrap_or(usize::MAX);
        // An empty match may stand before each byte and at the end.
        if most > name.len() {
            return Ok(self.regex.replace_all(name, self.target.as_str()));
        }
        let mut matches = 0_usize;
        let replaced = self.regex.replacen(name, most.saturating_add(1), |captures: &Captures<'_>| {
            matches = matches.saturating_add(1);
            let mut to = String::new();
            captures.expand(&self.target, &mut to);
            to
        });
        if matches > most { Err(TooLong) } else { Ok(replaced) }
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

    /// audit C2: what replacing takes is bounded by the size of the regex too, and no real name comes near the bound.
    #[test]
    fn a_large_regex_may_not_match_as_often_as_a_small_one() {
        let large = "~(a.{0,30}){4}b|a";
        let mapping = mapping(&[(large, "x")]);
        assert_eq!(mapping.map(&"a".repeat(MAX_NAME)), Err(TooLong));
        assert_eq!(mapping.map("gpt-4o-mini-a-la-carte").unwrap().name, "gpt-4o-mini-x-lx-cxrte");
        let sizes = [large, "~gpt-4(.*-turbo)?", "~m"].map(|key| Pattern::new(&key[1..], "").unwrap().size);
        assert!(sizes[0] > sizes[1] && sizes[1] >= sizes[2] && sizes[2] == SMALL_REGEX, "{sizes:?}");
        for (key, target, piece) in [("~(gpt)-4(.*-turbo)?", "$1", "gpt-4"), ("~-", ".", "a-"), ("~", "", "m")] {
            let pattern = Pattern::new(&key[1..], target).unwrap();
            for length in [1, 60, 128] {
                let name: String = piece.chars().cycle().take(length).collect();
                assert_eq!(pattern.replace(&name).unwrap(), pattern.regex.replace_all(&name, target), "{key} {length}");
            }
        }
        let many: Vec<String> = (0..200).map(|n| format!("gpt-4o-mini-2024-{n:02}")).collect();
        let pattern = Pattern::new(&many.join("|"), "x").unwrap();
        let name = many[..3].join(",");
        assert_eq!(pattern.replace(&name).unwrap(), "x,x,x");
        assert_eq!(pattern.replace(&many[..14].join(",")), Err(TooLong));
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
