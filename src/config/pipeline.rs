//! A pipeline as written: the root struct is the root of `schemas/pipeline.schema.json`, its comments are the
//! descriptions there, in editors and in docs/reference.

use std::collections::BTreeMap;

use schemars::JsonSchema;
use serde::{Deserialize, Serialize};

use super::alerts::AlertConfig;
use super::association::hubspot_connection;
pub use super::association::{AssociateConfig, AssociationConfig, LabelByField, LabelConfig};
use super::scalar::{DurationText, GuardLimit, Interval, Scalar};

/// One Salesforce object kept in step with one HubSpot object; or, with `associate`, a junction object kept in step with associations.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize, JsonSchema)]
#[serde(deny_unknown_fields)]
#[schemars(title = "Syncline pipeline", extend("if" = { "required": ["associate"] }, "else" = { "required": ["target", "fields"] }))]
pub struct PipelineConfig {
    /// Version of the file format. Always 1.
    #[schemars(range(min = 1, max = 1))]
    pub version: u32,
    /// Name of the pipeline: unique in the project, the key of all its state. Lower-case letters, digits, `_` and `-`.
    #[schemars(regex(pattern = "^[a-z][a-z0-9_-]{0,62}$"), example = &"subscriptions")]
    pub name: String,
    /// What the pipeline is for, in a sentence.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub description: Option<String>,
    /// Where records come from.
    pub source: SourceConfig,
    /// Where records go to.
    #[serde(default)]
    pub target: TargetConfig,
    /// Which property gets which value. At least one.
    #[serde(default)]
    #[schemars(length(min = 1))]
    pub fields: Vec<FieldConfig>,
    /// Makes associations of the rows of a junction object; stands in the place of `target`, `fields` and `associations`.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub associate: Option<AssociateConfig>,
    /// Which lookups become associations.
    #[serde(default, skip_serializing_if = "Vec::is_empty")]
    pub associations: Vec<AssociationConfig>,
    /// What happens in HubSpot when a record is deleted in Salesforce. It has no default, so that a reviewer sees it.
    pub on_delete: DeleteAction,
    /// What happens in HubSpot when a record stops matching `source.where`.
    #[serde(default = "keep")]
    pub on_filter_exit: DeleteAction,
    /// What happens in HubSpot when a record is no longer visible in Salesforce, without proof that it was deleted: it was purged,
    /// or Syncline's user lost access to it. `reconcile` finds such records.
    #[serde(default = "keep")]
    pub on_vanish: DeleteAction,
    /// What `reconcile` does where somebody changed in HubSpot what Syncline wrote.
    #[serde(default)]
    pub on_drift: OnDrift,
    /// Limits beyond which a run stops before its first write.
    #[serde(default)]
    pub guard: GuardConfig,
    /// When and how changes are synced.
    #[serde(default)]
    pub sync: SyncConfig,
    /// From when on something is wrong; what is left out is as `alert` of syncline.yaml says.
    #[serde(default, skip_serializing_if = "AlertConfig::is_unset")]
    pub alert: AlertConfig,
    /// Limits of the product that this pipeline changes.
    #[serde(default)]
    pub limits: LimitsConfig,
    /// Codes of warnings that are accepted in the whole file, such as `SL2050`: they are no longer reported. Errors cannot be accepted.
    #[serde(default, skip_serializing_if = "Vec::is_empty")]
    #[schemars(inner(regex(pattern = "^SL[0-9]{4}$")), example = ["SL2050"])]
    pub allow: Vec<String>,
}

/// Where records come from.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize, JsonSchema)]
#[serde(deny_unknown_fields)]
pub struct SourceConfig {
    /// Name of a `salesforce` connection of `syncline.yaml`.
    #[serde(default = "salesforce_connection")]
    pub connection: String,
    /// API name of a custom object (`…__c`) or of a supported standard object.
    #[schemars(example = &"Subscription__c", length(min = 1, max = 80))]
    pub object: String,
    /// SOQL condition that says which records belong. Without it, all do.
    #[serde(rename = "where", default, skip_serializing_if = "Option::is_none")]
    #[schemars(example = &"Status__c != 'Draft'", length(min = 1, max = 20000))]
    pub condition: Option<String>,
    /// Accept a queryable object that is not in the list of supported standard objects (Account, Opportunity, User …).
    #[serde(default)]
    pub allow_unlisted: bool,
}

