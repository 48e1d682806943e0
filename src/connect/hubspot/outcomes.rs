//! What became of each input of a batch write: confirmed, rejected, or unknown. Pure. The status of the answer says
//! nothing; only what is named in its body counts.

use std::cell::LazyCell;
use std::collections::HashMap;
use std::fmt;
use std::sync::LazyLock;
use std::sync::atomic::{AtomicU64, Ordering};

use super::errors::{context_texts, is_not_found, reason};
use super::wire::{Batch, ErrorBody, TRACE_PREFIX, Written};
use crate::model::digits::Digits;
use crate::ports::target::{RECORD_ID, WriteBatch, WriteMode, WriteOutcome};

/// Numbers the trace ids of this process.
static NEXT: AtomicU64 = AtomicU64::new(0);

/// The number of this process: asking for it is a call of the system, and each record's trace id names it.
/// What trace ids of this process begin with.
static PREFIX: LazyLock<String> = LazyLock::new(|| format!("{TRACE_PREFIX}{}-", std::process::id()));

/// The trace ids of a batch's inputs: one after another.
#[derive(Debug, Clone, Copy)]
pub(super) struct Traces {
    first: u64,
    count: usize,
}

/// The trace id of an input.
#[derive(Debug, Clone, Copy)]
pub(super) struct Trace(u64);

impl Traces {
    /// Those of the next batch.
    pub(super) fn next(count: usize) -> Self {
        Self { first: NEXT.fetch_add(count as u64, Ordering::Relaxed), count }
    }

    /// One for each input.
    pub(super) fn all(self) -> impl Iterator<Item = Trace> {
        (self.first..).take(self.count).map(Trace)
    }

    /// The input that a text names.
    fn input(self, text: &str) -> Option<usize> {
        let index = text.strip_prefix(&**PREFIX)?.parse::<u64>().ok()?.checked_sub(self.first)?;
        usize::try_from(index).ok().filter(|index| *index < self.count)
    }
}

impl Trace {
    /// Adds it to JSON.
    pub(super) fn append_to(self, json: &mut Vec<u8>) {
        json.extend_from_slice(PREFIX.as_bytes());
        json.extend_from_slice(&Digits::of(self.0));
    }
}

impl fmt::Display for Trace {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{}{}", *PREFIX, self.0)
    }
}

/// The input with a key.
type ByKey<'a> = HashMap<&'a str, usize>;

/// Accounts for every input.
///
/// - `traces`: the trace ids that were sent with the inputs.
/// - A result belongs to the input whose trace id it echoes, else to the one whose key it holds. Results may come in
///   any order, twice, or not at all; an error entry may name several inputs.
pub(super) fn outcomes(batch: &WriteBatch<'_>, traces: Traces, answer: Batch<Written>) -> Vec<WriteOutcome> {
    let by_key = LazyCell::new(|| batch.inputs.iter().enumerate().map(|(index, input)| (&*input.key, index)).collect());
    let by_key: &LazyCell<ByKey<'_>, _> = &by_key;
    let mut outcomes = vec![WriteOutcome::Unknown; batch.inputs.len()];
    if answer.status.as_deref().is_some_and(|status| status != "COMPLETE") {
        tracing::warn!(status = answer.status, "batch answered with another status than COMPLETE");
    }
    let mut unattributed: Vec<&ErrorBody> = Vec::new();
    for error in &answer.errors {
        let named = named(error, batch.key_property, traces, by_key);
        if named.is_empty() && !is_not_found(error) {
            unattributed.push(error);
        }
        for index in named {
            outcomes[index] = WriteOutcome::Rejected(reason(error, None).into());
        }
    }
    for object in answer.results {
        let traced = object.object_write_trace_id.as_deref().and_then(|trace| traces.input(trace));
        let keyed = || match batch.key_property {
            RECORD_ID => by_key.get(&*object.id.as_ref()?.text()).copied(),
            property => by_key.get(&*object.value(property)?).copied(),
        };
        if let (Some(index), Some(id)) = (traced.or_else(keyed), object.id.clone()) {
            let created = match batch.mode {
                WriteMode::Upsert => object.new,
                WriteMode::Create => Some(true),
                WriteMode::Update => Some(false),
            };
            outcomes[index] = match &outcomes[index] {
                // Two records for one input: which is ours must be looked up.
                WriteOutcome::Confirmed { id: other, .. } if *other != id => WriteOutcome::Unknown,
                _ => WriteOutcome::Confirmed { id, created },
            };
        }
    }
    // An error that names nobody is about the only input that is left, where there is only one.
    let mut left = (0..outcomes.len()).filter(|index| outcomes[*index] == WriteOutcome::Unknown);
    if let (Some(index), None, Some(error)) = (left.next(), left.next(), unattributed.first()) {
        outcomes[index] = WriteOutcome::Rejected(reason(error, None).into());
    }
    outcomes
}

/// The inputs that an error entry names: by trace id, by id, or by the key property.
fn named(error: &ErrorBody, key_property: &str, traces: Traces, by_key: &ByKey<'_>) -> Vec<usize> {
    let traced: Vec<usize> =
        context_texts(error, "objectWriteTraceId").iter().filter_map(|trace| traces.input(trace)).collect();
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

    fn batch<'a>(keys: &[&'a str]) -> WriteBatch<'a> {
        let input =
            |key: &&'a str| WriteInput { key: (*key).into(), properties: None, create_only: None, skips_blanks: false };
        let inputs = keys.iter().map(input).collect();
        WriteBatch { object: "2-1", key_property: "sf", mode: WriteMode::Upsert, inputs }
    }

    /// One letter an input: c confirmed, n confirmed as new, r rejected, u unknown.
    #[track_caller]
    fn check(body: &str, expected: &str) {
        let batch = batch(&["A", "B", "C"]);
        let traces = Traces::next(3);
        let with_traces = traces.all().enumerate().fold(body.to_owned(), |body, (index, trace)| {
            body.replace(&format!("\"t{index}\""), &format!("\"{trace}\""))
        });
        let got = outcomes(&batch, traces, serde_json::from_str(&with_traces).unwrap());
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
