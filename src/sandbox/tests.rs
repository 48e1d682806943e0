//! The sandbox around two small services, over real sockets.

use std::io::Read;
use std::path::Path;
use std::sync::Mutex;

use tokio::io::{AsyncReadExt, AsyncWriteExt};
use tokio::net::TcpStream;

use super::*;
use crate::sandbox::http::{Reply, Request};

/// Keeps the bodies that were posted; `GET /echo…` shows the request, `GET /large` a large body.
struct Notebook {
    name: &'static str,
    notes: Mutex<Vec<String>>,
}

impl Notebook {
    fn new(name: &'static str) -> Arc<Self> {
        Arc::new(Self { name, notes: Mutex::default() })
    }
}

impl Service for Notebook {
    fn name(&self) -> &'static str {
        self.name
    }

    fn handle(&self, request: &Request, now: jiff::Timestamp) -> Reply {
        match (request.method.as_str(), request.path.first().map(String::as_str)) {
            ("POST", _) => {
                let mut notes = self.notes.lock().unwrap();
                notes.push(String::from_utf8_lossy(&request.body).into_owned());
                Reply::new(201, "application/json", json!({"notes": notes.len()}).to_string())
            }
            (_, Some("echo")) => {
                let seen =
                    json!({"path": request.path, "query": request.query, "target": request.target.len(), "now": now});
                Reply::new(200, "application/json", seen.to_string())
            }
            (_, Some("large")) => Reply::new(200, "text/plain", "0123456789".repeat(1000)),
            _ => Reply::empty(204),
        }
    }

    fn control(&self, action: &str, arguments: &Value, _: jiff::Timestamp) -> Result<Value, String> {
        match action {
            "seed" => Ok(Value::Null),
            "note" => {
                self.notes.lock().unwrap().push(arguments.to_string());
                Ok(json!({"noted": true}))
            }
            _ => Err(format!("unknown action `{action}`; expected `note`")),
        }
    }

    fn dump(&self) -> Value {
        json!(*self.notes.lock().unwrap())
    }

    fn restore(&self, dump: &Value) -> Result<(), String> {
        *self.notes.lock().unwrap() = serde_json::from_value(dump.clone()).map_err(|error| error.to_string())?;
        Ok(())
    }
}

async fn running(options: SandboxOptions) -> Sandbox {
    start_with(options, Notebook::new("salesforce"), Notebook::new("hubspot")).await.unwrap()
}

fn plain() -> SandboxOptions {
    SandboxOptions { records: 1, ..SandboxOptions::default() }
}

/// An answer as it came over the wire.
struct Seen {
    head: String,
    body: Vec<u8>,
}

impl Seen {
    fn status(&self) -> u16 {
        self.head.split(' ').nth(1).and_then(|status| status.parse().ok()).unwrap_or(0)
    }

    fn header(&self, name: &str) -> Option<&str> {
        let lines = self.head.lines().filter_map(|line| line.split_once(": "));
        lines.filter(|(line, _)| line.eq_ignore_ascii_case(name)).map(|(_, value)| value).next()
    }

    fn json(&self) -> Value {
        serde_json::from_slice(&self.body).unwrap()
    }
}

/// One request on a connection of its own; reads until the server ends the connection, at most five seconds.
async fn ask(url: &str, method: &str, target: &str, headers: &str, body: &str) -> Seen {
    send(url, method, target, &format!("host: localhost\r\n{headers}"), body).await
}

/// The same, with all headers but those of the connection and the body.
async fn send(url: &str, method: &str, target: &str, headers: &str, body: &str) -> Seen {
    let mut stream = TcpStream::connect(url.trim_start_matches("http://")).await.unwrap();
    let length = body.len();
    let text =
        format!("{method} {target} HTTP/1.1\r\nconnection: close\r\n{headers}content-length: {length}\r\n\r\n{body}");
    stream.write_all(text.as_bytes()).await.unwrap();
    let mut answer = Vec::new();
    // A reset connection is an end as well.
    let _ = tokio::time::timeout(Duration::from_secs(5), stream.read_to_end(&mut answer)).await.unwrap();
    let split = answer.windows(4).position(|window| window == b"\r\n\r\n").unwrap_or(answer.len());
    let body = answer.get(split + 4..).unwrap_or_default().to_vec();
    Seen { head: String::from_utf8_lossy(&answer[..split]).into_owned(), body }
}

async fn get(url: &str, target: &str) -> Seen {
    ask(url, "GET", target, "", "").await
}

async fn post(url: &str, target: &str, body: &Value) -> Seen {
    ask(url, "POST", target, "", &body.to_string()).await
}

