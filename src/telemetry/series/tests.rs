//! How many series there are.

use super::super::samples_of_records::stream;
use super::*;
use crate::telemetry::ledger::{Admission, admit};
use crate::telemetry::{Consumers, Models, Record, Style, samples};
use std::collections::BTreeMap;
#[cfg(target_family = "wasm")]
use wasm_bindgen_test::wasm_bindgen_test as test;

/// A host that counts what it is asked.
#[derive(Default)]
struct Fake {
    max: usize,
    list: Vec<u8>,
    ids: BTreeMap<String, u32>,
    values: BTreeMap<u32, u64>,
    defined: usize,
    broken: bool,
}

impl Host for Fake {
    fn admit(&mut self, name: &str) -> bool {
        admit(&mut self.list, name, self.max) != Admission::Refused
    }

    fn define(&mut self, _: Kind, name: &str) -> Option<u32> {
        self.defined += 1;
        let next = u32::try_from(self.ids.len()).unwrap();
        (!self.broken).then(|| *self.ids.entry(name.to_owned()).or_insert(next))
    }

    fn count(&mut self, kind: Kind, id: u32, value: u64) {
        assert!(kind == Kind::Histogram || value > 0, "Envoy refuses to add nothing to a counter");
        *self.values.entry(id).or_default() += value;
    }
}

impl Fake {
    fn value(&self, name: &str) -> Option<u64> {
        self.values.get(self.ids.get(name)?).copied()
    }
}

fn count(series: &mut Series, host: &mut Fake, record: &Record) {
    let models = Models::new(["*"]);
    let consumers = Consumers::default();
    series.count(host, &samples(record, Style::Both), &Labels::new(record, Style::Both, &models, &consumers));
}

fn invented(n: usize) -> Record {
    let model = Some(format!("invented-{n}"));
    Record { upstream_model: model.clone(), response_model: model, ..stream() }
}

#[test]
fn a_series_is_defined_once() {
    let (mut series, mut host) = (Series::new(100), Fake { max: 100, ..Fake::default() });
    count(&mut series, &mut host, &stream());
    let defined = host.defined;
    assert_eq!(defined, samples(&stream(), Style::Both).len());
    count(&mut series, &mut host, &stream());
    assert_eq!(host.defined, defined);
    assert_eq!(series.len(), defined);
    assert!(host.values.values().all(|value| value % 2 == 0));
    assert_eq!(host.value("waypost_series_overflow_total"), None);
}

#[test]
fn ten_thousand_invented_models_leave_the_allowed_series_and_the_overflow() {
    let (mut series, mut host) = (Series::new(1000), Fake { max: 1000, ..Fake::default() });
    for n in 0..10_000 {
        count(&mut series, &mut host, &invented(n));
    }
    assert_eq!(series.len(), 1000);
    // Seven of Higress's names, six of Waypost's, and the counter: token types are one series when they overflow.
    assert_eq!(series.overflow.0.len(), 14);
    assert_eq!(host.ids.len(), series.len() + series.overflow.0.len());
    let refused = host.value("waypost_series_overflow_total").unwrap();
    let all = 10_000 * samples(&stream(), Style::Both).len();
    assert_eq!(usize::try_from(refused).unwrap(), all - 1000);
    count(&mut series, &mut host, &invented(0));
    assert_eq!(host.value("waypost_series_overflow_total"), Some(refused), "what was admitted stays");
}

#[test]
fn invented_labels_fill_no_memory_and_are_counted_all_the_same() {
    let max = 10 * MAX_SETS * samples(&stream(), Style::Both).len();
    let (mut series, mut host) = (Series::new(max), Fake { max, ..Fake::default() });
    for _ in 0..2 {
        for n in 0..=MAX_SETS + 1 {
            count(&mut series, &mut host, &invented(n));
            assert!((1..=MAX_SETS).contains(&series.sets.0.len()));
        }
    }
    assert_eq!(host.defined, series.len(), "each was defined once, whatever was forgotten");
    // Each time as often as the first.
    let mut once = Fake { max, ..Fake::default() };
    count(&mut Series::new(max), &mut once, &invented(7));
    for (name, id) in once.ids.iter().filter(|(name, _)| name.contains("invented-7")) {
        assert_eq!(host.value(name), Some(2 * once.values[id]), "{name}");
    }
}

