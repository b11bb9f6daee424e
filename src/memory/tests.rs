//! Never more than the budget, everything given back, and who has to go first.

use super::*;
use crate::operation::Dialect;
use std::cell::Cell;
#[cfg(target_family = "wasm")]
use wasm_bindgen_test::wasm_bindgen_test as test;

const KB: usize = 1 << 10;
const MB: usize = 1 << 20;
const S: u64 = 1_000_000_000;

thread_local! {
    static TIME: Cell<u64> = const { Cell::new(0) };
}

/// A budget whose time is [`TIME`], at its start.
fn memory(limit: usize) -> Memory {
    TIME.set(0);
    let memory = Memory::new(|| TIME.get());
    memory.configure(1, Some(limit));
    memory
}

fn held(memory: &Memory, context: u32) -> Held {
    Held::new(memory, context, Dialect::OpenAi)
}

fn victims(memory: &Memory) -> Vec<(u32, GivenUp)> {
    memory.victims(usize::MAX).into_iter().map(|victim| (victim.context, victim.why)).collect()
}

// -- The budget --------------------------------------------------------------------------------------------------------

#[test]
fn the_smallest_budget_that_is_asked_for_holds() {
    let memory = Memory::default();
    assert_eq!(memory.limit(), DEFAULT_LIMIT);
    memory.configure(1, Some(64 * MB));
    memory.configure(2, None);
    memory.configure(3, Some(32 * MB));
    assert_eq!(memory.limit(), 32 * MB);
    memory.configure(3, None);
    assert_eq!(memory.limit(), 64 * MB);
    memory.configure(1, Some(256 * MB));
    assert_eq!(memory.limit(), 256 * MB, "more than the default, if that is what is wanted");
    memory.configure(1, Some(1));
    assert_eq!(memory.limit(), MIN_LIMIT);
    memory.configure(1, None);
    assert_eq!(memory.limit(), DEFAULT_LIMIT);
}

#[test]
fn a_change_is_reported_when_it_is_large_or_back_to_nothing() {
    let memory = memory(64 * MB);
    assert_eq!(memory.change(), None);
    let mut claim = memory.claim();
    assert!(claim.resize(MB - 1));
    assert_eq!(memory.change(), None);
    assert!(claim.resize(MB));
    assert_eq!(memory.change(), Some(MB as i64));
    assert_eq!(memory.change(), None);
    assert!(claim.resize(MB / 2));
    assert_eq!(memory.change(), None);
    drop(claim);
    assert_eq!(memory.change(), Some(-(MB as i64)));
    assert_eq!(memory.change(), None);
}

// -- Copies ------------------------------------------------------------------------------------------------------------

#[test]
fn the_copy_that_grew_least_recently_is_dropped_first() {
    let memory = memory(4 * MB);
    let mut copies: Vec<BodyCopy> = (0..4).map(|_| BodyCopy::new(&memory)).collect();
    for copy in &mut copies {
        assert!(copy.push(&[1; MB]));
    }
    // The first one goes on, in the room that it has.
    assert_eq!(memory.used(), 4 * MB);
    assert!(copies[0].push(&[]), "nothing takes no room");
    let mut fifth = BodyCopy::new(&memory);
    assert!(fifth.push(&[2; 10]));
    assert!(copies[0].is_dropped() && !copies[1].is_dropped());
    assert_eq!(copies[0].take(), None);
    assert!(!copies[0].push(b"x"), "what was dropped stays so");
    assert_eq!(copies[1].take().map(|bytes| bytes.len()), Some(MB));
    assert_eq!(fifth.take(), Some(vec![2; 10]));
    drop(copies);
    assert_eq!(memory.used(), 0);
}

#[test]
fn copies_make_room_for_everything_else() {
    let memory = memory(8 * MB);
    let mut copies: Vec<BodyCopy> = (0..8).map(|_| BodyCopy::new(&memory)).collect();
    assert!(copies.iter_mut().all(|copy| copy.push(&[1; MB])));
    let mut claim = memory.claim();
    assert!(claim.resize(MB));
    assert_eq!(copies.iter().filter(|copy| copy.is_empty()).count(), 1);
    let mut stream = held(&memory, 1);
    assert_eq!(stream.push(&[1; 2 * MB]), Ok(()));
    assert_eq!(copies.iter().filter(|copy| copy.is_empty()).count(), 3);
    assert_eq!(memory.used(), 8 * MB);
    assert!(victims(&memory).is_empty());
}

