//! The Salesforce connector and the answers that nobody has confirmed, or that come in several documented shapes.

use std::io::Write as _;
use std::sync::atomic::{AtomicUsize, Ordering};

use syncline::connect::salesforce::settings::AuthSettings;
use syncline::ports::source::{DeletedRows, Extract};

use crate::support::org::*;

#[tokio::test]
async fn a_result_that_is_not_whole_is_never_taken_for_one() {
    let org = Org::start(|seen| match seen {
        _ if seen.is("POST", &format!("{BASE}/jobs/query")) => job("UploadComplete", 0),
        _ if seen.target.contains("/results") => results(0..10, "null"),
        _ if seen.is("GET", &format!("{BASE}/query?q=")) => answer(200, json_page(0..11, 11, None)),
        _ => job("JobComplete", 11),
    })
    .await;
    let (ids, cursors, fault) = read(&org.source(), &big(), None).await;
    assert!(fault.is_none(), "{fault:?}");
    assert_rows(&ids[20..], 0..11);
    assert_eq!((cursors.len(), org.count("POST", BASE)), (3, 2), "two jobs, then a query that came whole");
}

/// Answers of a job whose second page comes as `spoiled` the first time.
async fn spoiled_once(spoiled: impl Fn(Answer) -> Answer + Send + Sync + 'static) {
    let pages = AtomicUsize::new(0);
    let org = Org::start(move |seen| match seen {
        _ if seen.target.ends_with("/results?maxRecords=10000") => results(0..600, "MTAw"),
        _ if seen.target.contains("/results") => {
            let page = results(600..1300, "null");
            if pages.fetch_add(1, Ordering::SeqCst) == 0 { spoiled(page) } else { page }
        }
        _ => job("JobComplete", 1300),
    })
    .await;
    let (ids, _, fault) = read(&org.source(), &big(), None).await;
    assert!(fault.is_none(), "{fault:?}");
    assert_rows(&ids, 0..1300);
    assert_eq!(org.count("POST", BASE), 1, "one job served");
}

#[tokio::test]
async fn pages_without_a_header_row_or_with_too_few_rows_are_read_again() {
    let lines = |answer: &Answer| String::from_utf8(answer.body.clone()).unwrap();
    spoiled_once(move |page| {
        let text = lines(&page);
        Answer { body: text.split_once('\n').unwrap().1.into(), ..page }
    })
    .await;
    // A whole row is missing at the end: only the count tells.
    spoiled_once(move |page| {
        let text = lines(&page);
        let last = text.rfind("\"a01").unwrap();
        Answer { body: text[..last].into(), ..page }
    })
    .await;
    spoiled_once(|page| Answer { body: Vec::new(), ..page }).await;
    spoiled_once(|page| Answer { body: b"<html>".to_vec(), ..page }).await;
    // Bytes that are no UTF-8 in the middle of a value.
    spoiled_once(|mut page| {
        let middle = page.body.windows(3).rposition(|three| three == b"S-9").unwrap();
        page.body[middle] = 0xc3;
        page
    })
    .await;
}

#[tokio::test]
async fn a_packed_page_may_be_cut_anywhere() {
    for cut in [0, 1, 9, 10, 11, 50, 400, 2_000] {
        for quietly in [false, true] {
            spoiled_once(move |page| {
                let mut packed = flate2::write::GzEncoder::new(Vec::new(), flate2::Compression::fast());
                packed.write_all(&page.body).unwrap();
                let mut body = packed.finish().unwrap();
                let headers = page.headers.into_iter().chain([("Content-Encoding", "gzip".to_owned())]).collect();
                assert!(body.len() > cut);
                if quietly {
                    body.truncate(cut);
                }
                Answer { body, headers, cut: (!quietly).then_some(cut), ..answer(200, "") }
            })
            .await;
        }
    }
}

#[tokio::test]
async fn each_page_has_its_own_order_of_columns() {
    let org = Org::start(|seen| match seen {
        _ if seen.target.ends_with("/results?maxRecords=10000") => results(0..600, "MTAw"),
        _ if seen.target.contains("/results") => {
            let line = |row| format!("2026-10-01T09:00:00.000Z,S-{row},{}\r\n", id(row));
            let body: String = (600..700).map(line).collect();
            Answer { body: format!("SystemModstamp,NAME,Id\r\n{body}").into(), ..results(600..700, "null") }
        }
        _ => job("JobComplete", 700),
    })
    .await;
    let (ids, _, fault) = read(&org.source(), &big(), None).await;
    assert!(fault.is_none(), "{fault:?}");
    assert_rows(&ids, 0..700);
}

