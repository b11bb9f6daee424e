//! WebSockets through a real Envoy: the headers of the upgrade are decided, and what follows passes as it is.
//!
//! Client and upstream are a WebSocket library, so that each test is what Codex and realtime clients do.
#![cfg(not(target_family = "wasm"))]
#![allow(
    clippy::expect_used,
    clippy::indexing_slicing,
    clippy::panic,
    reason = "a test that meets something unexpected fails"
)]

mod support;

use bytes::Bytes;
use futures_util::{SinkExt as _, StreamExt as _};
use http_body_util::Empty;
use hyper::Request;
use hyper_util::rt::{TokioExecutor, TokioIo};
use serde_json::{Value, json};
use std::time::Duration;
use support::record::{Line, logged};
use support::websocket::{CLOSE, Echo, HANG_UP, Opened};
use support::{Envoy, EnvoyConfig, raw_exchange};
use tokio::io::{AsyncRead, AsyncWrite};
use tokio::net::TcpStream;
use tokio::time::sleep;
use tokio_tungstenite::WebSocketStream;
use tokio_tungstenite::tungstenite::Message;
use tokio_tungstenite::tungstenite::client::IntoClientRequest as _;
use tokio_tungstenite::tungstenite::protocol::Role;

/// The credential that each client sends, and that no upstream may see.
const CLIENT_SECRET: &str = "client-secret";

/// The operator's.
const TOKEN: &str = "operator-token";

/// How long a session is left open, to be found in its record.
const SESSION: Duration = Duration::from_millis(300);

/// The headers that a client sends beside those of the WebSocket itself.
type Fields<'f> = &'f [(&'static str, &'f str)];

struct Gateway {
    envoy: Envoy,
    upstream: Echo,
}

impl Gateway {
    /// The shipped Envoy configuration with this provider.
    async fn start(provider: &Value) -> Self {
        Self::start_with(provider, |config| config).await
    }

    async fn start_with(provider: &Value, change: impl FnOnce(EnvoyConfig) -> EnvoyConfig) -> Self {
        let upstream = Echo::start().await;
        let mut provider = provider.clone();
        provider["apiTokens"] = json!([TOKEN]);
        let config = logged(EnvoyConfig::new(upstream.address()).waypost(&json!({ "provider": provider })));
        let envoy = Envoy::start(change(config)).await.unwrap_or_else(|error| panic!("{error}"));
        Self { envoy, upstream }
    }

    async fn open(&self, path: &str, fields: Fields<'_>) -> WebSocketStream<TcpStream> {
        let mut request = format!("ws://{}{path}", self.envoy.address()).into_client_request().expect("a request");
        request.headers_mut().insert("authorization", format!("Bearer {CLIENT_SECRET}").parse().expect("a value"));
        for (name, value) in fields {
            request.headers_mut().insert(*name, value.parse().expect("a value"));
        }
        let stream = TcpStream::connect(self.envoy.address()).await.expect("a connection");
        let (socket, response) = tokio_tungstenite::client_async(request, stream).await.expect("a WebSocket");
        assert_eq!(response.status(), 101);
        socket
    }

    /// The one upgrade that arrived. Exactly one credential came with it, and it is the operator's.
    fn opened(&self) -> Opened {
        let mut opened = self.upstream.take();
        let Some(one) = opened.pop().filter(|_| opened.is_empty()) else { panic!("not one upgrade arrived") };
        let shown = format!("{one:?}");
        assert!(!shown.contains(CLIENT_SECRET), "the client's credential arrived: {shown}");
        assert_eq!(shown.matches(TOKEN).count(), 1, "not one credential: {shown}");
        one
    }

    /// The record of the one session, which has ended by now.
    async fn record(&self, expected: &Value) -> Value {
        let lines = self.envoy.wait_for_access_log(1).await;
        assert_eq!(lines.len(), 1, "{lines:?}");
        let line = Line(lines[0].clone());
        line.assert_has(expected, "record");
        assert_eq!(self.envoy.complaints(), Vec::<String>::new());
        line.record()
    }
}

/// Sends messages of both kinds and of several lengths, and gets each of them back as it was.
async fn talk<S: AsyncRead + AsyncWrite + Unpin>(socket: &mut WebSocketStream<S>) {
    let create = json!({"type": "response.create", "model": "gpt-4o", "max_output_tokens": 9000, "input": []});
    let long = "x".repeat(100_000);
    let messages = [Message::text(create.to_string()), Message::binary(vec![0, 255, 13, 10]), Message::text(long)];
    for message in messages {
        socket.send(message.clone()).await.expect("an open WebSocket");
        assert_eq!(socket.next().await.expect("an echo").expect("a frame"), message);
    }
}

