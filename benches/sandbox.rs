//! How much the sandbox's HubSpot takes: batch upserts of 100 records a core second, and memory a record.
//!
//! `cargo bench --profile dist --bench sandbox -- [RECORDS]` prints figures and fails on nothing: times belong to a machine. The sandbox runs
//! in a process of its own, so that what it costs is told apart from what asking it costs. Linux only, as the figures come
//! from `/proc`.

#![expect(clippy::print_stdout, reason = "a program that measures and prints")]

use std::fmt::Write as _;
use std::io::{BufRead as _, BufReader, Read as _, Write as _};
use std::net::TcpStream;
use std::process::{Command, Stdio};
use std::time::{Duration, Instant};

use anyhow::{Context as _, Result, ensure};
use serde_json::json;
use syncline::sandbox::options::{HUBSPOT_TOKEN, SandboxOptions};

/// Records of a batch: the most that HubSpot takes.
const BATCH: usize = 100;

/// Clock ticks of `/proc/PID/stat` in a second; Linux has shown programs this many for decades.
const TICKS: f64 = 100.0;

/// The argument by which the program runs itself as the sandbox.
const SERVE: &str = "serve-the-sandbox";

fn main() -> Result<()> {
    let arguments: Vec<String> = std::env::args().skip(1).filter(|argument| argument != "--bench").collect();
    match arguments.first().map(String::as_str) {
        Some(SERVE) => serve(),
        Some(records) => measure(records.parse().context("RECORDS must be a number")?),
        None => measure(100_000),
    }
}

/// Runs a sandbox until the input ends, and prints where its HubSpot is.
fn serve() -> Result<()> {
    // One thread, so that a second of it is a second of a core.
    let runtime = tokio::runtime::Builder::new_current_thread().enable_all().build()?;
    runtime.block_on(async {
        let options = SandboxOptions {
            records: 1,
            rate_limit: (u32::MAX, Duration::from_secs(10)),
            hubspot_daily_limit: u64::MAX,
            ..SandboxOptions::default()
        };
        let sandbox = syncline::sandbox::start(options).await?;
        println!("{}", sandbox.hubspot_url);
        tokio::task::spawn_blocking(|| std::io::stdin().read_to_end(&mut Vec::new())).await??;
        sandbox.stop().await?;
        Ok(())
    })
}

fn measure(records: usize) -> Result<()> {
    let records = records.div_ceil(BATCH) * BATCH;
    let program = std::env::current_exe()?;
    let mut child = Command::new(program).arg(SERVE).stdin(Stdio::piped()).stdout(Stdio::piped()).spawn()?;
    let mut address = String::new();
    BufReader::new(child.stdout.take().context("no output")?).read_line(&mut address)?;
    let mut portal = Portal::connect(address.trim().trim_start_matches("http://"))?;
    portal.post("/crm/v3/schemas", &schema().to_string(), 201)?;
    let usage = || Usage::of(child.id());
    // Tables and caches of the first batches are the sandbox's own, not the records'.
    portal.round(0..BATCH, 0)?;
    let before = usage()?;
    println!("{records} records of 16 properties, batches of {BATCH}");
    println!("{:<28} {:>12} {:>16} {:>14}", "", "CPU s", "batches/core s", "batches/s");
    for (version, name) in ["create", "update, all changed", "update, nothing changed"].into_iter().enumerate() {
        let quarter = (records / 4).next_multiple_of(BATCH);
        let parts = [0..quarter, quarter..records - quarter, records - quarter..records];
        let mut costs = Vec::new();
        let began = (usage()?, Instant::now());
        for part in parts {
            let from = usage()?;
            let batches = part.len() / BATCH;
            portal.round(part, version.min(1))?;
            costs.push((usage()?.cpu - from.cpu) / batches as f64);
        }
        let (cpu, wall) = (usage()?.cpu - began.0.cpu, began.1.elapsed().as_secs_f64());
        let batches = (records / BATCH) as f64;
        println!("{name:<28} {cpu:>12.2} {:>16.0} {:>14.0}", batches / cpu, batches / wall);
        println!("{:<28} {:>12.2}", "  last quarter / first", costs[2] / costs[0]);
        if version == 0 {
            let bytes = (usage()?.memory - before.memory) / records as f64;
            println!("{:<28} {bytes:>12.0}", "  bytes a record");
        }
    }
    drop(child.stdin.take());
    child.wait()?;
    Ok(())
}

/// What a process has used.
struct Usage {
    /// Seconds of a core.
    cpu: f64,
    /// Bytes in memory.
    memory: f64,
}

impl Usage {
    fn of(process: u32) -> Result<Self> {
        let stat = std::fs::read_to_string(format!("/proc/{process}/stat"))?;
        // The name, in brackets, may hold anything.
        let (_, rest) = stat.rsplit_once(')').context("stat without a name")?;
        let numbers: Vec<f64> = rest.split_whitespace().filter_map(|word| word.parse().ok()).collect();
        let [user, system] = [10, 11].map(|place| numbers.get(place).copied().unwrap_or_default());
        let status = std::fs::read_to_string(format!("/proc/{process}/status"))?;
        let resident = status.lines().find_map(|line| line.strip_prefix("VmRSS:")).context("no VmRSS")?;
        let kilobytes: f64 = resident.trim().trim_end_matches("kB").trim().parse()?;
        Ok(Self { cpu: (user + system) / TICKS, memory: kilobytes * 1024.0 })
    }
}

