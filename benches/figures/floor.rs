//! The floor: a program that reads a bulk result as it streams, maps, and posts batches over kept connections, and does nothing
//! else. It keeps no state, checks nothing, retries nothing.

use std::io::BufRead;
use std::time::Duration;

use anyhow::{Context as _, Result, ensure};
use serde::Deserialize;
use serde_json::{Value, json};
use syncline::sandbox::options::{CLIENT_ID, CLIENT_SECRET, HUBSPOT_TOKEN};

use crate::http::Connection;

/// Records of a batch: the most that HubSpot takes.
const BATCH: usize = 100;

/// Where the jobs of queries are.
const JOBS: &str = "/services/data/v67.0/jobs/query";

/// What is read, in this order, and the property that each column fills.
const COLUMNS: [(&str, Option<&str>); 13] = [
    ("Id", Some("salesforce_id")),
    ("Name", Some("subscription_name")),
    ("Status__c", Some("status")),
    ("Amount__c", Some("amount")),
    ("Start__c", Some("start_date")),
    ("Renews_At__c", Some("renews_at")),
    ("Seats__c", Some("seats")),
    ("Auto_Renew__c", Some("auto_renew")),
    ("Channels__c", Some("channels")),
    ("Notes__c", Some("notes")),
    ("External_Code__c", Some("external_code")),
    ("Billing_Email__c", Some("billing_email")),
    ("Account__r.Name", Some("account_name")),
];

/// What an answer says.
#[derive(Deserialize)]
struct Answer<'a> {
    #[serde(borrow)]
    results: Vec<Written<'a>>,
}

#[derive(Deserialize)]
struct Written<'a> {
    id: &'a str,
}

/// Copies all subscriptions that are no drafts. Prints how many HubSpot took.
pub(crate) fn copy(salesforce: &str, hubspot: &str) -> Result<()> {
    let mut salesforce = Connection::open(salesforce, Some(&token(salesforce)?))?;
    let mut portal = Portal::open(hubspot)?;
    let job = job(&mut salesforce)?;
    let mut locator: Option<String> = None;
    loop {
        let from = locator.as_ref().map(|locator| format!("&locator={locator}")).unwrap_or_default();
        let target = format!("{JOBS}/{job}/results?maxRecords=50000{from}");
        let head = salesforce.ask("GET", &target, "application/json", b"")?;
        ensure!(head.status == 200, "{target}: {}", head.status);
        let mut rows = salesforce.body(&head);
        let mut line = Vec::new();
        next_row(&mut rows, &mut line)?;
        while next_row(&mut rows, &mut line)? {
            portal.add(&line)?;
        }
        drop(rows);
        locator = head.locator;
        if locator.is_none() {
            break;
        }
    }
    portal.post()?;
    println!("{}", portal.written);
    Ok(())
}

fn token(salesforce: &str) -> Result<String> {
    let mut connection = Connection::open(salesforce, None)?;
    let form = format!("grant_type=client_credentials&client_id={CLIENT_ID}&client_secret={CLIENT_SECRET}");
    let mut answer = Vec::new();
    let request = ("POST", "/services/oauth2/token", "application/x-www-form-urlencoded");
    connection.send(request, form.as_bytes(), &mut answer)?;
    let answer: Value = serde_json::from_slice(&answer)?;
    Ok(answer["access_token"].as_str().context("no token")?.to_owned())
}

/// Starts the job of a query and waits for its end.
fn job(salesforce: &mut Connection) -> Result<String> {
    let fields: Vec<&str> = COLUMNS.iter().map(|(field, _)| *field).collect();
    let query = format!("SELECT {} FROM Subscription__c WHERE Status__c != 'Draft'", fields.join(","));
    let body = json!({"operation": "query", "query": query}).to_string();
    let mut answer = Vec::new();
    salesforce.send(("POST", JOBS, "application/json"), body.as_bytes(), &mut answer)?;
    let made: Value = serde_json::from_slice(&answer)?;
    let id = made["id"].as_str().with_context(|| format!("no job: {made}"))?.to_owned();
    loop {
        salesforce.send(("GET", &format!("{JOBS}/{id}"), "application/json"), b"", &mut answer)?;
        let job: Value = serde_json::from_slice(&answer)?;
        match job["state"].as_str() {
            Some("JobComplete") => return Ok(id),
            Some("UploadComplete" | "InProgress") => std::thread::sleep(Duration::from_millis(50)),
            state => anyhow::bail!("the job is {state:?}"),
        }
    }
}

