//! What the engine remembers between runs. Reading and writing are apart; one [`Commit`] is atomic.

use std::collections::{HashMap, HashSet};
use std::sync::Arc;

use futures_util::future::BoxFuture;
use jiff::Timestamp;
use serde::{Deserialize, Serialize};

pub use super::alerts::{AlertCommit, Delivery, QueuedAlert, Undelivered};
use crate::model::alert::Condition;
use crate::model::association::{
    Asked, AssociationKey, AssociationState, LabelId, OwnedType, PairKey, PairRequest, SettledPair,
};
use crate::model::failure::{Failure, FailureKind};
use crate::model::identity::{Identity, MappingVersion};
use crate::model::ids::{ById, HubspotId, PipelineName, RunId, SalesforceId};
use crate::model::report::{RunKind, RunStatus, Tally};
use crate::model::unconfirmed::Unconfirmed;
use crate::model::watermark::{ComparisonProgress, Cursor, Watermark};

/// Why the state could not be used. Each variant is one code of `syncline explain`.
#[derive(Debug, Clone, thiserror::Error)]
pub enum StateError {
    /// The file is not a state of Syncline, or is damaged.
    #[error("state `{path}` is damaged: {detail}")]
    Corrupt {
        /// Where it lies.
        path: String,
        /// What the database said.
        detail: String,
    },
    /// Written by a newer Syncline.
    #[error("state `{path}` has version {found}, and this Syncline reads versions up to {known}")]
    Newer {
        /// Where it lies.
        path: String,
        /// Its version.
        found: u32,
        /// The latest known version.
        known: u32,
    },
    /// The state belongs to another project or portal.
    #[error("state `{path}` belongs to {found}, not to {expected}")]
    Foreign {
        /// Where it lies.
        path: String,
        /// Whose it is.
        found: String,
        /// Whose it should be.
        expected: String,
    },
    /// Another process runs this pipeline.
    #[error("pipeline `{pipeline}` is being run by {holder}")]
    Held {
        /// The pipeline.
        pipeline: PipelineName,
        /// Who holds it: process, host, command and since when.
        holder: String,
    },
    /// The portal that a turn is about is another worker's.
    #[error("portal `{portal}` is another worker's by now, or may be ({why}): nothing more was sent or noted")]
    Lost {
        /// Which.
        portal: String,
        /// How this process knows.
        why: String,
    },
    /// It could not be read or written (permissions, disk full, read-only, lock timeout).
    #[error("state `{path}` cannot be used: {detail}")]
    Io {
        /// Where it lies.
        path: String,
        /// What the system said.
        detail: String,
    },
}

impl StateError {
    /// Stable code that `syncline explain` describes.
    pub fn code(&self) -> &'static str {
        match self {
            Self::Corrupt { .. } => "SL6001",
            Self::Newer { .. } => "SL6002",
            Self::Foreign { .. } => "SL6003",
            Self::Held { .. } | Self::Lost { .. } => "SL6004",
            Self::Io { .. } => "SL6005",
        }
    }
}

type Answer<'a, T> = BoxFuture<'a, Result<T, StateError>>;

