//! The write half of a run: takes decisions and carries them out, then saves what was acknowledged.

use std::sync::{Arc, PoisonError};

use futures_util::FutureExt;
use futures_util::future::BoxFuture;
use tracing::Instrument;

use super::cycle_place::Reached;
use super::reject_guard;
use super::runner::{BatchKind, DecisionSink, ReadCounts};
use crate::model::report::{RunProgress, Tally};
use crate::model::unconfirmed::{Intent, Unconfirmed};
use crate::model::watermark::{ComparisonProgress, Cursor};
use crate::plan::decide::{Action, Decision, ExitReason};
use crate::plan::guard::{self, Allowance};
use crate::ports::state::ImportProgress;
use crate::stages::write::associate_made::{Made, MadeAssociations};
use crate::stages::write::checkpoint::Checkpoint;
use crate::stages::write::delete::Delete;
use crate::stages::write::load::Load;
use crate::stages::write::{Outcome, Settled, Written};
use crate::stages::{Stage, StageContext, StageError, StageName, Writers};
use crate::sys::crash_point::crash_point;

/// Carries out decisions.
pub struct Deliver {
    cx: StageContext,
    load: Load,
    delete: Delete,
    checkpoint: Checkpoint,
    associations: MadeAssociations,
    /// The long read that the rows belong to, so that its place can be saved.
    read: LongRead,
    allowance: Allowance,
    on_progress: Arc<dyn Fn(RunProgress) + Send + Sync>,
}

/// A read whose place is saved as it goes on.
#[derive(Debug, Clone, Default)]
pub enum LongRead {
    /// None: what is broken off is begun anew.
    #[default]
    None,
    /// That of an import.
    Import(ImportProgress),
    /// That of a comparison.
    Comparison(ComparisonProgress),
    /// That of a cycle, which is kept only where it is cut.
    Cycle(Reached),
}

impl Deliver {
    /// The write half of one run; `on_progress` is called with the numbers after each batch.
    pub fn new(
        cx: &StageContext,
        writers: &Writers,
        checkpoint: &Checkpoint,
        read: LongRead,
        allowance: Allowance,
        on_progress: Arc<dyn Fn(RunProgress) + Send + Sync>,
    ) -> Self {
        Self {
            cx: cx.clone(),
            load: Load { target: Arc::clone(&writers.target) },
            delete: Delete { target: Arc::clone(&writers.target) },
            checkpoint: checkpoint.clone(),
            associations: MadeAssociations::new(cx, writers, checkpoint),
            read,
            allowance,
            on_progress,
        }
    }

    /// Tells how far the run is.
    fn show(&self, tally: Tally) {
        let (calls, calls_per_second) = (self.cx.target.calls(), self.cx.target.calls_per_second());
        (self.on_progress)(RunProgress { tally, calls, calls_per_second });
    }

    /// Notes what is about to be sent, so that the next run after one that dies asks HubSpot about each of these records.
    async fn note_calls(&self, kind: BatchKind, batch: &[Decision]) -> Result<(), StageError> {
        // Nothing is sent that could arrive without being acknowledged.
        if kind == BatchKind::StateOnly {
            return Ok(());
        }
        let call = |decision: &Decision| Unconfirmed {
            salesforce_id: decision.id(),
            match_property: Arc::clone(decision.key.as_ref().unwrap_or(&self.cx.pipeline.target.match_property)),
            // What was meant decides how an unconfirmed call is judged: a lost archive is repeated, a lost write
            // compared.
            intent: match decision.action {
                Action::Archive(ExitReason::FilterExit) => Intent::ArchiveLeft,
                Action::Archive(_) => Intent::ArchiveDeleted,
                _ => Intent::Write,
            },
        };
        let calls: Vec<Unconfirmed> = batch.iter().map(call).collect();
        let (cx, state) = (&self.cx, &self.checkpoint.state);
        let noted = state.note_calls(&cx.pipeline.name, calls).await;
        noted.map_err(StageError::at(StageName::Checkpoint))
    }

