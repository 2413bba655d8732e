//! A server that is a command, behind the proxy over HTTP.

use std::io::Read as _;

use countersign_tests::{Home, wait_until};
use rustix::process::Signal;
use serde_json::{Value, json};

use super::super::{call, greetings};
use super::{Answer, Front, parse};

const STATELESS: &str = "io.modelcontextprotocol/protocolVersion";

/// Begins a session and returns its name.
#[track_caller]
fn begin(front: &Front) -> String {
    let (_, greeting) = &greetings()[1];
    let answer = front.post(greeting);
    assert_eq!(answer.status, 200, "{answer:?}");
    assert_eq!(answer.json()["result"]["serverInfo"]["name"], "t");
    let head = answer.head.to_ascii_lowercase();
    let (_, name) = head.split_once("mcp-session-id: ").expect("a session");
    name.lines().next().expect("a name").trim().to_owned()
}

#[track_caller]
fn post(front: &Front, session: &str, message: &Value) -> Answer {
    let headers = [front.headers(), vec![("Mcp-Session-Id", session)]].concat();
    front.exactly("POST", &headers, &message.to_string())
}

fn stateless(id: u64, tool: &str, arguments: &Value) -> Value {
    let mut message = call(id, tool, arguments);
    message["params"]["_meta"] = json!({ STATELESS: "2026-07-28" });
    message
}

#[test]
fn an_approved_call_is_passed_on_in_one_line_and_its_answer_comes_as_it_was_written() {
    let home = Home::new();
    let front = Front::command(&home, "plain");
    let session = begin(&front);
    let headers = [front.headers(), vec![("Mcp-Session-Id", session.as_str())]].concat();
    let body = "{\"jsonrpc\":\"2.0\",\r\n \"id\":1,\"x-odd\":1.50,\"method\":\"tools/call\",\n\"params\":{\"name\":\"raw\"}}";
    let answer = std::thread::scope(|scope| {
        let posted = scope.spawn(|| front.exactly("POST", &headers, body));
        let asked = home.wait_for_state("pending");
        front.assert_not_called();
        home.approve(&asked).expect_code(0);
        let answer = posted.join().expect("an answer");
        home.wait_until_state(&asked.id, "succeeded");
        answer
    });
    assert_eq!(
        answer.body,
        "{ \"x-top\":1.50, \"result\" : {\"content\":[ ],\"x-odd\":[1.0,1e2,\"\\u0041\"]}  ,\"id\":1, \"jsonrpc\":\"2.0\"}"
    );
    let lines = super::sent(&front.seen);
    assert_eq!(lines[1], body.replace(['\r', '\n'], " "));
}

#[test]
fn each_session_has_a_process_of_its_own_and_a_message_without_one_belongs_nowhere() {
    let home = Home::new();
    let front = Front::command(&home, "plain");
    let (a, b) = (begin(&front), begin(&front));
    assert_ne!(a, b);
    // Both may use one id at once.
    let (one, other) = (
        call(1, "echo", &json!({"n": 1})),
        call(1, "echo", &json!({"n": 2})),
    );
    let held = [
        front.posted_with(&[("Mcp-Session-Id", &a)], &one),
        front.posted_with(&[("Mcp-Session-Id", &b)], &other),
    ];
    wait_until("both are held", || home.list().len() == 2);
    for asked in home.list() {
        let asked = countersign_tests::home::Asked::read(&asked);
        home.approve(&asked).expect_code(0);
    }
    for (number, posted) in (1..).zip(held) {
        let said = posted.join().expect("an answer").json();
        assert_eq!(said["result"]["structuredContent"]["n"], number, "{said}");
    }
    let list = json!({"jsonrpc": "2.0", "id": 5, "method": "tools/list"});
    assert_eq!(front.post(&list).status, 400);
    assert_eq!(post(&front, "nonesuch", &list).status, 404);
    // Nobody is asked about a call that has no session.
    assert_eq!(
        post(&front, "nonesuch", &call(6, "drop", &json!({}))).status,
        404
    );
    assert_eq!(front.post(&call(7, "drop", &json!({}))).status, 400);
    assert_eq!(home.list().len(), 2);
}

#[test]
fn one_session_more_than_there_can_be_ends_the_one_that_was_silent_longest() {
    let home = Home::new();
    let front = Front::command(&home, "plain");
    let sessions: Vec<_> = (0..33).map(|_| begin(&front)).collect();
    let status = |session: &String| {
        let ping = json!({"jsonrpc": "2.0", "id": 2, "method": "ping"});
        post(&front, session, &ping).status
    };
    assert_eq!(status(&sessions[0]), 404);
    for session in &sessions[1..] {
        assert_eq!(status(session), 200);
    }
}

#[test]
fn a_message_that_says_everything_itself_needs_no_session() {
    let home = Home::new();
    let front = Front::command(&home, "plain");
    let (_, discover) = &greetings()[2];
    let said = front.post(discover).json();
    assert!(said["result"]["supportedVersions"].is_array(), "{said}");
    for _ in 0..2 {
        let posted = front.posted(&stateless(7, "echo", &json!({})));
        let asked = home.wait_for_state("pending");
        home.approve(&asked).expect_code(0);
        let said = posted.join().expect("an answer").json();
        assert_eq!(said["result"]["resultType"], "complete", "{said}");
        home.wait_until_state(&asked.id, "succeeded");
    }
    let posted = front.posted(&stateless(8, "drop", &json!({})));
    home.deny(&home.wait_for_state("pending"), "not on a friday")
        .expect_code(0);
    let said = posted.join().expect("an answer").json();
    assert_eq!(said["result"]["isError"], true);
    assert_eq!(said["result"]["resultType"], "complete");
}

