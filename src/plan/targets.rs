//! The records that lookups were found to lead to, for the length of a run: many records lead to one account.

use std::collections::{HashMap, HashSet};
use std::hash::{BuildHasher, RandomState};
use std::sync::{Mutex, PoisonError};

use tokio::sync::Notify;

use crate::model::ids::{ById, HubspotId, SalesforceId};

/// Most targets that are remembered; then they are forgotten and asked for again.
/// Some ten megabytes: the accounts of nearly every org, without growing with those that have millions.
const TARGETS_MAX: usize = 100_000;

/// Targets that were found.
#[derive(Debug, Default)]
pub struct FoundTargets {
    known: Mutex<Known>,
    answered: Notify,
    hasher: RandomState,
}

/// An object, and the property that holds Salesforce ids there.
type Directory = (Box<str>, Box<str>);

#[derive(Debug, Default)]
struct Known {
    /// By object and property, of which there are few.
    found: Vec<(Directory, ById<SalesforceId, HubspotId>)>,
    /// Those that somebody asks HubSpot for at this moment.
    asked: HashSet<u64>,
    /// Directories that were listed.
    listed: HashSet<String>,
    /// Those that several records carry, which HubSpot has confirmed.
    several: HashSet<u64>,
    /// Those that the search was asked for.
    sought: HashSet<u64>,
    /// Searches of each directory.
    searches: HashMap<String, u64>,
}

/// The right to ask for some targets; others who need them wait until it is over.
#[derive(Debug)]
pub struct AskingTurn<'a> {
    targets: &'a FoundTargets,
    known: Vec<(SalesforceId, HubspotId)>,
    asked: Vec<SalesforceId>,
    keys: Vec<u64>,
    elsewhere: Vec<SalesforceId>,
}

impl Known {
    /// The records of a directory that were found.
    fn records(&mut self, object: &str, property: &str) -> Option<&mut ById<SalesforceId, HubspotId>> {
        let mut all = self.found.iter_mut();
        all.find(|((of, by), _)| **of == *object && **by == *property).map(|(_, records)| records)
    }
}

impl FoundTargets {
    /// What a record is remembered by: its hash takes an eighth of its text. It is of this process only, so nobody can aim at a clash.
    fn key(&self, object: &str, property: &str, id: SalesforceId) -> u64 {
        self.hasher.hash_one((object, property, id))
    }

    /// The record of an object that holds an id in a property, if it was found before.
    pub fn get(&self, object: &str, property: &str, id: SalesforceId) -> Option<HubspotId> {
        self.known().records(object, property)?.get(&id).cloned()
    }

    /// Remembers it.
    pub fn put(&self, object: &str, property: &str, id: SalesforceId, record: &HubspotId) {
        let mut known = self.known();
        // All at once: it is asked for again at the cost of a call per hundred, and a list of the oldest would cost
        // memory itself.
        if known.found.iter().map(|(_, records)| records.len()).sum::<usize>() >= TARGETS_MAX {
            known.found.clear();
        }
        if let Some(records) = known.records(object, property) {
            records.insert(id, record.clone());
        } else {
            known.found.push(((object.into(), property.into()), ById::from_iter([(id, record.clone())])));
        }
    }

    /// Whether a directory was listed in this run.
    pub fn is_listed(&self, directory: &str) -> bool {
        self.known().listed.contains(directory)
    }

    /// Remembers that a directory was listed.
    pub fn put_listed(&self, directory: &str) {
        self.known().listed.insert(directory.to_owned());
    }

    /// Those of these ids that the search was not asked for in this run, and how many searches were made for the directory.
    pub fn unsought(&self, directory: &str, ids: &[SalesforceId]) -> (Vec<SalesforceId>, u64) {
        let known = self.known();
        let unsought = ids.iter().filter(|id| !known.sought.contains(&self.hasher.hash_one((directory, id))));
        (unsought.copied().collect(), known.searches.get(directory).copied().unwrap_or_default())
    }

    /// Remembers that the search was asked for these ids, in so many calls.
    pub fn put_sought(&self, directory: &str, ids: &[SalesforceId], searches: u64) {
        let mut known = self.known();
        if known.sought.len() >= TARGETS_MAX {
            known.sought.clear();
        }
        known.sought.extend(ids.iter().map(|id| self.hasher.hash_one((directory, id))));
        *known.searches.entry(directory.to_owned()).or_default() += searches;
    }

