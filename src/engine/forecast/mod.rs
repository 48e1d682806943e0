//! The dry half of a run: takes the same decisions and only counts and samples them. It holds no writer.

mod associations;
mod drift;
mod later;
mod lost;
pub mod makers;
pub mod options;
mod properties;
mod sample;

use std::collections::{BTreeMap, HashMap, HashSet};
use std::sync::{Arc, Mutex, PoisonError};

use futures_util::future::BoxFuture;
use futures_util::{FutureExt, StreamExt};

use self::makers::Maker;
use self::options::ForecastOptions;
use self::sample::{Planned, Totals};
use super::plan_entries;
use super::queries::ids_query;
use super::reconcile::Strangers;
use super::reject_guard;
use super::runner::{BatchKind, DecisionSink, ReadCounts};
use crate::model::forecast::{
    AssociationAction, BeforeAfter, Estimate, PlannedAction, PlannedAssociation, PlannedChange, PropertyCount,
    RejectGroup,
};
use crate::model::ids::{HubspotId, SalesforceId};
use crate::model::report::Tally;
use crate::model::watermark::Cursor;
use crate::pipeline::compiled::Pipeline;
use crate::pipeline::transform::PropertyChange;
use crate::plan::decide::{Action, Decision, ExitReason};
use crate::plan::guard::{self, Refusal, Rejects};
use crate::ports::source::QUERY_IDS_MAX;
use crate::ports::target::{BATCH_PAIRS_MAX, BATCH_RECORDS_MAX, Lookup, PAIRS_READ_MAX};
use crate::stages::read::extract::{Membership, candidates};
use crate::stages::read::lookup::by_match;
use crate::stages::read::readings::SharedReadings;
use crate::stages::read::targets::{leaving_directory, planned_directory, planned_id};
use crate::stages::read::transform::Transform;
use crate::stages::write::checkpoint::count;
use crate::stages::{Stage, StageContext, StageError, StageName};

/// Counts what a run would do and keeps a sample of it.
pub struct Forecast {
    cx: StageContext,
    options: ForecastOptions,
    before: CallsBefore,
    totals: Mutex<Totals>,
    /// What was read of records from which rows of many pages lead.
    readings: Option<Arc<SharedReadings>>,
}

/// Calls that were made before the forecast began: what they cost the run is counted with what sets it up.
struct CallsBefore {
    salesforce: u64,
    hubspot: u64,
}

/// What a forecast found.
pub struct Found {
    /// Its numbers, exact.
    pub tally: Tally,
    /// Records by action, exact.
    pub actions: BTreeMap<PlannedAction, u64>,
    /// Rejected records by reason.
    pub rejects: Vec<RejectGroup>,
    /// Updates by property.
    pub properties: BTreeMap<String, PropertyCount>,
    /// Rejected before, waiting for a later try.
    pub waiting: u64,
    /// Known records that Salesforce no longer shows, without proof that they were deleted.
    pub vanished: u64,
    /// Records in HubSpot with a Salesforce id that Syncline never wrote there.
    pub strangers: Strangers,
    /// What a person should know of parents that were not read.
    pub parents: Option<String>,
    /// Associations that were carried out and that HubSpot no longer holds, as far as they were looked at.
    pub lost_associations: u64,
    /// All associations that were carried out were looked at.
    pub looked_at_associations: bool,
    /// The sample, dangerous changes first.
    pub changes: Vec<PlannedChange>,
    /// Changes outside the sample.
    pub omitted: u64,
    /// Why the run would be stopped for what it rejects.
    pub refusal: Option<Refusal>,
    /// What the run would cost.
    pub estimate: Estimate,
}

impl Forecast {
    /// A forecast.
    pub fn new(cx: &StageContext, options: ForecastOptions) -> Self {
        let before = CallsBefore { salesforce: cx.source.calls(), hubspot: cx.target.calls() };
        Self { cx: cx.clone(), options, before, totals: Mutex::default(), readings: SharedReadings::of(cx) }
    }

    /// Notes how many known records Salesforce no longer shows.
    pub fn note_vanished(&self, records: u64) {
        self.totals().vanished += records;
    }

    /// Notes that changes of parents were not read.
    pub fn note_parents(&self, note: Option<String>) {
        self.totals().parents = note;
    }

