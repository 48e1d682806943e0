//! Open failures by reason: what a person reads first. One pass over all of them; memory holds a few of each reason.

use std::collections::{BTreeMap, BTreeSet};

use schemars::JsonSchema;
use serde::{Serialize, Serializer};

use super::failure_view::FailureView;
use super::history::Pages;
use crate::config::pipeline::FieldConfig;
use crate::model::failure::{Category, RetryRule};
use crate::project::error::OpsError;
use crate::project::wiring::Project;

/// Records of a reason that are named.
const SAMPLE_RECORDS_MAX: usize = 5;

/// Most values that a line to paste holds; a list that is longer is no map that a person wants to write.
const VALUES_MAX: usize = 40;

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

#[derive(Default)]
struct Collected {
    group: Option<FailureGroup>,
    misfits: BTreeSet<String>,
    /// There are more misfits than a line may hold.
    too_many: bool,
}

/// Failures by pipeline and reason, the most frequent first.
pub async fn groups(project: &Project, mut pages: Pages<'_>) -> Result<Vec<FailureGroup>, OpsError> {
    let mut all: BTreeMap<(String, String, Option<String>, Option<String>), Collected> = BTreeMap::new();
    while let Some(page) = pages.next().await? {
        for failure in page {
            let key = (
                failure.pipeline.clone(),
                failure.code.clone(),
                failure.property.clone(),
                // HubSpot's refusals share few codes of ours; what it calls them tells them apart.
                failure.remote_code.clone(),
            );
            let field = field_of(project, &failure);
            all.entry(key).or_default().take(failure, field);
        }
    }
    let mut groups: Vec<FailureGroup> = all.into_values().filter_map(|group| group.finish(project)).collect();
    // By name where they are equally frequent, so that the list does not jump between two looks.
    groups.sort_by(|one, other| other.records.cmp(&one.records).then_with(|| one.pipeline.cmp(&other.pipeline)));
    Ok(groups)
}

impl Collected {
    fn take(&mut self, failure: FailureView, field: Option<&FieldConfig>) {
        if MISFITS.contains(&failure.code.as_str()) {
            self.misfit(&failure, field);
        }
        let Some(group) = &mut self.group else {
            self.group = Some(FailureGroup {
                pipeline: failure.pipeline.clone(),
                category: failure.category,
                what_to_do: failure.what_to_do,
                retry: failure.retry,
                rule: failure.rule.clone(),
                code: failure.code.clone(),
                remote_code: failure.remote_code.clone(),
                property: failure.property.clone(),
                records: 1,
                message: failure.message.clone(),
                first_seen: failure.first_seen.clone(),
                last_seen: failure.last_seen.clone(),
                retry_at: failure.retry_at.clone(),
                values: None,
                sample: vec![failure],
            });
            return;
        };
        group.records += 1;
        // All times are in one form, so that their texts sort as they do.
        if failure.first_seen < group.first_seen {
            group.first_seen.clone_from(&failure.first_seen);
        }
        if failure.last_seen > group.last_seen {
            group.last_seen.clone_from(&failure.last_seen);
        }
        let sooner = match (&failure.retry_at, &group.retry_at) {
            (Some(next), Some(first)) => next < first,
            (next, first) => next.is_some() && first.is_none(),
        };
        if sooner {
            group.retry_at.clone_from(&failure.retry_at);
        }
        if group.sample.len() < SAMPLE_RECORDS_MAX {
            group.sample.push(failure);
        }
    }

    /// Keeps the value that has no place in the map.
    fn misfit(&mut self, failure: &FailureView, field: Option<&FieldConfig>) {
        // A masked value must not come back through a line to paste; a template has no value map.
        if field.is_none_or(|field| field.sensitive || field.from.is_none()) {
            return;
        }
        // Of several values in one field, the message names the one that does not fit.
        let quoted = failure.message.split_once("(`").and_then(|(_, rest)| rest.split_once("`)"));
        // A shortened value would be a key that matches nothing.
        let Some((value, _)) = quoted.filter(|(value, _)| !value.contains('…')) else { return };
        if self.misfits.len() >= VALUES_MAX && !self.misfits.contains(value) {
            self.too_many = true;
        } else {
            self.misfits.insert(value.to_owned());
        }
    }

    /// None where no failure fell into the group.
    fn finish(self, project: &Project) -> Option<FailureGroup> {
        let mut group = self.group?;
        // A line with a part of the values would look like all of them.
        if !self.too_many && !self.misfits.is_empty() {
            let field = group.sample.first().and_then(|failure| field_of(project, failure));
            group.values = field.map(|field| values_line(field, &self.misfits));
        }
        Some(group)
    }
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
