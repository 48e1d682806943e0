//! What every store of the state must do, whatever it is built on. A new store is one more line in [`STORES`].

use std::collections::BTreeMap;
use std::path::Path;
use std::sync::Arc;

use jiff::{SignedDuration, Timestamp};
use syncline::model::association::{Asked, AssociationKey, AssociationState, LabelId, OwnedType, PairKey, SettledPair};
use syncline::model::failure::{Failure, FailureKind, Reason, RowHash};
use syncline::model::identity::{Identity, MappingVersion, Membership, WrittenHash};
use syncline::model::ids::{HubspotId, PipelineName, RunId, SalesforceId};
use syncline::model::report::{RunKind, RunStatus, Tally};
use syncline::model::unconfirmed::{Intent, Unconfirmed};
use syncline::model::watermark::{ComparisonProgress, Cursor, Watermark};
use syncline::ports::state::{
    ASSOCIATION_FAILURES, Asking, Commit, Directory, FailureFilter, FailureMark, FailureStatus, IdentityCounts,
    ImportProgress, KeptAssociation, Listing, RunRow, StateError, StateReader, StateWriter, asked_of_known,
};
use syncline::state::sqlite::SqliteState;
use syncline::sys::clock::Clock;

/// All that a store is.
trait Store: StateWriter + Directory {}
impl<T: StateWriter + Directory> Store for T {}

/// Opens handles of one store: each call gives another handle, as another process would have.
type Open = Box<dyn Fn() -> Arc<dyn Store>>;

/// A way to make an empty store, in a folder of its own where it needs one.
type Make = fn(&Path) -> Open;

/// The stores.
const STORES: &[Make] = &[
    file,
    memory,
    #[cfg(feature = "postgres")]
    postgres,
];

fn clock() -> Clock {
    Clock::manual(at(0))
}

fn file(folder: &Path) -> Open {
    let path = folder.join("state.db");
    Box::new(move || Arc::new(SqliteState::open(&path, &clock()).unwrap()))
}

fn memory(_: &Path) -> Open {
    let state = SqliteState::in_memory(&clock()).unwrap();
    Box::new(move || Arc::new(state.clone()))
}

#[cfg(feature = "postgres")]
fn postgres(folder: &Path) -> Open {
    let state = folder.file_name().and_then(|name| name.to_str()).unwrap_or_default();
    let address = crate::support::postgres::shared().address("postgres", state);
    let address = syncline::state::address::Address::parse(&address, None, None).unwrap();
    Box::new(move || Arc::new(syncline::state::postgres::store::PgState::new(address.clone(), &clock())))
}

/// Runs a test on every store; `first` and `second` are handles of the same one.
async fn on_every_store<F: Future<Output = ()>>(test: impl Fn(Arc<dyn Store>, Arc<dyn Store>) -> F) {
    for make in STORES {
        let folder = tempfile::tempdir().unwrap();
        let open = make(folder.path());
        test(open(), open()).await;
    }
}

fn at(seconds: i64) -> Timestamp {
    Timestamp::UNIX_EPOCH + SignedDuration::from_secs(1_790_000_000 + seconds)
}

fn id(number: u32) -> SalesforceId {
    format!("a01{number:012}").parse().unwrap()
}

fn name(text: &str) -> PipelineName {
    PipelineName::new(text)
}

fn asked(target: u32) -> Asked {
    Asked { target: id(target), label: None }
}

/// Two records of a custom object and of companies.
fn pair_of(from: &str, to: &str) -> PairKey {
    PairKey::new("hubspot", ("2-1", &HubspotId::new(from)), ("0-2", &HubspotId::new(to)))
}

fn key(text: &str) -> AssociationKey {
    AssociationKey(Arc::from(text))
}

fn identity(number: u32, membership: Membership, mapping: u8) -> Identity {
    Identity {
        salesforce_id: id(number),
        hubspot_id: HubspotId::new(format!("9{number}")),
        hash: WrittenHash([number as u8; 16]),
        mapping: MappingVersion([mapping; 8]),
        match_property: "salesforce_id".into(),
        membership,
    }
}

fn failure(number: u32, code: &str) -> Failure {
    let reason = Reason {
        code: code.to_owned(),
        remote_code: None,
        property: Some("status".to_owned()),
        message: "no such option".to_owned(),
        request_id: None,
    };
    let columns = vec![("Status__c".to_owned(), Some("Odd".to_owned())), ("Notes__c".to_owned(), None)];
    let content = Some(RowHash([7; 16]));
    Failure { salesforce_id: id(number), title: "One".into(), reason, content, columns }
}

fn run_row(run: &str, pipeline: &str, started: i64) -> RunRow {
    RunRow {
        id: RunId::new(run),
        pipeline: name(pipeline),
        kind: RunKind::Import,
        status: RunStatus::Running,
        started: at(started),
        ended: None,
        tally: Tally::default(),
        error: None,
    }
}

const RUN: &str = "01J00000000000000000000001";

fn commit(seconds: i64) -> Commit {
    Commit::new(&name("one"), &RunId::new(RUN), at(seconds), Tally { read: 5, ..Tally::default() })
}

#[tokio::test]
async fn an_empty_store_knows_nothing() {
    on_every_store(|state, _| async move {
        let one = name("one");
        assert!(state.identities(&one, &[id(1)]).await.unwrap().is_empty());
        assert_eq!(state.identity_counts(&one, MappingVersion([1; 8])).await.unwrap(), IdentityCounts::default());
        assert!(state.associations(&one, &[id(1)]).await.unwrap().is_empty());
        assert!(state.due_associations(&one, None, None, 10).await.unwrap().is_empty());
        assert_eq!((state.watermark(&one).await.unwrap(), state.cursor(&one).await.unwrap()), (None, None));
        assert_eq!((state.due_count(&one).await.unwrap(), state.open_failures(&one).await.unwrap()), (0, 0));
        assert_eq!(state.note("x").await.unwrap(), None);
        assert!(state.runs(None, 10).await.unwrap().is_empty() && state.run(RUN).await.unwrap().is_none());
        assert!(state.failures(&FailureFilter::default(), 10).await.unwrap().is_empty());
        assert!(!state.failing(&one).await.unwrap());
        assert_eq!(state.filled("companies").await.unwrap(), None);
    })
    .await;
}

#[tokio::test]
async fn identities_are_replaced_and_counted_by_what_became_of_them() {
    on_every_store(|state, other| async move {
        let identities = vec![
            identity(1, Membership::Live, 1),
            identity(2, Membership::Live, 2),
            identity(3, Membership::Left, 1),
            identity(4, Membership::Gone, 1),
            identity(5, Membership::Archived, 1),
        ];
        state.commit(Commit { identities: identities.clone(), ..commit(1) }).await.unwrap();
        let all: Vec<SalesforceId> = (0..9).map(id).collect();
        let found = other.identities(&name("one"), &all).await.unwrap();
        assert_eq!(found.len(), 5);
        identities.iter().for_each(|identity| assert_eq!(found.get(&identity.salesforce_id), Some(identity)));
        assert!(other.identities(&name("two"), &all).await.unwrap().is_empty(), "pipelines are apart");
        let counts = other.identity_counts(&name("one"), MappingVersion([1; 8])).await.unwrap();
        assert_eq!(counts, IdentityCounts { standing: 4, live: 2, behind: 1, in_doubt: 0 });
        let moved = Identity { hubspot_id: HubspotId::new("77"), ..identity(1, Membership::Archived, 2) };
        state.commit(Commit { identities: vec![moved.clone()], ..commit(2) }).await.unwrap();
        assert_eq!(state.identities(&name("one"), &[id(1)]).await.unwrap().get(&id(1)), Some(&moved));
    })
    .await;
}

#[tokio::test]
async fn ids_that_differ_in_letter_case_are_apart() {
    on_every_store(|state, _| async move {
        let twins: Vec<SalesforceId> =
            ["a015g00000AbCdEAAV", "a015g00000aBcDeAAK"].iter().map(|id| id.parse().unwrap()).collect();
        let identities = twins
            .iter()
            .zip(1..)
            .map(|(id, number)| Identity { salesforce_id: *id, ..identity(number, Membership::Live, 1) });
        state.commit(Commit { identities: identities.collect(), ..commit(1) }).await.unwrap();
        let found = state.identities(&name("one"), &twins).await.unwrap();
        assert_eq!(
            (&*found[&twins[0]].hubspot_id.to_string(), &*found[&twins[1]].hubspot_id.to_string()),
            ("91", "92")
        );
    })
    .await;
}

