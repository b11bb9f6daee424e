//! Azure OpenAI and Azure AI Foundry: one key holds a resource, a deployment or an endpoint.
//!
//! The preset holds the deployment paths, `/openai/deployments/{model}/…?api-version=…`. What the URL says decides:
//!
//! | path of the URL | meaning |
//! |---|---|
//! | none, with `api-version` | deployments; the deployment is the mapped model |
//! | none, without `api-version` | the v1 API, `/openai/v1/…`, which needs no `api-version` |
//! | `/openai/deployments/D`, also with an endpoint behind it | deployment D for everything that has a model |
//! | anything else | a base path like any other: `/openai/v1`, `/models`, … |
//!
//! Facts: <https://learn.microsoft.com/en-us/azure/ai-foundry/openai/api-version-lifecycle> (2026-11).

use super::problem::{Kind, Problems};
use crate::path::base_url::BaseUrl;
use crate::path::query::Query;

/// The preset that is adapted.
pub(super) const NAME: &str = "azure";

/// Base path of the v1 API.
const V1: &str = "/openai/v1";
/// What stands before the name of a deployment.
const DEPLOYMENTS: &str = "/openai/deployments/";

/// Reads the mode off the URL: changes its path, and fills the slot `model` where the deployment is fixed.
pub(super) fn adapt(
    base: &mut Option<BaseUrl>,
    slots: &mut Vec<(&'static str, String)>,
    api_version: Option<&str>,
    problems: &mut Problems,
) {
    let Some(url) = base else {
        problems.error(Kind::Missing { key: "`azureServiceUrl` or `baseUrl` (the URL of the Azure resource)" });
        return;
    };
    let versioned = |url: &BaseUrl| url.query.has(b"api-version");
    if let Some(version) = api_version.filter(|version| !version.is_empty()) {
        url.query.extend(&Query::parse(&format!("api-version={version}")));
    }
    if url.path.is_empty() {
        if !versioned(url) {
            V1.clone_into(&mut url.path);
        }
    } else if let Some(rest) = url.path.strip_prefix(DEPLOYMENTS) {
        let deployment = rest.split('/').next().unwrap_or_default();
        slots.push(("model", deployment.to_owned()));
        if !versioned(url) {
            problems.error(Kind::Invalid { reason: "a deployment URL needs `?api-version=…`" });
        }
        url.path.clear();
    }
}
