//! The parts of fixed streams, the same in one piece, cut anywhere, and byte by byte.

#[path = "../../fuzz/oracle/frame.rs"]
mod frame;

use self::frame::{crc32, frame, header};
use super::*;
#[cfg(target_family = "wasm")]
use wasm_bindgen_test::wasm_bindgen_test as test;

/// Streams up to this size are cut at every pair of bytes, in bytes.
const PAIRS_UP_TO: usize = 100;

/// How a stream in these chunks reads, and whether a message may be missing. A message is `event<data>`, other bytes
/// are `(raw)`, neighbours together, and `+` is a LF that continues what is before it.
fn read(framing: Framing, chunks: &[&[u8]]) -> (String, bool) {
    let mut framer = Framer::new(framing);
    let (mut parts, mut raw) = (String::new(), Vec::new());
    let mut sink = |part: Part<'_>| {
        raw.extend_from_slice(part.raw);
        match part.message {
            Some(Message { event, data, .. }) => {
                parts += &format!("{}<{}>", event.escape_ascii(), data.escape_ascii());
            }
            None if part.continues => parts += "+",
            None => parts += &format!("({})", part.raw.escape_ascii()),
        }
    };
    for chunk in chunks {
        framer.feed(chunk, &mut sink);
    }
    framer.finish(&mut sink);
    assert_eq!(raw, chunks.concat());
    assert_eq!(framer.pending(), b"");
    (parts.replace(")(", ""), framer.overflowed())
}

/// How a stream reads, which is the same however it is cut.
fn outcome(framing: Framing, stream: impl AsRef<[u8]>) -> (String, bool) {
    let stream = stream.as_ref();
    let whole = read(framing, &[stream]);
    let bytes: Vec<&[u8]> = stream.chunks(1).collect();
    assert_eq!(read(framing, &bytes), whole, "byte by byte: {}", stream.escape_ascii());
    for cut in 0..=stream.len() {
        let (head, tail) = stream.split_at(cut);
        assert_eq!(read(framing, &[head, tail]), whole, "cut at {cut}: {}", stream.escape_ascii());
        if stream.len() <= PAIRS_UP_TO {
            for second in 0..=tail.len() {
                let (middle, tail) = tail.split_at(second);
                assert_eq!(read(framing, &[head, middle, tail]), whole, "cut at {cut} and {second} on");
            }
        }
    }
    whole
}

/// How streams read of which nothing is too long or damaged.
fn reads(framing: Framing, samples: &[(&str, &str)]) {
    for &(stream, expected) in samples {
        assert_eq!(outcome(framing, stream), (expected.to_owned(), false), "{stream:?}");
    }
}

#[test]
fn an_event_ends_with_a_blank_line_of_any_kind() {
    let samples = [
        ("data: a\n\ndata: b\n\n", "<a><b>"),
        ("data: a\r\rdata: b\r\r", "<a><b>"),
        ("data: a\r\n\r\ndata: b\r\n\r\n", "<a>+<b>+"),
        ("data: a\n\r\ndata: b\r\n\n", "<a>+<b>"),
        ("data: a\r\n\rdata: b\n\r", "<a><b>"),
        ("data: a\n\n\r\n\r\r\n\n", r"<a>(\r)+(\r\r)+(\n)"),
    ];
    reads(Framing::Sse, &samples);
}

#[test]
fn fields_are_read_as_the_standard_tells() {
    let samples = [
        ("data:a\n\n", "<a>"),
        ("data:  a \n\n", "< a >"),
        ("data:\ta\n\n", r"<\ta>"),
        ("data: a\ndata:b\ndata\ndata: c\n\n", r"<a\nb\n\nc>"),
        ("data\n\n", "<>"),
        ("data:\n\n", "<>"),
        ("data: \n\ndata:\ndata:\n\n", r"<><\n>"),
        ("event: x\ndata: a\n\n", "x<a>"),
        ("data: a\nevent:x\n\n", "x<a>"),
        ("event: x\nevent: y\ndata: a\n\ndata: b\n\n", "y<a><b>"),
        ("event: x\nevent\ndata: a\n\n", "<a>"),
        ("id: 1\nretry: 2\n: c\ndata: a\nfoo\n\n", "<a>"),
        ("data: é\u{feff}\n\n", r"<\xc3\xa9\xef\xbb\xbf>"),
        // None of these is data.
        ("datas: a\ndat: a\nDATA: a\n data: a\ndata : a\n\n", r"(datas: a\ndat: a\nDATA: a\n data: a\ndata : a\n\n)"),
        ("event: x\n\n", r"(event: x\n\n)"),
        (": ping\n\n: ping\n\ndata: a\n\n", r"(: ping\n\n: ping\n\n)<a>"),
    ];
    reads(Framing::Sse, &samples);
    assert_eq!(outcome(Framing::Sse, b"data: \xff\0\n\n"), (r"<\xff\x00>".to_owned(), false));
}

