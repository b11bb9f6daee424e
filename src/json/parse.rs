//! JSON to a [`Node`]: keeps the order of keys and the spelling of numbers, refuses a key that stands twice, and
//! says where it stopped.
//!
//! A parser of its own because it needs none of what a general one brings into the wasm, most of it for numbers.

use super::{Node, decode, in_order, is_number};
use core::fmt;

/// Why a document is not JSON, and where.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct SyntaxError {
    /// What is wrong.
    pub reason: Reason,
    /// Line, counted from 1.
    pub line: usize,
    /// Column in bytes, counted from 1.
    pub column: usize,
}

/// What is wrong with a document.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Reason {
    /// Something else should stand here.
    Expected(&'static str),
    /// A comma with nothing behind it.
    TrailingComma,
    /// The document ends too early.
    End,
    /// A string with a control character, an unknown escape or a lone surrogate.
    String,
    /// A number that is none, or larger than a double.
    Number,
    /// A key that stands twice in one object.
    Twice(String),
    /// More levels than [`MAX_DEPTH`].
    TooDeep,
    /// Something follows the document.
    Trailing,
    /// Not UTF-8.
    Utf8,
}

/// How deeply lists and objects may be nested.
const MAX_DEPTH: usize = 128;

impl fmt::Display for SyntaxError {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match &self.reason {
            Reason::Expected(what) => write!(f, "expected {what}")?,
            Reason::TrailingComma => f.write_str("a comma with nothing behind it")?,
            Reason::End => f.write_str("it ends too early")?,
            Reason::String => f.write_str("malformed string")?,
            Reason::Number => f.write_str("malformed number")?,
            Reason::Twice(key) => write!(f, "the key `{key}` stands twice in one object")?,
            Reason::TooDeep => f.write_str("nested too deeply")?,
            Reason::Trailing => f.write_str("something follows it")?,
            Reason::Utf8 => f.write_str("not UTF-8")?,
        }
        write!(f, " at line {} column {}", self.line, self.column)
    }
}

/// Reads a whole document.
///
/// # Errors
/// See [`Reason`].
pub fn parse(bytes: &[u8]) -> Result<Node, SyntaxError> {
    let text = core::str::from_utf8(bytes).map_err(|error| at(bytes, error.valid_up_to(), Reason::Utf8))?;
    let mut parser = Parser { rest: text, depth: 0 };
    let parsed = parser.value().and_then(|node| {
        parser.space();
        if parser.rest.is_empty() { Ok(node) } else { Err(Reason::Trailing) }
    });
    parsed.map_err(|reason| at(bytes, bytes.len().saturating_sub(parser.rest.len()), reason))
}

fn at(bytes: &[u8], offset: usize, reason: Reason) -> SyntaxError {
    let before = bytes.get(..offset).unwrap_or(bytes);
    let line = memchr::memchr_iter(b'\n', before).count().saturating_add(1);
    let start = memchr::memrchr(b'\n', before).map_or(0, |newline| newline.saturating_add(1));
    SyntaxError { reason, line, column: offset.saturating_sub(start).saturating_add(1) }
}

struct Parser<'t> {
    rest: &'t str,
    depth: usize,
}

impl<'t> Parser<'t> {
    fn space(&mut self) {
        self.rest = self.rest.trim_start_matches([' ', '\n', '\r', '\t']);
    }

    /// Takes one character if it is next, after space.
    fn take(&mut self, character: char) -> bool {
        self.space();
        let rest = self.rest.strip_prefix(character);
        self.rest = rest.unwrap_or(self.rest);
        rest.is_some()
    }

    fn expected<T>(&self, what: &'static str) -> Result<T, Reason> {
        Err(if self.rest.is_empty() { Reason::End } else { Reason::Expected(what) })
    }

    /// Takes the comma before one more item.
    fn comma(&mut self, expected: &'static str, close: char) -> Result<(), Reason> {
        let before = self.rest;
        if !self.take(',') {
            return self.expected(expected);
        }
        self.space();
        if self.rest.starts_with(close) {
            // The comma is what is wrong, and not what closes.
            self.rest = before.trim_start();
            return Err(Reason::TrailingComma);
        }
        Ok(())
    }

    fn value(&mut self) -> Result<Node, Reason> {
        self.space();
        for (literal, node) in [("null", Node::Null), ("true", Node::Bool(true)), ("false", Node::Bool(false))] {
            if let Some(rest) = self.rest.strip_prefix(literal) {
                self.rest = rest;
                return Ok(node);
            }
        }
        match self.rest.bytes().next() {
            Some(b'{') => self.nested(Self::object),
            Some(b'[') => self.nested(Self::list),
            Some(b'"') => self.string().map(Node::Text),
            Some(b'-' | b'0'..=b'9') => self.number(),
            _ => self.expected("a value"),
        }
    }

    fn nested(&mut self, read: impl FnOnce(&mut Self) -> Result<Node, Reason>) -> Result<Node, Reason> {
        self.depth = self.depth.saturating_add(1);
        if self.depth > MAX_DEPTH {
            return Err(Reason::TooDeep);
        }
        let node = read(self);
        self.depth = self.depth.saturating_sub(1);
        node
    }

    fn list(&mut self) -> Result<Node, Reason> {
        let mut items = Vec::new();
        self.take('[');
        if self.take(']') {
            return Ok(Node::List(items));
        }
        loop {
            items.push(self.value()?);
            if self.take(']') {
                return Ok(Node::List(items));
            }
            self.comma("`,` or `]`", ']')?;
        }
    }

