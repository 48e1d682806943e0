//! `mcp` for agents: by the official client for Python, and by bare lines, which may be anything.

use std::io::Write as _;
use std::path::Path;
use std::process::{Command, Stdio};

use serde_json::{Value, json};

use crate::support::{Bench, ended};

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

/// What the server answers to lines, by the id of the request.
fn answers(bench: &Bench, lines: &[String]) -> Vec<Value> {
    let mut child = bench.command(&["mcp"]).stdin(Stdio::piped()).stdout(Stdio::piped()).spawn().unwrap();
    let text = lines.join("\n") + "\n";
    child.stdin.take().unwrap().write_all(text.as_bytes()).unwrap();
    let ran = ended(child.wait_with_output().unwrap());
    assert_eq!(ran.code, Some(0));
    ran.stdout.lines().map(|line| serde_json::from_str(line).unwrap()).collect()
}

#[test]
fn lines_that_are_no_messages_are_answered_or_left_and_harm_nothing() {
    let bench = Bench::new(0);
    let request = |id: u64, method: &str| json!({"jsonrpc": "2.0", "id": id, "method": method}).to_string();
    let lines = [
        "not json".to_owned(),
        "x".repeat(3 << 20),
        "[]".to_owned(),
        "{}".to_owned(),
        json!({"jsonrpc": "2.0", "method": "notifications/initialized"}).to_string(),
        json!({"jsonrpc": "2.0", "id": 1, "method": "tools/call", "params": [1]}).to_string(),
        request(2, "resources/list"),
        json!({"jsonrpc": "2.0", "id": 3, "method": "initialize", "params": {"protocolVersion": "1999-01-01"}})
            .to_string(),
        request(4, "ping"),
    ];
    let found = answers(&bench, &lines);
    let of = |id: u64| found.iter().find(|answer| answer["id"] == id).unwrap();
    assert_eq!(found.iter().filter(|answer| answer["error"]["code"] == -32700).count(), 2, "{found:?}");
    assert_eq!((&of(1)["error"]["code"], &of(2)["error"]["code"]), (&json!(-32602), &json!(-32601)));
    assert_eq!((&of(3)["result"]["protocolVersion"], &of(4)["result"]), (&json!("2025-11-25"), &json!({})));
    assert_eq!(found.len(), 6, "{found:?}");
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
