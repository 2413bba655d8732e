//! A canary through the hooks of agents' clients: a call that nobody has permitted, made as the client
//! would make it, has to be held.
//!
//! Only the agents' side is asked: what its own program says of the settings, what the hook answers,
//! and the withdrawal. So nothing here can pass for a decision, and nothing stays behind.

use std::io::{self, Write as _};
use std::path::Path;
use std::process::{Child, Command, ExitStatus, Stdio};
use std::thread;
use std::time::Duration;

use countersign_shared::id::RequestId;
use data_encoding::HEXLOWER;
use serde_json::{Value, json};

use super::super::exit::chain;
use super::{Finding, bad, good};
use crate::siblings::sibling;

/// The hook's own time; after it the call is answered with "denied for now" and a ticket.
const LIMIT: &str = "4s";
/// How long any of the programs may take.
const PATIENCE: Duration = Duration::from_secs(30);
/// Between two looks at a program that runs.
const LOOK: Duration = Duration::from_millis(20);

/// The clients, by their word, with the name of the finding.
const CLIENTS: [(&str, &str); 4] = [
    ("claude", "hook of claude"),
    ("codex", "hook of codex"),
    ("gemini", "hook of gemini"),
    ("copilot", "hook of copilot"),
];

/// The canary could not be sent.
#[derive(Debug, thiserror::Error)]
enum CanaryError {
    #[error(transparent)]
    Sibling(#[from] crate::siblings::SiblingError),
    #[error("cannot run `countersign-agent`")]
    Run(#[from] io::Error),
    #[error("`countersign-agent` did not end within {} s", PATIENCE.as_secs())]
    Hangs,
    #[error("the system gives no random numbers: {0}")]
    Random(getrandom::Error),
}

/// Sends a canary through every hook that is installed.
pub(super) fn check(home: Option<&Path>, findings: &mut Vec<Finding>) {
    let mut installed = false;
    for (client, what) in CLIENTS {
        match scopes(home, client) {
            Ok(scopes) if scopes.is_empty() => {}
            Ok(scopes) => {
                installed = true;
                let places = scopes.join(" and ");
                findings.push(match canary(home, client) {
                    Ok(Canary::Held { id }) => good(
                        what,
                        format!("in the {places} settings; a call was held as {id}, and withdrawn"),
                    ),
                    Ok(Canary::Refused) => good(
                        what,
                        format!(
                            "in the {places} settings; a call was refused without asking anybody"
                        ),
                    ),
                    Ok(Canary::Left { id }) => bad(
                        what,
                        format!(
                            "a call was held as {id}, and could not be withdrawn: \
                             countersign deny {id} --reason canary"
                        ),
                    ),
                    Ok(Canary::Passed { says }) => bad(
                        what,
                        format!("a call that nobody approved was not held: {says}"),
                    ),
                    Err(error) => bad(what, chain(&error)),
                });
            }
            Err(error) => findings.push(bad(what, chain(&error))),
        }
    }
    if !installed {
        findings.push(bad(
            "hooks",
            "none is installed as this version installs them: `countersign-agent install CLIENT`"
                .to_owned(),
        ));
    }
}

/// What became of the call.
enum Canary {
    /// It was held, and nothing of it is left.
    Held { id: RequestId },
    /// Policy, or the daemon, said no by itself.
    Refused,
    /// It was held, and waits on.
    Left { id: RequestId },
    /// It was not held.
    Passed { says: String },
}

/// How a program ended.
struct Ended {
    status: ExitStatus,
    stdout: String,
    stderr: String,
}

/// Returns whose settings hold the hook: where installing it would change nothing.
fn scopes(home: Option<&Path>, client: &str) -> Result<Vec<&'static str>, CanaryError> {
    let mut found = Vec::new();
    for (scope, word) in [
        ("--user", "user's"),
        ("--project", "project's"),
        ("--managed", "managed"),
    ] {
        let mut install = agent(home)?;
        install.args(["install", client, scope, "--dry-run"]);
        let ended = run(install, b"")?;
        if ended.status.success() && ended.stderr.contains("nothing to change in") {
            found.push(word);
        }
    }
    Ok(found)
}

/// Makes the call, and withdraws what is held.
fn canary(home: Option<&Path>, client: &str) -> Result<Canary, CanaryError> {
    let mut random = [0; 8];
    getrandom::fill(&mut random).map_err(CanaryError::Random)?;
    let random = HEXLOWER.encode(&random);
    let mut hook = agent(home)?;
    hook.args(["hook", client, "--limit", LIMIT]);
    if client == "copilot" {
        hook.args(["--event", "preToolUse"]);
    }
    let payload = payload(client, &random);
    let ended = run(hook, payload.to_string().as_bytes())?;
    let answer = Answer::of(&ended);
    let (Answer::No, Some(id)) = (answer, ticket(&ended)) else {
        if let (Answer::Yes, Some(id)) = (answer, ticket(&ended)) {
            // Its one use was taken; nothing ran, and nobody shall wonder about it.
            let mut report = agent(home)?;
            report.args(["report", &id.to_string(), "--outcome", "failed"]);
            run(report, b"")?;
        }
        return Ok(if answer == Answer::No {
            Canary::Refused
        } else {
            let said = [&ended.stdout, &ended.stderr];
            Canary::Passed {
                says: said.map(|text| text.trim()).join(" ").trim().to_owned(),
            }
        });
    };
    let mut withdraw = agent(home)?;
    withdraw.arg("withdraw").arg(id.to_string());
    Ok(if run(withdraw, b"")?.status.success() {
        Canary::Held { id }
    } else {
        Canary::Left { id }
    })
}

/// What the client was told.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
enum Answer {
    /// The call may be made.
    Yes,
    /// It may not.
    No,
    /// Nothing that a client is known to understand.
    Unclear,
}

impl Answer {
    fn of(ended: &Ended) -> Self {
        let answer = serde_json::from_str::<Value>(&ended.stdout).unwrap_or_default();
        let mut texts = Vec::new();
        texts_of(&answer, &mut texts);
        let (no, yes) = (texts.contains(&"deny"), texts.contains(&"allow"));
        match (ended.status.success(), no, yes) {
            (true, true, false) => Self::No,
            (true, false, true) => Self::Yes,
            _ => Self::Unclear,
        }
    }
}

/// Returns the request that an answer names.
fn ticket(ended: &Ended) -> Option<RequestId> {
    let mut words = ended
        .stdout
        .split(|c: char| !c.is_ascii_alphanumeric() && c != '_');
    words.find_map(|word| word.parse().ok())
}

fn texts_of<'v>(value: &'v Value, texts: &mut Vec<&'v str>) {
    match value {
        Value::String(text) => texts.push(text),
        Value::Array(items) => items.iter().for_each(|item| texts_of(item, texts)),
        Value::Object(fields) => fields.values().for_each(|item| texts_of(item, texts)),
        Value::Null | Value::Bool(_) | Value::Number(_) => {}
    }
}

