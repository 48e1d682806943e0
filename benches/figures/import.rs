//! The floor and Syncline in turn, doing one job: copy all subscriptions of the sample org, 13 columns into 15 properties.
//!
//! Both have a sandbox in a process of its own; CPU, memory and calls are those of the program alone. Associations are left out of
//! both, as the floor makes none.

use std::process::{Command, Stdio};

use anyhow::{Context as _, Result};
use serde_json::Value;

use crate::http::Connection;
use crate::serve::Served;
use crate::usage::{Usage, run};

/// Done, or done but for some records: the sample has some that the mapping rejects.
const ENDS: [i32; 2] = [0, 3];

/// Runs both and prints a table.
pub(crate) fn measure(records: usize) -> Result<()> {
    let floor = {
        let sandbox = Served::start(records)?;
        let mut command = Command::new(std::env::current_exe()?);
        command.args([crate::FLOOR, sandbox.get("salesforce"), sandbox.get("hubspot")]).stdout(Stdio::null());
        (run(&mut command, &[0])?, Calls::of(&sandbox)?)
    };
    let sandbox = Served::start(records)?;
    let folder = tempfile::tempdir()?;
    project(folder.path(), &sandbox)?;
    let syncline = |arguments: &[&str]| {
        let mut command = Command::new(env!("CARGO_BIN_EXE_syncline"));
        command.args(arguments).arg("--quiet").current_dir(folder.path()).stdout(Stdio::null());
        command
    };
    let import = run(&mut syncline(&["import", "subscriptions", "--yes"]), &ENDS)?;
    let calls = Calls::of(&sandbox)?;
    let state = std::fs::metadata(folder.path().join(".syncline/state.db"))?.len();
    let before = Calls::of(&sandbox)?;
    let first = run(&mut syncline(&["sync", "--once"]), &ENDS)?;
    let quiet = run(&mut syncline(&["sync", "--once"]), &ENDS)?;
    let after = Calls::of(&sandbox)?;
    let row = |name: &str, floor: f64, ours: f64, digits: usize| {
        let ratio = if floor > 0.0 { format!("{:.1} ×", ours / floor) } else { String::new() };
        println!("{name:<34} {floor:>12.digits$} {ours:>12.digits$} {ratio:>10}");
    };
    println!("{records} records; sandbox of its own process, no rate limit");
    println!("{:<34} {:>12} {:>12} {:>10}", "", "floor", "syncline", "ratio");
    let each = |usage: &Usage| usage.cpu * 1e6 / records as f64;
    row("CPU µs a record", each(&floor.0), each(&import), 1);
    row("seconds", floor.0.wall, import.wall, 1);
    row("peak MiB", floor.0.memory / 1048576.0, import.memory / 1048576.0, 0);
    row("HubSpot calls", floor.1.hubspot, calls.hubspot, 0);
    row("answers 429", floor.1.refused, calls.refused, 0);
    row("state, bytes a record", 0.0, state as f64 / records as f64, 0);
    row("first cycle, CPU s", 0.0, first.cpu, 2);
    row("cycle without a change, CPU s", 0.0, quiet.cpu, 2);
    row("HubSpot calls of both cycles", 0.0, after.hubspot - before.hubspot, 0);
    Ok(())
}

/// The sample's project, without associations.
fn project(folder: &std::path::Path, sandbox: &Served) -> Result<()> {
    let text = std::fs::read_to_string(concat!(env!("CARGO_MANIFEST_DIR"), "/pipelines/subscriptions.yaml"))?;
    let (before, rest) = text.split_once("associations:\n").context("no associations")?;
    let (_, after) = rest.split_once("on_delete:").context("no on_delete")?;
    std::fs::create_dir(folder.join("pipelines"))?;
    std::fs::write(folder.join("pipelines/subscriptions.yaml"), format!("{before}on_delete:{after}"))?;
    let hubspot = "type: hubspot\n";
    let project = sandbox.get("project").replace(hubspot, &format!("{hubspot}    rate_limit: 99999/1s\n"));
    std::fs::write(folder.join("syncline.yaml"), project)?;
    Ok(())
}

/// Calls that a sandbox has counted.
struct Calls {
    hubspot: f64,
    refused: f64,
}

impl Calls {
    fn of(sandbox: &Served) -> Result<Self> {
        let mut answer = Vec::new();
        let mut control = Connection::open(sandbox.get("control"), None)?;
        control.send(("GET", "/requests/counts", "application/json"), b"", &mut answer)?;
        let answer: Value = serde_json::from_slice(&answer)?;
        let counts = answer["requests"].as_array().context("no counts")?;
        let number = |value: &Value| value.as_f64().unwrap_or_default();
        let hubspot: Vec<&Value> = counts.iter().filter(|count| count["service"] == "hubspot").collect();
        Ok(Self {
            hubspot: hubspot.iter().map(|count| number(&count["count"])).sum(),
            refused: hubspot.iter().map(|count| number(&count["statuses"]["429"])).sum(),
        })
    }
}
