//! Reads the describe of an object, in which any member may be missing, into what mapping needs.

use serde::Deserialize;
use serde::de::Error as _;

use crate::connect::http::entries::{self, list, some_list};
use crate::model::object::{FieldKind, ObjectSummary, PicklistValue, SourceField, SourceObject};

#[derive(Deserialize, Default)]
#[serde(rename_all = "camelCase", default)]
struct ObjectDescribe {
    name: Option<String>,
    label: Option<String>,
    custom: Option<bool>,
    queryable: Option<bool>,
    replicateable: Option<bool>,
    undeletable: Option<bool>,
    retrieveable: Option<bool>,
    key_prefix: Option<String>,
    label_plural: Option<String>,
    #[serde(deserialize_with = "some_list")]
    fields: Option<Vec<FieldDescribe>>,
}

#[derive(Deserialize, Default)]
#[serde(rename_all = "camelCase", default)]
struct FieldDescribe {
    name: Option<String>,
    label: Option<String>,
    #[serde(rename = "type")]
    kind: Option<String>,
    length: Option<u32>,
    precision: Option<u32>,
    digits: Option<u32>,
    scale: Option<u32>,
    nillable: Option<bool>,
    calculated: Option<bool>,
    filterable: Option<bool>,
    sortable: Option<bool>,
    name_field: Option<bool>,
    restricted_picklist: Option<bool>,
    #[serde(deserialize_with = "list")]
    picklist_values: Vec<PicklistDescribe>,
    #[serde(deserialize_with = "list")]
    reference_to: Vec<String>,
    mask: Option<String>,
    html_formatted: Option<bool>,
    extra_type_info: Option<String>,
    relationship_name: Option<String>,
    compound_field_name: Option<String>,
    deprecated_and_hidden: Option<bool>,
}

#[derive(Deserialize)]
#[serde(rename_all = "camelCase")]
struct PicklistDescribe {
    value: Option<String>,
    label: Option<String>,
    active: Option<bool>,
}

/// Reads a describe answer. `asked` is the name that was asked for, used where the answer has none.
pub(super) fn object(asked: &str, body: &[u8]) -> Result<SourceObject, serde_json::Error> {
    if body.trim_ascii_start().first() != Some(&b'{') {
        // The decoder would take a list for the members in their order.
        return Err(serde_json::Error::custom("not an object"));
    }
    let object: ObjectDescribe = entries::answer(body)?;
    let name = object.name.unwrap_or_else(|| asked.to_owned());
    Ok(SourceObject {
        label: object.label.unwrap_or_else(|| name.clone()),
        // Platform events and metadata types end otherwise; records of neither are synchronised.
        custom: object.custom.unwrap_or_else(|| name.ends_with("__c")),
        label_plural: object.label_plural.filter(|label| !label.trim().is_empty()),
        // A flag that did not come forbids nothing; the query itself will tell.
        queryable: object.queryable.unwrap_or(true),
        // These promise something: taken as absent, deletes are proved in a way that always works.
        replicateable: object.replicateable.unwrap_or(false),
        undeletable: object.undeletable.unwrap_or(false),
        retrieveable: object.retrieveable.unwrap_or(false),
        key_prefix: object.key_prefix,
        fields: object.fields.unwrap_or_default().into_iter().filter_map(field).collect(),
        name,
    })
}

/// Reads the list of all objects that the user can see.
pub(super) fn objects(body: &[u8]) -> Result<Vec<ObjectSummary>, serde_json::Error> {
    #[derive(Deserialize)]
    struct List {
        #[serde(deserialize_with = "list")]
        sobjects: Vec<ObjectDescribe>,
    }
    let list: List = serde_json::from_slice(body)?;
    let summary = |object: ObjectDescribe| {
        let name = object.name?;
        Some(ObjectSummary {
            label: object.label.unwrap_or_else(|| name.clone()),
            custom: object.custom.unwrap_or_else(|| name.ends_with("__c")),
            queryable: object.queryable.unwrap_or(true),
            object_type_id: None,
            name,
        })
    };
    Ok(list.sobjects.into_iter().filter_map(summary).collect())
}

/// None for a field without a name, or one that queries of this API version cannot read.
fn field(field: FieldDescribe) -> Option<SourceField> {
    // A field that the API version hides can be described and not queried.
    let name = field.name.filter(|_| field.deprecated_and_hidden != Some(true))?;
    let kind = kind(field.kind.unwrap_or_default());
    let precision = match kind {
        // Whole numbers have their length in `digits`, and a precision of 0.
        FieldKind::Int | FieldKind::Long => field.digits.or(field.precision),
        _ => field.precision,
    };
    // A checkbox is `false` where nobody has set it, whatever a describe says; the catalog keeps it so, too.
    let checkbox = kind == FieldKind::Boolean;
    Some(SourceField {
        label: field.label.unwrap_or_else(|| name.clone()),
        kind,
        length: field.length.unwrap_or(0),
        precision: precision.unwrap_or(0),
        scale: field.scale.unwrap_or(0),
        // The careful reading: a field of which nothing is known may be blank.
        nillable: field.nillable.unwrap_or(true) && !checkbox,
        calculated: field.calculated.unwrap_or(false),
        filterable: field.filterable.unwrap_or(true),
        sortable: field.sortable.unwrap_or(true),
        name_field: field.name_field.unwrap_or(false),
        restricted_picklist: field.restricted_picklist.unwrap_or(false),
        picklist: field.picklist_values.into_iter().filter_map(picklist_value).collect(),
        reference_to: field.reference_to,
        // Such a field gives asterisks in place of its value to most users.
        masked: field.mask.is_some_and(|mask| !mask.trim().is_empty()),
        // A formula that makes a hyperlink or an image gives HTML without being a rich text area.
        html: field.html_formatted == Some(true) || field.extra_type_info.as_deref() == Some("richtextarea"),
        relationship_name: field.relationship_name,
        // A name that is its own compound (`Name` of a contact) is not a part of anything.
        compound_field_name: field.compound_field_name.filter(|compound| *compound != name),
        name,
    })
}

