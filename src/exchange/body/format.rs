//! What a request body is, as far as the headers tell.

use crate::exchange::head::Head;
use crate::multipart;
use crate::operation::Operation;

/// What a body is, as far as its headers tell.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(in crate::exchange) enum Format {
    /// Nothing that is looked into.
    Opaque,
    /// JSON by its type; a missing type counts as JSON, as in the reference.
    Json,
    /// A form with a `model` part and files, with its boundary.
    Multipart(String),
    /// A form whose boundary cannot be relied on, and why.
    BadForm(&'static str),
}

impl Format {
    pub(in crate::exchange) fn of(operation: Operation, head: &Head) -> Self {
        let encoding = head.text("content-encoding").map(str::trim);
        if encoding.is_some_and(|encoding| !encoding.eq_ignore_ascii_case("identity")) {
            return Self::Opaque;
        }
        let Some(content_type) = head.text("content-type") else {
            return if head.has("content-type") { Self::Opaque } else { Self::Json };
        };
        let essence = content_type.split(';').next().unwrap_or_default().trim().to_ascii_lowercase();
        match essence.as_str() {
            "" | "application/json" => Self::Json,
            "multipart/form-data" if operation.body().may_be_form() => match multipart::boundary(content_type) {
                Ok(boundary) => Self::Multipart(boundary.to_owned()),
                Err(error) => Self::BadForm(error.reason()),
            },
            other if other.ends_with("+json") => Self::Json,
            _ => Self::Opaque,
        }
    }
}

/// `content-length`, where there is a readable one.
pub(in crate::exchange) fn length(head: &Head) -> Option<u64> {
    head.text("content-length").and_then(|text| text.trim().parse().ok())
}
