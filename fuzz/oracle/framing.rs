//! What must hold for any bytes: `waypost::framing` against a reading of the whole stream at once, and in one piece
//! against in many.
//!
//! Shared by the property tests (`tests/framing.rs`) and the fuzz target `framing`. Panics when something does not hold.

#[path = "frame.rs"]
pub(crate) mod frame;

use waypost::framing::{Framer, Framing, MAX_HELD, Part, Run};

/// What the parts of a stream come to. Neighbours that are no message are one.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(crate) enum Piece {
    Message { raw: Vec<u8>, event: Vec<u8>, data: Vec<u8> },
    Other(Vec<u8>),
    Behind(Vec<u8>),
}

/// Checks everything about one stream of at most [`MAX_HELD`] bytes. `cuts` are offsets to cut it at, in any order
/// and beyond its end too.
pub(crate) fn check(framing: Framing, stream: &[u8], cuts: &[usize]) -> Vec<Piece> {
    let read = match framing {
        Framing::Sse => sse(stream),
        Framing::Lines => lines(stream),
        Framing::Array => array(stream),
        Framing::AwsEvents => aws(stream),
    };
    let read = merged(read);
    let bytes: Vec<&[u8]> = stream.chunks(1).collect();
    for chunks in [&[stream][..], &cut(stream, cuts), &bytes] {
        let lengths: Vec<usize> = chunks.iter().map(|chunk| chunk.len()).collect();
        assert_eq!(pieces(framing, chunks), read, "{framing:?} in {lengths:?}: {}", stream.escape_ascii());
    }
    read.0
}

/// The pieces of a stream that comes in these chunks, and whether there may be one missing.
pub(crate) fn pieces(framing: Framing, chunks: &[&[u8]]) -> (Vec<Piece>, bool) {
    let mut framer = Framer::new(framing);
    let mut pieces = Vec::new();
    let (mut fed, mut given) = (Vec::new(), Vec::new());
    for chunk in chunks {
        fed.extend_from_slice(chunk);
        framer.feed(chunk, &mut |part| {
            assert!(!part.raw.is_empty() || matches!(part.run, Some(Run::End { .. })));
            assert!(!part.continues || (part.raw == b"\n" && given.ends_with(b"\r")));
            given.extend_from_slice(part.raw);
            pieces.push(piece(&part));
        });
        assert_eq!([&given, framer.pending()].concat(), fed, "what is not given is pending");
        assert!(framer.pending().len() <= MAX_HELD);
    }
    framer.finish(&mut |part| {
        given.extend_from_slice(part.raw);
        pieces.push(piece(&part));
    });
    assert!(framer.pending().is_empty());
    assert_eq!(given, fed);
    merged((pieces, framer.overflowed()))
}

fn piece(part: &Part<'_>) -> Piece {
    let raw = part.raw.to_vec();
    match &part.message {
        Some(message) => {
            assert!(!part.continues && part.run.is_none());
            Piece::Message { raw, event: message.event.to_vec(), data: message.data.to_vec() }
        }
        None if part.continues => Piece::Behind(raw),
        None => Piece::Other(raw),
    }
}

fn merged((pieces, overflowed): (Vec<Piece>, bool)) -> (Vec<Piece>, bool) {
    let mut merged = Vec::new();
    for piece in pieces {
        match (merged.last_mut(), piece) {
            (_, Piece::Other(raw)) if raw.is_empty() => {}
            (Some(Piece::Other(before)), Piece::Other(raw)) => before.extend(raw),
            (_, piece) => merged.push(piece),
        }
    }
    (merged, overflowed)
}

/// The stream in chunks.
fn cut<'a>(stream: &'a [u8], cuts: &[usize]) -> Vec<&'a [u8]> {
    let mut cuts: Vec<usize> = cuts.iter().map(|&cut| cut.min(stream.len())).collect();
    cuts.sort_unstable();
    let mut chunks = Vec::new();
    let mut from = 0;
    for to in cuts.into_iter().chain([stream.len()]) {
        chunks.push(&stream[from..to]);
        from = to;
    }
    chunks
}

/// The events as the standard tells: lines first, then fields.
fn sse(stream: &[u8]) -> (Vec<Piece>, bool) {
    let mut pieces = Vec::new();
    let mut at = 0;
    if stream.starts_with(b"\xef\xbb\xbf") {
        at = 3;
        pieces.push(Piece::Other(stream[..3].to_vec()));
    }
    let mut start = at;
    let mut fields: Vec<&[u8]> = Vec::new();
    while at < stream.len() {
        let end = (at..stream.len()).find(|&end| b"\r\n".contains(&stream[end])).unwrap_or(stream.len());
        let next = match &stream[end..] {
            [b'\r', b'\n', ..] => end + 2,
            [] => end,
            _ => end + 1,
        };
        if end > at || end == stream.len() {
            fields.push(&stream[at..end]);
        } else {
            pieces.push(event(&stream[start..=end], &fields));
            pieces.extend((next == end + 2).then(|| Piece::Behind(b"\n".to_vec())));
            fields.clear();
            start = next;
        }
        at = next;
    }
    pieces.push(event(&stream[start..], &fields));
    (pieces, false)
}

