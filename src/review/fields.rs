//! Two versions of the field entries, by the property that they fill.

use std::collections::{BTreeMap, HashMap};

use super::change::Change;
use crate::config::pipeline::{Cast, FieldConfig, OnDrift, Otherwise, WhenBlank, Write};
use crate::config::scalar::Scalar;
use crate::model::change::ChangeClass::{self, CanRemoveData, NeedsBackfill, NewRecordsOnly, NoRecordEffect};

/// All changes, in today's order; what is gone comes last.
pub(super) fn compare(was: &[FieldConfig], is: &[FieldConfig]) -> Vec<Change> {
    let mut found = Vec::new();
    let places = |all: &[FieldConfig]| -> HashMap<String, usize> {
        // Reversed, so that the first of two entries for one property counts; the second is found fault with
        // elsewhere.
        all.iter().enumerate().rev().map(|(at, field)| (field.to.clone(), at)).collect()
    };
    let (before, after) = (places(was), places(is));
    let mut gone: Vec<&FieldConfig> = was.iter().filter(|field| !after.contains_key(&field.to)).collect();
    for (index, field) in is.iter().enumerate() {
        let pointer = format!("/fields/{index}");
        match before.get(&field.to) {
            Some(at) => compare_entry(&was[*at], field, &pointer, &mut found),
            None => {
                // The same entry under another property is one move, not a loss and an addition that a reader would
                // have to pair.
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
        // A property that exists may hold what people entered there: said, as the backfill writes over it.
        false => (NeedsBackfill, format!("`{}` is filled for all records; what it holds now is overwritten", field.to)),
    };
    Change {
        class,
        part: format!("fields.{}", field.to),
        what: format!("the property `{}` is mapped: it is filled from {}", field.to, source(field)),
        effect,
        before: None,
        after: Some(bare(field)),
        pointer: Some(format!("{pointer}/to")),
    }
}

fn removed(field: &FieldConfig) -> Change {
    Change {
        // Nothing clears the property: records keep what they were given, and only new ones come without it.
        class: NewRecordsOnly,
        part: format!("fields.{}", field.to),
        what: format!("the property `{}` is no longer mapped", field.to),
        effect: "it keeps its last values and no longer follows Salesforce".to_owned(),
        before: Some(bare(field)),
        after: None,
        pointer: None,
    }
}

/// Both versions of an entry, as they are and as they may be shown.
struct Pair<'a> {
    was: &'a FieldConfig,
    is: &'a FieldConfig,
    was_shown: FieldConfig,
    is_shown: FieldConfig,
    /// What is masked on either side is shown on neither.
    hidden: bool,
    /// What a record has already is left alone by an entry that is set on creation only.
    backfill: ChangeClass,
}

/// A key that differs, and what follows from it.
struct KeyChange {
    key: &'static str,
    class: ChangeClass,
    what: String,
    effect: String,
    before: Option<String>,
    after: Option<String>,
}

/// The keys of an entry in their order: each says what follows where the two versions differ.
/// A list of functions and not one of `if`s, so that a key that is added to an entry is one line here.
const KEYS: [fn(&Pair<'_>) -> Option<KeyChange>; 9] =
    [origin, values, otherwise, default, when_blank, write, on_drift, scale, reading];

/// A key that is true or false.
struct Switch {
    key: &'static str,
    of: fn(&FieldConfig) -> bool,
    on: Position,
    off: Position,
}

/// What follows when a switch comes into a position; `{to}` is the property.
struct Position {
    class: ChangeClass,
    what: &'static str,
    effect: &'static str,
}

const SWITCHES: [Switch; 5] = [
    Switch {
        key: "required",
        of: |field| field.required,
        on: Position {
            class: NeedsBackfill,
            what: "`{to}` must not be blank",
            effect: "records whose field is blank are rejected and no longer updated",
        },
        off: Position {
            class: NeedsBackfill,
            what: "`{to}` may be blank",
            effect: "records that were rejected for a blank go through",
        },
    },
    Switch {
        key: "on_create_only",
        of: |field| field.on_create_only,
        on: Position {
            class: NewRecordsOnly,
            what: "`{to}` is set on creation only",
            effect: "`{to}` keeps its value once a record is made",
        },
        off: Position {
            class: NeedsBackfill,
            what: "`{to}` is set on every change, not on creation only",
            effect: "`{to}` follows Salesforce for all records; what it holds now is overwritten",
        },
    },
    Switch {
        key: "truncate",
        of: |field| field.truncate,
        on: Position {
            class: NeedsBackfill,
            what: "what happens to long texts of `{to}` changed",
            effect: "records with texts that are too long go through, cut",
        },
        off: Position {
            class: NeedsBackfill,
            what: "what happens to long texts of `{to}` changed",
            effect: "records with texts that are too long are rejected",
        },
    },
    Switch {
        key: "label",
        of: |field| field.label,
        on: Position {
            class: NeedsBackfill,
            what: "`{to}` gets the labels of the picklist instead of its values",
            effect: "`{to}` is recomputed for all records",
        },
        off: Position {
            class: NeedsBackfill,
            what: "`{to}` gets the values of the picklist instead of its labels",
            effect: "`{to}` is recomputed for all records",
        },
    },
    Switch {
        key: "sensitive",
        of: |field| field.sensitive,
        on: Position { class: NoRecordEffect, what: "values of `{to}` are masked", effect: "none on records" },
        off: Position {
            class: NoRecordEffect,
            what: "values of `{to}` are no longer masked",
            effect: "none on records; plans, failures and logs show them from now on",
        },
    },
];

fn compare_entry(was: &FieldConfig, is: &FieldConfig, pointer: &str, found: &mut Vec<Change>) {
    let hidden = was.sensitive || is.sensitive;
    // Such an entry is not written to records that exist, so a new value of it reaches new records only.
    let backfill = if is.on_create_only { NewRecordsOnly } else { NeedsBackfill };
    // A value that one version calls sensitive was sensitive in the other, too.
    let pair = Pair { was, is, was_shown: shown(was, hidden), is_shown: shown(is, hidden), hidden, backfill };
    let changes = KEYS.iter().filter_map(|key| key(&pair));
    let changes = changes.chain(SWITCHES.iter().filter_map(|switch| switch.change(&pair))).chain(accepted(&pair));
    found.extend(changes.map(|change| Change {
        class: change.class,
        part: format!("fields.{}", is.to),
        what: change.what,
        effect: change.effect,
        before: change.before,
        after: change.after,
        pointer: Some(format!("{pointer}/{}", change.key)),
    }));
}

impl Switch {
    fn change(&self, pair: &Pair<'_>) -> Option<KeyChange> {
        let (before, after) = ((self.of)(pair.was), (self.of)(pair.is));
        let position = if after { &self.on } else { &self.off };
        // A text that is cut at its creation only is not cut anew.
        let class = if self.key == "truncate" { pair.backfill } else { position.class };
        (before != after).then(|| KeyChange {
            key: self.key,
            class,
            what: position.what.replace("{to}", &pair.is.to),
            effect: position.effect.replace("{to}", &pair.is.to),
            before: Some(before.to_string()),
            after: Some(after.to_string()),
        })
    }
}

fn worked_out_anew(to: &str) -> String {
    format!("`{to}` is recomputed for all records")
}

/// Where the value comes from: a field, a template or a constant.
fn origin(pair: &Pair<'_>) -> Option<KeyChange> {
    let Pair { was, is, was_shown, is_shown, backfill, .. } = pair;
    let to = &is.to;
    // The three are one choice, so exchanging a field for a template is one change.
    ((&was.from, &was.template, &was.value) != (&is.from, &is.template, &is.value)).then(|| KeyChange {
        key: match (&is.from, &is.template) {
            (Some(_), _) => "from",
            (None, Some(_)) => "template",
            (None, None) => "value",
        },
        class: *backfill,
        what: match (&was.template, &is.template) {
            // Two templates side by side in a sentence are unreadable; `before` and `after` show them.
            (Some(_), Some(_)) => format!("the template of `{to}` changed"),
            _ => format!("`{to}` is filled from {} instead of {}", source(is_shown), source(was_shown)),
        },
        effect: worked_out_anew(to),
        before: Some(bare(was_shown)),
        after: Some(bare(is_shown)),
    })
}

fn values(pair: &Pair<'_>) -> Option<KeyChange> {
    let Pair { was, is, hidden, backfill, .. } = pair;
    if was.values == is.values {
        return None;
    }
    let (class, effect) = value_map(was, is, *backfill);
    let text = |field: &FieldConfig| field.values.as_ref().filter(|_| !hidden).map(map_text);
    // The entries of a map are values of records, and as sensitive as those.
    let what = match hidden {
        true => format!("the value map of `{}` changed", is.to),
        false => map_change(was, is),
    };
    Some(KeyChange { key: "values", class, what, effect, before: text(was), after: text(is) })
}

fn otherwise(pair: &Pair<'_>) -> Option<KeyChange> {
    let Pair { was, is, was_shown, is_shown, backfill, .. } = pair;
    let to = &is.to;
    if was.otherwise == is.otherwise {
        return None;
    }
    let (class, effect) = match &is_shown.otherwise {
        // Clearing removes what HubSpot holds today, even where an earlier value was mapped by a person.
        Some(Otherwise::Clear) => (CanRemoveData, format!("`{to}` is cleared where the value map lacks a value")),
        None | Some(Otherwise::Reject) => (*backfill, "records whose value is not in the map are rejected".to_owned()),
        Some(Otherwise::Pass) => (*backfill, "values that the map lacks are used as they are".to_owned()),
        Some(Otherwise::Value(value)) => (*backfill, format!("values that the map lacks become `{}`", value.0)),
    };
    let text = |field: &FieldConfig| field.otherwise.as_ref().map(otherwise_text);
    let what = format!("`{to}` treats values that the map lacks differently");
    Some(KeyChange { key: "otherwise", class, what, effect, before: text(was_shown), after: text(is_shown) })
}

fn default(pair: &Pair<'_>) -> Option<KeyChange> {
    let Pair { was, is, was_shown, is_shown, backfill, .. } = pair;
    let to = &is.to;
    if was.default == is.default {
        return None;
    }
    let (class, effect) = match (&is_shown.default, is.when_blank) {
        // A default replaces `when_blank`, so a value is written where the property was cleared or kept before.
        (Some(value), _) => (*backfill, format!("a blank in Salesforce becomes `{}`", value.0)),
        (None, WhenBlank::Clear) => (CanRemoveData, format!("a blank in Salesforce clears `{to}`")),
        (None, WhenBlank::Keep) => (NewRecordsOnly, format!("a blank in Salesforce leaves `{to}` as it is")),
    };
    let what = match (&was.default, &is.default) {
        (None, _) => format!("`{to}` has a default for a blank"),
        (_, None) => format!("`{to}` has no default for a blank any more"),
        (Some(_), Some(_)) => format!("the default of `{to}` changed"),
    };
    let text = |field: &FieldConfig| field.default.as_ref().map(|value| value.0.clone());
    Some(KeyChange { key: "default", class, what, effect, before: text(was_shown), after: text(is_shown) })
}

/// What a blank does. Only `clear` can take away what HubSpot holds.
fn when_blank(pair: &Pair<'_>) -> Option<KeyChange> {
    let (was, is, to) = (pair.was.when_blank, pair.is.when_blank, &pair.is.to);
    if was == is {
        return None;
    }
    let (class, effect) = match is {
        WhenBlank::Clear => (CanRemoveData, format!("a blank in Salesforce clears `{to}` in HubSpot")),
        WhenBlank::Keep => (NewRecordsOnly, format!("a blank in Salesforce no longer clears `{to}` in HubSpot")),
    };
    let text = |when| match when {
        WhenBlank::Clear => Some("clear".to_owned()),
        WhenBlank::Keep => Some("keep".to_owned()),
    };
    let what = format!("what a blank does to `{to}` changed");
    Some(KeyChange { key: "when_blank", class, what, effect, before: text(was), after: text(is) })
}

/// When a property is written at all.
fn write(pair: &Pair<'_>) -> Option<KeyChange> {
    let (was, is, to) = (pair.was.write, pair.is.write, &pair.is.to);
    if was == is {
        return None;
    }
    let (class, effect) = match is {
        // Until now a filled property was left alone, so what is there may be a person's.
        Write::Always => (CanRemoveData, format!("what people entered in `{to}` is written over")),
        Write::IfEmpty => {
            (NewRecordsOnly, format!("`{to}` is filled where it is empty, and left alone where it is not"))
        }
    };
    let text = |write| match write {
        Write::Always => Some("always".to_owned()),
        Write::IfEmpty => Some("if_empty".to_owned()),
    };
    let what = format!("when `{to}` is written changed");
    Some(KeyChange { key: "write", class, what, effect, before: text(was), after: text(is) })
}

/// What a comparison does with what people changed.
fn on_drift(pair: &Pair<'_>) -> Option<KeyChange> {
    let (was, is, to) = (pair.was.on_drift, pair.is.on_drift, &pair.is.to);
    if was == is {
        return None;
    }
    let (class, effect) = match is {
        Some(OnDrift::Keep) => (NewRecordsOnly, format!("`reconcile` leaves what people changed in `{to}`")),
        Some(OnDrift::Overwrite) => (CanRemoveData, format!("`reconcile` writes over what people changed in `{to}`")),
        // What the pipeline says is judged elsewhere; without it, overwriting is the default.
        None => (CanRemoveData, format!("`reconcile` does with `{to}` what `on_drift` of the pipeline says")),
    };
    let text = |on_drift: Option<OnDrift>| {
        on_drift.map(|on_drift| if on_drift == OnDrift::Keep { "keep".to_owned() } else { "overwrite".to_owned() })
    };
    let what = format!("what `reconcile` does where somebody changed `{to}` is another");
    Some(KeyChange { key: "on_drift", class, what, effect, before: text(was), after: text(is) })
}

fn scale(pair: &Pair<'_>) -> Option<KeyChange> {
    let text = |field: &FieldConfig| field.scale.as_ref().map(|scale| scale.0.clone());
    (pair.was.scale != pair.is.scale).then(|| KeyChange {
        key: "scale",
        class: pair.backfill,
        what: format!("the scale of `{}` changed", pair.is.to),
        effect: worked_out_anew(&pair.is.to),
        before: text(pair.was),
        after: text(pair.is),
    })
}

/// How the text of a field is read.
fn reading(pair: &Pair<'_>) -> Option<KeyChange> {
    let Pair { was, is, backfill, .. } = pair;
    let text = |field: &FieldConfig| {
        field
            .time_zone
            .clone()
            .or_else(|| field.cast.map(|cast| if cast == Cast::Id { "id" } else { "owner" }.to_owned()))
    };
    (was.cast != is.cast || was.time_zone != is.time_zone).then(|| KeyChange {
        key: if was.time_zone != is.time_zone { "time_zone" } else { "as" },
        class: *backfill,
        what: format!("how `{}` is read changed", is.to),
        effect: worked_out_anew(&is.to),
        before: text(was),
        after: text(is),
    })
}

fn accepted(pair: &Pair<'_>) -> Option<KeyChange> {
    let text = |field: &FieldConfig| Some(field.allow.join(", ")).filter(|text| !text.is_empty());
    (pair.was.allow != pair.is.allow).then(|| KeyChange {
        key: "allow",
        class: NoRecordEffect,
        what: format!("other warnings about `{}` are accepted", pair.is.to),
        effect: "none on records".to_owned(),
        before: text(pair.was),
        after: text(pair.is),
    })
}

/// An entry as it may be shown: with `hidden`, its constants are masked.
fn shown(field: &FieldConfig, hidden: bool) -> FieldConfig {
    let mut shown = field.clone();
    // Constants of the definition only: what records hold never comes into a comparison of definitions.
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

/// What a changed value map does to records. Only a value that the map lost can clear a property: a new one makes a value of
/// what was rejected or passed on before.
fn value_map(was: &FieldConfig, is: &FieldConfig, backfill: ChangeClass) -> (ChangeClass, String) {
    let to = &is.to;
    let empty = Map::new();
    let (before, after) = (was.values.as_ref().unwrap_or(&empty), is.values.as_ref().unwrap_or(&empty));
    let lost = before.keys().any(|key| !after.contains_key(key));
    // An empty text in the map clears the property as `otherwise: clear` does.
    let clears = is.otherwise == Some(Otherwise::Clear) || after.values().any(|value| value.0.is_empty());
    match (is.values.is_some(), lost) {
        (true, true) if clears => {
            (CanRemoveData, format!("records with a value that the map lost have `{to}` cleared"))
        }
        // Without `otherwise`, a value that the map lacks rejects the record.
        (true, true) if matches!(is.otherwise, None | Some(Otherwise::Reject)) => {
            (backfill, format!("records with a value that the map lost are rejected; others have `{to}` recomputed"))
        }
        _ => (backfill, format!("`{to}` is recomputed for records with these values")),
    }
}

/// Most entries of a value map that a sentence names.
/// A map of countries has 250 entries, and a sentence is read by a person.
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
            Some(old) if old != value => parts.push(format!("`{key}` becomes `{}` instead of `{}`", value.0, old.0)),
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

fn otherwise_text(otherwise: &Otherwise) -> String {
    match otherwise {
        Otherwise::Reject => "reject".to_owned(),
        Otherwise::Pass => "pass".to_owned(),
        Otherwise::Clear => "clear".to_owned(),
        Otherwise::Value(value) => format!("{{ value: {} }}", value.0),
    }
}
