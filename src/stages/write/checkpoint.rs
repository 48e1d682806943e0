//! Checkpoint. In: settled records. Out: nothing. Effect: remembers what was acknowledged, and how far the read came,
//! in one transaction. Repeating it is safe: it replaces what it wrote.

use std::collections::{HashMap, HashSet};
use std::sync::{Arc, Mutex, PoisonError};

use jiff::Timestamp;

use crate::config::pipeline::Mode;
use crate::model::failure::{Failure, Reason};
use crate::model::identity::{Identity, Membership, WrittenHash};
use crate::model::ids::HubspotId;
use crate::model::report::Tally;
use crate::model::watermark::{ComparisonProgress, Watermark};
use crate::plan::decide::{Action, Decision, IdentityChange};
use crate::plan::guard::Rejects;
use crate::ports::state::{Commit, ImportProgress, LookupRef, StateError, StateWriter};
use crate::stages::read::lookup::{MATCH_PROPERTY_GONE, NO_ANSWER};
use crate::stages::write::{Outcome, Settled, UNCONFIRMED};
use crate::stages::{Stage, StageContext, StageError, StageName};
use crate::sys::crash_point::crash_point;
use crate::sys::secrets::masked;

/// The stage. Clones share the run's numbers.
#[derive(Clone)]
pub struct Checkpoint {
    /// What is remembered.
    pub state: Arc<dyn StateWriter>,
    /// The run's numbers so far.
    pub tally: Arc<Mutex<Tally>>,
    /// What the run has rejected for the first time.
    pub rejects: Arc<Mutex<Rejects>>,
    /// Lookups that the run has tried and set aside: they are not tried again at its end.
    tried: Arc<Mutex<HashSet<LookupRef>>>,
    /// What HubSpot takes no more of in this run, and in which words it said so.
    full: Arc<Mutex<HashMap<String, Reason>>>,
}

/// Most of that which is remembered.
/// Beyond it a call is spent on each more, as without this memory.
const FULL_MAX: usize = 10_000;

/// Most bytes of a value that are kept with a failure.
/// A page of text; fifty thousand failures with long notes would else fill the disk.
const KEPT_VALUE_BYTES_MAX: usize = 2_000;

impl Stage for Checkpoint {
    type In = Vec<Settled>;
    type Out = ();
    const NAME: StageName = StageName::Checkpoint;

    async fn run(&self, cx: &StageContext, batch: Self::In) -> Result<(), StageError> {
        let mut commit = self.commit(cx);
        let mut delta = Tally::default();
        commit.identities.reserve(batch.len());
        commit.accounted.reserve(batch.len());
        commit.wanted.reserve(batch.iter().map(|settled| settled.decision.wanted.len()).sum());
        for settled in batch {
            add_settled(cx, settled, &mut commit, &mut delta);
        }
        commit.tally = self.add(delta);
        crash_point!("checkpoint.saving");
        self.state.commit(commit).await.map_err(StageError::at(Self::NAME))
    }
}

impl Checkpoint {
    /// The stage at the beginning of a run.
    pub fn new(state: &Arc<dyn StateWriter>) -> Self {
        Self {
            state: Arc::clone(state),
            tally: Arc::default(),
            rejects: Arc::default(),
            tried: Arc::default(),
            full: Arc::default(),
        }
    }

    /// Adds to the run's numbers and returns them.
    pub fn add(&self, delta: Tally) -> Tally {
        let mut tally = self.tally.lock().unwrap_or_else(PoisonError::into_inner);
        *tally = tally.plus(delta);
        *tally
    }

    /// Adds to what the run has rejected, and returns that with the records that it has looked at.
    pub fn add_rejects(&self, more: Rejects) -> Rejects {
        let tally = self.add(Tally::default());
        let mut rejects = self.rejects.lock().unwrap_or_else(PoisonError::into_inner);
        rejects.absorb(more);
        // Records that wait for a later try were not judged.
        rejects.looked = tally.read.saturating_sub(tally.waiting);
        rejects.clone()
    }

