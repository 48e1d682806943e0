//! What to do with a record: from what it should look like and what is known of it, to an action.

use std::sync::Arc;

use crate::config::pipeline::{DeleteAction, Mode};
use crate::model::association::{Asked, AssociationKey};
use crate::model::failure::{Reason, RowHash};
use crate::model::identity::{Identity, Membership, WrittenHash};
use crate::model::ids::{HubspotId, SalesforceId};
use crate::model::record::{Desired, Record};
use crate::model::unconfirmed::{Intent, Unconfirmed};
use crate::pipeline::compiled::Pipeline;
use crate::pipeline::transform::PropertyChange;
use crate::ports::target::TargetRecord;

/// Stands in the identity of a row of a junction object, which has no HubSpot record.
pub const NO_RECORD: &str = "none";

/// A record on its way into a decision.
#[derive(Debug, Clone, PartialEq)]
pub struct Candidate {
    /// Its number in the read; every row is settled before a checkpoint passes it.
    pub row: u64,
    /// The row.
    pub record: Record,
    /// Whether it matches `where`.
    pub member: bool,
    /// Salesforce was asked for it and does not show it any more; the row is nothing but its id.
    pub vanished: bool,
}

impl Candidate {
    /// A record that Salesforce does not show any more.
    pub fn vanished(id: SalesforceId, columns: usize) -> Self {
        let record =
            Record { id, modified: None, deleted: false, values: std::iter::repeat_n(None::<&str>, columns).collect() };
        Self { row: 0, record, member: false, vanished: true }
    }
}

/// A record after the transform stage.
#[derive(Debug, Clone, PartialEq)]
pub struct Transformed {
    /// The row it came from.
    pub candidate: Candidate,
    /// What it should look like, or why it cannot be synced; none for a record that does not belong (any more).
    // In memory of its own, as all the values below: they go from hand to hand, and are large.
    pub desired: Option<Result<Box<Desired>, Box<Reason>>>,
}

/// A decided record.
#[derive(Debug, Clone, PartialEq)]
pub struct Decision {
    /// The row it came from.
    pub candidate: Candidate,
    /// What to do.
    pub action: Action,
    /// What it should look like; present for every action that writes properties.
    pub desired: Option<Box<Desired>>,
    /// Its HubSpot record, where one is known.
    pub hubspot_id: Option<HubspotId>,
    /// Property changes, where HubSpot was asked.
    pub changes: Vec<PropertyChange>,
    /// What its lookups ask for, where that is new.
    pub wanted: Vec<(AssociationKey, Option<Asked>)>,
    /// What to remember when the action is done.
    pub identity: Option<IdentityChange>,
    /// It failed before and left the sync since: its failure is over.
    pub resolves_failure: bool,
    /// It was due for another try, and nothing has changed that could mend it: the next look comes later.
    pub postpones_failure: bool,
    /// The property that names the record in HubSpot, where that is not the one of today.
    pub key: Option<Arc<str>>,
    /// A call for it went out earlier whose outcome was never noted, and HubSpot has now said how the record stands.
    pub clears_unconfirmed: bool,
    /// Somebody changed it in HubSpot since it was written.
    pub drifted: bool,
    /// The HubSpot record that it was, which is not there any more: it is forgotten unless another one takes its place.
    pub lost: Option<HubspotId>,
}

/// What to remember of a record; the HubSpot id comes from the decision or from HubSpot's answer.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct IdentityChange {
    /// What was written.
    pub hash: WrittenHash,
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
    /// Take over a record that stands in HubSpot without a Salesforce id.
    Adopt,
    /// Change it in HubSpot.
    Update,
    /// It is as it should be.
    Unchanged,
    /// Archive it in HubSpot.
    Archive(ExitReason),
    /// Leave it in HubSpot and remember that it is no longer kept in step.
    Keep(ExitReason),
    /// It does not belong and was never synced.
    Filter(Exclusion),
    /// Set it aside.
    Reject(Box<Reason>),
    /// It failed before and nothing about it changed; it waits for its next try.
    StillFailing,
}

