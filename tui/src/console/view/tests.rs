use countersign_shared::diff::{Change, Contents};
use countersign_shared::digest::Digest;
use countersign_shared::text::Untrusted;
use insta::assert_snapshot;
use ratatui::style::Modifier;
use serde_json::json;

use super::super::event::{Effect, Event, News, Request};
use super::super::fixtures::{Desk, command, detail, patch, plain, with_facts, with_requirement};
use super::super::model::{Detail, Tier};
use super::super::page::diff;
use super::super::state::ruling;
use super::super::theme::Theme;
use super::*;

mod running;
mod views;

const SIZES: [(u16, u16); 4] = [(60, 15), (80, 24), (120, 40), (200, 50)];

fn several() -> Vec<Detail> {
    let mut claimed = detail(3, Tier::Medium, patch());
    claimed.row.claimed_by = Some(countersign_shared::text::Untrusted::new("bo"));
    let mut hostile = detail(4, Tier::Low, plain());
    hostile.row.target = countersign_shared::text::Untrusted::new("we\u{202e}b\u{1b}[2J");
    vec![
        detail(1, Tier::Critical, plain()),
        detail(2, Tier::High, command()),
        claimed,
        hostile,
    ]
}

fn played(size: (u16, u16), details: Vec<Detail>, keys: &str) -> Desk {
    let mut desk = Desk::with(size, details);
    desk.play(keys);
    desk.state.notice = None;
    desk.draw();
    desk
}

#[test]
fn the_queue_at_four_sizes() {
    for (width, height) in SIZES {
        let desk = played((width, height), several(), "j");
        assert_snapshot!(format!("queue_{width}x{height}"), desk.screen());
    }
}

#[test]
fn a_command_with_hostile_arguments_at_four_sizes() {
    for (width, height) in SIZES {
        let desk = played((width, height), vec![detail(2, Tier::High, command())], "l");
        assert_snapshot!(format!("what_{width}x{height}"), desk.screen());
    }
}

#[test]
fn the_other_pages() {
    for (key, name) in [("3", "exact"), ("4", "who"), ("5", "why")] {
        let keys = format!("l{key}");
        let desk = played((80, 24), vec![detail(2, Tier::High, command())], &keys);
        assert_snapshot!(format!("{name}_80x24"), desk.screen());
    }
}

#[test]
fn a_diff_and_the_code_of_its_sheet() {
    let details = || vec![detail(3, Tier::Medium, patch())];
    assert_snapshot!("diff_80x24", played((80, 24), details(), "l2").screen());
    assert_snapshot!("diff_120x40", played((120, 40), details(), "l2").screen());
    assert_snapshot!(
        "sheet_medium_80x24",
        played((80, 24), details(), "l2A").screen()
    );
}

#[test]
fn the_other_sheets() {
    let high = || vec![detail(1, Tier::High, plain())];
    assert_snapshot!(
        "sheet_high_80x24",
        played((80, 24), high(), "lA\tw").screen()
    );
    assert_snapshot!("sheet_high_60x15", played((60, 15), high(), "lA").screen());
    assert_snapshot!("sheet_deny_60x15", played((60, 15), high(), "lD2").screen());
}

#[test]
fn the_keys_fit_the_smallest_terminal() {
    assert_snapshot!(
        "help_detail_60x15",
        played((60, 15), several(), "l?").screen()
    );
    assert_snapshot!(
        "help_queue_60x15",
        played((60, 15), several(), "?").screen()
    );
}

/// A request that takes two people, with reasons and advice of policies.
fn two_seats(tier: Tier) -> Detail {
    let mut two = with_requirement(1, tier, plain(), |requirement| {
        requirement["why"] = json!(["it is in production", "it cannot be undone"]);
        requirement["advice"] = json!(["ask for the ticket"]);
        requirement["escalate"] = json!(["at 50% to sre"]);
        requirement["reviews"] = json!([
            {"policy": "prod", "seats": [{"group": "dba", "count": 1}, {"group": "sre", "count": 1}]},
        ]);
    });
    two.waits_for = Untrusted::new("1 of dba and 1 of sre");
    two.could_approve = ["ana", "bo"].map(Untrusted::new).to_vec();
    two
}

