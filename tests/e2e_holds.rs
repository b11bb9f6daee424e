//! Held requests on a real Envoy, with clients that are slow, silent or many: none of them changes what another gets.
#![cfg(not(target_family = "wasm"))]
#![allow(
    clippy::arithmetic_side_effects,
    clippy::expect_used,
    clippy::indexing_slicing,
    clippy::panic,
    clippy::print_stderr,
    reason = "a test that meets something unexpected fails"
)]

mod support;

use serde_json::{Value, json};
use std::time::{Duration, Instant};
use support::client::Raw;
use support::{Envoy, EnvoyConfig, Upstream};
use tokio::task::JoinSet;
use tokio::time::{sleep, timeout};

/// How long the host may keep a held body back.
const HOLD_TIMEOUT: Duration = Duration::from_secs(1);

const BODY: &str = r#"{"model":"gpt-4o"}"#;

/// Enough header-only requests to end the VM, were they all answered in one callback: 306 to 405 were needed.
const FLOOD: usize = 600;

/// An Azure provider, whose path holds the model that the body names, beside one that holds nothing.
fn configuration() -> Value {
    let azure = json!({
        "type": "azure",
        "azureServiceUrl": "https://example.openai.azure.com?api-version=2024-10-21",
        "modelMapping": {"gpt-4o": "prod-4o"},
        "apiTokens": ["test-token"],
        "holdTimeout": HOLD_TIMEOUT.as_millis(),
    });
    let openai = json!({"type": "openai", "apiTokens": ["test-token"]});
    json!({"_rules_": [
        {"_match_domain_": ["azure.test"], "provider": azure},
        {"_match_domain_": ["openai.test"], "provider": openai},
    ]})
}

struct Setup {
    envoy: Envoy,
    /// The upstream answers for as long as this lives.
    _upstream: Upstream,
}

/// A fresh Envoy: nothing is known of the host yet, as after any new configuration and after a reload of the VM.
async fn start(change: impl FnOnce(EnvoyConfig) -> EnvoyConfig) -> Setup {
    let upstream = Upstream::start().await;
    let config = EnvoyConfig::new(upstream.address()).waypost(&configuration());
    let envoy = Envoy::start(change(config)).await.unwrap_or_else(|error| panic!("{error}"));
    Setup { envoy, _upstream: upstream }
}

/// Without the flag, Envoy keeps the body of a held request back.
fn deaf(config: EnvoyConfig) -> EnvoyConfig {
    config.stop_iteration(false)
}

fn head(domain: &str, framing: &str) -> String {
    format!(
        "POST /v1/chat/completions HTTP/1.1\r\nhost: {domain}\r\ncontent-type: application/json\r\n{framing}\r\n\r\n"
    )
}

fn whole(domain: &str) -> String {
    head(domain, &format!("content-length: {}", BODY.len())) + BODY
}

impl Setup {
    /// Opens a connection and sends these bytes.
    async fn open(&self, bytes: impl AsRef<[u8]>) -> Raw {
        let mut client = Raw::connect(self.envoy.address()).await.expect("a connection");
        client.send(bytes).await.expect("a connection");
        client
    }

    /// Sends a whole request; its status, and how long that took.
    async fn ask(&self, domain: &str) -> (u16, Duration) {
        let started = Instant::now();
        let mut client = self.open(whole(domain)).await;
        let (status, _) = client.response().await.expect("a response");
        (status, started.elapsed())
    }

    /// Opens requests that send their headers and nothing else.
    async fn open_silent(&self, count: usize) -> Vec<Raw> {
        let mut clients = Vec::with_capacity(count);
        for _ in 0..count {
            clients.push(self.open(head("azure.test", "content-length: 100")).await);
        }
        clients
    }
}

/// The answer of a request, if it has one by now.
async fn answer(client: &mut Raw) -> Option<u16> {
    timeout(Duration::from_millis(5), client.response()).await.ok()?.ok().map(|(status, _)| status)
}

