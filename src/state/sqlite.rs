//! The state in SQLite: one connection writes, another one reads, on threads that may block.

use std::collections::{HashMap, HashSet};
use std::path::{Path, PathBuf};
use std::sync::{Arc, Mutex, PoisonError};

use futures_util::FutureExt;
use futures_util::future::BoxFuture;
use jiff::Timestamp;
use tokio::sync::oneshot;

use super::bound;
use super::database::Database;
use super::lease::{self, LocalLeases};
use super::reader::Reader;
use super::relabelled::{NewKeys, Relabelled};
use super::writer::{Blocking, Done, Pending, Writer};
use super::{
    alerts, associations, commit, comparisons, directory, failures, identities, kept, lookups, open, pairs, pipelines,
    rows, runs, unconfirmed,
};
use crate::model::alert::Condition;
use crate::model::association::{AssociationState, OwnedType, PairKey, PairRequest};
use crate::model::identity::{Identity, MappingVersion};
use crate::model::ids::{ById, HubspotId, PipelineName, SalesforceId};
use crate::model::unconfirmed::Unconfirmed;
use crate::model::watermark::{ComparisonProgress, Watermark};
use crate::ports::state::{
    AlertCommit, Asking, Commit, Delivery, Directory, FailureFilter, FailureMark, FailureRow, IdentityCounts,
    ImportProgress, KeptAssociation, Lease, Listing, LookupRef, QueuedAlert, RunRow, StateError, StateReader,
    StateWriter, StoredWatermark, Turn, Undelivered, asked_of_known,
};
use crate::sys::clock::Clock;
use crate::sys::crash_point::crash_point;

/// A state. Clones share its connections.
#[derive(Clone)]
pub struct SqliteState {
    writer: Arc<Writer>,
    blocking: Blocking,
    /// The connection that reads; none where the one that writes does that too.
    reader: Option<Arc<Reader>>,
    /// The file; none for a private database.
    path: Option<PathBuf>,
    leases: LocalLeases,
    /// Who lists for which directory.
    turns: Turns,
    /// Keys that a dry run takes for others.
    relabelled: Relabelled,
    clock: Clock,
}

type Turns = Arc<Mutex<HashMap<String, Arc<tokio::sync::Mutex<()>>>>>;

type Answer<'a, T> = BoxFuture<'a, Result<T, StateError>>;

impl SqliteState {
    /// Opens a file for writing; creates or migrates it.
    pub fn open(path: &Path, clock: &Clock) -> Result<Self, StateError> {
        let state = Self::new(open::writable(path)?, Some(path), clock);
        Ok(Self { reader: Some(Arc::new(Reader::new(path))), ..state })
    }

    /// Opens a file for reading; a missing one is an empty state.
    pub fn open_for_reading(path: &Path, clock: &Clock) -> Result<Self, StateError> {
        if path.exists() { Ok(Self::new(open::readable(path)?, Some(path), clock)) } else { Self::in_memory(clock) }
    }

    /// A state that lives in memory.
    pub fn in_memory(clock: &Clock) -> Result<Self, StateError> {
        Ok(Self::new(open::private(true)?, None, clock))
    }

    /// A private state that spills to a file of its own and vanishes with it: for a dry run's notes.
    pub fn scratch(clock: &Clock) -> Result<Self, StateError> {
        Ok(Self::new(open::private(false)?, None, clock))
    }

    /// For a dry run, which changes nothing here: takes the associations of a pipeline for these, as the run will keep them; which take the place of which.
    pub async fn assume_kept(&self, pipeline: &PipelineName, kept: &[KeptAssociation]) -> Result<NewKeys, StateError> {
        let (name, all) = (pipeline.clone(), kept.to_vec());
        let found = self.read(move |database| kept::relabelled(database, &name, &all)).await?;
        self.relabelled.assume(pipeline, kept, found.clone());
        Ok(found)
    }

    /// The file; none where it is private.
    pub fn place(&self) -> Option<&Path> {
        self.path.as_deref()
    }

    fn new(database: Database, path: Option<&Path>, clock: &Clock) -> Self {
        let shown = path.map_or_else(|| "(private)".to_owned(), |path| path.display().to_string());
        Self {
            writer: Writer::new(database, shown, Blocking::under(clock)),
            blocking: Blocking::under(clock),
            reader: None,
            path: path.map(Path::to_owned),
            leases: LocalLeases::default(),
            turns: Arc::default(),
            relabelled: Relabelled::default(),
            clock: clock.clone(),
        }
    }

