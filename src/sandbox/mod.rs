//! Both APIs on this computer, over real HTTP on loopback. Uses `sys` only and shares no type with the connectors: a
//! mistake that both sides shared would stay hidden.
//!
//! [`start`] makes a running [`Sandbox`]: one listener for each service and one for the control API.

use std::net::SocketAddr;
use std::sync::Arc;
use std::time::Duration;

use serde_json::{Value, json};
use tokio::net::TcpListener;
use tokio::task::JoinSet;

use crate::sandbox::clock::VirtualClock;
use crate::sandbox::control::ControlAnswer;
use crate::sandbox::data::DataFile;
use crate::sandbox::faults::{FaultPlan, Faults};
use crate::sandbox::http::{Reply, Request, Service};
use crate::sandbox::ledger::{Count, Entry};
use crate::sandbox::options::{CLIENT_ID, CLIENT_SECRET, HUBSPOT_TOKEN, PORTAL_ID, SandboxError, SandboxOptions};
use crate::sandbox::server::Answer;
use crate::sandbox::world::{ServiceAnswer, World};
use crate::sys::cancel::Cancel;

pub mod authorize;
pub mod clock;
pub mod control;
pub mod data;
pub mod fault_replies;
pub mod faults;
pub mod http;
pub mod hubspot;
pub mod ledger;
pub mod load;
pub mod options;
pub mod origin;
pub mod salesforce;
pub mod seed;
pub mod server;
pub mod world;

/// A sandbox that runs until [`Sandbox::stop`] or until it is dropped (without a last save then).
pub struct Sandbox {
    /// Salesforce's address, `http://127.0.0.1:PORT`, to be used as `login_url`.
    pub salesforce_url: String,
    /// HubSpot's address, to be used as `base_url`.
    pub hubspot_url: String,
    /// The control API's address.
    pub control_url: String,
    world: Arc<World>,
    data: Option<Arc<DataFile>>,
    cancel: Cancel,
    tasks: JoinSet<()>,
}

/// Starts a sandbox with both emulated services.
pub async fn start(options: SandboxOptions) -> Result<Sandbox, SandboxError> {
    let (salesforce, hubspot) = services(&options);
    start_with(options, Arc::new(salesforce), Arc::new(hubspot)).await
}

fn services(options: &SandboxOptions) -> (salesforce::SalesforceService, hubspot::HubspotService) {
    let salesforce = salesforce::SalesforceService::new(salesforce::options::Options {
        client_id: CLIENT_ID.to_owned(),
        client_secret: CLIENT_SECRET.to_owned(),
        username: options::USERNAME.to_owned(),
        jwt_public_key: options.jwt_public_key.clone(),
        daily_limit: options.salesforce_daily_limit,
        token_lifetime: options.token_lifetime,
        visibility_delay: options.visibility_delay,
        seed: options.seed,
    });
    let hubspot = hubspot::HubspotService::new(hubspot::options::Options {
        portal_id: PORTAL_ID,
        access_token: HUBSPOT_TOKEN.to_owned(),
        rate_limit: options.rate_limit,
        daily_limit: options.hubspot_daily_limit,
        seed: options.seed,
        // HubSpot speaks of a few moments; two seconds are enough for a client that relies on search to fail.
        search_lag: Duration::from_secs(2),
    });
    (salesforce, hubspot)
}

fn world(
    options: &SandboxOptions,
    salesforce: Arc<dyn Service>,
    hubspot: Arc<dyn Service>,
) -> Result<World, SandboxError> {
    let faults = Faults::new(options.seed);
    if let Some(plan) = &options.faults {
        faults.add(plan).map_err(SandboxError::Faults)?;
    }
    Ok(World::new(VirtualClock::new(options.clock.clone()), faults, salesforce, hubspot))
}

/// A sandbox that nobody can reach over the network: it answers [`Sandbox::answer`] only.
pub fn unserved(options: &SandboxOptions) -> Result<Sandbox, SandboxError> {
    let (salesforce, hubspot) = services(options);
    let world = Arc::new(world(options, Arc::new(salesforce), Arc::new(hubspot))?);
    fill(&world, options)?;
    Ok(Sandbox::around(world, None))
}