/// Why a record leaves the sync.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum ExitReason {
    /// Deleted in Salesforce.
    Deleted,
    /// Stopped matching `where`.
    FilterExit,
    /// No longer visible in Salesforce, without proof of a delete.
    Vanished,
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
pub struct KnownState {
    /// Its identity.
    pub identity: Option<Identity>,
    /// What its lookups ask for.
    pub asks: Vec<(AssociationKey, Option<Asked>)>,
    /// Hash of the row that failed last, while its failure is open and not yet due again.
    pub failing: Option<RowHash>,
    /// It has an open failure, due or not.
    pub failed_before: bool,
    /// Its failure was due, and only a change can mend it.
    pub postpones_failure: bool,
    /// What was sent for it and whose outcome is not noted: how it stands in HubSpot is not known then, whatever its identity
    /// says.
    pub unconfirmed: Option<Unconfirmed>,
}

/// A first decision: made from state alone, or waiting for an answer of HubSpot.
#[derive(Debug, Clone, PartialEq)]
pub enum Matched {
    /// Decided.
    Decided(Decision),
    /// State does not know the record, or knows it under another mapping: HubSpot must be asked by the match property.
    Unresolved(Unresolved),
}

/// A record that HubSpot must be asked about.
#[derive(Debug, Clone, PartialEq)]
pub struct Unresolved {
    /// The row.
    pub candidate: Candidate,
    /// What it should look like, or why it leaves the sync.
    pub purpose: LookupPurpose,
    /// What is known of it.
    pub identity: Option<Identity>,
    /// What was sent for it and whose outcome is not noted.
    pub unconfirmed: Option<Unconfirmed>,
    /// What its lookups ask for, where that is new.
    pub wanted: Vec<(AssociationKey, Option<Asked>)>,
    /// It has an open failure.
    pub failed_before: bool,
}

/// Why HubSpot is asked about a record.
#[derive(Debug, Clone, PartialEq)]
pub enum LookupPurpose {
    /// To make it look like this.
    Write(Box<Desired>),
    /// To archive it or to leave it, where it stands.
    Exit(ExitReason),
    /// To know whether it stands: it cannot be written now, and this is why.
    CheckExists(Action),
}

/// Decides what state alone can decide. With `compare`, what is remembered of a record that is to be written is not believed:
/// HubSpot is asked what it holds.
pub fn from_state(pipeline: &Pipeline, transformed: Transformed, known: KnownState, compare: bool) -> Matched {
    let Transformed { candidate, desired } = transformed;
    let desired = match desired {
        None => return exit_from_state(pipeline, candidate, known),
        // The same row would fail the same way, and each try would cost a call.
        Some(_) if known.failing.is_some_and(|failing| failing == pipeline.row_hash(&candidate.record)) => {
            return set_aside(candidate, Action::StillFailing, known, false);
        }
        Some(Err(reason)) => return set_aside(candidate, Action::Reject(reason), known, compare),
        Some(Ok(desired)) => desired,
    };
    let mut wanted = new_wanted(pipeline, &desired, &known.asks);
    let standing = known.identity.as_ref().filter(|identity| identity.membership != Membership::Archived);
    // What exists is left alone, its associations too.
    if pipeline.mode == Mode::CreateOnly && standing.is_some() {
        wanted.clear();
    }
    // A record that stands under another match property gets the one of today, and must not be made a second time.
    let settled = |identity: &&Identity| {
        known.unconfirmed.is_none() && (pipeline.mode == Mode::CreateOnly || earlier_key(pipeline, identity).is_none())
    };
    let Some(identity) = standing.filter(settled) else {
        return known.look_up(candidate, LookupPurpose::Write(desired), wanted);
    };
    if compare && pipeline.mode != Mode::CreateOnly {
        return known.look_up(candidate, LookupPurpose::Write(desired), wanted);
    }
    // What is not written is not noted as written.
    let noted = match pipeline.mode {
        Mode::CreateOnly => identity.hash,
        _ => WrittenHash::new(desired.content, pipeline.row_mark(&candidate.record)),
    };
    let change = IdentityChange { hash: noted, membership: Membership::Live };
    let same = pipeline.has_written(&desired, identity.hash) || pipeline.mode == Mode::CreateOnly;
    if !same && (identity.mapping != pipeline.mapping_version || pipeline.only_fills()) {
        // What was written says nothing of properties that are mapped since, nor of what people have filled: only what
        // HubSpot holds tells what is to be sent.
        return known.look_up(candidate, LookupPurpose::Write(desired), wanted);
    }
    let remembered = identity.membership == Membership::Live && identity.mapping == pipeline.mapping_version && same;
    Matched::Decided(Decision {
        key: earlier_key(pipeline, identity),
        hubspot_id: Some(identity.hubspot_id.clone()),
        identity: (!remembered || known.failed_before).then_some(change),
        desired: Some(desired),
        wanted,
        ..Decision::new(candidate, if same { Action::Unchanged } else { Action::Update })
    })
}

