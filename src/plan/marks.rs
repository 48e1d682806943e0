//! Rows that come once more as they were: told by their marks, without mapping them again.

use super::decide::{Action, Candidate, Decision, IdentityChange, KnownState, asked_before, earlier_key};
use crate::config::pipeline::Mode;
use crate::model::identity::{Membership, WrittenHash};
use crate::pipeline::compiled::Pipeline;

/// Whether a row asks for nothing: what was written last came from the same row, its lookups ask for what they did, and nothing about it is
/// open. Mapped, it would be unchanged.
pub fn asks_for_nothing(pipeline: &Pipeline, candidate: &Candidate, known: &KnownState) -> bool {
    let Some(identity) = &known.identity else { return false };
    let is_settled = candidate.member
        && identity.membership == Membership::Live
        && identity.mapping == pipeline.mapping_version
        && earlier_key(pipeline, identity).is_none()
        && known.unconfirmed.is_none()
        && !known.failed_before;
    let values = &candidate.record.values;
    let asks_the_same = || {
        pipeline.associations.iter().all(|association| {
            association.asked(values).is_ok_and(|asked| asked_before(&known.asks, &association.key) == asked.as_ref())
        })
    };
    is_settled && identity.hash.is_of_row(pipeline.row_mark(&candidate.record)) && asks_the_same()
}

/// Has an unchanged record remembered as it is now: its row had no mark, or was mapped by other things, or an earlier version wrote it.
/// `remembered` is what is known of it.
pub fn renew(pipeline: &Pipeline, remembered: Option<WrittenHash>, decision: &mut Decision) {
    let Some(desired) = decision.desired.as_ref().filter(|_| decision.action == Action::Unchanged) else { return };
    let hash = WrittenHash::new(desired.content, pipeline.row_mark(&decision.candidate.record));
    // What is not written is not noted as written.
    let is_noted = pipeline.mode != Mode::CreateOnly && decision.identity.is_none();
    if is_noted && remembered.is_some_and(|remembered| remembered != hash) {
        decision.identity = Some(IdentityChange { hash, membership: Membership::Live });
    }
}

#[cfg(test)]
mod tests {
    use std::sync::Arc;

    use serde_json::json;

    use super::*;
    use crate::model::hash::Hasher;
    use crate::model::identity::{Identity, RowMark};
    use crate::model::ids::HubspotId;
    use crate::model::owners::Owners;
    use crate::pipeline::fixture::{Fixture, NOW, record};
    use crate::plan::decide::{Matched, Transformed, from_state, from_target};
    use crate::ports::target::TargetRecord;
    use crate::sys::rng::Rng;

    fn fixture() -> Fixture {
        let fields = json!([
            {"from": "Name", "to": "text"},
            {"from": "Amount__c", "to": "number", "on_create_only": true},
            {"from": "Status__c", "to": "status"},
        ]);
        Fixture::new(fields).associated(json!({"field": "Project__c", "pipeline": "projects"}))
    }

    const ROW: [(&str, &str); 4] =
        [("Name", "One"), ("Amount__c", "5"), ("Status__c", "Active"), ("Project__c", "a015g00000aBcDe")];

    fn candidate(pipeline: &Pipeline, cells: &[(&str, &str)]) -> Candidate {
        Candidate { row: 0, record: record(pipeline, cells), member: true, vanished: false }
    }

    /// What is known of a row once it was written.
    fn written(pipeline: &Pipeline, cells: &[(&str, &str)]) -> KnownState {
        let record = record(pipeline, cells);
        let desired = pipeline.transform(&record, NOW, &Owners::default()).unwrap();
        let asks = pipeline.associations.iter().map(|association| association.key.clone()).zip(desired.lookups);
        let identity = Identity {
            salesforce_id: record.id,
            hubspot_id: HubspotId::new("1"),
            hash: WrittenHash::new(desired.content, pipeline.row_mark(&record)),
            mapping: pipeline.mapping_version,
            match_property: Arc::clone(&pipeline.target.match_property),
            membership: Membership::Live,
        };
        KnownState { identity: Some(identity), asks: asks.collect(), ..KnownState::default() }
    }

    #[test]
    fn a_row_asks_for_nothing_where_all_is_as_it_was() {
        let pipeline = fixture().pipeline();
        type Change<'a> = &'a dyn Fn(&mut Candidate, &mut KnownState);
        let asks_for_nothing = |cells: &[(&str, &str)], change: Change<'_>| {
            let (mut candidate, mut known) = (candidate(&pipeline, cells), written(&pipeline, &ROW));
            change(&mut candidate, &mut known);
            super::asks_for_nothing(&pipeline, &candidate, &known)
        };
        assert!(asks_for_nothing(&ROW, &|_, _| {}));
        for place in 0..ROW.len() {
            let mut other = ROW;
            other[place].1 = "";
            assert!(!asks_for_nothing(&other, &|_, _| {}), "{}", ROW[place].0);
        }
        fn identity(known: &mut KnownState) -> &mut Identity {
            known.identity.as_mut().unwrap()
        }
        let changes: [(&str, Change<'_>); 8] = [
            ("left `where`", &|candidate, _| candidate.member = false),
            ("unknown", &|_, known| known.identity = None),
            ("archived", &|_, known| identity(known).membership = Membership::Archived),
            ("another mapping", &|_, known| identity(known).mapping.0[0] ^= 1),
            ("another match property", &|_, known| identity(known).match_property = Arc::from("old_id")),
            ("an earlier version's hash", &|_, known| identity(known).hash.0[8..].fill(7)),
            ("failed before", &|_, known| known.failed_before = true),
            ("another lookup", &|_, known| known.asks.clear()),
        ];
        for (what, change) in changes {
            assert!(!asks_for_nothing(&ROW, change), "{what}");
        }
    }

