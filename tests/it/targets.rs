//! One set of pipelines for several environments: targets, `.env`, and secrets by their names.

use std::fs;
use std::os::unix::fs::PermissionsExt as _;
use std::path::Path;

use crate::support::{Bench, Ran, ended};

/// What nothing may show.
const HIDDEN: &str = "hush-0123456789abcdef";

/// The address of HubSpot that a project file names.
fn address(bench: &Bench) -> String {
    let text = bench.sandbox.project_yaml();
    text.lines().find_map(|line| line.trim().strip_prefix("base_url: ")).unwrap().to_owned()
}

/// A project whose base is its own sandbox, and whose target `other` is the HubSpot of another one.
fn two_portals() -> (Bench, Bench) {
    let (bench, other) = (Bench::new(6), Bench::new(3));
    let over = format!(
        "targets:\n  other:\n    connections:\n      hubspot:\n        base_url: {}\n  same: {{}}\n",
        address(&other)
    );
    let text = fs::read_to_string(bench.path("syncline.yaml")).unwrap();
    bench.write("syncline.yaml", &format!("{text}{over}"));
    (bench, other)
}

/// Runs the program with variables of its own.
pub(crate) fn run_with(bench: &Bench, arguments: &[&str], variables: &[(&str, &str)]) -> Ran {
    let mut command = bench.command(arguments);
    command.envs(variables.iter().copied());
    ended(command.output().unwrap())
}

#[test]
fn each_target_has_its_own_portal_state_and_catalog() {
    let (bench, other) = two_portals();
    bench.run(&["catalog", "pull"]).code(0);
    bench.run(&["catalog", "pull", "--target", "other"]).code(0);
    assert!(bench.path("catalog/hubspot.subscriptions.json").exists());
    assert!(bench.path("catalog/other/hubspot.subscriptions.json").exists());
    // The catalog of a target is no stranger in that of the project.
    let check = bench.run(&["catalog", "pull", "--check"]).code(0);
    assert!(!check.stdout.contains("other/"), "{check:?}");
    bench.run(&["validate", "--target", "other"]).code(0);
    let created = |target: &[&str]| {
        let arguments = [&["import", "subscriptions", "--yes", "--format", "json"], target].concat();
        bench.run(&arguments).code(0).json()["pipelines"][0]["created"].as_u64().unwrap() as usize
    };
    let count = created(&["--target", "other"]);
    assert!(count > 0);
    assert_eq!((bench.records("subscriptions").len(), other.records("subscriptions").len()), (0, count));
    assert!(bench.path(".syncline/other/state.db").exists() && !bench.path(".syncline/state.db").exists());
    assert_eq!((created(&[]), bench.records("subscriptions").len()), (count, count));
    let runs = |variables: &[(&str, &str)]| {
        run_with(&bench, &["runs", "--format", "json"], variables).json()["runs"].as_array().unwrap().len()
    };
    assert_eq!((runs(&[]), runs(&[("SYNCLINE_TARGET", "other")]), runs(&[("SYNCLINE_TARGET", "same")])), (1, 1, 0));
}

#[test]
fn the_flag_comes_before_the_variable_and_both_before_the_default() {
    let (bench, _other) = two_portals();
    let state_of = |arguments: &[&str], variables: &[(&str, &str)]| {
        // The file that a pull writes tells which target was meant.
        let _ = fs::remove_dir_all(bench.path("catalog"));
        run_with(&bench, &[&["catalog", "pull"], arguments].concat(), variables).code(0);
        ["same", "other"].into_iter().find(|name| bench.path(&format!("catalog/{name}")).exists()).unwrap_or("base")
    };
    assert_eq!(state_of(&[], &[]), "base");
    assert_eq!(state_of(&[], &[("SYNCLINE_TARGET", " ")]), "base");
    bench.edit("syncline.yaml", "targets:", "default_target: same\ntargets:");
    assert_eq!(state_of(&[], &[]), "same");
    assert_eq!(state_of(&[], &[("SYNCLINE_TARGET", "other")]), "other");
    assert_eq!(state_of(&["--target", "same"], &[("SYNCLINE_TARGET", "other")]), "same");
    bench.write(".env", "SYNCLINE_TARGET=other\n");
    assert_eq!(state_of(&[], &[]), "other");
    assert_eq!(state_of(&[], &[("SYNCLINE_TARGET", "same")]), "same");
}

