//! What must hold for any bytes: `waypost::json` against `serde_json`, and in one piece against in many.
//!
//! Shared by the property tests (`tests/json.rs`) and the fuzz target `json`. Panics when something does not hold.

use std::fmt;
use std::ops::Range;

use serde::de::{Deserialize, Deserializer, MapAccess, SeqAccess, Visitor};
use serde_json::Value;
use waypost::json::{
    Appender, Edit, Editor, Error, ErrorKind, Event, Keys, MAX_KEY, MAX_MEMBER, MAX_NESTED, Members, Output, Scanner,
    Wants, Watch, apply, decode, edit, literal, merge_member, splices,
};

/// The keys that may be asked for; the last one only by some scripts.
pub(crate) const KEYS: [&str; 5] = ["model", "stream", "stream_options", "é", WATCH.list];

/// The place that may be watched.
const WATCH: Watch = Watch { list: "messages", key: "role" };

/// A watched string and the raw one it is replaced by.
const REPLACED: (&str, &str) = ("developer", "\"system\"");

/// The members that an edit appends; documents do not have these keys.
const APPENDED: [(&str, &str); 2] = [("\u{0}appended", "[1, {}]"), ("appended\"", "1.0")];

/// The key that a rename gives, apart from its number.
const RENAMED: &str = "\u{1}renamed";

/// Checks everything about one document. `cuts` are offsets to cut it at, in any order and beyond its end too; `script`
/// selects what is asked for, watched and edited.
pub(crate) fn check(body: &[u8], cuts: &[usize], script: u32) {
    let script = Script(script);
    let pieces = cut(body, cuts);
    let scanned = scan(&[body], &script);
    assert_eq!(scan(&pieces, &script), scanned, "cut at {cuts:?}: {}", body.escape_ascii());
    let bytes: Vec<&[u8]> = body.chunks(1).collect();
    assert_eq!(scan(&bytes, &script), scanned, "byte by byte: {}", body.escape_ascii());

    let Some(entries) = agree(body, &scanned, &script) else { return };
    check_edit(body, &pieces, &script, entries.as_deref());
    if let (Some(entries), Ok(text)) = (&entries, std::str::from_utf8(body)) {
        check_merge(text, entries);
    }
}

/// The members of an object in their order.
type Entries = Vec<(String, Tree)>;

/// Whether `serde_json` comes to the same result. Then the members of the document, if it is accepted and UTF-8; `None`
/// where `serde_json` cannot tell.
fn agree(body: &[u8], scanned: &Result<Vec<Event>, Error>, script: &Script) -> Option<Option<Entries>> {
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
    check_members(body, events, &entries, script);
    check_nested(body, events, &entries, script);
    Some(utf8.then_some(entries))
}

/// Whether the members that were asked for are reported, and as what they are.
fn check_members(body: &[u8], events: &[Event], entries: &[(String, Tree)], script: &Script) {
    let raw = |range: &Range<u64>| &body[range.start as usize..range.end as usize];
    let mut events = events.iter().filter(|event| !matches!(event, Event::Nested { .. }));
    for (name, value) in entries {
        let (event, asked) = (events.next().unwrap(), script.position(name));
        let (Event::Key { comma: at, name: key, .. } | Event::Other { comma: at, name: key }) = event else {
            panic!("{event:?} instead of {name:?} in {}", body.escape_ascii());
        };
        assert_eq!(decode(String::from_utf8_lossy(raw(key)).as_bytes()).as_deref(), Ok(name.as_str()));
        assert!(at.is_none_or(|at| body[at as usize] == b','));
        let Some(asked) = asked else {
            assert!(matches!(event, Event::Other { .. }), "{name:?} was not asked for");
            continue;
        };
        assert!(matches!(event, Event::Key { key, .. } if *key == asked), "{name:?} was asked for");
        let range = match events.next().unwrap() {
            Event::Member(member) if script.wants(asked) == Wants::Value => {
                assert_eq!((member.key, &member.comma, &member.name), (asked, at, key));
                member.value.clone()
            }
            // From anywhere after the colon is good enough.
            Event::Skipped { end } if script.wants(asked) != Wants::Value => {
                let between = raw(&(key.end..*end)).iter().take_while(|byte| b" \t\r\n:".contains(byte)).count();
                key.end + between as u64..*end
            }
            other => panic!("{other:?} for {name:?} in {}", body.escape_ascii()),
        };
        let raw = raw(&range);
        assert_eq!(&tree(&String::from_utf8_lossy(raw)), value);
        assert_eq!(raw.trim_ascii(), raw);
        if std::str::from_utf8(raw).is_ok() {
            assert_eq!(decode(raw).ok().as_deref(), value.as_str());
        }
        if let Some(text) = value.as_str() {
            assert_eq!(literal(text), serde_json::to_string(text).unwrap());
        }
    }
    assert!(matches!(events.next(), Some(Event::End { brace }) if body[*brace as usize] == b'}'));
    assert_eq!(events.next(), None);
}

