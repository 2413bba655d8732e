mod drawn;
mod keys;
mod oracle;

use countersign_shared::digest::Digest;
use countersign_shared::id::RequestId;
use countersign_shared::statement::Assurance;

use super::super::model::{Standing, Tier};
use super::*;

pub(super) const ID: [u8; 16] = [7; 16];

/// A live console with one request that can be decided, not drawn yet.
pub(super) fn subject(tier: Tier) -> Subject {
    let digest = Digest::of(b"document");
    Subject {
        id: RequestId::from_bytes(ID),
        digest,
        display: Digest::of(b"display"),
        tier,
        standing: Standing::Pending,
        ends: Some(Millis(60_000)),
        displayable: true,
        ineligible: false,
        claimed_by_other: false,
        debt: Debt::None,
        reason_required: false,
        needs: Assurance::Unlocked,
        self_attests: false,
        confirm: Confirm::choose(tier, "orders", &digest, &[3; 16]),
        parts: vec![4, 2],
    }
}

struct Desk {
    safety: Safety,
    now: u64,
    /// What every frame from here on shows.
    frame: Frame,
    decided: Vec<Decision>,
    swallowed: Vec<Obstacle>,
    acts: Vec<Act>,
}

impl Desk {
    fn with(subject: Subject) -> Self {
        let frame = Frame {
            id: subject.id,
            digest: subject.digest,
            pieces: vec![
                Piece {
                    part: 0,
                    from: 0,
                    to: 4,
                },
                Piece {
                    part: 1,
                    from: 0,
                    to: 2,
                },
            ],
            sheet: None,
        };
        let mut desk = Self {
            safety: Safety::new(Millis(0), false),
            now: 0,
            frame,
            decided: Vec::new(),
            swallowed: Vec::new(),
            acts: Vec::new(),
        };
        desk.give(Input::Wire(Wire::Live))
            .give(Input::Signing(Signing::Ready))
            .give(Input::Opened(Box::new(subject)));
        desk
    }

    /// A desk whose request has been on the screen, whole, for two seconds.
    fn armed(subject: Subject) -> Self {
        let mut desk = Self::with(subject);
        desk.draw().wait(2_000);
        desk
    }

    fn give(&mut self, input: Input) -> &mut Self {
        for act in self.safety.apply(Millis(self.now), input) {
            match &act {
                Act::Decide(decision) => self.decided.push(decision.clone()),
                Act::Swallowed(obstacle) => self.swallowed.push(*obstacle),
                Act::Pass | Act::Taken | Act::SheetChanged | Act::Shown { .. } | Act::Unlock(_) => {
                }
            }
            self.acts.push(act);
        }
        self
    }

    fn draw(&mut self) -> &mut Self {
        self.frame.sheet = self.safety.sheet().map(|sheet| sheet.serial);
        let frame = self.frame.clone();
        self.give(Input::Drawn(Some(frame)))
    }

    fn wait(&mut self, span: u64) -> &mut Self {
        self.now += span;
        self.give(Input::Tick)
    }

    fn press(&mut self, key: Key) -> &mut Self {
        self.give(Input::Key(key, Press::Down))
    }

    /// Types at a human pace.
    fn type_text(&mut self, text: &str) -> &mut Self {
        for character in text.chars() {
            self.press(Key::Char(character)).wait(120);
        }
        self
    }

    /// Presses a deciding key after a pause, and lets its wait end.
    fn decide(&mut self, key: Key) -> &mut Self {
        self.wait(600).press(key).wait(BURST)
    }

    /// Opens the sheet and has it drawn.
    fn sheet(&mut self, key: char) -> &mut Self {
        self.decide(Key::Char(key));
        assert!(self.safety.sheet().is_some(), "{:?}", self.swallowed);
        self.draw().wait(600)
    }

    fn verdicts(&self) -> Vec<Verdict> {
        self.decided
            .iter()
            .map(|decision| decision.verdict)
            .collect()
    }

