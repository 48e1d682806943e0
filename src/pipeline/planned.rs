//! The custom object that fits a Salesforce object: one table of fields and properties, off which both the body of the object's
//! creation and the mapping of the pipeline that fills it are read. Pure.

use std::collections::{HashMap, HashSet};

use serde_json::{Value, json};

use super::names::property_name;
use super::suggest::{Suggestion, is_user_lookup, mappable};
use super::values::convert::trim;
use crate::model::object::{
    FieldKind, PropertyKind, PropertyOption, SourceField, SourceObject, TargetObject, TargetProperty,
};

/// HubSpot's longest name and label of an object, in characters.
pub const OBJECT_NAME_LENGTH_MAX: usize = 50;

/// Most options of a property that is made: more are no list that a person could choose from, so it becomes text.
const OPTIONS_MAX: usize = 1_000;

/// Most properties of an object (HubSpot CRM API, Limits tracking: custom properties).
const PROPERTIES_MAX: usize = 1_000;

/// A custom object that is yet to be made.
#[derive(Debug)]
pub struct PlannedObject<'a> {
    /// Its name.
    pub name: String,
    /// Its names for people, of one record and of several.
    pub labels: (String, String),
    /// The unique property that holds the Salesforce id.
    pub match_property: String,
    /// The property that names a record to people.
    pub title: String,
    /// Properties that a create must set.
    pub required: Vec<String>,
    /// Its properties, each with the field that fills it.
    pub rows: Vec<Row<'a>>,
    /// What a person should know of it, line by line.
    pub remarks: Vec<String>,
}

/// A field, and the property that holds its values.
#[derive(Debug)]
pub struct Row<'a> {
    /// The field.
    pub field: &'a SourceField,
    /// The property's name.
    pub name: String,
    /// Its name for people.
    pub label: String,
    /// What it holds, and how HubSpot shows it.
    pub form: Form,
    /// The values that can be chosen.
    pub options: Vec<Choice>,
}

/// An option of a property that is yet to be made.
#[derive(Debug, PartialEq, Eq)]
pub struct Choice {
    /// What records hold.
    pub value: String,
    /// Name for people.
    pub label: String,
    /// It can no longer be chosen.
    pub hidden: bool,
}

/// What a property holds, and how HubSpot shows it.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Form {
    /// One line of text.
    Text,
    /// An e-mail address.
    Email,
    /// A telephone number.
    Phone,
    /// Several lines of text.
    Lines,
    /// Text with HTML.
    Rich,
    /// A number.
    Number,
    /// A share: 0.5 is shown as 50 %.
    Percent,
    /// Money.
    Money,
    /// Yes or no.
    Checkbox,
    /// A day.
    Day,
    /// A moment.
    Moment,
    /// One of a list.
    Select,
    /// Several of a list.
    Checkboxes,
    /// A user of HubSpot.
    Owner,
}

impl Form {
    fn of(field: &SourceField) -> Self {
        // A lookup gets here only where it leads to users, see `has_a_place`.
        match field.kind {
            FieldKind::Reference => Self::Owner,
            // Before the types: rich text and formulas with links have several of them.
            _ if field.html => Self::Rich,
            FieldKind::Email => Self::Email,
            FieldKind::Phone => Self::Phone,
            FieldKind::TextArea => Self::Lines,
            FieldKind::Picklist => Self::Select,
            FieldKind::MultiPicklist => Self::Checkboxes,
            FieldKind::Boolean => Self::Checkbox,
            FieldKind::Percent => Self::Percent,
            FieldKind::Currency => Self::Money,
            FieldKind::Int | FieldKind::Long | FieldKind::Double => Self::Number,
            FieldKind::Date => Self::Day,
            FieldKind::DateTime => Self::Moment,
            // A time of day has no day, so it is no moment.
            _ => Self::Text,
        }
    }

