//! Server-sent events, by bytes (WHATWG HTML, 9.2.6).

use std::borrow::Cow;

use memchr::memchr2;

use super::{Cut, Message};

const LF: u8 = b'\n';
const CR: u8 = b'\r';

/// UTF-8's byte order mark, which may stand at the start of the stream.
const BOM: &[u8] = b"\xef\xbb\xbf";

/// What the last byte was.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Sse {
    /// So many bytes of a BOM at the start of the stream.
    Bom(usize),
    /// The end of a line, complete.
    Start,
    /// A byte of a line.
    Line,
    /// The CR behind a line; a LF belongs to it.
    LineCr,
    /// The CR of a blank line, with which an event is complete.
    BlankCr,
}

impl Sse {
    pub(super) const START: Self = Self::Bom(0);

    /// Looks for the end of the event in bytes that are not none.
    pub(super) fn cut(&mut self, rest: &[u8]) -> Cut {
        if let Self::Bom(seen) = *self {
            let bom = BOM.get(seen..).unwrap_or_default();
            let common = bom.iter().zip(rest).take_while(|(bom, byte)| bom == byte).count();
            if common == bom.len() {
                *self = Self::Start;
                return Cut::Other(common);
            }
            if common == rest.len() {
                *self = Self::Bom(seen.saturating_add(common));
                return Cut::More;
            }
            *self = if seen == 0 { Self::Start } else { Self::Line };
        }
        if *self == Self::BlankCr {
            *self = Self::Start;
            if rest.first() == Some(&LF) {
                return Cut::Behind(1);
            }
        }
        let mut tail = rest;
        while let Some((&first, behind)) = tail.split_first() {
            if *self == Self::LineCr {
                *self = Self::Start;
                if first == LF {
                    tail = behind;
                    continue;
                }
            }
            let Some((line, end, behind)) = line(tail) else {
                *self = Self::Line;
                return Cut::More;
            };
            tail = behind;
            let is_blank = *self == Self::Start && line.is_empty();
            *self = match (end, is_blank) {
                (CR, true) => Self::BlankCr,
                (CR, false) => Self::LineCr,
                _ => Self::Start,
            };
            if is_blank {
                return Cut::End(rest.len().saturating_sub(tail.len()));
            }
        }
        Cut::More
    }
}

/// The first line, the byte that ends it, and what follows; None if nothing ends it.
#[inline]
fn line(text: &[u8]) -> Option<(&[u8], u8, &[u8])> {
    let (line, behind) = text.split_at_checked(memchr2(LF, CR, text)?)?;
    let (&end, behind) = behind.split_first()?;
    Some((line, end, behind))
}

/// The event in some lines, if they have data.
pub(super) fn message(raw: &[u8]) -> Option<Message<'_>> {
    let mut event: &[u8] = &[];
    let mut data: Option<Cow<'_, [u8]>> = None;
    let mut rest = raw;
    while !rest.is_empty() {
        // Here a blank line stands between CR and LF. It has no field, and the end of the event is known.
        let (line, _, behind) = line(rest).unwrap_or((rest, LF, &[]));
        rest = behind;
        if let Some(value) = value(line, b"data") {
            match &mut data {
                None => data = Some(Cow::Borrowed(value)),
                Some(data) => {
                    let data = data.to_mut();
                    data.push(LF);
                    data.extend_from_slice(value);
                }
            }
        } else if let Some(value) = value(line, b"event") {
            event = value;
        }
    }
    Some(Message { event, error: false, data: data? })
}

/// The value of the field, if the line has that name.
fn value<'a>(line: &'a [u8], name: &[u8]) -> Option<&'a [u8]> {
    match line.strip_prefix(name)?.split_first() {
        // Without a colon the whole line is the name.
        None => Some(&[]),
        Some((b':', value)) => Some(value.strip_prefix(b" ").unwrap_or(value)),
        Some(_) => None,
    }
}
