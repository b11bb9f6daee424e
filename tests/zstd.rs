//! The Zstandard decoder against what the reference implementation writes. Each file of `testdata/zstd` is what zstd
//! 1.5.7 makes, at the level in its name, of what [`sample`] makes of the kind and size in its name.
#![cfg(not(target_family = "wasm"))]
#![allow(
    clippy::arithmetic_side_effects,
    clippy::cast_possible_truncation,
    clippy::indexing_slicing,
    clippy::panic,
    clippy::unwrap_used,
    reason = "a test may panic"
)]

use proptest::prelude::*;
use std::fs;
use waypost::unpack::{Coding, Fault, Unpacker};

fn unpack<'c>(chunks: impl Iterator<Item = &'c [u8]>) -> Result<Vec<u8>, Fault> {
    let (mut unpacker, mut out) = (Unpacker::new(Coding::Zstd, 1 << 26), Vec::new());
    for mut chunk in chunks {
        while unpacker.feed(&mut chunk, 1000, &mut |bytes| out.extend_from_slice(bytes))? {}
        assert!(chunk.is_empty());
    }
    unpacker.finish().map(|()| out)
}

fn random(seed: &mut u64) -> u64 {
    *seed ^= *seed << 13;
    *seed ^= *seed >> 7;
    *seed ^= *seed << 17;
    *seed
}

/// Texts of which each uses another part of the format.
fn sample(kind: &str, size: usize) -> Vec<u8> {
    let mut out: Vec<u8> = Vec::new();
    let seed = &mut 88_172_645_463_325_252;
    while out.len() < size {
        match kind {
            "noise" => out.push(random(seed) as u8),
            "json" => {
                out.extend(format!("{{\"role\":\"user\",\"content\":\"{}\"}},", random(seed) % 5000).bytes());
            }
            "runs" => {
                let (count, byte) = (random(seed) % 300, b'a' + (random(seed) % 4) as u8);
                out.extend((0..count).map(|_| byte));
            }
            "skewed" => out.push((random(seed).trailing_zeros() as u8) * 3 + (random(seed) % 2) as u8),
            "copies" => {
                let at = if out.is_empty() { 0 } else { random(seed) as usize % out.len() };
                let count = (random(seed) as usize % 5000).min(out.len() - at);
                out.extend_from_within(at..at + count);
                out.extend(random(seed).to_le_bytes());
            }
            other => panic!("{other}"),
        }
    }
    out.truncate(size);
    out
}

/// Every file, with what it holds.
fn files() -> Vec<(String, Vec<u8>, Vec<u8>)> {
    let directory = concat!(env!("CARGO_MANIFEST_DIR"), "/testdata/zstd");
    let mut files = Vec::new();
    for entry in fs::read_dir(directory).unwrap() {
        let path = entry.unwrap().path();
        let name = path.file_stem().unwrap().to_str().unwrap().to_owned();
        let parts: Vec<&str> = name.split('-').collect();
        files.push((name.clone(), fs::read(&path).unwrap(), sample(parts[0], parts[1].parse().unwrap())));
    }
    assert!(files.len() > 20);
    files
}

#[test]
fn reads_what_the_reference_writes_in_any_split() {
    for (name, packed, text) in files() {
        for size in [1, 3, 1000, packed.len()] {
            assert!(unpack(packed.chunks(size)) == Ok(text.clone()), "{name} {size}");
        }
    }
}

#[test]
fn frames_follow_one_another_and_some_are_passed_over() {
    let (_, packed, text) = files().into_iter().find(|(name, ..)| name == "json-1000-19").unwrap();
    let skipped = b"\x5a\x2a\x4d\x18\x03\0\0\0abc";
    let all = [&skipped[..], &packed, skipped, &packed].concat();
    for size in [1, 5, all.len()] {
        assert!(unpack(all.chunks(size)) == Ok([text.clone(), text.clone()].concat()), "{size}");
    }
    for end in [0, 3, 9, packed.len() / 2, packed.len() - 1] {
        assert_eq!(unpack([&packed[..end]].into_iter()), Err(Fault::Broken), "{end}");
    }
    assert_eq!(unpack([&packed[..], b"{}"].into_iter()), Err(Fault::Broken));
    assert_eq!(unpack([&b"{\"model\":\"m\"}"[..]].into_iter()), Err(Fault::Broken));
}

/// A frame that wants a window of 16 MiB: RFC 9659 allows 8.
#[test]
fn a_window_that_http_does_not_allow_is_refused() {
    for (window, expected) in [(0x68, Ok(b"{}".to_vec())), (0x70, Err(Fault::Broken))] {
        let frame = [0x28, 0xb5, 0x2f, 0xfd, 0, window, 0x11, 0, 0, b'{', b'}'];
        assert_eq!(unpack([&frame[..]].into_iter()), expected);
    }
}

#[test]
fn what_unpacks_out_of_proportion_is_too_large() {
    // One block after another that says "128 KiB of blanks".
    let mut bomb = vec![0x28, 0xb5, 0x2f, 0xfd, 0, 0x68];
    for _ in 0..2000 {
        bomb.extend([0x02, 0, 0x10, b' ']);
    }
    for size in [1, 100, bomb.len()] {
        assert_eq!(unpack(bomb.chunks(size)), Err(Fault::TooLarge));
    }
}

proptest! {
    /// A frame whose bytes have been changed may be refused, and gives the same in any split.
    #[test]
    fn what_has_been_changed_is_read_alike_in_any_split(
        file in any::<prop::sample::Index>(),
        changes in prop::collection::vec((any::<prop::sample::Index>(), any::<u8>()), 1..4),
        size in 1_usize..600,
    ) {
        let small: Vec<_> = files_once().iter().filter(|packed| packed.len() < 3000).collect();
        let mut packed = small[file.index(small.len())].clone();
        for (at, byte) in changes {
            let at = at.index(packed.len());
            packed[at] = byte;
        }
        let whole = unpack([&packed[..]].into_iter());
        prop_assert!(unpack(packed.chunks(size)) == whole);
    }

    /// So may anything else behind the beginning of a frame.
    #[test]
    fn noise_is_read_alike_in_any_split(noise in prop::collection::vec(any::<u8>(), 0..400), size in 1_usize..50) {
        let packed = [&[0x28, 0xb5, 0x2f, 0xfd, 0x20, 0xff, 0xf5, 0x05, 0][..], &noise].concat();
        let whole = unpack([&packed[..]].into_iter());
        prop_assert!(unpack(packed.chunks(size)) == whole);
    }
}

fn files_once() -> &'static [Vec<u8>] {
    static FILES: std::sync::OnceLock<Vec<Vec<u8>>> = std::sync::OnceLock::new();
    FILES.get_or_init(|| files().into_iter().map(|(_, packed, _)| packed).collect())
}
