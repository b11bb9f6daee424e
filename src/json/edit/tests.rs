//! Golden bytes: what an edit leaves alone is compared byte for byte, however the document is cut.

use core::ops::Range;

use super::*;
use crate::json::MAX_MEMBER;
#[cfg(target_family = "wasm")]
use wasm_bindgen_test::wasm_bindgen_test as test;

/// The keys of every edit here.
const KEYS: [&str; 3] = ["a", "b", "c"];

/// Documents up to this size are cut at every pair of bytes, in bytes.
const PAIRS_UP_TO: usize = 60;

/// Refusals of a script, told apart from those of the document.
#[derive(Clone, Debug, PartialEq)]
enum Refusal {
    Document(Error),
    Member(usize),
}

impl From<Error> for Refusal {
    fn from(error: Error) -> Self {
        Self::Document(error)
    }
}

/// What to do, by key, and what was seen. `None` refuses.
#[derive(Clone, Debug)]
struct Script {
    edits: [Option<Edit>; 3],
    appended: Vec<(&'static str, &'static str)>,
    seen: Vec<(usize, String)>,
}

impl Members for Script {
    type Error = Refusal;

    fn member(&mut self, key: usize, raw: &str) -> Result<Edit, Refusal> {
        self.seen.push((key, raw.to_owned()));
        self.edits[key].clone().ok_or(Refusal::Member(key))
    }

    fn end(&mut self, members: &mut Appender) -> Result<(), Refusal> {
        for (key, value) in &self.appended {
            members.push(key, value);
        }
        Ok(())
    }
}

/// The same edit for all three keys.
fn all(edit: Edit) -> Script {
    Script { edits: [Some(edit.clone()), Some(edit.clone()), Some(edit)], appended: Vec::new(), seen: Vec::new() }
}

fn keys() -> Keys {
    Keys::new(KEYS).unwrap()
}

fn stream(pieces: &[&[u8]], script: &Script) -> Result<(Vec<u8>, Script), Refusal> {
    let mut script = script.clone();
    let mut editor = Editor::new(keys());
    let mut out = Vec::new();
    for piece in pieces {
        match editor.feed(piece, &mut script)? {
            Output::Unchanged => out.extend_from_slice(piece),
            Output::Bytes(bytes) => out.extend_from_slice(&bytes),
        }
    }
    editor.finish()?;
    assert!(editor.held.is_empty(), "nothing is held at the end");
    Ok((out, script))
}

/// The edited document, which is the same however it is cut, and the members seen.
fn outcome(body: &[u8], script: &Script) -> Result<(String, Vec<(usize, String)>), Refusal> {
    let mut held = script.clone();
    let whole = edit(keys(), body, &mut held).map(|out| {
        let out = out.unwrap_or_else(|| body.to_vec());
        (String::from_utf8(out).unwrap(), held.seen)
    });
    let check = |pieces: &[&[u8]]| {
        let streamed = stream(pieces, script).map(|(out, script)| (String::from_utf8(out).unwrap(), script.seen));
        assert_eq!(streamed, whole, "{} in pieces: {pieces:?}", body.escape_ascii());
    };
    check(&body.chunks(1).collect::<Vec<_>>());
    for cut in 0..=body.len() {
        let (head, tail) = body.split_at(cut);
        check(&[head, tail]);
        if body.len() <= PAIRS_UP_TO {
            for second in 0..=tail.len() {
                let (middle, tail) = tail.split_at(second);
                check(&[head, middle, tail]);
            }
        }
    }
    whole
}

fn edited(body: &str, script: &Script) -> String {
    let out = outcome(body.as_bytes(), script).unwrap().0;
    serde_json::from_str::<serde_json::Value>(&out).unwrap_or_else(|error| panic!("{error}: {out}"));
    out
}

