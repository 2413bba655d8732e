//! Who is let in, what passes as it came, and what becomes of a call that is held.

use std::time::Duration;

use countersign_tests::Home;
use serde_json::{Value, json};

use super::super::call;
use super::{Front, TOKEN};
use crate::asking::show;

#[test]
fn nobody_is_served_without_the_token_or_from_a_page_of_a_browser() {
    let home = Home::new();
    let front = Front::start(&home);
    let ping = json!({"jsonrpc": "2.0", "id": 1, "method": "ping"}).to_string();
    let with = |name: &str, value: Option<&str>| {
        let mut headers = front.headers();
        headers.retain(|(kept, _)| *kept != name);
        let added = value.map(|value| (name, value));
        headers.extend(added);
        front.exactly("POST", &headers, &ping).status
    };
    assert_eq!(with("Accept", None), 200);
    assert_eq!(with("Authorization", None), 401);
    assert_eq!(with("Authorization", Some("Bearer wrong")), 401);
    assert_eq!(with("Host", Some("evil.example")), 403);
    assert_eq!(with("Origin", Some("http://evil.example")), 403);
    assert_eq!(with("Origin", Some("null")), 403);
    assert_eq!(with("Content-Type", Some("text/plain")), 415);
    assert_eq!(with("Content-Encoding", Some("gzip")), 415);
    assert_eq!(front.sent().len(), 1);
    // What the server has to see, and the agent has not; and nothing that is ours.
    let headers = &front.sent()[0][1];
    assert_eq!(headers["authorization"], format!("Bearer {TOKEN}"));
    assert_eq!(headers["accept"], Value::Null);
}

#[test]
fn an_approved_call_is_passed_on_as_it_came_and_so_is_its_answer() {
    let home = Home::new();
    let front = Front::start(&home);
    let body = r#"{"id":1 , "jsonrpc":"2.0","method":"tools\/call","params":{"name":"odd","arguments":{"a":1.0}}}"#;
    let headers = front.headers();
    let answer = std::thread::scope(|scope| {
        let posted = scope.spawn(|| front.exactly("POST", &headers, body));
        let asked = home.wait_for_state("pending");
        front.assert_not_called();
        let shown = show(&home, &asked);
        assert_eq!(shown["document"]["action"]["arguments"]["tool"], "odd");
        home.approve(&asked).expect_code(0);
        let answer = posted.join().expect("an answer");
        home.wait_until_state(&asked.id, "succeeded");
        answer
    });
    assert_eq!(answer.status, 200);
    assert_eq!(
        answer.body,
        "{ \"id\":1,\n\"x\":1.50, \"result\":{\"content\":[ ]},\"jsonrpc\":\"2.0\"}"
    );
    let head = answer.head.to_ascii_lowercase();
    assert!(
        head.contains("mcp-session-id: s1") && !head.contains("x-internal"),
        "{head}"
    );
    assert_eq!(front.sent()[0][2], body);
}

#[test]
fn a_denied_call_is_an_error_that_the_agent_reads() {
    let home = Home::new();
    let front = Front::start(&home);
    let posted = front.posted(&call(1, "drop", &json!({})));
    let asked = home.wait_for_state("pending");
    home.deny(&asked, "not on a friday").expect_code(0);
    let answer = posted.join().expect("an answer");
    assert_eq!(answer.status, 200);
    let said = answer.json();
    assert_eq!(said["result"]["isError"], true);
    assert!(answer.body.contains("not on a friday"), "{answer:?}");
    front.assert_not_called();
}

#[test]
fn a_stream_passes_as_it_comes_and_ends_as_it_says() {
    let home = Home::new();
    let front = Front::start(&home);
    let posted = front.posted(&call(1, "stream", &json!({})));
    let asked = home.wait_for_state("pending");
    home.approve(&asked).expect_code(0);
    let events = posted.join().expect("an answer").events();
    assert_eq!(events[0]["method"], "notifications/progress");
    assert_eq!(events[1]["id"], 1);
    home.wait_until_state(&asked.id, "succeeded");
    let answer = front.exactly("GET", &front.headers(), "");
    assert_eq!(answer.events()[0]["method"], "notifications/hello");
    assert!(answer.body.contains("\r\n\r\n"), "{answer:?}");
}

#[test]
fn a_held_call_begins_a_stream_with_signs_of_life_where_they_are_wanted() {
    let home = Home::new();
    let front = Front::start(&home);
    for tool in ["odd", "stream", "gone"] {
        let mut message = call(7, tool, &json!({}));
        message["params"]["_meta"] = json!({"progressToken": 1});
        let posted = front.posted(&message);
        let asked = home.wait_for_state("pending");
        std::thread::sleep(Duration::from_millis(5500));
        home.approve(&asked).expect_code(0);
        let answer = posted.join().expect("an answer");
        let events = answer.events();
        assert_eq!(
            events[0]["params"]["message"],
            "countersign: waiting for review"
        );
        let last = events.last().expect("an answer");
        assert_eq!(last["id"], 7, "{answer:?}");
        assert_eq!(last["error"].is_object(), tool == "gone", "{answer:?}");
        let state = if tool == "gone" {
            "failed"
        } else {
            "succeeded"
        };
        home.wait_until_state(&asked.id, state);
    }
}

