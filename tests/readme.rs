//! The README and the files in `envoy/` say what the code does.
//!
//! Tables, lists and examples are compared with what the core computes and with what the program prints, byte for byte.
//! A failure shows what should stand there.
//!
//! - Every `yaml` and `json` block must hold a configuration of Waypost, alone or inside an Envoy configuration or a
//!   manifest, and `waypost check --strict` must have nothing against it. So must every file in `envoy/`.
//! - In a `console` block, `$ cat FILE` shows a file that later commands find, and `$ waypost …` what it prints.
#![cfg(all(not(target_family = "wasm"), feature = "cli"))]
#![allow(
    clippy::expect_used,
    clippy::indexing_slicing,
    clippy::panic,
    reason = "a test that meets something unexpected fails"
)]

use serde_json::{Value, json};
use std::collections::BTreeSet;
use std::fs;
use std::path::Path;
use std::process::Command;
use waypost::config::settings::ProviderSettings;
use waypost::config::{differences, load, schema};
use waypost::error::Error;
use waypost::exchange::decide::Client;
use waypost::exchange::head::Head;
use waypost::explain::{Request, explain};
use waypost::operation::{Dialect, Operation};
use waypost::telemetry::{
    self, Consumers, Fields, Flat, Kind, Labels, Models, Party, Record, Series, Style, UsageSource,
};
use waypost::usage::Usage;

const README: &str = include_str!("../README.md");
const MAKEFILE: &str = include_str!("../Makefile");

fn root() -> &'static Path {
    Path::new(env!("CARGO_MANIFEST_DIR"))
}

// -- Markdown ---------------------------------------------------------------------------------------------------------

/// The lines under a heading, up to the next one.
fn section(heading: &str) -> impl Iterator<Item = &'static str> {
    let mut lines = README.lines().skip_while(move |line| line.trim_start_matches('#').trim() != heading);
    assert!(lines.next().is_some_and(|line| line.starts_with('#')), "no heading `{heading}`");
    lines.take_while(|line| !line.starts_with('#'))
}

/// The rows of the table under a heading, each as its cells.
fn table(heading: &str) -> Vec<Vec<&'static str>> {
    let rows = section(heading).filter(|line| line.starts_with('|')).skip(2);
    let rows: Vec<_> = rows.map(|row| row.trim_matches('|').split(" | ").map(str::trim).collect::<Vec<_>>()).collect();
    assert!(!rows.is_empty(), "no table under `{heading}`");
    rows
}

/// What stands in backticks.
fn spans(text: &str) -> impl Iterator<Item = &str> {
    text.split('`').skip(1).step_by(2)
}

/// The blocks of that language.
fn blocks(language: &str) -> Vec<&'static str> {
    let fence = format!("```{language}\n");
    README.split(fence.as_str()).skip(1).map(|rest| rest.split("```").next().unwrap_or_default()).collect()
}

/// The keys in the first column of a table.
fn keys(heading: &str) -> BTreeSet<String> {
    table(heading).iter().flat_map(|row| spans(row[0])).map(str::to_owned).collect()
}

fn assert_table(heading: &str, expected: &[String]) {
    let found: Vec<_> = section(heading).filter(|line| line.starts_with('|')).skip(2).collect();
    assert!(found == expected, "the table under `{heading}` should be:\n\n{}\n", expected.join("\n"));
}

// -- The path table ---------------------------------------------------------------------------------------------------

/// Where the core sends a request.
fn upstream(provider: &Value, method: &str, path: &str, model: Option<&str>) -> String {
    let mut provider = provider.clone();
    provider["apiTokens"] = json!(["token"]);
    let loaded = load(json!({ "provider": provider }).to_string().as_bytes()).expect("a configuration");
    let body = model.map(|model| json!({ "model": model }).to_string());
    let client = Client { authority: Some(b"client"), path: Some(path.as_bytes()), ..Client::default() };
    let head = Head::new(Vec::new());
    let request = Request { method, client, head: &head, body: body.as_ref().map(String::as_bytes) };
    let explanation = explain(&loaded.config, request);
    let (authority, path) = explanation.upstream().unwrap_or_else(|| panic!("{path}: {explanation}"));
    format!("{}{path}", authority.unwrap_or_default())
}

