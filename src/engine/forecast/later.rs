//! Associations that other records of the same command make possible: of lookups that wait for a record, or that led to one which is made
//! again. A run carries them out once the record stands, and its plan looks at them once it is known that the record would be made.
//! Effect: keeps what waits in the private state of the dry run.

use std::collections::{HashMap, HashSet};

use super::Forecast;
use super::makers::{Maker, maker_of};
use super::sample::{Planned, Rows};
use crate::model::association::AssociationState;
use crate::model::forecast::AssociationAction;
use crate::model::identity::{Identity, Membership, WrittenHash};
use crate::model::ids::{HubspotId, PipelineName, SalesforceId};
use crate::model::report::Tally;
use crate::plan::decide::{Action, Decision};
use crate::ports::state::{Commit, LookupRef, StateError};
use crate::ports::target::BATCH_PAIRS_MAX;
use crate::stages::read::targets::planned_id;
use crate::stages::{StageError, StageName};

impl Forecast {
    /// What is made here that lookups may lead to; none where that is nothing.
    pub fn maker(&self) -> Option<Maker> {
        let totals = self.totals();
        let name = self.cx.pipeline.name.clone();
        (totals.makes || totals.remakes).then_some(Maker { name, remakes: totals.remakes })
    }

    /// Looks again at lookups that wait for records of these pipelines, or that led to such as are made again.
    pub async fn look_again(&self, makers: &[Maker]) -> Result<(), StageError> {
        if !self.cx.pipeline.associations.iter().any(|association| maker_of(&association.target, makers).is_some()) {
            return Ok(());
        }
        let (calls, before) = (self.cx.target.calls(), self.totals().tally);
        let batches = self.totals().batches.clone();
        self.totals().looks_again = true;
        self.waiting_no_more(makers).await?;
        self.led_to_remade(makers).await?;
        let mut totals = self.totals();
        let after = totals.tally;
        let pairs = after.associated + after.disassociated - before.associated - before.disassociated;
        // What stands between two records is read before it is changed, in calls of their own.
        totals.later_calls += 2 * pairs.div_ceil(BATCH_PAIRS_MAX as u64);
        totals.batches = batches;
        totals.extra_calls += self.cx.target.calls().saturating_sub(calls);
        Ok(())
    }

    /// Keeps lookups that wait, until it is known which records the command makes. What was made of them before is taken back by then.
    pub(super) async fn keep_waiting(&self, rows: Vec<(AssociationState, HubspotId)>) -> Result<(), StageError> {
        let Some(waiting) = self.options.waiting.as_ref().filter(|_| !rows.is_empty()) else { return Ok(()) };
        let pipeline = &self.cx.pipeline;
        let rows = if pipeline.is_junction { self.with_both_ends(rows).await? } else { rows };
        let identity = |(state, from): &(AssociationState, HubspotId)| Identity {
            salesforce_id: state.salesforce_id,
            hubspot_id: from.clone(),
            hash: WrittenHash::NOTHING,
            mapping: pipeline.mapping_version,
            match_property: pipeline.target.match_property.clone(),
            membership: Membership::Live,
        };
        let commit = Commit::new(&waiting_name(&pipeline.name), &self.cx.run, self.cx.clock.now(), Tally::default());
        let commit = Commit {
            identities: rows.iter().map(identity).collect(),
            wanted: rows.into_iter().map(|(state, _)| (state.salesforce_id, state.key, state.wanted)).collect(),
            ..commit
        };
        waiting.commit(commit).await.map_err(at)
    }

