//! Bytes of requests that cannot go on without them: bodies that are wanted as a whole, and members of bodies that are
//! not complete yet.
//!
//! They belong to the budget between two callbacks of a stream, so that a stream whose client has fallen silent can be
//! given up at once, without waiting for its next callback, which may never come.

use super::{Memory, Pool, STALLED_AFTER_NS, grown};
use crate::error::Error;
use crate::operation::Dialect;

/// How many bytes are made room for at once, at most, when a piece is kept: a long body then is a list of blocks that
/// are never moved, and what is counted for it is hardly more than what came.
const BLOCK: usize = 64 << 10;

/// Why a stream was given up.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum GivenUp {
    /// It had received nothing for the longest time.
    Stalled,
    /// There was no room for it: of those that still receive it was the largest that is not older than the one that
    /// needed the room.
    NoRoom,
    /// It alone would take more than a quarter of the budget.
    TooLarge,
}

impl GivenUp {
    /// The answer to the client.
    #[must_use]
    pub const fn error(self) -> Error {
        match self {
            Self::Stalled => Error::BodyTimeout,
            Self::NoRoom => Error::OverCapacity,
            Self::TooLarge => Error::BodyTooLarge,
        }
    }
}

/// A stream that was given up while another one was served. Its client waits for an answer.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Victim {
    /// The HTTP context of the stream.
    pub context: u32,
    /// Why.
    pub why: GivenUp,
    /// What its client speaks.
    pub dialect: Dialect,
}

/// What one stream holds. All of it is given back when this is dropped.
pub struct Held {
    memory: Memory,
    id: u64,
}

impl Held {
    /// Nothing yet. `context` is the stream's, for [`Memory::victims`].
    #[must_use]
    pub fn new(memory: &Memory, context: u32, dialect: Dialect) -> Self {
        let now = memory.now();
        let id = memory.with(|pool| pool.holders.begin(context, dialect, now)).unwrap_or_default();
        Self { memory: memory.clone(), id }
    }

    /// Counts so many bytes that the stream keeps elsewhere, in place of those counted before, until it ends.
    ///
    /// # Errors
    /// The stream is given up, and is to be answered now.
    pub fn reserve(&mut self, bytes: usize) -> Result<(), GivenUp> {
        self.change(|pool, place| {
            let before = pool.holders.list.get(place).map_or(0, |holder| holder.elsewhere);
            pool.room_for(place, bytes.saturating_sub(before), 0)?;
            pool.holders.reserve(place, bytes);
            Ok(())
        })
    }

    /// Keeps a piece that came, behind those before.
    ///
    /// # Errors
    /// The stream is given up, and is to be answered now.
    pub fn push(&mut self, piece: &[u8]) -> Result<(), GivenUp> {
        self.change(|pool, place| {
            let more = pool.holders.needs(place, piece.len());
            pool.room_for(place, more, piece.len())?;
            pool.holders.push(place, piece);
            Ok(())
        })
    }

    /// Keeps bytes that the stream takes out again for its next callback.
    ///
    /// # Errors
    /// The stream is given up, and is to be answered now.
    pub fn park(&mut self, bytes: Vec<u8>) -> Result<(), GivenUp> {
        self.change(|pool, place| {
            pool.room_for(place, bytes.capacity(), bytes.len())?;
            pool.holders.add(place, bytes);
            Ok(())
        })
    }

    /// Takes out all that is kept, in one piece.
    ///
    /// # Errors
    /// The stream was given up, and is to be answered now.
    pub fn take(&mut self) -> Result<Vec<u8>, GivenUp> {
        self.act(|pool, place| Ok(pool.holders.take(place)))
    }

    /// How many bytes of a body are kept.
    #[must_use]
    pub fn len(&self) -> usize {
        self.memory.with(|pool| pool.holders.get(self.id).map_or(0, |holder| holder.length)).unwrap_or_default()
    }

    /// Whether none are.
    #[must_use]
    pub fn is_empty(&self) -> bool {
        self.len() == 0
    }

    /// Why the stream was given up, if it was.
    #[must_use]
    pub fn given_up(&self) -> Option<GivenUp> {
        self.memory.with(|pool| pool.holders.get(self.id)?.given_up).flatten()
    }

    /// Lets the stream keep more; it has just received something.
    fn change(&mut self, act: impl FnOnce(&mut Pool, usize) -> Result<(), GivenUp>) -> Result<(), GivenUp> {
        let now = self.memory.now();
        self.act(|pool, place| {
            pool.holders.received(place, now);
            act(pool, place)
        })
    }

