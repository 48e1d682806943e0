//! The only outbound connections. `salesforce` and `hubspot` share `http` and never use each other.

pub mod alerts;
pub mod http;
pub mod hubspot;
pub mod login;
pub mod salesforce;
#[cfg(feature = "otel")]
pub mod traces;
