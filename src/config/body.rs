//! What a provider's settings do to request bodies: parameters, usage, and when headers wait.

use super::differences;
use super::doubts;
use super::problem::{Kind, Problems};
use super::settings::{
    CustomMode, CustomSettings, IncludeUsageSetting, ParamOp, ParamSettings, ProtocolSetting, ProviderSettings,
    UnreadableBodiesSetting,
};
use crate::json::Node;
use crate::json::{Keys, Watch, literal};
use crate::messages::MessageEdits;
use crate::params::{Bound, ModelPattern, Op, Param};
use crate::provider::Preset;

/// The compiled body settings of one provider.
#[derive(Clone, Debug)]
pub struct BodySettings {
    /// Parameter rules, in order.
    pub params: Vec<Param>,
    /// Edits to the list of messages.
    pub messages: MessageEdits,
    /// Whether streams are asked for their usage.
    pub include_usage: bool,
    /// Whether messages of the role `developer` become `system`.
    pub system_role: bool,
    /// Whether the headers of every body that changes wait for it.
    pub hold_headers: bool,
    /// How long the host may keep back what it has received of a held request's body, in milliseconds; 0 is for ever.
    pub hold_timeout_ms: u32,
    /// The longest body that is held, in bytes.
    pub max_held_bytes: u64,
    /// How many bytes a compressed body may unpack to.
    pub max_unpacked_bytes: u64,
    /// Whether a body that would be edited and cannot be read is forwarded all the same.
    pub passes_unreadable: bool,
    /// What Envoy waits for the first byte of a streamed response, in milliseconds.
    pub first_byte_timeout_ms: Option<u32>,
    /// The members of a body that generates text.
    pub generation_keys: Keys,
    /// Those of a chat, with the roles of its messages: some have to change, and the user's are counted.
    pub chat_keys: Keys,
    /// The members of every other body with a model.
    pub model_keys: Keys,
    /// Nothing of a native Gemini body but the roles of its contents.
    pub contents_keys: Keys,
}

/// Keys that a rule or the record depends on, which may not stand in a body in another case.
const LIKENESSES: [&str; 5] = ["model", "stream", "stream_options", "messages", "input"];

/// How many bytes a compressed body may unpack to when nothing else is configured.
pub const MAX_UNPACKED_BYTES: u64 = 64 * 1024 * 1024;

/// Members that are acted on whatever is configured; parameters follow in [`BodySettings::generation_keys`].
pub const FIXED_KEYS: [&str; 3] = ["model", "stream", "stream_options"];

/// A member that is only looked at: how clients of OpenRouter ask for usage, `"usage": {"include": true}`.
/// <https://openrouter.ai/docs/use-cases/usage-accounting> (2026-11)
pub const USAGE_KEY: &str = "usage";

/// How long the host may keep bytes of a held body back when nothing else is configured, in milliseconds.
pub const HOLD_TIMEOUT_MS: u32 = 2_000;

/// The longest body that is held when nothing else is configured, in bytes: a form with the 25 MB of audio that vendors
/// take, or some pictures.
pub const MAX_HELD_BYTES: u64 = 32 * 1024 * 1024;

