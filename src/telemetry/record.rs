//! What was known of one AI request when it ended, and the figures that follow from it.

use crate::usage::{Detail, Usage};
use std::borrow::Cow;

/// Nanoseconds in a millisecond.
const NS_PER_MS: u64 = 1_000_000;

/// One AI request. What is not known is `None`; nothing is filled in for it.
///
/// Texts may come from clients and providers, of any length and with any character: who writes them cuts and escapes.
#[derive(Clone, Debug, Default)]
pub struct Record {
    /// The provider's id, else its type; empty before one is chosen.
    pub provider: String,
    /// The operation's name, or `passthrough`.
    pub operation: &'static str,
    /// Envoy's route name; empty if unknown.
    pub route: String,
    /// Envoy's cluster name; empty if unknown.
    pub cluster: String,
    /// Who asks: the value of the consumer header.
    pub consumer: Option<String>,
    /// The model the client named.
    pub request_model: Option<String>,
    /// Why the request body was not looked into, although it may name a model, or rules were meant for it.
    pub request_unread: Option<&'static str>,
    /// The model sent upstream.
    pub upstream_model: Option<String>,
    /// Whether that name stands in the configuration.
    pub configured_model: bool,
    /// The key of the model mapping that decided.
    pub mapping_rule: Option<String>,
    /// The model the response names.
    pub response_model: Option<String>,
    /// The path sent upstream, with secrets already removed.
    pub upstream_path: Option<String>,
    /// The HTTP status the client got; `None` if no response came.
    pub status: Option<u16>,
    /// Whether the response is a stream of events.
    pub streamed: bool,
    /// The tokens, as the upstream reported them.
    pub tokens: Usage,
    /// What else a bill is made of, under the vendor's names; none of it is zero.
    pub units: Vec<Detail>,
    /// Why the answer ended, in the vendor's word.
    pub finish_reason: Option<Cow<'static, str>>,
    /// Where the tokens come from.
    pub usage_source: UsageSource,
    /// From the request's headers to the first byte of the response's body, in nanoseconds.
    pub first_byte: Option<u64>,
    /// From the request's headers to the first text of reasoning, in nanoseconds.
    pub first_reasoning: Option<u64>,
    /// From the request's headers to the first text, tool call or other content of the answer, in nanoseconds.
    pub first_content: Option<u64>,
    /// From the request's headers to the end of the response, in nanoseconds.
    pub end: Option<u64>,
    /// The response's own id.
    pub chat_id: Option<String>,
    /// How many messages of the request are the user's.
    pub chat_round: Option<u64>,
    /// The session the client named.
    pub session_id: Option<String>,
    /// Who ended the exchange before it was complete.
    pub aborted: Option<Party>,
    /// Why it failed.
    pub failure: Option<Failure>,
    /// Whether an event of the stream was too long to be read, so that something may be missing here.
    pub oversized_event: bool,
    /// Whether attributes may be missing because there was no room for what they are taken from.
    pub attributes_dropped: bool,
    /// Further log fields, each a name and a value as JSON text. A name of a field above takes its place.
    pub attributes: Vec<(String, String)>,
}

/// Where token counts come from.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum UsageSource {
    /// From the upstream, complete.
    Upstream,
    /// From the upstream, but the response ended before the last report.
    Partial,
    /// The output is estimated from what was delivered; the rest is the upstream's, as far as it told it.
    Estimated,
    /// There are none; the text says why, in a word such as `content-encoding`, or is empty.
    None(&'static str),
}

impl UsageSource {
    /// The word for logs.
    #[must_use]
    pub const fn name(self) -> &'static str {
        match self {
            Self::Upstream => "upstream",
            Self::Partial => "partial",
            Self::Estimated => "estimated",
            Self::None(_) => "none",
        }
    }

    /// Why there are none.
    #[must_use]
    pub fn reason(self) -> Option<&'static str> {
        match self {
            Self::None(reason) => Some(reason).filter(|reason| !reason.is_empty()),
            Self::Upstream | Self::Partial | Self::Estimated => None,
        }
    }
}

impl Default for UsageSource {
    fn default() -> Self {
        Self::None("")
    }
}

