//! The workflow that `init` writes: its steps run as the forge runs them, with a `gh` that keeps comments in a folder.

use std::collections::BTreeMap;
use std::fs;
use std::os::unix::fs::PermissionsExt;
use std::path::Path;
use std::process::Command;

use serde_json::Value;

use crate::support::{Bench, Ran, ended};

const FILE: &str = "pipelines/subscriptions.yaml";

/// Plays `gh api`: lists the id of the one comment, makes it, or changes it. A second one would be an error.
const GH: &str = r#"#!/bin/bash
set -eu
body=${*: -1}
case "$*" in
  *"--method PATCH repos/acme/crm/issues/comments/77 -F body=@"*) test -s "${body#body=@}"; cp "${body#body=@}" "$FORGE/comment"; echo patch >> "$FORGE/calls" ;;
  *"--method POST repos/acme/crm/issues/5/comments -F body=@"*) test ! -e "$FORGE/comment"; test -s "${body#body=@}"; cp "${body#body=@}" "$FORGE/comment"; echo post >> "$FORGE/calls" ;;
  "api --paginate repos/acme/crm/issues/5/comments --jq "*) if [ -e "$FORGE/comment" ]; then echo 77; fi ;;
  *) echo "unexpected: gh $*" >&2; exit 1 ;;
esac
"#;

/// A project made by `init`, on a sandbox, in a repository with a first commit; the sample pipelines are in it.
fn project() -> Bench {
    let bench = Bench::new(40);
    let sandboxed = fs::read_to_string(bench.path("syncline.yaml")).unwrap();
    fs::remove_file(bench.path("syncline.yaml")).unwrap();
    bench.run(&["init"]).code(0);
    bench.write("syncline.yaml", &sandboxed);
    bench.run(&["catalog", "pull"]).code(0);
    let test = "version: 1\npipeline: subscriptions\ntests:\n  - name: a name is carried over\n    source: { Name: Gold, Status__c: Active }\n    expect:\n      properties: { subscription_name: Gold }\n";
    bench.write("pipelines/subscriptions.test.yaml", test);
    bench.repository();
    bench.import();
    bench
}

/// What the forge has after the steps of one push.
struct Review {
    steps: BTreeMap<String, Ran>,
    comment: String,
    summary: String,
    calls: String,
}

/// Runs the steps of the workflow for the present branch, as the forge does: each in a shell of its own that ends at the
/// first error, and left out where its condition asks for a step that failed or for a token that is not there.
fn review(bench: &Bench, forge: &Path, token: &str) -> Review {
    fs::create_dir_all(forge.join("bin")).unwrap();
    let gh = forge.join("bin/gh");
    fs::write(&gh, GH).unwrap();
    fs::set_permissions(&gh, fs::Permissions::from_mode(0o755)).unwrap();
    let _ = fs::remove_file(forge.join("summary"));
    let _ = fs::remove_dir_all(bench.path("report"));
    let text = fs::read_to_string(bench.path(".github/workflows/syncline.yml")).unwrap();
    let workflow: Value = serde_yaml::from_str(&text).unwrap();
    let base = bench.git(&["rev-parse", "main"]).trim().to_owned();
    let program = Path::new(env!("CARGO_BIN_EXE_syncline")).parent().unwrap();
    let path = format!("{}:{}:/usr/local/bin:/usr/bin:/bin", forge.join("bin").display(), program.display());
    let mut steps = BTreeMap::new();
    for step in workflow["jobs"]["review"]["steps"].as_array().unwrap() {
        let (Some(name), Some(script)) = (step["name"].as_str(), step["run"].as_str()) else { continue };
        if name == "install" {
            continue;
        }
        let well = |name: &str| steps.get(name).is_some_and(|ran: &Ran| ran.code == Some(0));
        let runs = match name {
            "validate" | "test" | "summary" | "comment" => true,
            "diff" => well("validate"),
            "plan" => well("diff") && !token.is_empty(),
            other => panic!("the test does not know when the step `{other}` runs"),
        };
        if !runs {
            continue;
        }
        let mut command = Command::new("bash");
        command.args(["-e", "-c", script]).current_dir(bench.path("")).env("PATH", &path).env("FORGE", forge);
        for (name, value) in [
            ("BASE", base.as_str()),
            ("HUBSPOT_ACCESS_TOKEN", token),
            ("SALESFORCE_CLIENT_ID", token),
            ("GITHUB_STEP_SUMMARY", forge.join("summary").to_str().unwrap()),
            ("GH_TOKEN", "token"),
            ("REPOSITORY", "acme/crm"),
            ("NUMBER", "5"),
            ("NO_COLOR", "1"),
        ] {
            command.env(name, value);
        }
        steps.insert(name.to_owned(), ended(command.output().unwrap()));
    }
    let read = |name: &str| fs::read_to_string(forge.join(name)).unwrap_or_default();
    Review { steps, comment: read("comment"), summary: read("summary"), calls: read("calls") }
}