/// Where records go to.
#[derive(Debug, Clone, Default, PartialEq, Serialize, Deserialize, JsonSchema)]
#[serde(deny_unknown_fields)]
pub struct TargetConfig {
    /// Name of a `hubspot` connection of `syncline.yaml`.
    #[serde(default = "hubspot_connection")]
    pub connection: String,
    /// Custom object: its name, fully qualified name or objectTypeId. Standard objects by their name.
    #[schemars(example = &"subscriptions", length(min = 1, max = 120))]
    pub object: String,
    /// HubSpot property that holds the 18-character Salesforce id. It must be declared unique there, or a repeated
    /// create would make a duplicate.
    #[serde(rename = "match")]
    #[schemars(example = &"salesforce_id", length(min = 1, max = 120))]
    pub match_property: String,
    /// What to do with records that exist in HubSpot and with those that do not.
    #[serde(default)]
    pub mode: Mode,
    /// Takes over records that stand in HubSpot without a Salesforce id, instead of making them a second time.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub adopt: Option<AdoptConfig>,
}

/// How a record that stands in HubSpot without a Salesforce id is recognised: by a value that leads to exactly one such record.
/// Its match property is then written, and it is kept in step from then on.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
#[serde(deny_unknown_fields)]
pub struct AdoptConfig {
    /// HubSpot property that both have in common: text or a number. Where it is not unique in HubSpot, a run that would create
    /// records reads the whole object first.
    #[schemars(example = &"contract_number", length(min = 1, max = 120))]
    pub by: String,
    /// Salesforce field with the same value, or a field of a parent record.
    #[schemars(example = &"ContractNumber", length(min = 1, max = 400))]
    pub from: String,
    /// Codes of warnings that are accepted for this entry, such as `SL2081`: they are no longer reported. Errors cannot be accepted.
    #[serde(default, skip_serializing_if = "Vec::is_empty")]
    #[schemars(inner(regex(pattern = "^SL[0-9]{4}$")), example = ["SL2081"])]
    pub allow: Vec<String>,
}

/// What to do with records that exist in HubSpot and with those that do not.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
#[serde(rename_all = "snake_case")]
pub enum Mode {
    /// Create what is missing, update what exists.
    #[default]
    Upsert,
    /// Create what is missing, leave what exists as it is.
    CreateOnly,
    /// Update what exists, create nothing.
    UpdateOnly,
}

/// Which value a property gets. Exactly one of `from`, `template` and `value`.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize, JsonSchema)]
#[serde(deny_unknown_fields)]
#[schemars(extend("oneOf" = [{ "required": ["from"] }, { "required": ["template"] }, { "required": ["value"] }]))]
pub struct FieldConfig {
    /// HubSpot property that is set.
    #[schemars(example = &"subscription_name", length(min = 1, max = 120))]
    pub to: String,
    /// Salesforce field, or a field of a parent record (`Account__r.Name`, up to five levels).
    #[serde(default, skip_serializing_if = "Option::is_none")]
    #[schemars(example = &"Name", length(min = 1, max = 400))]
    pub from: Option<String>,
    /// Text made from the record's fields by a Jinja template. A name that is not a field is an error.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    #[schemars(example = &"{{ Name }} · {{ Amount__c | round(2) }}", length(min = 1, max = 20000))]
    pub template: Option<String>,
    /// The same value for every record.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub value: Option<Scalar>,
    /// Value map: Salesforce value on the left, HubSpot value on the right.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    #[serde(deserialize_with = "value_map")]
    pub values: Option<BTreeMap<String, Scalar>>,
    /// What happens to a value that the value map lacks, or to an e-mail that no owner has.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub otherwise: Option<Otherwise>,
    /// Value for a record whose field is blank.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub default: Option<Scalar>,
    /// What a blank in Salesforce does to the property.
    #[serde(default)]
    pub when_blank: WhenBlank,
    /// Reject the record as a failure when the value is blank.
    #[serde(default)]
    pub required: bool,
    /// Set the property when the record is created, and leave it alone afterwards.
    #[serde(default)]
    pub on_create_only: bool,
    /// `if_empty` fills the property only where HubSpot holds nothing, so that what people enter there stays.
    #[serde(default, skip_serializing_if = "Write::is_always")]
    pub write: Write,
    /// What `reconcile` does with the property where somebody changed it in HubSpot, if not what `on_drift` of the pipeline says.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub on_drift: Option<OnDrift>,
    /// `id` writes the raw 18-character id of a lookup as text; `owner` finds the HubSpot owner by the e-mail of the user that
    /// a lookup leads to. Without it, a lookup belongs under `associations`.
    #[serde(rename = "as", default, skip_serializing_if = "Option::is_none")]
    pub cast: Option<Cast>,
    /// Write the label of a picklist's value instead of the value: in the language of the integration user, into a text property.
    #[serde(default)]
    pub label: bool,
    /// Cut text that is longer than HubSpot's 65,536 characters, instead of rejecting the record.
    #[serde(default)]
    pub truncate: bool,
    /// Multiplies a number, exactly: `0.01` makes 0.5 of 50, which a Salesforce percent field holds for 50 %.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    #[schemars(example = &"0.01")]
    pub scale: Option<Scalar>,
    /// Time zone (IANA name) in which a datetime becomes a date. UTC by default.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    #[schemars(example = &"Europe/Berlin")]
    pub time_zone: Option<String>,
    /// Mask the field's values in every output.
    #[serde(default)]
    pub sensitive: bool,
    /// Codes of warnings that are accepted for this entry, such as `SL2050`: they are no longer reported. Errors cannot be accepted.
    #[serde(default, skip_serializing_if = "Vec::is_empty")]
    #[schemars(inner(regex(pattern = "^SL[0-9]{4}$")), example = ["SL2050"])]
    pub allow: Vec<String>,
}

