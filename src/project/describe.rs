//! What the two systems say of their objects. Each is asked once in a command, whoever needs the answer, and a connection
//! that does not work is not tried again for the next pipeline.

use std::collections::{BTreeMap, HashMap};
use std::sync::Arc;

use futures_util::future::join_all;

use super::error::OpsError;
use super::portal::Portal;
use super::wiring::Project;
use crate::config::load::LoadedPipeline;
use crate::connect::hubspot::target::HubspotTarget;
use crate::model::association::AssociationType;
use crate::model::object::{Sources, TargetObject};
use crate::pipeline::compile::parents;
use crate::pipeline::field::PARENTS_MAX;
use crate::ports::fault::{Fault, RemoteError};
use crate::ports::source::Source;
use crate::ports::store::Store;
use crate::ports::target::TargetReader;

/// Objects that were described already, and connections that were found not to work.
pub struct Describer<'a> {
    project: &'a Project,
    /// By connection, then by object in lower case.
    sources: HashMap<String, Sources>,
    targets: HashMap<(String, String), TargetObject>,
    /// Association types by connection and the type ids of both objects.
    types: HashMap<(String, String, String), Vec<AssociationType>>,
    /// One handle a connection, which reads the list of a portal's objects once.
    handles: HashMap<String, HubspotTarget>,
    /// Portal ids by connection.
    portals: HashMap<String, u64>,
    /// What keeps a connection from being used, until the command ends.
    broken: HashMap<String, Fault>,
    /// What each answer of HubSpot has cost, by what was asked for.
    costs: HashMap<String, u64>,
    /// Calls to either system so far.
    calls: SetUp,
}

/// Handles on HubSpot connections, by the names of the connections. A handle reads the list of a portal's objects once.
#[derive(Clone, Default)]
pub struct Handles(pub BTreeMap<String, Arc<dyn TargetReader>>);

/// Calls that it takes to read the list of a portal's objects.
const LIST_CALLS: u64 = 1;

/// Calls that it takes to describe an object whose type id is known.
/// The schema, and the rules for its properties, which HubSpot keeps apart.
const DESCRIBE_CALLS: u64 = 2;

/// Calls that are made before a run begins.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq)]
pub struct SetUp {
    /// To Salesforce.
    pub salesforce_calls: u64,
    /// To HubSpot.
    pub hubspot_calls: u64,
}

impl SetUp {
    /// What came since.
    pub fn since(self, before: Self) -> Self {
        Self {
            salesforce_calls: self.salesforce_calls - before.salesforce_calls,
            hubspot_calls: self.hubspot_calls - before.hubspot_calls,
        }
    }
}

/// A view of a portal while a pipeline is compiled against it.
pub struct PortalView {
    /// Nothing is asked: what the view lacks makes the attempt fail.
    pub saved: bool,
    /// What the pipeline needs to know.
    pub portal: Portal,
    /// Calls that it takes to ask for all of it.
    pub hubspot_calls: u64,
}

impl PortalView {
    /// A view in which nothing is known yet.
    pub fn live(portal_id: u64, hubspot_calls: u64) -> Self {
        Self { saved: false, portal: Portal { portal_id, ..Portal::default() }, hubspot_calls }
    }

    /// What was saved of a portal.
    pub fn saved(portal: Portal) -> Self {
        Self { saved: true, portal, hubspot_calls: 0 }
    }

    fn must_be_live(&self) -> Result<(), OpsError> {
        let missing = || OpsError::refused("SL9002", "something about the portal is not known yet", "");
        if self.saved { Err(missing()) } else { Ok(()) }
    }
}

/// Whether a final refusal is about the object that was asked for. Refused logins, ended sessions and unusable settings
/// concern the connection, whatever object was asked for.
pub fn is_about_object(error: &RemoteError) -> bool {
    let of_login = ["SL4101", "SL4102", "SL4115"].contains(&error.code) || error.code.starts_with("SL42");
    !matches!(error.status, Some(401 | 403 | 429)) && !of_login
}

