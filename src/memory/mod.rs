//! One budget for everything that the requests of a VM keep in memory.
//!
//! A host gives a VM a fixed amount of memory (Envoy with V8: 1 GiB), and a VM that asks for more dies with all its
//! streams. What one request keeps is bounded in each place; how many requests there are is for clients to say. So
//! every place that keeps bytes of a client or an upstream counts them here, and one that finds no room gives up
//! something that can be spared.
//!
//! | what | holder | how much of the budget | when it is full |
//! |---|---|---|---|
//! | bodies and unfinished members of requests, their decoders, long headers that wait | [`Held`] | three quarters, one stream a quarter | a stream is answered: [`GivenUp`] |
//! | unfinished events, captured values, decoders of responses | [`Claim`] | a quarter | it is refused: the holder does without |
//! | copies of bodies for attributes | [`BodyCopy`] | whatever is free | the copy that grew least recently is dropped |
//!
//! So copies go first, because no request needs them. Of streams, the one goes first that has received nothing for the
//! longest time, if that is longer than [`STALLED_AFTER_NS`]; a stream that still receives is never given up for one
//! that came later.
//!
//! Counted is what is allocated, not only what is used of it.

mod copy;
mod held;
#[cfg(test)]
mod tests;

use std::cell::RefCell;
use std::rc::Rc;

pub use self::copy::BodyCopy;
use self::copy::Copies;
use self::held::Holders;
pub use self::held::{GivenUp, Held, Victim};

/// The budget of a VM where nothing is configured, in bytes.
pub const DEFAULT_LIMIT: usize = 128 << 20;

/// The least budget that can be configured, in bytes: below it not even one body of Envoy's default buffer fits.
pub const MIN_LIMIT: usize = 4 << 20;

/// A held stream that has received nothing for so long makes room for others, in nanoseconds.
pub const STALLED_AFTER_NS: u64 = 1_000_000_000;

/// What is refused last: a claim of no more than this, in bytes, may use all of its part; a larger one leaves a quarter
/// of it free. A few clients with long events thus cannot take the little that everybody else needs.
pub const SMALL_CLAIM: usize = 16 << 10;

/// Where a budget of so many parts reports a change of its size: see [`Memory::change`].
const REPORT_STEPS: usize = 64;

/// The budget. A clone is the same budget.
#[derive(Clone)]
pub struct Memory(Rc<Shared>);

struct Shared {
    /// Nanoseconds from a beginning of its own.
    clock: fn() -> u64,
    pool: RefCell<Pool>,
}

/// What is counted.
struct Pool {
    /// In bytes.
    limit: usize,
    /// What each configuration of the VM asks for, by its root context.
    asked: Vec<(u32, usize)>,
    /// What is claimed, in bytes.
    claimed: usize,
    holders: Holders,
    copies: Copies,
    /// What was reported last, in bytes.
    reported: usize,
}

impl Default for Memory {
    /// The default budget, and time stands still.
    fn default() -> Self {
        Self::new(|| 0)
    }
}

impl Memory {
    /// The default budget. `clock` gives nanoseconds from any beginning; it is asked only when a stream is held.
    #[must_use]
    pub fn new(clock: fn() -> u64) -> Self {
        let pool = Pool {
            limit: DEFAULT_LIMIT,
            asked: Vec::new(),
            claimed: 0,
            holders: Holders::default(),
            copies: Copies::default(),
            reported: 0,
        };
        Self(Rc::new(Shared { clock, pool: RefCell::new(pool) }))
    }

    /// Notes what the configuration of a root context asks for, in bytes; `None` where it says nothing or is gone. A VM
    /// has one memory: the smallest budget that any of its configurations asks for holds, the default if none does.
    pub fn configure(&self, root: u32, limit: Option<usize>) {
        self.with(|pool| {
            pool.asked.retain(|(known, _)| *known != root);
            pool.asked.extend(limit.map(|limit| (root, limit.max(MIN_LIMIT))));
            pool.limit = pool.asked.iter().map(|(_, limit)| *limit).min().unwrap_or(DEFAULT_LIMIT);
        });
    }

