//! The Salesforce connector against a scripted org on loopback: paging, jobs, cuts, sessions and limits.

use std::collections::BTreeSet;
use std::io::Write as _;
use std::sync::atomic::{AtomicUsize, Ordering};
use std::sync::{Arc, Mutex};

use syncline::connect::salesforce::limits::ApiBudget;
use syncline::connect::salesforce::settings::AuthSettings;
use syncline::ports::source::{Extract, Source as _, Window};

use crate::support::org::*;

#[tokio::test]
async fn a_rest_read_follows_its_pages_and_outlives_a_lost_locator() {
    let org = Org::start(|seen| match seen {
        _ if seen.target.ends_with("/query/01g-600") => {
            answer(200, json_page(600..1200, 1500, Some(&format!("{BASE}/query/01g-1200"))))
        }
        _ if seen.target.ends_with("/query/01g-1200") => refuse(400, "INVALID_QUERY_LOCATOR", "invalid query locator"),
        _ if seen.soql().contains("Id > ") => {
            assert!(seen.soql().contains(&format!("Id > '{}'", id(1199))), "{}", seen.soql());
            answer(200, json_page(1200..1500, 300, None))
        }
        _ if seen.is("GET", &format!("{BASE}/query?q=")) => {
            answer(200, json_page(0..600, 1500, Some(&format!("{BASE}/query/01g-600"))))
        }
        _ => not_expected(seen),
    })
    .await;
    let source = org.source();
    let (ids, cursors, fault) = read(&source, &query(), None).await;
    assert!(fault.is_none(), "{fault:?}");
    assert_rows(&ids, 0..1500);
    assert_eq!((cursors.len(), source.calls()), (3, 4));
    assert!(org.seen().iter().all(|seen| seen.bearer == "Bearer token-1"));

    let (ids, _, fault) = read(&source, &query(), Some(cursors[1].clone())).await;
    assert!(fault.is_none());
    assert_rows(&ids, 1200..1500);
    let other = Extract { condition: Some("Name != null".into()), ..query() };
    let (ids, _, fault) = read(&source, &other, Some(cursors[1].clone())).await;
    assert_eq!((ids.len(), code(fault)), (0, ("place lost", "SL4109")));
}

#[tokio::test]
async fn a_window_is_ordered_by_time_and_resumes_inside_one_second() {
    let org =
        Org::start(|seen| answer(200, json_page(0..1, 1, None).replace("S-0", &seen.soql().replace('\'', "")))).await;
    let window = Window { from: "2026-10-01T08:00:00Z".parse().unwrap(), until: None };
    let query = Extract { window: Some(window), expected: None, ..query() };
    let source = org.source();
    let (ids, cursors, _) = read(&source, &query, None).await;
    assert_eq!((ids.len(), source.calls()), (1, 1), "a cycle costs one call");
    read(&source, &query, Some(cursors[0].clone())).await;
    let texts: Vec<String> = org.seen().iter().map(Seen::soql).collect();
    assert!(texts[0].ends_with("ORDER BY SystemModstamp ASC, Id ASC"), "{}", texts[0]);
    let after = format!(
        "((SystemModstamp = 2026-10-01T09:00:00.000Z AND Id > '{}') OR SystemModstamp > 2026-10-01T09:00:00.000Z)",
        id(0)
    );
    assert!(texts[1].contains(&after), "{}", texts[1]);
}

#[tokio::test]
async fn passing_trouble_is_outlived_and_lasting_trouble_ends() {
    let step = AtomicUsize::new(0);
    let org = Org::start(move |_| match step.fetch_add(1, Ordering::SeqCst) {
        0 => answer(503, "<html>"),
        1 => Answer { headers: vec![("Retry-After", "1".into())], ..answer(420, "") },
        2 => answer(406, ""),
        3 => Answer { cut: Some(40), ..answer(200, json_page(0..3, 3, None)) },
        4 => refuse(403, "REQUEST_LIMIT_EXCEEDED", "ConcurrentPerOrgLongTxn Limit exceeded."),
        5 => answer(200, json_page(0..3, 3, None)),
        6 => refuse(400, "INVALID_FIELD", "\nSELECT\n ^\nNo such column 'Name' on entity 'Subscription__c'."),
        _ => answer(502, ""),
    })
    .await;
    let source = org.source();
    let (ids, _, fault) = read(&source, &query(), None).await;
    assert!(fault.is_none(), "{fault:?}");
    assert_rows(&ids, 0..3);
    let (_, _, fault) = read(&source, &query(), None).await;
    assert_eq!(code(fault), ("halt", "SL4108"));
    let (_, _, fault) = read(&source, &query(), None).await;
    assert_eq!(code(fault), ("retry", "SL4103"));
}