    fn refused_with(&mut self, obstacle: Obstacle) {
        self.decide(Key::Char(APPROVE));
        assert_eq!(
            (self.decided.len(), self.swallowed.last()),
            (0, Some(&obstacle))
        );
    }
}

fn low() -> Subject {
    subject(Tier::Low)
}

#[test]
fn s1_a_decision_names_the_document_that_was_drawn() {
    let mut desk = Desk::armed(low());
    desk.decide(Key::Char(APPROVE));
    let decision = desk.decided.first().unwrap();
    assert_eq!(decision.id, RequestId::from_bytes(ID));
    assert_eq!(decision.digest, Digest::of(b"document"));
    assert_eq!(decision.display, Digest::of(b"display"));
    assert_eq!(decision.verdict, Verdict::Approve);
}

#[test]
fn s1_a_frame_of_another_document_arms_nothing() {
    let mut desk = Desk::with(low());
    desk.frame.digest = Digest::of(b"another");
    desk.draw().wait(2_000);
    desk.refused_with(Obstacle::NotDrawn);
}

#[test]
fn s1_a_document_that_changed_while_it_was_looked_at_cannot_be_decided() {
    let mut desk = Desk::armed(low());
    desk.give(Input::Changed {
        id: RequestId::from_bytes(ID),
        digest: Digest::of(b"another"),
        standing: Standing::Pending,
        claimed_by_other: false,
        debt: Debt::None,
        ends: Some(Millis(60_000)),
    });
    desk.refused_with(Obstacle::Changed);
}

#[test]
fn s2_a_key_is_dead_until_the_frame_has_stood_for_half_a_second() {
    for (span, expected) in [(0, 0), (499, 0), (500, 1), (501, 1)] {
        let mut desk = Desk::with(low());
        desk.wait(1_000).draw().wait(span);
        desk.press(Key::Char(APPROVE)).wait(BURST);
        assert_eq!(desk.decided.len(), expected, "after {span} ms");
    }
}

#[test]
fn s2_a_dead_key_is_swallowed_and_not_queued() {
    let mut desk = Desk::with(low());
    desk.draw().wait(100).press(Key::Char(APPROVE)).wait(5_000);
    assert_eq!(desk.swallowed, [Obstacle::TooSoon(400)]);
    assert!(desk.decided.is_empty());
}

#[test]
fn s2_another_key_within_150_ms_makes_a_deciding_key_dead() {
    for (span, expected) in [(16, 0), (149, 0), (150, 1)] {
        let mut desk = Desk::armed(low());
        desk.press(Key::Other).wait(span);
        desk.press(Key::Char(APPROVE)).wait(BURST);
        assert_eq!(desk.decided.len(), expected, "after {span} ms");
    }
}

#[test]
fn s2_focus_resize_and_resume_start_the_clock_again() {
    for input in [Input::FocusGained, Input::Resized, Input::Resumed] {
        let mut desk = Desk::armed(low());
        desk.give(input.clone()).draw().wait(499);
        desk.press(Key::Char(APPROVE)).wait(BURST);
        assert!(desk.decided.is_empty(), "{input:?}");
        desk.wait(486).press(Key::Char(APPROVE)).wait(BURST);
        assert_eq!(desk.decided.len(), 1, "{input:?}");
    }
}

#[test]
fn s2_after_a_resize_the_request_has_to_be_drawn_again() {
    let mut desk = Desk::armed(low());
    desk.give(Input::Resized);
    desk.refused_with(Obstacle::NotDrawn);
}

#[test]
fn s3_keys_faster_than_fingers_decide_nothing_not_even_the_first() {
    let mut desk = Desk::armed(low());
    desk.press(Key::Char(APPROVE)).wait(1).press(Key::Char('y'));
    desk.wait(BURST).wait(200);
    assert!(desk.decided.is_empty());
    // 201 ms after the burst: quiet, but still dead.
    desk.press(Key::Char(APPROVE)).wait(BURST);
    assert_eq!(desk.swallowed, [Obstacle::Burst]);
    desk.decide(Key::Char(APPROVE));
    assert_eq!(desk.verdicts(), [Verdict::Approve]);
}

