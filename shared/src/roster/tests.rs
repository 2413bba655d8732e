//! Rosters that load, rosters that must not, and stock `ssh-keygen` with what is written.

use std::process::{Command, Stdio};

use proptest::prelude::*;
use ssh_key::public::{Ed25519PublicKey, KeyData};
use ssh_key::{Algorithm, Signature};

use super::*;
use crate::sshsig::SigError;

const NAMESPACE: &str = "countersign.decision.v1";
const RSA: &str = "ssh-rsa AAAAB3NzaC1yc2EAAAADAQABAAAAgQDZ";

fn secret(seed: u8) -> ed25519_dalek::SigningKey {
    ed25519_dalek::SigningKey::from_bytes(&[seed; 32])
}

fn line(seed: u8) -> String {
    let public = Ed25519PublicKey(secret(seed).verifying_key().to_bytes());
    PublicKey::from(KeyData::Ed25519(public))
        .to_openssh()
        .unwrap()
}

fn signed(seed: u8, message: &[u8]) -> String {
    let key = PublicKey::from_openssh(&line(seed)).unwrap();
    let data = sshsig::signed_data(NAMESPACE, message).unwrap();
    let raw = ed25519_dalek::Signer::sign(&secret(seed), &data);
    let signature = Signature::new(Algorithm::Ed25519, raw.to_bytes()).unwrap();
    Envelope::new(&key, NAMESPACE, signature)
        .unwrap()
        .to_armored()
        .unwrap()
}

fn person(name: &str, user: &str, groups: &[&str], keys: &[String]) -> Person {
    Person {
        name: name.to_owned(),
        user: user.to_owned(),
        groups: groups.iter().map(|group| (*group).to_owned()).collect(),
        keys: keys.to_vec(),
    }
}

fn two() -> Vec<Person> {
    vec![
        person(
            "mika@example.org",
            "mika",
            &["sre"],
            &[format!("{} laptop", line(1)), line(2)],
        ),
        person(
            "ada@example.org",
            "ada",
            &["sre", "data-stewards"],
            &[format!("valid-before=\"20270101Z\" {}", line(3))],
        ),
    ]
}

fn at(text: &str) -> Timestamp {
    text.parse().unwrap()
}

#[test]
fn people_are_found_by_name_account_and_key() {
    let roster = Roster::from_people(two()).unwrap();
    assert_eq!(roster.by_name("mika@example.org").unwrap().user(), "mika");
    assert!(roster.by_name("Mika@example.org").is_none());
    assert_eq!(roster.by_user("ada").unwrap().name(), "ada@example.org");
    let key = PublicKey::from_openssh(&line(2)).unwrap();
    let (owner, enrolled) = roster.by_key(&key).unwrap();
    assert_eq!(owner.name(), "mika@example.org");
    assert_eq!(enrolled.openssh(), line(2).trim_end());
    assert!(roster.by_fingerprint("SHA256:nobody").is_none());
}

#[test]
fn everyone_is_in_anyone_and_others_in_their_groups() {
    let roster = Roster::from_people(two()).unwrap();
    assert_eq!(roster.members(ANYONE).count(), 2);
    assert_eq!(roster.members("sre").count(), 2);
    let stewards: Vec<_> = roster.members("data-stewards").map(Member::name).collect();
    assert_eq!(stewards, ["ada@example.org"]);
    assert_eq!(roster.members("nobody").count(), 0);
    assert_eq!(
        roster.groups().into_iter().collect::<Vec<_>>(),
        ["data-stewards", "sre"]
    );
}

#[test]
fn a_roster_has_one_canonical_form() {
    let roster = Roster::from_people(two()).unwrap();
    let mut turned = two();
    turned.reverse();
    turned[0].groups.reverse();
    turned[1].keys.reverse();
    let other = Roster::from_people(turned).unwrap();
    assert_eq!(roster.digest().unwrap(), other.digest().unwrap());
    let bytes = roster.to_canonical().unwrap();
    assert_eq!(serde_json::from_slice::<Roster>(&bytes).unwrap(), roster);
    assert_eq!(
        String::from_utf8(bytes).unwrap(),
        include_str!("../../testdata/roster/two.json")
    );
    assert_eq!(
        roster.allowed_signers(),
        include_str!("../../testdata/roster/allowed_signers")
    );
}

