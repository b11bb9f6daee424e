//! What happens to a request body: members are spliced as they pass, everything else stays as it came.

mod editor;
mod flow;
mod format;
mod request;
mod stream;
mod whole;

pub use flow::Flow;
pub(super) use flow::{flow, relabel};
pub(super) use format::{Format, length};
pub(super) use request::Deployment;
pub(super) use stream::{Chunk, Stream};
pub(super) use whole::whole;

use super::head::Head;
use super::model::Model;
use crate::unpack::Encoding;

/// What a body says of its request, for the record.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub(super) struct Facts {
    /// The model it names, or is given.
    pub model: Option<Model>,
    /// Whether it asks for a stream.
    pub stream: bool,
    /// Whether the client's stream was asked for its usage on our account.
    pub usage_added: bool,
    /// How many messages are the user's.
    pub rounds: u32,
    /// Why it was not looked into, although it may say something of the request: `content_encoding`, `content_type`, or
    /// `body` where that is not what was looked for.
    pub unread: Option<&'static str>,
}

impl Facts {
    /// What is known of a body that its headers keep from being read.
    pub(super) fn of_unread(head: &Head) -> Self {
        let plain = Encoding::of(head.values("content-encoding")) == Encoding::Plain;
        Self { unread: Some(if plain { "content_type" } else { "content_encoding" }), ..Self::default() }
    }
}
