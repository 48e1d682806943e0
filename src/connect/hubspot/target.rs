//! A HubSpot connection, and the handles through which runs use it.

use std::sync::Arc;
use std::time::Duration;

use futures_util::FutureExt;
use futures_util::future::BoxFuture;
use jiff::SignedDuration;

use super::api::{self, Api};
use super::schemas::Schemas;
use super::settings::HubspotSettings;
use super::{associations, objects, owners, schemas};
use crate::connect::http::calls::Calls;
use crate::model::association::AssociationType;
use crate::model::ids::HubspotId;
use crate::model::object::{ObjectSummary, TargetObject};
use crate::model::owners::Owners;
use crate::ports::fault::Fault;
use crate::ports::target::{
    Account, Lookup, PairOutcome, PairTypes, TargetPage, TargetReader, TargetRecord, TargetWriter, WriteBatch,
    WriteOutcome,
};
use crate::sys::cancel::Cancel;
use crate::sys::clock::Clock;
use crate::sys::network::Network;
use crate::sys::rng::Rng;

/// Longest time that a call may be on its way.
pub const CALL_LONGEST: Duration = api::EXCHANGE_TIME_MAX;

/// A connection to one portal: one client, one rate limit.
#[derive(Clone)]
pub struct HubspotConnection(Arc<Api>);

impl HubspotConnection {
    /// Sets a connection up; nothing is sent yet.
    pub fn new(
        settings: HubspotSettings,
        network: &Network,
        clock: Clock,
        rng: Rng,
        cancel: Cancel,
    ) -> Result<Self, Fault> {
        Api::new(settings, network, clock, rng, cancel).map(|api| Self(Arc::new(api)))
    }

    /// Calls a second at present.
    pub fn calls_per_second(&self) -> f64 {
        self.0.calls_per_second()
    }

    /// What its rate limit is for: an app of a portal. A token belongs to one portal; an app has many.
    pub fn limited(&self, portal: Option<u64>) -> String {
        self.0.limited(portal)
    }

    /// Takes over from somebody who had the portal until so long ago, with so many calls in the window of its rate limit; all that it allows
    /// where nobody knows.
    pub fn inherit(&self, calls: Option<u32>, ago: Duration) {
        self.0.inherit(calls, ago);
    }

    /// How many calls stand in the window of the rate limit.
    pub fn calls_lately(&self) -> u32 {
        self.0.calls_lately()
    }

    /// A handle that counts its own calls, for use in passing.
    pub fn handle(&self) -> HubspotTarget {
        HubspotTarget::new(&self.0, Calls::passing(&self.0.unclaimed))
    }

    /// The handle of a run, which also counts what nobody has counted.
    pub fn handle_of_run(&self) -> HubspotTarget {
        HubspotTarget::new(&self.0.of_run(), Calls::of_run(&self.0.unclaimed))
    }

    /// The same for a comparison of both systems, which takes no more than half of the rate limit while other runs wait for their turn.
    pub fn handle_of_comparison(&self) -> HubspotTarget {
        HubspotTarget::new(&self.0.of_comparison(), Calls::of_run(&self.0.unclaimed))
    }
}

/// A handle on a connection. Clones count together, and what one has read of the portal's objects, all know.
#[derive(Clone)]
pub struct HubspotTarget {
    /// For what is read.
    api: Arc<Api>,
    /// For what is written.
    writes: Arc<Api>,
    calls: Arc<Calls>,
    schemas: Arc<Schemas>,
}

impl HubspotTarget {
    fn new(api: &Api, calls: Calls) -> Self {
        let (api, writes) = (Arc::new(api.clone()), Arc::new(api.another_turn()));
        Self { api, writes, calls: Arc::new(calls), schemas: Arc::default() }
    }

    /// All custom objects of the portal, and the standard ones that Syncline knows.
    pub async fn objects(&self) -> Result<Vec<ObjectSummary>, Fault> {
        schemas::objects(&self.api, &self.calls, &self.schemas).await
    }

    /// Makes a custom object from a schema's body as HubSpot takes it; gives its type id.
    pub async fn create_object(&self, body: &serde_json::Value) -> Result<String, Fault> {
        schemas::create(&self.api, &self.calls, body).await
    }

    /// Defines the association of a custom object with itself.
    pub async fn associate_with_itself(&self, id: &str, name: &str) -> Result<(), Fault> {
        schemas::associate_with_itself(&self.api, &self.calls, id, name).await
    }

