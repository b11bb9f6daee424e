//! The command line program, run as a user runs it.
//!
//! What it prints is held against files: `testdata/config/{ok,bad}/*.expected` for `check`, `testdata/cli/*` for the
//! rest. `UPDATE_EXPECTED=1 cargo test --features cli --test cli` writes them anew; read what changed.
#![cfg(all(not(target_family = "wasm"), feature = "cli"))]
#![allow(
    clippy::expect_used,
    clippy::indexing_slicing,
    clippy::panic,
    clippy::unwrap_used,
    reason = "a test may panic"
)]

use serde_json::{Map, Value, json};
use std::fs;
use std::io::Write;
use std::path::{Path, PathBuf};
use std::process::{Command, Stdio};

/// A secret that is in configurations, headers and queries and must turn up in no output.
const CANARY: &str = "canary-7f3a";

/// What a run leaves behind.
#[derive(Debug)]
struct Run {
    code: i32,
    stdout: String,
    stderr: String,
}

impl Run {
    /// The output of a run that went well.
    fn text(self) -> String {
        assert_eq!(self.code, 0, "{self:?}");
        self.stdout
    }

    /// The same as JSON.
    fn json(self) -> Value {
        serde_json::from_str(&self.text()).unwrap()
    }

    /// The error of a run that went wrong; standard output is kept free of it.
    fn error(self) -> String {
        assert_ne!(self.code, 0, "{self:?}");
        assert_eq!(self.stdout, "");
        self.stderr
    }
}

fn testdata() -> PathBuf {
    Path::new(env!("CARGO_MANIFEST_DIR")).join("testdata")
}

/// The program, in a directory of `testdata`, so that no output holds a path of this machine.
fn program(directory: &str) -> Command {
    let mut command = Command::new(env!("CARGO_BIN_EXE_waypost"));
    command.current_dir(testdata().join(directory)).stdin(Stdio::null()).env_remove("COLUMNS");
    command
}

fn run(directory: &str, arguments: &[&str]) -> Run {
    run_with(directory, arguments, b"")
}

/// Runs the program with this on its standard input.
fn run_with(directory: &str, arguments: &[&str], stdin: &[u8]) -> Run {
    let mut child = program(directory)
        .args(arguments)
        .stdin(Stdio::piped())
        .stdout(Stdio::piped())
        .stderr(Stdio::piped())
        .spawn()
        .unwrap();
    // A program that does not read it closes the pipe.
    let _ = child.stdin.take().unwrap().write_all(stdin);
    let output = child.wait_with_output().unwrap();
    Run {
        code: output.status.code().unwrap(),
        stdout: String::from_utf8(output.stdout).unwrap(),
        stderr: String::from_utf8(output.stderr).unwrap(),
    }
}

/// Holds a text against a file under `testdata`.
fn assert_expected(file: &str, actual: &str) {
    let path = testdata().join(file);
    if std::env::var_os("UPDATE_EXPECTED").is_some() {
        fs::write(&path, actual).unwrap();
        return;
    }
    let expected = fs::read_to_string(&path).unwrap_or_default();
    assert_eq!(actual, expected, "testdata/{file} says otherwise; UPDATE_EXPECTED=1 writes it anew");
}

/// Documents of `testdata/config/{ok,bad}`, by name.
fn documents(kind: &str) -> Vec<String> {
    let mut names: Vec<String> = fs::read_dir(testdata().join("config").join(kind))
        .unwrap()
        .map(|entry| entry.unwrap().file_name().into_string().unwrap())
        .filter(|name| !name.ends_with(".expected"))
        .collect();
    names.sort();
    assert!(names.len() > 5, "{names:?}");
    names
}

/// Arguments of `explain` for a configuration under `testdata/config`.
fn explain(config: &str, arguments: &[&str]) -> Run {
    run("config", &[&["explain", "--config", config], arguments].concat())
}

const CHAT: [&str; 2] = ["POST", "/v1/chat/completions"];

// -- check -----------------------------------------------------------------------------------------------------------

#[test]
fn check_accepts_every_good_document_even_strictly() {
    for name in documents("ok") {
        let checked = run("config/ok", &["check", &name]);
        assert_eq!((checked.code, checked.stderr.as_str()), (0, ""), "{name}: {}", checked.stdout);
        assert_expected(&format!("config/ok/{name}.expected"), &checked.stdout);
        assert_eq!(run("config/ok", &["check", "--strict", &name]).code, 0, "{name}");
    }
}

#[test]
fn check_refuses_every_bad_document_and_warnings_only_strictly() {
    for name in documents("bad") {
        let checked = run("config/bad", &["check", &name]);
        assert_eq!(checked.stderr, "", "{name}");
        assert_expected(&format!("config/bad/{name}.expected"), &checked.stdout);
        // What is only doubtful fails nothing but `--strict`.
        let fails = checked.stdout.lines().any(|line| line.contains(": error: "));
        assert_eq!(checked.code, i32::from(fails), "{name}");
        assert_eq!(run("config/bad", &["check", "--strict", &name]).code, 1, "{name}");
        assert!(!checked.stdout.contains(CANARY), "{name}: {}", checked.stdout);
    }
}

