//! Associations between records and the types that they have, both directions at once.

use std::collections::{BTreeMap, BTreeSet, HashMap};

use serde::{Deserialize, Serialize};
use serde_json::{Value, json};

/// A type of associations in one direction.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
pub struct AssociationType {
    /// `HUBSPOT_DEFINED` or `USER_DEFINED`.
    pub category: String,
    /// Number.
    pub type_id: u64,
    /// Label; none for the plain type.
    pub label: Option<String>,
    /// Internal name, which the lists of labels do not show.
    #[serde(default)]
    pub name: Option<String>,
    /// Number of the same association in the other direction.
    pub inverse: u64,
    /// Most associations of this type for one record, where an admin set it.
    pub max: Option<u64>,
}

/// A record: type id and number.
pub type End = (String, u64);

/// Definitions and associations.
#[derive(Debug, Default)]
pub struct Pairs {
    definitions: BTreeMap<String, BTreeMap<String, Vec<AssociationType>>>,
    directions: BTreeMap<String, BTreeMap<String, Direction>>,
    /// The different sets of types that pairs have; they are few, so that a pair holds the number of its own.
    sets: Vec<Box<[u64]>>,
    set_numbers: HashMap<Box<[u64]>, u32>,
    next_type: u64,
}

/// Associations of the records of one object with those of another.
#[derive(Debug, Default)]
struct Direction {
    /// Number of the set of types, by the two records.
    pairs: BTreeMap<(u64, u64), u32>,
    /// How many associations of a type a record has, so that a limit is checked without a look at each.
    counts: HashMap<(u64, u64), u32>,
    /// How many pairs have a type.
    totals: HashMap<u64, u64>,
}

/// HubSpot's own types: from, to, number there, number back.
const DEFINED: [(&str, &str, u64, u64); 9] = [
    ("0-1", "0-2", 279, 280),
    ("0-1", "0-3", 4, 3),
    ("0-3", "0-2", 341, 342),
    ("0-1", "0-5", 15, 16),
    ("0-2", "0-5", 340, 339),
    ("0-3", "0-5", 27, 28),
    ("0-1", "0-1", 449, 449),
    ("0-2", "0-2", 450, 450),
    ("0-3", "0-3", 451, 451),
];

impl Pairs {
    /// The definitions of standard pairs.
    pub fn standard() -> Self {
        // Below 100, where HubSpot's own numbers are too: types of custom objects may share a number with them.
        let mut pairs = Self { next_type: 79, ..Self::default() };
        for (from, to, there, back) in DEFINED {
            pairs.define(from, to, "HUBSPOT_DEFINED", (None, None), None, (there, back));
        }
        pairs
    }

    /// Makes the plain type of a pair with a custom object, in both directions, unless it is there.
    pub fn define_plain(&mut self, from: &str, to: &str, name: Option<&str>) {
        if self.types(from, to).is_empty() {
            let numbers = (self.number(), self.number());
            self.define(from, to, "USER_DEFINED", (None, None), name, numbers);
        }
    }

    /// Makes a label, in both directions; returns both numbers.
    pub fn define_label(&mut self, from: &str, to: &str, name: &str, label: &str, inverse: Option<&str>) -> (u64, u64) {
        let numbers = (self.number(), self.number());
        let labels = (Some(label), Some(inverse.unwrap_or(label)));
        self.define(from, to, "USER_DEFINED", labels, Some(name), numbers);
        numbers
    }

    fn number(&mut self) -> u64 {
        // With gaps, as the two directions of a type need not have neighbouring numbers.
        self.next_type += 1 + self.next_type % 3;
        self.next_type
    }

    fn define(
        &mut self,
        from: &str,
        to: &str,
        category: &str,
        (label, inverse_label): (Option<&str>, Option<&str>),
        name: Option<&str>,
        (there, back): (u64, u64),
    ) {
        let mut add = |from: &str, to: &str, type_id, inverse, label: Option<&str>| {
            let made = AssociationType {
                category: category.to_owned(),
                type_id,
                label: label.map(str::to_owned),
                name: name.map(str::to_owned),
                inverse,
                max: None,
            };
            let targets = self.definitions.entry(from.to_owned()).or_default();
            targets.entry(to.to_owned()).or_default().push(made);
        };
        add(from, to, there, back, label);
        // A type of an object with itself may be its own inverse, and is listed once.
        if (from, there) != (to, back) {
            add(to, from, back, there, inverse_label);
        }
    }

    /// The types from one object to another.
    pub fn types(&self, from: &str, to: &str) -> &[AssociationType] {
        self.definitions.get(from).and_then(|targets| targets.get(to)).map_or(&[], Vec::as_slice)
    }

    /// All pairs of objects that have types, with those.
    pub fn defined(&self) -> impl Iterator<Item = (&str, &str, &[AssociationType])> {
        let targets = self.definitions.iter();
        targets.flat_map(|(from, targets)| {
            targets.iter().map(move |(to, types)| (from.as_str(), to.as_str(), types.as_slice()))
        })
    }

    /// One type.
    pub fn find(&self, from: &str, to: &str, type_id: u64) -> Option<&AssociationType> {
        self.types(from, to).iter().find(|kind| kind.type_id == type_id)
    }

