//! Both services, quick enough never to be what is measured: what an import asks for by the thousand is answered here, everything
//! else by a sandbox behind it.
//!
//! The stub believes what it is sent. It counts calls, keeps HubSpot's rolling limit where one is set, and waits before it answers.

use std::collections::{BTreeMap, HashMap, VecDeque};
use std::fmt::Write as _;
use std::io::{BufRead as _, BufReader, Read as _, Write as _};
use std::net::{TcpListener, TcpStream};
use std::process::{Child, Command, Stdio};
use std::sync::{Arc, Mutex, PoisonError};
use std::time::{Duration, Instant};

use anyhow::{Context as _, Result, ensure};
use serde::{Deserialize, Serialize};
use serde_json::value::RawValue;
use serde_json::{Value, json};
use syncline::sys::clock::Clock;

use crate::http::Connection;
use crate::world;

/// The argument by which the program runs itself as the stub; settings follow, as JSON.
pub(crate) const STUB: &str = "be-the-stub";

/// Width of HubSpot's rolling window.
const WINDOW: Duration = Duration::from_secs(10);

/// How the services behave.
#[derive(Debug, Clone, Default, Serialize, Deserialize)]
pub(crate) struct Settings {
    /// Records of each source object.
    pub(crate) records: usize,
    /// Accounts that they belong to; none where they are as many as usual.
    pub(crate) accounts: Option<usize>,
    /// Bytes of the long text of each record.
    pub(crate) text_bytes: usize,
    /// Milliseconds before each answer of HubSpot.
    pub(crate) latency_ms: u64,
    /// Calls of HubSpot's rolling window; none where nothing limits them.
    pub(crate) limit: Option<u32>,
    /// Each so many-th record is refused by HubSpot.
    pub(crate) bad_every: Option<usize>,
    /// What was written is kept, and told to whoever reads it.
    pub(crate) keeps_values: bool,
}

/// What was asked, since the start.
#[derive(Debug, Clone, Default, Serialize, Deserialize)]
pub(crate) struct Counts {
    /// HubSpot's calls, by what they asked for; refused ones included.
    pub(crate) hubspot: BTreeMap<String, u64>,
    /// Refused with status 429.
    pub(crate) refused: u64,
    /// Salesforce's calls.
    pub(crate) salesforce: u64,
    /// Records that were written.
    pub(crate) written: u64,
    /// Records that were written more than once.
    pub(crate) again: u64,
    /// Pairs that were associated.
    pub(crate) associated: u64,
    /// HubSpot's calls of each second since the first.
    pub(crate) seconds: Vec<u64>,
    /// Records that were written in each of those.
    pub(crate) written_in: Vec<u64>,
}

impl Counts {
    /// All calls to HubSpot.
    pub(crate) fn calls(&self) -> u64 {
        self.hubspot.values().sum()
    }
}

/// The stub, from within.
struct Stub {
    settings: Settings,
    /// Addresses of the sandbox behind, and those of the stub: Salesforce, HubSpot.
    behind: [String; 2],
    here: [String; 2],
    state: Mutex<State>,
}

#[derive(Default)]
struct State {
    counts: Counts,
    first: Option<Instant>,
    window: VecDeque<Instant>,
    /// Columns of each job, by its number.
    jobs: Vec<(String, Vec<String>)>,
    /// One bit a record, by object.
    seen: HashMap<String, Vec<u64>>,
    /// Properties of records as they were sent, by object; empty unless they are kept.
    values: HashMap<String, HashMap<usize, Box<str>>>,
    /// Records at the other end of those of an object, by the path of the two objects and the record; each with its type.
    associated: HashMap<String, HashMap<u64, Vec<(u64, AssociationType)>>>,
}

