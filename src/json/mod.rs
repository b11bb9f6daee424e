//! JSON, read in as many ways as there are reasons to read it.
//!
//! | reader | is for | validates | memory |
//! |---|---|---|---|
//! | [`Scanner`], and [`Editor`] over it | request bodies: finds the top-level members it was asked for, and the short strings in one place further in ([`Watch`]), and splices new bytes in | all of it | constant |
//! | [`edit`], [`splices`] | the same for a body that is held as a whole | all of it | the new body |
//! | [`Walker`] | responses: finds the values at any known places ([`Paths`]) as they pass | nothing | constant |
//! | [`Picker`] | copies for attributes: a document with only those top-level members that are wanted | nothing | constant |
//! | [`parse`] to a [`Node`] | configurations, and values that are recorded: a tree that keeps order and spelling | all of it | the whole document |
//! | `Items` | stepping through an array or object that is in memory and was validated before | nothing | none |
//! | `attributes::gjson` | one value by a path that an operator wrote, in a document that was kept | nothing | none |
//!
//! Strings are read by [`decode`] and written by [`literal`] and [`write_literal`]; a [`Node`] writes itself;
//! [`merge_member`] sets one member of a small object.
//!
//! # Which documents pass
//!
//! What follows is about [`Scanner`] and what stands on it.
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
mod items;
mod keys;
mod merge;
mod order;
mod parse;
mod pick;
mod scan;
mod string;
pub mod tree;
mod walk;

pub(crate) use block::Clues;
pub use edit::{Appender, Edit, Editor, Members, Output, Splice, Wants, apply, edit, splices};
pub use error::{Error, ErrorKind};
pub(crate) use items::{Item, Items, around, skip_space, split_value};
pub use keys::{Keys, KeysError, MAX_KEYS, Watch};
pub use merge::merge_member;
pub(crate) use order::in_order;
pub use parse::{Reason, SyntaxError, parse};
pub use pick::{Picker, Wanted};
pub(crate) use scan::is_number;
pub use scan::{Event, MAX_DEPTH, MAX_KEY, MAX_MEMBER, MAX_NESTED, Member, Scanner};
pub use string::{DecodeError, decode, literal, write_literal};
pub use tree::Node;
pub use walk::{Found, MAX_NAME, MAX_NUMBER, MAX_TEXT, MAX_TRACKED, Paths, Value, Visit, Walker};
