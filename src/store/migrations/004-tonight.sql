CREATE TABLE tonight (
    base      TEXT NOT NULL,
    code      TEXT NOT NULL,
    operation TEXT NOT NULL,
    state     TEXT NOT NULL,
    due       TEXT NOT NULL,
    PRIMARY KEY (base, code)
) STRICT, WITHOUT ROWID;
