-- Who has a portal, whichever state it is for: whoever took the row last. `epoch` goes up with each taking, and what is noted in a turn
-- names it. A row stays for good, so that a number never comes twice.
CREATE TABLE syncline.portals (
    key text COLLATE "C" PRIMARY KEY,
    epoch bigint NOT NULL,
    owner text NOT NULL,
    -- As in `leases`.
    process text NOT NULL,
    until timestamptz NOT NULL,
    -- The state that the turn is about.
    state_id integer NOT NULL,
    -- When the last turn was given back, and how many calls stood in the window of the rate limit then. Nothing while somebody has it, and
    -- after whoever had it never gave it back.
    ended timestamptz,
    calls integer NOT NULL
);

-- When each pipeline is due next, by the server's clock, and on which portal.
CREATE TABLE syncline.turns (
    state_id integer NOT NULL REFERENCES syncline.states (id) ON DELETE CASCADE,
    pipeline text COLLATE "C" NOT NULL,
    portal text COLLATE "C" NOT NULL,
    due timestamptz NOT NULL,
    -- Cycles in a row that found a service away.
    away integer NOT NULL DEFAULT 0,
    PRIMARY KEY (state_id, pipeline)
);
CREATE INDEX turns_by_due ON syncline.turns (due);

-- What may have been on the wire when a portal was taken over: looked at once more when the longest call has ended.
CREATE TABLE syncline.second_looks (
    state_id integer NOT NULL,
    pipeline integer NOT NULL,
    id text COLLATE "C" NOT NULL,
    match_property text COLLATE "C" NOT NULL,
    intent text COLLATE "C" NOT NULL,
    at timestamptz NOT NULL,
    PRIMARY KEY (state_id, pipeline, id)
);