    /// Notes lookups that the run has tried and set aside; how many there are now.
    pub fn add_tried(&self, lookups: Vec<LookupRef>) -> usize {
        let mut tried = self.tried.lock().unwrap_or_else(PoisonError::into_inner);
        tried.extend(lookups);
        tried.len()
    }

    /// Whether the run has tried a lookup and set it aside.
    pub fn has_tried(&self, lookup: &LookupRef) -> bool {
        self.tried.lock().unwrap_or_else(PoisonError::into_inner).contains(lookup)
    }

    /// Notes that HubSpot takes no more of something: associations of one kind with one record.
    pub fn add_full(&self, what: String, reason: &Reason) {
        let mut full = self.full.lock().unwrap_or_else(PoisonError::into_inner);
        if full.len() < FULL_MAX {
            full.insert(what, reason.clone());
        }
    }

    /// Whether HubSpot takes no more of anything.
    pub fn has_full(&self) -> bool {
        !self.full.lock().unwrap_or_else(PoisonError::into_inner).is_empty()
    }

    /// Why HubSpot takes no more of something, where this run has met that.
    pub fn full(&self, what: &str) -> Option<Reason> {
        self.full.lock().unwrap_or_else(PoisonError::into_inner).get(what).cloned()
    }

    /// An empty commit of this run.
    pub fn commit(&self, cx: &StageContext) -> Commit {
        let commit = Commit::new(&cx.pipeline.name, &cx.run, cx.clock.now(), self.add(Tally::default()));
        Commit { basis: cx.pipeline.basis.clone(), ..commit }
    }

    /// Saves where an unfinished import stands; none forgets it.
    pub async fn save_import_progress(
        &self,
        cx: &StageContext,
        progress: Option<ImportProgress>,
    ) -> Result<(), StageError> {
        let commit = Commit { cursor: Some(progress), ..self.commit(cx) };
        crash_point!("checkpoint.place_reached");
        self.state.commit(commit).await.map_err(StageError::at(Self::NAME))?;
        crash_point!("checkpoint.place_saved");
        Ok(())
    }

    /// Saves where a comparison stands; none forgets it.
    pub async fn save_comparison(&self, cx: &StageContext, to: Option<ComparisonProgress>) -> Result<(), StageError> {
        self.state.save_comparison(&cx.pipeline.name, to).await.map_err(StageError::at(Self::NAME))?;
        crash_point!("checkpoint.comparison_saved");
        Ok(())
    }

    /// Saves the watermark of an import that was read to its end and fully settled; the import is over with it.
    pub async fn finish(&self, cx: &StageContext, watermark: Option<NewWatermark>) -> Result<(), StageError> {
        let commit = Commit { cursor: Some(None), ..self.watermark_commit(cx, watermark) };
        crash_point!("checkpoint.finishing");
        self.state.commit(commit).await.map_err(StageError::at(Self::NAME))?;
        crash_point!("checkpoint.finished");
        self.save_owners(cx).await.map_err(StageError::at(Self::NAME))
    }

    /// Saves the watermark of a window that was read to its end and fully settled.
    pub async fn advance(&self, cx: &StageContext, watermark: NewWatermark) -> Result<(), StageError> {
        let commit = self.watermark_commit(cx, Some(watermark));
        crash_point!("checkpoint.advancing");
        self.state.commit(commit).await.map_err(StageError::at(Self::NAME))?;
        crash_point!("checkpoint.advanced");
        self.save_owners(cx).await.map_err(StageError::at(Self::NAME))
    }
}

impl Checkpoint {
    async fn save_owners(&self, cx: &StageContext) -> Result<(), StateError> {
        cx.owners.save(&*self.state, &cx.pipeline.target.connection).await
    }

    fn watermark_commit(&self, cx: &StageContext, new: Option<NewWatermark>) -> Commit {
        Commit {
            watermark: new.map(|new| new.watermark),
            watermark_set: new.and_then(|new| new.set_at),
            watermark_corrected: new.is_some_and(|new| new.corrects),
            ..self.commit(cx)
        }
    }
}

