//! What is otherwise in one of two catalogs: an earlier snapshot and a later one, or a snapshot and the live systems. Pure.

use std::collections::{BTreeMap, BTreeSet};

use serde::Serialize;
use serde_json::{Value, json};

use super::{Catalog, TargetEntry};
use crate::model::association::AssociationType;
use crate::model::catalog_change::{CatalogChange, CatalogChangeKind as Kind, System};
use crate::model::object::{SourceField, SourceObject, TargetProperty};

/// Every difference, Salesforce first, each object's parts by name; which pipelines use them is for the caller to say.
pub fn changes(before: &Catalog, after: &Catalog) -> Vec<CatalogChange> {
    let mut found = Vec::new();
    let keys: BTreeSet<_> = before.sources.keys().chain(after.sources.keys()).collect();
    for key in keys {
        let (was, is) = (before.sources.get(key), after.sources.get(key));
        let name = was.or(is).map_or("", |object| &object.name);
        let note = Note { system: System::Salesforce, connection: &key.0, object: name };
        match (was, is) {
            (Some(was), Some(is)) => source(was, is, &note, &mut found),
            (Some(_), None) => note.object(Kind::Removed, Part::default(), "is no longer in the catalog", &mut found),
            _ => note.object(Kind::Added, Part::default(), "is new in the catalog", &mut found),
        }
    }
    let keys: BTreeSet<_> = before.targets.keys().chain(after.targets.keys()).collect();
    for key in keys {
        let (was, is) = (before.targets.get(key), after.targets.get(key));
        let name = was.or(is).map_or("", |entry| &entry.object.name);
        let note = Note { system: System::Hubspot, connection: &key.0, object: name };
        match (was, is) {
            (Some(was), Some(is)) => target(was, is, &note, &mut found),
            (Some(_), None) => note.object(Kind::Removed, Part::default(), "is no longer in the catalog", &mut found),
            _ => note.object(Kind::Added, Part::default(), "is new in the catalog", &mut found),
        }
    }
    found
}

struct Note<'a> {
    system: System,
    connection: &'a str,
    object: &'a str,
}

/// What of a thing is otherwise, as data.
#[derive(Default)]
struct Part {
    attribute: Option<&'static str>,
    value: Option<String>,
    before: Value,
    after: Value,
}

/// A key of the catalog's files, and what it held and holds.
fn set(attribute: &'static str, before: impl Into<Value>, after: impl Into<Value>) -> Part {
    Part { attribute: Some(attribute), value: None, before: before.into(), after: after.into() }
}

impl Part {
    /// The one of several values, options or rules that it is about.
    fn of(self, value: &str) -> Self {
        Self { value: Some(value.to_owned()), ..self }
    }
}

impl Note<'_> {
    fn object(&self, kind: Kind, part: Part, message: &str, found: &mut Vec<CatalogChange>) {
        self.put(None, kind, part, message.to_owned(), found);
    }

    fn item(&self, item: &str, kind: Kind, part: Part, message: impl Into<String>, found: &mut Vec<CatalogChange>) {
        self.put(Some(item.to_owned()), kind, part, message.into(), found);
    }

    fn put(&self, item: Option<String>, kind: Kind, part: Part, message: String, found: &mut Vec<CatalogChange>) {
        let Part { attribute, value, before, after } = part;
        found.push(CatalogChange {
            system: self.system,
            connection: self.connection.to_owned(),
            object: self.object.to_owned(),
            item,
            kind,
            attribute: attribute.map(str::to_owned),
            value,
            before,
            after,
            message,
            pipelines: Vec::new(),
        });
    }
}

