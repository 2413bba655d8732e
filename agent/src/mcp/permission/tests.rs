//! What the tool makes of what the client writes.

use super::super::strict;
use super::*;

/// What the client wrote to such a tool, as it was recorded.
fn recorded() -> Vec<String> {
    let path = format!(
        "{}/testdata/mcp/claude-2.1.330-permission-prompt.jsonl",
        env!("CARGO_MANIFEST_DIR")
    );
    let text = std::fs::read_to_string(path).unwrap();
    text.lines().map(str::to_owned).collect()
}

#[test]
fn the_recorded_client_finds_one_tool_in_its_own_revision() {
    let all = recorded();
    let [discover, list, _] = all.as_slice() else {
        panic!("{all:?}")
    };
    let answer = |line: &str| {
        let members = strict::line(line.as_bytes()).unwrap();
        match message::from_client(&members).unwrap() {
            FromClient::Request(id) => reply(&members, &id),
            other @ (FromClient::Call(..) | FromClient::Cancelled(_) | FromClient::Other) => {
                panic!("{other:?}")
            }
        }
    };
    let found = answer(discover);
    assert_eq!(found["id"], "server-discover-probe-1");
    assert_eq!(found["result"]["supportedVersions"][0], "2026-07-28");
    let found = answer(list);
    assert_eq!(found["result"]["resultType"], "complete");
    assert_eq!(found["result"]["tools"][0]["name"], TOOL);
    assert_eq!(found["result"]["tools"].as_array().map(Vec::len), Some(1));
    // The revisions before greet otherwise.
    let hello = r#"{"jsonrpc":"2.0","id":0,"method":"initialize","params":{"protocolVersion":"2025-06-18"}}"#;
    let found = answer(hello);
    assert_eq!(found["result"]["protocolVersion"], "2025-06-18");
    assert_eq!(found["result"].get("resultType"), None);
    let hello =
        r#"{"jsonrpc":"2.0","id":0,"method":"initialize","params":{"protocolVersion":"1999"}}"#;
    assert_eq!(answer(hello)["result"]["protocolVersion"], "2025-11-25");
    let other = r#"{"jsonrpc":"2.0","id":0,"method":"resources/list"}"#;
    assert_eq!(answer(other)["error"]["code"], answer::NO_METHOD);
}

#[test]
fn the_recorded_question_is_read_and_its_input_is_kept_as_it_was_written() {
    let line = recorded().pop().unwrap().replace("permission_prompt", TOOL);
    let members = strict::line(line.as_bytes()).unwrap();
    let call = Call::read(&members).unwrap();
    let question = question(&members, &call).unwrap();
    assert_eq!(question.tool, "Bash");
    assert_eq!(question.use_id, "toolu_fake_0_0");
    assert!(line.contains(&format!("\"input\":{}", question.input_text)));
}

#[test]
fn what_is_no_question_is_not_asked() {
    let ask = |params: &str| {
        let line =
            format!(r#"{{"jsonrpc":"2.0","id":1,"method":"tools/call","params":{{{params}}}}}"#);
        let members = strict::line(line.as_bytes()).unwrap();
        question(&members, &Call::read(&members).unwrap())
    };
    let whole = r#""name":"approve","arguments":{"tool_name":"Bash","input":{},"tool_use_id":"t"}"#;
    assert!(ask(whole).is_ok());
    for params in [
        r#""name":"other","arguments":{"tool_name":"Bash","input":{},"tool_use_id":"t"}"#,
        r#""name":"approve""#,
        r#""name":"approve","arguments":{"tool_name":"Bash","input":{}}"#,
        r#""name":"approve","arguments":{"tool_name":"Bash","input":"x","tool_use_id":"t"}"#,
        r#""name":"approve","arguments":{"tool_name":7,"input":{},"tool_use_id":"t"}"#,
        r#""name":"approve","arguments":{"tool_name":"Bash","input":{},"tool_use_id":7}"#,
    ] {
        assert!(ask(params).is_err(), "{params}");
    }
}