/// Writes what the client writes before it lets a shell run a command. There is no such command.
fn payload(client: &str, random: &str) -> Value {
    let command = format!("countersign-canary-{random}");
    let cwd = "/";
    let why = "a canary of countersign doctor, withdrawn at once";
    let input = json!({"command": command, "description": why});
    match client {
        "codex" => json!({
            "session_id": random, "turn_id": random, "transcript_path": null, "cwd": cwd,
            "hook_event_name": "PreToolUse", "model": "canary", "permission_mode": "default",
            "tool_name": "Bash", "tool_input": {"command": command}, "tool_use_id": random,
        }),
        "gemini" => json!({
            "session_id": random, "transcript_path": "/nowhere.json", "cwd": cwd,
            "hook_event_name": "BeforeTool", "timestamp": super::super::wall_time().to_string(),
            "tool_name": "run_shell_command", "tool_input": input,
        }),
        "copilot" => json!({
            "sessionId": random, "timestamp": super::super::wall_time().as_millis(), "cwd": cwd,
            "toolName": "bash", "toolArgs": input,
        }),
        _ => json!({
            "session_id": random, "transcript_path": "/nowhere.jsonl", "cwd": cwd,
            "permission_mode": "default", "hook_event_name": "PreToolUse",
            "tool_name": "Bash", "tool_input": input, "tool_use_id": random,
        }),
    }
}

