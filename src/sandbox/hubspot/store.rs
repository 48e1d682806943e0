//! Records of an object, and the indexes that keep every operation at the cost of what it touches, however many records there are.

use std::borrow::Cow;
use std::collections::{BTreeMap, BTreeSet, HashMap};

use serde::{Deserialize, Serialize};

use super::hashing::Map;

/// A record. Its values are read through its [`Store`], which knows the names of their properties.
#[derive(Debug, Clone, PartialEq)]
pub struct Record {
    values: Values,
    /// When it was made.
    pub created: i64,
    /// When it was last changed.
    pub updated: i64,
    /// When it was archived.
    pub archived: Option<i64>,
}

/// Values of a record in one piece of memory, by ascending number of their property; blank ones are absent.
#[derive(Debug, Clone, Default, PartialEq)]
struct Values {
    /// Number of the property, and where its value ends.
    ends: Box<[(u32, u32)]>,
    text: Box<str>,
}

/// Names of properties that a record holds by number.
#[derive(Debug, Default)]
struct Names {
    list: Vec<Box<str>>,
    numbers: Map<Box<str>, u32>,
}

/// A property whose values no two records may share, and who holds which.
#[derive(Debug)]
struct Key {
    name: u32,
    claims: Map<Box<str>, u64>,
}

/// When two values count as the same.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq)]
pub struct KeyRules {
    /// Values that differ in letter case only are the same.
    pub any_case: bool,
    /// An archived record keeps its values.
    pub archived_keep: bool,
}

/// All records of an object.
#[derive(Debug, Default)]
pub struct Store {
    names: Names,
    records: BTreeMap<u64, Record>,
    active: usize,
    keys: Vec<Key>,
    rules: KeyRules,
    /// Ids of records that were merged into others.
    merged: HashMap<u64, u64>,
    /// Of properties that somebody searched by: their values in lower case, with the ids. Made by the first search.
    searched: HashMap<u32, BTreeSet<(Box<str>, u64)>>,
    /// Times of the last change, with the ids. Made by the first search.
    changed: Option<BTreeSet<(i64, u64)>>,
}

/// A record as it is kept in a file.
#[derive(Debug, Default, Serialize, Deserialize)]
pub struct Kept {
    properties: BTreeMap<String, String>,
    created: i64,
    updated: i64,
    archived: Option<i64>,
    #[serde(default)]
    merged: Vec<u64>,
}

impl Values {
    fn of(sorted: &[(u32, &str)]) -> Self {
        let mut text = String::with_capacity(sorted.iter().map(|(_, value)| value.len()).sum());
        let ends = sorted.iter().map(|(name, value)| {
            text.push_str(value);
            (*name, u32::try_from(text.len()).unwrap_or(u32::MAX))
        });
        let ends = ends.collect();
        Self { ends, text: text.into_boxed_str() }
    }

    /// Those of a new record, sorted by name.
    fn of_new(changes: &[(u32, &str)]) -> Self {
        if changes.iter().any(|(_, value)| value.is_empty()) {
            Self::default().with(changes)
        } else {
            Self::of(changes)
        }
    }

    fn at(&self, place: usize) -> Option<(u32, &str)> {
        let (name, end) = *self.ends.get(place)?;
        let start = place.checked_sub(1).map_or(0, |before| self.ends[before].1);
        Some((name, self.text.get(start as usize..end as usize)?))
    }

    fn get(&self, name: u32) -> Option<&str> {
        let place = self.ends.binary_search_by_key(&name, |(known, _)| *known).ok()?;
        self.at(place).map(|(_, value)| value)
    }

    fn all(&self) -> impl Iterator<Item = (u32, &str)> {
        (0..self.ends.len()).filter_map(|place| self.at(place))
    }

    /// These values with others in their place; an empty one clears. Both are sorted by name.
    fn with(&self, changes: &[(u32, &str)]) -> Self {
        let mut merged = Vec::with_capacity(self.ends.len() + changes.len());
        let mut present = self.all().peekable();
        for (name, value) in changes {
            merged.extend(std::iter::from_fn(|| present.next_if(|(before, _)| before < name)));
            present.next_if(|(before, _)| before == name);
            if !value.is_empty() {
                merged.push((*name, *value));
            }
        }
        merged.extend(present);
        Self::of(&merged)
    }
}

impl Names {
    fn number(&mut self, name: &str) -> u32 {
        if let Some(number) = self.numbers.get(name) {
            return *number;
        }
        let number = u32::try_from(self.list.len()).unwrap_or(u32::MAX);
        self.list.push(name.into());
        self.numbers.insert(name.into(), number);
        number
    }
}

