//! Writes the record of an exchange where the host's logs and metrics find it.

use super::host;
use crate::exchange::Outcome;
use crate::telemetry::ledger::{Admission, admit};
use crate::telemetry::{Fields, Host, Kind, Labels, Series, log, samples};
use ::log::warn;

/// Where all VMs of a process keep the list of series.
const LEDGER: &str = "waypost.series";

/// Writes one record.
pub(super) fn write(outcome: &Outcome, series: &mut Series) {
    let Outcome { record, statistics, properties, warning } = outcome;
    if let Some(warning) = warning {
        warn!("waypost: {warning}");
    }
    let fields = Fields::of(record);
    let old = host::property_bytes(&statistics.log_key);
    match log::ai_log(&fields, old.as_deref()) {
        Some(text) => host::set_property(&statistics.log_key, text.as_bytes()),
        None => warn!("waypost: what stands in `{}` is no log and is left alone", statistics.log_key),
    }
    for key in log::outdated(&fields, statistics.log_fields, old.as_deref()) {
        host::set_property(key, b"");
    }
    log::flat(&fields, statistics.log_fields, &mut |key, value| host::set_property(key, value.as_bytes()));
    for (key, value) in properties {
        host::set_property(key, value.as_bytes());
    }
    let samples = samples(record, statistics.metrics);
    if !samples.is_empty() {
        let labels = Labels::new(record, statistics.metrics, &statistics.models, &statistics.consumers);
        series.count(&mut Metrics { max: series.max() }, &samples, &labels);
    }
}

/// The metrics of the host.
struct Metrics {
    max: usize,
}

impl Host for Metrics {
    fn admit(&mut self, name: &str) -> bool {
        /// How often another VM may be faster before a name is given up.
        const ATTEMPTS: usize = 8;
        for _ in 0..ATTEMPTS {
            let (mut list, version) = host::shared(LEDGER);
            match admit(&mut list, name, self.max) {
                Admission::Known => return true,
                Admission::Refused => return false,
                Admission::Added if host::share(LEDGER, &list, version) => return true,
                Admission::Added => {}
            }
        }
        false
    }

    fn define(&mut self, kind: Kind, name: &str) -> Option<u32> {
        host::define_metric(kind, name)
    }

    fn count(&mut self, kind: Kind, id: u32, value: u64) {
        host::count(kind, id, value);
    }
}
