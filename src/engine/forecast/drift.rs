//! Drift: what someone changed in HubSpot of what Syncline wrote. A run leaves it as it is; a plan can tell of it.

use futures_util::StreamExt;
use futures_util::stream::BoxStream;

use super::Forecast;
use crate::config::pipeline::Mode;
use crate::model::forecast::{PlannedAction, PlannedChange};
use crate::model::ids::SalesforceId;
use crate::plan::decide::{Action, Decision, Matched};
use crate::ports::target::{BATCH_RECORDS_MAX, Lookup};
use crate::stages::read::extract::Candidates;
use crate::stages::read::lookup::by_match;
use crate::stages::read::matching::Match;
use crate::stages::read::transform::Transform;
use crate::stages::{Stage, StageError, StageName};

impl Forecast {
    /// Compares HubSpot with what it should hold, for all rows that state takes for unchanged.
    pub async fn drift(&self, mut rows: BoxStream<'_, Result<Candidates, StageError>>) -> Result<(), StageError> {
        let read = self.totals().place.take();
        if let Some(place) = read {
            self.cx.source.release(&place).await;
        }
        let calls = self.cx.source.calls();
        let mut unchanged: Vec<Decision> = Vec::new();
        while let Some(chunk) = rows.next().await {
            let chunk = chunk?;
            if let Some(cursor) = chunk.cursor {
                self.totals().place = Some(cursor);
            }
            let transformed = Transform.run(&self.cx, chunk.batch).await?;
            for matched in Match.run(&self.cx, transformed).await? {
                match matched {
                    // In `create_only`, what Salesforce says now is not what was written.
                    Matched::Decided(decision)
                        if decision.action == Action::Unchanged
                            && decision.desired.is_some()
                            && self.cx.pipeline.mode != Mode::CreateOnly =>
                    {
                        unchanged.push(decision)
                    }
                    Matched::Decided(_) | Matched::Unresolved(_) => {}
                }
            }
            // Full batches, as each is one call whatever it holds.
            while unchanged.len() >= BATCH_RECORDS_MAX {
                let batch = unchanged.drain(..BATCH_RECORDS_MAX).collect();
                self.compare(batch).await?;
            }
        }
        self.totals().extra_source_calls += self.cx.source.calls().saturating_sub(calls);
        self.compare(unchanged).await
    }

    /// Finds the records of a batch that are no longer as they were written.
    async fn compare(&self, batch: Vec<Decision>) -> Result<(), StageError> {
        if batch.is_empty() {
            return Ok(());
        }
        let pipeline = &self.cx.pipeline;
        let ids: Vec<SalesforceId> = batch.iter().map(Decision::id).collect();
        let found = by_match(&self.cx, &ids, &pipeline.properties, StageName::Match).await?;
        let mut totals = self.totals();
        // Asked for the plan's own sake: the run would not read these.
        totals.extra_calls += 1;
        for mut decision in batch {
            let Some(desired) = &decision.desired else { continue };
            let reason = match found.get(&decision.id()) {
                // Without an answer there is no drift to speak of.
                None | Some(Lookup::Unknown) => continue,
                Some(Lookup::Absent) => "archived or merged in HubSpot",
                Some(Lookup::Found(record)) => {
                    decision.changes = pipeline.diff(desired, &record.properties);
                    if decision.changes.is_empty() {
                        continue;
                    }
                    "changed in HubSpot"
                }
            };
            let action = PlannedAction::Drift;
            *totals.actions.entry(action).or_default() += 1;
            totals.offer(action, &self.options, || {
                let change = self.describe(action, &decision, Vec::new());
                PlannedChange { reasons: vec![reason.to_owned()], ..change }
            });
        }
        Ok(())
    }
}
