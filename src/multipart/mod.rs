//! `multipart/form-data` without holding it: finds the field `model` while the parts stream past, and puts another value
//! into it. OpenAI's image edits and variations, audio transcriptions and translations name their model that way, next
//! to files of 25 MB.
//!
//! - [`boundary`] reads the boundary out of a content-type.
//! - [`Editor`] takes the body chunk by chunk; a [`Decide`] says what becomes of the value of `model`, or which value is
//!   put in when no part has that name. Whatever is not touched leaves as it came, byte for byte, file content always
//!   without a copy unless `model` shares its chunk.
//!
//! # Which bodies pass
//!
//! Those of RFC 7578 and RFC 2046 that all parsers read alike. A lenient upstream must not find a `model` that stayed
//! hidden here, so wherever parsers differ about what that could be, the body is refused:
//!
//! - **Delimiters.** The bytes `--boundary` stand nowhere but in delimiters, which are lines of their own between CRLFs
//!   (or at the very start). A parser that ends lines at LF or CR, lets a line merely begin with the boundary, searches
//!   it in the middle of lines, in part headers or behind the end still finds no part that was not seen here. Clients
//!   choose boundaries that do not occur in what they send, so honest bodies have no such bytes.
//! - **Padding.** Spaces and tabs behind a boundary are tolerated, except on the delimiters before and behind `model`:
//!   strict parsers take such a line for content and would read another value.
//! - **Part headers.** Lines end in CRLF and are `token: value` without folding or control characters; `--boundary` is
//!   not in them. Each part has exactly one Content-Disposition, of type `form-data`, with exactly one `name`, quoted or
//!   a token. Refused are `name*` and its continuations (Python's email parser, which FastAPI uses, decodes them), a
//!   backslash or an encoded word in a name, and parameters in whose value a parser without quoted pairs or quotes would
//!   find a `name`.
//! - **Names.** `model` is compared exactly. Names that only tolerance makes equal are refused: another case, space or
//!   quotes around it, percent-encoding, brackets behind it.
//! - **The model.** It comes once; upstreams take the first or the last. It is no file, because some upstreams take the
//!   content of a part whatever its filename. It has no transfer encoding and no charset but UTF-8 or ASCII, and its
//!   Content-Length, which some clients send and few servers obey, is the length of its value; it follows a new value.
//! - **The boundary.** One parameter in the characters of RFC 2046 without space, and no second place in the
//!   content-type where a search for `boundary` would succeed.
//!
//! Preamble and epilogue may hold anything but the boundary.
//!
//! # Cost
//!
//! One pass, a substring search over file content. Held are the headers of a part until it is clear that it is not
//! `model` ([`MAX_PART_HEADERS`]), and those and the value of `model` ([`MAX_MODEL`]). Delimiters are not held: what is
//! put in before the closing one stands behind its boundary, which then belongs to what is put in. Where a body is cut
//! into chunks never changes the outcome.

mod boundary;
mod edit;
mod error;
mod headers;
mod params;
#[cfg(test)]
mod tests;

pub use boundary::{MAX_BOUNDARY, boundary};
pub use edit::{Decide, Editor, MAX_MODEL};
pub use error::Error;
pub use headers::MAX_PART_HEADERS;
