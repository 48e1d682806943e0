//! What a run would do: the shape that `plan --format json` prints.

use std::collections::BTreeMap;

use schemars::JsonSchema;
use serde::{Deserialize, Serialize};

use super::change::{DefinitionChange, DefinitionDiff};
use super::ids::{HubspotId, SalesforceId};
use super::report::{RunKind, RunReport, RunScope, RunStatus};

/// What `plan` found out.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize, JsonSchema)]
#[schemars(title = "Syncline plan")]
pub struct PlanReport {
    /// One entry a pipeline.
    pub pipelines: Vec<PipelineForecast>,
    /// `succeeded`, or `failed` where a forecast ended early.
    pub status: RunStatus,
    /// What changed in the definitions since the revision that was asked for.
    #[serde(skip_serializing_if = "Option::is_none", default)]
    pub definitions: Option<DefinitionDiff>,
}

/// What a run of one pipeline would do.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize, JsonSchema)]
pub struct PipelineForecast {
    /// Its numbers, exact.
    #[serde(flatten)]
    pub report: RunReport,
    /// The kind of run that was forecast.
    pub forecast_of: RunKind,
    /// Which records the forecast is about.
    pub scope: RunScope,
    /// Whether the next sync itself carries over what a changed mapping touches.
    #[serde(default, skip_serializing_if = "std::ops::Not::not")]
    pub backfills: bool,
    /// How many records each action would touch, exact.
    pub actions: BTreeMap<PlannedAction, u64>,
    /// Rejected records by reason: those that the change brings first, then the most frequent.
    pub rejects: Vec<RejectGroup>,
    /// How many updates change each property, as far as HubSpot was asked about them.
    #[serde(default)]
    pub properties: BTreeMap<String, PropertyCount>,
    /// Associations that were carried out and that HubSpot no longer holds, as far as they were looked at.
    #[serde(default)]
    pub lost_associations: u64,
    /// What changed in the definition since the revision that was asked for.
    pub definition_changes: Vec<DefinitionChange>,
    /// Records that were written under another mapping than today's.
    pub stale: u64,
    /// What the plan can and cannot tell.
    pub answers: Vec<Answer>,
    /// A bounded sample of the changes.
    pub changes: Vec<PlannedChange>,
    /// Changes that are not in the sample.
    pub changes_omitted: u64,
    /// Where people open a record in the two systems, as far as that is known.
    #[serde(skip_serializing_if = "Option::is_none", default)]
    pub addresses: Option<RecordAddresses>,
    /// What the run would cost.
    pub estimate: Estimate,
    /// Why the run would be refused before its first write, where it would.
    #[serde(skip_serializing_if = "Option::is_none", default)]
    pub refusal: Option<String>,
}

impl PlanReport {
    /// Takes every value of a record out: what stays are counts, ids, names of properties and codes.
    pub fn drop_values(&mut self) {
        for pipeline in &mut self.pipelines {
            pipeline.drop_values();
        }
    }
}

impl PipelineForecast {
    /// Takes every value of a record out: what stays are counts, ids, names of properties and codes.
    pub fn drop_values(&mut self) {
        self.properties.values_mut().for_each(|count| count.values.clear());
        self.changes.iter_mut().for_each(PlannedChange::drop_values);
        for group in &mut self.rejects {
            let at = group.property.as_ref().map(|property| format!(" at `{property}`")).unwrap_or_default();
            // The message quotes the value that was refused.
            group.example = format!("rejected with {}{at}", group.code);
        }
    }

    /// Keeps at most `max` changes of the sample, of each action about as many, and counts the others as left out.
    pub fn shorten(&mut self, max: usize) {
        let mut turns: BTreeMap<PlannedAction, usize> = BTreeMap::new();
        let mut ranked: Vec<(usize, usize)> = Vec::new();
        for (place, change) in self.changes.iter().enumerate() {
            let turn = turns.entry(change.action).or_default();
            ranked.push((*turn, place));
            *turn += 1;
        }
        // By turns: the first of each action, then the second of each. So rare actions are seen beside thousands of
        // updates.
        ranked.sort_unstable();
        ranked.truncate(max);
        let kept: std::collections::BTreeSet<usize> = ranked.into_iter().map(|(_, place)| place).collect();
        self.changes_omitted += (self.changes.len() - kept.len()) as u64;
        let mut place = 0;
        self.changes.retain(|_| {
            place += 1;
            kept.contains(&(place - 1))
        });
    }
}

