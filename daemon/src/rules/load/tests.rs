use countersign_shared::roster::Person;
use ssh_key::PublicKey;
use ssh_key::public::{Ed25519PublicKey, KeyData, SkEd25519};

use super::*;

const GOOD: &str = "mode = \"user\"\norigin = \"countersign/0123456789abcdefghjkmnpqrs\"\n";

fn people(names: &[&str]) -> Vec<Member> {
    names
        .iter()
        .zip(1..)
        .map(|(&name, uid)| Member {
            name: name.to_owned(),
            uid,
            groups: BTreeSet::from(["sre".to_owned()]),
            keys: BTreeSet::new(),
        })
        .collect()
}

fn load(table: &str) -> Result<Requirement, RulesError> {
    let text = format!("{GOOD}[default_requirement]\n{table}\n");
    let config = Config::parse(std::path::Path::new("countersign.toml"), &text).unwrap();
    requirement(
        &config,
        &Limits::default(),
        &people(&["ana", "bo"]),
        Lack::Refused,
    )
}

#[test]
fn what_is_not_said_is_the_strict_side_of_the_mode() {
    let user = load("").unwrap();
    assert_eq!(user.assurance, Assurance::Unlocked);
    assert_eq!(user.tier, Tier::Medium);
    assert_eq!(
        (user.ttl_s, user.grant_s, user.max_run_s),
        (3600, 300, 3600)
    );
    assert!(user.self_attest);
    let text = GOOD.replace("user", "system");
    let config = Config::parse(std::path::Path::new("countersign.toml"), &text).unwrap();
    let system = requirement(
        &config,
        &Limits::default(),
        &people(&["ana"]),
        Lack::Refused,
    )
    .unwrap();
    assert_eq!(system.assurance, Assurance::File);
    assert!(!system.self_attest);
}

#[test]
fn r3_a_review_that_nobody_can_satisfy_does_not_load() {
    for review in ["3 of anyone", "1 of dba", "2 of sre and 1 of anyone"] {
        let error = load(&format!("review = \"{review}\"")).unwrap_err();
        assert!(matches!(error, RulesError::Unsatisfiable { .. }), "{error}");
    }
    load("review = \"2 of sre\"").unwrap();
    let config = Config::parse(std::path::Path::new("countersign.toml"), GOOD).unwrap();
    assert!(requirement(&config, &Limits::default(), &[], Lack::Refused).is_err());
}

#[test]
fn r3_a_touch_that_nobody_has_a_key_for_does_not_load() {
    let plain = |seed: u8| {
        let secret = ed25519_dalek::SigningKey::from_bytes(&[seed; 32]);
        Ed25519PublicKey(secret.verifying_key().to_bytes())
    };
    let roster = |sk: bool| {
        let data = if sk {
            KeyData::SkEd25519(SkEd25519::new(plain(1), "ssh:"))
        } else {
            KeyData::Ed25519(plain(1))
        };
        let person = |name: &str, data: KeyData| Person {
            name: name.to_owned(),
            user: name.to_owned(),
            groups: vec!["sre".to_owned()],
            keys: vec![PublicKey::from(data).to_openssh().unwrap()],
        };
        Roster::from_people(vec![
            person("ana", data),
            person("bo", KeyData::Ed25519(plain(2))),
        ])
        .unwrap()
    };
    let everyone = people(&["ana", "bo"]);
    let check = |table: &str, sk: bool, lack: Lack| {
        let requirement = load(table).unwrap();
        check_presence(&requirement, &roster(sk), &everyone, lack)
    };
    let (touch, both) = (
        "assurance = \"touch\"",
        "assurance = \"pin\"\nreview = \"2 of sre\"",
    );
    let error = check(touch, false, Lack::Refused).unwrap_err().to_string();
    assert!(error.contains("takes a security key"), "{error}");
    check(touch, true, Lack::Refused).unwrap();
    assert!(check(both, true, Lack::Refused).is_err());
    check(both, false, Lack::Logged).unwrap();
    check("assurance = \"passphrase\"", false, Lack::Refused).unwrap();
}

#[test]
fn r3_a_review_that_nobody_can_satisfy_is_reloaded_as_it_stands() {
    let config = Config::parse(std::path::Path::new("countersign.toml"), GOOD).unwrap();
    let loaded = requirement(&config, &Limits::default(), &[], Lack::Logged).unwrap();
    let reviews: Vec<String> = loaded
        .reviews
        .iter()
        .map(|review| review.seats.to_string())
        .collect();
    assert_eq!(reviews, ["1 of anyone"]);
}

