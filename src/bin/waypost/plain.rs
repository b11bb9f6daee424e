//! What is wrong with a YAML document, in words for people who do not know how a YAML parser works.

use serde_saphyr::Error;

/// What the parser says where it stops, by a part of its words, and what that means. The first that fits decides. Its
/// own words are never shown: they name states of a parser and settings of a library.
const MEANINGS: &[(&[&str], &str)] = &[
    (&["tab"], "a tab stands where YAML takes spaces only"),
    (&["unclosed bracket '['", "EOF while parsing a flow sequence"], "a `[` is never closed"),
    (&["unclosed bracket '{'", "EOF while parsing a flow mapping"], "a `{` is never closed"),
    (&["mismatched bracket"], "a bracket is closed by one of another kind"),
    (&["misplaced bracket"], "a closing bracket stands where none is open"),
    (&["unclosed quote", "document indicator"], "a quotation mark is never closed"),
    (&["-quoted scalar", "trailing content"], "something stands behind a closing quotation mark"),
    (
        &["escape", "hexadecimal", "surrogate"],
        "a backslash in double quotes begins nothing that is known; in single quotes it stands for itself",
    ),
    (&["',' or ']'"], "a comma or the closing `]` of a list is missing"),
    (&["',' or '}'"], "a comma or the closing `}` of an object is missing"),
    (&["indented", "indentation"], "a line is indented otherwise than the lines around it"),
    (
        &["':'", "mapping values"],
        "a colon stands where none can: a bracket before it is not closed, a text with a colon has no quotation marks, or \
         the keys of an object are not indented alike",
    ),
    (
        &["expected key", "simple key", "mapping keys", "block mapping"],
        "a line is no `key: value`, or is indented otherwise than the lines around it",
    ),
    (&["'-'", "\"-\"", "block sequence"], "a dash stands where no list can, or without a blank behind it"),
    (&["anchor", "alias"], "a text that begins with `*` or `&` needs quotation marks"),
    (&["tag", "TAG", "handle"], "a text that begins with `!` needs quotation marks"),
    (&["unexpected character"], "a text begins with a character that needs quotation marks around it"),
    (
        &["directive", "document start", "document end"],
        "a line begins with `%`, or something follows the end of a document",
    ),
    (&["BOM"], "a byte order mark stands inside the document"),
    (&["recursion"], "it is nested too deeply"),
    (&["eof", "EOF", "end of plain"], "it ends too early"),
];

/// The error in plain words, with its place. It quotes nothing of the document but a key.
pub(crate) fn words(error: &Error) -> String {
    let error = error.without_snippet();
    let what = match error {
        Error::DuplicateMappingKey { key: Some(key), .. } => format!("the key `{key}` stands twice in one object"),
        Error::DuplicateMappingKey { .. } => "a key stands twice in one object".to_owned(),
        Error::UnknownAnchor { .. } => "a text that begins with `*` needs quotation marks".to_owned(),
        Error::Eof { .. } => "it ends too early".to_owned(),
        Error::NonFiniteFloat { .. } => "a number is not finite".to_owned(),
        Error::Budget { .. } => "it is too large or nested too deeply".to_owned(),
        Error::ExternalMessage { msg, .. } | Error::Message { msg, .. } => MEANINGS
            .iter()
            .find(|(parts, _)| parts.iter().any(|part| msg.contains(part)))
            .map_or_else(|| NO_YAML.to_owned(), |(_, meaning)| (*meaning).to_owned()),
        _ => NO_YAML.to_owned(),
    };
    match error.location() {
        Some(at) if at.line() > 0 => format!("{what} at line {} column {}", at.line(), at.column()),
        Some(_) | None => what,
    }
}

const NO_YAML: &str = "it is no YAML that can be read";

#[cfg(test)]
mod tests {
    use super::*;
    use waypost::json::Node;

    #[test]
    fn mistakes_that_people_make_have_plain_words() {
        for (yaml, expected) in [
            ("a:\n\tb: 1\n", "tab"),
            ("a: [1, 2\n", "a `[` is never closed"),
            ("a: {b: 1\n", "a `{` is never closed"),
            ("a: [1}\n", "bracket is closed by one of another kind"),
            ("a: \"b\n", "quotation mark is never closed"),
            ("a: 'b\n", "quotation mark is never closed"),
            ("a: \"b\" c\n", "behind a closing quotation mark"),
            ("a: \"\\q\"\n", "backslash"),
            ("a: b: c\n", "colon"),
            ("a: 1\n b: 2\n", "colon"),
            ("*: x\n", "`*`"),
            ("a: *b\n", "`*`"),
            ("a: @b\n", "quotation marks"),
            ("a: `b\n", "quotation marks"),
            ("a: 1\na: 2\n", "the key `a` stands twice in one object"),
        ] {
            let error = serde_saphyr::from_multiple::<Node>(yaml).unwrap_err();
            let words = words(&error);
            assert!(words.contains(expected) && words.contains(" at line "), "{yaml:?}: {words}");
        }
    }
}
