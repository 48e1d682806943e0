//! The form of the catalog's files: what mapping needs and nothing else, defaults left out, so that a change in either
//! system reads well in a review.

use std::collections::BTreeMap;

use serde::{Deserialize, Serialize};

use super::TargetEntry;
use crate::model::association::AssociationType;
use crate::model::object::{
    FieldKind, PicklistValue, PropertyKind, PropertyOption, PropertyRule, SourceField, SourceObject, TargetObject,
    TargetProperty,
};

/// Version of the form.
pub const VERSION: u32 = 1;

/// A Salesforce object's file.
#[derive(Debug, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct SourceFile {
    version: u32,
    /// The connection that it was read by.
    pub connection: String,
    object: String,
    label: String,
    #[serde(default, skip_serializing_if = "Option::is_none")]
    key_prefix: Option<String>,
    #[serde(default = "yes", skip_serializing_if = "is_true")]
    queryable: bool,
    #[serde(default = "yes", skip_serializing_if = "is_true")]
    replicateable: bool,
    #[serde(default = "yes", skip_serializing_if = "is_true")]
    undeletable: bool,
    #[serde(default = "yes", skip_serializing_if = "is_true")]
    retrieveable: bool,
    fields: BTreeMap<String, FieldForm>,
}

/// A field; what is usual is left out.
#[derive(Debug, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
struct FieldForm {
    #[serde(rename = "type")]
    kind: FieldKind,
    label: String,
    #[serde(default, skip_serializing_if = "is_zero")]
    length: u32,
    #[serde(default, skip_serializing_if = "is_zero")]
    precision: u32,
    #[serde(default, skip_serializing_if = "is_zero")]
    scale: u32,
    #[serde(default, skip_serializing_if = "is_false")]
    required: bool,
    #[serde(default, skip_serializing_if = "is_false")]
    calculated: bool,
    #[serde(default = "yes", skip_serializing_if = "is_true")]
    filterable: bool,
    #[serde(default = "yes", skip_serializing_if = "is_true")]
    sortable: bool,
    #[serde(default, skip_serializing_if = "is_false")]
    name_field: bool,
    #[serde(default, skip_serializing_if = "is_false")]
    restricted: bool,
    #[serde(default, skip_serializing_if = "Vec::is_empty")]
    values: Vec<ValueForm>,
    #[serde(default, skip_serializing_if = "Vec::is_empty")]
    reference_to: Vec<String>,
    #[serde(default, skip_serializing_if = "Option::is_none")]
    relationship: Option<String>,
    #[serde(default, skip_serializing_if = "Option::is_none")]
    part_of: Option<String>,
    #[serde(default, skip_serializing_if = "is_false")]
    masked: bool,
    #[serde(default, skip_serializing_if = "is_false")]
    html: bool,
}

/// A value of a picklist or an option of an enumeration.
#[derive(Debug, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
struct ValueForm {
    value: String,
    #[serde(default, skip_serializing_if = "Option::is_none")]
    label: Option<String>,
    #[serde(default, skip_serializing_if = "is_false")]
    inactive: bool,
}

/// A HubSpot object's file.
#[derive(Debug, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct TargetFile {
    version: u32,
    /// The connection that it was read by.
    pub connection: String,
    portal_id: u64,
    object: String,
    label: String,
    object_type_id: String,
    fully_qualified_name: String,
    #[serde(default, skip_serializing_if = "Vec::is_empty")]
    required: Vec<String>,
    #[serde(default, skip_serializing_if = "Option::is_none")]
    primary_display: Option<String>,
    properties: BTreeMap<String, PropertyForm>,
    #[serde(default, skip_serializing_if = "BTreeMap::is_empty")]
    associations: BTreeMap<String, Vec<AssociationForm>>,
}

