//! A state of an earlier version, row by row: what its readers were told is what those of today are told.

use std::fs;
use std::path::Path;

use jiff::Timestamp;
use rusqlite::{Connection, params};
use syncline::model::association::{
    Asked, AssociationKey, AssociationState, LabelId, OwnedType, PairKey, SettledPair, hash_of_pair,
};
use syncline::model::identity::{Identity, MappingVersion, Membership, WrittenHash};
use syncline::model::ids::{ById, HubspotId, PipelineName, SalesforceId};
use syncline::model::unconfirmed::{Intent, Unconfirmed};
use syncline::ports::state::{IdentityCounts, KeptAssociation, StateReader, StateWriter};
use syncline::state::sqlite::SqliteState;
use syncline::sys::clock::Clock;

use crate::support::{Bench, ended};

const STATE: &str = ".syncline/state.db";

/// An empty state of version 7.
fn of_version_7(path: &Path) -> Connection {
    let state = Connection::open(path).unwrap();
    for step in [
        include_str!("../../src/state/migrations/0001_initial.sql"),
        include_str!("../../src/state/migrations/0002_unconfirmed.sql"),
        include_str!("../../src/state/migrations/0003_marks_and_keys.sql"),
        include_str!("../../src/state/migrations/0004_failure_kinds_and_alerts.sql"),
        include_str!("../../src/state/migrations/0005_associations.sql"),
        include_str!("../../src/state/migrations/0006_comparisons.sql"),
        include_str!("../../src/state/migrations/0007_identity_counts.sql"),
        "PRAGMA journal_mode = WAL; PRAGMA application_id = 1398361676; PRAGMA user_version = 7;",
    ] {
        state.execute_batch(step).unwrap();
    }
    state
}

fn id(text: &str) -> SalesforceId {
    text.parse().unwrap()
}

fn insert_identity(state: &Connection, pipeline: i64, identity: &Identity, property: Option<&str>) {
    let membership = serde_json::to_value(identity.membership).unwrap();
    let row = params![
        pipeline,
        identity.salesforce_id.as_str(),
        identity.hubspot_id.to_string(),
        identity.hash.0,
        identity.mapping.0,
        membership.as_str().unwrap(),
        property
    ];
    let sql = "INSERT INTO identities (pipeline, salesforce_id, hubspot_id, hash, mapping, membership, written_at, run, match_property)
        VALUES (?1, ?2, ?3, ?4, ?5, ?6, 1, '01RUN', ?7)";
    state.execute(sql, row).unwrap();
}

fn kept(key: &str, label: Option<&LabelId>) -> KeptAssociation {
    KeptAssociation {
        key: AssociationKey(key.into()),
        label: label.cloned(),
        connection: "hubspot".into(),
        from_object: "2-1".into(),
        to_object: "0-2".into(),
    }
}

/// What a lookup asks for and what was carried out of it.
struct Lookup<'a> {
    record: &'a str,
    key: &'a str,
    wanted: Option<(&'a str, Option<&'a LabelId>)>,
    /// What was asked for then, and the two records.
    settled: Option<(&'a str, Option<&'a LabelId>, &'a str, &'a str)>,
    recheck: bool,
}

impl Lookup<'_> {
    fn insert(&self, state: &Connection) {
        let label = |label: Option<&LabelId>| label.map(ToString::to_string);
        let hash = |from: &str, to: &str| {
            hash_of_pair("hubspot", ("2-1", &HubspotId::new(from)), ("0-2", &HubspotId::new(to)))
        };
        let record = id(self.record);
        let row = params![
            record.as_str(),
            self.key,
            self.wanted.map(|(target, _)| id(target).to_string()),
            self.wanted.and_then(|wanted| label(wanted.1)),
            self.settled.map(|settled| id(settled.0).to_string()),
            self.settled.and_then(|settled| label(settled.1)),
            self.settled.map(|settled| hash(settled.2, settled.3)),
            self.settled.map(|settled| settled.2),
            self.settled.map(|_| "0-2"),
            self.settled.map(|settled| settled.3),
            self.recheck,
        ];
        let sql = "INSERT INTO associations (pipeline, salesforce_id, key, wanted, wanted_label, target, label, pair, from_id,
            to_object, to_id, recheck) VALUES (1, ?1, ?2, ?3, ?4, ?5, ?6, ?7, ?8, ?9, ?10, ?11)";
        state.execute(sql, row).unwrap();
    }

    /// What readers say of it; nothing where it says nothing.
    fn expected(&self) -> Option<AssociationState> {
        let asked = |target: &str, label: Option<&LabelId>| Asked { target: id(target), label: label.cloned() };
        let settled = self.settled.map(|(target, label, from, to)| SettledPair {
            asked: asked(target, label),
            from: HubspotId::new(from),
            to_object: "0-2".into(),
            to: HubspotId::new(to),
        });
        let says = self.wanted.is_some() || settled.is_some();
        says.then(|| AssociationState {
            salesforce_id: id(self.record),
            key: AssociationKey(self.key.into()),
            wanted: self.wanted.map(|(target, label)| asked(target, label)),
            settled,
            recheck: self.recheck,
        })
    }
}

