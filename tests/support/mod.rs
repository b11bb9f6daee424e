//! The harness of the end-to-end tests and the demo: a real Envoy, a mock of the AI providers behind it, and clients.
//!
//! Servers listen on loopback only, every wait has a limit, and whatever a test started ends with the test. Envoy runs
//! with the shipped `envoy/envoy.yaml`, patched by [`EnvoyConfig`].
#![allow(dead_code, unused_imports, unreachable_pub, reason = "each test and example uses its own part of the harness")]
#![allow(
    clippy::arithmetic_side_effects,
    clippy::expect_used,
    clippy::indexing_slicing,
    clippy::panic,
    clippy::print_stderr,
    clippy::print_stdout,
    clippy::unwrap_used,
    reason = "a harness that meets something unexpected fails the test, which is what a panic does"
)]

pub mod client;
pub mod credential;
pub mod envoy;
pub mod prometheus;
pub mod ratelimit;
pub mod record;
pub mod upstream;
pub mod websocket;
pub mod wire;

pub use client::{Client, Raw, Response, raw_exchange};
pub use credential::Credential;
pub use envoy::{Envoy, EnvoyConfig, StartError};
pub use prometheus::Prometheus;
pub use ratelimit::RateLimit;
pub use upstream::{Answer, Received, Upstream, UpstreamOptions};

use std::path::{Path, PathBuf};

/// Returns when somebody wants this process to end: Ctrl-C, or the signal of `docker stop`.
pub async fn stop_requested() {
    #[cfg(unix)]
    {
        use tokio::signal::unix::{SignalKind, signal};
        let mut terminate = signal(SignalKind::terminate()).expect("a handler for SIGTERM");
        tokio::select! {
            _ = terminate.recv() => {}
            _ = tokio::signal::ctrl_c() => {}
        }
    }
    #[cfg(not(unix))]
    let _ = tokio::signal::ctrl_c().await;
}

/// The directory of the repository. The harness is also compiled in `benches/`, a package of its own.
pub fn root() -> &'static Path {
    let package = Path::new(env!("CARGO_MANIFEST_DIR"));
    package.ancestors().find(|directory| directory.join("envoy/envoy.yaml").is_file()).unwrap_or(package)
}

/// The filter under test: `$WAYPOST_WASM`, or where `make build` puts it.
pub fn wasm_path() -> PathBuf {
    std::env::var_os("WAYPOST_WASM")
        .map_or_else(|| root().join("target/wasm32-wasip1/release/waypost.wasm"), PathBuf::from)
}

/// Why the file at [`wasm_path`] cannot be tested, if so: it is missing, or it is older than a file it is built from.
///
/// A test of yesterday's wasm passes and says nothing.
pub fn wasm_problem() -> Option<String> {
    let wasm = wasm_path();
    let Ok(built) = std::fs::metadata(&wasm).and_then(|metadata| metadata.modified()) else {
        return Some(format!("{} is missing; build it with: make build", wasm.display()));
    };
    let mut pending = vec![root().join("src"), root().join("Cargo.toml"), root().join("Cargo.lock")];
    while let Some(path) = pending.pop() {
        if path.is_dir() {
            pending.extend(path.read_dir().ok()?.flatten().map(|entry| entry.path()));
        } else if path.metadata().and_then(|metadata| metadata.modified()).is_ok_and(|changed| changed > built) {
            return Some(format!("{} is older than {}; build it with: make build", wasm.display(), path.display()));
        }
    }
    None
}