#[test]
fn a_person_whose_account_is_gone_stops_a_start_and_is_left_out_of_a_reload() {
    let key = |seed: u8| {
        let secret = ed25519_dalek::SigningKey::from_bytes(&[seed; 32]);
        let public = Ed25519PublicKey(secret.verifying_key().to_bytes());
        PublicKey::from(KeyData::Ed25519(public))
            .to_openssh()
            .unwrap()
    };
    let written = [("ana", 1), ("bo", 2)].map(|(name, seed)| Person {
        name: name.to_owned(),
        user: name.to_owned(),
        groups: Vec::new(),
        keys: vec![key(seed)],
    });
    let mut roster = Roster::from_people(written.to_vec()).unwrap();
    let uid_of = |user: &str| Ok((user == "ana").then_some(1001));
    let error = members(&mut roster, uid_of, Lack::Refused).unwrap_err();
    assert!(matches!(error, RulesError::Account { .. }), "{error}");
    assert_eq!(roster.len(), 2);
    let left = members(&mut roster, uid_of, Lack::Logged).unwrap();
    assert_eq!(left.len(), 1);
    assert!(roster.by_name("ana").is_some() && roster.by_name("bo").is_none());
}

#[test]
fn a_mistyped_value_does_not_load() {
    for table in [
        "review = \"0 of anyone\"",
        "tier = \"severe\"",
        "assurance = \"Touch\"",
        "self_attest = \"yes\"",
        "ttl = \"0s\"",
        "grant = \"1500ms\"",
        "max_run = \"5\"",
        "escalate = \"at 50% to nobody\"",
        "escalate = \"50%\"",
        "ttl = \"200y\"",
    ] {
        let error = load(table).unwrap_err();
        assert!(
            matches!(error, RulesError::Requirement { .. }),
            "{table}: {error}"
        );
    }
}

#[test]
fn only_people_of_the_roster_break_the_glass_and_a_mistake_in_the_list_does_not_load() {
    let member = |name: &str, group: &str| Member {
        name: name.to_owned(),
        uid: 1,
        groups: BTreeSet::from([group.to_owned()]),
        keys: BTreeSet::new(),
    };
    let members = [
        member("ana", "sre"),
        member("bo", "dba"),
        member("cy", "sre"),
    ];
    let written = |people: &[&str], groups: &[&str]| BreakGlass {
        people: people.iter().map(|&name| name.to_owned()).collect(),
        groups: groups.iter().map(|&name| name.to_owned()).collect(),
    };
    let load = |written: &BreakGlass| break_glass(written, &members, Lack::Refused);
    let named = |names: &[&str]| -> BTreeSet<String> {
        names.iter().map(|&name| name.to_owned()).collect()
    };
    assert_eq!(load(&written(&[], &[])).unwrap(), named(&[]));
    assert_eq!(load(&written(&["bo"], &[])).unwrap(), named(&["bo"]));
    assert_eq!(
        load(&written(&["ana"], &["sre"])).unwrap(),
        named(&["ana", "cy"])
    );
    for wrong in [
        written(&["Ana"], &[]),
        written(&[], &["ops"]),
        written(&[], &["anyone"]),
    ] {
        let error = load(&wrong).unwrap_err();
        assert!(matches!(error, RulesError::BreakGlass { .. }), "{error}");
        // In a reload it may be a person who was just removed: then it is nobody.
        let left = break_glass(&wrong, &members, Lack::Logged).unwrap();
        assert_eq!(left, named(&[]));
    }
}

#[test]
fn who_is_called_when_nobody_decides_is_read_with_the_requirement() {
    let loaded = load("escalate = \"at 30% to anyone\"").unwrap();
    let escalate: Vec<String> = loaded.escalate.iter().map(ToString::to_string).collect();
    assert_eq!(escalate, ["at 30% to anyone"]);
}

#[test]
fn people_who_do_not_fit_into_an_entry_are_refused_with_the_size_and_a_hundred_fit() {
    let rules = |count: u8| {
        let people: Vec<Person> = (0..count)
            .map(|number| {
                let secret = ed25519_dalek::SigningKey::from_bytes(&[number; 32]);
                let public = Ed25519PublicKey(secret.verifying_key().to_bytes());
                let key = PublicKey::from(KeyData::Ed25519(public));
                Person {
                    name: format!("person-{number}@example.org"),
                    user: format!("person{number}"),
                    groups: vec!["sre".to_owned()],
                    keys: vec![key.to_openssh().unwrap()],
                }
            })
            .collect();
        let mut roster = Roster::from_people(people).unwrap();
        let uid_of = |user: &str| Ok(user.strip_prefix("person").and_then(|n| n.parse().ok()));
        let members = members(&mut roster, uid_of, Lack::Refused).unwrap();
        let requirement = load("review = \"1 of sre\"").unwrap();
        let limits = Limits::default();
        Rules::holding_all(Mode::User, roster, members, requirement, limits)
    };
    check_size(&rules(100)).unwrap();
    let error = check_size(&rules(200)).unwrap_err();
    assert!(matches!(error, RulesError::TooLarge { .. }), "{error}");
    let text = error.to_string();
    assert!(
        text.contains("63487") && text.contains("reviewers.toml"),
        "{text}"
    );
}
