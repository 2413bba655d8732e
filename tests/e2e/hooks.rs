//! `countersign-agent hook`: what a client of an agent is answered, and what becomes of the request.
//!
//! The clients themselves are not here. What they write is as it was recorded from them, and what they
//! do with an answer is in the table of `failures`.

mod defer;
mod failures;
mod gate;
mod install;
mod later;
mod outcome;
mod starter;

use std::fs;
use std::path::PathBuf;
use std::process::{Command, Stdio};
use std::sync::atomic::{AtomicUsize, Ordering};

use countersign_tests::home::Asked;
use countersign_tests::{Home, Ran, Running};
use serde_json::{Value, json};

/// The clients, by their word on the command line.
const CLIENTS: [&str; 4] = ["claude", "codex", "gemini", "copilot"];

/// A call of a shell, as a client writes it before it is made.
struct Call {
    client: &'static str,
    command: String,
    session: &'static str,
    id: &'static str,
}

impl Call {
    fn new(client: &'static str, command: &str) -> Self {
        Self {
            client,
            command: command.to_owned(),
            session: "0f3c1f6e-1111-4222-8333-444455556666",
            id: "toolu_01",
        }
    }

    fn id(self, id: &'static str) -> Self {
        Self { id, ..self }
    }

    fn session(self, session: &'static str) -> Self {
        Self { session, ..self }
    }

    /// Returns what the client writes before the call.
    fn before(&self, home: &Home) -> Value {
        let cwd = home.root();
        let (session, id, command) = (self.session, self.id, &self.command);
        match self.client {
            "claude" => json!({
                "session_id": session, "transcript_path": "/nowhere.jsonl", "cwd": cwd,
                "permission_mode": "default", "hook_event_name": "PreToolUse",
                "tool_name": "Bash", "tool_input": {"command": command}, "tool_use_id": id,
            }),
            "codex" => json!({
                "session_id": session, "turn_id": "t", "transcript_path": null, "cwd": cwd,
                "hook_event_name": "PreToolUse", "model": "m", "permission_mode": "default",
                "tool_name": "Bash", "tool_input": {"command": command}, "tool_use_id": id,
            }),
            "gemini" => json!({
                "session_id": session, "transcript_path": "/nowhere.json", "cwd": cwd,
                "hook_event_name": "BeforeTool", "timestamp": "2026-11-21T19:19:35.915Z",
                "tool_name": "run_shell_command",
                "tool_input": {"command": command, "description": "x"},
            }),
            _ => json!({
                "sessionId": session, "timestamp": 1_795_289_111_113_u64, "cwd": cwd,
                "toolName": "bash", "toolArgs": {"command": command, "description": "x"},
            }),
        }
    }

    /// Starts the hook for the call.
    #[track_caller]
    fn start(&self, home: &Home, options: &[&str]) -> Running {
        start(home, self.client, options, &self.before(home))
    }

    /// Starts the hook and waits until the request is held.
    #[track_caller]
    fn held(&self, home: &Home, options: &[&str]) -> (Running, Asked) {
        let hook = self.start(home, options);
        (hook, home.wait_for_state("pending"))
    }
}

/// Returns the options of a hook that the client does not name the event for.
fn event_of(client: &str, gate: bool) -> Vec<&'static str> {
    match (client, gate) {
        ("copilot", true) => vec!["--event", "preToolUse"],
        ("copilot", false) => vec!["--event", "postToolUse"],
        _ => Vec::new(),
    }
}

/// Starts a hook before a call.
#[track_caller]
fn start(home: &Home, client: &str, options: &[&str], payload: &Value) -> Running {
    let mut command = home.agent_command(&["hook", client]);
    command.args(event_of(client, true)).args(options);
    start_with(home, &mut command, payload.to_string().as_bytes())
}

/// Starts a command with these bytes as its input.
#[track_caller]
fn start_with(home: &Home, command: &mut Command, input: &[u8]) -> Running {
    Running::start(
        command,
        Stdio::from(fs::File::open(written(home, input)).expect("a file")),
    )
}

/// Runs a hook after a call.
#[track_caller]
fn after(home: &Home, client: &str, payload: &Value) -> Ran {
    let mut command = home.agent_command(&["hook", client]);
    command.args(event_of(client, false));
    start_with(home, &mut command, payload.to_string().as_bytes()).wait()
}

/// Writes bytes into a file of their own.
#[track_caller]
fn written(home: &Home, bytes: &[u8]) -> PathBuf {
    static NEXT: AtomicUsize = AtomicUsize::new(0);
    let number = NEXT.fetch_add(1, Ordering::Relaxed);
    let path = home.root().join(format!("payload-{number}"));
    fs::write(&path, bytes).expect("a file");
    path
}

/// What a client makes of the end of a hook, as it was measured on each of them.
#[derive(Debug, Clone, PartialEq, Eq)]
enum Heard {
    /// The call is made.
    Allowed,
    /// The call is not made, and the agent reads why.
    Denied(String),
    /// The call is not made, because the hook failed.
    Failed,
    /// The client ends and comes back.
    Deferred,
    /// Nothing was said, and the call is made.
    Silence,
}

/// Reads an answer as its client does.
#[track_caller]
fn heard(client: &str, ran: &Ran) -> Heard {
    if ran.code == 2 {
        assert_eq!(ran.stdout, "", "a failure with an answer: {ran:?}");
        assert!(!ran.stderr.is_empty(), "a failure without a reason");
        return Heard::Failed;
    }
    // Every other code lets the call pass in some client.
    assert_eq!(ran.code, 0, "{ran:?}");
    if ran.stdout.is_empty() {
        return Heard::Silence;
    }
    assert_eq!(ran.stdout.lines().count(), 1, "{ran:?}");
    let answer = ran.json();
    let (decision, reason) = match client {
        "claude" | "codex" => {
            let output = &answer["hookSpecificOutput"];
            assert_eq!(output["hookEventName"], "PreToolUse", "{answer}");
            let reason = &output["permissionDecisionReason"];
            (output["permissionDecision"].clone(), reason.clone())
        }
        "gemini" => (answer["decision"].clone(), answer["reason"].clone()),
        _ => (
            answer["permissionDecision"].clone(),
            answer["permissionDecisionReason"].clone(),
        ),
    };
    match decision.as_str() {
        Some("allow") => Heard::Allowed,
        Some("deny") => Heard::Denied(reason.as_str().expect("a reason").to_owned()),
        Some("defer") if client == "claude" => Heard::Deferred,
        _ => panic!("no answer in the dialect of {client}: {answer}"),
    }
}

/// Waits for an answer.
#[track_caller]
fn answer(client: &str, hook: Running) -> Heard {
    heard(client, &hook.wait())
}

/// Waits for a "no" and returns its reason.
#[track_caller]
fn denied(client: &str, hook: Running) -> String {
    let heard = answer(client, hook);
    let Heard::Denied(reason) = heard else {
        panic!("not denied: {heard:?}");
    };
    reason
}
