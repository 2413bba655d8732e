//! The promise, checked by a second reading of the event list that shares no code with the machine:
//! *no sequence of events without an armed, drawn, matching frame yields a decision.*

#![expect(
    clippy::wildcard_enum_match_arm,
    reason = "a second reading looks for single inputs and skips all others"
)]

use std::collections::BTreeSet;

use proptest::prelude::*;

use super::*;

/// One event and how long after the previous one it came.
type Step = (u64, Input);

fn changed(digest: &[u8], standing: Standing, claimed_by_other: bool, debt: Debt) -> Input {
    Input::Changed {
        id: RequestId::from_bytes(ID),
        digest: Digest::of(digest),
        standing,
        claimed_by_other,
        debt,
        ends: Some(Millis(60_000)),
    }
}

fn frame(digest: &[u8], pieces: Vec<Piece>, sheet: Option<u32>) -> Input {
    Input::Drawn(Some(Frame {
        id: RequestId::from_bytes(ID),
        digest: Digest::of(digest),
        pieces,
        sheet,
    }))
}

fn all_pieces() -> Vec<Piece> {
    vec![
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
    ]
}

/// All but one byte.
fn one_piece() -> Vec<Piece> {
    vec![
        Piece {
            part: 0,
            from: 0,
            to: 4,
        },
        Piece {
            part: 1,
            from: 0,
            to: 1,
        },
    ]
}

fn down(key: Key) -> Input {
    Input::Key(key, Press::Down)
}

/// A way of deciding that works as it stands; the strategy then damages it.
fn honest(tier: Tier, verdict: Verdict, ends: u64, partial: bool) -> Vec<Step> {
    let subject = match verdict {
        Verdict::Approve | Verdict::Deny => Subject {
            ends: Some(Millis(ends)),
            ..subject(tier)
        },
        Verdict::Close => Subject {
            standing: Standing::Succeeded,
            ends: None,
            debt: Debt::Anothers,
            ..subject(tier)
        },
        Verdict::Kill => Subject {
            standing: Standing::Running,
            ends: None,
            ..subject(tier)
        },
    };
    let (opens, sends, approves) = match verdict {
        Verdict::Approve => (APPROVE, Key::Char(APPROVE), true),
        Verdict::Deny => (DENY, Key::Enter, false),
        Verdict::Close => (CLOSE, Key::Enter, false),
        Verdict::Kill => (KILL, Key::Enter, false),
    };
    let answer = subject.confirm.expected().to_owned();
    let mut steps = vec![
        (0, Input::Wire(Wire::Live)),
        (0, Input::Signing(Signing::Ready)),
        (1, Input::Opened(Box::new(subject))),
        (
            5,
            frame(
                b"document",
                if partial { one_piece() } else { all_pieces() },
                None,
            ),
        ),
        (600, down(Key::Char(opens))),
        (15, Input::Tick),
    ];
    if !approves || tier != Tier::Low {
        steps.push((2, frame(b"document", Vec::new(), Some(1))));
        if approves && tier != Tier::Medium {
            steps.push((200, down(Key::Tab)));
        }
        let answer = if approves { answer } else { "1".to_owned() };
        steps.extend(answer.chars().map(|c| (200, down(Key::Char(c)))));
        steps.push((600, down(sends)));
        steps.push((15, Input::Tick));
    }
    steps
}

