CREATE TABLE folders (
    id      INTEGER PRIMARY KEY,
    path    TEXT NOT NULL UNIQUE,                 -- below the experiment's directory; empty is itself
    parent  INTEGER,
    seen    INTEGER NOT NULL DEFAULT 0,           -- the scan that saw it last
    files   INTEGER NOT NULL DEFAULT 0,           -- in it, then; not those below
    bytes   INTEGER NOT NULL DEFAULT 0
) STRICT;
CREATE TABLE entries (
    folder    INTEGER NOT NULL,
    name      TEXT NOT NULL,
    size      INTEGER NOT NULL,
    mtime_ns  INTEGER NOT NULL,
    ctime_ns  INTEGER NOT NULL DEFAULT 0,         -- 0: nobody has looked yet; -1: to be read again
    inode     INTEGER NOT NULL DEFAULT 0,
    sha256    BLOB,                               -- of its line in the baseline
    mark      INTEGER NOT NULL DEFAULT 0,         -- number of that line
    checked   INTEGER NOT NULL DEFAULT 0,         -- last good check, seconds since 1970
    sealed    INTEGER NOT NULL DEFAULT 0,
    state     TEXT,                               -- what was found wrong: damage, loss, silent-change
    source    TEXT,
    received  TEXT,                               -- RFC 3339, UTC
    PRIMARY KEY (folder, name)
) STRICT, WITHOUT ROWID;
CREATE TABLE variable_sets (
    id     INTEGER PRIMARY KEY,
    names  TEXT NOT NULL UNIQUE                   -- each between line feeds
) STRICT;
CREATE TABLE contents (
    folder    INTEGER NOT NULL,
    name      TEXT NOT NULL,
    size      INTEGER NOT NULL,                   -- of the file that was probed
    mtime_ns  INTEGER NOT NULL,
    format    TEXT,
    first     TEXT,                               -- the time that its data covers
    last      TEXT,
    variables INTEGER,
    json      TEXT NOT NULL,                      -- what octonas-probe found
    PRIMARY KEY (folder, name)
) STRICT, WITHOUT ROWID;
CREATE TABLE history (
    path    TEXT NOT NULL,
    time    TEXT NOT NULL,                        -- RFC 3339, UTC
    what    TEXT NOT NULL,                        -- changed, gone, moved, sealed, unsealed, repaired, damage, loss …
    mark    INTEGER NOT NULL,
    size    INTEGER,
    sha256  BLOB,
    other   TEXT,                                 -- the other path of a move
    PRIMARY KEY (path, time, what, mark)
) STRICT, WITHOUT ROWID;
CREATE TABLE state (
    name   TEXT NOT NULL PRIMARY KEY,
    value  TEXT NOT NULL
) STRICT, WITHOUT ROWID;
INSERT INTO folders (path) SELECT DISTINCT rtrim(rtrim(path, replace(path, '/', '')), '/') FROM files;
INSERT INTO entries (folder, name, size, mtime_ns, sha256, source, received)
    SELECT folders.id, substr(files.path, length(rtrim(files.path, replace(files.path, '/', ''))) + 1), size, mtime_ns,
        unhex(sha256), source, received
    FROM files JOIN folders ON folders.path = rtrim(rtrim(files.path, replace(files.path, '/', '')), '/');
INSERT INTO contents (folder, name, size, mtime_ns, format, json)
    SELECT folders.id, substr(files.path, length(rtrim(files.path, replace(files.path, '/', ''))) + 1), probed_size,
        probed_mtime_ns, iif(json_valid(contents), json_extract(contents, '$.format'), NULL), contents
    FROM files JOIN folders ON folders.path = rtrim(rtrim(files.path, replace(files.path, '/', '')), '/')
    WHERE contents IS NOT NULL AND probed_size IS NOT NULL AND probed_mtime_ns IS NOT NULL;
DROP TABLE files;
CREATE INDEX folders_parent ON folders (parent);
CREATE INDEX entries_inode ON entries (inode) WHERE inode <> 0;
CREATE INDEX entries_mark ON entries (mark) WHERE mark <> 0;
CREATE INDEX entries_checked ON entries (checked) WHERE mark <> 0;
CREATE INDEX entries_source ON entries (source, received) WHERE source IS NOT NULL;
CREATE INDEX entries_state ON entries (state) WHERE state IS NOT NULL;
CREATE INDEX contents_format ON contents (format);
CREATE INDEX contents_variables ON contents (variables);
