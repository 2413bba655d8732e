use proptest::prelude::*;

use super::*;

fn id(number: u8) -> RequestId {
    RequestId::from_bytes([number; 16])
}

fn waiting(tier: Tier) -> Waiting {
    Waiting {
        tier,
        kind: "sql.exec",
        target: None,
        ends: Millis(3_600_000),
        lifetime: 3_600_000,
    }
}

fn shown(act: Option<Act>) -> Vec<(u8, Why)> {
    match act {
        Some(Act::Show(bubble)) => bubble
            .told
            .iter()
            .map(|told| (told.id.as_bytes()[0], told.why))
            .collect(),
        Some(Act::Close) | None => Vec::new(),
    }
}

#[test]
fn the_first_is_told_at_once_and_the_rest_together() {
    let mut plan = Plan::default();
    plan.waits(id(1), waiting(Tier::Low));
    assert_eq!(shown(plan.tick(Millis(0), false)), [(1, Why::New)]);
    for number in 2..12 {
        plan.waits(id(number), waiting(Tier::Medium));
        assert_eq!(plan.tick(Millis(u64::from(number)), false), None);
    }
    assert_eq!(plan.next(false), Some(Millis(EVERY)));
    assert_eq!(plan.tick(Millis(EVERY - 1), false), None);
    let Some(Act::Show(bubble)) = plan.tick(Millis(EVERY), false) else {
        panic!("nothing is shown");
    };
    assert_eq!((bubble.told.len(), bubble.waiting), (10, 11));
    assert_eq!(plan.tick(Millis(2 * EVERY), false), None);
}

#[test]
fn what_was_told_is_not_told_again_by_a_second_snapshot() {
    let mut plan = Plan::default();
    plan.waits(id(1), waiting(Tier::Low));
    plan.tick(Millis(0), false);
    plan.waits(id(1), waiting(Tier::Low));
    assert_eq!(plan.only(&BTreeSet::from([id(1)])), None);
    assert_eq!(plan.tick(Millis(EVERY), false), None);
    assert_eq!(plan.only(&BTreeSet::new()), Some(Act::Close));
}

#[test]
fn a_bubble_is_closed_once_all_it_told_of_is_decided_elsewhere() {
    let mut plan = Plan::default();
    plan.waits(id(1), waiting(Tier::Low));
    plan.waits(id(2), waiting(Tier::Low));
    plan.tick(Millis(0), false);
    plan.waits(id(3), waiting(Tier::Low));
    assert_eq!(plan.over(&id(1)), None);
    assert_eq!(plan.over(&id(2)), Some(Act::Close));
    assert_eq!(plan.over(&id(2)), None);
    // What was never told is not told after it is over.
    assert_eq!(plan.over(&id(3)), None);
    assert_eq!(plan.tick(Millis(EVERY), false), None);
}

#[test]
fn in_quiet_hours_high_and_above_is_told_and_the_rest_waits_for_their_end() {
    let mut plan = Plan::default();
    for (number, tier) in [
        (1, Tier::Low),
        (2, Tier::High),
        (3, Tier::Critical),
        (4, Tier::Medium),
    ] {
        plan.waits(id(number), waiting(tier));
    }
    assert_eq!(
        shown(plan.tick(Millis(0), true)),
        [(3, Why::New), (2, Why::New)]
    );
    assert_eq!(plan.tick(Millis(EVERY), true), None);
    assert_eq!(
        shown(plan.tick(Millis(2 * EVERY), false)),
        [(4, Why::New), (1, Why::New)]
    );
}

#[test]
fn an_escalation_and_the_last_call_are_told_once_each() {
    let mut plan = Plan::default();
    plan.waits(id(1), waiting(Tier::Low));
    plan.tick(Millis(0), false);
    plan.escalated(id(1));
    plan.escalated(id(9));
    assert_eq!(
        shown(plan.tick(Millis(EVERY), false)),
        [(1, Why::Escalated)]
    );
    plan.escalated(id(1));
    assert_eq!(plan.tick(Millis(2 * EVERY), false), None);
    let call = Millis(3_600_000 - LAST_CALL);
    assert_eq!(plan.next(false), Some(call));
    assert_eq!(plan.tick(Millis(call.0 - 1), false), None);
    assert_eq!(shown(plan.tick(call, false)), [(1, Why::Expiring)]);
    assert_eq!(plan.tick(call.plus(EVERY), false), None);
}

#[test]
fn a_short_lifetime_has_a_short_last_call() {
    let mut plan = Plan::default();
    let short = Waiting {
        ends: Millis(60_000),
        lifetime: 60_000,
        ..waiting(Tier::Low)
    };
    plan.waits(id(1), short);
    assert_eq!(shown(plan.tick(Millis(0), false)), [(1, Why::New)]);
    assert_eq!(plan.tick(Millis(44_999), false), None);
    assert_eq!(
        shown(plan.tick(Millis(45_000), false)),
        [(1, Why::Expiring)]
    );
}

