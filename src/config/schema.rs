//! The JSON Schema of a configuration, generated from the declarations in [`super::settings`].

use super::settings::PluginSettings;
use super::wire::Wire;
use serde_json::{Map, Value, json};

/// The text of doc comments: lines that belong together joined by spaces.
#[must_use]
pub fn text(docs: &[&str]) -> String {
    docs.iter().map(|line| line.trim()).collect::<Vec<_>>().join(" ")
}

/// Adds title and description to the schema of a value. The first line of the docs is the title.
pub(super) fn described(mut schema: Value, docs: &[&str], used_by: &[&str], inert: Option<&str>) -> Value {
    let (title, rest) = docs.split_first().unwrap_or((&"", &[]));
    let mut description = text(rest);
    if let Some(reason) = inert {
        description = format!("Accepted without effect: {reason}.");
    }
    if !used_by.is_empty() {
        description = format!("{description} For type {}.", used_by.join(", "));
    }
    if let Some(schema) = schema.as_object_mut() {
        schema.insert("title".to_owned(), json!(title.trim()));
        if !description.is_empty() {
            schema.insert("description".to_owned(), json!(description.trim()));
        }
    }
    schema
}

/// The schema of an object with these properties and no others.
pub(super) fn object(docs: &[&str], properties: Map<String, Value>) -> Value {
    described(json!({ "type": "object", "properties": properties, "additionalProperties": false }), docs, &[], None)
}

/// The whole schema: the plugin's keys, at the top level and in each rule.
#[must_use]
pub fn schema() -> Value {
    let plugin = PluginSettings::schema();
    let properties = plugin.get("properties").and_then(Value::as_object).cloned().unwrap_or_default();
    let texts = json!({ "anyOf": [{ "type": "array", "items": { "type": "string" } }, { "type": "string" }] });
    let mut rule = properties.clone();
    for (key, title, description) in [
        ("_match_route_", "Routes", "Exact names of Envoy routes."),
        ("_match_route_prefix_", "Route prefixes", "Beginnings of names of Envoy routes."),
        ("_match_domain_", "Domains", "Hosts: exact, `*suffix` or `prefix*`, without regard to case."),
        ("_match_service_", "Services", "Upstream services: `fqdn`, `fqdn:port`, or the name of an Envoy cluster."),
    ] {
        rule.insert(key.to_owned(), described(texts.clone(), &[title, description], &[], None));
    }
    let rule =
        object(&["Rule", "Serves the requests for which every kind of `_match_…_` key that is present matches."], rule);
    let mut top = properties;
    top.insert(
        "_rules_".to_owned(),
        described(
            json!({ "type": "array", "items": rule }),
            &["Rules", "In order; the first that matches serves."],
            &[],
            None,
        ),
    );
    top.insert("_plugin_id_".to_owned(), json!({ "description": "Written by Higress; ignored." }));
    let mut schema = json!({
        "$schema": "https://json-schema.org/draft/2020-12/schema",
        "title": plugin.get("title"),
        "description": plugin.get("description"),
    });
    if let (Some(out), Value::Object(body)) = (schema.as_object_mut(), object(&[""], top)) {
        out.extend(body.into_iter().filter(|(key, _)| key != "title"));
    }
    schema
}
