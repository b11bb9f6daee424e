//! Checks on the file that is shipped: what it asks of its host, how it names its ABI, and what it weighs.
#![cfg(not(target_family = "wasm"))]
#![allow(
    clippy::indexing_slicing,
    clippy::panic,
    clippy::unwrap_used,
    reason = "a test that meets something unexpected fails"
)]

mod support;

use std::collections::BTreeSet;
use std::fs;
use wasmparser::{Export, Import, Parser, Payload, TypeRef};

/// Size is load time: Envoy compiles the whole module before it is ready.
const MAX_SIZE: usize = 650 * 1000; // bytes

/// Functions of proxy-wasm ABI 0.2.1 for the `env` module.
const PROXY_WASM_0_2_1: &[&str] = &[
    "proxy_add_header_map_value",
    "proxy_call_foreign_function",
    "proxy_close_stream",
    "proxy_continue_stream",
    "proxy_define_metric",
    "proxy_dequeue_shared_queue",
    "proxy_done",
    "proxy_enqueue_shared_queue",
    "proxy_get_buffer_bytes",
    "proxy_get_buffer_status",
    "proxy_get_current_time_nanoseconds",
    "proxy_get_header_map_pairs",
    "proxy_get_header_map_size",
    "proxy_get_header_map_value",
    "proxy_get_log_level",
    "proxy_get_metric",
    "proxy_get_property",
    "proxy_get_shared_data",
    "proxy_get_status",
    "proxy_grpc_call",
    "proxy_grpc_cancel",
    "proxy_grpc_close",
    "proxy_grpc_send",
    "proxy_grpc_stream",
    "proxy_http_call",
    "proxy_increment_metric",
    "proxy_log",
    "proxy_record_metric",
    "proxy_register_shared_queue",
    "proxy_remove_header_map_value",
    "proxy_replace_header_map_value",
    "proxy_resolve_shared_queue",
    "proxy_send_local_response",
    "proxy_set_buffer_bytes",
    "proxy_set_effective_context",
    "proxy_set_header_map_pairs",
    "proxy_set_property",
    "proxy_set_shared_data",
    "proxy_set_tick_period_milliseconds",
];

/// WASI functions that every supported host offers. `random_get` would mean that somebody uses a std `HashMap`.
const WASI: &[&str] = &["clock_time_get", "environ_get", "environ_sizes_get", "fd_write", "proc_exit"];

fn wasm() -> Vec<u8> {
    if let Some(problem) = support::wasm_problem() {
        panic!("{problem}");
    }
    fs::read(support::wasm_path()).unwrap()
}

fn imports(wasm: &[u8]) -> Vec<Import<'_>> {
    let sections = Parser::new(0).parse_all(wasm).filter_map(|payload| match payload.unwrap() {
        Payload::ImportSection(section) => Some(section),
        _ => None,
    });
    sections.flat_map(|section| section.into_imports()).map(Result::unwrap).collect()
}

fn exports(wasm: &[u8]) -> Vec<Export<'_>> {
    let sections = Parser::new(0).parse_all(wasm).filter_map(|payload| match payload.unwrap() {
        Payload::ExportSection(section) => Some(section),
        _ => None,
    });
    sections.flatten().map(Result::unwrap).collect()
}

#[test]
fn imports_only_what_every_supported_host_offers() {
    let wasm = wasm();
    let unknown: BTreeSet<String> = imports(&wasm)
        .iter()
        .filter(|import| {
            let known = match import.module {
                "env" => PROXY_WASM_0_2_1,
                "wasi_snapshot_preview1" => WASI,
                _ => &[],
            };
            !matches!(import.ty, TypeRef::Func(_)) || !known.contains(&import.name)
        })
        .map(|import| format!("{}.{}", import.module, import.name))
        .collect();
    assert!(unknown.is_empty(), "a host without these refuses the module: {unknown:?}");
}

/// Hosts take the first ABI name they know. Higress must find its own; Envoy does not know it and takes the next.
#[test]
fn names_the_higress_abi_before_the_standard_one() {
    let wasm = wasm();
    let markers: Vec<&str> =
        exports(&wasm).iter().map(|export| export.name).filter(|name| name.starts_with("proxy_abi_version_")).collect();
    assert_eq!(markers, ["proxy_abi_version_0_2_100", "proxy_abi_version_0_2_1"]);
}

#[test]
fn exports_what_a_host_needs_to_start_it() {
    let wasm = wasm();
    let exports = exports(&wasm);
    for needed in ["memory", "_initialize", "proxy_on_context_create", "proxy_on_configure"] {
        assert!(exports.iter().any(|export| export.name == needed), "{needed} is not exported");
    }
}

/// What runs: every section but the custom ones, by number.
fn code(wasm: &[u8]) -> Vec<(u8, &[u8])> {
    const CUSTOM: u8 = 0;
    let sections = Parser::new(0).parse_all(wasm).filter_map(|payload| payload.unwrap().as_section());
    sections
        .filter(|(id, _)| *id != CUSTOM)
        .map(|(id, range)| (id, &wasm[range.start as usize..range.end as usize]))
        .collect()
}

fn has_names(wasm: &[u8]) -> bool {
    Parser::new(0)
        .parse_all(wasm)
        .any(|payload| matches!(payload.unwrap(), Payload::CustomSection(section) if section.name() == "name"))
}

/// Without names a trap inside Envoy prints function numbers. They stand in a second file that can be loaded instead, and
/// mean something only if it holds the same functions in the same order.
#[test]
fn has_the_same_code_with_function_names_beside_it() {
    let (wasm, path) = (wasm(), support::wasm_path().with_extension("names.wasm"));
    let named = fs::read(&path).unwrap_or_else(|error| panic!("{}: {error}", path.display()));
    assert!(!has_names(&wasm), "the names are a ninth of what is loaded");
    assert!(has_names(&named), "there is no name section; `strip` in Cargo.toml must be \"debuginfo\"");
    assert!(code(&wasm) == code(&named), "{} is of another build", path.display());
}

#[test]
fn is_small_enough_to_load_fast() {
    let size = wasm().len();
    assert!(size <= MAX_SIZE, "{size} bytes, {} too many", size.saturating_sub(MAX_SIZE));
}
