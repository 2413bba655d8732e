//! The answer of a hook for a client that asks a tool of ours instead (`permission-tool`).
//!
//! The question comes without the conversation and the directory: each process of ours serves one
//! conversation, in the directory that the client started it in.

use std::path::Path;
use std::time::Duration;

use countersign_client::place::state_dir;
use serde_json::{Map, Value, json};

use super::call::Event;
use super::dialect::{Dialect, Verdict};
use super::gate::{Gate, RESERVE};
use super::parent::Parent;
use crate::asked;
use crate::calls::{Calls, Shelf};
use crate::clock;
use crate::exit::Exit;
use crate::failure::Failure;
use crate::mcp::gate::Stops;
use crate::session::Session;
use crate::signals::Signals;

/// What the client asks.
#[derive(Debug)]
pub(crate) struct Question {
    /// The tool that would be used.
    pub(crate) tool: String,
    /// What it would be given.
    pub(crate) input: Map<String, Value>,
    /// The same as it was written.
    pub(crate) input_text: String,
    /// The client's name for this use.
    pub(crate) use_id: String,
}

/// What came of it.
#[derive(Debug)]
pub(crate) enum Asked {
    /// The tool may be used: the use is taken.
    Allowed(Box<Used>),
    /// It must not, and why.
    Denied(String),
}

/// A use that was taken for the client.
#[derive(Debug)]
pub(crate) struct Used {
    session: Session,
    asked: asked::Asked,
    calls: Calls,
    key: String,
}

impl Used {
    /// Says that the client did not hear of it.
    pub(crate) async fn not_made(mut self, why: &str) {
        drop(self.calls.take_of_any(Shelf::Redeemed, &self.key));
        self.asked.report_not_run(&mut self.session, why).await;
    }
}

/// Asks people, within `limit`, until `stops` says that nobody wants to know any more.
///
/// # Errors
/// With everything that is no decision.
pub(crate) async fn ask(
    home: Option<&Path>,
    conversation: &str,
    question: Question,
    limit: Duration,
    stops: Stops,
) -> Result<Asked, Failure> {
    let ends = clock::boot().saturating_add(limit.saturating_sub(RESERVE.min(limit / 4)));
    let internal = |error: &dyn std::error::Error| Failure::of(Exit::Failure, "internal", error);
    let mut signals =
        Signals::catch().map_err(|error| Failure::of(Exit::Failure, "signals", &error))?;
    let parent = Parent::watch()
        .map_err(|error| Failure::of(Exit::Failure, "no-parent", &error))?
        .until(stops);
    let cwd = std::env::current_dir().map_err(|error| internal(&error))?;
    let payload = json!({
        "hook_event_name": "PreToolUse",
        "session_id": conversation,
        "cwd": cwd,
        "tool_name": question.tool,
        "tool_input": question.input,
        "tool_use_id": question.use_id,
    });
    let Value::Object(payload) = payload else {
        return Ok(Asked::Denied("countersign: nothing was asked".to_owned()));
    };
    let call = match Dialect::Claude.read(payload, None) {
        Ok(Event::Gate(call)) => call,
        Ok(Event::Over(..)) => {
            return Ok(Asked::Denied("countersign: nothing was asked".to_owned()));
        }
        Err(error) => return Err(Failure::of(Exit::Usage, "not-understood", &error)),
    };
    let calls = Calls::open(&state_dir()?);
    let mut session = Session::open(home)?;
    let gate = Gate {
        call: &call,
        ends,
        defer: false,
        parent: &parent,
    };
    let decision = gate.decide(&mut session, &calls, &mut signals).await?;
    Ok(match (decision.verdict, decision.used) {
        (Verdict::Allow(_), Some(asked)) => Asked::Allowed(Box::new(Used {
            session,
            asked,
            calls,
            key: call.key().map_err(|error| internal(&error))?,
        })),
        (Verdict::Deny(why), _) => Asked::Denied(why),
        (Verdict::Allow(_), None) | (Verdict::Defer, _) => {
            Asked::Denied("countersign: nobody approved it".to_owned())
        }
    })
}
