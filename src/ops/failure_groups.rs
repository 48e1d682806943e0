//! Open failures by reason: what a person reads first. The state counts them; memory holds a few of each reason.

use std::collections::{BTreeMap, BTreeSet};

use schemars::JsonSchema;
use serde::{Serialize, Serializer};

use super::failure_context::FailureContext;
use super::failure_view::FailureView;
use crate::config::pipeline::FieldConfig;
use crate::model::failure::{Category, RetryRule};
use crate::ports::overview::FailureReason;
use crate::ports::state::FailureFilter;
use crate::ports::store::Store;
use crate::project::error::OpsError;
use crate::project::wiring::Project;

/// Records of a reason that are named.
const SAMPLE_RECORDS_MAX: usize = 5;

/// Most values that a line to paste holds; a list that is longer is no map that a person wants to write.
const VALUES_MAX: usize = 40;

/// Most messages in which such values are looked for.
const MESSAGES_MAX: usize = 100;

/// Codes of values that a value map or a property's options lack.
const MISFITS: [&str; 2] = ["SL5005", "SL5006"];

/// What `failures --format json` prints.
#[derive(Debug, Clone, PartialEq, Serialize, JsonSchema)]
#[schemars(title = "Syncline failures")]
pub struct FailureList {
    /// One entry a record.
    pub failures: Vec<FailureView>,
    /// The same by reason, the most frequent first; `failures list` has them.
    #[serde(skip_serializing_if = "Vec::is_empty", default)]
    pub groups: Vec<FailureGroup>,
}

/// Failures of one pipeline that share a reason.
#[derive(Debug, Clone, PartialEq, Serialize, JsonSchema)]
pub struct FailureGroup {
    /// The pipeline.
    pub pipeline: String,
    /// What kind of trouble it is.
    pub category: Category,
    /// Who mends it, and where.
    pub what_to_do: &'static str,
    /// Stable code.
    pub code: String,
    /// HubSpot's own code.
    pub remote_code: Option<String>,
    /// The property at fault.
    pub property: Option<String>,
    /// Records.
    pub records: u64,
    /// The message of one of them.
    pub message: String,
    /// When the first of them failed first (UTC).
    pub first_seen: String,
    /// When one of them failed last (UTC).
    pub last_seen: String,
    /// When the first of them is tried or looked at again (UTC).
    pub retry_at: Option<String>,
    /// What lets them be tried again by themselves.
    pub retry: RetryRule,
    /// What is demanded of the value.
    pub rule: String,
    /// A line for the field's entry: its value map with the values that it lacks, each with a `?` to fill in.
    pub values: Option<String>,
    /// A few of the records, by their Salesforce ids.
    #[serde(rename = "salesforce_ids", serialize_with = "ids")]
    #[schemars(with = "Vec<String>")]
    pub sample: Vec<FailureView>,
}

fn ids<S: Serializer>(sample: &[FailureView], serializer: S) -> Result<S::Ok, S::Error> {
    serializer.collect_seq(sample.iter().map(|failure| &failure.salesforce_id))
}

/// Failures by pipeline and reason, the most frequent first: those that match one of the filters.
pub async fn groups(project: &Project, filters: &[FailureFilter]) -> Result<Vec<FailureGroup>, OpsError> {
    let (state, mut context) = (project.state_for_reading()?, FailureContext::default());
    let mut all: BTreeMap<Key, FailureGroup> = BTreeMap::new();
    for filter in filters {
        let reasons = state.failure_reasons(filter).await?;
        let meant = |reason: &FailureReason| {
            filter
                .cause
                .as_ref()
                .is_none_or(|cause| (&cause.property, &cause.remote_code) == (&reason.property, &reason.remote_code))
        };
        for reason in reasons.into_iter().filter(meant) {
            let key = Key {
                pipeline: reason.pipeline.to_string(),
                code: reason.code.clone(),
                property: reason.property.clone(),
                remote_code: reason.remote_code.clone(),
            };
            if let Some(group) = all.get_mut(&key) {
                let room = SAMPLE_RECORDS_MAX - group.sample.len();
                let more = sample(project, &*state, &mut context, filter, &reason, room).await?;
                merge(group, &reason, more);
            } else {
                let sample = sample(project, &*state, &mut context, filter, &reason, SAMPLE_RECORDS_MAX).await?;
                let values = missing_values(project, &*state, filter, &reason, sample.first()).await?;
                all.extend(group(&reason, values, sample).map(|group| (key, group)));
            }
        }
    }
    let mut groups: Vec<FailureGroup> = all.into_values().collect();
    // By name where they are equally frequent, so that the list does not jump between two looks.
    groups.sort_by(|one, other| other.records.cmp(&one.records).then_with(|| one.pipeline.cmp(&other.pipeline)));
    Ok(groups)
}

/// What failures of one group share. HubSpot's refusals share few codes of ours; what it calls them tells them apart.
#[derive(PartialEq, Eq, PartialOrd, Ord)]
struct Key {
    pipeline: String,
    code: String,
    property: Option<String>,
    remote_code: Option<String>,
}

/// A few of the records with a reason.
async fn sample(
    project: &Project,
    state: &dyn Store,
    context: &mut FailureContext,
    filter: &FailureFilter,
    reason: &FailureReason,
    most: usize,
) -> Result<Vec<FailureView>, OpsError> {
    let rows = state.failures_with_reason(filter, reason, most).await?;
    let mut page: Vec<FailureView> = rows.into_iter().map(Into::into).collect();
    context.complete(project, state, &mut page).await?;
    Ok(page)
}