fn noise() -> impl Strategy<Value = Input> {
    let keys = prop_oneof![
        Just(Key::Char(APPROVE)),
        Just(Key::Char(DENY)),
        Just(Key::Char(CLOSE)),
        Just(Key::Char(KILL)),
        // The keys that open other views.
        Just(Key::Char('e')),
        Just(Key::Char('f')),
        Just(Key::Char('1')),
        Just(Key::Char('j')),
        Just(Key::Enter),
        Just(Key::Esc),
        Just(Key::Tab),
        Just(Key::Other),
    ];
    let presses =
        prop_oneof![6 => Just(Press::Down), 1 => Just(Press::Repeat), 1 => Just(Press::Up)];
    prop_oneof![
        6 => (keys, presses).prop_map(|(key, press)| Input::Key(key, press)),
        6 => Just(Input::Tick),
        2 => Just(Input::Paste("A".to_owned())),
        1 => Just(Input::FocusGained),
        1 => Just(Input::Resized),
        1 => Just(Input::Resumed),
        4 => Just(frame(b"document", all_pieces(), None)),
        2 => Just(frame(b"document", all_pieces(), Some(1))),
        1 => Just(frame(b"document", Vec::new(), Some(2))),
        1 => Just(frame(b"another", all_pieces(), None)),
        1 => Just(Input::Drawn(None)),
        1 => Just(Input::Closed),
        1 => Just(Input::Opened(Box::new(subject(Tier::Low)))),
        1 => Just(Input::Opened(Box::new(Subject { claimed_by_other: true, ..subject(Tier::Low) }))),
        1 => Just(Input::Opened(Box::new(Subject { ends: Some(Millis(900)), ..subject(Tier::Low) }))),
        1 => Just(Input::Opened(Box::new(Subject { debt: Debt::Own, ..subject(Tier::Low) }))),
        1 => Just(changed(b"document", Standing::Pending, false, Debt::None)),
        1 => Just(changed(b"document", Standing::Pending, true, Debt::None)),
        1 => Just(changed(b"document", Standing::Denied, false, Debt::None)),
        1 => Just(changed(b"document", Standing::Running, false, Debt::None)),
        1 => Just(changed(b"document", Standing::Succeeded, false, Debt::None)),
        1 => Just(changed(b"document", Standing::Failed, false, Debt::Anothers)),
        1 => Just(changed(b"another", Standing::Pending, false, Debt::None)),
        1 => Just(Input::Take),
        2 => prop_oneof![Just(Wire::Live), Just(Wire::Down), Just(Wire::Syncing), Just(Wire::Draining)]
            .prop_map(Input::Wire),
        1 => Just(Input::Forked),
        1 => prop_oneof![
                Just(Signing::Missing),
                Just(Signing::Locked),
                Just(Signing::Ready),
                Just(Signing::Fixed(Assurance::SshAgent)),
                Just(Signing::Fixed(Assurance::Touch)),
            ]
            .prop_map(Input::Signing),
        1 => Just(Input::Unlocked),
        1 => Just(Input::Answered(RequestId::from_bytes(ID))),
    ]
}

fn gaps() -> impl Strategy<Value = u64> {
    prop_oneof![Just(0), 1..20_u64, 100..200_u64, 280..320_u64, 480..700_u64]
}

/// Honest ways with events added, left out, and moved in time.
fn days() -> impl Strategy<Value = Vec<Step>> {
    let tiers = prop_oneof![
        3 => Just(Tier::Low),
        1 => Just(Tier::Medium),
        1 => Just(Tier::High),
        1 => Just(Tier::Critical),
    ];
    let ends = prop_oneof![4 => Just(60_000), 1 => 600..650_u64, 1 => 1_200..3_000_u64];
    let verdicts = prop_oneof![
        3 => Just(Verdict::Approve),
        2 => Just(Verdict::Deny),
        1 => Just(Verdict::Close),
        1 => Just(Verdict::Kill),
    ];
    let honest = (tiers, verdicts, ends, prop::bool::weighted(0.1))
        .prop_map(|(tier, verdict, ends, partial)| honest(tier, verdict, ends, partial));
    let round = (
        honest,
        proptest::collection::vec((any::<prop::sample::Index>(), gaps(), noise()), 0..5),
        proptest::option::weighted(0.3, any::<prop::sample::Index>()),
        proptest::collection::vec((any::<prop::sample::Index>(), gaps()), 0..3),
        proptest::option::weighted(0.2, any::<prop::sample::Index>()),
    )
        .prop_map(|(mut steps, added, left_out, moved, held)| {
            if let Some(at) = held {
                let at = at.index(steps.len());
                if let Input::Key(_, press) = &mut steps[at].1 {
                    *press = Press::Repeat;
                }
            }
            for (at, gap) in moved {
                let at = at.index(steps.len());
                steps[at].0 = gap;
            }
            if let Some(at) = left_out {
                steps.remove(at.index(steps.len()));
            }
            for (at, gap, input) in added {
                steps.insert(at.index(steps.len() + 1), (gap, input));
            }
            steps
        });
    proptest::collection::vec(round, 1..4).prop_map(|rounds| rounds.concat())
}

/// Events with the times they happened at.
type Past<'a> = &'a [(u64, Input)];

fn is_key(input: &Input) -> bool {
    matches!(input, Input::Key(_, Press::Down | Press::Repeat))
}

/// The last value that `pick` finds.
fn last<T>(past: Past<'_>, pick: impl Fn(&Input) -> Option<T>) -> Option<(u64, T)> {
    past.iter()
        .rev()
        .find_map(|(at, input)| pick(input).map(|found| (*at, found)))
}

