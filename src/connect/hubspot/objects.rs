//! Records: batch write, batch read, listing, archiving.

use std::sync::Arc;
use std::sync::atomic::AtomicU64;

use percent_encoding::{AsciiSet, NON_ALPHANUMERIC, utf8_percent_encode};
use serde_json::json;

use super::api::{Api, Call};
use super::bodies;
use super::errors::local;
use super::lookups::{LOOKS_MAX, Records, record};
use super::outcomes::{Traces, outcomes};
use super::regular::WrittenBatch;
use super::settings::API_VERSION;
use super::wire::{Object, Page, ReadBatch};
use crate::model::ids::HubspotId;
use crate::ports::fault::Fault;
use crate::ports::target::{Lookup, RECORD_ID, TargetPage, TargetRecord, WriteBatch, WriteMode, WriteOutcome};

/// What is encoded in a path segment or query value.
const ENCODED: &AsciiSet = &NON_ALPHANUMERIC.remove(b'-').remove(b'_').remove(b'.');

/// Pages of one search: HubSpot gives no more than 10,000 records.
const SEARCH_PAGES_MAX: usize = 50;

/// `/crm/objects/2026-09/2-1/batch/upsert`
fn path(object: &str, rest: &str) -> String {
    format!("/crm/objects/{API_VERSION}/{}{rest}", encode(object))
}

/// A text for a path segment or a query value.
pub(super) fn encode(text: &str) -> String {
    utf8_percent_encode(text, ENCODED).to_string()
}

/// Writes a batch; every input has a trace id of its own, so that a bad one does not spoil the rest.
pub(super) async fn write(api: &Api, calls: &AtomicU64, batch: &WriteBatch<'_>) -> Result<Vec<WriteOutcome>, Fault> {
    let traces = Traces::next(batch.inputs.len());
    let (operation, rest) = match batch.mode {
        WriteMode::Upsert => ("upsert records", "/batch/upsert"),
        WriteMode::Create => ("create records", "/batch/create"),
        WriteMode::Update => ("update records", "/batch/update"),
    };
    let body = bodies::of_records(batch, traces.all());
    let call = Call::post_bytes(operation, path(batch.object, rest), Some(body.into()));
    // An upsert or update sent twice leaves the same values; a creation sent twice leaves two records.
    let call = if batch.mode == WriteMode::Create { call.once() } else { call };
    let WrittenBatch(answer) = api.fetch(calls, &call).await?;
    Ok(outcomes(batch, traces, answer))
}

/// Reads records by a unique property; the keys that an answer passes over are asked for again.
pub(super) async fn read_by_key(
    api: &Api,
    calls: &AtomicU64,
    object: &str,
    key_property: &str,
    keys: &[String],
    properties: &[Arc<str>],
) -> Result<Vec<Lookup<TargetRecord>>, Fault> {
    let mut wanted: Vec<&str> = properties.iter().map(|property| &**property).collect();
    // The answer has no other sign of which key a record was asked for by.
    if !wanted.contains(&key_property) {
        wanted.push(key_property);
    }
    let mut records = Records::new(key_property, keys);
    for look in 0..LOOKS_MAX {
        let open = records.open();
        if open.is_empty() {
            break;
        }
        if look > 0 {
            tracing::debug!(keys = open.len(), "a batch read says nothing of some keys: they are asked for again");
            // A record that was written a moment ago may be unknown to a part of HubSpot still.
            api.backoff(look, None).await?;
        }
        let inputs: Vec<_> = open.iter().map(|key| json!({ "id": key })).collect();
        let mut body = json!({ "properties": wanted, "propertiesWithHistory": [], "inputs": inputs });
        // Records are read by their own ids where no property is named.
        if key_property != RECORD_ID {
            body["idProperty"] = json!(key_property);
        }
        let call = Call::post("read records", path(object, "/batch/read"), &body);
        match api.fetch::<ReadBatch<Object>>(calls, &call).await {
            // Older answers say 404 as a whole.
            Err(Fault::Reject(reason)) if reason.remote_code.as_deref() == Some("OBJECT_NOT_FOUND") => {
                records.enter_refusal(&open);
            }
            answer => records.enter(&open, answer?.0),
        }
    }
    Ok(records.finish())
}

/// One page of all records.
pub(super) async fn list(
    api: &Api,
    calls: &AtomicU64,
    object: &str,
    properties: &[Arc<str>],
    after: Option<&str>,
) -> Result<TargetPage, Fault> {
    let names: Vec<String> = properties.iter().map(|property| encode(property)).collect();
    let after = after.map(|after| format!("&after={}", encode(after))).unwrap_or_default();
    // A hundred is the most that HubSpot gives at once.
    let target = path(object, &format!("?limit=100&properties={}{after}", names.join(",")));
    let page: Page<Object> = api.fetch(calls, &Call::get("list records", target)).await?;
    let next = page.paging.as_ref().and_then(super::wire::Paging::after);
    Ok(TargetPage { records: page.entries().into_iter().filter_map(record).collect(), next })
}

/// Records that hold one of these values, as the search shows them.
pub(super) async fn search(
    api: &Api,
    calls: &AtomicU64,
    object: &str,
    property: &str,
    values: &[String],
) -> Result<Vec<TargetRecord>, Fault> {
    // In a list, HubSpot finds texts by their lower case only.
    let values: Vec<String> = values.iter().map(|value| value.to_lowercase()).collect();
    let mut records = Vec::new();
    let mut after = None;
    for _ in 0..SEARCH_PAGES_MAX {
        let mut body = json!({
            "filterGroups": [{ "filters": [{ "propertyName": property, "operator": "IN", "values": values }] }],
            "sorts": [{ "propertyName": RECORD_ID, "direction": "ASCENDING" }],
            "properties": [property],
            "limit": 200,
        });
        if let Some(after) = &after {
            body["after"] = json!(after);
        }
        let call = Call::post("search records", path(object, "/search"), &body).search();
        let page: Page<Object> = api.fetch(calls, &call).await?;
        let next = page.paging.as_ref().and_then(super::wire::Paging::after);
        records.extend(page.entries().into_iter().filter_map(record));
        // A page that names itself as the next one has no end.
        if next.is_none() || next == after {
            break;
        }
        after = next;
    }
    Ok(records)
}

/// Archives records.
pub(super) async fn archive(api: &Api, calls: &AtomicU64, object: &str, ids: &[HubspotId]) -> Result<(), Fault> {
    let inputs: Vec<_> = ids.iter().map(|id| json!({ "id": id })).collect();
    // May be sent twice: archiving what is archived changes nothing.
    let call = Call::post("archive records", path(object, "/batch/archive"), &json!({ "inputs": inputs }));
    match api.done(calls, &call).await? {
        (204, _) => Ok(()),
        // The documented answer has status 204 and no body. Another one may have come from anywhere.
        (status, _) => {
            let text = format!("answered with status {status}, which does not confirm that it was done");
            Err(Fault::Unknown(local(call.operation, text, 1)))
        }
    }
}