    /// Notes records in HubSpot with a Salesforce id that Syncline never wrote there.
    pub fn note_strangers(&self, strangers: Strangers) {
        let mut totals = self.totals();
        totals.tally.drifted += strangers.records;
        totals.strangers = strangers;
    }

    /// Adds the associations that wait since earlier runs, and those that `makers` make possible: pipelines that have run by then.
    pub async fn end(&self, makers: &[Maker]) -> Result<(), StageError> {
        if !self.options.without_waiting {
            self.waiting_associations().await?;
        }
        let own = self.maker();
        self.look_again(&makers.iter().cloned().chain(own).collect::<Vec<_>>()).await?;
        self.compare_rejects(true).await?;
        let place = self.totals().place.take();
        if let Some(place) = place.filter(|_| !self.options.keeps_place) {
            self.cx.source.release(&place).await;
        }
        Ok(())
    }

    /// Sums up.
    pub fn finish(self) -> Found {
        let totals = self.totals.into_inner().unwrap_or_else(PoisonError::into_inner);
        let Totals { mut tally, mut changes, omitted, batches, actions, extra_calls, waiting, refusal, .. } = totals;
        tally.salesforce_calls = self.cx.source.calls();
        tally.hubspot_calls = self.cx.target.calls();
        changes.sort_by_key(|change| change.action);
        let calls = |records: u64, unit: usize| records.div_ceil(unit as u64);
        // An archive takes two calls: the records are looked up first, as only what still stands may be archived.
        let writes = calls(batches.writes, BATCH_RECORDS_MAX) + 2 * calls(batches.archives, BATCH_RECORDS_MAX);
        // What was asked for the plan's own sake is no part of the run.
        let reads = tally.hubspot_calls.saturating_sub(extra_calls + self.before.hubspot);
        // Of records that the run makes, nothing is read.
        let pairs = batches.associations.values().map(|pairs| {
            calls(pairs.of_made + pairs.of_others, BATCH_PAIRS_MAX) + calls(pairs.of_others, PAIRS_READ_MAX)
        });
        let associations: u64 = pairs.sum();
        let hubspot_calls = reads + writes + associations + totals.later_calls;
        let seconds_at_rate_limit = hubspot_calls as f64 / self.cx.target.calls_per_second().max(0.1);
        let salesforce_calls =
            tally.salesforce_calls.saturating_sub(totals.extra_source_calls + self.before.salesforce);
        let estimate = Estimate { hubspot_calls, salesforce_calls, seconds_at_rate_limit };
        let rejects = sample::reject_groups(totals.rejects, self.options.before.is_some());
        let properties = totals.properties.finish();
        Found {
            tally,
            actions,
            rejects,
            properties,
            waiting,
            vanished: totals.vanished,
            strangers: totals.strangers,
            parents: totals.parents,
            lost_associations: totals.lost_associations,
            looked_at_associations: self.options.recheck
                || totals.looked_at_associations
                || self.cx.pipeline.associations.is_empty(),
            changes,
            omitted,
            refusal,
            estimate,
        }
    }

