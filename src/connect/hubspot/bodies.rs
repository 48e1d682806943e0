//! The bodies of calls that write records and make associations: the bytes that the general way would give, of which names are written once
//! for all records and values without a look at each of their characters, where none has to be escaped.

use std::io::Write as _;
use std::sync::Arc;

use super::outcomes::Trace;
use crate::model::association::AssociationType;
use crate::model::ids::HubspotId;
use crate::model::record::Properties;
use crate::ports::target::{PairTypes, RECORD_ID, WriteBatch, WriteInput, WriteMode};
use crate::sys::find;

/// Bytes of an input beside its properties, about.
const INPUT_BYTES: usize = 128;

/// The inputs of a batch, each with its trace id, as JSON.
pub(super) fn of_records(batch: &WriteBatch<'_>, traces: impl Iterator<Item = Trace>) -> Vec<u8> {
    let mut names = Names::default();
    let mut body = Vec::with_capacity(batch.inputs.iter().map(|input| INPUT_BYTES + input.bytes()).sum());
    // A record that is created has no id yet, and its key stands among its properties.
    let by_key = batch.mode != WriteMode::Create;
    let mut id_property = Vec::new();
    // Without a name, HubSpot takes the id for the record's own.
    if by_key && batch.key_property != RECORD_ID {
        id_property.extend_from_slice(br#""idProperty":"#);
        text(&mut id_property, batch.key_property);
        id_property.push(b',');
    }
    body.extend_from_slice(br#"{"inputs":["#);
    for (place, (input, trace)) in batch.inputs.iter().zip(traces).enumerate() {
        body.extend_from_slice(if place > 0 { b",{" } else { b"{" });
        if by_key {
            body.extend_from_slice(br#""id":"#);
            text(&mut body, &input.key);
            body.push(b',');
        }
        body.extend_from_slice(&id_property);
        body.extend_from_slice(br#""properties":{"#);
        properties(&mut body, &mut names, input);
        body.extend_from_slice(br#"},"objectWriteTraceId":""#);
        trace.append_to(&mut body);
        body.extend_from_slice(br#""}"#);
    }
    body.extend_from_slice(b"]}");
    body
}

/// Bytes of a pair of records beside its types, about.
const PAIR_BYTES: usize = 80;

/// Pairs of records, each with the types of associations to make, as JSON.
pub(super) fn of_pairs<'a>(pairs: impl ExactSizeIterator<Item = (&'a PairTypes, &'a [AssociationType])>) -> Vec<u8> {
    let mut body = Vec::with_capacity(pairs.len() * 2 * PAIR_BYTES);
    // Mostly those of one pair are those of all.
    let (mut known, mut of_known): (&[AssociationType], Vec<u8>) = (&[], Vec::new());
    body.extend_from_slice(br#"{"inputs":["#);
    for (place, (pair, types)) in pairs.enumerate() {
        body.extend_from_slice(if place > 0 { br#",{"from":{"id":"# } else { br#"{"from":{"id":"# });
        id(&mut body, &pair.from);
        body.extend_from_slice(br#"},"to":{"id":"#);
        id(&mut body, &pair.to);
        body.push(b'}');
        if known != types {
            (known, of_known) = (types, of_types(types));
        }
        body.extend_from_slice(&of_known);
        body.push(b'}');
    }
    body.extend_from_slice(b"]}");
    body
}

/// The member that names types; nothing where there are none.
fn of_types(types: &[AssociationType]) -> Vec<u8> {
    let mut member = Vec::new();
    for (place, kind) in types.iter().enumerate() {
        member.extend_from_slice(if place > 0 { b"," } else { br#","types":["# });
        member.extend_from_slice(br#"{"associationCategory":"#);
        text(&mut member, &kind.category);
        // Writing into a vector cannot fail.
        let _ = write!(member, r#","associationTypeId":{}}}"#, kind.type_id);
    }
    if !types.is_empty() {
        member.push(b']');
    }
    member
}

fn properties(body: &mut Vec<u8>, names: &mut Names, input: &WriteInput<'_>) {
    let begin = body.len();
    for all in input.properties.into_iter().chain(input.create_only) {
        names.know(all);
        // All values lie one after another, so that one look tells where the next byte is that has to be escaped.
        let (bytes, mut end) = (all.text().as_bytes(), 0);
        let mut odd = odd_from(bytes, 0);
        for (place, value) in all.placed() {
            let start = end;
            end += value.len();
            if input.skips_blanks && value.is_empty() {
                continue;
            }
            // The first one follows no comma.
            body.extend_from_slice(&names.member(place)[usize::from(body.len() == begin)..]);
            if odd < start {
                odd = odd_from(bytes, start);
            }
            if odd >= end {
                body.extend_from_slice(value.as_bytes())
            } else {
                escaped(body, value)
            }
            body.push(b'"');
        }
    }
}

/// The names of properties as they stand before their values, with a comma before and a quote after.
#[derive(Default)]
struct Names {
    of: Option<Arc<[Arc<str>]>>,
    members: Vec<u8>,
    /// Where each ends.
    ends: Vec<usize>,
}

impl Names {
    /// Takes in the names of these, as a rule those of all before.
    fn know(&mut self, properties: &Properties) {
        let names = properties.names();
        if self.of.as_ref().is_some_and(|known| Arc::ptr_eq(known, names)) {
            return;
        }
        self.members.clear();
        self.ends.clear();
        for name in names.iter() {
            self.members.push(b',');
            text(&mut self.members, name);
            self.members.extend_from_slice(br#":""#);
            self.ends.push(self.members.len());
        }
        self.of = Some(Arc::clone(names));
    }

    fn member(&self, place: usize) -> &[u8] {
        let begin = place.checked_sub(1).map_or(0, |before| self.ends[before]);
        &self.members[begin..self.ends[place]]
    }
}

/// A text as JSON.
fn text(body: &mut Vec<u8>, value: &str) {
    body.push(b'"');
    escaped(body, value);
    body.push(b'"');
}

fn id(body: &mut Vec<u8>, id: &HubspotId) {
    let id = id.text();
    match id.digits() {
        Some(digits) => [b"\"".as_slice(), digits, b"\""].iter().for_each(|part| body.extend_from_slice(part)),
        None => text(body, &id),
    }
}

/// A text without quotes around it.
fn escaped(body: &mut Vec<u8>, value: &str) {
    let (bytes, mut at) = (value.as_bytes(), 0);
    loop {
        let odd = odd_from(bytes, at);
        body.extend_from_slice(&bytes[at..odd]);
        let Some(byte) = bytes.get(odd) else { break };
        at = odd + 1;
        match byte {
            b'"' => body.extend_from_slice(br#"\""#),
            b'\\' => body.extend_from_slice(br"\\"),
            b'\n' => body.extend_from_slice(br"\n"),
            b'\r' => body.extend_from_slice(br"\r"),
            b'\t' => body.extend_from_slice(br"\t"),
            8 => body.extend_from_slice(br"\b"),
            12 => body.extend_from_slice(br"\f"),
            // Writing into a vector cannot fail.
            _ => drop(write!(body, "\\u{byte:04x}")),
        }
    }
}

/// The place of the first byte, from one on, that is escaped in JSON; the end where none is.
fn odd_from(bytes: &[u8], from: usize) -> usize {
    find::first_escaped(&bytes[from..]).map_or(bytes.len(), |place| from + place)
}

#[cfg(test)]
mod tests {
    use serde::{Serialize, Serializer};
    use serde_json::{Value, json};

    use super::super::outcomes::Traces;
    use super::*;
    use crate::model::ids::HubspotId;
    use crate::sys::rng::Rng;

    /// The same by the general way.
    #[derive(Serialize)]
    struct Inputs<'a> {
        inputs: Vec<Input<'a>>,
    }

    #[derive(Serialize)]
    #[serde(rename_all = "camelCase")]
    struct Input<'a> {
        #[serde(skip_serializing_if = "Option::is_none")]
        id: Option<&'a str>,
        #[serde(skip_serializing_if = "Option::is_none")]
        id_property: Option<&'a str>,
        #[serde(serialize_with = "sent")]
        properties: WriteInput<'a>,
        object_write_trace_id: String,
    }

    fn sent<S: Serializer>(input: &WriteInput<'_>, to: S) -> Result<S::Ok, S::Error> {
        let all = input.properties.into_iter().chain(input.create_only).flat_map(Properties::iter);
        to.collect_map(all.filter(|(_, value)| !input.skips_blanks || !value.is_empty()))
    }

    fn generally(batch: &WriteBatch<'_>, traces: impl Iterator<Item = Trace>) -> String {
        let by_key = batch.mode != WriteMode::Create;
        let inputs = batch.inputs.iter().zip(traces).map(|(input, trace)| Input {
            id: by_key.then_some(&*input.key),
            id_property: Some(batch.key_property).filter(|property| by_key && *property != RECORD_ID),
            properties: input.clone(),
            object_write_trace_id: trace.to_string(),
        });
        serde_json::to_string(&Inputs { inputs: inputs.collect() }).unwrap()
    }

    #[test]
    fn a_body_is_the_same_as_the_general_way_gives() {
        let values = [
            "",
            "Łódź",
            "a \"b\"",
            "c:\\d",
            "one\r\ntwo\t",
            "\u{1}\u{1f}\u{7f}\u{2028}",
            "</script>",
            "🦀 x",
            " ",
            "5",
        ];
        let names: Arc<[Arc<str>]> = ["id", "name", "odd \"name\"", "ort_ä"].map(Arc::from).into();
        let others: Arc<[Arc<str>]> = ["else"].map(Arc::from).into();
        for seed in 0..400 {
            let rng = Rng::seeded(seed);
            let below = |most: usize| usize::try_from(rng.below(most as u64)).unwrap();
            let set = |names: &Arc<[Arc<str>]>| {
                let mut set = Properties::new(names);
                (0..names.len())
                    .filter(|_| rng.share() < 0.8)
                    .for_each(|name| set.push(name, values[below(values.len())]));
                set
            };
            let records: Vec<[Properties; 2]> =
                (0..below(4)).map(|_| [set(&names), set(if rng.share() < 0.5 { &names } else { &others })]).collect();
            let inputs = records.iter().map(|[properties, create_only]| WriteInput {
                key: values[below(values.len())].into(),
                properties: Some(properties).filter(|_| rng.share() < 0.9),
                // A property that is set twice is no case: the definition has each once.
                create_only: Some(create_only).filter(|other| Arc::ptr_eq(other.names(), &others)),
                skips_blanks: rng.share() < 0.5,
            });
            let mode = [WriteMode::Upsert, WriteMode::Create, WriteMode::Update][below(3)];
            let key_property = ["id", RECORD_ID, "\"k\""][below(3)];
            let batch = WriteBatch { object: "2-1", key_property, mode, inputs: inputs.collect() };
            let traces = Traces::next(batch.inputs.len());
            let body = String::from_utf8(of_records(&batch, traces.all())).unwrap();
            assert_eq!(body, generally(&batch, traces.all()), "seed {seed}");
        }
    }

    #[test]
    fn pairs_are_the_same_as_the_general_way_gives() {
        let kind =
            |category: &str, type_id| AssociationType { category: category.into(), type_id, label: Some("A".into()) };
        let lists = [vec![], vec![kind("HUBSPOT_DEFINED", 5)], vec![kind("USER_DEFINED", 7), kind("odd \"c\"", 8)]];
        let between =
            |from: &str, to: &str| PairTypes { from: HubspotId::new(from), to: HubspotId::new(to), types: Vec::new() };
        let ends = [between("1", "2"), between("31234567890", "5"), between("odd \"1\"", "ä")];
        for count in 0..7 {
            let pairs = (0..count).map(|place| (&ends[place % 3], lists[place / 2 % 3].as_slice()));
            let general = |(ends, types): (&PairTypes, &[AssociationType])| {
                let kind = |kind: &AssociationType| json!({"associationCategory": kind.category, "associationTypeId": kind.type_id});
                let mut input = json!({"from": {"id": ends.from}, "to": {"id": ends.to}});
                if !types.is_empty() {
                    input["types"] = types.iter().map(kind).collect();
                }
                input
            };
            let general: Vec<Value> = pairs.clone().map(general).collect();
            let body: Value = serde_json::from_slice(&of_pairs(pairs)).unwrap();
            assert_eq!(body, json!({ "inputs": general }));
        }
    }
}