#[test]
fn a_target_that_does_not_exist_is_named_with_the_nearest_one() {
    let (bench, _other) = two_portals();
    for (name, help) in [("othr", "did you mean `other`?"), ("nowhere", "targets are: `other`, `same`")] {
        for command in [&["plan"][..], &["validate"], &["status"], &["diff"], &["import", "--yes"], &["sync", "--once"]]
        {
            if command == ["diff"] {
                continue;
            }
            let ran = bench.run(&[command, &["--target", name]].concat()).code(1);
            let said = format!("{}{}", ran.stdout, ran.stderr);
            assert!(said.contains("[SL1018]") && said.contains(help), "{command:?}: {said}");
        }
    }
    // Of an unset variable of a script: the base accounts are not what was asked for.
    for (command, flag) in [("status", "--target="), ("validate", "--target= "), ("plan", "--target=")] {
        let ran = bench.run(&[command, flag]).code(64);
        assert!(ran.stderr.contains("set the variable that gives it, or leave the flag out"), "{command}: {ran:?}");
    }
    let ran = bench.run(&["import", "--yes", "--target", ""]).code(64);
    assert!(ran.stderr.contains("expected the name of a target"), "{ran:?}");
    let plain = Bench::new(1);
    let ran = plain.run(&["status", "--target", "prod"]).code(1);
    assert!(ran.stderr.contains("the project has no targets"), "{ran:?}");
    // Nothing was made in the meantime.
    assert!(!bench.path(".syncline").exists() && !plain.path(".syncline").exists());
}

#[test]
fn what_is_wrong_in_a_target_is_found_whichever_is_meant_and_shown_where_it_stands() {
    let (bench, _other) = two_portals();
    bench.edit(
        "syncline.yaml",
        "  same: {}",
        "  same:\n    connections:\n      hubspot:\n        acess_token: x\n        portal_id: nine",
    );
    for target in [&[][..], &["--target", "same"], &["--target", "other"]] {
        let ran = bench.run(&[&["validate", "-q"], target].concat()).code(1);
        assert!(
            ran.stdout.contains("unknown key `acess_token`") && ran.stdout.contains("did you mean `access_token`?"),
            "{ran:?}"
        );
        assert_eq!(ran.stdout.matches("error[").count(), 2, "{target:?}: {}", ran.stdout);
        assert!(ran.stdout.contains("syncline.yaml:2") && !ran.stdout.contains(": x"), "{}", ran.stdout);
    }
    // A name that would lead out of the folders.
    bench.edit("syncline.yaml", "  other:\n", "  ../other:\n");
    let ran = bench.run(&["validate", "--target", "../other"]).code(1);
    assert!(ran.stdout.contains("cannot be the name of a target"), "{ran:?}");
}

#[test]
fn a_target_that_is_not_meant_needs_no_variables() {
    let (bench, _other) = two_portals();
    bench.edit("syncline.yaml", "  same: {}", "  same:\n    connections:\n      hubspot:\n        access_token: ${TOKEN_THAT_NOBODY_SETS}\n        base_url: ${ADDRESS_THAT_NOBODY_SETS}\n");
    bench.run(&["validate", "--online"]).code(0);
    bench.run(&["plan"]).code(0);
    let ran = bench.run(&["validate", "--online", "--target", "same"]).code(1);
    assert!(ran.stdout.contains("`TOKEN_THAT_NOBODY_SETS` is not set"), "{ran:?}");
    bench.run(&["validate", "--target", "same"]).code(0);
}

#[test]
fn a_target_sets_limits_for_all_pipelines() {
    let (bench, _other) = two_portals();
    bench.edit(
        "syncline.yaml",
        "  same: {}",
        "  same:\n    state: sqlite:.syncline/state.db\n    guard: { archive: 1 }",
    );
    bench.run(&["import", "--yes"]).code(0);
    for id in bench.rows("Subscription__c").keys().take(2) {
        bench.salesforce("delete", serde_json::json!({"object": "Subscription__c", "id": id}));
    }
    let ran = bench.run(&["sync", "subscriptions", "--once", "--target", "same"]).code(1);
    assert!(ran.stderr.contains("[SL6009]") && ran.stderr.contains('1'), "{ran:?}");
    bench.run(&["sync", "subscriptions", "--once", "--allow-archive", "5", "--target", "same"]).code(0);
}

