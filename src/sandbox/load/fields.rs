//! Field files of a project, in the form of a describe.

use std::collections::{BTreeMap, HashMap};

use serde_json::{Value, json};

use super::source::LoadError;
use super::xml::Element;

/// Most active values of a picklist that Salesforce takes.
const VALUES_MAX: usize = 1_000;

/// Values of global picklists, by name.
pub type ValueSets = HashMap<String, Vec<Value>>;

/// Types of fields in metadata, and what they are in a describe.
const TYPES: [(&str, &str); 27] = [
    ("AutoNumber", "string"),
    ("Checkbox", "boolean"),
    ("Currency", "currency"),
    ("Date", "date"),
    ("DateTime", "datetime"),
    ("Email", "email"),
    ("EncryptedText", "encryptedstring"),
    ("ExternalLookup", "reference"),
    ("Hierarchy", "reference"),
    ("Html", "textarea"),
    ("IndirectLookup", "reference"),
    ("Location", "location"),
    ("LongTextArea", "textarea"),
    ("Lookup", "reference"),
    ("MasterDetail", "reference"),
    ("MetadataRelationship", "reference"),
    ("MultiselectPicklist", "multipicklist"),
    ("Number", "double"),
    ("Percent", "percent"),
    ("Phone", "phone"),
    ("Picklist", "picklist"),
    ("Summary", "double"),
    ("Text", "string"),
    ("TextArea", "textarea"),
    ("Time", "time"),
    ("Url", "url"),
    ("File", "base64"),
];

/// The fields that a file describes: one, or for a location the compound with its parts. None where a file only changes a
/// standard field without saying what it is.
pub fn read(root: Element<'_, '_>, sets: &ValueSets) -> Result<Vec<Value>, LoadError> {
    let name = root.text("fullName").ok_or_else(|| root.error("<fullName> is missing: the name of the field"))?;
    let Some(kind) = root.child("type") else {
        let custom = name.ends_with("__c");
        return if custom { Err(root.error(format!("`{name}` has no <type>"))) } else { Ok(Vec::new()) };
    };
    let word = kind.own_text().unwrap_or_default();
    let Some((_, described)) = TYPES.iter().find(|(known, _)| *known == word) else {
        let known = TYPES.map(|(known, _)| known).join(", ");
        return Err(kind.error(format!("`{name}` has the unknown type `{word}`; known are {known}")));
    };
    let mut field = json!({"name": name, "type": described, "label": root.text("label").unwrap_or(name),
        "custom": name.ends_with("__c"), "inlineHelpText": root.text("inlineHelpText")});
    if root.flag("required") {
        field["nillable"] = false.into();
    }
    for (from, to) in [("unique", "unique"), ("externalId", "externalId"), ("caseSensitive", "caseSensitive")] {
        field[to] = root.flag(from).into();
    }
    // An external id is one by which records can be looked up.
    field["idLookup"] = root.flag("externalId").into();
    for (from, to) in [("length", "length"), ("precision", "precision"), ("scale", "scale")] {
        if let Some(number) = root.number(from)? {
            field[to] = number.into();
        }
    }
    if let Some(formula) = root.text("formula") {
        field["calculated"] = true.into();
        field["calculatedFormula"] = formula.into();
    }
    by_type(root, word, &mut field, sets)?;
    Ok(if word == "Location" { location(&field) } else { vec![field] })
}

/// What a type adds.
fn by_type(root: Element<'_, '_>, word: &str, field: &mut Value, sets: &ValueSets) -> Result<(), LoadError> {
    match word {
        "AutoNumber" => {
            field["autoNumber"] = true.into();
            field["displayFormat"] = root.text("displayFormat").into();
        }
        "Checkbox" => field["defaultValue"] = root.flag("defaultValue").into(),
        "Html" => field["htmlFormatted"] = true.into(),
        "Summary" => {
            field["calculated"] = true.into();
            // The count of details has no digits after the point.
            if root.text("summaryOperation") == Some("count") {
                field["scale"] = 0.into();
            }
        }
        "Lookup" | "MasterDetail" | "ExternalLookup" | "IndirectLookup" | "Hierarchy" | "MetadataRelationship" => {
            lookup(root, word, field);
        }
        "Picklist" | "MultiselectPicklist" => picklist(root, field, sets)?,
        _ => {}
    }
    Ok(())
}

