//! Blocks hold what a map holds, in the rows that they should take.

use std::collections::BTreeMap;

use rusqlite::{Connection, StatementStatus};

use super::*;
use crate::state::rows;
use crate::sys::rng::Rng;

/// Two numbers by which it is found, and two more.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
struct Four([i64; 4]);

impl Entry<2> for Four {
    const BEGIN: Self = Self([0; 4]);

    fn key(&self) -> [i64; 2] {
        [self.0[0], self.0[1]]
    }

    fn write(&self, before: &Self, pen: &mut Pen) {
        pen.number(self.0[0], before.0[0]);
        pen.number(self.0[1], before.0[1]);
        pen.number(self.0[2], before.0[2]);
        pen.bytes(&self.0[3].to_be_bytes());
    }

    fn read(before: &Self, lens: &mut Lens<'_>) -> Option<Self> {
        let [one, two, three, _] = before.0;
        let (one, two, three) = (lens.number(one)?, lens.number(two)?, lens.number(three)?);
        Some(Self([one, two, three, i64::from_be_bytes(lens.bytes()?)]))
    }
}

static FOURS: Blocks<Four, 2> = Blocks::new("fours");

fn database() -> Database {
    let connection = Connection::open_in_memory().unwrap();
    let table = "CREATE TABLE fours (first BLOB PRIMARY KEY NOT NULL, entries BLOB NOT NULL) STRICT";
    connection.execute_batch(table).unwrap();
    Database::new(connection)
}

fn all(database: &Database) -> Vec<Four> {
    let mut all = Vec::new();
    FOURS
        .all(database, |four| {
            all.push(four);
            Ok(())
        })
        .unwrap();
    all
}

fn sizes(database: &Database) -> Vec<usize> {
    let mut statement = database.prepare("SELECT length(entries) FROM fours ORDER BY first").unwrap();
    let size = |row: &Row<'_>| rows::count(row, 0).map(|size| size as usize);
    statement.query_map([], size).unwrap().collect::<rusqlite::Result<_>>().unwrap()
}

/// What changes some keys to; none takes an entry away.
type Changes = BTreeMap<[i64; 2], Option<[i64; 2]>>;

fn change(database: &Database, changes: &Changes, before: &mut BTreeMap<[i64; 2], [i64; 2]>) {
    let wanted: Vec<_> = changes.iter().collect();
    let becomes = |(key, now): &(&[i64; 2], &Option<[i64; 2]>), known: Option<Four>| {
        let told = known.map(|Four([.., three, four])| [three, four]);
        assert_eq!(told, before.get(*key).copied(), "of {key:?}");
        Ok(now.map(|[three, four]| Four([key[0], key[1], three, four])))
    };
    FOURS.change(database, &wanted, |(key, _)| **key, becomes).unwrap();
    for (key, now) in changes {
        match now {
            Some(now) => before.insert(*key, *now),
            None => before.remove(key),
        };
    }
}

/// Mostly one of those that lie together.
fn number(rng: &Rng) -> i64 {
    const ODD: [i64; 7] = [i64::MIN, i64::MIN + 1, -1, 0, 1, i64::MAX - 1, i64::MAX];
    match rng.below(10) {
        0 => rng.below(u64::MAX).cast_signed(),
        1 => ODD[rng.below(7) as usize],
        _ => rng.below(420) as i64 - 20,
    }
}

fn changes(rng: &Rng, move_by: i64) -> Changes {
    let change = |_| {
        let one = number(rng);
        let key = [one.checked_add(move_by).unwrap_or(one), rng.below(4) as i64 - 1];
        (key, (rng.below(5) > 0).then(|| [number(rng), number(rng)]))
    };
    (0..rng.below(200)).map(change).collect()
}

