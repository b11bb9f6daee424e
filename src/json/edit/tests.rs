//! Golden bytes: what an edit leaves alone is compared byte for byte, however the document is cut.

use core::ops::Range;

use super::*;
use crate::json::{MAX_KEY, MAX_MEMBER, MAX_NESTED, Watch, decode};
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
    wants: [Wants; 3],
    edits: [Option<Edit>; 3],
    appended: Vec<(&'static str, &'static str)>,
    seen: Vec<(usize, String)>,
}

/// The key under which a script notes the watched strings it has seen.
const NESTED: usize = 99;

impl Members for Script {
    type Error = Refusal;

    fn key(&mut self, key: usize) -> Wants {
        self.wants[key].clone()
    }

    fn nested(&mut self, raw: &[u8]) -> Option<&'static str> {
        self.seen.push((NESTED, String::from_utf8_lossy(raw).into_owned()));
        (decode(raw).as_deref() == Ok("developer")).then_some("\"system\"")
    }

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
    Script {
        wants: [Wants::Value, Wants::Value, Wants::Value],
        edits: [Some(edit.clone()), Some(edit.clone()), Some(edit)],
        appended: Vec::new(),
        seen: Vec::new(),
    }
}

/// The same for all three keys without a look at the values, which would be a refusal.
fn unseen(wants: Wants) -> Script {
    let wants = [wants.clone(), wants.clone(), wants];
    Script { wants, edits: [None, None, None], appended: Vec::new(), seen: Vec::new() }
}

/// The keys, with a place that is watched: most documents here do not have it.
fn keys() -> Keys {
    Keys::new(KEYS).unwrap().watching(Watch { list: "messages", key: "role" })
}

