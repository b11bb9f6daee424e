//! What [`waypost::hold`] concludes about a host, with clients of every kind in any order: quick, slow, silent, gone.
//!
//! A client has no way to make a host that delivers bodies look as if it kept them back, and on one that does keep them
//! back every request whose body has come is answered in time, however many others wait.
#![cfg(not(target_family = "wasm"))]
#![allow(
    clippy::arithmetic_side_effects,
    clippy::expect_used,
    clippy::indexing_slicing,
    reason = "a test that meets something unexpected fails"
)]

use proptest::collection::vec;
use proptest::prelude::*;
use std::collections::{BTreeMap, BTreeSet};
use waypost::hold::{Advice, Held, Holds, MAX_LOOKS, MAX_REPLIES, Sight, WATCH_EVERY_MS};
use waypost::operation::Dialect;

const NS_PER_MS: u64 = 1_000_000;

/// Bytes of the headers of each request.
const HEAD: u64 = 300;

const TIMEOUT_MS: u64 = 2_000;

/// How long a run lasts, in milliseconds.
const END_MS: u64 = 30_000;

/// One client; times in milliseconds, from the beginning of the run and then from its request.
#[derive(Clone, Debug)]
struct Client {
    asks_at: u64,
    /// When the first bytes of its body come; never if it sends none.
    sends_after: Option<u64>,
    /// When it hangs up, if it does.
    leaves_after: Option<u64>,
}

fn client(asks_within: u64) -> impl Strategy<Value = Client> {
    let sends = prop_oneof![Just(None), Just(Some(0)), (0..8_000_u64).prop_map(Some)];
    let leaves = prop_oneof![Just(None), Just(None), (0..10_000_u64).prop_map(Some)];
    (0..asks_within, sends, leaves).prop_map(|(asks_at, sends_after, leaves_after)| Client {
        asks_at,
        sends_after,
        leaves_after,
    })
}

/// What a host does with the body of a held request.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum Host {
    Delivers,
    KeepsBack,
}

#[derive(Debug, Default)]
struct Outcome {
    /// When each request was answered, in milliseconds.
    answered: BTreeMap<usize, u64>,
    /// How often the period of the timer was set.
    timers: usize,
    /// The most requests looked at, and the most answered, in one callback.
    looks: usize,
    replies: usize,
}

/// What happens next, in the order in which it happens at one time.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord)]
enum Event {
    Asks(usize),
    Sends(usize),
    Leaves(usize),
    Tick,
}

/// Runs all clients against a host, until nothing happens any more but ticks.
fn run(host: Host, clients: &[Client]) -> Outcome {
    let mut holds = Holds::default();
    let mut outcome = Outcome::default();
    let mut events: BTreeSet<_> =
        clients.iter().enumerate().map(|(id, client)| (client.asks_at, Event::Asks(id))).collect();
    // Requests that are open, with the time their body comes.
    let mut open: BTreeMap<usize, Option<u64>> = BTreeMap::new();
    while let Some((now, event)) = events.pop_first().filter(|(now, _)| *now < END_MS) {
        match event {
            Event::Asks(id) => {
                let held = Held::new(TIMEOUT_MS as u32, HEAD as usize, Dialect::OpenAi);
                match holds.begin(id as u32, now * NS_PER_MS, held) {
                    Advice::Hold => {}
                    Advice::HoldAndTick => {
                        outcome.timers += 1;
                        // Setting the period starts it anew, as hosts do.
                        events.retain(|(_, event)| *event != Event::Tick);
                        events.insert((now + WATCH_EVERY_MS, Event::Tick));
                    }
                    Advice::Answer => {
                        outcome.answered.insert(id, now);
                        continue;
                    }
                }
                let at = |after: Option<u64>| after.map(|after| now + after);
                events.extend(at(clients[id].sends_after).map(|at| (at, Event::Sends(id))));
                events.extend(at(clients[id].leaves_after).map(|at| (at, Event::Leaves(id))));
                open.insert(id, at(clients[id].sends_after));
            }
            Event::Sends(id) => {
                if open.contains_key(&id) && host == Host::Delivers && holds.delivered() {
                    events.retain(|(_, event)| *event != Event::Tick);
                }
            }
            Event::Leaves(id) => {
                open.remove(&id);
                holds.end(id as u32);
            }
            Event::Tick => {
                let mut looks = 0;
                let looked = holds.tick(now * NS_PER_MS, &mut |id| {
                    looks += 1;
                    let Some(sends_at) = open.get(&(id as usize)) else { return Sight::Gone };
                    Sight::Received(HEAD + u64::from(sends_at.is_some_and(|at| at <= now)))
                });
                outcome.looks = outcome.looks.max(looks);
                outcome.replies = outcome.replies.max(looked.answers.len());
                if !looked.stops {
                    events.insert((now + WATCH_EVERY_MS, Event::Tick));
                }
                for (id, _) in looked.answers {
                    outcome.answered.insert(id as usize, now);
                    open.remove(&(id as usize));
                    holds.end(id);
                }
            }
        }
    }
    outcome
}

