mod evasion;

use super::*;

fn around() -> Surroundings {
    Surroundings {
        principal: Principal::Agent(Agent {
            user: Some("etl".to_owned()),
            uid: 1001,
            program: Some("/usr/bin/python3".to_owned()),
            unit: Some("etl.service".to_owned()),
            container: Some(String::new()),
            host: "build-1".to_owned(),
            groups: Some(BTreeSet::from(["agents".to_owned()])),
        }),
        identity: "pidfd".to_owned(),
        workspace: Some("/srv/etl".to_owned()),
        program: Ok("ab".repeat(32)),
        resolved: BTreeMap::new(),
        wall: "2026-11-21T20:49:13.007Z".parse().unwrap(),
        utc_offset_minutes: 60,
        recent: Recent {
            denials: 1,
            requests: 7,
        },
    }
}

fn facts(action: &Value) -> Facts {
    Facts::of(action, &around(), &Kinds::known())
}

fn sql(statement: &str) -> Facts {
    facts(&json!({
        "v": 1, "kind": "sql.exec", "target": {"kind": "database", "name": "orders"},
        "arguments": {"statement": statement},
    }))
}

#[track_caller]
fn set(facts: &Facts, name: &str, expected: &[&str]) {
    assert_eq!(facts.computed().get(name), Some(&json!(expected)), "{name}");
}

#[test]
fn statements_tables_and_functions_are_read_out_of_sql() {
    let facts = sql("SELECT count(*) FROM Orders o JOIN shop.\"People\" p ON p.id = o.id");
    set(&facts, "statements", &["select"]);
    set(&facts, "tables", &["orders", "shop.people"]);
    set(&facts, "functions", &["count"]);
    assert_eq!(facts.word("reversibility"), "read-only");
    assert!(facts.unknown().is_empty(), "{:?}", facts.unknown());
}

#[test]
fn a_statement_inside_another_one_counts() {
    for (text, word) in [
        (
            "WITH gone AS (DELETE FROM t WHERE a = 1 RETURNING *) SELECT * FROM gone",
            "delete",
        ),
        ("EXPLAIN ANALYZE DELETE FROM t", "delete"),
        ("SELECT 1; DROP TABLE t", "drop"),
        ("SELECT * INTO copy FROM t", "create"),
        ("SELECT * FROM t FOR UPDATE", "lock"),
        (
            "INSERT INTO t VALUES (1) ON CONFLICT (a) DO UPDATE SET a = 2",
            "update",
        ),
        ("REPLACE INTO t VALUES (1)", "replace"),
        ("TRUNCATE TABLE t", "truncate"),
        ("ALTER TABLE t DROP COLUMN a", "alter"),
        ("GRANT ALL ON t TO bob", "grant"),
    ] {
        let facts = sql(text);
        let statements = facts.computed().get("statements").unwrap();
        assert!(
            statements.as_array().unwrap().contains(&json!(word)),
            "{text}: {statements}"
        );
        assert_ne!(facts.word("reversibility"), "read-only", "{text}");
    }
}

#[test]
fn a_masked_literal_leaves_a_statement_readable() {
    let mask = json!({"$mask": {"class": "password", "length": 7, "tag": "00000000"}});
    let facts = facts(&json!({
        "kind": "sql.exec",
        "arguments": {"statement": {"$parts": ["SELECT * FROM t WHERE p = '", mask, "'"]}},
    }));
    set(&facts, "statements", &["select"]);
    let outside = self::facts(&json!({
        "kind": "sql.exec",
        "arguments": {"statement": {"$parts": ["SELECT * FROM ", mask]}},
    }));
    assert!(outside.unknown().contains_key("context.statements"));
}