/// Serves until the input ends, and prints where it is.
pub(crate) fn serve(settings: &str) -> Result<()> {
    let settings: Settings = serde_json::from_str(settings)?;
    let sandbox = crate::serve::Served::start(1)?;
    world::seed(&sandbox)?;
    let behind = [sandbox.get("salesforce").to_owned(), sandbox.get("hubspot").to_owned()];
    let listeners = [TcpListener::bind("127.0.0.1:0")?, TcpListener::bind("127.0.0.1:0")?];
    let address = |listener: &TcpListener| anyhow::Ok(format!("http://{}", listener.local_addr()?));
    let here = [address(&listeners[0])?, address(&listeners[1])?];
    let project = sandbox.get("project").replace(&behind[0], &here[0]).replace(&behind[1], &here[1]);
    println!("{}", json!({"salesforce": here[0], "hubspot": here[1], "project": project}));
    let stub = Arc::new(Stub { settings, behind, here, state: Mutex::default() });
    for (side, listener) in listeners.into_iter().enumerate() {
        let stub = Arc::clone(&stub);
        std::thread::spawn(move || {
            for stream in listener.incoming().flatten() {
                let stub = Arc::clone(&stub);
                // A connection that is closed ends its thread, and nothing else.
                std::thread::spawn(move || drop(stub.serve(side, stream)));
            }
        });
    }
    std::io::stdin().read_to_end(&mut Vec::new())?;
    Ok(())
}

/// A request.
struct Request<'a> {
    method: &'a str,
    target: &'a str,
    token: Option<&'a str>,
    kind: &'a str,
    body: &'a [u8],
}

/// An answer: its status, headers of its own, and its body.
struct Reply {
    status: u16,
    headers: String,
    body: Vec<u8>,
}

impl Reply {
    fn json(status: u16, body: Vec<u8>) -> Self {
        Self { status, headers: String::new(), body }
    }
}

impl Stub {
    fn serve(&self, side: usize, stream: TcpStream) -> Result<()> {
        stream.set_nodelay(true)?;
        let mut stream = BufReader::with_capacity(256 * 1024, stream);
        let (mut head, mut body) = (String::new(), Vec::new());
        loop {
            head.clear();
            while !head.ends_with("\r\n\r\n") {
                if stream.read_line(&mut head)? == 0 {
                    return Ok(());
                }
            }
            let header = |name: &str| {
                head.lines().find_map(|line| line.split_once(": ").filter(|pair| pair.0.eq_ignore_ascii_case(name)))
            };
            let length = header("content-length").map_or(Ok(0), |pair| pair.1.trim().parse())?;
            body.resize(length, 0);
            stream.read_exact(&mut body)?;
            let mut words = head.split(' ');
            let (method, target) = (words.next().context("no method")?, words.next().context("no target")?);
            let token = header("authorization").map(|pair| pair.1.trim_start_matches("Bearer ").trim());
            let kind = header("content-type").map_or("application/json", |pair| pair.1.trim());
            let request = Request { method, target, token, kind, body: &body };
            let reply = if side == 0 { self.salesforce(&request)? } else { self.hubspot(&request)? };
            let date = Clock::system().now().strftime("%a, %d %b %Y %H:%M:%S GMT");
            let length = reply.body.len();
            let mut answer = format!("HTTP/1.1 {} OK\r\ndate: {date}\r\ncontent-length: {length}\r\n", reply.status);
            answer.push_str(&reply.headers);
            answer.push_str("\r\n");
            stream.get_mut().write_all(answer.as_bytes())?;
            stream.get_mut().write_all(&reply.body)?;
        }
    }

    fn state<T>(&self, work: impl FnOnce(&mut State) -> T) -> T {
        work(&mut self.state.lock().unwrap_or_else(PoisonError::into_inner))
    }

    /// The sandbox's answer.
    fn ask_behind(&self, side: usize, request: &Request<'_>) -> Result<Reply> {
        let mut connection = Connection::open(&self.behind[side], request.token)?;
        let mut body = Vec::new();
        let head = connection.send((request.method, request.target, request.kind), request.body, &mut body)?;
        // The answer to a login tells where the org is.
        let body = match String::from_utf8(body) {
            Ok(text) => text.replace(&self.behind[side], &self.here[side]).into_bytes(),
            Err(other) => other.into_bytes(),
        };
        Ok(Reply { status: head.status, headers: "content-type: application/json\r\n".to_owned(), body })
    }

