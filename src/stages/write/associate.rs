//! Associate. In: the associations that state holds as due. Out: how many links were made, removed, or wait. Effect:
//! makes links, and removes those that Syncline made and a lookup no longer asks for. Its own durable step, after the
//! records exist. Repeating it is safe: what stands is looked up first, and what is about to be made is remembered
//! before the call.

use std::collections::{BTreeMap, HashMap, HashSet};
use std::sync::Arc;

use jiff::Timestamp;

use crate::model::association::{AssociationKey, AssociationState, LinkStanding};
use crate::model::failure::{Failure, Reason};
use crate::model::ids::{HubspotId, SalesforceId};
use crate::model::report::Tally;
use crate::pipeline::compile::Association;
use crate::plan::links::{DueLink, Held, LinkPlan, plan};
use crate::ports::fault::Fault;
use crate::ports::state::Commit;
use crate::ports::target::{BATCH_LINKS_MAX, NewLink};
use crate::stages::read::targets::{self, TargetMatch};
use crate::stages::write::checkpoint::Checkpoint;
use crate::stages::{StageContext, StageError, StageName, Writers};

/// Carries out the due associations of the pipeline, [`BATCH_LINKS_MAX`] at a time: all of them, or those whose next try
/// has come at a time.
pub async fn drain(
    cx: &StageContext,
    writers: &Writers,
    checkpoint: &Checkpoint,
    at_time: Option<Timestamp>,
) -> Result<(), StageError> {
    let mut after = None;
    let mut refreshed = HashSet::new();
    loop {
        if cx.cancel.is_cancelled() {
            return Err(at(Fault::Cancelled));
        }
        let due = cx.state.due_associations(&cx.pipeline.name, at_time, after, BATCH_LINKS_MAX).await.map_err(at)?;
        let Some((last, _)) = due.last() else { return Ok(()) };
        after = Some((last.salesforce_id, last.key.clone()));
        let mut work = Work { cx, writers, checkpoint, commit: checkpoint.commit(cx), delta: Tally::default() };
        work.batch(due, &mut refreshed).await?;
        work.save().await?;
    }
}

struct Work<'a> {
    cx: &'a StageContext,
    writers: &'a Writers,
    checkpoint: &'a Checkpoint,
    commit: Commit,
    delta: Tally,
}

