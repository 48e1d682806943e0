//! Routes about links: single ones, batches, labels, limits.

use serde::Deserialize;
use serde_json::{Value, json};

use super::answers::{self, Answer, Refusal, time};
use super::body::decode;
use super::links::{End, LinkType};
use super::portal::Portal;
use crate::sandbox::http::{Reply, Request};

/// Most inputs of a batch that makes or removes links.
const INPUTS_MAX: usize = 2_000;

/// Most inputs of a batch read.
const READ_INPUTS_MAX: usize = 1_000;

/// Links of one page.
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
        ("DELETE", ["labels", id]) => {
            portal.links.undefine(&from, &to, id.parse().map_err(|_| Refusal::not_found())?);
            Ok(Reply::empty(204))
        }
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
            let start = request.parameter("after").and_then(|text| text.parse().ok()).unwrap_or(0);
            let (page, next) = page(portal, &from, &to, start, limit);
            let mut body = json!({"results": page});
            if let Some(next) = next {
                body["paging"] = json!({"next": {"after": next.to_string(), "link": ""}});
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
            let body = json!({"fromObjectTypeId": from.0, "fromObjectId": from.1, "toObjectTypeId": to.0, "toObjectId": to.1, "labels": []});
            Ok(answers::json(201, &body))
        }
        ("DELETE", [to, to_id]) => {
            let to: End = (portal.type_id(to)?, to_id.parse().map_err(|_| Refusal::not_found())?);
            portal.links.remove(&from, &to);
            Ok(Reply::empty(204))
        }
        _ => Err(Refusal::not_found()),
    }
}

/// Links that a create asks for; one bad target fails the record.
pub fn on_create(portal: &mut Portal, type_id: &str, id: u64, associations: &Value) -> Result<(), Refusal> {
    let from = (type_id.to_owned(), id);
    for link in associations.as_array().into_iter().flatten() {
        let to_id: Option<u64> =
            link["to"]["id"].as_str().and_then(|id| id.parse().ok()).or_else(|| link["to"]["id"].as_u64());
        let types: Vec<TypeRef> = serde_json::from_value(link["types"].clone()).unwrap_or_default();
        let number = types.first().map_or(0, |kind| kind.association_type_id);
        let object = portal.types.keys().find(|to| portal.links.find(type_id, to, number).is_some()).cloned();
        let (Some(object), Some(to_id)) = (object, to_id) else {
            return Err(Refusal::validation("One or more associations are invalid")
                .with("INVALID_ASSOCIATION_TYPE_ID", &[&number.to_string()]));
        };
        one(portal, &from, &(object, to_id), &types)?;
    }
    Ok(())
}

fn invalid(object: &str, id: u64) -> Refusal {
    Refusal::validation("One or more associations are invalid")
        .with("INVALID_OBJECT_IDS", &[&format!("{}={id} is not valid", object.to_uppercase())])
}

fn exist(portal: &Portal, from: &End, to: &End) -> Result<(), Refusal> {
    for end in [from, to] {
        let object = portal.object(&end.0)?;
        if object.active(end.1).is_none() {
            return Err(invalid(&object.name, end.1));
        }
    }
    if portal.links.types(&from.0, &to.0).is_empty() {
        return Err(Refusal::validation(format!("There is no association between {} and {}", from.0, to.0)));
    }
    Ok(())
}

/// Makes the plain link; labels that stand stay.
fn plain(portal: &mut Portal, from: &End, to: &End) -> Result<(), Refusal> {
    exist(portal, from, to)?;
    if let Some(kind) = portal.links.types(&from.0, &to.0).iter().find(|kind| kind.label.is_none()) {
        limit(portal, from, to, kind)?;
    }
    let labels = portal.links.pair(from, to);
    portal.links.set(from, to, &labels);
    Ok(())
}

/// What a batch changed, so that it can be taken back as a whole.
#[derive(Default)]
struct Undo(Vec<(End, End, Vec<u64>)>);

impl Undo {
    fn note(&mut self, portal: &Portal, from: &End, to: &End) {
        self.0.push((from.clone(), to.clone(), portal.links.pair(from, to)));
    }