/// What every session leaves behind.
fn session(operation: &str) -> Value {
    json!({
        "operation": operation, "status": 101, "usage_source": "none", "usage_missing": "tunnel",
        "aborted": null, "error_source": null, "error_code": null, "output_token": null,
    })
}

/// Providers whose settings would have a body read, held or edited.
fn providers() -> Vec<Value> {
    let azure = "https://res.openai.azure.com?api-version=2025-04-01-preview";
    vec![
        json!({"type": "openai", "modelMapping": {"gpt-4o": "up-4o"}}),
        json!({"type": "openai", "modelMapping": {"*": ""}, "holdHeaders": true}),
        json!({"type": "openai", "params": [{"op": "clamp", "key": "max_output_tokens", "value": {"max": 1}}]}),
        json!({"type": "azure", "azureServiceUrl": azure, "modelMapping": {"gpt-4o": "up-4o"}}),
    ]
}

#[tokio::test]
async fn codex_talks_through_a_websocket_whatever_is_set_for_bodies() {
    for provider in providers() {
        let gateway = Gateway::start(&provider).await;
        let beta = "responses_websockets=2026-02-06";
        let mut socket = gateway.open("/v1/responses", &[("openai-beta", beta), ("session-id", "s-1")]).await;
        talk(&mut socket).await;
        sleep(SESSION).await;
        socket.close(None).await.expect("a close frame");
        drop(socket);
        let opened = gateway.opened();
        let expected = if provider["type"] == "azure" {
            "/openai/responses?api-version=2025-04-01-preview"
        } else {
            "/v1/responses"
        };
        assert_eq!(opened.path, expected, "{provider}");
        assert_eq!(opened.header("openai-beta"), [beta]);
        let record = gateway.record(&session("responses")).await;
        let duration = record["llm_service_duration"].as_u64().unwrap_or_default();
        assert!(u128::from(duration) >= SESSION.as_millis(), "{record}");
    }
}

#[tokio::test]
async fn a_session_is_complete_whoever_ends_it_and_however() {
    let gateway = Gateway::start(&json!({"type": "openai"})).await;
    let mut ended = 0;
    for end in ["client closes", "client hangs up", "upstream closes", "upstream hangs up"] {
        let mut socket = gateway.open("/v1/responses", &[]).await;
        talk(&mut socket).await;
        match end {
            "client closes" => socket.close(None).await.expect("a close frame"),
            "upstream closes" | "upstream hangs up" => {
                let message = if end == "upstream closes" { CLOSE } else { HANG_UP };
                socket.send(Message::text(message)).await.expect("an open WebSocket");
                while let Some(Ok(_)) = socket.next().await {}
            }
            _ => {}
        }
        drop(socket);
        ended += 1;
        let lines = gateway.envoy.wait_for_access_log(ended).await;
        assert_eq!(lines.len(), ended, "{end}: {lines:?}");
        Line(lines[ended - 1].clone()).assert_has(&session("responses"), end);
    }
}

#[tokio::test]
async fn the_model_of_a_realtime_session_is_mapped_in_the_query_and_recorded() {
    let azure = |url: &str| json!({"type": "azure", "azureServiceUrl": url});
    let preview = "https://res.openai.azure.com?api-version=2025-04-01-preview";
    for (mut provider, path, expected) in [
        (json!({"type": "openai"}), "/v1/realtime?x=1&model=rt&y=", "/v1/realtime?x=1&model=vendor%2Fgpt-realtime&y="),
        (json!({"type": "openai"}), "/v1/realtime?mod%65l=%72t", "/v1/realtime?model=vendor%2Fgpt-realtime"),
        (
            azure(preview),
            "/v1/realtime?model=rt",
            "/openai/realtime?deployment=vendor%2Fgpt-realtime&api-version=2025-04-01-preview",
        ),
        (
            azure("https://res.openai.azure.com/openai/v1"),
            "/openai/realtime?deployment=rt",
            "/openai/v1/realtime?deployment=vendor%2Fgpt-realtime",
        ),
    ] {
        provider["modelMapping"] = json!({"rt": "vendor/gpt-realtime"});
        let gateway = Gateway::start(&provider).await;
        let mut socket = gateway.open(path, &[]).await;
        talk(&mut socket).await;
        drop(socket);
        assert_eq!(gateway.opened().path, expected, "{provider}");
        let mut record = session("realtime");
        record["request_model"] = json!("rt");
        record["upstream_model"] = json!("vendor/gpt-realtime");
        record["mapping_rule"] = json!("rt");
        gateway.record(&record).await;
    }
}

