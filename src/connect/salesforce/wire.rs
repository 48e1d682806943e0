//! The API's own shapes that are no records: jobs, tokens, counts, composite answers. Unknown members are ignored.

use jiff::Timestamp;
use oauth2::ExtraTokenFields;
use serde::{Deserialize, Deserializer, Serialize};
use serde_json::value::RawValue;

use crate::connect::http::oauth::{Answer, Members};
use crate::model::stamp;

/// Answer of the token endpoint.
pub(in crate::connect) type TokenAnswer = Answer<Own>;

/// What is Salesforce's own in it. `issued_at` and others are left out; there is no lifetime in it.
#[derive(Debug, Serialize, Deserialize)]
pub(in crate::connect) struct Own {
    pub(in crate::connect) instance_url: Option<String>,
    /// Address of the user, which ends in the org's id and the user's.
    pub(in crate::connect) id: Option<String>,
}

impl ExtraTokenFields for Own {}

impl Members for Own {}

impl Own {
    /// The org that answered, by the 15 characters that both forms of its id share.
    pub(in crate::connect) fn org(&self) -> Option<String> {
        let mut parts = self.id.as_deref()?.rsplit('/');
        let (_user, org) = (parts.next()?, parts.next()?);
        // Ids of orgs begin with 00D; another form of address must not pass for another org.
        org.get(..15).filter(|org| org.starts_with("00D")).map(str::to_owned)
    }
}

/// A Bulk API 2.0 query job.
#[derive(Debug, Deserialize)]
#[serde(rename_all = "camelCase")]
pub(super) struct Job {
    pub(super) id: String,
    pub(super) state: JobState,
    /// Final only in [`JobState::JobComplete`]; may be missing while the job is young.
    #[serde(default, deserialize_with = "whole")]
    pub(super) number_records_processed: Option<u64>,
    pub(super) error_message: Option<String>,
    pub(super) object: Option<String>,
}

/// How far a job is.
#[derive(Debug, Clone, PartialEq, Eq, Deserialize)]
pub(super) enum JobState {
    /// Queued.
    UploadComplete,
    /// Running.
    InProgress,
    /// Results can be read.
    JobComplete,
    /// Broke down; `errorMessage` says why.
    Failed,
    /// Somebody aborted it.
    Aborted,
    /// A state that Syncline does not know; waited for like a running one.
    #[serde(untagged)]
    Other(String),
}

/// What is asked of a new job.
#[derive(Serialize)]
#[serde(rename_all = "camelCase")]
pub(super) struct NewJob<'a> {
    pub(super) operation: &'a str,
    pub(super) query: &'a str,
    pub(super) content_type: &'a str,
    pub(super) column_delimiter: &'a str,
    pub(super) line_ending: &'a str,
}

/// Answer of a COUNT() query.
#[derive(Deserialize)]
#[serde(rename_all = "camelCase")]
pub(super) struct CountAnswer {
    #[serde(deserialize_with = "known_whole")]
    pub(super) total_size: u64,
}

/// Answer of a composite call.
#[derive(Deserialize)]
#[serde(rename_all = "camelCase")]
pub(super) struct CompositeAnswer<'a> {
    #[serde(borrow)]
    pub(super) composite_response: Vec<CompositePart<'a>>,
}

/// One answer inside a composite answer.
#[derive(Deserialize)]
#[serde(rename_all = "camelCase")]
pub(super) struct CompositePart<'a> {
    #[serde(borrow)]
    pub(super) body: &'a RawValue,
    pub(super) http_status_code: u16,
}

/// A whole number that may be written as `12`, `12.0` or `"12"`, or be absent; Salesforce writes integers with `.0` at times.
pub(super) fn whole<'de, D: Deserializer<'de>>(decoder: D) -> Result<Option<u64>, D::Error> {
    let Some(raw) = Option::<&RawValue>::deserialize(decoder)? else { return Ok(None) };
    let text = raw.get().trim_matches('"');
    let text = text
        .split_once('.')
        .filter(|(_, rest)| rest.bytes().all(|digit| digit == b'0'))
        .map_or(text, |(known, _)| known);
    text.parse().map(Some).map_err(|_| serde::de::Error::custom("the answer holds a count that is not a whole number"))
}

