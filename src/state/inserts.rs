//! Rows that are written many at a time: where each takes a statement of its own, half of the work is that of the statements. What rows
//! that lie side by side have in common is bound once for all of them.

use std::fmt::Write as _;
use std::sync::OnceLock;

use rusqlite::{Statement, ToSql};

use super::database::Database;

/// Rows of one statement: the largest number that is not above what is left. More of them cost as much a row as these.
const SIZES: [usize; 3] = [32, 4, 1];

/// Where rows go to.
///
/// With `OR FAIL`, a row that is refused leaves those before it, as the transaction is rolled back with it in any case: a statement that
/// undoes its own rows copies each page first.
pub struct Insert {
    into: &'static str,
    row: &'static str,
    conflict: &'static str,
    /// The statements, for each of [`SIZES`]: where all is bound for each row, and where what rows have in common is bound once.
    texts: OnceLock<[[String; SIZES.len()]; 2]>,
}

/// Rows that are alike in what they have in common, at least and on average: statements for fewer cost more than what is bound twice.
const ALIKE_MIN: usize = 8;

/// Takes the values of rows, one after the other.
pub struct Values<'a, 'b> {
    statement: &'a mut Statement<'b>,
    next: usize,
}

impl Values<'_, '_> {
    /// The next value.
    pub fn put(&mut self, value: impl ToSql) -> rusqlite::Result<()> {
        self.next += 1;
        self.statement.raw_bind_parameter(self.next, value)
    }
}

impl Insert {
    /// A statement up to the rows, one letter for each value of a row, and what follows the rows. The letter is `o` for a value of the
    /// row's own and `c` for one that rows mostly have in common; the values are in the order of the table, so that none is moved.
    pub const fn new(into: &'static str, row: &'static str, conflict: &'static str) -> Self {
        Self { into, row, conflict, texts: OnceLock::new() }
    }

    /// Writes rows in the order given. Where that is the order of the table, they fill its pages one after the other.
    pub fn rows<T, const COMMON: usize>(
        &self,
        database: &Database,
        rows: &[T],
        common: impl Fn(&T) -> [Option<i64>; COMMON],
        values: impl Fn(&mut Values<'_, '_>, &T) -> rusqlite::Result<()>,
    ) -> rusqlite::Result<()> {
        let is_alike = |one: &T, other: &T| common(one) == common(other);
        if rows.chunk_by(is_alike).count() * ALIKE_MIN > rows.len() {
            return self.write(database, rows, false, &common, &values);
        }
        rows.chunk_by(is_alike).try_for_each(|alike| self.write(database, alike, true, &common, &values))
    }

    /// Writes rows; `is_common` where they have that in common.
    fn write<T, const COMMON: usize>(
        &self,
        database: &Database,
        rows: &[T],
        is_common: bool,
        common: &impl Fn(&T) -> [Option<i64>; COMMON],
        values: &impl Fn(&mut Values<'_, '_>, &T) -> rusqlite::Result<()>,
    ) -> rusqlite::Result<()> {
        let mut rest = rows;
        for (size, text) in SIZES.into_iter().zip(self.texts(is_common)) {
            if rest.len() < size {
                continue;
            }
            let mut statement = database.prepare_cached(text)?;
            let mut bound = Values { statement: &mut statement, next: 0 };
            if is_common {
                common(&rest[0]).iter().try_for_each(|value| bound.put(value))?;
            }
            let first = bound.next;
            while let Some((part, more)) = rest.split_at_checked(size) {
                rest = more;
                let mut bound = Values { statement: &mut statement, next: first };
                for row in part {
                    if !is_common {
                        common(row).iter().try_for_each(|value| bound.put(value))?;
                    }
                    values(&mut bound, row)?;
                }
                statement.raw_execute()?;
            }
        }
        Ok(())
    }

    fn texts(&self, is_common: bool) -> &[String; SIZES.len()] {
        let texts =
            self.texts.get_or_init(|| [false, true].map(|is_common| SIZES.map(|size| self.text(size, is_common))));
        &texts[usize::from(is_common)]
    }

    /// What rows have in common has the first numbers: of the statement, or of each row.
    fn text(&self, size: usize, is_common: bool) -> String {
        let in_common = self.row.bytes().filter(|letter| *letter == b'c').count();
        let mut sql = self.into.to_owned();
        let mut last = if is_common { in_common } else { 0 };
        for number in 0..size {
            sql.push_str(if number == 0 { " (" } else { ",(" });
            let (mut common, mut own) = if is_common { (0, last) } else { (last, last + in_common) };
            for (place, letter) in self.row.bytes().enumerate() {
                let next = if letter == b'c' { &mut common } else { &mut own };
                *next += 1;
                // Writing to a text cannot fail.
                let _ = write!(sql, "{}?{next}", if place == 0 { "" } else { "," });
            }
            last = own;
            sql.push(')');
        }
        sql.push(' ');
        sql.push_str(self.conflict);
        sql
    }
}

/// Rows, each with its number.
pub type Numbered<T> = Vec<(i64, T)>;

/// Parts rows, which are in order, into the first of each number and those that follow one of the same number.
pub fn each_once<T>(rows: Numbered<T>) -> (Numbered<T>, Numbered<T>) {
    if rows.windows(2).all(|pair| pair[0].0 < pair[1].0) {
        return (rows, Vec::new());
    }
    let mut last = None;
    rows.into_iter().partition(|(number, _)| last.replace(*number) != Some(*number))
}

#[cfg(test)]
mod tests {
    use rusqlite::Connection;

    use super::*;

    #[test]
    fn any_number_of_rows_is_written_once_each() {
        static INTO: Insert = Insert::new(
            "INSERT OR FAIL INTO pairs (one, kind, other) VALUES",
            "oco",
            "ON CONFLICT (one) DO UPDATE SET other = other + excluded.other",
        );
        let counts = [0, 1, 3, 4, 5, 31, 32, 33, 100, 135].into_iter();
        for (count, kinds) in counts.flat_map(|count| [1, 3, 40].map(|kinds| (count, kinds))) {
            let kind = |row: i64| Some(row * kinds / 135).filter(|kind| *kind > 0);
            let of = |row: i64, other: i64| (row, kind(row), other);
            let database = Database::new(Connection::open_in_memory().unwrap());
            let table = "CREATE TABLE pairs (one INTEGER PRIMARY KEY, kind INTEGER, other INTEGER) STRICT";
            database.execute_batch(table).unwrap();
            let rows: Vec<i64> = (0..count).collect();
            let write = || {
                let common = |row: &i64| [kind(*row)];
                INTO.rows(&database, &rows, common, |values, row| {
                    values.put(row)?;
                    values.put(row + 1)
                })
            };
            let read = || {
                let mut statement = database.prepare("SELECT one, kind, other FROM pairs ORDER BY one").unwrap();
                let pairs = statement.query_map([], |row| Ok((row.get(0)?, row.get(1)?, row.get(2)?))).unwrap();
                pairs.collect::<rusqlite::Result<Vec<(i64, Option<i64>, i64)>>>().unwrap()
            };
            write().unwrap();
            assert_eq!(read(), rows.iter().map(|row| of(*row, row + 1)).collect::<Vec<_>>());
            write().unwrap();
            assert_eq!(read(), rows.iter().map(|row| of(*row, 2 * (row + 1))).collect::<Vec<_>>());
        }
    }
}