/// Everything an editor could be tempted to normalise.
const GOLDEN: &str = "\r\n {\t\"z\" : 1.0,\"n\":[1e-6 , 1E+2, -0, 12345678901234567890,123456789012345678901, 0.10],\n\
    \"dup\":1,\"dup\" :2, \"a\":\"old\" ,\"e\":\"\\u00e9\\/\\ud83e\\udd80 é🦀\u{7f}\u{2028}\",\"\\u0062\":true , \n\
    \"o\":{\"b\":1,\"a\":[ ],\"b\":{ }},\"\":null} \n";

#[test]
fn keeps_every_byte_when_nothing_is_changed() {
    let (out, seen) = outcome(GOLDEN.as_bytes(), &all(Edit::Keep)).unwrap();
    assert_eq!(out, GOLDEN);
    assert_eq!(seen, [(0, "\"old\"".to_owned()), (1, "true".to_owned())]);
    let changes_nothing = Edit::Change { key: None, value: None };
    assert_eq!(edited(GOLDEN, &all(changes_nothing)), GOLDEN);
}

#[test]
fn keeps_every_byte_around_a_change() {
    let expected = GOLDEN.replace("\"old\"", "[2]").replace(":true ", ":[2] ");
    assert_eq!(edited(GOLDEN, &all(Edit::value("[2]".to_owned()))), expected);
    let expected = GOLDEN.replace("\"a\":\"old\"", "\"n\\\"w\":\"old\"").replace("\"\\u0062\"", "\"n\\\"w\"");
    assert_eq!(edited(GOLDEN, &all(Edit::key("n\"w".to_owned()))), expected);
    let both = Edit::Change { key: Some("n".to_owned()), value: Some(String::new() + "0") };
    let expected = GOLDEN.replace("\"a\":\"old\"", "\"n\":0").replace("\"\\u0062\":true", "\"n\":0");
    assert_eq!(edited(GOLDEN, &all(both)), expected);
    let expected = GOLDEN.replace(", \"a\":\"old\"", "").replace(",\"\\u0062\":true", "");
    assert_eq!(edited(GOLDEN, &all(Edit::Remove)), expected);
}

