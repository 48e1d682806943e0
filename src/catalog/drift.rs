//! What moved between two catalogs: an earlier snapshot and a later one, or a snapshot and the live systems. Pure.

use std::collections::{BTreeMap, BTreeSet};

use schemars::JsonSchema;
use serde::Serialize;

use super::{Catalog, TargetEntry};
use crate::model::association::AssociationType;
use crate::model::object::{SourceField, SourceObject, TargetProperty};

/// One thing that is not as it was.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, JsonSchema)]
pub struct Move {
    /// In which system.
    pub system: System,
    /// By which connection.
    pub connection: String,
    /// The object, by its API name or short name.
    pub object: String,
    /// The field, property or link label; none where it is the object itself.
    pub item: Option<String>,
    /// What happened to it.
    pub kind: MoveKind,
    /// The same in words.
    pub message: String,
}

/// One of the two systems.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Serialize, JsonSchema)]
#[serde(rename_all = "lowercase")]
pub enum System {
    /// Salesforce.
    Salesforce,
    /// HubSpot.
    Hubspot,
}

/// What happened to a part of an object.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Serialize, JsonSchema)]
#[serde(rename_all = "snake_case")]
pub enum MoveKind {
    /// No longer there, or no longer visible.
    Removed,
    /// Gone, while something much like it is new.
    Renamed,
    /// Of another type.
    Type,
    /// Texts or numbers may be longer or must be shorter.
    Length,
    /// A picklist value or an option is gone, or can no longer be chosen.
    ValueRemoved,
    /// A picklist value or an option is new.
    ValueAdded,
    /// Uniqueness came or went.
    Uniqueness,
    /// Must be set now, or no longer must.
    Requiredness,
    /// Can no longer be written, or can again; is calculated now, or no longer is.
    Writability,
    /// Leads to other objects, or has another id.
    Reference,
    /// New.
    Added,
    /// A rule for values came, went or is set otherwise.
    Rule,
    /// Another name for people.
    Label,
    /// Something else that the catalog keeps.
    Other,
}

/// Everything that moved, Salesforce first, each object's parts by name.
pub fn moves(before: &Catalog, after: &Catalog) -> Vec<Move> {
    let mut found = Vec::new();
    let keys: BTreeSet<_> = before.sources.keys().chain(after.sources.keys()).collect();
    for key in keys {
        let (was, is) = (before.sources.get(key), after.sources.get(key));
        let name = was.or(is).map_or("", |object| &object.name);
        let note = Note { system: System::Salesforce, connection: &key.0, object: name };
        match (was, is) {
            (Some(was), Some(is)) => source(was, is, &note, &mut found),
            (Some(_), None) => note.object(MoveKind::Removed, "is no longer in the catalog", &mut found),
            _ => note.object(MoveKind::Added, "is new in the catalog", &mut found),
        }
    }
    let keys: BTreeSet<_> = before.targets.keys().chain(after.targets.keys()).collect();
    for key in keys {
        let (was, is) = (before.targets.get(key), after.targets.get(key));
        let name = was.or(is).map_or("", |entry| &entry.object.name);
        let note = Note { system: System::Hubspot, connection: &key.0, object: name };
        match (was, is) {
            (Some(was), Some(is)) => target(was, is, &note, &mut found),
            (Some(_), None) => note.object(MoveKind::Removed, "is no longer in the catalog", &mut found),
            _ => note.object(MoveKind::Added, "is new in the catalog", &mut found),
        }
    }
    found
}

struct Note<'a> {
    system: System,
    connection: &'a str,
    object: &'a str,
}

impl Note<'_> {
    fn object(&self, kind: MoveKind, message: &str, found: &mut Vec<Move>) {
        self.put(None, kind, message.to_owned(), found);
    }

    fn item(&self, item: &str, kind: MoveKind, message: impl Into<String>, found: &mut Vec<Move>) {
        self.put(Some(item.to_owned()), kind, message.into(), found);
    }

    fn put(&self, item: Option<String>, kind: MoveKind, message: String, found: &mut Vec<Move>) {
        let Self { system, connection, object } = *self;
        found.push(Move { system, connection: connection.to_owned(), object: object.to_owned(), item, kind, message });
    }
}

