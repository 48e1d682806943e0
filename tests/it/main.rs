//! The one integration-test binary.
#![expect(clippy::unwrap_used, reason = "a test that meets the unexpected should end")]

mod authoring;
mod bulk_faults;
mod catalog;
mod cli;
mod config_cases;
mod continuous;
mod crashes;
mod definition_changes;
mod docs;
mod forge;
mod generated;
mod hostile_files;
mod hubspot_faults;
mod hubspot_records;
mod lifecycle;
mod limits;
mod official_clients;
mod pipeline_tests;
mod plans;
mod properties;
mod quiet;
mod report_page;
mod salesforce_connector;
mod salesforce_faults;
mod salesforce_shapes;
mod sandbox_hubspot;
mod sandbox_salesforce;
mod saved_plans;
mod state_contract;
mod state_files;
mod support;
mod sync_cases;
mod tidy;
mod transform_cases;
mod weather;
