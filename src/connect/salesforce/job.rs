//! Bulk API 2.0 query jobs as such: started, waited for, deleted. Their results are read elsewhere.

use std::sync::atomic::AtomicU64;
use std::time::Duration;

use reqwest::Method;

use super::api::{Api, Bad, Call, Tries, Trouble};
use super::errors::{self, Action};
use super::reading::Reading;
use super::soql::{self, Order};
use super::wire::{Job, JobState, NewJob};
use crate::ports::fault::Fault;
use crate::ports::source::Extract;

/// First wait between two looks at a job, and the longest.
/// Small jobs end within seconds; a long one costs 120 calls an hour at most.
const POLL_FIRST: Duration = Duration::from_secs(1);
const POLL_LONGEST: Duration = Duration::from_secs(30);

/// Objects that the Bulk API is known to refuse. Others that it refuses are noticed by its answer.
const NOT_FOR_BULK: [&str; 12] = [
    "AcceptedEventRelation",
    "CaseStatus",
    "ContractStatus",
    "DeclinedEventRelation",
    "PartnerRole",
    "ServiceAppointmentStatus",
    "SolutionStatus",
    "TaskPriority",
    "TaskStatus",
    "UndecidedEventRelation",
    "WorkOrderLineItemStatus",
    "WorkOrderStatus",
];

/// Whether the Bulk API may be tried for a read.
pub(super) fn allowed(query: &Extract) -> bool {
    // A list of ids is short and of one batch: a job would take longer than the query.
    query.ids.is_none() && !NOT_FOR_BULK.iter().any(|name| name.eq_ignore_ascii_case(&query.object))
}

/// How a job came out.
pub(super) enum Outcome {
    /// Its results can be read; with the number of rows by its own count.
    Complete(Option<u64>),
    /// It failed, was aborted or is gone; with what is known of why.
    Lost(String),
}

/// Starts a job; gives its id.
pub(super) async fn create(cx: &Reading<'_>) -> Result<String, Trouble> {
    // Without an order: Salesforce then splits the job by ranges of ids and reads them side by side.
    let query = soql::select(&cx.query, Order::Unordered, None);
    let operation = if cx.query.deleted.reads_bin() { "queryAll" } else { "query" };
    let new = NewJob { operation, query: &query, content_type: "CSV", column_delimiter: "COMMA", line_ending: "LF" };
    let body = serde_json::to_vec(&new).unwrap_or_default();
    let target = format!("{}/jobs/query", cx.api.base());
    let job = cx.api.fetch(cx.calls, &Call::post(&cx.operation, &target, body), decode).await?;
    tracing::debug!(job = %job.id, object = %cx.query.object, "bulk query job started");
    Ok(job.id)
}

/// Waits until a job has ended, at most for `patience`.
pub(super) async fn wait(cx: &Reading<'_>, id: &str, patience: Duration) -> Result<Outcome, Trouble> {
    let target = target(cx.api, id);
    let (mut pause, mut waited) = (POLL_FIRST, Duration::ZERO);
    loop {
        let job = match cx.api.fetch(cx.calls, &Call::get(&cx.operation, &target), decode).await {
            Ok(job) => job,
            // Jobs are deleted after seven days, or by an administrator.
            Err(trouble) if trouble.action() == Some(Action::Missing) => {
                return Ok(Outcome::Lost("the job was deleted".to_owned()));
            }
            Err(trouble) if spoiled(&trouble) => {
                return Ok(Outcome::Lost(format!("the job cannot be asked for: {}", trouble.fault(&cx.operation))));
            }
            Err(trouble) => return Err(trouble),
        };
        // A saved id may be another read's by a damaged state; its rows would pass for ours.
        let other = job.object.as_deref().is_some_and(|object| !object.eq_ignore_ascii_case(&cx.query.object));
        match job.state {
            _ if other => return Ok(Outcome::Lost("the job reads another object".to_owned())),
            JobState::JobComplete => return Ok(Outcome::Complete(job.number_records_processed)),
            JobState::Failed | JobState::Aborted => {
                let why = job.error_message.unwrap_or_else(|| "no reason was given".to_owned());
                let why: String = why.chars().take(300).collect();
                return Ok(Outcome::Lost(format!("the job ended as {:?}: {why}", job.state)));
            }
            JobState::UploadComplete | JobState::InProgress | JobState::Other(_) => {}
        }
        if waited >= patience {
            abort(cx, &target).await;
            return Ok(Outcome::Lost(format!("the job did not end within {} minutes", patience.as_secs() / 60)));
        }
        cx.api.sleep(pause).await?;
        waited += pause;
        pause = pause.mul_f64(1.5).min(POLL_LONGEST);
    }
}

/// Whether a failed read says that this job's result cannot be had, so that another read is worth trying.
pub(super) fn spoiled(trouble: &Trouble) -> bool {
    match trouble {
        Trouble::Api(error, _) => {
            matches!(error.action, Action::Missing | Action::PlaceLost | Action::NotForBulk | Action::Halt)
                && error.status != 401
        }
        // After all repetitions: the answers themselves are wrong, not the way to them.
        Trouble::Fault(Fault::Retry(error)) => error.code == errors::UNUSABLE,
        Trouble::Fault(_) => false,
    }
}

/// Deletes a job, whose results would count against the org's storage for a week. Failing is harmless.
pub(super) async fn delete(api: &Api, calls: &AtomicU64, job: &str) {
    let target = target(api, job);
    let call = Call { method: Method::DELETE, ..Call::get("delete a bulk job", &target) };
    if let Err(trouble) = api.open(calls, &call, &mut Tries::default()).await {
        tracing::debug!(job, ?trouble, "the bulk job could not be deleted");
    }
}

/// Asks Salesforce to stop a job that is no longer waited for. Failing is harmless.
async fn abort(cx: &Reading<'_>, target: &str) {
    let body = br#"{"state":"Aborted"}"#.to_vec();
    let call = Call { method: Method::PATCH, ..Call::post(&cx.operation, target, body) };
    if let Err(trouble) = cx.api.open(cx.calls, &call, &mut Tries::default()).await {
        tracing::debug!(target, ?trouble, "the bulk job could not be aborted");
    }
}

/// The path of a job.
pub(super) fn target(api: &Api, job: &str) -> String {
    let id: String = url::form_urlencoded::byte_serialize(job.as_bytes()).collect();
    format!("{}/jobs/query/{id}", api.base())
}

fn decode(body: &[u8]) -> Result<Job, Bad> {
    serde_json::from_slice(body).map_err(|_| Bad::Unusable("the answer is not a query job".to_owned()))
}
