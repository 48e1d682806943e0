//! Facts from outside (time, chance, cancellation), handed in so that a test can hold them. Uses no other module.

pub mod cancel;
pub mod clock;
pub mod git;
pub mod rng;
