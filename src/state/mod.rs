//! The only database code: what is remembered between runs, behind the ports of `ports::state`.

pub mod alerts;
pub mod associations;
pub mod commit;
mod comparisons;
pub mod directory;
pub mod failures;
pub mod identities;
pub mod lease;
pub mod open;
pub mod pipelines;
pub mod rows;
pub mod runs;
pub mod sqlite;
pub mod unconfirmed;
pub mod writer;