/// Rejected records that share a reason.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
pub struct RejectGroup {
    /// Stable code (`SL5…`).
    pub code: String,
    /// The property or field at fault, where known.
    pub property: Option<String>,
    /// Records.
    pub records: u64,
    /// Those of them that the definition at the base rejects as well; none where it was not compared.
    #[serde(skip_serializing_if = "Option::is_none", default)]
    pub known: Option<u64>,
    /// The message of one of them.
    pub example: String,
}

/// How often updates change a property.
#[derive(Debug, Clone, Default, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
pub struct PropertyCount {
    /// Records in which it changes.
    pub records: u64,
    /// Those of them in which it is cleared.
    pub cleared: u64,
    /// From which value to which, the most frequent first. Empty where there are too many different ones to tell apart.
    #[serde(skip_serializing_if = "Vec::is_empty", default)]
    pub values: Vec<ValueChange>,
}

/// One value that becomes another, and in how many records.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
pub struct ValueChange {
    /// What HubSpot holds; none when it is blank.
    pub before: Option<String>,
    /// What it would hold; none when it would be cleared.
    pub after: Option<String>,
    /// Records.
    pub records: u64,
}

/// Where people open a record in a browser: addresses in which `{id}` stands for the record's id.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
pub struct RecordAddresses {
    /// In Salesforce.
    pub salesforce: Option<String>,
    /// In HubSpot.
    pub hubspot: Option<String>,
}

impl RecordAddresses {
    /// Those of one record, each with the name of its system.
    pub fn named(&self, change: &PlannedChange) -> Vec<(&'static str, String)> {
        let (salesforce, hubspot) = self.of(change.salesforce_id.as_str(), change.hubspot_id.as_ref());
        let salesforce = salesforce.map(|address| ("Salesforce", address));
        salesforce.into_iter().chain(hubspot.map(|address| ("HubSpot", address))).collect()
    }

    /// Those of one record: in Salesforce, and in HubSpot where its record is known.
    pub fn of(&self, salesforce_id: &str, hubspot_id: Option<&HubspotId>) -> (Option<String>, Option<String>) {
        let with = |address: &String, id: &str| address.replace("{id}", id);
        // An id comes from an answer: anything but digits would lead elsewhere.
        let hubspot = hubspot_id.filter(|id| id.text().bytes().all(|byte| byte.is_ascii_digit()));
        let hubspot = hubspot.zip(self.hubspot.as_ref()).map(|(id, address)| with(address, &id.text()));
        (self.salesforce.as_ref().map(|address| with(address, salesforce_id)), hubspot)
    }
}

/// One question that a plan is asked, and its answer.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
pub struct Answer {
    /// The question.
    pub question: Question,
    /// Yes, no, or that it cannot be told.
    pub answer: Verdict,
    /// Why, in a sentence.
    pub why: String,
}

/// What a plan is asked.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Serialize, Deserialize, JsonSchema)]
#[serde(rename_all = "snake_case")]
pub enum Question {
    /// Would the run change anything?
    Changes,
    /// Would it archive records?
    Archives,
    /// Did someone change in HubSpot what Syncline wrote, or remove an association?
    Drift,
    /// Are there records whose source is gone without a trace?
    Vanished,
}

/// An answer. What cannot be told is said so, and never taken for a no.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
#[serde(rename_all = "snake_case")]
pub enum Verdict {
    /// Yes.
    Yes,
    /// No.
    No,
    /// It cannot be told from here.
    Unknown,
}