fn told<T: Copy>(database: &Database, wanted: &[T], span: impl Fn(&T) -> ([i64; 2], [i64; 2])) -> Vec<(T, [i64; 2])> {
    let mut found = Vec::new();
    let tell = |wanted: &T, four: Four| {
        found.push((*wanted, four.key()));
        Ok(())
    };
    FOURS.each_of(database, wanted, span, tell).unwrap();
    found
}

/// Whatever is changed in whatever order.
#[test]
fn blocks_hold_what_a_map_holds() {
    for seed in 0..60 {
        let rng = Rng::seeded(seed);
        let database = database();
        let mut expected = BTreeMap::new();
        for _ in 0..1 + rng.below(12) {
            // Also behind all that is there, as an import does.
            let behind = expected.keys().map(|[one, _]: &[i64; 2]| *one).filter(|one| *one < 1 << 40).max();
            let move_by = if rng.below(2) == 0 { behind.unwrap_or_default() } else { 0 };
            change(&database, &changes(&rng, move_by), &mut expected);
            let found: BTreeMap<[i64; 2], [i64; 2]> =
                all(&database).into_iter().map(|four| (four.key(), [four.0[2], four.0[3]])).collect();
            assert_eq!(found, expected, "seed {seed}");
            assert!(sizes(&database).into_iter().all(|size| (1..BYTES_MAX + 64).contains(&size)), "seed {seed}");
        }
        for key in expected.keys().take(20) {
            assert_eq!(FOURS.get(&database, *key).unwrap().map(|four| four.key()), Some(*key), "seed {seed}");
        }
        // Spans that share no key, in order.
        let mut ends: Vec<i64> = (0..2 * rng.below(20)).map(|_| number(&rng)).collect();
        ends.sort_unstable();
        ends.dedup();
        let spans: Vec<(i64, i64)> = ends.as_chunks::<2>().0.iter().map(|[first, last]| (*first, *last)).collect();
        let found = told(&database, &spans, |(first, last)| ([*first, 0], [*last, 1]));
        let of = |span: &(i64, i64)| {
            let keys = expected.range([span.0, 0]..=[span.1, 1]);
            keys.map(|(key, _)| (*span, *key)).collect::<Vec<_>>()
        };
        assert_eq!(found, spans.iter().flat_map(of).collect::<Vec<_>>(), "seed {seed}");
        // Single ones, close together and far apart, and such as are not there.
        for step in [1, 2, 7, 50, 400] {
            let keys = expected.keys().flat_map(|[one, two]| [[*one, *two], [*one, *two + 1]]);
            let mut keys: Vec<[i64; 2]> = keys.step_by(step).collect();
            keys.dedup();
            let there = keys.iter().filter(|key| expected.contains_key(*key)).map(|key| (*key, *key));
            assert_eq!(told(&database, &keys, |key| (*key, *key)), there.collect::<Vec<_>>(), "seed {seed}");
        }
    }
}

#[test]
fn what_comes_in_order_fills_blocks_up() {
    let database = database();
    let mut expected = BTreeMap::new();
    for batch in 0..40 {
        let round: Changes = (0..100).map(|row| ([3 * (100 * batch + row), 0], Some([row, row]))).collect();
        change(&database, &round, &mut expected);
    }
    let sizes = sizes(&database);
    let (_, full) = sizes.split_last().unwrap();
    assert!(full.len() > 30 && full.iter().all(|size| *size >= BYTES_MAX), "{sizes:?}");
    // Each block is read once, and of those in between none.
    let keys: Vec<[i64; 2]> = expected.keys().copied().collect();
    let far_apart: Vec<[i64; 2]> = keys.iter().step_by(400).copied().collect();
    for (keys, blocks) in [(keys, sizes.len()), (far_apart, 10)] {
        database.unpacked.take();
        assert_eq!(told(&database, &keys, |key| (*key, *key)).len(), keys.len());
        assert_eq!(database.unpacked.take(), blocks);
    }
}

