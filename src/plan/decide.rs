//! What to do with a record: from what it should look like and what is known of it, to an action.

use crate::config::pipeline::{DeleteAction, Mode};
use crate::model::association::{AssociationKey, AssociationState};
use crate::model::failure::Reason;
use crate::model::ids::{HubspotId, SalesforceId};
use crate::model::link::{ContentHash, Link, Membership};
use crate::model::record::{Desired, Record};
use crate::pipeline::compiled::Pipeline;
use crate::pipeline::transform::PropertyChange;
use crate::ports::target::TargetRecord;

/// A record on its way into a decision.
#[derive(Debug, Clone, PartialEq)]
pub struct Candidate {
    /// Its place in the read; every place is accounted for before a checkpoint passes it.
    pub place: u64,
    /// The row.
    pub record: Record,
    /// Whether it matches `where`.
    pub member: bool,
}

/// A record after the transform stage.
#[derive(Debug, Clone, PartialEq)]
pub struct Transformed {
    /// The row it came from.
    pub candidate: Candidate,
    /// What it should look like, or why it cannot be synced; none for a record that does not belong (any more).
    pub desired: Option<Result<Desired, Reason>>,
}

/// A decided record.
#[derive(Debug, Clone, PartialEq)]
pub struct Decision {
    /// The row it came from.
    pub candidate: Candidate,
    /// What to do.
    pub action: Action,
    /// What it should look like; present for every action that writes properties.
    pub desired: Option<Desired>,
    /// Its HubSpot record, where one is known.
    pub hubspot_id: Option<HubspotId>,
    /// Property changes, where HubSpot was asked.
    pub changes: Vec<PropertyChange>,
    /// What its lookups ask for, where that is new.
    pub wanted: Vec<(AssociationKey, Option<SalesforceId>)>,
    /// What to remember when the action is done.
    pub link: Option<LinkChange>,
    /// It failed before and left the sync since: its failure is over.
    pub resolves: bool,
}

/// What to remember of a record; the HubSpot id comes from the decision or from HubSpot's answer.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct LinkChange {
    /// Hash of what was written.
    pub hash: ContentHash,
    /// Whether it is kept in step from now on.
    pub membership: Membership,
}

/// What to do with a record.
#[derive(Debug, Clone, PartialEq)]
pub enum Action {
    /// Make it in HubSpot.
    Create,
    /// Make it again: Syncline had archived it.
    Restore,
    /// Change it in HubSpot.
    Update,
    /// It is as it should be.
    Unchanged,
    /// Archive it in HubSpot.
    Archive(Departure),
    /// Leave it in HubSpot and remember that it is no longer kept in step.
    Keep(Departure),
    /// It does not belong and was never synced.
    Filter(Exclusion),
    /// Set it aside.
    Reject(Reason),
    /// It failed before and nothing about it changed; it waits for its next try.
    StillFailing,
}

/// Why a record leaves the sync.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Departure {
    /// Deleted in Salesforce.
    Deleted,
    /// Stopped matching `where`.
    FilterExit,
}

/// Why a record is left out.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Exclusion {
    /// Does not match `where`, or was deleted before it was ever synced.
    NotMember,
    /// `mode: update_only` and HubSpot has no such record.
    NotInTarget,
}

/// What state knows of a record.
#[derive(Debug, Clone, Default)]
pub struct Known {
    /// Its link.
    pub link: Option<Link>,
    /// Its associations.
    pub associations: Vec<AssociationState>,
    /// Hash of the row that failed last, while its failure is open and not yet due again.
    pub failing: Option<ContentHash>,
    /// It has an open failure, due or not.
    pub failed_before: bool,
    /// It may stand in HubSpot although no link says so: an earlier run ended before it could note what it had written.
    pub may_stand: bool,
}

/// A first decision: made from state alone, or waiting for an answer of HubSpot.
#[derive(Debug, Clone, PartialEq)]
pub enum Matched {
    /// Decided.
    Decided(Decision),
    /// State does not know the record, or knows it under another mapping: HubSpot must be asked by the match property.
    Unknown(Unknown),
}

