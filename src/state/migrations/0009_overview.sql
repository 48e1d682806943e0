-- What failures of a reason share besides their code.
ALTER TABLE failures ADD COLUMN property TEXT;
ALTER TABLE failures ADD COLUMN remote_code TEXT;
UPDATE failures SET property = failure ->> '$.reason.property', remote_code = failure ->> '$.reason.remote_code';

-- Open failures by reason, as people read them: counted from the index alone, however many there are, and in the order of the records, so that
-- a few examples are the first few entries. Without `status` among its columns it would not be enough by itself.
CREATE INDEX failures_by_reason ON failures
    (pipeline, code, property, remote_code, salesforce_id, kind, status, first_seen, last_seen, retry_at)
    WHERE status = 'open';

-- By whom and with which definitions a run was begun, and what its plan foretold.
CREATE TABLE run_origins (
    run TEXT PRIMARY KEY,
    origin TEXT NOT NULL
) STRICT, WITHOUT ROWID;
