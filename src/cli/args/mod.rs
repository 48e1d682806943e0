//! The command line's shape.

pub mod candidates;
pub mod care;
pub mod common;
pub mod deploy;
pub mod login;
pub mod review;
pub mod serve;
pub mod worker;

use std::net::SocketAddr;
use std::path::{Path, PathBuf};

use clap::{Args, Parser, Subcommand, ValueEnum};
use clap_complete::engine::ArgValueCandidates;

use self::care::{Doctor, State};
use self::common::{Allow, Common, FindingFormat, Format, Part};
use self::deploy::Deploy;
use self::login::{Login, Logout};
use self::review::{Apply, Approve, Diff, Plan};
use self::serve::{Beside, Serve};
use self::worker::Worker;
use super::units;
use crate::model::program;
use crate::ops::schemas;

/// Keeps HubSpot custom objects in step with Salesforce objects, from YAML files in git.
#[derive(Debug, Parser)]
#[command(name = "syncline", version, long_version = program::version(), max_term_width = 100)]
pub struct Arguments {
    /// Flags of every command.
    #[command(flatten)]
    pub common: Common,
    /// What to do.
    #[command(subcommand)]
    pub command: Command,
}

/// What to do.
#[derive(Debug, Subcommand)]
pub enum Command {
    /// Run a guided demo on an embedded sandbox; no account needed
    Demo(Demo),
    /// Create a new project
    Init(Init),
    /// Say what works and what is missing, connection by connection
    Doctor(Doctor),
    /// Log connections in by a browser
    Login(Login),
    /// End such logins
    Logout(Logout),
    /// Check the definitions
    Validate(Validate),
    /// Run the tests beside the pipelines, offline
    Test(Test),
    /// List objects and fields of both systems, and what can sync
    Discover(Discover),
    /// Write a pipeline with a suggested mapping
    New(New),
    /// Save both systems' object definitions beside the pipelines
    Catalog(Catalog),
    /// Show what changed in the definitions since a git revision, in terms of mapping
    Diff(Diff),
    /// Dry run: what import or sync would do, record by record
    Plan(Plan),
    /// Carry out a saved plan exactly
    Apply(Apply),
    /// Approve a saved plan at a terminal, so that an agent may apply it
    Approve(Approve),
    /// Check the definitions for all portals, and store them for the workers
    Deploy(Deploy),
    /// Copy the existing records that match
    Import(Import),
    /// Sync what has changed since
    Sync(Sync),
    /// Compare both systems whole, and repair what differs
    Reconcile(Reconcile),
    /// Sync many portals together with other workers, on a state in PostgreSQL
    Worker(Worker),
    /// Show pipelines, watermarks, lag and last runs
    Status(Status),
    /// Show the history of imports and syncs, or one run
    Runs(Runs),
    /// Show records that failed; retry or dismiss them
    Failures(Failures),
    /// Tell people when something is wrong: try whether they hear of it
    Alerts(Alerts),
    /// Check the state, copy it, or forget a pipeline
    State(State),
    /// Explain why a Salesforce record is, or is not, in HubSpot
    Why(Why),
    /// Serve a page with pipelines, failures and runs, and metrics, over HTTP
    Serve(Serve),
    /// Serve what can be read to agents, over standard input and output (Model Context Protocol)
    Mcp,
    /// Print a JSON Schema; `schema pipeline --project` knows the real names of the catalog
    Schema(Schema),
    /// Explain an error code, and what to do about it
    Explain(Explain),
    /// Emulate Salesforce and HubSpot on this computer
    Sandbox(Sandbox),
    /// Print a script that completes commands in a shell
    Completions(Completions),
    /// Print the manual page, or write those of all commands
    Man(Man),
}

/// Arguments of `demo`.
#[derive(Debug, Args)]
pub struct Demo {
    /// Subscriptions in the sample org
    #[arg(long, default_value_t = 120, value_name = "N", value_parser = units::whole::<usize>)]
    pub records: usize,
    /// Seed of the sample world
    #[arg(long, default_value_t = 1, value_name = "N", value_parser = units::whole::<u64>)]
    pub seed: u64,
    /// Keep the demo's project in this folder
    #[arg(long, value_name = "DIR")]
    pub keep: Option<PathBuf>,
}