    /// `type` and `fieldType`, in HubSpot's words.
    fn type_and_field_type(self) -> (&'static str, &'static str) {
        match self {
            Self::Text | Self::Email => ("string", "text"),
            Self::Phone => ("string", "phonenumber"),
            Self::Lines => ("string", "textarea"),
            Self::Rich => ("string", "html"),
            Self::Number | Self::Percent | Self::Money => ("number", "number"),
            Self::Checkbox => ("bool", "booleancheckbox"),
            Self::Day => ("date", "date"),
            Self::Moment => ("datetime", "date"),
            // HubSpot has no type of its own for owners: an enumeration whose options come from its users.
            Self::Select | Self::Owner => ("enumeration", "select"),
            Self::Checkboxes => ("enumeration", "checkbox"),
        }
    }

    fn kind(self) -> PropertyKind {
        match self {
            Self::Text | Self::Email | Self::Phone | Self::Lines | Self::Rich => PropertyKind::String,
            Self::Number | Self::Percent | Self::Money => PropertyKind::Number,
            Self::Checkbox => PropertyKind::Bool,
            Self::Day => PropertyKind::Date,
            Self::Moment => PropertyKind::DateTime,
            Self::Select | Self::Owner => PropertyKind::Enumeration,
            Self::Checkboxes => PropertyKind::MultiCheckbox,
        }
    }
}

impl<'a> PlannedObject<'a> {
    /// Plans the object; `owners` says whether HubSpot's owners can be read, so that lookups to users become owners.
    pub fn of(source: &'a SourceObject, name: &str, match_property: &str, owners: bool) -> Self {
        // A field called like the match property would otherwise be made twice, and the whole creation refused.
        let mut taken = HashSet::from([match_property.to_owned()]);
        let mut remarks = Vec::new();
        let mut rows = Vec::new();
        let fields = source.fields.iter().filter(|field| has_a_place(field, source, owners));
        for field in fields {
            // One less for the match property, which is no field's.
            if rows.len() + 1 == PROPERTIES_MAX {
                remarks.push(format!(
                    "HubSpot holds {PROPERTIES_MAX} properties of an object: fields from `{}` on are left out",
                    field.name
                ));
                break;
            }
            rows.push(row(field, &mut taken, &mut remarks));
        }
        // Records are shown by their name as in Salesforce; by the id only where the object has no name field.
        let named = rows.iter().find(|row: &&Row<'_>| row.field.name_field);
        let title = named.map_or_else(|| match_property.to_owned(), |row| row.name.clone());
        // What may be blank in Salesforce cannot be demanded of a record in HubSpot.
        let filled = named.filter(|row| !row.field.nillable && !row.field.calculated);
        let required = vec![filled.map_or_else(|| match_property.to_owned(), |row| row.name.clone())];
        let (name, match_property) = (name.to_owned(), match_property.to_owned());
        Self { name, labels: labels(source), match_property, title, required, rows, remarks }
    }

    /// The body of the object's creation, as HubSpot takes it; `associated` are the type ids of objects that it can be
    /// associated with.
    pub fn body(&self, associated: &[String]) -> Value {
        let match_property = json!({
            "name": self.match_property, "label": "Salesforce ID", "type": "string", "fieldType": "text",
            "hasUniqueValue": true,
        });
        let properties: Vec<Value> = std::iter::once(match_property).chain(self.rows.iter().map(Row::body)).collect();
        // What people search for; each searchable property counts against HubSpot's limit of 20.
        let mut searchable = vec![&self.title];
        searchable.extend(Some(&self.match_property).filter(|name| **name != self.title));
        json!({
            "name": self.name,
            "labels": { "singular": self.labels.0, "plural": self.labels.1 },
            "primaryDisplayProperty": self.title,
            "requiredProperties": self.required,
            "searchableProperties": searchable,
            "properties": properties,
            "associatedObjects": associated,
        })
    }

    /// The object as HubSpot will describe it.
    pub fn target(&self) -> TargetObject {
        let match_property =
            TargetProperty { unique: true, ..property(&self.match_property, "Salesforce ID", Form::Text, Vec::new()) };
        let options = |row: &Row<'_>| {
            let option = |choice: &Choice| PropertyOption { value: choice.value.clone(), label: choice.label.clone() };
            row.options.iter().map(option).collect()
        };
        let rows = self.rows.iter().map(|row| property(&row.name, &row.label, row.form, options(row)));
        TargetObject {
            // No object has this number, so that nothing can be sent to it by mistake.
            object_type_id: "2-0".to_owned(),
            name: self.name.clone(),
            fully_qualified_name: self.name.clone(),
            label: self.labels.1.clone(),
            custom: true,
            required_properties: self.required.clone(),
            primary_display_property: Some(self.title.clone()),
            properties: rows.chain([match_property]).map(|property| (property.name.clone(), property)).collect(),
        }
    }