fn source(was: &SourceObject, is: &SourceObject, note: &Note<'_>, found: &mut Vec<CatalogChange>) {
    if was.queryable != is.queryable {
        let message = if is.queryable { "can be queried again" } else { "can no longer be queried" };
        note.object(Kind::Writability, set("queryable", was.queryable, is.queryable), message, found);
    }
    // Each decides how deletes and records by id can be read, which a definition may depend on without naming a
    // field.
    for (what, attribute, before, after) in [
        ("tells of deletes", "replicateable", was.replicateable, is.replicateable),
        ("has a recycle bin", "undeletable", was.undeletable, is.undeletable),
        ("can be read by id", "retrieveable", was.retrieveable, is.retrieveable),
    ] {
        if before != after {
            let message = format!("{} {what}", if after { "now" } else { "no longer" });
            note.object(Kind::Other, set(attribute, before, after), &message, found);
        }
    }
    if was.label != is.label {
        let message = format!("is called “{}” now, it was “{}”", is.label, was.label);
        note.object(Kind::Label, set("label", was.label.as_str(), is.label.as_str()), &message, found);
    }
    let gone: Vec<&SourceField> = was.fields.iter().filter(|field| is.field(&field.name).is_none()).collect();
    let mut new: Vec<&SourceField> = is.fields.iter().filter(|field| was.field(&field.name).is_none()).collect();
    // The API knows a renamed field only as one that is gone and one that is new. Reported as two findings, the fix
    // (one
    // name in the definition) would have to be guessed.
    for field in gone {
        let alike = |other: &&SourceField| {
            other.kind == field.kind
                && other.reference_to == field.reference_to
                && same_thing((&field.name, &field.label), (&other.name, &other.label))
        };
        // Taken out of the new ones, so that no field serves as the new name of two.
        match new.iter().position(alike).map(|place| new.remove(place)) {
            Some(other) => {
                let message = format!("is gone, and `{}` is new with the same type: it looks renamed", other.name);
                let part = set("name", field.name.as_str(), other.name.as_str());
                note.item(&field.name, Kind::Renamed, part, message, found);
            }
            None => {
                // A describe leaves out what the user may not see, so a delete and a withdrawn permission look the
                // same.
                let message = "is no longer visible: it was deleted, or field-level security hides it from the \
                               integration user";
                note.item(&field.name, Kind::Removed, set("type", kind(&field.kind), Value::Null), message, found);
            }
        }
    }
    for field in &was.fields {
        let Some(now) = is.field(&field.name) else { continue };
        source_field(field, now, note, found);
    }
    for field in new {
        let message = format!("is new ({}, “{}”)", kind(&field.kind), field.label);
        note.item(&field.name, Kind::Added, set("type", Value::Null, kind(&field.kind)), message, found);
    }
}

fn source_field(was: &SourceField, is: &SourceField, note: &Note<'_>, found: &mut Vec<CatalogChange>) {
    let name = &is.name;
    if was.kind != is.kind {
        let message = format!("changed its type from {} to {}", kind(&was.kind), kind(&is.kind));
        note.item(name, Kind::Type, set("type", kind(&was.kind), kind(&is.kind)), message, found);
    }
    for (what, attribute, before, after) in [
        ("length", "length", was.length, is.length),
        ("digits", "precision", was.precision, is.precision),
        ("decimal places", "scale", was.scale, is.scale),
    ] {
        // Another type brings its own length and digits; the change of the type has said so.
        if before != after && was.kind == is.kind {
            let message = format!("changed its {what} from {before} to {after}");
            note.item(name, Kind::Length, set(attribute, before, after), message, found);
        }
    }
    if was.calculated != is.calculated {
        let message = if is.calculated { "is calculated now" } else { "is no longer calculated" };
        note.item(name, Kind::Writability, set("calculated", was.calculated, is.calculated), message, found);
    }
    if was.nillable != is.nillable {
        let message = if is.nillable { "may be blank now" } else { "is required now" };
        note.item(name, Kind::Requiredness, set("required", !was.nillable, !is.nillable), message, found);
    }
    // A describe promises no order of the objects that a lookup leads to.
    if sorted(&was.reference_to) != sorted(&is.reference_to) {
        let message = format!("leads to {} now, it led to {}", list(&is.reference_to), list(&was.reference_to));
        let part = set("reference_to", was.reference_to.clone(), is.reference_to.clone());
        note.item(name, Kind::Reference, part, message, found);
    }
    // An inactive value stays in old records and can no longer be chosen, so its coming and going is that of an
    // option.
    let active = |field: &SourceField| -> Vec<(String, String)> {
        let active = field.picklist.iter().filter(|value| value.active);
        active.map(|value| (value.value.clone(), value.label.clone())).collect()
    };
    values(name, ("picklist value", "values"), &active(was), &active(is), note, found);
    for (what, attribute, before, after) in [
        ("can be filtered by", "filterable", was.filterable, is.filterable),
        ("can be sorted by", "sortable", was.sortable, is.sortable),
        ("is the name of the record", "name_field", was.name_field, is.name_field),
        ("takes the listed values only", "restricted", was.restricted_picklist, is.restricted_picklist),
    ] {
        // Another type brings others of these with it.
        if before != after && was.kind == is.kind {
            let message = format!("{} {what}", if after { "now" } else { "no longer" });
            note.item(name, Kind::Other, set(attribute, before, after), message, found);
        }
    }
    // Paths in `from` and `where` are written with this name, and break without the field's own name having changed.
    if was.relationship_name != is.relationship_name {
        let followed = |name: &Option<String>| name.clone().map_or("nothing".to_owned(), |name| format!("`{name}`"));
        let (before, after) = (followed(&was.relationship_name), followed(&is.relationship_name));
        let part = set("relationship", was.relationship_name.clone(), is.relationship_name.clone());
        note.item(name, Kind::Reference, part, format!("is followed as {after} now, it was {before}"), found);
    }
    label(name, &was.label, &is.label, note, found);
}

