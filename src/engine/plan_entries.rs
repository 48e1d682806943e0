//! What a saved plan says of each record, so that it can be compared with a new plan, and a run does nothing else.

use std::sync::Arc;
use std::sync::atomic::{AtomicU64, Ordering};

use futures_util::FutureExt;
use futures_util::future::BoxFuture;

use super::runner::{BatchKind, DecisionSink, ReadCounts};
use crate::model::forecast::{AssociationAction, PlannedAssociation};
use crate::model::hash::Hasher;
use crate::model::ids::{HubspotId, PipelineName, SalesforceId};
use crate::model::plan_entry::PlanEntry;
use crate::model::watermark::Cursor;
use crate::plan::decide::{Action, Decision, ExitReason};
use crate::ports::state::Directory;
use crate::stages::{StageError, StageName};

/// Bytes of a hash that are kept.
/// Enough that two different records never share it by chance; a plan may hold a million of them.
const HASH_BYTES: usize = 16;

/// Is shown every change that a forecast finds.
pub trait PlanObserver: Send + Sync {
    /// Some changes, in the order in which they were found. A record comes again when its associations wait as well.
    fn observe(&self, entries: Vec<PlanEntry>) -> BoxFuture<'_, Result<(), StageError>>;
}

/// What a plan says of a decided record.
pub fn of_decision(decision: &Decision, planned: &[PlannedAssociation]) -> PlanEntry {
    let (action, source) = fingerprint(decision);
    let mut target = Hasher::default();
    target.text(&record_of(decision));
    // What HubSpot held when the plan was made: another value there is a change that nobody has reviewed.
    for change in &decision.changes {
        target.text(&change.property);
        target.text(change.before.as_deref().unwrap_or_default());
    }
    PlanEntry {
        id: decision.id(),
        action: action.to_owned(),
        source,
        target: target.hex::<HASH_BYTES>(),
        associations: associations_hash(planned),
    }
}

/// The HubSpot record of a decision, where it has one.
fn record_of(decision: &Decision) -> String {
    decision.hubspot_id.as_ref().map(HubspotId::to_string).unwrap_or_default()
}

/// What a plan says of associations that wait since earlier runs.
pub fn of_associations(id: SalesforceId, planned: &[PlannedAssociation]) -> PlanEntry {
    let associations = associations_hash(planned);
    PlanEntry { id, action: "associate".to_owned(), source: String::new(), target: String::new(), associations }
}

/// The action's name in a plan's file, and a hash of what Salesforce says.
fn fingerprint(decision: &Decision) -> (&'static str, String) {
    let mut hasher = Hasher::default();
    let action = match &decision.action {
        Action::Create => "create",
        Action::Restore => "restore",
        Action::Adopt => {
            hasher.text(&record_of(decision));
            "adopt"
        }
        Action::Update => "update",
        Action::Unchanged => "note",
        Action::Archive(exit) => {
            hasher.text(exit_word(*exit));
            "archive"
        }
        Action::Keep(exit) => {
            hasher.text(exit_word(*exit));
            "leave"
        }
        Action::Filter(_) => "filter",
        Action::Reject(reason) => {
            hasher.text(&reason.code);
            hasher.text(&reason.message);
            "reject"
        }
        Action::StillFailing => "wait",
    };
    if let Some(desired) = &decision.desired {
        for (name, value) in desired.on_create() {
            hasher.text(name);
            hasher.text(value);
        }
    }
    for (key, wanted) in &decision.wanted {
        hasher.text(&key.0);
        hasher.text(wanted.as_ref().map_or("", |asked| asked.target.as_str()));
        if let Some(label) = wanted.as_ref().and_then(|asked| asked.label.as_ref()) {
            hasher.text(&label.to_string());
        }
    }
    (action, hasher.hex::<HASH_BYTES>())
}

fn exit_word(exit: ExitReason) -> &'static str {
    match exit {
        ExitReason::Deleted => "deleted",
        ExitReason::FilterExit => "filter",
        ExitReason::Vanished => "vanished",
    }
}

