//! The associations that a run would make, remove, or leave waiting.

use std::collections::{HashMap, HashSet};
use std::sync::Arc;

use super::Forecast;
use super::sample::{Planned, Rows};
use crate::engine::plan_entries;
use crate::model::association::{Asked, AssociationKey, AssociationState};
use crate::model::forecast::{AssociationAction, PlannedAssociation};
use crate::model::ids::SalesforceId;
use crate::pipeline::compiled::{Association, AssociationTarget};
use crate::plan::associations::{AssociationPlan, DueLookup, PairViews, plan};
use crate::plan::decide::{Action, Decision};
use crate::ports::state::{LookupRef, StateError};
use crate::ports::target::BATCH_PAIRS_MAX;
use crate::stages::read::associations::{Resolved, Waiting, forget_leaving, views};
use crate::stages::read::due::resolve;
use crate::stages::read::lost::{self, Absent};
use crate::stages::read::planned_pairs;
use crate::stages::read::readings::Readings;
use crate::stages::read::targets::{is_planned, planned_directory, planned_id};
use crate::stages::{StageError, StageName};

impl Forecast {
    /// What would happen to the associations of these records.
    pub(super) async fn associations(&self, batch: &[Decision]) -> Result<Planned, StageError> {
        let changing = |decision: &&Decision| !decision.wanted.is_empty() || is_made_again(decision);
        let changing: Vec<&Decision> = batch.iter().filter(changing).collect();
        let ids: Vec<SalesforceId> = changing.iter().map(|decision| decision.id()).collect();
        if ids.is_empty() {
            return Ok(HashMap::new());
        }
        let known = self.cx.state.associations(&self.cx.pipeline.name, &ids).await;
        let mut known: HashMap<LookupRef, AssociationState> = known
            .map_err(StageError::at(StageName::Associate))?
            .into_iter()
            .map(|state| ((state.salesforce_id, state.key.clone()), state))
            .collect();
        let mut states = Vec::new();
        for decision in changing {
            let id = decision.id();
            let anew = is_made_again(decision);
            let from = decision.hubspot_id.clone().filter(|_| !anew).unwrap_or_else(|| planned_id(id));
            for (key, wanted) in &decision.wanted {
                let before = known.remove(&(id, key.clone()));
                // Noted, as it would otherwise be counted once more with those that wait. One that the state does not know is not among
                // those, and there may be millions.
                if before.as_ref().is_some_and(|state| self.options.recheck || state.is_due()) {
                    self.totals().replanned.insert((id, key.clone()));
                }
                states.push((again(id, key, wanted.clone(), before, anew), from.clone()));
            }
            if anew {
                // A restored record has lost the associations whose lookups did not change, too.
                let unchanged = known.values().filter(|state| state.salesforce_id == id && state.wanted.is_some());
                let unchanged: Vec<AssociationState> =
                    unchanged.map(|state| again(id, &state.key, state.wanted.clone(), None, true)).collect();
                self.totals().replanned.extend(unchanged.iter().map(|state| (id, state.key.clone())));
                states.extend(unchanged.into_iter().map(|state| (state, from.clone())));
            }
            // Both ends of a row are planned together.
            if self.cx.pipeline.is_junction {
                let keys: Vec<LookupRef> = known.keys().filter(|(row, _)| *row == id).cloned().collect();
                for key in keys {
                    let Some(state) = known.remove(&key) else { continue };
                    self.totals().replanned.insert(key);
                    states.push((state, from.clone()));
                }
            }
        }
        self.plan_associations(states, false).await
    }

