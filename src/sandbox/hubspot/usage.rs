//! What an account has used of its limits: object types, records, properties, associations and their labels.

use serde_json::{Value, json};

use super::answers::{self, Answer, Refusal};
use super::portal::{ObjectType, Portal};
use crate::sandbox::http::Request;

/// Custom objects of an account.
const CUSTOM_OBJECTS_MAX: usize = 10;

/// Records of a standard object.
const STANDARD_RECORDS_MAX: usize = 15_000_000;

/// Records of all custom objects together.
const CUSTOM_RECORDS_MAX: usize = 1_500_000;

/// Custom properties of one object, and of all together.
const PROPERTIES_MAX: usize = 1_000;
const ALL_PROPERTIES_MAX: usize = 10_000;

/// Calculated properties of an account, and pipelines of an object that has some.
const CALCULATED_MAX: usize = 200;
const PIPELINES_MAX: usize = 100;

/// Labels of a pair of objects.
const LABELS_MAX: usize = 50;

/// Records that are listed as samples.
const SAMPLES: usize = 10;

/// A limit counts as near from four fifths on.
const NEAR: f64 = 0.8;

/// `/crm/limits/VERSION/…`
pub fn route(portal: &Portal, request: &Request, rest: &[&str]) -> Answer {
    let body = match (request.method.as_str(), rest) {
        ("GET", ["custom-object-types"]) => used(CUSTOM_OBJECTS_MAX, custom(portal).count()),
        ("GET", ["records"]) => records(portal),
        ("GET", ["custom-properties"]) => properties(portal),
        ("GET", ["calculated-properties"]) => calculated(portal),
        ("GET", ["pipelines"]) => pipelines(portal),
        ("GET", ["associations", "labels"]) => labels(portal, request)?,
        ("GET", ["associations", "records", "from"]) => json!({"results": near_from(portal)}),
        ("GET", ["associations", "records", from, "to"]) => json!({"results": near_to(portal, &portal.type_id(from)?)}),
        ("GET", ["associations", "records", from, to]) => near(portal, &portal.type_id(from)?, &portal.type_id(to)?),
        _ => return Err(Refusal::not_found()),
    };
    Ok(answers::json(200, &body))
}

fn active(portal: &Portal) -> impl Iterator<Item = &ObjectType> {
    portal.types.values().filter(|value| !value.archived)
}

fn custom(portal: &Portal) -> impl Iterator<Item = &ObjectType> {
    active(portal).filter(|object| object.id.starts_with("2-"))
}

fn percentage(limit: usize, usage: usize) -> f64 {
    usage as f64 * 100.0 / limit as f64
}

fn used(limit: usize, usage: usize) -> Value {
    json!({"limit": limit, "usage": usage, "percentage": percentage(limit, usage)})
}

/// An object's names, with the members that an answer adds.
fn named(object: &ObjectType, members: &Value) -> Value {
    let mut named = json!({"objectTypeId": object.id, "singularLabel": object.schema["labels"]["singular"],
        "pluralLabel": object.schema["labels"]["plural"]});
    for (key, value) in members.as_object().into_iter().flatten() {
        named[key.as_str()] = value.clone();
    }
    named
}

fn overall(limit: usize, usage: usize, by_type: Vec<Value>) -> Value {
    json!({"overallLimit": limit, "overallUsage": usage, "overallPercentage": percentage(limit, usage), "byObjectType": by_type})
}

fn records(portal: &Portal) -> Value {
    let standard = active(portal).filter(|object| object.id.starts_with("0-"));
    let standard: Vec<Value> =
        standard.map(|object| named(object, &used(STANDARD_RECORDS_MAX, object.store.active_count()))).collect();
    let all = custom(portal).map(|object| object.store.active_count()).sum();
    let by_type = custom(portal).map(|object| named(object, &json!({"usage": object.store.active_count()}))).collect();
    json!({"hubspotDefinedObjectTypes": standard, "customObjectTypes": overall(CUSTOM_RECORDS_MAX, all, by_type)})
}

fn own_properties(object: &ObjectType) -> usize {
    object.properties.active().filter(|(_, property)| property["hubspotDefined"] != true).count()
}