#[test]
fn what_could_not_be_shown_is_due_again_unless_it_is_over() {
    let mut plan = Plan::default();
    plan.waits(id(1), waiting(Tier::Low));
    plan.waits(id(2), waiting(Tier::Low));
    let Some(Act::Show(bubble)) = plan.tick(Millis(0), false) else {
        panic!("nothing is shown");
    };
    plan.over(&id(2));
    plan.untold(&bubble);
    assert_eq!(plan.tick(Millis(1), false), None);
    assert_eq!(shown(plan.tick(Millis(EVERY), false)), [(1, Why::New)]);
}

#[derive(Debug, Clone)]
enum Step {
    Waits(u8, Tier),
    Over(u8),
    Escalated(u8),
    Dismissed,
    Pass(u64),
}

fn steps() -> impl Strategy<Value = Vec<(Step, bool)>> {
    let tier = prop_oneof![
        Just(Tier::Low),
        Just(Tier::Medium),
        Just(Tier::High),
        Just(Tier::Critical)
    ];
    let step = prop_oneof![
        4 => (0..6_u8, tier).prop_map(|(id, tier)| Step::Waits(id, tier)),
        2 => (0..6_u8).prop_map(Step::Over),
        2 => (0..6_u8).prop_map(Step::Escalated),
        1 => Just(Step::Dismissed),
        4 => prop_oneof![0..100_u64, 10_000..20_000_u64, 1_000_000..4_000_000_u64]
            .prop_map(Step::Pass),
    ];
    proptest::collection::vec((step, any::<bool>()), 1..60)
}

proptest! {
    #[test]
    fn bubbles_are_paced_tell_of_what_waits_and_keep_quiet_hours(steps in steps()) {
        let mut plan = Plan::default();
        let (mut now, mut last) = (0_u64, None::<u64>);
        let mut alive = BTreeMap::new();
        for (step, is_quiet) in steps {
            match step {
                Step::Waits(number, tier) => {
                    let mut waiting = waiting(tier);
                    waiting.ends = Millis(now + 3_600_000);
                    alive.insert(id(number), waiting);
                    plan.waits(id(number), waiting);
                }
                Step::Over(number) => {
                    alive.remove(&id(number));
                    plan.over(&id(number));
                }
                Step::Escalated(number) => plan.escalated(id(number)),
                Step::Dismissed => plan.dismissed(),
                Step::Pass(span) => now += span,
            }
            if let Some(Act::Show(bubble)) = plan.tick(Millis(now), is_quiet) {
                prop_assert!(last.is_none_or(|last| now - last >= EVERY));
                last = Some(now);
                prop_assert!(!bubble.told.is_empty());
                prop_assert_eq!(bubble.waiting, alive.len());
                for told in &bubble.told {
                    prop_assert_eq!(alive.get(&told.id), Some(&told.waiting));
                    prop_assert!(!is_quiet || told.waiting.tier >= Tier::High);
                }
            }
        }
    }
}

#[test]
fn broken_glass_is_told_at_once_in_quiet_hours_and_stays_until_it_is_taken_away() {
    let mut plan = Plan::default();
    plan.waits(id(1), waiting(Tier::High));
    plan.tick(Millis(0), true);
    plan.glass_broken(id(1));
    assert_eq!(plan.next(true), Some(Millis(0)));
    let Some(Act::Show(bubble)) = plan.tick(Millis(1), true) else {
        panic!("nothing is shown");
    };
    assert_eq!((bubble.told.len(), bubble.broken), (0, 1));
    // It is told once, also when the log is read again over another connection.
    plan.glass_broken(id(1));
    assert_eq!(plan.tick(Millis(EVERY), true), None);
    // The request is used and ends, and the alarm stands.
    assert_eq!(plan.over(&id(1)), None);
    plan.waits(id(2), waiting(Tier::High));
    let Some(Act::Show(next)) = plan.tick(Millis(2 * EVERY), true) else {
        panic!("nothing is shown");
    };
    assert_eq!((next.told.len(), next.broken), (1, 1));
    plan.dismissed();
    plan.glass_broken(id(3));
    let Some(Act::Show(bubble)) = plan.tick(Millis(2 * EVERY + 1), true) else {
        panic!("nothing is shown");
    };
    assert_eq!(bubble.broken, 1);
    // A bubble that could not be shown is due again, and no more often than others.
    plan.untold(&bubble);
    assert_eq!(plan.tick(Millis(2 * EVERY + 2), true), None);
    let again = Millis(3 * EVERY + 1);
    assert_eq!(plan.next(true), Some(again));
    assert!(plan.tick(again, true).is_some());
    // Another one does not wait behind it.
    plan.untold(&bubble);
    plan.glass_broken(id(4));
    assert!(plan.tick(again.plus(1), true).is_some());
}