/// Whether the watched strings are reported, but for long ones.
fn check_nested(body: &[u8], events: &[Event], entries: &[(String, Tree)], script: &Script) {
    let mut expected = Vec::new();
    for (name, value) in entries {
        if script.is_watched(name) {
            value.each_watched(&mut |text| expected.push(text));
        }
    }
    let mut expected = expected.into_iter();
    for event in events {
        let Event::Nested { value } = event else { continue };
        let raw = &body[value.start as usize..value.end as usize];
        assert!(raw.len() <= MAX_NESTED);
        let text = decode(String::from_utf8_lossy(raw).as_bytes()).unwrap().into_owned();
        // What was left out before it was long, or may have been.
        loop {
            let next = expected.next().unwrap_or_else(|| panic!("{text:?} in {}", body.escape_ascii()));
            if next == text {
                break;
            }
            assert!(may_be_long(next), "{next:?} in {}", body.escape_ascii());
        }
    }
    assert!(expected.all(may_be_long), "{}", body.escape_ascii());
}

/// Whether some spelling of a string is too long to be reported.
fn may_be_long(text: &str) -> bool {
    6 * text.encode_utf16().count() + 2 > MAX_NESTED
}

/// Edits the document whole and in pieces. `entries` are its members where they are known.
fn check_edit(body: &[u8], pieces: &[&[u8]], script: &Script, entries: Option<&[(String, Tree)]>) {
    let keys = script.keys();
    let whole = edit(keys.clone(), body, &mut script.clone());
    let changed = whole.as_ref().ok().is_some_and(Option::is_some);
    let whole = whole.map(|out| out.unwrap_or_else(|| body.to_vec()));
    assert_eq!(stream(pieces, script), whole, "{}", body.escape_ascii());
    let bytes: Vec<&[u8]> = body.chunks(1).collect();
    assert_eq!(stream(&bytes, script), whole, "{}", body.escape_ascii());
    if let Some(late) = script.late()
        && let Ok(late) = edit(keys.clone(), body, &mut late.clone())
    {
        let late = late.unwrap_or_else(|| body.to_vec());
        // What is renamed or kept may hold watched strings, which only show when it is not looked at as a whole.
        if !(script.is_watched(WATCH.list) && script.position(WATCH.list).is_some()) {
            assert_eq!(whole.as_ref(), Ok(&late), "decided by the key: {}", body.escape_ascii());
        }
    }
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
        let edit = script.position(name).map_or(Edit::Keep, |key| script.edit(key));
        let mut value = value.clone();
        if script.is_watched(name) {
            value.replace_watched();
        }
        match edit {
            Edit::Keep => expected.push((name.clone(), value)),
            Edit::Remove => {}
            Edit::Change { key, value: new } => {
                let new = new.map_or(value, |new| tree(&new));
                expected.push((key.unwrap_or_else(|| name.clone()), new));
            }
        }
    }
    for &(name, value) in script.appended() {
        expected.push((name.to_owned(), tree(value)));
    }
    assert_eq!(self::entries(std::str::from_utf8(&out).unwrap()), expected);
}

