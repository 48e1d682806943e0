//! One set of files for many portals: `portals/*.yaml`.

use std::fs;

use serde_json::json;

use crate::support::Bench;
use crate::targets::run_with;

/// What nothing may show.
const HIDDEN: &str = "hush-0123456789abcdef";

/// The address of HubSpot that a project file names.
fn address(bench: &Bench) -> String {
    let text = bench.sandbox.project_yaml();
    text.lines().find_map(|line| line.trim().strip_prefix("base_url: ")).unwrap().to_owned()
}

/// A project whose HubSpot's address is a variable, and two portals: its own sandbox and another.
fn fleet() -> (Bench, Bench) {
    let (bench, other) = (Bench::new(6), Bench::new(3));
    let (here, there) = (address(&bench), address(&other));
    other.hubspot("seed", json!({"portal": {"portal_id": 888}}));
    bench.edit("syncline.yaml", &here, "${HUBSPOT_ADDRESS:-https://api.hubapi.com}");
    bench.write(
        "portals/acme.yaml",
        &format!("version: 1\nportal_id: 51234567\nvariables:\n  HUBSPOT_ADDRESS: {here}\n"),
    );
    bench.write(
        "portals/best-inc.yaml",
        &format!("version: 1\nportal_id: 888\nconnections:\n  hubspot: {{ base_url: \"{there}\" }}\n"),
    );
    (bench, other)
}

#[test]
fn each_portal_is_a_target_with_a_file_of_its_own() {
    let (bench, other) = fleet();
    for name in ["acme", "best-inc"] {
        bench.run(&["catalog", "pull", "--target", name]).code(0);
        assert!(bench.path(&format!("catalog/{name}/hubspot.subscriptions.json")).exists());
        bench.run(&["validate", "--online", "--target", name]).code(0);
        bench.run(&["plan", "--target", name]);
    }
    // The variables of a portal come before the environment.
    let wrong = [("HUBSPOT_ADDRESS", "http://127.0.0.1:9")];
    let ran = run_with(&bench, &["import", "subscriptions", "--yes", "--format", "json", "--target", "acme"], &wrong);
    let count = ran.code(0).json()["pipelines"][0]["created"].as_u64().unwrap() as usize;
    assert!(count > 0);
    assert_eq!((bench.records("subscriptions").len(), other.records("subscriptions").len()), (count, 0));
    let ran = bench.run(&["import", "subscriptions", "--yes", "--target", "best-inc"]).code(0);
    assert!(ran.stderr.contains("target `best-inc`"), "{ran:?}");
    assert_eq!(other.records("subscriptions").len(), count);
    assert!(bench.path(".syncline/acme/state.db").exists() && bench.path(".syncline/best-inc/state.db").exists());
    for (name, runs) in [("acme", 1), ("best-inc", 1)] {
        let told = run_with(&bench, &["runs", "--format", "json"], &[("SYNCLINE_TARGET", name)]).code(0).json();
        assert_eq!(told["runs"].as_array().unwrap().len(), runs, "{told}");
    }
    // The daemon reads the file as it reads all others.
    bench.run(&["sync", "--once", "--target", "acme"]);
    bench.run(&["status", "--target", "acme"]).code(0);
}

#[test]
fn a_portal_writes_to_its_own_number_only() {
    let (bench, _other) = fleet();
    bench.edit("portals/acme.yaml", "portal_id: 51234567", "portal_id: 999");
    let ran = bench.run(&["import", "subscriptions", "--yes", "--target", "acme"]).code(1);
    assert!(ran.stderr.contains("SL3005") && ran.stderr.contains("999"), "{ran:?}");
    assert!(bench.records("subscriptions").is_empty());
}

#[test]
fn what_is_wrong_in_a_portal_is_found_whichever_is_meant_and_shown_where_it_stands() {
    let (bench, _other) = fleet();
    let portal = "version: 1\nportal_id: 7\nguard: { archive: lots }\nconnections:\n  hubspot:\n    acess_token: x\n";
    bench.write("portals/third.yaml", portal);
    for target in [&[][..], &["--target", "third"], &["--target", "acme"]] {
        let ran = bench.run(&[&["validate", "-q"], target].concat()).code(1);
        assert!(ran.stdout.contains("portals/third.yaml:6:5") && ran.stdout.contains("`access_token`?"), "{ran:?}");
        assert_eq!(ran.stdout.matches("error[").count(), 2, "{target:?}: {}", ran.stdout);
    }
    // What comes of the portal's own words is shown there; another portal goes on.
    let portal = format!(
        "version: 1\nportal_id: 7\nvariables:\n  TOKEN: {HIDDEN}\nconnections:\n  hubspot:\n    base_url: http://example.com\n    access_token: ${{TOKEN}}\n"
    );
    bench.write("portals/third.yaml", &portal);
    let ran = bench.run(&["validate", "-q"]).code(1);
    assert!(ran.stdout.contains("[SL2009]") && ran.stdout.contains("portals/third.yaml:7:15"), "{ran:?}");
    assert!(ran.stdout.contains("[SL2011]") && ran.stdout.contains("portals/third.yaml:4:"), "{ran:?}");
    assert!(!ran.stdout.contains(HIDDEN), "{ran:?}");
    let ran = bench.run(&["plan", "--target", "third"]).code(1);
    assert!(ran.stderr.contains("[SL2009]") && !ran.stderr.contains(HIDDEN), "{ran:?}");
    bench.run(&["status", "--target", "acme"]).code(0);
    // No such portal, and no such name.
    let ran = bench.run(&["status", "--target", "acmee"]).code(1);
    assert!(ran.stderr.contains("did you mean `acme`?"), "{ran:?}");
    bench.write("portals/a b.yaml", "version: 1\nportal_id: 9\n");
    let ran = bench.run(&["validate", "-q"]).code(1);
    assert!(ran.stdout.contains("`a b` cannot be the name of a portal"), "{ran:?}");
}

