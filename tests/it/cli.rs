//! The command line: help, exit codes, what goes where, and the forms of findings.

use std::fs;
use std::path::Path;
use std::process::Command;

use serde_json::{Value, json};
use syncline::ops::schemas;
use tempfile::TempDir;

use crate::generated;
use crate::support::{Bench, Ran, ended, report};

/// Runs the program in a folder, with the variables that a new project asks for.
fn run(folder: &Path, arguments: &[&str]) -> Ran {
    let mut command = Command::new(env!("CARGO_BIN_EXE_syncline"));
    command.args(arguments).current_dir(folder).env("NO_COLOR", "1").env_remove("COLUMNS");
    for name in ["SALESFORCE_CLIENT_ID", "SALESFORCE_USERNAME", "SALESFORCE_PRIVATE_KEY", "HUBSPOT_ACCESS_TOKEN"] {
        command.env(name, "set");
    }
    ended(command.output().unwrap())
}

const COMMANDS: [&str; 32] = [
    "demo",
    "init",
    "validate",
    "test",
    "discover",
    "new",
    "catalog",
    "diff",
    "plan",
    "apply",
    "import",
    "sync",
    "reconcile",
    "worker",
    "status",
    "runs",
    "failures",
    "alerts",
    "why",
    "schema",
    "explain",
    "sandbox",
    "completions",
    "man",
    "doctor",
    "state",
    "serve",
    "login",
    "logout",
    "approve",
    "mcp",
    "deploy",
];

