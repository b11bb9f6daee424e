//! What an operator wants done to the messages of a chat request: commands that drop the conversation before them, and
//! neighbours of the same role that become one message.
//!
//! The list of messages is walked where it stands and written anew, without a tree: a tree of a body that is made of
//! small values takes thirty times its memory. A message that is kept leaves byte for byte as it came; only the white
//! space between messages goes.

use crate::json::{Items, around, decode, skip_space};

/// What is done to the messages of a chat request.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct MessageEdits {
    /// Texts of user messages that drop the conversation before them.
    pub cleanup_commands: Vec<String>,
    /// Whether neighbours of the same role become one message.
    pub merge_consecutive: bool,
}

/// A key that decides about a message stands twice: upstreams would not agree on which of the two counts.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Repeated;

impl MessageEdits {
    /// Whether nothing is done.
    #[must_use]
    pub const fn is_none(&self) -> bool {
        self.cleanup_commands.is_empty() && !self.merge_consecutive
    }

    /// Edits a whole chat body; `None` where it stays as it is. The body is valid JSON, which its scan has shown.
    ///
    /// # Errors
    /// `messages`, or the role or content of a message, stands twice.
    pub fn apply(&self, body: &[u8]) -> Result<Option<Vec<u8>>, Repeated> {
        let Some(list) = member(skip_space(body), "messages")? else { return Ok(None) };
        let Some(items) = Items::of(list).filter(|items| !items.is_object()) else { return Ok(None) };
        let mut command = None;
        for (index, item) in items.clone().enumerate() {
            if self.is_command(&Message::read(item.value)?)? {
                command = Some(index);
            }
        }
        let mut kept = items.enumerate().filter_map(|(index, item)| {
            let message = Message::read(item.value).ok()?;
            let keeps = command.is_none_or(|command| index > command) || message.role == Role::System;
            keeps.then_some(message)
        });
        let Some((before, after)) = around(body, list) else { return Ok(None) };
        let mut out = Vec::with_capacity(body.len());
        out.extend_from_slice(before);
        let mut changed = command.is_some();
        let mut separator = b'[';
        while let Some(first) = kept.next() {
            out.push(separator);
            separator = b',';
            let joined = kept.clone().take_while(|next| self.merge_consecutive && first.is_joined_by(next)).count();
            if joined == 0 {
                out.extend_from_slice(first.raw);
            } else {
                changed = true;
                let run = core::iter::once(first).chain(kept.clone().take(joined));
                first.write_joined(run.filter_map(|message| message.content), &mut out);
                kept.by_ref().take(joined).for_each(drop);
            }
        }
        out.extend_from_slice(if separator == b'[' { b"[]" } else { b"]" });
        out.extend_from_slice(after);
        Ok(changed.then_some(out))
    }

    /// Whether a message is the user's and has nothing but the text of a command.
    fn is_command(&self, message: &Message<'_>) -> Result<bool, Repeated> {
        if message.role != Role::User || self.cleanup_commands.is_empty() {
            return Ok(false);
        }
        let Some(mut text) = message.content else { return Ok(false) };
        if let Some(mut parts) = Items::of(text) {
            let (Some(part), None) = (parts.next(), parts.next()) else { return Ok(false) };
            text = member(part.value, "text")?.unwrap_or_default();
        }
        Ok(decode(text).is_ok_and(|text| self.cleanup_commands.iter().any(|command| *command == text)))
    }
}

/// Whose message it is, as far as that matters.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum Role {
    User,
    Assistant,
    /// `system` or `developer`.
    System,
    Other,
}

/// One message.
#[derive(Clone, Copy, Debug)]
struct Message<'b> {
    raw: &'b [u8],
    role: Role,
    content: Option<&'b [u8]>,
    /// Whether it has nothing but role and content.
    plain: bool,
}

