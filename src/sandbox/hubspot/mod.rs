//! The sandbox's HubSpot: one portal in memory, API 2026-09 with the older paths as aliases. Strict: wrong requests get the
//! error bodies that the real service sends.

pub mod answers;
pub mod associations;
pub mod batch;
pub mod control;
pub mod limits;
pub mod links;
pub mod objects;
pub mod portal;
pub mod properties;
pub mod rest;
pub mod schemas;
pub mod search;
pub mod tokens;
pub mod validations;
pub mod values;

use std::sync::{Mutex, PoisonError};
use std::time::Duration;

use jiff::Timestamp;
use serde_json::Value;

use crate::sandbox::http::{Reply, Request, Service};
use portal::Portal;

/// How the portal is set up.
#[derive(Debug, Clone)]
pub struct Options {
    /// Its number.
    pub portal_id: u64,
    /// The token that opens it.
    pub access_token: String,
    /// So many calls in so long a window.
    pub rate_limit: (u32, Duration),
    /// Calls of a day.
    pub daily_limit: u64,
    /// Seed of the order in which batch results come.
    pub seed: u64,
    /// How long search lags behind.
    pub search_lag: Duration,
}

/// The service.
pub struct HubspotService {
    portal: Mutex<Portal>,
}

impl HubspotService {
    /// An empty portal.
    pub fn new(options: Options) -> Self {
        Self { portal: Mutex::new(Portal::new(options)) }
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