#[test]
fn a_plan_of_one_target_is_not_carried_out_in_another() {
    let (bench, other) = (Bench::new(6), Bench::new(3));
    let over = format!("targets:\n  other:\n    connections:\n      hubspot:\n        base_url: {}\n", address(&other));
    let text = fs::read_to_string(bench.path("syncline.yaml")).unwrap();
    bench.write("syncline.yaml", &format!("{text}{over}"));
    bench.run(&["import", "--yes"]);
    let id = bench.rows("Subscription__c").keys().next().unwrap().clone();
    bench.salesforce(
        "update",
        serde_json::json!({"object": "Subscription__c", "id": id, "values": {"Notes__c": "new"}}),
    );
    bench.run(&["plan", "subscriptions", "--out", "a.plan"]).code(0);
    let ran = bench.run(&["apply", "a.plan", "--yes", "--target", "other"]).code(1);
    assert!(ran.stderr.contains("target `other`") && ran.stderr.contains("error["), "{ran:?}");
    assert!(other.records("subscriptions").is_empty(), "{ran:?}");
    bench.run(&["apply", "a.plan", "--yes"]).code(0);
}

#[test]
fn new_takes_its_target_by_another_flag() {
    let (bench, _other) = two_portals();
    bench
        .run(&["new", "more", "--source", "Subscription__c", "--target", "subscriptions", "--environment", "other"])
        .code(0);
    let ran = bench.run(&[
        "new",
        "more2",
        "--source",
        "Subscription__c",
        "--target",
        "subscriptions",
        "--environment",
        "oter",
    ]);
    assert!(ran.code == Some(1) && ran.stderr.contains("did you mean `other`?"), "{ran:?}");
}

#[test]
fn variables_come_from_a_file_beside_the_project_unless_the_environment_sets_them() {
    let bench = Bench::new(2);
    bench.edit("syncline.yaml", "access_token: sandbox-hubspot-token", "access_token: ${MY_TOKEN}");
    let ran = bench.run(&["validate", "--online"]).code(1);
    assert!(ran.stdout.contains("`MY_TOKEN` is not set"), "{ran:?}");
    bench.write(".env", "# for this computer\nexport MY_TOKEN='sandbox-hubspot-token'\n");
    bench.run(&["validate", "--online"]).code(0);
    // The environment of the process wins.
    let ran = run_with(&bench, &["validate", "--online"], &[("MY_TOKEN", HIDDEN)]).code(1);
    assert!(ran.stdout.contains("[SL4002]") && !ran.stdout.contains("hush"), "{ran:?}");
    // What it says is masked as what the environment says.
    bench.write(".env", &format!("MY_TOKEN={HIDDEN}\nUNUSED_PASSWORD=other-{HIDDEN}\n"));
    let ran = bench.run(&["plan", "-vv"]).code(1);
    assert!(!ran.stdout.contains("hush") && !ran.stderr.contains("hush"), "{ran:?}");
}

#[test]
fn a_file_of_variables_that_is_no_good_is_told_without_its_values() {
    let bench = Bench::new(1);
    bench.write(".env", &format!("GOOD=1\n{HIDDEN}\nMY_TOKEN=\"{HIDDEN}\n"));
    let ran = bench.run(&["validate"]).code(1);
    assert!(
        ran.stdout.contains("[SL1019]") && ran.stdout.contains(".env:2") && ran.stdout.contains(".env:3"),
        "{ran:?}"
    );
    assert!(!ran.stdout.contains("hush") && !ran.stderr.contains("hush"), "{ran:?}");
    for (text, part) in [(&b"A=\xff"[..], "UTF-8"), (&[b'a'; 70_000][..], "too large")] {
        fs::write(bench.path(".env"), text).unwrap();
        let ran = bench.run(&["status"]).code(1);
        assert!(ran.stderr.contains("[SL1019]") && ran.stderr.contains(part), "{ran:?}");
    }
    fs::remove_file(bench.path(".env")).unwrap();
    let elsewhere = tempfile::tempdir().unwrap();
    fs::write(elsewhere.path().join("secrets"), HIDDEN).unwrap();
    std::os::unix::fs::symlink(elsewhere.path().join("secrets"), bench.path(".env")).unwrap();
    let ran = bench.run(&["status"]).code(1);
    assert!(ran.stderr.contains("[SL1019]") && !ran.stderr.contains("hush"), "{ran:?}");
}

