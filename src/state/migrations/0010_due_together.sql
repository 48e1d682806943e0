-- Lookups of records that were made together, in order, twenty bytes each: its number, that of the record that it asks for, and that of the
-- label, which is 0 where there is none. Nothing was carried out of them and nothing else is known of them, so they have no rows in
-- `associations` and `due_associations`.
CREATE TABLE due_together (
    number INTEGER PRIMARY KEY,
    pipeline INTEGER NOT NULL REFERENCES pipelines (id),
    lookups BLOB NOT NULL
) STRICT;
