//! Finds out whether the host delivers a body while the headers of its request are held.
//!
//! Stock Envoy does so only with `allow_on_headers_stop_iteration`, and a filter cannot ask for it. Without it a held
//! request would hang for ever. So requests that are held are watched until one has told: a part of a body that comes
//! shows that the host delivers. Bytes that the host has received for a request, and has not delivered for as long as
//! the provider's `holdTimeout`, show that it does not. Then later requests are answered at once, and one is tried again
//! now and then, because a filter in front of this one may have kept the body back.
//!
//! A client that has sent nothing of its body tells nothing about the host, however long it takes. It is waited for, and
//! its time is the host's to bound. Otherwise one slow client could make the requests of all others fail.
//!
//! The work in one call is bounded, because anybody can open many requests and send nothing: so many are looked at in
//! turn, and so many are answered, however many wait.

use crate::operation::Dialect;
use core::ops::Bound::{Excluded, Unbounded};
use std::collections::BTreeMap;

/// How often watched requests are looked at, in milliseconds.
pub const WATCH_EVERY_MS: u64 = 100;

/// How many requests at most are answered in one callback of the host. Envoy sends local replies after the callback has
/// returned, each from within the one before, so that their number is the depth of its stack: 300 and more of them end
/// the VM (measured on Envoy 1.36.4 and 1.40.0).
pub const MAX_REPLIES: usize = 16;

/// How many watched requests at most are looked at in one callback. Each takes two calls of the host, about a microsecond.
pub const MAX_LOOKS: usize = 256;

/// How long requests are answered at once after the host was found to keep bodies back, in nanoseconds, before another
/// request is tried.
const TRY_AGAIN_AFTER_NS: u64 = 5_000_000_000;

/// Nanoseconds in a millisecond.
const NS_PER_MS: u64 = 1_000_000;

/// What is known of the host, and the requests it is learnt from. One for all requests of a configuration.
///
/// Times are in nanoseconds by one monotonic clock. A request is named by the number of its context.
#[derive(Debug, Default)]
pub struct Holds {
    host: Host,
    watched: BTreeMap<u32, Watched>,
    /// The request that was looked at last; the next ones follow it, and after the last one comes the first.
    last_look: u32,
    /// Whether the host calls [`Self::tick`] from time to time.
    ticking: bool,
}

#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
enum Host {
    /// No held request has told yet.
    #[default]
    Unknown,
    /// It delivers bodies.
    Delivers,
    /// It kept a body back. From this time on, another request is tried.
    KeepsBack { try_at: u64 },
}

/// A request whose headers are held.
#[derive(Clone, Copy, Debug)]
pub struct Held {
    /// How long the host may keep its body back, in nanoseconds.
    timeout: u64,
    /// The bytes of its headers.
    head_size: u64,
    /// What its client speaks.
    dialect: Dialect,
}

impl Held {
    /// A request with headers of `head_size` bytes, names and values; `timeout_ms` is 0 for one that is never watched.
    #[must_use]
    pub fn new(timeout_ms: u32, head_size: usize, dialect: Dialect) -> Self {
        Self {
            timeout: u64::from(timeout_ms).saturating_mul(NS_PER_MS),
            head_size: u64::try_from(head_size).unwrap_or(u64::MAX),
            dialect,
        }
    }
}

#[derive(Debug)]
struct Watched {
    held: Held,
    began: u64,
    /// Since when the host is known to have bytes of the body.
    received_since: Option<u64>,
    /// Whether it is the one that is tried while all others are answered at once.
    tried: bool,
}

/// What to do with a request that has to be held.
#[derive(Debug, PartialEq, Eq)]
pub enum Advice {
    /// Hold it.
    Hold,
    /// Hold it, and from now on call [`Holds::tick`] every [`WATCH_EVERY_MS`].
    HoldAndTick,
    /// Answer it: the host keeps bodies back.
    Answer,
}

/// What the host says about a watched request.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Sight {
    /// The request is over.
    Gone,
    /// How many bytes of headers and body the host has received for it, whether it has delivered them or not.
    Received(u64),
    /// The host cannot tell. Then a body that does not come in time counts as kept back.
    Unknown,
}

