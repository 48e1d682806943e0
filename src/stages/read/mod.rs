//! The read half: holds readers only.

pub mod adoptable;
pub mod associations;
pub mod due;
pub mod extract;
pub mod first_import;
pub mod junction;
pub mod lookup;
pub mod lost;
pub mod matching;
pub mod names;
pub mod planned_pairs;
pub mod readings;
pub mod resolve;
pub mod targets;
pub mod transform;
