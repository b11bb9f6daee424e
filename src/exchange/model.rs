//! The model of one request: as the client named it, and as it goes upstream.

use crate::config::Provider;
use crate::model::TooLong;
use crate::telemetry::log;

/// The model of a request.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Model {
    /// As the client named it.
    pub requested: String,
    /// As it goes upstream.
    pub upstream: String,
    /// The key of `modelMapping` that decided.
    pub mapping: Option<String>,
    /// Whether the upstream's name stands in the configuration, so that clients cannot have invented it.
    pub configured: bool,
}

impl Model {
    /// Maps a requested name.
    ///
    /// # Errors
    /// The provider maps names, and this one is too long for that: see [`crate::model::MAX_NAME`].
    pub fn of(provider: &Provider, requested: String) -> Result<Self, TooLong> {
        if provider.original {
            return Ok(Self { upstream: requested.clone(), requested, mapping: None, configured: false });
        }
        let mapped = provider.models.map(&requested)?;
        let configured = provider.models.names(&mapped);
        let (upstream, mapping) = (mapped.name.into_owned(), mapped.rule.map(|rule| rule.to_string()));
        Ok(Self { requested, upstream, mapping, configured })
    }

    /// Shortens its names to what a record shows of them.
    pub(super) fn shorten(&mut self) {
        log::shorten(&mut self.requested);
        log::shorten(&mut self.upstream);
    }

    /// The model of a request that names none: the target of `*`.
    #[must_use]
    pub fn default_of(provider: &Provider) -> Option<Self> {
        let model = provider.models.default_model().filter(|_| !provider.original)?;
        let mapping = Some("*".to_owned());
        Some(Self { requested: String::new(), upstream: model.to_owned(), mapping, configured: true })
    }
}
