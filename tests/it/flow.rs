//! How an import flows: associations join the records while those are made, calls are full, memory is bounded by bytes, and
//! processes that use one portal keep its limit together.

use std::fs;
use std::path::Path;
use std::process::{Child, Command, Stdio};
use std::time::Duration;

use serde_json::{Value, json};
use syncline::sandbox::options::SandboxOptions;

use crate::support::oracle::agree;
use crate::support::{Bench, FAST, report};

/// The paths of the calls to HubSpot, in their order.
fn calls(bench: &Bench) -> Vec<String> {
    let requests = bench.sandbox.requests();
    let own = requests.iter().filter(|entry| entry.service == "hubspot");
    own.map(|entry| entry.target.split('?').next().unwrap_or_default().to_owned()).collect()
}

#[test]
fn new_records_are_associated_while_others_are_made_and_nothing_of_them_is_read() {
    // A full call of associations has 2,000 of them, so there must be many more records than are on their way at once.
    let bench = Bench::new(10_000);
    let ran = bench.import();
    let calls = calls(&bench);
    let of = |end: &str| -> Vec<usize> {
        calls.iter().enumerate().filter(|(_, path)| path.ends_with(end)).map(|(at, _)| at).collect()
    };
    let reads = calls.iter().filter(|path| path.contains("/associations/") && path.ends_with("/batch/read"));
    assert_eq!(reads.count(), 0, "nothing can stand of records that were just made");
    let kind = bench.kind("subscriptions");
    let (companies, upserts) = (format!("{kind}/0-2/batch/create"), format!("{kind}/batch/upsert"));
    let (first, last) = (of(&companies)[0], *of(&upserts).last().unwrap());
    assert!(first < last, "the first association call is number {first}, the last record call {last}");
    let associated = report(&ran, "subscriptions")["associated"].as_u64().unwrap() as usize;
    let made = of("/batch/create").into_iter().filter(|at| calls[*at].contains(&format!("/{kind}/"))).count();
    assert!(made <= associated.div_ceil(2_000) + 2, "{made} calls for {associated} associations");
    agree(&bench);
    // What the import has done, a second one finds as it should be.
    let again = bench.import();
    for name in ["subscriptions", "work_orders"] {
        assert_eq!(report(&again, name)["associated"], 0, "{again}");
        assert_eq!(report(&again, name)["created"], 0, "{again}");
    }
    agree(&bench);
}

#[test]
fn records_of_one_account_are_associated_while_others_are_made() {
    let bench = Bench::new(6_000);
    let rows = bench.rows("Subscription__c");
    // One that HubSpot has as a company: fewer than a call looks for.
    let companies = bench.records("companies");
    let is_there = |account: &str| {
        companies
            .values()
            .any(|company| company["properties"].as_object().unwrap().values().any(|value| value == account))
    };
    let accounts = rows.values().filter_map(|row| row["values"]["Account__c"].as_str());
    let account = accounts.into_iter().find(|account| is_there(account)).unwrap();
    let live = rows.iter().filter(|(_, row)| row["deleted"] == false && row["values"]["Account__c"] != account);
    for (id, _) in live {
        bench.salesforce("update", json!({"object": "Subscription__c", "id": id, "values": {"Account__c": account}}));
    }
    let ran = bench.import();
    let calls = calls(&bench);
    let kind = bench.kind("subscriptions");
    let first = calls.iter().position(|path| path.ends_with(&format!("{kind}/0-2/batch/create"))).unwrap();
    let last = calls.iter().rposition(|path| path.ends_with(&format!("{kind}/batch/upsert"))).unwrap();
    assert!(first < last, "the first association call is number {first}, the last record call {last}");
    assert!(report(&ran, "subscriptions")["associated"].as_u64().unwrap() > 4_000, "{ran}");
    agree(&bench);
}

#[test]
fn what_hubspot_refuses_of_new_records_is_tried_once_and_counted_once() {
    let bench = Bench::new(200);
    bench.faults(json!([{
        "service": "hubspot", "method": "POST", "path": "/crm/associations/*/*/*/batch/create", "status": 400,
        "body": {"status": "error", "category": "VALIDATION_ERROR", "message": "no"},
    }]));
    let ran = bench.import();
    for name in ["subscriptions", "work_orders"] {
        let of = |key: &str| report(&ran, name)[key].as_u64().unwrap();
        let (failed, pending) = (of("failed_associations"), of("pending_associations"));
        assert!(failed > 0 && failed <= pending, "{failed} failed of {pending}: {ran}");
        // A call that is refused as a whole is split until the culprits stand alone.
        assert!(of("hubspot_calls") <= 2 * failed + 40, "{ran}");
    }
}

#[test]
fn a_record_that_takes_no_more_associations_costs_few_calls() {
    let bench = Bench::new(400);
    let (from, to) = ("0-2", bench.kind("subscriptions"));
    let definitions = bench.sandbox.dump()["hubspot"]["associations"]["definitions"].clone();
    let pair = definitions.as_array().unwrap().iter().find(|pair| pair[0] == from && pair[1] == to).unwrap();
    for kind in pair[2].as_array().unwrap() {
        bench.hubspot("limit_associations", json!({"from": from, "to": to, "type_id": kind["type_id"], "max": 20}));
    }
    // All subscriptions lead to the account of one that is associated.
    bench.import();
    let associated = bench.records("subscriptions");
    let companies = associated.values().filter(|record| record["associations"]["0-2"][0]["id"].is_string());
    let one = companies.map(|record| record["properties"]["salesforce_id"].as_str().unwrap()).next().unwrap();
    let rows = bench.rows("Subscription__c");
    let account = rows[one]["values"]["Account__c"].clone();
    let live = rows.iter().filter(|(_, row)| row["deleted"] == false);
    for (id, _) in live {
        bench.salesforce("update", json!({"object": "Subscription__c", "id": id, "values": {"Account__c": account}}));
    }
    let ran = bench.sync();
    let outcome = report(&ran, "subscriptions");
    let failed = outcome["failed_associations"].as_u64().unwrap();
    assert!(failed > 200, "{outcome}");
    assert!(outcome["hubspot_calls"].as_u64().unwrap() < 100, "{outcome}");
}