#[test]
fn the_path_table_is_what_the_core_computes_and_what_the_end_to_end_tests_send() {
    let cases: Value = serde_json::from_str(include_str!("../testdata/paths/design.json")).expect("JSON");
    for row in table("Configuration in, path out") {
        let provider: Value = serde_saphyr::from_str(&format!("{{{}}}", row[0].trim_matches('`'))).expect("YAML");
        let mut request = spans(row[1]);
        let (method, path) = request.next().and_then(|text| text.split_once(' ')).expect("method and path");
        let model = request.next();
        let shown = row[2].trim_matches('`');
        assert_eq!(upstream(&provider, method, path, model), shown, "{} {path}", row[0]);
        let tested = cases.as_array().expect("groups").iter().any(|group| {
            let same = |case: &Value| {
                (case["method"].as_str(), case["path"].as_str()) == (Some(method), Some(path))
                    && case["model"].as_str() == model
                    && case["upstream"]["authority"].as_str().zip(case["upstream"]["path"].as_str())
                        == shown.find('/').map(|slash| shown.split_at(slash))
            };
            group["provider"] == provider && group["requests"].as_array().expect("requests").iter().any(same)
        });
        assert!(tested, "testdata/paths/design.json has no such case: {row:?}");
    }
}

// -- Configurations ---------------------------------------------------------------------------------------------------

/// `waypost check --strict` finds a configuration in a text and has nothing against it.
fn assert_checked(title: &str, text: &str) {
    let directory = tempfile::tempdir().expect("a directory");
    fs::write(directory.path().join("plugin.yaml"), text).expect("a file");
    let output = waypost(directory.path(), &["check", "--strict", "plugin.yaml"]);
    assert!(output.contains("plugin.yaml: ok: 0 errors, 0 warnings, "), "{title}:\n{output}");
}

#[test]
fn every_configuration_is_sound() {
    for language in ["yaml", "json"] {
        for (index, block) in blocks(language).iter().enumerate() {
            assert_checked(&format!("{language} block {}", index.saturating_add(1)), block);
        }
    }
    let mut files = 0_usize;
    for entry in root().join("envoy").read_dir().expect("a directory") {
        let path = entry.expect("an entry").path();
        let name = path.file_name().map(|name| name.to_string_lossy().into_owned()).unwrap_or_default();
        if name.ends_with(".yaml") && name != "docker-compose.yaml" {
            assert_checked(&name, &fs::read_to_string(&path).expect("a text file"));
            files = files.saturating_add(1);
        }
    }
    assert!(files > 5, "envoy/ has lost its files");
}

// -- The program ------------------------------------------------------------------------------------------------------

/// What the program prints, in a directory of its own.
fn waypost(directory: &Path, arguments: &[&str]) -> String {
    let output = Command::new(env!("CARGO_BIN_EXE_waypost")).args(arguments).current_dir(directory).output();
    let output = output.expect("the program");
    assert!(output.stderr.is_empty(), "{arguments:?}: {}", String::from_utf8_lossy(&output.stderr));
    String::from_utf8(output.stdout).expect("UTF-8")
}

