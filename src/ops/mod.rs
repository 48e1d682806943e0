//! One file for each thing a person can ask for. Returns data and prints nothing.

pub mod addresses;
pub mod apply;
pub mod catalog;
pub mod changes;
pub mod diff;
pub mod discover;
pub mod draft;
pub mod failure_context;
pub mod failure_groups;
pub mod failure_view;
pub mod history;
pub mod import;
pub mod init;
pub mod lookups;
pub mod masks;
pub mod narrow;
pub mod new;
pub mod plan;
pub mod run;
pub mod saved;
pub mod schemas;
pub mod status;
pub mod sync;
pub mod test;
pub mod validate;
pub mod why;
