//! `syncline test`: what tests beside pipelines say, in every form, with nobody to ask.

use std::fs;
use std::io::Write;
use std::path::Path;
use std::process::{Command, Stdio};

use serde_json::{Value, json};
use tempfile::TempDir;

use crate::support::{Bench, Ran, ended};

/// A project with a catalog, whose services have ended and whose secrets nobody knows.
fn project() -> TempDir {
    let bench = Bench::new(5);
    bench.run(&["catalog", "pull"]).code(0);
    bench.edit("syncline.yaml", "sandbox-secret", "${SECRET_THAT_NOBODY_SET}");
    bench.edit("syncline.yaml", "sandbox-hubspot-token", "${TOKEN_THAT_NOBODY_SET}");
    let sample = Path::new(env!("CARGO_MANIFEST_DIR")).join("pipelines/subscriptions.test.yaml");
    bench.write(SAMPLE, &fs::read_to_string(sample).unwrap());
    bench.stop()
}

const SAMPLE: &str = "pipelines/subscriptions.test.yaml";
const ORDERS: &str = "pipelines/work_orders.test.yaml";

fn write(folder: &TempDir, path: &str, text: &str) {
    fs::write(folder.path().join(path), text).unwrap();
}

#[track_caller]
fn edit(folder: &TempDir, path: &str, from: &str, to: &str) {
    let text = fs::read_to_string(folder.path().join(path)).unwrap();
    assert!(text.contains(from), "`{from}` is not in {path}");
    write(folder, path, &text.replace(from, to));
}

fn run_in(folder: &TempDir, arguments: &[&str], variables: &[(&str, &str)]) -> Ran {
    let mut command = Command::new(env!("CARGO_BIN_EXE_syncline"));
    command.args(arguments).current_dir(folder.path()).env_clear().env("NO_COLOR", "1");
    command.env("PATH", std::env::var_os("PATH").unwrap_or_default()).envs(variables.iter().copied());
    ended(command.output().unwrap())
}

fn run(folder: &TempDir, arguments: &[&str]) -> Ran {
    run_in(folder, &[&["test"], arguments].concat(), &[])
}

/// What Python's reader makes of JUnit XML: suites with their counts, and cases with their failures.
#[track_caller]
fn junit(text: &str) -> Value {
    let script = "import json, sys, xml.etree.ElementTree as tree
root = tree.fromstring(sys.stdin.buffer.read())
case = lambda own: {**own.attrib, 'failure': [failure.text for failure in own.findall('failure')]}
suite = lambda own: {**own.attrib, 'cases': [case(one) for one in own.findall('testcase')]}
print(json.dumps({'root': root.tag, **root.attrib, 'suites': [suite(own) for own in root.findall('testsuite')]}))";
    let mut python = Command::new("python3");
    python.args(["-c", script]).stdin(Stdio::piped()).stdout(Stdio::piped()).stderr(Stdio::piped());
    let mut child = python.spawn().unwrap();
    child.stdin.take().unwrap().write_all(text.as_bytes()).unwrap();
    let read = ended(child.wait_with_output().unwrap());
    assert_eq!(read.code, Some(0), "{}\n{text}", read.stderr);
    read.json()
}

#[test]
fn tests_that_hold_say_so_in_every_form() {
    let folder = project();
    let text = run(&folder, &[]).code(0);
    assert_eq!(text.stdout, "4 tests passed\nwithout tests: work_orders\n");
    assert_eq!(text.stderr, "");
    let all = run(&folder, &["--verbose"]).code(0).stdout;
    assert!(
        all.contains("ok   subscriptions: a subscription needs a name  pipelines/subscriptions.test.yaml:40"),
        "{all}"
    );
    let output = run(&folder, &["--format", "json"]).code(0).json();
    assert_eq!((&output["failed"], &output["untested"]), (&json!(0), &json!(["work_orders"])));
    assert_eq!(output["tests"].as_array().unwrap().len(), 4);
    assert_eq!(output["tests"][0]["name"], "an active subscription is carried over");
    assert_eq!(output["tests"][0]["differences"], json!([]));
    let seconds: f64 = output["tests"].as_array().unwrap().iter().map(|test| test["seconds"].as_f64().unwrap()).sum();
    assert!(seconds < 1.0, "{output}");
    let read = junit(&run(&folder, &["--format", "junit"]).code(0).stdout);
    assert_eq!((&read["root"], &read["tests"], &read["failures"]), (&json!("testsuites"), &json!("4"), &json!("0")));
    assert_eq!(read["suites"][0]["name"], "subscriptions");
    assert_eq!(read["suites"][0]["cases"][3]["file"], SAMPLE);
    let github = run(&folder, &["--format", "github"]).code(0).stdout;
    assert!(!github.contains("::error"), "{github}");
}

