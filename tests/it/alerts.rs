//! People are told once when something is wrong, once when it changes and once when it is over, whatever happens meanwhile.

use serde_json::{Value, json};
use syncline::sys::hmac;

use crate::support::Bench;
use crate::support::receivers::{MailServer, Tls, Webhook, tls_folder};
use crate::support::{Ran, ended};

const OBJECT: &str = "Subscription__c";
const FILE: &str = "pipelines/subscriptions.yaml";
const SECRET: &str = "a-long-secret-of-the-test";

/// One pipeline of few fields, and these receivers. The age of data is no matter unless a test says so.
fn bench(receivers: &str) -> Bench {
    let bench = Bench::new(3);
    std::fs::remove_file(bench.path("pipelines/work_orders.yaml")).unwrap();
    bench.write(
        FILE,
        "version: 1
name: subscriptions
source: { object: Subscription__c }
target: { object: subscriptions, match: salesforce_id }
fields:
  - { from: Name, to: subscription_name }
  - { from: Notes__c, to: seats }
on_delete: archive
",
    );
    for id in bench.rows(OBJECT).into_keys() {
        bench.salesforce("purge", json!({"object": OBJECT, "id": id}));
    }
    let project = std::fs::read_to_string(bench.path("syncline.yaml")).unwrap();
    bench.write("syncline.yaml", &format!("{project}\nalert: {{ lag: 7d }}\nalerts:\n{receivers}"));
    bench
}

fn hook(hook: &Webhook) -> String {
    format!("  - {{ type: webhook, url: \"{}\", secret: {SECRET} }}\n", hook.url)
}

fn create(bench: &Bench, seats: &str) -> String {
    let made = bench.salesforce("create", json!({"object": OBJECT, "values": {"Name": "x", "Notes__c": seats}}));
    made["id"].as_str().unwrap().to_owned()
}

/// The outbox as if all pauses were over.
fn hurry(bench: &Bench) {
    let state = rusqlite::Connection::open(bench.path(".syncline/state.db")).unwrap();
    state.execute("UPDATE alert_outbox SET next_try = 1", []).unwrap();
}

fn break_salesforce(bench: &Bench) {
    let body = json!([{"errorCode": "API_DISABLED_FOR_ORG", "message": "The REST API is not enabled"}]);
    bench.faults(json!([{"service": "salesforce", "path": "/services/data/**/query*", "status": 403, "body": body}]));
}

#[test]
fn a_failure_is_told_once_then_when_it_changes_and_when_it_is_over() {
    let taker = Webhook::start();
    let bench = bench(&hook(&taker));
    bench.import();
    assert_eq!(taker.events(), Vec::<String>::new());
    break_salesforce(&bench);
    bench.run(&["sync", "--once"]).code(1);
    assert_eq!(taker.events(), ["failure subscriptions"]);
    bench.run(&["sync", "--once"]).code(1);
    assert_eq!(taker.events(), Vec::<String>::new(), "the same again is nothing new");
    bench.sandbox.clear_faults();
    // Another reason is told.
    bench.edit(FILE, "to: seats", "to: no_such_property");
    bench.run(&["sync", "--once"]).code(1);
    assert_eq!(taker.events(), ["failure subscriptions"]);
    bench.edit(FILE, "to: no_such_property", "to: seats");
    bench.run(&["sync", "--once"]).code(0);
    assert_eq!(taker.events(), ["recovery subscriptions"]);
    bench.run(&["sync", "--once"]).code(0);
    assert_eq!(taker.events(), Vec::<String>::new());
}