fn source(was: &SourceObject, is: &SourceObject, note: &Note<'_>, found: &mut Vec<Move>) {
    if was.queryable != is.queryable {
        let message = if is.queryable { "can be queried again" } else { "can no longer be queried" };
        note.object(MoveKind::Writability, message, found);
    }
    for (what, before, after) in [
        ("tells of deletes", was.replicateable, is.replicateable),
        ("has a recycle bin", was.undeletable, is.undeletable),
        ("can be read by id", was.retrieveable, is.retrieveable),
    ] {
        if before != after {
            let message = format!("{} {what}", if after { "now" } else { "no longer" });
            note.object(MoveKind::Other, &message, found);
        }
    }
    if was.label != is.label {
        let message = format!("is called “{}” now, it was “{}”", is.label, was.label);
        note.object(MoveKind::Label, &message, found);
    }
    let gone: Vec<&SourceField> = was.fields.iter().filter(|field| is.field(&field.name).is_none()).collect();
    let mut new: Vec<&SourceField> = is.fields.iter().filter(|field| was.field(&field.name).is_none()).collect();
    for field in gone {
        let alike = |other: &&SourceField| {
            other.kind == field.kind
                && other.reference_to == field.reference_to
                && same_thing((&field.name, &field.label), (&other.name, &other.label))
        };
        match new.iter().position(alike).map(|place| new.remove(place)) {
            Some(other) => {
                let message = format!("is gone, and `{}` is new with the same type: it looks renamed", other.name);
                note.item(&field.name, MoveKind::Renamed, message, found);
            }
            None => {
                let message = "is no longer visible: it was deleted, or field-level security hides it from the \
                               integration user";
                note.item(&field.name, MoveKind::Removed, message, found);
            }
        }
    }
    for field in &was.fields {
        let Some(now) = is.field(&field.name) else { continue };
        source_field(field, now, note, found);
    }
    for field in new {
        note.item(&field.name, MoveKind::Added, format!("is new ({}, “{}”)", kind(&field.kind), field.label), found);
    }
}

fn source_field(was: &SourceField, is: &SourceField, note: &Note<'_>, found: &mut Vec<Move>) {
    let name = &is.name;
    if was.kind != is.kind {
        let message = format!("changed its type from {} to {}", kind(&was.kind), kind(&is.kind));
        note.item(name, MoveKind::Type, message, found);
    }
    for (what, before, after) in [
        ("length", was.length, is.length),
        ("digits", was.precision, is.precision),
        ("decimal places", was.scale, is.scale),
    ] {
        if before != after && was.kind == is.kind {
            note.item(name, MoveKind::Length, format!("changed its {what} from {before} to {after}"), found);
        }
    }
    if was.calculated != is.calculated {
        let message = if is.calculated { "is calculated now" } else { "is no longer calculated" };
        note.item(name, MoveKind::Writability, message, found);
    }
    if was.nillable != is.nillable {
        let message = if is.nillable { "may be blank now" } else { "is required now" };
        note.item(name, MoveKind::Requiredness, message, found);
    }
    if sorted(&was.reference_to) != sorted(&is.reference_to) {
        let message = format!("leads to {} now, it led to {}", list(&is.reference_to), list(&was.reference_to));
        note.item(name, MoveKind::Reference, message, found);
    }
    let active = |field: &SourceField| -> Vec<(String, String)> {
        let active = field.picklist.iter().filter(|value| value.active);
        active.map(|value| (value.value.clone(), value.label.clone())).collect()
    };
    values(name, "picklist value", &active(was), &active(is), note, found);
    for (what, before, after) in [
        ("can be filtered by", was.filterable, is.filterable),
        ("can be sorted by", was.sortable, is.sortable),
        ("is the name of the record", was.name_field, is.name_field),
        ("takes the listed values only", was.restricted_picklist, is.restricted_picklist),
    ] {
        // Another type brings others of these with it.
        if before != after && was.kind == is.kind {
            let message = format!("{} {what}", if after { "now" } else { "no longer" });
            note.item(name, MoveKind::Other, message, found);
        }
    }
    if was.relationship_name != is.relationship_name {
        let followed = |name: &Option<String>| name.clone().map_or("nothing".to_owned(), |name| format!("`{name}`"));
        let (before, after) = (followed(&was.relationship_name), followed(&is.relationship_name));
        note.item(name, MoveKind::Reference, format!("is followed as {after} now, it was {before}"), found);
    }
    label(name, &was.label, &is.label, note, found);
}

