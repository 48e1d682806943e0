//! A small org and a small portal, definitions made from a seed, and runs of the product between them.

use std::collections::{BTreeMap, HashMap};
use std::fmt::Write as _;
use std::fs;
use std::path::Path;
use std::sync::{Arc, Mutex};
use std::time::Duration;

use jiff::Timestamp;
use serde_json::{Value, json};
use syncline::model::report::{RunReport, RunScope};
use syncline::ops::failure_view::FailureView;
use syncline::ops::import::{Which, count};
use syncline::ops::plan::{PlanOptions, plan};
use syncline::ops::run::{RunOptions, run_all};
use syncline::plan::guard::Allowance;
use syncline::ports::state::FailureFilter;
use syncline::project::error::OpsError;
use syncline::project::prepare::{PortalSource, prepare, prepare_selected};
use syncline::project::wiring::{Outside, Project, open};
use syncline::sandbox::faults::FaultPlan;
use syncline::sandbox::load::worlds::Worlds;
use syncline::sandbox::options::{CLIENT_ID, CLIENT_SECRET, HUBSPOT_TOKEN, PORTAL_ID, SandboxOptions};
use syncline::sandbox::{Sandbox, unserved};
use syncline::sys::cancel::Cancel;
use syncline::sys::clock::Clock;
use syncline::sys::network::Network;
use syncline::sys::rng::Rng;
use tempfile::TempDir;

use super::changes::People;
use super::play::{HUBSPOT, Line, SALESFORCE, Trouble, drive};
use crate::support::FAST;

/// How the value of a field reaches HubSpot.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum Rule {
    Always,
    IfEmpty,
    CreateOnly,
    KeepDrift,
    KeepBlank,
}

/// Which label the associations of rows get.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum RoleLabel {
    Plain,
    Fixed,
    ByKind,
}

/// Rows of a junction object, and what they associate leases with.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) struct Roles {
    /// With units, else with companies.
    pub(super) to_units: bool,
    /// Leases are the second end.
    pub(super) turned: bool,
    pub(super) label: RoleLabel,
    /// What was made of a row stays when the row is deleted.
    pub(super) keep: bool,
}

impl Roles {
    fn seeded(rng: &Rng) -> Self {
        let coin = || rng.below(2) == 0;
        let label = [RoleLabel::Plain, RoleLabel::Fixed, RoleLabel::ByKind][rng.below(3) as usize];
        let to_units = coin();
        Self { to_units, turned: to_units && coin(), label, keep: rng.below(4) == 0 }
    }
}

/// What a definition says; all of it follows from the seed.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(super) struct Definition {
    /// Drafts stay in Salesforce.
    pub(super) drafts_stay: bool,
    pub(super) archive_deleted: bool,
    pub(super) archive_left: bool,
    pub(super) archive_vanished: bool,
    pub(super) keep_drift: bool,
    pub(super) code: Rule,
    /// What becomes of a status that HubSpot does not know.
    pub(super) otherwise: &'static str,
    pub(super) company_label: bool,
    pub(super) unit_label: bool,
    /// A second lookup to units, with a label of its own.
    pub(super) second: bool,
    /// A lookup to the own object.
    pub(super) parent: bool,
    /// Units name a lease, so that both sides may ask for one association.
    pub(super) both_sides: bool,
    /// Records that people made in HubSpot are taken over by their code.
    pub(super) adopt: bool,
    /// What becomes of a manager whom HubSpot does not know as an owner.
    pub(super) strangers: &'static str,
    /// The headline tells the note as well.
    pub(super) long_headline: bool,
    /// A sync carries a changed mapping over by itself.
    pub(super) backfill: bool,
    /// Leases are associated with the companies of their units' accounts.
    pub(super) site: bool,
    pub(super) roles: Option<Roles>,
}

fn word(archive: bool) -> &'static str {
    if archive { "archive" } else { "keep" }
}

