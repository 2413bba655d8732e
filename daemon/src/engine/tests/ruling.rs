//! How rules take force in system mode: what the files take away at once, the rest by signatures of
//! people who gain nothing by it, and without any only by an adoption that stands out (R5, R17).

use countersign_shared::digest::Digest;
use countersign_shared::limits::Limits;
use countersign_shared::machine::{Mode, State};
use countersign_shared::statement;

use super::super::*;
use super::world::{World, ana, bo, cy, everyone, moment, rules};
use crate::judge::JudgeError;

fn limits() -> Limits {
    Limits::default()
}

/// Rules with a stricter default requirement.
fn stricter() -> Rules {
    everyone("2 of anyone")
}

fn digest(force: &Force) -> Digest {
    force.proposed.as_ref().unwrap().rules.digest
}

/// Makes a statement wrong in one thing.
type Spoil = fn(&mut statement::Act);

#[test]
fn new_rules_wait_and_the_old_ones_judge_until_a_reviewer_signed() {
    let mut world = World::new();
    let old = world.engine.rules.digest;
    let pending = world.submit("SELECT 1");
    let force = world.take(stricter()).unwrap();
    assert_eq!(force.rules.digest, old);
    let proposed = digest(&force);
    assert_eq!(proposed, stricter().digest);
    let meanwhile = world.submit("SELECT 2");
    world.approve(meanwhile, &ana());
    assert_eq!(world.state(meanwhile), State::Approved);
    assert_eq!(world.state(pending), State::Pending);
    let done = world.sign_rules(&ana(), proposed).unwrap();
    assert!(done.in_force && done.missing.is_none());
    assert_eq!(world.engine.rules.digest, proposed);
    assert_eq!(world.state(pending), State::Invalidated);
    assert!(!world.view(pending).request.reason().is_empty());
    assert_eq!(world.rule_changes(), [(old, proposed)]);
    let types = world.types();
    let at = types.iter().position(|it| it == "rules.signed").unwrap();
    assert_eq!(types[at + 1], "rules.changed");
    let later = world.submit("SELECT 3");
    world.approve(later, &ana());
    assert_eq!(world.state(later), State::Pending);
    world.check();
}

#[test]
fn r5_what_the_files_take_away_takes_force_at_once_though_the_rest_waits() {
    let mut world = World::new();
    let approved = world.submit("SELECT 1");
    world.approve(approved, &ana());
    let waiting = rules(&[bo(), cy()], "2 of anyone", &limits());
    let force = world.take(waiting.clone()).unwrap();
    assert!(force.rules.member("ana").is_none());
    assert!(force.rules.roster.by_name("ana").is_none());
    assert_eq!(world.state(approved), State::Invalidated);
    // One approval is still enough: the stricter requirement waits.
    let id = world.submit("SELECT 2");
    world.approve(id, &bo());
    assert_eq!(world.state(id), State::Approved);
    assert_eq!(digest(&force), waiting.digest);
    assert!(world.sign_rules(&bo(), waiting.digest).unwrap().in_force);
    assert_eq!(world.engine.rules.digest, waiting.digest);
    world.check();
}

#[test]
fn what_only_takes_away_waits_for_nobody() {
    let mut world = World::new();
    let fewer = rules(&[ana(), cy()], "1 of anyone", &limits());
    let force = world.take(fewer.clone()).unwrap();
    assert_eq!(force.rules.digest, fewer.digest);
    assert!(force.proposed.is_none());
    assert_eq!(world.types().last().unwrap(), "rules.changed");
    world.check();
}

#[test]
fn r17_whoever_the_rules_add_does_not_put_them_in_force_and_not_alone() {
    let mut world = World::with(rules(&[ana(), bo()], "1 of anyone", &limits()));
    let force = world.take(everyone("1 of anyone")).unwrap();
    let proposed = force.proposed.clone().unwrap();
    assert_eq!(proposed.gained, ["cy".to_owned()].into());
    // Whom the change adds is nobody in the roster that is in force.
    let change = (force.rules.digest, proposed.rules.digest);
    let statement = world.rules_statement(&cy(), change);
    let error = world
        .judge_rules(&cy(), change, proposed.at, &statement)
        .unwrap_err();
    assert_eq!(error.code(), "not-in-roster");
    assert!(world.sign_rules(&ana(), change.1).unwrap().in_force);
    world.check();
}

