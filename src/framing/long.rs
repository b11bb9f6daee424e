//! A message that is too long to be held: which of its bytes are what it says, as they pass.

use memchr::{memchr2, memchr3};

use super::aws::Frame;
use super::{Part, Reader, Run, other};

/// How many bytes of the name of an SSE event are kept.
const MAX_EVENT: usize = 64;

/// The longest name of a field that is looked at, in bytes.
const MAX_FIELD: usize = "event".len();

/// Where in a message the next byte is.
#[derive(Clone, Debug)]
pub(super) enum Long {
    /// In an SSE event.
    Event(Event),
    /// In a line or an element, all of which is what it says.
    Plain,
    /// In an AWS frame.
    Frame(Frame),
}

/// Where in an SSE event the next byte is.
#[derive(Clone, Debug, Default)]
pub(super) struct Event {
    at: At,
    /// The name of the current field, and one byte more of one that is too long.
    field: Vec<u8>,
    /// The name of the event.
    name: Vec<u8>,
}

#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
enum At {
    /// In the name of a field.
    #[default]
    Field,
    /// Behind the colon, where one space does not count.
    Colon,
    /// In a value.
    Value,
}

impl Long {
    /// At the first byte of a message.
    pub(super) fn new(reader: &Reader) -> Self {
        match reader {
            Reader::Sse(_) => Self::Event(Event::default()),
            Reader::Aws(_) => Self::Frame(Frame::default()),
            Reader::Lines | Reader::Array(_) | Reader::Broken => Self::Plain,
        }
    }

    /// Hands out the next bytes of the message.
    pub(super) fn feed(&mut self, bytes: &[u8], sink: &mut dyn FnMut(Part<'_>)) {
        match self {
            Self::Event(event) => event.feed(bytes, sink),
            Self::Plain => data(bytes, bytes, sink),
            Self::Frame(frame) => frame.feed(bytes, sink),
        }
    }

    /// The message ends. Tells whether it is intact, as far as it says how to know.
    pub(super) fn end(self, sink: &mut dyn FnMut(Part<'_>)) -> bool {
        let (event, error, intact) = match &self {
            Self::Event(event) => (event.name.as_slice(), false, true),
            Self::Plain => (&[][..], false, true),
            Self::Frame(frame) => frame.end(),
        };
        sink(Part { raw: &[], message: None, run: Some(Run::End { event, error }), continues: false });
        intact
    }
}

/// Hands out bytes that say something.
pub(super) fn data(raw: &[u8], data: &[u8], sink: &mut dyn FnMut(Part<'_>)) {
    if !raw.is_empty() {
        sink(Part { raw, message: None, run: Some(Run::Data(data)), continues: false });
    }
}

impl Event {
    fn feed(&mut self, bytes: &[u8], sink: &mut dyn FnMut(Part<'_>)) {
        let mut rest = bytes;
        while let Some(first) = rest.first() {
            let (length, next) = match self.at {
                At::Field => match memchr3(b':', b'\n', b'\r', rest) {
                    Some(end) if rest.get(end) == Some(&b':') => (end.saturating_add(1), At::Colon),
                    Some(end) => (end.saturating_add(1), At::Field),
                    None => (rest.len(), At::Field),
                },
                At::Colon => (usize::from(*first == b' '), At::Value),
                At::Value => match memchr2(b'\n', b'\r', rest) {
                    // The end of a line parts what two lines of data say.
                    Some(0) => (1, At::Field),
                    Some(end) => (end, At::Value),
                    None => (rest.len(), At::Value),
                },
            };
            let (piece, behind) = rest.split_at_checked(length).unwrap_or((rest, &[]));
            rest = behind;
            match self.at {
                At::Field => {
                    let name = piece.strip_suffix(b":").unwrap_or(piece);
                    let room = MAX_FIELD.saturating_add(1).saturating_sub(self.field.len());
                    self.field.extend_from_slice(name.get(..room).unwrap_or(name));
                    if next == At::Field && piece.ends_with(b"\n") | piece.ends_with(b"\r") {
                        self.field.clear();
                    }
                    if next == At::Colon && self.field == b"event" {
                        self.name.clear();
                    }
                    other(piece, sink);
                }
                At::Value if self.field == b"data" => {
                    let says = if next == At::Field { b"\n" } else { piece };
                    data(piece, says, sink);
                }
                At::Value if self.field == b"event" && next == At::Value => {
                    let room = MAX_EVENT.saturating_sub(self.name.len());
                    self.name.extend_from_slice(piece.get(..room).unwrap_or(piece));
                    other(piece, sink);
                }
                At::Colon | At::Value => other(piece, sink),
            }
            if self.at == At::Value && next == At::Field {
                self.field.clear();
            }
            self.at = next;
        }
    }
}
