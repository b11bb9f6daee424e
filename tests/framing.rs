//! `waypost::framing` against a naive reading, on generated streams and on damaged ones, cut anywhere.
#![cfg(not(target_family = "wasm"))]
#![allow(
    clippy::arithmetic_side_effects,
    clippy::expect_used,
    clippy::indexing_slicing,
    clippy::panic,
    clippy::unwrap_used,
    reason = "a test may panic"
)]

#[path = "../fuzz/oracle/framing.rs"]
mod oracle;

use oracle::frame::{frame, header};
use oracle::{Piece, check};
use proptest::collection::vec;
use proptest::prelude::*;
use proptest::sample::{Index, select};
use waypost::framing::Framing;

/// Where a stream is cut.
fn cuts() -> impl Strategy<Value = Vec<Index>> {
    vec(any::<Index>(), 0..8)
}

fn at(cuts: &[Index], stream: &[u8]) -> Vec<usize> {
    cuts.iter().map(|cut| cut.index(stream.len() + 1)).collect()
}

/// The messages of a stream, in one piece and in many.
fn messages(framing: Framing, stream: &[u8], cuts: &[Index]) -> Vec<(String, String)> {
    let text = |bytes: &[u8]| String::from_utf8(bytes.to_vec()).unwrap();
    let pieces = check(framing, stream, &at(cuts, stream));
    let messages = pieces.iter().filter_map(|piece| match piece {
        Piece::Message { event, data, .. } => Some((text(event), text(data))),
        Piece::Other(_) | Piece::Behind(_) => None,
    });
    messages.collect()
}

/// A line end, CR among them less often: a CR and a LF that follow each other by accident are one.
fn line_end() -> impl Strategy<Value = &'static str> {
    select(vec!["\n", "\n", "\r\n", "\r\n", "\r"])
}

/// What a line of data says.
fn text() -> impl Strategy<Value = String> {
    let piece = select(vec!["", "{\"a\":1}", "x", " ", ":", "data:", "é", "\u{feff}", "[DONE]"]);
    vec(piece, 0..4).prop_map(|pieces| pieces.concat())
}

/// A line that is not data, without its end.
fn no_data() -> impl Strategy<Value = &'static str> {
    select(vec![
        ":",
        ": ping",
        "id: 1",
        "retry:5",
        "dat: a",
        "data2: b",
        "Data: c",
        "event2: d",
        "\u{feff}data: x",
        " data: y",
    ])
}

/// An event: its lines, its name and its data.
fn event() -> impl Strategy<Value = (Vec<String>, Option<(String, String)>)> {
    let name = prop::option::of(select(vec!["ping", "message_delta", ""]));
    let data = vec((text(), prop::bool::ANY), 0..4);
    (name, data, vec((any::<Index>(), no_data()), 0..3)).prop_map(|(name, data, more)| {
        let mut lines: Vec<String> = name.iter().map(|name| format!("event: {name}")).collect();
        for (text, spaced) in &data {
            // Without the space, one at the start of the text would be taken for it.
            let colon = if *spaced || text.starts_with(' ') { ": " } else { ":" };
            lines.push(if text.is_empty() && *spaced { "data".to_owned() } else { format!("data{colon}{text}") });
        }
        for (place, line) in more {
            lines.insert(place.index(lines.len() + 1), line.to_owned());
        }
        let texts: Vec<&str> = data.iter().map(|(text, _)| text.as_str()).collect();
        let message = (!texts.is_empty()).then(|| (name.unwrap_or_default().to_owned(), texts.join("\n")));
        (lines, message)
    })
}

/// Something that may stand in any stream, for streams that are none.
fn token() -> impl Strategy<Value = &'static [u8]> {
    let texts = select(vec![
        "\n", "\n", "\r", "\r", "\r\n", "\n\n", "data", "data:", "data: ", "event:", ":", " ", "a", "[", "]", "{", "}",
        ",", "\"", "\\", "1", "null", "\t",
    ]);
    prop_oneof![
        6 => texts.prop_map(str::as_bytes),
        1 => select(vec![&b"\xef"[..], b"\xbb", b"\xbf", b"\xef\xbb\xbf", b"\0", b"\x80", b"\0\0\0\x10\0\0\0\0"]),
    ]
}

/// An element of an array.
fn element() -> impl Strategy<Value = String> {
    select(vec![
        "1",
        "-0.5e3",
        "true",
        "null",
        "{}",
        "[]",
        "\"\"",
        "\"a\\\\\"",
        "\"]\\\",[\"",
        "[[1],{\"]\":\"}\\\"\"}]",
        "{\"a\": [1, 2]}",
        "{\n  \"text\": \"},{\"\n}",
    ])
    .prop_map(str::to_owned)
}

fn space() -> impl Strategy<Value = &'static str> {
    select(vec!["", "", "\n", " ", "\r\n\t"])
}

