//! Files that are wrong on purpose: a clear error each, soon, and never a panic. And no secret in any output.

use std::fs;
use std::os::unix::fs::symlink;
use std::path::Path;
use std::process::Command;
use std::time::{Duration, Instant};

use serde_json::Value;
use tempfile::TempDir;

use crate::support::{Bench, Ran, ended};

const PROJECT: &str = "version: 1
connections:
  salesforce:
    type: salesforce
    login_url: https://acme.my.salesforce.com
    auth: { client_credentials: { client_id: \"${ID:-id}\", client_secret: \"${SECRET:-secret}\" } }
  hubspot: { type: hubspot, access_token: \"${TOKEN:-token}\" }
";

const PIPELINE: &str = include_str!("../../pipelines/subscriptions.yaml");

/// The longest that any file may take; far more than needed, as other tests run beside.
const TIME_MAX: Duration = Duration::from_secs(20);

struct Project(TempDir);

impl Project {
    fn new() -> Self {
        let folder = TempDir::new().unwrap();
        fs::create_dir(folder.path().join("pipelines")).unwrap();
        fs::write(folder.path().join("syncline.yaml"), PROJECT).unwrap();
        Self(folder)
    }

    fn path(&self, name: &str) -> std::path::PathBuf {
        self.0.path().join(name)
    }

    /// Checks the project; it ends soon, with 0 or 1, and never by a panic.
    #[track_caller]
    fn validate(&self, arguments: &[&str]) -> Ran {
        let begin = Instant::now();
        let mut command = Command::new(env!("CARGO_BIN_EXE_syncline"));
        command.arg("validate").args(arguments).current_dir(self.0.path()).env("NO_COLOR", "1");
        let ran = ended(command.output().unwrap());
        assert!(begin.elapsed() < TIME_MAX, "took {:?}", begin.elapsed());
        assert!(matches!(ran.code, Some(0 | 1)) && !ran.stderr.contains("panicked"), "{ran:?}");
        ran
    }
}

#[track_caller]
fn refused(text: &[u8], code: &str, part: &str) {
    let project = Project::new();
    fs::write(project.path("pipelines/bad.yaml"), text).unwrap();
    let ran = project.validate(&[]);
    assert_eq!(ran.code, Some(1), "{ran:?}");
    assert!(
        ran.stdout.contains(&format!("error[{code}]")) && ran.stdout.contains(part),
        "{code}, {part}:\n{}",
        ran.stdout
    );
    assert!(ran.stdout.len() < 20_000, "the output is {} bytes long", ran.stdout.len());
}

#[test]
fn tricks_of_yaml_are_refused() {
    let bomb: String = (1..30).fold("a0: &a0 [x, x]\n".to_owned(), |text, level| {
        format!("{text}a{level}: &a{level} [{}]\n", vec![format!("*a{}", level - 1); 9].join(", "))
    });
    refused(bomb.as_bytes(), "SL1011", "aliases");
    refused(format!("a: {}", "[".repeat(5_000)).as_bytes(), "SL1011", "deep");
    refused(format!("{}x", "- ".repeat(5_000)).as_bytes(), "SL1011", "deep");
    refused("a: ".repeat(3_000).as_bytes(), "SL1002", "");
    refused(b"version: 1\n---\nversion: 1\n", "SL1011", "several documents");
    refused(b"version: 1\nname: a\nname: b\n", "SL1007", "twice");
    refused(b"x: &x { a: 1 }\ny: { <<: *x }\n", "SL1011", "merge");
    refused(b"version: !!python/object:os.system 1\n", "SL1011", "tag");
    refused(b"\tversion: 1\n", "SL1002", "");
    refused(b"", "SL1001", "empty");
    refused(b"   \n\n# nothing\n", "SL1005", "blank");
    refused(b"\xef\xbb\xbf", "SL1001", "empty");
    refused(b"version: 1\nname: caf\xe9\n", "SL1001", "UTF-8");
    refused(b"\xff\xfev\0e\0", "SL1001", "UTF-8");
    refused(b"just text\n", "SL1005", "");
    refused(b"[1, 2]\n", "SL1005", "");
    refused(b"null\n", "SL1005", "");
    refused(b"? [a, b]\n: 1\n", "SL1002", "key");
    refused(b"version: \"1\n", "SL1002", "");
    refused(b"version: *nowhere\n", "SL1002", "");
    refused(b"version: 1\x00\n", "SL1002", "");
}

#[test]
fn a_byte_order_mark_and_windows_line_ends_are_no_fault() {
    let project = Project::new();
    fs::write(project.path("pipelines/work.yaml"), include_str!("../../pipelines/work_orders.yaml")).unwrap();
    let text = format!("\u{feff}{}", PIPELINE.replace('\n', "\r\n"));
    fs::write(project.path("pipelines/good.yaml"), text).unwrap();
    let ran = project.validate(&[]);
    assert_eq!(ran.code, Some(0), "{ran:?}");
}

#[test]
fn what_is_no_ordinary_file_is_refused() {
    let project = Project::new();
    fs::create_dir(project.path("pipelines/folder.yaml")).unwrap();
    symlink("loop.yaml", project.path("pipelines/loop.yaml")).unwrap();
    symlink("/dev/zero", project.path("pipelines/zero.yaml")).unwrap();
    fs::write(project.path("pipelines/line\nbreak.yaml"), "nonsense: [").unwrap();
    let huge = fs::File::create(project.path("pipelines/huge.yaml")).unwrap();
    huge.set_len(100 << 20).unwrap();
    let ran = project.validate(&[]);
    assert_eq!(ran.code, Some(1));
    for part in ["folder.yaml", "loop.yaml", "zero.yaml", "line?break.yaml", "huge.yaml", "1 MiB"] {
        assert!(ran.stdout.contains(part), "`{part}` is not in:\n{}", ran.stdout);
    }
    for line in project.validate(&["--format", "github"]).stdout.lines().filter(|line| !line.is_empty()) {
        let is_command = ["::error ", "::warning "].iter().any(|start| line.starts_with(start));
        assert!(is_command || line.contains("checked"), "{line}");
    }
}

#[test]
fn paths_stay_inside_the_project() {
    let outside = TempDir::new().unwrap();
    fs::write(outside.path().join("other.yaml"), "secret: 1\n").unwrap();
    for folder in ["../x", "/etc", "a/../../b", outside.path().to_str().unwrap()] {
        let project = Project::new();
        fs::write(project.path("syncline.yaml"), format!("{PROJECT}pipelines: {folder}\n")).unwrap();
        let ran = project.validate(&[]);
        assert!(ran.code == Some(1) && ran.stdout.contains("SL2010"), "{folder}: {ran:?}");
    }
    for (form, part, absent) in [
        ("${NOBODY_SET_THIS}", "NOBODY_SET_THIS", true),
        ("${file:nowhere}", "nowhere", true),
        ("${file:pipelines}", "pipelines", true),
        ("${file:/dev/zero}", "/dev/zero", true),
        ("${", "${", false),
        ("${}", "${}", false),
        ("${A:-${B}}", "${", false),
        ("${file:}", "file", true),
    ] {
        let project = Project::new();
        fs::write(project.path("syncline.yaml"), PROJECT.replace("${TOKEN:-token}", form)).unwrap();
        let ran = project.validate(&["--online"]);
        assert!(ran.code == Some(1) && ran.stdout.contains("SL1010") && ran.stdout.contains(part), "{form}: {ran:?}");
        // Offline, what a form names need not be there.
        let ran = project.validate(&[]);
        assert_eq!((ran.code, ran.stdout.contains("SL1010")), (Some(i32::from(!absent)), !absent), "{form}: {ran:?}");
    }
}

#[test]
fn templates_never_run_away() {
    let loops = [
        "{% for a in range(100000000) %}x{% endfor %}",
        "{% for a in range(99999) %}{% for b in range(99999) %}x{% endfor %}{% endfor %}",
        "{% macro f() %}{{ f() }}{% endmacro %}{{ f() }}",
        "{{ Name * 1000000000 }}",
        "{{ 'x' * 4000000000 }}",
        "{{ range(1000000000) | join('y') }}",
        "{{ Name | replace('', Name) | replace('', Name) }}",
        "{% set a = Name %}{% for i in range(64) %}{% set a = a ~ a %}{% endfor %}{{ a }}",
        "{% include '/etc/passwd' %}",
        "{% extends 'x' %}",
        "{{ self }}",
        "{{ Name.__class__ }}",
        "{{ debug() }}",
    ];
    let bench = Bench::new(8);
    for template in loops {
        bench.write(
            "pipelines/subscriptions.yaml",
            &PIPELINE.replace("{{ Name }} · {{ Amount__c | round(2) | thousands }}", template),
        );
        let begin = Instant::now();
        let ran = bench.run(&["plan", "--format", "json"]);
        assert!(begin.elapsed() < TIME_MAX, "{template} took {:?}", begin.elapsed());
        assert!(matches!(ran.code, Some(0 | 1)) && !ran.stderr.contains("panicked"), "{template}: {ran:?}");
        assert!(ran.stdout.len() < 1_000_000, "{template}: {} bytes", ran.stdout.len());
    }
}

#[test]
fn a_condition_never_leaves_its_place() {
    let bench = Bench::new(8);
    let before = bench.sandbox.requests().len();
    for condition in [
        "Status__c = 'Active') OR (Name != null",
        "Status__c = 'Active' LIMIT 1",
        "Status__c = 'Active' ORDER BY Name",
        "Id IN (SELECT Id FROM Account)",
        "Name = 'a'' OR Name != ''",
        "Name = 'a\\' OR Name = 'b'",
        "Name = 'x' ALL ROWS",
        "Name = 'x'; DELETE",
        "((((Name = 'x')",
        "Name = 'x' -- comment",
        "",
        "Name",
        "Name = ",
        "Name = 'x' AND",
    ] {
        let text = PIPELINE
            .replace("where: Status__c != 'Draft'", &format!("where: {}", serde_json::to_string(condition).unwrap()));
        bench.write("pipelines/subscriptions.yaml", &text);
        let ran = bench.run(&["validate"]).code(1);
        assert!(ran.stdout.contains("SL2041") || ran.stdout.contains("SL1008"), "{condition}: {}", ran.stdout);
    }
    assert_eq!(bench.sandbox.requests().len(), before, "nothing was asked");
}

/// All places of a value, as JSON pointers.
fn places(value: &Value, at: String, found: &mut Vec<String>) {
    match value {
        Value::Object(entries) => {
            for (key, value) in entries {
                let at = format!("{at}/{}", key.replace('~', "~0").replace('/', "~1"));
                found.push(at.clone());
                places(value, at, found);
            }
        }
        Value::Array(items) => {
            for (index, value) in items.iter().enumerate() {
                let at = format!("{at}/{index}");
                found.push(at.clone());
                places(value, at, found);
            }
        }
        _ => {}
    }
}

fn remove(value: &mut Value, pointer: &str) {
    let (parent, key) = pointer.rsplit_once('/').unwrap();
    match value.pointer_mut(parent) {
        Some(Value::Object(entries)) => drop(entries.remove(&key.replace("~1", "/").replace("~0", "~"))),
        Some(Value::Array(items)) => drop(items.remove(key.parse::<usize>().unwrap())),
        _ => {}
    }
}

#[test]
fn any_part_may_be_anything() {
    let whole: Value = serde_yaml::from_str(PIPELINE).unwrap();
    let mut all = Vec::new();
    places(&whole, String::new(), &mut all);
    let long = "x".repeat(70_000);
    let values = [
        Value::Null,
        true.into(),
        1.into(),
        (-1).into(),
        1e300.into(),
        "".into(),
        Value::Array(vec![]),
        Value::Object(Default::default()),
        long.as_str().into(),
        "\u{202e}\u{0}{{".into(),
    ];
    let project = Project::new();
    let work_orders = include_str!("../../pipelines/work_orders.yaml");
    // Many at once: each mutant is a pipeline file of its own, and each must be said to be wrong at its own place or be fine.
    let mut mutants = Vec::new();
    for place in &all {
        for value in &values {
            let mut mutant = whole.clone();
            *mutant.pointer_mut(place).unwrap() = value.clone();
            mutants.push((format!("{place} = {}", short(value)), mutant));
        }
        let mut mutant = whole.clone();
        remove(&mut mutant, place);
        mutants.push((format!("without {place}"), mutant));
    }
    for part in mutants.chunks(150) {
        for entry in fs::read_dir(project.path("pipelines")).unwrap() {
            fs::remove_file(entry.unwrap().path()).unwrap();
        }
        fs::write(project.path("pipelines/work_orders.yaml"), work_orders).unwrap();
        for (index, (_, mutant)) in part.iter().enumerate() {
            fs::write(project.path(&format!("pipelines/m{index:03}.yaml")), serde_yaml::to_string(mutant).unwrap())
                .unwrap();
        }
        let ran = project.validate(&["--format", "json"]);
        for finding in ran.json()["findings"].as_array().unwrap() {
            assert!(finding["line"].as_u64() > Some(0) && finding["column"].as_u64() > Some(0), "{finding}");
            assert!(finding["message"].as_str().unwrap().len() < 2_000, "a message repeats a long value");
        }
        project.validate(&[]);
    }
}

fn short(value: &Value) -> String {
    value.to_string().chars().take(30).collect()
}

#[test]
fn no_secret_is_ever_told() {
    let secret = "pat-na1-5eC3eT-0000";
    let project = Project::new();
    fs::write(project.path("token"), format!("{secret}\n")).unwrap();
    let direct = PROJECT.replace("\"${TOKEN:-token}\"", secret);
    let by_file = PROJECT.replace("${TOKEN:-token}", "${file:token}");
    let by_variable = PROJECT.replace("${TOKEN:-token}", "${SECRET_OF_THE_TEST}");
    let broken = format!("{by_variable}pipelins: x\n");
    fs::write(project.path("pipelines/work_orders.yaml"), include_str!("../../pipelines/work_orders.yaml")).unwrap();
    for text in [direct, by_file, by_variable, broken] {
        fs::write(project.path("syncline.yaml"), text).unwrap();
        for arguments in [
            &["validate"][..],
            &["validate", "--format", "json"],
            &["status"],
            &["-vv", "validate", "--log-format", "json"],
        ] {
            let mut command = Command::new(env!("CARGO_BIN_EXE_syncline"));
            command.args(arguments).current_dir(project.0.path()).env("SECRET_OF_THE_TEST", secret);
            let ran = ended(command.output().unwrap());
            assert!(!ran.stdout.contains(secret) && !ran.stderr.contains(secret), "{arguments:?}: {ran:?}");
        }
    }
    assert!(Path::new(env!("CARGO_MANIFEST_DIR")).is_dir());
}
