-- How many records of a pipeline stand in which way, under which mapping: counted as they are written, so that a cycle without changes
-- costs the same however many there are.
CREATE TABLE identity_counts (
    pipeline INTEGER NOT NULL REFERENCES pipelines (id),
    membership TEXT NOT NULL,
    mapping BLOB NOT NULL,
    records INTEGER NOT NULL,
    PRIMARY KEY (pipeline, membership, mapping)
) STRICT, WITHOUT ROWID;

INSERT INTO identity_counts (pipeline, membership, mapping, records)
SELECT pipeline, membership, mapping, count(*) FROM identities GROUP BY pipeline, membership, mapping;

-- It served the counts alone; what is stale or live is read in the order of the ids.
DROP INDEX identities_by_membership;
