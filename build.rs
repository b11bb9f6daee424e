//! Tells the program and the filter which commit they are built from, as `WAYPOST_COMMIT`.
//!
//! The variable of that name decides where it is set, for builds outside a checkout. Only builds with optimisation look
//! into Git: a development build would be made anew after each commit.

use std::env;
use std::path::Path;
use std::process::Command;

/// How much of a commit's hash is shown, in characters.
const SHOWN: usize = 12;

fn git(arguments: &[&str]) -> Option<String> {
    let output = Command::new("git").args(arguments).output().ok().filter(|output| output.status.success())?;
    String::from_utf8(output.stdout).ok().map(|text| text.trim().to_owned())
}

fn commit() -> Option<String> {
    if let Some(set) = env::var("WAYPOST_COMMIT").ok().filter(|set| !set.is_empty()) {
        return Some(set);
    }
    if env::var("PROFILE").as_deref() != Ok("release") {
        return None;
    }
    // A package that was unpacked inside somebody else's repository is not of its commit.
    let top = git(&["rev-parse", "--show-toplevel"])?;
    if Path::new(&top).canonicalize().ok() != env::current_dir().ok().and_then(|here| here.canonicalize().ok()) {
        return None;
    }
    for file in ["HEAD", "logs/HEAD"] {
        println!("cargo::rerun-if-changed={}", git(&["rev-parse", "--git-path", file])?);
    }
    git(&["rev-parse", "HEAD"])
}

fn main() {
    println!("cargo::rerun-if-changed=build.rs");
    println!("cargo::rerun-if-env-changed=WAYPOST_COMMIT");
    let commit = commit().map(|hash| hash.chars().take(SHOWN).collect());
    println!("cargo::rustc-env=WAYPOST_COMMIT={}", commit.unwrap_or_else(|| "development build".to_owned()));
}