#[test]
fn a_test_that_does_not_hold_is_told_as_a_difference() {
    let folder = project();
    edit(&folder, SAMPLE, "amount: 4800.5", "amount: 4800.6");
    edit(&folder, SAMPLE, "Work_Order__c: # no work order", "Work_Order__c: 0WO5g0000000001AAA");
    edit(&folder, SAMPLE, "keeps: [amount]", "keeps: [amount, seats]");
    edit(&folder, SAMPLE, "code: SL5005", "code: SL5010");
    edit(&folder, SAMPLE, "an active subscription", "an <active> & \\\"new\\\" subscription");
    edit(&folder, SAMPLE, "name: an <active>", "name: \"an <active>");
    edit(&folder, SAMPLE, "subscription is carried over", "subscription: 100%\"");
    let text = run(&folder, &[]).code(1);
    for part in [
        "FAIL subscriptions: an <active> & \"new\" subscription: 100%  pipelines/subscriptions.test.yaml:4\n      - amount: 4800.6\n      + amount: 4800.5\n",
        "      - Work_Order__c: 0WO5g0000000001AAA\n      + Work_Order__c: (no association)\n",
        "      - seats: (not sent)\n      + seats: (cleared)\n",
        "      - rejected.code: SL5010\n      + rejected.code: SL5005: ",
        "4 tests: 3 failed, 1 passed\n",
    ] {
        assert!(text.stdout.contains(part), "`{part}` is not in\n{}", text.stdout);
    }
    let output = run(&folder, &["--format", "json"]).code(1).json();
    assert_eq!(output["failed"], 3);
    let first = json!({"part": "amount", "expected": "4800.6", "got": "4800.5"});
    assert_eq!(output["tests"][0]["differences"][0], first);
    let read = junit(&run(&folder, &["--format", "junit"]).code(1).stdout);
    assert_eq!((&read["tests"], &read["failures"]), (&json!("4"), &json!("3")));
    let case = &read["suites"][0]["cases"][0];
    assert_eq!((&case["name"], &case["line"]), (&json!("an <active> & \"new\" subscription: 100%"), &json!("4")));
    assert_eq!(case["failure"][0].as_str().unwrap().lines().next(), Some("- amount: 4800.6"));
    assert_eq!(read["suites"][0]["cases"][3]["failure"], json!([]));
    let github = run(&folder, &["--format", "github"]).code(1).stdout;
    let line = "::error file=pipelines/subscriptions.test.yaml,line=4,title=subscriptions%3A an <active> & \"new\" subscription%3A 100%25::- amount: 4800.6%0A+ amount: 4800.5%0A";
    assert!(github.starts_with(line), "{github}");
    assert_eq!(github.matches("::error ").count(), 3, "{github}");
}