    fn totals(&self) -> std::sync::MutexGuard<'_, Totals> {
        self.totals.lock().unwrap_or_else(PoisonError::into_inner)
    }

    /// Takes decided records into the forecast.
    async fn take(&self, kind: BatchKind, batch: Vec<Decision>) -> Result<(), StageError> {
        let mut batch = self.only_failed_before(batch).await?;
        // Reading what HubSpot holds costs calls, so it is done only where somebody sees before and after.
        let sampled = self.options.observer.is_some()
            || self.options.recorder.is_some()
            || self.totals().has_room(PlannedAction::Update, &self.options);
        if sampled && kind == BatchKind::Write {
            self.read_before(&mut batch[..]).await?;
        }
        // Before their associations are planned, as records of one batch may refer to each other.
        self.register_planned(&batch).await?;
        self.note_made(&batch).await?;
        let associations = self.associations(&batch).await?;
        if let Some(observer) = &self.options.observer {
            let none = Vec::new();
            let entry = |decision: &Decision| {
                plan_entries::of_decision(decision, associations.get(&decision.id()).unwrap_or(&none))
            };
            // What still fails for the same reason is no change of the plan.
            let shown = batch.iter().filter(|decision| decision.action != Action::StillFailing);
            observer.observe(shown.map(entry).collect()).await?;
        }
        let rejects = reject_guard::of_batch(&self.cx, &batch).await?;
        self.count_batch(kind, batch, &associations);
        self.watch_rejects(rejects);
        self.compare_rejects(false).await
    }

    /// Notes the moment at which a run would be stopped for what it rejects.
    fn watch_rejects(&self, rejects: Rejects) {
        let mut totals = self.totals();
        let more = rejects.rejected > 0;
        totals.new_rejects.absorb(rejects);
        totals.new_rejects.looked = totals.tally.read.saturating_sub(totals.tally.waiting);
        if more && totals.refusal.is_none() {
            let (guard, allowance) = (&self.cx.pipeline.guard, self.options.allowance);
            totals.refusal = guard::check_rejects(&totals.new_rejects, guard, allowance, false).err();
        }
    }

    /// Counts decided records, and offers them to the sample.
    fn count_batch(&self, kind: BatchKind, batch: Vec<Decision>, planned: &Planned) {
        let mut totals = self.totals();
        for decision in batch {
            let sent = matches!(kind, BatchKind::Write | BatchKind::Archive);
            count(&decision, None, sent, &mut totals.tally);
            totals.waiting += u64::from(decision.action == Action::StillFailing);
            // Rows of a junction object that leave ask for nothing by then, which is told with them.
            if decision.leaves().is_some() && !decision.is_row() {
                totals.leaving.insert(decision.id());
            }
            match kind {
                BatchKind::Write => totals.batches.writes += 1,
                BatchKind::Archive => totals.batches.archives += 1,
                BatchKind::StateOnly => {}
            }
            if let Action::Reject(reason) = &decision.action {
                let judged = self.options.before.is_some();
                totals.reject(reason, judged.then(|| (decision.id(), decision.hubspot_id.is_none())));
            }
            if matches!(decision.action, Action::Update | Action::Adopt) {
                for change in &decision.changes {
                    let (property, sides) = self.before_after(change);
                    totals.properties.add(property, sides);
                }
            }
            let associations = planned.get(&decision.id()).cloned().unwrap_or_default();
            let pending = associations.iter().all(|association| association.action == AssociationAction::Pending);
            let associations = if self.options.associations_elsewhere && pending { Vec::new() } else { associations };
            if let Some(action) = action_of(&decision, &associations) {
                *totals.actions.entry(action).or_default() += 1;
                if action == PlannedAction::Unchanged {
                    continue;
                }
                match &self.options.recorder {
                    // Described only where it is kept: a million changes would be formatted for a sample of ten.
                    None => totals.offer(action, &self.options, || self.describe(action, &decision, associations)),
                    Some(recorder) => {
                        let change = self.describe(action, &decision, associations);
                        recorder.record(&self.cx.pipeline.name, &change);
                        totals.offer(action, &self.options, || change);
                    }
                }
            }
        }
    }

    /// Judges rejected records by the pipeline as it was, when there are enough of them for a query, or at the end.
    async fn compare_rejects(&self, at_end: bool) -> Result<(), StageError> {
        let Some(before) = &self.options.before else { return Ok(()) };
        loop {
            let batch: Vec<sample::UncomparedReject> = {
                let mut totals = self.totals();
                let waiting = totals.uncompared.len();
                if waiting == 0 || (waiting < QUERY_IDS_MAX && !at_end) {
                    return Ok(());
                }
                totals.uncompared.drain(..waiting.min(QUERY_IDS_MAX)).collect()
            };
            let records: Vec<(SalesforceId, bool)> = batch.iter().map(|record| (record.id, record.made)).collect();
            let known = self.refused_before(before, &records).await?;
            let mut totals = self.totals();
            totals.compare_rejects(batch, &known);
        }
    }

    /// Of these records, with the word whether they would have to be made, those that the pipeline as it was rejects.
    async fn refused_before(
        &self,
        before: &Arc<Pipeline>,
        records: &[(SalesforceId, bool)],
    ) -> Result<HashSet<SalesforceId>, StageError> {
        let cx = StageContext { pipeline: Arc::clone(before), ..self.cx.clone() };
        let mut known = HashSet::new();
        for part in records.chunks(QUERY_IDS_MAX) {
            let made: HashMap<SalesforceId, bool> = part.iter().copied().collect();
            let ids: Vec<SalesforceId> = made.keys().copied().collect();
            let mut rows = candidates(&cx, ids_query(&cx, &ids), Membership::Asked, None);
            while let Some(chunk) = rows.next().await {
                for transformed in Transform.run(&cx, chunk?.batch).await? {
                    let id = transformed.candidate.record.id;
                    let refused = match &transformed.desired {
                        None => false,
                        Some(Err(_)) => true,
                        // What only a new record must have is asked for where it would be made.
                        Some(Ok(desired)) => made.get(&id) == Some(&true) && before.check_create(desired).is_err(),
                    };
                    if refused {
                        known.insert(id);
                    }
                }
            }
            self.totals().extra_source_calls += 1 + u64::from(before.condition_text().is_some());
        }
        Ok(known)
    }

    /// Where nothing is known of failures: leaves out records that are not in HubSpot for another reason than that the
    /// pipeline as it was rejects them.
    async fn only_failed_before(&self, batch: Vec<Decision>) -> Result<Vec<Decision>, StageError> {
        let Some(before) = self.options.before.as_ref().filter(|_| self.options.failed_only) else { return Ok(batch) };
        let is_absent = |decision: &Decision| {
            decision.hubspot_id.is_none() && matches!(decision.action, Action::Create | Action::Reject(_))
        };
        let absent: Vec<(SalesforceId, bool)> =
            batch.iter().filter(|decision| is_absent(decision)).map(|decision| (decision.id(), true)).collect();
        if absent.is_empty() {
            return Ok(batch);
        }
        let known = self.refused_before(before, &absent).await?;
        Ok(batch.into_iter().filter(|decision| !is_absent(decision) || known.contains(&decision.id())).collect())
    }

    /// Reads what HubSpot holds for records that state decided, to show before and after.
    async fn read_before(&self, batch: &mut [Decision]) -> Result<(), StageError> {
        let pipeline = &self.cx.pipeline;
        let updates = batch.iter().filter(|decision| decision.action == Action::Update && decision.changes.is_empty());
        let ids: Vec<SalesforceId> = updates.map(Decision::id).collect();
        if ids.is_empty() {
            return Ok(());
        }
        let calls = self.cx.target.calls();
        let found = by_match(&self.cx, &ids, &pipeline.properties, StageName::Match).await?;
        self.totals().extra_calls += self.cx.target.calls().saturating_sub(calls);
        for decision in batch.iter_mut().filter(|decision| decision.action == Action::Update) {
            let record = found.get(&decision.id()).and_then(Lookup::found);
            if let (Some(record), Some(desired), true) = (record, &decision.desired, decision.changes.is_empty()) {
                decision.changes = pipeline.diff(desired, &record.properties);
            }
        }
        Ok(())
    }

    /// Notes the records that would exist or be gone, for the associations of pipelines that point at this one.
    async fn register_planned(&self, batch: &[Decision]) -> Result<(), StageError> {
        let leaving = batch.iter().filter(|decision| !decision.is_row());
        let leaving: Vec<(SalesforceId, HubspotId)> =
            leaving.filter_map(|decision| Some((decision.id(), decision.leaves()?.clone()))).collect();
        if !leaving.is_empty() {
            // By object and not by pipeline: associations of any pipeline may lead to the record.
            let name = leaving_directory(&self.cx.pipeline.target.object_type_id);
            self.cx.directory.add(&name, &leaving).await.map_err(StageError::at(StageName::Associate))?;
        }
        let made = batch.iter().filter(|decision| matches!(decision.action, Action::Create | Action::Restore));
        let standing = batch
            .iter()
            .filter(|decision| matches!(decision.action, Action::Unchanged | Action::Update | Action::Adopt));
        // A record that is yet to be made has an invented id, by which later pipelines can plan an association with
        // it.
        let planned = made.map(|decision| (decision.id(), planned_id(decision.id())));
        let known = standing.filter_map(|decision| Some((decision.id(), decision.hubspot_id.clone()?)));
        let entries: Vec<(SalesforceId, HubspotId)> = planned.chain(known).collect();
        if entries.is_empty() {
            return Ok(());
        }
        let name = planned_directory(&self.cx.pipeline.name);
        self.cx.directory.add(&name, &entries).await.map_err(StageError::at(StageName::Associate))?;
        Ok(())
    }

    /// The change as it is shown.
    fn describe(
        &self,
        action: PlannedAction,
        decision: &Decision,
        associations: Vec<PlannedAssociation>,
    ) -> PlannedChange {
        let reasons = match &decision.action {
            Action::Archive(exit) | Action::Keep(exit) => vec![exit_text(*exit).to_owned()],
            Action::Reject(reason) => vec![format!("{}: {}", reason.code, reason.message)],
            Action::Adopt => {
                decision.hubspot_id.iter().map(|record| format!("takes over HubSpot record {record}")).collect()
            }
            _ => Vec::new(),
        };
        let pipeline = &self.cx.pipeline;
        let changes = decision.changes.iter().map(|change| self.before_after(change));
        let properties = match (&decision.desired, action) {
            (Some(desired), PlannedAction::Create | PlannedAction::Restore) => {
                // A blank of a new record is nothing that would be written.
                let all = desired.on_create().filter(|(_, value)| !value.is_empty());
                let value = |text: &str, property: &str| pipeline.mask_property(property, text).into_owned();
                all.map(|(name, text)| (name.to_string(), BeforeAfter { before: None, after: Some(value(text, name)) }))
                    .collect()
            }
            _ => changes.collect(),
        };
        PlannedChange {
            action,
            salesforce_id: decision.id(),
            hubspot_id: decision.hubspot_id.clone(),
            title: pipeline.title(&decision.candidate.record),
            properties,
            associations,
            reasons,
        }
    }

    /// One property as a plan shows it: blanks are left out, sensitive values masked.
    fn before_after(&self, change: &PropertyChange) -> (String, BeforeAfter) {
        let mask = |value: &str| self.cx.pipeline.mask_property(&change.property, value).into_owned();
        let shown = |value: &Option<String>| value.as_deref().filter(|value| !value.is_empty()).map(mask);
        (change.property.to_string(), BeforeAfter { before: shown(&change.before), after: shown(&change.after) })
    }
}