    /// The type without a label.
    pub fn plain(&self, from: &str, to: &str) -> Option<&AssociationType> {
        self.types(from, to).iter().find(|kind| kind.label.is_none())
    }

    fn definition(&mut self, from: &str, to: &str, type_id: u64) -> Option<&mut AssociationType> {
        let types = self.definitions.get_mut(from)?.get_mut(to)?;
        types.iter_mut().find(|kind| kind.type_id == type_id)
    }

    /// Sets the most associations of a type; false when there is no such type.
    pub fn limit(&mut self, from: &str, to: &str, type_id: u64, max: Option<u64>) -> bool {
        let definition = self.definition(from, to, type_id);
        definition.map(|definition| definition.max = max).is_some()
    }

    /// Gives a label another text, in both directions; false when there is no such label.
    pub fn rename(&mut self, from: &str, to: &str, type_id: u64, label: &str, inverse: Option<&str>) -> bool {
        let Some(definition) = self.definition(from, to, type_id).filter(|definition| definition.label.is_some())
        else {
            return false;
        };
        definition.label = Some(label.to_owned());
        let back = definition.inverse;
        if let Some(definition) = self
            .definition(to, from, back)
            .filter(|definition| definition.inverse == type_id && definition.type_id != type_id)
        {
            definition.label = Some(inverse.unwrap_or(label).to_owned());
        }
        true
    }

    /// Removes a label's definition in both directions; false when there is no such label.
    pub fn undefine(&mut self, from: &str, to: &str, type_id: u64) -> bool {
        let Some(inverse) = self.find(from, to, type_id).map(|definition| definition.inverse) else { return false };
        for (from, to, number) in [(from, to, type_id), (to, from, inverse)] {
            if let Some(types) = self.definitions.get_mut(from).and_then(|targets| targets.get_mut(to)) {
                types.retain(|kind| kind.type_id != number);
            }
        }
        true
    }

    /// Whether any pair has this type.
    pub fn is_used(&self, from: &str, to: &str, type_id: u64) -> bool {
        self.direction(from, to).is_some_and(|pairs| pairs.totals.get(&type_id).is_some_and(|total| *total > 0))
    }

    fn direction(&self, from: &str, to: &str) -> Option<&Direction> {
        self.directions.get(from)?.get(to)
    }