#[test]
fn removes_a_member_with_the_comma_that_separated_it() {
    for (body, expected) in [
        (r#"{"a":1}"#, "{}"),
        (r#"{ "a" : 1 }"#, "{  }"),
        (r#"{"a":1,"x":2}"#, r#"{"x":2}"#),
        (r#"{"x":2,"a":1}"#, r#"{"x":2}"#),
        (r#"{"x":2,"a":1,"y":3}"#, r#"{"x":2,"y":3}"#),
        (r#"{"a":1,"b":2}"#, "{}"),
        (r#"{"a":1,"b":2,"c":[3]}"#, "{}"),
        (r#"{"a":1,"b":2,"x":3}"#, r#"{"x":3}"#),
        (r#"{"a":1,"x":3,"b":2}"#, r#"{"x":3}"#),
        (r#"{"x":3,"a":1,"b":2}"#, r#"{"x":3}"#),
        (r#"{"a":1,"x":3,"b":2,"y":4,"c":5}"#, r#"{"x":3,"y":4}"#),
        ("{\n  \"a\": 1,\n  \"x\": 2\n}\n", "{\n  \"x\": 2\n}\n"),
        ("{\n  \"x\": 2,\n  \"a\": 1\n}\n", "{\n  \"x\": 2\n}\n"),
        ("{\n  \"x\": 2,\n  \"a\": 1,\n  \"y\": 3\n}", "{\n  \"x\": 2,\n  \"y\": 3\n}"),
        (r#"{ "a" : 1 , "b" : 2 , "x" : 3 }"#, r#"{   "x" : 3 }"#),
    ] {
        assert_eq!(edited(body, &all(Edit::Remove)), expected, "{body}");
    }
}

#[test]
fn keeps_the_first_member_after_removed_ones_without_a_comma() {
    let mut script = all(Edit::Remove);
    script.edits[2] = Some(Edit::Keep);
    assert_eq!(edited(r#"{"a":1,"c":3}"#, &script), r#"{"c":3}"#);
    assert_eq!(edited(r#"{"a":1, "b":2, "c":3, "x":4}"#, &script), r#"{"c":3, "x":4}"#);
    script.edits[2] = Some(Edit::key("k".to_owned()));
    assert_eq!(edited(r#"{"a":1, "c":3}"#, &script), r#"{"k":3}"#);
    script.edits[2] = Some(Edit::value("9".to_owned()));
    assert_eq!(edited(r#"{"a":1, "c":3,"b":0}"#, &script), r#"{"c":9}"#);
}

#[test]
fn appends_before_the_closing_brace_with_the_commas_it_takes() {
    let mut script = all(Edit::Remove);
    script.appended = vec![("p", "1"), ("q\n", "{}")];
    for (body, expected) in [
        ("{}", r#"{"p":1,"q\n":{}}"#),
        ("{ }", r#"{ "p":1,"q\n":{}}"#),
        ("{\"x\":0\n}\n", "{\"x\":0\n,\"p\":1,\"q\\n\":{}}\n"),
        (r#"{"a":0}"#, r#"{"p":1,"q\n":{}}"#),
        (r#"{"a":0,"b":0}"#, r#"{"p":1,"q\n":{}}"#),
        (r#"{"x":{},"b":0}"#, r#"{"x":{},"p":1,"q\n":{}}"#),
    ] {
        assert_eq!(edited(body, &script), expected);
    }
}

#[test]
fn passes_chunks_on_as_they_are_while_nothing_is_at_stake() {
    let mut script = all(Edit::Keep);
    let mut editor = Editor::new(keys());
    let mut feed = |chunk: &str| editor.feed(chunk.as_bytes(), &mut script).unwrap();
    let bytes = |text: &str| Output::Bytes(text.as_bytes().to_vec());
    assert_eq!(feed(r#"{"x":"long te"#), Output::Unchanged);
    assert_eq!(feed(r"xt \u0"), Output::Unchanged);
    assert_eq!(feed(r#"0e9 text","a":[1],"b":{}"#), Output::Unchanged);
    assert_eq!(feed(r#""#), Output::Unchanged);
    assert_eq!(feed(" , \"c"), bytes(" "), "comma and partial key are withheld");
    assert_eq!(feed("c"), bytes(""));
    assert_eq!(feed("\":[{}"), bytes(", \"ccc\":[{}".replace("ccc", "cc").as_str()), "not asked for: released");
    assert_eq!(feed("],"), bytes("]"));
    assert_eq!(feed("\"c\":\"val"), bytes(""), "an asked member is withheld");
    assert_eq!(feed("ue\" }"), bytes(",\"c\":\"value\" }"));
    assert_eq!(feed(" \n"), Output::Unchanged);
    assert_eq!(editor.finish(), Ok(()));
}

#[test]
fn shows_each_value_whole_and_once() {
    let body = " {\"b\": [1, {\"a\":2} ] ,\"x\":0,\"a\" : \"\\u0061é\" } ";
    let (_, seen) = outcome(body.as_bytes(), &all(Edit::Keep)).unwrap();
    assert_eq!(seen, [(1, "[1, {\"a\":2} ]".to_owned()), (0, "\"\\u0061é\"".to_owned())]);
}

#[test]
fn hands_on_refusals_and_is_of_no_use_afterwards() {
    let mut script = all(Edit::Keep);
    script.edits[1] = None;
    assert_eq!(outcome(br#"{"a":1,"b":2,"x":}"#, &script), Err(Refusal::Member(1)));
    assert!(matches!(outcome(br#"{"a":1,"x":}"#, &script), Err(Refusal::Document(_))));

    let mut editor = Editor::new(keys());
    editor.feed(br#"{"b":2}"#, &mut script).unwrap_err();
    let abandoned = Error::new(ErrorKind::Abandoned, 6);
    assert_eq!(editor.feed(b"}", &mut script), Err(Refusal::Document(abandoned)));
    assert_eq!(editor.finish(), Err(abandoned));
}

#[test]
fn rejects_invalid_utf8_in_values_that_were_asked_for_only() {
    let script = all(Edit::Keep);
    for (body, offset) in [
        (&b"{\"a\":\"\xff\"}"[..], 6),
        (b"{\"x\":1,\"a\":\"\xc3\xa9\xc3\"}", 14),
        (b"{\"a\":{\"k\":[\"\xed\xa0\x80\"]}}", 12),
    ] {
        let refusal = Refusal::Document(Error::new(ErrorKind::InvalidUtf8, offset));
        assert_eq!(outcome(body, &script), Err(refusal));
    }
    let elsewhere = b"{\"x\":\"\xff\"}";
    assert_eq!(edit(keys(), elsewhere, &mut script.clone()), Ok(None));
    assert_eq!(stream(&[&elsewhere[..7], &elsewhere[7..]], &script).unwrap().0, elsewhere);
}

#[test]
fn rejects_documents_that_are_not_complete() {
    let truncated = |offset| Err(Refusal::Document(Error::new(ErrorKind::Truncated, offset)));
    assert_eq!(outcome(b"", &all(Edit::Keep)), truncated(0));
    assert_eq!(outcome(br#"{"a":1"#, &all(Edit::Keep)), truncated(6));
}

#[test]
fn holds_no_more_than_the_longest_member() {
    let mut script = all(Edit::Remove);
    let long = "v".repeat(MAX_MEMBER - 7);
    let body = format!("{{\"x\":1,\"a\":\"{long}\",\"y\":\"{long}{long}\"}}");
    let mut editor = Editor::new(keys());
    let (mut out, mut most) = (Vec::new(), 0);
    for chunk in body.as_bytes().chunks(777) {
        match editor.feed(chunk, &mut script).unwrap() {
            Output::Unchanged => out.extend_from_slice(chunk),
            Output::Bytes(bytes) => {
                assert_eq!(bytes.len(), bytes.capacity(), "one allocation of the exact size");
                out.extend_from_slice(&bytes);
            }
        }
        most = most.max(editor.held.len());
    }
    assert_eq!(editor.finish(), Ok(()));
    assert!(most > MAX_MEMBER - 1000 && most <= MAX_MEMBER, "{most}");
    assert_eq!(String::from_utf8(out).unwrap(), format!("{{\"x\":1,\"y\":\"{long}{long}\"}}"));
}

#[test]
fn lists_the_splices_of_a_held_body_in_order() {
    let mut script = all(Edit::Remove);
    script.edits[1] = Some(Edit::Change { key: Some("k".to_owned()), value: Some("22".to_owned()) });
    script.appended = vec![("p", "1")];
    let body = br#"{"a":1, "b":2}"#;
    let found = splices(keys(), body, &mut script).unwrap();
    let expected = [(1..6, ""), (6..8, ""), (8..11, "\"k\""), (12..13, "22"), (13..13, ",\"p\":1")];
    assert_eq!(found, expected.map(|(range, bytes)| Splice { range, bytes: bytes.as_bytes().to_vec() }));
    let out = apply(body, &found);
    assert_eq!(out, br#"{"k":22,"p":1}"#);
    assert_eq!(out.capacity(), out.len());
    assert_eq!(splices(keys(), body, &mut all(Edit::Keep)), Ok(Vec::new()));
    assert_eq!(edit(keys(), body, &mut all(Edit::Keep)), Ok(None));
}

#[test]
fn applies_nonsense_without_a_panic() {
    let splice = |start, end| Splice { range: Range { start, end }, bytes: b"-".to_vec() };
    for splices in [[splice(9, 3), splice(1, 2)], [splice(0, u64::MAX), splice(2, 1)], [splice(5, 6), splice(0, 9)]] {
        let _ = apply(b"{}", &splices);
    }
}