#[test]
fn every_console_block_is_what_the_program_prints() {
    let directory = tempfile::tempdir().expect("a directory");
    let mut commands = 0_usize;
    for block in blocks("console") {
        for step in block.split("$ ").skip(1) {
            let (command, shown) = step.split_once('\n').unwrap_or((step, ""));
            let words: Vec<_> = command.split(' ').collect();
            match words.as_slice() {
                ["cat", file] => fs::write(directory.path().join(file), shown).expect("a file"),
                ["waypost", arguments @ ..] => {
                    let printed = waypost(directory.path(), arguments);
                    assert!(printed == shown, "`{command}` prints:\n\n{printed}");
                    commands = commands.saturating_add(1);
                }
                _ => panic!("`{command}` is not run by this test"),
            }
        }
    }
    assert!(commands > 3, "the examples are gone");
}

// -- Keys, differences, errors ----------------------------------------------------------------------------------------

/// The keys of a provider in the schema for which `wanted` holds, by title and description.
fn schema_keys(wanted: impl Fn(&str, &str) -> bool) -> BTreeSet<String> {
    let schema = schema::schema();
    let properties = schema["properties"]["provider"]["properties"].as_object().expect("properties");
    let text = |key: &Value| key.as_str().unwrap_or_default().to_owned();
    let named = properties.iter().filter(|(_, key)| key["title"].is_string());
    named
        .filter(|(_, key)| wanted(&text(&key["title"]), &text(&key["description"])))
        .map(|(key, _)| key.clone())
        .collect()
}

/// Whether the description is that of a key that does nothing.
fn is_inert(description: &str) -> bool {
    description.starts_with("Accepted without effect")
}

#[test]
fn the_tables_of_keys_are_those_of_the_schema() {
    let native = schema_keys(|title, description| !title.ends_with("(Higress)") && !is_inert(description));
    assert_eq!(keys("Keys of a provider"), native);
    let higress = schema_keys(|title, description| title.ends_with("(Higress)") && !is_inert(description));
    assert_eq!(keys("Keys of Higress's ai-proxy"), higress);
    let schema = schema::schema();
    let mut envelope: BTreeSet<String> =
        schema["properties"].as_object().expect("properties").keys().cloned().collect();
    let rule = &schema["properties"]["_rules_"]["items"]["properties"];
    envelope.extend(rule.as_object().expect("properties").keys().cloned());
    // Written by Higress, by nobody else.
    envelope.remove("_plugin_id_");
    assert_eq!(keys("The envelope"), envelope);
    let statistics = &schema["properties"]["statistics"]["properties"];
    let attribute = &statistics["attributes"]["anyOf"][0]["items"]["properties"];
    for (heading, properties) in [("Keys of `statistics`", statistics), ("Keys of an attribute", attribute)] {
        let known: BTreeSet<String> = properties.as_object().expect("properties").keys().cloned().collect();
        assert_eq!(keys(heading), known);
    }
}

#[test]
fn the_keys_without_effect_are_those_of_the_code() {
    let inert: Vec<_> = ProviderSettings::KEYS.iter().filter_map(|info| Some((info.key, info.inert?))).collect();
    let mut reasons: Vec<&str> = Vec::new();
    for (_, reason) in &inert {
        if !reasons.contains(reason) {
            reasons.push(reason);
        }
    }
    let row = |reason: &&str| {
        let keys = inert.iter().filter(|(_, why)| why == reason).map(|(key, _)| format!("`{key}`"));
        format!("| {} | {reason} |", keys.collect::<Vec<_>>().join(", "))
    };
    assert_table("Keys without effect", &reasons.iter().map(row).collect::<Vec<_>>());
}

#[test]
fn the_differences_are_those_of_the_code() {
    let row = |difference: &differences::Difference| {
        format!("| `{}` | {} | {} |", difference.id, difference.what(), difference.why)
    };
    assert_table("Differences from ai-proxy", &differences::ALL.iter().map(row).collect::<Vec<_>>());
}