#[derive(Debug, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
struct PropertyForm {
    #[serde(rename = "type")]
    kind: PropertyKind,
    label: String,
    #[serde(default, skip_serializing_if = "is_false")]
    unique: bool,
    #[serde(default, skip_serializing_if = "is_false")]
    read_only: bool,
    #[serde(default, skip_serializing_if = "is_false")]
    external_options: bool,
    #[serde(default, skip_serializing_if = "is_false")]
    html: bool,
    #[serde(default, skip_serializing_if = "is_false")]
    owner: bool,
    #[serde(default, skip_serializing_if = "is_false")]
    percentage: bool,
    #[serde(default, skip_serializing_if = "Vec::is_empty")]
    options: Vec<ValueForm>,
    #[serde(default, skip_serializing_if = "BTreeMap::is_empty")]
    rules: BTreeMap<String, Vec<String>>,
}

#[derive(Debug, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
struct AssociationForm {
    category: String,
    type_id: u64,
    #[serde(default, skip_serializing_if = "Option::is_none")]
    label: Option<String>,
}

/// The file of a Salesforce object.
pub fn of_source(connection: &str, object: &SourceObject) -> SourceFile {
    let field = |field: &SourceField| {
        let form = FieldForm {
            kind: field.kind.clone(),
            label: field.label.clone(),
            length: field.length,
            precision: field.precision,
            scale: field.scale,
            // Salesforce calls every checkbox not nillable, as it is never null; that makes nobody fill it in.
            required: !field.nillable && field.kind != FieldKind::Boolean,
            calculated: field.calculated,
            filterable: field.filterable,
            sortable: field.sortable,
            name_field: field.name_field,
            restricted: field.restricted_picklist,
            values: field.picklist.iter().map(|value| value_form(&value.value, &value.label, !value.active)).collect(),
            // Sorted, since a describe promises no order and a pull must not differ from the last one by it.
            reference_to: sorted(&field.reference_to),
            relationship: field.relationship_name.clone(),
            part_of: field.compound_field_name.clone(),
            masked: field.masked,
            html: field.html,
        };
        (field.name.clone(), form)
    };
    SourceFile {
        version: VERSION,
        connection: connection.to_owned(),
        object: object.name.clone(),
        label: object.label.clone(),
        key_prefix: object.key_prefix.clone(),
        queryable: object.queryable,
        replicateable: object.replicateable,
        undeletable: object.undeletable,
        retrieveable: object.retrieveable,
        fields: object.fields.iter().map(field).collect(),
    }
}

/// The file of a HubSpot object.
pub fn of_target(connection: &str, entry: &TargetEntry) -> TargetFile {
    let property = |property: &TargetProperty| {
        let mut options: Vec<ValueForm> =
            property.options.iter().map(|option| value_form(&option.value, &option.label, false)).collect();
        // Owners come and go.
        options.retain(|_| !property.owner);
        let form = PropertyForm {
            kind: property.kind.clone(),
            label: property.label.clone(),
            unique: property.unique,
            read_only: property.read_only,
            external_options: property.external_options,
            html: property.html,
            owner: property.owner,
            percentage: property.percentage,
            options,
            rules: property.rules.iter().map(|rule| (rule.kind.clone(), rule.arguments.clone())).collect(),
        };
        (property.name.clone(), form)
    };
    let form = |kind: &AssociationType| AssociationForm {
        category: kind.category.to_string(),
        type_id: kind.type_id,
        label: kind.label.clone(),
    };
    let associations_of = |(other, types): (&String, &Vec<AssociationType>)| {
        // HubSpot lists them in no fixed order.
        let mut types: Vec<&AssociationType> = types.iter().collect();
        types.sort_by_key(|kind| (&kind.category, kind.type_id));
        (other.clone(), types.into_iter().map(form).collect())
    };
    let object = &entry.object;
    TargetFile {
        version: VERSION,
        connection: connection.to_owned(),
        portal_id: entry.portal_id,
        object: object.name.clone(),
        label: object.label.clone(),
        object_type_id: object.object_type_id.clone(),
        fully_qualified_name: object.fully_qualified_name.clone(),
        required: sorted(&object.required_properties),
        primary_display: object.primary_display_property.clone(),
        properties: object.properties.values().map(property).collect(),
        associations: entry.associations.iter().map(associations_of).collect(),
    }
}

