//! What is recorded of requests, compiled from `statistics`.

use super::differences;
use super::doubts;
use super::problem::{Kind, Problems, nearest};
use super::settings::{
    AttributeRuleSetting, AttributeSettings, MetricStyleSetting, StatisticsSettings, ValueSourceSetting,
};
use crate::attributes::{self, Attribute, Attributes, Rule, Source, Spec};
use crate::telemetry::labels::{Consumers, Models};
use crate::telemetry::{Flat, Once, Style};
use crate::usage;
use std::cell::RefCell;
use std::rc::Rc;

/// How many series of metrics there may be when nothing else is configured.
const MAX_SERIES: usize = 1_000;

/// The request header that names the consumer when nothing else is configured; Higress's authentication plugins set it.
const CONSUMER_HEADER: &str = "x-mse-consumer";

/// The filter state of the record when nothing else is configured; Higress's access log shows it.
const LOG_KEY: &str = "ai_log";

/// The compiled statistics of one rule.
#[derive(Clone, Debug)]
pub struct Statistics {
    /// Which metrics are kept.
    pub metrics: Style,
    /// How many series of metrics there may be.
    pub max_series: usize,
    /// Which names of models metrics show.
    pub models: Models,
    /// Which names of consumers metrics show.
    pub consumers: Consumers,
    /// The request header that names the consumer, in lower case.
    pub consumer_header: String,
    /// The filter state that holds the record.
    pub log_key: String,
    /// The fields that are filter states of their own.
    pub log_fields: Flat,
    /// Whether the model as it goes upstream is one, which filters after Waypost may look at.
    pub shows_model: bool,
    /// Whether the consumer is one, which is then there for filters after Waypost.
    pub shows_consumer: bool,
    /// Whether token usage is looked for.
    pub usage: bool,
    /// What else is recorded.
    pub attributes: Rc<Attributes>,
    /// Only paths with one of these endings are recorded; all if there is none.
    pub path_suffixes: Vec<String>,
    /// Only responses whose type contains one of these are looked into; all if there is none.
    content_types: Vec<String>,
    /// The request header that names the session, in lower case.
    pub session_header: Option<String>,
    /// Where usage is looked for.
    pub usage_table: usage::Table,
    /// Responses that tell their cost whenever they are fetched, of which each is counted once.
    pub counted: Rc<RefCell<Once>>,
}

impl Statistics {
    /// Compiles `statistics`, or what holds without it. `global` is given for those of a rule.
    ///
    /// Whatever is wrong in it is a warning: a request is not to be refused because of what is written down about it.
    pub(super) fn compile(
        settings: Option<&StatisticsSettings>,
        global: Option<&Rc<Self>>,
        problems: &mut Problems,
    ) -> Rc<Self> {
        problems.soften("statistics");
        let none = StatisticsSettings::default();
        let settings = settings.unwrap_or(&none);
        problems.at("statistics", |problems| {
            if global.is_some() && settings.max_series.is_some() {
                problems.at("maxSeries", |problems| {
                    problems.warn(Kind::Inert { reason: "only the global `statistics` can bound the series" });
                });
            }
            patterns("models", settings.models.as_deref(), problems);
            patterns("consumers", settings.consumers.as_deref(), problems);
            let header =
                |key, name: &Option<String>, odd: fn(&str) -> Option<&'static str>, problems: &mut Problems| {
                    problems.at(key, |problems| problems.doubts(|| name.as_deref().and_then(odd)));
                };
            header("consumerHeader", &settings.consumer_header, doubts::consumer_header, problems);
            header("session_id_header", &settings.session_id_header, doubts::header_name, problems);
            let max_series = settings.max_series.and_then(|max| usize::try_from(max).ok()).unwrap_or(MAX_SERIES);
            if settings.consumer_header.is_some() {
                problems.at("consumerHeader", |problems| problems.differs(differences::CONSUMER_HEADER));
            }
            let text = |value: &Option<String>, unset: &str| {
                value.as_deref().filter(|value| !value.is_empty()).unwrap_or(unset).to_owned()
            };
            let log_fields =
                settings.log_fields.as_ref().map_or_else(Flat::usual, |names| flat_fields(names, problems));
            Rc::new(Self {
                metrics: match settings.metric_style {
                    Some(MetricStyleSetting::Higress) => Style::Higress,
                    Some(MetricStyleSetting::Both) => Style::Both,
                    Some(MetricStyleSetting::None) => Style::None,
                    Some(MetricStyleSetting::Waypost) | None => Style::Waypost,
                },
                max_series: global.map_or(max_series, |global| global.max_series),
                models: Models::new(settings.models.iter().flatten().map(String::as_str)),
                consumers: Consumers::new(settings.consumers.iter().flatten().map(String::as_str)),
                consumer_header: text(&settings.consumer_header, CONSUMER_HEADER).to_ascii_lowercase(),
                log_key: text(&settings.log_key, LOG_KEY),
                log_fields,
                shows_model: Flat::named("upstream_model").is_some_and(|model| log_fields.contains(model)),
                shows_consumer: Flat::named("consumer").is_some_and(|consumer| log_fields.contains(consumer)),
                usage: settings.disable_openai_usage != Some(true),
                attributes: Rc::new(attributes(settings, problems)),
                path_suffixes: settings.enable_path_suffixes.clone().unwrap_or_default(),
                content_types: settings.enable_content_types.clone().unwrap_or_default(),
                session_header: settings.session_id_header.as_deref().map(str::to_ascii_lowercase),
                usage_table: global.map_or_else(usage::Table::new, |global| global.usage_table.clone()),
                counted: global.map(|global| Rc::clone(&global.counted)).unwrap_or_default(),
            })
        })
    }

    /// Whether metrics are named after the cluster.
    #[must_use]
    pub const fn names_clusters(&self) -> bool {
        self.metrics.is_higress()
    }

    /// Whether the usage of a stream is read, so that it is worth asking for.
    #[must_use]
    pub fn reads_streams(&self) -> bool {
        self.usage && self.reads("text/event-stream")
    }

    /// Whether responses of this type are looked into.
    #[must_use]
    pub fn reads(&self, content_type: &str) -> bool {
        attributes::content_type_enabled(&self.content_types, content_type)
    }
}

