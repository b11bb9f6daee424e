use super::*;
use serde_json::Value;
#[cfg(target_family = "wasm")]
use wasm_bindgen_test::wasm_bindgen_test as test;

fn found(path: &str, json: &[u8]) -> Option<Value> {
    let raw = Path::compile(path).unwrap_or_else(|why| panic!("{path}: {why}")).get(json)?;
    Some(serde_json::from_slice(&raw).unwrap_or_else(|error| panic!("{path}: {error}: {}", raw.escape_ascii())))
}

#[test]
fn paths_find_what_gjson_finds_and_refuse_what_is_not_supported() {
    let cases: Value = serde_json::from_str(include_str!("../../../testdata/attributes/paths.json")).unwrap();
    let list = |key: &str| cases[key].as_array().unwrap();
    for json in [cases["document"].to_string(), format!("\n{:#}\n", cases["document"])] {
        for case in list("found") {
            let path = case[0].as_str().unwrap();
            assert_eq!(found(path, json.as_bytes()).as_ref(), Some(&case[1]), "{path}");
        }
        for path in list("missing") {
            let path = path.as_str().unwrap();
            assert_eq!(found(path, json.as_bytes()), None, "{path}");
        }
    }
    for case in list("refused") {
        let why = Path::compile(case[0].as_str().unwrap()).expect_err(&case.to_string());
        assert!(why.contains(case[1].as_str().unwrap()), "{case}: {why}");
    }
}

