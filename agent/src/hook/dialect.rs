//! What four clients write to a hook and want to read from it.
//!
//! Dialects are named by whoever set the hook up, never recognised: an answer in another dialect than
//! the client's own can mean "go on" to it. What a client writes is read strictly where a decision
//! hangs on it; other fields may come and go with its versions.

mod fields;
mod tools;

use clap::ValueEnum;
use serde_json::{Map, Value, json};

use super::call::{End, Event, Server, ToolCall};
use fields::Fields;

pub(super) use fields::FieldError;
pub(super) use tools::{Meaning, meaning};

/// A client that calls hooks.
#[derive(Debug, Clone, Copy, PartialEq, Eq, ValueEnum)]
pub enum Dialect {
    /// Claude Code.
    Claude,
    /// The Codex CLI.
    Codex,
    /// Gemini CLI.
    Gemini,
    /// GitHub Copilot CLI.
    Copilot,
}

/// The answer to a call.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(super) enum Verdict {
    /// It may go on: the one use is taken.
    Allow(String),
    /// It must not go on.
    Deny(String),
    /// The client shall end and come back with the same call. Only one dialect has this.
    Defer,
}

/// What the client wrote is not what it writes in its dialect.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
pub(super) enum DialectError {
    /// A field is missing or of another type.
    #[error(transparent)]
    Field(#[from] FieldError),
    /// It is not JSON that can be read in one way only.
    #[error("what {client} wrote cannot be read: {problem}")]
    Json {
        /// The client.
        client: &'static str,
        /// Why not.
        problem: String,
    },
    /// The event is none that this hook answers.
    #[error("the event `{event}` of {client} is not one that this hook is for")]
    Event {
        /// The client.
        client: &'static str,
        /// The event.
        event: String,
    },
    /// The payload does not say which event it is, and nobody else did.
    #[error("{client} does not name the event in what it writes")]
    NoEvent {
        /// The client.
        client: &'static str,
    },
    /// The payload names another event than the command line.
    #[error("{client} tells the event `{found}`, and the hook was started for `{expected}`")]
    OtherEvent {
        /// The client.
        client: &'static str,
        /// The event on the command line.
        expected: String,
        /// The event in the payload.
        found: String,
    },
}

impl Dialect {
    /// Returns the word on the command line.
    pub(crate) const fn word(self) -> &'static str {
        match self {
            Self::Claude => "claude",
            Self::Codex => "codex",
            Self::Gemini => "gemini",
            Self::Copilot => "copilot",
        }
    }

    /// Reads what the client wrote; `event` is what the command line says about it.
    ///
    /// # Errors
    /// When it is nothing that can be answered.
    pub(super) fn read(
        self,
        payload: Map<String, Value>,
        event: Option<&str>,
    ) -> Result<Event, DialectError> {
        let mut fields = Fields::new(payload, "");
        match self {
            Self::Claude => claude(&mut fields, event),
            Self::Codex => codex(&mut fields, event),
            Self::Gemini => gemini(&mut fields, event),
            Self::Copilot => copilot(&mut fields, event),
        }
    }

    /// Writes an answer.
    pub(super) fn render(self, verdict: &Verdict) -> Option<Value> {
        let (word, reason) = match verdict {
            Verdict::Allow(reason) => ("allow", Some(reason)),
            Verdict::Deny(reason) => ("deny", Some(reason)),
            Verdict::Defer if self == Self::Claude => ("defer", None),
            // No other client knows the word, and what it does not know it lets pass.
            Verdict::Defer => return None,
        };
        Some(match self {
            Self::Claude | Self::Codex => {
                let mut output = json!({
                    "hookEventName": "PreToolUse",
                    "permissionDecision": word,
                });
                if let (Some(reason), Some(members)) = (reason, output.as_object_mut()) {
                    members.insert("permissionDecisionReason".to_owned(), json!(reason));
                }
                json!({ "hookSpecificOutput": output })
            }
            Self::Gemini => json!({ "decision": word, "reason": reason }),
            Self::Copilot => json!({
                "permissionDecision": word,
                "permissionDecisionReason": reason,
            }),
        })
    }
}

/// Takes the event that the payload names, which must be the one on the command line.
fn event_of(
    client: Dialect,
    fields: &mut Fields,
    expected: Option<&str>,
) -> Result<String, DialectError> {
    let found = fields.optional_text("hook_event_name")?;
    match (found, expected) {
        (Some(found), Some(expected)) if found != expected => Err(DialectError::OtherEvent {
            client: client.word(),
            expected: expected.to_owned(),
            found,
        }),
        (Some(event), _) => Ok(event),
        (None, Some(expected)) => Ok(expected.to_owned()),
        (None, None) => Err(DialectError::NoEvent {
            client: client.word(),
        }),
    }
}

fn unknown(client: Dialect, event: String) -> DialectError {
    DialectError::Event {
        client: client.word(),
        event,
    }
}

