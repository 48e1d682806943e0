//! Routes about associations: single ones, batches, labels, their limits.

use serde::Deserialize;
use serde_json::{Value, json};

use super::answers::{self, Answer, Refusal, time};
use super::body::decode;
use super::pairs::{AssociationType, End};
use super::portal::Portal;
use crate::sandbox::http::{Reply, Request};

/// Most inputs of a batch that makes or removes associations.
/// Documented for `create`; no answer tells the limit of the others, for which the same is taken.
const INPUTS_MAX: usize = 2_000;

/// Most inputs of a batch read.
/// Enforced by HubSpot since February 2025.
const READ_INPUTS_MAX: usize = 1_000;

/// Labels that a pair of objects may have.
/// The documentation says 10; a live portal stopped at 50.
const LABELS_MAX: usize = 50;

/// Most associations that an admin's own limit may allow.
const CUSTOM_LIMIT_MAX: u64 = 10_000;

/// Associations of one page.
const PAGE: usize = 500;

#[derive(Deserialize)]
struct Inputs<T> {
    inputs: Vec<T>,
}

#[derive(Deserialize)]
struct Id {
    id: Value,
    #[serde(default)]
    after: Option<Value>,
}

#[derive(Deserialize)]
struct Pair {
    from: Id,
    to: Id,
    #[serde(default)]
    types: Vec<TypeRef>,
}

#[derive(Deserialize)]
struct FromMany {
    from: Id,
    to: Vec<Id>,
}

#[derive(Deserialize)]
#[serde(rename_all = "camelCase")]
struct TypeRef {
    association_category: String,
    association_type_id: u64,
}

impl Id {
    // HubSpot's examples have numbers where its description has texts: both are taken.
    fn number(&self) -> Option<u64> {
        match &self.id {
            Value::String(text) => text.parse().ok(),
            Value::Number(number) => number.as_u64(),
            _ => None,
        }
    }
}

/// `/crm/associations/VERSION/{from}/{to}/…`
pub fn route(portal: &mut Portal, request: &Request, from: &str, to: &str, rest: &[&str], now: i64) -> Answer {
    let (from, to) = (portal.type_id(from)?, portal.type_id(to)?);
    match (request.method.as_str(), rest) {
        ("POST", ["batch", "create"]) => make(portal, &from, &to, &request.body, now),
        ("POST", ["batch", "associate", "default"]) => default(portal, &from, &to, &request.body, now),
        ("POST", ["batch", "read"]) => read(portal, &from, &to, &request.body, now),
        ("POST", ["batch", "archive"]) => archive(portal, &from, &to, &request.body, now),
        ("POST", ["batch", "labels", "archive"]) => archive_labels(portal, &from, &to, &request.body, now),
        ("GET", ["labels"]) => Ok(labels(portal, &from, &to)),
        ("POST", ["labels"]) => add_label(portal, &from, &to, &request.body),
        ("PUT", ["labels"]) => change_label(portal, &from, &to, &request.body),
        ("DELETE", ["labels", id]) => remove_label(portal, &from, &to, id),
        _ => Err(Refusal::not_found()),
    }
}

/// `/crm/objects/VERSION/{type}/{id}/associations/…`
pub fn single(portal: &mut Portal, request: &Request, type_id: &str, id: &str, rest: &[&str]) -> Answer {
    let from: End = (type_id.to_owned(), id.parse().map_err(|_| Refusal::not_found())?);
    match (request.method.as_str(), rest) {
        ("GET", [to]) => {
            let to = portal.type_id(to)?;
            let limit: usize = request.parameter("limit").and_then(|text| text.parse().ok()).unwrap_or(PAGE);
            if limit > PAGE {
                return Err(Refusal::validation("You can only request at most 500 associations at once."));
            }
            let after = request.parameter("after").and_then(|text| text.parse().ok()).unwrap_or(0);
            let (page, next) = page(portal, &from, &to, after, limit);
            let mut body = json!({"results": page});
            if let Some(next) = next {
                body["paging"] = json!({"next": {"after": next.to_string(), "link": format!("?after={next}")}});
            }
            Ok(answers::json(200, &body))
        }
        ("PUT", ["default", to, to_id]) => {
            let to: End = (portal.type_id(to)?, to_id.parse().map_err(|_| Refusal::not_found())?);
            exist(portal, &from, &to)?;
            plain(portal, &from, &to)?;
            Ok(answers::json(200, &json!({"status": "COMPLETE", "results": both(portal, &from, &to)})))
        }
        ("PUT", [to, to_id]) => {
            let to: End = (portal.type_id(to)?, to_id.parse().map_err(|_| Refusal::not_found())?);
            let types: Vec<TypeRef> = decode(&request.body)?;
            one(portal, &from, &to, &types)?;
            Ok(answers::json(201, &made(portal, &from, &to)))
        }
        ("DELETE", [to, to_id]) => {
            let to: End = (portal.type_id(to)?, to_id.parse().map_err(|_| Refusal::not_found())?);
            // Associations that are not there are removed without an error.
            portal.pairs.remove(&from, &to);
            Ok(Reply::empty(204))
        }
        _ => Err(Refusal::not_found()),
    }
}

