//! The answers that come by the thousand, as they nearly always are: without an error, and each entry of the documented form. Anything else
//! reads as nothing here, and is read entry by entry by [`super::wire`].

use serde::{Deserialize, Deserializer};

use super::skim::{Skim, enter};
use super::wire::{
    Answer, AssociatedTo, Associations, Batch, MadeAssociation, Paging, ReadBatch, Reference, TRACE_PREFIX, WireType,
    Written,
};
use crate::model::ids::HubspotId;

/// The answer of a batch that writes records.
#[derive(Debug, Clone, Deserialize)]
#[serde(transparent)]
pub(super) struct WrittenBatch(pub(super) Batch<Written>);

impl Answer for WrittenBatch {
    fn read(body: &[u8]) -> Result<Self, serde_json::Error> {
        written(body).map_or_else(|| Batch::read(body), Ok).map(Self)
    }
}

/// The answer of a batch that makes associations.
#[derive(Debug, Clone, Deserialize)]
#[serde(transparent)]
pub(super) struct MadeBatch(pub(super) Batch<MadeAssociation>);

impl Answer for MadeBatch {
    fn read(body: &[u8]) -> Result<Self, serde_json::Error> {
        made(body).map_or_else(|| Batch::read(body), Ok).map(Self)
    }
}

/// The answer of a batch that reads associations.
#[derive(Debug, Clone)]
pub(super) struct AssociationsBatch(pub(super) ReadBatch<Associations>);

impl<'de> Deserialize<'de> for AssociationsBatch {
    fn deserialize<D: Deserializer<'de>>(source: D) -> Result<Self, D::Error> {
        ReadBatch::deserialize(source).map(Self)
    }
}

impl Answer for AssociationsBatch {
    fn read(body: &[u8]) -> Result<Self, serde_json::Error> {
        let regular = associations(body).map(ReadBatch);
        regular.map_or_else(|| ReadBatch::read(body), Ok).map(Self)
    }

    fn is_one(&self) -> bool {
        self.0.is_one()
    }
}

/// The answer of a batch that writes records. What it repeats of them is passed over: trace ids tell which input each result answers.
fn written(body: &[u8]) -> Option<Batch<Written>> {
    batch(body, |skim| {
        let (mut id, mut new, mut trace) = (None, None, None);
        skim.object(|skim, name| match name {
            b"id" => enter(&mut id, skim.id()),
            b"new" => enter(&mut new, skim.flag()),
            b"objectWriteTraceId" => enter(&mut trace, skim.text()),
            _ => skim.pass(),
        })?;
        let trace = trace.filter(|trace| trace.starts_with(TRACE_PREFIX))?;
        Some(Written::traced(id, new, trace))
    })
}

/// The answer of a batch that makes associations.
fn made(body: &[u8]) -> Option<Batch<MadeAssociation>> {
    batch(body, |skim| {
        let (mut from, mut to) = (None, None);
        skim.object(|skim, name| match name {
            b"fromObjectId" => enter(&mut from, skim.id()),
            b"toObjectId" => enter(&mut to, skim.id()),
            b"from" => enter(&mut from, reference(skim)),
            b"to" => enter(&mut to, reference(skim)),
            _ => skim.pass(),
        })?;
        Some(MadeAssociation::between(from?, to?))
    })
}

/// The answer of a batch that reads associations.
fn associations(body: &[u8]) -> Option<Batch<Associations>> {
    batch(body, |skim| {
        let (mut from, mut to, mut paging) = (None, None, None);
        skim.object(|skim, name| match name {
            b"from" => enter(&mut from, reference(skim)),
            b"to" => enter(&mut to, skim.list_of(FEW, associated)),
            b"paging" if skim.is_object() => enter(&mut paging, following(skim).map(Some)),
            b"paging" => enter(&mut paging, skim.null().map(|()| None)),
            _ => skim.pass(),
        })?;
        Some(Associations { from: Reference { id: from }, to: to.unwrap_or_default(), paging: paging.flatten() })
    })
}

fn following(skim: &mut Skim<'_>) -> Option<Paging> {
    let (mut next, mut after) = (None, None);
    skim.object(|skim, name| match name {
        b"next" => enter(
            &mut next,
            skim.object(|skim, name| match name {
                b"after" => enter(&mut after, skim.text()),
                _ => skim.pass(),
            }),
        ),
        _ => skim.pass(),
    })?;
    after.map(Paging::to)
}

