//! `demo`: the whole job on an embedded sandbox, told step by step.

use std::collections::HashMap;
use std::fs;
use std::path::{Path, PathBuf};
use std::sync::Arc;

use serde_json::{Value, json};

use super::args::Demo;
use super::args::common::Common;
use super::exit::Exit;
use super::output;
use super::render::paint::Paint;
use super::render::table::count;
use super::render::{diff as show_diff, history as show_history, plan as show_plan, report as show_report};
use super::shared::warn;
use super::signals;
use crate::config::targets::without_target;
use crate::model::budget::Budget;
use crate::model::forecast::PlanReport;
use crate::model::report::{RunReport, RunScope, RunStatus};
use crate::ops::plan::{PlanOptions, plan};
use crate::ops::run::{RunOptions, run_all};
use crate::ops::{diff, failure_groups, history, status};
use crate::plan::guard::Allowance;
use crate::ports::state::FailureFilter;
use crate::project::error::OpsError;
use crate::project::prepare::{PortalSource, Preparation, prepare};
use crate::project::wiring::{Outside, Project, open};
use crate::sandbox::options::SandboxOptions;
use crate::sandbox::{Sandbox, start};
use crate::sys::files::{self, Readers};
use crate::sys::rng::Rng;

/// The sample pipelines.
const PIPELINES: [(&str, &str); 2] = [
    ("subscriptions.yaml", include_str!("../../pipelines/subscriptions.yaml")),
    ("work_orders.yaml", include_str!("../../pipelines/work_orders.yaml")),
];

/// The change of the mapping that the story tells: `Legacy` was rejected so far.
const MAPPING: (&str, &str) =
    ("On Hold: on_hold, Cancelled: cancelled", "On Hold: cancelled, Legacy: cancelled, Cancelled: cancelled");

/// Changes of each plan that are shown.
/// The story is read on one screen.
const SAMPLE: usize = 3;

/// Tells the story.
pub async fn run(common: &Common, arguments: &Demo) -> Result<Exit, OpsError> {
    let outside = Outside::real();
    signals::watch(&outside.cancel);
    let folder = Folder::make(arguments.keep.as_deref())?;
    let options = SandboxOptions { seed: arguments.seed, records: arguments.records, ..SandboxOptions::default() };
    let sandbox = start(options).await.map_err(broken)?;
    // Boxed, since the whole story in one future would be too large for the stack.
    let outcome = Box::pin(tell(common, &folder, &sandbox, outside)).await;
    // Also after a failure, so that its ports are free again.
    sandbox.stop().await.map_err(broken)?;
    outcome
}

async fn tell(common: &Common, folder: &Folder, sandbox: &Sandbox, outside: Outside) -> Result<Exit, OpsError> {
    say(
        "1  A sandbox plays Salesforce and HubSpot on this computer",
        &format!(
            "  Salesforce  {}\n  HubSpot     {}\n  Two pipelines describe the sync: pipelines/work_orders.yaml (a standard object) and\n  pipelines/subscriptions.yaml (a custom object), associated with each other and with companies.\n",
            sandbox.salesforce_url, sandbox.hubspot_url
        ),
    );
    folder.write(sandbox)?;
    let project = open(&folder.path, &without_target, outside)?;
    let state = project.state()?;
    let preparation = prepare(&project, &[], PortalSource::LiveAndSaved(&*state)).await?;
    let warnings = preparation.warnings.len() as u64;
    say(
        "2  `syncline validate --online`: the definitions against both systems",
        &format!(
            "  {} valid{}\n",
            count(preparation.pipelines.len() as u64, "pipeline is", "pipelines are"),
            match warnings {
                0 => String::new(),
                _ => format!(", with {} (`--verbose` shows them)", count(warnings, "warning", "warnings")),
            }
        ),
    );
    if common.verbose > 0 {
        warn(common, &project, &preparation);
    }
    let forecasts =
        plan(&project, &preparation, &PlanOptions { sample: SAMPLE, ..PlanOptions::default() }, &|_| None).await?;
    say(
        "3  `syncline plan`: what an import would do, record by record",
        &show_plan::plan(
            &PlanReport { pipelines: forecasts, status: RunStatus::Succeeded, definitions: None },
            Paint::of_results(),
        ),
    );

    let options = options(RunScope::All);
    let pipelines = preparation.pipelines.clone();
    let finished = run_all(&project, &state, preparation, &options, &HashMap::new()).await;
    let reports: Vec<RunReport> = finished.into_iter().map(|finished| finished.report).collect();
    say("4  `syncline import`: the existing records", &show_report::reports(&reports, Paint::of_results()));

    let groups = failure_groups::groups(&project, &[FailureFilter::default()]).await?;
    let shown = show_history::failure_groups(&groups, project.outside.clock.now(), Paint::of_results());
    say("5  `syncline failures`: what was rejected, and why", &shown);

    let changes = change(&project, sandbox).await?;
    say("6  Meanwhile, in Salesforce", &changes);
    let options = self::options(RunScope::Changed);
    let preparation = Preparation { pipelines, ..Preparation::default() };
    let finished = run_all(&project, &state, preparation, &options, &HashMap::new()).await;
    let reports: Vec<RunReport> = finished.into_iter().map(|finished| finished.report).collect();
    say(
        "7  `syncline sync --once`: the changes are carried over",
        &show_report::reports(&reports, Paint::of_results()),
    );
    let project = Box::pin(review(folder, project)).await?;
    say("11  `syncline status`", &show_history::statuses(&status::status(&project).await?, Paint::of_results()));
    if folder.kept {
        output::result(&format!(
            "The project is kept in {}; its sandbox has ended with the demo.\n",
            folder.path.display()
        ));
    }
    output::result(
        "Next: `syncline init` makes a project of your own; `syncline sandbox` runs the sandbox for as long as you like.\n",
    );
    Ok(Exit::Done)
}

