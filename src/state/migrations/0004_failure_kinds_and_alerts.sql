-- A record's own failure and the failure of its associations are two rows: neither hides the other. `basis` is a hash of the
-- mapping and of the descriptions under which the record failed; none where an earlier version wrote the row.
CREATE TABLE failures_by_kind (
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
    retry_at INTEGER,
    PRIMARY KEY (pipeline, salesforce_id, kind)
) STRICT, WITHOUT ROWID;

INSERT INTO failures_by_kind
SELECT pipeline, salesforce_id, iif(substr(code, 1, 5) = 'SL511', 'associations', 'record'), run, failure, code, NULL,
       first_seen, last_seen, attempts, status, retry_at
FROM failures;

DROP TABLE failures;

ALTER TABLE failures_by_kind RENAME TO failures;

CREATE INDEX failures_open ON failures (pipeline, retry_at) WHERE status = 'open';

CREATE TABLE run_failures_by_kind (
    run TEXT NOT NULL,
    salesforce_id TEXT NOT NULL,
    kind TEXT NOT NULL,
    failure TEXT NOT NULL,
    PRIMARY KEY (run, salesforce_id, kind)
) STRICT, WITHOUT ROWID;

INSERT INTO run_failures_by_kind
SELECT run, salesforce_id,
       iif(substr(failure ->> '$.reason.code', 1, 5) = 'SL511', 'associations', 'record'), failure
FROM run_failures;

DROP TABLE run_failures;

ALTER TABLE run_failures_by_kind RENAME TO run_failures;

-- What stands of each pipeline that people were told: one row a condition, with what tells it from another of its kind.
CREATE TABLE alert_conditions (
    pipeline TEXT NOT NULL,
    event TEXT NOT NULL,
    fingerprint TEXT NOT NULL,
    since INTEGER NOT NULL,
    PRIMARY KEY (pipeline, event)
) STRICT, WITHOUT ROWID;

-- Alerts on their way, one row a receiver. A row goes when its receiver has taken it.
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
