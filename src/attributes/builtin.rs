//! Keys that ai-statistics finds by itself, in the dialects of OpenAI and Anthropic.

use super::Rule;
use super::gjson::{element, walk};
use crate::json::Items;

/// A built-in key.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Builtin {
    Question,
    System,
    Answer,
    Reasoning,
    ToolCalls,
    ReasoningTokens,
    CachedTokens,
    InputDetails,
    OutputDetails,
}

/// Where the answer of a stream stands. The first that is there counts, in each event.
const ANSWER_EVENTS: &[&[&str]] = &[&["choices", "0", "delta", "content"], &["delta", "text"]];
const REASONING_EVENTS: &[&[&str]] =
    &[&["choices", "0", "delta", "reasoning_content"], &["choices", "0", "delta", "reasoning"], &["delta", "thinking"]];
const ANSWER: &[&[&str]] = &[&["choices", "0", "message", "content"]];
const REASONING: &[&[&str]] =
    &[&["choices", "0", "message", "reasoning_content"], &["choices", "0", "message", "reasoning"]];
const TOOL_CALLS: &[&[&str]] = &[&["choices", "0", "message", "tool_calls"]];

impl Builtin {
    pub(super) fn of(key: &str) -> Option<Self> {
        Some(match key {
            "question" => Self::Question,
            "system" => Self::System,
            "answer" => Self::Answer,
            "reasoning" => Self::Reasoning,
            "tool_calls" => Self::ToolCalls,
            "reasoning_tokens" => Self::ReasoningTokens,
            "cached_tokens" => Self::CachedTokens,
            "input_token_details" => Self::InputDetails,
            "output_token_details" => Self::OutputDetails,
            _ => return None,
        })
    }

    /// Whether it comes from the request body.
    pub(super) const fn is_of_request(self) -> bool {
        matches!(self, Self::Question | Self::System)
    }

    /// Whether it comes from the usage of the response.
    pub(super) const fn is_of_usage(self) -> bool {
        matches!(self, Self::ReasoningTokens | Self::CachedTokens | Self::InputDetails | Self::OutputDetails)
    }

    /// How the pieces of a stream become one value.
    pub(super) const fn rule(self, configured: Option<Rule>) -> Option<Rule> {
        match self {
            Self::Reasoning => Some(Rule::Append),
            _ => configured,
        }
    }

    /// From the request body.
    pub(super) fn request(self, body: &[u8]) -> Option<&[u8]> {
        match self {
            Self::Question => walk(element(walk(body, &["messages"])?, 0, true)?, &["content"]),
            Self::System => walk(body, &["system"]),
            _ => None,
        }
    }

    /// The members of a body that it looks into: of the request's, or of a response that is no stream.
    pub(super) const fn members(self) -> &'static [&'static str] {
        match self {
            Self::Question => &["messages"],
            Self::System => &["system"],
            Self::Answer | Self::Reasoning | Self::ToolCalls => &["choices", "content"],
            Self::ReasoningTokens | Self::CachedTokens | Self::InputDetails | Self::OutputDetails => &[],
        }
    }

    /// From one event of a stream; tool calls are put together elsewhere.
    pub(super) fn event(self, data: &[u8]) -> Option<&[u8]> {
        match self {
            Self::Answer => first_of(data, ANSWER_EVENTS),
            Self::Reasoning => first_of(data, REASONING_EVENTS),
            _ => None,
        }
    }

    /// From a response that is no stream; Anthropic's tool calls are put together elsewhere.
    pub(super) fn document(self, body: &[u8]) -> Option<&[u8]> {
        match self {
            Self::Answer => first_of(body, ANSWER).or_else(|| first_block(body, "text")),
            Self::Reasoning => first_of(body, REASONING).or_else(|| first_block(body, "thinking")),
            Self::ToolCalls => first_of(body, TOOL_CALLS),
            _ => None,
        }
    }
}

/// The first of these places that holds something.
fn first_of<'a>(json: &'a [u8], places: &[&[&str]]) -> Option<&'a [u8]> {
    places.iter().filter_map(|keys| walk(json, keys)).find(|value| is_something(value))
}

/// Anthropic's content blocks: the text need not be the first one.
fn first_block<'a>(json: &'a [u8], key: &str) -> Option<&'a [u8]> {
    let mut blocks = Items::of(walk(json, &["content"])?)?;
    blocks.find_map(|block| walk(block.value, &[key]).filter(|value| is_something(value)))
}

/// Neither null nor the empty string.
pub(super) fn is_something(raw: &[u8]) -> bool {
    raw != b"null" && raw != b"\"\""
}
