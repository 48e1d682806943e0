//! `mcp`: what can be read, for agents, over standard input and output (Model Context Protocol). Each tool runs the program's own
//! command, so that it tells what the command line tells. The one tool that writes applies a plan that a person approved.

use std::io::{BufRead as _, Write as _};
use std::path::PathBuf;
use std::sync::{Arc, Mutex, PoisonError};

use serde_json::{Map, Value, json};

use super::args::common::Common;
use super::exit::Exit;
use super::shared::project;
use crate::ops::{approvals, schemas};
use crate::project::error::OpsError;
use crate::project::wiring::{Outside, Project};
use crate::sys::process;
use crate::sys::secrets::masked;

/// Versions of the protocol that are spoken, the latest first. All of them are the same for tools over lines of text.
const VERSIONS: [&str; 3] = ["2025-11-25", "2025-06-18", "2025-03-26"];

/// Most bytes of one message; a request names a tool and a few words.
const MESSAGE_BYTES_MAX: usize = 1 << 20;

/// Most of what a command says beside its result that is handed on, in letters.
const SAID_MAX: usize = 4_000;

const INSTRUCTIONS: &str = "Syncline keeps HubSpot objects in step with Salesforce, by YAML definitions in this project. Every tool but `apply` only \
                            reads. To change records: call `plan` with `save`, show the person what it would do, ask them to run `syncline approve \
                            FILE` at a terminal, and call `apply` with the digest. Nobody else can approve a plan.";

/// A tool: its name, what it is for, the schema of its result, its arguments as JSON, and the command that it runs.
struct Tool {
    name: &'static str,
    what: &'static str,
    schema: fn(&Map<String, Value>) -> &'static str,
    arguments: fn() -> Value,
    command: fn(&Map<String, Value>) -> Vec<String>,
    writes: bool,
}

const TOOLS: [Tool; 8] = [
    Tool {
        name: "status",
        what: "How each pipeline stands: last run, age of its data, what needs a person.",
        schema: |_| "status",
        arguments: || json!({}),
        command: |_| words(&["status"]),
        writes: false,
    },
    Tool {
        name: "validate",
        what: "Checks the definitions and says what is wrong, where, and what to write instead.",
        schema: |_| "validate",
        arguments: || json!({"names": names(), "online": flag("Also check against the live systems.")}),
        command: |given| with_names(given, words(&["validate"]), &[("online", "--online")]),
        writes: false,
    },
    Tool {
        name: "diff",
        what: "What changed in the definitions since a git revision, in terms of mapping.",
        schema: |_| "diff",
        arguments: || json!({"names": names(), "base": text("Git revision to compare with; HEAD unless given.")}),
        command: |given| with_names(given, valued(given, words(&["diff"]), &[("base", "--base")]), &[]),
        writes: false,
    },
    Tool {
        name: "plan",
        what: "Dry run: what a sync, or with `full` an import of everything, would do to HubSpot. Writes nothing there. With `save` the plan is kept for a \
               person to approve; the answer names its file and digest.",
        schema: |_| "plan",
        arguments: || {
            json!({"names": names(), "full": flag("What an import of everything would do."),
                "sample": number("Most changes to show for each pipeline; totals are exact. 10 unless given."),
                "save": flag("Keep the plan, so that it can be approved and applied.")})
        },
        command: |given| {
            with_names(given, valued(given, words(&["plan"]), &[("sample", "--sample")]), &[("full", "--full")])
        },
        writes: false,
    },
    Tool {
        name: "why",
        what: "Why a record is, or is not, in HubSpot as it is: filter, mapping, last run, failure.",
        schema: |_| "why",
        arguments: || json!({"id": text("Salesforce id, or the id of a HubSpot record.")}),
        command: |given| positional(given, words(&["why"]), "id"),
        writes: false,
    },
    Tool {
        name: "failures",
        what: "Records that failed, by reason, with what to do about each.",
        schema: |_| "failures",
        arguments: || json!({"pipeline": text("Only of this pipeline."), "code": text("Only with this code, such as SL5005.")}),
        command: |given| valued(given, words(&["failures", "list"]), &[("pipeline", "--pipeline"), ("code", "--code")]),
        writes: false,
    },
    Tool {
        name: "runs",
        what: "The history of runs, or with `id` one run with the records that it rejected.",
        schema: |given| if given.contains_key("id") { "run" } else { "runs" },
        arguments: || json!({"id": text("One run, by its id."), "pipeline": text("Only of this pipeline."), "limit": number("Most runs to show.")}),
        command: |given| {
            let command = valued(given, words(&["runs"]), &[("pipeline", "--pipeline"), ("limit", "--limit")]);
            positional(given, command, "id")
        },
        writes: false,
    },
    Tool {
        name: "apply",
        what: "Carries out a plan that a person has approved with `syncline approve`, exactly, or refuses where anything has changed since. Changes records \
               in HubSpot. An approval is good for one try.",
        schema: |_| "report",
        arguments: || json!({"digest": text("The digest that `syncline approve` printed.")}),
        command: |given| valued(given, words(&["apply"]), &[("digest", "--approved")]),
        writes: true,
    },
];

