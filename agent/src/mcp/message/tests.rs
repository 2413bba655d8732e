//! What is a call, what is none, and what could be one to somebody else.

use serde_json::json;

use super::*;

fn client(text: &str) -> Result<FromClient, MessageError> {
    let members = strict::line(text.as_bytes())?;
    from_client(&members)
}

fn server(text: &str) -> Result<FromServer, MessageError> {
    let members = strict::line(text.as_bytes())?;
    from_server(&members)
}

#[test]
fn a_call_is_seen_in_every_way_it_can_be_written() {
    for text in [
        r#"{"jsonrpc":"2.0","id":1,"method":"tools/call","params":{"name":"drop"}}"#,
        r#"{"jsonrpc":"2.0","id":1,"method":"tools\/call","params":{"name":"drop"}}"#,
        r#"{"jsonrpc":"2.0","id":1,"method":"\u0074ools/call","params":{"name":"drop"}}"#,
        r#"{"jsonrpc":"2.0","id":1,"\u006dethod":"tools/call","params":{"n\u0061me":"drop"}}"#,
        r#"  {"params":{"name":"drop"} , "method" : "tools/call","id":1,"jsonrpc":"2.0"}  "#,
    ] {
        match client(text) {
            Ok(FromClient::Call(Id::Number(1), call)) => assert_eq!(call.tool, "drop"),
            other => panic!("{text}: {other:?}"),
        }
    }
}

#[test]
fn what_somebody_else_could_take_for_a_call_is_not_passed_on() {
    for text in [
        // Twice.
        r#"{"jsonrpc":"2.0","id":1,"method":"ping","method":"tools/call","params":{"name":"drop"}}"#,
        r#"{"jsonrpc":"2.0","id":1,"method":"tools/call","params":{"name":"a","name":"drop"}}"#,
        r#"{"jsonrpc":"2.0","id":1,"method":"tools/call","params":{"name":"a"},"\u0070arams":{}}"#,
        // To readers that do not look at the case of letters.
        r#"{"jsonrpc":"2.0","id":1,"method":"ping","METHOD":"tools/call","params":{"name":"drop"}}"#,
        r#"{"jsonrpc":"2.0","id":1,"Method":"tools/call","params":{"name":"drop"}}"#,
        r#"{"jsonrpc":"2.0","id":1,"method":"tools/call","params":{"name":"a","Name":"drop"}}"#,
        r#"{"jsonrpc":"2.0","id":1,"method":"tools/call","params":{"name":"a","Arguments":{}}}"#,
        // To readers that take batches.
        r#"[{"jsonrpc":"2.0","id":1,"method":"tools/call","params":{"name":"drop"}}]"#,
        // Without an answer, or with two faces.
        r#"{"jsonrpc":"2.0","method":"tools/call","params":{"name":"drop"}}"#,
        r#"{"jsonrpc":"2.0","id":null,"method":"tools/call","params":{"name":"drop"}}"#,
        r#"{"jsonrpc":"2.0","id":[1],"method":"tools/call","params":{"name":"drop"}}"#,
        r#"{"jsonrpc":"2.0","id":1.5,"method":"tools/call","params":{"name":"drop"}}"#,
        r#"{"jsonrpc":"2.0","id":1,"method":"tools/call","result":{},"params":{"name":"drop"}}"#,
        r#"{"jsonrpc":"2.0","id":1,"method":["tools/call"],"params":{"name":"drop"}}"#,
        // Not all of it could be shown.
        r#"{"jsonrpc":"2.0","id":1,"method":"tools/call"}"#,
        r#"{"jsonrpc":"2.0","id":1,"method":"tools/call","params":["drop"]}"#,
        r#"{"jsonrpc":"2.0","id":1,"method":"tools/call","params":{}}"#,
        r#"{"jsonrpc":"2.0","id":1,"method":"tools/call","params":{"name":""}}"#,
        r#"{"jsonrpc":"2.0","id":1,"method":"tools/call","params":{"name":7}}"#,
        r#"{"jsonrpc":"2.0","id":1,"method":"tools/call","params":{"name":"a","arguments":[]}}"#,
        r#"{"jsonrpc":"2.0","id":1,"method":"tools/call","params":{"name":"a","arguments":null}}"#,
        r#"{"jsonrpc":"2.0","id":1,"method":"tools/call","params":{"name":"a","_meta":1}}"#,
        // No message at all.
        r#"{"id":1,"method":"tools/call","params":{"name":"drop"}}"#,
        r#"{"jsonrpc":"1.0","id":1,"method":"tools/call","params":{"name":"drop"}}"#,
        r#"{"jsonrpc":"2.0","id":1}"#,
        r#"{"jsonrpc":"2.0"}"#,
    ] {
        assert!(client(text).is_err(), "{text}");
    }
}