/// A header of a frame that names nothing.
fn other_header() -> impl Strategy<Value = Vec<u8>> {
    let sizes = [0, 0, 1, 2, 4, 8, 0, 0, 8, 16];
    (0..10u8, select(vec!["a", ":content-type", ":message-type"]), vec(any::<u8>(), 16)).prop_map(
        move |(kind, name, bytes)| {
            let mut header = vec![name.len() as u8];
            header.extend(name.as_bytes());
            header.push(kind);
            match kind {
                6 | 7 => header.extend([&[0, 3][..], &bytes[..3]].concat()),
                _ => header.extend(&bytes[..sizes[usize::from(kind)]]),
            }
            header
        },
    )
}

fn named_frame() -> impl Strategy<Value = (Vec<u8>, (String, String))> {
    let kind = select(vec![":event-type", ":exception-type", ":error-code"]);
    let name = select(vec!["metadata", "chunk", ""]);
    (kind, name, text(), vec(other_header(), 0..4), any::<Index>()).prop_map(
        |(kind, name, text, mut headers, place)| {
            headers.insert(place.index(headers.len() + 1), header(kind, name));
            (frame(&headers.concat(), text.as_bytes()), (name.to_owned(), text))
        },
    )
}

proptest! {
    #[test]
    fn events_are_what_was_written(
        bom in prop::bool::ANY,
        events in vec((event(), line_end(), prop::bool::ANY), 0..6),
        last in select(vec!["", "\n", "\n\n"]),
        cuts in cuts(),
    ) {
        let mut stream = String::from(if bom { "\u{feff}" } else { "" });
        let mut expected = Vec::new();
        for (index, ((lines, message), line_end, mixed)) in events.iter().enumerate() {
            // There the BOM of that line would count for nothing.
            prop_assume!(bom || !stream.is_empty() || !lines.first().is_some_and(|line| line.starts_with('\u{feff}')));
            for (number, line) in lines.iter().enumerate() {
                stream += line;
                stream += if *mixed && number % 2 == 0 { "\r\n" } else { line_end };
            }
            stream += if index + 1 == events.len() { last } else { line_end };
            expected.extend(message.clone());
        }
        prop_assert_eq!(messages(Framing::Sse, stream.as_bytes(), &cuts), expected);
    }

    #[test]
    fn elements_are_what_was_written(
        elements in vec((element(), space(), space()), 0..6),
        around in (space(), space(), space()),
        cuts in cuts(),
    ) {
        let items: Vec<String> = elements.iter().map(|(element, before, behind)| format!("{before}{element}{behind}")).collect();
        let stream = format!("{}[{}{}]{}", around.0, around.1, items.join(","), around.2);
        let expected: Vec<_> = elements.into_iter().map(|(element, ..)| (String::new(), element)).collect();
        prop_assert_eq!(messages(Framing::Array, stream.as_bytes(), &cuts), expected);
    }

    #[test]
    fn frames_are_what_was_written(
        frames in vec(named_frame(), 0..5),
        lost in 0..20usize,
        flipped in prop::option::of((any::<Index>(), 0..8u8)),
        cuts in cuts(),
    ) {
        let (frames, mut expected): (Vec<_>, Vec<_>) = frames.into_iter().unzip();
        let mut stream = frames.concat();
        prop_assert_eq!(&messages(Framing::AwsEvents, &stream, &cuts), &expected);
        // A cut frame is lost, and a damaged one.
        expected.pop();
        let last = frames.last().map_or(0, Vec::len);
        let kept = stream.len() - last.min(lost + 1);
        if kept < stream.len() {
            prop_assert_eq!(&messages(Framing::AwsEvents, &stream[..kept], &cuts), &expected);
        }
        if let (Some((place, bit)), false) = (flipped, stream.is_empty()) {
            let place = place.index(stream.len());
            stream[place] ^= 1 << bit;
            let found = check(Framing::AwsEvents, &stream, &at(&cuts, &stream));
            let found = found.iter().filter(|piece| matches!(piece, Piece::Message { .. })).count();
            prop_assert!(found < frames.len());
        }
    }

    #[test]
    fn any_bytes_are_read_alike_however_they_are_cut(tokens in vec(token(), 0..40), cuts in cuts()) {
        let stream = tokens.concat();
        let array = [b"[", &stream[..]].concat();
        let frames = [frame(&stream[..stream.len() / 2], b""), stream.clone()].concat();
        check(Framing::Sse, &stream, &at(&cuts, &stream));
        check(Framing::Lines, &stream, &at(&cuts, &stream));
        check(Framing::Array, &stream, &at(&cuts, &stream));
        check(Framing::Array, &array, &at(&cuts, &array));
        check(Framing::AwsEvents, &frames, &at(&cuts, &frames));
    }
}