fn target(was: &TargetEntry, is: &TargetEntry, note: &Note<'_>, found: &mut Vec<Move>) {
    let (old, new) = (&was.object, &is.object);
    if old.object_type_id != new.object_type_id {
        let message = format!("has the object type id {} now, it had {}", new.object_type_id, old.object_type_id);
        note.object(MoveKind::Reference, &message, found);
    }
    if old.label != new.label {
        let message = format!("is called “{}” now, it was “{}”", new.label, old.label);
        note.object(MoveKind::Label, &message, found);
    }
    if old.primary_display_property != new.primary_display_property {
        let shown = |name: &Option<String>| name.clone().map_or("nothing".to_owned(), |name| format!("`{name}`"));
        let (before, after) = (shown(&old.primary_display_property), shown(&new.primary_display_property));
        note.object(MoveKind::Other, &format!("is shown by {after} now, it was {before}"), found);
    }
    let gone: Vec<&TargetProperty> =
        old.properties.values().filter(|property| !new.properties.contains_key(&property.name)).collect();
    let mut fresh: Vec<&TargetProperty> =
        new.properties.values().filter(|property| !old.properties.contains_key(&property.name)).collect();
    for property in gone {
        let alike = |other: &&TargetProperty| {
            other.kind == property.kind && same_thing((&property.name, &property.label), (&other.name, &other.label))
        };
        match fresh.iter().position(alike).map(|place| fresh.remove(place)) {
            Some(other) => {
                let message = format!("was archived, and `{}` is new with the same type: it looks renamed", other.name);
                note.item(&property.name, MoveKind::Renamed, message, found);
            }
            None => note.item(&property.name, MoveKind::Removed, "was archived in HubSpot", found),
        }
    }
    for property in old.properties.values() {
        let Some(now) = new.properties.get(&property.name) else { continue };
        target_property(property, now, note, found);
    }
    for property in fresh {
        let message = format!("is new ({}, “{}”)", kind(&property.kind), property.label);
        note.item(&property.name, MoveKind::Added, message, found);
    }
    let required = |object: &crate::model::object::TargetObject| -> BTreeSet<String> {
        object.required_properties.iter().cloned().collect()
    };
    let (before, after) = (required(old), required(new));
    for name in after.difference(&before) {
        note.item(name, MoveKind::Requiredness, "is required for new records now", found);
    }
    for name in before.difference(&after) {
        note.item(name, MoveKind::Requiredness, "is no longer required", found);
    }
    links(was, is, note, found);
}

