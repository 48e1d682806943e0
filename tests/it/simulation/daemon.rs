//! A sync that runs on: a comparison that takes longer than its time goes on after the next cycle, in the sandbox's own time.

use std::sync::{Arc, Mutex};
use std::time::Duration;

use serde_json::json;
use syncline::model::report::{RunKind, RunReport, RunScope};
use syncline::ops::run::RunOptions;
use syncline::ops::sync::{Event, Reloading, forever};
use syncline::plan::guard::Allowance;
use syncline::project::error::OpsError;
use syncline::sys::cancel::Cancel;

use super::History;
use super::play::{Trouble, drive};
use super::world::Command;

/// More than two pages of Salesforce's answers.
const RECORDS: u64 = 4_100;

const LEASES: &str = "version: 1
name: leases
source: { object: Lease__c }
target: { object: leases, match: salesforce_id }
fields:
  - { from: Name, to: lease_name }
on_delete: keep
sync: { every: 1m, reconcile: 1h }
";

#[test]
fn a_comparison_that_takes_too_long_goes_on_after_the_next_cycle() {
    let mut history = History::new(12);
    let world = &mut history.world;
    world.write("pipelines/leases.yaml", LEASES);
    std::fs::remove_file(world.folder.path().join("pipelines/units.yaml")).unwrap();
    let sandbox = Arc::clone(&world.sandbox);
    let salesforce = |action: &str, arguments| sandbox.control("salesforce", action, &arguments).unwrap();
    let mut rows = Vec::new();
    for number in 0..RECORDS {
        let values = json!({"Name": format!("Lease {number}"), "Status__c": "Active"});
        let made = salesforce("create", json!({"object": "Lease__c", "values": values}));
        rows.push(made["id"].as_str().unwrap().to_owned());
    }
    world.wait(Duration::from_secs(60));
    assert!(world.run(Command::Import, Trouble { quick: true, ..Trouble::default() }).is_some_and(|ran| ran.is_ok()));
    // The last record was edited by a person; each further page of Salesforce takes longer than half of the time of a part.
    let held = sandbox.control("hubspot", "records", &json!({"object": "leases"})).unwrap();
    let last = held["records"].as_array().unwrap().last().unwrap()["id"].clone();
    let edited = json!({"object": "leases", "id": last, "properties": {"lease_name": "by hand"}});
    sandbox.control("hubspot", "set", &edited).unwrap();
    world.faults(Some(
        &json!({"rules": [{"service": "salesforce", "path": "/services/data/*/query/*", "delay": "45s"}]}),
    ));
    world.wait(Duration::from_secs(2 * 3_600));

    let cancel = Cancel::new();
    let project = Arc::new(world.project(&cancel));
    let state = project.state().unwrap();
    let until = world.clock.now() + Duration::from_secs(30 * 60);
    world.line.begin(Trouble { until: Some(until), ..Trouble::default() }, cancel);
    let options = RunOptions {
        scope: RunScope::Changed,
        trial: None,
        budget: syncline::model::budget::Budget::default(),
        allowance: Allowance::default(),
        command: "syncline sync".to_owned(),
        followed: None,
        on_progress: Arc::new(|_, _| {}),
    };
    let finished: Mutex<Vec<RunReport>> = Mutex::default();
    let is_paused = |report: &RunReport| report.notes.iter().any(|note| note.contains("its time was over"));
    let on_event = |event: Event<'_>| {
        if let Event::Cycle { finished: cycle, .. } = event {
            // What changes while a comparison pauses does not wait for its end.
            if is_paused(&cycle.report) {
                salesforce("update", json!({"object": "Lease__c", "id": rows[0], "values": {"Name": "changed"}}));
            }
            finished.lock().unwrap().push(cycle.report.clone());
        }
    };
    let (_asking, asked) = tokio::sync::mpsc::unbounded_channel();
    let again = || Err(OpsError::refused("SL9002", "nobody asks for it", ""));
    let reloading = Reloading { open: &again, asked, watch: false };
    let ended = drive(&world.line, forever(project, &[], &state, &options, reloading, &on_event));
    assert!(matches!(ended, Some(Ok(true))), "{:?}", ended.map(|ended| ended.map_err(|error| error.to_string())));

    let finished = finished.into_inner().unwrap();
    let shown: Vec<String> = finished.iter().map(super::shown).collect();
    let paused: Vec<usize> = (0..finished.len()).filter(|place| is_paused(&finished[*place])).collect();
    assert!(!paused.is_empty(), "it pauses: {shown:#?}");
    for place in &paused {
        let [part, cycle, rest] = &finished[*place..*place + 3] else { panic!("it goes on: {shown:#?}") };
        assert_eq!(
            [part, cycle, rest].map(|report| report.kind),
            [RunKind::Reconcile, RunKind::Sync, RunKind::Reconcile]
        );
        assert!(part.tally.read > 0 && part.tally.read < RECORDS, "{shown:#?}");
        assert!(rest.notes.iter().any(|note| note.starts_with("went on with the comparison")), "{:?}", rest.notes);
    }
    assert_eq!(finished[paused[0] + 1].tally.updated, 1, "the change is carried over between two parts: {shown:#?}");
    let compared: Vec<&RunReport> = finished.iter().filter(|report| report.kind == RunKind::Reconcile).collect();
    assert_eq!(compared.len(), paused.len() + 1, "one comparison an hour: {shown:#?}");
    let read: u64 = compared.iter().map(|report| report.tally.read).sum();
    assert_eq!((read, compared.iter().map(|report| report.tally.drifted).sum::<u64>()), (RECORDS, 1), "{shown:#?}");
    let held = sandbox.control("hubspot", "records", &json!({"object": "leases"})).unwrap();
    assert!(!held.to_string().contains("by hand"));
}