    /// Whether the portal has an archived custom object of this name.
    pub async fn is_archived(&self, name: &str) -> Result<bool, Fault> {
        schemas::is_archived(&self.api, &self.calls, name).await
    }

    /// Calls of the day, as the latest answer told them: used by all apps, and allowed.
    pub fn daily_calls(&self) -> Option<(u64, u64)> {
        self.api.daily_calls()
    }

    /// How far this computer's clock is ahead of HubSpot's; none where no answer told its time.
    pub fn clock_ahead(&self) -> Option<SignedDuration> {
        self.api.ahead()
    }

    /// How many custom objects the account may have, and has; none where the portal does not tell.
    pub async fn custom_object_limit(&self) -> Option<(u64, u64)> {
        schemas::limit(&self.api, &self.calls).await
    }
}

impl TargetReader for HubspotTarget {
    fn account(&self) -> BoxFuture<'_, Result<Account, Fault>> {
        schemas::account(&self.api, &self.calls).boxed()
    }

    fn describe<'a>(&'a self, object: &'a str) -> BoxFuture<'a, Result<TargetObject, Fault>> {
        schemas::describe(&self.api, &self.calls, &self.schemas, object).boxed()
    }

    fn association_types<'a>(
        &'a self,
        from: &'a str,
        to: &'a str,
    ) -> BoxFuture<'a, Result<Vec<AssociationType>, Fault>> {
        associations::types(&self.api, &self.calls, from, to).boxed()
    }

    fn owners(&self) -> BoxFuture<'_, Result<Owners, Fault>> {
        owners::all(&self.api, &self.calls).boxed()
    }

    fn read_by_key<'a>(
        &'a self,
        object: &'a str,
        key_property: &'a str,
        keys: &'a [String],
        properties: &'a [Arc<str>],
    ) -> BoxFuture<'a, Result<Vec<Lookup<TargetRecord>>, Fault>> {
        objects::read_by_key(&self.api, &self.calls, object, key_property, keys, properties).boxed()
    }

    fn list<'a>(
        &'a self,
        object: &'a str,
        properties: &'a [Arc<str>],
        after: Option<&'a str>,
    ) -> BoxFuture<'a, Result<TargetPage, Fault>> {
        objects::list(&self.api, &self.calls, object, properties, after).boxed()
    }

    fn search<'a>(
        &'a self,
        object: &'a str,
        property: &'a str,
        values: &'a [String],
    ) -> BoxFuture<'a, Result<Vec<TargetRecord>, Fault>> {
        objects::search(&self.api, &self.calls, object, property, values).boxed()
    }

    fn associations<'a>(
        &'a self,
        from_object: &'a str,
        to_object: &'a str,
        from: &'a [HubspotId],
    ) -> BoxFuture<'a, Result<Vec<Lookup<Vec<PairTypes>>>, Fault>> {
        associations::read(&self.api, &self.calls, from_object, to_object, from).boxed()
    }

    fn calls(&self) -> u64 {
        self.calls.total()
    }

    fn calls_per_second(&self) -> f64 {
        self.api.calls_per_second()
    }

    fn calls_under_way(&self) -> usize {
        self.api.calls_under_way()
    }
}

impl TargetWriter for HubspotTarget {
    fn write<'a>(&'a self, batch: &'a WriteBatch<'a>) -> BoxFuture<'a, Result<Vec<WriteOutcome>, Fault>> {
        objects::write(&self.writes, &self.calls, batch).boxed()
    }

    fn archive<'a>(&'a self, object: &'a str, ids: &'a [HubspotId]) -> BoxFuture<'a, Result<(), Fault>> {
        objects::archive(&self.writes, &self.calls, object, ids).boxed()
    }

    fn associate<'a>(
        &'a self,
        from_object: &'a str,
        to_object: &'a str,
        pairs: &'a [PairTypes],
    ) -> BoxFuture<'a, Result<Vec<PairOutcome>, Fault>> {
        associations::make(&self.writes, &self.calls, from_object, to_object, pairs).boxed()
    }

    fn disassociate<'a>(
        &'a self,
        from_object: &'a str,
        to_object: &'a str,
        pairs: &'a [PairTypes],
    ) -> BoxFuture<'a, Result<Vec<PairOutcome>, Fault>> {
        associations::remove(&self.writes, &self.calls, from_object, to_object, pairs).boxed()
    }
}
