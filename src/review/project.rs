//! Two versions of syncline.yaml, as written: variables are not expanded, and secrets that stand in it are masked.

use std::collections::BTreeMap;

use serde_json::Value;

use crate::config::hide::SECRET_KEYS;
use crate::config::read::SourceFile;
use crate::config::{typed, yaml};
use crate::diagnostic::Place;
use crate::model::change::ChangeClass::{CanRemoveData, NoRecordEffect};
use crate::model::change::DefinitionChange;

/// The changes, the dangerous ones first. A file that is no YAML has none: that is found fault with elsewhere.
pub fn compare(before: &str, after: &SourceFile) -> Vec<DefinitionChange> {
    // Places are those of the file, whatever target is meant.
    let mut after = after.clone();
    after.over.clear();
    let after = &after;
    // By its pointers and not by the config's type, which would need all variables that only the machine of the sync
    // has.
    let (Ok(was), Ok(is)) = (typed::parse(before), typed::parse(&after.text)) else { return Vec::new() };
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

/// What a change at a place of syncline.yaml does. A key that is not listed is a setting of a connection, or of
/// alerts.
fn effect(pointer: &str) -> (crate::model::change::ChangeClass, &'static str) {
    let key = pointer.rsplit('/').next().unwrap_or_default();
    match key {
        // Each of these alone can lead to another account, whose records have other ids.
        "login_url" | "instance_url" | "base_url" | "portal_id" => {
            (CanRemoveData, "another org or portal has other records: what is remembered belongs to the old one")
        }
        "state" => {
            (CanRemoveData, "with another state, nothing is known of the records until an import recognises them")
        }
        "pipelines" => (CanRemoveData, "definitions are read from another folder"),
        "default_target" => (CanRemoveData, "commands without `--target` work on other connections and another state"),
        "archive" | "reject" if pointer.contains("/guard/") => {
            // A guard may be raised here for one target, past what the pipeline's own definition says.
            (CanRemoveData, "more or fewer records may be archived or rejected before a run of this target stops")
        }
        _ if pointer.starts_with("/secret_command/") => {
            (NoRecordEffect, "another program is proposed for secrets: it is run where somebody allows it")
        }
        "api_budget" | "rate_limit" => (NoRecordEffect, "runs may be faster or slower; none on records"),
        // Credentials change when they are rotated, which is routine; they are checked against the account in a run.
        _ => (NoRecordEffect, "none on records, as long as it leads to the same org and portal"),
    }
}

/// A literal secret is not shown; a variable's name is.
fn shown(pointer: &str, value: &str) -> String {
    let key = pointer.rsplit('/').next().unwrap_or_default();
    let secret = SECRET_KEYS.contains(&key);
    match secret {
        true => names(value),
        false => without_user(value),
    }
}

/// A secret by the names that it is made of: neither a default nor what stands between them is shown.
fn names(value: &str) -> String {
    let mut shown = String::new();
    for piece in value.split("${").skip(1) {
        let name = piece.split('}').next().unwrap_or_default();
        let name = match name.split_once(":-") {
            Some((name, _)) => format!("{name}:-***"),
            None => name.to_owned(),
        };
        shown.push_str(&format!("${{{name}}}"));
    }
    if shown.is_empty() { "***".to_owned() } else { shown }
}

/// An address without a user's name and password.
fn without_user(value: &str) -> String {
    match (value.find("://"), value.find('@')) {
        // An `@` after a slash belongs to the path; only one before it ends a user's name and password.
        (Some(start), Some(end)) if start + 3 <= end && !value[start + 3..end].contains('/') => {
            format!("{}***{}", &value[..start + 3], &value[end..])
        }
        _ => value.to_owned(),
    }
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
        // A text without the quotes of JSON, as it stands in the file.
        Value::String(text) => drop(all.insert(pointer, text.clone())),
        other => drop(all.insert(pointer, other.to_string())),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn secrets_are_shown_by_name_only() {
        let key = "/connections/hubspot/access_token";
        assert_eq!(shown(key, "pat-1"), "***");
        assert_eq!(shown(key, "${TOKEN}"), "${TOKEN}");
        assert_eq!(shown(key, "a${TOKEN:-pat-1}b${file:/run/x}"), "${TOKEN:-***}${file:/run/x}");
        assert_eq!(shown("/state", "postgres://me:pw@host/db"), "postgres://***@host/db");
        assert_eq!(shown("/state", "sqlite:a@b"), "sqlite:a@b");
    }
}