#[test]
fn a_copy_in_pieces_is_the_whole() {
    let memory = memory(8 * MB);
    for size in [1, 7, 4096] {
        let mut copy = BodyCopy::new(&memory);
        let bytes: Vec<u8> = (0..10_000_u32).map(|number| number as u8).collect();
        assert!(bytes.chunks(size).all(|piece| copy.push(piece)));
        assert!(memory.used() <= 2 * bytes.len() + 4096, "{}", memory.used());
        assert_eq!(copy.take(), Some(bytes));
        assert_eq!(copy.take(), Some(Vec::new()));
        assert_eq!(memory.used(), 0);
    }
}

// -- Claims ------------------------------------------------------------------------------------------------------------

#[test]
fn a_claim_that_is_refused_is_given_back() {
    let memory = memory(16 * MB);
    let mut claims: Vec<Claim> = (0..8).map(|_| memory.claim()).collect();
    // A quarter is for claims, and three quarters of it for large ones.
    assert!(claims[0].resize(2 * MB) && claims[1].resize(MB));
    assert!(!claims[2].resize(MB));
    assert_eq!(claims[2].bytes(), 0);
    assert_eq!(memory.used(), 3 * MB);
    // Everybody still gets a little.
    for claim in &mut claims[2..] {
        assert!(claim.resize(SMALL_CLAIM));
    }
    assert!(!claims[0].resize(2 * MB + 1), "it cannot grow");
    assert_eq!(memory.used(), MB + 6 * SMALL_CLAIM);
    assert!(claims[1].resize(10));
    drop(claims);
    assert_eq!(memory.used(), 0);
}

#[test]
fn small_claims_are_bounded_too() {
    let memory = memory(4 * MB);
    let mut claims: Vec<Claim> = (0..100).map(|_| memory.claim()).collect();
    let granted = claims.iter_mut().filter_map(|claim| claim.resize(SMALL_CLAIM).then_some(())).count();
    assert_eq!(granted, MB / SMALL_CLAIM);
}

// -- Streams that are held ---------------------------------------------------------------------------------------------

#[test]
fn a_held_body_in_pieces_is_the_whole() {
    let memory = memory(8 * MB);
    for size in [1, 1000, 40_000, 70_000] {
        let bytes: Vec<u8> = (0..200_000_u32).map(|number| number as u8).collect();
        let mut stream = held(&memory, 1);
        for piece in bytes.chunks(size) {
            assert_eq!(stream.push(piece), Ok(()));
        }
        assert_eq!(stream.len(), bytes.len());
        assert!(memory.used() < bytes.len() + 70_000, "{}", memory.used());
        assert_eq!(stream.take(), Ok(bytes));
        assert_eq!(memory.used(), 0);
        assert_eq!(stream.park(vec![1, 2, 3]), Ok(()));
        assert_eq!(stream.take(), Ok(vec![1, 2, 3]));
    }
    assert_eq!(memory.used(), 0);
}

#[test]
fn no_stream_holds_more_than_a_quarter() {
    let memory = memory(16 * MB);
    let mut stream = held(&memory, 1);
    for _ in 0..4 {
        assert_eq!(stream.push(&[1; MB]), Ok(()));
    }
    assert_eq!(stream.push(b"1"), Err(GivenUp::TooLarge));
    assert_eq!((stream.given_up(), memory.used()), (Some(GivenUp::TooLarge), 0));
    assert_eq!(stream.push(b"1"), Err(GivenUp::TooLarge));
    assert!(!memory.has_victims(), "who is told answers");
    assert_eq!(GivenUp::TooLarge.error().status(), 413);
}

