//! What is said of definitions that are wrong: many kinds of slips with the words for each, and that neither the words nor the work
//! grow with what is wrong. `SNAPSHOTS=overwrite cargo test definitions` renews the words; read them all before keeping them.

use std::collections::BTreeMap;
use std::fmt::Write;

use syncline::config::env::Environment;
use syncline::config::files::Files;
use syncline::config::load::{Loaded, load};
use syncline::diagnostic::render::{Places, text};

use crate::generated;

const PROJECT: &str = "version: 1
connections:
  salesforce: { type: salesforce, login_url: \"https://acme.my.salesforce.com\", auth: { access_token: { token: \"${TOKEN}\", instance_url: \"https://acme.my.salesforce.com\" } } }
  hubspot: { type: hubspot, access_token: \"${TOKEN}\" }
";

const HEAD: &str = "# yaml-language-server: $schema=../schemas/pipeline.schema.json
version: 1
name: subscriptions
source:
  object: Subscription__c
target:
  object: subscriptions
  match: salesforce_id
";

const FIELDS: &str = "fields:
  - { from: Name, to: subscription_name }
";

const TAIL: &str = "on_delete: keep\n";

fn project(files: &[(&str, &[u8])]) -> Loaded {
    let files = files.iter().map(|(name, text)| ((*name).to_owned(), text.to_vec()));
    let files: BTreeMap<String, Vec<u8>> = files.collect();
    load(&Files::Snapshot(files), Environment::Optional(&|name| (name == "TOKEN").then(|| "t".to_owned())))
}

fn pipeline(text: &str) -> Loaded {
    project(&[("syncline.yaml", PROJECT.as_bytes()), ("pipelines/p.yaml", text.as_bytes())])
}

fn shown(loaded: &Loaded) -> String {
    let mut shown = String::new();
    for finding in &loaded.findings {
        let file = loaded.files.iter().find(|file| file.name == finding.file);
        let (source, places) = match file {
            Some(file) => {
                (file.text.as_str(), Places { range: file.locate(&finding.place), others: file.locate_others(finding) })
            }
            None => ("", Places::default()),
        };
        writeln!(shown, "{}\n", text(finding, source, &places, false)).unwrap();
    }
    shown
}

/// The whole pipeline files that are wrong, each with what somebody meant to write.
fn slips() -> Vec<(&'static str, String)> {
    let fields = |text: &str| format!("{HEAD}fields:\n{text}\n{TAIL}");
    let entry = |text: &str| format!("{HEAD}fields:\n  - {{ from: Name, to: name, {text} }}\n{TAIL}");
    let tail = |text: &str| format!("{HEAD}{FIELDS}{TAIL}{text}\n");
    let without = |part: &str| format!("{HEAD}{FIELDS}{TAIL}").replace(part, "");
    let other = |from: &str, to: &str| format!("{HEAD}{FIELDS}{TAIL}").replace(from, to);
    vec![
        ("an empty file", String::new()),
        ("comments only", "# later\n".to_owned()),
        ("a tab in the indentation", other("  object: Sub", "\tobject: Sub")),
        ("a tab after blanks", other("  match: sales", "  \tmatch: sales")),
        ("a tab in a list", fields("\t- { from: Name, to: name }")),
        ("a single quote that is not closed", other("name: subscriptions", "name: 'subscriptions")),
        ("a double quote that is not closed", entry("default: \"none")),
        ("a quote inside of single quotes", tail("description: 'it's here'")),
        ("text behind a quoted value", tail("description: \"a\" b")),
        ("an unknown escape", tail("description: \"C:\\data\"")),
        ("a brace that is not closed", fields("  - { from: Name, to: name")),
        ("a bracket that is not closed", tail("allow: [SL2050")),
        ("a bracket too many", tail("allow: [SL2050]]")),
        ("a comma that is missing", fields("  - { from: Name to: name }")),
        ("another comma that is missing", entry("values: { A: a B: b }")),
        ("a colon that is missing", other("name: subscriptions", "name subscriptions")),
        ("a blank behind the colon that is missing", other("name: subscriptions", "name:subscriptions")),
        ("a colon in a value", tail("description: for: marketing")),
        ("a key indented too far", other("  match: sales", "    match: sales")),
        ("a key indented too little", other("  match: sales", " match: sales")),
        ("a list item beside its key", tail("associations: - field: Account__c")),
        ("a list item indented differently", fields("  - { from: Name, to: name }\n   - { from: Id, to: id }")),
        ("a template without quotes", fields("  - { to: name, template: {{ Name }} }")),
        ("another template without quotes", fields("  - to: name\n    template: {{ Name }} x")),
        ("a variable between braces", tail("description: { a: ${X} }")),
        ("an anchor that is not there", tail("description: *text")),
        ("a value that begins with a star", fields("  - { to: name, value: *** }")),
        ("a value that begins with @", fields("  - { to: name, value: @home }")),
        ("a value that begins with a percent sign", fields("  - { to: name, value: %d }")),
        ("a value that begins with a backtick", fields("  - { to: name, value: `x` }")),
        ("a control character", tail("description: a\u{1}b")),
        ("several documents", tail("---\nversion: 1")),
        ("a tag", tail("description: !!str 5")),
        ("a merge key", tail("sync: &s { every: 5m }\nguard:\n  <<: *s")),
        ("a key that stands twice", tail("on_delete: archive")),
        ("a key that is a list", tail("[a, b]: c")),
        ("a list instead of keys", "- version: 1\n- name: x\n".to_owned()),
        ("a text instead of keys", "subscriptions\n".to_owned()),
        ("a missing key", without("name: subscriptions\n")),
        ("a missing key further down", without("  match: salesforce_id\n")),
        ("a misspelt key", other("on_delete", "on_delet")),
        ("a key in another case", other("on_delete", "On_Delete")),
        ("an unknown key", tail("schedule: daily")),
        ("a section without content", format!("{HEAD}fields:\n{TAIL}")),
        ("another section without content", tail("sync:")),
        ("an entry without content", fields("  -")),
        ("a value that is blank", fields("  - { to: name, value: }")),
        ("a value that is null", fields("  - { to: name, value: null }")),
        ("a default that is blank", fields("  - from: Name\n    to: name\n    default: ~")),
        ("a blank side of a value map", entry("values: { A: }")),
        ("a later version", other("version: 1", "version: 2")),
        ("version zero", other("version: 1", "version: 0")),
        ("a version in quotes", other("version: 1", "version: \"1\"")),
        ("a fraction of a version", other("version: 1", "version: 1.5")),
        ("a name in capitals", other("name: subscriptions", "name: Subscriptions")),
        ("a number as a name", other("name: subscriptions", "name: 2026")),
        ("a list where a text belongs", entry("default: [a]")),
        ("keys where a list belongs", format!("{HEAD}fields:\n  from: Name\n  to: name\n{TAIL}")),
        ("a text where a boolean belongs", entry("required: maybe")),
        ("yes where a boolean belongs", entry("required: yes")),
        ("an unknown word", other("on_delete: keep", "on_delete: delete")),
        ("two origins", entry("value: x")),
        ("no origin", fields("  - { to: name }")),
        ("half of an association", tail("associations:\n  - { field: Account__c, to: companies }")),
        ("an unknown fallback", entry("values: { A: a }, otherwise: drop")),
        ("an unknown key of a fallback", entry("values: { A: a }, otherwise: { valeu: x }")),
        ("a duration in words", tail("sync: { every: 5 minutes }")),
        ("a duration of nothing", tail("sync: { every: 0s }")),
        ("a duration beyond all bounds", tail("sync: { every: 99999999999999d }")),
        ("a duration that is too long", tail("sync: { overlap: 400d }")),
        ("a duration that is too short", tail("sync: { reconcile: 5m }")),
        ("a share of more than all", tail("guard: { archive: 120% }")),
        ("a negative count", tail("guard: { archive: -1 }")),
        ("a limit of nothing", tail("limits: { custom_objects: 0 }")),
        ("an unknown object", other("Subscription__c", "Acount")),
        ("an unknown pipeline", tail("associations:\n  - { field: Account__c, pipeline: subscription }")),
        (
            "an association twice",
            tail(
                "associations:\n  - { field: A__c, pipeline: subscriptions }\n  - { field: a__c, pipeline: subscriptions }",
            ),
        ),
        ("a code that is none", tail("allow: [all]")),
        ("another form of a list", tail("allow: SL2050")),
    ]
}

#[test]
fn every_slip_is_told_in_the_words_of_its_author() {
    let mut output = String::new();
    for (name, text) in slips() {
        let loaded = pipeline(&text);
        assert!(loaded.failed(), "{name} passes");
        writeln!(output, "===== {name}\n{}", shown(&loaded)).unwrap();
        for word in [
            "while parsing",
            "while scanning",
            "did not find",
            "expected <",
            "serde",
            "JSON",
            "u32",
            "invalid type",
            "-->  ",
        ] {
            assert!(!shown(&loaded).contains(word), "{name}: `{word}`\n{}", shown(&loaded));
        }
    }
    generated::check("tests/cases/slips/pipeline.txt", &output);
}

#[test]
fn every_slip_in_a_project_is_told_in_the_words_of_its_author() {
    let other = |from: &str, to: &str| PROJECT.replace(from, to).into_bytes();
    let slips: Vec<(&str, Vec<u8>)> = vec![
        ("a variable between braces", other("\"${TOKEN}\"", "${TOKEN}")),
        ("a rate of nothing", other("type: hubspot,", "type: hubspot, rate_limit: 0/10s,")),
        ("a rate in no time", other("type: hubspot,", "type: hubspot, rate_limit: 10/0s,")),
        ("a rate in another unit", other("type: hubspot,", "type: hubspot, rate_limit: 100/m,")),
        ("a budget of nothing", other("type: salesforce,", "type: salesforce, api_budget: 0%,")),
        ("a budget of more than all", other("type: salesforce,", "type: salesforce, api_budget: 101%,")),
        ("a portal of no number", other("type: hubspot,", "type: hubspot, portal_id: 0x1F,")),
        ("a misspelt type", other("type: hubspot", "type: hubspott")),
        ("a missing type", other("type: hubspot, ", "")),
        (
            "no way to log in",
            other(
                "auth: { access_token: { token: \"${TOKEN}\", instance_url: \"https://acme.my.salesforce.com\" } }",
                "auth: { }",
            ),
        ),
        ("a folder outside", format!("{PROJECT}pipelines: ../p\n").into_bytes()),
        ("a folder that is misspelt", format!("{PROJECT}pipelines: pipeline\n").into_bytes()),
        ("another state", format!("{PROJECT}state: mysql:x\n").into_bytes()),
        ("a later version", other("version: 1", "version: 2")),
        ("not UTF-8", [PROJECT.as_bytes(), b"# caf\xe9\n"].concat()),
    ];
    let mut output = String::new();
    for (name, text) in slips {
        let whole = format!("{HEAD}{FIELDS}{TAIL}");
        let mut loaded = project(&[("syncline.yaml", &text), ("pipelines/p.yaml", whole.as_bytes())]);
        loaded.findings.extend(loaded.nothing.take());
        assert!(loaded.failed(), "{name} passes");
        writeln!(output, "===== {name}\n{}", shown(&loaded)).unwrap();
    }
    generated::check("tests/cases/slips/project.txt", &output);
}

#[test]
fn a_file_that_is_wrong_all_over_is_told_in_part_and_counted() {
    let count = 5_000;
    let wrong = |part: &dyn Fn(usize) -> String| (0..count).map(part).collect::<String>();
    let cases = [
        ("unknown keys", format!("{HEAD}{FIELDS}{TAIL}{}", wrong(&|at| format!("key{at}: 1\n")))),
        (
            "unknown options",
            format!("{HEAD}fields:\n{}{TAIL}", wrong(&|at| format!("  - {{ from: A, to: a{at}, fro: 1 }}\n"))),
        ),
        ("no origins", format!("{HEAD}fields:\n{}{TAIL}", wrong(&|at| format!("  - {{ to: a{at} }}\n")))),
        (
            "wrong words",
            format!("{HEAD}fields:\n{}{TAIL}", wrong(&|at| format!("  - {{ from: A, to: a{at}, when_blank: x }}\n"))),
        ),
        (
            "unknown pipelines",
            format!(
                "{HEAD}{FIELDS}{TAIL}associations:\n{}",
                wrong(&|at| format!("  - {{ field: A{at}__c, pipeline: other }}\n"))
            ),
        ),
        (
            "associations without an end",
            format!(
                "{HEAD}{FIELDS}{TAIL}associations:\n{}",
                wrong(&|at| format!("  - {{ field: A{at}__c, too: x }}\n"))
            ),
        ),
    ];
    for (name, text) in cases {
        let loaded = pipeline(&text);
        let counted: usize = loaded.findings.iter().map(|finding| finding.stands_for).sum();
        assert!(counted >= count, "{name}: {counted}");
        assert!(loaded.findings.len() < 100 && shown(&loaded).len() < 60_000, "{name}: {}", loaded.findings.len());
        assert!(shown(&loaded).contains("more findings of this kind are left out"), "{name}");
    }
}

#[test]
fn the_work_grows_with_what_is_wrong_and_not_with_its_square() {
    let work = |count: usize| {
        let keys: String = (0..count).map(|at| format!("unknown_key_{at}: 1\n")).collect();
        let text = format!("{HEAD}{FIELDS}{TAIL}{keys}");
        // The least of a few runs: what else the machine does only ever adds to it.
        let runs = (0..3).map(|_| {
            let start = cpu_time();
            assert!(pipeline(&text).failed());
            cpu_time() - start
        });
        runs.min().unwrap()
    };
    let (some, more) = (work(5_000), work(20_000));
    // Four times as much; work that grew with the square would be sixteen times as much.
    assert!(more < some * 9, "{some} ns for 5,000 keys, {more} ns for 20,000");
}

/// The time that this thread had of a processor, in nanoseconds: other processes do not count.
fn cpu_time() -> u64 {
    let counters = std::fs::read_to_string("/proc/thread-self/schedstat").unwrap_or_default();
    counters.split(' ').next().and_then(|time| time.parse().ok()).unwrap_or_default()
}

#[test]
fn pipelines_are_read_in_depth_and_nothing_is_left_out_in_silence() {
    let whole = |name: &str| {
        format!("{HEAD}{FIELDS}{TAIL}")
            .replace("name: subscriptions", &format!("name: {name}"))
            .replace("object: subscriptions", &format!("object: {name}"))
    };
    let (a, b, c) = (whole("a"), whole("b"), whole("c"));
    let loaded = project(&[
        ("syncline.yaml", PROJECT.as_bytes()),
        ("pipelines/a.yaml", a.as_bytes()),
        ("pipelines/team/b.yml", b.as_bytes()),
        ("pipelines/team/eu/c.yaml", c.as_bytes()),
        ("pipelines/team/c.test.yaml", b""),
        ("pipelines/.old/d.yaml", b"?"),
        ("pipelines/README.md", b"?"),
        ("pipelines/team/a.yaml.bak", b"?"),
        ("pipelines/e.json", b"?"),
    ]);
    let names: Vec<&str> = loaded.pipelines.iter().map(|pipeline| pipeline.config.name.as_str()).collect();
    assert_eq!(names, ["a", "b", "c"]);
    let messages: Vec<(&str, &str)> =
        loaded.findings.iter().map(|finding| (finding.code, finding.message.as_str())).collect();
    let expected = "ignored files in `pipelines`: `pipelines/e.json`, `pipelines/team/a.yaml.bak`";
    assert_eq!(messages, [("SL1022", expected)]);
}

/// A project in a folder, with a good pipeline in a subfolder and a broken one.
fn folder() -> tempfile::TempDir {
    let folder = tempfile::tempdir().unwrap();
    let write = |name: &str, text: &str| {
        let path = folder.path().join(name);
        std::fs::create_dir_all(path.parent().unwrap()).unwrap();
        std::fs::write(path, text).unwrap();
    };
    write("syncline.yaml", PROJECT);
    write("pipelines/team/good.yaml", &format!("{HEAD}{FIELDS}{TAIL}"));
    write("pipelines/orders.yaml", "version: 1\nname: work_orders # of the field service\nfields: [\n");
    write(
        "pipelines/undecoded.yaml",
        &format!("{HEAD}{FIELDS}on_delete: delete\n").replace("name: subscriptions", "name: assets"),
    );
    folder
}

fn validate(folder: &tempfile::TempDir, names: &[&str]) -> Result<Vec<String>, String> {
    let names: Vec<String> = names.iter().map(|name| (*name).to_owned()).collect();
    let variables = |name: &str| (name == "TOKEN").then(|| "t".to_owned());
    match syncline::ops::validate::offline(folder.path(), &variables, &names) {
        Ok(loaded) => Ok(loaded.findings.iter().map(|finding| format!("{} {}", finding.code, finding.file)).collect()),
        Err(error) => Err(error.to_string()),
    }
}

#[test]
fn a_broken_file_is_found_by_its_name_and_by_its_path() {
    let folder = folder();
    let orders = vec!["SL1002 pipelines/orders.yaml".to_owned()];
    let assets = vec!["SL1004 pipelines/undecoded.yaml".to_owned()];
    let whole = folder.path().join("pipelines/orders.yaml");
    for name in ["work_orders", "pipelines/orders.yaml", "./pipelines/orders.yaml", whole.to_str().unwrap(), "work_*"] {
        assert_eq!(validate(&folder, &[name]).unwrap(), orders, "{name}");
    }
    for name in ["assets", "pipelines/undecoded.yaml"] {
        assert_eq!(validate(&folder, &[name]).unwrap(), assets, "{name}");
    }
    for name in ["subscriptions", "pipelines/team/good.yaml", "pipelines/team/*"] {
        assert_eq!(validate(&folder, &[name]).unwrap(), ["SL3010 syncline.yaml"], "{name}");
    }
    assert_eq!(validate(&folder, &[]).unwrap(), [orders, assets].concat());
    // What is broken elsewhere hides nothing.
    let good = folder.path().join("pipelines/team/good.yaml");
    std::fs::write(&good, format!("{HEAD}{FIELDS}{TAIL}sync: {{ every: 0s }}\n")).unwrap();
    assert_eq!(validate(&folder, &["subscriptions"]).unwrap(), ["SL1008 pipelines/team/good.yaml"]);
    std::fs::write(&good, format!("{HEAD}{FIELDS}{TAIL}associations: [{{ field: A__c, pipeline: assets }}]\n"))
        .unwrap();
    assert_eq!(validate(&folder, &["subscriptions"]).unwrap(), ["SL2003 pipelines/team/good.yaml"]);
    let unknown = validate(&folder, &["work_order"]).unwrap_err();
    assert_eq!(unknown, "no pipeline is called `work_order`: did you mean `work_orders`?");
}

#[test]
fn a_folder_that_is_not_there_is_an_error_and_an_empty_one_is_not_passed_over() {
    let folder = folder();
    let project = |text: &str| std::fs::write(folder.path().join("syncline.yaml"), format!("{PROJECT}{text}")).unwrap();
    project("pipelines: pipeline\n");
    assert_eq!(validate(&folder, &[]).unwrap(), ["SL1020 syncline.yaml"]);
    std::fs::create_dir_all(folder.path().join("later/deep")).unwrap();
    project("pipelines: later\n");
    assert_eq!(validate(&folder, &[]).unwrap(), ["SL1021 syncline.yaml"]);
    project("pipelines: pipelines/team\n");
    assert_eq!(validate(&folder, &[]).unwrap(), ["SL3010 syncline.yaml"]);
}
