//! Batches of records, with the real rules of partial failure.

use std::borrow::Cow;

use serde::Deserialize;
use serde_json::{Value, json};

use super::answers::{self, Answer, Refusal, push_text, push_time};
use super::body::decode;
use super::columns::Columns;
use super::hashing::Set;
use super::objects::{self, Input, Texts, Times, Undo, distinct_names, show, show_open};
use super::portal::{ObjectType, Portal};
use crate::sandbox::http::Reply;

/// Most inputs of a batch.
const INPUTS_MAX: usize = 100;

/// Most inputs of a read with history.
const HISTORY_INPUTS_MAX: usize = 50;

/// Bytes of a result beside its properties, about: ids and times.
const RESULT_BYTES: usize = 320;

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
struct Inputs<'a> {
    #[serde(borrow)]
    inputs: Vec<Input<'a>>,
}

#[derive(Deserialize)]
#[serde(rename_all = "camelCase")]
struct Read<'a> {
    #[serde(borrow)]
    inputs: Vec<Input<'a>>,
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
fn distinct(ids: &[Cow<'_, str>]) -> Result<(), Refusal> {
    let mut seen = Set::with_capacity_and_hasher(ids.len(), Default::default());
    // As they were sent: whether HubSpot compares without letter case, nobody has seen.
    match ids.iter().find(|id| !seen.insert(&***id)) {
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
    // Seen with payloads that were malformed: a client has to notice by itself that records are missing.
    if portal.switches.silent_nothing {
        return Ok(finished(portal, 200, &mut [(); 0], 0, &[], now, |_, ()| {}));
    }
    precheck(portal, verb, type_id, &inputs)?;
    let traces: Set<&str> = inputs.iter().filter_map(Input::trace).collect();
    let honoured =
        portal.switches.honour_trace_ids && (verb != Verb::Update || portal.switches.update_honours_trace_ids);
    // Every input must have one and no two the same: else HubSpot treats the batch as if there were none.
    let traced = honoured && !inputs.is_empty() && traces.len() == inputs.len();
    let columns = Columns::of(portal.object_mut(type_id)?, inputs.iter().map(Input::names));
    let mut results = Vec::with_capacity(inputs.len());
    let (mut errors, mut missing, mut undo) = (Vec::new(), Vec::new(), Undo::new());
    let next_id = portal.next_id;
    for input in &inputs {
        let done_before = undo.len();
        match one(portal, verb, type_id, (&columns, input), &mut undo, now) {
            Ok(written) => results.push(written),
            // These never refuse a batch, and come as one entry for all of them.
            Err(refusal) if refusal.category == Some("OBJECT_NOT_FOUND") => missing.extend(input.id()),
            // One bad input fails by itself; what it did before it failed goes.
            Err(refusal) if traced => {
                take_back(portal, type_id, undo.split_off(done_before))?;
                errors.push(refusal.entry(input.trace()));
            }
            // Without trace ids it refuses the batch, and nothing is written.
            Err(refusal) => {
                take_back(portal, type_id, undo)?;
                // Ids are given again, so that a dump after the refusal is the one before it.
                portal.next_id = next_id;
                return Err(refusal);
            }
        }
    }
    errors.extend(not_found(portal, type_id, &missing));
    let good = if verb == Verb::Create { 201 } else { 200 };
    let object = portal.object(type_id)?;
    // The answer says as much as was sent, and the record's id and times.
    let bytes = body.len() + results.len() * RESULT_BYTES;
    let mut times = Times::default();
    Ok(finished(portal, good, &mut results, bytes, &errors, now, |out, written| {
        result((out, &mut times), portal, object, verb, &columns, written);
    }))
}

/// Undoes writes, the last one first; records that go take their associations with them.
pub fn take_back(portal: &mut Portal, type_id: &str, undo: Undo) -> Result<(), Refusal> {
    for (id, before) in undo.into_iter().rev() {
        if before.is_none() {
            super::associations::forget(portal, type_id, id);
        }
        portal.object_mut(type_id)?.store.put(id, before);
    }
    Ok(())
}

/// What refuses a whole batch whatever its trace ids are.
fn precheck(portal: &Portal, verb: Verb, type_id: &str, inputs: &[Input<'_>]) -> Result<(), Refusal> {
    let object = portal.object(type_id)?;
    if verb == Verb::Create {
        return Ok(());
    }
    for input in inputs {
        match input.key() {
            // `idProperty` stands in each input; a batch without it is not known as a place.
            None if verb == Verb::Upsert => return Err(Refusal::not_found()),
            // The e-mail of contacts finds them for an upsert, but not for an update.
            Some(property) if verb == Verb::Upsert && object.is_email(property) => {}
            // `hs_object_id` is refused here too: without `idProperty` the id is the record's own.
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
    let ids: Vec<Cow<'_, str>> = inputs.iter().filter_map(Input::id).collect();
    distinct(&ids)
}

/// An input that was written.
struct Written<'a> {
    id: u64,
    new: bool,
    /// The properties that the answer shows.
    texts: Texts<'a>,
    trace: Option<&'a str>,
}

/// Writes one input.
fn one<'a>(
    portal: &mut Portal,
    verb: Verb,
    type_id: &str,
    (columns, input): (&Columns<'_>, &'a Input<'_>),
    undo: &mut Undo,
    now: i64,
) -> Result<Written<'a>, Refusal> {
    let mut texts = input.texts(columns)?;
    let id = input.id().unwrap_or_default();
    let key = input.key().and_then(|name| columns.place(input.key_position(), name));
    let found = match verb {
        Verb::Create => None,
        Verb::Update | Verb::Upsert => objects::find_by(portal.object(type_id)?, &id, key.map(|key| columns.at(key))),
    };
    // The key becomes a value of the record, whether or not it stands among the properties.
    if let (Verb::Upsert, Some(key)) = (verb, key)
        && let Err(at) = texts.binary_search_by_key(&key, |(place, _)| *place)
    {
        texts.insert(at, (key, id));
    }
    let (id, new) = match (verb, found) {
        (Verb::Update, None) => return Err(Refusal::plain(404, "not found").category("OBJECT_NOT_FOUND")),
        (_, Some(id)) => {
            objects::update(portal, type_id, id, (columns, &mut texts), undo, now)?;
            (id, false)
        }
        (_, None) => {
            let id = objects::create(portal, type_id, (columns, &mut texts), undo, now)?;
            if let Some(associations) = &input.associations {
                // Only on a creation: an upsert that finds its record passes them over.
                super::associations::on_create(portal, type_id, id, associations)?;
            }
            (id, true)
        }
    };
    Ok(Written { id, new, texts, trace: input.trace() })
}

fn result(
    (out, times): (&mut String, &mut Times),
    portal: &Portal,
    object: &ObjectType,
    verb: Verb,
    columns: &Columns<'_>,
    written: &Written<'_>,
) {
    let Some(record) = object.store.get(written.id) else { return };
    // What was accepted is what the record holds; an empty text has cleared.
    let values = written.texts.iter().filter_map(|(place, text)| {
        Some((columns.at(*place).member.as_deref()?, Some(&**text).filter(|text| !text.is_empty())))
    });
    show_open(out, times, written.id, record, values);
    if verb == Verb::Upsert {
        out.push_str(if written.new { r#","new":true"# } else { r#","new":false"# });
    }
    // Live in 2026-09, and missing from documented examples.
    if let Some(trace) = written.trace.filter(|_| portal.switches.echo_trace_ids) {
        out.push_str(r#","objectWriteTraceId":"#);
        push_text(out, trace);
    }
    out.push('}');
}

/// One entry for all ids that are not there; custom types print as `null`.
fn not_found(portal: &Portal, type_id: &str, ids: &[Cow<'_, str>]) -> Option<Value> {
    if ids.is_empty() {
        return None;
    }
    let name = match portal.types.get(type_id) {
        Some(object) if object.id.starts_with("0-") => object.name.to_uppercase(),
        _ => "null".to_owned(),
    };
    let message =
        format!("Could not get some {name} objects, they may be deleted or not exist. Check that ids are valid.");
    Some(json!({"status": "error", "category": "OBJECT_NOT_FOUND", "message": message, "context": {"ids": ids}}))
}

/// The answer of a batch; results in no order, `errors` and `numErrors` only when there are some.
/// `bytes` is about how long it gets, and `write` writes one result.
fn finished<R>(
    portal: &Portal,
    good: u16,
    results: &mut [R],
    bytes: usize,
    errors: &[Value],
    now: i64,
    mut write: impl FnMut(&mut String, &R),
) -> Reply {
    // So that a client which goes by the order is found out.
    portal.rng.shuffle(results);
    let mut body = String::with_capacity(bytes + 160);
    body.push_str(r#"{"status":"COMPLETE","results":["#);
    for (place, result) in results.iter().enumerate() {
        if place > 0 {
            body.push(',');
        }
        write(&mut body, result);
    }
    body.push_str(r#"],"startedAt":"#);
    push_time(&mut body, now);
    body.push_str(r#","completedAt":"#);
    push_time(&mut body, now + 10);
    let mut status = good;
    if !errors.is_empty() {
        // 207 in older versions; for 2026-09 the description has 200 as well.
        status = portal.switches.partial_status;
        body.push_str(&format!(r#","numErrors":{},"errors":{}"#, errors.len(), Value::from(errors)));
    }
    body.push('}');
    answers::written(status, body)
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
    if let Some(property) =
        id_property.as_deref().filter(|property| !object.is_unique(property) && !object.is_email(property))
    {
        let portal_id = portal.options.portal_id;
        return Err(Refusal::validation(format!(
            "Unable to perform read by non-unique {type_id} property {property} in portal ID {portal_id}"
        )));
    }
    let ids: Vec<Cow<'_, str>> = inputs.iter().filter_map(Input::id).collect();
    distinct(&ids)?;
    let properties = distinct_names(properties);
    let mut results = Vec::new();
    let mut missing = Vec::new();
    for id in ids {
        let found = if archived {
            let gone = |number: &u64| object.store.get(*number).is_some_and(|record| record.archived.is_some());
            id.parse().ok().filter(gone)
        } else {
            objects::find(object, &id, id_property.as_deref())
        };
        match found.and_then(|number| Some((number, object.store.get(number)?))) {
            Some((number, record)) => results.push(show(object, number, record, &properties)),
            None => missing.push(id),
        }
    }
    let errors: Vec<Value> = not_found(portal, type_id, &missing).into_iter().collect();
    let bytes = results.iter().map(|result: &String| result.len() + 1).sum();
    Ok(finished(portal, 200, &mut results, bytes, &errors, now, |out, result| out.push_str(result)))
}

/// Archives records; ids that are not there are no error.
pub fn archive(portal: &mut Portal, type_id: &str, body: &[u8], now: i64) -> Answer {
    let Inputs { inputs } = decode(body)?;
    if inputs.len() > INPUTS_MAX {
        return Err(too_many(INPUTS_MAX));
    }
    let object = portal.object_mut(type_id)?;
    for id in inputs.iter().filter_map(Input::id) {
        // A text that is no id belongs to no record, which is no error here either.
        if let Ok(id) = id.parse() {
            object.store.archive(id, now);
        }
    }
    Ok(Reply::empty(204))
}