/// One error of each kind, in the order of the README. The match is there so that a new kind is not forgotten.
fn errors() -> Vec<Error> {
    let of = |error: Error| match error {
        Error::InvalidPath(_)
        | Error::NoRule
        | Error::OperationNotServed(_)
        | Error::ConversionNeeded { .. }
        | Error::ModelMissing
        | Error::InvalidBody(_)
        | Error::UnreadableBody(_)
        | Error::UnpackedTooLarge
        | Error::Configuration(_)
        | Error::AmbiguousConsumer
        | Error::BodyTooLarge
        | Error::InvalidUpgrade
        | Error::HoldNotHonoured
        | Error::BodyTimeout
        | Error::OverCapacity => error,
    };
    let (operation, client) = (Operation::Messages, Dialect::Anthropic);
    [
        Error::InvalidPath(""),
        Error::NoRule,
        Error::InvalidUpgrade,
        Error::OperationNotServed(operation),
        Error::ConversionNeeded { operation, client, provider_type: "openai" },
        Error::ModelMissing,
        Error::InvalidBody(""),
        Error::UnreadableBody(""),
        Error::UnpackedTooLarge,
        Error::Configuration(String::new()),
        Error::AmbiguousConsumer,
        Error::BodyTooLarge,
        Error::HoldNotHonoured,
        Error::BodyTimeout,
        Error::OverCapacity,
    ]
    .map(of)
    .to_vec()
}

#[test]
fn the_error_codes_are_those_of_the_code() {
    let shown: Vec<_> = table("Errors").iter().map(|row| format!("{} {}", row[0], row[1])).collect();
    let expected: Vec<_> = errors().iter().map(|error| format!("`{}` {}", error.code(), error.status())).collect();
    assert_eq!(shown, expected);
}

// -- Records ----------------------------------------------------------------------------------------------------------

/// Two records, of which one or the other has every field there is. All are spelt out, so that a new one is not forgotten.
fn records() -> [Record; 2] {
    let text = || Some("text".to_owned());
    let details = || vec![("detail".into(), 1)];
    let tokens = Usage {
        input: Some(1),
        output: Some(2),
        total: Some(3),
        cached_input: Some(1),
        cache_write: Some(1),
        reasoning: Some(1),
        tool_input: Some(1),
        audio_input: Some(1),
        audio_output: Some(1),
        image_input: Some(1),
        image_output: Some(1),
        includes_cache: Some(true),
        includes_reasoning: Some(true),
        unlisted_output: Some(1),
        input_details: details(),
        output_details: details(),
    };
    let complete = Record {
        provider: "openai".to_owned(),
        operation: "chat_completions",
        route: "route".to_owned(),
        cluster: "cluster".to_owned(),
        consumer: text(),
        request_model: text(),
        request_unread: Some("body"),
        upstream_model: text(),
        configured_model: true,
        mapping_rule: text(),
        response_model: text(),
        upstream_path: text(),
        status: Some(200),
        streamed: true,
        tokens,
        units: details(),
        finish_reason: Some("text".into()),
        usage_source: UsageSource::Upstream,
        first_byte: Some(1_000_000),
        first_reasoning: Some(2_000_000),
        first_content: Some(3_000_000),
        end: Some(9_000_000),
        chat_id: text(),
        chat_round: Some(1),
        session_id: text(),
        aborted: None,
        failure: None,
        oversized_event: true,
        attributes_dropped: true,
        attributes: Vec::new(),
    };
    let failed = Record {
        aborted: Some(Party::Upstream),
        failure: Some(telemetry::Failure::Upstream(text())),
        usage_source: UsageSource::None("absent"),
        ..complete.clone()
    };
    [complete, failed]
}

/// The keys of an object that is escaped as the inside of a string.
fn escaped_keys(text: &str) -> BTreeSet<String> {
    let text: String = serde_json::from_str(&format!("\"{text}\"")).expect("a string");
    let object: Value = serde_json::from_str(&text).expect("an object");
    object.as_object().expect("an object").keys().cloned().collect()
}

