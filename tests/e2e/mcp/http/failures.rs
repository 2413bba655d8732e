//! Whatever fails over HTTP: no call reaches the server.

use std::fs;

use countersign_tests::Home;
use rustix::process::Signal;
use serde_json::{Value, json};

use super::super::call;
use super::Front;

#[test]
fn what_somebody_could_take_for_a_call_does_not_pass_over_http_either() {
    let home = Home::new();
    let front = Front::start(&home);
    for body in [
        r#"[{"jsonrpc":"2.0","id":1,"method":"tools/call","params":{"name":"drop"}}]"#,
        r#"{"jsonrpc":"2.0","id":1,"method":"ping","method":"tools/call","params":{"name":"drop"}}"#,
        r#"{"jsonrpc":"2.0","id":1,"method":"ping","Method":"tools/call","params":{"name":"drop"}}"#,
        r#"{"jsonrpc":"2.0","id":1,"method":"tools/call\u0000","params":{"name":"drop"}}"#,
        r#"{"jsonrpc":"2.0","id":1,"method":"ping","method\u0000":"tools/call","params":{"name":"drop"}}"#,
        r#"{"jsonrpc":"2.0","id":1,"method":"Tools/Call","params":{"name":"drop"}}"#,
        r#"{"jsonrpc":"2.0","id":1,"method":"tools/call\u200b","params":{"name":"drop"}}"#,
        "garbage",
    ] {
        let answer = front.exactly("POST", &front.headers(), body);
        assert_eq!(answer.status, 400, "{answer:?}");
        assert!(answer.json()["error"]["code"].is_i64());
    }
    let ping = json!({"jsonrpc": "2.0", "id": 1, "method": "ping"}).to_string();
    let headers = [front.headers(), vec![("Mcp-Method", "tools/call")]].concat();
    let answer = front.exactly("POST", &headers, &ping);
    assert_eq!(answer.json()["error"]["code"], -32020, "{answer:?}");
    let drop = call(1, "echo", &json!({})).to_string();
    for other in [("Mcp-Name", "drop"), ("Mcp-Param-Region", "us")] {
        let headers = [front.headers(), vec![other]].concat();
        let said = front.exactly("POST", &headers, &drop).json();
        assert_eq!(said["error"]["code"], -32020, "{other:?}");
    }
    assert_eq!(front.sent(), Vec::<Value>::new());
    assert_eq!(home.list().len(), 0);
}

#[test]
fn a_header_that_repeats_another_argument_never_reaches_the_server() {
    let home = Home::new();
    let front = Front::start(&home);
    let query = json!({"database": "staging", "note": "production"});
    let query = call(1, "query", &query);
    let code = |name: &str, value: &str| {
        let headers = [front.headers(), vec![(name, value)]].concat();
        let answer = front.exactly("POST", &headers, &query.to_string());
        assert_eq!(answer.status, 400, "{name}: {value}: {answer:?}");
        answer.json()["error"]["code"].clone()
    };
    // Which argument it is for has to be known.
    assert_eq!(code("Mcp-Param-Database", "staging"), -32020);
    let list = json!({"jsonrpc": "2.0", "id": 9, "method": "tools/list"});
    front.post(&list);
    assert_eq!(code("Mcp-Param-Database", "production"), -32020);
    assert_eq!(code("Mcp-Param-Note", "production"), -32020);
    front.assert_not_called();
    assert_eq!(home.list().len(), 0);
    let posted = front.posted_with(&[("Mcp-Param-Database", "staging")], &query);
    home.approve(&home.wait_for_state("pending")).expect_code(0);
    assert_eq!(posted.join().expect("an answer").json()["id"], 1);
    let sent = front.sent();
    let headers = &sent.last().expect("the call")[1];
    assert_eq!(headers["mcp-param-database"], "staging", "{headers}");
}