/// Reads one row, line breaks within quotes included; false at the end.
fn next_row(from: &mut impl BufRead, row: &mut Vec<u8>) -> Result<bool> {
    row.clear();
    loop {
        let read = from.read_until(b'\n', row)?;
        let quotes = row.iter().filter(|byte| **byte == b'"').count();
        if read == 0 || quotes % 2 == 0 {
            return Ok(!row.is_empty());
        }
    }
}

/// The values of a row: quoted, a quote within doubled.
fn values(row: &str) -> impl Iterator<Item = String> {
    let mut rest = row.trim_end_matches(['\n', '\r']);
    std::iter::from_fn(move || {
        let inner = rest.strip_prefix('"')?;
        let mut end = 0;
        loop {
            end += inner[end..].find('"')?;
            if inner[end + 1..].starts_with('"') {
                end += 2;
            } else {
                break;
            }
        }
        let value = inner[..end].replace("\"\"", "\"");
        rest = inner[end + 1..].strip_prefix(',').unwrap_or("");
        Some(value)
    })
}

/// HubSpot, and the batch that is being filled.
struct Portal {
    connection: Connection,
    body: String,
    answer: Vec<u8>,
    records: usize,
    written: usize,
}

impl Portal {
    fn open(hubspot: &str) -> Result<Self> {
        let connection = Connection::open(hubspot, Some(HUBSPOT_TOKEN))?;
        Ok(Self { connection, body: String::new(), answer: Vec::new(), records: 0, written: 0 })
    }

    fn add(&mut self, row: &[u8]) -> Result<()> {
        let row = std::str::from_utf8(row)?;
        self.body.push_str(if self.records == 0 { r#"{"inputs":["# } else { "," });
        let values: Vec<String> = values(row).collect();
        let [id, name, _, amount, ..] = values.as_slice() else { anyhow::bail!("a row without columns: {row}") };
        self.body.push_str(r#"{"idProperty":"salesforce_id","id":"#);
        text(&mut self.body, id);
        self.body.push_str(r#","objectWriteTraceId":"#);
        text(&mut self.body, id);
        self.body.push_str(r#","properties":{"source_system":"salesforce","headline":"#);
        text(&mut self.body, &format!("{name} · {amount}"));
        for (value, (_, property)) in values.iter().zip(COLUMNS) {
            let (Some(property), false) = (property, value.is_empty()) else { continue };
            let value = match value.as_str() {
                "Active" => "active",
                "On Hold" => "on_hold",
                "Cancelled" => "cancelled",
                other => other,
            };
            self.body.push_str(",\"");
            self.body.push_str(property);
            self.body.push_str("\":");
            text(&mut self.body, value);
        }
        self.body.push_str("}}");
        self.records += 1;
        if self.records == BATCH { self.post() } else { Ok(()) }
    }

    fn post(&mut self) -> Result<()> {
        if self.records == 0 {
            return Ok(());
        }
        self.body.push_str("]}");
        let request = ("POST", "/crm/objects/2026-09/p51234567_subscriptions/batch/upsert", "application/json");
        let head = self.connection.send(request, self.body.as_bytes(), &mut self.answer)?;
        // The sample has records that HubSpot refuses, one by one.
        let taken = matches!(head.status, 200 | 207);
        ensure!(taken, "{} {}", head.status, String::from_utf8_lossy(&self.answer));
        let answer: Answer<'_> = serde_json::from_slice(&self.answer)?;
        self.written += answer.results.iter().filter(|written| !written.id.is_empty()).count();
        self.body.clear();
        self.records = 0;
        Ok(())
    }
}

fn text(body: &mut String, text: &str) {
    body.push('"');
    for letter in text.chars() {
        match letter {
            '"' => body.push_str("\\\""),
            '\\' => body.push_str("\\\\"),
            '\n' => body.push_str("\\n"),
            '\r' => body.push_str("\\r"),
            '\t' => body.push_str("\\t"),
            letter => body.push(letter),
        }
    }
    body.push('"');
}