/// What follows from a look at the watched requests.
#[derive(Debug, Default, PartialEq, Eq)]
pub struct Looked {
    /// Requests to answer, because the host keeps their bodies back, with what their clients speak. At most
    /// [`MAX_REPLIES`].
    pub answers: Vec<(u32, Dialect)>,
    /// Whether no request is watched any more, so that there need be no further ticks.
    pub stops: bool,
}

impl Holds {
    /// Asks about a request that has to be held.
    pub fn begin(&mut self, id: u32, now: u64, held: Held) -> Advice {
        let tried = match self.host {
            Host::Delivers => return Advice::Hold,
            _ if held.timeout == 0 => return Advice::Hold,
            Host::KeepsBack { try_at } if now < try_at => return Advice::Answer,
            Host::KeepsBack { .. } => {
                // Others are answered at once until this one has told.
                self.host = Host::KeepsBack { try_at: now.saturating_add(TRY_AGAIN_AFTER_NS) };
                true
            }
            Host::Unknown => false,
        };
        self.watched.insert(id, Watched { held, began: now, received_since: None, tried });
        // Setting the period of a host's timer starts it anew, so that requests in quick succession would put it off.
        if core::mem::replace(&mut self.ticking, true) { Advice::Hold } else { Advice::HoldAndTick }
    }

    /// A part of the body of a held request came. True if the ticks may stop.
    pub fn delivered(&mut self) -> bool {
        self.host = Host::Delivers;
        self.watched.clear();
        core::mem::take(&mut self.ticking)
    }

    /// A request ended, watched or not.
    pub fn end(&mut self, id: u32) {
        let Some(watched) = self.watched.remove(&id) else { return };
        if watched.tried && watched.received_since.is_none() && matches!(self.host, Host::KeepsBack { .. }) {
            // It was tried and has told nothing: the next one is tried in its place.
            self.host = Host::KeepsBack { try_at: 0 };
        }
    }

    /// Looks at watched requests, of which `look` tells what the host knows. Each has its turn.
    pub fn tick(&mut self, now: u64, look: &mut dyn FnMut(u32) -> Sight) -> Looked {
        let mut answers = Vec::new();
        for _ in 0..self.watched.len().min(MAX_LOOKS) {
            if answers.len() >= MAX_REPLIES {
                break;
            }
            let Some(id) = self.next_in_turn() else { break };
            let Some(watched) = self.watched.get_mut(&id) else { break };
            let received = match look(id) {
                Sight::Gone => {
                    self.end(id);
                    continue;
                }
                Sight::Received(size) => size > watched.held.head_size,
                Sight::Unknown => {
                    watched.received_since.get_or_insert(watched.began);
                    true
                }
            };
            if received {
                let since = *watched.received_since.get_or_insert(now);
                if now.saturating_sub(since) >= watched.held.timeout {
                    answers.push((id, watched.held.dialect));
                    self.watched.remove(&id);
                    self.host = Host::KeepsBack { try_at: now.saturating_add(TRY_AGAIN_AFTER_NS) };
                }
            } else if watched.tried && now.saturating_sub(watched.began) >= watched.held.timeout {
                // All others are answered on the strength of this one, and its client sends nothing.
                watched.tried = false;
                self.host = Host::Unknown;
            }
        }
        let stops = self.watched.is_empty();
        self.ticking &= !stops;
        Looked { answers, stops }
    }

