//! The log, an entry of it and its proof, and who used which data.

use countersign_shared::id::RequestId;
use countersign_shared::log::entry::ActorKind;
use countersign_shared::log::tree::{Hash, leaf_hash};
use countersign_shared::text::{Printable, Untrusted};
use countersign_shared::time::Timestamp;
use insta::assert_snapshot;
use serde_json::json;

use super::super::super::event::{Effect, Event, News, Request};
use super::super::super::fixtures::{Desk, NOON, id};
use super::super::super::model::Row;
use super::super::super::page::{Gutter, Page, Writer};
use super::super::super::state::logbook::{Batch, Entry, Item, Listed, Reach, Wanted};
use super::super::super::state::uses::{Count, Table};
use super::super::super::theme::Theme;
use super::running::followed;
use super::{SIZES, several};
use crate::proof::Proof;

const SIZE: u64 = 1_204;

fn item(seq: u64) -> Item {
    let (entry_type, side, actor, words, request) = match seq % 6 {
        0 => (
            "request.received",
            ActorKind::Agent,
            "uid:1004",
            "high",
            Some(id(2)),
        ),
        1 => (
            "policy.evaluated",
            ActorKind::Daemon,
            "countersignd",
            "ask",
            Some(id(2)),
        ),
        2 => (
            "decision.recorded",
            ActorKind::Reviewer,
            "mika@example.org",
            "deny (touch): no\u{1b}[2J\u{202e}t now, this is a long reason that no row holds whole",
            Some(id(2)),
        ),
        3 => (
            "data.accessed",
            ActorKind::Agent,
            "uid:1004",
            "export crm (pii) to s3://reports",
            Some(id(3)),
        ),
        4 => (
            "breakglass.used",
            ActorKind::Reviewer,
            "bo",
            "replica is full",
            Some(id(3)),
        ),
        _ => (
            "daemon.started",
            ActorKind::Daemon,
            "countersignd",
            "0.1.0",
            None,
        ),
    };
    Item {
        seq,
        time: Timestamp::from_millis(NOON + i64::try_from(seq).unwrap() * 1_000),
        entry_type,
        request,
        side,
        actor: Untrusted::new(actor),
        words: Untrusted::new(words),
        leaf: leaf_hash(&seq.to_be_bytes()),
    }
}

fn page(seq: u64) -> Page {
    let value = json!({"seq": seq, "type": "decision.recorded", "body": {
        "reason": "no\u{1b}[2J\u{202e}t now", "verdict": "deny"}});
    let mut parts = Vec::new();
    let mut writer = Writer::new(&mut parts, false);
    for line in serde_json::to_string_pretty(&value).unwrap().lines() {
        writer.text(Gutter::Agent, &Printable::default(), &Untrusted::new(line));
    }
    writer.finish(None)
}

/// What the client would answer, from a log of [`SIZE`] entries.
fn answer(wanted: &Wanted) -> Batch {
    let (from, to) = match wanted.reach {
        Reach::Newest => (SIZE - 200, SIZE),
        Reach::Oldest => (0, 200),
        Reach::Before(before) => (before.saturating_sub(200), before),
        Reach::From(from) => (from, SIZE),
    };
    let wants = |item: &Item| {
        let picked = &wanted.picked;
        let is = |wanted: &Option<String>, found: &str| {
            wanted.as_ref().is_none_or(|wanted| wanted == found)
        };
        is(&picked.entry_type, item.entry_type)
            && is(&picked.reviewer, item.actor.raw_str().unwrap())
            && is(
                &picked.request,
                &item.request.map_or_else(String::new, |id| id.to_string()),
            )
    };
    Batch {
        serial: wanted.serial,
        picked: wanted.picked.clone(),
        reach: wanted.reach,
        from,
        to,
        rows: (from..to)
            .rev()
            .map(item)
            .filter(wants)
            .map(Listed::Entry)
            .collect(),
    }
}