fn known_whole<'de, D: Deserializer<'de>>(decoder: D) -> Result<u64, D::Error> {
    whole(decoder)?.ok_or_else(|| serde::de::Error::custom("the answer lacks a count"))
}

/// Reads a moment in any of the forms that Salesforce writes: `…Z`, `…+00:00` and `…+0000`, which RFC 3339 refuses.
pub(super) fn moment(text: &str) -> Option<Timestamp> {
    if let Some(moment) = stamp::moment(text) {
        return Some(moment);
    }
    let split = text.len().checked_sub(5).filter(|at| text.is_char_boundary(*at))?;
    let (time, offset) = text.split_at(split);
    match offset.as_bytes() {
        [b'+' | b'-', digits @ ..] if digits.iter().all(u8::is_ascii_digit) => {
            format!("{time}{}:{}", &offset[..3], &offset[3..]).parse().ok()
        }
        _ => text.parse().ok(),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[track_caller]
    fn check(text: &str, expected: Option<&str>) {
        assert_eq!(moment(text).map(|time| time.to_string()).as_deref(), expected, "{text}");
    }

    #[test]
    fn moments_in_every_form() {
        check("2026-10-01T09:00:00.000+0000", Some("2026-10-01T09:00:00Z"));
        check("2026-10-01T09:00:00.000Z", Some("2026-10-01T09:00:00Z"));
        check("2026-10-01T09:00:00+00:00", Some("2026-10-01T09:00:00Z"));
        check("2026-10-01T11:00:00.250+0200", Some("2026-10-01T09:00:00.25Z"));
        check("2026-10-01", None);
        check("", None);
        check("ü漢字", None);
    }

    #[test]
    fn the_org_in_a_token_answer() {
        let org = |id: &str| {
            let answer = format!(r#"{{"access_token":"x","id":{id}}}"#);
            serde_json::from_str::<TokenAnswer>(&answer).unwrap().more.org()
        };
        let expected = Some("00D5g000004XYZk".to_owned());
        assert_eq!(org(r#""https://login.salesforce.com/id/00D5g000004XYZkEAO/0055g00000AbCdEAAV""#), expected);
        assert_eq!(org(r#""https://x/id/00D5g000004XYZk/0055g00000AbCdE""#), expected);
        assert_eq!((org("null"), org(r#""odd""#), org(r#""https://x/id/me""#)), (None, None, None));
    }

    #[test]
    fn an_unknown_job_state_is_kept() {
        let job: Job = serde_json::from_str(r#"{"id":"750","state":"Brewing","apiVersion":67.0}"#).unwrap();
        assert_eq!(job.state, JobState::Other("Brewing".into()));
        let job: Job =
            serde_json::from_str(r#"{"state":"JobComplete","id":"750","numberRecordsProcessed":3}"#).unwrap();
        assert_eq!((job.state, job.number_records_processed), (JobState::JobComplete, Some(3)));
        for (count, expected) in [("12.0", Some(12)), ("\"12\"", Some(12)), ("null", None), ("0", Some(0))] {
            let text = format!(r#"{{"state":"InProgress","id":"750","numberRecordsProcessed":{count}}}"#);
            let job: Job = serde_json::from_str(&text).unwrap();
            assert_eq!(job.number_records_processed, expected, "{count}");
        }
        for count in ["1.5", "-1", "\"many\"", "{}"] {
            let text = format!(r#"{{"state":"InProgress","id":"750","numberRecordsProcessed":{count}}}"#);
            assert!(serde_json::from_str::<Job>(&text).is_err(), "{count}");
        }
    }
}
