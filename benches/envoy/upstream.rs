//! The upstream: reads the request to its end, looks at where it arrived and how long it was, and answers always the
//! same. It keeps no request, and copies no body except the one that is asked for.

use crate::exchanges::Reply;
use crate::{Failed, load::CONNECTION_HEADER};
use bytes::Bytes;
use http_body_util::{BodyExt as _, Full, combinators::BoxBody};
use hyper::body::{Frame, Incoming};
use hyper::header::CONTENT_TYPE;
use hyper::{Request, Response, service::service_fn};
use hyper_util::rt::TokioIo;
use serde_json::Value;
use std::convert::Infallible;
use std::net::{Ipv4Addr, SocketAddr};
use std::pin::Pin;
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};
use std::task::{Context, Poll};
use tokio::net::TcpListener;
use tokio::sync::{Notify, mpsc};
use tokio::task::{JoinHandle, JoinSet};

/// What every request of a cell looks like.
#[derive(Clone, Debug, Eq, PartialEq)]
pub(crate) struct Arrival {
    pub(crate) authority: String,
    pub(crate) path: String,
    /// Of the body, in bytes.
    pub(crate) length: usize,
}

/// A request in full.
#[derive(Clone, Debug, Default)]
pub(crate) struct Captured {
    pub(crate) authority: String,
    pub(crate) path: String,
    headers: Vec<(String, Vec<u8>)>,
    pub(crate) body: Vec<u8>,
}

impl Captured {
    pub(crate) fn header(&self, name: &str) -> Option<&[u8]> {
        self.headers.iter().find(|(key, _)| key == name).map(|(_, value)| value.as_slice())
    }

    pub(crate) fn json(&self) -> Result<Value, Failed> {
        Ok(serde_json::from_slice(&self.body)?)
    }

    pub(crate) fn arrival(&self) -> Arrival {
        Arrival { authority: self.authority.clone(), path: self.path.clone(), length: self.body.len() }
    }
}

/// Lets a client say that it has an event, and the upstream wait for that.
#[derive(Debug, Default)]
pub(crate) struct Gate(Notify);

impl Gate {
    pub(crate) fn open(&self) {
        self.0.notify_one();
    }
}

/// What a connection is to do, and what it did.
#[derive(Debug)]
struct State {
    reply: Reply,
    /// None: the next request is captured.
    expected: Option<Arrival>,
    captured: Option<Captured>,
    requests: u32,
    wrong: Option<Arrival>,
}

#[derive(Debug)]
struct Shared {
    state: Mutex<State>,
    gates: Vec<Gate>,
}

impl Shared {
    fn lock(&self) -> MutexGuard<'_, State> {
        self.state.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

/// A running upstream. Dropping it closes its port and its connections.
pub(crate) struct Upstream {
    pub(crate) address: SocketAddr,
    shared: Arc<Shared>,
    accept: JoinHandle<()>,
}

impl Drop for Upstream {
    fn drop(&mut self) {
        self.accept.abort();
    }
}

impl Upstream {
    /// With a [`Gate`] for each of so many connections of a client.
    pub(crate) async fn listen(connections: usize) -> Result<Self, Failed> {
        let listener = TcpListener::bind((Ipv4Addr::LOCALHOST, 0)).await?;
        let state =
            State { reply: Reply::Json(Bytes::new()), expected: None, captured: None, requests: 0, wrong: None };
        let gates = (0..connections).map(|_| Gate::default()).collect();
        let shared = Arc::new(Shared { state: Mutex::new(state), gates });
        let address = listener.local_addr()?;
        let accept = tokio::spawn(accept(listener, Arc::clone(&shared)));
        Ok(Self { address, shared, accept })
    }

    /// Answers with this from now on, and captures the next request.
    pub(crate) fn answer(&self, reply: Reply) {
        let mut state = self.shared.lock();
        (state.reply, state.expected, state.captured) = (reply, None, None);
    }

    /// The captured request.
    pub(crate) fn captured(&self) -> Option<Captured> {
        self.shared.lock().captured.take()
    }

    /// Counts requests from 0, and compares each with what is expected.
    pub(crate) fn expect(&self, arrival: &Arrival) {
        let mut state = self.shared.lock();
        (state.expected, state.requests, state.wrong) = (Some(arrival.clone()), 0, None);
    }

    /// How many requests arrived since, if they all were what was expected.
    pub(crate) fn arrived(&self) -> Result<u32, Failed> {
        let state = self.shared.lock();
        state.wrong.as_ref().map_or(Ok(state.requests), |wrong| Err(format!("{wrong:?} arrived").into()))
    }