fn lookup(root: Element<'_, '_>, word: &str, field: &mut Value) {
    let name = field["name"].as_str().unwrap_or_default().to_owned();
    let mut targets: Vec<&str> = root.children("referenceTo").filter_map(Element::own_text).collect();
    // A hierarchy exists on users only, and its file names no target.
    if targets.is_empty() && word == "Hierarchy" {
        targets.push("User");
    }
    field["referenceTo"] = json!(targets);
    let path = match name.strip_suffix("__c") {
        Some(stem) => format!("{stem}__r"),
        None => name.strip_suffix("Id").unwrap_or(&name).to_owned(),
    };
    field["relationshipName"] = path.into();
    field["childRelationshipName"] = root.text("relationshipName").into();
    if word == "MasterDetail" {
        field["cascadeDelete"] = true.into();
        // A detail cannot be without its master.
        field["nillable"] = false.into();
        field["relationshipOrder"] = root.text("relationshipOrder").and_then(|order| order.parse::<u64>().ok()).into();
        field["writeRequiresMasterRead"] = root.flag("writeRequiresMasterRead").into();
        field["updateable"] = root.flag("reparentableMasterDetail").into();
    }
}

fn picklist(root: Element<'_, '_>, field: &mut Value, sets: &ValueSets) -> Result<(), LoadError> {
    let name = field["name"].as_str().unwrap_or_default().to_owned();
    let Some(set) = root.child("valueSet") else {
        // Values of standard picklists stand in files of their own, which a project need not hold.
        if name.ends_with("__c") {
            return Err(root.error(format!("the picklist `{name}` has no <valueSet>")));
        }
        return Ok(());
    };
    field["restrictedPicklist"] = set.flag("restricted").into();
    if let Some(controller) = set.text("controllingField") {
        field["dependentPicklist"] = true.into();
        field["controllerName"] = controller.into();
    }
    field["picklistValues"] = match (set.child("valueSetDefinition"), set.child("valueSetName")) {
        (Some(definition), _) => values(definition)?.into(),
        (None, Some(named)) => {
            let global = named.own_text().unwrap_or_default();
            let found = sets.get(global).ok_or_else(|| {
                named.error(format!(
                    "`{name}` takes the values of `{global}`, and the project has no such globalValueSet"
                ))
            })?;
            // Global picklists are always restricted.
            field["restrictedPicklist"] = true.into();
            found.clone().into()
        }
        (None, None) => return Err(set.error(format!("the <valueSet> of `{name}` holds no values"))),
    };
    Ok(())
}

/// The values in a definition: `<value>` of a field, `<customValue>` of a global set, `<standardValue>` of a standard one.
pub fn values(definition: Element<'_, '_>) -> Result<Vec<Value>, LoadError> {
    let mut seen = BTreeMap::new();
    let mut values = Vec::new();
    let mut active = 0;
    for value in ["value", "customValue", "standardValue"].into_iter().flat_map(|name| definition.children(name)) {
        let name = value.text("fullName").ok_or_else(|| value.error("a value has no <fullName>"))?;
        // Salesforce tells values of a picklist apart without letter case.
        if seen.insert(name.to_lowercase(), ()).is_some() {
            return Err(value.error(format!("the value `{name}` is listed twice")));
        }
        let is_active = value.text("isActive") != Some("false");
        active += usize::from(is_active);
        values.push(json!({"value": name, "label": value.text("label").unwrap_or(name), "active": is_active,
            "defaultValue": value.flag("default"), "validFor": null}));
    }
    if active > VALUES_MAX {
        let message = format!("the picklist has {active} active values, and Salesforce takes at most {VALUES_MAX}");
        return Err(definition.error(message));
    }
    Ok(values)
}

/// A location is a compound with two numbers.
fn location(field: &Value) -> Vec<Value> {
    let name = field["name"].as_str().unwrap_or_default();
    let stem = name.strip_suffix("__c").unwrap_or(name);
    let part = |end: &str, label: &str| {
        json!({"name": format!("{stem}__{end}__s"), "type": "double", "label": format!("{} ({label})", field["label"].as_str().unwrap_or(name)),
            "custom": true, "precision": 18, "scale": 15, "compoundFieldName": name})
    };
    let mut compound = field.clone();
    compound["createable"] = false.into();
    compound["updateable"] = false.into();
    if let Some(members) = compound.as_object_mut() {
        members.remove("scale");
    }
    vec![compound, part("Latitude", "Latitude"), part("Longitude", "Longitude")]
}