#[test]
fn s4_a_paste_never_decides_and_its_line_end_never_submits() {
    let mut desk = Desk::armed(low());
    desk.give(Input::Paste("A".to_owned())).wait(2_000);
    assert!(desk.decided.is_empty());
    desk.sheet(DENY);
    desk.give(Input::Paste("not\nlike this\n".to_owned()))
        .wait(2_000);
    assert!(desk.decided.is_empty());
    assert_eq!(desk.safety.sheet().unwrap().reason(), "not like this ");
}

#[test]
fn s4_a_name_can_be_pasted_at_high_but_not_at_critical() {
    for (tier, expected) in [(Tier::High, 1), (Tier::Critical, 0)] {
        let mut desk = Desk::armed(subject(tier));
        desk.sheet(APPROVE).press(Key::Tab);
        desk.give(Input::Paste("orders".to_owned()));
        desk.decide(Key::Char(APPROVE));
        assert_eq!(desk.decided.len(), expected, "{tier:?}");
    }
}

#[test]
fn s5_a_held_or_released_key_never_decides() {
    for press in [Press::Repeat, Press::Up] {
        let mut desk = Desk::armed(low());
        desk.give(Input::Key(Key::Char(APPROVE), press))
            .wait(BURST)
            .wait(500);
        assert!(desk.decided.is_empty(), "{press:?}");
    }
}

#[test]
fn s5_a_key_held_down_on_a_terminal_that_reports_presses_is_inert() {
    let mut desk = Desk::armed(low());
    desk.press(Key::Other);
    for _ in 0..50 {
        desk.wait(33).press(Key::Char(APPROVE));
    }
    assert!(desk.decided.is_empty());
}

#[test]
fn s6_one_draw_gives_one_decision() {
    let mut desk = Desk::armed(low());
    desk.decide(Key::Char(APPROVE));
    desk.decide(Key::Char(APPROVE));
    desk.draw().decide(Key::Char(APPROVE));
    assert_eq!(desk.decided.len(), 1);
}

#[test]
fn s8_enter_on_an_approve_sheet_sends_nothing() {
    for tier in [Tier::Medium, Tier::High, Tier::Critical] {
        let mut desk = Desk::armed(subject(tier));
        desk.sheet(APPROVE);
        if tier != Tier::Medium {
            desk.press(Key::Tab).wait(200);
        }
        let answer = desk.safety.subject().unwrap().confirm.expected().to_owned();
        desk.decide(Key::Enter)
            .type_text(&answer)
            .decide(Key::Enter);
        assert!(desk.decided.is_empty(), "{tier:?}");
        desk.decide(Key::Char(APPROVE));
        assert_eq!(desk.verdicts(), [Verdict::Approve], "{tier:?}");
    }
}

#[test]
fn s8_high_and_critical_sheets_start_on_back() {
    for tier in [Tier::High, Tier::Critical] {
        let mut desk = Desk::armed(subject(tier));
        desk.sheet(APPROVE).type_text("orders");
        assert_eq!(desk.safety.sheet().unwrap().confirm(), "", "{tier:?}");
        desk.decide(Key::Enter);
        assert!(desk.safety.sheet().is_none(), "{tier:?}");
    }
}

#[test]
fn s10_nothing_is_approved_before_every_part_was_drawn() {
    let mut desk = Desk::with(low());
    desk.frame.pieces = vec![
        Piece {
            part: 0,
            from: 0,
            to: 4,
        },
        Piece {
            part: 1,
            from: 1,
            to: 2,
        },
    ];
    desk.draw().wait(2_000);
    desk.refused_with(Obstacle::Unseen(1));
    desk.frame.pieces = vec![Piece {
        part: 1,
        from: 0,
        to: 1,
    }];
    desk.draw().wait(499).press(Key::Char(APPROVE)).wait(BURST);
    assert!(desk.decided.is_empty());
    desk.decide(Key::Char(APPROVE));
    assert_eq!(desk.decided.len(), 1);
}

