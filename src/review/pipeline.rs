//! Two versions of one pipeline.

use super::change::Change;
use super::condition::{ConditionChange, compare_conditions};
use super::{associations, fields};
use crate::config::pipeline::{
    AdoptConfig, DeleteAction, Mode, OnDrift, OnMappingChange, ParentChanges, PipelineConfig,
};
use crate::config::scalar::GuardLimit;
use crate::model::change::ChangeClass::{CanRemoveData, NeedsBackfill, NewRecordsOnly, NoRecordEffect};

/// All changes, in the order of the file.
pub(super) fn compare(
    was: &PipelineConfig,
    is: &PipelineConfig,
    same_object: &dyn Fn(&str, &str, &str) -> bool,
) -> Vec<Change> {
    let mut found = Vec::new();
    let mut put = |change: Option<Change>| found.extend(change);
    put(change_if(was.description != is.description, || Change {
        class: NoRecordEffect,
        part: "description".to_owned(),
        what: "the description changed".to_owned(),
        effect: "none on records".to_owned(),
        before: was.description.clone(),
        after: is.description.clone(),
        pointer: at(is.description.is_some(), "/description"),
    }));
    source(was, is, &mut put);
    target(was, is, same_object, &mut put);
    for change in fields::compare(&was.fields, &is.fields) {
        put(Some(change));
    }
    for change in associations::compare(&was.associations, &is.associations) {
        put(Some(change));
    }
    policies(was, is, &mut put);
    sync(was, is, &mut put);
    let accepted = |version: &PipelineConfig| Some(version.allow.join(", ")).filter(|text| !text.is_empty());
    put(change_if(was.allow != is.allow, || Change {
        class: NoRecordEffect,
        part: "allow".to_owned(),
        what: "other warnings are accepted".to_owned(),
        effect: "none on records".to_owned(),
        before: accepted(was),
        after: accepted(is),
        pointer: at(!is.allow.is_empty(), "/allow"),
    }));
    // As it will be: the next sync acts on the new definition.
    if is.sync.on_mapping_change == OnMappingChange::Backfill {
        found.iter_mut().for_each(say_backfill);
    }
    found
}

/// Says of a change of the mapping that the next sync carries it over to the records that are there.
fn say_backfill(change: &mut Change) {
    // A backfill brings records to what these say; another org, object or portal starts anew, and a policy acts on
    // events.
    let part = change.part.as_str();
    let shapes = part.starts_with("fields.")
        || part.starts_with("associations.")
        || ["source.where", "target.mode"].contains(&part);
    if shapes && matches!(change.class, NeedsBackfill | CanRemoveData) {
        change
            .effect
            .push_str("; the next sync does it for all records by itself (`sync.on_mapping_change: backfill`)");
    }
}

fn change_if(differs: bool, change: impl FnOnce() -> Change) -> Option<Change> {
    differs.then(change)
}

fn at(is_there: bool, pointer: &str) -> Option<String> {
    is_there.then(|| pointer.to_owned())
}

fn source(was: &PipelineConfig, is: &PipelineConfig, put: &mut impl FnMut(Option<Change>)) {
    // The place is the section: `connection` has a default, and its key may be missing.
    put(change_if(was.source.connection != is.source.connection, || Change {
        class: CanRemoveData,
        part: "source.connection".to_owned(),
        what: "records come from another Salesforce org".to_owned(),
        effect:
            "another org has other ids: none of its records is known yet, and those of the old org are no longer kept \
                 in step"
                .to_owned(),
        before: Some(was.source.connection.clone()),
        after: Some(is.source.connection.clone()),
        pointer: Some("/source".to_owned()),
    }));
    // Salesforce ignores letter case in names.
    put(change_if(!was.source.object.eq_ignore_ascii_case(&is.source.object), || Change {
        class: CanRemoveData,
        part: "source.object".to_owned(),
        what: "records come from another Salesforce object".to_owned(),
        effect:
            "records of the new object are made; those of the old one stay in HubSpot and are no longer kept in step"
                .to_owned(),
        before: Some(was.source.object.clone()),
        after: Some(is.source.object.clone()),
        pointer: Some("/source/object".to_owned()),
    }));
    let (before, after) = (was.source.condition.as_deref(), is.source.condition.as_deref());
    let (class, what, effect) = match compare_conditions(before, after) {
        // Other spaces or brackets, the same records.
        ConditionChange::Same => return,
        // A sync asks for what changed since its watermark; records that only come into view by the filter did not
        // change.
        ConditionChange::Widened => (
            NeedsBackfill,
            "more records belong: the filter is wider",
            "records that belong now are made by an import; a sync brings those that change",
        ),
        ConditionChange::Narrowed => leaving(is, "fewer records belong: the filter is narrower"),
        ConditionChange::Moved => leaving(is, "other records belong: the filter changed"),
    };
    put(Some(Change {
        class,
        part: "source.where".to_owned(),
        what: what.to_owned(),
        effect: effect.to_owned(),
        before: before.map(str::to_owned),
        after: after.map(str::to_owned),
        pointer: Some(if after.is_some() { "/source/where" } else { "/source" }.to_owned()),
    }));
}