/// A kept connection to the sandbox's HubSpot.
struct Portal {
    stream: BufReader<TcpStream>,
    body: String,
    answer: Vec<u8>,
}

impl Portal {
    fn connect(address: &str) -> Result<Self> {
        let stream = TcpStream::connect(address)?;
        stream.set_nodelay(true)?;
        Ok(Self { stream: BufReader::with_capacity(256 * 1024, stream), body: String::new(), answer: Vec::new() })
    }

    fn post(&mut self, path: &str, body: &str, expected: u16) -> Result<()> {
        let head = format!(
            "POST {path} HTTP/1.1\r\nhost: 127.0.0.1\r\nauthorization: Bearer {HUBSPOT_TOKEN}\r\ncontent-type: application/json\r\ncontent-length: {}\r\n\r\n",
            body.len()
        );
        let stream = self.stream.get_mut();
        stream.write_all(head.as_bytes())?;
        stream.write_all(body.as_bytes())?;
        let (mut line, mut length, mut status) = (String::new(), 0, 0);
        loop {
            line.clear();
            self.stream.read_line(&mut line)?;
            match line.trim_end().split_once([' ', ':']) {
                None => break,
                Some(("HTTP/1.1", rest)) => status = rest[..3].parse()?,
                Some((name, value)) if name.eq_ignore_ascii_case("content-length") => length = value.trim().parse()?,
                Some(_) => {}
            }
        }
        self.answer.resize(length, 0);
        self.stream.read_exact(&mut self.answer)?;
        ensure!(status == expected, "{path}: {status} {}", String::from_utf8_lossy(&self.answer));
        Ok(())
    }

    /// Sends records in batches.
    fn round(&mut self, records: std::ops::Range<usize>, version: usize) -> Result<()> {
        for from in records.step_by(BATCH) {
            let mut body = std::mem::take(&mut self.body);
            body.clear();
            body.push_str(r#"{"inputs":["#);
            for number in from..from + BATCH {
                if number > from {
                    body.push(',');
                }
                input(&mut body, number, version);
            }
            body.push_str("]}");
            self.post("/crm/objects/2026-09/p51234567_bench/batch/upsert", &body, 200)?;
            self.body = body;
        }
        Ok(())
    }
}

fn input(body: &mut String, number: usize, version: usize) {
    let status = ["active", "on_hold", "cancelled"][(number + version) % 3];
    let key = format!("a0B5g{number:011}AA");
    let _ = write!(
        body,
        r#"{{"idProperty":"salesforce_id","id":"{key}","objectWriteTraceId":"{key}","properties":{{"name":"Subscription {number}","account":"Alder and Sons {}","street":"{} High Street","city":"Leeds","country":"United Kingdom","email":"person{number}@example.org","amount":"{}.50","seats":"{}","discount":"0.{version}","starts":"2026-0{}-01","ends":"2027-01-31","signed_at":"2026-03-0{}T09:00:00.000Z","renews":"{}","status":"{status}","plan":"basic"}}}}"#,
        number / 7,
        number % 90,
        1_000 + number % 900 + version,
        number % 50 + version,
        1 + number % 9,
        1 + version,
        number % 2 == version % 2,
    );
}

fn schema() -> serde_json::Value {
    let property =
        |name: &str, kind: &str, field: &str| json!({"name": name, "label": name, "type": kind, "fieldType": field});
    let choice = |name: &str, values: &[&str]| {
        let options: Vec<_> = values.iter().map(|value| json!({"label": value, "value": value})).collect();
        json!({"name": name, "label": name, "type": "enumeration", "fieldType": "select", "options": options})
    };
    let texts = ["name", "account", "street", "city", "country", "email"].map(|name| property(name, "string", "text"));
    let numbers = ["amount", "seats", "discount"].map(|name| property(name, "number", "number"));
    let days = ["starts", "ends"].map(|name| property(name, "date", "date"));
    let mut key = property("salesforce_id", "string", "text");
    key["hasUniqueValue"] = true.into();
    let mut renews = choice("renews", &["true", "false"]);
    renews["type"] = "bool".into();
    renews["fieldType"] = "booleancheckbox".into();
    let others = [
        key,
        property("signed_at", "datetime", "date"),
        renews,
        choice("status", &["active", "on_hold", "cancelled"]),
        choice("plan", &["basic", "plus"]),
    ];
    let properties: Vec<_> = texts.into_iter().chain(numbers).chain(days).chain(others).collect();
    json!({"name": "bench", "labels": {"singular": "Bench", "plural": "Benches"}, "primaryDisplayProperty": "name",
        "requiredProperties": ["salesforce_id"], "searchableProperties": ["name"], "properties": properties})
}
