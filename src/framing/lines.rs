//! Lines that end in LF or CRLF.

use std::borrow::Cow;

use memchr::memchr;

use super::{Cut, Message};

/// Looks for the end of the line.
pub(super) fn cut(rest: &[u8]) -> Cut {
    memchr(b'\n', rest).map_or(Cut::More, |end| Cut::End(end.saturating_add(1)))
}

/// The line without its end, if it is not blank.
pub(super) fn message(raw: &[u8]) -> Option<Message<'_>> {
    let line = raw.strip_suffix(b"\n").unwrap_or(raw);
    let line = line.strip_suffix(b"\r").unwrap_or(line);
    (!line.trim_ascii_start().is_empty()).then_some(Message { event: &[], error: false, data: Cow::Borrowed(line) })
}