impl Work<'_> {
    async fn batch(
        &mut self,
        due: Vec<(AssociationState, HubspotId)>,
        refreshed: &mut HashSet<AssociationKey>,
    ) -> Result<(), StageError> {
        let mut by_object: BTreeMap<Arc<str>, Vec<DueLink>> = BTreeMap::new();
        let mut by_key: HashMap<AssociationKey, Vec<(AssociationState, HubspotId)>> = HashMap::new();
        for (state, from) in due {
            by_key.entry(state.key.clone()).or_default().push((state, from));
        }
        for association in &self.cx.pipeline.associations {
            let Some(rows) = by_key.remove(&association.key) else { continue };
            let refresh = refreshed.insert(association.key.clone());
            let links = self.wanted(association, rows, refresh).await?;
            by_object.entry(Arc::clone(association.target.object_type_id())).or_default().extend(links);
        }
        for (object, links) in by_object {
            self.object(&object, &links).await?;
        }
        Ok(())
    }

    /// Finds the records that the lookups point at; lookups whose record is not there stay due.
    async fn wanted(
        &mut self,
        association: &Association,
        rows: Vec<(AssociationState, HubspotId)>,
        refresh: bool,
    ) -> Result<Vec<DueLink>, StageError> {
        let ids: HashSet<SalesforceId> = rows.iter().filter_map(|(state, _)| state.wanted).collect();
        let ids: Vec<SalesforceId> = ids.into_iter().collect();
        let found = targets::find(self.cx, association, &ids, refresh).await?;
        let mut links = Vec::with_capacity(rows.len());
        for (state, from) in rows {
            let due = |wanted| DueLink {
                salesforce_id: state.salesforce_id,
                key: state.key.clone(),
                from: from.clone(),
                wanted,
                made: state.made.clone(),
                label: association.label.clone(),
            };
            match state.wanted.map(|target| (target, found.get(&target))) {
                None => links.push(due(None)),
                Some((target, Some(TargetMatch::One(to)))) => links.push(due(Some((target, to.clone())))),
                Some((target, Some(TargetMatch::Many(records)))) => {
                    let reason = ambiguous(association, target, records);
                    self.fail(state.salesforce_id, reason);
                    self.commit.waiting.push((state.salesforce_id, state.key));
                }
                // The old link is wrong even though the new one cannot be made yet.
                Some((_, None)) => {
                    if state.made.is_some() {
                        links.push(due(None));
                    }
                    self.commit.waiting.push((state.salesforce_id, state.key));
                }
            }
        }
        Ok(links)
    }

    /// Makes and removes the links to one object.
    async fn object(&mut self, object: &str, links: &[DueLink]) -> Result<(), StageError> {
        if links.is_empty() {
            return Ok(());
        }
        self.cx.confirm().await.map_err(at)?;
        let own = &*self.cx.pipeline.target.object_type_id;
        let from: HashSet<&HubspotId> = links.iter().map(|link| &link.from).collect();
        let from: Vec<HubspotId> = from.into_iter().cloned().collect();
        let existing = self.cx.target.associations(own, object, &from).await.map_err(at)?;
        let held = self.held(links).await?;
        let plan = plan(links, &existing, &held);
        if !plan.remove.is_empty() {
            let removed = self.writers.target.disassociate(own, object, &plan.remove).await.map_err(at)?;
            self.delta.disassociated += removed.iter().filter(|reason| reason.is_none()).count() as u64;
        }
        let outcomes = if plan.make.is_empty() {
            Vec::new()
        } else {
            self.remember_attempts(links, &plan).await?;
            self.make(own, object, &plan.make).await?
        };
        self.delta.associated += outcomes.iter().filter(|reason| reason.is_none()).count() as u64;
        self.enter(links, plan, &outcomes);
        Ok(())
    }

    /// Links that other lookups of the same records rest on and that must survive a removal.
    async fn held(&self, links: &[DueLink]) -> Result<Held, StageError> {
        if links.iter().all(|link| link.made.is_none()) || self.cx.pipeline.associations.len() < 2 {
            return Ok(Held::new());
        }
        let ids: Vec<SalesforceId> = links.iter().map(|link| link.salesforce_id).collect();
        let states = self.cx.state.associations(&self.cx.pipeline.name, &ids).await.map_err(at)?;
        let due = |state: &AssociationState| {
            links.iter().any(|link| link.salesforce_id == state.salesforce_id && link.key == state.key)
        };
        let settled = states.into_iter().filter(|state| !state.is_due() && !due(state));
        Ok(settled.filter_map(|state| state.made).map(|made| (made.from, made.to, None)).collect())
    }

    /// Remembers what is about to be made, so that a link made in the moment of a crash is still known as ours.
    async fn remember_attempts(&self, links: &[DueLink], plan: &LinkPlan) -> Result<(), StageError> {
        let mut commit = self.checkpoint.commit(self.cx);
        for (link, result) in links.iter().zip(&plan.results).filter(|(_, result)| result.waits_for.is_some()) {
            let attempt = result
                .made
                .clone()
                .map(|made| crate::model::association::MadeLink { standing: LinkStanding::Attempted, ..made });
            commit.made.push((link.salesforce_id, link.key.clone(), attempt));
        }
        self.writers.state.commit(&commit).await.map_err(at)
    }

    /// Makes links; a call that is refused as a whole is split until the culprits stand alone.
    async fn make(&self, own: &str, object: &str, all: &[NewLink]) -> Result<Vec<Option<Reason>>, StageError> {
        let mut outcomes: Vec<Option<Reason>> = vec![None; all.len()];
        let mut parts = vec![(0, all.len())];
        while let Some((start, end)) = parts.pop() {
            match self.writers.target.associate(own, object, &all[start..end]).await {
                Ok(answers) => {
                    for (index, answer) in (start..end).zip(answers) {
                        outcomes[index] = answer;
                    }
                }
                Err(Fault::Reject(reason)) if end - start == 1 => outcomes[start] = Some(reason),
                Err(Fault::Reject(_)) => {
                    let middle = start + (end - start) / 2;
                    parts.push((middle, end));
                    parts.push((start, middle));
                }
                Err(fault) => return Err(at(fault)),
            }
        }
        Ok(outcomes)
    }

    fn enter(&mut self, links: &[DueLink], plan: LinkPlan, outcomes: &[Option<Reason>]) {
        for (link, result) in links.iter().zip(plan.results) {
            let refused = result.waits_for.and_then(|place| outcomes.get(place)?.clone());
            if let Some(reason) = refused {
                self.commit.made.push((link.salesforce_id, link.key.clone(), None));
                self.commit.waiting.push((link.salesforce_id, link.key.clone()));
                self.fail(link.salesforce_id, reason);
            } else {
                self.commit.made.push((link.salesforce_id, link.key.clone(), result.made));
                if self.cx.failures_open && link.wanted.is_some() {
                    self.commit.resolved_links.push(link.salesforce_id);
                }
            }
        }
    }

    fn fail(&mut self, salesforce_id: SalesforceId, reason: Reason) {
        self.delta.failed_associations += 1;
        let title = salesforce_id.to_string();
        self.commit.failures.push(Failure { salesforce_id, title, reason, content: None, columns: Vec::new() });
    }

    async fn save(mut self) -> Result<(), StageError> {
        self.commit.tally = self.checkpoint.add(self.delta);
        self.writers.state.commit(&self.commit).await.map_err(at)
    }
}

fn ambiguous(association: &Association, target: SalesforceId, records: &[HubspotId]) -> Reason {
    let names: Vec<&str> = records.iter().take(5).map(HubspotId::as_str).collect();
    Reason {
        code: "SL5112".to_owned(),
        remote_code: None,
        property: Some(association.field.to_string()),
        message: format!("{} HubSpot records carry the Salesforce id {target}: {}", records.len(), names.join(", ")),
        request_id: None,
    }
}

fn at<C: Into<crate::stages::StageCause>>(cause: C) -> StageError {
    StageError::at(StageName::Associate)(cause)
}