    /// Sends a batch and saves what became of it: calls are noted first, so that a crash in between leaves no doubt
    /// unnoticed.
    async fn carry_out(&self, kind: BatchKind, batch: Vec<Decision>) -> Result<(), StageError> {
        self.cx.confirm().await.map_err(StageError::at(StageName::Load))?;
        crash_point!("deliver.confirmed");
        self.note_calls(kind, &batch).await?;
        crash_point!("deliver.noted");
        let rejects = reject_guard::of_batch(&self.cx, &batch).await?;
        let noted = |decision| Settled { decision, outcome: Outcome::NothingToSend };
        let written = match kind {
            BatchKind::Write => {
                let marked = Load::NAME.span(batch.len());
                self.load.run(&self.cx, batch).instrument(marked).await?
            }
            BatchKind::Archive => {
                let marked = Delete::NAME.span(batch.len());
                self.delete.run(&self.cx, batch).instrument(marked).await?
            }
            BatchKind::StateOnly => Written { settled: batch.into_iter().map(noted).collect(), stopped: None },
        };
        crash_point!("deliver.carried_out");
        let made = Made::of(&written.settled);
        // What HubSpot acknowledged is saved first, whatever else went wrong.
        let marked = Checkpoint::NAME.span(written.settled.len());
        self.checkpoint.run(&self.cx, written.settled).instrument(marked).await?;
        crash_point!("deliver.saved");
        self.associations.add(made);
        self.show(self.checkpoint.add(Tally::default()));
        written.stopped.map_or(Ok(()), Err)?;
        if rejects.rejected == 0 {
            self.checkpoint.add_rejects(rejects);
            return Ok(());
        }
        let rejects = self.checkpoint.add_rejects(rejects);
        // Counted as the run goes on: the beginning that was judged ahead may not have shown what comes later.
        guard::check_rejects(&rejects, &self.cx.pipeline.guard, self.allowance, true)
            .map_err(|refusal| StageError::at(StageName::Transform)(Box::new(refusal)))
    }
}

impl DecisionSink for Deliver {
    fn deliver(&self, kind: BatchKind, batch: Vec<Decision>) -> BoxFuture<'_, Result<(), StageError>> {
        self.carry_out(kind, batch).boxed()
    }

    fn count_read(&self, counts: ReadCounts) {
        let tally = self.checkpoint.add(Tally {
            read: counts.read,
            unchanged: counts.unchanged,
            filtered: counts.filtered,
            waiting: counts.waiting,
            ..Tally::default()
        });
        if counts.read > 0 {
            self.show(tally);
        }
    }

    /// The next call for associations of records that were made; none while there is no full one, unless `flush` asks
    /// for the rest.
    fn follow_up(&self, flush: bool) -> Option<BoxFuture<'_, Result<(), StageError>>> {
        let work = self.associations.next(flush)?;
        Some(
            async move {
                let done = work.await;
                self.show(self.checkpoint.add(Tally::default()));
                done
            }
            .boxed(),
        )
    }

    fn save_position(&self, rows: u64, cursor: Cursor) -> BoxFuture<'_, Result<(), StageError>> {
        async move {
            match &self.read {
                LongRead::None => return Ok(()),
                LongRead::Cycle(reached) => {
                    *reached.lock().unwrap_or_else(PoisonError::into_inner) = Some(cursor);
                    return Ok(());
                }
                LongRead::Import(_) | LongRead::Comparison(_) => {}
            }
            crash_point!("deliver.place_reached");
            match self.read.clone() {
                LongRead::None | LongRead::Cycle(_) => {}
                LongRead::Import(progress) => {
                    let place = ImportProgress { cursor: Some(cursor), read: progress.read + rows, ..progress };
                    self.checkpoint.save_import_progress(&self.cx, Some(place)).await?;
                }
                LongRead::Comparison(progress) => {
                    let place = ComparisonProgress { cursor: Some(cursor), read: progress.read + rows, ..progress };
                    self.checkpoint.save_comparison(&self.cx, Some(place)).await?;
                }
            }
            crash_point!("deliver.place_saved");
            Ok(())
        }
        .boxed()
    }
}