/// How long the answer to a request may take after its body has come, in milliseconds: the timeout, and as many ticks as
/// it takes to look at all others twice and to answer them.
fn patience(others: usize) -> u64 {
    let ticks = 2 * others.div_ceil(MAX_LOOKS) + others.div_ceil(MAX_REPLIES) + 2;
    TIMEOUT_MS + ticks as u64 * WATCH_EVERY_MS
}

/// Every request whose body has come and whose client stays is answered, in time.
fn assert_all_answered(clients: &[Client], outcome: &Outcome) {
    for (id, client) in clients.iter().enumerate() {
        let Some(sends_after) = client.sends_after else { continue };
        let due = client.asks_at + sends_after + patience(clients.len());
        let leaves = client.leaves_after.map_or(END_MS, |after| client.asks_at + after);
        if leaves <= due {
            continue;
        }
        let answered = outcome.answered.get(&id);
        assert!(answered.is_some_and(|at| *at <= due), "{client:?}: answered at {answered:?}, due at {due}");
    }
}

proptest! {
    #![proptest_config(ProptestConfig { cases: 60, failure_persistence: None, ..ProptestConfig::default() })]

    /// audit H1: whoever is slow, or silent, or goes away, says nothing about the host.
    #[test]
    fn a_host_that_delivers_is_never_judged_otherwise(clients in vec(client(20_000), 1..60)) {
        let outcome = run(Host::Delivers, &clients);
        prop_assert!(outcome.answered.is_empty(), "{:?}", outcome.answered);
    }

    /// audit C1, M1: every request is answered in time, never too many in one callback, and the timer runs on.
    #[test]
    fn a_host_that_keeps_bodies_back_is_answered_for_in_time(clients in vec(client(10_000), 1..400)) {
        let outcome = run(Host::KeepsBack, &clients);
        prop_assert!(outcome.replies <= MAX_REPLIES && outcome.looks <= MAX_LOOKS, "{outcome:?}");
        assert_all_answered(&clients, &outcome);
    }

    /// One client that polls with header-only requests, as fast as it is answered, beside others that send their bodies.
    #[test]
    fn a_client_that_polls_keeps_nobody_from_an_answer(
        period in 1..500_u64,
        stays in 1..3_000_u64,
        others in vec(client(20_000), 1..20),
    ) {
        let polls = (0..20_000 / period).map(|poll| Client {
            asks_at: poll * period,
            sends_after: None,
            leaves_after: Some(stays),
        });
        let clients: Vec<_> = polls.take(2_000).chain(others).collect();
        prop_assert!(run(Host::Delivers, &clients).answered.is_empty());
        assert_all_answered(&clients, &run(Host::KeepsBack, &clients));
    }
}

/// audit M1: requests in quick succession do not put the timer off.
#[test]
fn the_timer_is_set_once_for_any_number_of_requests() {
    let client = |asks_at| Client { asks_at, sends_after: Some(0), leaves_after: None };
    let clients: Vec<_> = (0..1_800).map(client).collect();
    let outcome = run(Host::KeepsBack, &clients);
    assert_eq!(outcome.timers, 1);
    assert!(outcome.answered[&0] <= TIMEOUT_MS + 1_000, "{:?}", outcome.answered.get(&0));
    assert_eq!(outcome.replies, MAX_REPLIES);
    assert_all_answered(&clients, &outcome);
}

/// A hundred thousand requests that wait for their clients cost no more in one callback than a few, and end as quickly.
#[test]
fn any_number_of_silent_clients_is_looked_at_in_turn() {
    const MANY: u32 = 100_000;
    let mut holds = Holds::default();
    for id in 0..MANY {
        holds.begin(id, 0, Held::new(TIMEOUT_MS as u32, HEAD as usize, Dialect::OpenAi));
    }
    let mut seen = vec![0_u32; MANY as usize];
    let rounds = MANY as usize / MAX_LOOKS + 1;
    for tick in 1..=rounds as u64 {
        let mut looks = 0;
        let looked = holds.tick(tick * WATCH_EVERY_MS * NS_PER_MS, &mut |id| {
            looks += 1;
            seen[id as usize] += 1;
            Sight::Received(HEAD)
        });
        assert!(looks <= MAX_LOOKS && looked.answers.is_empty() && !looked.stops);
    }
    assert!(seen.iter().all(|looks| (1..=2).contains(looks)), "each has its turn");
    let started = std::time::Instant::now();
    for id in 0..MANY {
        holds.end(id);
    }
    // Quadratic, it would take minutes.
    assert!(started.elapsed() < std::time::Duration::from_secs(5), "{:?}", started.elapsed());
    assert!(holds.tick(0, &mut |_| Sight::Gone).stops);
}
