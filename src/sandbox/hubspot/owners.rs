//! Owners: the users and queues that records may be assigned to.

use std::collections::BTreeMap;

use serde::{Deserialize, Serialize};
use serde_json::Value;

/// The first owner's id that the portal gives.
/// Far from the ids of users, so that a client which takes one for the other is found out.
const FIRST_ID: u64 = 71_830_001;

/// An owner.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
#[serde(rename_all = "camelCase", deny_unknown_fields)]
pub struct Owner {
    /// `PERSON` or `QUEUE`.
    #[serde(rename = "type", default = "person")]
    pub kind: String,
    /// E-mail of the user; queues have none.
    #[serde(default)]
    pub email: Option<String>,
    /// First name.
    #[serde(default)]
    pub first_name: Option<String>,
    /// Last name, or the queue's name.
    #[serde(default)]
    pub last_name: Option<String>,
    /// The user's own id, which is not the owner's.
    #[serde(default)]
    pub user_id: Option<u64>,
    /// The user was deactivated.
    #[serde(default)]
    pub archived: bool,
    /// When it was made, in milliseconds.
    #[serde(default)]
    pub created: i64,
    /// When it was last changed, in milliseconds.
    #[serde(default)]
    pub updated: i64,
}

fn person() -> String {
    "PERSON".to_owned()
}

/// All owners by id.
#[derive(Debug, Clone, Default, PartialEq, Serialize, Deserialize)]
#[serde(transparent)]
pub struct Owners(BTreeMap<u64, Owner>);

impl Owners {
    /// Takes an owner in, as `GET` would show it; id and times are made up where they are absent. Returns its id.
    pub fn add(&mut self, wanted: &Value, now: i64) -> Result<u64, String> {
        let mut wanted = wanted.clone();
        let given = wanted.as_object_mut().and_then(|members| members.remove("id"));
        let mut owner: Owner = serde_json::from_value(wanted).map_err(|error| format!("an owner: {error}"))?;
        if !matches!(owner.kind.as_str(), "PERSON" | "QUEUE") {
            return Err(format!("an owner's `type` must be PERSON or QUEUE, not `{}`", owner.kind));
        }
        let next = self.0.last_key_value().map_or(FIRST_ID, |(last, _)| last + 7);
        let id = match given.as_ref().map(|id| id.as_str().and_then(|id| id.parse().ok()).or_else(|| id.as_u64())) {
            None => next,
            Some(Some(id)) => id,
            Some(None) => return Err("an owner's `id` must be a number".to_owned()),
        };
        if owner.created == 0 {
            (owner.created, owner.updated) = (now, now);
        }
        self.0.insert(id, owner);
        Ok(id)
    }

    /// Deactivates an owner's user; false when there is no such owner.
    pub fn archive(&mut self, id: u64, now: i64) -> bool {
        let Some(owner) = self.0.get_mut(&id) else { return false };
        (owner.archived, owner.updated) = (true, now);
        true
    }

    /// Owners after the one of that id.
    pub fn after(&self, id: u64) -> impl Iterator<Item = (u64, &Owner)> {
        self.0.range(id.saturating_add(1)..).map(|(id, owner)| (*id, owner))
    }

    /// Whether an owner property may take this text: the id of an owner, and neither a user's id nor an e-mail.
    pub fn takes(&self, text: &str, archived_too: bool) -> bool {
        let digits = !text.is_empty() && text.bytes().all(|byte| byte.is_ascii_digit());
        let owner = text.parse().ok().filter(|_| digits).and_then(|id: u64| self.0.get(&id));
        owner.is_some_and(|owner| archived_too || !owner.archived)
    }
}
