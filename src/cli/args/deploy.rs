//! Arguments of `deploy`.

use clap::Args;

use super::common::Format;

/// Arguments of `deploy`.
#[derive(Debug, Args)]
pub struct Deploy {
    /// Tell what would change, pipeline by pipeline, and change nothing
    #[arg(long)]
    pub dry_run: bool,
    /// Go back to the deployment before
    #[arg(long)]
    pub rollback: bool,
    /// Show what was deployed, the newest first
    #[arg(long, conflicts_with_all = ["dry_run", "rollback", "allow_uncommitted"])]
    pub list: bool,
    /// Deploy files that are not as the commit has them
    #[arg(long, conflicts_with = "rollback")]
    pub allow_uncommitted: bool,
    /// Output format
    #[arg(long, value_enum, default_value_t = Format::Text)]
    pub format: Format,
}
