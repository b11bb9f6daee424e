//! Paths of the vendor's own, which keep what the client wrote: other products beside the ones whose paths are composed,
//! such as DeepSeek's `/beta`, a coding plan, or the health check of a server.

use super::{PathSettings, begins_with_segments};
use crate::provider::{Preset, Surface};

/// Where a provider's own paths begin, and what is put in front of them.
#[derive(Clone, Debug, Default)]
pub(super) struct Roots {
    /// What is put in front of a path of the vendor's own.
    pub base: String,
    paths: Vec<String>,
}

impl Roots {
    /// Reads the roots off a preset, and off every preset whose host the base URL names. `base` is the base path of the
    /// base URL.
    pub(super) fn compile(settings: &PathSettings, preset: &Preset, base: Option<&str>) -> Self {
        let authority = settings.base.as_ref().map_or("", |base| base.authority.as_str());
        let mut paths: Vec<String> = preset.own_paths.iter().map(|path| (*path).to_owned()).collect();
        if preset.surfaces.is_empty() {
            // It speaks nothing else, so these paths are what the base URL is the base of.
            let base = settings.base.as_ref().map(|base| base.path.clone()).unwrap_or_default();
            return Self { base, paths };
        }
        let here = is_at(preset, authority);
        let others = Preset::all().iter().filter(|other| other.name != preset.name && !here && is_at(other, authority));
        let mut named = here;
        for other in others.filter(|other| !other.surfaces.is_empty()) {
            named = true;
            paths.extend(other.own_paths.iter().map(|path| (*path).to_owned()));
            // Where the vendor has its APIs is known better than by a type that may be anybody's.
            if base.is_none() {
                paths.extend(other.surfaces.iter().filter_map(place).filter(|path| !preset.serves_at(path)));
            }
        }
        let Some(base) = base else {
            // In a root in which the preset stands itself, its operations are composed.
            let bases = preset.surfaces.iter().map(|surface| surface.base).filter(|base| !base.contains('{'));
            paths.retain(|root| bases.clone().all(|base| !is_under(base, root)));
            return Self { base: String::new(), paths };
        };
        // Under a base path of the operator's things may be anywhere, unless it is known what that path is.
        let before = if named || !preset.is_self_hosted() {
            Some("").filter(|_| named || preset.host.is_empty())
        } else {
            preset.surfaces.iter().filter_map(place).find_map(|place| base.strip_suffix(place.as_str()))
        };
        let Some(before) = before else { return Self::default() };
        // A root in which the base path stands itself is where the operator wants everything.
        paths.retain(|root| !is_under(base, root));
        Self { base: before.to_owned(), paths }
    }

    /// Whether a path is of the vendor's own.
    pub(super) fn holds(&self, path: &str) -> bool {
        self.paths.iter().any(|own| match own.strip_suffix('/') {
            Some(parent) => path.len() > parent.len() && begins_with_segments(path, parent),
            None => begins_with_segments(path, own),
        })
    }
}

/// Whether a base path stands in a root.
fn is_under(base: &str, root: &str) -> bool {
    begins_with_segments(base, root.trim_end_matches('/'))
}

/// Whether a preset is at this host; the port means nothing.
fn is_at(preset: &Preset, authority: &str) -> bool {
    let (host, _) = super::base_url::split_port(authority);
    let hosts = || preset.surfaces.iter().map(|surface| surface.host).chain([preset.host]);
    !host.is_empty() && hosts().any(|known| known.eq_ignore_ascii_case(host))
}

/// Base path and version of a surface; none where it has no base path, or one that depends on the configuration.
fn place(surface: &Surface) -> Option<String> {
    let place = format!("{}{}", surface.base, surface.version);
    (!place.is_empty() && !place.contains('{')).then_some(place)
}

impl Preset {
    /// Whether a surface is at this base path and version.
    fn serves_at(&self, path: &str) -> bool {
        self.surfaces.iter().filter_map(place).any(|place| place == path)
    }
}
