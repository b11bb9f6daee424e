//! Unpacks bodies that are compressed, as they pass: gzip, deflate and Zstandard.
//!
//! Memory is bounded by the window of each format, time by what comes in: nothing may unpack to more than
//! [`MAX_RATIO`] times its size, or to more than a limit of the caller's.

mod deflate;
#[cfg(test)]
mod tests;
mod zstd;

/// How many bytes one byte may unpack to. Text reaches ten, very regular text a hundred; deflate can reach a thousand,
/// and Zstandard far more.
pub const MAX_RATIO: u64 = 200;

/// What may come out whatever came in, in bytes: at first, a ratio says nothing.
const FREE: u64 = 64 * 1024;

/// How many bytes are unpacked in one callback, so that other requests of the worker have their turn, in bytes. The last
/// piece of a request body is the exception: behind it there is no other callback in which a host takes the rest.
pub const MAX_AT_ONCE: usize = 4 * 1024 * 1024;

/// Takes what has been unpacked.
pub type Sink<'s> = &'s mut dyn FnMut(&[u8]);

/// A way in which a body is compressed.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Coding {
    /// `gzip`, `x-gzip`
    Gzip,
    /// `deflate`: zlib's format, or bare data.
    Deflate,
    /// `zstd`
    Zstd,
}

/// What the values of `content-encoding` say.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Encoding {
    /// Nothing, or `identity` only.
    Plain,
    /// This coding.
    Packed(Coding),
    /// Another coding, or several.
    Unknown,
}

impl Encoding {
    /// Reads the values of all `content-encoding` headers of a message.
    #[must_use]
    pub fn of<'h>(values: impl Iterator<Item = &'h [u8]>) -> Self {
        let mut found = Self::Plain;
        for name in values.flat_map(|value| value.split(|byte| *byte == b',')) {
            let name = name.trim_ascii();
            let is = |known: &str| name.eq_ignore_ascii_case(known.as_bytes());
            if name.is_empty() || is("identity") {
                continue;
            }
            if found != Self::Plain {
                return Self::Unknown;
            }
            found = if is("gzip") || is("x-gzip") {
                Self::Packed(Coding::Gzip)
            } else if is("deflate") {
                Self::Packed(Coding::Deflate)
            } else if is("zstd") {
                Self::Packed(Coding::Zstd)
            } else {
                Self::Unknown
            };
        }
        found
    }
}

/// Why a body cannot be unpacked.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Fault {
    /// It is not what its coding makes, or ends too early.
    Broken,
    /// It unpacks to more than it may.
    TooLarge,
}

/// Unpacks one body.
pub struct Unpacker {
    decoder: Decoder,
    /// How many bytes it may unpack to.
    limit: u64,
    taken: u64,
    made: u64,
    fault: Option<Fault>,
}

enum Decoder {
    Deflate(Box<deflate::Decoder>),
    Zstd(Box<zstd::Decoder>),
}

impl Unpacker {
    /// For a body of this coding, which may unpack to `limit` bytes.
    #[must_use]
    pub fn new(coding: Coding, limit: u64) -> Self {
        let decoder = match coding {
            Coding::Gzip => Decoder::Deflate(Box::new(deflate::Decoder::gzip())),
            Coding::Deflate => Decoder::Deflate(Box::new(deflate::Decoder::zlib_or_bare())),
            Coding::Zstd => Decoder::Zstd(Box::default()),
        };
        Self { decoder, limit, taken: 0, made: 0, fault: None }
    }

    /// Takes bytes from the front of `input` and hands out what they hold, until all are taken or at least `room` bytes
    /// have come out; true where there may be more in what was taken and is left.
    ///
    /// # Errors
    /// The body cannot be unpacked. Every later call gives the same error.
    pub fn feed(&mut self, input: &mut &[u8], room: usize, sink: Sink<'_>) -> Result<bool, Fault> {
        if let Some(fault) = self.fault {
            return Err(fault);
        }
        let mut made = 0_usize;
        loop {
            let before = input.len();
            let mut count = 0_usize;
            let mut counting = |bytes: &[u8]| {
                count = count.saturating_add(bytes.len());
                sink(bytes);
            };
            let stepped = match &mut self.decoder {
                Decoder::Deflate(decoder) => decoder.step(input, &mut counting),
                Decoder::Zstd(decoder) => decoder.step(input, &mut counting),
            };
            made = made.saturating_add(count);
            self.taken = self.taken.saturating_add(before.saturating_sub(input.len()) as u64);
            self.made = self.made.saturating_add(count as u64);
            let most = self.taken.saturating_mul(MAX_RATIO).saturating_add(FREE).min(self.limit);
            let more = stepped.and_then(|more| if self.made > most { Err(Fault::TooLarge) } else { Ok(more) });
            match more {
                Err(fault) => {
                    self.fault = Some(fault);
                    return Err(fault);
                }
                Ok(false) => return Ok(false),
                Ok(true) if made >= room => return Ok(true),
                Ok(true) => {}
            }
        }
    }

    /// How much memory it has taken, in bytes.
    #[must_use]
    pub fn allocated(&self) -> usize {
        match &self.decoder {
            Decoder::Deflate(_) => deflate::Decoder::MEMORY,
            Decoder::Zstd(decoder) => decoder.allocated(),
        }
    }

    /// Ends the body.
    ///
    /// # Errors
    /// It is not complete, or could not be unpacked before.
    pub fn finish(&self) -> Result<(), Fault> {
        let complete = match &self.decoder {
            Decoder::Deflate(decoder) => decoder.is_complete(),
            Decoder::Zstd(decoder) => decoder.is_complete(),
        };
        match self.fault {
            Some(fault) => Err(fault),
            None if complete => Ok(()),
            None => Err(Fault::Broken),
        }
    }
}
