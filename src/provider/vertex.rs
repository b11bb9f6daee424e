//! Google Vertex AI: one host per region, and one without.

/// The preset that is adapted.
pub const NAME: &str = "vertex";
/// The preset of Express mode, which takes API keys.
pub const EXPRESS: &str = "vertex-express";
/// The location that is no region.
pub const GLOBAL: &str = "global";

/// The host of the location `global`; `None` where the preset's own is right.
///
/// Source: <https://cloud.google.com/vertex-ai/generative-ai/docs/learn/locations> (2026-11).
#[must_use]
pub fn host(slots: &[(&'static str, String)]) -> Option<String> {
    let global = slots.iter().any(|(slot, value)| *slot == "region" && value == GLOBAL);
    global.then(|| "aiplatform.googleapis.com".to_owned())
}
