//! Parameter rules: members of a request body that an operator sets, defaults, renames, removes or clamps.
//!
//! Rules for one top-level key are applied in their order; what they make of the member is spliced in. A rule can be
//! limited to models; then the whole body has to be seen before its first member can be decided about, because `model`
//! may stand last.

mod decimal;

pub use decimal::Decimal;

use crate::json::{self, Edit, Keys, Members, literal, merge_member, splices};

/// One rule.
#[derive(Clone, Debug, PartialEq)]
pub struct Param {
    /// The top-level key.
    pub key: String,
    /// Keys below it, outermost first.
    pub below: Vec<String>,
    /// What is done.
    pub op: Op,
    /// Upstream models it is limited to; empty means all.
    pub models: Vec<ModelPattern>,
}

/// What a rule does. Values are complete JSON values as text.
#[derive(Clone, Debug, PartialEq)]
pub enum Op {
    /// The value is this one.
    Set(String),
    /// The value is this one where there is none; `null` is none.
    Default(String),
    /// The member gets another key. Where a member of that key comes first, this one is dropped.
    Rename(String),
    /// The member goes.
    Remove,
    /// A number is brought into these bounds, which are kept as they were written. With an upper bound, what is there
    /// and is no number becomes that bound, because some servers read a number in it; `null` is not there.
    Clamp {
        /// Lower bound.
        min: Option<Bound>,
        /// Upper bound.
        max: Option<Bound>,
    },
}

/// A bound of a number.
#[derive(Clone, Debug, PartialEq)]
pub struct Bound {
    /// Its value.
    pub value: Decimal,
    /// Its spelling.
    pub text: String,
}

impl Bound {
    /// Reads a JSON number.
    #[must_use]
    pub fn parse(text: &str) -> Option<Self> {
        Some(Self { value: Decimal::parse(text)?, text: text.to_owned() })
    }
}

/// A model name, or a prefix of one when written with a star at its end.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum ModelPattern {
    /// The name itself.
    Exact(String),
    /// What the name begins with.
    Prefix(String),
}

impl ModelPattern {
    /// Reads `gpt-4o` or `gpt-4*`.
    #[must_use]
    pub fn parse(text: &str) -> Self {
        text.strip_suffix('*').map_or_else(|| Self::Exact(text.to_owned()), |prefix| Self::Prefix(prefix.to_owned()))
    }

    fn matches(&self, model: &str) -> bool {
        match self {
            Self::Exact(name) => name == model,
            Self::Prefix(prefix) => model.starts_with(prefix.as_str()),
        }
    }
}

/// What the rules make of one member.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Outcome {
    /// The new value; `None` where there is no member (any more).
    pub value: Option<String>,
    /// The new key.
    pub renamed: Option<String>,
}

impl Param {
    /// Whether the rule is for this upstream model. Without a known model only rules for all models apply.
    #[must_use]
    pub fn applies(&self, model: Option<&str>) -> bool {
        self.models.is_empty() || model.is_some_and(|model| self.models.iter().any(|pattern| pattern.matches(model)))
    }

    fn apply(&self, outcome: &mut Outcome) {
        let Outcome { value, renamed } = outcome;
        match &self.op {
            Op::Set(new) => *value = Some(set_below(value.as_deref(), &self.below, new)),
            Op::Default(new) if self.below.is_empty() && is_absent(value.as_deref()) => *value = Some(new.clone()),
            Op::Default(new)
                if !self.below.is_empty() && is_absent(below(value.as_deref(), &self.below).as_deref()) =>
            {
                *value = Some(set_below(value.as_deref(), &self.below, new));
            }
            Op::Default(_) => {}
            Op::Rename(to) if value.is_some() => *renamed = Some(to.clone()),
            Op::Rename(_) => {}
            Op::Remove => *value = None,
            Op::Clamp { min, max } => {
                let Some(raw) = value.as_deref().filter(|raw| !is_absent(Some(raw))) else { return };
                let Some(number) = Decimal::parse(raw) else {
                    if let Some(max) = max {
                        *value = Some(max.text.clone());
                    }
                    return;
                };
                if let Some(max) = max.as_ref().filter(|max| number > max.value) {
                    *value = Some(max.text.clone());
                } else if let Some(min) = min.as_ref().filter(|min| number < min.value) {
                    *value = Some(min.text.clone());
                }
            }
        }
    }
}

/// Whether there is no value: no member, or `null`, which APIs take for none.
fn is_absent(raw: Option<&str>) -> bool {
    raw.is_none_or(|raw| raw == "null")
}

/// What the rules for `key` make of its member, or of its absence.
#[must_use]
pub fn apply(params: &[Param], key: &str, raw: Option<&str>, model: Option<&str>) -> Outcome {
    let mut outcome = Outcome { value: raw.map(str::to_owned), renamed: None };
    for param in params.iter().filter(|param| param.key == key && param.applies(model)) {
        param.apply(&mut outcome);
    }
    outcome
}

/// Sets a value below an object; what is in the way and no object is replaced by one.
fn set_below(raw: Option<&str>, below: &[String], new: &str) -> String {
    let Some((first, rest)) = below.split_first() else { return new.to_owned() };
    let object = raw.filter(|raw| raw.starts_with('{')).unwrap_or("{}");
    let inner = set_below(self::below(Some(object), core::slice::from_ref(first)).as_deref(), rest, new);
    merge_member(object, first, &inner).unwrap_or_else(|| format!("{{{}:{inner}}}", literal(first)))
}

