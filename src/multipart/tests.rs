//! Golden bytes: what an edit leaves alone is compared byte for byte, however the body is cut.

use super::*;
use crate::json::Output;
#[cfg(target_family = "wasm")]
use wasm_bindgen_test::wasm_bindgen_test as test;

const BOUNDARY: &str = "XbX";

/// Bodies up to this size are cut at every pair of bytes, in bytes.
const PAIRS_UP_TO: usize = 120;

#[derive(Clone, Debug, PartialEq)]
enum Refusal {
    Body(Error),
    Model,
}

impl From<Error> for Refusal {
    fn from(error: Error) -> Self {
        Self::Body(error)
    }
}

/// What to do, and what was seen.
#[derive(Clone, Debug, Default)]
struct Script {
    new: Option<&'static str>,
    missing: Option<&'static str>,
    refuse: bool,
    seen: Vec<String>,
}

impl Decide for Script {
    type Error = Refusal;

    fn model(&mut self, value: &str) -> Result<Option<String>, Refusal> {
        self.seen.push(value.to_owned());
        if self.refuse { Err(Refusal::Model) } else { Ok(self.new.map(str::to_owned)) }
    }

    fn end(&mut self) -> Result<Option<String>, Refusal> {
        self.seen.push("(none)".to_owned());
        if self.refuse { Err(Refusal::Model) } else { Ok(self.missing.map(str::to_owned)) }
    }
}

fn set(new: &'static str) -> Script {
    Script { new: Some(new), missing: Some(new), ..Script::default() }
}

type Outcome = Result<(Vec<u8>, Vec<String>), Refusal>;

fn stream<'a>(pieces: impl IntoIterator<Item = &'a [u8]>, script: &Script) -> Outcome {
    let mut script = script.clone();
    let mut editor = Editor::new(BOUNDARY);
    let mut out = Vec::new();
    for piece in pieces {
        match editor.feed(piece, &mut script) {
            Ok(Output::Unchanged) => out.extend_from_slice(piece),
            Ok(Output::Bytes(bytes)) => out.extend_from_slice(&bytes),
            Err(error) => {
                assert_eq!(editor.feed(b"", &mut script), Err(Refusal::Body(Error::Abandoned)));
                assert_eq!(editor.finish(), Err(Error::Abandoned));
                return Err(error);
            }
        }
    }
    editor.finish()?;
    Ok((out, script.seen))
}

/// The outcome, which is the same however the body is cut.
fn outcome(body: &[u8], script: &Script) -> Outcome {
    let whole = stream([body], script);
    assert_eq!(stream(body.chunks(1), script), whole, "byte by byte");
    for at in 0..=body.len() {
        let (head, tail) = body.split_at(at);
        assert_eq!(stream([head, tail], script), whole, "cut at {at}");
        if body.len() <= PAIRS_UP_TO {
            for again in 0..=tail.len() {
                let (middle, tail) = tail.split_at(again);
                assert_eq!(stream([head, middle, tail], script), whole, "cut at {at} and {again} later");
            }
        }
    }
    whole
}

#[track_caller]
fn edits(body: &str, script: &Script, expected: &str, seen: &[&str]) {
    let (out, values) = outcome(body.as_bytes(), script).unwrap();
    assert_eq!(String::from_utf8(out).unwrap(), expected);
    assert_eq!(values, seen);
}

#[track_caller]
fn refused(body: impl AsRef<[u8]>, error: Error) {
    let body = body.as_ref();
    assert_eq!(outcome(body, &set("new")), Err(Refusal::Body(error)), "{}", body.escape_ascii());
}

/// A body of one part with these headers.
fn part(headers: &str) -> String {
    format!("--XbX\r\n{headers}\r\n\r\nold\r\n--XbX--\r\n")
}

/// A body of one part with this Content-Disposition behind its type.
fn named(params: &str) -> String {
    part(&format!("Content-Disposition: form-data{params}"))
}