    /// Associations that wait since earlier runs and could be made now; those whose next try is later just wait. Where the run
    /// looks at all that was ever carried out, so does its plan.
    pub(super) async fn waiting_associations(&self) -> Result<(), StageError> {
        let name = &self.cx.pipeline.name;
        let mut after: Option<LookupRef> = None;
        loop {
            let page = self.cx.state.due_associations(name, None, after.clone(), BATCH_PAIRS_MAX).await.map_err(at)?;
            let Some((last, _)) = page.last() else { break };
            let last = (last.salesforce_id, last.key.clone());
            let tried = match self.options.associations_at {
                None => None,
                Some(time) => {
                    let due =
                        self.cx.state.due_associations(name, Some(time), after, BATCH_PAIRS_MAX).await.map_err(at)?;
                    Some(due.into_iter().map(|(state, _)| (state.salesforce_id, state.key)).collect::<HashSet<_>>())
                }
            };
            after = Some(last);
            let waiting =
                self.without_replanned(self.as_kept(page).await?).into_iter().filter(|(state, _)| state.is_due());
            let (tried, later): (Rows, Rows) = waiting.partition(|(state, _)| match &tried {
                None => true,
                Some(tried) => tried.contains(&(state.salesforce_id, state.key.clone())),
            });
            self.totals().tally.pending_associations += later.len() as u64;
            // A record that comes wakes those whose next try is later.
            self.keep_waiting(later).await?;
            if self.options.recheck {
                self.take_along_second_ends(&tried).await?;
            }
            self.plan_page(tried, false).await?;
        }
        if self.options.recheck { self.settled_associations().await } else { Ok(()) }
    }

    /// Of rows of a junction object that are planned for their first end alone, the second one comes along, and not once more with what was
    /// carried out before.
    async fn take_along_second_ends(&self, rows: &Rows) -> Result<(), StageError> {
        let Some((from, to)) = self.cx.pipeline.junction() else { return Ok(()) };
        let ids: Vec<SalesforceId> =
            rows.iter().filter(|(state, _)| state.key == from.key).map(|(state, _)| state.salesforce_id).collect();
        if ids.is_empty() {
            return Ok(());
        }
        let known = self.cx.state.associations(&self.cx.pipeline.name, &ids).await.map_err(at)?.into_iter();
        // One with work left brings its row along, with this page or the next.
        let along = known.filter(|state| state.key == to.key && !state.is_due());
        self.totals().replanned.extend(along.map(|state| (state.salesforce_id, state.key)));
        Ok(())
    }

    /// What was carried out before and is looked at again.
    async fn settled_associations(&self) -> Result<(), StageError> {
        let mut after = None;
        loop {
            let page = self.cx.state.settled_associations(&self.cx.pipeline.name, after, BATCH_PAIRS_MAX).await;
            let page = page.map_err(StageError::at(StageName::Associate))?;
            let Some((last, _)) = page.last() else { return Ok(()) };
            after = Some((last.salesforce_id, last.key.clone()));
            let first_end = self.cx.pipeline.junction().map(|(from, _)| &from.key);
            // The first end of a row is planned with its second one.
            let rows = self.as_kept(page).await?.into_iter();
            let rows = rows.filter(|(state, _)| !state.is_due() && Some(&state.key) != first_end);
            let rows = rows.map(|(state, from)| (AssociationState { recheck: true, ..state }, from)).collect();
            self.plan_page(self.without_replanned(rows), true).await?;
        }
    }

    /// What only waits is no part of a saved plan: whether it still waits depends on other pipelines.
    async fn plan_page(&self, rows: Rows, rechecked: bool) -> Result<(), StageError> {
        let planned = self.plan_associations(rows, rechecked).await?;
        let Some(observer) = &self.options.observer else { return Ok(()) };
        let done = planned.iter().filter(|(_, associations)| {
            associations.iter().any(|association| association.action != AssociationAction::Pending)
        });
        observer
            .observe(done.map(|(id, associations)| plan_entries::of_associations(*id, associations)).collect())
            .await
    }

    /// A page of lookups as the run has them once it has begun: of an association whose label has changed, what was carried out is kept under the
    /// new key, and what was left to do is not. A record that stands as another than the remembered one leads on from that one.
    pub(super) async fn as_kept(&self, mut rows: Rows) -> Result<Rows, StageError> {
        rows.retain_mut(|(state, _)| {
            let Some(new) = self.options.relabelled.get(&state.key) else { return true };
            state.key.clone_from(new);
            state.wanted = state.settled.as_ref().map(|settled| settled.asked.clone());
            state.recheck = false;
            state.settled.is_some()
        });
        let mut ids: Vec<SalesforceId> = rows.iter().map(|(state, _)| state.salesforce_id).collect();
        ids.dedup();
        let name = planned_directory(&self.cx.pipeline.name);
        let standing = self.cx.directory.find(&name, &ids).await.map_err(at)?;
        for (state, from) in &mut rows {
            let now = standing.get(&state.salesforce_id).and_then(|records| records.iter().find(|id| !is_planned(id)));
            now.into_iter().for_each(|now| from.clone_from(now));
        }
        Ok(rows)
    }