fn target(was: &TargetEntry, is: &TargetEntry, note: &Note<'_>, found: &mut Vec<CatalogChange>) {
    let (old, new) = (&was.object, &is.object);
    // Another id under the old name is another object: the first one was purged and made again, and its records are
    // gone.
    if old.object_type_id != new.object_type_id {
        let message = format!("has the object type id {} now, it had {}", new.object_type_id, old.object_type_id);
        let part = set("object_type_id", old.object_type_id.as_str(), new.object_type_id.as_str());
        note.object(Kind::Reference, part, &message, found);
    }
    if old.label != new.label {
        let message = format!("is called “{}” now, it was “{}”", new.label, old.label);
        note.object(Kind::Label, set("label", old.label.as_str(), new.label.as_str()), &message, found);
    }
    if old.primary_display_property != new.primary_display_property {
        let shown = |name: &Option<String>| name.clone().map_or("nothing".to_owned(), |name| format!("`{name}`"));
        let (before, after) = (shown(&old.primary_display_property), shown(&new.primary_display_property));
        let part = set("primary_display", old.primary_display_property.clone(), new.primary_display_property.clone());
        note.object(Kind::Other, part, &format!("is shown by {after} now, it was {before}"), found);
    }
    // HubSpot cannot rename a property, so people make a new one and archive the old one.
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
                let part = set("name", property.name.as_str(), other.name.as_str());
                note.item(&property.name, Kind::Renamed, part, message, found);
            }
            None => {
                let part = set("type", kind(&property.kind), Value::Null);
                note.item(&property.name, Kind::Removed, part, "was archived in HubSpot", found);
            }
        }
    }
    for property in old.properties.values() {
        let Some(now) = new.properties.get(&property.name) else { continue };
        target_property(property, now, note, found);
    }
    for property in fresh {
        let message = format!("is new ({}, “{}”)", kind(&property.kind), property.label);
        note.item(&property.name, Kind::Added, set("type", Value::Null, kind(&property.kind)), message, found);
    }
    let required = |object: &crate::model::object::TargetObject| -> BTreeSet<String> {
        object.required_properties.iter().cloned().collect()
    };
    let (before, after) = (required(old), required(new));
    for name in after.difference(&before) {
        note.item(name, Kind::Requiredness, set("required", false, true), "is required for new records now", found);
    }
    for name in before.difference(&after) {
        note.item(name, Kind::Requiredness, set("required", true, false), "is no longer required", found);
    }
    associations(was, is, note, found);
}

