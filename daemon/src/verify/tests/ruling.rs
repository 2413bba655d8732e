//! Rules that took force by another right than the log shows, and rules that are not the kept ones.

use countersign_shared::digest::Digest;
use serde_json::{Value, json};

use super::*;

/// Returns the positions of the entries of a type.
fn positions(copy: &Copy, entry_type: &str) -> Vec<usize> {
    let entries = copy.entries();
    let is = |bytes: &Vec<u8>| Entry::read(bytes).unwrap().body.entry_type() == entry_type;
    let found = entries.iter().enumerate().filter(|(_, bytes)| is(bytes));
    found.map(|(at, _)| at).collect()
}

/// Returns where rules took force by signatures, the first and the second time.
fn signed_changes(copy: &Copy) -> [usize; 2] {
    let entries = copy.entries();
    let by_signatures = |at: &usize| {
        let value: Value = serde_json::from_slice(&entries[*at]).unwrap();
        value["body"]["via"]["kind"] == "signatures"
    };
    let found: Vec<usize> = positions(copy, "rules.changed")
        .into_iter()
        .filter(by_signatures)
        .collect();
    found.try_into().unwrap()
}

#[test]
fn rules_that_were_kept_and_then_replaced_or_lost_are_found() {
    Copy::new()
        .execute("DELETE FROM rules_blob WHERE digest = (SELECT min(digest) FROM rules_blob)")
        .expect("entry", "were not kept");
    Copy::new()
        .execute("UPDATE rules_blob SET bytes = CAST(replace(CAST(bytes AS TEXT), '\"sre\"', '\"dba\"') AS BLOB)")
        .expect("entry 0", "its rules have the digest");
    Copy::new()
        .execute("UPDATE rules_text SET text = text || ' '")
        .expect("entry 0", "of its rules is missing, or another one");
    Copy::new()
        .execute("DELETE FROM rules_file")
        .expect("entry 0", "of its rules is missing, or another one");
    Copy::new()
        .execute("INSERT INTO rules_text (sha256, text) VALUES (zeroblob(32), 'permit')")
        .expect("database", "were never in force");
    Copy::new()
        .execute("INSERT INTO rules_blob (digest, bytes) VALUES (zeroblob(32), x'78')")
        .expect("database", "were never in force");
    Copy::new()
        .execute("INSERT INTO rules_adopted (id, entry) VALUES (1, 0)")
        .expect("database", "which adoption of rules");
}

#[test]
fn rules_that_took_force_by_another_right_than_is_said_are_found() {
    let [at, _] = signed_changes(&Copy::new());
    let place = format!("entry {at}");
    let with_via = |via: Value| {
        let copy = Copy::new();
        copy.edit(at, |entry| entry["body"]["via"] = via);
        copy
    };
    with_via(json!({"kind": "removal"})).expect(&place, "as a removal of people or keys");
    let adoption = json!({"kind": "adoption", "reason": "keys are lost"});
    with_via(adoption).expect("database", "which adoption of rules");
    let copy = Copy::new();
    copy.edit(at, |entry| {
        entry["body"].as_object_mut().unwrap().remove("via");
    });
    copy.expect(&place, "not enough reviewers of the moment had signed");
}

#[test]
fn rules_put_in_the_place_of_those_that_were_signed_are_found() {
    let copy = Copy::new();
    let [at, _] = signed_changes(&copy);
    let genesis: Value = serde_json::from_slice(&copy.entries()[0]).unwrap();
    let other = Digest::of(b"other rules").to_string();
    assert_ne!(genesis["body"]["rules"]["rules"], other.as_str());
    copy.edit(at, |entry| entry["body"]["rules"] = json!(other));
    copy.expect(&format!("entry {at}"), "not enough reviewers");
    // Policies that nobody signed, under the digest that was: what is kept does not have it.
    let copy = Copy::new();
    copy.edit(at, |entry| {
        entry["body"]["members"][0]["groups"] = json!(["dba"]);
    });
    copy.expect(
        &format!("entry {at}"),
        "other people or keys than its rules",
    );
}

#[test]
fn signatures_on_rules_that_are_swapped_bent_or_missing_are_found() {
    let copy = Copy::new();
    let signed = positions(&copy, "rules.signed");
    let [first, second] = signed_changes(&copy);
    assert_eq!(signed.len(), 2);
    let mut entries = copy.entries();
    let mut values: Vec<Value> = signed
        .iter()
        .map(|at| serde_json::from_slice(&entries[*at]).unwrap())
        .collect();
    let (one, two) = (values[0]["body"].take(), values[1]["body"].take());
    values[0]["body"] = two;
    values[1]["body"] = one;
    for (at, value) in signed.iter().zip(&values) {
        entries[*at] = countersign_shared::json::canonical(value).unwrap();
    }
    copy.resign(&entries);
    for (at, change) in signed.iter().zip([first, second]) {
        copy.expect(&format!("entry {at}"), "its statement does not fit");
        copy.expect(&format!("entry {change}"), "not enough reviewers");
    }

    let copy = Copy::new();
    copy.edit(signed[0], |entry| {
        let sshsig = entry["body"]["act"]["sshsig"].as_str().unwrap();
        let bent = sshsig.replacen("AAAA", "AAAB", 1);
        entry["body"]["act"]["sshsig"] = json!(bent);
    });
    copy.expect(&format!("entry {}", signed[0]), "signature does not count");

    // The signature of the change before is in the place of a proposal's own.
    let copy = Copy::new();
    let mut entries = copy.entries();
    let mut value: Value = serde_json::from_slice(&entries[signed[1]]).unwrap();
    let earlier: Value = serde_json::from_slice(&entries[signed[0]]).unwrap();
    value["body"] = earlier["body"].clone();
    entries[signed[1]] = countersign_shared::json::canonical(&value).unwrap();
    copy.resign(&entries);
    copy.expect(
        &format!("entry {}", signed[1]),
        "its statement does not fit",
    );
}

#[test]
fn a_removal_that_changes_policies_as_well_is_found() {
    use crate::rules::Written;

    let copy = Copy::new();
    let entries = copy.entries();
    let at = positions(&copy, "rules.changed")[0];
    let change: Value = serde_json::from_slice(&entries[at]).unwrap();
    assert_eq!(change["body"]["via"]["kind"], "removal");
    // A thief of the log's key keeps other rules under the new digest, and writes that into the log.
    let digest: Digest = change["body"]["rules"].as_str().unwrap().parse().unwrap();
    let bytes: Vec<u8> = copy
        .conn
        .query_row(
            "SELECT bytes FROM rules_blob WHERE digest = ?1",
            [digest.as_bytes()],
            |row| row.get(0),
        )
        .unwrap();
    let mut rules: Value = serde_json::from_slice(&bytes).unwrap();
    rules["default_requirement"]["tier"] = json!("low");
    let bytes = countersign_shared::json::canonical(&rules).unwrap();
    Written::read(&bytes).unwrap();
    let bent = Digest::of(&bytes);
    copy.conn
        .execute(
            "INSERT INTO rules_blob (digest, bytes) VALUES (?1, ?2)",
            params![bent.as_bytes(), bytes],
        )
        .unwrap();
    copy.edit(at, |entry| entry["body"]["rules"] = json!(bent.to_string()));
    copy.expect(&format!("entry {at}"), "changes more of the rules");
}
