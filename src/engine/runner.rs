//! The generic stage runner: rows flow from extract through transform and match into whatever takes the decisions (the
//! write half, or the forecast of a dry run). Bounded: at most [`FLIGHTS_MAX`] calls and a few pages are held.

use std::collections::HashSet;

use futures_util::future::BoxFuture;
use futures_util::stream::{BoxStream, FuturesUnordered};
use futures_util::{FutureExt, StreamExt};

use super::places::Places;
use crate::model::ids::SalesforceId;
use crate::model::watermark::Cursor;
use crate::plan::decide::{Action, Candidate, Decision, Matched, Unknown};
use crate::ports::fault::Fault;
use crate::ports::target::BATCH_RECORDS_MAX;
use crate::stages::read::extract::Candidates;
use crate::stages::read::matching::Match;
use crate::stages::read::resolve::Resolve;
use crate::stages::read::transform::Transform;
use crate::stages::{Stage, StageContext, StageError, StageName};

/// Most calls under way or waiting for the rate limit. At 19 calls a second it covers answers that take 1.6 s.
pub const FLIGHTS_MAX: usize = 32;

/// What is done with decisions. Each batch has at most [`BATCH_RECORDS_MAX`] records and is durable when the future ends.
pub trait Taker: Send + Sync {
    /// Takes a batch of one kind.
    fn take(&self, kind: Kind, batch: Vec<Decision>) -> BoxFuture<'_, Result<(), StageError>>;

    /// So many rows more were read; `unchanged`, `filtered` and `waiting` of them needed nothing.
    fn seen(&self, seen: Seen);

    /// A broken read may go on from here; all before it is settled. `rows` counts from the start of this read.
    fn passed(&self, rows: u64, cursor: Cursor) -> BoxFuture<'_, Result<(), StageError>>;
}

/// What a batch asks for.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Kind {
    /// Write properties.
    Write,
    /// Archive.
    Archive,
    /// Only remember.
    Note,
}

/// Rows that were read, and those among them that needed nothing.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq)]
pub struct Seen {
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
    taker: &dyn Taker,
    candidates: BoxStream<'_, Result<Candidates, StageError>>,
) -> Result<(), StageError> {
    let mut flow = Flow {
        cx,
        taker,
        places: Places::default(),
        busy: HashSet::new(),
        held: Vec::new(),
        unknown: Vec::new(),
        ready: [Vec::new(), Vec::new(), Vec::new()],
        flights: FuturesUnordered::new(),
        resolving: 0,
    };
    let result = flow.pump(candidates).await;
    if result.is_err() {
        while let Some(landed) = flow.flights.next().await {
            if let Landed::Settled(Err(error)) | Landed::Resolved(Err(error)) = landed {
                tracing::debug!(%error, "another call failed as well");
            }
        }
    }
    result
}

enum Landed {
    Resolved(Result<Vec<Decision>, StageError>),
    Settled(Result<Vec<(SalesforceId, u64)>, StageError>),
}

struct Flow<'a> {
    cx: &'a StageContext,
    taker: &'a dyn Taker,
    places: Places,
    /// Records that are between decision and acknowledgement.
    busy: HashSet<SalesforceId>,
    /// Rows of busy records: decided anew once the first one is settled.
    held: Vec<Candidate>,
    unknown: Vec<Unknown>,
    /// Decisions that wait for a full batch, by kind.
    ready: [Vec<Decision>; 3],
    flights: FuturesUnordered<BoxFuture<'a, Landed>>,
    resolving: usize,
}

const KINDS: [Kind; 3] = [Kind::Write, Kind::Archive, Kind::Note];

impl<'a> Flow<'a> {
    async fn pump(&mut self, mut rows: BoxStream<'_, Result<Candidates, StageError>>) -> Result<(), StageError> {
        let mut reading = true;
        // Why the read ended early: what was decided until then is carried out before that is said.
        let mut broken = None;
        let cancel = self.cx.cancel.clone();
        loop {
            if cancel.is_cancelled() {
                return Err(StageError::at(StageName::Extract)(Fault::Cancelled));
            }
            self.launch(!reading);
            // Nothing is under way and nothing will come: waiting now would be waiting forever.
            if !reading && self.flights.is_empty() {
                if self.held.is_empty() {
                    self.save_place().await?;
                    return broken.map_or(Ok(()), Err);
                }
                let held = std::mem::take(&mut self.held);
                self.decide(held).await?;
                continue;
            }
            let room = self.flights.len() < FLIGHTS_MAX;
            tokio::select! {
                biased;
                () = cancel.cancelled() => {}
                Some(landed) = self.flights.next(), if !self.flights.is_empty() => self.land(landed).await?,
                chunk = rows.next(), if reading && room => match chunk {
                    Some(Ok(chunk)) => self.receive(chunk).await?,
                    Some(Err(error)) => (broken, reading) = (Some(error), false),
                    None => reading = false,
                },
            }
        }
    }

