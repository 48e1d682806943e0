//! Flags of every command, and what several commands take alike.

use std::path::PathBuf;

use clap::builder::{OsStringValueParser, TypedValueParser};
use clap::{Args, ValueEnum};
use clap_complete::engine::ArgValueCandidates;

use super::candidates;
use crate::cli::colour::Colour;
use crate::cli::units::{self, Since};

/// Heading of the flags that every command takes.
const EVERYWHERE: &str = "Options of every command";

/// Flags of every command.
#[derive(Debug, Clone, Args)]
pub struct Common {
    // None after a bare `--project`, which clap's own reader of paths refuses.
    /// Folder of the project (default: the nearest one upwards with a syncline.yaml)
    #[arg(long, global = true, help_heading = EVERYWHERE, value_name = "DIR", num_args = 0..=1, default_missing_value = "", value_parser = OsStringValueParser::new().map(PathBuf::from))]
    pub project: Option<PathBuf>,
    /// Which of the project's targets is meant, such as `dev` or `prod`; SYNCLINE_TARGET says the same
    #[arg(long = "target", id = "environment", global = true, help_heading = EVERYWHERE, value_name = "NAME", value_parser = units::target, add = ArgValueCandidates::new(candidates::targets))]
    pub target: Option<String>,
    /// Print results only
    #[arg(long, short, global = true, help_heading = EVERYWHERE)]
    pub quiet: bool,
    /// Say more; give it twice to log every request
    #[arg(long, short, global = true, help_heading = EVERYWHERE, action = clap::ArgAction::Count)]
    pub verbose: u8,
    /// When to use colours; NO_COLOR and CLICOLOR_FORCE are respected
    #[arg(long, global = true, help_heading = EVERYWHERE, value_enum, default_value_t = Colour::Auto, value_name = "WHEN")]
    pub color: Colour,
    /// The same as `--color never`
    #[arg(long, global = true, help_heading = EVERYWHERE)]
    pub no_color: bool,
    /// Format of the log on stderr
    #[arg(long, global = true, help_heading = EVERYWHERE, value_enum, default_value_t = LogFormat::Text, value_name = "FORMAT")]
    pub log_format: LogFormat,
}

/// Form of the log.
#[derive(Debug, Clone, Copy, PartialEq, Eq, ValueEnum)]
pub enum LogFormat {
    /// Lines for people
    Text,
    /// One JSON object a line
    Json,
}

/// Form of a result.
#[derive(Debug, Clone, Copy, PartialEq, Eq, ValueEnum)]
pub enum Format {
    /// For people
    Text,
    /// For programs
    Json,
}

/// Form of findings.
#[derive(Debug, Clone, Copy, PartialEq, Eq, ValueEnum)]
pub enum FindingFormat {
    /// For people
    Text,
    /// For programs
    Json,
    /// Annotations on the lines of a pull request
    Github,
    /// For a comment on a pull request
    Markdown,
    /// For code scanning (SARIF 2.1.0)
    Sarif,
}

/// A part of the records that match: what `import` copies, and `plan` foretells.
#[derive(Debug, Clone, Args)]
pub struct Part {
    /// Only records that also match this SOQL condition, such as "Region__c = 'EU'"
    #[arg(long = "where", id = "where", value_name = "SOQL")]
    pub condition: Option<String>,
    /// Only records that Salesforce touched since: a moment, a day (UTC), or a time such as `2h` or `30d`
    #[arg(long, value_name = "WHEN", value_parser = units::since)]
    pub since: Option<Since>,
    /// Only the first N of them: a trial
    #[arg(long, value_name = "N", value_parser = units::at_least_one)]
    pub limit: Option<u64>,
}

/// What a person allows for one run.
#[derive(Debug, Clone, Copy, Args)]
pub struct Allow {
    /// Let this run archive up to N records, whatever `guard` says
    #[arg(long, value_name = "N", value_parser = units::whole::<u64>)]
    pub allow_archive: Option<u64>,
    /// Let this run reject up to N records, whatever `guard` says
    #[arg(long, value_name = "N", value_parser = units::whole::<u64>)]
    pub allow_reject: Option<u64>,
    /// Let this run go on although the source is empty
    #[arg(long)]
    pub allow_empty: bool,
}
