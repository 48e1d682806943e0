//! A scripted Salesforce org on loopback, for answers that no emulator gives; and reads against it.

#![expect(clippy::unwrap_used, reason = "the helpers of a test may panic as its body may")]

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
use syncline::ports::source::{DeletedRows, Extract, Source as _};
use syncline::sys::cancel::Cancel;
use syncline::sys::clock::Clock;
use syncline::sys::network::Network;
use syncline::sys::rng::Rng;
use tokio::io::{AsyncReadExt as _, AsyncWriteExt as _};
use tokio::net::TcpListener;

pub(crate) const BASE: &str = "/services/data/v67.0";

/// A request as the org saw it.
#[derive(Clone, Debug)]
pub(crate) struct Seen {
    pub(crate) method: String,
    pub(crate) target: String,
    pub(crate) bearer: String,
    pub(crate) body: String,
}

impl Seen {
    pub(crate) fn is(&self, method: &str, start: &str) -> bool {
        self.method == method && self.target.starts_with(start)
    }

    /// The decoded query text of a REST query.
    pub(crate) fn soql(&self) -> String {
        let url = url::Url::parse(&format!("http://x{}", self.target)).unwrap();
        url.query_pairs().find(|(name, _)| name == "q").map(|(_, text)| text.into_owned()).unwrap_or_default()
    }
}

/// An answer; `cut` sends only so many bytes of the body.
pub(crate) struct Answer {
    pub(crate) status: u16,
    pub(crate) headers: Vec<(&'static str, String)>,
    pub(crate) body: Vec<u8>,
    pub(crate) cut: Option<usize>,
}

pub(crate) fn answer(status: u16, body: impl Into<Vec<u8>>) -> Answer {
    Answer { status, headers: Vec::new(), body: body.into(), cut: None }
}

pub(crate) fn refuse(status: u16, code: &str, message: &str) -> Answer {
    answer(status, serde_json::json!([{"errorCode": code, "message": message}]).to_string())
}

pub(crate) fn not_expected(seen: &Seen) -> Answer {
    refuse(418, "NOT_EXPECTED", &format!("{} {}", seen.method, seen.target))
}

/// An org that answers by a script.
pub(crate) struct Org {
    pub(crate) url: url::Url,
    pub(crate) seen: Arc<Mutex<Vec<Seen>>>,
}

impl Org {
    pub(crate) async fn start(script: impl Fn(&Seen) -> Answer + Send + Sync + 'static) -> Self {
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

    pub(crate) fn seen(&self) -> Vec<Seen> {
        self.seen.lock().unwrap().clone()
    }

    pub(crate) fn count(&self, method: &str, start: &str) -> usize {
        self.seen().iter().filter(|seen| seen.is(method, start)).count()
    }

    pub(crate) fn connect(&self, auth: AuthSettings) -> SalesforceConnection {
        self.connect_with(auth, ApiBudget::All)
    }

    pub(crate) fn connect_with(&self, auth: AuthSettings, api_budget: ApiBudget) -> SalesforceConnection {
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
        SalesforceConnection::new(settings, &Network::Real, clock, Rng::seeded(1), Cancel::new()).unwrap()
    }

    pub(crate) fn source(&self) -> SalesforceSource {
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

pub(crate) fn id(number: usize) -> SalesforceId {
    format!("a01{number:012}").parse().unwrap()
}

pub(crate) fn query() -> Extract {
    Extract {
        object: "Subscription__c".into(),
        columns: [Column { path: "Name".into(), kind: FieldKind::String }].into(),
        condition: None,
        window: None,
        parents: None,
        cursor_field: Some("SystemModstamp".into()),
        deleted: DeletedRows::Exclude,
        ids: None,
        expected: Some(100),
    }
}

pub(crate) fn big() -> Extract {
    Extract { expected: Some(50_000), ..query() }
}

pub(crate) fn json_page(rows: std::ops::Range<usize>, total: usize, next: Option<&str>) -> String {
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

pub(crate) fn csv_page(rows: std::ops::Range<usize>) -> Vec<u8> {
    let mut page = "\"Id\",\"Name\",\"SystemModstamp\"\n".to_owned();
    for row in rows {
        page.push_str(&format!("\"{}\",\"S-{row}\n\"\"q\"\"\",\"2026-10-01T09:00:00.000Z\"\n", id(row)));
    }
    page.into_bytes()
}

pub(crate) fn job(state: &str, rows: usize) -> Answer {
    let body = serde_json::json!({"id": "750A", "object": "Subscription__c", "state": state, "apiVersion": 67.0,
        "numberRecordsProcessed": rows, "errorMessage": "broken"});
    answer(200, body.to_string())
}

pub(crate) fn results(rows: std::ops::Range<usize>, locator: &str) -> Answer {
    let count = rows.len().to_string();
    let headers = vec![("Sforce-Locator", locator.to_owned()), ("Sforce-NumberOfRecords", count)];
    Answer { headers, ..answer(200, csv_page(rows)) }
}

/// Reads to the end: the ids in the order they came, all cursors, and the fault that ended it.
pub(crate) async fn read(
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
pub(crate) fn assert_rows(ids: &[SalesforceId], rows: std::ops::Range<usize>) {
    assert_eq!(ids, rows.map(id).collect::<Vec<_>>());
}

#[track_caller]
pub(crate) fn code(fault: Option<Fault>) -> (&'static str, &'static str) {
    match fault {
        Some(Fault::Retry(error)) => ("retry", error.code),
        Some(Fault::Halt(error)) => ("halt", error.code),
        Some(Fault::Budget { error, .. }) => ("budget", error.code),
        Some(Fault::PlaceLost(error)) => ("place lost", error.code),
        other => panic!("{other:?}"),
    }
}