/// A record that HubSpot must be asked about.
#[derive(Debug, Clone, PartialEq)]
pub struct Unknown {
    /// The row.
    pub candidate: Candidate,
    /// What it should look like, or why it leaves the sync.
    pub asked: Asked,
    /// Syncline had archived it.
    pub archived_before: bool,
    /// What its lookups ask for, where that is new.
    pub wanted: Vec<(AssociationKey, Option<SalesforceId>)>,
}

/// What HubSpot is asked about a record for.
#[derive(Debug, Clone, PartialEq)]
pub enum Asked {
    /// To make it look like this.
    Desired(Desired),
    /// To archive it, where it stands.
    Departure(Departure),
}

/// Decides what state alone can decide.
pub fn from_state(pipeline: &Pipeline, transformed: Transformed, known: &Known) -> Matched {
    let Transformed { candidate, desired } = transformed;
    let desired = match desired {
        None => return departure(pipeline, candidate, known),
        Some(_) if known.failing == Some(pipeline.row_hash(&candidate.record)) => {
            return Matched::Decided(Decision::bare(candidate, Action::StillFailing));
        }
        Some(Err(reason)) => {
            let mut decision = Decision::bare(candidate, Action::Reject(reason));
            decision.hubspot_id = known.link.as_ref().map(|link| link.hubspot_id.clone());
            return Matched::Decided(decision);
        }
        Some(Ok(desired)) => desired,
    };
    let hash = pipeline.content_hash(&desired);
    let wanted = new_wanted(pipeline, &desired, &known.associations);
    let standing = known.link.as_ref().filter(|link| link.membership != Membership::Archived);
    let Some(link) = standing else {
        let archived_before = known.link.is_some();
        return Matched::Unknown(Unknown { candidate, asked: Asked::Desired(desired), archived_before, wanted });
    };
    // What is not written is not noted as written.
    let noted = if pipeline.mode == Mode::CreateOnly { link.hash } else { hash };
    let change = LinkChange { hash: noted, membership: Membership::Live };
    let same = link.hash == hash || pipeline.mode == Mode::CreateOnly;
    if !same && link.mapping != pipeline.mapping_version {
        // What was written says nothing of properties that are mapped since: only what HubSpot holds tells what is to be
        // sent.
        let asked = Asked::Desired(desired);
        return Matched::Unknown(Unknown { candidate, asked, archived_before: false, wanted });
    }
    let remembered =
        link.membership == Membership::Live && link.mapping == pipeline.mapping_version && link.hash == noted;
    Matched::Decided(Decision {
        action: if same { Action::Unchanged } else { Action::Update },
        hubspot_id: Some(link.hubspot_id.clone()),
        changes: Vec::new(),
        link: (!remembered || !same || known.failed_before).then_some(change),
        desired: Some(desired),
        candidate,
        wanted,
        resolves: false,
    })
}

/// Decides the rest, now that HubSpot answered: `found` is its record with that match value, if there is one.
pub fn from_target(pipeline: &Pipeline, unknown: Unknown, found: Option<&TargetRecord>) -> Decision {
    let Unknown { candidate, asked, archived_before, wanted } = unknown;
    let desired = match asked {
        Asked::Desired(desired) => desired,
        Asked::Departure(departure) => return departed(candidate, departure, found),
    };
    let change = LinkChange { hash: pipeline.content_hash(&desired), membership: Membership::Live };
    let changes = match found {
        Some(record) => pipeline.diff(&desired, &record.properties),
        None => Vec::new(),
    };
    let refusal = if found.is_none() { pipeline.check_create(&desired).err() } else { None };
    let action = match (found, pipeline.mode) {
        (None, Mode::UpdateOnly) => return Decision::bare(candidate, Action::Filter(Exclusion::NotInTarget)),
        (None, _) if let Some(reason) = refusal => return Decision::bare(candidate, Action::Reject(reason)),
        (None, _) if archived_before => Action::Restore,
        (None, _) => Action::Create,
        (Some(_), Mode::CreateOnly) => Action::Unchanged,
        (Some(_), _) if changes.is_empty() => Action::Unchanged,
        (Some(_), _) => Action::Update,
    };
    Decision {
        action,
        hubspot_id: found.map(|record| record.id.clone()),
        changes,
        link: Some(change),
        desired: Some(desired),
        candidate,
        wanted,
        resolves: false,
    }
}

