//! `mcp`: what can be read, for agents, over standard input and output (Model Context Protocol, spoken by `rmcp`). Each tool runs the
//! program's own command, so that it tells what the command line tells. The one tool that writes applies a plan that a person approved.

use std::convert::Infallible;
use std::path::PathBuf;
use std::sync::Arc;

use rmcp::model::{
    CallToolRequestParams, CallToolResponse, CallToolResult, ContentBlock, ErrorData, Implementation, JsonObject,
    ListToolsResult, PaginatedRequestParams, ServerCapabilities, ServerConfig, Tool as Shown, ToolAnnotations,
};
use rmcp::service::{RequestContext, ServerInitializeError};
use rmcp::transport::async_rw::AsyncRwTransport;
use rmcp::transport::stdio;
use rmcp::{RoleServer, ServerHandler, ServiceExt as _};
use serde_json::{Map, Value, json};
use tokio::sync::mpsc;

use super::args::common::Common;
use super::exit::Exit;
use super::output;
use super::shared::project;
use crate::ops::{approvals, schemas};
use crate::project::error::OpsError;
use crate::project::wiring::{Outside, Project};
use crate::sys::process;
use crate::sys::secrets::masked;

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

/// Serves one client until it closes the input.
pub(super) async fn run(common: &Common) -> Result<Exit, OpsError> {
    // Before anything is served, so that a wrong folder is said where a person sees it.
    let project = Arc::new(project(common, Outside::real())?);
    let (alive, mut calls) = mpsc::channel(1);
    let server = Server { project, target: common.target.clone(), _alive: alive };
    let (input, out) = stdio();
    let transport = AsyncRwTransport::new_server(input, out).with_max_line_length(MESSAGE_BYTES_MAX);
    match server.serve(transport).await {
        Ok(served) => drop(served.waiting().await),
        // A client that went away before it said anything.
        Err(ServerInitializeError::ConnectionClosed(_)) => {}
        Err(ServerInitializeError::ExpectedInitializeRequest(_)) => {
            output::error(
                "the client did not begin by the protocol: its first message must be `initialize`",
                None,
                None,
            );
            return Ok(Exit::Failed);
        }
        Err(error) => {
            output::error(&masked(&format!("the client could not be served: {error}")), None, None);
            return Ok(Exit::Failed);
        }
    }
    // Calls hold the server. What reads was ended with the input; what writes ends in its own time.
    while calls.recv().await.is_some() {}
    Ok(Exit::Done)
}

struct Server {
    project: Arc<Project>,
    target: Option<String>,
    /// Dropped with the last call.
    _alive: mpsc::Sender<Infallible>,
}

impl ServerHandler for Server {
    fn get_info(&self) -> ServerConfig {
        ServerConfig::new(ServerCapabilities::builder().enable_tools().build())
            .with_server_info(Implementation::new("syncline", env!("CARGO_PKG_VERSION")).with_title("Syncline"))
            .with_instructions(INSTRUCTIONS)
    }

    async fn list_tools(
        &self,
        _page: Option<PaginatedRequestParams>,
        _context: RequestContext<RoleServer>,
    ) -> Result<ListToolsResult, ErrorData> {
        Ok(ListToolsResult::with_all_items(TOOLS.iter().map(shown).collect()))
    }

    async fn call_tool(
        &self,
        asked: CallToolRequestParams,
        context: RequestContext<RoleServer>,
    ) -> Result<CallToolResponse, ErrorData> {
        let tool = TOOLS.iter().find(|tool| tool.name == asked.name);
        let tool = tool.ok_or_else(|| wrong(format!("there is no tool `{}`", asked.name)))?;
        let given = asked.arguments.unwrap_or_default();
        let broken =
            |error: &dyn std::fmt::Display| ErrorData::internal_error(masked(&error.to_string()).into_owned(), None);
        let schema = Value::Object(input(tool));
        let error = jsonschema::validator_for(&schema).ok().and_then(|validator| {
            validator.iter_errors(&Value::Object(given.clone())).next().map(|error| error.to_string())
        });
        if let Some(error) = error {
            return Err(wrong(format!("`{}`: {error}", tool.name)));
        }
        let saved = match tool.name == "plan" && given.get("save") == Some(&Value::Bool(true)) {
            true => Some(approvals::place_for_plan(&self.project).map_err(|error| broken(&error))?),
            false => None,
        };
        let command = self.command(tool, &given, saved.as_ref());
        let ran = tokio::select! {
            ran = process::own(&command) => ran.map_err(|error| broken(&error))?,
            // What was dropped is ended. A plan that a person approved is carried out once it was begun: half of it was never looked at.
            () = context.ct.cancelled(), if !tool.writes => return Err(ErrorData::internal_error("the call was cancelled", None)),
        };
        Ok(result(tool, &ran, saved.as_ref()).into())
    }
}

impl Server {
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

/// The client asked for what there is not.
fn wrong(message: String) -> ErrorData {
    ErrorData::invalid_params(masked(&message).into_owned(), None)
}

fn input(tool: &Tool) -> JsonObject {
    // Without these there is nothing to do.
    let required: &[&str] = match tool.name {
        "why" => &["id"],
        "apply" => &["digest"],
        _ => &[],
    };
    object(
        json!({"type": "object", "properties": (tool.arguments)(), "required": required, "additionalProperties": false}),
    )
}

fn shown(tool: &Tool) -> Shown {
    let hints = ToolAnnotations::new().read_only(!tool.writes).destructive(tool.writes).idempotent(!tool.writes);
    let shown = Shown::new(tool.name, tool.what, input(tool)).with_annotations(hints);
    // One run and the list of runs have a schema each; a tool has one.
    if tool.name == "runs" {
        return shown;
    }
    let mut schema = object(schemas::value((tool.schema)(&Map::new())).unwrap_or_default());
    // Ours say it within their choice of result and error; the protocol wants it said first.
    schema.insert("type".to_owned(), "object".into());
    shown.with_raw_output_schema(schema.into())
}

fn object(value: Value) -> JsonObject {
    match value {
        Value::Object(members) => members,
        _ => JsonObject::new(),
    }
}

/// What a command printed, as the answer of its tool.
fn result(tool: &Tool, ran: &std::process::Output, saved: Option<&PathBuf>) -> CallToolResult {
    let printed = masked(&String::from_utf8_lossy(&ran.stdout)).into_owned();
    let said: String = masked(&String::from_utf8_lossy(&ran.stderr)).chars().take(SAID_MAX).collect();
    let structured = serde_json::from_str::<Value>(&printed).ok().filter(Value::is_object);
    let mut content = vec![ContentBlock::text(structured.as_ref().map_or(said, Value::to_string))];
    if let Some(path) = saved {
        // A plan that was refused has left no file.
        if let Ok((digest, _)) = approvals::digest(path) {
            content.push(ContentBlock::text(format!(
                "The plan is saved in {0}; its digest is {digest}. A person approves it at a terminal: syncline approve {0}",
                path.display()
            )));
        }
    }
    // 3 is done, with records that failed; a finding of `validate` is its result.
    let done = matches!(ran.status.code(), Some(0 | 2 | 3)) || tool.name == "validate" && structured.is_some();
    let mut result = if done { CallToolResult::success(content) } else { CallToolResult::error(content) };
    result.structured_content = structured;
    result
}