// -- Many clients that send nothing -----------------------------------------------------------------------------------

#[tokio::test]
async fn audit_c1_header_only_requests_do_not_crash_the_vm() {
    let setup = start(|config| config).await;
    let before = setup.envoy.wasm_stats().await;
    let mut silent = setup.open_silent(FLOOD).await;
    sleep(HOLD_TIMEOUT * 3).await;
    for domain in ["openai.test", "azure.test"] {
        assert_eq!(setup.ask(domain).await.0, 200, "{domain}");
    }
    for client in &mut silent {
        assert_eq!(answer(client).await, None, "a client that is slow is waited for");
    }
    assert_eq!(setup.envoy.wasm_stats().await, before, "the VM was created anew");
    assert_eq!(setup.envoy.complaints(), Vec::<String>::new());
}

/// The same number with bodies, on a host that keeps them back: each gets its answer, and the VM lives.
#[tokio::test]
async fn audit_c1_a_host_that_keeps_many_bodies_back_is_answered_for_without_a_crash() {
    let setup = start(deaf).await;
    let before = setup.envoy.wasm_stats().await;
    let mut clients = Vec::new();
    for _ in 0..FLOOD {
        clients.push(setup.open(whole("azure.test")).await);
    }
    for client in &mut clients {
        let (status, response) = client.response().await.expect("a response");
        let text = String::from_utf8_lossy(&response);
        assert!(status == 500 && text.contains("hold_not_honoured"), "{text}");
    }
    assert_eq!(setup.ask("openai.test").await.0, 200);
    assert_eq!(setup.envoy.wasm_stats().await, before, "the VM was created anew");
}

/// The flood again and again, as it would be after each reload of the VM, while others go on.
#[tokio::test]
async fn audit_c1_floods_that_come_and_go_leave_others_alone() {
    let setup = start(|config| config).await;
    let before = setup.envoy.wasm_stats().await;
    for _ in 0..3 {
        let silent = setup.open_silent(FLOOD / 2).await;
        sleep(HOLD_TIMEOUT * 3 / 2).await;
        for domain in ["openai.test", "azure.test"] {
            assert_eq!(setup.ask(domain).await.0, 200, "{domain}");
        }
        drop(silent);
    }
    assert_eq!(setup.envoy.wasm_stats().await, before, "the VM was created anew");
}

// -- One client that is slow ------------------------------------------------------------------------------------------

#[tokio::test]
async fn audit_h1_a_silent_client_says_nothing_about_the_host() {
    let setup = start(|config| config).await;
    // In every framing, headers only.
    let mut silent = Vec::new();
    for framing in ["content-length: 100", "transfer-encoding: chunked"] {
        silent.push(setup.open(head("azure.test", framing)).await);
    }
    sleep(HOLD_TIMEOUT * 5 / 2).await;
    for client in &mut silent {
        assert_eq!(answer(client).await, None, "a client that is slow is waited for");
    }
    for _ in 0..10 {
        assert_eq!(setup.ask("azure.test").await.0, 200);
    }
}

/// As a listener filter and as an upstream filter: both know how many bytes have come.
#[tokio::test]
async fn audit_h1_a_client_that_polls_with_headers_only_stops_nobody() {
    for upstream_filter in [false, true] {
        let setup = start(|config| if upstream_filter { config.upstream_filter() } else { config }).await;
        let started = Instant::now();
        let poll = async {
            let mut answers = 0;
            while started.elapsed() < HOLD_TIMEOUT * 6 {
                let mut client = setup.open(head("azure.test", "content-length: 100")).await;
                // Whoever is answered asks again at once.
                answers += usize::from(timeout(HOLD_TIMEOUT * 2, client.response()).await.is_ok());
                sleep(Duration::from_millis(20)).await;
            }
            answers
        };
        let victims = async {
            // The attack begins in a silence of its victims.
            sleep(HOLD_TIMEOUT * 5 / 2).await;
            let mut statuses = Vec::new();
            while started.elapsed() < HOLD_TIMEOUT * 6 {
                statuses.push(setup.ask("azure.test").await.0);
                sleep(Duration::from_millis(200)).await;
            }
            statuses
        };
        let (answers, statuses) = tokio::join!(poll, victims);
        assert!(
            !statuses.is_empty() && statuses.iter().all(|status| *status == 200),
            "{upstream_filter}: {statuses:?}"
        );
        assert_eq!(answers, 0, "{upstream_filter}: a client that is slow is waited for");
    }
}

