//! What a forecast has found so far: exact numbers, and a bounded sample in which each kind of change is seen.

use std::collections::{BTreeMap, HashMap, HashSet};

use super::options::ForecastOptions;
use super::properties::Properties;
use crate::engine::reconcile::Strangers;
use crate::model::association::{AssociationState, PairKey};
use crate::model::failure::Reason;
use crate::model::forecast::{PlannedAction, PlannedAssociation, PlannedChange, RejectGroup};
use crate::model::ids::{HubspotId, SalesforceId};
use crate::model::report::Tally;
use crate::model::watermark::Cursor;
use crate::plan::guard::{Refusal, Rejects};
use crate::ports::state::LookupRef;

/// Most reasons that are counted apart; those that come later share one group.
const REJECT_GROUPS_MAX: usize = 100;

/// Lookups, each with the HubSpot record of its record.
pub(super) type Rows = Vec<(AssociationState, HubspotId)>;

/// What a plan says of the associations of some records.
pub(super) type Planned = HashMap<SalesforceId, Vec<PlannedAssociation>>;

/// What was found so far.
#[derive(Default)]
pub(super) struct Totals {
    pub(super) tally: Tally,
    pub(super) actions: BTreeMap<PlannedAction, u64>,
    /// By code and property: how many records, and the message of the first.
    pub(super) rejects: BTreeMap<(String, Option<String>), RejectCounts>,
    /// What would be rejected for the first time, and why that would stop the run.
    pub(super) new_rejects: Rejects,
    /// See `new_rejects`.
    pub(super) refusal: Option<Refusal>,
    /// Rejected records that are still to be judged by the earlier definition.
    pub(super) uncompared: Vec<UncomparedReject>,
    /// Calls to Salesforce for the plan's own sake.
    pub(super) extra_source_calls: u64,
    /// How many records have a property changed, and how many of them have it cleared; as far as HubSpot was asked.
    pub(super) properties: Properties,
    /// Rejected before, waiting for a later try.
    pub(super) waiting: u64,
    /// Known records that Salesforce no longer shows.
    pub(super) vanished: u64,
    pub(super) strangers: Strangers,
    pub(super) parents: Option<String>,
    /// Associations that were carried out and that HubSpot no longer holds; all were looked at, where that is not the run's own work.
    pub(super) lost_associations: u64,
    pub(super) looked_at_associations: bool,
    /// Lookups are looked at again that records of the same command make possible.
    pub(super) looks_again: bool,
    /// Records are made that lookups may lead to; some of them again, as others.
    pub(super) makes: bool,
    pub(super) remakes: bool,
    /// Calls to HubSpot that the run makes for associations once it has made its records.
    pub(super) later_calls: u64,
    pub(super) changes: Vec<PlannedChange>,
    /// How many of each kind are in the sample.
    shown: BTreeMap<PlannedAction, usize>,
    pub(super) omitted: u64,
    pub(super) batches: Batches,
    /// Calls to HubSpot for the plan's own sake.
    pub(super) extra_calls: u64,
    /// The last place that the read passed.
    pub(super) place: Option<Cursor>,
    /// Lookups of changed records that waited already: they are counted with their record.
    pub(super) replanned: HashSet<LookupRef>,
    /// Pairs of records from which rows of a junction object would be taken back: of several rows, the run removes all in one call.
    pub(super) removed: HashSet<PairKey>,
    /// Records that would be archived: their associations go with them.
    pub(super) leaving: HashSet<SalesforceId>,
}

/// What would be sent, in records and pairs.
#[derive(Default, Clone)]
pub(super) struct Batches {
    pub(super) writes: u64,
    pub(super) archives: u64,
    /// By the object at the other end: each has calls of its own.
    pub(super) associations: BTreeMap<String, Pairs>,
}

/// Pairs of records with one object at the other end.
#[derive(Default, Clone, Copy)]
pub(super) struct Pairs {
    /// Of records that the run makes.
    pub(super) of_made: u64,
    /// Of records that stand.
    pub(super) of_others: u64,
}