const FORM: &str = "--XbX\r\nContent-Disposition: form-data; name=\"file\"; filename=\"a;\\\"b.wav\"\r\nContent-Type: \
                    audio/wav\r\n\r\nRIFF\r\n\r\r\n-\r\n--\r\n--Xb\n--Xb\r\n--XB\r\r\n--XbX\r\ncontent-disposition: \
                    form-data; name=\"model\"\r\n\r\nwhisper-1\r\n--XbX\r\nContent-Disposition: form-data; \
                    name=\"timestamp_granularities[]\"\r\n\r\nword\r\n--XbX--\r\n";

#[test]
fn replaces_the_value_and_nothing_else() {
    let expected = FORM.replace("whisper-1", "a-longer-name");
    edits(FORM, &set("a-longer-name"), &expected, &["whisper-1"]);
    edits(FORM, &set(""), &FORM.replace("whisper-1", ""), &["whisper-1"]);
    edits(FORM, &set("w\r\n\r\n--Xb"), &FORM.replace("whisper-1", "w\r\n\r\n--Xb"), &["whisper-1"]);
}

#[test]
fn keeps_the_value() {
    for script in [Script::default(), set("whisper-1")] {
        edits(FORM, &script, FORM, &["whisper-1"]);
        let mut editor = Editor::new(BOUNDARY);
        assert_eq!(editor.feed(FORM.as_bytes(), &mut script.clone()), Ok(Output::Unchanged));
        editor.finish().unwrap();
    }
}

#[test]
fn takes_closures() {
    let mut decide = |value: &str| Ok::<_, Error>(Some(format!("{value}!")));
    let mut editor = Editor::new(BOUNDARY);
    let out = editor.feed(FORM.as_bytes(), &mut decide).unwrap();
    assert_eq!(out, Output::Bytes(FORM.replace("whisper-1", "whisper-1!").into_bytes()));
}

#[test]
fn finds_the_model_in_every_spelling() {
    for headers in [
        "Content-Disposition: form-data; name=model",
        "CONTENT-DISPOSITION:form-data;NAME=\"model\"",
        "content-disposition: \t Form-Data ; name=\"model\" ; ",
        "Content-Type: text/plain; charset=UTF-8\r\nContent-Transfer-Encoding: 8bit\r\nContent-Disposition: form-data; \
         name=\"model\"",
        "Content-Disposition: form-data; name=\"model\"\r\nX-Other: \u{e9}",
    ] {
        let body = part(headers);
        edits(&body, &set("new"), &body.replace("old", "new"), &["old"]);
    }
}

#[test]
fn content_length_follows_the_value() {
    let body = part("Content-Length:\t 3 \r\nContent-Disposition: form-data; name=\"model\"");
    let expected = body.replace("old", "longer-name").replace(" 3 ", " 11 ");
    edits(&body, &set("longer-name"), &expected, &["old"]);
    let body = part("Content-Disposition: form-data; name=\"model\"\r\nContent-Length:3");
    edits(&body, &set(""), &body.replace("old", "").replace(":3", ":0"), &["old"]);
    edits(&body, &Script::default(), &body, &["old"]);
}

#[test]
fn values_of_any_shape() {
    for value in ["", "\r", "\r\n", "\r\n--Xb", "-", "--", "é🦀", " padded\t", "\r\r\n\r\n"] {
        let body = named("; name=\"model\"").replace("old", value);
        edits(&body, &set("new"), &named("; name=\"model\"").replace("old", "new"), &[value]);
    }
}

#[test]
fn puts_a_missing_model_in() {
    let inserted = "--XbX\r\nContent-Disposition: form-data; name=\"model\"\r\n\r\nnew\r\n--XbX--";
    for body in ["--XbX--", "--XbX-- \t\r\nepilogue\r\n--X", "preamble\r\n\r\n--XbX--\r\n", "\r\n--XbX--\n"] {
        edits(body, &set("new"), &body.replace("--XbX--", inserted), &["(none)"]);
        edits(body, &Script::default(), body, &["(none)"]);
    }
    for name in ["x", "\"x\"", "\"\"", "\"the model\"", "\"models\"", "\"model_\"", "\"é\"", "\"[model]\"", "\"a%2g%\""]
    {
        let body = named(&format!("; name={name}"));
        edits(&body, &set("new"), &body.replace("--XbX--", inserted), &["(none)"]);
    }
    let file = named("; filename=\"model\"; name=\"file\"; filename*=utf-8''mod%65l; size=3");
    edits(&file, &set("new"), &file.replace("--XbX--", inserted), &["(none)"]);
}

