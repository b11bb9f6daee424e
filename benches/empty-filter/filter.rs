//! A filter that does nothing: every callback is the SDK's own, which lets the request or the response go on.
//!
//! Envoy still creates a context for each request and calls into the VM for headers, for each piece of a body, for the
//! end and for the log. That is what any filter of this kind pays, whatever it does.
#![cfg(target_os = "wasi")]
#![allow(missing_docs, reason = "what the macro exports")]

use proxy_wasm::traits::{Context, HttpContext, RootContext};
use proxy_wasm::types::{ContextType, LogLevel};

proxy_wasm::main! {{
    proxy_wasm::set_log_level(LogLevel::Warn);
    proxy_wasm::set_root_context(|_| Box::new(Empty));
}}

struct Empty;

impl Context for Empty {}

impl HttpContext for Empty {}

impl RootContext for Empty {
    fn create_http_context(&self, _: u32) -> Option<Box<dyn HttpContext>> {
        Some(Box::new(Self))
    }

    fn get_type(&self) -> Option<ContextType> {
        Some(ContextType::HttpContext)
    }
}
