//! `waypost::usage` and the walker below it on any bytes: the same in any split.
#![no_main]

use libfuzzer_sys::fuzz_target;
use waypost::usage::{Collector, Facts, Table};

fuzz_target!(|input: &[u8]| {
    // What selects the cuts is at the end, so that a corpus file starts like a document.
    let Some((body, &[a, b, c, d])) = input.split_last_chunk() else { return };
    let table = Table::new();
    let mut cuts = [u16::from_le_bytes([a, b]), u16::from_le_bytes([c, d])].map(|cut| usize::from(cut).min(body.len()));
    cuts.sort_unstable();
    let whole = read(&table, &[body]);
    assert_eq!(read(&table, &[&body[..cuts[0]], &body[cuts[0]..cuts[1]], &body[cuts[1]..]]), whole);
    assert_eq!(read(&table, &body.chunks(1).collect::<Vec<_>>()), whole);
    Collector::new(&table).message(b"", body);
});

fn read(table: &Table, pieces: &[&[u8]]) -> Facts {
    let mut collector = Collector::new(table);
    for piece in pieces {
        collector.feed(piece);
    }
    collector.finish_document();
    collector.into_facts()
}
