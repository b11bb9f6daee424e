//! What happens to a request body: members are spliced as they pass, everything else stays as it came.

mod flow;
mod format;
mod request;
mod stream;
mod whole;

pub use flow::Flow;
pub(super) use flow::flow;
pub(super) use format::{Format, length};
pub(super) use stream::{Chunk, Stream};
pub(super) use whole::whole;

use super::model::Model;

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
}
