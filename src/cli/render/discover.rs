//! Objects and fields of both systems, for people.

use super::safe::safe;
use super::table::{count, table};
use crate::model::object::{SourceField, TargetProperty};
use crate::ops::discover::{Described, Found, Objects, property_remark, remark};

/// All objects: what syncs already and what can, the most useful first. Those that only accompany others are counted,
/// unless `companions` are wanted.
pub fn objects(all: &Objects, companions: bool) -> String {
    let mut text = String::new();
    for (system, connections) in [("Salesforce", &all.salesforce), ("HubSpot", &all.hubspot)] {
        for (connection, found) in connections {
            text.push_str(&format!("{system} (connection `{}`)\n", safe(connection)));
            let mut rows: Vec<&Found> = found.iter().filter(|found| companions || !found.companion).collect();
            let left_out = (found.len() - rows.len()) as u64;
            let use_of = |object: &Found| match (object.can_sync, &object.why) {
                (true, _) if object.object.custom => 0,
                (true, None) => 1,
                (true, Some(_)) => 2,
                (false, _) => 3,
            };
            // What syncs already comes first, then custom objects, which are what people come for.
            rows.sort_by_key(|row| (row.pipelines.is_empty(), use_of(row), row.object.name.clone()));
            let rows: Vec<Vec<String>> = rows.into_iter().map(row).collect();
            text.push_str(&table(&["object", "label", "kind", "can sync", "pipelines"], &rows));
            if left_out > 0 {
                let objects = count(left_out, "object that accompanies another", "objects that accompany others");
                text.push_str(&format!("{objects} (feeds, histories, shares) left out: `--all` lists them\n"));
            }
            text.push('\n');
        }
    }
    text.push_str(
        "`syncline discover OBJECT` shows fields; `syncline new NAME --source O --target T` writes a pipeline\n",
    );
    text
}

fn row(object: &Found) -> Vec<String> {
    let can = verdict(object.can_sync, object.why.as_deref());
    let kind = if object.object.custom { "custom" } else { "standard" };
    vec![object.object.name.clone(), object.object.label.clone(), kind.to_owned(), can, object.pipelines.join(", ")]
}

/// Whether an object can sync, in words.
fn verdict(can_sync: bool, why: Option<&str>) -> String {
    match (can_sync, why) {
        (true, None) => "yes".to_owned(),
        (true, Some(condition)) => format!("yes, {condition}"),
        (false, why) => format!("no: {}", why.unwrap_or_default()),
    }
}

/// One object with its fields or properties.
pub fn object(found: &Described) -> String {
    let mut text = String::new();
    if let Some(object) = &found.salesforce {
        let can = verdict(found.can_sync.unwrap_or_default(), found.why.as_deref());
        let (name, label) = (safe(&object.name), safe(&object.label));
        text.push_str(&format!("{name} “{label}” in Salesforce; can sync: {}\n", safe(&can)));
        let mut fields: Vec<&SourceField> = object.fields.iter().collect();
        // A describe has them in the order of their making.
        fields.sort_by_key(|field| field.name.to_ascii_lowercase());
        let rows: Vec<Vec<String>> = fields
            .into_iter()
            .map(|field| {
                let values: Vec<&str> =
                    field.picklist.iter().filter(|value| value.active).map(|value| &*value.value).collect();
                vec![field.name.clone(), word(&field.kind), field.label.clone(), notes(remark(field), &values)]
            })
            .collect();
        text.push_str(&table(&["field", "type", "label", ""], &rows));
    }
    if let Some(object) = &found.hubspot {
        let gap = if text.is_empty() { "" } else { "\n" };
        let (name, label, id) = (safe(&object.name), safe(&object.label), safe(&object.object_type_id));
        text.push_str(&format!("{gap}{name} “{label}” in HubSpot ({id})\n"));
        let rows: Vec<Vec<String>> = object
            .properties
            .values()
            .map(|property: &TargetProperty| {
                let options: Vec<&str> = property.options.iter().map(|option| &*option.value).collect();
                let remark = property_remark(property, object);
                vec![property.name.clone(), word(&property.kind), property.label.clone(), notes(remark, &options)]
            })
            .collect();
        text.push_str(&table(&["property", "type", "label", ""], &rows));
    }
    text
}

/// Most values of a list that are shown.
/// Enough to see what kind of list it is; the catalog has them all.
const VALUES_MAX: usize = 8;

fn notes(remark: Option<String>, values: &[&str]) -> String {
    let more = values.len().saturating_sub(VALUES_MAX);
    let mut listed = values.iter().take(VALUES_MAX).copied().collect::<Vec<_>>().join(" | ");
    if more > 0 {
        listed.push_str(&format!(" | … {more} more"));
    }
    remark.into_iter().chain(Some(listed).filter(|text| !text.is_empty())).collect::<Vec<_>>().join("; ")
}

fn word<T: serde::Serialize>(kind: &T) -> String {
    // The word of the catalog's files, by which people will meet the type again.
    serde_json::to_value(kind).ok().and_then(|kind| kind.as_str().map(str::to_owned)).unwrap_or_default()
}