/// Changes a mapping, tells what that means and what it does to records, and carries it over.
async fn review(folder: &Folder, before: Project) -> Result<Project, OpsError> {
    folder.edit("subscriptions.yaml", MAPPING)?;
    let project = open(&folder.path, &without_target, before.outside.clone())?;
    let definitions = diff::between(&before.loaded, &project.loaded, "main");
    say(
        "8  A branch changes the value map: `syncline diff --base main`",
        &show_diff::diff(&definitions, Paint::of_results()),
    );
    let state = project.state()?;
    let preparation = prepare(&project, &["subscriptions".to_owned()], PortalSource::LiveAndSaved(&*state)).await?;
    let sample = PlanOptions { sample: SAMPLE, ..PlanOptions::default() };
    let forecasts = plan(&project, &preparation, &sample, &|_| None).await?;
    say(
        "9  `syncline plan`: what the merge would do, shown in the pull request",
        &show_plan::plan(
            &PlanReport { pipelines: forecasts, status: RunStatus::Succeeded, definitions: None },
            Paint::of_results(),
        ),
    );
    let finished = run_all(&project, &state, preparation, &options(RunScope::Stale), &HashMap::new()).await;
    let reports: Vec<RunReport> = finished.into_iter().map(|finished| finished.report).collect();
    say(
        "10  `syncline import --stale`: those records, and no others",
        &show_report::reports(&reports, Paint::of_results()),
    );
    Ok(project)
}

/// Changes some records by hand and says so.
async fn change(project: &Project, sandbox: &Sandbox) -> Result<String, OpsError> {
    let all = sandbox.control("salesforce", "records", &json!({"object": "Subscription__c"})).map_err(broken)?;
    let all = all["records"].as_array().cloned().unwrap_or_default();
    let failed = history::failures(project, &FailureFilter::default()).await?;
    // Changes of records that failed would not be seen in HubSpot, and the story is about those that are.
    let healthy = |row: &&Value| {
        let id = row["id"].as_str().unwrap_or_default();
        row["values"]["Status__c"] == "Active"
            && row["deleted"] == false
            && !failed.iter().any(|failure| failure.salesforce_id == id)
    };
    let mut active = all.iter().filter(healthy);
    let act = |action: &str, arguments: Value| sandbox.control("salesforce", action, &arguments).map_err(broken);
    let mut text = String::new();
    let name = |row: &Value| {
        row["values"]["Name"].as_str().unwrap_or_default().split_whitespace().collect::<Vec<_>>().join(" ")
    };
    if let Some(row) = active.next() {
        act(
            "update",
            json!({"object": "Subscription__c", "id": row["id"], "values": {"Amount__c": 4800.5, "Status__c": "On Hold"}}),
        )?;
        text.push_str(&format!("  “{}” is put on hold, its amount becomes 4800.50\n", name(row)));
    }
    if let Some(row) = active.next() {
        act("delete", json!({"object": "Subscription__c", "id": row["id"]}))?;
        text.push_str(&format!("  “{}” is deleted\n", name(row)));
    }
    if let Some(row) = active.next() {
        let companies = sandbox.control("hubspot", "records", &json!({"object": "companies"})).map_err(broken)?;
        let companies = companies["records"].as_array().cloned().unwrap_or_default();
        // An account whose company is in HubSpot; some companies hold the short form of the id.
        let known = |account: &str| {
            companies.iter().any(|company| {
                let id = company["properties"]["salesforceaccountid"].as_str();
                id.is_some_and(|id| account.starts_with(id))
            })
        };
        let account = all
            .iter()
            .map(|other| &other["values"]["Account__c"])
            .find(|other| other.as_str().is_some_and(known) && *other != &row["values"]["Account__c"]);
        act("update", json!({"object": "Subscription__c", "id": row["id"], "values": {"Account__c": account}}))?;
        text.push_str(&format!("  “{}” moves to another account\n", name(row)));
    }
    act(
        "create",
        json!({"object": "Subscription__c", "values": {"Name": "Brand-new subscription", "Status__c": "Active", "Amount__c": 99}}),
    )?;
    text.push_str("  “Brand-new subscription” is created\n");
    Ok(text)
}

