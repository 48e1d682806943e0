//! The stage runner: batches through stages, with bounded queues, cancel and resume. Knows ports, never a vendor.

pub mod alerts;
pub mod assume;
pub mod batch;
pub mod budget;
pub mod by_id;
pub mod catch_up;
pub mod cycle;
pub mod cycle_place;
pub mod definition;
pub mod deliver;
pub mod forecast;
pub mod objects;
pub mod parents;
pub mod plan_entries;
pub mod positions;
pub mod queries;
pub mod read_ahead;
pub mod reconcile;
pub mod reject_guard;
pub mod request;
pub mod run;
pub mod runner;
mod stop;
pub mod trial;
pub mod unconfirmed;
pub mod visited;
pub mod watermark;