/// Associations that a create asks for; one bad target fails the record.
pub fn on_create(portal: &mut Portal, type_id: &str, id: u64, associations: &Value) -> Result<(), Refusal> {
    let from = (type_id.to_owned(), id);
    for wanted in associations.as_array().into_iter().flatten() {
        let to = &wanted["to"]["id"];
        let to_id: Option<u64> = to.as_str().and_then(|id| id.parse().ok()).or_else(|| to.as_u64());
        let types: Vec<TypeRef> = serde_json::from_value(wanted["types"].clone()).unwrap_or_default();
        let number = types.first().map_or(0, |kind| kind.association_type_id);
        // A creation names no object on the other side: only the number of the type tells it.
        let object = portal.types.keys().find(|to| portal.pairs.find(type_id, to, number).is_some()).cloned();
        let (Some(object), Some(to_id)) = (object, to_id) else {
            return Err(Refusal::validation("One or more associations are invalid")
                .with("INVALID_ASSOCIATION_TYPE_ID", &[&number.to_string()]));
        };
        one(portal, &from, &(object, to_id), &types)?;
    }
    Ok(())
}

/// Removes all associations of a record that was never there.
pub fn forget(portal: &mut Portal, type_id: &str, id: u64) {
    let from = (type_id.to_owned(), id);
    for to in portal.types.keys() {
        // Collected first, as removing changes what is gone through.
        let others: Vec<u64> = portal.pairs.of(&from, to, 0).map(|(other, _)| other).collect();
        for other in others {
            portal.pairs.remove(&from, &(to.clone(), other));
        }
    }
}

fn invalid(object: &str, id: u64) -> Refusal {
    Refusal::validation("One or more associations are invalid")
        .with("INVALID_OBJECT_IDS", &[&format!("{}={id} is not valid", object.to_uppercase())])
}

fn exist(portal: &Portal, from: &End, to: &End) -> Result<(), Refusal> {
    for end in [from, to] {
        let object = portal.object(&end.0)?;
        // An archived record counts as one that is not there.
        if object.active(end.1).is_none() {
            return Err(invalid(&object.name, end.1));
        }
    }
    if portal.pairs.types(&from.0, &to.0).is_empty() {
        return Err(Refusal::validation(format!("There is no association between {} and {}", from.0, to.0)));
    }
    Ok(())
}

/// Makes the plain association; labels that stand stay.
fn plain(portal: &mut Portal, from: &End, to: &End) -> Result<(), Refusal> {
    exist(portal, from, to)?;
    if let Some(kind) = portal.pairs.plain(&from.0, &to.0) {
        limit(portal, from, to, kind)?;
    }
    let labels = portal.pairs.pair(from, to).to_vec();
    portal.pairs.set(from, to, &labels);
    Ok(())
}

/// What a batch changed, so that it can be taken back as a whole.
#[derive(Default)]
struct Undo(Vec<(End, End, Vec<u64>)>);

impl Undo {
    fn note(&mut self, portal: &Portal, from: &End, to: &End) {
        self.0.push((from.clone(), to.clone(), portal.pairs.pair(from, to).to_vec()));
    }

    fn take_back(self, portal: &mut Portal) {
        // Backwards: a pair may stand in a batch twice.
        for (from, to, before) in self.0.into_iter().rev() {
            if before.is_empty() {
                portal.pairs.remove(&from, &to);
            } else {
                portal.pairs.set(&from, &to, &before);
            }
        }
    }
}

