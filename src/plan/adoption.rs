//! What a run knows of records that stand in HubSpot without a Salesforce id: in which order it takes them over, and the names of those
//! that a first import might make twice.

use std::collections::{BTreeSet, HashMap};
use std::sync::atomic::{AtomicU64, Ordering};
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};

use tokio::sync::{Notify, OnceCell};

use crate::model::hash::Hasher;
use crate::model::ids::HubspotId;

/// Who of a run may take records over: batches are asked about several at a time, and take in the order in which they were read, so that
/// of two Salesforce records with one value it is always the same one that takes.
#[derive(Debug, Default)]
pub struct Adopters {
    /// What earlier runs have left in the directory is gone; the object was listed, where it needs to be.
    pub prepared: OnceCell<()>,
    open: Mutex<BTreeSet<u64>>,
    next: AtomicU64,
    moved: Notify,
}

impl Adopters {
    /// The next place in the order; it is given up when dropped.
    pub fn turn(self: &Arc<Self>) -> Turn {
        let number = self.next.fetch_add(1, Ordering::Relaxed);
        // At once and not with the first wait: a later batch must see this place, however slow its holder is.
        self.open().insert(number);
        Turn { adopters: Arc::clone(self), number }
    }

    fn open(&self) -> MutexGuard<'_, BTreeSet<u64>> {
        self.open.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

/// A place in the order.
#[derive(Debug)]
pub struct Turn {
    adopters: Arc<Adopters>,
    number: u64,
}

impl Turn {
    /// Waits until all before have given up their place.
    pub async fn comes(&self) {
        loop {
            let mut moved = std::pin::pin!(self.adopters.moved.notified());
            // From here on no move is missed.
            moved.as_mut().enable();
            if self.adopters.open().first() == Some(&self.number) {
                return;
            }
            moved.await;
        }
    }
}

impl Drop for Turn {
    fn drop(&mut self) {
        // On every way out, failures and stops too: a place that stays would hold up all after it.
        self.adopters.open().remove(&self.number);
        self.adopters.moved.notify_waiters();
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
            // One example is enough for a person to see what it is about.
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

#[cfg(test)]
mod tests {
    use futures_util::FutureExt;

    use super::*;

    #[test]
    fn turns_come_in_their_order_whoever_waits_first() {
        let adopters: Arc<Adopters> = Arc::default();
        let turns: Vec<Turn> = (0..3).map(|_| adopters.turn()).collect();
        let [first, second, third] = <[Turn; 3]>::try_from(turns).unwrap_or_else(|_| panic!("three"));
        let has_come = |turn: &Turn| turn.comes().now_or_never().is_some();
        assert_eq!([&third, &second, &first].map(has_come), [false, false, true]);
        // One that gives up holds nobody back.
        drop(second);
        assert!(!has_come(&third));
        let mut waiting = Box::pin(third.comes());
        assert!((&mut waiting).now_or_never().is_none());
        drop(first);
        assert!(waiting.now_or_never().is_some());
    }
}
