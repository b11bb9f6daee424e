//! Setting one member of a small object.

use super::edit::{Appender, Edit, Members, edit};
use super::error::Error;
use super::keys::Keys;

/// Adds a member to a complete raw object, or replaces its value; every other byte stays. The value is one complete
/// JSON value, which is not checked.
///
/// `None` when `object` is not a valid object, has the key twice or in another case, or exceeds a bound of the scanner.
#[must_use]
pub fn merge_member(object: &str, key: &str, value: &str) -> Option<String> {
    let keys = Keys::new([key]).ok()?.strict(&[]);
    let merged = edit(keys, object.as_bytes(), &mut Merge { key, value, found: false }).ok()?;
    // There always is a splice: the value or the appended member.
    String::from_utf8(merged?).ok()
}

struct Merge<'a> {
    key: &'a str,
    value: &'a str,
    found: bool,
}

impl Members for Merge<'_> {
    type Error = Error;

    fn member(&mut self, _: usize, _: &str) -> Result<Edit, Error> {
        self.found = true;
        Ok(Edit::value(self.value.to_owned()))
    }

    fn end(&mut self, members: &mut Appender) -> Result<(), Error> {
        if !self.found {
            members.push(self.key, self.value);
        }
        Ok(())
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    #[cfg(target_family = "wasm")]
    use wasm_bindgen_test::wasm_bindgen_test as test;

    #[test]
    fn adds_or_replaces_one_member_and_keeps_every_other_byte() {
        for (object, expected) in [
            ("{}", r#"{"include_usage":true}"#),
            ("{ }", r#"{ "include_usage":true}"#),
            (r#"{"include_usage":false}"#, r#"{"include_usage":true}"#),
            (r#"{ "include_usage" : null }"#, r#"{ "include_usage" : true }"#),
            (r#"{"include\u005fusage":0,"x":[1.0, 2]}"#, r#"{"include\u005fusage":true,"x":[1.0, 2]}"#),
            ("{\"x\": 1e-6 ,\"\u{e9}\":\"\\n\"\n}", "{\"x\": 1e-6 ,\"\u{e9}\":\"\\n\"\n,\"include_usage\":true}"),
            (r#"{"x":{"include_usage":false}}"#, r#"{"x":{"include_usage":false},"include_usage":true}"#),
        ] {
            assert_eq!(merge_member(object, "include_usage", "true").as_deref(), Some(expected), "{object}");
        }
        assert_eq!(merge_member("{}", "a\"b", "{}").as_deref(), Some(r#"{"a\"b":{}}"#));
    }

    #[test]
    fn refuses_what_is_not_one_object_with_the_key_at_most_once() {
        for object in
            ["", "null", "[]", "1", "{", "{}}", "{,}", r#"{"a":1,"a":2}"#, r#"{"a":1,"\u0061":2}"#, r#"{"a":1,"A":2}"#]
        {
            assert_eq!(merge_member(object, "a", "1"), None, "{object}");
        }
    }
}