    /// A page of lookups without those that are counted with their record, or go with it.
    pub(super) fn without_replanned(&self, mut rows: Rows) -> Rows {
        // A row counts once, whichever of its ends waits.
        if let Some((_, to)) = self.cx.pipeline.junction() {
            let whole: HashSet<SalesforceId> =
                rows.iter().filter(|(state, _)| state.key == to.key).map(|(state, _)| state.salesforce_id).collect();
            rows.retain(|(state, _)| state.key == to.key || !whole.contains(&state.salesforce_id));
        }
        let totals = self.totals();
        // An association that the definition no longer has is left as it is.
        let kept =
            |key: &AssociationKey| self.cx.pipeline.associations.iter().any(|association| association.key == *key);
        rows.retain(|(state, _)| {
            kept(&state.key)
                && !totals.leaving.contains(&state.salesforce_id)
                && !totals.replanned.contains(&(state.salesforce_id, state.key.clone()))
        });
        rows
    }

    /// What would become of these lookups. With `rechecked`, they were carried out before.
    pub(super) async fn plan_associations(&self, mut rows: Rows, rechecked: bool) -> Result<Planned, StageError> {
        let mut planned = Planned::new();
        if rows.is_empty() {
            return Ok(planned);
        }
        // The run has marked all that was carried out, whatever else is to be done of it: it believes no remembered record there.
        for (state, _) in &mut rows {
            state.recheck |= self.options.recheck && state.settled.is_some();
        }
        let mut may_wait = self.may_wait(&rows);
        let mut readings = Readings::shared(self.readings.clone());
        // A record that is yet to be made has no associations.
        for association in &self.cx.pipeline.associations {
            let made = rows.iter().filter(|(_, from)| is_planned(from));
            made.for_each(|(_, from)| readings.assume_none(association.target.object_type_id(), from));
        }
        let calls = self.cx.target.calls();
        let resolved = resolve(&self.cx, rows, &mut readings).await?;
        if self.options.associations_elsewhere {
            self.totals().extra_calls += self.cx.target.calls().saturating_sub(calls);
        }
        let Resolved { by_object, remnants, waiting, first_ends, .. } = resolved;
        let absent = lost::absent(&waiting);
        let rows: HashSet<SalesforceId> = absent.keys().map(|(id, _)| *id).collect();
        may_wait.retain(|(state, _)| match self.cx.pipeline.is_junction {
            true => rows.contains(&state.salesforce_id),
            false => absent.contains_key(&(state.salesforce_id, state.key.clone())),
        });
        self.keep_waiting(may_wait).await?;
        for ((id, key), target, why) in waiting {
            // What HubSpot does not say is neither there nor not there: nothing of it changes.
            self.totals().tally.failed_associations += u64::from(!matches!(why, Waiting::NotThere | Waiting::NotShown));
            self.totals().tally.pending_associations += 1;
            let association = planned_association(&key, AssociationAction::Pending, Some(target));
            planned.entry(id).or_default().push(association);
        }
        for (object, lookups) in remnants.into_iter().chain(by_object) {
            let (work, views) =
                self.object(&object, &lookups, &mut readings, (rechecked, &absent), &mut planned).await?;
            if self.options.meets {
                let near = |lookup: &DueLookup| match self.cx.pipeline.is_junction {
                    true => first_ends.get(&lookup.salesforce_id)?.as_ref().map(|(asked, _)| asked.target),
                    false => Some(lookup.salesforce_id),
                };
                planned_pairs::note(&self.cx, &object, &lookups, (&work, &views), near).await?;
            }
        }
        Ok(planned)
    }

    /// Those of these lookups that may have to wait for a pipeline of the same command.
    fn may_wait(&self, rows: &Rows) -> Rows {
        if self.options.waiting.is_none() {
            return Vec::new();
        }
        let associations = &self.cx.pipeline.associations;
        let awaits = |association: &&Association| matches!(association.target, AssociationTarget::Pipeline { .. });
        let keys: HashSet<&AssociationKey> =
            associations.iter().filter(awaits).map(|association| &association.key).collect();
        // Both ends of a row of a junction object wait together.
        let whole = self.cx.pipeline.is_junction && !keys.is_empty();
        rows.iter().filter(|(state, _)| whole || keys.contains(&state.key)).cloned().collect()
    }

