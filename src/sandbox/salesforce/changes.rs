//! Lists of deleted and updated records, and the day's limits.

use serde_json::{Value, json};

use super::answers::{self, Answer, Refusal, parse_time, rest_time};
use super::org::{BIN_MILLIS, Org};
use crate::sandbox::http::Request;

const MINUTE: i64 = 60_000;

/// `/sobjects/{object}/deleted` and `/updated`.
pub fn list(org: &Org, request: &Request, name: &str, deleted: bool, now: i64) -> Answer {
    let object = org.object(name).ok_or_else(Refusal::not_found)?;
    if object.definition["replicateable"] == false {
        return Err(Refusal::new(400, "NOT_REPLICATEABLE", format!("{name} is not replicateable")));
    }
    let invalid = |message: &str| Refusal::new(400, "INVALID_REPLICATION_DATE", message);
    let time =
        // Seconds are cut off, as the documentation says.
        |name: &str| request.parameter(name).and_then(parse_time).map(|millis| millis.div_euclid(MINUTE) * MINUTE);
    let (Some(start), Some(end)) = (time("start"), time("end")) else {
        return Err(invalid("start and end are required"));
    };
    // Deletes reach back 15 days, updates 30.
    let back = if deleted { BIN_MILLIS } else { 2 * BIN_MILLIS };
    if start < now - back {
        return Err(invalid("startDate before org replication enabled date"));
    }
    if end - start < MINUTE {
        return Err(invalid("endDate must be at least one minute after startDate"));
    }
    // A transaction that is still on its way holds the covered date back.
    let covered = object.rows.oldest_unseen(now).unwrap_or(end).min(end).div_euclid(MINUTE) * MINUTE;
    if deleted {
        let records: Vec<Value> = object
            .deletes
            .iter()
            .filter(|(id, at)| {
                // A row that was restored is no longer listed.
                (start..=end).contains(at) && object.rows.get(id).is_none_or(|row| row.deleted.is_some())
            })
            .map(|(id, at)| json!({"id": id, "deletedDate": rest_time(*at)}))
            .collect();
        let earliest = rest_time(now - BIN_MILLIS);
        return Ok(answers::json(
            200,
            &json!({"deletedRecords": records, "earliestDateAvailable": earliest, "latestDateCovered": rest_time(covered)}),
        ));
    }
    let changed = object.rows.stamped(start, end).filter(|(id, row)| {
        object.seen(id, row, now).is_some_and(|row| row.deleted.is_none() && (start..=end).contains(&row.stamp))
    });
    let ids: Vec<&String> = changed.map(|(id, _)| id).collect();
    Ok(answers::json(200, &json!({"ids": ids, "latestDateCovered": rest_time(covered)})))
}

/// `/limits`
pub fn limits(org: &Org) -> Answer {
    let max = org.options.daily_limit;
    let left = max.saturating_sub(org.calls.1);
    let jobs = 10_000_u64.saturating_sub(org.jobs.len() as u64);
    Ok(answers::json(
        200,
        &json!({
            "DailyApiRequests": {"Max": max, "Remaining": left, "Syncline": {"Max": max, "Remaining": left}},
            "DailyBulkV2QueryJobs": {"Max": 10_000, "Remaining": jobs},
            "DailyBulkV2QueryFileStorageMB": {"Max": 976_562, "Remaining": 976_562},
            "DailyDeliveredPlatformEvents": {"Max": 25_000, "Remaining": 25_000},
            "DataStorageMB": {"Max": 10_240, "Remaining": 9_120},
        }),
    ))
}
