//! The dry half of a run: takes the same decisions and only counts and samples them. It holds no writer.

use std::collections::{BTreeMap, HashMap, HashSet};
use std::sync::{Mutex, PoisonError};

use futures_util::FutureExt;
use futures_util::future::BoxFuture;
use jiff::Timestamp;

use super::runner::{Kind, Seen, Taker};
use crate::model::association::{AssociationKey, AssociationState};
use crate::model::forecast::{BeforeAfter, Estimate, LinkAction, PlannedAction, PlannedChange, PlannedLink};
use crate::model::ids::{HubspotId, SalesforceId};
use crate::model::report::Tally;
use crate::model::watermark::Cursor;
use crate::pipeline::transform::PropertyChange;
use crate::plan::decide::{Action, Decision, Departure};
use crate::plan::links::{DueLink, plan};
use crate::ports::target::{BATCH_LINKS_MAX, BATCH_RECORDS_MAX, TargetRecord};
use crate::stages::read::held::held;
use crate::stages::read::targets::{self, TargetMatch, planned_directory};
use crate::stages::write::checkpoint::count;
use crate::stages::{StageContext, StageError, StageName};

/// Counts what a run would do and keeps a sample of it.
pub struct Forecast {
    cx: StageContext,
    sample_max: usize,
    /// Waiting links are tried whose time has come by then; all of them where it is absent.
    links_at: Option<Timestamp>,
    inner: Mutex<Inner>,
}

#[derive(Default)]
struct Inner {
    tally: Tally,
    changes: Vec<PlannedChange>,
    omitted: u64,
    batches: Batches,
    /// The last place that the read passed.
    place: Option<Cursor>,
    /// Lookups of changed records that waited already: they are counted with their record.
    replanned: HashSet<Place>,
    /// Records that would be archived: their links go with them.
    leaving: HashSet<SalesforceId>,
}

impl Inner {
    /// Where in the sample a change would stand; none when there is no room for it. A full sample gives up one of the kind
    /// that it has most of, so that each kind is seen, however many there are of another.
    fn takes(&self, action: PlannedAction, sample_max: usize) -> Option<usize> {
        if self.changes.len() < sample_max {
            return Some(self.changes.len());
        }
        let count = |action| self.changes.iter().filter(|change| change.action == action).count();
        let most = self.changes.iter().map(|change| change.action).max_by_key(|action| (count(*action), *action))?;
        let place = self.changes.iter().rposition(|change| change.action == most)?;
        (count(action) + 1 < count(most)).then_some(place)
    }

    fn offer(&mut self, change: PlannedChange, sample_max: usize) {
        match self.takes(change.action, sample_max) {
            Some(place) if place == self.changes.len() => self.changes.push(change),
            Some(place) => {
                self.changes[place] = change;
                self.omitted += 1;
            }
            None => self.omitted += 1,
        }
    }
}

/// A lookup of a record.
type Place = (SalesforceId, AssociationKey);

#[derive(Default, Clone, Copy)]
struct Batches {
    writes: u64,
    archives: u64,
    links: u64,
}

/// What a forecast found.
pub struct Found {
    /// Its numbers, exact.
    pub tally: Tally,
    /// The sample, dangerous changes first.
    pub changes: Vec<PlannedChange>,
    /// Changes outside the sample.
    pub omitted: u64,
    /// What the run would cost.
    pub estimate: Estimate,
}

impl Forecast {
    /// A forecast that samples at most `sample_max` changes. Waiting links are tried whose time has come at `links_at`,
    /// or all.
    pub fn new(cx: &StageContext, sample_max: usize, links_at: Option<Timestamp>) -> Self {
        Self { cx: cx.clone(), sample_max, links_at, inner: Mutex::default() }
    }

    /// Adds the associations that wait since earlier runs, and sums up.
    pub async fn finish(self) -> Result<Found, StageError> {
        self.waiting_links().await?;
        let Inner { mut tally, mut changes, omitted, batches, place, .. } =
            self.inner.into_inner().unwrap_or_else(PoisonError::into_inner);
        if let Some(place) = place {
            self.cx.source.release(&place).await;
        }
        tally.salesforce_calls = self.cx.source.calls();
        tally.hubspot_calls = self.cx.target.calls();
        changes.sort_by_key(|change| change.action);
        let calls = |records: u64, unit: usize| records.div_ceil(unit as u64);
        let writes = calls(batches.writes, BATCH_RECORDS_MAX) + 2 * calls(batches.archives, BATCH_RECORDS_MAX);
        let hubspot_calls = tally.hubspot_calls + writes + 2 * calls(batches.links, BATCH_LINKS_MAX);
        let seconds_at_rate_limit = hubspot_calls as f64 / self.cx.target.calls_per_second().max(0.1);
        let estimate = Estimate { hubspot_calls, salesforce_calls: tally.salesforce_calls, seconds_at_rate_limit };
        Ok(Found { tally, changes, omitted, estimate })
    }