#[test]
fn values_are_returned_as_they_are_written() {
    for (path, json, raw) in [
        ("a", r#"{"a" : 1.0e+2 ,"b":1}"#, "1.0e+2"),
        ("a", r#" {"a":{ "b" : [ 1 , 2 ] } } "#, r#"{ "b" : [ 1 , 2 ] }"#),
        ("a.b.1", r#"{"a":{"b":[ "}", "]\"" ]}}"#, r#""]\"""#),
        ("@this", " [ 1 ] ", "[ 1 ]"),
        ("@reverse", r#"{ "a" : 1 , "b":[2] }"#, r#"{"b":[2],"a" : 1}"#),
        ("#.b", r#"[{"b": 1.0},{"b": "x" }]"#, r#"[1.0,"x"]"#),
        ("b\u{e9}", r#"{"b\u00e9":true}"#, "true"),
        ("a", r#"{"a":1,"a":2}"#, "1"),
    ] {
        let value = Path::compile(path).unwrap().get(json.as_bytes());
        assert_eq!(value.as_deref(), Some(raw.as_bytes()), "{path} in {json}");
    }
}

#[test]
fn text_that_ends_early_gives_no_half_values() {
    let json = br#"{"a":[{"b":"c\"d"},{"b":[1,2]}],"e":"f"}"#;
    let paths = ["a.0.b", "a.1.b", "a", "e", "a.#.b", "a.@reverse.0", "@this"].map(|path| Path::compile(path).unwrap());
    let whole: Vec<_> = paths.iter().map(|path| path.get(json).unwrap()).collect();
    for end in 0..json.len() {
        for (path, whole) in paths.iter().zip(&whole) {
            if let Some(value) = path.get(&json[..end])
                && matches!(value.first(), Some(b'"' | b'{'))
            {
                assert_eq!(&value, whole, "{path:?} to {end}");
            }
        }
    }
}

#[test]
fn any_depth_costs_no_stack() {
    let deep = "[".repeat(1_000_000);
    assert_eq!(Path::compile("0.0").unwrap().get(deep.as_bytes()), None);
    let deep = format!("{{\"a\":{}{},\"b\":1}}", "[".repeat(500_000), "]".repeat(500_000));
    assert_eq!(Path::compile("b").unwrap().get(deep.as_bytes()).as_deref(), Some(&b"1"[..]));
}

#[test]
fn components_and_wildcard_keys_are_bounded() {
    let path = |parts: usize| vec!["a"; parts].join(".");
    assert!(Path::compile(&path(MAX_PARTS)).is_ok());
    assert!(Path::compile(&path(MAX_PARTS + 2)).is_err());
    let json = |length: usize| format!("{{\"{}\":1}}", "k".repeat(length));
    assert!(Path::compile("k*k").unwrap().get(json(MAX_WILD_KEY).as_bytes()).is_some());
    assert!(Path::compile("k*k").unwrap().get(json(MAX_WILD_KEY + 1).as_bytes()).is_none());
}

#[cfg(not(target_family = "wasm"))]
mod generated {
    use super::*;
    use proptest::collection::{btree_map, vec};
    use proptest::prelude::*;
    use proptest::sample::{Index, select};

    fn key() -> impl Strategy<Value = String> {
        let piece = select(vec!["a", "b", "0", "1", ".", "*", "?", "|", "#", "@", "\\", "\"", "é", "{", "!", "\n"]);
        vec(piece, 1..4).prop_map(|pieces| pieces.concat())
    }

    fn document() -> impl Strategy<Value = Value> {
        let leaf = prop_oneof![
            Just(Value::Null),
            any::<bool>().prop_map(Value::from),
            any::<i32>().prop_map(Value::from),
            select(vec!["", "x", "]", "}", "\"", "\\", "é,", "[{"]).prop_map(Value::from),
        ];
        leaf.prop_recursive(6, 64, 5, |inner| {
            prop_oneof![
                vec(inner.clone(), 0..5).prop_map(Value::from),
                btree_map(key(), inner, 0..5).prop_map(|members| Value::Object(members.into_iter().collect())),
            ]
        })
    }

    fn escaped(key: &str) -> String {
        key.chars().flat_map(|character| ['\\', character]).collect()
    }

    /// A step, and what it makes of a value.
    fn step(value: &Value, pick: &Index, kind: u8) -> (String, Option<Value>) {
        match value {
            Value::Array(items) if kind == 0 => ("@reverse".into(), Some(items.iter().rev().cloned().collect())),
            Value::Array(items) if kind == 1 => ("#".into(), Some(Value::from(items.len()))),
            Value::Array(items) => {
                let index = pick.index(items.len() + 1);
                (index.to_string(), items.get(index).cloned())
            }
            Value::Object(members) if kind == 0 && members.len() == 1 => ("*".into(), members.values().next().cloned()),
            Value::Object(members) => {
                let name =
                    members.keys().nth(pick.index(members.len() + 1)).cloned().unwrap_or_else(|| "nobody".into());
                (escaped(&name), members.get(&name).cloned())
            }
            _ if kind == 0 => ("@this".into(), Some(value.clone())),
            _ => ("x".into(), None),
        }
    }

    proptest! {
        #[test]
        fn paths_lead_where_steps_through_a_tree_lead(
            document in document(),
            picks in vec((any::<Index>(), 0u8..4), 1..6),
            pretty in any::<bool>(),
        ) {
            let json = if pretty { format!("{document:#}") } else { document.to_string() };
            let (mut path, mut value) = (Vec::new(), Some(document));
            for (pick, kind) in &picks {
                let Some(here) = &value else { break };
                let (step, next) = step(here, pick, *kind);
                path.push(step);
                value = next;
                if path.last().is_some_and(|step| step == "#") {
                    break;
                }
            }
            prop_assert_eq!(found(&path.join("."), json.as_bytes()), value.clone());
            if !path.iter().any(|step| step == "#") {
                prop_assert_eq!(found(&path.join("|"), json.as_bytes()), value);
            }
        }

        #[test]
        fn a_hash_does_to_every_element_what_a_path_does_to_one(
            elements in vec(document(), 0..5),
            path in select(vec!["a", "0", "#", "#.a", "@reverse", "@this", "*", "a.@reverse.0", "#.#.0"]),
        ) {
            let json = Value::from(elements.clone()).to_string();
            let each: Vec<Value> =
                elements.iter().filter_map(|element| found(path, element.to_string().as_bytes())).collect();
            prop_assert_eq!(found(&format!("#.{path}"), json.as_bytes()), Some(Value::from(each)));
        }

        #[test]
        fn nothing_panics_or_grows(path in ".{0,40}", pieces in vec(select(vec![
            "{", "}", "[", "]", ",", ":", "\"", "\\", "a", "0", " ", "null", "\"a\"", "\u{e9}",
        ]), 0..60), path_pieces in vec(select(vec![
            "a", "0", ".", "|", "#", "*", "?", "@reverse", "@this", "\\", "#.", ".#",
        ]), 0..12)) {
            let json = pieces.concat();
            for path in [path, path_pieces.concat()] {
                if let Ok(path) = Path::compile(&path)
                    && let Some(value) = path.get(json.as_bytes())
                {
                    // `[]` for each element at most.
                    prop_assert!(value.len() <= 2 * json.len() + 20);
                }
            }
        }
    }
}
