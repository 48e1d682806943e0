-- Where a comparison of both systems stands that was broken off, and by what its records were judged.
CREATE TABLE comparisons (
    pipeline INTEGER PRIMARY KEY REFERENCES pipelines (id),
    began_at INTEGER NOT NULL,
    basis TEXT NOT NULL,
    cursor TEXT,
    read INTEGER NOT NULL,
    total INTEGER NOT NULL
) STRICT;
