//! The list of series that all VMs of a process have in common, kept in the host's shared data.
//!
//! It holds a hash of each name, so a thousand series are 8 KB however long their names are. Two names of one hash count
//! as one series: a counting error of one, once in 10^13 lists of a thousand.

/// Bytes of one entry.
const ENTRY: usize = 8;

/// What became of a name.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Admission {
    /// It is on the list: nothing to write back.
    Known,
    /// It was put on the list, which must now be written back, with the host's compare-and-swap.
    Added,
    /// The list is full.
    Refused,
}

/// Asks for a name. `list` is what the shared data holds, empty at first.
pub fn admit(list: &mut Vec<u8>, name: &str, max: usize) -> Admission {
    let hash = fnv1a(name.as_bytes()).to_le_bytes();
    let (entries, _) = list.as_chunks::<ENTRY>();
    if entries.contains(&hash) {
        Admission::Known
    } else if entries.len() >= max {
        Admission::Refused
    } else {
        // A list that ends within an entry was not written here; that part is given up.
        list.truncate(entries.len().saturating_mul(ENTRY));
        list.extend_from_slice(&hash);
        Admission::Added
    }
}

/// FNV-1a, 64 bits: short, and the same in every VM and version.
fn fnv1a(bytes: &[u8]) -> u64 {
    bytes.iter().fold(0xcbf2_9ce4_8422_2325, |hash, byte| (hash ^ u64::from(*byte)).wrapping_mul(0x0000_0100_0000_01b3))
}

#[cfg(test)]
mod tests {
    use super::*;
    #[cfg(target_family = "wasm")]
    use wasm_bindgen_test::wasm_bindgen_test as test;

    #[test]
    fn a_name_is_admitted_once_and_stays() {
        let mut list = Vec::new();
        assert_eq!(admit(&mut list, "a", 2), Admission::Added);
        assert_eq!(admit(&mut list, "b", 2), Admission::Added);
        assert_eq!(admit(&mut list, "c", 2), Admission::Refused);
        assert_eq!(admit(&mut list, "a", 2), Admission::Known);
        assert_eq!(admit(&mut list, "b", 0), Admission::Known);
        assert_eq!(list.len(), 2 * ENTRY);
    }

    #[test]
    fn a_list_that_ends_within_an_entry_is_mended() {
        let mut list = vec![1; ENTRY + 3];
        assert_eq!(admit(&mut list, "a", 2), Admission::Added);
        assert_eq!(admit(&mut list, "a", 2), Admission::Known);
        assert_eq!(list.len(), 2 * ENTRY);
    }
}