/// What becomes of records that no longer belong: as dangerous as `on_filter_exit` makes it.
fn leaving(is: &PipelineConfig, what: &'static str) -> (crate::model::change::ChangeClass, &'static str, &'static str) {
    match is.on_filter_exit {
        DeleteAction::Archive => {
            (CanRemoveData, what, "records that no longer belong are archived in HubSpot (`on_filter_exit: archive`)")
        }
        DeleteAction::Keep => (
            NeedsBackfill,
            what,
            "records that no longer belong stay in HubSpot and are no longer kept in step (`on_filter_exit: keep`)",
        ),
    }
}

fn target(
    was: &PipelineConfig,
    is: &PipelineConfig,
    same_object: &dyn Fn(&str, &str, &str) -> bool,
    put: &mut impl FnMut(Option<Change>),
) {
    let (old, new) = (&was.target, &is.target);
    put(change_if(old.connection != new.connection, || Change {
        class: CanRemoveData,
        part: "target.connection".to_owned(),
        what: "records go to another HubSpot portal".to_owned(),
        effect: "all records are made there; those in the old portal stay and are no longer kept in step".to_owned(),
        before: Some(old.connection.clone()),
        after: Some(new.connection.clone()),
        pointer: Some("/target".to_owned()),
    }));
    // HubSpot knows one object by a short name, a full name and an id: writing another of them changes nothing.
    if old.object != new.object {
        let same = old.connection == new.connection && same_object(&new.connection, &old.object, &new.object);
        let (class, what, effect) = match same {
            true => (NoRecordEffect, "the same HubSpot object goes by another of its names", "none on records"),
            false => (
                CanRemoveData,
                "records go to another HubSpot object",
                "all records are made there; those of the old object stay and are no longer kept in step",
            ),
        };
        put(Some(Change {
            class,
            part: "target.object".to_owned(),
            what: what.to_owned(),
            effect: effect.to_owned(),
            before: Some(old.object.clone()),
            after: Some(new.object.clone()),
            pointer: Some("/target/object".to_owned()),
        }));
    }
    // Identities survive in the state; what HubSpot holds without one is recognised by the match property alone.
    put(change_if(old.match_property != new.match_property, || Change {
        class: CanRemoveData,
        part: "target.match".to_owned(),
        what: "records are recognised by another property".to_owned(),
        effect: "records that were synced get the new property; any other record whose new property is blank is not \
                 recognised, and would be made a second time"
            .to_owned(),
        before: Some(old.match_property.clone()),
        after: Some(new.match_property.clone()),
        pointer: Some("/target/match".to_owned()),
    }));
    // Records are recognised by these two keys; the rest of the section does not change which are taken.
    let key = |adopt: &Option<AdoptConfig>| adopt.as_ref().map(|adopt| (adopt.by.clone(), adopt.from.clone()));
    put(change_if(key(&old.adopt) != key(&new.adopt), || {
        let shown =
            |adopt: &Option<AdoptConfig>| adopt.as_ref().map(|adopt| format!("by {} from {}", adopt.by, adopt.from));
        let (what, effect) = match (&old.adopt, &new.adopt) {
            (None, _) => (
                "records that stand in HubSpot without a Salesforce id are taken over",
                "a new record takes over the one that has the same value, instead of being created",
            ),
            (_, None) => (
                "records that stand in HubSpot without a Salesforce id are no longer taken over",
                "new records are created; those that were taken over stay in step",
            ),
            _ => ("records to take over are recognised by another value", "new records are compared by it"),
        };
        Change {
            // Adoption happens when a record is created; what was synced before has its identity already.
            class: NewRecordsOnly,
            part: "target.adopt".to_owned(),
            what: what.to_owned(),
            effect: effect.to_owned(),
            before: shown(&old.adopt),
            after: shown(&new.adopt),
            pointer: Some(if new.adopt.is_some() { "/target/adopt" } else { "/target" }.to_owned()),
        }
    }));
    if old.mode != new.mode {
        let (class, effect) = match (old.mode, new.mode) {
            // The order of the arms matters: what is left over at the end has `update_only` before and `upsert`
            // after.
            (_, Mode::CreateOnly) => (NewRecordsOnly, "records that are in HubSpot are left as they are from now on"),
            (Mode::Upsert, Mode::UpdateOnly) => (NewRecordsOnly, "records that are not in HubSpot are no longer made"),
            (Mode::CreateOnly, _) => (NeedsBackfill, "records that are in HubSpot follow Salesforce again"),
            (_, _) => (NeedsBackfill, "records that were filtered out so far are created"),
        };
        put(Some(Change {
            class,
            part: "target.mode".to_owned(),
            what: "which records are made and which are changed is another".to_owned(),
            effect: effect.to_owned(),
            before: Some(word(&old.mode)),
            after: Some(word(&new.mode)),
            pointer: Some("/target/mode".to_owned()),
        }));
    }
}

