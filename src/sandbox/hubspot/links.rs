//! Links between records and the types that they have, both directions at once.

use std::collections::{BTreeMap, BTreeSet};

use serde::{Deserialize, Serialize};
use serde_json::{Value, json};

/// A type of links in one direction.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
pub struct LinkType {
    /// `HUBSPOT_DEFINED` or `USER_DEFINED`.
    pub category: String,
    /// Number.
    pub type_id: u64,
    /// Label; none for the plain link.
    pub label: Option<String>,
    /// Number of the same link in the other direction.
    pub inverse: u64,
    /// Most links of this type for one record, where an admin set it.
    pub max: Option<u64>,
}

/// A record: type id and number.
pub type End = (String, u64);

/// Definitions and links.
#[derive(Debug, Default)]
pub struct Links {
    definitions: BTreeMap<(String, String), Vec<LinkType>>,
    links: BTreeMap<End, BTreeMap<End, BTreeSet<u64>>>,
    next_type: u64,
}

/// HubSpot's own types: from, to, number there, number back.
const DEFINED: [(&str, &str, u64, u64); 8] = [
    ("0-1", "0-2", 279, 280),
    ("0-1", "0-3", 4, 3),
    ("0-3", "0-2", 341, 342),
    ("0-1", "0-5", 15, 16),
    ("0-2", "0-5", 340, 339),
    ("0-3", "0-5", 27, 28),
    ("0-1", "0-1", 449, 449),
    ("0-2", "0-2", 450, 450),
];

impl Links {
    /// The definitions of standard pairs.
    pub fn standard() -> Self {
        let mut links = Self { next_type: 79, ..Self::default() };
        for (from, to, there, back) in DEFINED {
            links.define(from, to, "HUBSPOT_DEFINED", None, None, (there, back));
        }
        links
    }

    /// Makes the plain type of a pair with a custom object, in both directions, unless it is there.
    pub fn define_plain(&mut self, from: &str, to: &str) {
        if self.types(from, to).is_empty() {
            let numbers = (self.number(), self.number());
            self.define(from, to, "USER_DEFINED", None, None, numbers);
        }
    }

    /// Makes a label, in both directions; returns both numbers.
    pub fn define_label(&mut self, from: &str, to: &str, label: &str, inverse: Option<&str>) -> (u64, u64) {
        let numbers = (self.number(), self.number());
        self.define(from, to, "USER_DEFINED", Some(label), Some(inverse.unwrap_or(label)), numbers);
        numbers
    }

    fn number(&mut self) -> u64 {
        self.next_type += 1 + self.next_type % 3;
        self.next_type
    }

    fn define(
        &mut self,
        from: &str,
        to: &str,
        category: &str,
        label: Option<&str>,
        inverse_label: Option<&str>,
        (there, back): (u64, u64),
    ) {
        let make = |type_id, inverse, label: Option<&str>| LinkType {
            category: category.to_owned(),
            type_id,
            label: label.map(str::to_owned),
            inverse,
            max: None,
        };
        self.definitions.entry((from.to_owned(), to.to_owned())).or_default().push(make(there, back, label));
        if (from, there) != (to, back) {
            self.definitions.entry((to.to_owned(), from.to_owned())).or_default().push(make(
                back,
                there,
                inverse_label,
            ));
        }
    }

    /// The types from one object to another.
    pub fn types(&self, from: &str, to: &str) -> &[LinkType] {
        self.definitions.get(&(from.to_owned(), to.to_owned())).map_or(&[], Vec::as_slice)
    }

    /// One type.
    pub fn find(&self, from: &str, to: &str, type_id: u64) -> Option<&LinkType> {
        self.types(from, to).iter().find(|own| own.type_id == type_id)
    }

    /// Sets the most links of a type.
    pub fn limit(&mut self, from: &str, to: &str, type_id: u64, max: Option<u64>) {
        if let Some(types) = self.definitions.get_mut(&(from.to_owned(), to.to_owned())) {
            types.iter_mut().filter(|own| own.type_id == type_id).for_each(|own| own.max = max);
        }
    }