#[test]
fn help_tells_every_command_and_no_other() {
    let folder = TempDir::new().unwrap();
    let all = run(folder.path(), &["--help"]).code(0).stdout;
    generated::check("tests/cases/cli/help.txt", &all);
    let listed: Vec<&str> = all
        .lines()
        .skip_while(|line| *line != "Get started:")
        .take_while(|line| *line != "Options:")
        .filter_map(|line| line.strip_prefix("  ")?.split_whitespace().next())
        .filter(|name| *name != "help")
        .collect();
    let sorted =
        |names: &[&'static str]| names.iter().map(ToString::to_string).collect::<std::collections::BTreeSet<_>>();
    let found: std::collections::BTreeSet<String> = listed.into_iter().map(str::to_owned).collect();
    assert_eq!(found, sorted(&COMMANDS));
    for command in COMMANDS {
        let help = run(folder.path(), &[command, "--help"]).code(0).stdout;
        generated::check(&format!("tests/cases/cli/help-{command}.txt"), &help);
    }
}

#[test]
fn help_and_manual_pages_say_the_same_of_every_command() {
    let folder = TempDir::new().unwrap();
    let run = |words: &[&str]| run(folder.path(), words).code(0).stdout;
    assert_eq!(run(&["help", "plan"]), run(&["plan", "--help"]));
    assert!(run(&["--help"]).contains("Exit codes:") && !run(&["-h"]).contains("Exit codes:"));
    assert!(run(&["man"]).starts_with(".ie") || run(&["man"]).contains(".TH syncline 1"), "{}", run(&["man"]));
    run(&["man", "--out", "pages"]);
    for command in COMMANDS {
        let page = std::fs::read_to_string(folder.path().join(format!("pages/syncline-{command}.1"))).unwrap();
        assert!(page.contains(&format!(".TH syncline-{command} 1")) && !page.contains('\u{1b}'), "{page}");
    }
}

#[test]
fn a_schema_is_named_before_or_behind_the_project() {
    let folder = TempDir::new().unwrap();
    let plain = run(folder.path(), &["schema", "plan"]).code(0).stdout;
    assert_eq!(run(folder.path(), &["schema", "--project", "plan"]).code(0).stdout, plain);
    let ran = run(folder.path(), &["schema", "--project"]).code(64);
    assert!(ran.stderr.contains("pipeline"), "{}", ran.stderr);
    assert_eq!(run(folder.path(), &["schema"]).code(64).stdout, "");
}

#[test]
fn a_command_that_prints_json_prints_some_when_it_fails() {
    let folder = TempDir::new().unwrap();
    let commands: [(&[&str], &str); 11] = [
        (&["plan"], "pipelines"),
        (&["diff"], "pipelines"),
        (&["import", "--yes"], "pipelines"),
        (&["sync", "--once"], "pipelines"),
        (&["status"], "pipelines"),
        (&["why", "a015g000000B001AAC"], "pipelines"),
        (&["runs"], "runs"),
        (&["failures"], "failures"),
        (&["discover"], "refused"),
        (&["test"], "tests"),
        (&["catalog", "pull"], "files"),
    ];
    for (words, member) in commands {
        let ran = run(folder.path(), &[words, &["--format", "json"]].concat()).code(1);
        let output = ran.json();
        assert_eq!((&output[member], &output["status"]), (&json!([]), &json!("failed")), "{words:?}: {output}");
        assert!(output["error"]["code"].as_str().is_some_and(|code| code.starts_with("SL")), "{words:?}: {output}");
        assert!(ran.stderr.contains("error[SL"), "{words:?}: {}", ran.stderr);
    }
}

#[test]
fn a_wrong_command_line_ends_with_64() {
    let folder = TempDir::new().unwrap();
    for wrong in
        [&["explode"][..], &["plan", "--nope"], &["plan", "--format", "xml"], &["plan", "--sample", "many"], &[]]
    {
        let ran = run(folder.path(), wrong).code(64);
        assert_eq!(ran.stdout, "", "{wrong:?}");
        assert!(ran.stderr.contains("--help") || ran.stderr.contains("Usage"), "{wrong:?}: {}", ran.stderr);
    }
    let near = run(folder.path(), &["validat"]).code(64);
    assert!(near.stderr.contains("validate"), "{}", near.stderr);
}

#[test]
fn commands_need_a_project_and_find_it_upwards() {
    let folder = TempDir::new().unwrap();
    for command in ["validate", "plan", "import", "sync", "status", "runs", "failures"] {
        let ran = run(folder.path(), &[command]).code(1);
        assert!(ran.stderr.contains("SL1012") && ran.stderr.contains("syncline init"), "{command}: {}", ran.stderr);
    }
    run(folder.path(), &["init", "."]).code(0);
    let again = run(folder.path(), &["init", "."]).code(1);
    assert!(again.stderr.contains("SL1013"), "{}", again.stderr);
    let deep = folder.path().join("a/b");
    fs::create_dir_all(&deep).unwrap();
    run(&deep, &["validate"]).code(0);
    run(Path::new("/"), &["validate", "--project", folder.path().to_str().unwrap()]).code(0);
    let ignored = fs::read_to_string(folder.path().join(".gitignore")).unwrap();
    assert!(ignored.contains(".syncline"), "the state is never committed: {ignored}");
}

#[test]
fn init_keeps_what_is_there_and_the_state_out_of_git() {
    let folder = TempDir::new().unwrap();
    fs::create_dir(folder.path().join(".vscode")).unwrap();
    fs::write(folder.path().join(".gitignore"), "node_modules\n").unwrap();
    fs::write(folder.path().join(".vscode/settings.json"), "{}").unwrap();
    let ran = run(folder.path(), &["init"]).code(0);
    assert_eq!(fs::read_to_string(folder.path().join(".gitignore")).unwrap(), "node_modules\n.syncline/\n.env\n");
    assert_eq!(fs::read_to_string(folder.path().join(".vscode/settings.json")).unwrap(), "{}");
    assert!(ran.stdout.contains(".vscode/settings.json already exists"), "{}", ran.stdout);
    let other = TempDir::new().unwrap();
    fs::write(other.path().join(".gitignore"), "/.syncline\n/.env\n").unwrap();
    run(other.path(), &["init"]).code(0);
    assert_eq!(fs::read_to_string(other.path().join(".gitignore")).unwrap(), "/.syncline\n/.env\n");
}

#[test]
fn unknown_names_are_said_with_what_is_known() {
    let bench = Bench::new(5);
    for command in [&["validate", "subscription"][..], &["plan", "subscription"], &["import", "subscription", "--yes"]]
    {
        let ran = bench.run(command).code(1);
        assert!(ran.stderr.contains("SL2012") && ran.stderr.contains("`subscriptions`"), "{command:?}: {}", ran.stderr);
    }
    for command in [&["runs", "NOPE"][..], &["failures", "show", "a015g000000B000AAC"], &["explain", "SL9999"]] {
        let ran = bench.run(command).code(1);
        assert!(ran.stderr.contains("SL6006"), "{command:?}: {}", ran.stderr);
    }
    let near = [
        (&["discover", "Subscripton__c"][..], "did you mean `Subscription__c`?"),
        (&["new", "x", "--source", "Subscription_c", "--target", "subscriptions"], "did you mean `Subscription__c`?"),
        (&["new", "x", "--source", "WorkOrder", "--target", "work_order"], "did you mean `work_orders`?"),
        (&["failures", "list", "--pipeline", "subscription"], "did you mean `subscriptions`?"),
        (&["failures", "retry", "--pipeline", "subscription"], "did you mean `subscriptions`?"),
        (&["runs", "--pipeline", "subscription"], "did you mean `subscriptions`?"),
    ];
    for (command, part) in near {
        let ran = bench.run(command).code(1);
        assert!(ran.stderr.contains(part), "{command:?}: {}", ran.stderr);
    }
    assert!(bench.run(&["explain", "2037"]).code(0).stdout.contains("SL2037"), "the number is enough");
    let ran = bench.run(&["why", "nonsense"]).code(1);
    assert!(ran.stderr.contains("SL5004"), "{}", ran.stderr);
    let asked = bench.run(&["import"]).code(1);
    assert!(asked.stderr.contains("SL6007") && asked.stderr.contains("--yes"), "{}", asked.stderr);
}

#[test]
fn schemas_pages_and_completions_are_printed() {
    let folder = TempDir::new().unwrap();
    for name in schemas::NAMES {
        assert_eq!(run(folder.path(), &["schema", name]).code(0).stdout.trim(), schemas::text(name).unwrap().trim());
    }
    let list = run(folder.path(), &["explain"]).code(0).stdout;
    for code in generated::pages() {
        assert!(list.contains(&code), "{code} is not listed");
        let page = run(folder.path(), &["explain", &code.to_lowercase()]).code(0).stdout;
        assert!(page.starts_with(&format!("{code}: ")) && !page.contains("```"), "{page}");
    }
    for shell in ["bash", "zsh", "fish", "powershell", "elvish"] {
        let script = run(folder.path(), &["completions", shell]).code(0).stdout;
        assert!(script.contains("SYNCLINE_COMPLETE") && script.contains("syncline"), "{shell}: {script}");
    }
}

#[test]
fn findings_come_as_text_json_and_annotations() {
    let bench = Bench::new(5);
    bench.edit("pipelines/subscriptions.yaml", "match: salesforce_id", "mach: salesforce_id");
    let text = bench.run(&["validate"]).code(1);
    assert!(text.stdout.contains("error[SL1003]") && !text.stdout.contains('\u{1b}'), "{text:?}");
    let json = bench.run(&["validate", "--format", "json"]).code(1).json();
    assert_eq!(json["valid"], false);
    let finding = &json["findings"][0];
    assert_eq!(
        (finding["code"].as_str(), finding["line"].as_u64(), finding["column"].as_u64()),
        (Some("SL1003"), Some(12), Some(3))
    );
    assert_eq!(finding["file"], "pipelines/subscriptions.yaml");
    let github = bench.run(&["validate", "--format", "github"]).code(1).stdout;
    assert!(github.starts_with("::error file=pipelines/subscriptions.yaml,line=12,col=3,"), "{github}");
}

#[test]
fn plan_says_by_its_exit_code_whether_anything_would_change() {
    let bench = Bench::new(20);
    bench.run(&["plan"]).code(0);
    bench.run(&["plan", "--detailed-exitcode"]).code(2);
    let reports = bench.import();
    assert!(report(&reports, "work_orders")["created"].as_u64() > Some(0));
    bench.run(&["plan", "--detailed-exitcode"]).code(0);
}

#[test]
fn results_go_to_stdout_and_talk_to_stderr() {
    let bench = Bench::new(10);
    let quiet = bench.run(&["import", "--yes", "--format", "json", "--quiet"]);
    assert_eq!(quiet.stderr, "");
    let reports: Value = quiet.json();
    let keys = [
        "name",
        "run",
        "kind",
        "status",
        "read",
        "created",
        "updated",
        "unchanged",
        "archived",
        "restored",
        "filtered",
        "associated",
        "disassociated",
        "pending_associations",
        "failed",
        "salesforce_calls",
        "hubspot_calls",
        "seconds",
    ];
    for key in keys {
        assert!(report(&reports, "subscriptions").get(key).is_some(), "`{key}` is missing: {reports}");
    }
    let logged = bench.run(&["sync", "--once", "--format", "json", "-vv", "--log-format", "json"]).code(0);
    logged.json();
    for line in logged.stderr.lines().filter(|line| line.starts_with('{')) {
        serde_json::from_str::<Value>(line).unwrap();
    }
    assert!(logged.stderr.lines().any(|line| line.starts_with('{')), "{}", logged.stderr);
}

#[test]
fn errors_of_a_run_are_written_as_csv() {
    let bench = Bench::new(120);
    let reports = bench.import();
    let run = report(&reports, "subscriptions")["run"].as_str().unwrap().to_owned();
    bench.run(&["runs", &run, "--errors", "errors.csv"]).code(0);
    let text = fs::read_to_string(bench.path("errors.csv")).unwrap();
    let mut lines = text.lines();
    let head = lines.next().unwrap();
    assert!(
        head.starts_with("\"salesforce_id\",") && head.contains("\"code\"") && head.contains("Status__c"),
        "{head}"
    );
    let failed = report(&reports, "subscriptions")["failed"].as_u64().unwrap();
    assert_eq!(text.matches("SL500").count() as u64, failed, "{text}");
    assert!(text.contains("***") && !text.contains("billing+"), "sensitive values are masked: {text}");
}

#[test]
fn the_demo_tells_its_story() {
    let folder = TempDir::new().unwrap();
    let ran = run(folder.path(), &["demo", "--records", "40"]).code(0);
    for part in [
        "what `import` would do",
        "import subscriptions:",
        "sync subscriptions:",
        "needs a backfill",
        "status: \"on_hold\" → \"cancelled\"",
        "import --stale",
        "syncline status",
        "SL50",
    ] {
        assert!(ran.stdout.contains(part), "`{part}` is not in {}", ran.stdout);
    }
    let again = run(folder.path(), &["demo", "--records", "40", "--keep", "kept"]).code(0);
    assert!(again.stdout.contains("kept"));
    assert!(folder.path().join("kept/pipelines/subscriptions.yaml").is_file());
    run(folder.path(), &["demo", "--keep", "kept"]).code(1);
}

#[test]
fn a_sandbox_that_cannot_start_says_why() {
    let folder = TempDir::new().unwrap();
    fs::write(folder.path().join("faults.yaml"), "rules:\n  - { service: hubspot }\n").unwrap();
    let cases = [
        (&["--salesforce", "0.0.0.0:0"][..], "loopback"),
        (&["--faults", "nowhere.yaml"], "No such file or directory\n"),
        (&["--faults", "faults.yaml"], "rule"),
        (&["--jwt-key", "nowhere.pem"], "nowhere.pem"),
        (&["--data", "nowhere/data.json"], "data"),
    ];
    for (flags, part) in cases {
        let ran = run(folder.path(), &[&["sandbox"], flags].concat()).code(1);
        assert!(ran.stderr.contains("SL6011") && ran.stderr.contains(part), "{flags:?}: {}", ran.stderr);
    }
    let text = fs::read_to_string(folder.path().join("faults.yaml")).unwrap();
    let ran = run(folder.path(), &["sandbox", "--write", "faults.yaml"]).code(1);
    for part in ["`faults.yaml` already exists; nothing was served", "name another file for `--write`"] {
        assert!(ran.stderr.contains(part), "{}", ran.stderr);
    }
    assert_eq!(fs::read_to_string(folder.path().join("faults.yaml")).unwrap(), text, "it is as it was");
    for (flag, value, expected) in [
        ("--rate-limit", "fast", "`190/10s`"),
        ("--records", "many", "a whole number"),
        ("--hubspot", "127.0.0.1:99999", "an address with a port"),
    ] {
        let ran = run(folder.path(), &["sandbox", flag, value]).code(64);
        assert!(ran.stderr.contains(expected) && !ran.stderr.contains("digit"), "{flag}: {}", ran.stderr);
    }
}
