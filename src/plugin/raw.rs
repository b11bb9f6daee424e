//! The host functions that are called most, without what the SDK and the standard library do around them: two strings
//! are made of each header, the path of a property is put together anew for every call, and a clock that might fail
//! brings along the texts of all errors there are.

#![allow(unsafe_code, reason = "nothing but functions of the host, and the memory they hand over")]

use proxy_wasm::types::MapType;
use std::ptr;

/// What the host answers where all went well; anything else is an error of some kind.
const OK: u32 = 0;

#[link(wasm_import_module = "env")]
unsafe extern "C" {
    fn proxy_get_header_map_pairs(map: MapType, data: *mut *mut u8, size: *mut usize) -> u32;
    fn proxy_get_property(path: *const u8, path_size: usize, data: *mut *mut u8, size: *mut usize) -> u32;
    fn proxy_set_property(path: *const u8, path_size: usize, value: *const u8, value_size: usize) -> u32;
}

#[link(wasm_import_module = "wasi_snapshot_preview1")]
unsafe extern "C" {
    fn clock_time_get(clock: u32, precision: u64, time: *mut u64) -> u16;
}

/// Nanoseconds by the host's monotonic clock, from a beginning of its own.
pub(super) fn monotonic_ns() -> u64 {
    /// WASI's number of that clock.
    const MONOTONIC: u32 = 1;
    /// As exact as it is, in nanoseconds.
    const PRECISION: u64 = 1;
    let mut time = 0;
    // SAFETY: the host writes to the place it is given. If it fails, it does not.
    unsafe { clock_time_get(MONOTONIC, PRECISION, &raw mut time) };
    time
}

/// All headers, as the host serializes them.
pub(super) fn headers(map: MapType) -> Option<Vec<u8>> {
    // SAFETY: the host writes to the two places it is given, and nowhere else.
    taken(|data, size| unsafe { proxy_get_header_map_pairs(map, data, size) })
}

/// The value of a property. The parts of its path have a NUL between them.
pub(super) fn property(path: &str) -> Option<Vec<u8>> {
    // SAFETY: as above; the path is read while it is borrowed.
    taken(|data, size| unsafe { proxy_get_property(path.as_ptr(), path.len(), data, size) })
}

/// Writes a property; the error is the host's number for it.
pub(super) fn set_property(path: &str, value: &[u8]) -> Result<(), u32> {
    // SAFETY: the host reads both while they are borrowed.
    match unsafe { proxy_set_property(path.as_ptr(), path.len(), value.as_ptr(), value.len()) } {
        OK => Ok(()),
        status => Err(status),
    }
}

/// Takes over the bytes that a host function hands out, if it does.
fn taken(call: impl FnOnce(*mut *mut u8, *mut usize) -> u32) -> Option<Vec<u8>> {
    let (mut data, mut size) = (ptr::null_mut(), 0);
    if call(&raw mut data, &raw mut size) != OK {
        return None;
    }
    // For nothing, a host does not ask for memory.
    if data.is_null() {
        return Some(Vec::new());
    }
    // SAFETY: the host has them from the SDK's `proxy_on_memory_allocate`, a boxed slice of exactly this size, has
    // written all of them, and leaves them to the one who called.
    Some(unsafe { Vec::from_raw_parts(data, size, size) })
}
