//! A rate limit service for Envoy's `ratelimit` filter: `envoy.service.ratelimit.v3.RateLimitService/ShouldRateLimit`
//! over gRPC, with the few protobuf fields it takes read and written by hand.
//!
//! It counts as the reference service (envoyproxy/ratelimit) does: a descriptor adds its own `hits_addend`, where 0 asks
//! and adds nothing; without one it adds the request's, and at least 1. It is over its limit when, after that, the count
//! is greater than the limit. Unlike there, a window ends when a test says so, not with the clock.

use bytes::{BufMut as _, Bytes, BytesMut};
use http_body_util::{BodyExt as _, Full, Limited, combinators::BoxBody};
use hyper::body::Incoming;
use hyper::header::{CONTENT_TYPE, HeaderMap, HeaderName, HeaderValue};
use hyper::{Request, Response, service::service_fn};
use hyper_util::rt::{TokioExecutor, TokioIo};
use std::collections::BTreeMap;
use std::convert::Infallible;
use std::future::ready;
use std::net::{Ipv4Addr, SocketAddr};
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};
use std::time::{Duration, Instant};
use tokio::net::TcpListener;
use tokio::task::{JoinHandle, JoinSet};
use tokio::time::sleep;

/// Largest request, in bytes. Envoy's are a few hundred.
const MAX_REQUEST: usize = 64 << 10;

/// Limit for [`RateLimit::wait_for_charges`].
const WAIT_TIMEOUT: Duration = Duration::from_secs(10);

/// Pause between two looks at the calls.
const POLL_INTERVAL: Duration = Duration::from_millis(5);

/// What the response says is left of the window, in seconds.
pub const RESET_SECONDS: u64 = 60;

const PATH: &str = "/envoy.service.ratelimit.v3.RateLimitService/ShouldRateLimit";

/// `RateLimitResponse.Code`.
const OK: u64 = 1;
const OVER_LIMIT: u64 = 2;

/// `RateLimitResponse.RateLimit.Unit`.
const MINUTE: u64 = 2;

/// One call, as it arrived.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Call {
    pub domain: String,
    pub descriptors: Vec<Descriptor>,
    /// For the descriptors without their own; 0 where the field is absent.
    pub hits_addend: u64,
}

/// What is counted.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Descriptor {
    /// Key and value, in the order of the filter's actions.
    pub entries: Vec<(String, String)>,
    /// `None` where the field is absent, which is not the same as 0.
    pub hits_addend: Option<u64>,
}

impl Call {
    /// Whether it adds something to a count.
    pub fn charges(&self) -> bool {
        self.descriptors.iter().any(|descriptor| descriptor.hits(self.hits_addend) > 0)
    }
}

impl Descriptor {
    fn hits(&self, of_request: u64) -> u64 {
        self.hits_addend.unwrap_or_else(|| of_request.max(1))
    }

    /// Its values, one after the other: `alice`, or `alice gpt-4o`.
    pub fn name(&self) -> String {
        self.entries.iter().map(|(_, value)| value.as_str()).collect::<Vec<_>>().join(" ")
    }
}