    /// The request after the one that was looked at last.
    fn next_in_turn(&mut self) -> Option<u32> {
        let mut following = self.watched.range((Excluded(self.last_look), Unbounded));
        let (id, _) = following.next().or_else(|| self.watched.first_key_value())?;
        self.last_look = *id;
        Some(*id)
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    #[cfg(target_family = "wasm")]
    use wasm_bindgen_test::wasm_bindgen_test as test;

    const S: u64 = 1_000_000_000;
    const HEAD: u64 = 200;

    fn held() -> Held {
        Held::new(2000, 200, Dialect::OpenAi)
    }

    /// A look at requests of which the host has received headers and so much of the body.
    fn look(holds: &mut Holds, now: u64, body: u64) -> Vec<u32> {
        let looked = holds.tick(now, &mut |_| Sight::Received(HEAD + body));
        let mut ids: Vec<u32> = looked.answers.iter().map(|(id, _)| *id).collect();
        ids.sort_unstable();
        ids
    }

    #[test]
    fn a_host_that_delivers_once_is_not_watched_again() {
        let mut holds = Holds::default();
        assert_eq!(holds.begin(1, 0, held()), Advice::HoldAndTick);
        assert!(holds.delivered());
        assert!(!holds.delivered(), "the ticks have stopped already");
        assert_eq!(holds.begin(2, S, held()), Advice::Hold);
        assert!(look(&mut holds, 100 * S, 1).is_empty());
    }

    #[test]
    fn a_host_that_keeps_bodies_back_is_answered_for_and_tried_again() {
        let mut holds = Holds::default();
        assert_eq!(holds.begin(1, 0, held()), Advice::HoldAndTick);
        assert_eq!(holds.begin(2, S, held()), Advice::Hold, "the timer is not set a second time");
        assert!(look(&mut holds, S, 1).is_empty());
        assert_eq!(look(&mut holds, 3 * S, 1), [1, 2]);
        assert_eq!(holds.begin(3, 4 * S, held()), Advice::Answer);
        assert_eq!(holds.begin(4, 8 * S, held()), Advice::HoldAndTick);
        assert_eq!(holds.begin(5, 8 * S, held()), Advice::Answer, "only one is tried");
        assert!(holds.delivered());
        assert_eq!(holds.begin(6, 9 * S, held()), Advice::Hold);
    }

    #[test]
    fn the_time_of_a_client_that_sends_nothing_does_not_count() {
        let mut holds = Holds::default();
        holds.begin(1, 0, held());
        for second in 1..100 {
            assert!(look(&mut holds, second * S, 0).is_empty());
        }
        assert_eq!(holds.begin(2, 100 * S, held()), Advice::Hold);
        // Now it sends, and the host has as long as with any other.
        assert!(look(&mut holds, 100 * S, 1).is_empty());
        assert!(look(&mut holds, 101 * S, 1).is_empty());
        assert_eq!(look(&mut holds, 102 * S, 1), [1, 2]);
    }

    #[test]
    fn a_request_that_is_tried_and_tells_nothing_keeps_nobody_waiting() {
        let found_out = || {
            let mut holds = Holds::default();
            holds.begin(1, 0, held());
            look(&mut holds, 0, 1);
            assert_eq!(look(&mut holds, 2 * S, 1), [1]);
            assert_eq!(holds.begin(2, 8 * S, held()), Advice::HoldAndTick);
            assert_eq!(holds.begin(3, 8 * S, held()), Advice::Answer);
            holds
        };
        let mut slow = found_out();
        look(&mut slow, 10 * S, 0);
        assert_eq!(slow.begin(4, 10 * S, held()), Advice::Hold);
        let mut gone = found_out();
        gone.end(2);
        assert_eq!(gone.begin(4, 8 * S, held()), Advice::Hold);
        assert_eq!(gone.begin(5, 8 * S, held()), Advice::Answer);
    }

    #[test]
    fn a_host_that_cannot_tell_is_judged_by_time() {
        let mut holds = Holds::default();
        holds.begin(1, 0, held());
        assert!(holds.tick(S, &mut |_| Sight::Unknown).answers.is_empty());
        let looked = holds.tick(2 * S, &mut |_| Sight::Unknown);
        assert_eq!(looked, Looked { answers: vec![(1, Dialect::OpenAi)], stops: true });
    }

    #[test]
    fn a_request_that_ended_is_not_answered() {
        let mut holds = Holds::default();
        holds.begin(1, 0, held());
        look(&mut holds, 0, 1);
        holds.end(1);
        assert!(look(&mut holds, 9 * S, 1).is_empty());
        holds.begin(2, 9 * S, held());
        assert_eq!(holds.tick(10 * S, &mut |_| Sight::Gone), Looked { answers: Vec::new(), stops: true });
    }

    #[test]
    fn without_a_timeout_nothing_is_watched() {
        let mut holds = Holds::default();
        assert_eq!(holds.begin(1, 0, Held::new(0, 200, Dialect::OpenAi)), Advice::Hold);
        assert!(look(&mut holds, 9 * S, 1).is_empty());
    }
}