/// Arguments of `alerts`.
#[derive(Debug, Args)]
pub struct Alerts {
    /// What to do.
    #[command(subcommand)]
    pub action: AlertsAction,
}

/// What to do with alerts.
#[derive(Debug, Subcommand)]
pub enum AlertsAction {
    /// Send a test message to the receivers
    Test(AlertsTest),
}

/// Arguments of `alerts test`.
#[derive(Debug, Args)]
pub struct AlertsTest {
    /// Receivers, by name (default: all)
    #[arg(value_name = "NAME")]
    pub names: Vec<String>,
    /// Output format
    #[arg(long, value_enum, default_value_t = Format::Text)]
    pub format: Format,
}

/// Arguments of `init`.
#[derive(Debug, Args)]
pub struct Init {
    /// Folder of the new project
    #[arg(default_value = ".", value_name = "DIR")]
    pub folder: PathBuf,
}

/// Arguments of `validate`.
#[derive(Debug, Args)]
pub struct Validate {
    /// Pipelines, by name or glob (default: all)
    #[arg(value_name = "NAME", add = ArgValueCandidates::new(candidates::pipelines))]
    pub names: Vec<String>,
    /// Also check against the live systems
    #[arg(long)]
    pub online: bool,
    /// Treat warnings as errors: any that is not accepted with `allow` ends with exit code 1
    #[arg(long, value_name = "WHAT", value_parser = ["warnings"])]
    pub deny: Option<String>,
    /// Output format
    #[arg(long, value_enum, default_value_t = FindingFormat::Text)]
    pub format: FindingFormat,
}

/// Arguments of `discover`.
#[derive(Debug, Args)]
pub struct Discover {
    /// One object of either system, with its fields or properties (default: list all objects)
    #[arg(value_name = "OBJECT", add = ArgValueCandidates::new(candidates::objects))]
    pub object: Option<String>,
    /// Also list objects that only belong to others: feeds, histories, shares
    #[arg(long)]
    pub all: bool,
    /// Output format
    #[arg(long, value_enum, default_value_t = Format::Text)]
    pub format: Format,
}

/// Arguments of `new`.
#[derive(Debug, Args)]
pub struct New {
    /// Name of the pipeline
    #[arg(value_name = "NAME")]
    pub name: String,
    /// Salesforce object
    #[arg(long, value_name = "OBJECT", add = ArgValueCandidates::new(candidates::salesforce_objects))]
    pub source: String,
    /// HubSpot object
    #[arg(long, value_name = "OBJECT", add = ArgValueCandidates::new(candidates::hubspot_objects))]
    pub target: String,
    /// HubSpot's unique property that holds the Salesforce id (default: the likeliest one)
    #[arg(long = "match", value_name = "PROPERTY")]
    pub match_property: Option<String>,
    /// Salesforce connection
    #[arg(long, value_name = "NAME", default_value = "salesforce", add = ArgValueCandidates::new(candidates::salesforce_connections))]
    pub salesforce: String,
    /// HubSpot connection
    #[arg(long, value_name = "NAME", default_value = "hubspot", add = ArgValueCandidates::new(candidates::hubspot_connections))]
    pub hubspot: String,
    // The same value as `--target` of other commands, which is the HubSpot object here.
    /// Which of the project's targets is meant, such as `dev`; other commands call it `--target`
    #[arg(long, id = "environment", value_name = "NAME", add = ArgValueCandidates::new(candidates::targets))]
    pub environment: Option<String>,
    /// Print the custom object that fits the source, as HubSpot takes it
    #[arg(long)]
    pub create_target: bool,
    /// Create that object in HubSpot, then write the pipeline
    #[arg(long, requires = "create_target")]
    pub apply: bool,
}

/// Arguments of `catalog`.
#[derive(Debug, Args)]
pub struct Catalog {
    /// What to do with it.
    #[command(subcommand)]
    pub action: CatalogAction,
}

