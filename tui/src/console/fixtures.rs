//! Requests for tests, hostile ones among them, and a console that plays keys against them.

use countersign_shared::digest::Digest;
use countersign_shared::id::RequestId;
use countersign_shared::text::Untrusted;
use countersign_shared::time::Timestamp;
use crossterm::event::{KeyCode, KeyEvent, KeyModifiers};
use ratatui::buffer::Buffer;
use ratatui::layout::Rect;
use serde_json::{Value, json};

use super::event::{Effect, Event, News, Request};
use super::model::{Detail, Requester, Row, Standing, Tier};
use super::prepare::Prepared;
use super::safety::{Decision, Millis, Signing};
use super::state::State;
use super::theme::Theme;
use super::update::update;
use super::view::{Drawn, view};

/// The daemon's wall time when the fixtures begin.
pub(crate) const NOON: i64 = 1_795_262_400_000;

pub(crate) fn id(number: u8) -> RequestId {
    RequestId::from_bytes([number; 16])
}

pub(crate) fn document(number: u8, tier: Tier, action: &Value) -> Vec<u8> {
    let document = json!({
        "v": 1,
        "id": id(number).to_string(),
        "origin": "countersign/test",
        "received_at": "2026-11-21T12:00:00.000Z",
        "expires_at": "2026-11-21T12:10:00.000Z",
        "requester": {"uid": 1004, "user": "etl", "pid": 8812, "exe": "/opt/etl/run", "cgroup": "/system.slice/etl.service"},
        "requirement": {"tier": tier.name(), "seats": [{"group": "sre", "count": 1}], "assurance": "unlocked"},
        "rules": Digest::of(b"rules").to_string(),
        "facts": {"computed": {"reversibility": "irreversible"}, "principal": {}, "stated": {}, "unknown": {}, "v": 1},
        "action": action,
    });
    // As the daemon writes it, whatever order the maps of this build keep.
    countersign_shared::json::canonical(&document).unwrap()
}

/// A command whose arguments hide things.
pub(crate) fn command() -> Value {
    json!({
        "v": 1, "kind": "exec.run",
        "target": {"kind": "host", "name": "prod-etl-3"},
        "arguments": {
            "argv": ["psql", "-c", "BEGIN;\nDROP TABLE orders_2024; --\u{202e} kcehc\nCOMMIT;", "--token ", "\u{1b}]0;PWNED\u{7}", "a\rb\tc"],
            "program": {"path": "/usr/bin/psql", "sha256": "ab12"},
            "stdin": null,
        },
        "data": [{"name": "orders", "classification": "pii", "access": "delete", "records": 48211, "destination": null}],
        "context": {"cwd": "/srv/etl", "environment": {"PGHOST": "db\u{200b}1"}},
        "claims": {"agent": "etl-3", "reason": "routine cleanup\u{1b}[2J\n= approved by mika"},
    })
}

/// A change of files.
pub(crate) fn patch() -> Value {
    let lines = |replicas: &str| -> String {
        let mut lines: Vec<String> = (1..40).map(|n| format!("line {n}")).collect();
        lines.push(format!(
            "  replicas: {replicas}
	image: api
"
        ));
        lines.join(
            "
",
        )
    };
    json!({
        "v": 1, "kind": "file.write",
        "target": {"kind": "repository", "name": "web"},
        "arguments": {},
        "changes": [
            {"path": "deploy/api.yaml", "before": {"text": lines("3")}, "after": {"text": lines("30")}, "mode": null},
            {"path": "run\u{202e}hs.exe", "before": null, "after": {"text": "echo hi\n"}, "mode": "0755"},
        ],
        "context": {}, "claims": {"reason": "scale up"},
    })
}

/// A small, plain action.
pub(crate) fn plain() -> Value {
    json!({
        "v": 1, "kind": "file.read",
        "target": {"kind": "repository", "name": "web"},
        "arguments": {"path": "README"},
        "context": {}, "claims": {},
    })
}

