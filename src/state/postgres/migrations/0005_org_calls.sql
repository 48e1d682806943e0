-- Calls to a Salesforce org by hour since 1970, of all processes: those that were made, and those that somebody has drawn to make. `org` tells
-- orgs apart and nothing else. No state's, as portals may share an org.
CREATE TABLE syncline.org_calls (
    org text COLLATE "C" PRIMARY KEY,
    calls text NOT NULL
);
