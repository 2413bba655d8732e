//! Any keys, at any pace, through all views: what only looks never decides, and a view that opens takes
//! no key to a sheet.

use countersign_shared::id::RequestId;
use countersign_shared::log::entry::ActorKind;
use countersign_shared::log::tree::Hash;
use countersign_shared::text::Untrusted;
use countersign_shared::time::Timestamp;
use crossterm::event::KeyCode;
use proptest::prelude::*;

use super::super::super::event::{Effect, Event, News, Request};
use super::super::super::fixtures::{Desk, NOON, command, detail, id, plain};
use super::super::super::keymap::Scope;
use super::super::super::model::{Standing, Tier};
use super::super::super::state::logbook::{Batch, Entry, Item, Listed};
use super::super::super::state::uses::{Count, Table};
use crate::proof::Proof;

const SIZE: u64 = 40;

fn item(seq: u64) -> Item {
    Item {
        seq,
        time: Timestamp::from_millis(NOON),
        entry_type: "request.received",
        request: Some(id(if seq.is_multiple_of(2) { 1 } else { 2 })),
        side: ActorKind::Agent,
        actor: Untrusted::new("uid:1004"),
        words: Untrusted::default(),
        leaf: Hash::from_bytes([0; 32]),
    }
}

/// Answers whatever was asked, as the client would, at once.
fn serve(desk: &mut Desk) {
    for effect in std::mem::take(&mut desk.asked) {
        let Effect::Ask(request) = effect else {
            continue;
        };
        let news = match request {
            Request::ReadLog(wanted) => News::Log(Box::new(Batch {
                serial: wanted.serial,
                picked: wanted.picked,
                reach: wanted.reach,
                from: 0,
                to: SIZE,
                rows: (0..SIZE).rev().map(item).map(Listed::Entry).collect(),
            })),
            Request::ReadEntry { seq, leaf } => News::LogEntry(Box::new(Entry {
                request: Some(id(1)),
                proof: None,
                ..Entry::unproven(seq, leaf, "")
            })),
            Request::ProveEntry { seq, leaf } => News::LogEntry(Box::new(Entry {
                proof: Some(Proof::missing("no")),
                ..Entry::unproven(seq, leaf, "")
            })),
            Request::CountUses(question) => News::Uses(Box::new(Table {
                question,
                counts: vec![Count {
                    requests: vec![id(1)],
                    ..Count::default()
                }],
                left_out: 0,
                remarks: Vec::new(),
            })),
            Request::ReadRequests(_) => News::UsedBy {
                rows: vec![detail(1, Tier::Low, plain()).row],
                unread: 0,
            },
            Request::Load(_)
            | Request::Shown { .. }
            | Request::Claim(_)
            | Request::Release(_)
            | Request::CompareRules
            | Request::Follow(_)
            | Request::Unfollow
            | Request::Unlock(_)
            | Request::Decide(_) => continue,
        };
        desk.give(Event::News(news));
    }
}

fn desk() -> Desk {
    let mut running = detail(2, Tier::Low, command());
    running.row.standing = Standing::Running;
    let mut desk = Desk::with(
        (120, 40),
        vec![
            detail(1, Tier::Low, plain()),
            running,
            detail(3, Tier::Medium, plain()),
        ],
    );
    desk.give(Event::News(News::HeadAdvanced { size: SIZE }));
    desk
}

#[derive(Debug, Clone, Copy)]
struct Stroke {
    gap: u64,
    key: KeyCode,
}