fn picklist_value(value: PicklistDescribe) -> Option<PicklistValue> {
    let text = value.value?;
    Some(PicklistValue {
        label: value.label.unwrap_or_else(|| text.clone()),
        active: value.active.unwrap_or(true),
        value: text,
    })
}

/// A type that is not known is kept by name: only a field that is mapped has to be understood.
fn kind(name: String) -> FieldKind {
    match name.to_ascii_lowercase().as_str() {
        "id" => FieldKind::Id,
        "reference" => FieldKind::Reference,
        "string" => FieldKind::String,
        "textarea" => FieldKind::TextArea,
        "picklist" => FieldKind::Picklist,
        "multipicklist" => FieldKind::MultiPicklist,
        "combobox" => FieldKind::Combobox,
        "boolean" => FieldKind::Boolean,
        "int" => FieldKind::Int,
        "long" => FieldKind::Long,
        "double" => FieldKind::Double,
        "currency" => FieldKind::Currency,
        "percent" => FieldKind::Percent,
        "date" => FieldKind::Date,
        "datetime" => FieldKind::DateTime,
        "time" => FieldKind::Time,
        "email" => FieldKind::Email,
        "phone" => FieldKind::Phone,
        "url" => FieldKind::Url,
        "address" => FieldKind::Address,
        "location" => FieldKind::Location,
        "base64" => FieldKind::Base64,
        "encryptedstring" => FieldKind::EncryptedString,
        "anytype" => FieldKind::AnyType,
        _ => FieldKind::Other(name),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_describe_with_little_in_it() {
        let object = object("Thing__c", b"{}").unwrap();
        assert_eq!((&*object.name, object.custom, object.queryable, object.fields.len()), ("Thing__c", true, true, 0));
        assert!(super::object("Thing__c", b"[]").is_err());
        assert!(super::object("Thing__c", b"{\"fields\":[").is_err());
    }

    #[test]
    fn a_describe_with_the_usual() {
        let body = r#"{"name":"Subscription__c","label":"Subscription","custom":true,"queryable":true,"replicateable":true,
            "undeletable":true,"retrieveable":true,"keyPrefix":"a01","childRelationships":[{"field":"X"}],"fields":[
            {"name":"Id","type":"id","length":18,"nillable":false,"compoundFieldName":null,"aiPredictionField":false},
            {"name":"Status__c","label":"Status","type":"picklist","length":255,"restrictedPicklist":true,"picklistValues":[
                {"active":true,"value":"Active","label":"Aktiv","validFor":null},{"active":false,"value":"Old","label":null},{}]},
            {"name":"Seats__c","type":"int","digits":8,"precision":0},
            {"name":"Amount__c","type":"currency","precision":18,"scale":2,"calculated":true},
            {"name":"Account__c","type":"reference","referenceTo":["Account"],"relationshipName":"Account__r"},
            {"name":"Street__s","type":"textarea","compoundFieldName":"Address__c","filterable":false,"sortable":false},
            {"name":"On__c","type":"boolean","nillable":true},{"name":"Any__c","type":"anyType"},{"name":"Odd__c","type":"complexValue"},
            {"name":"Gone__c","type":"string","deprecatedAndHidden":true}]}"#;
        let object = object("subscription__c", body.as_bytes()).unwrap();
        assert_eq!((&*object.name, object.key_prefix.as_deref()), ("Subscription__c", Some("a01")));
        let field = |name: &str| object.field(name).unwrap();
        assert_eq!(field("Id").kind, FieldKind::Id);
        let values: Vec<_> =
            field("Status__c").picklist.iter().map(|value| (&*value.value, &*value.label, value.active)).collect();
        assert_eq!(values, [("Active", "Aktiv", true), ("Old", "Old", false)]);
        assert_eq!((field("Seats__c").precision, field("Amount__c").precision, field("Amount__c").scale), (8, 18, 2));
        assert_eq!(object.relationship("account__r").unwrap().reference_to, ["Account"]);
        assert_eq!(field("Street__s").compound_field_name.as_deref(), Some("Address__c"));
        assert!(!field("Street__s").filterable && field("Amount__c").calculated);
        assert!(!field("On__c").nillable && field("Seats__c").nillable);
        assert_eq!(field("Any__c").kind, FieldKind::AnyType);
        assert_eq!(field("Odd__c").kind, FieldKind::Other("complexValue".into()));
        assert!(object.field("Gone__c").is_none());
    }
}