/// A hash of what would be done with a record's associations, whatever order they were found in.
fn associations_hash(planned: &[PlannedAssociation]) -> String {
    let mut hasher = Hasher::default();
    let mut planned: Vec<&PlannedAssociation> = planned.iter().collect();
    planned.sort_by_key(|association| (&association.association, association.action, association.salesforce_id));
    for association in planned {
        hasher.text(&association.association);
        hasher.text(match association.action {
            AssociationAction::Associate => "make",
            AssociationAction::Disassociate => "remove",
            AssociationAction::Pending => "wait",
            // Told beside what is done about it.
            AssociationAction::Lost => "lost",
        });
        hasher.text(association.salesforce_id.as_ref().map_or("", SalesforceId::as_str));
    }
    hasher.hex::<HASH_BYTES>()
}

/// The entries of one saved plan, kept in a scratch table rather than in memory.
#[derive(Clone)]
pub struct PlanEntries {
    directory: Arc<dyn Directory>,
    name: String,
    left: Arc<AtomicU64>,
}

impl PlanEntries {
    /// Those of one pipeline; empty at first.
    pub fn new(directory: Arc<dyn Directory>, pipeline: &PipelineName) -> Self {
        Self { directory, name: format!("plan entries:{pipeline}"), left: Arc::default() }
    }

    /// How many records a run has left out, as they changed after the plan.
    pub fn left(&self) -> u64 {
        self.left.load(Ordering::Relaxed)
    }

    /// Adds some.
    pub async fn add(&self, entries: &[PlanEntry]) -> Result<(), StageError> {
        let entry = |entry: &PlanEntry| {
            // As text in the place of an id: the directory keeps pairs of two texts.
            let text = serde_json::to_string(entry).unwrap_or_default();
            (entry.id, HubspotId::new(text))
        };
        let entries: Vec<_> = entries.iter().map(entry).collect();
        self.directory.add(&self.name, &entries).await.map_err(StageError::at(StageName::Match))
    }

    /// Those of a record.
    pub async fn of(&self, ids: &[SalesforceId]) -> Result<Vec<PlanEntry>, StageError> {
        let found = self.directory.find(&self.name, ids).await.map_err(StageError::at(StageName::Match))?;
        let texts = found.into_values().flatten();
        Ok(texts.filter_map(|text| serde_json::from_str(&text.text()).ok()).collect())
    }
}

/// A sink that lets through what was planned; the rest is left out, and is for the next sync.
pub struct PlannedOnly<T> {
    /// What carries it out.
    pub sink: T,
    /// What was planned.
    pub entries: PlanEntries,
}

impl<T: DecisionSink> PlannedOnly<T> {
    /// Of a batch, what was planned so.
    async fn planned(&self, batch: Vec<Decision>) -> Result<Vec<Decision>, StageError> {
        let ids: Vec<SalesforceId> = batch.iter().map(Decision::id).collect();
        let planned = self.entries.of(&ids).await?;
        let all = batch.len();
        let is_planned = |decision: &Decision| {
            let (action, source) = fingerprint(decision);
            // What only waits is no part of a plan.
            let waits = decision.action == Action::StillFailing;
            waits
                || planned
                    .iter()
                    // What HubSpot holds is compared before the run, so here the action and Salesforce's side must be
                    // the same.
                    .any(|entry| entry.id == decision.id() && entry.action == action && entry.source == source)
        };
        let batch: Vec<Decision> = batch.into_iter().filter(is_planned).collect();
        self.entries.left.fetch_add((all - batch.len()) as u64, Ordering::Relaxed);
        Ok(batch)
    }
}

impl<T: DecisionSink> DecisionSink for PlannedOnly<T> {
    fn deliver(&self, kind: BatchKind, batch: Vec<Decision>) -> BoxFuture<'_, Result<(), StageError>> {
        async move {
            let batch = self.planned(batch).await?;
            if batch.is_empty() { Ok(()) } else { self.sink.deliver(kind, batch).await }
        }
        .boxed()
    }

    fn count_read(&self, counts: ReadCounts) {
        self.sink.count_read(counts);
    }

    fn follow_up(&self, flush: bool) -> Option<BoxFuture<'_, Result<(), StageError>>> {
        self.sink.follow_up(flush)
    }

    fn save_position(&self, rows: u64, cursor: Cursor) -> BoxFuture<'_, Result<(), StageError>> {
        self.sink.save_position(rows, cursor)
    }
}