/// Starts two services of the caller's, which are filled with the sample world or with what the data file kept.
pub async fn start_with(
    options: SandboxOptions,
    salesforce: Arc<dyn Service>,
    hubspot: Arc<dyn Service>,
) -> Result<Sandbox, SandboxError> {
    let addresses = [("salesforce", options.salesforce), ("hubspot", options.hubspot), ("control", options.control)];
    // Before anything listens.
    if let Some((service, address)) = addresses.into_iter().find(|(_, address)| !address.ip().is_loopback()) {
        return Err(SandboxError::NotLoopback { service, address });
    }
    let world = Arc::new(world(&options, salesforce.clone(), hubspot.clone())?);
    let data = options.data.clone().map(|path| Arc::new(DataFile::new(path)));
    let kept = data.as_ref().map(|file| file.load(&world)).transpose()?.unwrap_or(false);
    if !kept {
        fill(&world, &options)?;
    } else if let (Some(path), true) = (&options.data, options.worlds != load::worlds::Worlds::default()) {
        return Err(SandboxError::TwoWorlds { path: path.clone() });
    }
    let mut sandbox = Sandbox::around(world.clone(), data);
    let answer = |service| Arc::new(ServiceAnswer::new(world.clone(), service, options.latency));
    sandbox.salesforce_url = sandbox.listen("salesforce", options.salesforce, answer(salesforce)).await?;
    sandbox.hubspot_url = sandbox.listen("hubspot", options.hubspot, answer(hubspot)).await?;
    let control = Arc::new(ControlAnswer::new(world.clone()));
    sandbox.control_url = sandbox.listen("control", options.control, control).await?;
    if let Some(file) = &sandbox.data {
        sandbox.tasks.spawn(data::keep_saved(file.clone(), world, sandbox.cancel.clone()));
    }
    Ok(sandbox)
}

/// Hands each service its half of the world.
fn fill(world: &World, options: &SandboxOptions) -> Result<(), SandboxError> {
    let seed = seed::world(options.seed, options.records);
    let halves = [
        ("salesforce", &options.worlds.salesforce, &seed.salesforce),
        ("hubspot", &options.worlds.hubspot, &seed.hubspot),
    ];
    for (service, read, sample) in halves {
        world.control(service, "seed", read.as_ref().unwrap_or(sample)).map_err(|reason| match read {
            Some(_) => SandboxError::World { service, reason },
            None => SandboxError::Seed { service, reason },
        })?;
    }
    let samples = options.samples.then(|| seed::samples(options.seed, options.records));
    for (service, more) in
        samples.iter().flat_map(|seed| [("salesforce", &seed.salesforce), ("hubspot", &seed.hubspot)])
    {
        world.control(service, "seed", more).map_err(|reason| SandboxError::Seed { service, reason })?;
    }
    Ok(())
}

impl Sandbox {
    fn around(world: Arc<World>, data: Option<Arc<DataFile>>) -> Self {
        Self {
            salesforce_url: String::new(),
            hubspot_url: String::new(),
            control_url: String::new(),
            world,
            data,
            cancel: Cancel::new(),
            tasks: JoinSet::new(),
        }
    }

    /// The answer of a service (`salesforce` or `hubspot`) to a request, without a network in between. What befalls the answer on
    /// its way is left to the caller.
    pub fn answer(&self, service: &str, request: &Request) -> Result<Reply, SandboxError> {
        let service = Arc::clone(self.world.service(service).map_err(SandboxError::Control)?);
        Ok(ServiceAnswer::new(Arc::clone(&self.world), service, Duration::ZERO).answer(request))
    }

