//! The sample pipelines: each is valid against the sandbox's org and portal, its tests hold, and its records arrive.

use std::collections::BTreeMap;
use std::fs;
use std::path::{Path, PathBuf};

use serde_json::{Value, json};
use syncline::sandbox::options::SandboxOptions;

use crate::generated::check;
use crate::support::{Bench, FAST, report};

/// Objects that a sample is promised for.
const OBJECTS: [&str; 9] = [
    "Asset",
    "CampaignMember",
    "Case",
    "Contract",
    "OpportunityLineItem",
    "Order",
    "ServiceAppointment",
    "Subscription__c",
    "WorkOrder",
];

/// The rows of the sample world that are flawed on purpose belong to these.
const FLAWED: [&str; 2] = ["subscriptions", "work_orders"];

fn folder() -> PathBuf {
    Path::new(env!("CARGO_MANIFEST_DIR")).join("pipelines")
}

/// The pipelines by file name, without their tests.
fn pipelines() -> Vec<(String, Value)> {
    let files = fs::read_dir(folder()).unwrap().map(|entry| entry.unwrap().path());
    let mut found: Vec<(String, Value)> = files
        .filter(|path| !path.to_string_lossy().ends_with(".test.yaml"))
        .map(|path| {
            let name = path.file_stem().unwrap().to_string_lossy().into_owned();
            (name, serde_yaml::from_str(&fs::read_to_string(&path).unwrap()).unwrap())
        })
        .collect();
    found.sort_by(|one, other| one.0.cmp(&other.0));
    found
}

/// The samples by the object of Salesforce that they read.
pub(crate) fn objects() -> BTreeMap<String, String> {
    let object = |pipeline: &Value| pipeline["source"]["object"].as_str().unwrap().to_owned();
    pipelines().into_iter().map(|(name, pipeline)| (object(&pipeline), name)).collect()
}

/// A sandbox with all that the samples need, and a project with all of them.
fn project(records: usize) -> Bench {
    let bench = Bench::with(SandboxOptions { records, samples: true, rate_limit: FAST, ..SandboxOptions::default() });
    for entry in fs::read_dir(folder()).unwrap() {
        let path = entry.unwrap().path();
        let name = path.file_name().unwrap().to_string_lossy().into_owned();
        bench.write(&format!("pipelines/{name}"), &fs::read_to_string(path).unwrap());
    }
    bench
}

#[test]
fn samples_are_valid_and_their_tests_hold() {
    let bench = project(30);
    bench.run(&["catalog", "pull"]).code(0);
    bench.run(&["validate", "--online"]).code(0);
    // The sample org of the demo has a value that its pipeline does not map.
    let all = pipelines();
    let names = all.iter().map(|(name, _)| name.as_str()).filter(|name| *name != "subscriptions");
    bench.run(&["validate", "--online", "--deny", "warnings"].into_iter().chain(names).collect::<Vec<_>>()).code(0);
    let tested = bench.run(&["test", "--format", "json"]).code(0).json();
    assert_eq!((&tested["failed"], &tested["untested"]), (&json!(0), &json!([])), "{tested}");
    for (name, _) in pipelines() {
        let own = tested["tests"].as_array().unwrap().iter().filter(|test| test["pipeline"] == name.as_str()).count();
        assert!(own >= 2, "{name}: {own} tests");
    }
}

#[test]
fn samples_import_their_records_and_then_have_nothing_to_do() {
    let bench = project(60);
    let done = bench.import();
    for (name, pipeline) in pipelines() {
        let report = report(&done, &name);
        let count = |key: &str| report[key].as_u64().unwrap();
        let arrived = if pipeline.get("associate").is_some() { count("associated") } else { count("created") };
        assert!(arrived > 2, "{report}");
        assert!(count("associated") > 0, "{report}");
        assert_eq!(count("failed") > 0, FLAWED.contains(&name.as_str()), "{report}\n{:#?}", bench.failures());
    }
    // What was rejected stays so; nothing else is written again.
    let again = bench.import();
    for (name, _) in pipelines() {
        let report = report(&again, &name);
        for key in ["created", "updated", "archived", "associated", "disassociated"] {
            assert_eq!(report[key], 0, "{report}");
        }
    }
}

#[test]
fn a_project_with_two_lookups_to_companies_has_both_labels() {
    let bench = project(60);
    bench.run(&["import", "projects", "project_roles", "--yes"]).code(0);
    let labels: Vec<String> = bench
        .records("customer_projects")
        .values()
        .flat_map(|record| record["associations"].as_object().unwrap().values().cloned().collect::<Vec<_>>())
        .flat_map(|list| list.as_array().unwrap().clone())
        .flat_map(|other| other["labels"].as_array().unwrap().clone())
        .map(|label| label.as_str().unwrap().to_owned())
        .collect();
    for label in ["customer", "implementation_partner", "sponsor", "decision_maker"] {
        assert!(labels.iter().any(|found| found == label), "no `{label}` in {labels:?}");
    }
}

#[test]
fn there_is_a_sample_for_each_kind_of_object() {
    let all = pipelines();
    let objects: Vec<&str> = all.iter().map(|(_, pipeline)| pipeline["source"]["object"].as_str().unwrap()).collect();
    for object in OBJECTS {
        assert!(objects.contains(&object), "no sample for {object}");
    }
    for (name, pipeline) in &all {
        assert_eq!(pipeline["name"], name.as_str());
        assert!(folder().join(format!("{name}.test.yaml")).exists(), "{name} has no tests");
    }
    // A custom object with two lookups to one object, and rows of a junction object.
    let lookups = |pipeline: &Value| {
        let all = pipeline["associations"].as_array().cloned().unwrap_or_default();
        all.iter().filter(|entry| entry["to"] == "companies").count()
    };
    assert!(all.iter().any(|(_, pipeline)| lookups(pipeline) == 2));
    assert!(all.iter().any(|(_, pipeline)| pipeline.get("associate").is_some()));
}

#[test]
fn the_list_of_samples_is_current() {
    let mut page = "# Sample pipelines\n\nEach is a file of [pipelines](../../pipelines) with [tests](../guide/tests.md) beside it. Copy those that \
                    fit, and change names to those of your org and your portal: `syncline validate` says which do not exist there.\n\n\
                    To try them without accounts, start a sandbox that has all that they need:\n\n```sh\nsyncline sandbox --samples --write \
                    syncline.yaml\n```\n\n| pipeline | from | to | what for |\n|---|---|---|---|\n"
        .to_owned();
    for (name, pipeline) in pipelines() {
        let target = match pipeline["target"]["object"].as_str() {
            Some(object) => format!("`{object}`"),
            None => "associations".to_owned(),
        };
        let object = pipeline["source"]["object"].as_str().unwrap();
        let what = pipeline["description"].as_str().unwrap();
        page.push_str(&format!("| [{name}](../../pipelines/{name}.yaml) | `{object}` | {target} | {what} |\n"));
    }
    check("docs/reference/samples.md", &page);
}
