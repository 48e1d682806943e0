//! Drift of associations: those that were carried out and that HubSpot no longer holds.

use std::collections::BTreeMap;

use super::Forecast;
use crate::model::association::AssociationState;
use crate::model::forecast::{AssociationAction, PlannedAction, PlannedAssociation, PlannedChange};
use crate::model::ids::{HubspotId, SalesforceId};
use crate::plan::associations::DueLookup;
use crate::ports::state::StateError;
use crate::ports::target::BATCH_PAIRS_MAX;
use crate::stages::read::due::resolve;
use crate::stages::read::lost::{absent, lost, was_read};
use crate::stages::read::readings::Readings;
use crate::stages::{StageError, StageName};

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
            let rows = self
                .as_kept(page)
                .await?
                .into_iter()
                .filter(|(state, _)| !state.is_due() && Some(&state.key) != first_end);
            let rows = rows.map(|(state, from)| (AssociationState { recheck: true, ..state }, from)).collect();
            let mut readings = Readings::shared(self.readings.clone());
            let rows = self.without_replanned(rows);
            let resolved = resolve(&self.cx, rows, &mut readings).await?;
            let absent = absent(&resolved.waiting);
            for (object, lookups) in &resolved.by_object {
                let lost = lost(&self.cx, object, lookups, (&readings, &absent), was_read(&readings, object)).await?;
                self.note_lost(lost);
            }
        }
        let mut totals = self.totals();
        totals.looked_at_associations = true;
        // Asked for the plan's own sake: the run would not read these.
        totals.extra_calls += self.cx.target.calls().saturating_sub(calls);
        Ok(())
    }

    /// Notes associations that were carried out, are still asked for, and stand no longer; each with the record that it led to.
    pub(super) fn note_lost(&self, lost: Vec<(&DueLookup, SalesforceId)>) {
        let mut by_record: BTreeMap<SalesforceId, (HubspotId, Vec<PlannedAssociation>)> = BTreeMap::new();
        for (lookup, target) in lost {
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
        // Looked at again once more records are known, they would count twice.
        if totals.looks_again {
            return;
        }
        let drifted: usize = by_record.values().map(|(_, associations)| associations.len()).sum();
        totals.tally.drifted += if self.cx.compare { drifted as u64 } else { 0 };
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
    }
}

fn at(error: StateError) -> StageError {
    StageError::at(StageName::Associate)(error)
}