/// How far a read has come.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct NewWatermark {
    /// The new watermark.
    pub watermark: Watermark,
    /// When it was true, by this computer's clock.
    pub set_at: Option<Timestamp>,
    /// It takes the place of a later one that was ahead of Salesforce's clock.
    pub corrects: bool,
}

/// Enters one record into a commit and into the numbers.
fn add_settled(cx: &StageContext, settled: Settled, commit: &mut Commit, delta: &mut Tally) {
    let Settled { mut decision, outcome } = settled;
    if clears_unconfirmed(&decision, &outcome) {
        commit.accounted.push(decision.id());
    }
    let rejected = match (&mut decision.action, outcome) {
        (_, Outcome::Failed(reason)) => Err(reason),
        (Action::Reject(reason), _) => Err(reason.clone()),
        (_, Outcome::Done { id, created }) => Ok((id, created, true)),
        (_, Outcome::NothingToSend) => Ok((None, None, false)),
    };
    let stays_lost = rejected.is_err() || matches!(decision.action, Action::Filter(_));
    if let Some(record) = decision.lost.take().filter(|_| stays_lost) {
        commit.identities.push(lost_identity(cx, &decision, record));
    }
    match rejected {
        Err(reason) => {
            delta.failed += 1;
            commit.failures.push(failure(cx, &decision, *reason));
            // It stands, and what was sent for it before is accounted for: so it is known from now on, but not what it holds.
            if decision.clears_unconfirmed && decision.hubspot_id.is_some() {
                let standing = decision.identity.filter(|_| matches!(decision.action, Action::Reject(_)));
                decision.identity =
                    standing.or(Some(IdentityChange { hash: WrittenHash::NOTHING, membership: Membership::Live }));
                enter_identity(cx, &decision, decision.hubspot_id.clone(), commit);
            }
            // The associations of a record that stands do not wait for its properties.
            if decision.hubspot_id.is_some() {
                let salesforce_id = decision.id();
                commit.wanted.extend(decision.wanted.drain(..).map(|(key, value)| (salesforce_id, key, value)));
            }
        }
        Ok((id, created, sent)) => {
            count(&decision, created, sent, delta);
            let id_known = id.or_else(|| decision.hubspot_id.clone());
            let entered = enter_identity(cx, &decision, id_known, commit);
            if entered == Some(Membership::Live) && cx.failures_open && decision.action != Action::StillFailing {
                commit.resolved.push(decision.id());
            }
            if decision.postpones_failure {
                commit.postponed.push(decision.id());
            }
            if decision.resolves_failure {
                commit.resolved.push(decision.id());
                commit.resolved_associations.push(decision.id());
            }
            let salesforce_id = decision.id();
            commit.wanted.extend(decision.wanted.drain(..).map(|(key, value)| (salesforce_id, key, value)));
        }
    }
}

/// Of a record that HubSpot lost and that could not be made again: what leads to it waits until it is.
fn lost_identity(cx: &StageContext, decision: &Decision, record: HubspotId) -> Identity {
    Identity {
        salesforce_id: decision.id(),
        hubspot_id: record,
        hash: WrittenHash::NOTHING,
        mapping: cx.pipeline.mapping_version,
        match_property: Arc::clone(&cx.pipeline.target.match_property),
        membership: Membership::Archived,
    }
}

/// Whether the outcome tells how the record stands, so that what was sent for it leaves no doubt.
fn clears_unconfirmed(decision: &Decision, outcome: &Outcome) -> bool {
    match outcome {
        Outcome::Done { .. } => true,
        Outcome::NothingToSend => decision.clears_unconfirmed || matches!(decision.action, Action::Archive(_)),
        // HubSpot's refusal names the record; silence does not.
        Outcome::Failed(reason) => ![UNCONFIRMED, NO_ANSWER, MATCH_PROPERTY_GONE].contains(&reason.code.as_str()),
    }
}

/// Enters what is to be remembered of a record, where its HubSpot record is known.
fn enter_identity(
    cx: &StageContext,
    decision: &Decision,
    hubspot_id: Option<HubspotId>,
    commit: &mut Commit,
) -> Option<Membership> {
    let (change, hubspot_id) = (decision.identity?, hubspot_id?);
    commit.identities.push(Identity {
        salesforce_id: decision.id(),
        hubspot_id,
        hash: change.hash,
        mapping: cx.pipeline.mapping_version,
        match_property: match_property_of(cx, decision),
        membership: change.membership,
    });
    Some(change.membership)
}