#[expect(
    clippy::needless_pass_by_value,
    reason = "every caller makes it on the spot"
)]
pub(crate) fn detail(number: u8, tier: Tier, action: Value) -> Detail {
    let text = |pointer: &str| {
        Untrusted::new(
            action
                .pointer(pointer)
                .and_then(Value::as_str)
                .unwrap_or_default(),
        )
    };
    let (kind, name, target_kind, agent) = (
        text("/kind"),
        text("/target/name"),
        text("/target/kind"),
        text("/claims/agent"),
    );
    let document = document(number, tier, &action);
    Detail {
        row: Row {
            id: id(number),
            digest: Digest::of(&document),
            standing: Standing::Pending,
            tier,
            kind,
            target: name,
            target_kind,
            agent,
            requester: Requester {
                uid: 1004,
                user: Untrusted::new("etl"),
                pid: 8812,
                program: Untrusted::new("/opt/etl/run"),
                unit: Untrusted::new("etl.service"),
                container: Untrusted::default(),
            },
            received_at: Timestamp::from_millis(NOON),
            expires_at: Timestamp::from_millis(NOON + 600_000 + i64::from(number)),
            claimed_by: None,
            self_attested: false,
            reason: Untrusted::default(),
            waiter_present: true,
            break_glass: false,
            owed_by: None,
            escalated: false,
            escalate_to: Vec::new(),
        },
        document,
        requirement: Vec::new(),
        decisions: Vec::new(),
        not_eligible: None,
        self_attests: false,
        waits_for: Untrusted::default(),
        could_approve: Vec::new(),
        nobody_for: Vec::new(),
    }
}

/// As [`detail`], with the document changed before it gets its digest.
fn changed(number: u8, tier: Tier, action: Value, change: impl FnOnce(&mut Value)) -> Detail {
    let mut detail = detail(number, tier, action);
    let mut document = serde_json::from_slice(&detail.document).unwrap();
    change(&mut document);
    detail.document = countersign_shared::json::canonical(&document).unwrap();
    detail.row.digest = Digest::of(&detail.document);
    detail
}

/// As [`detail`], with another requirement.
pub(crate) fn with_requirement(
    number: u8,
    tier: Tier,
    action: Value,
    change: impl FnOnce(&mut Value),
) -> Detail {
    changed(number, tier, action, |document| {
        change(&mut document["requirement"]);
    })
}

/// As [`detail`], with other facts.
pub(crate) fn with_facts(number: u8, tier: Tier, action: Value, facts: Value) -> Detail {
    changed(number, tier, action, |document| document["facts"] = facts)
}

/// A console with a client that answers from a list.
pub(crate) struct Desk {
    pub(crate) state: State,
    pub(crate) details: Vec<Detail>,
    pub(crate) decided: Vec<Decision>,
    pub(crate) asked: Vec<Effect>,
    pub(crate) buffer: Buffer,
    pub(crate) drawn: Drawn,
    pub(crate) now: u64,
}

impl Desk {
    /// A console that has been connected for a while and holds these requests.
    pub(crate) fn with(size: (u16, u16), details: Vec<Detail>) -> Self {
        let mut desk = Self::unconnected(size, details);
        desk.give(Event::News(News::Signing(Signing::Ready)));
        desk.connect();
        desk.wait(1_000);
        desk
    }

    pub(crate) fn unconnected(size: (u16, u16), details: Vec<Detail>) -> Self {
        let mut desk = Self {
            state: State::new(Millis(0), size, Theme::default(), false),
            details,
            decided: Vec::new(),
            asked: Vec::new(),
            buffer: Buffer::empty(Rect::new(0, 0, size.0, size.1)),
            drawn: Drawn::default(),
            now: 0,
        };
        desk.draw();
        desk
    }