/// Whether a fault keeps everybody from using the connection.
pub fn is_about_connection(fault: &Fault) -> bool {
    match fault {
        Fault::Halt(error) => !is_about_object(error),
        // Retries are over by now: a service that is away is away for all pipelines of the command.
        Fault::Retry(_) | Fault::Unknown(_) | Fault::Budget { .. } => true,
        Fault::Cancelled | Fault::Reject(_) | Fault::PlaceLost(_) => false,
    }
}

impl<'a> Describer<'a> {
    /// Nothing was asked yet.
    pub fn new(project: &'a Project) -> Self {
        Self {
            project,
            sources: HashMap::new(),
            targets: HashMap::new(),
            types: HashMap::new(),
            handles: HashMap::new(),
            portals: HashMap::new(),
            broken: HashMap::new(),
            costs: HashMap::new(),
            calls: SetUp::default(),
        }
    }

    /// The source objects of a connection that are known by now, by their names in lower case.
    pub fn sources(&self, connection: &str) -> Option<&Sources> {
        self.sources.get(connection)
    }

    /// The handles on HubSpot connections that were used, with what they have read.
    pub fn into_handles(self) -> Handles {
        let shared = self.handles.into_iter().map(|(name, handle)| (name, Arc::new(handle) as Arc<dyn TargetReader>));
        Handles(shared.collect())
    }

    /// Calls that were made so far.
    pub fn calls(&self) -> SetUp {
        self.calls
    }

    /// What it takes to ask for the id of a connection's portal.
    pub fn cost_of_portal(&self, connection: &str) -> u64 {
        self.costs.get(connection).copied().unwrap_or_default()
    }

    /// The handle on a HubSpot connection.
    fn handle(&mut self, connection: &str) -> Result<HubspotTarget, OpsError> {
        if let Some(known) = self.handles.get(connection) {
            return Ok(known.clone());
        }
        let handle = self.project.target(connection)?;
        self.handles.insert(connection.to_owned(), handle.clone());
        Ok(handle)
    }

    /// Counts calls to HubSpot, and what they were for.
    fn count_hubspot_calls(&mut self, what: String, calls: u64) {
        self.calls.hubspot_calls += calls;
        self.costs.insert(what, calls);
    }

    /// Remembers that a connection does not work.
    fn remember_broken<T>(&mut self, connection: &str, answer: Result<T, Fault>) -> Result<T, Fault> {
        if let Err(fault) = &answer
            && is_about_connection(fault)
        {
            self.broken.insert(connection.to_owned(), fault.clone());
        }
        answer
    }

    fn must_work(&self, connection: &str) -> Result<(), Fault> {
        self.broken.get(connection).map_or(Ok(()), |fault| Err(fault.clone()))
    }

    /// Describes the source object and, step by step, the parents that paths go through; else names the object that is not
    /// there.
    pub async fn describe_sources(&mut self, loaded: &LoadedPipeline) -> Result<Result<(), (String, Fault)>, OpsError> {
        let connection = &loaded.config.source.connection;
        let source = self.project.source(connection)?;
        // Each round describes the objects of one more step; a path has no more of them.
        for _ in 0..=PARENTS_MAX {
            let missing = parents(&loaded.config, self.sources.entry(connection.clone()).or_default());
            // Parents are asked for at once, as the source object has shown that Salesforce answers.
            let works = self.must_work(connection);
            let described = missing.iter().map(|object| async {
                match works.clone() {
                    Ok(()) => source.describe(object).await,
                    Err(fault) => Err(fault),
                }
            });
            for (object, described) in missing.iter().zip(join_all(described).await) {
                match self.remember_broken(connection, described) {
                    Ok(described) => {
                        let known = self.sources.entry(connection.clone()).or_default();
                        known.insert(object.to_ascii_lowercase(), Arc::new(described));
                    }
                    Err(fault) => return Ok(Err((object.clone(), fault))),
                }
            }
            if missing.is_empty() {
                break;
            }
        }
        self.calls.salesforce_calls += source.calls();
        Ok(Ok(()))
    }