/// Reads what is remembered.
pub trait StateReader: Send + Sync {
    /// What is known of these records; unknown ones are left out.
    fn identities<'a>(
        &'a self,
        pipeline: &'a PipelineName,
        ids: &'a [SalesforceId],
    ) -> Answer<'a, ById<SalesforceId, Identity>>;

    /// The Salesforce records of HubSpot records that stand.
    fn identities_of_records<'a>(
        &'a self,
        pipeline: &'a PipelineName,
        records: &'a [HubspotId],
    ) -> Answer<'a, Vec<(HubspotId, SalesforceId)>>;

    /// How many records of the pipeline stand in HubSpot (live or kept), and how many of those were written under
    /// another mapping than `mapping`.
    fn identity_counts<'a>(&'a self, pipeline: &'a PipelineName, mapping: MappingVersion)
    -> Answer<'a, IdentityCounts>;

    /// At most `limit` live records that were written under another mapping than `mapping`, by id, after the one given.
    fn stale<'a>(
        &'a self,
        pipeline: &'a PipelineName,
        mapping: MappingVersion,
        after: Option<SalesforceId>,
        limit: usize,
    ) -> Answer<'a, Vec<SalesforceId>>;

    /// At most `limit` records that are kept in step, by id, after the one given.
    fn live<'a>(
        &'a self,
        pipeline: &'a PipelineName,
        after: Option<SalesforceId>,
        limit: usize,
    ) -> Answer<'a, Vec<SalesforceId>>;

    /// What is known of these records' associations.
    fn associations<'a>(
        &'a self,
        pipeline: &'a PipelineName,
        ids: &'a [SalesforceId],
    ) -> Answer<'a, Vec<AssociationState>>;

    /// What lookups of these records ask for now.
    fn asked<'a>(&'a self, pipeline: &'a PipelineName, ids: &'a [SalesforceId]) -> Answer<'a, Vec<Asking>> {
        asked_of_known(self, pipeline, ids)
    }

    /// At most `limit` associations with work left, ordered by (record, key), after the given one; each with the HubSpot
    /// id of its record. Records that are archived or unknown are left out; with `at`, also those whose next try is later.
    fn due_associations<'a>(
        &'a self,
        pipeline: &'a PipelineName,
        at: Option<Timestamp>,
        after: Option<LookupRef>,
        limit: usize,
    ) -> Answer<'a, Vec<(AssociationState, HubspotId)>>;

    /// At most `limit` associations of the pipeline that were ever carried out, ordered by (record, key), after the given one; each
    /// with the HubSpot id of its record. Records that are archived are left out.
    fn settled_associations<'a>(
        &'a self,
        pipeline: &'a PipelineName,
        after: Option<LookupRef>,
        limit: usize,
    ) -> Answer<'a, Vec<(AssociationState, HubspotId)>>;

    /// The lookups, of all pipelines, that ask for associations between these pairs of records now.
    fn pair_requests<'a>(&'a self, pairs: &'a [PairKey]) -> Answer<'a, Vec<PairRequest>>;

    /// What of the associations between these pairs of records Syncline made.
    fn owned_types<'a>(&'a self, pairs: &'a [PairKey]) -> Answer<'a, Vec<OwnedType>>;

    /// How far the pipeline was read.
    fn watermark<'a>(&'a self, pipeline: &'a PipelineName) -> Answer<'a, Option<Watermark>>;

    /// The same, with what tells how far it is believed.
    fn stored_watermark<'a>(&'a self, pipeline: &'a PipelineName) -> Answer<'a, Option<StoredWatermark>>;

    /// Where an unfinished import of the pipeline stopped.
    fn cursor<'a>(&'a self, pipeline: &'a PipelineName) -> Answer<'a, Option<ImportProgress>>;

    /// Where a comparison of the pipeline stands that was broken off.
    fn comparison<'a>(&'a self, pipeline: &'a PipelineName) -> Answer<'a, Option<ComparisonProgress>>;

    /// The HubSpot records that these are, or were, in any pipeline.
    fn known_records<'a>(&'a self, ids: &'a [SalesforceId]) -> Answer<'a, HashSet<(SalesforceId, HubspotId)>>;

    /// How many associations of records that stand in HubSpot have work left.
    fn due_count<'a>(&'a self, pipeline: &'a PipelineName) -> Answer<'a, u64>;

    /// A short text that was noted under this key.
    fn note<'a>(&'a self, key: &'a str) -> Answer<'a, Option<String>>;

    /// The notes under these keys, as they are at one moment.
    fn notes<'a>(&'a self, keys: &'a [String]) -> Answer<'a, Vec<Option<String>>>;

    /// The latest runs, newest first; of one pipeline or of all.
    fn runs<'a>(&'a self, pipeline: Option<&'a PipelineName>, limit: usize) -> Answer<'a, Vec<RunRow>>;

    /// The latest run of a pipeline that went through.
    fn last_good_run<'a>(&'a self, pipeline: &'a PipelineName) -> Answer<'a, Option<RunRow>>;

    /// Whether something was sent for a record of the pipeline whose outcome is not noted.
    fn has_unconfirmed<'a>(&'a self, pipeline: &'a PipelineName) -> Answer<'a, bool>;

    /// What was sent for these records without that its outcome is noted.
    fn unconfirmed<'a>(&'a self, pipeline: &'a PipelineName, ids: &'a [SalesforceId]) -> Answer<'a, Vec<Unconfirmed>>;

    /// At most `limit` records for which something was sent without that its outcome is noted, by id, after the one given;
    /// with `due_at`, without those whose failure waits for a later try.
    fn in_doubt<'a>(
        &'a self,
        pipeline: &'a PipelineName,
        due_at: Option<Timestamp>,
        after: Option<SalesforceId>,
        limit: usize,
    ) -> Answer<'a, Vec<SalesforceId>>;

    /// One run, by its id or an unambiguous start or end of it.
    fn run<'a>(&'a self, id: &'a str) -> Answer<'a, Option<RunRow>>;

    /// Failures that match, oldest first, at most `limit`, after the record given.
    fn failures<'a>(&'a self, filter: &'a FailureFilter, limit: usize) -> Answer<'a, Vec<FailureRow>>;

    /// The open and dismissed failures of these records.
    fn failures_of<'a>(&'a self, pipeline: &'a PipelineName, ids: &'a [SalesforceId]) -> Answer<'a, Vec<FailureRow>>;

    /// What stands of a pipeline that people were told.
    fn alert_conditions<'a>(&'a self, pipeline: &'a PipelineName) -> Answer<'a, Vec<Condition>>;

    /// How many alerts are on their way, and the latest problem of the first that could not be delivered.
    fn undelivered<'a>(&'a self) -> Answer<'a, Undelivered>;

    /// How many failures of a pipeline are open.
    fn open_failures<'a>(&'a self, pipeline: &'a PipelineName) -> Answer<'a, u64>;

    /// How many of them are of records themselves, not of their associations.
    fn open_record_failures<'a>(&'a self, pipeline: &'a PipelineName) -> Answer<'a, u64>;

    /// Whether any record of the pipeline has an open or a dismissed failure.
    fn failing<'a>(&'a self, pipeline: &'a PipelineName) -> Answer<'a, bool>;
}

