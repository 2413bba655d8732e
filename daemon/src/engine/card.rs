//! What lists show of a request, read once from its document.

use countersign_shared::document::Document;
use serde_json::Value;

/// What lists show. Every text is the agent's or the kernel's, raw: encode it before it is drawn.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub struct Card {
    /// The kind of the action.
    pub kind: String,
    /// The target's kind.
    pub target_kind: String,
    /// The target's name.
    pub target: String,
    /// Who the agent says it is.
    pub agent: String,
    /// The OS user's number.
    pub uid: u32,
    /// The OS user's name.
    pub user: String,
    /// The process.
    pub pid: u32,
    /// The program's path.
    pub program: String,
    /// The systemd unit.
    pub unit: String,
    /// The container.
    pub container: String,
}

impl Card {
    /// Reads the card of a document.
    pub fn of(document: &Document) -> Self {
        let action = document.action();
        let requester = document.requester();
        Self {
            kind: text(action, "/kind"),
            target_kind: text(action, "/target/kind"),
            target: text(action, "/target/name"),
            agent: text(action, "/claims/agent"),
            uid: number(requester, "/uid"),
            user: text(requester, "/user"),
            pid: number(requester, "/pid"),
            program: text(requester, "/evidence/program/computed"),
            unit: text(requester, "/unit"),
            container: text(requester, "/container"),
        }
    }
}

/// Returns a string of the document; what is no string is shown in the detail, not in lists.
fn text(value: &Value, pointer: &str) -> String {
    value
        .pointer(pointer)
        .and_then(Value::as_str)
        .unwrap_or_default()
        .to_owned()
}

fn number(value: &Value, pointer: &str) -> u32 {
    value
        .pointer(pointer)
        .and_then(Value::as_u64)
        .and_then(|number| u32::try_from(number).ok())
        .unwrap_or(u32::MAX)
}
