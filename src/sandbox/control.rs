//! The control API: what tests and people can ask of a sandbox beside its two services, as JSON over HTTP.

use std::sync::Arc;

use jiff::Timestamp;
use serde_json::{Value, json};

use crate::sandbox::clock::parse_duration;
use crate::sandbox::faults::FaultPlan;
use crate::sandbox::http::{Reply, Request};
use crate::sandbox::origin;
use crate::sandbox::server::Answer;
use crate::sandbox::world::World;

/// All actions with what they do, as `GET /` shows them.
const ACTIONS: [(&str, &str); 15] = [
    ("GET /", "this help"),
    ("GET /dump", "the state of both services"),
    ("POST /restore", "takes back a dump"),
    ("GET /faults", "the fault rules in force, with their counters"),
    (
        "POST /faults",
        "adds rules: {\"rules\":[{\"service\":\"hubspot\",\"path\":\"/crm/**\",\"from\":2,\"to\":3,\"status\":503}]}",
    ),
    ("DELETE /faults", "removes all fault rules"),
    ("GET /clock", "the sandbox's time"),
    ("POST /clock", "moves it: {\"advance\":\"15d\"} or {\"set\":\"2026-10-01T09:00:00Z\"}"),
    ("GET /requests?service=&path=&limit=", "the last requests; `path` is a glob"),
    ("GET /requests/counts", "how many requests of each kind there were"),
    ("DELETE /requests", "forgets the requests"),
    (
        "POST /salesforce/seed",
        "adds objects and records: {\"objects\":[{\"name\":\"Lease__c\",\"keyPrefix\":\"a0L\",\"fields\":[{\"name\":\"Name\",\"type\":\"string\",\"nameField\":true}]}],\"records\":{\"Lease__c\":[{\"Name\":\"L-1\"}]}}",
    ),
    (
        "POST /hubspot/seed",
        "adds owners, properties, custom objects, labels and records: {\"owners\":[{\"email\":\"a@b.example\"}],\"properties\":{\"companies\":[…]},\"schemas\":[…],\"labels\":[…],\"records\":{\"companies\":[{\"properties\":{\"name\":\"Acme\"}}]}}",
    ),
    ("POST /salesforce/{action}", "an action of the Salesforce service; `help` lists them"),
    ("POST /hubspot/{action}", "an action of the HubSpot service; `help` lists them"),
];

/// The listener of the control API.
pub struct ControlAnswer {
    world: Arc<World>,
}

impl ControlAnswer {
    /// Controls a world.
    pub fn new(world: Arc<World>) -> Self {
        Self { world }
    }

    fn act(&self, request: &Request) -> Result<Value, Refusal> {
        // First of all: a page that somebody looks at must not clear a sandbox on its own.
        if let Some(reason) = origin::foreign_page(request) {
            return Err(Refusal::Foreign(reason));
        }
        let path: Vec<&str> = request.path.iter().map(String::as_str).collect();
        let world = &self.world;
        match (request.method.as_str(), path.as_slice()) {
            ("GET", []) => Ok(help()),
            ("GET", ["dump"]) => Ok(world.dump()),
            ("POST", ["restore"]) => Ok(world.restore(&json_body(request)?).map(|()| done())?),
            ("GET", ["faults"]) => Ok(world.faults.list()),
            ("POST", ["faults"]) => {
                world.faults.add(&FaultPlan::from_json(&json_body(request)?)?)?;
                Ok(world.faults.list())
            }
            ("DELETE", ["faults"]) => {
                world.faults.clear();
                Ok(done())
            }
            ("GET", ["clock"]) => Ok(self.time()),
            ("POST", ["clock"]) => self.move_clock(&json_body(request)?),
            ("GET", ["requests"]) => self.requests(request),
            ("GET", ["requests", "counts"]) => Ok(world.ledger.counts_json()),
            ("DELETE", ["requests"]) => {
                world.ledger.clear();
                Ok(done())
            }
            // Every other action changes something or may, so reading ones are POST as well.
            ("POST", [service @ ("salesforce" | "hubspot"), action]) => {
                Ok(world.control(service, action, &json_body(request)?)?)
            }
            _ => Err(Refusal::Unknown),
        }
    }

