//! Pledges: what a plan says of each record, so that a saved plan can be compared with a new one, and a run can be held to
//! it.

use std::sync::Arc;
use std::sync::atomic::{AtomicU64, Ordering};

use futures_util::FutureExt;
use futures_util::future::BoxFuture;
use sha2::{Digest, Sha256};

use super::runner::{Kind, Seen, Taker};
use crate::model::forecast::{LinkAction, PlannedLink};
use crate::model::ids::{HubspotId, PipelineName, SalesforceId};
use crate::model::pledge::Pledge;
use crate::model::watermark::Cursor;
use crate::plan::decide::{Action, Decision, Departure};
use crate::ports::state::Directory;
use crate::stages::{StageError, StageName};

/// Hears of every change that a forecast finds.
pub trait Witness: Send + Sync {
    /// Some changes, in the order in which they were found. A record comes again when its links wait as well.
    fn see(&self, pledges: Vec<Pledge>) -> BoxFuture<'_, Result<(), StageError>>;
}

/// What a plan says of a decided record.
pub fn of_decision(decision: &Decision, links: &[PlannedLink]) -> Pledge {
    let (action, source) = said(decision);
    let mut target = Sha256::new();
    part(&mut target, decision.hubspot_id.as_ref().map_or("", HubspotId::as_str));
    for change in &decision.changes {
        part(&mut target, &change.property);
        part(&mut target, change.before.as_deref().unwrap_or_default());
    }
    Pledge { id: decision.id(), action: action.to_owned(), source, target: hex(target), links: links_hash(links) }
}

/// What a plan says of links that wait since earlier runs.
pub fn of_links(id: SalesforceId, links: &[PlannedLink]) -> Pledge {
    Pledge { id, action: "link".to_owned(), source: String::new(), target: String::new(), links: links_hash(links) }
}

/// The action's word, and a hash of what Salesforce says.
fn said(decision: &Decision) -> (&'static str, String) {
    let mut hasher = Sha256::new();
    let action = match &decision.action {
        Action::Create => "create",
        Action::Restore => "restore",
        Action::Update => "update",
        Action::Unchanged => "note",
        Action::Archive(departure) => {
            part(&mut hasher, departure_word(*departure));
            "archive"
        }
        Action::Keep(departure) => {
            part(&mut hasher, departure_word(*departure));
            "leave"
        }
        Action::Filter(_) => "filter",
        Action::Reject(reason) => {
            part(&mut hasher, &reason.code);
            part(&mut hasher, &reason.message);
            "reject"
        }
        Action::StillFailing => "wait",
    };
    if let Some(desired) = &decision.desired {
        for set in desired.properties.iter().chain(&desired.create_only) {
            part(&mut hasher, &set.property);
            part(&mut hasher, &set.value);
        }
    }
    for (key, wanted) in &decision.wanted {
        part(&mut hasher, &key.0);
        part(&mut hasher, wanted.as_ref().map_or("", SalesforceId::as_str));
    }
    (action, hex(hasher))
}

fn departure_word(departure: Departure) -> &'static str {
    match departure {
        Departure::Deleted => "deleted",
        Departure::FilterExit => "filter",
        Departure::Vanished => "vanished",
    }
}

fn links_hash(links: &[PlannedLink]) -> String {
    let mut hasher = Sha256::new();
    let mut links: Vec<&PlannedLink> = links.iter().collect();
    links.sort_by_key(|link| (&link.association, link.action, link.salesforce_id));
    for link in links {
        part(&mut hasher, &link.association);
        part(
            &mut hasher,
            match link.action {
                LinkAction::Associate => "make",
                LinkAction::Disassociate => "remove",
                LinkAction::Pending => "wait",
            },
        );
        part(&mut hasher, link.salesforce_id.as_ref().map_or("", SalesforceId::as_str));
    }
    hex(hasher)
}

fn part(hasher: &mut Sha256, text: &str) {
    hasher.update((text.len() as u64).to_le_bytes());
    hasher.update(text.as_bytes());
}

/// Half of the hash is more than enough to tell two states of a record apart.
fn hex(hasher: Sha256) -> String {
    hasher.finalize()[..16].iter().map(|byte| format!("{byte:02x}")).collect()
}

/// The pledges of one saved plan, in a private place that does not grow in memory.
#[derive(Clone)]
pub struct Pledges {
    directory: Arc<dyn Directory>,
    name: String,
    left: Arc<AtomicU64>,
}

impl Pledges {
    /// Those of one pipeline; empty at first.
    pub fn new(directory: Arc<dyn Directory>, pipeline: &PipelineName) -> Self {
        Self { directory, name: format!("pledges:{pipeline}"), left: Arc::default() }
    }

    /// How many records a run has left out, as they changed after the plan.
    pub fn left(&self) -> u64 {
        self.left.load(Ordering::Relaxed)
    }

    /// Adds some.
    pub async fn add(&self, pledges: &[Pledge]) -> Result<(), StageError> {
        let entry = |pledge: &Pledge| {
            let text = serde_json::to_string(pledge).unwrap_or_default();
            (pledge.id, HubspotId::new(text))
        };
        let entries: Vec<_> = pledges.iter().map(entry).collect();
        self.directory.add(&self.name, &entries).await.map_err(StageError::at(StageName::Match))
    }

    /// Those of a record.
    pub async fn of(&self, ids: &[SalesforceId]) -> Result<Vec<Pledge>, StageError> {
        let found = self.directory.find(&self.name, ids).await.map_err(StageError::at(StageName::Match))?;
        let texts = found.into_values().flatten();
        Ok(texts.filter_map(|text| serde_json::from_str(text.as_str()).ok()).collect())
    }
}

/// Holds a run to its plan: what was not planned is left out, and is for the next sync.
pub struct Pledged<T> {
    /// Who carries it out.
    pub taker: T,
    /// What was planned.
    pub pledges: Pledges,
}

impl<T: Taker> Pledged<T> {
    /// Of a batch, what was planned so.
    async fn planned(&self, batch: Vec<Decision>) -> Result<Vec<Decision>, StageError> {
        let ids: Vec<SalesforceId> = batch.iter().map(Decision::id).collect();
        let planned = self.pledges.of(&ids).await?;
        let all = batch.len();
        let is_planned = |decision: &Decision| {
            let (action, source) = said(decision);
            planned
                .iter()
                .any(|pledge| pledge.id == decision.id() && pledge.action == action && pledge.source == source)
        };
        let batch: Vec<Decision> = batch.into_iter().filter(is_planned).collect();
        self.pledges.left.fetch_add((all - batch.len()) as u64, Ordering::Relaxed);
        Ok(batch)
    }
}

impl<T: Taker> Taker for Pledged<T> {
    fn take(&self, kind: Kind, batch: Vec<Decision>) -> BoxFuture<'_, Result<(), StageError>> {
        async move {
            let batch = self.planned(batch).await?;
            if batch.is_empty() { Ok(()) } else { self.taker.take(kind, batch).await }
        }
        .boxed()
    }

    fn seen(&self, seen: Seen) {
        self.taker.seen(seen);
    }

    fn passed(&self, rows: u64, cursor: Cursor) -> BoxFuture<'_, Result<(), StageError>> {
        self.taker.passed(rows, cursor)
    }
}
