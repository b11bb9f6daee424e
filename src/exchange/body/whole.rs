//! A request body that is read and edited as a whole.

use super::Facts;
use super::flow::{edits_messages, is_edited};
use super::format::Format;
use super::request::Request;
use crate::config::Provider;
use crate::error::Error;
use crate::exchange::head::Head;
use crate::json::{self, Output};
use crate::messages::Repeated;
use crate::multipart;
use crate::operation::Operation;
use std::rc::Rc;

/// A whole body, after its members were looked at.
#[derive(Debug, Default)]
pub(in crate::exchange) struct Whole {
    /// What it says.
    pub facts: Facts,
    /// The new body; `None` where it stays.
    pub changed: Option<Vec<u8>>,
}

/// Reads and edits a whole body; `head` tells whether it is to be edited at all.
pub(in crate::exchange) fn whole(
    provider: &Rc<Provider>,
    operation: Operation,
    head: &Head,
    body: &[u8],
    asks: bool,
) -> Result<Whole, Error> {
    if body.is_empty() {
        return Ok(Whole::default());
    }
    let mut request = Request::new(provider, operation, asks);
    let format = Format::of(operation, head);
    if let Format::Multipart(boundary) = &format {
        let mut editor = multipart::Editor::new(boundary);
        let output = editor.feed(body, &mut request)?;
        editor.finish()?;
        let changed = match output {
            Output::Bytes(bytes) if is_edited(provider, operation, &format, asks) => Some(bytes),
            Output::Bytes(_) | Output::Unchanged => None,
        };
        return Ok(Whole { facts: request.facts(), changed });
    }
    if operation.generates() && provider.body.needs_model_first() {
        let mut first = Request::new(provider, operation, asks);
        json::splices(first.keys().clone(), body, &mut first)?;
        request.first = first.model.map(|model| model.upstream);
    }
    let mut changed = json::edit(request.keys().clone(), body, &mut request)?;
    if edits_messages(provider, operation) {
        let edited = provider.body.messages.apply(changed.as_deref().unwrap_or(body));
        let edited = edited.map_err(|Repeated| Error::InvalidBody("names a member of a message twice"))?;
        changed = edited.or(changed);
    }
    let changed = changed.filter(|_| is_edited(provider, operation, &format, asks));
    Ok(Whole { facts: request.facts(), changed })
}