fn event(raw: &[u8], fields: &[&[u8]]) -> Piece {
    let mut event = Vec::new();
    let mut buffer = Vec::new();
    for field in fields {
        let colon = field.iter().position(|&byte| byte == b':');
        let (name, value) = match colon {
            None => (*field, &[][..]),
            Some(colon) => (&field[..colon], &field[colon + 1..]),
        };
        let value = if value.first() == Some(&b' ') { &value[1..] } else { value };
        match name {
            b"event" => event = value.to_vec(),
            b"data" => buffer.extend([value, b"\n"].concat()),
            _ => {}
        }
    }
    match buffer.pop() {
        None => Piece::Other(raw.to_vec()),
        Some(_) => Piece::Message { raw: raw.to_vec(), event, data: buffer },
    }
}

fn lines(stream: &[u8]) -> (Vec<Piece>, bool) {
    let piece = |raw: &[u8]| {
        let line = match raw {
            [line @ .., b'\r', b'\n'] | [line @ .., b'\n'] | [line @ .., b'\r'] => line,
            line => line,
        };
        match line.trim_ascii() {
            b"" => Piece::Other(raw.to_vec()),
            _ => Piece::Message { raw: raw.to_vec(), event: Vec::new(), data: line.to_vec() },
        }
    };
    (stream.split_inclusive(|&byte| byte == b'\n').map(piece).collect(), false)
}

fn array(stream: &[u8]) -> (Vec<Piece>, bool) {
    let space = |byte: &u8| b" \t\r\n".contains(byte);
    let run = |from: usize, is: &dyn Fn(&u8) -> bool| stream[from..].iter().take_while(|&byte| is(byte)).count();
    let other = |range: core::ops::Range<usize>| Piece::Other(stream[range].to_vec());
    let mut at = run(0, &space);
    match stream.get(at) {
        None => return (vec![other(0..at)], false),
        Some(b'[') => at += 1,
        Some(_) => return (vec![other(0..stream.len())], true),
    }
    let mut pieces = vec![other(0..at)];
    loop {
        let start = at + run(at, &|byte| space(byte) || *byte == b',');
        pieces.push(other(at..start));
        let Some(&first) = stream.get(start) else { return (pieces, false) };
        if first == b']' {
            let rest = start + 1 + run(start + 1, &space);
            pieces.push(other(start..stream.len()));
            return (pieces, rest < stream.len());
        }
        let end = match first {
            b'"' | b'{' | b'[' => nested(stream, start),
            _ => Some(start + run(start, &|byte| !space(byte) && !b",]".contains(byte)))
                .filter(|&end| end < stream.len()),
        };
        let Some(end) = end else {
            pieces.push(other(start..stream.len()));
            return (pieces, false);
        };
        let raw = stream[start..end].to_vec();
        pieces.push(Piece::Message { raw: raw.clone(), event: Vec::new(), data: raw });
        at = end;
    }
}

/// Where the string, object or array ends that begins here.
fn nested(stream: &[u8], start: usize) -> Option<usize> {
    let mut depth = 0;
    let mut at = start;
    loop {
        match stream.get(at)? {
            b'"' => loop {
                at += 1;
                match stream.get(at)? {
                    b'\\' => at += 1,
                    b'"' => break,
                    _ => {}
                }
            },
            b'{' | b'[' => depth += 1,
            b'}' | b']' => depth -= 1,
            _ => {}
        }
        at += 1;
        if depth == 0 {
            return Some(at);
        }
    }
}

fn aws(mut stream: &[u8]) -> (Vec<Piece>, bool) {
    let mut pieces = Vec::new();
    let mut overflowed = false;
    while stream.len() >= 12 {
        let number = |at: usize| u32::from_be_bytes(stream[at..at + 4].try_into().unwrap());
        let (length, headers) = (number(0) as usize, number(4) as usize);
        if length < 16 || headers > length - 16 || number(8) != frame::crc32(&stream[..8]) {
            overflowed = true;
            break;
        }
        if length > stream.len() {
            overflowed |= length > MAX_HELD;
            break;
        }
        let (raw, rest) = stream.split_at(length);
        let (content, checksum) = raw.split_at(length - 4);
        let is_intact = frame::crc32(content).to_be_bytes() == checksum;
        overflowed |= !is_intact;
        let (headers, payload) = content[12..].split_at(headers);
        pieces.push(match name(headers).filter(|_| is_intact) {
            Some(event) => Piece::Message { raw: raw.to_vec(), event, data: payload.to_vec() },
            None => Piece::Other(raw.to_vec()),
        });
        stream = rest;
    }
    pieces.push(Piece::Other(stream.to_vec()));
    (pieces, overflowed)
}

/// The value of the first header that names something.
fn name(mut headers: &[u8]) -> Option<Vec<u8>> {
    let mut take = |length: usize| -> Option<Vec<u8>> {
        let taken = headers.get(..length)?.to_vec();
        headers = &headers[length..];
        Some(taken)
    };
    loop {
        let length = take(1)?[0];
        let name = take(length.into())?;
        let kind = take(1)?[0];
        let length = match kind {
            6 | 7 => {
                let length = take(2)?;
                u16::from_be_bytes([length[0], length[1]])
            }
            _ => *[0, 0, 1, 2, 4, 8, 0, 0, 8, 16].get(usize::from(kind))?,
        };
        let value = take(length.into())?;
        if kind == 7 && [":event-type", ":exception-type", ":error-code"].iter().any(|known| known.as_bytes() == name) {
            return Some(value);
        }
    }
}
