//! Every call to the host. Values are bytes; what a host does not have is `None`, what it refuses is logged.

use super::raw;
use crate::error::Reply;
use crate::exchange::head::Head;
use crate::telemetry::Kind;
use log::warn;
use proxy_wasm::hostcalls;
use proxy_wasm::types::{BufferType, MapType, MetricType};
use std::time::Duration;

/// More than any buffer holds, and still a positive length for hosts that count in 32 bits with a sign.
const EVERYTHING: usize = usize::MAX >> 1;

/// Reads all request headers in one call.
pub(super) fn request_headers() -> Head {
    Head::from_block(raw::headers(MapType::HttpRequestHeaders).unwrap_or_default())
}

/// Sets one request header.
pub(super) fn set_request_header(name: &str, value: &str) {
    if let Err(status) = hostcalls::set_map_value_bytes(MapType::HttpRequestHeaders, name, Some(value.as_bytes())) {
        warn!("setting the request header {name}: {status:?}");
    }
}

/// Removes every value of a request header.
pub(super) fn remove_request_header(name: &str) {
    if let Err(status) = hostcalls::remove_map_value(MapType::HttpRequestHeaders, name) {
        warn!("removing the request header {name}: {status:?}");
    }
}

/// Reads the first `size` bytes of the request body that the host has now.
pub(super) fn request_body(size: usize) -> Vec<u8> {
    buffer(BufferType::HttpRequestBody, size)
}

/// Replaces everything the host has of the request body now.
pub(super) fn replace_request_body(body: &[u8]) {
    if let Err(status) = hostcalls::set_buffer(BufferType::HttpRequestBody, 0, EVERYTHING, body) {
        warn!("replacing the request body: {status:?}");
    }
}

/// Reads all response headers in one call.
pub(super) fn response_headers() -> Head {
    Head::from_block(raw::headers(MapType::HttpResponseHeaders).unwrap_or_default())
}

/// Reads all request trailers in one call.
pub(super) fn request_trailers() -> Head {
    Head::from_block(raw::headers(MapType::HttpRequestTrailers).unwrap_or_default())
}

/// Removes every value of a request trailer.
pub(super) fn remove_request_trailer(name: &str) {
    if let Err(status) = hostcalls::remove_map_value(MapType::HttpRequestTrailers, name) {
        warn!("removing the request trailer {name}: {status:?}");
    }
}

/// Adds a value of a response header.
pub(super) fn add_response_header(name: &str, value: &[u8]) {
    if let Err(status) = hostcalls::add_map_value_bytes(MapType::HttpResponseHeaders, name, value) {
        warn!("adding the response header {name}: {status:?}");
    }
}

/// Removes every value of a response header.
pub(super) fn remove_response_header(name: &str) {
    if let Err(status) = hostcalls::remove_map_value(MapType::HttpResponseHeaders, name) {
        warn!("removing the response header {name}: {status:?}");
    }
}

/// Reads the chunk of the response body that passes now.
pub(super) fn response_body(size: usize) -> Vec<u8> {
    buffer(BufferType::HttpResponseBody, size)
}

/// Replaces the chunk of the response body that passes now.
pub(super) fn replace_response_body(body: &[u8]) {
    if let Err(status) = hostcalls::set_buffer(BufferType::HttpResponseBody, 0, EVERYTHING, body) {
        warn!("replacing the response body: {status:?}");
    }
}

/// Answers the request.
pub(super) fn reply(reply: &Reply) {
    let headers = reply.headers.iter().map(|(name, value)| (*name, value.as_ref())).collect();
    if let Err(error) = hostcalls::send_http_response(u32::from(reply.status), headers, Some(reply.body.as_bytes())) {
        warn!("sending a local reply: {error:?}");
    }
}

/// A property of the host, as text. The parts of its path have a NUL between them.
pub(super) fn property(path: &str) -> Option<String> {
    property_bytes(path).and_then(|bytes| String::from_utf8(bytes).ok())
}

/// Whether the client speaks HTTP/1, in which trailers come only where a header announces them.
pub(super) fn is_http1() -> bool {
    raw::property("request\0protocol").is_some_and(|protocol| protocol.starts_with(b"HTTP/1"))
}

/// The name of the route that serves the request.
pub(super) fn route() -> Option<String> {
    name("xds\0route_name", "route_name")
}

/// The name of the cluster that serves the request.
pub(super) fn cluster() -> Option<String> {
    name("xds\0cluster_name", "cluster_name")
}

