//! `waypost::framing` on any bytes, against a naive reading, cut at any three places.
#![no_main]

use libfuzzer_sys::fuzz_target;
use waypost::framing::Framing;

#[path = "../oracle/framing.rs"]
mod oracle;

fuzz_target!(|input: &[u8]| {
    // What selects framing and cuts is at the end, so that a corpus file starts like a stream.
    let Some((stream, &[a, b, c, d, e, f, framing])) = input.split_last_chunk() else { return };
    let cuts = [[a, b], [c, d], [e, f]].map(|cut| u16::from_le_bytes(cut).into());
    let framing = match framing % 5 {
        0 => Framing::Sse,
        1 => Framing::Lines,
        2 => Framing::Array,
        3 => Framing::AwsEvents,
        // Bytes alone hardly ever have the right checksums.
        _ => {
            oracle::check(Framing::AwsEvents, &frames(stream), &cuts);
            return;
        }
    };
    oracle::check(framing, stream, &cuts);
});

/// Frames with the input as their headers and payloads. Two bytes tell how long these are, until no two are left; where
/// the first is even, a name goes before the headers. The last bytes follow as they are.
fn frames(mut input: &[u8]) -> Vec<u8> {
    let mut frames = Vec::new();
    while let Some((&[headers, payload], rest)) = input.split_first_chunk() {
        let name = if headers % 2 == 0 { oracle::frame::header(":event-type", "name") } else { Vec::new() };
        let (headers, rest) = rest.split_at(rest.len().min(headers.into()));
        let (payload, rest) = rest.split_at(rest.len().min(payload.into()));
        frames.extend(oracle::frame::frame(&[&name, headers].concat(), payload));
        input = rest;
    }
    frames.extend(input);
    frames
}