    async fn listen(
        &mut self,
        service: &'static str,
        address: SocketAddr,
        answer: Arc<dyn Answer>,
    ) -> Result<String, SandboxError> {
        let failed = |source| SandboxError::Listen { service, address, source };
        let listener = TcpListener::bind(address).await.map_err(failed)?;
        // With port 0 only the listener knows which port it got.
        let address = listener.local_addr().map_err(failed)?;
        self.tasks.spawn(server::serve(listener, answer, self.cancel.clone()));
        Ok(format!("http://{address}"))
    }

    /// Carries out an action of a service's control API (`salesforce` or `hubspot`).
    pub fn control(&self, service: &str, action: &str, arguments: &Value) -> Result<Value, SandboxError> {
        self.world.control(service, action, arguments).map_err(SandboxError::Control)
    }

    /// The state of both services, as JSON with the keys `salesforce` and `hubspot`.
    pub fn dump(&self) -> Value {
        self.world.dump()
    }

    /// Takes back what [`Sandbox::dump`] gave.
    pub fn restore(&self, dump: &Value) -> Result<(), SandboxError> {
        self.world.restore(dump).map_err(SandboxError::Control)
    }

    /// The last requests to both services, oldest first.
    pub fn requests(&self) -> Vec<Entry> {
        // Without a glob nothing can be wrong with it.
        self.world.ledger.find(None, None).unwrap_or_default()
    }

    /// How many requests of each kind there were.
    pub fn counts(&self) -> Vec<Count> {
        self.world.ledger.counts()
    }

    /// Forgets the requests.
    pub fn forget_requests(&self) {
        self.world.ledger.clear();
    }

    /// Adds fault rules to those in force.
    pub fn add_faults(&self, plan: &FaultPlan) -> Result<(), SandboxError> {
        self.world.faults.add(plan).map_err(SandboxError::Faults)
    }

    /// The fault rules in force, with their counters.
    pub fn faults(&self) -> Value {
        self.world.faults.list()
    }

    /// Removes all fault rules.
    pub fn clear_faults(&self) {
        self.world.faults.clear();
    }

    /// The sandbox's time.
    pub fn now(&self) -> jiff::Timestamp {
        self.world.clock.now()
    }

    /// Sets the sandbox's time, forward or back.
    pub fn set_time(&self, time: jiff::Timestamp) {
        self.world.clock.set(time);
        self.world.note_change();
    }

    /// Moves the sandbox's time forward.
    pub fn advance(&self, duration: Duration) {
        self.world.clock.advance(duration);
        self.world.note_change();
    }

    /// A ready `syncline.yaml` for this sandbox.
    pub fn project_yaml(&self) -> String {
        let Self { salesforce_url, hubspot_url, .. } = self;
        format!(
            "# yaml-language-server: $schema=schemas/project.schema.json
version: 1
connections:
  salesforce:
    type: salesforce
    login_url: {salesforce_url}
    auth:
      client_credentials:
        client_id: {CLIENT_ID}
        client_secret: {CLIENT_SECRET}
  hubspot:
    type: hubspot
    base_url: {hubspot_url}
    access_token: {HUBSPOT_TOKEN}
    portal_id: {PORTAL_ID}
state: sqlite:.syncline/state.db
pipelines: pipelines
"
        )
    }

    /// The addresses as JSON, for `--format json`.
    pub fn addresses(&self) -> Value {
        json!({"salesforce": self.salesforce_url, "hubspot": self.hubspot_url, "control": self.control_url})
    }

    /// Ends all listeners and connections, then writes the data file. The state is lost where this fails and no file was kept.
    pub async fn stop(mut self) -> Result<(), SandboxError> {
        self.cancel.cancel();
        // Answers on their way end first, so that what they changed is saved.
        while self.tasks.join_next().await.is_some() {}
        let Some(file) = self.data.take() else { return Ok(()) };
        let (path, world) = (file.path().to_owned(), self.world.clone());
        let saved = tokio::task::spawn_blocking(move || file.save(&world)).await;
        saved.unwrap_or_else(|error| {
            Err(SandboxError::Data { action: "write", path, source: std::io::Error::other(error) })
        })
    }
}

#[cfg(test)]
mod tests;