/// The most memory that a process has had, in MiB, as the system counts it.
pub(crate) fn peak(mut child: Child) -> Option<u64> {
    let path = format!("/proc/{}/status", child.id());
    let mut peak = None;
    while child.try_wait().unwrap().is_none() {
        let status = fs::read_to_string(&path).unwrap_or_default();
        let line = status.lines().find_map(|line| line.strip_prefix("VmHWM:"));
        let kib = line.and_then(|line| line.trim().trim_end_matches(" kB").trim().parse::<u64>().ok());
        peak = kib.map(|kib| kib / 1024).or(peak);
        std::thread::sleep(Duration::from_millis(20));
    }
    assert!(matches!(child.wait().unwrap().code(), Some(0 | 3)));
    peak
}

/// The memory of an import of so many records whose notes are so long.
fn memory(records: usize, notes: usize, latency: u64) -> Option<u64> {
    let latency = Duration::from_millis(latency);
    let bench = Bench::with(SandboxOptions { records, rate_limit: FAST, latency, ..SandboxOptions::default() });
    if notes > 0 {
        let text = "Long notes. ".repeat(notes / 12);
        for (id, row) in bench.rows("Subscription__c") {
            if row["deleted"] == false {
                bench
                    .salesforce("update", json!({"object": "Subscription__c", "id": id, "values": {"Notes__c": text}}));
            }
        }
    }
    bench.edit("pipelines/subscriptions.yaml", "on_delete: archive\n", "on_delete: archive\nguard: { reject: 100% }\n");
    let mut import = bench.command(&["import", "subscriptions", "--yes", "--quiet"]);
    peak(import.stdout(Stdio::null()).stderr(Stdio::null()).spawn().unwrap())
}

#[test]
fn long_texts_and_slow_answers_take_no_more_memory() {
    let (Some(short), Some(long)) = (memory(1_200, 0, 0), memory(1_200, 30_000, 300)) else { return };
    // All texts together are 36 MB, and each is held several times on its way.
    assert!(long < short + 40, "{long} MiB with long texts, {short} MiB without");
}

#[test]
fn texts_that_hubspot_takes_none_of_take_no_more_memory() {
    let (Some(short), Some(long)) = (memory(400, 0, 0), memory(400, 131_000, 0)) else { return };
    // All texts together are 44 MB, and each stands in its failure.
    assert!(long < short + 40, "{long} MiB with texts that are too long, {short} MiB without");
}

/// A copy of the bench's project, with a state of its own.
fn copy(bench: &Bench, folder: &Path) {
    fs::create_dir_all(folder.join("pipelines")).unwrap();
    for file in ["syncline.yaml", "pipelines/subscriptions.yaml", "pipelines/work_orders.yaml"] {
        fs::copy(bench.path(file), folder.join(file)).unwrap();
    }
}

/// Four processes that import into one portal at once: calls, and how many of them were refused.
fn four_at_once(shared: bool) -> (usize, usize) {
    let rate_limit = (12, Duration::from_secs(2));
    let bench = Bench::with(SandboxOptions { records: 300, rate_limit, ..SandboxOptions::default() });
    let folders: Vec<_> = (0..4).map(|number| bench.path(&format!("copy-{number}"))).collect();
    let start = |folder: &Path| {
        copy(&bench, folder);
        let cache = if shared { bench.path("cache") } else { folder.join("cache") };
        let mut command = Command::new(env!("CARGO_BIN_EXE_syncline"));
        command.args(["import", "--yes", "--quiet"]).current_dir(folder).env("XDG_CACHE_HOME", cache);
        command.stdin(Stdio::null()).stdout(Stdio::null()).stderr(Stdio::null()).spawn().unwrap()
    };
    let processes: Vec<Child> = folders.iter().map(|folder| start(folder)).collect();
    for mut process in processes {
        assert!(matches!(process.wait().unwrap().code(), Some(0 | 3)));
    }
    let requests = bench.sandbox.requests();
    let own: Vec<_> = requests.iter().filter(|entry| entry.service == "hubspot").collect();
    (own.len(), own.iter().filter(|entry| entry.status == 429).count())
}

#[test]
fn processes_on_one_computer_keep_the_limit_of_a_portal_together() {
    let (calls, refused) = four_at_once(true);
    assert!(calls > 60, "only {calls} calls: the limit was hardly met");
    assert!(refused * 20 <= calls, "{refused} of {calls} calls were refused");
    let (calls, alone) = four_at_once(false);
    assert!(alone > refused, "{alone} of {calls} were refused without a place to share: this test shows nothing");
}

#[test]
fn a_place_that_cannot_be_shared_is_done_without() {
    let bench = Bench::new(30);
    bench.write("file", "no folder");
    let mut import = bench.command(&["import", "--yes", "--format", "json"]);
    let ran = import.env("XDG_CACHE_HOME", bench.path("file")).output().unwrap();
    assert!(matches!(ran.status.code(), Some(0 | 3)), "{ran:?}");
    let reports: Value = serde_json::from_slice(&ran.stdout).unwrap();
    assert!(report(&reports, "subscriptions")["created"].as_u64().unwrap() > 0, "{reports}");
    agree(&bench);
}
