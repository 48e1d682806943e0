//! The page to look at: how pipelines stand, failures, runs and why, over HTTP; the same as JSON; metrics; a person's marks on
//! failures. A view on `ops`, and the only listener beside the sandbox.

pub mod access;
pub mod answer;
pub mod asked;
pub mod changes;
pub mod connections;
pub mod current;
pub mod events;
pub mod headers;
pub mod metrics;
pub mod page;
pub mod refusals;
pub mod routes;
pub mod server;
pub mod site;
pub mod words;
