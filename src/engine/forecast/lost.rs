//! Drift of associations: those that were carried out and that HubSpot no longer holds.

use std::collections::{BTreeMap, HashMap, HashSet};
use std::sync::Arc;

use super::Forecast;
use crate::model::association::{Asked, AssociationState, LabelId};
use crate::model::forecast::{AssociationAction, PlannedAction, PlannedAssociation, PlannedChange};
use crate::model::identity::Membership;
use crate::model::ids::{HubspotId, SalesforceId};
use crate::pipeline::compiled::AssociationTarget;
use crate::plan::associations::{DueLookup, Pair};
use crate::ports::state::{LookupRef, StateError};
use crate::ports::target::BATCH_PAIRS_MAX;
use crate::stages::read::associations::Waiting;
use crate::stages::read::due::resolve;
use crate::stages::read::readings::Readings;
use crate::stages::read::targets::leaving_directory;
use crate::stages::{StageError, StageName};

/// Lookups whose record is not in HubSpot, and what they point at.
pub(super) type Absent = HashMap<LookupRef, SalesforceId>;

/// Those of what waits.
pub(super) fn absent(waiting: &[(LookupRef, SalesforceId, Waiting)]) -> Absent {
    let absent = waiting.iter().filter(|(.., why)| *why == Waiting::NotThere);
    absent.map(|(lookup, target, _)| (lookup.clone(), *target)).collect()
}

impl Forecast {
    /// Looks at all associations that were carried out, where the run itself does not.
    pub async fn lost_associations(&self) -> Result<(), StageError> {
        if self.options.recheck {
            return Ok(());
        }
        let calls = self.cx.target.calls();
        let mut after = None;
        loop {
            let page = self.cx.state.settled_associations(&self.cx.pipeline.name, after, BATCH_PAIRS_MAX).await;
            let page = page.map_err(at)?;
            let Some((last, _)) = page.last() else { break };
            after = Some((last.salesforce_id, last.key.clone()));
            let first_end = self.cx.pipeline.junction().map(|(from, _)| &from.key);
            let rows = page.into_iter().filter(|(state, _)| !state.is_due() && Some(&state.key) != first_end);
            let rows = rows.map(|(state, from)| (AssociationState { recheck: true, ..state }, from)).collect();
            let mut readings = Readings::shared(self.readings.clone());
            let rows = self.without_replanned(rows);
            let resolved = resolve(&self.cx, rows, &mut readings, &self.listed()).await?;
            let absent = absent(&resolved.waiting);
            for (object, lookups) in &resolved.by_object {
                self.note_lost(object, lookups, &readings, &absent).await?;
            }
        }
        let mut totals = self.totals();
        totals.looked_at_associations = true;
        // Asked for the plan's own sake: the run would not read these.
        totals.extra_calls += self.cx.target.calls().saturating_sub(calls);
        Ok(())
    }

    /// Notes what was carried out of these lookups, is still asked for, and stands no longer. What was read of their records says so.
    pub(super) async fn note_lost(
        &self,
        object: &Arc<str>,
        lookups: &[DueLookup],
        readings: &Readings,
        absent: &Absent,
    ) -> Result<(), StageError> {
        let stands = |pair: &Pair, asked: &Asked| {
            let types = readings.types(object, pair);
            let typed = |label: &LabelId| types.iter().flatten().any(|kind| kind.id() == *label);
            types.is_some() && asked.label.as_ref().is_none_or(typed)
        };
        let lost = |lookup: &DueLookup| {
            let settled = lookup.settled.as_ref()?;
            let is_asked = match &lookup.wanted {
                Some((asked, _)) => *asked == settled.asked,
                None => absent.get(&(lookup.salesforce_id, lookup.key.clone())) == Some(&settled.asked.target),
            };
            // Of a record that was made again, the one before was lost, and not its associations.
            let same = settled.from == lookup.from && settled.to_object == *object;
            // HubSpot names the record that another one was merged into.
            let stands = || {
                let mut pairs = lookup.pair().into_iter().chain(lookup.pair_before());
                pairs.any(|pair| stands(&pair, &settled.asked))
            };
            let found = is_asked && same && readings.is_answered(object, &lookup.from) && !stands();
            found.then_some(settled.asked.target)
        };
        let lost: Vec<(&DueLookup, SalesforceId)> =
            lookups.iter().filter_map(|lookup| Some((lookup, lost(lookup)?))).collect();
        if lost.is_empty() {
            return Ok(());
        }
        let own_work = self.archived_by_syncline(object, &lost).await?;
        let mut by_record: BTreeMap<SalesforceId, (HubspotId, Vec<PlannedAssociation>)> = BTreeMap::new();
        for (lookup, target) in lost.into_iter().filter(|(_, target)| !own_work.contains(target)) {
            let association = PlannedAssociation {
                association: lookup.key.0.to_string(),
                action: AssociationAction::Lost,
                salesforce_id: Some(target),
            };
            let (_, associations) =
                by_record.entry(lookup.salesforce_id).or_insert_with(|| (lookup.from.clone(), Vec::new()));
            associations.push(association);
        }
        let mut totals = self.totals();
        for (id, (record, associations)) in by_record {
            totals.lost_associations += associations.len() as u64;
            totals.offer(PlannedAction::Drift, &self.options, || PlannedChange {
                action: PlannedAction::Drift,
                salesforce_id: id,
                hubspot_id: Some(record).filter(|_| !self.cx.pipeline.is_junction),
                // What Salesforce says of the record was not read for this.
                title: id.to_string(),
                properties: BTreeMap::new(),
                associations,
                reasons: Vec::new(),
            });
        }
        Ok(())
    }

    /// Of the records that these lookups point at, those that Syncline archived, or would by then: their associations went with them.
    async fn archived_by_syncline(
        &self,
        object: &Arc<str>,
        lost: &[(&DueLookup, SalesforceId)],
    ) -> Result<HashSet<SalesforceId>, StageError> {
        let targets: Vec<SalesforceId> = lost.iter().map(|(_, target)| *target).collect();
        let leaving = self.cx.directory.find(&leaving_directory(object), &targets).await.map_err(at)?;
        let mut archived: HashSet<SalesforceId> = leaving.into_keys().collect();
        for association in &self.cx.pipeline.associations {
            let AssociationTarget::Pipeline { name, object_type_id } = &association.target else { continue };
            if object_type_id == object {
                let known = self.cx.state.identities(name, &targets).await.map_err(at)?;
                let gone = known.into_iter().filter(|(_, identity)| identity.membership == Membership::Archived);
                archived.extend(gone.map(|(id, _)| id));
            }
        }
        Ok(archived)
    }
}

fn at(error: StateError) -> StageError {
    StageError::at(StageName::Associate)(error)
}