fn target_property(was: &TargetProperty, is: &TargetProperty, note: &Note<'_>, found: &mut Vec<Move>) {
    let name = &is.name;
    if was.kind != is.kind {
        let message = format!("changed its type from {} to {}", kind(&was.kind), kind(&is.kind));
        note.item(name, MoveKind::Type, message, found);
    }
    if was.unique != is.unique {
        let message = if is.unique { "has unique values now" } else { "no longer has unique values" };
        note.item(name, MoveKind::Uniqueness, message, found);
    }
    if was.read_only != is.read_only {
        let message = if is.read_only { "can no longer be written" } else { "can be written now" };
        note.item(name, MoveKind::Writability, message, found);
    }
    if was.percentage != is.percentage {
        let message = if is.percentage { "is shown as a percentage now" } else { "is no longer shown as a percentage" };
        note.item(name, MoveKind::Other, message, found);
    }
    let options = |property: &TargetProperty| -> Vec<(String, String)> {
        let choice = property.options.iter().filter(|_| !property.external_options);
        choice.map(|option| (option.value.clone(), option.label.clone())).collect()
    };
    values(name, "option", &options(was), &options(is), note, found);
    rules(was, is, note, found);
    label(name, &was.label, &is.label, note, found);
}

/// Rules for values; a property has one of each type.
fn rules(was: &TargetProperty, is: &TargetProperty, note: &Note<'_>, found: &mut Vec<Move>) {
    let rules_of = |property: &TargetProperty| -> BTreeMap<String, String> {
        property.rules.iter().map(|rule| (rule.kind.clone(), rule.arguments.join(", "))).collect()
    };
    let shown = |word: &str, set: &str| if set.is_empty() { format!("`{word}`") } else { format!("`{word}` ({set})") };
    let (before, after) = (rules_of(was), rules_of(is));
    for (word, set) in &before {
        let message = match after.get(word) {
            None => format!("no longer has the rule {}", shown(word, set)),
            Some(now) if now != set => format!("has the rule {} now, it was ({set})", shown(word, now)),
            Some(_) => continue,
        };
        note.item(&is.name, MoveKind::Rule, message, found);
    }
    for (word, set) in after.iter().filter(|(word, _)| !before.contains_key(*word)) {
        note.item(&is.name, MoveKind::Rule, format!("has a new rule {}", shown(word, set)), found);
    }
}

fn links(was: &TargetEntry, is: &TargetEntry, note: &Note<'_>, found: &mut Vec<Move>) {
    // A pair that only one of them knows was not asked for in the other, which says nothing.
    for (other, before) in &was.associations {
        let Some(after) = is.associations.get(other) else { continue };
        let has = |types: &[AssociationType], wanted: &AssociationType| {
            types.iter().any(|kind| kind.category == wanted.category && kind.type_id == wanted.type_id)
        };
        let name = |kind: &AssociationType| {
            let label = kind.label.clone().unwrap_or_else(|| "without label".to_owned());
            format!("{other}: {label}")
        };
        for kind in before.iter().filter(|kind| !has(after, kind)) {
            note.item(&name(kind), MoveKind::Removed, "is no longer a kind of association", found);
        }
        for kind in after.iter().filter(|kind| !has(before, kind)) {
            note.item(&name(kind), MoveKind::Added, "is a new kind of association", found);
        }
    }
}

type Value = (String, String);

fn values(name: &str, what: &str, was: &[Value], is: &[Value], note: &Note<'_>, found: &mut Vec<Move>) {
    let has = |list: &[Value], value: &str| list.iter().any(|(known, _)| known == value);
    for (value, _) in was.iter().filter(|(value, _)| !has(is, value)) {
        note.item(name, MoveKind::ValueRemoved, format!("lost the {what} `{value}`"), found);
    }
    for (value, _) in is.iter().filter(|(value, _)| !has(was, value)) {
        note.item(name, MoveKind::ValueAdded, format!("has a new {what} `{value}`"), found);
    }
    for (value, label) in is {
        let before = was.iter().find(|(known, _)| known == value);
        if let Some((_, before)) = before.filter(|(_, before)| before != label) {
            let message = format!("calls the {what} `{value}` “{label}” now, it was “{before}”");
            note.item(name, MoveKind::Label, message, found);
        }
    }
    let order = |list: &[Value], other: &[Value]| -> Vec<String> {
        list.iter().filter(|(value, _)| has(other, value)).map(|(value, _)| value.clone()).collect()
    };
    if order(was, is) != order(is, was) {
        note.item(name, MoveKind::Other, format!("has its {what}s in another order"), found);
    }
}

