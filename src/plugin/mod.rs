//! The proxy-wasm filter: translates callbacks into the [`crate::exchange`] and its effects into host calls, nothing
//! else. `host` is the one file that calls the host, some of it through `raw`.

mod host;
mod http;
mod raw;
mod report;
mod root;
mod status;
mod vm;

use root::Root;

#[cfg(not(test))]
proxy_wasm::main! {{
    proxy_wasm::set_log_level(proxy_wasm::types::LogLevel::Info);
    proxy_wasm::set_root_context(|id| Box::new(Root::new(id)));
}}

/// Higress takes the first ABI marker it knows. Under this one it holds headers without holding back the body, as stock
/// Envoy does with `allow_on_headers_stop_iteration`; stock Envoy does not know it and takes the SDK's `0_2_1`. The
/// export has to stand before the SDK's, which a test asserts on the artifact.
#[allow(unsafe_code, reason = "an export by name cannot be written otherwise")]
#[unsafe(no_mangle)]
extern "C" fn proxy_abi_version_0_2_100() {}
