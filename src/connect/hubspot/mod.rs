//! Reads and writes a HubSpot portal, API version 2026-09. May use `model`, `sys`, `config`, `ports` and
//! `connect::http`; never Salesforce's folder.

mod api;
mod associations;
mod bodies;
mod errors;
mod limits;
mod lookups;
mod objects;
mod outcomes;
mod owners;
mod plain_types;
mod regular;
mod schemas;
pub mod settings;
mod skim;
pub mod target;
pub(in crate::connect) mod tokens;
mod wire;