/// Answers the questions that were asked since the last time.
fn serve(desk: &mut Desk) {
    while let Some(at) = desk.asked.iter().position(is_question) {
        let Effect::Ask(Request::ReadLog(wanted)) = desk.asked.remove(at) else {
            continue;
        };
        desk.give(Event::News(News::Log(Box::new(answer(&wanted)))));
    }
    desk.state.notice = None;
    desk.draw();
}

const fn is_question(effect: &Effect) -> bool {
    matches!(effect, Effect::Ask(Request::ReadLog(_)))
}

fn log(size: (u16, u16)) -> Desk {
    let mut desk = Desk::with(size, several());
    desk.give(Event::News(News::HeadAdvanced { size: SIZE }));
    desk.play("e");
    serve(&mut desk);
    desk
}

fn entry(seq: u64, proof: Option<Proof>) -> Event {
    Event::News(News::LogEntry(Box::new(Entry {
        seq,
        request: Some(id(2)),
        leaf: item(seq).leaf,
        page: page(seq),
        proof,
    })))
}

fn asked_for_entry(desk: &Desk) -> Option<(u64, bool)> {
    last_asked(desk, |request| {
        if let Request::ReadEntry { seq, .. } = request {
            Some((*seq, false))
        } else if let Request::ProveEntry { seq, .. } = request {
            Some((*seq, true))
        } else {
            None
        }
    })
}

/// Returns what was asked last that `pick` takes.
fn last_asked<T>(desk: &Desk, pick: impl Fn(&Request) -> Option<T>) -> Option<T> {
    let mut effects = desk.asked.iter().rev();
    effects.find_map(|effect| {
        if let Effect::Ask(request) = effect {
            pick(request)
        } else {
            None
        }
    })
}

fn last_wanted(desk: &Desk) -> Option<Wanted> {
    last_asked(desk, |request| {
        if let Request::ReadLog(wanted) = request {
            Some(wanted.clone())
        } else {
            None
        }
    })
}

#[test]
fn the_log_at_four_sizes() {
    for (width, height) in SIZES {
        let mut desk = log((width, height));
        desk.play("jj");
        serve(&mut desk);
        assert_snapshot!(format!("log_{width}x{height}"), desk.screen());
        desk.play("?");
        assert!(
            desk.screen().contains("prove that it is"),
            "{}",
            desk.screen()
        );
    }
}

#[test]
fn an_entry_and_its_proof_at_four_sizes() {
    for (width, height) in SIZES {
        let mut desk = log((width, height));
        desk.play("\n");
        assert_eq!(asked_for_entry(&desk), Some((SIZE - 1, false)));
        desk.give(entry(SIZE - 1, None));
        assert_snapshot!(format!("entry_{width}x{height}"), desk.screen());
        desk.play("v");
        assert_eq!(asked_for_entry(&desk), Some((SIZE - 1, true)));
        desk.give(entry(
            SIZE - 1,
            Some(Proof::missing("the daemon is not connected")),
        ));
        assert_snapshot!(format!("entry_failed_{width}x{height}"), desk.screen());
        assert!(desk.screen().contains("NOT VERIFIED"), "{}", desk.screen());
        desk.play("h");
        assert!(desk.screen().contains("newest first"), "{}", desk.screen());
    }
}

#[test]
fn entries_are_picked_by_what_they_have_in_common_with_the_selected_one() {
    let mut desk = log((80, 24));
    // 1,203 is an agent's entry, 1,202 one of a person.
    desk.play("p");
    assert!(desk.screen().contains("has none"), "{}", desk.screen());
    desk.play("jp");
    serve(&mut desk);
    assert!(desk.screen().contains("only person "), "{}", desk.screen());
    desk.play("t");
    serve(&mut desk);
    let screen = desk.screen();
    assert!(screen.contains("only type "), "{screen}");
    assert_snapshot!("log_picked_80x24", screen);
    desk.play("x");
    serve(&mut desk);
    assert!(!desk.screen().contains("only "), "{}", desk.screen());
    desk.play("jja");
    let agent_of = last_wanted(&desk).map(|wanted| wanted.agent_of);
    assert_eq!(agent_of, Some(Some(id(2))), "who asked for it is found out");
}

