//! The other end of a WebSocket: an upstream that takes the upgrade, notes how it was asked, and echoes every message.

use futures_util::{SinkExt as _, StreamExt as _};
use std::io;
use std::net::{Ipv4Addr, SocketAddr};
use std::sync::{Arc, Mutex, PoisonError};
use tokio::net::{TcpListener, TcpStream};
use tokio::task::{JoinHandle, JoinSet};
use tokio_tungstenite::tungstenite::Message;
use tokio_tungstenite::tungstenite::handshake::server::{ErrorResponse, Request, Response};

/// A message with this text is not echoed: the upstream closes the connection.
pub const CLOSE: &str = "close";

/// A message with this text is not echoed: the upstream drops the connection without a word.
pub const HANG_UP: &str = "hang up";

/// How a WebSocket was asked for.
#[derive(Clone, Debug)]
pub struct Opened {
    /// Path and query, undecoded.
    pub path: String,
    /// In the order of arrival; names in lower case.
    pub headers: Vec<(String, String)>,
}

impl Opened {
    /// All values of a header.
    pub fn header(&self, name: &str) -> Vec<&str> {
        self.headers.iter().filter(|(key, _)| key == name).map(|(_, value)| value.as_str()).collect()
    }
}

/// A running echo server. Dropping it closes its port and its connections.
#[derive(Debug)]
pub struct Echo {
    address: SocketAddr,
    opened: Arc<Mutex<Vec<Opened>>>,
    accept: JoinHandle<()>,
}

impl Echo {
    /// On a free loopback port.
    pub async fn start() -> Self {
        let listener = TcpListener::bind((Ipv4Addr::LOCALHOST, 0)).await.expect("a free loopback port");
        let address = listener.local_addr().expect("an address");
        let opened = Arc::new(Mutex::new(Vec::new()));
        let accept = tokio::spawn(accept(listener, Arc::clone(&opened)));
        Self { address, opened, accept }
    }

    pub fn address(&self) -> SocketAddr {
        self.address
    }

    /// The WebSockets that were asked for since the last call.
    pub fn take(&self) -> Vec<Opened> {
        std::mem::take(&mut *self.opened.lock().unwrap_or_else(PoisonError::into_inner))
    }
}

impl Drop for Echo {
    fn drop(&mut self) {
        self.accept.abort();
    }
}

async fn accept(listener: TcpListener, opened: Arc<Mutex<Vec<Opened>>>) {
    let mut connections = JoinSet::new();
    loop {
        while connections.try_join_next().is_some() {}
        let Ok((stream, _)) = listener.accept().await else { continue };
        let opened = Arc::clone(&opened);
        // Errors are connections that clients break off.
        connections.spawn(async move { drop(serve(stream, opened).await) });
    }
}

#[allow(clippy::result_large_err, reason = "the library says what a callback returns")]
async fn serve(stream: TcpStream, opened: Arc<Mutex<Vec<Opened>>>) -> io::Result<()> {
    let note = |request: &Request, response: Response| -> Result<Response, ErrorResponse> {
        let text = |value: &[u8]| String::from_utf8_lossy(value).into_owned();
        let headers = request.headers().iter().map(|(name, value)| (name.to_string(), text(value.as_bytes())));
        let path = request.uri().path_and_query().map_or_else(String::new, ToString::to_string);
        let headers = headers.collect();
        opened.lock().unwrap_or_else(PoisonError::into_inner).push(Opened { path, headers });
        Ok(response)
    };
    let mut socket = tokio_tungstenite::accept_hdr_async(stream, note).await.map_err(io::Error::other)?;
    while let Some(message) = socket.next().await {
        match message.map_err(io::Error::other)? {
            Message::Text(text) if text.as_str() == CLOSE => return socket.close(None).await.map_err(io::Error::other),
            Message::Text(text) if text.as_str() == HANG_UP => return Ok(()),
            message @ (Message::Text(_) | Message::Binary(_)) => {
                socket.send(message).await.map_err(io::Error::other)?;
            }
            _ => {}
        }
    }
    Ok(())
}