#[test]
fn a_pull_request_gets_one_comment_that_tells_what_the_change_does() {
    let bench = project();
    let forge = tempfile::TempDir::new().unwrap();
    // The runner that reviews has no state.
    fs::rename(bench.path(".syncline"), forge.path().join("state")).unwrap();
    bench.git(&["checkout", "--quiet", "-b", "change"]);
    bench.edit(FILE, "On Hold: on_hold", "On Hold: cancelled");
    bench.edit(FILE, "Status__c != 'Draft'", "Status__c NOT IN ('Draft', 'Cancelled')");
    bench.edit(FILE, "on_filter_exit: keep", "on_filter_exit: archive");
    bench.keep("Cancel what is on hold");
    let first = review(&bench, forge.path(), "set");
    for (name, ran) in &first.steps {
        assert_eq!(ran.code, Some(0), "{name}: {ran:?}");
    }
    assert_eq!(first.calls, "post\n");
    assert_eq!(first.summary, first.comment);
    for piece in [
        "to archive",
        "🔴 can remove data",
        "🟡 needs a backfill",
        "`on_hold` → `cancelled`",
        "records would be archived in HubSpot",
        "calls to HubSpot",
    ] {
        assert!(first.comment.contains(piece), "`{piece}` is not in\n{}", first.comment);
    }
    for file in ["report/plan.html", "report/plan.json", "report/changes.jsonl", "report/tests.xml"] {
        assert!(bench.path(file).exists(), "{file} is among the artifacts");
    }
    assert!(!bench.path(".syncline").exists(), "a review leaves no state");
    // The next push changes the same comment.
    bench.edit(FILE, "on_filter_exit: archive", "on_filter_exit: keep");
    bench.keep("Keep those that leave");
    let second = review(&bench, forge.path(), "set");
    assert_eq!(second.calls, "post\npatch\n");
    assert!(
        !second.comment.contains("to archive") && second.comment.contains("leave in HubSpot"),
        "{}",
        second.comment
    );
    // Without credentials the comment tells the change of the definitions.
    let third = review(&bench, forge.path(), "");
    assert!(!third.steps.contains_key("plan"));
    assert!(
        third.comment.contains("needs a backfill") && !third.comment.contains("calls to HubSpot"),
        "{}",
        third.comment
    );
}

