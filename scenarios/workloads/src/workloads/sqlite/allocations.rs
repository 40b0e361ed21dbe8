//! Allocations of a transaction once its statements are prepared: one for each statement, whose text the library's cache
//! copies. SQLite itself does not use Rust's allocator.

use serde_json::json;

use super::Sqlite;
use crate::workloads::allocation_count::allocations;

#[test]
fn a_statement_allocates_once_in_the_statement_cache() {
    let directory = tempfile::tempdir().expect("a directory");
    let file = directory.path().join("own.db");
    let connection = rusqlite::Connection::open(&file).expect("a database");
    let journal = "PRAGMA journal_mode = wal";
    connection.execute_batch(journal).expect("the journal");
    let params = json!({
        "sqlite": { "file": file, "access": "inline", "setup": ["CREATE TABLE a (id INTEGER PRIMARY KEY, note TEXT)"] },
        "draw": { "id": { "from": 1, "to": 1000 }, "note": { "text": 64 } },
        "transaction": [{
            "statements": ["INSERT OR REPLACE INTO a VALUES (:id, :note)", "SELECT * FROM a WHERE id = :id"],
            "expect": { "rows": [1, 1] },
        }],
    });
    // Including BEGIN and COMMIT.
    assert_eq!(allocations::<Sqlite>(params, "", ""), [4, 400]);
}
