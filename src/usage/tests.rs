//! Sample responses of the vendors, written after their documentation: see `source` in what is expected of each.

mod rules;

use serde_json::{Value as Json, json};

use super::*;
#[cfg(target_family = "wasm")]
use wasm_bindgen_test::wasm_bindgen_test as test;

/// A response with what is expected of it. The form of the former: `json` is one document, `sse` events, `ndjson`
/// lines, and `events` names and payloads of AWS events.
struct Sample {
    name: &'static str,
    form: &'static str,
    body: &'static str,
    expected: Json,
}

fn samples() -> Vec<Sample> {
    macro_rules! samples {
        ($($name:literal $form:literal,)*) => {
            vec![$(Sample {
                name: $name,
                form: $form,
                body: include_str!(concat!("../../testdata/usage/", $name, ".", $form)),
                expected: serde_json::from_str(include_str!(concat!("../../testdata/usage/", $name, ".expected.json")))
                    .expect($name),
            },)*]
        };
    }
    samples! {
        "anthropic-both-whole" "sse",
        "anthropic-both" "sse",
        "anthropic-delta-only" "sse",
        "anthropic-overloaded" "sse",
        "anthropic-start-only" "sse",
        "anthropic-thinking-and-tool" "sse",
        "anthropic-zeros-at-the-end" "sse",
        "anthropic-zeros-at-the-start" "sse",
        "anthropic" "json",
        "azure-chat" "sse",
        "bedrock-converse-exception" "events",
        "bedrock-converse-stream" "events",
        "bedrock-converse" "json",
        "bedrock-invoke-stream" "events",
        "both-namings" "sse",
        "cohere-embed" "json",
        "cohere-rerank" "json",
        "cohere-v1-chat-stream" "ndjson",
        "cohere-v2-chat-stream" "sse",
        "cohere-v2-chat" "json",
        "dashscope-application" "json",
        "dashscope-images" "json",
        "dashscope-stream" "sse",
        "dashscope" "json",
        "deepseek" "sse",
        "gemini-array" "json",
        "gemini-call-and-image" "sse",
        "gemini-error" "json",
        "gemini-stream" "sse",
        "gemini" "json",
        "groq" "sse",
        "jina-rerank" "json",
        "mistral" "sse",
        "moonshot" "sse",
        "not-numbers" "json",
        "ollama-chat" "ndjson",
        "ollama-generate" "json",
        "openai-chat-audio" "sse",
        "openai-chat-late-error" "sse",
        "openai-chat-stream" "sse",
        "openai-chat-tools" "sse",
        "openai-chat" "json",
        "openai-completions" "sse",
        "openai-embeddings" "json",
        "openai-error" "json",
        "openai-images-stream" "sse",
        "openai-images" "json",
        "openai-transcription-seconds" "json",
        "openai-transcription-stream" "sse",
        "openai-transcription" "json",
        "openrouter" "sse",
        "perplexity" "json",
        "responses-completed" "sse",
        "responses-failed" "sse",
        "responses-incomplete" "sse",
        "responses" "json",
        "vllm-continuous" "sse",
        "volcengine-images" "json",
    }
}

impl Sample {
    /// The messages of a stream: name of the event and data. The framing proper is not of this module.
    fn messages(&self) -> Vec<(String, String)> {
        let no_name = |data: &str| (String::new(), data.to_owned());
        match self.form {
            "sse" => self.body.split("\n\n").filter_map(event).collect(),
            "ndjson" => self.body.lines().map(no_name).collect(),
            "events" => {
                let lines = self.body.lines().filter(|line| !line.starts_with('#'));
                lines.map(|line| line.split_once(' ').unwrap()).map(|(name, data)| (name.into(), data.into())).collect()
            }
            _ => vec![no_name(self.body)],
        }
    }
}

/// Name and data of an SSE event that has data.
fn event(block: &str) -> Option<(String, String)> {
    let field =
        |name: &str| block.lines().find_map(|line| line.strip_prefix(name)?.strip_prefix(':')).map(str::trim_start);
    Some((field("event").unwrap_or_default().into(), field("data")?.into()))
}

/// What is known, in the form of an expectation, without what is unknown.
fn told(facts: &Facts) -> Json {
    let usage = &facts.usage;
    let all = json!({
        "model": facts.model,
        "id": facts.id,
        "error": facts.error.then_some(true),
        "error_type": facts.error_type,
        "usage": known(json!({
            "input": usage.input,
            "output": usage.output,
            "total": usage.total,
            "cached_input": usage.cached_input,
            "cache_write": usage.cache_write,
            "reasoning": usage.reasoning,
            "tool_input": usage.tool_input,
            "audio_input": usage.audio_input,
            "audio_output": usage.audio_output,
            "image_input": usage.image_input,
            "image_output": usage.image_output,
            "includes_cache": usage.includes_cache,
            "includes_reasoning": usage.includes_reasoning,
            "input_details": details(&usage.input_details),
            "output_details": details(&usage.output_details),
        })),
    });
    known(all)
}

