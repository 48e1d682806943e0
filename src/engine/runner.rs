//! The generic stage runner: rows flow from extract through transform and match into whatever takes the decisions (the
//! write half, or the forecast of a dry run). Bounded: as many calls as the rate limit needs are under way, and no more than
//! [`HELD_BYTES_MAX`] of text and a chunk of the source are held, however long the texts are.

use std::collections::hash_map::Entry;

use futures_util::future::BoxFuture;
use futures_util::stream::{BoxStream, FuturesUnordered};
use futures_util::{FutureExt, StreamExt};
use tracing::Instrument;

use super::batch::Collected;
use super::positions::ReadPositions;
use crate::model::ids::{ById, SalesforceId};
use crate::model::watermark::Cursor;
use crate::plan::decide::{Action, Candidate, Decision, Matched, Unresolved};
use crate::ports::fault::Fault;
use crate::stages::read::extract::Candidates;
use crate::stages::read::matching::{Known, Match};
use crate::stages::read::resolve::Resolve;
use crate::stages::read::transform::Transform;
use crate::stages::{Stage, StageContext, StageError, StageName};
use crate::sys::crash_point::crash_point;

/// Most text of records between the source and their acknowledgement, in bytes. Each is held several times: as read, as it is to be,
/// in the body of the call, and in its answer.
pub const HELD_BYTES_MAX: usize = 7 << 19;

/// What is done with decisions. Each batch has at most [`BATCH_RECORDS_MAX`](crate::ports::target::BATCH_RECORDS_MAX) records and is durable when the future ends.
pub trait DecisionSink: Send + Sync {
    /// Takes a batch of one kind.
    fn deliver(&self, kind: BatchKind, batch: Vec<Decision>) -> BoxFuture<'_, Result<(), StageError>>;

    /// So many rows more were read; `unchanged`, `filtered` and `waiting` of them needed nothing.
    fn count_read(&self, counts: ReadCounts);

    /// The next call's work that what was delivered has led to: a full call, or with `flush`, once nothing more will be
    /// delivered, what is left.
    fn follow_up(&self, _flush: bool) -> Option<BoxFuture<'_, Result<(), StageError>>> {
        None
    }

    /// A broken read may go on from here; all before it is settled. `rows` counts from the start of this read.
    fn save_position(&self, rows: u64, cursor: Cursor) -> BoxFuture<'_, Result<(), StageError>>;
}

/// What a batch asks for.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum BatchKind {
    /// Write properties.
    Write,
    /// Archive.
    Archive,
    /// Only remember.
    StateOnly,
}

/// Rows that were read, and those among them that needed nothing.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq)]
pub struct ReadCounts {
    /// Read.
    pub read: u64,
    /// As they should be.
    pub unchanged: u64,
    /// Not part of the sync.
    pub filtered: u64,
    /// Failed before and not due again.
    pub waiting: u64,
}

/// Runs all candidates through the stages. On an error, calls under way are awaited, so that what they achieved is saved.
pub async fn run(
    cx: &StageContext,
    sink: &dyn DecisionSink,
    candidates: BoxStream<'_, Result<Candidates, StageError>>,
) -> Result<(), StageError> {
    let mut run_loop = RunLoop {
        cx,
        sink,
        positions: ReadPositions::default(),
        in_progress: ById::default(),
        held_bytes: 0,
        deferred: Vec::new(),
        unresolved: Collected::default(),
        ready: Default::default(),
        in_flight: FuturesUnordered::new(),
        resolving: 0,
        delivering: 0,
    };
    let result = run_loop.drive(candidates).await;
    if result.is_err() {
        while let Some(answered) = run_loop.in_flight.next().await {
            if let Answered::Delivered(Err(error)) | Answered::Resolved(Err(error)) | Answered::FollowedUp(Err(error)) =
                answered
            {
                tracing::debug!(%error, "another call failed as well");
            }
        }
    }
    result
}

/// The result of one call.
enum Answered {
    /// HubSpot was asked about records that state could not decide.
    Resolved(Result<Vec<Decision>, StageError>),
    /// The sink took a batch: its records, each with the number of its row.
    Delivered(Result<Vec<(SalesforceId, u64)>, StageError>),
    /// What was delivered has led to this.
    FollowedUp(Result<(), StageError>),
}

