use countersign_shared::digest::Digest;
use countersign_shared::text::Untrusted;
use crossterm::event::{KeyCode, KeyModifiers};

use super::super::event::News;
use super::super::fixtures::{Desk, command, detail, id, patch, plain};
use super::super::model::{Row, Standing, Tier};
use super::super::safety::{Signing, Verdict};
use super::*;

mod views;

fn three() -> Vec<super::super::model::Detail> {
    vec![
        detail(1, Tier::Low, plain()),
        detail(2, Tier::Low, plain()),
        detail(3, Tier::Low, plain()),
    ]
}

/// Plays `keys` on a console with these requests and says where it is then.
#[track_caller]
fn check(details: Vec<super::super::model::Detail>, keys: &str, expected: &str) {
    let mut desk = Desk::with((80, 24), details);
    desk.play(keys);
    assert_eq!(
        desk.standing(),
        expected,
        "after {keys:?}\n{}",
        desk.screen()
    );
}

#[test]
fn keys_lead_where_the_table_says() {
    check(three(), "", "queue at 0");
    check(three(), "jj", "queue at 2");
    check(three(), "jjk", "queue at 1");
    check(three(), "Gg", "queue at 0");
    check(three(), "j\n", "What of 2, ARMED");
    check(three(), "l\u{1b}", "queue at 0");
    check(three(), "l3", "Exact of 1, ARMED");
    check(three(), "l\t\t\t\t\t", "What of 1, ARMED");
    check(three(), "l5h", "queue at 0");
}

#[test]
fn deciding_keys_do_nothing_in_the_queue_or_behind_the_help() {
    check(three(), "AD", "queue at 0");
    check(three(), "l?AD?", "What of 1, ARMED");
}

#[test]
fn after_a_decision_the_next_request_is_selected_but_not_opened() {
    check(three(), "lA", "queue at 1, Approve");
    check(three(), "lD2\n", "queue at 1, Deny");
    check(three(), "lAA", "queue at 1, Approve");
}

#[test]
fn looking_keys_never_decide() {
    check(three(), "l\n\n yn", "What of 1, ARMED");
}

#[test]
fn a_medium_request_asks_for_the_code_beside_its_first_change() {
    let details = || vec![detail(4, Tier::Medium, patch())];
    check(details(), "lA", "What of 4");
    check(details(), "l2", "Diff of 4, ARMED");
    let mut desk = Desk::with((80, 24), details());
    desk.play("l2A");
    assert_eq!(desk.standing(), "Diff of 4, sheet");
    let code = desk
        .state
        .safety
        .subject()
        .unwrap()
        .confirm
        .expected()
        .to_owned();
    assert!(
        desk.screen().contains(&format!("code {code}")),
        "{}",
        desk.screen()
    );
    desk.play(&code);
    desk.play("\n");
    assert_eq!(desk.decided.len(), 0);
    desk.play("A");
    assert_eq!(desk.standing(), "queue at 0, Approve");
}

#[test]
fn a_high_request_asks_for_the_name_of_its_target() {
    let details = || vec![detail(5, Tier::High, plain())];
    check(details(), "lA", "What of 5, sheet");
    check(details(), "lAweb", "What of 5, sheet");
    check(details(), "lA\twe\nA", "What of 5, sheet");
    check(details(), "lA\tweb", "What of 5, sheet, ARMED");
    check(details(), "lA\twebA", "queue at 0, Approve");
}

#[test]
fn everything_has_to_be_scrolled_past_before_an_approval() {
    let mut desk = Desk::with((60, 15), vec![detail(6, Tier::Low, command())]);
    desk.play("lA");
    assert_eq!(desk.standing(), "What of 6");
    assert!(
        desk.screen().contains("parts not seen"),
        "{}",
        desk.screen()
    );
    // To the end marks only what it drew.
    desk.play("G");
    assert_eq!(desk.standing(), "What of 6");
    desk.play("g     ");
    assert_eq!(desk.standing(), "What of 6, ARMED", "{}", desk.screen());
    desk.play("A");
    assert_eq!(desk.decided.len(), 1);
}

