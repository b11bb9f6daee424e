//! The official clients of OpenAI and Anthropic for Python, through a real Envoy: what applications send is what this has
//! to get right.
//!
//! `tests/sdk/openai_client.py` and `tests/sdk/anthropic_client.py` make the calls. Each runs in a virtual environment
//! that the Makefile creates.
#![cfg(not(target_family = "wasm"))]
#![allow(
    clippy::expect_used,
    clippy::indexing_slicing,
    clippy::panic,
    reason = "a test that meets something unexpected fails"
)]

mod support;

use serde_json::{Value, json};
use std::process::Stdio;
use std::time::Duration;
use support::client::find;
use support::record::{Line, Recorder};
use support::upstream::{EMBEDDING, IMAGE, INPUT_TOKENS, OUTPUT_TOKENS};
use support::{Envoy, EnvoyConfig, Upstream, credential, root};
use tokio::process::Command;
use tokio::time::timeout;

/// The clients that are tested. The Makefile names the same versions.
const OPENAI_VERSION: &str = "3.54.0";
const ANTHROPIC_VERSION: &str = "2.12.0";

/// Limit for all calls, and for Python to load the client, which takes seconds on a busy machine.
const CLIENT_TIMEOUT: Duration = Duration::from_secs(120);

/// What the client is told its key is. It must never reach the upstream.
const CLIENT_SECRET: &str = "client-secret";

const TEXT: &str = "You are on the right path.";

/// Runs the client of that name against this base URL; what it printed.
async fn run_client(name: &str, version: &str, base_url: &str) -> Value {
    let environment = root().join(format!("target/sdk/{name}-{version}"));
    // The Makefile's stamp: without it the client may be there in part.
    assert!(
        environment.join("installed").is_file(),
        "{} is missing or incomplete: `make test-e2e` installs the client {name} {version} there",
        environment.display()
    );
    let output = Command::new(environment.join("bin/python"))
        .arg(root().join(format!("tests/sdk/{name}_client.py")))
        .arg(base_url)
        // A proxy of this machine is none of the test's business.
        .env_clear()
        .stdin(Stdio::null())
        .kill_on_drop(true)
        .output();
    let output = timeout(CLIENT_TIMEOUT, output).await.expect("the client ends in time").expect("Python starts");
    let errors = String::from_utf8_lossy(&output.stderr);
    assert!(output.status.success(), "the client failed ({}):\n{errors}", output.status);
    serde_json::from_slice(&output.stdout).unwrap_or_else(|error| panic!("{error}:\n{errors}"))
}

/// The body of a request as it left the client.
fn body(sent: &Value) -> Vec<u8> {
    let hex = sent["body"].as_str().expect("a body in hexadecimal").as_bytes();
    let byte = |pair: &[u8]| std::str::from_utf8(pair).ok().and_then(|pair| u8::from_str_radix(pair, 16).ok());
    hex.chunks(2).map(|pair| byte(pair).expect("two hexadecimal digits")).collect()
}

fn text(bytes: &[u8]) -> String {
    String::from_utf8_lossy(bytes).into_owned()
}