#[test]
fn names_that_could_be_mistaken_are_refused() {
    let long = "x".repeat(129);
    for name in [
        "",
        "*",
        "mika*",
        "mi,ka",
        "!mika",
        "mi ka",
        "mi\"ka",
        "#mika",
        "-mika",
        "mika\n",
        "m\u{456}ka",
        "mika\u{200b}",
        long.as_str(),
    ] {
        let people = vec![person(name, "mika", &[], &[])];
        let error = Roster::from_people(people).unwrap_err();
        assert!(matches!(error, RosterError::Name { .. }), "{name}");
        assert!(!error.to_string().contains('\n'));
        assert!(error.to_string().is_ascii());
    }
}

#[test]
fn nothing_is_shared_between_two_people() {
    let load = |first: Person, second: Person| Roster::from_people(vec![first, second]);
    assert!(matches!(
        load(person("mika", "a", &[], &[]), person("mika", "b", &[], &[])),
        Err(RosterError::SameName { .. })
    ));
    assert!(matches!(
        load(person("mika", "a", &[], &[]), person("Mika", "b", &[], &[])),
        Err(RosterError::SameName { .. })
    ));
    assert!(matches!(
        load(person("mika", "a", &[], &[]), person("ada", "a", &[], &[])),
        Err(RosterError::SameUser { .. })
    ));
    let disguised = format!("valid-before=\"20300101Z\" {} other", line(1));
    assert!(matches!(
        load(
            person("mika", "a", &[], &[line(1)]),
            person("ada", "b", &[], &[disguised])
        ),
        Err(RosterError::SameKey { .. })
    ));
    assert!(matches!(
        Roster::from_people(vec![person("mika", "a", &[], &[line(1), line(1)])]),
        Err(RosterError::SameKey { .. })
    ));
}

#[test]
fn accounts_and_groups_have_plain_names() {
    for user in ["", "mi ka", "mi:ka", "../mika", "mika\0", "-mika"] {
        let error = Roster::from_people(vec![person("mika", user, &[], &[])]).unwrap_err();
        assert!(matches!(error, RosterError::User { .. }), "{user}");
    }
    for group in ["", "SRE", "s re", "s_re", "anyone", "nobody"] {
        let error = Roster::from_people(vec![person("mika", "m", &[group], &[])]).unwrap_err();
        assert!(matches!(error, RosterError::Group { .. }), "{group}");
    }
}

#[test]
fn keys_that_are_not_accepted_say_why() {
    let key = line(1);
    let key = key.trim_end();
    for (text, error) in [
        (format!("namespaces=\"git\" {key}"), KeyError::Option),
        (format!("cert-authority {key}"), KeyError::Option),
        (format!("valid-before=20270101Z {key}"), KeyError::Option),
        (
            format!("valid-before=\"20270101\" {key}"),
            KeyError::ValidBefore,
        ),
        (
            format!("valid-before=\"20271301Z\" {key}"),
            KeyError::ValidBefore,
        ),
        (
            format!("valid-before=\"2027Z\" {key}"),
            KeyError::ValidBefore,
        ),
        (
            key.replacen("ssh-ed25519 ", "ssh-ed25519-cert-v01@openssh.com ", 1),
            KeyError::Certificate,
        ),
        (
            "-----BEGIN OPENSSH PRIVATE KEY-----".to_owned(),
            KeyError::Private,
        ),
        (format!("{key}\n{key}"), KeyError::Line { limit: 2048 }),
        (
            format!("{key} {}", "x".repeat(2048)),
            KeyError::Line { limit: 2048 },
        ),
        (RSA.to_owned(), KeyError::Line { limit: 2048 }),
        (String::new(), KeyError::Line { limit: 2048 }),
    ] {
        assert_eq!(EnrolledKey::read(&text), Err(error), "{text}");
    }
}