fn target_property(was: &TargetProperty, is: &TargetProperty, note: &Note<'_>, found: &mut Vec<CatalogChange>) {
    let name = &is.name;
    if was.kind != is.kind {
        let message = format!("changed its type from {} to {}", kind(&was.kind), kind(&is.kind));
        note.item(name, Kind::Type, set("type", kind(&was.kind), kind(&is.kind)), message, found);
    }
    if was.unique != is.unique {
        let message = if is.unique { "has unique values now" } else { "no longer has unique values" };
        note.item(name, Kind::Uniqueness, set("unique", was.unique, is.unique), message, found);
    }
    if was.read_only != is.read_only {
        let message = if is.read_only { "can no longer be written" } else { "can be written now" };
        note.item(name, Kind::Writability, set("read_only", was.read_only, is.read_only), message, found);
    }
    if was.percentage != is.percentage {
        let message = if is.percentage { "is shown as a percentage now" } else { "is no longer shown as a percentage" };
        note.item(name, Kind::Other, set("percentage", was.percentage, is.percentage), message, found);
    }
    let options = |property: &TargetProperty| -> Vec<(String, String)> {
        let choice = property.options.iter().filter(|_| !property.external_options);
        choice.map(|option| (option.value.clone(), option.label.clone())).collect()
    };
    values(name, ("option", "options"), &options(was), &options(is), note, found);
    rules(was, is, note, found);
    label(name, &was.label, &is.label, note, found);
}

/// Rules for values; a property has one of each type.
fn rules(was: &TargetProperty, is: &TargetProperty, note: &Note<'_>, found: &mut Vec<CatalogChange>) {
    let rules_of = |property: &TargetProperty| -> BTreeMap<String, String> {
        property.rules.iter().map(|rule| (rule.kind.clone(), rule.arguments.join(", "))).collect()
    };
    let shown =
        |word: &str, limit: &str| if limit.is_empty() { format!("`{word}`") } else { format!("`{word}` ({limit})") };
    let (before, after) = (rules_of(was), rules_of(is));
    for (word, limit) in &before {
        let message = match after.get(word) {
            None => format!("no longer has the rule {}", shown(word, limit)),
            Some(now) if now != limit => format!("has the rule {} now, it was ({limit})", shown(word, now)),
            Some(_) => continue,
        };
        // By the rule's type, as a property may have several rules and only one of each type.
        let part = set("rules", limit.as_str(), after.get(word).map(String::as_str));
        note.item(&is.name, Kind::Rule, part.of(word), message, found);
    }
    for (word, limit) in after.iter().filter(|(word, _)| !before.contains_key(*word)) {
        let message = format!("has a new rule {}", shown(word, limit));
        note.item(&is.name, Kind::Rule, set("rules", Value::Null, limit.as_str()).of(word), message, found);
    }
}

fn associations(was: &TargetEntry, is: &TargetEntry, note: &Note<'_>, found: &mut Vec<CatalogChange>) {
    // A pair that only one of them knows was not asked for in the other, which says nothing.
    for (other, before) in &was.associations {
        let Some(after) = is.associations.get(other) else { continue };
        // By category and number: a label can be renamed, and two types may have no label at all.
        let has = |types: &[AssociationType], wanted: &AssociationType| {
            types.iter().any(|kind| kind.category == wanted.category && kind.type_id == wanted.type_id)
        };
        let number = |kind: &AssociationType| json!(format!("{} {}", kind.category, kind.type_id));
        let name = |kind: &AssociationType| {
            let label = kind.label.clone().unwrap_or_else(|| "without label".to_owned());
            format!("{other}: {label}")
        };
        for kind in before.iter().filter(|kind| !has(after, kind)) {
            let part = set("associations", number(kind), Value::Null);
            note.item(&name(kind), Kind::Removed, part, "is no longer a kind of association", found);
        }
        for kind in after.iter().filter(|kind| !has(before, kind)) {
            let part = set("associations", Value::Null, number(kind));
            note.item(&name(kind), Kind::Added, part, "is a new kind of association", found);
        }
    }
}

/// A value and its label.
type Choice = (String, String);

