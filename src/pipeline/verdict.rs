//! Whether the records of a Salesforce object can be synced: one verdict, which `discover`, `new` and `validate` share.

use super::cursor::{CursorField, choose};
use crate::config::rules::{is_listed, never_syncs};
use crate::model::object::SourceObject;

/// Whether the records of an object can be synced.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Verdict {
    /// As it is.
    Yes,
    /// With `allow_unlisted: true`.
    Unlisted,
    /// Never.
    No(Refusal),
}

/// Why the records of an object can never be synced.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Refusal {
    /// Stable code.
    pub code: &'static str,
    /// What is wrong.
    pub message: String,
    /// The reason in a few words, for a list.
    pub why: String,
    /// What to do.
    pub help: String,
}

/// As far as an object's name tells, and whether it can be queried: what a list of objects holds.
pub fn by_name(name: &str, queryable: bool) -> Verdict {
    // Before `queryable`: the better reason, where both apply.
    if let Some(what) = never_syncs(name) {
        return Verdict::No(Refusal {
            code: "SL2070",
            message: format!("`{name}` can never be synced: it is {what}"),
            why: what.to_owned(),
            help: "choose an object that keeps records of its own".to_owned(),
        });
    }
    match (queryable, is_listed(name)) {
        (false, _) => Verdict::No(Refusal {
            code: "SL3002",
            message: format!("Salesforce does not let `{name}` be queried"),
            why: "Salesforce offers no query on it".to_owned(),
            help: "choose another object; `queryable` is false in its describe".to_owned(),
        }),
        (true, true) => Verdict::Yes,
        (true, false) => Verdict::Unlisted,
    }
}

/// By everything that an object's describe tells.
pub fn of(object: &SourceObject) -> Verdict {
    match by_name(&object.name, object.queryable) {
        // Without a stamp a sync could only read everything, every time.
        Verdict::Yes | Verdict::Unlisted if choose(object) == CursorField::None => Verdict::No(Refusal {
            code: "SL2048",
            message: format!("no field tells when a record of `{}` last changed", object.name),
            why: "it has no timestamp of a record's last change that can be filtered and sorted".to_owned(),
            help: "SystemModstamp, LastModifiedDate, LastUpdate and CreatedDate are missing or cannot be filtered: \
                grant read access to SystemModstamp, or choose another object"
                .to_owned(),
        }),
        verdict => verdict,
    }
}

/// The object that an object of Salesforce's own only accompanies, by name: `AccountFeed` and `AccountHistory` the account,
/// `Thing__Share` the `Thing__c`.
pub fn accompanies(name: &str) -> Option<[String; 2]> {
    // The longer ending first, of those that end alike.
    let endings = ["FieldHistory", "History", "Feed", "Share", "ChangeEvent", "OwnerSharingRule", "Tag"];
    let stem = endings.iter().find_map(|ending| name.strip_suffix(ending)).filter(|stem| !stem.is_empty())?;
    // A custom object leaves its `__c` off, so `Thing__Share` has the stem `Thing__`.
    Some([stem.to_owned(), format!("{stem}c")])
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::pipeline::fixture::Fixture;

    #[track_caller]
    fn check(name: &str, queryable: bool, expected: Option<&str>) {
        let code = match by_name(name, queryable) {
            Verdict::Yes => Some(""),
            Verdict::Unlisted => None,
            Verdict::No(refusal) => Some(refusal.code),
        };
        assert_eq!(code, expected, "{name}");
    }

    #[test]
    fn names_tell_what_can_never_sync() {
        for name in
            ["Big__b", "Ext__x", "Told__e", "ns__Told__E", "Thing__ChangeEvent", "AccountChangeEvent", "Lake__dlm"]
        {
            check(name, true, Some("SL2070"));
            check(name, false, Some("SL2070"));
        }
        for name in ["Thing__c", "ns__Thing__c", "Setting__mdt", "Case", "WorkOrder"] {
            check(name, true, Some(""));
            check(name, false, Some("SL3002"));
        }
        for name in ["Account", "User", "ThingFeed", "ChangeEvent", "Alphabet"] {
            check(name, true, None);
        }
    }

    #[test]
    fn an_object_without_a_stamp_can_never_sync() {
        let mut fixture = Fixture::new(serde_json::json!([{"from": "Name", "to": "text"}]));
        assert_eq!(of(fixture.source()), Verdict::Yes);
        for field in ["SystemModstamp", "LastModifiedDate", "CreatedDate"] {
            fixture
                .source()
                .fields
                .iter_mut()
                .filter(|described| described.name == field)
                .for_each(|described| described.filterable = false);
        }
        assert!(matches!(of(fixture.source()), Verdict::No(Refusal { code: "SL2048", .. })));
        assert!(fixture.findings().contains(&"SL2048 /source/object".to_owned()), "validate says the same");
    }

    #[test]
    fn companions_name_what_they_accompany() {
        for (name, object) in [
            ("AccountFeed", Some("Account")),
            ("OpportunityFieldHistory", Some("Opportunity")),
            ("Thing__Share", Some("Thing__c")),
            ("Thing__ChangeEvent", Some("Thing__c")),
            ("Account", None),
            ("History", None),
        ] {
            let found = accompanies(name);
            assert_eq!(found.is_some(), object.is_some(), "{name}");
            assert!(object.is_none_or(|object| found.unwrap().contains(&object.to_owned())), "{name}");
        }
    }
}