    #[test]
    fn nothing_is_taken_for_the_same_that_may_become_something_else() {
        let cases = [
            (json!({"template": "{{ now }}", "to": "text"}), false),
            (json!({"template": "{{ Renews__c | in_zone('Europe/Berlin') }}", "to": "text"}), false),
            (json!({"from": "Renews__c", "to": "day", "time_zone": "Europe/Berlin"}), false),
            (json!({"from": "OwnerId", "to": "owner", "as": "owner"}), false),
            (json!({"from": "Name", "to": "day", "time_zone": "Europe/Berlin"}), false),
            (json!({"template": "{{ Name | upper }}", "to": "text"}), true),
            (json!({"from": "Renews__c", "to": "moment"}), true),
        ];
        for (field, expected) in cases {
            let mut fixture = Fixture::new(json!([field]));
            let owner = fixture.target.properties.get_mut("owner").unwrap();
            (owner.owner, owner.external_options) = (true, true);
            let pipeline = fixture.pipeline();
            let record = record(&pipeline, &[]);
            assert_eq!(pipeline.row_mark(&record) != RowMark::default(), expected, "{field}");
        }
        // What the two systems say of fields and properties decides as well: options there, labels here.
        let marked = |fixture: &Fixture| {
            let pipeline = fixture.pipeline();
            pipeline.row_mark(&record(&pipeline, &[("Status__c", "Active")]))
        };
        let mut options = fixture();
        options.target.properties.get_mut("status").unwrap().options.pop();
        assert_ne!(marked(&options), marked(&fixture()));
        let labelled = || Fixture::new(json!([{"from": "Status__c", "to": "text", "label": true}]));
        let mut renamed = labelled();
        assert_eq!(marked(&renamed), marked(&labelled()));
        renamed.field("Status__c").picklist[0].label = "Running".to_owned();
        assert_ne!(marked(&renamed), marked(&labelled()));
    }

    #[test]
    fn rows_have_one_mark_where_they_are_equal_and_only_there() {
        let pipeline = fixture().pipeline();
        let rng = Rng::seeded(7);
        let row = || {
            let text = |_| ["", "a", "b", "ab", "ba", "0"][rng.below(6) as usize];
            let cells: Vec<_> =
                ROW.iter().map(|(name, _)| (*name, text(name))).filter(|(_, text)| !text.is_empty()).collect();
            record(&pipeline, &cells)
        };
        let mut equal = 0;
        for _ in 0..20_000 {
            let (one, other) = (row(), row());
            equal += u32::from(one == other);
            assert_eq!(one == other, pipeline.row_mark(&one) == pipeline.row_mark(&other), "{one:?} {other:?}");
        }
        assert!(equal > 5, "{equal}");
        // Kept in states: another number would have all rows mapped again.
        let cells = ["One", "", "5"].map(|text| Some(text).filter(|text| !text.is_empty()));
        assert_eq!(cells.into_iter().collect::<crate::model::record::Cells>().mark(7), 1_000_175_566_636_842_548);
    }

    #[test]
    fn what_an_earlier_version_wrote_is_known_whatever_is_left_alone() {
        let fields = json!([
            {"from": "Name", "to": "text", "write": "if_empty"},
            {"from": "Amount__c", "to": "number", "on_drift": "keep"},
        ]);
        let pipeline = Fixture::new(fields).pipeline();
        let row = [("Name", "One"), ("Amount__c", "5")];
        let mut known = written(&pipeline, &row);
        let mut hasher = Hasher::default();
        for text in ["hubspot", "2-77", "number", "5", "salesforce_id", "a015g00000AbCdEAAV", "text", "One"] {
            hasher.text(text);
        }
        known.identity.as_mut().unwrap().hash = WrittenHash(hasher.finish());
        let candidate = candidate(&pipeline, &row);
        let desired = pipeline.transform(&candidate.record, NOW, &Owners::default()).map(Box::new).map_err(Box::new);
        let transformed = Transformed { candidate, desired: Some(desired) };
        let Matched::Unresolved(unresolved) = from_state(&pipeline, transformed, known, true) else {
            panic!("it is compared")
        };
        let properties = [("text", "Somebody's"), ("number", "7"), ("salesforce_id", "a015g00000AbCdEAAV")];
        let held = properties.map(|(name, value)| (name.to_owned(), Some(value.to_owned())));
        let found = TargetRecord { id: HubspotId::new("1"), properties: held.into() };
        let decision = from_target(&pipeline, unresolved, Some(&found), None);
        assert_eq!((&decision.action, decision.drifted), (&Action::Unchanged, true), "{:?}", decision.changes);
    }

    #[test]
    fn an_unchanged_record_gets_the_mark_of_its_row() {
        let pipeline = fixture().pipeline();
        let decided = |known: &KnownState| {
            let candidate = candidate(&pipeline, &ROW);
            let desired =
                pipeline.transform(&candidate.record, NOW, &Owners::default()).map(Box::new).map_err(Box::new);
            let transformed = Transformed { candidate, desired: Some(desired) };
            let Matched::Decided(mut decision) = from_state(&pipeline, transformed, known.clone(), false) else {
                panic!("state decides it")
            };
            assert_eq!((&decision.action, decision.identity), (&Action::Unchanged, None));
            renew(&pipeline, known.identity.as_ref().map(|identity| identity.hash), &mut decision);
            decision.identity.map(|identity| identity.hash)
        };
        let known = written(&pipeline, &ROW);
        assert_eq!(decided(&known), None);
        let mut earlier = known.clone();
        earlier.identity.as_mut().unwrap().hash.0[8..].fill(7);
        assert_eq!(decided(&earlier), Some(known.identity.unwrap().hash));
    }
}