    fn salesforce(&self, request: &Request<'_>) -> Result<Reply> {
        if request.target == COUNTS {
            return Ok(Reply::json(200, self.state(|state| serde_json::to_vec(&state.counts))?));
        }
        self.state(|state| state.counts.salesforce += 1);
        let path = request.target.split('?').next().unwrap_or_default();
        let Some((_, job)) = path.split_once("/jobs/query") else {
            if path.ends_with("/query") && request.target.contains("COUNT") {
                let body = json!({"totalSize": self.settings.records, "done": true, "records": []});
                return Ok(Reply::json(200, body.to_string().into_bytes()));
            }
            return self.ask_behind(0, request);
        };
        if request.method == "POST" {
            let body: Value = serde_json::from_slice(request.body)?;
            let query = body["query"].as_str().context("no query")?;
            let (columns, rest) = query.trim_start_matches("SELECT ").split_once(" FROM ").context("no FROM")?;
            let object = rest.split(' ').next().unwrap_or_default().to_owned();
            let columns: Vec<String> = columns.split(',').map(|name| name.trim().to_owned()).collect();
            let number = self.state(|state| {
                state.jobs.push((object.clone(), columns));
                state.jobs.len() - 1
            });
            return Ok(Reply::json(200, self.job(number, &object, "UploadComplete")));
        }
        if request.method == "DELETE" {
            return Ok(Reply::json(204, Vec::new()));
        }
        let mut parts = job.trim_start_matches('/').split('/');
        let number: usize = parts.next().unwrap_or_default().trim_start_matches("7505g").parse()?;
        let (object, columns) = self.state(|state| state.jobs.get(number).cloned()).context("no such job")?;
        if parts.next().is_none() {
            return Ok(Reply::json(200, self.job(number, &object, "JobComplete")));
        }
        let parameter = |name: &str| {
            let (_, query) = request.target.split_once('?')?;
            query.split('&').find_map(|pair| pair.strip_prefix(name)?.strip_prefix('='))
        };
        let from: usize = parameter("locator").map_or(Ok(0), str::parse)?;
        let most: usize = parameter("maxRecords").map_or(Ok(50_000), str::parse)?;
        Ok(self.page(&object, &columns, from, most))
    }

    fn job(&self, number: usize, object: &str, state: &str) -> Vec<u8> {
        let records = self.settings.records;
        json!({"id": format!("7505g{number:010}"), "operation": "query", "object": object, "state": state,
            "createdDate": "2026-06-01T12:00:00.000+0000", "systemModstamp": "2026-06-01T12:00:00.000+0000",
            "concurrencyMode": "Parallel", "contentType": "CSV", "apiVersion": 67.0, "lineEnding": "LF",
            "columnDelimiter": "COMMA", "numberRecordsProcessed": records, "retries": 0, "totalProcessingTime": 1})
        .to_string()
        .into_bytes()
    }

    fn page(&self, object: &str, columns: &[String], from: usize, most: usize) -> Reply {
        let end = (from + most).min(self.settings.records);
        let mut body = String::with_capacity((end - from) * (400 + self.settings.text_bytes));
        let names: Vec<String> = columns.iter().map(|name| format!("\"{name}\"")).collect();
        body.push_str(&names.join(","));
        body.push('\n');
        let accounts = self.settings.accounts.unwrap_or(world::ACCOUNTS);
        let writers: Vec<_> = columns.iter().map(|name| world::cell(object, name, accounts)).collect();
        for number in from..end {
            for (index, write) in writers.iter().enumerate() {
                body.push_str(if index == 0 { "\"" } else { ",\"" });
                write(&mut body, number, self.settings.text_bytes);
                body.push('"');
            }
            body.push('\n');
        }
        let next = if end == self.settings.records { "null".to_owned() } else { end.to_string() };
        let headers =
            format!("content-type: text/csv\r\nSforce-NumberOfRecords: {}\r\nSforce-Locator: {next}\r\n", end - from);
        Reply { status: 200, headers, body: body.into_bytes() }
    }

    fn hubspot(&self, request: &Request<'_>) -> Result<Reply> {
        let path = request.target.split('?').next().unwrap_or_default();
        let name = match path.rsplit_once("/batch/") {
            Some((before, what)) if before.contains("/associations/") => format!("associations {what}"),
            Some((_, what)) => what.to_owned(),
            None => "others".to_owned(),
        };
        let left = self.arrive(&name);
        std::thread::sleep(Duration::from_millis(self.settings.latency_ms));
        let mut headers = String::from("content-type: application/json\r\n");
        if let Some(limit) = self.settings.limit {
            write!(
                headers,
                "X-HubSpot-RateLimit-Max: {limit}\r\nX-HubSpot-RateLimit-Interval-Milliseconds: 10000\r\n"
            )?;
            write!(headers, "X-HubSpot-RateLimit-Remaining: {}\r\n", left.unwrap_or_default())?;
        }
        let Some(_) = left else {
            let body = json!({"status": "error", "message": "You have reached your ten_secondly_rolling limit.",
                "errorType": "RATE_LIMIT", "policyName": "TEN_SECONDLY_ROLLING"});
            return Ok(Reply { status: 429, headers, body: body.to_string().into_bytes() });
        };
        let mut body = Vec::new();
        let status = match name.as_str() {
            "upsert" | "create" | "update" => self.write(path, request.body, &mut body)?,
            "read" => self.found(path, request.body, &mut body)?,
            "associations create" | "associations associate/default" => {
                self.associate(path, request.body, &mut body)?
            }
            "associations read" => self.associated(path, request.body, &mut body)?,
            _ => {
                let reply = self.ask_behind(1, request)?;
                body = reply.body;
                reply.status
            }
        };
        Ok(Reply { status, headers, body })
    }

