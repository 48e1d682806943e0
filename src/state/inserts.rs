//! Rows that are written many at a time: where each takes a statement of its own, half of the work is that of the statements.

use rusqlite::{Statement, ToSql};

use super::database::Database;

/// Rows of one statement: the largest number that is not above what is left. More of them cost as much a row as these.
const SIZES: [usize; 3] = [32, 4, 1];

/// Where rows go to.
///
/// With `OR FAIL`, a row that is refused leaves those before it, as the transaction is rolled back with it in any case: a statement that
/// undoes its own rows copies each page first.
pub struct Insert {
    /// The statement up to the rows.
    pub into: &'static str,
    /// One row, with a question mark for each value.
    pub row: &'static str,
    /// What follows the rows.
    pub conflict: &'static str,
}

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
    /// Writes rows in the order given. Where that is the order of the table, they fill its pages one after the other.
    pub fn rows<T>(
        &self,
        database: &Database,
        rows: &[T],
        values: impl Fn(&mut Values<'_, '_>, &T) -> rusqlite::Result<()>,
    ) -> rusqlite::Result<()> {
        let mut rest = rows;
        for size in SIZES {
            if rest.len() < size {
                continue;
            }
            let mut statement = database.prepare_cached(&self.statement(size))?;
            while let Some((part, more)) = rest.split_at_checked(size) {
                rest = more;
                let mut bound = Values { statement: &mut statement, next: 0 };
                for row in part {
                    values(&mut bound, row)?;
                }
                statement.raw_execute()?;
            }
        }
        Ok(())
    }

    fn statement(&self, size: usize) -> String {
        let mut sql = String::with_capacity(self.into.len() + size * (self.row.len() + 1) + self.conflict.len() + 2);
        sql.push_str(self.into);
        for number in 0..size {
            sql.push(if number == 0 { ' ' } else { ',' });
            sql.push_str(self.row);
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
        const INTO: Insert = Insert {
            into: "INSERT OR FAIL INTO pairs (one, other) VALUES",
            row: "(?, ?)",
            conflict: "ON CONFLICT (one) DO UPDATE SET other = other + excluded.other",
        };
        for count in [0, 1, 3, 4, 5, 31, 32, 33, 100, 135] {
            let database = Database::new(Connection::open_in_memory().unwrap());
            database.execute_batch("CREATE TABLE pairs (one INTEGER PRIMARY KEY, other INTEGER) STRICT").unwrap();
            let rows: Vec<i64> = (0..count).collect();
            let write = || {
                INTO.rows(&database, &rows, |values, row| {
                    values.put(row)?;
                    values.put(row + 1)
                })
            };
            let read = || {
                let mut statement = database.prepare("SELECT one, other FROM pairs ORDER BY one").unwrap();
                let pairs = statement.query_map([], |row| Ok((row.get(0)?, row.get(1)?))).unwrap();
                pairs.collect::<rusqlite::Result<Vec<(i64, i64)>>>().unwrap()
            };
            write().unwrap();
            assert_eq!(read(), rows.iter().map(|row| (*row, row + 1)).collect::<Vec<_>>());
            write().unwrap();
            assert_eq!(read(), rows.iter().map(|row| (*row, 2 * (row + 1))).collect::<Vec<_>>());
        }
    }
}