/// Sets the labels of one pair.
fn one(portal: &mut Portal, from: &End, to: &End, types: &[TypeRef]) -> Result<(), Refusal> {
    exist(portal, from, to)?;
    for kind in types {
        let number = kind.association_type_id;
        let category = &kind.association_category;
        let Some(definition) = portal.pairs.find(&from.0, &to.0, number).filter(|pair| pair.category == *category)
        else {
            return Err(no_type(category, number).with("associationSpec", &[&format!("{category}={number}")]));
        };
        limit(portal, from, to, definition)?;
    }
    // The plain type always stands beside a label.
    if let Some(kind) = portal.pairs.plain(&from.0, &to.0) {
        limit(portal, from, to, kind)?;
    }
    let numbers: Vec<u64> = types.iter().map(|kind| kind.association_type_id).collect();
    portal.pairs.set(from, to, &numbers);
    Ok(())
}

/// Whether both records may have one more association of this type.
fn limit(portal: &Portal, from: &End, to: &End, kind: &AssociationType) -> Result<(), Refusal> {
    one_side(portal, from, to, kind)?;
    match portal.pairs.find(&to.0, &from.0, kind.inverse) {
        Some(back) => one_side(portal, to, from, back),
        None => Ok(()),
    }
}

fn one_side(portal: &Portal, from: &End, to: &End, kind: &AssociationType) -> Result<(), Refusal> {
    let max = kind
        .max
        .map_or(portal.switches.association_limit as u64, |max| max.min(portal.switches.association_limit as u64));
    let standing = u64::from(portal.pairs.count(from, &to.0, kind.type_id));
    // Associations are idempotent: one that stands is made again without counting twice.
    if portal.pairs.pair(from, to).contains(&kind.type_id) || standing < max {
        return Ok(());
    }
    let portal_id = portal.options.portal_id;
    let text = format!(
        "Exceeded association limit of {max} for portalId {portal_id}, fromObjectId {}, associationCategory {}, associationTypeId {}",
        from.1, kind.category, kind.type_id
    );
    Err(Refusal::validation("One or more associations are invalid")
        .with("ASSOCIATION_LIMIT_EXCEEDED", &[&text])
        .with("limit", &[&max.to_string()])
        .with("portalId", &[&portal_id.to_string()])
        .with("fromObjectId", &[&from.1.to_string()])
        .with("associationTypeIdThatExceededLimit", &[&kind.type_id.to_string()])
        .with("associationCategoryThatExceededLimit", &[&kind.category]))
}

fn pairs(from: &str, to: &str, inputs: Vec<Pair>) -> Result<Vec<(End, End, Vec<TypeRef>)>, Refusal> {
    if inputs.len() > INPUTS_MAX {
        return Err(Refusal::validation(format!("The maximum number of inputs supported in a batch is {INPUTS_MAX}.")));
    }
    let pair = |input: Pair| match (input.from.number(), input.to.number()) {
        (Some(one), Some(other)) => Ok(((from.to_owned(), one), (to.to_owned(), other), input.types)),
        _ => Err(Refusal::validation("Object not found.  objectId are usually numeric.").category("OBJECT_NOT_FOUND")),
    };
    inputs.into_iter().map(pair).collect()
}

fn make(portal: &mut Portal, from: &str, to: &str, body: &[u8], now: i64) -> Answer {
    let Inputs { inputs } = decode::<Inputs<Pair>>(body)?;
    let pairs = pairs(from, to, inputs)?;
    let (mut results, mut errors, mut undo) = (Vec::new(), Vec::new(), Undo::default());
    for (from, to, types) in pairs {
        undo.note(portal, &from, &to);
        match one(portal, &from, &to, &types) {
            Ok(()) => results.push(made(portal, &from, &to)),
            // Nobody has seen which of the two real portals do, so that tests pass with either.
            Err(refusal) if portal.switches.association_batch_whole => {
                undo.take_back(portal);
                return Err(refusal);
            }
            Err(refusal) => errors.push(refusal.with("fromObjectId", &[&from.1.to_string()]).entry(None)),
        }
    }
    Ok(finished(201, results, errors, now))
}