/// The property that names the record from now on: a record that looks as it should holds the one of today.
fn match_property_of(cx: &StageContext, decision: &Decision) -> Arc<str> {
    let looks_right = decision.writes() || decision.action == Action::Unchanged;
    let written = looks_right && cx.pipeline.mode != Mode::CreateOnly;
    let earlier = decision.key.as_ref().filter(|_| !written);
    Arc::clone(earlier.unwrap_or(&cx.pipeline.target.match_property))
}

/// Counts a decision that was carried out (or, in a dry run, would be).
pub fn count(decision: &Decision, created: Option<bool>, sent: bool, tally: &mut Tally) {
    tally.drifted += u64::from(decision.drifted);
    match decision.action {
        // HubSpot's word goes before the plan's: somebody may have made the record since.
        Action::Restore if created != Some(false) => tally.restored += 1,
        Action::Create if created != Some(false) => tally.created += 1,
        Action::Adopt => tally.adopted += 1,
        Action::Update if created == Some(true) => tally.created += 1,
        Action::Create | Action::Restore | Action::Update => tally.updated += 1,
        // A record that was gone already was archived by somebody else.
        Action::Archive(_) if sent => tally.archived += 1,
        Action::Unchanged | Action::Archive(_) => tally.unchanged += 1,
        Action::Keep(_) | Action::Filter(_) => tally.filtered += 1,
        Action::Reject(_) => tally.failed += 1,
        Action::StillFailing => tally.waiting += 1,
    }
}

/// The record as it goes under `failures`; sensitive values are masked.
pub fn failure(cx: &StageContext, decision: &Decision, reason: Reason) -> Failure {
    let pipeline = &cx.pipeline;
    // An owner of whom HubSpot told earlier is no longer one.
    if reason.remote_code.as_deref() == Some("INVALID_OWNER_ID") {
        cx.owners.refuse();
    }
    let record = &decision.candidate.record;
    let columns = pipeline.columns.iter().zip(record.values.iter()).enumerate();
    let columns = columns.map(|(index, (column, value))| {
        let value = value.map(|value| beginning(&pipeline.mask_column(index, value)));
        (column.path.to_string(), value)
    });
    Failure {
        salesforce_id: record.id,
        title: pipeline.title(record),
        reason: Reason { message: mask_values(cx, decision, reason.message), ..reason },
        content: Some(pipeline.row_hash(record)),
        columns: columns.collect(),
    }
}

/// A value as it is kept with a failure. It is kept to be looked at, for as long as the failure stands: of a long one the beginning.
fn beginning(value: &str) -> String {
    if value.len() <= KEPT_VALUE_BYTES_MAX {
        return value.to_owned();
    }
    // Masked before it is cut: half a secret would no longer be known as one.
    let value = masked(value);
    let end = (0..=KEPT_VALUE_BYTES_MAX).rev().find(|end| value.is_char_boundary(*end)).unwrap_or_default();
    if end == value.len() { value.into_owned() } else { format!("{}… ({} bytes)", &value[..end], value.len()) }
}

/// HubSpot repeats values in its messages: sensitive ones are masked there as well.
fn mask_values(cx: &StageContext, decision: &Decision, message: String) -> String {
    let pipeline = &cx.pipeline;
    let desired = decision.desired.iter().flat_map(|desired| desired.on_create());
    let properties = desired.map(|(name, value)| (value, pipeline.mask_property(name, value)));
    let cells = decision.candidate.record.values.iter().enumerate();
    let cells = cells.filter_map(|(index, cell)| cell.map(|cell| (cell, pipeline.mask_column(index, cell))));
    let mut masked = message;
    for (value, shown) in properties.chain(cells) {
        if value != &*shown && masked.contains(value) {
            masked = masked.replace(value, &shown);
        }
    }
    masked
}
