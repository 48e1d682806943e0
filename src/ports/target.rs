//! What the engine needs of the system that records go to. [`TargetReader`] cannot write; only the write half of the
//! stages ever holds a [`TargetWriter`].

use std::borrow::Cow;
use std::collections::BTreeMap;
use std::sync::Arc;

use futures_util::future::BoxFuture;

use super::fault::Fault;
use crate::model::association::AssociationType;
use crate::model::failure::Reason;
use crate::model::ids::HubspotId;
use crate::model::object::TargetObject;
use crate::model::owners::Owners;
use crate::model::record::Properties;

/// Most records of one batch call.
pub const BATCH_RECORDS_MAX: usize = 100;

/// The property that holds a record's own id: it may be the key of a batch read.
pub const RECORD_ID: &str = "hs_object_id";

/// Most values that one search asks for.
pub const SEARCH_VALUES_MAX: usize = 100;

/// Most associations that are made by one call.
pub const BATCH_PAIRS_MAX: usize = 2000;

/// Most records whose associations are read by one call.
pub const PAIRS_READ_MAX: usize = 1000;

/// Most associations that are removed by one call; how many HubSpot takes is documented nowhere.
pub const PAIRS_REMOVED_MAX: usize = 1000;

/// Reads one HubSpot portal. A handle counts its own calls; handles of one connection share token, limiter and pool.
pub trait TargetReader: Send + Sync {
    /// The portal behind the token.
    fn account(&self) -> BoxFuture<'_, Result<Account, Fault>>;

    /// Describes an object given by name, fully qualified name or object type id.
    ///
    /// Errors: `Halt` when there is no such object in the portal, naming the near ones.
    fn describe<'a>(&'a self, object: &'a str) -> BoxFuture<'a, Result<TargetObject, Fault>>;

    /// The association types from one object (by type id) to another.
    fn association_types<'a>(
        &'a self,
        from: &'a str,
        to: &'a str,
    ) -> BoxFuture<'a, Result<Vec<AssociationType>, Fault>>;

    /// The owners of the portal: users to whom records can be assigned.
    fn owners(&self) -> BoxFuture<'_, Result<Owners, Fault>>;

    /// Reads at most [`BATCH_RECORDS_MAX`] active records by a unique property: what the answers say of each key, in the
    /// order of the keys, which are distinct. The key property is always among the returned ones. Keys that an answer
    /// passes over are asked for again, a few times.
    fn read_by_key<'a>(
        &'a self,
        object: &'a str,
        key_property: &'a str,
        keys: &'a [String],
        properties: &'a [Arc<str>],
    ) -> BoxFuture<'a, Result<Vec<Lookup<TargetRecord>>, Fault>>;

    /// Reads one page (at most 100) of all active records; `after` is the answer's `next` of the page before.
    fn list<'a>(
        &'a self,
        object: &'a str,
        properties: &'a [Arc<str>],
        after: Option<&'a str>,
    ) -> BoxFuture<'a, Result<TargetPage, Fault>>;

    /// Active records that hold one of at most [`SEARCH_VALUES_MAX`] values in a property, as HubSpot's search knows them: it compares
    /// without regard to case and lags behind, so what it shows is to be read, and what it does not show may be there.
    ///
    /// Errors: `Reject` when the property cannot be searched by.
    fn search<'a>(
        &'a self,
        object: &'a str,
        property: &'a str,
        values: &'a [String],
    ) -> BoxFuture<'a, Result<Vec<TargetRecord>, Fault>>;

    /// All associations of at most [`PAIRS_READ_MAX`] records to records of another object, paged to the end: what the answers
    /// say of each record, in the order of the records, which are distinct. Absent means that it has none.
    fn associations<'a>(
        &'a self,
        from_object: &'a str,
        to_object: &'a str,
        from: &'a [HubspotId],
    ) -> BoxFuture<'a, Result<Vec<Lookup<Vec<PairTypes>>>, Fault>>;

    /// HTTP calls made through this handle so far.
    fn calls(&self) -> u64;

    /// Calls per second that the limiter allows at present.
    fn calls_per_second(&self) -> f64;

    /// How many calls must be under way at once for the limit to be used in full, as far as answers have shown.
    fn calls_under_way(&self) -> usize;
}

/// Writes to one HubSpot portal. Each method is one call (with its retries where repeating is safe).
pub trait TargetWriter: Send + Sync {
    /// Creates or updates at most [`BATCH_RECORDS_MAX`] records; every input is accounted for in the outcome.
    ///
    /// Errors: `Reject` when the call was refused as a whole (no record was written); `Unknown` when it may have taken
    /// effect and retrying did not settle it.
    fn write<'a>(&'a self, batch: &'a WriteBatch<'a>) -> BoxFuture<'a, Result<Vec<WriteOutcome>, Fault>>;

    /// Archives at most [`BATCH_RECORDS_MAX`] records by HubSpot id. Safe to repeat; unknown ids are no error.
    ///
    /// Errors: `Unknown` when the answer does not prove that it was done.
    fn archive<'a>(&'a self, object: &'a str, ids: &'a [HubspotId]) -> BoxFuture<'a, Result<(), Fault>>;

    /// Makes at most [`BATCH_PAIRS_MAX`] associations; safe to repeat. `types` of an association replace the pair's labels, so they name
    /// all that should stand; an empty list makes the plain association. One outcome for each association, in order.
    ///
    /// Errors: `Reject` when the call was refused as a whole.
    fn associate<'a>(
        &'a self,
        from_object: &'a str,
        to_object: &'a str,
        pairs: &'a [PairTypes],
    ) -> BoxFuture<'a, Result<Vec<PairOutcome>, Fault>>;

    /// Removes types from at most [`PAIRS_REMOVED_MAX`] associations; an empty list of types removes the whole association.
    fn disassociate<'a>(
        &'a self,
        from_object: &'a str,
        to_object: &'a str,
        pairs: &'a [PairTypes],
    ) -> BoxFuture<'a, Result<Vec<PairOutcome>, Fault>>;
}