    fn inner(&self) -> std::sync::MutexGuard<'_, Inner> {
        self.inner.lock().unwrap_or_else(PoisonError::into_inner)
    }

    async fn note(&self, kind: Kind, mut batch: Vec<Decision>) -> Result<(), StageError> {
        let sampled = self.inner().takes(PlannedAction::Update, self.sample_max).is_some();
        if sampled && kind == Kind::Write {
            self.read_before(&mut batch[..]).await?;
        }
        self.note_planned(&batch).await?;
        let links = self.links(&batch).await?;
        let mut inner = self.inner();
        for decision in batch {
            let sent = matches!(kind, Kind::Write | Kind::Archive);
            count(&decision, None, sent, &mut inner.tally);
            match kind {
                Kind::Write => inner.batches.writes += 1,
                Kind::Archive => {
                    inner.batches.archives += 1;
                    inner.leaving.insert(decision.id());
                }
                Kind::Note => {}
            }
            let links = links.get(&decision.id()).cloned().unwrap_or_default();
            if let Some(change) = self.describe(&decision, links) {
                inner.offer(change, self.sample_max);
            }
        }
        Ok(())
    }

    /// Reads what HubSpot holds for records that state decided, to show before and after.
    async fn read_before(&self, batch: &mut [Decision]) -> Result<(), StageError> {
        let pipeline = &self.cx.pipeline;
        let updates = batch.iter().filter(|decision| decision.action == Action::Update && decision.changes.is_empty());
        let keys: Vec<String> = updates.map(|decision| decision.id().to_string()).collect();
        if keys.is_empty() {
            return Ok(());
        }
        let target = &pipeline.target;
        let read =
            self.cx.target.read_by_key(&target.object_type_id, &target.match_property, &keys, &pipeline.properties);
        let records = read.await.map_err(StageError::at(StageName::Match))?;
        let by_key: HashMap<&str, &TargetRecord> = records
            .iter()
            .filter_map(|record| Some((record.properties.get(&*target.match_property)?.as_deref()?, record)))
            .collect();
        for decision in batch.iter_mut().filter(|decision| decision.action == Action::Update) {
            let record = by_key.get(decision.id().as_str());
            if let (Some(record), Some(desired), true) = (record, &decision.desired, decision.changes.is_empty()) {
                decision.changes = pipeline.diff(desired, &record.properties);
            }
        }
        Ok(())
    }

    /// Notes the records that would exist, for the links of pipelines that point at this one.
    async fn note_planned(&self, batch: &[Decision]) -> Result<(), StageError> {
        let made = batch.iter().filter(|decision| matches!(decision.action, Action::Create | Action::Restore));
        let adopted =
            batch.iter().filter(|decision| decision.action == Action::Unchanged || decision.action == Action::Update);
        let planned = made.map(|decision| (decision.id(), planned_id(decision.id())));
        let known = adopted.filter_map(|decision| Some((decision.id(), decision.hubspot_id.clone()?)));
        let entries: Vec<(SalesforceId, HubspotId)> = planned.chain(known).collect();
        if entries.is_empty() {
            return Ok(());
        }
        let name = planned_directory(&self.cx.pipeline.name);
        self.cx.directory.add(&name, &entries).await.map_err(StageError::at(StageName::Associate))
    }

    /// What would happen to the links of these records.
    async fn links(&self, batch: &[Decision]) -> Result<HashMap<SalesforceId, Vec<PlannedLink>>, StageError> {
        let changing = |decision: &&Decision| !decision.wanted.is_empty() || decision.action == Action::Restore;
        let changing: Vec<&Decision> = batch.iter().filter(changing).collect();
        let ids: Vec<SalesforceId> = changing.iter().map(|decision| decision.id()).collect();
        if ids.is_empty() {
            return Ok(HashMap::new());
        }
        let known = self.cx.state.associations(&self.cx.pipeline.name, &ids).await;
        let mut known: HashMap<Place, AssociationState> = known
            .map_err(StageError::at(StageName::Associate))?
            .into_iter()
            .map(|state| ((state.salesforce_id, state.key.clone()), state))
            .collect();
        let mut states = Vec::new();
        for decision in changing {
            let id = decision.id();
            let anew = decision.action == Action::Restore;
            let from = decision.hubspot_id.clone().filter(|_| !anew).unwrap_or_else(|| planned_id(id));
            for (key, wanted) in &decision.wanted {
                let before = known.remove(&(id, key.clone()));
                if before.as_ref().is_some_and(AssociationState::is_due) {
                    self.inner().replanned.insert((id, key.clone()));
                }
                // A record that is made again has no links yet.
                let made = before.and_then(|state| state.made).filter(|_| !anew);
                states.push((
                    AssociationState { salesforce_id: id, key: key.clone(), wanted: *wanted, made },
                    from.clone(),
                ));
            }
            if anew {
                let unchanged = known.values().filter(|state| state.salesforce_id == id && state.wanted.is_some());
                states.extend(unchanged.map(|state| (AssociationState { made: None, ..state.clone() }, from.clone())));
            }
        }
        self.plan_links(states).await
    }

    /// Links that wait since earlier runs and could be made now; those whose next try is later just wait.
    async fn waiting_links(&self) -> Result<(), StageError> {
        let (mut after, mut tried) = (None, 0);
        while let Some((last, due)) = self.due_page(self.links_at, after).await? {
            after = Some(last);
            tried += due.len() as u64;
            self.plan_links(due).await?;
        }
        let (mut after, mut all) = (None, 0);
        while let Some((last, due)) = self.due_page(None, after).await? {
            after = Some(last);
            all += due.len() as u64;
        }
        self.inner().tally.pending_associations += all.saturating_sub(tried);
        Ok(())
    }

    /// A page of waiting links and its last place; without those that are counted with their record, or go with it.
    async fn due_page(
        &self,
        at: Option<Timestamp>,
        after: Option<Place>,
    ) -> Result<Option<(Place, Vec<(AssociationState, HubspotId)>)>, StageError> {
        let due = self.cx.state.due_associations(&self.cx.pipeline.name, at, after, BATCH_LINKS_MAX).await;
        let mut due = due.map_err(StageError::at(StageName::Associate))?;
        let Some(last) = due.last().map(|(state, _)| (state.salesforce_id, state.key.clone())) else { return Ok(None) };
        let inner = self.inner();
        due.retain(|(state, _)| {
            !inner.leaving.contains(&state.salesforce_id)
                && !inner.replanned.contains(&(state.salesforce_id, state.key.clone()))
        });
        Ok(Some((last, due)))
    }

    async fn plan_links(
        &self,
        states: Vec<(AssociationState, HubspotId)>,
    ) -> Result<HashMap<SalesforceId, Vec<PlannedLink>>, StageError> {
        let mut planned: HashMap<SalesforceId, Vec<PlannedLink>> = HashMap::new();
        let mut by_object: BTreeMap<String, Vec<DueLink>> = BTreeMap::new();
        for association in &self.cx.pipeline.associations {
            let rows: Vec<_> = states.iter().filter(|(state, _)| state.key == association.key).collect();
            let ids: Vec<SalesforceId> = rows.iter().filter_map(|(state, _)| state.wanted).collect();
            let found = targets::find(&self.cx, association, &ids, false).await?;
            for (state, from) in rows {
                let wanted = match state.wanted.map(|target| (target, found.get(&target))) {
                    None => None,
                    Some((target, Some(TargetMatch::One(to)))) => Some((target, to.clone())),
                    Some((target, several)) => {
                        self.inner().tally.failed_associations += u64::from(several.is_some());
                        self.inner().tally.pending_associations += 1;
                        let link = planned_link(&state.key, LinkAction::Pending, Some(target));
                        planned.entry(state.salesforce_id).or_default().push(link);
                        // The old link is wrong even though the new one cannot be made yet.
                        if several.is_some() || state.made.is_none() {
                            continue;
                        }
                        None
                    }
                };
                by_object.entry(association.target.object_type_id().to_string()).or_default().push(DueLink {
                    salesforce_id: state.salesforce_id,
                    key: state.key.clone(),
                    from: from.clone(),
                    wanted,
                    made: state.made.clone(),
                    label: association.label.clone(),
                });
            }
        }
        for (object, links) in by_object {
            self.object(&object, &links, &mut planned).await?;
        }
        Ok(planned)
    }

    async fn object(
        &self,
        object: &str,
        links: &[DueLink],
        planned: &mut HashMap<SalesforceId, Vec<PlannedLink>>,
    ) -> Result<(), StageError> {
        let mut from: Vec<HubspotId> =
            links.iter().map(|link| link.from.clone()).filter(|id| !is_planned(id)).collect();
        from.sort();
        from.dedup();
        let own = &self.cx.pipeline.target.object_type_id;
        let existing = if from.is_empty() {
            Vec::new()
        } else {
            self.cx.target.associations(own, object, &from).await.map_err(StageError::at(StageName::Associate))?
        };
        let held = held(&self.cx, links).await?;
        let work = plan(links, &existing, &held);
        let mut inner = self.inner();
        inner.tally.associated += work.make.len() as u64;
        inner.tally.disassociated += work.remove.len() as u64;
        inner.batches.links += links.len() as u64;
        for (link, result) in links.iter().zip(&work.results) {
            let entry = planned.entry(link.salesforce_id).or_default();
            if result.removes.is_some() {
                let old = link.made.as_ref().map(|made| made.target);
                entry.push(planned_link(&link.key, LinkAction::Disassociate, old));
            }
            if result.waits_for.is_some() {
                let target = link.wanted.as_ref().map(|(target, _)| *target);
                entry.push(planned_link(&link.key, LinkAction::Associate, target));
            }
        }
        Ok(())
    }

    /// The change as it is shown; none when nothing would be seen of it.
    fn describe(&self, decision: &Decision, associations: Vec<PlannedLink>) -> Option<PlannedChange> {
        let (action, reasons) = match &decision.action {
            Action::Create => (PlannedAction::Create, Vec::new()),
            Action::Restore => (PlannedAction::Restore, Vec::new()),
            Action::Update => (PlannedAction::Update, Vec::new()),
            Action::Archive(departure) => (PlannedAction::Archive, vec![cause(*departure).to_owned()]),
            Action::Keep(departure) => (PlannedAction::Leave, vec![cause(*departure).to_owned()]),
            Action::Reject(reason) => (PlannedAction::Reject, vec![format!("{}: {}", reason.code, reason.message)]),
            Action::Unchanged if !associations.is_empty() => (PlannedAction::Associate, Vec::new()),
            Action::Unchanged | Action::Filter(_) | Action::StillFailing => return None,
        };
        let pipeline = &self.cx.pipeline;
        let changes = decision.changes.iter().map(|change| self.before_after(change));
        let properties = match (&decision.desired, action) {
            (Some(desired), PlannedAction::Create | PlannedAction::Restore) => {
                let all = desired.properties.iter().chain(&desired.create_only).filter(|value| !value.value.is_empty());
                let value = |text: &str, property: &str| pipeline.mask_property(property, text).into_owned();
                all.map(|set| {
                    (
                        set.property.to_string(),
                        BeforeAfter { before: None, after: Some(value(&set.value, &set.property)) },
                    )
                })
                .collect()
            }
            _ => changes.collect(),
        };
        Some(PlannedChange {
            action,
            salesforce_id: decision.id(),
            hubspot_id: decision.hubspot_id.clone(),
            title: pipeline.title(&decision.candidate.record),
            properties,
            associations,
            reasons,
        })
    }

    fn before_after(&self, change: &PropertyChange) -> (String, BeforeAfter) {
        let mask = |value: &str| self.cx.pipeline.mask_property(&change.property, value).into_owned();
        let shown = |value: &Option<String>| value.as_deref().filter(|value| !value.is_empty()).map(mask);
        (change.property.to_string(), BeforeAfter { before: shown(&change.before), after: shown(&change.after) })
    }
}

