//! Whether a client may be asked to come back later.
//!
//! A client that was told to defer ends, and comes back with the same call when it is resumed. One
//! that runs in a terminal, or that has more than one call in hand, takes no notice and goes on as if
//! nothing was said, which can mean that the call is made. So this is only answered when both can be
//! seen not to be so; in doubt the answer is a plain "no for now".

use std::collections::BTreeSet;
use std::fs::File;
use std::io::{Read as _, Seek as _, SeekFrom};

use serde_json::Value;

use super::call::ToolCall;
use super::dialect::Dialect;
use super::parent::Parent;

/// How much of the end of a transcript is read, in bytes.
const TAIL: u64 = 4 * 1024 * 1024;

/// Tells whether the client will take notice.
pub(super) fn may_defer(call: &ToolCall, parent: &Parent) -> bool {
    call.client == Dialect::Claude
        && is_headless(&parent.command_line())
        && call
            .transcript
            .as_deref()
            .and_then(tail)
            .is_some_and(|text| call.id.as_deref().is_some_and(|id| is_alone(&text, id)))
}

/// Tells whether a command line asks for a run without a terminal.
fn is_headless(words: &[String]) -> bool {
    words.iter().any(|word| word == "-p" || word == "--print")
}

fn tail(path: &str) -> Option<String> {
    let mut file = File::open(path).ok()?;
    let length = file.metadata().ok()?.len();
    file.seek(SeekFrom::Start(length.saturating_sub(TAIL)))
        .ok()?;
    let mut bytes = Vec::new();
    file.take(TAIL).read_to_end(&mut bytes).ok()?;
    Some(String::from_utf8_lossy(&bytes).into_owned())
}

/// Tells whether a call is the only one of its turn, as a transcript (one JSON object to a line) has
/// it: the message that makes it makes no other.
fn is_alone(transcript: &str, id: &str) -> bool {
    let mut of_message: Vec<(String, BTreeSet<String>)> = Vec::new();
    for line in transcript.lines() {
        let Ok(entry) = serde_json::from_str::<Value>(line) else {
            continue;
        };
        let message = entry.pointer("/message/id").and_then(Value::as_str);
        let content = entry.pointer("/message/content").and_then(Value::as_array);
        let (Some(message), Some(content)) = (message, content) else {
            continue;
        };
        let calls = content
            .iter()
            .filter(|part| part.get("type").and_then(Value::as_str) == Some("tool_use"))
            .filter_map(|part| part.get("id")?.as_str().map(str::to_owned));
        match of_message.iter_mut().find(|(known, _)| known == message) {
            Some((_, known)) => known.extend(calls),
            None => of_message.push((message.to_owned(), calls.collect())),
        }
    }
    of_message
        .iter()
        .find(|(_, calls)| calls.contains(id))
        .is_some_and(|(_, calls)| calls.len() == 1)
}

#[cfg(test)]
mod tests {
    use super::*;

    fn line(message: &str, calls: &[&str]) -> String {
        let content: Vec<Value> = calls
            .iter()
            .map(|id| serde_json::json!({"type": "tool_use", "id": id, "name": "Bash"}))
            .collect();
        serde_json::json!({"message": {"id": message, "content": content}}).to_string()
    }

    #[test]
    fn only_the_one_call_of_a_turn_is_deferred() {
        let alone = [line("m1", &["a"]), line("m2", &[]), line("m2", &["b"])].join("\n");
        assert!(is_alone(&alone, "b"));
        let with_another = [line("m2", &["b"]), line("m2", &["c"])].join("\n");
        assert!(!is_alone(&with_another, "b"));
        assert!(!is_alone(&line("m2", &["b", "c"]), "b"));
        assert!(!is_alone(&alone, "not there"));
        assert!(!is_alone("", "b"));
        assert!(!is_alone("{", "b"));
    }

    #[test]
    fn a_client_in_a_terminal_is_not_asked_to_defer() {
        let words = |text: &str| text.split(' ').map(str::to_owned).collect::<Vec<_>>();
        assert!(is_headless(&words("claude -p go")));
        assert!(is_headless(&words("node claude.js --print go")));
        assert!(!is_headless(&words("claude")));
        assert!(!is_headless(&[]));
    }
}
