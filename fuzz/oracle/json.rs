//! What must hold for any bytes: `waypost::json` against `serde_json`, and in one piece against in many.
//!
//! Shared by the property tests (`tests/json.rs`) and the fuzz target `json`. Panics when something does not hold.

use std::fmt;

use serde::de::{Deserialize, Deserializer, MapAccess, Visitor};
use serde_json::Value;
use waypost::json::{
    Appender, Edit, Editor, Error, ErrorKind, Event, Keys, MAX_KEY, MAX_MEMBER, Member, Members, Output, Scanner,
    apply, decode, edit, literal, merge_member, splices,
};

/// The keys that are asked for.
pub(crate) const KEYS: [&str; 4] = ["model", "stream", "stream_options", "é"];

/// The members that an edit appends; documents do not have these keys.
const APPENDED: [(&str, &str); 2] = [("\u{0}appended", "[1, {}]"), ("appended\"", "1.0")];

/// The key that a rename gives, apart from its number.
const RENAMED: &str = "\u{1}renamed";

/// Checks everything about one document. `cuts` are offsets to cut it at, in any order and beyond its end too; `script`
/// selects the edits.
pub(crate) fn check(body: &[u8], cuts: &[usize], script: u32) {
    let pieces = cut(body, cuts);
    let scanned = scan(&[body]);
    assert_eq!(scan(&pieces), scanned, "cut at {cuts:?}: {}", body.escape_ascii());
    let bytes: Vec<&[u8]> = body.chunks(1).collect();
    assert_eq!(scan(&bytes), scanned, "byte by byte: {}", body.escape_ascii());

    let Some(entries) = agree(body, &scanned) else { return };
    check_edit(body, &pieces, script, entries.as_deref());
    if let (Some(entries), Ok(text)) = (&entries, std::str::from_utf8(body)) {
        check_merge(text, entries);
    }
}

/// Whether `serde_json` comes to the same result. Then the members of the document, if it is accepted and UTF-8; `None`
/// where `serde_json` cannot tell.
#[allow(clippy::type_complexity, reason = "used once")]
fn agree(body: &[u8], scanned: &Result<Vec<Event>, Error>) -> Option<Option<Vec<(String, Value)>>> {
    let utf8 = std::str::from_utf8(body).is_ok();
    // Invalid bytes inside strings become valid characters; anywhere else both stay errors.
    let text = String::from_utf8_lossy(body);
    let parsed = match serde_json::from_str::<Value>(&text) {
        Err(error) if error.to_string().starts_with("recursion limit") => return None,
        parsed => parsed,
    };
    let show = || body.escape_ascii().to_string();
    let events = match (parsed, scanned) {
        (Err(_), Err(_)) => return Some(None),
        (Err(error), Ok(_)) => panic!("accepted, but serde_json says {error}: {}", show()),
        (Ok(Value::Object(_)), Err(error)) => {
            let entries = entries(&text);
            let explained = match error.kind {
                ErrorKind::DuplicateKey { key } => entries.iter().filter(|(name, _)| name == KEYS[key]).count() > 1,
                ErrorKind::InvalidUtf8 => !utf8,
                ErrorKind::KeyTooLong => body.len() > MAX_KEY,
                ErrorKind::MemberTooLong => body.len() > MAX_MEMBER,
                _ => false,
            };
            assert!(explained, "{error}, but serde_json accepts {}", show());
            return Some(None);
        }
        (Ok(_), Err(error)) => {
            assert_eq!(error.kind, ErrorKind::NotAnObject, "{}", show());
            return Some(None);
        }
        (Ok(value), Ok(events)) => {
            assert!(value.is_object(), "accepted {}", show());
            events
        }
    };

    let entries = entries(&text);
    let found: Vec<&Member> = events
        .iter()
        .filter_map(|event| match event {
            Event::Member(member) => Some(member),
            Event::Other { .. } | Event::End { .. } => None,
        })
        .collect();
    let wanted: Vec<&(String, Value)> = entries.iter().filter(|(name, _)| KEYS.contains(&name.as_str())).collect();
    assert_eq!(found.len(), wanted.len(), "{}", show());
    for (member, (name, value)) in found.into_iter().zip(wanted) {
        assert_eq!(KEYS[member.key], name);
        let raw = |range: &std::ops::Range<u64>| &body[range.start as usize..range.end as usize];
        assert_eq!(decode(raw(&member.name)).as_deref(), Ok(name.as_str()));
        let raw = raw(&member.value);
        assert_eq!(&serde_json::from_str::<Value>(&String::from_utf8_lossy(raw)).unwrap(), value);
        assert_eq!(raw.trim_ascii(), raw);
        if std::str::from_utf8(raw).is_ok() {
            assert_eq!(decode(raw).ok().as_deref(), value.as_str());
        }
        if let Some(text) = value.as_str() {
            assert_eq!(literal(text), serde_json::to_string(text).unwrap());
        }
    }
    Some(utf8.then_some(entries))
}