#[test]
fn s10_what_cannot_be_displayed_can_be_denied_but_not_approved() {
    let mut desk = Desk::armed(Subject {
        displayable: false,
        ..low()
    });
    desk.refused_with(Obstacle::Undisplayable);
    desk.sheet(DENY).press(Key::Char('2')).decide(Key::Enter);
    assert_eq!(desk.decided.first().unwrap().reason, "too broad");
}

#[test]
fn s11_keys_die_when_the_time_is_over_or_unknown() {
    let mut desk = Desk::armed(Subject {
        ends: Some(Millis(2_600)),
        ..low()
    });
    desk.refused_with(Obstacle::Expired);
    let mut desk = Desk::armed(Subject {
        ends: Some(Millis(2_610)),
        ..low()
    });
    desk.refused_with(Obstacle::Expired);
    let mut desk = Desk::armed(Subject {
        ends: None,
        ..low()
    });
    desk.refused_with(Obstacle::Expired);
}

#[test]
fn s12_another_ones_claim_stops_an_approval_until_it_is_taken() {
    let mut desk = Desk::armed(Subject {
        claimed_by_other: true,
        ..low()
    });
    desk.refused_with(Obstacle::Claimed);
    desk.give(Input::Take).decide(Key::Char(APPROVE));
    assert_eq!(desk.decided.len(), 1);
    let mut desk = Desk::armed(Subject {
        claimed_by_other: true,
        ..low()
    });
    desk.sheet(DENY).press(Key::Char('1')).decide(Key::Enter);
    assert_eq!(desk.verdicts(), [Verdict::Deny]);
}

#[test]
fn s13_without_a_connection_no_key_is_live() {
    for (wire, obstacle) in [
        (Wire::Down, Obstacle::Disconnected),
        (Wire::Syncing, Obstacle::Disconnected),
        (Wire::Draining, Obstacle::Draining),
    ] {
        let mut desk = Desk::armed(low());
        desk.give(Input::Wire(wire));
        desk.refused_with(obstacle);
    }
    let mut desk = Desk::armed(low());
    desk.press(Key::Char(APPROVE))
        .give(Input::Wire(Wire::Down))
        .wait(BURST);
    assert!(desk.decided.is_empty());
}

#[test]
fn s13_a_request_whose_decision_is_on_its_way_is_not_decided_again() {
    let mut desk = Desk::armed(low());
    desk.decide(Key::Char(APPROVE));
    desk.give(Input::Opened(Box::new(low()))).draw().wait(600);
    desk.decide(Key::Char(APPROVE));
    assert_eq!(desk.swallowed, [Obstacle::InFlight]);
    desk.give(Input::Answered(RequestId::from_bytes(ID)));
    desk.decide(Key::Char(APPROVE));
    assert_eq!(desk.decided.len(), 2);
}

#[test]
fn a_review_of_broken_glass_is_closed_by_another_person_who_saw_all_of_it() {
    let owed = |debt| Subject {
        standing: Standing::Succeeded,
        ends: None,
        debt,
        ..low()
    };
    let mut desk = Desk::armed(owed(Debt::Anothers));
    desk.sheet(CLOSE);
    desk.decide(Key::Enter);
    assert!(desk.decided.is_empty(), "without a word on what was found");
    desk.type_text("as it should be").decide(Key::Enter);
    assert_eq!(desk.verdicts(), [Verdict::Close]);

    for (debt, obstacle) in [
        (Debt::Own, Obstacle::OwnDebt),
        (Debt::None, Obstacle::NotOwed),
    ] {
        let mut desk = Desk::armed(owed(debt));
        desk.decide(Key::Char(CLOSE));
        assert_eq!(desk.swallowed, [obstacle]);
        assert!(desk.safety.sheet().is_none());
    }
    let mut desk = Desk::with(owed(Debt::Anothers));
    desk.frame.pieces.clear();
    desk.draw().wait(2_000).decide(Key::Char(CLOSE));
    assert_eq!(desk.swallowed, [Obstacle::Unseen(2)]);
}

