//! Two versions of syncline.yaml, as written: variables are not expanded, and secrets that stand in it are masked.

use std::collections::BTreeMap;

use serde_json::Value;

use crate::config::load::SECRET_KEYS;
use crate::config::read::SourceFile;
use crate::config::yaml;
use crate::diagnostic::Place;
use crate::model::change::ChangeClass::{CanRemoveData, NoRecordEffect};
use crate::model::change::DefinitionChange;

/// The changes, the dangerous ones first. A file that is no YAML has none: that is found fault with elsewhere.
pub fn compare(before: &str, after: &SourceFile) -> Vec<DefinitionChange> {
    let (Ok(was), Ok(is)) = (yaml::parse(before), yaml::parse(&after.text)) else { return Vec::new() };
    let (mut old, mut new) = (BTreeMap::new(), BTreeMap::new());
    collect(&yaml::to_json(&was), String::new(), &mut old);
    collect(&yaml::to_json(&is), String::new(), &mut new);
    let pointers: std::collections::BTreeSet<&String> = old.keys().chain(new.keys()).collect();
    let changed = pointers.into_iter().filter(|pointer| old.get(*pointer) != new.get(*pointer));
    let mut found: Vec<DefinitionChange> = changed
        .map(|pointer| {
            let part = pointer.trim_start_matches('/').replace('/', ".");
            let (class, effect) = effect(pointer);
            let there = new.contains_key(pointer);
            let line = there.then(|| {
                let start = after.locate(&Place::Value(pointer.clone())).start;
                after.text.get(..start).map_or(1, |text| text.matches('\n').count() + 1)
            });
            let side = |all: &BTreeMap<String, String>| all.get(pointer).map(|value| shown(pointer, value));
            DefinitionChange {
                class,
                what: format!("`{part}` changed"),
                part,
                effect: effect.to_owned(),
                before: side(&old),
                after: side(&new),
                pointer: there.then(|| pointer.clone()),
                line,
            }
        })
        .collect();
    found.sort_by_key(|change| change.class);
    found
}

fn effect(pointer: &str) -> (crate::model::change::ChangeClass, &'static str) {
    let key = pointer.rsplit('/').next().unwrap_or_default();
    match key {
        "login_url" | "instance_url" | "base_url" | "portal_id" => {
            (CanRemoveData, "another org or portal has other records: what is remembered belongs to the old one")
        }
        "state" => {
            (CanRemoveData, "with another state, nothing is known of the records until an import recognises them")
        }
        "pipelines" => (CanRemoveData, "definitions are read from another folder"),
        "api_budget" | "rate_limit" => (NoRecordEffect, "runs may be faster or slower; none on records"),
        _ => (NoRecordEffect, "none on records, as long as it leads to the same org and portal"),
    }
}

/// A literal secret is not shown; a variable's name is.
fn shown(pointer: &str, value: &str) -> String {
    let key = pointer.rsplit('/').next().unwrap_or_default();
    let secret = SECRET_KEYS.contains(&key) || key == "client_id";
    if secret && !value.contains("${") { "***".to_owned() } else { value.to_owned() }
}

fn collect(value: &Value, pointer: String, all: &mut BTreeMap<String, String>) {
    match value {
        Value::Object(members) => {
            for (key, value) in members {
                collect(value, format!("{pointer}/{}", yaml::escape(key)), all);
            }
        }
        Value::Array(items) => {
            for (index, value) in items.iter().enumerate() {
                collect(value, format!("{pointer}/{index}"), all);
            }
        }
        Value::String(text) => drop(all.insert(pointer, text.clone())),
        other => drop(all.insert(pointer, other.to_string())),
    }
}
