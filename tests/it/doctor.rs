//! `doctor`: each check works, and fails where the sandbox makes it fail.

use std::fs;
use std::os::unix::fs::PermissionsExt as _;

use jiff::SignedDuration;
use serde_json::{Value, json};
use syncline::sys::clock::Clock;

use crate::support::{Bench, Ran, ended};

fn look(bench: &Bench) -> Ran {
    bench.run(&["doctor", "--format", "json"])
}

/// The checks of a name that do not work, of one area.
fn of<'a>(report: &'a Value, area: &str, check: &str) -> Vec<&'a Value> {
    let all = report["checks"].as_array().unwrap().iter();
    all.filter(|found| found["area"] == area && found["check"] == check).collect()
}

#[test]
fn a_project_that_works_is_told_so_and_nothing_is_written() {
    let bench = Bench::new(10);
    let ran = look(&bench).code(0);
    let report = ran.json();
    // One of the sample pipelines has something to be told of.
    assert_eq!(report["status"], "warning", "{}", ran.stdout);
    let mappings = of(&report, "pipeline", "mapping");
    let standing: Vec<&str> = mappings.iter().map(|found| found["status"].as_str().unwrap()).collect();
    assert_eq!(standing.iter().filter(|status| **status == "ok").count(), 1, "{standing:?}");
    for (area, checks) in [
        ("project", &["definitions"][..]),
        ("salesforce", &["settings", "reachable", "token", "account", "clock", "object", "read", "limits"]),
        ("hubspot", &["settings", "reachable", "token", "account", "clock", "object", "read", "write", "limits"]),
        ("state", &["file", "writable"]),
        ("computer", &["disk"]),
    ] {
        for check in checks {
            let found = of(&report, area, check);
            assert!(
                !found.is_empty() && found.iter().all(|found| found["status"] == "ok"),
                "{area} {check}: {found:?}"
            );
        }
    }
    assert!(bench.records("subscriptions").is_empty() && !bench.path(".syncline").exists());
    let text = bench.run(&["doctor"]).code(0);
    assert!(
        text.stdout.contains("portal 51234567") && text.stdout.ends_with("everything works, with 1 warning\n"),
        "{}",
        text.stdout
    );
    let quiet = bench.run(&["doctor", "--quiet"]).code(0).stdout;
    assert!(quiet.contains("warning") && !quiet.contains("  ok "), "{quiet}");
    // The state that runs leave is looked at as well, and is for its owner only.
    bench.import();
    let before = fs::read(bench.path(".syncline/state.db")).unwrap();
    let report = look(&bench).code(0).json();
    assert_eq!(of(&report, "state", "permissions")[0]["status"], "ok");
    assert_eq!(fs::read(bench.path(".syncline/state.db")).unwrap(), before);
}

/// What is made wrong, the check that tells of it, how it stands then, its code, and a part of what to do.
type Trouble =
    (&'static str, (&'static str, &'static str), &'static str, Option<&'static str>, &'static str, fn(&Bench));

