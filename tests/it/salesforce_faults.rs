//! Trouble of Salesforce during an import and a sync: the run says truly what it did, the next one ends in agreement, and
//! no secret is told.

use std::fs;
use std::time::Duration;

use serde_json::{Value, json};
use syncline::sandbox::options::{SandboxOptions, USERNAME};

use crate::support::oracle::agree;
use crate::support::story::{IMPORT, KEY, SYNC, Story, change};
use crate::support::{Bench, FAST, report};

/// The type of the HubSpot object that the subscriptions go to.
const OBJECT_TYPE: &str = "2-41234567";

fn both() -> [Story; 2] {
    [Story::new(Bench::new(30), IMPORT), Story::new(Bench::new(30), SYNC)]
}

#[test]
fn a_session_may_be_over_at_any_call() {
    for story in both() {
        for call in 2..=story.calls + 1 {
            let rule = json!([{"service": "salesforce", "from": call, "to": call, "fault": "expired"}]);
            let ran = story.faults("expired", rule);
            assert!(matches!(ran.code, Some(0 | 3)), "call {call}: {ran:?}");
        }
    }
}

#[test]
fn sessions_that_live_for_a_moment_are_renewed() {
    let latency = Duration::from_millis(30);
    let token_lifetime = Duration::from_millis(60);
    let bench = Bench::with(SandboxOptions {
        records: 200,
        latency,
        token_lifetime,
        rate_limit: FAST,
        ..SandboxOptions::default()
    });
    bench.salesforce("switches", json!({"short_pages": true}));
    bench.import();
    change(&bench);
    bench.sync();
    agree(&bench);
    let logins = bench.sandbox.requests().iter().filter(|entry| entry.target == "/services/oauth2/token").count();
    assert!(logins > 2, "only {logins} logins: the sessions lived too long for this test");
}

#[test]
fn the_days_calls_may_be_used_up_at_any_call() {
    for story in both() {
        for call in 2..=story.calls {
            let rule = json!([{"service": "salesforce", "from": call, "fault": "daily_limit"}]);
            let ran = story.faults("daily limit", rule);
            assert_eq!(ran.code, Some(1), "call {call}: {ran:?}");
            let is_named = ran.stderr.contains("TotalRequests") || ran.stderr.contains("are used up");
            assert!(ran.stderr.contains("SL4104") && is_named, "call {call}: {}", ran.stderr);
            // Whether a run had begun or not, the report says why there is nothing more.
            assert_eq!(ran.json()["status"], "paused", "call {call}: {}", ran.stdout);
        }
    }
}

/// Faults that end within the retries; each is followed by a good answer.
fn outlived(story: &Story, kinds: &[&str]) {
    for part in kinds.chunks(4) {
        let rules: Vec<Value> = part
            .iter()
            .enumerate()
            .map(|(index, kind)| {
                // The first call of all is the login, which has its own rules.
                let call = 2 + 2 * index;
                json!({"service": "salesforce", "path": "/services/data/**", "from": call, "to": call, "fault": kind})
            })
            .collect();
        let ran = story.faults(&format!("{part:?}"), json!(rules));
        assert!(matches!(ran.code, Some(0 | 3)), "{part:?}: {ran:?}");
    }
}

#[test]
fn an_import_outlives_passing_trouble() {
    let kinds = ["not_acceptable", "edge", "rate_limit_bare", "unavailable", "bad_gateway", "html", "cut_json", "cut"];
    outlived(&Story::new(Bench::new(30), IMPORT), &kinds);
}

#[test]
fn a_sync_outlives_passing_trouble() {
    let kinds = [
        "internal_error",
        "not_found_html",
        "concurrent_limit",
        "reset_before",
        "reset_after",
        "empty_body",
        "not_my_json",
        "redirect",
    ];
    outlived(&Story::new(Bench::new(30), SYNC), &kinds);
}

#[test]
fn salesforce_may_be_away_for_an_hour() {
    let story = Story::new(Bench::new(30), SYNC);
    // One pipeline's reads, as each waits until its patience is used up.
    let rows = "FROM%20Subscription__c";
    let rule = json!([{"path": "/services/data/*/query*", "contains": rows, "fault": "unavailable"}]);
    let ran = story.faults("503", rule);
    assert_eq!(ran.code, Some(1), "{ran:?}");
    let reports = ran.json();
    assert_eq!(report(&reports, "subscriptions")["status"], "failed", "{reports}");
    assert!(ran.stderr.contains("SL4103") && ran.stderr.contains("SERVER_UNAVAILABLE"), "{}", ran.stderr);
}

fn refusal(code: &str, message: &str) -> Value {
    json!([{"message": message, "errorCode": code}])
}

