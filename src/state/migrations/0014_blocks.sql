-- Records, what was carried out of lookups, and what is ours, in blocks: a row holds some dozens of them, packed, in their order. A row for
-- each cost most of what an import does in the state, and half of its bytes. `state::blocks` reads and writes them.
DROP INDEX identities_by_hubspot_id;
DROP INDEX associations_by_pair;
ALTER TABLE identities RENAME TO identities_by_row;
ALTER TABLE associations RENAME TO associations_by_row;
ALTER TABLE owned_types RENAME TO owned_types_by_row;
CREATE TABLE identities (
    first INTEGER PRIMARY KEY,
    entries BLOB NOT NULL
) STRICT;
-- HubSpot records, and the records that each of them is.
CREATE TABLE identities_by_hubspot_id (
    first BLOB PRIMARY KEY NOT NULL,
    entries BLOB NOT NULL
) STRICT;
CREATE TABLE associations (
    first INTEGER PRIMARY KEY,
    entries BLOB NOT NULL
) STRICT;
-- Lookups that led from a HubSpot record which is not the one that their record is.
CREATE TABLE associations_by_pair (
    first BLOB PRIMARY KEY NOT NULL,
    entries BLOB NOT NULL
) STRICT;
CREATE TABLE owned_types (
    first BLOB PRIMARY KEY NOT NULL,
    entries BLOB NOT NULL
) STRICT;
-- The lists of `calls`, `due_together` and `making_together` are packed as well. Rows of this one are found by their first and last lookup.
ALTER TABLE due_together RENAME TO due_together_before;
CREATE TABLE due_together (
    number INTEGER PRIMARY KEY,
    pipeline INTEGER NOT NULL REFERENCES pipelines (id),
    first INTEGER NOT NULL,
    last INTEGER NOT NULL,
    lookups BLOB NOT NULL
) STRICT;
