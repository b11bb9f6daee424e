//! The part of GJSON path syntax that configurations of ai-statistics use, on JSON text and without a tree.
//!
//! | syntax | meaning |
//! |---|---|
//! | `a.b` | member of a member; `\` takes the next character as it is |
//! | `a.0` | element of an array, from 0; in an object the key `0` |
//! | `a.#` | how many elements |
//! | `a.#.b` | an array of what `b` finds in each element; elements without it are left out |
//! | `*`, `?` | in a key: any characters, any one character; the first member that fits and has the rest of the path |
//! | `@reverse` | the same array or object from its end; anything else stays as it is |
//! | `@this` | the value itself |
//! | `\|` | like `.`, but after `#` what follows is applied to the array that was made |
//!
//! Queries `#(…)`, other modifiers, multipaths and literals are refused when a path is compiled.
//!
//! Of a key that occurs twice the first occurrence is found, as GJSON finds it. Text that is not JSON gives nothing or
//! text that is not JSON; who keeps a value validates it.

#[cfg(test)]
mod tests;

use std::borrow::Cow;

use crate::json::{self, Item, Items, skip_space, split_value};

/// How many components a path can have. Evaluation recurses at most once for each.
pub const MAX_PARTS: usize = 32;

/// The longest key that a wildcard is tried on, in bytes: the time it takes grows with key times pattern.
pub const MAX_WILD_KEY: usize = 1024;

/// A compiled path.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Path {
    parts: Box<[Part]>,
}

#[derive(Clone, Debug, PartialEq, Eq)]
enum Part {
    /// A member of this name, or the element of this index.
    Key {
        name: Box<str>,
        index: Option<usize>,
        from_end: bool,
    },
    /// The first member whose key fits. Backslashes are still in it.
    Wild(Box<str>),
    /// `#`
    Each,
    Reverse,
    This,
    /// Ends what an [`Each`](Part::Each) does to every element.
    Pipe,
}

impl Path {
    /// Compiles a path.
    ///
    /// # Errors
    ///
    /// The syntax is not supported; the text says which.
    pub fn compile(path: &str) -> Result<Self, &'static str> {
        let mut parts = Vec::new();
        let (mut start, mut wild, mut escaped) = (0_usize, false, false);
        // One separator more, for the last component.
        for (at, byte) in path.bytes().chain([b'.']).enumerate() {
            if escaped {
                if at == path.len() {
                    return Err("the path ends in a backslash");
                }
                escaped = false;
                continue;
            }
            match byte {
                b'\\' => escaped = true,
                b'*' | b'?' => wild = true,
                b'.' | b'|' => {
                    let part = component(path.get(start..at).unwrap_or_default(), wild)?;
                    push(&mut parts, part);
                    if byte == b'|' && parts.contains(&Part::Each) {
                        parts.push(Part::Pipe);
                    }
                    if parts.len() > MAX_PARTS {
                        return Err("the path has too many components");
                    }
                    (start, wild) = (at.saturating_add(1), false);
                }
                _ => {}
            }
        }
        Ok(Self { parts: parts.into() })
    }

    /// The key of the one member of the document that the path looks into; `None` if it may look at more.
    #[must_use]
    pub fn member(&self) -> Option<&str> {
        match self.parts.first() {
            Some(Part::Key { name, from_end: false, .. }) => Some(name),
            _ => None,
        }
    }

    /// The raw text of the value the path leads to, without whitespace around it.
    #[must_use]
    pub fn get<'a>(&self, json: &'a [u8]) -> Option<Cow<'a, [u8]>> {
        evaluate(json, &self.parts)
    }
}

/// Reads one component, its backslashes included.
fn component(text: &str, wild: bool) -> Result<Part, &'static str> {
    match text.as_bytes() {
        [] => return Err("the path has an empty component"),
        b"#" => return Ok(Part::Each),
        b"@reverse" => return Ok(Part::Reverse),
        b"@this" => return Ok(Part::This),
        [b'#', ..] => return Err("GJSON queries `#(...)` are not supported"),
        [b'@', ..] => return Err("of the GJSON modifiers only @reverse and @this are supported"),
        [b'{' | b'[', ..] => return Err("GJSON multipaths are not supported"),
        [b'!', ..] => return Err("GJSON literals are not supported"),
        _ => {}
    }
    if wild {
        return Ok(Part::Wild(text.into()));
    }
    let mut name = String::with_capacity(text.len());
    let mut escaped = false;
    for character in text.chars() {
        escaped = character == '\\' && !escaped;
        if !escaped {
            name.push(character);
        }
    }
    // A sign or an escape makes a key of it.
    let index = if text.starts_with('+') { None } else { text.parse().ok() };
    Ok(Part::Key { name: name.into(), index, from_end: false })
}

/// Adds a component. `@reverse.0` becomes one step: a conversation is long, and only its end is asked for.
fn push(parts: &mut Vec<Part>, mut part: Part) {
    if let (Some(Part::Reverse), Part::Key { index: Some(_), from_end, .. }) = (parts.last(), &mut part) {
        *from_end = true;
        parts.pop();
    }
    parts.push(part);
}