    /// Reads something, on a thread that may block.
    pub(super) fn read<'a, T, F>(&self, work: F) -> Answer<'a, T>
    where
        T: Send + 'static,
        F: FnOnce(&Database) -> rusqlite::Result<T> + Send + 'static,
    {
        let (writer, reader, blocking) = (Arc::clone(&self.writer), self.reader.clone(), self.blocking);
        self.answered(move || {
            let (sender, receiver) = oneshot::channel();
            let work = move || {
                let answer = match &reader {
                    Some(reader) => reader.read(work),
                    None => writer.read(work),
                };
                // Nobody may be waiting any more.
                let _ = sender.send(Done::plain(answer));
            };
            blocking.run(work);
            receiver
        })
    }

    /// The same, of lookups with work left: those that led to records which came back as others are among them.
    fn read_followed<'a, T, F>(&self, work: F) -> Answer<'a, T>
    where
        T: Send + 'static,
        F: Fn(&Database) -> rusqlite::Result<T> + Send + Sync + 'static,
    {
        let (state, work) = (self.clone(), Arc::new(work));
        // What was opened for reading only is shown as it is.
        let may_write = self.reader.is_some() || self.path.is_none();
        async move {
            loop {
                let work = Arc::clone(&work);
                let found = state.read(move |database| {
                    let is_followed = !may_write || !lookups::any_replaced(database)?;
                    is_followed.then(|| work(database)).transpose()
                });
                match found.await? {
                    Some(found) => return Ok(found),
                    None => state.write(lookups::follow_replaced).await?,
                }
            }
        }
        .boxed()
    }

    /// Writes something; it stands when this returns.
    pub(super) fn write<'a, T, F>(&self, work: F) -> Answer<'a, T>
    where
        T: Send + 'static,
        F: FnMut(&Database) -> rusqlite::Result<T> + Send + 'static,
    {
        let writer = Arc::clone(&self.writer);
        self.answered(move || writer.submit(false, work))
    }

