//! Which way a request body goes, as far as the headers tell.

use super::format::{Format, length};
use crate::config::Provider;
use crate::error::Error;
use crate::exchange::head::{Edits, Head};
use crate::operation::{BodyKind, ClientPath, Operation};

/// How a request body goes through.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Flow {
    /// As it came, unread.
    Pass,
    /// As it came, although it may hold what is recorded, or a rule was meant for it: it cannot be read.
    Unread,
    /// As it came, read on the way for the record.
    Observe,
    /// Chunk by chunk, edited on the way. Headers do not wait, so the length is not known.
    Chunks,
    /// As a whole, because what is decided first may stand last. Headers do not wait.
    Buffer,
    /// As a whole, with the headers held: one of them depends on it.
    Hold,
}

/// How the body of a request goes through, as far as its headers tell. `asks` says that the usage of a stream is wanted.
///
/// # Errors
/// The body may have to change, and its headers already tell that it cannot be read.
pub(in crate::exchange) fn flow(
    provider: &Provider,
    path: &ClientPath<'_>,
    head: &Head,
    asks: bool,
) -> Result<Flow, Error> {
    let operation = path.operation;
    let needed = provider.paths.needs_body_model(path);
    let named = !provider.original && provider.paths.drops_model(path);
    if !needed && !named && !is_edited(provider, operation, asks) {
        let kind = operation.body();
        return Ok(match Format::of(operation, head) {
            _ if matches!(kind, BodyKind::Other | BodyKind::ModelInQuery) => Flow::Pass,
            Ok(Format { coding: None, .. }) => Flow::Observe,
            Ok(_) | Err(_) => Flow::Unread,
        });
    }
    let format = Format::of(operation, head);
    let settings = &provider.body;
    if settings.passes_unreadable && !needed && format.as_ref().map_or(true, |format| !format.named) {
        return Ok(Flow::Unread);
    }
    format?;
    if needed {
        return Ok(Flow::Hold);
    }
    let generates = operation.generates();
    let wants_hold = settings.hold_headers
        || (generates && settings.first_byte_timeout_ms.is_some() && provider.fixed_first_byte_timeout_ms().is_none());
    // A hold that nothing depends on is not worth refusing a long body for.
    if wants_hold && length(head).is_some_and(|length| length <= settings.max_held_bytes) {
        return Ok(Flow::Hold);
    }
    Ok(if generates && settings.needs_whole_body() { Flow::Buffer } else { Flow::Chunks })
}

/// Has the headers of a request whose body may change say what that is then.
pub(in crate::exchange) fn relabel(
    provider: &Provider,
    path: &ClientPath<'_>,
    head: &Head,
    asks: bool,
    edits: &mut Edits,
) {
    let operation = path.operation;
    if (is_edited(provider, operation, asks) || provider.paths.drops_model(path))
        && let Ok(format) = Format::of(operation, head)
    {
        format.tell(head, edits);
    }
}

/// Whether the body of an operation may have to change.
pub(super) fn is_edited(provider: &Provider, operation: Operation, asks: bool) -> bool {
    let settings = &provider.body;
    let maps = !provider.models.is_identity();
    let kind = operation.body();
    let generates = (asks && asks_usage(provider, operation))
        || edits_messages(provider, operation)
        || changes_roles(provider, operation)
        || !settings.params.is_empty();
    !provider.original
        && ((maps && (kind.names_model_in_json() || kind.may_be_form())) || (generates && operation.generates()))
}

/// Whether streams of this operation are asked for their usage.
pub(super) const fn asks_usage(provider: &Provider, operation: Operation) -> bool {
    provider.body.include_usage && matches!(operation, Operation::ChatCompletions | Operation::Completions)
}

/// Whether messages of the role `developer` become `system`.
pub(super) const fn changes_roles(provider: &Provider, operation: Operation) -> bool {
    provider.body.system_role && matches!(operation, Operation::ChatCompletions)
}

/// Whether the list of messages is edited.
pub(super) const fn edits_messages(provider: &Provider, operation: Operation) -> bool {
    !provider.body.messages.is_none() && matches!(operation, Operation::ChatCompletions)
}
