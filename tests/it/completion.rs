//! What a shell is offered behind TAB: the program is asked as the scripts of `syncline completions` ask it.

use std::path::Path;

use crate::support::{Bench, ended};

/// The candidates for the last of these words, as zsh gets them: `value:about`.
fn offered(bench: &Bench, folder: &Path, words: &[&str]) -> Vec<String> {
    let mut command = bench.command(&[]);
    command.current_dir(folder).arg("--").arg("syncline").args(words);
    command.env("SYNCLINE_COMPLETE", "zsh").env("_CLAP_IFS", "\n");
    command.env("_CLAP_COMPLETE_INDEX", words.len().to_string());
    ended(command.output().unwrap()).code(0).stdout.lines().map(str::to_owned).collect()
}

fn values(offered: &[String]) -> Vec<&str> {
    offered.iter().map(|line| line.split(':').next().unwrap_or_default()).collect()
}

#[test]
fn names_of_the_project_are_offered() {
    let bench = Bench::new(5);
    bench.run(&["catalog", "pull"]).code(0);
    bench.write("pipelines/broken.yaml", "version: 1\nname: broken\nsource:\n");
    let root = bench.path("");
    for command in ["validate", "test", "plan", "diff", "import", "sync"] {
        let offered = offered(&bench, &root, &[command, ""]);
        let names = values(&offered);
        for name in ["subscriptions", "work_orders", "broken"] {
            assert!(names.contains(&name), "{command}: {offered:?}");
        }
    }
    let named = offered(&bench, &root, &["plan", "sub"]);
    assert_eq!(named, ["subscriptions:Subscription__c → subscriptions"]);
    for (words, has, lacks) in [
        (&["runs", "--pipeline", ""][..], "work_orders", "companies"),
        (&["failures", "list", "--pipeline", ""], "work_orders", "companies"),
        (&["failures", "list", "--code", "SL50"], "SL5005", "SL1000"),
        (&["new", "x", "--source", ""], "WorkOrder", "companies"),
        (&["new", "x", "--target", ""], "companies", "WorkOrder"),
        (&["new", "x", "--salesforce", ""], "salesforce", "hubspot"),
        (&["new", "x", "--hubspot", ""], "hubspot", "salesforce"),
        (&["discover", ""], "Subscription__c", "salesforce"),
        (&["catalog", "pull", ""], "work_orders", "hubspot"),
        (&["explain", "SL200"], "SL2001", "SL1000"),
        (&["schema", ""], "pipeline-test", "subscriptions"),
        (&["plan", "--only", ""], "--only", "subscriptions"),
        (&["pl"], "plan", "validate"),
    ] {
        let offered = offered(&bench, &root, words);
        let names = values(&offered);
        assert!(has == "--only" || names.contains(&has), "{words:?}: {offered:?}");
        assert!(!names.contains(&lacks), "{words:?}: {offered:?}");
    }
    // In a folder below the project, and from elsewhere with the project named.
    assert!(values(&offered(&bench, &bench.path("pipelines"), &["plan", ""])).contains(&"subscriptions"));
    let elsewhere = tempfile::TempDir::new().unwrap();
    assert!(!values(&offered(&bench, elsewhere.path(), &["plan", ""])).contains(&"subscriptions"));
    let words = ["plan", "--project", root.to_str().unwrap(), ""];
    assert!(values(&offered(&bench, elsewhere.path(), &words)).contains(&"subscriptions"));
}

#[test]
fn what_a_file_holds_reaches_no_shell_as_an_order() {
    let bench = Bench::new(5);
    bench.run(&["catalog", "pull"]).code(0);
    let file = "catalog/salesforce.WorkOrder.json";
    let text = std::fs::read_to_string(bench.path(file)).unwrap();
    let odd = text.replacen("\"Work Order\"", "\"Work\\u001b[2J\\nOrder\"", 1);
    assert_ne!(text, odd);
    bench.write(file, &odd);
    let offered = offered(&bench, &bench.path(""), &["discover", "Work"]).join("\n");
    assert!(offered.contains("WorkOrder") && !offered.contains('\u{1b}'), "{offered:?}");
    assert_eq!(offered.lines().count(), 1, "{offered:?}");
}

#[test]
fn a_variable_of_another_program_changes_nothing() {
    let bench = Bench::new(5);
    let mut command = bench.command(&["explain"]);
    command.env("COMPLETE", "bash");
    assert!(ended(command.output().unwrap()).code(0).stdout.contains("SL1000"));
}