    /// Takes some rows in.
    async fn receive(&mut self, rows: Candidates) -> Result<(), StageError> {
        let mut batch = rows.batch;
        for candidate in &mut batch {
            candidate.place = self.places.take();
        }
        if let Some(cursor) = rows.cursor {
            self.places.mark(cursor);
        }
        self.taker.seen(Seen { read: batch.len() as u64, ..Seen::default() });
        self.decide(batch).await?;
        self.save_place().await
    }

    /// Decides what state can decide; the rest waits for HubSpot's answer.
    async fn decide(&mut self, batch: Vec<Candidate>) -> Result<(), StageError> {
        let mut fresh = Vec::with_capacity(batch.len());
        for candidate in batch {
            if self.busy.insert(candidate.record.id) {
                fresh.push(candidate);
            } else {
                self.held.push(candidate);
            }
        }
        let transformed = Transform.run(self.cx, fresh).await?;
        for matched in Match.run(self.cx, transformed).await? {
            match matched {
                Matched::Decided(decision) => self.sort(decision),
                Matched::Unknown(unknown) => self.unknown.push(unknown),
            }
        }
        Ok(())
    }

    /// Puts a decision where it belongs; one that asks for nothing is settled.
    fn sort(&mut self, decision: Decision) {
        let kind = match decision.action {
            Action::Create | Action::Restore | Action::Update => 0,
            Action::Archive(_) => 1,
            _ if decision.remembers() => 2,
            _ => {
                let mut seen = Seen::default();
                match decision.action {
                    Action::Filter(_) | Action::Keep(_) => seen.filtered = 1,
                    Action::StillFailing => seen.waiting = 1,
                    _ => seen.unchanged = 1,
                }
                self.taker.seen(seen);
                self.busy.remove(&decision.id());
                self.places.settle(decision.candidate.place);
                return;
            }
        };
        self.ready[kind].push(decision);
    }

    /// Sends off full batches; at the end of the read, what is left as well.
    fn launch(&mut self, flush: bool) {
        while self.unknown.len() >= BATCH_RECORDS_MAX || (flush && !self.unknown.is_empty()) {
            let batch: Vec<Unknown> = self.unknown.drain(..self.unknown.len().min(BATCH_RECORDS_MAX)).collect();
            let cx = self.cx;
            self.resolving += 1;
            self.flights.push(async move { Landed::Resolved(Resolve.run(cx, batch).await) }.boxed());
        }
        let flush = flush && self.resolving == 0;
        for (ready, kind) in self.ready.iter_mut().zip(KINDS) {
            while ready.len() >= BATCH_RECORDS_MAX || (flush && !ready.is_empty()) {
                let batch: Vec<Decision> = ready.drain(..ready.len().min(BATCH_RECORDS_MAX)).collect();
                let settled = batch.iter().map(|decision| (decision.id(), decision.candidate.place)).collect();
                let taken = self.taker.take(kind, batch);
                self.flights.push(async move { Landed::Settled(taken.await.map(|()| settled)) }.boxed());
            }
        }
    }

    async fn land(&mut self, landed: Landed) -> Result<(), StageError> {
        match landed {
            Landed::Resolved(decisions) => {
                self.resolving -= 1;
                for decision in decisions? {
                    self.sort(decision);
                }
            }
            Landed::Settled(settled) => {
                for (id, place) in settled? {
                    self.busy.remove(&id);
                    self.places.settle(place);
                }
            }
        }
        self.save_place().await
    }

    async fn save_place(&mut self) -> Result<(), StageError> {
        match self.places.passed() {
            Some((rows, cursor)) => self.taker.passed(rows, cursor).await,
            None => Ok(()),
        }
    }
}