impl BodySettings {
    pub(super) fn compile(settings: &ProviderSettings, preset: &Preset, problems: &mut Problems) -> Option<Self> {
        let mut params = Vec::new();
        custom_settings(settings, &mut params, problems);
        problems.at("params", |problems| {
            for (index, rule) in settings.params.iter().flatten().enumerate() {
                problems.at_index(index, |problems| params.extend(param(rule, problems)));
            }
        });
        let include_usage = match settings.include_usage {
            Some(IncludeUsageSetting::Force) => true,
            Some(IncludeUsageSetting::Off) => false,
            None if settings.disable_stream_usage_stats == Some(true) => false,
            Some(IncludeUsageSetting::Auto) | None => preset.include_usage,
        };
        let mut names: Vec<&str> = FIXED_KEYS.to_vec();
        for param in &params {
            let renamed = if let Op::Rename(to) = &param.op { Some(to.as_str()) } else { None };
            for name in core::iter::once(param.key.as_str()).chain(renamed) {
                if !names.contains(&name) {
                    names.push(name);
                }
            }
        }
        if settings.hold_timeout == Some(0) {
            problems.at("holdTimeout", |problems| {
                problems.warn(Kind::Doubtful {
                    reason: "with 0, a host that keeps the body of a held request back is not found out: without \
                             `allow_on_headers_stop_iteration` in Envoy such a request gets no answer until Envoy gives it up",
                });
            });
        }
        if !names.contains(&USAGE_KEY) {
            names.push(USAGE_KEY);
        }
        let generation_keys = keys(&names, problems)?.strict(&LIKENESSES);
        let chat_keys = generation_keys.clone().watching(Watch { list: "messages", key: "role" });
        Some(Self {
            chat_keys,
            params,
            messages: MessageEdits {
                cleanup_commands: settings.context_cleanup_commands.clone().unwrap_or_default(),
                merge_consecutive: settings.merge_consecutive_messages == Some(true)
                    || settings.hiclaw_mode == Some(true),
            },
            include_usage,
            system_role: preset.rejects_developer_role,
            hold_headers: settings.hold_headers == Some(true),
            hold_timeout_ms: settings.hold_timeout.unwrap_or(HOLD_TIMEOUT_MS),
            max_held_bytes: settings.max_held_body_bytes.map_or(MAX_HELD_BYTES, u64::from),
            max_unpacked_bytes: settings.max_unpacked_bytes.map_or(MAX_UNPACKED_BYTES, u64::from),
            passes_unreadable: settings.unreadable_bodies == Some(UnreadableBodiesSetting::Pass),
            first_byte_timeout_ms: settings.first_byte_timeout.filter(|timeout| *timeout > 0),
            generation_keys,
            model_keys: keys(&["model"], problems)?.strict(&LIKENESSES),
            contents_keys: keys(&[], problems)?.watching(Watch { list: "contents", key: "role" }),
        })
    }

    /// Whether something can only be decided with the whole body at hand.
    #[must_use]
    pub fn needs_whole_body(&self) -> bool {
        self.needs_model_first() || !self.messages.is_none()
    }

    /// Whether a rule can only be applied when the model is known, wherever it stands in the body.
    #[must_use]
    pub fn needs_model_first(&self) -> bool {
        self.params.iter().any(|param| !param.models.is_empty())
    }
}

fn keys(names: &[&str], problems: &mut Problems) -> Option<Keys> {
    let keys = Keys::new(names.iter().copied());
    if keys.is_err() {
        let reason = "has more than 60 different keys, or a key of more than 1000 bytes";
        problems.at("params", |problems| problems.error(Kind::Invalid { reason }));
    }
    keys.ok()
}

fn custom_settings(settings: &ProviderSettings, params: &mut Vec<Param>, problems: &mut Problems) {
    let Some(custom) = settings.custom_settings.as_ref().filter(|custom| !custom.is_empty()) else { return };
    problems.at("customSettings", |problems| {
        problems.differs(differences::CUSTOM_SETTINGS);
        if settings.protocol == Some(ProtocolSetting::Original) {
            problems.warn(Kind::Inert { reason: "bodies are not touched with `protocol: original`" });
            return;
        }
        for (index, setting) in custom.iter().enumerate() {
            problems.at_index(index, |problems| params.extend(custom_setting(setting, problems)));
        }
    });
}

fn custom_setting(setting: &CustomSettings, problems: &mut Problems) -> Option<Param> {
    /// The names that `auto` knows where the protocol is OpenAI's.
    const AUTO: &[&str] = &["max_tokens", "temperature", "top_p", "seed"];
    let Some(name) = setting.name.as_ref().filter(|name| !name.is_empty()) else {
        problems.error(Kind::Missing { key: "`name`" });
        return None;
    };
    let Some(value) = &setting.value else {
        problems.error(Kind::Missing { key: "`value`" });
        return None;
    };
    if setting.mode != Some(CustomMode::Raw) && !AUTO.contains(&name.as_str()) {
        problems.at("name", |problems| {
            problems.warn(Kind::Inert { reason: "`auto` does not know this name; use `mode: raw`" });
        });
        return None;
    }
    let (key, below) = split_key(name, problems)?;
    let value = value.to_json();
    let op = if setting.overwrite == Some(false) { Op::Default(value) } else { Op::Set(value) };
    Some(Param { key, below, op, models: Vec::new() })
}