#[test]
fn rsa_keys_are_refused_with_advice() {
    let directory = tempfile::tempdir().unwrap();
    let status = Command::new("ssh-keygen")
        .args(["-q", "-t", "rsa", "-b", "2048", "-N", "", "-f", "key"])
        .current_dir(directory.path())
        .stdin(Stdio::null())
        .status()
        .unwrap();
    assert!(status.success());
    let text = std::fs::read_to_string(directory.path().join("key.pub")).unwrap();
    assert_eq!(EnrolledKey::read(&text), Err(KeyError::Rsa));
}

#[test]
fn a_person_signs_with_a_key_of_their_own_until_it_expires() {
    let roster = Roster::from_people(two()).unwrap();
    let now = at("2026-11-21T20:49:13.007Z");
    let verify = |name, armored: &str, at| {
        let verified = roster.verify(name, NAMESPACE, b"m", armored, at);
        // What was checked beforehand is judged no otherwise.
        let checked = Checked::of(armored, NAMESPACE, b"m");
        let admitted = roster.admit(name, &checked, at);
        assert_eq!(format!("{admitted:?}"), format!("{verified:?}"));
        verified
    };
    assert_eq!(
        verify("mika@example.org", &signed(1, b"m"), now)
            .unwrap()
            .member
            .user(),
        "mika"
    );
    assert!(matches!(
        verify("mika@example.org", &signed(3, b"m"), now),
        Err(VerifyError::NotTheirs { .. })
    ));
    assert!(matches!(
        verify("eve", &signed(1, b"m"), now),
        Err(VerifyError::Unknown { .. })
    ));
    assert!(matches!(
        verify("mika@example.org", &signed(1, b"other"), now),
        Err(VerifyError::Signature(SigError::Bad))
    ));
    let ada = signed(3, b"m");
    assert!(verify("ada@example.org", &ada, at("2026-12-31T23:59:59.999Z")).is_ok());
    assert!(matches!(
        verify("ada@example.org", &ada, at("2027-01-01T00:00:00.000Z")),
        Err(VerifyError::Expired { .. })
    ));
}

#[test]
fn stock_ssh_keygen_verifies_with_the_allowed_signers_file() {
    let roster = Roster::from_people(two()).unwrap();
    let directory = tempfile::tempdir().unwrap();
    let path = directory.path();
    std::fs::write(path.join("allowed_signers"), roster.allowed_signers()).unwrap();
    std::fs::write(path.join("m"), b"m").unwrap();
    let good = |name: &str, seed: u8, namespace: &str, time: &str| {
        std::fs::write(path.join("m.sig"), signed(seed, b"m")).unwrap();
        Command::new("ssh-keygen")
            .args(["-Y", "verify", "-f", "allowed_signers", "-I", name])
            .args(["-n", namespace, "-s", "m.sig", "-O", time])
            .current_dir(path)
            .stdin(std::fs::File::open(path.join("m")).unwrap())
            .output()
            .unwrap()
            .status
            .success()
    };
    let now = "verify-time=20261121204913Z";
    assert!(good("mika@example.org", 1, NAMESPACE, now));
    assert!(good("mika@example.org", 2, NAMESPACE, now));
    assert!(good("ada@example.org", 3, NAMESPACE, now));
    assert!(!good(
        "ada@example.org",
        3,
        NAMESPACE,
        "verify-time=20270101000001Z"
    ));
    assert!(!good("ada@example.org", 1, NAMESPACE, now));
    assert!(!good("mika@example.org", 1, "git", now));
}

proptest! {
    #[test]
    fn every_name_that_loads_is_one_word_of_plain_ascii(name in "\\PC{1,12}") {
        if Roster::from_people(vec![person(&name, "mika", &[], &[line(1)])]).is_ok() {
            prop_assert!(name.bytes().all(|byte| byte.is_ascii_graphic()));
            prop_assert!(!name.contains(['*', '?', '!', ',', '"', '#', '\'', '\\']));
        }
    }
}
