//! `mcp` for agents: by the official client for Python, and by bare lines, which may be anything.

use std::fs;
use std::io::{BufRead as _, BufReader, Write as _};
use std::os::unix::fs::PermissionsExt;
use std::path::Path;
use std::process::{Child, ChildStdin, Command, Stdio};
use std::sync::mpsc;
use std::time::{Duration, Instant};

use serde_json::{Value, json};

use crate::support::{Bench, Ran, ended};

#[test]
fn the_official_client_uses_every_tool_and_applies_what_a_person_approved() {
    let root = Path::new(env!("CARGO_MANIFEST_DIR"));
    let python = root.join("target/clients/python/bin/python");
    assert!(python.is_file(), "the client is not installed; run `tests/clients/setup` once (it needs python3)");
    let bench = Bench::new(12);
    let record = bench.rows("Subscription__c").into_iter().find(|(_, row)| row["values"]["Status__c"] == "Active");
    let mut command = Command::new(python);
    command.arg(root.join("tests/clients/agent.py")).arg(env!("CARGO_BIN_EXE_syncline")).arg(bench.path("."));
    command.arg(record.unwrap().0).env("XDG_CACHE_HOME", bench.path(".cache")).stdin(Stdio::null());
    let ran = ended(command.output().unwrap());
    assert_eq!((ran.code, ran.stdout.trim()), (Some(0), "ok"), "{}", ran.stderr);
}

/// A client that says anything, line by line.
struct Client {
    child: Child,
    input: Option<ChildStdin>,
    answers: mpsc::Receiver<Value>,
}

impl Client {
    fn new(bench: &Bench) -> Self {
        let mut command = bench.command(&["mcp"]);
        let mut child = command.stdin(Stdio::piped()).stdout(Stdio::piped()).stderr(Stdio::piped()).spawn().unwrap();
        let (input, lines) = (child.stdin.take(), BufReader::new(child.stdout.take().unwrap()).lines());
        let (sender, answers) = mpsc::channel();
        std::thread::spawn(move || {
            for line in lines.map_while(Result::ok) {
                // Nothing but the protocol stands there.
                let message: Value = serde_json::from_str(&line).unwrap_or_else(|_| panic!("no message: {line}"));
                assert_eq!(message["jsonrpc"], "2.0", "{line}");
                let _ = sender.send(message);
            }
        });
        Self { child, input, answers }
    }

    /// One that has begun by the protocol.
    fn begun(bench: &Bench) -> Self {
        let mut client = Self::new(bench);
        client.begin("2025-06-18");
        client
    }

    fn begin(&mut self, version: &str) -> Value {
        let who = json!({"name": "a test", "version": "1"});
        let parameters = json!({"protocolVersion": version, "capabilities": {}, "clientInfo": who});
        let begun = self.ask("begin", "initialize", parameters);
        self.tell("notifications/initialized", json!({}));
        begun
    }

    fn say(&mut self, text: &str) {
        writeln!(self.input.as_mut().unwrap(), "{text}").unwrap();
    }

    fn tell(&mut self, method: &str, parameters: Value) {
        self.say(&json!({"jsonrpc": "2.0", "method": method, "params": parameters}).to_string());
    }

    fn request(&mut self, id: &str, method: &str, parameters: Value) {
        self.say(&json!({"jsonrpc": "2.0", "id": id, "method": method, "params": parameters}).to_string());
    }

    fn call(&mut self, id: &str, tool: &str, arguments: Value) {
        self.request(id, "tools/call", json!({"name": tool, "arguments": arguments}));
    }

    #[track_caller]
    fn answer(&self) -> Value {
        self.answers.recv_timeout(Duration::from_secs(60)).unwrap()
    }

    /// The answer to a request that is the only one.
    #[track_caller]
    fn ask(&mut self, id: &str, method: &str, parameters: Value) -> Value {
        self.request(id, method, parameters);
        let answer = self.answer();
        assert_eq!(answer["id"], id, "{answer}");
        answer
    }

    /// Closes the input: how the server ends, what it said until then, and how long that took.
    fn end(mut self) -> (Ran, Vec<Value>, Duration) {
        let begin = Instant::now();
        drop(self.input.take());
        let ran = ended(self.child.wait_with_output().unwrap());
        (ran, self.answers.iter().collect(), begin.elapsed())
    }
}

/// Waits until HubSpot is asked for this.
#[track_caller]
fn asked(bench: &Bench, path: &str) {
    let end = Instant::now() + Duration::from_secs(60);
    while !bench.sandbox.requests().iter().any(|entry| entry.service == "hubspot" && entry.target.contains(path)) {
        assert!(Instant::now() < end, "`{path}` is not asked for");
        std::thread::sleep(Duration::from_millis(20));
    }
}