#[tokio::test]
async fn associations_keep_what_is_wanted_apart_from_what_was_made() {
    on_every_store(|state, other| async move {
        let (one, account) = (name("one"), key("Account__c"));
        let identities = vec![
            identity(1, Membership::Live, 1),
            identity(2, Membership::Live, 1),
            identity(3, Membership::Archived, 1),
        ];
        let wanted = (1..=4).map(|number| (id(number), account.clone(), Some(asked(50)))).collect();
        state.commit(Commit { identities, wanted, ..commit(1) }).await.unwrap();
        let due = other.due_associations(&one, None, None, 10).await.unwrap();
        let ids: Vec<SalesforceId> = due.iter().map(|(state, _)| state.salesforce_id).collect();
        assert_eq!(ids, [id(1), id(2)], "archived and unknown records wait");
        assert_eq!((&*due[0].1.to_string(), other.due_count(&one).await.unwrap()), ("91", 2));
        let after = Some((id(1), account.clone()));
        assert_eq!(state.due_associations(&one, None, after, 10).await.unwrap().len(), 1);
        assert_eq!(state.due_associations(&one, None, None, 1).await.unwrap().len(), 1);

        let pair = SettledPair {
            asked: asked(50),
            from: HubspotId::new("91"),
            to_object: "0-2".into(),
            to: HubspotId::new("500"),
        };
        let settled = |settled: Option<&SettledPair>| {
            vec![(id(1), account.clone(), settled.map(|settled| (pair_of("91", "500"), settled.clone())))]
        };
        state.commit(Commit { settled: settled(Some(&pair)), ..commit(2) }).await.unwrap();
        assert_eq!(other.due_count(&one).await.unwrap(), 1);
        state.commit(Commit { rechecks: vec![(id(1), account.clone())], ..commit(2) }).await.unwrap();
        assert_eq!(state.due_count(&one).await.unwrap(), 2, "what is in doubt is looked at");
        state.commit(Commit { settled: settled(Some(&pair)), ..commit(3) }).await.unwrap();
        assert_eq!(other.due_count(&one).await.unwrap(), 1);
        state.commit(Commit { wanted: vec![(id(1), account.clone(), None)], ..commit(4) }).await.unwrap();
        let known = other.associations(&one, &[id(1)]).await.unwrap();
        assert_eq!((known.len(), &known[0].wanted, &known[0].settled), (1, &None, &Some(pair)));
        assert!(known[0].is_due());
        state.commit(Commit { settled: settled(None), ..commit(5) }).await.unwrap();
        assert_eq!(state.due_count(&one).await.unwrap(), 1);
    })
    .await;
}

/// What lookups of records ask for, which is the same by either way.
async fn asks(state: &dyn Store, pipeline: &PipelineName, ids: &[SalesforceId]) -> Vec<Asking> {
    let mut asks = state.asked(pipeline, ids).await.unwrap();
    let mut by_all = asked_of_known(state, pipeline, ids).await.unwrap();
    asks.sort_by(|one, other| (one.0, &one.1).cmp(&(other.0, &other.1)));
    by_all.sort_by(|one, other| (one.0, &one.1).cmp(&(other.0, &other.1)));
    assert_eq!(asks, by_all);
    asks
}

#[tokio::test]
async fn what_stands_as_it_was_carried_out_is_not_due_any_more() {
    on_every_store(|state, other| async move {
        let (one, account, owner) = (name("one"), key("Account__c"), key("Owner__c#main"));
        let label = LabelId { category: "USER_DEFINED".into(), type_id: 91 };
        let main = Asked { target: id(51), label: Some(label) };
        let ids: Vec<SalesforceId> = (1..=20).map(id).collect();
        assert_eq!(asks(&*other, &one, &ids).await, []);
        let identities = (1..=20).map(|number| identity(number, Membership::Live, 1)).collect();
        // As many as are kept together, and some that are not.
        let wanted: Vec<Asking> = (1..=20).map(|number| (id(number), account.clone(), Some(asked(50)))).collect();
        let mut all = wanted.clone();
        state.commit(Commit { identities, wanted, ..commit(1) }).await.unwrap();
        assert_eq!(asks(&*other, &one, &ids).await, all);
        let wanted = vec![(id(3), owner.clone(), Some(main.clone())), (id(9), owner.clone(), Some(asked(52)))];
        all.extend(wanted.clone());
        all.sort_by(|one, other| (one.0, &one.1).cmp(&(other.0, &other.1)));
        state.commit(Commit { wanted, ..commit(2) }).await.unwrap();
        assert_eq!(asks(&*other, &one, &ids).await, all);
        assert_eq!(asks(&*other, &one, &[id(3), id(40)]).await, all[2..4]);

        let settled = |number: u32, key: &AssociationKey, asked: Asked| {
            let from = HubspotId::new(format!("9{number}"));
            let pair = PairKey::new("hubspot", ("2-1", &from), ("0-2", &HubspotId::new("500")));
            let to = HubspotId::new("500");
            (id(number), key.clone(), Some((pair, SettledPair { asked, from, to_object: "0-2".into(), to })))
        };
        let mut new = vec![settled(3, &owner, main.clone())];
        new.extend((1..=18).map(|number| settled(number, &account, asked(50))));
        state.commit(Commit { settled: new, ..commit(3) }).await.unwrap();
        assert_eq!(asks(&*other, &one, &ids).await, all);
        assert_eq!(state.due_count(&one).await.unwrap(), 3, "two of one association and one of the other");

        state.recheck_associations(&one).await.unwrap();
        assert_eq!(state.due_count(&one).await.unwrap(), 22);
        // Of the first, work is left of all that it has; of both, it is not.
        assert_eq!(asks(&*other, &one, &[id(3)]).await, all[2..4]);
        assert_eq!(asks(&*other, &one, &[id(3), id(4)]).await, all[2..5]);
        // One that asks for something else by now, and one that asks for nothing.
        let wanted = vec![(id(5), account.clone(), Some(asked(53))), (id(6), account.clone(), None)];
        state.commit(Commit { wanted, waiting: vec![(id(7), account.clone())], ..commit(4) }).await.unwrap();
        let before = state.associations(&one, &ids).await.unwrap();
        let mut confirmed: Vec<_> = (1..=18).rev().map(|number| (id(number), account.clone(), asked(50))).collect();
        confirmed.push((id(3), owner.clone(), main));
        confirmed.push(confirmed[2].clone());
        state.commit(Commit { confirmed, ..commit(5) }).await.unwrap();
        let after = other.associations(&one, &ids).await.unwrap();
        let carried_out = |states: &[AssociationState]| {
            let mut settled: Vec<_> =
                states.iter().map(|state| (state.salesforce_id, state.key.clone(), state.settled.clone())).collect();
            settled.sort_by(|one, other| (one.0, &one.1).cmp(&(other.0, &other.1)));
            settled
        };
        assert_eq!(carried_out(&after), carried_out(&before), "nothing of it is written anew");
        assert!(after.iter().all(|state| !state.recheck));
        let due = state.due_associations(&one, None, None, 30).await.unwrap();
        let due: Vec<(SalesforceId, Option<SalesforceId>)> = due
            .iter()
            .map(|(state, _)| (state.salesforce_id, state.wanted.as_ref().map(|asked| asked.target)))
            .collect();
        let open = [(5, Some(53)), (6, None), (9, Some(52)), (19, Some(50)), (20, Some(50))];
        assert_eq!(due, open.map(|(number, target)| (id(number), target.map(id))));
        assert_eq!(asks(&*other, &one, &[id(5), id(6), id(7)]).await[0].2, Some(asked(53)));
    })
    .await;
}

