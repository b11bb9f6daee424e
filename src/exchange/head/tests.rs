use super::*;
#[cfg(target_family = "wasm")]
use wasm_bindgen_test::wasm_bindgen_test as test;

type Pairs = Vec<(String, Vec<u8>)>;

fn pairs(list: &[(&str, &[u8])]) -> Pairs {
    list.iter().map(|(name, value)| ((*name).to_owned(), value.to_vec())).collect()
}

/// What a head holds, in order.
fn held(head: &Head) -> Vec<(&[u8], &[u8])> {
    head.fields.iter().map(|field| (&head.block[field.name.clone()], &head.block[field.value.clone()])).collect()
}

#[test]
fn a_block_is_read_as_hosts_write_it() {
    let block = b"\x02\0\0\0\x05\0\0\0\x02\0\0\0\x01\0\0\0\0\0\0\0:path\0/\xff\0a\0\0".to_vec();
    let head = Head::from_block(block.clone());
    assert_eq!(held(&head), [(&b":path"[..], &b"/\xff"[..]), (b"a", b"")]);
    assert_eq!(Head::new(pairs(&[(":path", b"/\xff"), ("a", b"")])).block, block);
}

#[test]
fn a_header_is_found_by_its_whole_name_and_the_first_of_several_counts() {
    let head = Head::new(pairs(&[("ab", b"1"), ("a", b"2"), ("b", b"\xff"), ("a", b"3")]));
    assert_eq!((head.get("a"), head.only("a"), head.has("a")), (Some(&b"2"[..]), None, true));
    assert_eq!((head.get("b"), head.only("b")), (Some(&b"\xff"[..]), Some(&b"\xff"[..])));
    assert_eq!((head.get("c"), head.only("c"), head.has("")), (None, None, false));
    assert_eq!((head.text("ab"), head.text("b")), (Some("1"), None));
}

#[test]
fn lengths_that_lie_shorten_the_head() {
    let whole = Head::new(pairs(&[("a", b"1"), ("b", b"2")]));
    for (at, left) in [(0, 0), (3, 0), (4, 0), (7, 0), (8, 0), (11, 0), (12, 1), (15, 1), (16, 1), (19, 1)] {
        let mut block = whole.block.clone();
        block[at] = 0xff;
        assert_eq!(held(&Head::from_block(block)), held(&whole)[..left], "{at}");
    }
}

#[cfg(not(target_family = "wasm"))]
mod properties {
    use super::*;
    use proptest::prelude::*;

    fn borrowed(pairs: &[(String, Vec<u8>)]) -> Vec<(&[u8], &[u8])> {
        pairs.iter().map(|(name, value)| (name.as_bytes(), value.as_slice())).collect()
    }

    fn any_pairs() -> impl Strategy<Value = Pairs> {
        prop::collection::vec(("[a-c:]{0,3}", prop::collection::vec(any::<u8>(), 0..4)), 0..6)
    }

    proptest! {
        /// Cut at every byte, a block holds nothing while its lengths are not all there, and then what is.
        #[test]
        fn a_cut_block_holds_what_is_left_of_it(pairs in any_pairs()) {
            let whole = Head::new(pairs.clone());
            prop_assert_eq!(held(&whole), borrowed(&pairs));
            for cut in 0..=whole.block.len() {
                let head = Head::from_block(whole.block[..cut].to_vec());
                let mut end = 4 + 8 * pairs.len();
                let left = pairs.iter().take_while(|(name, value)| {
                    end += name.len() + 1 + value.len() + 1;
                    // The last NUL of all is nothing's.
                    end - 1 <= cut
                });
                let left = if cut < 4 + 8 * pairs.len() { 0 } else { left.count() };
                prop_assert_eq!(held(&head), borrowed(&pairs[..left]), "{}", cut);
            }
        }

        /// What is found is what a search of the pairs finds.
        #[test]
        fn a_head_answers_as_its_pairs_do(pairs in any_pairs(), name in "[a-c:]{0,3}") {
            let head = Head::new(pairs.clone());
            let named: Vec<_> = pairs.iter().filter(|(other, _)| *other == name).map(|(_, value)| &value[..]).collect();
            prop_assert_eq!(head.get(&name), named.first().copied());
            prop_assert_eq!(head.has(&name), !named.is_empty());
            prop_assert_eq!(head.only(&name), if named.len() == 1 { Some(named[0]) } else { None });
        }

        /// Whatever the bytes, nothing is found that does not stand in them.
        #[test]
        fn any_bytes_are_a_head(block in prop::collection::vec(0_u8..12, 0..64)) {
            let head = Head::from_block(block.clone());
            for (name, value) in held(&head) {
                prop_assert!(name.len() + value.len() < block.len());
            }
        }
    }
}