/// A script that prints a secret, and notes each name that it was asked for.
fn manager(folder: &Path, says: &str) -> String {
    let path = folder.join("manager");
    let asked = folder.join("asked");
    let script = format!(
        "#!/bin/sh\necho \"$@\" >> '{}'\npwd > '{}'\n{says}\n",
        asked.display(),
        folder.join("where").display()
    );
    fs::write(&path, script).unwrap();
    fs::set_permissions(&path, fs::Permissions::from_mode(0o755)).unwrap();
    path.to_str().unwrap().to_owned()
}

fn asked(folder: &Path) -> String {
    fs::read_to_string(folder.join("asked")).unwrap_or_default()
}

#[test]
fn a_command_of_the_user_gives_secrets_when_they_are_used() {
    let (bench, tools) = (Bench::new(2), tempfile::tempdir().unwrap());
    bench.edit("syncline.yaml", "access_token: sandbox-hubspot-token", "access_token: ${secret:crm/hubspot}");
    let command = format!("{} get {{name}} --plain", manager(tools.path(), "echo sandbox-hubspot-token"));
    let own = [("SYNCLINE_SECRET_COMMAND", command.as_str())];
    // What needs no connection asks for no secret.
    for arguments in [&["status"][..], &["runs"], &["validate"], &["failures"]] {
        run_with(&bench, arguments, &own).code(0);
    }
    assert_eq!(asked(tools.path()), "");
    run_with(&bench, &["import", "--yes"], &own).code(0);
    assert_eq!(asked(tools.path()), "get crm/hubspot --plain\n", "once for both pipelines");
    let place = fs::read_to_string(tools.path().join("where")).unwrap();
    assert!(!place.trim().starts_with(bench.path("").to_str().unwrap().trim_end_matches('/')), "{place}");
    // Its output is shown nowhere, also where it is no good.
    manager(tools.path(), &format!("echo {HIDDEN}; echo {HIDDEN} >&2; exit 4"));
    let ran = run_with(&bench, &["plan", "-vv"], &own).code(1);
    assert!(ran.stderr.contains("[SL1032]") && ran.stderr.contains("ended with code 4"), "{ran:?}");
    assert!(!ran.stdout.contains("hush") && !ran.stderr.contains("hush"), "{ran:?}");
    manager(tools.path(), &format!("printf '{HIDDEN}\\n{HIDDEN}'"));
    let ran = run_with(&bench, &["plan", "-vv"], &own).code(1);
    assert!(ran.stderr.contains("[SL1031]") && !ran.stderr.contains("hush"), "{ran:?}");
    manager(tools.path(), &format!("echo {HIDDEN}"));
    let ran = run_with(&bench, &["plan", "-vv"], &own).code(1);
    assert!(ran.stderr.contains("[SL4002]") && !ran.stderr.contains("hush"), "{ran:?}");
}

#[test]
fn a_command_of_the_project_is_run_only_where_it_is_allowed_word_by_word() {
    let (bench, tools) = (Bench::new(2), tempfile::tempdir().unwrap());
    let program = manager(tools.path(), "echo sandbox-hubspot-token");
    bench.edit("syncline.yaml", "access_token: sandbox-hubspot-token", "access_token: ${secret:hubspot}");
    bench.edit("syncline.yaml", "state:", &format!("secret_command: [{program}, get]\nstate:"));
    let line = format!("{program} get");
    for allowed in [None, Some("true"), Some(program.as_str()), Some("yes")] {
        let variables: Vec<(&str, &str)> =
            allowed.map(|line| ("SYNCLINE_ALLOW_SECRET_COMMAND", line)).into_iter().collect();
        let ran = run_with(&bench, &["plan"], &variables).code(1);
        assert!(ran.stderr.contains("[SL1032]") && ran.stderr.contains(&line), "{ran:?}");
    }
    // A file of the project allows nothing.
    bench.write(".env", &format!("SYNCLINE_ALLOW_SECRET_COMMAND={line}\nSYNCLINE_SECRET_COMMAND={line}\n"));
    let ran = run_with(&bench, &["plan"], &[]).code(1);
    assert!(ran.stderr.contains("[SL1032]"), "{ran:?}");
    let ran = run_with(&bench, &["validate"], &[]).code(0);
    assert!(ran.stdout.contains("`SYNCLINE_SECRET_COMMAND` has no effect here"), "{ran:?}");
    // A revision asks for nothing either.
    bench.repository();
    run_with(&bench, &["diff"], &[("SYNCLINE_ALLOW_SECRET_COMMAND", &line)]).code(0);
    assert_eq!(asked(tools.path()), "");
    run_with(&bench, &["plan"], &[("SYNCLINE_ALLOW_SECRET_COMMAND", &line)]).code(0);
    assert_eq!(asked(tools.path()), "get hubspot\n");
    // A change of the command is another command.
    bench.edit("syncline.yaml", ", get]", ", get, --all]");
    let ran = run_with(&bench, &["plan"], &[("SYNCLINE_ALLOW_SECRET_COMMAND", &line)]).code(1);
    assert!(ran.stderr.contains("[SL1032]"), "{ran:?}");
    // A program of the checkout is none.
    fs::copy(&program, bench.path("get")).unwrap();
    for place in ["./get".to_owned(), "get".to_owned(), bench.path("get").display().to_string()] {
        let ran = run_with(&bench, &["plan"], &[("SYNCLINE_SECRET_COMMAND", &place)]).code(1);
        assert!(ran.stderr.contains("is not found on the PATH outside of the project"), "{place}: {ran:?}");
        assert!(ran.stderr.contains("a program inside the project is never run"), "{place}: {ran:?}");
    }
    // One that is there and may not be run is not missing.
    fs::set_permissions(&program, fs::Permissions::from_mode(0o600)).unwrap();
    let ran = run_with(&bench, &["plan"], &[("SYNCLINE_SECRET_COMMAND", &program)]).code(1);
    let advice = format!("`chmod +x {program}`");
    assert!(ran.stderr.contains("is a file that may not be run") && ran.stderr.contains(&advice), "{ran:?}");
}

