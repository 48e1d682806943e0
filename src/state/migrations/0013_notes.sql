-- Notes by a key beside them. Where they stood in the key's own tree, whoever looked for one also read each long note on the way to it,
-- whole: what is known of a portal takes hundreds of kilobytes.
CREATE TABLE notes_by_key (
    key TEXT PRIMARY KEY,
    text TEXT NOT NULL
) STRICT;
INSERT INTO notes_by_key SELECT key, text FROM notes;
DROP TABLE notes;
ALTER TABLE notes_by_key RENAME TO notes;
