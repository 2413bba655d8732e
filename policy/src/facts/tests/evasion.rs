//! What an action could try to hide from policy.

use super::*;
use crate::fixtures::action;

#[test]
fn what_is_a_string_for_one_database_and_not_read_by_another_is_not_known() {
    // MySQL's string ends at the last quote; for PostgreSQL it ends at the second one, and what follows
    // runs there, although this parser does not know the word.
    for statement in [
        r"SELECT 'a\'; DROP TABLE x; CHECKPOINT; --'",
        "SELECT 1 --1; HANDLER t OPEN; DROP TABLE x",
        "SELECT $$ ' $$; HANDLER t OPEN; DROP TABLE x; -- '",
        "SELECT 1 # ; HANDLER t OPEN; DROP TABLE x",
    ] {
        let facts = sql(statement);
        assert_eq!(facts.computed()["parsed"], false, "{statement}: {facts:?}");
        assert!(
            facts.unknown().contains_key("context.statements"),
            "{statement}"
        );
        assert_eq!(facts.word("reversibility"), UNKNOWN, "{statement}");
    }
    // What only one of them knows is read where all see the same words.
    for statement in [
        "ALTER TABLE `orders` ADD a INT",
        "SELECT a FROM [dbo].[orders] WHERE b = 'x'",
        "SELECT a::int, \"B\" FROM t WHERE c = $1 -- all of it",
        "INSERT INTO t VALUES (1) ON DUPLICATE KEY UPDATE a = 2",
    ] {
        let facts = sql(statement);
        assert_eq!(facts.computed()["parsed"], true, "{statement}: {facts:?}");
    }
}

#[test]
fn what_replaces_something_does_not_only_add() {
    for statement in [
        "CREATE OR REPLACE VIEW v AS SELECT 1",
        "CREATE OR REPLACE FUNCTION f() RETURNS int LANGUAGE sql AS 'SELECT 1'",
        "create or replace table t (a int)",
        "CREATE OR ALTER VIEW v AS SELECT 1",
    ] {
        let facts = sql(statement);
        let found = facts.computed()["statements"].to_string();
        assert!(found.contains("\"replace\""), "{statement}: {found}");
        assert_eq!(facts.word("reversibility"), "irreversible", "{statement}");
    }
}

#[test]
fn a_text_that_nests_as_deep_as_it_is_long_ends_nobody() {
    let sum = format!("SELECT 1{}", "+1".repeat(32_000));
    let not = format!("SELECT {}1", "NOT ".repeat(15_000));
    let brackets = format!("SELECT {}1{}", "(".repeat(30_000), ")".repeat(30_000));
    let unions = format!("SELECT 1{}", " UNION SELECT 1".repeat(4_300));
    let ands = format!("SELECT 1 WHERE a{}", " AND a".repeat(10_000));
    let casts = format!("SELECT 1{}", "::int".repeat(13_000));
    for statement in [sum, not, brackets, unions, ands, casts] {
        // Of a thread with little room for others.
        let thread = std::thread::Builder::new().stack_size(512 * 1024);
        let thread = thread.spawn(move || sql(&statement)).unwrap();
        let found = thread.join().unwrap().computed()["statements"].to_string();
        assert!(found == "[]" || found == r#"["select"]"#, "{found}");
    }
}

#[test]
fn what_a_mask_hides_is_not_known() {
    let masked = json!({"$parts": [{"$mask": {"class": "token"}}]});
    let run = |argv: Value| {
        let program = json!({"path": "/usr/bin/x", "sha256": "00"});
        let arguments = json!({"argv": argv, "program": program});
        facts(&action("exec.run", ("host", "a"), &arguments))
    };
    let all = run(json!(["x", masked, "y"]));
    for name in ["context.argv", "context.first", "context.arguments"] {
        assert!(all.unknown().contains_key(name), "{name}: {all:?}");
    }
    assert!(!all.unknown().contains_key("context.second"));
    let clear = run(json!(["x", "y"]));
    assert!(!clear.unknown().contains_key("context.argv"));
    let arguments = json!({"server": "db", "tool": "t", "token": masked});
    let call = facts(&action("mcp.call", ("mcp", "db"), &arguments));
    assert!(call.unknown().contains_key("context.arguments"));
}

#[test]
fn a_path_that_is_no_text_leaves_the_paths_unknown() {
    for arguments in [
        json!({"path": ["/etc/shadow"]}),
        json!({"paths": "/etc/shadow"}),
        json!({"paths": [1]}),
        json!({"paths": ["/srv/etl/a", {"base64": "AA=="}]}),
    ] {
        let mut read = action("file.read", ("file", "/srv/etl/a"), &arguments);
        read["context"] = json!({"cwd": "/srv/etl"});
        let facts = facts(&read);
        for name in ["context.paths", "context.inside_workspace"] {
            assert!(facts.unknown().contains_key(name), "{arguments}: {facts:?}");
        }
        assert!(!facts.flag("inside_workspace"), "{arguments}");
    }
}
