CREATE TABLE files (
    path             TEXT PRIMARY KEY NOT NULL,   -- below the experiment's directory
    size             INTEGER NOT NULL,
    mtime_ns         INTEGER NOT NULL,
    sha256           TEXT,
    source           TEXT,
    received         TEXT,                        -- RFC 3339, UTC
    probed_size      INTEGER,
    probed_mtime_ns  INTEGER,
    contents         TEXT                         -- JSON, what octonas-probe found
) STRICT, WITHOUT ROWID;
CREATE INDEX files_source ON files (source, received);
CREATE TABLE refused (
    source    TEXT NOT NULL,
    path      TEXT NOT NULL,                      -- below the source's landing
    size      INTEGER NOT NULL,
    mtime_ns  INTEGER NOT NULL,
    inode     INTEGER NOT NULL,
    sha256    TEXT NOT NULL,
    reason    TEXT NOT NULL,
    since     TEXT NOT NULL,
    PRIMARY KEY (source, path)
) STRICT, WITHOUT ROWID;
