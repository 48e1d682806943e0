//! Two versions of the field entries, by the property that they fill.

use std::collections::BTreeMap;

use super::Change;
use crate::config::pipeline::{FieldConfig, Otherwise, WhenBlank};
use crate::config::scalar::Scalar;
use crate::model::change::ChangeClass::{self, CanRemoveData, NeedsBackfill, NewRecordsOnly, NoRecordEffect};

/// All changes, in today's order; what is gone comes last.
pub(super) fn compare(was: &[FieldConfig], is: &[FieldConfig]) -> Vec<Change> {
    let mut found = Vec::new();
    let named = |all: &'_ [FieldConfig], name: &str| all.iter().position(|field| field.to == name);
    let mut gone: Vec<&FieldConfig> = was.iter().filter(|field| named(is, &field.to).is_none()).collect();
    for (index, field) in is.iter().enumerate() {
        let pointer = format!("/fields/{index}");
        match named(was, &field.to) {
            Some(at) => one(&was[at], field, &pointer, &mut found),
            None => {
                let same = |other: &&FieldConfig| FieldConfig { to: field.to.clone(), ..(*other).clone() } == *field;
                let moved = gone.iter().position(same).map(|at| gone.remove(at));
                found.push(match moved {
                    Some(before) => Change {
                        class: NeedsBackfill,
                        part: format!("fields.{}", field.to),
                        what: format!("{} goes to `{}` instead of `{}`", source(field), field.to, before.to),
                        effect: format!(
                            "`{}` is filled for all records; `{}` keeps its last values and no longer follows Salesforce",
                            field.to, before.to
                        ),
                        before: Some(before.to.clone()),
                        after: Some(field.to.clone()),
                        pointer: Some(format!("{pointer}/to")),
                    },
                    None => added(field, &pointer),
                });
            }
        }
    }
    found.extend(gone.into_iter().map(removed));
    found
}

fn added(field: &FieldConfig, pointer: &str) -> Change {
    let (class, effect) = match field.on_create_only {
        true => (NewRecordsOnly, format!("`{}` is set when a record is made", field.to)),
        false => (NeedsBackfill, format!("`{}` is filled for all records; what it holds now is overwritten", field.to)),
    };
    Change {
        class,
        part: format!("fields.{}", field.to),
        what: format!("the property `{}` is mapped: it is fed by {}", field.to, source(field)),
        effect,
        before: None,
        after: Some(bare(field)),
        pointer: Some(format!("{pointer}/to")),
    }
}

fn removed(field: &FieldConfig) -> Change {
    Change {
        class: NewRecordsOnly,
        part: format!("fields.{}", field.to),
        what: format!("the property `{}` is no longer mapped", field.to),
        effect: "it keeps its last values and no longer follows Salesforce".to_owned(),
        before: Some(bare(field)),
        after: None,
        pointer: None,
    }
}