fn words(all: &[&str]) -> Vec<String> {
    all.iter().map(|word| (*word).to_owned()).collect()
}

fn text(what: &str) -> Value {
    json!({"type": "string", "minLength": 1, "maxLength": 500, "description": what})
}

fn flag(what: &str) -> Value {
    json!({"type": "boolean", "description": what})
}

fn number(what: &str) -> Value {
    json!({"type": "integer", "minimum": 0, "maximum": 10_000, "description": what})
}

fn names() -> Value {
    json!({"type": "array", "items": {"type": "string", "minLength": 1, "maxLength": 200}, "maxItems": 100,
        "description": "Pipelines, by name or glob; all unless given."})
}

/// Adds flags that have a value, in one word with it: a value is never taken for a flag.
fn valued(given: &Map<String, Value>, mut command: Vec<String>, flags: &[(&str, &str)]) -> Vec<String> {
    for (name, flag) in flags {
        match given.get(*name) {
            Some(Value::String(text)) => command.push(format!("{flag}={text}")),
            Some(value @ Value::Number(_)) => command.push(format!("{flag}={value}")),
            _ => {}
        }
    }
    command
}

fn positional(given: &Map<String, Value>, mut command: Vec<String>, name: &str) -> Vec<String> {
    if let Some(text) = given.get(name).and_then(Value::as_str) {
        command.extend(["--".to_owned(), text.to_owned()]);
    }
    command
}

fn with_names(given: &Map<String, Value>, mut command: Vec<String>, flags: &[(&str, &str)]) -> Vec<String> {
    command.extend(
        flags
            .iter()
            .filter(|(name, _)| given.get(*name) == Some(&Value::Bool(true)))
            .map(|(_, flag)| (*flag).to_owned()),
    );
    let names: Vec<String> = given
        .get("names")
        .and_then(Value::as_array)
        .into_iter()
        .flatten()
        .filter_map(Value::as_str)
        .map(str::to_owned)
        .collect();
    if !names.is_empty() {
        command.push("--".to_owned());
        command.extend(names);
    }
    command
}

/// Why a request cannot be answered: a code of JSON-RPC, and words.
type Refused = (i64, String);

