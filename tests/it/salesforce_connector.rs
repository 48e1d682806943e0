//! The Salesforce connector against a scripted org on loopback: paging, jobs, cuts, sessions and refusals.

#![expect(clippy::unwrap_used, reason = "the helpers of a test may panic as its body may")]

use std::collections::BTreeSet;
use std::io::Write as _;
use std::sync::atomic::{AtomicUsize, Ordering};
use std::sync::{Arc, Mutex};
use std::time::Duration;

use futures_util::StreamExt as _;
use syncline::connect::salesforce::limits::ApiBudget;
use syncline::connect::salesforce::settings::{API_VERSION, AuthSettings, SalesforceSettings};
use syncline::connect::salesforce::source::{SalesforceConnection, SalesforceSource};
use syncline::model::ids::SalesforceId;
use syncline::model::object::FieldKind;
use syncline::model::record::Column;
use syncline::model::watermark::Cursor;
use syncline::ports::fault::Fault;
use syncline::ports::source::{DeletedRows, Extract, Source as _, Window};
use syncline::sys::cancel::Cancel;
use syncline::sys::clock::Clock;
use syncline::sys::rng::Rng;
use tokio::io::{AsyncReadExt as _, AsyncWriteExt as _};
use tokio::net::TcpListener;

const BASE: &str = "/services/data/v67.0";

/// A request as the org saw it.
#[derive(Clone, Debug)]
struct Seen {
    method: String,
    target: String,
    bearer: String,
    body: String,
}

impl Seen {
    fn is(&self, method: &str, start: &str) -> bool {
        self.method == method && self.target.starts_with(start)
    }

    /// The decoded query text of a REST query.
    fn soql(&self) -> String {
        let url = url::Url::parse(&format!("http://x{}", self.target)).unwrap();
        url.query_pairs().find(|(name, _)| name == "q").map(|(_, text)| text.into_owned()).unwrap_or_default()
    }
}

/// An answer; `cut` sends only so many bytes of the body.
struct Answer {
    status: u16,
    headers: Vec<(&'static str, String)>,
    body: Vec<u8>,
    cut: Option<usize>,
}

fn answer(status: u16, body: impl Into<Vec<u8>>) -> Answer {
    Answer { status, headers: Vec::new(), body: body.into(), cut: None }
}

fn refuse(status: u16, code: &str, message: &str) -> Answer {
    answer(status, serde_json::json!([{"errorCode": code, "message": message}]).to_string())
}

fn not_expected(seen: &Seen) -> Answer {
    refuse(418, "NOT_EXPECTED", &format!("{} {}", seen.method, seen.target))
}

/// An org that answers by a script.
struct Org {
    url: url::Url,
    seen: Arc<Mutex<Vec<Seen>>>,
}

impl Org {
    async fn start(script: impl Fn(&Seen) -> Answer + Send + Sync + 'static) -> Self {
        let listener = TcpListener::bind("127.0.0.1:0").await.unwrap();
        let url: url::Url = format!("http://{}", listener.local_addr().unwrap()).parse().unwrap();
        let seen = Arc::new(Mutex::new(Vec::new()));
        let (script, log) = (Arc::new(script), Arc::clone(&seen));
        tokio::spawn(async move {
            while let Ok((mut stream, _)) = listener.accept().await {
                let (script, log) = (Arc::clone(&script), Arc::clone(&log));
                tokio::spawn(async move {
                    if let Some(request) = read_request(&mut stream).await {
                        log.lock().unwrap().push(request.clone());
                        let answer = script(&request);
                        let mut head = format!(
                            "HTTP/1.1 {} X\r\nDate: Thu, 01 Oct 2026 09:00:00 GMT\r\nContent-Length: {}\r\nConnection: close\r\n",
                            answer.status,
                            answer.body.len()
                        );
                        for (name, value) in &answer.headers {
                            head.push_str(&format!("{name}: {value}\r\n"));
                        }
                        let body = &answer.body[..answer.cut.unwrap_or(answer.body.len())];
                        let _ = stream.write_all(&[head.as_bytes(), b"\r\n", body].concat()).await;
                        let _ = stream.shutdown().await;
                    }
                });
            }
        });
        Self { url, seen }
    }

