use super::*;
use std::collections::BTreeMap;
#[cfg(target_family = "wasm")]
use wasm_bindgen_test::wasm_bindgen_test as test;

/// The types of Higress's ai-proxy.
const HIGRESS: &[&str] = &[
    "ai360",
    "azure",
    "baichuan",
    "baidu",
    "bedrock",
    "claude",
    "cloudflare",
    "cohere",
    "coze",
    "deepl",
    "deepseek",
    "dify",
    "doubao",
    "fireworks",
    "galadriel",
    "gemini",
    "generic",
    "github",
    "grok",
    "groq",
    "hunyuan",
    "kling",
    "longcat",
    "minimax",
    "mistral",
    "moonshot",
    "ollama",
    "openai",
    "openrouter",
    "qwen",
    "spark",
    "stepfun",
    "together-ai",
    "triton",
    "vertex",
    "vllm",
    "yi",
    "zhipuai",
];

/// The names between braces, or nothing where the braces are not in pairs.
fn slots(text: &str) -> Option<Vec<&str>> {
    let mut parts = text.split('{');
    if parts.next()?.contains('}') {
        return None;
    }
    parts.map(|part| part.split_once('}').filter(|(_, rest)| !rest.contains('}')).map(|(name, _)| name)).collect()
}

/// Checks a base path, version or suffix and returns its slots.
fn path<'p>(text: &'p str, context: &str) -> Vec<&'p str> {
    assert!(text.is_empty() || text.starts_with('/'), "{context}: {text:?} must begin with a slash");
    assert!(!text.ends_with('/'), "{context}: {text:?} must not end with a slash");
    assert!(!text.contains("//") && !text.contains(['?', '#', ' ', '%']), "{context}: {text:?}");
    slots(text).unwrap_or_else(|| panic!("{context}: {text:?} has a brace too many"))
}

fn host<'h>(text: &'h str, context: &str) -> Vec<&'h str> {
    let allowed =
        |c: char| c.is_ascii_lowercase() || c.is_ascii_digit() || matches!(c, '-' | '.' | ':' | '_' | '{' | '}');
    assert!(text.chars().all(allowed), "{context}: {text:?} is no lower-case authority");
    slots(text).unwrap_or_else(|| panic!("{context}: {text:?} has a brace too many"))
}

#[test]
fn names_are_sorted_and_no_name_or_alias_stands_twice() {
    assert!(TABLE.is_sorted_by(|a, b| a.name < b.name));
    let mut owners = BTreeMap::new();
    for preset in TABLE {
        for name in [preset.name].iter().chain(preset.aliases) {
            let allowed = |c: char| c.is_ascii_lowercase() || c.is_ascii_digit() || c == '-';
            assert!(!name.is_empty() && name.chars().all(allowed), "{name:?}");
            assert_eq!(owners.insert(*name, preset.name), None, "{name:?}");
            assert_eq!(Preset::find(name).map(|found| found.name), Some(preset.name));
        }
    }
}

#[test]
fn every_type_of_higress_is_a_name() {
    assert_eq!(HIGRESS.len(), 38);
    for name in HIGRESS {
        assert!(TABLE.iter().any(|preset| preset.name == *name), "{name}");
    }
}

#[test]
fn hosts_paths_and_slots_are_well_formed() {
    for preset in TABLE {
        let name = preset.name;
        let declared: Vec<_> = preset.parameters.iter().map(|parameter| parameter.slot).collect();
        let mut used = host(preset.host, name);
        for surface in preset.surfaces {
            used.extend(host(surface.host, name));
            used.extend(path(surface.base, name));
            used.extend(path(surface.version, name));
            for (operation, at) in surface.paths {
                let (At::Suffix(text) | At::Path(text)) = at;
                assert!(!text.is_empty(), "{name}: {operation}");
                // The query may name the model, where the operation has it there.
                let text = match (operation.model_parameters(), text.strip_suffix("={model}")) {
                    ([_, ..], Some(named)) => named.split_once('?').map_or(*text, |(path, _)| path),
                    _ => *text,
                };
                let canonical = operation.suffix().and_then(slots).unwrap_or_default();
                used.extend(path(text, name).into_iter().filter(|slot| *slot != "model" && !canonical.contains(slot)));
            }
        }
        for slot in &used {
            assert!(declared.contains(slot), "{name}: {{{slot}}} is no parameter");
        }
        for slot in &declared {
            assert!(used.contains(slot), "{name}: parameter for {{{slot}}}, which is nowhere");
        }
    }
}

#[test]
fn a_dialect_and_an_operation_of_it_stand_once() {
    for preset in TABLE {
        let name = preset.name;
        for (index, surface) in preset.surfaces.iter().enumerate() {
            assert_ne!(surface.dialect, Dialect::Own, "{name}: own protocols are own_paths");
            assert!(preset.surfaces[..index].iter().all(|other| other.dialect != surface.dialect), "{name}");
            for (index, (operation, _)) in surface.paths.iter().enumerate() {
                assert!(surface.paths[..index].iter().all(|(other, _)| other != operation), "{name}: {operation}");
                assert!(
                    operation.is_model_list() || operation.dialect() == Some(surface.dialect),
                    "{name}: {operation}"
                );
            }
            for (header, value) in surface.headers {
                assert!(
                    !value.is_empty() && header.chars().all(|c| c.is_ascii_lowercase() || c == '-'),
                    "{name}: {header}"
                );
            }
        }
        assert!(!preset.surfaces.is_empty() || !preset.own_paths.is_empty(), "{name} serves nothing");
    }
}

#[test]
fn own_paths_begin_with_a_slash_and_swallow_nothing_the_surfaces_serve() {
    for preset in TABLE {
        let name = preset.name;
        assert!(preset.own_paths.is_sorted(), "{name}");
        for own in preset.own_paths {
            assert!(
                own.starts_with('/') && !own.contains("//") && !own.contains(['{', '?', '#', ' ']),
                "{name}: {own}"
            );
        }
        for surface in preset.surfaces {
            for operation in Operation::all().filter(|operation| operation.dialect() == Some(surface.dialect)) {
                let Some(suffix) = operation.suffix() else { continue };
                for prefix in ["/v1".to_owned(), format!("{}{}", surface.base, surface.version)] {
                    let path = format!("{prefix}{suffix}");
                    for own in preset.own_paths.iter().filter(|own| path.starts_with(**own)) {
                        // Claude's files are not OpenAI's; Vertex clients may spell the whole path out; Azure's own root
                        // counts beside a base path only.
                        let known = matches!(
                            (name, *own),
                            ("claude", "/v1/files") | ("vertex", "/v1/projects/") | ("azure", "/openai/")
                        );
                        assert!(known, "{name}: {own} swallows {path}");
                    }
                }
            }
        }
    }
}

#[test]
fn only_servers_that_operators_run_and_openai_go_without_token() {
    for preset in TABLE.iter().filter(|preset| preset.token == Token::Optional) {
        let own_host = matches!(preset.name, "openai" | "vllm");
        assert!(own_host || preset.host.is_empty(), "{}", preset.name);
    }
    for preset in TABLE.iter().filter(|preset| preset.host.is_empty()) {
        assert!(preset.token == Token::Optional || preset.name == "azure", "{}", preset.name);
    }
}