#[tokio::test]
async fn a_result_whose_headers_are_dropped_on_the_way_is_read_by_rest() {
    let org = Org::start(|seen| match seen {
        _ if seen.target.contains("/results") => Answer { headers: Vec::new(), ..results(0..600, "MTAw") },
        _ if seen.is("GET", &format!("{BASE}/query?q=")) => answer(200, json_page(0..1300, 1300, None)),
        _ => job("JobComplete", 1300),
    })
    .await;
    let (ids, _, fault) = read(&org.source(), &big(), None).await;
    assert!(fault.is_none(), "{fault:?}");
    assert_rows(&ids[ids.len() - 1300..], 0..1300);
    assert_eq!(org.count("POST", BASE), 1, "another job would fare no better");
}

#[tokio::test]
async fn ids_of_fifteen_characters_are_widened_and_other_spellings_refused() {
    let ask = async |id: &str| {
        let page = json_page(0..1, 1, None).replace(self::id(0).as_str(), id);
        let org = Org::start(move |_| answer(200, page.clone())).await;
        read(&org.source(), &query(), None).await
    };
    let (ids, _, fault) = ask(&id(0).as_str()[..15]).await;
    assert!(fault.is_none(), "{fault:?}");
    assert_rows(&ids, 0..1);
    for wrong in ["a01000000000000XXX", "a0100000000000", "a01 00000000000AAA"] {
        let (ids, _, fault) = ask(wrong).await;
        assert_eq!((ids.len(), code(fault)), (0, ("retry", "SL4110")), "{wrong}");
    }
}

#[tokio::test]
async fn results_that_are_refused_lead_to_another_job() {
    for (status, code) in [(400, "INVALIDJOBSTATE"), (400, "INVALIDLOCATOR"), (409, "CONFLICT"), (404, "NOT_FOUND")] {
        let jobs = AtomicUsize::new(0);
        let org = Org::start(move |seen| match seen {
            _ if seen.is("POST", &format!("{BASE}/jobs/query")) => {
                jobs.fetch_add(1, Ordering::SeqCst);
                job("UploadComplete", 0)
            }
            _ if seen.target.contains("/results") && jobs.load(Ordering::SeqCst) == 1 => refuse(status, code, "no"),
            _ if seen.target.contains("/results") => results(0..700, "null"),
            _ => job("JobComplete", 700),
        })
        .await;
        let (ids, _, fault) = read(&org.source(), &big(), None).await;
        assert!(fault.is_none(), "{code}: {fault:?}");
        assert_rows(&ids, 0..700);
    }
}