/// What to do with the catalog.
#[derive(Debug, Subcommand)]
pub enum CatalogAction {
    /// Read both systems, write catalog/, and show what changed
    Pull(Pull),
}

/// Arguments of `catalog pull`.
#[derive(Debug, Args)]
pub struct Pull {
    /// Objects that no pipeline uses yet: `Invoice__c`, or `hubspot.deals`
    #[arg(value_name = "OBJECT", add = ArgValueCandidates::new(candidates::objects))]
    pub objects: Vec<String>,
    /// Write nothing, and end with code 2 when the files are out of date
    #[arg(long)]
    pub check: bool,
    /// Output format
    #[arg(long, value_enum, default_value_t = Format::Text)]
    pub format: Format,
}

/// Arguments of `import`.
#[derive(Debug, Args)]
pub struct Import {
    /// Pipelines, by name or glob (default: all)
    #[arg(value_name = "NAME", add = ArgValueCandidates::new(candidates::pipelines))]
    pub names: Vec<String>,
    /// Only the records that a changed mapping or filter touches
    #[arg(long, conflicts_with_all = ["record", "where", "since", "limit"])]
    pub stale: bool,
    /// Only this record, by its Salesforce id: a trial; may be given several times
    #[arg(long, value_name = "ID", conflicts_with_all = ["limit", "where", "since"])]
    pub record: Vec<String>,
    /// Which of the records that match.
    #[command(flatten)]
    pub part: Part,
    /// Do not ask for confirmation
    #[arg(long, short)]
    pub yes: bool,
    /// Output format
    #[arg(long, value_enum, default_value_t = Format::Text)]
    pub format: Format,
    /// What is allowed for this one time.
    #[command(flatten)]
    pub allow: Allow,
}

/// Arguments of `sync`.
#[derive(Debug, Args)]
pub struct Sync {
    /// Pipelines, by name or glob (default: all that are enabled)
    #[arg(value_name = "NAME", add = ArgValueCandidates::new(candidates::pipelines))]
    pub names: Vec<String>,
    /// One cycle, then end
    #[arg(long)]
    pub once: bool,
    /// Read the definitions again when their files change and they are valid; SIGHUP asks for it at once
    #[arg(long, conflicts_with = "once")]
    pub watch: bool,
    /// A page beside the sync.
    #[command(flatten)]
    pub beside: Beside,
    /// Output format
    #[arg(long, value_enum, default_value_t = Format::Text)]
    pub format: Format,
    /// What is allowed for this one time.
    #[command(flatten)]
    pub allow: Allow,
}

/// Arguments of `reconcile`.
#[derive(Debug, Args)]
pub struct Reconcile {
    /// Pipelines, by name or glob (default: all that are enabled)
    #[arg(value_name = "NAME", add = ArgValueCandidates::new(candidates::pipelines))]
    pub names: Vec<String>,
    /// Stop after this time, for each pipeline; the next comparison goes on from there
    #[arg(long, value_name = "TIME", value_parser = units::duration)]
    pub time_limit: Option<std::time::Duration>,
    /// Form of the result
    #[arg(long, value_enum, default_value_t = Format::Text)]
    pub format: Format,
    /// What is allowed for this one time.
    #[command(flatten)]
    pub allow: Allow,
}

/// Arguments of `status`.
#[derive(Debug, Args)]
pub struct Status {
    /// For monitors: print a line for each problem, and end with code 1 when there is one (see docs/guide/alerts.md)
    #[arg(long)]
    pub check: bool,
    /// Output format
    #[arg(long, value_enum, default_value_t = Format::Text)]
    pub format: Format,
}

/// Arguments of `runs`.
#[derive(Debug, Args)]
pub struct Runs {
    /// One run, by its id or a unique start or end of it
    #[arg(value_name = "ID")]
    pub id: Option<String>,
    /// Write the run's rejected records as CSV, with code, reason and columns (`-` for stdout)
    #[arg(long, value_name = "FILE", requires = "id")]
    pub errors: Option<PathBuf>,
    /// Only of this pipeline
    #[arg(long, value_name = "NAME", conflicts_with = "id", add = ArgValueCandidates::new(candidates::pipelines))]
    pub pipeline: Option<String>,
    /// Most runs to show
    #[arg(long, default_value_t = 20, value_name = "N", value_parser = units::whole::<usize>)]
    pub limit: usize,
    /// Output format
    #[arg(long, value_enum, default_value_t = Format::Text)]
    pub format: Format,
}

