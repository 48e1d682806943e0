//! Associations: typed relations between two HubSpot records, and the lookups that ask for them.

use std::fmt;
use std::str::FromStr;
use std::sync::Arc;

use serde::{Deserialize, Serialize};
use smol_str::SmolStr;

use super::hash::Hasher;
use super::ids::{HubspotId, PipelineName, SalesforceId};

/// The kind of an association as HubSpot numbers it; the number differs between portals and directions.
#[derive(Debug, Clone, PartialEq, Eq, Hash, PartialOrd, Ord, Serialize, Deserialize)]
pub struct AssociationType {
    /// `HUBSPOT_DEFINED`, `USER_DEFINED`, `INTEGRATOR_DEFINED` or `WORK`.
    pub category: SmolStr,
    /// Number of the type.
    pub type_id: u64,
    /// Label for people; none for the plain association.
    pub label: Option<String>,
}

impl AssociationType {
    /// What names it in calls.
    pub fn id(&self) -> LabelId {
        LabelId { category: self.category.clone(), type_id: self.type_id }
    }

    /// Whether that is what names it.
    pub fn is(&self, label: &LabelId) -> bool {
        self.type_id == label.type_id && self.category == label.category
    }

    /// Whether somebody put it on the two records beside the plain association. HubSpot's own types (*Primary*) come and go by
    /// themselves.
    pub fn is_label(&self) -> bool {
        self.label.is_some() && self.category != "HUBSPOT_DEFINED"
    }
}

/// What names a label in calls, in one direction. As text `USER_DEFINED:91`.
#[derive(Debug, Clone, PartialEq, Eq, Hash, PartialOrd, Ord)]
pub struct LabelId {
    /// Category of the type.
    pub category: SmolStr,
    /// Number of the type.
    pub type_id: u64,
}

impl fmt::Display for LabelId {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{}:{}", self.category, self.type_id)
    }
}

impl FromStr for LabelId {
    type Err = String;

    fn from_str(text: &str) -> Result<Self, String> {
        let parts = text.split_once(':').and_then(|(category, id)| Some((category, id.parse().ok()?)));
        let (category, type_id) = parts.ok_or_else(|| format!("`{text}` names no association type"))?;
        Ok(Self { category: category.into(), type_id })
    }
}

/// Which association of a pipeline a lookup belongs to: its field and, where one is set, its label
/// (`Account__c` or `Account__c#billing_account`).
#[derive(Debug, Clone, PartialEq, Eq, Hash, PartialOrd, Ord, Serialize, Deserialize)]
#[serde(transparent)]
pub struct AssociationKey(pub Arc<str>);

impl AssociationKey {
    /// The key without its label.
    fn unlabelled(&self) -> String {
        let (lookup, rest) = self.0.split_once('#').unwrap_or((&self.0, ""));
        // Behind the label stands which of the objects that the lookup leads to is meant.
        let object = rest.rfind('@').map_or("", |place| &rest[place..]);
        format!("{lookup}{object}")
    }
}

/// Of the associations that a definition had and has, those that are one with another label: which one took the place of which. Where several
/// came or went of one lookup, nothing tells which is which.
pub fn relabelled(before: &[AssociationKey], now: &[AssociationKey]) -> Vec<(AssociationKey, AssociationKey)> {
    let (gone, new): (Vec<_>, Vec<_>) = (
        before.iter().filter(|key| !now.contains(key)).collect(),
        now.iter().filter(|key| !before.contains(key)).collect(),
    );
    let only = |keys: &[&AssociationKey], lookup: &str| {
        let mut same = keys.iter().filter(|key| key.unlabelled() == lookup);
        same.next().map(|key| (*key).clone()).filter(|_| same.next().is_none())
    };
    let pair = |old: &&AssociationKey| {
        let lookup = old.unlabelled();
        Some((only(&gone, &lookup)?, only(&new, &lookup)?))
    };
    gone.iter().filter_map(pair).collect()
}