    /// Rows of a junction object with the ends that are not at hand: the record that comes may be that of either.
    async fn with_both_ends(&self, mut rows: Rows) -> Result<Rows, StageError> {
        let at_hand: HashSet<LookupRef> =
            rows.iter().map(|(state, _)| (state.salesforce_id, state.key.clone())).collect();
        let records: HashMap<SalesforceId, HubspotId> =
            rows.iter().map(|(state, from)| (state.salesforce_id, from.clone())).collect();
        let ids: Vec<SalesforceId> = records.keys().copied().collect();
        let known = self.cx.state.associations(&self.cx.pipeline.name, &ids).await.map_err(at)?;
        let missing = known.into_iter().filter(|state| !at_hand.contains(&(state.salesforce_id, state.key.clone())));
        rows.extend(missing.filter_map(|state| {
            let from = records.get(&state.salesforce_id)?.clone();
            Some((state, from))
        }));
        Ok(rows)
    }

    /// Plans what waits for records that would be made.
    async fn waiting_no_more(&self, makers: &[Maker]) -> Result<(), StageError> {
        let Some(waiting) = &self.options.waiting else { return Ok(()) };
        let name = waiting_name(&self.cx.pipeline.name);
        let mut after: Option<LookupRef> = None;
        loop {
            let page = waiting.due_associations(&name, None, after, BATCH_PAIRS_MAX).await.map_err(at)?;
            let page = whole_records(page);
            let Some((last, _)) = page.last() else { return Ok(()) };
            after = Some((last.salesforce_id, last.key.clone()));
            let rows = self.leading_to(makers, page, made_directory, |_, _| true).await?;
            // Of a row of a junction object, whichever of its ends waits counts.
            let waited = match self.cx.pipeline.is_junction {
                true => rows.iter().map(|(state, _)| state.salesforce_id).collect::<HashSet<_>>().len(),
                false => rows.len(),
            };
            {
                let tally = &mut self.totals().tally;
                tally.pending_associations = tally.pending_associations.saturating_sub(waited as u64);
            }
            let planned = self.plan_associations(rows, false).await?;
            self.tell_of(&planned);
        }
    }

    /// Plans what was made with records that are made again as others. A run that looks at all that was ever carried out does so anyway.
    async fn led_to_remade(&self, makers: &[Maker]) -> Result<(), StageError> {
        let makers: Vec<Maker> = makers.iter().filter(|maker| maker.remakes).cloned().collect();
        let mut associations = self.cx.pipeline.associations.iter();
        if self.options.recheck || !associations.any(|association| maker_of(&association.target, &makers).is_some()) {
            return Ok(());
        }
        let mut after = None;
        loop {
            let page = self.cx.state.settled_associations(&self.cx.pipeline.name, after, BATCH_PAIRS_MAX).await;
            let page = page.map_err(at)?;
            let Some((last, _)) = page.last() else { return Ok(()) };
            after = Some((last.salesforce_id, last.key.clone()));
            let led = |state: &AssociationState, before: &[HubspotId]| {
                state.settled.as_ref().is_some_and(|settled| before.contains(&settled.to))
            };
            let rows = self.leading_to(&makers, self.as_kept(page).await?, remade_directory, led).await?;
            let rows =
                rows.into_iter().map(|(state, from)| (AssociationState { recheck: true, ..state }, from)).collect();
            let planned = self.plan_associations(self.without_replanned(rows), true).await?;
            self.tell_of(&planned);
        }
    }

    /// Of these lookups, those that ask for records which a directory of one of these pipelines names, and that fit; both ends of a row of a
    /// junction object where one does.
    async fn leading_to(
        &self,
        makers: &[Maker],
        mut rows: Rows,
        directory: fn(&PipelineName) -> String,
        fits: impl Fn(&AssociationState, &[HubspotId]) -> bool,
    ) -> Result<Rows, StageError> {
        let mut leading: HashSet<LookupRef> = HashSet::new();
        for association in &self.cx.pipeline.associations {
            let Some(Maker { name, .. }) = maker_of(&association.target, makers) else { continue };
            let mine = || rows.iter().map(|(state, _)| state).filter(|state| state.key == association.key);
            let asked: Vec<SalesforceId> = mine().filter_map(|state| Some(state.wanted.as_ref()?.target)).collect();
            let named = self.cx.directory.find(&directory(name), &asked).await.map_err(at)?;
            let fitting = mine().filter(|state| {
                let named = state.wanted.as_ref().and_then(|asked| named.get(&asked.target));
                named.is_some_and(|records| fits(state, records))
            });
            leading.extend(fitting.map(|state| (state.salesforce_id, state.key.clone())));
        }
        let records: HashSet<SalesforceId> = leading.iter().map(|(id, _)| *id).collect();
        rows.retain(|(state, _)| match self.cx.pipeline.is_junction {
            true => records.contains(&state.salesforce_id),
            false => leading.contains(&(state.salesforce_id, state.key.clone())),
        });
        Ok(rows)
    }

