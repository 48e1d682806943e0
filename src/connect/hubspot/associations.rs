//! Links: types and labels, reading to the end, making, removing.

use std::collections::{HashMap, HashSet};
use std::sync::atomic::AtomicU64;

use serde_json::{Value, json};

use super::api::{Api, Call};
use super::errors::{context_texts, is_not_found, reason};
use super::lookups::{LOOKS_MAX, LinksOf, link_type};
use super::objects::encode;
use super::settings::API_VERSION;
use super::wire::{Answer, Batch, ErrorBody, LinkType, Links, MadeLink, Page, ReadBatch};
use crate::model::association::AssociationType;
use crate::model::ids::HubspotId;
use crate::ports::fault::Fault;
use crate::ports::target::{ExistingLink, LinkOutcome, Lookup, NewLink};

/// `/crm/associations/2026-09/2-1/0-2/batch/read`
fn path(from: &str, to: &str, rest: &str) -> String {
    format!("/crm/associations/{API_VERSION}/{}/{}{rest}", encode(from), encode(to))
}

/// The types of links between two objects.
pub(super) async fn types(api: &Api, calls: &AtomicU64, from: &str, to: &str) -> Result<Vec<AssociationType>, Fault> {
    let page: Page<LinkType> =
        api.fetch(calls, &Call::get("read association labels", path(from, to, "/labels"))).await?;
    Ok(page.entries().into_iter().filter_map(link_type).collect())
}

/// All links of these records, paged to the end; the records that an answer passes over are asked for again.
pub(super) async fn read(
    api: &Api,
    calls: &AtomicU64,
    from_object: &str,
    to_object: &str,
    from: &[HubspotId],
) -> Result<Vec<Lookup<Vec<ExistingLink>>>, Fault> {
    let mut links = LinksOf::new(from);
    let mut in_vain = 0;
    loop {
        let open = links.open();
        if open.is_empty() || in_vain == LOOKS_MAX {
            return Ok(links.finish());
        }
        if in_vain > 0 {
            tracing::debug!(records = open.len(), "an association read says nothing of some records");
            api.backoff(in_vain, None).await?;
        }
        // Paging is per record: each is asked for from its own place.
        let input = |(id, after): &(&HubspotId, Option<String>)| match after {
            Some(after) => json!({ "id": id.as_str(), "after": after }),
            None => json!({ "id": id.as_str() }),
        };
        let body = json!({ "inputs": open.iter().map(input).collect::<Vec<Value>>() });
        let call = Call::post("read associations", path(from_object, to_object, "/batch/read"), &body).association();
        let answer = match api.fetch::<ReadBatch<Links>>(calls, &call).await {
            Err(Fault::Reject(reason)) if reason.remote_code.as_deref() == Some("OBJECT_NOT_FOUND") => {
                links.enter_refusal();
                in_vain += 1;
                continue;
            }
            answer => answer?.0,
        };
        if let Some(error) = answer.errors.iter().find(|error| !is_not_found(error)) {
            return Err(Fault::Reject(reason(error, None)));
        }
        in_vain = if links.enter(answer) { 0 } else { in_vain + 1 };
    }
}

/// Makes links; each counts as made when the answer names it. Plain ones by the default type, labelled ones with all labels that should stand.
pub(super) async fn make(
    api: &Api,
    calls: &AtomicU64,
    from_object: &str,
    to_object: &str,
    links: &[NewLink],
) -> Result<Vec<LinkOutcome>, Fault> {
    let mut outcomes = vec![LinkOutcome::Unknown; links.len()];
    for labelled in [false, true] {
        let chosen: Vec<usize> = (0..links.len()).filter(|index| links[*index].types.is_empty() != labelled).collect();
        if chosen.is_empty() {
            continue;
        }
        let rest = if labelled { "/batch/create" } else { "/batch/associate/default" };
        let inputs: Vec<Value> = chosen.iter().map(|index| input(&links[*index], labelled)).collect();
        let body = json!({ "inputs": inputs });
        let call = Call::post("make associations", path(from_object, to_object, rest), &body).association();
        let answer: Batch<MadeLink> = api.fetch(calls, &call).await?;
        let named: HashSet<(String, String)> = answer.results.iter().filter_map(MadeLink::ends).collect();
        for index in &chosen {
            let (from, to) = (links[*index].from.to_string(), links[*index].to.to_string());
            // The default type is confirmed in both directions, a label in one.
            if named.contains(&(from.clone(), to.clone())) || named.contains(&(to, from)) {
                outcomes[*index] = LinkOutcome::Done;
            }
        }
        refused(&answer, links, &chosen, &mut outcomes);
    }
    Ok(outcomes)
}

