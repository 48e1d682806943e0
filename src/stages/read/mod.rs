//! The read half: holds readers only.

pub mod extract;
pub mod lookup;
pub mod matching;
pub mod resolve;
pub mod still_needed;
pub mod targets;
pub mod transform;
