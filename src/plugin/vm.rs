//! What all configurations and requests of one VM have in common: a host may give several root contexts to one VM.

use super::host;
use crate::memory::Memory;
use crate::telemetry;
use std::cell::OnceCell;
use std::rc::Rc;

thread_local! {
    static VM: Vm = Vm::default();
}

/// The one of this VM. A clone is the same.
#[derive(Clone)]
pub(super) struct Vm {
    memory: Memory,
    /// The host's id of the gauge; none if the host has no gauges.
    gauge: Rc<OnceCell<Option<u32>>>,
}

impl Default for Vm {
    fn default() -> Self {
        Self { memory: Memory::new(host::now_ns), gauge: Rc::default() }
    }
}

impl Vm {
    pub(super) fn get() -> Self {
        VM.with(Clone::clone)
    }

    /// The budget.
    pub(super) const fn memory(&self) -> &Memory {
        &self.memory
    }

    /// Defines the gauge, so that it can be seen before anything is kept.
    pub(super) fn define_gauge(&self) -> Option<u32> {
        *self.gauge.get_or_init(|| host::define_gauge(telemetry::MEMORY))
    }

    /// Tells the host what is kept, now and then.
    pub(super) fn report(&self) {
        if let Some(difference) = self.memory.change()
            && let Some(id) = self.define_gauge()
        {
            host::change_gauge(id, difference);
        }
    }
}
