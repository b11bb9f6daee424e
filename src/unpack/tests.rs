use super::*;
use miniz_oxide::deflate::{compress_to_vec, compress_to_vec_zlib};
#[cfg(target_family = "wasm")]
use wasm_bindgen_test::wasm_bindgen_test as test;

/// A gzip member with every optional field; its data by the compressor of the same crate.
fn gzip(text: &[u8]) -> Vec<u8> {
    let mut out = vec![0x1f, 0x8b, 8, 0b1_1110, 1, 2, 3, 4, 0, 255];
    out.extend(b"\x03\0abcname\0comment\0\x12\x34");
    out.extend(compress_to_vec(text, 6));
    out.extend(b"crc-size");
    out
}

fn unpack<'c>(coding: Coding, chunks: impl Iterator<Item = &'c [u8]>) -> Result<Vec<u8>, Fault> {
    let (mut unpacker, mut out) = (Unpacker::new(coding, 1 << 26), Vec::new());
    for mut chunk in chunks {
        while unpacker.feed(&mut chunk, 1000, &mut |bytes| out.extend_from_slice(bytes))? {}
        assert!(chunk.is_empty());
    }
    unpacker.finish().map(|()| out)
}

fn text() -> Vec<u8> {
    (0..40_000_u32).flat_map(|n| format!("{},", n.wrapping_mul(2_654_435_761) % 1009).into_bytes()).collect()
}

#[test]
fn reads_every_wrapping_of_deflate_in_any_split() {
    let text = text();
    let packed = [
        (Coding::Gzip, gzip(&text)),
        (Coding::Gzip, [gzip(&text[..1000]), gzip(&text[1000..])].concat()),
        (Coding::Deflate, compress_to_vec_zlib(&text, 6)),
        (Coding::Deflate, compress_to_vec(&text, 6)),
    ];
    for (coding, packed) in &packed {
        for size in [1, 2, 7, 1000, packed.len()] {
            assert!(unpack(*coding, packed.chunks(size)).unwrap() == text, "{coding:?} {size}");
        }
    }
}

#[test]
fn what_is_not_all_there_or_goes_on_is_broken() {
    let text = text();
    for (coding, packed) in [(Coding::Gzip, gzip(&text)), (Coding::Deflate, compress_to_vec_zlib(&text, 6))] {
        for end in [0, 1, 5, packed.len() / 2, packed.len() - 1] {
            assert_eq!(unpack(coding, packed[..end].chunks(1000)), Err(Fault::Broken), "{coding:?} {end}");
        }
        assert_eq!(unpack(coding, [&packed[..], b"x"].into_iter()), Err(Fault::Broken), "{coding:?}");
        assert_eq!(unpack(coding, [b"{\"model\":\"m\"}".as_slice()].into_iter()), Err(Fault::Broken), "{coding:?}");
    }
    // Block type 3 is reserved, and nobody has the dictionary that the last one wants.
    assert_eq!(
        unpack(Coding::Gzip, [&[0x1f, 0x8b, 8, 0, 0, 0, 0, 0, 0, 0, 7, 0, 0][..]].into_iter()),
        Err(Fault::Broken)
    );
    assert_eq!(unpack(Coding::Deflate, [&[0x78, 0xbb, 0, 0, 0, 1][..]].into_iter()), Err(Fault::Broken));
}

#[test]
fn what_unpacks_out_of_proportion_is_too_large() {
    let blanks = vec![b' '; 1 << 20];
    for size in [1, 100, 1 << 20] {
        assert_eq!(unpack(Coding::Gzip, gzip(&blanks).chunks(size)), Err(Fault::TooLarge));
    }
    // A little is always free, whatever the ratio.
    assert!(unpack(Coding::Gzip, gzip(&blanks[..60_000]).chunks(7)).is_ok());
    let (text, mut unpacker) = (text(), Unpacker::new(Coding::Deflate, 100_000));
    let packed = compress_to_vec(&text, 6);
    let all = &mut packed.as_slice();
    assert_eq!(unpacker.feed(all, usize::MAX, &mut |_| {}), Err(Fault::TooLarge));
    assert_eq!(unpacker.finish(), Err(Fault::TooLarge));
}

#[test]
fn stops_where_there_is_no_more_room_and_goes_on_from_there() {
    let text = text();
    let packed = compress_to_vec(&text, 6);
    let (mut unpacker, mut out, mut input) = (Unpacker::new(Coding::Deflate, 1 << 26), Vec::new(), packed.as_slice());
    loop {
        let before = out.len();
        let more = unpacker.feed(&mut input, 10_000, &mut |bytes| out.extend_from_slice(bytes)).unwrap();
        assert!(out.len() - before < 10_000 + (1 << 15));
        if !more {
            break;
        }
    }
    assert!(out == text);
}

#[test]
fn encodings_are_read_from_all_headers() {
    use Coding::{Deflate, Gzip, Zstd};
    for (values, expected) in [
        (&[][..], Encoding::Plain),
        (&[""], Encoding::Plain),
        (&["identity, identity", " ,IDENTITY"], Encoding::Plain),
        (&["GZip"], Encoding::Packed(Gzip)),
        (&["x-gzip"], Encoding::Packed(Gzip)),
        (&["identity", "deflate"], Encoding::Packed(Deflate)),
        (&["identity ,\tzstd,"], Encoding::Packed(Zstd)),
        (&["gzip, zstd"], Encoding::Unknown),
        (&["gzip", "gzip"], Encoding::Unknown),
        (&["br, identity"], Encoding::Unknown),
        (&["utf-8"], Encoding::Unknown),
        (&["gzip;q=1"], Encoding::Unknown),
    ] {
        assert_eq!(Encoding::of(values.iter().map(|value| value.as_bytes())), expected, "{values:?}");
    }
}
