//! What passes is what came, byte for byte; what could be read in two ways does not pass.

use countersign_tests::Home;
use serde_json::json;

use super::Talk;

#[test]
fn bytes_pass_unchanged_in_both_directions() {
    let home = Home::new();
    let mut talk = Talk::start(&home);
    let odd = [
        &br#" { "method" : "x/y","params":{"x-a":[1.0,1e2,-0,12345678901234567890],"b":"\u0041\/"},"id":7,"jsonrpc":"2.0" , "z":null} "#[..],
        "{\"jsonrpc\":\"2.0\",\"method\":\"notifications/x\",\"params\":{\"é\":\"\u{2028}😀\"}}\r".as_bytes(),
    ];
    for line in odd {
        talk.write(line);
    }
    assert_eq!(talk.hear()["id"], 7);
    let call = br#"{"id":8,"params":{ "arguments":{"b":1.0,"a":{"x":"\u0041"}} ,"x-c":1e2, "name":"raw"},"method":"tools\/call" ,"jsonrpc":"2.0"}"#;
    talk.write(call);
    let asked = home.wait_for_state("pending");
    home.approve(&asked).expect_code(0);
    assert_eq!(
        talk.line(),
        r#"{ "x-top":1.50, "result" : {"content":[ ],"x-odd":[1.0,1e2,"\u0041"]}  ,"id":8, "jsonrpc":"2.0"}"#
    );
    let seen = std::fs::read(&talk.seen).expect("what the server was sent");
    let expected: Vec<u8> = [odd[0], odd[1], call]
        .iter()
        .flat_map(|line| [*line, b"\n"].concat())
        .collect();
    assert_eq!(
        String::from_utf8_lossy(&seen),
        String::from_utf8_lossy(&expected)
    );
}

#[test]
fn a_conversation_without_calls_is_the_same_with_and_without_the_proxy() {
    let home = Home::new();
    let (mut direct, mut proxied) = (Talk::direct(&home), Talk::start(&home));
    for talk in [&mut direct, &mut proxied] {
        for (_, greeting) in super::greetings() {
            talk.say(&greeting);
        }
        talk.say(&json!({"jsonrpc": "2.0", "method": "notifications/initialized"}));
        talk.say(&json!({"jsonrpc": "2.0", "id": 1, "method": "tools/list"}));
        talk.say(
            &json!({"jsonrpc": "2.0", "id": "a", "method": "resources/list", "params": {"x": 1.5}}),
        );
    }
    for _ in 0..5 {
        assert_eq!(direct.line(), proxied.line());
    }
    assert_eq!(direct.sent(), proxied.sent());
}

#[test]
fn what_somebody_could_take_for_a_call_never_reaches_the_server() {
    let home = Home::new();
    let mut talk = Talk::start(&home);
    let smuggled = [
        &br#"[{"jsonrpc":"2.0","id":1,"method":"tools/call","params":{"name":"drop"}}]"#[..],
        br#"{"jsonrpc":"2.0","id":1,"method":"ping","method":"tools/call","params":{"name":"drop"}}"#,
        br#"{"jsonrpc":"2.0","id":1,"method":"ping","\u006dethod":"tools/call","params":{"name":"drop"}}"#,
        br#"{"jsonrpc":"2.0","id":1,"method":"ping","Method":"tools/call","params":{"name":"drop"}}"#,
        br#"{"jsonrpc":"2.0","id":1,"method":"tools/call","params":{"name":"echo","name":"drop"}}"#,
        br#"{"jsonrpc":"2.0","method":"tools/call","params":{"name":"drop"}}"#,
        br#"{"jsonrpc":"2.0","id":{},"method":"tools/call","params":{"name":"drop"}}"#,
        br#"{"jsonrpc":"2.0","id":1,"method":"tools/call","params":{"name":"drop"}"#,
        b"{\"jsonrpc\":\"2.0\",\"method\":\"x\",\"params\":\r{\"jsonrpc\":\"2.0\",\"id\":1,\"method\":\"tools/call\",\"params\":{\"name\":\"drop\"}}\r}",
        b"{\"jsonrpc\":\"2.0\",\"id\":1,\"method\":\"tools/call\xff\",\"params\":{\"name\":\"drop\"}}",
        br#"{"jsonrpc":"2.0","id":1,"method":"tools/call","params":{"name":"drop","arguments":"{}"}}"#,
        br#"{"jsonrpc":"2.0","id":1,"method":"tools/call\u0000","params":{"name":"drop"}}"#,
        br#"{"jsonrpc":"2.0","id":1,"method":"ping","method\u0000":"tools/call","params":{"name":"drop"}}"#,
        br#"{"jsonrpc":"2.0","id":1,"method":"Tools/Call","params":{"name":"drop"}}"#,
        br#"{"jsonrpc":"2.0","id":1,"method":" tools/call","params":{"name":"drop"}}"#,
        br#"{"jsonrpc":"2.0","id":1,"method":"tools/call\u200b","params":{"name":"drop"}}"#,
        br#"{"jsonrpc":"2.0","id":1,"method":"tools/call","params":{"name":"drop\u0000x"}}"#,
        b"garbage",
        b"\0",
    ];
    for line in smuggled {
        talk.write(line);
        let said = talk.hear();
        assert!(said["error"]["code"].is_i64(), "{said}");
        let message = said["error"]["message"].as_str().expect("a message");
        assert!(message.contains("not passed on"), "{message}");
    }
    // The conversation goes on.
    talk.say(&json!({"jsonrpc": "2.0", "id": 2, "method": "ping"}));
    assert_eq!(talk.hear()["id"], 2);
    assert_eq!(talk.sent().len(), 1);
    assert_eq!(home.list().len(), 0);
}

