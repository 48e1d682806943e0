//! Associations: types and labels, reading to the end, making, removing.

use std::collections::{HashMap, HashSet};
use std::sync::atomic::AtomicU64;

use serde::Serialize;
use serde_json::{Value, json};

use super::api::{Api, Call};
use super::bodies;
use super::errors::{context_texts, is_not_found, reason};
use super::lookups::{AssociationsOf, LOOKS_MAX, association_type};
use super::objects::encode;
use super::regular::{AssociationsBatch, MadeBatch};
use super::settings::API_VERSION;
use super::wire::{Answer, Batch, ErrorBody, MadeAssociation, Page, ReadBatch, WireType};
use crate::model::association::AssociationType;
use crate::model::ids::HubspotId;
use crate::ports::fault::Fault;
use crate::ports::target::{BATCH_PAIRS_MAX, Lookup, PairOutcome, PairTypes};

/// Most associations of one call that leaves the type to HubSpot; a larger number is documented nowhere.
const DEFAULTS_MAX: usize = 1_000;

/// `/crm/associations/2026-09/2-1/0-2/batch/read`
fn path(from: &str, to: &str, rest: &str) -> String {
    format!("/crm/associations/{API_VERSION}/{}/{}{rest}", encode(from), encode(to))
}

/// The types of associations between two objects.
pub(super) async fn types(api: &Api, calls: &AtomicU64, from: &str, to: &str) -> Result<Vec<AssociationType>, Fault> {
    let page: Page<WireType> =
        api.fetch(calls, &Call::get("read association labels", path(from, to, "/labels"))).await?;
    let types: Vec<AssociationType> = page.entries().into_iter().filter_map(association_type).collect();
    api.plain_types.note(from, to, &types);
    Ok(types)
}

