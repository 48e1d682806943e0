//! What a record should look like against what HubSpot holds of it.

use std::collections::BTreeMap;
use std::sync::Arc;

use super::compiled::Pipeline;
use super::transform::PropertyChange;
use super::values::compare;
use crate::model::record::Desired;

impl Pipeline {
    /// Properties that HubSpot holds differently from what is wanted on an update.
    pub fn diff(&self, desired: &Desired, existing: &BTreeMap<String, Option<String>>) -> Vec<PropertyChange> {
        let differs = |(name, value): &(&Arc<str>, &str)| {
            // HubSpot leaves out what is blank, or answers null: both are a blank.
            let held = existing.get(&***name).and_then(Option::as_deref);
            !compare::same(self.kind_of(name), value, held)
        };
        let change = |(name, value): (&Arc<str>, &str)| PropertyChange {
            property: Arc::clone(name),
            before: existing.get(&**name).cloned().flatten(),
            // An empty text is how HubSpot is told to clear a property, so it is shown as nothing.
            after: Some(value.to_owned()).filter(|value| !value.is_empty()),
        };
        desired.properties.iter().filter(differs).map(change).collect()
    }

    /// Takes out of what is to be written what HubSpot holds already and the definition only fills.
    pub fn leave_filled(&self, desired: &mut Desired, existing: &BTreeMap<String, Option<String>>) {
        let is_filled =
            |name: &str| existing.get(name).and_then(Option::as_deref).is_some_and(|held| !held.trim().is_empty());
        let only_fills = |name: &str| self.fields.iter().any(|field| field.if_empty && *field.property == *name);
        // A blank never fills: writing one would clear what a person enters between the read and the write.
        desired.properties.retain(|name, value| !only_fills(name) || (!is_filled(name) && !value.is_empty()));
    }

    /// Takes out what somebody changed in HubSpot and the definition keeps; whether there was any.
    pub fn keep_drift(&self, desired: &mut Desired, changes: &mut Vec<PropertyChange>) -> bool {
        let keeps = |name: &str| self.fields.iter().any(|field| field.keeps_drift && *field.property == *name);
        // Only what differs from HubSpot can have been changed there; what is equal is no drift to keep.
        let kept: Vec<Arc<str>> =
            changes.iter().map(|change| &change.property).filter(|name| keeps(name)).cloned().collect();
        desired.properties.retain(|name, _| !kept.iter().any(|kept| **kept == *name));
        changes.retain(|change| !kept.contains(&change.property));
        !kept.is_empty()
    }

    /// Whether the definition only fills some properties: then HubSpot is asked before a record is changed.
    pub fn only_fills(&self) -> bool {
        self.fields.iter().any(|field| field.if_empty)
    }
}
