//! Findings of whole documents, each the same in one piece, cut anywhere, and byte by byte.

use super::*;
#[cfg(target_family = "wasm")]
use wasm_bindgen_test::wasm_bindgen_test as test;

/// The places of most tests; the id is the index.
const PLACES: [&str; 8] = ["", "a", "a.b", "list.*", "list.*.x", "any.?", "any.own", "é"];

fn paths() -> Rc<Paths> {
    Rc::new(Paths::new(&mut PLACES.into_iter().zip(0..), &[("same", "a"), ("deep.*.same", "list")]))
}

/// What is found, written down: `id=value`, with the name where the place is `any.?`.
fn walk(paths: &Rc<Paths>, pieces: &[&[u8]]) -> Vec<String> {
    let mut walker = Walker::new(paths.clone());
    let mut found = Vec::new();
    let mut visit = |it: Found<'_>| {
        let name = if it.id == 5 { String::from_utf8_lossy(it.name) } else { "".into() };
        let value = match it.value {
            Value::Number(raw) => raw.escape_ascii().to_string(),
            Value::String { raw, complete } => {
                format!("'{}'{}", String::from_utf8_lossy(raw), if complete { "" } else { "…" })
            }
            Value::True => "true".into(),
            Value::False => "false".into(),
            Value::Null => "null".into(),
            Value::Open => "(".into(),
            Value::Close => ")".into(),
        };
        found.push(format!("{}{name}={value}", it.id));
    };
    for piece in pieces {
        walker.feed(piece, &mut visit);
    }
    walker.finish(&mut visit);
    assert!(walker.is_over());
    found
}

/// The findings, which are the same however the document is cut; without those of the document itself.
fn found(document: impl AsRef<[u8]>) -> Vec<String> {
    let document = document.as_ref();
    let paths = paths();
    let whole = walk(&paths, &[document]);
    assert_eq!(walk(&paths, &document.chunks(1).collect::<Vec<_>>()), whole, "byte by byte");
    for cut in 0..=document.len() {
        let (head, tail) = document.split_at(cut);
        assert_eq!(walk(&paths, &[head, tail]), whole, "cut at {cut}: {}", document.escape_ascii());
    }
    whole.into_iter().filter(|found| !found.starts_with("0=")).collect()
}