const TROUBLES: [Trouble; 23] = [
    ("an error in a definition", ("project", "definitions"), "failed", Some("SL1000"), "syncline validate", |bench| {
        bench.edit("pipelines/subscriptions.yaml", "on_delete: archive", "on_delete: archive\non_dilete: keep");
    }),
    ("a variable that is not set", ("hubspot", "settings"), "failed", Some("SL1010"), "set it", |bench| {
        bench.edit("syncline.yaml", "access_token: sandbox-hubspot-token", "access_token: ${TOKEN_THAT_NOBODY_SETS}");
    }),
    (
        "a secret that is kept nowhere",
        ("salesforce", "settings"),
        "failed",
        Some("SL1010"),
        "SYNCLINE_SECRET_COMMAND",
        |bench| {
            bench.edit("syncline.yaml", "client_secret: sandbox-secret", "client_secret: ${secret:nobody-keeps-it}");
        },
    ),
    ("an address where nobody answers", ("salesforce", "reachable"), "failed", None, "check", |bench| {
        let text = fs::read_to_string(bench.path("syncline.yaml")).unwrap();
        let line = text.lines().find(|line| line.contains("login_url:")).unwrap().to_owned();
        bench.edit("syncline.yaml", &line, "    login_url: http://127.0.0.1:9");
    }),
    ("a HubSpot that is away", ("hubspot", "reachable"), "failed", None, "", |bench| {
        bench.faults(json!([{"service": "hubspot", "status": 503}]));
    }),
    ("a secret of the app that is wrong", ("salesforce", "token"), "failed", Some("SL4101"), "", |bench| {
        bench.edit("syncline.yaml", "client_secret: sandbox-secret", "client_secret: another-secret");
    }),
    ("a token that nobody knows", ("hubspot", "token"), "failed", Some("SL4002"), "access_token", |bench| {
        bench.edit("syncline.yaml", "access_token: sandbox-hubspot-token", "access_token: another-token-1");
    }),
    ("another portal", ("hubspot", "account"), "failed", Some("SL3005"), "portal_id", |bench| {
        bench.edit("syncline.yaml", "portal_id: 51234567", "portal_id: 1");
    }),
    ("no portal that is meant", ("hubspot", "account"), "warning", None, "portal_id: 51234567", |bench| {
        bench.edit("syncline.yaml", "    portal_id: 51234567\n", "");
    }),
    (
        "an object that the user does not see",
        ("salesforce", "object"),
        "failed",
        Some("SL4106"),
        "read permission",
        |bench| {
            bench.edit("pipelines/work_orders.yaml", "object: WorkOrder", "object: Nowhere__c");
        },
    ),
    ("rows that the user does not see", ("salesforce", "read"), "warning", None, "View All", |bench| {
        for id in bench.rows("WorkOrder").keys() {
            bench.salesforce("delete", json!({"object": "WorkOrder", "id": id}));
        }
    }),
    ("a field that is hidden", ("pipeline", "mapping"), "failed", Some("SL3001"), "", |bench| {
        bench.salesforce("hide", json!({"object": "Subscription__c", "field": "Notes__c"}));
    }),
    ("an object that the portal lacks", ("hubspot", "object"), "failed", Some("SL4009"), "", |bench| {
        bench.edit("pipelines/subscriptions.yaml", "object: subscriptions", "object: subscription_plans");
    }),
    ("a property that is gone", ("pipeline", "mapping"), "failed", Some("SL2030"), "", |bench| {
        bench.hubspot("archive_property", json!({"object": "subscriptions", "property": "notes"}));
    }),
    (
        "no right to describe objects",
        ("hubspot", "object"),
        "failed",
        Some("SL4003"),
        "crm.schemas.custom.read",
        |bench| {
            with_scopes(bench, &["crm.objects.custom.read", "crm.objects.custom.write"]);
        },
    ),
    ("no right to read records", ("hubspot", "read"), "failed", Some("SL4003"), "crm.objects.custom.read", |bench| {
        with_scopes(bench, &["crm.schemas.custom.read", "crm.objects.custom.write"]);
    }),
    (
        "no right to write records",
        ("hubspot", "write"),
        "failed",
        Some("SL4003"),
        "crm.objects.custom.write",
        |bench| {
            with_scopes(bench, &["crm.schemas.custom.read", "crm.objects.custom.read", "crm.objects.companies.read"]);
        },
    ),
    (
        "no right to write what is associated with",
        ("hubspot", "write"),
        "warning",
        None,
        "crm.objects.companies.write",
        |bench| {
            let custom = ["crm.schemas.custom.read", "crm.objects.custom.read", "crm.objects.custom.write"];
            with_scopes(bench, &[&custom[..], &["crm.objects.companies.read"]].concat());
        },
    ),
    ("few calls to Salesforce", ("salesforce", "limits"), "warning", None, "api_budget", |bench| {
        bench.edit("syncline.yaml", "  hubspot:\n", "    api_budget: 100%\n  hubspot:\n");
        let made =
            || bench.sandbox.requests().iter().filter(|entry| entry.target.starts_with("/services/data")).count();
        while made() < 150 {
            bench.run(&["catalog", "pull"]).code(0);
        }
        bench.salesforce("options", json!({"daily_limit": made() + 20}));
    }),
    ("no calls to HubSpot", ("hubspot", "limits"), "failed", Some("SL4004"), "midnight", |bench| {
        bench.faults(json!([{"service": "hubspot", "fault": "daily_limit"}]));
    }),
    ("a clock that is wrong", ("salesforce", "clock"), "warning", None, "NTP", |bench| {
        bench.sandbox.set_time(Clock::system().now() + SignedDuration::from_hours(3));
    }),
    ("a clock that is far from HubSpot's", ("hubspot", "clock"), "warning", None, "NTP", |bench| {
        bench.sandbox.set_time(Clock::system().now() - SignedDuration::from_mins(2));
    }),
    ("a state that others may read", ("state", "permissions"), "warning", None, "chmod 600", |bench| {
        bench.import();
        fs::set_permissions(bench.path(".syncline/state.db"), fs::Permissions::from_mode(0o644)).unwrap();
    }),
];