#[test]
fn the_stream_that_is_silent_for_the_longest_goes_first() {
    let memory = memory(16 * MB);
    let mut streams: Vec<Held> = (0..4).map(|context| held(&memory, context)).collect();
    // The order in which they came last is 2, 0, 1, 3.
    for (time, place) in [(1, 2), (2, 0), (3, 1), (10, 3)] {
        TIME.set(time * S);
        assert_eq!(streams[place].push(&vec![1; 3 * MB]), Ok(()));
    }
    TIME.set(10 * S + S / 2);
    let mut next = held(&memory, 4);
    assert_eq!(next.push(&vec![1; 2 * MB]), Ok(()));
    assert_eq!(victims(&memory), [(2, GivenUp::Stalled)]);
    assert_eq!(next.push(&vec![1; 2 * MB]), Ok(()));
    assert_eq!(victims(&memory), [(0, GivenUp::Stalled)]);
    assert_eq!(streams[0].push(b"1"), Err(GivenUp::Stalled));
    assert_eq!(streams[0].take(), Err(GivenUp::Stalled));
    assert_eq!(streams[1].push(b"1"), Ok(()), "others go on");
    assert_eq!((GivenUp::Stalled.error().status(), GivenUp::Stalled.error().code()), (408, "body_timeout"));
    drop((streams, next));
    assert_eq!(memory.used(), 0);
}

#[test]
fn a_stream_that_still_receives_is_not_given_up_for_a_newer_one() {
    let memory = memory(16 * MB);
    let mut streams: Vec<Held> = (0..3).map(|context| held(&memory, context)).collect();
    for stream in &mut streams {
        assert_eq!(stream.push(&vec![1; 4 * MB]), Ok(()));
    }
    let mut newer = held(&memory, 3);
    assert_eq!(newer.push(b"1"), Err(GivenUp::NoRoom));
    assert!(victims(&memory).is_empty());
    assert_eq!(GivenUp::NoRoom.error().status(), 503);
    let reply = GivenUp::NoRoom.error().reply(Dialect::OpenAi);
    assert!(reply.headers.contains(&("retry-after", "1".into())), "{:?}", reply.headers);
}

#[test]
fn of_those_that_receive_the_largest_of_the_newer_ones_goes() {
    let memory = memory(16 * MB);
    let mut streams: Vec<Held> = (0..5).map(|context| held(&memory, context)).collect();
    for (stream, size) in streams.iter_mut().zip([4, 1, 2, 3, 2]) {
        assert_eq!(stream.push(&vec![1; size * MB]), Ok(()));
    }
    assert_eq!(streams[1].push(&vec![1; MB]), Ok(()));
    assert_eq!(victims(&memory), [(3, GivenUp::NoRoom)]);
    assert_eq!(streams[2].push(&vec![1; 2 * MB]), Ok(()));
    assert!(victims(&memory).is_empty());
    // It is itself the largest that is not older.
    assert_eq!(streams[2].push(b"1"), Err(GivenUp::TooLarge));
    assert_eq!(streams[1].push(&vec![1; 2 * MB]), Ok(()));
    assert!(victims(&memory).is_empty());
}

#[test]
fn what_is_kept_elsewhere_counts_until_the_stream_ends() {
    let memory = memory(4 * MB);
    let mut streams: Vec<Held> = (0..48).map(|context| held(&memory, context)).collect();
    for stream in &mut streams {
        assert_eq!(stream.reserve(64 * KB), Ok(()));
    }
    assert_eq!(memory.used(), 3 * MB);
    TIME.set(2 * S);
    let mut next = held(&memory, 100);
    assert_eq!(next.push(&[1; 100 * KB]), Err(GivenUp::NoRoom), "its room comes back when they are answered");
    assert_eq!(victims(&memory), [(0, GivenUp::Stalled), (1, GivenUp::Stalled)]);
    assert_eq!(memory.used(), 3 * MB);
    streams.drain(..2);
    let mut retry = held(&memory, 101);
    assert_eq!(retry.push(&[1; 100 * KB]), Ok(()));
    assert!(memory.used() <= 3 * MB);
}

#[test]
fn victims_are_told_once_and_not_after_their_end() {
    let memory = memory(4 * MB);
    let mut streams: Vec<Held> = (0..3).map(|context| held(&memory, context)).collect();
    for stream in &mut streams {
        assert_eq!(stream.push(&vec![1; MB]), Ok(()));
    }
    TIME.set(2 * S);
    let mut next: Vec<Held> = (3..6).map(|context| held(&memory, context)).collect();
    for stream in &mut next {
        assert_eq!(stream.push(&vec![1; MB]), Ok(()));
    }
    assert!(memory.has_victims());
    drop(streams.pop());
    assert_eq!(memory.victims(1).len(), 1);
    assert_eq!(victims(&memory), [(1, GivenUp::Stalled)]);
    assert!(!memory.has_victims());
    assert!(victims(&memory).is_empty());
}