/// Serves one client until it closes the input.
pub(super) fn run(common: &Common) -> Result<Exit, OpsError> {
    // Before anything is served, so that a wrong folder is said where a person sees it.
    let project = Arc::new(project(common, Outside::real())?);
    let server = Arc::new(Server { project, target: common.target.clone(), out: Mutex::new(std::io::stdout()) });
    let mut input = std::io::stdin().lock();
    let mut calls = Vec::new();
    loop {
        let mut line = Vec::new();
        match input.take_line(&mut line) {
            Ok(0) | Err(_) => break,
            Ok(_) => {}
        }
        if line.trim_ascii().is_empty() {
            continue;
        }
        let Ok(message) = serde_json::from_slice::<Value>(&line) else {
            server.refuse(&Value::Null, &(-32700, "a message is one line of JSON".to_owned()));
            continue;
        };
        // Each by itself: a plan of many records must not hold up a question about one.
        let server = Arc::clone(&server);
        calls.push(std::thread::spawn(move || server.answer(&message)));
        calls.retain(|call| !call.is_finished());
    }
    for call in calls {
        let _ = call.join();
    }
    Ok(Exit::Done)
}

/// Reads lines up to a length.
trait Lines {
    fn take_line(&mut self, into: &mut Vec<u8>) -> std::io::Result<usize>;
}

impl<R: std::io::BufRead> Lines for R {
    fn take_line(&mut self, into: &mut Vec<u8>) -> std::io::Result<usize> {
        let read = std::io::Read::take(&mut *self, MESSAGE_BYTES_MAX as u64).read_until(b'\n', into)?;
        if read == MESSAGE_BYTES_MAX && !into.ends_with(b"\n") {
            // The rest of it is read and left: what follows is another message.
            let mut rest = Vec::new();
            while std::io::Read::take(&mut *self, MESSAGE_BYTES_MAX as u64).read_until(b'\n', &mut rest)? > 0 {
                if rest.ends_with(b"\n") {
                    break;
                }
                rest.clear();
            }
            into.clear();
            into.extend_from_slice(b"too long\n");
        }
        Ok(read)
    }
}

struct Server {
    project: Arc<Project>,
    target: Option<String>,
    out: Mutex<std::io::Stdout>,
}

impl Server {
    fn answer(&self, message: &Value) {
        // What has no id asks for no answer.
        let Some(id) = message.get("id").filter(|id| id.is_string() || id.is_number()) else { return };
        let method = message["method"].as_str().unwrap_or_default();
        let parameters = message["params"].as_object().cloned().unwrap_or_default();
        let result = match method {
            "initialize" => Ok(self.initialize(&parameters)),
            "ping" => Ok(json!({})),
            "tools/list" => Ok(json!({"tools": TOOLS.iter().map(shown).collect::<Vec<_>>()})),
            "tools/call" => self.call(&parameters),
            // An answer of the client to a question that nobody asked.
            "" => return,
            _ => Err((-32601, format!("there is no method `{method}`"))),
        };
        match result {
            Ok(result) => self.send(&json!({"jsonrpc": "2.0", "id": id, "result": result})),
            Err(refused) => self.refuse(id, &refused),
        }
    }

    fn refuse(&self, id: &Value, (code, message): &Refused) {
        self.send(&json!({"jsonrpc": "2.0", "id": id, "error": {"code": code, "message": message}}));
    }

    fn send(&self, message: &Value) {
        let mut out = self.out.lock().unwrap_or_else(PoisonError::into_inner);
        // Nobody reads any more when the pipe is closed; the input ends then, too.
        let _ = writeln!(out, "{}", masked(&message.to_string())).and_then(|()| out.flush());
    }

    fn initialize(&self, parameters: &Map<String, Value>) -> Value {
        let asked = parameters.get("protocolVersion").and_then(Value::as_str).unwrap_or_default();
        let version = VERSIONS.iter().find(|known| **known == asked).unwrap_or(&VERSIONS[0]);
        json!({"protocolVersion": version, "capabilities": {"tools": {}}, "instructions": INSTRUCTIONS,
            "serverInfo": {"name": "syncline", "title": "Syncline", "version": env!("CARGO_PKG_VERSION")}})
    }

