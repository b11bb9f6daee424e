//! `waypost providers`

use crate::{Outcome, pretty};
use clap::Args;
use serde_json::{Value, json};
use std::fmt::Write as _;
use waypost::config::problem::nearest;
use waypost::provider::{At, Credential, Preset, Surface, Token};

/// Lists the provider types, or shows what one stands for.
#[derive(Args)]
#[command(
    after_help = "Examples:\n  waypost providers\n  waypost providers qwen\n  waypost providers --json | jq -r '.[].type'"
)]
pub(crate) struct Arguments {
    /// Print JSON
    #[arg(long)]
    json: bool,
    /// The type to show
    #[arg(value_name = "TYPE")]
    name: Option<String>,
}

pub(crate) fn run(arguments: &Arguments) -> Result<Outcome, String> {
    let text = match &arguments.name {
        None if arguments.json => pretty(&Preset::all().iter().map(describe).collect()),
        None => table(),
        Some(name) => {
            let preset = Preset::find(name).ok_or_else(|| unknown(name))?;
            if arguments.json { pretty(&describe(preset)) } else { show(preset) }
        }
    };
    Ok(Outcome { text, good: true })
}

fn unknown(name: &str) -> String {
    let mut names = Preset::all().iter().flat_map(|preset| preset.aliases.iter().copied().chain([preset.name]));
    match nearest(name, &mut names) {
        Some(meant) => format!("unknown provider type `{name}`; did you mean `{meant}`?"),
        None => format!("unknown provider type `{name}`; `waypost providers` lists them"),
    }
}

/// The base URL of a surface as vendors print it.
fn base(preset: &Preset, surface: &Surface) -> String {
    let host = match (surface.host, preset.host) {
        ("", "") => "<baseUrl>",
        ("", host) | (host, _) => host,
    };
    format!("{host}{}{}", surface.base, surface.version)
}

fn credential(credential: Credential) -> String {
    match credential {
        Credential::Header { name, prefix } => format!("{name}: {prefix}***"),
        Credential::Query { name } => format!("?{name}=***"),
    }
}

fn table() -> String {
    let width = Preset::all().iter().map(|preset| preset.name.len()).max().unwrap_or_default();
    let mut out = String::new();
    for preset in Preset::all() {
        let mut name = preset.name;
        if preset.surfaces.is_empty() {
            let host = if preset.host.is_empty() { "<baseUrl>" } else { preset.host };
            let _ = writeln!(out, "{name:width$}  {:9}  {host}", "own");
        }
        for surface in preset.surfaces {
            let _ = writeln!(out, "{name:width$}  {:9}  {}", surface.dialect.name(), base(preset, surface));
            name = "";
        }
    }
    out
}

fn show(preset: &Preset) -> String {
    let mut out = format!("{} ({})\n", preset.title, preset.name);
    let mut line = |name: &str, value: &str| {
        if !value.is_empty() {
            let _ = writeln!(out, "  {name:<14}{value}");
        }
    };
    line("aliases", &preset.aliases.join(", "));
    if preset.surfaces.is_empty() {
        line("own", if preset.host.is_empty() { "<baseUrl>" } else { preset.host });
    }
    for surface in preset.surfaces {
        line(surface.dialect.name(), &base(preset, surface));
        for (operation, at) in surface.paths {
            let path = match at {
                At::Suffix(suffix) => format!("…{suffix}"),
                At::Path(path) => (*path).to_owned(),
            };
            line("", &format!("{operation}: {path}"));
        }
        if let Some(own) = surface.credential {
            line("", &credential(own));
        }
    }
    line("credential", &credential(preset.credential));
    line("token", if preset.token == Token::Required { "required" } else { "optional" });
    line("own paths", &preset.own_paths.join(", "));
    let parameters: Vec<_> = preset
        .parameters
        .iter()
        .map(|parameter| match parameter.default {
            Some(default) => format!("{} (default {default})", parameter.key),
            None => format!("{} (required)", parameter.key),
        })
        .collect();
    line("settings", &parameters.join(", "));
    out
}

fn describe(preset: &Preset) -> Value {
    let surfaces: Vec<_> = preset
        .surfaces
        .iter()
        .map(|surface| {
            let paths: serde_json::Map<_, _> = surface
                .paths
                .iter()
                .map(|(operation, at)| {
                    let value = match at {
                        At::Suffix(suffix) => json!({ "suffix": suffix }),
                        At::Path(path) => json!({ "path": path }),
                    };
                    (operation.name().to_owned(), value)
                })
                .collect();
            json!({
                "dialect": surface.dialect.name(),
                "host": if surface.host.is_empty() { preset.host } else { surface.host },
                "basePath": surface.base,
                "versionPrefix": surface.version,
                "credential": credential(surface.credential.unwrap_or(preset.credential)),
                "paths": paths,
            })
        })
        .collect();
    json!({
        "type": preset.name,
        "aliases": preset.aliases,
        "title": preset.title,
        "host": preset.host,
        "credential": credential(preset.credential),
        "tokenRequired": preset.token == Token::Required,
        "surfaces": surfaces,
        "ownPaths": preset.own_paths,
        "settings": preset.parameters.iter().map(|parameter| parameter.key).collect::<Vec<_>>(),
        "includeUsage": preset.include_usage,
    })
}