#[test]
fn records_that_differ_in_one_label_are_counted_apart() {
    let (mut series, mut host) = (Series::new(1000), Fake { max: 1000, ..Fake::default() });
    let first = stream();
    let others = [
        Record { provider: "azure".to_owned(), ..stream() },
        Record { operation: "completions", ..stream() },
        Record { consumer: Some("b".to_owned()), ..stream() },
        Record { route: "a@b@c@d".to_owned(), ..stream() },
        Record { cluster: "c".to_owned(), ..stream() },
        Record { status: Some(500), ..stream() },
        Record { response_model: Some("gpt-4.2".to_owned()), ..stream() },
    ];
    let models = Models::new(["*"]);
    let consumers = Consumers::new(["*"]);
    for record in [&first].into_iter().chain(&others) {
        for _ in 0..2 {
            let labels = Labels::new(record, Style::Both, &models, &consumers);
            series.count(&mut host, &samples(record, Style::Both), &labels);
        }
    }
    assert_eq!(series.sets.0.len(), 1 + others.len());
    // By name alone, without what is remembered of labels.
    let mut expected = BTreeMap::new();
    for record in [&first].into_iter().chain(&others) {
        let labels = Labels::new(record, Style::Both, &models, &consumers);
        for sample in samples(record, Style::Both) {
            let mut name = String::new();
            sample.write_name(Some(&labels), &mut name);
            *expected.entry(name).or_default() += 2 * sample.value;
        }
    }
    let counted: BTreeMap<String, u64> = host.ids.iter().map(|(name, id)| (name.clone(), host.values[id])).collect();
    assert_eq!(counted, expected);
}

#[test]
fn vms_share_the_bound_and_its_series() {
    let mut host = Fake { max: 20, ..Fake::default() };
    let (mut one, mut two) = (Series::new(20), Series::new(20));
    count(&mut one, &mut host, &invented(1));
    count(&mut two, &mut host, &invented(2));
    count(&mut one, &mut host, &invented(2));
    count(&mut two, &mut host, &invented(1));
    assert_eq!((one.len(), two.len()), (20, 20));
    assert_eq!(host.list.len(), 20 * 8);
}

#[test]
fn a_host_that_defines_nothing_is_not_asked_again() {
    let (mut series, mut host) = (Series::new(100), Fake { max: 100, broken: true, ..Fake::default() });
    count(&mut series, &mut host, &stream());
    let defined = host.defined;
    count(&mut series, &mut host, &stream());
    assert_eq!((host.defined, host.values.len()), (defined, 0));
    assert!(!series.is_empty());
}

#[test]
fn a_smaller_bound_keeps_what_exists() {
    let (mut series, mut host) = (Series::new(100), Fake { max: 100, ..Fake::default() });
    count(&mut series, &mut host, &invented(1));
    let before = series.len();
    series.set_max(1);
    count(&mut series, &mut host, &invented(1));
    count(&mut series, &mut host, &invented(2));
    assert_eq!(series.len(), before);
    assert!(host.value("waypost_series_overflow_total").is_some());
}

#[cfg(not(target_family = "wasm"))]
mod properties {
    use super::*;
    use proptest::prelude::*;

    proptest! {
        #[test]
        fn there_are_never_more_than_allowed(models in proptest::collection::vec(0usize..50, 1..60), max in 0usize..40) {
            let (mut series, mut host) = (Series::new(max), Fake { max, ..Fake::default() });
            for model in models {
                count(&mut series, &mut host, &invented(model));
            }
            prop_assert!(series.len() <= max);
            prop_assert_eq!(host.ids.len(), series.len() + series.overflow.0.len());
        }
    }
}