/// Takes the texts that are claims, under the names that actions give them.
fn claims(
    fields: &mut Fields,
    names: &[(&str, &'static str)],
) -> Result<Vec<(&'static str, String)>, FieldError> {
    let mut claims = Vec::new();
    for (from, to) in names {
        if let Some(text) = fields.optional_text(from)? {
            claims.push((*to, text));
        }
    }
    Ok(claims)
}

fn claude(fields: &mut Fields, expected: Option<&str>) -> Result<Event, DialectError> {
    let client = Dialect::Claude;
    let event = event_of(client, fields, expected)?;
    let tool = fields.text("tool_name")?;
    let server = match fields.optional_object("mcp_server")? {
        Some(mut server) => tools::of_server(&tool, Some(&server.text("name")?)),
        None => tools::of_server(&tool, None),
    };
    let call = ToolCall {
        client,
        session: fields.text("session_id")?,
        id: Some(fields.text("tool_use_id")?),
        cwd: fields.text("cwd")?,
        input: fields.object("tool_input")?.into_rest(),
        server,
        transcript: fields.optional_text("transcript_path")?,
        claims: claims(
            fields,
            &[("permission_mode", "mode"), ("agent_type", "subagent")],
        )?,
        tool,
    };
    let duration_ms = fields.optional_number("duration_ms")?;
    let ran = |outcome| End::Ran {
        outcome,
        exit: None,
        duration_ms,
    };
    match event.as_str() {
        "PreToolUse" => Ok(Event::Gate(call)),
        "PostToolUse" => {
            let cut_short = fields.flag_inside("tool_response", "interrupted");
            let word = if cut_short { "killed" } else { "succeeded" };
            Ok(Event::Over(call, ran(word)))
        }
        "PostToolUseFailure" => {
            let cut_short = fields.optional_flag("is_interrupt")?.unwrap_or(false);
            let word = if cut_short { "killed" } else { "failed" };
            Ok(Event::Over(call, ran(word)))
        }
        "PermissionDenied" => Ok(Event::Over(
            call,
            End::NotRun {
                because: "the client itself did not permit it",
            },
        )),
        _ => Err(unknown(client, event)),
    }
}

fn codex(fields: &mut Fields, expected: Option<&str>) -> Result<Event, DialectError> {
    let client = Dialect::Codex;
    let event = event_of(client, fields, expected)?;
    let tool = fields.text("tool_name")?;
    let call = ToolCall {
        client,
        session: fields.text("session_id")?,
        id: Some(fields.text("tool_use_id")?),
        cwd: fields.text("cwd")?,
        input: fields.object("tool_input")?.into_rest(),
        server: tools::of_server(&tool, None),
        transcript: None,
        claims: claims(
            fields,
            &[
                ("model", "model"),
                ("permission_mode", "mode"),
                ("turn_id", "turn"),
            ],
        )?,
        tool,
    };
    match event.as_str() {
        "PreToolUse" => Ok(Event::Gate(call)),
        "PostToolUse" => {
            // The output of a command, or what a tool of the client's own says of it.
            let exit = fields
                .peek_text("tool_response")
                .and_then(|text| text.strip_prefix("Exit code: "))
                .and_then(|rest| rest.lines().next())
                .and_then(|number| number.parse().ok());
            let outcome = if exit.is_none_or(|exit: i32| exit == 0) {
                "succeeded"
            } else {
                "failed"
            };
            Ok(Event::Over(
                call,
                End::Ran {
                    outcome,
                    exit,
                    duration_ms: None,
                },
            ))
        }
        _ => Err(unknown(client, event)),
    }
}

fn gemini(fields: &mut Fields, expected: Option<&str>) -> Result<Event, DialectError> {
    let client = Dialect::Gemini;
    let event = event_of(client, fields, expected)?;
    let tool = fields.text("tool_name")?;
    let server = match fields.optional_object("mcp_context")? {
        Some(mut context) => Some(Server {
            name: context.text("server_name")?,
            tool: context.text("tool_name")?,
        }),
        None => None,
    };
    let call = ToolCall {
        client,
        session: fields.text("session_id")?,
        id: None,
        cwd: fields.text("cwd")?,
        input: fields.object("tool_input")?.into_rest(),
        server,
        transcript: None,
        claims: Vec::new(),
        tool,
    };
    match event.as_str() {
        "BeforeTool" => Ok(Event::Gate(call)),
        "AfterTool" => {
            let failed = fields.has_inside("tool_response", "error");
            Ok(Event::Over(
                call,
                End::Ran {
                    outcome: if failed { "failed" } else { "succeeded" },
                    exit: None,
                    duration_ms: None,
                },
            ))
        }
        _ => Err(unknown(client, event)),
    }
}

fn copilot(fields: &mut Fields, expected: Option<&str>) -> Result<Event, DialectError> {
    let client = Dialect::Copilot;
    // Most payloads of this client do not name their event.
    if let Some(event) = fields.optional_text("hookName")? {
        return Err(unknown(client, event));
    }
    let event = event_of(client, fields, expected)?;
    let call = ToolCall {
        client,
        session: fields.text("sessionId")?,
        id: None,
        cwd: fields.text("cwd")?,
        tool: fields.text("toolName")?,
        input: fields.object("toolArgs")?.into_rest(),
        server: None,
        transcript: None,
        claims: Vec::new(),
    };
    let result = fields.optional_object("toolResult")?;
    match (event.as_str(), result) {
        ("preToolUse", None) => Ok(Event::Gate(call)),
        ("postToolUse", Some(mut result)) => {
            let end = match result.text("resultType")?.as_str() {
                "denied" | "rejected" => End::NotRun {
                    because: "the client itself did not permit it",
                },
                word => End::Ran {
                    outcome: if word == "success" {
                        "succeeded"
                    } else {
                        "failed"
                    },
                    exit: None,
                    duration_ms: None,
                },
            };
            Ok(Event::Over(call, end))
        }
        ("preToolUse", Some(_)) => Err(DialectError::OtherEvent {
            client: client.word(),
            expected: event,
            found: "postToolUse".to_owned(),
        }),
        ("postToolUse", None) => Err(DialectError::OtherEvent {
            client: client.word(),
            expected: event,
            found: "preToolUse".to_owned(),
        }),
        (_, _) => Err(unknown(client, event)),
    }
}

#[cfg(test)]
mod tests;
