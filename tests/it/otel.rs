//! Traces: a run, its stages and its requests, as a collector is sent them; and that nobody waits for a collector.

use std::collections::{BTreeMap, BTreeSet};
use std::net::{TcpListener, TcpStream};
use std::sync::{Arc, Mutex};
use std::time::{Duration, Instant};

use serde_json::{Value, json};

use crate::support::receivers::{Received, answered};
use crate::support::{Bench, Ran, ended};

const OBJECT: &str = "Subscription__c";
const TOKEN: &str = "a-collector-token";

/// A collector that keeps the spans that it is sent.
struct Collector {
    url: String,
    kept: Arc<Mutex<Vec<Span>>>,
}

#[derive(Debug, Clone)]
struct Span {
    /// The header that it came with.
    authorization: Option<String>,
    resource: BTreeMap<String, Value>,
    trace: String,
    id: String,
    parent: String,
    name: String,
    client: bool,
    begin: u64,
    end: u64,
    attributes: BTreeMap<String, Value>,
    failed: bool,
}

impl Collector {
    fn start() -> Self {
        let listener = TcpListener::bind("127.0.0.1:0").unwrap();
        let url = format!("http://{}", listener.local_addr().unwrap());
        let collector = Self { url, kept: Arc::default() };
        let kept = Arc::clone(&collector.kept);
        std::thread::spawn(move || {
            while let Ok((stream, _)) = listener.accept() {
                kept.lock().unwrap().extend(taken(stream).unwrap_or_default());
            }
        });
        collector
    }

    /// What it was sent since the last time.
    fn spans(&self) -> Vec<Span> {
        std::mem::take(&mut *self.kept.lock().unwrap())
    }
}

/// The spans of one request, which is answered.
fn taken(stream: TcpStream) -> Option<Vec<Span>> {
    let Received { line, mut headers, body } = answered(stream, 200)?;
    assert_eq!(line, "POST /v1/traces HTTP/1.1");
    assert_eq!(headers["content-type"], "application/x-protobuf");
    let authorization = headers.remove("authorization");
    Some(spans(&body).into_iter().map(|span| Span { authorization: authorization.clone(), ..span }).collect())
}

/// The fields of a protobuf message: numbers of any width, and everything else as bytes.
enum Content<'a> {
    Number(u64),
    Bytes(&'a [u8]),
}

fn fields(mut rest: &[u8]) -> Vec<(u64, Content<'_>)> {
    let varint = |rest: &mut &[u8]| {
        let (mut number, mut shift) = (0, 0);
        loop {
            let byte = rest[0];
            *rest = &rest[1..];
            number |= u64::from(byte & 127) << shift;
            shift += 7;
            if byte < 128 {
                return number;
            }
        }
    };
    let mut found = Vec::new();
    while !rest.is_empty() {
        let key = varint(&mut rest);
        let width = match key & 7 {
            0 => 0,
            1 => 8,
            2 => varint(&mut rest) as usize,
            5 => 4,
            kind => panic!("wire type {kind}"),
        };
        let (content, after) = rest.split_at(width);
        rest = after;
        let fixed = || content.iter().rev().fold(0, |number, byte| number << 8 | u64::from(*byte));
        let content = match key & 7 {
            0 => Content::Number(varint(&mut rest)),
            2 => Content::Bytes(content),
            _ => Content::Number(fixed()),
        };
        found.push((key >> 3, content));
    }
    found
}

/// All messages of a field.
fn all(message: &[u8], number: u64) -> Vec<&[u8]> {
    let part = |(found, content)| match content {
        Content::Bytes(bytes) if found == number => Some(bytes),
        _ => None,
    };
    fields(message).into_iter().filter_map(part).collect()
}

fn text(message: &[u8], number: u64) -> String {
    String::from_utf8(all(message, number).concat()).unwrap()
}

fn hex(message: &[u8], number: u64) -> String {
    all(message, number).concat().iter().map(|byte| format!("{byte:02x}")).collect()
}

fn number(message: &[u8], number: u64) -> Option<u64> {
    fields(message).into_iter().find_map(|(found, content)| match content {
        Content::Number(value) if found == number => Some(value),
        _ => None,
    })
}

fn attributes(message: &[u8], of: u64) -> BTreeMap<String, Value> {
    let attribute = |pair: &&[u8]| {
        let value = all(pair, 2).concat();
        let value = number(&value, 3).map_or_else(|| Value::from(text(&value, 1)), Value::from);
        (text(pair, 1), value)
    };
    all(message, of).iter().map(attribute).collect()
}

