//! The client's time is over before the request's: denied for now, and the same call later.

use countersign_tests::{Home, wait_until};

use super::{CLIENTS, Call, Heard, answer, denied};

/// Makes a call that nobody decides about in time.
#[track_caller]
fn denied_for_now(home: &Home, call: &Call) -> String {
    let reason = denied(call.client, call.start(home, &["--limit", "2s"]));
    assert!(reason.contains("denied for now"), "{reason}");
    reason
}

#[test]
fn the_same_call_made_again_takes_up_its_ticket_and_uses_it_once() {
    let home = Home::with("[limits]\ndisconnect_grace = \"1s\"\n");
    for client in CLIENTS {
        let call = |id| Call::new(client, &format!("echo {client}")).id(id);
        let reason = denied_for_now(&home, &call("toolu_01"));
        let asked = home.wait_for_state("pending");
        assert!(reason.contains(&asked.id), "{reason}");
        home.approve(&asked).expect_code(0);
        // An agent's second try has another name.
        let again = call("toolu_02").start(&home, &[]);
        assert_eq!(answer(client, again), Heard::Allowed, "{client}");
        assert_eq!(home.look(&asked.id).state, "redeemed");
        // And a third one is asked for anew.
        let (third, anew) = call("toolu_03").held(&home, &[]);
        assert_ne!(anew.id, asked.id);
        home.deny(&anew, "once is enough").expect_code(0);
        denied(client, third);
    }
}

#[test]
fn the_request_waits_on_after_the_hook_and_the_daemon_are_gone() {
    let mut home = Home::with("[limits]\ndisconnect_grace = \"1s\"\n");
    let call = Call::new("claude", "make");
    denied_for_now(&home, &call);
    let asked = home.wait_for_state("pending");
    home.stop();
    home.start();
    denied_for_now(&home, &call);
    let listed = home.list();
    assert_eq!(listed.len(), 1, "{listed:?}");
    home.approve(&asked).expect_code(0);
    assert_eq!(answer("claude", call.start(&home, &[])), Heard::Allowed);
}

#[test]
fn another_conversation_or_call_does_not_get_the_ticket() {
    let home = Home::new();
    denied_for_now(&home, &Call::new("claude", "make"));
    let asked = home.wait_for_state("pending");
    home.approve(&asked).expect_code(0);
    for other in [
        Call::new("claude", "make")
            .session("another")
            .id("toolu_02"),
        Call::new("claude", "make ").id("toolu_03"),
        Call::new("codex", "make").id("toolu_04"),
    ] {
        let (hook, anew) = other.held(&home, &[]);
        assert_ne!(anew.id, asked.id);
        home.deny(&anew, "no").expect_code(0);
        denied(other.client, hook);
    }
    assert_eq!(home.look(&asked.id).state, "approved");
}

#[test]
fn of_two_equal_calls_one_takes_up_the_ticket() {
    let home = Home::new();
    denied_for_now(&home, &Call::new("claude", "make"));
    let asked = home.wait_for_state("pending");
    home.approve(&asked).expect_code(0);
    let [one, other] =
        ["toolu_02", "toolu_03"].map(|id| Call::new("claude", "make").id(id).start(&home, &[]));
    // One is allowed on the strength of the approval, and a person is asked about the other.
    let anew = home.wait_for_state("pending");
    home.deny(&anew, "once is enough").expect_code(0);
    let mut heard = [answer("claude", one), answer("claude", other)].to_vec();
    heard.retain(|heard| *heard == Heard::Allowed);
    assert_eq!(heard.len(), 1);
    assert_eq!(home.look(&asked.id).state, "redeemed");
}

#[test]
fn a_ticket_that_was_denied_is_told_and_one_that_ended_is_asked_for_anew() {
    let home = Home::with("ttl = \"6s\"\n");
    let call = Call::new("claude", "make");
    denied_for_now(&home, &call);
    let asked = home.wait_for_state("pending");
    home.deny(&asked, "not on a friday").expect_code(0);
    let reason = denied("claude", call.start(&home, &[]));
    assert!(reason.contains("not on a friday"), "{reason}");

    let call = Call::new("claude", "make install");
    denied_for_now(&home, &call);
    let asked = home.wait_for_state("pending");
    home.wait_until_state(&asked.id, "expired");
    let (hook, anew) = call.held(&home, &[]);
    assert_ne!(anew.id, asked.id);
    home.approve(&anew).expect_code(0);
    assert_eq!(answer("claude", hook), Heard::Allowed);
}

#[test]
fn a_ticket_is_still_found_after_a_try_without_a_daemon() {
    let mut home = Home::new();
    let call = Call::new("claude", "make");
    denied_for_now(&home, &call);
    let asked = home.wait_for_state("pending");
    home.stop();
    let ran = call.start(&home, &["--limit", "2s"]).wait();
    assert_eq!((ran.code, ran.stdout.as_str()), (2, ""), "{ran:?}");
    home.start();
    home.approve(&asked).expect_code(0);
    assert_eq!(answer("claude", call.start(&home, &[])), Heard::Allowed);
    wait_until("only one was asked for", || home.list().len() == 1);
}
