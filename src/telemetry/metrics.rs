//! Which figures of a record are counted, and under which names.
//!
//! A host knows no labels: they stand in the name, and Envoy's `stats_tags` (in Higress the bootstrap's, else those of
//! `testdata/telemetry/stats_tags.yaml`) take them out again. Two styles:
//!
//! - [`Style::Higress`]: `route.<r>.upstream.<c>.model.<m>.consumer.<x>.metric.<n>`, counters only, as ai-statistics
//!   writes them, so that the console's dashboards go on.
//! - [`Style::Waypost`]: after OpenTelemetry's conventions for generative AI where they have a name, else
//!   `waypost_…_total`. The name is `label=.=value;.;label=.=value;.;metric`, Istio's form: taking out
//!   `label=.=value;.;` leaves the bare name, with Istio's own expressions too. Histograms of a host take whole numbers
//!   only, so the unit is small and stands in the name.
//!
//! | metric | kind | labels |
//! |---|---|---|
//! | `waypost_requests_total` | counter | provider, operation, model, consumer, status class |
//! | `waypost_errors_total` | counter | provider, operation, model, error source, error type |
//! | `waypost_tokens_total` | counter | provider, model, consumer, token type, usage source |
//! | `gen_ai_client_token_usage` | histogram | provider, operation, model, token type |
//! | `gen_ai_server_request_duration_milliseconds` | histogram | provider, operation, model, status class |
//! | `gen_ai_server_time_to_first_token_milliseconds` | histogram | provider, operation, model |
//! | `gen_ai_server_time_per_output_token_microseconds` | histogram | provider, operation, model |
//! | `waypost_attributes_dropped_total` | counter | provider |
//! | `waypost_memory_bytes` | gauge | none: see [`MEMORY`] |
//! | `waypost_series_overflow_total` | counter | none: see [`series`](super::series) |
//!
//! Envoy's histograms are approximate, their sums too; exact rates and sums are those of the counters.
//!
//! The usage source of tokens is `upstream`, or `estimated` where a stream did not tell its output.
//!
//! Token types are `input` and `output`; the counter also has their parts `cached_input`, `cache_write_input` and
//! `reasoning`. `input` is all input here, whether the vendor counts what its cache served or not, and `output` all output,
//! reasoning included, so that vendors can be compared; logs show the vendor's own figures.

use super::labels::{Labels, OVERFLOW};
use super::record::{Record, UsageSource};

/// Nanoseconds in a millisecond.
const NS_PER_MS: u64 = 1_000_000;

/// Nanoseconds in a microsecond.
const NS_PER_US: u64 = 1_000;

/// Which metrics are kept.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub enum Style {
    /// None.
    None,
    /// Those of Higress's ai-statistics.
    Higress,
    /// Waypost's own.
    #[default]
    Waypost,
    /// Both.
    Both,
}

impl Style {
    /// Whether those of Higress are kept.
    #[must_use]
    pub const fn is_higress(self) -> bool {
        matches!(self, Self::Higress | Self::Both)
    }

    /// The style of that name in a configuration.
    #[must_use]
    pub fn parse(name: &str) -> Option<Self> {
        Some(match name {
            "none" => Self::None,
            "higress" => Self::Higress,
            "waypost" => Self::Waypost,
            "both" => Self::Both,
            _ => return None,
        })
    }
}

/// What kind of metric the host keeps.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Kind {
    /// A sum.
    Counter,
    /// A distribution.
    Histogram,
}

/// A metric, one series of which is counted. Each is a static: which one it is, its address says.
#[derive(Debug)]
pub struct Metric {
    kind: Kind,
    name: &'static str,
    form: Form,
}

/// How labels stand in a name.
#[derive(Debug)]
enum Form {
    Higress,
    Waypost(&'static [Label]),
}

/// A label of Waypost's own metrics.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum Label {
    Provider,
    Operation,
    Model,
    Consumer,
    TokenType,
    ErrorType,
    ErrorSource,
    StatusClass,
    UsageSource,
}

impl Label {
    /// The name. None is the end of another one: Istio's expressions are not anchored.
    const fn name(self) -> &'static str {
        match self {
            Self::Provider => "gen_ai_provider_name",
            Self::Operation => "gen_ai_operation_name",
            Self::Model => "gen_ai_request_model",
            Self::Consumer => "consumer",
            Self::TokenType => "gen_ai_token_type",
            Self::ErrorType => "error_type",
            Self::ErrorSource => "error_source",
            Self::StatusClass => "status_class",
            Self::UsageSource => "usage_source",
        }
    }
}

