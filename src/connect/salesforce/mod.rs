//! Reads a Salesforce org. May use `model`, `sys`, `config`, `ports` and `connect::http`; never HubSpot's folder.

mod csv;
mod describe;
mod errors;
pub mod limits;
mod rows;
mod soql;
mod wire;
