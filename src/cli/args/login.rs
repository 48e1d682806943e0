//! Arguments of `login` and `logout`.

use std::time::Duration;

use clap::Args;
use clap_complete::engine::ArgValueCandidates;

use super::candidates;
use crate::cli::units;

/// Arguments of `login`.
#[derive(Debug, Args)]
pub struct Login {
    /// Connections (default: all that log in by a browser)
    #[arg(value_name = "CONNECTION", add = ArgValueCandidates::new(candidates::all_connections))]
    pub names: Vec<String>,
    /// Print the address, and open no browser
    #[arg(long)]
    pub no_browser: bool,
    /// How long to wait for each login
    #[arg(long, default_value = "5m", value_name = "TIME", value_parser = units::duration)]
    pub within: Duration,
}

/// Arguments of `logout`.
#[derive(Debug, Args)]
pub struct Logout {
    /// Connections (default: all that log in by a browser)
    #[arg(value_name = "CONNECTION", add = ArgValueCandidates::new(candidates::all_connections))]
    pub names: Vec<String>,
}