#[test]
fn a_message_that_is_too_long_is_not_passed_on_and_the_limit_is_named() {
    let home = Home::new();
    let mut talk = Talk::start(&home);
    let long = "x".repeat(4 * 1024 * 1024);
    talk.say(&json!({"jsonrpc": "2.0", "id": 1, "method": "x", "params": {"a": long}}));
    let said = talk.hear();
    let message = said["error"]["message"].as_str().expect("a message");
    assert!(message.contains("the limit is 4194304"), "{message}");
    // What calls a tool has to fit into an action.
    talk.call(2, "echo", &json!({"a": "x".repeat(2 * 1024 * 1024)}));
    let why = talk.refused(2);
    assert!(why.contains("the limit is 1048576"), "{why}");
    talk.say(&json!({"jsonrpc": "2.0", "id": 3, "method": "ping"}));
    assert_eq!(talk.hear()["id"], 3);
    assert_eq!(talk.sent().len(), 1);
}

#[test]
fn a_large_answer_passes_whole() {
    let home = Home::new();
    let mut talk = Talk::start(&home);
    talk.call(1, "large", &json!({"bytes": 5_000_000}));
    home.approve(&home.wait_for_state("pending")).expect_code(0);
    let said = talk.hear();
    let text = said["result"]["content"][0]["text"]
        .as_str()
        .expect("a text");
    assert_eq!(text.len(), 5_000_000);
}

#[test]
fn an_answer_that_does_not_pass_is_an_error_and_nobody_says_how_the_call_ended() {
    let home = Home::new();
    let mut talk = Talk::start(&home);
    talk.call(1, "nul", &json!({}));
    let asked = home.wait_for_state("pending");
    home.approve(&asked).expect_code(0);
    let said = talk.hear();
    assert_eq!(said["id"], 1);
    assert!(said["error"]["code"].is_i64(), "{said}");
    // The id is free again, and the conversation goes on.
    talk.say(&json!({"jsonrpc": "2.0", "id": 1, "method": "ping"}));
    assert_eq!(talk.hear()["id"], 1);
    let ran = talk.end().expect_code(0);
    assert!(ran.stderr.contains("U+0000"), "{ran:?}");
    let state = home.look(&asked.id).state;
    assert!(
        ["redeemed", "running", "indeterminate"].contains(&&*state),
        "{state}"
    );
}

#[test]
fn what_a_server_writes_besides_its_messages_does_not_reach_the_client() {
    let home = Home::new();
    let mut talk = Talk::with(&home, "noise");
    talk.say(&json!({"jsonrpc": "2.0", "id": 3, "method": "ping"}));
    assert_eq!(talk.hear()["id"], 3);
    let ran = talk.end().expect_code(0);
    assert_eq!(ran.stderr.matches("is not passed on").count(), 2, "{ran:?}");
}