#[test]
fn a_client_that_hangs_up_takes_its_call_back() {
    let home = Home::new();
    let front = Front::start(&home);
    let message = call(1, "drop", &json!({})).to_string();
    let stream = front.open("POST", &front.headers(), &message);
    let asked = home.wait_for_state("pending");
    drop(stream);
    home.wait_until_state(&asked.id, "withdrawn");
    front.assert_not_called();
}

#[test]
fn a_call_is_taken_back_within_its_own_session_only() {
    let home = Home::new();
    let front = Front::start(&home);
    let message = call(1, "drop", &json!({})).to_string();
    let session = |name| [front.headers(), vec![("Mcp-Session-Id", name)]].concat();
    let _held = front.open("POST", &session("a"), &message);
    let asked = home.wait_for_state("pending");
    let cancel = json!({"jsonrpc": "2.0", "method": "notifications/cancelled",
                        "params": {"requestId": 1}})
    .to_string();
    assert_eq!(front.exactly("POST", &session("b"), &cancel).status, 202);
    assert_eq!(front.sent().len(), 1);
    assert_eq!(home.look(&asked.id).state, "pending");
    assert_eq!(front.exactly("POST", &session("a"), &cancel).status, 202);
    home.wait_until_state(&asked.id, "withdrawn");
    assert_eq!(front.sent().len(), 1);
}

#[test]
fn without_sessions_a_call_is_taken_back_by_its_id() {
    let home = Home::new();
    let front = Front::start(&home);
    let posted = front.posted(&call(4, "drop", &json!({})));
    let asked = home.wait_for_state("pending");
    let cancel = json!({"jsonrpc": "2.0", "method": "notifications/cancelled",
                        "params": {"requestId": 4}});
    assert_eq!(front.post(&cancel).status, 202);
    home.wait_until_state(&asked.id, "withdrawn");
    let said = posted.join().expect("an answer").json();
    assert_eq!(said["result"]["isError"], true, "{said}");
    assert_eq!(front.sent(), Vec::<Value>::new());
}

#[test]
fn a_client_that_ends_its_session_takes_its_calls_back() {
    let home = Home::new();
    let front = Front::start(&home);
    let session = ("Mcp-Session-Id", "a");
    let posted = front.posted_with(&[session], &call(1, "drop", &json!({})));
    let asked = home.wait_for_state("pending");
    let headers = [front.headers(), vec![session]].concat();
    front.exactly("DELETE", &headers, "");
    home.wait_until_state(&asked.id, "withdrawn");
    assert_eq!(
        posted.join().expect("an answer").json()["result"]["isError"],
        true
    );
    front.assert_not_called();
}

#[test]
fn a_changed_definition_is_seen_over_http_too() {
    let home = Home::new();
    let front = Front::start(&home);
    let list = |id: u64| json!({"jsonrpc": "2.0", "id": id, "method": "tools/list"});
    front.post(&list(1));
    std::fs::write(home.root().join("seen-changed"), "").expect("a file");
    front.post(&list(2));
    let posted = front.posted(&call(3, "drop", &json!({})));
    let asked = home.wait_for_state("pending");
    let shown = show(&home, &asked);
    let arguments = &shown["document"]["action"]["arguments"];
    assert!(arguments["definition"].is_object(), "{arguments}");
    assert_eq!(arguments["annotations"]["destructiveHint"], true);
    home.deny(&asked, "no").expect_code(0);
    posted.join().expect("an answer");
    front.assert_not_called();
}

#[test]
fn a_token_is_made_where_none_was_given_and_only_its_place_is_told() {
    let home = Home::new();
    let mut command = home.agent_command(&["mcp", "--name", "db", "--http", "0", "--", "cat"]);
    let mut proxy = command
        .stderr(std::process::Stdio::piped())
        .spawn()
        .expect("the proxy starts");
    let said = super::first_line(proxy.stderr.take().expect("an output"));
    let place = home.root().join("state/mcp-tokens/db");
    assert!(said.contains(&format!("`{}`", place.display())), "{said}");
    let token = std::fs::read_to_string(&place).expect("a token");
    assert_eq!(token.trim().len(), 64);
    assert!(!said.contains(token.trim()), "{said}");
    proxy.kill().expect("the proxy");
    proxy.wait().expect("the proxy");
}
