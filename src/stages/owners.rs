//! The owners of a portal: as an earlier run saved them, or read from HubSpot, once in a run at most.

use std::sync::atomic::{AtomicBool, Ordering};

use jiff::{SignedDuration, Timestamp};
use serde::{Deserialize, Serialize};
use tokio::sync::OnceCell;

use crate::model::owners::Owners;
use crate::ports::fault::Fault;
use crate::ports::state::{StateError, StateReader, StateWriter};
use crate::ports::target::TargetReader;

/// How long saved owners are believed. Users come and go rarely; one who is new is asked for again at once, and of one who is
/// gone HubSpot says so when a record is assigned to them.
const BELIEVED: SignedDuration = SignedDuration::from_hours(1);

/// What a run knows of its portal's owners.
#[derive(Debug, Default)]
pub struct OwnerList {
    /// As an earlier run saved them; none where there are none, or they are too old.
    saved: OnceCell<Option<Owners>>,
    /// As HubSpot says now, and since when that is known.
    read: OnceCell<(Owners, Timestamp)>,
    /// HubSpot refused an owner that it had told of.
    refused: AtomicBool,
}

/// The form in which owners are saved.
#[derive(Serialize, Deserialize)]
struct SavedOwners {
    read_at: Timestamp,
    owners: Owners,
}

/// Where owners come from.
pub struct OwnerSources<'a> {
    /// HubSpot.
    pub target: &'a dyn TargetReader,
    /// What is remembered.
    pub state: &'a dyn StateReader,
    /// The connection's name. It leads to one portal: the state refuses another.
    pub connection: &'a str,
    /// The present moment.
    pub now: Timestamp,
}

/// Why owners are not known.
#[derive(Debug)]
pub enum OwnersError {
    /// HubSpot did not tell.
    Remote(Fault),
    /// The state cannot be read.
    State(StateError),
}

impl OwnerList {
    /// The owners, saved ones as long as they are believed.
    pub async fn get(&self, from: &OwnerSources<'_>) -> Result<&Owners, OwnersError> {
        // What was read in this run is newer than anything that was saved.
        if self.read.get().is_none() {
            let saved = self.saved.get_or_try_init(|| recall(from)).await.map_err(OwnersError::State)?;
            if let Some(saved) = saved {
                return Ok(saved);
            }
        }
        self.read(from).await
    }

    /// The owners as HubSpot says now.
    pub async fn read(&self, from: &OwnerSources<'_>) -> Result<&Owners, OwnersError> {
        // The moment before the call: an owner who comes while it runs must not count as read.
        let read = || async { Ok((from.target.owners().await?, from.now)) };
        let read = self.read.get_or_try_init(read).await.map_err(OwnersError::Remote)?;
        Ok(&read.0)
    }

    /// Whether they were read in this run, so that reading them again would tell nothing new.
    pub fn is_read(&self) -> bool {
        self.read.get().is_some()
    }

    /// Notes that HubSpot refused one of them.
    pub fn refuse(&self) {
        self.refused.store(true, Ordering::Relaxed);
    }

    /// Saves what was read for the runs to come; after a refusal the next one reads anew.
    pub async fn save(&self, state: &dyn StateWriter, connection: &str) -> Result<(), StateError> {
        let refused = self.refused.load(Ordering::Relaxed);
        let saved = match self.read.get() {
            _ if refused => String::new(),
            Some((owners, read_at)) => {
                let saved = SavedOwners { read_at: *read_at, owners: owners.clone() };
                serde_json::to_string(&saved).unwrap_or_default()
            }
            None => return Ok(()),
        };
        state.set_note(&key(connection), &saved).await
    }
}

async fn recall(from: &OwnerSources<'_>) -> Result<Option<Owners>, StateError> {
    let saved = from.state.note(&key(from.connection)).await?;
    Ok(saved.and_then(|saved| believed(&saved, from.now)))
}

/// Saved owners, while they are believed. A form that another version wrote is read anew.
fn believed(saved: &str, now: Timestamp) -> Option<Owners> {
    let saved: SavedOwners = serde_json::from_str(saved).ok()?;
    let age = now.duration_since(saved.read_at);
    // From the future they come where the clock was set back: then nothing tells how old they are.
    (age >= SignedDuration::ZERO && age <= BELIEVED).then_some(saved.owners)
}

fn key(connection: &str) -> String {
    format!("owners:{connection}")
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn saved_owners_are_believed_for_an_hour() {
        let mut owners = Owners::default();
        owners.add("jane@acme.com", "7", false);
        let read_at: Timestamp = "2026-10-01T09:00:00Z".parse().unwrap();
        let saved = serde_json::to_string(&SavedOwners { read_at, owners: owners.clone() }).unwrap();
        for (now, expected) in [
            ("2026-10-01T09:00:00Z", true),
            ("2026-10-01T10:00:00Z", true),
            ("2026-10-01T10:00:01Z", false),
            ("2026-10-01T08:59:59Z", false),
        ] {
            let found = believed(&saved, now.parse().unwrap());
            assert_eq!(found, expected.then(|| owners.clone()), "{now}");
        }
        assert_eq!(believed("", read_at), None);
        assert_eq!(believed(r#"{"read_at":1}"#, read_at), None);
    }
}
