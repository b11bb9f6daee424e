//! The series of metrics: each is defined once, and there are never more than is allowed.
//!
//! A host frees no metric and shares them between its VMs, so a name that clients can invent would fill its memory. A new
//! name is therefore asked for; where it is refused, the value goes to the same metric with the value `overflow` for
//! every label, and `waypost_series_overflow_total` counts it. The overflow series are as many as there are metrics and
//! are not counted.

use super::labels::Labels;
use super::metrics::{Kind, Sample};

/// What the host does for series.
pub trait Host {
    /// Whether one more series of this name may exist, in all VMs of the process together: [`ledger`](super::ledger).
    fn admit(&mut self, name: &str) -> bool;

    /// Defines a metric and returns the host's id for it.
    fn define(&mut self, kind: Kind, name: &str) -> Option<u32>;

    /// Adds to a counter, or records in a histogram.
    fn count(&mut self, kind: Kind, id: u32, value: u64);
}

/// The series that one VM has used.
#[derive(Debug, Default)]
pub struct Series {
    max: usize,
    known: Slots,
    overflow: Slots,
    /// The name that is looked up: one buffer for all.
    name: String,
}

/// Names and ids, sorted by length, then by name: most names begin alike, and a length is compared at once. No id: the host would not define it, and is not asked again.
#[derive(Debug, Default)]
struct Slots(Vec<(Box<str>, Option<u32>)>);

impl Slots {
    /// The id of a name, else the place where it belongs.
    fn find(&self, name: &str) -> Result<Option<u32>, usize> {
        let place = self.0.binary_search_by(|(known, _)| (known.len(), &**known).cmp(&(name.len(), name)))?;
        Ok(self.0.get(place).and_then(|(_, id)| *id))
    }

    fn insert(&mut self, place: usize, name: &str, id: Option<u32>) {
        if place <= self.0.len() {
            self.0.insert(place, (name.into(), id));
        }
    }
}

impl Series {
    /// At most `max` series, without the overflow series.
    #[must_use]
    pub const fn new(max: usize) -> Self {
        Self { max, known: Slots(Vec::new()), overflow: Slots(Vec::new()), name: String::new() }
    }

    /// Changes the bound. What exists stays.
    pub const fn set_max(&mut self, max: usize) {
        self.max = max;
    }

    /// The bound.
    #[must_use]
    pub const fn max(&self) -> usize {
        self.max
    }

    /// How many series there are, without the overflow series.
    #[must_use]
    pub fn len(&self) -> usize {
        self.known.0.len()
    }

    /// Whether there are none.
    #[must_use]
    pub fn is_empty(&self) -> bool {
        self.known.0.is_empty()
    }

    /// Counts a record.
    pub fn count<H: Host>(&mut self, host: &mut H, samples: &[Sample], labels: &Labels<'_>) {
        for sample in samples {
            self.name.clear();
            sample.write_name(Some(labels), &mut self.name);
            let id = match self.known.find(&self.name) {
                Ok(id) => id,
                Err(place) if self.known.0.len() < self.max && host.admit(&self.name) => {
                    let id = host.define(sample.kind(), &self.name);
                    self.known.insert(place, &self.name, id);
                    id
                }
                Err(_) => {
                    self.count_overflow(host, &Sample::SERIES_OVERFLOW);
                    self.overflow_id(host, sample)
                }
            };
            if let Some(id) = id {
                host.count(sample.kind(), id, sample.value);
            }
        }
    }

    fn count_overflow<H: Host>(&mut self, host: &mut H, sample: &Sample) {
        if let Some(id) = self.overflow_id(host, sample) {
            host.count(sample.kind(), id, sample.value);
        }
    }

    /// The id of the metric with `overflow` for every label.
    fn overflow_id<H: Host>(&mut self, host: &mut H, sample: &Sample) -> Option<u32> {
        self.name.clear();
        sample.write_name(None, &mut self.name);
        self.overflow.find(&self.name).unwrap_or_else(|place| {
            let id = host.define(sample.kind(), &self.name);
            self.overflow.insert(place, &self.name, id);
            id
        })
    }
}

#[cfg(test)]
mod tests;
