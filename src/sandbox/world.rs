//! What the listeners share: both services, time, faults and the ledger; and how a service answers through them.

use std::sync::Arc;
use std::sync::atomic::{AtomicU64, Ordering};
use std::time::Duration;

use jiff::Timestamp;
use serde_json::{Value, json};

use crate::sandbox::clock::VirtualClock;
use crate::sandbox::fault_replies::When;
use crate::sandbox::faults::Faults;
use crate::sandbox::http::{Reply, Request, Service};
use crate::sandbox::ledger::Ledger;
use crate::sandbox::server::Answer;

/// Version of the dump's shape.
const DUMP_FORMAT: u64 = 1;

/// Everything that one sandbox holds.
pub struct World {
    /// Time of the sandbox.
    pub clock: VirtualClock,
    /// Faults in force.
    pub faults: Faults,
    /// Requests seen.
    pub ledger: Ledger,
    salesforce: Arc<dyn Service>,
    hubspot: Arc<dyn Service>,
    /// Grows with every call that may have changed something.
    changes: AtomicU64,
}

impl World {
    /// A world around two services.
    pub fn new(clock: VirtualClock, faults: Faults, salesforce: Arc<dyn Service>, hubspot: Arc<dyn Service>) -> Self {
        let ledger = Ledger::default();
        Self { clock, faults, ledger, salesforce, hubspot, changes: AtomicU64::new(0) }
    }

    /// The service of that name.
    pub fn service(&self, name: &str) -> Result<&Arc<dyn Service>, String> {
        let services = [&self.salesforce, &self.hubspot];
        let found = services.into_iter().find(|service| service.name() == name);
        found.ok_or_else(|| format!("unknown service `{name}`; expected `salesforce` or `hubspot`"))
    }

    /// Carries out an action of a service's control API.
    pub fn control(&self, service: &str, action: &str, arguments: &Value) -> Result<Value, String> {
        let answer = self.service(service)?.control(action, arguments, self.clock.now());
        // Even where it failed: some of it may have been carried out before.
        self.note_change();
        answer
    }

    /// The state of both services and the clock.
    pub fn dump(&self) -> Value {
        json!({"format": DUMP_FORMAT, "clock_offset_ms": self.clock.offset_ms(),
            "salesforce": self.salesforce.dump(), "hubspot": self.hubspot.dump()})
    }

    /// Takes back a state that [`World::dump`] gave, in both services or, on an error, in none.
    pub fn restore(&self, dump: &Value) -> Result<(), String> {
        if dump["format"] != DUMP_FORMAT {
            return Err(format!("it is not a saved state of format {DUMP_FORMAT}"));
        }
        let before = self.salesforce.dump();
        self.salesforce.restore(&dump["salesforce"]).map_err(|error| format!("salesforce: {error}"))?;
        if let Err(error) = self.hubspot.restore(&dump["hubspot"]) {
            self.salesforce.restore(&before).map_err(|error| format!("salesforce: {error}"))?;
            return Err(format!("hubspot: {error}"));
        }
        self.clock.set_offset_ms(dump["clock_offset_ms"].as_i64().unwrap_or(0));
        self.note_change();
        Ok(())
    }

    /// Notes that something may have changed.
    pub fn note_change(&self) {
        self.changes.fetch_add(1, Ordering::Relaxed);
    }

    /// A number that differs from an earlier one when something may have changed since.
    pub fn changes(&self) -> u64 {
        self.changes.load(Ordering::Relaxed)
    }
}

/// The listener of one service: faults, the service, the ledger.
pub struct ServiceAnswer {
    world: Arc<World>,
    service: Arc<dyn Service>,
    latency: Duration,
}

impl ServiceAnswer {
    /// Answers for a service of a world, each time after a pause.
    pub fn new(world: Arc<World>, service: Arc<dyn Service>, latency: Duration) -> Self {
        Self { world, service, latency }
    }
}

impl Answer for ServiceAnswer {
    fn answer(&self, request: &Request) -> Reply {
        let name = self.service.name();
        let now = self.world.clock.now();
        let strike = self.world.faults.pick(name, request);
        let real = match &strike {
            Some(strike) if strike.when == When::Before => None,
            _ => Some(self.service.handle(request, now)),
        };
        // Reads change nothing that is kept; sessions and limits are not.
        if real.is_some() && request.method != "GET" {
            self.world.note_change();
        }
        let reply = match (&strike, real) {
            (Some(strike), real) => strike.reply(name, real),
            (None, Some(real)) => real,
            (None, None) => Reply::empty(500),
        };
        let fault = strike.as_ref().map(|strike| strike.name.as_str());
        self.world.ledger.record(name, request, &reply, fault, now);
        reply
    }

    fn now(&self) -> Timestamp {
        self.world.clock.now()
    }

    fn latency(&self) -> Duration {
        self.latency
    }
}
