//! What a response says of its cost, its model and its fate.
//!
//! A [`Collector`] reads one response, in messages ([`Collector::message`]) or as one document
//! ([`Collector::feed`]). It knows neither endpoint nor vendor nor kind of event: every message is looked at in all the
//! places where any dialect puts something (`table.rs`), and the terminal event has no special role.
//!
//! # How figures are merged
//!
//! Usage may stand in one message or in several, whole or in parts. Vendors count cumulatively: a later message tells
//! the state so far, not what is to be added. So per figure, over all messages and all places:
//!
//! - `null`, absence and whatever is not a whole number from 0 to [`MAX_COUNT`] change nothing. `12.0` is a whole number.
//! - Zero never replaces a number: what was used cannot become unused. A last `message_delta` with `input_tokens: 0`
//!   repeats nothing of `message_start`; a gateway that speaks two dialects fills the names of the other with zeros.
//! - Otherwise the last number wins, be it larger or smaller. Nothing is summed across messages.
//!
//! Within one message, what Cohere bills (`billed_units`) and the models of a DashScope application (summed) count only
//! where the message tells no tokens otherwise.
//!
//! # What a figure means
//!
//! `input`, `output` and `total` are the vendor's own numbers. Two notes say how they relate to the others, because
//! vendors differ: [`Usage::includes_cache`] and [`Usage::includes_reasoning`]. They follow from the reported total where
//! there is one that fits, and from the names of the figures otherwise. [`Usage::computed_total`] counts every token once
//! with their help.
//!
//! # Cost
//!
//! Until the first content every message is walked; from then on only one that has a piece of a figure's key or of an
//! error's, so that `"usage":null` in each chunk costs a search. Memory is constant, whatever the response.

pub(crate) mod chunk;
mod collector;
mod estimate;
mod fault;
mod figures;
mod headers;
mod iterations;
mod table;
#[cfg(test)]
mod tests;
mod wrapped;

pub use collector::{Collector, Facts, Seen};
pub use estimate::Estimate;
pub use figures::{Detail, MAX_COUNT, MAX_DETAILS, Usage};
pub use table::Table;
