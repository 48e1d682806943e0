-- How often a worker took the portal that another one had not given back.
ALTER TABLE syncline.portals ADD COLUMN takeovers bigint NOT NULL DEFAULT 0;
