//! The root context: one per configuration.

use super::host;
use super::http::Http;
use super::vm::Vm;
use crate::config::{self, Config, problem::Severity};
use crate::error::Error;
use crate::hold::{Holds, Sight};
use crate::telemetry::Series;
use log::{error, info, warn};
use proxy_wasm::traits::{Context, HttpContext, RootContext};
use proxy_wasm::types::ContextType;
use std::cell::RefCell;
use std::rc::Rc;
use std::time::Duration;

/// Holds the compiled configuration for its streams.
pub(super) struct Root {
    id: u32,
    vm: Vm,
    config: Option<Rc<Config>>,
    holds: Rc<RefCell<Holds>>,
    series: Rc<RefCell<Series>>,
}

impl Root {
    pub(super) fn new(id: u32) -> Self {
        Self { id, vm: Vm::get(), config: None, holds: Rc::default(), series: Rc::default() }
    }
}

impl Drop for Root {
    fn drop(&mut self) {
        self.vm.memory().configure(self.id, None);
    }
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
        info!("waypost {} ({}) is configured", env!("CARGO_PKG_VERSION"), env!("WAYPOST_COMMIT"));
        if let Ok(mut series) = self.series.try_borrow_mut() {
            series.set_max(loaded.config.max_series());
        }
        self.vm.memory().configure(self.id, loaded.config.max_memory());
        self.vm.define_gauge();
        self.config = Some(Rc::new(loaded.config));
        true
    }

    fn create_http_context(&self, id: u32) -> Option<Box<dyn HttpContext>> {
        let config = Rc::clone(self.config.as_ref()?);
        Some(Box::new(Http::new(id, config, self.vm.clone(), Rc::clone(&self.holds), Rc::clone(&self.series))))
    }

    /// Answers requests whose bodies the host keeps back.
    fn on_tick(&mut self) {
        let Ok(mut holds) = self.holds.try_borrow_mut() else { return };
        let looked = holds.tick(host::now_ns(), &mut |context| {
            if !host::act_on(context) {
                return Sight::Gone;
            }
            host::received().map_or(Sight::Unknown, Sight::Received)
        });
        drop(holds);
        if looked.stops {
            host::tick_every(Duration::ZERO);
        }
        for (context, dialect) in looked.answers {
            if host::act_on(context) {
                host::reply(&Error::HoldNotHonoured.reply(dialect));
            }
        }
    }

    fn get_type(&self) -> Option<ContextType> {
        Some(ContextType::HttpContext)
    }
}