fn param(rule: &ParamSettings, problems: &mut Problems) -> Option<Param> {
    let Some(op) = rule.op else {
        problems.error(Kind::Missing { key: "`op`" });
        return None;
    };
    let Some(name) = rule.key.as_ref().filter(|key| !key.is_empty()) else {
        problems.error(Kind::Missing { key: "`key`" });
        return None;
    };
    let (key, below) = problems.at("key", |problems| split_key(name, problems))?;
    let value = rule.value.as_ref();
    if !below.is_empty() && !matches!(op, ParamOp::Set | ParamOp::Default) {
        problems
            .at("key", |problems| problems.error(Kind::Invalid { reason: "dots are for `set` and `default` only" }));
    }
    let op = match (op, value) {
        (ParamOp::Remove, _) => Op::Remove,
        (_, None) => {
            problems.error(Kind::Missing { key: "`value`" });
            return None;
        }
        (ParamOp::Set, Some(value)) => Op::Set(value.to_json()),
        (ParamOp::Default, Some(value)) => Op::Default(value.to_json()),
        (ParamOp::Rename, Some(Node::Text(to))) if !to.is_empty() && !FIXED_KEYS.contains(&to.as_str()) => {
            Op::Rename(to.clone())
        }
        (ParamOp::Rename, Some(_)) => {
            problems.at("value", |problems| problems.error(Kind::Invalid { reason: "must be the new key" }));
            return None;
        }
        (ParamOp::Clamp, Some(value)) => clamp(value, problems)?,
    };
    problems.at("models", |problems| {
        for (index, pattern) in rule.models.iter().flatten().enumerate() {
            problems.at_index(index, |problems| problems.doubts(|| doubts::plain_pattern(pattern)));
        }
    });
    let models = rule.models.iter().flatten().map(|model| ModelPattern::parse(model)).collect();
    Some(Param { key, below, op, models })
}

fn clamp(value: &Node, problems: &mut Problems) -> Option<Op> {
    let bound = |node: &Node| match node {
        Node::Number(number) => Bound::parse(number),
        _ => None,
    };
    let (min, max) = match value {
        Node::Number(_) => (None, bound(value)),
        Node::Map(_) => (value.get("min").and_then(bound), value.get("max").and_then(bound)),
        _ => (None, None),
    };
    if min.is_none() && max.is_none() {
        problems.at("value", |problems| {
            problems
                .error(Kind::Invalid { reason: "must be the upper bound, or `{min, max}` with at least one of them" });
        });
        return None;
    }
    if let (Some(min), Some(max)) = (&min, &max)
        && min.value > max.value
    {
        problems.at("value", |problems| problems.error(Kind::Invalid { reason: "`min` is above `max`" }));
        return None;
    }
    Some(Op::Clamp { min, max })
}

fn split_key(name: &str, problems: &mut Problems) -> Option<(String, Vec<String>)> {
    let mut keys = name.split('.').map(str::to_owned);
    let key = keys.next().filter(|key| !key.is_empty());
    let below: Vec<String> = keys.collect();
    match key {
        Some(key) if FIXED_KEYS.contains(&key.as_str()) => {
            problems
                .error(Kind::Invalid { reason: "`model`, `stream` and `stream_options` have settings of their own" });
            None
        }
        Some(key) if key != "messages" && below.iter().all(|key| !key.is_empty()) && literal(&key).len() < 1000 => {
            Some((key, below))
        }
        _ => {
            problems.error(Kind::Invalid { reason: "must be the key of a member, with dots for members below it" });
            None
        }
    }
}
