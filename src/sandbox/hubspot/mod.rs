//! The sandbox's HubSpot: one portal in memory, API 2026-09 with the older paths as aliases. Strict: wrong requests get the
//! error bodies that the real service sends.

pub mod answers;
pub mod associations;
pub mod batch;
pub mod body;
pub mod columns;
pub mod control;
pub mod fields;
pub mod grants;
pub mod groups;
pub mod hashing;
pub mod limits;
pub mod oauth;
pub mod objects;
pub mod options;
pub mod owner_reads;
pub mod owners;
pub mod pairs;
pub mod portal;
pub mod properties;
pub mod rest;
pub mod rules;
pub mod schemas;
pub mod search;
pub mod standard;
pub mod standard_properties;
pub mod store;
pub mod tokens;
pub mod usage;
pub mod validations;
pub mod values;

use std::sync::{Mutex, PoisonError};

use jiff::Timestamp;
use serde_json::Value;

use crate::sandbox::http::{Reply, Request, Service};
use options::Options;
use portal::Portal;

/// The service.
pub struct HubspotService {
    portal: Mutex<Portal>,
}

impl HubspotService {
    /// An empty portal.
    pub fn new(options: Options) -> Self {
        let mut portal = Portal::new(options);
        schemas::standard_objects(&mut portal);
        Self { portal: Mutex::new(portal) }
    }

    fn portal(&self) -> std::sync::MutexGuard<'_, Portal> {
        self.portal.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

impl Service for HubspotService {
    fn name(&self) -> &'static str {
        "hubspot"
    }

    fn handle(&self, request: &Request, now: Timestamp) -> Reply {
        rest::answer(&mut self.portal(), request, now)
    }

    fn control(&self, action: &str, arguments: &Value, now: Timestamp) -> Result<Value, String> {
        control::carry_out(&mut self.portal(), action, arguments, now)
    }

    fn dump(&self) -> Value {
        self.portal().dump()
    }

    fn restore(&self, dump: &Value) -> Result<(), String> {
        self.portal().restore(dump)
    }
}