#[test]
fn r17_a_person_does_not_change_their_own_keys_alone() {
    let mut world = World::with(rules(&[ana(), bo()], "1 of anyone", &limits()));
    let mut other = ana();
    other.take_key_of(&cy());
    let force = world
        .take(rules(&[other.clone(), bo()], "1 of anyone", &limits()))
        .unwrap();
    // The old key is gone at once; the new one signs nothing before it is in force.
    assert!(force.rules.roster.by_name("ana").unwrap().keys().is_empty());
    let change = (force.rules.digest, digest(&force));
    let at = force.proposed.unwrap().at;
    for signer in [ana(), other.clone()] {
        let statement = world.rules_statement(&signer, change);
        let error = world
            .judge_rules(&signer, change, at, &statement)
            .unwrap_err();
        assert_eq!(error.code(), "foreign-key");
    }
    assert!(world.sign_rules(&bo(), change.1).unwrap().in_force);
    // With a key left in force, the person's own signature alone is not enough.
    let both = other.with_key_of(&ana());
    let force = world.take(world_rules(&[both, vec![key(&bo())]])).unwrap();
    let done = world.sign_rules(&other, digest(&force)).unwrap();
    assert!(!done.in_force);
    assert!(done.missing.unwrap().contains("does not change"));
    assert!(world.sign_rules(&bo(), digest(&force)).unwrap().in_force);
    world.check();
}

fn key(person: &super::world::Person) -> String {
    person.public().to_openssh().unwrap()
}

/// Rules of ana and bo with these keys.
fn world_rules(keys: &[Vec<String>; 2]) -> Rules {
    let mut rules = rules(&[ana(), bo()], "1 of anyone", &limits());
    rules.give_keys("ana", &keys[0]);
    rules.give_keys("bo", &keys[1]);
    rules
}

#[test]
fn r3_as_many_different_people_sign_as_the_rules_in_force_ask_for() {
    let mut two = everyone("1 of anyone");
    two.ask_for_signers(2);
    let mut world = World::with(two.clone());
    // Rules that would ask for fewer need as many as the ones they replace.
    let force = world.take(stricter()).unwrap();
    let proposed = digest(&force);
    let first = world.sign_rules(&ana(), proposed).unwrap();
    assert!(!first.in_force);
    assert_eq!(first.missing.as_deref(), Some("needs 1 more signature"));
    let entries = world.types().len();
    let again = world.sign_rules(&ana(), proposed).unwrap();
    assert_eq!(again.recorded.index, first.recorded.index);
    assert_eq!(world.types().len(), entries, "one person filled two seats");
    assert_eq!(world.engine.rules.digest, two.digest);
    assert!(world.sign_rules(&cy(), proposed).unwrap().in_force);
    world.check();
}

#[test]
fn signatures_are_for_one_proposal_and_for_no_later_one() {
    let mut two = everyone("1 of anyone");
    two.ask_for_signers(2);
    let mut world = World::with(two);
    let first = digest(&world.take(stricter()).unwrap());
    assert!(!world.sign_rules(&ana(), first).unwrap().in_force);
    let second = digest(&world.take(everyone("3 of anyone")).unwrap());
    let error = world.sign_rules(&bo(), first).unwrap_err();
    assert_eq!(error.code(), "not-proposed");
    // The first ones are proposed again, and begin anew.
    assert_ne!(first, second);
    assert_eq!(digest(&world.take(stricter()).unwrap()), first);
    assert!(!world.sign_rules(&bo(), first).unwrap().in_force);
    assert!(world.sign_rules(&ana(), first).unwrap().in_force);
    world.check();
}

#[test]
fn files_that_are_put_back_withdraw_the_proposal_and_the_same_again_changes_nothing() {
    let mut world = World::new();
    let proposed = digest(&world.take(stricter()).unwrap());
    let entries = world.types().len();
    assert_eq!(digest(&world.take(stricter()).unwrap()), proposed);
    assert_eq!(world.types().len(), entries);
    let force = world.take(everyone("1 of anyone")).unwrap();
    assert!(force.proposed.is_none());
    assert_eq!(world.types().last().unwrap(), "rules.withdrawn");
    let error = world.sign_rules(&ana(), proposed).unwrap_err();
    assert_eq!(error.code(), "not-proposed");
    world.check();
}