/// What a lookup asks for.
#[derive(Debug, Clone, PartialEq, Eq, Hash, PartialOrd, Ord)]
pub struct Asked {
    /// The record that it points at.
    pub target: SalesforceId,
    /// The label; none for the plain association.
    pub label: Option<LabelId>,
}

/// What one lookup of one record asks for now, and what was last carried out of it.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct AssociationState {
    /// The record that owns the lookup.
    pub salesforce_id: SalesforceId,
    /// Which association of the pipeline.
    pub key: AssociationKey,
    /// What it asks for; none when it is blank.
    pub wanted: Option<Asked>,
    /// What was carried out; none when nothing was yet.
    pub settled: Option<SettledPair>,
    /// Whether HubSpot is to be asked how it stands, although nothing seems to be left to do.
    pub recheck: bool,
}

impl AssociationState {
    /// Whether there is work left: what was carried out is not what is asked for, or is in doubt.
    pub fn is_due(&self) -> bool {
        self.recheck || self.wanted.as_ref() != self.settled.as_ref().map(|settled| &settled.asked)
    }
}

/// The two records that a lookup led to when it was carried out: a hint, as records are archived, merged and made anew.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct SettledPair {
    /// What was asked for.
    pub asked: Asked,
    /// The record at this end.
    pub from: HubspotId,
    /// The object at the other end.
    pub to_object: Arc<str>,
    /// The record at the other end.
    pub to: HubspotId,
}

/// Two records of a portal, whichever of them is named first: by the numbers of their ids, and a hash of what they are records of. The
/// larger number comes first, as that is mostly the record that was made last: so what is remembered of pairs is in the order in which
/// they were made.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash, PartialOrd, Ord)]
pub struct PairKey {
    /// The id with the larger number.
    pub newer: i64,
    /// The other one.
    pub older: i64,
    /// A hash of the connection and of both objects, in the same order.
    pub objects: i64,
}

impl PairKey {
    /// The pair of two records, each named by its object and its id, in the portal behind a connection.
    pub fn new(connection: &str, one: (&str, &HubspotId), other: (&str, &HubspotId)) -> Self {
        PairObjects::new(connection, one.0, other.0).key(one.1, other.1)
    }
}

/// Two objects in the portal behind a connection: names pairs of their records.
#[derive(Debug, Clone, Copy)]
pub struct PairObjects {
    /// The hash of both, the first one first.
    hash: i64,
    /// The hash of both, the other one first.
    hash_turned: i64,
    /// Of two records whose ids are the same number, the one of the first object comes first.
    is_in_order: bool,
}

impl PairObjects {
    /// Two objects, by their type ids.
    pub fn new(connection: &str, one: &str, other: &str) -> Self {
        let hash = |texts: [&str; 3]| {
            let mut hasher = Hasher::default();
            texts.into_iter().for_each(|text| hasher.text(text));
            i64::from_be_bytes(hasher.finish())
        };
        let (hash, hash_turned) = (hash([connection, one, other]), hash([connection, other, one]));
        Self { hash, hash_turned, is_in_order: one >= other }
    }

    /// The pair of a record of the first object and one of the other.
    pub fn key(&self, one: &HubspotId, other: &HubspotId) -> PairKey {
        let (one, other) = (one.number(), other.number());
        if one > other || (one == other && self.is_in_order) {
            PairKey { newer: one, older: other, objects: self.hash }
        } else {
            PairKey { newer: other, older: one, objects: self.hash_turned }
        }
    }
}

/// How a state of an earlier version names a pair: by one hash of all.
pub fn hash_of_pair(connection: &str, one: (&str, &HubspotId), other: (&str, &HubspotId)) -> i64 {
    let (first, second) = if one <= other { (one, other) } else { (other, one) };
    let mut hasher = Hasher::default();
    for text in [connection, first.0, &first.1.text(), second.0, &second.1.text()] {
        hasher.text(text);
    }
    i64::from_be_bytes(hasher.finish())
}