/// One change that a run would make.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize, JsonSchema)]
pub struct PlannedChange {
    /// What would be done.
    pub action: PlannedAction,
    /// The Salesforce record.
    pub salesforce_id: SalesforceId,
    /// Its HubSpot record, where it is known.
    pub hubspot_id: Option<HubspotId>,
    /// Name for people.
    pub title: String,
    /// Properties that would change.
    pub properties: BTreeMap<String, BeforeAfter>,
    /// Associations that would be made, removed, or wait; of drift, those that HubSpot no longer holds.
    pub associations: Vec<PlannedAssociation>,
    /// Why: the reason of a rejection, the cause of an archiving.
    pub reasons: Vec<String>,
}

impl PlannedChange {
    /// Takes every value of the record out; the names of the properties that change stay as a reason.
    pub fn drop_values(&mut self) {
        // A title is the value of a field.
        self.title = self.salesforce_id.to_string();
        // The reason of a rejection quotes the value that is refused.
        if self.action == PlannedAction::Reject {
            self.reasons.clear();
        }
        if !self.properties.is_empty() {
            let names: Vec<String> = std::mem::take(&mut self.properties).into_keys().collect();
            self.reasons.push(format!("properties: {}", names.join(", ")));
        }
    }
}

/// What would be done with a record; the dangerous first.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Serialize, Deserialize, JsonSchema)]
#[serde(rename_all = "snake_case")]
pub enum PlannedAction {
    /// Archived in HubSpot.
    Archive,
    /// Kept as a failure; the mapping refuses it.
    Reject,
    /// Left in HubSpot and no longer kept in step.
    Leave,
    /// Someone changed it in HubSpot: a run leaves that as it is.
    Drift,
    /// Made again.
    Restore,
    /// Taken over: it stands in HubSpot without a Salesforce id.
    Adopt,
    /// Made.
    Create,
    /// Changed.
    Update,
    /// Only its associations change.
    Associate,
    /// Only waits until the other record of an association is there.
    Pending,
    /// As it should be.
    Unchanged,
}

impl PlannedAction {
    /// All actions, the dangerous first.
    pub const ALL: [Self; 11] = [
        Self::Archive,
        Self::Reject,
        Self::Leave,
        Self::Drift,
        Self::Restore,
        Self::Adopt,
        Self::Create,
        Self::Update,
        Self::Associate,
        Self::Pending,
        Self::Unchanged,
    ];

    /// Its word.
    pub fn word(self) -> &'static str {
        match self {
            Self::Archive => "archive",
            Self::Reject => "reject",
            Self::Leave => "leave",
            Self::Drift => "drift",
            Self::Restore => "restore",
            Self::Adopt => "adopt",
            Self::Create => "create",
            Self::Update => "update",
            Self::Associate => "associate",
            Self::Pending => "pending",
            Self::Unchanged => "unchanged",
        }
    }
}

/// A property before and after.
#[derive(Debug, Clone, PartialEq, Eq, Hash, Serialize, Deserialize, JsonSchema)]
pub struct BeforeAfter {
    /// What HubSpot holds; none when it is blank or was not asked.
    pub before: Option<String>,
    /// What it would hold; none when it would be cleared.
    pub after: Option<String>,
}

/// An association that would change.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
pub struct PlannedAssociation {
    /// The lookup field, with its label where one is set.
    pub association: String,
    /// What would be done.
    pub action: AssociationAction,
    /// The Salesforce id at the other end.
    pub salesforce_id: Option<SalesforceId>,
}

/// What would be done with an association.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Serialize, Deserialize, JsonSchema)]
#[serde(rename_all = "snake_case")]
pub enum AssociationAction {
    /// Made.
    Associate,
    /// Removed.
    Disassociate,
    /// Waits until its other record is there.
    Pending,
    /// It was carried out, and HubSpot no longer holds it.
    Lost,
}

/// What a run would cost.
#[derive(Debug, Clone, Copy, Default, PartialEq, Serialize, Deserialize, JsonSchema)]
pub struct Estimate {
    /// HTTP calls to HubSpot.
    pub hubspot_calls: u64,
    /// HTTP calls to Salesforce.
    pub salesforce_calls: u64,
    /// How long the HubSpot calls take at the rate limit.
    pub seconds_at_rate_limit: f64,
}