    /// The mapping that fills it.
    pub fn mapping(&self) -> Vec<Suggestion<'a>> {
        let entry = |row: &Row<'a>| Suggestion {
            // Salesforce holds 50 for 50 %, HubSpot 0.5.
            scaled: row.form == Form::Percent,
            owner: row.form == Form::Owner,
            ..Suggestion::plain(row.field, &row.name)
        };
        self.rows.iter().map(entry).collect()
    }

    /// What HubSpot would refuse of it, in words; none where nothing is known against it.
    pub fn trouble(&self) -> Option<String> {
        let plain = |name: &str| {
            name.starts_with(|letter: char| letter.is_ascii_alphabetic())
                && name.bytes().all(|byte| byte.is_ascii_alphanumeric() || byte == b'_')
        };
        if self.name.len() > OBJECT_NAME_LENGTH_MAX || !plain(&self.name) {
            return Some(format!(
                "`{}` is not a valid name for a custom object: it needs a letter, then letters, digits and `_`, {OBJECT_NAME_LENGTH_MAX} at most",
                self.name
            ));
        }
        // Objects may have upper-case letters in their names, properties may not.
        let lower = self.match_property.bytes().all(|byte| !byte.is_ascii_uppercase());
        if !plain(&self.match_property) || !lower || self.match_property.starts_with("hs_") {
            return Some(format!(
                "`{}` is not a valid name for a property: it needs a lower-case letter, then lower-case letters, digits and `_`, and must not begin with `hs_`",
                self.match_property
            ));
        }
        None
    }
}

impl Row<'_> {
    fn body(&self) -> Value {
        let (kind, form) = self.form.type_and_field_type();
        let mut body = json!({ "name": self.name, "label": self.label, "type": kind, "fieldType": form });
        let option = |(order, choice): (usize, &Choice)| json!({ "label": choice.label, "value": choice.value, "displayOrder": order, "hidden": choice.hidden });
        if !self.options.is_empty() {
            body["options"] = self.options.iter().enumerate().map(option).collect();
        }
        match self.form {
            // Text with a hint and no type of its own, so that HubSpot does not refuse an address that Salesforce
            // accepted.
            Form::Email => body["textDisplayHint"] = "email".into(),
            Form::Percent => body["numberDisplayHint"] = "percentage".into(),
            // Without `showCurrencySymbol`: the amount is in the record's own currency, which HubSpot does not know.
            Form::Money => body["numberDisplayHint"] = "currency".into(),
            Form::Owner => {
                body["externalOptions"] = true.into();
                body["referencedObjectType"] = "OWNER".into();
            }
            _ => {}
        }
        body
    }
}

fn property(name: &str, label: &str, form: Form, options: Vec<PropertyOption>) -> TargetProperty {
    TargetProperty {
        name: name.to_owned(),
        label: label.to_owned(),
        kind: form.kind(),
        options,
        external_options: form == Form::Owner,
        html: form == Form::Rich,
        owner: form == Form::Owner,
        unique: false,
        read_only: false,
        percentage: form == Form::Percent,
        rules: Vec::new(),
    }
}

/// Whether a field gets a property of its own: compounds get those of their parts, and lookups become associations or owners.
fn has_a_place(field: &SourceField, source: &SourceObject, owners: bool) -> bool {
    match field.kind {
        // Without the owners, an id of a Salesforce user would be all that could be written.
        FieldKind::Reference => owners && is_user_lookup(field),
        FieldKind::Address | FieldKind::Location => false,
        // How exactly an address was found on the map.
        FieldKind::Picklist
            if field.compound_field_name.is_some()
                && field.name.trim_end_matches("__s").ends_with("GeocodeAccuracy") =>
        {
            false
        }
        // A name is joined by Salesforce itself; where it names the record, it has a place beside its parts.
        _ if !field.name_field && is_compound(field, source) => false,
        _ => mappable(field),
    }
}