    /// Counts a call; gives what is left of the window, none where that is spent.
    fn arrive(&self, name: &str) -> Option<u32> {
        let now = Instant::now();
        self.state(|state| {
            *state.counts.hubspot.entry(name.to_owned()).or_default() += 1;
            let second = now.duration_since(*state.first.get_or_insert(now)).as_secs() as usize;
            state.counts.seconds.resize(state.counts.seconds.len().max(second + 1), 0);
            state.counts.seconds[second] += 1;
            let Some(limit) = self.settings.limit else { return Some(u32::MAX) };
            while state.window.front().is_some_and(|first| now.duration_since(*first) >= WINDOW) {
                state.window.pop_front();
            }
            let left = limit.checked_sub(state.window.len() as u32 + 1);
            match left {
                Some(_) => state.window.push_back(now),
                None => state.counts.refused += 1,
            }
            left
        })
    }

    fn write(&self, path: &str, request: &[u8], body: &mut Vec<u8>) -> Result<u16> {
        let batch: Batch<Input<'_>> = serde_json::from_slice(request)?;
        ensure!(batch.inputs.len() <= 100, "a batch of {}", batch.inputs.len());
        let mut numbers = Vec::with_capacity(batch.inputs.len());
        let (mut results, mut errors) = (0, String::new());
        body.extend_from_slice(br#"{"status":"COMPLETE","results":["#);
        for input in &batch.inputs {
            let number = world::number(input.id);
            if self.settings.bad_every.is_some_and(|every| number % every == every - 1) {
                let text = json!({"status": "error", "category": "VALIDATION_ERROR", "message": "Property values were not valid",
                    "context": {"objectWriteTraceId": [input.trace]}, "errors": [{"message": "no", "code": "INVALID_EMAIL",
                    "context": {"propertyName": ["bench_email"]}}]});
                errors.push_str(if errors.is_empty() { "" } else { "," });
                errors.push_str(&text.to_string());
                continue;
            }
            if results > 0 {
                body.push(b',');
            }
            results += 1;
            numbers.push((number, input.properties.get()));
            write!(
                body,
                r#"{{"id":"{}","properties":{},"createdAt":"2026-06-01T12:00:00.000Z","updatedAt":"2026-06-01T12:00:00.000Z","archived":false,"new":true,"objectWriteTraceId":"{}"}}"#,
                world::record(number),
                input.properties,
                input.trace.unwrap_or_default()
            )?;
        }
        write!(body, r#"],"startedAt":"2026-06-01T12:00:00.000Z","completedAt":"2026-06-01T12:00:00.000Z""#)?;
        if !errors.is_empty() {
            write!(body, r#","numErrors":1,"errors":[{errors}]"#)?;
        }
        body.push(b'}');
        let object = path.split('/').nth(4).unwrap_or_default();
        self.state(|state| {
            if self.settings.keeps_values {
                let values = state.values.entry(object.to_owned()).or_default();
                values.extend(numbers.iter().map(|(number, properties)| (*number, Box::from(*properties))));
            }
            let seen = state.seen.entry(object.to_owned()).or_default();
            // The second of the last call that arrived.
            let second = state.counts.seconds.len().saturating_sub(1);
            state.counts.written_in.resize(second + 1, 0);
            state.counts.written_in[second] += numbers.len() as u64;
            for (number, _) in numbers {
                seen.resize(seen.len().max(number / 64 + 1), 0);
                let bit = 1 << (number % 64);
                if seen[number / 64] & bit == 0 {
                    state.counts.written += 1;
                } else {
                    state.counts.again += 1;
                }
                seen[number / 64] |= bit;
            }
        });
        Ok(if errors.is_empty() { 200 } else { 207 })
    }

    fn associate(&self, path: &str, request: &[u8], body: &mut Vec<u8>) -> Result<u16> {
        let batch: Batch<Pair<'_>> = serde_json::from_slice(request)?;
        let mut pairs = Vec::with_capacity(batch.inputs.len());
        body.extend_from_slice(br#"{"status":"COMPLETE","results":["#);
        for (index, pair) in batch.inputs.iter().enumerate() {
            let comma = if index == 0 { "" } else { "," };
            write!(
                body,
                r#"{comma}{{"fromObjectTypeId":"2-1","fromObjectId":{},"toObjectTypeId":"0-2","toObjectId":{},"labels":[]}}"#,
                pair.from.id, pair.to.id
            )?;
            // Without a type it is the floor's, which never reads.
            let kind = pair.types.first().cloned();
            pairs.extend(kind.map(|kind| anyhow::Ok((pair.from.id.parse()?, pair.to.id.parse()?, kind))).transpose()?);
        }
        body.extend_from_slice(
            br#"],"startedAt":"2026-06-01T12:00:00.000Z","completedAt":"2026-06-01T12:00:00.000Z"}"#,
        );
        self.state(|state| {
            state.counts.associated += batch.inputs.len() as u64;
            let associated = state.associated.entry(objects(path).to_owned()).or_default();
            for (from, to, kind) in pairs {
                let ends = associated.entry(from).or_default();
                if !ends.iter().any(|(end, _)| *end == to) {
                    ends.push((to, kind));
                }
            }
        });
        Ok(200)
    }

    /// What was associated from this side; nobody asks from the other one.
    fn associated(&self, path: &str, request: &[u8], body: &mut Vec<u8>) -> Result<u16> {
        let batch: Batch<Reference<'_>> = serde_json::from_slice(request)?;
        let mut without = Vec::new();
        body.extend_from_slice(br#"{"status":"COMPLETE","results":["#);
        self.state(|state| {
            let associated = state.associated.get(objects(path));
            let mut comma = "";
            for Reference { id } in &batch.inputs {
                let Some(ends) = associated.and_then(|associated| associated.get(&id.parse().ok()?)) else {
                    without.push(*id);
                    continue;
                };
                let to = |(to, kind): &(u64, AssociationType)| {
                    json!({"toObjectId": to, "associationTypes": [{"category": kind.category, "typeId": kind.id,
                        "label": null}]})
                };
                let to: Vec<Value> = ends.iter().map(to).collect();
                write!(body, r#"{comma}{{"from":{{"id":"{id}"}},"to":{}}}"#, Value::from(to))?;
                comma = ",";
            }
            anyhow::Ok(())
        })?;
        body.extend_from_slice(br#"],"startedAt":"2026-06-01T12:00:00.000Z","completedAt":"2026-06-01T12:00:00.000Z""#);
        if !without.is_empty() {
            let error = |id: &&str| {
                json!({"status": "error", "category": "OBJECT_NOT_FOUND", "message": "No association was found.",
                    "subCategory": "crm.associations.NO_ASSOCIATIONS_FOUND", "context": {"fromObjectId": [id]}})
            };
            let errors: Vec<Value> = without.iter().map(error).collect();
            write!(body, r#","numErrors":{},"errors":{}"#, errors.len(), Value::from(errors))?;
        }
        body.push(b'}');
        Ok(if without.is_empty() { 200 } else { 207 })
    }

    /// Every company that is asked for is there; of other records those that were written.
    fn found(&self, path: &str, request: &[u8], body: &mut Vec<u8>) -> Result<u16> {
        let batch: Read<'_> = serde_json::from_slice(request)?;
        let object = path.split('/').nth(4).unwrap_or_default();
        let mut missing = Vec::new();
        body.extend_from_slice(br#"{"status":"COMPLETE","results":["#);
        self.state(|state| {
            let mut comma = "";
            for Input { id, .. } in &batch.inputs {
                // Without a property, records are asked for by their own ids.
                let number = match batch.id_property {
                    Some(_) => world::number(id),
                    None => world::number_of_record(id),
                };
                let bits = state.seen.get(object).and_then(|seen| seen.get(number / 64)).copied().unwrap_or_default();
                let is_company = batch.id_property == Some(world::COMPANY_KEY);
                if !is_company && bits & (1 << (number % 64)) == 0 {
                    missing.push(*id);
                    continue;
                }
                let record = world::record(number);
                let kept = state.values.get(object).and_then(|values| values.get(&number));
                let properties = match (kept, batch.id_property) {
                    (Some(properties), _) => {
                        format!(r#"{},"hs_object_id":"{record}"}}"#, properties.trim_end_matches('}'))
                    }
                    (None, Some(property)) => format!(r#"{{"{property}":"{id}","hs_object_id":"{record}"}}"#),
                    (None, None) => format!(r#"{{"hs_object_id":"{record}"}}"#),
                };
                write!(
                    body,
                    r#"{comma}{{"id":"{record}","properties":{properties},"createdAt":"2026-06-01T12:00:00.000Z","updatedAt":"2026-06-01T12:00:00.000Z","archived":false}}"#,
                )?;
                comma = ",";
            }
            anyhow::Ok(())
        })?;
        write!(body, r#"],"startedAt":"2026-06-01T12:00:00.000Z","completedAt":"2026-06-01T12:00:00.000Z""#)?;
        if !missing.is_empty() {
            let error = json!({"status": "error", "category": "OBJECT_NOT_FOUND", "context": {"ids": missing},
                "message": "Could not get some null objects, they may be deleted or not exist. Check that ids are valid."});
            write!(body, r#","numErrors":1,"errors":[{error}]"#)?;
        }
        body.push(b'}');
        Ok(if missing.is_empty() { 200 } else { 207 })
    }
}

/// The two objects of a path to associations.
fn objects(path: &str) -> &str {
    path.rsplit_once("/batch/").map_or(path, |(before, _)| before)
}

#[derive(Deserialize)]
struct Batch<T> {
    inputs: Vec<T>,
}

#[derive(Deserialize)]
struct Read<'a> {
    #[serde(rename = "idProperty")]
    id_property: Option<&'a str>,
    #[serde(borrow)]
    inputs: Vec<Input<'a>>,
}

#[derive(Deserialize)]
struct Input<'a> {
    id: &'a str,
    #[serde(borrow, rename = "objectWriteTraceId")]
    trace: Option<&'a str>,
    #[serde(borrow, default = "nothing")]
    properties: &'a RawValue,
}

fn nothing<'a>() -> &'a RawValue {
    RawValue::NULL
}

#[derive(Deserialize)]
struct Pair<'a> {
    #[serde(borrow)]
    from: Reference<'a>,
    #[serde(borrow)]
    to: Reference<'a>,
    #[serde(default)]
    types: Vec<AssociationType>,
}

#[derive(Clone, Deserialize)]
struct AssociationType {
    #[serde(rename = "associationCategory")]
    category: String,
    #[serde(rename = "associationTypeId")]
    id: u64,
}

#[derive(Deserialize)]
struct Reference<'a> {
    id: &'a str,
}

/// A stub that runs in a process of its own.
pub(crate) struct Stubbed {
    child: Child,
    addresses: Value,
}

impl Stubbed {
    /// Starts one.
    pub(crate) fn start(settings: &Settings) -> Result<Self> {
        let mut command = Command::new(std::env::current_exe()?);
        command.args([STUB, &serde_json::to_string(settings)?]).stdin(Stdio::piped()).stdout(Stdio::piped());
        let mut child = command.spawn()?;
        let mut line = String::new();
        BufReader::new(child.stdout.take().context("no output")?).read_line(&mut line)?;
        Ok(Self { child, addresses: serde_json::from_str(&line).context("the stub did not start")? })
    }

    /// `salesforce`, `hubspot`: an address; `project`: a `syncline.yaml`.
    pub(crate) fn get(&self, name: &str) -> &str {
        self.addresses[name].as_str().unwrap_or_default()
    }

    /// What it was asked so far.
    pub(crate) fn counts(&self) -> Result<Counts> {
        let mut answer = Vec::new();
        let mut connection = Connection::open(self.get("salesforce"), None)?;
        connection.send(("GET", COUNTS, "application/json"), b"", &mut answer)?;
        Ok(serde_json::from_slice(&answer)?)
    }
}

/// Where the stub tells what it was asked.
const COUNTS: &str = "/counts-of-the-stub";

impl Drop for Stubbed {
    fn drop(&mut self) {
        drop(self.child.stdin.take());
        let _ = self.child.wait();
    }
}
