//! The smallest wrong project for each finding, and exactly what is said of it: `tests/cases/config/CODE-SLUG/`.
//! `SNAPSHOTS=overwrite cargo test config_cases` renews the outputs; read the difference before keeping it.

use std::collections::BTreeSet;
use std::fs;
use std::path::{Path, PathBuf};
use std::process::Command;

use crate::generated;
use crate::support::{Bench, ended};

/// Folders of cases, in order.
pub(crate) fn folders() -> Vec<PathBuf> {
    let root = Path::new(env!("CARGO_MANIFEST_DIR")).join("tests/cases/config");
    let mut folders: Vec<PathBuf> = fs::read_dir(root).unwrap().map(|entry| entry.unwrap().path()).collect();
    folders.sort();
    folders
}

/// The codes that have a case.
pub(crate) fn codes() -> BTreeSet<String> {
    let names = folders().into_iter().map(|folder| folder.file_name().unwrap().to_string_lossy().into_owned());
    names.filter_map(|name| name.starts_with("SL").then(|| name[..6].to_owned())).collect()
}

#[test]
fn findings_are_said_as_recorded() {
    let bench = Bench::new(5);
    for folder in folders() {
        check(&bench, &folder);
    }
}

/// A case without a `syncline.yaml` has a good one; codes that need the systems get the sandbox's.
fn check(bench: &Bench, case: &Path) {
    let name = case.file_name().unwrap().to_string_lossy().into_owned();
    let project = tempfile::TempDir::new().unwrap();
    let online = name.as_str() > "SL2029" && name.starts_with("SL");
    let good = if online { bench.sandbox.project_yaml() } else { PROJECT.to_owned() };
    fs::write(project.path().join("syncline.yaml"), good).unwrap();
    fs::create_dir(project.path().join("pipelines")).unwrap();
    for entry in fs::read_dir(case).unwrap() {
        let path = entry.unwrap().path();
        let file = path.file_name().unwrap().to_str().unwrap();
        let to = match file {
            "output.txt" => continue,
            "syncline.yaml" => project.path().join(file),
            _ => project.path().join("pipelines").join(file),
        };
        fs::copy(&path, to).unwrap();
    }
    let run = |arguments: &[&str]| {
        let mut command = Command::new(env!("CARGO_BIN_EXE_syncline"));
        command.args(arguments).current_dir(project.path()).env("NO_COLOR", "1");
        for variable in ["SALESFORCE_CLIENT_ID", "SALESFORCE_CLIENT_SECRET", "HUBSPOT_ACCESS_TOKEN"] {
            command.env(variable, "set");
        }
        ended(command.output().unwrap())
    };
    let tests =
        fs::read_dir(case).unwrap().any(|entry| entry.unwrap().path().to_string_lossy().ends_with(".test.yaml"));
    if tests {
        // Findings about test files are said by `test`, which needs the catalog.
        run(&["catalog", "pull"]).code(0);
        let ran = run(&["test"]).code(1);
        assert!(ran.stderr.contains(&format!("[{}]", &name[..6])), "{name}: {}", ran.stderr);
        generated::check(&format!("tests/cases/config/{name}/output.txt"), &ran.stderr);
        return;
    }
    let ran = if online { run(&["validate", "--online"]) } else { run(&["validate", "-q"]) };
    let errors = ran.stdout.contains("error[SL");
    assert_eq!(ran.code, Some(i32::from(errors)), "{name}: {ran:?}");
    assert!(!name.starts_with("SL") || ran.stdout.contains(&format!("[{}]", &name[..6])), "{name}: {}", ran.stdout);
    assert_eq!(ran.stderr, "", "{name}");
    generated::check(&format!("tests/cases/config/{name}/output.txt"), &ran.stdout);
    if online && run(&["catalog", "pull"]).code == Some(0) {
        // What the catalog holds is enough for every rule: without credentials, the same is said.
        assert_eq!(run(&["validate"]).stdout, ran.stdout, "{name}: offline");
    }
}

const PROJECT: &str = "version: 1
connections:
  salesforce:
    type: salesforce
    login_url: https://acme.my.salesforce.com
    auth:
      client_credentials:
        client_id: ${SALESFORCE_CLIENT_ID}
        client_secret: ${SALESFORCE_CLIENT_SECRET}
  hubspot:
    type: hubspot
    access_token: ${HUBSPOT_ACCESS_TOKEN}
state: sqlite:.syncline/state.db
";