#[test]
fn what_was_pruned_is_a_row_that_says_so_and_cannot_be_opened() {
    let mut desk = Desk::with((80, 24), several());
    desk.play("e");
    let wanted = last_wanted(&desk).unwrap();
    let (first, last) = (4, SIZE - 3);
    desk.give(Event::News(News::Log(Box::new(Batch {
        serial: wanted.serial,
        picked: wanted.picked,
        reach: wanted.reach,
        from: 0,
        to: SIZE,
        rows: vec![
            Listed::Entry(item(SIZE - 1)),
            Listed::Entry(item(SIZE - 2)),
            Listed::Gone { first, last },
            Listed::Entry(item(3)),
        ],
    }))));
    assert_snapshot!("log_pruned_80x24", desk.screen());
    desk.asked.clear();
    for keys in ["jj\n", "v"] {
        desk.play(keys);
        assert!(desk.screen().contains("are gone;"), "{}", desk.screen());
        assert_eq!(desk.asked, []);
    }
}

#[test]
fn a_log_that_cannot_be_read_says_so_and_lists_nothing() {
    let mut desk = Desk::with((80, 24), several());
    desk.play("e");
    let serial = last_wanted(&desk).unwrap().serial;
    let why = "entry 3 cannot be read".to_owned();
    desk.give(Event::News(News::NoLog { serial, why }));
    let screen = desk.screen();
    assert!(screen.contains("THE LOG CANNOT BE SHOWN"), "{screen}");
    assert!(screen.contains("entry 3 cannot be read"), "{screen}");
}

#[test]
fn the_log_of_a_request_leads_back_to_it() {
    let mut desk = Desk::with((80, 24), several());
    desk.play("le");
    serve(&mut desk);
    assert!(desk.state.open.is_none());
    assert!(desk.screen().contains("only request "), "{}", desk.screen());
    desk.play("h");
    assert_eq!(desk.standing(), "What of 1, ARMED");
}

fn counted(desk: &Desk) -> Option<Table> {
    let question = last_asked(desk, |request| {
        if let Request::CountUses(question) = request {
            Some(*question)
        } else {
            None
        }
    })?;
    Some(Table {
        question,
        counts: vec![
            count("crm", "48,211+", "pii: 2"),
            count("hr\u{202e}\u{1b}[2J", "12", "secret: 1"),
        ],
        left_out: 3,
        remarks: vec!["+ some uses did not say how many records"],
    })
}

fn count(name: &str, records: &'static str, class: &'static str) -> Count {
    Count {
        name: Printable::exact(&Untrusted::new(name)),
        uses: Printable::ours("2"),
        records: Printable::ours(records),
        via: Printable::ours("decision: 1; policy: 1"),
        outcome: Printable::ours("failed: 1; succeeded: 1"),
        classification: Printable::ours(class),
        access: Printable::ours("export: 2"),
        destination: Printable::ours("s3://reports: 2"),
        requests: vec![id(2), id(3)],
    }
}

fn uses(size: (u16, u16), keys: &str) -> Desk {
    let mut desk = Desk::with(size, several());
    desk.play("w");
    desk.play(keys);
    let table = counted(&desk).unwrap();
    desk.give(Event::News(News::Uses(Box::new(table))));
    desk.state.notice = None;
    desk.draw();
    desk
}

#[test]
fn who_used_which_data_at_four_sizes() {
    for (width, height) in SIZES {
        let mut desk = uses((width, height), "");
        desk.play("j");
        assert_snapshot!(format!("uses_{width}x{height}"), desk.screen());
    }
    let desk = uses((80, 24), "\t\ts");
    assert!(
        desk.screen().contains("by reviewer · 30 days"),
        "{}",
        desk.screen()
    );
}

