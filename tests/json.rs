//! `waypost::json` against `serde_json`, on generated documents and on damaged ones, cut anywhere.
#![cfg(not(target_family = "wasm"))]
#![allow(
    clippy::arithmetic_side_effects,
    clippy::expect_used,
    clippy::indexing_slicing,
    clippy::panic,
    clippy::unwrap_used,
    reason = "a test may panic"
)]

#[path = "../fuzz/oracle/json.rs"]
mod oracle;

use proptest::collection::vec;
use proptest::prelude::*;
use proptest::sample::{Index, select};

/// Whitespace as writers put it, most often none.
fn space() -> impl Strategy<Value = &'static str> {
    select(vec!["", "", "", "", " ", "\n", "\r\n\t", "          ", "\n                  "])
}

/// Inside of a string: plain, escaped, beyond ASCII, long enough for whole blocks.
fn text() -> impl Strategy<Value = String> {
    let piece = prop_oneof![
        4 => select(vec![
            "a", "gpt-4o", " ", "/", "\u{7f}", "é", "你好", "🦀", "\u{2028}", "{", "}", "[", ",", ":",
            r#"\""#, r"\\", r"\/", r"\b", r"\f", r"\n", r"\r", r"\t", r"\u0000", r"\u00e9", r"\u00E9", r"\uffff",
            r"\ud83e\udd80", r"\uDBFF\uDFFF", r"\u0022", r"\u005c",
        ]).prop_map(str::to_owned),
        1 => (0usize..200).prop_map(|length| "x".repeat(length)),
    ];
    vec(piece, 0..8).prop_map(|pieces| pieces.concat())
}

fn number() -> impl Strategy<Value = String> {
    let edges = select(vec![
        "0",
        "-0",
        "0.0",
        "1.0",
        "1e-6",
        "1E+2",
        "-0.5e-2",
        "12345678901234567890",
        "18446744073709551615",
        "18446744073709551616",
        "1e308",
        "1e309",
        "-1e309",
        "1.7976931348623157e308",
        "1.7976931348623159e308",
        "1e400",
        "0e999",
        "0.0000001e314",
        "1e-99999999999",
        "1e99999999999",
        "17976931348623157e292",
        "17976931348623159e292",
    ]);
    prop_oneof![
        2 => any::<i64>().prop_map(|number| number.to_string()),
        2 => any::<u16>().prop_map(|number| number.to_string()),
        2 => any::<f64>().prop_filter("finite", |number| number.is_finite()).prop_map(|number| format!("{number:?}")),
        2 => edges.prop_map(str::to_owned),
        1 => (1usize..400, 0i32..400).prop_map(|(digits, exponent)| format!("{}e{exponent}", "7".repeat(digits))),
        1 => (1usize..400).prop_map(|digits| "9".repeat(digits)),
        1 => (any::<u64>(), 280i32..310).prop_map(|(digits, exponent)| format!("{digits}e{exponent}")),
    ]
}

fn value() -> impl Strategy<Value = String> {
    let leaf = prop_oneof![
        select(vec!["true", "false", "null", "[]", "{}"]).prop_map(str::to_owned),
        number(),
        text().prop_map(|text| format!("\"{text}\"")),
    ];
    leaf.prop_recursive(4, 32, 4, |inner| {
        prop_oneof![
            vec(padded(inner.clone()), 0..4).prop_map(|values| format!("[{}]", values.join(","))),
            vec((padded(key()), padded(inner)), 0..4).prop_map(|members| object(&members)),
        ]
    })
}

/// Keys that are asked for, plain and in disguise, and others.
fn key() -> impl Strategy<Value = String> {
    let asked = select(vec![
        "model",
        r"mod\u0065l",
        "stream",
        r"\u0073tream",
        "stream_options",
        "é",
        r"\u00E9",
        "Model",
        "stream_",
        "messages",
        "role",
        "",
        r"\\u0065",
    ]);
    prop_oneof![asked.prop_map(str::to_owned), text()].prop_map(|key| format!("\"{key}\""))
}

/// A role in any spelling, or no role.
fn role() -> impl Strategy<Value = String> {
    let some = select(vec![
        r#""developer""#,
        r#""\u0064eveloper""#,
        r#""\u0064\u0065\u0076\u0065\u006C\u006f\u0070\u0065\u0072""#,
        r#""developers""#,
        r#""user""#,
        r#""""#,
        r#"["developer"]"#,
        r#"{"role":"developer"}"#,
        r#"[{"role":"developer"}]"#,
        "null",
        "1",
    ]);
    prop_oneof![
        6 => some.prop_map(str::to_owned),
        1 => text().prop_map(|text| format!("\"{text}\"")),
        1 => (55usize..70).prop_map(|length| format!("\"{}\"", "d".repeat(length))),
    ]
}

