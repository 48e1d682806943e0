//! The stage runner: batches through stages, with bounded queues, cancel and resume. Knows ports, never a vendor.

pub mod adopt;
pub mod catch_up;
pub mod certain;
pub mod deliver;
pub mod doubt;
pub mod forecast;
pub mod identity;
pub mod mark;
pub mod places;
pub mod pledge;
pub mod queries;
pub mod runner;
pub mod seen;
pub mod survey;
pub mod work;
