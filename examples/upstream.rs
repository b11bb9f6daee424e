//! The mock of the AI providers as a program of its own, for `envoy/docker-compose.yaml`.
//!
//! `cargo run --example upstream -- --listen 127.0.0.1:8080` answers until Ctrl-C and prints a line for each request.
#![allow(clippy::print_stderr, clippy::print_stdout, reason = "a program that talks to its user")]

#[path = "../tests/support/mod.rs"]
mod support;

use std::net::SocketAddr;
use std::process::ExitCode;
use support::{Upstream, UpstreamOptions};

const DEFAULT_ADDRESS: &str = "127.0.0.1:8080";

fn listen_address() -> Option<SocketAddr> {
    let arguments: Vec<String> = std::env::args().skip(1).collect();
    match arguments.as_slice() {
        [] => DEFAULT_ADDRESS.parse().ok(),
        [option, address] if option == "--listen" => address.parse().ok(),
        _ => None,
    }
}

#[tokio::main]
async fn main() -> ExitCode {
    let Some(address) = listen_address() else {
        eprintln!("usage: upstream [--listen ADDRESS:PORT]    (default {DEFAULT_ADDRESS})");
        return ExitCode::from(2);
    };
    let options = UpstreamOptions { vendor_paths: true, forget: true, print: true, ..UpstreamOptions::default() };
    match Upstream::listen(address, options).await {
        Ok(upstream) => {
            println!("listening on {}", upstream.address());
            support::stop_requested().await;
            ExitCode::SUCCESS
        }
        Err(error) => {
            eprintln!("upstream: {address}: {error}");
            ExitCode::FAILURE
        }
    }
}