/// The program that the settings start, with the home that was named here.
fn agent(home: Option<&Path>) -> Result<Command, CanaryError> {
    let mut command = Command::new(sibling("countersign-agent")?);
    if let Some(home) = home {
        command.arg("--home").arg(home);
    }
    Ok(command)
}

/// Runs a program with these bytes as its input, which are fewer than a pipe holds.
fn run(mut command: Command, input: &[u8]) -> Result<Ended, CanaryError> {
    let mut child = command
        .stdin(Stdio::piped())
        .stdout(Stdio::piped())
        .stderr(Stdio::piped())
        .spawn()?;
    if let Some(mut stdin) = child.stdin.take() {
        // A program that does not read has its own reasons, and says them.
        drop(stdin.write_all(input));
    }
    let outputs = (child.stdout.take(), child.stderr.take());
    // Read beside the waiting, so that a long output does not hold the program up.
    let (stdout, stderr) = (thread::spawn(move || text(outputs.0)), text_of(outputs.1));
    let status = wait(&mut child)?;
    let text = |thread: thread::JoinHandle<String>| thread.join().unwrap_or_default();
    Ok(Ended {
        status,
        stdout: text(stdout),
        stderr: text(stderr),
    })
}

fn text_of(output: Option<impl io::Read + Send + 'static>) -> thread::JoinHandle<String> {
    thread::spawn(move || text(output))
}

fn text(output: Option<impl io::Read>) -> String {
    let mut bytes = Vec::new();
    if let Some(mut output) = output {
        drop(output.read_to_end(&mut bytes));
    }
    String::from_utf8_lossy(&bytes).into_owned()
}

fn wait(child: &mut Child) -> Result<ExitStatus, CanaryError> {
    let mut left = PATIENCE;
    while !left.is_zero() {
        if let Some(status) = child.try_wait()? {
            return Ok(status);
        }
        thread::sleep(LOOK);
        left = left.saturating_sub(LOOK);
    }
    drop(child.kill());
    drop(child.wait());
    Err(CanaryError::Hangs)
}

#[cfg(test)]
mod tests {
    use std::os::unix::process::ExitStatusExt as _;

    use super::*;

    fn ended(code: i32, stdout: &str) -> Ended {
        Ended {
            status: ExitStatus::from_raw(code << 8),
            stdout: stdout.to_owned(),
            stderr: String::new(),
        }
    }

    #[test]
    fn only_a_clear_no_counts_as_one() {
        let id = RequestId::from_bytes([5; 16]);
        let answer = |word: &str| {
            let reason = format!("countersign: the request waits as ticket {id}. Do not");
            json!({"hookSpecificOutput": {
                "permissionDecision": word, "permissionDecisionReason": reason,
            }})
            .to_string()
        };
        let no = ended(0, &answer("deny"));
        assert_eq!((Answer::of(&no), ticket(&no)), (Answer::No, Some(id)));
        assert_eq!(Answer::of(&ended(0, &answer("allow"))), Answer::Yes);
        let both = json!(["deny", "allow"]).to_string();
        for (code, stdout) in [
            (0, String::new()),
            (0, both),
            (0, format!("deny {id}")),
            (0, answer("ask")),
            (2, answer("deny")),
            (1, String::new()),
        ] {
            assert_eq!(
                Answer::of(&ended(code, &stdout)),
                Answer::Unclear,
                "{code} {stdout}"
            );
        }
    }
}