/// The property that names a record in HubSpot, where that is not the one of today.
pub(super) fn earlier_key(pipeline: &Pipeline, identity: &Identity) -> Option<Arc<str>> {
    let property = &identity.match_property;
    (!property.is_empty() && *property != pipeline.target.match_property).then(|| Arc::clone(property))
}

/// A record that cannot be written now.
fn set_aside(candidate: Candidate, action: Action, known: KnownState, compare: bool) -> Matched {
    let stands = known.identity.as_ref().is_some_and(|identity| identity.membership != Membership::Archived);
    if known.unconfirmed.is_some() || (compare && stands) {
        return known.look_up(candidate, LookupPurpose::CheckExists(action), Vec::new());
    }
    // A record that only waits is counted, not written down again.
    let waits = action == Action::StillFailing;
    let hubspot_id = known.identity.map(|identity| identity.hubspot_id).filter(|_| !waits);
    let postpones_failure = waits && known.postpones_failure;
    Matched::Decided(Decision { hubspot_id, postpones_failure, ..Decision::new(candidate, action) })
}

/// Decides the rest, now that HubSpot answered: `found` is its record with that match value, if there is one; `key` is the
/// property that it was found by, where that is not the one of today.
pub fn from_target(
    pipeline: &Pipeline,
    unresolved: Unresolved,
    found: Option<&TargetRecord>,
    key: Option<Arc<str>>,
) -> Decision {
    Decision { key, ..decide_resolved(pipeline, unresolved, found, false) }
}

/// Decides on a record that HubSpot holds under no match value, but once by the value by which records are adopted: `found`.
pub fn adopt(pipeline: &Pipeline, unresolved: Unresolved, found: &TargetRecord) -> Decision {
    let decision = decide_resolved(pipeline, unresolved, Some(found), true);
    match decision.action {
        // Its match property is blank yet, so there is always something to write.
        Action::Update => Decision { action: Action::Adopt, ..decision },
        _ => decision,
    }
}