/// When a property is written.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
#[serde(rename_all = "snake_case")]
pub enum Write {
    /// Whenever the value changes.
    #[default]
    Always,
    /// Only where HubSpot holds nothing.
    IfEmpty,
}

impl Write {
    /// Whether it is the ordinary way.
    fn is_always(&self) -> bool {
        *self == Self::Always
    }
}

/// What `reconcile` does with a property that somebody changed in HubSpot.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
#[serde(rename_all = "snake_case")]
pub enum OnDrift {
    /// Write what Salesforce holds.
    #[default]
    Overwrite,
    /// Leave it as it is, and tell.
    Keep,
}

/// What a blank in Salesforce does to the property.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
#[serde(rename_all = "snake_case")]
pub enum WhenBlank {
    /// Clears it: always use Salesforce.
    #[default]
    Clear,
    /// Leaves it as it is: prefer Salesforce unless blank.
    Keep,
}

/// How a lookup is read.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
#[serde(rename_all = "snake_case")]
pub enum Cast {
    /// As its 18-character id.
    Id,
    /// As the owner in HubSpot who has the e-mail of the user; what no owner has follows `otherwise`.
    Owner,
}

/// What happens to a value that the value map lacks.
#[derive(Debug, Clone, PartialEq)]
pub enum Otherwise {
    /// Reject the record as a failure.
    Reject,
    /// Use the value as it is.
    Pass,
    /// Clear the property.
    Clear,
    /// Use this value.
    Value(Scalar),
}

/// `otherwise` as written: a word, or `{value: X}`.
#[derive(Serialize, Deserialize)]
#[serde(untagged)]
enum OtherwiseText {
    Word(String),
    Value(OtherwiseValue),
}

/// The value for everything that the value map lacks.
#[derive(Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
struct OtherwiseValue {
    value: Scalar,
}

impl<'de> Deserialize<'de> for Otherwise {
    fn deserialize<D: serde::Deserializer<'de>>(deserializer: D) -> Result<Self, D::Error> {
        let expected = "expected `reject`, `pass`, `clear` or `{value: …}`";
        match OtherwiseText::deserialize(deserializer).map_err(|_| serde::de::Error::custom(expected))? {
            OtherwiseText::Word(word) => match word.as_str() {
                "reject" => Ok(Self::Reject),
                "pass" => Ok(Self::Pass),
                "clear" => Ok(Self::Clear),
                _ => Err(serde::de::Error::custom(expected)),
            },
            OtherwiseText::Value(value) => Ok(Self::Value(value.value)),
        }
    }
}

impl Serialize for Otherwise {
    fn serialize<S: serde::Serializer>(&self, serializer: S) -> Result<S::Ok, S::Error> {
        let text = match self {
            Self::Reject => OtherwiseText::Word("reject".to_owned()),
            Self::Pass => OtherwiseText::Word("pass".to_owned()),
            Self::Clear => OtherwiseText::Word("clear".to_owned()),
            Self::Value(value) => OtherwiseText::Value(OtherwiseValue { value: value.clone() }),
        };
        text.serialize(serializer)
    }
}

impl JsonSchema for Otherwise {
    fn schema_name() -> std::borrow::Cow<'static, str> {
        "Otherwise".into()
    }

    fn json_schema(generator: &mut schemars::SchemaGenerator) -> schemars::Schema {
        let value = generator.subschema_for::<Scalar>();
        schemars::json_schema!({
            "description": "What happens to a value that the value map lacks: `reject` rejects the record as a failure, `pass` uses the \
                value as it is, `clear` clears the property, `{value: X}` uses X.",
            "type": ["string", "object"],
            "pattern": "^(reject|pass|clear)$",
            "properties": { "value": value },
            "required": ["value"],
            "additionalProperties": false,
            "examples": ["reject", "pass", "clear", { "value": "other" }],
        })
    }
}

