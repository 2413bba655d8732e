//! What has to have been on the screen, and for how long.

use super::*;

#[test]
fn the_daemon_is_told_once_and_only_after_the_whole_was_drawn() {
    let mut desk = Desk::with(low());
    desk.frame.pieces.truncate(1);
    desk.draw();
    assert!(desk.acts.is_empty());
    desk.frame.pieces = vec![Piece {
        part: 1,
        from: 0,
        to: 2,
    }];
    desk.draw().draw();
    let shown = desk
        .acts
        .iter()
        .filter(|act| matches!(act, Act::Shown { .. }));
    assert_eq!(shown.count(), 1);
}

#[test]
fn a_sheet_that_was_not_on_the_screen_all_the_time_is_not_armed() {
    let mut desk = Desk::armed(low());
    desk.sheet(DENY).press(Key::Char('1')).wait(600);
    let without = Frame {
        sheet: None,
        ..desk.frame.clone()
    };
    desk.give(Input::Drawn(Some(without))).wait(600);
    desk.press(Key::Enter).wait(BURST);
    assert_eq!(desk.swallowed, [Obstacle::NotDrawn]);
    desk.wait(200)
        .draw()
        .wait(499)
        .press(Key::Enter)
        .wait(BURST);
    assert!(desk.decided.is_empty());
    desk.decide(Key::Enter);
    assert_eq!(desk.verdicts(), [Verdict::Deny]);
}