async fn with_fault(fault: Value) -> (Sandbox, Seen) {
    let sandbox = running(plain()).await;
    sandbox.add_faults(&FaultPlan::from_json(&json!({"rules": [fault]})).unwrap()).unwrap();
    let seen = post(&sandbox.hubspot_url, "/notes", &json!({"a": "some text"})).await;
    (sandbox, seen)
}

fn notes(sandbox: &Sandbox) -> usize {
    sandbox.dump()["hubspot"].as_array().unwrap().len()
}

#[tokio::test]
async fn pages_of_other_sites_neither_ask_nor_control() {
    let sandbox = running(plain()).await;
    let note = |headers: &'static str| send(&sandbox.control_url, "POST", "/hubspot/note", headers, "{}");
    for headers in [
        "",
        "host: evil.example\r\n",
        "host: localhost\r\nhost: evil.example\r\n",
        "host: localhost\r\norigin: https://evil.example\r\n",
        "host: localhost\r\nsec-fetch-site: cross-site\r\n",
    ] {
        assert_eq!(note(headers).await.status(), 403, "{headers}");
    }
    assert_eq!(notes(&sandbox), 0);
    assert_eq!(note("host: [::1]:8090\r\norigin: http://[::1]:8090\r\n").await.status(), 200);
    assert_eq!(notes(&sandbox), 1);
    // The services themselves are asked by a name of this computer as well, and tell nobody else of a request.
    for url in [&sandbox.hubspot_url, &sandbox.salesforce_url] {
        let seen = send(url, "GET", "/echo", "host: evil.example\r\n", "").await;
        assert!(seen.status() == 403 && String::from_utf8_lossy(&seen.body).contains("`evil.example`"));
    }
    assert!(sandbox.requests().is_empty());
}

#[tokio::test]
async fn requests_reach_the_service_decoded() {
    let sandbox = running(plain()).await;
    let seen = get(&sandbox.hubspot_url, "/echo/a%2Fb+c/%C3%A9?q=a+b%2B&empty&x=%26").await.json();
    assert_eq!(seen["path"], json!(["echo", "a/b+c", "é"]));
    assert_eq!(seen["query"], json!([["q", "a b+"], ["empty", ""], ["x", "&"]]));
    let long = format!("/echo?q={}", "x".repeat(40_000));
    assert_eq!(get(&sandbox.salesforce_url, &long).await.json()["target"], long.len());
}

#[tokio::test]
async fn large_answers_are_compressed_for_those_who_take_it() {
    let sandbox = running(plain()).await;
    let seen = ask(&sandbox.hubspot_url, "GET", "/large", "accept-encoding: deflate, gzip\r\n", "").await;
    assert_eq!(seen.header("content-encoding"), Some("gzip"));
    let mut text = String::new();
    flate2::read::GzDecoder::new(seen.body.as_slice()).read_to_string(&mut text).unwrap();
    assert_eq!(text.len(), 10_000);
    for headers in ["", "accept-encoding: gzip;q=0\r\n", "accept-encoding: br\r\n"] {
        let seen = ask(&sandbox.hubspot_url, "GET", "/large", headers, "").await;
        assert_eq!((seen.header("content-encoding"), seen.body.len()), (None, 10_000), "{headers}");
    }
    let seen = ask(&sandbox.hubspot_url, "GET", "/echo", "accept-encoding: gzip\r\n", "").await;
    assert_eq!(seen.header("content-encoding"), None, "small answers stay as they are");
}

#[tokio::test]
async fn the_date_header_follows_the_sandbox_clock() {
    let clock = crate::sys::clock::Clock::manual("2026-10-01T09:00:00Z".parse().unwrap());
    let sandbox = running(SandboxOptions { clock, ..plain() }).await;
    assert_eq!(get(&sandbox.salesforce_url, "/echo").await.header("date"), Some("Thu, 01 Oct 2026 09:00:00 GMT"));
    let moved = post(&sandbox.control_url, "/clock", &json!({"advance": "15d"})).await.json();
    assert_eq!(moved["now"], "2026-10-16T09:00:00Z");
    let seen = get(&sandbox.salesforce_url, "/echo").await;
    assert_eq!(seen.header("date"), Some("Fri, 16 Oct 2026 09:00:00 GMT"));
    assert_eq!(seen.json()["now"], "2026-10-16T09:00:00Z");
    assert_eq!(post(&sandbox.control_url, "/clock", &json!({"forward": "15d"})).await.status(), 400);
}