fn one(was: &FieldConfig, is: &FieldConfig, pointer: &str, found: &mut Vec<Change>) {
    let part = format!("fields.{}", is.to);
    // What a record has already is left alone by an entry that is set on creation only.
    let backfill = if is.on_create_only { NewRecordsOnly } else { NeedsBackfill };
    let mut put =
        |class: ChangeClass, key: &str, what: String, effect: String, sides: (Option<String>, Option<String>)| {
            found.push(Change {
                class,
                part: part.clone(),
                what,
                effect,
                before: sides.0,
                after: sides.1,
                pointer: Some(format!("{pointer}/{key}")),
            });
        };
    let to = &is.to;
    let again = || format!("`{to}` is worked out anew for all records");
    // What is masked on either side is told on neither.
    let hidden = was.sensitive || is.sensitive;
    let (was_shown, is_shown) = (shown(was, hidden), shown(is, hidden));
    if (&was.from, &was.template, &was.value) != (&is.from, &is.template, &is.value) {
        let key = if is.from.is_some() {
            "from"
        } else if is.template.is_some() {
            "template"
        } else {
            "value"
        };
        let what = match (&was.template, &is.template) {
            (Some(_), Some(_)) => format!("the template of `{to}` changed"),
            _ => format!("`{to}` is fed by {} instead of {}", source(&is_shown), source(&was_shown)),
        };
        put(backfill, key, what, again(), (Some(bare(&was_shown)), Some(bare(&is_shown))));
    }
    if was.values != is.values {
        let (class, effect) = value_map(was, is, backfill);
        match hidden {
            true => put(class, "values", format!("the value map of `{to}` changed"), effect, (None, None)),
            false => {
                let sides = (was.values.as_ref().map(map_text), is.values.as_ref().map(map_text));
                put(class, "values", map_change(was, is), effect, sides);
            }
        }
    }
    if was.otherwise != is.otherwise {
        let (class, effect) = match &is_shown.otherwise {
            Some(Otherwise::Clear) => (CanRemoveData, format!("`{to}` is cleared where the value map lacks a value")),
            None | Some(Otherwise::Reject) => {
                (backfill, "records whose value is not in the map are set aside".to_owned())
            }
            Some(Otherwise::Pass) => (backfill, "values that the map lacks are used as they are".to_owned()),
            Some(Otherwise::Value(value)) => (backfill, format!("values that the map lacks become `{}`", value.0)),
        };
        let sides = (was_shown.otherwise.as_ref().map(otherwise), is_shown.otherwise.as_ref().map(otherwise));
        put(class, "otherwise", format!("`{to}` treats values that the map lacks in another way"), effect, sides);
    }
    if was.default != is.default {
        let (class, effect) = match (&is_shown.default, is.when_blank) {
            (Some(value), _) => (backfill, format!("a blank in Salesforce becomes `{}`", value.0)),
            (None, WhenBlank::Clear) => (CanRemoveData, format!("a blank in Salesforce clears `{to}`")),
            (None, WhenBlank::Keep) => (NewRecordsOnly, format!("a blank in Salesforce leaves `{to}` as it is")),
        };
        let text = |value: &Option<Scalar>| value.as_ref().map(|value| value.0.clone());
        let what = match (&was.default, &is.default) {
            (None, _) => format!("`{to}` has a default for a blank"),
            (_, None) => format!("`{to}` has no default for a blank any more"),
            (Some(_), Some(_)) => format!("the default of `{to}` changed"),
        };
        put(class, "default", what, effect, (text(&was_shown.default), text(&is_shown.default)));
    }
    if was.when_blank != is.when_blank {
        let (class, effect) = match is.when_blank {
            WhenBlank::Clear => (CanRemoveData, format!("a blank in Salesforce clears `{to}` in HubSpot")),
            WhenBlank::Keep => (NewRecordsOnly, format!("a blank in Salesforce no longer clears `{to}` in HubSpot")),
        };
        let text = |when| match when {
            WhenBlank::Clear => "clear".to_owned(),
            WhenBlank::Keep => "keep".to_owned(),
        };
        let sides = (Some(text(was.when_blank)), Some(text(is.when_blank)));
        put(class, "when_blank", format!("what a blank does to `{to}` changed"), effect, sides);
    }
    let sides = |before: bool, after: bool| (Some(before.to_string()), Some(after.to_string()));
    if was.required != is.required {
        let (what, effect) = match is.required {
            true => (
                format!("`{to}` must not be blank"),
                "records whose field is blank are set aside and no longer updated",
            ),
            false => (format!("`{to}` may be blank"), "records that were set aside for a blank go through"),
        };
        put(NeedsBackfill, "required", what, effect.to_owned(), sides(was.required, is.required));
    }
    if was.on_create_only != is.on_create_only {
        let (class, effect) = match is.on_create_only {
            true => (NewRecordsOnly, format!("`{to}` keeps its value once a record is made")),
            false => {
                (NeedsBackfill, format!("`{to}` follows Salesforce for all records; what it holds now is overwritten"))
            }
        };
        let what = match is.on_create_only {
            true => format!("`{to}` is set on creation only"),
            false => format!("`{to}` is set on every change, not on creation only"),
        };
        put(class, "on_create_only", what, effect, sides(was.on_create_only, is.on_create_only));
    }
    if was.scale != is.scale {
        let text = |scale: &Option<Scalar>| scale.as_ref().map(|scale| scale.0.clone());
        put(backfill, "scale", format!("the scale of `{to}` changed"), again(), (text(&was.scale), text(&is.scale)));
    }
    if was.cast != is.cast || was.time_zone != is.time_zone {
        let text = |field: &FieldConfig| field.time_zone.clone().or_else(|| field.cast.map(|_| "id".to_owned()));
        let key = if was.time_zone != is.time_zone { "time_zone" } else { "as" };
        put(backfill, key, format!("how `{to}` is read changed"), again(), (text(was), text(is)));
    }
    if was.truncate != is.truncate {
        let effect = match is.truncate {
            true => "records with texts that are too long go through, cut",
            false => "records with texts that are too long are set aside",
        };
        let what = format!("what happens to long texts of `{to}` changed");
        put(backfill, "truncate", what, effect.to_owned(), sides(was.truncate, is.truncate));
    }
    if was.sensitive != is.sensitive {
        let (what, effect) = match is.sensitive {
            true => (format!("values of `{to}` are masked"), "none on records"),
            false => (
                format!("values of `{to}` are no longer masked"),
                "none on records; plans, failures and logs show them from now on",
            ),
        };
        put(NoRecordEffect, "sensitive", what, effect.to_owned(), sides(was.sensitive, is.sensitive));
    }
}