/// Whether other fields of the object are the parts of this one.
fn is_compound(field: &SourceField, source: &SourceObject) -> bool {
    source.fields.iter().any(|part| part.compound_field_name.as_deref() == Some(&*field.name))
}

/// A property for a field. A picklist that has no values, or more than HubSpot lists, becomes text: a property with an
/// incomplete list would refuse records.
fn row<'a>(field: &'a SourceField, taken: &mut HashSet<String>, remarks: &mut Vec<String>) -> Row<'a> {
    let name = free_name(&property_name(&field.name), taken);
    taken.insert(name.clone());
    let label = Some(trim(&field.label)).filter(|label| !label.is_empty()).unwrap_or(&field.name).to_owned();
    let mut form = Form::of(field);
    let mut options = match form {
        Form::Select | Form::Checkboxes => choices(field),
        // HubSpot refuses a bool without exactly the options true and false.
        Form::Checkbox => [("true", "Yes"), ("false", "No")]
            .map(|(value, label)| Choice { value: value.to_owned(), label: label.to_owned(), hidden: false })
            .into(),
        _ => Vec::new(),
    };
    let listed = matches!(form, Form::Select | Form::Checkboxes);
    if options.len() > OPTIONS_MAX {
        let count = options.len();
        remarks
            .push(format!("`{}` has {count} values, too many for a list to choose from: `{name}` is text", field.name));
    }
    if listed && (options.is_empty() || options.len() > OPTIONS_MAX) {
        (form, options) = (Form::Text, Vec::new());
    }
    Row { field, name, label, form, options }
}

/// The options for a picklist: each value once, as records hold it, and no label twice.
fn choices(field: &SourceField) -> Vec<Choice> {
    let mut places: HashMap<&str, usize> = HashMap::new();
    let mut options: Vec<Choice> = Vec::new();
    for value_entry in &field.picklist {
        let value = trim(&value_entry.value);
        match places.get(value) {
            // Two values that differ in spaces are one option; it can be chosen where either of them can.
            Some(place) => options[*place].hidden &= !value_entry.active,
            None if value.is_empty() => {}
            None => {
                // HubSpot refuses an option without a label.
                let label = Some(trim(&value_entry.label)).filter(|label| !label.is_empty()).unwrap_or(value);
                places.insert(value, options.len());
                options.push(Choice { value: value.to_owned(), label: label.to_owned(), hidden: !value_entry.active });
            }
        }
    }
    let mut labels: HashSet<String> = HashSet::new();
    for choice in &mut options {
        // HubSpot refuses two options of one label, which Salesforce allows.
        if !labels.insert(choice.label.to_lowercase()) {
            choice.label = format!("{} ({})", choice.label, choice.value);
            labels.insert(choice.label.to_lowercase());
        }
    }
    options
}

/// A name that no other property has: `Status` and `Status__c` would both be `status`.
fn free_name(name: &str, taken: &HashSet<String>) -> String {
    let numbered = (2..).map(|number| format!("{name}_{number}"));
    let mut candidates = std::iter::once(name.to_owned()).chain(numbered);
    // The candidates never end, so one is always found.
    candidates.find(|candidate| !taken.contains(candidate)).unwrap_or_default()
}