    /// Whether HubSpot has confirmed in this run that several records carry the id.
    pub fn are_several(&self, object: &str, property: &str, id: SalesforceId) -> bool {
        self.known().several.contains(&self.key(object, property, id))
    }

    /// Remembers that several records carry the id.
    pub fn put_several(&self, object: &str, property: &str, id: SalesforceId) {
        let mut known = self.known();
        if known.several.len() >= TARGETS_MAX {
            known.several.clear();
        }
        known.several.insert(self.key(object, property, id));
    }

    /// Sorts ids by whether they are known, are asked for elsewhere, or are for the caller to ask for. In doubt, all of them are.
    pub fn begin(&self, object: &str, property: &str, ids: &[SalesforceId], doubted: bool) -> AskingTurn<'_> {
        let (mut found, mut asked, mut keys, mut elsewhere) = (Vec::new(), Vec::new(), Vec::new(), Vec::new());
        let mut known = self.known();
        for id in ids {
            // What is remembered may be what the doubt is about.
            if doubted {
                asked.push(*id);
                continue;
            }
            if let Some(record) = known.records(object, property).and_then(|records| records.get(id)) {
                found.push((*id, record.clone()));
                continue;
            }
            let key = self.key(object, property, *id);
            if known.asked.insert(key) {
                keys.push(key);
                asked.push(*id);
            } else {
                elsewhere.push(*id);
            }
        }
        AskingTurn { targets: self, known: found, asked, keys, elsewhere }
    }

    /// Waits until nobody asks for these any more; gives them back.
    pub async fn answered(&self, object: &str, property: &str, ids: Vec<SalesforceId>) -> Vec<SalesforceId> {
        let keys: Vec<u64> = ids.iter().map(|id| self.key(object, property, *id)).collect();
        loop {
            let answered = self.answered.notified();
            if !keys.iter().any(|key| self.known().asked.contains(key)) {
                return ids;
            }
            answered.await;
        }
    }

    fn known(&self) -> std::sync::MutexGuard<'_, Known> {
        self.known.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

impl AskingTurn<'_> {
    /// What the caller is to ask for.
    pub fn asked(&self) -> &[SalesforceId] {
        &self.asked
    }

    /// Ends the turn: what was known before it, and what somebody else asks for.
    pub fn end(mut self) -> (Vec<(SalesforceId, HubspotId)>, Vec<SalesforceId>) {
        (std::mem::take(&mut self.known), std::mem::take(&mut self.elsewhere))
    }
}

impl Drop for AskingTurn<'_> {
    fn drop(&mut self) {
        // However the asking ended: those who wait look for themselves whether there is an answer, and ask if not.
        if !self.keys.is_empty() {
            let mut known = self.targets.known();
            for key in &self.keys {
                known.asked.remove(key);
            }
            drop(known);
            self.targets.answered.notify_waiters();
        }
    }
}

#[cfg(test)]
mod tests {
    use futures_util::FutureExt;

    use super::*;

    #[test]
    fn what_one_batch_asks_for_no_other_asks_for() {
        let id = |text: &str| text.parse::<SalesforceId>().unwrap();
        let (a, b, c) = (id("0015g00000XyZaBAAV"), id("0015g00000XyZaCAAV"), id("0015g00000XyZaDAAV"));
        let targets = FoundTargets::default();
        targets.put("0-2", "sf_id", c, &HubspotId::new("3"));
        let first = targets.begin("0-2", "sf_id", &[a, c], false);
        assert_eq!(first.asked(), [a]);
        let second = targets.begin("0-2", "sf_id", &[a, b], false);
        assert_eq!(second.asked(), [b]);
        assert_eq!(targets.begin("0-3", "sf_id", &[a], false).asked(), [a], "another object");
        let (known, elsewhere) = second.end();
        assert!(known.is_empty());
        let mut waiting = Box::pin(targets.answered("0-2", "sf_id", elsewhere));
        assert!((&mut waiting).now_or_never().is_none());
        targets.put("0-2", "sf_id", a, &HubspotId::new("1"));
        assert_eq!(first.end().0, [(c, HubspotId::new("3"))]);
        assert_eq!((&mut waiting).now_or_never(), Some(vec![a]));
        assert_eq!(targets.begin("0-2", "sf_id", &[a], false).asked(), []);
        assert_eq!(targets.begin("0-2", "sf_id", &[a], true).asked(), [a], "in doubt it is asked for again");
    }
}
