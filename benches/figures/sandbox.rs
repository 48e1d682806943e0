//! How much the sandbox's HubSpot takes: batch upserts of 100 records a core second, and memory a record.

use std::fmt::Write as _;
use std::time::Instant;

use anyhow::{Result, ensure};
use serde_json::json;
use syncline::sandbox::options::HUBSPOT_TOKEN;

use crate::http::Connection;
use crate::serve::Served;
use crate::usage::Usage;

/// Records of a batch: the most that HubSpot takes.
const BATCH: usize = 100;

/// Makes so many records, changes all, changes nothing, and prints what each took.
pub(crate) fn measure(records: usize) -> Result<()> {
    let records = records.div_ceil(BATCH) * BATCH;
    let sandbox = Served::start(1)?;
    let connection = Connection::open(sandbox.get("hubspot"), Some(HUBSPOT_TOKEN))?;
    let mut portal = Portal { connection, body: String::new(), answer: Vec::new() };
    portal.post("/crm/v3/schemas", &schema().to_string(), 201)?;
    let usage = || Usage::of(sandbox.id());
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
    Ok(())
}

/// The sandbox's HubSpot.
struct Portal {
    connection: Connection,
    body: String,
    answer: Vec<u8>,
}

impl Portal {
    fn post(&mut self, target: &str, body: &str, expected: u16) -> Result<()> {
        let head = self.connection.send(("POST", target, "application/json"), body.as_bytes(), &mut self.answer)?;
        ensure!(head.status == expected, "{target}: {} {}", head.status, String::from_utf8_lossy(&self.answer));
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
