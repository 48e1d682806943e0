//! Bulk API 2.0 query jobs: made, polled, read page by page.

use serde_json::{Value, json};

use super::answers::{self, Answer, Refusal, rest_time};
use super::columns::columns;
use super::csv;
use super::open::Job;
use super::org::{Org, USER_ID};
use super::query::prepare;
use super::soql::{Select, eval};
use crate::sandbox::http::{Reply, Request};

/// Objects that the Bulk API does not serve.
const UNSUPPORTED: [&str; 12] = [
    "AcceptedEventRelation",
    "DeclinedEventRelation",
    "UndecidedEventRelation",
    "CaseStatus",
    "ContractStatus",
    "PartnerRole",
    "ServiceAppointmentStatus",
    "SolutionStatus",
    "TaskPriority",
    "TaskStatus",
    "WorkOrderStatus",
    "WorkOrderLineItemStatus",
];

/// How long a job runs.
/// Long enough for a client to see each state, short enough for tests.
const RUN_MILLIS: i64 = 300;

/// Jobs of a day.
const JOBS_MAX: usize = 10_000;

impl Job {
    /// Ends it as failed.
    pub fn fail(&mut self, error: &str) {
        self.ended = Some("Failed");
        self.error = Some(error.to_owned());
    }

    fn state(&self, now: i64) -> &'static str {
        self.ended.unwrap_or(match now - self.made {
            under if under < RUN_MILLIS / 3 => "UploadComplete",
            under if under < RUN_MILLIS => "InProgress",
            _ => "JobComplete",
        })
    }

    fn body(&self, id: &str, now: i64, counters: bool) -> Value {
        let state = self.state(now);
        let version: f64 = self.version.trim_start_matches('v').parse().unwrap_or(67.0);
        let mut body = json!({"id": id, "operation": self.operation, "object": self.object, "createdById": USER_ID,
            "createdDate": rest_time(self.made), "systemModstamp": rest_time(now), "state": state,
            "concurrencyMode": "Parallel", "contentType": "CSV", "apiVersion": version, "lineEnding": "LF", "columnDelimiter": "COMMA"});
        // The answers to POST and PATCH lack them.
        if counters {
            body["jobType"] = "V2Query".into();
            body["retries"] = 0.into();
            body["totalProcessingTime"] = (now - self.made).min(RUN_MILLIS).into();
            body["isPkChunkingSupported"] = true.into();
            if state == "JobComplete" {
                body["numberRecordsProcessed"] = self.ids.len().into();
            }
        }
        if let Some(error) = &self.error {
            body["errorMessage"] = error.as_str().into();
        }
        body
    }
}

/// `/jobs/query…`
pub fn route(org: &mut Org, request: &Request, rest: &[&str], version: &str, now: i64) -> Answer {
    match (request.method.as_str(), rest) {
        ("POST", []) => create(org, &request.body, version, now),
        ("GET", []) => {
            let jobs: Vec<Value> = org.jobs.iter().map(|(id, job)| job.body(id, now, true)).collect();
            Ok(answers::json(200, &json!({"done": true, "records": jobs, "nextRecordsUrl": null})))
        }
        ("GET", [id]) => {
            let failing = org.switches.fail_jobs.clone();
            let job = org.jobs.get_mut(*id).ok_or_else(Refusal::not_found)?;
            // A queued job has not failed yet.
            if let (Some(error), "InProgress" | "JobComplete") = (failing, job.state(now)) {
                job.fail(&error);
            }
            Ok(answers::json(200, &job.body(id, now, true)))
        }
        ("PATCH", [id]) => {
            let job = org.jobs.get_mut(*id).ok_or_else(Refusal::not_found)?;
            if !matches!(job.state(now), "UploadComplete" | "InProgress") {
                return Err(Refusal::new(400, "INVALIDJOBSTATE", "Aborting already Completed Job not allowed"));
            }
            job.ended = Some("Aborted");
            Ok(answers::json(200, &job.body(id, now, false)))
        }
        ("DELETE", [id]) => {
            let job = org.jobs.get(*id).ok_or_else(Refusal::not_found)?;
            if matches!(job.state(now), "UploadComplete" | "InProgress") {
                let message = "Error encountered when deleting the job because the job is not terminated";
                return Err(Refusal::new(400, "API_ERROR", message));
            }
            org.jobs.remove(*id);
            Ok(Reply::empty(204))
        }
        ("GET", [id, "results"]) => results(org, request, id, version, now),
        ("GET", [id, "resultPages"]) => {
            let job = org.jobs.get(*id).ok_or_else(Refusal::not_found)?;
            let starts = (0..job.ids.len().max(1)).step_by(10_000);
            let pages: Vec<Value> = starts
                .map(|start| json!({"resultUrl": format!("/services/data/{version}/jobs/query/{id}/results?locator={}", locator(start))}))
                .collect();
            Ok(answers::json(200, &json!({"resultPages": pages, "nextRecordsUrl": null, "done": true})))
        }
        _ => Err(Refusal::not_found()),
    }
}