    /// The associated records of one object after the one of that id, with their types.
    pub fn of<'a>(&'a self, from: &End, to_type: &str, after: u64) -> impl Iterator<Item = (u64, &'a [u64])> + use<'a> {
        let range = (from.1, after.saturating_add(1))..=(from.1, u64::MAX);
        let pairs =
            self.direction(&from.0, to_type).into_iter().flat_map(move |pairs| pairs.pairs.range(range.clone()));
        pairs.map(|((_, id), set)| (*id, &*self.sets[*set as usize]))
    }

    /// How many associations of one type a record has.
    pub fn count(&self, from: &End, to_type: &str, type_id: u64) -> u32 {
        let counts = self.direction(&from.0, to_type).map(|pairs| &pairs.counts);
        counts.and_then(|counts| counts.get(&(from.1, type_id)).copied()).unwrap_or_default()
    }

    /// How many records have so many associations of a type, or more, beginning with the one that has most.
    pub fn at_least(&self, from: &str, to: &str, type_id: u64, count: u64) -> Vec<(u64, u32)> {
        let counts = self.direction(from, to).into_iter().flat_map(|pairs| &pairs.counts);
        let full = counts.filter(|((_, number), held)| *number == type_id && u64::from(**held) >= count);
        let mut full: Vec<(u64, u32)> = full.map(|((id, _), held)| (*id, *held)).collect();
        full.sort_by_key(|(id, held)| (std::cmp::Reverse(*held), *id));
        full
    }

    /// Sets the labels of a pair to these (the plain type always stands), in both directions.
    pub fn set(&mut self, from: &End, to: &End, labels: &[u64]) {
        let plain = self.plain(&from.0, &to.0).map(|association| association.type_id);
        let there: BTreeSet<u64> = labels.iter().copied().chain(plain).collect();
        let inverse = |number: &u64| self.find(&from.0, &to.0, *number).map(|definition| definition.inverse);
        let back: BTreeSet<u64> = there.iter().filter_map(inverse).collect();
        self.put(from, to, Some(there.into_iter().collect()));
        self.put(to, from, Some(back.into_iter().collect()));
    }

    /// Removes a pair, in both directions.
    pub fn remove(&mut self, from: &End, to: &End) {
        self.put(from, to, None);
        self.put(to, from, None);
    }

    /// Puts a set of types in the place of what a pair had, in one direction.
    fn put(&mut self, from: &End, to: &End, types: Option<Box<[u64]>>) {
        let number = types.map(|types| self.set_number(types));
        // Looked for first, so that the names are copied only once for two objects.
        if !self.directions.get(&from.0).is_some_and(|targets| targets.contains_key(&to.0)) {
            self.directions.entry(from.0.clone()).or_default().insert(to.0.clone(), Direction::default());
        }
        let direction = self.directions.get_mut(&from.0).and_then(|targets| targets.get_mut(&to.0));
        let Some(direction) = direction else { return };
        let pair = (from.1, to.1);
        let before = match number {
            Some(number) => direction.pairs.insert(pair, number),
            None => direction.pairs.remove(&pair),
        };
        // Associations that are made again change no count.
        if before == number {
            return;
        }
        for type_id in before.iter().flat_map(|set| &*self.sets[*set as usize]) {
            *direction.totals.entry(*type_id).or_default() -= 1;
            if let Some(count) = direction.counts.get_mut(&(from.1, *type_id)) {
                *count -= 1;
                if *count == 0 {
                    direction.counts.remove(&(from.1, *type_id));
                }
            }
        }
        for type_id in number.iter().flat_map(|set| &*self.sets[*set as usize]) {
            *direction.totals.entry(*type_id).or_default() += 1;
            *direction.counts.entry((from.1, *type_id)).or_default() += 1;
        }
    }

    fn set_number(&mut self, types: Box<[u64]>) -> u32 {
        if let Some(number) = self.set_numbers.get(&types) {
            return *number;
        }
        let number = u32::try_from(self.sets.len()).unwrap_or(u32::MAX);
        self.sets.push(types.clone());
        self.set_numbers.insert(types, number);
        number
    }

    /// The types of a pair; none when it is not associated.
    pub fn pair(&self, from: &End, to: &End) -> &[u64] {
        let set = self.direction(&from.0, &to.0).and_then(|pairs| pairs.pairs.get(&(from.1, to.1)));
        set.map_or(&[], |set| &self.sets[*set as usize])
    }

    /// All associations and definitions.
    pub fn dump(&self) -> Value {
        let directions = self
            .directions
            .iter()
            .flat_map(|(from, targets)| targets.iter().map(move |(to, target)| (from, to, target)));
        let pairs: Vec<Value> = directions
            .flat_map(|(from, to, direction)| {
                direction
                    .pairs
                    .iter()
                    .map(move |((one, other), set)| json!([from, one, to, other, self.sets[*set as usize]]))
            })
            .collect();
        let definitions: Vec<Value> = self.defined().map(|(from, to, types)| json!([from, to, types])).collect();
        json!({"pairs": pairs, "definitions": definitions, "next_type": self.next_type})
    }

    /// Takes back what `dump` gave.
    pub fn restore(&mut self, dump: &Value) -> Result<(), String> {
        let wrong = |error: serde_json::Error| format!("the saved associations cannot be read: {error}");
        let part = |name: &str| dump.get(name).cloned().unwrap_or(Value::Null);
        let pairs: Vec<(String, u64, String, u64, BTreeSet<u64>)> =
            serde_json::from_value(part("pairs")).map_err(wrong)?;
        let definitions: Vec<(String, String, Vec<AssociationType>)> =
            serde_json::from_value(part("definitions")).map_err(wrong)?;
        *self = Self { next_type: serde_json::from_value(part("next_type")).map_err(wrong)?, ..Self::default() };
        for (from, from_id, to, to_id, types) in pairs {
            // Through the same way as a change, so that the counts are made anew and need not be kept.
            self.put(&(from, from_id), &(to, to_id), Some(types.into_iter().collect()));
        }
        for (from, to, types) in definitions {
            self.definitions.entry(from).or_default().insert(to, types);
        }
        Ok(())
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn counts_and_both_directions_follow_every_change() {
        let mut pairs = Pairs::standard();
        let (label, back) = pairs.define_label("0-1", "0-2", "boss", "Boss", None);
        let chance = crate::sys::rng::Rng::seeded(3);
        for _ in 0..2_000 {
            let (one, other) = (("0-1".to_owned(), chance.below(5)), ("0-2".to_owned(), chance.below(5)));
            match chance.below(3) {
                0 => pairs.remove(&one, &other),
                1 => pairs.set(&one, &other, &[]),
                _ => pairs.set(&one, &other, &[label]),
            }
            let mut restored = Pairs::default();
            restored.restore(&pairs.dump()).unwrap();
            assert_eq!(restored.dump(), pairs.dump());
            for id in 0..5 {
                for (from, to, type_id) in
                    [("0-1", "0-2", label), ("0-1", "0-2", 279), ("0-2", "0-1", back), ("0-2", "0-1", 280)]
                {
                    let end = (from.to_owned(), id);
                    let all = pairs.of(&end, to, 0).chain(
                        pairs
                            .pair(&end, &(to.to_owned(), 0))
                            .first()
                            .map(|_| (0, pairs.pair(&end, &(to.to_owned(), 0)))),
                    );
                    let counted = all.filter(|(_, types)| types.contains(&type_id)).count();
                    assert_eq!(pairs.count(&end, to, type_id) as usize, counted);
                }
            }
        }
        let (one, other) = (("0-1".to_owned(), 1), ("0-2".to_owned(), 2));
        pairs.set(&one, &other, &[label]);
        assert_eq!((pairs.pair(&one, &other), pairs.pair(&other, &one)), (&[label, 279][..], &[back, 280][..]));
    }
}
