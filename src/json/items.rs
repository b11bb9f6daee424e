//! Steps through JSON text that is in memory, without a tree and without recursion. It finds where values end and does
//! not validate them: whoever must rely on it has a [`Scanner`](super::Scanner) look at the text first.

use core::iter::FusedIterator;

/// The elements of an array or the members of an object, in order.
#[derive(Clone, Debug)]
pub(crate) struct Items<'a> {
    rest: &'a [u8],
    object: bool,
}

/// One element or member.
#[derive(Clone, Copy, Debug)]
pub(crate) struct Item<'a> {
    /// The raw key with its quotes; empty in an array.
    pub(crate) key: &'a [u8],
    /// The raw value.
    pub(crate) value: &'a [u8],
    /// Key, colon and value; the value in an array.
    pub(crate) whole: &'a [u8],
}

impl<'a> Items<'a> {
    /// `None` where the text starts with neither brace nor bracket.
    pub(crate) fn of(container: &'a [u8]) -> Option<Self> {
        match container.split_first() {
            Some((b'{', rest)) => Some(Self { rest, object: true }),
            Some((b'[', rest)) => Some(Self { rest, object: false }),
            _ => None,
        }
    }

    /// Whether these are the members of an object.
    pub(crate) const fn is_object(&self) -> bool {
        self.object
    }
}

impl<'a> Iterator for Items<'a> {
    type Item = Item<'a>;

    #[inline(never)]
    fn next(&mut self) -> Option<Item<'a>> {
        let mut start = skip_space(self.rest);
        while let Some((b',', tail)) = start.split_first() {
            start = skip_space(tail);
        }
        let (key, rest) = if self.object {
            let (key, rest) = split_string(start)?;
            let (b':', rest) = skip_space(rest).split_first()? else { return None };
            (key, skip_space(rest))
        } else {
            (&[][..], start)
        };
        let (value, rest) = split_value(rest)?;
        let (whole, _) = start.split_at_checked(start.len().saturating_sub(rest.len()))?;
        self.rest = rest;
        Some(Item { key, value, whole })
    }
}

impl FusedIterator for Items<'_> {}

/// Splits off the value that the text starts with; `None` where there is none or where it does not end.
#[inline(never)]
pub(crate) fn split_value(json: &[u8]) -> Option<(&[u8], &[u8])> {
    match json.first()? {
        b'"' => split_string(json),
        b'{' | b'[' => split_container(json),
        _ => {
            let ends = |byte: &u8| matches!(byte, b',' | b':' | b']' | b'}' | b' ' | b'\t' | b'\n' | b'\r');
            let end = json.iter().position(ends).unwrap_or(json.len());
            if end == 0 { None } else { json.split_at_checked(end) }
        }
    }
}

#[inline(never)]
fn split_string(json: &[u8]) -> Option<(&[u8], &[u8])> {
    let mut rest = json.strip_prefix(b"\"")?;
    loop {
        let stop = memchr::memchr2(b'"', b'\\', rest)?;
        let (&byte, tail) = rest.get(stop..)?.split_first()?;
        if byte == b'"' {
            return json.split_at_checked(json.len().saturating_sub(tail.len()));
        }
        (_, rest) = tail.split_first()?;
    }
}

fn split_container(json: &[u8]) -> Option<(&[u8], &[u8])> {
    let mut rest = json;
    let mut depth = 0_usize;
    loop {
        let (&byte, tail) = rest.split_first()?;
        match byte {
            b'"' => {
                (_, rest) = split_string(rest)?;
                continue;
            }
            b'{' | b'[' => depth = depth.saturating_add(1),
            b'}' | b']' => {
                depth = depth.saturating_sub(1);
                if depth == 0 {
                    return json.split_at_checked(json.len().saturating_sub(tail.len()));
                }
            }
            _ => {}
        }
        rest = tail;
    }
}

/// What stands before and behind a part of a text, which must be a part of it.
pub(crate) fn around<'a>(text: &'a [u8], part: &[u8]) -> Option<(&'a [u8], &'a [u8])> {
    let start = part.as_ptr().addr().checked_sub(text.as_ptr().addr())?;
    Some((text.get(..start)?, text.get(start.checked_add(part.len())?..)?))
}

/// Skips whitespace.
#[inline(never)]
pub(crate) fn skip_space(json: &[u8]) -> &[u8] {
    let mut rest = json;
    while let Some((b' ' | b'\t' | b'\n' | b'\r', tail)) = rest.split_first() {
        rest = tail;
    }
    rest
}
