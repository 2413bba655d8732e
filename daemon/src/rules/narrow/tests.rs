//! Only what both have is left, and nothing is ever gained.

use countersign_shared::limits::Limits;
use countersign_shared::machine::Mode;
use countersign_shared::requirement::{Assurance, RequiredReview, Requirement, RunBy, Tier};
use countersign_shared::roster::change::{self, People};
use ssh_key::PublicKey;
use ssh_key::public::{Ed25519PublicKey, KeyData};

use super::*;

fn key(seed: u8) -> String {
    let secret = ed25519_dalek::SigningKey::from_bytes(&[seed; 32]);
    let public = Ed25519PublicKey(secret.verifying_key().to_bytes());
    PublicKey::from(KeyData::Ed25519(public))
        .to_openssh()
        .unwrap()
}

fn until(year: u16, seed: u8) -> String {
    format!("valid-before=\"{year}0101Z\" {}", key(seed))
}

type Written = (&'static str, u32, &'static [&'static str], Vec<String>);

fn rules(people: &[Written], glass: &[&str]) -> Rules {
    let roster = Roster::from_people(
        people
            .iter()
            .map(|(name, uid, groups, keys)| Person {
                name: (*name).to_owned(),
                user: format!("user{uid}"),
                groups: groups.iter().map(|&group| group.to_owned()).collect(),
                keys: keys.clone(),
            })
            .collect(),
    )
    .unwrap();
    let members = roster
        .iter()
        .map(|person| {
            let (_, uid, ..) = people.iter().find(|it| it.0 == person.name()).unwrap();
            member_of(person, *uid)
        })
        .collect();
    let requirement = Requirement {
        reviews: vec![RequiredReview {
            policy: "default".to_owned(),
            seats: "1 of anyone".parse().unwrap(),
        }],
        tier: Tier::Medium,
        assurance: Assurance::File,
        reason_required: false,
        ttl_s: 3600,
        grant_s: 300,
        max_run_s: 600,
        run_by: RunBy::Agent,
        self_attest: false,
        advice: Vec::new(),
        why: Vec::new(),
        escalate: Vec::new(),
    };
    let limits = Limits::default();
    let mut rules = Rules::holding_all(Mode::System, roster, members, requirement, limits);
    rules.list_for_break_glass(glass);
    rules
}

fn base() -> Vec<Written> {
    vec![
        ("ana", 1, &["sre", "dba"], vec![key(1), key(2)]),
        ("bo", 2, &["sre"], vec![until(2030, 3)]),
    ]
}

/// Narrows the base to other people, and expects what is left.
#[track_caller]
fn expect(other: &[Written], left: &[Written]) {
    let in_force = rules(&base(), &["ana", "bo"]);
    let names: Vec<&str> = other.iter().map(|it| it.0).collect();
    let narrowed = in_force.narrowed_to(&rules(other, &names)).unwrap();
    let narrowed = narrowed.unwrap_or_else(|| in_force.clone());
    let names: Vec<&str> = left.iter().map(|it| it.0).collect();
    let expected = rules(left, &names);
    assert_eq!(
        narrowed.roster.allowed_signers(),
        expected.roster.allowed_signers()
    );
    assert_eq!(narrowed.members, expected.members);
    assert_eq!(narrowed.break_glass, expected.break_glass);
    let of = |rules: &Rules| (rules.roster.clone(), rules.members.clone());
    let (before, after) = (of(&in_force), of(&narrowed));
    let people = |(roster, members): &(Roster, Vec<_>)| -> bool { roster.len() == members.len() };
    assert!(people(&before) && people(&after));
    assert!(change::only_takes(
        People {
            roster: &before.0,
            members: &before.1,
        },
        People {
            roster: &after.0,
            members: &after.1,
        }
    ));
}

#[test]
fn what_the_files_no_longer_have_is_taken_and_what_they_add_is_not_given() {
    let [ana, bo] = <[Written; 2]>::try_from(base()).unwrap();
    expect(&base(), &base());
    expect(&[], &[]);
    expect(std::slice::from_ref(&bo), std::slice::from_ref(&bo));
    let cy: Written = ("cy", 3, &["sre"], vec![key(9)]);
    expect(&[ana.clone(), cy], std::slice::from_ref(&ana));
    let other_key: Written = ("ana", 1, &["sre", "ops"], vec![key(2), key(8)]);
    let left: Written = ("ana", 1, &["sre"], vec![key(2)]);
    expect(&[other_key, bo.clone()], &[left, bo.clone()]);
    let other_account: Written = ("ana", 7, &["sre", "dba"], vec![key(1), key(2)]);
    expect(&[other_account, bo.clone()], std::slice::from_ref(&bo));
    let sooner: Written = ("bo", 2, &["sre"], vec![until(2027, 3)]);
    expect(&[ana.clone(), sooner.clone()], &[ana.clone(), sooner]);
    for later in [until(2040, 3), key(3)] {
        let longer: Written = ("bo", 2, &["sre"], vec![later]);
        expect(&[ana.clone(), longer], &base());
    }
}

#[test]
fn policies_limits_and_requirement_stay_as_they_are_in_force() {
    let in_force = rules(&base(), &[]);
    let mut other = rules(&[("ana", 1, &[], vec![key(1)])], &[]);
    other.change_default(|default| default.tier = Tier::Critical);
    other.put_file("targets.toml", "");
    other.ask_for_signers(2);
    let narrowed = in_force.narrowed_to(&other).unwrap().unwrap();
    assert_eq!(narrowed.policies.digest(), in_force.policies.digest());
    assert_eq!(narrowed.limits, in_force.limits);
    assert_eq!(narrowed.signers, in_force.signers);
    assert_eq!(narrowed.kept.files, in_force.kept.files);
    assert!(in_force.narrowed_to(&in_force).unwrap().is_none());
}
