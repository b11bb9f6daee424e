//! Outcomes of whole documents, each the same in one piece, cut anywhere, cut twice, and byte by byte.

use super::*;
#[cfg(target_family = "wasm")]
use wasm_bindgen_test::wasm_bindgen_test as test;

const KEYS: [&str; 4] = ["model", "stream", "é", "a\"b"];

/// Documents up to this size are cut at every pair of bytes, in bytes.
const PAIRS_UP_TO: usize = 80;

fn scan(pieces: &[&[u8]]) -> Result<Vec<Event>, Error> {
    let mut scanner = Scanner::new(Keys::new(KEYS).unwrap());
    let mut events = Vec::new();
    for piece in pieces {
        let mut input = *piece;
        loop {
            match scanner.scan(&mut input) {
                Ok(Some(event)) => events.push(event),
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
    let body = body.as_ref();
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
        Event::Other { .. } | Event::End { .. } => None,
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

#[test]
fn tells_from_where_on_a_member_may_be_asked_for() {
    let body = r#"{"a":1 , "model" : [2] , "b":3}"#;
    let mut scanner = Scanner::new(Keys::new(KEYS).unwrap());
    let mut pending = Vec::new();
    for byte in body.as_bytes().chunks(1) {
        let mut input = byte;
        while scanner.scan(&mut input).unwrap().is_some() {}
        pending.push(scanner.pending());
    }
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