/// The first request of a worker, from a client that takes longer for its body than the host may.
#[tokio::test]
async fn audit_h1_a_client_slower_than_the_timeout_gets_its_answer() {
    for framing in ["content-length: 18", "transfer-encoding: chunked"] {
        let setup = start(|config| config).await;
        let mut client = setup.open(head("azure.test", framing)).await;
        sleep(HOLD_TIMEOUT * 2).await;
        let body = if framing.starts_with('c') { BODY.to_owned() } else { format!("12\r\n{BODY}\r\n0\r\n\r\n") };
        client.send(body).await.expect("a connection");
        assert_eq!(client.response().await.expect("a response").0, 200, "{framing}");
    }
}

/// What has not changed: a host that does keep the body back is found out by the bytes it has received.
#[tokio::test]
async fn audit_h1_a_host_that_keeps_bodies_back_is_still_found_out() {
    let chunk = format!("transfer-encoding: chunked\r\n\r\n12\r\n{BODY}");
    let half = format!("content-length: 100\r\n\r\n{BODY}");
    for upstream_filter in [false, true] {
        for framing in [&chunk, &half] {
            let setup = start(|config| deaf(if upstream_filter { config.upstream_filter() } else { config })).await;
            // Silent clients in front of it change nothing.
            let _silent = setup.open_silent(20).await;
            let started = Instant::now();
            let request = head("azure.test", framing);
            let mut client = setup.open(request.trim_end()).await;
            let (status, response) = client.response().await.expect("a response");
            let took = started.elapsed();
            let text = String::from_utf8_lossy(&response);
            assert!(status == 500 && text.contains("hold_not_honoured"), "{upstream_filter}: {text}");
            assert!(took >= HOLD_TIMEOUT && took < HOLD_TIMEOUT * 3, "{upstream_filter}: {took:?}");
            let (status, took) = setup.ask("azure.test").await;
            assert!(status == 500 && took < HOLD_TIMEOUT, "later ones are answered at once: {status} after {took:?}");
        }
    }
}

// -- Requests in quick succession -------------------------------------------------------------------------------------

#[tokio::test]
async fn audit_m1_requests_in_quick_succession_do_not_put_the_answers_off() {
    const PER_SECOND: u32 = 40;
    let setup = start(deaf).await;
    let before = setup.envoy.wasm_stats().await;
    let started = Instant::now();
    let mut clients = JoinSet::new();
    let address = setup.envoy.address();
    while started.elapsed() < HOLD_TIMEOUT * 4 {
        clients.spawn(async move {
            let asked = Instant::now();
            let mut client = Raw::connect(address).await.expect("a connection");
            client.send(whole("azure.test")).await.expect("a connection");
            let (status, _) = client.response().await.expect("a response");
            (status, asked.elapsed())
        });
        sleep(Duration::from_secs(1) / PER_SECOND).await;
    }
    let mut longest = Duration::ZERO;
    while let Some(done) = clients.join_next().await {
        let (status, took) = done.expect("an answer");
        assert_eq!(status, 500);
        longest = longest.max(took);
    }
    eprintln!("the longest wait: {longest:?}");
    // The timeout, and some ticks for all who waited in it.
    assert!(longest < HOLD_TIMEOUT * 3, "{longest:?}");
    assert_eq!(setup.envoy.wasm_stats().await, before, "the VM was created anew");
}