#[tokio::test]
async fn a_link_to_another_host_gets_no_token() {
    let other = Org::start(|_| answer(200, json_page(0..1, 1, None))).await;
    let next = format!("{}services/data/v67.0/query/01g-1", other.url);
    let org = Org::start(move |_| answer(200, json_page(0..1, 2, Some(&next)))).await;
    let (ids, _, fault) = read(&org.source(), &query(), None).await;
    assert_eq!((ids.len(), code(fault), other.seen().len()), (1, ("halt", "SL4110"), 0));
}

#[tokio::test]
async fn a_query_too_long_for_a_request_line_travels_in_a_body() {
    let org = Org::start(|seen| {
        if seen.is("POST", &format!("{BASE}/composite")) && seen.body.contains("SELECT%20Id") {
            let page = json_page(0..2, 2, None);
            return answer(200, format!(r#"{{"compositeResponse":[{{"body":{page},"httpStatusCode":200}}]}}"#));
        }
        not_expected(seen)
    })
    .await;
    let query = Extract {
        ids: Some((0..500).map(id).collect()),
        condition: Some("A__c = 'xxxx' AND ".repeat(150) + "B__c = 1"),
        ..query()
    };
    let (ids, _, fault) = read(&org.source(), &query, None).await;
    assert!(fault.is_none(), "{fault:?}");
    assert_rows(&ids, 0..2);
}

/// A job of 1,300 rows in two pages; the second is cut after `cut` bytes once, without or with its connection.
async fn cut_once(cut: usize, quietly: bool) {
    let cuts = AtomicUsize::new(0);
    let polls = AtomicUsize::new(0);
    let org = Org::start(move |seen| match seen {
        _ if seen.is("POST", &format!("{BASE}/jobs/query")) => job("UploadComplete", 0),
        _ if seen.is("DELETE", &format!("{BASE}/jobs/query/750A")) => answer(204, ""),
        _ if seen.target.ends_with("/results?maxRecords=10000") => results(0..600, "MTAw"),
        _ if seen.target.ends_with("&locator=MTAw") => {
            let mut answer = results(600..1300, "null");
            if cuts.fetch_add(1, Ordering::SeqCst) == 0 {
                if quietly {
                    answer.body.truncate(cut);
                } else {
                    answer.cut = Some(cut);
                }
            }
            answer
        }
        _ if seen.is("GET", &format!("{BASE}/jobs/query/750A")) => {
            job(if polls.fetch_add(1, Ordering::SeqCst) == 0 { "InProgress" } else { "JobComplete" }, 1300)
        }
        _ => not_expected(seen),
    })
    .await;
    let source = org.source();
    let (ids, cursors, fault) = read(&source, &big(), None).await;
    assert!(fault.is_none(), "cut at {cut}: {fault:?}");
    assert_rows(&ids, 0..1300);
    assert_eq!(cursors.len(), 3, "the job itself, and two pages");
    assert_eq!(org.count("DELETE", BASE), 0, "the last rows may still be on their way");
    source.release(&cursors[2]).await;
    assert_eq!(org.count("DELETE", BASE), 1);
}

#[tokio::test]
async fn a_cut_page_of_a_job_is_read_again_without_repeating_rows() {
    let length = csv_page(600..1300).len();
    let line = csv_page(600..601).len() - csv_page(0..0).len();
    // Every byte of the header, of one row, and of the last row; and the middle of a chunk.
    let header = csv_page(0..0).len();
    let cuts: BTreeSet<usize> =
        (0..header + line).step_by(3).chain(length - line..length).chain([length / 2, 40_000]).collect();
    for cut in cuts {
        cut_once(cut, cut % 2 == 0).await;
    }
}

#[tokio::test]
async fn a_job_resumes_at_its_locator_and_reads_packed_pages() {
    let gone = Arc::new(AtomicUsize::new(0));
    let switch = Arc::clone(&gone);
    let org = Org::start(move |seen| match seen {
        _ if switch.load(Ordering::SeqCst) == 1 => refuse(404, "NOT_FOUND", "The requested resource does not exist"),
        _ if seen.is("POST", &format!("{BASE}/jobs/query")) => job("UploadComplete", 0),
        _ if seen.is("DELETE", &format!("{BASE}/jobs/query/750A")) => answer(204, ""),
        _ if seen.target.ends_with("/results?maxRecords=10000") => results(0..600, "MTAw"),
        _ if seen.target.ends_with("&locator=MTAw") => {
            let mut packed = flate2::write::GzEncoder::new(Vec::new(), flate2::Compression::fast());
            packed.write_all(&csv_page(600..1300)).unwrap();
            // A proxy has dropped the headers that tell the end; the job's count proves it.
            Answer { headers: vec![("Content-Encoding", "gzip".into())], ..answer(200, packed.finish().unwrap()) }
        }
        _ if seen.is("GET", &format!("{BASE}/jobs/query/750A")) => job("JobComplete", 1300),
        _ => not_expected(seen),
    })
    .await;
    let source = org.source();
    let (ids, cursors, fault) = read(&source, &big(), None).await;
    assert!(fault.is_none(), "{fault:?}");
    assert_rows(&ids, 0..1300);
    let (ids, _, fault) = read(&source, &big(), Some(cursors[1].clone())).await;
    assert!(fault.is_none(), "{fault:?}");
    assert_rows(&ids, 600..1300);
    let (ids, _, fault) = read(&source, &big(), Some(cursors[0].clone())).await;
    assert!(fault.is_none(), "{fault:?}");
    assert_rows(&ids, 0..1300);
    assert_eq!(org.count("POST", BASE), 1, "the job of a run that died before its first page serves the next one");
    gone.store(1, Ordering::SeqCst);
    let (ids, _, fault) = read(&source, &big(), Some(cursors[1].clone())).await;
    assert_eq!((ids.len(), code(fault)), (0, ("place lost", "SL4109")));
    let (ids, _, fault) = read(&source, &big(), Some(cursors[2].clone())).await;
    assert!(ids.is_empty() && fault.is_none(), "all was read: the job is not needed any more");
}

#[tokio::test]
async fn failed_jobs_and_refused_shapes_turn_to_rest() {
    for (status, error, jobs) in [(0, "", 2), (400, "INVALIDENTITY", 1), (400, "API_ERROR", 1)] {
        let org = Org::start(move |seen| match seen {
            _ if seen.is("POST", &format!("{BASE}/jobs/query")) && status > 0 => refuse(status, error, "not supported"),
            _ if seen.is("POST", &format!("{BASE}/jobs/query")) => job("UploadComplete", 0),
            _ if seen.is("GET", &format!("{BASE}/jobs/query/")) => job("Failed", 0),
            _ if seen.is("GET", &format!("{BASE}/query?q=")) => answer(200, json_page(0..5, 5, None)),
            _ => not_expected(seen),
        })
        .await;
        let (ids, _, fault) = read(&org.source(), &big(), None).await;
        assert!(fault.is_none(), "{fault:?}");
        assert_rows(&ids, 0..5);
        assert_eq!(org.count("POST", &format!("{BASE}/jobs/query")), jobs);
    }
}

#[tokio::test]
async fn a_large_window_and_a_slow_query_turn_to_bulk() {
    for slow in [false, true] {
        let org = Org::start(move |seen| match seen {
            _ if seen.is("GET", &format!("{BASE}/query?q=")) && slow => {
                refuse(400, "QUERY_TIMEOUT", "Your query request was running for too long.")
            }
            _ if seen.is("GET", &format!("{BASE}/query?q=")) => answer(200, json_page(0..5, 10_001, Some("/next"))),
            _ if seen.is("POST", &format!("{BASE}/jobs/query")) => {
                assert!(!seen.body.contains("ORDER BY") && seen.body.contains("SystemModstamp >= "), "{}", seen.body);
                job("UploadComplete", 0)
            }
            _ if seen.is("DELETE", BASE) => answer(204, ""),
            _ if seen.target.contains("/results") => results(0..700, "null"),
            _ => job("JobComplete", 700),
        })
        .await;
        let window = Window { from: "2026-10-01T08:00:00Z".parse().unwrap(), until: None };
        let query = Extract { window: Some(window), expected: None, ..query() };
        let (ids, _, fault) = read(&org.source(), &query, None).await;
        assert!(fault.is_none(), "{fault:?}");
        assert_rows(&ids, 0..700);
    }
}

#[tokio::test]
async fn a_job_deleted_by_somebody_is_made_anew() {
    let jobs = AtomicUsize::new(0);
    let org = Org::start(move |seen| match seen {
        _ if seen.is("POST", &format!("{BASE}/jobs/query")) => {
            jobs.fetch_add(1, Ordering::SeqCst);
            job("UploadComplete", 0)
        }
        _ if seen.is("DELETE", BASE) => answer(204, ""),
        _ if seen.target.ends_with("&locator=MTAw") && jobs.load(Ordering::SeqCst) == 1 => {
            refuse(404, "NOT_FOUND", "gone")
        }
        _ if seen.target.ends_with("&locator=MTAw") => results(600..700, "null"),
        _ if seen.target.contains("/results") => results(0..600, "MTAw"),
        _ => job("JobComplete", 700),
    })
    .await;
    let (ids, _, fault) = read(&org.source(), &big(), None).await;
    assert!(fault.is_none(), "{fault:?}");
    assert_rows(&ids[600..], 0..700);
}

#[tokio::test]
async fn limits_of_bulk_and_of_the_day_end_as_budget() {
    let limit = "Max bulk v2 query jobs (10000) per 24 hrs has been reached";
    let org = Org::start(move |seen| match seen {
        _ if seen.is("POST", &format!("{BASE}/jobs/query")) => refuse(400, "LIMIT_EXCEEDED", limit),
        _ if seen.is("GET", &format!("{BASE}/query?q=")) => answer(200, json_page(0..5, 5, None)),
        _ => not_expected(seen),
    })
    .await;
    let (ids, _, fault) = read(&org.source(), &big(), None).await;
    assert!(fault.is_none() && ids.len() == 5, "{fault:?}");
    let huge = Extract { expected: Some(500_000), ..query() };
    let (_, _, fault) = read(&org.source(), &huge, None).await;
    assert_eq!(code(fault), ("budget", "SL4113"));

    let org = Org::start(|_| refuse(403, "REQUEST_LIMIT_EXCEEDED", "TotalRequests Limit exceeded.")).await;
    let source = org.source();
    let (_, _, fault) = read(&source, &query(), None).await;
    assert_eq!((code(fault), source.calls()), (("budget", "SL4104"), 1));

    let org = Org::start(|_| answer(200, json_page(0..1, 1, None))).await;
    let auth = AuthSettings::AccessToken { token: "t".into(), instance_url: org.url.clone() };
    let connection = org.connect_with(auth, ApiBudget::Calls(1));
    let (ids, _, _) = read(&connection.handle(), &query(), None).await;
    let (_, _, fault) = read(&connection.handle(), &query(), None).await;
    assert_eq!((ids.len(), code(fault), org.seen().len()), (1, ("budget", "SL4105"), 1));
}

#[tokio::test]
async fn one_refresh_serves_all_waiters_and_a_rotated_token_is_kept() {
    let folder = tempfile::tempdir().unwrap();
    let file = folder.path().join("refresh");
    std::fs::write(&file, "refresh-0\n").unwrap();
    let logins = Arc::new(AtomicUsize::new(0));
    let counter = Arc::clone(&logins);
    let url = Arc::new(Mutex::new(String::new()));
    let instance = Arc::clone(&url);
    let org = Org::start(move |seen| {
        if seen.is("POST", "/services/oauth2/token") {
            let number = counter.load(Ordering::SeqCst);
            if !seen.body.contains(&format!("refresh_token=refresh-{number}")) {
                return answer(400, r#"{"error":"invalid_grant","error_description":"expired access/refresh token"}"#);
            }
            let next = counter.fetch_add(1, Ordering::SeqCst) + 1;
            let body = serde_json::json!({"access_token": format!("access-{next}"), "refresh_token": format!("refresh-{next}"),
                "instance_url": *instance.lock().unwrap(), "issued_at": "1793836800000"});
            return answer(200, body.to_string());
        }
        // The first token is over as soon as it is used.
        if seen.bearer == "Bearer access-1" {
            return refuse(401, "INVALID_SESSION_ID", "Session expired or invalid");
        }
        answer(200, r#"{"name":"X__c","queryable":true,"fields":[]}"#)
    })
    .await;
    *url.lock().unwrap() = org.url.to_string();
    let auth = AuthSettings::RefreshToken {
        client_id: "id".into(),
        client_secret: None,
        token: "refresh-0\n".into(),
        file: Some(file.clone()),
    };
    let source = org.connect(auth).handle();
    let calls: Vec<_> = (0..20).map(|_| source.describe("X__c")).collect();
    for result in futures_util::future::join_all(calls).await {
        assert_eq!(result.unwrap().name, "X__c");
    }
    assert_eq!(logins.load(Ordering::SeqCst), 2);
    assert_eq!(std::fs::read_to_string(&file).unwrap(), "refresh-2");
}

#[tokio::test]
async fn sessions_that_no_token_cures_end() {
    let lasting = "This session is not valid for use with the REST API";
    let org = Org::start(move |_| refuse(401, "INVALID_SESSION_ID", lasting)).await;
    let fault = org.source().describe("X__c").await.unwrap_err();
    assert_eq!((code(Some(fault)), org.seen().len()), (("halt", "SL4102"), 1));

    let org = Org::start(|_| refuse(401, "INVALID_SESSION_ID", "Session expired or invalid")).await;
    let fault = org.source().describe("X__c").await.unwrap_err();
    assert_eq!(code(Some(fault)), ("halt", "SL4102"));
}

#[tokio::test]
async fn logins_try_audiences_and_name_what_is_wrong() {
    let step = AtomicUsize::new(0);
    let org = Org::start(move |seen| match seen.target.as_str() {
        "/services/oauth2/token" => match step.fetch_add(1, Ordering::SeqCst) {
            0 => answer(400, r#"{"error":"invalid_grant","error_description":"Audience validation failed"}"#),
            1 => answer(
                400,
                r#"{"error":"invalid_grant","error_description":"Token request is already being processed"}"#,
            ),
            // Without an instance the login host is it.
            2 => answer(200, r#"{"access_token":"access-1"}"#),
            _ => answer(400, r#"{"error":"invalid_client_id","error_description":"client identifier invalid"}"#),
        },
        _ if seen.bearer == "Bearer access-1" => refuse(401, "INVALID_SESSION_ID", "Session expired or invalid"),
        _ => not_expected(seen),
    })
    .await;
    let auth = AuthSettings::Jwt {
        client_id: "id".into(),
        username: "ann@acme.com".into(),
        private_key: include_str!("../../src/sys/testdata/jwt_pkcs8.pem").into(),
        audience: None,
    };
    let connection = org.connect(auth);
    let fault = connection.handle().describe("X__c").await.unwrap_err();
    assert!(fault.to_string().contains("client identifier invalid"), "{fault}");
    assert_eq!((code(Some(fault)), org.count("POST", "/services/oauth2/token")), (("halt", "SL4101"), 4));
    // A refused login is not knocked at again at once.
    let before = org.seen().len();
    connection.handle().describe("X__c").await.unwrap_err();
    assert!(org.seen().len() <= before + 1);
}

#[tokio::test]
async fn describes_counts_and_the_time() {
    let org = Org::start(|seen| match seen.target.as_str() {
        "/services/data/v67.0/sobjects/Nope__c/describe" => {
            refuse(404, "NOT_FOUND", "The requested resource does not exist")
        }
        "/services/data/v67.0/sobjects/FeedComment/describe" => {
            answer(200, r#"{"name":"FeedComment","queryable":false}"#)
        }
        "/services/data/v67.0/" => answer(200, "{}"),
        _ if seen.soql() == "SELECT COUNT() FROM Subscription__c WHERE (A__c = 1)" => {
            answer(200, r#"{"totalSize":123,"done":true,"records":[]}"#)
        }
        _ => not_expected(seen),
    })
    .await;
    let source = org.source();
    assert_eq!(source.now().await.unwrap().to_string(), "2026-10-01T09:00:00Z");
    assert_eq!(code(source.describe("Nope__c").await.err()), ("halt", "SL4106"));
    assert_eq!(code(source.describe("FeedComment").await.err()), ("halt", "SL4112"));
    let counted = Extract { condition: Some("A__c = 1".into()), ..query() };
    assert_eq!(source.count(&counted).await.unwrap(), 123);
}
