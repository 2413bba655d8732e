//! The database's schema, by number. A newer one is refused; an older one is brought up step by
//! step, each in a transaction.

use rusqlite::Connection;

use super::StoreError;

/// The schema this program writes.
pub(super) const VERSION: i64 = 5;

/// What makes each schema of the one before it, and what that is called when it fails.
const STEPS: [(&str, &str); 5] = [
    (FIRST, "create the tables"),
    (SECOND, "create the tables of what is owed"),
    (THIRD, "create the tables of the rules"),
    (FOURTH, "create the table of the log's keys"),
    (FIFTH, "create the tables of cosigned heads"),
];

/// Brings the schema up to [`VERSION`].
pub(super) fn upgrade(conn: &mut Connection) -> Result<(), StoreError> {
    let found: i64 = conn
        .query_row("PRAGMA user_version", [], |row| row.get(0))
        .map_err(StoreError::sql("read the schema's version"))?;
    if found > VERSION {
        return Err(StoreError::Newer {
            found,
            known: VERSION,
        });
    }
    let steps = (1..).zip(STEPS);
    for (number, (tables, what)) in steps.filter(|(number, _)| found < *number) {
        let tx = conn
            .transaction()
            .map_err(StoreError::sql("begin the upgrade"))?;
        tx.execute_batch(tables).map_err(StoreError::sql(what))?;
        tx.pragma_update(None, "user_version", number)
            .map_err(StoreError::sql("number the schema"))?;
        tx.commit().map_err(StoreError::sql("finish the upgrade"))?;
    }
    Ok(())
}

/// Schema 1. Leaves and documents are only ever added; a request's row changes with its version.
///
/// What a Submit writes stands at the end of its table, so that it touches few pages: requests and
/// documents go by the position of `request.received`, and a leaf carries the inner nodes of the
/// tree that it completes, the lowest first.
const FIRST: &str = "
CREATE TABLE audit_leaf (
    idx INTEGER PRIMARY KEY,
    data BLOB NOT NULL,
    leaf_hash BLOB NOT NULL CHECK (length(leaf_hash) = 32),
    nodes BLOB NOT NULL CHECK (length(nodes) % 32 = 0),
    request BLOB
) STRICT;
CREATE INDEX audit_leaf_by_request ON audit_leaf (request, idx) WHERE request IS NOT NULL;

CREATE TABLE audit_head (
    id INTEGER PRIMARY KEY CHECK (id = 1),
    size INTEGER NOT NULL,
    frontier BLOB NOT NULL,
    note TEXT NOT NULL
) STRICT;

CREATE TABLE request (
    received_index INTEGER PRIMARY KEY,
    id BLOB NOT NULL UNIQUE CHECK (length(id) = 16),
    state TEXT NOT NULL,
    open INTEGER NOT NULL,
    version INTEGER NOT NULL,
    machine TEXT NOT NULL,
    received_ms INTEGER NOT NULL,
    changed_ms INTEGER NOT NULL,
    uid INTEGER NOT NULL,
    principal TEXT NOT NULL,
    sameness BLOB NOT NULL,
    ask_key TEXT NOT NULL,
    held INTEGER NOT NULL
) STRICT;
CREATE INDEX request_open ON request (open) WHERE open = 1;
CREATE INDEX request_denied ON request (sameness, changed_ms) WHERE state = 'denied';

CREATE TABLE document (
    received_index INTEGER PRIMARY KEY,
    bytes BLOB NOT NULL
) STRICT;

CREATE TABLE rules_in_force (
    id INTEGER PRIMARY KEY CHECK (id = 1),
    digest BLOB NOT NULL CHECK (length(digest) = 32)
) STRICT;
";

/// Schema 2. What people still owe; and what is indeterminate is not open.
const SECOND: &str = "
CREATE TABLE debt (
    request BLOB PRIMARY KEY REFERENCES request (id)
) STRICT, WITHOUT ROWID;
CREATE TABLE joined_asking (
    request BLOB PRIMARY KEY
) STRICT, WITHOUT ROWID;
INSERT INTO joined_asking (request) SELECT id FROM request WHERE open = 1;
CREATE INDEX request_unsettled ON request (received_ms) WHERE state = 'indeterminate';
UPDATE request SET open = 0 WHERE state = 'indeterminate';
";

/// Schema 3. The rules that were ever in force, as bytes; and which adoption nobody acknowledged.
const THIRD: &str = "
CREATE TABLE rules_blob (
    digest BLOB PRIMARY KEY CHECK (length(digest) = 32),
    bytes BLOB NOT NULL
) STRICT;
CREATE TABLE rules_text (
    sha256 BLOB PRIMARY KEY CHECK (length(sha256) = 32),
    text TEXT NOT NULL
) STRICT;
CREATE TABLE rules_file (
    digest BLOB NOT NULL CHECK (length(digest) = 32),
    name TEXT NOT NULL,
    sha256 BLOB NOT NULL CHECK (length(sha256) = 32),
    PRIMARY KEY (digest, name)
) STRICT, WITHOUT ROWID;
CREATE TABLE rules_adopted (
    id INTEGER PRIMARY KEY CHECK (id = 1),
    entry INTEGER NOT NULL
) STRICT;
";

/// Schema 4. Where in the log its keys changed: the entry that announced a key, and the one that ended
/// the key before it.
const FOURTH: &str = "
CREATE TABLE log_rotation (
    entry INTEGER PRIMARY KEY,
    retired INTEGER
) STRICT;
";

/// Schema 5. Heads that witnesses have cosigned, and what each wrote below.
const FIFTH: &str = "
CREATE TABLE cosigned_head (
    size INTEGER PRIMARY KEY,
    note TEXT NOT NULL
) STRICT;
CREATE TABLE cosignature (
    size INTEGER NOT NULL REFERENCES cosigned_head (size),
    vkey TEXT NOT NULL,
    line TEXT NOT NULL,
    PRIMARY KEY (size, vkey)
) STRICT, WITHOUT ROWID;
";
