//! What Waypost answers itself: one enum, a status, and a body in the dialect of the client.

use crate::json::literal;
use crate::operation::{Dialect, Operation};
use crate::path::Refusal;
use crate::unpack::Fault;
use std::borrow::Cow;

/// Why a request is answered here and not upstream.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Error {
    /// `:path` is no path that can be forwarded.
    InvalidPath(&'static str),
    /// No rule matches the request, and the configuration refuses what no rule matches.
    NoRule,
    /// The request asks to switch protocols with a method that sends a body.
    InvalidUpgrade,
    /// The provider does not serve this operation.
    OperationNotServed(Operation),
    /// The provider speaks other dialects than the client.
    ConversionNeeded {
        /// What the client asked for.
        operation: Operation,
        /// What the client speaks.
        client: Dialect,
        /// The provider's type.
        provider_type: &'static str,
    },
    /// The upstream path holds the model, and neither path nor body names one.
    ModelMissing,
    /// The body is no JSON object that can be read; the reason never quotes it.
    InvalidBody(&'static str),
    /// The body would have to be read or changed, and it is encoded or of a type that cannot be read.
    UnreadableBody(&'static str),
    /// The body is compressed and unpacks to more than it may.
    UnpackedTooLarge,
    /// The rule that serves this request is broken; the text names the problem and holds no secret.
    Configuration(String),
    /// The header that names the consumer is there with several different values.
    AmbiguousConsumer,
    /// A body that has to be held is longer than may be held.
    BodyTooLarge,
    /// The host does not deliver bodies while headers are held.
    HoldNotHonoured,
    /// A body that has to be held stopped coming, and others needed its room.
    BodyTimeout,
    /// There is no room for a body that has to be held.
    OverCapacity,
}

/// A local reply.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Reply {
    /// HTTP status.
    pub status: u16,
    /// The headers, `content-type: application/json` among them.
    pub headers: Vec<(&'static str, Cow<'static, str>)>,
    /// JSON.
    pub body: String,
}

/// Tells the official SDKs of OpenAI and Anthropic, and Claude Code with them, whether another attempt is worth while.
/// They read it before the status, which would have them retry every 5xx (measured with openai-python 3.57,
/// anthropic-python 2.14 and Claude Code 2.1.197).
const SHOULD_RETRY: &str = "x-should-retry";

/// When there may be room again, in seconds: by then a stream that has fallen silent counts as
/// [stalled](crate::memory::STALLED_AFTER_NS).
const RETRY_AFTER_S: &str = "1";

impl Error {
    /// HTTP status: 4xx for what the client can mend, 5xx for what it cannot.
    #[must_use]
    pub const fn status(&self) -> u16 {
        match self {
            Self::InvalidPath(_)
            | Self::InvalidUpgrade
            | Self::ModelMissing
            | Self::InvalidBody(_)
            | Self::AmbiguousConsumer => 400,
            Self::NoRule | Self::OperationNotServed(_) => 404,
            Self::BodyTimeout => 408,
            Self::BodyTooLarge | Self::UnpackedTooLarge => 413,
            Self::UnreadableBody(_) => 415,
            Self::HoldNotHonoured => 500,
            Self::ConversionNeeded { .. } => 501,
            Self::Configuration(_) | Self::OverCapacity => 503,
        }
    }

    /// The stable code, listed in the README.
    #[must_use]
    pub const fn code(&self) -> &'static str {
        match self {
            Self::InvalidPath(_) => "invalid_path",
            Self::NoRule => "no_rule",
            Self::InvalidUpgrade => "invalid_upgrade",
            Self::OperationNotServed(_) => "operation_not_served",
            Self::ConversionNeeded { .. } => "conversion_needed",
            Self::ModelMissing => "model_missing",
            Self::InvalidBody(_) => "invalid_body",
            Self::UnreadableBody(_) => "unreadable_body",
            Self::UnpackedTooLarge => "unpacked_body_too_large",
            Self::Configuration(_) => "configuration_error",
            Self::AmbiguousConsumer => "ambiguous_consumer",
            Self::BodyTooLarge => "body_too_large",
            Self::HoldNotHonoured => "hold_not_honoured",
            Self::BodyTimeout => "body_timeout",
            Self::OverCapacity => "over_capacity",
        }
    }

    /// Whether the same request may be answered otherwise when it is sent again. Where only another request or another
    /// configuration helps, it may not.
    #[must_use]
    pub const fn is_worth_a_retry(&self) -> bool {
        match self {
            Self::NoRule
            | Self::OperationNotServed(_)
            | Self::ConversionNeeded { .. }
            | Self::InvalidBody(_)
            | Self::UnreadableBody(_)
            | Self::UnpackedTooLarge
            | Self::Configuration(_)
            | Self::AmbiguousConsumer
            | Self::HoldNotHonoured => false,
            // No SDK retries the first four by itself.
            Self::InvalidPath(_)
            | Self::InvalidUpgrade
            | Self::ModelMissing
            | Self::BodyTooLarge
            | Self::BodyTimeout
            | Self::OverCapacity => true,
        }
    }

    /// The message for people.
    #[must_use]
    pub fn message(&self) -> String {
        match self {
            Self::InvalidPath(reason) => format!("the request path {reason}"),
            Self::NoRule => "no rule of the gateway matches this request".to_owned(),
            Self::InvalidUpgrade => "only a GET request can switch to another protocol".to_owned(),
            Self::OperationNotServed(Operation::Passthrough) => "this provider does not serve paths that are no known operation".to_owned(),
            Self::OperationNotServed(operation) => format!("this provider does not serve `{operation}`"),
            Self::ConversionNeeded { operation, client, provider_type } => format!(
                "`{operation}` is {client} protocol, which provider type `{provider_type}` does not speak; conversion is not \
                 supported yet (if the upstream does speak it, set `endpoints.{operation}`)"
            ),
            Self::ModelMissing => "the upstream path needs a model and the request names none".to_owned(),
            Self::InvalidBody(reason) => format!("the request body {reason}"),
            Self::UnreadableBody(reason) => format!(
                "the request body {reason}, and rules of the gateway are to be applied to it; send plain JSON or a form, \
                 or JSON packed with gzip, deflate or zstd"
            ),
            Self::UnpackedTooLarge => "the request body unpacks to more than the gateway takes: more than \
                 `maxUnpackedBytes` of the provider, or than 200 times its size"
                .to_owned(),
            Self::Configuration(problem) => format!("the gateway's configuration is broken here: {problem}"),
            Self::AmbiguousConsumer => {
                "the header that names the consumer has several different values; the gateway must replace what a client sends \
                 there, and not add to it"
                    .to_owned()
            }
            Self::BodyTooLarge => {
                "the body must be held because what goes upstream depends on it, and it is longer than the gateway holds; \
                 raise `maxHeldBodyBytes` of the provider (a body without `content-length` that ends with trailers may have \
                 8 KiB)"
                    .to_owned()
            }
            Self::HoldNotHonoured => {
                "the upstream path depends on the body, and this host does not deliver the body while headers are held; set \
                 `allow_on_headers_stop_iteration: true` in Envoy's wasm PluginConfig (Envoy 1.35 or later)"
                    .to_owned()
            }
            Self::BodyTimeout => {
                "the body must be held because what goes upstream depends on it; it stopped coming, and the gateway needed its \
                 room for others"
                    .to_owned()
            }
            Self::OverCapacity => {
                "the body must be held because what goes upstream depends on it, and the gateway has no room for it now; send \
                 the request again, or raise `maxMemoryBytes`"
                    .to_owned()
            }
        }
    }

    /// The reply in the client's dialect, as that dialect's own errors look.
    ///
    /// Sources: <https://platform.openai.com/docs/guides/error-codes>, <https://docs.claude.com/en/api/errors>,
    /// <https://cloud.google.com/apis/design/errors>.
    #[must_use]
    pub fn reply(&self, dialect: Dialect) -> Reply {
        let status = self.status();
        let (message, code) = (self.message(), self.code());
        let (message, code) = (literal(&message), literal(code));
        // The parts are literals that need no escaping, but for the message.
        let body = match dialect {
            Dialect::Anthropic => format!(
                r#"{{"type":"error","error":{{"type":"{}","message":{message},"code":{code},"source":"{SOURCE}"}}}}"#,
                anthropic_type(status)
            ),
            Dialect::Gemini => format!(
                r#"{{"error":{{"code":{status},"message":{message},"status":"{}","details":[{{"reason":{code},"source":"{SOURCE}"}}]}}}}"#,
                google_status(status)
            ),
            Dialect::Bedrock => format!(r#"{{"message":{message},"code":{code},"source":"{SOURCE}"}}"#),
            Dialect::OpenAi | Dialect::Own => format!(
                r#"{{"error":{{"message":{message},"type":"{}","param":null,"code":{code},"source":"{SOURCE}"}}}}"#,
                openai_type(status)
            ),
        };
        let mut headers = Vec::with_capacity(2);
        headers.push(("content-type", Cow::Borrowed("application/json")));
        if !self.is_worth_a_retry() {
            headers.push((SHOULD_RETRY, Cow::Borrowed("false")));
        }
        if *self == Self::OverCapacity {
            headers.push(("retry-after", Cow::Borrowed(RETRY_AFTER_S)));
        }
        Reply { status, headers, body }
    }

    /// The error of a path that the rule refuses.
    #[must_use]
    pub const fn of_refusal(refusal: Refusal, operation: Operation, provider_type: &'static str) -> Self {
        match refusal {
            Refusal::NotListed | Refusal::UnknownPath => Self::OperationNotServed(operation),
            Refusal::Conversion { client } => Self::ConversionNeeded { operation, client, provider_type },
            Refusal::Unsafe(reason) => Self::InvalidPath(reason.reason()),
            Refusal::NoModel => Self::ModelMissing,
        }
    }
}

impl From<crate::json::Error> for Error {
    fn from(error: crate::json::Error) -> Self {
        use crate::json::ErrorKind;
        Self::InvalidBody(match error.kind {
            ErrorKind::Truncated => "ends in the middle of its JSON",
            ErrorKind::NotAnObject => "is not a JSON object",
            ErrorKind::TrailingGarbage => "goes on after its JSON object",
            ErrorKind::TooDeep => "is nested too deeply",
            ErrorKind::DuplicateKey { .. } => "names a key twice that may stand only once, such as `model`",
            ErrorKind::ByteOrderMark => "begins with a byte order mark",
            ErrorKind::InvalidUtf8 => "is not UTF-8 where it matters",
            ErrorKind::LookalikeKey => "has a key such as `Model` that differs from a known one in case only",
            ErrorKind::KeyTooLong | ErrorKind::MemberTooLong => "has a key or value that is too long to look at",
            _ => "is not JSON",
        })
    }
}

impl From<Fault> for Error {
    fn from(fault: Fault) -> Self {
        match fault {
            Fault::Broken => Self::UnreadableBody("is not packed as its `content-encoding` says"),
            Fault::TooLarge => Self::UnpackedTooLarge,
        }
    }
}

impl From<crate::multipart::Error> for Error {
    fn from(error: crate::multipart::Error) -> Self {
        Self::InvalidBody(error.reason())
    }
}

/// Who made the error: a client can tell it from one of the vendor's.
const SOURCE: &str = "gateway";

const fn openai_type(status: u16) -> &'static str {
    match status {
        404 => "not_found_error",
        400..=499 => "invalid_request_error",
        _ => "server_error",
    }
}