#[tokio::test]
async fn a_fault_before_the_effect_keeps_the_service_out() {
    let (sandbox, seen) = with_fault(json!({"status": 503})).await;
    assert_eq!((seen.status(), notes(&sandbox)), (503, 0));
    let (sandbox, seen) = with_fault(json!({"fault": "reset_before"})).await;
    assert_eq!((seen.head.as_str(), notes(&sandbox)), ("", 0));
}

#[tokio::test]
async fn a_fault_after_the_effect_leaves_it_done() {
    let (sandbox, seen) = with_fault(json!({"status": 503, "when": "after"})).await;
    assert_eq!((seen.status(), notes(&sandbox)), (503, 1));
    let (sandbox, seen) = with_fault(json!({"fault": "reset_after"})).await;
    assert_eq!((seen.head.as_str(), notes(&sandbox)), ("", 1));
    let (sandbox, seen) = with_fault(json!({"fault": "cut_json"})).await;
    assert_eq!((seen.status(), notes(&sandbox)), (201, 1));
    assert_eq!(seen.body, b"{\"not", "half of the answer, as a whole body");
    assert_eq!(seen.header("content-length"), Some("5"));
    let (_, seen) = with_fault(json!({"fault": "empty_body"})).await;
    assert_eq!((seen.status(), seen.body.len(), seen.header("content-length")), (201, 0, Some("0")));
}

#[tokio::test]
async fn a_cut_connection_had_announced_more() {
    let (_, seen) = with_fault(json!({"fault": "cut"})).await;
    assert_eq!(seen.header("content-length"), Some("11"));
    assert_eq!(seen.body, b"{\"not");
}

#[tokio::test]
async fn a_drip_comes_whole_in_the_end() {
    let (_, seen) = with_fault(json!({"fault": "drip", "delay": "2ms"})).await;
    assert_eq!(seen.body, b"{\"notes\":1}");
}

#[tokio::test]
async fn an_answer_that_never_comes_does_not_hold_up_the_stop() {
    let sandbox = running(plain()).await;
    sandbox.add_faults(&FaultPlan::from_json(&json!({"rules": [{"fault": "never"}]})).unwrap()).unwrap();
    let url = sandbox.hubspot_url.clone();
    let waiting = tokio::spawn(async move { get(&url, "/echo").await });
    while sandbox.requests().is_empty() {
        tokio::task::yield_now().await;
    }
    assert_eq!(sandbox.requests()[0].delivery, "never");
    tokio::time::timeout(Duration::from_secs(5), sandbox.stop()).await.unwrap().unwrap();
    assert_eq!(waiting.await.unwrap().head, "");
}

#[tokio::test]
async fn one_connection_serves_many_requests_and_many_connections_at_once() {
    let sandbox = running(SandboxOptions { latency: Duration::from_millis(30), ..plain() }).await;
    let begin = std::time::Instant::now();
    let asked = (0..50).map(|_| get(&sandbox.hubspot_url, "/echo"));
    let seen = futures_util::future::join_all(asked).await;
    assert!(seen.iter().all(|seen| seen.status() == 200));
    let elapsed = begin.elapsed();
    assert!(elapsed >= Duration::from_millis(30) && elapsed < Duration::from_millis(1500), "{elapsed:?}");
    let mut stream = TcpStream::connect(sandbox.hubspot_url.trim_start_matches("http://")).await.unwrap();
    for _ in 0..3 {
        stream.write_all(b"GET /nothing HTTP/1.1\r\nhost: localhost\r\n\r\n").await.unwrap();
        let mut buffer = [0; 1024];
        let read = stream.read(&mut buffer).await.unwrap();
        assert!(buffer[..read].starts_with(b"HTTP/1.1 204"));
    }
}

#[tokio::test]
async fn the_control_api_answers_over_http() {
    let sandbox = running(plain()).await;
    let url = sandbox.control_url.clone();
    assert_eq!(get(&url, "/").await.json()["actions"].as_array().unwrap().len(), 15);
    assert_eq!(get(&url, "/nothing").await.status(), 404);
    assert_eq!(post(&url, "/hubspot/note", &json!({"a": 1})).await.json(), json!({"noted": true}));
    let refused = post(&url, "/hubspot/burn", &json!({})).await;
    assert_eq!((refused.status(), refused.json()["error"].as_str().unwrap().contains("`note`")), (400, true));
    let dump = get(&url, "/dump").await.json();
    assert_eq!(dump["hubspot"], json!(["{\"a\":1}"]));
    post(&sandbox.hubspot_url, "/notes", &json!({})).await;
    assert_eq!(notes(&sandbox), 2);
    assert_eq!(post(&url, "/restore", &dump).await.status(), 200);
    assert_eq!(notes(&sandbox), 1);
    let broken = json!({"format": 1, "salesforce": ["x"], "hubspot": 5});
    assert_eq!(post(&url, "/restore", &broken).await.status(), 400);
    assert_eq!((notes(&sandbox), sandbox.dump()["salesforce"].clone()), (1, json!([])), "all or nothing");
    let found = get(&url, "/requests?service=hubspot&path=/no*").await.json();
    assert_eq!(found["requests"][0]["body"], "{}");
    assert_eq!(get(&url, "/requests?paht=/no*").await.status(), 400);
    assert_eq!(get(&url, "/requests/counts").await.json()["totals"]["hubspot"], 1);
    ask(&url, "DELETE", "/requests", "", "").await;
    assert!(sandbox.requests().is_empty());
}