#[test]
fn refusals_that_need_a_person_end_the_run_and_say_what_to_do() {
    let long = "\nSELECT Id FROM X WHERE\n   ^\nERROR at Row:1:Column:12\nunexpected token: 'FORM'";
    let query = "/services/data/*/query";
    let describe = "/services/data/*/sobjects/Subscription__c/describe";
    let cases = [
        (query, 400, refusal("MALFORMED_QUERY", long), "SL4108", "unexpected token: 'FORM'"),
        (query, 403, refusal("API_DISABLED_FOR_ORG", "The REST API is not enabled."), "SL4107", "API Enabled"),
        (
            query,
            401,
            refusal("INVALID_SESSION_ID", "This session is not valid for use with the REST API"),
            "SL4102",
            "OAuth",
        ),
        (query, 410, refusal("UNSUPPORTED_API_VERSION", "retired"), "SL4111", "api_version"),
        (describe, 404, refusal("NOT_FOUND", "The requested resource does not exist"), "Subscription__c", "permission"),
        (describe, 403, refusal("INSUFFICIENT_ACCESS", "no"), "Subscription__c", "read access"),
    ];
    let stories = [Story::new(Bench::new(20), IMPORT), Story::new(Bench::new(20), SYNC)];
    for story in &stories {
        for (path, status, body, code, part) in &cases {
            // Of the pipeline that it is about: what cannot be described stops no other.
            let others = *path == describe;
            let writes = |bench: &Bench| {
                let all = bench.sandbox.requests();
                let wrote =
                    |target: &str| target.contains("/batch/upsert") && (!others || target.contains(OBJECT_TYPE));
                all.iter().filter(|entry| entry.service == "hubspot" && wrote(&entry.target)).count()
            };
            let mut before = 0;
            let rule = json!([{"service": "salesforce", "path": path, "status": status, "body": body}]);
            let cause = |bench: &Bench| {
                bench.faults(rule);
                bench.sandbox.forget_requests();
            };
            let ran = story.tell(code, cause, |bench| before = writes(bench));
            assert_eq!((ran.code, before), (Some(1), 0), "{code}: {ran:?}");
            assert!(ran.stderr.contains(code) && ran.stderr.contains(part), "{code}, {part}: {}", ran.stderr);
        }
    }
}

#[test]
fn logins_that_fail_write_nothing_and_tell_no_secret() {
    let bench = Bench::new(20);
    bench.salesforce("options", json!({"jwt_public_key": include_str!("../../src/sys/testdata/jwt_public.pem")}));
    bench.write("key.pem", KEY);
    let jwt = format!("jwt:\n        username: {USERNAME}\n        private_key: ${{file:key.pem}}");
    bench.edit("syncline.yaml", "client_credentials:", &jwt);
    bench.edit("syncline.yaml", "        client_secret: sandbox-secret\n", "");
    let story = Story::new(bench, IMPORT);
    let error = |error: &str, text: &str| json!({"error": error, "error_description": text});
    let lasting = [
        (error("invalid_grant", "user hasn't approved this consumer"), "pre-authorise"),
        (error("invalid_grant", "invalid assertion"), "certificate"),
        (error("invalid_grant", "Audience validation failed"), "My Domain"),
        (error("invalid_client_id", "client identifier invalid"), "consumer key"),
        (error("invalid_client", "app must be installed into org"), "External Client App"),
        (json!({"error": "inactive_org"}), "not active"),
    ];
    for (body, part) in lasting {
        let ran = story.faults(part, json!([{"path": "/services/oauth2/token", "status": 400, "body": body}]));
        assert_eq!(ran.code, Some(1), "{ran:?}");
        assert!(ran.stderr.contains("SL4101") && ran.stderr.contains(part), "{part}: {}", ran.stderr);
    }
    let passing = [
        json!({"status": 400, "body": error("invalid_grant", "Token request is already being processed")}),
        json!({"fault": "unavailable"}),
        json!({"fault": "not_found_html"}),
        json!({"fault": "cut_json"}),
        json!({"fault": "reset_after"}),
        json!({"fault": "html"}),
    ];
    for mut rule in passing {
        rule["path"] = "/services/oauth2/token".into();
        rule["times"] = 1.into();
        let ran = story.faults("passing", json!([rule]));
        assert!(matches!(ran.code, Some(0 | 3)), "{ran:?}");
    }
}

#[test]
fn a_rotated_refresh_token_survives_the_process() {
    let bench = Bench::new(10);
    bench.salesforce("switches", json!({"rotate_refresh_tokens": true}));
    bench.salesforce("options", json!({"refresh_token": "refresh-0"}));
    bench.write("token", "refresh-0\n");
    bench.edit("syncline.yaml", "client_credentials:", "refresh_token:\n        token: ${file:token}");
    let mut tokens = vec!["refresh-0".to_owned()];
    bench.import();
    for _ in 0..3 {
        tokens.push(fs::read_to_string(bench.path("token")).unwrap());
        bench.salesforce("expire_sessions", json!({}));
        bench.sync();
    }
    tokens.dedup();
    assert_eq!(tokens.len(), 4, "each process leaves a new token");
    agree(&bench);
}

#[test]
fn places_that_expire_and_queries_that_take_too_long_are_read_in_another_way() {
    let bench = Bench::new(400);
    bench.salesforce("switches", json!({"short_pages": true}));
    for story in [Story::new(bench, IMPORT), Story::new(Bench::new(60), SYNC)] {
        let lost = refusal("INVALID_QUERY_LOCATOR", "invalid query locator");
        let slow = refusal("QUERY_TIMEOUT", "Your query request was running for too long.");
        let all = [
            json!([{"path": "/services/data/*/query/*", "from": 2, "times": 2, "status": 400, "body": lost}]),
            json!([{"path": "/services/data/*/query/*", "times": 1, "status": 400, "body": slow}]),
            json!([{"path": "/services/data/*/query*", "contains": "FROM%20Subscription__c", "times": 2, "status": 400, "body": slow}]),
            json!([{"path": "/services/data/*/query*", "contains": "COUNT%28%29", "times": 2, "status": 400, "body": slow}]),
        ];
        for rules in all {
            let ran = story.faults("read in another way", rules.clone());
            assert!(matches!(ran.code, Some(0 | 3)), "{rules}: {ran:?}");
        }
    }
}