impl DecisionSink for Forecast {
    fn deliver(&self, kind: BatchKind, batch: Vec<Decision>) -> BoxFuture<'_, Result<(), StageError>> {
        self.take(kind, batch).boxed()
    }

    fn count_read(&self, counts: ReadCounts) {
        let mut totals = self.totals();
        totals.tally.read += counts.read;
        totals.tally.unchanged += counts.unchanged;
        totals.tally.filtered += counts.filtered;
        totals.tally.waiting += counts.waiting;
        totals.waiting += counts.waiting;
        if counts.unchanged > 0 {
            *totals.actions.entry(PlannedAction::Unchanged).or_default() += counts.unchanged;
        }
    }

    fn save_position(&self, _rows: u64, cursor: Cursor) -> BoxFuture<'_, Result<(), StageError>> {
        // Nothing is saved by a dry run; the place is kept to be released at the end.
        self.totals().place = Some(cursor);
        std::future::ready(Ok(())).boxed()
    }
}

/// What would be seen of a decision; none for a record that does not belong, and for one that waits.
fn action_of(decision: &Decision, planned: &[PlannedAssociation]) -> Option<PlannedAction> {
    Some(match &decision.action {
        Action::Create => PlannedAction::Create,
        Action::Restore => PlannedAction::Restore,
        Action::Adopt => PlannedAction::Adopt,
        Action::Update => PlannedAction::Update,
        // The row of a junction object, which has no record.
        Action::Archive(_) if decision.is_row() => match planned.is_empty() {
            true => return None,
            false => PlannedAction::Associate,
        },
        Action::Archive(_) => PlannedAction::Archive,
        Action::Keep(_) => PlannedAction::Leave,
        Action::Reject(_) => PlannedAction::Reject,
        Action::Unchanged if planned.iter().any(|association| association.action != AssociationAction::Pending) => {
            PlannedAction::Associate
        }
        Action::Unchanged if !planned.is_empty() => PlannedAction::Pending,
        Action::Unchanged => PlannedAction::Unchanged,
        Action::Filter(_) | Action::StillFailing => return None,
    })
}

fn exit_text(exit: ExitReason) -> &'static str {
    match exit {
        ExitReason::Deleted => "deleted in Salesforce",
        ExitReason::FilterExit => "no longer matches `where`",
        ExitReason::Vanished => "no longer visible in Salesforce",
    }
}
