//! The list of deleted records: proof of deletes that left the recycle bin.

use serde::Deserialize;
use serde_json::Value;

use crate::model::ids::SalesforceId;

/// `{"deletedRecords":[{"id":"a01…","deletedDate":"…"}], …}`
#[derive(Deserialize)]
#[serde(rename_all = "camelCase")]
struct Listed {
    deleted_records: Vec<Value>,
}

/// The ids of an answer. An entry that names no record proves nothing of any.
pub(super) fn ids(body: &[u8]) -> Result<Vec<SalesforceId>, serde_json::Error> {
    let Listed { deleted_records } = serde_json::from_slice(body)?;
    Ok(deleted_records.iter().filter_map(|entry| entry["id"].as_str()?.parse().ok()).collect())
}

#[cfg(test)]
mod tests {
    use super::ids;

    #[test]
    fn entries_are_read_one_by_one() {
        let body =
            br#"{"deletedRecords":[{"id":"a015g00000AbCdFAAV","deletedDate":"2026-10-01T09:00:03.000+0000"},{"id":7},
            {},null,{"id":"a015g00000aBcDeAAK"}],"earliestDateAvailable":"x","latestDateCovered":null}"#;
        let found: Vec<String> = ids(body).unwrap().iter().map(ToString::to_string).collect();
        assert_eq!(found, ["a015g00000AbCdFAAV", "a015g00000aBcDeAAK"]);
        assert!(ids(b"[]").is_err() && ids(b"{}").is_err());
    }
}