const fn anthropic_type(status: u16) -> &'static str {
    match status {
        404 => "not_found_error",
        413 => "request_too_large",
        400..=499 => "invalid_request_error",
        _ => "api_error",
    }
}

const fn google_status(status: u16) -> &'static str {
    match status {
        404 => "NOT_FOUND",
        400..=499 => "INVALID_ARGUMENT",
        501 => "UNIMPLEMENTED",
        503 => "UNAVAILABLE",
        _ => "INTERNAL",
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    #[cfg(target_family = "wasm")]
    use wasm_bindgen_test::wasm_bindgen_test as test;

    #[test]
    fn speaks_the_clients_dialect_and_names_its_source() {
        let error = Error::of_refusal(Refusal::Conversion { client: Dialect::Anthropic }, Operation::Messages, "groq");
        for (dialect, pointer) in [
            (Dialect::OpenAi, "/error/message"),
            (Dialect::Anthropic, "/error/message"),
            (Dialect::Gemini, "/error/message"),
            (Dialect::Bedrock, "/message"),
        ] {
            let reply = error.reply(dialect);
            let body: serde_json::Value = serde_json::from_str(&reply.body).unwrap();
            assert_eq!(reply.status, 501);
            assert!(body.pointer(pointer).unwrap().as_str().unwrap().contains("endpoints.messages"), "{body}");
            assert!(reply.body.contains("\"gateway\"") && reply.body.contains("conversion_needed"), "{body}");
        }
    }

    #[test]
    fn no_client_retries_what_no_retry_can_mend() {
        let header = |error: Error| {
            let reply = error.reply(Dialect::OpenAi);
            reply.headers.into_iter().find(|(name, _)| *name == SHOULD_RETRY).map(|(_, value)| value)
        };
        for error in [
            Error::NoRule,
            Error::OperationNotServed(Operation::Embeddings),
            Error::InvalidBody("is not JSON"),
            Error::Configuration("no token".to_owned()),
            Error::HoldNotHonoured,
        ] {
            assert_eq!(header(error.clone()).as_deref(), Some("false"), "{error:?}");
        }
        assert_eq!(header(Error::BodyTooLarge), None);
    }
}