#[test]
fn what_was_expected_and_never_came_fails() {
    let folder = project();
    let tests = |expect: &str, source: &str| {
        write(
            &folder,
            ORDERS,
            &format!("version: 1\ntests:\n  - name: one\n    source: {source}\n    expect: {expect}\n"),
        );
        run(&folder, &["work_orders", "--format", "json"])
    };
    let good = "{ Subject: Repair, WorkOrderNumber: 00000001, Status: New, AccountId: 0015g00000XyZaB }";
    let cases = [
        ("{ rejected: {} }", good, ("rejected", json!("with any reason"), json!(null))),
        (
            "{ rejected: { message: nothing like it } }",
            "{ Status: New }",
            ("rejected.message", json!("…nothing like it…"), json!(null)),
        ),
        ("{ rejected: { property: city } }", "{ Status: New }", ("rejected.property", json!("city"), json!("subject"))),
        ("{ properties: { description: x } }", good, ("description", json!("x"), json!("(cleared)"))),
        ("{ properties: { work_order_number: 1 } }", good, ("work_order_number", json!("1"), json!("00000001"))),
        (
            "{ associations: { AccountId: } }",
            good,
            ("AccountId", json!("(no association)"), json!("0015g00000XyZaBAAV")),
        ),
        ("{ properties: { subject: Repair }, exact: true }", good, ("account_name", json!(null), json!("(cleared)"))),
        ("{ properties: { priority: Medium } }", "{ Status: New }", ("rejected", json!(null), json!(null))),
    ];
    for (expect, source, (part, expected, got)) in cases {
        let output = tests(expect, source).code(1).json();
        let first = &output["tests"][0]["differences"][0];
        assert_eq!((&first["part"], &first["expected"]), (&json!(part), &expected), "{expect}: {output}");
        assert!(got.is_null() || first["got"] == got, "{expect}: {output}");
    }
    for (expect, source) in [
        ("{ rejected: {} }", "{ Status: New }"),
        ("{ rejected: { code: SL5010, property: subject, message: required } }", "{ Status: New }"),
        ("{ properties: { priority: Medium, status: New }, associations: { AccountId: 0015g00000XyZaBAAV } }", good),
        ("{}", good),
    ] {
        tests(expect, source).code(0);
    }
}

#[test]
fn test_files_that_are_wrong_are_shown_at_their_line() {
    let folder = project();
    let good = "version: 1\ntests:\n  - name: one\n    source: { WorkOrderNumber: 7, Subject: x }\n    expect: {}\n";
    let cases = [
        (good.replace("source:", "sourc:"), "SL1003", 4, 5, "`source`"),
        (
            good.replace("version: 1", "version: 1\npipeline: orders"),
            "SL2055",
            2,
            11,
            "pipelines are: subscriptions, work_orders",
        ),
        (good.replace("Subject", "Subjekt"), "SL2056", 4, 35, "did you mean `Subject`?"),
        (good.replace("expect: {}", "expect: { keeps: [city, citi] }"), "SL2056", 5, 29, "did you mean `city`?"),
        (good.replace("expect: {}", "expect: { associations: { Contact: } }"), "SL2056", 5, 31, "no association"),
        (good.replace("expect: {}", "expect: { rejected: {}, properties: { city: x } }"), "SL2057", 5, 29, "no effect"),
        (good.replace("expect: {}", "expect: { rejected: { code: SL1 } }"), "SL1", 5, 33, "SL1"),
        (good.replace("expect: {}", "expect: {}\n    expect: {}"), "SL1", 6, 5, "expect"),
        (good.replace("tests:", "tests: []\nother:"), "SL1", 2, 8, ""),
        ("version: 1\ntests: [".to_owned(), "SL1", 2, 8, ""),
    ];
    for (text, code, line, column, words) in cases {
        write(&folder, ORDERS, &text);
        let ran = run(&folder, &[]).code(1);
        assert_eq!(ran.stdout, "", "{text}");
        let place = format!("--> {ORDERS}:{line}:{column}\n");
        for part in [&format!("error[{code}"), place.as_str(), words] {
            assert!(ran.stderr.contains(part), "`{part}` is not in\n{}\nof\n{text}", ran.stderr);
        }
        let github = run(&folder, &["--format", "github"]).code(1).stdout;
        assert!(github.starts_with(&format!("::error file={ORDERS},line={line},col={column},")), "{github}");
    }
    fs::rename(folder.path().join(ORDERS), folder.path().join("pipelines/orders.test.yaml")).unwrap();
    write(&folder, "pipelines/orders.test.yaml", good);
    let ran = run(&folder, &[]).code(1);
    assert!(ran.stderr.contains("SL2055") && ran.stderr.contains("pipelines/orders.yaml"), "{ran:?}");
    // With its name said, the file may be called as one likes.
    edit(&folder, "pipelines/orders.test.yaml", "version: 1", "version: 1\npipeline: work_orders");
    run(&folder, &["work_orders"]).code(0);
}

