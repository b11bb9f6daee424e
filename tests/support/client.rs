//! HTTP clients: one kept-alive connection over HTTP/1.1 or HTTP/2, and a raw socket for bytes no client would send.

use bytes::Bytes;
use http_body_util::{BodyExt as _, Full, combinators::BoxBody};
use hyper::header::HeaderMap;
use hyper::{Request, StatusCode, client::conn};
use hyper_util::rt::{TokioExecutor, TokioIo};
use std::convert::Infallible;
use std::io;
use std::net::SocketAddr;
use std::time::Duration;
use tokio::io::{AsyncReadExt as _, AsyncWriteExt as _};
use tokio::net::TcpStream;
use tokio::time::timeout;

/// Limit for one exchange, from the first byte sent to the last one received.
pub const EXCHANGE_TIMEOUT: Duration = Duration::from_secs(20);

/// Request bodies of any kind: whole, in slow chunks, with trailers.
pub type RequestBody = BoxBody<Bytes, Infallible>;

/// A body that is sent at once.
pub fn whole(bytes: impl Into<Bytes>) -> RequestBody {
    Full::new(bytes.into()).boxed()
}

/// What came back, complete.
#[derive(Debug)]
pub struct Response {
    pub status: StatusCode,
    pub headers: HeaderMap,
    pub body: Bytes,
    pub trailers: HeaderMap,
}

impl Response {
    /// The body as text, for messages.
    pub fn text(&self) -> String {
        String::from_utf8_lossy(&self.body).into_owned()
    }
}

enum Sender {
    Http1(conn::http1::SendRequest<RequestBody>),
    Http2(conn::http2::SendRequest<RequestBody>),
}

/// A client with one connection, which it opens again when the server has closed it.
pub struct Client {
    address: SocketAddr,
    http2: bool,
    sender: Option<Sender>,
}

impl Client {
    /// HTTP/1.1 with keep-alive.
    pub fn http1(address: SocketAddr) -> Self {
        Self { address, http2: false, sender: None }
    }

    /// HTTP/2 in clear text, by prior knowledge. Requests need an absolute URI: `http://authority/path`.
    pub fn http2(address: SocketAddr) -> Self {
        Self { address, http2: true, sender: None }
    }

    /// `GET path` without further headers; for Envoy's admin interface.
    pub async fn get(&mut self, path: &str) -> io::Result<Response> {
        let request = Request::get(path).header("host", "localhost").body(whole(Bytes::new()));
        self.send(request.map_err(io::Error::other)?).await
    }

    /// Sends a request and reads the whole response.
    pub async fn send(&mut self, request: Request<RequestBody>) -> io::Result<Response> {
        let result = timeout(EXCHANGE_TIMEOUT, self.exchange(request)).await;
        if !matches!(result, Ok(Ok(_))) {
            // The connection is in an unknown state; the next request gets a new one.
            self.sender = None;
        }
        result.map_err(|_| io::Error::new(io::ErrorKind::TimedOut, "no complete response in time"))?
    }

    async fn exchange(&mut self, request: Request<RequestBody>) -> io::Result<Response> {
        let ready = match &mut self.sender {
            Some(Sender::Http1(sender)) => sender.ready().await.is_ok(),
            Some(Sender::Http2(sender)) => sender.ready().await.is_ok(),
            None => false,
        };
        if !ready {
            self.sender = Some(connect(self.address, self.http2).await?);
        }
        let response = match &mut self.sender {
            Some(Sender::Http1(sender)) => sender.send_request(request).await,
            Some(Sender::Http2(sender)) => sender.send_request(request).await,
            None => return Err(io::ErrorKind::NotConnected.into()),
        };
        let (head, body) = response.map_err(io::Error::other)?.into_parts();
        let collected = body.collect().await.map_err(io::Error::other)?;
        let trailers = collected.trailers().cloned().unwrap_or_default();
        Ok(Response { status: head.status, headers: head.headers, body: collected.to_bytes(), trailers })
    }
}

async fn connect(address: SocketAddr, http2: bool) -> io::Result<Sender> {
    let stream = TcpStream::connect(address).await?;
    stream.set_nodelay(true)?;
    let io = TokioIo::new(stream);
    // The connection's task ends when the client drops its sender.
    if http2 {
        let (sender, connection) = conn::http2::handshake(TokioExecutor::new(), io).await.map_err(io::Error::other)?;
        tokio::spawn(connection);
        Ok(Sender::Http2(sender))
    } else {
        let (sender, connection) = conn::http1::handshake(io).await.map_err(io::Error::other)?;
        tokio::spawn(connection);
        Ok(Sender::Http1(sender))
    }
}

/// Sends exactly these bytes on a new connection, and returns what comes back until the server closes or falls silent
/// for `silence`.
pub async fn raw_exchange(address: SocketAddr, request: &[u8], silence: Duration) -> io::Result<Vec<u8>> {
    let mut stream = TcpStream::connect(address).await?;
    // A server may refuse, answer and close before it has read everything; its answer counts, not our write error.
    let _ = timeout(EXCHANGE_TIMEOUT, stream.write_all(request)).await;
    let mut response = Vec::new();
    while let Ok(Ok(1..)) = timeout(silence, stream.read_buf(&mut response)).await {}
    Ok(response)
}