/// Arguments of `failures`.
#[derive(Debug, Args)]
pub struct Failures {
    /// What to do with them.
    #[command(subcommand)]
    pub action: Option<FailureAction>,
    /// Output format
    #[arg(long, global = true, value_enum, default_value_t = Format::Text)]
    pub format: Format,
}

/// What to do with failures.
#[derive(Debug, Subcommand)]
pub enum FailureAction {
    /// Show open failures by reason (the default), or record by record
    List(FailureList),
    /// Show one record's failure in full
    Show {
        /// Salesforce id
        #[arg(value_name = "ID")]
        id: String,
    },
    /// Try again with the next sync
    Retry(FailureFilter),
    /// Do not try again until the record changes
    Dismiss(FailureFilter),
}

/// Arguments of `failures list`.
#[derive(Debug, Clone, Default, Args)]
pub struct FailureList {
    /// Which.
    #[command(flatten)]
    pub filter: FailureFilter,
    /// One row for each record, instead of one block for each reason
    #[arg(long)]
    pub each: bool,
}

/// Which failures are meant.
#[derive(Debug, Clone, Default, Args)]
pub struct FailureFilter {
    /// Salesforce ids (default: all)
    #[arg(value_name = "ID")]
    pub ids: Vec<String>,
    /// Only of this pipeline
    #[arg(long, value_name = "NAME", add = ArgValueCandidates::new(candidates::pipelines))]
    pub pipeline: Option<String>,
    /// Only with this code, such as SL5005
    #[arg(long, value_name = "CODE", add = ArgValueCandidates::new(candidates::error_codes))]
    pub code: Option<String>,
    /// Include dismissed and resolved ones
    #[arg(long)]
    pub all: bool,
}

/// Arguments of `why`.
#[derive(Debug, Args)]
pub struct Why {
    /// Salesforce id, 15 or 18 characters, or the id of a HubSpot record
    #[arg(value_name = "ID")]
    pub id: String,
    /// Also read what HubSpot holds now, and compare it with what it should hold, property by property
    #[arg(long)]
    pub refresh: bool,
    /// Output format
    #[arg(long, value_enum, default_value_t = Format::Text)]
    pub format: Format,
}

/// Arguments of `test`.
#[derive(Debug, Args)]
pub struct Test {
    /// Pipelines, by name, glob or `modified:REF` (default: all)
    #[arg(value_name = "NAME", add = ArgValueCandidates::new(candidates::pipelines))]
    pub names: Vec<String>,
    /// Output format
    #[arg(long, value_enum, default_value_t = TestFormat::Text)]
    pub format: TestFormat,
}

/// Form of what tests said.
#[derive(Debug, Clone, Copy, PartialEq, Eq, ValueEnum)]
pub enum TestFormat {
    /// For people
    Text,
    /// For programs
    Json,
    /// JUnit XML, for a forge's test report
    Junit,
    /// Annotations on the lines of a pull request
    Github,
}

/// Arguments of `schema`. With `--project`, `pipeline` is narrowed to the real names of the project's catalog, so that an
/// editor completes them.
#[derive(Debug, Args)]
pub struct Schema {
    /// The schema
    #[arg(value_name = "NAME", value_parser = schemas::NAMES, required_unless_present = "project")]
    pub name: Option<String>,
}

impl Schema {
    /// The schema's name and, where it is to be narrowed, the project's folder. `--project pipeline` is a name that stands
    /// behind a bare `--project`, unless there is such a folder.
    pub fn meant(&self, project: Option<&Path>) -> Option<(String, Option<PathBuf>)> {
        match (&self.name, project) {
            (Some(name), project) => Some((name.clone(), project.map(Path::to_owned))),
            (None, Some(word)) => {
                let name = schemas::NAMES.into_iter().find(|name| word.as_os_str() == *name)?;
                (!word.is_dir()).then(|| (name.to_owned(), Some(PathBuf::new())))
            }
            (None, None) => None,
        }
    }
}

