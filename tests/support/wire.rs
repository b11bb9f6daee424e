//! An upstream that keeps every byte: for what a parser of HTTP would mend or hide.
//!
//! It answers each complete request with a fixed response, and a test reads afterwards what stood on each connection.

use super::client::find;
use std::net::{Ipv4Addr, SocketAddr};
use std::sync::{Arc, Mutex, PoisonError};
use tokio::io::{AsyncReadExt as _, AsyncWriteExt as _};
use tokio::net::{TcpListener, TcpStream};
use tokio::task::{JoinHandle, JoinSet};

const ANSWER: &[u8] = b"HTTP/1.1 200 OK\r\ncontent-type: application/json\r\ncontent-length: 2\r\n\r\n{}";

/// All bytes of each connection, in the order in which they were opened.
type Connections = Arc<Mutex<Vec<Vec<u8>>>>;

/// A running upstream. Dropping it closes its port and its connections.
#[derive(Debug)]
pub struct WireUpstream {
    address: SocketAddr,
    connections: Connections,
    accept: JoinHandle<()>,
}

/// An HTTP/1.1 request as it stood on the wire.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct WireRequest {
    /// Request line and headers.
    pub head: String,
    /// The body, without the framing of its chunks.
    pub body: Vec<u8>,
}

impl WireUpstream {
    /// On a free loopback port.
    pub async fn start() -> Self {
        let listener = TcpListener::bind((Ipv4Addr::LOCALHOST, 0)).await.expect("a free loopback port");
        let address = listener.local_addr().expect("an address");
        let connections = Connections::default();
        let accept = tokio::spawn(accept(listener, Arc::clone(&connections)));
        Self { address, connections, accept }
    }

    pub fn address(&self) -> SocketAddr {
        self.address
    }

    /// All bytes so far, connection by connection.
    pub fn bytes(&self) -> Vec<Vec<u8>> {
        self.connections.lock().unwrap_or_else(PoisonError::into_inner).clone()
    }
}

impl Drop for WireUpstream {
    fn drop(&mut self) {
        self.accept.abort();
    }
}

async fn accept(listener: TcpListener, connections: Connections) {
    // The set ends with this task, and every connection with the set.
    let mut tasks = JoinSet::new();
    loop {
        let Ok((stream, _)) = listener.accept().await else { continue };
        let index = {
            let mut connections = connections.lock().unwrap_or_else(PoisonError::into_inner);
            connections.push(Vec::new());
            connections.len() - 1
        };
        tasks.spawn(serve(stream, index, Arc::clone(&connections)));
    }
}

async fn serve(mut stream: TcpStream, index: usize, connections: Connections) {
    let mut answered = 0;
    let mut buffer = Vec::with_capacity(64 << 10);
    while let Ok(1..) = stream.read_buf(&mut buffer).await {
        let complete = {
            let mut connections = connections.lock().unwrap_or_else(PoisonError::into_inner);
            let bytes = &mut connections[index];
            bytes.append(&mut buffer);
            requests(bytes).0.len()
        };
        for _ in answered..complete {
            if stream.write_all(ANSWER).await.is_err() {
                return;
            }
        }
        answered = complete;
    }
}

/// The complete requests in these bytes, and what is left after them, which is no complete request.
pub fn requests(mut bytes: &[u8]) -> (Vec<WireRequest>, &[u8]) {
    let mut requests = Vec::new();
    while let Some((request, rest)) = request(bytes) {
        requests.push(request);
        bytes = rest;
    }
    (requests, bytes)
}

/// Strict: anything unusual is no request.
fn request(bytes: &[u8]) -> Option<(WireRequest, &[u8])> {
    let (head, rest) = bytes.split_at(find(bytes, b"\r\n\r\n")? + 4);
    let head = std::str::from_utf8(head).ok()?.to_owned();
    let mut lines = head.lines();
    let line: Vec<&str> = lines.next()?.split(' ').collect();
    let [method, target, "HTTP/1.1"] = line.as_slice() else { return None };
    if !method.bytes().all(|byte| byte.is_ascii_uppercase()) || !target.starts_with('/') {
        return None;
    }
    let header = |wanted: &str| {
        let mut values = head.lines().filter_map(|line| line.split_once(": ")).filter(|(name, _)| *name == wanted);
        (values.next().map(|(_, value)| value.to_owned()), values.next().is_none())
    };
    let (body, rest) = match (header("content-length"), header("transfer-encoding")) {
        ((Some(length), true), (None, _)) => {
            let (body, rest) = rest.split_at_checked(length.parse().ok()?)?;
            (body.to_vec(), rest)
        }
        ((None, _), (Some(encoding), true)) if encoding == "chunked" => chunks(rest)?,
        ((None, _), (None, _)) => (Vec::new(), rest),
        _ => return None,
    };
    Some((WireRequest { head, body }, rest))
}

fn chunks(mut bytes: &[u8]) -> Option<(Vec<u8>, &[u8])> {
    let mut body = Vec::new();
    loop {
        let (line, rest) = bytes.split_at(find(bytes, b"\r\n")?);
        let size = usize::from_str_radix(std::str::from_utf8(line).ok()?, 16).ok()?;
        let (chunk, rest) = rest[2..].split_at_checked(size)?;
        bytes = rest.strip_prefix(b"\r\n")?;
        if size == 0 {
            return Some((body, bytes));
        }
        body.extend_from_slice(chunk);
    }
}
