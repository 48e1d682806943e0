//! The floor: a program that reads a bulk result as it streams, maps, posts batches over kept connections and associates each record
//! with a company, and does nothing else. It keeps no state, checks nothing, retries nothing.

use std::collections::HashMap;
use std::io::BufRead;
use std::time::Duration;

use anyhow::{Context as _, Result, ensure};
use serde::Deserialize;
use serde_json::{Value, json};
use syncline::sandbox::options::{CLIENT_ID, CLIENT_SECRET, HUBSPOT_TOKEN};

use crate::http::Connection;
use crate::world::{self, COLUMNS, COMPANY_KEY};

/// Records of a batch: the most that HubSpot takes.
const BATCH: usize = 100;

/// Pairs of one association call.
const PAIRS: usize = 1_000;

/// Where the jobs of queries are.
const JOBS: &str = "/services/data/v67.0/jobs/query";

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

/// What an answer about companies says.
#[derive(Deserialize)]
struct Companies<'a> {
    #[serde(borrow)]
    results: Vec<Company<'a>>,
}

#[derive(Deserialize)]
struct Company<'a> {
    id: &'a str,
    #[serde(borrow)]
    properties: HashMap<&'a str, &'a str>,
}

/// Copies all records of the first object. Prints how many HubSpot took.
///
/// - `posts`: whether anything is sent; else the rows are read and mapped only.
pub(crate) fn copy(salesforce: &str, hubspot: &str, posts: bool) -> Result<()> {
    let mut salesforce = Connection::open(salesforce, Some(&token(salesforce)?))?;
    let mut portal = Portal { posts, ..Portal::open(hubspot)? };
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
    portal.associate()?;
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
    let query = format!("SELECT {} FROM {}", fields.join(","), world::source(1));
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
    posts: bool,
    body: String,
    answer: Vec<u8>,
    /// Accounts of the records of the batch.
    accounts: Vec<String>,
    /// Companies that are known, by account.
    companies: HashMap<String, String>,
    /// The body of the next association call, and its pairs.
    pairs: (String, usize),
    written: usize,
}

impl Portal {
    fn open(hubspot: &str) -> Result<Self> {
        let connection = Connection::open(hubspot, Some(HUBSPOT_TOKEN))?;
        Ok(Self {
            connection,
            posts: true,
            body: String::new(),
            answer: Vec::new(),
            accounts: Vec::new(),
            companies: HashMap::new(),
            pairs: (String::new(), 0),
            written: 0,
        })
    }

    fn add(&mut self, row: &[u8]) -> Result<()> {
        let row = std::str::from_utf8(row)?;
        self.body.push_str(if self.accounts.is_empty() { r#"{"inputs":["# } else { "," });
        let mut account = String::new();
        for (value, (column, property)) in values(row).zip(COLUMNS) {
            match (column, property) {
                ("Id", _) => {
                    self.body.push_str(r#"{"idProperty":"salesforce_id","id":"#);
                    text(&mut self.body, &value);
                    self.body.push_str(r#","objectWriteTraceId":"#);
                    text(&mut self.body, &value);
                    self.body.push_str(r#","properties":{"salesforce_id":"#);
                    text(&mut self.body, &value);
                }
                ("Account__c", _) => account = value,
                (_, Some(property)) if !value.is_empty() => {
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
                _ => {}
            }
        }
        self.body.push_str("}}");
        self.accounts.push(account);
        if self.accounts.len() == BATCH { self.post() } else { Ok(()) }
    }

    fn ask(&mut self, target: &str, body: &str) -> Result<()> {
        let head = self.connection.send(("POST", target, "application/json"), body.as_bytes(), &mut self.answer)?;
        ensure!(head.status == 200, "{} {}", head.status, String::from_utf8_lossy(&self.answer));
        Ok(())
    }

    fn post(&mut self) -> Result<()> {
        if self.accounts.is_empty() {
            return Ok(());
        }
        if !self.posts {
            self.written += self.accounts.len();
            self.body.clear();
            self.accounts.clear();
            return Ok(());
        }
        self.find_companies()?;
        let mut body = std::mem::take(&mut self.body);
        body.push_str("]}");
        self.ask("/crm/objects/2026-09/p51234567_bench1/batch/upsert", &body)?;
        body.clear();
        self.body = body;
        let answer: Answer<'_> = serde_json::from_slice(&self.answer)?;
        self.written += answer.results.len();
        for (written, account) in answer.results.iter().zip(&self.accounts) {
            let company = self.companies.get(account).context("no company")?;
            let (body, pairs) = &mut self.pairs;
            body.push_str(if *pairs == 0 { r#"{"inputs":["# } else { "," });
            for part in [r#"{"from":{"id":""#, written.id, r#""},"to":{"id":""#, company, r#""}}"#] {
                body.push_str(part);
            }
            *pairs += 1;
        }
        self.accounts.clear();
        if self.pairs.1 == PAIRS { self.associate() } else { Ok(()) }
    }

    fn associate(&mut self) -> Result<()> {
        let (mut body, pairs) = std::mem::take(&mut self.pairs);
        if pairs == 0 {
            return Ok(());
        }
        body.push_str("]}");
        self.ask("/crm/associations/2026-09/p51234567_bench1/0-2/batch/associate/default", &body)
    }

    /// Asks for the companies of the batch that are not known.
    fn find_companies(&mut self) -> Result<()> {
        let mut unknown: Vec<&String> =
            self.accounts.iter().filter(|account| !self.companies.contains_key(*account)).collect();
        unknown.sort_unstable();
        unknown.dedup();
        if unknown.is_empty() {
            return Ok(());
        }
        let inputs: Vec<Value> = unknown.iter().map(|id| json!({ "id": id })).collect();
        let body = json!({"idProperty": COMPANY_KEY, "properties": [COMPANY_KEY], "inputs": inputs}).to_string();
        self.ask("/crm/objects/2026-09/0-2/batch/read", &body)?;
        let answer: Companies<'_> = serde_json::from_slice(&self.answer)?;
        for company in answer.results {
            let account = company.properties.get(COMPANY_KEY).context("a company without its key")?;
            self.companies.insert((*account).to_owned(), company.id.to_owned());
        }
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