/// Says what is wrong with a decision that was made at the end of `past`.
fn objection(past: Past<'_>, decision: &Decision) -> Result<(), String> {
    let fail = |what: &str| Err(format!("{what}: {decision:?}"));
    let (now, Input::Tick) = past.last().unwrap() else {
        return fail("not on a tick");
    };
    let key_at = past.iter().rposition(|(_, input)| is_key(input)).unwrap();
    let (pressed, Input::Key(key, Press::Down)) = &past[key_at] else {
        return fail("by a held key");
    };
    let expected = match decision.verdict {
        Verdict::Approve => Key::Char('A'),
        Verdict::Deny | Verdict::Close | Verdict::Kill => Key::Enter,
    };
    if *key != expected {
        return fail("by another key");
    }
    if !(15..=250).contains(&(now - pressed)) {
        return fail("not right after the key's wait");
    }
    let after = &past[key_at + 1..];
    if after
        .iter()
        .any(|(_, input)| matches!(input, Input::Paste(_) | Input::FocusGained))
    {
        return fail("disturbed");
    }
    let keys: Vec<u64> = past
        .iter()
        .filter(|(_, input)| is_key(input) || matches!(input, Input::Paste(_)))
        .map(|(at, _)| *at)
        .collect();
    if keys.len() > 1 && pressed - keys[keys.len() - 2] < 150 {
        return fail("not quiet");
    }
    let burst = |pair: &[u64]| pair[1] - pair[0] < 15 && pressed.saturating_sub(pair[1]) < 300;
    if keys.windows(2).any(burst) {
        return fail("in a burst");
    }
    if past.iter().any(|(_, input)| matches!(input, Input::Forked)) {
        return fail("on a forked log");
    }
    let wire = |input: &Input| match input {
        Input::Wire(wire) => Some(*wire),
        _ => None,
    };
    if last(past, wire).map(|(_, wire)| wire) != Some(Wire::Live) {
        return fail("not connected");
    }
    let signing = |input: &Input| match input {
        Input::Signing(signing) => Some(*signing),
        Input::Unlocked => Some(Signing::Ready),
        _ => None,
    };
    // Every request here needs a key that was unlocked at least.
    let can_sign = match last(past, signing).map(|(_, signing)| signing) {
        Some(Signing::Ready | Signing::Fixed(Assurance::Touch)) => true,
        Some(Signing::Fixed(_)) => decision.verdict != Verdict::Approve,
        Some(Signing::Missing | Signing::Locked) | None => false,
    };
    if !can_sign {
        return fail("without a key that is enough");
    }
    the_request_allows(past, decision, *now)?;
    the_screen_allows(past, decision, *pressed)
}

fn opened_at(past: Past<'_>) -> usize {
    past.iter()
        .rposition(|(_, input)| matches!(input, Input::Opened(_)))
        .unwrap()
}

fn the_request_allows(past: Past<'_>, decision: &Decision, now: u64) -> Result<(), String> {
    let fail = |what: &str| Err(format!("{what}: {decision:?}"));
    let at = opened_at(past);
    let Input::Opened(subject) = &past[at].1 else {
        return fail("not opened");
    };
    let since = &past[at + 1..];
    if since
        .iter()
        .any(|(_, input)| matches!(input, Input::Closed))
    {
        return fail("closed");
    }
    let (mut standing, mut claimed, mut ends) =
        (subject.standing, subject.claimed_by_other, subject.ends);
    let mut owed = subject.debt;
    let mut taken = false;
    for (_, input) in since {
        if let Input::Changed {
            digest,
            standing: now,
            claimed_by_other,
            debt,
            ends: end,
            ..
        } = input
        {
            if *digest != decision.digest {
                return fail("the document changed");
            }
            taken &= !claimed_by_other || claimed;
            (standing, claimed, ends) = (*now, *claimed_by_other, *end);
            owed = *debt;
        }
        taken |= matches!(input, Input::Take);
    }
    if decision.verdict == Verdict::Close {
        return match owed {
            Debt::Anothers => Ok(()),
            Debt::Own | Debt::None => fail("not another one's debt"),
        };
    }
    if decision.verdict == Verdict::Kill {
        return match standing {
            Standing::Redeemed | Standing::Running => Ok(()),
            _ => fail("it does not run"),
        };
    }
    if standing != Standing::Pending {
        return fail("not pending");
    }
    if ends.is_none_or(|Millis(end)| now >= end) {
        return fail("expired");
    }
    if decision.verdict == Verdict::Approve && claimed && !taken {
        return fail("claimed by another one");
    }
    Ok(())
}