    fn call(&self, parameters: &Map<String, Value>) -> Result<Value, Refused> {
        let name = parameters.get("name").and_then(Value::as_str).unwrap_or_default();
        let tool = TOOLS.iter().find(|tool| tool.name == name);
        let tool = tool.ok_or_else(|| (-32602, format!("there is no tool `{name}`")))?;
        let given = parameters.get("arguments").and_then(Value::as_object).cloned().unwrap_or_default();
        let schema = input(tool);
        let wrong = jsonschema::validator_for(&schema).ok().and_then(|validator| {
            validator.iter_errors(&Value::Object(given.clone())).next().map(|error| error.to_string())
        });
        if let Some(wrong) = wrong {
            return Err((-32602, format!("`{name}`: {wrong}")));
        }
        let saved = match tool.name == "plan" && given.get("save") == Some(&Value::Bool(true)) {
            true => Some(approvals::place_for_plan(&self.project).map_err(|error| (-32603, error.to_string()))?),
            false => None,
        };
        let ran =
            process::own(&self.command(tool, &given, saved.as_ref())).map_err(|error| (-32603, error.to_string()))?;
        Ok(result(tool, &ran, saved.as_ref()))
    }

    fn command(&self, tool: &Tool, given: &Map<String, Value>, saved: Option<&PathBuf>) -> Vec<String> {
        let mut before = vec![format!("--project={}", self.project.loaded.root.display()), "--quiet".to_owned()];
        before.extend(self.target.as_ref().map(|target| format!("--target={target}")));
        let mut command = (tool.command)(given);
        // Flags stand before what `--` begins.
        let place = command.iter().position(|word| word == "--").unwrap_or(command.len());
        let mut flags = vec!["--format=json".to_owned()];
        flags.extend(saved.map(|path| format!("--out={}", path.display())));
        command.splice(place..place, flags);
        before.extend(command);
        before
    }
}

fn input(tool: &Tool) -> Value {
    let properties = (tool.arguments)();
    // Without these there is nothing to do.
    let required: Vec<&str> = match tool.name {
        "why" => vec!["id"],
        "apply" => vec!["digest"],
        _ => Vec::new(),
    };
    json!({"type": "object", "properties": properties, "required": required, "additionalProperties": false})
}

fn shown(tool: &Tool) -> Value {
    let mut shown = json!({"name": tool.name, "description": tool.what, "inputSchema": input(tool),
        "annotations": {"readOnlyHint": !tool.writes, "destructiveHint": tool.writes, "idempotentHint": !tool.writes}});
    // One run and the list of runs have a schema each; a tool has one.
    if tool.name != "runs" {
        let mut schema = schemas::value((tool.schema)(&Map::new())).unwrap_or_default();
        // Ours say it within their choice of result and error; the protocol wants it said first.
        schema["type"] = "object".into();
        shown["outputSchema"] = schema;
    }
    shown
}

/// What a command printed, as the answer of its tool.
fn result(tool: &Tool, ran: &std::process::Output, saved: Option<&PathBuf>) -> Value {
    let printed = String::from_utf8_lossy(&ran.stdout).into_owned();
    let said: String = String::from_utf8_lossy(&ran.stderr).chars().take(SAID_MAX).collect();
    let structured = serde_json::from_str::<Value>(&printed).ok().filter(Value::is_object);
    let mut content = Vec::new();
    if let Some(path) = saved {
        // A plan that was refused has left no file.
        if let Ok((digest, _)) = approvals::digest(path) {
            content.push(json!({"type": "text", "text": format!(
                "The plan is saved in {0}; its digest is {digest}. A person approves it at a terminal: syncline approve {0}", path.display())}));
        }
    }
    let words = structured.as_ref().map_or_else(|| said.clone(), Value::to_string);
    content.insert(0, json!({"type": "text", "text": words}));
    // 3 is done, with records that failed; a finding of `validate` is its result.
    let done = matches!(ran.status.code(), Some(0 | 2 | 3)) || tool.name == "validate" && structured.is_some();
    let mut result = json!({"content": content, "isError": !done});
    if let Some(structured) = structured {
        result["structuredContent"] = structured;
    }
    result
}