    /// Refuses to go on when the state was made with another org: a copy of one has the same ids.
    pub async fn bind_org(&mut self, connection: &str, state: &dyn Store) -> Result<(), OpsError> {
        let remote = |fault| OpsError::Remote { pipeline: None, fault };
        let org = self.project.source(connection)?.org().await;
        match self.remember_broken(connection, org).map_err(remote)? {
            Some(org) => Ok(state.bind(&format!("salesforce:{connection}"), &format!("org {org}")).await?),
            // A login by a given token does not tell its org.
            None => Ok(()),
        }
    }

    /// Asks at once for what a pipeline needs to know of a portal: the account, and its objects, of which the first is its own; then
    /// the types of associations from that one. What does not come is asked for again by whoever needs it, who says why.
    pub async fn read_ahead(&mut self, connection: &str, objects: &[String], to: &[String]) -> Result<(), OpsError> {
        if self.must_work(connection).is_err() {
            return Ok(());
        }
        let target = self.handle(connection)?;
        let before = target.calls();
        let key = |object: &str| (connection.to_owned(), object.to_ascii_lowercase());
        let mut missing: Vec<&String> =
            objects.iter().filter(|object| !self.targets.contains_key(&key(object))).collect();
        missing.sort_by_key(|object| object.to_ascii_lowercase());
        missing.dedup_by_key(|object| object.to_ascii_lowercase());
        let known = self.portals.contains_key(connection);
        let account = async { if known { None } else { target.account().await.ok() } };
        // At once: each is a call of some hundred milliseconds, and a pipeline needs several.
        let described = join_all(missing.iter().map(|object| target.describe(object)));
        let (account, described) = tokio::join!(account, described);
        if let Some(account) = account {
            self.portals.insert(connection.to_owned(), account.portal_id);
            self.costs.insert(connection.to_owned(), 1);
        }
        for (object, described) in missing.into_iter().zip(described) {
            if let Ok(described) = described {
                let (_, lower) = key(object);
                self.costs.insert(format!("{connection}/{lower}"), DESCRIBE_CALLS);
                self.targets.insert((connection.to_owned(), lower), described);
            }
        }
        if let Some(from) = objects.first() {
            self.read_types_ahead(connection, (from, to), &target).await;
        }
        self.calls.hubspot_calls += target.calls() - before;
        Ok(())
    }

    /// The same for the types of associations of one object with others.
    async fn read_types_ahead(
        &mut self,
        connection: &str,
        (from, others): (&String, &[String]),
        target: &HubspotTarget,
    ) {
        let id = |object: &String| {
            let described = self.targets.get(&(connection.to_owned(), object.to_ascii_lowercase()));
            described.map(|described| described.object_type_id.clone())
        };
        let Some(from) = id(from) else { return };
        let mut others: Vec<String> = others.iter().filter_map(id).collect();
        others.sort();
        others.dedup();
        let key = |other: &str| (connection.to_owned(), from.clone(), other.to_owned());
        others.retain(|other| !self.types.contains_key(&key(other)));
        let types = join_all(others.iter().map(|other| target.association_types(&from, other))).await;
        for (other, types) in others.iter().zip(types) {
            if let Ok(types) = types {
                self.types.insert(key(other), types);
            }
        }
    }