impl<'b> Message<'b> {
    fn read(raw: &'b [u8]) -> Result<Self, Repeated> {
        let mut message = Self { raw, role: Role::Other, content: None, plain: true };
        let mut role = None;
        for item in Items::of(raw).filter(Items::is_object).into_iter().flatten() {
            let slot = match decode(item.key).as_deref() {
                Ok("role") => &mut role,
                Ok("content") => &mut message.content,
                _ => {
                    message.plain = false;
                    continue;
                }
            };
            if slot.replace(item.value).is_some() {
                return Err(Repeated);
            }
        }
        message.role = match role.map(decode).and_then(Result::ok).as_deref() {
            Some("user") => Role::User,
            Some("assistant") => Role::Assistant,
            Some("system" | "developer") => Role::System,
            _ => Role::Other,
        };
        Ok(message)
    }

    /// Whether two neighbours become one message: both are the user's or the assistant's, and have a content that can be
    /// joined and nothing else.
    fn is_joined_by(&self, next: &Self) -> bool {
        let joins = |message: &Self| message.plain && matches!(message.content, Some([b'"' | b'[', ..]));
        matches!(self.role, Role::User | Role::Assistant) && self.role == next.role && joins(self) && joins(next)
    }

    /// Writes this message with all these contents, its own among them: texts with an empty line between them, or a
    /// list of parts where one of them is a list.
    fn write_joined<'c>(&self, contents: impl Iterator<Item = &'c [u8]> + Clone, out: &mut Vec<u8>) {
        let Some((before, after)) = self.content.and_then(|own| around(self.raw, own)) else { return };
        out.extend_from_slice(before);
        let is_text = |content: &&[u8]| content.starts_with(b"\"");
        let texts = contents.clone().take_while(is_text);
        let others = contents.clone().skip_while(is_text);
        if others.clone().next().is_none() {
            write_texts(texts, out);
        } else {
            let mut separator = b'[';
            // Empty lists leave nothing between two commas.
            let lists = others.map(|content| if is_text(&content) { content } else { inside(content) });
            if texts.clone().next().is_some() {
                write_part(texts, &mut separator, out);
            }
            for parts in lists.filter(|parts| !parts.is_empty()) {
                if is_text(&parts) {
                    write_part(core::iter::once(parts), &mut separator, out);
                } else {
                    out.push(core::mem::replace(&mut separator, b','));
                    out.extend_from_slice(parts);
                }
            }
            out.extend_from_slice(if separator == b'[' { b"[]" } else { b"]" });
        }
        out.extend_from_slice(after);
    }
}

/// Writes texts as one part of a list.
fn write_part<'c>(texts: impl Iterator<Item = &'c [u8]>, separator: &mut u8, out: &mut Vec<u8>) {
    out.push(core::mem::replace(separator, b','));
    out.extend_from_slice(br#"{"type":"text","text":"#);
    write_texts(texts, out);
    out.push(b'}');
}

/// Writes string literals as one, with an empty line between them.
fn write_texts<'c>(texts: impl Iterator<Item = &'c [u8]>, out: &mut Vec<u8>) {
    out.push(b'"');
    for (index, text) in texts.enumerate() {
        if index > 0 {
            out.extend_from_slice(br"\n\n");
        }
        out.extend_from_slice(inside(text));
    }
    out.push(b'"');
}

/// What stands between quotes or brackets, without the white space around it.
fn inside(raw: &[u8]) -> &[u8] {
    let inside = raw.get(1..raw.len().saturating_sub(1)).unwrap_or_default();
    if raw.starts_with(b"[") { inside.trim_ascii() } else { inside }
}

/// The member of that name, which stands at most once.
fn member<'b>(object: &'b [u8], name: &str) -> Result<Option<&'b [u8]>, Repeated> {
    let mut found = None;
    for item in Items::of(object).filter(Items::is_object).into_iter().flatten() {
        if decode(item.key).is_ok_and(|key| key == name) && found.replace(item.value).is_some() {
            return Err(Repeated);
        }
    }
    Ok(found)
}

#[cfg(test)]
mod tests {
    use super::*;
    #[cfg(target_family = "wasm")]
    use wasm_bindgen_test::wasm_bindgen_test as test;

    const BEFORE: &str = "{ \"model\" : \"m\", \"messages\" : ";
    const AFTER: &str = " , \"temperature\":1.0}\n";