static REQUESTS: Metric = Metric {
    kind: Kind::Counter,
    name: "waypost_requests_total",
    form: Form::Waypost(&[Label::Provider, Label::Operation, Label::Model, Label::Consumer, Label::StatusClass]),
};
static ERRORS: Metric = Metric {
    kind: Kind::Counter,
    name: "waypost_errors_total",
    form: Form::Waypost(&[Label::Provider, Label::Operation, Label::Model, Label::ErrorSource, Label::ErrorType]),
};
static TOKENS: Metric = Metric {
    kind: Kind::Counter,
    name: "waypost_tokens_total",
    form: Form::Waypost(&[Label::Provider, Label::Model, Label::Consumer, Label::TokenType, Label::UsageSource]),
};
static TOKEN_USAGE: Metric = Metric {
    kind: Kind::Histogram,
    name: "gen_ai_client_token_usage",
    form: Form::Waypost(&[Label::Provider, Label::Operation, Label::Model, Label::TokenType]),
};
static DURATION: Metric = Metric {
    kind: Kind::Histogram,
    name: "gen_ai_server_request_duration_milliseconds",
    form: Form::Waypost(&[Label::Provider, Label::Operation, Label::Model, Label::StatusClass]),
};
static FIRST_TOKEN: Metric = Metric {
    kind: Kind::Histogram,
    name: "gen_ai_server_time_to_first_token_milliseconds",
    form: Form::Waypost(&[Label::Provider, Label::Operation, Label::Model]),
};
static PER_TOKEN: Metric = Metric {
    kind: Kind::Histogram,
    name: "gen_ai_server_time_per_output_token_microseconds",
    form: Form::Waypost(&[Label::Provider, Label::Operation, Label::Model]),
};

static ATTRIBUTES_DROPPED: Metric =
    Metric { kind: Kind::Counter, name: "waypost_attributes_dropped_total", form: Form::Waypost(&[Label::Provider]) };

/// The gauge of what requests keep in memory, in bytes. All VMs of a process add to it.
pub const MEMORY: &str = "waypost_memory_bytes";

/// The metric that counts what was put into overflow series; it has no labels.
pub(super) static SERIES_OVERFLOW: Metric =
    Metric { kind: Kind::Counter, name: "waypost_series_overflow_total", form: Form::Waypost(&[]) };

const fn higress(name: &'static str) -> Metric {
    Metric { kind: Kind::Counter, name, form: Form::Higress }
}

static HIGRESS_INPUT: Metric = higress("input_token");
static HIGRESS_OUTPUT: Metric = higress("output_token");
static HIGRESS_TOTAL: Metric = higress("total_token");
static HIGRESS_FIRST_TOKEN: Metric = higress("llm_first_token_duration");
static HIGRESS_STREAMS: Metric = higress("llm_stream_duration_count");
static HIGRESS_SERVICE: Metric = higress("llm_service_duration");
static HIGRESS_COUNT: Metric = higress("llm_duration_count");
static HIGRESS_FAILURES: Metric = higress("llm_failure_count");

/// One value for one metric.
#[derive(Debug)]
pub struct Sample {
    pub(super) metric: &'static Metric,
    /// A label that is not the record's.
    pub(super) token_type: &'static str,
    /// What to add to a counter or to record in a histogram.
    pub value: u64,
}

impl Sample {
    /// What is counted where a series is refused.
    pub(super) const SERIES_OVERFLOW: Self = Self { metric: &SERIES_OVERFLOW, token_type: "", value: 1 };

    /// Whether it is for the same series, where the labels are the same.
    pub(super) fn is_like(&self, metric: &'static Metric, token_type: &str) -> bool {
        core::ptr::eq(self.metric, metric) && self.token_type == token_type
    }

    /// What kind of metric it is for.
    #[must_use]
    pub const fn kind(&self) -> Kind {
        self.metric.kind
    }

