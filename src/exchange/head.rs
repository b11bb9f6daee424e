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
}

impl Edits {
    /// Sets a header.
    pub fn set(&mut self, name: impl Into<String>, value: impl Into<String>) {
        self.set.push((name.into(), value.into()));
    }

    /// The same effect on these headers with fewer calls: what stands there as it is to be is not set, and the only
    /// value of a header that is set need not be removed first.
    #[must_use]
    pub fn reduced(mut self, head: &Head) -> Self {
        let Self { remove, set, .. } = &mut self;
        remove.retain(|name| head.count(name) != 1 || !set.iter().any(|(other, _)| other == name));
        set.retain(|(name, value)| head.count(name) != 1 || head.get(name) != Some(value.as_bytes()));
        self.credential = None;
        self
    }

    /// The new value of a header, if it is set.
    #[must_use]
    pub fn value(&self, name: &str) -> Option<&str> {
        self.set.iter().find(|(set, _)| set == name).map(|(_, value)| value.as_str())
    }
}
