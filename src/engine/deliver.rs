//! The write half of a run: takes decisions and carries them out, then saves what was acknowledged.

use std::sync::Arc;

use futures_util::FutureExt;
use futures_util::future::BoxFuture;

use super::runner::{Kind, Seen, Taker};
use crate::model::report::Tally;
use crate::model::unconfirmed::{Intent, Unconfirmed};
use crate::model::watermark::Cursor;
use crate::plan::decide::{Action, Decision, Departure};
use crate::ports::state::ImportProgress;
use crate::stages::write::checkpoint::Checkpoint;
use crate::stages::write::delete::Delete;
use crate::stages::write::load::Load;
use crate::stages::write::{Outcome, Settled, Written};
use crate::stages::{Stage, StageContext, StageError, StageName, Writers};

/// Carries out decisions.
pub struct Deliver {
    cx: StageContext,
    load: Load,
    delete: Delete,
    checkpoint: Checkpoint,
    /// The import that the read belongs to, so that its place can be saved.
    progress: Option<ImportProgress>,
    on_progress: Arc<dyn Fn(Tally) + Send + Sync>,
}

impl Deliver {
    /// The write half of one run; `on_progress` hears the numbers after each batch.
    pub fn new(
        cx: &StageContext,
        writers: &Writers,
        checkpoint: &Checkpoint,
        progress: Option<ImportProgress>,
        on_progress: Arc<dyn Fn(Tally) + Send + Sync>,
    ) -> Self {
        Self {
            cx: cx.clone(),
            load: Load { target: Arc::clone(&writers.target) },
            delete: Delete { target: Arc::clone(&writers.target) },
            checkpoint: checkpoint.clone(),
            progress,
            on_progress,
        }
    }

    /// Notes what is about to be sent, so that a run that dies leaves a doubt about each of these records.
    async fn note_calls(&self, kind: Kind, batch: &[Decision]) -> Result<(), StageError> {
        if kind == Kind::Note {
            return Ok(());
        }
        let call = |decision: &Decision| Unconfirmed {
            salesforce_id: decision.id(),
            match_property: Arc::clone(decision.key.as_ref().unwrap_or(&self.cx.pipeline.target.match_property)),
            intent: match decision.action {
                Action::Archive(Departure::FilterExit) => Intent::ArchiveLeft,
                Action::Archive(_) => Intent::ArchiveDeleted,
                _ => Intent::Write,
            },
        };
        let calls: Vec<Unconfirmed> = batch.iter().map(call).collect();
        let (cx, state) = (&self.cx, &self.checkpoint.state);
        let noted = state.note_calls(&cx.pipeline.name, &cx.run, cx.clock.now(), &calls).await;
        noted.map_err(StageError::at(StageName::Checkpoint))
    }

    async fn carry_out(&self, kind: Kind, batch: Vec<Decision>) -> Result<(), StageError> {
        self.cx.confirm().await.map_err(StageError::at(StageName::Load))?;
        self.note_calls(kind, &batch).await?;
        let noted = |decision| Settled { decision, outcome: Outcome::Noted };
        let written = match kind {
            Kind::Write => self.load.run(&self.cx, batch).await?,
            Kind::Archive => self.delete.run(&self.cx, batch).await?,
            Kind::Note => Written { settled: batch.into_iter().map(noted).collect(), stopped: None },
        };
        // What HubSpot acknowledged is saved first, whatever else went wrong.
        self.checkpoint.run(&self.cx, written.settled).await?;
        (self.on_progress)(self.checkpoint.add(Tally::default()));
        written.stopped.map_or(Ok(()), Err)
    }
}

impl Taker for Deliver {
    fn take(&self, kind: Kind, batch: Vec<Decision>) -> BoxFuture<'_, Result<(), StageError>> {
        self.carry_out(kind, batch).boxed()
    }

    fn seen(&self, seen: Seen) {
        let tally = self.checkpoint.add(Tally {
            read: seen.read,
            unchanged: seen.unchanged,
            filtered: seen.filtered,
            waiting: seen.waiting,
            ..Tally::default()
        });
        if seen.read > 0 {
            (self.on_progress)(tally);
        }
    }

    fn passed(&self, rows: u64, cursor: Cursor) -> BoxFuture<'_, Result<(), StageError>> {
        async move {
            let Some(progress) = &self.progress else { return Ok(()) };
            let place = ImportProgress { cursor: Some(cursor), read: progress.read + rows, ..progress.clone() };
            self.checkpoint.place(&self.cx, Some(place)).await
        }
        .boxed()
    }
}
