//! Flags of `worker`.

use std::time::Duration;

use clap::Args;

use super::common::Format;
use crate::cli::units;

/// Arguments of `worker`.
#[derive(Debug, Args)]
pub struct Worker {
    /// Portals at a time
    #[arg(long, value_name = "N", default_value_t = 4, value_parser = units::at_least_one)]
    pub concurrency: u64,
    /// Copy the records that exist, too, where a pipeline was never imported; without this `syncline import` does that
    #[arg(long)]
    pub import: bool,
    /// Do without the queue in the database: each worker looks for turns by itself, every 10 seconds
    #[arg(long)]
    pub no_queue: bool,
    /// Run what is deployed, from the database of this state, as `postgres://…?state=NAME`; without this, the project that is checked out
    #[arg(long, value_name = "ADDRESS")]
    pub deployed: Option<String>,
    /// Output format
    #[arg(long, value_enum, default_value_t = Format::Text)]
    pub format: Format,
    /// How long a portal is this worker's without a renewal.
    #[arg(long, hide = true, default_value = "30s", value_parser = units::duration)]
    pub lease: Duration,
    /// Longest turn.
    #[arg(long, hide = true, default_value = "60s", value_parser = units::duration)]
    pub turn: Duration,
    /// Most calls of a turn.
    #[arg(long, hide = true, default_value_t = 1_000, value_parser = units::at_least_one)]
    pub turn_calls: u64,
    /// How often portals are looked for that nobody was told of.
    #[arg(long, hide = true, default_value = "10s", value_parser = units::duration)]
    pub look: Duration,
    /// How long what was on its way at a takeover may still arrive; that of the longest call where it is not given.
    #[arg(long, hide = true, value_parser = units::duration)]
    pub wire: Option<Duration>,
}