#[test]
fn a_log_that_contradicts_itself_stops_everything_for_good() {
    let mut desk = Desk::armed(low());
    desk.give(Input::Forked);
    desk.refused_with(Obstacle::Forked);
    desk.give(Input::Wire(Wire::Live))
        .wait(600)
        .decide(Key::Char(DENY));
    assert!(desk.safety.sheet().is_none());
}

#[test]
fn without_a_key_or_in_a_read_only_console_nothing_is_decided() {
    let mut desk = Desk::armed(low());
    desk.give(Input::Signing(Signing::Missing));
    desk.refused_with(Obstacle::NoKey);
    let mut desk = Desk::with(low());
    desk.safety = Safety::new(Millis(0), true);
    desk.give(Input::Wire(Wire::Live))
        .give(Input::Signing(Signing::Ready));
    desk.give(Input::Opened(Box::new(low())));
    desk.draw().wait(2_000);
    desk.refused_with(Obstacle::ReadOnly);
}

#[test]
fn each_standing_but_pending_refuses_an_approval_and_an_approved_one_can_be_denied() {
    for standing in [
        Standing::Denied,
        Standing::Expired,
        Standing::Redeemed,
        Standing::Withdrawn,
    ] {
        let mut desk = Desk::armed(Subject { standing, ..low() });
        desk.refused_with(Obstacle::Standing(standing));
        desk.decide(Key::Char(DENY));
        assert!(desk.safety.sheet().is_none());
    }
    let mut desk = Desk::armed(Subject {
        standing: Standing::Approved,
        ..low()
    });
    desk.refused_with(Obstacle::Standing(Standing::Approved));
    desk.sheet(DENY).press(Key::Char('3')).decide(Key::Enter);
    assert_eq!(desk.verdicts(), [Verdict::Deny]);
}

#[test]
fn a_wrong_code_is_forgotten_and_the_third_one_closes_the_sheet() {
    let mut desk = Desk::armed(subject(Tier::Medium));
    desk.sheet(APPROVE);
    for _ in 0..2 {
        desk.type_text("zzz").decide(Key::Char(APPROVE));
        assert_eq!(desk.safety.sheet().unwrap().confirm(), "");
    }
    desk.type_text("zzz").decide(Key::Char(APPROVE));
    assert!(desk.safety.sheet().is_none());
    assert!(desk.decided.is_empty());
}

#[test]
fn a_name_with_the_approve_key_in_it_can_be_typed() {
    let mut desk = Desk::armed(Subject {
        confirm: Confirm::Name("DATA".to_owned()),
        ..subject(Tier::High)
    });
    desk.sheet(APPROVE)
        .press(Key::Tab)
        .wait(200)
        .type_text("DATA");
    assert_eq!(desk.safety.sheet().unwrap().confirm(), "DATA");
    desk.decide(Key::Char(APPROVE));
    assert_eq!(desk.verdicts(), [Verdict::Approve]);
}

#[test]
fn a_required_reason_is_asked_for_at_every_tier() {
    let mut desk = Desk::armed(Subject {
        reason_required: true,
        ..low()
    });
    desk.sheet(APPROVE)
        .press(Key::Tab)
        .decide(Key::Char(APPROVE));
    assert_eq!(desk.swallowed, [Obstacle::Incomplete(Field::Reason)]);
    desk.press(Key::Tab)
        .type_text("looks right")
        .press(Key::Tab);
    desk.decide(Key::Char(APPROVE));
    assert_eq!(desk.decided.first().unwrap().reason, "looks right");
}

#[test]
fn an_empty_deny_is_not_sent() {
    let mut desk = Desk::armed(low());
    desk.sheet(DENY).decide(Key::Enter);
    assert_eq!(desk.swallowed, [Obstacle::Incomplete(Field::Reason)]);
}