/// A list of messages, or what looks like one.
fn messages() -> impl Strategy<Value = String> {
    let role_key = select(vec![r#""role""#, r#""rol\u0065""#, r#""\u0072\u006f\u006C\u0065""#, r#""roles""#, r#""""#]);
    let role_key = role_key.prop_map(str::to_owned);
    let member = prop_oneof![
        3 => (padded(role_key), padded(role())),
        1 => (padded(key()), padded(value())),
    ];
    let message = vec(member, 0..4).prop_map(|members| object(&members));
    let element = prop_oneof![
        6 => message.clone(),
        1 => vec(padded(message.clone()), 0..3).prop_map(|inner| format!("[{}]", inner.join(","))),
        1 => message.clone().prop_map(|inner| format!("{{\"content\":[{inner}],\"role\":\"developer\"}}")),
        1 => value(),
    ];
    prop_oneof![
        8 => vec(padded(element), 0..6).prop_map(|elements| format!("[{}]", elements.join(","))),
        1 => message,
        1 => value(),
    ]
}

/// A member of the top level with such a list, most often the one that is watched.
fn listing() -> impl Strategy<Value = (String, String)> {
    let key =
        select(vec![r#""messages""#, r#""messages""#, r#""messages""#, r#""mess\u0061ges""#, r#""tools""#, r#""""#]);
    (padded(key.prop_map(str::to_owned)), padded(messages()))
}

/// A document with such lists among its members.
fn conversation() -> impl Strategy<Value = String> {
    let member = prop_oneof![1 => listing(), 1 => (padded(key()), padded(value()))];
    padded(vec(member, 0..5).prop_map(|members| object(&members)))
}

fn padded(inner: impl Strategy<Value = String>) -> impl Strategy<Value = String> {
    (space(), inner, space()).prop_map(|(before, inner, after)| format!("{before}{inner}{after}"))
}

fn object(members: &[(String, String)]) -> String {
    let members: Vec<String> = members.iter().map(|(key, value)| format!("{key}:{value}")).collect();
    format!("{{{}}}", members.join(","))
}

fn document() -> impl Strategy<Value = String> {
    let members = vec((padded(key()), padded(value())), 0..8).prop_map(|members| object(&members));
    padded(members)
}

/// Damage to a document, which may well leave it valid.
#[derive(Clone, Debug)]
enum Damage {
    Replace(Index, u8),
    Insert(Index, u8),
    Delete(Index),
    Swap(Index, Index),
    Truncate(Index),
}

/// Bytes that mean something to a scanner, and any others.
fn byte() -> impl Strategy<Value = u8> {
    let telling = select(b"{}[]\",:\\ \n\t0123456789-+.eEudDtfn/\0\x1f\x20\x7f\x80\xbf\xc3\xed\xff".to_vec());
    prop_oneof![telling, any::<u8>()]
}

fn damage() -> impl Strategy<Value = Damage> {
    prop_oneof![
        4 => (any::<Index>(), byte()).prop_map(|(at, byte)| Damage::Replace(at, byte)),
        4 => (any::<Index>(), byte()).prop_map(|(at, byte)| Damage::Insert(at, byte)),
        4 => any::<Index>().prop_map(Damage::Delete),
        1 => (any::<Index>(), any::<Index>()).prop_map(|(a, b)| Damage::Swap(a, b)),
        1 => any::<Index>().prop_map(Damage::Truncate),
    ]
}

fn damaged(body: &str, damages: &[Damage]) -> Vec<u8> {
    let mut bytes = body.as_bytes().to_vec();
    for damage in damages {
        let length = bytes.len();
        match damage {
            _ if length == 0 => break,
            Damage::Replace(at, byte) => bytes[at.index(length)] = *byte,
            Damage::Insert(at, byte) => bytes.insert(at.index(length), *byte),
            Damage::Delete(at) => drop(bytes.remove(at.index(length))),
            Damage::Swap(a, b) => bytes.swap(a.index(length), b.index(length)),
            Damage::Truncate(at) => bytes.truncate(at.index(length)),
        }
    }
    bytes
}

fn cuts() -> impl Strategy<Value = Vec<usize>> {
    vec(any::<usize>(), 0..5)
}

proptest! {
    #![proptest_config(ProptestConfig { cases: 1000, failure_persistence: None, ..ProptestConfig::default() })]

    #[test]
    fn agrees_with_serde_json_on_generated_documents(body in document(), cuts in cuts(), script: u32) {
        oracle::check(body.as_bytes(), &cuts, script);
    }

    #[test]
    fn agrees_with_serde_json_on_generated_conversations(body in conversation(), cuts in cuts(), script: u32) {
        oracle::check(body.as_bytes(), &cuts, script);
    }

    #[test]
    fn agrees_with_serde_json_on_damaged_conversations(
        body in conversation(),
        damages in vec(damage(), 1..4),
        cuts in cuts(),
        script: u32,
    ) {
        oracle::check(&damaged(&body, &damages), &cuts, script);
    }

    #[test]
    fn agrees_with_serde_json_on_damaged_documents(
        body in document(),
        damages in vec(damage(), 1..4),
        cuts in cuts(),
        script: u32,
    ) {
        oracle::check(&damaged(&body, &damages), &cuts, script);
    }

    #[test]
    fn agrees_with_serde_json_on_a_damaged_value(
        value in value(),
        damages in vec(damage(), 0..3),
        cuts in cuts(),
        script: u32,
    ) {
        let value = damaged(&value, &damages);
        let body = [&b"{\"model\":"[..], &value, b",\"x\":[", &value, b"]}"].concat();
        oracle::check(&body, &cuts, script);
    }

    #[test]
    fn agrees_with_serde_json_on_strings_of_any_bytes(
        bytes in vec(byte(), 0..40),
        cuts in cuts(),
        script: u32,
    ) {
        let body = [&b"{\"x\":\""[..], &bytes, b"\",\"model\":\"", &bytes, b"\",\"", &bytes, b"\":1}"].concat();
        oracle::check(&body, &cuts, script);
    }
}

proptest! {
    #![proptest_config(ProptestConfig { cases: 40, failure_persistence: None, ..ProptestConfig::default() })]

    /// Members beyond the bound of those that are looked at, so most scripts that do not look are of use.
    #[test]
    fn agrees_with_serde_json_on_huge_members(
        before in vec((padded(key()), padded(value())), 0..3),
        listings in vec(listing(), 1..20),
        after in vec((padded(key()), padded(value())), 0..3),
        length in 65_000usize..200_000,
        key in key(),
        damages in prop_oneof![4 => Just(Vec::new()), 1 => vec(damage(), 1..2)],
        cuts in cuts(),
        script: u32,
        early in select(vec![true, true, false]),
    ) {
        let long = format!("[{},\"{}\"]", object(&listings), "v".repeat(length));
        let messages = listings.iter().map(|(_, value)| value.trim()).filter_map(|value| {
            Some(value.strip_prefix('[')?.strip_suffix(']')?).filter(|inner| !inner.trim().is_empty())
        });
        let messages: Vec<&str> = messages.collect();
        let messages = format!("[{},{{\"content\":\"{}\",\"role\":\"developer\"}}]", messages.join(","), "m".repeat(length));
        let messages = messages.replacen("[,", "[", 1);
        let huge = vec![(key, long), ("\"messages\"".to_owned(), messages)];
        let members: Vec<(String, String)> = [before, huge, after].concat();
        let script = if early { script | 1 << 16 } else { script };
        oracle::check(&damaged(&object(&members), &damages), &cuts, script);
    }
}

#[test]
fn agrees_with_serde_json_around_the_bounds() {
    for length in [1020usize, 1021, 1022, 1023, 65_500, 65_520, 65_530, 65_540] {
        for filler in ["k", " "] {
            let long = filler.repeat(length);
            for body in [
                format!("{{\"a\":1,\"{long}\":2}}"),
                format!("{{\"a\":1,\"model\":\"{long}\"}}"),
                format!("{{\"a\":1,\"model\":[{}]}}", " ".repeat(length)),
                format!("{{\"a\":1{0},{0}\"model\"{0}:{0}1{0}}}", " ".repeat(length / 4)),
            ] {
                oracle::check(body.as_bytes(), &[1030, 1031, 65_536, 65_537, 65_540, 65_545], 0o7654);
            }
        }
    }
    for levels in [126, 127, 128, 129] {
        let body = format!("{{\"model\":{}{}}}", "[".repeat(levels), "]".repeat(levels));
        oracle::check(body.as_bytes(), &[100, 130, 140], 0o2222);
    }
}
