CREATE TABLE experiment (
    id          TEXT NOT NULL PRIMARY KEY,
    code        TEXT NOT NULL,
    title       TEXT NOT NULL,
    status      TEXT NOT NULL,
    base        TEXT NOT NULL,
    digest      TEXT NOT NULL,
    responsible TEXT NOT NULL,
    seen_at     TEXT NOT NULL
) STRICT, WITHOUT ROWID;

CREATE UNIQUE INDEX experiment_place ON experiment (base, code);
