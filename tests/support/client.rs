//! HTTP clients: one kept-alive connection over HTTP/1.1 or HTTP/2, and a raw socket for bytes no client would send.

use bytes::Bytes;
use http_body_util::{BodyExt as _, Full, combinators::BoxBody};
use hyper::body::Frame;
use hyper::header::HeaderMap;
use hyper::{Request, StatusCode, client::conn};
use hyper_util::rt::{TokioExecutor, TokioIo};
use std::convert::Infallible;
use std::future::Future as _;
use std::io;
use std::net::SocketAddr;
use std::pin::Pin;
use std::task::{Context, Poll, ready};
use std::time::Duration;
use tokio::io::{AsyncReadExt as _, AsyncWriteExt as _};
use tokio::net::TcpStream;
use tokio::time::{Sleep, sleep, timeout};

/// Limit for one exchange, from the first byte sent to the last one received.
pub const EXCHANGE_TIMEOUT: Duration = Duration::from_secs(20);

/// Request bodies of any kind: whole, in slow chunks, with trailers.
pub type RequestBody = BoxBody<Bytes, Infallible>;

/// A body that is sent at once.
pub fn whole(bytes: impl Into<Bytes>) -> RequestBody {
    Full::new(bytes.into()).boxed()
}

/// How a body in pieces ends.
#[derive(Clone, Debug)]
pub enum End {
    /// Together with the last piece: in HTTP/2 that frame carries END_STREAM.
    WithData,
    /// By itself, a moment later: an empty DATA frame, or the empty last chunk.
    Alone,
    /// By trailers.
    Trailers(HeaderMap),
}

/// The silence between two pieces of a body: long enough for what is sent to leave the socket.
const PIECE_PAUSE: Duration = Duration::from_millis(1);

/// A body that is sent in pieces of `size` bytes, each flushed to the socket before the next.
///
/// Its length is not announced unless the request has a `content-length`.
pub fn in_pieces(bytes: impl Into<Bytes>, size: usize, end: End) -> RequestBody {
    Pieces { rest: bytes.into(), size: size.max(1), end: Some(end), pause: None }.boxed()
}

struct Pieces {
    rest: Bytes,
    size: usize,
    /// What is still to come after the data.
    end: Option<End>,
    /// Between two pieces.
    pause: Option<Pin<Box<Sleep>>>,
}

impl hyper::body::Body for Pieces {
    type Data = Bytes;
    type Error = Infallible;

    fn poll_frame(
        mut self: Pin<&mut Self>,
        context: &mut Context<'_>,
    ) -> Poll<Option<Result<Frame<Bytes>, Infallible>>> {
        if let Some(pause) = &mut self.pause {
            ready!(pause.as_mut().poll(context));
        }
        if self.rest.is_empty() {
            return Poll::Ready(match self.end.take() {
                Some(End::Trailers(trailers)) => Some(Ok(Frame::trailers(trailers))),
                Some(End::WithData | End::Alone) | None => None,
            });
        }
        let size = self.size.min(self.rest.len());
        let piece = self.rest.split_to(size);
        if self.rest.is_empty() && matches!(self.end, Some(End::WithData)) {
            self.end = None;
        }
        self.pause = Some(Box::pin(sleep(PIECE_PAUSE)));
        Poll::Ready(Some(Ok(Frame::data(piece))))
    }

    fn is_end_stream(&self) -> bool {
        self.rest.is_empty() && self.end.is_none()
    }
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

/// A socket that sends exactly what it is given, and reads whole responses.
pub struct Raw {
    stream: TcpStream,
    received: Vec<u8>,
}

impl Raw {
    /// Connects.
    pub async fn connect(address: SocketAddr) -> io::Result<Self> {
        let stream = TcpStream::connect(address).await?;
        stream.set_nodelay(true)?;
        Ok(Self { stream, received: Vec::new() })
    }

    /// Sends these bytes at once.
    pub async fn send(&mut self, bytes: impl AsRef<[u8]>) -> io::Result<()> {
        let sent = timeout(EXCHANGE_TIMEOUT, self.stream.write_all(bytes.as_ref())).await;
        sent.map_err(|_| io::Error::new(io::ErrorKind::TimedOut, "the server does not read"))?
    }

    /// Reads the next response: its status, and all of its bytes. A response without body, such as `100 Continue`, ends
    /// with its head. What follows it stays for the next call.
    pub async fn response(&mut self) -> io::Result<(u16, Vec<u8>)> {
        let complete = async {
            loop {
                if let Some(length) = response_length(&self.received) {
                    let rest = self.received.split_off(length);
                    return Ok(std::mem::replace(&mut self.received, rest));
                }
                if self.stream.read_buf(&mut self.received).await? == 0 {
                    let got = String::from_utf8_lossy(&self.received);
                    return Err(io::Error::new(io::ErrorKind::UnexpectedEof, format!("only {got:?}")));
                }
            }
        };
        let response = timeout(EXCHANGE_TIMEOUT, complete).await;
        let response =
            response.map_err(|_| io::Error::new(io::ErrorKind::TimedOut, "no complete response in time"))??;
        let status = response.get(9..12).and_then(|digits| std::str::from_utf8(digits).ok()?.parse().ok());
        Ok((status.ok_or_else(|| io::Error::other("no status"))?, response))
    }
}

/// How many of the bytes are the first response, once it is complete.
fn response_length(bytes: &[u8]) -> Option<usize> {
    let head = find(bytes, b"\r\n\r\n")? + 4;
    let text = String::from_utf8_lossy(&bytes[..head]).to_ascii_lowercase();
    let body = if let Some((_, value)) = text.split_once("\r\ncontent-length:") {
        value.lines().next()?.trim().parse().ok()?
    } else if text.contains("\r\ntransfer-encoding: chunked") {
        find(&bytes[head..], b"0\r\n\r\n")? + 5
    } else {
        0
    };
    (bytes.len() >= head + body).then_some(head + body)
}

/// Where `wanted` begins.
pub fn find(bytes: &[u8], wanted: &[u8]) -> Option<usize> {
    bytes.windows(wanted.len()).position(|window| window == wanted)
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