#[tokio::test]
async fn a_websocket_over_http2_is_a_tunnel_too() {
    let provider = json!({"type": "openai", "modelMapping": {"gpt-4o": "up-4o"}, "holdHeaders": true});
    let gateway = Gateway::start_with(&provider, |config| {
        config.http_field("http2_protocol_options", json!({"allow_connect": true}))
    })
    .await;
    let stream = TcpStream::connect(gateway.envoy.address()).await.expect("a connection");
    let (mut sender, connection) =
        hyper::client::conn::http2::handshake(TokioExecutor::new(), TokioIo::new(stream)).await.expect("HTTP/2");
    let connection = tokio::spawn(connection);
    let request = || {
        Request::connect("http://gw/v1/responses")
            .extension(hyper::ext::Protocol::from_static("websocket"))
            .header("sec-websocket-version", "13")
            // RFC 8441 needs none, but an upstream that speaks HTTP/1.1 does, and Envoy invents none.
            .header("sec-websocket-key", "dGhlIHNhbXBsZSBub25jZQ==")
            .header("authorization", format!("Bearer {CLIENT_SECRET}"))
            .body(Empty::<Bytes>::new())
            .expect("a request")
    };
    // The server says in its first frame whether it takes extended CONNECT, and the client must have read it.
    sleep(Duration::from_millis(100)).await;
    let response = sender.send_request(request()).await.expect("a response");
    assert_eq!(response.status(), 200);
    let upgraded = hyper::upgrade::on(response).await.expect("a tunnel");
    let mut socket = WebSocketStream::from_raw_socket(TokioIo::new(upgraded), Role::Client, None).await;
    talk(&mut socket).await;
    socket.close(None).await.expect("a close frame");
    drop((socket, sender));
    connection.abort();
    assert_eq!(gateway.opened().path, "/v1/responses");
    gateway.record(&session("responses")).await;
}

#[tokio::test]
async fn a_websocket_passes_an_upstream_filter_too() {
    let provider = json!({"type": "openai", "modelMapping": {"gpt-4o": "up-4o"}});
    let gateway = Gateway::start_with(&provider, EnvoyConfig::upstream_filter).await;
    let mut socket = gateway.open("/v1/responses", &[]).await;
    talk(&mut socket).await;
    socket.close(None).await.expect("a close frame");
    drop(socket);
    assert_eq!(gateway.opened().path, "/v1/responses");
}

/// Behind the headers of an upgrade Envoy forwards bytes as they are, so a body could pass every rule.
#[tokio::test]
async fn the_headers_of_an_upgrade_carry_no_body_past_the_rules() {
    let provider = json!({"type": "openai", "modelMapping": {"gpt-4o": "up-4o"}});
    let gateway = Gateway::start(&provider).await;
    let body = r#"{"model":"gpt-4o","messages":[]}"#;
    let request = format!(
        "POST /v1/chat/completions HTTP/1.1\r\nhost: gw\r\nconnection: upgrade\r\nupgrade: websocket\r\n\
         content-type: application/json\r\ncontent-length: {}\r\n\r\n{body}",
        body.len()
    );
    let answer = raw_exchange(gateway.envoy.address(), request.as_bytes(), SESSION).await.expect("a connection");
    let answer = String::from_utf8_lossy(&answer).into_owned();
    assert!(answer.starts_with("HTTP/1.1 400") && answer.contains("invalid_upgrade"), "{answer}");
    assert!(gateway.upstream.take().is_empty(), "it arrived");
}

#[tokio::test]
async fn an_upstream_that_takes_no_websocket_answers_as_it_likes() {
    let mut recorder = support::record::Recorder::start(&json!({
        "provider": {"type": "openai", "apiTokens": [TOKEN], "modelMapping": {"gpt-4o": "up-4o"}},
    }))
    .await;
    let refusal = json!({"error": {"message": "use POST", "type": "invalid_request_error"}});
    recorder.upstream.answer_next(support::Answer::json(426, &refusal));
    let address = recorder.envoy.address();
    let request = format!("ws://{address}/v1/responses").into_client_request().expect("a request");
    let stream = TcpStream::connect(address).await.expect("a connection");
    let Err(tokio_tungstenite::tungstenite::Error::Http(response)) =
        tokio_tungstenite::client_async(request, stream).await
    else {
        panic!("it was not refused")
    };
    assert_eq!(response.status(), 426);
    let (line, counts) = recorder.one().await;
    line.assert_has(&json!({"status": 426, "usage_missing": "operation", "error_source": "upstream"}), "refused");
    assert_eq!((counts.requests, counts.errors), (1, 1));
}