#[test]
fn the_requests_behind_a_count_are_listed_and_opened() {
    let mut desk = uses((80, 24), "");
    desk.play("\n");
    let ids: Vec<RequestId> = vec![id(2), id(3)];
    assert!(
        desk.asked
            .contains(&Effect::Ask(Request::ReadRequests(ids)))
    );
    let rows: Vec<Row> = several()
        .into_iter()
        .skip(1)
        .map(|it| it.row)
        .take(2)
        .collect();
    desk.give(Event::News(News::UsedBy { rows, unread: 1 }));
    assert_snapshot!("uses_behind_80x24", desk.screen());
    desk.play("j\n");
    assert_eq!(desk.standing(), "What of 3");
    desk.play("h");
    assert!(
        desk.screen().contains("the last requests behind crm"),
        "{}",
        desk.screen()
    );
    desk.play("hh");
    assert_eq!(desk.standing(), "queue at 0");
    assert!(desk.screen().contains("in the queue"), "{}", desk.screen());
}

#[test]
fn uses_that_cannot_be_counted_say_so() {
    let mut desk = uses((60, 15), "");
    desk.play("\t");
    let question = counted(&desk).unwrap().question;
    desk.give(Event::News(News::NoUses {
        serial: question.serial,
        why: "the log could not be counted".to_owned(),
    }));
    assert!(
        desk.screen().contains("CANNOT BE COUNTED"),
        "{}",
        desk.screen()
    );
}

#[test]
fn without_colour_and_in_ascii_the_views_say_the_same() {
    for (size, keys) in [((120, 40), "e"), ((60, 15), "w")] {
        let mut desk = Desk::with(size, several());
        desk.state.theme = Theme::new(false, true);
        desk.play(keys);
        serve(&mut desk);
        if let Some(table) = counted(&desk) {
            desk.give(Event::News(News::Uses(Box::new(table))));
        }
        assert!(desk.screen().is_ascii(), "{}", desk.screen());
        let name = if keys == "e" { "log" } else { "uses" };
        assert_snapshot!(format!("{name}_ascii_{}x{}", size.0, size.1), desk.screen());
        let is_plain = |cell: &ratatui::buffer::Cell| cell.fg == ratatui::style::Color::Reset;
        assert!(desk.buffer.content().iter().all(is_plain));
    }
    let mut desk = followed((80, 24));
    desk.state.theme = Theme::new(false, true);
    desk.draw();
    assert!(desk.screen().is_ascii(), "{}", desk.screen());
    let mut desk = log((80, 24));
    desk.state.theme = Theme::new(false, true);
    desk.play("v");
    desk.give(entry(SIZE - 1, Some(Proof::missing("no"))));
    assert!(desk.screen().is_ascii(), "{}", desk.screen());
}

#[test]
fn no_view_holds_a_character_that_acts_or_hides() {
    let mut opened = log((120, 40));
    opened.play("v");
    opened.give(entry(SIZE - 1, Some(Proof::missing("n\u{1b}[2Jo"))));
    for desk in [
        log((120, 40)),
        opened,
        uses((120, 40), ""),
        followed((120, 40)),
    ] {
        for cell in desk.buffer.content() {
            let bad = |c: char| c.is_control() || ('\u{200b}'..='\u{202e}').contains(&c);
            assert!(!cell.symbol().chars().any(bad), "{:?}", cell.symbol());
        }
    }
}

#[test]
fn a_proof_of_another_entry_is_not_shown_for_this_one() {
    let mut desk = log((80, 24));
    desk.play("v");
    desk.give(entry(3, Some(Proof::missing("no"))));
    assert!(!desk.screen().contains("NOT VERIFIED"), "{}", desk.screen());
    assert_ne!(item(3).leaf, Hash::from_bytes([0; 32]));
}