#[tokio::test]
async fn a_job_that_never_ends_is_given_up_where_rest_can_do_the_work() {
    let org = Org::start(|seen| match seen {
        _ if seen.is("GET", &format!("{BASE}/query?q=")) => answer(200, json_page(0..5, 5, None)),
        _ if seen.method == "PATCH" => {
            assert_eq!(seen.body, r#"{"state":"Aborted"}"#);
            job("Aborted", 0)
        }
        _ => job("InProgress", 0),
    })
    .await;
    let (ids, _, fault) = read(&org.source(), &big(), None).await;
    assert!(fault.is_none(), "{fault:?}");
    assert_rows(&ids, 0..5);
    assert_eq!(org.count("PATCH", BASE), 2);
}

#[tokio::test]
async fn bulk_pages_in_every_form_that_salesforce_may_write() {
    let rows = |line: &str, quote: &str, stamp: &str| {
        let cell = |text: &str| format!("{quote}{text}{quote}");
        let line_of = |cells: [&str; 3]| cells.map(cell).join(",") + line;
        line_of(["NAME", "systemmodstamp", "ID"]) + &line_of(["S-0", stamp, id(0).as_str()])
    };
    let (zulu, offset, colon) =
        ("2026-10-01T09:00:00.000Z", "2026-10-01T09:00:00.000+0000", "2026-10-01T09:00:00+00:00");
    let pages = [
        rows("\n", "\"", zulu),
        rows("\r\n", "", offset),
        format!("\u{feff}{}", rows("\r\n", "\"", colon)),
        rows("\n", "", zulu) + "\n",
    ];
    for page in pages {
        for names in [["Sforce-Locator", "Sforce-NumberOfRecords"], ["SFORCE-LOCATOR", "sforce-numberofrecords"]] {
            let page = page.clone();
            let org = Org::start(move |seen| match seen {
                _ if seen.target.contains("/results") => {
                    let headers = vec![(names[0], "null".to_owned()), (names[1], " 1 ".to_owned())];
                    Answer { headers, ..answer(200, page.clone()) }
                }
                _ => job("JobComplete", 1),
            })
            .await;
            let (ids, _, fault) = read(&org.source(), &big(), None).await;
            assert!(fault.is_none(), "{fault:?}");
            assert_rows(&ids, 0..1);
        }
    }
}

#[tokio::test]
async fn an_empty_result_has_a_header_or_nothing() {
    for (page, locator) in [("", "null"), ("\"Id\",\"Name\",\"SystemModstamp\"\n", "null"), ("", "")] {
        let org = Org::start(move |seen| match seen {
            _ if seen.target.contains("/results") => {
                Answer { headers: vec![("Sforce-Locator", locator.to_owned())], ..answer(200, page) }
            }
            _ => job("JobComplete", 0),
        })
        .await;
        let (ids, cursors, fault) = read(&org.source(), &big(), None).await;
        assert!(fault.is_none(), "{page:?}: {fault:?}");
        assert_eq!((ids.len(), cursors.len()), (0, 2));
    }
}

#[tokio::test]
async fn a_next_page_that_is_not_found_is_read_by_a_new_query() {
    let org = Org::start(|seen| match seen {
        _ if seen.target.ends_with("/query/01g-600") => {
            refuse(404, "NOT_FOUND", "The requested resource does not exist")
        }
        _ if seen.soql().contains("Id > ") => answer(200, json_page(600..700, 100, None)),
        _ => answer(200, json_page(0..600, 700, Some(&format!("{BASE}/query/01g-600")))),
    })
    .await;
    let (ids, _, fault) = read(&org.source(), &query(), None).await;
    assert!(fault.is_none(), "{fault:?}");
    assert_rows(&ids, 0..700);
}

#[tokio::test]
async fn a_query_that_gets_too_slow_half_way_turns_to_bulk() {
    let org = Org::start(|seen| match seen {
        _ if seen.target.ends_with("/query/01g-600") => refuse(400, "QUERY_TIMEOUT", "too long"),
        _ if seen.is("GET", &format!("{BASE}/query?q=")) => {
            answer(200, json_page(0..600, 700, Some(&format!("{BASE}/query/01g-600"))))
        }
        _ if seen.target.contains("/results") => results(0..700, "null"),
        _ => job("JobComplete", 700),
    })
    .await;
    let (ids, _, fault) = read(&org.source(), &query(), None).await;
    assert!(fault.is_none(), "{fault:?}");
    assert_rows(&ids[600..], 0..700);
}

#[tokio::test]
async fn a_long_query_goes_by_bulk_where_an_org_has_no_composite_resource() {
    let org = Org::start(|seen| match seen {
        _ if seen.is("POST", &format!("{BASE}/composite")) => {
            refuse(404, "NOT_FOUND", "The requested resource does not exist")
        }
        _ if seen.target.contains("/results") => results(0..700, "null"),
        _ if seen.target.contains("/jobs/query") => job("JobComplete", 700),
        _ => not_expected(seen),
    })
    .await;
    let query = Extract { condition: Some("A__c = 'xxxx' AND ".repeat(800) + "B__c = 1"), ..query() };
    let (ids, _, fault) = read(&org.source(), &query, None).await;
    assert!(fault.is_none(), "{fault:?}");
    assert_rows(&ids, 0..700);
}

#[tokio::test]
async fn refusals_that_were_cut_or_came_twice_are_outlived() {
    let step = AtomicUsize::new(0);
    let cut = |status: u16, body: &str| Answer { cut: Some(30), ..answer(status, body) };
    let org = Org::start(move |seen| match (step.fetch_add(1, Ordering::SeqCst), seen.target.as_str()) {
        (_, "/services/oauth2/token") => answer(200, r#"{"access_token":"access","token_type":null}"#),
        (1 | 3, _) => refuse(401, "INVALID_SESSION_ID", "Session expired or invalid"),
        (5, _) => answer(401, "<html>"),
        (7, _) => cut(403, r#"[{"message":"The REST API is not enabled","errorCode":"API_DISABLED_FOR_ORG"}]"#),
        (8, _) => answer(400, "<html>proxy</html>"),
        (9, _) => Answer { headers: vec![("Location", "https://elsewhere.invalid/".into())], ..answer(302, "") },
        _ => answer(200, json_page(0..3, 3, None)),
    })
    .await;
    let auth = AuthSettings::ClientCredentials { client_id: "id".into(), client_secret: "secret".into() };
    let (ids, _, fault) = read(&org.connect(auth).handle(), &query(), None).await;
    assert!(fault.is_none(), "{fault:?}");
    assert_rows(&ids, 0..3);
}

#[tokio::test]
async fn a_refresh_token_that_another_process_has_rotated_is_taken_from_its_file() {
    let folder = tempfile::tempdir().unwrap();
    let file = folder.path().join("refresh");
    std::fs::write(&file, "refresh-2\n").unwrap();
    let org = Org::start(|seen| match seen.target.as_str() {
        "/services/oauth2/token" if seen.body.contains("refresh_token=refresh-2") => {
            answer(200, r#"{"access_token":"access","refresh_token":"refresh-3"}"#)
        }
        "/services/oauth2/token" => {
            answer(400, r#"{"error":"invalid_grant","error_description":"expired access/refresh token"}"#)
        }
        _ => answer(200, json_page(0..3, 3, None)),
    })
    .await;
    let auth = AuthSettings::RefreshToken {
        client_id: "id".into(),
        client_secret: Some("secret".into()),
        token: "refresh-1".into(),
        file: Some(file.clone()),
    };
    let (ids, _, fault) = read(&org.connect(auth).handle(), &query(), None).await;
    assert!(fault.is_none(), "{fault:?}");
    assert_rows(&ids, 0..3);
    assert_eq!(std::fs::read_to_string(&file).unwrap(), "refresh-3");
}

#[tokio::test]
async fn an_assertion_that_is_refused_without_a_clear_reason_is_tried_with_the_other_audiences() {
    let step = AtomicUsize::new(0);
    let org = Org::start(move |seen| match seen.target.as_str() {
        "/services/oauth2/token" if step.fetch_add(1, Ordering::SeqCst) < 2 => {
            answer(400, r#"{"error":"invalid_grant","error_description":"invalid assertion"}"#)
        }
        "/services/oauth2/token" => answer(200, r#"{"access_token":"access"}"#),
        _ => answer(200, json_page(0..3, 3, None)),
    })
    .await;
    let auth = AuthSettings::Jwt {
        client_id: "id".into(),
        username: "ann@acme.com".into(),
        private_key: include_str!("../../src/sys/testdata/jwt_pkcs8.pem").into(),
        audience: None,
    };
    let (ids, _, fault) = read(&org.connect(auth).handle(), &query(), None).await;
    assert!(fault.is_none(), "{fault:?}");
    assert_rows(&ids, 0..3);
}

#[tokio::test]
async fn a_result_that_breaks_off_is_read_to_its_end_by_a_new_query() {
    let org = Org::start(|seen| match seen {
        _ if seen.soql().contains("Id > ") && seen.soql().contains(id(9).as_str()) => {
            answer(200, json_page(10..25, 15, None))
        }
        // It says that it is done, and has less than it says.
        _ => answer(200, json_page(0..10, 25, None)),
    })
    .await;
    let (ids, _, fault) = read(&org.source(), &query(), None).await;
    assert!(fault.is_none(), "{fault:?}");
    assert_rows(&ids, 0..25);

    // Rows that were deleted meanwhile are missing rightly.
    let org = Org::start(|seen| match seen {
        _ if seen.soql().contains("Id > ") => answer(200, json_page(0..0, 0, None)),
        _ => answer(200, json_page(0..10, 12, None)),
    })
    .await;
    let (ids, _, fault) = read(&org.source(), &query(), None).await;
    assert!(fault.is_none(), "{fault:?}");
    assert_rows(&ids, 0..10);

    let org = Org::start(|_| answer(200, json_page(0..0, 12, None))).await;
    let (ids, _, fault) = read(&org.source(), &query(), None).await;
    assert_eq!((ids.len(), code(fault)), (0, ("retry", "SL4110")), "never taken for an empty result");
}

#[tokio::test]
async fn deleted_rows_in_an_ordinary_read_are_left_out() {
    let org = Org::start(|seen| {
        assert!(seen.target.contains("/query?") && seen.soql().contains(", IsDeleted FROM"), "{}", seen.soql());
        let page = json_page(0..3, 3, None).replace(r#""Name""#, r#""IsDeleted":false,"Name""#);
        answer(200, page.replacen("false", "true", 1))
    })
    .await;
    let query = Extract { deleted: DeletedRows::LeaveOut, ..query() };
    let (ids, cursors, fault) = read(&org.source(), &query, None).await;
    assert!(fault.is_none(), "{fault:?}");
    assert_rows(&ids, 1..3);
    assert_eq!(cursors.len(), 1);
}