    /// Says of each change in the sample which of its lookups do not wait in the end.
    fn tell_of(&self, planned: &Planned) {
        let mut totals = self.totals();
        for change in &mut totals.changes {
            let Some(entries) = planned.get(&change.salesforce_id) else { continue };
            let made = |key: &str| {
                entries.iter().any(|entry| entry.association == key && entry.action == AssociationAction::Associate)
            };
            let waiting =
                change.associations.iter_mut().filter(|association| association.action == AssociationAction::Pending);
            waiting.filter(|association| made(&association.association)).for_each(|association| {
                association.action = AssociationAction::Associate;
            });
        }
    }

    /// Notes which records a run would make, and which it makes again as others, for lookups that lead to them.
    pub(super) async fn note_made(&self, batch: &[Decision]) -> Result<(), StageError> {
        if !self.options.is_led_to {
            return Ok(());
        }
        let name = &self.cx.pipeline.name;
        let made = batch
            .iter()
            .filter(|decision| matches!(decision.action, Action::Create | Action::Restore | Action::Adopt))
            .map(|decision| (decision.id(), record_after(decision)));
        let made: Vec<(SalesforceId, HubspotId)> = made.collect();
        if !made.is_empty() {
            self.cx.directory.add(&made_directory(name), &made).await.map_err(at)?;
        }
        let standing = batch.iter().filter(|decision| decision.identity.is_some() && !decision.is_row());
        let now: HashMap<SalesforceId, HubspotId> =
            standing.map(|decision| (decision.id(), record_after(decision))).collect();
        let ids: Vec<SalesforceId> = now.keys().copied().collect();
        let before = self.cx.state.identities(name, &ids).await.map_err(at)?;
        let others = before.into_iter().filter(|(id, identity)| now.get(id) != Some(&identity.hubspot_id));
        let remade: Vec<(SalesforceId, HubspotId)> = others.map(|(id, identity)| (id, identity.hubspot_id)).collect();
        if !remade.is_empty() {
            self.cx.directory.add(&remade_directory(name), &remade).await.map_err(at)?;
        }
        let mut totals = self.totals();
        totals.makes |= !made.is_empty();
        totals.remakes |= !remade.is_empty();
        Ok(())
    }
}

/// The record that a decision leaves.
fn record_after(decision: &Decision) -> HubspotId {
    decision.hubspot_id.clone().unwrap_or_else(|| planned_id(decision.id()))
}

/// Without the last record of a full page, whose other lookups may be on the next.
fn whole_records(mut page: Rows) -> Rows {
    if page.len() >= BATCH_PAIRS_MAX {
        let last = page.last().map(|(state, _)| state.salesforce_id);
        let whole = page.iter().take_while(|(state, _)| Some(state.salesforce_id) != last).count();
        page.truncate(if whole > 0 { whole } else { page.len() });
    }
    page
}

fn waiting_name(pipeline: &PipelineName) -> PipelineName {
    PipelineName::new(format!("waiting:{pipeline}"))
}

fn made_directory(pipeline: &PipelineName) -> String {
    format!("made:{pipeline}")
}

fn remade_directory(pipeline: &PipelineName) -> String {
    format!("remade:{pipeline}")
}

fn at(error: StateError) -> StageError {
    StageError::at(StageName::Associate)(error)
}
