//! Arguments of commands that look after what runs: `doctor`, `state`.

use std::path::PathBuf;

use clap::{Args, Subcommand};
use clap_complete::engine::ArgValueCandidates;

use super::candidates;
use super::common::Format;

/// Arguments of `doctor`.
#[derive(Debug, Args)]
pub struct Doctor {
    /// Output format
    #[arg(long, value_enum, default_value_t = Format::Text)]
    pub format: Format,
}

/// Arguments of `state`.
#[derive(Debug, Args)]
pub struct State {
    /// What to do with it.
    #[command(subcommand)]
    pub action: StateAction,
    /// Output format
    #[arg(long, global = true, value_enum, default_value_t = Format::Text)]
    pub format: Format,
}

/// What to do with the state.
#[derive(Debug, Subcommand)]
pub enum StateAction {
    /// Go through the whole file, and say what is damaged
    Check,
    /// Copy it into a new file, also while a sync runs
    Backup(StateBackup),
    /// Forget everything that is remembered of a pipeline; HubSpot stays as it is
    Forget(StateForget),
}

/// Arguments of `state backup`.
#[derive(Debug, Args)]
pub struct StateBackup {
    /// The copy; nothing is replaced
    #[arg(value_name = "FILE")]
    pub file: PathBuf,
}

/// Arguments of `state forget`.
#[derive(Debug, Args)]
pub struct StateForget {
    /// The pipeline, which the definitions need not know any more
    #[arg(value_name = "PIPELINE", add = ArgValueCandidates::new(candidates::pipelines))]
    pub pipeline: String,
    /// Do not ask for confirmation
    #[arg(long, short)]
    pub yes: bool,
}