#[tokio::test]
async fn what_is_about_to_be_carried_out_is_in_doubt_until_it_is_settled() {
    on_every_store(|state, other| async move {
        let (one, account) = (name("one"), key("Account__c"));
        let ids: Vec<SalesforceId> = (1..=12).map(id).collect();
        let identities = (1..=12).map(|number| identity(number, Membership::Live, 1)).collect();
        let wanted: Vec<Asking> = (1..=12).map(|number| (id(number), account.clone(), Some(asked(50)))).collect();
        state.commit(Commit { identities, wanted, ..commit(1) }).await.unwrap();
        let leads = |number: u32| {
            let (from, to) = (HubspotId::new(format!("9{number}")), HubspotId::new("500"));
            let pair = PairKey::new("hubspot", ("2-1", &from), ("0-2", &to));
            (pair, SettledPair { asked: asked(50), from, to_object: "0-2".into(), to })
        };
        let making = (1..=9).map(|number| (id(number), account.clone(), leads(number))).collect();
        state.commit(Commit { making, ..commit(2) }).await.unwrap();
        let due = || async {
            let due = other.due_associations(&one, None, None, 30).await.unwrap().into_iter();
            due.map(|(state, _)| (state.salesforce_id, state.wanted, state.settled, state.recheck)).collect::<Vec<_>>()
        };
        let mut expected: Vec<_> = (1..=12)
            .map(|number| {
                let leads = (number <= 9).then(|| leads(number).1);
                (id(number), Some(asked(50)), leads, number <= 9)
            })
            .collect();
        assert_eq!(due().await, expected);
        assert_eq!(asks(&*other, &one, &ids).await.len(), 12);
        let pairs: Vec<PairKey> = [1, 9, 10].map(|number| leads(number).0).into();
        let requests = other.pair_requests(&pairs).await.unwrap();
        let mut asking: Vec<SalesforceId> = requests.iter().map(|request| request.salesforce_id).collect();
        asking.sort_unstable();
        assert_eq!(asking, [1, 9].map(id));
        let settled = other.settled_associations(&one, None, 30).await.unwrap();
        assert_eq!(settled.len(), 9);

        // Carried out as noted: by a commit that settles, or by a look that confirms it.
        let done = |number: u32| (id(number), account.clone(), Some(leads(number)));
        state.commit(Commit { settled: vec![done(1)], ..commit(3) }).await.unwrap();
        let confirmed = vec![(id(2), account.clone(), asked(50))];
        state.commit(Commit { confirmed, ..commit(4) }).await.unwrap();
        expected.drain(..2);
        assert_eq!(due().await, expected);
        let known = other.associations(&one, &ids[..2]).await.unwrap();
        assert!(known.iter().all(|state| state.settled.is_some() && !state.recheck), "{known:#?}");
        // It asks for something else before it is known what became of it: that may stand all the same.
        let wanted = vec![(id(3), account.clone(), Some(asked(51)))];
        state.commit(Commit { wanted, ..commit(5) }).await.unwrap();
        expected[0].1 = Some(asked(51));
        assert_eq!(due().await, expected);
        // It was refused.
        let refused = vec![(id(4), account.clone(), None)];
        state.commit(Commit { settled: refused, ..commit(6) }).await.unwrap();
        (expected[1].2, expected[1].3) = (None, false);
        assert_eq!(due().await, expected);
        assert_eq!(other.due_count(&one).await.unwrap(), 10);
    })
    .await;
}

#[tokio::test]
async fn what_asks_for_two_records_is_known_from_all_pipelines_and_what_is_ours_belongs_to_the_pair() {
    on_every_store(|state, other| async move {
        let account = key("Account__c");
        let label = LabelId { category: "USER_DEFINED".into(), type_id: 91 };
        let (pair, elsewhere) = (pair_of("91", "500"), pair_of("91", "501"));
        // The second pipeline asks from the other side, and for rows that lead from another record than their own.
        for (pipeline, number, membership, record, from, to) in [
            ("one", 1, Membership::Live, "91", "91", "500"),
            ("two", 2, Membership::Left, "500", "500", "91"),
            ("two", 3, Membership::Archived, "500", "500", "91"),
            ("two", 4, Membership::Live, "row", "91", "500"),
            ("two", 5, Membership::Live, "91", "91", "501"),
        ] {
            let asked = Asked { target: id(50), label: Some(label.clone()).filter(|_| number == 2) };
            let settled = SettledPair {
                asked: asked.clone(),
                from: HubspotId::new(from),
                to_object: if to == "91" { "2-1".into() } else { "0-2".into() },
                to: HubspotId::new(to),
            };
            let pair = if to == "501" { elsewhere } else { pair };
            let identity = Identity { hubspot_id: HubspotId::new(record), ..identity(number, membership, 1) };
            let new = Commit {
                pipeline: name(pipeline),
                identities: vec![identity],
                wanted: vec![(id(number), account.clone(), Some(asked))],
                settled: vec![(id(number), account.clone(), Some((pair, settled)))],
                ..commit(1)
            };
            state.commit(new.clone()).await.unwrap();
        }
        let requests = async || {
            let mut found = other.pair_requests(&[pair]).await.unwrap();
            found.sort_by_key(|association| association.salesforce_id);
            found
                .into_iter()
                .map(|association| (association.pipeline.to_string(), association.from.to_string(), association.label))
                .collect::<Vec<_>>()
        };
        let all = [("one", "91", None), ("two", "500", Some(label.clone())), ("two", "91", None)]
            .map(|(pipeline, from, label)| (pipeline.to_owned(), from.to_owned(), label));
        assert_eq!(requests().await, all, "a record that is archived asks for nothing");
        let there = other.pair_requests(&[elsewhere, pair_of("92", "500")]).await.unwrap();
        assert_eq!(there.iter().map(|request| request.salesforce_id).collect::<Vec<_>>(), [id(5)]);
        let blank = Commit { wanted: vec![(id(1), account.clone(), None)], ..commit(2) };
        state.commit(blank.clone()).await.unwrap();
        assert_eq!(requests().await, all[1..], "who moved on asks no more");

        let plain = OwnedType { pair, label: None };
        let labelled = OwnedType { pair, label: Some((HubspotId::new("500"), label)) };
        let new = Commit { owned: vec![plain.clone(), labelled.clone(), plain.clone()], ..commit(3) };
        state.commit(new.clone()).await.unwrap();
        assert_eq!(other.owned_types(&[elsewhere]).await.unwrap(), []);
        assert_eq!(other.owned_types(&[pair]).await.unwrap(), [plain.clone(), labelled.clone()]);
        let new = Commit { disowned: vec![plain], removed_from: vec![(pair, HubspotId::new("91"))], ..commit(4) };
        state.commit(new.clone()).await.unwrap();
        assert_eq!(other.owned_types(&[pair]).await.unwrap(), [labelled]);
        assert_eq!(
            state.due_count(&name("two")).await.unwrap(),
            2,
            "the other pipeline looks at its associations again"
        );
        let settled = state.settled_associations(&name("two"), None, 10).await.unwrap();
        assert_eq!(
            settled.iter().map(|(association, _)| association.salesforce_id).collect::<Vec<_>>(),
            [id(2), id(4), id(5)]
        );
        state.recheck_associations(&name("one")).await.unwrap();
        assert!(state.associations(&name("one"), &[id(1)]).await.unwrap()[0].recheck);
    })
    .await;
}

#[tokio::test]
async fn associations_that_wait_back_off_and_are_due_at_once_when_they_change() {
    on_every_store(|state, _| async move {
        let (one, account) = (name("one"), key("Account__c"));
        let wanted = |target: u32| vec![(id(1), account.clone(), Some(asked(target)))];
        let identities = vec![identity(1, Membership::Live, 1)];
        state.commit(Commit { identities, wanted: wanted(50), ..commit(0) }).await.unwrap();
        let due = async |seconds: i64| state.due_associations(&one, Some(at(seconds)), None, 10).await.unwrap().len();
        for seconds in [10, 100] {
            state.commit(Commit { waiting: vec![(id(1), account.clone())], ..commit(seconds) }).await.unwrap();
        }
        assert_eq!((due(101).await, due(100 + 3_600).await), (0, 1), "later, within the hour");
        assert_eq!(state.due_associations(&one, None, None, 10).await.unwrap().len(), 1, "all without a time");
        state.commit(Commit { wanted: wanted(51), ..commit(102) }).await.unwrap();
        assert_eq!(due(102).await, 1);
    })
    .await;
}

