//! JSON without a tree: finds the top-level members of an object while its bytes stream past, and splices new bytes in.
//!
//! - [`Scanner`] validates a document chunk by chunk and reports the byte spans of the members it was asked for, and of
//!   the short strings in one place further in ([`Watch`]).
//! - [`Editor`] drives it over a streamed body: a [`Members`] decides member by member, and whatever it does not touch
//!   leaves as it came, byte for byte, usually without a copy. [`edit`] and [`splices`] do the same to a held body.
//! - [`Walker`] observes: it finds the values at any known places ([`Paths`]) without validating.
//! - [`merge_member`] sets one member of a small object; [`decode`] and [`literal`] read and write strings.
//!
//! # Which documents pass
//!
//! Those that `serde_json::from_slice::<Value>` accepts (RFC 8259, numbers within `f64`, paired surrogates), with these
//! differences:
//!
//! - The top level is an object, and no key that was asked for occurs twice in it: upstreams take the last occurrence,
//!   and a decision taken on another one is a way around a policy.
//! - [`MAX_DEPTH`], [`MAX_KEY`] and [`MAX_MEMBER`] bound what is counted or retained. `MAX_DEPTH` is one level more than
//!   `serde_json` takes. A member that can be decided about by its key alone ([`Wants`]) may have any size.
//! - UTF-8 is checked where it matters: in top-level keys and in the values that are shown to [`Members::member`].
//!   Elsewhere bytes from 0x80 on pass unchecked inside strings; a whole check costs as much again as the scan.
//!
//! # Cost
//!
//! One pass. Memory is constant: the nesting is a bit per level, and only the bytes of a member whose value was asked
//! for, of a top-level key or of a short watched string cut by the end of a chunk are kept from one chunk to the next.
//! Where a document is cut into chunks never changes the outcome, down to kind and offset of an error.

#![cfg_attr(
    test,
    allow(
        clippy::arithmetic_side_effects,
        clippy::string_slice,
        reason = "a test may panic; Clippy has no switch for these"
    )
)]

mod block;
mod edit;
mod error;
mod keys;
mod merge;
mod scan;
mod string;
mod walk;

pub(crate) use block::Pairs;
pub use edit::{Appender, Edit, Editor, Members, Output, Splice, Wants, apply, edit, splices};
pub use error::{Error, ErrorKind};
pub use keys::{Keys, KeysError, MAX_KEYS, Watch};
pub use merge::merge_member;
pub use scan::{Event, MAX_DEPTH, MAX_KEY, MAX_MEMBER, MAX_NESTED, Member, Scanner};
pub use string::{DecodeError, decode, literal, write_literal};
pub use walk::{Found, MAX_NAME, MAX_NUMBER, MAX_TEXT, MAX_TRACKED, Paths, Value, Visit, Walker};
