//! Which base URLs are the endpoint of one operation, and which are the base of all.
//!
//! Operators paste whole endpoints, `https://h/v1/chat/completions`, and base URLs whose last word is also the name of an
//! endpoint: `https://h/models` is where Azure AI Foundry has chat completions.

use crate::operation::{Operation, split_version};

/// The key of the configuration that gives a base URL.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub enum Key {
    /// `baseUrl`, and every other key that is read like it.
    #[default]
    BaseUrl,
    /// `openaiCustomUrl` of ai-proxy, which has a list of its own. Collections in that list (`/models`, `/videos`) do not
    /// count: as an endpoint they would serve nothing but a list.
    OpenAiCustomUrl,
    /// `vllmCustomUrl` of ai-proxy, which has a list of its own.
    VllmCustomUrl,
}

/// Operations of one noun that nobody calls a base path: they are called, not listed.
const CALLED: &[Operation] =
    &[Operation::Completions, Operation::Embeddings, Operation::Moderations, Operation::Rerank, Operation::Reranks];

impl Key {
    /// Whether one noun is an endpoint behind this path.
    fn takes(self, operation: Operation, parent: &str) -> bool {
        let listed_there = match self {
            Self::BaseUrl => false,
            Self::OpenAiCustomUrl => matches!(operation, Operation::Responses | Operation::Realtime),
            Self::VllmCustomUrl => matches!(operation, Operation::Responses | Operation::Messages),
        };
        listed_there || !split_version(parent).1.is_empty()
    }
}

/// The operation whose endpoint the path of a base URL is, and the path before it.
///
/// A suffix of two words or more names an endpoint wherever it ends the path, and so does one noun that is called; every
/// other noun only directly behind a version. A suffix with ids never does, nor a family of resources.
#[must_use]
pub fn named_by(path: &str, key: Key) -> Option<(Operation, &str)> {
    Operation::all().filter(|operation| !operation.is_family()).find_map(|operation| {
        let suffix = operation.suffix().filter(|suffix| !suffix.contains('{'))?;
        let parent = path.strip_suffix(suffix)?;
        let is_endpoint = operation.words() > 1 || CALLED.contains(&operation) || key.takes(operation, parent);
        is_endpoint.then_some((operation, parent))
    })
}

#[cfg(test)]
mod tests {
    use super::*;
    #[cfg(target_family = "wasm")]
    use wasm_bindgen_test::wasm_bindgen_test as test;

    /// `reports F8`
    #[test]
    fn a_noun_that_is_listed_is_an_endpoint_only_behind_a_version() {
        for operation in Operation::all().filter(|operation| operation.words() > 0) {
            let suffix = operation.suffix().unwrap_or_default();
            let parents = ["", "/ai", "/ai/v2/own", "/v1", "/ai/v4", "/v1beta/openai"];
            for (index, parent) in parents.into_iter().enumerate() {
                let path = format!("{parent}{suffix}");
                let named = named_by(&path, Key::BaseUrl).filter(|(named, _)| *named == operation);
                let no_endpoint = suffix.contains('{') || operation.is_family();
                let anywhere = operation.words() > 1 || CALLED.contains(&operation);
                let expected = !no_endpoint && (anywhere || index > 2);
                assert_eq!(named, expected.then_some((operation, parent)), "{path}");
            }
        }
    }

    #[test]
    fn keys_of_ai_proxy_have_lists_of_their_own() {
        for (path, openai, vllm) in [
            ("/ai/responses", true, true),
            ("/ai/realtime", true, false),
            ("/ai/messages", false, true),
            ("/v1/messages", true, true),
            ("/v1/models", true, true),
            ("/ai/models", false, false),
            ("/ai/files", false, false),
            ("/ai/batches", false, false),
            ("/ai/videos", false, false),
            ("/ai/completions", true, true),
            ("/ai/audio/speech", true, true),
        ] {
            let named = [Key::OpenAiCustomUrl, Key::VllmCustomUrl].map(|key| named_by(path, key).is_some());
            assert_eq!(named, [openai, vllm], "{path}");
        }
    }
}