#[test]
fn the_log_fields_are_those_of_the_code() {
    let heading = "Log fields";
    let (mut object, mut flat) = (BTreeSet::new(), BTreeSet::new());
    for record in records() {
        let fields = Fields::of(&record);
        object.extend(escaped_keys(&telemetry::log::ai_log(&fields, None).expect("a log")));
        telemetry::log::flat(&fields, Flat::ALL, &mut |name, _| {
            flat.insert(name.strip_prefix("waypost_").expect("the prefix").to_owned());
        });
    }
    assert_eq!(keys(heading), object);
    let marked: BTreeSet<String> = table(heading)
        .iter()
        .flat_map(|row| row[0].split(", "))
        .filter_map(|field| field.strip_suffix("\\*"))
        .flat_map(spans)
        .map(str::to_owned)
        .collect();
    assert_eq!(marked, &object - &flat);
    let rows = table(heading);
    let bold =
        rows.iter().filter(|row| row[0].starts_with("**")).flat_map(|row| spans(row[0])).collect::<BTreeSet<_>>();
    let usual = |name: &&str| Flat::named(name).is_some_and(|field| Flat::usual().contains(field));
    assert_eq!(bold, Flat::names().filter(usual).collect());
    let times: BTreeSet<String> = object.into_iter().filter(|field| field.starts_with("time_to_")).collect();
    assert_eq!(keys("Three first tokens"), times);
}

#[test]
fn the_reasons_for_missing_usage_are_those_of_the_code() {
    let sources = [include_str!("../src/exchange/response.rs"), include_str!("../src/exchange/meter.rs")].concat();
    let constants = sources.split("pub(in crate::exchange) const ").skip(1);
    let constants = constants.filter_map(|rest| rest.split_once(';')?.0.split_once(": &str = \"")?.1.split('"').next());
    let literals = sources.split("UsageSource::None(\"").skip(1).filter_map(|rest| rest.split('"').next());
    let reasons: BTreeSet<String> = constants.chain(literals).map(str::to_owned).collect();
    assert_eq!(keys("Token usage"), reasons);
}

/// A host that admits no series and notes what it is asked to define: every metric once, with the names of its labels.
#[derive(Default)]
struct Metrics(Vec<(Kind, String)>);

impl telemetry::Host for Metrics {
    fn admit(&mut self, _: &str) -> bool {
        false
    }

    fn define(&mut self, kind: Kind, name: &str) -> Option<u32> {
        self.0.push((kind, name.to_owned()));
        None
    }

    fn count(&mut self, _: Kind, _: u32, _: u64) {}
}

/// The metrics of a style.
fn metrics(style: Style) -> Vec<(Kind, String)> {
    let (mut series, mut host) = (Series::new(0), Metrics::default());
    for record in records() {
        let labels = Labels::new(&record, style, &Models::default(), &Consumers::default());
        series.count(&mut host, &telemetry::samples(&record, style), &labels);
    }
    host.0
}

#[test]
fn the_metrics_are_those_of_the_code() {
    let mut expected = BTreeSet::new();
    for (kind, name) in metrics(Style::Waypost) {
        let (labels, metric) = name.rsplit_once(";.;").unwrap_or(("", &name));
        let labels = labels.split(";.;").filter_map(|label| label.split_once("=.=")).map(|(name, _)| name);
        let labels: Vec<_> = labels.map(|label| format!("`{label}`")).collect();
        let kind = if kind == Kind::Counter { "counter" } else { "histogram" };
        let labels = if labels.is_empty() { "none".to_owned() } else { labels.join(", ") };
        expected.insert(format!("`{metric}` {kind} {labels}"));
    }
    expected.insert(format!("`{}` gauge none", telemetry::MEMORY));
    for (kind, name) in metrics(Style::Higress) {
        assert_eq!(kind, Kind::Counter, "{name}");
        if let Some((before, metric)) = name.rsplit_once(".metric.") {
            assert_eq!(before, "route.overflow.upstream.overflow.model.overflow.consumer.overflow");
            expected.insert(format!("`{metric}`"));
        }
    }
    let shown = table("Metrics").into_iter().filter(|row| row[0].starts_with('`')).map(|row| match row.as_slice() {
        [metric, kind, labels, _] => format!("{metric} {kind} {labels}"),
        row => row[0].to_owned(),
    });
    assert_eq!(shown.collect::<BTreeSet<_>>(), expected);
}