#[test]
fn arguments_that_a_policy_does_not_see_whole_are_not_known() {
    let facts =
        facts(&json!({"kind": "infra.apply", "arguments": {"force": true, "n": 7, "no": null}}));
    set(&facts, "arguments", &["force=true", "n=7"]);
    assert!(!facts.unknown().contains_key("context.arguments"));
    for hidden in [json!([true]), json!({"a": 1}), json!("x".repeat(2000))] {
        let facts = self::facts(&json!({"kind": "infra.apply", "arguments": {"force": hidden}}));
        set(&facts, "arguments", &[]);
        assert!(facts.unknown().contains_key("context.arguments"));
    }
}

#[test]
fn a_table_is_named_by_every_statement_that_touches_it() {
    for text in [
        "DROP TABLE Orders",
        "TRUNCATE orders",
        "DELETE FROM orders",
        "UPDATE orders SET a = 1",
        "INSERT INTO orders VALUES (1)",
        "ALTER TABLE `orders` ADD a INT",
        "CREATE TABLE orders (a INT)",
        "SELECT * FROM (SELECT * FROM orders) x",
    ] {
        let facts = sql(text);
        let tables = facts.computed().get("tables").unwrap();
        assert!(
            tables.as_array().unwrap().contains(&json!("orders")),
            "{text}: {tables}"
        );
    }
}

#[test]
fn a_function_that_may_do_something_makes_a_select_unknown() {
    let facts = sql("SELECT pg_terminate_backend(1)");
    assert_eq!(facts.word("reversibility"), UNKNOWN);
    assert!(facts.unknown().contains_key("context.reversibility"));
    let facts = sql("SELECT * FROM dblink('x', 'DROP TABLE t')");
    assert_eq!(facts.word("reversibility"), UNKNOWN);
}

#[test]
fn a_change_without_a_condition_is_a_fact() {
    assert!(sql("DELETE FROM t").flag("unfiltered"));
    assert!(sql("UPDATE t SET a = 1").flag("unfiltered"));
    assert!(!sql("UPDATE t SET a = 1 WHERE b = 2").flag("unfiltered"));
}

#[test]
fn what_no_database_reads_is_unparsable_and_says_so() {
    for text in [
        "DROPP TABLE x".to_owned(),
        String::new(),
        "SELECT 1 /*! ; DROP TABLE t */".to_owned(),
        "-- nothing".to_owned(),
        format!("SELECT '{}'", "a".repeat(70_000)),
        "(".repeat(5_000),
    ] {
        let facts = sql(&text);
        assert_eq!(
            facts.computed().get("parsed"),
            Some(&json!(false)),
            "{text:.40}"
        );
        assert!(facts.unknown().contains_key("context.statements"));
        assert_eq!(facts.word("reversibility"), UNKNOWN);
    }
}

#[test]
fn a_string_that_ends_differently_in_one_database_is_read_both_ways() {
    // With backslash escapes the string goes on; without them, a second statement begins.
    let facts = sql(r"SELECT 'a\'; DROP TABLE t; -- '");
    let statements = facts.computed().get("statements").unwrap();
    assert!(
        statements.as_array().unwrap().contains(&json!("drop")),
        "{statements}"
    );
}

fn write(paths: &[&str], resolved: &[(&str, &str)]) -> Facts {
    let changes: Vec<Value> = paths
        .iter()
        .map(|path| {
            json!({"path": path, "before": {"text": "a"}, "after": {"text": "b"}, "mode": null})
        })
        .collect();
    let action = json!({
        "v": 1, "kind": "file.write", "target": {"kind": "file", "name": "x"}, "arguments": {},
        "changes": changes, "context": {"cwd": "/srv/etl"},
    });
    let mut around = around();
    for (from, to) in resolved {
        around.resolved.insert((*from).to_owned(), (*to).to_owned());
    }
    Facts::of(&action, &around, &Kinds::known())
}