fn the_screen_allows(past: Past<'_>, decision: &Decision, pressed: u64) -> Result<(), String> {
    let fail = |what: &str| Err(format!("{what}: {decision:?}"));
    let since = &past[opened_at(past) + 1..];
    let mut bytes = BTreeSet::new();
    let (mut shown, mut whole) = (None, None);
    for (at, input) in since {
        match input {
            Input::Drawn(Some(frame))
                if frame.id == decision.id && frame.digest == decision.digest =>
            {
                shown = shown.or(Some(*at));
                for piece in &frame.pieces {
                    bytes.extend((piece.from..piece.to).map(|byte| (piece.part, byte)));
                }
                if bytes.len() == 6 {
                    whole = whole.or(Some(*at));
                }
            }
            Input::Drawn(_) | Input::Resized | Input::Resumed => shown = None,
            _ => {}
        }
    }
    if shown.is_none_or(|at| pressed.saturating_sub(at) < 500) {
        return fail("its frame did not stand for long enough");
    }
    let is_read = matches!(decision.verdict, Verdict::Approve | Verdict::Close);
    if is_read && whole.is_none_or(|at| pressed.saturating_sub(at) < 500) {
        return fail("not drawn whole for long enough");
    }
    let restart = |input: &Input| {
        matches!(input, Input::FocusGained | Input::Resized | Input::Resumed).then_some(())
    };
    if last(past, restart).is_some_and(|(at, ())| pressed.saturating_sub(at) < 500) {
        return fail("too soon after a restart");
    }
    the_sheet_allows(since, decision, pressed)
}

fn the_sheet_allows(since: Past<'_>, decision: &Decision, pressed: u64) -> Result<(), String> {
    let fail = |what: &str| Err(format!("{what}: {decision:?}"));
    if decision.verdict != Verdict::Approve && decision.reason.is_empty() {
        return fail("without a reason");
    }
    // Every subject here has digest and nonce in common, so its answer follows from the tier, and
    // the tier from the answer that was typed; low ones open no sheet.
    let low = since
        .iter()
        .all(|(_, input)| !matches!(input, Input::Drawn(Some(Frame { sheet: Some(_), .. }))));
    if low && decision.verdict == Verdict::Approve {
        return Ok(());
    }
    let drawn = since.iter().any(|(at, input)| {
        matches!(input, Input::Drawn(Some(Frame { sheet: Some(_), .. })))
            && pressed.saturating_sub(*at) >= 500
    });
    if decision.verdict != Verdict::Approve && !drawn {
        return fail("without a sheet that stood on the screen");
    }
    Ok(())
}

/// Whether the answer's characters were typed, in order; what went into another field lies between.
fn typed_the_answer(past: Past<'_>) -> bool {
    let at = opened_at(past);
    let Input::Opened(subject) = &past[at].1 else {
        return false;
    };
    let mut typed: Vec<char> = past[at..]
        .iter()
        .flat_map(|(_, input)| match input {
            Input::Key(Key::Char(character), Press::Down) => vec![*character],
            Input::Paste(text) if subject.tier < Tier::Critical => text.chars().collect(),
            _ => Vec::new(),
        })
        .collect();
    // The last one is the key that sent it.
    typed.pop();
    let mut typed = typed.into_iter();
    subject
        .confirm
        .expected()
        .chars()
        .all(|wanted| typed.any(|character| character == wanted))
}

fn play(steps: &[Step]) -> Result<Vec<Decision>, String> {
    let mut safety = Safety::new(Millis(0), false);
    let mut past: Vec<(u64, Input)> = Vec::new();
    let mut decisions = Vec::new();
    let mut now = 0;
    let mut decided_in_this_opening = false;
    for (gap, input) in steps {
        now += gap;
        decided_in_this_opening &= !matches!(input, Input::Opened(_));
        past.push((now, input.clone()));
        for act in safety.apply(Millis(now), input.clone()) {
            if let Act::Decide(decision) = act {
                objection(&past, &decision)?;
                if decided_in_this_opening {
                    return Err(format!("a second one: {decision:?}"));
                }
                if decision.verdict == Verdict::Approve && !typed_the_answer(&past) {
                    return Err(format!("without the answer: {decision:?}"));
                }
                decided_in_this_opening = true;
                decisions.push(decision);
            }
        }
    }
    Ok(decisions)
}

#[test]
fn honest_ways_decide_so_the_property_is_not_empty() {
    for tier in [Tier::Low, Tier::Medium, Tier::High, Tier::Critical] {
        for verdict in [
            Verdict::Approve,
            Verdict::Deny,
            Verdict::Close,
            Verdict::Kill,
        ] {
            let decisions = play(&honest(tier, verdict, 60_000, false)).unwrap();
            assert_eq!(decisions.len(), 1, "{tier:?} {verdict:?}");
        }
    }
}

proptest! {
    #![proptest_config(ProptestConfig::with_cases(10_000))]

    #[test]
    fn no_sequence_without_an_armed_drawn_matching_frame_yields_a_decision(steps in days()) {
        if let Err(objection) = play(&steps) {
            prop_assert!(false, "{}", objection);
        }
    }
}
