use super::*;
#[cfg(target_family = "wasm")]
use wasm_bindgen_test::wasm_bindgen_test as test;

fn paths(base: Option<&str>, version: Option<&str>, preset: &str) -> Paths {
    let settings = PathSettings {
        base: base.map(|url| BaseUrl::parse(url).unwrap()),
        version: version.map(|version| version_prefix(version).unwrap()),
        ..PathSettings::default()
    };
    Paths::compile(&settings, Preset::find(preset).unwrap()).unwrap()
}

fn resolve(paths: &Paths, path: &str) -> Result<Resolved, Refusal> {
    paths.resolve(&ClientPath::parse(path), Fill::default())
}

#[test]
fn the_three_states_of_a_version_prefix_differ() {
    for (version, expected) in [
        (None, "/v1/embeddings"),
        (Some(""), "/embeddings"),
        (Some("/"), "/embeddings"),
        (Some("v3"), "/v3/embeddings"),
        (Some("/v3/"), "/v3/embeddings"),
        (Some("api/v2"), "/api/v2/embeddings"),
    ] {
        assert_eq!(resolve(&paths(None, version, "openai"), "/v1/embeddings").unwrap().path, expected, "{version:?}");
    }
    for bad in ["..", "/v1/../x", "v1?x", "v1#x", "v 1", "%2e%2e"] {
        assert!(version_prefix(bad).is_err(), "{bad}");
    }
}

#[test]
fn says_which_line_of_the_rule_decided() {
    let composed = |base, version| Why::Composed { base, version, preset_suffix: false };
    for (base, version, path, why) in [
        (None, None, "/v1/embeddings", composed(BaseFrom::Preset, VersionFrom::Preset)),
        (Some("https://h"), None, "/v1/embeddings", composed(BaseFrom::Preset, VersionFrom::Preset)),
        (Some("https://h/b"), None, "/v1/embeddings", composed(BaseFrom::BaseUrl, VersionFrom::BaseUrlHasPath)),
        (Some("https://h/b"), Some(""), "/v1/embeddings", composed(BaseFrom::BaseUrl, VersionFrom::Setting)),
        (Some("https://h/v1/embeddings"), None, "/v1/embeddings", Why::WholeUrl),
        (Some("https://h/v1/embeddings"), None, "/v1/models", composed(BaseFrom::Parent, VersionFrom::BaseUrlHasPath)),
        (None, None, "/v1/other", Why::Passthrough { base: BaseFrom::Preset, version: VersionFrom::Preset }),
    ] {
        assert_eq!(resolve(&paths(base, version, "openai"), path).unwrap().why, why, "{base:?} {path}");
    }
}

/// A retry of an upstream filter sees the path that an earlier attempt wrote.
#[test]
fn gives_its_own_output_back() {
    for preset in Preset::all().iter().filter(|preset| !preset.surfaces.is_empty() && preset.parameters.is_empty()) {
        for base in [None, Some("https://h/gw/v1?k=1"), Some("https://h/api")] {
            let paths = paths(base, None, preset.name);
            for operation in Operation::all() {
                let suffix = operation.suffix().unwrap_or("/other/thing").replace(['{', '}'], "");
                let client = format!("/v1{suffix}?q=1");
                let Ok(once) = resolve(&paths, &client) else { continue };
                // A whole path of a preset may be the suffix of nothing, and a vendor's own suffix another operation's.
                if matches!(once.why, Why::PresetPath | Why::Composed { preset_suffix: true, .. }) {
                    continue;
                }
                let twice = resolve(&paths, &once.path);
                assert_eq!(twice.map(|resolved| resolved.path), Ok(once.path), "{} {base:?} {client}", preset.name);
            }
        }
    }
}

#[test]
fn pass_through_never_leaves_the_base_path() {
    let paths = paths(Some("https://h/api/v1"), None, "openai");
    for (client, upstream) in [
        ("/v1/x", Some("/api/v1/x")),
        ("/x", Some("/api/v1/x")),
        ("/v2beta/x/", Some("/api/v1/x")),
        ("/api/v1/x", Some("/api/v1/x")),
        ("/api/v10/x", Some("/api/v1/api/v10/x")),
        ("/", Some("/api/v1")),
        ("/v1", Some("/api/v1")),
        ("/x/../../y", None),
        ("/x/%2E%2e/y", None),
        ("/x\u{7f}", None),
    ] {
        assert_eq!(resolve(&paths, client).ok().map(|resolved| resolved.path).as_deref(), upstream, "{client}");
    }
}