/// Tells whether what was remembered of a portal still holds. It asks the portal at the first call only.
pub trait Confirm: Send + Sync {
    /// Errors: `Halt` when the portal has changed; nothing was written then, and the run is to begin anew.
    fn confirm(&self) -> BoxFuture<'_, Result<(), Fault>>;
}

/// The portal behind a token.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Account {
    /// Its number.
    pub portal_id: u64,
    /// Its time zone (`Europe/Berlin`); the daily budget resets at its midnight.
    pub time_zone: Option<String>,
    /// `STANDARD`, `SANDBOX`, `DEVELOPER_TEST`, …
    pub account_type: Option<String>,
    /// Where people open it in a browser (`app.hubspot.com`).
    pub ui_domain: Option<String>,
}

/// A HubSpot record as it stands. Blank properties are `None` or absent; both mean the same.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct TargetRecord {
    /// Its id.
    pub id: HubspotId,
    /// The requested properties.
    pub properties: BTreeMap<String, Option<String>>,
}

/// What a batch read says of one of its inputs.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Lookup<T> {
    /// The answer names it.
    Found(T),
    /// The documented error names it: nothing is there.
    Absent,
    /// No answer says a word about it. That is no proof of anything.
    Unknown,
}

impl<T> Lookup<T> {
    /// What was found.
    pub fn found(&self) -> Option<&T> {
        match self {
            Self::Found(found) => Some(found),
            Self::Absent | Self::Unknown => None,
        }
    }

    /// Whether no answer says a word about it.
    pub fn is_unknown(&self) -> bool {
        matches!(self, Self::Unknown)
    }
}

/// One page of a listing.
#[derive(Debug, Clone, PartialEq, Eq, Default)]
pub struct TargetPage {
    /// Its records.
    pub records: Vec<TargetRecord>,
    /// Where the next page starts; none at the end.
    pub next: Option<String>,
}

/// Two records and types of association between them, as seen from the first.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct PairTypes {
    /// This end.
    pub from: HubspotId,
    /// The other end.
    pub to: HubspotId,
    /// Of what stands: all types, the plain one included. Of what is to be made or removed: see the methods.
    pub types: Vec<AssociationType>,
}

/// What became of an association to make or to remove.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum PairOutcome {
    /// HubSpot's answer proves it.
    Done,
    /// HubSpot refused it.
    Refused(Box<Reason>),
    /// The answer does not tell.
    Unknown,
}

/// How a batch treats records that exist or do not.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum WriteMode {
    /// Create or update by the key property; safe to repeat.
    Upsert,
    /// Create only. Not safe to repeat: after an unknown outcome, look first.
    Create,
    /// Update by the key property only; safe to repeat.
    Update,
}

/// Records for one call. Keys are distinct.
#[derive(Debug, Clone)]
pub struct WriteBatch<'a> {
    /// Object type id.
    pub object: &'a str,
    /// The unique property that recognises a record.
    pub key_property: &'a str,
    /// What to do with records that exist or do not.
    pub mode: WriteMode,
    /// At most [`BATCH_RECORDS_MAX`] inputs.
    pub inputs: Vec<WriteInput<'a>>,
}

/// One record of a batch.
#[derive(Debug, Clone)]
pub struct WriteInput<'a> {
    /// Value of the key property.
    pub key: Cow<'a, str>,
    /// Properties to set, the key property among them.
    pub properties: Option<&'a Properties>,
    /// Further ones.
    pub create_only: Option<&'a Properties>,
    /// Leaves out what would be cleared.
    pub skips_blanks: bool,
}

/// Bytes of a property's name, about, with what stands around it and its value.
const NAME_BYTES: usize = 24;

impl WriteInput<'_> {
    /// Bytes of what is sent as JSON, about: nothing is escaped as a rule, and names are short.
    pub fn bytes(&self) -> usize {
        let all = self.properties.into_iter().chain(self.create_only);
        all.map(|properties| properties.text().len() + NAME_BYTES * properties.len()).sum()
    }
}

/// What became of one input.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum WriteOutcome {
    /// HubSpot returned the record.
    Confirmed {
        /// Its id.
        id: HubspotId,
        /// Whether this call made it; none when HubSpot did not say.
        created: Option<bool>,
    },
    /// HubSpot refused this input.
    Rejected(Box<Reason>),
    /// HubSpot said nothing of this input: it may have been written.
    Unknown,
}