#[test]
fn a_name_in_a_header_is_that_of_the_message_whatever_its_method() {
    let home = Home::new();
    let front = Front::start(&home);
    let post = |method: &str, params: Value, header: (&str, &str)| {
        let message = json!({"jsonrpc": "2.0", "id": 1, "method": method, "params": params});
        let headers = [front.headers(), vec![header]].concat();
        front.exactly("POST", &headers, &message.to_string()).status
    };
    let name = |name| ("Mcp-Name", name);
    for (method, params, said, other) in [
        ("prompts/get", json!({"name": "a", "uri": "b"}), "a", "b"),
        ("resources/read", json!({"uri": "a", "name": "b"}), "a", "b"),
        ("tasks/get", json!({"taskId": "a", "name": "b"}), "a", "b"),
        ("x/y", json!({"name": "a"}), "a", "b"),
    ] {
        assert_eq!(post(method, params.clone(), name(said)), 200, "{method}");
        assert_eq!(post(method, params.clone(), name(other)), 400, "{method}");
        let parameter = ("Mcp-Param-X", said);
        assert_eq!(post(method, params, parameter), 400, "{method}");
    }
    assert_eq!(post("ping", json!({}), name("a")), 400);
    assert_eq!(
        post("x/y", json!({"name": "a", "uri": "b"}), name("a")),
        400
    );
    assert_eq!(front.sent().len(), 4);
    // Where there is no message, nothing can be repeated.
    for method in ["GET", "DELETE"] {
        let headers = [front.headers(), vec![name("a")]].concat();
        assert_eq!(front.exactly(method, &headers, "").status, 400, "{method}");
    }
    assert_eq!(front.sent().len(), 4);
}

#[test]
fn an_answer_that_could_be_read_in_two_ways_does_not_pass() {
    let home = Home::new();
    let front = Front::start(&home);
    let posted = front.posted(&call(1, "twice", &json!({})));
    let asked = home.wait_for_state("pending");
    home.approve(&asked).expect_code(0);
    let answer = posted.join().expect("an answer");
    assert_eq!(answer.status, 502, "{answer:?}");
    assert_eq!(answer.json()["id"], 1);
}

#[test]
fn without_a_server_an_approved_call_is_reported_as_not_run() {
    let home = Home::new();
    let mut front = Front::start(&home);
    let server = front.server.as_mut().expect("a server");
    server.kill().expect("the server");
    server.wait().expect("the server");
    let posted = front.posted(&call(1, "drop", &json!({})));
    let asked = home.wait_for_state("pending");
    home.approve(&asked).expect_code(0);
    let said = posted.join().expect("an answer").json();
    assert_eq!(said["result"]["isError"], true, "{said}");
    home.wait_until_state(&asked.id, "not-run");
}

/// Posts a call that fails at once, and returns what the agent reads.
#[track_caller]
fn refused(front: &Front) -> String {
    let answer = front.post(&call(1, "drop", &json!({})));
    assert_eq!(answer.status, 200, "{answer:?}");
    let said = answer.json();
    assert_eq!(said["result"]["isError"], true, "{said}");
    front.assert_not_called();
    let text = said["result"]["content"][0]["text"].as_str();
    text.expect("a text").to_owned()
}

#[test]
fn without_a_daemon_every_call_over_http_is_an_error_and_everything_else_passes() {
    let mut home = Home::stopped("");
    let front = Front::start(&home);
    assert!(refused(&front).contains("countersign: "));
    let list = json!({"jsonrpc": "2.0", "id": 9, "method": "tools/list"});
    assert!(front.post(&list).json()["result"]["tools"].is_array());
    // And when it is there, calls are held.
    home.start();
    let posted = front.posted(&call(1, "drop", &json!({})));
    home.approve(&home.wait_for_state("pending")).expect_code(0);
    assert_eq!(posted.join().expect("an answer").json()["id"], 1);
}

#[test]
fn a_daemon_that_is_killed_while_a_call_over_http_is_held_and_stays_away_is_a_no() {
    let mut home = Home::with("ttl = \"3s\"\n");
    let front = Front::start(&home);
    let posted = front.posted(&call(1, "drop", &json!({})));
    home.wait_for_state("pending");
    home.kill();
    let said = posted.join().expect("an answer").json();
    assert_eq!(said["result"]["isError"], true, "{said}");
    front.assert_not_called();
}