#[test]
fn r12_a_word_on_rules_with_one_thing_wrong_does_not_count() {
    let mut world = World::new();
    let force = world.take(stricter()).unwrap();
    let change = (force.rules.digest, digest(&force));
    let at = force.proposed.unwrap().at;
    let cases: [(&str, &str, Spoil); 8] = [
        ("other rules", "stale-digest", |it| {
            it.subject = statement::Subject::Rules {
                digest: Digest::of(b"other"),
            };
        }),
        ("other rules in force", "rules-changed", |it| {
            it.rules = Digest::of(b"other");
        }),
        ("in another name", "foreign-key", |it| {
            it.reviewer = "bo".to_owned();
        }),
        ("another log", "wrong-head", |it| {
            it.log.origin = "countersign/other".to_owned();
        }),
        ("a head before the proposal", "wrong-head", |it| {
            it.log.size = 2;
        }),
        ("a head of another history", "wrong-head", |it| {
            it.log.root = Digest::of(b"other");
        }),
        ("a touch that was none", "statement-does-not-fit", |it| {
            it.assurance = statement::Assurance::Touch;
        }),
        ("an end that has passed", "statement-does-not-fit", |it| {
            it.expires_at = it.issued_at;
            it.issued_at = countersign_shared::time::Timestamp::from_millis(1);
        }),
    ];
    for (what, code, spoil) in cases {
        let mut statement = world.rules_statement(&ana(), change);
        spoil(&mut statement);
        let error = world
            .judge_rules(&ana(), change, at, &statement)
            .unwrap_err();
        assert_eq!(error.code(), code, "{what}: {error}");
    }
    assert_eq!(world.engine.rules.digest, change.0);
}

#[test]
fn signing_rules_takes_the_assurance_of_the_default_requirement_in_force() {
    let mut careful = everyone("1 of anyone");
    careful.change_default(|it| it.assurance = statement::Assurance::Passphrase);
    let mut world = World::with(careful);
    let force = world.take(stricter()).unwrap();
    let change = (force.rules.digest, digest(&force));
    let at = force.proposed.unwrap().at;
    let mut statement = world.rules_statement(&ana(), change);
    let error = world
        .judge_rules(&ana(), change, at, &statement)
        .unwrap_err();
    assert!(matches!(error, JudgeError::Refused(_)), "{error}");
    statement.assurance = statement::Assurance::Passphrase;
    world.judge_rules(&ana(), change, at, &statement).unwrap();
}

#[test]
fn a_start_goes_on_with_the_rules_in_force_and_proposes_what_the_files_make() {
    let world = World::new();
    let old = world.engine.rules.digest;
    let mut world = World::open(world.close(), stricter(), moment("a", 5, 5), 50).unwrap();
    assert_eq!(world.engine.rules.digest, old);
    assert_eq!(digest(&world.engine.force()), stricter().digest);
    let id = world.submit("SELECT 1");
    world.approve(id, &ana());
    assert_eq!(world.state(id), State::Approved);
    // And once more: what was signed before counts for nothing, the files do.
    let now = moment("a", 9, 9);
    let mut world = World::open(world.close(), stricter(), now, 60).unwrap();
    let proposed = digest(&world.engine.force());
    assert!(world.sign_rules(&bo(), proposed).unwrap().in_force);
    let world = World::open(world.close(), stricter(), moment("a", 12, 12), 70).unwrap();
    assert_eq!(world.engine.rules.digest, proposed);
    assert!(world.engine.force().proposed.is_none());
    world.check();
}

#[test]
fn a_start_takes_people_out_at_once() {
    let world = World::new();
    let fewer = rules(&[bo()], "2 of anyone", &limits());
    let world = World::open(world.close(), fewer, moment("a", 5, 5), 50).unwrap();
    let force = world.engine.force();
    let names: Vec<&str> = force
        .rules
        .members
        .iter()
        .map(|it| it.name.as_str())
        .collect();
    assert_eq!(names, ["bo"]);
    assert!(force.proposed.is_some());
    world.check();
}

#[test]
fn without_what_was_kept_of_the_rules_in_force_nothing_starts() {
    for sql in [
        "DELETE FROM rules_blob",
        "DELETE FROM rules_file",
        "UPDATE rules_blob SET bytes = x'7b7d'",
        "UPDATE rules_text SET text = text || ' '",
    ] {
        let world = World::new();
        world.execute(sql);
        let error = World::open(world.close(), stricter(), moment("a", 5, 5), 50)
            .err()
            .unwrap_or_else(|| panic!("started after {sql}"));
        assert!(matches!(error, BootError::Rules { .. }), "{sql}: {error}");
    }
}

