//! `waypost::json` on any bytes, against `serde_json`, cut at any two places.
#![no_main]

use libfuzzer_sys::fuzz_target;

#[path = "../oracle/json.rs"]
mod oracle;

fuzz_target!(|input: &[u8]| {
    // What selects edits and cuts is at the end, so that a corpus file starts like a document.
    let Some((body, &[a, b, c, d, e, f, g])) = input.split_last_chunk() else { return };
    let cuts = [u16::from_le_bytes([a, b]).into(), u16::from_le_bytes([c, d]).into()];
    oracle::check(body, &cuts, u32::from_le_bytes([e, f, g, 0]));
});