/// The raw value below an object.
fn below(raw: Option<&str>, path: &[String]) -> Option<String> {
    let mut value = raw?.to_owned();
    for key in path {
        value = member(&value, key)?;
    }
    Some(value)
}

/// The raw value of one member of a small object.
fn member(object: &str, key: &str) -> Option<String> {
    let mut find = Find(None);
    splices(Keys::new([key]).ok()?, object.as_bytes(), &mut find).ok()?;
    find.0
}

struct Find(Option<String>);

impl Members for Find {
    type Error = json::Error;

    fn member(&mut self, _: usize, raw: &str) -> Result<Edit, json::Error> {
        self.0 = Some(raw.to_owned());
        Ok(Edit::Keep)
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    #[cfg(target_family = "wasm")]
    use wasm_bindgen_test::wasm_bindgen_test as test;

    fn param(key: &str, op: Op) -> Param {
        let mut keys = key.split('.').map(str::to_owned);
        Param { key: keys.next().unwrap(), below: keys.collect(), op, models: Vec::new() }
    }

    fn bound(text: &str) -> Option<Bound> {
        Bound::parse(text)
    }

    fn value(params: &[Param], key: &str, raw: Option<&str>) -> Option<String> {
        apply(params, key, raw, None).value
    }

    #[test]
    fn rules_for_one_key_apply_in_order() {
        let rules = [
            param("max_tokens", Op::Default("9000".into())),
            param("max_tokens", Op::Clamp { min: bound("1"), max: bound("4096") }),
            param("max_tokens", Op::Rename("max_completion_tokens".into())),
        ];
        let absent = apply(&rules, "max_tokens", None, None);
        assert_eq!((absent.value.as_deref(), absent.renamed.as_deref()), (Some("4096"), Some("max_completion_tokens")));
        assert_eq!(value(&rules, "max_tokens", Some("1e2")).as_deref(), Some("1e2"));
        assert_eq!(value(&rules, "max_tokens", Some("0.5")).as_deref(), Some("1"));
        assert_eq!(value(&rules, "max_tokens", Some("null")).as_deref(), Some("4096"));
    }

    #[test]
    fn a_clamp_with_an_upper_bound_leaves_nothing_that_is_no_number() {
        let clamp = |min, max| [param("n", Op::Clamp { min, max })];
        for raw in ["\"99999\"", "\"x\"", "[99999]", "{}", "true", "false"] {
            assert_eq!(value(&clamp(None, bound("100")), "n", Some(raw)).as_deref(), Some("100"), "{raw}");
            assert_eq!(value(&clamp(bound("1"), None), "n", Some(raw)).as_deref(), Some(raw), "{raw}");
        }
        assert_eq!(value(&clamp(None, bound("100")), "n", Some("null")).as_deref(), Some("null"));
        assert_eq!(value(&clamp(None, bound("100")), "n", None), None);
    }

    #[test]
    fn set_default_and_remove() {
        assert_eq!(value(&[param("a", Op::Set("1".into()))], "a", Some("2")).as_deref(), Some("1"));
        assert_eq!(value(&[param("a", Op::Default("1".into()))], "a", Some("2")).as_deref(), Some("2"));
        assert_eq!(value(&[param("a", Op::Default("1".into()))], "a", None).as_deref(), Some("1"));
        assert_eq!(value(&[param("a", Op::Default("1".into()))], "a", Some("null")).as_deref(), Some("1"));
        assert_eq!(value(&[param("a", Op::Remove)], "a", Some("2")), None);
        assert_eq!(value(&[param("b", Op::Remove)], "a", Some("2")).as_deref(), Some("2"));
    }

    #[test]
    fn nested_keys_are_set_inside_what_is_there() {
        let set = [param("x.y.z", Op::Set("1".into()))];
        assert_eq!(value(&set, "x", None).as_deref(), Some(r#"{"y":{"z":1}}"#));
        assert_eq!(
            value(&set, "x", Some(r#"{ "y": {"z":0,"k":1.0} }"#)).as_deref(),
            Some(r#"{ "y": {"z":1,"k":1.0} }"#)
        );
        assert_eq!(value(&set, "x", Some("3")).as_deref(), Some(r#"{"y":{"z":1}}"#));
        let default = [param("x.y", Op::Default("1".into()))];
        assert_eq!(value(&default, "x", Some(r#"{"y":0}"#)).as_deref(), Some(r#"{"y":0}"#));
        assert_eq!(value(&default, "x", Some("{}")).as_deref(), Some(r#"{"y":1}"#));
        assert_eq!(value(&default, "x", Some(r#"{"y":null}"#)).as_deref(), Some(r#"{"y":1}"#));
        assert_eq!(value(&default, "x", Some("null")).as_deref(), Some(r#"{"y":1}"#));
    }

    #[test]
    fn a_rule_for_some_models_needs_a_known_model() {
        let mut rule = param("a", Op::Remove);
        rule.models = vec![ModelPattern::parse("o3"), ModelPattern::parse("gpt-5*")];
        for (model, applies) in
            [(Some("o3"), true), (Some("o3-mini"), false), (Some("gpt-5-mini"), true), (None, false)]
        {
            assert_eq!(rule.applies(model), applies, "{model:?}");
        }
    }
}