/// Where a chat request with the model `gpt-4` goes, as `testdata/config/higress-shapes.yaml` writes it.
fn goes(explained: &Value) -> String {
    let Some(path) = explained["upstream"]["path"].as_str() else {
        return explained["outcome"].as_str().unwrap().to_owned();
    };
    let host = explained["upstream"]["authority"].as_str().unwrap_or("(client)");
    let model = explained["model"]["upstream"].as_str().map(|model| format!(" {model}")).unwrap_or_default();
    format!("{host}{path}{model}")
}

#[test]
fn what_ai_proxy_s_users_and_its_console_write_is_no_mistake() {
    // operator B10.
    let text = fs::read_to_string(testdata().join("config/higress-shapes.yaml")).unwrap();
    let shapes: Vec<std::collections::BTreeMap<String, String>> = serde_saphyr::from_str(&text).unwrap();
    assert!(shapes.len() >= 60, "{}", shapes.len());
    let directory = tempfile::tempdir().unwrap();
    let file = directory.path().join("plugin.yaml");
    for shape in &shapes {
        let (name, config) = (&shape["name"], &shape["config"]);
        fs::write(&file, config).unwrap();
        let path = file.to_str().unwrap();
        let checked = run("config", &["check", "--strict", path]);
        assert_eq!(checked.code, 0, "{name}: {}", checked.stdout);
        assert!(checked.stdout.contains(": ok: 0 errors, 0 warnings, "), "{name}: {}", checked.stdout);
        let mut arguments = vec!["explain", "--config", path, "--json", "--body", r#"{"model":"gpt-4"}"#];
        arguments.extend(shape.get("with").map_or("", String::as_str).split_whitespace());
        arguments.extend(CHAT);
        let explained = run("config", &arguments);
        assert_eq!(explained.stderr, "", "{name}");
        assert_eq!(goes(&explained.json()), shape["goes"], "{name}");
    }
}

#[test]
fn no_expected_output_is_left_without_its_document() {
    for kind in ["ok", "bad"] {
        let names = documents(kind);
        for entry in fs::read_dir(testdata().join("config").join(kind)).unwrap() {
            let name = entry.unwrap().file_name().into_string().unwrap();
            if let Some(document) = name.strip_suffix(".expected") {
                assert!(names.iter().any(|name| name == document), "{kind}/{name}");
            }
        }
    }
}

#[test]
fn check_prints_json_with_every_problem() {
    let checked = run("config/bad", &["check", "--json", "warnings.yaml", "other-kind.yaml", "missing.yaml"]);
    assert_eq!((checked.code, checked.stderr.as_str()), (1, ""));
    let report: Value = serde_json::from_str(&checked.stdout).unwrap();
    assert_eq!(report["ok"], false);
    assert_eq!(report["files"].as_array().unwrap().len(), 3);

    let warnings = &report["files"][0];
    assert_eq!((&warnings["file"], &warnings["ok"]), (&json!("warnings.yaml"), &json!(true)));
    let problems = warnings["problems"].as_array().unwrap();
    assert_eq!(
        problems[0],
        json!({
            "severity": "warning",
            "path": "providers[0].base_url",
            "line": 5,
            "message": "unknown key; did you mean `baseUrl`?",
        })
    );
    let difference = problems.iter().find(|problem| problem["severity"] == "difference").unwrap();
    assert_eq!(difference["id"], "capabilities");
    assert!(difference["why"].as_str().is_some_and(|why| !why.is_empty()));

    let listed: Value =
        serde_json::from_str(&run("config/bad", &["check", "--json", "plugin-list.yaml"]).stdout).unwrap();
    let problems = listed["files"][0]["problems"].as_array().unwrap();
    let error = problems.iter().find(|problem| problem["severity"] == "error").unwrap();
    assert_eq!(
        (&error["resource"], &error["line"]),
        (&json!("WasmPlugin higress-system/ai-proxy.internal"), &json!(20))
    );

    for (index, name, reason) in
        [(1, "other-kind.yaml", "no Waypost configuration"), (2, "missing.yaml", "No such file")]
    {
        let unreadable = &report["files"][index];
        assert_eq!((&unreadable["file"], &unreadable["ok"]), (&json!(name), &json!(false)));
        assert_eq!(unreadable["problems"], json!([]));
        assert!(unreadable["unreadable"].as_str().unwrap().contains(reason), "{unreadable}");
    }
}

#[test]
fn check_in_json_agrees_with_its_exit_code() {
    for (name, strict, code) in [
        ("ok/azure.json", true, 0),
        ("bad/empty.json", false, 0),
        ("bad/empty.json", true, 1),
        ("bad/warnings.yaml", false, 0),
        ("bad/warnings.yaml", true, 1),
        ("bad/rules.yaml", false, 1),
    ] {
        let arguments: &[&str] =
            if strict { &["check", "--json", "--strict", name] } else { &["check", "--json", name] };
        let checked = run("config", arguments);
        let report: Value = serde_json::from_str(&checked.stdout).unwrap();
        assert_eq!((checked.code, &report["ok"]), (code, &json!(code == 0)), "{name} strict: {strict}");
    }
}

#[test]
fn check_goes_through_all_files_and_fails_if_one_is_bad() {
    let checked = run("config", &["check", "bad/list.json", "ok/kgateway-11225-base-path.json", "no/such/file.json"]);
    assert_eq!((checked.code, checked.stderr.as_str()), (1, ""));
    assert_eq!(
        checked.stdout,
        "bad/list.json: error: a configuration is an object, found a list\n\
         ok/kgateway-11225-base-path.json: ok: 0 errors, 0 warnings, 0 differences from ai-proxy\n\
         no/such/file.json: error: No such file or directory (os error 2)\n"
    );
}

#[test]
fn check_reads_standard_input() {
    let checked = run_with("config", &["check", "-"], b"provider: { type: groq, apiTokens: [t] }");
    assert_eq!(checked.text(), "-: ok: 0 errors, 0 warnings, 0 differences from ai-proxy\n");
    let nothing = run_with("config", &["check", "-"], b"").text();
    assert!(nothing.ends_with("-: ok: 0 errors, 1 warning, 0 differences from ai-proxy\n"), "{nothing}");
}

#[test]
fn errors_of_the_parsers_quote_no_line_of_the_document() {
    for document in [
        format!("provider:\n  apiTokens: [\"{CANARY}\n"),
        format!("provider:\n  apiTokens: [{CANARY}\n  id: x\n"),
        format!("provider:\n  type: a\n  type: {CANARY}\n"),
        format!("provider: *{CANARY}\n  x\n"),
        format!("{{\"provider\": {{\"apiTokens\": [\"{CANARY}\" x]}}}}"),
    ] {
        let checked = run_with("config", &["check", "-"], document.as_bytes());
        assert_eq!(checked.code, 1, "{document}");
        assert!(checked.stdout.starts_with("-: error: "), "{}", checked.stdout);
        // An alias is a name, not a value.
        assert!(document.contains('*') || !checked.stdout.contains(CANARY), "{}", checked.stdout);
    }
}

// -- explain ---------------------------------------------------------------------------------------------------------

#[test]
fn explanations_are_the_expected_ones() {
    let body: &[&str] = &["--body", "../cli/chat.json"];
    for (file, config, arguments) in [
        ("report-higress-3130", "ok/higress-3130-host-only-url.json", [body, &CHAT].concat()),
        ("report-ai-gateway-1629", "ok/ai-gateway-1629-no-version.json", [body, &CHAT].concat()),
        ("report-kgateway-11225", "ok/kgateway-11225-base-path.json", vec!["GET", "/v1/models/openai%2Fgpt-4o?a=1"]),
        ("azure-with-body", "ok/azure.json", [body, &["POST", "/v1/chat/completions?q=1"]].concat()),
        ("azure-without-body", "ok/azure.json", CHAT.to_vec()),
        (
            "manifest-rule",
            "ok/higress-ai-proxy.yaml",
            [
                body,
                &["--route", "ai-route-deepseek.internal", "--cluster", "outbound|443||llm-deepseek.internal.dns"],
                &["-H", "Authorization: Bearer own", "-H", "Cookie: session=1"],
                &CHAT,
            ]
            .concat(),
        ),
        ("manifest-no-rule", "ok/higress-ai-proxy.yaml", [&["--host", "nobody.example.com"][..], &CHAT].concat()),
        ("endpoint-with-query", "ok/every-setting.yaml", vec!["POST", "/team-a/v1/embeddings?dimensions=8&user=1"]),
        ("not-served", "ok/every-setting.yaml", vec!["POST", "/v1/audio/speech"]),
        ("conversion", "ok/kgateway-11225-base-path.json", vec!["POST", "/v1/messages"]),
        ("passthrough", "ok/kgateway-11225-base-path.json", vec!["POST", "/v1/agents/a-1/runs?x=1"]),
        ("preserved", "ok/protocol-original.json", vec!["POST", "/qwen/compatible-mode/v1/chat/completions"]),
        (
            "own-credential",
            "ok/client-credentials.json",
            vec!["--host", "own.example.com", "POST", "/v1beta/models/gemini-2.5-pro:generateContent?key=own&alt=sse"],
        ),
        (
            "credential-in-query",
            "ok/client-credentials.json",
            vec!["--host", "query.example.com", "GET", "/v1/models?key=own&limit=2"],
        ),
        ("unsafe-path", "ok/kgateway-11225-base-path.json", vec!["GET", "/v1/models/..%2fadmin"]),
        ("broken", "bad/rules.yaml", [&["--route", "b"][..], &CHAT].concat()),
    ] {
        let human = explain(config, &arguments);
        assert_eq!(human.code, 0, "{file}");
        let shown = format!("$ waypost explain --config {config} {}\n{}", arguments.join(" "), human.stdout);
        assert_expected(&format!("cli/explain-{file}.txt"), &shown);
        let json = explain(config, &[&["--json"], arguments.as_slice()].concat());
        assert_expected(&format!("cli/explain-{file}.json"), &json.stdout);
    }
}

#[test]
fn a_request_may_be_a_whole_url() {
    let config = "ok/client-credentials.json";
    let explained = |arguments: &[&str]| explain(config, &[&["--json"][..], arguments].concat()).json();
    let by_host = explained(&["--host", "query.example.com", "GET", "/v1/models?limit=2"]);
    assert_eq!(by_host["rule"], "_rules_[2]");
    for url in [
        "https://query.example.com/v1/models?limit=2",
        "HTTP://query.example.com/v1/models?limit=2#part",
        "https://query.example.com:443/v1/models?limit=2",
    ] {
        let by_url = explained(&["GET", url]);
        assert_eq!((&by_url["rule"], &by_url["upstream"]), (&by_host["rule"], &by_host["upstream"]), "{url}");
    }
    // The header wins, as with other clients.
    let named = explained(&["--host", "query.example.com", "GET", "https://other.example.com/v1/models?limit=2"]);
    assert_eq!(named["rule"], by_host["rule"]);
    assert_eq!(explained(&["GET", "https://query.example.com"])["operation"], "passthrough");
    for url in ["https://", "https:///v1/models", "https://user:canary-7f3a@query.example.com/v1/models"] {
        let error = explain(config, &["GET", url]).error();
        assert!(error.starts_with("waypost: the URL ") && !error.contains(CANARY), "{error}");
    }
}

#[test]
fn a_refusal_fails_only_if_asked() {
    for (arguments, code) in [
        (&["POST", "/v1/messages"][..], 0),
        (&["--fail", "POST", "/v1/messages"], 1),
        (&["--fail", "--json", "POST", "/v1/messages"], 1),
        (&["--fail", "POST", "/v1/chat/completions"], 0),
    ] {
        let explained = explain("ok/kgateway-11225-base-path.json", arguments);
        assert_eq!(explained.code, code, "{arguments:?}");
        assert!(!explained.stdout.is_empty(), "{arguments:?}");
    }
    assert_eq!(explain("bad/empty.json", &["--fail", "POST", "/v1/messages"]).code, 0);
    assert_eq!(explain("bad/rules.yaml", &["--fail", "--route", "b", "GET", "/v1/models"]).code, 1);
}

#[test]
fn errors_of_rules_that_do_not_serve_are_told_on_demand() {
    let config = "bad/plugin-list.yaml";
    let serving = explain(config, &[&["--route", "two"][..], &CHAT].concat());
    assert_eq!((serving.code, serving.stderr.as_str()), (0, ""), "{serving:?}");
    let verbose = explain(config, &[&["--verbose", "--route", "two"][..], &CHAT].concat());
    assert_eq!(
        verbose.stderr,
        "bad/plugin-list.yaml:20: error: WasmPlugin higress-system/ai-proxy.internal: \
         spec.defaultConfig.providers[0].type: unknown value `opnai`; did you mean `openai`?\n"
    );
    // The rule that serves is itself broken.
    let broken = explain(config, &[&["--route", "one"][..], &CHAT].concat());
    assert_eq!(broken.stderr, verbose.stderr);
    assert!(broken.stdout.contains("503"), "{}", broken.stdout);
}

#[test]
fn an_explanation_in_json_always_has_the_same_members() {
    for (config, arguments, outcome) in [
        ("ok/kgateway-11225-base-path.json", CHAT, "send"),
        ("ok/azure.json", CHAT, "needs_body"),
        ("bad/empty.json", CHAT, "untouched"),
        ("ok/kgateway-11225-base-path.json", ["POST", "/v1/messages"], "refuse"),
    ] {
        let explained = explain(config, &[&["--json"], &arguments[..]].concat()).json();
        let members: Vec<_> = explained.as_object().unwrap().keys().map(String::as_str).collect();
        assert_eq!(
            members,
            ["headers", "model", "operation", "outcome", "provider", "reply", "rule", "steps", "upstream"],
            "{outcome}"
        );
        assert_eq!(explained["outcome"], outcome);
        assert_eq!(explained["reply"].is_object(), outcome == "refuse");
        for member in ["headers", "upstream"] {
            assert_eq!(explained[member].is_object(), outcome == "send", "{member}");
        }
        for step in explained["steps"].as_array().unwrap() {
            assert!(step["step"].is_string() && step["detail"].is_string(), "{step}");
        }
    }
}

#[test]
fn an_explanation_in_json_says_what_the_filter_does() {
    let arguments = [&["--json", "--body", "../cli/chat.json", "-H", "x-api-key: own"][..], &CHAT].concat();
    let explained = explain("ok/azure.json", &arguments).json();
    assert_eq!(explained["rule"], "global");
    assert_eq!(explained["provider"], json!({ "id": "deployments", "type": "azure" }));
    assert_eq!(explained["operation"], "chat_completions");
    assert_eq!(explained["model"], json!({ "requested": "gpt-4o", "upstream": "prod-4o", "mapping": "gpt-4o" }));
    let path = "/openai/deployments/prod-4o/chat/completions?api-version=2024-10-21";
    assert_eq!(explained["upstream"], json!({ "authority": "corp.openai.azure.com", "path": path }));
    assert_eq!(
        explained["headers"],
        json!({
            "set": {
                ":authority": "corp.openai.azure.com",
                ":path": path,
                "api-key": "***",
                "content-type": "application/json",
                "x-envoy-original-path": "/v1/chat/completions",
            },
            "removed": ["x-api-key"],
        })
    );
}

#[test]
fn a_body_comes_from_a_file_or_from_standard_input() {
    let of = |body: &str, stdin: &[u8]| {
        let arguments = ["explain", "--config", "ok/azure.json", "--json", "--body", body, CHAT[0], CHAT[1]];
        run_with("config", &arguments, stdin).json()["model"]["upstream"].clone()
    };
    assert_eq!(of("../cli/chat.json", b""), "prod-4o");
    assert_eq!(of("-", br#"{"messages":[],"model":"gpt-3.5-turbo"}"#), "prod-mini");
    assert_eq!(of("-", br#"{"model":"unmapped"}"#), "unmapped");
    // As with curl.
    assert_eq!(of(r#"{"model":"gpt-4o"}"#, b""), "prod-4o");
    assert_eq!(of(" {\n\"model\": \"gpt-3.5-turbo\" }", b""), "prod-mini");
    // Bytes are looked at where it matters, as in the filter.
    assert_eq!(of("-", b"{\"model\":\"gpt-4o\",\"user\":\"\xff\"}"), "prod-4o");
}

#[test]
fn a_body_that_the_filter_refuses_is_refused_here() {
    for (body, reason) in [
        (&b"{\"model\":\"a\",\"model\":\"b\"}"[..], "names a key twice"),
        (b"[]", "is not a JSON object"),
        (b"{\"model\":", "ends in the middle"),
        (b"{\"model\":7}", "`model` that is not a string"),
    ] {
        let arguments = ["explain", "--config", "ok/azure.json", "--json", "--body", "-", CHAT[0], CHAT[1]];
        let explained = run_with("config", &arguments, body).json();
        assert_eq!((&explained["outcome"], &explained["reply"]["status"]), (&json!("refuse"), &json!(400)));
        assert!(explained["reply"]["body"]["error"]["message"].as_str().unwrap().contains(reason), "{explained}");
    }
}

#[test]
fn a_configuration_may_come_from_standard_input() {
    let arguments = ["explain", "--config", "-", CHAT[0], CHAT[1]];
    let explained = run_with("config", &arguments, b"provider: { type: groq, apiTokens: [t] }").text();
    assert!(explained.ends_with("POST api.groq.com/openai/v1/chat/completions\n"), "{explained}");
}

#[test]
fn standard_input_is_read_once() {
    let arguments = ["explain", "--config", "-", "--body", "-", CHAT[0], CHAT[1]];
    let error = run_with("config", &arguments, b"provider: { type: groq, apiTokens: [t] }").error();
    assert!(error.contains("standard input"), "{error}");
}

#[test]
fn a_method_is_taken_in_any_case() {
    let explained = explain("ok/kgateway-11225-base-path.json", &["get", "/v1/models"]).text();
    assert!(explained.ends_with("GET openrouter.ai/api/v1/models\n"), "{explained}");
}

#[test]
fn errors_of_the_configuration_are_said_beside_the_explanation() {
    let explained = explain("bad/rules.yaml", &[&["--route", "b", "--json"][..], &CHAT].concat());
    assert_eq!(explained.code, 0);
    let answer: Value = serde_json::from_str(&explained.stdout).unwrap();
    assert_eq!((&answer["rule"], &answer["reply"]["status"]), (&json!("_rules_[3]"), &json!(503)));
    assert!(
        explained
            .stderr
            .contains("bad/rules.yaml:10: error: _rules_[3].activeProviderId: no provider has the id `gone`\n"),
        "{}",
        explained.stderr
    );
}

#[test]
fn secrets_are_in_no_explanation() {
    let token = format!("Bearer {CANARY}");
    let headers = [
        format!("Authorization: {token}"),
        format!("x-api-key: {CANARY}"),
        format!("x-goog-api-key: {CANARY}"),
        format!("Cookie: session={CANARY}"),
    ];
    let query = format!("/v1beta/models/gemini-2.5-pro:generateContent?key={CANARY}&access_token={CANARY}&alt=sse");
    for provider in [
        json!({ "type": "openai", "apiTokens": [CANARY] }),
        json!({ "type": "gemini", "apiTokens": [CANARY] }),
        json!({ "type": "gemini", "auth": "passthrough" }),
        json!({ "type": "gemini", "auth": "none" }),
        json!({ "type": "vertex", "vertexProjectId": "p", "apiTokens": [CANARY] }),
        json!({ "type": "gemini", "apiTokens": [CANARY], "credential": { "query": "key" } }),
        json!({ "type": "gemini", "auth": "passthrough", "credential": { "query": "key" } }),
        json!({ "type": "gemini", "apiTokens": [CANARY], "credential": { "header": "x-own", "prefix": "Token " } }),
        json!({ "type": "gemini", "apiTokens": [token] }),
        json!({ "type": "gemini", "auth": CANARY }),
        json!({ "type": "bedrock", "awsRegion": "r", "awsSecretKey": CANARY }),
    ] {
        let document = json!({ "provider": provider }).to_string();
        for path in ["/v1/chat/completions", query.as_str()] {
            // `key` is OpenAI's parameter like any other.
            if provider["type"] == "openai" && path == query {
                continue;
            }
            for json in [false, true] {
                let mut arguments = vec!["explain", "--config", "-", "--host", "h"];
                arguments.extend(headers.iter().flat_map(|header| ["-H", header.as_str()]));
                arguments.extend(json.then_some("--json"));
                arguments.extend(["POST", path]);
                let explained = run_with("config", &arguments, document.as_bytes());
                assert_eq!(explained.code, 0, "{}", explained.stderr);
                let shown = format!("{}{}", explained.stdout, explained.stderr);
                assert!(!shown.contains(CANARY), "{document} {path}\n{shown}");
            }
        }
    }
}

// -- Usage -----------------------------------------------------------------------------------------------------------

#[test]
fn usage_errors_exit_with_2_and_leave_standard_output_free() {
    for arguments in [
        &[][..],
        &["explian"],
        &["check"],
        &["check", "--strickt", "x.json"],
        &["explain", "POST", "/v1/chat/completions"],
        &["explain", "--config", "bad/empty.json", "POST"],
        &["explain", "--config"],
        &["providers", "openai", "groq"],
        &["schema", "x"],
    ] {
        let usage = run("config", arguments);
        assert_eq!(usage.code, 2, "{arguments:?}");
        assert_eq!(usage.stdout, "", "{arguments:?}");
        assert!(usage.stderr.contains("Usage: waypost") || usage.stderr.contains("try '--help'"), "{}", usage.stderr);
    }
}

#[test]
fn a_header_without_colon_is_refused_and_not_quoted() {
    let header = format!("Authorization Bearer {CANARY}");
    let error = explain("bad/empty.json", &[&["-H", header.as_str()][..], &CHAT].concat()).error();
    assert!(error.contains("name: value") && !error.contains(CANARY), "{error}");
}

#[test]
fn a_file_that_does_not_exist_is_named() {
    for arguments in [
        ["explain", "--config", "gone.json", CHAT[0], CHAT[1]].as_slice(),
        &["explain", "--config", "ok/azure.json", "--body", "gone.json", CHAT[0], CHAT[1]],
    ] {
        let error = run("config", arguments).error();
        assert_eq!(error, "waypost: gone.json: No such file or directory (os error 2)\n");
    }
    // A directory is no file either.
    let error = explain("ok", &CHAT).error();
    assert!(error.starts_with("waypost: ok: "), "{error}");
}

#[test]
fn a_configuration_that_cannot_be_read_is_no_explanation() {
    for name in ["bad/list.json", "bad/trailing-comma.json", "bad/unclosed-list.yaml", "bad/other-kind.yaml"] {
        let error = explain(name, &CHAT).error();
        assert!(error.starts_with(&format!("waypost: {name}: ")) && !error.contains(CANARY), "{error}");
    }
}

#[test]
fn the_help_of_every_command_has_examples_that_parse() {
    for command in ["", "explain", "check", "providers", "schema", "completions", "man"] {
        let arguments: Vec<_> = [command, "--help"].into_iter().filter(|argument| !argument.is_empty()).collect();
        // One line for each example, however long.
        let output = program("config").args(&arguments).env("COLUMNS", "500").output().unwrap();
        let help = String::from_utf8(output.stdout).unwrap();
        let (_, examples) = help.split_once("Examples:\n").unwrap_or_else(|| panic!("{command}: {help}"));
        assert!(examples.contains(&format!("waypost {command}")), "{command}: {examples}");
        assert!(output.status.success() && output.stderr.is_empty());
    }
    let version = run("config", &["--version"]).text();
    assert_eq!(version, format!("waypost {} ({})\n", env!("CARGO_PKG_VERSION"), env!("WAYPOST_COMMIT")));
}

#[test]
fn completions_and_the_manual_name_every_command() {
    for arguments in [&["completions", "bash"][..], &["completions", "zsh"], &["completions", "fish"], &["man"]] {
        let text = run("config", arguments).text();
        for command in ["explain", "check", "providers", "schema"] {
            assert!(text.contains(command), "{arguments:?}: no {command}");
        }
    }
    assert!(run("config", &["man"]).text().contains("WAYPOST EXPLAIN"), "the manual has a section for each command");
}

#[test]
fn a_reader_that_closes_early_is_no_failure() {
    for arguments in
        [&["schema"][..], &["providers"], &["providers", "--json"], &["check", "bad/empty.json"], &["--help"]]
    {
        let (reader, writer) = std::io::pipe().unwrap();
        drop(reader);
        let child = program("config").args(arguments).stdout(writer).stderr(Stdio::piped()).spawn().unwrap();
        let output = child.wait_with_output().unwrap();
        assert_eq!(output.status.code(), Some(0), "{arguments:?}");
        assert_eq!(String::from_utf8(output.stderr).unwrap(), "", "{arguments:?}");
    }
}

#[cfg(target_os = "linux")]
#[test]
fn output_that_cannot_be_written_is_a_failure() {
    let full = fs::OpenOptions::new().write(true).open("/dev/full").unwrap();
    let child = program("config").arg("schema").stdout(full).stderr(Stdio::piped()).spawn().unwrap();
    let output = child.wait_with_output().unwrap();
    assert_eq!(output.status.code(), Some(1));
    assert!(String::from_utf8(output.stderr).unwrap().contains("No space left"));
}

// -- providers -------------------------------------------------------------------------------------------------------

#[test]
fn providers_lists_every_type_with_its_base_url() {
    let listed = run("config", &["providers"]).text();
    let described = run("config", &["providers", "--json"]).json();
    let described = described.as_array().unwrap();
    let names: Vec<&str> =
        listed.lines().filter(|line| !line.starts_with(' ')).map(|line| line.split(' ').next().unwrap()).collect();
    let types: Vec<&str> = described.iter().map(|preset| preset["type"].as_str().unwrap()).collect();
    assert_eq!(names, types);
    assert!(types.is_sorted() && types.len() > 50, "{types:?}");
    assert!(listed.lines().any(|line| line.split_whitespace().eq(["deepseek", "openai", "api.deepseek.com/v1"])));
    for preset in described {
        let members: Vec<_> = preset.as_object().unwrap().keys().map(String::as_str).collect();
        assert_eq!(
            members,
            [
                "aliases",
                "credential",
                "host",
                "includeUsage",
                "ownPaths",
                "settings",
                "surfaces",
                "title",
                "tokenRequired",
                "type"
            ]
        );
        assert!(preset["credential"].as_str().unwrap().contains("***"), "{preset}");
    }
}

#[test]
fn providers_shows_one_type_by_name_and_by_alias() {
    for name in ["qwen", "azure", "bedrock", "dify", "vllm"] {
        assert_expected(&format!("cli/providers-{name}.txt"), &run("config", &["providers", name]).text());
    }
    assert_expected("cli/providers-qwen.json", &run("config", &["providers", "--json", "qwen"]).text());
    assert_eq!(run("config", &["providers", "dashscope"]).text(), run("config", &["providers", "qwen"]).text());
}

#[test]
fn an_unknown_type_is_refused_with_a_suggestion() {
    for (name, expected) in [
        ("deepseak", "waypost: unknown provider type `deepseak`; did you mean `deepseek`?\n"),
        ("OpenAI", "waypost: unknown provider type `OpenAI`; did you mean `openai`?\n"),
        ("zzz", "waypost: unknown provider type `zzz`; `waypost providers` lists them\n"),
    ] {
        assert_eq!(run("config", &["providers", name]).error(), expected);
        assert_eq!(run("config", &["providers", "--json", name]).error(), expected);
    }
}

// -- schema ----------------------------------------------------------------------------------------------------------

fn schema() -> Value {
    run("config", &["schema"]).json()
}

#[test]
fn the_committed_schema_is_the_generated_one() {
    let committed = Path::new(env!("CARGO_MANIFEST_DIR")).join("plugin-config-schema.json");
    let committed = fs::read_to_string(committed).unwrap_or_default();
    // Not `assert_eq!`: nobody reads two thousand lines of difference here.
    assert!(
        committed == run("config", &["schema"]).text(),
        "plugin-config-schema.json is not what the declarations in src/config/settings.rs say; run `make schema`"
    );
}

#[test]
fn the_schema_accepts_every_good_document_of_plugin_json() {
    let schema = schema();
    for name in documents("ok") {
        let text = fs::read_to_string(testdata().join("config/ok").join(&name)).unwrap();
        let document: Value = serde_saphyr::from_str(&text).unwrap();
        if document.get("kind").or_else(|| document.get("static_resources")).is_none() {
            accepts(&schema, &document, "$").unwrap_or_else(|reason| panic!("{name}: {reason}"));
        }
    }
}

#[test]
fn the_schema_refuses_what_check_complains_of() {
    let schema = schema();
    for document in [
        json!([]),
        json!({ "provider": [] }),
        json!({ "provider": { "typ": "openai" } }),
        json!({ "type": "openai" }),
        json!({ "provider": { "type": "openai", "auth": "non" } }),
        json!({ "provider": { "type": "openai", "baseUrl": ["https://h"] } }),
        json!({ "provider": { "type": "ollama", "ollamaServerPort": -1 } }),
        json!({ "_rules_": [{ "_match_domian_": "a" }] }),
        json!({ "_rule_": [] }),
    ] {
        assert!(accepts(&schema, &document, "$").is_err(), "{document}");
    }
}

#[test]
fn every_key_of_the_schema_has_a_title_and_a_description() {
    fn walk(schema: &Value, place: &str, count: &mut usize) {
        for (key, value) in schema["properties"].as_object().into_iter().flatten() {
            *count += 1;
            let place = format!("{place}.{key}");
            let described = |name: &str| value[name].as_str().is_some_and(|text| !text.is_empty());
            assert!(described("description"), "{place} has no description");
            // What only consoles write has nothing to be called by.
            let ignored = value["description"].as_str().is_some_and(|text| text.ends_with("; ignored."));
            assert!(described("title") || ignored, "{place} has no title");
            for schema in [value, &value["items"]].into_iter().chain(value["anyOf"].as_array().into_iter().flatten()) {
                walk(schema, &place, count);
                walk(&schema["items"], &place, count);
            }
        }
    }
    let schema = schema();
    assert!(schema["title"].is_string() && schema["description"].is_string());
    let mut count = 0;
    walk(&schema, "$", &mut count);
    assert!(count > 100, "{count}");
}

/// Validates against the part of JSON Schema that the generated schema uses; any other keyword fails the test.
fn accepts(schema: &Value, value: &Value, place: &str) -> Result<(), String> {
    let schema = schema.as_object().unwrap();
    for (keyword, rule) in schema {
        let ok = match keyword.as_str() {
            "$schema" | "title" | "description" | "writeOnly" => true,
            "type" => match rule {
                Value::Array(names) => names.iter().any(|name| is_type(name, value)),
                name => is_type(name, value),
            },
            "const" => rule == value,
            "minimum" => value.as_f64().is_none_or(|number| number >= rule.as_f64().unwrap()),
            "maximum" => value.as_f64().is_none_or(|number| number <= rule.as_f64().unwrap()),
            "anyOf" => accepting(rule, value, place) > 0,
            "oneOf" => accepting(rule, value, place) == 1,
            "items" => {
                for (index, item) in value.as_array().into_iter().flatten().enumerate() {
                    accepts(rule, item, &format!("{place}[{index}]"))?;
                }
                true
            }
            "properties" => {
                for (key, member) in value.as_object().into_iter().flatten() {
                    if let Some(rule) = rule.get(key) {
                        accepts(rule, member, &format!("{place}.{key}"))?;
                    }
                }
                true
            }
            "additionalProperties" => {
                let none = Map::new();
                let known = schema.get("properties").and_then(Value::as_object).unwrap_or(&none);
                for (key, member) in
                    value.as_object().into_iter().flatten().filter(|(key, _)| !known.contains_key(*key))
                {
                    match rule {
                        Value::Bool(true) => {}
                        Value::Bool(false) => return Err(format!("{place}.{key} is no key of the schema")),
                        rule => accepts(rule, member, &format!("{place}.{key}"))?,
                    }
                }
                true
            }
            other => panic!("{place}: the keyword {other} is not known to this test"),
        };
        if !ok {
            return Err(format!("{place}: {value} is refused by {keyword}: {rule}"));
        }
    }
    Ok(())
}

fn accepting(schemas: &Value, value: &Value, place: &str) -> usize {
    schemas.as_array().unwrap().iter().filter(|schema| accepts(schema, value, place).is_ok()).count()
}

fn is_type(name: &Value, value: &Value) -> bool {
    match name.as_str().unwrap() {
        "null" => value.is_null(),
        "boolean" => value.is_boolean(),
        "number" => value.is_number(),
        "integer" => value.as_f64().is_some_and(|number| number.fract() == 0.0),
        "string" => value.is_string(),
        "array" => value.is_array(),
        "object" => value.is_object(),
        other => panic!("no type is called {other}"),
    }
}
