//! Tool calls: put together from the pieces of a stream, and written in one shape for both dialects.

use std::borrow::Cow;

use super::builtin::is_something;
use super::capture::text as any_text;
use super::clip::first;
use super::gjson::walk;
use crate::json::{Items, decode, write_literal};

/// How many tool calls of one response are kept.
pub const MAX_CALLS: usize = 128;

/// The longest id, type or function name of a tool call that is kept, in bytes.
pub const MAX_CALL_NAME: usize = 256;

/// The tool calls of one response, by index.
#[derive(Clone, Debug, Default)]
pub(super) struct Calls {
    list: Vec<Call>,
    /// Bytes of all arguments together.
    size: usize,
}

#[derive(Clone, Debug, Default)]
struct Call {
    index: u64,
    id: String,
    kind: String,
    name: String,
    arguments: String,
}

impl Calls {
    /// Takes what one event of a stream holds. Of all arguments together `limit` bytes are kept: then the text of all
    /// calls is longer than the limit, and is cut again.
    pub(super) fn event(&mut self, data: &[u8], limit: usize) {
        if let Some(deltas) = walk(data, &["choices", "0", "delta", "tool_calls"]).and_then(Items::of) {
            for delta in deltas {
                let Some(call) = self.call(index(delta.value), true) else { continue };
                set(&mut call.id, text(delta.value, &["id"]));
                set(&mut call.kind, text(delta.value, &["type"]));
                set(&mut call.name, text(delta.value, &["function", "name"]));
                let index = call.index;
                self.extend(index, text(delta.value, &["function", "arguments"]), limit);
            }
            return;
        }
        match text(data, &["type"]).as_deref() {
            Some("content_block_start") => {
                if let Some(block) = walk(data, &["content_block"]) {
                    self.block(index(data), block, limit);
                }
            }
            Some("content_block_delta") => self.extend(index(data), text(data, &["delta", "partial_json"]), limit),
            _ => {}
        }
    }

    /// Takes a whole response in Anthropic's dialect.
    pub(super) fn document(&mut self, body: &[u8], limit: usize) {
        let Some(blocks) = walk(body, &["content"]).and_then(Items::of) else { return };
        for (index, block) in (0..).zip(blocks) {
            self.block(index, block.value, limit);
        }
    }

    /// Takes a content block, if it is a tool call. A stream starts each with the input `{}`, which is no argument.
    fn block(&mut self, index: u64, block: &[u8], limit: usize) {
        let kind = text(block, &["type"]);
        if kind.as_deref() != Some("tool_use") {
            return;
        }
        let Some(call) = self.call(index, true) else { return };
        set(&mut call.kind, kind);
        set(&mut call.id, text(block, &["id"]));
        set(&mut call.name, text(block, &["name"]));
        let input = walk(block, &["input"]).filter(|input| *input != b"{}" && is_something(input));
        self.extend(index, input.and_then(any_text).map(Cow::into_owned), limit);
    }

    /// The call of this index. A new one only while there is room.
    fn call(&mut self, index: u64, create: bool) -> Option<&mut Call> {
        let place = self.list.binary_search_by_key(&index, |call| call.index);
        let at = match place {
            Ok(at) => at,
            Err(at) if create && self.list.len() < MAX_CALLS => {
                self.list.insert(at, Call { index, ..Call::default() });
                at
            }
            Err(_) => return None,
        };
        self.list.get_mut(at)
    }

    /// Appends arguments to a call that has begun.
    fn extend(&mut self, index: u64, arguments: Option<String>, limit: usize) {
        let Some(arguments) = arguments else { return };
        let room = limit.saturating_sub(self.size);
        let Some(call) = self.call(index, false) else { return };
        let before = call.arguments.len();
        call.arguments.push_str(first(&arguments, room));
        let added = call.arguments.len().saturating_sub(before);
        // What did not fit ends it, even if something shorter would.
        self.size = if added < arguments.len() { limit } else { self.size.saturating_add(added) };
    }

    /// How many bytes are held, nearly.
    pub(super) const fn held(&self) -> usize {
        /// The most that is held of a call beside its arguments, in bytes.
        const CALL: usize = 3 * MAX_CALL_NAME + size_of::<Call>();
        // Arguments grow to at most twice what they are.
        self.size.saturating_mul(2).saturating_add(self.list.len().saturating_mul(CALL))
    }

    /// The calls as a JSON array, empty fields left out as ai-statistics leaves them out; `None` where there are none.
    pub(super) fn to_json(&self) -> Option<String> {
        if self.list.is_empty() {
            return None;
        }
        let mut out = String::from("[");
        for call in &self.list {
            if out.len() > 1 {
                out.push(',');
            }
            out.push('{');
            if call.index > 0 {
                out.push_str("\"index\":");
                out.push_str(&call.index.to_string());
            }
            member(&mut out, "id", &call.id);
            member(&mut out, "type", &call.kind);
            separate(&mut out);
            out.push_str("\"function\":{");
            member(&mut out, "name", &call.name);
            let none = call.arguments.is_empty() && call.kind == "tool_use";
            member(&mut out, "arguments", if none { "{}" } else { &call.arguments });
            out.push_str("}}");
        }
        out.push(']');
        Some(out)
    }
}

fn member(out: &mut String, key: &str, value: &str) {
    if !value.is_empty() {
        separate(out);
        write_literal(out, key);
        out.push(':');
        write_literal(out, value);
    }
}

fn separate(out: &mut String) {
    if !out.ends_with('{') {
        out.push(',');
    }
}

fn set(field: &mut String, value: Option<String>) {
    if let Some(value) = value.filter(|value| !value.is_empty()) {
        first(&value, MAX_CALL_NAME).clone_into(field);
    }
}

/// A string at this place.
fn text(json: &[u8], keys: &[&str]) -> Option<String> {
    decode(walk(json, keys)?).ok().map(Cow::into_owned)
}

/// The index of a delta or an event; 0 where it has none.
fn index(json: &[u8]) -> u64 {
    let digits = walk(json, &["index"]).and_then(|raw| core::str::from_utf8(raw).ok());
    digits.and_then(|digits| digits.parse().ok()).unwrap_or_default()
}