fn properties(portal: &Portal) -> Value {
    let all = active(portal).map(own_properties).sum();
    let by_type = active(portal).map(|object| named(object, &used(PROPERTIES_MAX, own_properties(object)))).collect();
    overall(ALL_PROPERTIES_MAX, all, by_type)
}

fn calculated(portal: &Portal) -> Value {
    let count = |object: &ObjectType| {
        let object = object.properties.active().map(|(_, property)| property);
        object.filter(|property| property["calculated"] == true && property["hubspotDefined"] != true).count()
    };
    let by_type = active(portal).map(|object| named(object, &json!({"usage": count(object)}))).collect();
    overall(CALCULATED_MAX, active(portal).map(count).sum(), by_type)
}

fn pipelines(portal: &Portal) -> Value {
    // Deals and tickets have one pipeline each; the sandbox makes no others.
    let with = active(portal).filter(|object| matches!(object.id.as_str(), "0-3" | "0-5"));
    json!({"results": with.map(|result| named(result, &used(PIPELINES_MAX, 1))).collect::<Vec<_>>()})
}

fn labels(portal: &Portal, request: &Request) -> Result<Value, Refusal> {
    let asked = |name: &str| request.parameter(name).map(|text| portal.type_id(text)).transpose();
    let (from, to) = (asked("fromObjectTypeId")?, asked("toObjectTypeId")?);
    let fits = |known: &str, wanted: &Option<String>| wanted.as_ref().is_none_or(|wanted| wanted == known);
    let pairs = portal.pairs.defined().filter(|(one, other, _)| fits(one, &from) && fits(other, &to));
    let shown = pairs.map(|(from, to, types)| {
        let labels: Vec<&str> = types.iter().filter_map(|kind| kind.label.as_deref()).collect();
        json!({"fromObjectType": from, "toObjectType": to, "allLabels": labels, "limit": LABELS_MAX, "usage": labels.len(),
            "percentage": percentage(LABELS_MAX, labels.len())})
    });
    Ok(json!({"results": shown.collect::<Vec<_>>()}))
}

/// Records that have as many associations with an object as they may, or nearly so.
fn near(portal: &Portal, from: &str, to: &str) -> Value {
    let plain = portal.pairs.plain(from, to);
    let standing = portal.switches.association_limit as u64;
    let limit = plain.and_then(|association| association.max).map_or(standing, |max| max.min(standing));
    let threshold = (limit as f64 * NEAR).ceil() as u64;
    let full = plain
        // At least one: with a limit of one every record without associations would count as near.
        .map(|association| portal.pairs.at_least(from, to, association.type_id, threshold.max(1)))
        .unwrap_or_default();
    let (at, close): (Vec<_>, Vec<_>) = full.into_iter().partition(|(_, count)| u64::from(*count) >= limit);
    let samples = |records: &[(u64, u32)]| {
        let shown = records.iter().take(SAMPLES).map(|(id, count)| json!({"objectId": id.to_string(), "usage": count}));
        shown.collect::<Vec<_>>()
    };
    json!({"limit": limit, "totalRecordsAtLimit": at.len(), "totalRecordsNearLimit": close.len(),
        "atLimitFromRecordSamples": samples(&at), "nearLimitFromRecordSamples": samples(&close)})
}

fn near_to(portal: &Portal, from: &str) -> Vec<Value> {
    let targets = portal.pairs.defined().filter(|(pair, ..)| *pair == from);
    let shown = targets.map(|(_, to, _)| {
        let near = near(portal, from, to);
        json!({"toObjectTypeId": to, "limit": near["limit"], "totalRecordsAtLimit": near["totalRecordsAtLimit"],
            "totalRecordsNearLimit": near["totalRecordsNearLimit"]})
    });
    let any = |shown: &Value| shown["totalRecordsAtLimit"] != 0 || shown["totalRecordsNearLimit"] != 0;
    shown.filter(any).collect()
}

fn near_from(portal: &Portal) -> Vec<Value> {
    let with = active(portal).filter_map(|object| {
        let near = near_to(portal, &object.id);
        let sum = |key: &str| near.iter().filter_map(|object| object[key].as_u64()).sum::<u64>();
        let members = json!({"totalRecordsAtLimit": sum("totalRecordsAtLimit"), "totalRecordsNearLimit": sum("totalRecordsNearLimit")});
        (!near.is_empty()).then(|| named(object, &members))
    });
    with.collect()
}
