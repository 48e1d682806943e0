//! The read half: holds readers only.

pub mod extract;
pub mod held;
pub mod lookup;
pub mod matching;
pub mod resolve;
pub mod targets;
pub mod transform;