    pub(crate) fn connect(&mut self) {
        self.give(Event::News(News::Connected));
        for row in self
            .details
            .iter()
            .map(|detail| detail.row.clone())
            .collect::<Vec<_>>()
        {
            self.give(Event::News(News::Row(Box::new(row))));
        }
        let now = i64::try_from(self.now).unwrap();
        self.give(Event::News(News::SnapshotComplete {
            reviewer: Some(Untrusted::new("mika")),
            now: Timestamp::from_millis(NOON + now),
            local: Timestamp::from_millis(NOON + now),
        }));
    }

    pub(crate) fn give(&mut self, event: Event) {
        let effects = update(&mut self.state, Millis(self.now), event);
        for effect in effects {
            self.asked.push(effect.clone());
            match effect {
                Effect::Ask(Request::Load(id)) => {
                    let detail = self
                        .details
                        .iter()
                        .find(|detail| detail.row.id == id)
                        .cloned();
                    if let Some(detail) = detail {
                        self.give(Event::News(News::Loaded(Box::new(detail))));
                    }
                }
                Effect::Prepare(detail) => {
                    let prepared = Prepared::build(*detail, &[3; 16], None).unwrap();
                    self.give(Event::Prepared(Box::new(prepared)));
                }
                Effect::Ask(Request::Decide(decision)) => self.decided.push(decision),
                Effect::Ask(_) | Effect::Redraw | Effect::Bell | Effect::Suspend | Effect::Quit => {
                }
            }
        }
        self.draw();
    }

    pub(crate) fn draw(&mut self) {
        let (width, height) = self.state.size;
        self.buffer = Buffer::empty(Rect::new(0, 0, width, height));
        self.drawn = view(&self.state, &mut self.buffer);
        let drawn = Event::Drawn(self.drawn.frame.clone());
        for effect in update(&mut self.state, Millis(self.now), drawn) {
            self.asked.push(effect);
        }
    }

    pub(crate) fn wait(&mut self, span: u64) {
        self.now += span;
        self.give(Event::Tick);
    }

    pub(crate) fn press(&mut self, code: KeyCode) {
        self.give(Event::Key(KeyEvent::new(code, KeyModifiers::NONE)));
    }

    /// Plays keys at a calm pace: a character is itself, `\n` is Enter, `\t` Tab, `\u{1b}` Escape.
    pub(crate) fn play(&mut self, keys: &str) {
        for key in keys.chars() {
            self.wait(600);
            self.press(match key {
                '\n' => KeyCode::Enter,
                '\t' => KeyCode::Tab,
                '\u{1b}' => KeyCode::Esc,
                other => KeyCode::Char(other),
            });
            self.wait(20);
        }
        self.wait(600);
    }

    /// The screen as text, without blanks at the ends of its rows.
    pub(crate) fn screen(&self) -> String {
        let width = usize::from(self.buffer.area().width);
        let symbols: Vec<&str> = self
            .buffer
            .content()
            .iter()
            .map(ratatui::buffer::Cell::symbol)
            .collect();
        let rows: Vec<String> = symbols
            .chunks(width)
            .map(|row| row.concat().trim_end().to_owned())
            .collect();
        rows.join("\n")
    }

    /// Where the console is, in a few words.
    pub(crate) fn standing(&self) -> String {
        let place = match &self.state.open {
            Some(open) => format!("{:?} of {}", open.tab, open.row.id.as_bytes()[0]),
            None => format!("queue at {}", self.state.queue.selected_row()),
        };
        let sheet = if self.state.safety.sheet().is_some() {
            ", sheet"
        } else {
            ""
        };
        let armed = match self.state.obstacle() {
            None => ", ARMED",
            Some(_) => "",
        };
        let decided: Vec<String> = self
            .decided
            .iter()
            .map(|decision| format!(", {:?}", decision.verdict))
            .collect();
        let decided = decided.concat();
        format!("{place}{sheet}{armed}{decided}")
    }
}