    async fn object(
        &self,
        object: &Arc<str>,
        lookups: &[DueLookup],
        readings: &mut Readings,
        (rechecked, absent): (bool, &Absent),
        planned: &mut Planned,
    ) -> Result<(AssociationPlan, PairViews), StageError> {
        let calls = self.cx.target.calls();
        let ends = lookups.iter().flat_map(|lookup| {
            std::iter::once(&lookup.from).chain(lookup.settled.as_ref().map(|settled| &settled.from))
        });
        // What stands between two records is read before it is planned, as the run does.
        let unread = readings.unread(object, ends);
        readings.read(&self.cx, object, unread).await?;
        if self.options.associations_elsewhere {
            self.totals().extra_calls += self.cx.target.calls().saturating_sub(calls);
        }
        // An association goes with the record at its other end, which a pipeline that runs before this one archives.
        let settled = lookups.iter().filter_map(|lookup| Some(lookup.settled.as_ref()?.asked.target)).collect();
        forget_leaving(&self.cx, object, settled, readings).await?;
        let views = views(&self.cx, object, lookups, readings).await?;
        if self.options.recheck {
            let seen = lost::is_seen(&views);
            self.note_lost(lost::lost(&self.cx, object, lookups, (readings, absent), seen).await?);
        }
        let work = plan(lookups, &views, object);
        let mut totals = self.totals();
        totals.tally.associated += work.make.len() as u64;
        let pairs = work.remove.iter().map(|change| change.key);
        totals.tally.disassociated += match self.cx.pipeline.is_junction {
            true => pairs.filter(|pair| totals.removed.insert(*pair)).count() as u64,
            false => pairs.len() as u64,
        };
        let pairs = totals.batches.associations.entry(object.to_string()).or_default();
        if self.options.associations_elsewhere || rechecked {
            pairs.of_others += (work.make.len() + work.remove.len()) as u64;
        // Of records that are made here nothing is read, so they cost fewer calls.
        } else {
            let made = lookups.iter().filter(|lookup| is_planned(&lookup.from)).count();
            pairs.of_made += made as u64;
            pairs.of_others += (lookups.len() - made) as u64;
        }
        for (lookup, result) in lookups.iter().zip(&work.results) {
            let mut entries = Vec::new();
            if result.removes.is_some() {
                let old = lookup.settled.as_ref().map(|settled| settled.asked.target);
                entries.push(planned_association(&lookup.key, AssociationAction::Disassociate, old));
            }
            if result.waits_for.is_some() {
                let target = lookup.wanted.as_ref().map(|(asked, _)| asked.target);
                entries.push(planned_association(&lookup.key, AssociationAction::Associate, target));
            }
            if !rechecked || !entries.is_empty() {
                planned.entry(lookup.salesforce_id).or_default().extend(entries);
            }
        }
        drop(totals);
        Ok((work, views))
    }
}

/// Whether a record takes the place of one that was there before: what led to and from that one is made anew.
fn is_made_again(decision: &Decision) -> bool {
    decision.action == Action::Restore || (decision.lost.is_some() && decision.writes())
}

/// A lookup as the run would find it. A record that is made again has no associations yet.
fn again(
    id: SalesforceId,
    key: &AssociationKey,
    wanted: Option<Asked>,
    before: Option<AssociationState>,
    anew: bool,
) -> AssociationState {
    let (settled, recheck) = before.map_or((None, false), |state| (state.settled, state.recheck));
    let settled = settled.filter(|_| !anew);
    AssociationState { salesforce_id: id, key: key.clone(), wanted, settled, recheck }
}

fn planned_association(
    key: &AssociationKey,
    action: AssociationAction,
    salesforce_id: Option<SalesforceId>,
) -> PlannedAssociation {
    PlannedAssociation { association: key.0.to_string(), action, salesforce_id }
}

fn at(error: StateError) -> StageError {
    StageError::at(StageName::Associate)(error)
}
