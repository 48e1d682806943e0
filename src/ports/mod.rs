//! What the engine needs of the world, as traits. Reading and writing are apart, so that a dry run cannot write.
//! Uses `model` only.

pub mod alerts;
pub mod deployments;
pub mod facts;
pub mod fault;
pub mod org_calls;
pub mod overview;
pub mod source;
pub mod state;
pub mod store;
pub mod target;
pub mod turns;