    /// The new list of messages; what is around it must not change.
    fn edited(edits: &MessageEdits, messages: &str) -> Result<Option<String>, Repeated> {
        let body = format!("{BEFORE}{messages}{AFTER}");
        let Some(body) = edits.apply(body.as_bytes())? else { return Ok(None) };
        let body = String::from_utf8(body).unwrap();
        Ok(Some(body.strip_prefix(BEFORE).unwrap().strip_suffix(AFTER).unwrap().to_owned()))
    }

    #[test]
    fn a_command_drops_the_conversation_before_it_and_keeps_system_messages() {
        let edits = MessageEdits { cleanup_commands: vec!["/new".into()], merge_consecutive: false };
        let messages = r#"[{"role":"system","content":"s"},{"role":"user","content":"a"},{"role":"assistant","content":"b"},
            {"role":"user","content":"/new"} , {"role": "user","content":"c", "n": 1e3}]"#;
        let expected = r#"[{"role":"system","content":"s"},{"role": "user","content":"c", "n": 1e3}]"#;
        assert_eq!(edited(&edits, messages), Ok(Some(expected.to_owned())));
        for (messages, expected) in [
            (r#"[{"role":"user","content":[{"type":"text","text":"\/new"}]}]"#, Some("[]")),
            (r#"[{"role":"user","content":[{"type":"text","text":"/new"},{}]}]"#, None),
            (r#"[{"role":"assistant","content":"/new"}]"#, None),
            ("null", None),
            ("[ ]", None),
            (r#"{"role":"user","content":"/new"}"#, None),
        ] {
            assert_eq!(edited(&edits, messages), Ok(expected.map(str::to_owned)), "{messages}");
        }
        assert_eq!(edits.apply(b"{}"), Ok(None));
    }

    #[test]
    fn neighbours_of_one_role_are_joined_unless_they_hold_more_than_content() {
        let edits = MessageEdits { cleanup_commands: Vec::new(), merge_consecutive: true };
        let messages = r#"[{"role":"user","content":"a"},{"role":"user","content":"b\""},{"role":"user","content":[ {"type":"image_url"} ]},{"role":"user","content":[]},
            {"role":"user","content":"z"},{"content" : "c","role":"assistant"},{"role":"assistant","content":null,"tool_calls":[]},{"role":"tool","content":"x"},{"role":"tool","content":"y"}]"#;
        let expected = r#"[{"role":"user","content":[{"type":"text","text":"a\n\nb\""},{"type":"image_url"},{"type":"text","text":"z"}]},{"content" : "c","role":"assistant"},{"role":"assistant","content":null,"tool_calls":[]},{"role":"tool","content":"x"},{"role":"tool","content":"y"}]"#;
        assert_eq!(edited(&edits, messages), Ok(Some(expected.to_owned())));
        for (messages, expected) in [
            (r#"[{"role":"user","content":"a"},{"role":"assistant","content":"b"}]"#, None),
            (
                r#"[{"content" : "a","role":"\u0075ser"},{"role":"user","content":"\u00e9"},{"role":"user","content":"c"}]"#,
                Some(r#"[{"content" : "a\n\n\u00e9\n\nc","role":"\u0075ser"}]"#),
            ),
            (
                r#"[{"role":"user","content":[]},{"role":"user","content":[]}]"#,
                Some(r#"[{"role":"user","content":[]}]"#),
            ),
            (r#"[{"role":"user","content":"a"},{"role":"user"},{"role":"user","content":1},3,[],"x"]"#, None),
        ] {
            assert_eq!(edited(&edits, messages), Ok(expected.map(str::to_owned)), "{messages}");
        }
    }

    #[test]
    fn what_decides_about_a_message_stands_once() {
        let edits = MessageEdits { cleanup_commands: vec!["/new".into()], merge_consecutive: true };
        for messages in [
            r#"[{"role":"user","role":"assistant","content":"a"}]"#,
            r#"[{"role":"user","content":"a","cont\u0065nt":"/new"}]"#,
            r#"[{"role":"user","content":[{"text":"a","text":"/new"}]}]"#,
            r#"[],"messages":[]"#,
        ] {
            assert_eq!(edited(&edits, messages), Err(Repeated), "{messages}");
        }
        // What decides nothing is the upstream's to judge.
        assert_eq!(edited(&edits, r#"[{"role":"user","content":"a","name":1,"name":2}]"#), Ok(None));
    }
}
