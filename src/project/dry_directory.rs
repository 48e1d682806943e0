//! The directories of a dry run: it knows the listings that its run would know, and keeps what it notes itself apart from them.

use std::collections::{HashMap, HashSet};
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};

use futures_util::FutureExt;
use futures_util::future::BoxFuture;

use crate::model::ids::{HubspotId, SalesforceId};
use crate::ports::state::{Directory, Listing, StateError, Turn};

/// Directories of the state, which stay as they are, under those of a private one.
pub struct DryDirectory {
    state: Arc<dyn Directory>,
    scratch: Arc<dyn Directory>,
    /// The names that were looked up in the state, each with the listing that it has.
    listings: Mutex<HashMap<String, Option<Listing>>>,
}

impl DryDirectory {
    /// The directories of a dry run.
    pub fn new(state: Arc<dyn Directory>, scratch: Arc<dyn Directory>) -> Self {
        Self { state, scratch, listings: Mutex::default() }
    }

    /// The listing of the state, where the dry run has made none of its own. Only what was listed is shared: notes are private.
    async fn shared(&self, name: &str) -> Result<Option<Listing>, StateError> {
        let known = self.listings().get(name).copied();
        let listing = match known {
            Some(listing) => listing,
            None => {
                let listing = self.state.filled(name).await?;
                self.listings().insert(name.to_owned(), listing);
                listing
            }
        };
        let Some(listing) = listing else { return Ok(None) };
        let own = self.scratch.filled(name).await?;
        Ok(Some(listing).filter(|_| own.is_none()))
    }

    fn listings(&self) -> MutexGuard<'_, HashMap<String, Option<Listing>>> {
        self.listings.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

type Answer<'a, T> = BoxFuture<'a, Result<T, StateError>>;

impl Directory for DryDirectory {
    fn find<'a>(&'a self, name: &'a str, ids: &'a [SalesforceId]) -> Answer<'a, HashMap<SalesforceId, Vec<HubspotId>>> {
        async move {
            if self.shared(name).await?.is_none() {
                return self.scratch.find(name, ids).await;
            }
            let mut found = self.state.find(name, ids).await?;
            let added = self.scratch.find(&added_name(name), ids).await?;
            let forgotten = self.scratch.find(&forgotten_name(name), ids).await?;
            for (id, gone) in forgotten {
                let gone: HashSet<HubspotId> = gone.into_iter().collect();
                if let Some(records) = found.get_mut(&id) {
                    records.retain(|record| !gone.contains(record));
                }
            }
            for (id, added) in added {
                let records = found.entry(id).or_default();
                let news: Vec<HubspotId> = added.into_iter().filter(|record| !records.contains(record)).collect();
                records.extend(news);
            }
            found.retain(|_, records| !records.is_empty());
            Ok(found)
        }
        .boxed()
    }

    fn filled<'a>(&'a self, name: &'a str) -> Answer<'a, Option<Listing>> {
        async move {
            match self.shared(name).await? {
                Some(listing) => Ok(Some(listing)),
                None => self.scratch.filled(name).await,
            }
        }
        .boxed()
    }

    fn add<'a>(&'a self, name: &'a str, entries: &'a [(SalesforceId, HubspotId)]) -> Answer<'a, ()> {
        async move {
            match self.shared(name).await? {
                Some(_) => self.scratch.add(&added_name(name), entries).await,
                None => self.scratch.add(name, entries).await,
            }
        }
        .boxed()
    }

    fn forget<'a>(&'a self, name: &'a str, entries: &'a [(SalesforceId, HubspotId)]) -> Answer<'a, ()> {
        async move {
            match self.shared(name).await? {
                Some(_) => {
                    self.scratch.forget(&added_name(name), entries).await?;
                    self.scratch.add(&forgotten_name(name), entries).await
                }
                None => self.scratch.forget(name, entries).await,
            }
        }
        .boxed()
    }

    fn publish<'a>(&'a self, draft: &'a str, name: &'a str, listing: Listing) -> Answer<'a, ()> {
        self.scratch.publish(draft, name, listing)
    }

    fn discard<'a>(&'a self, draft: &'a str) -> Answer<'a, ()> {
        self.scratch.discard(draft)
    }

    fn turn<'a>(&'a self, name: &'a str) -> BoxFuture<'a, Box<dyn Turn>> {
        self.scratch.turn(name)
    }
}

/// The private directory of what the dry run found beyond a listing of the state.
fn added_name(name: &str) -> String {
    format!("added:{name}")
}

/// The private directory of what the dry run found to be gone from a listing of the state.
fn forgotten_name(name: &str) -> String {
    format!("forgotten:{name}")
}