/// The spans of an export request.
fn spans(body: &[u8]) -> Vec<Span> {
    let mut found = Vec::new();
    for of_resource in all(body, 1) {
        let resource = attributes(&all(of_resource, 1).concat(), 1);
        for span in all(of_resource, 2).into_iter().flat_map(|of_scope| all(of_scope, 2)) {
            found.push(Span {
                authorization: None,
                resource: resource.clone(),
                trace: hex(span, 1),
                id: hex(span, 2),
                parent: hex(span, 4),
                name: text(span, 5),
                client: number(span, 6) == Some(3),
                begin: number(span, 7).unwrap(),
                end: number(span, 8).unwrap(),
                attributes: attributes(span, 9),
                failed: all(span, 15).iter().any(|status| number(status, 3) == Some(2)),
            });
        }
    }
    found
}

/// Runs the program with variables.
fn run(bench: &Bench, arguments: &[&str], variables: &[(&str, &str)]) -> Ran {
    ended(bench.command(arguments).envs(variables.iter().copied()).output().unwrap())
}

/// The same with an import, of which some records of the sample world fail.
#[track_caller]
fn import(bench: &Bench, variables: &[(&str, &str)]) -> Ran {
    let ran = run(bench, &["import", "--yes", "--format", "json"], variables);
    assert!(matches!(ran.code, Some(0 | 3)), "{ran:?}");
    ran
}

#[test]
fn a_run_is_a_trace_of_stages_and_requests() {
    let (bench, collector) = (Bench::new(120), Collector::start());
    bench.faults(json!([{"service": "hubspot", "path": "/crm/objects/*/*/batch/upsert", "status": 503, "times": 1}]));
    let authorization = format!("authorization=Bearer%20{TOKEN}");
    let variables = [
        ("OTEL_EXPORTER_OTLP_ENDPOINT", collector.url.as_str()),
        ("OTEL_EXPORTER_OTLP_HEADERS", &authorization),
        ("OTEL_RESOURCE_ATTRIBUTES", "deployment.environment.name=test"),
    ];
    let imported = import(&bench, &variables);
    assert_eq!(imported.stderr.matches("traces").count(), 0, "{}", imported.stderr);
    let spans = collector.spans();
    for span in &spans {
        assert_eq!(span.authorization.as_deref(), Some("Bearer a-collector-token"));
        assert_eq!(span.resource["service.name"], "syncline");
        assert_eq!(span.resource["service.version"], env!("CARGO_PKG_VERSION"));
        assert_eq!(span.resource["deployment.environment.name"], "test");
        assert!(span.begin <= span.end, "{span:?}");
    }
    let known: BTreeMap<&str, &Span> = spans.iter().map(|span| (span.id.as_str(), span)).collect();
    assert_eq!(known.len(), spans.len(), "an id is there once");
    let listed = run(&bench, &["runs", "--format", "json"], &[]).code(0).json();
    let runs = listed["runs"].as_array().unwrap();
    let traces: BTreeSet<&str> = spans.iter().map(|span| span.trace.as_str()).collect();
    assert_eq!(traces, runs.iter().map(|run| run["trace_id"].as_str().unwrap()).collect());
    for run in runs {
        let of_run = |span: &&&Span| span.trace == run["trace_id"].as_str().unwrap();
        let of_run: Vec<&Span> = spans.iter().collect::<Vec<_>>().iter().filter(of_run).copied().collect();
        let roots: Vec<&&Span> = of_run.iter().filter(|span| span.parent.is_empty()).collect();
        assert_eq!(roots.len(), 1, "{roots:?}");
        let root = roots[0];
        assert_eq!(root.name, "syncline.run");
        assert_eq!(root.attributes["syncline.run.id"], run["run"]);
        assert_eq!(root.attributes["syncline.pipeline.name"], run["pipeline"]);
        assert_eq!(root.attributes["syncline.run.kind"], "import");
        assert_eq!(root.attributes["syncline.run.status"], run["status"]);
        assert_eq!(root.attributes["syncline.records"], run["read"]);
        let stages: BTreeSet<&str> =
            of_run.iter().filter(|span| !span.client && span.parent == root.id).map(|span| &*span.name).collect();
        let of_import = BTreeSet::from(["associate", "checkpoint", "extract", "load", "match", "transform"]);
        assert!(stages.is_superset(&of_import), "{stages:?}");
        for span in &of_run {
            if let Some(parent) = known.get(span.parent.as_str()) {
                assert_eq!(span.trace, parent.trace);
                // What is done after the end of a run is in its trace as well.
                let after = parent.id == root.id && span.name == "later associations";
                assert!(parent.begin <= span.begin && (after || span.end <= parent.end), "{parent:?} {span:?}");
                assert!(!parent.client, "a request has no parts: {span:?}");
            }
        }
        for (stage, records) in [("load", run["created"].as_u64()), ("extract", run["read"].as_u64())] {
            let counted = of_run.iter().filter(|span| span.name == stage);
            let counted = counted.filter_map(|span| span.attributes.get("syncline.records")?.as_u64()).sum();
            assert_eq!(Some::<u64>(counted), records, "{stage}");
        }
        let requests: Vec<&&Span> = of_run.iter().filter(|span| span.client).collect();
        let calls = run["hubspot_calls"].as_u64().unwrap() + run["salesforce_calls"].as_u64().unwrap();
        assert!(requests.len() as u64 <= calls && requests.len() > 3, "{} of {calls}", requests.len());
        for request in requests {
            let method = request.attributes["http.request.method"].as_str().unwrap();
            let template = request.attributes["url.template"].as_str().unwrap();
            assert_eq!(request.name, format!("{method} {template}"));
            assert_eq!(request.attributes["server.address"], "127.0.0.1");
            assert!(request.attributes["server.port"].as_u64().unwrap() > 1023);
            assert_eq!(request.attributes["url.scheme"], "http");
        }
    }
    let upserts: Vec<&Span> =
        spans.iter().filter(|span| span.name == "POST /crm/objects/2026-09/{}/batch/upsert").collect();
    assert!(upserts.iter().all(|span| known[span.parent.as_str()].name == "load"));
    let failed: Vec<&&Span> = upserts.iter().filter(|span| span.failed).collect();
    assert_eq!(failed.len(), 1, "{upserts:#?}");
    assert_eq!(failed[0].attributes["http.response.status_code"], 503);
    assert_eq!(failed[0].attributes["error.type"], "503");
    assert_eq!(failed[0].attributes.get("http.request.resend_count"), None);
    let again = upserts.iter().find(|span| span.attributes.contains_key("http.request.resend_count")).unwrap();
    assert_eq!((again.parent == failed[0].parent, &again.attributes["http.request.resend_count"]), (true, &json!(1)));
    assert_eq!((&again.attributes["http.response.status_code"], again.failed), (&json!(200), false));
    assert!(spans.iter().any(|span| span.name == "GET /services/data/v67.0/query"), "{:?}", names(&spans));
    // A person finds the trace of a run.
    let id = runs[0]["run"].as_str().unwrap();
    let told = run(&bench, &["runs", id], &[]).code(0).stdout;
    assert!(told.contains(&format!("  trace {}\n", runs[0]["trace_id"].as_str().unwrap())), "{told}");
}