#[test]
fn a_byte_order_mark_at_the_start_is_no_part_of_the_first_event() {
    let samples = [
        ("\u{feff}data: a\n\n", r"(\xef\xbb\xbf)<a>"),
        ("\u{feff}\n\ndata: a\n\n", r"(\xef\xbb\xbf\n\n)<a>"),
        ("\u{feff}\u{feff}data: a\n\n", r"(\xef\xbb\xbf\xef\xbb\xbfdata: a\n\n)"),
        ("data: a\n\n\u{feff}data: b\n\n", r"<a>(\xef\xbb\xbfdata: b\n\n)"),
        ("\u{feff}", r"(\xef\xbb\xbf)"),
    ];
    reads(Framing::Sse, &samples);
    assert_eq!(outcome(Framing::Sse, b"\xef\xbbdata: a\n\n"), (r"(\xef\xbbdata: a\n\n)".to_owned(), false));
    assert_eq!(outcome(Framing::Sse, b"\xef\xbb\n\ndata: a\n\n"), (r"(\xef\xbb\n\n)<a>".to_owned(), false));
    assert_eq!(outcome(Framing::Sse, b"\xef\xbb"), (r"(\xef\xbb)".to_owned(), false));
}

#[test]
fn the_last_event_may_lack_its_end() {
    let samples = [
        ("", ""),
        ("data: a\n\ndata: b\n", "<a><b>"),
        ("data: a\r\n\r\ndata: b\r\n", "<a>+<b>"),
        ("data: a\n\ndata: b", "<a><b>"),
        ("data: a\n\nevent: x\ndata: b\r", "<a>x<b>"),
        ("data: a\n\nevent: x", "<a>(event: x)"),
        ("data: a\n\n: ping", "<a>(: ping)"),
    ];
    reads(Framing::Sse, &samples);
}

/// higress#4616: an event split over two callbacks disappeared.
#[test]
fn higress_4616_an_event_may_be_split_anywhere() {
    let stream = "event: message_start\ndata: {\"usage\":{\"input_tokens\":3}}\n\nevent: ping\ndata: {}\n\n";
    reads(Framing::Sse, &[(stream, "message_start<{\\\"usage\\\":{\\\"input_tokens\\\":3}}>ping<{}>")]);
}

#[test]
fn an_event_is_handed_out_as_soon_as_it_is_complete() {
    for (chunks, complete, pending) in [
        (&["data: a\n", "\n"][..], &[0, 1][..], ["data: a\n", ""]),
        (&["data: a\r\n\r", "\n"], &[1, 2], ["", ""]),
        (&["data: a\n\nda", "ta: b\n\n"], &[1, 2], ["da", ""]),
    ] {
        let mut framer = Framer::new(Framing::Sse);
        let mut parts = 0;
        for ((chunk, complete), pending) in chunks.iter().zip(complete).zip(pending) {
            framer.feed(chunk.as_bytes(), &mut |_| parts += 1);
            assert_eq!((parts, framer.pending()), (*complete, pending.as_bytes()), "{chunks:?}");
        }
    }
}

#[test]
fn what_lies_within_a_chunk_is_not_copied() {
    let frame = frame(&header(":event-type", "a"), b"b");
    for (framing, stream) in [
        (Framing::Sse, &b"event: a\r\ndata: b\r\n\r\n: c\n\ndata: d\n\n"[..]),
        (Framing::Lines, b"a\r\n\nb\n"),
        (Framing::Array, b"[1, {}, []]"),
        (Framing::AwsEvents, &frame),
    ] {
        let within = |bytes: &[u8]| stream.as_ptr_range().contains(&bytes.as_ptr());
        Framer::new(framing).feed(stream, &mut |part| {
            assert!(within(part.raw));
            if let Some(message) = part.message {
                assert!(matches!(message.data, Cow::Borrowed(data) if within(data)));
            }
        });
    }
}