    fn seen(&self) -> Vec<Seen> {
        self.seen.lock().unwrap().clone()
    }

    fn count(&self, method: &str, start: &str) -> usize {
        self.seen().iter().filter(|seen| seen.is(method, start)).count()
    }

    fn connect(&self, auth: AuthSettings) -> SalesforceConnection {
        self.connect_with(auth, ApiBudget::All)
    }

    fn connect_with(&self, auth: AuthSettings, api_budget: ApiBudget) -> SalesforceConnection {
        let settings =
            SalesforceSettings { login_url: self.url.clone(), auth, api_version: API_VERSION.into(), api_budget };
        let clock = Clock::manual("2026-10-01T09:00:00Z".parse().unwrap());
        let moving = clock.clone();
        // The clock runs by itself, so that every wait ends at once.
        tokio::spawn(async move {
            loop {
                tokio::time::sleep(Duration::from_millis(1)).await;
                moving.advance(Duration::from_millis(400));
            }
        });
        SalesforceConnection::new(settings, clock, Rng::seeded(1), Cancel::new()).unwrap()
    }

    fn source(&self) -> SalesforceSource {
        self.connect(AuthSettings::AccessToken { token: "token-1\n".into(), instance_url: self.url.clone() }).handle()
    }
}

async fn read_request(stream: &mut tokio::net::TcpStream) -> Option<Seen> {
    let mut bytes = Vec::new();
    let head = loop {
        let mut piece = vec![0; 65_536];
        let read = stream.read(&mut piece).await.ok().filter(|read| *read > 0)?;
        bytes.extend_from_slice(&piece[..read]);
        if let Some(at) = bytes.windows(4).position(|four| four == b"\r\n\r\n") {
            break at;
        }
    };
    let text = String::from_utf8(bytes[..head].to_vec()).ok()?;
    let header = |name: &str| {
        let line = text.lines().find(|line| line.to_ascii_lowercase().starts_with(name))?;
        Some(line.split_once(':')?.1.trim().to_owned())
    };
    let length: usize = header("content-length").and_then(|length| length.parse().ok()).unwrap_or(0);
    while bytes.len() < head + 4 + length {
        let mut piece = vec![0; 65_536];
        let read = stream.read(&mut piece).await.ok().filter(|read| *read > 0)?;
        bytes.extend_from_slice(&piece[..read]);
    }
    let mut words = text.split_whitespace();
    Some(Seen {
        method: words.next()?.to_owned(),
        target: words.next()?.to_owned(),
        bearer: header("authorization").unwrap_or_default(),
        body: String::from_utf8_lossy(&bytes[head + 4..]).into_owned(),
    })
}

fn id(number: usize) -> SalesforceId {
    format!("a01{number:012}").parse().unwrap()
}

fn query() -> Extract {
    Extract {
        object: "Subscription__c".into(),
        columns: [Column { path: "Name".into(), kind: FieldKind::String }].into(),
        condition: None,
        window: None,
        cursor_field: Some("SystemModstamp".into()),
        deleted: DeletedRows::Exclude,
        ids: None,
        expected: Some(100),
    }
}

fn big() -> Extract {
    Extract { expected: Some(50_000), ..query() }
}

fn json_page(rows: std::ops::Range<usize>, total: usize, next: Option<&str>) -> String {
    let records: Vec<_> = rows
        .map(|row| {
            serde_json::json!({"attributes": {"type": "Subscription__c"}, "Id": id(row), "Name": format!("S-{row}"),
                "SystemModstamp": "2026-10-01T09:00:00.000+0000"})
        })
        .collect();
    let mut page = serde_json::json!({"totalSize": total, "done": next.is_none(), "records": records});
    if let Some(next) = next {
        page["nextRecordsUrl"] = next.into();
    }
    page.to_string()
}

fn csv_page(rows: std::ops::Range<usize>) -> Vec<u8> {
    let mut page = "\"Id\",\"Name\",\"SystemModstamp\"\n".to_owned();
    for row in rows {
        page.push_str(&format!("\"{}\",\"S-{row}\n\"\"q\"\"\",\"2026-10-01T09:00:00.000Z\"\n", id(row)));
    }
    page.into_bytes()
}

fn job(state: &str, rows: usize) -> Answer {
    let body = serde_json::json!({"id": "750A", "object": "Subscription__c", "state": state, "apiVersion": 67.0,
        "numberRecordsProcessed": rows, "errorMessage": "broken"});
    answer(200, body.to_string())
}

fn results(rows: std::ops::Range<usize>, locator: &str) -> Answer {
    let count = rows.len().to_string();
    let headers = vec![("Sforce-Locator", locator.to_owned()), ("Sforce-NumberOfRecords", count)];
    Answer { headers, ..answer(200, csv_page(rows)) }
}

/// Reads to the end: the ids in the order they came, all cursors, and the fault that ended it.
async fn read(
    source: &SalesforceSource,
    query: &Extract,
    resume: Option<Cursor>,
) -> (Vec<SalesforceId>, Vec<Cursor>, Option<Fault>) {
    let (mut ids, mut cursors) = (Vec::new(), Vec::new());
    let mut chunks = source.extract(query.clone(), resume);
    while let Some(chunk) = chunks.next().await {
        match chunk {
            Ok(chunk) => {
                assert!(chunk.records.len() <= 500);
                ids.extend(chunk.records.iter().map(|record| record.id));
                cursors.extend(chunk.cursor);
            }
            Err(fault) => {
                assert!(chunks.next().await.is_none(), "a stream ends after its first error");
                return (ids, cursors, Some(fault));
            }
        }
    }
    (ids, cursors, None)
}

#[track_caller]
fn assert_rows(ids: &[SalesforceId], rows: std::ops::Range<usize>) {
    assert_eq!(ids, rows.map(id).collect::<Vec<_>>());
}

#[track_caller]
fn code(fault: Option<Fault>) -> (&'static str, &'static str) {
    match fault {
        Some(Fault::Retry(error)) => ("retry", error.code),
        Some(Fault::Halt(error)) => ("halt", error.code),
        Some(Fault::Budget { error, .. }) => ("budget", error.code),
        Some(Fault::PlaceLost(error)) => ("place lost", error.code),
        other => panic!("{other:?}"),
    }
}

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
    let (ids, cursors, fault) = read(&org.source(), &big(), None).await;
    assert!(fault.is_none(), "cut at {cut}: {fault:?}");
    assert_rows(&ids, 0..1300);
    assert_eq!(cursors.len(), 2);
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
    let (ids, _, fault) = read(&source, &big(), Some(cursors[0].clone())).await;
    assert!(fault.is_none(), "{fault:?}");
    assert_rows(&ids, 600..1300);
    gone.store(1, Ordering::SeqCst);
    let (ids, _, fault) = read(&source, &big(), Some(cursors[0].clone())).await;
    assert_eq!((ids.len(), code(fault)), (0, ("place lost", "SL4109")));
    let (ids, _, fault) = read(&source, &big(), Some(cursors[1].clone())).await;
    assert!(ids.is_empty() && fault.is_none(), "all was read: the job is not needed any more");
}

#[tokio::test]
async fn a_result_that_is_not_whole_is_never_taken_for_one() {
    let org = Org::start(|seen| match seen {
        _ if seen.is("POST", &format!("{BASE}/jobs/query")) => job("UploadComplete", 0),
        _ if seen.target.contains("/results") => Answer { headers: Vec::new(), ..results(0..10, "null") },
        _ => job("JobComplete", 11),
    })
    .await;
    let (ids, cursors, fault) = read(&org.source(), &big(), None).await;
    assert_eq!((ids.len(), cursors.len(), code(fault)), (10, 0, ("retry", "SL4110")));
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
        private_key: include_str!("../../src/connect/salesforce/testdata/jwt_pkcs8.pem").into(),
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
