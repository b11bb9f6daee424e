//! The parameters of a header value, read strictly: `; name=token` and `; name="quoted"`.

/// What cannot be read in one way only.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) struct Malformed;

/// One parameter.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) struct Param<'a> {
    /// A token, in any case.
    pub(super) name: &'a [u8],
    /// What stands between the quotes, with its backslashes, or without quotes.
    pub(super) value: &'a [u8],
    /// Whether there were quotes.
    pub(super) quoted: bool,
}

/// What stands before the parameters, without space around it, and the parameters.
pub(super) fn split(value: &[u8]) -> (&[u8], Params<'_>) {
    let at = memchr::memchr(b';', value).unwrap_or(value.len());
    let (head, rest) = value.split_at_checked(at).unwrap_or((value, &[]));
    (trim(head), Params { rest })
}

/// Without spaces and tabs around it.
pub(super) fn trim(mut bytes: &[u8]) -> &[u8] {
    while let [b' ' | b'\t', rest @ ..] | [rest @ .., b' ' | b'\t'] = bytes {
        bytes = rest;
    }
    bytes
}

/// A character of a token (RFC 9110, 5.6.2).
pub(super) const fn is_token(byte: u8) -> bool {
    matches!(byte, b'!' | b'#'..=b'\'' | b'*' | b'+' | b'-' | b'.' | b'^'..=b'`' | b'|' | b'~')
        || byte.is_ascii_alphanumeric()
}

/// A character that may stand without quotes: those of a token, and those with which no parser ends a value.
const fn is_bare(byte: u8) -> bool {
    !matches!(byte, 0..=b' ' | b'"' | b',' | b';' | b'\\' | 0x7f)
}

/// The parameters that have not been read.
#[derive(Clone, Copy, Debug)]
pub(super) struct Params<'a> {
    rest: &'a [u8],
}

impl<'a> Params<'a> {
    /// The next parameter; empty ones are skipped.
    pub(super) fn next(&mut self) -> Result<Option<Param<'a>>, Malformed> {
        loop {
            self.rest = trim(self.rest);
            let [b';', rest @ ..] = self.rest else {
                return if self.rest.is_empty() { Ok(None) } else { Err(Malformed) };
            };
            self.rest = trim(rest);
            if !matches!(self.rest, [] | [b';', ..]) {
                return self.param().map(Some);
            }
        }
    }

    fn param(&mut self) -> Result<Param<'a>, Malformed> {
        let name = self.take(is_token);
        let [b'=', rest @ ..] = self.rest else { return Err(Malformed) };
        let quoted = matches!(rest, [b'"', ..]);
        let value = if let [b'"', inner @ ..] = rest {
            self.rest = inner;
            self.quoted()?
        } else {
            self.rest = rest;
            self.take(is_bare)
        };
        if name.is_empty() || (value.is_empty() && !quoted) {
            Err(Malformed)
        } else {
            Ok(Param { name, value, quoted })
        }
    }

    fn quoted(&mut self) -> Result<&'a [u8], Malformed> {
        let mut escaped = false;
        let inner = self.take(|byte| {
            let inside = escaped || byte != b'"';
            escaped = !escaped && byte == b'\\';
            inside
        });
        let [b'"', rest @ ..] = self.rest else { return Err(Malformed) };
        self.rest = rest;
        Ok(inner)
    }

    fn take(&mut self, mut of: impl FnMut(u8) -> bool) -> &'a [u8] {
        let at = self.rest.iter().position(|&byte| !of(byte)).unwrap_or(self.rest.len());
        let (taken, rest) = self.rest.split_at_checked(at).unwrap_or((self.rest, &[]));
        self.rest = rest;
        taken
    }
}