/// Sets one member that is there, if there is one, and one that is not.
fn check_merge(text: &str, members: &[(String, Tree)]) {
    for key in [members.first().map_or("none", |(name, _)| name.as_str()), "\u{2}new"] {
        let Some(merged) = merge_member(text, key, "[0 ]") else {
            // A key in another case is one that some servers would take for it.
            let alike =
                |name: &str| name.to_lowercase().replace('\u{17f}', "s") == key.to_lowercase().replace('\u{17f}', "s");
            let repeated = members.iter().filter(|(name, _)| name == key || alike(name)).count() > 1;
            assert!(repeated || text.len() > MAX_KEY, "{key:?} in {text}");
            continue;
        };
        let mut expected = members.to_vec();
        let value = tree("[0]");
        match expected.iter_mut().find(|(name, _)| name == key) {
            Some((_, old)) => *old = value,
            None => expected.push((key.to_owned(), value)),
        }
        assert_eq!(entries(&merged), expected);
    }
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

fn scan(pieces: &[&[u8]], script: &Script) -> Result<Vec<Event>, Error> {
    let mut scanner = Scanner::new(script.keys());
    let mut events = Vec::new();
    for mut piece in pieces.iter().copied() {
        while let Some(event) = scanner.scan(&mut piece)? {
            if let Event::Key { key, .. } = event
                && script.wants(key) != Wants::Value
            {
                scanner.skip();
            }
            events.push(event);
        }
        assert!(piece.is_empty());
    }
    scanner.finish().map(|()| events)
}

fn stream(pieces: &[&[u8]], script: &Script) -> Result<Vec<u8>, Error> {
    let mut editor = Editor::new(script.keys());
    let mut out = Vec::new();
    for piece in pieces {
        match editor.feed(*piece, &mut script.clone())? {
            Output::Unchanged => out.extend_from_slice(piece),
            Output::Bytes(bytes) => out.extend_from_slice(&bytes),
        }
    }
    editor.finish().map(|()| out)
}

/// Edits by number: three bits for each key, then one each to append, to decide by the key where that is possible, not
/// to watch, and to ask for the list that is watched.
#[derive(Clone, Debug)]
struct Script(u32);

impl Script {
    fn bit(&self, index: u32) -> bool {
        self.0 >> index & 1 == 1
    }

    fn keys(&self) -> Keys {
        let keys = Keys::new(KEYS.into_iter().take(self.asked())).unwrap();
        if self.bit(17) { keys } else { keys.watching(WATCH) }
    }

    /// How many of the keys are asked for.
    fn asked(&self) -> usize {
        if self.bit(18) { KEYS.len() } else { KEYS.len() - 1 }
    }

    fn position(&self, name: &str) -> Option<usize> {
        KEYS.iter().take(self.asked()).position(|key| *key == name)
    }

    /// Whether a member with this key is watched.
    fn is_watched(&self, name: &str) -> bool {
        name == WATCH.list && !self.bit(17) && self.position(name).is_none_or(|key| self.wants(key) != Wants::Value)
    }

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

    /// The edit as far as it needs no value.
    fn wants(&self, key: usize) -> Wants {
        match self.edit(key) {
            _ if !self.bit(16) => Wants::Value,
            Edit::Keep => Wants::Skip,
            Edit::Remove => Wants::Remove,
            Edit::Change { key: Some(name), value: None } => Wants::Rename(name),
            Edit::Change { .. } => Wants::Value,
        }
    }

    /// The same edits, but not decided by the key, if these are.
    fn late(&self) -> Option<Self> {
        self.bit(16).then_some(Self(self.0 & !(1 << 16)))
    }

    fn appended(&self) -> &[(&str, &str)] {
        if self.bit(15) { &APPENDED } else { &[] }
    }
}

impl Members for Script {
    type Error = Error;

    fn key(&mut self, key: usize) -> Wants {
        self.wants(key)
    }

    fn nested(&mut self, raw: &[u8]) -> Option<&'static str> {
        assert!(raw.len() <= MAX_NESTED);
        (decode(raw).as_deref() == Ok(REPLACED.0)).then_some(REPLACED.1)
    }

    fn member(&mut self, key: usize, raw: &str) -> Result<Edit, Error> {
        assert!(raw.len() <= MAX_MEMBER);
        assert_eq!(self.wants(key), Wants::Value);
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

/// A value with all its members in their order, repeated ones too.
#[derive(Clone, Debug, PartialEq)]
enum Tree {
    Object(Entries),
    Array(Vec<Self>),
    String(String),
    /// `null`, a boolean or a number.
    Other(Value),
}

impl Tree {
    fn as_str(&self) -> Option<&str> {
        match self {
            Self::String(text) => Some(text),
            _ => None,
        }
    }

    /// Calls for each watched string if this is the value of the watched list.
    fn each_watched<'a>(&'a self, call: &mut impl FnMut(&'a str)) {
        let Self::Array(elements) = self else { return };
        for element in elements {
            let Self::Object(members) = element else { continue };
            for (_, value) in members.iter().filter(|(name, _)| name == WATCH.key) {
                value.as_str().into_iter().for_each(&mut *call);
            }
        }
    }

    /// Replaces what is to be replaced if this is the value of the watched list.
    fn replace_watched(&mut self) {
        let Self::Array(elements) = self else { return };
        for element in elements {
            let Self::Object(members) = element else { continue };
            for (name, value) in members {
                if name == WATCH.key && value.as_str() == Some(REPLACED.0) {
                    *value = tree(REPLACED.1);
                }
            }
        }
    }
}

impl<'de> Deserialize<'de> for Tree {
    fn deserialize<D: Deserializer<'de>>(deserializer: D) -> Result<Self, D::Error> {
        deserializer.deserialize_any(TreeVisitor)
    }
}

struct TreeVisitor;

impl<'de> Visitor<'de> for TreeVisitor {
    type Value = Tree;

    fn expecting(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("any value")
    }

    fn visit_unit<E>(self) -> Result<Tree, E> {
        Ok(Tree::Other(Value::Null))
    }

    fn visit_bool<E>(self, value: bool) -> Result<Tree, E> {
        Ok(Tree::Other(value.into()))
    }

    fn visit_i64<E>(self, value: i64) -> Result<Tree, E> {
        Ok(Tree::Other(value.into()))
    }

    fn visit_u64<E>(self, value: u64) -> Result<Tree, E> {
        Ok(Tree::Other(value.into()))
    }

    fn visit_f64<E>(self, value: f64) -> Result<Tree, E> {
        Ok(Tree::Other(value.into()))
    }

    fn visit_str<E>(self, value: &str) -> Result<Tree, E> {
        Ok(Tree::String(value.to_owned()))
    }

    fn visit_seq<A: SeqAccess<'de>>(self, mut array: A) -> Result<Tree, A::Error> {
        let mut elements = Vec::new();
        while let Some(element) = array.next_element()? {
            elements.push(element);
        }
        Ok(Tree::Array(elements))
    }

    fn visit_map<A: MapAccess<'de>>(self, mut map: A) -> Result<Tree, A::Error> {
        let mut entries = Vec::new();
        while let Some(entry) = map.next_entry()? {
            entries.push(entry);
        }
        Ok(Tree::Object(entries))
    }
}

fn tree(text: &str) -> Tree {
    serde_json::from_str(text).unwrap_or_else(|error| panic!("{error}: {text}"))
}

/// The members of an object in their order, repeated ones too.
fn entries(text: &str) -> Entries {
    let Tree::Object(entries) = tree(text) else { panic!("not an object: {text}") };
    entries
}
