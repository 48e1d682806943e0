//! Counts the records that a run rejects for the first time, for `guard.reject`: ahead of the first write, and as it goes on.

use std::collections::HashSet;

use super::by_id::Rows;
use super::read_ahead;
use crate::model::failure::{FailureKind, Reason};
use crate::model::ids::SalesforceId;
use crate::plan::decide::{Action, Decision, LookupPurpose, Matched, Transformed, Unresolved};
use crate::plan::guard::{self, Allowance, Rejects};
use crate::ports::target::BATCH_RECORDS_MAX;
use crate::stages::read::extract::Candidates;
use crate::stages::read::matching::Match;
use crate::stages::read::resolve::Resolve;
use crate::stages::read::transform::Transform;
use crate::stages::{Stage, StageContext, StageError, StageName};

/// The same rows, after the first of them were judged: a run that would reject too many of those ends before it writes.
pub async fn guarded<'a>(cx: &'a StageContext, rows: Rows<'a>, allowance: Allowance) -> Result<Rows<'a>, StageError> {
    // A read that breaks off leaves its place, from which the next run goes on.
    let ahead = read_ahead::with_trouble(rows).await;
    let rejects = judge(cx, &ahead.rows).await?;
    if let Err(refusal) = guard::check_rejects(&rejects, &cx.pipeline.guard, allowance, false) {
        // The read is not gone on with, so the server need not keep its place.
        if let Some(place) = ahead.rows.iter().rev().find_map(|chunk| chunk.cursor.as_ref()) {
            cx.source.release(place).await;
        }
        return Err(StageError::at(StageName::Transform)(Box::new(refusal)));
    }
    Ok(ahead.all_rows())
}

/// How many of these rows the run would reject.
pub async fn judge(cx: &StageContext, rows: &[Candidates]) -> Result<Rejects, StageError> {
    let mut rejects = Rejects::default();
    for chunk in rows {
        rejects.looked += chunk.batch.len() as u64;
        let mut refused: Vec<(SalesforceId, Reason)> = Vec::new();
        let mut incomplete = Vec::new();
        for transformed in Transform.run(cx, chunk.batch.clone()).await? {
            match &transformed.desired {
                Some(Err(reason)) => refused.push((transformed.candidate.record.id, (**reason).clone())),
                // What HubSpot demands of a new record alone: whether it would be new is asked below, for these few.
                Some(Ok(desired)) if cx.pipeline.check_create(desired).is_err() => incomplete.push(transformed),
                Some(Ok(_)) | None => {}
            }
        }
        refused.extend(not_creatable(cx, incomplete).await?);
        count(cx, refused.iter().map(|(id, reason)| (*id, reason)), &mut rejects).await?;
    }
    if rejects.rejected > 0 {
        // What the portal says may have changed since it was remembered.
        cx.confirm().await.map_err(StageError::at(StageName::Transform))?;
    }
    Ok(rejects)
}

/// Of records that could not be created as they are, those that would have to be: HubSpot is asked which it holds.
async fn not_creatable(
    cx: &StageContext,
    incomplete: Vec<Transformed>,
) -> Result<Vec<(SalesforceId, Reason)>, StageError> {
    let mut asked: Vec<Unresolved> = Vec::new();
    for matched in Match.run(cx, incomplete).await? {
        match matched {
            Matched::Unresolved(unresolved) if matches!(unresolved.purpose, LookupPurpose::Write(_)) => {
                asked.push(unresolved);
            }
            Matched::Unresolved(_) | Matched::Decided(_) => {}
        }
    }
    let mut refused = Vec::new();
    while !asked.is_empty() {
        let batch = asked.drain(..asked.len().min(BATCH_RECORDS_MAX)).collect();
        let decisions = Resolve { turn: cx.adopters.turn() }.run(cx, batch).await?;
        refused.extend(decisions.iter().filter_map(rejected).map(|(id, reason)| (id, reason.clone())));
    }
    Ok(refused)
}

/// Of a batch of decisions, the records that are rejected for the first time.
pub async fn of_batch(cx: &StageContext, batch: &[Decision]) -> Result<Rejects, StageError> {
    let mut rejects = Rejects::default();
    count(cx, batch.iter().filter_map(rejected), &mut rejects).await?;
    Ok(rejects)
}

fn rejected(decision: &Decision) -> Option<(SalesforceId, &Reason)> {
    match &decision.action {
        Action::Reject(reason) => Some((decision.id(), reason)),
        _ => None,
    }
}

/// Counts rejected records. One that stands under `failures` is nothing new, so it counts on neither side.
async fn count<'a>(
    cx: &StageContext,
    refused: impl Iterator<Item = (SalesforceId, &'a Reason)>,
    rejects: &mut Rejects,
) -> Result<(), StageError> {
    let refused: Vec<(SalesforceId, &Reason)> = refused.collect();
    let mut known: HashSet<SalesforceId> = HashSet::new();
    if cx.failures_open && !refused.is_empty() {
        let ids: Vec<SalesforceId> = refused.iter().map(|(id, _)| *id).collect();
        let rows = cx.state.failures_of(&cx.pipeline.name, &ids).await.map_err(StageError::at(StageName::Match))?;
        // A failure of its associations says nothing of the record itself.
        let rejected = rows.iter().filter(|row| row.failure.reason.kind() == FailureKind::Record);
        known.extend(rejected.map(|row| row.failure.salesforce_id));
    }
    for (id, reason) in refused {
        match known.contains(&id) {
            true => rejects.known += 1,
            false => rejects.add(reason),
        }
    }
    Ok(())
}