impl Totals {
    /// Whether a change would find a place in the sample.
    pub(super) fn has_room(&self, action: PlannedAction, options: &ForecastOptions) -> bool {
        self.slot_of(action, options).is_some()
    }

    /// Where in the sample a change would stand; none when there is no room for it. A full sample gives up one of the kind
    /// that it has most of, so that each kind is seen, however many there are of another.
    fn slot_of(&self, action: PlannedAction, options: &ForecastOptions) -> Option<usize> {
        if !options.only.is_empty() && !options.only.contains(&action) {
            return None;
        }
        if self.changes.len() < options.sample_max {
            return Some(self.changes.len());
        }
        let shown = self.shown.get(&action).copied().unwrap_or_default();
        let (most, count) = self.shown.iter().max_by_key(|(action, count)| (**count, **action))?;
        // Looked for only where there is room, which is soon no longer the case.
        (shown + 1 < *count).then(|| self.changes.iter().rposition(|change| change.action == *most))?
    }

    /// Takes a change into the sample, where there is room for it.
    pub(super) fn offer(
        &mut self,
        action: PlannedAction,
        options: &ForecastOptions,
        change: impl FnOnce() -> PlannedChange,
    ) {
        let Some(place) = self.slot_of(action, options) else {
            self.omitted += 1;
            return;
        };
        *self.shown.entry(action).or_default() += 1;
        if place == self.changes.len() {
            self.changes.push(change());
            return;
        }
        let before = std::mem::replace(&mut self.changes[place], change());
        self.shown.entry(before.action).and_modify(|count| *count -= 1);
        self.omitted += 1;
    }

    /// Counts a rejected record by its reason. With `judged`, whether the earlier definition rejects it as well is told later.
    pub(super) fn reject(&mut self, reason: &Reason, judged: Option<(SalesforceId, bool)>) {
        let key = (reason.code.clone(), reason.property.clone());
        let full = self.rejects.len() >= REJECT_GROUPS_MAX && !self.rejects.contains_key(&key);
        let key = if full { (key.0, None) } else { key };
        let group = self.rejects.entry(key.clone()).or_default();
        if group.records == 0 {
            group.example.clone_from(&reason.message);
        }
        group.records += 1;
        if let Some((id, made)) = judged {
            self.uncompared.push(UncomparedReject { id, made, group: key, message: reason.message.clone() });
        }
    }

    /// Tells of rejected records whether the earlier definition rejects them as well.
    pub(super) fn compare_rejects(&mut self, batch: Vec<UncomparedReject>, known: &HashSet<SalesforceId>) {
        for record in batch {
            let Some(group) = self.rejects.get_mut(&record.group) else { continue };
            if known.contains(&record.id) {
                group.known += 1;
            } else if !group.anew {
                // A new reason makes the better example.
                group.anew = true;
                group.example = record.message;
            }
        }
    }
}

/// Rejected records that share a reason.
#[derive(Default)]
pub(super) struct RejectCounts {
    records: u64,
    known: u64,
    /// The example is one that the change brings.
    anew: bool,
    example: String,
}

/// A rejected record of which it is not known yet whether the change brings it.
pub(super) struct UncomparedReject {
    pub(super) id: SalesforceId,
    /// It is not in HubSpot, so it would have to be made.
    pub(super) made: bool,
    group: (String, Option<String>),
    message: String,
}

/// Reasons: those that are new first, then the most frequent.
pub(super) fn reject_groups(
    rejects: BTreeMap<(String, Option<String>), RejectCounts>,
    compared: bool,
) -> Vec<RejectGroup> {
    let group = |((code, property), RejectCounts { records, known, example, .. })| RejectGroup {
        code,
        property,
        records,
        known: compared.then_some(known),
        example,
    };
    let mut groups: Vec<RejectGroup> = rejects.into_iter().map(group).collect();
    groups.sort_by_key(|group| std::cmp::Reverse((group.records - group.known.unwrap_or_default(), group.records)));
    groups
}
