-- The pair of ids that says "this Salesforce record is that HubSpot record" is called an identity; HubSpot's word association
-- means something else.
ALTER TABLE links RENAME TO identities;
DROP INDEX links_by_membership;
CREATE INDEX identities_by_membership ON identities (pipeline, membership, mapping);

-- What each lookup asks for, and the two records that it led to when it was carried out.
CREATE TABLE lookups (
    pipeline INTEGER NOT NULL REFERENCES pipelines (id),
    salesforce_id TEXT NOT NULL,
    key TEXT NOT NULL,
    wanted TEXT,
    wanted_label TEXT,
    target TEXT,
    label TEXT,
    pair INTEGER,
    from_id TEXT,
    to_object TEXT,
    to_id TEXT,
    -- HubSpot is to be asked how it stands, although nothing seems to be left to do.
    recheck INTEGER NOT NULL DEFAULT 0,
    -- Whether Syncline made it, in a state of an earlier version; the pipeline's next run notes it with the pair.
    made_before INTEGER,
    -- Since when it could not be carried out, and when to try again.
    waiting_since INTEGER,
    retry_at INTEGER,
    due INTEGER NOT NULL AS (recheck OR wanted IS NOT target OR wanted_label IS NOT label) STORED,
    PRIMARY KEY (pipeline, salesforce_id, key)
) STRICT, WITHOUT ROWID;

INSERT INTO lookups (pipeline, salesforce_id, key, wanted, target, from_id, to_id, recheck, made_before, waiting_since, retry_at)
SELECT pipeline, salesforce_id, key, wanted, made_target, made_from, made_to, made_standing IS NOT NULL,
    CASE made_standing WHEN 'theirs' THEN 0 WHEN 'ours' THEN 1 WHEN 'attempted' THEN 1 END, waiting_since, retry_at
FROM associations;

DROP TABLE associations;
ALTER TABLE lookups RENAME TO associations;

-- Only what has work left is in the index, so that a cycle without any costs nothing.
CREATE INDEX associations_due ON associations (pipeline, salesforce_id, key) WHERE due = 1;

-- Finds the lookups that point at a record.
CREATE INDEX associations_by_wanted ON associations (wanted) WHERE wanted IS NOT NULL;

-- Finds the lookups that led to the same two records, of all pipelines.
CREATE INDEX associations_by_pair ON associations (pair) WHERE pair IS NOT NULL;

CREATE INDEX associations_made_before ON associations (pipeline) WHERE made_before IS NOT NULL;

-- What Syncline made between two records, and may therefore remove: by pair and type, whichever lookup asked for it. The label is
-- blank for the plain association; else it is as seen from one of the two.
CREATE TABLE owned_types (
    pair INTEGER NOT NULL,
    label TEXT NOT NULL,
    from_id TEXT NOT NULL,
    PRIMARY KEY (pair, label, from_id)
) STRICT, WITHOUT ROWID;