const ONE: &str = "a015g00000AbCdE";
const TWIN: &str = "a015g00000aBcDe";
const FAR: &str = "a0A000000000001";
const EARLY: &str = "001000000000001";
const ACCOUNT: &str = "0015g00000000AA";
const OTHER: &str = "0015g00000000AB";

#[tokio::test]
async fn each_row_of_an_earlier_version_is_told_as_before() {
    let folder = tempfile::tempdir().unwrap();
    let path = folder.path().join("state.db");
    let state = of_version_7(&path);
    state
        .execute_batch(
            "INSERT INTO pipelines (id, name, match_property) VALUES (1, 'one', 'salesforce_id'), (2, 'two', NULL);
             INSERT INTO notes VALUES ('associations: one', '[]'), ('other', 'kept');",
        )
        .unwrap();
    let new = |salesforce_id: &str, record: &str, membership: Membership, mapping: u8, property: &str| Identity {
        salesforce_id: id(salesforce_id),
        hubspot_id: HubspotId::new(record),
        hash: WrittenHash([record.len() as u8 + mapping; 16]),
        mapping: MappingVersion([mapping; 8]),
        match_property: property.into(),
        membership,
    };
    let identities = [
        new(ONE, "31234567890", Membership::Live, 1, "salesforce_id"),
        new(TWIN, "91", Membership::Live, 2, "other_id"),
        new(FAR, "007", Membership::Left, 1, "salesforce_id"),
        new(EARLY, "row", Membership::Gone, 1, "salesforce_id"),
        new(OTHER, "95", Membership::Archived, 1, "salesforce_id"),
    ];
    for identity in &identities {
        insert_identity(&state, 1, identity, Some("other_id").filter(|_| &*identity.match_property == "other_id"));
    }
    let of_two = new(ONE, "31234567890", Membership::Live, 3, "");
    insert_identity(&state, 2, &of_two, None);
    let label = LabelId { category: "USER_DEFINED".into(), type_id: 91 };
    let lookups = [
        Lookup {
            record: ONE,
            key: "Account__c",
            wanted: Some((ACCOUNT, None)),
            settled: Some((ACCOUNT, None, "31234567890", "500")),
            recheck: false,
        },
        Lookup {
            record: ONE,
            key: "Bill__c#billing",
            wanted: Some((ACCOUNT, Some(&label))),
            settled: Some((ACCOUNT, Some(&label), "31234567890", "500")),
            recheck: true,
        },
        Lookup {
            record: TWIN,
            key: "Account__c",
            wanted: Some((OTHER, None)),
            settled: Some((ACCOUNT, None, "77", "500")),
            recheck: false,
        },
        Lookup {
            record: TWIN,
            key: "Bill__c#billing",
            wanted: None,
            settled: Some((ACCOUNT, Some(&label), "91", "x1")),
            recheck: false,
        },
        Lookup { record: FAR, key: "Account__c", wanted: Some((OTHER, None)), settled: None, recheck: false },
        Lookup { record: FAR, key: "Bill__c#billing", wanted: None, settled: None, recheck: false },
        Lookup { record: OTHER, key: "Account__c", wanted: Some((ACCOUNT, None)), settled: None, recheck: false },
    ];
    lookups.iter().for_each(|lookup| lookup.insert(&state));
    let waits = "UPDATE associations SET waiting_since = 1000, retry_at = 5000 WHERE salesforce_id = ?1";
    state.execute(waits, [id(FAR).as_str()]).unwrap();
    let pair = |from: &str, to: &str| ("2-1", HubspotId::new(from), "0-2", HubspotId::new(to));
    let insert_owned = |(object, from, to_object, to): &(&str, HubspotId, &str, HubspotId), text: &str, of: &str| {
        let hash = hash_of_pair("hubspot", (object, from), (to_object, to));
        state.execute("INSERT INTO owned_types VALUES (?1, ?2, ?3)", params![hash, text, of]).unwrap();
    };
    insert_owned(&pair("31234567890", "500"), "", "");
    insert_owned(&pair("31234567890", "500"), "USER_DEFINED:91", "31234567890");
    insert_owned(&pair("77", "500"), "", "");
    for (record, intent) in [(ONE, "write"), (EARLY, "archive_left")] {
        let sql = "INSERT INTO unconfirmed VALUES (1, ?1, 'salesforce_id', ?2, '01RUN', 5)";
        state.execute(sql, [id(record).as_str(), intent]).unwrap();
    }
    drop(state);

    let state = SqliteState::open(&path, &Clock::manual(Timestamp::UNIX_EPOCH)).unwrap();
    let (one, two) = (PipelineName::new("one"), PipelineName::new("two"));
    let all = [ONE, TWIN, FAR, EARLY, OTHER, ACCOUNT].map(id);
    let expected: ById<SalesforceId, Identity> =
        identities.iter().map(|identity| (identity.salesforce_id, identity.clone())).collect();
    assert_eq!(state.identities(&one, &all).await.unwrap(), expected);
    assert_eq!(state.identities(&two, &all).await.unwrap(), ById::from_iter([(id(ONE), of_two)]));
    let counts = state.identity_counts(&one, MappingVersion([1; 8])).await.unwrap();
    assert_eq!(counts, IdentityCounts { standing: 4, live: 2, behind: 1, in_doubt: 0 });
    assert_eq!(state.live(&one, None, 9).await.unwrap(), [ONE, TWIN].map(id));
    assert_eq!(state.stale(&one, MappingVersion([1; 8]), None, 9).await.unwrap(), [id(TWIN)]);
    assert_eq!(state.known_records(&all).await.unwrap().len(), 5, "both pipelines name one record");
    let of_records = state.identities_of_records(&one, &["007", "row", "95"].map(HubspotId::new)).await.unwrap();
    assert_eq!(of_records, [(HubspotId::new("007"), id(FAR)), (HubspotId::new("row"), id(EARLY))]);
    let sorted = |mut found: Vec<AssociationState>| {
        found.sort_by_key(|association| (association.salesforce_id, association.key.clone()));
        found
    };
    let expected = sorted(lookups.iter().filter_map(Lookup::expected).collect());
    assert_eq!(sorted(state.associations(&one, &all).await.unwrap()), expected);
    let due = state.due_associations(&one, None, None, 9).await.unwrap();
    let due: Vec<_> = due
        .into_iter()
        .map(|(association, record)| (association.salesforce_id, association.key, record.to_string()))
        .collect();
    let (account, billing) = (AssociationKey("Account__c".into()), AssociationKey("Bill__c#billing".into()));
    let due_before = [
        (id(ONE), billing.clone(), "31234567890".to_owned()),
        (id(TWIN), account.clone(), "91".to_owned()),
        (id(TWIN), billing.clone(), "91".to_owned()),
        (id(FAR), account.clone(), "007".to_owned()),
    ];
    assert_eq!(due, due_before, "of records that stand, in order");
    let later = state.due_associations(&one, Some(Timestamp::from_millisecond(4_999).unwrap()), None, 9).await.unwrap();
    assert_eq!((later.len(), state.due_count(&one).await.unwrap()), (3, 4), "one waits");
    let doubt = |record: &str, intent: Intent| Unconfirmed {
        salesforce_id: id(record),
        match_property: "salesforce_id".into(),
        intent,
    };
    let mut doubts = state.unconfirmed(&one, &all).await.unwrap();
    doubts.sort_by_key(|doubt| doubt.salesforce_id);
    assert_eq!(doubts, [doubt(EARLY, Intent::ArchiveLeft), doubt(ONE, Intent::Write)]);
    assert_eq!(state.in_doubt(&one, None, None, 9).await.unwrap(), [EARLY, ONE].map(id));
    assert_eq!(state.note("other").await.unwrap().as_deref(), Some("kept"));

    // What is known of pairs is told once the pipeline says what its keys mean.
    state.keep_associations(&one, &[kept("Account__c", None), kept("Bill__c#billing", Some(&label))]).await.unwrap();
    assert_eq!(sorted(state.associations(&one, &all).await.unwrap()), expected, "that changes nothing else");
    let pair = |from: &str, to: &str| kept("", None).pair(&HubspotId::new(from), &HubspotId::new(to));
    let requests = async |pair: PairKey| {
        let mut found = state.pair_requests(&[pair]).await.unwrap();
        found.sort_by_key(|request| request.key.clone());
        found.into_iter().map(|request| (request.salesforce_id, request.key)).collect::<Vec<_>>()
    };
    assert_eq!(requests(pair("31234567890", "500")).await, [(id(ONE), account.clone()), (id(ONE), billing.clone())]);
    assert_eq!(requests(pair("77", "500")).await, [], "it has moved on");
    let plain = |pair: PairKey| OwnedType { pair, label: None };
    let (first, second) = (pair("31234567890", "500"), pair("77", "500"));
    let labelled = OwnedType { pair: first, label: Some((HubspotId::new("31234567890"), label.clone())) };
    assert_eq!(state.owned_types(&[first]).await.unwrap(), [plain(first), labelled]);
    assert_eq!(state.owned_types(&[second, pair("91", "x1")]).await.unwrap(), [plain(second)]);
}