#[test]
fn padding_is_tolerated_away_from_the_model() {
    let body = "\r\n--XbX \t \r\nContent-Disposition: form-data; name=a\r\n\r\n1\r\n--XbX\t\r\nContent-Disposition: \
                form-data; name=b\r\n\r\n2\r\n--XbX\r\nContent-Disposition: form-data; \
                name=model\r\n\r\nold\r\n--XbX--\t \r\n";
    edits(body, &set("new"), &body.replace("old", "new"), &["old"]);
    refused(body.replace("2\r\n--XbX", "2\r\n--XbX "), Error::Delimiter);
    refused(
        body.replace("old\r\n--XbX--", "old\r\n--XbX \r\nContent-Disposition: form-data; name=c\r\n\r\n\r\n--XbX--"),
        Error::Delimiter,
    );
}

#[test]
fn the_boundary_stands_in_delimiters_only() {
    let body = named("; name=\"x\"");
    for (from, to) in [
        // Lines that lenient parsers end.
        ("old\r\n", "old\n"),
        ("old\r\n", "old\r"),
        ("old\r\n", "old"),
        ("old\r\n", ""),
        ("old", "a\n--XbX\nb"),
        ("old", "a--XbXb"),
        ("old", "\r\n---XbX"),
        ("old", "\r\n--XbXb\r\n"),
        ("old", "\r\n--XbX-\r\n"),
        ("old", "\r\n--XbX --\r\n"),
        ("old", "\r\n--XbX\n"),
        ("old", "\r\n--XbX\r\r\n"),
        ("old", "\r\n--XbX \n"),
        ("old", "\r\n--XbX\0\r\n"),
        // In front, behind, in headers.
        ("--XbX\r\n", "\n--XbX\r\n"),
        ("--XbX\r\n", " --XbX\r\n"),
        ("--XbX\r\n", "a\n--XbX\r\n\r\n--XbX\r\n"),
        ("--XbX--\r\n", "--XbX--\r\n\r\n--XbX\r\n"),
        ("--XbX--\r\n", "--XbX--\r\na--XbX"),
        ("--XbX--\r\n", "--XbX--\n--XbX--"),
        ("--XbX--\r\n", "--XbX--a"),
        ("--XbX--\r\n", "--XbX--\ra"),
        ("--XbX--\r\n", "--XbX-- -"),
        ("Content-Disposition", "--XbX: a\r\nContent-Disposition"),
        ("; name=\"x\"", "; name=\"x\"; filename=\"--XbX\""),
    ] {
        assert!(body.contains(from));
        refused(body.replace(from, to), Error::Delimiter);
        refused(
            body.replace("\"x\"", "model").replace(from, to),
            match to {
                "; name=\"x\"; filename=\"--XbX\"" => continue,
                _ => Error::Delimiter,
            },
        );
    }
}

#[test]
fn ends_with_the_closing_delimiter() {
    let body = FORM.strip_suffix("\r\n").unwrap();
    edits(body, &set("new"), &body.replace("whisper-1", "new"), &["whisper-1"]);
    for length in 0..body.len() {
        assert_eq!(stream([&body.as_bytes()[..length]], &set("new")), Err(Refusal::Body(Error::Truncated)), "{length}");
    }
    refused(format!("{body}\r"), Error::Truncated);
    refused("not a form", Error::Truncated);
}