/// One of the two ends of an exchange.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Party {
    /// The one who asks.
    Client,
    /// The one who answers.
    Upstream,
}

impl Party {
    /// The word for logs.
    #[must_use]
    pub const fn name(self) -> &'static str {
        match self {
            Self::Client => "client",
            Self::Upstream => "upstream",
        }
    }
}

/// Whose error it was, with its code: one of Waypost's own for [`Self::Gateway`].
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Failure {
    /// The gateway answered: Waypost, another filter, or Envoy itself.
    Gateway(Option<String>),
    /// The upstream answered with an error, or not at all.
    Upstream(Option<String>),
    /// The client went away. The exchange has not failed for that.
    Client(Option<String>),
}

impl Failure {
    /// The word for logs.
    #[must_use]
    pub const fn source(&self) -> &'static str {
        match self {
            Self::Gateway(_) => "gateway",
            Self::Upstream(_) => "upstream",
            Self::Client(_) => "client",
        }
    }

    /// The code.
    #[must_use]
    pub fn code(&self) -> Option<&str> {
        match self {
            Self::Gateway(code) | Self::Upstream(code) | Self::Client(code) => code.as_deref(),
        }
    }
}

impl Record {
    /// What was called: the first three parts of a route name such as `a@b@c@d` (Higress's form for an API's routes),
    /// else the operation.
    #[must_use]
    pub fn api(&self) -> &str {
        api_of(&self.route).unwrap_or(self.operation)
    }

    /// The model that answered, as well as it is known.
    #[must_use]
    pub fn model(&self) -> Option<&str> {
        self.response_model.as_deref().or_else(|| self.asked_model())
    }

    /// The model that was asked for upstream, else the one the client asked for.
    #[must_use]
    pub fn asked_model(&self) -> Option<&str> {
        self.upstream_model.as_deref().or(self.request_model.as_deref())
    }

    /// Whether it failed: an error was seen, the status is one, or the upstream broke off. A client that hangs up is no
    /// failure.
    #[must_use]
    pub fn failed(&self) -> bool {
        matches!(self.failure, Some(Failure::Gateway(_) | Failure::Upstream(_)))
            || self.status.is_some_and(|status| status >= 400)
            || self.aborted == Some(Party::Upstream)
    }

    /// Whether the status is 2xx, or 101, with which the upstream takes a WebSocket.
    #[must_use]
    pub fn succeeded(&self) -> bool {
        self.status.is_some_and(|status| status == 101 || (200..300).contains(&status))
    }

    /// Milliseconds from the request's headers to the end.
    #[must_use]
    pub fn service_ms(&self) -> Option<u64> {
        self.end.map(|ns| ns / NS_PER_MS)
    }

    /// Milliseconds to the first byte of a stream's body: Higress's first token, though it may be a comment or a role.
    #[must_use]
    pub fn first_byte_ms(&self) -> Option<u64> {
        self.first_byte.filter(|_| self.streamed).map(|ns| ns / NS_PER_MS)
    }

    /// Nanoseconds to the first token of a stream, be it reasoning or content.
    #[must_use]
    pub fn first_token(&self) -> Option<u64> {
        let first = [self.first_reasoning, self.first_content].into_iter().flatten().min();
        first.filter(|_| self.streamed)
    }

    /// Nanoseconds per output token of a stream: what it took after the first token (if none was recognised, after the
    /// first byte) for all that came after the first one.
    ///
    /// It counts from the first token of reasoning where there is one, because vendors count reasoning as output.
    #[must_use]
    pub fn time_per_output_token(&self) -> Option<u64> {
        let measured = self.streamed && self.usage_source != UsageSource::Estimated;
        let start = self.first_token().or(self.first_byte).filter(|_| measured)?;
        let later_tokens = self.tokens.all_output()?.checked_sub(1)?;
        self.end?.checked_sub(start)?.checked_div(later_tokens)
    }
}

/// The first three parts of a route name that has at least three, joined by `@`.
pub(super) fn api_of(route: &str) -> Option<&str> {
    let mut separators = route.match_indices('@').skip(1);
    separators.next()?;
    let end = separators.next().map_or(route.len(), |(at, _)| at);
    route.get(..end)
}
