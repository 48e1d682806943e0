//! Search: an index that lags behind, with the real limits.

use serde::Deserialize;
use serde_json::Value;

use super::answers::{self, Answer, Refusal};
use super::body::decode;
use super::objects::{distinct_names, show};
use super::portal::{ObjectType, Portal};
use super::store::{Record, Store};

// HubSpot's own limits, the length of the body in characters.
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
pub fn search(portal: &mut Portal, type_id: &str, body: &[u8], now: i64) -> Answer {
    if body.len() > BODY_MAX {
        return Err(Refusal::validation("The request body is too long"));
    }
    let query: Query = decode(body)?;
    // HubSpot's own default.
    let limit = query.limit.unwrap_or(10);
    let after: usize = query.after.as_ref().and_then(|after| text(after).parse().ok()).unwrap_or(0);
    if limit > PAGE_MAX || after + limit > RESULTS_MAX {
        return Err(Refusal::validation("paging is limited to 200 a page and 10000 in total"));
    }
    // Filters without a group count as one, as in HubSpot's examples.
    let groups = if query.filters.is_empty() { query.filter_groups } else { vec![Group { filters: query.filters }] };
    if groups.len() > GROUPS_MAX || groups.iter().any(|group| group.filters.len() > FILTERS_MAX) {
        return Err(Refusal::validation("too many filterGroups or filters"));
    }
    let lag = i64::try_from(portal.options.search_lag.as_millis()).unwrap_or_default();
    let object = portal.object_mut(type_id)?;
    let candidates = candidates(object, &groups);
    let object = &*object;
    // The real index needs a few moments: search right after a write finds the old state or nothing.
    let seen = |record: &Record| record.archived.is_none() && now - record.updated >= lag;
    let matches = |id: u64, record: &Record| {
        groups.is_empty()
            || groups.iter().any(|group| group.filters.iter().all(|filter| filter.holds(object, id, record)))
    };
    let fits = |(id, record): &(u64, &Record)| seen(record) && matches(*id, record);
    let mut found: Vec<(u64, &Record)> = match candidates {
        None => object.store.from(0).filter(fits).collect(),
        Some(ids) => ids.into_iter().filter_map(|id| Some((id, object.store.get(id)?))).filter(fits).collect(),
    };
    // One rule only counts.
    if let Some(sort) = query.sorts.first() {
        let property = sort.as_str().or_else(|| sort["propertyName"].as_str()).unwrap_or("hs_object_id").to_owned();
        found.sort_by_cached_key(|(id, record)| key(object, *id, record, &property));
        if sort["direction"] == "DESCENDING" {
            found.reverse();
        }
    }
    let total = found.len();
    let asked = distinct_names(query.properties);
    let results: Vec<String> =
        found.iter().skip(after).take(limit).map(|(id, record)| show(object, *id, record, &asked)).collect();
    let mut body = format!(r#"{{"total":{total},"results":[{}]"#, results.join(","));
    if total > after + limit {
        body.push_str(&format!(r#","paging":{{"next":{{"after":"{}"}}}}"#, after + limit));
    }
    body.push('}');
    Ok(answers::written(200, body))
}

/// Records that may match, by ascending id and each once, where every group has a filter that an index answers; else all may.
fn candidates(object: &mut ObjectType, groups: &[Group]) -> Option<Vec<u64>> {
    let mut ids = Vec::new();
    for group in groups {
        let by_index = group.filters.iter().find_map(|filter| filter.by_index(&mut object.store));
        ids.extend(by_index?);
    }
    ids.sort_unstable();
    ids.dedup();
    (!groups.is_empty()).then_some(ids)
}

fn text(value: &Value) -> String {
    value.as_str().map_or_else(|| value.to_string(), str::to_owned)
}

/// A value to sort and compare by: numbers before texts.
fn key(object: &ObjectType, id: u64, record: &Record, property: &str) -> (Option<i64>, String) {
    let text = held(object, id, record, property).unwrap_or_default();
    // In thousandths, as floats have no total order, which a sort needs.
    let number = text.parse::<f64>().ok().map(|number| (number * 1000.0) as i64);
    (number, text.to_lowercase())
}

fn held(object: &ObjectType, id: u64, record: &Record, property: &str) -> Option<String> {
    match property {
        "hs_object_id" => Some(id.to_string()),
        "hs_createdate" | "createdate" => Some(record.created.to_string()),
        "hs_lastmodifieddate" | "lastmodifieddate" => Some(record.updated.to_string()),
        property => object.store.value(record, property).map(str::to_owned),
    }
}

impl Filter {
    /// The records that pass this filter, and perhaps some more, where an index tells.
    fn by_index(&self, store: &mut Store) -> Option<Vec<u64>> {
        let name = self.property_name.as_str();
        let given = self.value.as_ref().map(text);
        match (name, self.operator.as_str()) {
            ("hs_object_id", "EQ") => Some(given?.parse().into_iter().collect()),
            ("hs_object_id", "IN") => Some(self.values.iter().filter_map(|value| text(value).parse().ok()).collect()),
            ("hs_lastmodifieddate" | "lastmodifieddate", operator) => {
                let at = given?.parse().ok()?;
                match operator {
                    "EQ" => Some(store.changed(at, at)),
                    "GT" | "GTE" => Some(store.changed(at, i64::MAX)),
                    "LT" | "LTE" => Some(store.changed(i64::MIN, at)),
                    "BETWEEN" => Some(store.changed(at, text(self.high_value.as_ref()?).parse().ok()?)),
                    _ => None,
                }
            }
            // These are no values of the store, and have no index.
            ("hs_object_id" | "hs_createdate" | "createdate", _) => None,
            (_, "EQ") => Some(store.with_value(name, &given?)),
            (_, "IN") => Some(self.values.iter().flat_map(|value| store.with_value(name, &text(value))).collect()),
            _ => None,
        }
    }

    fn holds(&self, object: &ObjectType, id: u64, record: &Record) -> bool {
        let held = held(object, id, record, &self.property_name);
        let wanted = self.value.as_ref().map(text).unwrap_or_default().to_lowercase();
        let lower = held.as_ref().map(|text| text.to_lowercase());
        // Of texts, HubSpot wants the values of a list in lower case; another spelling finds nothing.
        let listed = || self.values.iter().any(|value| lower.as_deref() == Some(&text(value)));
        let compare = |other: &str| match (lower.as_deref()?.parse::<f64>(), other.parse::<f64>()) {
            (Ok(one), Ok(other)) => one.partial_cmp(&other),
            _ => lower.as_deref().map(|one| one.cmp(other)),
        };
        let order = compare(&wanted);
        match self.operator.as_str() {
            "EQ" => lower.as_deref() == Some(&wanted),
            // Records without a value are not found by an exclusion.
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