#[test]
fn headers_are_headers() {
    let disposition = "Content-Disposition: form-data; name=\"x\"";
    for headers in [
        // Bare line ends, folding, space before the colon, no colon, control characters.
        format!("X: a\n{disposition}"),
        format!("X: a\r{disposition}"),
        format!("X: a\n\n{disposition}"),
        format!("{disposition}\n\nmodel"),
        format!("{disposition}\r\n filename=y"),
        format!(" {disposition}"),
        "Content-Disposition: form-data;\r\n\tname=model".to_owned(),
        format!("{disposition}\r\nContent-Disposition : form-data; name=model"),
        format!("{disposition}\r\nname=model"),
        format!("{disposition}\r\n: a"),
        format!("{disposition}\r\nX: \0"),
        format!("{disposition}\r\nX: a\x7f"),
        format!("{disposition}\r\nX\u{e9}: a"),
    ] {
        refused(part(&headers), Error::Headers);
    }
}

#[test]
fn names_are_unambiguous() {
    for headers in [
        "X: a",
        "Content-Type: text/plain; name=model",
        "Content-Disposition: form-data; name=x\r\ncontent-disposition: form-data; name=model",
        "Content-Disposition: form-data; name=x\r\nX: Content-Disposition: form-data; name=model",
        "Content-Disposition: attachment; name=model",
        "Content-Disposition: name=model",
        "Content-Disposition:",
    ] {
        refused(part(headers), Error::Name);
    }
    refused("--XbX\r\n\r\nold\r\n--XbX--", Error::Name);
    for params in [
        "",
        "; filename=x",
        " name=model",
        ", name=model",
        "; name",
        "; name=",
        "; name =model",
        "; name= model",
        "; name=\"model",
        "; name=\"x\\\"; filename=\"y",
        "; name=\"model\"x",
        "; name=\"x\" name=\"model\"",
        "; name=x; name=model",
        "; name=model; NAME=model",
        "; name*=utf-8''model",
        "; name=x; name*=utf-8''model",
        "; name=\"x\"; name*0=mo; name*1=del",
        "; name=model(comment)",
        "; name=mo\\del",
        "; name=\"mo\\del\"",
        "; name=\"x\\\"\"",
        "; name=\"Model\"",
        "; name=MODEL",
        "; name=\" model\"",
        "; name=\"model\t\"",
        "; name='model'",
        "; name=\"'model'\"",
        "; name=\"mod%65l\"",
        "; name=%6dodel",
        "; name=\"%22Model%22\"",
        "; name=\"model%00x\"",
        "; name=\"model%0d%0a\"",
        "; name=\"model[]\"",
        "; name=\"Model[0]\"",
        "; name=\"=?utf-8?q?model?=\"",
        "; name=model; x=y",
        "; name=x; filename=\"a; name=model\"",
        "; name=x; filename=\"a\\\"; name=\\\"model\"",
        "; filename=\"a\\\"; Name = \\\"mod%65l\"; name=x",
        "; name=x; filename=\"name='model'\"",
        "; name=x; filename=\"a; name*=utf-8''model\"",
        "; name=x; filename=a b",
        "; name=x; filename=\"a\\\"",
    ] {
        refused(named(params), Error::Name);
    }
}

#[test]
fn the_model_is_a_single_field() {
    let once = FORM.strip_suffix("--XbX--\r\n").unwrap();
    let second = "--XbX\r\nContent-Disposition: form-data; name=model\r\n\r\nx\r\n--XbX--";
    refused(format!("{once}{second}"), Error::ModelTwice);
    for params in [
        "; name=\"model\"; filename=\"x\"",
        "; filename=x; name=model",
        "; name=\"model\"; filename=\"\"",
        "; name=\"model\"; filename*=utf-8''x",
    ] {
        refused(named(params), Error::ModelIsFile);
    }
}

#[test]
fn the_model_is_plain() {
    for header in [
        "Content-Transfer-Encoding: base64",
        "Content-Transfer-Encoding: quoted-printable",
        "Content-Transfer-Encoding:",
        "Content-Encoding: gzip",
        "Content-Type: multipart/mixed; boundary=y",
        "Content-Type: text/plain; charset=utf-7",
        "Content-Type: text/plain; charset*=utf-7",
        "Content-Type: text/plain; charset",
        "Content-Type: text/plain\r\nContent-Type: text/plain",
        "Content-Length: 2",
        "Content-Length: 4",
        "Content-Length: +3",
        "Content-Length: ",
        "Content-Length: 99999999999999999999999999",
        "Content-Length: 3\r\nContent-Length: 3",
    ] {
        refused(part(&format!("Content-Disposition: form-data; name=model\r\n{header}")), Error::ModelEncoded);
        let other = part(&format!("Content-Disposition: form-data; name=x\r\n{header}"));
        edits(&other, &Script::default(), &other, &["(none)"]);
    }
    let mut body = named("; name=model").into_bytes();
    let at = body.windows(3).position(|window| window == b"old").unwrap();
    body[at] = 0xff;
    refused(body, Error::ModelNotUtf8);
}