fn label(name: &str, was: &str, is: &str, note: &Note<'_>, found: &mut Vec<Move>) {
    if was != is {
        note.item(name, MoveKind::Label, format!("is called “{is}” now, it was “{was}”"), found);
    }
}

/// Least likeness of two names that may be one thing.
const LIKENESS_MIN: f64 = 0.75;

/// Whether two things (name, label) of one type may be the same one under another name.
fn same_thing(one: (&str, &str), other: (&str, &str)) -> bool {
    let likeness = strsim::normalized_damerau_levenshtein(&one.0.to_lowercase(), &other.0.to_lowercase());
    one.1.eq_ignore_ascii_case(other.1) || likeness >= LIKENESS_MIN
}

fn kind<T: Serialize>(kind: &T) -> String {
    serde_json::to_value(kind).ok().and_then(|value| value.as_str().map(str::to_owned)).unwrap_or_default()
}

fn sorted(names: &[String]) -> Vec<&String> {
    let mut names: Vec<_> = names.iter().collect();
    names.sort();
    names
}

fn list(names: &[String]) -> String {
    if names.is_empty() { "nothing".to_owned() } else { names.join(", ") }
}

#[cfg(test)]
mod tests {
    use serde_json::json;

    use super::*;
    use crate::model::object::{FieldKind, PicklistValue, PropertyKind, PropertyOption, PropertyRule};
    use crate::pipeline::fixture::{Fixture, property};

    fn catalog() -> Catalog {
        let fixture = Fixture::new(json!([{"from": "Name", "to": "text"}]));
        let mut catalog = Catalog::default();
        catalog.put_source("salesforce", fixture.sources["subscription__c"].clone());
        let mut object = fixture.target;
        let rule =
            |(kind, limit): (&str, &str)| PropertyRule { kind: kind.to_owned(), arguments: vec![limit.to_owned()] };
        let rules = [("MAX_LENGTH", "50"), ("MIN_LENGTH", "3")].map(rule).into();
        let ruled = TargetProperty { rules, ..property("ruled", PropertyKind::String, &[]) };
        object.properties.insert(ruled.name.clone(), ruled);
        let plain = AssociationType { category: "HUBSPOT_DEFINED".to_owned(), type_id: 1, label: None };
        let associations = [("companies".to_owned(), vec![plain])].into_iter().collect();
        catalog.put_target("hubspot", TargetEntry { portal_id: 7, object, associations });
        catalog
    }

    #[track_caller]
    fn check(change: impl Fn(&mut SourceObject, &mut TargetEntry), expected: &[(&str, MoveKind, &str)]) {
        let before = catalog();
        let mut after = before.clone();
        let source = after.sources.values_mut().next().unwrap();
        change(source, after.targets.values_mut().next().unwrap());
        let got = moves(&before, &after);
        let shape: Vec<_> =
            got.iter().map(|moved| (moved.item.as_deref().unwrap_or_default(), moved.kind, &*moved.message)).collect();
        assert_eq!(shape.len(), expected.len(), "{shape:?}");
        for ((item, kind, message), (item_name, expected, part)) in shape.iter().zip(expected) {
            assert!(item == item_name && kind == expected && message.contains(part), "{shape:?}");
        }
    }