#[derive(Debug)]
struct Shared {
    /// By the keys of a descriptor: how much each set of values may use in a window. Others are not limited.
    limits: Vec<(Vec<&'static str>, u64)>,
    counts: Mutex<BTreeMap<Vec<(String, String)>, u64>>,
    calls: Mutex<Vec<Call>>,
}

/// A running service. Dropping it closes its port and its connections.
#[derive(Debug)]
pub struct RateLimit {
    address: SocketAddr,
    shared: Arc<Shared>,
    accept: JoinHandle<()>,
}

impl RateLimit {
    /// On a free loopback port, with a limit for each list of descriptor keys.
    pub async fn start(limits: &[(&[&'static str], u64)]) -> Self {
        let listener = TcpListener::bind((Ipv4Addr::LOCALHOST, 0)).await.expect("a free loopback port");
        let limits = limits.iter().map(|(keys, limit)| (keys.to_vec(), *limit)).collect();
        let shared = Arc::new(Shared { limits, counts: Mutex::default(), calls: Mutex::default() });
        let address = listener.local_addr().expect("an address");
        let accept = tokio::spawn(accept(listener, Arc::clone(&shared)));
        Self { address, shared, accept }
    }

    pub fn address(&self) -> SocketAddr {
        self.address
    }

    /// What was used in this window, by [`Descriptor::name`].
    pub fn used(&self) -> BTreeMap<String, u64> {
        let name = |entries: &[(String, String)]| Descriptor { entries: entries.to_vec(), hits_addend: None }.name();
        lock(&self.shared.counts).iter().map(|(entries, count)| (name(entries), *count)).collect()
    }

    /// Begins a new window: nothing is used.
    pub fn next_window(&self) {
        lock(&self.shared.counts).clear();
    }

    /// All calls so far.
    pub fn calls(&self) -> Vec<Call> {
        lock(&self.shared.calls).clone()
    }

    /// The calls that charge something, as soon as there are `count`; panics when they do not come. Envoy makes them
    /// after the client has its response.
    pub async fn wait_for_charges(&self, count: usize) -> Vec<Call> {
        let start = Instant::now();
        loop {
            let mut calls = self.calls();
            calls.retain(Call::charges);
            if calls.len() >= count {
                return calls;
            }
            assert!(start.elapsed() < WAIT_TIMEOUT, "waited for {count} charges, got {:?}", self.calls());
            sleep(POLL_INTERVAL).await;
        }
    }
}

impl Drop for RateLimit {
    fn drop(&mut self) {
        self.accept.abort();
    }
}

fn lock<T>(mutex: &Mutex<T>) -> MutexGuard<'_, T> {
    mutex.lock().unwrap_or_else(PoisonError::into_inner)
}

// -- gRPC -------------------------------------------------------------------------------------------------------------

async fn accept(listener: TcpListener, shared: Arc<Shared>) {
    // The set ends with this task, and every connection with the set.
    let mut connections = JoinSet::new();
    loop {
        while connections.try_join_next().is_some() {}
        let Ok((stream, _)) = listener.accept().await else {
            continue;
        };
        let shared = Arc::clone(&shared);
        connections.spawn(async move {
            let service = service_fn(|request| respond(request, Arc::clone(&shared)));
            let server = hyper::server::conn::http2::Builder::new(TokioExecutor::new());
            let _ = server.serve_connection(TokioIo::new(stream), service).await;
        });
    }
}

async fn respond(
    request: Request<Incoming>,
    shared: Arc<Shared>,
) -> Result<Response<BoxBody<Bytes, Infallible>>, Box<dyn std::error::Error + Send + Sync>> {
    assert_eq!(request.uri().path(), PATH);
    let body = Limited::new(request.into_body(), MAX_REQUEST).collect().await?.to_bytes();
    // A message has five bytes in front: whether it is compressed, and its length.
    let call = read_call(body.get(5..).unwrap_or_default());
    let response = limit(&call, &shared);
    lock(&shared.calls).push(call);

    let mut message = BytesMut::new();
    message.put_u8(0);
    message.put_u32(u32::try_from(response.len()).expect("a short message"));
    message.put_slice(&response);
    let status = (HeaderName::from_static("grpc-status"), HeaderValue::from_static("0"));
    let body = Full::new(message.freeze()).with_trailers(ready(Some(Ok(HeaderMap::from_iter([status])))));
    let mut response = Response::new(body.boxed());
    response.headers_mut().insert(CONTENT_TYPE, HeaderValue::from_static("application/grpc"));
    Ok(response)
}

/// Counts, and writes the response.
fn limit(call: &Call, shared: &Shared) -> Vec<u8> {
    let mut counts = lock(&shared.counts);
    let mut overall = OK;
    let mut statuses = Vec::new();
    for descriptor in &call.descriptors {
        let keys: Vec<_> = descriptor.entries.iter().map(|(key, _)| key.as_str()).collect();
        let Some((_, limit)) = shared.limits.iter().find(|(limited, _)| *limited == keys) else {
            statuses.push(write_number(1, OK));
            continue;
        };
        let used = counts.entry(descriptor.entries.clone()).or_default();
        *used += descriptor.hits(call.hits_addend);
        let code = if *used > *limit { OVER_LIMIT } else { OK };
        overall = overall.max(code);
        let current = [write_number(1, *limit), write_number(2, MINUTE)].concat();
        let left = write_number(3, limit.saturating_sub(*used));
        let reset = write_bytes(4, &write_number(1, RESET_SECONDS));
        statuses.push([write_number(1, code), write_bytes(2, &current), left, reset].concat());
    }
    let statuses = statuses.iter().flat_map(|status| write_bytes(2, status));
    write_number(1, overall).into_iter().chain(statuses).collect()
}

// -- Protobuf ---------------------------------------------------------------------------------------------------------

/// A field's value, of the two wire types that these messages have.
enum Field<'a> {
    Number(u64),
    Bytes(&'a [u8]),
}

impl Field<'_> {
    fn bytes(&self) -> &[u8] {
        let Field::Bytes(bytes) = self else { panic!("a number where bytes are expected") };
        bytes
    }

    fn number(&self) -> u64 {
        let Field::Number(number) = self else { panic!("bytes where a number is expected") };
        *number
    }

    fn text(&self) -> String {
        String::from_utf8_lossy(self.bytes()).into_owned()
    }
}

fn read_call(message: &[u8]) -> Call {
    let mut call = Call::default();
    for (number, field) in fields(message) {
        match number {
            1 => call.domain = field.text(),
            2 => call.descriptors.push(read_descriptor(field.bytes())),
            3 => call.hits_addend = field.number(),
            _ => panic!("field {number} of RateLimitRequest is not known"),
        }
    }
    call
}

fn read_descriptor(message: &[u8]) -> Descriptor {
    let mut descriptor = Descriptor::default();
    for (number, field) in fields(message) {
        match number {
            1 => {
                let mut entry = (String::new(), String::new());
                for (number, field) in fields(field.bytes()) {
                    *(if number == 1 { &mut entry.0 } else { &mut entry.1 }) = field.text();
                }
                descriptor.entries.push(entry);
            }
            // A message around a number, which tells 0 from absent.
            3 => descriptor.hits_addend = Some(fields(field.bytes()).first().map_or(0, |(_, field)| field.number())),
            _ => panic!("field {number} of RateLimitDescriptor is not known"),
        }
    }
    descriptor
}

fn fields(mut rest: &[u8]) -> Vec<(u64, Field<'_>)> {
    let mut fields = Vec::new();
    while !rest.is_empty() {
        let key = read_varint(&mut rest);
        let value = read_varint(&mut rest);
        let field = match key & 7 {
            0 => Field::Number(value),
            2 => {
                let (bytes, after) = rest.split_at(usize::try_from(value).expect("a length"));
                rest = after;
                Field::Bytes(bytes)
            }
            other => panic!("wire type {other}"),
        };
        fields.push((key >> 3, field));
    }
    fields
}

fn read_varint(rest: &mut &[u8]) -> u64 {
    let mut value = 0;
    for shift in (0..64).step_by(7) {
        let (byte, after) = rest.split_first().expect("a whole number");
        *rest = after;
        value |= u64::from(byte & 0x7f) << shift;
        if byte & 0x80 == 0 {
            return value;
        }
    }
    panic!("a number of more than 64 bits");
}

fn write_varint(mut value: u64) -> Vec<u8> {
    let mut bytes = Vec::new();
    while value > 0x7f {
        bytes.push(u8::try_from(value & 0x7f).expect("seven bits") | 0x80);
        value >>= 7;
    }
    bytes.push(u8::try_from(value).expect("seven bits"));
    bytes
}

fn write_number(field: u64, value: u64) -> Vec<u8> {
    [write_varint(field << 3), write_varint(value)].concat()
}

fn write_bytes(field: u64, bytes: &[u8]) -> Vec<u8> {
    [write_varint(field << 3 | 2), write_varint(bytes.len() as u64), bytes.to_vec()].concat()
}
