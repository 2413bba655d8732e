//! The one use that is taken with an approval by policy (R8): once, and where a redemption would have it.

use countersign_shared::machine::State;

use super::super::*;
use super::world::{EXECUTOR, World, ended_well, everyone, moment};
use super::{Ask, check_inclusion};

const FREE: &str = "@id(\"free\") @review(\"nobody\") @tier(\"low\")\n\
                    permit (principal, action in [Action::\"sql.exec\"], resource);\n";

/// A world in which nobody is asked, and an asking that takes its use at once.
fn free(annotation: &str) -> (World, Ask) {
    let mut rules = everyone("1 of anyone");
    rules.put_file("policy/free.cedar", &format!("{annotation}{FREE}"));
    let world = World::with(rules);
    let mut ask = Ask::of("SELECT 1");
    ask.submission = Some([1; 16]);
    let id = world.secrets.request_id(&ask.principal(), [1; 16]);
    ask.use_at_once = Some(Taker::Agent(world.redeemer(id)));
    (world, ask)
}

#[test]
fn r8_a_use_that_is_taken_with_the_approval_is_in_the_log_and_the_only_one() {
    let (mut world, ask) = free("");
    let submitted = world.try_submit(&ask).unwrap();
    assert_eq!(submitted.standing.state, State::Redeemed);
    let (inclusion, until) = submitted.redeemed.unwrap();
    check_inclusion(&world, &inclusion);
    assert!(String::from_utf8_lossy(&inclusion.entry).contains("\"type\":\"request.redeemed\""));
    assert_eq!(inclusion.index, submitted.head.size - 1);
    assert!(until.wall > world.engine.now().wall);
    let error = world.redeem(submitted.id).unwrap_err();
    assert_eq!(error.code(), "already-redeemed");
    let told = world.report_as(submitted.id, EXECUTOR, ended_well());
    assert_eq!(told.unwrap(), State::Succeeded);
    world.check();
}

#[test]
fn r8_a_repeated_submission_gives_the_use_to_nobody_again() {
    let (mut world, ask) = free("");
    let drafts: Vec<_> = (0..3).map(|_| Box::new(world.draft(&ask))).collect();
    let calls = drafts
        .into_iter()
        .map(|draft| Box::new(move |reply| Command::Submit(draft, reply)) as Box<_>)
        .collect();
    let answers: Vec<Submitted> = world
        .batch(calls)
        .into_iter()
        .map(|answer| answer.unwrap())
        .collect();
    let again = world.try_submit(&ask).unwrap();
    let uses = answers
        .iter()
        .chain([&again])
        .map(|it| it.redeemed.is_some());
    assert_eq!(uses.collect::<Vec<_>>(), [true, false, false, false]);
    assert_eq!(again.standing.state, State::Redeemed);
    world.check();
}

#[test]
fn r13_what_nobody_was_asked_about_is_joined_only_by_what_a_key_ties_to_it() {
    let (mut world, mut ask) = free("");
    ask.use_at_once = None;
    let mut asked = std::collections::BTreeSet::new();
    for (key, joins) in [
        ("", false),
        ("", false),
        ("toolu_1", false),
        ("toolu_1", true),
        ("toolu_2", false),
    ] {
        ask.submission = None;
        ask.tool_call = key.to_owned();
        let submitted = world.try_submit(&ask).unwrap();
        assert_eq!(submitted.standing.state, State::Approved);
        assert_eq!(submitted.joined, joins, "{key}");
        assert_eq!(asked.insert(submitted.id), !joins, "{key}");
    }
    world.check();
}

#[test]
fn r8_nothing_is_used_at_once_that_people_are_asked_about() {
    let mut world = World::new();
    let (_, ask) = free("");
    let submitted = world.try_submit(&ask).unwrap();
    assert_eq!(submitted.standing.state, State::Pending);
    assert!(submitted.redeemed.is_none());
    world.check();
}

#[test]
fn r11_what_an_agent_may_not_carry_out_is_not_used_at_once() {
    let (mut world, ask) = free("@run_by(\"daemon\")");
    let submitted = world.try_submit(&ask).unwrap();
    assert_eq!(submitted.standing.state, State::Approved);
    assert!(submitted.redeemed.is_none());
    world.check();
}

#[test]
fn r10_a_clock_behind_the_log_gives_no_use_at_once() {
    let (mut world, ask) = free("");
    world.submit("SELECT 2");
    world.hand.set(moment("a", -121, 1));
    let submitted = world.try_submit(&ask).unwrap();
    assert!(submitted.redeemed.is_none(), "{:?}", submitted.standing);
    world.check();
}

#[test]
fn r7_a_use_that_is_not_durable_is_nobodys() {
    let (mut world, ask) = free("");
    let draft = Box::new(world.draft(&ask));
    let (reply, mut answer) = tokio::sync::oneshot::channel();
    world.execute(
        "CREATE TRIGGER full BEFORE INSERT ON audit_leaf BEGIN SELECT RAISE(ABORT, 'no'); END",
    );
    world
        .engine
        .turn(vec![Command::Submit(draft, reply).into()]);
    assert_eq!(
        answer.try_recv().unwrap().unwrap_err().code(),
        "log-unavailable"
    );
    world.execute("DROP TRIGGER full");
    let submitted = world.try_submit(&ask).unwrap();
    assert!(submitted.redeemed.is_some());
    world.check();
}
