CREATE TABLE seen (
    id         TEXT NOT NULL PRIMARY KEY,
    state      TEXT NOT NULL,
    files      INTEGER NOT NULL,
    bytes      INTEGER NOT NULL,
    quota      INTEGER,
    newest     TEXT,
    checked_at TEXT NOT NULL
) STRICT, WITHOUT ROWID;
