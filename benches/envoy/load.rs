//! The client: closed loops over kept-alive HTTP/1.1 connections, each of which sends a request when it has the whole
//! answer to the one before.
//!
//! The protocol is hyper's. A load generator of its own would be another process on a machine whose second core the
//! upstream needs, could not take turns between several Envoys in cells of a few hundred milliseconds, and would not
//! see that a request arrived as it should.

use crate::Failed;
use crate::exchanges::Exchange;
use crate::upstream::Upstream;
use crate::variants::CLIENT_AUTHORITY;
use bytes::Bytes;
use http_body_util::{BodyExt as _, Full};
use hyper::Request;
use hyper::client::conn::http1::{SendRequest, handshake};
use hyper_util::rt::TokioIo;
use std::net::SocketAddr;
use std::time::{Duration, Instant};
use tokio::net::TcpStream;
use tokio::task::JoinSet;
use tokio::time::timeout;

/// Tells the upstream which connection of the client a request came by.
pub(crate) const CONNECTION_HEADER: &str = "x-bench-connection";

/// Limit for one exchange, so that a filter that holds something back for ever ends the run.
const EXCHANGE_TIMEOUT: Duration = Duration::from_secs(20);

/// The fewest requests of a connection in a cell, however long they take.
const MIN_REQUESTS: usize = 3;

/// What one request took, from the first byte written.
#[derive(Clone, Copy, Debug)]
pub(crate) struct Timing {
    /// To the first bytes of the response's body.
    pub(crate) first_byte: Duration,
    pub(crate) whole: Duration,
    /// Of the response's body.
    pub(crate) length: usize,
}

/// A kept-alive connection to an Envoy.
pub(crate) struct Connection {
    number: usize,
    sender: SendRequest<Full<Bytes>>,
}

impl Connection {
    pub(crate) async fn open(address: SocketAddr, number: usize) -> Result<Self, Failed> {
        let stream = TcpStream::connect(address).await?;
        stream.set_nodelay(true)?;
        let (sender, connection) = handshake(TokioIo::new(stream)).await?;
        // The task ends when the sender is dropped.
        tokio::spawn(connection);
        Ok(Self { number, sender })
    }

    /// Sends a request and reads the whole response; `seen` is called for each piece of it.
    pub(crate) async fn send(&mut self, exchange: &Exchange, seen: &impl Fn()) -> Result<Timing, Failed> {
        let request = Request::post(exchange.path)
            .header("host", CLIENT_AUTHORITY)
            .header("user-agent", "waypost-bench")
            .header("accept", "application/json")
            .header("authorization", "Bearer client-token")
            .header("content-type", "application/json")
            .header(CONNECTION_HEADER, self.number)
            .body(Full::new(exchange.body.clone()))?;
        let start = Instant::now();
        let run = async {
            self.sender.ready().await?;
            let mut response = self.sender.send_request(request).await?;
            let (mut first_byte, mut length) = (None, 0_usize);
            while let Some(frame) = response.frame().await {
                if let Some(data) = frame?.data_ref() {
                    first_byte.get_or_insert_with(|| start.elapsed());
                    length = length.saturating_add(data.len());
                    seen();
                }
            }
            if response.status() != 200 {
                return Err(format!("answered with {}", response.status()).into());
            }
            let whole = start.elapsed();
            Ok(Timing { first_byte: first_byte.unwrap_or(whole), whole, length })
        };
        timeout(EXCHANGE_TIMEOUT, run).await.map_err(|_| "no complete answer in time")?
    }
}

/// Sends over all connections at once, for so long, and returns what each request took.
pub(crate) async fn closed_loops(
    connections: &mut Vec<Connection>,
    exchange: &Exchange,
    upstream: &Upstream,
    time: Duration,
) -> Result<Vec<Timing>, Failed> {
    let end = Instant::now().checked_add(time).ok_or("a cell without end")?;
    let mut loops = JoinSet::new();
    for mut connection in connections.drain(..) {
        let (exchange, seen) = (exchange.clone(), upstream.gate(connection.number));
        loops.spawn(async move {
            let mut timings = Vec::new();
            while timings.len() < MIN_REQUESTS || Instant::now() < end {
                timings.push(connection.send(&exchange, &seen).await?);
            }
            Ok::<_, Failed>((connection, timings))
        });
    }
    let mut all = Vec::new();
    while let Some(done) = loops.join_next().await {
        let (connection, timings) = done??;
        connections.push(connection);
        all.extend(timings);
    }
    Ok(all)
}