fn decide_resolved(
    pipeline: &Pipeline,
    unresolved: Unresolved,
    found: Option<&TargetRecord>,
    adopts: bool,
) -> Decision {
    let Unresolved { candidate, purpose, identity, unconfirmed, mut wanted, failed_before } = unresolved;
    let clears_unconfirmed = unconfirmed.is_some();
    // What others made is left alone, its associations too; what was sent for it before was our own making.
    if pipeline.mode == Mode::CreateOnly && found.is_some() && !clears_unconfirmed {
        wanted.clear();
    }
    let mut desired = match purpose {
        LookupPurpose::Write(desired) => desired,
        LookupPurpose::Exit(exit) => {
            return Decision { clears_unconfirmed, ..decide_exit(pipeline, candidate, exit, identity, found) };
        }
        LookupPurpose::CheckExists(action) => {
            if clears_unconfirmed {
                return Decision { clears_unconfirmed, ..decide_unwritable(candidate, action, identity, found) };
            }
            let hubspot_id = found.map(|record| record.id.clone());
            let lost = identity.map(|identity| identity.hubspot_id).filter(|_| found.is_none());
            return Decision { hubspot_id, lost, ..Decision::new(candidate, action) };
        }
    };
    let hash = WrittenHash::new(desired.content, pipeline.row_mark(&candidate.record));
    let change = IdentityChange { hash, membership: Membership::Live };
    // Before anything of it is left alone: all of it was hashed.
    let is_written = identity.as_ref().is_some_and(|identity| pipeline.has_written(&desired, identity.hash));
    let mut changes = Vec::new();
    if let Some(record) = found {
        pipeline.leave_filled(&mut desired, &record.properties);
        changes = pipeline.diff(&desired, &record.properties);
    }
    // Salesforce holds what was written, and HubSpot does not: somebody changed it there.
    let written = identity.as_ref().filter(|identity| {
        identity.membership == Membership::Live && identity.mapping == pipeline.mapping_version && is_written
    });
    let drifted = written.is_some() && !clears_unconfirmed && (found.is_none() || !changes.is_empty());
    // A record that is taken over in the place of a lost one was never written: what it holds is nobody's change of that.
    if drifted && found.is_some() && !adopts {
        pipeline.keep_drift(&mut desired, &mut changes);
    }
    let remembered = written.is_some_and(|identity| {
        !clears_unconfirmed && !failed_before && found.is_some_and(|record| record.id == identity.hubspot_id)
    });
    // Syncline archived it, or was about to.
    let standing = identity.as_ref().filter(|identity| identity.membership != Membership::Archived);
    let lost = standing.filter(|_| found.is_none()).map(|identity| identity.hubspot_id.clone());
    let made_before =
        identity.is_some_and(|identity| clears_unconfirmed || identity.membership == Membership::Archived);
    // Checked here and not by the transform: only a creation needs the properties that the object requires.
    let refusal = if found.is_none() { pipeline.check_create(&desired).err() } else { None };
    let action = match (found, pipeline.mode) {
        (None, Mode::UpdateOnly) => Action::Filter(Exclusion::NotInTarget),
        (None, _) if let Some(reason) = refusal => Action::Reject(reason.into()),
        // HubSpot offers no way to bring an archived record back, so it is made anew under the same match value.
        (None, _) if made_before => Action::Restore,
        (None, _) => Action::Create,
        (Some(_), Mode::CreateOnly) => Action::Unchanged,
        (Some(_), _) if changes.is_empty() => Action::Unchanged,
        (Some(_), _) => Action::Update,
    };
    // No HubSpot record belongs to it, so there is nothing to remember of one.
    if matches!(action, Action::Filter(_) | Action::Reject(_)) {
        return Decision { clears_unconfirmed, lost, ..Decision::new(candidate, action) };
    }
    Decision {
        lost,
        hubspot_id: found.map(|record| record.id.clone()),
        changes,
        // An unchanged record is noted once, when it is met under today's mapping.
        identity: Some(change).filter(|_| !remembered || action != Action::Unchanged),
        desired: Some(desired),
        wanted,
        clears_unconfirmed,
        drifted,
        ..Decision::new(candidate, action)
    }
}

impl Unresolved {
    /// The value by which a record that stands in HubSpot without a Salesforce id is recognised.
    pub fn adopt_by(&self) -> Option<&str> {
        match &self.purpose {
            LookupPurpose::Write(desired) => desired.adopt_by.as_deref(),
            LookupPurpose::Exit(_) | LookupPurpose::CheckExists(_) => None,
        }
    }

    /// The property under which the record may stand, where that is not the one of today.
    pub fn earlier_key(&self, pipeline: &Pipeline) -> Option<Arc<str>> {
        let sent = self.unconfirmed.as_ref().map(|call| &call.match_property);
        let sent = sent.filter(|property| **property != pipeline.target.match_property).cloned();
        let standing = self.identity.as_ref().filter(|identity| identity.membership != Membership::Archived);
        sent.or_else(|| earlier_key(pipeline, standing?))
    }
}

impl KnownState {
    /// Leaves the decision to HubSpot's answer.
    fn look_up(
        self,
        candidate: Candidate,
        purpose: LookupPurpose,
        wanted: Vec<(AssociationKey, Option<Asked>)>,
    ) -> Matched {
        Matched::Unresolved(Unresolved {
            candidate,
            purpose,
            identity: self.identity,
            unconfirmed: self.unconfirmed,
            wanted,
            failed_before: self.failed_before,
        })
    }
}