#[tokio::test]
async fn faults_come_and_go_over_http() {
    let sandbox = running(plain()).await;
    let plan = json!({"rules": [{"service": "hubspot", "path": "/no*", "to": 1, "fault": "rate_limit"}]});
    assert_eq!(post(&sandbox.control_url, "/faults", &plan).await.status(), 200);
    assert_eq!(post(&sandbox.control_url, "/faults", &json!({"rules": [{"stauts": 1}]})).await.status(), 400);
    assert_eq!(get(&sandbox.hubspot_url, "/notes").await.status(), 429);
    assert_eq!(get(&sandbox.hubspot_url, "/notes").await.status(), 204);
    assert_eq!(sandbox.requests()[0].fault.as_deref(), Some("rate_limit"));
    let listed = get(&sandbox.control_url, "/faults").await.json();
    assert_eq!(listed["rules"][0], json!({"rule": plan["rules"][0], "matched": 2, "struck": 1}));
    ask(&sandbox.control_url, "DELETE", "/faults", "", "").await;
    assert_eq!(sandbox.faults()["rules"], json!([]));
}

async fn with_data(path: &Path) -> Result<Sandbox, SandboxError> {
    let options = SandboxOptions { data: Some(path.to_owned()), ..plain() };
    start_with(options, Notebook::new("salesforce"), Notebook::new("hubspot")).await
}

#[tokio::test]
async fn a_data_file_keeps_the_state_over_a_restart() {
    let folder = tempfile::tempdir().unwrap();
    let path = folder.path().join("world.json");
    let sandbox = with_data(&path).await.unwrap();
    post(&sandbox.hubspot_url, "/notes", &json!({"kept": true})).await;
    sandbox.advance(Duration::from_secs(3600));
    sandbox.stop().await.unwrap();
    let again = with_data(&path).await.unwrap();
    assert_eq!(again.dump()["hubspot"], json!(["{\"kept\":true}"]));
    assert_eq!(again.dump()["clock_offset_ms"], 3_600_000);
    again.stop().await.unwrap();
    let files: Vec<_> = std::fs::read_dir(folder.path()).unwrap().map(|file| file.unwrap().file_name()).collect();
    assert_eq!(files, ["world.json"], "nothing is left beside it");
    std::fs::write(&path, "{\"format\": 1, \"salesf").unwrap();
    let error = with_data(&path).await.err().unwrap();
    assert!(matches!(error, SandboxError::DataContent { .. }), "{error}");
    assert_eq!(std::fs::read_to_string(&path).unwrap(), "{\"format\": 1, \"salesf", "a broken file is left alone");
}

#[tokio::test]
async fn only_loopback_is_served() {
    let open = SandboxOptions { hubspot: "0.0.0.0:0".parse().unwrap(), ..plain() };
    let refused = start_with(open, Notebook::new("salesforce"), Notebook::new("hubspot")).await;
    assert!(matches!(refused, Err(SandboxError::NotLoopback { service: "hubspot", .. })));
    let sandbox = running(plain()).await;
    let taken =
        SandboxOptions { control: sandbox.control_url.trim_start_matches("http://").parse().unwrap(), ..plain() };
    let refused = start_with(taken, Notebook::new("salesforce"), Notebook::new("hubspot")).await;
    assert!(matches!(refused, Err(SandboxError::Listen { service: "control", .. })));
}

#[tokio::test]
async fn the_project_file_names_the_running_sandbox() {
    let sandbox = running(plain()).await;
    let project: Value = serde_yaml::from_str(&sandbox.project_yaml()).unwrap();
    assert_eq!(project["connections"]["salesforce"]["login_url"], sandbox.salesforce_url);
    assert_eq!(project["connections"]["hubspot"]["base_url"], sandbox.hubspot_url);
    assert_eq!(project["connections"]["hubspot"]["portal_id"], PORTAL_ID);
}