/// Gives the project a token with these scopes only.
fn with_scopes(bench: &Bench, scopes: &[&str]) {
    bench.hubspot("token", json!({"token": "a-token-of-few-rights", "scopes": scopes}));
    bench.edit("syncline.yaml", "access_token: sandbox-hubspot-token", "access_token: a-token-of-few-rights");
}

#[test]
fn each_check_tells_of_its_trouble_and_what_to_do() {
    for (what, (area, check), status, code, help, break_it) in TROUBLES {
        let bench = Bench::new(10);
        break_it(&bench);
        let ran = look(&bench);
        let report = ran.json();
        let found = of(&report, area, check).into_iter().find(|found| found["status"] == status);
        let Some(found) = found else { panic!("{what}: {}", ran.stdout) };
        if code.is_some() {
            assert_eq!(found["code"].as_str(), code, "{what}: {found}");
        }
        assert!(found["help"].as_str().is_some_and(|text| text.contains(help)), "{what}: {found}");
        assert_eq!(ran.code, Some(i32::from(status == "failed")), "{what}: {}", ran.stdout);
        assert_eq!(report["status"], status, "{what}: {}", ran.stdout);
        let shown = format!("{}{}", ran.stdout, ran.stderr);
        for secret in ["another-secret", "another-token-1", "a-token-of-few-rights", "sandbox-hubspot-token"] {
            assert!(!shown.contains(secret), "{what}: {shown}");
        }
    }
}

#[test]
fn a_clock_that_no_signed_assertion_allows_is_a_failure() {
    let bench = Bench::new(2);
    bench.salesforce("options", json!({"jwt_public_key": include_str!("../../src/sys/testdata/jwt_public.pem")}));
    bench.write("salesforce.key", include_str!("../../src/sys/testdata/jwt_pkcs8.pem"));
    let login = "jwt: { client_id: syncline-sandbox, username: syncline@sandbox.example, private_key: \"${file:salesforce.key}\" }";
    let text = fs::read_to_string(bench.path("syncline.yaml")).unwrap();
    let (before, rest) = text.split_once("      client_credentials:").unwrap();
    let (_, after) = rest.split_once("  hubspot:").unwrap();
    bench.write("syncline.yaml", &format!("{before}      {login}\n  hubspot:{after}"));
    let clock = |minutes: i64| {
        bench.sandbox.set_time(Clock::system().now() - SignedDuration::from_mins(minutes));
        let report = look(&bench).json();
        of(&report, "salesforce", "clock")
            .first()
            .map(|found| found["status"].clone())
            .unwrap_or_else(|| report["checks"].clone())
    };
    assert_eq!((clock(0), clock(2), clock(10)), (json!("ok"), json!("warning"), json!("failed")));
}