impl Decision {
    /// A decision that writes and remembers nothing.
    pub fn new(candidate: Candidate, action: Action) -> Self {
        Self {
            candidate,
            action,
            desired: None,
            hubspot_id: None,
            changes: Vec::new(),
            wanted: Vec::new(),
            identity: None,
            resolves_failure: false,
            postpones_failure: false,
            key: None,
            clears_unconfirmed: false,
            drifted: false,
            lost: None,
        }
    }

    /// The record.
    pub fn id(&self) -> SalesforceId {
        self.candidate.record.id
    }

    /// Whether it is about a row of a junction object, which has no HubSpot record.
    pub fn is_row(&self) -> bool {
        self.hubspot_id.as_ref().is_some_and(|record| record.other() == Some(NO_RECORD))
    }

    /// Whether the action sends properties.
    pub fn writes(&self) -> bool {
        matches!(self.action, Action::Create | Action::Restore | Action::Adopt | Action::Update)
    }

    /// The HubSpot record that is gone by then, whoever took it away: what leads to it waits, and its own associations went with it.
    pub fn leaves(&self) -> Option<&HubspotId> {
        let archived = self.identity.is_some_and(|identity| identity.membership == Membership::Archived);
        match matches!(self.action, Action::Archive(_)) || archived {
            true => self.hubspot_id.as_ref(),
            false => self.lost.as_ref().filter(|_| !self.writes()),
        }
    }

    /// Whether state changes although nothing is sent.
    pub fn changes_state(&self) -> bool {
        self.clears_unconfirmed
            || self.drifted
            || self.resolves_failure
            || self.postpones_failure
            || self.identity.is_some()
            || !self.wanted.is_empty()
            || self.lost.is_some()
            || matches!(self.action, Action::Reject(_))
    }
}

/// How a record leaves: what is done with its HubSpot record, and how that is remembered.
pub fn policy(pipeline: &Pipeline, exit: ExitReason) -> (DeleteAction, Membership) {
    match exit {
        ExitReason::Deleted => (pipeline.on_delete, Membership::Gone),
        ExitReason::FilterExit => (pipeline.on_filter_exit, Membership::Left),
        // Without proof of a delete a record that is kept stays what it is, and stays known.
        ExitReason::Vanished => (pipeline.on_vanish, Membership::Live),
    }
}

/// A record that left the sync, now that HubSpot has said whether it holds it.
fn decide_exit(
    pipeline: &Pipeline,
    candidate: Candidate,
    exit: ExitReason,
    identity: Option<Identity>,
    found: Option<&TargetRecord>,
) -> Decision {
    let (policy, kept) = policy(pipeline, exit);
    let (action, membership) = match (found, policy) {
        (Some(_), DeleteAction::Archive) => (Action::Archive(exit), Membership::Archived),
        (Some(_), DeleteAction::Keep) => (Action::Keep(exit), kept),
        // It is gone already, whoever archived it: there is nothing left to do.
        (None, _) => (Action::Filter(Exclusion::NotMember), Membership::Archived),
    };
    let hubspot_id = found.map(|record| record.id.clone()).or(identity.map(|identity| identity.hubspot_id));
    Decision {
        identity: hubspot_id.is_some().then_some(IdentityChange { hash: WrittenHash::NOTHING, membership }),
        hubspot_id,
        // Whatever was wrong with it is of no interest any more.
        resolves_failure: true,
        ..Decision::new(candidate, action)
    }
}

/// A record that cannot be written now, once HubSpot has said whether it holds it.
fn decide_unwritable(
    candidate: Candidate,
    action: Action,
    identity: Option<Identity>,
    found: Option<&TargetRecord>,
) -> Decision {
    let membership = if found.is_some() { Membership::Live } else { Membership::Archived };
    let hubspot_id = found.map(|record| record.id.clone()).or(identity.map(|identity| identity.hubspot_id));
    Decision {
        identity: hubspot_id.is_some().then_some(IdentityChange { hash: WrittenHash::NOTHING, membership }),
        hubspot_id,
        ..Decision::new(candidate, action)
    }
}