/// Gives a project a state of version 7 with some records.
fn earlier_project(records: i64) -> Bench {
    let bench = Bench::new(3);
    fs::create_dir_all(bench.path(".syncline")).unwrap();
    let state = of_version_7(&bench.path(STATE));
    let sql = "INSERT INTO pipelines (id, name) VALUES (1, 'subscriptions');
        BEGIN;
        INSERT INTO identity_counts VALUES (1, 'live', x'0101010101010101', 0);";
    state.execute_batch(sql).unwrap();
    for number in 0..records {
        let identity = Identity {
            salesforce_id: id(&format!("a015g{number:010}")),
            hubspot_id: HubspotId::new(number.to_string()),
            hash: WrittenHash([1; 16]),
            mapping: MappingVersion([1; 8]),
            match_property: "".into(),
            membership: Membership::Live,
        };
        insert_identity(&state, 1, &identity, None);
    }
    state.execute("UPDATE identity_counts SET records = ?1", [records]).unwrap();
    state.execute_batch("COMMIT; PRAGMA wal_checkpoint(TRUNCATE);").unwrap();
    bench
}

fn records(bench: &Bench) -> u64 {
    let status = bench.run(&["status", "--format", "json"]).json();
    let mut pipelines = status["pipelines"].as_array().unwrap().iter();
    pipelines.find(|pipeline| pipeline["pipeline"] == "subscriptions").unwrap()["records"].as_u64().unwrap()
}

