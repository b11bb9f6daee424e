//! Reading settings out of a document: every problem is found, none stops the walk.
//!
//! [`settings!`] declares an object once. From that one declaration come the struct, its reader, the list of keys for
//! "did you mean" and the JSON Schema.

use super::problem::{Kind, Problems, nearest};
use crate::json::Node;
use crate::provider::Preset;
use core::fmt;

/// A value that can be read from a [`Node`].
///
/// The readers are never inlined: the same few would be copied into every key of every object.
pub trait Wire: Sized {
    /// Reads the value; reports what is wrong and gives `None` where nothing usable is there.
    fn read(node: &Node, problems: &mut Problems) -> Option<Self>;

    /// The JSON Schema of the value.
    #[cfg(feature = "cli")]
    fn schema() -> serde_json::Value;
}

/// What a declared object knows about one of its keys.
#[derive(Clone, Copy, Debug)]
pub struct KeyInfo {
    /// The key.
    pub key: &'static str,
    /// Provider types that use it; empty means all.
    pub used_by: &'static [&'static str],
    /// Why the key has no effect, for keys that are only accepted.
    pub inert: Option<&'static str>,
}

macro_rules! settings {
    (
        $(#[doc = $about:literal])+
        pub struct $name:ident {
            $(
                $(#[doc = $doc:literal])+
                $field:ident : $type:ty = $key:literal $(for [$($used_by:literal),+])?,
            )+
        }
        inert { $($(#[doc = $inert_doc:literal])+ $inert:literal $(for [$($inert_by:literal),+])? : $reason:literal,)* }
        silent { $($silent:literal),* $(,)? }
        deeper { $($deeper:ident)? }
        $(envelope { $($envelope:literal),* })?
    ) => {
        $(#[doc = $about])+
        #[derive(Clone, Debug, Default)]
        pub struct $name {
            $($(#[doc = $doc])+ pub $field: Option<$type>,)+
        }

        impl $name {
            /// Every key that is known here, except those that are accepted without a word.
            pub const KEYS: &[crate::config::wire::KeyInfo] = &[
                $(crate::config::wire::KeyInfo { key: $key, used_by: &[$($($used_by),+)?], inert: None },)+
                $(crate::config::wire::KeyInfo { key: $inert, used_by: &[$($($inert_by),+)?], inert: Some($reason) },)*
            ];
            /// Keys that mean nothing here and are accepted without a word: a console writes them.
            pub const SILENT: &[&str] = &[$($silent),*];

            /// The keys that are set, in the order of the declaration.
            pub fn present(&self) -> impl Iterator<Item = &'static crate::config::wire::KeyInfo> {
                let present = [$(self.$field.is_some()),+];
                Self::KEYS.iter().zip(present).filter(|(_, present)| *present).map(|(info, _)| info)
            }
        }

        impl crate::config::wire::Wire for $name {
            fn read(node: &crate::json::Node, problems: &mut crate::config::problem::Problems) -> Option<Self> {
                /// The fields, in the order in which they stand in `KEYS`. A search and a jump are a third of the code of
                /// a comparison for each key.
                #[allow(non_camel_case_types, reason = "these are names of fields")]
                #[derive(Clone, Copy)]
                enum Field { $($field),+ }
                const FIELDS: &[Field] = &[$(Field::$field),+];
                const DEEPER: &[&[crate::config::wire::KeyInfo]] = &[$($deeper::KEYS)?];
                const ENVELOPE: &[&str] = &[$($($envelope),*)?];
                let mut settings = Self::default();
                crate::config::wire::members(node, problems, &mut |key, value, problems| {
                    let place = if Self::SILENT.contains(&key) {
                        None
                    } else {
                        let keys = crate::config::wire::Keys { own: Self::KEYS, deeper: DEEPER, envelope: ENVELOPE };
                        crate::config::wire::find(key, value, keys, node, problems)
                    };
                    match place.and_then(|place| FIELDS.get(place)) {
                        $(Some(Field::$field) => crate::config::wire::set(&mut settings.$field, value, problems),)+
                        None => {}
                    }
                })?;
                Some(settings)
            }

            #[cfg(feature = "cli")]
            fn schema() -> serde_json::Value {
                let mut properties = serde_json::Map::new();
                $(properties.insert($key.to_owned(), crate::config::schema::described(
                    <$type as crate::config::wire::Wire>::schema(), &[$($doc),+], &[$($($used_by),+)?], None));)+
                $(properties.insert($inert.to_owned(), crate::config::schema::described(
                    serde_json::json!({}), &[$($inert_doc),+], &[$($($inert_by),+)?], Some($reason)));)*
                $(properties.insert($silent.to_owned(), serde_json::json!({ "description": "Written by a console; ignored." }));)*
                crate::config::schema::object(&[$($about),+], properties)
            }
        }
    };
}
pub(super) use settings;

/// Reads the value of one key. Never inlined: there is one copy for each type of value, and not one for each key.
#[inline(never)]
pub fn set<T: Wire>(field: &mut Option<T>, node: &Node, problems: &mut Problems) {
    *field = T::read(node, problems);
}

/// The keys that an object may have.
#[derive(Clone, Copy)]
pub struct Keys {
    /// Its own.
    pub own: &'static [KeyInfo],
    /// Those of the objects inside it.
    pub deeper: &'static [&'static [KeyInfo]],
    /// Those of the envelope, which are read elsewhere.
    pub envelope: &'static [&'static str],
}

/// Where a key of `object` stands in its keys, if its value is to be read. What is wrong with it is reported: it has no
/// effect, it belongs elsewhere, nobody knows it.
#[inline(never)]
pub fn find(key: &str, value: &Node, keys: Keys, object: &Node, problems: &mut Problems) -> Option<usize> {
    let place = keys.own.iter().position(|info| info.key == key);
    match place.and_then(|place| keys.own.get(place)) {
        // A console writes out what is switched off.
        Some(info) if asks_nothing(value) && (info.inert.is_some() || !is_for(info, object)) => return None,
        Some(KeyInfo { inert: Some(reason), .. }) if !is_done_anyway(key, value) => {
            problems.warn(Kind::Inert { reason });
        }
        Some(_) => {}
        None if keys.deeper.iter().any(|keys| keys.iter().any(|info| info.key == key)) => {
            problems.error(Kind::MisplacedKey);
        }
        None => {
            let meant = meant(key, keys, object);
            let letters = |key: &str| key.replace('_', "").to_ascii_lowercase();
            if meant.is_some_and(|meant| is_envelope(meant) && letters(meant) == letters(key)) {
                // Rules that are not read would leave their requests to whatever serves the rest.
                problems.error(Kind::UnknownKey { meant });
            } else {
                problems.warn(Kind::UnknownKey { meant });
            }
        }
    }
    place
}

/// The key that is meant by one that nobody knows.
fn meant(key: &str, keys: Keys, object: &Node) -> Option<&'static str> {
    /// Bytes that a word must have to be looked for at the end of longer keys.
    const WORD: usize = 4;
    let lower = key.to_ascii_lowercase();
    let own = || keys.own.iter().filter(|info| is_for(info, object));
    // Keys of one type begin with its name: `version` of a `claude` is its `claudeVersion`.
    let ends = |info: &&KeyInfo| !info.used_by.is_empty() && info.key.to_ascii_lowercase().ends_with(&lower);
    let begins = |info: &&KeyInfo| type_of(object).is_some_and(|name| info.key.starts_with(name));
    let of_type = own().filter(ends).find(begins).or_else(|| own().find(ends)).filter(|_| key.len() >= WORD);
    of_type
        .map(|info| info.key)
        .or_else(|| nearest(key, &mut own().map(|info| info.key).chain(keys.envelope.iter().copied())))
}

fn type_of(object: &Node) -> Option<&str> {
    match object.get("type") {
        Some(Node::Text(name)) => Some(name),
        _ => None,
    }
}

/// Whether a key has an effect for the type that the object has.
fn is_for(info: &KeyInfo, object: &Node) -> bool {
    info.used_by.is_empty()
        || type_of(object).is_none_or(|name| {
            let preset = Preset::find(name).map_or(name, |preset| preset.name);
            info.used_by.contains(&name) || info.used_by.contains(&preset)
        })
}

/// Whether a value is what consoles write for something that is not used: empty, `false`, or `{enabled: false, …}`.
fn asks_nothing(value: &Node) -> bool {
    match value {
        Node::Null | Node::Bool(false) => true,
        Node::Bool(true) => false,
        Node::Number(number) => !number.bytes().any(|digit| matches!(digit, b'1'..=b'9')),
        Node::Text(text) => text.is_empty() || text.eq_ignore_ascii_case("false"),
        Node::List(items) => items.iter().all(asks_nothing),
        Node::Map(members) => members.is_empty() || value.get("enabled").is_some_and(asks_nothing),
    }
}

/// Whether a key without effect asks for what happens without it.
fn is_done_anyway(key: &str, value: &Node) -> bool {
    key == "reasoningContentMode" && matches!(value, Node::Text(mode) if mode.eq_ignore_ascii_case("passthrough"))
}

/// Walks the members of an object; `None` where `node` is none. Keys of the form `_…_` belong to the envelope.
pub fn members(node: &Node, problems: &mut Problems, each: &mut dyn FnMut(&str, &Node, &mut Problems)) -> Option<()> {
    let Node::Map(members) = node else {
        problems.error(Kind::WrongKind { expected: "an object", found: node.kind() });
        return None;
    };
    for (key, value) in members.iter().filter(|(key, _)| !is_envelope(key)) {
        problems.at(key, |problems| each(key, value, problems));
    }
    Some(())
}

/// Whether a key has the underscore form of Higress's envelope: `_rules_`, `_match_route_`, `_plugin_id_`.
#[must_use]
pub fn is_envelope(key: &str) -> bool {
    key.len() > 2 && key.starts_with('_') && key.ends_with('_')
}

/// A secret. It prints as `***` and is compared by nobody.
#[derive(Clone, Default)]
pub struct Secret(String);

impl Secret {
    /// The secret itself. Only what goes upstream may call this.
    #[must_use]
    pub fn expose(&self) -> &str {
        &self.0
    }
}

impl fmt::Debug for Secret {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("***")
    }
}

impl fmt::Display for Secret {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("***")
    }
}

impl From<String> for Secret {
    fn from(text: String) -> Self {
        Self(text)
    }
}

/// Any value, as it stands.
impl Wire for Node {
    fn read(node: &Node, _: &mut Problems) -> Option<Self> {
        Some(node.clone())
    }

    #[cfg(feature = "cli")]
    fn schema() -> serde_json::Value {
        serde_json::json!({})
    }
}

/// Text; a number or a boolean stands for its spelling, `null` for nothing, as in the reference.
impl Wire for String {
    #[inline(never)]
    fn read(node: &Node, problems: &mut Problems) -> Option<Self> {
        match node {
            Node::Text(text) => Some(text.clone()),
            Node::Number(number) => Some(number.strip_suffix(".0").unwrap_or(number).to_owned()),
            Node::Bool(value) => Some(value.to_string()),
            Node::Null => None,
            Node::List(_) | Node::Map(_) => {
                problems.error(Kind::WrongKind { expected: "a string", found: node.kind() });
                None
            }
        }
    }

    #[cfg(feature = "cli")]
    fn schema() -> serde_json::Value {
        serde_json::json!({ "type": ["string", "number", "boolean", "null"] })
    }
}

impl Wire for Secret {
    #[inline(never)]
    fn read(node: &Node, problems: &mut Problems) -> Option<Self> {
        String::read(node, problems).map(Self)
    }

    #[cfg(feature = "cli")]
    fn schema() -> serde_json::Value {
        serde_json::json!({ "type": ["string", "number"], "writeOnly": true })
    }
}

impl Wire for bool {
    #[inline(never)]
    fn read(node: &Node, problems: &mut Problems) -> Option<Self> {
        match node {
            Node::Bool(value) => Some(*value),
            Node::Text(text) if text.eq_ignore_ascii_case("true") || text == "1" => Some(true),
            Node::Text(text) if text.eq_ignore_ascii_case("false") || text == "0" || text.is_empty() => Some(false),
            Node::Number(number) => Some(number.bytes().any(|digit| matches!(digit, b'1'..=b'9'))),
            Node::Null => None,
            Node::Text(_) | Node::List(_) | Node::Map(_) => {
                problems.error(Kind::WrongKind { expected: "a boolean", found: node.kind() });
                None
            }
        }
    }

    #[cfg(feature = "cli")]
    fn schema() -> serde_json::Value {
        serde_json::json!({ "type": ["boolean", "string", "number", "null"] })
    }
}

/// A whole number; the text of one stands for it.
impl Wire for u32 {
    #[inline(never)]
    fn read(node: &Node, problems: &mut Problems) -> Option<Self> {
        let whole = match node {
            Node::Null => return None,
            // Numbers pass through a protobuf struct on Higress, which knows only doubles: `1.0` is 1.
            Node::Number(number) => whole(number),
            Node::Text(text) => whole(text.trim()),
            Node::Bool(_) | Node::List(_) | Node::Map(_) => None,
        };
        match whole {
            Some(whole) => Some(whole),
            None => {
                problems.error(Kind::WrongKind { expected: "a whole number that is not negative", found: node.kind() });
                None
            }
        }
    }

    #[cfg(feature = "cli")]
    fn schema() -> serde_json::Value {
        serde_json::json!({ "type": ["integer", "string", "null"], "minimum": 0, "maximum": Self::MAX })
    }
}

fn whole(text: &str) -> Option<u32> {
    text.strip_suffix(".0").unwrap_or(text).parse().ok()
}

/// A value that keeps its place in a list even where it cannot be read.
impl<T: Wire> Wire for Option<T> {
    #[inline(never)]
    fn read(node: &Node, problems: &mut Problems) -> Option<Self> {
        Some(T::read(node, problems))
    }

    #[cfg(feature = "cli")]
    fn schema() -> serde_json::Value {
        T::schema()
    }
}

/// A list; a single value stands for a list of one, `null` for the empty one, as in the reference. An item that is
/// `null` is an error: most often a template had no value for it.
impl<T: Wire> Wire for Vec<T> {
    #[inline(never)]
    fn read(node: &Node, problems: &mut Problems) -> Option<Self> {
        match node {
            Node::Null => Some(Self::new()),
            Node::List(items) => Some(
                items
                    .iter()
                    .enumerate()
                    .filter_map(|(index, item)| {
                        problems.at_index(index, |problems| {
                            if *item == Node::Null {
                                problems.error(Kind::WrongKind { expected: "a value", found: item.kind() });
                                return None;
                            }
                            T::read(item, problems)
                        })
                    })
                    .collect(),
            ),
            Node::Bool(_) | Node::Number(_) | Node::Text(_) | Node::Map(_) => {
                Some(T::read(node, problems).into_iter().collect())
            }
        }
    }

    #[cfg(feature = "cli")]
    fn schema() -> serde_json::Value {
        serde_json::json!({ "anyOf": [{ "type": "array", "items": T::schema() }, T::schema()] })
    }
}

/// An object whose keys are free, in document order.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Table<T>(pub Vec<(String, T)>);

impl<T: Wire + Default> Wire for Table<T> {
    #[inline(never)]
    fn read(node: &Node, problems: &mut Problems) -> Option<Self> {
        if *node == Node::Null {
            return None;
        }
        let mut table = Vec::new();
        members(node, problems, &mut |key, value, problems| {
            let mark = problems.mark();
            match T::read(value, problems) {
                Some(value) => table.push((key.to_owned(), value)),
                // `null` is an empty value here, unless it was reported.
                None if problems.errors_since(mark).next().is_none() => table.push((key.to_owned(), T::default())),
                None => {}
            }
        })?;
        Some(Self(table))
    }

    #[cfg(feature = "cli")]
    fn schema() -> serde_json::Value {
        serde_json::json!({ "type": "object", "additionalProperties": T::schema() })
    }
}

macro_rules! choices {
    ($(#[doc = $about:literal])+ pub enum $name:ident { $($(#[doc = $doc:literal])+ $variant:ident = $text:literal,)+ }) => {
        $(#[doc = $about])+
        #[derive(Clone, Copy, Debug, PartialEq, Eq)]
        pub enum $name { $($(#[doc = $doc])+ $variant,)+ }

        impl crate::config::wire::Wire for $name {
            fn read(node: &crate::json::Node, problems: &mut crate::config::problem::Problems) -> Option<Self> {
                let text = String::read(node, problems)?;
                match text.as_str() {
                    $($text => return Some(Self::$variant),)+
                    // The reference reads an empty string as unset.
                    "" => return None,
                    _ => {}
                }
                let meant = crate::config::problem::nearest(&text, &mut [$($text),+].into_iter());
                problems.error(crate::config::problem::Kind::NoChoice { choices: &[$($text),+], meant });
                None
            }

            #[cfg(feature = "cli")]
            fn schema() -> serde_json::Value {
                serde_json::json!({ "oneOf": [$({ "const": $text, "description": crate::config::schema::text(&[$($doc),+]) }),+, { "const": "" }] })
            }
        }
    };
}
pub(super) use choices;