#[test]
fn definitions_that_are_wrong_stop_the_tests() {
    let folder = project();
    edit(&folder, "pipelines/subscriptions.yaml", "from: Seats__c", "from: Seat__c");
    let ran = run(&folder, &["--format", "junit"]).code(1);
    assert!(ran.stdout.is_empty() && ran.stderr.contains("SL3001"), "{ran:?}");
    let github = run(&folder, &["--format", "github"]).code(1).stdout;
    assert!(github.starts_with("::error file=pipelines/subscriptions.yaml,line=22,col=13,"), "{github}");
    assert!(!github.contains("::warning"), "{github}");
}

fn git(folder: &TempDir, arguments: &[&str]) {
    let mut command = Command::new("git");
    command.args(["-c", "user.name=T", "-c", "user.email=t@example.com", "-c", "commit.gpgsign=false"]);
    let ran = ended(command.args(arguments).current_dir(folder.path()).output().unwrap());
    assert_eq!(ran.code, Some(0), "{ran:?}");
}

/// A workflow passes secrets that a fork may not see as empty variables.
#[test]
fn empty_variables_are_no_obstacle() {
    let folder = project();
    fs::remove_file(folder.path().join("syncline.yaml")).unwrap();
    run_in(&folder, &["init"], &[]).code(0);
    let names = [
        "SALESFORCE_LOGIN_URL",
        "SALESFORCE_CLIENT_ID",
        "SALESFORCE_USERNAME",
        "SALESFORCE_PRIVATE_KEY",
        "HUBSPOT_ACCESS_TOKEN",
    ];
    for variables in [&names.map(|name| (name, ""))[..], &[]] {
        let ran = run_in(&folder, &["test"], variables).code(0);
        assert_eq!(ran.stdout, "4 tests passed\nwithout tests: work_orders\n");
        run_in(&folder, &["validate"], variables).code(0);
    }
}

#[test]
fn names_globs_and_revisions_select() {
    let folder = project();
    let order = "version: 1\ntests:\n  - name: one\n    source: { WorkOrderNumber: 7, Subject: x }\n    expect: { properties: { subject: x } }\n";
    write(&folder, ORDERS, order);
    let ran = |words: &[&str]| -> Vec<String> {
        let output = run(&folder, &[words, &["--format", "json"]].concat()).code(0).json();
        let mut names: Vec<String> = output["tests"]
            .as_array()
            .unwrap()
            .iter()
            .map(|test| test["pipeline"].as_str().unwrap().to_owned())
            .collect();
        names.dedup();
        names
    };
    assert_eq!(ran(&[]), ["subscriptions", "work_orders"]);
    assert_eq!(ran(&["work_orders"]), ["work_orders"]);
    assert_eq!(ran(&["sub*"]), ["subscriptions"]);
    let unknown = run(&folder, &["work_order"]).code(1);
    assert!(unknown.stderr.contains("SL2012") && unknown.stderr.contains("`work_orders`"), "{unknown:?}");
    let outside = run(&folder, &["modified:HEAD"]).code(1);
    assert!(outside.stderr.contains("SL1014"), "{outside:?}");
    git(&folder, &["init", "-q", "-b", "main"]);
    git(&folder, &["add", "-A"]);
    git(&folder, &["commit", "-qm", "first"]);
    assert_eq!(ran(&["modified:main"]), Vec::<String>::new());
    edit(&folder, "pipelines/work_orders.yaml", "default: Medium", "default: Low");
    assert_eq!(ran(&["modified:main"]), ["work_orders"]);
    assert_eq!(ran(&["modified:main", "sub*"]), ["subscriptions", "work_orders"]);
    git(&folder, &["checkout", "-q", "--", "."]);
    // A changed test is a reason to run it.
    edit(&folder, SAMPLE, "a subscription needs a name", "no subscription is without a name");
    assert_eq!(ran(&["modified:main"]), ["subscriptions"]);
    let nowhere = run(&folder, &["modified:nowhere"]).code(1);
    assert!(nowhere.stderr.contains("SL1015"), "{nowhere:?}");
}

