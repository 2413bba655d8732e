//! One call of a tool, as an agent's client tells it to a hook, whatever the client's dialect.

use countersign_shared::digest::Digest;
use countersign_shared::json::{self, JsonError};
use serde_json::{Map, Value, json};

use super::dialect::Dialect;

/// A tool that an agent is about to use, or has used.
#[derive(Debug, Clone, PartialEq)]
pub(super) struct ToolCall {
    /// Who tells.
    pub(super) client: Dialect,
    /// The client's name for the conversation.
    pub(super) session: String,
    /// The client's name for this call, where it has one.
    pub(super) id: Option<String>,
    /// The directory the agent works in, absolute.
    pub(super) cwd: String,
    /// The tool's name.
    pub(super) tool: String,
    /// What the tool is given.
    pub(super) input: Map<String, Value>,
    /// Which server's tool it is, where the client says that it is one's.
    pub(super) server: Option<Server>,
    /// Where the client writes the conversation down, as it says.
    pub(super) transcript: Option<String>,
    /// What the client says besides: model, mode, turn. Claims, nothing else.
    pub(super) claims: Vec<(&'static str, String)>,
}

/// A tool of an MCP server.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(super) struct Server {
    /// The server, as the client's configuration calls it.
    pub(super) name: String,
    /// The tool, as the server calls it.
    pub(super) tool: String,
}

/// What a client tells.
#[derive(Debug, Clone, PartialEq)]
pub(super) enum Event {
    /// The tool is about to be used, and waits for an answer.
    Gate(ToolCall),
    /// The tool was used, or was not after all.
    Over(ToolCall, End),
}

/// How a call ended, as its client says.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(super) enum End {
    /// It was carried out.
    Ran {
        /// Succeeded, failed or killed.
        outcome: &'static str,
        /// The exit code, where one is told.
        exit: Option<i32>,
        /// How long it took, where that is told, in milliseconds.
        duration_ms: Option<u64>,
    },
    /// It was not carried out.
    NotRun {
        /// Why not, in words of ours.
        because: &'static str,
    },
}

impl ToolCall {
    /// Returns what this call is found by when it is over: its id, or else all of it.
    ///
    /// # Errors
    /// When the input cannot be written.
    pub(super) fn key(&self) -> Result<String, JsonError> {
        match &self.id {
            Some(id) => Ok(Digest::of(&json::canonical(&json!(["id", id]))?).to_hex()),
            None => Ok(self.digest()?.to_hex()),
        }
    }

    /// Returns the digest of the tool and all it is given.
    ///
    /// # Errors
    /// When the input cannot be written.
    pub(super) fn digest(&self) -> Result<Digest, JsonError> {
        let all = json!(["input", self.tool, self.input]);
        Ok(Digest::of(&json::canonical(&all)?))
    }
}