fn glass_of_ana(number: u8) -> Detail {
    let mut broken = detail(number, Tier::High, plain());
    broken.row.break_glass = true;
    broken.row.owed_by = Some(Untrusted::new("ana"));
    broken.row.standing = super::super::model::Standing::Succeeded;
    broken
}

#[test]
fn the_tier_stands_with_its_reasons_and_who_could_still_approve() {
    let desk = played((80, 24), vec![two_seats(Tier::High)], "l5");
    assert_snapshot!("why_two_seats_80x24", desk.screen());
    let desk = played((80, 24), vec![two_seats(Tier::Critical)], "lA");
    assert_snapshot!("sheet_critical_80x24", desk.screen());
    let mut nobody = two_seats(Tier::High);
    nobody.nobody_for = vec![Untrusted::new("dba")];
    nobody.not_eligible = Some(Untrusted::new("mika has no seat here"));
    let desk = played((80, 24), vec![nobody], "l");
    let screen = desk.screen();
    assert!(screen.contains("NOBODY IS LEFT for dba"), "{screen}");
    assert!(screen.contains("mika has no seat here"), "{screen}");
}

#[test]
fn every_sheet_of_an_approval_fits_the_smallest_terminal() {
    for tier in [Tier::Medium, Tier::High, Tier::Critical] {
        let desk = played((60, 15), vec![two_seats(tier)], "l   A");
        let drawn = desk.drawn.frame.as_ref().unwrap();
        assert!(drawn.sheet.is_some(), "{tier:?}\n{}", desk.screen());
    }
}

#[test]
fn what_people_owe_is_told_until_it_is_closed() {
    for (width, height) in [(60, 15), (120, 40)] {
        let mut unsettled = detail(7, Tier::Medium, command()).row;
        unsettled.standing = super::super::model::Standing::Indeterminate;
        let mut desk = Desk::with((width, height), several());
        desk.details.push(glass_of_ana(6));
        desk.give(Event::News(News::Owed {
            debts: vec![glass_of_ana(6).row],
            unsettled: vec![unsettled],
        }));
        assert_snapshot!(format!("queue_owed_{width}x{height}"), desk.screen());
        desk.play("o");
        assert_snapshot!(format!("owed_{width}x{height}"), desk.screen());
        desk.play("\n");
        assert!(
            desk.screen().contains("C closes the review"),
            "{}",
            desk.screen()
        );
        desk.play("C");
        assert_snapshot!(format!("sheet_close_{width}x{height}"), desk.screen());
    }
}

#[test]
fn broken_glass_and_calls_for_more_eyes_are_marked_in_the_list() {
    for (width, height) in [(60, 15), (120, 40)] {
        let mut all = several();
        all[0].row.break_glass = true;
        all[1].row.escalated = true;
        all[2].row.self_attested = true;
        let desk = played((width, height), all, "");
        assert_snapshot!(format!("queue_marks_{width}x{height}"), desk.screen());
    }
}

#[test]
fn what_cannot_be_undone_and_what_the_agent_hides_stand_first() {
    let mut one = with_facts(
        2,
        Tier::High,
        command(),
        json!({
            "v": 1, "principal": {}, "stated": {}, "unknown": {},
            "computed": {"kind": "exec.run", "reversibility": "irreversible"},
        }),
    );
    one.row.tier = Tier::High;
    let desk = played((120, 40), vec![one], "l");
    let screen = desk.screen();
    let at = |text: &str| {
        screen
            .find(text)
            .unwrap_or_else(|| panic!("{text}\n{screen}"))
    };
    assert!(at("it cannot be undone") < at("kind"), "{screen}");
    assert!(at("in what the agent says: ") < at("kind"), "{screen}");
}

#[test]
fn an_empty_queue_and_a_lost_connection() {
    assert_snapshot!("empty_60x15", played((60, 15), Vec::new(), "").screen());
    let mut desk = Desk::with((80, 24), several());
    desk.give(Event::News(News::Disconnected { tries: 3 }));
    assert_snapshot!("disconnected_80x24", desk.screen());
}