/// What lookups of records ask for now, by all that is known of them.
pub fn asked_of_known<'a>(
    state: &'a (impl StateReader + ?Sized),
    pipeline: &'a PipelineName,
    ids: &'a [SalesforceId],
) -> Answer<'a, Vec<Asking>> {
    Box::pin(async move {
        let known = state.associations(pipeline, ids).await?.into_iter();
        Ok(known.map(|state| (state.salesforce_id, state.key, state.wanted)).collect())
    })
}

/// Writes what is to be remembered. Every method is atomic and durable when it returns.
pub trait StateWriter: StateReader {
    /// Takes the right to run a pipeline, until the guard is dropped or the process dies.
    fn lease<'a>(&'a self, pipeline: &'a PipelineName, command: &'a str) -> Answer<'a, Box<dyn Lease>>;

    /// Begins a run: writes its row with status `running`, and marks runs of the pipeline that died as interrupted.
    fn begin_run<'a>(&'a self, run: &'a RunRow) -> Answer<'a, ()>;

    /// Notes the match property of identities that a state of an earlier version holds; the first one that is told stays.
    fn remember_match<'a>(&'a self, pipeline: &'a PipelineName, property: &'a str) -> Answer<'a, ()>;

    /// Notes calls that are about to be sent, so that a doubt is left should the process die before their outcome is noted.
    /// It outlives a loss of power, too. A commit forgets them again.
    fn note_calls<'a>(&'a self, pipeline: &'a PipelineName, calls: Vec<Unconfirmed>) -> Answer<'a, ()>;

    /// Saves the results of some work, all or nothing. A watermark never goes back, unless the commit corrects it.
    fn commit(&self, commit: Commit) -> Answer<'_, ()>;

    /// Ends a run with its final numbers.
    fn end_run<'a>(&'a self, run: &'a RunRow) -> Answer<'a, ()>;

    /// The same, together with what people are told of it.
    fn end_run_telling<'a>(&'a self, run: &'a RunRow, alerts: &'a AlertCommit) -> Answer<'a, ()>;

    /// Remembers what stands and what is over, and puts alerts on their way.
    fn note_alerts<'a>(&'a self, alerts: &'a AlertCommit) -> Answer<'a, ()>;

    /// Takes at most `limit` alerts that are due; until `until`, nobody else takes them.
    fn take_alerts<'a>(&'a self, at: Timestamp, until: Timestamp, limit: usize) -> Answer<'a, Vec<QueuedAlert>>;

    /// Notes what became of an alert that was taken.
    fn settle_alert<'a>(&'a self, number: i64, outcome: &'a Delivery) -> Answer<'a, ()>;

    /// Keeps these associations of the pipeline, and forgets what lookups asked for under other keys: the definition has dropped
    /// them. What was made of it stays in HubSpot and known as ours.
    fn keep_associations<'a>(&'a self, pipeline: &'a PipelineName, kept: &'a [KeptAssociation]) -> Answer<'a, ()>;

    /// Has HubSpot asked how all associations of the pipeline stand that were ever carried out.
    fn recheck_associations<'a>(&'a self, pipeline: &'a PipelineName) -> Answer<'a, ()>;

    /// Notes a short text under a key; an empty one forgets it.
    fn set_note<'a>(&'a self, key: &'a str, text: &'a str) -> Answer<'a, ()>;

    /// Saves where a comparison stands; none forgets it.
    fn save_comparison<'a>(&'a self, pipeline: &'a PipelineName, to: Option<ComparisonProgress>) -> Answer<'a, ()>;

    /// Binds the state to a portal and an org on first use; refuses (`Foreign`) when it is bound to others.
    fn bind<'a>(&'a self, connection: &'a str, identity: &'a str) -> Answer<'a, ()>;

    /// Marks open failures as dismissed, or as due at once; returns how many.
    fn mark_failures<'a>(&'a self, filter: &'a FailureFilter, mark: FailureMark) -> Answer<'a, u64>;
}