    /// Writes the name that the host knows, with these labels; without labels that of the overflow series.
    pub fn write_name(&self, labels: Option<&Labels<'_>>, out: &mut String) {
        match self.metric.form {
            Form::Higress => {
                let (route, cluster, model, consumer) = labels
                    .map_or((OVERFLOW, OVERFLOW, OVERFLOW, OVERFLOW), |labels| {
                        (&*labels.route, &*labels.cluster, &*labels.higress_model, &*labels.consumer)
                    });
                for (word, value) in
                    [("route.", route), (".upstream.", cluster), (".model.", model), (".consumer.", consumer)]
                {
                    out.push_str(word);
                    out.push_str(value);
                }
                out.push_str(".metric.");
            }
            Form::Waypost(list) => {
                for label in list {
                    out.push_str(label.name());
                    out.push_str("=.=");
                    out.push_str(labels.map_or(OVERFLOW, |labels| self.value_of(*label, labels)));
                    out.push_str(";.;");
                }
            }
        }
        out.push_str(self.metric.name);
    }

    fn value_of<'l>(&self, label: Label, labels: &'l Labels<'_>) -> &'l str {
        match label {
            Label::Provider => &labels.provider,
            Label::Operation => labels.operation,
            Label::Model => &labels.model,
            Label::Consumer => &labels.consumer,
            Label::TokenType => self.token_type,
            Label::ErrorType => &labels.error_type,
            Label::ErrorSource => labels.error_source,
            Label::StatusClass => labels.status_class,
            Label::UsageSource => labels.usage_source,
        }
    }
}

/// What is to be counted for a record. Counters that would grow by nothing are left out.
#[must_use]
pub fn samples(record: &Record, style: Style) -> Vec<Sample> {
    /// What a usual record has of one style.
    const USUAL: usize = 12;
    let mut list = Vec::with_capacity(if style == Style::None { 0 } else { USUAL });
    let mut put = |metric: &'static Metric, token_type: &'static str, value: Option<u64>| {
        let value = value.filter(|value| metric.kind == Kind::Histogram || *value > 0);
        list.extend(value.map(|value| Sample { metric, token_type, value }));
    };
    if style.is_higress() {
        higress_samples(record, &mut |metric, value| put(metric, "", value));
    }
    if matches!(style, Style::Waypost | Style::Both) {
        waypost_samples(record, &mut put);
    }
    list
}

/// As ai-statistics counts: without usage, and where it is estimated, only the failure, so averages are over requests whose tokens are known.
fn higress_samples(record: &Record, put: &mut dyn FnMut(&'static Metric, Option<u64>)) {
    put(&HIGRESS_FAILURES, record.failed().then_some(1));
    let tokens = &record.tokens;
    if !tokens.is_known() || record.usage_source == UsageSource::Estimated {
        return;
    }
    put(&HIGRESS_INPUT, tokens.input);
    put(&HIGRESS_OUTPUT, tokens.output);
    put(&HIGRESS_TOTAL, tokens.total());
    let first = record.first_byte_ms();
    put(&HIGRESS_FIRST_TOKEN, first);
    put(&HIGRESS_STREAMS, first.map(|_| 1));
    let service = record.service_ms();
    put(&HIGRESS_SERVICE, service);
    put(&HIGRESS_COUNT, service.map(|_| 1));
}

fn waypost_samples(record: &Record, put: &mut dyn FnMut(&'static Metric, &'static str, Option<u64>)) {
    let tokens = &record.tokens;
    put(&REQUESTS, "", Some(1));
    put(&ERRORS, "", (record.failed() || record.aborted.is_some()).then_some(1));
    put(&ATTRIBUTES_DROPPED, "", record.attributes_dropped.then_some(1));
    put(&DURATION, "", record.end.map(|ns| ns / NS_PER_MS));
    // What a failed or broken stream took says nothing of how fast the model is.
    if !record.failed() {
        put(&FIRST_TOKEN, "", record.first_token().map(|ns| ns / NS_PER_MS));
        put(&PER_TOKEN, "", record.time_per_output_token().map(|ns| ns / NS_PER_US));
    }
    // No label tells an estimate there.
    let measured = |figure: Option<u64>| figure.filter(|_| record.usage_source != UsageSource::Estimated);
    for (metric, token_type, value) in [
        (&TOKEN_USAGE, "input", measured(tokens.all_input())),
        (&TOKEN_USAGE, "output", measured(tokens.all_output())),
        (&TOKENS, "input", tokens.all_input()),
        (&TOKENS, "output", tokens.all_output()),
        (&TOKENS, "cached_input", tokens.cached_input),
        (&TOKENS, "cache_write_input", tokens.cache_write),
        (&TOKENS, "reasoning", tokens.reasoning),
    ] {
        put(metric, token_type, value);
    }
}

#[cfg(test)]
mod tests;