fn names(spans: &[Span]) -> BTreeSet<&str> {
    spans.iter().map(|span| span.name.as_str()).collect()
}

#[test]
fn no_value_id_or_token_is_in_a_trace() {
    let (bench, collector) = (Bench::new(40), Collector::start());
    let variables = [("OTEL_EXPORTER_OTLP_TRACES_ENDPOINT", &*format!("{}/v1/traces", collector.url))];
    import(&bench, &variables);
    bench.salesforce(
        "update",
        json!({"object": OBJECT, "id": bench.rows(OBJECT).keys().next(), "values": {"Name": "A new name"}}),
    );
    run(&bench, &["sync", "--once"], &variables).code(0);
    let told: BTreeSet<String> = collector
        .spans()
        .into_iter()
        .flat_map(|span| {
            let values = span.attributes.into_iter().filter(|(key, _)| !key.starts_with("syncline.run.id"));
            values.map(|(_, value)| value.to_string()).chain([span.name])
        })
        .collect();
    let mut secret = BTreeSet::new();
    for (id, row) in bench.rows(OBJECT) {
        secret.insert(id[..15].to_owned());
        secret.extend(row["values"].as_object().unwrap().values().filter_map(Value::as_str).map(str::to_owned));
    }
    for (id, record) in bench.records("subscriptions") {
        secret.insert(id);
        secret.extend(record["properties"].as_object().unwrap().values().filter_map(Value::as_str).map(str::to_owned));
    }
    let project = std::fs::read_to_string(bench.path("syncline.yaml")).unwrap();
    for key in ["token: ", "client_secret: ", "client_id: "] {
        secret.extend(project.split(key).skip(1).filter_map(|rest| rest.split_whitespace().next()).map(str::to_owned));
    }
    secret.retain(|text| text.len() > 4);
    assert!(secret.len() > 100 && told.len() > 10, "{told:?}");
    let leaked: Vec<_> = secret.iter().filter(|text| told.iter().any(|told| told.contains(text.as_str()))).collect();
    assert!(leaked.is_empty(), "{leaked:?} in {told:#?}");
    assert!(told.iter().all(|told| !told.contains(['?', '@', '='])), "{told:#?}");
}

