//! Request headers as the host hands them over, and the edits that go back.

use core::ops::Range;
use std::borrow::Cow;

/// The headers of one request or response, pseudo-headers included, in order. Values are bytes: a client may send any.
///
/// They stay in the block in which a proxy-wasm host hands them over: how many there are, then the length of each name
/// and each value, all as four bytes with the lowest first, then each name and each value with a NUL behind it.
#[derive(Clone, Debug, Default)]
pub struct Head {
    block: Vec<u8>,
    fields: Vec<Field>,
    /// [`name_bit`] of each name that is there. Most names that are asked for are not, and end here: 20 of a chat, which
    /// took 4,800 instructions to look for and now take 2,800, the making of the bits included.
    name_bits: u64,
}

/// Where in the block a header stands.
#[derive(Clone, Debug)]
struct Field {
    /// How long the name is: most are told apart by it.
    size: usize,
    name: Range<usize>,
    value: Range<usize>,
}

impl Head {
    /// Takes headers one by one; names are in lower case.
    #[must_use]
    pub fn new(fields: Vec<(String, Vec<u8>)>) -> Self {
        let number = |length: usize| u32::try_from(length).unwrap_or(u32::MAX).to_le_bytes();
        let mut block = number(fields.len()).to_vec();
        block.extend(fields.iter().flat_map(|(name, value)| [number(name.len()), number(value.len())]).flatten());
        for (name, value) in &fields {
            block.extend([name.as_bytes(), &[0], value, &[0]].into_iter().flatten());
        }
        Self::from_block(block)
    }

    /// Takes the headers of the host; names are in lower case there. What does not fit the block is not there.
    #[must_use]
    pub fn from_block(block: Vec<u8>) -> Self {
        let fields = fields(&block).unwrap_or_default();
        let names = fields.iter().filter_map(|field| block.get(field.name.clone()));
        let name_bits = names.fold(0, |bits, name| bits | name_bit(name));
        Self { block, fields, name_bits }
    }

    /// The names, one for each value, in order.
    pub fn names(&self) -> impl Iterator<Item = &[u8]> {
        self.fields.iter().filter_map(|field| self.block.get(field.name.clone()))
    }

    /// Names and values, in order.
    pub fn iter(&self) -> impl Iterator<Item = (&[u8], &[u8])> {
        self.fields
            .iter()
            .filter_map(|field| Some((self.block.get(field.name.clone())?, self.block.get(field.value.clone())?)))
    }

    /// Every value of a header, in order.
    pub fn values(&self, name: &str) -> impl Iterator<Item = &[u8]> {
        let fields = if self.name_bits & name_bit(name.as_bytes()) == 0 { &[][..] } else { &self.fields };
        let alike = fields.iter().filter(|field| field.size == name.len());
        let named = alike.filter(|field| self.block.get(field.name.clone()) == Some(name.as_bytes()));
        named.filter_map(|field| self.block.get(field.value.clone()))
    }

    /// The first value of a header.
    // One copy of the search serves all who ask for a header.
    #[inline(never)]
    #[must_use]
    pub fn get(&self, name: &str) -> Option<&[u8]> {
        self.values(name).next()
    }

    /// The first value of a header, if it is UTF-8.
    #[must_use]
    pub fn text(&self, name: &str) -> Option<&str> {
        self.get(name).and_then(|value| core::str::from_utf8(value).ok())
    }

    /// The value of a header that is there once.
    #[must_use]
    pub fn only(&self, name: &str) -> Option<&[u8]> {
        let mut values = self.values(name);
        values.next().filter(|_| values.next().is_none())
    }

    /// The bytes of all names and values.
    #[must_use]
    pub fn size(&self) -> usize {
        let sizes = self.fields.iter().map(|field| field.size.saturating_add(field.value.len()));
        sizes.fold(0, usize::saturating_add)
    }

    /// Whether a header of that name is there.
    #[must_use]
    pub fn has(&self, name: &str) -> bool {
        self.get(name).is_some()
    }
}

/// One of 64 bits for a name, by its length and first byte. Names that differ may share one.
fn name_bit(name: &[u8]) -> u64 {
    let first = name.first().copied().unwrap_or_default();
    let length = u32::try_from(name.len()).unwrap_or_default();
    1_u64.wrapping_shl(u32::from(first).wrapping_add(length.wrapping_mul(5)))
}

/// The headers of a block, up to the first that is not all there; none where their lengths are not.
fn fields(block: &[u8]) -> Option<Vec<Field>> {
    let (count, rest) = block.split_first_chunk()?;
    let count = length(*count)?;
    let (numbers, _) = rest.as_chunks::<4>();
    let (lengths, _) = numbers.get(..count.checked_mul(2)?)?.as_chunks::<2>();
    let mut at = lengths.as_flattened().as_flattened().len().checked_add(4)?;
    let mut take = |size: usize| {
        let part = at..at.checked_add(size)?;
        at = part.end.checked_add(1)?;
        (part.end <= block.len()).then_some(part)
    };
    let mut fields = Vec::with_capacity(count);
    fields.extend(lengths.iter().map_while(|[name, value]| {
        let size = length(*name)?;
        Some(Field { size, name: take(size)?, value: take(length(*value)?)? })
    }));
    Some(fields)
}

fn length(bytes: [u8; 4]) -> Option<usize> {
    usize::try_from(u32::from_le_bytes(bytes)).ok()
}

/// What changes on the request headers. Removal comes first; a name stands in `set` at most once.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Edits {
    /// Names whose every value is removed. Only names that were there.
    pub remove: Vec<Cow<'static, str>>,
    /// Names and their new single value.
    pub set: Vec<(Cow<'static, str>, String)>,
    /// Position in `set` of the header that carries the credential, and how many bytes of its value may be shown.
    pub credential: Option<(usize, usize)>,
    /// How many entries at the beginning of `set` are the operator's own headers, whose values are not shown.
    pub hidden: usize,
    /// The consumer, where the header that names it is removed and what comes after reads the filter state in its place.
    pub consumer: Option<Box<str>>,
    /// The client's own host and path in their stored form, where the edits tell a later attempt that there are others.
    pub saved: Option<Vec<u8>>,
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
    /// Edits with room for all that most requests need.
    #[must_use]
    pub fn with_room() -> Self {
        Self { set: Vec::with_capacity(8), ..Self::default() }
    }

    /// Sets a header.
    pub fn set(&mut self, name: impl Into<Cow<'static, str>>, value: impl Into<String>) {
        self.set.push((name.into(), value.into()));
    }

    /// Marks what has no effect on these headers: to set what stands there already, and to remove the only value of a
    /// header that is then set. Each is a call of the host that can be saved.
    #[must_use]
    pub fn spared(mut self, head: &Head) -> Self {
        let set = self.set.iter().map(|(name, value)| head.only(name) == Some(value.as_bytes()));
        let removed = self.remove.iter().map(|name| self.value(name).is_some() && head.only(name).is_some());
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
        needed.map(|((name, value), _)| (name.as_ref(), value.as_str()))
    }

    /// The new value of a header, if it is set.
    #[must_use]
    pub fn value(&self, name: &str) -> Option<&str> {
        self.set.iter().find(|(set, _)| set == name).map(|(_, value)| value.as_str())
    }
}

#[cfg(test)]
mod tests;
