//! The order of keys.

use std::collections::BinaryHeap;

/// Keys in the order of their bytes, each with its place in what they were taken from; equal keys stand in the order in
/// which they came.
///
/// It takes `n log n` comparisons for whatever keys a client may send. A heap, because it is a tenth of the code that a
/// sort brings into the wasm; and no table of hashes, because that needs a random seed that hosts do not give.
pub(crate) fn in_order<'k>(keys: &mut dyn Iterator<Item = &'k str>) -> Vec<(&'k str, usize)> {
    keys.zip(0..).collect::<BinaryHeap<_>>().into_sorted_vec()
}

#[cfg(test)]
mod tests {
    use super::*;
    #[cfg(target_family = "wasm")]
    use wasm_bindgen_test::wasm_bindgen_test as test;

    #[test]
    fn equal_keys_keep_their_order() {
        let keys = ["b", "a", "c", "a", "", "b"];
        let sorted = [("", 4), ("a", 1), ("a", 3), ("b", 0), ("b", 5), ("c", 2)];
        assert_eq!(in_order(&mut keys.into_iter()), sorted);
    }
}