    /// Removes a label's definition in both directions.
    pub fn undefine(&mut self, from: &str, to: &str, type_id: u64) {
        let Some(inverse) = self.find(from, to, type_id).map(|own| own.inverse) else { return };
        for (pair, number) in [((from, to), type_id), ((to, from), inverse)] {
            if let Some(types) = self.definitions.get_mut(&(pair.0.to_owned(), pair.1.to_owned())) {
                types.retain(|own| own.type_id != number);
            }
        }
    }

    /// The linked records of one object, with their types.
    pub fn of(&self, from: &End, to_type: &str) -> Vec<(u64, Vec<u64>)> {
        let linked = self.links.get(from).into_iter().flatten();
        let wanted = linked.filter(|((kind, _), _)| kind == to_type);
        wanted.map(|((_, id), types)| (*id, types.iter().copied().collect())).collect()
    }

    /// How many links of one type a record has.
    pub fn count(&self, from: &End, to_type: &str, type_id: u64) -> usize {
        self.of(from, to_type).iter().filter(|(_, types)| types.contains(&type_id)).count()
    }

    /// Sets the labels of a pair to these (the plain type always stands), in both directions.
    pub fn set(&mut self, from: &End, to: &End, labels: &[u64]) {
        let plain = self.types(&from.0, &to.0).iter().find(|own| own.label.is_none()).map(|own| own.type_id);
        let there: BTreeSet<u64> = labels.iter().copied().chain(plain).collect();
        let inverse = |number: &u64| self.find(&from.0, &to.0, *number).map(|own| own.inverse);
        let back: BTreeSet<u64> = there.iter().filter_map(inverse).collect();
        self.links.entry(from.clone()).or_default().insert(to.clone(), there);
        self.links.entry(to.clone()).or_default().insert(from.clone(), back);
    }

    /// The types of a pair.
    pub fn pair(&self, from: &End, to: &End) -> Vec<u64> {
        let types = self.links.get(from).and_then(|linked| linked.get(to));
        types.into_iter().flatten().copied().collect()
    }

    /// Removes a pair, in both directions.
    pub fn remove(&mut self, from: &End, to: &End) {
        for (one, other) in [(from, to), (to, from)] {
            if let Some(linked) = self.links.get_mut(one) {
                linked.remove(other);
            }
        }
    }

    /// All links and definitions.
    pub fn dump(&self) -> Value {
        let links: Vec<Value> = self
            .links
            .iter()
            .flat_map(|(from, linked)| linked.iter().map(move |(to, types)| json!([from.0, from.1, to.0, to.1, types])))
            .collect();
        let definitions: Vec<Value> =
            self.definitions.iter().map(|((from, to), types)| json!([from, to, types])).collect();
        json!({"links": links, "definitions": definitions, "next_type": self.next_type})
    }

    /// Takes back what `dump` gave.
    pub fn restore(&mut self, dump: &Value) -> Result<(), String> {
        let wrong = |error: serde_json::Error| format!("the kept links cannot be read: {error}");
        let part = |name: &str| dump.get(name).cloned().unwrap_or(Value::Null);
        let links: Vec<(String, u64, String, u64, BTreeSet<u64>)> =
            serde_json::from_value(part("links")).map_err(wrong)?;
        let definitions: Vec<(String, String, Vec<LinkType>)> =
            serde_json::from_value(part("definitions")).map_err(wrong)?;
        *self = Self { next_type: serde_json::from_value(part("next_type")).map_err(wrong)?, ..Self::default() };
        for (from, from_id, to, to_id, types) in links {
            self.links.entry((from, from_id)).or_default().insert((to, to_id), types);
        }
        self.definitions = definitions.into_iter().map(|(from, to, types)| ((from, to), types)).collect();
        Ok(())
    }
}
