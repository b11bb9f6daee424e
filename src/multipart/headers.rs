//! The headers of one part: whose value follows.

use core::ops::Range;

use memchr::memmem;

use super::error::Error;
use super::params::{self, Malformed, Param};

/// How long the headers of a part may be, in bytes without the empty line behind them.
pub const MAX_PART_HEADERS: usize = 16 * 1024;

/// What the headers say of their part.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(super) enum Part {
    /// It is not `model`.
    Other,
    /// It is `model`, and no file.
    Model(Option<Length>),
}

/// A Content-Length among the headers.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(super) struct Length {
    /// Where its digits are.
    pub(super) digits: Range<usize>,
    /// What they say, in bytes.
    pub(super) bytes: usize,
}

/// Reads the headers of a part: lines without the CRLF of the last one.
pub(super) fn read(block: &[u8]) -> Result<Part, Error> {
    let mut disposition = None;
    let mut own = Own::default();
    let mut start = 0usize;
    for line in block.split(|&byte| byte == b'\n') {
        let end = start.saturating_add(line.len());
        // All but the last one have been cut between CR and LF; a CR elsewhere is a control character.
        let line = if end == block.len() { line } else { line.strip_suffix(b"\r").ok_or(Error::Headers)? };
        if line.iter().any(|&byte| byte.is_ascii_control() && byte != b'\t') {
            return Err(Error::Headers);
        }
        let colon = memchr::memchr(b':', line).ok_or(Error::Headers)?;
        let (name, value) = line.split_at_checked(colon).ok_or(Error::Headers)?;
        let value = value.get(1..).unwrap_or_default();
        // Neither folding nor space before the colon gets past this.
        if name.is_empty() || !name.iter().all(|&byte| params::is_token(byte)) {
            return Err(Error::Headers);
        }
        if name.eq_ignore_ascii_case(b"content-disposition") {
            if disposition.replace(value).is_some() {
                return Err(Error::Name);
            }
        } else {
            own.header(name, value, start.saturating_add(colon).saturating_add(1));
        }
        start = end.saturating_add(1);
    }
    // Rack searches the whole block for it.
    if memmem::find_iter(&block.to_ascii_lowercase(), b"content-disposition").count() > 1 {
        return Err(Error::Name);
    }
    let Disposition { model, file, alone } = disposition_of(disposition.ok_or(Error::Name)?)?;
    match model {
        false => Ok(Part::Other),
        true if file => Err(Error::ModelIsFile),
        true if !alone => Err(Error::Name),
        true if own.encoded => Err(Error::ModelEncoded),
        true => Ok(Part::Model(own.length)),
    }
}

/// What the other headers say of a value.
#[derive(Debug, Default)]
struct Own {
    length: Option<Length>,
    content_type: bool,
    /// Whether the value is not what its bytes are.
    encoded: bool,
}

impl Own {
    fn header(&mut self, name: &[u8], value: &[u8], start: usize) {
        let name = name.to_ascii_lowercase();
        let text = params::trim(value);
        self.encoded |= match name.as_slice() {
            b"content-length" => {
                let blanks = value.iter().take_while(|&&byte| matches!(byte, b' ' | b'\t')).count();
                let start = start.saturating_add(blanks);
                let bytes = text.iter().all(u8::is_ascii_digit).then(|| core::str::from_utf8(text).ok()?.parse().ok());
                match bytes.flatten() {
                    Some(bytes) => {
                        let digits = start..start.saturating_add(text.len());
                        self.length.replace(Length { digits, bytes }).is_some()
                    }
                    None => true,
                }
            }
            b"content-type" => core::mem::replace(&mut self.content_type, true) || !is_plain(text),
            b"content-transfer-encoding" => {
                ![b"7bit".as_slice(), b"8bit", b"binary"].iter().any(|plain| text.eq_ignore_ascii_case(plain))
            }
            name => memmem::find(name, b"encoding").is_some(),
        }
    }
}

