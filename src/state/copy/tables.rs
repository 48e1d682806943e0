//! What a state holds, row by row, as it is the same in all kinds of states.

use crate::model::hash::Hasher;

/// A table of rows that are alike in each kind of state.
#[derive(Debug)]
pub struct Table {
    /// Its name.
    pub name: &'static str,
    /// What its rows hold.
    pub columns: &'static [Column],
    /// The columns that tell its rows apart, in order; by these it is read on from a row.
    pub key: &'static [Column],
}

/// A column of a table.
#[derive(Debug, Clone, Copy)]
pub struct Column {
    /// Its name.
    pub name: &'static str,
    /// Its name in SQLite, where that is another one.
    pub in_sqlite: &'static str,
    /// What it holds.
    pub kind: Kind,
}

/// What a column holds; any of it may be missing.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Kind {
    /// The name of a pipeline; both kinds of states know it by a number of their own.
    Pipeline,
    /// A text.
    Text,
    /// A whole number.
    Number,
    /// A hash.
    Bytes,
    /// Yes or no.
    Flag,
}

/// A value of a row.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Cell {
    /// Nothing.
    Blank,
    /// The name of a pipeline, or a text.
    Text(String),
    /// A whole number.
    Number(i64),
    /// A hash.
    Bytes(Vec<u8>),
    /// Yes or no.
    Flag(bool),
}

/// The values of a row, in the order of its table's columns.
pub type Row = Vec<Cell>;

const fn text(name: &'static str) -> Column {
    Column { name, in_sqlite: name, kind: Kind::Text }
}

const fn number(name: &'static str) -> Column {
    Column { name, in_sqlite: name, kind: Kind::Number }
}

const fn bytes(name: &'static str) -> Column {
    Column { name, in_sqlite: name, kind: Kind::Bytes }
}

const PIPELINE: Column = Column { name: "pipeline", in_sqlite: "pipeline", kind: Kind::Pipeline };
const RECORD: Column = Column { name: "id", in_sqlite: "salesforce_id", kind: Kind::Text };
const RECHECK: Column = Column { name: "recheck", in_sqlite: "recheck", kind: Kind::Flag };

/// Which Salesforce record is which HubSpot record.
pub static IDENTITIES: Table = Table {
    name: "identities",
    columns: &[
        PIPELINE,
        RECORD,
        text("hubspot_id"),
        bytes("hash"),
        bytes("mapping"),
        text("membership"),
        text("match_property"),
    ],
    key: &[PIPELINE, RECORD],
};

/// What lookups ask for, and what was carried out of them.
pub static LOOKUPS: Table = Table {
    name: "lookups",
    columns: &[
        PIPELINE,
        RECORD,
        text("key"),
        text("wanted"),
        text("wanted_label"),
        text("target"),
        text("label"),
        text("from_id"),
        text("to_object"),
        text("to_id"),
        number("objects"),
        RECHECK,
        number("waiting_since"),
        number("retry_at"),
    ],
    key: &[PIPELINE, RECORD, text("key")],
};

/// Records that came back to HubSpot as others.
pub static REPLACED: Table = Table {
    name: "replaced_records",
    columns: &[text("target"), text("before")],
    key: &[text("target"), text("before")],
};

const OWNED_TYPE: &[Column] = &[number("newer"), number("older"), number("objects"), text("label"), text("from_id")];

/// What Syncline made between two records.
pub static OWNED: Table = Table { name: "owned_types", columns: OWNED_TYPE, key: OWNED_TYPE };

/// What was sent without that its outcome is noted.
pub static UNCONFIRMED: Table = Table {
    name: "unconfirmed",
    columns: &[PIPELINE, RECORD, text("match_property"), text("intent")],
    key: &[PIPELINE, RECORD],
};

/// Short texts.
pub static NOTES: Table = Table { name: "notes", columns: &[text("key"), text("text")], key: &[text("key")] };

