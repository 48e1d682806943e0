//! One file for each thing a person can ask for. Returns data and prints nothing; the only place that knows all parts.

pub mod apply;
pub mod catalog;
pub mod changes;
pub mod diff;
pub mod discover;
pub mod earlier;
pub mod error;
pub mod history;
pub mod init;
pub mod masks;
pub mod narrow;
pub mod new;
pub mod offline;
pub mod plan;
pub mod portal;
pub mod prepare;
pub mod run;
pub mod saved;
pub mod selection;
pub mod stateless;
pub mod sync;
pub mod test;
pub mod validate;
pub mod why;
pub mod wiring;