impl KeyRules {
    fn text<'a>(&self, value: &'a str) -> Cow<'a, str> {
        if self.any_case { value.to_lowercase().into() } else { value.into() }
    }

    fn counts(&self, record: &Record) -> bool {
        self.archived_keep || record.archived.is_none()
    }

    fn claim<'a>(&self, record: &'a Record, name: u32) -> Option<&'a str> {
        if self.counts(record) { record.values.get(name) } else { None }
    }
}

impl Store {
    /// A record, archived ones included.
    pub fn get(&self, id: u64) -> Option<&Record> {
        self.records.get(&id)
    }

    /// An active record.
    pub fn active(&self, id: u64) -> Option<&Record> {
        self.get(id).filter(|record| record.archived.is_none())
    }

    /// How many active records there are.
    pub fn active_count(&self) -> usize {
        self.active
    }

    /// All records from an id on, archived ones included.
    pub fn from(&self, id: u64) -> impl Iterator<Item = (u64, &Record)> {
        self.records.range(id..).map(|(id, record)| (*id, record))
    }

    /// A value of a record.
    pub fn value<'a>(&self, record: &'a Record, name: &str) -> Option<&'a str> {
        record.values.get(*self.names.numbers.get(name)?)
    }

    /// All values of a record, by name.
    pub fn values<'a>(&'a self, record: &'a Record) -> impl Iterator<Item = (&'a str, &'a str)> {
        record.values.all().map(|(name, value)| (&*self.names.list[name as usize], value))
    }

    /// Sets values of a record, or makes it; an empty value clears. Returns what was there before.
    pub fn write<V: AsRef<str>>(&mut self, id: u64, values: &[(&str, V)], now: i64) -> Option<Record> {
        let mut changes: Vec<(u32, &str)> =
            values.iter().map(|(name, value)| (self.names.number(name), value.as_ref())).collect();
        changes.sort_unstable_by_key(|(name, _)| *name);
        self.write_sorted(id, &changes, now)
    }

    /// The number by which records hold values of a property.
    pub fn number(&mut self, name: &str) -> u32 {
        self.names.number(name)
    }

    /// A value of a record, by the number of its property.
    pub fn numbered<'a>(&self, record: &'a Record, number: u32) -> Option<&'a str> {
        record.values.get(number)
    }

    /// As [`Store::write`], with the numbers of the properties, ascending.
    pub fn write_sorted(&mut self, id: u64, changes: &[(u32, &str)], now: i64) -> Option<Record> {
        let new = match self.records.get(&id) {
            Some(before) => {
                let same = changes.iter().all(|(name, value)| before.values.get(*name).unwrap_or_default() == *value);
                // The time moves even where no value does: HubSpot counts such a write as a change.
                let values = if same { before.values.clone() } else { before.values.with(changes) };
                Record { values, updated: now, ..*before }
            }
            None => Record { values: Values::of_new(changes), created: now, updated: now, archived: None },
        };
        self.put(id, Some(new))
    }

    /// Puts a record in the place of what was there, or takes it out; every index follows. Returns what was there before.
    pub fn put(&mut self, id: u64, record: Option<Record>) -> Option<Record> {
        let before = match record {
            Some(record) => self.records.insert(id, record),
            None => self.records.remove(&id),
        };
        let after = self.records.get(&id);
        let is_active = |record: &&Record| record.archived.is_none();
        self.active -= usize::from(before.as_ref().filter(is_active).is_some());
        self.active += usize::from(after.filter(is_active).is_some());
        for key in &mut self.keys {
            let (old, new) = (before.as_ref(), after);
            let old = old.and_then(|record| self.rules.claim(record, key.name));
            let new = new.and_then(|record| self.rules.claim(record, key.name));
            key.follow(id, old, new, self.rules);
        }
        for (name, index) in &mut self.searched {
            let value = |record: &Record| record.values.get(*name).map(|value| value.to_lowercase().into_boxed_str());
            let (old, new) = (before.as_ref().and_then(value), after.and_then(value));
            if old != new {
                old.map(|old| index.remove(&(old, id)));
                new.map(|new| index.insert((new, id)));
            }
        }
        if let Some(changed) = &mut self.changed {
            before.as_ref().map(|record| changed.remove(&(record.updated, id)));
            after.map(|record| changed.insert((record.updated, id)));
        }
        before
    }

    /// Archives a record; false when there is no active one.
    pub fn archive(&mut self, id: u64, now: i64) -> bool {
        let Some(record) = self.active(id).cloned() else { return false };
        self.put(id, Some(Record { archived: Some(now), ..record }));
        true
    }

    /// Merges an active record into another.
    pub fn merge(&mut self, primary: u64, other: u64, now: i64) -> bool {
        let Some(record) = self.active(primary).filter(|_| primary != other).cloned() else { return false };
        if !self.archive(other, now) {
            return false;
        }
        self.put(primary, Some(Record { updated: now, ..record }));
        self.merged.insert(other, primary);
        true
    }

    /// The active record of that id, or into which the one of that id was merged.
    pub fn find(&self, id: u64) -> Option<u64> {
        let mut id = id;
        // As many steps as there are merges, since a file may hold a circle of them.
        for _ in 0..=self.merged.len() {
            if self.active(id).is_some() {
                return Some(id);
            }
            id = *self.merged.get(&id)?;
        }
        None
    }

    /// Which record claims a value, under the rules that hold.
    pub fn claimed(&self, name: &str, value: &str) -> Option<u64> {
        self.claimed_number(*self.names.numbers.get(name)?, value)
    }

    /// As [`Store::claimed`], by the number of the property.
    pub fn claimed_number(&self, number: u32, value: &str) -> Option<u64> {
        let key = self.keys.iter().find(|key| key.name == number)?;
        key.claims.get(&*self.rules.text(value)).copied()
    }

    /// The active record that holds exactly this value.
    pub fn holder(&self, name: &str, value: &str) -> Option<u64> {
        self.holder_number(*self.names.numbers.get(name)?, value)
    }

    /// As [`Store::holder`], by the number of the property.
    pub fn holder_number(&self, number: u32, value: &str) -> Option<u64> {
        let id = self.claimed_number(number, value)?;
        // Claims may be kept without letter case, while an id in a request must be exact.
        self.active(id).filter(|record| record.values.get(number) == Some(value)).map(|_| id)
    }

    /// Says which properties are unique, and under which rules; those that are new are indexed.
    pub fn set_keys<'a>(&mut self, names: impl Iterator<Item = &'a str>, rules: KeyRules) {
        let names: Vec<u32> = names.map(|name| self.names.number(name)).collect();
        let stand = self.rules == rules;
        self.rules = rules;
        // With other rules every index is made anew; with the same ones those that stand are right.
        self.keys.retain(|key| stand && names.contains(&key.name));
        for name in names {
            if self.keys.iter().any(|key| key.name == name) {
                continue;
            }
            let mut key = Key { name, claims: Map::default() };
            let counted = self.records.iter().filter(|(_, record)| rules.counts(record));
            let mut claims: Vec<(bool, u64, &str)> = counted
                .filter_map(|(id, record)| Some((record.archived.is_none(), *id, record.values.get(name)?)))
                .collect();
            // Active records last, so that they hold what an archived one holds too.
            claims.sort_by_key(|(active, id, _)| (*active, *id));
            key.claims = claims.into_iter().map(|(_, id, value)| (rules.text(value).into(), id)).collect();
            self.keys.push(key);
        }
    }

    /// Records that hold a value of a property, in any letter case, by ascending id.
    pub fn with_value(&mut self, name: &str, value: &str) -> Vec<u64> {
        let number = self.names.number(name);
        let records = &self.records;
        let index = self.searched.entry(number).or_insert_with(|| {
            let values =
                records.iter().filter_map(|(id, record)| Some((record.values.get(number)?.to_lowercase(), *id)));
            values.map(|(value, id)| (value.into_boxed_str(), id)).collect()
        });
        let value: Box<str> = value.to_lowercase().into();
        index.range((value.clone(), 0)..=(value, u64::MAX)).map(|(_, id)| *id).collect()
    }

    /// Records whose last change lies in a span, by ascending time.
    pub fn changed(&mut self, from: i64, until: i64) -> Vec<u64> {
        // A range that ends before it begins would be a panic.
        if from > until {
            return Vec::new();
        }
        let records = &self.records;
        let changed =
            self.changed.get_or_insert_with(|| records.iter().map(|(id, record)| (record.updated, *id)).collect());
        changed.range((from, 0)..=(until, u64::MAX)).map(|(_, id)| *id).collect()
    }

    /// Puts a record in with its times, whatever it holds.
    pub fn place<'a>(&mut self, id: u64, values: impl Iterator<Item = (&'a str, &'a str)>, created: i64) {
        let values: Vec<(&str, &str)> = values.filter(|(_, value)| !value.is_empty()).collect();
        // What the id held before goes, so that no value of it stays.
        self.put(id, None);
        self.write(id, &values, created);
    }

    /// All records, to be kept in a file.
    pub fn dump(&self) -> BTreeMap<u64, Kept> {
        let mut merged: HashMap<u64, Vec<u64>> = HashMap::new();
        for (other, primary) in &self.merged {
            merged.entry(*primary).or_default().push(*other);
        }
        let kept = |(id, record): (&u64, &Record)| {
            let properties = self.values(record).map(|(name, value)| (name.to_owned(), value.to_owned())).collect();
            let mut merged = merged.remove(id).unwrap_or_default();
            merged.sort_unstable();
            let Record { created, updated, archived, .. } = *record;
            (*id, Kept { properties, created, updated, archived, merged })
        };
        self.records.iter().map(kept).collect()
    }

    /// A store of records that were kept.
    pub fn restored(kept: BTreeMap<u64, Kept>) -> Self {
        let mut store = Self::default();
        for (id, kept) in kept {
            let mut values: Vec<(u32, &str)> =
                kept.properties.iter().map(|(name, value)| (store.names.number(name), value.as_str())).collect();
            values.sort_unstable_by_key(|(name, _)| *name);
            let Kept { created, updated, archived, .. } = kept;
            store.put(id, Some(Record { values: Values::default().with(&values), created, updated, archived }));
            store.merged.extend(kept.merged.into_iter().map(|other| (other, id)));
        }
        store
    }
}

