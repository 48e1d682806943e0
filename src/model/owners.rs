//! The owners of a portal: users of HubSpot, found by their e-mail.

use std::collections::{HashMap, HashSet};

use serde::{Deserialize, Serialize};

use super::hash::Hasher;

/// Owners by the hash of their e-mail, so that what is saved of them names nobody.
#[derive(Debug, Clone, Default, PartialEq, Eq, Serialize, Deserialize)]
pub struct Owners {
    /// Ids of those that are active.
    active: HashMap<String, String>,
    /// Those whose user was deactivated.
    archived: HashSet<String>,
}

/// What is known of an e-mail.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Found<'a> {
    /// The id of the owner.
    Active(&'a str),
    /// The owner's user was deactivated, so that nothing can be assigned for certain.
    Archived,
    /// There is no owner with this e-mail.
    Unknown,
}

impl Owners {
    /// Adds an owner. Of two active ones with one e-mail the first is kept.
    pub fn add(&mut self, email: &str, id: &str, archived: bool) {
        let Some(key) = key(email) else { return };
        match archived {
            true => drop(self.archived.insert(key)),
            false => drop(self.active.entry(key).or_insert_with(|| id.to_owned())),
        }
    }

    /// The owner with an e-mail. Letter case and white space around it mean nothing.
    pub fn find(&self, email: &str) -> Found<'_> {
        let Some(key) = key(email) else { return Found::Unknown };
        match self.active.get(&key) {
            Some(id) => Found::Active(id),
            None if self.archived.contains(&key) => Found::Archived,
            None => Found::Unknown,
        }
    }
}

/// Bytes of the hash: with a million owners, two of them share one by a chance of one in ten to the power of 26.
const KEY_BYTES: usize = 16;

/// None for a blank, which is nobody's e-mail: else all owners without one would be the same.
fn key(email: &str) -> Option<String> {
    let email = email.trim().to_lowercase();
    let mut hasher = Hasher::default();
    hasher.text(&email);
    (!email.is_empty()).then(|| hasher.hex::<KEY_BYTES>())
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn owners_are_found_by_email_whatever_its_letters() {
        let mut owners = Owners::default();
        owners.add("Jane@Acme.com", "7", false);
        owners.add("jane@acme.com ", "8", false);
        owners.add("old@acme.com", "9", true);
        owners.add("", "10", false);
        for (email, expected) in [
            ("jane@acme.com", Found::Active("7")),
            (" JANE@ACME.COM", Found::Active("7")),
            ("OLD@acme.com", Found::Archived),
            ("new@acme.com", Found::Unknown),
            ("", Found::Unknown),
        ] {
            assert_eq!(owners.find(email), expected, "{email:?}");
        }
        // Somebody who left and came back.
        owners.add("old@acme.com", "11", false);
        assert_eq!(owners.find("old@acme.com"), Found::Active("11"));
    }

    #[test]
    fn what_is_saved_names_nobody() {
        let mut owners = Owners::default();
        owners.add("jane@acme.com", "7", false);
        owners.add("old@acme.com", "9", true);
        let saved = serde_json::to_string(&owners).unwrap();
        assert!(!saved.contains("acme") && !saved.contains("jane"), "{saved}");
        assert_eq!(serde_json::from_str::<Owners>(&saved).unwrap(), owners);
    }
}