#[tokio::test]
async fn a_watermark_never_goes_back_and_an_import_keeps_its_place() {
    on_every_store(|state, other| async move {
        let one = name("one");
        for (seconds, expected) in [(100, 100), (50, 100), (200, 200)] {
            state.commit(Commit { watermark: Some(Watermark(at(seconds))), ..commit(1) }).await.unwrap();
            assert_eq!(other.watermark(&one).await.unwrap(), Some(Watermark(at(expected))));
        }
        assert_eq!(other.watermark(&name("two")).await.unwrap(), None);
        let cursor = Cursor { query: "SELECT 'ü'".into(), place: "{\"x\":1}".into() };
        let progress = ImportProgress {
            began: Watermark(at(7)),
            began_at: Some(at(6)),
            cursor: Some(cursor),
            read: 10,
            total: 20,
        };
        state.commit(Commit { cursor: Some(Some(progress.clone())), ..commit(2) }).await.unwrap();
        state.commit(commit(3)).await.unwrap();
        assert_eq!(other.cursor(&one).await.unwrap(), Some(progress));
        state.commit(Commit { cursor: Some(None), ..commit(4) }).await.unwrap();
        assert_eq!(other.cursor(&one).await.unwrap(), None);
    })
    .await;
}

#[tokio::test]
async fn a_comparison_keeps_its_place() {
    on_every_store(|state, other| async move {
        let one = name("one");
        assert_eq!(other.comparison(&one).await.unwrap(), None);
        let cursor = Some(Cursor { query: "SELECT 'ü'".into(), place: "{\"x\":1}".into() });
        let progress = ComparisonProgress { began_at: at(6), basis: "b".to_owned(), cursor: None, read: 0, total: 20 };
        for progress in [progress.clone(), ComparisonProgress { cursor, read: 10, ..progress }] {
            state.save_comparison(&one, Some(progress.clone())).await.unwrap();
            assert_eq!(other.comparison(&one).await.unwrap(), Some(progress));
            assert_eq!(other.comparison(&name("two")).await.unwrap(), None);
        }
        state.save_comparison(&one, None).await.unwrap();
        assert_eq!(other.comparison(&one).await.unwrap(), None);
    })
    .await;
}

#[tokio::test]
async fn failures_open_count_and_end() {
    on_every_store(|state, other| async move {
        let one = name("one");
        state.begin_run(&run_row(RUN, "one", 0)).await.unwrap();
        let failed = |seconds: i64, failures: Vec<Failure>| Commit { failures, ..commit(seconds) };
        state.commit(failed(0, vec![failure(1, "SL5001"), failure(2, "SL5110")])).await.unwrap();
        state.commit(failed(60, vec![failure(1, "SL5001")])).await.unwrap();
        let filter = FailureFilter { pipeline: Some(one.clone()), ..FailureFilter::default() };
        let rows = other.failures(&filter, 10).await.unwrap();
        assert_eq!((rows.len(), other.open_failures(&one).await.unwrap()), (2, 2));
        assert_eq!((rows[0].attempts, rows[0].first_seen, rows[0].last_seen), (2, at(0), at(60)));
        assert_eq!(rows[0].failure, failure(1, "SL5001"));
        assert!(rows[0].retry_at > Some(at(60)) && rows[0].run.as_str() == RUN);

        let due = |seconds| FailureFilter { due_at: Some(at(seconds)), ..filter.clone() };
        assert_eq!(other.failures(&due(61), 10).await.unwrap().len(), 0);
        assert_eq!(other.failures(&due(100_000), 10).await.unwrap().len(), 2);
        let after = FailureFilter { after: Some((one.clone(), id(1), FailureKind::Record)), ..filter.clone() };
        assert_eq!(other.failures(&after, 10).await.unwrap()[0].failure.salesforce_id, id(2));
        assert_eq!(other.failures(&filter, 1).await.unwrap().len(), 1);

        // A record that went through ends its own failure, not that of its identities; and the other way round.
        state.commit(Commit { resolved: vec![id(1), id(2)], ..commit(70) }).await.unwrap();
        let open: Vec<_> = other.failures(&filter, 10).await.unwrap();
        assert_eq!((open.len(), open[0].failure.salesforce_id), (1, id(2)));
        state.commit(Commit { resolved_associations: vec![id(1), id(2)], ..commit(80) }).await.unwrap();
        assert!(!other.failing(&one).await.unwrap());
        let all = FailureFilter { closed_too: true, ..filter.clone() };
        assert!(other.failures(&all, 10).await.unwrap().iter().all(|row| row.status == FailureStatus::Resolved));

        // Failing again is a new failure.
        state.commit(failed(90, vec![failure(1, "SL5001")])).await.unwrap();
        let row = &other.failures_of(&one, &[id(1), id(2)]).await.unwrap()[0];
        assert_eq!((row.attempts, row.first_seen, row.status), (1, at(90), FailureStatus::Open));
        let of_run = FailureFilter { run: Some(RunId::new(RUN)), ..FailureFilter::default() };
        assert_eq!(other.failures(&of_run, 10).await.unwrap().len(), 2, "a run keeps what it set aside");
    })
    .await;
}

#[tokio::test]
async fn a_record_and_its_associations_fail_apart() {
    on_every_store(|state, other| async move {
        let one = name("one");
        state.begin_run(&run_row(RUN, "one", 0)).await.unwrap();
        let failures = vec![failure(1, "SL5101"), failure(1, "SL5111"), failure(2, "SL5111")];
        state.commit(Commit { failures, basis: "b1".to_owned(), ..commit(0) }).await.unwrap();
        let filter = FailureFilter { pipeline: Some(one.clone()), ..FailureFilter::default() };
        let codes = async |filter: &FailureFilter| {
            let rows = other.failures(filter, 10).await.unwrap();
            rows.into_iter().map(|row| row.failure.reason.code).collect::<Vec<_>>()
        };
        assert_eq!(codes(&filter).await, ["SL5111", "SL5101", "SL5111"]);
        assert_eq!((other.open_failures(&one).await.unwrap(), other.open_record_failures(&one).await.unwrap()), (3, 1));
        assert_eq!(other.failures_of(&one, &[id(1)]).await.unwrap().len(), 2);
        let of_run = FailureFilter { run: Some(RunId::new(RUN)), ..FailureFilter::default() };
        assert_eq!(codes(&of_run).await.len(), 3);
        // Pages go on inside a record.
        let first = &other.failures(&filter, 1).await.unwrap()[0];
        let after = FailureFilter { after: Some(first.place()), ..filter.clone() };
        assert_eq!(codes(&after).await, ["SL5101", "SL5111"]);
        let records = FailureFilter { kind: Some(FailureKind::Record), ..filter.clone() };
        assert_eq!(codes(&records).await, ["SL5101"]);
        // Each ends by itself.
        state.commit(Commit { resolved_associations: vec![id(1)], ..commit(10) }).await.unwrap();
        assert_eq!(codes(&filter).await, ["SL5101", "SL5111"]);
        state.commit(Commit { resolved: vec![id(1)], ..commit(20) }).await.unwrap();
        assert_eq!(codes(&filter).await, ["SL5111"]);
    })
    .await;
}

#[tokio::test]
async fn a_failure_is_due_when_its_time_has_come_or_its_basis_is_another() {
    on_every_store(|state, other| async move {
        let one = name("one");
        let failed = Commit { failures: vec![failure(1, "SL5006")], basis: "b1".to_owned(), ..commit(0) };
        state.commit(failed.clone()).await.unwrap();
        let due = async |seconds: i64, basis: &str| {
            let filter = FailureFilter {
                pipeline: Some(one.clone()),
                due_at: Some(at(seconds)),
                basis: Some(basis.to_owned()),
                ..FailureFilter::default()
            };
            other.failures(&filter, 10).await.unwrap().len()
        };
        assert_eq!((due(1, "b1").await, due(1, "b2").await, due(300, "b1").await), (0, 1, 1));
        // Looked at in vain: the pauses grow, and it counts as no try.
        let pause = async |seconds: i64| {
            state.commit(Commit { postponed: vec![id(1), id(9)], ..commit(seconds) }).await.unwrap();
            let row = other.failures_of(&one, &[id(1)]).await.unwrap().remove(0);
            assert_eq!((row.attempts, row.last_seen, row.basis.as_deref()), (1, at(0), Some("b1")));
            row.retry_at.unwrap().duration_since(at(seconds)).as_secs()
        };
        assert_eq!((pause(300).await, pause(2_100).await, pause(9_000).await), (1_800, 7_200, 43_200));
        assert_eq!((pause(60_000).await, pause(9_000_000).await), (86_400, 86_400));
    })
    .await;
}

