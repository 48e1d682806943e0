//! Batches of records, with the real rules of partial failure.

use std::collections::HashSet;

use serde::Deserialize;
use serde_json::{Value, json};

use super::answers::{self, Answer, Refusal, time};
use super::body::decode;
use super::objects::{self, Input, show, written};
use super::portal::Portal;
use crate::sandbox::http::Reply;

/// Most inputs of a batch.
const INPUTS_MAX: usize = 100;

/// Most inputs of a read with history.
const HISTORY_INPUTS_MAX: usize = 50;

/// What a batch does.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Verb {
    /// `batch/create`
    Create,
    /// `batch/update`
    Update,
    /// `batch/upsert`
    Upsert,
}

#[derive(Deserialize)]
struct Inputs {
    inputs: Vec<Input>,
}

#[derive(Deserialize)]
#[serde(rename_all = "camelCase")]
struct Read {
    inputs: Vec<Input>,
    #[serde(default)]
    id_property: Option<String>,
    #[serde(default)]
    properties: Vec<String>,
    #[serde(default)]
    properties_with_history: Vec<String>,
}

fn too_many(max: usize) -> Refusal {
    Refusal::validation(format!(
        "The maximum number of inputs supported in a batch is {max}. Please reduce the number of items and try again"
    ))
}

/// The same id twice refuses the whole batch, trace ids or not.
fn distinct(ids: &[String]) -> Result<(), Refusal> {
    let mut seen = HashSet::new();
    match ids.iter().find(|id| !seen.insert(id.as_str())) {
        Some(id) => Err(Refusal::validation(format!("Duplicate IDs found in batch input: [{id}]. IDs must be unique"))
            .with("ids", &[id])),
        None => Ok(()),
    }
}

/// Creates, updates or upserts.
pub fn write(portal: &mut Portal, verb: Verb, type_id: &str, body: &[u8], now: i64) -> Answer {
    let Inputs { inputs } = decode(body)?;
    if inputs.len() > INPUTS_MAX {
        return Err(too_many(INPUTS_MAX));
    }
    if portal.switches.silent_nothing {
        return Ok(finished(portal, 200, Vec::new(), &[], now));
    }
    precheck(portal, verb, type_id, &inputs)?;
    let traces: HashSet<&str> = inputs.iter().filter_map(|input| input.object_write_trace_id.as_deref()).collect();
    let honoured =
        portal.switches.honour_trace_ids && (verb != Verb::Update || portal.switches.update_honours_trace_ids);
    let traced = honoured && !inputs.is_empty() && traces.len() == inputs.len();
    if !traced {
        dry(portal, verb, type_id, &inputs, now)?;
    }
    let mut results = Vec::with_capacity(inputs.len());
    let mut errors = Vec::new();
    let mut missing = Vec::new();
    for input in &inputs {
        match one(portal, verb, type_id, input, now) {
            Ok((id, new, asked)) => results.push(result(portal, verb, type_id, id, new, &asked, input)?),
            Err(refusal) if refusal.category == Some("OBJECT_NOT_FOUND") => missing.extend(input.id()),
            Err(refusal) => errors.push(refusal.entry(input.object_write_trace_id.as_deref())),
        }
    }
    errors.extend(not_found(portal, type_id, &missing));
    let good = if verb == Verb::Create { 201 } else { 200 };
    Ok(finished(portal, good, results, &errors, now))
}

/// What refuses a whole batch whatever its trace ids are.
fn precheck(portal: &Portal, verb: Verb, type_id: &str, inputs: &[Input]) -> Result<(), Refusal> {
    let object = portal.object(type_id)?;
    if verb == Verb::Create {
        return Ok(());
    }
    for input in inputs {
        match input.id_property.as_deref() {
            None if verb == Verb::Upsert => return Err(Refusal::not_found()),
            Some(property) if !object.is_unique(property) => {
                let word = if verb == Verb::Upsert { "upsert" } else { "update" };
                let portal_id = portal.options.portal_id;
                return Err(Refusal::validation(format!(
                    "Unable to perform {word} by non-unique {type_id} property {property} in portal ID {portal_id}"
                )));
            }
            _ => {}
        }
    }
    let ids: Vec<String> = inputs.iter().filter_map(Input::id).collect();
    distinct(&ids)
}

/// Without trace ids one bad input refuses the batch, and nothing is written.
fn dry(portal: &mut Portal, verb: Verb, type_id: &str, inputs: &[Input], now: i64) -> Result<(), Refusal> {
    let before = (portal.object(type_id)?.clone(), portal.next_id);
    let mut failed = None;
    for input in inputs {
        match one(portal, verb, type_id, input, now) {
            Err(refusal) if refusal.category == Some("OBJECT_NOT_FOUND") && verb == Verb::Update => {}
            Err(refusal) => {
                failed = Some(refusal);
                break;
            }
            Ok(_) => {}
        }
    }
    portal.types.insert(type_id.to_owned(), before.0);
    portal.next_id = before.1;
    failed.map_or(Ok(()), Err)
}

