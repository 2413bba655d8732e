//! A call that is held, and what becomes of it.

use countersign_shared::digest::Digest;
use countersign_tests::{Home, wait_until};
use serde_json::{Value, json};

use super::{SERVER, Talk, call, call_with, greetings};
use crate::asking::show;

#[test]
fn an_approved_call_is_passed_on_once_and_its_answer_is_recorded_in_every_revision() {
    for (version, greeting) in greetings() {
        let home = Home::new();
        let mut talk = Talk::start(&home);
        talk.say(&greeting);
        assert!(talk.hear()["result"].is_object(), "{version}");
        let mut message = call(
            1,
            "echo",
            &json!({"to": "prod", "n": 9_007_199_254_740_993_u64}),
        );
        if version == "2026-07-28" {
            message["params"]["_meta"] =
                json!({"io.modelcontextprotocol/protocolVersion": "2026-07-28"});
        }
        talk.say(&message);
        let asked = home.wait_for_state("pending");
        talk.silence();
        talk.assert_not_called();
        let shown = show(&home, &asked);
        let action = &shown["document"]["action"];
        assert_eq!(action["kind"], "mcp.call");
        assert_eq!(action["target"]["name"], format!("{SERVER}/echo"));
        assert_eq!(action["arguments"]["server"], SERVER);
        assert_eq!(action["arguments"]["tool"], "echo");
        assert_eq!(
            action["arguments"]["arguments"],
            json!({"to": "prod", "n": {"$number": "9007199254740993"}})
        );
        home.approve(&asked).expect_code(0);
        let line = talk.line();
        let said: Value = serde_json::from_str(&line).expect("JSON");
        assert_eq!(said["id"], 1);
        assert_eq!(said["result"]["content"][0]["text"], "echo done");
        home.wait_until_state(&asked.id, "succeeded");
        let execution = &show(&home, &asked)["execution"];
        let (_, result) = line.split_once("\"result\":").expect("a result");
        let result = result.strip_suffix('}').expect("an end");
        assert_eq!(
            execution["stdout_sha256"],
            json!(Digest::of(result.as_bytes()).to_string()),
            "{execution}"
        );
        let calls = talk
            .sent()
            .into_iter()
            .filter(|line| line.contains("tools/call"));
        assert_eq!(
            calls.collect::<Vec<_>>(),
            [message.to_string()],
            "{version}"
        );
        talk.end().expect_code(0);
    }
}

#[test]
fn a_denied_call_is_an_error_with_the_reviewers_reason_and_is_not_passed_on() {
    let home = Home::new();
    let mut talk = Talk::start(&home);
    let asked = talk.held(&home, 1, "drop");
    home.deny(&asked, "not on a friday").expect_code(0);
    let why = talk.refused(1);
    assert!(why.contains("not on a friday"), "{why}");
    // And at once the next time, as long as the denial is fresh.
    talk.call(2, "drop", &json!({}));
    assert!(talk.refused(2).contains("denied"));
    talk.assert_not_called();
    talk.end().expect_code(0);
}

#[test]
fn a_call_that_nobody_decides_is_an_error() {
    let home = Home::with("ttl = \"1s\"\n");
    let mut talk = Talk::start(&home);
    talk.call(1, "drop", &json!({}));
    let why = talk.refused(1);
    assert!(why.contains("expired") || why.contains("in time"), "{why}");
    talk.assert_not_called();
}

#[test]
fn how_a_call_ended_is_reported_as_the_server_says() {
    let home = Home::new();
    let mut talk = Talk::start(&home);
    for (id, tool, state) in [
        (1, "echo", "succeeded"),
        (2, "fail", "failed"),
        (3, "refuse", "failed"),
    ] {
        let asked = talk.held(&home, id, tool);
        home.approve(&asked).expect_code(0);
        assert_eq!(talk.hear()["id"], id);
        home.wait_until_state(&asked.id, state);
    }
    talk.end().expect_code(0);
}

#[test]
fn calls_made_at_once_are_requests_of_their_own_and_other_messages_pass_them() {
    let home = Home::new();
    let mut talk = Talk::start(&home);
    for id in 1..=4 {
        talk.call(id, "echo", &json!({}));
    }
    wait_until("all are held", || home.list().len() == 4);
    talk.say(&json!({"jsonrpc": "2.0", "id": "x", "method": "prompts/list"}));
    assert_eq!(talk.hear()["id"], "x");
    let all: Vec<_> = home
        .list()
        .iter()
        .map(countersign_tests::home::Asked::read)
        .collect();
    home.approve(&all[1]).expect_code(0);
    home.deny(&all[2], "no").expect_code(0);
    let heard = [talk.hear(), talk.hear()];
    let failed = heard
        .iter()
        .filter(|said| said["result"]["isError"] == true);
    assert_eq!(failed.count(), 1, "{heard:?}");
    let calls = talk
        .sent()
        .iter()
        .filter(|line| line.contains("tools/call"))
        .count();
    assert_eq!(calls, 1);
    let ran = talk.end().expect_code(0);
    assert_eq!(ran.stdout.lines().count(), 2, "{ran:?}");
}