/// A name that has another path on some hosts. One that is there and empty, as a route's may be, is not looked for a
/// second time.
fn name(path: &str, elsewhere: &str) -> Option<String> {
    let bytes = raw::property(path).or_else(|| raw::property(elsewhere))?;
    String::from_utf8(bytes).ok().filter(|text| !text.is_empty())
}

/// A property of the host that is a number.
pub(super) fn number(path: &str) -> Option<u64> {
    property_bytes(path).and_then(|bytes| bytes.try_into().ok()).map(u64::from_le_bytes)
}

/// How many bytes of headers, names and values, and body the host has received for this request, whether it has
/// delivered them or not. Measured on Envoy 1.36.4 and 1.40.0, also in chunks and as an upstream filter. `request.size`
/// will not do: it is the `content-length` where there is one.
pub(super) fn received() -> Option<u64> {
    number("request\0total_size")
}

/// A property of the host; an empty one counts as none.
pub(super) fn property_bytes(path: &str) -> Option<Vec<u8>> {
    raw::property(path).filter(|bytes| !bytes.is_empty())
}

/// Writes a property: filter state `wasm.<key>` on Envoy, some with a meaning of their own on Higress.
pub(super) fn set_property(key: &str, value: &[u8]) {
    if let Err(status) = raw::set_property(key, value) {
        warn!("setting the property {key}: status {status}");
    }
}

/// The configuration of this plugin.
pub(super) fn configuration(size: usize) -> Vec<u8> {
    buffer(BufferType::PluginConfiguration, size)
}

/// The first `size` bytes of a buffer. A body often ends with an empty piece, which costs the host as much as any.
fn buffer(kind: BufferType, size: usize) -> Vec<u8> {
    if size == 0 {
        return Vec::new();
    }
    hostcalls::get_buffer(kind, 0, size).ok().flatten().unwrap_or_default()
}

/// Nanoseconds by the host's monotonic clock, from a beginning of its own.
pub(super) fn now_ns() -> u64 {
    raw::monotonic_ns()
}

/// Has the root context called at this period; zero ends it.
pub(super) fn tick_every(period: Duration) {
    if let Err(status) = hostcalls::set_tick_period(period) {
        warn!("setting the tick period: {status:?}");
    }
}

/// Makes the calls that follow act on another context; false where it is gone.
pub(super) fn act_on(context: u32) -> bool {
    hostcalls::set_effective_context(context).is_ok()
}

/// Logs no more than the host wants, so that nothing is formatted in vain.
pub(super) fn adopt_log_level() {
    if let Ok(level) = hostcalls::get_log_level() {
        proxy_wasm::set_log_level(level);
    }
}

/// Defines a metric, or finds the one of that name.
pub(super) fn define_metric(kind: Kind, name: &str) -> Option<u32> {
    let kind = match kind {
        Kind::Counter => MetricType::Counter,
        Kind::Histogram => MetricType::Histogram,
    };
    let id = hostcalls::define_metric(kind, name);
    if let Err(status) = &id {
        warn!("defining the metric {name}: {status:?}");
    }
    id.ok()
}

/// Defines a gauge, or finds the one of that name.
pub(super) fn define_gauge(name: &str) -> Option<u32> {
    let id = hostcalls::define_metric(MetricType::Gauge, name);
    if let Err(status) = &id {
        warn!("defining the gauge {name}: {status:?}");
    }
    id.ok()
}

/// Adds to a gauge, which may be a negative number.
pub(super) fn change_gauge(id: u32, difference: i64) {
    if let Err(status) = hostcalls::increment_metric(id, difference) {
        warn!("changing a gauge: {status:?}");
    }
}

/// Adds to a counter, at least 1, or records in a histogram.
pub(super) fn count(kind: Kind, id: u32, value: u64) {
    let result = match kind {
        Kind::Counter => hostcalls::increment_metric(id, i64::try_from(value).unwrap_or(i64::MAX)),
        Kind::Histogram => hostcalls::record_metric(id, value),
    };
    if let Err(status) = result {
        warn!("counting: {status:?}");
    }
}

/// What all VMs of the process share under a key, with the version to write it back with.
pub(super) fn shared(key: &str) -> (Vec<u8>, Option<u32>) {
    let (bytes, version) = hostcalls::get_shared_data(key).unwrap_or_default();
    (bytes.unwrap_or_default(), version)
}

/// Writes what all VMs share, unless another VM was faster.
pub(super) fn share(key: &str, bytes: &[u8], version: Option<u32>) -> bool {
    hostcalls::set_shared_data(key, Some(bytes), version).is_ok()
}
