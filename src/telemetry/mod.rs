//! What one AI request leaves behind: one [`Record`], written as log fields and counted as metrics.
//!
//! [`record`] is what was known when the request ended, [`fields`] names what a log shows of it, [`log`] writes that as
//! the `ai_log` object of Higress's access log and as flat fields, [`metrics`] says which figures are counted under which names, [`labels`] keeps the
//! values in those names bounded, and [`series`] keeps the names themselves bounded, because a host never frees one.
//! [`ledger`] is the list of names that all VMs of a process share.
//!
//! Nothing here calls the host: the caller hands in old values and a [`series::Host`].

pub mod fields;
pub mod labels;
pub mod ledger;
pub mod log;
pub mod metrics;
pub mod once;
pub mod record;
pub mod series;

pub use fields::{Fields, Flat};
pub use labels::{Consumers, Labels, Models};
pub use metrics::{Kind, MEMORY, Sample, Style, samples};
pub use once::Once;
pub use record::{Failure, Party, Record, UsageSource};
pub use series::{Host, Series};

#[cfg(test)]
mod samples_of_records {
    use super::*;
    use crate::usage::Usage;

    /// A stream that went well, with a cache and reasoning.
    pub(super) fn stream() -> Record {
        Record {
            provider: "openai".to_owned(),
            operation: "chat_completions",
            route: "ai-route-gpt.internal".to_owned(),
            cluster: "outbound|443||llm-openai.internal.dns".to_owned(),
            consumer: Some("team-a".to_owned()),
            request_model: Some("gpt-4".to_owned()),
            upstream_model: Some("gpt-4.1".to_owned()),
            mapping_rule: Some("gpt-4".to_owned()),
            response_model: Some("gpt-4.1-2025-04-14".to_owned()),
            upstream_path: Some("/v1/chat/completions?a=1&b=2".to_owned()),
            status: Some(200),
            streamed: true,
            tokens: Usage {
                input: Some(1200),
                output: Some(101),
                total: Some(1301),
                cached_input: Some(1024),
                reasoning: Some(40),
                includes_cache: Some(true),
                input_details: vec![("cached_tokens".into(), 1024), ("audio_tokens".into(), 0)],
                output_details: vec![("reasoning_tokens".into(), 40)],
                ..Usage::default()
            },
            usage_source: UsageSource::Upstream,
            first_byte: Some(210_400_000),
            first_reasoning: Some(250_000_000),
            first_content: Some(900_123_456),
            end: Some(2_250_000_000),
            chat_id: Some("chatcmpl-1".to_owned()),
            chat_round: Some(2),
            ..Record::default()
        }
    }

    /// A refusal of the upstream.
    pub(super) fn refused() -> Record {
        Record {
            provider: "openai".to_owned(),
            operation: "chat_completions",
            route: "r".to_owned(),
            cluster: "c".to_owned(),
            request_model: Some("invented-1".to_owned()),
            status: Some(429),
            end: Some(31_999_999),
            failure: Some(Failure::Upstream(Some("rate_limit_exceeded".to_owned()))),
            usage_source: UsageSource::None("no-usage"),
            ..Record::default()
        }
    }
}