/// The rows of one read between the source and the sink.
struct RunLoop<'a> {
    cx: &'a StageContext,
    sink: &'a dyn DecisionSink,
    positions: ReadPositions,
    /// Records that are between decision and acknowledgement, each with the bytes that it holds.
    in_progress: ById<SalesforceId, usize>,
    /// The sum of those.
    held_bytes: usize,
    /// Rows of records in progress: decided anew once the first one is settled.
    deferred: Vec<Candidate>,
    unresolved: Collected<Unresolved>,
    /// Decisions that wait for a full batch, by kind.
    ready: [Collected<Decision>; 3],
    in_flight: FuturesUnordered<BoxFuture<'a, Answered>>,
    resolving: usize,
    delivering: usize,
}

const BATCH_KINDS: [BatchKind; 3] = [BatchKind::Write, BatchKind::Archive, BatchKind::StateOnly];

impl<'a> RunLoop<'a> {
    /// Reads, decides and delivers until nothing is left to read and no call is under way.
    async fn drive(&mut self, mut rows: BoxStream<'_, Result<Candidates, StageError>>) -> Result<(), StageError> {
        let mut reading = true;
        // Why the read ended early: what was decided until then is carried out before that is said.
        let mut read_error = None;
        let cancel = self.cx.cancel.clone();
        loop {
            // Looked at before new calls are begun, so that a stop is not followed by another batch.
            if cancel.is_cancelled() {
                return Err(StageError::at(StageName::Extract)(Fault::Cancelled));
            }
            self.dispatch(!reading);
            // Nothing is under way and nothing will come: waiting now would be waiting forever.
            if !reading && self.in_flight.is_empty() {
                if self.deferred.is_empty() {
                    self.save_reached().await?;
                    crash_point!("runner.read_to_the_end");
                    return read_error.map_or(Ok(()), Err);
                }
                let deferred = std::mem::take(&mut self.deferred);
                self.decide(deferred).await?;
                continue;
            }
            // With nothing under way a page is always read, however large its texts: else the loop would wait for
            // nothing.
            let room = self.in_flight.is_empty() || (self.has_room() && self.held_bytes < HELD_BYTES_MAX);
            tokio::select! {
                // In this order: answers free what is held, and a read only adds to it.
                biased;
                () = cancel.cancelled() => {}
                Some(answered) = self.in_flight.next(), if !self.in_flight.is_empty() => self.handle(answered).await?,
                chunk = rows.next(), if reading && room => match chunk {
                    Some(Ok(chunk)) => self.receive(chunk).await?,
                    Some(Err(error)) => (read_error, reading) = (Some(error), false),
                    None => reading = false,
                },
            }
        }
    }

    /// Whether more calls are needed for the rate limit to be used in full.
    fn has_room(&self) -> bool {
        self.in_flight.len() < self.cx.target.calls_under_way()
    }

    /// Takes some rows in.
    async fn receive(&mut self, rows: Candidates) -> Result<(), StageError> {
        let mut batch = rows.batch;
        for candidate in &mut batch {
            candidate.row = self.positions.next_row();
        }
        if let Some(cursor) = rows.cursor {
            self.positions.end_page(cursor);
        }
        self.sink.count_read(ReadCounts { read: batch.len() as u64, ..ReadCounts::default() });
        crash_point!("runner.page_received");
        self.decide(batch).await?;
        crash_point!("runner.page_decided");
        self.save_reached().await
    }

    /// Decides what state can decide; the rest waits for HubSpot's answer.
    async fn decide(&mut self, batch: Vec<Candidate>) -> Result<(), StageError> {
        let mut fresh = Vec::with_capacity(batch.len());
        for candidate in batch {
            let bytes = candidate.record.bytes();
            // Two rows of one record at once could overtake each other, and the older one would win.
            if let Entry::Vacant(place) = self.in_progress.entry(candidate.record.id) {
                place.insert(bytes);
                self.held_bytes += bytes;
                fresh.push(candidate);
            } else {
                self.deferred.push(candidate);
            }
        }
        let marked = Match::NAME.span(fresh.len());
        let known = Known::read(self.cx, fresh.iter().map(|candidate| candidate.record.id)).instrument(marked).await?;
        // Rows that come once more as they were are not mapped again.
        let settled = fresh.extract_if(.., |candidate| known.has_settled(self.cx, candidate));
        let settled: Vec<(SalesforceId, u64)> = settled.map(|candidate| (candidate.record.id, candidate.row)).collect();
        self.sink.count_read(ReadCounts { unchanged: settled.len() as u64, ..ReadCounts::default() });
        settled.into_iter().for_each(|(id, row)| self.settle(id, row));
        let marked = Transform::NAME.span(fresh.len());
        let transformed = Transform.run(self.cx, fresh).instrument(marked).await?;
        for matched in known.decide(self.cx, transformed) {
            match matched {
                Matched::Decided(decision) => self.route(decision),
                Matched::Unresolved(unresolved) => {
                    let bytes = self.bytes_of(unresolved.candidate.record.id);
                    self.unresolved.push(unresolved, bytes);
                }
            }
        }
        Ok(())
    }

