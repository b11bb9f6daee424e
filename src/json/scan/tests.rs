//! Outcomes of whole documents, each the same in one piece, cut anywhere, cut twice, and byte by byte.

use super::*;
#[cfg(target_family = "wasm")]
use wasm_bindgen_test::wasm_bindgen_test as test;

const KEYS: [&str; 4] = ["model", "stream", "é", "a\"b"];

/// Documents up to this size are cut at every pair of bytes, in bytes.
const PAIRS_UP_TO: usize = 80;

/// The keys, with a place that is watched: most documents here do not have it.
fn keys() -> Keys {
    Keys::new(KEYS).unwrap().watching(Watch { list: "messages", key: "role" })
}

/// What is to become of the members that were asked for.
#[derive(Clone, Copy, PartialEq)]
enum Asking {
    Values,
    Keys,
}

fn scan(pieces: &[&[u8]]) -> Result<Vec<Event>, Error> {
    scan_for(&keys(), Asking::Values, pieces)
}

fn scan_for(keys: &Keys, asking: Asking, pieces: &[&[u8]]) -> Result<Vec<Event>, Error> {
    let mut scanner = Scanner::new(keys.clone());
    let mut events = Vec::new();
    for piece in pieces {
        let mut input = *piece;
        loop {
            match scanner.scan(&mut input) {
                Ok(Some(event)) => {
                    if matches!(event, Event::Key { .. }) && asking == Asking::Keys {
                        scanner.skip();
                    }
                    events.push(event);
                }
                Ok(None) => break,
                Err(error) => {
                    assert_eq!(scanner.scan(&mut &b"{}"[..]), Err(error), "an error stays");
                    assert_eq!(scanner.finish(), Err(error), "an error stays");
                    return Err(error);
                }
            }
        }
        assert!(input.is_empty());
    }
    scanner.finish().map(|()| events)
}

/// The outcome, which is the same however the document is cut.
fn outcome(body: impl AsRef<[u8]>) -> Result<Vec<Event>, Error> {
    outcome_for(&keys(), Asking::Values, body)
}

fn outcome_for(keys: &Keys, asking: Asking, body: impl AsRef<[u8]>) -> Result<Vec<Event>, Error> {
    let body = body.as_ref();
    let scan = |pieces: &[&[u8]]| scan_for(keys, asking, pieces);
    let whole = scan(&[body]);
    let bytes: Vec<&[u8]> = body.chunks(1).collect();
    assert_eq!(scan(&bytes), whole, "byte by byte: {}", body.escape_ascii());
    for cut in 0..=body.len() {
        let (head, tail) = body.split_at(cut);
        assert_eq!(scan(&[head, tail]), whole, "cut at {cut}: {}", body.escape_ascii());
        if body.len() <= PAIRS_UP_TO {
            for second in 0..=tail.len() {
                let (middle, tail) = tail.split_at(second);
                assert_eq!(scan(&[head, middle, tail]), whole, "cut at {cut} and {second} on");
            }
        }
    }
    whole
}

fn error(body: impl AsRef<[u8]>) -> (ErrorKind, u64) {
    let body = body.as_ref();
    let error = outcome(body).expect_err(&body.escape_ascii().to_string());
    (error.kind, error.offset)
}

/// The members that were asked for: key, raw key, raw value.
fn members(body: &str) -> Vec<(usize, &str, &str)> {
    let text = |range: Range<u64>| &body[range.start as usize..range.end as usize];
    let events = outcome(body).unwrap_or_else(|error| panic!("{error}: {body}"));
    let found = events.into_iter().filter_map(|event| match event {
        Event::Member(member) => {
            if let Some(comma) = member.comma {
                assert_eq!(text(comma..comma + 1), ",");
            }
            Some((member.key, text(member.name), text(member.value)))
        }
        _ => None,
    });
    found.collect()
}

