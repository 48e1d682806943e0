//! Syncline keeps HubSpot custom objects in step with Salesforce objects, from YAML files in git.
//!
//! The order of the modules below is the reading order: from plain data, through definitions and decisions,
//! to the engine and the connectors that it drives. ARCHITECTURE.md holds the law of who may use whom.

pub mod model;

pub mod diagnostic;

pub mod sys;

pub mod config;

pub mod catalog;

pub mod pipeline;

pub mod review;

pub mod ports;

pub mod plan;

pub mod stages;

pub mod engine;

pub mod connect;

pub mod state;

pub mod sandbox;

pub mod project;

pub mod ops;

pub mod serve;

pub mod cli;