#[test]
fn what_comes_in_between_parts_a_block_evenly() {
    let database = database();
    let mut expected = BTreeMap::new();
    let mut put = |rows: std::ops::Range<i64>, step: i64| {
        let round: Changes = rows.map(|row| ([step * row, 0], Some([row, row]))).collect();
        change(&database, &round, &mut expected);
        sizes(&database)
    };
    let before = put(0..2_000, 1_000);
    let split = put(1..40, 25);
    assert_eq!(split.len(), before.len() + 1, "{split:?}");
    assert!(split[..2].iter().all(|size| *size > BYTES_MAX / 3), "{split:?}");
}

#[test]
fn what_comes_twice_or_not_in_order_changes_nothing() {
    let database = database();
    for keys in [[[1, 0], [1, 0]], [[2, 0], [1, 0]]] {
        let becomes = |key: &[i64; 2], _| Ok(Some(Four([key[0], key[1], 1, 1])));
        FOURS.change(&database, &keys, |key| *key, becomes).unwrap_err();
    }
    FOURS.change(&database, &[[1, 0]], |key| *key, |_, _| Ok(Some(Four([2, 0, 1, 1])))).unwrap_err();
    assert!(all(&database).is_empty());
}

#[test]
fn an_entry_that_is_not_found_by_its_key_is_told() {
    let database = database();
    let mut expected = BTreeMap::new();
    let round: Changes = (0..500).map(|row| ([row, 0], Some([row, row]))).collect();
    change(&database, &round, &mut expected);
    FOURS.check(&database, |_| {}).unwrap();
    let second = "SELECT first FROM fours ORDER BY first LIMIT 1 OFFSET 1";
    let second: Vec<u8> = database.query_row(second, [], |row| row.get(0)).unwrap();
    for (by, wrong) in [(-1, "two blocks"), (1, "before its block")] {
        let mut moved = second.clone();
        moved[7] = moved[7].wrapping_add_signed(by);
        database.execute("UPDATE fours SET first = ?2 WHERE first = ?1", [&second, &moved]).unwrap();
        assert!(FOURS.check(&database, |_| {}).unwrap_err().to_string().contains(wrong));
        database.execute("UPDATE fours SET first = ?2 WHERE first = ?1", [&moved, &second]).unwrap();
    }
}

#[test]
fn what_is_cut_short_or_out_of_order_is_an_error() {
    let mut pen = Pen::default();
    let (one, two) = (Four([1, 2, 3, 4]), Four([1, 5, 3, 4]));
    one.write(&Four::BEGIN, &mut pen);
    let whole = pen.written();
    two.write(&one, &mut pen);
    let bytes = pen.into_bytes();
    let read = |bytes: &[u8]| Unpacked::<Four, 2>::of(bytes).collect::<rusqlite::Result<Vec<_>>>();
    assert_eq!(read(&bytes).unwrap(), [one, two]);
    for cut in (0..bytes.len()).filter(|cut| ![0, whole].contains(cut)) {
        read(&bytes[..cut]).unwrap_err();
    }
    let mut pen = Pen::default();
    two.write(&Four::BEGIN, &mut pen);
    one.write(&two, &mut pen);
    let bytes = pen.into_bytes();
    read(&bytes).unwrap_err();
}

#[test]
fn no_statement_is_prepared_anew_for_each_value() {
    let database = database();
    let mut expected = BTreeMap::new();
    let round: Changes = (0..500).map(|row| ([row, 0], Some([row, row]))).collect();
    change(&database, &round, &mut expected);
    for sql in database.prepared.borrow().iter().filter(|sql| sql.starts_with("SELECT")) {
        let mut statement = database.prepare(sql).unwrap();
        for value in 1..4 {
            for parameter in 1..=statement.parameter_count() {
                statement.raw_bind_parameter(parameter, value).unwrap();
            }
            let mut rows = statement.raw_query();
            while rows.next().unwrap().is_some() {}
        }
        assert_eq!(statement.get_status(StatementStatus::RePrepare), 0, "{sql}");
    }
}