/// The object's names for people. Salesforce knows the plural.
fn labels(source: &SourceObject) -> (String, String) {
    let short = |label: &str| trim(label).chars().take(OBJECT_NAME_LENGTH_MAX).collect::<String>();
    let one = Some(short(&source.label)).filter(|label| !label.is_empty()).unwrap_or_else(|| short(&source.name));
    let many = source.label_plural.as_deref().map(short).filter(|label| !label.is_empty());
    let many = many.unwrap_or_else(|| {
        // Good enough for a label that can be changed in HubSpot at any time.
        if one.ends_with('s') {
            one.clone()
        } else {
            format!("{}s", one.chars().take(OBJECT_NAME_LENGTH_MAX - 1).collect::<String>())
        }
    });
    (one, many)
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::model::object::PicklistValue;
    use crate::pipeline::fixture::Fixture;

    fn value(value: &str, label: &str, active: bool) -> PicklistValue {
        PicklistValue { value: value.into(), label: label.into(), active }
    }

    #[test]
    fn options_are_distinct_and_inactive_ones_hidden() {
        let mut fixture = Fixture::new(json!([]));
        fixture.field("Status__c").picklist = vec![
            value("AL", "Alabama", true),
            value("AL ", "Alagoas", true),
            value("NSW", "State", true),
            value("VIC", "state", true),
            value("Old", "Old", false),
            value(" ", "Blank", true),
            value("X", "", true),
        ];
        let source = fixture.source().clone();
        let planned = PlannedObject::of(&source, "plans", "salesforce_id", false);
        let status = planned.rows.iter().find(|row| row.field.name == "Status__c").unwrap();
        let options: Vec<_> =
            status.options.iter().map(|choice| (&*choice.value, &*choice.label, choice.hidden)).collect();
        let expected = [
            ("AL", "Alabama", false),
            ("NSW", "State", false),
            ("VIC", "state (VIC)", false),
            ("Old", "Old", true),
            ("X", "X", false),
        ];
        assert_eq!(options, expected);
    }

    #[test]
    fn what_is_too_long_to_choose_from_is_text() {
        let mut fixture = Fixture::new(json!([]));
        fixture.field("Status__c").picklist = (0..5_000).map(|number| value(&format!("v{number}"), "", true)).collect();
        fixture.field("Channels__c").picklist.clear();
        let source = fixture.source().clone();
        let planned = PlannedObject::of(&source, "plans", "salesforce_id", false);
        for field in ["Status__c", "Channels__c"] {
            assert_eq!(planned.rows.iter().find(|row| row.field.name == field).unwrap().form, Form::Text, "{field}");
        }
        assert!(planned.remarks.len() == 1 && planned.remarks[0].contains("5000 values"), "{:?}", planned.remarks);
    }

    #[test]
    fn compounds_become_their_parts_and_a_nillable_name_is_not_required() {
        let mut fixture = Fixture::new(json!([]));
        let source = fixture.source().clone();
        let planned = PlannedObject::of(&source, "plans", "salesforce_id", true);
        let names: Vec<&str> = planned.rows.iter().map(|row| &*row.field.name).collect();
        assert!(names.contains(&"Bill__City__s") && !names.contains(&"Bill__c"), "{names:?}");
        assert!(names.contains(&"OwnerId") && !names.contains(&"Account__c"), "{names:?}");
        assert_eq!((&*planned.title, &planned.required), ("name", &vec!["salesforce_id".to_owned()]));
        fixture.field("Name").nillable = false;
        let source = fixture.source().clone();
        assert_eq!(PlannedObject::of(&source, "plans", "salesforce_id", true).required, ["name"]);
        fixture.source().fields.retain(|field| !field.name_field);
        let source = fixture.source().clone();
        let planned = PlannedObject::of(&source, "plans", "salesforce_id", true);
        assert_eq!((&*planned.title, &planned.required), ("salesforce_id", &vec!["salesforce_id".to_owned()]));
        assert_eq!(planned.body(&[])["searchableProperties"], json!(["salesforce_id"]));
    }

    #[test]
    fn names_that_hubspot_would_refuse_are_known() {
        let source = Fixture::new(json!([])).source().clone();
        for (name, key, sound) in [
            ("plans", "salesforce_id", true),
            ("Plans_2", "sf_id", true),
            ("2plans", "sf_id", false),
            ("my plans", "sf_id", false),
            ("pläne", "sf_id", false),
            (&"p".repeat(51), "sf_id", false),
            ("plans", "SF_Id", false),
            ("plans", "hs_id", false),
            ("plans", "", false),
        ] {
            assert_eq!(PlannedObject::of(&source, name, key, false).trouble().is_none(), sound, "{name} {key}");
        }
    }
}
