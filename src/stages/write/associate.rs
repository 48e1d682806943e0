//! Associate. In: the associations that state holds as due. Out: how many were made, removed, or wait. Effect: makes what lookups
//! ask for, and removes what Syncline made and nobody asks for any more. Its own durable step, after the records exist. Repeating
//! it is safe: what stands is looked up first, and what is about to be made is noted as ours before the call.

use std::sync::Arc;

use futures_util::StreamExt;
use futures_util::stream::FuturesUnordered;
use jiff::Timestamp;
use tracing::Instrument;

use crate::model::association::AssociationState;
use crate::model::ids::{HubspotId, SalesforceId};
use crate::ports::fault::Fault;
use crate::ports::state::LookupRef;
use crate::ports::target::BATCH_PAIRS_MAX;
use crate::stages::read::readings::SharedReadings;
use crate::stages::write::association_batch::{AssociationBatch, at};
use crate::stages::write::checkpoint::Checkpoint;
use crate::stages::write::turns::{PairTurns, Pairs, SourcePair};
use crate::stages::{StageContext, StageError, StageName, Writers};
use crate::sys::crash_point::crash_point;

/// How often all that is due is gone through.
/// The second settles what the first has put in doubt; what is left then comes with the next run.
const PASSES_MAX: usize = 2;

/// Most batches under way. Each has several calls on their way while it looks for records and for what stands, and one while it
/// makes associations: at 19 calls a second, answers may take half a second and the limit is still used in full.
const BATCHES_IN_FLIGHT_MAX: usize = 10;

/// As many are under way at least, however quick answers are: each holds some megabytes.
const BATCHES_IN_FLIGHT_MIN: usize = 4;

/// Associations with work left, each with the HubSpot id of its record.
type Due = Vec<(AssociationState, HubspotId)>;

/// Carries out the due associations of the pipeline, [`BATCH_PAIRS_MAX`] at a time: all of them, or those whose next try
/// has come at a time. What a removal has put in doubt is looked at in a second pass.
pub async fn drain(
    cx: &StageContext,
    writers: &Writers,
    checkpoint: &Checkpoint,
    at_time: Option<Timestamp>,
) -> Result<(), StageError> {
    crash_point!("associate.begun");
    let (turns, readings) = (PairTurns::default(), SharedReadings::of(cx));
    let drain = Drain { cx, writers, checkpoint, at_time, turns, readings };
    for pass in 0..PASSES_MAX {
        // What the first pass has removed itself, the second finds gone.
        if !drain.pass(cx.compare && pass == 0).await? {
            break;
        }
    }
    Ok(())
}

struct Drain<'a> {
    cx: &'a StageContext,
    writers: &'a Writers,
    checkpoint: &'a Checkpoint,
    at_time: Option<Timestamp>,
    turns: PairTurns,
    /// What was read of records from which rows of many pages lead.
    readings: Option<Arc<SharedReadings>>,
}

