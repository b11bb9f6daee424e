//! The data statuses of the ABI that the SDK's [`Action`] has no name for.
//!
//! A callback that gives such a status leaves it here and returns [`Action::Pause`] to the SDK. The export that hosts
//! call is the one below, which hands it on; `data_status.wat` gives it the name of the SDK's when the module is put
//! together, because two functions of one name cannot be linked.

#![allow(unsafe_code, reason = "an export by name, and a call of the one it takes the place of")]

use crate::exchange::held::Withhold;
use proxy_wasm::types::Action;
use std::cell::Cell;

/// `StopIterationAndWatermark`: what comes later is shown piece by piece, and the host bounds nothing by its size.
const STOP_AND_WATERMARK: u32 = 2;

thread_local! {
    /// The status of the callback under way, where it has one of its own.
    static STATUS: Cell<Option<u32>> = const { Cell::new(None) };
}

/// What the callback under way returns so that the host goes on as this says.
pub(super) fn withhold(withhold: Withhold) -> Action {
    match withhold {
        // `Pause` for a body is `StopIterationAndBuffer`.
        Withhold::Buffer => {}
        Withhold::Stream => STATUS.set(Some(STOP_AND_WATERMARK)),
    }
    Action::Pause
}

unsafe extern "C" {
    /// The SDK's export.
    fn proxy_on_request_body(context: u32, size: usize, end_of_stream: bool) -> Action;
}

/// The callback for a part of a request body.
#[unsafe(no_mangle)]
extern "C" fn waypost_on_request_body(context: u32, size: usize, end_of_stream: bool) -> u32 {
    // SAFETY: it is called as the host would, with what the host gave.
    let action = unsafe { proxy_on_request_body(context, size, end_of_stream) };
    STATUS.take().unwrap_or(action as u32)
}
