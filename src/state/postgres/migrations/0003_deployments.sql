-- Definitions that workers run. A file's content stands once, however many deployments have it.
CREATE TABLE syncline.deployments (
    state_id integer NOT NULL REFERENCES syncline.states (id) ON DELETE CASCADE,
    number bigint NOT NULL,
    made timestamptz NOT NULL,
    author text,
    commit_id text,
    uncommitted boolean NOT NULL,
    portals text[] NOT NULL,
    -- The deployment whose files these are, where it went back to one.
    back_to bigint,
    PRIMARY KEY (state_id, number)
);

CREATE TABLE syncline.definitions (
    state_id integer NOT NULL REFERENCES syncline.states (id) ON DELETE CASCADE,
    hash bytea NOT NULL,
    content bytea NOT NULL,
    PRIMARY KEY (state_id, hash)
);

CREATE TABLE syncline.deployed_files (
    state_id integer NOT NULL,
    number bigint NOT NULL,
    path text COLLATE "C" NOT NULL,
    hash bytea NOT NULL,
    PRIMARY KEY (state_id, number, path),
    FOREIGN KEY (state_id, number) REFERENCES syncline.deployments (state_id, number) ON DELETE CASCADE,
    FOREIGN KEY (state_id, hash) REFERENCES syncline.definitions (state_id, hash)
);

-- Roles that may see some states only; a role that is not in it sees all that it is granted. By name, as a state may come later.
CREATE TABLE syncline.viewers (
    role name NOT NULL,
    state text COLLATE "C" NOT NULL,
    PRIMARY KEY (role, state)
);
ALTER TABLE syncline.viewers ENABLE ROW LEVEL SECURITY;
CREATE POLICY of_role ON syncline.viewers USING (role = current_user);

-- The states that a role sees. With the rights of the owner, so that it needs no look into tables which it decides about.
CREATE FUNCTION syncline.seen_by(viewer name) RETURNS SETOF integer LANGUAGE sql STABLE SECURITY DEFINER SET search_path = '' AS $$
    SELECT s.id FROM syncline.states s
    WHERE NOT EXISTS (SELECT 1 FROM syncline.viewers v WHERE v.role = viewer)
        OR EXISTS (SELECT 1 FROM syncline.viewers v WHERE v.role = viewer AND v.state = s.name)
$$;
