//! What a forecast has found so far: exact numbers, and a bounded sample in which each kind of change is seen.

use std::collections::{BTreeMap, HashSet};

use super::{ForecastOptions, Place};
use crate::model::failure::Reason;
use crate::model::forecast::{PlannedAction, PlannedChange, RejectGroup};
use crate::model::ids::SalesforceId;
use crate::model::report::Tally;
use crate::model::watermark::Cursor;

/// Most reasons that are counted apart; those that come later share one group.
const REJECT_GROUPS_MAX: usize = 100;

/// What was found so far.
#[derive(Default)]
pub(super) struct Inner {
    pub(super) tally: Tally,
    pub(super) actions: BTreeMap<PlannedAction, u64>,
    /// By code and property: how many records, and the message of the first.
    pub(super) rejects: BTreeMap<(String, Option<String>), (u64, String)>,
    /// Rejected before, waiting for a later try.
    pub(super) waiting: u64,
    pub(super) changes: Vec<PlannedChange>,
    pub(super) omitted: u64,
    pub(super) batches: Batches,
    /// Calls to HubSpot for the plan's own sake.
    pub(super) extra_calls: u64,
    /// The last place that the read passed.
    pub(super) place: Option<Cursor>,
    /// Lookups of changed records that waited already: they are counted with their record.
    pub(super) replanned: HashSet<Place>,
    /// Records that would be archived: their links go with them.
    pub(super) leaving: HashSet<SalesforceId>,
}

/// What would be sent, in records and pairs.
#[derive(Default, Clone, Copy)]
pub(super) struct Batches {
    pub(super) writes: u64,
    pub(super) archives: u64,
    pub(super) links: u64,
}

impl Inner {
    /// Whether a change would find a place in the sample.
    pub(super) fn takes(&self, action: PlannedAction, options: &ForecastOptions) -> bool {
        self.place_of(action, options).is_some()
    }

    /// Where in the sample a change would stand; none when there is no room for it. A full sample gives up one of the kind
    /// that it has most of, so that each kind is seen, however many there are of another.
    fn place_of(&self, action: PlannedAction, options: &ForecastOptions) -> Option<usize> {
        if !options.only.is_empty() && !options.only.contains(&action) {
            return None;
        }
        if self.changes.len() < options.sample_max {
            return Some(self.changes.len());
        }
        let count = |action| self.changes.iter().filter(|change| change.action == action).count();
        let most = self.changes.iter().map(|change| change.action).max_by_key(|action| (count(*action), *action))?;
        let place = self.changes.iter().rposition(|change| change.action == most)?;
        (count(action) + 1 < count(most)).then_some(place)
    }

    /// Takes a change into the sample, where there is room for it.
    pub(super) fn offer(
        &mut self,
        action: PlannedAction,
        options: &ForecastOptions,
        change: impl FnOnce() -> PlannedChange,
    ) {
        match self.place_of(action, options) {
            Some(place) if place == self.changes.len() => self.changes.push(change()),
            Some(place) => {
                self.changes[place] = change();
                self.omitted += 1;
            }
            None => self.omitted += 1,
        }
    }

    /// Counts a rejected record by its reason.
    pub(super) fn reject(&mut self, reason: &Reason) {
        let key = (reason.code.clone(), reason.property.clone());
        let full = self.rejects.len() >= REJECT_GROUPS_MAX && !self.rejects.contains_key(&key);
        let key = if full { (key.0, None) } else { key };
        self.rejects.entry(key).or_insert_with(|| (0, reason.message.clone())).0 += 1;
    }
}

/// Reasons, the most frequent first.
pub(super) fn groups(rejects: BTreeMap<(String, Option<String>), (u64, String)>) -> Vec<RejectGroup> {
    let group = |((code, property), (records, example))| RejectGroup { code, property, records, example };
    let mut groups: Vec<RejectGroup> = rejects.into_iter().map(group).collect();
    groups.sort_by_key(|group| std::cmp::Reverse(group.records));
    groups
}