#[test]
fn the_next_unseen_part_is_one_key_away() {
    let mut desk = Desk::with((60, 15), vec![detail(6, Tier::Low, patch())]);
    desk.play("l");
    for _ in 0..20 {
        desk.play("n");
    }
    assert_eq!(desk.standing(), "Diff of 6, ARMED", "{}", desk.screen());
}

#[test]
fn paging_alone_leads_through_every_page_that_has_to_be_seen() {
    let mut desk = Desk::with((60, 15), vec![detail(6, Tier::Low, patch())]);
    desk.play("l");
    let mut pages = 0;
    while !desk.standing().contains("ARMED") {
        desk.play(" ");
        pages += 1;
        assert!(pages < 30, "{}", desk.screen());
    }
    assert_eq!(desk.standing(), "Diff of 6, ARMED");
    // Then there is nowhere to go.
    desk.play("   ");
    assert_eq!(desk.standing(), "Diff of 6, ARMED");
}

#[test]
fn a_console_that_was_started_for_a_request_opens_it_and_no_other_after() {
    let mut desk = Desk::with((80, 24), three());
    let ids: Vec<_> = three().iter().map(|detail| detail.row.id).collect();
    desk.give(Event::News(News::Open(ids[1])));
    desk.draw();
    let opened = desk.state.open.as_ref().map(|open| open.row.id);
    assert_eq!(opened, Some(ids[1]));
    desk.give(Event::News(News::Open(ids[2])));
    desk.draw();
    let still = desk.state.open.as_ref().map(|open| open.row.id);
    assert_eq!(still, opened);
}

#[test]
fn hunks_and_files_are_walked_and_unchanged_rows_unfold() {
    let mut desk = Desk::with((80, 24), vec![detail(7, Tier::Low, patch())]);
    desk.play("l]");
    let folded = desk.state.open.as_ref().unwrap().page().len(false);
    let all = desk.state.open.as_ref().unwrap().page().len(true);
    assert!(folded + 30 < all, "{folded} of {all}");
    let at = |desk: &Desk| {
        let open = desk.state.open.as_ref().unwrap();
        open.page()
            .line(open.place().line, open.unfold)
            .unwrap()
            .text
            .to_string()
    };
    assert!(at(&desk).starts_with("@@ -37"), "{}", at(&desk));
    desk.play("}");
    assert_eq!(at(&desk), "new file: run<U+202E>hs.exe");
    desk.play("{");
    assert_eq!(at(&desk), "changed file: deploy/api.yaml");
    desk.play("z");
    assert!(desk.state.open.as_ref().unwrap().unfold);
}

fn row_of(desk: &Desk, number: u8) -> Row {
    let found = desk
        .details
        .iter()
        .find(|detail| detail.row.id == id(number));
    found.unwrap().row.clone()
}

#[test]
fn a_request_decided_elsewhere_stays_open_with_dead_keys() {
    let mut desk = Desk::with((80, 24), three());
    desk.play("l");
    let row = Row {
        standing: Standing::Denied,
        ..row_of(&desk, 1)
    };
    desk.give(Event::News(News::Row(Box::new(row))));
    assert!(
        desk.screen().contains("IT IS OVER: denied"),
        "{}",
        desk.screen()
    );
    desk.play("AD");
    assert_eq!(desk.standing(), "What of 1");
}

#[test]
fn a_request_that_changed_has_to_be_opened_again() {
    let mut desk = Desk::with((80, 24), three());
    desk.play("l");
    let row = Row {
        digest: Digest::of(b"another"),
        ..row_of(&desk, 1)
    };
    desk.give(Event::News(News::Row(Box::new(row))));
    assert!(
        desk.screen().contains("THIS REQUEST CHANGED"),
        "{}",
        desk.screen()
    );
    desk.play("AD1\n");
    assert_eq!(desk.standing(), "What of 1");
}

#[test]
fn a_lost_connection_kills_the_keys_and_says_so_until_everything_is_read_again() {
    let mut desk = Desk::with((80, 24), three());
    desk.play("l");
    desk.give(Event::News(News::Disconnected { tries: 2 }));
    assert!(
        desk.screen().contains("DISCONNECTED, attempt 2"),
        "{}",
        desk.screen()
    );
    desk.play("A");
    desk.give(Event::News(News::Connected));
    desk.play("A");
    assert_eq!(desk.standing(), "What of 1");
    desk.connect();
    desk.play("A");
    assert_eq!(desk.standing(), "queue at 1, Approve");
}