    fn field<'a>(object: &'a mut SourceObject, name: &str) -> &'a mut SourceField {
        object.fields.iter_mut().find(|field| field.name == name).unwrap()
    }

    #[test]
    fn fields_move() {
        check(|_, _| {}, &[]);
        check(
            |source, _| source.fields.retain(|field| field.name != "Amount__c"),
            &[("Amount__c", MoveKind::Removed, "field-level security")],
        );
        check(
            |source, _| {
                field(source, "Amount__c").name = "Total_Amount__c".to_owned();
            },
            &[("Amount__c", MoveKind::Renamed, "`Total_Amount__c` is new")],
        );
        check(
            |source, _| {
                let described = field(source, "Amount__c");
                described.kind = FieldKind::String;
                described.scale = 9;
                described.nillable = !described.nillable;
            },
            &[("Amount__c", MoveKind::Type, "to string"), ("Amount__c", MoveKind::Requiredness, "")],
        );
        check(|source, _| field(source, "Name").length += 1, &[("Name", MoveKind::Length, "changed its length from")]);
        check(
            |source, _| {
                let described = field(source, "Status__c");
                described.picklist.push(PicklistValue { value: "New".into(), label: "Neu".into(), active: true });
                described.picklist[0].active = false;
                described.calculated = true;
            },
            &[
                ("Status__c", MoveKind::Writability, "calculated"),
                ("Status__c", MoveKind::ValueRemoved, "lost the picklist value"),
                ("Status__c", MoveKind::ValueAdded, "`New`"),
            ],
        );
        check(
            |source, _| field(source, "Account__c").reference_to = vec!["Contact".to_owned()],
            &[("Account__c", MoveKind::Reference, "leads to Contact now")],
        );
    }

    #[test]
    fn properties_move() {
        check(
            |_, target| drop(target.object.properties.remove("number")),
            &[("number", MoveKind::Removed, "archived in HubSpot")],
        );
        check(
            |_, target| {
                let property = target.object.properties.get_mut("salesforce_id").unwrap();
                property.unique = false;
                property.read_only = true;
                target.object.properties.get_mut("number").unwrap().percentage = true;
            },
            &[
                ("number", MoveKind::Other, "shown as a percentage now"),
                ("salesforce_id", MoveKind::Uniqueness, "no longer"),
                ("salesforce_id", MoveKind::Writability, "no longer be written"),
            ],
        );
        check(
            |_, target| {
                target.object.required_properties = vec!["text".to_owned()];
                let property = target.object.properties.get_mut("status").unwrap();
                property.options.push(PropertyOption { value: "x".into(), label: "X".into() });
                target.object.properties.get_mut("text").unwrap().kind = PropertyKind::Number;
            },
            &[
                ("status", MoveKind::ValueAdded, "new option `x`"),
                ("text", MoveKind::Type, "from string to number"),
                ("text", MoveKind::Requiredness, "required for new records"),
                ("salesforce_id", MoveKind::Requiredness, "no longer required"),
            ],
        );
        let rule = |kind: &str, arguments: &[&str]| PropertyRule {
            kind: kind.to_owned(),
            arguments: arguments.iter().map(|argument| (*argument).to_owned()).collect(),
        };
        check(
            |_, target| {
                let rules = &mut target.object.properties.get_mut("ruled").unwrap().rules;
                *rules = vec![rule("MAX_LENGTH", &["20"]), rule("WHITESPACE", &[])];
            },
            &[
                ("ruled", MoveKind::Rule, "has the rule `MAX_LENGTH` (20) now, it was (50)"),
                ("ruled", MoveKind::Rule, "no longer has the rule `MIN_LENGTH` (3)"),
                ("ruled", MoveKind::Rule, "has a new rule `WHITESPACE`"),
            ],
        );
        check(
            |_, target| {
                let label =
                    AssociationType { category: "USER_DEFINED".into(), type_id: 9, label: Some("Billing".into()) };
                target.associations.get_mut("companies").unwrap().push(label);
            },
            &[("companies: Billing", MoveKind::Added, "new kind of association")],
        );
    }

    #[test]
    fn objects_come_and_go() {
        let before = catalog();
        let found = moves(&before, &Catalog::default());
        assert_eq!(found.len(), 2);
        assert!(found.iter().all(|found| found.kind == MoveKind::Removed && found.item.is_none()), "{found:?}");
    }
}
