//! What a run writes, and the end of it.

use insta::assert_snapshot;

use super::super::super::event::{Effect, Event, News, Request};
use super::super::super::fixtures::{Desk, command, detail, id, plain};
use super::super::super::model::{Detail, Standing, Tier};
use super::super::super::safety::Verdict;
use super::{SIZES, several};
use crate::entries::lines::Lines;

/// A request that the daemon runs now.
fn running() -> Detail {
    let mut one = detail(2, Tier::High, command());
    let mut document: serde_json::Value = serde_json::from_slice(&one.document).unwrap();
    document["requirement"]["run_by"] = "daemon".into();
    one.document = countersign_shared::json::canonical(&document).unwrap();
    one.row.digest = countersign_shared::digest::Digest::of(&one.document);
    one.row.standing = Standing::Running;
    one
}

#[test]
fn of_what_an_agent_runs_the_end_is_asked_for_and_not_promised() {
    let mut one = detail(2, Tier::High, command());
    one.row.standing = Standing::Running;
    let mut desk = Desk::with((120, 40), vec![one]);
    desk.give(Event::News(News::Open(id(2))));
    desk.wait(1_000);
    assert!(
        desk.screen()
            .contains("K asks for the end, which `run` obeys"),
        "{}",
        desk.screen()
    );
    desk.play("K");
    assert!(
        desk.screen().contains("Enter asks for its end"),
        "{}",
        desk.screen()
    );
}

#[test]
fn what_was_decided_and_is_not_over_stays_in_the_list_below_what_waits() {
    let mut approved = detail(3, Tier::Critical, plain());
    approved.row.standing = Standing::Approved;
    let mut runs = detail(4, Tier::Critical, plain());
    runs.row.standing = Standing::Running;
    let waits = detail(9, Tier::Low, plain());
    let mut desk = Desk::with((120, 40), vec![approved, runs, waits]);
    desk.play("R");
    let screen = desk.screen();
    let line = |text: &str| screen.lines().position(|line| line.contains(text)).unwrap();
    assert!(screen.contains("1 in the queue"), "{screen}");
    assert!(line("LOW") < line("approved"), "{screen}");
    assert!(line("LOW") < line("running"), "{screen}");
    assert!(!screen.contains("over"), "{screen}");
    desk.give(Event::News(News::Open(id(3))));
    desk.wait(1_000);
    assert!(
        desk.screen().contains("APPROVED, and not used yet"),
        "{}",
        desk.screen()
    );
}

/// A request that runs, open.
fn open_running(size: (u16, u16)) -> Desk {
    let mut desk = Desk::with(size, vec![running(), detail(9, Tier::Low, plain())]);
    desk.give(Event::News(News::Open(id(2))));
    desk.wait(1_000);
    desk
}

pub(super) fn followed(size: (u16, u16)) -> Desk {
    let mut desk = open_running(size);
    desk.play("f");
    assert!(desk.asked.contains(&Effect::Ask(Request::Follow(id(2)))));
    let (mut stdout, mut stderr) = (Lines::new(false), Lines::new(true));
    let mut lines = Vec::new();
    for number in 0..60 {
        lines.extend(stdout.take(format!("step {number} of 60\n").as_bytes()));
    }
    lines.extend(stderr.take(b"warning: \x1b[2J\xe2\x80\xae disk\n"));
    desk.give(Event::News(News::Output { id: id(2), lines }));
    desk.state.notice = None;
    desk.draw();
    desk
}

#[test]
fn what_a_run_writes_at_four_sizes() {
    for (width, height) in SIZES {
        let mut desk = followed((width, height));
        assert_snapshot!(format!("output_{width}x{height}"), desk.screen());
        desk.play("g");
        let screen = desk.screen();
        assert!(screen.contains("step 0 of 60"), "{screen}");
        assert!(screen.contains("G follows"), "{screen}");
        desk.give(Event::News(News::OutputMissed {
            id: id(2),
            pieces: 4,
        }));
        let why = "nothing more is written".to_owned();
        desk.give(Event::News(News::OutputOver { id: id(2), why }));
        assert!(
            desk.screen().contains("4 pieces missed"),
            "{}",
            desk.screen()
        );
        desk.play("h");
        assert!(desk.asked.contains(&Effect::Ask(Request::Unfollow)));
        assert!(desk.state.open.is_some());
    }
}

#[test]
fn a_run_is_ended_with_two_keys_and_a_reason_and_never_with_one() {
    let mut desk = followed((80, 24));
    desk.play("K");
    assert!(desk.decided.is_empty());
    assert_snapshot!("sheet_kill_80x24", desk.screen());
    desk.play("\n");
    assert!(desk.decided.is_empty(), "not without a reason");
    desk.play("stuck\n");
    assert_eq!(desk.decided.len(), 1);
    assert_eq!(desk.decided[0].verdict, Verdict::Kill);
    assert_eq!(
        (desk.decided[0].id, desk.decided[0].reason.as_str()),
        (id(2), "stuck")
    );
    let mut small = followed((60, 15));
    small.play("K");
    assert!(
        small.drawn.frame.as_ref().unwrap().sheet.is_some(),
        "{}",
        small.screen()
    );
}

#[test]
fn beside_what_a_run_writes_nothing_but_its_end_can_be_decided() {
    let mut desk = followed((80, 24));
    desk.play("AD");
    assert!(desk.state.safety.sheet().is_none());
    let mut row = running().row;
    row.standing = Standing::Pending;
    desk.give(Event::News(News::Row(Box::new(row))));
    assert_eq!(desk.drawn.frame, None);
    desk.play("KAD");
    assert!(desk.state.safety.sheet().is_none(), "{}", desk.screen());
    assert!(desk.decided.is_empty());
}

#[test]
fn what_does_not_run_is_not_followed() {
    let mut desk = Desk::with((80, 24), several());
    desk.play("lf");
    assert!(desk.state.following.is_none());
    assert!(desk.screen().contains("does not run"), "{}", desk.screen());
}