#[tokio::test]
async fn the_official_client_completes_its_calls_with_a_mapped_model() {
    let upstream = Upstream::start().await;
    let configuration = json!({"provider": {
        "type": "openai",
        "baseUrl": "https://llm.corp.example/openai/v1",
        "apiTokens": ["corp-token"],
        "modelMapping": {"gpt-4o": "corp/gpt-4o", "text-embedding-*": "corp/embedding", "gpt-image-1": "corp/image"},
    }});
    let config = EnvoyConfig::new(upstream.address()).waypost(&configuration);
    let envoy = Envoy::start(config).await.unwrap_or_else(|error| panic!("{error}"));
    let result = run_client("openai", OPENAI_VERSION, &format!("http://{}/v1", envoy.address())).await;

    assert_eq!(result["version"], OPENAI_VERSION);
    let total = INPUT_TOKENS + OUTPUT_TOKENS;
    let vector: Value = serde_json::from_str(EMBEDDING.0).expect("a vector");
    let expected = json!({
        "chat": {"model": "corp/gpt-4o", "text": TEXT, "total_tokens": total},
        // Waypost asked for the usage; the application gets to see it only where it did.
        "stream": {"text": TEXT, "total_tokens": [], "chunks_without_choices": 0},
        "stream with usage": {"text": TEXT, "total_tokens": [total], "chunks_without_choices": 1},
        "embeddings": {"model": "corp/embedding", "vectors": [vector, vector]},
        "models": ["mock-model", "mock-model-mini"],
        "edit": {"image": IMAGE, "total_tokens": total},
    });
    assert_eq!(result["answers"], expected);

    let received = upstream.take();
    let paths: Vec<_> = received.iter().map(|request| request.path.as_str()).collect();
    assert_eq!(
        paths,
        [
            "/openai/v1/chat/completions",
            "/openai/v1/chat/completions",
            "/openai/v1/chat/completions",
            "/openai/v1/embeddings",
            "/openai/v1/models",
            "/openai/v1/images/edits"
        ]
    );
    for request in &received {
        assert_eq!(request.authority, "llm.corp.example");
        assert_eq!(credential::of(request).len(), 1, "{}", request.path);
        assert!(!credential::leaked(request, CLIENT_SECRET.as_bytes()), "{}", request.path);
    }
    let sent: Vec<_> = result["sent"].as_array().expect("the requests of the client").iter().map(body).collect();
    let mapped = |index: usize, from: &str, to: &str| text(&sent[index]).replacen(from, to, 1);
    assert_eq!(text(&received[0].body), mapped(0, r#""gpt-4o""#, r#""corp/gpt-4o""#));
    let stream = mapped(1, r#""gpt-4o""#, r#""corp/gpt-4o""#);
    let stream = stream.strip_suffix('}').expect("an object");
    assert_eq!(text(&received[1].body), format!(r#"{stream},"stream_options":{{"include_usage":true}}}}"#));
    assert_eq!(text(&received[2].body), mapped(2, r#""gpt-4o""#, r#""corp/gpt-4o""#));
    assert_eq!(text(&received[3].body), mapped(3, r#""text-embedding-3-small""#, r#""corp/embedding""#));
    assert_eq!((received[4].body.len(), sent[4].len()), (0, 0));
    // A form goes through byte for byte, but for the value of its model; the file in it is no text.
    assert!(received[5].header("content-type")[0].starts_with(b"multipart/form-data; boundary="));
    let at = find(&sent[5], b"gpt-image-1").expect("the model");
    let (before, rest) = sent[5].split_at(at);
    let form = [before, b"corp/image", &rest["gpt-image-1".len()..]].concat();
    assert!(received[5].body == form, "{}\n-- arrived as --\n{}", text(&sent[5]), text(&received[5].body));
    assert_eq!(envoy.complaints(), Vec::<String>::new());
}

#[tokio::test]
async fn the_official_client_of_anthropic_reads_messages_and_their_usage() {
    let configuration = json!({"provider": {
        "type": "claude",
        "apiTokens": ["corp-token"],
        "modelMapping": {"claude-*": "corp/claude"},
    }});
    let recorder = Recorder::start(&configuration).await;
    let result = run_client("anthropic", ANTHROPIC_VERSION, &format!("http://{}", recorder.envoy.address())).await;

    assert_eq!(result["version"], ANTHROPIC_VERSION);
    let message =
        json!({"model": "corp/claude", "text": TEXT, "input_tokens": INPUT_TOKENS, "output_tokens": OUTPUT_TOKENS});
    // The usage of a stream is in its first event and in one of its last.
    assert_eq!(result["answers"], json!({"message": message, "stream": message, "count": INPUT_TOKENS}));

    let received = recorder.upstream.take();
    let paths: Vec<_> = received.iter().map(|request| request.path.as_str()).collect();
    assert_eq!(paths, ["/v1/messages", "/v1/messages", "/v1/messages/count_tokens"]);
    let sent: Vec<_> = result["sent"].as_array().expect("the requests of the client").iter().map(body).collect();
    for (request, sent) in received.iter().zip(&sent) {
        assert_eq!(request.authority, "api.anthropic.com");
        assert_eq!(request.header("x-api-key"), [b"corp-token"], "{}", request.path);
        assert_eq!(credential::of(request).len(), 1, "{}", request.path);
        assert!(!credential::leaked(request, CLIENT_SECRET.as_bytes()), "{}", request.path);
        assert_eq!(text(&request.body), text(sent).replacen("claude-sonnet-4-5", "corp/claude", 1));
    }
    let lines = recorder.envoy.wait_for_access_log(received.len()).await;
    let figures: Vec<_> = lines
        .iter()
        .map(|line| {
            let record = Line(line.clone()).record();
            json!([record["operation"], record["response_type"], record["input_token"], record["output_token"]])
        })
        .collect();
    let expected = [
        json!(["messages", "normal", INPUT_TOKENS, OUTPUT_TOKENS]),
        json!(["messages", "stream", INPUT_TOKENS, OUTPUT_TOKENS]),
        // What a message would cost is not what it cost.
        json!(["count_tokens", "normal", null, null]),
    ];
    assert_eq!(figures, expected);
    assert_eq!(recorder.envoy.complaints(), Vec::<String>::new());
}
