//! What a run knows of records that stand in HubSpot without a Salesforce id: those that it may take over, and the names of those that
//! a first import might make twice.

use std::collections::HashMap;
use std::sync::{Mutex, MutexGuard, PoisonError};

use tokio::sync::OnceCell;

use crate::model::hash::Hasher;
use crate::model::ids::{HubspotId, SalesforceId};

/// Records that can be taken over.
#[derive(Debug, Default)]
pub struct AdoptableRecords {
    /// Records without a Salesforce id, by a hash of the value, in order; read at the first need.
    pub listed: OnceCell<Vec<(u64, HubspotId)>>,
    /// Who takes over which: the first who asks, as two Salesforce records may have one value.
    taken: Mutex<HashMap<HubspotId, SalesforceId>>,
}

impl AdoptableRecords {
    /// The listed records with a value.
    pub fn of_value<'a>(listed: &'a [(u64, HubspotId)], value: &str) -> impl Iterator<Item = &'a HubspotId> {
        let hash = hash(value);
        let from = listed.partition_point(|(known, _)| *known < hash);
        let same = listed.get(from..).into_iter().flatten().take_while(move |(known, _)| *known == hash);
        same.map(|(_, record)| record)
    }

    /// Whether the record is for this Salesforce record, or for nobody yet.
    pub fn is_free(&self, record: &HubspotId, id: SalesforceId) -> bool {
        self.taken().get(record).is_none_or(|taker| *taker == id)
    }

    /// Takes it for this Salesforce record; false where another one was faster.
    pub fn take(&self, record: &HubspotId, id: SalesforceId) -> bool {
        *self.taken().entry(record.clone()).or_insert(id) == id
    }

    fn taken(&self) -> MutexGuard<'_, HashMap<HubspotId, SalesforceId>> {
        self.taken.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

/// Records of a first import whose names stand in HubSpot already.
#[derive(Debug, Default)]
pub struct SameTitles {
    /// The names that stand there; read at the first need.
    pub standing: OnceCell<StandingTitles>,
    found: Mutex<Option<(u64, HubspotId)>>,
}

/// Names of records without a Salesforce id, each by its hash.
#[derive(Debug, Default)]
pub struct StandingTitles {
    /// One record for each name.
    pub titles: HashMap<u64, HubspotId>,
    /// How many records were read, where there are more.
    pub cut_at: Option<usize>,
}

impl SameTitles {
    /// Counts a record that is to be created, if its name stands in HubSpot.
    pub fn count(&self, standing: &StandingTitles, title: &str) {
        if let Some(record) = standing.titles.get(&title_hash(title)) {
            let mut found = self.found.lock().unwrap_or_else(PoisonError::into_inner);
            found.get_or_insert_with(|| (0, record.clone())).0 += 1;
        }
    }

    /// What a person should know.
    pub fn note(&self) -> Option<String> {
        let found = self.found.lock().unwrap_or_else(PoisonError::into_inner);
        let (records, example) = found.as_ref()?;
        let cut = self.standing.get().and_then(|standing| standing.cut_at);
        let among =
            cut.map(|records| format!(" (compared with the first {records} records there)")).unwrap_or_default();
        let subject = match records {
            1 => "1 new record has a name".to_owned(),
            _ => format!("{records} new records have names"),
        };
        Some(format!(
            "{subject} that a HubSpot record without a Salesforce id has already, such as record {example}{among}: `target.adopt` \
             takes such records over instead of making them twice"
        ))
    }
}

/// Hash of a name; capitals do not matter.
pub fn title_hash(title: &str) -> u64 {
    hash(&title.trim().to_lowercase())
}

/// Hash of a value.
pub fn hash(value: &str) -> u64 {
    let mut hasher = Hasher::default();
    hasher.text(value);
    u64::from_be_bytes(hasher.finish())
}