#[test]
fn the_shipped_envoy_takes_the_labels_out_of_the_metrics() {
    let read = |text: &str| serde_saphyr::from_str::<Value>(text).expect("YAML")["stats_config"].clone();
    let shipped = read(include_str!("../envoy/envoy.yaml"));
    assert_eq!(shipped, read(include_str!("../testdata/telemetry/stats_tags.yaml")));
    let tags = shipped["stats_tags"].as_array().expect("a list").iter().filter_map(|tag| tag["tag_name"].as_str());
    let tags: BTreeSet<_> = tags.collect();
    let rows = table("Metrics");
    let labels: BTreeSet<_> = rows.iter().filter(|row| row.len() == 4).flat_map(|row| spans(row[2])).collect();
    let higress: BTreeSet<_> = tags.iter().filter(|tag| tag.starts_with("ai_")).copied().collect();
    assert_eq!(tags, &labels | &higress);
    let prose: String = section("Metrics").collect();
    assert!(higress.iter().all(|tag| prose.contains(&format!("`{tag}`"))));
    let istio =
        include_str!("../envoy/istio.yaml").split("extraStatTags: [").nth(1).and_then(|rest| rest.split(']').next());
    let istio = istio.expect("a list").split(',').map(|tag| tag.trim_matches(['#', ' ', '\n']));
    assert_eq!(istio.collect::<BTreeSet<_>>(), labels);
}

// -- Names ------------------------------------------------------------------------------------------------------------

#[test]
fn every_make_target_exists() {
    let mut targets = 0_usize;
    for rest in README.split("make ").skip(1) {
        let target: String = rest.chars().take_while(|c| c.is_ascii_lowercase() || *c == '-').collect();
        let after = rest.strip_prefix(target.as_str()).unwrap_or_default();
        // In prose `make` is a word like any other; a command ends with a backtick or a comment.
        if after.starts_with('`') || after.starts_with("   #") {
            assert!(MAKEFILE.lines().any(|line| line.starts_with(&format!("{target}:"))), "no target `{target}`");
            targets = targets.saturating_add(1);
        }
    }
    assert!(targets > 5, "the targets are gone");
}

#[test]
fn every_file_exists() {
    let mut files = 0_usize;
    let prose: String = README.split("```").step_by(2).collect();
    for name in spans(&prose) {
        let first = name.split('/').next().unwrap_or_default();
        let is_path = name.contains('/') && !first.is_empty() && root().join(first).is_dir();
        if (is_path || name == "LICENSE") && first != "target" {
            assert!(root().join(name).exists(), "there is no `{name}`");
            files = files.saturating_add(1);
        }
    }
    assert!(files > 20, "the files are gone");
}

#[test]
fn the_versions_of_envoy_are_those_of_the_makefile() {
    let value = |name: &str| {
        let line = MAKEFILE.lines().find_map(|line| line.strip_prefix(&format!("{name} := ")));
        line.unwrap_or_else(|| panic!("no {name} in the Makefile"))
    };
    let newest = value("ENVOY_VERSION");
    let versions: Vec<_> =
        value("ENVOY_VERSIONS").replace("$(ENVOY_VERSION)", newest).split(' ').map(str::to_owned).collect();
    let (last, others) = versions.split_last().expect("versions");
    let shown = format!("Envoy {} and {last}", others.join(", "));
    let words = README.split_whitespace().collect::<Vec<_>>().join(" ");
    assert!(words.contains(&shown), "the README should say: {shown}");
}
