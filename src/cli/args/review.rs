//! Arguments of a review: `diff`, `plan`, `apply`.

use std::path::PathBuf;

use clap::{Args, ValueEnum};
use clap_complete::engine::ArgValueCandidates;

use super::candidates;
use super::common::{Allow, Format, Part};
use crate::cli::units;
use crate::model::forecast::PlannedAction;

/// Arguments of `plan`.
#[derive(Debug, Args)]
pub struct Plan {
    /// Pipelines, by name, glob or `modified:REF` (default: all)
    #[arg(value_name = "NAME", add = ArgValueCandidates::new(candidates::pipelines))]
    pub names: Vec<String>,
    /// Output format
    #[arg(long, value_enum, default_value_t = PlanFormat::Text)]
    pub format: PlanFormat,
    /// What an import of everything would do, not only what a sync would
    #[arg(long, conflicts_with_all = ["record", "where", "since", "limit"])]
    pub full: bool,
    /// What `reconcile` would do: both systems compared whole
    #[arg(long, conflicts_with_all = ["full", "refresh", "record", "where", "since", "limit"])]
    pub reconcile: bool,
    /// Also compare with what HubSpot holds now, and show what someone changed there
    #[arg(long)]
    pub refresh: bool,
    /// Most changes to show for each pipeline; totals are always exact
    #[arg(long, default_value_t = 10, value_name = "N", value_parser = units::whole::<usize>)]
    pub sample: usize,
    /// Show these actions only, such as `archive,reject`; totals are always exact
    #[arg(long, value_name = "ACTION", value_delimiter = ',', value_parser = action)]
    pub only: Vec<PlannedAction>,
    /// Only this record, by its Salesforce id
    #[arg(long, value_name = "ID", conflicts_with_all = ["where", "since", "limit"])]
    pub record: Vec<String>,
    /// What `import` would do with a part of the records.
    #[command(flatten)]
    pub part: Part,
    /// Also show what changed in the definitions since this git revision
    #[arg(long, value_name = "REF")]
    pub base: Option<String>,
    /// The state is kept elsewhere: take what HubSpot holds as what was synced (for reviews)
    #[arg(long, conflicts_with_all = ["out", "full", "reconcile", "refresh", "record", "where", "since", "limit"])]
    pub without_state: bool,
    /// Whether records' values are shown; `none` leaves ids and counts, in files as well
    #[arg(long, value_enum, default_value_t = Values::All, value_name = "WHICH")]
    pub values: Values,
    /// Save the plan to this file, for `syncline apply`
    #[arg(long, value_name = "FILE", conflicts_with_all = ["record", "only", "where", "since", "limit"])]
    pub out: Option<PathBuf>,
    /// Also write the plan in another form: by the file's ending `.json`, `.md` or `.html`
    #[arg(long, value_name = "FILE")]
    pub report: Vec<PathBuf>,
    /// Also write every change to this file, one JSON object a line
    #[arg(long, value_name = "FILE")]
    pub changes: Option<PathBuf>,
    /// End with code 2 when there are changes
    #[arg(long)]
    pub detailed_exitcode: bool,
}

/// Which values of records are shown.
#[derive(Debug, Clone, Copy, PartialEq, Eq, ValueEnum)]
pub enum Values {
    /// Before and after, names and reasons
    All,
    /// Ids, counts and names of properties only
    None,
}

/// Form of a plan.
#[derive(Debug, Clone, Copy, PartialEq, Eq, ValueEnum)]
pub enum PlanFormat {
    /// For people
    Text,
    /// For programs
    Json,
    /// For a comment on a pull request
    Markdown,
    /// One page that needs nothing else
    Html,
}

/// Arguments of `apply`.
#[derive(Debug, Args)]
pub struct Apply {
    /// A plan saved with `plan --out`
    #[arg(value_name = "FILE", required_unless_present = "approved")]
    pub file: Option<PathBuf>,
    /// The plan with this digest, which a person has approved with `syncline approve`; asks nothing
    #[arg(long, value_name = "DIGEST", conflicts_with_all = ["file", "yes"])]
    pub approved: Option<String>,
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

/// Arguments of `diff`.
#[derive(Debug, Args)]
pub struct Diff {
    /// Pipelines, by name or glob (default: all)
    #[arg(value_name = "NAME", add = ArgValueCandidates::new(candidates::pipelines))]
    pub names: Vec<String>,
    /// Git revision to compare with: where the present branch left it
    #[arg(long, value_name = "REF", default_value = "HEAD")]
    pub base: String,
    /// Also show what the changes do to records; reads both systems
    #[arg(long)]
    pub records: bool,
    /// Whether records' values are shown; `none` leaves ids and counts
    #[arg(long, value_enum, default_value_t = Values::All, value_name = "WHICH", requires = "records")]
    pub values: Values,
    /// Output format
    #[arg(long, value_enum, default_value_t = DiffFormat::Text)]
    pub format: DiffFormat,
    /// End with code 2 when there are changes
    #[arg(long)]
    pub exit_code: bool,
}

/// Form of a diff.
#[derive(Debug, Clone, Copy, PartialEq, Eq, ValueEnum)]
pub enum DiffFormat {
    /// For people
    Text,
    /// For programs
    Json,
    /// For a comment on a pull request
    Markdown,
}

/// An action of a plan.
fn action(text: &str) -> Result<PlannedAction, String> {
    let known = PlannedAction::ALL.into_iter().filter(|action| *action != PlannedAction::Unchanged);
    known.clone().find(|action| action.word() == text).ok_or_else(|| {
        let words: Vec<&str> = known.map(PlannedAction::word).collect();
        format!("expected {}", words.join(", "))
    })
}

/// Arguments of `approve`.
#[derive(Debug, Args)]
pub struct Approve {
    /// A plan saved with `plan --out`
    #[arg(value_name = "FILE")]
    pub file: PathBuf,
}
