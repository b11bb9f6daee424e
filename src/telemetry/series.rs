//! The series of metrics: each is defined once, and there are never more than is allowed.
//!
//! A host frees no metric and shares them between its VMs, so a name that clients can invent would fill its memory. A new
//! name is therefore asked for; where it is refused, the value goes to the same metric with the value `overflow` for
//! every label, and `waypost_series_overflow_total` counts it. The overflow series are as many as there are metrics and
//! are not counted.

use super::labels::Labels;
use super::metrics::{Kind, Metric, Sample};

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
    known: Slots<Option<u32>>,
    overflow: Slots<Option<u32>>,
    /// The same ids by what records have: names are long, and nearly every record has the labels of an earlier one. The
    /// keys are sets of labels as text.
    sets: Slots<Vec<Id>>,
    /// The name that is looked up: one buffer for all.
    name: String,
}

/// Values by name, sorted by length, then by name: most names begin alike, and a length is compared at once. An id that
/// is none is one the host would not define, and is not asked for again.
#[derive(Debug, Default)]
struct Slots<T>(Vec<(Box<str>, T)>);

/// How many sets of labels a VM remembers the ids of. When there are more, it begins anew: whoever invents labels costs
/// others no more than a search by name.
const MAX_SETS: usize = 256;

/// How many bytes of text are made room for: what a set usually takes.
const SET_ROOM: usize = 192;

/// The id of the one series that a metric and a token type have in a set of labels.
#[derive(Debug)]
struct Id {
    metric: &'static Metric,
    token_type: &'static str,
    id: Option<u32>,
}

impl<T> Slots<T> {
    /// Where a name is, else the place where it belongs.
    fn place(&self, name: &str) -> Result<usize, usize> {
        self.0.binary_search_by(|(known, _)| (known.len(), &**known).cmp(&(name.len(), name)))
    }

    /// The value of a name, else the place where it belongs.
    fn find(&self, name: &str) -> Result<&T, usize> {
        let place = self.place(name)?;
        self.0.get(place).map(|(_, value)| value).ok_or(place)
    }

    fn insert(&mut self, place: usize, name: &str, value: T) {
        if place <= self.0.len() {
            self.0.insert(place, (name.into(), value));
        }
    }
}

impl Slots<Vec<Id>> {
    /// Takes the ids of a set out, and says where they belong.
    fn take(&mut self, labels: &str) -> (Result<usize, usize>, Vec<Id>) {
        let place = self.place(labels);
        let ids = place.ok().and_then(|place| self.0.get_mut(place)).map(|(_, ids)| core::mem::take(ids));
        (place, ids.unwrap_or_default())
    }

    /// Puts them back.
    fn put(&mut self, place: Result<usize, usize>, labels: &str, ids: Vec<Id>) {
        match place {
            Ok(place) => {
                if let Some((_, known)) = self.0.get_mut(place) {
                    *known = ids;
                }
            }
            Err(_) if ids.is_empty() => {}
            Err(_) if self.0.len() >= MAX_SETS => self.0 = vec![(labels.into(), ids)],
            Err(place) => self.insert(place, labels, ids),
        }
    }
}

impl Series {
    /// At most `max` series, without the overflow series.
    #[must_use]
    pub const fn new(max: usize) -> Self {
        Self {
            max,
            known: Slots(Vec::new()),
            overflow: Slots(Vec::new()),
            sets: Slots(Vec::new()),
            name: String::new(),
        }
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
        let mut set = String::with_capacity(SET_ROOM);
        labels.write_all(&mut set);
        let (place, mut ids) = self.sets.take(&set);
        for sample in samples {
            let id = match ids.iter().find(|known| sample.is_like(known.metric, known.token_type)) {
                Some(known) => known.id,
                None => match self.series_id(host, sample, labels) {
                    Some(id) => {
                        ids.push(Id { metric: sample.metric, token_type: sample.token_type, id });
                        id
                    }
                    None => {
                        self.count_overflow(host, &Sample::SERIES_OVERFLOW);
                        self.overflow_id(host, sample)
                    }
                },
            };
            if let Some(id) = id {
                host.count(sample.kind(), id, sample.value);
            }
        }
        self.sets.put(place, &set, ids);
    }

    /// The id of the series with these labels; `None` where there may be no more.
    fn series_id<H: Host>(&mut self, host: &mut H, sample: &Sample, labels: &Labels<'_>) -> Option<Option<u32>> {
        self.name.clear();
        sample.write_name(Some(labels), &mut self.name);
        match self.known.find(&self.name) {
            Ok(id) => Some(*id),
            Err(place) if self.known.0.len() < self.max && host.admit(&self.name) => {
                let id = host.define(sample.kind(), &self.name);
                self.known.insert(place, &self.name, id);
                Some(id)
            }
            Err(_) => None,
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
        self.overflow.find(&self.name).copied().unwrap_or_else(|place| {
            let id = host.define(sample.kind(), &self.name);
            self.overflow.insert(place, &self.name, id);
            id
        })
    }
}

#[cfg(test)]
mod tests;