    /// The answer to something that is asked for when somebody waits for it.
    fn answered<'a, T: Send + 'static>(&self, ask: impl FnOnce() -> Pending<T> + Send + 'a) -> Answer<'a, T> {
        let path = self.path.clone();
        async move {
            crash_point!("state.asked");
            let answer = ask().await;
            crash_point!("state.answered");
            answer.map(|done| done.answer).unwrap_or_else(|_| {
                let path = path.map_or_else(|| "(private)".to_owned(), |path| path.display().to_string());
                Err(StateError::Io { path, detail: "what was to be done with it broke off".to_owned() })
            })
        }
        .boxed()
    }
}

impl StateReader for SqliteState {
    fn identities<'a>(
        &'a self,
        pipeline: &'a PipelineName,
        ids: &'a [SalesforceId],
    ) -> Answer<'a, ById<SalesforceId, Identity>> {
        let (pipeline, ids) = (pipeline.clone(), ids.to_vec());
        self.read(move |connection| identities::read(connection, &pipeline, &ids))
    }

    fn identities_of_records<'a>(
        &'a self,
        pipeline: &'a PipelineName,
        records: &'a [HubspotId],
    ) -> Answer<'a, Vec<(HubspotId, SalesforceId)>> {
        let (pipeline, records) = (pipeline.clone(), records.to_vec());
        self.read(move |connection| identities::of_records(connection, &pipeline, &records))
    }

    fn identity_counts<'a>(
        &'a self,
        pipeline: &'a PipelineName,
        mapping: MappingVersion,
    ) -> Answer<'a, IdentityCounts> {
        let pipeline = pipeline.clone();
        self.read(move |connection| identities::counts(connection, &pipeline, mapping))
    }

    fn stale<'a>(
        &'a self,
        pipeline: &'a PipelineName,
        mapping: MappingVersion,
        after: Option<SalesforceId>,
        limit: usize,
    ) -> Answer<'a, Vec<SalesforceId>> {
        let pipeline = pipeline.clone();
        self.read(move |connection| identities::stale(connection, &pipeline, mapping, after, limit))
    }

    fn live<'a>(
        &'a self,
        pipeline: &'a PipelineName,
        after: Option<SalesforceId>,
        limit: usize,
    ) -> Answer<'a, Vec<SalesforceId>> {
        let pipeline = pipeline.clone();
        self.read(move |connection| identities::live(connection, &pipeline, after, limit))
    }

    fn associations<'a>(
        &'a self,
        pipeline: &'a PipelineName,
        ids: &'a [SalesforceId],
    ) -> Answer<'a, Vec<AssociationState>> {
        let (name, ids) = (pipeline.clone(), ids.to_vec());
        let read = self.read(move |connection| associations::read(connection, &name, &ids));
        async move {
            let mut found = read.await?;
            self.relabelled.carry_over(pipeline, &mut found);
            Ok(found)
        }
        .boxed()
    }

    fn asked<'a>(&'a self, pipeline: &'a PipelineName, ids: &'a [SalesforceId]) -> Answer<'a, Vec<Asking>> {
        if self.relabelled.is_assumed(pipeline) {
            return asked_of_known(self, pipeline, ids);
        }
        let (name, ids) = (pipeline.clone(), ids.to_vec());
        self.read(move |connection| associations::asked(connection, &name, &ids))
    }

    fn due_associations<'a>(
        &'a self,
        pipeline: &'a PipelineName,
        at: Option<Timestamp>,
        after: Option<LookupRef>,
        limit: usize,
    ) -> Answer<'a, Vec<(AssociationState, HubspotId)>> {
        let pipeline = pipeline.clone();
        let at = at.map(rows::millis);
        self.read_followed(move |connection| associations::due(connection, &pipeline, at, after.as_ref(), limit))
    }

    fn settled_associations<'a>(
        &'a self,
        pipeline: &'a PipelineName,
        after: Option<LookupRef>,
        limit: usize,
    ) -> Answer<'a, Vec<(AssociationState, HubspotId)>> {
        let pipeline = pipeline.clone();
        self.read(move |connection| associations::settled(connection, &pipeline, after.as_ref(), limit))
    }

    fn pair_requests<'a>(&'a self, pairs: &'a [PairKey]) -> Answer<'a, Vec<PairRequest>> {
        let pairs = pairs.to_vec();
        let read = self.read(move |connection| pairs::requests(connection, &pairs));
        async move {
            let mut found = read.await?;
            self.relabelled.as_kept(&mut found);
            Ok(found)
        }
        .boxed()
    }

    fn owned_types<'a>(&'a self, pairs: &'a [PairKey]) -> Answer<'a, Vec<OwnedType>> {
        let pairs = pairs.to_vec();
        self.read(move |connection| pairs::owned(connection, &pairs))
    }

    fn due_count<'a>(&'a self, pipeline: &'a PipelineName) -> Answer<'a, u64> {
        let pipeline = pipeline.clone();
        self.read_followed(move |connection| associations::due_count(connection, &pipeline))
    }

    fn watermark<'a>(&'a self, pipeline: &'a PipelineName) -> Answer<'a, Option<Watermark>> {
        let pipeline = pipeline.clone();
        self.read(move |connection| runs::watermark(connection, &pipeline))
    }

    fn stored_watermark<'a>(&'a self, pipeline: &'a PipelineName) -> Answer<'a, Option<StoredWatermark>> {
        let pipeline = pipeline.clone();
        self.read(move |connection| runs::mark(connection, &pipeline))
    }

    fn cursor<'a>(&'a self, pipeline: &'a PipelineName) -> Answer<'a, Option<ImportProgress>> {
        let pipeline = pipeline.clone();
        self.read(move |connection| runs::progress(connection, &pipeline))
    }

    fn comparison<'a>(&'a self, pipeline: &'a PipelineName) -> Answer<'a, Option<ComparisonProgress>> {
        let pipeline = pipeline.clone();
        self.read(move |connection| comparisons::read(connection, &pipeline))
    }

    fn known_records<'a>(&'a self, ids: &'a [SalesforceId]) -> Answer<'a, HashSet<(SalesforceId, HubspotId)>> {
        let ids = ids.to_vec();
        self.read(move |connection| identities::known(connection, &ids))
    }

    fn note<'a>(&'a self, key: &'a str) -> Answer<'a, Option<String>> {
        let key = key.to_owned();
        self.read(move |connection| directory::note(connection, &key))
    }

    fn notes<'a>(&'a self, keys: &'a [String]) -> Answer<'a, Vec<Option<String>>> {
        let keys = keys.to_vec();
        self.read(move |connection| keys.iter().map(|key| directory::note(connection, key)).collect())
    }

    fn runs<'a>(&'a self, pipeline: Option<&'a PipelineName>, limit: usize) -> Answer<'a, Vec<RunRow>> {
        let pipeline = pipeline.cloned();
        self.read(move |connection| runs::list(connection, pipeline.as_ref(), limit))
    }

    fn last_good_run<'a>(&'a self, pipeline: &'a PipelineName) -> Answer<'a, Option<RunRow>> {
        let pipeline = pipeline.clone();
        self.read(move |connection| runs::last_good(connection, &pipeline))
    }

    fn has_unconfirmed<'a>(&'a self, pipeline: &'a PipelineName) -> Answer<'a, bool> {
        let pipeline = pipeline.clone();
        self.read(move |connection| unconfirmed::any(connection, &pipeline))
    }

    fn unconfirmed<'a>(&'a self, pipeline: &'a PipelineName, ids: &'a [SalesforceId]) -> Answer<'a, Vec<Unconfirmed>> {
        let (pipeline, ids) = (pipeline.clone(), ids.to_vec());
        self.read(move |connection| unconfirmed::of_records(connection, &pipeline, &ids))
    }

    fn in_doubt<'a>(
        &'a self,
        pipeline: &'a PipelineName,
        due_at: Option<Timestamp>,
        after: Option<SalesforceId>,
        limit: usize,
    ) -> Answer<'a, Vec<SalesforceId>> {
        let pipeline = pipeline.clone();
        self.read(move |connection| unconfirmed::list(connection, &pipeline, due_at, after, limit))
    }

    fn run<'a>(&'a self, id: &'a str) -> Answer<'a, Option<RunRow>> {
        let id = id.to_owned();
        self.read(move |connection| runs::find(connection, &id))
    }

    fn failures<'a>(&'a self, filter: &'a FailureFilter, limit: usize) -> Answer<'a, Vec<FailureRow>> {
        let filter = filter.clone();
        self.read(move |connection| failures::list(connection, &filter, limit))
    }

    fn failures_of<'a>(&'a self, pipeline: &'a PipelineName, ids: &'a [SalesforceId]) -> Answer<'a, Vec<FailureRow>> {
        let (pipeline, ids) = (pipeline.clone(), ids.to_vec());
        self.read(move |connection| failures::of_records(connection, &pipeline, &ids))
    }

    fn alert_conditions<'a>(&'a self, pipeline: &'a PipelineName) -> Answer<'a, Vec<Condition>> {
        let pipeline = pipeline.clone();
        self.read(move |connection| alerts::conditions(connection, &pipeline))
    }

    fn undelivered<'a>(&'a self) -> Answer<'a, Undelivered> {
        self.read(|connection| alerts::undelivered(connection))
    }

    fn open_failures<'a>(&'a self, pipeline: &'a PipelineName) -> Answer<'a, u64> {
        let pipeline = pipeline.clone();
        self.read(move |connection| failures::open_count(connection, &pipeline))
    }

    fn open_record_failures<'a>(&'a self, pipeline: &'a PipelineName) -> Answer<'a, u64> {
        let pipeline = pipeline.clone();
        self.read(move |connection| failures::open_record_count(connection, &pipeline))
    }

    fn failing<'a>(&'a self, pipeline: &'a PipelineName) -> Answer<'a, bool> {
        let pipeline = pipeline.clone();
        self.read(move |connection| failures::any(connection, &pipeline))
    }
}