/// Doubts about names with or without a star.
fn patterns(key: &str, list: Option<&[String]>, problems: &mut Problems) {
    problems.at(key, |problems| {
        for (index, pattern) in list.unwrap_or_default().iter().enumerate() {
            problems.at_index(index, |problems| problems.doubts(|| doubts::plain_pattern(pattern)));
        }
    });
}

/// The fields of these names. What is none is left out.
fn flat_fields(names: &[String], problems: &mut Problems) -> Flat {
    let mut fields = Flat::NONE;
    problems.at("logFields", |problems| {
        for (index, name) in names.iter().enumerate() {
            problems.at_index(index, |problems| match Flat::named(name) {
                Some(field) => fields = fields.and(field),
                None => problems.warn(Kind::UnknownValue {
                    found: name.clone(),
                    meant: nearest(name, &mut Flat::names()).map(str::to_owned),
                }),
            });
        }
    });
    fields
}

fn attributes(settings: &StatisticsSettings, problems: &mut Problems) -> Attributes {
    let limit = settings.value_length_limit.and_then(|limit| usize::try_from(limit).ok());
    let full = settings.use_default_attributes == Some(true);
    if full || settings.use_default_response_attributes == Some(true) {
        if settings.attributes.as_ref().is_some_and(|list| !list.is_empty()) {
            problems.at("attributes", |problems| {
                problems.warn(Kind::Inert { reason: "`use_default_attributes` and its kind replace them" });
            });
        }
        return if full { Attributes::defaults_full(limit) } else { Attributes::defaults_light(limit) };
    }
    let mut list = Vec::new();
    problems.at("attributes", |problems| {
        for (index, settings) in settings.attributes.iter().flatten().enumerate() {
            problems.at_index(index, |problems| match Attribute::compile(spec(settings)) {
                Ok(attribute) => {
                    if matches!(
                        settings.value_source,
                        Some(ValueSourceSetting::RequestHeader | ValueSourceSetting::ResponseHeader)
                    ) {
                        problems.at("value", |problems| {
                            problems.doubts(|| settings.value.as_deref().and_then(doubts::header_name));
                        });
                    }
                    if let Some(reason) = attribute.warning() {
                        problems.warn(Kind::Doubtful { reason });
                    }
                    list.push(attribute);
                }
                // As in ai-statistics, which finds nothing then; the requests themselves are not at stake.
                Err(reason) => problems.warn(Kind::Invalid { reason }),
            });
        }
    });
    Attributes::new(list, limit)
}

fn spec(settings: &AttributeSettings) -> Spec {
    Spec {
        key: settings.key.clone().unwrap_or_default(),
        source: settings.value_source.map(|source| match source {
            ValueSourceSetting::Fixed => Source::Fixed,
            ValueSourceSetting::RequestHeader => Source::RequestHeader,
            ValueSourceSetting::RequestBody => Source::RequestBody,
            ValueSourceSetting::ResponseHeader => Source::ResponseHeader,
            ValueSourceSetting::ResponseStreamingBody => Source::Events,
            ValueSourceSetting::ResponseBody => Source::Document,
        }),
        value: settings.value.clone(),
        rule: settings.rule.map(|rule| match rule {
            AttributeRuleSetting::First => Rule::First,
            AttributeRuleSetting::Replace => Rule::Replace,
            AttributeRuleSetting::Append => Rule::Append,
        }),
        default_value: settings.default_value.clone(),
        apply_to_log: settings.apply_to_log == Some(true),
        apply_to_span: settings.apply_to_span == Some(true),
        trace_span_key: settings.trace_span_key.clone(),
        as_separate_log_field: settings.as_separate_log_field == Some(true),
    }
}
