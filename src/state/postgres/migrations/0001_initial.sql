-- One database holds many states: `state_id` leads each key. All names are written with their schema, as no session has a search path of its own.

-- Which version of the tables this is: one row.
CREATE TABLE syncline.version (version integer NOT NULL);
INSERT INTO syncline.version VALUES (0);

CREATE TABLE syncline.states (
    id integer GENERATED ALWAYS AS IDENTITY PRIMARY KEY,
    name text COLLATE "C" NOT NULL UNIQUE,
    created timestamptz NOT NULL DEFAULT now()
);

-- Who may run a pipeline: whoever took the row last. `epoch` goes up with each taking, and what is noted of the pipeline names it.
CREATE TABLE syncline.leases (
    state_id integer NOT NULL REFERENCES syncline.states (id) ON DELETE CASCADE,
    pipeline text COLLATE "C" NOT NULL,
    epoch bigint NOT NULL,
    holder text NOT NULL,
    -- Names the process as long as its computer is up: another one there can see that it has died.
    process text NOT NULL,
    until timestamptz NOT NULL,
    PRIMARY KEY (state_id, pipeline)
);

-- The last transaction of each process: where a connection breaks while one is committed, this tells whether it stands.
CREATE TABLE syncline.writers (
    state_id integer NOT NULL REFERENCES syncline.states (id) ON DELETE CASCADE,
    writer text COLLATE "C" NOT NULL,
    last bigint NOT NULL,
    seen timestamptz NOT NULL,
    PRIMARY KEY (state_id, writer)
);

CREATE TABLE syncline.pipelines (
    state_id integer NOT NULL REFERENCES syncline.states (id) ON DELETE CASCADE,
    id integer NOT NULL,
    name text COLLATE "C" NOT NULL,
    watermark bigint,
    -- When it was set, by the computer's clock that set it.
    watermark_set bigint,
    -- The match property that the pipeline had first.
    match_property text COLLATE "C",
    PRIMARY KEY (state_id, id),
    UNIQUE (state_id, name)
);

-- Which Salesforce record is which HubSpot record. No match property means the one that the pipeline had first.
CREATE TABLE syncline.identities (
    state_id integer NOT NULL,
    pipeline integer NOT NULL,
    id text COLLATE "C" NOT NULL,
    hubspot_id text COLLATE "C" NOT NULL,
    hash bytea NOT NULL,
    mapping bytea NOT NULL,
    membership text COLLATE "C" NOT NULL,
    match_property text COLLATE "C",
    PRIMARY KEY (state_id, pipeline, id)
);
CREATE INDEX identities_by_record ON syncline.identities (state_id, hubspot_id);

-- How many records of a pipeline stand in which way: counted as they are written.
CREATE TABLE syncline.standings (
    state_id integer NOT NULL,
    pipeline integer NOT NULL,
    membership text COLLATE "C" NOT NULL,
    mapping bytea NOT NULL,
    records bigint NOT NULL,
    PRIMARY KEY (state_id, pipeline, membership, mapping)
);

-- What each lookup asks for, and what was carried out of it: the record and label that it asked for then, and the pair of records.
CREATE TABLE syncline.lookups (
    state_id integer NOT NULL,
    pipeline integer NOT NULL,
    id text COLLATE "C" NOT NULL,
    key text COLLATE "C" NOT NULL,
    wanted text COLLATE "C",
    wanted_label text COLLATE "C",
    target text COLLATE "C",
    label text COLLATE "C",
    from_id text COLLATE "C",
    to_object text COLLATE "C",
    to_id text COLLATE "C",
    newer bigint,
    older bigint,
    objects bigint,
    recheck boolean NOT NULL,
    -- Since when it could not be carried out, and when to try again.
    waiting_since bigint,
    retry_at bigint,
    due boolean NOT NULL GENERATED ALWAYS AS
        (recheck OR wanted IS DISTINCT FROM target OR wanted_label IS DISTINCT FROM label) STORED,
    PRIMARY KEY (state_id, pipeline, id, key)
);
-- Only what has work left is in it.
CREATE INDEX lookups_due ON syncline.lookups (state_id, pipeline, id, key) WHERE due;
-- Finds the lookups that wait for a record.
CREATE INDEX lookups_waiting ON syncline.lookups (state_id, wanted) WHERE retry_at IS NOT NULL;
-- Finds the lookups that led to two records, of all pipelines.
CREATE INDEX lookups_by_pair ON syncline.lookups (state_id, newer, older) WHERE newer IS NOT NULL;

-- Records that came back to HubSpot as others: what leads to the one before is looked at, for all of them at once.
CREATE TABLE syncline.replaced_records (
    state_id integer NOT NULL,
    target text COLLATE "C" NOT NULL,
    before text COLLATE "C" NOT NULL,
    PRIMARY KEY (state_id, target, before)
);

