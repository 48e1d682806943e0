//! The sandbox's Salesforce: one org in memory, with a SOQL engine of its own. Strict: wrong requests get the error bodies
//! that the real service sends.

pub mod answers;
pub mod assertion;
pub mod bulk;
pub mod cells;
pub mod changes;
pub mod collections;
pub mod columns;
pub mod composite;
pub mod control;
pub mod csv;
pub mod definitions;
pub mod describe;
pub mod json;
pub mod oauth;
pub mod open;
pub mod options;
pub mod org;
pub mod query;
pub mod records;
pub mod rest;
pub mod rows;
pub mod soql;

use std::sync::{Mutex, PoisonError};

use jiff::Timestamp;
use serde_json::Value;

use crate::sandbox::http::{Reply, Request, Service};
use options::Options;
use org::Org;

/// The service.
pub struct SalesforceService {
    org: Mutex<Org>,
}

impl SalesforceService {
    /// An empty org.
    pub fn new(options: Options) -> Self {
        Self { org: Mutex::new(Org::new(options)) }
    }

    fn org(&self) -> std::sync::MutexGuard<'_, Org> {
        self.org.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

impl Service for SalesforceService {
    fn name(&self) -> &'static str {
        "salesforce"
    }

    fn handle(&self, request: &Request, now: Timestamp) -> Reply {
        rest::answer(&mut self.org(), request, now.as_millisecond())
    }

    fn control(&self, action: &str, arguments: &Value, now: Timestamp) -> Result<Value, String> {
        control::carry_out(&mut self.org(), action, arguments, now.as_millisecond())
    }

    fn dump(&self) -> Value {
        self.org().dump()
    }

    fn restore(&self, dump: &Value) -> Result<(), String> {
        self.org().restore(dump)
    }
}
