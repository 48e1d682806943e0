//! The one integration-test binary.

mod generated;
mod salesforce_connector;
