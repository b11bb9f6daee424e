//! The root context: one per configuration.

use super::host;
use super::http::Http;
use crate::config::{self, Config, problem::Severity};
use log::{error, info, warn};
use proxy_wasm::traits::{Context, HttpContext, RootContext};
use proxy_wasm::types::ContextType;
use std::rc::Rc;

/// Holds the compiled configuration for its streams.
#[derive(Default)]
pub(super) struct Root {
    config: Option<Rc<Config>>,
}

impl Context for Root {}

impl RootContext for Root {
    fn on_configure(&mut self, size: usize) -> bool {
        host::adopt_log_level();
        let loaded = match config::load(&host::configuration(size)) {
            Ok(loaded) => loaded,
            Err(unusable) => {
                error!("waypost: {unusable}");
                return false;
            }
        };
        for problem in &loaded.problems {
            match problem.severity {
                Severity::Error => error!("waypost: {problem}"),
                Severity::Warning => warn!("waypost: {problem}"),
                // Of interest to `waypost check`, not to a log that repeats on every worker.
                Severity::Difference => {}
            }
        }
        info!("waypost {} is configured", env!("CARGO_PKG_VERSION"));
        self.config = Some(Rc::new(loaded.config));
        true
    }

    fn create_http_context(&self, _: u32) -> Option<Box<dyn HttpContext>> {
        self.config.as_ref().map(|config| Box::new(Http::new(Rc::clone(config))) as Box<dyn HttpContext>)
    }

    fn get_type(&self) -> Option<ContextType> {
        Some(ContextType::HttpContext)
    }
}