impl Key {
    /// Gives up one claim of a record and takes another.
    fn follow(&mut self, id: u64, before: Option<&str>, after: Option<&str>, rules: KeyRules) {
        if before == after {
            return;
        }
        if let Some(before) = before {
            let before = rules.text(before);
            // Another record may have taken the value over since.
            if self.claims.get(&*before) == Some(&id) {
                self.claims.remove(&*before);
            }
        }
        if let Some(after) = after {
            self.claims.insert(rules.text(after).into(), id);
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn keyed(rules: KeyRules) -> Store {
        let mut store = Store::default();
        store.set_keys(["key"].into_iter(), rules);
        store
    }

    /// What the indexes say is what a look at every record says.
    #[track_caller]
    fn check(store: &mut Store) {
        let mut fresh = Store::restored(store.dump());
        fresh.set_keys(["key"].into_iter(), store.rules);
        assert_eq!(store.keys[0].claims, fresh.keys[0].claims);
        assert_eq!(store.active, fresh.active);
        for value in ["a", "b", "c"] {
            assert_eq!(store.with_value("key", value), fresh.with_value("key", value), "{value}");
        }
        assert_eq!(store.changed(i64::MIN, i64::MAX), fresh.changed(i64::MIN, i64::MAX));
        assert_eq!(store.dump().len(), store.records.len());
    }

    #[test]
    fn indexes_follow_every_change() {
        for rules in [(false, false), (true, false), (false, true), (true, true)] {
            let rules = KeyRules { any_case: rules.0, archived_keep: rules.1 };
            let mut store = keyed(rules);
            let chance = crate::sys::rng::Rng::seeded(7);
            store.with_value("key", "a");
            store.changed(0, 0);
            for step in 0..2_000 {
                let id = 1 + chance.below(6);
                let value = ["", "a", "A", "b", "c"][usize::try_from(chance.below(5)).unwrap()];
                let free = store.claimed("key", value).is_none_or(|holder| holder == id);
                match chance.below(6) {
                    0 => drop(store.archive(id, step)),
                    1 => drop(store.put(id, None)),
                    2 => drop(store.merge(id, 1 + chance.below(6), step)),
                    _ if free => drop(store.write(id, &[("other", "x"), ("key", value)], step)),
                    _ => {}
                }
                check(&mut store);
            }
        }
    }

    #[test]
    fn values_are_kept_apart() {
        let mut store = Store::default();
        store.write(1, &[("b", "two"), ("a", "one"), ("c", "")], 5);
        store.write(1, &[("c", "drei"), ("a", ""), ("d", "vier")], 6);
        let record = store.get(1).unwrap();
        assert_eq!(store.values(record).collect::<Vec<_>>(), [("b", "two"), ("c", "drei"), ("d", "vier")]);
        assert_eq!(
            (store.value(record, "a"), store.value(record, "c"), store.value(record, "z")),
            (None, Some("drei"), None)
        );
        assert_eq!((record.created, record.updated), (5, 6));
    }

    #[test]
    fn a_record_takes_little_memory() {
        assert!(size_of::<Record>() <= 72, "{}", size_of::<Record>());
        let values = Values::of(&[(1, "abc"), (2, "defg")]);
        assert_eq!(
            size_of_val(&*values.ends) + values.text.len(),
            2 * 8 + 7,
            "eight bytes for a value beside its text"
        );
    }

    #[test]
    fn merged_ids_lead_to_the_record_that_stands() {
        let mut store = keyed(KeyRules::default());
        for id in 1..=3 {
            store.write(id, &[("key", "a")], 1);
        }
        assert!(store.merge(2, 1, 2) && store.merge(3, 2, 3) && !store.merge(3, 3, 4) && !store.merge(3, 1, 4));
        assert_eq!((store.find(1), store.find(2), store.find(3), store.find(4)), (Some(3), Some(3), Some(3), None));
        store.archive(3, 5);
        assert_eq!(store.find(1), None);
    }
}
