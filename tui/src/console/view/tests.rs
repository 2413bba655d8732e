use insta::assert_snapshot;
use ratatui::style::Modifier;

use super::super::event::{Event, News};
use super::super::fixtures::{Desk, command, detail, patch, plain};
use super::super::model::{Detail, Tier};
use super::super::theme::Theme;
use super::*;

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
    desk.state.queue.end_snapshot();
    assert_eq!(desk.state.queue.len(), 10_000);
    let (_, window) = desk.state.queue.window();
    assert_eq!(window.len(), 45);
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
