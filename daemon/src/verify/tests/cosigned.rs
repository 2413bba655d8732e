//! What witnesses wrote holds the log, and what was changed in it is found.

use countersign_shared::log::checkpoint::Checkpoint;
use countersign_shared::log::tree::Hash;

use super::every_byte::{Expected, Table, columns, flip, free};
use super::made::cosigned::{COSIGNED, policy, witness};
use super::*;

fn copy() -> Copy {
    Copy::of(&COSIGNED.bytes)
}

fn report(copy: &Copy) -> Report {
    let trust = Trust {
        policy: Some(policy()),
        ..trust()
    };
    verify(&copy.path, &trust, &mut |_, _| {}).unwrap()
}

fn cosigned(_: &Connection, key: &rusqlite::types::Value) -> Expected {
    let size: u64 = if let rusqlite::types::Value::Text(key) = key {
        key.split(' ').next().unwrap().parse().unwrap()
    } else {
        let rusqlite::types::Value::Integer(size) = key else {
            panic!("{key:?} is no key");
        };
        u64::try_from(*size).unwrap()
    };
    Expected::Exactly(Place::Cosigned(size))
}

/// What names one row of `cosignature`: the two columns of its key.
const OF_COSIGNATURES: &str = "size || ' ' || vkey";

const TABLES: [Table; 2] = [
    Table {
        name: "cosigned_head",
        key: "size",
        about: cosigned,
    },
    Table {
        name: "cosignature",
        key: OF_COSIGNATURES,
        about: cosigned,
    },
];

#[test]
fn the_last_head_with_a_quorum_counts_as_held_elsewhere_and_only_with_a_policy() {
    let copy = copy();
    let found = report(&copy);
    assert!(found.is_good(), "{found}");
    assert_eq!(found.quorum, Some(COSIGNED.quorum));
    assert!(COSIGNED.alone > COSIGNED.quorum);
    assert_eq!(found.witnessed, COSIGNED.quorum);
    let said = format!(
        "a quorum of witnesses cosigned the head of {}",
        COSIGNED.quorum
    );
    assert!(found.to_string().contains(&said), "{found}");
    let without = copy.report();
    assert_eq!((without.quorum, without.witnessed), (None, 0));
    copy.execute("DELETE FROM cosignature");
    let found = report(&copy);
    assert!(found.is_good(), "{found}");
    assert_eq!(found.quorum, Some(0));
}

#[test]
fn every_flipped_byte_of_what_witnesses_wrote_is_found_at_its_head() {
    let copy = copy();
    free(&copy);
    for table in &TABLES {
        for column in columns(&copy.conn, table.name) {
            if !["size", "vkey"].contains(&column.as_str()) {
                flip(&copy, table, &column, true);
            }
        }
    }
    for key in ["size", "vkey"] {
        let other = match key {
            "size" => "size + 1",
            _ => "replace(vkey, 'w1', 'w4')",
        };
        for table in ["cosigned_head", "cosignature"] {
            if table == "cosigned_head" && key == "vkey" {
                continue;
            }
            let copy = Copy::of(&COSIGNED.bytes);
            free(&copy);
            copy.execute(&format!("UPDATE {table} SET {key} = {other}"));
            assert!(!copy.report().is_good(), "{table}.{key}");
        }
    }
    assert!(report(&copy).is_good());
}

#[test]
fn a_history_rewritten_with_the_stolen_log_key_contradicts_what_was_cosigned() {
    let copy = copy();
    let mut entries = copy.entries();
    let last = entries.len() - 1;
    entries.truncate(last);
    copy.resign(&entries);
    assert!(
        report(&copy)
            .findings
            .iter()
            .all(|one| one.place != Place::Cosigned(COSIGNED.quorum))
    );
    entries.truncate(usize::try_from(COSIGNED.quorum).unwrap() - 1);
    copy.resign(&entries);
    copy.expect("cosigned head of", "was cosigned, here are fewer");
}

#[test]
fn a_cosignature_over_another_root_of_the_same_size_is_found() {
    let copy = copy();
    let size = COSIGNED.alone;
    let root = Hash::from_bytes([7; 32]);
    let fork = Checkpoint::new(ORIGIN, TreeHead { size, root }).unwrap();
    let line = witness(1).cosign(&fork, 8).unwrap().to_line();
    let stored = i64::try_from(size).unwrap();
    let put = |table: &str, column: &str, value: &str| {
        let sql = format!("UPDATE {table} SET {column} = ?1 WHERE size = ?2");
        assert_eq!(copy.conn.execute(&sql, params![value, stored]).unwrap(), 1);
    };
    put("cosignature", "line", &line);
    copy.expect(
        &format!("cosigned head of {size} entries"),
        "is not over this head",
    );
    put("cosigned_head", "note", &fork.sign(&log_key()));
    copy.expect(
        &format!("cosigned head of {size} entries"),
        "another size or root",
    );
}