    fn time(&self) -> Value {
        json!({"now": self.world.clock.now(), "offset_ms": self.world.clock.offset_ms()})
    }

    fn move_clock(&self, body: &Value) -> Result<Value, Refusal> {
        // Exactly one: with both, the order of the two would decide the result.
        let members = body.as_object().filter(|members| members.len() == 1);
        let member = members.and_then(|members| members.iter().next());
        match member.map(|(name, value)| (name.as_str(), value.as_str())) {
            Some(("advance", Some(text))) => self.world.clock.advance(parse_duration(text)?),
            Some(("set", Some(text))) => {
                let wrong = |error| format!("`set` must be a time such as `2026-10-01T09:00:00Z`: {error}");
                self.world.clock.set(text.parse().map_err(wrong)?);
            }
            _ => return Err("give either `advance`, a duration such as `15d`, or `set`, a time".to_owned().into()),
        }
        // The time is a part of what the data file keeps.
        self.world.note_change();
        Ok(self.time())
    }

    fn requests(&self, request: &Request) -> Result<Value, Refusal> {
        // A misspelt filter would show all requests, and a test would pass or fail for the wrong reason.
        let unknown = request.query.iter().find(|(name, _)| !["service", "path", "limit"].contains(&name.as_str()));
        if let Some((name, _)) = unknown {
            return Err(format!("unknown parameter `{name}`; expected `service`, `path` or `limit`").into());
        }
        let given = |name| request.parameter(name).filter(|value| !value.is_empty());
        let mut entries = self.world.ledger.find(given("service"), given("path"))?;
        if let Some(limit) = given("limit") {
            let limit: usize = limit.parse().map_err(|_| format!("`limit` must be a number, not `{limit}`"))?;
            // The last ones: the question is nearly always what just happened.
            entries.drain(..entries.len().saturating_sub(limit));
        }
        Ok(json!({"requests": entries}))
    }
}

impl Answer for ControlAnswer {
    fn answer(&self, request: &Request) -> Reply {
        let (status, body) = match self.act(request) {
            Ok(body) => (200, body),
            Err(Refusal::Bad(error)) => (400, json!({"error": error})),
            Err(Refusal::Foreign(error)) => (403, json!({"error": error})),
            Err(Refusal::Unknown) => {
                let error = format!("there is no `{} /{}`", request.method, request.path.join("/"));
                // The help comes along, so that a person with `curl` need not look for it.
                (404, json!({"error": error, "actions": help()["actions"]}))
            }
        };
        // With line breaks, as people read it in a terminal.
        let text = serde_json::to_string_pretty(&body).unwrap_or_default();
        Reply::new(status, "application/json", text + "\n")
    }

    fn now(&self) -> Timestamp {
        self.world.clock.now()
    }
}

enum Refusal {
    Bad(String),
    Foreign(String),
    Unknown,
}

impl From<String> for Refusal {
    fn from(error: String) -> Self {
        Self::Bad(error)
    }
}

/// The body as JSON; an absent one is an empty object.
fn json_body(request: &Request) -> Result<Value, Refusal> {
    // Most actions take no argument, and `curl -X POST` sends no body.
    if request.body.is_empty() {
        return Ok(json!({}));
    }
    serde_json::from_slice(&request.body).map_err(|error| Refusal::Bad(format!("the body is not JSON: {error}")))
}

fn done() -> Value {
    json!({"done": true})
}

fn help() -> Value {
    let actions = ACTIONS.iter().map(|(action, text)| json!({"action": action, "does": text}));
    json!({"actions": actions.collect::<Vec<_>>()})
}