    fn object(&mut self) -> Result<Node, Reason> {
        let start = self.rest;
        let mut members: Vec<(String, Node)> = Vec::new();
        self.take('{');
        if self.take('}') {
            return Ok(Node::Map(members));
        }
        loop {
            let key = self.key()?;
            self.member(key, &mut members)?;
            if self.take('}') {
                break;
            }
            self.comma("`,` or `}`", '}')?;
        }
        match repeated(&members) {
            None => Ok(Node::Map(members)),
            Some(place) => {
                // It is read again up to that key, to say where it stands.
                self.rest = start;
                members.clear();
                self.take('{');
                while members.len() < place {
                    let key = self.key()?;
                    self.member(key, &mut members)?;
                    self.take(',');
                }
                Err(Reason::Twice(self.key()?))
            }
        }
    }

    fn key(&mut self) -> Result<String, Reason> {
        self.space();
        if self.rest.starts_with('"') { self.string() } else { self.expected("a key in double quotes") }
    }

    fn member(&mut self, key: String, members: &mut Vec<(String, Node)>) -> Result<(), Reason> {
        if !self.take(':') {
            return self.expected("`:`");
        }
        members.push((key, self.value()?));
        Ok(())
    }

    fn string(&mut self) -> Result<String, Reason> {
        let raw = self.raw_string().ok_or(Reason::End)?;
        let text = decode(raw.as_bytes()).map_err(|_| Reason::String)?.into_owned();
        self.rest = self.rest.get(raw.len()..).unwrap_or_default();
        Ok(text)
    }

    /// The string literal that is next, up to the quote that is not escaped.
    fn raw_string(&self) -> Option<&'t str> {
        let bytes = self.rest.as_bytes();
        let mut end = 1;
        loop {
            end = memchr::memchr2(b'"', b'\\', bytes.get(end..)?)?.checked_add(end)?;
            if bytes.get(end) == Some(&b'"') {
                return self.rest.get(..=end);
            }
            end = end.checked_add(2)?;
        }
    }

    /// A number, kept as it is spelt; the scanner of request bodies says whether it is one.
    fn number(&mut self) -> Result<Node, Reason> {
        let end = self.rest.find(|c: char| !matches!(c, '0'..='9' | '-' | '+' | '.' | 'e' | 'E'));
        let (text, rest) = self.rest.split_at_checked(end.unwrap_or(self.rest.len())).ok_or(Reason::Number)?;
        if !is_number(text.as_bytes()) {
            return Err(Reason::Number);
        }
        self.rest = rest;
        Ok(Node::Number(text.to_owned()))
    }
}

/// The place of the first member whose key stands before it already. Never a comparison of each with all: whoever sends
/// a value that is recorded may have put a hundred thousand keys into it.
fn repeated(members: &[(String, Node)]) -> Option<usize> {
    let keys = in_order(&mut members.iter().map(|(key, _)| key.as_str()));
    let pairs = keys.iter().zip(keys.iter().skip(1));
    pairs.filter(|((key, _), (next, _))| key == next).map(|(_, (_, place))| *place).min()
}

#[cfg(test)]
mod tests {
    use super::*;
    #[cfg(target_family = "wasm")]
    use wasm_bindgen_test::wasm_bindgen_test as test;

    #[test]
    fn keeps_order_and_spelling() {
        let text = r#" {"b":[1.0,-1e-6,12345678901234567890],"a":{"x":null,"y":true,"":"\u00e9\"\\"}} "#;
        let node = parse(text.as_bytes()).unwrap();
        assert_eq!(node.to_json(), r#"{"b":[1.0,-1e-6,12345678901234567890],"a":{"x":null,"y":true,"":"é\"\\"}}"#);
    }

    #[test]
    fn agrees_with_serde_json_on_what_is_json() {
        for text in [
            "",
            " ",
            "{",
            "}",
            "[1,]",
            "[,1]",
            "{\"a\"}",
            "{\"a\":}",
            "{\"a\":1,}",
            "{a:1}",
            "nul",
            "nulll",
            "01",
            "1.",
            "-",
            "1e",
            "1e400",
            "\"",
            "\"\\x\"",
            "\"\\ud800\"",
            "\"\\ud83d\\ude00\"",
            "\"\n\"",
            "[1 2]",
            "1 2",
            "\"a\\",
            "\"\\u12\"",
            "+1",
            "[]]",
            "{\"a\":[{}, []]}",
            "0",
            "-0.5E+3",
            "true",
            "\u{feff}{}",
            "{\"a\":1}x",
        ] {
            let expected = serde_json::from_str::<serde_json::Value>(text).is_ok();
            assert_eq!(parse(text.as_bytes()).is_ok(), expected, "{text:?}");
        }
    }

    #[test]
    fn says_where_it_stopped() {
        for (text, message) in [
            ("{\"a\": 1,\n  b: 2}", "expected a key in double quotes at line 2 column 3"),
            ("{\"a\": 1,\n}", "a comma with nothing behind it at line 1 column 8"),
            ("[1, 2 ,]", "a comma with nothing behind it at line 1 column 7"),
            ("{\"provider\": {\"type\": ", "it ends too early at line 1 column 23"),
            ("{\"a\":1,\"a\":2}", "the key `a` stands twice in one object at line 1 column 11"),
            (
                "{\"x\": {\"b\":[{}], \"a\":1,\"c\":2,\n\"a\":2,\"b\":3}}",
                "the key `a` stands twice in one object at line 2 column 4",
            ),
        ] {
            assert_eq!(parse(text.as_bytes()).unwrap_err().to_string(), message);
        }
        assert_eq!(parse(b"{\"a\":\"\xff\"}").unwrap_err().reason, Reason::Utf8);
        assert_eq!(parse("[".repeat(129).as_bytes()).unwrap_err().reason, Reason::TooDeep);
    }
}
