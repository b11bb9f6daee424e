//! Request headers as the host hands them over, and the edits that go back.

use std::borrow::Cow;

/// The headers of one request, pseudo-headers included, in order. Values are bytes: a client may send any.
#[derive(Clone, Debug, Default)]
pub struct Head {
    fields: Vec<(String, Vec<u8>)>,
}

impl Head {
    /// Takes the headers of the host; names are in lower case there.
    #[must_use]
    pub const fn new(fields: Vec<(String, Vec<u8>)>) -> Self {
        Self { fields }
    }

    /// The first value of a header.
    #[must_use]
    pub fn get(&self, name: &str) -> Option<&[u8]> {
        self.fields.iter().find(|(field, _)| field == name).map(|(_, value)| value.as_slice())
    }

    /// The first value of a header, if it is UTF-8.
    #[must_use]
    pub fn text(&self, name: &str) -> Option<&str> {
        self.get(name).and_then(|value| core::str::from_utf8(value).ok())
    }

    /// How many headers of that name there are.
    #[must_use]
    pub fn count(&self, name: &str) -> usize {
        self.fields.iter().filter(|(field, _)| field == name).count()
    }

    /// Whether a header of that name is there.
    #[must_use]
    pub fn has(&self, name: &str) -> bool {
        self.fields.iter().any(|(field, _)| field == name)
    }
}

/// What changes on the request headers. Removal comes first; a name stands in `set` at most once.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Edits {
    /// Names whose every value is removed. Only names that were there.
    pub remove: Vec<Cow<'static, str>>,
    /// Names and their new single value.
    pub set: Vec<(String, String)>,
    /// Position in `set` of the header that carries the credential, and how many bytes of its value may be shown.
    pub credential: Option<(usize, usize)>,
    needless: Needless,
}

/// What of the edits has no effect: a bit for each of the first 32 of a list.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
struct Needless {
    set: u32,
    remove: u32,
}

fn marks(list: impl Iterator<Item = bool>) -> u32 {
    list.zip(0_u32..).fold(0, |marks, (mark, place)| marks | u32::from(mark).checked_shl(place).unwrap_or_default())
}

fn is_marked(marks: u32, place: u32) -> bool {
    marks.checked_shr(place).is_some_and(|rest| rest & 1 == 1)
}

impl Edits {
    /// Sets a header.
    pub fn set(&mut self, name: impl Into<String>, value: impl Into<String>) {
        self.set.push((name.into(), value.into()));
    }

    /// Marks what has no effect on these headers: to set what stands there already, and to remove the only value of a
    /// header that is then set. Each is a call of the host that can be saved.
    #[must_use]
    pub fn spared(mut self, head: &Head) -> Self {
        let alone = |name: &str| head.count(name) == 1;
        let set = self.set.iter().map(|(name, value)| alone(name) && head.get(name) == Some(value.as_bytes()));
        let removed = self.remove.iter().map(|name| alone(name) && self.set.iter().any(|(set, _)| set == name));
        self.needless = Needless { set: marks(set), remove: marks(removed) };
        self
    }

    /// The names to remove, but for those that need not be.
    pub fn removals(&self) -> impl Iterator<Item = &str> {
        let needed = self.remove.iter().zip(0_u32..).filter(|(_, place)| !is_marked(self.needless.remove, *place));
        needed.map(|(name, _)| name.as_ref())
    }

    /// The headers to set, but for those that need not be.
    pub fn settings(&self) -> impl Iterator<Item = (&str, &str)> {
        let needed = self.set.iter().zip(0_u32..).filter(|(_, place)| !is_marked(self.needless.set, *place));
        needed.map(|((name, value), _)| (name.as_str(), value.as_str()))
    }

    /// The new value of a header, if it is set.
    #[must_use]
    pub fn value(&self, name: &str) -> Option<&str> {
        self.set.iter().find(|(set, _)| set == name).map(|(_, value)| value.as_str())
    }
}
