//! The state in PostgreSQL, behind the feature `postgres`. One database holds many states.

pub mod alerts;
pub mod associations;
pub mod care;
pub mod connections;
pub mod copy;
pub mod deployments;
pub mod failures;
pub mod fault;
pub mod held;
pub mod identities;
pub mod lease;
pub mod lookups;
pub mod notes;
pub mod overview;
pub mod pipelines;
pub mod portals;
pub mod process;
pub mod reader;
pub mod right;
pub mod rows;
pub mod runs;
pub mod schema;
pub mod store;
pub mod turns;
pub mod unconfirmed;
pub mod writer;