/// A type of association between two records that Syncline made, and may therefore remove.
#[derive(Debug, Clone, PartialEq, Eq, Hash, PartialOrd, Ord)]
pub struct OwnedType {
    /// The two records.
    pub pair: PairKey,
    /// The label as seen from one of them; none for the plain association, which has no direction.
    pub label: Option<(HubspotId, LabelId)>,
}

/// A lookup that asks for an association between two records, of whichever pipeline.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct PairRequest {
    /// The two records.
    pub pair: PairKey,
    /// The pipeline.
    pub pipeline: PipelineName,
    /// The record that owns the lookup.
    pub salesforce_id: SalesforceId,
    /// Which association of the pipeline.
    pub key: AssociationKey,
    /// The record at its end.
    pub from: HubspotId,
    /// The object at the other end.
    pub to_object: Arc<str>,
    /// The label, as seen from `from`.
    pub label: Option<LabelId>,
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_pair_is_one_thing_from_both_sides() {
        let (contact, company) = (HubspotId::new("5"), HubspotId::new("6"));
        let pair = PairKey::new("hubspot", ("0-1", &contact), ("0-2", &company));
        assert_eq!(pair, PairKey::new("hubspot", ("0-2", &company), ("0-1", &contact)));
        assert_ne!(pair, PairKey::new("hubspot", ("0-1", &company), ("0-2", &contact)));
        assert_ne!(pair, PairKey::new("other", ("0-1", &contact), ("0-2", &company)));
        let itself = |one: &HubspotId, other| PairKey::new("hubspot", ("2-1", one), ("2-1", other));
        assert_eq!(itself(&contact, &company), itself(&company, &contact));
        let twins = |one, other| PairKey::new("hubspot", (one, &contact), (other, &contact));
        assert_eq!(twins("0-1", "0-2"), twins("0-2", "0-1"));
        assert_ne!(twins("0-1", "0-2"), twins("0-1", "0-3"));
        assert_eq!((pair.newer, pair.older), (6, 5));
    }

    #[test]
    fn an_association_with_another_label_takes_the_place_of_the_one_before() {
        let check = |before: &[&str], now: &[&str], expected: &[(&str, &str)]| {
            let keys = |keys: &[&str]| keys.iter().map(|key| AssociationKey((*key).into())).collect::<Vec<_>>();
            let found = relabelled(&keys(before), &keys(now));
            let found: Vec<(&str, &str)> = found.iter().map(|(old, new)| (&*old.0, &*new.0)).collect();
            assert_eq!(found, expected, "{before:?} {now:?}");
        };
        check(&["A__c#billing"], &["A__c"], &[("A__c#billing", "A__c")]);
        check(&["A__c", "B__c"], &["A__c#{Role__c}", "B__c"], &[("A__c", "A__c#{Role__c}")]);
        check(&["A__c#x@001", "A__c#x@003"], &["A__c#y@001", "A__c#x@003"], &[("A__c#x@001", "A__c#y@001")]);
        check(&["A__c"], &["B__c"], &[]);
        check(&["A__c#x", "A__c#y"], &["A__c#z"], &[]);
        check(&["A__c#x"], &["A__c#y", "A__c#z"], &[]);
        check(&["from A__c", "B__c#x"], &["from A__c", "B__c"], &[("B__c#x", "B__c")]);
        check(&["A__c#x"], &["A__c#x", "A__c#y"], &[]);
    }

    #[test]
    fn labels_stand_as_text() {
        let label = LabelId { category: "USER_DEFINED".into(), type_id: 91 };
        assert_eq!(label.to_string().parse(), Ok(label));
        assert!("91".parse::<LabelId>().is_err() && "A:b".parse::<LabelId>().is_err());
    }
}