/// Which HubSpot records carry which Salesforce id, for objects whose id property is not unique: filled by listing them.
/// A dry run uses a private one, so it is apart from the state proper.
pub trait Directory: Send + Sync {
    /// HubSpot ids by Salesforce id. Several for one mean that several records carry one Salesforce id.
    fn find<'a>(&'a self, name: &'a str, ids: &'a [SalesforceId]) -> Answer<'a, HashMap<SalesforceId, Vec<HubspotId>>>;

    /// The listing that filled it last to its end.
    fn filled<'a>(&'a self, name: &'a str) -> Answer<'a, Option<Listing>>;

    /// Adds records.
    fn add<'a>(&'a self, name: &'a str, entries: &'a [(SalesforceId, HubspotId)]) -> Answer<'a, ()>;

    /// Forgets records that no longer carry the id.
    fn forget<'a>(&'a self, name: &'a str, entries: &'a [(SalesforceId, HubspotId)]) -> Answer<'a, ()>;

    /// Puts a complete draft in the place of the directory `name`, all at once.
    fn publish<'a>(&'a self, draft: &'a str, name: &'a str, listing: Listing) -> Answer<'a, ()>;

    /// Forgets a draft.
    fn discard<'a>(&'a self, draft: &'a str) -> Answer<'a, ()>;

    /// Waits until nobody else in this process lists for the directory; the right ends when the guard is dropped.
    fn turn<'a>(&'a self, name: &'a str) -> BoxFuture<'a, Box<dyn Turn>>;
}

/// The right to list for a directory.
pub trait Turn: Send + Sync {}

/// A listing that filled a directory.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize)]
pub struct Listing {
    /// When it ended.
    pub at: Timestamp,
    /// Calls that it took.
    pub pages: u64,
}

/// The right of one process to run one pipeline; given back when dropped.
pub trait Lease: Send + Sync {}

/// How many records stand in HubSpot.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq)]
pub struct IdentityCounts {
    /// Live ones and kept ones (left the filter, deleted at the source); not archived ones.
    pub standing: u64,
    /// Live ones.
    pub live: u64,
    /// Live ones that were written under another mapping.
    pub behind: u64,
    /// Records without an identity of which one may stand all the same: what was sent for them is not confirmed.
    pub in_doubt: u64,
}

/// How the codes of failures begin that are about a record's associations, not about the record itself.
pub const ASSOCIATION_FAILURES: &str = crate::model::failure::ASSOCIATION_CODES;

/// One lookup of one record.
pub type LookupRef = (SalesforceId, AssociationKey);

/// What one lookup of one record asks for; none when it is blank.
pub type Asking = (SalesforceId, AssociationKey, Option<Asked>);

/// What was carried out of one lookup of one record; none where nothing stands.
pub type SettledLookup = (SalesforceId, AssociationKey, Option<(PairKey, SettledPair)>);

