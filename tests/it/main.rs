//! The one integration-test binary.
#![expect(clippy::unwrap_used, reason = "a test that meets the unexpected should end")]

mod adoption;
mod alerts;
mod associations;
mod authoring;
mod bulk_faults;
mod catalog;
mod cli;
mod completion;
mod config_cases;
mod continuous;
#[cfg(debug_assertions)]
mod crash_points;
mod crashes;
mod definition_changes;
mod definitions;
#[cfg(feature = "postgres")]
mod deploy;
mod docs;
mod doctor;
mod doubts;
mod drafts;
mod estimates;
#[cfg(feature = "postgres")]
mod failover;
mod failures;
#[cfg(feature = "postgres")]
mod fleet;
mod flow;
mod foretold;
mod forge;
mod generated;
mod hostile_files;
mod hubspot_faults;
mod hubspot_records;
mod islands;
mod json_output;
mod junctions;
mod large_inputs;
mod late_targets;
mod lifecycle;
mod limits;
mod login;
mod many_failures;
mod mapping_changes;
mod match_changes;
#[cfg(feature = "mcp")]
mod mcp;
mod modes_and_failures;
mod official_clients;
#[cfg(feature = "otel")]
mod otel;
mod packages;
mod parents;
mod pipeline_tests;
mod plans;
#[cfg(feature = "postgres")]
mod poolers;
mod portal_rules;
mod portals;
#[cfg(feature = "postgres")]
mod postgres;
#[cfg(feature = "postgres")]
mod postgres_store;
mod properties;
mod quiet;
mod readable_output;
mod reading;
mod reconcile;
mod report_page;
mod salesforce_connector;
mod salesforce_faults;
mod salesforce_shapes;
mod samples;
mod sandbox_hubspot;
mod sandbox_salesforce;
mod sandbox_scale;
mod sandbox_worlds;
mod saved_plans;
mod serve;
mod served_page;
mod service;
mod short_answers;
#[cfg(debug_assertions)]
mod simulation;
mod start_guide;
mod state_care;
mod state_contract;
mod state_copy;
mod state_files;
mod state_upgrade;
mod support;
mod sync_cases;
mod targets;
mod template_guide;
mod tidy;
mod transform_cases;
mod trial;
mod trust;
mod weather;
mod why_refresh;
#[cfg(feature = "postgres")]
mod worker_costs;
#[cfg(feature = "postgres")]
mod worker_troubles;
#[cfg(feature = "postgres")]
mod workers;
mod wrong_clocks;