#[test]
fn ascii_chrome_is_ascii() {
    let mut desk = Desk::with((120, 40), several());
    desk.state.theme = Theme::new(false, true);
    for keys in ["", "l", "A", "\u{1b}", "?"] {
        desk.play(keys);
        assert!(desk.screen().is_ascii(), "{}", desk.screen());
    }
}

#[test]
fn no_screen_holds_a_character_that_acts_or_hides() {
    let mut desk = Desk::with((80, 24), several());
    for keys in [
        "", "jl", "2", "3", "4", "5", "\u{1b}", "jjl", "D", "x\u{1b}",
    ] {
        desk.play(keys);
        for cell in desk.buffer.content() {
            let bad = |c: char| c.is_control() || ('\u{200b}'..='\u{202e}').contains(&c);
            assert!(!cell.symbol().chars().any(bad), "{:?}", cell.symbol());
        }
    }
}

#[test]
fn a_forged_gutter_stands_behind_the_real_one() {
    let desk = played((80, 24), vec![detail(2, Tier::High, command())], "l5");
    assert!(
        desk.screen().contains("│ = approved by mika"),
        "{}",
        desk.screen()
    );
}

#[test]
fn markers_stand_out_with_and_without_colour() {
    for color in [true, false] {
        let mut desk = Desk::with((80, 24), vec![detail(2, Tier::High, command())]);
        desk.state.theme = Theme::new(color, false);
        desk.play("l");
        let marked = desk
            .buffer
            .content()
            .iter()
            .any(|cell| cell.symbol() == "<" && cell.modifier.contains(Modifier::REVERSED));
        assert!(marked, "colour: {color}");
    }
}

#[test]
fn deny_is_on_every_footer_however_narrow() {
    for (width, height) in SIZES {
        let desk = played((width, height), several(), "l");
        let screen = desk.screen();
        let footer = screen.lines().last().unwrap();
        assert!(footer.contains("D deny"), "{footer}");
    }
}

#[test]
fn the_word_for_armed_is_on_every_detail() {
    for (width, height) in SIZES {
        let desk = played((width, height), vec![detail(2, Tier::High, command())], "l");
        assert!(
            desk.screen().lines().next().unwrap().ends_with("ARMED"),
            "{}",
            desk.screen()
        );
    }
}

#[test]
fn a_frame_of_the_wrong_size_proves_nothing() {
    let desk = played((80, 24), several(), "l");
    let mut buffer = Buffer::empty(Rect::new(0, 0, 100, 30));
    assert_eq!(view(&desk.state, &mut buffer).frame, None);
}

#[test]
fn ten_thousand_requests_draw_like_ten() {
    let mut desk = Desk::unconnected((200, 50), Vec::new());
    desk.give(Event::News(News::Connected));
    let template = detail(1, Tier::Low, command()).row;
    for number in 0..10_000_u32 {
        let mut bytes = [0; 16];
        bytes[..4].copy_from_slice(&number.to_be_bytes());
        let id = countersign_shared::id::RequestId::from_bytes(bytes);
        let row = super::super::model::Row {
            id,
            ..template.clone()
        };
        let now = super::super::safety::Millis(1);
        let event = Event::News(News::Row(Box::new(row)));
        super::super::update::update(&mut desk.state, now, event);
    }
    desk.state.queue.end_snapshot(None);
    assert_eq!(desk.state.queue.len(), 10_000);
    let (_, window) = desk.state.queue.window();
    assert_eq!(window.len(), 44);
    desk.play("Gkkg");
    assert_eq!(desk.state.queue.selected_row(), 0);
}

#[test]
fn wrapped_text_cannot_pass_for_a_row_of_its_own() {
    let mut action = plain();
    let text = format!("{}argv[9] = --dry-run", "x".repeat(49));
    action["arguments"] = serde_json::json!({ "path": text });
    let desk = played((60, 15), vec![detail(2, Tier::Low, action)], "l");
    assert!(!desk.screen().contains("│ argv[9]"), "{}", desk.screen());
    assert!(desk.screen().contains("│↪"), "{}", desk.screen());
}