impl SourceFile {
    /// The object that it describes.
    pub fn object(self) -> SourceObject {
        let field = |(name, form): (String, FieldForm)| SourceField {
            label: form.label,
            length: form.length,
            precision: form.precision,
            scale: form.scale,
            // The reverse of what is left out in writing: a checkbox is never null, whether it says so or not.
            nillable: !form.required && form.kind != FieldKind::Boolean,
            calculated: form.calculated,
            filterable: form.filterable,
            sortable: form.sortable,
            name_field: form.name_field,
            restricted_picklist: form.restricted,
            picklist: form.values.into_iter().map(picklist_value).collect(),
            reference_to: form.reference_to,
            relationship_name: form.relationship,
            compound_field_name: form.part_of,
            masked: form.masked,
            html: form.html,
            kind: form.kind,
            name,
        };
        SourceObject {
            // Every custom thing has two underscores before its ending: `__c`, `__mdt`, `__x`.
            custom: self.object.contains("__"),
            label: self.label,
            // Left out of the file, as only a draft of a new HubSpot object uses it; one made from the catalog forms
            // its own.
            label_plural: None,
            queryable: self.queryable,
            replicateable: self.replicateable,
            undeletable: self.undeletable,
            retrieveable: self.retrieveable,
            key_prefix: self.key_prefix,
            fields: self.fields.into_iter().map(field).collect(),
            name: self.object,
        }
    }

    /// The version of the form that it was written in.
    pub fn version(&self) -> u32 {
        self.version
    }
}

impl TargetFile {
    /// The object that it describes.
    pub fn entry(self) -> TargetEntry {
        let property = |(name, form): (String, PropertyForm)| {
            let property = TargetProperty {
                name: name.clone(),
                label: form.label,
                kind: form.kind,
                options: form.options.into_iter().map(option).collect(),
                external_options: form.external_options,
                html: form.html,
                owner: form.owner,
                percentage: form.percentage,
                unique: form.unique,
                read_only: form.read_only,
                rules: form.rules.into_iter().map(|(kind, arguments)| PropertyRule { kind, arguments }).collect(),
            };
            (name, property)
        };
        let form = |form: AssociationForm| AssociationType {
            category: form.category.into(),
            type_id: form.type_id,
            label: form.label,
        };
        let associations_of =
            |(other, types): (String, Vec<AssociationForm>)| (other, types.into_iter().map(form).collect());
        TargetEntry {
            portal_id: self.portal_id,
            object: TargetObject {
                // HubSpot numbers its own objects 0-…, an account's own ones 2-….
                custom: !self.object_type_id.starts_with("0-"),
                object_type_id: self.object_type_id,
                name: self.object,
                fully_qualified_name: self.fully_qualified_name,
                label: self.label,
                required_properties: self.required,
                primary_display_property: self.primary_display,
                properties: self.properties.into_iter().map(property).collect(),
            },
            associations: self.associations.into_iter().map(associations_of).collect(),
        }
    }

    /// The version of the form that it was written in.
    pub fn version(&self) -> u32 {
        self.version
    }
}

fn value_form(value: &str, label: &str, inactive: bool) -> ValueForm {
    // Most values are their own label; repeating it would double the length of a picklist in the file.
    let label = (label != value).then(|| label.to_owned());
    ValueForm { value: value.to_owned(), label, inactive }
}

fn picklist_value(form: ValueForm) -> PicklistValue {
    let label = form.label.unwrap_or_else(|| form.value.clone());
    PicklistValue { value: form.value, label, active: !form.inactive }
}

fn option(form: ValueForm) -> PropertyOption {
    let label = form.label.unwrap_or_else(|| form.value.clone());
    PropertyOption { value: form.value, label }
}

fn sorted(names: &[String]) -> Vec<String> {
    let mut names = names.to_vec();
    names.sort();
    names
}

fn yes() -> bool {
    true
}

#[expect(clippy::trivially_copy_pass_by_ref, reason = "serde hands a reference")]
fn is_true(value: &bool) -> bool {
    *value
}

#[expect(clippy::trivially_copy_pass_by_ref, reason = "serde hands a reference")]
fn is_false(value: &bool) -> bool {
    !*value
}

#[expect(clippy::trivially_copy_pass_by_ref, reason = "serde hands a reference")]
fn is_zero(value: &u32) -> bool {
    *value == 0
}
