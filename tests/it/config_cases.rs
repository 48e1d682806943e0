//! The smallest wrong project for each finding, and exactly what is said of it: `tests/cases/config/CODE-SLUG/`.
//! `SNAPSHOTS=overwrite cargo test config_cases` renews the outputs; read the difference before keeping it.

use std::collections::BTreeSet;
use std::fs;
use std::path::{Path, PathBuf};
use std::process::Command;

use tempfile::TempDir;

use crate::generated;
use crate::support::{Bench, Ran, ended};

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

fn name_of(case: &Path) -> String {
    case.file_name().unwrap().to_string_lossy().into_owned()
}

/// Whether a case needs the systems.
fn is_online(name: &str) -> bool {
    name > "SL2029" && name.starts_with("SL")
}

/// Whether a case is about tests of pipelines, whose findings `test` says.
fn has_tests(case: &Path) -> bool {
    fs::read_dir(case).unwrap().any(|entry| entry.unwrap().path().to_string_lossy().ends_with(".test.yaml"))
}

/// The project of a case, with its files changed by `edit`. A case without a `syncline.yaml` has a good one; `portal.NAME.yaml` is
/// `portals/NAME.yaml`; codes that need
/// the systems get the sandbox's.
fn project(bench: &Bench, case: &Path, edit: &dyn Fn(&str, Vec<u8>) -> Vec<u8>) -> TempDir {
    let project = TempDir::new().unwrap();
    let good = if is_online(&name_of(case)) { bench.sandbox.project_yaml() } else { PROJECT.to_owned() };
    fs::write(project.path().join("syncline.yaml"), good).unwrap();
    fs::create_dir(project.path().join("pipelines")).unwrap();
    for entry in fs::read_dir(case).unwrap() {
        let path = entry.unwrap().path();
        let file = path.file_name().unwrap().to_str().unwrap();
        let to = match file {
            "output.txt" => continue,
            "syncline.yaml" => project.path().join(file),
            _ => match file.strip_prefix("portal.") {
                Some(name) => project.path().join("portals").join(name),
                None => project.path().join("pipelines").join(file),
            },
        };
        fs::create_dir_all(to.parent().unwrap()).unwrap();
        fs::write(to, edit(file, fs::read(&path).unwrap())).unwrap();
    }
    project
}

fn run_in(project: &TempDir, arguments: &[&str]) -> Ran {
    let mut command = Command::new(env!("CARGO_BIN_EXE_syncline"));
    command.args(arguments).current_dir(project.path()).env("NO_COLOR", "1");
    for variable in ["SALESFORCE_CLIENT_ID", "SALESFORCE_CLIENT_SECRET", "HUBSPOT_ACCESS_TOKEN"] {
        command.env(variable, "set");
    }
    ended(command.output().unwrap())
}

fn check(bench: &Bench, case: &Path) {
    let name = name_of(case);
    let online = is_online(&name);
    let project = project(bench, case, &|_, text| text);
    let run = |arguments: &[&str]| run_in(&project, arguments);
    if has_tests(case) {
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

/// Codes with a case that no change of YAML mends, and why.
const NOT_MENDED_BY_YAML: [(&str, &str); 5] = [
    ("SL1001", "the file is saved in another way"),
    ("SL1021", "a file is added"),
    ("SL1022", "a file is renamed"),
    ("SL1031", "the token is copied again"),
    ("SL2058", "the association is defined in HubSpot"),
];

/// What a page shows under a heading: a part of a file, which need not be whole or right.
fn fenced(page: &str, heading: &str) -> Option<String> {
    let (_, below) = page.split_once(&format!("\n## {heading}\n\n```yaml part\n"))?;
    Some(below.split_once("\n```").unwrap().0.to_owned())
}

#[test]
fn pages_show_yaml_before_and_after_and_the_change_mends_the_case() {
    let bench = Bench::new(5);
    let not_mended: BTreeSet<&str> = NOT_MENDED_BY_YAML.iter().map(|(code, _)| *code).collect();
    for code in generated::pages() {
        let page = fs::read_to_string(format!("docs/errors/{code}.md")).unwrap();
        let cases: Vec<PathBuf> = folders().into_iter().filter(|case| name_of(case).starts_with(&code)).collect();
        let (before, after) = match (fenced(&page, "Before"), fenced(&page, "After")) {
            (Some(before), Some(after)) => (before, after),
            (None, None) => {
                assert!(
                    cases.is_empty() || not_mended.contains(&*code),
                    "{code}: the page shows no `## Before` and `## After`"
                );
                continue;
            }
            half => panic!("{code}: {half:?}"),
        };
        assert!(!not_mended.contains(&*code), "{code} is no longer an exception");
        serde_yaml::from_str::<serde_json::Value>(&after).unwrap_or_else(|error| panic!("{code}: {error}\n{after}"));
        let holds = |case: &Path, file: &str| {
            fs::read_to_string(case.join(file))
                .is_ok_and(|text| format!("\n{text}\n").contains(&format!("\n{before}\n")))
        };
        let file_of = |case: &PathBuf| {
            let files = fs::read_dir(case).unwrap().map(|entry| entry.unwrap().file_name().into_string().unwrap());
            let file = files.filter(|file| file.ends_with(".yaml") && holds(case, file)).max()?;
            Some((case.clone(), file))
        };
        let Some((case, file)) = cases.iter().find_map(file_of) else {
            assert!(cases.is_empty(), "{code}: no case holds what stands under `## Before`:\n{before}");
            continue;
        };
        let mended = project(&bench, &case, &|name, text| {
            if name == file { String::from_utf8(text).unwrap().replace(&before, &after).into_bytes() } else { text }
        });
        let ran = if has_tests(&case) {
            run_in(&mended, &["catalog", "pull"]).code(0);
            run_in(&mended, &["test"])
        } else if is_online(&code) {
            run_in(&mended, &["validate", "--online"])
        } else {
            run_in(&mended, &["validate"])
        };
        let printed = format!("{}{}", ran.stdout, ran.stderr);
        assert!(!printed.contains(&format!("[{code}]")), "{code}: the change does not mend it:\n{printed}");
        assert!(!printed.contains("error[SL"), "{code}: the change makes another error:\n{printed}");
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
