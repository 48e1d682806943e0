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
    /// Copy a state into an empty one: from a file to a database, or back
    Copy(StateCopy),
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

/// Arguments of `state copy`.
#[derive(Debug, Args)]
pub struct StateCopy {
    /// The state: a file, or an address as `state:` has it; `${secret:NAME}` may stand in it
    #[arg(value_name = "FROM")]
    pub from: String,
    /// Where the copy is to be: a file that is not there, or an address; a copy that was broken off is gone on with
    #[arg(value_name = "TO")]
    pub to: String,
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
