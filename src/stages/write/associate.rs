//! Associate. In: the associations that state holds as due. Out: how many links were made, removed, or wait. Effect:
//! makes links, and removes those that Syncline made and a lookup no longer asks for. Its own durable step, after the
//! records exist. Repeating it is safe: what stands is looked up first, and what is about to be made is remembered
//! before the call.

use std::collections::{BTreeMap, HashMap, HashSet};
use std::sync::Arc;

use jiff::Timestamp;

use crate::model::association::{AssociationKey, AssociationState, LinkStanding, MadeLink};
use crate::model::failure::{Failure, Reason};
use crate::model::ids::{HubspotId, SalesforceId};
use crate::model::report::Tally;
use crate::pipeline::compiled::Association;
use crate::plan::links::{DueLink, LinkPlan, LinkResult, plan};
use crate::ports::fault::Fault;
use crate::ports::state::Commit;
use crate::ports::target::{BATCH_LINKS_MAX, ExistingLink, LinkOutcome, Lookup, NewLink};
use crate::stages::read::still_needed::still_needed;
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
        let mut due_batch =
            DueBatch { cx, writers, checkpoint, commit: checkpoint.commit(cx), delta: Tally::default() };
        due_batch.batch(due, &mut refreshed).await?;
        due_batch.save().await?;
    }
}

/// How often links whose outcome is open are looked up and done again.
const ROUNDS_MAX: usize = 3;

struct DueBatch<'a> {
    cx: &'a StageContext,
    writers: &'a Writers,
    checkpoint: &'a Checkpoint,
    commit: Commit,
    delta: Tally,
}