fn evaluate<'a>(json: &'a [u8], mut parts: &[Part]) -> Option<Cow<'a, [u8]>> {
    let mut value = skip_space(json);
    // The end of the document is looked for only where the document itself is asked for.
    let mut exact = false;
    while let Some((part, rest)) = parts.split_first() {
        let is_array = value.first() == Some(&b'[');
        value = match part {
            Part::Pipe | Part::This => {
                parts = rest;
                continue;
            }
            Part::Key { index: Some(index), from_end, .. } if is_array => element(value, *index, *from_end)?,
            Part::Key { name, .. } => member(value, name)?,
            Part::Wild(pattern) => {
                let fits = |key: &str| key.len() <= MAX_WILD_KEY && fits(pattern, key);
                // As in GJSON, the next one is tried where the rest of the path is not in this one.
                return members(value, fits)?.find_map(|value| evaluate(value, rest));
            }
            Part::Each if is_array => {
                let end = rest.iter().position(|part| *part == Part::Pipe).unwrap_or(rest.len());
                let (each, after) = rest.split_at_checked(end)?;
                return then(&collect(value, each)?, after);
            }
            Part::Each => member(value, "#")?,
            Part::Reverse => return then(&reverse(value)?, rest),
        };
        exact = true;
        parts = rest;
    }
    let value = if exact { value } else { split_value(value)?.0 };
    Some(Cow::Borrowed(value))
}

/// Goes on with a value that was made on the way.
fn then<'a>(made: &[u8], parts: &[Part]) -> Option<Cow<'a, [u8]>> {
    evaluate(made, parts).map(|value| Cow::Owned(value.into_owned()))
}

/// The count of an array, or an array of what was found in its elements.
#[inline(never)]
fn collect(array: &[u8], each: &[Part]) -> Option<Vec<u8>> {
    let items = Items::of(array)?;
    if each.is_empty() {
        return Some(items.count().to_string().into_bytes());
    }
    Some(array_of(b'[', &mut items.filter_map(|item| evaluate(item.value, each)), b']'))
}

#[inline(never)]
fn reverse(value: &[u8]) -> Option<Vec<u8>> {
    let Some(items) = Items::of(value) else { return Some(split_value(value)?.0.to_vec()) };
    let (open, close) = if items.is_object() { (b'{', b'}') } else { (b'[', b']') };
    let items: Vec<Item<'_>> = items.collect();
    Some(array_of(open, &mut items.iter().rev().map(|item| Cow::Borrowed(item.whole)), close))
}

fn array_of<'a>(open: u8, items: &mut dyn Iterator<Item = Cow<'a, [u8]>>, close: u8) -> Vec<u8> {
    let mut out = vec![open];
    for item in items {
        if out.len() > 1 {
            out.push(b',');
        }
        out.extend_from_slice(&item);
    }
    out.push(close);
    out
}

/// Follows plain keys and indices: what the built-in attributes need, without a compiled path.
pub(super) fn walk<'a>(json: &'a [u8], keys: &[&str]) -> Option<&'a [u8]> {
    let mut value = skip_space(json);
    for key in keys {
        value = match value.first()? {
            b'[' => element(value, key.parse().ok()?, false)?,
            _ => member(value, key)?,
        };
    }
    Some(value)
}

/// An element of an array, counted from 0 at one of its ends.
pub(super) fn element(array: &[u8], index: usize, from_end: bool) -> Option<&[u8]> {
    let mut items = Items::of(array).filter(|items| !items.is_object())?;
    let index =
        if from_end { items.clone().count().checked_sub(index).and_then(|left| left.checked_sub(1))? } else { index };
    items.nth(index).map(|item| item.value)
}

#[inline(never)]
fn member<'a>(object: &'a [u8], name: &str) -> Option<&'a [u8]> {
    members(object, |key| key == name)?.next()
}

/// The values of the members with such keys.
fn members(object: &[u8], fits: impl Fn(&str) -> bool) -> Option<impl Iterator<Item = &[u8]>> {
    let items = Items::of(object).filter(Items::is_object)?;
    let has_key = move |item: &Item<'_>| json::decode(item.key).is_ok_and(|key| fits(&key));
    Some(items.filter(has_key).map(|item| item.value))
}

/// Whether a whole key fits a pattern of `*`, `?` and escaped characters.
#[inline(never)]
fn fits(pattern: &str, key: &str) -> bool {
    let (mut pattern, mut key) = (pattern.chars(), key.chars());
    // Behind the last star, and what is tried there next.
    let mut retry = None;
    loop {
        let mut left = pattern.clone();
        let matches = match (left.next(), key.clone().next()) {
            (Some('*'), _) => {
                retry = Some((left.clone(), key.clone()));
                pattern = left;
                continue;
            }
            (None, None) => return true,
            (Some('?'), Some(_)) => true,
            (Some('\\'), Some(character)) => left.next() == Some(character),
            (expected, character) => expected.is_some() && expected == character,
        };
        if matches {
            pattern = left;
            key.next();
            continue;
        }
        let Some((after_star, from)) = &mut retry else { return false };
        if from.next().is_none() {
            return false;
        }
        pattern = after_star.clone();
        key = from.clone();
    }
}