/// However a long body is cut; every byte would take too long.
fn coarse(body: &str) -> Outcome {
    let script = Script::default();
    let whole = stream([body.as_bytes()], &script);
    for size in [1, 2, 7, 1000, 8191, 8192, 8193, body.len() - 1] {
        assert_eq!(stream(body.as_bytes().chunks(size), &script), whole, "chunks of {size}");
    }
    whole
}

#[test]
fn holds_no_more_than_it_says() {
    let body = |length: usize| named("; name=model").replace("old", &"m".repeat(length));
    assert_eq!(coarse(&body(MAX_MODEL)).unwrap().1, ["m".repeat(MAX_MODEL)]);
    for length in [MAX_MODEL + 1, MAX_MODEL + 2, MAX_MODEL + 8, 3 * MAX_MODEL] {
        assert_eq!(coarse(&body(length)), Err(Refusal::Body(Error::ModelTooLong)), "{length}");
    }
    let headers = |length: usize| {
        let rest = "Content-Disposition: form-data; name=x\r\nX: ";
        part(&format!("{rest}{}", "x".repeat(length - rest.len())))
    };
    assert_eq!(coarse(&headers(MAX_PART_HEADERS)).unwrap().0, headers(MAX_PART_HEADERS).into_bytes());
    for length in [MAX_PART_HEADERS + 1, MAX_PART_HEADERS + 5, 3 * MAX_PART_HEADERS] {
        assert_eq!(coarse(&headers(length)), Err(Refusal::Body(Error::HeadersTooLong)), "{length}");
    }
}

#[test]
fn file_content_is_not_copied() {
    let mut script = set("new");
    let mut editor = Editor::new(BOUNDARY);
    let head = "--XbX\r\nContent-Disposition: form-data; name=file; filename=a\r\n\r\n";
    for chunk in [head, "RIFF", "\r\n--Xb", "Y\r", "\n", "-", "-XbY", "\r\n--XbX", "\r", "\nCont"] {
        let out = editor.feed(chunk.as_bytes(), &mut script).unwrap();
        if chunk == "\nCont" {
            assert_eq!(out, Output::Bytes(b"\n".to_vec()));
        } else {
            assert_eq!(out, Output::Unchanged, "{chunk:?}");
        }
    }
    assert_eq!(editor.finish(), Err(Error::Truncated));
}

#[test]
fn what_the_caller_says() {
    let refuse = Script { refuse: true, ..Script::default() };
    assert_eq!(outcome(FORM.as_bytes(), &refuse), Err(Refusal::Model));
    assert_eq!(outcome(b"--XbX--", &refuse), Err(Refusal::Model));
    for new in ["--XbX", "a\r\n--XbX--\r\n"] {
        assert_eq!(outcome(FORM.as_bytes(), &set(new)), Err(Refusal::Body(Error::NewModel)));
        assert_eq!(outcome(b"--XbX--", &set(new)), Err(Refusal::Body(Error::NewModel)));
    }
}

#[test]
fn the_reasons_name_the_limits() {
    assert!(Error::BoundaryTooLong.reason().contains(&format!("{MAX_BOUNDARY} bytes")));
    assert!(Error::HeadersTooLong.reason().contains(&format!("{} KiB", MAX_PART_HEADERS / 1024)));
    assert!(Error::ModelTooLong.reason().contains(&format!("{} KiB", MAX_MODEL / 1024)));
    assert_eq!(Error::Truncated.to_string(), "ends before its closing boundary");
}
