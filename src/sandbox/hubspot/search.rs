//! Search: an index that lags behind, with the real limits.

use serde::Deserialize;
use serde_json::{Value, json};

use super::answers::{self, Answer, Refusal};
use super::body::decode;
use super::objects::show;
use super::portal::{Portal, Record};

const PAGE_MAX: usize = 200;
const RESULTS_MAX: usize = 10_000;
const BODY_MAX: usize = 3_000;
const GROUPS_MAX: usize = 5;
const FILTERS_MAX: usize = 6;

#[derive(Deserialize, Default)]
#[serde(rename_all = "camelCase", default)]
struct Query {
    filter_groups: Vec<Group>,
    filters: Vec<Filter>,
    sorts: Vec<Value>,
    properties: Vec<String>,
    limit: Option<usize>,
    after: Option<Value>,
}

#[derive(Deserialize, Default)]
#[serde(default)]
struct Group {
    filters: Vec<Filter>,
}

#[derive(Deserialize)]
#[serde(rename_all = "camelCase")]
struct Filter {
    property_name: String,
    operator: String,
    #[serde(default)]
    value: Option<Value>,
    #[serde(default)]
    high_value: Option<Value>,
    #[serde(default)]
    values: Vec<Value>,
}

/// Searches records; those that changed within the lag are not found as they are now.
pub fn search(portal: &Portal, type_id: &str, body: &[u8], now: i64) -> Answer {
    if body.len() > BODY_MAX {
        return Err(Refusal::validation("The request body is too long"));
    }
    let query: Query = decode(body)?;
    let limit = query.limit.unwrap_or(10);
    let after: usize = query.after.as_ref().and_then(|after| text(after).parse().ok()).unwrap_or(0);
    if limit > PAGE_MAX || after + limit > RESULTS_MAX {
        return Err(Refusal::validation("paging is limited to 200 a page and 10000 in total"));
    }
    let groups = if query.filters.is_empty() { query.filter_groups } else { vec![Group { filters: query.filters }] };
    if groups.len() > GROUPS_MAX || groups.iter().any(|group| group.filters.len() > FILTERS_MAX) {
        return Err(Refusal::validation("too many filterGroups or filters"));
    }
    let object = portal.object(type_id)?;
    let lag = i64::try_from(portal.options.search_lag.as_millis()).unwrap_or_default();
    let seen = |record: &Record| record.archived.is_none() && now - record.updated >= lag;
    let matches = |id: u64, record: &Record| {
        groups.is_empty() || groups.iter().any(|group| group.filters.iter().all(|filter| filter.holds(id, record)))
    };
    let mut found: Vec<(u64, &Record)> = object
        .records
        .iter()
        .filter(|(id, record)| seen(record) && matches(**id, record))
        .map(|(id, record)| (*id, record))
        .collect();
    if let Some(sort) = query.sorts.first() {
        let property = sort.as_str().or_else(|| sort["propertyName"].as_str()).unwrap_or("hs_object_id").to_owned();
        found.sort_by_key(|(id, record)| key(*id, record, &property));
        if sort["direction"] == "DESCENDING" {
            found.reverse();
        }
    }
    let total = found.len();
    let results: Vec<Value> =
        found.iter().skip(after).take(limit).map(|(id, record)| show(*id, record, &query.properties)).collect();
    let mut body = json!({"total": total, "results": results});
    if total > after + limit {
        body["paging"] = json!({"next": {"after": (after + limit).to_string()}});
    }
    Ok(answers::json(200, &body))
}

fn text(value: &Value) -> String {
    value.as_str().map_or_else(|| value.to_string(), str::to_owned)
}

/// A value to sort and compare by: numbers before texts.
fn key(id: u64, record: &Record, property: &str) -> (Option<i64>, String) {
    let text = held(id, record, property).unwrap_or_default();
    let number = text.parse::<f64>().ok().map(|number| (number * 1000.0) as i64);
    (number, text.to_lowercase())
}

fn held(id: u64, record: &Record, property: &str) -> Option<String> {
    match property {
        "hs_object_id" => Some(id.to_string()),
        "hs_createdate" | "createdate" => Some(record.created.to_string()),
        "hs_lastmodifieddate" | "lastmodifieddate" => Some(record.updated.to_string()),
        property => record.properties.get(property).cloned(),
    }
}

impl Filter {
    fn holds(&self, id: u64, record: &Record) -> bool {
        let held = held(id, record, &self.property_name);
        let wanted = self.value.as_ref().map(text).unwrap_or_default().to_lowercase();
        let lower = held.as_ref().map(|text| text.to_lowercase());
        let listed = || self.values.iter().any(|value| lower.as_deref() == Some(&text(value)));
        let compare = |other: &str| match (lower.as_deref()?.parse::<f64>(), other.parse::<f64>()) {
            (Ok(one), Ok(other)) => one.partial_cmp(&other),
            _ => lower.as_deref().map(|one| one.cmp(other)),
        };
        let order = compare(&wanted);
        match self.operator.as_str() {
            "EQ" => lower.as_deref() == Some(&wanted),
            "NEQ" => lower.is_some_and(|lower| lower != wanted),
            "LT" => order.is_some_and(std::cmp::Ordering::is_lt),
            "LTE" => order.is_some_and(std::cmp::Ordering::is_le),
            "GT" => order.is_some_and(std::cmp::Ordering::is_gt),
            "GTE" => order.is_some_and(std::cmp::Ordering::is_ge),
            "BETWEEN" => {
                let high = self.high_value.as_ref().map(text).unwrap_or_default();
                order.is_some_and(std::cmp::Ordering::is_ge) && compare(&high).is_some_and(std::cmp::Ordering::is_le)
            }
            "IN" => listed(),
            "NOT_IN" => lower.is_some() && !listed(),
            "HAS_PROPERTY" => held.is_some(),
            "NOT_HAS_PROPERTY" => held.is_none(),
            "CONTAINS_TOKEN" => lower.is_some_and(|lower| lower.contains(wanted.trim_matches('*'))),
            "NOT_CONTAINS_TOKEN" => lower.is_some_and(|lower| !lower.contains(wanted.trim_matches('*'))),
            _ => false,
        }
    }
}