#[test]
fn what_the_server_says_meanwhile_comes_in_the_answers_stream_or_where_the_client_listens() {
    let home = Home::new();
    let front = Front::command(&home, "plain");
    let session = begin(&front);
    let name = ("Mcp-Session-Id", session.as_str());
    let posted = front.posted_with(&[name], &call(5, "ask", &json!({})));
    home.approve(&home.wait_for_state("pending")).expect_code(0);
    let events = posted.join().expect("an answer").events();
    assert_eq!(events[0]["method"], "elicitation/create");
    assert_eq!(events[1]["method"], "notifications/cancelled");
    assert_eq!(events[2]["result"]["content"][0]["text"], "asked");
    let headers = [front.headers(), vec![name]].concat();
    let mut listening = front.open("GET", &headers, "");
    wait_until("it listens", || {
        front.exactly("GET", &headers, "").status == 409
    });
    let posted = front.posted_with(&[name], &call(6, "ask", &json!({})));
    home.approve(&home.wait_for_state("pending")).expect_code(0);
    assert_eq!(posted.join().expect("an answer").json()["id"], 6);
    // Progress belongs to its request.
    let mut slow = call(7, "slow", &json!({"tenths": 1}));
    slow["params"]["_meta"] = json!({"progressToken": "t"});
    let posted = front.posted_with(&[name], &slow);
    home.approve(&home.wait_for_state("pending")).expect_code(0);
    let events = posted.join().expect("an answer").events();
    assert_eq!(events[0]["params"]["progressToken"], "t", "{events:?}");
    assert_eq!(events[1]["id"], 7);
    front.exactly("DELETE", &headers, "");
    let mut text = String::new();
    listening.read_to_string(&mut text).expect("a stream");
    assert_eq!(parse(&text).events().len(), 2, "{text}");
}

#[test]
fn a_call_that_the_server_has_is_taken_back_in_words_and_by_hanging_up() {
    let home = Home::new();
    let front = Front::command(&home, "plain");
    let session = begin(&front);
    let slow = json!({"tenths": 300});
    let posted = front.posted_with(&[("Mcp-Session-Id", &session)], &call(1, "slow", &slow));
    home.approve(&home.wait_for_state("pending")).expect_code(0);
    let sent = |what: &str| {
        super::sent(&front.seen)
            .iter()
            .any(|line| line.contains(what))
    };
    wait_until("the server has it", || sent("\"slow\""));
    let cancel = json!({"jsonrpc": "2.0", "method": "notifications/cancelled",
                        "params": {"requestId": 1}});
    assert_eq!(post(&front, &session, &cancel).status, 202);
    assert_eq!(posted.join().expect("an end").events(), Vec::<Value>::new());
    wait_until("the server is told", || sent("notifications/cancelled"));
    let message = stateless(2, "slow", &slow).to_string();
    let stream = front.open("POST", &front.headers(), &message);
    home.approve(&home.wait_for_state("pending")).expect_code(0);
    wait_until("the server has it", || sent("\"id\":2"));
    drop(stream);
    wait_until("the server is told", || sent("\"requestId\":2"));
}

#[test]
fn a_server_that_ends_before_it_answers_leaves_the_end_unknown() {
    let home = Home::new();
    let front = Front::command(&home, "plain");
    let session = begin(&front);
    let posted = front.posted_with(
        &[("Mcp-Session-Id", &session)],
        &call(1, "exit", &json!({})),
    );
    let asked = home.wait_for_state("pending");
    home.approve(&asked).expect_code(0);
    let answer = posted.join().expect("an answer");
    assert_eq!(answer.status, 502, "{answer:?}");
    assert!(answer.body.contains("is not known"), "{answer:?}");
    assert!(["redeemed", "running"].contains(&home.look(&asked.id).state.as_str()));
    // The session went with it, and the client begins anew.
    let ping = json!({"jsonrpc": "2.0", "id": 2, "method": "ping"});
    assert_eq!(post(&front, &session, &ping).status, 404);
    begin(&front);
}

#[test]
fn a_server_that_cannot_be_started_is_an_error_and_the_proxy_ends_its_servers() {
    let home = Home::new();
    let mut front = Front::before(
        &home,
        &["--", "/nonexistent"],
        None,
        home.root().join("seen"),
    );
    let answer = front.post(&greetings()[1].1);
    assert_eq!(answer.status, 503, "{answer:?}");
    front.signal(Signal::TERM);
    assert_eq!(front.ended(), Some(128 + 15));
    let mut front = Front::command(&home, "plain");
    begin(&front);
    front.signal(Signal::TERM);
    assert_eq!(front.ended(), Some(128 + 15));
    let seen = front.seen.to_str().expect("a path").to_owned();
    let is_theirs = |pid: &std::path::Path| {
        std::fs::read_to_string(pid.join("cmdline")).is_ok_and(|line| line.contains(&seen))
    };
    let all = std::fs::read_dir("/proc").expect("processes");
    assert!(!all.flatten().any(|entry| is_theirs(&entry.path())));
}