#[test]
fn a_webhook_is_signed_over_time_and_body() {
    let taker = Webhook::start();
    let bench = bench(&hook(&taker));
    bench.import();
    break_salesforce(&bench);
    bench.run(&["sync", "--once"]).code(1);
    let request = taker.taken().remove(0);
    let header = |name: &str| request.headers[name].as_str();
    let parts = [header("syncline-timestamp").as_bytes(), b".", request.body.as_bytes()];
    assert_eq!(header("syncline-signature"), format!("v1={}", hmac::sha256_hex(SECRET.as_bytes(), &parts)));
    let time: i64 = header("syncline-timestamp").parse().unwrap();
    assert!(time > 1_700_000_000);
    let alert = request.json();
    assert_eq!((header("syncline-event"), &alert["event"]), ("failure", &json!("failure")));
    assert_eq!(header("syncline-delivery"), alert["id"]);
    assert!(alert["message"].as_str().unwrap().contains("REST API") && alert["code"].is_string(), "{alert}");
    assert!(alert["run"].is_string() && alert["at"].is_string() && alert["title"].is_string(), "{alert}");
    assert!(!request.body.contains(SECRET));
}

#[test]
fn an_alert_outlives_its_command_while_the_receiver_is_away() {
    let taker = Webhook::start();
    let bench = bench(&hook(&taker));
    bench.import();
    taker.answer(503);
    break_salesforce(&bench);
    let ran = bench.run(&["sync", "--once"]).code(1);
    assert!(ran.stderr.contains("HTTP 503") || !ran.stderr.is_empty(), "{ran:?}");
    bench.sandbox.clear_faults();
    let printed = bench.run(&["status", "--check"]).code(1).stdout;
    assert!(
        printed.contains("alerts: 1 alert waits to be delivered to `webhook`: it answered with HTTP 503"),
        "{printed}"
    );
    taker.answer(200);
    // Before its pause is over it waits, and nothing of it is lost or told twice.
    hurry(&bench);
    bench.run(&["sync", "--once"]).code(0);
    assert_eq!(taker.events(), ["failure subscriptions", "recovery subscriptions"]);
    hurry(&bench);
    bench.run(&["sync", "--once"]).code(0);
    assert_eq!(taker.events(), Vec::<String>::new());
    assert!(!bench.run(&["status", "--check"]).stdout.contains("alerts:"));
}

#[test]
fn a_guard_stop_and_too_many_rejects_are_told() {
    let taker = Webhook::start();
    let bench = bench(&hook(&taker));
    for _ in 0..30 {
        create(&bench, "five");
    }
    bench.run(&["import", "--yes"]).code(1);
    let request = taker.taken().remove(0);
    let alert = request.json();
    assert_eq!((&alert["event"], &alert["code"]), (&json!("guard"), &json!("SL6009")), "{alert}");
    assert!(alert["message"].as_str().unwrap().contains("30 value does not fit at `seats` (SL5001)"), "{alert}");
    assert!(alert["help"].as_str().unwrap().contains("--allow-reject"), "{alert}");
    bench.run(&["import", "--yes", "--allow-reject", "30"]).code(3);
    assert_eq!(taker.events(), ["recovery subscriptions", "degradation subscriptions"]);
    bench.sync();
    assert_eq!(taker.events(), Vec::<String>::new(), "a run with nothing to do says nothing of it");
    for id in bench.rows(OBJECT).into_keys() {
        bench.salesforce("update", json!({"object": OBJECT, "id": id, "values": {"Notes__c": "5"}}));
    }
    bench.sync();
    assert_eq!(taker.events(), ["recovery subscriptions"]);
}

#[test]
fn old_data_is_told_and_its_end() {
    let taker = Webhook::start();
    let bench = bench(&hook(&taker));
    bench.import();
    bench.edit("syncline.yaml", "lag: 7d", "lag: 1s");
    break_salesforce(&bench);
    std::thread::sleep(std::time::Duration::from_millis(1_200));
    bench.run(&["sync", "--once"]).code(1);
    assert_eq!(taker.events(), ["failure subscriptions", "lag subscriptions"]);
    bench.edit("syncline.yaml", "lag: 1s", "lag: 1h");
    bench.sandbox.clear_faults();
    bench.sync();
    assert_eq!(taker.events(), ["recovery subscriptions", "recovery subscriptions"]);
}

