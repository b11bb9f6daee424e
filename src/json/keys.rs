//! What a scan is asked for: top-level keys, and one place further in.

use core::fmt;
use std::rc::Rc;

use super::scan::MAX_KEY;

/// How many keys one scan can be asked for: one bit each remembers which have been seen.
pub const MAX_KEYS: usize = 64;

/// The keys a scan is asked for, in a fixed order; reports name a key by its index. Made once at configure time; a
/// clone is a reference count.
#[derive(Clone, Debug, Default)]
pub struct Keys {
    names: Rc<[Box<str>]>,
    watch: Option<Watch>,
    /// Set where keys that differ in case only are refused: further keys that have such.
    strict: Option<&'static [&'static str]>,
}

/// A place inside a top-level member: the strings at `list[*].key`, each of which is reported as it passes while the
/// list itself may have any size.
///
/// That is: where the top-level value of `list` is an array, the string values of `key` in the objects that are its
/// direct elements, wherever `key` stands in them and however often. Both are unescaped, and found in any spelling.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Watch {
    /// The key of the list.
    pub list: &'static str,
    /// The key in the objects of the list.
    pub key: &'static str,
}

/// A set of keys that cannot be scanned for.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum KeysError {
    /// More than [`MAX_KEYS`].
    TooMany,
    /// This key has more bytes than [`MAX_KEY`] leaves room for.
    TooLong(Box<str>),
    /// This key stands in the list twice.
    Repeated(Box<str>),
}

impl fmt::Display for KeysError {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::TooMany => write!(f, "more than {MAX_KEYS} keys"),
            Self::TooLong(key) => write!(f, "key of {} bytes is too long", key.len()),
            Self::Repeated(key) => write!(f, "key {key} is repeated"),
        }
    }
}

impl core::error::Error for KeysError {}

impl Keys {
    /// Takes the keys, unescaped, in the order in which their indices count.
    ///
    /// # Errors
    ///
    /// Too many keys, one that could never be found, or one that stands in the list twice.
    pub fn new<I>(names: I) -> Result<Self, KeysError>
    where
        I: IntoIterator,
        I::Item: Into<Box<str>>,
    {
        let mut keys: Vec<Box<str>> = Vec::new();
        for name in names {
            let name = name.into();
            if keys.len() == MAX_KEYS {
                return Err(KeysError::TooMany);
            }
            // Two bytes are the quotes.
            if name.len() > MAX_KEY.saturating_sub(2) {
                return Err(KeysError::TooLong(name));
            }
            if keys.contains(&name) {
                return Err(KeysError::Repeated(name));
            }
            keys.push(name);
        }
        Ok(Self { names: keys.into(), watch: None, strict: None })
    }

    /// Watches a place inside a top-level member too, instead of one that has been watched before.
    ///
    /// A list that is itself asked for is not watched when its value is shown whole: one splice cannot be within
    /// another. It is watched when the value is not needed ([`Wants::Skip`](super::Wants::Skip) and
    /// [`Wants::Rename`](super::Wants::Rename)).
    #[must_use]
    pub fn watching(self, watch: Watch) -> Self {
        Self { watch: Some(watch), ..self }
    }

    /// Refuses a document with a top-level key that differs in case only from one of these keys, or from one of
    /// `others`. Some servers take it for that key: Go's `encoding/json` and ASP.NET do so by default.
    #[must_use]
    pub fn strict(self, others: &'static [&'static str]) -> Self {
        Self { strict: Some(others), ..self }
    }

    /// Whether a key that was not asked for is refused for what it looks like.
    #[must_use]
    pub(super) fn refuses(&self, name: &str) -> bool {
        let Some(others) = self.strict else { return false };
        let mut known = self.names.iter().map(|key| &**key).chain(others.iter().copied());
        // Asked for each key of a body, of which there may be as many as its bytes allow.
        if name.is_ascii() {
            known.any(|key| key.len() == name.len() && key != name && key.eq_ignore_ascii_case(name))
        } else {
            known.any(|key| key != name && folds_to(name, key))
        }
    }

    /// The place that is watched.
    #[must_use]
    pub const fn watch(&self) -> Option<Watch> {
        self.watch
    }

    /// The index of an unescaped key.
    #[must_use]
    pub fn find(&self, name: &str) -> Option<usize> {
        self.names.iter().position(|key| **key == *name)
    }

    /// The key with this index, unescaped.
    #[must_use]
    pub fn get(&self, index: usize) -> Option<&str> {
        self.names.get(index).map(|key| &**key)
    }

    /// How many keys there are.
    #[must_use]
    pub fn len(&self) -> usize {
        self.names.len()
    }

    /// Whether there are none; such a scan only validates and watches.
    #[must_use]
    pub fn is_empty(&self) -> bool {
        self.names.is_empty()
    }
}

/// Whether a key is the same as another but for the case of ASCII letters. Two letters beyond ASCII fold into it, as in
/// Go's `encoding/json`: the long s and the sign of Kelvin.
fn folds_to(name: &str, key: &str) -> bool {
    let fold = |letter: char| match letter {
        '\u{17f}' => 's',
        '\u{212a}' => 'k',
        other => other.to_ascii_lowercase(),
    };
    name.chars().map(fold).eq(key.chars().map(fold))
}

#[cfg(test)]
mod tests {
    use super::*;
    #[cfg(target_family = "wasm")]
    use wasm_bindgen_test::wasm_bindgen_test as test;

    #[test]
    fn counts_indices_in_the_given_order() {
        let keys = Keys::new(["model", "stream"]).unwrap();
        assert_eq!((keys.len(), keys.is_empty()), (2, false));
        assert_eq!((keys.find("stream"), keys.find("Stream")), (Some(1), None));
        assert_eq!((keys.get(0), keys.get(2)), (Some("model"), None));
    }

    #[test]
    fn watches_one_place_at_a_time() {
        let watch = |list| Watch { list, key: "role" };
        let keys = Keys::new(["model"]).unwrap();
        assert_eq!(keys.watch(), None);
        let watching = keys.clone().watching(watch("input"));
        assert_eq!((watching.find("model"), watching.find("input")), (Some(0), None));
        assert_eq!(watching.watching(watch("messages")).watch(), Some(watch("messages")));
        assert_eq!(keys.watch(), None);
    }

    #[test]
    fn strict_keys_refuse_what_differs_in_case_only() {
        let keys = Keys::new(["model", "max_tokens"]).unwrap();
        assert!(!keys.refuses("Model"));
        let keys = keys.strict(&["input"]);
        for (name, refused) in [
            ("Model", true),
            ("MAX_TOKENS", true),
            ("max_to\u{212a}en\u{17f}", true),
            ("INPUT", true),
            ("input", false),
            ("models", false),
            ("mödel", false),
            ("", false),
        ] {
            assert_eq!(keys.refuses(name), refused, "{name}");
        }
    }

    #[test]
    fn refuses_what_it_could_not_find() {
        let many = (0..=MAX_KEYS).map(|n| n.to_string());
        assert_eq!(Keys::new(many).unwrap_err(), KeysError::TooMany);
        assert!(Keys::new([&*"k".repeat(MAX_KEY - 2)]).is_ok());
        assert!(matches!(Keys::new([&*"k".repeat(MAX_KEY - 1)]), Err(KeysError::TooLong(_))));
        assert_eq!(Keys::new(["a", "b", "a"]).unwrap_err(), KeysError::Repeated("a".into()));
        assert!(Keys::new::<[&str; 0]>([]).unwrap().is_empty());
    }
}
