//! What is asked of the key: its passphrase where it has one, and nothing where it has none.

use super::*;

#[test]
fn a_locked_key_asks_for_its_passphrase_first_and_the_decision_is_pressed_again() {
    let mut desk = Desk::armed(low());
    desk.give(Input::Signing(Signing::Locked));
    desk.sheet(APPROVE)
        .type_text("open sesame")
        .decide(Key::Enter);
    let unlock = Act::Unlock(Passphrase::new("open sesame".to_owned()));
    assert!(desk.acts.contains(&unlock));
    desk.give(Input::Unlocked).wait(2_000);
    assert!(desk.decided.is_empty());
    desk.draw().decide(Key::Char(APPROVE));
    assert!(desk.decided.first().unwrap().passphrase_typed);
}

#[test]
fn a_passphrase_for_this_decision_is_asked_for_with_an_open_key_too() {
    let mut desk = Desk::armed(Subject {
        needs: Assurance::Passphrase,
        ..low()
    });
    desk.sheet(APPROVE);
    assert_eq!(desk.safety.sheet().unwrap().kind(), &SheetKind::Passphrase);
    desk.give(Input::Unlocked).draw().decide(Key::Char(APPROVE));
    assert_eq!(desk.verdicts(), [Verdict::Approve]);
}

#[test]
fn a_key_without_a_passphrase_is_enough_by_itself_or_an_obstacle_and_is_never_asked_for_one() {
    for (has, needs, enough) in [
        (Assurance::SshAgent, Assurance::Passphrase, false),
        (Assurance::SshAgent, Assurance::Unlocked, false),
        (Assurance::SshAgent, Assurance::SshAgent, true),
        (Assurance::File, Assurance::Passphrase, false),
        (Assurance::Touch, Assurance::Passphrase, true),
        (Assurance::Touch, Assurance::Touch, true),
    ] {
        let mut desk = Desk::armed(Subject { needs, ..low() });
        desk.give(Input::Signing(Signing::Fixed(has)));
        desk.decide(Key::Char(APPROVE));
        assert!(desk.safety.sheet().is_none(), "{has} {needs}");
        assert_eq!(desk.decided.len(), usize::from(enough), "{has} {needs}");
        if !enough {
            let lack = crate::keys::Strength::Fixed(has).lack(needs).unwrap();
            assert_eq!(desk.swallowed, [Obstacle::TooWeak(lack)], "{has} {needs}");
            // A "no" needs no better key.
            desk.sheet(DENY).type_text("1").decide(Key::Enter);
            assert_eq!(desk.verdicts(), [Verdict::Deny], "{has} {needs}");
        }
    }
}

#[test]
fn a_file_with_a_passphrase_does_not_stand_in_for_a_security_key() {
    for signing in [Signing::Locked, Signing::Ready] {
        let mut desk = Desk::armed(Subject {
            needs: Assurance::Touch,
            ..low()
        });
        desk.give(Input::Signing(signing))
            .decide(Key::Char(APPROVE));
        assert!(desk.safety.sheet().is_none(), "{signing:?}");
        assert!(
            matches!(desk.swallowed.last(), Some(Obstacle::TooWeak(_))),
            "{:?}",
            desk.swallowed
        );
    }
}