#[test]
fn dates_and_zones_are_the_same_wherever_they_are_tested() {
    let folder = project();
    let pipeline = "pipelines/work_orders.yaml";
    edit(
        &folder,
        pipeline,
        "{ from: Description, to: description, truncate: true }",
        "{ to: description, template: \"{{ StartDate | in_zone('Europe/Berlin') | date('%d.%m.%Y %H:%M') }}, {{ StartDate | date('%H:%M') }} UTC, {{ StartDate | days_until(EndDate) }} days\" }",
    );
    edit(
        &folder,
        pipeline,
        "{ from: PostalCode, to: postal_code }",
        "{ to: postal_code, template: \"{{ EndDate | in_zone('America/Los_Angeles') | add_days(1) | date('%Y-%m-%d') }}\" }",
    );
    let tests = "version: 1
tests:
  - name: the day is Berlin's, not that of the computer
    source: { WorkOrderNumber: 7, Subject: x, StartDate: 2026-10-01T22:30:00.000+0000, EndDate: 2026-10-25T06:59:59.000+0000 }
    expect:
      properties:
        description: 02.10.2026 00:30, 22:30 UTC, 24 days
        postal_code: 2026-10-25
        start_at: 2026-10-01T22:30:00.000Z
  - name: an hour is left out in spring
    source: { WorkOrderNumber: 7, Subject: x, StartDate: 2026-03-29T01:00:00Z, EndDate: 2026-03-29T01:00:00Z }
    expect: { properties: { description: \"29.03.2026 03:00, 01:00 UTC, 0 days\" } }
";
    write(&folder, ORDERS, tests);
    for variables in [
        &[][..],
        &[("TZ", "Pacific/Auckland"), ("LANG", "de_DE.UTF-8"), ("LC_ALL", "de_DE.UTF-8")],
        &[("TZ", "America/Los_Angeles")],
    ] {
        let ran = run_in(&folder, &["test", "work_orders"], variables).code(0);
        assert_eq!(ran.stdout, "2 tests passed\n", "{variables:?}");
    }
}

#[test]
fn now_is_what_the_test_file_says() {
    let folder = project();
    edit(
        &folder,
        "pipelines/work_orders.yaml",
        "{ from: Description, to: description, truncate: true }",
        "{ to: description, template: \"{{ StartDate | days_until(now) }} {{ now }}\" }",
    );
    let tests = |now: &str, expected: &str| {
        format!(
            "version: 1\n{now}tests:\n  - name: days so far\n    source: {{ WorkOrderNumber: 7, Subject: x, StartDate: 2026-10-01T22:30:00Z }}\n    \
            expect: {{ properties: {{ description: \"{expected}\" }} }}\n"
        )
    };
    write(&folder, ORDERS, &tests("now: 2026-10-05T00:00:00Z\n", "4 2026-10-05T00:00:00.000Z"));
    assert_eq!(run(&folder, &["work_orders"]).code(0).stdout, "1 test passed\n");
    write(&folder, ORDERS, &tests("", "-9770 2000-01-01T00:00:00.000Z"));
    assert_eq!(run(&folder, &["work_orders"]).code(0).stdout, "1 test passed\n");
    write(&folder, ORDERS, &tests("now: yesterday\n", ""));
    assert!(run(&folder, &["work_orders"]).code(1).stderr.contains("now"));
}

#[test]
fn what_is_set_on_creation_only_is_left_alone_later() {
    let folder = project();
    edit(
        &folder,
        "pipelines/work_orders.yaml",
        "to: priority, default: Medium",
        "to: priority, default: Medium, on_create_only: true",
    );
    let tests = "version: 1
tests:
  - name: a new one
    source: { WorkOrderNumber: 7, Subject: x }
    expect: { properties: { priority: Medium } }
  - name: one that HubSpot has
    source: { WorkOrderNumber: 7, Subject: x, Priority: High }
    exists: true
    expect: { properties: { subject: x }, keeps: [priority] }
";
    write(&folder, ORDERS, tests);
    run(&folder, &["work_orders"]).code(0);
    write(&folder, ORDERS, &tests.replace("exists: true", "exists: false"));
    let ran = run(&folder, &["work_orders"]).code(1);
    assert!(ran.stdout.contains("- priority: (not sent)\n      + priority: High"), "{ran:?}");
}
