//! A failure as it is shown: what the state holds of it, in words.

use schemars::JsonSchema;
use serde::Serialize;

use crate::diagnostic::codes;
use crate::model::failure::{Category, FailureKind, RetryRule};
use crate::ports::state::{FailureRow, FailureStatus};

/// A failure as shown.
#[derive(Debug, Clone, PartialEq, Serialize, JsonSchema)]
pub struct FailureView {
    /// The pipeline.
    pub pipeline: String,
    /// The record.
    pub salesforce_id: String,
    /// Name for people.
    pub title: String,
    /// What of it failed: a record has a failure of its own, and one of its associations.
    pub kind: FailureKind,
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
    /// What is wrong.
    pub message: String,
    /// The value at fault, as Salesforce holds it; masked where it is sensitive.
    pub value: Option<String>,
    /// What is demanded of it.
    pub rule: String,
    /// Whether it is tried again, is dismissed until the record changes, or is over.
    #[schemars(extend("enum" = ["open", "dismissed", "resolved"]))]
    pub status: &'static str,
    /// How often it failed.
    pub attempts: u32,
    /// First time (UTC).
    pub first_seen: String,
    /// Last time (UTC).
    pub last_seen: String,
    /// When it is tried or looked at again (UTC).
    pub retry_at: Option<String>,
    /// What lets it be tried again by itself.
    pub retry: RetryRule,
    /// The run that saw it last.
    pub run: String,
    /// The record's page in Salesforce, where the address is known.
    pub salesforce_url: Option<String>,
    /// Its record in HubSpot.
    pub hubspot_id: Option<String>,
    /// The page of that.
    pub hubspot_url: Option<String>,
    /// The record's columns.
    #[serde(skip)]
    pub columns: Vec<(String, Option<String>)>,
}

impl From<FailureRow> for FailureView {
    fn from(row: FailureRow) -> Self {
        let FailureRow { pipeline, run, failure, first_seen, last_seen, attempts, status, retry_at, .. } = row;
        let category = failure.reason.category();
        Self {
            kind: failure.reason.kind(),
            category,
            what_to_do: category.mended_by(),
            retry: category.retry(),
            value: None,
            rule: rule_of(&failure.reason.code),
            salesforce_url: None,
            hubspot_id: None,
            hubspot_url: None,
            pipeline: pipeline.to_string(),
            salesforce_id: failure.salesforce_id.to_string(),
            title: failure.title,
            code: failure.reason.code,
            remote_code: failure.reason.remote_code,
            property: failure.reason.property,
            message: failure.reason.message,
            status: match status {
                FailureStatus::Open => "open",
                FailureStatus::Dismissed => "dismissed",
                FailureStatus::Resolved => "resolved",
            },
            attempts,
            first_seen: first_seen.to_string(),
            last_seen: last_seen.to_string(),
            retry_at: retry_at.map(|at| at.to_string()),
            run: run.to_string(),
            columns: failure.columns,
        }
    }
}

/// The title of the code's page: what is demanded of the value.
fn rule_of(code: &str) -> String {
    let page = codes::PAGES.iter().find(|(known, _)| *known == code);
    page.map(|(_, page)| codes::title(page).to_owned()).unwrap_or_default()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn every_code_of_a_record_has_a_category_of_its_own_choice() {
        let general = ["SL5109"];
        let codes = codes::PAGES.iter().map(|(code, _)| *code);
        for code in codes.filter(|code| code.starts_with("SL5")) {
            let category = Category::of(code, None);
            assert_eq!(category == Category::HubspotRefused, general.contains(&code), "{code}: {category:?}");
        }
    }
}