#[test]
fn in_user_mode_a_start_takes_the_files_whatever_was_kept() {
    let in_user_mode = |review: &str| {
        let mut rules = everyone(review);
        rules.mode = Mode::User;
        rules.ask_for_signers(1);
        rules
    };
    for sql in ["SELECT 1", "DELETE FROM rules_blob"] {
        let mut world = World::with(in_user_mode("1 of anyone"));
        let old = world.engine.rules.digest;
        let pending = world.submit("SELECT 1");
        world.execute(sql);
        let files = in_user_mode("2 of anyone");
        let new = files.digest;
        assert_ne!(old, new);
        let mut world = World::open(world.close(), files, moment("a", 5, 5), 50).unwrap();
        assert_eq!(world.engine.rules.digest, new);
        assert_eq!(world.engine.force().rules.digest, new);
        assert!(world.engine.force().proposed.is_none());
        assert_eq!(world.rule_changes(), [(old, new)]);
        assert_eq!(world.state(pending), State::Invalidated);
        world.check();
    }
}

#[test]
fn a_change_of_the_mode_is_no_way_around_the_signatures() {
    let world = World::new();
    let mut user = stricter();
    user.mode = Mode::User;
    let error = World::open(world.close(), user, moment("a", 5, 5), 50)
        .err()
        .expect("a log of system mode was taken in user mode");
    assert!(matches!(error, BootError::Mode { .. }), "{error}");
}

#[test]
fn adopted_rules_stand_out_until_a_reviewer_acknowledges_them_over_every_start() {
    let world = World::new();
    let dir = world.close();
    let adopted = rules(&[cy()], "1 of anyone", &limits());
    let mut world =
        World::adopting(dir, adopted.clone(), "all keys are lost", moment("a", 5, 5)).unwrap();
    assert_eq!(world.engine.rules.digest, adopted.digest);
    let standing = world.engine.force().adopted.unwrap();
    assert_eq!(standing.reason, "all keys are lost");
    let mut world = {
        world.check();
        let id = world.submit("SELECT 1");
        world.approve(id, &cy());
        World::open(world.close(), adopted.clone(), moment("a", 9, 9), 50).unwrap()
    };
    assert_eq!(world.engine.force().adopted, Some(standing));
    world.acknowledge(&cy()).unwrap();
    assert!(world.engine.force().adopted.is_none());
    assert_eq!(world.types().last().unwrap(), "rules.acknowledged");
    let error = world.hand_in_again(&cy(), adopted.digest).unwrap_err();
    assert_eq!(error.code(), "not-proposed");
    let world = World::open(world.close(), adopted, moment("a", 12, 12), 60).unwrap();
    assert!(world.engine.force().adopted.is_none());
    world.check();
}

#[test]
fn an_adoption_that_nobody_looked_at_is_not_hidden_behind_the_next_one() {
    let world = World::new();
    let before = world.engine.rules.digest;
    // The first one adds a person; the second changes next to nothing.
    let first = rules(&[cy()], "1 of anyone", &limits());
    let world = World::adopting(world.close(), first, "one", moment("a", 5, 5)).unwrap();
    let at = world.engine.force().adopted.unwrap().at;
    let short = Limits {
        held_per_uid: limits().held_per_uid + 1,
        ..limits()
    };
    let second = rules(&[cy()], "1 of anyone", &short);
    let mut world =
        World::adopting(world.close(), second.clone(), "two", moment("a", 7, 7)).unwrap();
    for is_started_anew in [false, true] {
        if is_started_anew {
            world = World::open(world.close(), second.clone(), moment("a", 9, 9), 50).unwrap();
        }
        let standing = world.engine.force().adopted.unwrap();
        assert_eq!(
            (standing.previous, standing.rules, standing.at),
            (before, second.digest, at)
        );
    }
    world.acknowledge(&cy()).unwrap();
    assert!(world.engine.force().adopted.is_none());
    // And so the log is replayed.
    world.check();
}

#[test]
fn there_is_nothing_to_adopt_where_the_files_are_in_force() {
    let world = World::new();
    let same = everyone("1 of anyone");
    let error = World::adopting(world.close(), same, "why not", moment("a", 5, 5))
        .err()
        .unwrap();
    assert!(matches!(error, BootError::NothingToAdopt(_)), "{error}");
}

#[test]
fn a_reload_that_compared_with_other_rules_than_those_in_force_is_to_compare_again() {
    let mut world = World::new();
    let stale = NewRules::of(&world.engine.rules, Arc::new(stricter())).unwrap();
    world
        .change_rules(rules(&[bo(), cy()], "1 of anyone", &limits()))
        .unwrap();
    let error = world
        .ask(|reply| Command::Rules(Box::new(stale), reply))
        .unwrap_err();
    assert!(matches!(error, EngineError::RulesChanged), "{error}");
}
