-- What Syncline remembers between runs. Times are milliseconds since 1970, UTC.

CREATE TABLE pipelines (
    id INTEGER PRIMARY KEY,
    name TEXT NOT NULL UNIQUE,
    watermark INTEGER
) STRICT;

CREATE TABLE links (
    pipeline INTEGER NOT NULL REFERENCES pipelines (id),
    salesforce_id TEXT NOT NULL,
    hubspot_id TEXT NOT NULL,
    hash BLOB NOT NULL,
    mapping BLOB NOT NULL,
    membership TEXT NOT NULL,
    written_at INTEGER NOT NULL,
    run TEXT NOT NULL,
    PRIMARY KEY (pipeline, salesforce_id)
) STRICT, WITHOUT ROWID;

CREATE INDEX links_by_membership ON links (pipeline, membership, mapping);

CREATE TABLE associations (
    pipeline INTEGER NOT NULL REFERENCES pipelines (id),
    salesforce_id TEXT NOT NULL,
    key TEXT NOT NULL,
    wanted TEXT,
    made_target TEXT,
    made_from TEXT,
    made_to TEXT,
    made_standing TEXT,
    -- Since when the link could not be made, and when to try again.
    waiting_since INTEGER,
    retry_at INTEGER,
    due INTEGER NOT NULL AS (wanted IS NOT made_target OR made_standing IS 'attempted') STORED,
    PRIMARY KEY (pipeline, salesforce_id, key)
) STRICT, WITHOUT ROWID;

-- Only what has work left is in the index, so that a cycle without any costs nothing.
CREATE INDEX associations_due ON associations (pipeline, salesforce_id, key) WHERE due = 1;

-- Finds the lookups that point at a record.
CREATE INDEX associations_by_wanted ON associations (wanted) WHERE wanted IS NOT NULL;

CREATE TABLE imports (
    pipeline INTEGER PRIMARY KEY REFERENCES pipelines (id),
    began INTEGER NOT NULL,
    cursor TEXT,
    read INTEGER NOT NULL,
    total INTEGER NOT NULL
) STRICT;

CREATE TABLE runs (
    id TEXT PRIMARY KEY,
    pipeline INTEGER NOT NULL REFERENCES pipelines (id),
    kind TEXT NOT NULL,
    status TEXT NOT NULL,
    started INTEGER NOT NULL,
    ended INTEGER,
    tally TEXT NOT NULL,
    error TEXT
) STRICT, WITHOUT ROWID;

CREATE INDEX runs_by_pipeline ON runs (pipeline, id);

CREATE TABLE failures (
    pipeline INTEGER NOT NULL REFERENCES pipelines (id),
    salesforce_id TEXT NOT NULL,
    run TEXT NOT NULL,
    failure TEXT NOT NULL,
    code TEXT NOT NULL,
    first_seen INTEGER NOT NULL,
    last_seen INTEGER NOT NULL,
    attempts INTEGER NOT NULL,
    status TEXT NOT NULL,
    retry_at INTEGER,
    PRIMARY KEY (pipeline, salesforce_id)
) STRICT, WITHOUT ROWID;

CREATE INDEX failures_open ON failures (pipeline, retry_at) WHERE status = 'open';

-- What each run set aside, for its own report; the latest runs only.
CREATE TABLE run_failures (
    run TEXT NOT NULL,
    salesforce_id TEXT NOT NULL,
    failure TEXT NOT NULL,
    PRIMARY KEY (run, salesforce_id)
) STRICT, WITHOUT ROWID;

CREATE TABLE directories (
    name TEXT NOT NULL,
    salesforce_id TEXT NOT NULL,
    hubspot_id TEXT NOT NULL,
    PRIMARY KEY (name, salesforce_id, hubspot_id)
) STRICT, WITHOUT ROWID;

CREATE TABLE notes (
    key TEXT PRIMARY KEY,
    text TEXT NOT NULL
) STRICT, WITHOUT ROWID;
