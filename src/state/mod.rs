//! The only database code: what is remembered between runs, behind the ports of `ports::state`.

pub mod address;
pub mod alerts;
pub mod associations;
pub mod before;
mod bound;
pub mod care;
pub mod cared;
pub mod carried_out;
pub mod commit;
mod comparisons;
pub mod copy;
pub mod database;
pub mod directory;
pub mod due;
pub mod failures;
pub mod identities;
pub mod inserts;
pub mod kept;
pub mod lease;
pub mod lookups;
pub mod open;
pub mod overview;
pub mod pairs;
pub mod pipelines;
#[cfg(feature = "postgres")]
pub mod postgres;
mod reader;
mod relabelled;
pub mod rows;
pub mod runs;
pub mod sqlite;
pub mod store;
pub mod together;
pub mod unconfirmed;
pub mod writer;
