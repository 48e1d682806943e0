-- What was sent to HubSpot for a record, noted before the call and forgotten when its outcome is noted. What a broken run
-- leaves here is looked up by the runs after it, one record after the other, until each is accounted for.
CREATE TABLE unconfirmed (
    pipeline INTEGER NOT NULL REFERENCES pipelines (id),
    salesforce_id TEXT NOT NULL,
    match_property TEXT NOT NULL,
    intent TEXT NOT NULL,
    run TEXT NOT NULL,
    sent_at INTEGER NOT NULL,
    PRIMARY KEY (pipeline, salesforce_id)
) STRICT, WITHOUT ROWID;