/// An entry as it may be shown: with `hidden`, its constants are masked.
fn shown(field: &FieldConfig, hidden: bool) -> FieldConfig {
    let mut shown = field.clone();
    if hidden {
        let mask = |value: &mut Option<Scalar>| *value = value.take().map(|_| Scalar("***".to_owned()));
        mask(&mut shown.value);
        mask(&mut shown.default);
        if let Some(Otherwise::Value(value)) = &mut shown.otherwise {
            *value = Scalar("***".to_owned());
        }
    }
    shown
}

/// Where a property's value comes from, in short.
fn source(field: &FieldConfig) -> String {
    match (&field.from, &field.template, &field.value) {
        (Some(from), _, _) => format!("`{from}`"),
        (_, Some(template), _) => {
            format!("the template `{}`", template.split_whitespace().collect::<Vec<_>>().join(" "))
        }
        // A constant may be as sensitive as a field.
        (_, _, Some(_)) if field.sensitive => "the value `***`".to_owned(),
        (_, _, Some(value)) => format!("the value `{}`", value.0),
        _ => "nothing".to_owned(),
    }
}

/// The same as it is written.
fn bare(field: &FieldConfig) -> String {
    match (&field.from, &field.template, &field.value) {
        (Some(text), _, _) | (_, Some(text), _) => text.split_whitespace().collect::<Vec<_>>().join(" "),
        (_, _, Some(_)) if field.sensitive => "***".to_owned(),
        (_, _, Some(value)) => value.0.clone(),
        _ => String::new(),
    }
}

type Map = BTreeMap<String, Scalar>;

fn value_map(was: &FieldConfig, is: &FieldConfig, backfill: ChangeClass) -> (ChangeClass, String) {
    let to = &is.to;
    let empty = Map::new();
    let (before, after) = (was.values.as_ref().unwrap_or(&empty), is.values.as_ref().unwrap_or(&empty));
    let lost = before.keys().any(|key| !after.contains_key(key));
    let clears = is.otherwise == Some(Otherwise::Clear) || after.values().any(|value| value.0.is_empty());
    match (is.values.is_some(), lost) {
        (true, true) if clears => {
            (CanRemoveData, format!("records with a value that the map lost have `{to}` cleared"))
        }
        (true, true) if matches!(is.otherwise, None | Some(Otherwise::Reject)) => (
            backfill,
            format!("records with a value that the map lost are set aside; others have `{to}` worked out anew"),
        ),
        _ => (backfill, format!("`{to}` is worked out anew for records with these values")),
    }
}

/// Most entries of a value map that a sentence names.
const ENTRIES_NAMED_MAX: usize = 6;

fn map_change(was: &FieldConfig, is: &FieldConfig) -> String {
    let to = &is.to;
    let empty = Map::new();
    let (before, after) = match (&was.values, &is.values) {
        (None, Some(_)) => return format!("the values of `{to}` are mapped"),
        (Some(_), None) => return format!("the values of `{to}` are no longer mapped"),
        (before, after) => (before.as_ref().unwrap_or(&empty), after.as_ref().unwrap_or(&empty)),
    };
    let mut parts = Vec::new();
    for (key, value) in after {
        match before.get(key) {
            None => parts.push(format!("`{key}` becomes `{}` (new)", value.0)),
            Some(old) if old != value => parts.push(format!("`{key}` becomes `{}`, it became `{}`", value.0, old.0)),
            Some(_) => {}
        }
    }
    parts.extend(
        before.keys().filter(|key| !after.contains_key(*key)).map(|key| format!("`{key}` is no longer mapped")),
    );
    let more = parts.len().saturating_sub(ENTRIES_NAMED_MAX);
    parts.truncate(ENTRIES_NAMED_MAX);
    if more > 0 {
        parts.push(format!("and {more} more"));
    }
    format!("the value map of `{to}` changed: {}", parts.join("; "))
}

fn map_text(map: &Map) -> String {
    let entries: Vec<String> = map.iter().map(|(key, value)| format!("{key}: {}", value.0)).collect();
    format!("{{ {} }}", entries.join(", "))
}

fn otherwise(otherwise: &Otherwise) -> String {
    match otherwise {
        Otherwise::Reject => "reject".to_owned(),
        Otherwise::Pass => "pass".to_owned(),
        Otherwise::Clear => "clear".to_owned(),
        Otherwise::Value(value) => format!("{{ value: {} }}", value.0),
    }
}