#[test]
fn receivers_get_the_events_that_they_asked_for_in_their_own_form() {
    let (channel, other, mail) = (Webhook::start(), Webhook::start(), MailServer::start());
    let receivers = format!(
        "  - {{ type: slack, url: \"{}\" }}
  - {{ type: webhook, name: guards, url: \"{}\", secret: {SECRET}, events: [guard] }}
  - {{ type: email, server: \"{}\", from: Syncline <syncline@example.com>, to: [a@example.com, b@example.com] }}
",
        channel.url, other.url, mail.address
    );
    let bench = bench(&receivers);
    bench.import();
    break_salesforce(&bench);
    bench.run(&["sync", "--once"]).code(1);
    let message: Value = channel.taken().remove(0).json();
    assert!(message["text"].as_str().unwrap().starts_with("*pipeline `subscriptions` failed*\n"), "{message}");
    assert_eq!(other.taken().len(), 0);
    let mails = mail.taken();
    assert_eq!(mails.len(), 1);
    for part in [
        "MAIL FROM:<syncline@example.com>",
        "RCPT TO:<a@example.com>",
        "RCPT TO:<b@example.com>",
        "Subject: [Syncline] pipeline `subscriptions` failed",
        "API_DISABLED_FOR_ORG",
    ] {
        assert!(mails[0].contains(part), "`{part}` is not in:\n{}", mails[0]);
    }
}

#[test]
fn a_sync_that_runs_on_tells_and_goes_on() {
    let taker = Webhook::start();
    let bench = bench(&hook(&taker));
    bench.import();
    bench.edit(FILE, "on_delete: archive", "on_delete: archive\nsync: { every: 1s }");
    break_salesforce(&bench);
    let mut child = bench.spawn(&["sync"]);
    let mut events = Vec::new();
    for _ in 0..300 {
        events.extend(taker.events());
        if events.len() == 1 {
            bench.sandbox.clear_faults();
        }
        if events.len() >= 2 {
            break;
        }
        std::thread::sleep(std::time::Duration::from_millis(100));
    }
    child.kill().unwrap();
    child.wait().unwrap();
    assert_eq!(events, ["failure subscriptions", "recovery subscriptions"]);
}

#[test]
fn a_test_message_tells_who_hears() {
    let (taker, away) = (Webhook::start(), Webhook::start());
    away.answer(500);
    let receivers = format!("{}  - {{ type: slack, url: \"{}\" }}\n", hook(&taker), away.url);
    let bench = bench(&receivers);
    let ran = bench.run(&["alerts", "test"]).code(1);
    assert_eq!(ran.stdout, "webhook: delivered\nslack: not delivered: it answered with HTTP 500\n");
    assert_eq!(taker.events(), ["test -"]);
    bench.run(&["alerts", "test", "webhook"]).code(0);
    let ran = bench.run(&["alerts", "test", "nobody", "--format", "json"]).code(1);
    assert!(ran.stdout.contains("receivers are: webhook, slack"), "{ran:?}");
}

#[test]
fn what_a_receiver_needs_and_is_not_there_keeps_nothing_else_from_running() {
    let taker = Webhook::start();
    let receivers = format!("  - {{ type: webhook, url: \"{}\", secret: \"${{SYNCLINE_TEST_UNSET}}\" }}\n", taker.url);
    let bench = bench(&receivers);
    bench.run(&["status"]).code(0);
    bench.import();
    let ran = bench.run(&["alerts", "test"]).code(1);
    assert!(ran.stdout.contains("SYNCLINE_TEST_UNSET"), "{ran:?}");
}

#[test]
fn a_monitor_gets_a_line_a_problem() {
    let bench = bench("[]\n");
    bench.edit("syncline.yaml", "alerts:\n[]", "alerts: []");
    let printed = bench.run(&["status", "--check"]).code(1).stdout;
    assert!(printed.contains("subscriptions: the records that existed before were never imported"), "{printed}");
    bench.import();
    assert_eq!(bench.run(&["status", "--check"]).code(0).stdout, "ok: 1 pipeline\n");
    let id = create(&bench, "five");
    bench.sync();
    let printed = bench.run(&["status", "--check"]).code(1).stdout;
    assert_eq!(printed, "subscriptions: 1 record is kept under `syncline failures`\n");
    // Bounds are the project's or the pipeline's own, whose word counts.
    bench.edit("syncline.yaml", "lag: 7d", "lag: 7d, failures: 1");
    bench.run(&["status", "--check"]).code(0);
    bench.edit(FILE, "on_delete: archive", "on_delete: archive\nalert: { failures: 0 }");
    bench.run(&["status", "--check"]).code(1);
    bench.salesforce("delete", json!({"object": OBJECT, "id": id}));
    bench.sync();
    bench.run(&["status", "--check"]).code(0);
    bench.edit(FILE, "alert: { failures: 0 }", "alert: { lag: 1s }\nsync: { every: 1s }");
    std::thread::sleep(std::time::Duration::from_millis(3_200));
    let printed = bench.run(&["status", "--check"]).code(1).stdout;
    let lines: Vec<&str> = printed.lines().collect();
    assert_eq!(lines.len(), 2, "{printed}");
    assert!(lines[0].contains("no run has started for") && lines[1].contains("`alert.lag` allows 1s"), "{printed}");
    let json = bench.run(&["status", "--check", "--format", "json"]).code(1).json();
    let reasons: Vec<&Value> =
        json["pipelines"][0]["attention"].as_array().unwrap().iter().map(|reason| &reason["reason"]).collect();
    assert_eq!(reasons, ["not_running", "old_data"]);
}

/// `alerts test` of an e-mail receiver, with the authority of the test's servers among those that this computer trusts, or not.
fn mail_tried(server: &str, trusted: bool) -> Ran {
    let receiver = format!(
        "  - {{ type: email, server: \"{server}\", username: me, password: {SECRET}, from: s@example.com, to: [a@example.com] }}\n"
    );
    let bench = bench(&receiver);
    let mut command = bench.command(&["alerts", "test"]);
    if trusted {
        command.env("SSL_CERT_FILE", tls_folder().join("authority.pem"));
    }
    ended(command.output().unwrap())
}

#[test]
fn mail_goes_over_tls_from_the_start_or_when_asked_for() {
    let mail = MailServer::speaking(Tls::Implicit);
    mail_tried(&mail.address, true).code(0);
    let taken = mail.taken();
    assert!(taken[0].starts_with("TLS\r\n") && taken[0].contains("RCPT TO:<a@example.com>"), "{taken:?}");
    // Loopback addresses are spoken to in plain text, and 0.0.0.0 leads there without being one.
    let mail = MailServer::speaking(Tls::OnRequest);
    mail_tried(&format!("smtp://0.0.0.0:{}", mail.port()), true).code(0);
    let taken = mail.taken();
    let (plain, hidden) = taken[0].split_once("STARTTLS\r\n").unwrap();
    assert!(plain.starts_with("EHLO") && !plain.contains("MAIL") && !plain.contains("AUTH"), "{taken:?}");
    assert!(hidden.contains("AUTH PLAIN") && hidden.contains("RCPT TO:<a@example.com>"), "{taken:?}");
}

#[test]
fn mail_is_not_sent_to_a_server_that_cannot_prove_who_it_is() {
    for tls in [Tls::Implicit, Tls::OnRequest] {
        let mail = MailServer::speaking(tls);
        let server =
            if tls == Tls::Implicit { mail.address.clone() } else { format!("smtp://0.0.0.0:{}", mail.port()) };
        let ran = mail_tried(&server, false).code(1);
        let printed = format!("{}{}", ran.stdout, ran.stderr);
        assert!(printed.to_lowercase().contains("certificate"), "{printed}");
        assert!(!printed.contains(SECRET), "{printed}");
        assert!(mail.taken().iter().all(|mail| !mail.contains("AUTH") && !mail.contains("MAIL FROM")));
    }
    // A server that does not offer encryption gets nothing, either.
    let mail = MailServer::start();
    mail_tried(&format!("smtp://0.0.0.0:{}", mail.port()), true).code(1);
    assert!(mail.taken().iter().all(|mail| !mail.contains("AUTH") && !mail.contains("MAIL FROM")));
}
