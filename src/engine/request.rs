//! What a run is asked to do, and what its parts have in common.

use std::sync::Arc;

use super::budget::Limits;
use super::deliver::{Deliver, LongRead};
use super::plan_entries::{PlanEntries, PlannedOnly};
use super::runner::{self, DecisionSink};
use super::stop::StopReason;
use super::{unconfirmed, visited};
use crate::model::alert::AlertTerms;
use crate::model::report::{RunProgress, RunScope, Trial};
use crate::plan::guard::{self, Allowance, Impact};
use crate::stages::write::checkpoint::Checkpoint;
use crate::stages::{StageContext, StageError, Writers};

/// What a run needs besides its context.
#[derive(Clone)]
pub struct RunRequest {
    /// Which records it is about.
    pub scope: RunScope,
    /// What a person allowed for this one run.
    pub allowance: Allowance,
    /// Rows that an import will read, where they were counted already.
    pub counted: Option<u64>,
    /// Only these records, where the run is a trial.
    pub trial: Option<Trial>,
    /// When the run pauses, and leaves the rest to the next one.
    pub limits: Limits,
    /// What was planned; the run does nothing else. None where it follows no plan.
    pub planned: Option<PlanEntries>,
    /// Who is told how it ended, and from when on; none where nobody is.
    pub alerts: Option<AlertTerms>,
    /// Called with the numbers while the run goes on.
    pub on_progress: Arc<dyn Fn(RunProgress) + Send + Sync>,
}

/// How many records a run that follows a plan has left out; says so.
pub fn left_out(request: &RunRequest, notes: &mut Vec<String>) -> u64 {
    let left = request.planned.as_ref().map_or(0, PlanEntries::left);
    if left > 0 {
        let records = if left == 1 { "1 record".to_owned() } else { format!("{left} records") };
        notes.push(format!("{records} changed after the plan was made and were left for the next sync"));
    }
    left
}

/// What carries decisions out; where the run follows a plan, only what was planned.
pub fn sink(
    cx: &StageContext,
    writers: &Writers,
    checkpoint: &Checkpoint,
    read: LongRead,
    request: &RunRequest,
) -> Box<dyn DecisionSink> {
    let on_progress = Arc::clone(&request.on_progress);
    let sink = Deliver::new(cx, writers, checkpoint, read, request.allowance, on_progress);
    match &request.planned {
        Some(entries) => Box::new(PlannedOnly { sink, entries: entries.clone() }),
        None => Box::new(sink),
    }
}

/// Settles the unconfirmed records that the run has not read.
pub async fn settle_unconfirmed(
    cx: &StageContext,
    writers: &Writers,
    checkpoint: &Checkpoint,
    request: &RunRequest,
) -> Result<(), StageError> {
    if !cx.has_unconfirmed {
        return Ok(());
    }
    let sink = sink(cx, writers, checkpoint, LongRead::None, request);
    runner::run(cx, &*sink, unconfirmed::rows(cx)).await?;
    visited::clear(cx).await
}

/// The guard of a run that does nothing but settle unconfirmed records.
pub async fn guard_unconfirmed(cx: &StageContext, request: &RunRequest) -> Result<(), StopReason> {
    let counts = cx.state.identity_counts(&cx.pipeline.name, cx.pipeline.mapping_version).await?;
    let (archive, standing) = (unconfirmed::archive_count(cx).await?, counts.standing + counts.in_doubt);
    let impact = Impact { archive, standing, source_empty: false };
    Ok(guard::check(impact, cx.pipeline.guard.archive, request.allowance)?)
}