/// What is about to be carried out of one lookup of one record.
pub type MakingLookup = (SalesforceId, AssociationKey, (PairKey, SettledPair));

/// An association that a pipeline has, as far as the state must know it.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct KeptAssociation {
    /// Its key.
    pub key: AssociationKey,
    /// Its label, where that is the same for all records.
    pub label: Option<LabelId>,
    /// The connection to the portal.
    pub connection: Arc<str>,
    /// The pipeline's object.
    pub from_object: Arc<str>,
    /// The object at the other end.
    pub to_object: Arc<str>,
}

impl KeptAssociation {
    /// The pair of two records that it leads from and to.
    pub fn pair(&self, from: &HubspotId, to: &HubspotId) -> PairKey {
        PairKey::new(&self.connection, (&self.from_object, from), (&self.to_object, to))
    }
}

/// One atomic piece of progress.
#[derive(Debug, Clone)]
pub struct Commit {
    /// The pipeline.
    pub pipeline: PipelineName,
    /// The run that did the work.
    pub run: RunId,
    /// Time of the commit.
    pub at: Timestamp,
    /// Records to remember (insert or replace).
    pub identities: Vec<Identity>,
    /// What lookups ask for now; what was carried out stays.
    pub wanted: Vec<Asking>,
    /// What is about to be carried out of lookups, which ask for it. From then on it counts as carried out and is in doubt, until it is settled or
    /// confirmed.
    pub making: Vec<MakingLookup>,
    /// What was carried out of lookups; what they ask for stays. Whether HubSpot was to be asked is over with it.
    pub settled: Vec<SettledLookup>,
    /// Lookups of which stands what was carried out of them, and what they asked for then. Whether HubSpot was to be asked is over with it.
    pub confirmed: Vec<(SalesforceId, AssociationKey, Asked)>,
    /// Lookups whose standing in HubSpot is in doubt from now on.
    pub rechecks: Vec<LookupRef>,
    /// What Syncline makes between two records.
    pub owned: Vec<OwnedType>,
    /// What is no longer there, or was never made; entered before `owned`.
    pub disowned: Vec<OwnedType>,
    /// Pairs of records from which something was removed, seen from the one named: who asks for them elsewhere looks again.
    pub removed_from: Vec<(PairKey, HubspotId)>,
    /// Lookups that cannot be carried out yet: each is tried again after a multiple of the time that it has waited, an hour at
    /// most.
    pub waiting: Vec<LookupRef>,
    /// Records to set aside (opens or refreshes the record's failure; attempts go up by one).
    pub failures: Vec<Failure>,
    /// Records whose own failures are over (all codes but those of associations).
    pub resolved: Vec<SalesforceId>,
    /// Records whose failures of associations are over.
    pub resolved_associations: Vec<SalesforceId>,
    /// Records whose own failure was looked at again and stands as it did: they were not tried, and the next look comes
    /// after a longer pause.
    pub postponed: Vec<SalesforceId>,
    /// What records were judged by (see `Pipeline::basis`); noted with their failures.
    pub basis: String,
    /// Records whose standing in HubSpot is known now: what was sent for them before is accounted for.
    pub accounted: Vec<SalesforceId>,
    /// The run's numbers so far.
    pub tally: Tally,
    /// New place of an unfinished import; `Some(None)` forgets it.
    pub cursor: Option<Option<ImportProgress>>,
    /// New watermark.
    pub watermark: Option<Watermark>,
    /// When it was true, by this computer's clock.
    pub watermark_set: Option<Timestamp>,
    /// The one before was ahead of Salesforce's clock: this one takes its place although it is earlier.
    pub watermark_corrected: bool,
}

impl Commit {
    /// A commit that changes nothing yet but the run's numbers.
    pub fn new(pipeline: &PipelineName, run: &RunId, at: Timestamp, tally: Tally) -> Self {
        Self {
            pipeline: pipeline.clone(),
            run: run.clone(),
            at,
            identities: Vec::new(),
            wanted: Vec::new(),
            making: Vec::new(),
            settled: Vec::new(),
            confirmed: Vec::new(),
            rechecks: Vec::new(),
            owned: Vec::new(),
            disowned: Vec::new(),
            removed_from: Vec::new(),
            waiting: Vec::new(),
            failures: Vec::new(),
            resolved: Vec::new(),
            resolved_associations: Vec::new(),
            postponed: Vec::new(),
            basis: String::new(),
            accounted: Vec::new(),
            tally,
            cursor: None,
            watermark: None,
            watermark_set: None,
            watermark_corrected: false,
        }
    }
}