#[tokio::test]
async fn a_person_decides_about_failures() {
    on_every_store(|state, _| async move {
        let one = name("one");
        let failures = vec![failure(1, "SL5001"), failure(2, "SL5001")];
        state.commit(Commit { failures: failures.clone(), ..commit(0) }).await.unwrap();
        let only = |number| FailureFilter {
            pipeline: Some(one.clone()),
            salesforce_id: Some(id(number)),
            ..FailureFilter::default()
        };
        assert_eq!(state.mark_failures(&only(1), FailureMark::Dismiss).await.unwrap(), 1);
        assert_eq!(state.mark_failures(&only(2), FailureMark::Retry).await.unwrap(), 1);
        assert_eq!(state.mark_failures(&only(3), FailureMark::Retry).await.unwrap(), 0);
        let due = FailureFilter { pipeline: Some(one.clone()), due_at: Some(at(0)), ..FailureFilter::default() };
        let rows = state.failures(&due, 10).await.unwrap();
        assert_eq!((rows.len(), rows[0].failure.salesforce_id), (1, id(2)));
        // The same reason again does not wake a dismissed one; another one does.
        state.commit(Commit { failures, ..commit(10) }).await.unwrap();
        let status = async |number| state.failures_of(&one, &[id(number)]).await.unwrap()[0].status;
        assert_eq!((status(1).await, status(2).await), (FailureStatus::Dismissed, FailureStatus::Open));
        assert!(state.failing(&one).await.unwrap() && state.open_failures(&one).await.unwrap() == 1);
        let identities = vec![failure(3, &format!("{ASSOCIATION_FAILURES}0"))];
        state.commit(Commit { failures: identities, ..commit(15) }).await.unwrap();
        let open = (state.open_failures(&one).await.unwrap(), state.open_record_failures(&one).await.unwrap());
        assert_eq!(open, (2, 1));
        state.commit(Commit { failures: vec![failure(1, "SL5002")], ..commit(20) }).await.unwrap();
        assert_eq!(status(1).await, FailureStatus::Open);
    })
    .await;
}

#[tokio::test]
async fn runs_are_kept_newest_first_and_the_dead_are_told() {
    on_every_store(|state, other| async move {
        let runs = [RUN, "01J00000000000000000000002", "01J00000000000000000000003"];
        state.begin_run(&run_row(runs[0], "one", 0)).await.unwrap();
        state.commit(commit(1)).await.unwrap();
        assert_eq!(other.run(runs[0]).await.unwrap().unwrap().tally.read, 5, "a run's numbers are saved as it goes");
        state.begin_run(&run_row(runs[1], "two", 1)).await.unwrap();
        state.begin_run(&run_row(runs[2], "one", 2)).await.unwrap();
        let tally = Tally { created: 3, ..Tally::default() };
        let ended = RunRow {
            status: RunStatus::Paused,
            ended: Some(at(9)),
            error: Some("day".into()),
            tally,
            ..run_row(runs[2], "one", 2)
        };
        state.end_run(&ended).await.unwrap();
        let all = other.runs(None, 10).await.unwrap();
        assert_eq!(all.iter().map(|run| run.id.as_str()).collect::<Vec<_>>(), [runs[2], runs[1], runs[0]]);
        assert_eq!(all[0], ended);
        assert_eq!((all[1].status, all[2].status), (RunStatus::Running, RunStatus::Interrupted));
        assert_eq!(other.runs(Some(&name("one")), 1).await.unwrap().len(), 1);
        assert_eq!(other.run("0003").await.unwrap().map(|run| run.id), Some(RunId::new(runs[2])));
        assert!(other.run("01J0000").await.unwrap().is_none(), "ambiguous");
    })
    .await;
}

#[tokio::test]
async fn what_was_sent_is_in_doubt_until_its_record_is_accounted_for() {
    on_every_store(|store, other| async move {
        let one = name("one");
        let call = |number: u32, intent: Intent| Unconfirmed {
            salesforce_id: id(number),
            match_property: "salesforce_id".into(),
            intent,
        };
        assert!(!store.has_unconfirmed(&one).await.unwrap(), "nothing was sent yet");
        let calls = [call(1, Intent::Write), call(2, Intent::ArchiveDeleted), call(3, Intent::Write)];
        store.note_calls(&one, calls.to_vec()).await.unwrap();
        assert!(other.has_unconfirmed(&one).await.unwrap() && !other.has_unconfirmed(&name("other")).await.unwrap());
        // The earlier call is the one to be accounted for.
        store.note_calls(&one, vec![call(2, Intent::Write)]).await.unwrap();
        assert_eq!(other.unconfirmed(&one, &[id(2), id(9)]).await.unwrap(), [calls[1].clone()]);
        let in_doubt = |due: Option<Timestamp>, after: Option<SalesforceId>| {
            let (other, one) = (Arc::clone(&other), one.clone());
            async move { other.in_doubt(&one, due, after, 2).await.unwrap() }
        };
        assert_eq!(in_doubt(None, None).await, [id(1), id(2)]);
        assert_eq!(in_doubt(None, Some(id(2))).await, [id(3)]);
        let identified = Commit { identities: vec![identity(1, Membership::Live, 1)], ..commit(7) };
        store.commit(identified.clone()).await.unwrap();
        assert_eq!(other.identity_counts(&one, MappingVersion([1; 8])).await.unwrap().in_doubt, 2);
        let failed = Commit { failures: vec![failure(3, "SL5120")], ..commit(8) };
        store.commit(failed.clone()).await.unwrap();
        assert_eq!(in_doubt(Some(at(9)), None).await, [id(1), id(2)], "what failed waits for its next try");
        assert_eq!(in_doubt(Some(at(10_000)), Some(id(2))).await, [id(3)]);
        let accounted = Commit { accounted: vec![id(1), id(2), id(3)], ..commit(9) };
        store.commit(accounted.clone()).await.unwrap();
        assert!(!other.has_unconfirmed(&one).await.unwrap());
    })
    .await;
}

#[tokio::test]
async fn one_lease_for_each_pipeline_until_it_is_dropped() {
    on_every_store(|state, other| async move {
        let lease = state.lease(&name("one"), "syncline import").await.unwrap();
        let held = other.lease(&name("one"), "syncline sync").await.err().unwrap();
        assert!(matches!(&held, StateError::Held { pipeline, .. } if *pipeline == name("one")), "{held}");
        assert_eq!(held.code(), "SL6004");
        let second = other.lease(&name("two"), "syncline sync").await.unwrap();
        drop(lease);
        let again = other.lease(&name("one"), "syncline sync").await.unwrap();
        drop((second, again));
        state.lease(&name("two"), "syncline import").await.unwrap();
    })
    .await;
}

#[tokio::test]
async fn notes_and_bindings() {
    on_every_store(|state, other| async move {
        state.set_note("key", "text ü").await.unwrap();
        assert_eq!(other.note("key").await.unwrap().as_deref(), Some("text ü"));
        let keys = ["none", "key", "key"].map(str::to_owned);
        let known = Some("text ü".to_owned());
        assert_eq!(other.notes(&keys).await.unwrap(), [None, known.clone(), known]);
        state.set_note("key", "").await.unwrap();
        assert_eq!(other.note("key").await.unwrap(), None);
        state.bind("hubspot:main", "portal 1").await.unwrap();
        other.bind("hubspot:main", "portal 1").await.unwrap();
        other.bind("hubspot:second", "portal 2").await.unwrap();
        let foreign = other.bind("hubspot:main", "portal 2").await.unwrap_err();
        assert!(matches!(&foreign, StateError::Foreign { found, expected, .. } if found == "portal 1" && expected == "portal 2"), "{foreign}");
    })
    .await;
}

#[tokio::test]
async fn a_directory_is_replaced_by_a_finished_draft_and_holds_doubles() {
    on_every_store(|state, other| async move {
        let entry = |number: u32, hubspot: &str| (id(number), HubspotId::new(hubspot));
        let listing = Listing { at: at(5), pages: 2 };
        let draft = format!("companies#{RUN}");
        state.add(&draft, &[entry(1, "10"), entry(2, "20")]).await.unwrap();
        assert_eq!(other.filled("companies").await.unwrap(), None, "not before its end");
        assert!(other.find("companies", &[id(1)]).await.unwrap().is_empty(), "a draft is apart");
        state.add(&draft, &[entry(2, "21"), entry(2, "21")]).await.unwrap();
        state.publish(&draft, "companies", listing).await.unwrap();
        assert_eq!(other.filled("companies").await.unwrap(), Some(listing));
        let found = other.find("companies", &[id(1), id(2), id(3)]).await.unwrap();
        let mut doubles = found[&id(2)].clone();
        doubles.sort();
        assert_eq!(
            (found.len(), found[&id(1)].len(), doubles),
            (2, 1, vec![HubspotId::new("20"), HubspotId::new("21")])
        );
        assert!(other.find("contacts", &[id(1)]).await.unwrap().is_empty());
        state.add(&draft, &[entry(4, "40")]).await.unwrap();
        state.discard(&draft).await.unwrap();
        state.add(&draft, &[entry(3, "30")]).await.unwrap();
        state.publish(&draft, "companies", listing).await.unwrap();
        let found = other.find("companies", &[id(1), id(3), id(4)]).await.unwrap();
        assert!(found.len() == 1 && found.contains_key(&id(3)), "{found:?}");
    })
    .await;
}