/// A group; none where its records are gone already.
fn group(reason: &FailureReason, values: Option<String>, sample: Vec<FailureView>) -> Option<FailureGroup> {
    let first = sample.first()?;
    Some(FailureGroup {
        pipeline: first.pipeline.clone(),
        category: first.category,
        what_to_do: first.what_to_do,
        code: first.code.clone(),
        remote_code: first.remote_code.clone(),
        property: first.property.clone(),
        records: reason.records,
        message: first.message.clone(),
        first_seen: reason.first_seen.to_string(),
        last_seen: reason.last_seen.to_string(),
        retry_at: reason.retry_at.map(|at| at.to_string()),
        retry: first.retry,
        rule: first.rule.clone(),
        values,
        sample,
    })
}

/// Adds what another filter found for the same reason.
fn merge(group: &mut FailureGroup, reason: &FailureReason, more: Vec<FailureView>) {
    group.records += reason.records;
    // All times are in one form, so that their texts sort as they do.
    let (first, last) = (reason.first_seen.to_string(), reason.last_seen.to_string());
    group.first_seen = std::mem::take(&mut group.first_seen).min(first);
    group.last_seen = std::mem::take(&mut group.last_seen).max(last);
    let next = reason.retry_at.map(|at| at.to_string());
    group.retry_at = group.retry_at.take().into_iter().chain(next).min();
    group.sample.extend(more);
}

/// A line to paste with the values that have no place in the map; none where that is not the trouble, or where they are too many.
async fn missing_values(
    project: &Project,
    state: &dyn Store,
    filter: &FailureFilter,
    reason: &FailureReason,
    first: Option<&FailureView>,
) -> Result<Option<String>, OpsError> {
    let field = first.and_then(|failure| field_of(project, failure));
    // A masked value must not come back through a line to paste; a template has no value map.
    let Some(field) = field.filter(|field| !field.sensitive && field.from.is_some()) else { return Ok(None) };
    if !MISFITS.contains(&reason.code.as_str()) {
        return Ok(None);
    }
    // Values are read from messages, and there may be as many messages without one.
    let messages = state.messages_with_reason(filter, reason, MESSAGES_MAX).await?;
    let misfits: BTreeSet<String> = messages.iter().filter_map(|message| misfit(message)).collect();
    // A line with a part of the values would look like all of them.
    let few = messages.len() < MESSAGES_MAX && misfits.len() <= VALUES_MAX && !misfits.is_empty();
    Ok(few.then(|| values_line(field, &misfits)))
}

/// The value that does not fit: of several values in one field, the message names it.
fn misfit(message: &str) -> Option<String> {
    let (value, _) = message.split_once("(`")?.1.split_once("`)")?;
    // A shortened value would be a key that matches nothing.
    (!value.contains('…')).then(|| value.to_owned())
}

/// The entry that fills the property at fault.
fn field_of<'a>(project: &'a Project, failure: &FailureView) -> Option<&'a FieldConfig> {
    let property = failure.property.as_deref()?;
    let pipeline =
        project.loaded.pipelines.iter().find(|pipeline| pipeline.config.name.as_str() == failure.pipeline)?;
    pipeline.config.fields.iter().find(|field| field.to == property)
}

/// `values: { Active: active, On Hold: ? }`: what the entry has, and what it lacks. A `?` is no value of YAML, so that a line
/// which was pasted and not filled in is refused.
fn values_line(field: &FieldConfig, misfits: &BTreeSet<String>) -> String {
    let known = field.values.iter().flatten().map(|(key, value)| format!("{}: {}", word(key), word(&value.0)));
    let missing = misfits.iter().map(|value| format!("{}: ?", word(value)));
    let all: Vec<String> = known.chain(missing).collect();
    // An entry without a map lets every option through; one with a map does so only when told to.
    let others = if field.values.is_none() && field.otherwise.is_none() { ", otherwise: pass" } else { "" };
    format!("values: {{ {} }}{others}", all.join(", "))
}

/// A text as a key or a value of a YAML flow map: in quotes unless it is plainly a word.
fn word(text: &str) -> String {
    let plain = text.starts_with(|letter: char| letter.is_ascii_alphabetic())
        && text.chars().all(|letter| letter.is_alphanumeric() || matches!(letter, ' ' | '_' | '-' | '/' | '.'))
        && !text.ends_with(' ');
    let reserved = ["true", "false", "yes", "no", "on", "off", "null", "y", "n"];
    if plain && !reserved.contains(&text.to_ascii_lowercase().as_str()) {
        return text.to_owned();
    }
    // A JSON string is a YAML string.
    serde_json::Value::from(text).to_string()
}

#[cfg(test)]
mod tests {
    use super::word;

    #[test]
    fn words_are_quoted_where_yaml_would_take_them_for_something_else() {
        for (text, expected) in [
            ("On Hold", "On Hold"),
            ("Yes", "\"Yes\""),
            ("7", "\"7\""),
            ("a, b", "\"a, b\""),
            ("a: b", "\"a: b\""),
            ("\"x\"", "\"\\\"x\\\"\""),
            ("Größe", "Größe"),
        ] {
            assert_eq!(word(text), expected);
        }
    }
}
