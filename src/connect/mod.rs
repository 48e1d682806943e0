//! The only outbound connections. Each vendor's folder knows its own API and never the other's.

pub mod salesforce;
