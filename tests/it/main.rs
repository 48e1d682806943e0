//! The one integration-test binary.
#![expect(clippy::unwrap_used, reason = "a test that meets the unexpected should end")]

mod config_cases;
mod generated;
mod lifecycle;
mod official_clients;
mod quiet;
mod salesforce_connector;
mod support;
mod tidy;
mod transform_cases;
