//! What was counted, so that it is not counted again.

use std::collections::VecDeque;

/// How many responses are remembered. Each takes eight bytes; the oldest is forgotten first.
pub const MAX_REMEMBERED: usize = 1024;

/// Responses whose cost is told whenever they are fetched, and was counted.
///
/// Each worker thread of a host has its own, so a client that fetches a response again over another worker is counted
/// again: at most once per worker.
#[derive(Clone, Debug, Default)]
pub struct Once {
    hashes: VecDeque<u64>,
}

impl Once {
    /// Whether this id comes for the first time, as far as is remembered.
    pub fn is_first(&mut self, id: &str) -> bool {
        let hash = hash(id.as_bytes());
        if self.hashes.contains(&hash) {
            return false;
        }
        if self.hashes.len() >= MAX_REMEMBERED {
            self.hashes.pop_front();
        }
        self.hashes.push_back(hash);
        true
    }
}

/// FNV-1a of 64 bits, <https://datatracker.ietf.org/doc/html/draft-eastlake-fnv>. Ids of vendors are random; that two of
/// them are alike is less likely than that a host fails.
fn hash(bytes: &[u8]) -> u64 {
    const BASIS: u64 = 0xcbf2_9ce4_8422_2325;
    const PRIME: u64 = 0x0100_0000_01b3;
    bytes.iter().fold(BASIS, |hash, byte| (hash ^ u64::from(*byte)).wrapping_mul(PRIME))
}

#[cfg(test)]
mod tests {
    use super::*;
    #[cfg(target_family = "wasm")]
    use wasm_bindgen_test::wasm_bindgen_test as test;

    #[test]
    fn an_id_is_first_once_and_the_oldest_are_forgotten() {
        let mut once = Once::default();
        assert!(once.is_first("a"));
        assert!(!once.is_first("a"));
        for number in 0..MAX_REMEMBERED {
            assert!(once.is_first(&number.to_string()));
        }
        assert!(once.is_first("a"));
        assert_eq!(once.hashes.len(), MAX_REMEMBERED);
        assert_eq!(hash(b"a"), 0xaf63_dc4c_8601_ec8c);
    }
}
