//! Every operation of every preset, with where it must arrive: a second, naive reading of the provider table, to hold
//! the path rule against.

use serde_json::{Value, json};
use waypost::operation::Operation;
use waypost::provider::{At, Credential, Preset, Surface};

/// A provider of one preset and a request for each operation, in the form of `testdata/paths`.
pub(crate) struct Presets {
    /// The type.
    pub(crate) name: &'static str,
    /// The provider.
    pub(crate) provider: Value,
    /// The requests.
    pub(crate) requests: Vec<Value>,
}

/// What fills every parameter of a preset, and every id.
const FILL: &str = "x1";

/// Every preset.
pub(crate) fn all() -> Vec<Presets> {
    Preset::all()
        .iter()
        .map(|preset| Presets { name: preset.name, provider: provider(preset), requests: requests(preset) })
        .collect()
}

fn provider(preset: &Preset) -> Value {
    let mut provider = json!({ "type": preset.name });
    for parameter in preset.parameters {
        provider[parameter.key] = json!(FILL);
    }
    if preset.host.is_empty() {
        let query = if preset.name == "azure" { "?api-version=1" } else { "" };
        provider["baseUrl"] = json!(format!("https://own.test{query}"));
    }
    if preset.name == "vertex" {
        // With tokens it would be Express mode.
        provider["auth"] = json!("passthrough");
    }
    provider
}

fn requests(preset: &Preset) -> Vec<Value> {
    Operation::all()
        .filter_map(|operation| {
            let client = format!("/v1{}", filled(operation.suffix()?));
            let mut request = json!({ "method": "POST", "path": client, "model": FILL });
            match upstream(preset, operation, &client) {
                Some((authority, path)) => request["upstream"] = json!({ "authority": authority, "path": path }),
                None => request["status"] = json!(501),
            }
            Some(request)
        })
        .collect()
}

/// Text with every `{slot}` filled.
fn filled(text: &str) -> String {
    let mut out = String::new();
    for (index, part) in text.split(['{', '}']).enumerate() {
        out.push_str(if index % 2 == 0 { part } else { FILL });
    }
    out
}

fn upstream(preset: &Preset, operation: Operation, client: &str) -> Option<(String, String)> {
    let own = preset
        .own_paths
        .iter()
        .any(|own| client == *own || client.starts_with(&format!("{}/", own.trim_end_matches('/'))));
    let models = matches!(operation, Operation::Models | Operation::Model);
    // Every dialect has a model list under the same suffix, and a family of resources passes as an unknown path does.
    let any = models || operation.is_family();
    let surface = preset.surfaces.iter().find(|surface| any || Some(surface.dialect) == operation.dialect());
    let (surface, path) = match surface {
        _ if own => (None, client.to_owned()),
        None if any && preset.surfaces.is_empty() => (None, client.to_owned()),
        None => return None,
        Some(surface) => {
            let special = surface.paths.iter().find(|(special, _)| *special == operation).map(|(_, at)| at);
            let path = match special {
                // A query with a slot is for clients that name a model there.
                Some(At::Path(path)) => path.split('?').next().unwrap_or_default().to_owned(),
                Some(At::Suffix(suffix)) => format!("{}{}{suffix}", surface.base, surface.version),
                None => format!("{}{}{}", surface.base, surface.version, operation.suffix()?),
            };
            (Some(surface), filled(&path))
        }
    };
    let query = match surface.and_then(|surface| surface.credential).unwrap_or(preset.credential) {
        Credential::Query { name } => format!("?{name}=test-token"),
        Credential::Header { .. } if preset.name == "azure" => "?api-version=1".to_owned(),
        Credential::Header { .. } => String::new(),
    };
    Some((host(preset, surface), format!("{path}{query}")))
}

fn host(preset: &Preset, surface: Option<&Surface>) -> String {
    match surface.map_or("", |surface| surface.host) {
        "" if preset.host.is_empty() => "own.test".to_owned(),
        "" => filled(preset.host),
        host => filled(host),
    }
}