#[tokio::test]
async fn one_lists_for_a_directory_while_the_others_wait() {
    on_every_store(|state, _| async move {
        let turn = state.turn("companies").await;
        let other = state.turn("contacts").await;
        let second = state.turn("companies");
        tokio::pin!(second);
        let waiting = tokio::time::timeout(std::time::Duration::from_millis(20), &mut second).await;
        assert!(waiting.is_err(), "the first one is still listing");
        drop(turn);
        drop((second.await, other));
    })
    .await;
}

#[tokio::test]
async fn many_records_at_once() {
    on_every_store(|state, other| async move {
        let identities: Vec<Identity> = (0..3_000).map(|number| identity(number, Membership::Live, 1)).collect();
        let ids: Vec<SalesforceId> = identities.iter().map(|identity| identity.salesforce_id).collect();
        state.commit(Commit { identities, ..commit(1) }).await.unwrap();
        assert_eq!(other.identities(&name("one"), &ids).await.unwrap().len(), 3_000);
    })
    .await;
}

#[tokio::test]
async fn a_state_of_the_first_version_is_brought_up_to_date() {
    let folder = tempfile::tempdir().unwrap();
    let path = folder.path().join("state.db");
    let first = rusqlite::Connection::open(&path).unwrap();
    first.execute_batch(include_str!("../../src/state/migrations/0001_initial.sql")).unwrap();
    let rows = format!(
        "PRAGMA application_id = {}; PRAGMA user_version = 1;
         INSERT INTO pipelines (id, name, watermark) VALUES (1, 'one', 1790000005000);
         INSERT INTO links VALUES (1, '{}', '91', x'{}', x'{}', 'live', 1790000001000, '{RUN}');
         INSERT INTO associations (pipeline, salesforce_id, key, wanted, made_target, made_from, made_to, made_standing) VALUES
             (1, '{own}', 'Account__c#billing', '{other}', '{other}', '91', '500', 'ours'), (1, '{own}', 'Ship__c', '{other}', '{other}', '91', '501', 'theirs'),
             (1, '{own}', 'Dropped__c', NULL, '{other}', '91', '502', 'ours');
         INSERT INTO imports VALUES (1, 1790000002000, NULL, 3, 9);
         INSERT INTO runs VALUES ('{RUN}', 1, 'import', 'interrupted', 1790000002000, NULL, '{{}}', NULL);",
        0x5359_4e4c,
        id(1),
        "01".repeat(16),
        "01".repeat(8),
        own = id(1),
        other = id(50),
    );
    first
        .execute_batch(&rows.replace("'{}'", &format!("'{}'", serde_json::to_string(&Tally::default()).unwrap())))
        .unwrap();
    drop(first);
    let state = SqliteState::open(&path, &clock()).unwrap();
    let one = name("one");
    let before = state.identities(&one, &[id(1)]).await.unwrap();
    assert_eq!(before[&id(1)], Identity { match_property: "".into(), ..identity(1, Membership::Live, 1) });
    // The first run of the new version tells what the identities of the old one were named by, once.
    state.remember_match(&one, "salesforce_id").await.unwrap();
    state.remember_match(&one, "another").await.unwrap();
    assert_eq!(&*state.identities(&one, &[id(1)]).await.unwrap()[&id(1)].match_property, "salesforce_id");
    let mark = state.stored_watermark(&one).await.unwrap().unwrap();
    assert_eq!((mark.watermark, mark.set_at, mark.first_run), (Watermark(at(5)), None, Some(at(2))));
    assert_eq!(state.cursor(&one).await.unwrap().unwrap().began_at, None);
    assert!(!state.has_unconfirmed(&one).await.unwrap());
    // What was made of associations is noted with the two records, once the pipeline tells what its keys mean.
    let label = LabelId { category: "USER_DEFINED".into(), type_id: 91 };
    let kept = |text: &str, label: Option<&LabelId>| KeptAssociation {
        key: key(text),
        label: label.cloned(),
        connection: "hubspot".into(),
        from_object: "2-1".into(),
        to_object: "0-2".into(),
    };
    let kept = [kept("Account__c#billing", Some(&label)), kept("Ship__c", None)];
    state.keep_associations(&one, &kept).await.unwrap();
    let known = state.associations(&one, &[id(1)]).await.unwrap();
    assert_eq!(known.len(), 2, "what the definition has dropped is forgotten");
    let from = HubspotId::new("91");
    for (association, to) in kept.iter().zip(["500", "501"]) {
        let found = known.iter().find(|found| found.key == association.key).unwrap();
        let asked = Asked { target: id(50), label: association.label.clone() };
        assert_eq!((found.wanted.as_ref(), found.recheck), (Some(&asked), true), "HubSpot is asked");
        assert_eq!(found.settled.as_ref().unwrap().asked, asked);
        let pair = association.pair(&from, &HubspotId::new(to));
        let owned = state.owned_types(&[pair]).await.unwrap();
        let ours = [OwnedType { pair, label: None }, OwnedType { pair, label: Some((from.clone(), label.clone())) }];
        assert_eq!(owned, ours[..if to == "500" { 2 } else { 0 }]);
        assert_eq!(state.pair_requests(&[pair]).await.unwrap().len(), 1);
    }
    // An identity keeps the property that it was written under, whatever the pipeline's is.
    let moved = Identity { match_property: "another".into(), ..identity(2, Membership::Live, 1) };
    state.commit(Commit { identities: vec![moved.clone()], ..commit(9) }).await.unwrap();
    let both = state.identities(&one, &[id(1), id(2)]).await.unwrap();
    assert_eq!((&*both[&id(1)].match_property, &both[&id(2)]), ("salesforce_id", &moved));
}

#[tokio::test]
async fn a_watermark_goes_back_only_where_it_is_corrected() {
    on_every_store(|store, other| async move {
        let one = name("one");
        let set = |to: i64, set_at: i64, watermark_corrected: bool| Commit {
            watermark: Some(Watermark(at(to))),
            watermark_set: Some(at(set_at)),
            watermark_corrected,
            ..commit(to)
        };
        for (new, expected) in [
            (set(10, 11, false), (10, 11)),
            (set(5, 12, false), (10, 11)),
            (set(20, 13, false), (20, 13)),
            (set(15, 16, true), (15, 16)),
        ] {
            store.commit(new.clone()).await.unwrap();
            let mark = other.stored_watermark(&one).await.unwrap().unwrap();
            assert_eq!((mark.watermark, mark.set_at), (Watermark(at(expected.0)), Some(at(expected.1))));
        }
    })
    .await;
}

/// Ids that begin in several ways, in no order.
fn scattered() -> Vec<SalesforceId> {
    let begins = ["a015g00001", "0015g00000", "a015g00000", "A015g00000", "a0A5g00000"];
    let ends = ["00002", "zzzzz", "0000a", "00000", "0000Z"];
    let ids = ends.iter().flat_map(|end| begins.iter().map(move |begin| format!("{begin}{end}")));
    ids.map(|id| id.parse().unwrap()).collect()
}

/// All that pages of a few give, one after the other.
async fn paged<T: Clone>(page: impl AsyncFn(Option<T>) -> Vec<T>) -> Vec<T> {
    let mut all: Vec<T> = Vec::new();
    loop {
        let more = page(all.last().cloned()).await;
        if more.is_empty() {
            return all;
        }
        all.extend(more);
    }
}