fn associated(skim: &mut Skim<'_>) -> Option<AssociatedTo> {
    let (mut id, mut types) = (None, None);
    skim.object(|skim, name| match name {
        b"toObjectId" => enter(&mut id, skim.id()),
        b"associationTypes" => enter(&mut types, skim.list_of(FEW, wire_type)),
        _ => skim.pass(),
    })?;
    Some(AssociatedTo { to_object_id: id, association_types: types? })
}

fn wire_type(skim: &mut Skim<'_>) -> Option<WireType> {
    let (mut category, mut type_id, mut label) = (None, None, None);
    skim.object(|skim, name| match name {
        b"category" => enter(&mut category, skim.text()),
        b"typeId" => enter(&mut type_id, skim.number()),
        b"label" if skim.is_text() => enter(&mut label, skim.text().map(|label| Some(label.to_string()))),
        b"label" => enter(&mut label, skim.null().map(|()| None)),
        _ => skim.pass(),
    })?;
    Some(WireType { category, type_id, label: label.flatten() })
}

fn reference(skim: &mut Skim<'_>) -> Option<HubspotId> {
    let mut id = None;
    skim.object(|skim, name| match name {
        b"id" => enter(&mut id, skim.id()),
        _ => skim.pass(),
    })?;
    id
}

/// Associations of a record, and types of an association: mostly there is one.
const FEW: usize = 1;

/// Bytes of a result, about: for the memory that is set aside, which is then less than that of the answer.
const RESULT_BYTES: usize = 256;