fn default(portal: &mut Portal, from: &str, to: &str, body: &[u8], now: i64) -> Answer {
    let Inputs { inputs } = decode::<Inputs<Pair>>(body)?;
    let pairs = pairs(from, to, inputs)?;
    let (mut results, mut errors, mut undo) = (Vec::new(), Vec::new(), Undo::default());
    for (from, to, _) in pairs {
        undo.note(portal, &from, &to);
        match plain(portal, &from, &to) {
            Ok(()) => results.extend(both(portal, &from, &to)),
            Err(refusal) if portal.switches.association_batch_whole => {
                undo.take_back(portal);
                return Err(refusal);
            }
            Err(refusal) => errors.push(refusal.with("fromObjectId", &[&from.1.to_string()]).entry(None)),
        }
    }
    Ok(finished(200, results, errors, now))
}

/// A pair as the answer shows it that made it.
fn made(portal: &Portal, from: &End, to: &End) -> Value {
    let types = portal.pairs.pair(from, to).iter();
    let labels: Vec<&str> =
        types.filter_map(|number| portal.pairs.find(&from.0, &to.0, *number)?.label.as_deref()).collect();
    json!({"fromObjectTypeId": from.0, "fromObjectId": from.1, "toObjectTypeId": to.0, "toObjectId": to.1, "labels": labels})
}

/// The default association answers with both directions.
fn both(portal: &Portal, from: &End, to: &End) -> Vec<Value> {
    let shown = |one: &End, other: &End| {
        let association = portal.pairs.plain(&one.0, &other.0);
        json!({"from": {"id": one.1.to_string()}, "to": {"id": other.1.to_string()},
            "associationSpec": {"associationCategory": association.map(|association| association.category.clone()), "associationTypeId": association.map(|association| association.type_id)}})
    };
    vec![shown(from, to), shown(to, from)]
}

fn finished(good: u16, results: Vec<Value>, errors: Vec<Value>, now: i64) -> Reply {
    let mut body =
        json!({"status": "COMPLETE", "results": results, "startedAt": time(now), "completedAt": time(now + 10)});
    if errors.is_empty() {
        return answers::json(good, &body);
    }
    body["numErrors"] = errors.len().into();
    body["errors"] = errors.into();
    answers::json(207, &body)
}

/// One page of a record's associations, after the record of that id; archived records are not among them.
fn page(portal: &Portal, from: &End, to: &str, after: u64, limit: usize) -> (Vec<Value>, Option<u64>) {
    let there = |id: u64| portal.types.get(to).is_some_and(|object| object.active(id).is_some());
    let mut all = portal.pairs.of(from, to, after).filter(|(id, _)| there(*id));
    let mut last = None;
    let shown = all.by_ref().take(limit).map(|(id, types)| {
        last = Some(id);
        let types = types.iter().filter_map(|number| portal.pairs.find(&from.0, to, *number));
        let types: Vec<Value> =
            types.map(|kind| json!({"category": kind.category, "typeId": kind.type_id, "label": kind.label})).collect();
        json!({"toObjectId": id, "associationTypes": types})
    });
    let shown = shown.collect();
    // A page that is full by chance names no next one.
    let more = all.next().is_some();
    (shown, last.filter(|_| more))
}

fn read(portal: &Portal, from: &str, to: &str, body: &[u8], now: i64) -> Answer {
    let Inputs { inputs } = decode::<Inputs<Id>>(body)?;
    if inputs.len() > READ_INPUTS_MAX {
        return Err(Refusal::validation(format!(
            "The maximum number of inputs supported in a batch is {READ_INPUTS_MAX}."
        )));
    }
    let (mut results, mut errors) = (Vec::new(), Vec::new());
    for input in inputs {
        let end = (from.to_owned(), input.number().unwrap_or_default());
        let after = input.after.as_ref().and_then(|after| after.as_str()?.parse().ok()).unwrap_or(0);
        let standing = portal.object(from)?.active(end.1).is_some();
        let (found, next) = if standing { page(portal, &end, to, after, PAGE) } else { (Vec::new(), None) };
        // A record without associations is an error entry of its own, though it means no more than nothing.
        if found.is_empty() {
            let id = end.1.to_string();
            errors.push(json!({"status": "error", "category": "OBJECT_NOT_FOUND",
                "subCategory": "crm.associations.NO_ASSOCIATIONS_FOUND",
                "message": format!("No {to} is associated with {from} {id}."),
                "context": {"fromObjectId": [id], "fromObjectType": [from], "toObjectType": [to]}}));
            continue;
        }
        let mut result = json!({"from": {"id": end.1.to_string()}, "to": found});
        if let Some(next) = next {
            result["paging"] = json!({"next": {"after": next.to_string(), "link": format!("?after={next}")}});
        }
        results.push(result);
    }
    Ok(finished(200, results, errors, now))
}

