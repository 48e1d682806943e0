-- What is about to be made of lookups that share a row of `due_together`, thirty-two bytes each: its number, that of the relation, and those of
-- the HubSpot records that it leads from and to. What each asks for stands in that row. The newer records of these pairs have numbers from
-- `first` to `last`.
CREATE TABLE making_together (
    number INTEGER PRIMARY KEY,
    first INTEGER NOT NULL,
    last INTEGER NOT NULL,
    pairs BLOB NOT NULL
) STRICT;