fn batch<T>(body: &[u8], mut result: impl FnMut(&mut Skim<'_>) -> Option<T>) -> Option<Batch<T>> {
    Skim::whole(body, |skim| {
        let (mut status, mut results, mut errors) = (None, None, None);
        skim.object(|skim, name| match name {
            b"status" => enter(&mut status, skim.text()),
            b"results" => enter(&mut results, skim.list_of(body.len() / RESULT_BYTES, &mut result)),
            // One of them is reason enough to look at each.
            b"errors" => enter(&mut errors, skim.list(|_| None::<()>)),
            _ => skim.pass(),
        })?;
        Some(Batch { status: status.map(String::from), results: results?, errors: Vec::new() })
    })
}

#[cfg(test)]
mod tests {
    use serde_json::{Value, json};

    use super::*;
    use crate::connect::http::entries;
    use crate::sys::rng::Rng;

    /// What an answer of each kind says, the short way and the general one.
    fn both(body: &str) -> [(Option<String>, Option<String>); 3] {
        let bytes = body.as_bytes();
        let shown = |batch: &dyn std::fmt::Debug| format!("{batch:?}");
        let records = |batch: Batch<Written>| {
            let all = batch.results.iter().map(|written| (&written.id, written.new, &written.object_write_trace_id));
            format!("{:?} {:?}", batch.status, all.collect::<Vec<_>>())
        };
        let ends = |batch: Batch<MadeAssociation>| {
            format!("{:?} {:?}", batch.status, batch.results.iter().map(MadeAssociation::ends).collect::<Vec<_>>())
        };
        [
            (written(bytes).map(records), entries::answer::<Batch<Written>>(bytes).ok().map(records)),
            (made(bytes).map(ends), entries::answer::<Batch<MadeAssociation>>(bytes).ok().map(ends)),
            (
                associations(bytes).map(|batch| shown(&batch)),
                entries::answer::<Batch<Associations>>(bytes).ok().map(|batch| shown(&batch)),
            ),
        ]
    }

    /// An answer of the documented forms, now and then with something odd.
    fn answer(rng: &Rng) -> Value {
        let pick = |from: &[Value]| from[rng.below(from.len() as u64) as usize].clone();
        let rarely = |usual: Value, odd: &[Value]| if rng.share() < 0.03 { pick(odd) } else { usual };
        let odd =
            [json!(null), json!(7), json!("x"), json!([]), json!({}), json!(-1.5e3), json!("a\"\\b"), json!(true)];
        let id = || rarely(if rng.share() < 0.5 { json!("31234567890") } else { json!(rng.below(1 << 40)) }, &odd);
        let nested = json!({"sf": "a \"quoted\" {text}", "b": null, "c": "\\", "d": [1, {"e": "]"}],
            "objectWriteTraceId": "no", "ä": "Łódź\n"});
        let flat = [
            json!({}),
            json!({"sf": "001", "b": null, "objectWriteTraceId": "no"}),
            json!({"ä": "Łódź", "b": "}"}),
            json!({"a": "}{", "b": "]"}),
            json!({"}": "x", "new": true}),
            json!({"a": "b}c}", "d": "e"}),
            json!({"a": "\"q\" \\", "b": "\\\"", "c": "\n"}),
            json!({"a": "\\\"}", "b": "x"}),
            json!({"a": "\\", "b": "}"}),
        ];
        let values = || if rng.share() < 0.3 { nested.clone() } else { pick(&flat) };
        let types = || {
            let label = pick(&[json!(null), json!("Kind"), json!("K \"q\"")]);
            json!([{"category": rarely(json!("HUBSPOT_DEFINED"), &odd), "typeId": rarely(json!(5), &odd), "label": label}])
        };
        let mut entry = match rng.below(3) {
            0 => {
                json!({"id": id(), "properties": values(), "createdAt": "2026-01-01T00:00:00Z", "new": rarely(json!(rng.share() < 0.5), &odd),
                "objectWriteTraceId": rarely(json!("syncline-5-7"), &odd)})
            }
            1 if rng.share() < 0.5 => json!({"fromObjectId": id(), "toObjectId": id(), "labels": []}),
            1 => json!({"from": {"id": id(), "more": [1]}, "to": {"id": id()}}),
            _ => json!({"from": {"id": id()}, "to": [{"toObjectId": id(), "associationTypes": rarely(types(), &odd)}]}),
        };
        if rng.share() < 0.05 {
            entry["paging"] = pick(&[json!(null), json!({"next": {"after": "5"}})]);
        }
        let mut answer =
            json!({"status": rarely(json!("COMPLETE"), &odd), "startedAt": "x", "results": [entry.clone(), entry]});
        if rng.share() < 0.1 {
            answer["errors"] = rarely(json!([]), &[json!([{"message": "no"}]), json!(null), json!({})]);
        }
        answer
    }

    #[test]
    fn an_answer_says_the_same_as_by_the_general_way() {
        let mut short = 0;
        for seed in 0..3_000 {
            let rng = Rng::seeded(seed);
            let answer = answer(&rng);
            let body = if rng.share() < 0.5 { answer.to_string() } else { format!("{answer:#}") };
            for (skimmed, general) in both(&body) {
                short += usize::from(skimmed.is_some());
                assert!(skimmed.is_none() || skimmed == general, "{body}\n{skimmed:?}\n{general:?}");
            }
        }
        // Nearly all of the third that has the form of its kind.
        assert!(short > 2_000, "{short}");
    }

    #[test]
    fn what_is_cut_or_damaged_is_no_answer() {
        let written = r#"{"status":"COMPLETE","results":[{"id":"5","properties":{"a":"b\\","c":[{"d":1}]},"new":true,"objectWriteTraceId":"syncline-1-1"}]}"#;
        let flat = written.replacen(r#"[{"d":1}]"#, r#""}""#, 1).replacen(r"\\", "", 1);
        for body in [written, &flat] {
            assert!(super::written(body.as_bytes()).is_some());
            for cut in 0..body.len() {
                assert!(super::written(&body.as_bytes()[..cut]).is_none(), "cut at {cut}");
            }
        }
        for (whole, damaged) in [
            (r#"{"d":1}]"#, r#"{"d":1]]"#),
            (r#"{"d":1}]"#, r#"{"d":1}}"#),
            (r#""new":true"#, r#""new":true,"new":true"#),
            (r#""new":true"#, r#""new":truth"#),
            (r#""new":true"#, r#""n\u0065w":true"#),
            (r#""id":"5""#, r#""id":05"#),
            (r#""id":"5""#, r#""id":5.0"#),
            (r#""id":"5""#, r#""id":"#),
            ("}]}", "}]}}"),
            ("syncline-", "else-"),
            (r#"b\\","c":[{"d":1}]}"#, r#"b"]"#),
            (r#"b\\","c":[{"d":1}]}"#, r#"b}"#),
        ] {
            let body = written.replacen(whole, damaged, 1);
            assert!(body != written && super::written(body.as_bytes()).is_none(), "{body}");
        }
        let deep =
            |levels: usize| written.replace(r#"{"d":1}"#, &format!("{}1{}", "[".repeat(levels), "]".repeat(levels)));
        assert!(super::written(deep(50).as_bytes()).is_some());
        assert!(super::written(deep(5_000).as_bytes()).is_none());
    }
}