    /// The budget, in bytes.
    #[must_use]
    pub fn limit(&self) -> usize {
        self.with(|pool| pool.limit).unwrap_or(DEFAULT_LIMIT)
    }

    /// What is kept now, in bytes.
    #[must_use]
    pub fn used(&self) -> usize {
        self.with(|pool| pool.used()).unwrap_or_default()
    }

    /// By how much the amount has changed since it was last asked for, in bytes, if that is worth a call of the host: by
    /// a 64th of the budget, or to nothing.
    #[must_use]
    pub fn change(&self) -> Option<i64> {
        self.with(|pool| {
            let used = pool.used();
            let difference = used.abs_diff(pool.reported);
            if difference == 0 || (used != 0 && difference < pool.limit / REPORT_STEPS) {
                return None;
            }
            let sign = if used > pool.reported { 1 } else { -1 };
            pool.reported = used;
            i64::try_from(difference).ok()?.checked_mul(sign)
        })
        .flatten()
    }

    /// Nothing, to be made more of.
    #[must_use]
    pub fn claim(&self) -> Claim {
        Claim { memory: self.clone(), bytes: 0 }
    }

    fn now(&self) -> u64 {
        (self.0.clock)()
    }

    /// `None` is for the compiler: nobody who is called from here calls back.
    fn with<R>(&self, act: impl FnOnce(&mut Pool) -> R) -> Option<R> {
        self.0.pool.try_borrow_mut().ok().map(|mut pool| act(&mut pool))
    }
}

impl Pool {
    const fn used(&self) -> usize {
        self.claimed.saturating_add(self.holders.bytes()).saturating_add(self.copies.bytes())
    }

    /// The part of streams that are held, in bytes.
    const fn held_limit(&self) -> usize {
        self.limit.saturating_sub(self.claim_limit())
    }

    /// The part of claims; also the most that one stream may hold. In bytes.
    const fn claim_limit(&self) -> usize {
        self.limit / 4
    }

    /// Drops copies until so many bytes fit into the budget; false if that does not suffice.
    fn make_room(&mut self, bytes: usize) -> bool {
        loop {
            let over = self.used().saturating_add(bytes).saturating_sub(self.limit);
            if over == 0 {
                return true;
            }
            if !self.copies.drop_oldest() {
                return false;
            }
        }
    }

    fn claim(&mut self, before: usize, after: usize) -> bool {
        let more = after.saturating_sub(before);
        if more > 0 {
            let kept_free = if after > SMALL_CLAIM { self.claim_limit() / 4 } else { 0 };
            let part = self.claim_limit().saturating_sub(kept_free);
            if self.claimed.saturating_add(more) > part || !self.make_room(more) {
                return false;
            }
        }
        self.claimed = self.claimed.saturating_sub(before).saturating_add(after);
        true
    }
}

/// Bytes that somebody keeps. They are given back when this is dropped.
pub struct Claim {
    memory: Memory,
    bytes: usize,
}

impl Claim {
    /// Claims so many bytes in place of those before. If there is no room for them, all are given back and the answer is
    /// false: whoever asks lets go of what it keeps.
    #[must_use]
    pub fn resize(&mut self, bytes: usize) -> bool {
        if bytes == self.bytes {
            return true;
        }
        let granted = self.memory.with(|pool| pool.claim(self.bytes, bytes)).unwrap_or_default();
        if granted {
            self.bytes = bytes;
        } else {
            self.release();
        }
        granted
    }

    /// How many bytes are claimed.
    #[must_use]
    pub const fn bytes(&self) -> usize {
        self.bytes
    }

    fn release(&mut self) {
        let bytes = core::mem::take(&mut self.bytes);
        if bytes > 0 {
            self.memory.with(|pool| pool.claimed = pool.claimed.saturating_sub(bytes));
        }
    }
}

impl Drop for Claim {
    fn drop(&mut self) {
        self.release();
    }
}

/// The capacity that a buffer of this length and capacity gets for so many bytes more: at least twice what it has, so
/// that bytes which come one by one are not moved each time.
fn grown(length: usize, capacity: usize, more: usize) -> usize {
    let needed = length.saturating_add(more);
    if needed <= capacity { capacity } else { needed.max(capacity.saturating_mul(2)) }
}