#[test]
fn finds_the_asked_members_of_the_top_level_only() {
    assert_eq!(members("{}"), []);
    assert_eq!(members(r#"{"model":"m"}"#), [(0, r#""model""#, r#""m""#)]);
    assert_eq!(
        members(r#"{"x":{"model":1,"y":[{"stream":2}]},"stream":true , "model" : [1,{"model":3}] }"#),
        [(1, r#""stream""#, "true"), (0, r#""model""#, r#"[1,{"model":3}]"#)]
    );
    assert_eq!(members("\r\n\t {\"stream\"\n:\tnull\r}\n"), [(1, r#""stream""#, "null")]);
    assert_eq!(members(r#"{"stream":-0.5e+2}"#), [(1, r#""stream""#, "-0.5e+2")]);
    assert_eq!(members(r#"{"models":1,"mode":2,"Model":3,"":4}"#), []);
}

#[test]
fn compares_keys_without_their_escapes() {
    assert_eq!(members(r#"{"mod\u0065l":1}"#), [(0, r#""mod\u0065l""#, "1")]);
    assert_eq!(members(r#"{"\u006d\u006F\u0064\u0065\u006c":1}"#).len(), 1);
    assert_eq!(members(r#"{"a\"b":1,"é":2}"#), [(3, r#""a\"b""#, "1"), (2, r#""é""#, "2")]);
    assert_eq!(members(r#"{"\u00e9":1,"a\u0022b":2}"#).len(), 2);
    assert_eq!(members(r#"{"mod\\u0065l":1,"e\u0301":2}"#), []);
}

#[test]
fn reports_every_top_level_key_and_the_closing_brace() {
    assert_eq!(
        outcome(r#" {"a":1 ,"model":2}"#),
        Ok(vec![
            Event::Other { comma: None, name: 2..5 },
            Event::Key { key: 0, comma: Some(8), name: 9..16 },
            Event::Member(Member { key: 0, comma: Some(8), name: 9..16, value: 17..18 }),
            Event::End { brace: 18 },
        ])
    );
}

#[test]
fn accepts_what_serde_json_accepts() {
    for body in [
        r#"{"a":[],"b":{},"c":[[],[{}]],"d":""}"#,
        r#"{"a":[0,-0,1.0,1e-6,0.0,0e0,1E+2,12345678901234567890,123456789012345678901234567890]}"#,
        r#"{"a":"\"\\\/\b\f\n\r\t\u0000\uFFFF\ud83e\udd80 \u00e9 é🦀 "}"#,
        r#"{"a":1,"a":2,"a":3}"#,
        "{\"a\":\"\u{7f}\u{80}\u{2028}\"}",
        "  {  \"a\"  :  [  true  ,  false  ,  null  ]  ,  \"b\"  :  1  }  ",
        "{\n        \"a\":\n                 1\n}",
    ] {
        assert!(serde_json::from_str::<serde_json::Value>(body).is_ok(), "{body}");
        assert!(outcome(body).is_ok(), "{body}");
    }
}

/// One document per line.
const MALFORMED: &str = r#"{"a"}
{"a":}
{"a":1,}
{,"a":1}
{"a":1 "b":2}
{"a" 1}
{a:1}
{'a':1}
{"a":[1,]}
{"a":[,1]}
{"a":[1 2]}
{"a":[1}
{"a":{"b":1]}
{"a":{]}
{1:1}
{"a":01}
{"a":-}
{"a":-01}
{"a":1.}
{"a":.5}
{"a":1e}
{"a":1e+}
{"a":+1}
{"a":1.e5}
{"a":0x1}
{"a":1.2.3}
{"a":1e5.0}
{"a":NaN}
{"a":--1}
{"a":tru}
{"a":truE}
{"a":nulll}
{"a":True}
{"a":1/**/}
{"a":"\x"}
{"a":"\u12"}
{"a":"\u12g4"}
{"a":"\ud800"}
{"a":"\udc00"}
{"a":"\ud800\ud800"}
{"a":"\ud800\n"}
{"a":"\ud800x"}
{"a":"\ud800\u0041"}
{"\ud800":1}
{"a":{"\udfff":1}}"#;

#[test]
fn rejects_what_serde_json_rejects() {
    let controls = ["{\"a\":\"\n\"}", "{\"a\":\"\0\"}", "{\"\t\":1}", "{\"a\":\u{a0}1}", "{\"a\":1\0}", "{\u{c}}"];
    for body in MALFORMED.lines().chain(controls) {
        assert!(serde_json::from_str::<serde_json::Value>(body).is_err(), "{body}");
        assert_eq!(error(body).0, ErrorKind::Syntax, "{body}");
    }
}

#[test]
fn says_at_which_byte() {
    assert_eq!(error(r#"{"a":1,}"#), (ErrorKind::Syntax, 7));
    assert_eq!(error(r#"{"a":"\ud800x"}"#), (ErrorKind::Syntax, 12));
    assert_eq!(error("{\"a\":\"0123456789abcdefghi\u{1f}\"}"), (ErrorKind::Syntax, 25));
    assert_eq!(error(r#"{"a":01}"#), (ErrorKind::Syntax, 6));
}

#[test]
fn finds_control_characters_wherever_they_are_in_a_string() {
    for length in [0, 7, 8, 9, 63, 64, 65, 127, 128, 129, 191, 192, 193, 300] {
        for control in [0u8, 1, 0x1f] {
            let mut body = format!("{{\"a\":\"{}", "é".repeat(length / 2)).into_bytes();
            body.extend([b'x'].repeat(length % 2));
            let at = body.len() as u64;
            body.push(control);
            body.extend(*b"zzzzzzzzzzzz\"}");
            assert_eq!(scan(&[&body]), Err(Error::new(ErrorKind::Syntax, at)), "{length}");
        }
    }
}

#[test]
fn rejects_numbers_that_serde_json_cannot_represent() {
    let long = |digits: usize| format!("{{\"a\":{}}}", "9".repeat(digits));
    let bodies = [
        r#"{"a":1e308}"#,
        r#"{"a":1e309}"#,
        r#"{"a":-1e309}"#,
        r#"{"a":1.7976931348623157e308}"#,
        r#"{"a":1.7976931348623159e308}"#,
        r#"{"a":17976931348623157e292}"#,
        r#"{"a":17976931348623159e292}"#,
        r#"{"a":0e999}"#,
        r#"{"a":0.0e99999999999}"#,
        r#"{"a":1e99999999999}"#,
        r#"{"a":1e-99999999999}"#,
        r#"{"a":0.00001e313}"#,
        r#"{"a":0.00001e314}"#,
        r#"{"a":18446744073709551615e289}"#,
        r#"{"a":18446744073709551616e288}"#,
        r#"{"a":1844674407370955161.5e289}"#,
        r#"{"a":[1e400,1]}"#,
    ];
    let long = [long(100), long(101), long(300), long(308), long(309), long(310)];
    for body in bodies.into_iter().chain(long.iter().map(String::as_str)) {
        let accepted = serde_json::from_str::<serde_json::Value>(body).is_ok();
        match outcome(body) {
            Ok(_) => assert!(accepted, "{body}"),
            Err(error) => {
                assert!(!accepted, "{body}");
                assert_eq!(error.kind, ErrorKind::NumberOutOfRange, "{body}");
            }
        }
    }
    assert_eq!(error(r#"{"a":1e400}"#), (ErrorKind::NumberOutOfRange, 10));
}

#[test]
fn rejects_a_truncated_document_at_every_byte() {
    let body = r#" {"model":"a\u00e9\ud83e\udd80","x":[1.5e3,true,{"y":null}]} "#;
    for end in 0..body.len() - 1 {
        assert_eq!(error(&body[..end]), (ErrorKind::Truncated, end as u64));
    }
    assert!(outcome(body).is_ok());
}

#[test]
fn rejects_what_is_not_one_object() {
    for body in ["[]", "\"a\"", "1", "-1", "true", "null", "false", "[{}]"] {
        assert_eq!(error(body), (ErrorKind::NotAnObject, 0));
        assert_eq!(error(format!(" {body}")), (ErrorKind::NotAnObject, 1));
    }
    assert_eq!(error("}"), (ErrorKind::Syntax, 0));
    assert_eq!(error("{}{}"), (ErrorKind::TrailingGarbage, 2));
    assert_eq!(error("{} \n,"), (ErrorKind::TrailingGarbage, 4));
    assert_eq!(error("{}\0"), (ErrorKind::TrailingGarbage, 2));
    assert_eq!(error("\u{feff}{}"), (ErrorKind::ByteOrderMark, 0));
    assert_eq!(error(b"\xff\xfe{\0}\0"), (ErrorKind::ByteOrderMark, 0));
    assert_eq!(error(" \u{feff}{}"), (ErrorKind::Syntax, 1));
}

#[test]
fn rejects_a_repeated_key_that_was_asked_for() {
    assert_eq!(error(r#"{"model":1,"model":2}"#), (ErrorKind::DuplicateKey { key: 0 }, 11));
    assert_eq!(error(r#"{"model":1,"mod\u0065l":2}"#), (ErrorKind::DuplicateKey { key: 0 }, 11));
    assert_eq!(error(r#"{"\u006dodel":1,"x":1,"model":2}"#), (ErrorKind::DuplicateKey { key: 0 }, 22));
    assert_eq!(error(r#"{"stream":{"stream":1,"stream":2},"stream":3}"#), (ErrorKind::DuplicateKey { key: 1 }, 34));
}

#[test]
fn counts_levels_with_the_top_level_object_as_the_first() {
    let nested = |open: &str, close: &str, levels: usize| {
        format!("{{\"a\":{}1{}}}", open.repeat(levels - 1), close.repeat(levels - 1))
    };
    let depth = MAX_DEPTH as usize;
    for (open, close) in [("[", "]"), ("{\"a\":", "}"), ("[{\"a\":[", "]}]")] {
        let per_unit = open.chars().filter(|c| matches!(c, '[' | '{')).count();
        let units = (depth - 1) / per_unit;
        assert!(scan(&[nested(open, close, units + 1).as_bytes()]).is_ok());
        let error = scan(&[nested(open, close, units + 2).as_bytes()]).unwrap_err();
        assert_eq!(error.kind, ErrorKind::TooDeep);
    }
    let at = 5 + MAX_DEPTH as u64 - 1;
    assert_eq!(error(nested("[", "]", depth + 1)), (ErrorKind::TooDeep, at));
    assert_eq!(error(format!("{{\"a\":{}", "[".repeat(100_000).get(..200).unwrap())), (ErrorKind::TooDeep, at));
}

#[test]
fn checks_utf8_in_top_level_keys_only() {
    assert_eq!(error(b"{\"a\":1,\"b\xff\":2}"), (ErrorKind::InvalidUtf8, 9));
    assert_eq!(error(b"{\"\xed\xa0\x80\":2}"), (ErrorKind::InvalidUtf8, 2));
    assert_eq!(error(b"{\"\xc3\":2}"), (ErrorKind::InvalidUtf8, 2));
    assert!(outcome(b"{\"a\":\"\xff\",\"b\":{\"\xff\":1}}").is_ok());
}

#[test]
fn bounds_top_level_keys() {
    let body = |length: usize| format!("{{\"a\":1, \"{}\":2}}", "k".repeat(length - 2));
    assert!(outcome(body(MAX_KEY)).is_ok());
    assert_eq!(error(body(MAX_KEY + 1)), (ErrorKind::KeyTooLong, 8));
    // The bound is met before the end of the document or a bad byte after it is.
    assert_eq!(error(format!("{{\"{}", "k".repeat(MAX_KEY))), (ErrorKind::KeyTooLong, 1));
    assert_eq!(error(format!("{{\"{}\n", "k".repeat(MAX_KEY))), (ErrorKind::KeyTooLong, 1));
    assert_eq!(error(format!("{{\"{}\n", "k".repeat(MAX_KEY - 1))), (ErrorKind::Syntax, MAX_KEY as u64 + 1));
    // Nested keys may have any length, in members that were asked for too.
    for key in ["a", "model"] {
        assert!(outcome(format!("{{\"{key}\":{{\"{}\":2}}}}", "k".repeat(MAX_KEY))).is_ok());
    }
}

/// Cuts a large document around the offsets that matter.
fn outcome_near(body: &str, offsets: &[usize]) -> Result<(), Error> {
    outcome_near_for(Asking::Values, body, offsets)
}

fn outcome_near_for(asking: Asking, body: &str, offsets: &[usize]) -> Result<(), Error> {
    let scan = |pieces: &[&[u8]]| scan_for(&keys(), asking, pieces);
    let whole = scan(&[body.as_bytes()]);
    for offset in offsets {
        for cut in offset.saturating_sub(3)..(offset + 4).min(body.len()) {
            let (head, tail) = body.as_bytes().split_at(cut);
            assert_eq!(scan(&[head, tail]), whole, "cut at {cut}");
        }
    }
    let pieces: Vec<&[u8]> = body.as_bytes().chunks(1000).collect();
    assert_eq!(scan(&pieces), whole);
    whole.map(drop)
}

#[test]
fn bounds_members_that_were_asked_for() {
    let head = r#"{"x":1,"model":""#;
    let too_long = Err(Error::new(ErrorKind::MemberTooLong, 6));
    // From the comma to the closing quote.
    let body = |length: usize, tail: &str| format!("{head}{}{tail}", "v".repeat(length - (head.len() - 6) - 1));
    let cuts = [6 + MAX_MEMBER];
    assert_eq!(outcome_near(&body(MAX_MEMBER, "\"}"), &cuts), Ok(()));
    assert_eq!(outcome_near(&body(MAX_MEMBER + 1, "\"}"), &cuts), too_long);
    // The bound is met before the bad byte is, or the other way round.
    assert_eq!(outcome_near(&body(MAX_MEMBER + 2, "\n\"}"), &cuts), too_long);
    let at = 6 + MAX_MEMBER as u64;
    assert_eq!(outcome_near(&body(MAX_MEMBER + 1, "\n\"}"), &cuts), Err(Error::new(ErrorKind::Syntax, at)));
    assert_eq!(outcome_near(&body(MAX_MEMBER + 1, ""), &cuts), Err(Error::new(ErrorKind::Truncated, at)));
    // Others may have any size.
    let other = format!(r#"{{"x":"{}","model":1}}"#, "v".repeat(3 * MAX_MEMBER));
    assert_eq!(outcome_near(&other, &cuts), Ok(()));
}

#[test]
fn bounds_what_may_become_a_member_that_was_asked_for() {
    let spaces = " ".repeat(MAX_MEMBER);
    let too_long = |at| Err(Error::new(ErrorKind::MemberTooLong, at));
    assert_eq!(outcome_near(&format!("{{\"a\":1,{spaces}\"b\":1}}"), &[MAX_MEMBER + 6]), too_long(6));
    assert_eq!(outcome_near(&format!("{{\"model\":{spaces}1}}"), &[MAX_MEMBER + 1]), too_long(1));
    assert_eq!(outcome_near(&format!("{spaces}{{{spaces}\"a\"{spaces}:{spaces}1{spaces}}}{spaces}"), &[]), Ok(()));
    // The bound that is met first counts.
    let some = &spaces[MAX_KEY / 2..];
    let key = "k".repeat(2 * MAX_KEY);
    assert_eq!(outcome_near(&format!("{{\"a\":1,{some}\"{key}\":1}}"), &[MAX_MEMBER + 6]), too_long(6));
    let some = &spaces[MAX_KEY * 2..];
    let at = 7 + some.len() as u64;
    let error = Err(Error::new(ErrorKind::KeyTooLong, at));
    assert_eq!(outcome_near(&format!("{{\"a\":1,{some}\"{key}\":1}}"), &[at as usize + MAX_KEY]), error);
}

/// What is pending after each byte.
fn pending(body: &str, asking: Asking) -> Vec<Option<u64>> {
    let mut scanner = Scanner::new(keys());
    let mut pending = Vec::new();
    for byte in body.as_bytes().chunks(1) {
        let mut input = byte;
        while let Some(event) = scanner.scan(&mut input).unwrap() {
            if matches!(event, Event::Key { .. }) && asking == Asking::Keys {
                scanner.skip();
            }
        }
        pending.push(scanner.pending());
    }
    pending
}

#[test]
fn tells_from_where_on_a_member_may_be_asked_for() {
    let body = r#"{"a":1 , "model" : [2] , "b":3}"#;
    let pending = pending(body, Asking::Values);
    let expected = [
        (1..3, Some(1)), // the first key, which is not asked for after all
        (3..7, None),
        (7..21, Some(7)), // from the comma up to the bracket before the end of the value
        (21..23, None),
        (23..27, Some(23)), // a comma and a key that is not asked for after all
        (27..31, None),
    ];
    for (range, expected) in expected {
        for index in range {
            assert_eq!(pending[index], expected, "after byte {index}: {}", &body[..=index]);
        }
    }
}

#[test]
fn lets_a_member_have_any_size_whose_value_is_skipped() {
    let body = r#"{"model":[1,{"model":2}] ,"x":3,"stream" : null}"#;
    let expected = vec![
        Event::Key { key: 0, comma: None, name: 1..8 },
        Event::Skipped { end: 24 },
        Event::Other { comma: Some(25), name: 26..29 },
        Event::Key { key: 1, comma: Some(31), name: 32..40 },
        Event::Skipped { end: 47 },
        Event::End { brace: 47 },
    ];
    assert_eq!(outcome_for(&keys(), Asking::Keys, body), Ok(expected));

    let skip = |body: &str, offset| outcome_near_for(Asking::Keys, body, &[offset]);
    let long = "v".repeat(3 * MAX_MEMBER);
    assert_eq!(skip(&format!(r#"{{"model":"{long}","x":1}}"#), MAX_MEMBER), Ok(()));
    assert_eq!(skip(&format!(r#"{{"x":1,"model":["{long}"]}}"#), MAX_MEMBER), Ok(()));
    let space = " ".repeat(MAX_MEMBER);
    assert_eq!(skip(&format!(r#"{{"model"{space}:{space}1{space}}}"#), MAX_MEMBER), Ok(()));
    // The way to the key keeps its bound, and an error in the value its place.
    let too_long = Error::new(ErrorKind::MemberTooLong, 6);
    assert_eq!(skip(&format!(r#"{{"a":1,{space}"model":1}}"#), 6 + MAX_MEMBER), Err(too_long));
    let bad = Error::new(ErrorKind::Syntax, 10 + long.len() as u64);
    assert_eq!(skip(&format!("{{\"model\":\"{long}\n\"}}"), bad.offset as usize), Err(bad));
    let truncated = Error::new(ErrorKind::Truncated, 10 + long.len() as u64);
    assert_eq!(skip(&format!("{{\"model\":\"{long}"), MAX_MEMBER), Err(truncated));
    let twice = outcome_for(&keys(), Asking::Keys, r#"{"model":1,"model":2}"#);
    assert_eq!(twice, Err(Error::new(ErrorKind::DuplicateKey { key: 0 }, 11)));
}

#[test]
fn has_nothing_pending_in_a_value_that_is_skipped() {
    let pending = pending(r#"{"a":1 , "model" : [2] , "b":3}"#, Asking::Keys);
    for (index, found) in pending.into_iter().enumerate() {
        let expected = match index {
            1..3 => Some(1),
            7..15 => Some(7),
            23..27 => Some(23),
            _ => None,
        };
        assert_eq!(found, expected, "after byte {index}");
    }
}

#[test]
fn takes_no_notice_of_a_skip_where_no_value_follows() {
    let mut scanner = Scanner::new(keys());
    scanner.skip();
    let mut input = &br#"{"x":1,"model":2}"#[..];
    assert!(matches!(scanner.scan(&mut input), Ok(Some(Event::Other { .. }))));
    scanner.skip();
    assert!(matches!(scanner.scan(&mut input), Ok(Some(Event::Key { .. }))));
    assert!(matches!(scanner.scan(&mut input), Ok(Some(Event::Member(_)))));
    scanner.skip();
    assert!(matches!(scanner.scan(&mut input), Ok(Some(Event::End { .. }))));
    assert_eq!(scanner.finish(), Ok(()));
}

/// The watched strings, raw, by a scan for these keys.
fn nested_for<'a>(keys: &Keys, asking: Asking, body: &'a [u8]) -> Vec<&'a [u8]> {
    let events = outcome_for(keys, asking, body).unwrap_or_else(|error| panic!("{error}: {}", body.escape_ascii()));
    let found = events.into_iter().filter_map(|event| match event {
        Event::Nested { value } => Some(&body[value.start as usize..value.end as usize]),
        _ => None,
    });
    found.collect()
}

fn nested(body: &str) -> Vec<&str> {
    nested_for(&keys(), Asking::Values, body.as_bytes()).into_iter().map(|raw| str::from_utf8(raw).unwrap()).collect()
}

#[test]
fn reports_the_watched_strings_in_their_order() {
    assert_eq!(nested(r#"{"messages":[{"role":"developer"}]}"#), [r#""developer""#]);
    assert_eq!(
        nested(r#"{"messages":[{"role":"a"},{"role":"b"},{"x":1},{"role":"c"}]}"#),
        [r#""a""#, r#""b""#, r#""c""#]
    );
    assert_eq!(nested(" { \"messages\"\n: [ { \"x\" : [ 1 ] , \"role\"\t: \"\" , \"y\":{} } ] } "), ["\"\""]);
    // Every occurrence: which one the upstream takes is not known.
    let twice = r#"{"messages":[{"role":"a","role":"b"}],"x":1,"messages":[{"role":"c"}]}"#;
    assert_eq!(nested(twice), [r#""a""#, r#""b""#, r#""c""#]);
    // Objects of the list stand side by side with anything else.
    assert_eq!(nested(r#"{"messages":[1,"role",null,[{"role":"x"}],[],{},{"role":"a"},[[]],"s"]}"#), [r#""a""#]);
    let events = outcome(r#"{"messages":[{"role":"a"}],"model":1}"#).unwrap();
    assert_eq!(events[..2], [Event::Other { comma: None, name: 1..11 }, Event::Nested { value: 21..24 }]);
    assert_eq!(events.len(), 5);
}

#[test]
fn reports_nothing_from_anywhere_else() {
    for body in [
        r#"{"role":"a"}"#,
        r#"{"messages":{"role":"a"}}"#,
        r#"{"messages":{"messages":[{"role":"a"}]}}"#,
        r#"{"messages":{"x":{"role":"a"}}}"#,
        r#"{"messages":"role","role":"a"}"#,
        r#"{"messages":[],"tools":[{"role":"a"}]}"#,
        r#"{"messages":1,"tools":[{"role":"a"}],"x":{"y":{"role":"a"}}}"#,
        r#"{"messages":[{}],"x":{"y":{"role":"a"}}}"#,
        r#"{"messages":[[{"role":"a"}]]}"#,
        r#"{"messages":[{"content":[{"role":"a"}]}]}"#,
        r#"{"messages":[{"content":{"role":"a"}}]}"#,
        r#"{"messages":[{"content":"role"},{"x":["role",{"role":"a"},"role"]}]}"#,
        r#"{"message":[{"role":"a"}],"Messages":[{"role":"a"}],"":[{"role":"a"}]}"#,
        r#"{"x":{"messages":[{"role":"a"}]}}"#,
        r#"{"x":[{"messages":[{"role":"a"}]}]}"#,
        r#"{"messages":[{"Role":"a","roles":"b","rol":"c","":"d","role ":"e"}]}"#,
        r#"{"messages":[{"role":1},{"role":null},{"role":["a"]},{"role":{"role":"a"}},{"role":true}]}"#,
    ] {
        assert_eq!(nested(body), [""; 0], "{body}");
    }
}

#[test]
fn finds_the_watched_place_in_any_spelling() {
    assert_eq!(nested(r#"{"messages":[{"rol\u0065":"a"},{"\u0072\u006F\u006c\u0065":"b"}]}"#), [r#""a""#, r#""b""#]);
    assert_eq!(nested(r#"{"m\u0065ssages":[{"\u0072ole":"a"}]}"#), [r#""a""#]);
    assert_eq!(nested(r#"{"messages":[{"r\\u006fle":"a","\"role":"b","rol\u0065\u0065":"c","role\n":"d"}]}"#), [""; 0]);
    let long =
        format!(r#"{{"messages":[{{"{}":"a","role{}":"b","role":"c"}}]}}"#, r"\u0072".repeat(30), "x".repeat(90));
    assert_eq!(nested(&long), [r#""c""#]);
    let any = nested_for(
        &keys(),
        Asking::Values,
        b"{\"messages\":[{\"rol\xff\":\"a\",\"\\u0072ol\xff\":\"b\",\"role\":\"\xff\"}]}",
    );
    assert_eq!(any, [b"\"\xff\""]);
    let odd = Keys::new(KEYS).unwrap().watching(Watch { list: "", key: "é🦀" });
    let body = r#"{"":[{"é🦀":"a","\u00e9\ud83e\udd80":"b","":"c","é":"d"}]}"#;
    assert_eq!(nested_for(&odd, Asking::Values, body.as_bytes()), [b"\"a\"", b"\"b\""]);
    let empty = Keys::new(KEYS).unwrap().watching(Watch { list: "é", key: "" });
    let body = r#"{"é":[{"":"a","x":"b"}],"messages":[{"":"c"}]}"#;
    assert_eq!(nested_for(&empty, Asking::Keys, body.as_bytes()), [b"\"a\""]);
}

#[test]
fn reports_no_watched_string_that_is_too_long() {
    for length in [MAX_NESTED - 3, MAX_NESTED - 2, MAX_NESTED - 1, MAX_NESTED, 3 * MAX_NESTED] {
        let text = "v".repeat(length);
        let body = format!(r#"{{"messages":[{{"role":"{text}"}},{{"role":"a"}}]}}"#);
        let found = nested(&body);
        assert_eq!(found.len(), if length + 2 <= MAX_NESTED { 2 } else { 1 }, "{length}");
        assert_eq!(found.last(), Some(&r#""a""#));
    }
    let spelled = |text: &str| text.chars().map(|char| format!("\\u{:04x}", u32::from(char))).collect::<String>();
    let body = format!(r#"{{"messages":[{{"role":"{}"}}]}}"#, spelled("0123456789"));
    assert_eq!(nested(&body).len(), 1);
}

#[test]
fn tells_from_where_on_a_watched_string_may_be_reported() {
    let long = "v".repeat(2 * MAX_NESTED);
    let body = format!(r#"{{"messages":[{{"role":"abc","x":"y"}},{{"role":"{long}"}}]}}"#);
    let start = body.find("\"vv").unwrap();
    for (index, found) in pending(&body, Asking::Values).into_iter().enumerate() {
        let expected = match index {
            1..10 => Some(1), // the key of the list, which might be asked for
            21..25 => Some(21),
            _ if index >= start && index < start + MAX_NESTED - 1 => Some(start as u64),
            _ => None,
        };
        assert_eq!(found, expected, "after byte {index}: {}", &body[..=index]);
    }
}

#[test]
fn watches_a_list_that_is_asked_for_only_when_its_value_is_skipped() {
    let keys = Keys::new(["x", "messages"]).unwrap().watching(Watch { list: "messages", key: "role" });
    let body = br#"{"x":[{"role":"b"}],"messages":[{"role":"a"}],"y":{"z":{"role":"c"}}}"#;
    assert_eq!(nested_for(&keys, Asking::Values, body), [b""; 0]);
    assert_eq!(nested_for(&keys, Asking::Keys, body), [b"\"a\""]);
    let events = outcome_for(&keys, Asking::Values, body).unwrap();
    assert!(events.iter().any(|event| matches!(event, Event::Member(Member { key: 1, .. }))));
    let events = outcome_for(&keys, Asking::Keys, body).unwrap();
    assert_eq!(events[3..5], [Event::Nested { value: 40..43 }, Event::Skipped { end: 45 }]);
}

#[test]
fn finds_errors_in_the_watched_place() {
    for (text, at) in [
        (r#""role":"#, 7),
        (r#""role":}"#, 7),
        (r#""role"}"#, 6),
        (r#""role","x":1}"#, 6),
        (r#""role":"a"x"#, 10),
        (r#""role":"a":1"#, 10),
        (r#""role":"a"]"#, 10),
        (r#""role":"a",}"#, 11),
        (r#""role":"a" "role":"b""#, 11),
        (r#""role":"\x"}"#, 9),
        (r#""role":"\ud800"}"#, 14),
        ("\"role\":\"\n\"}", 8),
        ("\"role\n\":\"\"}", 5),
        (r#""r\ole":"a"}"#, 3),
        (r#""role":01}"#, 8),
        (r#""role":tru}"#, 10),
        (r#""role":["a"}"#, 11),
    ] {
        let kind = if at == text.len() { ErrorKind::Truncated } else { ErrorKind::Syntax };
        assert_eq!(error(format!("{{\"messages\":[{{{text}")), (kind, 14 + at as u64), "{text}");
    }
    let long = "v".repeat(2 * MAX_NESTED);
    assert_eq!(error(format!("{{\"messages\":[{{\"role\":\"{long}\n")), (ErrorKind::Syntax, 22 + long.len() as u64));
    let body = r#"{"messages":[{"role":"a\u00e9","role":null}]}"#;
    for end in 0..body.len() {
        assert_eq!(error(&body[..end]), (ErrorKind::Truncated, end as u64));
    }
}