#[test]
fn a_daemon_that_is_slow_lets_nothing_through_over_http() {
    let mut home = Home::new();
    let front = Front::start(&home);
    let message = call(1, "drop", &json!({})).to_string();
    let held = front.open("POST", &front.headers(), &message);
    let asked = home.wait_for_state("pending");
    home.daemon().signal(Signal::STOP);
    // A client that gives up meanwhile gets nothing later.
    drop(held);
    let also_held = front.posted(&call(2, "drop", &json!({"n": 2})));
    front.assert_not_called();
    home.daemon().signal(Signal::CONT);
    home.wait_until_state(&asked.id, "withdrawn");
    let other = home.wait_for_state("pending");
    home.deny(&other, "no").expect_code(0);
    assert!(
        also_held
            .join()
            .expect("an answer")
            .body
            .contains("isError")
    );
    front.assert_not_called();
}

#[test]
fn without_the_logs_key_or_a_place_for_tickets_no_call_over_http_is_made() {
    let home = Home::new();
    let front = Front::start(&home);
    let tickets = home.root().join("state/tickets");
    fs::create_dir_all(home.root().join("state")).expect("a directory");
    fs::write(&tickets, "").expect("a file");
    refused(&front);
    fs::remove_file(&tickets).expect("the file");
    for dir in [home.path(), home.path().join("run")] {
        let key = dir.join("log.vkey");
        if key.exists() {
            fs::remove_file(key).expect("the key");
        }
    }
    assert!(refused(&front).contains("log.vkey"));
}

#[test]
fn a_call_over_http_that_nobody_decides_is_an_error() {
    let home = Home::with("ttl = \"1s\"\n");
    let why = refused(&Front::start(&home));
    assert!(why.contains("expired") || why.contains("in time"), "{why}");
}

#[test]
fn a_proxy_that_is_killed_leaves_nothing_that_could_be_approved() {
    let home = Home::with("[limits]\ndisconnect_grace = \"1s\"\n");
    let front = Front::start(&home);
    let message = call(1, "drop", &json!({})).to_string();
    let _held = front.open("POST", &front.headers(), &message);
    let asked = home.wait_for_state("pending");
    front.signal(Signal::KILL);
    home.wait_until_state(&asked.id, "withdrawn");
    home.approve(&asked).expect_code(6);
    front.assert_not_called();
}

#[test]
fn a_proxy_that_is_told_to_end_takes_back_what_is_held_over_http() {
    let home = Home::new();
    let mut front = Front::start(&home);
    let message = call(1, "drop", &json!({})).to_string();
    let _held = front.open("POST", &front.headers(), &message);
    let asked = home.wait_for_state("pending");
    front.signal(Signal::TERM);
    assert_eq!(front.ended(), Some(128 + 15));
    assert_eq!(home.look(&asked.id).state, "withdrawn");
}

#[test]
fn the_proxy_does_not_listen_where_others_could_hear_the_token_or_read_it() {
    let home = Home::stopped("");
    let token = super::write_token(&home, super::TOKEN);
    let token = token.to_str().expect("a path");
    for options in [
        &["--http", "0.0.0.0:0"][..],
        &["--http", "0.0.0.0:0", "--beyond-this-machine"],
        &["--http", "192.0.2.1:0"],
        &["--http", "nowhere"],
        &["--http", "0", "--upstream-token-file", "/nonexistent"],
        &["--beyond-this-machine"],
    ] {
        let upstream = [
            "--upstream",
            "http://127.0.0.1:1/mcp",
            "--token-file",
            token,
        ];
        let arguments = [&["mcp"], options, &upstream].concat();
        home.agent(&arguments).expect_code(2);
    }
    let open = std::os::unix::fs::PermissionsExt::from_mode(0o644);
    fs::set_permissions(token, open).expect("the file");
    let ran = home.agent(&["mcp", "--http", "0", "--token-file", token, "--", "true"]);
    let ran = ran.expect_code(2);
    assert!(ran.stderr.contains("mode 644"), "{ran:?}");
}