impl DueBatch<'_> {
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
            let links = self.resolve_targets(association, rows, refresh).await?;
            by_object.entry(Arc::clone(association.target.object_type_id())).or_default().extend(links);
        }
        for (object, links) in by_object {
            self.object(&object, &links).await?;
        }
        Ok(())
    }

    /// Finds the records that the lookups point at; lookups whose record is not there stay due.
    async fn resolve_targets(
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
                // Whether the old link is wrong is not known either.
                Some((_, Some(TargetMatch::NoAnswer))) => {
                    self.fail(state.salesforce_id, no_answer());
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

    /// Makes and removes the links to one object. What HubSpot's answers leave open is looked up and done again.
    async fn object(&mut self, object: &str, links: &[DueLink]) -> Result<(), StageError> {
        let mut open = links.to_vec();
        let mut sent = OpenCalls::default();
        for _ in 0..ROUNDS_MAX {
            if open.is_empty() {
                return Ok(());
            }
            open = self.attempt(object, open, &mut sent).await?;
        }
        for link in open {
            self.set_aside(&link, unconfirmed());
        }
        Ok(())
    }

    /// One try for these links; returns those whose outcome is open.
    async fn attempt(
        &mut self,
        object: &str,
        links: Vec<DueLink>,
        sent: &mut OpenCalls,
    ) -> Result<Vec<DueLink>, StageError> {
        self.cx.confirm().await.map_err(at)?;
        let from_object = &*self.cx.pipeline.target.object_type_id;
        let (existing, unanswered) = self.existing(from_object, object, &links).await?;
        // What stands between records that no answer names is not known, so nothing of it is done.
        let (mut open, links): (Vec<DueLink>, Vec<DueLink>) =
            links.into_iter().partition(|link| unanswered.contains(&link.from));
        let needed = still_needed(self.cx, &links).await?;
        let planned = plan(&links, &existing, &needed);
        sent.settle(&planned, &unanswered, &mut self.delta);
        let (links, still) = self.remove(from_object, object, links, &planned, sent).await?;
        open.extend(still);
        // An old link that still stands keeps its lookup from getting the new one.
        let planned = plan(&links, &existing, &needed);
        let outcomes = if planned.make.is_empty() {
            Vec::new()
        } else {
            let making = |link: &DueLink, result: &LinkResult| {
                result
                    .waits_for
                    .is_some()
                    .then(|| (link.salesforce_id, link.key.clone(), attempted(result.made.clone())))
            };
            self.remember(links.iter().zip(&planned.results).filter_map(|(link, result)| making(link, result))).await?;
            self.send_splitting(from_object, object, &planned.make, true).await?
        };
        sent.note(&planned.make, &outcomes, true);
        self.delta.associated += count_done(&outcomes);
        open.extend(self.enter(links, planned, &outcomes));
        Ok(open)
    }

    /// The links that stand between these records and another object, and the records that no answer names.
    async fn existing(
        &self,
        from_object: &str,
        object: &str,
        links: &[DueLink],
    ) -> Result<(Vec<ExistingLink>, HashSet<HubspotId>), StageError> {
        let from: HashSet<&HubspotId> = links.iter().map(|link| &link.from).collect();
        let from: Vec<HubspotId> = from.into_iter().cloned().collect();
        let read = self.cx.target.associations(from_object, object, &from).await.map_err(at)?;
        let (mut existing, mut unanswered) = (Vec::new(), HashSet::new());
        for (id, lookup) in from.into_iter().zip(read) {
            match lookup {
                Lookup::Found(links) => existing.extend(links),
                Lookup::Absent => {}
                Lookup::Unknown => drop(unanswered.insert(id)),
            }
        }
        Ok((existing, unanswered))
    }

    /// Takes old links back: lookups that are free to go on, and those whose removal is open. A removal that HubSpot
    /// refuses is a failure, and the old link stays ours.
    async fn remove(
        &mut self,
        from_object: &str,
        object: &str,
        links: Vec<DueLink>,
        planned: &LinkPlan,
        sent: &mut OpenCalls,
    ) -> Result<(Vec<DueLink>, Vec<DueLink>), StageError> {
        if planned.remove.is_empty() {
            return Ok((links, Vec::new()));
        }
        // A link whose removal is on its way may be gone: should its lookup come back to it before the answer is noted, it
        // is looked up.
        let removing = |link: &DueLink, result: &LinkResult| {
            result.removes.is_some().then(|| (link.salesforce_id, link.key.clone(), attempted(link.made.clone())))
        };
        self.remember(links.iter().zip(&planned.results).filter_map(|(link, result)| removing(link, result))).await?;
        let outcomes = self.send_splitting(from_object, object, &planned.remove, false).await?;
        sent.note(&planned.remove, &outcomes, false);
        self.delta.disassociated += count_done(&outcomes);
        let (mut free, mut open) = (Vec::new(), Vec::new());
        for (link, result) in links.into_iter().zip(&planned.results) {
            match result.removes.and_then(|place| outcomes.get(place)) {
                None | Some(LinkOutcome::Done) => free.push(link),
                Some(LinkOutcome::Unknown) => open.push(link),
                Some(LinkOutcome::Refused(reason)) => self.set_aside(&link, reason.clone()),
            }
        }
        Ok((free, open))
    }

    /// Remembers what is about to be sent, so that what is done in the moment of a crash is still known as ours.
    async fn remember(
        &self,
        attempts: impl Iterator<Item = (SalesforceId, AssociationKey, Option<MadeLink>)>,
    ) -> Result<(), StageError> {
        let mut commit = self.checkpoint.commit(self.cx);
        commit.made.extend(attempts);
        self.writers.state.commit(&commit).await.map_err(at)
    }

    /// Makes or removes links; a call that is refused as a whole is split until the culprits stand alone.
    async fn send_splitting(
        &self,
        from_object: &str,
        object: &str,
        all: &[NewLink],
        make: bool,
    ) -> Result<Vec<LinkOutcome>, StageError> {
        let target = &self.writers.target;
        let mut outcomes = vec![LinkOutcome::Unknown; all.len()];
        let mut parts = vec![(0, all.len())];
        while let Some((start, end)) = parts.pop() {
            let part = &all[start..end];
            let call = if make {
                target.associate(from_object, object, part)
            } else {
                target.disassociate(from_object, object, part)
            };
            match call.await {
                Ok(answers) => {
                    for (index, answer) in (start..end).zip(answers) {
                        outcomes[index] = answer;
                    }
                }
                Err(Fault::Reject(reason)) if end - start == 1 => outcomes[start] = LinkOutcome::Refused(reason),
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

    /// Enters what is settled; returns the links whose outcome is open.
    fn enter(&mut self, links: Vec<DueLink>, planned: LinkPlan, outcomes: &[LinkOutcome]) -> Vec<DueLink> {
        let mut open = Vec::new();
        for (link, result) in links.into_iter().zip(planned.results) {
            match result.waits_for.and_then(|place| outcomes.get(place)) {
                None | Some(LinkOutcome::Done) => {
                    self.commit.made.push((link.salesforce_id, link.key.clone(), result.made));
                    if self.cx.failures_open && link.wanted.is_some() {
                        self.commit.resolved_links.push(link.salesforce_id);
                    }
                }
                Some(LinkOutcome::Refused(reason)) => {
                    self.commit.made.push((link.salesforce_id, link.key.clone(), None));
                    self.set_aside(&link, reason.clone());
                }
                Some(LinkOutcome::Unknown) => open.push(DueLink { made: attempted(result.made), ..link }),
            }
        }
        open
    }

    /// Sets a link aside: it is tried again later.
    fn set_aside(&mut self, link: &DueLink, reason: Reason) {
        self.commit.waiting.push((link.salesforce_id, link.key.clone()));
        self.fail(link.salesforce_id, reason);
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

/// Links whose making or removal was sent, and of which the answer said nothing: the next look tells what became of them.
#[derive(Default)]
struct OpenCalls {
    made: HashSet<(HubspotId, HubspotId)>,
    removed: HashSet<(HubspotId, HubspotId)>,
}

impl OpenCalls {
    fn note(&mut self, links: &[NewLink], outcomes: &[LinkOutcome], make: bool) {
        let open = links.iter().zip(outcomes).filter(|(_, outcome)| **outcome == LinkOutcome::Unknown);
        let pairs = open.map(|(link, _)| (link.from.clone(), link.to.clone()));
        if make { self.made.extend(pairs) } else { self.removed.extend(pairs) }
    }

    /// Counts what a look has shown to be done.
    fn settle(&mut self, planned: &LinkPlan, unanswered: &HashSet<HubspotId>, delta: &mut Tally) {
        let is_done = |links: &[NewLink], (from, to): &(HubspotId, HubspotId)| {
            !unanswered.contains(from) && !links.iter().any(|link| link.from == *from && link.to == *to)
        };
        delta.associated += self.made.extract_if(|pair| is_done(&planned.make, pair)).count() as u64;
        delta.disassociated += self.removed.extract_if(|pair| is_done(&planned.remove, pair)).count() as u64;
    }
}

/// The link as one that may have been made, or may be gone.
fn attempted(made: Option<MadeLink>) -> Option<MadeLink> {
    made.map(|made| MadeLink { standing: LinkStanding::Attempted, ..made })
}

fn count_done(outcomes: &[LinkOutcome]) -> u64 {
    outcomes.iter().filter(|outcome| **outcome == LinkOutcome::Done).count() as u64
}

fn unconfirmed() -> Reason {
    Reason {
        code: "SL5113".to_owned(),
        remote_code: None,
        property: None,
        message: "HubSpot answered without a word about this association, and reading it back did not show what was asked for"
            .to_owned(),
        request_id: None,
    }
}

fn no_answer() -> Reason {
    Reason {
        code: "SL5114".to_owned(),
        remote_code: None,
        property: None,
        message: "HubSpot was asked several times for the record at the other end, and its answers pass over it"
            .to_owned(),
        request_id: None,
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