#[test]
fn what_goes_wrong_is_in_the_comment_and_fails_the_check() {
    let bench = project();
    let forge = tempfile::TempDir::new().unwrap();
    bench.git(&["checkout", "--quiet", "-b", "change"]);
    let clean = fs::read_to_string(bench.path(FILE)).unwrap();
    bench.edit(FILE, "when_blank: keep", "when_blank: explode");
    let broken = review(&bench, forge.path(), "set");
    assert_eq!(broken.steps["validate"].code, Some(1));
    assert!(
        broken.steps["validate"].stdout.contains("::error file=pipelines/subscriptions.yaml,line=19"),
        "{:?}",
        broken.steps["validate"]
    );
    assert!(
        broken.comment.contains("1 error in the definitions")
            && broken.comment.contains("`pipelines/subscriptions.yaml:19:"),
        "{}",
        broken.comment
    );
    assert!(!broken.steps.contains_key("diff"));
    // A test that fails does not hide what the change does.
    bench.write(FILE, &clean);
    bench.edit(
        FILE,
        "{ from: Name, to: subscription_name, required: true }",
        "{ from: External_Code__c, to: subscription_name }",
    );
    let untrue = review(&bench, forge.path(), "set");
    assert_eq!(
        (untrue.steps["test"].code, untrue.steps["plan"].code),
        (Some(1), Some(0)),
        "{:?}",
        untrue.steps["test"]
    );
    assert!(
        untrue.steps["test"].stdout.contains("::error file=pipelines/subscriptions.test.yaml"),
        "{:?}",
        untrue.steps["test"]
    );
    assert!(
        untrue.comment.contains("`subscription_name` is fed by `External_Code__c` instead of `Name`"),
        "{}",
        untrue.comment
    );
    // A plan that cannot be made is said, under what is known.
    bench.faults(
        serde_json::json!([{"service": "salesforce", "path": "/services/data/**/query*", "fault": "daily_limit"}]),
    );
    let dark = review(&bench, forge.path(), "set");
    assert_eq!(dark.steps["plan"].code, Some(1));
    assert!(
        dark.comment.contains("is fed by") && dark.comment.contains("The plan could not be made"),
        "{}",
        dark.comment
    );
}

#[test]
fn findings_have_a_form_for_each_reader() {
    let bench = Bench::new(5);
    bench.edit(FILE, "when_blank: keep", "when_blank: explode");
    let sarif = bench.run(&["validate", "--format", "sarif"]).code(1).json();
    let result = &sarif["runs"][0]["results"][0];
    assert_eq!((&sarif["version"], &result["ruleId"]), (&"2.1.0".into(), &"SL1004".into()));
    let place = &result["locations"][0]["physicalLocation"];
    assert_eq!(place["artifactLocation"]["uri"], FILE);
    assert_eq!(place["region"]["startLine"], 19);
    let comment = bench.run(&["validate", "--format", "markdown"]).code(1).stdout;
    assert!(
        comment.starts_with("<!-- syncline -->\n## Syncline: 1 error in the definitions\n")
            && comment.contains("`SL1004`"),
        "{comment}"
    );
    bench.edit(FILE, "when_blank: explode", "when_blank: keep");
    let comment = bench.run(&["validate", "--format", "markdown"]).code(0).stdout;
    assert!(comment.contains("the definitions are valid"), "{comment}");
}

#[test]
fn hooks_and_examples_name_commands_that_exist() {
    let root = Path::new(env!("CARGO_MANIFEST_DIR"));
    let hooks: Value = serde_yaml::from_str(&fs::read_to_string(root.join(".pre-commit-hooks.yaml")).unwrap()).unwrap();
    let bench = Bench::new(5);
    bench.run(&["catalog", "pull"]).code(0);
    for hook in hooks.as_array().unwrap() {
        let words: Vec<&str> = hook["entry"].as_str().unwrap().split(' ').collect();
        assert_eq!((words[0], &hook["pass_filenames"]), ("syncline", &false.into()));
        bench.run(&words[1..]).code(0);
    }
    // Every command of the example for the other forge, with its flags, is understood.
    let example = fs::read_to_string(root.join("docs/examples/gitlab-ci.yml")).unwrap();
    let job: Value = serde_yaml::from_str(&example).unwrap();
    let script: Vec<&str> = job["syncline"]["script"].as_array().unwrap().iter().filter_map(Value::as_str).collect();
    let script = script.join("\n").replace("\\\n", " ");
    let commands: Vec<&str> = script
        .lines()
        .filter_map(|line| line.find("syncline ").map(|at| &line[at..]))
        .filter(|line| !line.contains("-->"))
        .collect();
    assert!(commands.len() >= 4, "{commands:?}");
    for line in commands {
        let line = line.split(['>', ';']).next().unwrap().replace("\"modified:$BASE\"", "x").replace("\"$BASE\"", "x");
        let words: Vec<&str> = line.split_whitespace().skip(1).collect();
        let ran = bench.run(&words);
        assert_ne!(ran.code, Some(64), "{line}: {ran:?}");
    }
}