/// What happens to a HubSpot record whose source is gone.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
#[serde(rename_all = "snake_case")]
pub enum DeleteAction {
    /// Archive it; HubSpot can restore it for 90 days.
    Archive,
    /// Keep it as it is.
    Keep,
}

/// Limits beyond which a run stops before its first write.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize, JsonSchema)]
#[serde(deny_unknown_fields, default)]
pub struct GuardConfig {
    /// Most records that one run may archive: a count (`500`) or a share of the pipeline's records in HubSpot (`10%`).
    pub archive: GuardLimit,
    /// Most records that one run may reject: a count (`500`) or a share of the records that it looks at (`50%`). A share stops no
    /// run with fewer than 20 rejected records. Records that are already under `failures` do not count.
    pub reject: GuardLimit,
}

impl Default for GuardConfig {
    fn default() -> Self {
        Self { archive: GuardLimit::default(), reject: GuardLimit::Percent(50.0) }
    }
}

/// When and how changes are synced.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize, JsonSchema)]
#[serde(deny_unknown_fields, default)]
pub struct SyncConfig {
    /// False is "save for later": `syncline sync` does not run the pipeline.
    pub enabled: bool,
    /// Time from one cycle to the next: from `1s` to `7d`.
    pub every: DurationText,
    /// How changes are detected.
    pub changes: Changes,
    /// How much of the time before the watermark is read again, for rows that become visible late: from `0s` to `7d`.
    pub overlap: DurationText,
    /// Time from one full comparison to the next, in a sync that runs on: from `1h` to `365d`, or `off`.
    pub reconcile: Interval,
    /// What a sync does about a changed parent record, such as an account whose name is mapped by `Account__r.Name`.
    pub parents: ParentChanges,
    /// What a sync does about records that were written under an earlier mapping or filter.
    pub on_mapping_change: OnMappingChange,
}

impl Default for SyncConfig {
    fn default() -> Self {
        Self {
            enabled: true,
            every: DurationText::seconds(300),
            changes: Changes::default(),
            overlap: DurationText::seconds(600),
            reconcile: Interval::every_seconds(86_400),
            parents: ParentChanges::default(),
            on_mapping_change: OnMappingChange::default(),
        }
    }
}

/// How changes are detected.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
#[serde(rename_all = "snake_case")]
pub enum Changes {
    /// By asking for records touched since the watermark.
    #[default]
    Poll,
}

/// What a sync does about a changed parent record.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
#[serde(rename_all = "snake_case")]
pub enum ParentChanges {
    /// Ask for the records of the parents that changed, where Salesforce can be asked, in the query for changed records.
    #[default]
    Follow,
    /// Leave them to the next comparison.
    Off,
}

/// What a sync does about records that were written under an earlier mapping or filter.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
#[serde(rename_all = "snake_case")]
pub enum OnMappingChange {
    /// Bring all of them up to the present one, once a change, in the next cycle.
    Backfill,
    /// Leave them, and tell how many there are: `import --stale` and `reconcile` bring them up to it.
    #[default]
    Mark,
}

/// Limits of the product that this pipeline changes.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
#[serde(deny_unknown_fields, default)]
pub struct LimitsConfig {
    /// Most custom objects that may be mapped on this pipeline's HubSpot connection. HubSpot's own wizard stops at 10.
    #[schemars(range(min = 1, max = 1000))]
    pub custom_objects: u32,
}

impl Default for LimitsConfig {
    fn default() -> Self {
        Self { custom_objects: 10 }
    }
}

/// Keys of a value map may be written as text, number or boolean.
fn value_map<'de, D: serde::Deserializer<'de>>(deserializer: D) -> Result<Option<BTreeMap<String, Scalar>>, D::Error> {
    let map = Option::<BTreeMap<ScalarKey, Scalar>>::deserialize(deserializer)?;
    Ok(map.map(|map| map.into_iter().map(|(key, value)| (key.0.0, value)).collect()))
}

#[derive(PartialEq, Eq, Deserialize)]
struct ScalarKey(Scalar);

impl PartialOrd for ScalarKey {
    fn partial_cmp(&self, other: &Self) -> Option<std::cmp::Ordering> {
        Some(self.cmp(other))
    }
}

impl Ord for ScalarKey {
    fn cmp(&self, other: &Self) -> std::cmp::Ordering {
        self.0.0.cmp(&other.0.0)
    }
}

fn keep() -> DeleteAction {
    DeleteAction::Keep
}

fn salesforce_connection() -> String {
    "salesforce".to_owned()
}