    /// Acts for the stream unless it is given up. Whoever is told here that it is answers it, so that nobody else does.
    fn act<R>(&mut self, act: impl FnOnce(&mut Pool, usize) -> Result<R, GivenUp>) -> Result<R, GivenUp> {
        let id = self.id;
        let result = self.memory.with(|pool| {
            let Some(place) = pool.holders.place(id) else { return Err(GivenUp::NoRoom) };
            let result = match pool.holders.get(id).and_then(|holder| holder.given_up) {
                Some(why) => Err(why),
                None => act(pool, place),
            };
            if let Err(why) = result {
                pool.holders.give_up(place, why);
                pool.holders.answered(place);
            }
            result
        });
        result.unwrap_or(Err(GivenUp::NoRoom))
    }
}

impl Drop for Held {
    fn drop(&mut self) {
        self.memory.with(|pool| pool.holders.end(self.id));
    }
}

impl Memory {
    /// Streams that were given up and have not been answered, at most so many. Each is told once.
    #[must_use]
    pub fn victims(&self, most: usize) -> Vec<Victim> {
        self.with(|pool| pool.holders.victims(most)).unwrap_or_default()
    }

    /// Whether there are such streams.
    #[must_use]
    pub fn has_victims(&self) -> bool {
        self.with(|pool| pool.holders.unanswered > 0).unwrap_or_default()
    }
}

/// One stream.
struct Holder {
    id: u64,
    context: u32,
    dialect: Dialect,
    blocks: Vec<Vec<u8>>,
    /// What stands in the blocks, in bytes.
    length: usize,
    /// What is allocated for them, in bytes.
    capacity: usize,
    /// What the stream keeps elsewhere, in bytes.
    elsewhere: usize,
    /// When something came last, in nanoseconds.
    received: u64,
    given_up: Option<GivenUp>,
    answered: bool,
}

impl Holder {
    /// What is free in the last block, and how long that is, in bytes.
    fn last_block(&self) -> (usize, usize) {
        self.blocks.last().map_or((0, 0), |last| (last.capacity().saturating_sub(last.len()), last.capacity()))
    }

    const fn bytes(&self) -> usize {
        self.capacity.saturating_add(self.elsewhere)
    }

    /// What comes back to the budget when it is given up, now or when it is answered.
    const fn gain(&self) -> Option<usize> {
        let bytes = self.bytes();
        if self.given_up.is_none() && bytes > 0 { Some(bytes) } else { None }
    }
}

/// All streams of a VM that hold something.
#[derive(Default)]
pub(super) struct Holders {
    /// In the order in which they began.
    list: Vec<Holder>,
    last_id: u64,
    bytes: usize,
    /// How many were given up and not answered.
    unanswered: usize,
}

impl Holders {
    pub(super) const fn bytes(&self) -> usize {
        self.bytes
    }

    fn begin(&mut self, context: u32, dialect: Dialect, now: u64) -> u64 {
        self.last_id = self.last_id.saturating_add(1);
        self.list.push(Holder {
            id: self.last_id,
            context,
            dialect,
            blocks: Vec::new(),
            length: 0,
            capacity: 0,
            elsewhere: 0,
            received: now,
            given_up: None,
            answered: false,
        });
        self.last_id
    }

    fn place(&self, id: u64) -> Option<usize> {
        self.list.binary_search_by_key(&id, |holder| holder.id).ok()
    }

    fn get(&self, id: u64) -> Option<&Holder> {
        self.list.get(self.place(id)?)
    }

    fn received(&mut self, place: usize, now: u64) {
        if let Some(holder) = self.list.get_mut(place) {
            holder.received = now;
        }
    }

    fn reserve(&mut self, place: usize, bytes: usize) {
        if let Some(holder) = self.list.get_mut(place) {
            let before = core::mem::replace(&mut holder.elsewhere, bytes);
            self.bytes = self.bytes.saturating_sub(before).saturating_add(bytes);
        }
    }

    /// How much has to be allocated for a piece.
    fn needs(&self, place: usize, piece: usize) -> usize {
        let (free, block) = self.list.get(place).map_or((0, 0), Holder::last_block);
        let rest = piece.saturating_sub(free);
        if rest == 0 { 0 } else { grown(0, block, rest).min(rest.max(BLOCK)) }
    }

    fn push(&mut self, place: usize, piece: &[u8]) {
        let size = self.needs(place, piece.len());
        let Some(holder) = self.list.get_mut(place) else { return };
        let (free, _) = holder.last_block();
        let (first, rest) = piece.split_at_checked(free).unwrap_or((piece, &[]));
        if let Some(last) = holder.blocks.last_mut() {
            last.extend_from_slice(first);
        }
        if !rest.is_empty() {
            let mut block = Vec::with_capacity(size);
            block.extend_from_slice(rest);
            holder.blocks.push(block);
            holder.capacity = holder.capacity.saturating_add(size);
            self.bytes = self.bytes.saturating_add(size);
        }
        holder.length = holder.length.saturating_add(piece.len());
    }

