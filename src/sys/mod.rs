//! What every room may need: facts from outside (time, chance, cancellation), handed in so that a test can hold them; git;
//! signed tokens. Uses no other module.

pub mod cancel;
pub mod clock;
pub mod crash_point;
#[cfg(debug_assertions)]
pub mod crash_watch;
pub mod disk;
pub mod files;
pub mod find;
pub mod gate;
pub mod git;
pub mod hmac;
pub mod jwt;
pub mod network;
pub mod notify;
pub mod origin;
pub mod process;
mod rights;
pub mod rng;
pub mod secrets;
pub mod spans;