fn details(details: &[Detail]) -> Option<Vec<Json>> {
    (!details.is_empty()).then(|| details.iter().map(|(name, number)| json!([name, number])).collect())
}

fn known(mut json: Json) -> Json {
    json.as_object_mut().unwrap().retain(|_, value| !value.is_null());
    json
}

/// What is expected of the facts: without what is expected of the messages and of the total.
fn expected_facts(sample: &Sample) -> Json {
    let mut expected = sample.expected.clone();
    let streams = ["source", "first_reasoning", "first_content", "usage_only", "computed_total"];
    expected.as_object_mut().unwrap().retain(|key, _| !streams.contains(&key.as_str()));
    expected
}

fn by_message(table: &Table, messages: &[(String, String)]) -> (Facts, Vec<Seen>) {
    let mut collector = Collector::new(table);
    let seen = messages.iter().map(|(event, data)| collector.message(event.as_bytes(), data.as_bytes())).collect();
    (collector.into_facts(), seen)
}

fn by_pieces<'a>(table: &Table, pieces: impl IntoIterator<Item = &'a [u8]>) -> Facts {
    let mut collector = Collector::new(table);
    for piece in pieces {
        collector.feed(piece);
    }
    collector.finish_document();
    collector.into_facts()
}

#[test]
fn every_sample_tells_what_is_expected() {
    let table = Table::new();
    for sample in samples() {
        let (facts, seen) = by_message(&table, &sample.messages());
        assert_eq!(told(&facts), expected_facts(&sample), "{}", sample.name);
        let total = sample.expected.get("computed_total");
        if let Some(total) = total {
            assert_eq!(facts.usage.computed_total(), total.as_u64(), "{}", sample.name);
        }
        assert_eq!(facts.usage.total(), facts.usage.total.or_else(|| total?.as_u64()), "{}", sample.name);
        if sample.form == "json" {
            continue;
        }
        let first = |is: fn(&Seen) -> bool| json!(seen.iter().position(is));
        let expected = |key: &str| sample.expected.get(key).cloned().unwrap_or_default();
        assert_eq!(first(|seen| seen.reasoning), expected("first_reasoning"), "{}", sample.name);
        assert_eq!(first(|seen| seen.content), expected("first_content"), "{}", sample.name);
    }
}

/// higress#4616.
#[test]
fn a_document_tells_the_same_in_any_split() {
    let table = Table::new();
    for sample in samples().iter().filter(|sample| sample.form == "json") {
        let body = sample.body.as_bytes();
        let expected = expected_facts(sample);
        for cut in 0..=body.len() {
            let (head, tail) = body.split_at(cut);
            assert_eq!(told(&by_pieces(&table, [head, tail])), expected, "{} cut at {cut}", sample.name);
        }
        for size in 1..8 {
            assert_eq!(told(&by_pieces(&table, body.chunks(size))), expected, "{} by {size}", sample.name);
        }
    }
}

/// What is skipped once content has been seen would have told nothing.
#[test]
fn skipping_messages_loses_nothing() {
    let table = Table::new();
    for sample in samples() {
        let mut all = Collector::new(&table);
        for (event, data) in sample.messages() {
            all.answered = false;
            all.message(event.as_bytes(), data.as_bytes());
        }
        assert_eq!(told(all.facts()), expected_facts(&sample), "{}", sample.name);
    }
}

#[cfg(not(target_family = "wasm"))]
mod properties {
    use super::*;
    use proptest::prelude::*;

    proptest! {
        /// Whatever bytes of whatever sample are replaced, it is read, and the same in any split.
        #[test]
        fn damaged_documents_tell_the_same_in_any_split(
            sample: prop::sample::Index,
            damage in prop::collection::vec((any::<prop::sample::Index>(), any::<u8>()), 0..4),
            cut: prop::sample::Index,
        ) {
            let samples = samples();
            let mut body = sample.get(&samples).body.as_bytes().to_vec();
            for (at, byte) in damage {
                let at = at.index(body.len());
                body[at] = byte;
            }
            let table = Table::new();
            let (head, tail) = body.split_at(cut.index(body.len()));
            prop_assert_eq!(by_pieces(&table, [head, tail]), by_pieces(&table, [&body[..]]));
            Collector::new(&table).message(b"", &body);
        }
    }
}