fn stream(pieces: &[&[u8]], script: &Script) -> Result<(Vec<u8>, Script), Refusal> {
    let (mut script, mut same) = (script.clone(), script.clone());
    let (mut editor, mut owner) = (Editor::new(keys()), Editor::new(keys()));
    let mut out = Vec::new();
    for piece in pieces {
        let output = editor.feed(*piece, &mut script);
        assert_eq!(owner.feed(piece.to_vec(), &mut same), output, "an owned piece becomes the same");
        match output? {
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

/// The edited document. Where no value is looked at, it is the same when all values are.
fn edited(body: &str, script: &Script) -> String {
    let out = edited_as_told(body, script);
    let early = |edit: &Option<Edit>| match edit {
        Some(Edit::Keep) => Some(Wants::Skip),
        Some(Edit::Remove) => Some(Wants::Remove),
        Some(Edit::Change { key: Some(key), value: None }) => Some(Wants::Rename(key.clone())),
        _ => None,
    };
    // Some of the keys, then all.
    for which in 1..8u32 {
        let mut script = script.clone();
        for (key, edit) in script.edits.iter_mut().enumerate().filter(|(key, _)| which >> key & 1 == 1) {
            if let Some(wants) = early(edit) {
                script.wants[key] = wants;
                *edit = None;
            }
        }
        assert_eq!(edited_as_told(body, &script), out, "{script:?}");
    }
    out
}

fn edited_as_told(body: &str, script: &Script) -> String {
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
fn an_owned_chunk_keeps_its_place_where_the_change_is_behind_most_of_it() {
    let text = "x".repeat(1000);
    for (body, in_place) in [
        (format!(r#"{{"x":"{text}","a":1,"y":2}}"#), true),
        (format!(r#"{{"a":1,"y":2,"x":"{text}"}}"#), false),
        (format!(r#"{{"a":1,"x":"{text}","b":1}}"#), false),
    ] {
        // Room for what is put in, so that a place that changes was left on purpose.
        let mut chunk = Vec::with_capacity(body.len() + 100);
        chunk.extend_from_slice(body.as_bytes());
        let (place, mut script) = (chunk.as_ptr(), all(Edit::value("\"longer\"".to_owned())));
        let mut editor = Editor::new(keys());
        let Ok(Output::Bytes(bytes)) = editor.feed(chunk, &mut script) else { panic!("{body}") };
        assert_eq!(String::from_utf8(bytes.clone()).unwrap(), body.replace(":1", ":\"longer\""));
        assert_eq!(bytes.as_ptr() == place, in_place, "{body}");
    }
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

#[test]
fn decides_by_the_key_without_a_look_at_the_value() {
    let body = r#"{"b":[1], "x":2,"a":{"k":"v"} ,"y":3}"#;
    let out = |wants| outcome(body.as_bytes(), &unseen(wants)).unwrap();
    assert_eq!(out(Wants::Skip), (body.to_owned(), vec![]));
    assert_eq!(out(Wants::Remove), (r#"{"x":2 ,"y":3}"#.to_owned(), vec![]));
    let mut script = unseen(Wants::Rename("n\"".to_owned()));
    script.wants[1] = Wants::Remove;
    let renamed = r#"{"x":2,"n\"":{"k":"v"} ,"y":3}"#;
    assert_eq!(outcome(body.as_bytes(), &script), Ok((renamed.to_owned(), vec![])));
    script.appended = vec![("p", "1")];
    assert_eq!(outcome(br#"{"b":[1]}"#, &script), Ok((r#"{"p":1}"#.to_owned(), vec![])));
    assert_eq!(outcome(br#"{"b":[1],"a":2}"#, &script), Ok((r#"{"n\"":2,"p":1}"#.to_owned(), vec![])));
    // What is not looked at need not be UTF-8.
    let body = b"{\"a\":\"\xff\",\"x\":\"\xff\"}";
    assert_eq!(edit(keys(), body, &mut unseen(Wants::Remove)), Ok(Some(b"{\"x\":\"\xff\"}".to_vec())));
}

#[test]
fn swallows_a_member_that_is_removed_unseen_as_it_comes() {
    let mut script = unseen(Wants::Remove);
    let mut editor = Editor::new(keys());
    let mut feed = |chunk: &str| editor.feed(chunk.as_bytes(), &mut script).unwrap();
    let bytes = |text: &str| Output::Bytes(text.as_bytes().to_vec());
    assert_eq!(feed(r#"{"x":1 ,"#), bytes(r#"{"x":1 "#));
    assert_eq!(feed(r#""a" "#), bytes(""));
    assert_eq!(feed(""), Output::Unchanged);
    assert_eq!(feed(": [\"long te"), bytes(""));
    assert_eq!(feed("xt\"]"), bytes(""));
    assert_eq!(feed(r#" ,"b":12"#), bytes(" "));
    assert_eq!(feed("34"), bytes(""));
    assert_eq!(feed("\n}"), Output::Unchanged, "the number has ended before");
    assert_eq!(editor.finish(), Ok(()));
}

#[test]
fn finds_errors_in_values_that_are_not_looked_at() {
    for wants in [Wants::Skip, Wants::Remove, Wants::Rename("n".to_owned())] {
        let script = unseen(wants);
        let error = |body: &str| match outcome(body.as_bytes(), &script) {
            Err(Refusal::Document(error)) => (error.kind, error.offset),
            other => panic!("{other:?}"),
        };
        assert_eq!(error(r#"{"a":[1,]}"#), (ErrorKind::Syntax, 8));
        assert_eq!(error(r#"{"x":1,"a":"\x"}"#), (ErrorKind::Syntax, 13));
        assert_eq!(error(r#"{"x":1,"a":1"#), (ErrorKind::Truncated, 12));
        assert_eq!(error(r#"{"x":1,"a":"#), (ErrorKind::Truncated, 11));
        assert_eq!(error(r#"{"a":1,"a":2}"#), (ErrorKind::DuplicateKey { key: 0 }, 7));
        assert_eq!(error(r#"{"a":1e400,"b":2}"#), (ErrorKind::NumberOutOfRange, 10));
    }
}

/// Streams a document in chunks of this size; what it becomes, and the most that was held.
fn stream_in_chunks(body: &str, size: usize, script: &mut Script) -> (String, usize) {
    let mut editor = Editor::new(keys());
    let (mut out, mut most) = (Vec::new(), 0);
    for chunk in body.as_bytes().chunks(size) {
        match editor.feed(chunk, script).unwrap() {
            Output::Unchanged => out.extend_from_slice(chunk),
            Output::Bytes(bytes) => {
                assert_eq!(bytes.len(), bytes.capacity(), "one allocation of the exact size");
                out.extend_from_slice(&bytes);
            }
        }
        most = most.max(editor.held.len()).max(editor.held.capacity() / 4);
    }
    assert_eq!(editor.finish(), Ok(()));
    (String::from_utf8(out).unwrap(), most)
}

#[test]
fn holds_nothing_of_a_huge_member_that_is_decided_about_by_its_key() {
    let huge = format!(r#"[{{"name":"{}"}},{{"role":"developer"}}]"#, "v".repeat(1 << 20));
    let body = |name: &str| format!(r#"{{"x":1, "{name}" :{huge} ,"y":[1,2,3]}}"#);
    for size in [1000, 16 * 1024, 70_000, 1 << 22] {
        let (out, most) = stream_in_chunks(&body("a"), size, &mut unseen(Wants::Remove));
        assert_eq!((out.as_str(), most < MAX_KEY), (r#"{"x":1 ,"y":[1,2,3]}"#, true), "{most}");
        let (out, most) = stream_in_chunks(&body("a"), size, &mut unseen(Wants::Rename("longer".to_owned())));
        assert_eq!((out == body("longer"), most < MAX_KEY), (true, true), "{most}");
        let (out, most) = stream_in_chunks(&body("a"), size, &mut unseen(Wants::Skip));
        assert_eq!((out == body("a"), most < MAX_KEY), (true, true), "{most}");
    }
    // Looked at, it is refused.
    let refused = edit(keys(), body("a").as_bytes(), &mut all(Edit::Remove));
    assert_eq!(refused, Err(Refusal::Document(Error::new(ErrorKind::MemberTooLong, 6))));
}

#[test]
fn replaces_watched_strings_and_nothing_else() {
    let body = concat!(
        r#"{"tools":[{"role":"developer"}],"role":"developer", "messages" : [ {"role" : "developer" ,"content":["#,
        r#"{"role":"developer"}]},{"role":"user","content":{"role":"developer"}},[{"role":"developer"}],"developer","#,
        r#"{"rol\u0065":"\u0064eveloper","role":"developers"},{"content":"\"role\":\"developer\"","role":"developer"}"#,
        "\n],\"a\":{\"role\":\"developer\"}}",
    );
    let expected = body
        .replace(r#"{"role" : "developer" "#, r#"{"role" : "system" "#)
        .replace(r#""\u0064eveloper""#, r#""system""#)
        .replace(r#"\"","role":"developer"}"#, r#"\"","role":"system"}"#);
    let (out, seen) = outcome(body.as_bytes(), &all(Edit::Keep)).unwrap();
    assert_eq!(out, expected);
    let raw = [r#""developer""#, r#""user""#, r#""\u0064eveloper""#, r#""developers""#, r#""developer""#];
    let nested: Vec<_> = seen.iter().filter(|(key, _)| *key == NESTED).map(|(_, raw)| raw.as_str()).collect();
    assert_eq!(nested, raw);
    assert_eq!(edited(body, &all(Edit::Remove)), expected.replace(",\"a\":{\"role\":\"developer\"}", ""));

    for untouched in [
        r#"{"messages":{"role":"developer"}}"#,
        r#"{"messages":[[{"role":"developer"}],{"content":[{"role":"developer"}]}]}"#,
        r#"{"messages":[{"role":["developer"]},{"role":{"role":"developer"}},{"role":null}]}"#,
        r#"{"x":{"messages":[{"role":"developer"}]}}"#,
    ] {
        assert_eq!(edited(untouched, &all(Edit::Keep)), untouched);
    }
}

#[test]
fn replaces_watched_strings_at_every_pair_of_cuts() {
    let body = r#"{"messages":[{"role":"developer"}],"b":1}"#;
    assert!(body.len() <= PAIRS_UP_TO);
    assert_eq!(edited(body, &all(Edit::Remove)), r#"{"messages":[{"role":"system"}]}"#);
    assert_eq!(edited(body, &all(Edit::value("[]".to_owned()))), r#"{"messages":[{"role":"system"}],"b":[]}"#);
    let body = r#"{"a":1,"messages":[{"role":"developer"},{"role":"x"}]}"#;
    assert!(body.len() <= PAIRS_UP_TO);
    assert_eq!(edited(body, &all(Edit::Remove)), r#"{"messages":[{"role":"system"},{"role":"x"}]}"#);
    // Not UTF-8: not the one that is replaced, and not an error.
    let body = b"{\"messages\":[{\"role\":\"developer\xff\"}]}";
    assert_eq!(edit(keys(), body, &mut all(Edit::Keep)), Ok(None));
    assert_eq!(stream(&[&body[..25], &body[25..]], &all(Edit::Keep)).unwrap().0, body);
}

#[test]
fn withholds_a_watched_string_only_while_it_is_short() {
    let mut script = all(Edit::Keep);
    let mut editor = Editor::new(keys());
    let mut feed = |chunk: &str| editor.feed(chunk.as_bytes(), &mut script).unwrap();
    let bytes = |text: &str| Output::Bytes(text.as_bytes().to_vec());
    assert_eq!(feed(r#"{"messages":[{"ro"#), Output::Unchanged, "a key that is not replaced");
    assert_eq!(feed(r#"le": "#), Output::Unchanged);
    assert_eq!(feed(r#""deve"#), bytes(""));
    assert_eq!(feed("loper"), bytes(""));
    assert_eq!(feed(r#"","x":1,"#), bytes(r#""system","x":1,"#));
    assert_eq!(feed(r#""role":"user"},{"role":"dev"#), bytes(r#""role":"user"},{"role":"#));
    assert_eq!(feed(r#""},{"role":"developer"#), bytes(r#""dev"},{"role":"#));
    let long = "v".repeat(MAX_NESTED - 10);
    assert_eq!(feed(&long), Output::Bytes(format!("\"developer{long}").into_bytes()));
    assert_eq!(feed("developer"), Output::Unchanged);
    assert_eq!(feed(r#""}]"#), Output::Unchanged);
    assert_eq!(feed("}"), Output::Unchanged);
    assert_eq!(editor.finish(), Ok(()));
}

#[test]
fn streams_a_huge_list_through_with_next_to_nothing_held() {
    let text = "developer \\\"role\\\":\\\"developer\\\" ".repeat(8000);
    let list = |role: &str| {
        let long = "r".repeat(300_000);
        let messages = [role, "user", "developer-like", role, long.as_str()]
            .map(|role| format!(r#"{{"content":"{text}","role": "{role}" }}"#));
        format!(r#"{{"a":1,"messages":[{}],"b":2}}"#, messages.join(", "))
    };
    assert!(list("developer").len() > 1 << 20);
    for size in [100, 1000, 16 * 1024, 1 << 22] {
        let mut script = all(Edit::Keep);
        script.edits[1] = Some(Edit::value("3".to_owned()));
        let (out, most) = stream_in_chunks(&list("developer"), size, &mut script);
        assert!(out == list("system").replace("\"b\":2", "\"b\":3"), "in chunks of {size}");
        assert!(most < MAX_NESTED, "{most}");
        assert_eq!(script.seen.len(), 6, "four of five roles and two members");
    }
}

#[test]
fn an_asked_member_wins_over_a_watched_list_in_it() {
    let keys = || Keys::new(["x", "messages", "y"]).unwrap().watching(Watch { list: "messages", key: "role" });
    let body = br#"{"x":0, "messages":[{"role":"developer"}],"z":1}"#;
    let run = |script: &Script| {
        let mut held = script.clone();
        let whole = edit(keys(), body, &mut held).unwrap().unwrap_or_else(|| body.to_vec());
        for size in 1..body.len() {
            let (mut editor, mut script, mut out) = (Editor::new(keys()), script.clone(), Vec::new());
            for chunk in body.chunks(size) {
                match editor.feed(chunk, &mut script).unwrap() {
                    Output::Unchanged => out.extend_from_slice(chunk),
                    Output::Bytes(bytes) => out.extend_from_slice(&bytes),
                }
            }
            assert_eq!((&out, &script.seen), (&whole, &held.seen), "in chunks of {size}");
            assert!(editor.finish().is_ok() && editor.held.is_empty());
        }
        let nested = held.seen.iter().filter(|(key, _)| *key == NESTED).count();
        (String::from_utf8(whole).unwrap(), nested)
    };
    let body = || String::from_utf8(body.to_vec()).unwrap();
    let system = || body().replace("developer", "system");
    assert_eq!(run(&all(Edit::Keep)), (body(), 0));
    assert_eq!(run(&all(Edit::value("[]".to_owned()))), (r#"{"x":[], "messages":[],"z":1}"#.to_owned(), 0));
    let named = Edit::key("n".to_owned());
    assert_eq!(run(&all(named)), (r#"{"n":0, "n":[{"role":"developer"}],"z":1}"#.to_owned(), 0));
    assert_eq!(run(&all(Edit::Remove)), (r#"{"z":1}"#.to_owned(), 0));
    // Without a look at it there is nothing to win.
    assert_eq!(run(&unseen(Wants::Skip)), (system(), 1));
    let mut script = unseen(Wants::Rename("input".to_owned()));
    script.wants[0] = Wants::Skip;
    assert_eq!(run(&script), (system().replace("messages", "input"), 1));
    assert_eq!(run(&unseen(Wants::Remove)), (r#"{"z":1}"#.to_owned(), 0));
}
