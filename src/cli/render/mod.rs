//! Data -> text for people. Pure: each returns what is to be printed.

pub mod care;
pub mod catalog;
pub mod deploy;
pub mod diagnostic;
pub mod diff;
pub mod discover;
pub mod findings;
pub mod fleet;
pub mod history;
pub mod html;
pub mod markdown;
pub mod page;
pub mod paint;
pub mod plan;
pub mod report;
pub mod safe;
pub mod sarif;
pub mod summary;
pub mod table;
pub mod verdicts;