impl StateWriter for SqliteState {
    fn lease<'a>(&'a self, pipeline: &'a PipelineName, command: &'a str) -> Answer<'a, Box<dyn Lease>> {
        let since = self.clock.now().strftime("%Y-%m-%d %H:%M:%SZ");
        let holder = format!("process {} (`{command}`, since {since})", std::process::id());
        let taken = match &self.path {
            Some(path) => lease::take(path, pipeline, &holder),
            None => self.leases.take(pipeline),
        };
        std::future::ready(taken).boxed()
    }

    fn begin_run<'a>(&'a self, run: &'a RunRow) -> Answer<'a, ()> {
        let run = run.clone();
        self.write(move |connection| runs::begin(connection, &run))
    }

    fn remember_match<'a>(&'a self, pipeline: &'a PipelineName, property: &'a str) -> Answer<'a, ()> {
        let (pipeline, property) = (pipeline.clone(), property.to_owned());
        self.write(move |connection| {
            let pipeline = pipelines::ensure_pipeline(connection, &pipeline)?;
            identities::remember_match(connection, pipeline, &property)
        })
    }

    fn note_calls<'a>(&'a self, pipeline: &'a PipelineName, calls: Vec<Unconfirmed>) -> Answer<'a, ()> {
        let pipeline = pipeline.clone();
        let writer = Arc::clone(&self.writer);
        // It is on the disk when it returns, whatever happens to the computer: a doubt that is lost with the power is no doubt any more,
        // and what it was about would never be looked up.
        let note = move |connection: &Database| unconfirmed::note(connection, &pipeline, &calls);
        self.answered(move || writer.submit(true, note))
    }

    fn commit(&self, commit: Commit) -> Answer<'_, ()> {
        self.write(move |connection| commit::write(connection, &commit))
    }

    fn end_run<'a>(&'a self, run: &'a RunRow) -> Answer<'a, ()> {
        let run = run.clone();
        self.write(move |connection| runs::end(connection, &run))
    }

    fn end_run_telling<'a>(&'a self, run: &'a RunRow, alerts: &'a AlertCommit) -> Answer<'a, ()> {
        let (run, alerts) = (run.clone(), alerts.clone());
        self.write(move |connection| runs::end_telling(connection, &run, &alerts))
    }

    fn note_alerts<'a>(&'a self, alerts: &'a AlertCommit) -> Answer<'a, ()> {
        let commit = alerts.clone();
        self.write(move |connection| alerts::write(connection, &commit))
    }

    fn take_alerts<'a>(&'a self, at: Timestamp, until: Timestamp, limit: usize) -> Answer<'a, Vec<QueuedAlert>> {
        async move {
            match self.read(move |connection| alerts::any_due(connection, at)).await? {
                true => self.write(move |connection| alerts::take(connection, at, until, limit)).await,
                false => Ok(Vec::new()),
            }
        }
        .boxed()
    }

    fn settle_alert<'a>(&'a self, number: i64, outcome: &'a Delivery) -> Answer<'a, ()> {
        let outcome = outcome.clone();
        self.write(move |connection| alerts::settle(connection, number, &outcome))
    }

    fn keep_associations<'a>(&'a self, pipeline: &'a PipelineName, kept: &'a [KeptAssociation]) -> Answer<'a, ()> {
        let (name, as_before) = (pipeline.clone(), kept.to_vec());
        let (pipeline, kept) = (pipeline.clone(), kept.to_vec());
        async move {
            if self.read(move |connection| kept::is_known(connection, &name, &as_before)).await? {
                return Ok(());
            }
            self.write(move |connection| kept::keep(connection, &pipeline, &kept)).await
        }
        .boxed()
    }

    fn recheck_associations<'a>(&'a self, pipeline: &'a PipelineName) -> Answer<'a, ()> {
        let pipeline = pipeline.clone();
        self.write(move |connection| lookups::recheck_all(connection, &pipeline))
    }

    fn set_note<'a>(&'a self, key: &'a str, text: &'a str) -> Answer<'a, ()> {
        let (key, text) = (key.to_owned(), text.to_owned());
        self.write(move |connection| directory::set_note(connection, &key, &text))
    }

    fn save_comparison<'a>(&'a self, pipeline: &'a PipelineName, to: Option<ComparisonProgress>) -> Answer<'a, ()> {
        let pipeline = pipeline.clone();
        self.write(move |connection| comparisons::write(connection, &pipeline, to.as_ref()))
    }

    fn bind<'a>(&'a self, connection: &'a str, identity: &'a str) -> Answer<'a, ()> {
        let path = self.place().map_or_else(String::new, |path| path.display().to_string());
        async move { bound::bind(self, &path, connection, identity).await }.boxed()
    }

    fn mark_failures<'a>(&'a self, filter: &'a FailureFilter, mark: FailureMark) -> Answer<'a, u64> {
        let filter = filter.clone();
        self.write(move |connection| failures::mark(connection, &filter, mark))
    }
}