fn archive(portal: &mut Portal, from: &str, to: &str, body: &[u8], now: i64) -> Answer {
    let Inputs { inputs } = decode::<Inputs<FromMany>>(body)?;
    for input in inputs {
        let one = (from.to_owned(), input.from.number().unwrap_or_default());
        for other in input.to {
            portal.pairs.remove(&one, &(to.to_owned(), other.number().unwrap_or_default()));
        }
    }
    Ok(finished(200, Vec::new(), Vec::new(), now))
}

fn archive_labels(portal: &mut Portal, from: &str, to: &str, body: &[u8], now: i64) -> Answer {
    let Inputs { inputs } = decode::<Inputs<Pair>>(body)?;
    for (from, to, types) in pairs(from, to, inputs)? {
        let mut standing = portal.pairs.pair(&from, &to).to_vec();
        if standing.is_empty() {
            continue;
        }
        let removed: Vec<u64> = types.iter().map(|kind| kind.association_type_id).collect();
        let plain = portal.pairs.plain(&from.0, &to.0).map(|association| association.type_id);
        // Without the plain type nothing of the pair stands.
        if plain.is_some_and(|plain| removed.contains(&plain)) {
            portal.pairs.remove(&from, &to);
            continue;
        }
        standing.retain(|number| !removed.contains(number));
        portal.pairs.set(&from, &to, &standing);
    }
    Ok(finished(200, Vec::new(), Vec::new(), now))
}

fn labels(portal: &Portal, from: &str, to: &str) -> Reply {
    let shown = portal.pairs.types(from, to).iter();
    let results: Vec<Value> =
        shown.map(|shown_item| json!({"category": shown_item.category, "typeId": shown_item.type_id, "label": shown_item.label})).collect();
    answers::json(200, &json!({"results": results}))
}

/// A body that makes or changes a label.
#[derive(Deserialize)]
#[serde(rename_all = "camelCase")]
struct Label {
    label: String,
    #[serde(default)]
    name: Option<String>,
    #[serde(default)]
    association_type_id: Option<u64>,
    #[serde(default)]
    inverse_label: Option<String>,
}

/// Adds a label between two objects; returns its numbers in both directions.
pub fn add_label(portal: &mut Portal, from: &str, to: &str, body: &[u8]) -> Answer {
    let body: Label = decode(body)?;
    let Some(name) = body.name else {
        let message = "Invalid input JSON on line 1, column 2. Some required fields were not set: [name]";
        return Err(Refusal::plain(400, message));
    };
    // Documented: no hyphen, and no digit at the start.
    if name.is_empty() || name.starts_with(|letter: char| letter.is_ascii_digit()) || name.contains('-') {
        return Err(Refusal::validation(format!("Invalid association name: {name}")));
    }
    // A label presupposes that the two objects can be associated at all.
    portal.pairs.define_plain(from, to, None);
    let standing = portal.pairs.types(from, to);
    if standing.iter().any(|kind| {
        kind.label.as_deref() == Some(&body.label) || kind.name.as_deref() == Some(&name) && kind.label.is_some()
    }) {
        let message = format!("An association label named '{}' already exists.", body.label);
        return Err(Refusal::plain(409, message).category("OBJECT_ALREADY_EXISTS"));
    }
    if standing.iter().filter(|kind| kind.label.is_some()).count() >= LABELS_MAX {
        // The odd status is the real one.
        return Err(Refusal {
            status: 437,
            ..Refusal::validation("The maximum number of association labels has been reached")
        });
    }
    let (there, back) = portal.pairs.define_label(from, to, &name, &body.label, body.inverse_label.as_deref());
    let mut results = vec![json!({"category": "USER_DEFINED", "typeId": there, "label": body.label})];
    if let Some(inverse) = body.inverse_label {
        results.push(json!({"category": "USER_DEFINED", "typeId": back, "label": inverse}));
    }
    Ok(answers::json(200, &json!({"results": results})))
}