#[tokio::test]
async fn records_and_lookups_are_listed_in_the_order_of_their_ids() {
    on_every_store(|state, other| async move {
        let one = name("one");
        let ids = scattered();
        for (number, id) in (1..).zip(&ids) {
            let identity = Identity { salesforce_id: *id, ..identity(number, Membership::Live, 1) };
            let wanted = [key("Account__c"), key("Bill__c")].map(|key| (*id, key, Some(asked(50)))).to_vec();
            state.commit(Commit { identities: vec![identity], wanted, ..commit(1) }).await.unwrap();
        }
        let mut sorted = ids.clone();
        sorted.sort();
        let live = paged(async |after| other.live(&one, after, 3).await.unwrap()).await;
        assert_eq!(live, sorted);
        let stale = paged(async |after| other.stale(&one, MappingVersion([2; 8]), after, 1).await.unwrap()).await;
        assert_eq!(stale, sorted);
        // After one that is not there, of a beginning that is not there.
        let after: SalesforceId = "a015g00000zzzzy".parse().unwrap();
        let rest: Vec<SalesforceId> = sorted.iter().copied().filter(|id| *id > after).collect();
        assert_eq!(other.live(&one, Some(after), 99).await.unwrap(), rest);
        let after: SalesforceId = "a015g00000zzzzy".replace("a015g00000", "a010000000").parse().unwrap();
        let rest: Vec<SalesforceId> = sorted.iter().copied().filter(|id| *id > after).collect();
        assert_eq!(other.live(&one, Some(after), 99).await.unwrap(), rest);
        let place = |(association, _): (AssociationState, HubspotId)| (association.salesforce_id, association.key);
        let due = paged(async |after| {
            let found = other.due_associations(&one, None, after, 3).await.unwrap();
            found.into_iter().map(place).collect::<Vec<_>>()
        })
        .await;
        let expected: Vec<_> = sorted.iter().flat_map(|id| [(*id, key("Account__c")), (*id, key("Bill__c"))]).collect();
        assert_eq!(due, expected);
    })
    .await;
}

#[tokio::test]
async fn doubts_of_more_calls_than_are_ever_under_way_stay_one_by_one() {
    on_every_store(|store, other| async move {
        let one = name("one");
        let ids: Vec<SalesforceId> = scattered().into_iter().chain((0..300).map(id)).collect();
        let call = |id: &SalesforceId, intent: Intent| Unconfirmed {
            salesforce_id: *id,
            match_property: "salesforce_id".into(),
            intent,
        };
        for (number, part) in ids.chunks(4).enumerate() {
            let intents = [Intent::Write, Intent::ArchiveDeleted];
            let calls: Vec<Unconfirmed> =
                part.iter().enumerate().map(|(index, id)| call(id, intents[(number + index) % 2])).collect();
            store.note_calls(&one, calls.clone()).await.unwrap();
        }
        // What was noted first counts.
        let again: Vec<Unconfirmed> = ids.iter().map(|id| call(id, Intent::ArchiveLeft)).collect();
        store.note_calls(&one, again.clone()).await.unwrap();
        let mut sorted = ids.clone();
        sorted.sort();
        let listed = paged(async |after| other.in_doubt(&one, None, after, 7).await.unwrap()).await;
        assert_eq!(listed, sorted);
        assert_eq!(other.identity_counts(&one, MappingVersion([1; 8])).await.unwrap().in_doubt, ids.len() as u64);
        let found = other.unconfirmed(&one, &ids).await.unwrap();
        assert_eq!(found.len(), ids.len());
        assert!(found.iter().all(|call| call.intent != Intent::ArchiveLeft), "{found:?}");
        // Each is accounted for by itself, wherever it stands.
        let (done, open): (Vec<_>, Vec<_>) = ids.iter().copied().enumerate().partition(|(index, _)| index % 3 > 0);
        let accounted = done.into_iter().map(|(_, id)| id).collect();
        store.commit(Commit { accounted, ..commit(1) }).await.unwrap();
        let mut open: Vec<SalesforceId> = open.into_iter().map(|(_, id)| id).collect();
        open.sort();
        assert_eq!(other.in_doubt(&one, None, None, 999).await.unwrap(), open);
        store.commit(Commit { accounted: open, ..commit(2) }).await.unwrap();
        assert!(!other.has_unconfirmed(&one).await.unwrap());
    })
    .await;
}