impl Definition {
    pub(super) fn seeded(rng: &Rng) -> Self {
        let coin = || rng.below(2) == 0;
        let codes = [Rule::Always, Rule::IfEmpty, Rule::CreateOnly, Rule::KeepDrift, Rule::KeepBlank];
        Self {
            drafts_stay: rng.below(4) > 0,
            archive_deleted: rng.below(4) > 0,
            archive_left: coin(),
            archive_vanished: coin(),
            keep_drift: rng.below(4) == 0,
            code: codes[rng.below(5) as usize],
            otherwise: ["reject", "clear", "pass"][rng.below(3) as usize],
            company_label: coin(),
            unit_label: coin(),
            second: coin(),
            parent: coin(),
            both_sides: coin(),
            adopt: rng.below(3) == 0,
            strangers: ["reject", "clear"][rng.below(2) as usize],
            long_headline: coin(),
            backfill: coin(),
            site: coin(),
            roles: coin().then(|| Roles::seeded(rng)),
        }
    }

    /// How many pipelines there are.
    pub(super) fn pipelines(&self) -> usize {
        2 + usize::from(self.roles.is_some())
    }

    /// Somebody changes the mapping; what was changed, in words. What becomes of records that leave stays as it is: what was kept under
    /// one policy and would be archived under another is promised nothing.
    pub(super) fn edit(&mut self, rng: &Rng) -> &'static str {
        match rng.below(12) {
            0 => {
                self.otherwise = ["reject", "clear", "pass"][rng.below(3) as usize];
                "otherwise"
            }
            1 => {
                self.strangers = if self.strangers == "reject" { "clear" } else { "reject" };
                "strangers"
            }
            // What an entry has made stays when the entry goes, so entries only come.
            2 => {
                self.second = true;
                "second"
            }
            3 => {
                self.parent = true;
                "parent"
            }
            4 => {
                self.site = true;
                "site"
            }
            5 => {
                self.roles = self.roles.or_else(|| Some(Roles::seeded(rng)));
                "roles"
            }
            which => {
                let (part, name) = match which {
                    6..=8 => (&mut self.backfill, "backfill"),
                    9 => (&mut self.company_label, "company_label"),
                    10 => (&mut self.unit_label, "unit_label"),
                    _ => (&mut self.long_headline, "long_headline"),
                };
                *part = !*part;
                name
            }
        }
    }

    fn leases(&self) -> String {
        let mut text = "version: 1\nname: leases\n".to_owned();
        text.push_str(match self.drafts_stay {
            true => "source: { object: Lease__c, where: \"Status__c != 'Draft'\" }\n",
            false => "source: { object: Lease__c }\n",
        });
        let adopt = if self.adopt { ", adopt: { by: code, from: Code__c }" } else { "" };
        let _ = writeln!(text, "target: {{ object: leases, match: salesforce_id{adopt} }}");
        text.push_str("fields:\n  - { from: Name, to: lease_name }\n");
        let _ = writeln!(
            text,
            "  - {{ from: Status__c, to: status, values: {{ Draft: draft, Active: active, Ended: ended }}, otherwise: {}, allow: [SL2037] }}",
            self.otherwise
        );
        text.push_str("  - { from: Amount__c, to: amount }\n");
        let code = match self.code {
            Rule::Always => "",
            Rule::IfEmpty => ", write: if_empty",
            Rule::CreateOnly => ", on_create_only: true",
            Rule::KeepDrift => ", on_drift: keep",
            Rule::KeepBlank => ", when_blank: keep",
        };
        let _ = writeln!(text, "  - {{ from: Code__c, to: code{code} }}");
        text.push_str("  - { from: Account__r.Name, to: account_name, allow: [SL2050] }\n");
        let headline = if self.long_headline { "{{ Name }} / {{ Note__c }}" } else { "{{ Name }}" };
        let _ = writeln!(text, "  - {{ to: headline, template: \"{headline}\" }}");
        let _ = writeln!(text, "  - {{ from: Manager__c, to: manager, as: owner, otherwise: {} }}", self.strangers);
        text.push_str("associations:\n");
        let label = |there: bool, label: &str| if there { format!(", label: {label}") } else { String::new() };
        let _ = writeln!(
            text,
            "  - {{ field: Account__c, to: companies, match: salesforceaccountid{} }}\n  - {{ field: Unit__c, pipeline: units{} }}",
            label(self.company_label, "billing"),
            label(self.unit_label, "main")
        );
        if self.second {
            text.push_str("  - { field: Second__c, pipeline: units, label: spare }\n");
        }
        if self.parent {
            text.push_str("  - { field: Parent__c, pipeline: leases }\n");
        }
        if self.site {
            text.push_str(
                "  - { field: Unit__r.Account__c, to: companies, match: salesforceaccountid, label: site, allow: [SL2050] }\n",
            );
        }
        let _ = writeln!(
            text,
            "on_delete: {}\non_filter_exit: {}\non_vanish: {}\non_drift: {}\nguard: {{ archive: 100%, reject: 100% }}\nsync: {{ on_mapping_change: {} }}",
            word(self.archive_deleted),
            word(self.archive_left),
            word(self.archive_vanished),
            if self.keep_drift { "keep" } else { "overwrite" },
            if self.backfill { "backfill" } else { "mark" }
        );
        text
    }

    fn units(&self) -> String {
        let lease = if self.both_sides { "  - { field: Lease__c, pipeline: leases }\n" } else { "" };
        format!(
            "version: 1
name: units
source: {{ object: Unit__c }}
target: {{ object: units, match: salesforce_id }}
fields:
  - {{ from: Name, to: unit_name }}
associations:
  - {{ field: Account__c, to: companies, match: salesforceaccountid }}
{lease}on_delete: archive
guard: {{ archive: 100%, reject: 100% }}
"
        )
    }
}