#[test]
fn a_client_begins_by_a_version_that_both_know() {
    let bench = Bench::new(0);
    let versions = [("2025-03-26", "2025-03-26"), ("2025-11-25", "2025-11-25"), ("1999-01-01", "2025-11-25")];
    for (asked, expected) in versions {
        let mut client = Client::new(&bench);
        assert_eq!(client.ask("1", "ping", json!({}))["result"], json!({}));
        // Too early, which is no reason to end.
        assert_eq!(client.ask("2", "tools/list", json!({}))["error"]["code"], -32602);
        let begun = client.begin(asked)["result"].clone();
        assert_eq!((&begun["protocolVersion"], &begun["serverInfo"]["name"]), (&json!(expected), &json!("syncline")));
        assert_eq!(client.end().0.code, Some(0));
    }
    // The version without a handshake: each request says what it is.
    let mut client = Client::new(&bench);
    let meta = json!({"io.modelcontextprotocol/protocolVersion": "2026-07-28",
        "io.modelcontextprotocol/clientInfo": {"name": "a test", "version": "1"},
        "io.modelcontextprotocol/clientCapabilities": {}});
    let found = client.ask("1", "server/discover", json!({"_meta": meta}))["result"].clone();
    assert!(found["supportedVersions"].as_array().unwrap().contains(&json!("2026-07-28")), "{found}");
    let listed = client.ask("2", "tools/list", json!({"_meta": meta}))["result"].clone();
    assert_eq!(listed["tools"].as_array().unwrap().len(), 8);
    client.request("3", "tools/call", json!({"_meta": meta, "name": "runs", "arguments": {}}));
    assert_eq!(client.answer()["result"]["structuredContent"]["runs"], json!([]));
    assert_eq!(client.end().0.code, Some(0));
    let mut client = Client::new(&bench);
    client.tell("notifications/initialized", json!({}));
    let ran = client.end().0;
    assert!(ran.code == Some(1) && ran.stderr.contains("its first message must be `initialize`"), "{ran:?}");
    assert_eq!(Client::new(&bench).end().0.code, Some(0));
}

#[test]
fn lines_that_are_no_messages_are_answered_or_left_and_harm_nothing() {
    let bench = Bench::new(0);
    let mut client = Client::begun(&bench);
    // What nobody can have meant as a message is left, so that two programs do not answer each other's noise for ever.
    for line in ["not json", &"x".repeat(3 << 20), "", "{"] {
        client.say(line);
    }
    for line in ["[]", "{}", r#"{"jsonrpc": "2.0", "id": 1}"#, "7"] {
        client.say(line);
        let answer = client.answer();
        assert_eq!((&answer["id"], &answer["error"]["code"]), (&Value::Null, &json!(-32600)), "{line}: {answer}");
    }
    assert_eq!(client.ask("1", "resources/list", json!({}))["error"]["code"], -32601);
    assert_eq!(client.ask("2", "no/method", json!({}))["error"]["code"], -32601);
    assert_eq!(client.ask("3", "ping", json!({}))["result"], json!({}));
    let (ran, rest, _) = client.end();
    assert_eq!((ran.code, ran.stderr.as_str(), rest), (Some(0), "", vec![]));
}

#[test]
fn wrong_calls_are_refused_with_their_reason() {
    let bench = Bench::new(0);
    let mut client = Client::begun(&bench);
    let long = "x".repeat(600);
    let cases = [
        (json!({"name": "import", "arguments": {}}), "there is no tool `import`"),
        (json!({"name": "why", "arguments": {}}), "`why`: \"id\" is a required property"),
        (json!({"name": "apply"}), "`apply`: \"digest\" is a required property"),
        (json!({"name": "plan", "arguments": {"names": "all"}}), "is not of type \"array\""),
        (json!({"name": "plan", "arguments": {"sample": -1}}), "minimum"),
        (json!({"name": "why", "arguments": {"id": long}}), "longer than 500 characters"),
        (json!({"name": "status", "arguments": {"yes": true}}), "Additional properties are not allowed"),
    ];
    for (number, (parameters, expected)) in cases.into_iter().enumerate() {
        let answer = client.ask(&number.to_string(), "tools/call", parameters);
        assert_eq!(answer["error"]["code"], -32602, "{answer}");
        assert!(answer["error"]["message"].as_str().unwrap().contains(expected), "{answer}");
    }
    // Parameters that are none make no request.
    client.request("none", "tools/call", json!([1]));
    assert_eq!(client.answer()["error"]["code"], -32600);
    // A value is a value, and no flag.
    client.call("flag", "why", json!({"id": "--help"}));
    let answer = client.answer();
    assert_eq!((&answer["id"], &answer["result"]["isError"]), (&json!("flag"), &json!(true)), "{answer}");
    assert_eq!(client.end().0.code, Some(0));
}