// -- All of it ---------------------------------------------------------------------------------------------------------

/// Numbers that look random and are the same each time (xorshift64).
struct Random(u64);

impl Random {
    fn below(&mut self, bound: usize) -> usize {
        self.0 ^= self.0 << 13;
        self.0 ^= self.0 >> 7;
        self.0 ^= self.0 << 17;
        (self.0 % bound as u64) as usize
    }
}

/// Whatever is done, in any order: never above the budget, each part within its bounds, what is not given up is there
/// byte for byte, nobody who still receives is a victim of somebody newer, and in the end nothing is left.
#[test]
fn any_sequence_keeps_to_the_budget() {
    for seed in 1..=60_u64 {
        let mut random = Random(seed.wrapping_mul(0x9e37_79b9_7f4a_7c15));
        let limit = MIN_LIMIT + random.below(8 * MB);
        let memory = memory(limit);
        let mut now = 0;
        let mut claims: Vec<Claim> = Vec::new();
        let mut copies: Vec<(BodyCopy, Vec<u8>)> = Vec::new();
        // The stream, its context, what it was given, when it last received.
        let mut streams: Vec<(Held, u32, Vec<u8>, u64)> = Vec::new();
        for step in 0..400_u32 {
            now += random.below(300_000_000) as u64;
            TIME.set(now);
            let most = [100, 10 * KB, 300 * KB, MB][random.below(4)];
            let size = 1 + random.below(most);
            let piece = vec![step as u8; size];
            match random.below(10) {
                0 => claims.push(memory.claim()),
                1 | 2 if !claims.is_empty() => {
                    let place = random.below(claims.len());
                    let granted = claims[place].resize(size / 4);
                    assert_eq!(claims[place].bytes(), if granted { size / 4 } else { 0 });
                }
                3 => copies.push((BodyCopy::new(&memory), Vec::new())),
                4 | 5 if !copies.is_empty() => {
                    let place = random.below(copies.len());
                    let (copy, copied) = &mut copies[place];
                    if copy.push(&piece) {
                        copied.extend(&piece);
                        assert_eq!(copy.len(), copied.len());
                    }
                    if random.below(4) == 0 {
                        let (mut copy, copied) = copies.swap_remove(place);
                        assert!(copy.take().is_none_or(|bytes| bytes == copied));
                    }
                }
                6 => streams.push((held(&memory, step), step, Vec::new(), now)),
                7 | 8 if !streams.is_empty() => {
                    let place = random.below(streams.len());
                    let before: Vec<(u32, u64)> = streams.iter().map(|(_, context, _, at)| (*context, *at)).collect();
                    let (stream, context, given, at) = &mut streams[place];
                    let context = *context;
                    if stream.push(&piece).is_ok() {
                        given.extend(&piece);
                        *at = now;
                        assert_eq!(stream.len(), given.len());
                    } else {
                        assert_eq!(stream.len(), 0);
                    }
                    for (victim, why) in victims(&memory) {
                        let received = before.iter().find(|(known, _)| *known == victim).unwrap().1;
                        let silent = now - received >= STALLED_AFTER_NS;
                        assert_eq!(why, if silent { GivenUp::Stalled } else { GivenUp::NoRoom }, "seed {seed}");
                        assert!(silent || victim > context, "seed {seed}: {victim} was there before {context}");
                    }
                }
                9 if !streams.is_empty() => {
                    let (mut stream, _, given, _) = streams.swap_remove(random.below(streams.len()));
                    if let Ok(bytes) = stream.take() {
                        assert_eq!(bytes, given, "seed {seed}");
                    }
                }
                _ => {}
            }
            let claimed: usize = claims.iter().map(Claim::bytes).sum();
            assert!(memory.used() <= limit, "seed {seed}: {} of {limit}", memory.used());
            assert!(claimed <= limit / 4, "seed {seed}: {claimed} claimed of {limit}");
            assert!(streams.iter().all(|(stream, ..)| stream.len() <= limit / 4), "seed {seed}");
        }
        drop((claims, copies, streams));
        assert_eq!(memory.used(), 0, "seed {seed}");
        assert!(!memory.has_victims());
    }
}
