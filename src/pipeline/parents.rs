//! Parent records whose fields a pipeline reads: which of their changes a sync can ask Salesforce for.

use super::condition::tree::Condition;
use super::field::Objects;
use crate::model::record::Column;

/// The parents that a sync looks after.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub struct Parents {
    /// Paths to the fields that tell when a parent was touched, each once: `Account__r.SystemModstamp`.
    pub stamps: Vec<String>,
    /// Whether parents decide which records belong: the condition names them.
    pub decide: bool,
}

impl Parents {
    /// Those that columns and a condition lead through.
    pub fn of(objects: &Objects<'_>, columns: &[Column], condition: Option<&Condition>) -> Self {
        let filtered = condition.map(Condition::paths).unwrap_or_default();
        let filtered: Vec<&str> = filtered.into_iter().map(|path| path.text.as_str()).collect();
        let mut stamps: Vec<String> = Vec::new();
        // Columns as well as the condition: a parent's change moves values of one kind and membership of the other.
        for path in columns.iter().map(|column| &*column.path).chain(filtered.iter().copied()) {
            for stamp in stamps_of(objects, path).unwrap_or_default() {
                // A list and no set: a path has five parents at most, and the order in the query must not change
                // between runs.
                if !stamps.contains(&stamp) {
                    stamps.push(stamp);
                }
            }
        }
        Self { stamps, decide: filtered.iter().any(|path| path.contains('.')) }
    }
}

/// The stamps of all parents on the way of a path; none where Salesforce cannot be asked for the changes of one of them: a lookup to
/// several objects, a stamp or a lookup that no filter may name.
pub fn stamps_of(objects: &Objects<'_>, path: &str) -> Option<Vec<String>> {
    let (lookups, _) = path.rsplit_once('.')?;
    let mut holder = objects.source;
    let mut way = String::new();
    let mut stamps = Vec::new();
    for name in lookups.split('.') {
        let lookup = holder.relationship(name).filter(|lookup| lookup.filterable)?;
        // Over a lookup to several objects, SOQL reaches a few common fields, and no stamp is among them.
        let [object] = lookup.reference_to.as_slice() else { return None };
        holder = objects.all.get(&object.to_ascii_lowercase())?;
        way = format!("{way}{}.", lookup.relationship_name.as_deref()?);
        let stamp = holder.field(stamp_field(&holder.name)).filter(|field| field.filterable)?;
        stamps.push(format!("{way}{}", stamp.name));
    }
    Some(stamps)
}

/// The field that tells when a record was touched. A user's SystemModstamp moves whenever the user logs in, which would bring all
/// records of theirs each morning.
fn stamp_field(object: &str) -> &'static str {
    if object.eq_ignore_ascii_case("User") { "LastModifiedDate" } else { "SystemModstamp" }
}

#[cfg(test)]
mod tests {
    use std::sync::Arc;

    use serde_json::json;

    use crate::pipeline::fixture::Fixture;

    #[track_caller]
    fn check(fixture: &Fixture, stamps: &[&str], decide: bool) {
        let parents = fixture.pipeline().parents;
        assert_eq!(
            (parents.stamps.iter().map(String::as_str).collect::<Vec<_>>(), parents.decide),
            (stamps.to_vec(), decide)
        );
    }

    #[test]
    fn the_parents_of_all_paths_are_asked_for_once() {
        let fields = json!([
            {"from": "account__r.name", "to": "text"},
            {"template": "{{ Account__r.Name }} {{ Owner.Name }}", "to": "more"},
        ]);
        check(&Fixture::new(fields), &["Account__r.SystemModstamp"], false);
        let mut filtered = Fixture::new(json!([{"from": "Name", "to": "text"}]));
        check(&filtered, &[], false);
        filtered.config["source"]["where"] = json!("Account__r.Name != 'x'");
        check(&filtered, &["Account__r.SystemModstamp"], true);
        filtered.config["sync"] = json!({"parents": "off"});
        check(&filtered, &[], true);
    }

    #[test]
    fn a_parent_without_a_usable_stamp_is_not_asked_for() {
        let named = || Fixture::new(json!([{"from": "Account__r.Name", "to": "text"}]));
        for spoil in [0, 1, 2] {
            let mut fixture = named();
            match spoil {
                0 => fixture.field("Account__c").filterable = false,
                1 => Arc::make_mut(fixture.sources.get_mut("account").unwrap())
                    .fields
                    .retain(|field| field.name != "SystemModstamp"),
                _ => {
                    let account = Arc::make_mut(fixture.sources.get_mut("account").unwrap());
                    let stamp = account.fields.iter_mut().find(|field| field.name == "SystemModstamp").unwrap();
                    stamp.filterable = false;
                }
            }
            assert_eq!(fixture.findings(), ["SL2050? /fields/0/from"]);
            check(&fixture, &[], false);
        }
        assert!(named().findings().is_empty());
    }
}