#[test]
fn a_forked_log_is_told_in_capitals_and_stops_everything() {
    let mut desk = Desk::with((80, 24), three());
    desk.play("l");
    let what = "head 12 does not extend head 11".to_owned();
    desk.give(Event::News(News::Forked { what }));
    assert!(
        desk.screen().contains("THE LOG CONTRADICTS ITSELF"),
        "{}",
        desk.screen()
    );
    desk.play("AD1\n");
    assert_eq!(desk.standing(), "What of 1");
}

#[test]
fn the_deadline_is_the_daemons_and_ends_the_keys() {
    let mut desk = Desk::with((80, 24), three());
    desk.play("l");
    desk.wait(600_000);
    assert!(desk.screen().contains("EXPIRED"), "{}", desk.screen());
    desk.play("AD");
    assert_eq!(desk.standing(), "What of 1");
}

#[test]
fn a_terminal_that_is_too_small_shows_a_message_and_decides_nothing() {
    let mut desk = Desk::with((80, 24), three());
    desk.play("l");
    desk.give(Event::Resized {
        width: 59,
        height: 24,
    });
    assert!(
        desk.screen().contains("No key decides here"),
        "{}",
        desk.screen()
    );
    assert_eq!(desk.drawn.frame, None);
    desk.play("AD1\n");
    assert_eq!(desk.decided.len(), 0);
    desk.give(Event::Resized {
        width: 80,
        height: 24,
    });
    desk.play("A");
    assert_eq!(desk.decided.len(), 1);
}

#[test]
fn without_a_key_the_console_looks_only() {
    let mut desk = Desk::with((80, 24), three());
    desk.give(Event::News(News::Signing(Signing::Missing)));
    desk.play("l");
    assert!(
        desk.screen().contains("no reviewer key"),
        "{}",
        desk.screen()
    );
    desk.play("AD");
    assert_eq!(desk.standing(), "What of 1");
}

#[test]
fn a_paste_into_the_console_goes_nowhere_without_a_sheet() {
    let mut desk = Desk::with((80, 24), three());
    desk.play("l");
    desk.give(Event::Paste("A\nD1\n".to_owned()));
    desk.wait(2_000);
    assert_eq!(desk.standing(), "What of 1, ARMED");
}

#[test]
fn a_key_with_control_or_alt_is_not_a_deciding_key() {
    for modifier in [KeyModifiers::CONTROL, KeyModifiers::ALT] {
        let mut desk = Desk::with((80, 24), three());
        desk.play("l");
        desk.give(Event::Key(KeyEvent::new(KeyCode::Char('A'), modifier)));
        desk.wait(20);
        assert!(desk.decided.is_empty(), "{modifier:?}");
    }
}

#[test]
fn what_was_decided_is_what_was_on_the_screen() {
    let mut desk = Desk::with((80, 24), three());
    desk.play("jlA");
    let decision = desk.decided.first().unwrap();
    assert_eq!((decision.id, decision.verdict), (id(2), Verdict::Approve));
    assert_eq!(decision.digest, Digest::of(&desk.details[1].document));
}

#[test]
fn the_daemon_is_told_when_a_request_was_drawn_completely() {
    let mut desk = Desk::with((80, 24), three());
    desk.play("l");
    let shown = desk
        .asked
        .iter()
        .filter(|effect| matches!(effect, Effect::Ask(Request::Shown { .. })));
    assert_eq!(shown.count(), 1);
}

#[test]
fn an_arrival_rings_and_waits_beside_the_list() {
    let mut desk = Desk::with((80, 24), three());
    desk.asked.clear();
    let row = detail(9, Tier::Critical, plain()).row;
    desk.give(Event::News(News::Row(Box::new(row))));
    assert_eq!(desk.asked, [Effect::Bell]);
    assert!(
        desk.screen().contains("1 new (R to merge)"),
        "{}",
        desk.screen()
    );
    desk.play("R");
    assert_eq!(desk.standing(), "queue at 1");
}