#[test]
fn a_call_that_is_cancelled_is_ended_and_not_answered() {
    let bench = Bench::new(3);
    bench.faults(json!([{"service": "hubspot", "path": "/crm/**", "delay": "60s"}]));
    let mut client = Client::begun(&bench);
    client.call("slow", "plan", json!({"full": true}));
    asked(&bench, "/crm/");
    client.tell("notifications/cancelled", json!({"requestId": "slow", "reason": "enough"}));
    // Of no call, and of one that is over.
    client.tell("notifications/cancelled", json!({"requestId": "unknown"}));
    client.call("quick", "status", json!({}));
    let answer = client.answer();
    assert_eq!((&answer["id"], &answer["result"]["isError"]), (&json!("quick"), &json!(false)), "{answer}");
    let (ran, rest, took) = client.end();
    assert_eq!((ran.code, rest), (Some(0), vec![]));
    assert!(took < Duration::from_secs(4), "the plan goes on: {took:?}");
}

#[test]
fn the_end_of_the_input_ends_what_reads_and_lets_an_approved_plan_end() {
    let bench = Bench::new(6);
    let mut client = Client::begun(&bench);
    client.call("plan", "plan", json!({"full": true, "save": true}));
    let planned = client.answer()["result"]["content"][1]["text"].as_str().unwrap().to_owned();
    let digest = planned.split("digest is ").nth(1).unwrap()[..64].to_owned();
    approve(&bench, planned.rsplit(' ').next().unwrap(), &digest);
    // A client that leaves at once, with a call that nobody waits for any more.
    bench.faults(json!([{"service": "hubspot", "path": "/crm/**", "delay": "60s"}]));
    client.call("slow", "plan", json!({"full": true}));
    bench.sandbox.forget_requests();
    asked(&bench, "/crm/");
    let (ran, rest, took) = client.end();
    assert_eq!((ran.code, rest), (Some(0), vec![]));
    assert!(took < Duration::from_secs(30), "the plan goes on: {took:?}");
    // What writes was approved as a whole: it ends, longer though that takes than a client is waited for.
    bench.sandbox.clear_faults();
    bench.faults(json!([{"service": "hubspot", "path": "/crm/objects/**/batch/upsert", "delay": "7s", "times": 1}]));
    let mut client = Client::begun(&bench);
    client.call("apply", "apply", json!({"digest": digest}));
    asked(&bench, "/batch/upsert");
    assert_eq!(client.end().0.code, Some(0));
    let runs = bench.run(&["runs", "--format", "json"]).code(0).json();
    assert!(runs["runs"].as_array().unwrap().iter().all(|run| run["status"] == "succeeded"), "{runs}");
    assert!(!bench.records("subscriptions").is_empty());
}

/// Leaves what `syncline approve` leaves: the copy and the note.
fn approve(bench: &Bench, plan: &str, digest: &str) {
    let folder = bench.path(".syncline/approved");
    fs::create_dir_all(&folder).unwrap();
    fs::set_permissions(&folder, PermissionsExt::from_mode(0o700)).unwrap();
    let note = json!({"digest": digest, "until": "2100-01-01T00:00:00Z", "user": "ann"}).to_string();
    for (name, bytes) in [("plan", fs::read(plan).unwrap()), ("json", note.into_bytes())] {
        let file = folder.join(format!("{digest}.{name}"));
        fs::write(&file, bytes).unwrap();
        fs::set_permissions(&file, PermissionsExt::from_mode(0o600)).unwrap();
    }
}

#[test]
fn approving_needs_a_terminal_and_an_approval_a_digest() {
    let bench = Bench::new(3);
    bench.run(&["plan", "--full", "--out", "tonight.plan"]).code(0);
    let ran = bench.run(&["approve", "tonight.plan"]).code(1);
    assert!(ran.stderr.contains("SL6007"), "{}", ran.stderr);
    for digest in ["x", &"0".repeat(64), "../tonight"] {
        let ran = bench.run(&["apply", "--approved", digest]).code(1);
        assert!(ran.stderr.contains("SL6040"), "{}", ran.stderr);
    }
    bench.run(&["apply", "--approved", "x", "tonight.plan"]).code(64);
    bench.run(&["apply"]).code(64);
    assert_eq!(bench.records("subscriptions").len(), 0);
}