#[test]
fn finds_values_of_every_kind_at_their_places_only() {
    assert_eq!(found(r#"{"a":12.5}"#), ["1=12.5"]);
    assert_eq!(
        found(r#" { "b" : 1 , "a" : { "a" : 2 , "b" : true } , "c" : [ { "b" : 3 } ] } "#),
        ["1=(", "2=true", "1=)"]
    );
    assert_eq!(found(r#"{"a":[{"b":1}]}"#), ["1=(", "1=)"]);
    assert_eq!(found(r#"{"list":{"x":1}}"#), [""; 0]);
    assert_eq!(
        found(r#"{"list":[1,{"x":"s"},[2],null,{"y":{"x":4}}]}"#),
        ["3=1", "3=(", "4='s'", "3=)", "3=(", "3=)", "3=null", "3=(", "3=)"]
    );
    assert_eq!(found(r#"[{"a":1}]"#), [""; 0]);
    assert_eq!(found(r#"{"x":{"a":1},"a":""}"#), ["1=''"]);
    assert_eq!(found(r#"{"x":[[],{},"}",["]"]],"a":false}"#), ["1=false"]);
}

#[test]
fn finds_members_of_any_name_beside_named_ones() {
    assert_eq!(found(r#"{"any":{"x":1,"own":2,"\u0079":3,"":4}}"#), ["5x=1", "6=2", "5y=3", "5=4"]);
    let long = "k".repeat(MAX_NAME + 1);
    assert_eq!(found(format!(r#"{{"any":{{"{long}":1,"{}":2}}}}"#, &long[1..])), [format!("5{}=2", &long[1..])]);
}

#[test]
fn reads_an_alias_like_its_target() {
    assert_eq!(found(r#"{"same":{"b":1},"deep":[{"same":[2]}]}"#), ["1=(", "2=1", "1=)", "3=2"]);
    let paths = Rc::new(Paths::new(&mut [("a", 1)].into_iter(), &[("*", "")]));
    assert_eq!(walk(&paths, &[br#"[{"a":1},[{"a":2}],{"a":3}]"#]), ["1=1", "1=2", "1=3"]);
    let deep = "[".repeat(1000) + r#"{"a":1}"# + &"]".repeat(1000) + "";
    assert_eq!(walk(&paths, &[deep.as_bytes()]), [""; 0]);
    let deep = "[".repeat(MAX_TRACKED - 1) + r#"{"a":1}"# + &"]".repeat(MAX_TRACKED - 1);
    assert_eq!(walk(&paths, &[deep.as_bytes()]), ["1=1"]);
}

#[test]
fn compares_keys_without_their_escapes() {
    assert_eq!(found(r#"{"\u0061":1,"\u00e9":2,"é":3}"#), ["1=1", "7=2", "7=3"]);
    assert_eq!(found(r#"{"\\u0061":1,"a\"":2,"\ud800":3,"\x":4,"a":5}"#), ["1=5"]);
    assert_eq!(found(r#"{"\"a":1,"\\":{"a":2},"a":3}"#), ["1=3"]);
    assert_eq!(found(format!(r#"{{"{}a":1,"a":2}}"#, "\\u0061".repeat(MAX_TEXT))), ["1=2"]);
    assert_eq!(found(b"{\"\xff\\n\":1,\"a\":2}"), ["1=2"]);
}

#[test]
fn bounds_what_it_shows() {
    let text = "t".repeat(MAX_TEXT);
    assert_eq!(found(format!(r#"{{"a":"{text}"}}"#)), [format!("1='{text}'")]);
    assert_eq!(found(format!(r#"{{"a":"{text}x"}}"#)), [format!("1='{text}'…")]);
    let number = "7".repeat(MAX_NUMBER);
    assert_eq!(found(format!(r#"{{"a":{number}}}"#)), [format!("1={number}")]);
    assert_eq!(found(format!(r#"{{"a":{number}0,"é":1}}"#)), ["7=1"]);
}

#[test]
fn reads_a_document_that_is_one_scalar() {
    let paths = paths();
    for (document, value) in [("12", "0=12"), (" null\n", "0=null"), ("\"s\"", "0='s'"), ("tru", "")] {
        let expected: &[&str] = if value.is_empty() { &[] } else { &[value] };
        assert_eq!(walk(&paths, &[document.as_bytes()]), expected);
        assert_eq!(walk(&paths, &document.as_bytes().chunks(1).collect::<Vec<_>>()), expected);
    }
}

#[test]
fn goes_silent_on_nonsense() {
    for document in [
        "",
        "[DONE]",
        "data: {\"a\":1}",
        "{,\"a\":1}",
        "{a\":1}",
        "{\"x\"\"a\":1}",
        "{\"x\":\"y\"\"a\":1}",
        "{\"x\":}\"a\":1}",
        "{]\"a\":1}",
        "{\"x\":1]\"a\":1}",
        "{\"x\":1:\"a\":1}",
        "{\"x\":\"\\\",\"a\":1}",
        "{\"a\"",
        "{\"a\":",
        "{\"a\":1",
        "{\"a\":\"1",
        "\u{feff}{\"a\":1}",
    ] {
        assert_eq!(found(document), [""; 0], "{document}");
    }
    // A second document is for a reset.
    assert_eq!(found(r#"{"a":1}{"a":2}"#), ["1=1"]);
    let paths = paths();
    let mut walker = Walker::new(paths);
    let mut count = 0;
    for _ in 0..3 {
        walker.feed(br#"{"list":[{"a":"\"#, &mut |_| count += 1);
        walker.reset();
    }
    assert_eq!(count, 6, "the document and the element");
}

#[test]
fn skips_what_nobody_asked_for_in_blocks() {
    for filler in 0..3 * BLOCK {
        let digits = "1".repeat(filler);
        let body = format!(r#"{{"x":[{digits}1,"{digits}]\"",{{"y":"\\"}},{digits}2],"a":1}}"#);
        assert_eq!(found(body), ["1=1"], "{filler}");
    }
}

#[cfg(not(target_family = "wasm"))]
mod properties {
    use super::*;
    use proptest::prelude::*;
    use serde_json::Value as Json;

    fn documents() -> impl Strategy<Value = Json> {
        let key = prop::sample::select(vec!["a", "b", "list", "x", "any", "own", "é", "same", "deep", "\"", "\\u0061"]);
        let leaf = prop_oneof![
            Just(Json::Null),
            any::<bool>().prop_map(Json::from),
            any::<i64>().prop_map(Json::from),
            "[a\"\\\\{}\\[\\],é\n]{0,6}".prop_map(Json::from),
        ];
        leaf.prop_recursive(5, 40, 6, move |inner| {
            prop_oneof![
                prop::collection::vec(inner.clone(), 0..5).prop_map(Json::from),
                prop::collection::btree_map(key.clone(), inner, 0..6)
                    .prop_map(|members| members.into_iter().map(|(key, value)| (key.to_owned(), value)).collect()),
            ]
        })
    }

    /// The places that a path of keys and elements (`*`) stands for, by comparing patterns.
    fn id(path: &[&str]) -> Option<usize> {
        let path: Vec<&str> = match path {
            ["same", tail @ ..] => [&["a"], tail].concat(),
            ["deep", "*", "same", tail @ ..] => [&["list"], tail].concat(),
            _ => path.to_vec(),
        };
        let joined = path.join(".");
        let exact = PLACES.iter().position(|place| *place == joined && (!joined.is_empty() || path.is_empty()));
        exact.or_else(|| (path.len() == 2 && path[0] == "any" && path[1] != "*").then_some(5))
    }

    fn expected(json: &Json, path: &mut Vec<String>, out: &mut Vec<String>) {
        let id = id(&path.iter().map(String::as_str).collect::<Vec<_>>());
        let name = if id == Some(5) { path[1].clone() } else { String::new() };
        let mut say = |what: &str| out.extend(id.map(|id| format!("{id}{name}={what}")));
        match json {
            Json::Array(elements) => {
                say("(");
                for element in elements {
                    path.push("*".into());
                    expected(element, path, out);
                    path.pop();
                }
            }
            Json::Object(members) => {
                say("(");
                for (key, value) in members {
                    path.push(key.clone());
                    expected(value, path, out);
                    path.pop();
                }
            }
            Json::String(text) => {
                let literal = serde_json::to_string(text).unwrap();
                say(&format!("'{}'", &literal[1..literal.len() - 1]));
            }
            other => say(&other.to_string()),
        }
        if json.is_array() || json.is_object() {
            out.extend(id.map(|id| format!("{id}{name}=)")));
        }
    }

    proptest! {
        #![proptest_config(ProptestConfig::with_cases(400))]

        #[test]
        fn finds_what_a_tree_has(json in documents(), pretty: bool, cuts in prop::collection::vec(any::<prop::sample::Index>(), 0..5)) {
            let text = if pretty { serde_json::to_string_pretty(&json) } else { serde_json::to_string(&json) }.unwrap();
            let mut wanted = Vec::new();
            expected(&json, &mut Vec::new(), &mut wanted);
            let mut cuts: Vec<usize> = cuts.iter().map(|cut| cut.index(text.len() + 1)).collect();
            cuts.extend([0, text.len()]);
            cuts.sort_unstable();
            let pieces: Vec<&[u8]> = cuts.windows(2).map(|cut| &text.as_bytes()[cut[0]..cut[1]]).collect();
            prop_assert_eq!(walk(&paths(), &pieces), wanted, "{}", text);
        }

        #[test]
        fn says_the_same_of_anything_in_any_split(body in "[{}\\[\\]:,\"\\\\a12 é\n]{0,60}", cut in any::<prop::sample::Index>()) {
            let (head, tail) = body.as_bytes().split_at(cut.index(body.len() + 1));
            prop_assert_eq!(walk(&paths(), &[head, tail]), walk(&paths(), &[body.as_bytes()]));
        }
    }
}