#[test]
fn a_held_call_gives_signs_of_life_where_the_client_wants_them() {
    let home = Home::new();
    let mut talk = Talk::start(&home);
    talk.say(&call_with(1, "echo", &json!({"progressToken": "tok"})));
    let asked = home.wait_for_state("pending");
    let (first, second) = (talk.hear(), talk.hear());
    for said in [&first, &second] {
        assert_eq!(said["method"], "notifications/progress", "{said}");
        assert_eq!(said["params"]["progressToken"], "tok");
    }
    let progress = |said: &Value| said["params"]["progress"].as_f64().expect("a number");
    assert!(progress(&first) < progress(&second));
    home.approve(&asked).expect_code(0);
    let mut said = talk.hear();
    while said["method"] == "notifications/progress" {
        said = talk.hear();
    }
    assert_eq!(said["id"], 1);
}

#[test]
fn a_call_that_the_client_takes_back_is_withdrawn_and_has_no_answer() {
    let home = Home::new();
    let mut talk = Talk::start(&home);
    let asked = talk.held(&home, 1, "drop");
    let cancel = |id: u64| json!({"jsonrpc": "2.0", "method": "notifications/cancelled", "params": {"requestId": id}});
    talk.say(&cancel(1));
    home.wait_until_state(&asked.id, "withdrawn");
    talk.silence();
    assert_eq!(talk.sent(), Vec::<String>::new());
    // One that the server has is the server's to end.
    let asked = {
        talk.call(2, "slow", &json!({"tenths": 300}));
        home.wait_for_state("pending")
    };
    home.approve(&asked).expect_code(0);
    talk.wait_for_sent("slow");
    talk.say(&cancel(2));
    talk.wait_for_sent("notifications/cancelled");
    talk.silence();
}

#[test]
fn what_the_server_asks_its_client_passes_and_approves_nothing() {
    let home = Home::new();
    let mut talk = Talk::start(&home);
    let asked = talk.held(&home, 5, "ask");
    // The client says yes to whatever it is asked: that is the agent's own word.
    let yes = json!({"jsonrpc": "2.0", "id": 5, "result": {"action": "accept", "content": {}}});
    talk.say(&yes);
    talk.silence();
    assert_eq!(home.look(&asked.id).state, "pending");
    talk.assert_not_called();
    home.approve(&asked).expect_code(0);
    assert_eq!(talk.hear()["method"], "elicitation/create");
    assert_eq!(talk.hear()["method"], "notifications/cancelled");
    assert_eq!(talk.hear()["result"]["content"][0]["text"], "asked");
    talk.say(&yes);
    talk.end().expect_code(0);
}

#[test]
fn a_call_made_again_with_what_a_person_entered_is_asked_for_again_and_shows_it() {
    let home = Home::new();
    let mut talk = Talk::start(&home);
    let meta = json!({"io.modelcontextprotocol/protocolVersion": "2026-07-28",
                      "claudecode/toolUseId": "toolu_1"});
    talk.say(&call_with(1, "again", &meta));
    home.approve(&home.wait_for_state("pending")).expect_code(0);
    assert_eq!(talk.hear()["result"]["resultType"], "input_required");
    let mut again = call_with(2, "again", &meta);
    again["params"]["requestState"] = json!("s");
    again["params"]["inputResponses"] = json!({"ok": {"action": "accept"}});
    talk.say(&again);
    let asked = home.wait_for_state("pending");
    let shown = show(&home, &asked);
    let params = &shown["document"]["action"]["arguments"]["params"];
    assert_eq!(params["inputResponses"]["ok"]["action"], "accept");
    home.deny(&asked, "no").expect_code(0);
    assert!(talk.refused(2).contains("no"));
    talk.end().expect_code(0);
}

#[test]
fn an_id_that_is_open_is_not_used_again() {
    let home = Home::new();
    let mut talk = Talk::start(&home);
    let asked = talk.held(&home, 1, "echo");
    for message in [
        call(1, "drop", &json!({})),
        json!({"jsonrpc": "2.0", "id": 1, "method": "ping"}),
    ] {
        talk.say(&message);
        let said = talk.hear();
        assert_eq!(said["error"]["code"], -32600, "{said}");
    }
    assert_eq!(talk.sent(), Vec::<String>::new());
    home.approve(&asked).expect_code(0);
    assert_eq!(talk.hear()["result"]["content"][0]["text"], "echo done");
}
