//! What a state knows of how its pipelines stand, read for many states of a database at once.

use std::collections::HashMap;

use jiff::Timestamp;

use super::state::RunRow;
use crate::model::ids::PipelineName;
use crate::model::watermark::Watermark;

/// What one state knows.
#[derive(Debug, Clone, Default, PartialEq)]
pub struct StateFacts {
    /// How often a worker took one of its portals from another one that had not given it back.
    pub takeovers: u64,
    /// Its pipelines.
    pub pipelines: HashMap<PipelineName, PipelineFacts>,
}

/// What it knows of one pipeline.
#[derive(Debug, Clone, Default, PartialEq)]
pub struct PipelineFacts {
    /// How far it was read, and when that was noted.
    pub watermark: Option<(Watermark, Option<Timestamp>)>,
    /// Rows that an unfinished import has read, and those that it is to read.
    pub import: Option<(u64, u64)>,
    /// Records that stand in HubSpot.
    pub records: u64,
    /// Associations with work left.
    pub due: u64,
    /// Records kept under failures.
    pub open_failures: u64,
    /// The latest run that found no other process at the pipeline; else the latest.
    pub last_run: Option<RunRow>,
    /// Notes of it that were asked for, by what their keys begin with.
    pub notes: HashMap<String, String>,
}
