//! Recorded exchanges of every vendor, in the words of this repository (`testdata/usage/exchanges`): what is expected of
//! each comes out, whatever the pieces in which the response comes.
#![cfg(not(target_family = "wasm"))]
#![allow(
    clippy::arithmetic_side_effects,
    clippy::expect_used,
    clippy::indexing_slicing,
    clippy::panic,
    clippy::unwrap_used,
    reason = "a test that meets something unexpected fails"
)]

#[path = "support/corpus.rs"]
mod corpus;
#[path = "../fuzz/oracle/frame.rs"]
mod frame;

use std::path::Path;

/// The pieces in which responses come, in bytes.
const SIZES: [usize; 6] = [1, 2, 7, 100, 4096, usize::MAX];

/// A body that is longer than this is not sent byte by byte.
const LONG: usize = 100_000;

#[test]
fn every_recorded_exchange_leaves_what_is_expected_in_any_pieces() {
    let folder = Path::new(env!("CARGO_MANIFEST_DIR")).join("testdata/usage/exchanges");
    let files = corpus::read(&folder).expect("the samples");
    assert!(files.len() > 40, "samples are missing: {}", files.len());
    let mut wrong = Vec::new();
    for (path, steps) in &files {
        let name = path.file_stem().unwrap().to_string_lossy();
        for size in SIZES {
            // Exchanges of one file know of each other.
            let config = steps[0].config().unwrap_or_else(|problem| panic!("{name}: {problem}"));
            for (step, recorded) in steps.iter().enumerate() {
                if size < 100 && recorded.body.len() > LONG {
                    continue;
                }
                let outcome = recorded.exchange(&config, size).unwrap_or_else(|problem| panic!("{name}: {problem}"));
                assert!(!recorded.expected.is_empty(), "{name}: nothing is expected");
                for (field, expected) in &recorded.expected {
                    let value = outcome.value(field);
                    if value != *expected {
                        wrong.push(format!("{name} {step} by {size}: {field} is {value} in place of {expected}"));
                    }
                }
            }
        }
    }
    assert!(wrong.is_empty(), "{}", wrong.join("\n"));
}