#[test]
fn broken_glass_alarms_whatever_is_on_the_screen_and_once() {
    let mut desk = Desk::with((80, 24), three());
    desk.play("l");
    desk.asked.clear();
    let mut row = desk.details[1].row.clone();
    row.standing = Standing::Approved;
    row.break_glass = true;
    row.owed_by = Some(Untrusted::new("ana"));
    desk.give(Event::News(News::Row(Box::new(row.clone()))));
    assert_eq!(desk.asked, [Effect::Bell]);
    assert!(
        desk.screen().contains("THE GLASS WAS BROKEN by ana"),
        "{}",
        desk.screen()
    );
    desk.give(Event::News(News::Owed {
        debts: vec![row.clone()],
        unsettled: Vec::new(),
    }));
    desk.asked.clear();
    row.standing = Standing::Redeemed;
    desk.give(Event::News(News::Row(Box::new(row))));
    assert_eq!(desk.asked, []);
    // The notice goes; what is owed stays on the screen.
    desk.wait(60_000);
    assert!(desk.screen().contains("1 review owed"), "{}", desk.screen());
}

#[test]
fn a_review_is_closed_from_the_list_of_what_is_owed() {
    let mut debt = detail(9, Tier::High, plain());
    debt.row.break_glass = true;
    debt.row.owed_by = Some(Untrusted::new("ana"));
    debt.row.standing = Standing::Succeeded;
    let mut desk = Desk::with((80, 24), three());
    desk.details.push(debt.clone());
    desk.give(Event::News(News::Owed {
        debts: vec![debt.row.clone()],
        unsettled: Vec::new(),
    }));
    desk.play("o\nCas it should be\n");
    let decision = desk.decided.first().unwrap();
    assert_eq!((decision.id, decision.verdict), (id(9), Verdict::Close));
    assert_eq!(decision.reason, "as it should be");
    // Whoever broke the glass is no other person.
    debt.row.owed_by = Some(Untrusted::new("mika"));
    let mut desk = Desk::with((80, 24), three());
    desk.details.push(debt.clone());
    desk.give(Event::News(News::Owed {
        debts: vec![debt.row],
        unsettled: Vec::new(),
    }));
    desk.play("o\nCx\n");
    assert!(desk.decided.is_empty());
}

#[test]
fn in_the_list_of_what_is_owed_no_key_claims_or_decides() {
    let mut desk = Desk::with((80, 24), three());
    desk.play("o");
    desk.asked.clear();
    desk.play("cADCRt");
    assert_eq!(desk.asked, []);
    assert!(desk.decided.is_empty());
    desk.play("o");
    assert_eq!(desk.standing(), "queue at 0");
}

#[test]
fn on_a_narrow_screen_the_arrivals_are_told_whole() {
    let mut desk = Desk::with((60, 15), three());
    let row = detail(9, Tier::Critical, plain()).row;
    desk.give(Event::News(News::Row(Box::new(row))));
    let screen = desk.screen();
    let bar = screen.lines().next().unwrap();
    assert!(bar.trim_end().ends_with("1 new (R)"), "{bar}");
}

proptest::proptest! {
    #![proptest_config(proptest::prelude::ProptestConfig::with_cases(64))]

    #[test]
    fn keys_in_haste_and_pastes_never_decide(
        keys in proptest::collection::vec((0_u64..149, 0_usize..12), 1..60),
    ) {
        let mut desk = Desk::with((80, 24), three());
        desk.play("l");
        for (gap, key) in keys {
            desk.wait(gap);
            match key {
                0..4 => desk.press(KeyCode::Char('A')),
                4 => desk.press(KeyCode::Char('D')),
                5 => desk.press(KeyCode::Char('1')),
                6 => desk.press(KeyCode::Enter),
                7 => desk.press(KeyCode::Char('l')),
                8 => desk.press(KeyCode::Esc),
                9 => desk.give(Event::Paste("A\n1\n".to_owned())),
                10 => desk.give(Event::FocusGained),
                _ => desk.press(KeyCode::Char('j')),
            }
        }
        desk.wait(400);
        // The first key of all may have come after a pause; none after it did.
        proptest::prop_assert!(desk.decided.len() <= 1);
        for decision in &desk.decided {
            proptest::prop_assert_eq!(decision.verdict, Verdict::Approve);
        }
    }
}
