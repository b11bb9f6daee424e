//! Finds out whether the host delivers a body while the headers of its request are held.
//!
//! Stock Envoy does so only with `allow_on_headers_stop_iteration`, and a filter cannot ask for it. Without it a held
//! request would hang for ever. So the first requests that are held are watched: a part of a body shows that the host
//! does, a timeout that it does not. Then later ones are answered at once, and one is tried again now and then, because
//! what looked like a deaf host may have been a client that was slow to send.

use crate::error::Reply;

/// How long requests are answered at once after a timeout before another one is tried, in nanoseconds.
const TRY_AGAIN_AFTER_NS: u64 = 5_000_000_000;

/// Nanoseconds in a millisecond.
const NS_PER_MS: u64 = 1_000_000;

/// What is known of the host, and the requests it is learnt from. One for all requests of a configuration.
#[derive(Debug, Default)]
pub struct Holds {
    host: Host,
    waiting: Vec<Waiting>,
}

#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
enum Host {
    /// No held request has told yet.
    #[default]
    Unknown,
    /// It delivers bodies.
    Delivers,
    /// It let a request wait in vain at this time, in nanoseconds.
    Silent { at: u64 },
}

/// A request whose headers are held.
#[derive(Debug)]
struct Waiting {
    id: u32,
    deadline: u64,
    reply: Reply,
}

/// What to do with a request that has to be held.
#[derive(Debug, PartialEq, Eq)]
pub enum Advice {
    /// Hold it.
    Hold,
    /// Hold it, and call [`Holds::overdue`] in time.
    HoldAndWatch,
    /// Answer it.
    Answer(Reply),
}

impl Holds {
    /// Asks about a request; `now` in nanoseconds, `timeout_ms` 0 for never.
    pub fn begin(&mut self, id: u32, now: u64, timeout_ms: u32, reply: Reply) -> Advice {
        match self.host {
            Host::Delivers => Advice::Hold,
            _ if timeout_ms == 0 => Advice::Hold,
            Host::Silent { at } if now.saturating_sub(at) < TRY_AGAIN_AFTER_NS => Advice::Answer(reply),
            Host::Unknown | Host::Silent { .. } => {
                // Others are answered at once until this one has told.
                if let Host::Silent { .. } = self.host {
                    self.host = Host::Silent { at: now };
                }
                let deadline = now.saturating_add(u64::from(timeout_ms).saturating_mul(NS_PER_MS));
                self.waiting.push(Waiting { id, deadline, reply });
                Advice::HoldAndWatch
            }
        }
    }

    /// A part of the body of a held request came. True if that ends the watch.
    pub fn delivered(&mut self) -> bool {
        self.host = Host::Delivers;
        !core::mem::take(&mut self.waiting).is_empty()
    }

    /// A request ended.
    pub fn end(&mut self, id: u32) {
        self.waiting.retain(|waiting| waiting.id != id);
    }

    /// The requests that waited in vain, with their answers.
    pub fn overdue(&mut self, now: u64) -> Vec<(u32, Reply)> {
        let (overdue, waiting): (Vec<_>, Vec<_>) =
            core::mem::take(&mut self.waiting).into_iter().partition(|waiting| waiting.deadline <= now);
        self.waiting = waiting;
        if !overdue.is_empty() {
            self.host = Host::Silent { at: now };
        }
        overdue.into_iter().map(|waiting| (waiting.id, waiting.reply)).collect()
    }

    /// Whether a request is watched.
    #[must_use]
    pub const fn is_watching(&self) -> bool {
        !self.waiting.is_empty()
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    #[cfg(target_family = "wasm")]
    use wasm_bindgen_test::wasm_bindgen_test as test;

    const S: u64 = 1_000_000_000;

    fn reply() -> Reply {
        Reply { status: 500, headers: Vec::new(), body: String::new() }
    }

    #[test]
    fn a_host_that_delivers_once_is_not_watched_again() {
        let mut holds = Holds::default();
        assert_eq!(holds.begin(1, 0, 2000, reply()), Advice::HoldAndWatch);
        assert!(holds.delivered());
        assert!(!holds.is_watching());
        assert_eq!(holds.begin(2, S, 2000, reply()), Advice::Hold);
        assert_eq!(holds.overdue(100 * S), Vec::new());
    }

    #[test]
    fn a_silent_host_is_answered_for_at_once_and_tried_again() {
        let mut holds = Holds::default();
        holds.begin(1, 0, 2000, reply());
        holds.begin(2, S, 2000, reply());
        assert_eq!(holds.overdue(2 * S), vec![(1, reply())]);
        assert_eq!(holds.begin(3, 3 * S, 2000, reply()), Advice::Answer(reply()));
        assert_eq!(holds.overdue(3 * S), vec![(2, reply())]);
        assert_eq!(holds.begin(4, 9 * S, 2000, reply()), Advice::HoldAndWatch);
        assert_eq!(holds.begin(5, 9 * S, 2000, reply()), Advice::Answer(reply()));
        assert!(holds.delivered());
        assert_eq!(holds.begin(6, 10 * S, 2000, reply()), Advice::Hold);
    }

    #[test]
    fn a_request_that_ended_is_not_answered() {
        let mut holds = Holds::default();
        holds.begin(1, 0, 2000, reply());
        holds.end(1);
        assert_eq!(holds.overdue(9 * S), Vec::new());
        assert_eq!(holds.begin(2, 9 * S, 0, reply()), Advice::Hold);
        assert!(!holds.is_watching());
    }
}