impl Taker for Forecast {
    fn take(&self, kind: Kind, batch: Vec<Decision>) -> BoxFuture<'_, Result<(), StageError>> {
        self.note(kind, batch).boxed()
    }

    fn seen(&self, seen: Seen) {
        let mut inner = self.inner();
        inner.tally.read += seen.read;
        inner.tally.unchanged += seen.unchanged;
        inner.tally.filtered += seen.filtered;
        inner.tally.failed += seen.waiting;
    }

    fn passed(&self, _rows: u64, cursor: Cursor) -> BoxFuture<'_, Result<(), StageError>> {
        self.inner().place = Some(cursor);
        std::future::ready(Ok(())).boxed()
    }
}

/// Stands for a HubSpot record that a run would make.
fn planned_id(id: SalesforceId) -> HubspotId {
    HubspotId::new(format!("planned:{id}"))
}

fn is_planned(id: &HubspotId) -> bool {
    id.as_str().starts_with("planned:")
}

fn planned_link(key: &AssociationKey, action: LinkAction, salesforce_id: Option<SalesforceId>) -> PlannedLink {
    PlannedLink { association: key.0.to_string(), action, salesforce_id }
}

fn cause(departure: Departure) -> &'static str {
    match departure {
        Departure::Deleted => "deleted in Salesforce",
        Departure::FilterExit => "no longer matches `where`",
    }
}