fn policies(was: &PipelineConfig, is: &PipelineConfig, put: &mut impl FnMut(Option<Change>)) {
    let all = [
        ("on_delete", was.on_delete, is.on_delete, "is deleted in Salesforce"),
        ("on_filter_exit", was.on_filter_exit, is.on_filter_exit, "stops matching `where`"),
        ("on_vanish", was.on_vanish, is.on_vanish, "is no longer visible in Salesforce"),
    ];
    // The three events differ in their cause and not in their effect, so they are judged alike.
    for (part, before, after, when) in all {
        put(change_if(before != after, || {
            let (class, effect) = match after {
                DeleteAction::Archive => {
                    (CanRemoveData, format!("a record that {when} is archived in HubSpot from now on"))
                }
                DeleteAction::Keep => (NewRecordsOnly, format!("a record that {when} stays in HubSpot from now on")),
            };
            Change {
                class,
                part: part.to_owned(),
                what: format!("what happens to a record that {when} changed"),
                effect,
                before: Some(word(&before)),
                after: Some(word(&after)),
                pointer: Some(format!("/{part}")),
            }
        }));
    }
    put(change_if(was.on_drift != is.on_drift, || {
        let (class, effect) = match is.on_drift {
            OnDrift::Overwrite => (CanRemoveData, "`reconcile` writes over what people changed in HubSpot"),
            OnDrift::Keep => (NewRecordsOnly, "`reconcile` leaves what people changed in HubSpot, and tells of it"),
        };
        Change {
            class,
            part: "on_drift".to_owned(),
            what: "what `reconcile` does where somebody changed HubSpot is another".to_owned(),
            effect: effect.to_owned(),
            before: Some(word(&was.on_drift)),
            after: Some(word(&is.on_drift)),
            pointer: Some("/on_drift".to_owned()),
        }
    }));
    let (before, after) = (was.guard.archive, is.guard.archive);
    put(change_if(before != after, || {
        // A count and a share cannot be compared without the number of records, so the change is taken for a wider one.
        let wider = match (before, after) {
            (GuardLimit::Percent(before), GuardLimit::Percent(after)) => after > before,
            (GuardLimit::Count(before), GuardLimit::Count(after)) => after > before,
            _ => true,
        };
        let effect = match wider {
            true => "one run may archive more records before it stops",
            false => "one run stops at fewer archived records",
        };
        Change {
            // The limit archives nothing by itself, and it is all that stands between a wrong filter and the records.
            class: if wider { CanRemoveData } else { NoRecordEffect },
            part: "guard.archive".to_owned(),
            what: "the limit of archived records changed".to_owned(),
            effect: effect.to_owned(),
            before: Some(word(&before)),
            after: Some(word(&after)),
            pointer: Some("/guard/archive".to_owned()),
        }
    }));
}

