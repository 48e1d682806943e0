//! How often updates change a property, and from which value to which, as long as there are few.

use std::collections::{BTreeMap, HashMap};

use crate::model::forecast::{BeforeAfter, PropertyCount, ValueChange};

/// Most changes of one property that are told apart: a list of options has fewer, free text soon has more.
const DISTINCT_MAX: usize = 50;

/// Longest value that is told apart, in bytes.
/// Longer ones are prose, of which no two records hold the same.
const VALUE_LENGTH_MAX: usize = 200;

/// Counts by property.
#[derive(Default)]
pub(super) struct Properties(BTreeMap<String, Counted>);

#[derive(Default)]
struct Counted {
    records: u64,
    cleared: u64,
    /// By what stands before and after; none once there were too many.
    values: Values,
}

enum Values {
    Few(HashMap<BeforeAfter, u64>),
    TooMany,
}

impl Default for Values {
    fn default() -> Self {
        Self::Few(HashMap::new())
    }
}

impl Properties {
    /// Counts one change; its values are masked already where they have to be.
    pub(super) fn add(&mut self, property: String, sides: BeforeAfter) {
        let count = self.0.entry(property).or_default();
        count.records += 1;
        count.cleared += u64::from(sides.after.is_none());
        let long = |value: &Option<String>| value.as_ref().is_some_and(|value| value.len() > VALUE_LENGTH_MAX);
        let Values::Few(values) = &mut count.values else { return };
        if long(&sides.before) || long(&sides.after) || (values.len() >= DISTINCT_MAX && !values.contains_key(&sides)) {
            count.values = Values::TooMany;
        } else {
            *values.entry(sides).or_default() += 1;
        }
    }

    /// The counts, with the most frequent change of each property first.
    pub(super) fn finish(self) -> BTreeMap<String, PropertyCount> {
        let values = |values: Values| {
            let Values::Few(values) = values else { return Vec::new() };
            let change = |(BeforeAfter { before, after }, records)| ValueChange { before, after, records };
            let mut values: Vec<ValueChange> = values.into_iter().map(change).collect();
            // By the values where they are equally frequent, so that two plans of the same changes read the same.
            values.sort_by(|one, other| {
                other
                    .records
                    .cmp(&one.records)
                    .then_with(|| (&one.before, &one.after).cmp(&(&other.before, &other.after)))
            });
            values
        };
        let count = |counted: Counted| PropertyCount {
            records: counted.records,
            cleared: counted.cleared,
            values: values(counted.values),
        };
        self.0.into_iter().map(|(property, counted)| (property, count(counted))).collect()
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn sides(before: &str, after: &str) -> BeforeAfter {
        let side = |text: &str| (!text.is_empty()).then(|| text.to_owned());
        BeforeAfter { before: side(before), after: side(after) }
    }

    #[test]
    fn few_values_are_told_apart_and_many_are_counted() {
        let mut counts = Properties::default();
        for _ in 0..36 {
            counts.add("status".to_owned(), sides("on_hold", "cancelled"));
        }
        counts.add("status".to_owned(), sides("active", ""));
        for number in 0..=DISTINCT_MAX {
            counts.add("name".to_owned(), sides("", &number.to_string()));
        }
        counts.add("text".to_owned(), sides("", &"x".repeat(VALUE_LENGTH_MAX + 1)));
        let found = counts.finish();
        let status = &found["status"];
        assert_eq!((status.records, status.cleared), (37, 1));
        let first = ValueChange { before: Some("on_hold".into()), after: Some("cancelled".into()), records: 36 };
        assert_eq!(status.values[0], first);
        assert_eq!(status.values[1].after, None);
        assert_eq!((found["name"].records, found["name"].values.len()), (DISTINCT_MAX as u64 + 1, 0));
        assert_eq!((found["text"].records, found["text"].values.len()), (1, 0));
    }
}