    fn take_back(self, portal: &mut Portal) {
        for (from, to, before) in self.0.into_iter().rev() {
            if before.is_empty() {
                portal.links.remove(&from, &to);
            } else {
                portal.links.set(&from, &to, &before);
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
        let Some(own) = portal.links.find(&from.0, &to.0, number).filter(|own| own.category == *category) else {
            return Err(Refusal::validation("One or more associations are invalid")
                .with(
                    "INVALID_ASSOCIATION_TYPE_ID",
                    &[&format!("{category}={number} is not a valid association definition id")],
                )
                .with("associationSpec", &[&format!("{category}={number}")]));
        };
        limit(portal, from, to, own)?;
    }
    // The plain type always stands beside a label.
    if let Some(kind) = portal.links.types(&from.0, &to.0).iter().find(|kind| kind.label.is_none()) {
        limit(portal, from, to, kind)?;
    }
    let numbers: Vec<u64> = types.iter().map(|kind| kind.association_type_id).collect();
    portal.links.set(from, to, &numbers);
    Ok(())
}

/// Whether both records may have one more link of this type.
fn limit(portal: &Portal, from: &End, to: &End, kind: &LinkType) -> Result<(), Refusal> {
    one_side(portal, from, to, kind)?;
    match portal.links.find(&to.0, &from.0, kind.inverse) {
        Some(back) => one_side(portal, to, from, back),
        None => Ok(()),
    }
}

fn one_side(portal: &Portal, from: &End, to: &End, kind: &LinkType) -> Result<(), Refusal> {
    let max = kind
        .max
        .map_or(portal.switches.association_limit as u64, |max| max.min(portal.switches.association_limit as u64));
    let standing = portal.links.count(from, &to.0, kind.type_id) as u64;
    if portal.links.pair(from, to).contains(&kind.type_id) || standing < max {
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
            Ok(()) => results.push(json!({"fromObjectTypeId": from.0, "fromObjectId": from.1, "toObjectTypeId": to.0, "toObjectId": to.1, "labels": []})),
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

/// The default association answers with both directions.
fn both(portal: &Portal, from: &End, to: &End) -> Vec<Value> {
    let shown = |one: &End, other: &End| {
        let own = portal.links.types(&one.0, &other.0).iter().find(|own| own.label.is_none());
        json!({"from": {"id": one.1.to_string()}, "to": {"id": other.1.to_string()},
            "associationSpec": {"associationCategory": own.map(|own| own.category.clone()), "associationTypeId": own.map(|own| own.type_id)}})
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

/// One page of a record's links; archived records are not among them.
fn page(portal: &Portal, from: &End, to: &str, start: usize, limit: usize) -> (Vec<Value>, Option<usize>) {
    let there = |id: u64| portal.types.get(to).is_some_and(|object| object.active(id).is_some());
    let mut all = portal.links.of(from, to);
    all.retain(|(id, _)| there(*id));
    let next = (all.len() > start + limit).then_some(start + limit);
    let shown = all.into_iter().skip(start).take(limit).map(|(id, types)| {
        let types: Vec<Value> = types
            .iter()
            .filter_map(|number| portal.links.find(&from.0, to, *number))
            .map(|own| json!({"category": own.category, "typeId": own.type_id, "label": own.label}))
            .collect();
        json!({"toObjectId": id, "associationTypes": types})
    });
    (shown.collect(), next)
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
        let start = input.after.as_ref().and_then(|after| after.as_str()?.parse().ok()).unwrap_or(0);
        let standing = portal.object(from)?.active(end.1).is_some();
        let (links, next) = if standing { page(portal, &end, to, start, PAGE) } else { (Vec::new(), None) };
        if links.is_empty() {
            let id = end.1.to_string();
            errors.push(json!({"status": "error", "category": "OBJECT_NOT_FOUND",
                "subCategory": "crm.associations.NO_ASSOCIATIONS_FOUND",
                "message": format!("No {to} is associated with {from} {id}."),
                "context": {"fromObjectId": [id], "fromObjectType": [from], "toObjectType": [to]}}));
            continue;
        }
        let mut result = json!({"from": {"id": end.1.to_string()}, "to": links});
        if let Some(next) = next {
            result["paging"] = json!({"next": {"after": next.to_string(), "link": ""}});
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
            portal.links.remove(&one, &(to.to_owned(), other.number().unwrap_or_default()));
        }
    }
    Ok(finished(200, Vec::new(), Vec::new(), now))
}

fn archive_labels(portal: &mut Portal, from: &str, to: &str, body: &[u8], now: i64) -> Answer {
    let Inputs { inputs } = decode::<Inputs<Pair>>(body)?;
    for (from, to, types) in pairs(from, to, inputs)? {
        let mut standing = portal.links.pair(&from, &to);
        if standing.is_empty() {
            continue;
        }
        let removed: Vec<u64> = types.iter().map(|kind| kind.association_type_id).collect();
        let plain = portal.links.types(&from.0, &to.0).iter().find(|own| own.label.is_none()).map(|own| own.type_id);
        // Without the plain type nothing of the pair stands.
        if plain.is_some_and(|plain| removed.contains(&plain)) {
            portal.links.remove(&from, &to);
            continue;
        }
        standing.retain(|number| !removed.contains(number));
        portal.links.set(&from, &to, &standing);
    }
    Ok(finished(200, Vec::new(), Vec::new(), now))
}

fn labels(portal: &Portal, from: &str, to: &str) -> Reply {
    let shown = portal.links.types(from, to).iter();
    let results: Vec<Value> =
        shown.map(|own| json!({"category": own.category, "typeId": own.type_id, "label": own.label})).collect();
    answers::json(200, &json!({"results": results}))
}

/// Adds a label between two objects; returns its numbers in both directions.
pub fn add_label(portal: &mut Portal, from: &str, to: &str, body: &[u8]) -> Answer {
    #[derive(Deserialize)]
    #[serde(rename_all = "camelCase")]
    struct Body {
        label: String,
        name: String,
        #[serde(default)]
        inverse_label: Option<String>,
    }
    let body: Body = decode(body)?;
    if body.name.starts_with(|letter: char| letter.is_ascii_digit()) || body.name.contains('-') {
        return Err(Refusal::validation(format!("Invalid association name: {}", body.name)));
    }
    portal.links.define_plain(from, to);
    let (there, back) = portal.links.define_label(from, to, &body.label, body.inverse_label.as_deref());
    let mut results = vec![json!({"category": "USER_DEFINED", "typeId": there, "label": body.label})];
    if let Some(inverse) = body.inverse_label {
        results.push(json!({"category": "USER_DEFINED", "typeId": back, "label": inverse}));
    }
    Ok(answers::json(200, &json!({"results": results})))
}