#[test]
fn secrets_of_a_portal_are_asked_for_by_name() {
    let (bench, _other) = fleet();
    let text = fs::read_to_string(bench.path("portals/acme.yaml")).unwrap();
    bench.write("portals/acme.yaml", &format!("{text}  HUBSPOT: ${{secret:acme-hubspot}}\n"));
    bench.edit("syncline.yaml", "access_token: sandbox-hubspot-token", "access_token: ${HUBSPOT}");
    let ran = bench.run(&["plan", "--target", "acme"]).code(1);
    assert!(ran.stderr.contains("acme-hubspot"), "{ran:?}");
    let ran = run_with(
        &bench,
        &["import", "subscriptions", "--yes", "--target", "acme"],
        &[("ACME_HUBSPOT", "sandbox-hubspot-token")],
    );
    ran.code(0);
    assert!(!bench.records("subscriptions").is_empty());
}

#[test]
fn a_change_of_a_portal_is_told_by_diff() {
    let (bench, _other) = fleet();
    let git = |arguments: &[&str]| {
        let mut git = std::process::Command::new("git");
        git.args(["-c", "user.name=t", "-c", "user.email=t@example.com"]).args(arguments).current_dir(bench.path(""));
        assert!(git.output().unwrap().status.success(), "{arguments:?}");
    };
    git(&["init", "-q", "-b", "main"]);
    git(&["add", "-A"]);
    git(&["commit", "-q", "-m", "one"]);
    bench.run(&["diff", "--base", "main", "--target", "acme"]).code(0);
    let text = fs::read_to_string(bench.path("portals/acme.yaml")).unwrap();
    bench.write("portals/acme.yaml", &format!("{text}guard: {{ archive: 90% }}\n"));
    fs::remove_file(bench.path("portals/best-inc.yaml")).unwrap();
    let ran = bench.run(&["diff", "--base", "main", "--target", "acme"]);
    assert!(ran.stdout.contains("guard.archive") && ran.stdout.contains("portals/acme.yaml"), "{ran:?}");
    assert!(ran.stdout.contains("portals/best-inc.yaml"), "{ran:?}");
}

#[test]
fn the_fleet_is_told_first_and_then_each_portal() {
    let (bench, _other) = fleet();
    let import = bench.run(&["import", "--yes", "--target", "acme"]);
    assert!(matches!(import.code, Some(0 | 3)), "{import:?}");
    bench.write(
        "portals/third.yaml",
        "version: 1\nportal_id: 7\nconnections:\n  hubspot: { base_url: \"http://example.com\" }\n",
    );
    let told = bench.run(&["status", "--format", "json"]).code(0).json();
    let fleet = &told["fleet"];
    assert_eq!((&fleet["fresh"], &fleet["late"], &fleet["broken"]), (&json!(1), &json!(1), &json!(1)), "{told}");
    assert_eq!((&told["pipelines"], &fleet["longest_wait_seconds"]), (&json!([]), &json!(null)), "{told}");
    let portals = fleet["portals"].as_array().unwrap();
    let stands: Vec<_> = portals.iter().map(|portal| (&portal["portal"], &portal["standing"])).collect();
    let expected = [("acme", "fresh"), ("best-inc", "late"), ("third", "broken")].map(|(a, b)| (json!(a), json!(b)));
    assert_eq!(stands, expected.iter().map(|(name, standing)| (name, standing)).collect::<Vec<_>>());
    assert!(portals[0]["records"].as_u64().unwrap() > 0 && portals[0]["last_run"].is_string(), "{fleet}");
    assert!(portals[2]["problem"].as_str().unwrap().contains("portals/third.yaml:4"), "{fleet}");
    let text = bench.run(&["status"]).code(0);
    for part in ["3 portals: 1 fresh, 1 late, 1 broken", "best-inc", "! third: ", "status --target NAME"] {
        assert!(text.stdout.contains(part), "`{part}`: {text:?}");
    }
    let check = bench.run(&["status", "--check"]).code(1);
    assert!(check.stdout.starts_with("best-inc: ") && check.stdout.contains("\nthird: "), "{check:?}");
    // One portal is told as a target is.
    let one = bench.run(&["status", "--target", "acme", "--format", "json"]).code(0).json();
    assert!(one["fleet"].is_null() && one["pipelines"].as_array().unwrap().len() == 2, "{one}");
    // The same on the page and as metrics, where portals have no labels unless they are asked for.
    let served = bench.serve(&[]);
    assert_eq!(served.get("/status.json").status(200).fits("status")["fleet"]["late"], 1);
    let page = served.get("/").status(200).body;
    assert!(page.contains("1 portals are fresh, 1 late, 1 broken") && page.contains("best-inc"), "{page}");
    let metrics = served.get("/metrics").status(200).body;
    assert!(metrics.contains("syncline_portals{standing=\"late\"} 1"), "{metrics}");
    assert!(!metrics.contains("acme") && !metrics.contains("best-inc"), "{metrics}");
    let served = bench.serve(&["--portal-labels"]);
    let metrics = served.get("/metrics").status(200).body;
    assert!(metrics.contains("syncline_portal_standing{portal=\"third\",standing=\"broken\"} 1"), "{metrics}");
}