#[test]
fn a_method_that_a_looser_reader_takes_for_a_call_of_a_tool_is_not_passed_on() {
    for method in [
        r"tools/call\u0000",
        r"tools/call\u0000x",
        "Tools/Call",
        "TOOLS/CALL",
        " tools/call",
        "tools/call ",
        r"tools/call\t",
        r"\ntools/call",
        r"tools/call\u200b",
        r"tools\u00ad/call",
        r"tools/call\ufeff",
        r"tool\u017f/call",
        r"tools\u2215call",
        "tools//call",
        "/tools/call",
        "tools/call/",
        "tools.call",
        "tools_call",
        "tools/call?x",
        "tools/call;x",
        "",
    ] {
        let text =
            format!(r#"{{"jsonrpc":"2.0","id":1,"method":"{method}","params":{{"name":"drop"}}}}"#);
        assert!(client(&text).is_err(), "{text}");
        assert!(server(&text).is_err(), "{text}");
    }
}

#[test]
fn a_name_that_a_looser_reader_takes_for_one_with_a_meaning_is_not_passed_on() {
    for name in [
        r"method\u0000",
        r"method\u0000x",
        r"\u200bmethod",
        "method ",
        "M\u{e9}thod",
    ] {
        let text = format!(
            r#"{{"jsonrpc":"2.0","id":1,"method":"ping","{name}":"tools/call","params":{{"name":"drop"}}}}"#
        );
        let is_another = name.contains('\u{e9}');
        assert_eq!(client(&text).is_ok(), is_another, "{text}");
        let text = format!(r#"{{"jsonrpc":"2.0","id":1,"result":{{}},"{name}":"x"}}"#);
        assert_eq!(server(&text).is_ok(), is_another, "{text}");
    }
}

#[test]
fn a_nul_is_passed_on_in_neither_direction() {
    for part in [
        r#""x":"a\u0000b""#,
        r#""x\u0000":1"#,
        r#""x":[{"y":["\u0000"]}]"#,
        r#""x":{"y\u0000":1}"#,
    ] {
        let text = format!(r#"{{"jsonrpc":"2.0","id":1,"method":"x","params":{{{part}}}}}"#);
        let error = client(&text).unwrap_err().to_string();
        assert!(error.contains("U+0000"), "{error}");
        let text = format!(r#"{{"jsonrpc":"2.0","id":1,"result":{{{part}}}}}"#);
        server(&text).unwrap_err();
    }
}

#[test]
fn a_tool_is_called_by_a_name_that_is_one_to_every_reader() {
    let call = |name: &str| {
        client(&format!(
            r#"{{"jsonrpc":"2.0","id":1,"method":"tools/call","params":{{"name":"{name}"}}}}"#
        ))
    };
    for name in ["drop", "Drop_2", "db.drop", "a/b-c"] {
        assert!(matches!(call(name), Ok(FromClient::Call(..))), "{name}");
    }
    for name in [
        r"drop\u0000x",
        r"drop\u200b",
        r"drop\u202ex",
        r"drop\u001b[2J",
        r"dr\u043ep",
        " drop",
        "drop ",
        r"drop\n",
        "drop(x)",
        "",
    ] {
        assert!(call(name).is_err(), "{name}");
    }
}

#[test]
fn everything_else_passes() {
    for text in [
        r#"{"jsonrpc":"2.0","id":0,"method":"initialize","params":{"x":1}}"#,
        r#"{"jsonrpc":"2.0","id":"a","method":"server/discover"}"#,
        r#"{"jsonrpc":"2.0","id":3,"method":"x.example/Do_it-2$","params":{"name":"drop it"}}"#,
    ] {
        assert!(matches!(client(text), Ok(FromClient::Request(_))), "{text}");
    }
    for text in [
        r#"{"jsonrpc":"2.0","method":"notifications/initialized"}"#,
        r#"{"jsonrpc":"2.0","id":9,"result":{"action":"accept"}}"#,
        r#"{"jsonrpc":"2.0","id":9,"error":{"code":-1,"message":"no"}}"#,
    ] {
        assert!(matches!(client(text), Ok(FromClient::Other)), "{text}");
    }
}

#[test]
fn a_cancellation_names_its_request() {
    let cancelled = |text: &str| match client(text) {
        Ok(FromClient::Cancelled(id)) => id,
        other => panic!("{other:?}"),
    };
    let text = r#"{"jsonrpc":"2.0","method":"notifications/cancelled","params":{"requestId":"a"}}"#;
    assert_eq!(cancelled(text), Some(Id::Text("a".to_owned())));
    let text = r#"{"jsonrpc":"2.0","method":"notifications/cancelled"}"#;
    assert_eq!(cancelled(text), None);
}

#[test]
fn an_answer_says_how_a_call_ended() {
    let answer = |text: &str| match server(text) {
        Ok(FromServer::Answer(_, answer)) => *answer,
        other => panic!("{other:?}"),
    };
    for (result, end) in [
        (r#""result":{"content":[]}"#, End::Succeeded),
        (r#""result":{"content":[],"isError":false}"#, End::Succeeded),
        (r#""result":{"content":[],"isError":true}"#, End::Failed),
        (r#""result":7"#, End::Failed),
        (r#""error":{"code":-1,"message":"x"}"#, End::Failed),
        (
            r#""result":{"resultType":"input_required"}"#,
            End::Succeeded,
        ),
        (
            r#""result":{"resultType":"task","taskId":"t"}"#,
            End::GoesOn,
        ),
        (r#""result":{"task":{"taskId":"t"}}"#, End::GoesOn),
    ] {
        let text = format!(r#"{{"jsonrpc":"2.0","id":1,{result}}}"#);
        assert_eq!(answer(&text).end, end, "{text}");
    }
    let text = r#"{"jsonrpc":"2.0","id":1,"result": { "a" : 1 } }"#;
    assert_eq!(answer(text).digest, Digest::of(br#"{ "a" : 1 }"#));
    let text = r#"{"jsonrpc":"2.0","id":1,"result":{"tools":[{"name":"a"},{"name":"b"}]}}"#;
    assert_eq!(answer(text).tools.len(), 2);
}

#[test]
fn a_list_of_tools_that_could_be_another_one_to_the_client_is_not_passed_on() {
    for text in [
        r#"{"jsonrpc":"2.0","id":1,"result":{"tools":[]},"result":{"tools":[]}}"#,
        r#"{"jsonrpc":"2.0","id":1,"result":{"tools":[],"Tools":[{"name":"a"}]}}"#,
        r#"{"jsonrpc":"2.0","id":1,"result":{},"Result":{"tools":[]}}"#,
        r#"{"jsonrpc":"2.0","id":1,"result":{"tools":[{"name":"a","name":"b"}]}}"#,
        "{\"jsonrpc\":\"2.0\",\"id\":1,\"result\":\r{\"jsonrpc\":\"2.0\",\"id\":1,\"result\":{}}\r}",
    ] {
        assert!(server(text).is_err(), "{text}");
    }
}

#[test]
fn an_error_names_the_request_as_far_as_it_can_be_guessed() {
    assert_eq!(guess_id(br#"{"id":5,"a":1,"a":2}"#), Some(Id::Number(5)));
    assert_eq!(guess_id(br#"{"id":"x"}"#), Some(Id::Text("x".to_owned())));
    for bytes in [&br#"{"id":5"#[..], b"[]", br#"{"id":{}}"#, b"\xff"] {
        assert_eq!(guess_id(bytes), None);
    }
    assert_eq!(Id::Number(5).to_value(), json!(5));
    let answered = |text: &str| guess_answered(text.as_bytes());
    assert_eq!(
        answered(r#"{"id":5,"result":"\u0000"}"#),
        Some(Id::Number(5))
    );
    assert_eq!(answered(r#"{"id":5,"error":{}}"#), Some(Id::Number(5)));
    for text in [
        r#"{"id":5,"method":"x","result":1}"#,
        r#"{"id":5}"#,
        "[]",
        r#"{"result":1}"#,
    ] {
        assert_eq!(answered(text), None, "{text}");
    }
}