/// All tables, in the order in which they are copied: a row follows those that it names.
pub static TABLES: [&Table; 16] = [
    &Table {
        name: "pipelines",
        columns: &[text("name"), number("watermark"), number("watermark_set"), text("match_property")],
        key: &[text("name")],
    },
    &IDENTITIES,
    &LOOKUPS,
    &REPLACED,
    &OWNED,
    &UNCONFIRMED,
    &Table {
        name: "imports",
        columns: &[PIPELINE, number("began"), number("began_at"), text("cursor"), number("read"), number("total")],
        key: &[PIPELINE],
    },
    &Table {
        name: "comparisons",
        columns: &[PIPELINE, number("began_at"), text("basis"), text("cursor"), number("read"), number("total")],
        key: &[PIPELINE],
    },
    &Table {
        name: "runs",
        columns: &[
            text("id"),
            PIPELINE,
            text("kind"),
            text("status"),
            number("started"),
            number("ended"),
            text("tally"),
            text("error"),
        ],
        key: &[text("id")],
    },
    &Table { name: "run_origins", columns: &[text("run"), text("origin")], key: &[text("run")] },
    &Table {
        name: "failures",
        columns: &[
            PIPELINE,
            RECORD,
            text("kind"),
            text("run"),
            text("failure"),
            text("code"),
            text("property"),
            text("remote_code"),
            text("basis"),
            number("first_seen"),
            number("last_seen"),
            number("attempts"),
            text("status"),
            number("retry_at"),
        ],
        key: &[PIPELINE, RECORD, text("kind")],
    },
    &Table {
        name: "run_failures",
        columns: &[text("run"), RECORD, text("kind"), text("failure")],
        key: &[text("run"), RECORD, text("kind")],
    },
    &Table {
        name: "alert_conditions",
        columns: &[text("pipeline"), text("event"), text("fingerprint"), number("since")],
        key: &[text("pipeline"), text("event")],
    },
    &Table {
        name: "alert_outbox",
        columns: &[
            text("receiver"),
            text("alert"),
            number("created"),
            number("attempts"),
            number("next_try"),
            text("problem"),
        ],
        key: &[number("number")],
    },
    &Table {
        name: "directories",
        columns: &[text("name"), RECORD, text("hubspot_id")],
        key: &[text("name"), RECORD, text("hubspot_id")],
    },
    &NOTES,
];

/// How many rows there are, and a hash over all of them in whatever order.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq)]
pub struct Digest {
    /// The rows.
    pub rows: u64,
    /// The sum of the rows' hashes.
    pub sum: u128,
}

impl Digest {
    /// Adds a row.
    pub fn add(&mut self, row: &Row) {
        let mut hasher = Hasher::default();
        for cell in row {
            // Each with its kind and its length, so that no two rows read alike.
            let mut add = |kind: u8, bytes: &[u8]| {
                hasher.bytes(&[kind]);
                hasher.bytes(&(bytes.len() as u64).to_be_bytes());
                hasher.bytes(bytes);
            };
            match cell {
                Cell::Blank => add(0, &[]),
                // PostgreSQL's texts have no zero character.
                Cell::Text(text) if text.contains('\0') => add(1, text.replace('\0', "\u{fffd}").as_bytes()),
                Cell::Text(text) => add(1, text.as_bytes()),
                Cell::Number(number) => add(2, &number.to_be_bytes()),
                Cell::Bytes(bytes) => add(3, bytes),
                Cell::Flag(flag) => add(4, &[u8::from(*flag)]),
            }
        }
        let first = hasher.finish::<16>();
        self.rows += 1;
        self.sum = self.sum.wrapping_add(u128::from_be_bytes(first));
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn digest(rows: &[Row]) -> Digest {
        let mut digest = Digest::default();
        rows.iter().for_each(|row| digest.add(row));
        digest
    }

    #[test]
    fn a_digest_heeds_each_value_and_not_the_order() {
        let text = |text: &str| Cell::Text(text.to_owned());
        let (one, other) = (vec![text("a"), Cell::Blank], vec![text("b"), Cell::Number(1)]);
        let both = digest(&[one.clone(), other.clone()]);
        assert_eq!(both, digest(&[other.clone(), one.clone()]));
        assert_ne!(both, digest(&[one.clone(), one.clone()]));
        for unlike in [vec![text("a"), text("")], vec![text("a")], vec![Cell::Blank, text("a")], vec![text("aa")]] {
            assert_ne!(digest(std::slice::from_ref(&one)), digest(&[unlike]));
        }
        assert_ne!(digest(&[vec![Cell::Number(1)]]), digest(&[vec![Cell::Flag(true)]]));
    }

    #[test]
    fn each_key_is_among_the_columns_but_where_rows_have_a_number_of_their_own() {
        for table in TABLES {
            let known = |key: &Column| table.columns.iter().any(|column| column.name == key.name);
            assert!(table.key.iter().all(known) || table.name == "alert_outbox", "{}", table.name);
        }
    }
}