impl Directory for SqliteState {
    fn find<'a>(&'a self, name: &'a str, ids: &'a [SalesforceId]) -> Answer<'a, HashMap<SalesforceId, Vec<HubspotId>>> {
        let (name, ids) = (name.to_owned(), ids.to_vec());
        self.read(move |connection| directory::find(connection, &name, &ids))
    }

    fn filled<'a>(&'a self, name: &'a str) -> Answer<'a, Option<Listing>> {
        let name = name.to_owned();
        self.read(move |connection| directory::filled(connection, &name))
    }

    fn add<'a>(&'a self, name: &'a str, entries: &'a [(SalesforceId, HubspotId)]) -> Answer<'a, ()> {
        let (name, entries) = (name.to_owned(), entries.to_vec());
        self.write(move |connection| directory::add(connection, &name, &entries))
    }

    fn forget<'a>(&'a self, name: &'a str, entries: &'a [(SalesforceId, HubspotId)]) -> Answer<'a, ()> {
        let (name, entries) = (name.to_owned(), entries.to_vec());
        self.write(move |connection| directory::forget(connection, &name, &entries))
    }

    fn publish<'a>(&'a self, draft: &'a str, name: &'a str, listing: Listing) -> Answer<'a, ()> {
        let (draft, name) = (draft.to_owned(), name.to_owned());
        self.write(move |connection| directory::publish(connection, &draft, &name, listing))
    }

    fn discard<'a>(&'a self, draft: &'a str) -> Answer<'a, ()> {
        let draft = draft.to_owned();
        self.write(move |connection| directory::discard(connection, &draft))
    }

    fn turn<'a>(&'a self, name: &'a str) -> BoxFuture<'a, Box<dyn Turn>> {
        let mut turns = self.turns.lock().unwrap_or_else(PoisonError::into_inner);
        let turn = Arc::clone(turns.entry(name.to_owned()).or_default());
        async move { Box::new(ListingTurn { _guard: turn.lock_owned().await }) as Box<dyn Turn> }.boxed()
    }
}