impl Drain<'_> {
    /// One pass through all that is due; whether it has put other lookups of the pipeline in doubt. On an error, batches under
    /// way are awaited, so that what they achieved is saved.
    async fn pass(&self, counts_lost: bool) -> Result<bool, StageError> {
        let mut in_flight = FuturesUnordered::new();
        let (mut after, mut reading, mut doubted) = (None, true, false);
        let error = loop {
            if self.cx.cancel.is_cancelled() {
                break at(Fault::Cancelled);
            }
            if reading && in_flight.len() < self.batches_under_way() {
                match self.page(&mut after).await {
                    Ok(due) if due.is_empty() => reading = false,
                    Ok(due) => {
                        let due = self.untried(due);
                        let marked = StageName::Associate.span(due.len());
                        in_flight.push(self.carry_out(due, counts_lost).instrument(marked));
                    }
                    Err(error) => break error,
                }
                continue;
            }
            match in_flight.next().await {
                None => return Ok(doubted),
                Some(Ok(more)) => doubted |= more,
                Some(Err(error)) => break error,
            }
        };
        while let Some(ended) = in_flight.next().await {
            if let Err(error) = ended {
                tracing::debug!(%error, "another batch of associations failed as well");
            }
        }
        Err(error)
    }

    /// Batches under way that use the rate limit in full.
    fn batches_under_way(&self) -> usize {
        (self.cx.target.calls_under_way() / 4).clamp(BATCHES_IN_FLIGHT_MIN, BATCHES_IN_FLIGHT_MAX)
    }

    /// The next page of what is due. A record's lookups stay together: two of them may lead to one record, whose labels are
    /// written by one call.
    async fn page(&self, after: &mut Option<LookupRef>) -> Result<Due, StageError> {
        let name = &self.cx.pipeline.name;
        let due = self.cx.state.due_associations(name, self.at_time, after.take(), BATCH_PAIRS_MAX).await;
        let mut due = due.map_err(at)?;
        // A full page may end within a record.
        if due.len() >= BATCH_PAIRS_MAX {
            let last = due.last().map(|(state, _)| state.salesforce_id);
            let whole = due.iter().take_while(|(state, _)| Some(state.salesforce_id) != last).count();
            // One record with more lookups than a page is carried out in parts, or it would never be.
            due.truncate(if whole > 0 { whole } else { due.len() });
        }
        *after = due.last().map(|(state, _)| (state.salesforce_id, state.key.clone()));
        crash_point!("associate.due_read");
        Ok(due)
    }

    /// Leaves out what the run has tried already.
    fn untried(&self, mut due: Due) -> Due {
        due.retain(|(state, _)| !self.checkpoint.has_tried(&(state.salesforce_id, state.key.clone())));
        due
    }

    /// Carries out a page; whether it has put other lookups of the pipeline in doubt.
    async fn carry_out(&self, due: Due, counts_lost: bool) -> Result<bool, StageError> {
        let pairs = self.pairs(&due).await?;
        let _turn = self.turns.take(pairs).await;
        let mut batch = AssociationBatch::new(self.cx, self.writers, self.checkpoint);
        batch.share(self.readings.clone());
        batch.due(due, counts_lost).await?;
        batch.save().await?;
        crash_point!("associate.saved");
        // Only there another lookup of the pipeline may ask for what was removed: the one from the other side.
        Ok(self.is_with_itself() && batch.has_removed())
    }

    /// Whether the pipeline associates its own object with itself.
    fn is_with_itself(&self) -> bool {
        let pipeline = &self.cx.pipeline;
        let first_end = pipeline.junction().map(|(from, _)| &from.key);
        let mut made = pipeline.associations.iter().filter(|association| Some(&association.key) != first_end);
        made.any(|association| **association.target.object_type_id() == *pipeline.target.object_type_id)
    }

    /// The pairs of records that lookups of another page may ask for as well: the two of one object, which are seen from both
    /// sides, and those that rows of a junction object lead to.
    async fn pairs(&self, due: &Due) -> Result<Pairs, StageError> {
        let pipeline = &self.cx.pipeline;
        let targets = |state: &AssociationState| {
            let settled = state.settled.as_ref().map(|settled| settled.asked.target);
            state.wanted.as_ref().map(|asked| asked.target).into_iter().chain(settled)
        };
        let Some((from, to)) = pipeline.junction() else {
            let own = due.iter().filter(|_| self.is_with_itself());
            let pairs = own.flat_map(|(state, _)| targets(state).map(|to| SourcePair::new(state.salesforce_id, to)));
            return Ok(pairs.collect());
        };
        let mut rows: Vec<SalesforceId> = due.iter().map(|(state, _)| state.salesforce_id).collect();
        rows.dedup();
        let mut ends = self.cx.state.associations(&pipeline.name, &rows).await.map_err(at)?;
        ends.sort_by_key(|state| state.salesforce_id);
        let mut pairs = Pairs::default();
        for row in ends.chunk_by(|one, other| one.salesforce_id == other.salesforce_id) {
            let of = |key| row.iter().filter(move |state| state.key == key).flat_map(targets);
            for first in of(from.key.clone()) {
                pairs.extend(of(to.key.clone()).map(|other| SourcePair::new(first, other)));
            }
        }
        Ok(pairs)
    }
}
