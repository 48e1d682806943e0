//! The body of a call that writes records: the bytes that the general way would give, of which names are written once for all records
//! and values without a look at each of their characters, where none of a record's has to be escaped.

use std::io::Write as _;
use std::sync::Arc;

use super::outcomes::Trace;
use crate::model::record::Properties;
use crate::ports::target::{RECORD_ID, WriteBatch, WriteInput, WriteMode};

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
            text(&mut body, input.key);
            body.push(b',');
        }
        body.extend_from_slice(&id_property);
        body.extend_from_slice(br#""properties":{"#);
        properties(&mut body, &mut names, input);
        body.extend_from_slice(br#"},"objectWriteTraceId":""#);
        // Writing into a vector cannot fail.
        let _ = write!(body, "{trace}");
        body.extend_from_slice(br#""}"#);
    }
    body.extend_from_slice(b"]}");
    body
}

fn properties(body: &mut Vec<u8>, names: &mut Names, input: &WriteInput<'_>) {
    let begin = body.len();
    for all in input.properties.into_iter().chain(input.create_only) {
        names.know(all);
        // At a look, as all values lie one after another.
        let is_plain = is_plain(all.text());
        for (place, value) in all.placed().filter(|(_, value)| !input.skips_blanks || !value.is_empty()) {
            if body.len() > begin {
                body.push(b',');
            }
            body.extend_from_slice(names.member(place));
            if is_plain { plain(body, value) } else { text(body, value) }
        }
    }
}

/// The names of properties as they stand before their values.
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
            text(&mut self.members, name);
            self.members.push(b':');
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
    if is_plain(value) {
        plain(body, value);
    } else {
        // Writing into a vector cannot fail, nor can a text be no JSON.
        let _ = serde_json::to_writer(body, value);
    }
}

fn plain(body: &mut Vec<u8>, value: &str) {
    body.push(b'"');
    body.extend_from_slice(value.as_bytes());
    body.push(b'"');
}

/// Whether nothing of a text is escaped in JSON.
fn is_plain(value: &str) -> bool {
    // Without an end before the last byte, so that many are looked at at once.
    !value.bytes().fold(false, |odd, byte| odd | (byte < b' ') | (byte == b'"') | (byte == b'\\'))
}

#[cfg(test)]
mod tests {
    use serde::{Serialize, Serializer};

    use super::super::outcomes::Traces;
    use super::*;
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
        to.collect_map(input.sent())
    }

    fn generally(batch: &WriteBatch<'_>, traces: impl Iterator<Item = Trace>) -> String {
        let by_key = batch.mode != WriteMode::Create;
        let inputs = batch.inputs.iter().zip(traces).map(|(input, trace)| Input {
            id: by_key.then_some(input.key),
            id_property: Some(batch.key_property).filter(|property| by_key && *property != RECORD_ID),
            properties: *input,
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
                key: values[below(values.len())],
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
}