/// All associations of these records, paged to the end; the records that an answer passes over are asked for again.
pub(super) async fn read(
    api: &Api,
    calls: &AtomicU64,
    from_object: &str,
    to_object: &str,
    from: &[HubspotId],
) -> Result<Vec<Lookup<Vec<PairTypes>>>, Fault> {
    let mut pairs = AssociationsOf::new(from);
    let mut in_vain = 0;
    loop {
        let open = pairs.open();
        if open.is_empty() || in_vain == LOOKS_MAX {
            return Ok(pairs.finish());
        }
        if in_vain > 0 {
            tracing::debug!(records = open.len(), "an association read says nothing of some records");
            api.backoff(in_vain, None).await?;
        }
        // Paging is per record: each is asked for from its own place.
        let inputs = open.iter().map(|(id, after)| PageOf { id, after: after.as_deref() });
        let body = HashMap::from([("inputs", inputs.collect::<Vec<PageOf<'_>>>())]);
        let call = Call::post("read associations", path(from_object, to_object, "/batch/read"), &body).association();
        let answer = match api.fetch::<AssociationsBatch>(calls, &call).await {
            Err(Fault::Reject(reason)) if reason.remote_code.as_deref() == Some("OBJECT_NOT_FOUND") => {
                pairs.enter_refusal();
                in_vain += 1;
                continue;
            }
            answer => answer?.0.0,
        };
        if let Some(error) = answer.errors.iter().find(|error| !is_not_found(error)) {
            return Err(Fault::Reject(reason(error, None)));
        }
        in_vain = if pairs.enter(answer) { 0 } else { in_vain + 1 };
    }
}

/// Makes associations; each counts as made when the answer names it. Labelled ones with all labels that should stand, plain ones by
/// their type where it is known, as more of them fit into a call than by the default type.
pub(super) async fn make(
    api: &Api,
    calls: &AtomicU64,
    from_object: &str,
    to_object: &str,
    pairs: &[PairTypes],
) -> Result<Vec<PairOutcome>, Fault> {
    let mut outcomes = vec![PairOutcome::Unknown; pairs.len()];
    let plain: Vec<AssociationType> = api.plain_types.get(from_object, to_object).into_iter().collect();
    let (typed, untyped): (Vec<usize>, Vec<usize>) =
        (0..pairs.len()).partition(|index| !plain.is_empty() || !pairs[*index].types.is_empty());
    let typed = typed.chunks(BATCH_PAIRS_MAX).map(|chosen| (chosen, true));
    let untyped = untyped.chunks(DEFAULTS_MAX).map(|chosen| (chosen, false));
    for (chosen, with_types) in typed.chain(untyped) {
        let rest = if with_types { "/batch/create" } else { "/batch/associate/default" };
        let inputs = chosen.iter().map(|index| {
            let pair = &pairs[*index];
            (pair, if pair.types.is_empty() { plain.as_slice() } else { &pair.types })
        });
        let body = bodies::of_pairs(inputs);
        let call = Call::post_bytes("make associations", path(from_object, to_object, rest), Some(body.into()));
        let call = call.association();
        let MadeBatch(answer) = api.fetch(calls, &call).await?;
        confirmed(&answer.results, pairs, chosen, &mut outcomes);
        refused(&answer, pairs, chosen, &mut outcomes);
    }
    Ok(outcomes)
}

/// Enters what an answer says to be made.
fn confirmed(made: &[MadeAssociation], pairs: &[PairTypes], chosen: &[usize], outcomes: &mut [PairOutcome]) {
    let mut out_of_order: HashSet<(&HubspotId, &HubspotId)> = HashSet::new();
    let mut next = chosen.iter().copied().peekable();
    for ends in made.iter().filter_map(MadeAssociation::ends) {
        // Mostly they are named in the order in which they were asked for.
        match next.next_if(|index| ends == (&pairs[*index].from, &pairs[*index].to)) {
            Some(index) => outcomes[index] = PairOutcome::Done,
            None => drop(out_of_order.insert(ends)),
        }
    }
    if out_of_order.is_empty() {
        return;
    }
    for index in chosen {
        let (from, to) = (&pairs[*index].from, &pairs[*index].to);
        // The default type is confirmed in both directions, a label in one.
        if out_of_order.contains(&(from, to)) || out_of_order.contains(&(to, from)) {
            outcomes[*index] = PairOutcome::Done;
        }
    }
}

/// Removes associations, or single types of them.
pub(super) async fn remove(
    api: &Api,
    calls: &AtomicU64,
    from_object: &str,
    to_object: &str,
    pairs: &[PairTypes],
) -> Result<Vec<PairOutcome>, Fault> {
    let mut outcomes = vec![PairOutcome::Unknown; pairs.len()];
    for labelled in [false, true] {
        let chosen: Vec<usize> = (0..pairs.len()).filter(|index| pairs[*index].types.is_empty() != labelled).collect();
        if chosen.is_empty() {
            continue;
        }
        let rest = if labelled { "/batch/labels/archive" } else { "/batch/archive" };
        let of_pair = |index: &usize| {
            let pair = &pairs[*index];
            json!({ "from": { "id": pair.from }, "to": [{ "id": pair.to }] })
        };
        let body = match labelled {
            true => Some(bodies::of_pairs(chosen.iter().map(|index| (&pairs[*index], pairs[*index].types.as_slice())))),
            // This call takes a list at the other end.
            false => serde_json::to_vec(&json!({ "inputs": chosen.iter().map(of_pair).collect::<Vec<Value>>() })).ok(),
        };
        let target = path(from_object, to_object, rest);
        let call = Call::post_bytes("remove associations", target, body.map(Into::into));
        let (status, body) = api.done(calls, &call.association()).await?;
        // One version answers with status 204 and no body. Another answers with status 200, and what that proves is only
        // what it names: the rest is looked up.
        let answer: Option<ReadBatch<MadeAssociation>> = serde_json::from_slice(&body).ok();
        let answer = answer.filter(Answer::is_one).map(|ReadBatch(answer)| answer);
        if status == 204 && body.is_empty() {
            chosen.iter().for_each(|index| outcomes[*index] = PairOutcome::Done);
        }
        if let Some(mut answer) = answer {
            let named: HashSet<(&HubspotId, &HubspotId)> =
                answer.results.iter().filter_map(MadeAssociation::ends).collect();
            let is_named = |pair: &PairTypes| named.contains(&(&pair.from, &pair.to));
            chosen
                .iter()
                .filter(|index| is_named(&pairs[**index]))
                .for_each(|index| outcomes[*index] = PairOutcome::Done);
            // What is not there cannot refuse to go: it is looked up.
            answer.errors.retain(|error| !is_not_found(error));
            refused(&answer, pairs, &chosen, &mut outcomes);
        }
    }
    Ok(outcomes)
}

/// A record whose associations are read from a page on.
#[derive(Serialize)]
struct PageOf<'a> {
    id: &'a HubspotId,
    #[serde(skip_serializing_if = "Option::is_none")]
    after: Option<&'a str>,
}

/// Enters the refusals of an answer. There are no trace ids here: an error is tied to its associations by the ids in its
/// context. What an answer confirms is done, whatever an error beside it may seem to say. An error that names no association is
/// about those that are left: about all of them where nothing was confirmed or there is an error for each, else about one
/// that the answer does not tell, so that they are asked for again.
fn refused<T>(answer: &Batch<T>, pairs: &[PairTypes], chosen: &[usize], outcomes: &mut [PairOutcome]) {
    let errors = || answer.errors.iter().filter(|error| !is_not_found(error) || answer.results.is_empty());
    let mut named = Named::default();
    if errors().next().is_some() {
        chosen.iter().for_each(|index| named.enter(*index, &pairs[*index]));
    }
    let mut nameless: Vec<&ErrorBody> = Vec::new();
    for error in errors() {
        let texts: Vec<String> = error.context.values().flat_map(|value| super::wire::texts(Some(value))).collect();
        let only_from = !context_texts(error, "fromObjectId").is_empty();
        let about: Vec<usize> =
            texts.iter().flat_map(|text| numbers(text)).flat_map(|id| named.take(id, only_from)).flatten().collect();
        let is_about_any = texts.iter().flat_map(|text| numbers(text)).any(|id| named.knows(id, only_from));
        for index in about {
            if outcomes[index] == PairOutcome::Unknown {
                refuse(&mut outcomes[index], error);
            }
        }
        if !is_about_any {
            nameless.push(error);
        }
    }
    let open: Vec<usize> = chosen.iter().copied().filter(|index| outcomes[*index] == PairOutcome::Unknown).collect();
    if answer.results.is_empty() || nameless.len() >= open.len() {
        open.iter().zip(nameless.iter().cycle()).for_each(|(index, error)| refuse(&mut outcomes[*index], error));
    }
}

fn refuse(outcome: &mut PairOutcome, error: &ErrorBody) {
    let mut reason = reason(error, None);
    if !reason.code.starts_with(crate::ports::state::ASSOCIATION_FAILURES) {
        reason.code = "SL5110".to_owned();
    }
    *outcome = PairOutcome::Refused(reason.into());
}

/// The numbers that a text names (`COMPANY=42 is not valid`).
fn numbers(text: &str) -> impl Iterator<Item = &str> {
    text.split(|character: char| !character.is_ascii_digit()).filter(|part| !part.is_empty())
}

/// The associations of a call by the records at their ends. Those of a record are given out once: what comes after them
/// says nothing new, and a call may have as many errors as associations.
#[derive(Default)]
struct Named<'a> {
    from: HashMap<&'a HubspotId, Vec<usize>>,
    to: HashMap<&'a HubspotId, Vec<usize>>,
}

impl<'a> Named<'a> {
    fn enter(&mut self, index: usize, pair: &'a PairTypes) {
        self.from.entry(&pair.from).or_default().push(index);
        self.to.entry(&pair.to).or_default().push(index);
    }

    fn take(&mut self, id: &str, only_from: bool) -> [Vec<usize>; 2] {
        let id = HubspotId::new(id);
        let take = |all: &mut HashMap<&HubspotId, Vec<usize>>| all.get_mut(&id).map(std::mem::take).unwrap_or_default();
        [take(&mut self.from), if only_from { Vec::new() } else { take(&mut self.to) }]
    }

    fn knows(&self, id: &str, only_from: bool) -> bool {
        let id = HubspotId::new(id);
        self.from.contains_key(&id) || (!only_from && self.to.contains_key(&id))
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    /// One letter an association of record 1 to records 11, 12, …: d done, r refused, u unknown.
    #[track_caller]
    fn check(count: usize, body: &str, expected: &str) {
        let pair = |to: usize| PairTypes {
            from: HubspotId::new("1"),
            to: HubspotId::new((to + 11).to_string()),
            types: Vec::new(),
        };
        let pairs: Vec<PairTypes> = (0..count).map(pair).collect();
        let chosen: Vec<usize> = (0..count).collect();
        let answer: Batch<MadeAssociation> = serde_json::from_str(body).unwrap();
        let mut outcomes = vec![PairOutcome::Unknown; count];
        confirmed(&answer.results, &pairs, &chosen, &mut outcomes);
        refused(&answer, &pairs, &chosen, &mut outcomes);
        let letter = |outcome: &PairOutcome| match outcome {
            PairOutcome::Done => 'd',
            PairOutcome::Refused(_) => 'r',
            PairOutcome::Unknown => 'u',
        };
        assert_eq!(outcomes.iter().map(letter).collect::<String>(), expected, "{body}");
    }

    #[test]
    fn what_is_confirmed_is_done_whatever_an_error_beside_it_says() {
        let made = |ends: &[u32]| {
            let made: Vec<String> =
                ends.iter().map(|to| format!(r#"{{"fromObjectId":1,"toObjectId":{to}}}"#)).collect();
            made.join(",")
        };
        let body = |ends: &[u32], errors: &str| format!(r#"{{"results":[{}],"errors":[{errors}]}}"#, made(ends));
        let eight = [11, 12, 13, 14, 15, 16, 17, 18];
        let nameless = r#"{"message":"no"}"#;
        check(9, &body(&eight, nameless), "ddddddddr");
        check(9, &body(&eight, r#"{"message":"no","context":{"fromObjectId":["1"]}}"#), "ddddddddr");
        check(9, &body(&eight, r#"{"message":"no","context":{"toObjectId":["19"]}}"#), "ddddddddr");
        check(8, &body(&eight, nameless), "dddddddd");
        check(8, &body(&eight, r#"{"message":"no","context":{"toObjectId":["11"]}}"#), "dddddddd");
        check(10, &body(&eight, nameless), "dddddddduu");
        check(10, &body(&eight, &format!("{nameless},{nameless}")), "ddddddddrr");
        check(10, &body(&eight, r#"{"message":"no","context":{"toObjectId":["20"]}}"#), "ddddddddur");
        check(3, &body(&[], nameless), "rrr");
        check(3, &body(&[], ""), "uuu");
        check(2, &body(&[11], r#"{"message":"no","context":[]}"#), "dr");
    }

    #[test]
    fn what_is_made_may_be_named_in_any_order_and_from_either_side() {
        let made = |ends: &[(u32, u32)]| {
            let one = |(from, to): &(u32, u32)| format!(r#"{{"fromObjectId":"{from}","toObjectId":{to}}}"#);
            format!(r#"{{"results":[{}]}}"#, ends.iter().map(one).collect::<Vec<_>>().join(","))
        };
        check(3, &made(&[(1, 11), (1, 12), (1, 13)]), "ddd");
        check(3, &made(&[(1, 13), (1, 11), (1, 12)]), "ddd");
        check(3, &made(&[(1, 11), (11, 1), (12, 1), (1, 12)]), "ddu");
        check(3, &made(&[(1, 13), (1, 13)]), "uud");
        check(3, &made(&[(1, 11), (2, 12), (1, 13)]), "dud");
    }
}
