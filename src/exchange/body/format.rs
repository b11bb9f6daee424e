//! What a request body is, as far as the headers tell.

use crate::error::Error;
use crate::exchange::head::{Edits, Head};
use crate::multipart;
use crate::operation::Operation;
use crate::unpack::{Coding, Encoding};

/// How a request body is read.
///
/// Its type does not say what it is, because servers do not go by it either: whatever is no form is read as JSON, and
/// leaves as `application/json`, so that the upstream reads what was read here.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(in crate::exchange) struct Format {
    /// How it is compressed, if it is.
    pub coding: Option<Coding>,
    /// The boundary of a form with a `model` part and files; all else is JSON.
    pub boundary: Option<String>,
    /// Whether it is what its type says. Where a type says nothing about JSON, what turns out to be none is of a type
    /// that cannot be read, and not broken JSON.
    pub named: bool,
}

impl Format {
    /// Reads the headers.
    ///
    /// # Errors
    /// A body of these headers cannot be read.
    pub(in crate::exchange) fn of(operation: Operation, head: &Head) -> Result<Self, Error> {
        let coding = match Encoding::of(head.values("content-encoding")) {
            Encoding::Plain => None,
            Encoding::Packed(coding) => Some(coding),
            Encoding::Unknown => return Err(Error::UnreadableBody("is encoded in a way that is not understood")),
        };
        let (boundary, named) = match head.get("content-type") {
            Some(b"application/json") | None => (None, true),
            Some(value) => of_type(operation, value)?,
        };
        Ok(Self { coding, boundary, named })
    }

    /// Has the headers say of an edited body what it is.
    pub(super) fn tell(&self, head: &Head, edits: &mut Edits) {
        if head.has(CONTENT_ENCODING) {
            edits.remove.push(CONTENT_ENCODING.into());
        }
        if self.boundary.is_none() && !head.only(CONTENT_TYPE).is_some_and(is_json) {
            if head.has(CONTENT_TYPE) {
                edits.remove.push(CONTENT_TYPE.into());
            }
            edits.set(CONTENT_TYPE, "application/json");
        }
    }
}

const CONTENT_ENCODING: &str = "content-encoding";
const CONTENT_TYPE: &str = "content-type";

/// The boundary a type gives, and whether the type is that of JSON or of a form that can be read.
fn of_type(operation: Operation, value: &[u8]) -> Result<(Option<String>, bool), Error> {
    let essence = essence(value);
    let is = |name: &str| essence.eq_ignore_ascii_case(name.as_bytes());
    if operation.body().may_be_form() {
        if is("multipart/form-data") {
            let text = core::str::from_utf8(value).map_err(|_| Error::InvalidBody("has a type that is not UTF-8"))?;
            return match multipart::boundary(text) {
                Ok(boundary) => Ok((Some(boundary.to_owned()), true)),
                Err(error) => Err(Error::InvalidBody(error.reason())),
            };
        }
        let kind = essence.split(|byte| *byte == b'/').next().unwrap_or_default();
        if kind.eq_ignore_ascii_case(b"multipart") || is("application/x-www-form-urlencoded") {
            return Err(Error::UnreadableBody("is a form, but not `multipart/form-data`"));
        }
    }
    let suffix = essence.last_chunk::<5>().is_some_and(|end| end.eq_ignore_ascii_case(b"+json"));
    Ok((None, essence.is_empty() || suffix || is("application/json")))
}

/// A type without its parameters.
fn essence(value: &[u8]) -> &[u8] {
    value.split(|byte| *byte == b';').next().unwrap_or_default().trim_ascii()
}

/// Whether a type says `application/json` and nothing that a server could read otherwise.
fn is_json(value: &[u8]) -> bool {
    let parameters = || value.split(|byte| *byte == b';').skip(1).map(<[u8]>::trim_ascii);
    let utf8 = |parameter: &[u8]| {
        let known = [&b"charset=utf-8"[..], b"charset=\"utf-8\"", b"charset=utf8"];
        parameter.is_empty() || known.iter().any(|known| parameter.eq_ignore_ascii_case(known))
    };
    essence(value).eq_ignore_ascii_case(b"application/json") && parameters().all(utf8)
}

/// `content-length`, where there is a readable one.
pub(in crate::exchange) fn length(head: &Head) -> Option<u64> {
    head.text("content-length").and_then(|text| text.trim().parse().ok())
}