fn sync(was: &PipelineConfig, is: &PipelineConfig, put: &mut impl FnMut(Option<Change>)) {
    put(change_if(was.sync.enabled != is.sync.enabled, || {
        let effect = match is.sync.enabled {
            true => "`syncline sync` carries its changes over from now on",
            false => "`syncline sync` leaves it out: changes and deletes in Salesforce no longer reach HubSpot",
        };
        Change {
            // Switching on catches up from the stored watermark; nothing is removed and nothing needs an import.
            class: NewRecordsOnly,
            part: "sync.enabled".to_owned(),
            what: if is.sync.enabled { "the sync is switched on" } else { "the sync is switched off" }.to_owned(),
            effect: effect.to_owned(),
            before: Some(was.sync.enabled.to_string()),
            after: Some(is.sync.enabled.to_string()),
            pointer: Some("/sync/enabled".to_owned()),
        }
    }));
    put(change_if(was.sync.on_mapping_change != is.sync.on_mapping_change, || {
        let (class, effect) = match is.sync.on_mapping_change {
            OnMappingChange::Backfill => (
                NeedsBackfill,
                "the next sync brings every record that was written under an earlier mapping up to this one",
            ),
            OnMappingChange::Mark => (
                NoRecordEffect,
                "records that were written under an earlier mapping stay as they are until `import --stale`, `reconcile`, or a \
                 change of their own",
            ),
        };
        Change {
            class,
            part: "sync.on_mapping_change".to_owned(),
            what: "what a sync does about a changed mapping is another".to_owned(),
            effect: effect.to_owned(),
            before: Some(word(&was.sync.on_mapping_change)),
            after: Some(word(&is.sync.on_mapping_change)),
            pointer: Some("/sync/on_mapping_change".to_owned()),
        }
    }));
    put(change_if(was.sync.parents != is.sync.parents, || {
        let effect = match is.sync.parents {
            ParentChanges::Follow => {
                "a sync carries over what changes on parent records, where Salesforce can be asked for it"
            }
            ParentChanges::Off => "what changes on parent records waits for the next comparison",
        };
        Change {
            // It changes when a record gets its values, for records that change from now on.
            class: NewRecordsOnly,
            part: "sync.parents".to_owned(),
            what: "what a sync does about a changed parent record is another".to_owned(),
            effect: effect.to_owned(),
            before: Some(word(&was.sync.parents)),
            after: Some(word(&is.sync.parents)),
            pointer: Some("/sync/parents".to_owned()),
        }
    }));
    // How often and by which way changes are noticed decides when a record arrives and not what it holds.
    let all = [
        ("sync.every", word(&was.sync.every), word(&is.sync.every), "cycles come in another rhythm"),
        ("sync.changes", word(&was.sync.changes), word(&is.sync.changes), "changes are noticed in another way"),
        ("sync.overlap", word(&was.sync.overlap), word(&is.sync.overlap), "each cycle reads another span again"),
        (
            "sync.reconcile",
            word(&was.sync.reconcile),
            word(&is.sync.reconcile),
            "full comparisons come in another rhythm",
        ),
        (
            "limits.custom_objects",
            was.limits.custom_objects.to_string(),
            is.limits.custom_objects.to_string(),
            "another number of custom objects is allowed",
        ),
    ];
    for (part, before, after, what) in all {
        put(change_if(before != after, || Change {
            class: NoRecordEffect,
            part: part.to_owned(),
            what: what.to_owned(),
            effect: "none on records".to_owned(),
            before: Some(before),
            after: Some(after),
            pointer: Some(format!("/{}", part.replace('.', "/"))),
        }));
    }
}

/// A word of the file as it is written there.
/// By serde and not by hand, so that a review shows the word that the file must contain.
fn word<T: serde::Serialize>(value: &T) -> String {
    match serde_json::to_value(value) {
        Ok(serde_json::Value::String(text)) => text,
        Ok(other) => other.to_string(),
        Err(_) => String::new(),
    }
}