/// An import that was not finished.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct ImportProgress {
    /// When it began, by the source's clock: the watermark that it will leave.
    pub began: Watermark,
    /// The same by this computer's clock; none in a state of an earlier version.
    pub began_at: Option<Timestamp>,
    /// Where its read stood when all before it was acknowledged; none at the start.
    pub cursor: Option<Cursor>,
    /// Records read so far.
    pub read: u64,
    /// Records counted at the start.
    pub total: u64,
}

/// A watermark, and what tells how far it is believed.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct StoredWatermark {
    /// The watermark.
    pub watermark: Watermark,
    /// When it was set, by this computer's clock; none in a state of an earlier version.
    pub set_at: Option<Timestamp>,
    /// When the pipeline's first run began that is known, by the same clock.
    pub first_run: Option<Timestamp>,
}

/// One row of the run history.
#[derive(Debug, Clone, PartialEq)]
pub struct RunRow {
    /// The run.
    pub id: RunId,
    /// Its pipeline.
    pub pipeline: PipelineName,
    /// What it was for.
    pub kind: RunKind,
    /// How it stands or ended.
    pub status: RunStatus,
    /// When it began.
    pub started: Timestamp,
    /// When it ended.
    pub ended: Option<Timestamp>,
    /// Its numbers.
    pub tally: Tally,
    /// Why it ended early.
    pub error: Option<String>,
}

/// Which failures are meant; all conditions must hold.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub struct FailureFilter {
    /// Of this pipeline.
    pub pipeline: Option<PipelineName>,
    /// Seen by this run.
    pub run: Option<RunId>,
    /// Of this record.
    pub salesforce_id: Option<SalesforceId>,
    /// With this code; heeded unless those of a run are asked for.
    pub code: Option<String>,
    /// Of this cause; heeded as the code is.
    pub cause: Option<FailureCause>,
    /// Also those that were dismissed or resolved.
    pub closed_too: bool,
    /// Only those of this kind.
    pub kind: Option<FailureKind>,
    /// Only those due for another try at this time.
    pub due_at: Option<Timestamp>,
    /// With `due_at`: also those of records that failed under another basis than this one.
    pub basis: Option<String>,
    /// Only those that were not seen since.
    pub seen_before: Option<Timestamp>,
    /// Only those after this one, in the order of the answer.
    pub after: Option<(PipelineName, SalesforceId, FailureKind)>,
}

/// What failures that people see as one have in common besides pipeline and code.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub struct FailureCause {
    /// The property at fault.
    pub property: Option<String>,
    /// What the remote system calls it.
    pub remote_code: Option<String>,
}

/// What a person decided about failures.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum FailureMark {
    /// Do not try again until the record changes.
    Dismiss,
    /// To be tried again by the next run.
    Retry,
}

/// One failure as stored.
#[derive(Debug, Clone, PartialEq)]
pub struct FailureRow {
    /// The pipeline.
    pub pipeline: PipelineName,
    /// The run that saw it last.
    pub run: RunId,
    /// The record and the reason.
    pub failure: Failure,
    /// First and last time that it failed.
    pub first_seen: Timestamp,
    /// See `first_seen`.
    pub last_seen: Timestamp,
    /// How often it failed.
    pub attempts: u32,
    /// Open, dismissed or resolved.
    pub status: FailureStatus,
    /// When it is tried again; the beginning of time where a person asked for it.
    pub retry_at: Option<Timestamp>,
    /// What the record was judged by when it failed; none where an earlier version noted it.
    pub basis: Option<String>,
}

impl FailureRow {
    /// Its place in the order of a list.
    pub fn place(&self) -> (PipelineName, SalesforceId, FailureKind) {
        (self.pipeline.clone(), self.failure.salesforce_id, self.failure.reason.kind())
    }
}

/// How a failure stands.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum FailureStatus {
    /// To be tried again.
    Open,
    /// A person dismissed it until the record changes.
    Dismissed,
    /// The record went through since.
    Resolved,
}
