//! The owners of a portal: users of HubSpot, found by their e-mail.

use std::collections::HashMap;

/// Owners by e-mail.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub struct Owners {
    /// Ids of those that are active, by e-mail in lower case.
    active: HashMap<String, String>,
    /// E-mails of those whose user was deactivated, in lower case.
    archived: Vec<String>,
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
        let email = key(email);
        match archived {
            _ if email.is_empty() => {}
            true => self.archived.push(email),
            false => drop(self.active.entry(email).or_insert_with(|| id.to_owned())),
        }
    }

    /// The owner with an e-mail. Letter case and white space around it mean nothing.
    pub fn find(&self, email: &str) -> Found<'_> {
        let email = key(email);
        match self.active.get(&email) {
            Some(id) => Found::Active(id),
            None if self.archived.contains(&email) => Found::Archived,
            None => Found::Unknown,
        }
    }
}

fn key(email: &str) -> String {
    email.trim().to_lowercase()
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
}
