//! The read half: holds readers only.

pub mod adoptable;
pub mod associations;
pub mod extract;
pub mod lookup;
pub mod matching;
pub mod names;
pub mod resolve;
pub mod targets;
pub mod titles;
pub mod transform;
