//! What agents ask for in a test.

use std::collections::BTreeSet;
use std::sync::Arc;
use std::time::Duration;

use countersign_shared::action::Action;
use countersign_shared::display;
use countersign_shared::document::{Document, Intake};
use countersign_shared::id::RequestId;
use countersign_shared::machine::{Received, Side};
use countersign_shared::time::Deadline;
use serde_json::json;

use super::super::super::*;
use super::{AGENT, ORIGIN, World};

/// What an agent asks for.
#[derive(Debug, Clone)]
pub(in super::super) struct Ask {
    pub(in super::super) uid: u32,
    pub(in super::super) launchers: BTreeSet<u32>,
    pub(in super::super) statement: String,
    pub(in super::super) tool_call: String,
    pub(in super::super) attached: bool,
    pub(in super::super) submission: Option<[u8; 16]>,
    pub(in super::super) known_size: u64,
    pub(in super::super) use_at_once: Option<Taker>,
    /// The data it says it touches.
    pub(in super::super) data: Vec<serde_json::Value>,
}

impl Ask {
    pub(in super::super) fn of(statement: &str) -> Self {
        Self {
            uid: AGENT,
            launchers: BTreeSet::new(),
            statement: statement.to_owned(),
            tool_call: String::new(),
            attached: false,
            submission: None,
            known_size: 0,
            use_at_once: None,
            data: Vec::new(),
        }
    }

    pub(in super::super) fn principal(&self) -> String {
        format!("uid:{}", self.uid)
    }
}

impl World {
    pub(in super::super) fn draft(&mut self, ask: &Ask) -> Draft {
        self.serial += 1;
        let submission = ask.submission.unwrap_or_else(|| {
            let mut serial = [0xff; 16];
            serial[..8].copy_from_slice(&self.serial.to_be_bytes());
            serial
        });
        let id = self.secrets.request_id(&ask.principal(), submission);
        let action = json!({
            "v": 1, "kind": "sql.exec",
            "target": {"kind": "database", "name": "orders"},
            "arguments": {"statement": ask.statement},
            "data": ask.data,
        });
        let submitted = countersign_shared::json::canonical(&action).unwrap();
        let rules = Arc::clone(&self.engine.rules);
        Action::read(&submitted, &rules.limits).unwrap();
        let now = self.engine.clock.now();
        let (facts, judgement) = rules.judge_in_test(&action, now.wall);
        let requirement = judgement.requirement().unwrap().clone();
        let expires = Deadline::after(&now, Duration::from_secs(requirement.ttl_s.into()));
        let document = Document::build(Intake {
            id,
            origin: ORIGIN.to_owned(),
            received_at: now.wall,
            expires_at: expires.wall,
            salt: [3; 32],
            requester: json!({"uid": ask.uid, "user": "agent", "pid": 4711}),
            requirement: json!(requirement),
            rules: rules.digest,
            facts,
            action,
        })
        .unwrap();
        let rendering = display::render(document.bytes()).unwrap();
        let received = Received {
            digest: document.digest(),
            display: rendering.digest(),
            displayable: rendering.complete,
            mode: rules.mode,
            side: Side {
                uid: ask.uid,
                launchers: ask.launchers.clone(),
                owner: None,
            },
            requirement,
            rules: rules.digest,
            expires,
            ticket: self.secrets.ticket(id).digest(),
            attached: ask.attached,
        };
        Draft {
            id,
            card: Card::of(&document),
            document: document.bytes().into(),
            received,
            sameness: self.secrets.sameness(&ask.principal(), &submitted),
            judged: Judged {
                outcome: judgement.outcome(),
                policies: judgement.policies().to_vec(),
                because: judgement.because(),
            },
            principal: ask.principal(),
            ask_key: ask.tool_call.clone(),
            known_size: ask.known_size,
            use_at_once: ask.use_at_once,
        }
    }

    pub(in super::super) fn try_submit(&mut self, ask: &Ask) -> Result<Submitted, EngineError> {
        let draft = Box::new(self.draft(ask));
        self.ask(|reply| Command::Submit(draft, reply))
    }

    pub(in super::super) fn submit(&mut self, statement: &str) -> RequestId {
        self.try_submit(&Ask::of(statement)).unwrap().id
    }
}