#[test]
fn an_upgrade_that_dies_leaves_the_state_as_it_was_and_the_next_one_ends() {
    let bench = earlier_project(20_000);
    let before = fs::metadata(bench.path(STATE)).unwrap().len();
    // Any command that writes brings the file to today's version.
    let command = ["failures", "dismiss", "--code", "SL5999"];
    let died = bench.command(&command).env("SYNCLINE_CRASH_AT", "state.migrated:1").output().unwrap();
    assert_eq!(ended(died).code, None);
    let state = Connection::open(bench.path(STATE)).unwrap();
    let version: i64 = state.query_row("PRAGMA user_version", [], |row| row.get(0)).unwrap();
    let rows: i64 = state
        .query_row("SELECT count(*) FROM identities WHERE salesforce_id GLOB 'a015g*'", [], |row| row.get(0))
        .unwrap();
    assert_eq!((version, rows), (7, 20_000));
    drop(state);
    bench.run(&command).code(0);
    assert_eq!(records(&bench), 20_000);
    let after = fs::metadata(bench.path(STATE)).unwrap().len();
    assert!(after * 4 < before * 3, "the room that rows have left is given back: {before} bytes, then {after}");
}

#[test]
fn a_state_of_an_earlier_version_is_not_read_before_it_is_upgraded() {
    let bench = earlier_project(1);
    let ran = bench.run(&["status"]).code(1);
    assert!(ran.stderr.contains("SL6005") && ran.stderr.contains("version 7"), "{}", ran.stderr);
}
