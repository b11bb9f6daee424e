//! The body of a request that is wanted as a whole, while its pieces come.
//!
//! Each piece is taken out of the host's buffer, so that the host's limits on what it buffers do not count: Envoy's is
//! 1 MiB unless it is raised, Higress's and Envoy Gateway's are 32 KiB. The whole body takes the place of its last piece.

use super::parked::Owner;
use crate::error::Error;
use crate::memory::{self, GivenUp, Memory};

/// The longest body of unknown length, in bytes, that may end with trailers.
///
/// When trailers come there is no last piece any more whose place the body could take. Then it goes into the host's
/// buffer. For that, the host has to be told at the piece before to keep one, and what comes next goes through it as
/// well, even if it is the last piece. The buffer holds no more than the host's limit: 32 KiB at the least, less the
/// 16 KiB of a frame of HTTP/2.
pub const MAX_WITH_TRAILERS: usize = 8 << 10;

/// Headers of no more than this, in bytes, are not counted while they wait. A host keeps many times as much for each stream
/// anyway; and so few bytes are worth nobody's answer when room is needed.
const SMALL_HEADERS: usize = 4 << 10;

/// What the host does after a piece was taken out of its buffer. The headers, where they are held, stay held.
///
/// Both are data statuses of proxy-wasm, in every ABI from 0.1.0 to 0.2.1 and in Higress's 0.2.100.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Withhold {
    /// It goes on with what comes, and keeps a buffer (`StopIterationAndBuffer`). What is in it counts against the limit
    /// of the host.
    Buffer,
    /// It goes on with what comes (`StopIterationAndWatermark`). Nothing of the body is refused for its size: what is
    /// put in place of the last piece only slows the client down.
    Stream,
}

/// What has come of a body so far.
pub(super) struct Held {
    /// Where the pieces are, once there are some.
    pieces: Option<memory::Held>,
    /// How many bytes they have.
    size: usize,
    /// How long the body may be, in bytes.
    limit: u64,
    /// How long it will be, if its headers tell.
    length: Option<u64>,
    /// Whether the host is told to keep a buffer while the body is short, because trailers may end it.
    trailers: bool,
    /// Whether the host has a buffer now.
    buffered: bool,
}

impl Held {
    /// Nothing yet. A body whose length is known is complete before trailers come.
    pub(super) const fn new(limit: u64, length: Option<u64>) -> Self {
        Self { pieces: None, size: 0, limit, length, trailers: length.is_none(), buffered: false }
    }

    /// Counts the headers that wait, or are needed, until the body is complete. `size` is that of all names and values.
    ///
    /// # Errors
    /// There is no room for them.
    pub(super) fn count_headers(&mut self, size: usize, memory: &Memory, owner: Owner) -> Result<(), Error> {
        if size <= SMALL_HEADERS {
            return Ok(());
        }
        self.pieces(memory, owner).reserve(size).map_err(GivenUp::error)
    }

    fn pieces(&mut self, memory: &Memory, owner: Owner) -> &mut memory::Held {
        self.pieces.get_or_insert_with(|| memory::Held::new(memory, owner.context, owner.dialect))
    }

    /// Whether trailers may end it before it is known to be complete.
    pub(super) const fn expects_trailers(&self) -> bool {
        self.trailers
    }

    /// No trailers will come.
    pub(super) const fn rule_out_trailers(&mut self) {
        self.trailers = false;
    }

    /// Whether nothing was kept yet.
    pub(super) const fn is_empty(&self) -> bool {
        self.size == 0
    }

    /// Whether the body ends with a piece of this size. A host lets no client send more than it has announced.
    pub(super) fn ends_with(&self, size: usize) -> bool {
        size > 0 && self.length == u64::try_from(self.size.saturating_add(size)).ok()
    }

    /// Whether the body can be sent now that trailers end it.
    pub(super) const fn fits_trailers(&self) -> bool {
        self.is_empty() || self.buffered
    }

    /// What the host is to do until the next piece.
    pub(super) fn withhold(&mut self) -> Withhold {
        self.buffered = self.trailers && self.size <= MAX_WITH_TRAILERS;
        if self.buffered { Withhold::Buffer } else { Withhold::Stream }
    }

    /// Whether the body may be longer by so many bytes.
    ///
    /// # Errors
    /// It may not.
    pub(super) fn fits(&self, size: usize) -> Result<(), Error> {
        let size = u64::try_from(self.size.saturating_add(size)).unwrap_or(u64::MAX);
        if size > self.limit { Err(Error::BodyTooLarge) } else { Ok(()) }
    }

    /// Keeps a piece.
    ///
    /// # Errors
    /// The body is longer than it may be, or the stream was or is given up for want of room.
    pub(super) fn push(&mut self, piece: &[u8], memory: &Memory, owner: Owner) -> Result<(), Error> {
        self.fits(piece.len())?;
        self.pieces(memory, owner).push(piece).map_err(GivenUp::error)?;
        self.size = self.size.saturating_add(piece.len());
        Ok(())
    }

    /// All of it.
    ///
    /// # Errors
    /// The stream was given up for want of room.
    pub(super) fn take(&mut self) -> Result<Vec<u8>, Error> {
        self.size = 0;
        self.pieces.take().map_or_else(|| Ok(Vec::new()), |mut pieces| pieces.take().map_err(GivenUp::error))
    }

    /// Why the stream was given up, if it was.
    pub(super) fn given_up(&self) -> Option<GivenUp> {
        self.pieces.as_ref().and_then(memory::Held::given_up)
    }
}