#[test]
fn a_line_that_is_not_blank_is_a_message() {
    let samples = [
        ("{}\n{\"a\":1}\r\n", "<{}><{\\\"a\\\":1}>"),
        ("\n\r\n \t\r\na\n", r"(\n\r\n \t\r\n)<a>"),
        ("a\rb\n\r", r"<a\rb>(\r)"),
        ("a\nb", "<a><b>"),
        ("a\nb\r", "<a><b>"),
    ];
    reads(Framing::Lines, &samples);
}

#[test]
fn each_element_of_an_array_is_a_message() {
    let samples = [
        ("[]", "([])"),
        (" [ ] \n", r"( [ ] \n)"),
        ("[{}]", "([)<{}>(])"),
        ("[{\"a\":[1,{}]}\n,\r\n{\"b\":2}]\n", "([)<{\\\"a\\\":[1,{}]}>(\\n,\\r\\n)<{\\\"b\\\":2}>(]\\n)"),
        ("[1,true , null\n]", r"([)<1>(,)<true>( , )<null>(\n])"),
        ("[\"a\",\"]\",\"\\\"\",\"\\\\\"]", r#"([)<\"a\">(,)<\"]\">(,)<\"\\\"\">(,)<\"\\\\\">(])"#),
        ("[{\"a\":\"}\\\"]\"},[\"[\"]]", r#"([)<{\"a\":\"}\\\"]\"}>(,)<[\"[\"]>(])"#),
        // The end of the stream cuts an element.
        ("[{},{\"a\"", "([)<{}>(,{\\\"a\\\")"),
        ("[{},12", "([)<{}>(,12)"),
        ("[\"a", "([\\\"a)"),
        ("[", "([)"),
        ("", ""),
    ];
    reads(Framing::Array, &samples);
}

#[test]
fn what_is_no_array_passes() {
    for (stream, expected) in [
        ("{\"error\":[1]}", "({\\\"error\\\":[1]})"),
        ("data: a\n\n", r"(data: a\n\n)"),
        (" 1", "( 1)"),
        ("[1][2]", "([)<1>(][2])"),
        ("[1],", "([)<1>(],)"),
    ] {
        assert_eq!(outcome(Framing::Array, stream), (expected.to_owned(), true), "{stream:?}");
    }
}

/// A frame of a stream of Bedrock.
fn event(kind: &str, name: &str, payload: &str) -> Vec<u8> {
    let headers = [
        header(kind, name),
        header(":content-type", "application/json"),
        header(":message-type", if kind == ":event-type" { "event" } else { "exception" }),
    ];
    frame(&headers.concat(), payload.as_bytes())
}

fn escaped(frame: &[u8]) -> String {
    format!("({})", frame.escape_ascii())
}

#[test]
fn each_frame_with_a_name_is_a_message() {
    let frames = [
        event(":event-type", "messageStart", "{\"role\":\"assistant\"}"),
        event(":event-type", "messageStop", ""),
        event(":exception-type", "throttlingException", "{}"),
        frame(&header(":error-code", "InternalError"), b""),
    ];
    let expected = r#"messageStart<{\"role\":\"assistant\"}>messageStop<>throttlingException<{}>InternalError<>"#;
    assert_eq!(outcome(Framing::AwsEvents, frames.concat()), (expected.to_owned(), false));
    assert_eq!(outcome(Framing::AwsEvents, ""), (String::new(), false));
}

#[test]
fn headers_of_all_kinds_are_skipped() {
    let mut headers = Vec::new();
    for (kind, size) in [0, 0, 1, 2, 4, 8, 5, 5, 8, 16].into_iter().enumerate() {
        headers.extend([1, b'x', kind as u8]);
        headers.extend(match kind {
            6 | 7 => vec![0, 3, 7, 7, 7],
            _ => vec![7; size],
        });
    }
    // The name of an event is a string.
    headers.extend([b"\x0b:event-type\x06\0\x01x", &header(":event-type", "a")[..]].concat());
    assert_eq!(outcome(Framing::AwsEvents, frame(&headers, b"b")), ("a<b>".to_owned(), false));
}

#[test]
fn a_frame_without_a_name_is_no_message() {
    let known = "0000003d0000002007fd83960c636f6e74656e742d747970650700106170706c69636174696f6e2f6a736f6e7b27666f6f273a27626172\
                 277d8d9c08b1";
    let known: Vec<u8> =
        (0..known.len()).step_by(2).map(|at| u8::from_str_radix(&known[at..at + 2], 16).unwrap()).collect();
    for frame in [
        // From the test suite of Amazon's clients.
        known,
        frame(b"", b""),
        frame(b"", b"{}"),
        // Headers that end too early, and one of a kind that there is not.
        frame(b"\x0b:event-type", b"{}"),
        frame(b"\x0b:event-type\x07\0\x02x", b"{}"),
        frame(b"\xff", b"{}"),
        frame(&[b"\x01x\x0a", &header(":event-type", "a")[..]].concat(), b"{}"),
    ] {
        let stream = [&frame[..], &event(":event-type", "a", "b")].concat();
        assert_eq!(outcome(Framing::AwsEvents, stream), (escaped(&frame) + "a<b>", false));
    }
}

#[test]
fn a_cut_frame_is_no_message() {
    let frame = event(":event-type", "a", "b");
    for length in 1..frame.len() {
        assert_eq!(read(Framing::AwsEvents, &[&frame[..length]]), (escaped(&frame[..length]), false));
    }
}

#[test]
fn a_damaged_frame_is_no_message() {
    let good = event(":event-type", "a", "b");
    for damaged in 0..good.len() {
        let mut frame = good.clone();
        frame[damaged] ^= 0x10;
        let stream = [&good[..], &frame, &good].concat();
        // Behind a wrong length nothing can be found.
        let expected = if damaged < PRELUDE {
            format!("a<b>{}", escaped(&stream[good.len()..]))
        } else {
            format!("a<b>{}a<b>", escaped(&frame))
        };
        assert_eq!(read(Framing::AwsEvents, &[&stream]), (expected.clone(), true), "{damaged}");
        let bytes: Vec<&[u8]> = stream.chunks(1).collect();
        assert_eq!(read(Framing::AwsEvents, &bytes), (expected, true), "{damaged}, byte by byte");
    }
}

/// The lengths of a frame and their checksum, in bytes.
const PRELUDE: usize = 12;

#[test]
fn impossible_lengths_end_the_framing() {
    let good = event(":event-type", "a", "b");
    for (total, headers) in
        [(0, 0), (0, u32::MAX), (15, 0), (16, 1), (17, 2), (100, 85), (100, u32::MAX), (u32::MAX, u32::MAX)]
    {
        let mut prelude = [u32::to_be_bytes(total), u32::to_be_bytes(headers)].concat();
        prelude.extend(crc32(&prelude).to_be_bytes());
        let stream = [&prelude[..], &good].concat();
        assert_eq!(outcome(Framing::AwsEvents, &stream), (escaped(&stream), true), "{total} {headers}");
    }
}

/// How streams read that begin with a message of this many bytes, cut here and there; its `(…)` is left out, and a long
/// message reads the same whether it is shown as one or in runs.
fn reads_long(framing: Framing, stream: &[u8], length: usize, expected: &str) {
    let cut = |cuts: &[usize]| {
        let mut framer = Framer::new(framing);
        let (mut given, mut parts, mut from) = (0, String::new(), 0);
        let mut pending = 0;
        let mut runs = Vec::new();
        let says = |data: &[u8]| if data.len() > 9 { "long".to_owned() } else { data.escape_ascii().to_string() };
        let mut sink = |part: Part<'_>, given: &mut usize| {
            *given += part.raw.len();
            match (part.message, part.run) {
                (Some(message), _) => parts += &format!("{}<{}>", message.event.escape_ascii(), says(&message.data)),
                (None, Some(Run::Data(data))) => runs.extend_from_slice(data),
                (None, Some(Run::End { event, .. })) => {
                    assert!(runs.len() > MAX_HELD - 100 && !runs.trim_ascii().is_empty(), "{}", runs.len());
                    parts += &format!("{}<{}>", event.escape_ascii(), says(&core::mem::take(&mut runs)));
                }
                (None, None) => {}
            }
        };
        for to in cuts.iter().copied().chain([stream.len()]) {
            framer.feed(&stream[from..to], &mut |part| sink(part, &mut given));
            pending = pending.max(framer.pending().len());
            assert_eq!(given + framer.pending().len(), to);
            from = to;
        }
        framer.finish(&mut |part| sink(part, &mut given));
        assert!(pending <= MAX_HELD);
        assert!(!framer.overflowed());
        assert!(runs.is_empty());
        parts
    };
    for cuts in [&[][..], &[1], &[13, MAX_HELD], &[length - 2, length - 1], &[length], &[9, MAX_HELD - 1, length + 1]] {
        assert_eq!(cut(cuts), expected, "{framing:?} of {length} bytes, cut at {cuts:?}");
    }
    for size in [1, 7, 16 * 1024] {
        let pieces: Vec<usize> = (0..stream.len()).step_by(size).collect();
        assert_eq!(cut(&pieces), expected, "{framing:?} of {length} bytes, in pieces of {size}");
    }
}

#[test]
fn a_message_that_is_too_long_to_be_held_is_shown_in_runs() {
    for length in [MAX_HELD, MAX_HELD + 1, MAX_HELD + 100_000] {
        let filled = |start: &str, end: &str, rest: &str| {
            let filler = "x".repeat(length - start.len() - end.len());
            [start, &filler, end, rest].concat().into_bytes()
        };
        let sse = filled("data: ", "\n\n", "data: a\n\n");
        reads_long(Framing::Sse, &sse, length, "<long><a>");
        let named = filled("id: 7\nevent: e\ndata:", "\n\n", "data: a\n\n");
        reads_long(Framing::Sse, &named, length, "e<long><a>");
        let behind = filled("data: ", "\nevent:e\n: c\nretry\n\n", "data: a\n\n");
        reads_long(Framing::Sse, &behind, length, "e<long><a>");
        let crlf = filled("data: ", "\r\n\r", "\ndata: a\r\n\r\n");
        reads_long(Framing::Sse, &crlf, length, "<long><a>");
        let lines = filled("", "\n", "a\n");
        reads_long(Framing::Lines, &lines, length, "<long><a>");
        let mut array = filled("{\"a\":\"", "\"}", ",1]");
        array.insert(0, b'[');
        reads_long(Framing::Array, &array, length, "<long><1>");
        let mut scalars = filled("1", "1", ",1]");
        scalars.insert(0, b'[');
        reads_long(Framing::Array, &scalars, length, "<long><1>");
        let headers = header(":event-type", "e");
        let mut frames = frame(&headers, "x".repeat(length - headers.len() - 16).as_bytes());
        frames.extend(event(":event-type", "a", "b"));
        reads_long(Framing::AwsEvents, &frames, length, "e<long>a<b>");
    }
}

#[test]
fn a_long_frame_is_checked_like_a_short_one() {
    for (damaged, error) in [(false, false), (false, true), (true, false)] {
        let name = if error { ":error-code" } else { ":event-type" };
        let mut frame = frame(&header(name, "e"), &vec![b' '; MAX_HELD]);
        if damaged {
            *frame.last_mut().unwrap() ^= 1;
        }
        let mut framer = Framer::new(Framing::AwsEvents);
        let mut ends = Vec::new();
        for piece in frame.chunks(1000) {
            framer.feed(piece, &mut |part| {
                if let Some(Run::End { event, error }) = part.run {
                    ends.push((event.to_vec(), error));
                }
            });
        }
        assert_eq!(ends, [(b"e".to_vec(), error)]);
        assert_eq!(framer.overflowed(), damaged);
    }
}

#[test]
fn a_whole_chunk_changes_nothing() {
    /// What chunks are made of here, up to so many of them.
    const PIECES: [&str; 4] = ["\n", "\r", "a", ""];
    const LENGTH: u32 = 6;
    let texts: Vec<String> = (0..4_usize.pow(LENGTH))
        .map(|number| (0..LENGTH).map(|place| PIECES[number / 4_usize.pow(place) % 4]).collect())
        .collect();
    let mut whole = 0;
    for framing in [Framing::Sse, Framing::Lines] {
        for before in ["", "x", "x\r", "x\n\r", "x\n\n", "x\r\n\r\n"] {
            let mut framer = Framer::new(framing);
            framer.feed(before.as_bytes(), &mut |_| {});
            let state = format!("{framer:?}");
            for text in texts.iter().filter(|text| framer.is_whole(text.as_bytes())) {
                let mut fed = framer.clone();
                fed.feed(text.as_bytes(), &mut |part| assert!(!part.continues || part.raw == b"\n"));
                assert_eq!(format!("{fed:?}"), state, "{before:?}, then {text:?}");
                whole += 1;
            }
        }
    }
    assert!(whole > 1000, "{whole}");
}