#[test]
fn nothing_is_sent_unless_the_variables_ask_for_it() {
    let (bench, collector) = (Bench::new(3), Collector::start());
    let endpoint = ("OTEL_EXPORTER_OTLP_ENDPOINT", collector.url.as_str());
    import(&bench, &[]);
    for variables in [
        &[endpoint, ("OTEL_SDK_DISABLED", "true")][..],
        &[endpoint, ("OTEL_TRACES_EXPORTER", "none")],
        &[endpoint, ("OTEL_TRACES_SAMPLER", "always_off")],
        &[endpoint, ("OTEL_TRACES_SAMPLER", "parentbased_traceidratio"), ("OTEL_TRACES_SAMPLER_ARG", "0")],
        &[("OTEL_EXPORTER_OTLP_ENDPOINT", "")],
    ] {
        let ran = run(&bench, &["sync", "--once"], variables).code(0);
        assert!(!ran.stderr.contains("traces"), "{}", ran.stderr);
        assert!(collector.spans().is_empty(), "{variables:?}");
    }
    run(&bench, &["sync", "--once"], &[endpoint, ("OTEL_SERVICE_NAME", "crm")]).code(0);
    let spans = collector.spans();
    assert!(!spans.is_empty() && spans.iter().all(|span| span.resource["service.name"] == "crm"));
    // A command without a run has no trace.
    run(&bench, &["plan"], &[endpoint]);
    assert!(collector.spans().is_empty());
}

#[test]
fn a_run_that_fails_is_told_with_its_code() {
    let (bench, collector) = (Bench::new(3), Collector::start());
    let variables = [("OTEL_EXPORTER_OTLP_ENDPOINT", collector.url.as_str())];
    import(&bench, &variables);
    collector.spans();
    let body = json!([{"errorCode": "API_DISABLED_FOR_ORG", "message": "The REST API is not enabled"}]);
    bench.faults(json!([{"service": "salesforce", "path": "/services/data/**/query*", "status": 403, "body": body}]));
    run(&bench, &["sync", "--once"], &variables).code(1);
    let spans = collector.spans();
    let root = spans.iter().find(|span| span.name == "syncline.run").unwrap();
    assert!(root.failed && root.attributes["syncline.run.status"] == "failed", "{root:?}");
    assert!(root.attributes["error.type"].as_str().unwrap().starts_with("SL"), "{root:?}");
    let refused = spans.iter().find(|span| span.client && span.failed).unwrap();
    assert_eq!(refused.attributes["http.response.status_code"], 403);
}

#[test]
fn a_collector_that_is_not_there_is_told_of_once_and_delays_nothing() {
    let bench = Bench::new(3);
    // A port that was free a moment ago.
    let nobody = TcpListener::bind("127.0.0.1:0").unwrap().local_addr().unwrap();
    let endpoint = format!("http://{nobody}");
    let header = format!("authorization=Bearer%20{TOKEN}");
    let variables = [("OTEL_EXPORTER_OTLP_ENDPOINT", &*endpoint), ("OTEL_EXPORTER_OTLP_HEADERS", &header)];
    let ran = import(&bench, &variables);
    assert_eq!(ran.stderr.matches("traces cannot be exported").count(), 1, "{}", ran.stderr);
    assert!(ran.stderr.contains("cannot connect"), "{}", ran.stderr);
    // One that takes the connection and says nothing.
    let silent = TcpListener::bind("127.0.0.1:0").unwrap();
    let endpoint = format!("http://{}", silent.local_addr().unwrap());
    let begun = Instant::now();
    run(&bench, &["sync", "--once"], &[]).code(0);
    let usual = begun.elapsed();
    let begun = Instant::now();
    let ran = run(&bench, &["sync", "--once"], &[("OTEL_EXPORTER_OTLP_ENDPOINT", &endpoint)]).code(0);
    assert!(begun.elapsed() < usual + Duration::from_secs(8), "{:?} instead of {usual:?}", begun.elapsed());
    assert_eq!(ran.stderr.matches("traces cannot be exported").count(), 1, "{}", ran.stderr);
    // What cannot be meant is told, and the command goes on.
    for (name, value) in [("OTEL_EXPORTER_OTLP_ENDPOINT", "collector:4318"), ("OTEL_EXPORTER_OTLP_PROTOCOL", "grpc")] {
        let ran =
            run(&bench, &["sync", "--once"], &[("OTEL_EXPORTER_OTLP_ENDPOINT", &endpoint), (name, value)]).code(0);
        assert_eq!(ran.stderr.matches("no traces are exported").count(), 1, "{}", ran.stderr);
    }
    // The values of its headers are secrets, wherever they stand.
    let ran = run(&bench, &["runs", TOKEN], &variables);
    let told = format!("{}{}", ran.stdout, ran.stderr);
    assert!(told.contains("***") && !told.contains(TOKEN), "{told}");
}