/// Whether a value of this content-type is its bytes.
fn is_plain(content_type: &[u8]) -> bool {
    let (kind, mut params) = params::split(content_type);
    let kind = kind.to_ascii_lowercase();
    if kind.starts_with(b"multipart/") || kind.starts_with(b"message/") {
        return false;
    }
    loop {
        match params.next() {
            Ok(None) => return true,
            Ok(Some(param)) if param.name.eq_ignore_ascii_case(b"charset") => {
                if ![b"utf-8".as_slice(), b"us-ascii"].iter().any(|plain| param.value.eq_ignore_ascii_case(plain)) {
                    return false;
                }
            }
            Ok(Some(param)) if param.name.to_ascii_lowercase().starts_with(b"charset") => return false,
            Ok(Some(_)) => {}
            Err(Malformed) => return false,
        }
    }
}

/// What a Content-Disposition says.
#[derive(Clone, Copy, Debug)]
struct Disposition {
    /// The name is `model`.
    model: bool,
    /// There is a filename of any kind, be it empty.
    file: bool,
    /// The name is the only parameter.
    alone: bool,
}

fn disposition_of(value: &[u8]) -> Result<Disposition, Error> {
    let (kind, mut params) = params::split(value);
    if !kind.eq_ignore_ascii_case(b"form-data") {
        return Err(Error::Name);
    }
    let mut name = None;
    let (mut file, mut alone) = (false, true);
    while let Some(param) = params.next().map_err(|Malformed| Error::Name)? {
        let key = param.name.to_ascii_lowercase();
        if key == b"name" {
            if name.replace(is_model(&param)?).is_some() {
                return Err(Error::Name);
            }
            continue;
        }
        // `name*`, `name*0` and so on are decoded into a name by some.
        if key.starts_with(b"name") || hides_name(param.value) {
            return Err(Error::Name);
        }
        alone = false;
        file |= key.starts_with(b"filename");
    }
    Ok(Disposition { model: name.ok_or(Error::Name)?, file, alone })
}

/// Whether a name is `model`.
fn is_model(name: &Param<'_>) -> Result<bool, Error> {
    if name.value == b"model" {
        return Ok(true);
    }
    let token = name.quoted || name.value.iter().all(|&byte| params::is_token(byte));
    if !token || name.value.contains(&b'\\') || memmem::find(name.value, b"=?").is_some() {
        return Err(Error::Name);
    }
    let plain = percent_decoded(name.value).to_ascii_lowercase();
    let cut = plain.iter().position(|&byte| byte == b'[' || byte == 0).unwrap_or(plain.len());
    let plain = plain.get(..cut).unwrap_or_default();
    let around = |byte: &u8| byte.is_ascii_whitespace() || byte.is_ascii_control() || matches!(byte, b'"' | b'\'');
    let start = plain.iter().position(|byte| !around(byte)).unwrap_or(plain.len());
    let end = plain.iter().rposition(|byte| !around(byte)).map_or(start, |last| last.saturating_add(1));
    if plain.get(start..end) == Some(b"model".as_slice()) { Err(Error::Name) } else { Ok(false) }
}

/// Whether a parser that ends a quoted value at an escaped quote, or splits at every semicolon, would find a name in this
/// value.
fn hides_name(value: &[u8]) -> bool {
    let bare: Vec<u8> = value
        .iter()
        .filter(|byte| !matches!(byte, b'\\' | b'"' | b'\'' | b' ' | b'\t'))
        .map(u8::to_ascii_lowercase)
        .collect();
    [b";name=".as_slice(), b";name*", b"name=model"].iter().any(|hidden| memmem::find(&bare, hidden).is_some())
}

/// With `%41` decoded.
fn percent_decoded(bytes: &[u8]) -> Vec<u8> {
    let mut out = Vec::with_capacity(bytes.len());
    let mut rest = bytes;
    while let [byte, tail @ ..] = rest {
        rest = tail;
        let escape = match tail {
            [high, low, after @ ..] if *byte == b'%' => hex(*high).zip(hex(*low)).zip(Some(after)),
            _ => None,
        };
        if let Some(((high, low), after)) = escape {
            out.push((high << 4) | low);
            rest = after;
        } else {
            out.push(*byte);
        }
    }
    out
}

fn hex(digit: u8) -> Option<u8> {
    char::from(digit).to_digit(16).and_then(|value| u8::try_from(value).ok())
}