#[test]
fn what_does_not_work_keeps_no_other_check_from_being_made() {
    let bench = Bench::new(5);
    bench.edit("syncline.yaml", "client_secret: sandbox-secret", "client_secret: another-secret");
    let report = look(&bench).code(1).json();
    assert!(of(&report, "hubspot", "write").iter().all(|found| found["status"] == "ok"));
    // What both systems are needed for is not tried.
    let mapping = of(&report, "pipeline", "mapping");
    assert!(mapping.len() == 2 && mapping.iter().all(|found| found["status"] == "skipped"), "{mapping:?}");
    assert!(!of(&report, "computer", "disk").is_empty());
}

#[test]
fn a_state_that_is_no_good_is_told_with_its_reason() {
    let bench = Bench::new(3);
    bench.import();
    let path = bench.path(".syncline/state.db");
    let good = fs::read(&path).unwrap();
    let mut newer = good.clone();
    newer[60..64].copy_from_slice(&99_u32.to_be_bytes());
    for (bytes, code) in
        [(&b"no database at all, whatever it is called"[..], "SL6001"), (&newer, "SL6002"), (&good[..100], "SL6001")]
    {
        for rest in ["-wal", "-shm"] {
            let _ = fs::remove_file(bench.path(&format!(".syncline/state.db{rest}")));
        }
        fs::write(&path, bytes).unwrap();
        let report = look(&bench).code(1).json();
        let found = of(&report, "state", "file")[0];
        assert_eq!((found["status"].as_str(), found["code"].as_str()), (Some("failed"), Some(code)), "{found}");
        assert_eq!(fs::read(&path).unwrap(), bytes, "nothing was changed");
    }
}

#[test]
fn a_disk_that_is_full_and_secrets_that_others_may_read_are_told() {
    let bench = Bench::new(2);
    let tools = tempfile::tempdir().unwrap();
    let df = tools.path().join("df");
    fs::write(
        &df,
        "#!/bin/sh\necho Filesystem 1024-blocks Used Available Capacity Mounted on\necho /dev/x 1000 999 5 99% /\n",
    )
    .unwrap();
    fs::set_permissions(&df, fs::Permissions::from_mode(0o755)).unwrap();
    bench.write(".env", "A=1\n");
    fs::set_permissions(bench.path(".env"), fs::Permissions::from_mode(0o644)).unwrap();
    let path = format!("{}:{}", tools.path().display(), std::env::var_os("PATH").unwrap().to_string_lossy());
    let mut command = bench.command(&["doctor", "--format", "json"]);
    let report = ended(command.env("PATH", path).output().unwrap()).code(1).json();
    assert_eq!(of(&report, "computer", "disk")[0]["status"], "failed");
    assert_eq!(of(&report, "computer", "permissions")[0]["status"], "warning");
}

#[test]
fn receivers_and_targets_are_looked_at() {
    let bench = Bench::new(2);
    let text = fs::read_to_string(bench.path("syncline.yaml")).unwrap();
    let more = "alerts:\n  - { type: slack, url: \"${URL_THAT_NOBODY_SETS}\" }\ntargets:\n  quiet: { alerts: [] }\n";
    bench.write("syncline.yaml", &format!("{text}{more}"));
    let report = look(&bench).code(1).json();
    assert_eq!(
        (of(&report, "receiver", "settings")[0]["status"].as_str(), &report["target"]),
        (Some("failed"), &Value::Null)
    );
    let report = bench.run(&["doctor", "--format", "json", "--target", "quiet"]).code(0).json();
    assert!(of(&report, "receiver", "settings").is_empty() && report["target"] == "quiet", "{report}");
}