fn options(scope: RunScope) -> RunOptions {
    RunOptions {
        trial: None,
        budget: Budget::default(),
        scope,
        allowance: Allowance::default(),
        followed: None,
        command: "syncline demo".to_owned(),
        on_progress: Arc::new(|_, _| {}),
    }
}

fn say(title: &str, text: &str) {
    output::styled(&format!("{}\n\n{text}\n", Paint::of_results().strong(title)));
}

fn broken(error: impl std::fmt::Display) -> OpsError {
    OpsError::refused("SL9002", format!("the sandbox: {error}"), "run it again; if it happens again, please report it")
}

/// The demo's project folder: kept where a person names one, else taken away at the end.
struct Folder {
    path: PathBuf,
    kept: bool,
}

impl Folder {
    fn make(keep: Option<&Path>) -> Result<Self, OpsError> {
        let path = keep.map_or_else(
            // By chance, so that two demos on one computer do not meet.
            || std::env::temp_dir().join(format!("syncline-demo-{:016x}", Rng::from_entropy().below(u64::MAX))),
            Path::to_owned,
        );
        // The demo writes its own definitions and state there.
        if path.join("syncline.yaml").exists() {
            return Err(OpsError::refused(
                "SL1013",
                format!("`{}` already holds a project", path.display()),
                "name an empty folder",
            ));
        }
        Ok(Self { path, kept: keep.is_some() })
    }

    fn write(&self, sandbox: &Sandbox) -> Result<(), OpsError> {
        let write = || -> std::io::Result<()> {
            // Its state holds records, if only invented ones.
            files::private_folder(&self.path)?;
            fs::create_dir_all(self.path.join("pipelines"))?;
            files::create(&self.path.join("syncline.yaml"), sandbox.project_yaml().as_bytes(), Readers::Usual)?;
            let pipeline = |name: &str| self.path.join("pipelines").join(name);
            PIPELINES
                .iter()
                .try_for_each(|(name, text)| files::create(&pipeline(name), text.as_bytes(), Readers::Usual))
        };
        write().map_err(|error| {
            OpsError::refused(
                "SL6008",
                format!("`{}`: {error}", self.path.display()),
                "name another folder with `--keep`",
            )
        })
    }
}

impl Folder {
    /// Replaces a text in a pipeline's file.
    fn edit(&self, file: &str, (from, to): (&str, &str)) -> Result<(), OpsError> {
        let path = self.path.join("pipelines").join(file);
        let edit = || {
            let text = String::from_utf8_lossy(&files::read(&path, 1 << 20)?).replace(from, to);
            files::replace(&path, text.as_bytes(), Readers::Usual)
        };
        edit().map_err(|error| OpsError::refused("SL6008", format!("`{}`: {error}", path.display()), "run it again"))
    }
}

impl Drop for Folder {
    fn drop(&mut self) {
        if !self.kept {
            // The folder is in the system's own place for such things, which is cleaned anyway.
            let _ = fs::remove_dir_all(&self.path);
        }
    }
}
