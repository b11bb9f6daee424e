//! What the worst inputs cost: the longest callback of each beside that of a chat of the same size, in the file that is
//! shipped and in V8, the engine that Envoy runs it in. `make bench-worst`; with a number, in inputs of so many bytes.
//!
//! Node.js lends the engine (`benches/worst/host.mjs`). Ends with an error if an input takes more than
//! [`worst::MOST`] times as long as the chat.
#![cfg_attr(target_family = "wasm", allow(unused, reason = "there is nothing to measure with"))]
#![allow(clippy::print_stdout, reason = "a table is what this is for")]

#[cfg(not(target_family = "wasm"))]
#[path = "../tests/support/exchanges.rs"]
mod exchanges;
#[cfg(not(target_family = "wasm"))]
#[path = "../tests/support/worst.rs"]
mod worst;

/// How large an input is, in bytes, unless another size is asked for: as much as Envoy lets into the headers, unless its
/// `max_request_headers_kb` says otherwise. Bodies may be larger, and take as many times longer.
const SIZE: usize = 60 << 10;

#[cfg(target_family = "wasm")]
fn main() {}

#[cfg(not(target_family = "wasm"))]
fn main() -> std::process::ExitCode {
    let size = std::env::args().nth(1).and_then(|size| size.parse().ok()).unwrap_or(SIZE);
    if bench::print(size) { std::process::ExitCode::SUCCESS } else { std::process::ExitCode::FAILURE }
}

#[cfg(not(target_family = "wasm"))]
#[allow(clippy::arithmetic_side_effects, clippy::expect_used, reason = "a benchmark that cannot run says so")]
mod bench {
    use super::worst::{CHAT, INPUTS, Input, MOST, PLAIN};
    use serde_json::{Value, json};
    use std::io::{BufRead as _, BufReader, Lines, Write as _};
    use std::process::{Child, ChildStdin, ChildStdout, Command, Stdio};

    /// A process of Node.js that runs exchanges in the shipped file.
    struct Host {
        child: Child,
        input: ChildStdin,
        output: Lines<BufReader<ChildStdout>>,
    }

    /// The callback of an exchange that took the longest.
    struct Longest {
        name: String,
        microseconds: f64,
        /// How often it called the host.
        calls: u64,
    }

    impl Host {
        fn start() -> Self {
            let mut child = Command::new("node")
                .args(["benches/worst/host.mjs", "target/wasm32-wasip1/release/waypost.wasm"])
                .stdin(Stdio::piped())
                .stdout(Stdio::piped())
                .spawn()
                .expect("Node.js 20");
            let input = child.stdin.take().expect("its input");
            let output = BufReader::new(child.stdout.take().expect("its output")).lines();
            Self { child, input, output }
        }

        fn measure(&mut self, input: &Input, size: usize) -> Longest {
            let exchange = (input.make)(size);
            let text = |pieces: &[Vec<u8>]| -> Vec<Value> {
                pieces.iter().map(|piece| json!(core::str::from_utf8(piece).expect("text"))).collect()
            };
            let line = json!({
                "config": exchange.config,
                "request": exchange.request,
                "body": text(&exchange.request_body),
                "response": exchange.response,
                "answer": text(&exchange.response_body),
            });
            writeln!(self.input, "{line}").expect("a host that listens");
            let answer = self.output.next().expect("an answer; what went wrong is above").expect("an answer in UTF-8");
            let callbacks: Vec<Value> = serde_json::from_str(&answer).expect("an answer in JSON");
            let longest = callbacks.iter().map(|callback| Longest {
                name: callback["name"].as_str().unwrap_or_default().to_owned(),
                microseconds: callback["time"].as_f64().unwrap_or_default(),
                calls: callback["calls"].as_u64().unwrap_or_default(),
            });
            longest.max_by(|a, b| a.microseconds.total_cmp(&b.microseconds)).expect("a callback")
        }
    }

    /// Prints the table; whether all inputs are within bounds.
    pub(super) fn print(size: usize) -> bool {
        let mut host = Host::start();
        // The machine may be slow at times: the yardsticks are measured before, between and after.
        let (mut chat, mut plain) = (f64::INFINITY, f64::INFINITY);
        let mut rows = Vec::new();
        for (index, input) in INPUTS.iter().enumerate() {
            if index % 10 == 0 {
                chat = chat.min(host.measure(&CHAT, size).microseconds);
                plain = plain.min(host.measure(&PLAIN, size).microseconds);
            }
            let (half, whole) = (host.measure(input, size / 2), host.measure(input, size));
            rows.push((input, half.microseconds, whole));
        }
        drop(host.input);
        let _ = host.child.wait();
        println!("The longest callback for inputs of {size} bytes, in V8, without the host's own work.");
        println!("A chat: {chat:.0} µs. One message in plain English: {plain:.0} µs.\n");
        println!("| input | longest callback | host calls | µs | × chat | × half the size |");
        println!("|---|---|---|---|---|---|");
        let mut over = Vec::new();
        for (input, half, Longest { name, microseconds, calls }) in rows {
            let (times, growth) = (microseconds / chat, microseconds / half);
            println!("| {} | {name} | {calls} | {microseconds:.0} | {times:.1} | {growth:.2} |", input.name);
            if times > MOST {
                over.push(input.name);
            }
        }
        let names = if over.is_empty() { "none".to_owned() } else { over.join("; ") };
        println!("\nMore than {MOST} times a chat: {names}");
        over.is_empty()
    }
}