#[tokio::test]
async fn what_led_to_and_from_a_record_that_came_back_as_another_is_looked_at() {
    on_every_store(|state, other| async move {
        let (one, two, account) = (name("one"), name("two"), key("Account__c"));
        // The first and the second point at the third, which points at the fourth.
        let settled = |number: u32, from: &str, target: u32, to: &str| {
            let settled = SettledPair {
                asked: asked(target),
                from: HubspotId::new(from),
                to_object: "2-1".into(),
                to: HubspotId::new(to),
            };
            (id(number), account.clone(), Some((pair_of(from, to), settled)))
        };
        let new = Commit {
            identities: (1..=4).map(|number| identity(number, Membership::Live, 1)).collect(),
            wanted: [(1, 3), (2, 3), (3, 4)].map(|(from, to)| (id(from), account.clone(), Some(asked(to)))).to_vec(),
            settled: vec![settled(1, "91", 3, "93"), settled(2, "92", 3, "93"), settled(3, "93", 4, "94")],
            ..commit(1)
        };
        state.commit(new.clone()).await.unwrap();
        let due = async || {
            let found = other.due_associations(&one, None, None, 10).await.unwrap();
            found.into_iter().map(|(association, _)| association.salesforce_id).collect::<Vec<_>>()
        };
        assert_eq!(due().await, []);
        // One of them points elsewhere by now.
        let away = Commit { wanted: vec![(id(2), account.clone(), Some(asked(50)))], ..commit(2) };
        state.commit(away.clone()).await.unwrap();
        state.commit(Commit { waiting: vec![(id(2), account.clone())], ..commit(2) }).await.unwrap();
        let again = Identity { hubspot_id: HubspotId::new("97"), ..identity(3, Membership::Live, 1) };
        let elsewhere = Commit { pipeline: two.clone(), identities: vec![again.clone()], ..commit(3) };
        state.commit(elsewhere.clone()).await.unwrap();
        assert_eq!(due().await, [id(2)], "it is no record of that pipeline");
        state.commit(Commit { identities: vec![again], ..commit(3) }).await.unwrap();
        assert_eq!((due().await, other.due_count(&one).await.unwrap()), (vec![id(1), id(2), id(3)], 3));
        let known = other.associations(&one, &[id(1), id(2), id(3)]).await.unwrap();
        let recheck =
            |number: u32| known.iter().find(|association| association.salesforce_id == id(number)).unwrap().recheck;
        assert_eq!((recheck(1), recheck(2), recheck(3)), (true, false, true));
        let association = known.iter().find(|association| association.salesforce_id == id(3)).unwrap();
        assert_eq!(association.settled.as_ref().unwrap().from.to_string(), "93", "it led from the record before");
    })
    .await;
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn whoever_was_answered_finds_what_was_written_whatever_else_is_written() {
    let folder = tempfile::tempdir().unwrap();
    let open = file(folder.path());
    let state = open();
    let write = |number: u32| {
        let state = Arc::clone(&state);
        async move {
            let one = name("one");
            for round in 0..20 {
                let number = number * 100 + round;
                let call = Unconfirmed {
                    salesforce_id: id(number),
                    match_property: "salesforce_id".into(),
                    intent: Intent::Write,
                };
                state.note_calls(&one, vec![call]).await.unwrap();
                assert_eq!(state.unconfirmed(&one, &[id(number)]).await.unwrap().len(), 1);
                let identities = vec![identity(number, Membership::Live, 1)];
                let accounted = vec![id(number)];
                state.commit(Commit { identities, accounted, ..commit(1) }).await.unwrap();
                assert_eq!(state.identities(&one, &[id(number)]).await.unwrap().len(), 1);
                assert!(state.unconfirmed(&one, &[id(number)]).await.unwrap().is_empty());
            }
        }
    };
    let writers: Vec<_> = (0..8).map(|number| tokio::spawn(write(number))).collect();
    for writer in writers {
        writer.await.unwrap();
    }
    let counts = open().identity_counts(&name("one"), MappingVersion([1; 8])).await.unwrap();
    assert_eq!((counts.live, counts.in_doubt), (160, 0));
}

/// Commits at random, about few records, so that they meet what stands in all ways.
fn random_commit(random: &mut fastrand::Rng, seconds: i64) -> Commit {
    let keys = [key("Account__c"), key("Project__c#owner")];
    let some = |random: &mut fastrand::Rng| {
        let most = [1, 2, 12, 60][random.usize(0..4)];
        random.usize(0..most)
    };
    let lookup = |random: &mut fastrand::Rng| (id(random.u32(0..24)), keys[random.usize(0..2)].clone());
    let label = |random: &mut fastrand::Rng| {
        random.bool().then(|| LabelId { category: "USER_DEFINED".into(), type_id: random.u64(91..93) })
    };
    let asked = |random: &mut fastrand::Rng| Asked { label: label(random), ..asked(50 + random.u32(0..3)) };
    let record = |random: &mut fastrand::Rng| HubspotId::new((90 + random.u32(0..24)).to_string());
    let pair = |random: &mut fastrand::Rng| {
        let (from, to) = (record(random), record(random));
        (PairKey::new("hubspot", ("2-1", &from), ("0-2", &to)), from, to)
    };
    let owned = |random: &mut fastrand::Rng| {
        let (pair, from, _) = pair(random);
        OwnedType { pair, label: label(random).map(|label| (from, label)) }
    };
    let settled = |random: &mut fastrand::Rng| {
        let ((id, key), asked, (pair, from, to)) = (lookup(random), asked(random), pair(random));
        let settled = SettledPair { asked, from, to_object: "0-2".into(), to };
        (id, key, random.bool().then_some((pair, settled)))
    };
    let known = |random: &mut fastrand::Rng| {
        let membership = [Membership::Live, Membership::Live, Membership::Left, Membership::Archived];
        let number = random.u32(0..24);
        let moved = if random.u8(0..8) == 0 { record(random) } else { HubspotId::new((90 + number).to_string()) };
        let mapping = random.u8(1..3);
        Identity { hubspot_id: moved, ..identity(number, membership[random.usize(0..4)], mapping) }
    };
    let wanted = |random: &mut fastrand::Rng| {
        let (id, key) = lookup(random);
        (id, key, (random.u8(0..4) > 0).then(|| asked(random)))
    };
    let mut new = commit(seconds);
    new.identities = (0..some(random)).map(|_| known(random)).collect();
    // Of several for one lookup the last one counts, as if the others had not been: so there is one.
    let by_lookup = (0..some(random)).map(|_| wanted(random)).map(|one| ((one.0, one.1.clone()), one));
    new.wanted = by_lookup.collect::<BTreeMap<_, _>>().into_values().collect();
    new.disowned = (0..some(random)).map(|_| owned(random)).collect();
    new.owned = (0..some(random)).map(|_| owned(random)).collect();
    new.settled = (0..some(random)).map(|_| settled(random)).collect();
    // What was carried out is mostly what was asked for.
    for (id, key, asked) in &new.wanted {
        if random.bool() {
            continue;
        }
        let (pair, from, to) = pair(random);
        let settled = asked.clone().map(|asked| (pair, SettledPair { asked, from, to_object: "0-2".into(), to }));
        new.settled.push((*id, key.clone(), settled));
    }
    for (id, key, settled) in &new.settled {
        if let Some((pair, settled)) = settled.clone().filter(|_| random.u8(0..3) == 0) {
            new.making.push((*id, key.clone(), (pair, settled)));
        }
    }
    // What is about to be carried out is mostly carried out by another commit.
    if random.bool() {
        new.settled.clear();
    }
    if random.u8(0..4) == 0 {
        new.rechecks = (0..some(random)).map(|_| lookup(random)).collect();
        new.waiting = (0..some(random)).map(|_| lookup(random)).collect();
    }
    new
}

/// The same commit in pieces of one thing each, in the order in which a commit is entered.
fn in_pieces(whole: Commit) -> Vec<Commit> {
    let Commit { identities, wanted, disowned, owned, making, settled, rechecks, waiting, at, .. } = whole.clone();
    let blank = || Commit { at, ..commit(0) };
    let mut pieces = Vec::new();
    pieces.extend(identities.into_iter().map(|one| Commit { identities: vec![one], ..blank() }));
    pieces.extend(wanted.into_iter().map(|one| Commit { wanted: vec![one], ..blank() }));
    pieces.extend(disowned.into_iter().map(|one| Commit { disowned: vec![one], ..blank() }));
    pieces.extend(owned.into_iter().map(|one| Commit { owned: vec![one], ..blank() }));
    pieces.extend(making.into_iter().map(|one| Commit { making: vec![one], ..blank() }));
    pieces.extend(settled.into_iter().map(|one| Commit { settled: vec![one], ..blank() }));
    pieces.extend(rechecks.into_iter().map(|one| Commit { rechecks: vec![one], ..blank() }));
    pieces.extend(waiting.into_iter().map(|one| Commit { waiting: vec![one], ..blank() }));
    pieces
}

/// All that is known of the records of [`random_commit`].
async fn all_known(state: &dyn Store) -> Vec<String> {
    let one = name("one");
    let ids: Vec<SalesforceId> = (0..24).map(id).collect();
    let mut identities: Vec<Identity> = state.identities(&one, &ids).await.unwrap().into_values().collect();
    identities.sort_by_key(|identity| identity.salesforce_id);
    let mut associations = state.associations(&one, &ids).await.unwrap();
    associations.sort_by_key(|association| (association.salesforce_id, association.key.clone()));
    let ends = (90..114).map(|number| HubspotId::new(number.to_string()));
    let pairs =
        ends.clone().flat_map(|from| ends.clone().map(move |to| PairKey::new("hubspot", ("2-1", &from), ("0-2", &to))));
    let pairs: Vec<PairKey> = pairs.collect();
    let mut requests = state.pair_requests(&pairs).await.unwrap();
    requests.sort_by_key(|request| (request.pair, request.salesforce_id, request.key.clone()));
    requests.dedup();
    let mut owned = state.owned_types(&pairs).await.unwrap();
    owned.sort();
    let mut due = Vec::new();
    for seconds in [None, Some(40), Some(400), Some(4_000)] {
        due.push(state.due_associations(&one, seconds.map(at), None, 100).await.unwrap());
        due.push(state.due_associations(&one, seconds.map(at), Some((id(9), key("Account__c"))), 9).await.unwrap());
    }
    vec![
        format!("{identities:#?}"),
        format!("{:?}", state.identity_counts(&one, MappingVersion([1; 8])).await.unwrap()),
        format!("{associations:#?}"),
        format!("{:#?}", asks(state, &one, &ids).await),
        format!("{due:#?} {}", state.due_count(&one).await.unwrap()),
        format!("{:#?}", state.settled_associations(&one, None, 100).await.unwrap()),
        format!("{requests:#?}"),
        format!("{owned:#?}"),
    ]
}

#[tokio::test]
async fn a_commit_of_many_things_is_what_commits_of_one_thing_each_are() {
    for make in STORES {
        for seed in 0..10 {
            let folder = tempfile::tempdir().unwrap();
            let (whole, pieces) = (make(folder.path())(), SqliteState::in_memory(&clock()).unwrap());
            // Associations are in the order in which their keys came.
            for key in ["Account__c", "Project__c#owner"].map(key) {
                let first = Commit { wanted: vec![(id(0), key, Some(asked(50)))], ..commit(0) };
                pieces.commit(first.clone()).await.unwrap();
                whole.commit(first).await.unwrap();
            }
            let mut random = fastrand::Rng::with_seed(seed);
            for round in 0..8 {
                let commit_at = commit;
                let commit = random_commit(&mut random, 10 * round);
                for piece in in_pieces(commit.clone()) {
                    pieces.commit(piece).await.unwrap();
                }
                whole.commit(commit).await.unwrap();
                let known = pieces.associations(&name("one"), &(0..24).map(id).collect::<Vec<_>>()).await.unwrap();
                let stands =
                    known.into_iter().filter_map(|known| Some((known.salesforce_id, known.key, known.settled?.asked)));
                let confirmed: Vec<_> = stands.filter(|_| random.u8(0..3) == 0).collect();
                for one in confirmed.clone() {
                    pieces.commit(Commit { confirmed: vec![one], ..commit_at(10 * round + 5) }).await.unwrap();
                }
                whole.commit(Commit { confirmed, ..commit_at(10 * round + 5) }).await.unwrap();
                for (known, expected) in all_known(&*whole).await.iter().zip(all_known(&pieces).await) {
                    assert_eq!(*known, expected, "seed {seed}, round {round}");
                }
            }
        }
    }
}