    /// The portal behind a connection. Refuses to go on when it is another than configured, or than the state was made
    /// with.
    pub async fn portal_id(&mut self, connection: &str, state: Option<&dyn Store>) -> Result<u64, OpsError> {
        let found = match self.portals.get(connection) {
            Some(known) => *known,
            None => {
                let remote = |fault| OpsError::Remote { pipeline: None, fault };
                self.must_work(connection).map_err(remote)?;
                let target = self.handle(connection)?;
                let before = target.calls();
                let account = target.account().await;
                self.count_hubspot_calls(connection.to_owned(), target.calls() - before);
                self.remember_broken(connection, account).map_err(remote)?.portal_id
            }
        };
        self.portals.insert(connection.to_owned(), found);
        if let Some(expected) = self.project.portal_id(connection).filter(|expected| *expected != found) {
            return Err(OpsError::refused(
                "SL3005",
                format!("the connection `{connection}` leads to portal {found}, not to {expected}"),
                "nothing was written; use the token of the right portal, or correct `portal_id`",
            ));
        }
        if let Some(state) = state {
            state.bind(&format!("hubspot:{connection}"), &format!("portal {found}")).await?;
        }
        Ok(found)
    }

    /// Whether a connection may lead to a portal, as far as syncline.yaml tells.
    pub fn may_lead_to(&self, connection: &str, portal_id: u64) -> bool {
        self.project.portal_id(connection).is_none_or(|expected| expected == portal_id)
    }

    /// A HubSpot object, as the view knows it or as the portal says now.
    pub async fn target(
        &mut self,
        connection: &str,
        object: &str,
        view: &mut PortalView,
    ) -> Result<Result<TargetObject, Fault>, OpsError> {
        let lower = object.to_ascii_lowercase();
        if let Some(known) = view.portal.objects.get(&lower) {
            return Ok(Ok(known.clone()));
        }
        view.must_be_live()?;
        let key = (connection.to_owned(), lower.clone());
        let described = match (self.targets.get(&key), self.must_work(connection)) {
            (Some(known), _) => Ok(known.clone()),
            (None, Ok(())) => {
                let target = self.handle(connection)?;
                let before = target.calls();
                let described = target.describe(object).await;
                let calls = target.calls() - before;
                self.count_hubspot_calls(format!("{connection}/{lower}"), calls);
                if !self.targets.keys().any(|(known, _)| known == connection) {
                    // The list of objects is read once, whoever needs it first.
                    self.costs.insert(format!("{connection}/{lower}"), calls.saturating_sub(LIST_CALLS));
                }
                self.remember_broken(connection, described)
            }
            (None, Err(fault)) => Err(fault),
        };
        if let Ok(described) = &described {
            // The list of objects is counted with the first one of each pipeline, as if it ran alone.
            view.hubspot_calls += if view.portal.objects.is_empty() { LIST_CALLS } else { 0 };
            view.hubspot_calls += self.costs.get(&format!("{connection}/{lower}")).copied().unwrap_or_default();
            self.targets.insert(key, described.clone());
            view.portal.objects.insert(lower, described.clone());
        }
        Ok(described)
    }

    /// The association types from one object to another.
    pub async fn association_types(
        &mut self,
        connection: &str,
        from_object: &str,
        other: &str,
        view: &mut PortalView,
    ) -> Result<Result<Vec<AssociationType>, Fault>, OpsError> {
        if let Some(known) = view.portal.types.get(other) {
            return Ok(Ok(known.clone()));
        }
        view.must_be_live()?;
        let key = (connection.to_owned(), from_object.to_owned(), other.to_owned());
        let types = match self.must_work(connection) {
            _ if self.types.contains_key(&key) => {
                view.hubspot_calls += 1;
                Ok(self.types.get(&key).cloned().unwrap_or_default())
            }
            Ok(()) => {
                let target = self.handle(connection)?;
                let before = target.calls();
                let types = target.association_types(from_object, other).await;
                self.calls.hubspot_calls += target.calls() - before;
                view.hubspot_calls += target.calls() - before;
                self.remember_broken(connection, types)
            }
            Err(fault) => Err(fault),
        };
        if let Ok(types) = &types {
            self.types.insert(key, types.clone());
            view.portal.types.insert(other.to_owned(), types.clone());
        }
        Ok(types)
    }
}
