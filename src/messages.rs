//! Edits to the list of messages that need all of it: Higress's `contextCleanupCommands` and `mergeConsecutiveMessages`.
//!
//! Only bodies of providers that configure one of them are read as a tree and written again. Order of keys and spelling
//! of numbers stay; white space does not.

use crate::json::Node;

/// What is done to the messages of a chat request.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct MessageEdits {
    /// Texts of user messages that drop the conversation before them.
    pub cleanup_commands: Vec<String>,
    /// Whether neighbours of the same role become one message.
    pub merge_consecutive: bool,
}

impl MessageEdits {
    /// Whether nothing is done.
    #[must_use]
    pub const fn is_none(&self) -> bool {
        self.cleanup_commands.is_empty() && !self.merge_consecutive
    }

    /// Edits a whole chat body; `None` where it stays as it is.
    #[must_use]
    pub fn apply(&self, mut body: Node) -> Option<Node> {
        let Node::Map(members) = &mut body else { return None };
        let messages = members.iter_mut().find(|(key, _)| key == "messages").map(|(_, value)| value);
        let Some(Node::List(messages)) = messages else { return None };
        let cleaned = self.clean(messages);
        let merged = self.merge_consecutive && merge(messages);
        (cleaned || merged).then_some(body)
    }

    /// Drops the last user message that is a command, and everything before it but system messages.
    fn clean(&self, messages: &mut Vec<Node>) -> bool {
        let is_command = |message: &Node| {
            role(message) == Some("user")
                && text(message).is_some_and(|text| self.cleanup_commands.iter().any(|command| command == text))
        };
        let Some(last) = messages.iter().rposition(is_command) else { return false };
        let mut index = 0_usize;
        messages.retain(|message| {
            let keep = index > last || matches!(role(message), Some("system" | "developer"));
            index = index.saturating_add(1);
            keep
        });
        true
    }
}

fn role(message: &Node) -> Option<&str> {
    match message.get("role") {
        Some(Node::Text(role)) => Some(role),
        _ => None,
    }
}

/// The text of a message that is nothing else.
fn text(message: &Node) -> Option<&str> {
    match message.get("content") {
        Some(Node::Text(text)) => Some(text),
        Some(Node::List(parts)) => match parts.as_slice() {
            [part] => match part.get("text") {
                Some(Node::Text(text)) => Some(text),
                _ => None,
            },
            _ => None,
        },
        _ => None,
    }
}

/// Joins neighbours of the roles user and assistant that have nothing but content.
fn merge(messages: &mut Vec<Node>) -> bool {
    let before = messages.len();
    let mut merged: Vec<Node> = Vec::with_capacity(before);
    for message in messages.drain(..) {
        match merged.last_mut() {
            Some(last) if mergeable(last, &message) => join(last, message),
            _ => merged.push(message),
        }
    }
    *messages = merged;
    messages.len() != before
}

fn mergeable(last: &Node, next: &Node) -> bool {
    let plain = |message: &Node| message.members().iter().all(|(key, _)| key == "role" || key == "content");
    let content = |message: &Node| matches!(message.get("content"), Some(Node::Text(_) | Node::List(_)));
    matches!(role(last), Some("user" | "assistant"))
        && role(last) == role(next)
        && plain(last)
        && plain(next)
        && content(last)
        && content(next)
}

fn join(last: &mut Node, next: Node) {
    let (Node::Map(last), Node::Map(next)) = (last, next) else { return };
    let added = next.into_iter().find(|(key, _)| key == "content").map(|(_, value)| value);
    let content = last.iter_mut().find(|(key, _)| key == "content").map(|(_, value)| value);
    let (Some(content), Some(added)) = (content, added) else { return };
    *content = match (core::mem::replace(content, Node::Null), added) {
        (Node::Text(first), Node::Text(second)) => Node::Text(format!("{first}\n\n{second}")),
        (first, second) => {
            let mut list = parts(first);
            list.extend(parts(second));
            Node::List(list)
        }
    };
}

/// Content as a list of parts.
fn parts(content: Node) -> Vec<Node> {
    match content {
        Node::List(parts) => parts,
        text => vec![Node::Map(vec![("type".to_owned(), Node::Text("text".to_owned())), ("text".to_owned(), text)])],
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::json::parse;
    #[cfg(target_family = "wasm")]
    use wasm_bindgen_test::wasm_bindgen_test as test;

    fn edited(edits: &MessageEdits, messages: &str) -> Option<String> {
        let body = format!(r#"{{"model":"m","messages":{messages},"temperature":1.0}}"#);
        let node = edits.apply(parse(body.as_bytes()).unwrap())?;
        Some(node.get("messages").unwrap().to_json())
    }

    #[test]
    fn a_command_drops_the_conversation_before_it_and_keeps_system_messages() {
        let edits = MessageEdits { cleanup_commands: vec!["/new".into()], merge_consecutive: false };
        let messages = r#"[{"role":"system","content":"s"},{"role":"user","content":"a"},{"role":"assistant","content":"b"},
            {"role":"user","content":"/new"},{"role":"user","content":"c"}]"#;
        let expected = r#"[{"role":"system","content":"s"},{"role":"user","content":"c"}]"#;
        assert_eq!(edited(&edits, messages).as_deref(), Some(expected));
        assert_eq!(
            edited(&edits, r#"[{"role":"user","content":[{"type":"text","text":"/new"}]}]"#).as_deref(),
            Some("[]")
        );
        assert_eq!(edited(&edits, r#"[{"role":"assistant","content":"/new"}]"#), None);
        assert_eq!(edited(&edits, "null"), None);
    }

    #[test]
    fn neighbours_of_one_role_are_joined_unless_they_hold_more_than_content() {
        let edits = MessageEdits { cleanup_commands: Vec::new(), merge_consecutive: true };
        let messages = r#"[{"role":"user","content":"a"},{"role":"user","content":"b"},{"role":"user","content":[{"type":"image_url"}]},
            {"role":"assistant","content":"c"},{"role":"assistant","content":null,"tool_calls":[]},{"role":"tool","content":"x"},{"role":"tool","content":"y"}]"#;
        let expected = r#"[{"role":"user","content":[{"type":"text","text":"a\n\nb"},{"type":"image_url"}]},{"role":"assistant","content":"c"},{"role":"assistant","content":null,"tool_calls":[]},{"role":"tool","content":"x"},{"role":"tool","content":"y"}]"#;
        assert_eq!(edited(&edits, messages).as_deref(), Some(expected));
        assert_eq!(edited(&edits, r#"[{"role":"user","content":"a"},{"role":"assistant","content":"b"}]"#), None);
    }
}
