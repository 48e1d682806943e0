//! Data -> text for people. Pure: each returns what is to be printed.

pub mod catalog;
pub mod history;
pub mod plan;
pub mod report;
pub mod table;