/// Gives a label another text.
fn change_label(portal: &mut Portal, from: &str, to: &str, body: &[u8]) -> Answer {
    let body: Label = decode(body)?;
    let Some(number) = body.association_type_id else {
        let message = "Invalid input JSON on line 1, column 2. Some required fields were not set: [associationTypeId]";
        return Err(Refusal::plain(400, message));
    };
    let renamed = portal.pairs.rename(from, to, number, &body.label, body.inverse_label.as_deref());
    if renamed { Ok(Reply::empty(204)) } else { Err(no_type("USER_DEFINED", number)) }
}

/// Removes a label that no pair has.
fn remove_label(portal: &mut Portal, from: &str, to: &str, number: &str) -> Answer {
    let number = number.parse().map_err(|_| Refusal::not_found())?;
    let pair =
        portal.pairs.find(from, to, number).filter(|pair| pair.label.is_some() && pair.category == "USER_DEFINED");
    pair.ok_or_else(|| no_type("USER_DEFINED", number))?;
    if portal.pairs.is_used(from, to, number) {
        return Err(Refusal::validation(format!("The association label {number} is in use and cannot be deleted")));
    }
    portal.pairs.undefine(from, to, number);
    Ok(Reply::empty(204))
}

/// `/crm/associations/VERSION/definitions/configurations/…`: how many associations of a type a record may have.
pub fn configurations(portal: &mut Portal, request: &Request, rest: &[&str], now: i64) -> Answer {
    match (request.method.as_str(), rest) {
        ("GET", ["all"]) => Ok(answers::json(200, &json!({"results": limited(portal, |_, _| true)}))),
        ("GET", [from, to]) => {
            let (from, to) = (portal.type_id(from)?, portal.type_id(to)?);
            let results = limited(portal, |known, other| known == from && other == to);
            Ok(answers::json(200, &json!({"results": results})))
        }
        ("POST", [from, to, "batch", what @ ("create" | "update" | "purge")]) => {
            let (from, to) = (portal.type_id(from)?, portal.type_id(to)?);
            configure(portal, &from, &to, &request.body, *what == "purge", now)
        }
        _ => Err(Refusal::not_found()),
    }
}

fn limited(portal: &Portal, asked: impl Fn(&str, &str) -> bool) -> Vec<Value> {
    let pairs = portal.pairs.defined().filter(|(from, to, _)| asked(from, to));
    let types = pairs.flat_map(|(from, to, types)| types.iter().map(move |kind| (from, to, kind)));
    let shown = types.filter_map(|(from, to, kind)| {
        let max = kind.max?;
        Some(json!({"category": kind.category, "typeId": kind.type_id, "label": kind.label, "fromObjectTypeId": from,
            "toObjectTypeId": to, "userEnforcedMaxToObjectIds": max}))
    });
    shown.collect()
}

fn configure(portal: &mut Portal, from: &str, to: &str, body: &[u8], purge: bool, now: i64) -> Answer {
    #[derive(Deserialize)]
    #[serde(rename_all = "camelCase")]
    struct Limit {
        category: String,
        type_id: u64,
        #[serde(default)]
        max_to_object_ids: Option<u64>,
    }
    let Inputs { inputs } = decode::<Inputs<Limit>>(body)?;
    // All are looked at before the first is set.
    for input in &inputs {
        portal
            .pairs
            .find(from, to, input.type_id)
            .filter(|pair| pair.category == input.category)
            .ok_or_else(|| no_type(&input.category, input.type_id))?;
        if !purge && !input.max_to_object_ids.is_some_and(|max| (1..=CUSTOM_LIMIT_MAX).contains(&max)) {
            return Err(Refusal::validation(format!("maxToObjectIds must be between 1 and {CUSTOM_LIMIT_MAX}")));
        }
    }
    let mut results = Vec::new();
    for input in inputs {
        let max = input.max_to_object_ids.filter(|_| !purge);
        portal.pairs.limit(from, to, input.type_id, max);
        results.push(json!({"category": input.category, "typeId": input.type_id, "fromObjectTypeId": from,
            "toObjectTypeId": to, "userEnforcedMaxToObjectIds": max}));
    }
    Ok(finished(200, if purge { Vec::new() } else { results }, Vec::new(), now))
}

fn no_type(category: &str, number: u64) -> Refusal {
    Refusal::validation("One or more associations are invalid").with(
        "INVALID_ASSOCIATION_TYPE_ID",
        &[&format!("{category}={number} is not a valid association definition id")],
    )
}