/// One input: the record, whether it is new, and which properties the answer shows.
fn one(
    portal: &mut Portal,
    verb: Verb,
    type_id: &str,
    input: &Input,
    now: i64,
) -> Result<(u64, bool, Vec<String>), Refusal> {
    let mut texts = input.texts()?;
    let id = input.id().unwrap_or_default();
    let property = input.id_property.as_deref();
    let found = match verb {
        Verb::Create => None,
        Verb::Update | Verb::Upsert => objects::find(portal.object(type_id)?, &id, property),
    };
    if let (Verb::Upsert, Some(property)) = (verb, property) {
        texts.entry(property.to_owned()).or_insert_with(|| id.clone());
    }
    let asked = written(&texts);
    match (verb, found) {
        (Verb::Update, None) => Err(Refusal::plain(404, "not found").category("OBJECT_NOT_FOUND")),
        (_, Some(id)) => objects::update(portal, type_id, id, &texts, now).map(|()| (id, false, asked)),
        (_, None) => {
            let id = objects::create(portal, type_id, &texts, now)?;
            if let Some(associations) = &input.associations {
                super::associations::on_create(portal, type_id, id, associations)?;
            }
            Ok((id, true, asked))
        }
    }
}

fn result(
    portal: &Portal,
    verb: Verb,
    type_id: &str,
    id: u64,
    new: bool,
    asked: &[String],
    input: &Input,
) -> Result<Value, Refusal> {
    let record = portal.object(type_id)?.records.get(&id).ok_or_else(Refusal::not_found)?;
    let mut shown = show(id, record, asked);
    if verb == Verb::Upsert {
        shown["new"] = new.into();
    }
    if let (Some(trace), true) = (&input.object_write_trace_id, portal.switches.echo_trace_ids) {
        shown["objectWriteTraceId"] = trace.as_str().into();
    }
    Ok(shown)
}

/// One entry for all ids that are not there; custom types print as `null`.
fn not_found(portal: &Portal, type_id: &str, ids: &[String]) -> Option<Value> {
    if ids.is_empty() {
        return None;
    }
    let name = match portal.types.get(type_id) {
        Some(own) if own.id.starts_with("0-") => own.name.to_uppercase(),
        _ => "null".to_owned(),
    };
    let message =
        format!("Could not get some {name} objects, they may be deleted or not exist. Check that ids are valid.");
    Some(json!({"status": "error", "category": "OBJECT_NOT_FOUND", "message": message, "context": {"ids": ids}}))
}

/// The answer of a batch; results in no order, `errors` and `numErrors` only when there are some.
fn finished(portal: &Portal, good: u16, mut results: Vec<Value>, errors: &[Value], now: i64) -> Reply {
    portal.rng.shuffle(&mut results);
    let mut body =
        json!({"status": "COMPLETE", "results": results, "startedAt": time(now), "completedAt": time(now + 10)});
    if errors.is_empty() {
        return answers::json(good, &body);
    }
    body["numErrors"] = errors.len().into();
    body["errors"] = errors.into();
    answers::json(portal.switches.partial_status, &body)
}

/// Reads records.
pub fn read(portal: &Portal, type_id: &str, body: &[u8], archived: bool, now: i64) -> Answer {
    let Read { inputs, id_property, properties, properties_with_history } = decode(body)?;
    if !properties_with_history.is_empty() && inputs.len() > HISTORY_INPUTS_MAX {
        return Err(Refusal::validation(format!(
            "The maximum number of inputs supported in a batch request for property histories is {HISTORY_INPUTS_MAX}. Please reduce the number of items and try again"
        )));
    }
    if inputs.len() > INPUTS_MAX {
        return Err(too_many(INPUTS_MAX));
    }
    let object = portal.object(type_id)?;
    if let Some(property) = id_property.as_deref().filter(|property| !object.is_unique(property)) {
        let portal_id = portal.options.portal_id;
        return Err(Refusal::validation(format!(
            "Unable to perform read by non-unique {type_id} property {property} in portal ID {portal_id}"
        )));
    }
    let ids: Vec<String> = inputs.iter().filter_map(Input::id).collect();
    distinct(&ids)?;
    let mut results = Vec::new();
    let mut missing = Vec::new();
    for id in ids {
        let found = if archived {
            let gone = |number: &u64| object.records.get(number).is_some_and(|record| record.archived.is_some());
            id.parse().ok().filter(gone)
        } else {
            objects::find(object, &id, id_property.as_deref())
        };
        match found.and_then(|number| Some((number, object.records.get(&number)?))) {
            Some((number, record)) => results.push(show(number, record, &properties)),
            None => missing.push(id),
        }
    }
    let errors: Vec<Value> = not_found(portal, type_id, &missing).into_iter().collect();
    Ok(finished(portal, 200, results, &errors, now))
}

/// Archives records; ids that are not there are no error.
pub fn archive(portal: &mut Portal, type_id: &str, body: &[u8], now: i64) -> Answer {
    let Inputs { inputs } = decode(body)?;
    if inputs.len() > INPUTS_MAX {
        return Err(too_many(INPUTS_MAX));
    }
    let ids: Vec<String> = inputs.iter().filter_map(Input::id).collect();
    let object = portal.object_mut(type_id)?;
    for id in ids {
        if let Ok(id) = id.parse() {
            object.archive(id, now);
        }
    }
    Ok(Reply::empty(204))
}
