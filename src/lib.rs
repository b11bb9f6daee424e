//! Waypost sends every AI request down the right upstream path: it computes host and path, maps the model name, puts
//! exactly one credential on the request and records what it cost.
//!
//! # The map of the house
//!
//! What a request goes through, in order:
//!
//! | step | module | decides |
//! |---|---|---|
//! | which rule | [`rules`] | the provider, by host, route and cluster |
//! | what is asked for | [`operation`] | client prefix, version, operation |
//! | which model | [`model`] | the upstream's name for it |
//! | which path | [`path`] | THE RULE: endpoint, base path, version prefix, suffix, query |
//! | which credential | [`removal`], [`exchange`] | what is removed, what is put on |
//! | what if the body is compressed | [`unpack`] | gzip, deflate, Zstandard: what is edited leaves plain |
//! | what changes in the body | [`exchange`], [`json`], [`multipart`] | splices; all other bytes stay |
//!
//! What its response goes through, as it passes:
//!
//! | step | module | decides |
//! |---|---|---|
//! | is it read, and how | [`exchange`] | document or stream; when its first byte, reasoning and content came |
//! | what if it is compressed | [`unpack`] | gzip, deflate, Zstandard; here for observation only |
//! | what is one message | [`framing`] | events, lines, elements, frames; and which event a client does not get |
//! | what did it cost | [`usage`] | tokens, model, id, error, in every dialect |
//! | what else is wanted | [`attributes`] | values from headers and bodies, as ai-statistics names them |
//! | what is left behind | [`telemetry`] | one record: log fields, metrics, their labels and how many there may be |
//!
//! [`config`] compiles a configuration into what those steps look up; [`provider`] is the table of what is known of each
//! vendor. [`exchange::decide`] is the one function that the filter and `waypost explain` ([`explain`]) both call.
//! [`error`] is every answer that Waypost gives itself. [`memory`] is the one budget for what all requests of a VM keep.
//!
//! # Two worlds
//!
//! Everything but `plugin` is a pure core: bytes in, effects out, no host, no clock, no I/O. `plugin` is compiled for
//! `wasm32-wasip1` only; it translates proxy-wasm callbacks into an [`exchange::Exchange`] and its effects into host
//! calls. `proxy-wasm` and `log` are dependencies of that target only, so the compiler keeps the core pure.
//!
//! # No panic from input
//!
//! A panic in a filter takes every stream of its VM with it. So nothing outside tests unwraps, indexes, slices or counts
//! unchecked; lints hold the three targets to that.

#![cfg_attr(
    test,
    allow(clippy::arithmetic_side_effects, clippy::string_slice, reason = "a test that panics has failed")
)]

#[cfg(all(target_family = "wasm", feature = "cli"))]
compile_error!(
    "the feature `cli` is for the native program; build for wasm with `--no-default-features`, as `make build` does"
);

pub mod attributes;
pub mod config;
pub mod error;
pub mod exchange;
#[cfg(not(target_os = "wasi"))]
pub mod explain;
pub mod framing;
pub mod hold;
pub mod json;
pub mod memory;
pub mod messages;
pub mod model;
pub mod multipart;
pub mod operation;
pub mod params;
pub mod path;
#[cfg(all(target_os = "wasi", not(feature = "bench")))]
mod plugin;
pub mod provider;
pub mod removal;
pub mod rules;
pub mod telemetry;
pub mod unpack;
pub mod usage;