    /// For the client of that number.
    pub(crate) fn gate(&self, connection: usize) -> impl Fn() + use<> {
        let shared = Arc::clone(&self.shared);
        move || {
            if let Some(gate) = shared.gates.get(connection) {
                gate.open();
            }
        }
    }
}

async fn accept(listener: TcpListener, shared: Arc<Shared>) {
    let mut connections = JoinSet::new();
    while let Ok((stream, _)) = listener.accept().await {
        let _ = stream.set_nodelay(true);
        let shared = Arc::clone(&shared);
        connections.spawn(async move {
            let service = service_fn(|request| answer(request, Arc::clone(&shared)));
            // Ends when Envoy closes the connection, with or without an error.
            let _ = hyper::server::conn::http1::Builder::new().serve_connection(TokioIo::new(stream), service).await;
        });
        while connections.try_join_next().is_some() {}
    }
}

type Body = BoxBody<Bytes, Infallible>;

async fn answer(request: Request<Incoming>, shared: Arc<Shared>) -> Result<Response<Body>, hyper::Error> {
    let (parts, mut body) = request.into_parts();
    let capture = shared.lock().expected.is_none();
    let text = |value: Option<&hyper::header::HeaderValue>| {
        value.and_then(|value| value.to_str().ok()).unwrap_or_default().to_owned()
    };
    let mut length = 0_usize;
    let mut bytes = Vec::new();
    while let Some(frame) = body.frame().await {
        if let Some(data) = frame?.data_ref() {
            length = length.saturating_add(data.len());
            if capture {
                bytes.extend_from_slice(data);
            }
        }
    }
    let path = parts.uri.path_and_query().map_or(String::new(), ToString::to_string);
    let arrival = Arrival { authority: text(parts.headers.get("host")), path, length };
    let reply = {
        let mut state = shared.lock();
        state.requests = state.requests.saturating_add(1);
        if state.expected.as_ref().is_some_and(|expected| *expected != arrival) {
            state.wrong = Some(arrival.clone());
        }
        if capture {
            let headers = parts.headers.iter().map(|(name, value)| (name.to_string(), value.as_bytes().to_vec()));
            let Arrival { authority, path, .. } = arrival;
            state.captured = Some(Captured { authority, path, headers: headers.collect(), body: bytes });
        }
        state.reply.clone()
    };
    let (kind, body) = match reply {
        Reply::Json(bytes) => ("application/json", Full::new(bytes).boxed()),
        Reply::Events(events) => ("text/event-stream", Ready(events.into_iter()).boxed()),
        Reply::Lockstep(events) => {
            let (sender, receiver) = mpsc::channel(1);
            let connection = text(parts.headers.get(CONNECTION_HEADER)).parse().unwrap_or_default();
            tokio::spawn(lockstep(events, sender, Arc::clone(&shared), connection));
            ("text/event-stream", Received(receiver).boxed())
        }
    };
    let mut response = Response::new(body);
    response.headers_mut().insert(CONTENT_TYPE, hyper::header::HeaderValue::from_static(kind));
    Ok(response)
}

/// Ends early when the client is gone, for then nobody reads what is sent.
async fn lockstep(events: Vec<Bytes>, sender: mpsc::Sender<Bytes>, shared: Arc<Shared>, connection: usize) {
    let Some(gate) = shared.gates.get(connection) else { return };
    let last = events.len().saturating_sub(1);
    for (index, event) in events.into_iter().enumerate() {
        if sender.send(event).await.is_err() {
            return;
        }
        // The client may never see the last one: a filter may hide the usage.
        if index < last {
            tokio::select! {
                () = gate.0.notified() => {}
                () = sender.closed() => return,
            }
        }
    }
}

/// Pieces that are all there.
struct Ready(std::vec::IntoIter<Bytes>);

impl hyper::body::Body for Ready {
    type Data = Bytes;
    type Error = Infallible;

    fn poll_frame(mut self: Pin<&mut Self>, _: &mut Context<'_>) -> Poll<Option<Result<Frame<Bytes>, Infallible>>> {
        Poll::Ready(self.0.next().map(|bytes| Ok(Frame::data(bytes))))
    }
}

/// Pieces that come one by one.
struct Received(mpsc::Receiver<Bytes>);

impl hyper::body::Body for Received {
    type Data = Bytes;
    type Error = Infallible;

    fn poll_frame(
        mut self: Pin<&mut Self>,
        context: &mut Context<'_>,
    ) -> Poll<Option<Result<Frame<Bytes>, Infallible>>> {
        self.0.poll_recv(context).map(|bytes| bytes.map(|bytes| Ok(Frame::data(bytes))))
    }
}