/// A record that was deleted, stopped matching `where`, or is no longer shown.
fn exit_from_state(pipeline: &Pipeline, candidate: Candidate, known: KnownState) -> Matched {
    let intent = known.unconfirmed.as_ref().map(|call| call.intent);
    let exit = match (candidate.vanished, intent) {
        // The proof was seen when the archive was sent.
        (true, Some(Intent::ArchiveDeleted)) => ExitReason::Deleted,
        (true, Some(Intent::ArchiveLeft)) => ExitReason::FilterExit,
        (true, _) => ExitReason::Vanished,
        (false, _) if candidate.record.deleted => ExitReason::Deleted,
        (false, _) => ExitReason::FilterExit,
    };
    if known.unconfirmed.is_some() {
        return known.look_up(candidate, LookupPurpose::Exit(exit), Vec::new());
    }
    let (policy, kept) = policy(pipeline, exit);
    let standing = known.identity.as_ref().filter(|identity| identity.membership != Membership::Archived);
    let resolves_failure = known.failed_before;
    let filtered = |candidate| {
        Matched::Decided(Decision {
            resolves_failure,
            ..Decision::new(candidate, Action::Filter(Exclusion::NotMember))
        })
    };
    let Some(identity) = standing else {
        // HubSpot refused it last, and yet it may stand: the answer to an earlier try may have been lost.
        if policy == DeleteAction::Archive && known.identity.is_none() && known.failed_before {
            return known.look_up(candidate, LookupPurpose::Exit(exit), Vec::new());
        }
        return filtered(candidate);
    };
    // Nothing is noted twice. What vanished without proof and is kept stays as it is.
    let stays = exit == ExitReason::Vanished || identity.membership == kept;
    if policy == DeleteAction::Keep && stays {
        return match catches_up(pipeline, exit, identity) {
            None => filtered(candidate),
            change => Matched::Decided(Decision {
                key: earlier_key(pipeline, identity),
                hubspot_id: Some(identity.hubspot_id.clone()),
                identity: change,
                resolves_failure,
                ..Decision::new(candidate, Action::Filter(Exclusion::NotMember))
            }),
        };
    }
    let (action, membership) = match policy {
        DeleteAction::Archive => (Action::Archive(exit), Membership::Archived),
        DeleteAction::Keep => (Action::Keep(exit), kept),
    };
    Matched::Decided(Decision {
        key: earlier_key(pipeline, identity),
        hubspot_id: Some(identity.hubspot_id.clone()),
        identity: Some(IdentityChange { hash: identity.hash, membership }),
        resolves_failure,
        ..Decision::new(candidate, action)
    })
}

/// A record that vanished and is kept has no values that a changed mapping could bring: under the one of today it stays what it is, and is not
/// stale for ever.
pub(super) fn catches_up(pipeline: &Pipeline, exit: ExitReason, identity: &Identity) -> Option<IdentityChange> {
    let is_stale = identity.membership == Membership::Live && identity.mapping != pipeline.mapping_version;
    let change = IdentityChange { hash: identity.hash, membership: identity.membership };
    (exit == ExitReason::Vanished && is_stale).then_some(change)
}

/// What a lookup asks for by what is known.
pub(super) fn asked_before<'a>(
    known: &'a [(AssociationKey, Option<Asked>)],
    key: &AssociationKey,
) -> Option<&'a Asked> {
    known.iter().find(|(known, _)| known == key).and_then(|(_, asked)| asked.as_ref())
}

/// The lookups whose value is not what state already wants.
pub(super) fn new_wanted(
    pipeline: &Pipeline,
    desired: &Desired,
    known: &[(AssociationKey, Option<Asked>)],
) -> Vec<(AssociationKey, Option<Asked>)> {
    let lookups = pipeline.associations.iter().map(|association| &association.key).zip(&desired.lookups);
    let mut new = Vec::new();
    for (key, value) in lookups.filter(|(key, value)| asked_before(known, key) != value.as_ref()) {
        if new.is_empty() {
            // Not collected: that would set memory aside for four, and mostly there is one.
            new.reserve_exact(pipeline.associations.len());
        }
        new.push((key.clone(), value.clone()));
    }
    new
}
