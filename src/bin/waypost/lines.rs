//! On which line of a file a part of a document stands.

use serde::de::{Deserialize, Deserializer, Error, MapAccess, SeqAccess, Visitor};
use serde_saphyr::Spanned;
use std::fmt;
use waypost::json::literal;

/// The line of a value in a file, and of every value inside it.
#[derive(Debug)]
pub(crate) struct Lines {
    /// Counted from 1; that of the key where there is one.
    line: usize,
    children: Vec<(Step, Self)>,
}

/// How one gets from a value to one inside it.
#[derive(Debug)]
enum Step {
    Key(String),
    Index(usize),
}

impl Lines {
    /// The lines of each document of a text, in YAML or JSON, which is YAML too. None where it cannot be read.
    pub(crate) fn of(text: &str) -> Vec<Self> {
        let documents = serde_saphyr::from_multiple::<Spanned<Tree>>(text).unwrap_or_default();
        documents.into_iter().map(|document| Self::new(line(&document), document.value)).collect()
    }

    fn new(line_of_it: usize, tree: Tree) -> Self {
        let children = match tree {
            Tree::Leaf => Vec::new(),
            Tree::List(items) => {
                (0..).zip(items).map(|(index, item)| (Step::Index(index), Self::new(line(&item), item.value))).collect()
            }
            Tree::Map(members) => members
                .into_iter()
                .map(|(key, value)| (line(&key), key.value, value.value))
                .map(|(line, key, value)| (Step::Key(key), Self::new(line, value)))
                .collect(),
        };
        Self { line: line_of_it, children }
    }

    /// The line of what stands at a path such as `spec.matchRules[1].config`, or of the last part of the path that is
    /// there: what is missing has no line.
    pub(crate) fn of_path(&self, path: &str) -> usize {
        let (mut at, mut rest) = (self, path);
        while let Some((child, after)) = at.step(rest) {
            (at, rest) = (child, after);
        }
        at.line
    }

    fn step<'p>(&self, path: &'p str) -> Option<(&Self, &'p str)> {
        let fits = |(step, child): &'_ (Step, Self)| -> Option<(usize, &'p str)> {
            let _ = child;
            let after = match step {
                Step::Index(index) => path.strip_prefix(&format!("[{index}]"))?,
                Step::Key(key) => path
                    .strip_prefix(&format!("[{}]", literal(key)))
                    .or_else(|| path.strip_prefix('.').unwrap_or(path).strip_prefix(key.as_str()))?,
            };
            (after.is_empty() || after.starts_with(['.', '['])).then_some((after.len(), after))
        };
        // Keys may hold dots: the longest that fits is meant.
        let best = self.children.iter().filter_map(|child| Some((fits(child)?, &child.1)));
        best.min_by_key(|((left, _), _)| *left).map(|((_, after), child)| (child, after))
    }
}

fn line<T>(spanned: &Spanned<T>) -> usize {
    usize::try_from(spanned.referenced.line()).unwrap_or_default()
}

/// The form of a document, without its values.
enum Tree {
    Leaf,
    List(Vec<Spanned<Self>>),
    Map(Vec<(Spanned<String>, Spanned<Self>)>),
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
        f.write_str("a value")
    }

    fn visit_unit<E: Error>(self) -> Result<Tree, E> {
        Ok(Tree::Leaf)
    }

    fn visit_none<E: Error>(self) -> Result<Tree, E> {
        Ok(Tree::Leaf)
    }

    fn visit_bool<E: Error>(self, _: bool) -> Result<Tree, E> {
        Ok(Tree::Leaf)
    }

    fn visit_i64<E: Error>(self, _: i64) -> Result<Tree, E> {
        Ok(Tree::Leaf)
    }

    fn visit_u64<E: Error>(self, _: u64) -> Result<Tree, E> {
        Ok(Tree::Leaf)
    }

    fn visit_f64<E: Error>(self, _: f64) -> Result<Tree, E> {
        Ok(Tree::Leaf)
    }

    fn visit_str<E: Error>(self, _: &str) -> Result<Tree, E> {
        Ok(Tree::Leaf)
    }

    fn visit_seq<A: SeqAccess<'de>>(self, mut items: A) -> Result<Tree, A::Error> {
        let mut list = Vec::new();
        while let Some(item) = items.next_element()? {
            list.push(item);
        }
        Ok(Tree::List(list))
    }

    fn visit_map<A: MapAccess<'de>>(self, mut members: A) -> Result<Tree, A::Error> {
        let mut map = Vec::new();
        while let Some(member) = members.next_entry()? {
            map.push(member);
        }
        Ok(Tree::Map(map))
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_path_leads_to_its_line_or_to_the_last_part_that_is_there() {
        let yaml = "# comment\na:\n  - b: 1\n    c.d: 2\n  - e: |\n      text\n    f: [x,\n      y]\n---\nz: 1\n";
        let lines = Lines::of(yaml);
        for (path, line) in [
            ("$", 2),
            ("a", 2),
            ("a[0]", 3),
            ("a[0].b", 3),
            ("a[0].c.d", 4),
            (r#"a[0]["c.d"]"#, 4),
            ("a[0].missing.deeper", 3),
            ("a[1].e", 5),
            ("a[1].f[1]", 8),
            ("a[7]", 2),
        ] {
            assert_eq!(lines[0].of_path(path), line, "{path}");
        }
        assert_eq!(lines[1].of_path("z"), 10);
        let json = Lines::of("{\n\t\"a\": {\n\t\t\"b\": [1,\n 2]}}");
        assert_eq!((json[0].of_path("a.b"), json[0].of_path("a.b[1]")), (3, 4));
    }
}
