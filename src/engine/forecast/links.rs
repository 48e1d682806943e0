//! The links that a run would make, remove, or leave waiting.

use std::collections::{BTreeMap, HashMap, HashSet};

use jiff::Timestamp;

use super::sample::LookupRef;
use super::{Forecast, is_planned, planned_id};
use crate::engine::plan_entries;
use crate::model::association::{AssociationKey, AssociationState};
use crate::model::forecast::{LinkAction, PlannedLink};
use crate::model::ids::{HubspotId, SalesforceId};
use crate::plan::decide::{Action, Decision};
use crate::plan::links::{DueLink, plan};
use crate::ports::target::{BATCH_LINKS_MAX, ExistingLink};
use crate::stages::read::still_needed::still_needed;
use crate::stages::read::targets::{self, TargetMatch, leaving_directory};
use crate::stages::{StageError, StageName};

impl Forecast {
    /// What would happen to the links of these records.
    pub(super) async fn links(
        &self,
        batch: &[Decision],
    ) -> Result<HashMap<SalesforceId, Vec<PlannedLink>>, StageError> {
        let changing = |decision: &&Decision| !decision.wanted.is_empty() || decision.action == Action::Restore;
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
            let anew = decision.action == Action::Restore;
            let from = decision.hubspot_id.clone().filter(|_| !anew).unwrap_or_else(|| planned_id(id));
            for (key, wanted) in &decision.wanted {
                let before = known.remove(&(id, key.clone()));
                if before.as_ref().is_some_and(AssociationState::is_due) {
                    self.totals().replanned.insert((id, key.clone()));
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
    pub(super) async fn waiting_links(&self) -> Result<(), StageError> {
        let (mut after, mut tried) = (None, 0);
        while let Some((last, due)) = self.due_page(self.options.links_at, after).await? {
            after = Some(last);
            tried += due.len() as u64;
            let planned = self.plan_links(due).await?;
            if let Some(observer) = &self.options.observer {
                let done =
                    planned.iter().filter(|(_, links)| links.iter().any(|link| link.action != LinkAction::Pending));
                observer.observe(done.map(|(id, links)| plan_entries::of_links(*id, links)).collect()).await?;
            }
        }
        let (mut after, mut all) = (None, 0);
        while let Some((last, due)) = self.due_page(None, after).await? {
            after = Some(last);
            all += due.len() as u64;
        }
        self.totals().tally.pending_associations += all.saturating_sub(tried);
        Ok(())
    }

    /// A page of waiting links and its last place; without those that are counted with their record, or go with it.
    async fn due_page(
        &self,
        at: Option<Timestamp>,
        after: Option<LookupRef>,
    ) -> Result<Option<(LookupRef, Vec<(AssociationState, HubspotId)>)>, StageError> {
        let due = self.cx.state.due_associations(&self.cx.pipeline.name, at, after, BATCH_LINKS_MAX).await;
        let mut due = due.map_err(StageError::at(StageName::Associate))?;
        let Some(last) = due.last().map(|(state, _)| (state.salesforce_id, state.key.clone())) else { return Ok(None) };
        let totals = self.totals();
        let kept =
            |key: &AssociationKey| self.cx.pipeline.associations.iter().any(|association| association.key == *key);
        due.retain(|(state, _)| {
            kept(&state.key)
                && !totals.leaving.contains(&state.salesforce_id)
                && !totals.replanned.contains(&(state.salesforce_id, state.key.clone()))
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
                        // What HubSpot does not say is neither there nor not there: nothing of it changes.
                        self.totals().tally.failed_associations += u64::from(several.is_some());
                        self.totals().tally.pending_associations += 1;
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
        let from_object = &self.cx.pipeline.target.object_type_id;
        let mut existing: Vec<ExistingLink> = if from.is_empty() {
            Vec::new()
        } else {
            self.totals().extra_calls += u64::from(self.options.links_elsewhere);
            let read = self.cx.target.associations(from_object, object, &from).await;
            let read = read.map_err(StageError::at(StageName::Associate))?;
            read.into_iter().filter_map(|lookup| lookup.found().cloned()).flatten().collect()
        };
        // A link goes with the record at its other end, which a pipeline that runs before this one archives.
        let made: Vec<SalesforceId> = links.iter().filter_map(|link| Some(link.made.as_ref()?.target)).collect();
        let gone = self.cx.directory.find(&leaving_directory(object), &made).await;
        let gone: HashSet<HubspotId> =
            gone.map_err(StageError::at(StageName::Associate))?.into_values().flatten().collect();
        existing.retain(|link| !gone.contains(&link.to));
        let needed = still_needed(&self.cx, links).await?;
        let work = plan(links, &existing, &needed);
        let mut totals = self.totals();
        totals.tally.associated += work.make.len() as u64;
        totals.tally.disassociated += work.remove.len() as u64;
        *totals.batches.links.entry(object.to_owned()).or_default() += match self.options.links_elsewhere {
            true => (work.make.len() + work.remove.len()) as u64,
            false => links.len() as u64,
        };
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
}

fn planned_link(key: &AssociationKey, action: LinkAction, salesforce_id: Option<SalesforceId>) -> PlannedLink {
    PlannedLink { association: key.0.to_string(), action, salesforce_id }
}
