//! Where Waypost deliberately means something else than Higress's ai-proxy by the same configuration.
//!
//! The list in the README is this table; `waypost check` names the rows that a configuration touches.

/// One deliberate difference.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Difference {
    /// A short stable name.
    pub id: &'static str,
    /// What differs.
    what: &'static str,
    /// Why.
    pub why: &'static str,
}

impl Difference {
    /// What differs, in one sentence.
    #[must_use]
    pub const fn what(&self) -> &'static str {
        self.what
    }
}

macro_rules! differences {
    ($($name:ident $id:literal: $what:literal; $why:literal;)+) => {
        $(
            #[doc = $what]
            pub const $name: Difference = Difference { id: $id, what: $what, why: $why };
        )+
        /// Every difference, in the order of the README.
        pub const ALL: &[Difference] = &[$($name),+];
    };
}

differences! {
    HOST_ONLY_URL "host-only-url":
        "a custom URL without a path keeps the version prefix: `/v1/chat/completions`, not `/chat/completions`";
        "The lost `/v1` was the most reported 404 (higress#3130, higress#3776). `versionPrefix: \"\"` says none.";
    DIRECT_URL "direct-url":
        "a custom URL that ends with an endpoint serves that endpoint only; the others are its siblings";
        "Embeddings and model lists were sent to the chat endpoint (higress#3776).";
    QUERY_KEPT "query-kept":
        "queries of the client and of the configured URL are merged, the operator's value wins";
        "They were dropped or spliced into the path, depending on the provider.";
    SUFFIX_MATCH "client-paths":
        "`/chat/completions` without version, a trailing slash, `//v1/…` and `/v1/models/{id}` are recognised";
        "They were unknown APIs: forwarded without model mapping.";
    MAPPING_ORDER "mapping-order":
        "overlapping `modelMapping` keys are tried in a fixed order: exact, longest prefix, `~regex` as written, `*`";
        "The order was random for each request.";
    REGEX_STAR "regex-star":
        "a `~regex` key that ends with `*` is the regex as written";
        "The star was cut off before the regex was compiled.";
    ONE_CREDENTIAL "one-credential":
        "every credential of the client is removed, in headers, cookies and query; `x-hi-original-auth` is not sent";
        "The client's gateway key must not reach the vendor (higress#3954). With it goes the re-entry of a Higress fallback route through key-auth.";
    CLIENT_HEADERS "client-headers":
        "with a configured token, whatever looks like a credential of the client is removed, also in trailers and WebSocket protocols, and with it what chooses who pays (`openai-organization` and its kind)";
        "Gateway keys in `apikey` and `x-auth-token` reached the vendor, and clients chose which project was billed. `keepHeaders` keeps a header.";
    CONSUMER_HEADER "consumer-header":
        "the header that names the consumer does not go upstream, and several different values of it are answered with 400";
        "The vendor need not know who asks, and a client that sends the header itself was taken for somebody else. What comes after Waypost reads the filter state `wasm.waypost_consumer`; `keepHeaders` keeps the header.";
    HOST_OVERRIDES "host-overrides":
        "`x-forwarded-host`, `x-original-url`, `x-rewrite-url`, `x-http-method-override` and their kind do not go upstream";
        "They are another host, path or method to some frameworks, past every rule.";
    REDIRECTS "redirects":
        "a token that is put into the query is removed from the headers of responses";
        "Redirects that repeat the query gave the operator's token to the client.";
    FALLS_CLOSED "falls-closed":
        "a broken rule, a missing token or an unknown `activeProviderId` answers 503; other rules go on";
        "Requests passed through with the client's own credential, or the whole plugin did not start.";
    RULE_KINDS "rule-kinds":
        "all kinds of match keys in one rule must match, domains without regard to case; services also match a plain cluster name";
        "Only one kind was looked at, the others were ignored.";
    ORIGINAL_PATH "original-path":
        "with `protocol: original` the client's path is kept, unless an endpoint or `pathMode` is configured";
        "Most providers put their own path in its place all the same; which ones did was an accident of the code.";
    COMPATIBLE_ENDPOINT "compatible-endpoint":
        "OpenAI requests go to the vendor's OpenAI-compatible endpoint; nothing is converted";
        "Bodies stay what the client wrote. What no endpoint of the vendor speaks is answered with 501.";
    CAPABILITIES "capabilities":
        "`capabilities` takes every operation";
        "All but 17 names were dropped without a word.";
    CUSTOM_SETTINGS "custom-settings":
        "`customSettings` apply to requests that generate text, and not with `protocol: original`";
        "Embeddings got `max_tokens`, and an entry without value made the body invalid.";
    BASE_PATH "base-path":
        "`basePath` and `providerBasePath` are joined by whole segments, with or without slashes at their ends";
        "`/foo` also cut `/foobar/…`, and slashes were doubled or lost.";
    TOKEN_TURNS "token-turns":
        "of several `apiTokens` the next one is taken in turn; there is no failover and no consumer affinity yet";
        "Selection was random.";
    UNREADABLE_BODIES "unreadable-bodies":
        "a body that a rule is meant for is read as JSON whatever its type says, unpacked from gzip, deflate or zstd, and leaves as plain `application/json`; what cannot be read is answered with 415, and a `stream` that is neither true nor false with 400";
        "By another `content-type` or `content-encoding` a client switched mapping, parameters and the count of tokens off. `unreadableBodies: pass` says none of it matters.";
    KEY_CASE "key-case":
        "`model`, `stream`, `stream_options`, `messages`, `input` and the keys of `params` in another case are answered with 400";
        "They passed beside the mapped ones, and some servers take the last of the two.";
    PATH_SPELLING "path-spelling":
        "a path that only some servers read as an operation with a model (`/v1/chat%2Fcompletions`, `/V1/Chat/Completions`, `…;x`) is answered with 400";
        "It passed as an unknown path, without mapping and uncounted.";
    GENERIC_MODELS "generic-models":
        "with `generic`, `modelMapping` is applied";
        "It was ignored.";
    FIRST_BYTE_TIMEOUT "first-byte-timeout":
        "`firstByteTimeout` bounds streams whose body has a `content-length` that is held, and with `generic` every request";
        "Whether a request is a stream stands in its body; one of unknown length is not held for that.";
    FIREWORKS_PATH "fireworks-path":
        "Fireworks is reached at `/inference/v1/…`";
        "`/v1/…` is its account API: every request was a 404.";
    BEDROCK_MODELS "bedrock-models":
        "OpenAI requests reach those models only that Amazon Bedrock serves with OpenAI's API; AWS answers the others with an error";
        "Claude, Nova and Llama are reached by Converse, and nothing is converted yet.";
    EXPRESS_MODE "express-mode":
        "in Vertex Express mode (`vertex` with `apiTokens`) OpenAI requests are answered with 501";
        "Its only endpoint speaks Google's protocol, and nothing is converted yet. With a service account there is an OpenAI-compatible one.";
    HEADERS_AT_ONCE "headers-at-once":
        "headers go on before the body has come, unless one of them depends on it, and without `content-length` where the body may change";
        "Nothing waits that need not, and long bodies pass. `holdHeaders: true` waits, and sends the new length.";
    ACCEPT_KEPT "accept-kept":
        "`accept` stays as the client sent it; `text/event-stream` is not put in its place for streams";
        "Vendors go by `stream` in the body, as OpenAI's own SDKs rely on.";
    UNLISTED_APIS "unlisted-apis":
        "APIs that ai-proxy does not know of a provider are forwarded, and `*` maps their models too";
        "They were answered with 500, `unsupported API name`.";
    GENERIC_PORT "host-port":
        "a port in `vllmServerHost` is kept";
        "It was cut off.";
}

/// The differences that any configuration with a provider touches, whatever its keys are.
#[cfg(not(target_os = "wasi"))]
#[must_use]
pub fn of_providers(config: &super::Config) -> Vec<Difference> {
    use super::{Auth, Provider};
    let any = |is: &dyn Fn(&Provider) -> bool| config.providers().any(is);
    let touched = [
        (ONE_CREDENTIAL, any(&|_| true)),
        (CLIENT_HEADERS, any(&|provider| provider.auth == Auth::Inject)),
        (CONSUMER_HEADER, any(&|_| true)),
        (HOST_OVERRIDES, any(&|_| true)),
        (REDIRECTS, any(&Provider::injects_into_query)),
        (HEADERS_AT_ONCE, any(&|provider| !provider.original && !provider.body.hold_headers)),
        (ACCEPT_KEPT, any(&|provider| !provider.original)),
        (UNLISTED_APIS, any(&|provider| provider.models.has_default())),
    ];
    touched.into_iter().filter_map(|(difference, touched)| touched.then_some(difference)).collect()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn ids_are_unique() {
        for difference in ALL {
            assert_eq!(ALL.iter().filter(|other| other.id == difference.id).count(), 1, "{}", difference.id);
        }
    }
}
