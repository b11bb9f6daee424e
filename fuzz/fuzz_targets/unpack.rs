//! `waypost::unpack` on any bytes: no panic, never more than it may make, and the same in any split.
#![no_main]

use libfuzzer_sys::fuzz_target;
use waypost::unpack::{Coding, Fault, MAX_RATIO, Unpacker};

fn unpack<'c>(coding: Coding, chunks: impl Iterator<Item = &'c [u8]>) -> Result<Vec<u8>, Fault> {
    let (mut unpacker, mut out) = (Unpacker::new(coding, 1 << 24), Vec::new());
    for mut chunk in chunks {
        while unpacker.feed(&mut chunk, 5000, &mut |bytes| out.extend_from_slice(bytes))? {}
        assert!(chunk.is_empty());
    }
    unpacker.finish().map(|()| out)
}

fuzz_target!(|input: &[u8]| {
    // What selects the coding and the cut is at the end, so that a corpus file starts like a body.
    let Some((body, &[coding, size])) = input.split_last_chunk() else { return };
    let coding = [Coding::Gzip, Coding::Deflate, Coding::Zstd][usize::from(coding) % 3];
    let whole = unpack(coding, [body].into_iter());
    if let Ok(text) = &whole {
        assert!(text.len() as u64 <= body.len() as u64 * MAX_RATIO + (64 << 10));
    }
    // Which of two faults is found first may depend on the split.
    let parts = unpack(coding, body.chunks(usize::from(size) + 1));
    assert_eq!(whole.ok(), parts.ok());
});