/// Removes links, or single types of them.
pub(super) async fn remove(
    api: &Api,
    calls: &AtomicU64,
    from_object: &str,
    to_object: &str,
    links: &[NewLink],
) -> Result<Vec<LinkOutcome>, Fault> {
    let mut outcomes = vec![LinkOutcome::Unknown; links.len()];
    for labelled in [false, true] {
        let chosen: Vec<usize> = (0..links.len()).filter(|index| links[*index].types.is_empty() != labelled).collect();
        if chosen.is_empty() {
            continue;
        }
        let rest = if labelled { "/batch/labels/archive" } else { "/batch/archive" };
        let inputs: Vec<Value> = chosen
            .iter()
            .map(|index| {
                let link = &links[*index];
                if labelled {
                    input(link, true)
                } else {
                    json!({ "from": { "id": link.from.as_str() }, "to": [{ "id": link.to.as_str() }] })
                }
            })
            .collect();
        let call = Call::post("remove associations", path(from_object, to_object, rest), &json!({ "inputs": inputs }));
        let (status, body) = api.done(calls, &call.association()).await?;
        // One version answers with status 204 and no body. Another answers with status 200, and what that proves is only
        // what it names: the rest is looked up.
        let answer: Option<ReadBatch<MadeLink>> = serde_json::from_slice(&body).ok();
        let answer = answer.filter(Answer::is_one).map(|ReadBatch(answer)| answer);
        if status == 204 && body.is_empty() {
            chosen.iter().for_each(|index| outcomes[*index] = LinkOutcome::Done);
        }
        if let Some(mut answer) = answer {
            let named: HashSet<(String, String)> = answer.results.iter().filter_map(MadeLink::ends).collect();
            let is_named = |link: &NewLink| named.contains(&(link.from.to_string(), link.to.to_string()));
            chosen
                .iter()
                .filter(|index| is_named(&links[**index]))
                .for_each(|index| outcomes[*index] = LinkOutcome::Done);
            // What is not there cannot refuse to go: it is looked up.
            answer.errors.retain(|error| !is_not_found(error));
            refused(&answer, links, &chosen, &mut outcomes);
        }
    }
    Ok(outcomes)
}

fn input(link: &NewLink, with_types: bool) -> Value {
    let mut input = json!({ "from": { "id": link.from.as_str() }, "to": { "id": link.to.as_str() } });
    if with_types {
        let types = link
            .types
            .iter()
            .map(|kind| json!({ "associationCategory": kind.category, "associationTypeId": kind.type_id }));
        input["types"] = types.collect();
    }
    input
}

/// Enters the refusals of an answer. There are no trace ids here: an error is tied to its links by the ids in its
/// context; one that names none is about all of them.
fn refused<T>(answer: &Batch<T>, links: &[NewLink], chosen: &[usize], outcomes: &mut [LinkOutcome]) {
    let mut errors_by_link: HashMap<usize, &ErrorBody> = HashMap::new();
    for error in answer.errors.iter().filter(|error| !is_not_found(error) || answer.results.is_empty()) {
        let ids: Vec<String> = error.context.values().flat_map(|value| super::wire::texts(Some(value))).collect();
        let names = |id: &HubspotId| ids.iter().any(|text| mentions(text, id.as_str()));
        let from_named = !context_texts(error, "fromObjectId").is_empty();
        let about = |link: &NewLink| if from_named { names(&link.from) } else { names(&link.from) || names(&link.to) };
        let named: Vec<usize> = chosen.iter().copied().filter(|index| about(&links[*index])).collect();
        let all = if named.is_empty() { chosen.to_vec() } else { named };
        all.into_iter().for_each(|index| {
            errors_by_link.insert(index, error);
        });
    }
    for (index, error) in errors_by_link {
        let mut reason = reason(error, None);
        if !reason.code.starts_with(crate::ports::state::LINK_FAILURES) {
            reason.code = "SL5110".to_owned();
        }
        outcomes[index] = LinkOutcome::Refused(reason);
    }
}

/// Whether a text names an id as a number of its own (`COMPANY=42 is not valid`).
fn mentions(text: &str, id: &str) -> bool {
    text.split(|character: char| !character.is_ascii_digit()).any(|part| part == id)
}