    fn add(&mut self, place: usize, bytes: Vec<u8>) {
        if let Some(holder) = self.list.get_mut(place) {
            let capacity = bytes.capacity();
            holder.length = holder.length.saturating_add(bytes.len());
            holder.blocks.push(bytes);
            holder.capacity = holder.capacity.saturating_add(capacity);
            self.bytes = self.bytes.saturating_add(capacity);
        }
    }

    /// Takes the blocks out; also says how many bytes stand in them.
    fn clear(&mut self, place: usize) -> (Vec<Vec<u8>>, usize) {
        let Some(holder) = self.list.get_mut(place) else { return (Vec::new(), 0) };
        self.bytes = self.bytes.saturating_sub(core::mem::take(&mut holder.capacity));
        (core::mem::take(&mut holder.blocks), core::mem::take(&mut holder.length))
    }

    fn take(&mut self, place: usize) -> Vec<u8> {
        let (mut blocks, length) = self.clear(place);
        if blocks.len() <= 1 {
            return blocks.pop().unwrap_or_default();
        }
        let mut whole = Vec::with_capacity(length);
        for block in blocks {
            whole.extend_from_slice(&block);
        }
        whole
    }

    /// Gives a stream up, whose memory comes back at once.
    fn give_up(&mut self, place: usize, why: GivenUp) {
        self.clear(place);
        if let Some(holder) = self.list.get_mut(place)
            && holder.given_up.is_none()
        {
            holder.given_up = Some(why);
            self.unanswered = self.unanswered.saturating_add(1);
        }
    }

    fn answered(&mut self, place: usize) {
        if let Some(holder) = self.list.get_mut(place)
            && holder.given_up.is_some()
            && !core::mem::replace(&mut holder.answered, true)
        {
            self.unanswered = self.unanswered.saturating_sub(1);
        }
    }

    fn end(&mut self, id: u64) {
        if let Some(place) = self.place(id) {
            self.clear(place);
            self.answered(place);
            let holder = self.list.remove(place);
            self.bytes = self.bytes.saturating_sub(holder.elsewhere);
            if self.list.is_empty() {
                self.list = Vec::new();
            }
        }
    }

    fn victims(&mut self, most: usize) -> Vec<Victim> {
        let mut victims = Vec::new();
        for holder in &mut self.list {
            if let Some(why) = holder.given_up.filter(|_| !holder.answered && victims.len() < most) {
                holder.answered = true;
                self.unanswered = self.unanswered.saturating_sub(1);
                victims.push(Victim { context: holder.context, why, dialect: holder.dialect });
            }
        }
        victims
    }

    /// The stream that has received nothing for the longest time, of those that fell silent.
    fn stalled(&self, place: usize, now: u64) -> Option<usize> {
        let silent = |holder: &Holder| now.saturating_sub(holder.received) >= STALLED_AFTER_NS;
        let others = self.list.iter().enumerate().filter(|(other, holder)| *other != place && silent(holder));
        let candidates = others.filter(|(_, holder)| holder.gain().is_some());
        candidates.min_by_key(|(_, holder)| holder.received).map(|(other, _)| other)
    }

    /// The largest of this stream, with what it needs, and of those that began after it.
    fn largest(&self, place: usize, needs: usize) -> usize {
        let own = self.list.get(place).map_or(0, Holder::bytes).saturating_add(needs);
        let later = self.list.iter().enumerate().skip(place.saturating_add(1));
        let candidates = later.filter_map(|(other, holder)| Some((other, holder.gain()?)));
        // Of two that are alike the later one goes.
        candidates.fold((place, own), |most, next| if next.1 >= most.1 { next } else { most }).0
    }
}

impl Pool {
    /// Makes room for so many bytes more of a stream that has just received something. `piece` is by how much its body
    /// grows.
    fn room_for(&mut self, place: usize, bytes: usize, piece: usize) -> Result<(), GivenUp> {
        let Some(holder) = self.holders.list.get(place) else { return Err(GivenUp::NoRoom) };
        let now = holder.received;
        if holder.length.saturating_add(piece) > self.claim_limit() {
            return Err(GivenUp::TooLarge);
        }
        // What comes back only when those that were given up are answered.
        let mut leaving = 0_usize;
        loop {
            let over = self.holders.bytes.saturating_add(bytes).saturating_sub(self.held_limit());
            if over == 0 {
                // Claims leave that much; copies are dropped.
                return if self.make_room(bytes) { Ok(()) } else { Err(GivenUp::NoRoom) };
            }
            if over <= leaving {
                return Err(GivenUp::NoRoom);
            }
            let (victim, why) = match self.holders.stalled(place, now) {
                Some(stalled) => (stalled, GivenUp::Stalled),
                None => (self.holders.largest(place, bytes), GivenUp::NoRoom),
            };
            if victim == place {
                return Err(GivenUp::NoRoom);
            }
            let elsewhere = self.holders.list.get(victim).map_or(0, |holder| holder.elsewhere);
            leaving = leaving.saturating_add(elsewhere);
            self.holders.give_up(victim, why);
        }
    }
}