#[test]
fn a_path_is_inside_when_it_is_written_and_leads_inside() {
    let inside = write(&["src/a.rs"], &[("/srv/etl/src/a.rs", "/srv/etl/src/a.rs")]);
    assert!(inside.flag("inside_workspace"));
    set(&inside, "names", &["a.rs"]);
    assert_eq!(inside.word("reversibility"), "reversible");
    for (path, leads) in [
        ("src/a.rs", "/etc/passwd"),
        ("../other/a", "/srv/other/a"),
        ("/srv/etl2/a", "/srv/etl2/a"),
        ("src/../../x", "/srv/x"),
    ] {
        let from = normalised(path, Some("/srv/etl")).unwrap();
        let facts = write(&[path], &[(&from, leads)]);
        assert_eq!(
            facts.computed().get("inside_workspace"),
            Some(&json!(false)),
            "{path}"
        );
        assert!(
            !facts.unknown().contains_key("context.inside_workspace"),
            "{path}"
        );
    }
}

#[test]
fn a_path_that_nobody_resolved_is_not_known_to_be_inside() {
    let facts = write(&["src/a.rs"], &[]);
    assert_eq!(
        facts.computed().get("inside_workspace"),
        Some(&json!(false))
    );
    assert!(facts.unknown().contains_key("context.inside_workspace"));
}

#[test]
fn where_a_link_leads_is_one_of_the_paths() {
    let facts = write(&["key"], &[("/srv/etl/key", "/home/ana/.ssh/id_ed25519")]);
    set(
        &facts,
        "components",
        &[".ssh", "ana", "etl", "home", "id_ed25519", "key", "srv"],
    );
}

#[test]
fn the_words_of_the_patterns_of_a_search_are_names() {
    let search = |patterns: Value| {
        facts(&json!({
            "v": 1, "kind": "file.search", "target": {"kind": "directory", "name": "src"},
            "arguments": {"path": "src", "patterns": patterns}, "context": {"cwd": "/srv/etl"},
        }))
    };
    for (patterns, names) in [
        (json!([]), vec!["src"]),
        (json!(["*.rs"]), vec![".rs", "src"]),
        (
            json!(["**/.env*", "{.npmrc,a.*}"]),
            vec![".env", ".npmrc", "a.", "src"],
        ),
        (json!(["!id_rsa"]), vec!["id_rsa", "src"]),
    ] {
        set(&search(patterns), "names", &names);
    }
    let found = search(json!([".ssh/**"]));
    set(&found, "components", &[".ssh", "etl", "src", "srv"]);
    for patterns in [json!(".env"), json!([1])] {
        assert!(
            search(patterns).unknown().contains_key("context.names"),
            "what is no pattern is not known to name no secret"
        );
    }
}

fn request(method: &str, url: &str) -> Facts {
    facts(&json!({
        "v": 1, "kind": "http.request", "target": {"kind": "host", "name": "x"},
        "arguments": {"method": method, "url": url},
    }))
}

#[test]
fn a_host_is_read_the_way_every_program_reads_it() {
    for (url, host, address, port) in [
        (
            "https://API.Example.org./v1?x=1",
            "api.example.org",
            "name",
            443,
        ),
        ("http://u:p@example.org:8080", "example.org", "name", 8080),
        (
            "http://169.254.169.254/latest",
            "169.254.169.254",
            "link-local",
            80,
        ),
        ("http://[::1]/", "[::1]", "loopback", 80),
        (
            "http://[::ffff:10.0.0.1]/",
            "[::ffff:10.0.0.1]",
            "private",
            80,
        ),
        ("http://localhost:1/", "localhost", "loopback", 1),
        ("http://0x7f000001/", "0x7f000001", UNKNOWN, 80),
        ("http://127.1/", "127.1", UNKNOWN, 80),
    ] {
        let facts = request("GET", url);
        assert_eq!(facts.word("host"), host, "{url}");
        assert_eq!(facts.word("address"), address, "{url}");
        assert_eq!(facts.computed().get("port"), Some(&json!(port)), "{url}");
    }
}

