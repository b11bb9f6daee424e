//! A request body that is read and edited as a whole.

use super::Facts;
use super::editor::no_json;
use super::flow::{edits_messages, is_edited};
use super::format::Format;
use super::request::{Deployment, Request};
use crate::config::Provider;
use crate::error::Error;
use crate::exchange::head::Head;
use crate::json::{self, Output};
use crate::messages::Repeated;
use crate::multipart;
use crate::operation::Operation;
use crate::unpack::{Coding, Unpacker};
use std::borrow::Cow;
use std::rc::Rc;

/// A whole body, after its members were looked at.
#[derive(Debug)]
pub(in crate::exchange) struct Whole {
    /// What it says, as far as it could be read: the record of a request that is refused names its model, too.
    pub facts: Facts,
    /// The new body, `None` where it stays; or why it cannot go on.
    pub changed: Result<Option<Vec<u8>>, Error>,
}

/// Reads and edits a whole body; `head` tells how.
pub(in crate::exchange) fn whole(
    provider: &Rc<Provider>,
    operation: Operation,
    head: &Head,
    body: &[u8],
    asks: bool,
    deployment: Deployment,
) -> Whole {
    let mut request = Request::new(provider, operation, asks, deployment.clone());
    let changed =
        if body.is_empty() { Ok(None) } else { read(provider, operation, head, body, asks, deployment, &mut request) };
    Whole { facts: request.facts(), changed }
}

/// Unpacks and edits a body that is not empty; gives the new one, if it changes.
fn read(
    provider: &Rc<Provider>,
    operation: Operation,
    head: &Head,
    body: &[u8],
    asks: bool,
    deployment: Deployment,
    request: &mut Request,
) -> Result<Option<Vec<u8>>, Error> {
    let dropped = deployment.dropped;
    let format = Format::of(operation, head)?;
    let body = match format.coding {
        Some(coding) => Cow::Owned(unpacked(coding, body, provider)?),
        None => Cow::Borrowed(body),
    };
    let changed = match &format.boundary {
        Some(boundary) => {
            let mut editor = multipart::Editor::new(boundary);
            let output = editor.feed(&body, request)?;
            editor.finish()?;
            match output {
                Output::Bytes(bytes) => Some(bytes),
                Output::Unchanged => None,
            }
        }
        None => edit(provider, operation, &body, asks, deployment, request)
            .map_err(|error| no_json(format.named, error, check(&body)))?,
    };
    let unpacked = match body {
        Cow::Owned(unpacked) => Some(unpacked),
        Cow::Borrowed(_) => None,
    };
    Ok(changed.or(unpacked).filter(|_| dropped || is_edited(provider, operation, asks)))
}

/// The new JSON body, if it changes.
fn edit(
    provider: &Rc<Provider>,
    operation: Operation,
    body: &[u8],
    asks: bool,
    deployment: Deployment,
    request: &mut Request,
) -> Result<Option<Vec<u8>>, Error> {
    if operation.generates() && provider.body.needs_model_first() {
        let mut first = Request::new(provider, operation, asks, deployment);
        let read = json::splices(first.keys().clone(), body, &mut first);
        request.first = first.model.as_ref().map(|model| model.upstream.clone());
        if let Err(error) = read {
            request.model = first.model;
            return Err(error);
        }
    }
    let mut changed = json::edit(request.keys().clone(), body, request)?;
    if edits_messages(provider, operation) {
        let edited = provider.body.messages.apply(changed.as_deref().unwrap_or(body));
        let edited = edited.map_err(|Repeated| Error::InvalidBody("names a member of a message twice"))?;
        changed = edited.or(changed);
    }
    Ok(changed)
}

/// Whether a body is a JSON object at all.
fn check(body: &[u8]) -> Result<(), json::Error> {
    let mut scanner = json::Scanner::new(json::Keys::default());
    let mut rest = body;
    while scanner.scan(&mut rest)?.is_some() {}
    scanner.finish()
}

/// Unpacks a whole body.
fn unpacked(coding: Coding, mut body: &[u8], provider: &Provider) -> Result<Vec<u8>, Error> {
    let mut unpacker = Unpacker::new(coding, provider.body.max_unpacked_bytes);
    let mut out = Vec::new();
    unpacker.feed(&mut body, usize::MAX, &mut |bytes| out.extend_from_slice(bytes))?;
    unpacker.finish()?;
    Ok(out)
}