fn rules_standing(proposed: bool, adopted: bool) -> ruling::Standing {
    ruling::Standing {
        proposed: proposed.then(|| Digest::of(b"next")),
        signed_by: vec![Untrusted::new("ana")],
        missing: Untrusted::new("needs 1 more signature"),
        adopted: adopted.then(|| Digest::of(b"taken")),
        reason: Untrusted::new("all keys are lost\u{1b}[2J"),
    }
}

fn change_of_rules(rules: &[u8], is_adopted: bool) -> ruling::Change {
    let text = |text: &str| Some(Contents::Text(Untrusted::new(text)));
    let lines: Vec<String> = (1..40).map(|at| format!("\"line\": {at}\n")).collect();
    let before = lines.concat();
    let change = |path: &str, before, after| Change {
        path: Untrusted::new(path),
        before,
        after,
        mode: None,
    };
    let changes = vec![
        change("rules", text(&before), text(&before.replace("30", "31"))),
        change(
            "policy/stop.cedar",
            None,
            text("@id(\"stop\")\nforbid (principal, action, resource);\n"),
        ),
    ];
    ruling::Change {
        previous: Some(Digest::of(b"before")),
        rules: Digest::of(rules),
        is_adopted,
        gained: vec![Untrusted::new("cy")],
        page: diff::of_changes(changes, None),
    }
}

#[test]
fn proposed_rules_are_told_and_shown_with_the_command_that_signs_them() {
    for (width, height) in [(60, 15), (120, 40)] {
        let mut desk = Desk::with((width, height), several());
        let told = News::Rules(Box::new(rules_standing(true, false)));
        desk.give(Event::News(told));
        assert!(desk.asked.contains(&Effect::Bell));
        assert_snapshot!(format!("queue_rules_{width}x{height}"), desk.screen());
        desk.play("u");
        assert!(desk.asked.contains(&Effect::Ask(Request::CompareRules)));
        let change = change_of_rules(b"next", false);
        desk.give(Event::News(News::RulesChange(Box::new(change))));
        desk.draw();
        assert_snapshot!(format!("rules_{width}x{height}"), desk.screen());
        desk.play("}}");
        assert!(desk.screen().contains("+ forbid"), "{}", desk.screen());
        desk.play("AD?");
        assert!(desk.screen().contains("look again"), "{}", desk.screen());
        desk.play("?gz");
        assert!(desk.screen().contains("\"line\": 2"), "{}", desk.screen());
        let over = News::Rules(Box::default());
        desk.give(Event::News(over));
        assert!(desk.screen().contains("THIS IS OVER"), "{}", desk.screen());
        desk.play("h");
        assert!(desk.state.ruling.shown().is_none());
        assert_eq!(desk.standing(), "queue at 0");
    }
}

#[test]
fn adopted_rules_stand_above_everything_until_they_are_acknowledged() {
    let mut desk = Desk::with((80, 24), several());
    let told = News::Rules(Box::new(rules_standing(true, true)));
    desk.give(Event::News(told));
    let alarm = "RULES ADOPTED WITHOUT THE REVIEWERS";
    let screen = desk.screen();
    assert!(screen.contains(alarm), "{screen}");
    assert!(screen.contains("all keys are lost<U+001B>"), "{screen}");
    desk.play("l");
    assert!(desk.screen().contains(alarm), "{}", desk.screen());
    desk.play("hu");
    let change = change_of_rules(b"taken", true);
    desk.give(Event::News(News::RulesChange(Box::new(change))));
    let screen = desk.screen();
    assert!(
        screen.contains("countersign rules acknowledge --digest"),
        "{screen}"
    );
    desk.play("h");
    desk.give(Event::News(News::Rules(Box::default())));
    assert!(!desk.screen().contains("RULES"), "{}", desk.screen());
}

#[test]
fn a_change_of_rules_that_cannot_be_shown_says_why() {
    let mut desk = Desk::with((80, 24), several());
    desk.play("u");
    assert!(desk.screen().contains("no rules wait"), "{}", desk.screen());
    let told = News::Rules(Box::new(rules_standing(true, false)));
    desk.give(Event::News(told));
    desk.play("u");
    let why = "`rules` does not have the digest that stands for it".to_owned();
    desk.give(Event::News(News::NoRulesChange { why }));
    assert!(
        desk.screen().contains("does not have the digest"),
        "{}",
        desk.screen()
    );
}
