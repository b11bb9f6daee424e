//! Headers of a response that tell its cost or its error.

use super::figures::Figure;

/// Where Bedrock's InvokeModel tells tokens, whatever the model tells in its body, and often the only place.
/// <https://docs.aws.amazon.com/bedrock/latest/userguide/model-invocation-logging.html>, laravel/ai#914 (2026-08)
pub(super) const FIGURES: &[(&str, Figure)] = &[
    ("x-amzn-bedrock-input-token-count", Figure::Input),
    ("x-amzn-bedrock-output-token-count", Figure::Output),
    ("x-amzn-bedrock-cache-read-input-token-count", Figure::CacheReadApart),
    ("x-amzn-bedrock-cache-write-input-token-count", Figure::CacheWriteApart),
];

/// Where AWS and Azure name the error.
/// <https://docs.aws.amazon.com/AWSEC2/latest/APIReference/CommonErrors.html>,
/// <https://learn.microsoft.com/rest/api/storageservices/status-and-error-codes2> (unconfirmed)
pub(super) const ERRORS: &[&str] = &["x-amzn-errortype", "x-ms-error-code"];