fn values(
    name: &str,
    (what, attribute): (&str, &'static str),
    was: &[Choice],
    is: &[Choice],
    note: &Note<'_>,
    found: &mut Vec<CatalogChange>,
) {
    // The value identifies an option in both systems; its label is only shown.
    let has = |list: &[Choice], value: &str| list.iter().any(|(known, _)| known == value);
    for (value, _) in was.iter().filter(|(value, _)| !has(is, value)) {
        let part = set(attribute, value.as_str(), Value::Null).of(value);
        note.item(name, Kind::ValueRemoved, part, format!("lost the {what} `{value}`"), found);
    }
    for (value, _) in is.iter().filter(|(value, _)| !has(was, value)) {
        let part = set(attribute, Value::Null, value.as_str()).of(value);
        note.item(name, Kind::ValueAdded, part, format!("has a new {what} `{value}`"), found);
    }
    for (value, label) in is {
        let before = was.iter().find(|(known, _)| known == value);
        if let Some((_, before)) = before.filter(|(_, before)| before != label) {
            let message = format!("calls the {what} `{value}` “{label}” now, it was “{before}”");
            note.item(name, Kind::Label, set("label", before.as_str(), label.as_str()).of(value), message, found);
        }
    }
    // Only what both sides have is compared: an added value moves the others without changing their order.
    let order = |list: &[Choice], other: &[Choice]| -> Vec<String> {
        list.iter().filter(|(value, _)| has(other, value)).map(|(value, _)| value.clone()).collect()
    };
    let (before, after) = (order(was, is), order(is, was));
    if before != after {
        let message = format!("has its {what}s in another order");
        note.item(name, Kind::Other, set(attribute, before, after), message, found);
    }
}

fn label(name: &str, was: &str, is: &str, note: &Note<'_>, found: &mut Vec<CatalogChange>) {
    if was != is {
        note.item(name, Kind::Label, set("label", was, is), format!("is called “{is}” now, it was “{was}”"), found);
    }
}

/// Least likeness of two names that may be one thing.
/// High enough that `status` and `stage` stay apart, low enough that a plural or a mended typo is the same thing.
const LIKENESS_MIN: f64 = 0.75;

/// Whether two things (name, label) of one type may be the same one under another name.
fn same_thing(one: (&str, &str), other: (&str, &str)) -> bool {
    // A label survives most renames, since people change the API name to match it; else the names must be close.
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
        let plain = AssociationType { category: "HUBSPOT_DEFINED".into(), type_id: 1, label: None };
        let associations = [("companies".to_owned(), vec![plain])].into_iter().collect();
        catalog.put_target("hubspot", TargetEntry { portal_id: 7, object, associations });
        catalog
    }

    #[track_caller]
    fn check(change: impl Fn(&mut SourceObject, &mut TargetEntry), expected: &[(&str, Kind, &str)]) {
        let before = catalog();
        let mut after = before.clone();
        let source = after.sources.values_mut().next().unwrap();
        change(std::sync::Arc::make_mut(source), after.targets.values_mut().next().unwrap());
        let got = changes(&before, &after);
        let shape: Vec<_> = got
            .iter()
            .map(|change| (change.item.as_deref().unwrap_or_default(), change.kind, &*change.message))
            .collect();
        assert_eq!(shape.len(), expected.len(), "{shape:?}");
        for ((item, kind, message), (item_name, expected, part)) in shape.iter().zip(expected) {
            assert!(item == item_name && kind == expected && message.contains(part), "{shape:?}");
        }
    }

    fn field<'a>(object: &'a mut SourceObject, name: &str) -> &'a mut SourceField {
        object.fields.iter_mut().find(|field| field.name == name).unwrap()
    }

    #[test]
    fn fields_change() {
        check(|_, _| {}, &[]);
        check(
            |source, _| source.fields.retain(|field| field.name != "Amount__c"),
            &[("Amount__c", Kind::Removed, "field-level security")],
        );
        check(
            |source, _| {
                field(source, "Amount__c").name = "Total_Amount__c".to_owned();
            },
            &[("Amount__c", Kind::Renamed, "`Total_Amount__c` is new")],
        );
        check(
            |source, _| {
                let described = field(source, "Amount__c");
                described.kind = FieldKind::String;
                described.scale = 9;
                described.nillable = !described.nillable;
            },
            &[("Amount__c", Kind::Type, "to string"), ("Amount__c", Kind::Requiredness, "")],
        );
        check(|source, _| field(source, "Name").length += 1, &[("Name", Kind::Length, "changed its length from")]);
        check(
            |source, _| {
                let described = field(source, "Status__c");
                described.picklist.push(PicklistValue { value: "New".into(), label: "Neu".into(), active: true });
                described.picklist[0].active = false;
                described.calculated = true;
            },
            &[
                ("Status__c", Kind::Writability, "calculated"),
                ("Status__c", Kind::ValueRemoved, "lost the picklist value"),
                ("Status__c", Kind::ValueAdded, "`New`"),
            ],
        );
        check(
            |source, _| field(source, "Account__c").reference_to = vec!["Contact".to_owned()],
            &[("Account__c", Kind::Reference, "leads to Contact now")],
        );
    }

    #[test]
    fn properties_change() {
        check(
            |_, target| drop(target.object.properties.remove("number")),
            &[("number", Kind::Removed, "archived in HubSpot")],
        );
        check(
            |_, target| {
                let property = target.object.properties.get_mut("salesforce_id").unwrap();
                property.unique = false;
                property.read_only = true;
                target.object.properties.get_mut("number").unwrap().percentage = true;
            },
            &[
                ("number", Kind::Other, "shown as a percentage now"),
                ("salesforce_id", Kind::Uniqueness, "no longer"),
                ("salesforce_id", Kind::Writability, "no longer be written"),
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
                ("status", Kind::ValueAdded, "new option `x`"),
                ("text", Kind::Type, "from string to number"),
                ("text", Kind::Requiredness, "required for new records"),
                ("salesforce_id", Kind::Requiredness, "no longer required"),
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
                ("ruled", Kind::Rule, "has the rule `MAX_LENGTH` (20) now, it was (50)"),
                ("ruled", Kind::Rule, "no longer has the rule `MIN_LENGTH` (3)"),
                ("ruled", Kind::Rule, "has a new rule `WHITESPACE`"),
            ],
        );
        check(
            |_, target| {
                let label =
                    AssociationType { category: "USER_DEFINED".into(), type_id: 9, label: Some("Billing".into()) };
                target.associations.get_mut("companies").unwrap().push(label);
            },
            &[("companies: Billing", Kind::Added, "new kind of association")],
        );
    }

    /// Attribute, value, before and after of the only change.
    #[track_caller]
    fn check_data(change: impl Fn(&mut SourceObject, &mut TargetEntry), expected: Value) {
        let before = catalog();
        let mut after = before.clone();
        let source = after.sources.values_mut().next().unwrap();
        change(std::sync::Arc::make_mut(source), after.targets.values_mut().next().unwrap());
        let found = changes(&before, &after);
        let data: Vec<Value> =
            found.iter().map(|change| json!([change.attribute, change.value, change.before, change.after])).collect();
        assert_eq!(Value::Array(data), json!([expected]));
    }

    #[test]
    fn a_change_says_what_was_and_what_is() {
        let option = |value: &str| PropertyOption { value: value.into(), label: value.into() };
        check_data(|source, _| field(source, "Name").length = 7, json!(["length", null, 0, 7]));
        check_data(|source, _| field(source, "Name").filterable = false, json!(["filterable", null, true, false]));
        check_data(|source, _| source.label = "Plans".to_owned(), json!(["label", null, "Subscription__c", "Plans"]));
        check_data(
            |source, _| field(source, "Account__c").reference_to.push("Contact".to_owned()),
            json!(["reference_to", null, ["Account"], ["Account", "Contact"]]),
        );
        check_data(|_, target| drop(target.object.properties.remove("number")), json!(["type", null, "number", null]));
        check_data(
            |_, target| target.object.properties.get_mut("status").unwrap().options.push(option("x")),
            json!(["options", "x", null, "x"]),
        );
        check_data(
            |_, target| {
                target.object.properties.get_mut("ruled").unwrap().rules.pop();
            },
            json!(["rules", "MIN_LENGTH", "3", null]),
        );
        check_data(
            |_, target| target.object.primary_display_property = None,
            json!(["primary_display", null, "text", null]),
        );
        check_data(
            |_, target| {
                target.associations.get_mut("companies").unwrap().clear();
            },
            json!(["associations", null, "HUBSPOT_DEFINED 1", null]),
        );
    }

    #[test]
    fn objects_come_and_go() {
        let before = catalog();
        let found = changes(&before, &Catalog::default());
        assert_eq!(found.len(), 2);
        assert!(found.iter().all(|found| found.kind == Kind::Removed && found.item.is_none()), "{found:?}");
    }
}
