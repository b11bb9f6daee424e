//! Figures that are committed, and what a measurement is held to.
//!
//! A test fails where a figure rises over what is committed. Figures are written anew, instead of compared, with
//! `WAYPOST_COST=write`: `make cost-baseline`.
#![allow(dead_code, unreachable_pub, reason = "each test uses its own part")]
#![allow(clippy::panic, reason = "a baseline that cannot be read fails the test")]

use serde_json::Value;
use std::fmt::Write as _;
use std::io::Write as _;
use std::path::{Path, PathBuf};
use std::{env, fs, io};

/// How to accept a change, for messages.
pub const REMEDY: &str = "If that is what the change is worth: make cost-baseline, and commit testdata/cost";

/// A file of `testdata/cost`.
pub fn path(file: &str) -> PathBuf {
    Path::new(env!("CARGO_MANIFEST_DIR")).join("testdata/cost").join(file)
}

/// Whether figures are to be written anew.
pub fn writes() -> bool {
    env::var_os("WAYPOST_COST").is_some_and(|value| value == "write")
}

/// Writes a file of figures.
pub fn write(file: &str, text: &str) {
    let path = path(file);
    fs::write(&path, text).unwrap_or_else(|error| panic!("{}: {error}", path.display()));
    note(&format!("written: testdata/cost/{file}"));
}

/// A committed text; empty where there is none.
pub fn read(file: &str) -> String {
    fs::read_to_string(path(file)).unwrap_or_default()
}

/// Committed figures; null where there are none.
pub fn figures(file: &str) -> Value {
    serde_json::from_str(&read(file)).unwrap_or_default()
}

/// As it is committed: a member on each line.
pub fn pretty(figures: &Value) -> String {
    let mut text = format!("{figures:#}");
    text.push('\n');
    text
}

/// Tells something that is no failure; a test harness shows it although the test passes.
pub fn note(text: &str) {
    let _ = writeln!(io::stderr(), "{text}");
}

/// What rose, a line each.
#[derive(Default)]
pub struct Complaints(String);

impl Complaints {
    /// Adds a line.
    pub fn add(&mut self, line: &str) {
        let _ = writeln!(self.0, "  {line}");
    }

    /// Fails where there is one.
    pub fn settle(&self, what: &str) {
        assert!(self.0.is_empty(), "{what}:\n{}{REMEDY}", self.0);
    }
}