fn strokes() -> impl Strategy<Value = Vec<Stroke>> {
    let keys = prop_oneof![
        4 => prop::sample::select(vec!['A', 'D', 'K', 'C']).prop_map(KeyCode::Char),
        4 => prop::sample::select(vec!['e', 'w', 'v', 'o', 'f', 'l', 'h', 'u', '?'])
            .prop_map(KeyCode::Char),
        2 => prop::sample::select(vec!['j', 'k', 'a', 'p', 't', 'r', 'x', 's', '1', ' '])
            .prop_map(KeyCode::Char),
        2 => Just(KeyCode::Enter),
        1 => Just(KeyCode::Esc),
        1 => Just(KeyCode::Tab),
    ];
    let gaps = prop_oneof![Just(0), 1..20_u64, 100..300_u64, 480..520_u64, 600..900_u64];
    proptest::collection::vec(
        (gaps, keys).prop_map(|(gap, key)| Stroke { gap, key }),
        1..60,
    )
}

const fn is_request(scope: Scope) -> bool {
    matches!(scope, Scope::Detail | Scope::Output)
}

/// What is open, and since when it has been without a break.
#[derive(Default)]
struct Watch {
    open: Option<RequestId>,
    since: u64,
}

impl Watch {
    fn look(&mut self, desk: &Desk, at: u64) {
        let open = if is_request(desk.state.scope()) && !desk.state.help {
            desk.state.open.as_ref().map(|open| open.row.id)
        } else {
            None
        };
        if open != self.open {
            self.open = open;
            self.since = at;
        }
    }
}

fn play(strokes: &[Stroke]) -> Result<usize, String> {
    let mut desk = desk();
    let mut watch = Watch::default();
    let mut sheets = 0;
    for stroke in strokes {
        desk.wait(stroke.gap);
        let (decided, had_sheet) = (desk.decided.len(), desk.state.safety.sheet().is_some());
        watch.look(&desk, desk.now);
        let before = desk.state.scope();
        desk.press(stroke.key);
        desk.wait(20);
        let has_decided = desk.decided.len() > decided;
        let has_opened = !had_sheet && desk.state.safety.sheet().is_some();
        sheets += usize::from(has_opened);
        if has_decided || has_opened {
            let what = format!("{stroke:?} in {before:?}");
            if !is_request(before) {
                return Err(format!("from a view that looks only: {what}"));
            }
            if desk.now.saturating_sub(20).saturating_sub(watch.since) < 500 {
                return Err(format!("too soon after it opened: {what}"));
            }
            if let Some(decision) = desk.decided.get(decided)
                && Some(decision.id) != watch.open
            {
                return Err(format!(
                    "another request than the one on the screen: {what}"
                ));
            }
        }
        serve(&mut desk);
        // What the key opened has been there since the key.
        watch.look(&desk, desk.now - 20);
        if !is_request(desk.state.scope())
            && (desk.state.safety.sheet().is_some() || desk.drawn.frame.is_some())
        {
            return Err(format!("a view with a sheet or a frame, after {stroke:?}"));
        }
    }
    Ok(desk.decided.len() + sheets)
}

#[test]
fn deliberate_keys_through_the_views_do_decide_so_the_property_is_not_empty() {
    let calm = |keys: &str| -> Vec<Stroke> {
        keys.chars()
            .map(|key| Stroke {
                gap: 700,
                key: if key == '\n' {
                    KeyCode::Enter
                } else {
                    KeyCode::Char(key)
                },
            })
            .collect()
    };
    // The last entry is about what runs, the one before it about what waits.
    for keys in ["ejoA", "eoK", "w\n\nA", "eofK", "eoK1\n"] {
        assert!(play(&calm(keys)).unwrap() > 0, "{keys}");
    }
    for keys in ["eA", "eoA", "eofAD", "eveKAD", "wAD", "w\nAD", "e?AD"] {
        assert_eq!(play(&calm(keys)).unwrap(), 0, "{keys}");
    }
}

proptest! {
    #![proptest_config(ProptestConfig::with_cases(500))]

    #[test]
    fn no_keys_through_any_views_decide_but_on_a_request_that_stood_on_the_screen(
        strokes in strokes(),
    ) {
        if let Err(objection) = play(&strokes) {
            prop_assert!(false, "{}", objection);
        }
    }
}
