CREATE TABLE pipelines (
    id INTEGER PRIMARY KEY,
    name TEXT NOT NULL UNIQUE,
    watermark INTEGER
, watermark_set INTEGER, match_property TEXT) STRICT;
CREATE TABLE imports (
    pipeline INTEGER PRIMARY KEY REFERENCES pipelines (id),
    began INTEGER NOT NULL,
    cursor TEXT,
    read INTEGER NOT NULL,
    total INTEGER NOT NULL
, began_at INTEGER) STRICT;
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
CREATE TABLE directories (
    name TEXT NOT NULL,
    salesforce_id TEXT NOT NULL,
    hubspot_id TEXT NOT NULL,
    PRIMARY KEY (name, salesforce_id, hubspot_id)
) STRICT, WITHOUT ROWID;
CREATE TABLE "failures" (
    pipeline INTEGER NOT NULL REFERENCES pipelines (id),
    salesforce_id TEXT NOT NULL,
    kind TEXT NOT NULL,
    run TEXT NOT NULL,
    failure TEXT NOT NULL,
    code TEXT NOT NULL,
    basis TEXT,
    first_seen INTEGER NOT NULL,
    last_seen INTEGER NOT NULL,
    attempts INTEGER NOT NULL,
    status TEXT NOT NULL,
    retry_at INTEGER, property TEXT, remote_code TEXT,
    PRIMARY KEY (pipeline, salesforce_id, kind)
) STRICT, WITHOUT ROWID;
CREATE INDEX failures_open ON failures (pipeline, retry_at) WHERE status = 'open';
CREATE TABLE "run_failures" (
    run TEXT NOT NULL,
    salesforce_id TEXT NOT NULL,
    kind TEXT NOT NULL,
    failure TEXT NOT NULL,
    PRIMARY KEY (run, salesforce_id, kind)
) STRICT, WITHOUT ROWID;
CREATE TABLE alert_conditions (
    pipeline TEXT NOT NULL,
    event TEXT NOT NULL,
    fingerprint TEXT NOT NULL,
    since INTEGER NOT NULL,
    PRIMARY KEY (pipeline, event)
) STRICT, WITHOUT ROWID;
CREATE TABLE alert_outbox (
    number INTEGER PRIMARY KEY,
    receiver TEXT NOT NULL,
    alert TEXT NOT NULL,
    created INTEGER NOT NULL,
    attempts INTEGER NOT NULL,
    next_try INTEGER NOT NULL,
    problem TEXT
) STRICT;
CREATE INDEX alert_outbox_due ON alert_outbox (next_try);
CREATE TABLE "owned_types_before" (
    pair INTEGER NOT NULL,
    label TEXT NOT NULL,
    from_id TEXT NOT NULL,
    PRIMARY KEY (pair, label, from_id)
) STRICT, WITHOUT ROWID;
CREATE TABLE comparisons (
    pipeline INTEGER PRIMARY KEY REFERENCES pipelines (id),
    began_at INTEGER NOT NULL,
    basis TEXT NOT NULL,
    cursor TEXT,
    read INTEGER NOT NULL,
    total INTEGER NOT NULL
) STRICT;
CREATE TABLE id_prefixes (
    number INTEGER PRIMARY KEY,
    pipeline INTEGER NOT NULL,
    prefix TEXT NOT NULL,
    UNIQUE (pipeline, prefix)
) STRICT;
CREATE TABLE other_ids (
    number INTEGER PRIMARY KEY,
    id TEXT NOT NULL
) STRICT;
CREATE TABLE standings (
    number INTEGER PRIMARY KEY,
    pipeline INTEGER NOT NULL REFERENCES pipelines (id),
    membership TEXT NOT NULL,
    mapping BLOB NOT NULL,
    match_property TEXT NOT NULL,
    records INTEGER NOT NULL DEFAULT 0,
    UNIQUE (pipeline, membership, mapping, match_property)
) STRICT;
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
CREATE TABLE relations (
    number INTEGER PRIMARY KEY,
    objects INTEGER NOT NULL,
    to_object TEXT NOT NULL,
    UNIQUE (objects, to_object)
) STRICT;
CREATE TABLE due_associations (
    lookup INTEGER PRIMARY KEY,
    wanted INTEGER,
    wanted_label INTEGER,
    recheck INTEGER NOT NULL,
    -- Since when it could not be carried out, and when to try again.
    waiting_since INTEGER,
    retry_at INTEGER
) STRICT;
CREATE INDEX due_associations_waiting ON due_associations (wanted) WHERE retry_at IS NOT NULL;
CREATE TABLE replaced_records (
    target INTEGER NOT NULL,
    before INTEGER NOT NULL,
    PRIMARY KEY (target, before)
) STRICT, WITHOUT ROWID;
CREATE TABLE pairs_before (
    lookup INTEGER PRIMARY KEY,
    pair INTEGER,
    made INTEGER
) STRICT;
CREATE TABLE call_kinds (
    number INTEGER PRIMARY KEY,
    match_property TEXT NOT NULL,
    intent TEXT NOT NULL,
    UNIQUE (match_property, intent)
) STRICT;
CREATE TABLE calls (
    pipeline INTEGER NOT NULL REFERENCES pipelines (id),
    number INTEGER NOT NULL,
    kind INTEGER NOT NULL,
    records BLOB NOT NULL,
    PRIMARY KEY (pipeline, number)
) STRICT, WITHOUT ROWID;
CREATE TABLE unconfirmed (
    record INTEGER PRIMARY KEY,
    kind INTEGER NOT NULL
) STRICT;
CREATE INDEX failures_by_reason ON failures
    (pipeline, code, property, remote_code, salesforce_id, kind, status, first_seen, last_seen, retry_at)
    WHERE status = 'open';
CREATE TABLE run_origins (
    run TEXT PRIMARY KEY,
    origin TEXT NOT NULL
) STRICT, WITHOUT ROWID;
CREATE TABLE making_together (
    number INTEGER PRIMARY KEY,
    first INTEGER NOT NULL,
    last INTEGER NOT NULL,
    pairs BLOB NOT NULL
) STRICT;
CREATE TABLE "notes" (
    key TEXT PRIMARY KEY,
    text TEXT NOT NULL
) STRICT;
CREATE TABLE identities (
    first INTEGER PRIMARY KEY,
    entries BLOB NOT NULL
) STRICT;
CREATE TABLE identities_by_hubspot_id (
    first BLOB PRIMARY KEY NOT NULL,
    entries BLOB NOT NULL
) STRICT;
CREATE TABLE associations (
    first INTEGER PRIMARY KEY,
    entries BLOB NOT NULL
) STRICT;
CREATE TABLE associations_by_pair (
    first BLOB PRIMARY KEY NOT NULL,
    entries BLOB NOT NULL
) STRICT;
CREATE TABLE owned_types (
    first BLOB PRIMARY KEY NOT NULL,
    entries BLOB NOT NULL
) STRICT;
CREATE TABLE due_together (
    number INTEGER PRIMARY KEY,
    pipeline INTEGER NOT NULL REFERENCES pipelines (id),
    first INTEGER NOT NULL,
    last INTEGER NOT NULL,
    lookups BLOB NOT NULL
) STRICT;