/// Arguments of `man`.
#[derive(Debug, Args)]
pub struct Man {
    /// Write a page for each command into this folder, instead of printing that of the program
    #[arg(long, value_name = "DIR")]
    pub out: Option<PathBuf>,
}

/// Arguments of `explain`.
#[derive(Debug, Args)]
pub struct Explain {
    /// Error code such as SL1004; without it, all codes
    #[arg(value_name = "CODE", add = ArgValueCandidates::new(candidates::error_codes))]
    pub code: Option<String>,
}

/// Arguments of `sandbox`.
#[derive(Debug, Args)]
pub struct Sandbox {
    /// Where Salesforce listens, on loopback; port 0 takes a free one
    #[arg(long, value_name = "ADDR", default_value = "127.0.0.1:0", value_parser = units::local)]
    pub salesforce: SocketAddr,
    /// Where HubSpot listens
    #[arg(long, value_name = "ADDR", default_value = "127.0.0.1:0", value_parser = units::local)]
    pub hubspot: SocketAddr,
    /// Where the control API listens
    #[arg(long, value_name = "ADDR", default_value = "127.0.0.1:0", value_parser = units::local)]
    pub control: SocketAddr,
    /// Seed of the sample world and of all chance
    #[arg(long, default_value_t = 1, value_name = "N", value_parser = units::whole::<u64>)]
    pub seed: u64,
    /// Subscriptions in the sample org
    #[arg(long, default_value_t = 200, value_name = "N", value_parser = units::whole::<usize>)]
    pub records: usize,
    /// Also give both sides the objects that all pipelines of the folder pipelines/ need
    #[arg(long, conflicts_with_all = ["org", "portal"])]
    pub samples: bool,
    /// HubSpot's limit: calls in a time
    #[arg(long, default_value = "190/10s", value_name = "N/TIME", value_parser = units::rate)]
    pub rate_limit: (u32, std::time::Duration),
    /// Pause before every answer, such as 50ms
    #[arg(long, default_value = "0ms", value_name = "TIME", value_parser = units::duration)]
    pub latency: std::time::Duration,
    /// Fault plan (YAML or JSON)
    #[arg(long, value_name = "FILE")]
    pub faults: Option<PathBuf>,
    /// Keep the state of both services in this file
    #[arg(long, value_name = "FILE")]
    pub data: Option<PathBuf>,
    /// SFDX project whose objects, fields and records are the Salesforce side, instead of the sample org
    #[arg(long, value_name = "DIR")]
    pub org: Option<PathBuf>,
    /// What HubSpot's API said of a portal (schemas, properties), to be the HubSpot side
    #[arg(long, value_name = "FILE")]
    pub portal: Option<PathBuf>,
    /// How long a Salesforce change stays invisible to readers
    #[arg(long, default_value = "0s", value_name = "TIME", value_parser = units::duration)]
    pub visibility_delay: std::time::Duration,
    /// How long a Salesforce session lives without use
    #[arg(long, default_value = "2h", value_name = "TIME", value_parser = units::duration)]
    pub token_lifetime: std::time::Duration,
    /// Public key (PEM) that Salesforce verifies signed assertions with; without it, that way to log in is refused
    #[arg(long, value_name = "FILE")]
    pub jwt_key: Option<PathBuf>,
    /// Write a ready syncline.yaml to this new file
    #[arg(long, value_name = "FILE")]
    pub write: Option<PathBuf>,
    /// Output format
    #[arg(long, value_enum, default_value_t = Format::Text)]
    pub format: Format,
}

/// Arguments of `completions`.
#[derive(Debug, Args)]
pub struct Completions {
    /// The shell
    #[arg(value_enum)]
    pub shell: clap_complete::Shell,
}

#[cfg(test)]
mod tests {
    #[test]
    fn the_command_line_is_consistent() {
        crate::cli::help::command().debug_assert();
    }
}