-- What Syncline made between two records, and may therefore remove. A blank label is the plain association.
CREATE TABLE syncline.owned_types (
    state_id integer NOT NULL,
    newer bigint NOT NULL,
    older bigint NOT NULL,
    objects bigint NOT NULL,
    label text COLLATE "C" NOT NULL,
    from_id text COLLATE "C" NOT NULL,
    PRIMARY KEY (state_id, newer, older, objects, label, from_id)
);

-- What was sent for a record without that its outcome is noted.
CREATE TABLE syncline.unconfirmed (
    state_id integer NOT NULL,
    pipeline integer NOT NULL,
    id text COLLATE "C" NOT NULL,
    match_property text COLLATE "C" NOT NULL,
    intent text COLLATE "C" NOT NULL,
    PRIMARY KEY (state_id, pipeline, id)
);

CREATE TABLE syncline.imports (
    state_id integer NOT NULL,
    pipeline integer NOT NULL,
    began bigint NOT NULL,
    began_at bigint,
    cursor text,
    read bigint NOT NULL,
    total bigint NOT NULL,
    PRIMARY KEY (state_id, pipeline)
);

CREATE TABLE syncline.comparisons (
    state_id integer NOT NULL,
    pipeline integer NOT NULL,
    began_at bigint NOT NULL,
    basis text NOT NULL,
    cursor text,
    read bigint NOT NULL,
    total bigint NOT NULL,
    PRIMARY KEY (state_id, pipeline)
);

CREATE TABLE syncline.runs (
    state_id integer NOT NULL,
    id text COLLATE "C" NOT NULL,
    pipeline integer NOT NULL,
    kind text COLLATE "C" NOT NULL,
    status text COLLATE "C" NOT NULL,
    started bigint NOT NULL,
    ended bigint,
    tally text NOT NULL,
    error text,
    PRIMARY KEY (state_id, id)
);
CREATE INDEX runs_by_pipeline ON syncline.runs (state_id, pipeline, id);

CREATE TABLE syncline.run_origins (
    state_id integer NOT NULL,
    run text COLLATE "C" NOT NULL,
    origin text NOT NULL,
    PRIMARY KEY (state_id, run)
);

CREATE TABLE syncline.failures (
    state_id integer NOT NULL,
    pipeline integer NOT NULL,
    id text COLLATE "C" NOT NULL,
    kind text COLLATE "C" NOT NULL,
    run text COLLATE "C" NOT NULL,
    failure text NOT NULL,
    code text COLLATE "C" NOT NULL,
    property text COLLATE "C",
    remote_code text COLLATE "C",
    basis text COLLATE "C",
    first_seen bigint NOT NULL,
    last_seen bigint NOT NULL,
    attempts integer NOT NULL,
    status text COLLATE "C" NOT NULL,
    retry_at bigint,
    PRIMARY KEY (state_id, pipeline, id, kind)
);
CREATE INDEX failures_by_reason ON syncline.failures (state_id, pipeline, code, id) WHERE status = 'open';

-- What each run set aside, for its own report; the latest runs only.
CREATE TABLE syncline.run_failures (
    state_id integer NOT NULL,
    run text COLLATE "C" NOT NULL,
    id text COLLATE "C" NOT NULL,
    kind text COLLATE "C" NOT NULL,
    failure text NOT NULL,
    PRIMARY KEY (state_id, run, id, kind)
);

CREATE TABLE syncline.alert_conditions (
    state_id integer NOT NULL,
    pipeline text COLLATE "C" NOT NULL,
    event text COLLATE "C" NOT NULL,
    fingerprint text NOT NULL,
    since bigint NOT NULL,
    PRIMARY KEY (state_id, pipeline, event)
);

CREATE TABLE syncline.alert_outbox (
    number bigint GENERATED BY DEFAULT AS IDENTITY PRIMARY KEY,
    state_id integer NOT NULL,
    receiver text NOT NULL,
    alert text NOT NULL,
    created bigint NOT NULL,
    attempts integer NOT NULL,
    next_try bigint NOT NULL,
    problem text
);
CREATE INDEX alert_outbox_due ON syncline.alert_outbox (state_id, next_try);

CREATE TABLE syncline.directories (
    state_id integer NOT NULL,
    name text COLLATE "C" NOT NULL,
    id text COLLATE "C" NOT NULL,
    hubspot_id text COLLATE "C" NOT NULL,
    PRIMARY KEY (state_id, name, id, hubspot_id)
);

CREATE TABLE syncline.notes (
    state_id integer NOT NULL,
    key text COLLATE "C" NOT NULL,
    text text NOT NULL,
    PRIMARY KEY (state_id, key)
);