#[test]
fn an_address_that_could_be_read_in_two_ways_is_unknown() {
    for url in [
        "http://good.org\\@evil.org/",
        "http://a@b@c/",
        "ftp://x/",
        "x",
        "http:///",
        "http://%65vil.org/",
        "http://exa mple.org",
        "http://x:99999/",
    ] {
        let facts = request("GET", url);
        assert!(
            facts.unknown().contains_key("context.host"),
            "{url}: {}",
            facts.word("host")
        );
        assert_eq!(facts.word("host"), UNKNOWN, "{url}");
    }
}

#[test]
fn hidden_text_and_unreadable_bytes_are_found_wherever_they_stand() {
    for (action, name) in [
        (
            json!({"arguments": {"argv": ["x", {"base64": "/w=="}]}}),
            "opaque_contents",
        ),
        (
            json!({"context": {"environment": {"A": {"base64": "/w=="}}}}),
            "opaque_contents",
        ),
        (
            json!({"arguments": {"deep": [[{"a\u{202e}": 1}]]}}),
            "hidden_text",
        ),
        (json!({"target": {"name": "a\u{e0041}"}}), "hidden_text"),
    ] {
        assert!(facts(&action).flag(name), "{action}");
    }
    let plain = facts(&json!({"kind": "file.read", "arguments": {"argv": ["ls", "größe"]}}));
    assert!(!plain.flag("hidden_text") && !plain.flag("opaque_contents"));
}

#[test]
fn what_the_agent_says_is_apart_from_what_is_computed() {
    let facts = facts(&json!({
        "kind": "data.export", "claims": {"agent": "etl-3", "reason": "routine"},
        "data": [{"name": "orders", "classification": "public", "access": "export",
                  "records": 48211, "destination": "s3://x"}],
    }));
    assert_eq!(facts.stated().get("records"), Some(&json!(48211)));
    assert_eq!(
        facts.stated().get("classifications"),
        Some(&json!(["public"]))
    );
    assert_eq!(
        facts.computed().get("data"),
        Some(&json!({"names": ["orders"], "accesses": ["export"], "destinations": ["s3://x"]}))
    );
    assert!(!facts.to_value()["computed"].to_string().contains("48211"));
}

#[test]
fn a_program_that_is_not_the_named_one_is_not_known() {
    let action = json!({"kind": "exec.run", "arguments": {
        "argv": ["python3.12", "-c", "x"],
        "program": {"path": "/usr/bin/python3.12", "sha256": "cd".repeat(32)}, "stdin": null}});
    let facts = facts(&action);
    assert!(facts.unknown().contains_key("context.program"));
    assert!(facts.flag("interpreter"));
    assert_eq!(facts.word("first"), "-c");
}

#[test]
fn the_time_is_that_of_the_daemons_zone() {
    let facts = facts(&json!({"kind": "file.read"}));
    let expected = json!({"hour": 21, "minute": 49, "weekday": "saturday"});
    assert_eq!(facts.computed().get("time"), Some(&expected));
}

#[test]
fn facts_are_read_back_as_they_were_written_and_nothing_else_is_read() {
    let facts = sql("SELECT 1");
    let value = facts.to_value();
    assert_eq!(Facts::read(&value).unwrap(), facts);
    countersign_shared::json::integers_only(&value).unwrap();
    for broken in [
        json!([]),
        json!({}),
        json!({"v": 2, "principal": {}, "computed": {"kind": "a.b"}, "stated": {}, "unknown": {}}),
        json!({"v": 1, "principal": {}, "computed": {}, "stated": {}, "unknown": {}}),
        json!({"v": 1, "principal": {}, "computed": {"kind": "a.b"}, "stated": {}, "unknown": {"a": 1}}),
        json!({"v": 1, "principal": {}, "computed": {"kind": "a.b"}, "stated": {}, "unknown": {}, "x": 1}),
    ] {
        assert!(Facts::read(&broken).is_err(), "{broken}");
    }
}