fn create(org: &mut Org, body: &[u8], version: &str, now: i64) -> Answer {
    let body: Value =
        serde_json::from_slice(body).map_err(|error| Refusal::new(400, "JSON_PARSER_ERROR", error.to_string()))?;
    let operation = body["operation"].as_str().unwrap_or_default();
    let text = body["query"].as_str().unwrap_or_default();
    if !matches!(operation, "query" | "queryAll") || text.is_empty() {
        return Err(Refusal::new(400, "API_ERROR", "operation and query are required"));
    }
    let today = org.jobs.values().filter(|job| now - job.made < 86_400_000).count();
    if today >= JOBS_MAX {
        return Err(Refusal::new(400, "LIMIT_EXCEEDED", "Max bulk v2 query jobs (10000) per 24 hrs has been reached"));
    }
    // The query is checked at once, so that a wrong one makes no job.
    let query = prepare(org, text)?;
    let object = org.object(&query.from).ok_or_else(Refusal::not_found)?;
    if UNSUPPORTED.contains(&object.name()) {
        let message = format!("Entity '{}' is not supported by the Bulk API.", object.name());
        return Err(Refusal::new(400, "INVALIDENTITY", message));
    }
    let Select::Fields(paths) = &query.select else {
        return Err(Refusal::new(400, "API_ERROR", "Aggregate functions are not supported in Bulk Query"));
    };
    if !query.choices.is_empty() {
        return Err(Refusal::new(400, "API_ERROR", "TYPEOF is not supported in Bulk Query"));
    }
    if query.offset > 0 {
        return Err(Refusal::new(400, "API_ERROR", "OFFSET is not supported in Bulk Query"));
    }
    let selected = columns(org, object, paths).map_err(|wrong| wrong.refusal(text))?;
    let compound = |kind: &Value| matches!(kind.as_str(), Some("address" | "location" | "base64"));
    if selected.iter().any(|column| compound(&column.found.field["type"])) {
        return Err(Refusal::new(400, "API_ERROR", "Selecting compound data not supported in Bulk Query"));
    }
    // The rows that match are settled now; their values are read with the pages, as a real job gives either state.
    let ids = eval::run(org, object, &query, operation == "queryAll", now).map_err(|wrong| wrong.refusal(text))?;
    let (object, operation, version) = (object.name().to_owned(), operation.to_owned(), version.to_owned());
    let job = Job { operation, object, query, ids, made: now, version, ended: None, error: None };
    let id = org.new_id("750");
    let answer = job.body(&id, now, false);
    org.jobs.insert(id, job);
    Ok(answers::json(200, &answer))
}

fn results(org: &Org, request: &Request, id: &str, version: &str, now: i64) -> Answer {
    let job = org.jobs.get(id).ok_or_else(Refusal::not_found)?;
    // Results have the form of the version that made the job.
    if job.version != version {
        return Err(Refusal::new(409, "API_ERROR", format!("The job was made with API version {}", job.version)));
    }
    if job.state(now) != "JobComplete" {
        return Err(Refusal::new(400, "INVALIDJOBSTATE", "The job has no results yet"));
    }
    let start = match request.parameter("locator") {
        Some(text) => place(text).ok_or_else(|| Refusal::new(400, "INVALIDLOCATOR", "invalid locator"))?,
        None => 0,
    };
    let most: usize = request.parameter("maxRecords").and_then(|text| text.parse().ok()).unwrap_or(50_000);
    let object = org.object(&job.object).ok_or_else(Refusal::not_found)?;
    let Select::Fields(paths) = &job.query.select else { return Err(Refusal::not_found()) };
    let columns = columns(org, object, paths).map_err(|wrong| wrong.refusal(""))?;
    let end = (start + most.max(1)).min(job.ids.len());
    let mut body = String::new();
    // Orgs differ in whether an empty result has a header row.
    if !(job.ids.is_empty() && org.switches.empty_without_header) {
        body.push_str(&csv::header(&columns));
        body.push('\n');
    }
    let mut count = 0;
    for id in &job.ids[start.min(end)..end] {
        // A row that was purged meanwhile is still in the result: the job has read it.
        if let Some(row) = object.rows.get(id).and_then(|row| row.seen(now)) {
            body.push_str(&csv::line(org, object, &columns, id, row));
            body.push('\n');
            count += 1;
        }
    }
    let next = if end < job.ids.len() { locator(end) } else { "null".to_owned() };
    let reply = Reply::new(200, "text/csv; charset=UTF-8", body);
    // As behind a proxy that drops headers it does not know.
    if org.switches.no_bulk_headers {
        return Ok(reply);
    }
    Ok(reply.with("Sforce-NumberOfRecords", count.to_string()).with("Sforce-Locator", next))
}

/// Opaque to clients.
fn locator(start: usize) -> String {
    format!("TX{:x}", start * 31 + 7)
}

fn place(locator: &str) -> Option<usize> {
    let number = usize::from_str_radix(locator.strip_prefix("TX")?, 16).ok()?;
    (number % 31 == 7).then_some(number / 31)
}