/// Rows as associations.
fn roles_yaml(roles: Roles) -> String {
    let lease = "{ field: Lease__c, pipeline: leases }";
    let other = match roles.to_units {
        true => "{ field: Unit__c, pipeline: units }",
        false => "{ field: Account__c, to: companies, match: salesforceaccountid }",
    };
    let (from, to) = if roles.turned { (other, lease) } else { (lease, other) };
    let label = match roles.label {
        RoleLabel::Plain => "",
        RoleLabel::Fixed => "  label: guest\n",
        RoleLabel::ByKind => "  label: { from: Kind__c, values: { Guest: guest, Payer: payer } }\n",
    };
    format!(
        "version: 1
name: roles
source: {{ object: Role__c, where: \"Kind__c != 'Draft'\" }}
associate:
  from: {from}
  to: {to}
{label}on_delete: {}
on_filter_exit: archive
guard: {{ archive: 100% }}
",
        word(!roles.keep)
    )
}

fn project_yaml() -> String {
    format!(
        "version: 1
connections:
  salesforce:
    type: salesforce
    login_url: {SALESFORCE}
    auth:
      client_credentials:
        client_id: {CLIENT_ID}
        client_secret: {CLIENT_SECRET}
  hubspot:
    type: hubspot
    base_url: {HUBSPOT}
    access_token: {HUBSPOT_TOKEN}
    portal_id: {PORTAL_ID}
state: sqlite:.syncline/state.db
pipelines: pipelines
"
    )
}

fn field(name: &str, kind: &str) -> Value {
    json!({"name": name, "type": kind, "label": name, "length": 255, "custom": name.ends_with("__c")})
}

fn lookup(name: &str, to: &str) -> Value {
    json!({"name": name, "type": "reference", "label": name, "custom": true, "referenceTo": [to],
        "relationshipName": name.replace("__c", "__r")})
}

fn name_field() -> Value {
    json!({"name": "Name", "type": "string", "label": "Name", "length": 80, "nameField": true, "nillable": false})
}

/// The values of `Kind__c`; rows that are drafts stay in Salesforce.
pub(super) const KINDS: [&str; 4] = ["Guest", "Payer", "Other", "Draft"];

/// The values of `Status__c`; HubSpot knows no `Lost`.
pub(super) const STATUSES: [&str; 4] = ["Draft", "Active", "Ended", "Lost"];

fn org() -> Value {
    let statuses = STATUSES.iter().map(|value| json!({"value": value, "label": value, "active": true}));
    let status = json!({"name": "Status__c", "type": "picklist", "label": "Status", "custom": true, "restrictedPicklist": true,
        "picklistValues": statuses.collect::<Vec<_>>()});
    let amount =
        json!({"name": "Amount__c", "type": "double", "label": "Amount", "precision": 18, "scale": 0, "custom": true});
    let object = |name: &str, prefix: &str, fields: Vec<Value>| {
        json!({"name": name, "label": name, "labelPlural": name, "keyPrefix": prefix, "custom": name.ends_with("__c"),
            "mergeable": name == "Account", "fields": fields})
    };
    let records = |name: &str, count: usize| {
        (0..count).map(|number| json!({"Name": format!("{name} {number}")})).collect::<Vec<_>>()
    };
    let lease = vec![
        name_field(),
        status,
        amount,
        field("Note__c", "string"),
        field("Code__c", "string"),
        lookup("Account__c", "Account"),
        lookup("Unit__c", "Unit__c"),
        lookup("Second__c", "Unit__c"),
        lookup("Parent__c", "Lease__c"),
        lookup("Manager__c", "User"),
    ];
    let role = vec![
        name_field(),
        field("Kind__c", "string"),
        lookup("Lease__c", "Lease__c"),
        lookup("Unit__c", "Unit__c"),
        lookup("Account__c", "Account"),
    ];
    json!({
        "objects": [
            object("Account", "001", vec![name_field()]),
            object("User", "005", vec![name_field(), field("Email", "email")]),
            object("Unit__c", "a01", vec![name_field(), lookup("Account__c", "Account"), lookup("Lease__c", "Lease__c")]),
            object("Lease__c", "a02", lease),
            object("Role__c", "a03", role)],
        "records": {"Account": records("Account", 3), "Unit__c": records("Unit", 3)}
    })
}

fn text(name: &str) -> Value {
    json!({"name": name, "label": name, "type": "string", "fieldType": "text"})
}

fn unique(name: &str) -> Value {
    json!({"name": name, "label": name, "type": "string", "fieldType": "text", "hasUniqueValue": true})
}

/// From this seed on, HubSpot has so many companies besides that a listing of them costs more than a search.
pub(super) const CROWDED_FROM: u64 = 1_000_000;

/// Whether a company is one of the many.
pub(super) fn is_one_of_many(properties: &Value) -> bool {
    properties["name"].as_str().is_some_and(|name| name.starts_with("One of many"))
}

fn portal(is_crowded: bool) -> Value {
    let many = if is_crowded { 450 } else { 0 };
    let many: Vec<Value> =
        (0..many).map(|number| json!({"properties": {"name": format!("One of many {number}")}})).collect();
    let options: Vec<Value> = ["draft", "active", "ended"]
        .iter()
        .enumerate()
        .map(|(order, value)| json!({"value": value, "label": value, "displayOrder": order, "hidden": false}))
        .collect();
    let status =
        json!({"name": "status", "label": "status", "type": "enumeration", "fieldType": "select", "options": options});
    let amount = json!({"name": "amount", "label": "amount", "type": "number", "fieldType": "number"});
    let schema = |name: &str, properties: Value, others: &[&str]| {
        json!({"name": name, "labels": {"singular": name, "plural": name}, "primaryDisplayProperty": properties[0]["name"],
            "requiredProperties": [], "searchableProperties": [], "properties": properties, "associatedObjects": others})
    };
    let lease = json!([
        text("lease_name"),
        unique("salesforce_id"),
        status,
        amount,
        text("code"),
        text("account_name"),
        text("headline"),
        text("remark"),
        json!({"name": "manager", "label": "manager", "type": "enumeration", "fieldType": "select", "externalOptions": true,
            "referencedObjectType": "OWNER", "options": []})
    ]);
    let label = |to: &str, name: &str| json!({"from": "leases", "to": to, "name": name, "label": name});
    json!({
        "portal": {"portal_id": PORTAL_ID, "access_token": HUBSPOT_TOKEN, "time_zone": "Europe/Berlin"},
        "owners": [],
        "properties": {"0-2": [{"name": "salesforceaccountid", "label": "Salesforce Account ID", "type": "string",
            "fieldType": "text", "groupName": "companyinformation", "hasUniqueValue": false}]},
        "schemas": [
            schema("units", json!([text("unit_name"), unique("salesforce_id")]), &["0-2"]),
            schema("leases", lease, &["0-2", "units"])],
        "labels": [
            label("0-2", "billing"), label("0-2", "own"), label("0-2", "site"), label("0-2", "guest"), label("0-2", "payer"),
            label("units", "main"), label("units", "spare"), label("units", "guest"), label("units", "payer")],
        "records": {"0-2": many}
    })
}

/// What a person asks of the product.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum Command {
    Import,
    Sync,
    Reconcile,
}

/// How a run ended: none where it died.
pub(super) type Ran = Option<Result<Vec<RunReport>, String>>;

/// One history's world.
pub(super) struct World {
    pub(super) people: Arc<Mutex<People>>,
    pub(super) line: Arc<Line>,
    pub(super) sandbox: Arc<Sandbox>,
    pub(super) definition: Definition,
    pub(super) clock: Clock,
    pub(super) folder: TempDir,
    seed: u64,
    runs: u64,
}

/// A folder in memory where there is one, so that a thousand histories wear no disk out.
fn folder() -> TempDir {
    let memory = Path::new("/dev/shm");
    if memory.is_dir() { TempDir::new_in(memory).unwrap() } else { TempDir::new().unwrap() }
}

impl World {
    pub(super) fn new(seed: u64, definition: Definition) -> Self {
        let start: Timestamp = "2026-06-01T09:00:00Z".parse().unwrap();
        let clock = Clock::manual(start);
        let worlds = Worlds { salesforce: Some(org()), hubspot: Some(portal(seed >= CROWDED_FROM)) };
        let options = SandboxOptions {
            seed,
            records: 1,
            rate_limit: FAST,
            worlds,
            clock: clock.clone(),
            visibility_delay: Duration::from_secs(seed % 3),
            ..SandboxOptions::default()
        };
        let sandbox = Arc::new(unserved(&options).unwrap());
        let people = Arc::new(Mutex::new(People::new(Arc::clone(&sandbox), seed)));
        let others = Arc::clone(&people);
        let meanwhile = Box::new(move || others.lock().unwrap().change());
        let line = Line::new(Arc::clone(&sandbox), clock.clone(), seed ^ 0x11e, meanwhile);
        let world = Self { people, line, sandbox, definition, clock, folder: folder(), seed, runs: 0 };
        world.write("syncline.yaml", &project_yaml());
        world.define();
        world
    }

    pub(super) fn define(&self) {
        self.write("pipelines/leases.yaml", &self.definition.leases());
        self.write("pipelines/units.yaml", &self.definition.units());
        if let Some(roles) = self.definition.roles {
            self.write("pipelines/roles.yaml", &roles_yaml(roles));
        }
    }

    pub(super) fn write(&self, name: &str, text: &str) {
        let path = self.folder.path().join(name);
        fs::create_dir_all(path.parent().unwrap()).unwrap();
        fs::write(path, text).unwrap();
    }

    /// The project as a new process opens it.
    pub(super) fn project(&mut self, cancel: &Cancel) -> Project {
        self.runs += 1;
        let outside = Outside {
            clock: self.clock.clone(),
            rng: Rng::seeded(self.seed.wrapping_mul(1_000).wrapping_add(self.runs)),
            network: Network::Played(Arc::clone(&self.line) as _),
            cancel: cancel.clone(),
        };
        match open(self.folder.path(), &|_| None, outside) {
            Ok(project) => project,
            Err(error) => panic!("{error}"),
        }
    }

    /// Runs a command as a process of its own would.
    pub(super) fn run(&mut self, command: Command, trouble: Trouble) -> Ran {
        let cancel = Cancel::new();
        let project = self.project(&cancel);
        self.line.begin(trouble, cancel);
        let ran = drive(&self.line, carry_out(&project, command))?;
        Some(ran.map_err(|error| format!("{} {error}", error.code())))
    }

    /// What a plan foretells of a command: a report of each pipeline, and of what kind of run it is.
    pub(super) fn plan(&mut self, command: Command) -> Result<BTreeMap<String, (RunReport, String)>, String> {
        let cancel = Cancel::new();
        let project = self.project(&cancel);
        self.line.begin(Trouble { quick: true, ..Trouble::default() }, cancel);
        let planned = drive(&self.line, async {
            let preparation = prepare(&project, &[], PortalSource::Live).await?;
            let (full, reconcile) = (command == Command::Import, command == Command::Reconcile);
            let options = PlanOptions { full, reconcile, ..PlanOptions::default() };
            plan(&project, &preparation, &options, &|_| None).await
        });
        let planned = planned.unwrap().map_err(|error: OpsError| error.to_string())?;
        let entry = |forecast: syncline::model::forecast::PipelineForecast| {
            (forecast.report.name.to_string(), (forecast.report, format!("{:?}", forecast.forecast_of)))
        };
        Ok(planned.into_iter().map(entry).collect())
    }

    /// Whether something befalls requests from now on.
    pub(super) fn faults(&self, plan: Option<&Value>) {
        self.sandbox.clear_faults();
        if let Some(plan) = plan {
            self.sandbox.add_faults(&FaultPlan::from_json(plan).unwrap()).unwrap();
        }
    }

    /// Time passes.
    pub(super) fn wait(&self, duration: Duration) {
        self.clock.advance(duration);
    }
}

/// What the command line does.
async fn carry_out(project: &Project, command: Command) -> Result<Vec<RunReport>, OpsError> {
    let state = project.state()?;
    let (scope, name) = match command {
        Command::Import => (RunScope::All, "import"),
        Command::Sync => (RunScope::Changed, "sync --once"),
        Command::Reconcile => (RunScope::Compared, "reconcile"),
    };
    let mut counted = HashMap::new();
    let preparation = match command {
        Command::Import => {
            let mut preparation = prepare(project, &[], PortalSource::LiveAndSaved(&*state)).await?;
            let found = count(project, &*state, &mut preparation, &Which::All).await?;
            let names = preparation.pipelines.iter().map(|prepared| prepared.pipeline.name.clone());
            counted.extend(names.zip(found.iter().map(|counted| counted.records)));
            preparation
        }
        Command::Sync | Command::Reconcile => {
            let chosen = syncline::ops::sync::selected(project, &[])?;
            let portal = match command {
                Command::Sync => PortalSource::SavedFirst(&*state),
                _ => PortalSource::LiveAndSaved(&*state),
            };
            prepare_selected(project, &project.loaded, &chosen, portal).await?
        }
    };
    let options = RunOptions {
        scope,
        trial: None,
        budget: syncline::model::budget::Budget::default(),
        allowance: Allowance { archive: Some(1_000), reject: Some(1_000), empty_source: true },
        command: format!("syncline {name}"),
        followed: None,
        on_progress: Arc::new(|_, _| {}),
    };
    let finished = run_all(project, &state, preparation, &options, &counted).await;
    Ok(finished.into_iter().map(|finished| finished.report).collect())
}

/// A failure that stands.
pub(super) struct Stands {
    pub(super) pipeline: String,
    pub(super) salesforce_id: String,
    pub(super) kind: String,
    pub(super) message: String,
}

/// The failures that stand.
pub(super) fn failures(world: &mut World) -> Vec<Stands> {
    let project = world.project(&Cancel::new());
    world.line.begin(Trouble::default(), Cancel::new());
    let found = drive(&world.line, syncline::ops::history::failures(&project, &FailureFilter::default()));
    let found = found.unwrap().unwrap_or_else(|error| panic!("{error}"));
    let entry = |failure: FailureView| {
        let value = serde_json::to_value(&failure).unwrap();
        let text = |name: &str| value[name].as_str().unwrap_or_default().to_owned();
        Stands {
            pipeline: text("pipeline"),
            salesforce_id: text("salesforce_id"),
            kind: text("kind"),
            message: text("message"),
        }
    };
    found.into_iter().map(entry).collect()
}
