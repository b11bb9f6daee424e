//! What the worst inputs cost: the longest callback of each beside that of a plain body of the same size, counted in the
//! file that is shipped. `make bench-worst`; with a number, in bodies of so many bytes.
#![cfg_attr(target_family = "wasm", allow(unused, reason = "there is nothing to measure with"))]
#![allow(clippy::print_stdout, reason = "a table is what this is for")]

#[cfg(not(target_family = "wasm"))]
#[path = "../tests/support/exchanges.rs"]
mod exchanges;
#[cfg(not(target_family = "wasm"))]
#[path = "../tests/support/vm.rs"]
mod vm;
#[cfg(not(target_family = "wasm"))]
#[path = "../tests/support/worst.rs"]
mod worst;

/// How large an input is, in bytes, unless another size is asked for.
const SIZE: usize = 1 << 18;

/// How often each is measured.
const RUNS: usize = 3;

#[cfg(target_family = "wasm")]
fn main() {}

#[cfg(not(target_family = "wasm"))]
#[allow(clippy::arithmetic_side_effects, clippy::expect_used, reason = "a benchmark that cannot run says so")]
fn main() {
    let size = std::env::args().nth(1).map_or(SIZE, |size| size.parse().expect("a number of bytes"));
    let wasm = std::fs::read("target/wasm32-wasip1/release/waypost.wasm").expect("the artifact; make build");
    let vm = vm::Vm::new(&wasm);
    // The shortest of some runs: others use the machine too.
    let quickest = |input: &worst::Input| {
        let runs = (0..RUNS).map(|_| worst::measure(&vm, input, size));
        runs.min_by_key(|taken| taken.time).expect("a run")
    };
    let plain = quickest(&worst::PLAIN).time.as_secs_f64();
    println!("The longest callback for inputs of {size} bytes, in an interpreter. A plain body: {:.2} ms", plain * 1e3);
    println!("| input | callback | × plain body, time | × half the size, instructions |");
    println!("|---|---|---|---|");
    for input in worst::INPUTS {
        let taken = quickest(input);
        let half = worst::measure(&vm, input, size / 2);
        println!(
            "| {} | {} | {:.1} | {:.2} |",
            input.name,
            taken.callback,
            taken.time.as_secs_f64() / plain,
            taken.fuel as f64 / half.fuel as f64
        );
    }
}
