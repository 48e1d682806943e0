//! Reads a Salesforce org. May use `model`, `sys`, `config`, `ports` and `connect::http`; never HubSpot's folder.

mod api;
mod auth;
mod bulk;
mod csv;
mod deleted;
mod describe;
mod errors;
mod job;
pub mod limits;
pub(in crate::connect) mod oauth;
mod query;
mod reading;
mod ready;
mod rows;
pub mod settings;
mod soql;
pub mod source;
mod split;
pub(in crate::connect) mod wire;