    /// Puts a decision where it belongs; one that asks for nothing is settled.
    fn route(&mut self, decision: Decision) {
        let kind = match decision.action {
            Action::Create | Action::Restore | Action::Adopt | Action::Update => 0,
            // A row of a junction object has no record that could be archived: only what it asks for ends.
            Action::Archive(_) if !self.cx.pipeline.is_junction => 1,
            _ if decision.changes_state() => 2,
            _ => {
                let mut counts = ReadCounts::default();
                match decision.action {
                    Action::Filter(_) | Action::Keep(_) => counts.filtered = 1,
                    Action::StillFailing => counts.waiting = 1,
                    _ => counts.unchanged = 1,
                }
                self.sink.count_read(counts);
                self.settle(decision.id(), decision.candidate.row);
                return;
            }
        };
        let bytes = self.bytes_of(decision.id());
        self.ready[kind].push(decision, bytes);
    }

    fn bytes_of(&self, id: SalesforceId) -> usize {
        self.in_progress.get(&id).copied().unwrap_or_default()
    }

    /// A row is done with.
    fn settle(&mut self, id: SalesforceId, row: u64) {
        self.held_bytes -= self.in_progress.remove(&id).unwrap_or_default();
        self.positions.settle(row);
    }

    /// Sends off full batches; at the end of the read, what is left as well.
    fn dispatch(&mut self, flush: bool) {
        while let Some(batch) = self.unresolved.take(flush) {
            let (cx, resolve) = (self.cx, Resolve { turn: self.cx.adopters.turn() });
            self.resolving += 1;
            let marked = Resolve::NAME.span(batch.len());
            let resolved = async move { Answered::Resolved(resolve.run(cx, batch).await) };
            self.in_flight.push(resolved.instrument(marked).boxed());
        }
        // What HubSpot still has to answer may fill the last batch.
        let flush = flush && self.resolving == 0;
        for (ready, kind) in self.ready.iter_mut().zip(BATCH_KINDS) {
            while let Some(batch) = ready.take(flush) {
                let settled = batch.iter().map(|decision| (decision.id(), decision.candidate.row)).collect();
                let delivered = self.sink.deliver(kind, batch);
                self.delivering += 1;
                self.in_flight.push(async move { Answered::Delivered(delivered.await.map(|()| settled)) }.boxed());
            }
        }
        // More may come of what is under way, so that calls get fuller.
        let flush = flush && self.delivering == 0 && self.deferred.is_empty();
        while self.has_room()
            && let Some(work) = self.sink.follow_up(flush)
        {
            self.in_flight.push(work.map(Answered::FollowedUp).boxed());
        }
    }

    /// Takes in what a call has brought. A place is saved only where all rows before it are settled.
    async fn handle(&mut self, answered: Answered) -> Result<(), StageError> {
        crash_point!("runner.call_answered");
        match answered {
            Answered::Resolved(decisions) => {
                self.resolving -= 1;
                for decision in decisions? {
                    self.route(decision);
                }
            }
            Answered::FollowedUp(done) => done?,
            Answered::Delivered(settled) => {
                self.delivering -= 1;
                for (id, row) in settled? {
                    self.settle(id, row);
                }
            }
        }
        self.save_reached().await
    }

    /// Answers come in any order. A position is saved only when all rows before it are settled, else a restart would skip some.
    async fn save_reached(&mut self) -> Result<(), StageError> {
        match self.positions.resumable() {
            Some((rows, cursor)) => self.sink.save_position(rows, cursor).await,
            None => Ok(()),
        }
    }
}
