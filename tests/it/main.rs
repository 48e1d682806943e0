//! The one integration-test binary.

mod salesforce_connector;