/// Edits the document whole and in pieces. `entries` are its members where they are known.
fn check_edit(body: &[u8], pieces: &[&[u8]], script: u32, entries: Option<&[(String, Value)]>) {
    let script = Script(script);
    let keys = keys();
    let whole = edit(keys.clone(), body, &mut script.clone());
    let changed = whole.as_ref().ok().is_some_and(Option::is_some);
    let whole = whole.map(|out| out.unwrap_or_else(|| body.to_vec()));
    assert_eq!(stream(pieces, &script), whole, "{}", body.escape_ascii());
    let bytes: Vec<&[u8]> = body.chunks(1).collect();
    assert_eq!(stream(&bytes, &script), whole, "{}", body.escape_ascii());
    let Ok(out) = whole else {
        assert!(entries.is_none(), "accepted by the scanner only");
        return;
    };

    let found = splices(keys, body, &mut script.clone()).unwrap();
    assert_eq!(changed, !found.is_empty());
    let mut end = 0;
    for splice in &found {
        assert!(end <= splice.range.start && splice.range.start <= splice.range.end, "{found:?}");
        end = splice.range.end;
    }
    assert!(end <= body.len() as u64);
    assert_eq!(apply(body, &found), out);

    let Some(members) = entries else { return };
    let mut expected = Vec::new();
    for (name, value) in members {
        let edit = KEYS.iter().position(|key| key == name).map_or(Edit::Keep, |key| script.edit(key));
        match edit {
            Edit::Keep => expected.push((name.clone(), value.clone())),
            Edit::Remove => {}
            Edit::Change { key, value: new } => {
                let new = new.map_or_else(|| value.clone(), |new| serde_json::from_str(&new).unwrap());
                expected.push((key.unwrap_or_else(|| name.clone()), new));
            }
        }
    }
    for &(name, value) in script.appended() {
        expected.push((name.to_owned(), serde_json::from_str(value).unwrap()));
    }
    assert_eq!(self::entries(std::str::from_utf8(&out).unwrap()), expected);
}

/// Sets one member that is there, if there is one, and one that is not.
fn check_merge(text: &str, members: &[(String, Value)]) {
    for key in [members.first().map_or("none", |(name, _)| name.as_str()), "\u{2}new"] {
        let Some(merged) = merge_member(text, key, "[0 ]") else {
            let repeated = members.iter().filter(|(name, _)| name == key).count() > 1;
            assert!(repeated || text.len() > MAX_KEY, "{key:?} in {text}");
            continue;
        };
        let mut expected = members.to_vec();
        let value = serde_json::json!([0]);
        match expected.iter_mut().find(|(name, _)| name == key) {
            Some((_, old)) => *old = value,
            None => expected.push((key.to_owned(), value)),
        }
        assert_eq!(entries(&merged), expected);
    }
}

fn keys() -> Keys {
    Keys::new(KEYS).unwrap()
}

/// Cuts a document at these offsets.
fn cut<'a>(body: &'a [u8], cuts: &[usize]) -> Vec<&'a [u8]> {
    let mut cuts: Vec<usize> = cuts.iter().map(|cut| cut % (body.len() + 1)).collect();
    cuts.sort_unstable();
    let mut pieces = Vec::new();
    let mut from = 0;
    for to in cuts.into_iter().chain([body.len()]) {
        pieces.push(&body[from..to]);
        from = to;
    }
    pieces
}

fn scan(pieces: &[&[u8]]) -> Result<Vec<Event>, Error> {
    let mut scanner = Scanner::new(keys());
    let mut events = Vec::new();
    for mut piece in pieces.iter().copied() {
        while let Some(event) = scanner.scan(&mut piece)? {
            events.push(event);
        }
        assert!(piece.is_empty());
    }
    scanner.finish().map(|()| events)
}

fn stream(pieces: &[&[u8]], script: &Script) -> Result<Vec<u8>, Error> {
    let mut editor = Editor::new(keys());
    let mut out = Vec::new();
    for piece in pieces {
        match editor.feed(piece, &mut script.clone())? {
            Output::Unchanged => out.extend_from_slice(piece),
            Output::Bytes(bytes) => out.extend_from_slice(&bytes),
        }
    }
    editor.finish().map(|()| out)
}

/// Edits by number: three bits for each key, then one to append.
#[derive(Clone, Debug)]
struct Script(u32);

impl Script {
    fn edit(&self, key: usize) -> Edit {
        let name = format!("{RENAMED}{key}");
        match self.0 >> (3 * key) & 7 {
            0 | 1 => Edit::Keep,
            2 | 3 => Edit::Remove,
            4 => Edit::value("\"new\"".to_owned()),
            5 => Edit::value("{ }".to_owned()),
            6 => Edit::key(name),
            _ => Edit::Change { key: Some(name), value: Some("-1e-6".to_owned()) },
        }
    }

    fn appended(&self) -> &[(&str, &str)] {
        if self.0 >> 12 & 1 == 1 { &APPENDED } else { &[] }
    }
}

impl Members for Script {
    type Error = Error;

    fn member(&mut self, key: usize, raw: &str) -> Result<Edit, Error> {
        assert!(raw.len() <= MAX_MEMBER);
        serde_json::from_str::<Value>(raw).unwrap();
        Ok(self.edit(key))
    }

    fn end(&mut self, members: &mut Appender) -> Result<(), Error> {
        for (key, value) in self.appended() {
            members.push(key, value);
        }
        Ok(())
    }
}

/// The members of an object in their order, repeated ones too.
fn entries(text: &str) -> Vec<(String, Value)> {
    struct Entries(Vec<(String, Value)>);

    impl<'de> Deserialize<'de> for Entries {
        fn deserialize<D: Deserializer<'de>>(deserializer: D) -> Result<Self, D::Error> {
            deserializer.deserialize_map(EntriesVisitor)
        }
    }

    struct EntriesVisitor;

    impl<'de> Visitor<'de> for EntriesVisitor {
        type Value = Entries;

        fn expecting(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
            f.write_str("an object")
        }

        fn visit_map<A: MapAccess<'de>>(self, mut map: A) -> Result<Entries, A::Error> {
            let mut entries = Vec::new();
            while let Some(entry) = map.next_entry()? {
                entries.push(entry);
            }
            Ok(Entries(entries))
        }
    }

    serde_json::from_str::<Entries>(text).unwrap_or_else(|error| panic!("{error}: {text}")).0
}