impl Decision {
    /// A decision that writes and remembers nothing.
    pub fn bare(candidate: Candidate, action: Action) -> Self {
        let (changes, wanted) = (Vec::new(), Vec::new());
        Self { candidate, action, desired: None, hubspot_id: None, changes, wanted, link: None, resolves: false }
    }

    /// The record.
    pub fn id(&self) -> SalesforceId {
        self.candidate.record.id
    }

    /// Whether the action sends properties.
    pub fn writes(&self) -> bool {
        matches!(self.action, Action::Create | Action::Restore | Action::Update)
    }

    /// Whether there is anything to remember although nothing is sent.
    pub fn remembers(&self) -> bool {
        self.resolves || self.link.is_some() || !self.wanted.is_empty() || matches!(self.action, Action::Reject(_))
    }
}

/// A record that left the sync and of which no link tells, now that HubSpot answered.
fn departed(candidate: Candidate, departure: Departure, found: Option<&TargetRecord>) -> Decision {
    let Some(record) = found else {
        return Decision { resolves: true, ..Decision::bare(candidate, Action::Filter(Exclusion::NotMember)) };
    };
    Decision {
        hubspot_id: Some(record.id.clone()),
        // Nothing is known of what was written.
        link: Some(LinkChange { hash: ContentHash([0; 16]), membership: Membership::Archived }),
        resolves: true,
        ..Decision::bare(candidate, Action::Archive(departure))
    }
}

/// A record that was deleted or stopped matching `where`.
fn departure(pipeline: &Pipeline, candidate: Candidate, known: &Known) -> Matched {
    let departure = if candidate.record.deleted { Departure::Deleted } else { Departure::FilterExit };
    let (policy, kept) = match departure {
        Departure::Deleted => (pipeline.on_delete, Membership::Gone),
        Departure::FilterExit => (pipeline.on_filter_exit, Membership::Left),
    };
    let standing = known.link.as_ref().filter(|link| link.membership != Membership::Archived);
    let resolves = known.failed_before;
    let filtered = |candidate| {
        Matched::Decided(Decision { resolves, ..Decision::bare(candidate, Action::Filter(Exclusion::NotMember)) })
    };
    let Some(link) = standing else {
        if policy == DeleteAction::Archive && known.link.is_none() && known.may_stand {
            let asked = Asked::Departure(departure);
            return Matched::Unknown(Unknown { candidate, asked, archived_before: false, wanted: Vec::new() });
        }
        return filtered(candidate);
    };
    if policy == DeleteAction::Keep && link.membership == kept {
        return filtered(candidate);
    }
    let (action, membership) = match policy {
        DeleteAction::Archive => (Action::Archive(departure), Membership::Archived),
        DeleteAction::Keep => (Action::Keep(departure), kept),
    };
    Matched::Decided(Decision {
        hubspot_id: Some(link.hubspot_id.clone()),
        link: Some(LinkChange { hash: link.hash, membership }),
        resolves,
        ..Decision::bare(candidate, action)
    })
}

/// The lookups whose value is not what state already wants.
fn new_wanted(
    pipeline: &Pipeline,
    desired: &Desired,
    known: &[AssociationState],
) -> Vec<(AssociationKey, Option<SalesforceId>)> {
    let lookups = pipeline.associations.iter().map(|association| &association.key).zip(&desired.lookups);
    lookups
        .filter(|(key, value)| known.iter().find(|state| state.key == **key).and_then(|state| state.wanted) != **value)
        .map(|(key, value)| (key.clone(), *value))
        .collect()
}