/// Held while a directory is listed.
struct ListingTurn {
    _guard: tokio::sync::OwnedMutexGuard<()>,
}

impl Turn for ListingTurn {}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::model::association::{Asked, AssociationKey};
    use crate::model::identity::{Membership, WrittenHash};
    use crate::model::ids::RunId;
    use crate::model::report::Tally;

    const RECORDS: usize = 3_000;

    #[tokio::test]
    async fn a_cycle_without_a_change_goes_through_no_table_of_records() {
        let state = SqliteState::in_memory(&Clock::system()).unwrap();
        let (name, at) = (PipelineName::new("one"), Timestamp::UNIX_EPOCH);
        let id = |number: usize| -> SalesforceId { format!("a010000000{number:05}").parse().unwrap() };
        let identity = |number: usize| Identity {
            salesforce_id: id(number),
            hubspot_id: HubspotId::new(number.to_string()),
            hash: WrittenHash([1; 16]),
            mapping: MappingVersion([1; 8]),
            match_property: "salesforce_id".into(),
            membership: Membership::Live,
        };
        let asked = Some(Asked { target: id(1), label: None });
        let commit = Commit {
            identities: (1..=RECORDS).map(identity).collect(),
            wanted: vec![(id(1_000), AssociationKey("Account__c".into()), asked)],
            ..Commit::new(&name, &RunId::new("01RUN"), at, Tally::default())
        };
        state.commit(commit.clone()).await.unwrap();
        let read = |database: &Database| Ok(database.unpacked.take());
        state.writer.read(read).unwrap();
        let mapping = MappingVersion([1; 8]);
        assert_eq!(state.identity_counts(&name, mapping).await.unwrap().standing, RECORDS as u64);
        assert!(!state.has_unconfirmed(&name).await.unwrap() && !state.failing(&name).await.unwrap());
        assert_eq!(state.due_count(&name).await.unwrap(), 1);
        assert_eq!(state.due_associations(&name, Some(at), None, 10).await.unwrap().len(), 1);
        state.in_doubt(&name, None, None, 10).await.unwrap();
        state.stored_watermark(&name).await.unwrap();
        state.commit(Commit { identities: Vec::new(), wanted: Vec::new(), ..commit }).await.unwrap();
        // The record of the one lookup with work left, and what was carried out of that.
        assert!(state.writer.read(read).unwrap() < 6);
        // What lists records is told apart.
        state.live(&name, None, RECORDS).await.unwrap();
        assert!(state.writer.read(read).unwrap() > RECORDS / 100);
    }
}
