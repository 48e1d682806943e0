//! What became of each input of a batch write: confirmed, rejected, or unknown. Pure. The status of the answer says
//! nothing; only what is named in its body counts.

use std::collections::HashMap;

use super::errors::{context_texts, is_not_found, reason};
use super::wire::{Batch, ErrorBody, Object, text};
use crate::model::ids::HubspotId;
use crate::ports::target::{RECORD_ID, WriteBatch, WriteMode, WriteOutcome};

/// Accounts for every input.
///
/// - `traces`: the trace id that was sent with each input.
/// - A result belongs to the input whose trace id it echoes, else to the one whose key it holds. Results may come in
///   any order, twice, or not at all; an error entry may name several inputs.
pub(super) fn outcomes(batch: &WriteBatch, traces: &[String], answer: Batch<Object>) -> Vec<WriteOutcome> {
    let by_trace: HashMap<&str, usize> =
        traces.iter().enumerate().map(|(index, trace)| (trace.as_str(), index)).collect();
    let by_key: HashMap<&str, usize> =
        batch.inputs.iter().enumerate().map(|(index, input)| (input.key.as_str(), index)).collect();
    let mut outcomes = vec![WriteOutcome::Unknown; batch.inputs.len()];
    if answer.status.as_deref().is_some_and(|status| status != "COMPLETE") {
        tracing::warn!(status = answer.status, "batch answered with another status than COMPLETE");
    }
    let mut unattributed: Vec<&ErrorBody> = Vec::new();
    for error in &answer.errors {
        let named = named(error, &batch.key_property, &by_trace, &by_key);
        if named.is_empty() && !is_not_found(error) {
            unattributed.push(error);
        }
        for index in named {
            outcomes[index] = WriteOutcome::Rejected(reason(error, None));
        }
    }
    for object in answer.results {
        let record = object.id.as_ref().and_then(text);
        let key = match &*batch.key_property {
            RECORD_ID => record.as_deref(),
            property => object.properties.get(property).and_then(Option::as_deref),
        };
        let traced = object.object_write_trace_id.as_deref().and_then(|trace| by_trace.get(trace));
        let index = traced.or_else(|| by_key.get(key?));
        if let (Some(index), Some(id)) = (index, record) {
            let created = match batch.mode {
                WriteMode::Upsert => object.new,
                WriteMode::Create => Some(true),
                WriteMode::Update => Some(false),
            };
            let id = HubspotId::new(id);
            outcomes[*index] = match &outcomes[*index] {
                // Two records for one input: which is ours must be looked up.
                WriteOutcome::Confirmed { id: other, .. } if *other != id => WriteOutcome::Unknown,
                _ => WriteOutcome::Confirmed { id, created },
            };
        }
    }
    // An error that names nobody is about the only input that is left, where there is only one.
    let mut left = (0..outcomes.len()).filter(|index| outcomes[*index] == WriteOutcome::Unknown);
    if let (Some(index), None, Some(error)) = (left.next(), left.next(), unattributed.first()) {
        outcomes[index] = WriteOutcome::Rejected(reason(error, None));
    }
    outcomes
}

/// The inputs that an error entry names: by trace id, by id, or by the key property.
fn named(
    error: &ErrorBody,
    key_property: &str,
    by_trace: &HashMap<&str, usize>,
    by_key: &HashMap<&str, usize>,
) -> Vec<usize> {
    let traced: Vec<usize> = context_texts(error, "objectWriteTraceId")
        .iter()
        .filter_map(|trace| by_trace.get(trace.as_str()).copied())
        .collect();
    if !traced.is_empty() {
        return traced;
    }
    let keys = ["ids", "id", key_property].into_iter().flat_map(|key| context_texts(error, key));
    keys.filter_map(|key| by_key.get(key.as_str()).copied()).collect()
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::ports::target::WriteInput;

    fn batch(keys: &[&str]) -> WriteBatch {
        let inputs = keys.iter().map(|key| WriteInput { key: (*key).to_owned(), properties: Vec::new() }).collect();
        WriteBatch { object: "2-1".to_owned(), key_property: "sf".into(), mode: WriteMode::Upsert, inputs }
    }

    /// One letter an input: c confirmed, n confirmed as new, r rejected, u unknown.
    #[track_caller]
    fn check(body: &str, expected: &str) {
        let batch = batch(&["A", "B", "C"]);
        let traces: Vec<String> = ["t0", "t1", "t2"].map(str::to_owned).to_vec();
        let got = outcomes(&batch, &traces, serde_json::from_str(body).unwrap());
        let letters: String = got
            .iter()
            .map(|outcome| match outcome {
                WriteOutcome::Confirmed { created: Some(true), .. } => 'n',
                WriteOutcome::Confirmed { .. } => 'c',
                WriteOutcome::Rejected(_) => 'r',
                WriteOutcome::Unknown => 'u',
            })
            .collect();
        assert_eq!(letters, expected, "{body}");
    }

    #[test]
    fn every_input_is_accounted_for() {
        check("{}", "uuu");
        check(r#"{"status":"COMPLETE","results":[]}"#, "uuu");
        check(
            r#"{"results":[{"id":"3","new":true,"objectWriteTraceId":"t2"},{"id":1,"objectWriteTraceId":"t0","new":false}]}"#,
            "cun",
        );
        check(r#"{"results":[{"id":"1","properties":{"sf":"B"}},{"id":"1","properties":{"sf":"B"}}]}"#, "ucu");
        check(r#"{"results":[{"properties":{"sf":"B"}}]}"#, "uuu");
        check(r#"{"results":[{"id":"1","properties":{"sf":"b"}}]}"#, "uuu");
        check(r#"{"errors":[{"message":"no","context":{"objectWriteTraceId":["t1"]}}],"numErrors":7}"#, "uru");
        check(r#"{"errors":[{"message":"no","context":{"ids":["A","C"]}}]}"#, "rur");
        check(r#"{"errors":[{"message":"no"}]}"#, "uuu");
        check(
            r#"{"results":[{"id":"1","properties":{"sf":"A"}},{"id":"2","properties":{"sf":"B"}}],"errors":[{"message":"no"}]}"#,
            "ccr",
        );
        check(r#"{"status":"PENDING","results":[{"id":"1","objectWriteTraceId":"t0"}]}"#, "cuu");
    }
}