#[test]
fn secrets_come_from_a_folder_or_the_environment_where_there_is_no_command() {
    let (bench, folder) = (Bench::new(2), tempfile::tempdir().unwrap());
    bench.edit("syncline.yaml", "access_token: sandbox-hubspot-token", "access_token: ${secret:hubspot-token}");
    bench.edit("syncline.yaml", "client_secret: ", "client_secret: ${secret:sf}");
    let secret = bench
        .sandbox
        .project_yaml()
        .lines()
        .find_map(|line| line.trim().strip_prefix("client_secret: ").map(str::to_owned))
        .unwrap();
    bench.edit("syncline.yaml", &format!("${{secret:sf}}{secret}"), "${secret:sf}");
    let ran = run_with(&bench, &["plan"], &[]).code(1);
    assert!(ran.stderr.contains("the secret `sf` is not kept in `/run/secrets`, nor in the environment"), "{ran:?}");
    fs::write(folder.path().join("sf"), format!("{secret}\n")).unwrap();
    let folder = folder.path().to_str().unwrap();
    let variables = [("CREDENTIALS_DIRECTORY", folder), ("HUBSPOT_TOKEN", "sandbox-hubspot-token")];
    run_with(&bench, &["plan"], &variables).code(0);
    let variables = [("SYNCLINE_SECRETS_DIR", folder), ("hubspot-token", "sandbox-hubspot-token")];
    run_with(&bench, &["plan"], &variables).code(0);
}

#[test]
fn a_review_of_a_target_tells_what_changes_in_it() {
    let (bench, _other) = two_portals();
    bench.repository();
    bench.edit("syncline.yaml", "  same: {}", "  same:\n    guard: { archive: 90% }\n    state: sqlite:x.db");
    for target in [&[][..], &["--target", "same"]] {
        let ran = bench.run(&[&["diff"], target].concat()).code(0);
        assert!(ran.stdout.contains("`targets.same.guard.archive` changed"), "{ran:?}");
        assert!(ran.stdout.contains("`targets.same.state` changed"), "{ran:?}");
    }
    // A target that the base does not have is compared with what stood outside of it.
    bench.edit("syncline.yaml", "  same:\n", "  brand_new: {}\n  same:\n");
    bench.run(&["diff", "--target", "brand_new"]).code(0);
}

#[test]
fn variables_of_the_computer_are_no_change_of_the_definitions() {
    let bench = Bench::new(3);
    bench.repository();
    bench.write(".env", "NOTHING=1\n");
    let origin = || bench.run(&["runs", "--format", "json"]).json()["runs"][0]["origin"].clone();
    bench.run(&["sync", "--once"]);
    let told = origin();
    assert!(told["commit"].is_string() && told["uncommitted"].as_bool() != Some(true), "{told}");
    bench.edit("pipelines/subscriptions.yaml", "to: amount", "to: amount ");
    bench.run(&["sync", "--once"]);
    assert_eq!(origin()["uncommitted"], true);
}
