-- Rows name by small numbers what would repeat in each of them: what is remembered of a record takes a third of the room, and the rows of
-- records that were made together lie together.

-- The first ten characters of the ids of a pipeline's records; of pipeline 0 for ids that are only pointed at. The number of a record is
-- this number, followed by the id's next five characters as a number of 30 bits. So they sort as the ids do.
CREATE TABLE id_prefixes (
    number INTEGER PRIMARY KEY,
    pipeline INTEGER NOT NULL,
    prefix TEXT NOT NULL,
    UNIQUE (pipeline, prefix)
) STRICT;

-- HubSpot ids that are no numbers, by the negative numbers that stand for them.
CREATE TABLE other_ids (
    number INTEGER PRIMARY KEY,
    id TEXT NOT NULL
) STRICT;

-- How records of a pipeline stand, and how many stand so: counted as they are written, so that a cycle without changes costs the same
-- however many there are. A blank match property is the one that the pipeline had first.
CREATE TABLE standings (
    number INTEGER PRIMARY KEY,
    pipeline INTEGER NOT NULL REFERENCES pipelines (id),
    membership TEXT NOT NULL,
    mapping BLOB NOT NULL,
    match_property TEXT NOT NULL,
    records INTEGER NOT NULL DEFAULT 0,
    UNIQUE (pipeline, membership, mapping, match_property)
) STRICT;

ALTER TABLE identities RENAME TO identities_before;
DROP INDEX IF EXISTS identities_by_record;

CREATE TABLE identities (
    record INTEGER PRIMARY KEY,
    hubspot_id INTEGER NOT NULL,
    hash BLOB NOT NULL,
    standing INTEGER NOT NULL
) STRICT;

-- Finds the lookups of HubSpot records, and the Salesforce records that they were made from.
CREATE INDEX identities_by_hubspot_id ON identities (hubspot_id);

-- Lookups of a pipeline. The number of a lookup of a record is the record's, followed by the place of its key as a number of 10 bits.
CREATE TABLE association_keys (
    pipeline INTEGER NOT NULL REFERENCES pipelines (id),
    place INTEGER NOT NULL,
    key TEXT NOT NULL,
    PRIMARY KEY (pipeline, place),
    UNIQUE (pipeline, key)
) STRICT, WITHOUT ROWID;

CREATE TABLE labels (
    number INTEGER PRIMARY KEY,
    label TEXT NOT NULL UNIQUE
) STRICT;

-- What pairs of records are pairs of: a hash of the connection and of both objects, 0 where that is not known yet; and the object at the
-- far end of a lookup, blank where there is none.
CREATE TABLE relations (
    number INTEGER PRIMARY KEY,
    objects INTEGER NOT NULL,
    to_object TEXT NOT NULL,
    UNIQUE (objects, to_object)
) STRICT;

ALTER TABLE associations RENAME TO associations_before;
DROP INDEX associations_due;
DROP INDEX associations_by_wanted;
DROP INDEX associations_by_pair;
DROP INDEX associations_made_before;

-- What was carried out of each lookup. Where nothing is due of it, that is what it asks for as well. No record at the near end means the
-- HubSpot record of the lookup's own one.
CREATE TABLE associations (
    lookup INTEGER PRIMARY KEY,
    target INTEGER NOT NULL,
    label INTEGER,
    relation INTEGER NOT NULL,
    from_id INTEGER,
    to_id INTEGER NOT NULL
) STRICT;

-- Finds the lookups that led from another record than their own.
CREATE INDEX associations_by_pair ON associations (from_id, to_id) WHERE from_id IS NOT NULL;

-- Lookups with work left, and what they ask for: something else than what was carried out, or HubSpot is to be asked how it stands.
CREATE TABLE due_associations (
    lookup INTEGER PRIMARY KEY,
    wanted INTEGER,
    wanted_label INTEGER,
    recheck INTEGER NOT NULL,
    -- Since when it could not be carried out, and when to try again.
    waiting_since INTEGER,
    retry_at INTEGER
) STRICT;

-- Finds the lookups that wait for a record.
CREATE INDEX due_associations_waiting ON due_associations (wanted) WHERE retry_at IS NOT NULL;

-- Records that came back to HubSpot as others: what leads to the one before is looked at, for all of them at once.
CREATE TABLE replaced_records (
    target INTEGER NOT NULL,
    before INTEGER NOT NULL,
    PRIMARY KEY (target, before)
) STRICT, WITHOUT ROWID;

-- What an earlier version knew of pairs by a hash, until the pipeline's next run tells what its keys mean.
CREATE TABLE pairs_before (
    lookup INTEGER PRIMARY KEY,
    pair INTEGER,
    made INTEGER
) STRICT;

ALTER TABLE owned_types RENAME TO owned_types_before;

-- What Syncline made between two records, and may therefore remove: by pair and type, whichever lookup asked for it. No label is the plain
-- association; else it is as seen from one of the two.
CREATE TABLE owned_types (
    newer INTEGER NOT NULL,
    older INTEGER NOT NULL,
    relation INTEGER NOT NULL,
    label INTEGER NOT NULL,
    from_id INTEGER NOT NULL,
    PRIMARY KEY (newer, older, relation, label, from_id)
) STRICT, WITHOUT ROWID;

ALTER TABLE unconfirmed RENAME TO unconfirmed_before;

-- What calls do: the property that holds the ids of their records, and what they are for.
CREATE TABLE call_kinds (
    number INTEGER PRIMARY KEY,
    match_property TEXT NOT NULL,
    intent TEXT NOT NULL,
    UNIQUE (match_property, intent)
) STRICT;

-- Calls that are under way, or that a run left when it died: eight bytes for each record, in order. What is noted first counts.
CREATE TABLE calls (
    pipeline INTEGER NOT NULL REFERENCES pipelines (id),
    number INTEGER NOT NULL,
    kind INTEGER NOT NULL,
    records BLOB NOT NULL,
    PRIMARY KEY (pipeline, number)
) STRICT, WITHOUT ROWID;

-- Records that calls have left in doubt for longer; they count before those of `calls`.
CREATE TABLE unconfirmed (
    record INTEGER PRIMARY KEY,
    kind INTEGER NOT NULL
) STRICT;

DROP TABLE identity_counts;
-- So that each pipeline's next run tells what its keys mean.
DELETE FROM notes WHERE key GLOB 'associations: *';
